// Maps on coarse grids: their alignment, and the range that becomes 0..1. See rtfocus/align.py and normalise.py,
// whose arithmetic this repeats.
//
// Blocks are 32 x 8 threads. The block of a kernel that comes to its end last does what needs all cells of a grid, so
// that it takes no launch of its own.

#define LANES 8  // threads that make one cell of a grid
#define BINS 2048
#define COLUMNS 32  // of the coarse grid and the thumbnail
#define ROWS 18
#define CELLS (COLUMNS * ROWS)
#define ROUNDS 6

// One row or column of a resized map: which of the source's it is made of. Those between the ends weigh 1.
struct Part {
    int first, count;
    float head, tail, norm;
    __device__ __forceinline__ float weight(int i) const { return i == 0 ? head : i == count - 1 ? tail : 1.0f; }
};

// As OpenCV's INTER_AREA: a mean where the map shrinks, else linear with steps as wide as pixels allow.
__device__ __forceinline__ Part part_of(int at, int count, int source, bool shrinks) {
    const double inverse = (double)count / source, scale = 1.0 / inverse, from = at * scale;
    if (shrinks) {
        const double to = from + scale, cell = fmin(scale, source - from);
        const int end = min((int)floor(to), source - 1), begin = min((int)ceil(from), end);
        const bool headed = begin - from > 1e-3, tailed = to - end > 1e-3;
        const float tail = (float)fmin(fmin(to - end, 1.0), cell);
        const int first = begin - headed, length = end + tailed - first;
        const float head = headed ? (float)(begin - from) : length == 1 && tailed ? tail : 1.0f;
        return {first, length, head, tailed ? tail : 1.0f, (float)(1.0 / cell)};
    }
    const int first = min((int)floor(from), source - 1);
    const double past = (at + 1) - (first + 1) * inverse;
    const float part = past <= 0 || first == source - 1 ? 0.0f : (float)(past - floor(past));
    return {first, part > 0 ? 2 : 1, 1 - part, part, 1.0f};
}

// The picture's brightness, in levels, at the size of the map.
extern "C" __global__ __launch_bounds__(THREADS) void brightness(
    const u8* __restrict__ image, int height, int width, float* __restrict__ grey, int rows, int columns) {
    const int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * WARPS + threadIdx.y;
    if (x >= columns || y >= rows) return;
    const bool shrinks = rows <= height && columns <= width, halves = height == 2 * rows && width == 2 * columns;
    const Part down = part_of(y, rows, height, shrinks), across = part_of(x, columns, width, shrinks);
    float sum[3] = {0, 0, 0};
    for (int j = 0; j < down.count; ++j) {
        const u8* from = image + 3 * ((size_t)(down.first + j) * width + across.first);
        float row[3] = {0, 0, 0};
        for (int i = 0; i < across.count; ++i)
            for (int c = 0; c < 3; ++c) row[c] += across.weight(i) * from[3 * i + c];
        for (int c = 0; c < 3; ++c) sum[c] += down.weight(j) * row[c];
    }
    const float norm = down.norm * across.norm;
    int level[3];
    for (int c = 0; c < 3; ++c) level[c] = (int)(halves ? floorf(sum[c] * norm + 0.5f) : rintf(sum[c] * norm));
    grey[y * columns + x] = (float)((level[0] * 9798 + level[1] * 19235 + level[2] * 3735 + (1 << 14)) >> 15);
}

// One cell of a map on a coarse grid, by LANES threads; if wanted, also the map's least and largest value there.
__device__ __forceinline__ float coarse(
    const float* __restrict__ map, int height, int width, int rows, int columns, int cell, bool extremes, float& low,
    float& high) {
    const bool shrinks = rows <= height && columns <= width;
    const Part down = part_of(cell / columns, rows, height, shrinks);
    const Part across = part_of(cell % columns, columns, width, shrinks);
    float sum = 0;
    low = 3e38f, high = -3e38f;
#pragma unroll 4
    for (int j = 0; j < down.count; ++j)
        for (int i = threadIdx.x % LANES; i < across.count; i += LANES) {
            const float value = map[(down.first + j) * width + across.first + i];
            sum += down.weight(j) * across.weight(i) * value;
            low = fminf(low, value), high = fmaxf(high, value);
        }
    for (int by = LANES / 2; by > 0; by /= 2) {
        sum += __shfl_xor_sync(~0u, sum, by);
        if (!extremes) continue;
        low = fminf(low, __shfl_xor_sync(~0u, low, by)), high = fmaxf(high, __shfl_xor_sync(~0u, high, by));
    }
    return sum * (down.norm * across.norm);
}

// The first cell of this thread's warp; the others follow.
__device__ __forceinline__ int first_cell() { return (blockIdx.y * WARPS + threadIdx.y) * (32 / LANES); }

// The value at a position between ranks, of n in shared memory; for all threads of the block.
__device__ __forceinline__ double at_rank(const float* values, int n, double position) {
    __shared__ int bins[BINS];
    __shared__ u32 above;
    InBin place = {0, (int)position};
    u32 prefix = 0;
    if (thread_number() == 0) above = ~0u;
    for (int digit = 0; digit < 3; ++digit) {
        const int shift = digit == 0 ? 21 : digit == 1 ? 10 : 0, length = digit == 2 ? 10 : 11;
        for (int i = thread_number(); i < BINS; i += THREADS) bins[i] = 0;
        __syncthreads();
        for (int i = thread_number(); i < n; i += THREADS) {
            const u32 key = to_key(values[i]);
            if ((u64)key >> (shift + length) == prefix) atomicAdd(&bins[key >> shift & ((1u << length) - 1)], 1);
        }
        __syncthreads();
        place = find_bin(bins, BINS, place.rank);
        prefix = prefix << length | place.bin;
    }
    if (place.rank + 1 >= bins[place.bin])
        for (int i = thread_number(); i < n; i += THREADS) {
            const u32 key = to_key(values[i]);
            if (key > prefix) atomicMin(&above, key);
        }
    __syncthreads();
    const double low = from_key(prefix), high = above == ~0u ? low : from_key(above);
    __syncthreads();
    return low + (high - low) * (position - (int)position);
}

__device__ __forceinline__ double median(const float* values, int n) { return at_rank(values, n, 0.5 * (n - 1)); }

// Sum over the block's threads, in the same order every time.
__device__ __forceinline__ double total(double value) {
    __shared__ double parts[WARPS];
    for (int by = 16; by > 0; by /= 2) value += __shfl_xor_sync(~0u, value, by);
    if (threadIdx.x == 0) parts[threadIdx.y] = value;
    __syncthreads();
    value = 0;
    for (int i = 0; i < WARPS; ++i) value += parts[i];
    __syncthreads();
    return value;
}

__device__ __forceinline__ double ratio(double a, double b) { return a > 1e-12 && b > 1e-12 ? a / b : 1.0; }

// The robust line of organic correlation scale * x + shift = y, by one block; see align.align.
__device__ __forceinline__ void align(const float* x, const float* y, float* residual, int n, Fit* fit) {
    const int thread = thread_number();
    const double middle_x = median(x, n), middle_y = median(y, n);
    for (int i = thread; i < n; i += THREADS) residual[i] = (float)fabs(x[i] - middle_x);
    const double deviation = median(residual, n);
    double largest = 0;
    for (int i = thread; i < n; i += THREADS) residual[i] = (float)fabs(y[i] - middle_y);
    for (int i = 0; i < n; ++i) largest = fmax(largest, fabs((double)y[i]));
    double scale = ratio(median(residual, n), deviation), shift = middle_y - scale * middle_x;
    for (int round = 0;; ++round) {
        for (int i = thread; i < n; i += THREADS) residual[i] = (float)fabs(scale * x[i] + shift - y[i]);
        const double middle = median(residual, n);
        if (round == ROUNDS) {
            const double spread = at_rank(y, n, 0.95 * (n - 1)) - at_rank(y, n, 0.05 * (n - 1));
            if (thread == 0) fit->scale = (float)scale, fit->shift = (float)shift;
            if (thread == 0) fit->misfit = spread > 0 ? (float)(middle / spread) : 0.0f;
            return;
        }
        const double limit = 4.0 * (1.4826 * middle + 1e-9 * largest + 1e-30);
        auto weight = [&](int i) {
            const double off = (scale * x[i] + shift - y[i]) / limit, inside = fmax(1 - off * off, 0.0);
            return inside * inside;
        };
        double sum = 0, sum_x = 0, sum_y = 0, square_x = 0, square_y = 0;
        for (int i = thread; i < n; i += THREADS) {
            const double w = weight(i);
            sum += w, sum_x += w * x[i], sum_y += w * y[i];
        }
        sum = total(sum);
        const double mean_x = total(sum_x) / sum, mean_y = total(sum_y) / sum;
        for (int i = thread; i < n; i += THREADS) {
            const double w = weight(i);
            square_x += w * (x[i] - mean_x) * (x[i] - mean_x), square_y += w * (y[i] - mean_y) * (y[i] - mean_y);
        }
        square_x = total(square_x);
        scale = ratio(sqrt(total(square_y)), sqrt(square_x));
        shift = mean_y - scale * mean_x;
    }
}

// Brings a new map and picture, and the running map, to coarse grids, which tell the new map's scale and shift and
// how far the picture differs from the one before.
// One block more on a multiprocessor is not worth spilled registers.
extern "C" __global__ __launch_bounds__(THREADS, 1) void compare(
    const float* __restrict__ grey, const float* __restrict__ disparity, const float* __restrict__ running, int height,
    int width, int relative, volatile float* cells, float* __restrict__ thumbnail, Fit* __restrict__ fit, int* ticket) {
    const int map = blockIdx.z, first = first_cell(), cell = first + threadIdx.x / LANES;
    const int rows = map == 0 ? ROWS : min(ROWS, height), columns = map == 0 ? COLUMNS : min(COLUMNS, width);
    volatile float *lows = cells + 3 * CELLS, *highs = cells + 4 * CELLS;
    if (first < rows * columns) {  // for whole warps
        float low, high;
        const float* from = map == 0 ? grey : map == 1 ? disparity : running;
        const int own = min(cell, rows * columns - 1);
        const bool extremes = map == 2 && !relative;
        cells[map * CELLS + own] = coarse(from, height, width, rows, columns, own, extremes, low, high);
        if (extremes) lows[own] = low, highs[own] = high;
    }
    if (!is_last(ticket, gridDim.y * gridDim.z)) return;

    __shared__ float x[CELLS], y[CELLS], residual[CELLS];
    const int n = min(ROWS, height) * min(COLUMNS, width), thread = thread_number();
    double difference = 0;
    for (int i = thread; i < CELLS; i += THREADS) {
        difference += fabsf(cells[i] - thumbnail[i]);
        thumbnail[i] = cells[i];
    }
    difference = total(difference);
    if (thread == 0) fit->differs = (float)(difference / CELLS);
    for (int i = thread; i < n; i += THREADS) {
        x[i] = cells[CELLS + i], y[i] = cells[2 * CELLS + i];
    }
    __syncthreads();
    if (relative) {
        align(x, y, residual, n, fit);
    } else if (thread == 0) {
        float low = lows[0], high = highs[0];
        for (int i = 1; i < n; ++i) low = fminf(low, lows[i]), high = fmaxf(high, highs[i]);
        fit->scale = 1, fit->shift = 0, fit->spread = high > low ? high - low : 1.0f;
    }
}

// Lets the range follow the map's percentiles; see normalise.Normaliser. Of two maps in the ring, `other` is taken if
// it is of the same shot.
extern "C" __global__ __launch_bounds__(THREADS, 1) void follow_range(
    const float* __restrict__ maps, int own, int other, const int* __restrict__ shots, const int* __restrict__ cut,
    int start, int height, int width, volatile float* cells, double* __restrict__ range, float* __restrict__ units,
    int* ticket) {
    const int rows = min(ROWS, height), columns = min(COLUMNS, width), n = rows * columns;
    const float* map = maps + (size_t)(shots[own] == shots[other] ? other : own) * height * width;
    const int first = first_cell(), cell = min(first + (int)threadIdx.x / LANES, n - 1);
    if (first < n) {
        float low, high;
        cells[cell] = coarse(map, height, width, rows, columns, cell, false, low, high);
    }
    if (!is_last(ticket, gridDim.y)) return;
    __shared__ float values[CELLS];
    for (int i = thread_number(); i < n; i += THREADS) values[i] = cells[i];
    __syncthreads();
    double low = at_rank(values, n, 0.02 * (n - 1)), high = at_rank(values, n, 0.98 * (n - 1));
    if (thread_number() > 0) return;
    if (!start && !*cut) {
        low = range[0] + 0.005 * (low - range[0]);
        high = range[1] + 0.005 * (high - range[1]);
    }
    range[0] = low, range[1] = high;
    units[0] = (float)fmax(fmax(high - low, 1e-3 * fmax(fabs(low), fabs(high))), 1e-9);
    units[1] = (float)low;
}

// The map in those units, of two as above, and whether it begins a shot, in memory of their own.
extern "C" __global__ __launch_bounds__(THREADS) void normalise(
    const float* __restrict__ maps, int own, int other, const int* __restrict__ shots, const int* __restrict__ cut,
    const float* __restrict__ units, int height, int width, float* __restrict__ values, int* __restrict__ is_cut) {
    const int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * WARPS + threadIdx.y, at = y * width + x;
    const float* map = maps + (size_t)(shots[own] == shots[other] ? other : own) * height * width;
    if (x == 0 && y == 0) *is_cut = *cut;
    if (x < width && y < height) values[at] = (map[at] - units[1]) / units[0];
}

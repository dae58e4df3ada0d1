// Depth over time. See rtfocus/smooth.py, whose arithmetic this repeats.
//
// Blocks are 32 x 8 threads. The block of a kernel that comes to its end last does what needs the whole map, so that
// it takes no launch of its own.

#define TILE 32         // side of what a block looks at for the first digit
#define PER_BLOCK 4096  // values that a block looks at for the other digits
#define BINS 2048

// The search for the median of values that are not negative, by the digits of their bits: 11, 10, 10.
struct Search {
    u32 prefix;  // digits found
    int rank;    // of the median among the values that begin with them
    u32 above;   // least value known to be above the median, as bits
    int ticket;  // blocks that are done
    float median;
};

// Takes a histogram from global memory, which is empty then.
__device__ __forceinline__ void take(int* bins, int* from, int count) {
    for (int i = thread_number(); i < count; i += THREADS) bins[i] = atomicExch(&from[i], 0);
    __syncthreads();
}

// How many of the next maps in the ring are of one shot.
__device__ __forceinline__ int of_same_shot(const int* __restrict__ shots, int own, int first, int count, int slots) {
    int same = 0;
    while (same < count && shots[(first + same) % slots] == shots[own]) ++same;
    return same;
}

// An index beyond the border, mirrored at the outermost pixel.
__device__ __forceinline__ int reflect(int i, int n) {
    return clamp(i < 0 ? -i : i >= n ? 2 * n - 2 - i : i, 0, n - 1);
}

__device__ __forceinline__ float mean_of_nine(const float (&tile)[TILE + 2][TILE + 2], int y, int x) {
    float sum = 0;
    for (int j = 0; j < 3; ++j)
        for (int i = 0; i < 3; ++i) sum += tile[y + j][x + i];
    return sum * (1.0f / 9);
}

// How the mean of `count` maps of the ring, from `first` on, differs from a value: the magnitudes of its residual in a
// window and at the pixel, and that of the picture. Counts the first digit of all three.
extern "C" __global__ __launch_bounds__(THREADS) void differ(
    const float* __restrict__ maps, int first, int count, int slots, const int* __restrict__ shots, int own,
    const Fit* __restrict__ fit, const float* __restrict__ value, const float* __restrict__ before,
    const float* __restrict__ after, int height, int width, float* __restrict__ mean, float* __restrict__ sizes,
    Search* searches, int* bins) {
    __shared__ float residual[TILE + 2][TILE + 2], moved[TILE + 2][TILE + 2];
    __shared__ int counts[3 * BINS];
    const int n = height * width, left = blockIdx.x * TILE, top = blockIdx.y * TILE, thread = thread_number();
    const int same = of_same_shot(shots, own, first, count, slots);
    const float* last = after + (size_t)((first + max(same, 1) - 1) % slots) * n;
    for (int i = thread; i < 3 * BINS; i += THREADS) counts[i] = 0;
    for (int i = thread; i < (TILE + 2) * (TILE + 2); i += THREADS) {
        const int j = i / (TILE + 2), k = i % (TILE + 2);
        const int y = reflect(top + j - 1, height), x = reflect(left + k - 1, width), at = y * width + x;
        float sum = 0;
        for (int m = 0; m < same; ++m) sum += maps[(size_t)((first + m) % slots) * n + at];
        // Rounded in between as NumPy does: the residual may be no more than such an error.
        const float now = same > 0 ? __fmul_rn(sum / same, fit->scale) + fit->shift : value[at];
        residual[j][k] = now - value[at];
        moved[j][k] = fabsf(last[at] - before[at]);
        if (y == top + j - 1 && x == left + k - 1 && j - 1 < TILE && k - 1 < TILE && j > 0 && k > 0) mean[at] = now;
    }
    __syncthreads();
    for (int j = threadIdx.y; j < TILE; j += WARPS) {
        const int k = threadIdx.x, y = top + j, x = left + k;
        if (y >= height || x >= width) break;
        const float size[3] = {
            fabsf(mean_of_nine(residual, j, k)), fabsf(residual[j + 1][k + 1]), mean_of_nine(moved, j, k)};
        for (int q = 0; q < 3; ++q) {
            sizes[(size_t)q * n + y * width + x] = size[q];
            atomicAdd(&counts[q * BINS + (__float_as_uint(size[q]) >> 20)], 1);
        }
    }
    __syncthreads();
    for (int i = thread; i < 3 * BINS; i += THREADS)
        if (counts[i]) atomicAdd(&bins[i], counts[i]);
    if (!is_last(&searches[0].ticket, gridDim.x * gridDim.y)) return;
    take(counts, bins, 3 * BINS);
    for (int q = 0; q < 3; ++q) {
        const InBin place = find_bin(counts + q * BINS, BINS, (n - 1) / 2);
        if (thread == 0) searches[q].prefix = place.bin, searches[q].rank = place.rank, searches[q].above = ~0u;
    }
}

// Finds the next 10 bits of the three medians; with the last of them, the medians.
extern "C" __global__ __launch_bounds__(THREADS) void search(
    const float* __restrict__ sizes, int n, int shift, Search* searches, int* bins) {
    __shared__ int counts[BINS / 2];
    __shared__ u32 next;
    const int quantity = blockIdx.y, thread = thread_number();
    Search* own = &searches[quantity];
    const u32 prefix = own->prefix;
    const int rank = own->rank;
    int* total_counts = bins + quantity * BINS;
    for (int i = thread; i < BINS / 2; i += THREADS) counts[i] = 0;
    if (thread == 0) next = ~0u;
    __syncthreads();
    u32 above = ~0u;
    for (int i = thread; i < PER_BLOCK; i += THREADS) {
        const int at = blockIdx.x * PER_BLOCK + i;
        if (at >= n) break;
        const u32 bits = __float_as_uint(sizes[(size_t)quantity * n + at]), start = bits >> (shift + 10);
        if (start == prefix) atomicAdd(&counts[bits >> shift & (BINS / 2 - 1)], 1);
        if (start > prefix) above = min(above, bits);
    }
    for (int by = 16; by > 0; by /= 2) above = min(above, __shfl_xor_sync(~0u, above, by));
    if (threadIdx.x == 0) atomicMin(&next, above);
    __syncthreads();
    if (thread == 0) atomicMin(&own->above, next);
    for (int i = thread; i < BINS / 2; i += THREADS)
        if (counts[i]) atomicAdd(&total_counts[i], counts[i]);
    if (!is_last(&own->ticket, gridDim.x)) return;
    take(counts, total_counts, BINS / 2);
    const InBin place = find_bin(counts, BINS / 2, rank);
    const u32 found = prefix << 10 | place.bin;
    if (thread == 0) own->prefix = found, own->rank = place.rank, next = atomicMin(&own->above, ~0u);
    if (shift > 0) return;
    __syncthreads();
    // The middle of an even number of values is between this one and the next.
    for (int i = thread; i < BINS / 2; i += THREADS)
        if (counts[i] > (i == place.bin ? place.rank + 1 : 0) && i >= place.bin) atomicMin(&next, prefix << 10 | i);
    __syncthreads();
    const float low = __uint_as_float(found), high = n % 2 ? low : __uint_as_float(next);
    if (thread == 0) own->median = (low + high) / 2;
}

// How surely depth changed around a pixel, 0..1; for all threads of the block.
__device__ __forceinline__ float change_around(
    const float* __restrict__ sizes, const Search* __restrict__ searches, int height, int width, int x, int y) {
    __shared__ float tile[WARPS + 2][34];
    const int n = height * width;
    const float window = 1.4826f * searches[0].median + 1e-9f, pixel = 1.4826f * searches[1].median + 1e-9f;
    const float picture = 3 * (1.4826f * searches[2].median + 0.5f);
    for (int i = thread_number(); i < (WARPS + 2) * 34; i += THREADS) {
        const int j = i / 34, k = i % 34, row = y - threadIdx.y + j - 1, column = x - threadIdx.x + k - 1;
        float change = 0;
        if (row >= 0 && row < height && column >= 0 && column < width) {
            const float* size = sizes + row * width + column;
            const float evidence = fmaxf(size[0] / window, 0.7f * (size[n] / pixel));
            const float motion = clamp(size[2 * n] / picture - 1, 0.0f, 1.0f);
            change = clamp(evidence / (12 - 10 * motion) - 1, 0.0f, 1.0f);
        }
        tile[j][k] = change;
    }
    __syncthreads();
    float most = 0;
    for (int j = 0; j < 3; ++j)
        for (int i = 0; i < 3; ++i) most = fmaxf(most, tile[threadIdx.y + j][threadIdx.x + i]);
    return most;
}

// Takes an aligned map into the running mean, or starts a new shot. Maps of before and after may be the same memory.
extern "C" __global__ __launch_bounds__(THREADS) void remember(
    const float* __restrict__ disparity, const float* __restrict__ grey, const Fit* __restrict__ fit,
    const float* __restrict__ sizes, const Search* __restrict__ searches, int relative, int start, float longest,
    int height, int width, int before, int after, int* shots, int* cuts, float* aligned, float* values, float* counts,
    float* greys) {
    const int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * WARPS + threadIdx.y, n = height * width;
    const size_t old = (size_t)before * n + y * width + x, now = (size_t)after * n + y * width + x;
    const float misfit = relative ? fit->misfit : searches[1].median / fit->spread;
    const bool begins = start || (fit->differs > 24.0f && misfit > 0.12f);
    const float change = begins ? 1.0f : change_around(sizes, searches, height, width, x, y);
    if (x == 0 && y == 0) {
        shots[after] = shots[before] + begins;
        cuts[after] = begins && start != 1;
    }
    if (x >= width || y >= height) return;
    if (begins) {
        aligned[now] = values[now] = disparity[y * width + x];
        greys[now] = grey[y * width + x];
        counts[now] = 1;
        return;
    }
    const float count = fminf(counts[old] * (1 - change) + 1, longest), value = values[old], memory = greys[old];
    values[now] = value + (aligned[now] - value) / count;
    greys[now] = memory + (grey[y * width + x] - memory) / count;
    counts[now] = count;
}

// Joins the mean of the maps that follow to a value, in place of that mean.
extern "C" __global__ __launch_bounds__(THREADS) void join(
    float* __restrict__ mean, const float* __restrict__ value, const float* __restrict__ counts,
    const float* __restrict__ sizes, const Search* __restrict__ searches, const int* __restrict__ shots, int own,
    int first, int count, int slots, int height, int width) {
    const int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * WARPS + threadIdx.y, at = y * width + x;
    const float change = change_around(sizes, searches, height, width, x, y);
    if (x >= width || y >= height) return;
    const float later = of_same_shot(shots, own, first, count, slots) * (1 - change), now = value[at];
    mean[at] = now + (mean[at] - now) * (later / (counts[at] + later));
}


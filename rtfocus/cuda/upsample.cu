// From the network's grid to the picture's size, along the picture's edges.
// See rtfocus/upsample.py and rtfocus/kernels/upsample.py, whose arithmetic this repeats.

#define REACH 2          // half width in cells of the window in which a soft edge has its two sides
#define STEP 0.06f       // difference in disparity across it that is an edge
#define SHARE 0.7f       // least share of it in what a window of twice the reach spans
#define CONTRAST 60.0f   // difference in colour between the sides from which it can be trusted
#define TRUST 0.7f       // how far a colour can move a pixel that is half way between the sides
#define TILE 32
#define ROWS 4           // rows of a tile that one thread writes
#define WINDOW (TILE + 2)

// What a cell covers along one axis: pixels first..last, the first and the last one to a share.
struct Span {
    int first, last;
    float head, body, tail;
};

__device__ __forceinline__ float weight(const Span& span, int at) {
    return at == span.first ? span.head : at == span.last ? span.tail : span.body;
}

// Weighted sum of what a cell covers of a picture of N interleaved channels.
template <int N, class T>
__device__ __forceinline__ void cover(
    const T* __restrict__ from, int width, const Span& down, const Span& across, float (&sum)[N]) {
    for (int c = 0; c < N; ++c) sum[c] = 0;
    for (int y = down.first; y <= down.last; ++y) {
        const T* row = from + (size_t)y * width * N;
        float line[N] = {};
        for (int x = across.first; x <= across.last; ++x)
            for (int c = 0; c < N; ++c) line[c] += weight(across, x) * row[x * N + c];
        for (int c = 0; c < N; ++c) sum[c] += weight(down, y) * line[c];
    }
}

// The picture on the grid, in whole levels. What is added before rounding decides where halves go.
extern "C" __global__ __launch_bounds__(256) void reduce_picture(
    const u8* __restrict__ image, int width, const Span* __restrict__ down, const Span* __restrict__ across, float norm,
    float added, int rows, int columns, uchar4* __restrict__ small) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= columns || y >= rows) return;
    float sum[3];
    cover(image, width, down[y], across[x], sum);
    u8 level[3];
    for (int c = 0; c < 3; ++c) level[c] = (u8)clamp(rintf(sum[c] * norm + added), 0.0f, 255.0f);
    small[y * columns + x] = {level[0], level[1], level[2], 0};
}

// A map at a smaller size.
extern "C" __global__ __launch_bounds__(256) void reduce_map(
    const float* __restrict__ map, int width, const Span* __restrict__ down, const Span* __restrict__ across, float norm,
    int rows, int columns, float* __restrict__ small) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= columns || y >= rows) return;
    float sum[1];
    cover(map, width, down[y], across[x], sum);
    small[y * columns + x] = sum[0] * norm;
}

struct Range {
    float low, high;
};

// The least and the largest value in the window about a cell.
__device__ __forceinline__ Range extremes(
    const float* __restrict__ map, int rows, int columns, int y, int x, int reach) {
    Range range = {map[y * columns + x], map[y * columns + x]};
    for (int j = max(0, y - reach); j <= min(rows - 1, y + reach); ++j)
        for (int i = max(0, x - reach); i <= min(columns - 1, x + reach); ++i) {
            range.low = fminf(range.low, map[j * columns + i]);
            range.high = fmaxf(range.high, map[j * columns + i]);
        }
    return range;
}

// 1 at cells in whose window the map steps: by more than a slope would that goes on beyond it.
extern "C" __global__ __launch_bounds__(256) void find_steps(
    const float* __restrict__ disparity, int rows, int columns, u8* __restrict__ sudden) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= columns || y >= rows) return;
    const Range near = extremes(disparity, rows, columns, y, x, REACH);
    const Range wide = extremes(disparity, rows, columns, y, x, 2 * REACH);
    const float change = near.high - near.low;
    sudden[y * columns + x] = change > STEP && change > SHARE * (wide.high - wide.low);
}

// At every depth edge, what lies on its two sides, in two parts: disparity of the far and of the near side, equal
// where there is no edge, how far colours may count, and what is added to them; and the weights of their levels.
extern "C" __global__ __launch_bounds__(256, 4) void find_sides(
    const float* __restrict__ disparity, const u8* __restrict__ sudden, const uchar4* __restrict__ colour, int rows,
    int columns, float4* __restrict__ sides) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= columns || y >= rows) return;
    const int left = max(0, x - REACH), right = min(columns - 1, x + REACH);
    const int top = max(0, y - REACH), bottom = min(rows - 1, y + REACH);
    const int at = y * columns + x;
    const auto [low, high] = extremes(disparity, rows, columns, y, x, REACH);
    bool edge = false;
    for (int j = top; j <= bottom; ++j)
        for (int i = left; i <= right; ++i) edge |= sudden[j * columns + i] != 0;
    if (!edge || !(high - low > STEP)) {
        sides[2 * at] = make_float4(0, 0, 0, 0);
        return;
    }
    float far = 1e-6f, near = 1e-6f, behind[3] = {}, before[3] = {};
    for (int j = top; j <= bottom; ++j)
        for (int i = left; i <= right; ++i) {
            // Only the outer thirds: between them a soft map mixes both sides.
            const float t = (disparity[j * columns + i] - low) / (high - low);
            const float a = fmaxf(1 - 3 * t, 0), b = fmaxf(3 * t - 2, 0);
            const uchar4 cell = colour[j * columns + i];
            const u8 level[3] = {cell.x, cell.y, cell.z};
            far += a;
            near += b;
            for (int c = 0; c < 3; ++c) {
                behind[c] += a * level[c];
                before[c] += b * level[c];
            }
        }
    // Where a pixel's colour lies on the line from the one to the other, from the middle.
    float step[3], between = 0, middle = 0;
    for (int c = 0; c < 3; ++c) {
        behind[c] /= far;
        before[c] /= near;
        step[c] = before[c] - behind[c];
        between += step[c] * step[c];
        middle += step[c] * (before[c] + behind[c]);
    }
    const float trust = TRUST * fminf(sqrtf(between) / CONTRAST, 1), scale = trust / fmaxf(between, 1);
    sides[2 * at] = make_float4(low, high, 0.5f * trust, -0.5f * scale * middle);
    sides[2 * at + 1] = make_float4(scale * step[0], scale * step[1], scale * step[2], 0);
}

// Where a pixel lies among the cells of one axis.
struct Place {
    int before, after;
    float part;  // of the way to the one after
};

__device__ __forceinline__ Place place(int pixel, float step, int cells) {
    // Fused, so that the place is exact and half way between two cells is on the same side as on the CPU.
    const float centre = pixel + 0.5f, at = clamp(fmaf(centre, step, -0.5f), 0.0f, (float)(cells - 1));
    const int before = min((int)at, max(cells - 2, 0));
    const float part = clamp(fmaf(centre, step, -(before + 0.5f)), 0.0f, cells > 1 ? 1.0f : 0.0f);
    return {before, min(before + 1, cells - 1), part};
}

// Disparity of a pixel: bilinear, but at edges that of one of their sides.
__device__ __forceinline__ float disparity_at(
    const float* __restrict__ disparity, const float4* __restrict__ sides, const u8* __restrict__ pixel, Place y,
    Place x, int columns) {
    const float* above = disparity + y.before * columns;
    const float* below = disparity + y.after * columns;
    const float left = above[x.before] + y.part * (below[x.before] - above[x.before]);
    const float right = above[x.after] + y.part * (below[x.after] - above[x.after]);
    const float value = left + x.part * (right - left);
    const int cell = (y.part < 0.5f ? y.before : y.after) * columns + (x.part < 0.5f ? x.before : x.after);
    const float4 side = sides[2 * cell];
    const float low = side.x, high = side.y, limit = side.z;
    if (low == high) return value;
    const float4 weight = sides[2 * cell + 1];
    const float seen = side.w + weight.x * pixel[0] + weight.y * pixel[1] + weight.z * pixel[2];
    return value - low + clamp(seen, -limit, limit) * (high - low) >= 0.5f * (high - low) ? high : low;
}

struct Sorted {
    float low, middle, high;
};

__device__ __forceinline__ float middle(float a, float b, float c) {
    return fmaxf(fminf(a, b), fminf(fmaxf(a, b), c));
}

__device__ __forceinline__ Sorted sort(const float* three) {
    const float a = three[0], b = three[1], c = three[2];
    return {fminf(fminf(a, b), c), middle(a, b, c), fmaxf(fmaxf(a, b), c)};
}

// Disparity at the picture's size, its median over 3 x 3 pixels: noise in the picture must not leave single
// pixels on the wrong side.
extern "C" __global__ __launch_bounds__(TILE * TILE / ROWS) void snap(
    const float* __restrict__ disparity, const float4* __restrict__ sides, const u8* __restrict__ image, int rows,
    int columns, float step_y, float step_x, int height, int width, float* __restrict__ out) {
    __shared__ float window[WINDOW][WINDOW];
    const int left = blockIdx.x * TILE, top = blockIdx.y * TILE;
    for (int i = threadIdx.y * TILE + threadIdx.x; i < WINDOW * WINDOW; i += TILE * TILE / ROWS) {
        const int y = clamp(top - 1 + i / WINDOW, 0, height - 1), x = clamp(left - 1 + i % WINDOW, 0, width - 1);
        const u8* pixel = image + (size_t)3 * (y * width + x);
        window[i / WINDOW][i % WINDOW] =
            disparity_at(disparity, sides, pixel, place(y, step_y, rows), place(x, step_x, columns), columns);
    }
    __syncthreads();
    const int x = left + threadIdx.x, first = threadIdx.y * ROWS;
    if (x >= width) return;
    Sorted a = sort(&window[first][threadIdx.x]), b = sort(&window[first + 1][threadIdx.x]);
    for (int row = first; row < first + ROWS && top + row < height; ++row) {
        const Sorted c = sort(&window[row + 2][threadIdx.x]);
        // The largest of the smallest, the middle one of the middle ones and the smallest of the largest are left.
        out[(top + row) * width + x] = middle(
            fmaxf(fmaxf(a.low, b.low), c.low), middle(a.middle, b.middle, c.middle),
            fminf(fminf(a.high, b.high), c.high));
        a = b;
        b = c;
    }
}

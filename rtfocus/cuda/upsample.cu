// From the network's grid to the picture's size, along the picture's edges.
// See rtfocus/upsample.py, whose arithmetic this repeats.

#define REACH 2          // half width in cells of the window in which a soft edge has its two sides
#define STEP 0.06f       // difference in disparity that is an edge
#define CONTRAST 80.0f   // difference in colour between the sides from which it can be trusted
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

// At every depth edge, what lies on its two sides, in two parts: disparity of the far and of the near side,
// equal where there is no edge, and the far side's red and green; its blue, and the near side's colour.
extern "C" __global__ __launch_bounds__(256, 4) void find_sides(
    const float* __restrict__ disparity, const uchar4* __restrict__ colour, int rows, int columns,
    float4* __restrict__ sides) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= columns || y >= rows) return;
    const int left = max(0, x - REACH), right = min(columns - 1, x + REACH);
    const int top = max(0, y - REACH), bottom = min(rows - 1, y + REACH);
    const int at = y * columns + x;
    float low = disparity[at], high = low;
    for (int j = top; j <= bottom; ++j)
        for (int i = left; i <= right; ++i) {
            low = fminf(low, disparity[j * columns + i]);
            high = fmaxf(high, disparity[j * columns + i]);
        }
    if (high - low < STEP) {
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
    sides[2 * at] = make_float4(low, high, behind[0] / far, behind[1] / far);
    sides[2 * at + 1] = make_float4(behind[2] / far, before[0] / near, before[1] / near, before[2] / near);
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

// Disparity of a pixel: bilinear, but at edges that of the side of like colour.
__device__ __forceinline__ float disparity_at(
    const float* __restrict__ disparity, const float4* __restrict__ sides, const u8* __restrict__ pixel, Place y,
    Place x, int columns) {
    const float* above = disparity + y.before * columns;
    const float* below = disparity + y.after * columns;
    const float left = above[x.before] + y.part * (below[x.before] - above[x.before]);
    const float right = above[x.after] + y.part * (below[x.after] - above[x.after]);
    const float value = left + x.part * (right - left);
    const int cell = (y.part < 0.5f ? y.before : y.after) * columns + (x.part < 0.5f ? x.before : x.after);
    const float4 first = sides[2 * cell];
    const float low = first.x, high = first.y;
    if (low == high) return value;
    const float4 second = sides[2 * cell + 1];
    const float far[3] = {first.z, first.w, second.x}, near[3] = {second.y, second.z, second.w};
    float to_far = 0, to_near = 0, between = 0;
    for (int c = 0; c < 3; ++c) {
        const float a = pixel[c] - far[c], b = pixel[c] - near[c], d = near[c] - far[c];
        to_far += a * a;
        to_near += b * b;
        between += d * d;
    }
    // Position along the line from the far to the near colour, steepened; where the two colours are too alike to
    // tell, the map's own edge, steepened as well.
    const float own = (value - low) / (high - low);
    const float seen = 0.5f + 0.5f * (to_far - to_near) / fmaxf(between, 1);
    const float trust = fminf(sqrtf(between) / CONTRAST, 1);
    const float t = own + trust * (clamp(seen, 0.0f, 1.0f) - own);
    return low + clamp((t - 0.5f) * 3 + 0.5f, 0.0f, 1.0f) * (high - low);
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

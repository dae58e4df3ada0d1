// From the network's grid to the picture's size, along the picture's edges.
// See rtfocus/upsample.py and rtfocus/kernels/upsample.py, whose arithmetic this repeats.

#define REACH 3          // half width in cells of the window in which a soft edge has its two sides
#define STEP 0.06f       // difference in disparity across it that is an edge
#define SHARE 0.7f       // least share of it in what a window of twice the reach spans
#define NOISE 25.0f      // variance in levels squared: what colours differ by less says nothing
#define TRUST 0.3f       // how far a colour can move a pixel, of the way from one side to the other
#define MIXED 0.2f       // from here on, of that way, a pixel shows some of the near side, too
#define TILE 32
#define ROWS 4           // rows of a tile that one thread writes
#define OUTER (TILE + 4)  // pixels across that a tile sees: the medians about a pixel, and what these are of
#define INNER (TILE + 2)

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

// 1 at cells in whose window the map steps: by more than a slope would that goes on beyond it. And its mean there.
extern "C" __global__ __launch_bounds__(256) void find_steps(
    const float* __restrict__ disparity, int rows, int columns, u8* __restrict__ sudden, float* __restrict__ around) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= columns || y >= rows) return;
    const Range near = extremes(disparity, rows, columns, y, x, REACH);
    const Range wide = extremes(disparity, rows, columns, y, x, 2 * REACH);
    const float change = near.high - near.low;
    sudden[y * columns + x] = change > STEP && change > SHARE * (wide.high - wide.low);
    float sum = 0;
    for (int j = y - REACH; j <= y + REACH; ++j)
        for (int i = x - REACH; i <= x + REACH; ++i)
            sum += disparity[clamp(j, 0, rows - 1) * columns + clamp(i, 0, columns - 1)];
    around[y * columns + x] = sum / ((2 * REACH + 1) * (2 * REACH + 1));
}

// At every depth edge, what lies on its two sides, and how disparity goes with colour, in two parts: disparity of the
// far and of the near side, equal where there is no edge, and what is added to the weighted levels; their weights.
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
    // Means, from the cell's own values, so that the sums stay small.
    const float share = 1.0f / ((bottom - top + 1) * (right - left + 1)), own = disparity[at];
    const uchar4 mine = colour[at];
    float d = 0, r = 0, g = 0, b = 0, dr = 0, dg = 0, db = 0;
    float rr = 0, rg = 0, rb = 0, gg = 0, gb = 0, bb = 0;
    for (int j = top; j <= bottom; ++j)
        for (int i = left; i <= right; ++i) {
            const uchar4 cell = colour[j * columns + i];
            const float v = disparity[j * columns + i] - own;
            const float p = cell.x - mine.x, q = cell.y - mine.y, s = cell.z - mine.z;
            d += v, r += p, g += q, b += s;
            dr += v * p, dg += v * q, db += v * s;
            rr += p * p, rg += p * q, rb += p * s, gg += q * q, gb += q * s, bb += s * s;
        }
    d *= share, r *= share, g *= share, b *= share;
    dr = dr * share - d * r, dg = dg * share - d * g, db = db * share - d * b;
    rr = rr * share - r * r + NOISE, rg = rg * share - r * g, rb = rb * share - r * b;
    gg = gg * share - g * g + NOISE, gb = gb * share - g * b, bb = bb * share - b * b + NOISE;
    // The colours' covariance is L D L'; the weights are its inverse times (dr, dg, db).
    const float l_rg = rg / rr, l_rb = rb / rr;
    gg -= l_rg * rg, gb -= l_rg * rb;
    const float l_gb = gb / gg;
    bb -= l_rb * rb + l_gb * gb;
    dg -= l_rg * dr;
    db -= l_rb * dr + l_gb * dg;
    const float of_b = db / bb, of_g = dg / gg - l_gb * of_b, of_r = dr / rr - l_rg * of_g - l_rb * of_b;
    sides[2 * at] = make_float4(low, high, -(of_r * (mine.x + r) + of_g * (mine.y + g) + of_b * (mine.z + b)), 0);
    sides[2 * at + 1] = make_float4(of_r, of_g, of_b, 0);
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

// A map on the grid where a pixel lies, bilinear.
__device__ __forceinline__ float between(const float* __restrict__ map, Place y, Place x, int columns) {
    const float* above = map + y.before * columns;
    const float* below = map + y.after * columns;
    const float left = above[x.before] + y.part * (below[x.before] - above[x.before]);
    const float right = above[x.after] + y.part * (below[x.after] - above[x.after]);
    return left + x.part * (right - left);
}

struct Pixel {
    float disparity;  // bilinear, but at edges that of one of their sides
    bool mixed;       // at an edge, and may show some of the near side
};

__device__ __forceinline__ Pixel pixel_at(
    const float* __restrict__ disparity, const float* __restrict__ around, const float4* __restrict__ sides,
    const u8* __restrict__ level, Place y, Place x, int columns) {
    const int cell = (y.part < 0.5f ? y.before : y.after) * columns + (x.part < 0.5f ? x.before : x.after);
    const float4 side = sides[2 * cell];
    const float low = side.x, high = side.y, step = high - low;
    if (low == high) return {between(disparity, y, x, columns), false};
    const float4 weight = sides[2 * cell + 1];
    const float nearer = weight.x * level[0] + weight.y * level[1] + weight.z * level[2] + side.z;
    const float value = between(around, y, x, columns) - low + clamp(nearer, -TRUST * step, TRUST * step);
    return {value >= 0.5f * step ? high : low, value >= MIXED * step};
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

// The median of the 3 x 3 values from here on.
__device__ __forceinline__ float median(const float (*window)[OUTER], int x) {
    const Sorted a = sort(&window[0][x]), b = sort(&window[1][x]), c = sort(&window[2][x]);
    // The largest of the smallest, the middle one of the middle ones and the smallest of the largest are left.
    return middle(
        fmaxf(fmaxf(a.low, b.low), c.low), middle(a.middle, b.middle, c.middle),
        fminf(fminf(a.high, b.high), c.high));
}

// Disparity at the picture's size, its median over 3 x 3 pixels: noise in the picture must not leave single pixels on
// the wrong side. Mixed pixels beside the near side are counted to it.
extern "C" __global__ __launch_bounds__(TILE * TILE / ROWS) void snap(
    const float* __restrict__ disparity, const float* __restrict__ around, const float4* __restrict__ sides,
    const u8* __restrict__ image, int rows, int columns, float step_y, float step_x, int height, int width,
    float* __restrict__ out) {
    __shared__ float outer[OUTER][OUTER], inner[INNER][INNER];
    __shared__ bool mixed[OUTER][OUTER];
    const int left = blockIdx.x * TILE, top = blockIdx.y * TILE, thread = threadIdx.y * TILE + threadIdx.x;
    for (int i = thread; i < OUTER * OUTER; i += TILE * TILE / ROWS) {
        const int y = clamp(top - 2 + i / OUTER, 0, height - 1), x = clamp(left - 2 + i % OUTER, 0, width - 1);
        const u8* level = image + (size_t)3 * (y * width + x);
        const Pixel pixel = pixel_at(
            disparity, around, sides, level, place(y, step_y, rows), place(x, step_x, columns), columns);
        outer[i / OUTER][i % OUTER] = pixel.disparity;
        mixed[i / OUTER][i % OUTER] = pixel.mixed;
    }
    __syncthreads();
    for (int i = thread; i < INNER * INNER; i += TILE * TILE / ROWS) {
        const int y = clamp(top - 1 + i / INNER, 0, height - 1), x = clamp(left - 1 + i % INNER, 0, width - 1);
        inner[i / INNER][i % INNER] = median(&outer[y - top + 1], x - left + 1);
    }
    __syncthreads();
    const int x = left + threadIdx.x, first = threadIdx.y * ROWS;
    if (x >= width) return;
    for (int row = first; row < first + ROWS && top + row < height; ++row) {
        float value = inner[row + 1][threadIdx.x + 1];
        if (mixed[row + 2][threadIdx.x + 2])
            for (int j = 0; j < 3; ++j)
                for (int i = 0; i < 3; ++i) value = fmaxf(value, inner[row + j][threadIdx.x + i]);
        out[(top + row) * width + x] = value;
    }
}

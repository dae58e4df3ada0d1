// The thin lens: layers of like blur, each blurred by the aperture, composited far to near.
// See rtfocus/render/layered.py, whose arithmetic this repeats.

#define TILE 32
#define ROWS 4  // rows of a tile that one thread works on
#define LANES (TILE / ROWS)

// Two pictures of packed pixels: red, green, blue as halves, and the layer's number.
struct Scene {
    const uint2* front;
    const uint2* back;  // behind the front where that is known, else NOTHING
    const u64* front_cells;
    const u64* back_cells;
    int height, width;
};

__device__ __forceinline__ void add(float4& to, float4 value, float weight) {
    to.x += weight * value.x;
    to.y += weight * value.y;
    to.z += weight * value.z;
    to.w += weight * value.w;
}

// Packs the picture and notes the layers of every cell.
extern "C" __global__ __launch_bounds__(CELL * CELL) void pack_front(
    const float* __restrict__ linear, const u8* __restrict__ layer, int height, int width, uint2* __restrict__ front,
    u64* __restrict__ cells) {
    const int x = blockIdx.x * CELL + threadIdx.x, y = blockIdx.y * CELL + threadIdx.y;
    int own = NOTHING;
    if (x < width && y < height) {
        const int at = y * width + x;
        const size_t plane = (size_t)height * width;
        own = layer[at];
        front[at] = pack(linear[at], linear[plane + at], linear[2 * plane + at], own);
    }
    collect(own, cells, gridDim.x);
}

// Whether any cell that touches rows y0..y1 and columns x0..x1 of the picture holds the layer.
__device__ __forceinline__ bool any_member(
    const u64* __restrict__ front, const u64* __restrict__ back, int k, int y0, int y1, int x0, int x1, int height,
    int width) {
    const int across = (width + CELL - 1) / CELL;
    const int j0 = max(y0, 0) / CELL, j1 = min(y1, height - 1) / CELL;
    const int i0 = max(x0, 0) / CELL, i1 = min(x1, width - 1) / CELL;
    const int columns = i1 - i0 + 1, total = (j1 - j0 + 1) * columns;
    bool any = false;
    for (int n = threadIdx.y * TILE + threadIdx.x; n < total; n += TILE * LANES) {
        const int at = (j0 + n / columns) * across + i0 + n % columns;
        any |= (front[at] | back[at]) >> k & 1;
    }
    return any;
}

// The layer's premultiplied colour and coverage at one pixel of the reduced grid, which the picture's
// border continues.
__device__ __forceinline__ float4 member(const Scene& scene, int k, int scale, int row, int column, bool hidden) {
    float4 sum = make_float4(0, 0, 0, 0);
    for (int t = 0; t < scale; ++t) {
        const int y = clamp(row * scale + t, 0, scene.height - 1) * scene.width;
        for (int s = 0; s < scale; ++s) {
            const int at = y + clamp(column * scale + s, 0, scene.width - 1);
            const uint2 front = scene.front[at];
            if (layer_in(front) == k) add(sum, colour_in(front), 1.0f);
            if (hidden) {
                const uint2 back = scene.back[at];
                if (layer_in(back) == k) add(sum, colour_in(back), 1.0f);
            }
        }
    }
    const float share = 1.0f / (scale * scale);
    return make_float4(sum.x * share, sum.y * share, sum.z * share, sum.w * share);
}

// Blurs a tile of one layer: every thread ROWS pixels below each other. (row, column) of the reduced
// grid is the tile's corner; sums is shared memory, (TILE + 2 reach + 2, TILE + 2 reach).
__device__ __forceinline__ void blur(
    const Scene& scene, const Layer& layer, int k, const Column* __restrict__ spans, int row, int column, bool hidden,
    float4* sums, float4 (&out)[ROWS]) {
    const int tall = TILE + 2 * layer.reach + 1, wide = TILE + 2 * layer.reach;
    const int thread = threadIdx.y * TILE + threadIdx.x;
    __syncthreads();  // the layer before may still be read
    for (int n = thread; n < tall * wide; n += TILE * LANES) {
        const int j = n / wide, i = n % wide;
        sums[wide + n] = member(scene, k, layer.scale, row + j - layer.reach, column + i - layer.reach, hidden);
    }
    __syncthreads();
    // Running sums down every column, channel by channel.
    for (int n = thread; n < 4 * wide; n += TILE * LANES) {
        float* at = (float*)sums + n;
        float sum = at[0] = 0;
        for (int j = 1; j <= tall; ++j) at[4 * j * wide] = sum += at[4 * j * wide];
    }
    __syncthreads();
#pragma unroll
    for (int q = 0; q < ROWS; ++q) out[q] = make_float4(0, 0, 0, 0);
    const int y = threadIdx.y * ROWS + layer.reach;
    const float4* column_sums = sums + threadIdx.x + layer.reach - layer.count / 2;
    for (int i = 0; i < layer.count; ++i) {
        const Column span = spans[layer.first + i];
        const float4* low = column_sums + (y + span.bottom) * wide + i;
        const float4* high = column_sums + (y + span.top) * wide + i;
        float4 before_low = low[0], before_high = high[0];
#pragma unroll
        for (int q = 0; q < ROWS; ++q) {
            const float4 after_low = low[(q + 1) * wide], after_high = high[(q + 1) * wide];
            const float a = span.bottom_part, b = span.top_part;
            out[q].x += before_low.x - before_high.x + (a * (after_low.x - before_low.x) - b * (after_high.x - before_high.x));
            out[q].y += before_low.y - before_high.y + (a * (after_low.y - before_low.y) - b * (after_high.y - before_high.y));
            out[q].z += before_low.z - before_high.z + (a * (after_low.z - before_low.z) - b * (after_high.z - before_high.z));
            out[q].w += before_low.w - before_high.w + (a * (after_low.w - before_low.w) - b * (after_high.w - before_high.w));
            before_low = after_low, before_high = after_high;
        }
    }
#pragma unroll
    for (int q = 0; q < ROWS; ++q) {
        out[q].x *= layer.norm, out[q].y *= layer.norm, out[q].z *= layer.norm, out[q].w *= layer.norm;
    }
}

__device__ __forceinline__ int reduced(int size, int scale) { return (size + scale - 1) / scale + 2; }

// Blurs every layer that has a reduced grid, (rows + 2, columns + 2) with a margin of one pixel, in
// halves; one block a tile. `filled` says which tiles hold anything; the others are not written.
extern "C" __global__ __launch_bounds__(TILE* LANES, 2) void blur_reduced(
    const uint2* __restrict__ front, const uint2* __restrict__ back, const u64* __restrict__ front_cells,
    const u64* __restrict__ back_cells, int height, int width, const Layer* __restrict__ layers, int count,
    const Column* __restrict__ spans, uint2* __restrict__ blurred, u8* __restrict__ filled) {
    DYNAMIC_SHARED(float4, sums);
    const Scene scene = {front, back, front_cells, back_cells, height, width};
    int k = -1;
    for (int i = 0; i < count; ++i)
        if (layers[i].scale > 1 && layers[i].tiles <= (int)blockIdx.x) k = k < 0 || layers[i].tiles > layers[k].tiles ? i : k;
    const Layer layer = layers[k];
    const int tile = blockIdx.x - layer.tiles;
    const int row = tile / layer.across * TILE - 1, column = tile % layer.across * TILE - 1;
    const int edge = layer.reach * layer.scale;
    const int y0 = row * layer.scale - edge, y1 = (row + TILE) * layer.scale + edge - 1;
    const int x0 = column * layer.scale - edge, x1 = (column + TILE) * layer.scale + edge - 1;
    const bool used = __syncthreads_or(any_member(front_cells, back_cells, k, y0, y1, x0, x1, height, width));
    if (threadIdx.x == 0 && threadIdx.y == 0) filled[blockIdx.x] = used;
    if (!used) return;
    const bool hidden = __syncthreads_or(any_member(back_cells, back_cells, k, y0, y1, x0, x1, height, width));
    float4 out[ROWS];
    blur(scene, layer, k, spans, row, column, hidden, sums, out);
    const int rows = reduced(height, layer.scale), columns = reduced(width, layer.scale);
    const int x = column + 1 + threadIdx.x;
    for (int q = 0; q < ROWS; ++q) {
        const int y = row + 1 + threadIdx.y * ROWS + q;
        if (y < rows && x < columns)
            blurred[layer.base + y * columns + x] = make_uint2(
                to_half(out[q].x) | (u32)to_half(out[q].y) << 16, to_half(out[q].z) | (u32)to_half(out[q].w) << 16);
    }
}

// A reduced layer at a pixel of full size: doubled by bilinear interpolation until it has that size,
// which makes three taps along each axis. weights is (scales, 64 phases, 3).
__device__ __forceinline__ float4 enlarged(
    const uint2* __restrict__ blurred, const u8* __restrict__ filled, const Layer& layer,
    const float* __restrict__ weights, int y, int x, int width) {
    const int columns = reduced(width, layer.scale), level = 31 - __clz(layer.scale);
    const float* down = weights + (level * 64 + y % layer.scale) * 3;
    const float* along = weights + (level * 64 + x % layer.scale) * 3;
    const int row = y / layer.scale, column = x / layer.scale;
    float4 sum = make_float4(0, 0, 0, 0);
#pragma unroll
    for (int j = 0; j < 3; ++j) {
#pragma unroll
        for (int i = 0; i < 3; ++i) {
            const float weight = down[j] * along[i];
            if (weight == 0 || !filled[layer.tiles + (row + j) / TILE * layer.across + (column + i) / TILE]) continue;
            const uint2 pixel = blurred[layer.base + (row + j) * columns + column + i];
            add(sum, make_float4(to_float(pixel.x & 0xffff), to_float(pixel.x >> 16), to_float(pixel.y & 0xffff), to_float(pixel.y >> 16)), weight);
        }
    }
    return sum;
}

// Puts a layer over what lies behind, whose partial coverage is filled up first.
__device__ __forceinline__ void over(float4& below, float4 top) {
    if (top.w <= 0) return;
    const float kept = fminf(below.w * 4.0f, 1.0f) * (1.0f - top.w);
    const float keep = kept / fmaxf(below.w, 1e-12f);
    below = make_float4(below.x * keep + top.x, below.y * keep + top.y, below.z * keep + top.z, kept + top.w);
}

// The picture: all layers that reach a tile, composited far to near.
extern "C" __global__ __launch_bounds__(TILE* LANES, 2) void composite(
    const u8* __restrict__ image, const uint2* __restrict__ front, const uint2* __restrict__ back,
    const u64* __restrict__ front_cells, const u64* __restrict__ back_cells, int height, int width, int sharp,
    const Layer* __restrict__ layers, int count, const Column* __restrict__ spans, const u64* __restrict__ within,
    int farthest, const uint2* __restrict__ blurred, const u8* __restrict__ filled, const float* __restrict__ weights,
    const u8* __restrict__ encode, int steps, u8* __restrict__ out) {
    DYNAMIC_SHARED(float4, sums);
    __shared__ u64 active, hidden;
    const Scene scene = {front, back, front_cells, back_cells, height, width};
    const int top = blockIdx.y * TILE, left = blockIdx.x * TILE;
    const int thread = threadIdx.y * TILE + threadIdx.x;
    if (thread == 0) active = hidden = 0;
    __syncthreads();
    // Full-size layers of the cells around, as far as each of them reaches ...
    const int across = (width + CELL - 1) / CELL, down = (height + CELL - 1) / CELL;
    const int j0 = max(top - farthest, 0) / CELL, j1 = min((top + TILE - 1 + farthest) / CELL, down - 1);
    const int i0 = max(left - farthest, 0) / CELL, i1 = min((left + TILE - 1 + farthest) / CELL, across - 1);
    const int columns = i1 - i0 + 1;
    for (int n = thread; n < (j1 - j0 + 1) * columns; n += TILE * LANES) {
        const int j = j0 + n / columns, i = i0 + n % columns;
        const int dy = max(max(top - (j * CELL + CELL - 1), j * CELL - (top + TILE - 1)), 0);
        const int dx = max(max(left - (i * CELL + CELL - 1), i * CELL - (left + TILE - 1)), 0);
        const u64 reaching = within[min(max(dy, dx), farthest)];
        const u64 behind = back_cells[j * across + i] & reaching;
        const u64 bits = (front_cells[j * across + i] & reaching) | behind;
        if (bits) atomicOr(&active, bits);
        if (behind) atomicOr(&hidden, behind);
    }
    // ... and reduced ones of which a tile nearby holds something.
    for (int k = thread; k < count; k += TILE * LANES) {
        const Layer layer = layers[k];
        if (layer.scale == 1) continue;
        const int a = top / layer.scale / TILE, b = (min(top + TILE, height) - 1) / layer.scale + 2;
        const int c = left / layer.scale / TILE, d = (min(left + TILE, width) - 1) / layer.scale + 2;
        bool any = false;
        for (int j = a; j <= b / TILE; ++j)
            for (int i = c; i <= d / TILE; ++i) any |= filled[layer.tiles + j * layer.across + i];
        if (any) atomicOr(&active, 1ull << k);
    }
    __syncthreads();
    const int x = left + threadIdx.x, y = top + threadIdx.y * ROWS;
    float4 picture[ROWS], over_it[ROWS];
#pragma unroll
    for (int q = 0; q < ROWS; ++q) picture[q] = make_float4(0, 0, 0, 0);
    for (u64 rest = active; rest; rest &= rest - 1) {
        const int k = __ffsll(rest) - 1;
        const Layer layer = layers[k];
        if (k != sharp && layer.scale == 1) blur(scene, layer, k, spans, top, left, hidden >> k & 1, sums, over_it);
#pragma unroll
        for (int q = 0; q < ROWS; ++q) {
            if (x >= width || y + q >= height) break;
            if (k == sharp) over_it[q] = member(scene, k, 1, y + q, x, hidden >> k & 1);
            if (layer.scale > 1) over_it[q] = enlarged(blurred, filled, layer, weights, y + q, x, width);
            over(picture[q], over_it[q]);
        }
    }
    for (int q = 0; q < ROWS; ++q) {
        if (x >= width || y + q >= height) break;
        const size_t at = ((size_t)(y + q) * width + x) * 3;
        const float4 light = picture[q];
        const float scale = (steps - 1) / light.w;
        const float value[3] = {light.x * scale, light.y * scale, light.z * scale};
#pragma unroll
        for (int c = 0; c < 3; ++c)
            out[at + c] = light.w < 1e-4f ? image[at + c] : encode[(int)(clamp(value[c], 0.0f, steps - 1.0f) + 0.5f)];
    }
}

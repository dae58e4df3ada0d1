// What lies behind what is seen. See rtfocus/kernels/behind.py, whose arithmetic this repeats.

#define SEARCH 1.2f  // how far from a pixel its surface is followed, over the radius of its blur
#define SLOPE 0.3f   // step in radius, over the radius, up to which a surface goes on; and 1 px at most

#define SURROUNDINGS 2.0f  // as in rtfocus/render/layers.py

// Whether a blur of this radius looks at surroundings reduced 2^level times.
__device__ __forceinline__ bool is_wanted(int level, float radius) {
    return (float)(1 << (level - 1)) <= SURROUNDINGS * radius;
}

// Halves a picture, keeping of every 2 x 2 pixels the farthest ones.
extern "C" __global__ __launch_bounds__(256) void reduce_far(
    const float* __restrict__ colour, const float* __restrict__ radius, int height, int width,
    float* __restrict__ small_colour, float* __restrict__ small_radius, int level, const int* __restrict__ nearest) {
    const int rows = (height + 1) / 2, columns = (width + 1) / 2;
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= columns || y >= rows || !is_wanted(level, __int_as_float(*nearest))) return;
    const int ya = 2 * y * width, yb = min(2 * y + 1, height - 1) * width, xa = 2 * x, xb = min(2 * x + 1, width - 1);
    const int at[4] = {ya + xa, ya + xb, yb + xa, yb + xb};
    float r[4], weight[4], farthest = radius[at[0]], total = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) farthest = fminf(farthest, r[i] = radius[at[i]]);
#pragma unroll
    for (int i = 0; i < 4; ++i) total += weight[i] = clamp(farthest + 1.0f - r[i], 0.0f, 1.0f);
    small_radius[y * columns + x] = farthest;
    for (int c = 0; c < 3; ++c) {
        const float* from = colour + (size_t)c * height * width;
        float sum = 0;
#pragma unroll
        for (int i = 0; i < 4; ++i) sum += weight[i] * from[at[i]];
        small_colour[((size_t)c * rows + y) * columns + x] = sum / total;
    }
}

// Where the surface of a pixel goes on in a farther layer; -1 where that is not near, or where what the pixel belongs
// to is thinner than its blur.
__device__ __forceinline__ int goes_on(
    const float* __restrict__ radius, const u8* __restrict__ layer, float edge, int y, int x, int height, int width) {
    const float blur = fmaxf(fabsf(edge), 1.0f), step = fminf(SLOPE * blur, 1.0f);
    const int reach = (int)(SEARCH * blur) + 1, own = y * width + x;
    const int away[4][2] = {{0, -1}, {0, 1}, {-1, 0}, {1, 0}};
    for (int by = 1; by <= reach; by *= 2)
        for (const auto& way : away) {
            const int at = clamp(y + way[0] * by, 0, height - 1) * width + clamp(x + way[1] * by, 0, width - 1);
            if (layer[at] >= layer[own] || radius[own] - radius[at] > step) continue;
            const int j = clamp(y - way[0] * reach, 0, height - 1), i = clamp(x - way[1] * reach, 0, width - 1);
            if (layer[j * width + i] >= layer[own]) return at;
        }
    return -1;
}

// Shows what lies behind every pixel: its own surface where it goes on, else behind the blurred foreground what the
// finest surroundings know.
// Level l is (3, rows, columns) colours and then (rows, columns) radii, at offset[l - 1] of `levels`.
extern "C" __global__ __launch_bounds__(CELL * CELL, 4) void look_behind(
    const float* __restrict__ levels, const int* __restrict__ offset, int count, const float* __restrict__ linear,
    const float* __restrict__ signed_radius, const u8* __restrict__ layer, int height, int width,
    const float* __restrict__ edge, const u8* __restrict__ lookup, int entries,
    const int* __restrict__ nearest, uint2* __restrict__ back, u64* __restrict__ cells) {
    const int x = blockIdx.x * CELL + threadIdx.x, y = blockIdx.y * CELL + threadIdx.y;
    const int sharp = lookup[entries / 2];
    int found = NOTHING;
    if (x < width && y < height) {
        const int own = layer[y * width + x];
        uint2 pixel = make_uint2(0, (u32)NOTHING << 16);
        const int beyond = own > 0 ? goes_on(signed_radius, layer, edge[own], y, x, height, width) : -1;
        if (beyond >= 0) {
            found = layer[beyond];
            float value[3];
            for (int c = 0; c < 3; ++c) value[c] = fminf(linear[(size_t)c * height * width + beyond], 1.0f);
            pixel = pack(value[0], value[1], value[2], found);
        }
        int rows = height, columns = width;
        float scale = 1;
        const float blur = own > sharp ? fminf(edge[own], __int_as_float(*nearest)) : 0.0f;
        for (int level = 1; found == NOTHING && level <= count && is_wanted(level, blur); ++level) {
            rows = (rows + 1) / 2, columns = (columns + 1) / 2, scale /= 2;
            const float* colour = levels + offset[level - 1];
            const float* radius = colour + (size_t)3 * rows * columns;
            const float fy = fmaxf((y + 0.5f) * scale - 0.5f, 0.0f), fx = fmaxf((x + 0.5f) * scale - 0.5f, 0.0f);
            const int ya = (int)fy, yb = min(ya + 1, rows - 1), xa = (int)fx, xb = min(xa + 1, columns - 1);
            const float ty = fy - ya, tx = fx - xa;
            const int at[4] = {ya * columns + xa, ya * columns + xb, yb * columns + xa, yb * columns + xb};
            float weight[4] = {(1 - ty) * (1 - tx), (1 - ty) * tx, ty * (1 - tx), ty * tx};
            // Of several things behind, the nearest: the rest of a slanted surface, not the wall.
            const float bound = edge[own];
            float r[4], front = -3e38f, total = 0;
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                r[i] = radius[at[i]];
                if (r[i] < bound) front = fmaxf(front, r[i]);
            }
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                if (r[i] < front - 1.0f || r[i] >= bound) weight[i] = 0;
                total += weight[i];
            }
            const int candidate = layer_of(front, lookup, entries);
            if (total <= 0.2f || candidate >= own) continue;
            found = candidate;
            float value[3];
            for (int c = 0; c < 3; ++c) {
                const float* from = colour + (size_t)c * rows * columns;
                float sum = 0;
#pragma unroll
                for (int i = 0; i < 4; ++i) sum += weight[i] * from[at[i]];
                value[c] = sum / total;
            }
            pixel = pack(value[0], value[1], value[2], found);
        }
        back[y * width + x] = pixel;
    }
    collect(found, cells, gridDim.x);
}

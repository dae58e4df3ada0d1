// The radius and the layer of every pixel's circle of confusion, and the blur kernel of every layer.
// See rtfocus/kernels/mixed.py, rtfocus/kernels/membership.py and rtfocus/render/layers.py.

#define STEP 1.0f     // difference in radius, in pixels, from which a pixel beside a nearer thing is looked at
#define LEAST 0.2f    // share of the nearer thing from which a pixel is counted to that
#define MOST 1.2f
#define UNLIKE 0.02f  // squared distance in colour that may stay unexplained, of that between two things
#define ALIKE 1e-4f   // squared distance in colour below which two things cannot be told apart
#define REACH 3       // pixels around in which what lies behind is looked for
#define HALO (REACH + 1)
#define ROWS 8        // of a block, 32 pixels wide

#define NODES 5        // radii of a layer whose kernels are known; as in rtfocus/render/layers.py
#define SUMS 128       // per layer: of its members' radii without their sign, in 1 / UNIT pixels, and of their number
#define UNIT 1024.0f
#define COPIES 16      // of these sums, so that not all blocks add to the same ones

// Signed radius of every pixel's circle of confusion, and the picture in linear light.
extern "C" __global__ __launch_bounds__(256) void find_radius(
    const u8* __restrict__ image, const float* __restrict__ disparity, const float* __restrict__ plane,
    const float* __restrict__ metric, int physical, float gain, float band, float limit,
    const float* __restrict__ decode, int height, int width, float* __restrict__ radius, float* __restrict__ linear) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    const int at = y * width + x;
    float r = disparity[at] - plane[0];
    r -= clamp(r, -band / 2, band / 2);
    r *= physical ? gain * metric[0] : gain;
    radius[at] = clamp(r, -limit, limit);
    for (int c = 0; c < 3; ++c) linear[(size_t)c * height * width + at] = decode[image[(size_t)3 * at + c]];
}

// The radii of a block's pixels and those around, and the largest among each of them and its eight neighbours.
struct Radii {
    float own[ROWS + 2 * HALO][32 + 2 * HALO];
    float nearest[ROWS + 2 * REACH][32 + 2 * REACH];
};

__device__ __forceinline__ void load_radii(const float* __restrict__ radius, int height, int width, Radii& radii) {
    const int top = blockIdx.y * ROWS, left = blockIdx.x * 32, thread = threadIdx.y * 32 + threadIdx.x;
    const int across = 32 + 2 * HALO, inner = 32 + 2 * REACH;
    for (int n = thread; n < across * (ROWS + 2 * HALO); n += 32 * ROWS) {
        const int y = clamp(top + n / across - HALO, 0, height - 1), x = clamp(left + n % across - HALO, 0, width - 1);
        radii.own[n / across][n % across] = radius[y * width + x];
    }
    __syncthreads();
    for (int n = thread; n < inner * (ROWS + 2 * REACH); n += 32 * ROWS) {
        float most = radii.own[n / inner][n % inner];
        for (int i = 1; i < 9; ++i) most = fmaxf(most, radii.own[n / inner + i / 3][n % inner + i % 3]);
        radii.nearest[n / inner][n % inner] = most;
    }
    __syncthreads();
}

__device__ __forceinline__ float3 colour_at(const float* __restrict__ linear, size_t plane, int at) {
    return make_float3(linear[at], linear[plane + at], linear[2 * plane + at]);
}

__device__ __forceinline__ float dot(float3 a, float3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }

// a + t b
__device__ __forceinline__ float3 add(float3 a, float3 b, float t) {
    return make_float3(a.x + t * b.x, a.y + t * b.y, a.z + t * b.z);
}

// Whether the colour of a pixel beside a nearer thing is explained by some of that.
__device__ __forceinline__ bool is_mixed(const float* __restrict__ linear, const Radii& radii, int y, int x, int height, int width) {
    const size_t plane = (size_t)height * width;
    const int row = threadIdx.y, column = threadIdx.x;  // in the block
    const float between = (radii.own[row + HALO][column + HALO] + radii.nearest[row + REACH][column + REACH]) / 2;
    float3 front = make_float3(0, 0, 0), back = make_float3(0, 0, 0);
    float n = 0, m = 0, square = 0;
    for (int j = max(-1, -y); j <= min(1, height - 1 - y); ++j)
        for (int i = max(-1, -x); i <= min(1, width - 1 - x); ++i)
            if (radii.own[row + HALO + j][column + HALO + i] > between) {
                n += 1;
                front = add(front, colour_at(linear, plane, (y + j) * width + x + i), 1);
            }
    // What lies behind: pixels that no pixel of the nearer thing touches, the closer the more.
    for (int j = max(-REACH, -y); j <= min(REACH, height - 1 - y); ++j)
        for (int i = max(-REACH, -x); i <= min(REACH, width - 1 - x); ++i)
            if (radii.nearest[row + REACH + j][column + REACH + i] <= between) {
                const float q = 1.0f / (j * j + i * i);
                const float3 colour = colour_at(linear, plane, (y + j) * width + x + i);
                m += q;
                back = add(back, colour, q);
                square += q * dot(colour, colour);
            }
    if (m == 0) return false;
    back = make_float3(back.x / m, back.y / m, back.z / m);
    const float3 way = add(make_float3(front.x / n, front.y / n, front.z / n), back, -1);
    const float distance = dot(way, way), variance = square / m - dot(back, back);
    if (distance < ALIKE || variance > UNLIKE * distance) return false;
    const float3 own = add(colour_at(linear, plane, y * width + x), back, -1);
    const float alpha = dot(own, way) / distance;
    const float3 rest = add(own, way, -alpha);
    return alpha >= LEAST && alpha < MOST && dot(rest, rest) < UNLIKE * distance;
}

// Adds radii to the sums of their layers; for all threads of a block of 32 x 8. NOTHING has none.
__device__ __forceinline__ void add_members(int layer, float radius, u64* __restrict__ members) {
    __shared__ u32 sums[SUMS];
    const int thread = threadIdx.y * 32 + threadIdx.x;
    if (thread < SUMS) sums[thread] = 0;
    __syncthreads();
    const u32 distance = (u32)(fabsf(radius) * UNIT + 0.5f);
    for (u32 rest = ~0u; rest;) {  // one layer of the warp after the other
        const int k = __shfl_sync(~0u, layer, __ffs(rest) - 1);
        const u32 same = __ballot_sync(~0u, layer == k);
        u32 sum = layer == k ? distance : 0;
        for (int by = 16; by > 0; by /= 2) sum += __shfl_xor_sync(~0u, sum, by);
        if (threadIdx.x == 0 && k != NOTHING) {
            atomicAdd(&sums[2 * k], sum);
            atomicAdd(&sums[2 * k + 1], (u32)__popc(same));
        }
        rest &= ~same;
    }
    __syncthreads();
    const int copy = (blockIdx.y * gridDim.x + blockIdx.x) % COPIES;
    if (thread < SUMS && sums[thread]) atomicAdd(&members[copy * SUMS + thread], (u64)sums[thread]);
}

// Counts pixels that are partly a nearer thing to that; the layer of every pixel, and sums over the layers.
extern "C" __global__ __launch_bounds__(32 * ROWS) void classify(
    const float* __restrict__ linear, const float* __restrict__ radius, const u8* __restrict__ lookup, int entries,
    int height, int width, float* __restrict__ claimed, u8* __restrict__ layer, int* __restrict__ nearest,
    u64* __restrict__ members) {
    __shared__ Radii radii;
    load_radii(radius, height, width, radii);
    const int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * ROWS + threadIdx.y;
    float r = -1.0f;
    int own = NOTHING;
    if (x < width && y < height) {
        r = radii.own[threadIdx.y + HALO][threadIdx.x + HALO];
        const float near = radii.nearest[threadIdx.y + REACH][threadIdx.x + REACH];
        if (near - r > STEP && is_mixed(linear, radii, y, x, height, width)) r = near;
        claimed[y * width + x] = r;
        layer[y * width + x] = own = layer_of(r, lookup, entries);
    }
    add_members(own, fminf(fabsf(r), entries / 64.0f), members);
    for (int by = 16; by > 0; by /= 2) r = fmaxf(r, __shfl_xor_sync(~0u, r, by));
    // Positive floats are ordered as their bits are.
    if (threadIdx.x == 0 && r > 0) atomicMax(nearest, __float_as_int(r));
}

// The kernels of this picture, each of the mean radius of its layer's members, whose sums begin anew; a warp a layer.
// See LayerPlan.kernels in rtfocus/render/layers.py. nodes is (NODES, columns): where columns begin and end.
extern "C" __global__ __launch_bounds__(32) void choose_kernels(
    u64* __restrict__ members, const Layer* __restrict__ plan, const float2* __restrict__ nodes, int columns,
    Layer* __restrict__ layers, Column* __restrict__ spans) {
    const int k = blockIdx.x, lane = threadIdx.x;
    u64 sum = 0, number = 0;
    if (lane < COPIES) {
        u64* own = members + lane * SUMS + 2 * k;
        sum = own[0], number = own[1];
        own[0] = own[1] = 0;
    }
    for (int by = 16; by > 0; by /= 2) {
        sum += __shfl_xor_sync(~0u, sum, by);
        number += __shfl_xor_sync(~0u, number, by);
    }
    Layer layer = plan[k];
    const float radius = number ? (float)((double)sum / (double)number) / UNIT : layer.middle;
    const float place = (radius - (layer.middle - layer.width / 2)) / fmaxf(layer.width, 0.5f) * (NODES - 1);
    const int node = clamp((int)place, 0, NODES - 2);
    const float share = clamp(place - node, 0.0f, 1.0f);
    float area = 0;
    int wide = 0, reach = 0;
    for (int i = lane; i < layer.count; i += 32) {
        const int at = layer.first + i;
        const float2 a = nodes[node * columns + at], b = nodes[(node + 1) * columns + at];
        const float top = a.x + share * (b.x - a.x), bottom = a.y + share * (b.y - a.y);
        area += bottom - top;
        if (bottom > top) wide = max(wide, abs(i - layer.count / 2));
        reach = max(reach, (int)ceilf(fmaxf(-top, bottom)));
        const float above = floorf(top + 0.5f), below = floorf(bottom + 0.5f);
        spans[at] = {(int)above, top + 0.5f - above, (int)below, bottom + 0.5f - below};
    }
    for (int by = 16; by > 0; by /= 2) {
        area += __shfl_xor_sync(~0u, area, by);
        wide = max(wide, __shfl_xor_sync(~0u, wide, by));
        reach = max(reach, __shfl_xor_sync(~0u, reach, by));
    }
    if (lane != 0) return;
    if (layer.count) {
        layer.first += layer.count / 2 - wide;
        layer.count = 2 * wide + 1;
        layer.reach = max(wide, reach);
        layer.norm = 1 / area;
    }
    layers[k] = layer;
}

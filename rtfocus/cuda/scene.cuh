// Layers, and a packed picture: red, green, blue as halves, and the number of every pixel's layer.

#define CELL 16
#define NOTHING 255

__device__ __forceinline__ int layer_of(float radius, const u8* __restrict__ lookup, int entries) {
    const int slot = (int)floorf(radius * 32.0f) + entries / 2;
    return lookup[clamp(slot, 0, entries - 1)];
}

__device__ __forceinline__ uint2 pack(float red, float green, float blue, int layer) {
    return make_uint2(to_half(red) | (u32)to_half(green) << 16, to_half(blue) | (u32)layer << 16);
}

__device__ __forceinline__ int layer_in(uint2 pixel) { return pixel.y >> 16; }

__device__ __forceinline__ float4 colour_in(uint2 pixel) {
    return make_float4(to_float(pixel.x & 0xffff), to_float(pixel.x >> 16), to_float(pixel.y & 0xffff), 1.0f);
}

// The set of layers in this block of CELL x CELL pixels, one bit each.
__device__ __forceinline__ void collect(int layer, u64* __restrict__ cells, int across) {
    __shared__ u64 parts[CELL * CELL / 32];
    const int thread = threadIdx.y * CELL + threadIdx.x;
    u64 bits = layer == NOTHING ? 0 : 1ull << layer;
    for (int by = 16; by > 0; by /= 2) bits |= __shfl_xor_sync(~0u, bits, by);
    if (thread % 32 == 0) parts[thread / 32] = bits;
    __syncthreads();
    if (thread == 0) {
        for (int i = 1; i < CELL * CELL / 32; ++i) bits |= parts[i];
        cells[blockIdx.y * across + blockIdx.x] = bits;
    }
}

struct Layer {
    int scale;         // blurred on a grid reduced by this
    int reach;         // how far the blur spreads, in pixels of that grid
    int first, count;  // its columns among all spans
    float norm;        // 1 / area of the kernel
    float middle;      // of its radii, without their sign
    float width;       // by how much its radii differ at most
    int tiles;         // where its tiles begin among those of all reduced layers
    int across;        // tiles along x
    int base;          // where its pixels begin in the memory of all reduced layers
};

struct Column {  // of a kernel: whole pixels to its ends and the fractions that remain
    int top;
    float top_part;
    int bottom;
    float bottom_part;
};

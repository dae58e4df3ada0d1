// Light that clipped highlights lost, estimated from the pixels around them.
// See rtfocus/render/highlights.py, whose arithmetic this repeats.
//
// Regions of clipped pixels are numbered by the flat position of their first pixel. No two of them share a
// block of 2 x 2 pixels, so that sums per region have room in an array of a quarter of the picture's size.
// Sums are of integers, in whatever order: the same picture gives the same light.

#define CLIPPED 252  // code value from which a channel counts as clipped
#define MARGIN 1.5
#define SLOPE 2.5
#define FLOOR 0.08
#define TILE 32
#define ROWS 4        // rows of a tile that one thread works on
#define REACH 3       // rings around a region
#define BEFORE 4      // pixels left of a tile in a strip: those within reach, and a neighbour of theirs
#define NONE -1
#define UNIT 68719476736.0  // 2^36: what 1 is in sums
#define EARLIER_UNIT 65536.0  // what 1 is in those of what was told before, which may be large
#define KEPT 0.9

// Sums of a region: over ring 3, what is outside, then over rings 1 and 2, its border, then over its edge what was
// told before. In the end its light takes the place of the first, and what it tells that of the second.
enum { KNOWN, LARGEST, SQUARE, COLOUR, OUTSIDE = COLOUR + 3 };
enum { LENGTH, PIXELS, EXCESS, MIXED, BORDER = MIXED + 3 };
enum { NUMBER, EARLIER = 6 };
enum { SUMS = OUTSIDE + BORDER + EARLIER };
enum { LEVEL, TINT };

// What the border of a light tells, kept for every block of 2 x 2 pixels: its length in this picture; then, summed up
// over this and earlier ones, its length, twice its light over that of white, and its light channel by channel.
enum { LAST_LENGTH, ALL_LENGTH, ALL_EXCESS, ALL_MIXED, TOLD = ALL_MIXED + 3 };

template <class T> __device__ __forceinline__ T* told_at(T* told, int y, int x, int width) {
    return told + (size_t)TOLD * (y / 2 * ((width + 1) / 2) + x / 2);
}

__device__ __forceinline__ u64 fixed(float value) { return (u64)(value * (float)UNIT); }

__device__ __forceinline__ u64* sums_of(u64* sums, int region, int width) {
    const int y = region / width, x = region % width;
    return sums + (size_t)SUMS * (y / 2 * ((width + 1) / 2) + x / 2);
}

__device__ __forceinline__ int words_in(int width) { return (width + 31) / 32; }

// Whether nothing is clipped in this tile, so that there is nothing to do.
__device__ __forceinline__ bool is_idle(const u8* __restrict__ tiles) {
    return !tiles[blockIdx.y * gridDim.x + blockIdx.x];
}

// Whether nothing is clipped in this tile and those next to it.
__device__ __forceinline__ bool is_far(const u8* __restrict__ tiles) {
    const int thread = threadIdx.y * TILE + threadIdx.x;
    const int x = blockIdx.x + thread % 3 - 1, y = blockIdx.y + thread / 3 - 1;
    const bool there = thread < 9 && x >= 0 && y >= 0 && x < (int)gridDim.x && y < (int)gridDim.y;
    return !__syncthreads_or(there && tiles[y * gridDim.x + x]);
}

// Which pixels of a row are clipped, from BEFORE before this tile on, as bits.
__device__ __forceinline__ u64 strip(const u32* __restrict__ mask, int y, int height, int width) {
    if (y < 0 || y >= height) return 0;
    const int words = words_in(width), k = blockIdx.x;
    const u32* row = mask + y * words;
    const u64 left = k > 0 ? row[k - 1] : 0, right = k + 1 < words ? row[k + 1] : 0;
    return left >> (32 - BEFORE) | (u64)row[k] << BEFORE | right << (32 + BEFORE);
}

// Which of these have a neighbour that is not clipped; outside the picture all is.
__device__ __forceinline__ u64 edges(const u32* __restrict__ mask, int y, int height, int width) {
    const u64 own = strip(mask, y, height, width);
    if (!own) return 0;
    const int end = width - (int)blockIdx.x * 32 + BEFORE;
    const u64 outside = (blockIdx.x ? 0 : (1ull << BEFORE) - 1) | (end < 64 ? ~0ull << end : 0);
    const u64 above = y > 0 ? strip(mask, y - 1, height, width) : ~0ull;
    const u64 below = y + 1 < height ? strip(mask, y + 1, height, width) : ~0ull;
    const u64 filled = own | outside;
    return own & ~(filled << 1 & filled >> 1 & above & below);
}

// First pixel of the run of clipped pixels that ends at bit `lane` of a word.
__device__ __forceinline__ int start_of(u32 word, int lane) { return lane + 1 - __clz(~(word << (31 - lane))); }

__device__ __forceinline__ int node(const u32* __restrict__ mask, int y, int x, int width) {
    const u32 word = mask[y * words_in(width) + x / 32];
    return y * width + x / 32 * 32 + start_of(word, x % 32);
}

__device__ __forceinline__ int find(volatile int* labels, int at) {
    for (int up = labels[at]; up != at; up = labels[at]) at = up;
    return at;
}

// Joins two trees; the smaller position becomes the root. Others may be at the same trees.
__device__ void unite(int* labels, int a, int b) {
    for (;;) {
        a = find(labels, a);
        b = find(labels, b);
        if (a == b) return;
        const int low = min(a, b), high = max(a, b);
        const int before = atomicMin(&labels[high], low);
        if (before == high) return;
        a = low;
        b = before;  // somebody else has joined it to this meanwhile
    }
}

// Which pixels are clipped, and in which tiles there are any; every run in a word begins as a tree of its own.
extern "C" __global__ __launch_bounds__(TILE * TILE / ROWS) void find_clipped(
    const u8* __restrict__ image, int height, int width, u32* __restrict__ mask, u8* __restrict__ tiles,
    int* __restrict__ labels) {
    const int lane = threadIdx.x, x = blockIdx.x * TILE + lane;
    const int top = blockIdx.y * TILE + threadIdx.y * ROWS;
    bool any = false;
    for (int y = top; y < min(top + ROWS, height); ++y) {
        bool clipped = false;
        if (x < width) {
            const u8* pixel = image + (size_t)3 * (y * width + x);
            clipped = max(max(pixel[0], pixel[1]), pixel[2]) >= CLIPPED;
        }
        const u32 word = __ballot_sync(~0u, clipped);
        if (lane == 0) mask[y * words_in(width) + blockIdx.x] = word;
        if (clipped && start_of(word, lane) == lane) labels[y * width + x] = y * width + x;
        any |= clipped;
    }
    any = __syncthreads_or(any);
    if (lane == 0 && threadIdx.y == 0) tiles[blockIdx.y * gridDim.x + blockIdx.x] = any;
}

// Joins runs that touch, also at corners.
extern "C" __global__ __launch_bounds__(TILE * TILE / ROWS) void join_runs(
    const u32* __restrict__ mask, const u8* __restrict__ tiles, int* labels, int height, int width) {
    if (is_idle(tiles)) return;
    const int lane = threadIdx.x, x = blockIdx.x * TILE + lane;
    const int top = blockIdx.y * TILE + threadIdx.y * ROWS;
    for (int y = top; y < min(top + ROWS, height); ++y) {
        // This pixel is bit 1, those on its sides are bits 0 and 2.
        const u32 row = strip(mask, y, height, width) >> (lane + BEFORE - 1) & 7;
        if (!(row & 2)) continue;
        const int own = node(mask, y, x, width);
        if (lane == 0 && row & 1) unite(labels, own, node(mask, y, x - 1, width));
        const u32 above = strip(mask, y - 1, height, width) >> (lane + BEFORE - 1) & 7;
        if (above & 2) {
            // If the two to the left are clipped too, that is where these runs are joined.
            if (!(row & above & 1)) unite(labels, own, node(mask, y - 1, x, width));
        } else {
            if (above & ~row & 1) unite(labels, own, node(mask, y - 1, x - 1, width));
            if (above & ~row & 4) unite(labels, own, node(mask, y - 1, x + 1, width));
        }
    }
}

// Gives every clipped pixel the number of its region, whose sums begin at zero.
extern "C" __global__ __launch_bounds__(TILE * TILE / ROWS) void number_regions(
    const u32* __restrict__ mask, const u8* __restrict__ tiles, int* labels, int height, int width,
    u64* __restrict__ sums) {
    if (is_idle(tiles)) return;
    const int lane = threadIdx.x, x = blockIdx.x * TILE + lane;
    const int top = blockIdx.y * TILE + threadIdx.y * ROWS;
    for (int y = top; y < min(top + ROWS, height); ++y) {
        const u32 word = mask[y * words_in(width) + blockIdx.x];
        if (!(word >> lane & 1)) continue;
        const int at = y * width + x, root = find(labels, node(mask, y, x, width));
        labels[at] = root;
        if (root == at)
            for (int i = 0; i < SUMS; ++i) sums_of(sums, root, width)[i] = 0;
    }
}

// Edge pixels of this tile and REACH pixels around it, one strip per row.
__device__ __forceinline__ void load_edges(
    const u32* __restrict__ mask, int height, int width, u64 (&strips)[TILE + 2 * REACH]) {
    const int row = threadIdx.y * TILE + threadIdx.x;
    if (row < TILE + 2 * REACH) strips[row] = edges(mask, blockIdx.y * TILE + row - REACH, height, width);
    __syncthreads();
}

// Edge pixels of one row of strips in a ring and those within it, around pixel `lane`: bits REACH + dx.
__device__ __forceinline__ u32 nearby(const u64* strips, int row, int dy, int lane, int ring) {
    const int span = ring - max(abs(dy) - 1, 0);  // farthest dx with dx^2 + dy^2 <= ring^2 + 1
    const u32 within = ((2u << 2 * span) - 1) << (REACH - span);
    return strips[row + REACH + dy] >> (lane + BEFORE - REACH) & within;
}

// Region of the first edge pixel, in reading order, that is so near; else NONE.
__device__ __forceinline__ int owner(
    const u64* strips, const int* __restrict__ labels, int row, int at, int width, int ring) {
    for (int dy = -ring; dy <= ring; ++dy) {
        const u32 bits = nearby(strips, row, dy, threadIdx.x, ring);
        if (bits) return labels[at + dy * width + __ffsll(bits) - 1 - REACH];
    }
    return NONE;
}

// What one thread adds to the sums of a region, kept as long as it is the same region's.
template <int N> struct Tally {
    int region = NONE;
    u64 sums[N] = {};

    __device__ __forceinline__ void flush(u64* totals, int width) {
        if (region == NONE) return;
        u64* of_region = sums_of(totals, region, width);
        for (int i = 0; i < N; ++i) atomicAdd(&of_region[i], sums[i]);
    }

    __device__ __forceinline__ void begin(int next, u64* totals, int width) {
        if (next == region) return;
        flush(totals, width);
        region = next;
        for (int i = 0; i < N; ++i) sums[i] = 0;
    }

    // By all threads of a warp: what belongs to one region is added up first, a wall of light has many pixels.
    __device__ __forceinline__ void finish(u64* totals, int width) {
        int common = region;
        for (int by = 16; by > 0; by /= 2) common = max(common, __shfl_xor_sync(~0u, common, by));
        if (common == NONE) return;
        const bool shares = region == common;
        if (!shares) flush(totals, width);
        region = threadIdx.x == 0 ? common : NONE;
        for (int i = 0; i < N; ++i) {
            sums[i] = shares ? sums[i] : 0;
            for (int by = 16; by > 0; by /= 2) sums[i] += __shfl_xor_sync(~0u, sums[i], by);
        }
        flush(totals, width);
    }
};

// Ring 3 of every region: the pixels beyond its border, and no other's. Where several regions are that near, the
// pixel counts for each as the CPU comes by.
extern "C" __global__ __launch_bounds__(TILE * TILE / ROWS, 4) void sum_outside(
    const u32* __restrict__ mask, const u8* __restrict__ tiles, const int* __restrict__ labels,
    const float* __restrict__ linear, int height, int width, u64* sums) {
    __shared__ u64 strips[TILE + 2 * REACH];
    if (is_far(tiles)) return;
    load_edges(mask, height, width, strips);
    const int lane = threadIdx.x, x = blockIdx.x * TILE + lane;
    const size_t plane = (size_t)height * width;
    Tally<OUTSIDE> tally;
    for (int row = threadIdx.y * ROWS; row < (int)(threadIdx.y + 1) * ROWS; ++row) {
        const int y = blockIdx.y * TILE + row, at = y * width + x;
        if (x >= width || y >= height || mask[y * words_in(width) + blockIdx.x] >> lane & 1) continue;
        if (owner(strips, labels, row, at, width, 2) != NONE) continue;
        int last = NONE;
        for (int dy = -REACH; dy <= REACH; ++dy)
            for (u32 bits = nearby(strips, row, dy, lane, REACH); bits; bits &= bits - 1) {
                const int region = labels[at + dy * width + __ffsll(bits) - 1 - REACH];
                if (region == last) continue;
                last = region;
                tally.begin(region, sums, width);
                float largest = 0;
                for (int c = 0; c < 3; ++c) {
                    const float value = linear[c * plane + at];
                    largest = fmaxf(largest, value);
                    tally.sums[COLOUR + c] += fixed(value);
                }
                tally.sums[KNOWN] += 1;
                tally.sums[LARGEST] += fixed(largest);
                tally.sums[SQUARE] += fixed(largest * largest);
            }
    }
    tally.finish(sums, width);
}

// Rings 1 and 2 of every region, its border: how much lighter they are than what is outside.
extern "C" __global__ __launch_bounds__(TILE * TILE / ROWS) void sum_borders(
    const u32* __restrict__ mask, const u8* __restrict__ tiles, const int* __restrict__ labels,
    const float* __restrict__ linear, int height, int width, u64* sums) {
    __shared__ u64 strips[TILE + 2 * REACH];
    if (is_far(tiles)) return;
    load_edges(mask, height, width, strips);
    const int lane = threadIdx.x, x = blockIdx.x * TILE + lane;
    const size_t plane = (size_t)height * width;
    Tally<BORDER> tally;
    for (int row = threadIdx.y * ROWS; row < (int)(threadIdx.y + 1) * ROWS; ++row) {
        const int y = blockIdx.y * TILE + row, at = y * width + x;
        if (x >= width || y >= height || mask[y * words_in(width) + blockIdx.x] >> lane & 1) continue;
        const int touched = owner(strips, labels, row, at, width, 1);
        const int region = touched != NONE ? touched : owner(strips, labels, row, at, width, 2);
        if (region == NONE) continue;
        tally.begin(region, sums + OUTSIDE, width);
        const u64* outside = sums_of(sums, region, width);
        const float share = 1 / ((float)UNIT * max((float)outside[KNOWN], 1.0f));
        float largest = 0;
        for (int c = 0; c < 3; ++c) {
            const float value = linear[c * plane + at];
            largest = fmaxf(largest, value);
            tally.sums[MIXED + c] += fixed(fmaxf(value - outside[COLOUR + c] * share, 0));
        }
        tally.sums[LENGTH] += touched != NONE;
        tally.sums[PIXELS] += 1;
        tally.sums[EXCESS] += fixed(fmaxf(largest - outside[LARGEST] * share, 0));
    }
    tally.finish(sums + OUTSIDE, width);
}

// What lights told before that were as large, in the places of regions.
extern "C" __global__ __launch_bounds__(TILE * TILE / ROWS) void recall(
    const u32* __restrict__ mask, const u8* __restrict__ tiles, const int* __restrict__ labels, int height, int width,
    const int* __restrict__ begins, const u32* __restrict__ mask_before, const float* __restrict__ told, u64* sums) {
    if (is_idle(tiles) || *begins) return;
    const int lane = threadIdx.x, x = blockIdx.x * TILE + lane;
    const int top = blockIdx.y * TILE + threadIdx.y * ROWS;
    Tally<EARLIER> tally;
    for (int y = top; y < min(top + ROWS, height); ++y) {
        if (!(mask_before[y * words_in(width) + blockIdx.x] >> lane & 1)) continue;
        if (!(edges(mask, y, height, width) >> (lane + BEFORE) & 1)) continue;
        const int region = labels[y * width + x];
        const float* before = told_at(told, y, x, width);
        const float length = (float)sums_of(sums, region, width)[OUTSIDE + LENGTH];
        if (!(before[LAST_LENGTH] < 2 * length && length < 2 * before[LAST_LENGTH])) continue;
        tally.begin(region, sums + OUTSIDE + BORDER, width);
        tally.sums[NUMBER] += 1;
        for (int i = ALL_LENGTH; i < TOLD; ++i) tally.sums[i] += (u64)(before[i] * (float)EARLIER_UNIT + 0.5f);
    }
    tally.finish(sums + OUTSIDE + BORDER, width);
}

// Level and tint of every region, and what it tells, in place of its sums. A region that nothing tells about gets no light: either
// all is clipped, or all around it belongs to others.
extern "C" __global__ __launch_bounds__(TILE * TILE / ROWS) void estimate(
    const u32* __restrict__ mask, const u8* __restrict__ tiles, const int* __restrict__ labels, int height, int width,
    float gain, u64* __restrict__ sums) {
    if (is_idle(tiles)) return;
    const int lane = threadIdx.x, x = blockIdx.x * TILE + lane;
    const int top = blockIdx.y * TILE + threadIdx.y * ROWS;
    for (int y = top; y < min(top + ROWS, height); ++y) {
        const int at = y * width + x;
        if (!(mask[y * words_in(width) + blockIdx.x] >> lane & 1) || labels[at] != at) continue;
        u64* outside = sums_of(sums, at, width);
        u64* border = outside + OUTSIDE;
        const u64* earlier = border + BORDER;
        // In double precision: the variance is a small difference.
        const double known = outside[KNOWN], length = border[LENGTH], pixels = border[PIXELS];
        const double share = 1 / (UNIT * fmax(known, 1.0));
        const double background = outside[LARGEST] * share;
        const double variance = fmax(outside[SQUARE] * share - background * background, 0.0);
        double excess = border[EXCESS] / UNIT;
        excess -= fmin(0.2 * sqrt(variance) * pixels, 0.5 * excess);
        const double dark = fmax(1 - background, 1e-3);
        double told[TOLD] = {length, length, 2 * excess / dark};
        for (int c = 0; c < 3; ++c) told[ALL_MIXED + c] = border[MIXED + c] / UNIT;
        const double kept = KEPT / (EARLIER_UNIT * fmax((double)earlier[NUMBER], 1.0));
        for (int i = ALL_LENGTH; i < TOLD; ++i) told[i] += kept * earlier[i];
        const double sharpness = told[ALL_LENGTH] / (told[ALL_EXCESS] + FLOOR * told[ALL_LENGTH] + 1e-6);
        const double more = gain * SLOPE * dark * fmax(sharpness - MARGIN, 0.0);
        double level = 1 + more / (1 + 4 * variance / (dark * dark));
        if (length == 0 || known == 0) level = pixels + known > 0;
        // Few pixels say little about colour; so many of white are added.
        const float white = (float)(FLOOR * told[ALL_LENGTH] + 1e-6);
        float mixed[3], most = 0;
        for (int c = 0; c < 3; ++c) {
            mixed[c] = (float)told[ALL_MIXED + c] + white;
            most = fmaxf(most, mixed[c]);
        }
        outside[LEVEL] = __float_as_uint((float)level);
        for (int c = 0; c < 3; ++c) outside[TINT + c] = __float_as_uint(mixed[c] / most);
        for (int i = 0; i < TOLD; ++i) border[i] = __float_as_uint((float)told[i]);
    }
}

// Raises the clipped channels of every region to its level, and keeps what it tells. A channel that is not clipped
// tells how bright the pixel really is: its hue must not change.
extern "C" __global__ __launch_bounds__(TILE * TILE / ROWS) void brighten(
    const u8* __restrict__ image, const u32* __restrict__ mask, const int* __restrict__ labels,
    u64* __restrict__ sums, const u8* __restrict__ layer, int sharp, int height,
    int width, float* __restrict__ linear, u32* __restrict__ mask_before, float* __restrict__ told) {
    const int lane = threadIdx.x, x = blockIdx.x * TILE + lane;
    const int top = blockIdx.y * TILE + threadIdx.y * ROWS;
    const size_t plane = (size_t)height * width;
    for (int y = top; y < min(top + ROWS, height); ++y) {
        const int at = y * width + x;
        const u32 word = mask[y * words_in(width) + blockIdx.x];
        if (lane == 0) mask_before[y * words_in(width) + blockIdx.x] = word;
        if (!(word >> lane & 1)) continue;
        const u64* light_of = sums_of(sums, labels[at], width);
        for (int i = 0; i < TOLD; ++i) told_at(told, y, x, width)[i] = __uint_as_float((u32)light_of[OUTSIDE + i]);
        if (layer[at] == sharp) continue;
        // Pixels on the edge are covered by the light to a share that is uniform in 0..1, so they get half.
        const bool is_edge = edges(mask, y, height, width) >> (lane + BEFORE) & 1;
        float light = __uint_as_float((u32)light_of[LEVEL]) * (is_edge ? 0.5f : 1.0f);
        float tint[3];
        for (int c = 0; c < 3; ++c) {
            tint[c] = __uint_as_float((u32)light_of[TINT + c]);
            if (image[(size_t)3 * at + c] < CLIPPED) light = fminf(light, linear[c * plane + at] / fmaxf(tint[c], 1e-3f));
        }
        for (int c = 0; c < 3; ++c) {
            float& value = linear[c * plane + at];
            if (image[(size_t)3 * at + c] >= CLIPPED) value = fmaxf(value, light * tint[c]);
        }
    }
}

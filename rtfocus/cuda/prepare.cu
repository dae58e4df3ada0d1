// Before and after a depth network: the picture as its input tensor, and its answer as disparity.
// See rtfocus/depth/network.py, kinds.py and flip.py, whose arithmetic this repeats.

#define DIGIT 11         // bits of a digit
#define BINS (1 << DIGIT)
#define PER_BLOCK 4096   // values that a block looks at
#define MIRROR 1         // flags of `prepare` and `answer`
#define HALF 2
#define BLEND 4
#define METRIC 1         // kinds of `answer`
#define RELATIVE 2
#define NEAREST_METRES 0.01f
#define NEAREST_SHARE 0.01

// The search for the value of a rank among all that sort like their keys, by digits of 11, 11 and 10 bits.
struct Search {
    u32 prefix;  // digits found
    int rank;    // among the keys that begin with them
    int ticket;  // blocks that are done
    int bins[BINS];
};

__device__ __forceinline__ float load(const void* __restrict__ values, int at, int flags) {
    return flags & HALF ? to_float(((const u16*)values)[at]) : ((const float*)values)[at];
}

// The picture, halved a number of times, on the network's grid, a plane per channel, mirrored if need be.
extern "C" __global__ __launch_bounds__(256) void prepare(
    const u8* __restrict__ image, int width, int halvings, const Span* __restrict__ down,
    const Span* __restrict__ across, const float* __restrict__ gain, const float* __restrict__ bias, int rows, int columns, int flags,
    void* __restrict__ tensor) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= columns || y >= rows) return;
    const Span vertical = down[y], horizontal = across[x];
    float sum[3] = {};
    const int right = ((horizontal.last + 1) << halvings) - 1, bottom = ((vertical.last + 1) << halvings) - 1;
    for (int j = vertical.first << halvings; j <= bottom; ++j) {
        const u8* row = image + (size_t)j * width * 3;
        float line[3] = {};
        for (int i = horizontal.first << halvings; i <= right; ++i)
            for (int c = 0; c < 3; ++c) line[c] += weight(horizontal, i >> halvings) * row[i * 3 + c];
        for (int c = 0; c < 3; ++c) sum[c] += weight(vertical, j >> halvings) * line[c];
    }
    const float norm = 1.0f / (1 << 2 * halvings);
    for (int c = 0; c < 3; ++c) {
        const int at = (c * rows + y) * columns + (flags & MIRROR ? columns - 1 - x : x);
        const float value = sum[c] * norm * gain[c] + bias[c];
        if (flags & HALF) ((u16*)tensor)[at] = to_half(value);
        else ((float*)tensor)[at] = value;
    }
}

// One digit of the two values in the middle of all, lower and upper; to be launched for each digit, shift being the
// number of bits below it. The block that comes to its end last knows all counts.
extern "C" __global__ __launch_bounds__(THREADS) void find_middle(
    const void* __restrict__ values, int n, int flags, int shift, Search* searches) {
    __shared__ int counts[BINS];
    Search* search = &searches[blockIdx.y];
    const int bits = shift == 0 ? DIGIT - 1 : DIGIT;
    const bool first = shift + bits == 32;
    const u32 prefix = first ? 0 : search->prefix;
    const int thread = thread_number(), end = min(n, (int)(blockIdx.x + 1) * PER_BLOCK);
    for (int i = thread; i < BINS; i += THREADS) counts[i] = 0;
    __syncthreads();
    for (int i = blockIdx.x * PER_BLOCK + thread; i < end; i += THREADS) {
        const u32 key = to_key(load(values, i, flags));
        if ((u64)key >> (shift + bits) == prefix) atomicAdd(&counts[(key >> shift) & ((1 << bits) - 1)], 1);
    }
    __syncthreads();
    for (int i = thread; i < BINS; i += THREADS)
        if (counts[i]) atomicAdd(&search->bins[i], counts[i]);
    if (!is_last(&search->ticket, gridDim.x)) return;
    for (int i = thread; i < BINS; i += THREADS)
        counts[i] = atomicExch(&search->bins[i], 0);  // past the first level cache, and for the next digit
    __syncthreads();
    const InBin place = find_bin(counts, BINS, first ? (n - 1 + (int)blockIdx.y) / 2 : search->rank);
    if (thread == 0) {
        search->prefix = prefix << bits | place.bin;
        search->rank = place.rank;
    }
}

// The network's answer as disparity. That of a mirrored picture is mirrored back and blended into the plain one's.
// Counts what is no number.
extern "C" __global__ __launch_bounds__(256) void answer(
    const void* __restrict__ values, int rows, int columns, int flags, int kind, const Search* __restrict__ searches,
    const float* __restrict__ weights, float* __restrict__ disparity, int* bad) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= columns || y >= rows) return;
    float value = load(values, y * columns + (flags & MIRROR ? columns - 1 - x : x), flags);
    if (!(fabsf(value) <= 3.402823466e38f)) atomicAdd(bad, 1);
    if (kind == METRIC) value = 1 / fmaxf(value, NEAREST_METRES);
    if (kind == RELATIVE) {
        const float middle = 0.5f * (from_key(searches[0].prefix) + from_key(searches[1].prefix));
        value = 1 / fmaxf(value, (float)fmax(NEAREST_SHARE * middle, 1.17549435e-38));
    }
    const int at = y * columns + x;
    disparity[at] = flags & BLEND ? weights[x] * disparity[at] + (1 - weights[x]) * value : value;
}

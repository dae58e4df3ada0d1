// Where the plane of focus lies. See rtfocus/focus/plane.py, whose arithmetic this repeats.

#define ROWS 16
#define DIGITS 8  // of 4 bits

struct State {
    double plane;
    int following;
};

// The thing under a point: the median of what is about as near, found digit by digit. One block.
extern "C" __global__ __launch_bounds__(32 * ROWS) void follow_point(
    const float* __restrict__ values, int height, int width, int x, int y, int reach, const int* __restrict__ cut,
    int start, float share, State* __restrict__ state, float* __restrict__ plane) {
    __shared__ float own;
    __shared__ int counts[DIGITS][16];
    __shared__ u32 above;
    const int thread = threadIdx.y * 32 + threadIdx.x;
    const int top = max(y - 1, 0), left = max(x - 1, 0);
    const int rows = min(y + 2, height) - top, columns = min(x + 2, width) - left;
    if (thread < DIGITS * 16) counts[thread / 16][thread % 16] = 0;
    if (thread == 0) above = ~0u;
    if (thread < rows * columns) {  // the lower median of 3 x 3, which is there
        const float value = values[(top + thread / columns) * width + left + thread % columns];
        int rank = 0;
        for (int i = 0; i < rows * columns; ++i) {
            const float other = values[(top + i / columns) * width + left + i % columns];
            rank += other < value || (other == value && i < thread);
        }
        if (rank == (rows * columns - 1) / 2) own = value;
    }
    __syncthreads();

    const int bottom = min(y + reach + 1, height), right = min(x + reach + 1, width);
    auto each_close = [&](auto visit) {
        for (int j = max(y - reach, 0) + threadIdx.y; j < bottom; j += ROWS)
            for (int i = max(x - reach, 0) + threadIdx.x; i < right; i += 32) {
                const float value = values[j * width + i];
                if (fabsf(value - own) <= 0.08f) visit(to_key(value));
            }
    };
    u32 found = 0;
    int n = 0, rank = 0;
    for (int digit = 0; digit < DIGITS; ++digit) {
        const int shift = 28 - 4 * digit;
        each_close([&](u32 key) {
            if ((u64)key >> (shift + 4) == found) atomicAdd(&counts[digit][key >> shift & 15], 1);
        });
        __syncthreads();
        if (digit == 0) {
            for (int i = 0; i < 16; ++i) n += counts[0][i];
            rank = (n - 1) / 2;
        }
        int next = 0;
        while (next < 15 && rank >= counts[digit][next]) rank -= counts[digit][next++];
        found = found << 4 | next;
    }
    if (rank + 1 < counts[DIGITS - 1][found & 15]) {
        if (thread == 0) above = found;
    } else {
        u32 next = ~0u;
        each_close([&](u32 key) {
            if (key > found) next = min(next, key);
        });
        atomicMin(&above, next);
    }
    __syncthreads();
    if (thread > 0) return;
    const float low = from_key(found);
    const double seen = n % 2 ? low : (low + from_key(above)) / 2;
    if (start || *cut) {
        state->plane = seen, state->following = 0;
    } else {
        const double away = seen - state->plane;
        if (fabs(away) > 0.015)
            state->following = 1;
        else if (fabs(away) < 0.015 / 4)
            state->following = 0;
        if (state->following) state->plane += away * share;
    }
    *plane = (float)state->plane;
}

// The disparity of a distance, of which the inverse in 1/m is given.
extern "C" __global__ __launch_bounds__(32) void at_distance(
    const float* __restrict__ metric, float inverse, float* __restrict__ plane) {
    if (threadIdx.x == 0) *plane = (inverse - metric[1]) / metric[0];
}

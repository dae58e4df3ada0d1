// What the threads of a block do together, for the files whose blocks are 32 x 8 threads.
#define WARPS 8
#define THREADS (32 * WARPS)

// How a new map is brought to the running one: align.cu writes it, smooth.cu reads it.
struct Fit {
    float scale, shift;
    float misfit;   // of relative maps
    float spread;   // of the running map
    float differs;  // the picture's thumbnail from the last one
};

__device__ __forceinline__ int thread_number() { return threadIdx.y * 32 + threadIdx.x; }

// Whether all other blocks that share the ticket are done; what they wrote can be read then.
__device__ __forceinline__ bool is_last(int* ticket, int blocks) {
    __shared__ int last;
    __threadfence(); __syncthreads();  // all of this block's writes come before its ticket
    if (thread_number() == 0) {
        last = atomicAdd(ticket, 1) == blocks - 1;
        if (last) *ticket = 0;
    }
    __syncthreads();
    __threadfence();
    return last;
}

struct InBin {
    int bin, rank;
};

// The bin of a histogram in which the value of this rank lies, and its rank there; for all threads of the block.
__device__ __forceinline__ InBin find_bin(const int* bins, int count, int rank) {
    __shared__ int sums[WARPS];
    __shared__ InBin found;
    const int each = count / THREADS, from = each * thread_number();
    int own = 0;
    for (int i = 0; i < each; ++i) own += bins[from + i];
    int before = own;
    for (int by = 1; by < 32; by *= 2) {
        const int other = __shfl_up_sync(~0u, before, by);
        if ((int)threadIdx.x >= by) before += other;
    }
    if (threadIdx.x == 31) sums[threadIdx.y] = before;
    __syncthreads();
    before -= own;
    for (int i = 0; i < (int)threadIdx.y; ++i) before += sums[i];
    if (rank >= before && rank < before + own) {
        int bin = from;
        while (rank - before >= bins[bin]) before += bins[bin++];
        found = {bin, rank - before};
    }
    __syncthreads();
    return found;
}

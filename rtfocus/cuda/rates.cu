// What the benchmark runs: arithmetic that waits for nothing, to see how much of it a GPU does, and a pause.

#define CHAINS 8  // of sums in a thread, so that one need not wait for another

// The sum of what `rounds` steps value * factor + added make of the values thread .. thread + CHAINS - 1.
extern "C" __global__ __launch_bounds__(256) void multiply_add(
    int rounds, float factor, float added, float* __restrict__ out) {
    const int thread = blockIdx.x * blockDim.x + threadIdx.x;
    float value[CHAINS], sum = 0;
#pragma unroll
    for (int i = 0; i < CHAINS; ++i) value[i] = thread + i;
#pragma unroll 16
    for (int n = 0; n < rounds; ++n) {
#pragma unroll
        for (int i = 0; i < CHAINS; ++i) value[i] = fmaf(value[i], factor, added);
    }
#pragma unroll
    for (int i = 0; i < CHAINS; ++i) sum += value[i];
    out[thread] = sum;
}

// Does nothing for so long. One thread.
extern "C" __global__ void idle(int nanoseconds) {
#ifndef SHIM
    u64 begun, now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(begun));
    do {
        __nanosleep(1000);
        asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    } while (now - begun < nanoseconds);
#endif
}

// CUDA C++ as ordinary C++, so that kernels are tested where there is no GPU.
//
// Every thread of a block is a fiber with a stack of its own; a barrier switches to another one until
// all have come. Between barriers the threads run one after the other in an order that changes each
// time, as that of the blocks does, and whole warps may be far ahead of others: what needs another
// order than that of its barriers differs.
// Shared memory starts in every block with all bits set, which is NaN, or none. With -fsanitize=address and
// -fsanitize-sections=shim_shared each array there, static or dynamic, has guarded ends.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __constant__ static
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static __attribute__((section("shim_shared")))
#define SHIM 1

using std::max;
using std::min;

struct dim3 { unsigned x = 1, y = 1, z = 1; };
struct float2 { float x, y; };
struct float3 { float x, y, z; };
struct alignas(16) float4 { float x, y, z, w; };
struct int2 { int x, y; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(4) uchar4 { unsigned char x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float3 make_float3(float x, float y, float z) { return {x, y, z}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }

static dim3 blockIdx, blockDim, gridDim, threadIdx;
static const int warpSize = 32;

extern "C" {
void __asan_poison_memory_region(const void*, size_t) __attribute__((weak));
void __asan_unpoison_memory_region(const void*, size_t) __attribute__((weak));
// The linker's names for the ends of all static shared memory.
extern char __start_shim_shared[] __attribute__((visibility("hidden")));
extern char __stop_shim_shared[] __attribute__((visibility("hidden")));
}

// Stores the registers that a call keeps on the stack and where that is in `from`, and goes on with the stack `to`.
// swapcontext would ask the system for the signals each time.
extern "C" __attribute__((visibility("hidden"))) void shim_switch(void** from, void* to);
#if defined(__x86_64__)
asm(R"(
    .hidden shim_switch
    .globl shim_switch
    .type shim_switch, @function
shim_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
)");
// A stack from which shim_switch goes to `start`.
static void* new_stack(char* end, void (*start)()) {
    void** top = (void**)((uintptr_t)end & ~(uintptr_t)15);
    *--top = nullptr;  // where start would return to
    *--top = (void*)start;
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    return top;
}
#elif defined(__aarch64__)
asm(R"(
    .hidden shim_switch
    .globl shim_switch
    .type shim_switch, @function
shim_switch:
    sub sp, sp, #160
    stp x19, x20, [sp]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
)");
static void* new_stack(char* end, void (*start)()) {
    void** top = (void**)((uintptr_t)end & ~(uintptr_t)15) - 20;
    std::fill(top, top + 20, nullptr);
    top[11] = (void*)start;
    return top;
}
#else
#error "fibers are known for x86-64 and AArch64 only"
#endif

namespace shim {
struct Fiber {
    void* top;  // of its stack, while another runs
    std::vector<char> stack;
    bool done = true;
    unsigned block_arrivals, warp_arrivals;
};
static std::vector<Fiber> fibers;  // one launch at a time, as fake_cupy.py sees to
static void* home;
static int current, threads;
static unsigned steps;  // barriers reached and threads ended
static void (*body)(void*);
static void* argument;
__shared__ char present __attribute__((used));  // the section is never empty
alignas(16) static char dynamic_shared[232448];  // what a block of an H200 may have

static unsigned any_of(unsigned count) {
    static unsigned state = 2463534242u;
    state ^= state << 13, state ^= state >> 17, state ^= state << 5;
    return state % count;
}
// Visits 0..count-1 from anywhere on, up or down.
template <class F> void in_any_order(unsigned count, F visit) {
    const unsigned first = any_of(count);
    const bool down = any_of(2);
    for (unsigned n = 0; n < count; ++n) visit((first + (down ? count - n : n)) % count);
}

static void yield() { shim_switch(&fibers[current].top, home); }

// Goes on when all threads of first..last that still run have come as often as this one.
static void meet(unsigned Fiber::*arrivals, int first, int last) {
    const unsigned mine = ++(fibers[current].*arrivals);
    ++steps;
    const auto is_late = [=](int i) { return !fibers[i].done && fibers[i].*arrivals < mine; };
    for (int i = first; i < last;) {
        if (is_late(i)) yield();
        else ++i;
    }
}
static void meet_warp() {
    const int first = current / warpSize * warpSize;
    meet(&Fiber::warp_arrivals, first, min(first + warpSize, threads));
}

// What a fiber does: one thread of every block.
static void live() {
    for (;;) {
        body(argument);
        fibers[current].done = true;
        ++steps;
        yield();
    }
}
// False if threads wait for each other for ever.
static bool run_block() {
    threads = blockDim.x * blockDim.y * blockDim.z;
    while ((int)fibers.size() < threads) {
        Fiber& fiber = fibers.emplace_back();
        fiber.stack.resize(65536);
        fiber.top = new_stack(fiber.stack.data() + fiber.stack.size(), live);
    }
    for (int i = 0; i < threads; ++i) {
        fibers[i].done = false;
        fibers[i].block_arrivals = fibers[i].warp_arrivals = 0;
    }
    bool more = true;
    const auto visit = [&](unsigned i) {
        if (fibers[i].done) return;
        current = i;
        threadIdx = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
        shim_switch(&home, fibers[i].top);
        more |= !fibers[i].done;
    };
    while (more) {
        more = false;
        const unsigned before = steps;
        if (any_of(2)) {
            in_any_order(threads, visit);
        } else {  // a warp goes as far as it can without the others
            in_any_order((threads + warpSize - 1) / warpSize, [&](unsigned warp) {
                for (unsigned seen = steps - 1; seen != steps;) {
                    seen = steps;
                    const unsigned first = warp * warpSize;
                    in_any_order(min(warpSize, threads - (int)first), [&](unsigned lane) { visit(first + lane); });
                }
            });
        }
        if (more && steps == before) {
            fibers.clear();
            return false;
        }
    }
    return true;
}
// Not memset, for which the guards around the arrays would be an error.
static void fill(char* from, size_t size, char value) {
    asm volatile("rep stosb" : "+D"(from), "+c"(size) : "a"(value) : "memory");
}

// Sizes are of the grid, of a block, and of dynamic shared memory in bytes. Returns what is wrong, if anything.
template <class... P, size_t... I>
const char* launch(void (*kernel)(P...), unsigned bound, const unsigned* d, void** a, std::index_sequence<I...>) {
    gridDim = {d[0], d[1], d[2]}, blockDim = {d[3], d[4], d[5]};
    if (blockDim.x * blockDim.y * blockDim.z > bound) return "the block has more threads than __launch_bounds__";
    auto call = [&] { kernel(*(std::remove_reference_t<P>*)a[I]...); };
    body = [](void* it) { (*(decltype(call)*)it)(); };
    argument = &call;
    if (__asan_poison_memory_region) {
        __asan_unpoison_memory_region(dynamic_shared, d[6]);
        __asan_poison_memory_region(dynamic_shared + d[6], sizeof dynamic_shared - d[6]);
    }
    bool ended = true;
    in_any_order(gridDim.x * gridDim.y * gridDim.z, [&](unsigned i) {
        if (!ended) return;
        blockIdx = {i % gridDim.x, i / gridDim.x % gridDim.y, i / (gridDim.x * gridDim.y)};
        const char rest = any_of(2) ? 0xff : 0;
        fill(dynamic_shared, d[6], rest);
        fill(__start_shim_shared, __stop_shim_shared - __start_shim_shared, rest);
        ended = run_block();
    });
    return ended ? nullptr : "threads wait for each other at a barrier for ever";
}
template <class... P> const char* launch(void (*kernel)(P...), unsigned bound, const unsigned* d, void** a) {
    return launch(kernel, bound, d, a, std::index_sequence_for<P...>{});
}
template <class T> constexpr char kind() {
    if (std::is_pointer_v<T>) return 'p';
    if (std::is_floating_point_v<T>) return sizeof(T) == 4 ? 'f' : 'd';
    return std::is_integral_v<T> && sizeof(T) == 4 ? 'i' : std::is_integral_v<T> && sizeof(T) == 8 ? 'l' : '?';
}
template <class... P> const char* signature(void (*)(P...)) {
    static const char kinds[] = {kind<P>()..., 0};
    return kinds;
}
// What `lane` of the warp has; of a thread that is not there, garbage.
template <class T> T exchange(T value, int lane) {
    static char slots[1024][8];
    static_assert(sizeof value <= 8);
    const int from = current / warpSize * warpSize + lane % warpSize;
    memcpy(slots[current], &value, sizeof value);
    meet_warp();
    T got;
    memset(&got, 0xff, sizeof got);
    if (from < threads && !fibers[from].done) memcpy(&got, slots[from], sizeof got);
    meet_warp();
    return got;
}
}  // namespace shim

#define DYNAMIC_SHARED(type, name) type* name = (type*)shim::dynamic_shared

static void __syncthreads() { shim::meet(&shim::Fiber::block_arrivals, 0, shim::threads); }
static int __syncthreads_or(int mine) {
    static int any;
    __syncthreads();
    if (shim::current == 0) any = 0;
    __syncthreads();
    any |= mine;
    __syncthreads();
    return any != 0;
}
static void __syncwarp(unsigned = ~0u) { shim::meet_warp(); }
static int shim_lane() { return shim::current % warpSize; }
template <class T> T __shfl_sync(unsigned, T v, int lane) { return shim::exchange(v, lane); }
template <class T> T __shfl_xor_sync(unsigned, T v, int mask) { return shim::exchange(v, shim_lane() ^ mask); }
template <class T> T __shfl_down_sync(unsigned, T v, int by) {
    return shim::exchange(v, shim_lane() + by < warpSize ? shim_lane() + by : shim_lane());
}
template <class T> T __shfl_up_sync(unsigned, T v, int by) {
    return shim::exchange(v, shim_lane() >= by ? shim_lane() - by : shim_lane());
}

static unsigned __ballot_sync(unsigned, int mine) {
    unsigned bits = mine ? 1u << shim_lane() : 0;
    for (int by = 16; by > 0; by /= 2) bits |= shim::exchange(bits, shim_lane() ^ by);
    return bits;
}

template <class T, class U> T atomicAdd(T* at, U by) { T old = *at; *at = old + (T)by; return old; }
template <class T, class U> T atomicOr(T* at, U by) { T old = *at; *at = old | (T)by; return old; }
template <class T, class U> T atomicMin(T* at, U by) { T old = *at; *at = min(old, (T)by); return old; }
template <class T, class U> T atomicMax(T* at, U by) { T old = *at; *at = max(old, (T)by); return old; }
template <class T> T atomicCAS(T* at, T was, T now) { T old = *at; if (old == was) *at = now; return old; }
template <class T> T atomicExch(T* at, T now) { T old = *at; *at = now; return old; }

static void __threadfence() {}
template <class T> T __ldg(const T* at) { return *at; }
static int __clz(int v) { return v ? __builtin_clz(v) : 32; }
static int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
static int __ffsll(long long v) { return __builtin_ffsll(v); }
static int __ffs(int v) { return __builtin_ffs(v); }
static int __popc(unsigned v) { return __builtin_popcount(v); }
static int __clzll(long long v) { return v ? __builtin_clzll(v) : 64; }
static int __float_as_int(float v) { int i; memcpy(&i, &v, 4); return i; }
static float __int_as_float(int v) { float f; memcpy(&f, &v, 4); return f; }
static unsigned __float_as_uint(float v) { unsigned i; memcpy(&i, &v, 4); return i; }
static float __uint_as_float(unsigned v) { float f; memcpy(&f, &v, 4); return f; }
static float __fmul_rn(float a, float b) { return a * b; }
static float __fdividef(float a, float b) { return a / b; }
static float __saturatef(float v) { return v > 0 ? (v < 1 ? v : 1) : 0; }
static int __float2int_rn(float v) { return (int)nearbyintf(v); }
static float rsqrtf(float v) { return 1 / sqrtf(v); }

#define SHIM_EXPORT(name, bound) \
    extern "C" const char* shim_##name(const unsigned* d, void** a) { return shim::launch(name, bound, d, a); } \
    extern "C" const char* shim_signature_##name() { return shim::signature(name); }

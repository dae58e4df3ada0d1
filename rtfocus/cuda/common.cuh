// What every kernel file begins with. The text is compiled by NVRTC (CuPy), by nvcc, and in tests as C++.
#ifndef DYNAMIC_SHARED
#define DYNAMIC_SHARED(type, name) extern __shared__ __align__(16) type name[]
#endif

typedef unsigned char u8;
typedef unsigned short u16;  // also an IEEE 754 half as stored
typedef unsigned int u32;
typedef unsigned long long u64;

__device__ __forceinline__ float to_float(u16 half) {
#ifdef SHIM
    _Float16 value;
    memcpy(&value, &half, 2);
    return (float)value;
#else
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
    return value;
#endif
}

__device__ __forceinline__ u16 to_half(float value) {
    u16 half;
#ifdef SHIM
    const _Float16 rounded = (_Float16)value;
    memcpy(&half, &rounded, 2);
#else
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
#endif
    return half;
}

__device__ __forceinline__ float clamp(float value, float low, float high) { return fminf(fmaxf(value, low), high); }
__device__ __forceinline__ int clamp(int value, int low, int high) { return min(max(value, low), high); }

// Bits that are ordered as the values are.
__device__ __forceinline__ u32 to_key(float value) {
    const u32 bits = __float_as_uint(value);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ float from_key(u32 key) {
    return __uint_as_float(key >> 31 ? key & 0x7fffffffu : ~key);
}

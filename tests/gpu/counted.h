// Makes `float` of kernels a number that counts its multiplications, additions and divisions. For -include.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

extern "C" {
long long shim_operations;
}

struct counted {
    float value;
    counted() = default;
    counted(float v) : value(v) {}
    template <class T> explicit operator T() const { return (T)value; }
    counted operator-() const { return -value; }
};
template <class T> using number = std::enable_if_t<std::is_arithmetic_v<T>>;
#define COUNTED(op)                                                                                                   \
    inline counted operator op(counted a, counted b) { return ++shim_operations, a.value op b.value; }                \
    template <class T, class = number<T>> counted operator op(counted a, T b) { return a op counted(b); }             \
    template <class T, class = number<T>> counted operator op(T a, counted b) { return counted(a) op b; }             \
    template <class T> counted& operator op##=(counted& a, T b) { return a = a op counted(b); }
#define COMPARED(op)                                                                                                  \
    inline bool operator op(counted a, counted b) { return a.value op b.value; }                                      \
    template <class T, class = number<T>> bool operator op(counted a, T b) { return a.value op b; }                   \
    template <class T, class = number<T>> bool operator op(T a, counted b) { return a op b.value; }
COUNTED(+) COUNTED(-) COUNTED(*) COUNTED(/)
COMPARED(<) COMPARED(>) COMPARED(<=) COMPARED(>=) COMPARED(==) COMPARED(!=)
inline counted fminf(counted a, counted b) { return fminf(a.value, b.value); }
inline counted fmaxf(counted a, counted b) { return fmaxf(a.value, b.value); }
inline counted fabsf(counted a) { return fabsf(a.value); }
inline counted floorf(counted a) { return floorf(a.value); }
inline counted ceilf(counted a) { return ceilf(a.value); }
inline counted rintf(counted a) { return rintf(a.value); }
inline counted sqrtf(counted a) { return sqrtf(a.value); }
inline counted nearbyintf(counted a) { return nearbyintf(a.value); }
inline counted fmaf(counted a, counted b, counted c) { return a * b + c; }

#define float counted
#include "shim.h"

template <> constexpr char shim::kind<counted>() { return 'f'; }

// Metal's mathematical and integer functions, without vectors where no kernel
// needs them.
#pragma once

#include <cmath>

#include "types.hpp"

namespace metal {

template <class T, int N>
using vec = msl::Vector<T, N>;

// Functions of one float. A half goes through float and comes back rounded.
#define MSL_FUNCTION(name, body)                                           \
  inline float name(float x) { return body; }                              \
  template <class T, class = std::enable_if_t<msl::is_float16<T>::value>>  \
  T name(T h) {                                                            \
    return T(name(float(h)));                                              \
  }
#define MSL_FUNCTIONS               \
  MSL_FUNCTION(exp, std::exp(x))    \
  MSL_FUNCTION(exp2, std::exp2(x))  \
  MSL_FUNCTION(log, std::log(x))    \
  MSL_FUNCTION(log2, std::log2(x))  \
  MSL_FUNCTION(sqrt, std::sqrt(x))  \
  MSL_FUNCTION(rsqrt, 1.0f / std::sqrt(x)) \
  MSL_FUNCTION(sin, std::sin(x))    \
  MSL_FUNCTION(cos, std::cos(x))    \
  MSL_FUNCTION(tanh, std::tanh(x))
MSL_FUNCTIONS
MSL_FUNCTION(abs, std::fabs(x))
MSL_FUNCTION(fabs, std::fabs(x))
MSL_FUNCTION(floor, std::floor(x))
MSL_FUNCTION(ceil, std::ceil(x))
MSL_FUNCTION(round, std::round(x))
MSL_FUNCTION(rint, std::nearbyint(x))
MSL_FUNCTION(trunc, std::trunc(x))
namespace precise {
MSL_FUNCTIONS
}
namespace fast {
MSL_FUNCTIONS
}
inline int abs(int x) { return x < 0 ? -x : x; }
inline float pow(float x, float y) { return std::pow(x, y); }
inline float fma(float a, float b, float c) { return std::fma(a, b, c); }
inline float sign(float x) { return x > 0 ? 1.0f : x < 0 ? -1.0f : x; }
inline float copysign(float x, float y) { return std::copysign(x, y); }
inline bool isnan(float x) { return std::isnan(x); }
inline bool isinf(float x) { return std::isinf(x); }
inline bool isfinite(float x) { return std::isfinite(x); }

// Both arguments of one type, as MSL demands where a literal does not fit.
template <class T>
T max(T a, T b) {
  return a > b ? a : b;
}
template <class T>
T min(T a, T b) {
  return a < b ? a : b;
}
template <class T>
T clamp(T x, T low, T high) {
  return min(max(x, low), high);
}
template <class T>
T select(T when_false, T when_true, bool condition) {
  return condition ? when_true : when_false;
}

inline uint popcount(uint x) { return uint(__builtin_popcount(x)); }
inline uint ctz(uint x) { return x ? uint(__builtin_ctz(x)) : 32u; }
inline uint clz(uint x) { return x ? uint(__builtin_clz(x)) : 32u; }
inline uint extract_bits(uint x, uint offset, uint bits) {
  if (offset + bits > 32) msl::fail("extract_bits beyond 32 bits", {nullptr, 0}, {nullptr, 0});
  return bits == 0 ? 0u : (x >> offset) & (~0u >> (32 - bits));
}

template <class T, int N>
T dot(msl::Vector<T, N> a, msl::Vector<T, N> b) {
  T sum = T(a[0] * b[0]);
  for (int i = 1; i < N; i++) sum = T(sum + a[i] * b[i]);
  return sum;
}

}  // namespace metal

template <class To, class From>
To as_type(const From& from) {
  return msl::bits_as<To>(from);
}

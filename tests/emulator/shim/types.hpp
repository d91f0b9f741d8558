// The scalar and vector types of the Metal shading language that C++ lacks.
// `half` and `bfloat` compute in float and round to nearest even at each
// operation, which for +, -, *, / equals rounding the exact result once.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

typedef uint32_t uint;
typedef uint16_t ushort;
typedef uint8_t uchar;
typedef unsigned long ulong;

namespace msl {

template <class To, class From>
inline To bits_as(const From& from) {
  static_assert(sizeof(To) == sizeof(From), "as_type between sizes");
  To to;
  memcpy(static_cast<void*>(&to), &from, sizeof to);
  return to;
}

inline float half_to_float(uint16_t h) {
  uint32_t sign = uint32_t(h & 0x8000u) << 16, exponent = (h >> 10) & 31;
  uint32_t mantissa = h & 1023;
  if (exponent == 0) {  // subnormal: mantissa * 2^-24, exact
    float f = float(mantissa) * 5.9604644775390625e-8f;
    return bits_as<float>(bits_as<uint32_t>(f) | sign);
  }
  if (exponent == 31) return bits_as<float>(sign | 0x7f800000u | (mantissa << 13));
  return bits_as<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

inline uint16_t float_to_half(float f) {
  uint32_t u = bits_as<uint32_t>(f);
  uint32_t sign = (u >> 16) & 0x8000u, magnitude = u & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return uint16_t(sign | 0x7e00u | ((u >> 13) & 0x3ffu));
  if (magnitude >= 0x477ff000u) return uint16_t(sign | 0x7c00u);  // from 65520 on
  if (magnitude < 0x38800000u) {
    // Below 2^-14: adding 0.5 leaves units of 2^-24 in the last mantissa bits,
    // rounded to nearest even by the addition itself.
    float shifted = bits_as<float>(magnitude) + 0.5f;
    return uint16_t(sign | (bits_as<uint32_t>(shifted) - 0x3f000000u));
  }
  uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1);
  return uint16_t(sign | ((rounded >> 13) - (112u << 10)));
}

inline float bfloat_to_float(uint16_t b) { return bits_as<float>(uint32_t(b) << 16); }

inline uint16_t float_to_bfloat(float f) {
  uint32_t u = bits_as<uint32_t>(f);
  if ((u & 0x7fffffffu) > 0x7f800000u) return uint16_t((u >> 16) | 0x40);
  return uint16_t((u + 0x7fffu + ((u >> 16) & 1)) >> 16);
}

// A 16-bit float. With an operand of its own type or an integer a result has
// its type; with a float it is a float; half and bfloat do not mix, as in MSL.
template <float (*Widen)(uint16_t), uint16_t (*Narrow)(float)>
struct Float16 {
  uint16_t bits;
  Float16() = default;
  template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
  Float16(T x) : bits(Narrow(float(x))) {}
  template <float (*W)(uint16_t), uint16_t (*N)(float)>
  explicit Float16(Float16<W, N> x) : bits(Narrow(float(x))) {}
  operator float() const { return Widen(bits); }
  Float16 operator-() const {
    Float16 r;
    r.bits = bits ^ 0x8000u;
    return r;
  }
  Float16 operator+() const { return *this; }
};

template <class T>
struct is_float16 : std::false_type {};
template <float (*W)(uint16_t), uint16_t (*N)(float)>
struct is_float16<Float16<W, N>> : std::true_type {};

#define MSL_FLOAT16_TEMPLATE template <float (*W)(uint16_t), uint16_t (*N)(float)>
#define MSL_FLOAT16_OPERATOR(op)                                                       \
  MSL_FLOAT16_TEMPLATE Float16<W, N> operator op(Float16<W, N> a, Float16<W, N> b) {   \
    return Float16<W, N>(float(a) op float(b));                                        \
  }                                                                                    \
  MSL_FLOAT16_TEMPLATE float operator op(Float16<W, N> a, float b) { return float(a) op b; } \
  MSL_FLOAT16_TEMPLATE float operator op(float a, Float16<W, N> b) { return a op float(b); } \
  template <class T, float (*W)(uint16_t), uint16_t (*N)(float),                       \
            class = std::enable_if_t<std::is_integral_v<T>>>                           \
  Float16<W, N> operator op(Float16<W, N> a, T b) {                                    \
    return a op Float16<W, N>(b);                                                      \
  }                                                                                    \
  template <class T, float (*W)(uint16_t), uint16_t (*N)(float),                       \
            class = std::enable_if_t<std::is_integral_v<T>>>                           \
  Float16<W, N> operator op(T a, Float16<W, N> b) {                                    \
    return Float16<W, N>(a) op b;                                                      \
  }                                                                                    \
  template <class T, float (*W)(uint16_t), uint16_t (*N)(float)>                       \
  Float16<W, N>& operator op##=(Float16<W, N>& a, T b) {                               \
    a = Float16<W, N>(a op b);                                                         \
    return a;                                                                          \
  }
MSL_FLOAT16_OPERATOR(+)
MSL_FLOAT16_OPERATOR(-)
MSL_FLOAT16_OPERATOR(*)
MSL_FLOAT16_OPERATOR(/)

// Vectors of 2, 3 or 4 elements: components, constructors, element-wise
// arithmetic. No swizzles.
template <class T, int N>
struct Vector;

template <class T>
struct alignas(2 * sizeof(T)) Vector<T, 2> {
  T x, y;
  Vector() = default;
  Vector(T a) : x(a), y(a) {}
  Vector(T a, T b) : x(a), y(b) {}
  template <class U>
  explicit Vector(Vector<U, 2> v) : x(T(v.x)), y(T(v.y)) {}
  T& operator[](int i) { return (&x)[i]; }
  const T& operator[](int i) const { return (&x)[i]; }
};

// As large as four elements, like MSL's.
template <class T>
struct alignas(4 * sizeof(T)) Vector<T, 3> {
  T x, y, z;
  Vector() = default;
  Vector(T a) : x(a), y(a), z(a) {}
  Vector(T a, T b, T c) : x(a), y(b), z(c) {}
  template <class U>
  explicit Vector(Vector<U, 3> v) : x(T(v.x)), y(T(v.y)), z(T(v.z)) {}
  T& operator[](int i) { return (&x)[i]; }
  const T& operator[](int i) const { return (&x)[i]; }
};

template <class T>
struct alignas(4 * sizeof(T)) Vector<T, 4> {
  T x, y, z, w;
  Vector() = default;
  Vector(T a) : x(a), y(a), z(a), w(a) {}
  Vector(T a, T b, T c, T d) : x(a), y(b), z(c), w(d) {}
  Vector(Vector<T, 2> a, Vector<T, 2> b) : x(a.x), y(a.y), z(b.x), w(b.y) {}
  Vector(Vector<T, 3> a, T b) : x(a.x), y(a.y), z(a.z), w(b) {}
  template <class U>
  explicit Vector(Vector<U, 4> v) : x(T(v.x)), y(T(v.y)), z(T(v.z)), w(T(v.w)) {}
  T& operator[](int i) { return (&x)[i]; }
  const T& operator[](int i) const { return (&x)[i]; }
};

#define MSL_VECTOR_OPERATOR(op)                                          \
  template <class T, int N>                                              \
  Vector<T, N> operator op(Vector<T, N> a, const Vector<T, N>& b) {      \
    for (int i = 0; i < N; i++) a[i] = T(a[i] op b[i]);                  \
    return a;                                                            \
  }                                                                      \
  template <class T, int N>                                              \
  Vector<T, N> operator op(Vector<T, N> a, std::common_type_t<T> b) {    \
    for (int i = 0; i < N; i++) a[i] = T(a[i] op b);                     \
    return a;                                                            \
  }                                                                      \
  template <class T, int N>                                              \
  Vector<T, N> operator op(std::common_type_t<T> a, Vector<T, N> b) {    \
    for (int i = 0; i < N; i++) b[i] = T(a op b[i]);                     \
    return b;                                                            \
  }                                                                      \
  template <class T, int N, class U>                                     \
  Vector<T, N>& operator op##=(Vector<T, N>& a, const U& b) {            \
    return a = a op b;                                                   \
  }
MSL_VECTOR_OPERATOR(+)
MSL_VECTOR_OPERATOR(-)
MSL_VECTOR_OPERATOR(*)
MSL_VECTOR_OPERATOR(/)
MSL_VECTOR_OPERATOR(&)
MSL_VECTOR_OPERATOR(|)
MSL_VECTOR_OPERATOR(^)
MSL_VECTOR_OPERATOR(<<)
MSL_VECTOR_OPERATOR(>>)

template <class T, int N>
Vector<T, N> operator-(Vector<T, N> a) {
  for (int i = 0; i < N; i++) a[i] = -a[i];
  return a;
}

}  // namespace msl

typedef msl::Float16<msl::half_to_float, msl::float_to_half> half;
typedef msl::Float16<msl::bfloat_to_float, msl::float_to_bfloat> bfloat;
typedef half float16_t;
typedef bfloat bfloat16_t;

#define MSL_VECTORS(T)             \
  typedef msl::Vector<T, 2> T##2;  \
  typedef msl::Vector<T, 3> T##3;  \
  typedef msl::Vector<T, 4> T##4;
MSL_VECTORS(float)
MSL_VECTORS(half)
MSL_VECTORS(bfloat)
MSL_VECTORS(int)
MSL_VECTORS(uint)
MSL_VECTORS(short)
MSL_VECTORS(ushort)
MSL_VECTORS(char)
MSL_VECTORS(uchar)
MSL_VECTORS(ulong)

// Declarations of the same subset, for clang to check types by: it has address
// spaces that are part of a pointer's type, as Metal's compiler has, which is
// itself a clang. Nothing here is ever run. `bfloat` is stood in for by double,
// which kernels do not have otherwise.
#pragma once

typedef unsigned char uchar, uint8_t;
typedef unsigned short ushort, uint16_t;
typedef unsigned int uint, uint32_t;
typedef unsigned long ulong, uint64_t, size_t;
typedef signed char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef long int64_t;
typedef _Float16 half, float16_t;
typedef double bfloat, bfloat16_t;

#define device __attribute__((address_space(1)))
#define constant __attribute__((address_space(2)))
#define threadgroup __attribute__((address_space(3)))
#define thread
#define kernel
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define M_PI_F 3.14159265f

// Vectors. `float4(...)` reaches here as `make_float4(...)`.
#define MSL_VECTOR(T, N) typedef T T##N __attribute__((ext_vector_type(N)));
#define MSL_VECTORS(T)                                                     \
  MSL_VECTOR(T, 2) MSL_VECTOR(T, 3) MSL_VECTOR(T, 4)                       \
  inline T##2 make_##T##2(T a) { return a; }                               \
  inline T##3 make_##T##3(T a) { return a; }                               \
  inline T##4 make_##T##4(T a) { return a; }                               \
  inline T##2 make_##T##2(T a, T b) { return T##2{a, b}; }                 \
  inline T##3 make_##T##3(T a, T b, T c) { return T##3{a, b, c}; }         \
  inline T##4 make_##T##4(T a, T b, T c, T d) { return T##4{a, b, c, d}; } \
  inline T##4 make_##T##4(T##2 a, T##2 b) { return T##4{a.x, a.y, b.x, b.y}; } \
  inline T##4 make_##T##4(T##3 a, T b) { return T##4{a.x, a.y, a.z, b}; }  \
  template <class V, class = decltype(V().x)>                              \
  inline T##2 make_##T##2(V v) { return T##2{T(v.x), T(v.y)}; }            \
  template <class V, class = decltype(V().x)>                              \
  inline T##3 make_##T##3(V v) { return T##3{T(v.x), T(v.y), T(v.z)}; }    \
  template <class V, class = decltype(V().x)>                              \
  inline T##4 make_##T##4(V v) { return T##4{T(v.x), T(v.y), T(v.z), T(v.w)}; }
MSL_VECTORS(float)
MSL_VECTORS(half)
MSL_VECTORS(bfloat)
MSL_VECTORS(char)
MSL_VECTORS(uchar)
MSL_VECTORS(short)
MSL_VECTORS(ushort)
MSL_VECTORS(int)
MSL_VECTORS(uint)
MSL_VECTORS(ulong)

template <class To, class From>
To as_type(From);

namespace metal {

template <class T, int N>
using vec = T __attribute__((ext_vector_type(N)));

#define MSL_FUNCTION(name) \
  float name(float);       \
  half name(half);         \
  bfloat name(bfloat);
#define MSL_FUNCTIONS                                                                         \
  MSL_FUNCTION(exp) MSL_FUNCTION(exp2) MSL_FUNCTION(log) MSL_FUNCTION(log2) MSL_FUNCTION(sqrt) \
  MSL_FUNCTION(rsqrt) MSL_FUNCTION(sin) MSL_FUNCTION(cos) MSL_FUNCTION(tanh)
MSL_FUNCTIONS
MSL_FUNCTION(abs)
MSL_FUNCTION(fabs)
MSL_FUNCTION(floor)
MSL_FUNCTION(ceil)
MSL_FUNCTION(round)
MSL_FUNCTION(rint)
MSL_FUNCTION(trunc)
namespace precise {
MSL_FUNCTIONS
}
namespace fast {
MSL_FUNCTIONS
}
int abs(int);
float pow(float, float);
float fma(float, float, float);
float sign(float);
float copysign(float, float);
bool isnan(float);
bool isinf(float);
bool isfinite(float);
template <class T> T max(T, T);
template <class T> T min(T, T);
template <class T> T clamp(T, T, T);
template <class T> T select(T, T, bool);
uint popcount(uint);
uint ctz(uint);
uint clz(uint);
uint extract_bits(uint, uint, uint);
template <class V> auto dot(V a, V b) -> decltype(a.x * b.x);

enum class mem_flags { mem_none, mem_device, mem_threadgroup };
void threadgroup_barrier(mem_flags);
void simdgroup_barrier(mem_flags);
template <class T> T simd_sum(T);
template <class T> T simd_max(T);
template <class T> T simd_min(T);
bool simd_any(bool);
bool simd_all(bool);
template <class T> T simd_shuffle(T, ushort);
template <class T> T simd_broadcast(T, ushort);
template <class T> T simd_broadcast_first(T);
template <class T> T simd_shuffle_xor(T, ushort);
template <class T> T simd_shuffle_down(T, ushort);
template <class T> T simd_shuffle_up(T, ushort);
template <class T> T simd_prefix_exclusive_sum(T);
template <class T> T simd_prefix_inclusive_sum(T);

template <class T, int Rows, int Columns>
struct simdgroup_matrix {
  simdgroup_matrix() = default;
  explicit simdgroup_matrix(T);
  vec<T, 2>& thread_elements();
};
typedef simdgroup_matrix<float, 8, 8> simdgroup_float8x8;
typedef simdgroup_matrix<half, 8, 8> simdgroup_half8x8;
typedef simdgroup_matrix<bfloat, 8, 8> simdgroup_bfloat8x8;
template <class T, int R, int C> simdgroup_matrix<T, R, C> make_filled_simdgroup_matrix(T);

// To and from memory of the matrix's own element type, device or threadgroup.
#define MSL_MATRIX_MEMORY(space)                                                                    \
  template <class T>                                                                                \
  void simdgroup_load(simdgroup_matrix<T, 8, 8>&, const space T*, ulong = 8, ulong2 = 0, bool = false); \
  template <class T>                                                                                \
  void simdgroup_store(simdgroup_matrix<T, 8, 8>, space T*, ulong = 8, ulong2 = 0, bool = false);
MSL_MATRIX_MEMORY(device)
MSL_MATRIX_MEMORY(threadgroup)
template <class D, class A, class B, class C>
void simdgroup_multiply_accumulate(simdgroup_matrix<D, 8, 8>&, simdgroup_matrix<A, 8, 8>,
                                   simdgroup_matrix<B, 8, 8>, simdgroup_matrix<C, 8, 8>);
template <class D, class A, class B>
void simdgroup_multiply(simdgroup_matrix<D, 8, 8>&, simdgroup_matrix<A, 8, 8>, simdgroup_matrix<B, 8, 8>);

}  // namespace metal

using namespace metal;

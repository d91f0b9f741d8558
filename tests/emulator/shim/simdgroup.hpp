// Barriers, simdgroup functions and 8x8 simdgroup matrices. The line of the
// call comes with each as a hidden argument: lanes that meet from different
// lines have diverged, which Metal leaves undefined and this reports.
#pragma once

#include "runtime.hpp"

#define MSL_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace msl {

template <class T>
T read_slot(const unsigned char* from) {
  T value;
  memcpy(static_cast<void*>(&value), from, sizeof value);
  return value;
}

// All values of the simdgroup to one lane's choice among them.
template <class T, class Choose>
T exchange(T value, Choose choose, Site site) {
  static_assert(sizeof(T) <= SLOT, "too large for a simd function");
  int at = parity(), me = lane();
  memcpy(slot(at, me), &value, sizeof value);
  if (arrive(site))
    release();
  else
    block();
  // A lane that does not exist gives NaN: its slot is poisoned.
  return read_slot<T>(slot(at, choose(me)));
}

// Adds in the order of a butterfly, as hardware does.
template <class T, class Combine>
T reduce(T value, Combine combine, Site site) {
  static_assert(sizeof(T) <= SLOT, "too large for a simd function");
  int at = parity(), count = lanes();
  memcpy(slot(at, lane()), &value, sizeof value);
  if (arrive(site)) {
    T all[SIMD];
    for (int i = 0; i < count; i++) all[i] = read_slot<T>(slot(at, i));
    for (int step = 1; step < SIMD; step *= 2)
      for (int i = 0; i + step < count; i += 2 * step) all[i] = combine(all[i], all[i + step]);
    memcpy(shared_slot(at), &all[0], sizeof all[0]);
    release();
  } else {
    block();
  }
  return read_slot<T>(shared_slot(at));
}

inline int lane_number(int which, Site site) {
  if (which < 0 || which >= SIMD) fail("a simd function names a lane outside 0..32", site, site);
  return which;
}

// Where in an 8x8 matrix a lane's two elements stand, side by side in a row:
// the layout of Apple's GPUs.
inline int matrix_row(int lane) { return ((lane / 4) & 4) + (lane / 2) % 4; }
inline int matrix_column(int lane) { return ((lane / 4) & 2) * 2 + (lane % 2) * 2; }

}  // namespace msl

namespace metal {

enum class mem_flags { mem_none, mem_device, mem_threadgroup };

inline void threadgroup_barrier(mem_flags, MSL_HERE) { msl::group_barrier({file, line}); }
inline void simdgroup_barrier(mem_flags, MSL_HERE) {
  if (msl::arrive({file, line}))
    msl::release();
  else
    msl::block();
}

template <class T>
T simd_sum(T value, MSL_HERE) {
  return msl::reduce(value, [](T a, T b) { return T(a + b); }, {file, line});
}
template <class T>
T simd_max(T value, MSL_HERE) {
  return msl::reduce(value, [](T a, T b) { return a > b ? a : b; }, {file, line});
}
template <class T>
T simd_min(T value, MSL_HERE) {
  return msl::reduce(value, [](T a, T b) { return a < b ? a : b; }, {file, line});
}
inline bool simd_any(bool value, MSL_HERE) {
  return msl::reduce(int(value), [](int a, int b) { return a | b; }, {file, line}) != 0;
}
inline bool simd_all(bool value, MSL_HERE) {
  return msl::reduce(int(value), [](int a, int b) { return a & b; }, {file, line}) != 0;
}
template <class T>
T simd_shuffle(T value, ushort from, MSL_HERE) {
  msl::Site site{file, line};
  return msl::exchange(value, [=](int) { return msl::lane_number(from, site); }, site);
}
template <class T>
T simd_broadcast(T value, ushort from, MSL_HERE) {
  return simd_shuffle(value, from, file, line);
}
template <class T>
T simd_broadcast_first(T value, MSL_HERE) {
  return simd_shuffle(value, 0, file, line);
}
template <class T>
T simd_shuffle_xor(T value, ushort mask, MSL_HERE) {
  msl::Site site{file, line};
  return msl::exchange(value, [=](int me) { return msl::lane_number(me ^ mask, site); }, site);
}
// Lanes at the end keep their value.
template <class T>
T simd_shuffle_down(T value, ushort delta, MSL_HERE) {
  return msl::exchange(
      value, [=](int me) { return me + delta < msl::SIMD ? me + delta : me; }, {file, line});
}
template <class T>
T simd_shuffle_up(T value, ushort delta, MSL_HERE) {
  return msl::exchange(value, [=](int me) { return me >= delta ? me - delta : me; }, {file, line});
}
template <class T>
T simd_prefix_exclusive_sum(T value, MSL_HERE) {
  // Adds up lane by lane in the slots themselves, once for all.
  int at = msl::parity(), me = msl::lane(), count = msl::lanes();
  memcpy(msl::slot(at, me), &value, sizeof value);
  if (msl::arrive({file, line})) {
    T sum = T(0);
    for (int i = 0; i < count; i++) {
      T own = msl::read_slot<T>(msl::slot(at, i));
      memcpy(msl::slot(at, i), &sum, sizeof sum);
      sum = T(sum + own);
    }
    msl::release();
  } else {
    msl::block();
  }
  return msl::read_slot<T>(msl::slot(at, me));
}
template <class T>
T simd_prefix_inclusive_sum(T value, MSL_HERE) {
  return T(simd_prefix_exclusive_sum(value, file, line) + value);
}

template <class T, int Rows, int Columns>
struct simdgroup_matrix {
  static_assert(Rows == 8 && Columns == 8, "simdgroup matrices are 8x8");
  msl::Vector<T, 2> elements;
  simdgroup_matrix() = default;
  // The value on the diagonal, zero elsewhere, as MSL has it.
  explicit simdgroup_matrix(T value) {
    int offset = msl::matrix_row(msl::lane()) - msl::matrix_column(msl::lane());
    for (int i = 0; i < 2; i++) elements[i] = i == offset ? value : T(0);
  }
  msl::Vector<T, 2>& thread_elements() { return elements; }
};
typedef simdgroup_matrix<float, 8, 8> simdgroup_float8x8;
typedef simdgroup_matrix<half, 8, 8> simdgroup_half8x8;
typedef simdgroup_matrix<bfloat, 8, 8> simdgroup_bfloat8x8;

template <class T, int Rows, int Columns>
simdgroup_matrix<T, Rows, Columns> make_filled_simdgroup_matrix(T value) {
  simdgroup_matrix<T, Rows, Columns> m;
  m.elements = msl::Vector<T, 2>(value);
  return m;
}

// From and to memory of the matrix's own type: Metal converts nothing here.
// Memory is read and written at once, without waiting for the other lanes: what
// they wrote needs a barrier before, as on the device.
template <class T>
void simdgroup_load(simdgroup_matrix<T, 8, 8>& m, const T* from, ulong stride = 8,
                    ulong2 origin = ulong2(0, 0), bool transpose = false, MSL_HERE) {
  msl::collective({file, line});
  ulong row = ulong(msl::matrix_row(msl::lane())), column = ulong(msl::matrix_column(msl::lane()));
  for (int i = 0; i < 2; i++, column++)
    m.elements[i] = transpose ? from[(column + origin.y) * stride + row + origin.x]
                              : from[(row + origin.y) * stride + column + origin.x];
}
template <class T>
void simdgroup_store(const simdgroup_matrix<T, 8, 8>& m, T* to, ulong stride = 8,
                     ulong2 origin = ulong2(0, 0), bool transpose = false, MSL_HERE) {
  msl::collective({file, line});
  ulong row = ulong(msl::matrix_row(msl::lane())), column = ulong(msl::matrix_column(msl::lane()));
  for (int i = 0; i < 2; i++, column++)
    (transpose ? to[(column + origin.y) * stride + row + origin.x]
               : to[(row + origin.y) * stride + column + origin.x]) = m.elements[i];
}

// d = a * b + c, summed in float.
template <class D, class A, class B, class C>
void simdgroup_multiply_accumulate(simdgroup_matrix<D, 8, 8>& d, const simdgroup_matrix<A, 8, 8>& a,
                                   const simdgroup_matrix<B, 8, 8>& b,
                                   const simdgroup_matrix<C, 8, 8>& c, MSL_HERE) {
  struct Part {
    float a[2], b[2], c[2];
  };
  Part mine{{float(a.elements.x), float(a.elements.y)},
            {float(b.elements.x), float(b.elements.y)},
            {float(c.elements.x), float(c.elements.y)}};
  msl::Site site{file, line};
  int at = msl::parity(), me = msl::lane();
  memcpy(msl::slot(at, me), &mine, sizeof mine);
  if (msl::arrive(site)) {
    if (msl::lanes() != msl::SIMD) msl::fail("a matrix product in part of a simdgroup", site, site);
    float left[8][8], right[8][8];
    for (int l = 0; l < msl::SIMD; l++) {
      Part part = msl::read_slot<Part>(msl::slot(at, l));
      int row = msl::matrix_row(l), column = msl::matrix_column(l);
      for (int i = 0; i < 2; i++) {
        left[row][column + i] = part.a[i];
        right[row][column + i] = part.b[i];
      }
    }
    for (int l = 0; l < msl::SIMD; l++) {
      Part part = msl::read_slot<Part>(msl::slot(at, l));
      int row = msl::matrix_row(l), column = msl::matrix_column(l);
      for (int i = 0; i < 2; i++)
        for (int k = 0; k < 8; k++) part.c[i] += left[row][k] * right[k][column + i];
      memcpy(msl::slot(at, l), &part, sizeof part);
    }
    msl::release();
  } else {
    msl::block();
  }
  Part result = msl::read_slot<Part>(msl::slot(at, me));
  for (int i = 0; i < 2; i++) d.elements[i] = D(result.c[i]);
}
template <class D, class A, class B>
void simdgroup_multiply(simdgroup_matrix<D, 8, 8>& d, const simdgroup_matrix<A, 8, 8>& a,
                        const simdgroup_matrix<B, 8, 8>& b, MSL_HERE) {
  simdgroup_matrix<D, 8, 8> zero = make_filled_simdgroup_matrix<D, 8, 8>(D(0));
  simdgroup_multiply_accumulate(d, a, b, zero, file, line);
}

}  // namespace metal

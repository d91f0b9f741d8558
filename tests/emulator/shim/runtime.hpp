// What a kernel's unit and the runtime say to each other. One stackful fiber
// runs each GPU thread; all fibers of a threadgroup share one OS thread and
// switch only where they wait for each other.
#pragma once

#include "types.hpp"

namespace msl {

constexpr int SIMD = 32;
constexpr int SLOT = 64;

// The values of Metal's thread attributes for one thread.
struct Attributes {
  uint3 thread_position_in_grid, thread_position_in_threadgroup;
  uint3 threadgroup_position_in_grid, threadgroups_per_grid, threads_per_grid;
  uint3 threads_per_threadgroup, dispatch_threads_per_threadgroup;
  uint thread_index_in_threadgroup, thread_index_in_simdgroup;
  uint simdgroup_index_in_threadgroup, simdgroups_per_threadgroup;
  uint dispatch_simdgroups_per_threadgroup;
  uint threads_per_simdgroup, thread_execution_width;
};

struct Array {
  void* data;
  const int* shape;
  const int64_t* strides;
  int rank;
};

// Where in a kernel's text something is called.
struct Site {
  const char* file;
  int line;
};

// This thread's number in its simdgroup, and how many threads that one has.
int lane();
int lanes();

// A rendezvous of the simdgroup. Each lane puts a value into its slot, then
// arrives. The last one is told so, may work on all slots, and releases the
// others, which block until then. Slots alternate, so that a fast lane's next
// value can't overwrite one that a slow lane has yet to read. `parity` is
// taken before arriving.
int parity();
unsigned char* slot(int parity, int lane);
unsigned char* shared_slot(int parity);
bool arrive(Site site);
void release();
void block();

void group_barrier(Site site);
// Something that every lane of a simdgroup must do together, but which does
// not make them wait; checked at their next rendezvous.
void collective(Site site);
// Called where threadgroup memory is declared: counts it against the limit and
// poisons it once per threadgroup.
void threadgroup_memory(void* data, size_t bytes);

[[noreturn]] void fail(const char* what, Site a, Site b);

}  // namespace msl

// Defined by each kernel's unit.
extern const int msl_inputs;
extern const int msl_outputs;
void msl_kernel(const msl::Array* inputs, const msl::Array* outputs,
                const msl::Attributes& attributes);

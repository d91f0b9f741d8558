// Runs one call of a kernel: reads it from stdin, places each array between
// unreadable pages, runs all threadgroups with one fiber per thread, writes the
// outputs to stdout. What a device would leave undefined ends the process with
// a line on stderr.
//
// Compiled without sanitizers, so that switching stacks is not instrumented.
#include "runtime.hpp"

#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

extern "C" {
void __asan_poison_memory_region(const volatile void*, size_t) __attribute__((weak));
void __asan_unpoison_memory_region(const volatile void*, size_t) __attribute__((weak));
}

namespace msl {

// Switching fibers. The compiler's own jumps cost a few instructions; where it
// has none, libc's do.
#if defined(__x86_64__) || (defined(__GNUC__) && !defined(__clang__))
typedef void* Jump[5];
#define MSL_SAVE(jump) __builtin_setjmp(jump)
#define MSL_JUMP(jump) __builtin_longjmp(jump, 1)
#else
typedef jmp_buf Jump;
#define MSL_SAVE(jump) _setjmp(jump)
#define MSL_JUMP(jump) _longjmp(jump, 1)
#endif

// The optimiser does not see where a jump goes; it must assume nothing about
// what functions that jump leave unchanged.
#if defined(__clang__)
#define MSL_OPAQUE __attribute__((noinline, optnone))
#else
#define MSL_OPAQUE __attribute__((noipa))
#endif

constexpr int MOST_THREADS = 1024;
constexpr size_t MOST_THREADGROUP_MEMORY = 32 << 10;
constexpr size_t STACK = 256 << 10;
constexpr size_t GUARD = 1 << 20;
constexpr int MOST_ARRAYS = 31;  // Metal's limit on buffers

struct Fiber {
  Jump jump;
  ucontext_t context;
  bool started, done;
  int index;
  Site site;
  uint64_t simd_turn, group_turn, trace;
  Attributes attributes;
};

struct Simdgroup {
  uint64_t turn, trace;
  int arrived, size;
  Site site;
  alignas(64) unsigned char slots[2][SIMD][SLOT];
  alignas(64) unsigned char shared[2][SLOT];
};

static Fiber fibers[MOST_THREADS];
static Simdgroup simdgroups[MOST_THREADS / SIMD];
static Fiber* current;
static Jump scheduler;
static int group_size, group_arrived;
static uint64_t group_turn, switches;
static Site group_site;
static const void* declared[64];
static int declarations;
static size_t declared_bytes;
static Array inputs[MOST_ARRAYS], outputs[MOST_ARRAYS];

void fail(const char* what, Site a, Site b) {
  fflush(stdout);
  fprintf(stderr, "emulator: %s", what);
  if (a.file) fprintf(stderr, ", at %s:%d", a.file, a.line);
  if (b.file && (b.line != a.line || strcmp(b.file, a.file))) fprintf(stderr, " and %s:%d", b.file, b.line);
  fprintf(stderr, "\n");
  _exit(3);
}

static bool same(Site a, Site b) { return a.line == b.line && !strcmp(a.file, b.file); }

static Simdgroup& own() { return simdgroups[current->index / SIMD]; }

int lane() { return current->index % SIMD; }
int lanes() { return own().size; }
int parity() { return int(current->simd_turn & 1); }
unsigned char* slot(int parity, int lane) { return own().slots[parity][lane]; }
unsigned char* shared_slot(int parity) { return own().shared[parity]; }

// Apart, because no function may hold both the compiler's save and its jump.
[[noreturn]] MSL_OPAQUE static void jump_to(Jump& jump) { MSL_JUMP(jump); }

// Back to the scheduler, until it resumes this fiber.
MSL_OPAQUE static void leave() {
  switches++;
  if (MSL_SAVE(current->jump) == 0) jump_to(scheduler);
}

bool arrive(Site site) {
  Fiber* self = current;
  Simdgroup& group = own();
  if (group.arrived == 0) {
    group.site = site;
    group.trace = self->trace;
  } else if (!same(group.site, site)) {
    fail("divergent simd functions: lanes of one simdgroup meet in different ones", group.site, site);
  } else if (group.trace != self->trace) {
    fail("lanes of one simdgroup have loaded or stored different matrices before this", site, site);
  }
  self->site = site;
  self->simd_turn++;
  return ++group.arrived == group.size;
}

void release() {
  own().arrived = 0;
  own().turn++;
}

void block() {
  Fiber* self = current;
  while (own().turn < self->simd_turn) leave();
}

void group_barrier(Site site) {
  Fiber* self = current;
  if (group_arrived == 0)
    group_site = site;
  else if (!same(group_site, site))
    fail("divergent threadgroup barriers: threads of one group wait at different ones", group_site, site);
  self->site = site;
  self->group_turn++;
  if (++group_arrived == group_size) {
    group_arrived = 0;
    group_turn++;
    return;
  }
  while (group_turn < self->group_turn) leave();
}

void collective(Site site) {
  uint64_t hash = current->trace ^ uint64_t(site.line);
  for (const char* c = site.file; *c; c++) hash = (hash ^ uint64_t(*c)) * 0x100000001b3u;
  current->trace = hash + 1;
}

void threadgroup_memory(void* data, size_t bytes) {
  for (int i = 0; i < declarations; i++)
    if (declared[i] == data) return;
  if (declarations == 64) fail("more than 64 threadgroup arrays", {nullptr, 0}, {nullptr, 0});
  declared[declarations++] = data;
  declared_bytes += (bytes + 15) / 16 * 16;
  if (declared_bytes > MOST_THREADGROUP_MEMORY)
    fail("more than 32 KiB of threadgroup memory", {nullptr, 0}, {nullptr, 0});
  memset(data, 0xff, bytes);
}

// What each fiber runs: one thread after another, one per resumption.
static void enter() {
  for (;;) {
    msl_kernel(inputs, outputs, current->attributes);
    current->done = true;
    leave();
  }
}

MSL_OPAQUE static void resume(Fiber* fiber) {
  current = fiber;
  if (MSL_SAVE(scheduler) != 0) return;
  if (fiber->started) jump_to(fiber->jump);
  fiber->started = true;
  void* stack = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (stack == MAP_FAILED) fail("no memory for a thread's stack", {nullptr, 0}, {nullptr, 0});
  mprotect(stack, 4096, PROT_NONE);
  getcontext(&fiber->context);
  fiber->context.uc_stack.ss_sp = stack;
  fiber->context.uc_stack.ss_size = STACK;
  fiber->context.uc_link = nullptr;
  makecontext(&fiber->context, enter, 0);
  setcontext(&fiber->context);
}

static uint least(uint a, uint b) { return a < b ? a : b; }

static void prepare_group(uint3 at, uint3 groups, uint3 grid, uint3 group) {
  uint3 size(least(group.x, grid.x - at.x * group.x), least(group.y, grid.y - at.y * group.y),
             least(group.z, grid.z - at.z * group.z));
  group_size = int(size.x * size.y * size.z);
  group_arrived = 0;
  group_turn = 0;
  declarations = 0;
  declared_bytes = 0;
  int count = (group_size + SIMD - 1) / SIMD;
  for (int i = 0; i < count; i++) {
    Simdgroup& simd = simdgroups[i];
    memset(simd.slots, 0xff, sizeof simd.slots);
    simd.turn = 0;
    simd.arrived = 0;
    simd.size = int(least(SIMD, uint(group_size - i * SIMD)));
  }
  for (int i = 0; i < group_size; i++) {
    Fiber& fiber = fibers[i];
    fiber.index = i;
    fiber.done = false;
    fiber.simd_turn = fiber.group_turn = fiber.trace = 0;
    fiber.site = {nullptr, 0};
    Attributes& a = fiber.attributes;
    uint n = uint(i);
    a.thread_position_in_threadgroup = uint3(n % size.x, n / size.x % size.y, n / (size.x * size.y));
    a.thread_position_in_grid = at * group + a.thread_position_in_threadgroup;
    a.threadgroup_position_in_grid = at;
    a.threadgroups_per_grid = groups;
    a.threads_per_grid = grid;
    a.threads_per_threadgroup = size;
    a.dispatch_threads_per_threadgroup = group;
    a.thread_index_in_threadgroup = n;
    a.thread_index_in_simdgroup = n % SIMD;
    a.simdgroup_index_in_threadgroup = n / SIMD;
    a.simdgroups_per_threadgroup = uint(count);
    a.dispatch_simdgroups_per_threadgroup = (group.x * group.y * group.z + SIMD - 1) / SIMD;
    a.threads_per_simdgroup = a.thread_execution_width = SIMD;
  }
}

// Resumes each lane of a simdgroup that can go on, until none can.
static int run_simdgroup(int number, bool reversed) {
  int first = number * SIMD, size = simdgroups[number].size, ended = 0;
  for (bool moved = true; moved;) {
    moved = false;
    for (int i = 0; i < size; i++) {
      Fiber& fiber = fibers[first + (reversed ? size - 1 - i : i)];
      bool waits = fiber.simd_turn > simdgroups[number].turn || fiber.group_turn > group_turn;
      if (fiber.done || waits) continue;
      resume(&fiber);
      moved = true;
      if (fiber.done) ended++;
    }
  }
  return ended;
}

// One simdgroup goes as far as it can before the next one starts, and in reverse
// the last one does: where they need a barrier but have none, one of these finds
// what the other has yet to write, or has overwritten too early.
static void run_group(bool reversed) {
  int count = (group_size + SIMD - 1) / SIMD;
  for (int left = group_size; left > 0;) {
    uint64_t before = switches;
    for (int i = 0; i < count; i++) left -= run_simdgroup(reversed ? count - 1 - i : i, reversed);
    if (switches != before) continue;
    for (int i = 0; i < group_size; i++)
      if (!fibers[i].done)
        fail("threads wait for others that have ended or wait elsewhere", fibers[i].site, fibers[i].site);
  }
}

static void run_grid(uint3 grid, uint3 group, bool reversed) {
  uint3 groups((grid.x + group.x - 1) / group.x, (grid.y + group.y - 1) / group.y,
               (grid.z + group.z - 1) / group.z);
  uint64_t total = uint64_t(groups.x) * groups.y * groups.z;
  for (uint64_t i = 0; i < total; i++) {
    uint64_t n = reversed ? total - 1 - i : i;
    uint3 at(uint(n % groups.x), uint(n / groups.x % groups.y), uint(n / groups.x / groups.y));
    prepare_group(at, groups, grid, group);
    run_group(reversed);
  }
}

// An array between unreadable pages, as close to the one behind it as an
// alignment of 16 bytes allows; what is left of its pages is canaries.
struct Buffer {
  unsigned char *pages, *data;
  size_t room, bytes;
  bool input;
};
static Buffer buffers[2 * MOST_ARRAYS];
static int buffer_count;

static unsigned char* place(size_t bytes, bool input) {
  size_t page = size_t(sysconf(_SC_PAGESIZE));
  size_t room = (bytes + page - 1) / page * page;
  void* all = mmap(nullptr, room + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all == MAP_FAILED) fail("no memory for an array", {nullptr, 0}, {nullptr, 0});
  Buffer& buffer = buffers[buffer_count++];
  buffer = {static_cast<unsigned char*>(all) + GUARD, nullptr, room, bytes, input};
  if (room) mprotect(buffer.pages, room, PROT_READ | PROT_WRITE);
  memset(buffer.pages, 0xff, room);
  buffer.data = buffer.pages + (room - (bytes + 15) / 16 * 16);
  return buffer.data;
}

static void guard(const Buffer& buffer) {
  if (buffer.input && buffer.room) mprotect(buffer.pages, buffer.room, PROT_READ);
  if (!__asan_poison_memory_region) return;
  unsigned char* end = buffer.data + buffer.bytes;
  __asan_poison_memory_region(buffer.pages, size_t(buffer.data - buffer.pages));
  __asan_poison_memory_region(end, size_t(buffer.pages + buffer.room - end));
}

static void check(const Buffer& buffer) {
  unsigned char *end = buffer.data + buffer.bytes, *last = buffer.pages + buffer.room;
  if (__asan_unpoison_memory_region) __asan_unpoison_memory_region(buffer.pages, buffer.room);
  for (unsigned char* p = buffer.pages; p < last; p = p + 1 == buffer.data ? end : p + 1) {
    if (p == buffer.data) p = end;
    if (p >= last) break;
    if (*p != 0xff) fail("a write outside an array", {nullptr, 0}, {nullptr, 0});
  }
}

static void on_fault(int, siginfo_t* info, void*) {
  const unsigned char* at = static_cast<const unsigned char*>(info->si_addr);
  const char* what = "an access to no array";
  for (int i = 0; i < buffer_count; i++) {
    const Buffer& b = buffers[i];
    if (at < b.pages - GUARD || at >= b.pages + b.room + GUARD) continue;
    what = at < b.pages || at >= b.pages + b.room ? "an access outside an array" : "a write to an input";
  }
  Site site = current ? current->site : Site{nullptr, 0};
  fprintf(stderr, "emulator: %s (after the synchronisation named, if any)", what);
  if (site.file) fprintf(stderr, ", at %s:%d", site.file, site.line);
  fprintf(stderr, "\n");
  _exit(3);
}

static void on_alarm(int) {
  static const char text[] = "emulator: not done within the seconds it was given\n";
  ssize_t written = write(2, text, sizeof text - 1);
  _exit(written > 0 ? 3 : 4);
}

static void catch_faults() {
  static unsigned char stack[64 << 10];
  stack_t alternate = {};
  alternate.ss_sp = stack;
  alternate.ss_size = sizeof stack;
  sigaltstack(&alternate, nullptr);
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, nullptr);
  sigaction(SIGBUS, &action, nullptr);
  signal(SIGALRM, on_alarm);
}

static void take(void* to, size_t bytes) {
  if (fread(to, 1, bytes, stdin) != bytes) fail("the call on stdin is cut short", {nullptr, 0}, {nullptr, 0});
}

static uint32_t take_word() {
  uint32_t word;
  take(&word, sizeof word);
  return word;
}

static uint3 take_extents() {
  uint3 extents;
  for (int i = 0; i < 3; i++) extents[i] = take_word();
  return extents;
}

// Shape and bytes of an array; the elements follow for an input.
static Array take_array(bool input) {
  Array array = {};
  array.rank = int(take_word());
  int* shape = static_cast<int*>(calloc(size_t(array.rank) + 1, sizeof(int)));
  int64_t* strides = static_cast<int64_t*>(calloc(size_t(array.rank) + 1, sizeof(int64_t)));
  for (int i = 0; i < array.rank; i++) shape[i] = int(take_word());
  int64_t stride = 1;
  for (int i = array.rank - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= shape[i];
  }
  array.shape = shape;
  array.strides = strides;
  uint64_t bytes;
  take(&bytes, sizeof bytes);
  array.data = place(size_t(bytes), input);
  if (input) take(array.data, size_t(bytes));
  guard(buffers[buffer_count - 1]);
  return array;
}

}  // namespace msl

int main() {
  using namespace msl;
  catch_faults();
  alarm(take_word());
  bool reversed = take_word() != 0;
  uint3 grid = take_extents(), group = take_extents();
  if (uint64_t(group.x) * group.y * group.z > MOST_THREADS)
    fail("more than 1024 threads in a threadgroup", {nullptr, 0}, {nullptr, 0});
  if (group.x * group.y * group.z == 0 || grid.x == 0 || grid.y == 0 || grid.z == 0)
    fail("an empty grid or threadgroup: a device refuses it", {nullptr, 0}, {nullptr, 0});
  // As MLX does: a threadgroup is no larger than the grid.
  group = uint3(least(group.x, grid.x), least(group.y, grid.y), least(group.z, grid.z));
  for (int i = 0; i < msl_inputs; i++) inputs[i] = take_array(true);
  for (int i = 0; i < msl_outputs; i++) outputs[i] = take_array(false);
  run_grid(grid, group, reversed);
  for (int i = 0; i < buffer_count; i++) check(buffers[i]);
  for (int i = 0; i < msl_outputs; i++) {
    const Buffer& buffer = buffers[msl_inputs + i];
    if (fwrite(buffer.data, 1, buffer.bytes, stdout) != buffer.bytes) return 4;
  }
  return fflush(stdout) == 0 ? 0 : 4;
}

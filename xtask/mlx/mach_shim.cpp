// mlx-rs seeds its random numbers from a clock that only Apple's systems have.
#include <cstdint>
#include <ctime>

extern "C" uint64_t mach_approximate_time() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return uint64_t(now.tv_sec) * 1000000000u + uint64_t(now.tv_nsec);
}

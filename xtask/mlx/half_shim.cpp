// mlx-c offers the 16-bit float accessors only where C has those types, which is on ARM. Here they
// move the bits as integers, which is what mlx-rs makes of them anyway.
#include "mlx/c/half.h"

#if !defined(HAS_FLOAT16) && !defined(HAS_BFLOAT16)
#include <cstdint>
#include <cstring>
#include <exception>

#include "mlx/c/array.h"
#include "mlx/c/error.h"
#include "mlx/c/private/array.h"

namespace {

template <class Half>
int item(uint16_t* bits, mlx_array array) {
  try {
    Half value = mlx_array_get_(array).template item<Half>();
    static_assert(sizeof value == sizeof *bits);
    std::memcpy(bits, &value, sizeof value);
    return 0;
  } catch (std::exception& error) {
    mlx_error(error.what());
    return 1;
  }
}

template <class Half>
const void* data(mlx_array array) {
  try {
    return mlx_array_get_(array).template data<Half>();
  } catch (std::exception& error) {
    mlx_error(error.what());
    return nullptr;
  }
}

} // namespace

extern "C" {

int mlx_array_item_float16(uint16_t* bits, mlx_array array) {
  return item<mlx::core::float16_t>(bits, array);
}

int mlx_array_item_bfloat16(uint16_t* bits, mlx_array array) {
  return item<mlx::core::bfloat16_t>(bits, array);
}

const void* mlx_array_data_float16(mlx_array array) {
  return data<mlx::core::float16_t>(array);
}

const void* mlx_array_data_bfloat16(mlx_array array) {
  return data<mlx::core::bfloat16_t>(array);
}

} // extern "C"
#endif

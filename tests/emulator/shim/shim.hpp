// The subset of the Metal shading language that kernels may use, on a CPU. A
// kernel's text is compiled unchanged, but for its threadgroup arrays and its
// includes.
#pragma once

#include <cmath>

#include "runtime.hpp"
#include "types.hpp"

#include "math.hpp"
#include "simdgroup.hpp"

// Address spaces. Declarations of threadgroup arrays are rewritten before they
// get here; what is left are pointers.
#define device
#define constant
#define thread
#define threadgroup
#define kernel

using namespace metal;

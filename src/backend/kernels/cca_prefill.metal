// ROWS consecutive tokens of one sequence. A threadgroup has one head of TILE
// of them: the depthwise convolution of these rows (and of the K1 - 1 before)
// lies in threadgroup memory, and the grouped one is K1 matrix products over
// the same rows, shifted by one each, so no row is copied per tap. A simdgroup
// computes 16 channels of all rows.
constexpr uint TILE = 32;
constexpr uint DEPTH = 8;           // input channels per step
constexpr uint STRIDE = DIM + 4;    // off the multiples of the banks
threadgroup float convolved[(TILE + K1 - 1) * STRIDE];
threadgroup float weights[K1 * DEPTH * STRIDE];

const uint lane = thread_index_in_simdgroup;
const uint simd_group = simdgroup_index_in_threadgroup;
const uint thread_index = thread_index_in_threadgroup;
const uint threads = threads_per_threadgroup.x;
const uint head = threadgroup_position_in_grid.y;
const uint rows = q_shape[0];
const uint first = threadgroup_position_in_grid.z * TILE;
const uint count = min(TILE, rows - first);

// Row i of `convolved` sees frames first + i .. + K0, counted from the oldest
// frame of the state. Rows past the end are zero.
for (uint i = thread_index; i < (TILE + K1 - 1) * DIM; i += threads) {
  const uint r = i / DIM;
  const uint channel = head * DIM + i % DIM;
  float sum = 0.0f;
  if (r < count + K1 - 1) {
    sum = depthwise_bias[channel];
    for (uint j = 0; j < uint(K0); j++) {
      sum += float(depthwise[channel * K0 + j])
          * cca_frame<QUERY_WIDTH, KEY_WIDTH, CONTEXT>(frames, q, k, first + r + j, channel);
    }
  }
  convolved[r * STRIDE + i % DIM] = sum;
}

simdgroup_matrix<float, 8, 8> sums[TILE / 8][2];
#pragma clang loop unroll(full)
for (uint m = 0; m < TILE / 8; m++) {
  sums[m][0] = simdgroup_matrix<float, 8, 8>(0.0f);
  sums[m][1] = simdgroup_matrix<float, 8, 8>(0.0f);
}
const uint column = simd_group * 16;
const bool has_second = column + 8 < uint(DIM);

for (uint d = 0; d < uint(DIM); d += DEPTH) {
  // The last step's weights have been used (and, at first, nothing yet read).
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint i = thread_index; i < DIM * (DEPTH * K1 / 4); i += threads) {
    const uint o = i / (DEPTH * K1 / 4);
    const uint j = i % (DEPTH * K1 / 4) * 4;
    const auto w = cca_four(grouped + (head * DIM + o) * COLUMNS + d * K1 + j);
    weights[(j % K1 * DEPTH + j / K1) * STRIDE + o] = float(w.x);
    weights[((j + 1) % K1 * DEPTH + (j + 1) / K1) * STRIDE + o] = float(w.y);
    weights[((j + 2) % K1 * DEPTH + (j + 2) / K1) * STRIDE + o] = float(w.z);
    weights[((j + 3) % K1 * DEPTH + (j + 3) / K1) * STRIDE + o] = float(w.w);
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint tap = 0; tap < uint(K1); tap++) {
    simdgroup_matrix<float, 8, 8> w0, w1;
    simdgroup_load(w0, weights + tap * DEPTH * STRIDE + column, STRIDE);
    if (has_second) {
      simdgroup_load(w1, weights + tap * DEPTH * STRIDE + column + 8, STRIDE);
    }
#pragma clang loop unroll(full)
    for (uint m = 0; m < TILE / 8; m++) {
      if (m * 8 < count) {
        simdgroup_matrix<float, 8, 8> x;
        simdgroup_load(x, convolved + (m * 8 + tap) * STRIDE + d, STRIDE);
        simdgroup_multiply_accumulate(sums[m][0], x, w0, sums[m][0]);
        if (has_second) {
          simdgroup_multiply_accumulate(sums[m][1], x, w1, sums[m][1]);
        }
      }
    }
  }
}

// The products take the place of what they were computed from.
threadgroup_barrier(mem_flags::mem_threadgroup);
#pragma clang loop unroll(full)
for (uint m = 0; m < TILE / 8; m++) {
  simdgroup_store(sums[m][0], convolved + m * 8 * STRIDE + column, STRIDE);
  if (has_second) {
    simdgroup_store(sums[m][1], convolved + m * 8 * STRIDE + column + 8, STRIDE);
  }
}
threadgroup_barrier(mem_flags::mem_threadgroup);

for (uint r = simd_group; r < count; r += simdgroups_per_threadgroup) {
  const uint row = first + r;
  device float* out = head < uint(QUERY_HEADS)
      ? q_out + row * QUERY_WIDTH + head * DIM
      : k_out + row * KEY_WIDTH + (head - QUERY_HEADS) * DIM;
  cca_finish<QUERY_HEADS, KV_HEADS, DIM, ROTARY>(
      convolved + r * STRIDE, grouped_bias, q + row * QUERY_WIDTH, k + row * KEY_WIDTH,
      temp, rotary + row * ROTARY, out, head, lane);
}

// Values, shared out among the key heads as in decoding.
if (head >= uint(QUERY_HEADS)) {
  const uint begin = (head - QUERY_HEADS) * (DIM / 2);
  for (uint i = thread_index; i < count * (DIM / 2); i += threads) {
    const uint row = first + i / (DIM / 2);
    const uint at = begin + i % (DIM / 2);
    v_out[row * KEY_WIDTH + at] = v_current[row * HALF + at];
    v_out[row * KEY_WIDTH + HALF + at] =
        row == 0 ? float(previous[at]) : float(v_delayed[(row - 1) * HALF + at]);
  }
  if (first == 0) {
    for (uint i = thread_index; i < DIM / 2; i += threads) {
      const uint at = begin + i;
      previous_out[at] =
          rows == 0 ? float(previous[at]) : float(v_delayed[(rows - 1) * HALF + at]);
    }
  }
}

// The new state: the last CONTEXT frames, some of them old after a short call.
if (first == 0) {
  for (uint i = thread_index; i < CONTEXT * DIM; i += threads) {
    const uint channel = head * DIM + i % DIM;
    frames_out[i / DIM * CHANNELS + channel] =
        cca_frame<QUERY_WIDTH, KEY_WIDTH, CONTEXT>(frames, q, k, rows + i / DIM, channel);
  }
}

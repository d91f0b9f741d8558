// One new token of each of up to ROWS sequences. A threadgroup has one head of
// TILE of them: weights are read once for all. A simdgroup computes OUTPUTS
// channels, its weights in registers, its lanes across the columns.
constexpr uint TILE = 4;
constexpr uint OUTPUTS = 8;
constexpr uint CHUNKS = (COLUMNS + 127) / 128;
constexpr uint PADDED = CHUNKS * 128;
threadgroup float4 taps[TILE * PADDED / 4];
threadgroup float mixed[TILE * DIM];

const uint lane = thread_index_in_simdgroup;
const uint simd_group = simdgroup_index_in_threadgroup;
const uint thread_index = thread_index_in_threadgroup;
const uint threads = threads_per_threadgroup.x;
const uint head = threadgroup_position_in_grid.y;
const uint first = threadgroup_position_in_grid.z * TILE;
const uint count = min(TILE, uint(q_shape[0]) - first);

// Weights first: nothing else has to be known for them, so they are on their
// way while the taps are computed. Columns past the end repeat the last ones;
// their taps are zero.
typedef decltype(cca_four(grouped)) Four;
Four weights[OUTPUTS][CHUNKS];
#pragma clang loop unroll(full)
for (uint o = 0; o < OUTPUTS; o++) {
  const uint row = head * DIM + simd_group * OUTPUTS + o;
#pragma clang loop unroll(full)
  for (uint c = 0; c < CHUNKS; c++) {
    const uint column = min((c * 32 + lane) * 4, uint(COLUMNS - 4));
    weights[o][c] = cca_four(grouped + row * COLUMNS + column);
  }
}

// The depthwise convolution, its outputs laid out as the grouped one's rows;
// and the frames moved up by one.
threadgroup float* tap_values = (threadgroup float*)taps;
for (uint i = thread_index; i < count * DIM; i += threads) {
  const uint r = i / DIM;
  const uint d = i % DIM;
  const uint channel = head * DIM + d;
  const uint state = (first + r) * CONTEXT * CHANNELS;
  float window[CONTEXT + 1];
#pragma clang loop unroll(full)
  for (uint s = 0; s <= uint(CONTEXT); s++) {
    window[s] = cca_frame<QUERY_WIDTH, KEY_WIDTH, CONTEXT>(
        frames + state, q + (first + r) * QUERY_WIDTH, k + (first + r) * KEY_WIDTH, s, channel);
    if (s > 0) {
      frames_out[state + (s - 1) * CHANNELS + channel] = window[s];
    }
  }
#pragma clang loop unroll(full)
  for (uint tap = 0; tap < uint(K1); tap++) {
    float sum = depthwise_bias[channel];
#pragma clang loop unroll(full)
    for (uint j = 0; j < uint(K0); j++) {
      sum += float(depthwise[channel * K0 + j]) * window[tap + j];
    }
    tap_values[r * PADDED + d * K1 + tap] = sum;
  }
}
for (uint r = 0; r < count; r++) {
  for (uint i = COLUMNS + thread_index; i < PADDED; i += threads) {
    tap_values[r * PADDED + i] = 0.0f;
  }
}
threadgroup_barrier(mem_flags::mem_threadgroup);

// The grouped convolution.
for (uint r = 0; r < count; r++) {
  float kept = 0.0f;
#pragma clang loop unroll(full)
  for (uint o = 0; o < OUTPUTS; o++) {
    float sum = 0.0f;
#pragma clang loop unroll(full)
    for (uint c = 0; c < CHUNKS; c++) {
      sum += cca_dot(weights[o][c], taps[r * (PADDED / 4) + c * 32 + lane]);
    }
    sum = simd_sum(sum);
    kept = lane == o ? sum : kept;
  }
  if (lane < OUTPUTS) {
    mixed[r * DIM + simd_group * OUTPUTS + lane] = kept;
  }
}
threadgroup_barrier(mem_flags::mem_threadgroup);

for (uint r = simd_group; r < count; r += simdgroups_per_threadgroup) {
  const uint row = first + r;
  device float* out = head < uint(QUERY_HEADS)
      ? q_out + row * QUERY_WIDTH + head * DIM
      : k_out + row * KEY_WIDTH + (head - QUERY_HEADS) * DIM;
  cca_finish<QUERY_HEADS, KV_HEADS, DIM, ROTARY>(
      mixed + r * DIM, grouped_bias, q + row * QUERY_WIDTH,
      k + row * KEY_WIDTH, temp, rotary + row * ROTARY, out, head, lane);
}

// Values: the current half, then the half of the token before. The groups of
// key heads share this out.
if (head >= uint(QUERY_HEADS)) {
  const uint begin = (head - QUERY_HEADS) * (DIM / 2);
  for (uint i = thread_index; i < count * (DIM / 2); i += threads) {
    const uint row = first + i / (DIM / 2);
    const uint from = row * HALF + begin + i % (DIM / 2);
    const uint to = row * KEY_WIDTH + begin + i % (DIM / 2);
    v_out[to] = v_current[from];
    v_out[to + HALF] = previous[from];
    previous_out[from] = v_delayed[from];
  }
}

// What the two CCA kernels share. Arrays are row-major. A head is one of
// QUERY_HEADS + KV_HEADS, queries first; its channels are head * DIM .. + DIM
// of a frame [q | k]. Parameters that may point to device or constant memory,
// depending on the size of the input, have a type of their own; and no `?:`
// chooses between elements of different address spaces.

// Four neighbouring weights as stored. `p` is aligned to four elements.
inline float4 cca_four(const device float* p) { return *(const device float4*)p; }
inline half4 cca_four(const device half* p) { return *(const device half4*)p; }
inline bfloat4 cca_four(const device bfloat* p) { return *(const device bfloat4*)p; }

template <typename Four>
inline float cca_dot(Four w, float4 x) {
  return float(w.x) * x.x + float(w.y) * x.y + float(w.z) * x.z + float(w.w) * x.w;
}

// Element `channel` of one token's raw frame, which lies in two arrays.
template <int QUERY_WIDTH, int KEY_WIDTH, typename Q, typename K>
inline float cca_raw(Q q, K k, uint row, uint channel) {
  if (channel < uint(QUERY_WIDTH)) {
    return q[row * QUERY_WIDTH + channel];
  }
  return k[row * KEY_WIDTH + channel - QUERY_WIDTH];
}

// Frame `frame` of a sequence, counted from the oldest frame of its state.
template <int QUERY_WIDTH, int KEY_WIDTH, int CONTEXT, typename Frames, typename Q, typename K>
inline float cca_frame(Frames frames, Q q, K k, uint frame, uint channel) {
  if (frame < uint(CONTEXT)) {
    return frames[frame * (QUERY_WIDTH + KEY_WIDTH) + channel];
  }
  return cca_raw<QUERY_WIDTH, KEY_WIDTH>(q, k, frame - CONTEXT, channel);
}

// One head of one token, by one simdgroup: `mixed` is the grouped convolution
// without its bias and becomes the unit head, `out` gets it rotated. `q`, `k`
// and `rotary` point to the token's row. The sum of squares is bounded below
// by 1e-12, so a head of zeros stays one.
template <int QUERY_HEADS, int KV_HEADS, int DIM, int ROTARY,
          typename Q, typename K, typename Temp, typename Rotary>
inline void cca_finish(threadgroup float* mixed, const device float* bias, Q q, K k,
                       Temp temp, Rotary rotary, device float* out, uint head, uint lane) {
  constexpr uint GROUP = QUERY_HEADS / KV_HEADS;
  const bool is_query = head < uint(QUERY_HEADS);
  const uint kv_head = is_query ? head / GROUP : head - QUERY_HEADS;
  float squares = 0.0f;
  for (uint d = lane; d < uint(DIM); d += 32) {
    float query = 0.0f;
    if (is_query) {
      query = q[head * DIM + d];
    } else {
      for (uint n = 0; n < GROUP; n++) {
        query += q[(kv_head * GROUP + n) * DIM + d];
      }
      query /= float(GROUP);
    }
    const float x = mixed[d] + bias[head * DIM + d] + (query + k[kv_head * DIM + d]) * 0.5f;
    mixed[d] = x;
    squares += x * x;
  }
  squares = simd_sum(squares);
  float scale = precise::sqrt(float(DIM)) * precise::rsqrt(max(squares, 1e-12f));
  if (!is_query) {
    scale *= temp[kv_head];
  }
  simdgroup_barrier(mem_flags::mem_threadgroup);
  constexpr uint HALF_TURN = ROTARY / 2;
  for (uint d = lane; d < uint(DIM); d += 32) {
    float x = mixed[d];
    if (d < HALF_TURN) {
      x = x * rotary[2 * d] - mixed[d + HALF_TURN] * rotary[2 * d + 1];
    } else if (d < uint(ROTARY)) {
      const uint pair = d - HALF_TURN;
      x = x * rotary[2 * pair] + mixed[pair] * rotary[2 * pair + 1];
    }
    out[d] = x * scale;
  }
}

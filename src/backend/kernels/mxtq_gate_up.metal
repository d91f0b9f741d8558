// y[row] = silu(G[classes[row]] x[row]) * (U[classes[row]] x[row]). A simdgroup
// makes the same 4 outputs of G and of U, so 8 sums as in the plain product, and
// looks at x once for both.

constexpr int PER_SIMDGROUP = 4;

const uint row = threadgroup_position_in_grid.y;
const uint lane = thread_index_in_simdgroup;
const int first =
    int(threadgroup_position_in_grid.x * 2 + simdgroup_index_in_threadgroup) * PER_SIMDGROUP;
if (first >= OUT) {
    return;
}

const uint expert = classes[row];
const int mine = first + int(lane);
const bool writes = lane < PER_SIMDGROUP && mine < OUT;
if (expert >= uint(EXPERTS)) {
    if (writes) {
        y[row * OUT + mine] = 0.0f;
    }
    return;
}

constexpr int WORDS = (IN + 32 / BITS - 1) / (32 / BITS);
const ulong start = ulong(expert) * (OUT * WORDS);
const MxtqCodebook<BITS> centroids(codebook, lane);
float gates[PER_SIMDGROUP];
float ups[PER_SIMDGROUP];
mxtq_pair_rows<BITS, IN, OUT, PER_SIMDGROUP>(
    gates, ups, centroids, x + row * IN, gate_packed + start, up_packed + start, first, lane);

float gate = 0.0f;
float up = 0.0f;
#pragma unroll
for (int r = 0; r < PER_SIMDGROUP; r++) {
    const float gate_sum = simd_sum(gates[r]);
    const float up_sum = simd_sum(ups[r]);
    gate = int(lane) == r ? gate_sum : gate;
    up = int(lane) == r ? up_sum : up;
}
if (writes) {
    gate *= float(gate_norms[expert * OUT + mine]);
    up *= float(up_norms[expert * OUT + mine]);
    y[row * OUT + mine] = gate / (1.0f + metal::precise::exp(-gate)) * up;
}

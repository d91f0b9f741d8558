// y[row] = W[classes[row]] x[row]. A simdgroup makes 8 outputs of one row, the
// two simdgroups of a threadgroup 16. No barrier: a simdgroup may leave early.

constexpr int PER_SIMDGROUP = 8;

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
float sums[PER_SIMDGROUP];
mxtq_rows<BITS, IN, OUT, PER_SIMDGROUP, 0>(
    sums,
    MxtqCodebook<BITS>(codebook, lane),
    x + row * IN,
    packed + ulong(expert) * (OUT * WORDS),
    first,
    lane);

float result = 0.0f;
#pragma unroll
for (int r = 0; r < PER_SIMDGROUP; r++) {
    const float sum = simd_sum(sums[r]);
    result = int(lane) == r ? sum : result;
}
if (writes) {
    y[row * OUT + mine] = result * float(norms[expert * OUT + mine]);
}

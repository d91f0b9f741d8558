// y[row] = D[classes[row]] R(x[row]): rotates the row in threadgroup memory, then
// each of the 8 simdgroups makes 4 outputs. Every threadgroup of a row repeats the
// rotation: cheaper than a launch and a round trip of its own for a few rows.

constexpr int PER_SIMDGROUP = 4;
constexpr int PER_WORD = 32 / BITS;

threadgroup float rotated[IN + IN / PER_WORD];

const uint row = threadgroup_position_in_grid.y;
const uint lane = thread_index_in_simdgroup;
const int first =
    int(threadgroup_position_in_grid.x * 8 + simdgroup_index_in_threadgroup) * PER_SIMDGROUP;
const uint expert = classes[row];
const int mine = first + int(lane);
const bool writes = lane < PER_SIMDGROUP && mine < OUT;

// The same for the whole threadgroup.
if (expert >= uint(EXPERTS)) {
    if (writes) {
        y[row * OUT + mine] = 0.0f;
    }
    return;
}

rotate_row<IN, PER_WORD>(
    x + row * IN,
    signs,
    rotated,
    rotated,
    thread_index_in_threadgroup,
    threads_per_threadgroup.x);
threadgroup_barrier(mem_flags::mem_threadgroup);
if (first >= OUT) {
    return;
}

constexpr int WORDS = (IN + PER_WORD - 1) / PER_WORD;
float sums[PER_SIMDGROUP];
mxtq_rows<BITS, IN, OUT, PER_SIMDGROUP, PER_WORD>(
    sums,
    MxtqCodebook<BITS>(codebook, lane),
    rotated,
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

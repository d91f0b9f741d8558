// y[row] = W[classes[row]] x[row] for many rows: 32 rows, taken in the order of
// their classes, by 64 outputs. The tile goes through the experts that its rows
// belong to, one after another; of the four groups of 8 rows only those that hold
// a row of the expert are multiplied. Each of the 4 simdgroups makes 16 of the
// outputs, for all rows: 8 accumulators of 8 x 8.
//
// Steps are 16 inputs: a thread brings 4 elements of x, and decodes 8 codes: half a
// word of 2 bits, a whole one of 4.

constexpr int TILE_ROWS = 32;
constexpr int TILE_OUT = 64;
constexpr int STEP = 16;
constexpr int THREADS = 128;
constexpr int PER_WORD = 32 / BITS;
constexpr int WORDS = (IN + PER_WORD - 1) / PER_WORD;
// Rows of both tiles are longer than they need be, so that lanes write to
// different banks.
constexpr int X_ROW = STEP + 4;
constexpr int W_ROW = TILE_OUT + 2;

// First x and W of a step, in the end the results: with the rows, 8.25 KiB.
threadgroup float tile[TILE_ROWS * TILE_OUT];
threadgroup uint tile_rows[TILE_ROWS];
threadgroup uint tile_classes[TILE_ROWS];
threadgroup float* x_tile = tile;
threadgroup float* w_tile = tile + TILE_ROWS * X_ROW;

const int thread_index = int(thread_index_in_threadgroup);
const int first_column = int(simdgroup_index_in_threadgroup) * 16;
const int first_row = int(threadgroup_position_in_grid.y) * TILE_ROWS;
const int first_out = int(threadgroup_position_in_grid.x) * TILE_OUT;
const int rows = min(TILE_ROWS, int(order_shape[0]) - first_row);

if (thread_index < rows) {
    const uint row = order[first_row + thread_index];
    tile_rows[thread_index] = row;
    tile_classes[thread_index] = classes[row];
}
threadgroup_barrier(mem_flags::mem_threadgroup);

// What this thread brings in each step.
const int x_row = thread_index / 4;
const int x_column = thread_index % 4;
const int w_out = thread_index / 2;
const int w_column = thread_index % 2 * 8;
const uint x_start = x_row < rows ? tile_rows[x_row] * IN : 0;
const bool w_inside = first_out + w_out < OUT;
const MxtqCodebook<BITS> centroids(codebook, thread_index_in_simdgroup);

int begin = 0;
while (begin < rows) {
    const uint expert = tile_classes[begin];
    int end = begin + 1;
    while (end < rows && tile_classes[end] == expert) {
        end++;
    }

    if (expert < uint(EXPERTS)) {
        const bool x_inside = x_row >= begin && x_row < end;
        const ulong w_start =
            ulong(expert) * (OUT * WORDS) + (w_inside ? first_out + w_out : 0) * WORDS;
        simdgroup_float8x8 sums[4][2];
#pragma unroll
        for (int r = 0; r < 4; r++) {
            sums[r][0] = simdgroup_float8x8(0.0f);
            sums[r][1] = simdgroup_float8x8(0.0f);
        }

        for (int k = 0; k < IN; k += STEP) {
            // Everyone has read what is in the tile.
            threadgroup_barrier(mem_flags::mem_threadgroup);
#pragma unroll
            for (int column = x_column; column < STEP; column += 4) {
                x_tile[x_row * X_ROW + column] =
                    x_inside && k + column < IN ? x[x_start + k + column] : 0.0f;
            }
            const int code = k + w_column;
            const uint word = code < IN ? packed[w_start + code / PER_WORD] : 0;
#pragma unroll
            for (int i = 0; i < 8; i++) {
                w_tile[(w_column + i) * W_ROW + w_out] =
                    centroids.at(word >> (code % PER_WORD * BITS), i);
            }
            threadgroup_barrier(mem_flags::mem_threadgroup);

#pragma unroll
            for (int inner = 0; inner < STEP; inner += 8) {
                simdgroup_float8x8 left;
                simdgroup_float8x8 right[2];
                const int w_at = inner * W_ROW + first_column;
                simdgroup_load(right[0], w_tile + w_at, W_ROW);
                simdgroup_load(right[1], w_tile + w_at + 8, W_ROW);
#pragma unroll
                for (int r = 0; r < 4; r++) {
                    if (r * 8 < end && r * 8 + 8 > begin) {
                        simdgroup_load(left, x_tile + r * 8 * X_ROW + inner, X_ROW);
                        simdgroup_multiply_accumulate(sums[r][0], left, right[0], sums[r][0]);
                        simdgroup_multiply_accumulate(sums[r][1], left, right[1], sums[r][1]);
                    }
                }
            }
        }

        threadgroup_barrier(mem_flags::mem_threadgroup);
#pragma unroll
        for (int r = 0; r < 4; r++) {
            const int at = r * 8 * TILE_OUT + first_column;
            simdgroup_store(sums[r][0], tile + at, TILE_OUT);
            simdgroup_store(sums[r][1], tile + at + 8, TILE_OUT);
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }

    // Rows without an expert get zeros. 64 threads write one row of the tile.
    const int out = first_out + thread_index % TILE_OUT;
    if (out < OUT) {
        const bool skips = expert >= uint(EXPERTS);
        const float norm = skips ? 0.0f : float(norms[expert * OUT + out]);
        for (int r = begin + thread_index / TILE_OUT; r < end; r += THREADS / TILE_OUT) {
            y[tile_rows[r] * OUT + out] =
                skips ? 0.0f : tile[r * TILE_OUT + thread_index % TILE_OUT] * norm;
        }
    }
    begin = end;
}

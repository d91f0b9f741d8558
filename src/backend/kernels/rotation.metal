// The rotation of MXTQ: signs, then an orthonormal Walsh-Hadamard transform of
// each block. The blocks of a vector are the set bits of its width, largest
// first, so that each begins at a multiple of its size. Sums are taken at
// distances 1, 2, 4, ..., as the encoder takes them: equal input, equal bits.
//
// A simdgroup transforms windows of 256 elements, 8 to a lane, without threadgroup
// memory: distances below 32 lie across lanes, the others across registers.
// Blocks of 512 and more then meet in threadgroup memory, once: a thread takes a
// column of elements 256 apart into registers and finishes it there.

// The size of the block of element `i` (below `width`): the highest bit in
// which both differ.
inline int block_size(int width, int i)
{
    return 1 << (31 - clz(uint(width ^ i)));
}

// 1 / sqrt(size), rounded once.
inline float block_scale(int size)
{
    const uint log2_size = 31 - clz(uint(size));
    const float scale = as_type<float>((127 - log2_size / 2) << 23);
    return (log2_size & 1) != 0 ? scale * 0.707106781f : scale;
}

// Where element `i` is kept in threadgroup memory: after each SPREAD elements one
// is left out (after none if 0), so that lanes reading SPREAD apart meet
// different banks.
template <int SPREAD>
inline int spread(int i)
{
    return SPREAD == 0 ? i : i + int(uint(i) / uint(SPREAD + (SPREAD == 0)));
}

// Transforms one window as far as it reaches. Register k holds element
// `base + 32 * k + lane`. If not WHOLE, blocks smaller than the window, or its
// end, lie in it.
template <bool WHOLE>
inline void transform_window(thread float* v, int width, int base, uint lane)
{
    const int first = base + int(lane);
    for (int distance = 1; distance < 32; distance *= 2) {
        const bool upper = (int(lane) & distance) != 0;
#pragma unroll
        for (int k = 0; k < 8; k++) {
            const float other = simd_shuffle_xor(v[k], ushort(distance));
            const float sum = upper ? other - v[k] : v[k] + other;
            const int i = first + 32 * k;
            if (WHOLE || (i < width && block_size(width, i) > distance)) {
                v[k] = sum;
            }
        }
    }
#pragma unroll
    for (int apart = 1; apart < 8; apart *= 2) {
#pragma unroll
        for (int k = 0; k < 8; k++) {
            const int i = first + 32 * k;
            if ((k & apart) == 0
                && (WHOLE || (i < width && block_size(width, i) > 32 * apart))) {
                const float a = v[k];
                const float b = v[k + apart];
                v[k] = a + b;
                v[k + apart] = a - b;
            }
        }
    }
}

// Finishes the block of SIZE elements at `offset` of `scratch`, whose windows are
// transformed.
template <int SIZE, int SPREAD, typename Y>
inline void transform_columns(
    const threadgroup float* scratch, Y out, int offset, uint thread_index, uint threads)
{
    const float scale = block_scale(SIZE);
    for (int column = int(thread_index); column < 256; column += int(threads)) {
        float v[SIZE / 256];
#pragma unroll
        for (int k = 0; k < SIZE / 256; k++) {
            v[k] = scratch[spread<SPREAD>(offset + column + 256 * k)];
        }
#pragma unroll
        for (int apart = 1; apart < SIZE / 256; apart *= 2) {
#pragma unroll
            for (int k = 0; k < SIZE / 256; k++) {
                if ((k & apart) == 0) {
                    const float a = v[k];
                    const float b = v[k + apart];
                    v[k] = a + b;
                    v[k + apart] = a - b;
                }
            }
        }
#pragma unroll
        for (int k = 0; k < SIZE / 256; k++) {
            out[spread<SPREAD>(offset + column + 256 * k)] = v[k] * scale;
        }
    }
}

// Rotates WIDTH elements into `out`, which may be `scratch`. Blocks of 512 and
// more (up to 8192) pass through `scratch`, in place. The caller waits before
// threads read what others wrote.
template <int WIDTH, int SPREAD, typename X, typename S, typename Y>
inline void rotate_row(
    X x,
    S signs,
    threadgroup float* scratch,
    Y out,
    uint thread_index,
    uint threads)
{
    const uint lane = thread_index % 32;
    for (int base = int(thread_index / 32) * 256; base < WIDTH; base += int(threads) * 8) {
        float v[8];
#pragma unroll
        for (int k = 0; k < 8; k++) {
            const int i = base + 32 * k + int(lane);
            v[k] = i < WIDTH ? x[i] * signs[i] : 0.0f;
        }
        if (base + 256 <= WIDTH) {
            transform_window<true>(v, WIDTH, base, lane);
        } else {
            transform_window<false>(v, WIDTH, base, lane);
        }
#pragma unroll
        for (int k = 0; k < 8; k++) {
            const int i = base + 32 * k + int(lane);
            if (i < (WIDTH & ~511)) {
                scratch[spread<SPREAD>(i)] = v[k];
            } else if (i < WIDTH) {
                out[spread<SPREAD>(i)] = v[k] * block_scale(block_size(WIDTH, i));
            }
        }
    }
    if (WIDTH >= 512) {
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    if ((WIDTH & 8192) != 0) {
        transform_columns<8192, SPREAD>(scratch, out, WIDTH & ~16383, thread_index, threads);
    }
    if ((WIDTH & 4096) != 0) {
        transform_columns<4096, SPREAD>(scratch, out, WIDTH & ~8191, thread_index, threads);
    }
    if ((WIDTH & 2048) != 0) {
        transform_columns<2048, SPREAD>(scratch, out, WIDTH & ~4095, thread_index, threads);
    }
    if ((WIDTH & 1024) != 0) {
        transform_columns<1024, SPREAD>(scratch, out, WIDTH & ~2047, thread_index, threads);
    }
    if ((WIDTH & 512) != 0) {
        transform_columns<512, SPREAD>(scratch, out, WIDTH & ~1023, thread_index, threads);
    }
}

// Codes of MXTQ rows: 32 / BITS to a word, low bits first, words not shared
// between rows. A row's product is `norm * sum(x[i] * codebook[code[i]])`, with x
// rotated.

template <int BITS>
struct MxtqCodebook;

// Four centroids in registers. A code is compared where it lies in its word: one
// AND, three compare-and-selects, no shift, of which these GPUs do a quarter as many.
template <>
struct MxtqCodebook<2> {
    float c0, c1, c2, c3;

    template <typename Levels>
    MxtqCodebook(Levels levels, uint)
        : c0(levels[0]), c1(levels[1]), c2(levels[2]), c3(levels[3])
    {
    }

    float at(uint word, int i) const
    {
        const uint one = 1u << (2 * i);
        const uint code = word & (3 * one);
        return code < 2 * one ? (code < one ? c0 : c1) : (code < 3 * one ? c2 : c3);
    }
};

// Sixteen centroids, one in a register of each lane, twice. Looking one up is a
// shuffle: all lanes of the simdgroup must take part.
template <>
struct MxtqCodebook<4> {
    float mine;

    template <typename Levels>
    MxtqCodebook(Levels levels, uint lane) : mine(levels[lane % 16])
    {
    }

    float at(uint word, int i) const
    {
        return simd_shuffle(mine, ushort((word >> (4 * i)) & 15));
    }
};

// A simdgroup multiplies ROWS rows of codes with one x: lane l takes words l,
// l + 32, ... of each row, so that 32 lanes load 128 adjacent bytes, and holds the
// elements of x for its word in registers while it goes through the rows.
//
// SPREAD is that of x, in threadgroup memory: as many as a word's codes, or 0.
//
// A round is 32 words of each row. In a WHOLE one every word and code counts; the
// last may reach past IN: there x counts as zero.

template <int BITS, int IN, int SPREAD, bool WHOLE, typename X>
inline void mxtq_inputs(thread float* values, X x, int word)
{
    const int code = word * (32 / BITS);
    const int start = spread<SPREAD>(code);
#pragma unroll
    for (int i = 0; i < 32 / BITS; i++) {
        values[i] = WHOLE || code + i < IN ? x[start + i] : 0.0f;
    }
}

template <int BITS, int IN, int OUT, int ROWS, bool WHOLE, typename Words>
inline void mxtq_add(
    thread float* sums,
    const thread float* values,
    MxtqCodebook<BITS> codebook,
    Words words,
    int first,
    int word)
{
    constexpr int WORDS = (IN + 32 / BITS - 1) / (32 / BITS);
    uint codes[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        codes[r] = WHOLE || word < WORDS ? words[min(first + r, OUT - 1) * WORDS + word] : 0;
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
#pragma unroll
        for (int i = 0; i < 32 / BITS; i++) {
            sums[r] += values[i] * codebook.at(codes[r], i);
        }
    }
}

// This lane's part of the products of rows `first` to `first + ROWS - 1` (at most
// OUT - 1) of one expert with x.
template <int BITS, int IN, int OUT, int ROWS, int SPREAD, typename X, typename Words>
inline void mxtq_rows(
    thread float* sums,
    MxtqCodebook<BITS> codebook,
    X x,
    Words words,
    int first,
    uint lane)
{
    constexpr int PER_ROUND = 32 * (32 / BITS);
    float values[32 / BITS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        sums[r] = 0.0f;
    }
    for (int round = 0; round < IN / PER_ROUND; round++) {
        const int word = round * 32 + int(lane);
        mxtq_inputs<BITS, IN, SPREAD, true>(values, x, word);
        mxtq_add<BITS, IN, OUT, ROWS, true>(sums, values, codebook, words, first, word);
    }
    if (IN % PER_ROUND != 0) {
        const int word = IN / PER_ROUND * 32 + int(lane);
        mxtq_inputs<BITS, IN, SPREAD, false>(values, x, word);
        mxtq_add<BITS, IN, OUT, ROWS, false>(sums, values, codebook, words, first, word);
    }
}

// The same for two matrices of one shape, with one look at x.
template <int BITS, int IN, int OUT, int ROWS, typename X, typename Words>
inline void mxtq_pair_rows(
    thread float* sums_a,
    thread float* sums_b,
    MxtqCodebook<BITS> codebook,
    X x,
    Words words_a,
    Words words_b,
    int first,
    uint lane)
{
    constexpr int PER_ROUND = 32 * (32 / BITS);
    float values[32 / BITS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        sums_a[r] = 0.0f;
        sums_b[r] = 0.0f;
    }
    for (int round = 0; round < IN / PER_ROUND; round++) {
        const int word = round * 32 + int(lane);
        mxtq_inputs<BITS, IN, 0, true>(values, x, word);
        mxtq_add<BITS, IN, OUT, ROWS, true>(sums_a, values, codebook, words_a, first, word);
        mxtq_add<BITS, IN, OUT, ROWS, true>(sums_b, values, codebook, words_b, first, word);
    }
    if (IN % PER_ROUND != 0) {
        const int word = IN / PER_ROUND * 32 + int(lane);
        mxtq_inputs<BITS, IN, 0, false>(values, x, word);
        mxtq_add<BITS, IN, OUT, ROWS, false>(sums_a, values, codebook, words_a, first, word);
        mxtq_add<BITS, IN, OUT, ROWS, false>(sums_b, values, codebook, words_b, first, word);
    }
}

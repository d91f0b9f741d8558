"""Writes a GGUF with random weights in ZAYA1-8B's matrix shapes.

llama.cpp has no ZAYA. Its qwen3moe has the same matrices but for the router
(one matrix here) and the convolutions (none): 40 layers, 2048 wide, 8 query and
2 KV heads of 128, one of 16 experts of width 2048 per token, 262,272 rows of
embedding. Experts are Q2_K (gate, up) and Q4_K (down), the rest Q8_0, which is
what JANGTQ_K's bits are. Speed does not depend on what the numbers are, as long
as they are finite: codes are random bytes with small scales.

    python make_gguf.py OUT.gguf
"""

import sys

import numpy as np
from gguf import GGMLQuantizationType as Q
from gguf import GGUFWriter, TokenType

LAYERS, HIDDEN, WIDTH, EXPERTS = 40, 2048, 2048, 16
HEADS, KV_HEADS, HEAD_DIM, VOCAB = 8, 2, 128, 262_272
rng = np.random.default_rng(1)


def blocks(count, size, halves):
    """`count` blocks of `size` random bytes; at each offset in `halves` stands
    a small half-precision number."""
    data = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for at, value in halves:
        data[:, at : at + 2] = np.frombuffer(np.float16(value).tobytes(), np.uint8)
    return data


def quantized(kind, shape):
    """Rows of blocks: `shape` is outermost first, in numbers."""
    *outer, columns = shape
    per_block, size, halves = {
        # d, then 32 codes; codes are within 128 of zero.
        Q.Q8_0: (32, 34, [(0, 3e-4)]),
        # 16 scales, 64 bytes of codes, d, dmin.
        Q.Q2_K: (256, 84, [(80, 2e-3), (82, 3e-3)]),
        # d, dmin, 12 bytes of scales, 128 bytes of codes.
        Q.Q4_K: (256, 144, [(0, 1e-4), (2, 7e-4)]),
    }[kind]
    rows = int(np.prod(outer))
    data = blocks(rows * columns // per_block, size, halves)
    return data.reshape(*outer, columns // per_block * size)


def main(path):
    w = GGUFWriter(path, "qwen3moe")
    w.add_block_count(LAYERS)
    w.add_context_length(40960)
    w.add_embedding_length(HIDDEN)
    w.add_feed_forward_length(WIDTH)
    w.add_expert_feed_forward_length(WIDTH)
    w.add_expert_count(EXPERTS)
    w.add_expert_used_count(1)
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV_HEADS)
    w.add_key_length(HEAD_DIM)
    w.add_value_length(HEAD_DIM)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_freq_base(1e6)
    w.add_tokenizer_model("llama")
    w.add_token_list([f"<t{i}>" for i in range(VOCAB)])
    w.add_token_scores([0.0] * VOCAB)
    w.add_token_types([TokenType.NORMAL] * VOCAB)
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_unk_token_id(0)

    def add(name, kind, *shape):
        w.add_tensor(name, quantized(kind, shape), raw_dtype=kind)

    def ones(name, size):
        w.add_tensor(name, np.ones(size, np.float32))

    # Embedding and head are one matrix, as in ZAYA.
    add("token_embd.weight", Q.Q8_0, VOCAB, HIDDEN)
    ones("output_norm.weight", HIDDEN)
    for layer in range(LAYERS):
        p = f"blk.{layer}."
        ones(p + "attn_norm.weight", HIDDEN)
        ones(p + "ffn_norm.weight", HIDDEN)
        ones(p + "attn_q_norm.weight", HEAD_DIM)
        ones(p + "attn_k_norm.weight", HEAD_DIM)
        add(p + "attn_q.weight", Q.Q8_0, HEADS * HEAD_DIM, HIDDEN)
        add(p + "attn_k.weight", Q.Q8_0, KV_HEADS * HEAD_DIM, HIDDEN)
        add(p + "attn_v.weight", Q.Q8_0, KV_HEADS * HEAD_DIM, HIDDEN)
        add(p + "attn_output.weight", Q.Q8_0, HIDDEN, HEADS * HEAD_DIM)
        router = rng.standard_normal((EXPERTS, HIDDEN)).astype(np.float32)
        w.add_tensor(p + "ffn_gate_inp.weight", router)
        add(p + "ffn_gate_exps.weight", Q.Q2_K, EXPERTS, WIDTH, HIDDEN)
        add(p + "ffn_up_exps.weight", Q.Q2_K, EXPERTS, WIDTH, HIDDEN)
        add(p + "ffn_down_exps.weight", Q.Q4_K, EXPERTS, HIDDEN, WIDTH)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


main(sys.argv[1])

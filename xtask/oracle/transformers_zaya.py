#!/usr/bin/env python3
"""Oracle: a tiny random ZAYA checkpoint in transformers' own layout, with its logits.

Every tensor is random, those included that transformers initialises to zero or
one (residual scales, temperatures, balancing biases), and the intermediate size
differs from the hidden size, so that no mix-up can hide. Token ids are picked so
that routes are far from ties while some tokens skip their expert. Logits are
those of `ZayaForCausalLM` in float32: a skipped token's expert output is zero.

Needs: pip install "transformers==5.23.0" torch tokenizers safetensors numpy
Run:   python transformers_zaya.py OUT_DIR
Writes OUT_DIR/transformers/ (the checkpoint), OUT_DIR/transformers.expected.safetensors
(`logits` [n, vocab] F32, `route` [layers, n] I32 where num_experts is the skip,
`margin` [layers, n] F32) and OUT_DIR/transformers.ids.json.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import save_file as save_torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import ZayaConfig, ZayaForCausalLM

TOKENS, CANDIDATES, MIN_MARGIN = 40, 64, 0.02


def config() -> ZayaConfig:
    return ZayaConfig(
        vocab_size=288, hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, moe_intermediate_size=48, num_experts=3,
        router_hidden_size=24, max_position_embeddings=4096, cca_time0=2, cca_time1=2,
        bos_token_id=256, eos_token_id=257, pad_token_id=258,
    )


def fill(model: ZayaForCausalLM, rng: np.random.Generator) -> None:
    """Overwrites every tensor. Matrices hold bf16 values, vectors float32 ones."""
    def set_(t, a):
        t.data.copy_(torch.from_numpy(np.asarray(a, np.float32)))

    tensors = list(model.model.named_parameters()) + [
        (n, b) for n, b in model.model.named_buffers() if n.endswith("balancing_biases")]
    for name, t in tensors:
        shape, leaf = tuple(t.shape), name.rsplit(".", 1)[-1]
        g = rng.standard_normal(shape)
        if leaf == "balancing_biases":
            g = g * 0.05            # balance() moves them
        elif leaf.endswith("_bias") or leaf == "bias":
            g = g * 0.1
        elif leaf in ("hidden_states_scale", "residual_scale", "input_hidden_states_scale"):
            g = 1.0 + 0.1 * g
        elif leaf == "router_states_scale":
            g = 1.0 + 0.3 * g
        elif leaf == "temp":
            g = 0.5 + 2.5 * rng.random(shape)
        elif len(shape) == 1:
            g = 1.0 + 0.2 * g
        elif "embed_tokens" in name:
            g = g * 0.25
        elif "conv_qk" in name:
            g = g / np.sqrt(shape[1] * shape[2])
        else:
            gain = 2.0 if "router_mlp" in name else 1.0
            g = gain * g / np.sqrt(shape[-1])
        set_(t, g)
        if len(shape) >= 2:
            t.data.copy_(t.data.to(torch.bfloat16).to(torch.float32))


class Routes:
    """Records each router's biased probabilities."""
    def __init__(self, model):
        self.seen, self.hooks = [], []
        for layer in model.model.layers:
            gate = layer.mlp.gate
            self.hooks.append(gate.register_forward_hook(
                lambda m, _, out: self.seen.append(torch.softmax(out[0], -1) + m.balancing_biases)))

    def take(self, batch):
        """(route, margin), each [layers, batch, tokens]."""
        probs = torch.stack(self.seen)
        self.seen = []
        top = probs.topk(2, -1)
        shape = (probs.shape[0], batch, -1)
        return (top.indices[..., 0].reshape(shape).numpy(),
                (top.values[..., 0] - top.values[..., 1]).reshape(shape).numpy())


def balance(model, routes, rng) -> None:
    """Nudges the balancing biases until every route, the skip too, is used."""
    classes = model.config.num_experts + 1
    ids = torch.from_numpy(rng.integers(0, model.config.vocab_size, (1, 192)))
    for step in range(200):
        model(ids, use_cache=False)
        for layer, route in zip(model.model.layers, routes.take(1)[0]):
            use = np.bincount(route.reshape(-1), minlength=classes) / route.size
            layer.mlp.gate.balancing_biases -= torch.from_numpy(
                (use - 1 / classes).astype(np.float32)) * (0.1 if step < 150 else 0.02)


def pick_ids(model, routes, rng) -> list[int]:
    skip, seq = model.config.num_experts, []
    for pos in range(TOKENS):
        cand = rng.integers(0, model.config.vocab_size, CANDIDATES)
        batch = torch.tensor([seq + [int(c)] for c in cand])
        model(batch, use_cache=False)
        route, margin = (x[..., -1] for x in routes.take(CANDIDATES))
        score = margin.min(0)
        if pos % 3 == 2:
            turn = pos // 3 % len(route)
            score = score + ((route[turn] == skip) & (score > MIN_MARGIN))
        seq.append(int(cand[score.argmax()]))
    return seq


def tokenizer(path: Path) -> None:
    """Ids 0..255 are bytes, then the specials."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tok = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.add_special_tokens([AddedToken(s, special=True) for s in ("<bos>", "<eos>", "<pad>")])
    tok.save(str(path / "tokenizer.json"))
    (path / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<bos>", "eos_token": "<eos>",
        "pad_token": "<pad>", "model_max_length": 4096}, indent=1))
    (path / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}")


def main() -> None:
    ap = argparse.ArgumentParser()
    ap.add_argument("out", type=Path)
    ap.add_argument("--seed", type=int, default=9)
    a = ap.parse_args()
    torch.set_grad_enabled(False)
    torch.manual_seed(a.seed)
    rng = np.random.default_rng(a.seed)

    cfg = config()
    cfg._attn_implementation = "eager"
    model = ZayaForCausalLM(cfg).eval()
    fill(model, rng)
    routes = Routes(model)
    balance(model, routes, rng)

    folder = a.out / "transformers"
    folder.mkdir(parents=True, exist_ok=True)
    cfg.architectures = ["ZayaForCausalLM"]
    cfg.dtype = "bfloat16"
    cfg.save_pretrained(folder)
    state = {k: (v.to(torch.bfloat16) if v.dim() >= 2 else v).contiguous()
             for k, v in model.state_dict().items() if k != "lm_head.weight"}
    save_torch(state, str(folder / "model.safetensors"), metadata={"format": "pt"})
    tokenizer(folder)

    model, report = ZayaForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    model.eval()
    assert not any(report[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    # 5.23's loader re-initialises the skip's balancing bias to -1 after loading;
    # the stored one is what counts.
    for n, b in model.named_buffers():
        if n.endswith("balancing_biases"):
            b.data.copy_(state[n])
    routes = Routes(model)
    ids = pick_ids(model, routes, rng)
    logits = model(torch.tensor([ids]), use_cache=False).logits[0].numpy()
    route, margin = (x[:, 0] for x in routes.take(1))

    # The cached path, one token at a time, must say the same.
    past, steps = None, []
    for t in ids:
        out = model(torch.tensor([[t]]), past_key_values=past, use_cache=True)
        past = out.past_key_values
        steps.append(out.logits[0, -1].numpy())
    stepwise = float(np.abs(np.stack(steps) - logits).max())
    skips = (route == cfg.num_experts).sum(1)
    print(f"skips per layer {skips.tolist()} of {TOKENS}, least margin {margin.min():.4f}, "
          f"logits std {logits.std():.3f}, cached vs whole {stepwise:.1e}")
    assert (skips > 0).all() and margin.min() > MIN_MARGIN / 2 and stepwise < 1e-4

    save_numpy({"logits": np.ascontiguousarray(logits, np.float32),
                "route": np.ascontiguousarray(route, np.int32),
                "margin": np.ascontiguousarray(margin, np.float32)},
               str(a.out / "transformers.expected.safetensors"))
    (a.out / "transformers.ids.json").write_text(json.dumps({"tokens": ids}))


if __name__ == "__main__":
    main()

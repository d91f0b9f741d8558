"""Speed of transformers with torch in bfloat16 on random weights in ZAYA1-8B's
shapes: medians of several runs, as one line of JSON.

Memory holds few of the 40 layers in bfloat16, so the model has `--layers` of
them, and the time of a token is scaled: what a layer takes is the difference
between models of two sizes.

    python run_transformers.py [--threads 2] [--layers 8] [--context 512]
                               [--prompt 512] [--gen 16] [--repeats 3]
"""

import argparse
import json
import statistics
import time

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

LAYERS = 40
parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--layers", type=int, default=8)
parser.add_argument("--context", type=int, default=512)
parser.add_argument("--prompt", type=int, default=512)
parser.add_argument("--gen", type=int, default=16)
parser.add_argument("--repeats", type=int, default=3)
args = parser.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(1)


def model(layers):
    config = AutoConfig.for_model(
        "zaya",
        hidden_size=2048,
        num_hidden_layers=layers,
        num_attention_heads=8,
        num_key_value_heads=2,
        head_dim=128,
        vocab_size=262_272,
        num_experts=16,
        num_experts_per_tok=1,
        moe_intermediate_size=2048,
        tie_word_embeddings=True,
    )
    return AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()


def seconds(net):
    """Of the prefill, and of a decode step."""
    ids = torch.randint(1000, 200_000, (1, max(args.prompt, args.context) + args.gen))
    times = {"prefill": [], "decode": []}
    # The first pass finds memory and picks kernels.
    net(ids[:, : args.prompt], use_cache=True, logits_to_keep=1)
    for _ in range(args.repeats):
        start = time.perf_counter()
        net(ids[:, : args.prompt], use_cache=True, logits_to_keep=1)
        times["prefill"].append(time.perf_counter() - start)
        done = net(ids[:, : args.context], use_cache=True, logits_to_keep=1)
        cache = done.past_key_values
        start = time.perf_counter()
        for i in range(args.gen):
            at = args.context + i
            net(ids[:, at : at + 1], past_key_values=cache, use_cache=True)
        times["decode"].append((time.perf_counter() - start) / args.gen)
    return {name: statistics.median(values) for name, values in times.items()}


with torch.inference_mode():
    few, many = 1, args.layers
    less, more = seconds(model(few)), seconds(model(many))
total = {
    name: more[name] + (more[name] - less[name]) / (many - few) * (LAYERS - many)
    for name in more
}
print(
    json.dumps(
        {
            "engine": f"transformers {transformers.__version__}, "
            f"torch {torch.__version__}, bfloat16, scaled from {many} layers",
            "threads": args.threads,
            "prefill_tok_s": round(args.prompt / total["prefill"], 2),
            "decode_tok_s": round(1 / total["decode"], 2),
        }
    )
)

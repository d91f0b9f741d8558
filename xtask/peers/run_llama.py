"""Speed of llama.cpp: medians of several runs, as one line of JSON.

    python run_llama.py MODEL.gguf [--threads 2] [--context 512] [--prompt 512]
                                   [--gen 64] [--repeats 5] [--plain]
"""

import argparse
import ctypes
import json
import statistics
import time

import llama_cpp as ll

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--context", type=int, default=512)
parser.add_argument("--prompt", type=int, default=512)
parser.add_argument("--gen", type=int, default=64)
parser.add_argument("--repeats", type=int, default=5)
parser.add_argument(
    "--plain", action="store_true", help="do not repack weights (no AMX then)"
)
args = parser.parse_args()

quiet = ll.llama_log_callback(lambda level, text, data: None)
ll.llama_log_set(quiet, ctypes.c_void_p(0))
ll.llama_backend_init()
loading = ll.llama_model_default_params()
loading.use_extra_bufts = not args.plain
model = ll.llama_model_load_from_file(args.model.encode(), loading)
assert model, "the model can't be loaded"
params = ll.llama_context_default_params()
params.n_ctx = max(args.context + args.gen, args.prompt) + 64
params.n_batch = params.n_ubatch = max(512, args.prompt)
params.n_threads = params.n_threads_batch = args.threads
context = ll.llama_init_from_model(model, params)
memory = ll.llama_get_memory(context)
vocab = ll.llama_vocab_n_tokens(ll.llama_model_get_vocab(model))


def decode(tokens):
    ids = (ll.llama_token * len(tokens))(*tokens)
    assert ll.llama_decode(context, ll.llama_batch_get_one(ids, len(tokens))) == 0
    ll.llama_synchronize(context)


def drawn(i):
    return (1000 + i * 7919) % vocab


def clear():
    ll.llama_memory_clear(memory, True)


decode([drawn(i) for i in range(16)])
rates = {"prefill": [], "decode": []}
for _ in range(args.repeats):
    clear()
    prompt = [drawn(i) for i in range(args.prompt)]
    start = time.perf_counter()
    decode(prompt)
    rates["prefill"].append(args.prompt / (time.perf_counter() - start))
    clear()
    left = args.context
    while left > 0:
        part = min(left, 512)
        decode([drawn(i) for i in range(part)])
        left -= part
    decode([drawn(0)])
    start = time.perf_counter()
    for i in range(args.gen):
        decode([drawn(i)])
    rates["decode"].append(args.gen / (time.perf_counter() - start))
report = {
    "engine": f"llama-cpp-python {ll.__version__}",
    "threads": args.threads,
    "plain": args.plain,
}
for name, values in rates.items():
    report[f"{name}_tok_s"] = round(statistics.median(values), 2)
    report[f"{name}_min_max"] = [round(min(values), 2), round(max(values), 2)]
print(json.dumps(report))

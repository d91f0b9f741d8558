#!/usr/bin/env python3
"""Golden vectors of the number formats: jang's and MLX's own tensor encoders on small inputs.

Needs: pip install "jang==2.5.50" "mlx==0.32.4" "mlx-cpu==0.32.4" numpy safetensors
Run on Linux (MLX's CPU encoder is the one reproduced):  python quant_vectors.py OUT_DIR
Writes OUT_DIR/{tables,mxtq,affine,mxfp4}.safetensors; tests/golden/README.md describes them.
"""
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
from jang_tools.convert_zaya_common import affine_quantize, tq_quantize_weight_rowwise
from jang_tools.turboquant.codebook import compute_codebook
from jang_tools.turboquant.rotation import generate_random_signs, hadamard_inverse
from safetensors.numpy import save_file

SEED = 42
TQ_BITS, AFFINE_BITS, GROUPS = (1, 2, 3, 4, 8), (2, 3, 4, 5, 6, 8), (32, 64, 128)


def bf16(x: np.ndarray) -> np.ndarray:
    """Rounds to bfloat16, returned as its bits."""
    u = np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.uint64)
    return ((u + 0x7FFF + ((u >> 16) & 1)) >> 16).astype(np.uint16)


def widen(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def rows(rng, n: int) -> np.ndarray:
    """One row per kind of distribution, bf16 bits."""
    g = lambda: rng.standard_normal(n)
    kinds = [
        0.02 * g(),                                 # gaussian
        -np.abs(0.02 * g()) - 0.01,                 # all negative
        np.abs(0.02 * g()) + 0.01,                  # all positive
        rng.choice([-0.5, 0.0, 0.25, 0.5], n),      # few values: ties
        np.zeros(n),                                # nothing
        1e-6 * g(),                                 # subnormal in f16
        2.0 * g() * np.exp(g()),                    # heavy tails
    ]
    return bf16(np.stack(kinds))


def tables() -> dict:
    out = {}
    for n in (5, 7, 64, 96, 128, 160, 256, 320, 1280, 1536, 2048, 4096, 7168):
        for b in TQ_BITS:
            out[f"codebook.{n}.{b}"] = np.array(compute_codebook(n, b)).astype(np.float32)
    for seed in (0, 42, 123456789012):
        out[f"signs.77.{seed}"] = np.array(generate_random_signs(77, seed=seed)).astype(np.float32)
    return out


def mxtq(rng) -> dict:
    out = {}
    for n in (7, 64, 128, 256, 320, 1280, 2048, 4096):
        w = rows(rng, n)
        out[f"{n}.weights"] = w
        for b in TQ_BITS:
            q = tq_quantize_weight_rowwise(widen(w), bits=b, seed=SEED)
            out[f"{n}.{b}.packed"], out[f"{n}.{b}.norms"] = q["packed"], q["norms"]
            if n == 320:
                sh = np.arange(32 // b, dtype=np.uint32) * b
                idx = ((q["packed"][..., None] >> sh) & ((1 << b) - 1)).reshape(len(w), -1)[:, :n]
                cb = np.array(compute_codebook(n, b)).astype(np.float32)
                t = cb[idx] * q["norms"].astype(np.float32)[:, None]
                signs = mx.array(generate_random_signs(n, seed=SEED))
                out[f"{n}.{b}.decoded"] = np.array(hadamard_inverse(mx.array(t), signs))
    return out


def affine(rng) -> dict:
    w = rows(rng, 384)
    w[6] = bf16(np.clip(widen(w[6]) * 1e4, -6e4, 6e4))
    out = {"weights": w}
    for b in AFFINE_BITS:
        for g in GROUPS:
            q, s, z = affine_quantize(widen(w), b, g)
            out[f"{b}.{g}.weight"], out[f"{b}.{g}.scales"], out[f"{b}.{g}.biases"] = q, s, z
            if g == 64:
                f32 = [mx.array(x).astype(mx.float32) for x in (s, z)]
                out[f"{b}.{g}.decoded"] = np.array(mx.dequantize(mx.array(q), *f32, group_size=g, bits=b))
    return out


def mxfp4(rng) -> dict:
    w = widen(rows(rng, 96))
    q, s = mx.quantize(mx.array(w), group_size=32, bits=4, mode="mxfp4")
    d = mx.dequantize(q, s, group_size=32, bits=4, mode="mxfp4", dtype=mx.float32)
    # every code, at the ends and the middle of the scale's range
    codes = mx.array(np.tile(np.array([0x76543210, 0xFEDCBA98], np.uint32), (4, 2)))
    scales = mx.array(np.array([[0], [1], [127], [250]], np.uint8))
    return {"weight": np.array(q), "scales": np.array(s), "decoded": np.array(d),
            "all.weight": np.array(codes), "all.scales": np.array(scales),
            "all.decoded": np.array(mx.dequantize(codes, scales, group_size=32, bits=4, mode="mxfp4", dtype=mx.float32))}


def main() -> None:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    mx.set_default_device(mx.cpu)
    rng = np.random.default_rng(2024)
    for name, t in (("tables", tables()), ("mxtq", mxtq(rng)), ("affine", affine(rng)), ("mxfp4", mxfp4(rng))):
        path = out / f"{name}.safetensors"
        save_file({k: np.ascontiguousarray(v) for k, v in t.items()}, str(path))
        path.chmod(0o644)
        print(path.name, path.stat().st_size)


if __name__ == "__main__":
    main()

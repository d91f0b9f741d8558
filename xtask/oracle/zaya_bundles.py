#!/usr/bin/env python3
"""Oracle: every bundle kind of a tiny ZAYA model, by jang's own converters, with jang's logits.

Drives `jang_zaya_bundle.py` (the first argument; its docstring says what to
install), which makes JANGTQ2, JANGTQ4, JANGTQ_K and MXFP4 from one random
checkpoint, and adds what it leaves out: JANGTQ3, and the unquantized source with
token ids of its own.

Run:   python zaya_bundles.py PATH/jang_zaya_bundle.py OUT [--hidden 256] [--small]
       [--golden DIR --only JANGTQ_K,MXFP4 --suffix=-96]
Writes OUT/NAME/ (the bundle; OUT/source/ for BF16), OUT/NAME.expected.safetensors
(tensors `f32.{short|long}.{prefill|decode}_{logits|route|margin}`) and
OUT/NAME.ids.json ({"short", "short_decode", "long", "long_decode"}).
`--small` makes a smaller model (6 layers, 3 experts, narrow heads and router), small
enough to commit; `--golden` copies the bundles and their float32 tensors to DIR.
"""
import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

KINDS = ("JANGTQ2", "JANGTQ3", "JANGTQ4", "JANGTQ_K", "MXFP4", "BF16")


def load_script(path: Path):
    spec = importlib.util.spec_from_file_location("jang_zaya_bundle", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shrink(module) -> None:
    full = module.tiny_config

    def small(hidden):
        cfg = full(hidden)
        cfg.update(num_hidden_layers=6, num_experts=3, zaya_mlp_expansion=32, kv_channels=16)
        return cfg
    module.tiny_config = small


def extra(module, out: Path, seed: int) -> None:
    """JANGTQ3 and the unquantized source. Runs after the script's main: the
    stand-ins for Metal kernels are installed by then."""
    import mlx.core as mx
    from safetensors.numpy import save_file
    load = module.load

    def load_f32(bundle, mxtq):
        # MLX's CPU backend has no bf16 gather matmul.
        model = load(bundle, mxtq)
        if not mxtq:
            model.set_dtype(mx.float32)
        return model
    module.load = load_f32
    shutil.rmtree(out / "JANGTQ3", ignore_errors=True)
    subprocess.run([sys.executable, "-m", "jang_tools.convert_zaya_jangtq", str(out / "source"),
                    str(out / "JANGTQ3"), "JANGTQ3", "--quiet-text"], check=True, stdout=subprocess.DEVNULL)
    for name, folder, mxtq in (("JANGTQ3", "JANGTQ3", True), ("BF16", "source", False)):
        ids = module.pick_ids(out / folder, mxtq, seed)
        tensors, info = module.reference(out / folder, ids, mxtq)
        save_file(tensors, str(out / f"{name}.expected.safetensors"))
        (out / f"{name}.ids.json").write_text(json.dumps(ids))
        print(name, {k: v for k, v in info.items() if "margin" in k or "stepwise" in k})


def golden(out: Path, to: Path, only: list[str], suffix: str) -> None:
    from safetensors.numpy import load_file, save_file
    to.mkdir(parents=True, exist_ok=True)
    for name in only:
        target = to / (name + suffix)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(out / ("source" if name == "BF16" else name), target)
        t = load_file(str(out / f"{name}.expected.safetensors"))
        save_file({k: v for k, v in t.items() if k.startswith("f32.")}, f"{target}.expected.safetensors")
        shutil.copy(out / f"{name}.ids.json", f"{target}.ids.json")
        for f in [*target.iterdir(), Path(f"{target}.expected.safetensors")]:
            f.chmod(0o644)


def main() -> None:
    ap = argparse.ArgumentParser()
    ap.add_argument("script", type=Path)
    ap.add_argument("out", type=Path)
    ap.add_argument("--hidden", type=int, default=256)
    ap.add_argument("--seed", type=int, default=1234)
    ap.add_argument("--small", action="store_true")
    ap.add_argument("--golden", type=Path)
    ap.add_argument("--only", default=",".join(KINDS))
    ap.add_argument("--suffix", default="")
    a = ap.parse_args()
    module, out = load_script(a.script), a.out.resolve()
    if a.small:
        shrink(module)

    sys.argv = [str(a.script), str(out), "--hidden", str(a.hidden), "--seed", str(a.seed)]
    try:
        module.main()
    except SystemExit as e:
        if e.code:
            raise
    report = json.loads((out / "expected.json").read_text())
    for name, info in report["bundles"].items():
        (out / f"{name}.ids.json").write_text(json.dumps(info["ids"]))
    extra(module, out, a.seed)
    if a.golden:
        golden(out, a.golden, a.only.split(","), a.suffix)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Nibble against LiteRT (XNNPACK) on whole networks, one thread, in one process.

Usage: bench/run.py --build BUILD [--rounds N] [--json FILE] [MODEL.tflite ...]

For each model: the network compiled for `native` and for `c99` (built at -O2), and LiteRT with its
default resolver, whose log line says whether XNNPACK took the graph. Outputs are compared before
anything is timed. The three take turns; each sample is one inference; a canary loop beside each round
drops rounds in which the machine was disturbed. Medians, spread and ratios are printed.

LiteRT comes from PyPI into BUILD/bench/venv on first use. Models default to the shared ones
(NIB_SHARED, else ../shared).
"""
import argparse
import ctypes
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ["numpy", "ai-edge-litert"]
DEFAULT_MODELS = [
    "mlperf-tiny/pretrainedResnet_quant.tflite",
    "mlperf-tiny/kws_ref_model.tflite",
    "mlperf-tiny/vww_96_int8.tflite",
    "mlperf-tiny/ad01_int8.tflite",
    "tflite-micro/person_detect.tflite",
]
# A round counts if the canary ran at this share of its best speed or better.
CANARY_SHARE = 0.85
# XNNPACK rounds differently from the reference kernels: a few units in the last place are expected.
OUTPUT_TOLERANCE = 8


def reexec_in_venv(build: pathlib.Path) -> None:
    """Makes the virtual environment with the peers and continues inside it."""
    venv = build / "bench" / "venv"
    python = venv / "bin" / "python"
    if pathlib.Path(sys.prefix) == venv:
        return
    if not python.exists():
        print(f"installing {' '.join(PACKAGES)} into {venv}")
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
    os.execv(str(python), [str(python), *sys.argv])


class PeerRefused(Exception):
    """The peer cannot load the model."""


class Compiled:
    """A network compiled by nibc to C and built as a shared object."""

    def __init__(self, build: pathlib.Path, model: pathlib.Path, target: str, flags: list):
        self.name = "net"
        out = build / "bench" / f"{model.stem}-{target}"
        subprocess.run([str(build / "bin/nibc"), "compile", str(model), "-o", str(out), "--name", self.name,
                        f"--target={target}"], check=True, stdout=subprocess.DEVNULL)
        library = out / "net.so"
        subprocess.run(["clang-22", "-std=c11", *flags, "-ffp-contract=off", "-shared", "-fPIC", "-o", str(library),
                        str(out / "net.c"), str(out / "net_weights.c"), str(ROOT / "bench/loop.c"),
                        f"-I{out}", "-lm"], check=True)
        self.library = ctypes.CDLL(str(library))
        self.library.nib_bench_time.restype = ctypes.c_double

    def run(self, inputs, outputs, runs: int) -> float:
        """Nanoseconds of `runs` inferences."""
        pointers = (ctypes.c_void_p * len(inputs))(*[x.ctypes.data for x in inputs])
        results = (ctypes.c_void_p * len(outputs))(*[y.ctypes.data for y in outputs])
        return self.library.nib_bench_time(pointers, results, ctypes.c_int(runs))


def canary() -> float:
    start = time.perf_counter()
    total = 0
    for i in range(20000):
        total += i
    return time.perf_counter() - start


def bench_model(build: pathlib.Path, model: pathlib.Path, rounds: int) -> dict:
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    try:
        peer = Interpreter(model_path=str(model), num_threads=1)
    except ValueError as error:
        raise PeerRefused(str(error)[:120]) from error
    peer.allocate_tensors()
    details_in, details_out = peer.get_input_details(), peer.get_output_details()
    rng = np.random.default_rng(1)
    inputs = []
    for d in details_in:
        if np.issubdtype(d["dtype"], np.integer):
            info = np.iinfo(d["dtype"])
            inputs.append(rng.integers(info.min, info.max + 1, d["shape"]).astype(d["dtype"]))
        else:
            inputs.append(rng.random(d["shape"], dtype=np.float32) * 255)
    for d, x in zip(details_in, inputs):
        peer.set_tensor(d["index"], x)
    peer.invoke()
    expected = [peer.get_tensor(d["index"]) for d in details_out]

    native = Compiled(build, model, "native", ["-O3"])
    portable = Compiled(build, model, "c99", ["-O2"])
    difference = 0
    for compiled in (native, portable):
        outputs = [np.zeros(d["shape"], d["dtype"]) for d in details_out]
        compiled.run(inputs, outputs, 1)
        for y, r in zip(outputs, expected):
            difference = max(difference, float(np.max(np.abs(y.astype(np.float64) - r.astype(np.float64)))))
    if np.issubdtype(details_out[0]["dtype"], np.integer) and difference > OUTPUT_TOLERANCE:
        sys.exit(f"{model.name}: outputs differ by {difference} codes from LiteRT's: not timing wrong results")

    samples = {"native": [], "c99": [], "litert": []}
    canaries = []
    outputs = [np.zeros(d["shape"], d["dtype"]) for d in details_out]
    for _ in range(rounds):
        canaries.append(canary())
        samples["native"].append(native.run(inputs, outputs, 10) / 10e3)
        start = time.perf_counter_ns()
        for _ in range(10):
            peer.invoke()
        samples["litert"].append((time.perf_counter_ns() - start) / 10e3)
        samples["c99"].append(portable.run(inputs, outputs, 1) / 1e3)
    best = sorted(canaries)[len(canaries) // 20]  # not the minimum: one lucky round would drop all others
    kept = [i for i, c in enumerate(canaries) if best / c >= CANARY_SHARE] or list(range(rounds))
    row = {"model": model.name, "rounds": rounds, "kept": len(kept), "max_output_difference": difference}
    for key, values in samples.items():
        values = sorted(values[i] for i in kept)
        row[key + "_us"] = statistics.median(values)
        row[key + "_spread_us"] = [values[0], values[-1]]
    row["c99_over_native"] = row["c99_us"] / row["native_us"]
    row["native_over_litert"] = row["native_us"] / row["litert_us"]
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("models", nargs="*", type=pathlib.Path)
    args = parser.parse_args()
    args.build = args.build.resolve()
    (args.build / "bench").mkdir(parents=True, exist_ok=True)
    reexec_in_venv(args.build)

    shared = pathlib.Path(os.environ.get("NIB_SHARED", ROOT.parent / "shared"))
    models = args.models or [shared / "data" / m for m in DEFAULT_MODELS]
    models = [m for m in models if m.exists() or print(f"skipped: {m} is not there")]
    print(f"{'model':32} {'native us':>10} {'LiteRT us':>10} {'c99 us':>10} {'c99/native':>11} {'native/LiteRT':>14}  kept")
    rows = []
    for model in models:
        try:
            row = bench_model(args.build, model, args.rounds)
        except PeerRefused as error:
            print(f"{model.name:32} skipped: LiteRT refuses it: {error}")
            continue
        rows.append(row)
        print(f"{row['model']:32} {row['native_us']:10.1f} {row['litert_us']:10.1f} {row['c99_us']:10.1f} "
              f"{row['c99_over_native']:10.1f}x {row['native_over_litert']:13.2f}x  {row['kept']}/{row['rounds']}",
              flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

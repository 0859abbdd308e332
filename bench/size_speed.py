#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Size against speed: the MLPerf Tiny networks compiled for speed, for size (--size) and as portable C.

  bench/size_speed.py [--nibc build/bin/nibc] [--shared ../shared] [--rounds 7] [--target native]

Prints the Markdown table of docs/size.md. Bytes are those of `size -A` on the objects that
`nibc compile --emit=obj` makes: code is .text*, constants are .rodata* and .data.rel.ro*. Times are the
least median of several processes, taken in turn, so that what else runs on the machine meets all alike.
"""
import argparse
import json
import math
import os
import re
import struct
import subprocess
import sys
import tempfile

NETWORKS = [
    ("ResNet8", "mlperf-tiny/pretrainedResnet_quant.tflite", (1, 32, 32, 3)),
    ("DS-CNN (keyword spotting)", "mlperf-tiny/kws_ref_model.tflite", (1, 49, 10, 1)),
    ("MobileNet v1 .25 (visual wake words)", "mlperf-tiny/vww_96_int8.tflite", (1, 96, 96, 3)),
    ("autoencoder (anomaly detection)", "mlperf-tiny/ad01_int8.tflite", (1, 640)),
]
MODES = [("speed", []), ("`--size`", ["--size"]), ("portable C, `--size`", ["--size", "--target=c99"])]


def section_bytes(objects):
    """Bytes of code and of constants in the objects."""
    code = constants = 0
    for path in objects:
        text = subprocess.run(["size", "-A", path], check=True, capture_output=True, text=True).stdout
        for name, size in re.findall(r"^(\.\S+)\s+(\d+)", text, re.M):
            if name.startswith(".text"):
                code += int(size)
            elif name.startswith((".rodata", ".data.rel.ro")):
                constants += int(size)
    return code, constants


def compile_size(nibc, model, options):
    with tempfile.TemporaryDirectory() as folder:
        command = [nibc, "compile", model, "--emit=obj", "--name=m", "-o", folder] + options
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return section_bytes([os.path.join(folder, f) for f in sorted(os.listdir(folder)) if f.endswith(".o")])


def median_us(nibc, model, options, npy):
    command = [nibc, "run", model, "--json", "--repeat=200", "--input", npy] + options
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(text.strip().splitlines()[-1])["median_us"]


def write_input(path, shape):
    """An .npy file of int8, every code about equally often."""
    header = "{'descr': '|i1', 'fortran_order': False, 'shape': %s, }" % (shape,)
    header += " " * ((64 - (len(header) + 11) % 64) % 64) + "\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        f.write(bytes((i * 37) & 255 for i in range(math.prod(shape))))


def measure(args, name, model, shape):
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        npy = os.path.join(folder, "x.npy")
        write_input(npy, shape)
        modes = [(label, options if any(o.startswith("--target") for o in options)
                  else options + ["--target=" + args.target]) for label, options in MODES]
        times = [float("inf")] * len(modes)
        for _ in range(args.rounds):
            for i, (_, options) in enumerate(modes):
                times[i] = min(times[i], median_us(args.nibc, model, options, npy))
    for (label, options), us in zip(modes, times):
        code, constants = compile_size(args.nibc, model, options)
        rows.append((name, label, code, constants, us, us / times[0]))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nibc", default="build/bin/nibc")
    parser.add_argument("--shared", default=os.environ.get("NIB_SHARED", "../shared"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--target", default="native")
    args = parser.parse_args()
    print("| network | compiled for | code, bytes | constants, bytes | both | time | time / for speed |")
    print("|---|---|---|---|---|---|---|")
    for name, path, shape in NETWORKS:
        model = os.path.join(args.shared, "data", path)
        if not os.path.exists(model):
            sys.exit(f"{model} is not there: name the folder with --shared")
        for row in measure(args, name, model, shape):
            name_, label, code, constants, us, ratio = row
            both = code + constants
            print(f"| {name_} | {label} | {code:,} | {constants:,} | {both:,} | {us:.1f} µs | {ratio:.2f} |",
                  flush=True)


if __name__ == "__main__":
    main()

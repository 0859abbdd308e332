#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""check_ladders.py NIBC OUT: the two ladders of kernels that PULP-TrainLib publishes in cycles, in instructions of kernels of the
generator whose forms are chosen by --prefer. Prints each rung, and how many ratios are within 15 % of the published ones."""
import json
import pathlib
import subprocess
import sys

import numpy as np

nibc, out = sys.argv[1], pathlib.Path(sys.argv[2])
R = np.random.default_rng(3)
out.mkdir(parents=True, exist_ok=True)
# Of each rung: its published cycles, target, form, and other options. Loops over K take two steps at once, as many as a register has halves.
DENSE = (("naive", 67386, "zhinx", "conv_rows/rvzfinx:1x1", "--precision=f16"),
         ("SIMD", 43611, "xfvecmin", "conv_rows/xfvecmin:1x1", "--precision=f16"),
         ("transposed SIMD", 35268, "vfdotpex", "conv_rows/xfdotpex:1x1", "--precision=f16 --accumulate=f32"))
POINTWISE = (("naive", 77491, "zhinx", "conv_rows/rvzfinx:1x1", ""), ("2x1", 49884, "zhinx", "conv_rows/rvzfinx:2x1", ""),
             ("2x4", 35465, "zhinx", "conv_rows/rvzfinx:2x4", ""))
# The same layers as the search tiles them, with all instructions and its own unrolling.
BEST = {"dense": ("xfvec", "--precision=f16"), "pointwise": ("zhinx", "")}


def write(name, op, x_shape, w_shape):
    nest = lambda a: "[" + ", ".join(map(nest, a)) + "]" if a.ndim else repr(round(a.item(), 4))
    type_ = lambda s: "tensor<" + "".join(f"{n}x" for n in s) + "f32>"
    x, w = type_(x_shape), type_(w_shape)
    (out / f"{name}.mlir").write_text(
        f'func.func @net(%x: {x} {{nib.name = "x"}}) -> ({x} {{nib.name = "y"}}) attributes {{nib.rounding = "nearest-even"}} {{\n'
        f"  %w = nib.constant dense<{nest(R.uniform(-0.1, 0.1, w_shape))}> : {w}\n  %y = nib.{op} %x, %w : ({x}, {w}) -> {x}\n  return %y : {x}\n}}\n")
    np.save(out / f"{name}.npy", R.standard_normal(x_shape).astype(np.float32))


def run(name, features, *words):
    result = out / f"{name}-result.npy"
    command = [nibc, "run", str(out / f"{name}.mlir"), "--input", str(out / f"{name}.npy"), "--output", str(result),
               f"--target=riscv32-unknown-elf+{features}", "--count", "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(" ".join(command) + f": {done.stdout}{done.stderr}")
    kernels = [k for k in json.loads(done.stdout.splitlines()[-1])["kernels"] if k["macs"]]
    return kernels[0]["instructions"] / kernels[0]["macs"], np.load(result)


write("dense", "fully_connected", (1, 128), (128, 128))
write("pointwise", "conv2d", (1, 8, 8, 64), (64, 1, 1, 64))
near = 0
for name, rungs in (("dense", DENSE), ("pointwise", POINTWISE)):
    first = None
    for rung, cycles, features, form, words in rungs:
        count, result = run(name, features, f"--prefer={form}", "--unroll=2", *words.split())
        first = first or (count, cycles, result)
        ratio, published = count / first[0], cycles / first[1]
        near += rung != "naive" and abs(ratio / published - 1) <= 0.15
        print(f"{name}, {rung}: {form}, {count:.3f} per MAC, {ratio:.3f} of naive, published {published:.3f}")
        assert np.abs(result - first[2]).max() <= 0.01 * np.abs(first[2]).max(), f"{form} computes something else"
    features, words = BEST[name]
    count, _ = run(name, features, *words.split())
    print(f"{name}, as searched: {count:.3f} per MAC, {count / first[0]:.3f} of naive")
print(f"{near} of {len(DENSE) + len(POINTWISE) - 2} rungs are within 15 % of the published ratio")

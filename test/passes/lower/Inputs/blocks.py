#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every format of blocks, lowered through linalg, against the reference evaluator.

Usage: blocks.py NIBC FOLDER [FORMAT...]

Without FORMATs, all that `nibc formats` lists, and some with parameters. For each one network whose tensors in blocks are
not constant: numbers to blocks (as the source encodes them, and in every rounding mode), blocks to numbers, random bytes to
numbers, products with blocks on either side and on both, lookups, and moves of whole blocks; blocks as inputs and results.
"""
import json
import math
import pathlib
import random
import struct
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).parents[3] / "nibc" / "Inputs"))
import npy  # noqa: E402

# Second levels, zero points, offsets, every kind of scale and element that a spelling can ask for.
SPELLED = ["ui4:block=32,scale=f16,zero=ui4", "ui4:block=128,scale=f16,zero=f16", "i3:block=64,scale=bf16", "bfp7:block=16",
           "e2m2:block=16,scale=e8m0", "e4m3:bias=5,block=32,scale=f32", "i5:block=32,scale=tf32", "ui2:block=16,scale=dyadic8",
           "i8:block=32,scale=e8m0,rule=ceil", "i12:block=16,scale=f32", "f16:block=8,scale=f32", "ue2m3:block=8,scale=f8E5M2",
           "nf4:block=32,scale=f16", "bipolar2:block=8,scale=f32", "book:-2,-1,0,4:block=16,scale=f16",
           "i4:block=64,scale=f16,group=16,group_scale=ui4", "i4:block=64,scale=f32,group=32,group_scale=halves4,rule=ceil",
           "ui4:block=64,scale=f16,offset=bf16,group=16,group_scale=ui6,group_offset=6", "i8:block=24,scale=f32,limit=7",
           "ui3:block=40,scale=f16,offset=f32,rule=range"]
MODES = ["nearest-even", "nearest-away", "toward-zero", "up", "down"]
RUNS = 6


def numbers(kind, elems, rng):
    """Runs of f32: every case alone and mixed with random numbers of its own."""
    largest, least = 3.4028234663852886e38, 1e-45
    special = [0.0, -0.0, math.inf, -math.inf, math.nan, largest, -largest, least, -least, 1.0, -1.0]
    if kind == 0:
        return [rng.gauss(0, 1) for _ in range(elems)]
    if kind == 1:
        return [special[i // 37 % 11] for i in range(elems)]
    if kind == 2:
        return [rng.choice(special) if rng.random() < 0.05 else rng.gauss(0, 1) * 2.0 ** (i // 8 % 60 - 30) for i in range(elems)]
    if kind == 3:  # ties, and numbers that a code is
        return [rng.randint(-16, 16) / 2 * 2.0 ** (i // 32 % 7) for i in range(elems)]
    if kind == 4:
        return [abs(rng.gauss(0, 1)) * (1 if i // 256 % 2 else -1) for i in range(elems)]
    return [rng.uniform(-1, 1) * 10.0 ** rng.randint(-44, 38) for _ in range(elems)]  # below the largest


def function(arguments, lines):
    """Each line is a result and its type."""
    results = [(line.split(" = ")[0], type_) for line, type_ in lines]
    types = ", ".join(t for _, t in results)
    body = "\n  ".join(line for line, _ in lines)
    return f"func.func @net({arguments}) -> ({types}) {{\n  {body}\n  return {', '.join(n for n, _ in results)} : {types}\n}}\n"


class Shapes:
    """Three rows of blocks, a multiple of the block wide."""

    def __init__(self, name, block, block_bytes):
        self.rows, self.row = 3, block if block >= 512 else 2 * block
        self.elems, self.size = self.rows * self.row, self.rows * self.row // block * block_bytes
        self.kind, self.block = f'!nib.format<"{name}">', block
        self.x, self.q = f"tensor<{self.rows}x{self.row}xf32>", f"tensor<{self.rows}x{self.row}x{self.kind}>"
        self.bytes = f"tensor<{self.size}xi8>"


def casts(s):
    lines = [(f"%q = nib.cast %x : ({s.x}) -> {s.q}", s.q), (f"%r = nib.cast %q : ({s.q}) -> {s.x}", s.x)]
    lines += [(f'%m{i} = nib.cast %x mode "{mode}" : ({s.x}) -> {s.q}', s.q) for i, mode in enumerate(MODES)]
    lines += [(f"%u = nib.unpack %bytes : ({s.bytes}) -> {s.q}", s.q), (f"%d = nib.cast %u : ({s.q}) -> {s.x}", s.x),
              (f"%p = nib.pack %q : ({s.q}) -> {s.bytes}", s.bytes)]
    return function(f"%x: {s.x}, %bytes: {s.bytes}", lines), len(lines)


def products(s):
    f, t = f"tensor<{s.rows}x{s.rows}xf32>", f"tensor<{s.row}x{s.rows}xf32>"
    across, wide, flat = (f"tensor<{n}x{s.kind}>" for n in (f"3x{s.block}", f"2x{s.block}", s.elems))
    image, filter_ = f"tensor<1x2x3x{s.block}x{s.kind}>", f"tensor<2x1x2x{s.block}x{s.kind}>"
    h, g, y, z = (f"tensor<{n}>" for n in (f"{s.rows}x{s.row}xf16", f"5x{s.row}xf32", f"{s.rows}x{s.block}xf32", "1x2x2x2xf32"))
    lines = [(f"%y0 = nib.fully_connected %x, %w : ({s.x}, {s.q}) -> {f}", f),
             (f"%y1 = nib.fully_connected %w, %x : ({s.q}, {s.x}) -> {f}", f),
             (f"%y2 = nib.fully_connected %v, %w : ({s.q}, {s.q}) -> {f}", f),
             (f"%y3 = nib.matmul %w, %t : ({s.q}, {t}) -> {f}", f),
             (f"%y4 = nib.matmul %c, %a : (tensor<3x3xf32>, {across}) -> {y}", y),
             (f"%y5 = nib.conv2d %n, %k : ({image}, {filter_}) -> {z}", z),
             (f"%g = nib.gather %w, %i : ({s.q}, tensor<5xi32>) -> {g}", g),
             (f"%b = nib.reshape %w : ({s.q}) -> {flat}", flat),
             (f"%h = nib.cast %w : ({s.q}) -> {h}", h), (f"%e = nib.cast %d : (tensor<2x{s.block}xf64>) -> {wide}", wide)]
    arguments = (f"%x: {s.x}, %w: {s.q}, %v: {s.q}, %t: {t}, %c: tensor<3x3xf32>, %a: {across}, %n: {image}, %k: {filter_}, "
                 f"%i: tensor<5xi32>, %d: tensor<2x{s.block}xf64>")
    return function(arguments, lines), len(lines)


def verify(nibc, path, text, results, *inputs):
    path.write_text(text)
    command = [nibc, "verify", path, "--codegen=mlir", "--target=c99", "--no-cache", "--size", *inputs]
    result = subprocess.run([str(w) for w in command], capture_output=True, text=True, check=False)
    equal = result.stdout.count("equals the reference") + result.stdout.count("agrees with the reference")
    if result.returncode or equal != results:
        sys.exit(f"{path}: {equal} of {results}\n{result.stdout}{result.stderr}")
    return equal


def main():
    nibc, folder, *names = sys.argv[1:]
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    describe = lambda *name: json.loads(subprocess.run([nibc, "formats", *name, "--json"], capture_output=True, check=True).stdout)
    table = [row for row in describe() if row["kind"] == "block"]
    rows = [row for row in table if row["name"] in names or not names]
    for name in names or SPELLED:
        if name not in [row["name"] for row in table]:
            described = describe(name)
            rows.append(described[0] if isinstance(described, list) else described)
    for i, row in enumerate(rows):
        rng, shapes = random.Random(i), Shapes(row["name"], row["block"], row["block_bytes"])
        values = [v for kind in range(RUNS) for v in numbers(kind, shapes.elems, rng)]
        npy.write(folder / f"x{i}.npy", "f4", (RUNS, shapes.rows, shapes.row), struct.pack(f"<{len(values)}f", *values))
        npy.write(folder / f"b{i}.npy", "i1", (RUNS, shapes.size), rng.randbytes(RUNS * shapes.size))
        equal = verify(nibc, folder / f"casts{i}.mlir", *casts(shapes), "--input", folder / f"x{i}.npy",
                       "--input", folder / f"b{i}.npy")
        equal += verify(nibc, folder / f"products{i}.mlir", *products(shapes))
        print(f"{row['name']}: {equal} results equal", flush=True)
    print(f"{len(rows)} formats")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""cumulate, scatter_nd, scatter_elements and top_k, lowered through linalg, against the reference evaluator.

Usage: sequences.py NIBC FOLDER FORMAT...

For each format one network on numbers with NaN, infinities, zeros of both signs and many equals; indices name places twice,
count from the end, and lie beyond the ends.
"""
import math
import pathlib
import random
import struct
import sys

sys.path.append(str(pathlib.Path(__file__).parents[3] / "nibc" / "Inputs"))
import npy  # noqa: E402
from blocks import RUNS, function, verify  # noqa: E402

ROWS, COLUMNS = 6, 40


def value(run, rng):
    """Products of a row of them are finite, unless one is not."""
    if run > 3 and rng.random() < 0.02:
        return rng.choice([math.inf, -math.inf, math.nan])
    return rng.choice([-2, -1, -0.5, -0.0, 0.0, 0.5, 1, 2]) if run % 2 else rng.gauss(0, 1)


def network(kind, places_only):
    """`places_only`: a format whose numbers have no sums."""
    as_type = lambda *dims: "tensor<" + "".join(f"{d}x" for d in dims) + f"{kind}>"
    x, lines = as_type(ROWS, COLUMNS), []
    rounded = "" if places_only else " saturate 1"
    prepare = [f"%k = nib.cast %x{rounded} : (tensor<{ROWS}x{COLUMNS}xf32>) -> {x}"]
    for name, dims in (("u", (9, COLUMNS)), ("v", (30,)), ("w", (ROWS, 20))):
        prepare.append(f"%{name} = nib.cast %f{name}{rounded} : (tensor<{'x'.join(map(str, dims))}xf32>) -> {as_type(*dims)}")
    for how in ("min", "max") if places_only else ("add", "mul", "min", "max"):
        for axis in () if places_only else (0, 1):
            lines.append((f'%c{len(lines)} = nib.cumulate %k reduction "{how}" axis {axis} : ({x}) -> {x}', x))
    for how in ("none", "min", "max") if places_only else ("none", "add", "mul", "min", "max"):
        reduction = f'reduction "{how}"'
        lines += [(f"%n{how} = nib.scatter_nd %k, %i, %u {reduction} : ({x}, tensor<9x1xi32>, {as_type(9, COLUMNS)}) -> {x}", x),
                  (f"%t{how} = nib.scatter_nd %k, %j, %v {reduction} : ({x}, tensor<30x2xi64>, {as_type(30)}) -> {x}", x),
                  (f"%e{how} = nib.scatter_elements %k, %l, %w {reduction} axis 1 : ({x}, tensor<{ROWS}x20xi32>, {as_type(ROWS, 20)}) -> {x}", x)]
    for i, (axis, k, largest) in enumerate(((0, ROWS, 1), (0, 2, 0), (1, 7, 1), (1, COLUMNS, 0), (1, 1, 1))):
        y = f"tensor<{k}x{COLUMNS}xi64>" if axis == 0 else f"tensor<{ROWS}x{k}xi64>"
        lines.append((f"%o{i} = nib.top_k %k largest {largest} axis {axis} : ({x}) -> {y}", y))
    arguments = (f"%x: tensor<{ROWS}x{COLUMNS}xf32>, %fu: tensor<9x{COLUMNS}xf32>, %fv: tensor<30xf32>, %fw: tensor<{ROWS}x20xf32>, "
                 f"%i: tensor<9x1xi32>, %j: tensor<30x2xi64>, %l: tensor<{ROWS}x20xi32>")
    text = function(arguments, lines)
    return text.replace("{\n", "{\n  " + "\n  ".join(prepare) + "\n", 1), len(lines)


def main():
    nibc, folder, *kinds = sys.argv[1:]
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(3)
    files = []
    for name, dims in (("x", (ROWS, COLUMNS)), ("u", (9, COLUMNS)), ("v", (30,)), ("w", (ROWS, 20))):
        elems = 1
        for d in dims:
            elems *= d
        values = [value(run, rng) for run in range(RUNS) for _ in range(elems)]
        npy.write(folder / f"{name}.npy", "f4", (RUNS, *dims), struct.pack(f"<{len(values)}f", *values))
        files.append(folder / f"{name}.npy")
    for name, kind, dims, most in (("i", "i4", (9, 1), 8), ("j", "i8", (30, 2), 8), ("l", "i4", (ROWS, 20), 45)):
        elems = RUNS * dims[0] * dims[1]
        values = [rng.randint(-most, most) for _ in range(elems)]
        npy.write(folder / f"{name}.npy", kind, (RUNS, *dims), struct.pack(f"<{elems}{'i' if kind == 'i4' else 'q'}", *values))
        files.append(folder / f"{name}.npy")
    for n, kind in enumerate(kinds):
        inputs = [word for file in files for word in ("--input", file)]
        print(f"{kind}: {verify(nibc, folder / f'{n}.mlir', *network(kind, '!' in kind), *inputs)} results equal", flush=True)


if __name__ == "__main__":
    main()

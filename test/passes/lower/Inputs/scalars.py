#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every format of single elements, lowered through linalg, against the reference evaluator.

Usage: scalars.py NIBC FOLDER [FORMAT...]

Without FORMATs, all that `nibc formats` lists, and some with parameters. For each one network: random bytes unpacked, packed
again and moved; every kind of number to the format in every rounding mode, saturating and not, and back; products.
"""
import json
import pathlib
import random
import struct
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).parents[3] / "nibc" / "Inputs"))
import npy  # noqa: E402
from blocks import MODES, RUNS, function, numbers, verify  # noqa: E402

SPELLED = ["e5m7", "e4m3:bias=5,specials=fnuz", "ue5m3", "e2m1:specials=ieee", "e6m9", "book:3,-1,0.5,0,1e-3,-7,2,1", "power4:2.5", "halves3"]
ELEMS = 301


def products(kind, element):
    """Of numbers in the format on the right and on both sides; reals give their own type."""
    left, right = f"tensor<4x12x{element}>", f"tensor<5x12x{element}>"
    y = {"bipolar": "tensor<4x5xi32>", "codebook": "tensor<4x5xf32>"}.get(kind, f"tensor<4x5x{element}>")
    lines = [(f"%z = nib.fully_connected %k, %w : ({left}, {right}) -> {y}", y)]
    if kind != "bipolar":
        wide = "tensor<4x5xf32>"
        lines.append((f"%y = nib.fully_connected %m, %w : (tensor<4x12xf32>, {right}) -> {wide}", wide))
    return lines


def network(kind, name, bits):
    builtin = kind in ("signed integer", "unsigned integer") and name != "ternary" or name in ("f16", "bf16", "f32", "f64", "tf32") or \
        name.startswith(("f8E", "f6E", "f4E"))
    element = name if builtin else f'!nib.format<"{name}">'
    t, x, moved = f"tensor<{ELEMS}x{element}>", f"tensor<{ELEMS}xf32>", f"tensor<43x7x{element}>"
    size = -(-ELEMS // 5) if name == "ternary" else -(-ELEMS * bits // 8)
    bytes_ = f"tensor<{size}xi8>"
    lines = [(f"%u = nib.unpack %bytes : ({bytes_}) -> {t}", t), (f"%p = nib.pack %u : ({t}) -> {bytes_}", bytes_),
             (f"%s = nib.reshape %u : ({t}) -> {moved}", moved),
             (f"%t = nib.transpose %s perm [1, 0] : ({moved}) -> tensor<7x43x{element}>", f"tensor<7x43x{element}>"),
             (f"%g = nib.slice %u begin [3] sizes [50] : ({t}) -> tensor<50x{element}>", f"tensor<50x{element}>"),
             (f"%d = nib.cast %u : ({t}) -> {x}", x)]
    made = len(lines)
    if "integer" in kind or name in ("f32", "f64"):
        lines.append((f"%c = nib.cast %x : ({x}) -> {t}", t))
        if "integer" in kind:
            lines.append((f"%a = nib.cast %x saturate 1 : ({x}) -> {t}", t))
    else:
        for i, mode in enumerate(MODES):
            lines.append((f'%c{i} = nib.cast %x mode "{mode}" : ({x}) -> {t}', t))
            if kind not in ("codebook", "bipolar"):
                lines.append((f'%a{i} = nib.cast %x saturate 1 mode "{mode}" : ({x}) -> {t}', t))
    for line, _ in lines[made:]:  # as bytes, so that the last bit counts
        code = line.split(" = ")[0]
        lines.append((f"{code}p = nib.pack {code} : ({t}) -> {bytes_}", bytes_))
    arguments, prepare = f"%bytes: {bytes_}, %x: {x}, %m: tensor<4x12xf32>, %n: tensor<5x12xf32>", ""
    if "integer" not in kind:
        lines += products(kind, element)
        prepare = "".join(f"  %{to} = nib.cast %{of} : (tensor<{rows}x12xf32>) -> tensor<{rows}x12x{element}>\n"
                          for to, of, rows in (("k", "m", 4), ("w", "n", 5)))
    return function(arguments, lines).replace("{\n", "{\n" + prepare, 1), len(lines), size


def main():
    nibc, folder, *names = sys.argv[1:]
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    describe = lambda *name: json.loads(subprocess.run([nibc, "formats", *name, "--json"], capture_output=True, check=True).stdout)
    rows = [row for row in describe() if not row["block"] and (row["name"] in names or not names)]
    for name in SPELLED if not names else []:
        described = describe(name)
        rows.append(described[0] if isinstance(described, list) else described)
    for i, row in enumerate(rows):
        rng = random.Random(i)
        text, results, size = network(row["kind"], row["name"], int(row["bits_per_element"]))
        values = [v for kind in range(RUNS) for v in numbers(kind, ELEMS, rng)]
        npy.write(folder / f"x{i}.npy", "f4", (RUNS, ELEMS), struct.pack(f"<{len(values)}f", *values))
        npy.write(folder / f"b{i}.npy", "i1", (RUNS, size), rng.randbytes(RUNS * size))
        inputs = [folder / f"b{i}.npy", folder / f"x{i}.npy"]
        for name, rows_ in (("m", 4), ("n", 5)):
            values = [rng.gauss(0, 1) for _ in range(RUNS * rows_ * 12)]
            inputs.append(folder / f"{name}{i}.npy")
            npy.write(inputs[-1], "f4", (RUNS, rows_, 12), struct.pack(f"<{len(values)}f", *values))
        equal = verify(nibc, folder / f"{i}.mlir", text, results, *[word for file in inputs for word in ("--input", file)])
        print(f"{row['name']}: {equal} results equal", flush=True)
    print(f"{len(rows)} formats")


if __name__ == "__main__":
    main()

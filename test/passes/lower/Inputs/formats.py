#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Number formats, lowered through linalg, against the reference evaluator.

Usage: formats.py NIBC FOLDER

For each format one network: every code to f32, f32 to codes (saturating and not), arithmetic, a product and moves of
tensors of the format. Integers likewise, with casts between them.
"""
import pathlib
import subprocess
import sys

REALS = ["f16", "bf16", "f8E5M2", "f8E4M3", "f8E4M3FN", "f8E5M2FNUZ", "f8E4M3FNUZ", "f8E4M3B11FNUZ", "f8E3M4", "f6E3M2FN",
         "f6E2M3FN", "f4E2M1FN"]
INTEGERS = ["i1", "i4", "ui4", "i8", "ui8", "i16", "ui16", "i32", "ui32", "i64", "ui64"]


def function(lines, arguments, results):
    names, types = ", ".join(n for n, _ in results), ", ".join(t for _, t in results)
    body = "\n".join("  " + line for line in lines)
    return f"func.func @net({', '.join(arguments)}) -> ({types}) {{\n{body}\n  return {names} : {types}\n}}\n"


def of_reals(kind):
    """All codes (of 16 bits: a part), in and out."""
    codes = 256 if kind not in ("f16", "bf16") else 1024
    every = f"tensor<{codes}x{kind}>"
    lines = [
        f"%0 = nib.cast %x : ({every}) -> tensor<{codes}xf32>",
        f"%1 = nib.cast %f : (tensor<300xf32>) -> tensor<300x{kind}>",
        f"%2 = nib.cast %f saturate 1 : (tensor<300xf32>) -> tensor<300x{kind}>",
        f"%3 = nib.add %a, %b : (tensor<4x6x{kind}>, tensor<6x{kind}>) -> tensor<4x6x{kind}>",
        f"%4 = nib.matmul %a, %c : (tensor<4x6x{kind}>, tensor<6x5x{kind}>) -> tensor<4x5x{kind}>",
        f"%5 = nib.sigmoid %a : (tensor<4x6x{kind}>) -> tensor<4x6x{kind}>",
        f"%6 = nib.transpose %a perm [1, 0] : (tensor<4x6x{kind}>) -> tensor<6x4x{kind}>",
        f"%7 = nib.cast %a : (tensor<4x6x{kind}>) -> tensor<4x6xi8>",
        f"%8 = nib.reduce %a axes [1] reduction \"max\" : (tensor<4x6x{kind}>) -> tensor<4x{kind}>",
        f"%9 = nib.reduce %a axes [0] reduction \"add\" : (tensor<4x6x{kind}>) -> tensor<6x{kind}>",
    ]
    results = [("%0", f"tensor<{codes}xf32>"), ("%1", f"tensor<300x{kind}>"), ("%2", f"tensor<300x{kind}>"),
               ("%3", f"tensor<4x6x{kind}>"), ("%4", f"tensor<4x5x{kind}>"), ("%5", f"tensor<4x6x{kind}>"),
               ("%6", f"tensor<6x4x{kind}>"), ("%7", "tensor<4x6xi8>"),
               ("%8", f"tensor<4x{kind}>"), ("%9", f"tensor<6x{kind}>")]
    arguments = [f"%x: {every}", "%f: tensor<300xf32>", f"%a: tensor<4x6x{kind}>", f"%b: tensor<6x{kind}>",
                 f"%c: tensor<6x5x{kind}>"]
    return function(lines, arguments, results)


def of_integers(kind):
    lines, results = ["%f0 = nib.cast %x : (tensor<64xKIND>) -> tensor<64xf32>".replace("KIND", kind)], [("%f0", "tensor<64xf32>")]
    for i, other in enumerate(INTEGERS):
        lines.append(f"%c{i} = nib.cast %x : (tensor<64x{kind}>) -> tensor<64x{other}>")
        results.append((f"%c{i}", f"tensor<64x{other}>"))
    lines.append(f"%g = nib.cast %f : (tensor<64xf32>) -> tensor<64x{kind}>")
    results.append(("%g", f"tensor<64x{kind}>"))
    lines.append("%b = nib.bitcast %f : (tensor<64xf32>) -> tensor<64xi32>")
    lines.append("%d = nib.bitcast %b : (tensor<64xi32>) -> tensor<64xf32>")
    results += [("%b", "tensor<64xi32>"), ("%d", "tensor<64xf32>")]
    if kind != "i1" and "4" not in kind.replace("64", ""):
        for i, op in enumerate(("add", "sub", "mul", "div", "mod", "maximum", "bit_xor", "shift_right", "pow")):
            lines.append(f"%o{i} = nib.{op} %x, %y : (tensor<64x{kind}>, tensor<64x{kind}>) -> tensor<64x{kind}>")
            results.append((f"%o{i}", f"tensor<64x{kind}>"))
        for i, op in enumerate(("equal", "less", "less_equal")):
            lines.append(f"%p{i} = nib.{op} %x, %y : (tensor<64x{kind}>, tensor<64x{kind}>) -> tensor<64xi1>")
            results.append((f"%p{i}", "tensor<64xi1>"))
        lines.append(f"%w = nib.where %p1, %x, %y : (tensor<64xi1>, tensor<64x{kind}>, tensor<64x{kind}>) -> "
                     f"tensor<64x{kind}>")
        results.append(("%w", f"tensor<64x{kind}>"))
        for i, op in enumerate(("add", "mul", "min", "max")):
            lines.append(f"%r{i} = nib.reduce %x axes [0] reduction \"{op}\" : (tensor<64x{kind}>) -> tensor<{kind}>")
            results.append((f"%r{i}", f"tensor<{kind}>"))
        lines.append(f"%n = nib.abs %x : (tensor<64x{kind}>) -> tensor<64x{kind}>")
        results.append(("%n", f"tensor<64x{kind}>"))
    return function(lines, [f"%x: tensor<64x{kind}>", f"%y: tensor<64x{kind}>", "%f: tensor<64xf32>"], results)


def main():
    nibc, folder = sys.argv[1:]
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for kind in REALS + INTEGERS:
        path = folder / f"{kind}.mlir"
        path.write_text(of_reals(kind) if kind in REALS else of_integers(kind))
        result = subprocess.run([nibc, "verify", path, "--codegen=mlir", "--target=c99", "--no-cache", "--size"],
                                capture_output=True, text=True, check=False)
        if result.returncode:
            sys.exit(f"{kind}:\n{result.stdout}{result.stderr}")
        equal = result.stdout.count("equals the reference") + result.stdout.count("agrees with the reference")
        print(f"{kind}: {equal} results equal")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""transpose_convolutions.py KIND OUT.mlir: a decoder with random weights in the dialect, transposed convolutions one after
another. KIND is i8 (with a residual addition), u8 (weights by tensor), i4 (weights) or f32."""
import sys

import numpy as np

R = np.random.default_rng(7)
kind, out = sys.argv[1:]
lines, shape, count = [], (2, 5, 4, 9), 0
# Channels, filter, strides, pads. Filters smaller than, as large as and larger than their strides.
LAYERS = ((24, (4, 4), (2, 2), (1, 1, 1, 1)), (32, (2, 2), (2, 2), (0, 0, 0, 0)), (16, (3, 3), (1, 1), (1, 1, 1, 1)),
          (33, (3, 3), (2, 1), (0, 1, 1, 1)), (5, (1, 2), (2, 3), (0, 1, -1, -1)))


def tensor(dims, element):
    return "tensor<" + "".join(f"{n}x" for n in dims) + element + ">"


def constant(a, element, seen_as=None):
    global count
    count += 1
    stored, type_ = tensor(a.shape, element), tensor(a.shape, seen_as or element)
    lines.append(f'  %c{count} = nib.constant dense<"0x{a.tobytes().hex().upper()}"> : {stored}' + (f" as {type_}" if seen_as else ""))
    return f"%c{count}", type_


def element(depth):
    if kind == "f32":
        return "f32"
    zero = (-3, 127, -128, 5, -20, 0)[depth] + (128 if kind == "u8" else 0)
    return f"!quant.uniform<{'u8' if kind == 'u8' else 'i8'}:f32, {0.0625 * 2 ** depth}:{zero}>"


def weights(dims):
    taps = np.prod(dims[1:])
    if kind == "f32":
        return constant(R.uniform(-1, 1, dims).astype(np.float32) * np.float32(3 / taps ** 0.5), "f32")
    if kind == "u8":
        return constant(R.integers(0, 256, dims).astype(np.uint8), "ui8", "!quant.uniform<u8:f32, 0.0078125:201>")
    if kind == "i4":
        return constant(R.integers(-8, 8, dims).astype(np.int8), "i8", "i4")
    return constant(R.integers(-127, 128, dims).astype(np.int8), "i8")


def layer(depth, x, channels, kernel, strides, pads):
    global shape
    grown = [(n - 1) * s + k - pads[i] - pads[i + 2] for i, (n, s, k) in enumerate(zip(shape[1:3], strides, kernel))]
    types = [tensor(shape, element(depth))]
    operands = [weights((channels, *kernel, shape[3]))]
    shape = (shape[0], *grown, channels)
    if kind == "f32":
        operands.append(constant(R.uniform(-0.1, 0.1, channels).astype(np.float32), "f32"))
    else:
        operands.append(constant(R.integers(-2000, 2000, channels).astype(np.int32), "i32"))
    words = f"{operands[0][0]} bias {operands[1][0]}"
    if kind in ("i8", "i4"):
        around = 0.01 if kind == "i8" else 0.15
        operands.append(constant((R.uniform(0.7, 1.3, channels) * around).astype(np.float32), "f32"))
        words += f" scales {operands[2][0]}"
    activation = ' activation "relu"' if depth % 2 else ""
    result = tensor(shape, element(depth + 1))
    lines.append(f"  %l{depth} = nib.transpose_conv2d %{x}, {words} strides {list(strides)} pads {list(pads)}{activation} : "
                 f"({', '.join(types + [t for _, t in operands])}) -> {result}")
    return f"l{depth}", result


at, types = "x", [tensor(shape, element(0))]
for i, row in enumerate(LAYERS):
    at, last = layer(i, at, *row)
    if i == 1 and kind in ("i8", "f32"):  # a residual block: the next one keeps the shape but the channels
        types.append(last)
        lines.append(f"  %sum = nib.add %{at}, %skip : ({last}, {last}) -> {last}")
        at = "sum"
arguments = ", ".join(f"%{n}: {t}" for n, t in zip(("x", "skip"), types))
with open(out, "w") as f:
    rounding = ' attributes {nib.rounding = "nearest-even"}' if kind != "i8" else ""
    f.write("\n".join([f"func.func @decoder({arguments}) -> {last}{rounding} {{", *lines, f"  return %{at} : {last}", "}", ""]))

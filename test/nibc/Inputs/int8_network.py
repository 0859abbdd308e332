#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""An int8 network in the dialect that uses every operator which has an equivalent in TOSA.

int8_network.py OUT.mlir [ROUNDING]
"""
import math
import random
import sys

RANDOM = random.Random(5)


def constant(name, shape, low, high, kind="i8", real=None):
    dims = "".join(f"{n}x" for n in shape)
    values = [RANDOM.randint(low, high) for _ in range(math.prod(shape))]

    def nest(values, shape):
        if len(shape) == 1:
            return "[" + ", ".join(map(str, values)) + "]"
        step = len(values) // shape[0]
        return "[" + ", ".join(nest(values[i * step:(i + 1) * step], shape[1:]) for i in range(shape[0])) + "]"

    as_type = f" as tensor<{dims}{real}>" if real else ""
    return f"  %{name} = nib.constant dense<{nest(values, shape)}> : tensor<{dims}{kind}>{as_type}"


def scales(name, values):
    return f"  %{name} = nib.constant dense<[{', '.join(map(str, values))}]> : tensor<{len(values)}xf32>"


def tensor(shape, scale, zero):
    return f"tensor<{'x'.join(map(str, shape))}x!quant.uniform<i8:f32, {scale}:{zero}>>"


X, A, B, C = (tensor((1, 9, 8, n), *q) for n, q in ((3, (0.5, 3)), (4, (0.75, -9)), (4, (0.5, 20)), (4, (0.625, -128))))
LINES = [
    f"func.func @net(%x: {X}) -> ({tensor((1, 6), 0.5, 7)}, {tensor((1, 4), 0.25, 2)}, {tensor((1, 4, 10, 9), 0.625, -128)},",
    f"    {tensor((1, 2, 2, 4), 0.625, 5)}) attributes {{nib.rounding = \"ROUNDING\"}} {{",
    constant("w1", (4, 3, 3, 3), -127, 127), constant("b1", (4,), -2000, 2000, "i32"),
    scales("s1", (0.015625, 0.0078125, 0.013, 0.02)),
    f"  %a = nib.conv2d %x, %w1 bias %b1 scales %s1 pads [1, 1, 1, 1] activation \"relu6\"",
    f"    : ({X}, tensor<4x3x3x3xi8>, tensor<4xi32>, tensor<4xf32>) -> {A}",
    constant("w2", (1, 3, 3, 4), -127, 127), scales("s2", (0.01, 0.03125, 0.02, 0.005)),
    f"  %b = nib.depthwise_conv2d %a, %w2 scales %s2 pads [1, 1, 1, 1]",
    f"    : ({A}, tensor<1x3x3x4xi8>, tensor<4xf32>) -> {B}",
    f"  %c = nib.add %a, %b activation \"relu\" : ({A}, {B}) -> {C}",
    f"  %d = nib.mul %c, %b : ({C}, {B}) -> {C}",
    f"  %e = nib.sub %d, %a : ({C}, {A}) -> {C}",
    # Windows that do not fill the input, and means whose ties TOSA rounds the other way.
    f"  %f = nib.avg_pool2d %e kernel [4, 4] strides [3, 3] : ({C}) -> {tensor((1, 2, 2, 4), 0.625, -128)}",
    f"  %g = nib.avg_pool2d %e kernel [8, 8] strides [8, 8] clamp [-100, 90] : ({C}) -> {tensor((1, 1, 1, 4), 0.625, -128)}",
    f"  %h = nib.sigmoid %f : ({tensor((1, 2, 2, 4), 0.625, -128)}) -> {tensor((1, 2, 2, 4), 0.00390625, -128)}",
    f"  %i = nib.requantize %h : ({tensor((1, 2, 2, 4), 0.00390625, -128)}) -> {tensor((1, 2, 2, 4), 0.625, 5)}",
    f"  %j = nib.leaky_relu %i alpha 0.2 : ({tensor((1, 2, 2, 4), 0.625, 5)}) -> {tensor((1, 2, 2, 4), 0.625, 5)}",
    f"  %k = nib.max_pool2d %e kernel [2, 2] strides [1, 1] : ({C}) -> {tensor((1, 8, 7, 4), 0.625, -128)}",
    f"  %l = nib.pad %k low [0, 1, 1, 0] high [0, 1, 1, 0] : ({tensor((1, 8, 7, 4), 0.625, -128)}) -> {tensor((1, 10, 9, 4), 0.625, -128)}",
    f"  %m = nib.transpose %l perm [0, 3, 1, 2] : ({tensor((1, 10, 9, 4), 0.625, -128)}) -> {tensor((1, 4, 10, 9), 0.625, -128)}",
    f"  %n = nib.mean %b axes [1, 2] : ({B}) -> {tensor((1, 4), 0.25, 2)}",
    f"  %o = nib.reshape %g : ({tensor((1, 1, 1, 4), 0.625, -128)}) -> {tensor((1, 4), 0.625, -128)}",
    f"  %p = nib.slice %o begin [0, 1] sizes [1, 3] : ({tensor((1, 4), 0.625, -128)}) -> {tensor((1, 3), 0.625, -128)}",
    f"  %q = nib.concat %p, %o axis 1 : ({tensor((1, 3), 0.625, -128)}, {tensor((1, 4), 0.625, -128)}) -> {tensor((1, 7), 0.625, -128)}",
    # One rounding away from zero: multipliers of 2^-4, so that sums below zero end between two codes.
    constant("w3", (6, 7), -9, 9, "i8", "!quant.uniform<i8:f32, 0.05>"), constant("b3", (6,), -900, 100, "i32"),
    f"  %y = nib.fully_connected %q, %w3 bias %b3",
    f"    : ({tensor((1, 7), 0.625, -128)}, tensor<6x7x!quant.uniform<i8:f32, 0.05>>, tensor<6xi32>) -> {tensor((1, 6), 0.5, 7)}",
    f"  return %y, %n, %m, %j : {tensor((1, 6), 0.5, 7)}, {tensor((1, 4), 0.25, 2)}, {tensor((1, 4, 10, 9), 0.625, -128)}, {tensor((1, 2, 2, 4), 0.625, 5)}",
    "}",
]

text = "\n".join(LINES) + "\n"
text = text.replace("0.05>", "0.05000000074505806>")  # scales are f32
open(sys.argv[1], "w").write(text.replace("ROUNDING", sys.argv[2] if len(sys.argv) > 2 else "tflite-double"))

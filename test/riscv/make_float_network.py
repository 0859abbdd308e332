#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""make_float_network.py KIND OUT.mlir INPUT.npy: a network with random weights in the dialect, and an input for it.
KIND: product-i8, product-f32 or product-f16, 64 x 128 times 128 x 256; ds-cnn, the keyword network in f32; or windows,
convolutions of odd shapes, strides and borders in f32."""
import sys

import numpy as np

R = np.random.default_rng(5)
kind, out, npy = sys.argv[1:]
lines, count = [], 0


def nest(a):
    return "[" + ", ".join(map(nest, a)) + "]" if a.ndim else repr(round(a.item(), 4) if a.dtype.kind == "f" else a.item())


def constant(a, element):
    global count
    count += 1
    type_ = "tensor<" + "".join(f"{n}x" for n in a.shape) + element + ">"
    lines.append(f"  %w{count} = nib.constant dense<{nest(a)}> : {type_}")
    return f"%w{count}", type_


def product(element):
    if element == "i8":
        x, y = (f"tensor<64x{n}x!quant.uniform<i8:f32, {q}>>" for n, q in ((128, "0.5:3"), (256, "30.0:-7")))
        w = constant(R.integers(-127, 128, (256, 128)), "i8")
        b = constant(R.integers(-2000, 2000, 256), "i32")
        s = constant(0.01 + R.random(256) * 0.01, "f32")
        lines.append(f"  %y = nib.fully_connected %x, {w[0]} bias {b[0]} scales {s[0]} : ({x}, {w[1]}, {b[1]}, {s[1]}) -> {y}")
        return x, y, "tflite-double", R.integers(-128, 128, (64, 128)).astype(np.int8)
    x, y = (f"tensor<64x{n}x{element}>" for n in (128, 256))
    w = constant(R.uniform(-0.2, 0.2, (256, 128)), "f32")
    lines.append(f"  %y = nib.fully_connected %x, {w[0]} : ({x}, {w[1]}) -> {y}")
    return x, y, "nearest-even", R.standard_normal((64, 128)).astype(np.float32 if element == "f32" else np.float16)


def layer(op, x, shape, filter_shape, out_shape, words):
    w = constant(R.uniform(-1, 1, filter_shape) * (3 / np.prod(filter_shape[1:])) ** 0.5, "f32")
    b = constant(R.uniform(-0.1, 0.1, out_shape[-1]), "f32")
    types = ["tensor<" + "".join(f"{n}x" for n in s) + "f32>" for s in (shape, out_shape)]
    y = f"%l{len(lines)}"
    lines.append(f"  {y} = nib.{op} %{x} filter".replace(" filter", f", {w[0]} bias {b[0]}") + f" {words} : ({types[0]}, {w[1]}, {b[1]}) -> {types[1]}")
    return y[1:]


def ds_cnn():
    wide = (1, 25, 5, 64)
    at = layer("conv2d", "x", (1, 49, 10, 1), (64, 10, 4, 1), wide, 'strides [2, 2] pads [4, 1, 5, 1] activation "relu"')
    for _ in range(4):
        at = layer("depthwise_conv2d", at, wide, (1, 3, 3, 64), wide, 'pads [1, 1, 1, 1] activation "relu"')
        at = layer("conv2d", at, wide, (64, 1, 1, 64), wide, 'activation "relu"')
    lines.append(f"  %p = nib.avg_pool2d %{at} kernel [25, 5] strides [25, 5] : (tensor<1x25x5x64xf32>) -> tensor<1x1x1x64xf32>")
    lines.append("  %r = nib.reshape %p : (tensor<1x1x1x64xf32>) -> tensor<1x64xf32>")
    w = constant(R.uniform(-0.3, 0.3, (12, 64)), "f32")
    lines.append(f"  %f = nib.fully_connected %r, {w[0]} : (tensor<1x64xf32>, {w[1]}) -> tensor<1x12xf32>")
    lines.append("  %y = nib.softmax %f : (tensor<1x12xf32>) -> tensor<1x12xf32>")
    return "tensor<1x49x10x1xf32>", "tensor<1x12xf32>", "nearest-even", R.standard_normal((1, 49, 10, 1)).astype(np.float32)


def windows():
    """Of each layer: operator, channels, and the filter's size, strides and borders (above, left, below, right)."""
    layers = (("conv2d", 5, (3, 3), (1, 1), (1, 1, 1, 1)), ("conv2d", 6, (5, 4), (1, 1), (2, 1, 2, 2)), ("depthwise_conv2d", 6, (3, 3), (1, 1), (1, 1, 1, 1)),
              ("conv2d", 9, (3, 3), (2, 1), (0, 1, 1, 1)), ("conv2d", 4, (1, 5), (1, 1), (0, 2, 0, 2)), ("conv2d", 17, (3, 2), (1, 2), (2, 0, 0, 1)),
              ("depthwise_conv2d", 17, (2, 3), (2, 2), (1, 0, 1, 2)), ("conv2d", 11, (1, 1), (1, 1), (0, 0, 0, 0)), ("conv2d", 3, (3, 1), (1, 1), (0, 0, 0, 0)))
    at, shape = "x", (1, 31, 13, 3)
    for i, (op, channels, kernel, strides, pads) in enumerate(layers):
        out = (1, *((shape[1 + a] + pads[a] + pads[2 + a] - kernel[a]) // strides[a] + 1 for a in (0, 1)), channels)
        filter_shape = (channels, *kernel, shape[3]) if op == "conv2d" else (1, *kernel, channels)
        words = f"strides [{strides[0]}, {strides[1]}] pads [{', '.join(map(str, pads))}]" + (' activation "relu"' if i % 3 == 1 else "")
        at, shape = layer(op, at, shape, filter_shape, out, words), out
    lines[-1] = lines[-1].replace(f"%{at} =", "%y =")
    return "tensor<1x31x13x3xf32>", "tensor<" + "".join(f"{n}x" for n in shape) + "f32>", "nearest-even", R.standard_normal((1, 31, 13, 3)).astype(np.float32)


x, y, rounding, data = windows() if kind == "windows" else ds_cnn() if kind == "ds-cnn" else product(kind.split("-")[1])
head = f'func.func @net(%x: {x} {{nib.name = "x"}}) -> ({y} {{nib.name = "y"}}) attributes {{nib.rounding = "{rounding}"}} {{'
open(out, "w").write("\n".join([head, *lines, f"  return %y : {y}", "}", ""]))
np.save(npy, data)

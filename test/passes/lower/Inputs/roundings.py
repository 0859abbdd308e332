#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Every quantized operator under every rounding mode, lowered through linalg, against the reference evaluator.

Usage: roundings.py NIBC FOLDER ROUNDING...

For each rounding writes FOLDER/ROUNDING.mlir, one network with a result for every operator and format, and runs
`nibc verify --codegen=mlir` on it: extreme and random codes.
"""
import pathlib
import random
import struct
import subprocess
import sys

LEAST = {"i8": -128, "ui8": 0, "i16": -32768}
QUANT = {"i8": "i8", "ui8": "u8", "i16": "i16"}


class Network:
    """The text of one function."""

    def __init__(self, rounding):
        self.rounding, self.lines, self.arguments, self.results = rounding, [], [], []
        self.random = random.Random(5)
        self.count = 0

    def name(self):
        self.count += 1
        return f"%v{self.count}"

    def input(self, type_):
        name = self.name()
        self.arguments.append(f"{name}: {type_}")
        return name, type_

    def op(self, mnemonic, operands, result, clauses="", **named):
        """`named`: operands behind a word of their own."""
        name = self.name()
        words = ", ".join(o[0] for o in operands) + "".join(f" {word} {o[0]}" for word, o in named.items())
        types = ", ".join(o[1] for o in [*operands, *named.values()])
        self.lines.append(f"  {name} = nib.{mnemonic} {words} {clauses} : ({types}) -> {result}")
        self.results.append((name, result))
        return name, result

    def constant(self, type_, numbers, as_=None):
        name = self.name()
        for d in reversed(type_[7:].split("x")[:-1]):
            d = int(d)
            numbers = ["[" + ", ".join(str(n) for n in numbers[i:i + d]) + "]" for i in range(0, len(numbers), d)]
        self.lines.append(f"  {name} = nib.constant dense<{numbers[0]}> : {type_}" + (f" as {as_}" if as_ else ""))
        return name, as_ or type_

    def numbers(self, n, low, high):
        return [self.random.randint(low, high) for _ in range(n)]

    def text(self):
        results = ", ".join(t for _, t in self.results)
        names = ", ".join(n for n, _ in self.results)
        return (f"func.func @net({', '.join(self.arguments)}) -> ({results}) attributes "
                f'{{nib.rounding = "{self.rounding}"}} {{\n' + "\n".join(self.lines) +
                f"\n  return {names} : {results}\n}}\n")


def tensor(shape, kind, scale, zero):
    """A quantized type; the zero point counts from the middle of the format."""
    zero = 0 if kind == "i16" else zero + LEAST[kind] + 128
    scale = scale if kind != "i16" else scale / 256
    (scale,) = struct.unpack("f", struct.pack("f", scale))
    return f"tensor<{shape}x!quant.uniform<{QUANT[kind]}:f32, {scale!r}:{zero}>>"


def products(net, kind):
    """Operators with a filter, and matmul."""
    bias = "i64" if kind == "i16" else "i32"
    x = net.input(tensor("1x5x6x4", kind, 0.0625, 3))
    w = net.constant("tensor<6x3x2x2xi8>", net.numbers(72, -128, 127))
    scales = net.constant("tensor<6xf32>", ["0.0078125", "0.011", "0.3", "1.7e-5", "0.0021", "0.0625"])
    b = net.constant(f"tensor<6x{bias}>", net.numbers(6, -5000, 5000))
    net.op("conv2d", [x, w], tensor("1x3x5x6", kind, 0.11, -7),
           'strides [2, 1] pads [1, 0, 1, 0] groups 2 activation "relu"', bias=b, scales=scales)
    v = net.constant("tensor<1x3x3x8xi8>", net.numbers(72, -128, 127), tensor("1x3x3x8", "i8", 0.02, 0))
    net.op("depthwise_conv2d", [x, v], tensor("1x5x6x8", kind, 0.3, 5), "pads [1, 1, 1, 1]")
    t = net.constant("tensor<3x3x3x4xi8>", net.numbers(108, -128, 127), tensor("3x3x3x4", "i8", 0.015, 0))
    net.op("transpose_conv2d", [x, t], tensor("1x10x12x3", kind, 0.2, 0), "strides [2, 2] pads [0, 0, 1, 1]")
    r = net.input(tensor("5x7", kind, 0.0625, -100))
    f = net.constant("tensor<3x7xi8>", net.numbers(21, -128, 127), tensor("3x7", "i8", 0.04, 0))
    fb = net.constant(f"tensor<3x{bias}>", net.numbers(3, -5000, 5000))
    net.op("fully_connected", [r, f], tensor("5x3", kind, 0.09, 12), "clamp [20, 100]", bias=fb)
    net.op("fully_connected", [r, f], "tensor<5x3xi32>" if kind != "i16" else "tensor<5x3xi64>")
    m = net.input(tensor("2x7x4", kind, 0.03, 2))
    if kind != "i16":
        net.op("matmul", [r, m], tensor("2x5x4", kind, 0.1, 0))


def windows(net, kind):
    x = net.input(tensor("2x5x6x3", kind, 0.0625, 3))
    same, other = tensor("2x3x3x3", kind, 0.0625, 3), tensor("2x3x3x3", kind, 0.05, -4)
    where = "kernel [3, 2] strides [2, 2] pads [1, 0, 1, 0]"
    net.op("avg_pool2d", [x], same, where)
    net.op("avg_pool2d", [x], other, where + " count_include_pad 1")
    net.op("max_pool2d", [x], same, where + ' activation "relu6"')
    net.op("mean", [x], tensor("2x3", kind, 0.03, 1), "axes [1, 2]")
    net.op("mean", [x], tensor("2x5x6x1", kind, 0.0625, 3), "axes [3] keep_dims 1")


def elements(net, kind):
    a, b = net.input(tensor("2x3x5", kind, 0.0625, 3)), net.input(tensor("3x1", kind, 0.11, -9))
    for mnemonic, scale in (("add", 0.13), ("sub", 0.2), ("mul", 0.5), ("div", 0.3)):
        net.op(mnemonic, [a, b], tensor("2x3x5", kind, scale, 4), '' if mnemonic == "div" else 'activation "relu6"')
    net.op("add", [b, a], tensor("2x3x5", kind, 0.0001, 0))
    other = tensor("2x3x5", kind, 0.04, -11)
    net.op("relu", [a], other)
    net.op("clamp", [a], other, "min -1.0 max 2.5")
    net.op("leaky_relu", [a], other, "alpha 0.3")
    net.op("leaky_relu", [a], other, "alpha -0.7")
    net.op("requantize", [a], other)
    unit = {"i8": "1x!quant.uniform<i8:f32, 0.00390625:-128>", "ui8": "1x!quant.uniform<u8:f32, 0.00390625>",
            "i16": "1x!quant.uniform<i16:f32, 3.0517578125E-5>"}[kind][1:]
    span = {"i8": "x!quant.uniform<i8:f32, 7.812500e-03>", "ui8": "x!quant.uniform<u8:f32, 7.812500e-03:128>",
            "i16": "x!quant.uniform<i16:f32, 3.0517578125E-5>"}[kind]
    for mnemonic, end in (("sigmoid", unit), ("tanh", span)):
        net.op(mnemonic, [a], f"tensor<2x3x5{end}>")
    net.op("softmax", [a], f"tensor<2x3x5{unit}>", "beta 0.5")
    net.op("softmax", [a], f"tensor<2x3x5{unit}>", "axis 1")


def places(net, kind):
    a, b = net.input(tensor("2x3x4", kind, 0.0625, 3)), net.input(tensor("2x1x4", kind, 0.11, -9))
    same = lambda shape: tensor(shape, kind, 0.0625, 3)
    net.op("concat", [a, b], same("2x4x4"), "axis 1")
    net.op("pad", [a], same("2x6x6"), "low [0, 1, 0] high [0, 2, 2]")
    net.op("reshape", [a], same("6x4"))
    net.op("transpose", [a], same("4x2x3"), "perm [2, 0, 1]")
    net.op("slice", [a], same("1x2x3"), "begin [1, 0, 1] sizes [1, 2, 3]")
    net.op("strided_slice", [a], same("2x2x2"), "begin [1, 0, 3] steps [-1, 2, -2]")
    net.op("expand_dims", [a], same("2x1x3x4"))
    net.op("squeeze", [b], tensor("2x4", kind, 0.11, -9))
    f = net.input("tensor<4x9xf32>")
    q = net.op("quantize", [f], tensor("4x9", kind, 0.07, 6))
    net.op("dequantize", [q], "tensor<4x9xf32>")


def main():
    nibc, folder, *roundings = sys.argv[1:]
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for rounding in roundings:
        net = Network(rounding)
        for kind in LEAST:
            for part in (products, windows, elements, places):
                part(net, kind)
        path = folder / f"{rounding}.mlir"
        path.write_text(net.text())
        command = [nibc, "verify", path, "--codegen=mlir", "--target=c99", "--no-cache"]
        result = subprocess.run([str(w) for w in command], capture_output=True, text=True, check=False)
        if result.returncode:
            sys.exit(f"{rounding}:\n{result.stdout}{result.stderr}")
        equal = result.stdout.count("equals the reference") + result.stdout.count("agrees with the reference")
        if equal != len(net.results):
            sys.exit(f"{rounding}: {len(net.results)} results, {equal} compared\n{result.stdout}")
        print(f"{rounding}: {equal} results equal")


if __name__ == "__main__":
    main()

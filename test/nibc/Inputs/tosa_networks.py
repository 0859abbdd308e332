#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small TOSA networks with their results, computed from the text of the TOSA 1.0 specification in Python's integers.

tosa_networks.py NAME FOLDER   writes NAME.mlir, x.npy (and x1.npy …) and y.npy into FOLDER
tosa_networks.py --list        prints the names
"""
import itertools
import math
import pathlib
import random
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import npy  # noqa: E402

LIMITS = {8: (-128, 127), 16: (-32768, 32767), 32: (-2**31, 2**31 - 1)}


class Tensor:
    """Integers in row-major order."""

    def __init__(self, shape, values, bits=8, real=None):
        self.shape, self.values, self.bits = tuple(shape), list(values), bits
        self.name = None
        self.real = real  # the element type in the text, where it is not iBITS
        assert len(self.values) == math.prod(shape)

    def at(self, *index):
        flat = 0
        for i, n in zip(index, self.shape):
            flat = flat * n + i
        return self.values[flat]

    def type(self):
        dims = "".join(f"{n}x" for n in self.shape)
        return f"tensor<{dims}{self.real or f'i{self.bits}'}>"


def indices(shape):
    return itertools.product(*(range(n) for n in shape))


def apply_scale(value, multiplier, shift, double):
    """apply_scale_32 and apply_scale_16."""
    assert multiplier >= 0 and 2 <= shift <= 62
    rounding = 1 << (shift - 1)
    if double and shift > 31:
        rounding += (1 << 30) if value >= 0 else -(1 << 30)
    return (value * multiplier + rounding) >> shift


def clip(value, bits, unsigned=False):
    low, high = (0, 2**bits - 1) if unsigned else LIMITS[bits]
    return min(max(value, low), high)


def signless(value, bits):
    return value - 2**bits if value >= 2**(bits - 1) else value


class Network:
    """Text of a function beside the values that it computes."""

    def __init__(self, seed):
        self.lines, self.inputs, self.n = [], [], 0
        self.random = random.Random(seed)

    def fresh(self):
        self.n += 1
        return f"%{self.n}"

    def draw(self, shape, bits=8, low=None, high=None):
        lowest, highest = LIMITS[bits]
        low, high = lowest if low is None else low, highest if high is None else high
        values = [self.random.choice((low, high)) if self.random.random() < 0.1 else self.random.randint(low, high)
                  for _ in range(math.prod(shape))]
        return Tensor(shape, values, bits)

    def input(self, tensor):
        tensor.name = f"%x{len(self.inputs)}"
        self.inputs.append(tensor)
        return tensor

    def constant(self, tensor):
        tensor.name = self.fresh()
        def nest(values, shape):
            if len(shape) == 1:
                return "[" + ", ".join(map(str, values)) + "]"
            step = len(values) // shape[0]
            return "[" + ", ".join(nest(values[i * step:(i + 1) * step], shape[1:]) for i in range(shape[0])) + "]"
        plain = Tensor(tensor.shape, tensor.values, tensor.bits).type()
        self.lines.append(f'{tensor.name} = "tosa.const"() <{{values = dense<{nest(tensor.values, tensor.shape)}> : '
                          f"{plain}}}> : () -> {tensor.type()}")
        return tensor

    def scalar(self, value, bits=8):
        return self.constant(Tensor([1], [value], bits))

    def op(self, name, operands, attributes, result):
        result.name = self.fresh()
        types = ", ".join(t.type() if isinstance(t, Tensor) else t[1] for t in operands)
        names = ", ".join(t.name if isinstance(t, Tensor) else t[0] for t in operands)
        self.lines.append(f"{result.name} = tosa.{name} {names} {{{attributes}}} : ({types}) -> {result.type()}")
        return result

    def shape(self, numbers):
        name, kind = self.fresh(), f"!tosa.shape<{len(numbers)}>"
        listed = ", ".join(map(str, numbers))
        self.lines.append(f"{name} = tosa.const_shape {{values = dense<[{listed}]> : tensor<{len(numbers)}xindex>}} "
                          f": () -> {kind}")
        return name, kind

    # ---- operators ----

    def conv(self, x, w, bias, zx, zw, stride, pad, dilation, bits=32, depthwise=False):
        """w is OHWI, or HWCM of a depthwise convolution; pad top, bottom, left, right."""
        kh, kw = (w.shape[0], w.shape[1]) if depthwise else (w.shape[1], w.shape[2])
        oh = (x.shape[1] - 1 + pad[0] + pad[1] - (kh - 1) * dilation[0]) // stride[0] + 1
        ow = (x.shape[2] - 1 + pad[2] + pad[3] - (kw - 1) * dilation[1]) // stride[1] + 1
        channels = w.shape[2] * w.shape[3] if depthwise else w.shape[0]
        shape, values = (x.shape[0], oh, ow, channels), []
        for n, oy, ox, oc in indices(shape):
            acc = bias.values[oc % len(bias.values)]
            for ky, kx in indices((kh, kw)):
                iy = oy * stride[0] - pad[0] + ky * dilation[0]
                ix = ox * stride[1] - pad[2] + kx * dilation[1]
                if not (0 <= iy < x.shape[1] and 0 <= ix < x.shape[2]):
                    continue
                if depthwise:
                    c, m = divmod(oc, w.shape[3])
                    acc += (x.at(n, iy, ix, c) - zx) * (w.at(ky, kx, c, m) - zw)
                else:
                    acc += sum((x.at(n, iy, ix, c) - zx) * (w.at(oc, ky, kx, c) - zw) for c in range(x.shape[3]))
            values.append(acc)
        return self.op("depthwise_conv2d" if depthwise else "conv2d",
                       [x, w, bias, self.scalar(zx, x.bits), self.scalar(zw, w.bits)],
                       f"pad = array<i64: {', '.join(map(str, pad))}>, stride = array<i64: {stride[0]}, {stride[1]}>, "
                       f"dilation = array<i64: {dilation[0]}, {dilation[1]}>, acc_type = i{bits}",
                       Tensor(shape, values, bits))

    def transpose_conv(self, x, w, bias, zx, stride, out_pad):
        kh, kw = w.shape[1], w.shape[2]
        shape = (x.shape[0], (x.shape[1] - 1) * stride[0] + out_pad[0] + out_pad[1] + kh,
                 (x.shape[2] - 1) * stride[1] + out_pad[2] + out_pad[3] + kw, w.shape[0])
        result = Tensor(shape, [bias.values[i[3]] for i in indices(shape)], 32)
        for n, iy, ix, oc in indices((x.shape[0], x.shape[1], x.shape[2], w.shape[0])):
            for ky, kx in indices((kh, kw)):
                oy, ox = iy * stride[0] + out_pad[0] + ky, ix * stride[1] + out_pad[2] + kx
                if 0 <= oy < shape[1] and 0 <= ox < shape[2]:
                    flat = ((n * shape[1] + oy) * shape[2] + ox) * shape[3] + oc
                    result.values[flat] += sum((x.at(n, iy, ix, c) - zx) * w.at(oc, ky, kx, c)
                                               for c in range(x.shape[3]))
        return self.op("transpose_conv2d", [x, w, bias, self.scalar(zx), self.scalar(0)],
                       f"out_pad = array<i64: {', '.join(map(str, out_pad))}>, "
                       f"stride = array<i64: {stride[0]}, {stride[1]}>, acc_type = i32", result)

    def matmul(self, a, b, za, zb):
        shape = (a.shape[0], a.shape[1], b.shape[2])
        values = [sum((a.at(n, i, k) - za) * (b.at(n, k, j) - zb) for k in range(a.shape[2]))
                  for n, i, j in indices(shape)]
        return self.op("matmul", [a, b, self.scalar(za), self.scalar(zb)], "", Tensor(shape, values, 32))

    def rescale(self, x, bits, mode, multipliers, shifts, zx=0, zy=0, scale32=True, unsigned=(False, False),
                real=None):
        values, low_bits = [], (1 << x.bits) - 1
        for i, v in enumerate(x.values):
            c = i % len(multipliers)
            v = v & low_bits if unsigned[0] else v
            y = apply_scale(v - zx, multipliers[c], shifts[c], mode == "DOUBLE_ROUND") + zy
            y = clip(y, bits, unsigned[1])
            values.append(signless(y, bits) if unsigned[1] else y)
        flags = (f"scale32 = {str(scale32).lower()}, rounding_mode = {mode}, "
                 f"per_channel = {str(len(multipliers) > 1).lower()}, input_unsigned = {str(unsigned[0]).lower()}, "
                 f"output_unsigned = {str(unsigned[1]).lower()}")
        zx_bits = signless(zx, x.bits) if unsigned[0] else zx
        zy_bits = signless(zy, bits) if unsigned[1] else zy
        m = self.constant(Tensor([len(multipliers)], multipliers, 32 if scale32 else 16))
        s = self.constant(Tensor([len(shifts)], shifts, 8))
        return self.op("rescale", [x, m, s, self.scalar(zx_bits, x.bits), self.scalar(zy_bits, bits)], flags,
                       Tensor(x.shape, values, bits, real))

    def pool(self, x, kind, kernel, stride, pad, zx=0, zy=0):
        oh = (x.shape[1] + pad[0] + pad[1] - kernel[0]) // stride[0] + 1
        ow = (x.shape[2] + pad[2] + pad[3] - kernel[1]) // stride[1] + 1
        shape, values = (x.shape[0], oh, ow, x.shape[3]), []
        for n, oy, ox, c in indices(shape):
            window = [x.at(n, oy * stride[0] - pad[0] + ky, ox * stride[1] - pad[2] + kx, c)
                      for ky, kx in indices(kernel)
                      if 0 <= oy * stride[0] - pad[0] + ky < x.shape[1]
                      and 0 <= ox * stride[1] - pad[2] + kx < x.shape[2]]
            if kind == "max":
                values.append(max(window))
                continue
            k = (len(window) - 1).bit_length()
            multiplier = (((1 << 30) + 1) << k) // len(window)
            total = sum(v - zx for v in window)
            values.append(clip(((total * multiplier + (1 << (29 + k))) >> (30 + k)) + zy, x.bits))
        attributes = (f"kernel = array<i64: {kernel[0]}, {kernel[1]}>, stride = array<i64: {stride[0]}, {stride[1]}>, "
                      f"pad = array<i64: {', '.join(map(str, pad))}>")
        operands = [x]
        if kind == "avg":
            operands += [self.scalar(zx), self.scalar(zy)]
            attributes += ", acc_type = i32"
        return self.op(f"{kind}_pool2d", operands, attributes, Tensor(shape, values, x.bits, x.real))

    def pair(self, name, a, b, function):
        shape = [max(m, n) for m, n in zip(a.shape, b.shape)]
        def element(t, index):
            return t.at(*(i if n > 1 else 0 for i, n in zip(index, t.shape)))
        values = [signless(function(element(a, i), element(b, i)) & 0xFFFFFFFF, 32) for i in indices(shape)]
        operands = [a, b] + ([self.scalar(0)] if name == "mul" else [])
        return self.op(name, operands, "", Tensor(shape, values, 32))

    def clamp(self, x, low, high):
        return self.op("clamp", [x], f"min_val = {low} : i{x.bits}, max_val = {high} : i{x.bits}",
                       Tensor(x.shape, [min(max(v, low), high) for v in x.values], x.bits, x.real))

    def write(self, name, folder, result):
        folder.mkdir(parents=True, exist_ok=True)
        arguments = ", ".join(f"{t.name}: {t.type()}" for t in self.inputs)
        body = "\n".join("  " + line for line in self.lines)
        (folder / f"{name}.mlir").write_text(
            f"func.func @{name}({arguments}) -> {result.type()} {{\n{body}\n"
            f"  return {result.name} : {result.type()}\n}}\n")
        codes = {8: ("i1", "b"), 16: ("i2", "h"), 32: ("i4", "i")}
        for i, t in enumerate(self.inputs + [result]):
            kind, code = codes[t.bits]
            path = "y.npy" if t is result else f"x{i}.npy"
            npy.write(str(folder / path), kind, t.shape, struct.pack(f"<{len(t.values)}{code}", *t.values))


def multipliers(n, count, shift, least=1 << 30, spread=3):
    """31-bit multipliers, or shorter ones, that bring 2^k to 2^(k + 31 - shift)."""
    bits = (least.bit_length() - 31)
    return ([n.random.randint(least, 2 * least - 1) for _ in range(count)],
            [min(62, max(2, shift + bits + n.random.randint(0, spread))) for _ in range(count)])


def conv_network(mode, least):
    def build(n):
        x = n.input(n.draw((1, 7, 6, 3)))
        w, bias = n.constant(n.draw((5, 3, 3, 3))), n.constant(n.draw((5,), 32, -9000, 9000))
        acc = n.conv(x, w, bias, -7, 0, (1, 1), (1, 1, 1, 1), (1, 1))
        m, s = multipliers(n, 5, 39, least)
        return n.clamp(n.rescale(acc, 8, mode, m, s, 0, 11), -90, 101)
    return build


def residual(n):
    """What a residual block becomes: two convolutions, both sides widened, added, narrowed."""
    x = n.input(n.draw((1, 6, 6, 4)))
    w, b = n.constant(n.draw((4, 3, 3, 4))), n.constant(n.draw((4,), 32, -5000, 5000))
    m, s = multipliers(n, 4, 39)
    y = n.rescale(n.conv(x, w, b, 5, 0, (1, 1), (1, 1, 1, 1), (1, 1)), 8, "DOUBLE_ROUND", m, s, 0, -20)
    left = n.rescale(x, 32, "DOUBLE_ROUND", [1 << 30], [10], 5)
    right = n.rescale(y, 32, "DOUBLE_ROUND", [1518500250], [12], -20)
    total = n.pair("add", left, right, lambda a, b: a + b)
    return n.rescale(total, 8, "SINGLE_ROUND", [1300000007], [51], 0, 3)


def quantized_types(n):
    """The same with elements of !quant.uniform."""
    real = "!quant.uniform<i8:f32, 5.000000e-01:-7>"
    x = n.draw((1, 6, 5, 3))
    x.real = real
    n.input(x)
    w = n.draw((4, 3, 3, 3), 8, -127, 127)
    w.real = "!quant.uniform<i8<-127:127>:f32:0, {0.25,0.5,0.125,1.0}>"
    n.constant(w)
    b = n.constant(n.draw((1,), 32, 100, 9000))
    acc = n.conv(x, w, b, -7, 0, (1, 1), (0, 0, 0, 0), (1, 1))
    m, s = multipliers(n, 4, 39)
    y = n.rescale(acc, 8, "SINGLE_ROUND", m, s, 0, -7, real=real)
    return n.pool(n.clamp(y, -100, 99), "max", (2, 2), (1, 1), (0, 0, 0, 0))


def depthwise(n):
    x = n.input(n.draw((1, 7, 8, 4)))
    w, b = n.constant(n.draw((3, 3, 4, 2))), n.constant(n.draw((8,), 32, -900, 900))
    acc = n.conv(x, w, b, 100, 0, (2, 2), (1, 1, 1, 0), (1, 1), depthwise=True)
    m, s = multipliers(n, 8, 36)
    return n.rescale(acc, 8, "DOUBLE_ROUND", m, s, 0, -128)


def dilated(n):
    """A weight zero point and dilation."""
    x = n.input(n.draw((2, 9, 7, 2)))
    w, b = n.constant(n.draw((3, 3, 2, 2))), n.constant(n.draw((3,), 32, -900, 900))
    acc = n.conv(x, w, b, -128, 9, (1, 1), (0, 0, 0, 0), (2, 3))
    return n.rescale(acc, 16, "INEXACT_ROUND", [12345], [13], 0, 0)


def transposed(n):
    x = n.input(n.draw((1, 4, 3, 3)))
    w, b = n.constant(n.draw((2, 3, 3, 3))), n.constant(n.draw((2,), 32, -900, 900))
    acc = n.transpose_conv(x, w, b, 12, (2, 2), (0, 1, -1, 0))
    return n.rescale(acc, 8, "DOUBLE_ROUND", [1500000000, 1100000000], [38, 39], 0, 4)


def dense(n):
    """A dense layer as a matrix product, 16-bit multipliers."""
    a, b = n.input(n.draw((1, 3, 20))), n.input(n.draw((1, 20, 5)))
    return n.rescale(n.matmul(a, b, 3, -4), 8, "SINGLE_ROUND", [30000], [23], 0, 1, scale32=False)


def wide(n):
    """16-bit activations: 48-bit accumulators."""
    x = n.input(n.draw((1, 4, 4, 3), 16))
    w, b = n.constant(n.draw((2, 3, 3, 3))), Tensor([2], [2**33 + 5, -2**32], 48)
    n.constant(b)
    acc = n.conv(x, w, b, 0, 0, (1, 1), (1, 1, 1, 1), (1, 1), bits=48)
    return n.rescale(acc, 16, "SINGLE_ROUND", [31000, 16385], [31, 32], 0, 0, scale32=False)


def averages(n):
    x = n.input(n.draw((1, 8, 7, 5)))
    y = n.pool(x, "avg", (2, 2), (2, 1), (1, 1, 0, 1), 7, -3)
    return n.pool(y, "avg", (5, 7), (1, 1), (0, 0, 0, 0), -3, -3)


def elements(n):
    """Products, differences, quotients, unsigned codes, a broadcast row."""
    a, b = n.input(n.draw((2, 3, 5))), n.input(n.draw((1, 1, 5)))
    wide_a = n.rescale(a, 32, "SINGLE_ROUND", [1 << 30], [20], -3)
    wide_b = n.rescale(b, 32, "SINGLE_ROUND", [1 << 30], [30], 9)
    product = n.pair("mul", wide_a, wide_b, lambda p, q: p * q)
    difference = n.pair("sub", product, wide_a, lambda p, q: p - q)
    quotient = n.pair("intdiv", difference, n.constant(Tensor([1, 1, 1], [7], 32)), lambda p, q: int(p / q))
    y = n.rescale(quotient, 8, "SINGLE_ROUND", [1 << 30], [39], 0, 128, unsigned=(False, True))
    return n.rescale(y, 8, "DOUBLE_ROUND", [1900000000], [32], 130, 2, unsigned=(True, False))


def choices(n):
    """Comparisons, a selection, extremes, signs, products and shifts that round."""
    def both(name, function):
        result = Tensor(a.shape, [function(p, q) for p, q in zip(wide_a.values, wide_b.values)], 32)
        return n.op(name, [wide_a, wide_b], "", result)

    a, b = n.input(n.draw((2, 3, 4))), n.input(n.draw((2, 3, 4)))
    wide_a = n.rescale(a, 32, "SINGLE_ROUND", [1 << 30], [14], -3)
    wide_b = n.op("cast", [b], "", Tensor(b.shape, b.values, 32))
    low, high = both("minimum", min), both("maximum", max)
    size = n.op("abs", [wide_a], "", Tensor(a.shape, [abs(v) for v in wide_a.values], 32))
    zero = n.scalar(0, 32)
    negated = n.op("negate", [high, zero, zero], "", Tensor(a.shape, [-v for v in high.values], 32))
    greater = n.op("greater", [wide_a, negated], "",
                   Tensor(a.shape, [int(p > q) for p, q in zip(wide_a.values, negated.values)], 1))
    chosen = n.op("select", [greater, size, low], "",
                  Tensor(a.shape, [p if c else q for c, p, q in zip(greater.values, size.values, low.values)], 32))
    factor = n.constant(Tensor((1, 1, 4), [1 << 28, -(1 << 27), 3 << 20, 12345], 32))
    values = [(v * factor.values[i % 4] + (1 << 19)) >> 20 for i, v in enumerate(chosen.values)]
    product = n.op("mul", [chosen, factor, n.scalar(20)], "", Tensor(a.shape, values, 32))
    three = n.constant(Tensor((1, 1, 1), [3], 32))
    shifted = n.op("arithmetic_right_shift", [product, three], "round = true",
                   Tensor(a.shape, [(v + 4) >> 3 for v in product.values], 32))
    down = n.op("arithmetic_right_shift", [shifted, three], "round = false",
                Tensor(a.shape, [v >> 3 for v in shifted.values], 32))
    return n.rescale(down, 8, "DOUBLE_ROUND", [1 << 30], [45], 0, 5)


NETWORKS = {
    "single": conv_network("SINGLE_ROUND", 1 << 30),
    "double": conv_network("DOUBLE_ROUND", 1 << 30),
    "double_short": conv_network("DOUBLE_ROUND", 1 << 27),
    "inexact": conv_network("INEXACT_ROUND", 1 << 20),
    "residual": residual, "quantized_types": quantized_types, "depthwise": depthwise, "dilated": dilated,
    "transposed": transposed, "dense": dense, "wide": wide, "averages": averages, "elements": elements, "choices": choices,
}


def main():
    if sys.argv[1] == "--list":
        print("\n".join(NETWORKS))
        return
    n = Network(sys.argv[1])
    n.write(sys.argv[1], pathlib.Path(sys.argv[2]), NETWORKS[sys.argv[1]](n))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The corpus of small TFLite models, one operator each: every quantized operator of the importer in the
formats that TensorFlow Lite has for it, with scales, zero points, activations, paddings and shapes that reach
the corners of its arithmetic and the tails of vectors.

Usage: operator_models.py FOLDER      writes FOLDER/NAME.tflite for all of them

Standard library only, and the same bytes every time: operators.golden.txt holds each file's hash.
"""
import pathlib
import sys

from tflite_writer import Model

MASK = (1 << 64) - 1
SAME, VALID = 0, 1
# The scale of 16-bit tensors relative to that of the 8-bit ones, so that both cover similar reals.
FINE = {"i8": 1, "u8": 1, "i16": 1 / 200}
LEAST = {"i8": -128, "u8": 0, "i16": -32768, "f32": 0}


def zero(kind, code):
    """A zero point `code` above the middle of the range; 16-bit tensors have none."""
    return {"i8": code, "u8": code + 128, "i16": 0, "f32": 0}[kind]


def stream(seed, n, low, high):
    """n numbers of low … high: splitmix64 from `seed`."""
    numbers = []
    for i in range(n):
        z = (seed * 0xD1342543DE82EF95 + (i + 1) * 0x9E3779B97F4A7C15) & MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        numbers.append(low + ((z ^ (z >> 31)) >> 32) % (high - low + 1))
    return numbers


def product(shape):
    n = 1
    for d in shape:
        n *= d
    return n


def spread(scale, n):
    """n scales from `scale` to three times it."""
    return [scale * (1 + 2 * i / max(n - 1, 1)) for i in range(n)]


def elementwise(kind):
    """add, sub and mul: plain, broadcast, clamped, equal scales, far scales."""
    fine, shape = FINE[kind], [1, 5, 7, 9]
    rows = [(0.031, 0.017, 0.045, 0, shape), (0.1, 0.02, 0.07, 1, [9]), (0.5, 0.25, 0.5, 3, shape),
            (0.013, 0.013, 0.026, 0, [1, 1, 7, 1]), (0.031, 0.9, 0.013, 0, shape), (0.04, 0.05, 0.06, 0, [])]
    for name, code, tag in (("add", 0, 11), ("sub", 41, 28), ("mul", 18, 21)):
        for v, (sa, sb, sy, activation, second) in enumerate(rows):
            if name == "mul":
                sy = sa * sb * (100 if kind != "i16" else 150)
            m = Model()
            a = m.tensor(shape, kind, sa * fine, zero(kind, 3))
            b = m.tensor(second, kind, sb * fine, zero(kind, -20))
            y = m.tensor(shape, kind, sy * fine, zero(kind, 5))
            fields = {0: ("b", activation)}
            if kind == "i16" and name != "mul":
                fields[1] = ("?", False)  # not the variant for scales that are powers of two
            yield f"{name}_{kind}_{v}", m.build(code, 2 if kind != "i16" else 3, (tag, fields), [a, b], [y], [a, b])


def activations(kind):
    fine, shape = FINE[kind], [1, 5, 7, 9]
    rows = [(0.1, 0.1, 0.01), (0.07, 0.05, 0.3), (0.1, 0.2, -0.5), (0.25, 0.5, 0.125)]
    for v, (sx, sy, alpha) in enumerate(rows):
        kinds = [("leaky", 98, (75, {0: ("f", alpha)})), ("relu", 19, None), ("relu6", 21, None)]
        if kind != "i16":  # not in TensorFlow Lite
            kinds += [("relu1", 20, None), ("relu01", 152, None)]
        for name, code, options in kinds:
            m = Model()
            x = m.tensor(shape, kind, sx * fine, zero(kind, 3))
            y = m.tensor(shape, kind, sy * fine, zero(kind, -7))
            yield f"{name}_{kind}_{v}", m.build(code, 1 if code in (20, 152) else 2, options, [x], [y], [x])


def functions(kind):
    """logistic, tanh and softmax, whose results have scales that the format fixes."""
    scales = [1 / 4096, 0.0003, 0.00011, 1 / 2048] if kind == "i16" else [0.05, 0.02, 0.1, 100 / 4096]
    unit, least = {"i16": (1 / 32768, 0)}.get(kind, (1 / 256, LEAST[kind]))
    for v, sx in enumerate(scales):
        beta = [1.0, 0.5, 1.0, 2.0][v]
        kinds = [("logistic", 14, None, unit, least), ("softmax", 25, (9, {0: ("f", beta)}), unit, least),
                 ("tanh", 28, None, unit if kind == "i16" else 1 / 128, zero(kind, 0))]
        for name, code, options, sy, zy in kinds:
            m = Model()
            x = m.tensor([3, 77], kind, sx, zero(kind, 3))
            y = m.tensor([3, 77], kind, sy, zy)
            yield f"{name}_{kind}_{v}", m.build(code, 3, options, [x], [y], [x])


def hard_swishes(kind):
    """Every code: in and out of -3 to 3, shifts of the gate to both sides, coarse and fine results."""
    rows = [(0.05, 3, 0.04, -7), (0.01, -128, 0.01, -128), (0.1, 127, 0.3, 0), (7.5, 0, 0.06, 5), (0.0003, -50, 0.0001, 127),
            (1 / 32, 0, 1 / 64, -100), (0.02, 60, 500.0, 1), (1e-7, 0, 2e-9, -9)]
    for v, (sx, zx, sy, zy) in enumerate(rows if kind != "i16" else []):  # 16 bits: not in TensorFlow Lite
        m = Model()
        x = m.tensor([3, 256], kind, sx, zero(kind, zx))
        y = m.tensor([3, 256], kind, sy, zero(kind, zy))
        yield f"hardswish_{kind}_{v}", m.build(117, 1, None, [x], [y], [x])


def means(kind):
    fine, shape = FINE[kind], [2, 5, 7, 9]
    rows = [(0.1, 0.1, 3, 3, [1, 2], False), (0.1, 0.07, 3, -4, [1, 2], True), (0.05, 0.1, 0, 0, [2], False),
            (0.1, 0.1, 0, 0, [1, 2], True), (0.1, 0.07, 3, -4, [3], True), (0.1, 0.1, 3, 3, [0, 3], False)]
    for v, (sx, sy, zx, zy, axes, keep) in enumerate(rows):
        shapes = [1 if i in axes else d for i, d in enumerate(shape) if keep or i not in axes]
        m = Model()
        x = m.tensor(shape, kind, sx * fine, zero(kind, zx))
        a = m.tensor([len(axes)], "i32", data=axes)
        y = m.tensor(shapes, kind, sy * fine, zero(kind, zy))
        yield f"mean_{kind}_{v}", m.build(40, 2, (27, {0: ("?", keep)}), [x, a], [y], [x])


def pools(kind):
    fine, h, w = FINE[kind], 9, 8
    rows = [(SAME, 2, 3, 0, 5), (VALID, 1, 2, 1, 5), (SAME, 1, 3, 3, 5), (VALID, 2, 3, 0, 5), (VALID, 1, 8, 0, 35)]
    for v, (padding, stride, side, activation, channels) in enumerate(rows):
        size = [-(-d // stride) if padding == SAME else (d - side) // stride + 1 for d in (h, w)]
        for name, code in (("avgpool", 1), ("maxpool", 17)):
            m = Model()
            x = m.tensor([2, h, w, channels], kind, 0.05 * fine, zero(kind, -3))
            y = m.tensor([2, *size, channels], kind, 0.05 * fine, zero(kind, -3))
            options = {0: ("b", padding), 1: ("i", stride), 2: ("i", stride), 3: ("i", side), 4: ("i", side), 5: ("b", activation)}
            yield f"{name}_{kind}_{v}", m.build(code, 3, (5, options), [x], [y], [x])


def conversions(kind):
    fine = FINE[kind]
    for to in ("i8", "u8", "i16"):
        if (kind, to) == ("i16", "u8"):
            continue  # not in TensorFlow Lite
        for v, (sx, sy) in enumerate([(0.1, 0.07), (0.25, 0.5), (0.1, 0.1), (0.01, 0.3)]):
            m = Model()
            x = m.tensor([1, 5, 7, 9], kind, sx * fine, zero(kind, 3))
            y = m.tensor([1, 5, 7, 9], to, sy * FINE[to], zero(to, -7))
            yield f"requant_{kind}_{to}_{v}", m.build(114, 3, None, [x], [y], [x])
    m = Model()
    x = m.tensor([1, 5, 7, 9], "f32")
    y = m.tensor([1, 5, 7, 9], kind, 0.25 if kind != "i16" else 1 / 256, zero(kind, 3))
    yield f"quantize_{kind}", m.build(114, 3, None, [x], [y], [x])
    m = Model()
    x = m.tensor([1, 5, 7, 9], kind, 0.0371, zero(kind, 3))
    y = m.tensor([1, 5, 7, 9], "f32")
    yield f"dequantize_{kind}", m.build(6, 3, None, [x], [y], [x])


def movement(kind):
    """Operators that move codes: one scale and zero point on both sides (concat may differ)."""
    fine = FINE[kind]

    def one(name, code, version, shape, result, more=(), options=None):
        m = Model()
        x = m.tensor(shape, kind, 0.1 * fine, zero(kind, 3))
        operands = [x] + [m.tensor(s, "i32", data=d) for s, d in more]
        y = m.tensor(result, kind, 0.1 * fine, zero(kind, 3))
        return f"{name}_{kind}", m.build(code, version, options, operands, [y], [x])

    for v, (sa, sb, sy) in enumerate([(0.1, 0.1, 0.1), (0.1, 0.05, 0.12)]):
        if kind != "u8" and v:
            continue  # TensorFlow Lite wants one scale there
        za = zero(kind, 3)
        m = Model()
        a = m.tensor([1, 3, 4, 5], kind, sa * fine, za)
        b = m.tensor([1, 3, 2, 5], kind, sb * fine, za if v == 0 else zero(kind, -9))
        y = m.tensor([1, 3, 6, 5], kind, sy * fine, za)
        yield f"concat_{kind}_{v}", m.build(2, 3, (10, {0: ("i", 2), 1: ("b", 0)}), [a, b], [y], [a, b])
    yield one("pad", 34, 2, [1, 3, 4, 5], [1, 6, 5, 5], [([4, 2], [0, 0, 1, 2, 1, 0, 0, 0])])
    yield one("transpose", 39, 4, [2, 3, 4, 5], [5, 2, 4, 3], [([4], [3, 0, 2, 1])])
    yield one("reshape", 22, 1, [2, 3, 4], [6, 4], [([2], [6, 4])])
    yield one("slice", 65, 4, [3, 5, 7], [2, 3, 7], [([3], [1, 2, 0]), ([3], [2, 3, -1])])
    slices = [([3], [2, 0, 6]), ([3], [0, 5, 0]), ([3], [-1, 2, -2])]
    yield one("stridedslice", 45, 4, [3, 5, 7], [2, 3, 3], slices, (32, {0: ("i", 0), 1: ("i", 0)}))
    yield one("squeeze", 43, 1, [1, 3, 1, 5], [3, 5], options=(30, {}))
    yield one("expanddims", 70, 1, [3, 5], [3, 1, 5], [([1], [1])])


def weights(m, kind, shape, scale, axis, seed, bias_kind, bias_n, x_scale, bias=True):
    """A filter and a bias; u8 filters have a zero point, others a scale per channel where `scale` is a list."""
    unsigned = kind == "u8"
    data = stream(seed, product(shape), 0 if unsigned else -127, 255 if unsigned else 127)
    w = m.tensor(shape, "u8" if unsigned else "i8", scale, 120 if unsigned else 0, data, axis)
    if not bias:
        return [w]
    scales = [s * x_scale for s in scale] if isinstance(scale, list) else scale * x_scale
    return [w, m.tensor([bias_n], bias_kind, scales, 0, stream(seed + 1, bias_n, -2000, 2000))]


def dense(kind):
    """Operators with weights. Scales put results into range: a sum of n products of codes is about
    4000 sqrt(n)."""
    sx, bias_kind = (1 / 256, "i64") if kind == "i16" else (1.0, "i32")
    rows = [(True, 0.125, 64.0, 0), (False, 0.02, 7.3, 1), (False, 0.013, 5.0, 3), (True, 0.002, 3.1, 0)]
    # height, width, channels, filter, stride, dilation, padding, result channels, of variants 0 to 3
    convs = [(9, 8, 4, 3, 2, 1, SAME, 6), (9, 8, 4, 3, 2, 1, SAME, 6), (7, 19, 17, 1, 1, 1, VALID, 35),
             (11, 13, 3, 5, 1, 2, SAME, 20)]
    depthwise = [(9, 8, 3, 2, 1, 2, SAME), (9, 8, 3, 2, 1, 2, SAME), (7, 19, 40, 1, 2, 1, SAME), (8, 8, 67, 1, 1, 1, VALID)]
    denses = [(6, 16, 6), (6, 16, 6), (1, 133, 35), (3, 64, 48)]
    for v, (per_channel, sw, sy, activation) in enumerate(rows):
        if kind == "u8" and per_channel:
            continue

        def begin(x_shape):
            m = Model()
            return m, m.tensor(x_shape, kind, sx, zero(kind, 3))

        def scale(n):
            return spread(sw, n) if per_channel else sw

        def end(m, y_shape):
            return m.tensor(y_shape, kind, sy * sx, zero(kind, -3))

        h, w, ic, side, stride, dilation, padding, oc = convs[v]
        reach = (side - 1) * dilation + 1
        size = [-(-d // stride) if padding == SAME else (d - reach) // stride + 1 for d in (h, w)]
        m, x = begin([1, h, w, ic])
        operands = [x, *weights(m, kind, [oc, side, side, ic], scale(oc), 0, v, bias_kind, oc, sx)]
        options = {0: ("b", padding), 1: ("i", stride), 2: ("i", stride), 3: ("b", activation), 4: ("i", dilation), 5: ("i", dilation)}
        yield f"conv_{kind}_{v}", m.build(3, 4, (1, options), operands, [end(m, [1, *size, oc])], [x])

        h, w, ic, multiplier, stride, dilation, padding = depthwise[v]
        oc = ic * multiplier  # filter 3x3, dilated in one direction
        size = [-(-d // stride) if padding == SAME else (d - 3) // stride + 1 for d in (h, w)]
        m, x = begin([1, h, w, ic])
        operands = [x, *weights(m, kind, [1, 3, 3, oc], scale(oc), 3, v + 8, bias_kind, oc, sx)]
        options = {0: ("b", padding), 1: ("i", stride), 2: ("i", stride), 3: ("i", multiplier), 4: ("b", activation), 5: ("i", dilation), 6: ("i", 1)}
        yield f"dw_{kind}_{v}", m.build(4, 4, (2, options), operands, [end(m, [1, *size, oc])], [x])

        for bias in (False, True):
            m, x = begin([1, 5, 5, 4])
            shape = m.tensor([4], "i32", data=[1, 10, 9, 5])
            operands = [shape, *weights(m, kind, [5, 3, 3, 4], scale(5), 0, v + 16, bias_kind, 5, sx, bias)]
            options = {0: ("b", SAME), 1: ("i", 2), 2: ("i", 2)}
            operands.insert(2, x)
            yield f"tconv_{kind}_{v}_{int(bias)}", m.build(67, 3, (49, options), operands, [end(m, [1, 10, 9, 5])], [x])

        n, k, oc = denses[v]
        m, x = begin([n, k])
        operands = [x, *weights(m, kind, [oc, k], scale(oc), 0, v + 24, bias_kind, oc, sx)]
        yield f"fc_{kind}_{v}", m.build(9, 7, (8, {0: ("b", activation)}), operands, [end(m, [n, oc])], [x])


def all_models():
    """Names and files, in the order of the golden file."""
    for kind in ("i8", "u8", "i16"):
        for family in (elementwise, activations, functions, hard_swishes, means, pools, conversions, movement, dense):
            yield from family(kind)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in all_models():
        (folder / f"{name}.tflite").write_bytes(data)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes qonnx.golden.txt of this folder: results of QONNX operators in every rounding mode, from their definitions
(fastmachinelearning/qonnx, docs/qonnx-custom-ops: intquant_v1, trunc_v1, trunc_v2, floatquant_v1).

Needs numpy. The test is test/unit/test_import_qonnx.c. For each operator there is a line

  OPERATOR constants N values attributes N names and integers x N values

and then one of each mode, MODE y values, with reals as the hexadecimal bits of their f32. Quantities are f32 where the definitions compute in f32; what the
definition of FloatQuant gets from a logarithm is taken from the exponent, which is exact.
"""
import pathlib

import numpy as np

F = np.float32
ROUNDINGS = {
    "ROUND": np.round,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda v: np.sign(v) * np.ceil(np.abs(v)),
    "DOWN": np.trunc,
    "HALF_UP": lambda v: np.sign(v) * np.floor(np.abs(v) + 0.5),
    "HALF_DOWN": lambda v: np.sign(v) * np.ceil(np.abs(v) - 0.5),
}


def beside(points):
    """The points and the floats next to them."""
    points = np.asarray(points, F)
    return np.unique(np.concatenate([points, np.nextafter(points, F(np.inf)), np.nextafter(points, -F(np.inf))]) + F(0))


def integers(bits, signed, narrow):
    half = 2 ** (bits - 1)
    return (-half + narrow, half - 1) if signed else (0, 2 * half - 1 - narrow)


def quant(x, mode, scale, zero, bits, signed, narrow):
    y = x / F(scale) + F(zero)
    if bits == 1 and signed:
        y = np.where(y >= 0, F(1), F(-1))
    else:
        low, high = integers(bits, signed, narrow)
        y = ROUNDINGS[mode](np.clip(y, F(low), F(high)).astype(np.float64)).astype(F)
    return (y - F(zero)) * F(scale)


def trunc_1(x, mode, scale, zero, in_bits, out_bits):
    y = np.round(x / F(scale) + F(zero)) / F(2.0 ** (in_bits - out_bits))
    return (ROUNDINGS[mode](y.astype(np.float64)).astype(F) - F(zero)) * F(scale)


def trunc_2(x, mode, scale, zero, in_bits, out_scale, out_bits, signed, narrow):
    del in_bits
    step = F(2.0 ** np.round(np.log2(out_scale / scale)))
    low, high = integers(out_bits, signed, narrow)
    y = np.clip(np.round(x / F(scale) + F(zero)) / step, F(low), F(high))
    return (ROUNDINGS[mode](y.astype(np.float64)).astype(F) - F(zero) / step) * F(out_scale)


def float_quant(x, mode, scale, exponent, mantissa, bias, most, saturation=1, has_inf=0, has_nan=0):
    del has_nan
    v = (x / F(scale)).astype(np.float64)
    power = np.where(v == 0, -1000, np.frexp(v)[1] - 1)
    unit = np.exp2(np.maximum(power, 1 - bias) - mantissa)
    y = unit * ROUNDINGS[mode](v / unit)
    most = min(most, (2 - 2.0**-mantissa) * 2.0 ** (2**exponent - 1 - bias))
    over = np.abs(y) > most
    y = np.clip(y, -most, most)
    if not saturation:
        y = np.where(over, np.copysign(np.inf, y) if has_inf else np.nan, y)
    return y.astype(F) * F(scale)


def bits_of(values):
    values = np.asarray(values, F) + F(0)  # no negative zeros
    bits = values.view(np.uint32).copy()
    bits[np.isnan(values)] = 0x7FC00000
    return " ".join(f"{b:x}" for b in bits.ravel())


def entry(op, function, constants, attributes, x):
    named = "".join(f" {name} {value}" for name, value in attributes.items())
    yield f"{op} constants {len(constants)} {bits_of(constants)} attributes {len(attributes)}{named} x {len(x)} {bits_of(x)}"
    for mode in ROUNDINGS:
        yield f"{mode} y {bits_of(function(x, mode, *constants, **attributes))}"


def lines():
    for scale, zero, bits, signed, narrow in ((1, 0, 4, 1, 0), (.25, 0, 8, 1, 1), (.3, 2.5, 3, 0, 0), (.5, -3, 5, 1, 0),
                                              (2, 0, 2, 1, 1), (1, 0, 1, 0, 0), (.75, 0, 1, 1, 0), (.1, 7, 6, 0, 1)):
        low, high = integers(bits, signed, narrow)
        grid = np.linspace(low - 1, high + 1, 2 * min(high - low + 2, 8) + 1)
        x = beside((np.round(2 * grid) / 2 - zero) * scale)
        yield from entry("Quant", quant, (scale, zero, bits), {"signed": signed, "narrow": narrow}, x)
    x = beside(np.concatenate([np.arange(-16, 17, 2), [127, -128, 127.5]]) / 4)
    for constants in (.25, 0, 8, 4), (.25, 3, 8, 6), (.5, 0, 6, 5), (.25, 0, 4, 4):
        yield from entry("Trunc", trunc_1, constants, {}, x)
    for scale, zero, out_scale, out_bits, signed, narrow in ((.25, 0, 2, 4, 1, 0), (.25, 6, 1, 4, 0, 0),
                                                             (.5, 0, 1.1, 3, 1, 1), (.25, 0, .25, 6, 1, 0)):
        yield from entry("Trunc", trunc_2, (scale, zero, 8, out_scale, out_bits), {"signed": signed, "narrow": narrow}, x)
    for constants in ((1, 4, 3, 7, 448), (1, 2, 1, 1, 6), (.7, 3, 2, 3, 28), (1, 5, 2, 15, 57344), (1, 2, 3, 1, 7.5),
                      (1, 4, 3, 7, 100), (1, 3, 0, 3, 1e9), (2, 3, 2, 1, 20)):
        scale, exponent, mantissa, bias, most = constants
        grid = float_quant(np.linspace(-1, 1, 5) * F(min(most, 16)), "ROUND", 1, *constants[1:])
        unit = 2.0 ** (1 - bias - mantissa)
        x = beside(np.concatenate([grid * .9, unit * np.arange(-3, 4) / 2, [1.0625, -1.1875, 2.5, 3.5, -5, 5.5],
                                   [most, -most, most * 1.1, -1e30]]) * scale)
        yield from entry("FloatQuant", float_quant, constants, {}, x)
        for attributes in {"saturation": 0, "has_inf": 1}, {"saturation": 0, "has_inf": 0, "has_nan": 1}:
            if exponent == 4:
                yield from entry("FloatQuant", float_quant, constants, attributes, x)


def main():
    out = pathlib.Path(__file__).with_name("qonnx.golden.txt")
    all_lines = list(lines())
    out.write_text("# By make_qonnx_goldens.py.\n" + "\n".join(all_lines) + "\n")
    print(f"{len(all_lines)} lines")


if __name__ == "__main__":
    main()

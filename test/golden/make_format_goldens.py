#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes formats.golden.txt of this folder: what independent implementations make of the number formats, as hashes.

Scalars: ml_dtypes (and numpy for f16), or the definition in exact arithmetic for formats that it has not.
Blocks: gguf's numpy reference for those of ggml; ml_dtypes elements for microscaling blocks and NVFP4;
bitsandbytes' own functions for its maps (with a stand-in for the few functions of torch that they call).

Needs numpy, ml_dtypes, gguf and the source of bitsandbytes (a folder that has bitsandbytes/functional.py) from PyPI;
the test (test/unit/test_format_goldens.c) needs none of them: it makes the same inputs from the same numbers.

Usage: make_format_goldens.py BITSANDBYTES_FOLDER
"""
import ast
import pathlib
import sys
import types
import warnings

import gguf
import ml_dtypes
import numpy as np
from gguf import quants

from hashes import U64, hash_of, random_bits

warnings.filterwarnings("ignore")
MODES = ["nearest-even", "nearest-away", "toward-zero", "up", "down"]


# ---- the numbers that both sides make ----

def float_bits(values):
    bits = np.asarray(values, np.float32).view(np.uint32).copy()
    bits[np.isnan(values)] = 0x7FC00000
    return bits


def random_reals(seed, count):
    """Sums of four 16-bit numbers, less their mean, times 2^-16: all exact in f32."""
    bits = random_bits(U64(seed), np.arange(count))
    total = sum(((bits >> U64(16 * k)) & U64(0xFFFF)).astype(np.int64) for k in range(4))
    return ((total - 131070) * 2.0**-16).astype(np.float32)


def block_inputs(elems):
    """Blocks of every sort: random ones of several magnitudes, then extremes."""
    rows = [random_reals(100 + k, elems) * np.float32(2.0 ** (k % 7 * 3 - 12)) for k in range(14)]
    index = np.arange(elems)
    rows += [0 * index, 0 * index + 1, 0 * index - 1, np.where(index == 5, -7.0, 0), np.where(index == 9, 100.0, 0.25),
             index - elems / 2, index % 16 - 8, index % 3 - 1, np.where(index % 2, -1.5, 1.5),
             (index % 31 - 15) * 0.5]
    return np.array(rows, np.float32) + np.float32(0)  # no negative zeros


# ---- scalars ----

ML = {"f8E5M2": "float8_e5m2", "f8E4M3": "float8_e4m3", "f8E4M3FN": "float8_e4m3fn", "f8E5M2FNUZ": "float8_e5m2fnuz",
      "f8E4M3FNUZ": "float8_e4m3fnuz", "f8E4M3B11FNUZ": "float8_e4m3b11fnuz", "f8E3M4": "float8_e3m4",
      "f8E8M0FNU": "float8_e8m0fnu", "f6E3M2FN": "float6_e3m2fn", "f6E2M3FN": "float6_e2m3fn",
      "f4E2M1FN": "float4_e2m1fn", "bf16": "bfloat16"}
BITS = {"f6E3M2FN": 6, "f6E2M3FN": 6, "f4E2M1FN": 4, "bf16": 16, "f16": 16}
# exponent bits, mantissa bits, bias, what the extreme codes mean
DEFINED = {"e2m2": (2, 2, 1, "ieee"), "e3m3": (3, 3, 3, "ieee"), "e5m9:bias=3,specials=fnuz": (5, 9, 3, "fnuz"),
           "e1m6:specials=none": (1, 6, 0, "none"), "e3m0:specials=fn": (3, 0, 3, "fn"),
           "e8m6": (8, 6, 127, "ieee"), "e6m2:bias=40": (6, 2, 40, "ieee")}


def values_by_definition(e, m, bias, specials):
    """The value of every code, from the definition of a minifloat."""
    out = []
    for code in range(1 << (1 + e + m)):
        sign, exponent, mantissa = code >> (e + m), code >> m & ((1 << e) - 1), code & ((1 << m) - 1)
        top, ones = exponent == (1 << e) - 1, mantissa == (1 << m) - 1
        x = mantissa * 2.0 ** (1 - bias - m) if exponent == 0 else (mantissa + (1 << m)) * 2.0 ** (exponent - bias - m)
        if specials == "ieee" and top:
            x = np.nan if mantissa else np.inf
        if (specials == "fn" and top and ones) or (specials == "fnuz" and code == 1 << (e + m)):
            x = np.nan
        out.append(-x if sign else x)
    return np.array(out, np.float64)


def decode_all(name):
    if name in DEFINED:
        return values_by_definition(*DEFINED[name])
    bits = BITS.get(name, 8)
    codes = np.arange(1 << bits, dtype=np.uint16 if bits == 16 else np.uint8)
    return codes.view(np.float16 if name == "f16" else getattr(ml_dtypes, ML[name])).astype(np.float64)


def probes(values):
    """Every finite value, midpoints of neighbours, and the floats next to all of them; beyond the largest."""
    finite = np.unique(values[np.isfinite(values)] + 0.0)
    points = np.concatenate([finite, finite[:-1] + np.diff(finite) / 2, [finite[-1] * 1.5, finite[0] * 1.5]])
    points = points.astype(np.float32)
    infinity = np.float32(np.inf)
    return np.concatenate([points, np.nextafter(points, infinity), np.nextafter(points, -infinity)])


def finite_codes(values):
    """Ascending finite values with their codes; a zero is there once, as the positive one."""
    codes = np.flatnonzero(np.isfinite(values) & ~((values == 0) & np.signbit(values)))
    return values[codes[np.argsort(values[codes])]], codes[np.argsort(values[codes])]


def saturated(values, x, mode):
    """Codes of x in a mode, saturating, by search in the table of values."""
    table, codes = finite_codes(values)
    x = np.clip(x.astype(np.float64), table[0], table[-1])
    above = np.searchsorted(table, x)
    below = np.where(table[above] == x, above, above - 1)
    down, up = x - table[below], table[above] - x
    even = codes[below] % 2 == 0
    takes_up = {"nearest-even": (up < down) | ((up == down) & ~even), "nearest-away": (up < down) | ((up == down) & (x > 0)),
                "toward-zero": x < 0, "up": np.full(x.shape, True), "down": np.full(x.shape, False)}[mode]
    picked = np.where(takes_up, above, below)
    result = codes[picked]
    # Negative numbers that become 0 keep the sign where there is a negative zero.
    negative_zero = np.flatnonzero((values == 0) & np.signbit(values))
    if negative_zero.size:
        result = np.where((table[picked] == 0) & np.signbit(x), negative_zero[0], result)
    return result


def every_half():
    halves = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
    return halves[~np.isnan(halves)]


def saturate_lines(name, values):
    for mode in MODES:
        yield f"saturate {name} {mode} {hash_of(saturated(values, probes(values), mode)):016x}"
        yield f"saturate-halves {name} {mode} {hash_of(saturated(values, every_half(), mode)):016x}"


def integer_lines():
    """Integers and bipolar numbers, whose codes are their low bits."""
    for bits in (2, 3, 4, 5, 6, 7, 8, 12, 16):
        codes = np.arange(1 << bits)
        yield from saturate_lines(f"ui{bits}", codes.astype(np.float64))
        yield from saturate_lines(f"i{bits}", np.where(codes >= 1 << (bits - 1), codes - (1 << bits), codes).astype(np.float64))
        if bits <= 8:
            signs = 2 * ((codes[:, None] >> np.arange(bits)) & 1) - 1
            yield from saturate_lines(f"bipolar{bits}", (signs * 2.0 ** np.arange(bits)).sum(axis=1))


def scalar_lines(name):
    values = decode_all(name)
    yield f"decode {name} {hash_of(float_bits(values.astype(np.float32))):016x}"
    x = probes(values)
    if name in ML or name == "f16":
        dtype = np.float16 if name == "f16" else getattr(ml_dtypes, ML[name])
        halves = np.arange(65536, dtype=np.uint16)
        halves = np.where((halves & 0x7FFF) > 0x7C00, halves & 0x8000 | 0x7E00, halves)  # one NaN of each sign
        halves = halves.astype(np.uint16).view(np.float16).astype(np.float32)
        if name == "f8E8M0FNU":
            # 0 is NaN to ml_dtypes, the smallest number to the ONNX standard and to Nibble; and ml_dtypes rounds all
            # numbers between 2^-127 and 2^-126 up.
            halves, x = halves[halves != 0], x[~((x >= 0) & (x < 2.0**-126)) | (x == 2.0**-127)]
        for what, inputs in ("halves", halves), ("probes", x):
            codes = inputs.astype(dtype)
            codes = codes.view(np.uint16 if codes.itemsize == 2 else np.uint8)
            yield f"encode {name} {what} {hash_of(codes):016x}"
    if name != "f8E8M0FNU":
        yield from saturate_lines(name, values)


# ---- blocks ----

GGML = {"q4_0": "Q4_0", "q4_1": "Q4_1", "q5_0": "Q5_0", "q5_1": "Q5_1", "q8_0": "Q8_0", "q2_k": "Q2_K", "q3_k": "Q3_K",
        "q4_k": "Q4_K", "q5_k": "Q5_K", "q6_k": "Q6_K", "tq1_0": "TQ1_0", "tq2_0": "TQ2_0", "iq4_nl": "IQ4_NL",
        "iq4_xs": "IQ4_XS", "ggml_mxfp4": "MXFP4", "ggml_nvfp4": "NVFP4"}


def without_ggml_nans(name, blocks):
    """Scales that ggml reads as numbers where their format has NaN."""
    blocks = blocks.copy()
    if name == "ggml_mxfp4":
        blocks[:, 0] %= 255
    if name == "ggml_nvfp4":
        blocks[:, :4] &= 0x7E
    return blocks


def ggml_lines(name):
    kind = gguf.GGMLQuantizationType[GGML[name]]
    elems, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = (random_bits(U64(7), np.arange(64 * size)) & U64(0xFF)).astype(np.uint8).reshape(64, size)
    values = quants.dequantize(without_ggml_nans(name, blocks), kind)
    yield f"blocks {name} {hash_of(float_bits(values + 0)):016x}"  # ggml has no negative zeros
    try:
        for i, row in enumerate(quants.quantize(block_inputs(elems), kind)):
            yield f"block {name} {i} {hash_of(row):016x}"
    except NotImplementedError:
        pass


def pack_dense(codes, bits):
    planes = (codes[..., None] >> np.arange(bits)) & 1
    return np.packbits(planes.reshape(codes.shape[0], -1).astype(np.uint8), axis=1, bitorder="little")


MX = {"mxfp4": ("f4E2M1FN", 4, 2), "mxfp6_e3m2": ("f6E3M2FN", 6, 4), "mxfp6_e2m3": ("f6E2M3FN", 6, 2),
      "mxfp8_e4m3": ("f8E4M3FN", 8, 8), "mxfp8_e5m2": ("f8E5M2", 8, 15), "mxint8": (None, 8, 0)}


def to_elements(name, x):
    """Codes of x, rounded to nearest even and saturated."""
    if name is None:  # 8-bit integers times 2^-6
        return np.clip(np.rint(x * 64), -128, 127).astype(np.int8).view(np.uint8)
    return saturated(decode_all(name), x.astype(np.float32), "nearest-even").astype(np.uint8)


def mx_lines(name):
    element, bits, emax = MX[name]
    for i, x in enumerate(block_inputs(32)):
        largest = float(np.abs(x).max())
        exponent = int(np.floor(np.log2(largest))) - emax if largest else -127
        codes = to_elements(element, x.astype(np.float64) * 2.0**-exponent)
        row = np.concatenate([[np.uint8(exponent + 127)], pack_dense(codes[None, :], bits)[0]])
        yield f"block {name} {i} {hash_of(row):016x}"


def nvfp4_lines():
    for i, x in enumerate(block_inputs(16)):
        scale = (np.abs(x).max() / np.float32(6)).astype(ml_dtypes.float8_e4m3fn)
        unit = float(scale.astype(np.float32))
        codes = to_elements("f4E2M1FN", x.astype(np.float64) / unit if unit else np.zeros(16))
        row = np.concatenate([[scale.view(np.uint8)], pack_dense(codes[None, :], 4)[0]])
        yield f"block nvfp4 {i} {hash_of(row):016x}"


# ---- bitsandbytes ----

class Tensor(np.ndarray):
    """What the map's construction asks of torch.Tensor."""


def as_tensor(values):
    return np.asarray(values, np.float32).view(Tensor)


def linspace(start, end, steps, dtype=None):
    """As torch computes it: from the nearer end, in float."""
    step = (np.float32(end) - np.float32(start)) / np.float32(steps - 1)
    i = np.arange(steps, dtype=np.float32)
    return as_tensor(np.where(i < steps // 2, np.float32(start) + step * i, np.float32(end) - step * (steps - 1 - i)))


def bitsandbytes_map(folder, signed):
    """The dynamic map by the package's own source."""
    source = (pathlib.Path(folder) / "bitsandbytes" / "functional.py").read_text()
    tree = ast.parse(source)
    function = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "create_dynamic_map")
    torch = types.SimpleNamespace(linspace=linspace, float32=None, tensor=lambda values, dtype: as_tensor(values))
    space = {"torch": torch}
    exec(compile(ast.Module([function], []), "functional.py", "exec"), space)
    return np.asarray(space["create_dynamic_map"](signed=signed))


def bitsandbytes_nf4(folder):
    source = (pathlib.Path(folder) / "bitsandbytes" / "functional.py").read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List) and len(node.value.elts) == 16:
            values = np.array(ast.literal_eval(node.value), np.float32)
            if values[0] == -1 and values[15] == 1 and values[7] == 0:
                return values
    raise SystemExit("no table of NF4")


def bucketize(code, x):
    """quantize_blockwise and quantize_4bit of the default backend, for one block."""
    absmax = np.abs(x).max()
    scaled = np.clip(x * (np.float32(1) / max(absmax, np.float32(1e-38))), -1, 1)
    return np.searchsorted((code[:-1] + code[1:]) / np.float32(2), scaled, side="left").astype(np.uint8), absmax


def bitsandbytes_lines(folder):
    signed, unsigned, nf4 = bitsandbytes_map(folder, True), bitsandbytes_map(folder, False), bitsandbytes_nf4(folder)
    for name, code in ("dynamic8", signed), ("udynamic8", unsigned), ("nf4", nf4):
        yield f"decode {name} {hash_of(float_bits(code)):016x}"
        yield from saturate_lines(name, code.astype(np.float64))
    for i, x in enumerate(block_inputs(2048)):
        codes, absmax = bucketize(signed, x)
        yield f"block dynamic8_b2048 {i} {hash_of(np.concatenate([absmax[None].view(np.uint8), codes])):016x}"
    for i, x in enumerate(block_inputs(64)):
        codes, absmax = bucketize(nf4, x)
        packed = codes[::2] << 4 | codes[1::2]
        yield f"block nf4_b64 {i} {hash_of(np.concatenate([absmax[None].view(np.uint8), packed])):016x}"


def main():
    lines = []
    for name in list(ML) + ["f16"] + list(DEFINED):
        lines += scalar_lines(name)
    lines += integer_lines()
    lines += saturate_lines("iq4nl", np.array(quants.IQ4_NL.kvalues, np.float64))
    for name in GGML:
        lines += ggml_lines(name)
    for name in MX:
        lines += mx_lines(name)
    lines += nvfp4_lines()
    lines += bitsandbytes_lines(sys.argv[1])
    out = pathlib.Path(__file__).with_name("formats.golden.txt")
    out.write_text("# By make_format_goldens.py. Hashes: test_format_goldens.c.\n" + "\n".join(lines) + "\n")
    print(f"{len(lines)} lines")


if __name__ == "__main__":
    main()

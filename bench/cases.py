# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The table of cases (cases.txt), and each case made into a small network: its data and its text in the nib dialect.

Weights are Gaussian with sigma 36 (what trained networks hold), or uniform where a case says so or has weights of few
bits. Everything is
drawn from the case's name, so a network is the same on every machine. No package is needed.
"""
import dataclasses
import fnmatch
import math
import pathlib
import random
import statistics
import struct
import typing

TABLE = pathlib.Path(__file__).resolve().parent / "cases.txt"
INT8_KINDS = ("gemm", "conv", "tconv", "dw")
# One layer, whose network this file makes.
LAYER_KINDS = (*INT8_KINDS, "gemm_f32", "gemm_f16", "low")
KINDS = (*LAYER_KINDS, "net", "compile")
SIGMA = 36
INPUT_SCALE, OUTPUT_SIGMA = 0.03125, 40.0
# Weights of more bytes repeat their first rows: what that many take does not depend on all of them being
# different, and copies of cases stay small when packed.
MAX_DISTINCT, DISTINCT_ROWS = 2 << 20, 256
# Weights of int8 kinds in fewer bits, by `format`: bits, least and greatest code, type.
FEW_BITS = {"i4": (4, -8, 7, "i4"), "i2": (2, -2, 1, "i2"), "ternary": (2, -1, 1, '!nib.format<"ternary">')}
ROUNDINGS = {"even": "nearest-even", "tflite": "tflite-double"}


# Of activations, by variant.
ACTIVATION_FORMATS = {"q8": "q8_0", "q8.256": "i8:block=256,scale=f32"}


@dataclasses.dataclass
class Case:
    """One line of the table."""
    name: str
    kind: str
    values: dict
    want: dict  # variant: list of targets, as "80%" or "1.5x"

    def number(self, key: str, default=None) -> int:
        return int(self.values[key] if default is None else self.values.get(key, default))

    @property
    def is_int8(self) -> bool:
        return self.kind in INT8_KINDS

    @property
    def is_layer(self) -> bool:
        return self.kind in LAYER_KINDS

    @property
    def variants(self) -> list:
        if self.kind == "low":
            return ["f32", "q8"] + [v for v in self.want if v not in ("f32", "q8", "gcc")]
        return list(ROUNDINGS) if self.is_int8 else ["any"]

    @property
    def shape(self) -> dict:
        """Rows, columns and depth of the product that the layer is; of a convolution also its borders."""
        v = self.values
        if self.kind.startswith("gemm") or self.kind == "low":
            return {"m": self.number("m"), "n": self.number("n"), "k": self.number("k")}
        h, w, o = (self.number(key) for key in ("h", "w", "o"))
        kh, kw, stride = self.number("kh"), self.number("kw"), self.number("s", 1)
        fit = spread_window if self.kind == "tconv" else window
        (oh, top, bottom), (ow, left, right) = (fit(size, kernel, stride, v.get("pad", "SAME"))
                                                for size, kernel in ((h, kh), (w, kw)))
        i = o if self.kind == "dw" else self.number("i")
        depth = kh * kw * (1 if self.kind == "dw" else i)
        return {"h": h, "w": w, "i": i, "o": o, "kh": kh, "kw": kw, "s": stride, "oh": oh, "ow": ow, "top": top,
                "left": left, "bottom": bottom, "right": right, "m": oh * ow, "n": o, "k": depth}

    @property
    def macs(self) -> int:
        """Of a transposed convolution, each input is multiplied by all weights."""
        s = self.shape
        return (s["h"] * s["w"] if self.kind == "tconv" else s["m"]) * s["n"] * s["k"]


def window(size: int, kernel: int, stride: int, pad: str):
    """Outputs and the padding at both ends along one axis, as TensorFlow counts them."""
    if pad == "VALID":
        return (size - kernel) // stride + 1, 0, 0
    out = -(-size // stride)
    total = max((out - 1) * stride + kernel - size, 0)
    return out, total // 2, total - total // 2


def spread_window(size: int, kernel: int, stride: int, pad: str):
    """The same of a transposed convolution: what is cut off its results, below 0 where no tap reaches the last ones."""
    total = kernel - stride if pad == "SAME" else 0
    before = max(total, 0) // 2
    return (size - 1) * stride + kernel - total, before, total - before


def parse_want(text: str) -> dict:
    want = {}
    for item in filter(None, text.split(",")):
        variant, target = item.split(":")
        want.setdefault(variant, []).append(target)
    return want


def read_table(path: pathlib.Path = TABLE):
    """The cases, and the groups as (pattern, want)."""
    cases, groups = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if len(words) < 2:
            raise ValueError(f"{path}:{number}: a name and a kind are needed")
        values = dict(word.split("=", 1) if "=" in word else (word, "1") for word in words[2:])
        want = parse_want(values.pop("want", ""))
        if words[0] == "group":
            groups.append((words[1], want))
        else:
            if words[1] not in KINDS or words[0] in {c.name for c in cases}:
                raise ValueError(f"{path}:{number}: '{words[0]}' is there already, or '{words[1]}' is no kind")
            cases.append(Case(words[0], words[1], values, want))
    return cases, groups


def select(cases: list, pattern: str) -> list:
    """Cases whose name has `pattern` in it, or matches it where it has * or ?."""
    return [c for c in cases if fnmatch.fnmatch(c.name, pattern if set("*?[") & set(pattern) else f"*{pattern}*")]


# ---- data ----

def byte_table(weights: str, format_: str = "") -> bytes:
    """int8 codes by a random byte: equal shares of the distribution."""
    if format_:
        _, low, high, _ = FEW_BITS[format_]
        return bytes(low + b % (high - low + 1) & 255 for b in range(256))
    if weights == "uniform":
        return bytes(max(b - 128, -127) & 255 for b in range(256))
    normal = statistics.NormalDist(0, SIGMA)
    return bytes(max(-127, min(127, round(normal.inv_cdf((b + 0.5) / 256)))) & 255 for b in range(256))


def f32(value: float) -> float:
    return struct.unpack("<f", struct.pack("<f", value))[0]


@dataclasses.dataclass
class Data:
    """Bytes as the files and the network hold them."""
    input: bytes
    weights: bytes
    bias: bytes = b""
    weight_scales: tuple = ()
    output_scale: float = 0.0

    @property
    def multipliers(self) -> list:
        """Output codes per accumulator unit, by channel."""
        return [INPUT_SCALE * s / self.output_scale for s in self.weight_scales]


def repeated(rows: int, row_bytes: int, draw: typing.Callable) -> bytes:
    """`draw(bytes)` for all rows, or for the first ones in turn."""
    if rows * row_bytes <= MAX_DISTINCT:
        return draw(rows * row_bytes)
    return (draw(DISTINCT_ROWS * row_bytes) * -(-rows // DISTINCT_ROWS))[:rows * row_bytes]


def make_int8(case: Case) -> Data:
    rng = random.Random(case.name)
    s = case.shape
    inputs = s["m"] * s["k"] if case.kind == "gemm" else s["h"] * s["w"] * s["i"]
    table = byte_table(case.values.get("weights", "gaussian"), case.values.get("format", ""))
    depth = case.macs / (s["m"] * s["n"])
    spread = 74.0 * statistics.pstdev(b - 256 if b > 127 else b for b in table) * math.sqrt(depth)
    scales = tuple(f32(0.01 * rng.uniform(0.7, 1.4)) for _ in range(s["n"]))
    bias = struct.pack(f"<{s['n']}i", *(round(rng.gauss(0, spread / 4)) for _ in range(s["n"])))
    inputs = rng.randbytes(inputs)
    weights = repeated(s["n"], s["k"], rng.randbytes).translate(table)
    return Data(inputs, weights, bias, scales, f32(INPUT_SCALE * 0.01 * spread / OUTPUT_SIGMA))


def make_real(case: Case) -> Data:
    """Multiples of 1/32 in -4 … 4, which f16 holds too."""
    rng = random.Random(case.name)
    s = case.shape
    code = "<{}e" if case.kind == "gemm_f16" else "<{}f"
    def numbers(n):
        drawn = rng.randbytes(n)
        return struct.pack(code.format(n), *((b - 128) / 32 for b in drawn))
    return Data(numbers(s["m"] * s["k"]), numbers(s["n"] * s["k"]))


@dataclasses.dataclass
class Layout:
    """A block format: elements, bytes, the f16 scale's byte, bits of a code, the bit where number i begins; an
    element is (code * step + low) * scale."""
    elements: int
    bytes: int
    scale_at: int
    bits: int
    bit: typing.Callable
    low: int
    step: int = 1


LAYOUTS = {
    "q4_0": Layout(32, 18, 0, 4, lambda i: 16 + i // 16 * 4 + i % 16 * 8, -8),
    "tq2_0": Layout(256, 66, 64, 2, lambda i: i // 128 * 256 + i % 128 // 32 * 2 + i % 32 * 8, -1),
    "ui2:block=32,scale=f16": Layout(32, 10, 0, 2, lambda i: 16 + i * 2, -2),
    "bipolar1:block=128,scale=f16": Layout(128, 18, 0, 1, lambda i: 16 + i, -1, 2),
}
# Four codes of 0, 1 and 2 in a byte: of the ternary format.
TERNARY_BYTES = bytes(sum((b % 81 // 3**i % 3) << 2 * i for i in range(4)) for b in range(256))
# High bytes of f16 numbers from 1/64 to 1/32.
SCALE_BYTES = bytes(0x24 | b & 3 for b in range(256))


def make_low(case: Case) -> Data:
    """f32 activations as in make_real, random codes and scales."""
    rng = random.Random(case.name)
    s, layout = case.shape, LAYOUTS[case.values["format"]]

    def draw(size):
        weights, blocks = bytearray(rng.randbytes(size)), size // layout.bytes
        if case.values["format"].startswith("tq"):
            weights = bytearray(weights.translate(TERNARY_BYTES))
        weights[layout.scale_at::layout.bytes] = rng.randbytes(blocks)
        weights[layout.scale_at + 1::layout.bytes] = rng.randbytes(blocks).translate(SCALE_BYTES)
        return bytes(weights)

    weights = repeated(s["n"], s["k"] // layout.elements * layout.bytes, draw)
    n = s["m"] * s["k"]
    return Data(struct.pack(f"<{n}f", *((b - 128) / 32 for b in rng.randbytes(n))), weights)


def weight_bytes(case: Case, data: Data) -> int:
    """Of the weights, as few as their format takes."""
    bits = FEW_BITS[case.values["format"]][0] if case.is_int8 and "format" in case.values else 8
    return len(data.weights) * bits // 8


def make(case: Case) -> Data:
    return make_int8(case) if case.is_int8 else make_low(case) if case.kind == "low" else make_real(case)


# ---- the network ----

def constant(name: str, data: bytes, element: str, *dims: int) -> str:
    shape = "x".join(map(str, dims))
    stored = {"f16": "i16", **{few[3]: "i8" for few in FEW_BITS.values()}}
    bytes_, as_ = (stored[element], f" as tensor<{shape}x{element}>") if element in stored else (element, "")
    return f'  %{name} = nib.constant dense<"0x{data.hex()}"> : tensor<{shape}x{bytes_}>{as_}\n'


def int8_text(case: Case, data: Data, rounding: str) -> str:
    s = case.shape
    code = lambda scale: f"!quant.uniform<i8:f32, {scale!r}>"
    if case.kind == "gemm":
        x, y = (f"tensor<{s['m']}x{s[n]}x{code(scale)}>" for n, scale in (("k", INPUT_SCALE), ("n", data.output_scale)))
        filter_dims, op, attributes = (s["n"], s["k"]), "fully_connected", ""
    else:
        x = f"tensor<1x{s['h']}x{s['w']}x{s['i']}x{code(INPUT_SCALE)}>"
        y = f"tensor<1x{s['oh']}x{s['ow']}x{s['o']}x{code(data.output_scale)}>"
        attributes = f" strides [{s['s']}, {s['s']}] pads [{s['top']}, {s['left']}, {s['bottom']}, {s['right']}]"
        filter_dims, op = (s["o"], s["kh"], s["kw"], s["i"]), "transpose_conv2d" if case.kind == "tconv" else "conv2d"
        if case.kind == "dw":
            filter_dims, op = (1, s["kh"], s["kw"], s["o"]), "depthwise_conv2d"
    scales = struct.pack(f"<{s['n']}f", *data.weight_scales)
    element = FEW_BITS[case.values["format"]][3] if "format" in case.values else "i8"
    w = "tensor<" + "x".join(map(str, filter_dims)) + f"x{element}>"
    return (f'func.func @net(%x: {x} {{nib.name = "x"}}) -> ({y} {{nib.name = "y"}}) '
            f'attributes {{nib.rounding = "{ROUNDINGS[rounding]}"}} {{\n'
            + constant("w", data.weights, element, *filter_dims) + constant("b", data.bias, "i32", s["n"])
            + constant("s", scales, "f32", s["n"])
            + f"  %y = nib.{op} %x, %w bias %b scales %s{attributes} : ({x}, {w}, tensor<{s['n']}xi32>, "
            f"tensor<{s['n']}xf32>) -> {y}\n  return %y : {y}\n}}\n")


def low_text(case: Case, data: Data) -> str:
    s = case.shape
    x, y = (f"tensor<{s['m']}x{s[a]}xf32>" for a in "kn")
    w = f"tensor<{s['n']}x{s['k']}x!nib.format<\"{case.values['format']}\">>"
    return (f'func.func @net(%x: {x} {{nib.name = "x"}}) -> ({y} {{nib.name = "y"}}) {{\n'
            f'  %w = nib.constant dense<"0x{data.weights.hex()}"> : tensor<{len(data.weights)}xi8> as {w}\n'
            f"  %y = nib.fully_connected %x, %w : ({x}, {w}) -> {y}\n  return %y : {y}\n}}\n")


def real_text(case: Case, data: Data) -> str:
    s = case.shape
    element = "f16" if case.kind == "gemm_f16" else "f32"
    x, w, y = (f"tensor<{s[a]}x{s[b]}x{element}>" for a, b in (("m", "k"), ("n", "k"), ("m", "n")))
    return (f'func.func @net(%x: {x} {{nib.name = "x"}}) -> ({y} {{nib.name = "y"}}) {{\n'
            + constant("w", data.weights, element, s["n"], s["k"])
            + f"  %y = nib.fully_connected %x, %w : ({x}, {w}) -> {y}\n  return %y : {y}\n}}\n")


def network_text(case: Case, data: Data, variant: str) -> str:
    """The case as a function of the nib dialect, which nibc compiles."""
    if case.is_int8:
        return int8_text(case, data, variant)
    return low_text(case, data) if case.kind == "low" else real_text(case, data)

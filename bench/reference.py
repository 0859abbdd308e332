# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a case computes, by numpy from docs/numerics.md: nothing of Nibble's own is used."""
import math

import numpy as np

from cases import LAYOUTS, Case, Data, Layout


def windows(x: np.ndarray, s: dict) -> np.ndarray:
    """Padded NHWC input to [pixels, kh, kw, channels]."""
    padded = np.pad(x.reshape(s["h"], s["w"], s["i"]),
                    ((s["top"], s["bottom"]), (s["left"], s["right"]), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(padded, (s["kh"], s["kw"]), (0, 1))
    view = view[::s["s"], ::s["s"]].transpose(0, 1, 3, 4, 2)
    return view.reshape(-1, s["kh"], s["kw"], s["i"])


def spread(x: np.ndarray, w: np.ndarray, s: dict) -> np.ndarray:
    """A transposed convolution: each input adds its products to the window of results that it reaches."""
    full = np.zeros((s["oh"] + s["top"] + max(s["bottom"], 0), s["ow"] + s["left"] + max(s["right"], 0), s["o"]))
    for ky in range(s["kh"]):
        for kx in range(s["kw"]):
            rows, columns = (slice(k, k + n * s["s"], s["s"]) for k, n in ((ky, s["h"]), (kx, s["w"])))
            full[rows, columns] += x @ w[:, ky, kx].T
    return full[s["top"]:, s["left"]:][:s["oh"], :s["ow"]].reshape(-1, s["o"])


def accumulators(case: Case, data: Data) -> np.ndarray:
    """Exact sums: float64 holds them, as they are below 2^53."""
    s = case.shape
    x = np.frombuffer(data.input, np.int8).astype(np.float64)
    w = np.frombuffer(data.weights, np.int8).astype(np.float64)
    if case.kind == "gemm":
        sums = x.reshape(s["m"], s["k"]) @ w.reshape(s["n"], s["k"]).T
    elif case.kind == "tconv":
        sums = spread(x.reshape(s["h"], s["w"], s["i"]), w.reshape(s["o"], s["kh"], s["kw"], s["i"]), s)
    elif case.kind == "dw":
        sums = np.einsum("phwc,hwc->pc", windows(x, s), w.reshape(s["kh"], s["kw"], s["o"]))
    else:
        sums = windows(x, s).reshape(s["m"], s["k"]) @ w.reshape(s["n"], s["k"]).T
    return sums.astype(np.int64) + np.frombuffer(data.bias, np.int32)


def nearest_even(acc: np.ndarray, multipliers: list) -> np.ndarray:
    return np.rint(acc.astype(np.float32) * np.array(multipliers, np.float32)).astype(np.int64)


def fixed_point(multiplier: float):
    """31-bit multiplier and right shift of a multiplier below 1."""
    fraction, exponent = math.frexp(multiplier)
    m = math.floor(fraction * 2**31 + 0.5)
    if m == 2**31:
        m, exponent = m // 2, exponent + 1
    assert exponent <= 0, "the cases scale down"
    return m, -exponent


def tflite_double(acc: np.ndarray, multipliers: list) -> np.ndarray:
    """Convolutions: the high half of a doubled product, then a shift, each rounded."""
    out = np.empty_like(acc)
    for c, (m, shift) in enumerate(map(fixed_point, multipliers)):
        high = (acc[:, c] * m + 2**30) >> 31
        half = (1 << shift) >> 1
        out[:, c] = np.sign(high) * ((np.abs(high) + half) >> shift)
    return out


def tflite_away(acc: np.ndarray, multipliers: list) -> np.ndarray:
    """Dense layers, which TensorFlow Lite rounds once, ties away from zero."""
    out = np.empty_like(acc)
    for c, (m, shift) in enumerate(map(fixed_point, multipliers)):
        product = acc[:, c] * m
        out[:, c] = np.sign(product) * ((np.abs(product) + (1 << (30 + shift))) >> (31 + shift))
    return out


def decode(data: bytes, layout: Layout) -> np.ndarray:
    """Numbers of a block format, one block a row."""
    blocks = np.frombuffer(data, np.uint8).reshape(-1, layout.bytes)
    bits = np.array([layout.bit(i) for i in range(layout.elements)])
    codes = blocks[:, bits // 8] >> (bits % 8).astype(np.uint8) & ((1 << layout.bits) - 1)
    scales = np.ascontiguousarray(blocks[:, layout.scale_at:layout.scale_at + 2]).view(np.float16)
    return (codes.astype(np.float32) * layout.step + layout.low) * scales.astype(np.float32)


def as_q8_0(x: np.ndarray) -> np.ndarray:
    """Numbers after blocks of 32 int8 codes under an f16 scale, as ggml makes them."""
    blocks = x.astype(np.float32).reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    inverse = np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale != 0)
    scaled = blocks * inverse
    codes = np.trunc(scaled + np.copysign(np.float32(0.5), scaled))
    return (codes * scale.astype(np.float16).astype(np.float32)).reshape(x.shape)


def as_i8_256(x: np.ndarray) -> np.ndarray:
    """Numbers after blocks of 256 int8 codes under an f32 scale: exact quotients, ties to even."""
    blocks = x.astype(np.float32).reshape(-1, 256)
    scale = (np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)).astype(np.float64)
    codes = np.rint(np.divide(blocks, scale, out=np.zeros(blocks.shape), where=scale != 0))
    return (codes * scale).reshape(x.shape)


ENCODERS = {"q8": as_q8_0, "q8.256": as_i8_256}


def expected(case: Case, data: Data, variant: str) -> bytes:
    if case.is_int8:
        rounding = nearest_even if variant == "even" else tflite_away if case.kind == "gemm" else tflite_double
        codes = rounding(accumulators(case, data), data.multipliers)
        return np.clip(codes, -128, 127).astype(np.int8).tobytes()
    s = case.shape
    if case.kind == "low":
        x = np.frombuffer(data.input, np.float32).reshape(s["m"], s["k"])
        x = ENCODERS.get(variant, np.asarray)(x).astype(np.float64)
        w = decode(data.weights, LAYOUTS[case.values["format"]]).astype(np.float64).reshape(s["n"], s["k"])
        return (x @ w.T).astype(np.float32).tobytes()
    number = np.float16 if case.kind == "gemm_f16" else np.float32
    x, w = (np.frombuffer(b, number).astype(np.float64) for b in (data.input, data.weights))
    return (x.reshape(s["m"], s["k"]) @ w.reshape(s["n"], s["k"]).T).astype(number).tobytes()

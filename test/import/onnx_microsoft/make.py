#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes the small models of this folder's tests and what ONNX Runtime computes for them.

Usage: make.py FOLDER      (needs onnx, onnxruntime, ml_dtypes and numpy; `make.py Inputs` rewrites what is checked in)
"""
import pathlib
import sys

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

MICROSOFT = "com.microsoft"
TYPES = {np.dtype("uint8"): TensorProto.UINT8, np.dtype("int8"): TensorProto.INT8,
         np.dtype("float32"): TensorProto.FLOAT, np.dtype("int64"): TensorProto.INT64, np.dtype("int32"): TensorProto.INT32}


def write(folder, name, op, inputs, constants, attributes=None, domain=MICROSOFT, opset=17, y=None):
    """One operator: `inputs` are (name, array or None); those in `constants` become initializers. `y`: the result,
    where ONNX Runtime is not asked."""
    given = {n: a for n, a in inputs if a is not None}
    node = helper.make_node(op, [n if a is not None else "" for n, a in inputs], ["y"], name=op, domain=domain,
                            **(attributes or {}))
    values = [helper.make_tensor_value_info(n, TYPES[a.dtype], a.shape) for n, a in given.items() if n not in constants]
    initializers = [numpy_helper.from_array(a, n) for n, a in given.items() if n in constants]

    def model_with(result):
        graph = helper.make_graph([node], name, values, [result], initializers)
        return helper.make_model(graph, ir_version=8, producer_name="",
                                 opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)])

    feed = {n: a for n, a in given.items() if n not in constants}
    if y is None:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        untyped = model_with(helper.make_value_info("y", onnx.TypeProto()))
        del untyped.graph.output[:]
        untyped.graph.output.add().name = "y"
        y = onnxruntime.InferenceSession(untyped.SerializeToString(), options,
                                         providers=["CPUExecutionProvider"]).run(None, feed)[0]
    model = model_with(helper.make_tensor_value_info("y", TYPES[y.dtype], y.shape))
    data = folder / name / "test_data_set_0"
    data.mkdir(parents=True, exist_ok=True)
    (folder / name / "model.onnx").write_bytes(model.SerializeToString())
    for i, (n, a) in enumerate(feed.items()):
        (data / f"input_{i}.pb").write_bytes(numpy_helper.from_array(a, n).SerializeToString())
    (data / "output_0.pb").write_bytes(numpy_helper.from_array(y, "y").SerializeToString())


def codes(random, dtype, shape):
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max + 1, shape).astype(dtype)


def number(value, dtype=np.float32):
    return np.array(value, dtype)


def write_standard(folder, r):
    """QLinearConv and QLinearMatMul of the standard with constant filters."""
    def linear(name, op, x, w, scales, zero, attributes=None, bias=None, x_zero=None):
        kind = x.dtype.type
        inputs = [("x", x), ("xs", number(.02)), ("xz", number(x_zero if x_zero is not None else 7, kind)), ("w", w),
                  ("ws", scales), ("wz", zero), ("ys", number(.4)), ("yz", number(11, kind)), ("bias", bias)]
        write(folder, name, op, inputs if bias is not None else inputs[:8], {n for n, _ in inputs} - {"x"}, attributes, domain="")

    def scales(n):
        return r.uniform(.005, .02, n).astype(np.float32)

    bias = r.integers(-900, 900, 4).astype(np.int32)
    u8, i8, image = np.uint8, np.int8, (1, 4, 6, 5)
    linear("conv_weights_u8", "QLinearConv", codes(r, u8, image), codes(r, u8, (4, 4, 3, 3)), number(.01), number(131, u8),
           {"pads": [1, 1, 1, 1]}, bias)
    linear("conv_weights_i8", "QLinearConv", codes(r, u8, image), codes(r, i8, (4, 4, 3, 2)), scales(4), np.zeros(4, i8))
    linear("conv_one_zero", "QLinearConv", codes(r, u8, image), codes(r, i8, (4, 4, 1, 2)), number(.013), number(-5, i8))
    linear("conv_many_zeros", "QLinearConv", codes(r, u8, image), codes(r, i8, (4, 4, 1, 2)), scales(4),
           np.array([1, 1, 1, 1], i8), None, bias)
    linear("conv_depthwise", "QLinearConv", codes(r, i8, image), codes(r, i8, (4, 1, 3, 3)), scales(4), np.zeros(4, i8),
           {"group": 4, "strides": [2, 1], "pads": [0, 1, 1, 0]}, bias, -128)
    linear("conv_groups", "QLinearConv", codes(r, i8, image), codes(r, i8, (4, 2, 2, 2)), scales(4), np.zeros(4, i8),
           {"group": 2, "dilations": [2, 1]}, bias, 127)
    linear("conv_1d", "QLinearConv", codes(r, u8, (2, 4, 9)), codes(r, i8, (4, 4, 3)), scales(4), np.zeros(4, i8), {"pads": [1, 1]})
    linear("matmul_i8", "QLinearMatMul", codes(r, u8, (2, 3, 7)), codes(r, i8, (7, 5)), scales(5), np.zeros(5, i8))
    linear("matmul_u8", "QLinearMatMul", codes(r, u8, (3, 7)), codes(r, u8, (7, 5)), number(.01), number(120, u8))
    linear("matmul_batch", "QLinearMatMul", codes(r, u8, (2, 3, 7)), codes(r, u8, (2, 7, 5)), number(.01), number(120, u8))


def write_dynamic(folder, r):
    """Products whose results are real, and operands that are vectors."""
    u8, i8, f32 = np.uint8, np.int8, np.float32
    x, w = r.normal(size=(2, 3, 7)).astype(f32), codes(r, i8, (7, 5))
    scales, bias = r.uniform(.005, .02, 5).astype(f32), r.normal(size=5).astype(f32)
    held = {"w", "ws", "wz", "c"}
    write(folder, "dynamic_matmul", "DynamicQuantizeMatMul", [("x", x), ("w", w), ("ws", scales)], held)
    write(folder, "dynamic_matmul_bias", "DynamicQuantizeMatMul",
          [("x", x), ("w", codes(r, u8, (7, 5))), ("ws", number(.01)), ("wz", number(99, u8)), ("c", bias)], held)
    to_float = [("x", codes(r, u8, (3, 7))), ("w", w), ("xs", number(.02)), ("ws", scales), ("xz", number(77, u8)),
                ("wz", np.arange(-2, 3).astype(i8)), ("c", bias)]
    write(folder, "matmul_to_float", "MatMulIntegerToFloat", to_float[:4], held)
    write(folder, "matmul_to_float_zeros", "MatMulIntegerToFloat", to_float, held)
    for name, a, b in (("row", (7,), (7, 5)), ("column", (3, 7), (7,)), ("dot", (7,), (7,))):
        write(folder, f"matmul_integer_{name}", "MatMulInteger",
              [("a", codes(r, u8, a)), ("b", codes(r, i8, b)), ("az", number(120, u8))], {"b", "az"}, domain="")


def write_rows(folder, r):
    """GatherBlockQuantized: tables of packed bytes, and of 4-bit types."""
    rows, block = 9, 16
    indices = np.array([[3, 0, 8], [5, 5, -1]], np.int64)
    for bits, columns in ((8, 48), (4, 40), (2, 32)):
        blocks = -(-columns // block)
        scales = r.uniform(.01, .1, (rows, blocks)).astype(np.float32)
        plain, zeros = (r.integers(0, 2**bits, (rows, size)).astype(np.uint8) for size in (columns, blocks))
        per_byte = 8 // bits
        data, packed_zeros = (sum(np.pad(a, ((0, 0), (0, -a.shape[1] % per_byte)))[:, i::per_byte] << (bits * i)
                                  for i in range(per_byte)).astype(np.uint8) for a in (plain, zeros))
        inputs = [("data", data), ("i", indices), ("s", scales), ("z", packed_zeros)]
        attributes = {"bits": bits, "block_size": block, "quantize_axis": 1, "gather_axis": 0}
        write(folder, f"rows_{bits}", "GatherBlockQuantized", inputs[:3], {"data", "s", "z"}, attributes)
        write(folder, f"rows_{bits}_zero_points", "GatherBlockQuantized", inputs, {"data", "s", "z"}, attributes)
        if bits == 4:
            del attributes["bits"]
            for kind, low in ((ml_dtypes.uint4, 0), (ml_dtypes.int4, 8)):
                name, typed = np.dtype(kind).name, [(a.astype(np.int8) - low).astype(kind) for a in (plain, zeros)]
                inputs = [("data", typed[0]), ("i", indices), ("s", scales), ("z", typed[1])]
                write(folder, f"rows_{name}", "GatherBlockQuantized", inputs[:3], {"data", "s"}, attributes, opset=21)
                write(folder, f"rows_{name}_zero_points", "GatherBlockQuantized", inputs, {"data", "s", "z"}, attributes, opset=21)


def write_groups(folder, r, inputs, attributes):
    """MatMulNBits whose columns name their blocks. ONNX Runtime 1.32 leaves zero points out there: the definition."""
    k, n, block = attributes["K"], attributes["N"], attributes["block_size"]
    (_, x), (_, w), (_, s), (_, z) = inputs
    blocks = s.shape[1]
    held = {"w", "s", "z", "g"}
    for name, g in (("g_idx", r.permutation(np.arange(k) // block)), ("g_idx_uneven", r.integers(0, blocks, k))):
        g = g.astype(np.int32)
        write(folder, f"nbits_4_{name}", "MatMulNBits", inputs[:3] + [("z", None), ("g", g)], held, attributes)
        low_first = [np.stack([a.reshape(n, -1) & 15, a.reshape(n, -1) >> 4], -1).reshape(n, -1) for a in (w, z)]
        weights = (low_first[0][:, :k] - low_first[1][:, g].astype(np.float64)) * s[:, g]
        write(folder, f"nbits_4_{name}_zero_points", "MatMulNBits", inputs + [("g", g)], held, attributes,
              y=(x @ weights.T).astype(np.float32))


def main():
    folder, r, more = pathlib.Path(sys.argv[1]), np.random.default_rng(5), np.random.default_rng(6)
    for dtype, zero in ((np.uint8, 100), (np.int8, -7)):
        kind = np.dtype(dtype).name
        x, z = codes(r, dtype, (1, 3, 5, 7)), codes(r, dtype, (1, 3, 5, 7))
        pair = [("a", x), ("as", number(.021)), ("az", number(zero, dtype)), ("b", z), ("bs", number(.034)),
                ("bz", number(zero + 3, dtype))]
        fixed = {"as", "az", "bs", "bz", "cs", "cz", "xs", "xz", "ys", "yz"}
        write(folder, f"add_{kind}", "QLinearAdd", pair + [("cs", number(.041)), ("cz", number(zero, dtype))], fixed)
        write(folder, f"mul_{kind}", "QLinearMul", pair + [("cs", number(.057)), ("cz", number(zero, dtype))], fixed)
        one = [("x", x), ("xs", number(.03)), ("xz", number(zero, dtype)), ("ys", number(1 / 256)),
               ("yz", number(0 if dtype is np.uint8 else -128, dtype))]
        write(folder, f"sigmoid_{kind}", "QLinearSigmoid", one, fixed)
        one[3:] = [("ys", number(.025)), ("yz", number(zero + 9, dtype))]
        write(folder, f"leaky_relu_{kind}", "QLinearLeakyRelu", one, fixed, {"alpha": .1})
        write(folder, f"global_average_pool_{kind}", "QLinearGlobalAveragePool", one, fixed)
        write(folder, f"average_pool_{kind}", "QLinearAveragePool", one, fixed,
              {"kernel_shape": [2, 3], "strides": [1, 2], "pads": [1, 0, 0, 1]})
        write(folder, f"concat_{kind}", "QLinearConcat",
              [("ys", number(.037)), ("yz", number(zero + 9, dtype))] + pair, fixed, {"axis": 1})
        # Scales and zero points that come at run time; channels last.
        run, nhwc = {"b"}, codes(more, dtype, (1, 5, 7, 3))
        write(folder, f"run_add_{kind}", "QLinearAdd", pair + [("cs", number(.041)), ("cz", number(zero, dtype))], run)
        if dtype is np.uint8:
            write(folder, "run_mul", "QLinearMul", pair + [("cs", number(.057)), ("cz", number(zero, dtype))], run)
            write(folder, "run_leaky_relu", "QLinearLeakyRelu", one, run, {"alpha": .1})
            write(folder, "run_sigmoid", "QLinearSigmoid", one[:3] + [("ys", number(1 / 256)), ("yz", number(3, dtype))], run)
            write(folder, "run_global_average_pool", "QLinearGlobalAveragePool", one, run)
            write(folder, "run_average_pool", "QLinearAveragePool", one, {"xs", "xz"}, {"kernel_shape": [2, 3]})
            write(folder, "run_concat", "QLinearConcat",
                  [("ys", number(.037)), ("yz", number(zero + 9, dtype))] + pair, run, {"axis": 1})
        last = [("x", nhwc)] + one[1:]
        write(folder, f"last_global_average_pool_{kind}", "QLinearGlobalAveragePool", last, fixed, {"channels_last": 1})
        write(folder, f"last_average_pool_{kind}", "QLinearAveragePool", last, fixed,
              {"kernel_shape": [2, 3], "strides": [1, 2], "pads": [1, 0, 0, 1], "channels_last": 1})
        write(folder, f"last_max_pool_{kind}", "NhwcMaxPool", last[:1], fixed,
              {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]})
        write(folder, f"last_conv_{kind}", "QLinearConv",
              last[:3] + [("w", codes(more, np.int8, (4, 3, 3, 2))), ("ws", more.uniform(.01, .02, 4).astype(np.float32)),
                          ("wz", np.zeros(4, np.int8)), ("ys", number(.11)), ("yz", number(zero, dtype)),
                          ("bias", more.integers(-900, 900, 4).astype(np.int32))],
              fixed | {"w", "ws", "wz", "bias"}, {"channels_last": 1, "pads": [1, 0, 1, 1], "strides": [2, 1]})
    w8, b32 = codes(r, np.int8, (6, 5)), r.integers(-900, 900, 6).astype(np.int32)
    gemm = [("a", codes(r, np.uint8, (4, 5))), ("as", number(.02)), ("az", number(120, np.uint8)), ("b", w8),
            ("bs", r.uniform(.01, .03, 6).astype(np.float32)), ("bz", np.zeros(6, np.int8)), ("c", b32),
            ("ys", number(.11)), ("yz", number(99, np.uint8))]
    held = {n for n, _ in gemm} - {"a"}
    write(folder, "gemm", "QGemm", gemm, held, {"transB": 1})
    write(folder, "gemm_float", "QGemm", gemm[:7], held, {"transB": 1})
    write(folder, "gemm_alpha", "QGemm", gemm, held, {"transB": 1, "alpha": .375})
    write(folder, "gemm_alpha_float", "QGemm", gemm[:7], held, {"transB": 1, "alpha": -1.5})
    write(folder, "gemm_run", "QGemm", gemm, {"b", "c"}, {"transB": 1, "alpha": .75})
    for bits in (2, 4, 8):
        k, n, block = 40, 3, 16
        blocks = -(-k // block)
        x = r.normal(size=(2, 2, k)).astype(np.float32)
        w = [("x", x), ("w", codes(r, np.uint8, (n, blocks, block * bits // 8))),
             ("s", r.uniform(.01, .1, (n, blocks)).astype(np.float32)),
             ("z", codes(r, np.uint8, (n, (blocks * bits + 7) // 8)))]
        attributes = {"K": k, "N": n, "bits": bits, "block_size": block}
        cases = [(f"nbits_{bits}", w[:3]), (f"nbits_{bits}_zero_points", w)]
        for name, inputs in cases:
            try:
                write(folder, name, "MatMulNBits", inputs, {"w", "s", "z"}, attributes)
            except Exception as why:  # what this version of the runtime cannot do
                print(f"{name}: {str(why)[:150]}")
        if bits == 4:
            write_groups(folder, more, w, attributes)
    write_standard(folder, np.random.default_rng(7))
    write_dynamic(folder, np.random.default_rng(8))
    write_rows(folder, np.random.default_rng(9))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes models of QuantizeLinear that divide in f16 or bf16, and what the standard's reference makes of them.

Usage: make.py FOLDER      (needs onnx, ml_dtypes and numpy; `make.py Inputs` rewrites what is checked in)
"""
import pathlib
import sys

import ml_dtypes
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

REALS = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16, TensorProto.BFLOAT16: ml_dtypes.bfloat16}


def write(folder, name, x, scale, zero, attributes, constant):
    """`constant`: scale and zero point are initializers."""
    given = {"x": x, "s": scale} | ({} if zero is None else {"z": zero})
    held = {"s", "z"} if constant else set()
    kinds = {n: helper.np_dtype_to_tensor_dtype(a.dtype) for n, a in given.items()}
    codes = attributes.get("output_dtype", kinds.get("z", TensorProto.UINT8))
    node = helper.make_node("QuantizeLinear", list(given), ["y"], name="q", **attributes)
    values = [helper.make_tensor_value_info(n, kinds[n], a.shape) for n, a in given.items() if n not in held]
    graph = helper.make_graph([node], name, values, [helper.make_tensor_value_info("y", codes, x.shape)],
                              [numpy_helper.from_array(a, n) for n, a in given.items() if n in held])
    model = helper.make_model(graph, ir_version=11, producer_name="", opset_imports=[helper.make_opsetid("", 23)])
    feed = {n: a for n, a in given.items() if n not in held}
    y = ReferenceEvaluator(model).run(None, feed)[0]
    data = folder / name / "test_data_set_0"
    data.mkdir(parents=True, exist_ok=True)
    (folder / name / "model.onnx").write_bytes(model.SerializeToString())
    for i, (n, a) in enumerate(feed.items()):
        (data / f"input_{i}.pb").write_bytes(numpy_helper.from_array(a, n).SerializeToString())
    (data / "output_0.pb").write_bytes(numpy_helper.from_array(y, "y").SerializeToString())
    with np.errstate(over="ignore"):
        plain = ReferenceEvaluator(helper.make_model(helper.make_graph(
            [helper.make_node("QuantizeLinear", list(given), ["y"],
                              **{k: v for k, v in attributes.items() if k != "precision"})],
            name, graph.input, graph.output, graph.initializer),
            opset_imports=[helper.make_opsetid("", 23)])).run(None, {n: a.astype(np.float32) if n == "x" else a
                                                                     for n, a in feed.items()})[0]
    return int(np.count_nonzero(np.asarray(plain).astype(np.float64) != np.asarray(y).astype(np.float64)))


def main():
    folder, r = pathlib.Path(sys.argv[1]), np.random.default_rng(3)
    # Halves and what lies just beside them: the precision decides.
    halves = (np.arange(-24, 24) + 0.5).astype(np.float32)
    x = np.concatenate([halves, np.nextafter(halves, np.float32(99)), np.nextafter(halves, np.float32(-99)),
                        [9000, -9000, 0, 1e-8, -1e-8]]).astype(np.float32)
    x = np.concatenate([x, r.normal(0, 40, 192 - x.size).astype(np.float32)]).reshape(4, 6, 8)
    one, zero = np.float32(0.75).reshape(()), np.uint8(128).reshape(())
    rows = r.uniform(.3, 1.4, 6).astype(np.float32)
    zeros = r.integers(-9, 9, 6).astype(np.int8)
    blocks = r.uniform(.3, 1.4, (4, 6, 2)).astype(np.float32)
    for kind, real in REALS.items():
        name = np.dtype(real).name
        for constant in (True, False):
            when = "" if constant else "_run"
            differ = [write(folder, f"tensor_{name}{when}", x, one, zero, {"precision": kind}, constant),
                      write(folder, f"axis_{name}{when}", x, rows, zeros, {"precision": kind, "axis": 1}, constant)]
            print(name, differ)
        print(name, write(folder, f"blocks_{name}", x, blocks, None,
                          {"precision": kind, "axis": 2, "block_size": 4, "output_dtype": TensorProto.INT16}, True))
        if kind != TensorProto.FLOAT:  # without the attribute: the type of the scale
            print(name, write(folder, f"scale_{name}", x.clip(-100, 100).astype(real), one.astype(real), zero, {}, True))
        print(name, write(folder, f"float8_{name}", x, one, None,
                          {"precision": kind, "output_dtype": TensorProto.FLOAT8E4M3FN}, True))


if __name__ == "__main__":
    main()

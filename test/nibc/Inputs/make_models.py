#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes the small ONNX models beside this file (needs numpy and onnx; the models are checked in)."""
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

here = pathlib.Path(__file__).resolve().parent
rng = np.random.default_rng(7)


class Net:
    """A graph of quantize/dequantize pairs around float operators."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, name, array):
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, kind, inputs, name, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def quantized(self, source, name, scale, zero_point):
        s = self.constant(name + "_scale", np.float32(scale))
        z = self.constant(name + "_zp", np.int8(zero_point))
        codes = self.node("QuantizeLinear", [source, s, z], name)
        return self.node("DequantizeLinear", [codes, s, z], name + "_real")

    def weights(self, shape, name, scale, in_scale):
        s = self.constant(name + "_scale", np.float32(scale))
        z = self.constant(name + "_zp", np.int8(0))
        w = self.constant(name, rng.integers(-127, 128, shape, dtype=np.int8))
        b = self.constant(name + "_bias", rng.integers(-500, 500, shape[0], dtype=np.int32))
        bs = self.constant(name + "_bias_scale", np.float32(np.float32(in_scale) * np.float32(scale)))
        bz = self.constant(name + "_bias_zp", np.int32(0))
        return (self.node("DequantizeLinear", [w, s, z], name + "_real"),
                self.node("DequantizeLinear", [b, bs, bz], name + "_bias_real"))

    def save(self, file, inputs, outputs):
        graph = helper.make_graph(self.nodes, pathlib.Path(file).stem, inputs, outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model)
        (here / file).write_bytes(model.SerializeToString())


def value(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def tiny():
    """Two convolutions, a residual add, pooling and a dense layer: int8, 1x2x6x6 to 1x5."""
    n = Net()
    x = n.quantized("x", "x_q", 0.02, 3)
    w, b = n.weights((4, 2, 3, 3), "w1", 0.004, 0.02)
    y = n.node("Conv", [x, w, b], "conv1", pads=[1, 1, 1, 1])
    y = n.quantized(n.node("Relu", [y], "relu1"), "relu1_q", 0.03, -128)
    w, b = n.weights((4, 1, 3, 3), "w2", 0.005, 0.03)
    z = n.quantized(n.node("Conv", [y, w, b], "depthwise1", pads=[1, 1, 1, 1], group=4), "depthwise1_q", 0.04, 5)
    y = n.quantized(n.node("Add", [y, z], "add1"), "add1_q", 0.05, -20)
    y = n.quantized(n.node("MaxPool", [y], "pool1", kernel_shape=[2, 2], strides=[2, 2]), "pool1_q", 0.05, -20)
    y = n.node("Flatten", [y], "flatten1")
    w, b = n.weights((5, 36), "w3", 0.006, 0.05)
    y = n.node("Gemm", [y, w, b], "dense1", transB=1)
    n.quantized(y, "y", 0.11, 10)
    n.save("tiny.onnx", [value("x", [1, 2, 6, 6])], [value("y_real", [1, 5])])


def tiny_float():
    """relu(x w + b), a float model with a symbolic batch."""
    n = Net()
    w = n.constant("w", rng.standard_normal((6, 3)).astype(np.float32))
    b = n.constant("b", rng.standard_normal(3).astype(np.float32))
    n.node("Relu", [n.node("Gemm", ["x", w, b], "dense")], "y")
    n.save("tiny_float.onnx", [value("x", ["batch", 6])], [value("y", ["batch", 3])])


def unsupported():
    """Two operators that nibc has no kernel for."""
    n = Net()
    n.node("Unique", [n.node("Det", ["x"], "determinant")], "y")
    n.save("unsupported.onnx", [value("x", [2, 3, 3])], [value("y", [2])])


def ties():
    """An average pool at equal scales, where one mean in four lies between two codes, then a sum at a much
    finer scale: a step of the pool is ten of the sum."""
    n = Net()
    x = n.quantized("x", "x_q", 0.03, -5)
    y = n.quantized(n.node("AveragePool", [x], "pool", kernel_shape=[2, 2], strides=[2, 2]), "pool_q", 0.03, -5)
    n.quantized(n.node("Add", [y, y], "sum"), "y", 0.006, 0)
    n.save("ties.onnx", [value("x", [1, 3, 8, 8])], [value("y_real", [1, 3, 4, 4])])


def decoder():
    """A convolution and its way back by transposed ones: weights by tensor and by output channel (which is the second
    dimension of their filters), a skip connection and a result of two channels."""
    n = Net()
    x = n.quantized("x", "x_q", 0.02, 3)
    w, b = n.weights((8, 2, 3, 3), "w1", 0.004, 0.02)
    skip = n.quantized(n.node("Relu", [n.node("Conv", [x, w, b], "conv1", pads=[1, 1, 1, 1])], "relu1"), "relu1_q", 0.03, -128)
    w, b = n.weights((16, 8, 2, 2), "w2", 0.005, 0.03)
    y = n.quantized(n.node("Conv", [skip, w, b], "down", strides=[2, 2]), "down_q", 0.05, -4)

    def up(y, name, shape, in_scale, per_channel, **attributes):
        channels = shape[1]
        scales = (0.003 + 0.001 * np.arange(channels)).astype(np.float32) if per_channel else np.float32(0.004)
        s, axis = n.constant(name + "_scale", scales), {"axis": 1} if per_channel else {}
        w = n.constant(name, rng.integers(-127, 128, shape, dtype=np.int8))
        b = n.constant(name + "_bias", rng.integers(-500, 500, channels, dtype=np.int32))
        bs = n.constant(name + "_bias_scale", (np.float32(in_scale) * scales).astype(np.float32))
        zeros = [n.constant(f"{name}{what}_zp", np.zeros(scales.shape, kind)) for what, kind in (("", np.int8), ("_bias", np.int32))]
        w = n.node("DequantizeLinear", [w, s, zeros[0]], name + "_real", **axis)
        b = n.node("DequantizeLinear", [b, bs, zeros[1]], name + "_bias_real", **({"axis": 0} if per_channel else {}))
        return n.node("ConvTranspose", [y, w, b], name + "_up", **attributes)

    y = n.node("Relu", [up(y, "w3", (16, 8, 4, 4), 0.05, True, strides=[2, 2], pads=[1, 1, 1, 1])], "relu3")
    y = n.quantized(y, "relu3_q", 0.06, -128)
    y = n.quantized(n.node("Add", [y, skip], "add"), "add_q", 0.07, -100)
    n.quantized(up(y, "w4", (8, 2, 3, 3), 0.07, False, strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]), "y", 0.11, 10)
    n.save("decoder.onnx", [value("x", [1, 2, 8, 6])], [value("y_real", [1, 2, 16, 12])])


tiny()
tiny_float()
unsupported()
ties()
decoder()

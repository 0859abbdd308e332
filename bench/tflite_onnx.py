# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""TensorFlow Lite files for the peers: repaired where LiteRT is strict, and as ONNX for ONNX Runtime.

The ONNX form says with quantize/dequantize pairs what the file says with types: the operators that the
networks of cases.txt have, in NCHW, as ONNX wants it. ONNX Runtime fuses the pairs into integer kernels, the
fast ones on x86 where activations are unsigned and weights signed: so codes of the other kind, inputs and
results of the network among them, are moved by 128, which changes no number.
"""
import pathlib
import struct

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

NUMPY = {0: np.float32, 2: np.int32, 3: np.uint8, 9: np.int8}
ONNX = {0: TensorProto.FLOAT, 2: TensorProto.INT32, 3: TensorProto.UINT8, 9: TensorProto.INT8}
OPSET = 13


class Unsupported(RuntimeError):
    """The file has what this does not translate."""


def repaired(path: pathlib.Path) -> bytes:
    """The file with quantized dimensions inside the shapes: some converters left those of the filter on biases."""
    content = bytearray(path.read_bytes())
    graph = tflite.Model.GetRootAsModel(content, 0).Subgraphs(0)
    for i in range(graph.TensorsLength()):
        tensor = graph.Tensors(i)
        table = tensor.Quantization() and tensor.Quantization()._tab
        offset = table and table.Offset(16)  # field 6: quantized_dimension
        if offset and tensor.Quantization().QuantizedDimension() >= max(tensor.ShapeLength(), 1):
            struct.pack_into("<i", content, table.Pos + offset, 0)
    return bytes(content)


class Writer:
    """Nodes and constants of the ONNX graph that grows."""

    def __init__(self, content: bytes):
        self.model = tflite.Model.GetRootAsModel(content, 0)
        self.graph = self.model.Subgraphs(0)
        self.nodes, self.initializers, self.count = [], [], 0
        self.values = {}  # tensor of the file: name of its real values, NCHW where it has four dimensions

    def node(self, op: str, inputs: list, **attributes) -> str:
        self.count += 1
        out = f"v{self.count}"
        self.nodes.append(helper.make_node(op, inputs, [out], name=f"{op}_{self.count}", **attributes))
        return out

    def constant(self, array: np.ndarray) -> str:
        self.count += 1
        self.initializers.append(numpy_helper.from_array(np.array(array, order="C"), f"c{self.count}"))
        return f"c{self.count}"

    def quantization(self, index: int):
        """Scales and zero points of a tensor, moved as the codes are, or None where it is float."""
        tensor = self.graph.Tensors(index)
        q = tensor.Quantization()
        if tensor.Type() == 0 or not q or q.ScaleLength() == 0:
            return None
        zero = q.ZeroPointAsNumpy() if q.ZeroPointLength() else np.zeros(q.ScaleLength())
        shift, kind = self.moved(index)
        return q.ScaleAsNumpy().astype(np.float32), (zero + shift).astype(kind)

    def moved(self, index: int):
        """What is added to the codes of a tensor, and their type then."""
        tensor = self.graph.Tensors(index)
        is_constant = self.model.Buffers(tensor.Buffer()).DataLength() > 0
        wanted = {2: np.int32}.get(tensor.Type(), np.int8 if is_constant else np.uint8)
        return 0 if NUMPY[tensor.Type()] == wanted else -128 if is_constant else 128, wanted

    def pair(self, op: str, value: str, index: int, axis: int = 0) -> str:
        scale, zero = self.quantization(index)
        if len(scale) == 1:
            return self.node(op, [value, self.constant(scale[0]), self.constant(zero[0])])
        return self.node(op, [value, self.constant(scale), self.constant(zero)], axis=axis)

    def data(self, index: int) -> np.ndarray:
        tensor = self.graph.Tensors(index)
        array = np.frombuffer(self.model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes(),
                              NUMPY[tensor.Type()]).reshape(tensor.ShapeAsNumpy())
        if not self.quantization(index):
            return array
        shift, kind = self.moved(index)
        return (array.astype(np.int64) + shift).astype(kind)

    def interface(self, name: str, index: int):
        """An input or a result of the network."""
        element = TensorProto.UINT8 if self.quantization(index) else ONNX[self.graph.Tensors(index).Type()]
        return helper.make_tensor_value_info(name, element, self.shape(index))

    def weights(self, index: int, order=None, axis: int = 0) -> str:
        array = self.data(index)
        name = self.constant(array.transpose(order) if order else array)
        return self.pair("DequantizeLinear", name, index, axis) if self.quantization(index) else name

    def result(self, index: int, value: str, activation: int) -> None:
        """The real values of an operator's result, rounded to its codes where it has any."""
        if activation == 1:
            value = self.node("Relu", [value])
        elif activation == 3:
            value = self.node("Clip", [value, self.constant(np.float32(0)), self.constant(np.float32(6))])
        elif activation != 0:
            raise Unsupported(f"activation {activation}")
        if self.quantization(index):
            value = self.pair("DequantizeLinear", self.pair("QuantizeLinear", value, index), index)
        self.values[index] = value

    def shape(self, index: int) -> list:
        return self.graph.Tensors(index).ShapeAsNumpy().tolist()


def same_pads(padding: int, size, kernel, stride) -> list:
    """Begins, then ends, of both axes."""
    if padding == 1:  # VALID
        return [0, 0, 0, 0]
    total = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(size, kernel, stride)]
    return [t // 2 for t in total] + [t - t // 2 for t in total]


def options_of(op, kind):
    options = kind()
    table = op.BuiltinOptions()
    options.Init(table.Bytes, table.Pos)
    return options


def convolution(w: Writer, op, depthwise: bool) -> None:
    o = options_of(op, tflite.DepthwiseConv2DOptions if depthwise else tflite.Conv2DOptions)
    x, f, b = (int(i) for i in op.InputsAsNumpy()[:3])
    size, kernel, stride = w.shape(x)[1:3], w.shape(f)[1:3], [o.StrideH(), o.StrideW()]
    # [1, h, w, o] of a depthwise filter and [o, h, w, i] of another both become [o, i, h, w].
    order = (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)
    group = w.shape(x)[3] if depthwise else 1
    inputs = [w.values[x], w.weights(f, order), w.weights(b)]
    w.result(int(op.Outputs(0)), w.node("Conv", inputs, strides=stride, kernel_shape=kernel, group=group,
                                        pads=same_pads(o.Padding(), size, kernel, stride)),
             o.FusedActivationFunction())


def fully_connected(w: Writer, op) -> None:
    o = options_of(op, tflite.FullyConnectedOptions)
    x, f, b = (int(i) for i in op.InputsAsNumpy()[:3])
    inputs = [w.values[x], w.weights(f)] + ([w.weights(b)] if b >= 0 else [])
    w.result(int(op.Outputs(0)), w.node("Gemm", inputs, transB=1), o.FusedActivationFunction())


def average_pool(w: Writer, op) -> None:
    o = options_of(op, tflite.Pool2DOptions)
    x = int(op.Inputs(0))
    kernel, stride = [o.FilterHeight(), o.FilterWidth()], [o.StrideH(), o.StrideW()]
    w.result(int(op.Outputs(0)), w.node("AveragePool", [w.values[x]], kernel_shape=kernel, strides=stride,
                                        pads=same_pads(o.Padding(), w.shape(x)[1:3], kernel, stride)),
             o.FusedActivationFunction())


def add(w: Writer, op) -> None:
    a, b = (w.values[int(i)] for i in op.InputsAsNumpy())
    w.result(int(op.Outputs(0)), w.node("Add", [a, b]), options_of(op, tflite.AddOptions).FusedActivationFunction())


def reshape(w: Writer, op) -> None:
    x, y = int(op.Inputs(0)), int(op.Outputs(0))
    shape = w.shape(x)
    if len(shape) == 4 and shape[1] * shape[2] != 1:
        raise Unsupported("a reshape that depends on the order of channels")
    w.result(y, w.node("Reshape", [w.values[x], w.constant(np.array(w.shape(y), np.int64))]), 0)


def softmax(w: Writer, op) -> None:
    w.result(int(op.Outputs(0)), w.node("Softmax", [w.values[int(op.Inputs(0))]], axis=-1), 0)


HANDLERS = {
    tflite.BuiltinOperator.CONV_2D: lambda w, op: convolution(w, op, False),
    tflite.BuiltinOperator.DEPTHWISE_CONV_2D: lambda w, op: convolution(w, op, True),
    tflite.BuiltinOperator.FULLY_CONNECTED: fully_connected,
    tflite.BuiltinOperator.AVERAGE_POOL_2D: average_pool,
    tflite.BuiltinOperator.ADD: add,
    tflite.BuiltinOperator.RESHAPE: reshape,
    tflite.BuiltinOperator.SOFTMAX: softmax,
}


def to_onnx(content: bytes) -> bytes:
    """The network with inputs and results as in the file (NHWC), but for unsigned codes."""
    w = Writer(content)
    inputs, outputs = [], []
    for i in w.graph.InputsAsNumpy().tolist():
        inputs.append(w.interface(f"in{i}", i))
        value = f"in{i}"
        if len(w.shape(i)) == 4:
            value = w.node("Transpose", [value], perm=[0, 3, 1, 2])
        w.values[i] = w.pair("DequantizeLinear", value, i) if w.quantization(i) else value
    for i in range(w.graph.OperatorsLength()):
        op = w.graph.Operators(i)
        code = w.model.OperatorCodes(op.OpcodeIndex())
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if builtin not in HANDLERS:
            raise Unsupported(f"operator {builtin}")
        HANDLERS[builtin](w, op)
    for i in w.graph.OutputsAsNumpy().tolist():
        outputs.append(w.interface(f"out{i}", i))
        value = w.values[i]
        value = w.pair("QuantizeLinear", value, i) if w.quantization(i) else value
        if len(w.shape(i)) == 4:
            value = w.node("Transpose", [value], perm=[0, 2, 3, 1])
        w.nodes.append(helper.make_node("Identity", [value], [f"out{i}"]))
    graph = helper.make_graph(w.nodes, "net", inputs, outputs, w.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()

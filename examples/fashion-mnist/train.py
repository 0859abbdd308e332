#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Trains the demo network on Fashion-MNIST and writes it as an int8 ONNX file with QuantizeLinear and
# DequantizeLinear. Needs torch, numpy, onnx and (to measure the result) onnxruntime.
#
#   train.py [--data DIR] [--epochs N] [--out FILE]
#
# Deterministic for a given version of torch and one thread. Debian's package dataset-fashion-mnist has
# the data.
import argparse
import gzip
import pathlib
import time

import numpy as np
import onnx
import torch
import torch.nn as nn
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent


def read_idx(path):
    """An array from a gzipped IDX file of bytes."""
    raw = gzip.open(path).read()
    rank = raw[3]
    dims = np.frombuffer(raw, ">i4", rank, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(dims)


class Unit(nn.Module):
    """Convolution, batch normalization and perhaps ReLU: one layer of the exported network."""

    def __init__(self, c_in, c_out, kernel=3, stride=1, groups=1, relu=True):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(c_out)
        self.relu = relu

    def forward(self, x):
        x = self.norm(self.conv(x))
        return F.relu(x) if self.relu else x

    def folded(self):
        """Weights and bias with the normalization folded in, as float64."""
        gain = (self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)).double()
        weight = self.conv.weight.double() * gain.reshape(-1, 1, 1, 1)
        bias = self.norm.bias.double() - self.norm.running_mean.double() * gain
        return weight.detach().numpy(), bias.detach().numpy()


class Separable(nn.Module):
    """x + pointwise(depthwise(x)), then ReLU."""

    def __init__(self, channels):
        super().__init__()
        self.depthwise = Unit(channels, channels, groups=channels)
        self.pointwise = Unit(channels, channels, kernel=1, relu=False)

    def forward(self, x):
        return F.relu(x + self.pointwise(self.depthwise(x)))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = Unit(1, 16)
        self.widen = Unit(16, 32)
        self.block1 = Separable(32)
        self.down = Unit(32, 64, stride=2)
        self.block2 = Separable(64)
        self.mix = Unit(64, 96)
        self.block3 = Separable(96)
        self.classify = nn.Linear(96, 10)

    def forward(self, x):
        x = F.max_pool2d(self.stem(x), 2)
        x = self.block1(self.widen(x))
        x = self.block2(self.down(x))
        x = self.block3(self.mix(x))
        return self.classify(x.mean((2, 3)))


def augment(x, generator):
    """Mirrors half of the images and moves each batch by up to two pixels."""
    mirror = torch.rand(len(x), generator=generator) < 0.5
    x = torch.where(mirror[:, None, None, None], x.flip(3), x)
    dy, dx = torch.randint(0, 5, (2,), generator=generator).tolist()
    return F.pad(x, (2, 2, 2, 2))[:, :, dy:dy + 28, dx:dx + 28]


def train(net, images, labels, epochs, batch=128):
    generator = torch.Generator().manual_seed(1)
    x = torch.from_numpy(images.copy()).float()[:, None] / 255
    y = torch.from_numpy(labels.copy()).long()
    optimizer = torch.optim.AdamW(net.parameters(), lr=4e-3, weight_decay=1e-2)
    steps = epochs * (len(x) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps, pct_start=0.2)
    net.train()
    for epoch in range(epochs):
        begin, total = time.time(), 0.0
        order = torch.randperm(len(x), generator=generator)
        for start in range(0, len(x) - batch + 1, batch):
            pick = order[start:start + batch]
            out = net(augment(x[pick], generator).to(memory_format=torch.channels_last))
            loss = F.cross_entropy(out, y[pick], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / (len(x) // batch):.4f}, "
              f"{time.time() - begin:.0f} s", flush=True)
    net.eval()


@torch.no_grad()
def accuracy(net, images, labels):
    right = 0
    for start in range(0, len(images), 500):
        x = torch.from_numpy(images[start:start + 500].copy()).float()[:, None] / 255
        right += (net(x).argmax(1).numpy() == labels[start:start + 500]).sum()
    return right / len(images)


class Exporter:
    """Writes the QDQ graph: each activation is int8 with one scale, each filter int8 with one scale
    per output channel, each bias int32 at input scale times filter scale. Calibration values travel
    with the graph: every method takes and returns (name of the dequantized tensor, scale, float
    values of the calibration images)."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def constant(self, name, array):
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def node(self, kind, inputs, name, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def dequantize(self, codes, scale, zero):
        s = self.constant(codes + "_scale", np.asarray(scale, np.float32))
        z = self.constant(codes + "_zero", zero)
        axis = {"axis": 0} if np.ndim(scale) else {}
        return self.node("DequantizeLinear", [codes, s, z], codes + "_real", **axis)

    def quantize(self, tensor, values, name, like=None):
        """int8 codes of `tensor`, at the range of `values` or at the scale of `like`."""
        if like is not None:
            scale, zero = like
        else:
            low, high = min(values.min(), 0.0), float(np.quantile(values, 0.99999))
            scale = np.float32((high - low) / 255)
            zero = np.int8(np.clip(np.rint(-128 - low / scale), -128, 127))
        s = self.constant(name + "_scale_q", np.asarray(scale, np.float32))
        z = self.constant(name + "_zero_q", np.asarray(zero))
        codes = self.node("QuantizeLinear", [tensor, s, z], name)
        return (self.dequantize(codes, scale, np.asarray(zero)), (scale, zero), values)

    def filter(self, name, weight, bias, in_scale):
        """Names of the dequantized filter and bias."""
        peak = np.abs(weight).reshape(len(weight), -1).max(1)
        scale = np.maximum(peak / 127, 1e-6).astype(np.float32)
        shape = (-1,) + (1,) * (weight.ndim - 1)
        codes = np.clip(np.rint(weight / scale.reshape(shape)), -127, 127).astype(np.int8)
        w = self.constant(name + "_weight", codes)
        bias_scale = (np.float32(in_scale) * scale).astype(np.float32)
        b = self.constant(name + "_bias", np.rint(bias / bias_scale).astype(np.int32))
        return [self.dequantize(w, scale, np.zeros(len(scale), np.int8)),
                self.dequantize(b, bias_scale, np.zeros(len(scale), np.int32))]

    def unit(self, x, unit, name):
        tensor, (scale, _), values = x
        weight, bias = unit.folded()
        conv = unit.conv
        out = self.node("Conv", [tensor] + self.filter(name, weight, bias, scale), name + "_conv",
                        kernel_shape=list(conv.kernel_size), strides=list(conv.stride),
                        pads=list(conv.padding) * 2, group=conv.groups)
        with torch.no_grad():
            values = unit(torch.from_numpy(values)).numpy()
        if unit.relu:
            out = self.node("Relu", [out], name + "_relu")
        return self.quantize(out, values, name)

    def separable(self, x, block, name):
        y = self.unit(x, block.depthwise, name + "_depthwise")
        y = self.unit(y, block.pointwise, name + "_pointwise")
        total = self.node("Add", [x[0], y[0]], name + "_add")
        out = self.node("Relu", [total], name + "_relu")
        return self.quantize(out, np.maximum(x[2] + y[2], 0), name)

    def network(self, net, calibration):
        scale = np.float32(1 / 255)
        values = calibration.astype(np.float32)[:, None] / 255
        x = (self.dequantize("image", scale, np.asarray(0, np.uint8)), (scale, 0), values)
        x = self.unit(x, net.stem, "stem")
        pooled = self.node("MaxPool", [x[0]], "pool_max", kernel_shape=[2, 2], strides=[2, 2])
        values = F.max_pool2d(torch.from_numpy(x[2]), 2).numpy()
        x = self.quantize(pooled, values, "pool", like=x[1])
        x = self.separable(self.unit(x, net.widen, "widen"), net.block1, "block1")
        x = self.separable(self.unit(x, net.down, "down"), net.block2, "block2")
        x = self.separable(self.unit(x, net.mix, "mix"), net.block3, "block3")
        mean = self.node("GlobalAveragePool", [x[0]], "mean_pool")
        x = self.quantize(mean, x[2].mean((2, 3), keepdims=True), "mean")
        flat = self.node("Flatten", [x[0]], "flat_flatten")
        x = self.quantize(flat, x[2].reshape(len(x[2]), -1), "flat", like=x[1])
        weight = net.classify.weight.detach().double().numpy()
        bias = net.classify.bias.detach().double().numpy()
        out = self.node("Gemm", [x[0]] + self.filter("classify", weight, bias, x[1][0]),
                        "classify_gemm", transB=1)
        return self.quantize(out, x[2] @ weight.T + bias, "logits")[0]

    def model(self, output):
        graph = helper.make_graph(
            self.nodes, "fashion_mnist_int8",
            [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 1, 28, 28])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, 10])], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)],
                                  producer_name="nibble-example", ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model


def accuracy_of_file(path, images, labels):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    # As written: no fusion of the QDQ pairs, so that the figure does not depend on the CPU.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    right = sum(int(session.run(None, {"image": i[None, None]})[0].argmax()) == int(l)
                for i, l in zip(images, labels))
    return right / len(images)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "fashion_mnist_int8.onnx")
    parser.add_argument("--checkpoint", type=pathlib.Path, help="load it, or write it after training")
    args = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    images, labels, test_images, test_labels = (
        read_idx(args.data / f"{part}-{kind}-ubyte.gz")
        for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
    net = Network().to(memory_format=torch.channels_last)
    print(f"{sum(p.numel() for p in net.parameters())} parameters")
    if args.checkpoint and args.checkpoint.exists():
        net.load_state_dict(torch.load(args.checkpoint))
        net.eval()
    else:
        train(net, images, labels, args.epochs)
        if args.checkpoint:
            torch.save(net.state_dict(), args.checkpoint)
    print(f"float: {100 * accuracy(net, test_images, test_labels):.2f} %")

    exporter = Exporter()
    output = exporter.network(net, images[:512])
    onnx.save(exporter.model(output), args.out)
    print(f"{args.out}: {args.out.stat().st_size} bytes")
    print(f"int8: {100 * accuracy_of_file(args.out, test_images, test_labels):.2f} %")


if __name__ == "__main__":
    main()

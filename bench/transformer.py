#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A transformer in float and quantized to int8 by ONNX Runtime, run by that and by nibc.

Usage: bench/transformer.py --build BUILD [--layers N] [--tokens N] [--width N] [--heads N] [--rounds N] [--keep FOLDER]

The network is made here, of random weights: layer norms, attention and a layer twice as wide with a sigmoid, in float;
onnxruntime.quantization makes it int8 with quantize/dequantize pairs, weights by channel. Both run on one thread, in
turn; results are compared first: of the float network within 1e-4 of the largest, of the int8 one to float as far as
ONNX Runtime's own. Prints microseconds (medians) and how many times faster nibc's code is. What it needs of PyPI is
installed below BUILD/bench.
"""
import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import time

import peers


class Network:
    """An ONNX graph under construction; weights are drawn as it grows."""

    def __init__(self, args):
        import numpy as np
        self.np, self.random, self.args = np, np.random.default_rng(1), args
        self.nodes, self.constants = [], []

    def constant(self, array) -> str:
        from onnx import numpy_helper
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(self.np.asarray(array), name))
        return name

    def node(self, op: str, *inputs: str, **attributes) -> str:
        from onnx import helper
        name = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def reals(self, *shape: int):
        return self.random.normal(size=shape).astype(self.np.float32)

    def linear(self, x: str, rows: int, columns: int) -> str:
        product = self.node("MatMul", x, self.constant(self.reals(rows, columns) / self.np.float32(rows**0.5)))
        return self.node("Add", product, self.constant(self.reals(columns) * self.np.float32(0.1)))

    def norm(self, x: str) -> str:
        width = self.args.width
        gain, bias = self.np.ones(width, self.np.float32), self.np.zeros(width, self.np.float32)
        return self.node("LayerNormalization", x, self.constant(gain), self.constant(bias), axis=-1)

    def attention(self, x: str) -> str:
        tokens, width, heads = self.args.tokens, self.args.width, self.args.heads
        split = self.constant(self.np.array([1, tokens, heads, width // heads], self.np.int64))
        q, k, v = (self.node("Reshape", self.linear(x, width, width), split) for _ in range(3))
        q, v = (self.node("Transpose", t, perm=[0, 2, 1, 3]) for t in (q, v))
        scores = self.node("MatMul", q, self.node("Transpose", k, perm=[0, 2, 3, 1]))
        scale = self.constant(self.np.float32((width // heads) ** -0.5))
        shares = self.node("Softmax", self.node("Mul", scores, scale), axis=-1)
        mixed = self.node("Transpose", self.node("MatMul", shares, v), perm=[0, 2, 1, 3])
        whole = self.constant(self.np.array([1, tokens, width], self.np.int64))
        return self.linear(self.node("Reshape", mixed, whole), width, width)

    def feed_forward(self, x: str) -> str:
        width = self.args.width
        wide = self.linear(x, width, 2 * width)
        gate = self.node("Sigmoid", self.node("Mul", wide, self.constant(self.np.float32(1.702))))
        return self.linear(self.node("Mul", wide, gate), 2 * width, width)

    def save(self, path: pathlib.Path) -> None:
        import onnx
        from onnx import TensorProto, helper
        x = "x"
        for _ in range(self.args.layers):
            x = self.node("Add", x, self.attention(self.norm(x)))
            x = self.node("Add", x, self.feed_forward(self.norm(x)))
        shape = [1, self.args.tokens, self.args.width]
        ports = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name in ("x", x)]
        graph = helper.make_graph(self.nodes, "transformer", *ports, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(model)
        onnx.save(model, path)


def quantize(source: pathlib.Path, to: pathlib.Path, inputs: list) -> None:
    import logging
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.left = iter(inputs)

        def get_next(self):
            x = next(self.left, None)
            return None if x is None else {"x": x}

    logging.disable(logging.WARNING)  # of layer norms, which stay in float
    quantize_static(source, to, Reader(), quant_format=QuantFormat.QDQ, activation_type=QuantType.QInt8,
                    weight_type=QuantType.QInt8, per_channel=True)


class OnnxRuntime:
    def __init__(self, path: pathlib.Path, x):
        import onnxruntime as ort
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session, self.x = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]), x
        self.result = self.session.run(None, {"x": x})[0]

    def run(self, runs: int) -> float:
        times = []
        for _ in range(runs):
            start = time.perf_counter()
            self.session.run(None, {"x": self.x})
            times.append(time.perf_counter() - start)
        return statistics.median(times) * 1e6


class Ours:
    def __init__(self, nibc: pathlib.Path, path: pathlib.Path, x, np):
        inputs, outputs = path.with_suffix(".in.npy"), path.with_suffix(".out.npy")
        np.save(inputs, x)
        self.command = [str(nibc), "run", str(path), "--input", str(inputs), "--output", str(outputs), "--json"]
        self.run(1)
        self.result = np.load(outputs)

    def run(self, runs: int) -> float:
        done = peers.run([*self.command, f"--repeat={runs}"])
        return json.loads(done.stdout.strip().splitlines()[-1])["median_us"]


def check(np, floats, codes, peer_codes, peer_floats) -> None:
    largest = np.abs(peer_floats).max()
    if np.abs(floats - peer_floats).max() > 1e-4 * largest:
        sys.exit("the float network's results differ")
    mine, theirs = (np.sqrt(np.mean((r - peer_floats) ** 2)) for r in (codes, peer_codes))
    print(f"int8 against float, root of the mean square of differences: nibc {mine:.4f}, ONNX Runtime {theirs:.4f}")
    if mine > 1.1 * theirs:
        sys.exit("the int8 network's results are farther from float than ONNX Runtime's")


def measure(args, folder: pathlib.Path) -> None:
    import numpy as np
    network = Network(args)
    paths = [folder / "float.onnx", folder / "int8.onnx"]
    network.save(paths[0])
    quantize(*paths, [network.reals(1, args.tokens, args.width) for _ in range(8)])
    x = network.reals(1, args.tokens, args.width)
    ours = [Ours(args.build / "bin" / "nibc", p, x, np) for p in paths]
    theirs = [OnnxRuntime(p, x) for p in paths]
    check(np, ours[0].result, ours[1].result, theirs[1].result, theirs[0].result)
    print("network       nibc us    ONNX Runtime us    times faster")
    for name, mine, peer in zip(("float", "int8"), ours, theirs):
        rounds = [(mine.run(50), peer.run(50)) for _ in range(args.rounds)]
        a, b = (statistics.median(column) for column in zip(*rounds))
        print(f"{name:8} {a:12.1f} {b:18.1f} {statistics.median(q / p for p, q in rounds):15.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    for name, default in (("layers", 2), ("tokens", 64), ("width", 128), ("heads", 4), ("rounds", 9)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--keep", type=pathlib.Path, help="folder for the networks")
    args = parser.parse_args()
    args.build = args.build.resolve()
    if not (args.build / "bin" / "nibc").exists():
        parser.error(f"there is no nibc in {args.build / 'bin'}: build it first (make build)")
    if min(args.layers, args.tokens, args.heads, args.rounds) < 1 or args.width < 1 or args.width % args.heads:
        parser.error(f"{args.heads} heads do not share a width of {args.width} evenly, or something is less than 1")
    peers.reexec_in_venv(args.build)
    if args.keep:
        args.keep.mkdir(parents=True, exist_ok=True)
        measure(args, args.keep)
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure(args, pathlib.Path(folder))


if __name__ == "__main__":
    main()

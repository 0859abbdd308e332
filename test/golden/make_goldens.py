#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes the golden files of this folder: each case's words, the hash of its inputs and the hash of
the outputs of TensorFlow Lite's reference kernels (BUILTIN_REF, never the default resolver: XNNPACK and the
optimized kernels round otherwise).

Needs numpy and ai-edge-litert (with flatbuffers) from PyPI and the shared folder; the tests need neither of the first two.

Usage: make_goldens.py --shared SHARED [NAME ...]      NAME: parts of model names; `operators` is the corpus of
                                                       operator_models.py
"""
import argparse
import pathlib

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from cut_last import cut_last
from inputs import FNV_START, fnv1a, make_input
from operator_models import all_models

EXTREMES = ["min", "max", "zero", "ramp", "alternate"]


def seeds(word, count):
    return [f"{word}:{i + 1}" for i in range(count)]


def rolled(name):
    return [f"gray:{name}:{dx}:{dy}:{flip}" for flip in (0, 1) for dx, dy in ((0, 0), (5, 0), (0, 7), (90, 90), (48, 3))]


def crops(name, width, height):
    """Squares of a photo: whole, corners, centre, small ones; each mirrored too."""
    side = min(width, height)
    squares = [(0, 0, side), (width - side, 0, side), ((width - side) // 2, 0, side)]
    squares += [(x, y, 256) for x in (0, 100, width - 256) for y in (0, height - 256)]
    squares += [(150, 60, 160)]
    return [f"photo:{name}:{x}:{y}:{s}:{flip}" for x, y, s in squares for flip in (0, 1)]


PHOTOS = crops("mobilenet/bird.bmp", 512, 343) + crops("mobilenet/cat.bmp", 512, 341)
SYNTHETIC = EXTREMES + seeds("random", 60) + seeds("near", 20) + seeds("blocks", 20)
MODELS = {
    "mlperf-tiny/kws_ref_model": SYNTHETIC + seeds("random", 80)[60:],
    "mlperf-tiny/pretrainedResnet_quant": [f"cifar:{i}" for i in range(200)] + EXTREMES + seeds("random", 30) + seeds("blocks", 10),
    "mlperf-tiny/vww_96_int8": EXTREMES + PHOTOS + seeds("random", 40) + seeds("near", 10) + seeds("blocks", 10),
    "mlperf-tiny/ad01_int8": [f"spectrum:mlperf-tiny/ad_normal_id_01.bin:{i}" for i in range(0, 195, 2)] + SYNTHETIC[:65],
    "tflite-micro/person_detect": rolled("tflite-micro/person.bmp") + rolled("tflite-micro/no_person.bmp") + SYNTHETIC[:85],
    "tflite-micro/micro_speech_quantized": SYNTHETIC,
    "tflite-micro/hello_world_int8": EXTREMES[:3] + seeds("random", 500),
    "mobilenet/mobilenet_v1_0.25_128_quant": PHOTOS + EXTREMES + seeds("random", 45) + seeds("near", 5) + seeds("blocks", 5),
    "mobilenet/mobilenet_v2_1.0_224_quant": PHOTOS + EXTREMES + seeds("random", 45) + seeds("near", 5) + seeds("blocks", 5),
}
# Networks without their last operator: name of the golden file, network, cases.
CUT = {"person_detect_logits": ("tflite-micro/person_detect", rolled("tflite-micro/person.bmp")[:5] + rolled("tflite-micro/no_person.bmp")[:5])}
# Cases whose outputs are also stored as codes, and labels that the classes of `cifar` cases are compared with.
SHOWN = {"tflite-micro/person_detect": ["gray:tflite-micro/person.bmp:0:0:0", "gray:tflite-micro/no_person.bmp:0:0:0"]}
LABELS = {"mlperf-tiny/pretrainedResnet_quant": "cifar10/ic01_labels_200.npy"}
OPERATOR_CASES = EXTREMES + seeds("random", 6) + ["near:1", "blocks:1"]


def load_model(data):
    """The file with quantized_dimension 0 on tensors of one dimension: newer interpreters refuse the
    value that older converters wrote there, and nothing reads it."""
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    for tensor in model.subgraphs[0].tensors:
        if tensor.quantization is not None and tensor.shape is not None and len(tensor.shape) == 1:
            tensor.quantization.quantizedDimension = 0
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class Network:
    def __init__(self, content, shared):
        self.interpreter = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        self.interpreter.allocate_tensors()
        self.shared = shared

    def run(self, case):
        """Bytes of all inputs, and the outputs, of a case."""
        given = b""
        for i, detail in enumerate(self.interpreter.get_input_details()):
            scale, zero_point = detail["quantization"]
            value = make_input(case, self.shared, i, tuple(detail["shape"]), detail["dtype"], scale, zero_point)
            self.interpreter.set_tensor(detail["index"], np.array(value, order="C"))
            given += value.tobytes()
        self.interpreter.invoke()
        return given, [self.interpreter.get_tensor(d["index"]) for d in self.interpreter.get_output_details()]


def hash_outputs(outputs):
    return fnv1a(b"".join(y.tobytes() for y in outputs))


def write_goldens(name, cases, shared, folder, to=None):
    model = (pathlib.Path(shared) / "data" / f"{name}.tflite").read_bytes()
    content = load_model(model)
    network = Network(cut_last(content) if to else content, shared)
    lines = ["# Case, hash of its inputs, hash of the outputs of TensorFlow Lite's reference kernels (64-bit FNV-1a).",
             f"model {name}.tflite {fnv1a(model):016x}"]
    labels = np.load(pathlib.Path(shared) / "data" / LABELS[name]) if name in LABELS else []
    right = 0
    for case in cases:
        given, outputs = network.run(case)
        lines.append(f"case {case} {fnv1a(given):016x} {hash_outputs(outputs):016x}")
        if case in SHOWN.get(name, []):
            lines.append(" ".join(["codes", case] + [str(v) for v in outputs[0].ravel()]))
        if case.startswith("cifar:") and len(labels):
            right += int(outputs[0].argmax() == labels[int(case.split(":")[1])])
    if len(labels):
        lines.insert(2, f"right {LABELS[name]} {right}")
    to = to or name.split("/")[-1]
    (folder / f"{to}.golden.txt").write_text("\n".join(lines) + "\n")
    print(f"{to}: {len(cases)} cases", flush=True)


def write_operators(shared, folder):
    """One line for each model: hashes of its file and of the inputs of all cases, and of the outputs of each case
    the upper half XOR the lower half."""
    lines = ["# Name, hash of the file, hash of the inputs of all cases, folded hash of the outputs of each case, by",
             "# TensorFlow Lite's reference kernels (64-bit FNV-1a; folded: upper half XOR lower half).",
             "cases " + " ".join(OPERATOR_CASES)]
    for name, data in all_models():
        network = Network(data, shared)
        given, folded = b"", []
        for case in OPERATOR_CASES:
            one, outputs = network.run(case)
            given += one
            whole = hash_outputs(outputs)
            folded.append(f"{(whole >> 32) ^ (whole & 0xFFFFFFFF):08x}")
        lines.append(f"model {name} {fnv1a(data):016x} {fnv1a(given):016x} {' '.join(folded)}")
    (folder / "operators.golden.txt").write_text("\n".join(lines) + "\n")
    print(f"operators: {len(lines) - 3} models", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", required=True)
    parser.add_argument("names", nargs="*", help="parts of model names (default: all)")
    args = parser.parse_args()
    folder = pathlib.Path(__file__).resolve().parent
    for name, cases in MODELS.items():
        if not args.names or any(part in name for part in args.names):
            write_goldens(name, cases, args.shared, folder)
    for to, (name, cases) in CUT.items():
        if not args.names or to in args.names:
            write_goldens(name, cases, args.shared, folder, to)
    if not args.names or "operators" in args.names:
        write_operators(args.shared, folder)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes the golden files of this folder: each case's words, the hash of its inputs and the hash of
the outputs of TensorFlow Lite's reference kernels.

Needs numpy and ai-edge-litert (with flatbuffers) from PyPI and the shared folder; the tests need neither of the first two.

Usage: make_goldens.py --shared SHARED [NAME ...]
"""
import argparse
import pathlib

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from inputs import FNV_START, fnv1a, make_input

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


def write_goldens(name, cases, shared, folder):
    model = pathlib.Path(shared) / "data" / f"{name}.tflite"
    interpreter = Interpreter(
        model_content=load_model(model.read_bytes()), experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    lines = ["# Case, hash of its inputs, hash of the outputs of TensorFlow Lite's reference kernels (64-bit FNV-1a).",
             f"model {name}.tflite {fnv1a(model.read_bytes()):016x}"]
    for case in cases:
        in_hash, out_hash = FNV_START, FNV_START
        for i, detail in enumerate(inputs):
            scale, zero_point = detail["quantization"]
            value = make_input(case, shared, i, tuple(detail["shape"]), detail["dtype"], scale, zero_point)
            interpreter.set_tensor(detail["index"], np.ascontiguousarray(value))
            in_hash = fnv1a(value.tobytes(), in_hash)
        interpreter.invoke()
        for detail in outputs:
            out_hash = fnv1a(interpreter.get_tensor(detail["index"]).tobytes(), out_hash)
        lines.append(f"case {case} {in_hash:016x} {out_hash:016x}")
    (folder / f"{name.split('/')[-1]}.golden.txt").write_text("\n".join(lines) + "\n")
    print(f"{name}: {len(cases)} cases", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared", required=True)
    parser.add_argument("names", nargs="*", help="parts of model names (default: all)")
    args = parser.parse_args()
    folder = pathlib.Path(__file__).resolve().parent
    for name, cases in MODELS.items():
        if not args.names or any(part in name for part in args.names):
            write_goldens(name, cases, args.shared, folder)


if __name__ == "__main__":
    main()

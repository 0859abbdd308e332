#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""verify_operators.py NIBC DATA DIR [MODEL ...]: for a real model of each kind of operator, or for each MODEL,
verify accepts the result that run wrote and refuses it with one element changed (status 3, one differing
element). MODELs are compiled for c99, which is fastest."""
import pathlib
import re
import subprocess
import sys

nibc, data, work = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
named = [pathlib.Path(name) for name in sys.argv[4:]]
target = ["--target=c99"] if named else []
npy = [sys.executable, str(pathlib.Path(__file__).with_name("npy.py"))]
TYPES = {"i8": "i1", "ui8": "u1", "i16": "i2", "f32": "f4", "i32": "i4"}


def real_models():
    """Kinds of operator by a model that ends in one or holds several."""
    kinds = ("add", "sub", "conv", "transpose_conv", "leaky_relu", "pad", "quantize", "strided_slice")
    return [sorted((data / "seanet" / kind).glob("*.tflite"))[0] for kind in kinds] + [data / name for name in (
        "mlperf-tiny/kws_ref_model.tflite",            # conv, depthwise, average pool, fully connected, softmax
        "mlperf-tiny/pretrainedResnet_quant.tflite",   # residual add
        "mlperf-tiny/ad01_fp32.tflite",                # float
        "tflite-micro/hello_world_int8.tflite",
        "mobilenet/mobilenet_v1_0.25_128_quant.tflite")]  # uint8


def run(expected, *words):
    result = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    if result.returncode != expected:
        sys.exit(f"status {result.returncode}, not {expected}: {' '.join(map(str, words))}\n{result.stdout}{result.stderr}")
    return result.stdout + result.stderr


for model in named or real_models():
    inputs, outputs = [], []
    for line in run(0, nibc, "inspect", model).splitlines():
        row = re.match(r".{32} (input|output) +([0-9x]+) +(\w+) ", line)
        if row and row[1] == "input":
            path = work / f"x{len(inputs)}.npy"
            run(0, *npy, "make", TYPES[row[3]], row[2], 3, path)
            inputs += ["--input", path]
        elif row:
            outputs.append(work / f"y{len(outputs)}.npy")
    assert inputs and outputs, model
    run(0, nibc, "run", model, *target, *inputs, *(w for y in outputs for w in ("--output", y)))
    expects = [w for y in outputs for w in ("--expect", y)]
    run(0, nibc, "verify", model, *target, *inputs, *expects)
    run(0, *npy, "change", 0, outputs[-1], work / "bad.npy")
    expects[-1] = work / "bad.npy"
    text = run(3, nibc, "verify", model, *target, *inputs, *expects)
    assert re.search(r"what is expected: 1 of \d+ elements differ", text), text
    print(model.name, "ok")

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""check_fp16.py NIBC OUT [SHARED]: instructions of FP16 against FP32 and of int8 on RISC-V's vectors, and how far FP16
networks are from FP32. Prints what is out of bounds, and how many bounds hold."""
import functools
import json
import pathlib
import subprocess
import sys

import numpy as np

nibc, out = sys.argv[1], pathlib.Path(sys.argv[2])
make = pathlib.Path(__file__).with_name("make_float_network.py")
out.mkdir(parents=True, exist_ok=True)
checks, held = 0, 0


def check(what, value, least=None, most=None):
    global checks, held
    checks += 1
    good = (least is None or value >= least) and (most is None or value <= most)
    held += good
    print(f"{what}: {value:.4g}" + ("" if good else f"; OUT OF BOUNDS, at least {least}, at most {most}"))


def run(model, data, *words):
    done = subprocess.run([nibc, "run", str(model), "--input", str(data), *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{model} {' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout


def count(model, data, vlen, *words):
    last = run(model, data, f"--target=riscv64-linux-gnu+zvl{vlen}b+zvfh", "--count", "--json", *words).splitlines()[-1]
    said = json.loads(last)
    return said["instructions"], said["weighted_instructions"], said["macs"]


@functools.cache
def made(kind):
    model, data = out / f"{kind}.mlir", out / f"{kind}.npy"
    subprocess.run([sys.executable, str(make), kind, str(model), str(data)], check=True)
    return model, data


counts = {(kind, vlen): count(*made(f"product-{kind}"), vlen) for kind in ("i8", "f32", "f16") for vlen in (256, 512)}
macs = counts["i8", 256][2]
check("int8, VLEN 256, instructions per MAC", counts["i8", 256][0] / macs, most=0.075)
check("f32, VLEN 256", counts["f32", 256][0] / macs, most=0.06)
check("f16, VLEN 256", counts["f16", 256][0] / macs, most=0.03)
check("f16, VLEN 256, weighted", counts["f16", 256][1] / macs, most=0.10)
check("f16, VLEN 512", counts["f16", 512][0] / macs, most=0.015)
check("f32 : f16", counts["f32", 256][0] / counts["f16", 256][0], least=1.95)
check("f32 : f16, weighted", counts["f32", 256][1] / counts["f16", 256][1], least=1.95)

model, data = made("ds-cnn")
wide, narrow = count(model, data, 256), count(model, data, 256, "--precision=f16")
check("DS-CNN, f32 : f16", wide[0] / narrow[0], least=1.72)
check("DS-CNN, f32 : f16, weighted", wide[1] / narrow[1], least=1.72)

if len(sys.argv) > 3:
    shared = pathlib.Path(sys.argv[3]) / "data"
    model = shared / "mlperf-tiny" / "pretrainedResnet.tflite"
    images = np.load(shared / "cifar10" / "ic01_images_u8_200x32x32x3.npy").astype(np.float32)
    np.save(out / "images.npy", images)
    np.save(out / "image.npy", images[:1])
    wide, narrow = count(model, out / "image.npy", 256), count(model, out / "image.npy", 256, "--precision=f16")
    check("ResNet8, f32 : f16", wide[0] / narrow[0], least=1.72)
    check("ResNet8, f32 : f16, weighted", wide[1] / narrow[1], least=1.72)

    def scores(*words, data="images.npy"):
        run(model, out / data, "--output", str(out / "scores.npy"), *words)
        return np.load(out / "scores.npy").reshape(len(np.load(out / data)), -1)

    vectors = "--target=riscv64-linux-gnu+zvl256b+zvfh"
    exact = scores().argmax(1)
    check("ResNet8, agreement of f16", (scores(vectors, "--precision=f16").argmax(1) == exact).mean(), least=0.99)
    # Every lane of FP16 is emulated: sums in f32 are run natively on all images, and in vectors, which must be close to those, on some.
    words = ("--precision=f16", "--accumulate=f32")
    native = scores(*words)
    check("ResNet8, agreement of f16 summed in f32", (native.argmax(1) == exact).mean(), least=0.99)
    np.save(out / "some.npy", images[::8])
    check("ResNet8, f16 summed in f32, from native", np.abs(scores(vectors, *words, data="some.npy") - native[::8]).max(), most=0.004)
    check("ResNet8, agreement of bf16", (scores("--precision=bf16").argmax(1) == exact).mean(), least=0.99)
print(f"{held} of {checks} bounds hold")

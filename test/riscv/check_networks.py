#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""check_networks.py NIBC SHARED WORDS...: `nibc verify WORDS` on the int8 networks of MLPerf Tiny and TensorFlow Lite
Micro, whose results must equal the reference's, and so x86's, to the bit."""
import pathlib
import subprocess
import sys

MODELS = ("mlperf-tiny/ad01_int8", "mlperf-tiny/kws_ref_model", "mlperf-tiny/pretrainedResnet_quant", "mlperf-tiny/vww_96_int8",
          "tflite-micro/hello_world_int8", "tflite-micro/micro_speech_quantized", "tflite-micro/person_detect")
nibc, shared, words = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
equal = 0
for model in MODELS:
    done = subprocess.run([nibc, "verify", str(shared / "data" / f"{model}.tflite"), *words], capture_output=True, text=True)
    good = done.returncode == 0 and "equals the reference: 8 runs" in done.stdout
    equal += good
    if not good:
        print(f"{model} {' '.join(words)}: status {done.returncode}\n{done.stdout}{done.stderr}")
print(f"{equal} of {len(MODELS)} networks equal the reference")

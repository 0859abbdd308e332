#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""In place of clang for nibc: what it writes as PTX is a module of the emulation, which the emulated driver loads from memory.

    NIBC_CUDA_CC=test/cuda/emulated_compiler.py NIBC_PTXAS=absent LD_LIBRARY_PATH=build/lib/emulated nibc run … --target=sm_90a

NIB_EMULATED_BUILD names the build folder, if it is not `build` of this checkout.
"""
import os
import pathlib
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent
source = next(word for word in sys.argv[1:] if word.endswith(".cu"))
output = sys.argv[sys.argv.index("-o") + 1]
build = os.environ.get("NIB_EMULATED_BUILD") or here.parents[1] / "build"
command = [sys.executable, here / "emulate.py", source, "-o", output, "--build", build, "-O1", "-g0", "-w"]
sys.exit(subprocess.run(command, check=False).returncode)

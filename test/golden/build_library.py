#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles generated C into one shared library, for the drivers of this folder.

Usage: build_library.py CC TARGET LEVEL FOLDER      FOLDER/*.c to FOLDER/golden.so, at -O<LEVEL>

TARGET is a row of TARGETS; its flags are what the target means and nothing of this processor's. Where a folder
holds many networks, the weights are one translation unit, and immintrin.h is precompiled: reading it takes
longer than compiling a small network. Words of the environment's NIB_LIBRARY_FLAGS are further flags.
"""
import os
import pathlib
import subprocess
import sys

TARGETS = {
    "c99": [],
    "x86-64-v3": ["-march=x86-64-v3"],
    "x86-64-v4+avx512vnni": ["-march=x86-64-v4", "-mavx512vnni"],
}
FLAGS = ["-std=c11", "-ffp-contract=off", "-fPIC", "-Wall", "-Wextra", "-pedantic", "-Werror"]
MANY = 8


def run(*words):
    if subprocess.run([str(w) for w in words], check=False).returncode:
        sys.exit(f"{words[0]} failed")


def main():
    cc, target, level, folder = sys.argv[1:]
    folder = pathlib.Path(folder)
    flags = FLAGS + TARGETS[target] + [f"-O{level}"] + os.environ.get("NIB_LIBRARY_FLAGS", "").split()
    weights = sorted(folder.glob("*_weights.c"))
    sources = [s for s in sorted(folder.glob("*.c")) if s not in weights and not s.name.endswith("_main.c")]
    if len(sources) > MANY:
        together = folder / "together.inc"  # not *.c: a second run must not take it for a source
        together.write_text("".join(f'#include "{w.name}"\n' for w in weights))
        weights = ["-x", "c", together]
        if target != "c99":
            header = folder / "vectors.h"
            header.write_text("#include <immintrin.h>\n")
            run(cc, *flags, "-x", "c-header", header, "-o", folder / "vectors.pch")
            flags += ["-include-pch", folder / "vectors.pch"]
    run(cc, *flags, "-shared", "-o", folder / "golden.so", *sources, *weights, "-lm")


if __name__ == "__main__":
    main()

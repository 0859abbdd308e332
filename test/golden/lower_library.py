#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles models by way of linalg and LLVM into one shared library, for the drivers of this folder.

Usage: lower_library.py NIBC CC LLVM FOLDER MODEL...

Writes FOLDER/NAME.ll and NAME.h of every model, and FOLDER/golden.so of all of them. LLVM is the prefix of LLVM 22.
"""
import concurrent.futures
import pathlib
import subprocess
import sys

SYMBOLS = ("malloc", "free", "memcpy", "memset")  # what code that was lowered may take from the C library, and libm


def run(*words):
    result = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{' '.join(str(w) for w in words[:8])} failed\n{result.stdout}{result.stderr}")
    return result.stdout


def main():
    nibc, cc, llvm, folder, *models = sys.argv[1:]
    folder, tools = pathlib.Path(folder), pathlib.Path(llvm) / "bin"
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda m: run(nibc, "compile", m, "--codegen=mlir", "--target=c99", "-o", folder), models))
    run(tools / "llvm-link", *sorted(folder.glob("*.ll")), "-o", folder / "all.bc")
    run(cc, "-O1", "-ffp-contract=off", "-Wno-override-module", "-c", "-fPIC", folder / "all.bc", "-o", folder / "all.o")
    run(cc, "-shared", "-o", folder / "golden.so", folder / "all.o", "-lm")
    names = [line.split()[-1] for line in run(tools / "llvm-nm", "-u", folder / "all.o").splitlines()]
    others = [n for n in names if n not in SYMBOLS and not n.endswith("f") and n not in ("_GLOBAL_OFFSET_TABLE_",)]
    print(f"{len(models)} models lowered; they call {', '.join(others) if others else 'no runtime library'}")


if __name__ == "__main__":
    main()

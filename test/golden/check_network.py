#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One real network through nibc and a C compiler against its golden file, or against double precision.

Usage: check_network.py NIBC CC UNIT SHARED TARGET FOLDER MODEL [CASE ...]

Compiles SHARED/data/MODEL for TARGET into FOLDER, builds a library, and runs check_golden on all cases of
<name of MODEL>.golden.txt; or, if there are CASEs, check_golden --float on those. The TARGET `lowered` is the
network by way of linalg and LLVM instead of generated C. `--every N` before MODEL takes each N-th case.
"""
import pathlib
import shutil
import subprocess
import sys
import time


def run(*words):
    words = [str(w) for w in words]
    start = time.monotonic()
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - start
    if result.returncode:
        sys.exit(f"{' '.join(words[:12])}\n{result.stdout}{result.stderr}")
    return result.stdout, seconds


def main():
    words = sys.argv[1:]
    every = ["--every", words.pop(words.index("--every") + 1)] if "--every" in words else []
    nibc, cc, unit, shared, target, folder, name, *cases = [w for w in words if w != "--every"]
    here = pathlib.Path(__file__).resolve().parent
    folder = pathlib.Path(folder) / pathlib.Path(name).stem
    shutil.rmtree(folder, ignore_errors=True)
    model = pathlib.Path(shared) / "data" / name
    if not model.exists():  # a variant that an earlier step wrote beside the folder
        model = pathlib.Path(name)
    if target == "lowered":
        _, a = run(nibc, "compile", model, "--codegen=mlir", "--target=c99", "--name=net", "-o", folder)
        _, b = run(cc, "-O2", "-ffp-contract=off", "-fPIC", "-shared", "-Wno-override-module", folder / "net.ll", "-o",
                   folder / "golden.so", "-lm")
    else:
        _, a = run(nibc, "compile", model, f"--target={target}", "--name=net", "-o", folder)
        _, b = run(sys.executable, here / "build_library.py", cc, target, 2, folder)
    what = ["--float", model, *cases] if cases else [model, here / f"{model.stem}.golden.txt"]
    library = ["--library", folder / "golden.so", "--name", "net", "--header", folder / "net.h"]
    text, c = run(f"{unit}/check_golden", "--shared", shared, *every, *library, *what)
    for line in text.splitlines():
        print(f"{model.stem} for {target}: {line}")
    print(f"{model.stem} for {target}: nibc {a:.1f} s, compiler {b:.1f} s, cases {c:.1f} s")


if __name__ == "__main__":
    main()

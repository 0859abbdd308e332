#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles generated CUDA for the CPU: a module that the emulated libcuda.so.1 loads.

Usage: emulate.py FILE.cu -o MODULE.so [--build BUILD] [--cxx CLANG++] [--sanitize] [FLAG ...]

The module holds the kernels (NIB_KERNEL... name(...)), a table of them, and the emulation.
Then, with the build folder's emulated driver in front of any other:

    NIB_EMULATED_MODULE=MODULE.so LD_LIBRARY_PATH=BUILD/lib/emulated program
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

KERNEL = re.compile(r"\bNIB_KERNEL(?:_CLUSTER)?\(\s*(\d+)\s*,\s*\d+\s*(?:,\s*(\d+)\s*)?\)\s*(\w+)\s*\(")


# What C leaves undefined, or GPUs do not do, ends the launch with a message.
CHECKED = ["-fsanitize=alignment,bounds,shift-exponent,signed-integer-overflow,integer-divide-by-zero", "-fsanitize-minimal-runtime"]


def main() -> int:
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("-o", dest="output", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, default=here.parents[1] / "build")
    parser.add_argument("--cxx", default="clang++-22")
    parser.add_argument("--sanitize", action="store_true", help="with AddressSanitizer")
    args, flags = parser.parse_known_args()

    text = args.source.read_text()
    kernels = KERNEL.findall(text)
    entries = "".join(f"    NIB_EMULATED_KERNEL({name}, {threads}, {cluster or 1}),\n" for threads, cluster, name in kernels)
    sources = [here / name for name in ("emulate.c", "emulate_async.c", "emulate_matrix.c")]
    sanitize = ["-fsanitize=address", "-fno-omit-frame-pointer"] if args.sanitize else []
    common = ["-O2", "-g", "-fPIC", "-ffp-contract=off", "-fno-strict-aliasing", "-I", here, *sanitize]
    with tempfile.TemporaryDirectory() as folder:
        unit = pathlib.Path(folder) / "module.cpp"
        unit.write_text(
            f'#include "emulate.h"\n#include "{args.source.resolve()}"\n'
            f'extern "C" const nib_emulated_kernel nib_emulated_kernels[] = {{\n{entries}    {{}}}};\n'
        )
        library = args.build / "lib" / "libnib_emulation.a"
        linked = [library]
        if args.sanitize or not library.exists():
            linked = []
            for source in sources:
                linked.append(pathlib.Path(folder) / f"{source.stem}.o")
                subprocess.run([args.cxx, "-x", "c", *common, "-c", source, "-o", linked[-1]], check=True)
        command = [args.cxx, "-std=c++17", *common, *([] if args.sanitize else CHECKED), "-Wno-unknown-pragmas", *flags, "-c", unit, "-o", unit.with_suffix(".o")]
        if status := subprocess.run(command, check=False).returncode:
            return status
        link = [args.cxx, "-shared", *sanitize, "-Wl,-Bsymbolic", unit.with_suffix(".o")]
        link += ["-Wl,--whole-archive", *linked, "-Wl,--no-whole-archive", "-lm", "-o", args.output]
        return subprocess.run(link, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles networks for CUDA targets, runs them in emulation and compares them with the reference.

Usage: check_network.py --build BUILD [--target sm_80 ...] [--ptxas] [--assemble] MODEL ... [-- OPTION ...]

For each model and target: `nibc compile` writes CUDA C and PTX (with --ptxas it is assembled too, and kernels must
not spill); emulate.py makes a module of the CUDA C; `nibc verify` runs it through the runtime of compiled models and the
emulated driver. With --assemble nothing is run. Everything after -- goes to nibc.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

here = pathlib.Path(__file__).resolve().parent


def run(command, **more):
    done = subprocess.run([str(word) for word in command], check=False, capture_output=True, text=True, **more)
    if done.returncode:
        print(done.stdout + done.stderr, end="")
        sys.exit(f"failed ({done.returncode}): {' '.join(str(word) for word in command)}")
    return done.stdout, done.stderr


def check_waits(ptx):
    """Kernels that wait for the one before touch no memory of the device until then."""
    for kernel in ptx.split(".entry ")[1:]:
        if "griddepcontrol.wait" in kernel:
            before = kernel[kernel.index("{") : kernel.index("griddepcontrol.wait")]
            if found := re.search(r"\b(ld|st|red|atom|cp|prefetch)\.[\w.:]*(global|async|nc)\S*", before):
                sys.exit(f"{kernel.split('(')[0]}: {found.group()} before griddepcontrol.wait")


def check(args, model, target, folder):
    nibc = args.build / "bin" / "nibc"
    begin = time.monotonic()
    common = [model, f"--target={target}", "--name=net", *args.options]
    run([nibc, "compile", *common, "--emit=cuda", "-o", folder])
    # With ptxas the PTX is assembled too, for what it says.
    environment = dict(os.environ) if args.ptxas else dict(os.environ, NIBC_PTXAS="absent")
    _, messages = run([nibc, "compile", *common, "--emit=ptx", "-o", folder / "ptx"], env=environment)
    if "warning" in messages:
        sys.exit(f"{model} for {target}: {messages}")
    check_waits((folder / "ptx" / "net.ptx").read_text())
    if args.assemble:
        print(f"{pathlib.Path(model).stem} {target}: {'assembled without spills' if args.ptxas else 'PTX'}")
        return
    module = folder / "module.so"
    run([sys.executable, here / "emulate.py", folder / "net.cu", "-o", module, "--build", args.build, "-Wno-pass-failed"])
    emulated = dict(os.environ, NIB_EMULATED_MODULE=str(module), NIB_EMULATED_DEVICE=target[3:].rstrip("a"))
    emulated["LD_LIBRARY_PATH"] = f"{args.build / 'lib' / 'emulated'}:{os.environ.get('LD_LIBRARY_PATH', '')}"
    said, _ = run([nibc, "verify", *common, "--no-cache"], env=emulated)
    compared = [line for line in said.splitlines() if "reference" in line]
    print(f"{pathlib.Path(model).stem} {target}: {'; '.join(compared)}")
    if args.times:
        print(f"  {time.monotonic() - begin:.1f} s", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--target", action="append", dest="targets")
    parser.add_argument("--ptxas", action="store_true")
    parser.add_argument("--assemble", action="store_true")
    parser.add_argument("--times", action="store_true")
    parser.add_argument("models", nargs="+")
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    args = parser.parse_args(words[:cut])
    args.options = words[cut + 1 :]
    args.build = args.build.resolve()
    for model in args.models:
        for target in args.targets or ["sm_80", "sm_90a"]:
            with tempfile.TemporaryDirectory() as folder:
                check(args, model, target, pathlib.Path(folder))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles networks here for a device elsewhere: folders that nib-cuda-networks checks and times there.

Usage: pack_networks.py --build BUILD -o FOLDER [--target sm_90a ...] MODEL ... [-- OPTION ...]

FOLDER then has the program nib-cuda-networks, run.sh, and for each model and target a folder with cuda.so (the
network with its kernels and the runtime), reference.so (the same for the processor) and `ports`. Copy FOLDER to a
machine with a device and run `sh FOLDER/run.sh`. Everything after -- goes to nibc.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

RUN = """#!/bin/sh
# Checks and times all networks of this folder; options go to nib-cuda-networks. With --sanitize alone: looks for
# faults instead, by compute-sanitizer.
cd "$(dirname "$0")" || exit
sanitize=
if [ "$1" = --sanitize ]; then sanitize=1; shift; fi
for net in */; do set -- "$@" "${net%/}"; done
[ "$sanitize" ] || exec ./nib-cuda-networks "$@"
status=0
for tool in memcheck racecheck; do
  compute-sanitizer --tool $tool --error-exitcode 9 ./nib-cuda-networks --runs 1 --times 0 "$@" || status=1
done
exit $status
"""
PORT = re.compile(r"(const )?(\w+) (in|out)\d+\[(\d+)\]")


def run(*command):
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)


def shared(folder, sources, output):
    run("cc", "-std=c11", "-O2", "-fPIC", "-shared", *(folder / source for source in sources), "-o", output, "-lm", "-ldl")


def pack(args, model, target):
    stem = pathlib.Path(model).name.rsplit(".", 1)[0].replace(".", "_") + args.suffix
    place = args.output / f"{stem}-{target}"
    place.mkdir(parents=True, exist_ok=True)
    nibc = args.build / "bin" / "nibc"
    with tempfile.TemporaryDirectory() as name:
        cuda, c99 = pathlib.Path(name) / "cuda", pathlib.Path(name) / "c99"
        run(nibc, "compile", model, "--name=net", f"--target={target}", "-o", cuda, *args.options)
        run(nibc, "compile", model, "--name=net", "--target=c99", "-o", c99, *args.options)
        shared(cuda, ["net.c", "net_weights.c", "nibrt_cuda.c"], place / "cuda.so")
        shared(c99, ["net.c", "net_weights.c"], place / "reference.so")
        if args.sources:
            shutil.copy(cuda / "net.cu", place)
        header = (c99 / "net.h").read_text()
    wrapper = header[header.rindex("nibrt_status net") :]
    lines = [f"{way} {kind} {elems}\n" for _, kind, way, elems in PORT.findall(wrapper)]
    arena = re.search(r"NET_ARENA_BYTES (\d+)u", header).group(1)
    (place / "ports").write_text(f"arena bytes {arena}\n" + "".join(lines))
    return place.name


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("-o", dest="output", type=pathlib.Path, required=True)
    parser.add_argument("--target", action="append", dest="targets")
    parser.add_argument("--sources", action="store_true", help="also NAME.cu, for the emulation")
    parser.add_argument("--suffix", default="", help="at the end of the folders' names")
    parser.add_argument("models", nargs="+")
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    args = parser.parse_args(words[:cut])
    args.options = words[cut + 1 :]
    args.output.mkdir(parents=True, exist_ok=True)
    for model in args.models:
        for target in args.targets or ["sm_90a"]:
            print(pack(args, model, target), flush=True)
    shutil.copy(args.build / "bin" / "nib-cuda-networks", args.output)
    (args.output / "run.sh").write_text(RUN)


if __name__ == "__main__":
    main()

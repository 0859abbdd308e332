#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Makes a folder that checks networks on a machine with a GPU and nothing else.

    prepare_models.py --build build --target sm_90a -o OUT MODEL[=TOLERANCE]...

Each model is compiled for the target and linked with check_model.c; inputs are random, expected results come
from the same model on the processor here. OUT/run.sh runs them all there (--sanitize: under compute-sanitizer)."""
import argparse
import pathlib
import re
import subprocess
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent

RUN = """#!/bin/sh
# Runs every model of this folder on this machine's GPU. --sanitize: once each, under compute-sanitizer.
cd "$(dirname "$0")" || exit 2
bad=0
for m in */; do
  m=${m%/}
  if [ "$1" = --sanitize ]; then
    for tool in memcheck racecheck; do
      echo "== $tool $m"
      (cd "$m" && compute-sanitizer --tool $tool --error-exitcode 9 ./check --rounds 1 $(cat args)) || bad=1
    done
  else
    (cd "$m" && ./check --rounds 200 $(cat args)) || bad=1
  fi
done
exit $bad
"""


def random_array(shape, dtype, rng):
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max + 1, shape, dtype=dtype)


def prepare(nibc, target, spec, out, work):
    path, _, tolerance = spec.partition("=")
    name = "".join(c if c.isalnum() else "_" for c in pathlib.Path(path).stem)
    name = "m_" + name if name[0].isdigit() else name
    folder, source = out / name, work / name
    folder.mkdir(parents=True)
    subprocess.run([nibc, "compile", path, f"--target={target}", f"--name={name}", "-o", source], check=True,
                   stdout=subprocess.DEVNULL)
    sources = [str(p) for p in source.glob("*.c") if not p.name.endswith("_main.c")]
    subprocess.run(["cc", "-O2", f"-DMODEL={name}", f"-I{source}", str(HERE / "check_model.c"), *sources, "-ldl",
                    "-lm", "-o", str(folder / "check")], check=True)
    header = (source / f"{name}.h").read_text()
    inputs = re.findall(r"^ \*   in\d+  (\w+)\[([\dx]+)\]", header, re.M)
    outputs = re.findall(r"^ \*   out\d+  (\w+)\[", header, re.M)
    rng = np.random.default_rng(1)
    args, command = [], [nibc, "run", path]
    for i, (c_type, dims) in enumerate(inputs):
        dtype = np.dtype({"float": "float32", "double": "float64"}.get(c_type, c_type.removesuffix("_t")))
        array = random_array([int(x) for x in dims.split("x")], dtype, rng)
        np.save(work / f"{name}_in{i}.npy", array)
        array.tofile(folder / f"in{i}.bin")
        command += ["--input", work / f"{name}_in{i}.npy"]
        args.append(f"in{i}.bin")
    for i in range(len(outputs)):
        command += ["--output", work / f"{name}_out{i}.npy"]
        args.append(f"out{i}.bin")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    for i in range(len(outputs)):
        np.load(work / f"{name}_out{i}.npy").tofile(folder / f"out{i}.bin")
    (folder / "args").write_text((f"--tolerance {tolerance} " if tolerance else "") + " ".join(args) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--target", default="sm_90a")
    parser.add_argument("-o", "--output", required=True, type=pathlib.Path)
    parser.add_argument("models", nargs="+")
    o = parser.parse_args()
    work = o.output.with_name(o.output.name + ".work")
    for folder in (o.output, work):
        if folder.exists():
            sys.exit(f"{folder} exists already")
        folder.mkdir(parents=True)
    for spec in o.models:
        prepare(o.build / "bin/nibc", o.target, spec, o.output, work)
    run = o.output / "run.sh"
    run.write_text(RUN)
    run.chmod(0o755)


if __name__ == "__main__":
    main()

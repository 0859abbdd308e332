#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures candidates of many kernels: what bench/cost_report.py judges the cost model by.

Usage: bench/cost_samples.py --build BUILD --out F.jsonl [--targets T;T] [--only PATTERN] [--candidates N] [MODEL…]

The kernels are those of the models and those of the cases in bench/cases.txt, each on every target that this
processor can run; N candidates of each (default 16), each one line of F.jsonl, which is written anew.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import cases as table

# With AVX512-VNNI where there is one, with AVX-VNNI, and with AVX2 alone.
TARGETS = "native;x86-64-v3+avxvnni;x86-64-v3"


def write_networks(folder: pathlib.Path, pattern: str) -> list:
    """The cases as networks; of cases that differ only in what they are compared with, nib-bench measures one."""
    paths = []
    for case in table.select(table.read_table()[0], pattern):
        if not case.is_layer or case.values.get("weights") == "uniform" or case.values.get("from"):
            continue
        path = folder / f"{case.name}.mlir"
        path.write_text(table.network_text(case, table.make(case), case.variants[0]), encoding="utf-8")
        paths.append((case, path))
    return paths


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--targets", default=TARGETS, help=f"separated by semicolons (default {TARGETS})")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="cases with PATTERN in their name; '' for none")
    parser.add_argument("--candidates", type=int, default=16, metavar="N")
    parser.add_argument("models", nargs="*", metavar="MODEL")
    options = parser.parse_args()
    options.out.unlink(missing_ok=True)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        paths = write_networks(pathlib.Path(folder), options.only) if options.only else []
        # Weights of few bits by activations in f32, and by bytes.
        runs = [([], [*options.models, *(path for _, path in paths)]),
                (["--activation-format=q8_0"], [path for case, path in paths if case.kind == "low"])]
        for target in options.targets.split(";"):
            for flags, networks in runs:
                if not networks:
                    continue
                done = subprocess.run([options.build / "bin" / "nib-bench", f"--candidates={options.candidates}",
                                       f"--samples={options.out}", f"--target={target}", *flags, *networks], check=False)
                failed = failed or done.returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

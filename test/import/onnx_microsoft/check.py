#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs `nibc verify --test-data` on each model of a folder.

Usage: check.py NIBC FOLDER
"""
import pathlib
import subprocess
import sys


def main():
    nibc, folder = sys.argv[1:]
    counts = [0, 0]
    for model in sorted(pathlib.Path(folder).glob("*/model.onnx")):
        data = model.parent / "test_data_set_0"
        command = [nibc, "verify", model, "--test-data", data, "--target=c99", "--no-cache"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        counts[done.returncode != 0] += 1
        if done.returncode:
            print(f"{model.parent.name}: exit {done.returncode}\n{done.stderr}")
    print(f"{counts[0]} agree, {counts[1]} do not")


if __name__ == "__main__":
    main()

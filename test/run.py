#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs every test under test/ through lit and closes with one line of totals.

Usage: test/run.py --build BUILD [-j N] [PATH ...]

PATH selects a part of test/ (a folder or a file, as in test/passes/fuse.mlir). Skipped tests are listed
with the feature they miss; failures with their output.
"""
import argparse
import importlib.util
import json
import pathlib
import subprocess
import sys

PASSED = {"PASS", "XFAIL", "FLAKYPASS"}
SKIPPED = {"UNSUPPORTED", "SKIPPED", "EXCLUDED"}
# What lit says of a missing feature, and what that means.
MISSING = "Test requires the following unavailable features: "
EXPLAINED = {
    "shared": "the real models are absent (../shared, or the folder NIB_SHARED)",
    "long": "takes minutes: make check-long",
    "valgrind": "valgrind is not installed",
    "ptxas": "ptxas of the CUDA toolkit is not installed",
    "nvcc": "nvcc of the CUDA toolkit is not installed",
    "cuda_h": "the header of the CUDA toolkit is not installed",
    "cuda": "there is no CUDA driver",
    "qemu-riscv-system": "QEMU 10's qemu-system-riscv32 and 64 are not installed",
    "qemu-riscv-linux": "QEMU 10's qemu-riscv64 or gcc-riscv64-linux-gnu is not installed",
    "picolibc-riscv": "picolibc-riscv64-unknown-elf is not installed",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("-j", type=int, default=2, dest="jobs")
    parser.add_argument("paths", nargs="*", type=pathlib.Path, help="parts of test/ (default: all)")
    args = parser.parse_args()

    build = args.build.resolve()
    source = pathlib.Path(__file__).resolve().parent
    suite = build / "test"
    selected = [suite / path.resolve().relative_to(source) for path in args.paths] or [suite]
    results_file = build / "test-results.json"
    results_file.unlink(missing_ok=True)

    lit = pathlib.Path("/usr/lib/llvm-22/bin/lit")
    command = [sys.executable, str(lit), "-v", f"-j{args.jobs}", f"--output={results_file}"]
    if importlib.util.find_spec("psutil"):  # lit's time limit needs it
        command.append("--timeout=900")
    status = subprocess.run(command + [str(path) for path in selected], check=False).returncode
    if not results_file.exists():
        print("0 passed, 1 failed")
        return status or 1

    tests = json.loads(results_file.read_text())["tests"]
    passed = [t for t in tests if t["code"] in PASSED]
    skipped = [t for t in tests if t["code"] in SKIPPED]
    failed = [t for t in tests if t["code"] not in PASSED | SKIPPED]
    for test in skipped:
        reason = (test["output"] or "").strip().removeprefix(MISSING) or "not supported here"
        print(f"skipped: {test['name']}: {EXPLAINED.get(reason, 'missing: ' + reason)}")
    for test in failed:
        print(f"failed: {test['name']} ({test['code']})")
    print(f"{len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())

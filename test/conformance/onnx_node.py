#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs `nibc verify MODEL --test-data` on the node tests of the ONNX standard and counts what comes out.

Usage: onnx_node.py NIBC FOLDER [--jobs N] [--only TEXT] [--target T]
                    [--codegen G] [--show pass,unsupported,…] [--floor N]

A test ends as one of
  pass         generated code equals the reference, and what the standard expects within its tolerances
  unsupported  nibc says so (exit 4)
  wrong        another result than expected, or than the reference's (exit 3)
  error        a model of the standard was called invalid, or could not be compiled (other exits)
  crash        ended by a signal, or by the time limit

Exits with 1 if any test is wrong, an error or a crash, or if fewer pass than --floor says.
"""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import time

OUTCOMES = ["pass", "unsupported", "wrong", "error", "crash"]
BAD = ["wrong", "error", "crash"]
LIMIT_S = 120


def outcome_of(code):
    return {0: "pass", 3: "wrong", 4: "unsupported"}.get(code, "crash" if code < 0 or code >= 126 else "error")


def run_test(nibc, folder, target, codegen):
    """(outcome, reason, seconds)"""
    started = time.monotonic()
    command = [nibc, "verify", folder / "model.onnx", "--test-data", folder / "test_data_set_0", "--no-cache",
               f"--target={target}", f"--codegen={codegen}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return "crash", f"not done in {LIMIT_S} s", LIMIT_S
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    reason = next((line for line in lines if "error" in line), lines[-1] if lines else "")
    reason = re.sub(r"^.*?error: ", "", reason).replace(f"{folder}/", "").replace("model.onnx: ", "")
    if done.returncode < 0:
        reason = f"signal {-done.returncode}; {reason}"
    return outcome_of(done.returncode), reason, time.monotonic() - started


def operator_of(name):
    """The first word, which names the operator or the family in most tests."""
    return re.sub(r"^test_", "", name).split("_")[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("nibc", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="tests whose name matches this expression")
    parser.add_argument("--target", default="c99")
    parser.add_argument("--codegen", default="c", help="c, or mlir: the reference lowering")
    parser.add_argument("--show", default="unsupported,wrong,error,crash")
    parser.add_argument("--floor", type=int, default=0, help="passes that there must be")
    options = parser.parse_args()
    tests = sorted(p.parent for p in options.folder.glob("*/model.onnx") if re.search(options.only, p.parent.name))
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = dict(zip(tests, pool.map(lambda t: run_test(options.nibc.resolve(), t, options.target, options.codegen), tests)))
    shown = set(options.show.split(","))
    families = collections.defaultdict(collections.Counter)
    for test, (outcome, reason, seconds) in results.items():
        families[operator_of(test.name)][outcome] += 1
        if outcome in shown:
            print(f"{outcome}: {test.name}: {reason}" + (f" ({seconds:.1f} s)" if seconds > 10 else ""))
    counts = collections.Counter(outcome for outcome, _, _ in results.values())
    for family, of_family in sorted(families.items()):
        print(f"  {family}: " + ", ".join(f"{of_family[o]} {o}" for o in OUTCOMES if of_family[o]))
    print(f"{len(tests)} tests in {time.monotonic() - started:.0f} s: " +
          ", ".join(f"{counts[o]} {o}" for o in OUTCOMES))
    if counts["pass"] < options.floor:
        print(f"fewer than {options.floor} pass")
    return any(counts[o] for o in BAD) or counts["pass"] < options.floor


if __name__ == "__main__":
    os.environ.setdefault("LC_ALL", "C")
    sys.exit(main())

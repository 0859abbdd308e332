#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""check_ratio.py LESS MORE LEAST MOST_PER_MAC [KIND]: of two last lines of `nibc run --count --json`, the second's kernels with
multiply-accumulates take at least LEAST times the instructions of the first's, which take at most MOST_PER_MAC; KIND: instructions
(default) or weighted_instructions."""
import json
import sys


def count(path):
    with open(path) as file:
        kernels = [k for k in json.loads(file.readlines()[-1])["kernels"] if k["macs"]]
    return sum(k[kind] for k in kernels), sum(k["macs"] for k in kernels)


kind = sys.argv[5] if len(sys.argv) > 5 else "instructions"
(less, macs), (more, _) = count(sys.argv[1]), count(sys.argv[2])
print(f"{less / macs:.4f} per MAC against {more / macs:.4f}: {more / less:.3f} times")
assert more >= float(sys.argv[3]) * less
assert less <= float(sys.argv[4]) * macs

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""check_count.py FILE MACS: the last line of `nibc run --count --json` makes sense."""
import json
import sys

with open(sys.argv[1]) as file:
    counts = json.loads(file.readlines()[-1])
macs = int(sys.argv[2])
kernels = counts["kernels"]
assert counts["macs"] == macs == sum(k["macs"] for k in kernels)
assert counts["instructions"] > macs / 64 and counts["weighted_instructions"] >= counts["instructions"]
assert abs(counts["instructions_per_mac"] - counts["instructions"] / macs) < 1e-5
for key in ("instructions", "weighted_instructions"):
    outside = counts[key] - sum(k[key] for k in kernels)  # NAME_run itself
    assert 0 < outside < 2000, (key, outside)
    assert all(k[key] > 0 for k in kernels)

# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""check_chains.py REPORT: the report names what stays inside the one kernel, and its arena is smaller than that."""
import json
import sys

report = json.load(open(sys.argv[1]))
(kernel,) = report["kernels"]
assert [t["bytes"] for t in kernel["inside"]] == [32 * 30 * 64] * 2, kernel["inside"]
assert report["totals"]["arena_bytes"] < 32 * 30 * 64, report["totals"]

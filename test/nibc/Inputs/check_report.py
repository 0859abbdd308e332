#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""check_report.py REPORT.json SOURCE_OPERATORS: what --report says is complete and adds up; prints the operators."""
import json
import math
import sys

report = json.load(open(sys.argv[1]))
operators, kernels, totals = report["operators"], report["kernels"], report["totals"]

REPLACED = {"depthwise_conv2d": "conv2d"}  # where it has one input channel


def require(condition, text):
    if not condition:
        sys.exit(f"{sys.argv[1]}: {text}")


def total(rows, key):
    return sum(row[key] for row in rows)


indices = [o["index"] for o in operators]
require(sorted(indices) == list(range(int(sys.argv[2]))), f"operators are not listed once each: {indices}")
names = {k["name"]: k for k in kernels}
require(len(names) == len(kernels) == totals["kernels"], "kernels do not have names of their own")
for o in operators:
    require(o["requested_precision"] and o["realised_precision"], f"{o} has no precisions")
    require((o["kernel"] is None) == ("why_no_kernel" in o), f"{o} has neither kernel nor reason")
    if o["kernel"] is not None:
        k = names.get(o["kernel"])
        require(k, f"{o} runs in no kernel that is listed")
        becomes = {o["operator"], REPLACED.get(o["operator"])}
        require(becomes & set(k["operators"]), f"{o} runs in {k['operators']}")
        require((o["schedule"], o["vocabulary"]) == (k["schedule"], k["vocabulary"]), f"{o} is not {k}")
    print(o["index"], o["operator"], o["requested_precision"], o["realised_precision"], o["kernel"], o["macs"])
for key in ("macs", "bytes"):
    require(total(kernels, key) == totals[key], f"{key} of the kernels: {total(kernels, key)}, not {totals[key]}")
require(total(operators, "macs") == totals["macs"], f"MACs: {total(operators, 'macs')}, not {totals['macs']}")
require(math.isclose(total(kernels, "predicted_ns"), totals["predicted_ns"], rel_tol=1e-9), "predicted_ns")
require(all(k["predicted_ns"] > 0 and k["bytes"] > 0 for k in kernels), "a kernel that costs nothing")
require(totals["arena_bytes"] >= totals["arena_lower_bound_bytes"] >= 0, "the arena is below its bound")
require(totals["arena_unfused_lower_bound_bytes"] >= 0, "the unfused network has no bound")
require(totals["weights_bytes"] > 0 and totals["code_bytes"] > 0, "weights and code have no size")

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""check_small.py REPORT.json: limits for microcontrollers."""
import json
import sys

with open(sys.argv[1]) as file:
    totals = json.load(file)["totals"]
assert totals["code_bytes"] <= 16 * 1024, totals
assert totals["arena_bytes"] <= 1.02 * totals["arena_proven_bound_bytes"], totals
assert set(totals["undefined_symbols"].split()) <= {"memcpy", "memset"}, totals
assert totals["data_bytes"] == 0 and 0 < totals["stack_bytes"] < 1024, totals

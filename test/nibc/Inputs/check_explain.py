# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The candidates of a report: sorted, one chosen, the cheapest; times add up."""
import json
import sys

with open(sys.argv[1]) as f:
    report = json.load(f)
assert report["kernels"]
for kernel in report["kernels"]:
    candidates = kernel["candidates"]
    times = [c["predicted_ns"] for c in candidates]
    assert times == sorted(times), kernel["name"]
    chosen = [c for c in candidates if c["chosen"]]
    assert len(chosen) == 1 and chosen[0]["predicted_ns"] == times[0], kernel["name"]
    for field in ("schedule", "vocabulary", "tile", "parts", "scratch_bytes", "predicted_ns"):
        assert chosen[0][field] == kernel[field], (kernel["name"], field)
    for c in candidates:
        whole = max(c["compute_ns"], c["memory_ns"]) + c["overhead_ns"]
        assert abs(whole - c["predicted_ns"]) <= 1e-6 * whole, kernel["name"]
    assert kernel["why"].startswith("least predicted time of %d" % len(candidates))

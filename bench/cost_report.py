#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How well the cost model predicts measured kernels.

Usage: bench/cost_report.py [--by schedule] [--worst N] SAMPLES.jsonl
       bench/cost_report.py --same A.jsonl B.jsonl

Samples are what `nib-bench --samples=F` appends; `nib-bench --predict=F` renews their predictions.
For each target: Spearman's rank correlation of predicted and measured time, the median relative error
|predicted - measured| / measured, and the geometric mean of predicted / measured. The least time of a
sample counts, as the noise of a machine only adds, and of one kernel measured several times the least
of all. --same compares two files' predictions.
"""
import argparse
import json
import math
import statistics
import sys
from collections import defaultdict


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def ranks(values):
    """Ranks from 1; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    out = [0.0] * len(values)
    at = 0
    while at < len(order):
        end = at
        while end < len(order) and values[order[end]] == values[order[at]]:
            end += 1
        for i in order[at:end]:
            out[i] = (at + 1 + end) / 2
        at = end
    return out


def spearman(a, b):
    """Correlation of ranks; NaN where one side has no spread."""
    x, y = ranks(a), ranks(b)
    mx, my = statistics.fmean(x), statistics.fmean(y)
    spread = math.sqrt(sum((v - mx) ** 2 for v in x) * sum((v - my) ** 2 for v in y))
    return sum((p - mx) * (q - my) for p, q in zip(x, y)) / spread if spread else math.nan


def measured(sample):
    return sample.get("min_ns", sample["ns"])


def merge(samples):
    """One sample per kernel and target: the fastest."""
    best = {}
    for sample in samples:
        key = sample["target"], json.dumps(sample["desc"], sort_keys=True)
        if key not in best or measured(sample) < measured(best[key]):
            best[key] = sample
    return list(best.values())


def describe(samples):
    real = [measured(s) for s in samples]
    said = [s["predicted_ns"] for s in samples]
    ratios = [p / m for p, m in zip(said, real)]
    errors = [abs(r - 1) for r in ratios]
    mean = math.exp(statistics.fmean(math.log(r) for r in ratios))
    return (f"{len(samples):5} kernels, Spearman {spearman(said, real):6.3f}, "
            f"median error {statistics.median(errors):7.1%}, predicted/measured {mean:6.2f}")


def group_name(sample, by):
    desc = sample["desc"]
    if by == "schedule":
        return f"{sample['target']} {desc['schedule']}/{desc['vocab']}"
    if by == "operator":
        return f"{sample['target']} {desc['schedule']} {desc['ops'][0]}"
    return sample["target"]


def shorten(name, width=60):
    return name if len(name) <= width else name[:24] + "…" + name[-(width - 25):]


def same_predictions(a, b):
    """Exit status: 0 if both files predict the same times for the same kernels."""
    if len(a) != len(b):
        print(f"{len(a)} and {len(b)} samples")
        return 1
    worst = max((abs(x["predicted_ns"] - y["predicted_ns"]) for x, y in zip(a, b)), default=0)
    print(f"{len(a)} samples, predictions differ by at most {worst:.2f} ns")
    return 0 if worst <= 0.1 and all(x["desc"] == y["desc"] for x, y in zip(a, b)) else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--same", action="store_true")
    parser.add_argument("--by", choices=["target", "schedule", "operator"], default="target")
    parser.add_argument("--worst", type=int, default=0, metavar="N")
    args = parser.parse_args()
    if args.same:
        return same_predictions(*(read(path) for path in args.files[:2]))
    samples = merge(sample for path in args.files for sample in read(path))
    groups = defaultdict(list)
    for sample in samples:
        groups[group_name(sample, args.by)].append(sample)
    for name, members in sorted(groups.items()):
        print(f"{shorten(name):60} {describe(members)}")
    miss = lambda s: abs(math.log(s["predicted_ns"] / measured(s)))
    for s in sorted(samples, key=miss, reverse=True)[:args.worst]:
        d = s["desc"]
        print(f"  {measured(s) / 1e3:10.2f} us, predicted {s['predicted_ns'] / 1e3:10.2f}: "
              f"{'+'.join(d['ops'])} {d['schedule']}/{d['vocab']} tile {d['tile'][:2]} "
              f"out {d['tensors'][-1]['dims']} {d['macs']} MACs")
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How well the cost model predicts measured kernels.

Usage: bench/cost_report.py [--by schedule] [--worst N] [--html PAGE] SAMPLES.jsonl
       bench/cost_report.py --same A.jsonl B.jsonl

Samples are what `nib-bench --samples=F` appends; `nib-bench --predict=F` renews their predictions.
Where they are of several candidates of each kernel (`nib-bench --candidates`), also: the rank correlation
within a kernel (the median of the kernels that have four candidates or more) and the regret, which is the time
of the candidate with the least prediction over that of the fastest; of their medians in calm rounds.
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

import cost_page


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
    return sample["ns"] if "kernel" in sample else sample.get("min_ns", sample["ns"])


def merge(samples):
    """One sample per description and target: the fastest."""
    best = {}
    for sample in samples:
        desc = sample["desc"]
        if "kernel" in sample:  # equal kernels differ in the scales that their bodies show
            desc = {key: value for key, value in desc.items() if key != "body"}
        key = sample["target"], json.dumps(desc, sort_keys=True)
        if key not in best or measured(sample) < measured(best[key]):
            best[key] = sample
    return list(best.values())


def describe(samples):
    real = [measured(s) for s in samples]
    said = [s["predicted_ns"] for s in samples]
    ratios = [p / m for p, m in zip(said, real)]
    errors = [abs(r - 1) for r in ratios]
    mean = math.exp(statistics.fmean(math.log(r) for r in ratios))
    return (f"{len(samples):5} samples, Spearman {spearman(said, real):6.3f}, "
            f"median error {statistics.median(errors):7.1%}, predicted/measured {mean:6.2f}")


# ---- candidates of one kernel ----

def by_kernel(samples):
    """Lists of the candidates of each kernel and target."""
    kernels = defaultdict(list)
    for sample in samples:
        if "kernel" in sample:
            kernels[sample["target"], sample["kernel"]].append(sample)
    return [members for members in kernels.values() if len(members) > 1]


def choice_of(kernel):
    """What selection takes of these: the least prediction; of equal ones the first that was weighed."""
    return min(kernel, key=lambda s: (s["predicted_ns"], s.get("rank", 0)))


def regret(kernel):
    return measured(choice_of(kernel)) / min(measured(s) for s in kernel)


def within(kernel):
    return spearman([s["predicted_ns"] for s in kernel], [measured(s) for s in kernel])


def quantile(values, share):
    """The value that `share` of the values do not exceed."""
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def describe_kernels(kernels):
    regrets = [regret(k) for k in kernels]
    ranked = [r for r in (within(k) for k in kernels if len(k) >= 4) if not math.isnan(r)]
    inner = f"{statistics.median(ranked):6.3f}" if ranked else "     -"
    return (f"{len(kernels):5} kernels, within them {inner}, regret {geometric_mean(regrets):5.3f}, "
            f"p90 {quantile(regrets, 0.9):5.2f}, worst {max(regrets):5.2f}")


def form_of(sample):
    desc = sample["desc"]
    return f"{desc['schedule']}/{desc['vocab']}"


def tile_of(sample):
    return "x".join(str(t) for t in sample["desc"]["tile"] if t) or "-"


def say_candidate(sample):
    return (f"{form_of(sample)} {tile_of(sample)} {measured(sample) / 1e3:.2f} us "
            f"(predicted {sample['predicted_ns'] / 1e3:.2f})")


def print_kernels(kernels, args):
    groups = defaultdict(list)
    for kernel in kernels:
        groups[group_name(choice_of(kernel), args.by)].append(kernel)
    if kernels:
        print("\ncandidates, by the choice:")
    for name, members in sorted(groups.items()):
        print(f"{shorten(name):60} {describe_kernels(members)}")
    for kernel in sorted(kernels, key=regret, reverse=True)[:args.worst]:
        d, best = kernel[0]["desc"], min(kernel, key=measured)
        print(f"  {regret(kernel):5.2f}: {'+'.join(d['ops'])} out {d['tensors'][-1]['dims']} kernel {d['kernel']} "
              f"{d['macs']} MACs, {kernel[0].get('model', '')}: {say_candidate(choice_of(kernel))}, best "
              f"{say_candidate(best)}")


def group_name(sample, by):
    desc = sample["desc"]
    if by == "schedule":
        return f"{plain_target(sample['target'])} {desc['schedule']}/{desc['vocab']}"
    if by == "operator":
        return f"{plain_target(sample['target'])} {desc['schedule']} {desc['ops'][0]}"
    return plain_target(sample["target"])


def plain_target(target):
    """A target that is spelled by all its features, by those that matter here."""
    if "avx512vnni" in target:
        return "AVX512-VNNI"
    return target if len(target) < 40 else target[:24] + "…"


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
    parser.add_argument("--html", metavar="PAGE", help="write a page with predicted against measured")
    args = parser.parse_args()
    if args.same:
        return same_predictions(*(read(path) for path in args.files[:2]))
    samples = [sample for path in args.files for sample in read(path)]
    calm = [sample for sample in samples if sample.get("kept") != 0]  # 0: every round was disturbed
    if len(calm) < len(samples):
        print(f"{len(samples) - len(calm)} samples without a calm round left out")
    samples = merge(calm)
    groups = defaultdict(list)
    for sample in samples:
        groups[group_name(sample, args.by)].append(sample)
    for name, members in sorted(groups.items()):
        print(f"{shorten(name):60} {describe(members)}")
    kernels = by_kernel(samples)
    print_kernels(kernels, args)
    if args.html:
        lines = [(name, describe(members)) for name, members in sorted(groups.items())]
        cost_page.write(args.html, samples, kernels, lines, sys.modules[__name__])
    if kernels:
        return 0
    miss = lambda s: abs(math.log(s["predicted_ns"] / measured(s)))
    for s in sorted(samples, key=miss, reverse=True)[:args.worst]:
        d = s["desc"]
        print(f"  {measured(s) / 1e3:10.2f} us, predicted {s['predicted_ns'] / 1e3:10.2f}: "
              f"{'+'.join(d['ops'])} {d['schedule']}/{d['vocab']} tile {d['tile'][:2]} "
              f"out {d['tensors'][-1]['dims']} {d['macs']} MACs")
    return 0


if __name__ == "__main__":
    sys.exit(main())

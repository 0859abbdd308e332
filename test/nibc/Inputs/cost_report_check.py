# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""bench/cost_report.py's arithmetic, on samples whose figures are worked out by hand.

Usage: cost_report_check.py BENCH_FOLDER
"""
import math
import pathlib
import sys

sys.path.insert(0, sys.argv[1])
import cost_report  # noqa: E402


def sample(kernel, predicted, ns, tile=1, target="t", schedule="conv_rows"):
    desc = {"ops": ["conv2d"], "schedule": schedule, "vocab": "v", "tile": [tile, 1, 0, 0], "macs": 1, "kernel": [1, 1],
            "tensors": [{"dims": [1]}], "body": kernel}
    return {"kernel": kernel, "rank": tile, "desc": desc, "target": target, "ns": ns, "min_ns": ns / 2,
            "predicted_ns": predicted}


def near(a, b):
    assert math.isclose(a, b, rel_tol=1e-12), (a, b)


def main():
    assert cost_report.ranks([30, 10, 20, 20]) == [4, 1, 2.5, 2.5]
    near(cost_report.spearman([1, 2, 3, 4], [10, 20, 30, 40]), 1)
    near(cost_report.spearman([1, 2, 3, 4], [4, 3, 2, 1]), -1)
    near(cost_report.spearman([1, 2, 3, 4], [1, 3, 2, 4]), 0.8)  # 1 - 6·2/(4·15)
    near(cost_report.spearman([1, 1, 2], [1, 2, 3]), math.sqrt(3) / 2)  # ties share a rank
    assert math.isnan(cost_report.spearman([1, 1], [1, 2]))
    assert cost_report.quantile(list(range(1, 11)), 0.9) == 9 and cost_report.quantile([5], 0.9) == 5
    near(cost_report.geometric_mean([1, 4]), 2)

    # a: the choice (least prediction) takes 30 where 20 is possible; b: right, its order reversed otherwise.
    a = [sample("a", 1, 30, 1), sample("a", 2, 20, 2), sample("a", 3, 40, 3), sample("a", 4, 50, 4)]
    b = [sample("b", 10, 100, 1), sample("b", 20, 400, 2), sample("b", 30, 300, 3), sample("b", 40, 200, 4)]
    near(cost_report.regret(a), 1.5)
    near(cost_report.regret(b), 1)
    near(cost_report.within(a), 0.8)
    near(cost_report.within(b), 0.2)  # 1 - 6·(4 + 4)/(4·15)
    # Of equal predictions the one that was weighed first is the choice.
    near(cost_report.regret([sample("c", 5, 80, 2), sample("c", 5, 60, 1), sample("c", 9, 40, 3)]), 1.5)
    # One of several measurements of the same candidate counts: the fastest.
    assert len(cost_report.merge(a + [sample("a", 1, 25, 1)])) == 4
    near(cost_report.regret(cost_report.merge(a + [sample("a", 1, 25, 1)])), 1.25)
    # A kernel is one of a target, and one candidate alone says nothing.
    assert len(cost_report.by_kernel(a + b + [sample("a", 1, 1, target="u")])) == 2
    text = cost_report.describe_kernels([a, b])
    assert text.split() == ("2 kernels, within them 0.500, regret 1.225, p90 1.50, worst 1.50").split(), text
    page = pathlib.Path(sys.argv[2])
    cost_report.cost_page.write(page, a + b, [a, b], [("t", "text")], cost_report)
    assert page.read_text(encoding="utf-8").count("<circle") == 8
    print("as worked out")


main()

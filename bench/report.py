# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The table in text, and the summary: geometric means, targets met."""
import fnmatch
import math

HEADER = (f"{'case':20} {'variant':9} {'us':>9} {'+-':>4} {'peer us':>9} {'ratio':>6} {'limit us':>9} {'limit':>6} "
          f"{'peer':>5}  {'kept':>7}  wanted")

WORDS = {True: "met", False: "not met", None: "unknown here"}


def number(row: dict, key: str, form: str, width: int, unit: str = "") -> str:
    return (format(row[key], form) + unit if row.get(key) is not None else "-").rjust(width)


def verdict(targets: list) -> str:
    return ", ".join(f"{target} {WORDS[met]}" for target, met in targets)


def details(row: dict) -> str:
    """Of several peers, each one's time; what a compilation took."""
    if "peak_mb" in row:
        return f"  ({row['seconds']:.2f} s of processor time, {row['peak_mb']:.0f} MB)"
    if "one_thread_ratio" in row and row["variant"] != "c99":
        return f"  ({row['one_thread_ratio']:.2f} times one thread)"
    if row["variant"] == "f16":
        return f"  ({row['float_ratio']:.2f} times f32)"
    several = row.get("peers", {}) if len(row.get("peers", {})) > 1 else {}
    return "  (" + ", ".join(f"{name} {peer['us']:.1f}" for name, peer in several.items()) + ")" if several else ""


def line(row: dict) -> str:
    return (f"{row['case']:20} {row['variant']:9} {number(row, 'ours_us', '.2f', 9)} {row['spread']:4.0%} "
            f"{number(row, 'peer_us', '.2f', 9)} {number(row, 'ratio', '.3g', 6, 'x')} "
            f"{number(row, 'limit_us', '.2f', 9)} "
            f"{number(row, 'percent', '.1f', 6, '%')} {number(row, 'peer_percent', '.0f', 5, '%')}  "
            f"{row['kept']:3}/{row['rounds']:<3}  {verdict(row['targets'])}{details(row)}")


def limit_line(limit: dict) -> str:
    value = f"{limit['value']:8.1f} " if limit["value"] else ""
    return f"limit {limit['name']:10} {value}{limit['info']}"


def judge(rows: list, cases: list) -> None:
    """Gives each row its targets with whether they are met (None: not known here)."""
    chosen = {case.name: case for case in cases}
    first = {}
    for row in rows:
        first.setdefault(row["case"], row)
    for row in rows:
        case = chosen[row["case"]]
        other = first.get(case.values.get("than"))
        if other:
            row["than_ratio"] = other["ours_us"] / row["ours_us"]
        wanted = case.want.get(row["variant"].replace(" ", ""), [])
        row["targets"] = [[target, is_met(target, row)] for target in wanted]


def is_met(target: str, row: dict):
    """Whether a target holds, None where that is unknown: docs/benchmarks.md lists their forms."""
    if target.startswith("<"):
        return row[{"x": "over_clang", "s": "seconds", "M": "peak_mb"}[target[-1]]] <= float(target[1:-1])
    if target.endswith("t") and "percent" not in row:
        return None  # without the limit's instructions the other case is no yardstick
    if target.endswith("p") and row.get("shared_core"):
        return None
    value = row.get({"%": "percent", "x": "ratio", "f": "float_ratio", "t": "than_ratio",
                     "p": "one_thread_ratio"}[target[-1]])
    return None if value is None else value >= float(target[:-1])


def peer_settings(rows: list) -> list:
    """What the peers said of themselves, each once; all run on one thread."""
    found = {}
    for row in rows:
        if row.get("peer_info"):
            found[f"{row['peer']}: {row['peer_info']}"] = None
        found.update((peer["info"], None) for peer in row.get("peers", {}).values())
    return sorted(found)


def geometric_mean(values: list) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def groups(rows: list, wanted: list) -> list:
    """Geometric mean of the ratios of each group's variants, with its targets."""
    out = []
    for pattern, want in wanted:
        for variant, targets in want.items():
            ratios = [r["ratio"] for r in rows if r["variant"] == variant and r.get("ratio")
                      and fnmatch.fnmatch(r["case"], pattern)]
            if ratios:
                mean = geometric_mean(ratios)
                out.append({"case": pattern, "variant": variant, "cases": len(ratios), "ratio": mean,
                            "least": min(ratios), "targets": [[t, mean >= float(t.rstrip("x"))] for t in targets]})
    return out


def summary(rows: list, means: list, wanted: int) -> str:
    """Geometric means, and how many of the wanted targets of the cases are met."""
    lines = [f"{m['case']:20} {m['variant']:9} geometric mean {m['ratio']:.2f}x of {m['cases']} cases, least "
             f"{m['least']:.2f}x  {verdict(m['targets'])}" for m in means]
    judged = [met for row in rows + means for _, met in row["targets"]]
    unmeasured = wanted - sum(len(row["targets"]) for row in rows)
    lines.append(f"targets: {judged.count(True)} met, {judged.count(False)} not met, {judged.count(None)} unknown here"
                 + (f", {unmeasured} of what was skipped" if unmeasured else ""))
    return "\n".join(lines)


def finish(settings: list, limits: list, rows: list, cases: list, wanted: list) -> dict:
    """Prints what follows the table; all results."""
    means, peers = groups(rows, wanted), peer_settings(rows)
    print("\n".join(f"peer: {peer}" for peer in peers))
    print(summary(rows, means, sum(len(t) for c in cases for t in c.want.values())))
    return {"settings": settings + peers, "limits": limits, "rows": rows, "groups": means}

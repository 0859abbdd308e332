# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The results as one page that needs nothing else: bars in SVG, a table of targets, what was measured with."""
import html

from report import WORDS

STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; color: #222; margin: 2em auto; max-width: 66em; padding: 0 1em }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }
table { border-collapse: collapse } td, th { padding: .15em .8em; text-align: left; border-bottom: 1px solid #ddd }
td.n { text-align: right; font-variant-numeric: tabular-nums }
svg text { font: 12px system-ui, sans-serif } .met { color: #176b30 } .not { color: #a52020 }
.ours { fill: #2a6fb0 } .ours2 { fill: #7fb0dc } .peer { fill: #b9b9b9 } .limit { stroke: #a52020; stroke-width: 2 }
"""
LABEL, WIDTH, BAR, GAP = 190, 560, 13, 9
CLASS = {True: "met", False: "not", None: ""}


def microseconds(us: float) -> str:
    unit, size = next((u, s) for u, s in (("s", 1e6), ("ms", 1e3), ("µs", 1)) if us >= s or s == 1)
    return f"{us / size:.2f} {unit}"


def bars_of(rows: list) -> list:
    """(label, µs, class) of one case: our variants, then the peers."""
    bars = [(row["variant"], row["ours_us"], "ours" if i == 0 else "ours2") for i, row in enumerate(rows)]
    peers = {}
    for row in rows:
        if row.get("peer_us"):
            peers.setdefault(row["peer"] if len(rows) == 1 or row["variant"] != "float" else f"{row['peer']} float",
                             row["peer_us"])
        for name, peer in row.get("peers", {}).items():
            peers.setdefault(name if row["variant"] != "float" else f"{name} float", peer["us"])
    return bars + [(name, us, "peer") for name, us in peers.items()]


def case_svg(name: str, rows: list) -> str:
    """One case: bars as long as their time, the limit as a line through them."""
    bars = bars_of([r for r in rows if r["variant"] != "c99"])
    limit = next((r["limit_us"] for r in rows if r.get("limit_us")), None)
    scale = WIDTH / max(us for _, us, _ in bars)
    height = len(bars) * (BAR + 3) + GAP
    parts = [f'<svg width="{LABEL + WIDTH + 110}" height="{height}" role="img" aria-label="{html.escape(name)}">',
             f'<text x="0" y="{BAR - 2}" font-weight="bold">{html.escape(name)}</text>']
    for i, (label, us, kind) in enumerate(bars):
        y, width = i * (BAR + 3), max(us * scale, 1)
        share = f" · {100 * limit / us:.0f} %" if limit else ""
        parts.append(f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR}" class="{kind}"/>'
                     f'<text x="{LABEL - 6}" y="{y + BAR - 2}" text-anchor="end">{html.escape(label)}</text>'
                     f'<text x="{LABEL + width + 5:.1f}" y="{y + BAR - 2}">{microseconds(us)}{share}</text>')
    if limit:
        x = LABEL + limit * scale
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - GAP}" class="limit"/>')
    return "".join(parts) + "</svg>"


def target_rows(rows: list) -> str:
    out = []
    for row in rows:
        for target, met in row["targets"]:
            found = " · ".join(text for text in (
                f"{row['percent']:.1f} %" if row.get("percent") else "",
                f"{row['ratio']:.2f}x" if row.get("ratio") else "",
                f"{row['seconds']:.2f} s, {row['peak_mb']:.0f} MB" if row.get("seconds") else "",
                f"{row['float_ratio']:.2f} times float32" if row.get("float_ratio") else "",
                f"{row['one_thread_ratio']:.2f} times one thread" if row.get("one_thread_ratio") else "",
                f"{row['than_ratio']:.2f} times the other" if row.get("than_ratio") else "") if text)
            out.append(f"<tr><td>{html.escape(row['case'])}</td><td>{row['variant']}</td><td>{html.escape(target)}</td>"
                       f"<td class=n>{found or '-'}</td><td class='{CLASS[met]}'>{WORDS[met]}</td></tr>")
    return "".join(out)


def page(results: dict) -> str:
    """HTML of what bench/run.py --json writes."""
    by_case = {}
    for row in results["rows"]:
        by_case.setdefault(row["case"], []).append(row)
    sections = {}
    for name, rows in by_case.items():
        sections.setdefault(name.split(".")[0], []).append(case_svg(name, rows))
    limits = "".join(f"<tr><td>{x['name']}</td><td class=n>{x['value']:.1f}</td><td>{html.escape(x['info'])}</td></tr>"
                     for x in results["limits"] if x["value"])
    settings = "".join(f"<li>{html.escape(s)}</li>" for s in results["settings"])
    body = "".join(f"<h2>{html.escape(title)}</h2>{'<br>'.join(figures)}" for title, figures in sections.items())
    return f"""<!DOCTYPE html><html lang="en"><meta charset="utf-8">
<title>Nibble: benchmarks</title><style>{STYLE}</style>
<h1>Nibble: generated kernels beside their peers and the machine's limits</h1>
<p>One core, medians. Shorter is better: blue is Nibble, grey the peers, the red line what the core can do at best, and
per cent the share of it that is reached. docs/benchmarks.md says how this is measured.</p>
<ul>{settings}</ul>{body}
<h2>Targets</h2><table><tr><th>case<th>variant<th>wanted<th>found<th></tr>
{target_rows(results['rows'] + results['groups'])}</table>
<h2>Limits of this core</h2><table>{limits}</table></html>
"""

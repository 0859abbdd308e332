# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""bench/cost_report.py's figures as one page that needs nothing else: predicted against measured time, and regrets."""
import html
import math

COLOURS = ["#2a6fb0", "#d1742b", "#2f8f4e", "#a52020", "#7b4fa3", "#6b5b3e", "#c2569b", "#4d9aa8", "#8a8a1f", "#555"]
SIDE, MARGIN = 460, 52
STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; color: #222; margin: 2em auto; max-width: 66em; padding: 0 1em }
table { border-collapse: collapse } td, th { padding: .15em .8em; text-align: left; border-bottom: 1px solid #ddd }
svg text { font: 12px system-ui, sans-serif } .axis { stroke: #ccc } .equal { stroke: #888; stroke-dasharray: 4 3 }
circle { fill-opacity: .55 } figure { display: inline-block; margin: 0 1em 1em 0 }
"""


def limits(samples, report):
    """Powers of ten around all times, in ns."""
    values = [v for s in samples for v in (s["predicted_ns"], report.measured(s))]
    return math.floor(math.log10(min(values))), max(math.ceil(math.log10(max(values))), 1)


def axes(low, high, place):
    parts = []
    for power in range(low, high + 1):
        at, label = place(10.0 ** power), f"{10.0 ** (power - 3):g}"
        parts.append(f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{SIDE}"/>'
                     f'<line class="axis" x1="{MARGIN}" x2="{SIDE + MARGIN}" y1="{SIDE + MARGIN - at:.1f}" '
                     f'y2="{SIDE + MARGIN - at:.1f}"/>'
                     f'<text x="{at:.1f}" y="{SIDE + 16}" text-anchor="middle">{label}</text>'
                     f'<text x="{MARGIN - 5}" y="{SIDE + MARGIN - at + 4:.1f}" text-anchor="end">{label}</text>')
    parts.append(f'<line class="equal" x1="{MARGIN}" y1="{SIDE}" x2="{SIDE + MARGIN}" y2="0"/>'
                 f'<text x="{MARGIN + SIDE / 2}" y="{SIDE + 34}" text-anchor="middle">measured, µs</text>'
                 f'<text x="12" y="{SIDE / 2}" transform="rotate(-90 12 {SIDE / 2})" text-anchor="middle">'
                 f'predicted, µs</text>')
    return parts


def scatter(title, samples, colour_of, report):
    low, high = limits(samples, report)
    place = lambda ns: MARGIN + (math.log10(ns) - low) / (high - low) * SIDE
    parts = [f'<figure><figcaption>{html.escape(title)}</figcaption>'
             f'<svg width="{SIDE + MARGIN + 20}" height="{SIDE + 40}" role="img" aria-label="{html.escape(title)}">',
             *axes(low, high, place)]
    for s in samples:
        x, y = place(report.measured(s)), SIDE + MARGIN - place(s["predicted_ns"])
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour_of(s)}"><title>'
                     f'{html.escape("+".join(s["desc"]["ops"]))} {html.escape(report.say_candidate(s))}</title></circle>')
    return "".join(parts) + "</svg></figure>"


def regret_rows(kernels, report):
    rows = []
    for kernel in sorted(kernels, key=report.regret, reverse=True)[:40]:
        desc, best = kernel[0]["desc"], min(kernel, key=report.measured)
        cells = [f"{report.regret(kernel):.2f}", "+".join(desc["ops"]), str(desc["tensors"][-1]["dims"]),
                 report.plain_target(kernel[0]["target"]), report.say_candidate(report.choice_of(kernel)),
                 report.say_candidate(best)]
        rows.append("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in cells) + "</tr>")
    return "".join(rows)


def write(path, samples, kernels, lines, report):
    """`report`: the module that has measured, regret and so on; `lines`: (name, text) of each group."""
    schedules = sorted({s["desc"]["schedule"] for s in samples})
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(schedules)}
    colour_of = lambda s: colours[s["desc"]["schedule"]]
    targets = sorted({report.plain_target(s["target"]) for s in samples})
    figures = "".join(scatter(t, [s for s in samples if report.plain_target(s["target"]) == t], colour_of, report)
                      for t in targets)
    key = " ".join(f'<span style="color:{colours[name]}">● {html.escape(name)}</span>' for name in schedules)
    groups = "".join(f"<tr><td>{html.escape(n)}</td><td>{html.escape(text)}</td></tr>" for n, text in lines)
    sums = f"<p>Candidates: {html.escape(report.describe_kernels(kernels))}.</p>" if kernels else ""
    page = f"""<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Nibble: the cost model</title><style>{STYLE}</style>
<h1>Predicted and measured time of kernels</h1>
<p>A point is one way to run one kernel. On the dashed line the prediction is right; choosing needs only the order.</p>
<table>{groups}</table>{sums}<p>{key}</p>{figures}
<h2>Where the choice costs most</h2>
<table><tr><th>regret<th>operators<th>result<th>target<th>choice<th>best measured</tr>{regret_rows(kernels, report)}</table></html>
"""
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Nibble against its peers and the machine's limits, on one core, in one run.

Usage: bench/run.py --build BUILD [--only PATTERN] [--rounds N] [--json FILE]

The cases and what is wanted of each are in bench/cases.txt; docs/benchmarks.md says how to read the
table. Outputs are compared before anything is timed. What the peers need is installed below BUILD/bench.
"""
import argparse
import json
import pathlib
import sys

import cases as table
import peers


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--only", default="", metavar="PATTERN", help="cases with PATTERN in their name (* and ? allowed)")
    parser.add_argument("--rounds", type=int, default=41, help="samples of each entry (default 41)")
    parser.add_argument("--budget", type=float, default=2, help="seconds that an entry may take (default 2)")
    parser.add_argument("--cpu", type=int, default=-1, help="core to run on (default: the last one allowed)")
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def run_cases(selected: list, options) -> list:
    import kernels
    import networks
    import report
    rows, settings = [], {}
    print(report.HEADER)
    for case in selected:
        runner = networks if case.kind == "net" else kernels
        try:
            made = runner.run_case(options.build, case, options)
        except RuntimeError as error:
            print(f"{case.name:20} skipped: {error}", flush=True)
            continue
        rows += made
        print("\n".join(map(report.line, made)), flush=True)
        for row in made:
            settings.update({info["info"]: None for info in row.get("peers", {}).values()})
    for info in settings:
        print(f"peer: {info}")
    return rows


def main() -> int:
    options = parse_arguments()
    options.build = options.build.resolve()
    (options.build / "bench").mkdir(parents=True, exist_ok=True)
    peers.reexec_in_venv(options.build)
    import kernels
    import report

    cases, groups = table.read_table()
    limits = kernels.run_limits(options.build, options)
    for limit in limits:
        print(f"limit {limit['name']:10} " + (f"{limit['value']:8.1f} {limit['info']}" if limit["value"] else limit["info"]))
    rows = run_cases(table.select(cases, options.only), options)
    means = report.groups(rows, groups)
    print(report.summary(rows, means))
    if options.json:
        options.json.write_text(json.dumps({"limits": limits, "rows": rows, "groups": means}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

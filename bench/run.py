#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Nibble against its peers and the machine's limits, on one core, in one run.

Usage: bench/run.py --build BUILD [--only PATTERN] [--rounds N] [--json FILE] [--html FILE]
       bench/run.py --build BUILD --pack FOLDER [--target TARGET] [--python 3.12] [--only PATTERN]

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
    parser.add_argument("--only", default="", metavar="PATTERN",
                        help="cases with PATTERN in their name (* and ? allowed)")
    parser.add_argument("--rounds", type=int, default=41, help="samples of each entry (default 41)")
    parser.add_argument("--budget", type=float, default=2, help="seconds that an entry may take (default 2)")
    parser.add_argument("--cpu", type=int, default=-1, help="core to run on (default: the last one allowed)")
    parser.add_argument("--json", type=pathlib.Path, help="write everything, for scripts")
    parser.add_argument("--html", type=pathlib.Path, help="write a page of plots (default BUILD/bench/bench.html)")
    parser.add_argument("--target", default="native", help="of nibc, for cases without one of their own (default native)")
    parser.add_argument("--also", action="append", default=[], metavar="FORM",
                        help="kernels also in this form, if they have it (of nibc's --prefer): conv_rows/avx2:4x2")
    parser.add_argument("--no-peers", action="store_true", help="install nothing, and compare kernels with the limits alone")
    parser.add_argument("--pack", type=pathlib.Path, metavar="FOLDER",
                        help="measure nothing: put all into FOLDER, for `sh FOLDER/run.sh` on another machine")
    parser.add_argument("--python", default=f"{sys.version_info[0]}.{sys.version_info[1]}", metavar="VERSION",
                        help="of the machine that FOLDER goes to (default this one's)")
    return parser.parse_args()


def machine() -> str:
    """The processor and the compiler that built the kernels."""
    lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown processor")
    return f"{model}; kernels built by {peers.run([peers.CC, '--version']).stdout.splitlines()[0]}"


def run_cases(selected: list, options) -> list:
    import compiling
    import kernels
    import networks
    import report
    runners = {"net": networks, "compile": compiling}
    rows = []
    print(report.HEADER)
    for case in selected:
        try:
            made = runners.get(case.kind, kernels).run_case(options.build, case, options)
        except RuntimeError as error:
            print(f"{case.name:20} skipped: {error}", flush=True)
            continue
        rows += made
        report.judge(rows, selected)
        print("\n".join(map(report.line, made)), flush=True)
    return rows


def main() -> int:
    options = parse_arguments()
    options.build = options.build.resolve()
    options.portable = True
    (options.build / "bench").mkdir(parents=True, exist_ok=True)
    if options.no_peers:
        peers.find_numpy(options.build)
    else:
        peers.reexec_in_venv(options.build)
    import kernels
    import page
    import report

    cases, groups = table.read_table()
    selected = table.select(cases, options.only)
    if not selected:
        sys.exit(f"no case is called '{options.only}'; bench/cases.txt lists them")
    if options.pack:
        import pack
        return pack.pack(selected, options)
    settings = [machine()]
    print(settings[0])
    limits = kernels.run_limits(peers.build_harness(options.build, options), options.build / "bench", options)
    print("\n".join(map(report.limit_line, limits)))
    rows = run_cases(selected, options)
    results = report.finish(settings, limits, rows, selected, groups)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    out = options.html or options.build / "bench" / "bench.html"
    out.write_text(page.page(results), encoding="utf-8")
    print(f"plots: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures cases that `bench/run.py --pack` compiled elsewhere; run.sh beside the archive starts it.

Cases that read from the last cache or from memory, and those with threads, run alone. The others stay within
a core: some run side by side, each on a core of its own. Every case is a process of its own with a time limit,
so that one that fails takes nothing else with it. Where many cores stand idle they make the data beforehand.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import platform
import signal
import subprocess
import sys
import time
import types

# Each process that is measured has one core, and numpy computes expected results on one.
os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})

import cases as table
import kernels
import networks
import page
import report

HERE = pathlib.Path(__file__).resolve().parent.parent
SIDE_BY_SIDE, OWN_CACHE = 4, 1 << 20
CASE_SECONDS = 60


def parse_arguments():
    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("patterns", nargs="*", metavar="PATTERN",
                        help="cases with PATTERN in their name (* and ? allowed; default all)")
    parser.add_argument("-o", dest="output", type=pathlib.Path, default=os.environ.get("OUT", "results"),
                        help="folder for results.json, table.txt and bench.html (default $OUT, or ./results)")
    parser.add_argument("--rounds", type=int, default=31, help="samples of each entry (default 31)")
    parser.add_argument("--budget", type=float, default=1.5, help="seconds that an entry may take (default 1.5)")
    parser.add_argument("--seconds", type=float, default=240, help="cases begin no later than that (default 240)")
    parser.add_argument("--side-by-side", type=int, default=SIDE_BY_SIDE, metavar="N",
                        help=f"cases within a core at a time (default {SIDE_BY_SIDE}, or as many as there are cores)")
    parser.add_argument("--list", action="store_true", help="say which cases are packed, and measure nothing")
    parser.add_argument("--child", nargs=2, metavar=("STAGE", "CASE"), help=argparse.SUPPRESS)
    return parser.parse_args()


# ---- in a process of its own ----

def load(name: str):
    contents = json.loads((HERE / "packed.json").read_text(encoding="utf-8"))
    case = next(c for c in table.read_table()[0] if c.name == name)
    return case, {variant: HERE / "cases" / path for variant, path in contents["cases"][name].items()}


def run_child(stage: str, name: str, options) -> None:
    """Prints notes, and as the last line rows in JSON."""
    options = types.SimpleNamespace(cpu=-1, rounds=options.rounds, budget=options.budget)
    work = HERE / "work" / name
    if stage == "limits":
        work.mkdir(parents=True, exist_ok=True)
        print(json.dumps(kernels.run_limits(HERE / "compare", work, options)))
        return
    case, files = load(name)
    if case.kind == "net":
        print(json.dumps(networks.measure(list(files.values()), options) if stage == "measure" else []))
        return
    data = table.make(case)
    if stage == "prepare":
        kernels.write_job(work, case, data, files, options)
    print(json.dumps(kernels.measure(HERE / "compare", work / "job", case, data) if stage == "measure" else []))


# ---- the order ----

def physical_cores() -> list:
    """One of the allowed logical processors of each core."""
    seen, cores = set(), []
    for cpu in sorted(os.sched_getaffinity(0)):
        path = pathlib.Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        siblings = path.read_text() if path.exists() else str(cpu)
        if siblings not in seen:
            seen.add(siblings)
            cores.append(cpu)
    return cores


def runs_alone(case) -> bool:
    """Whether others would disturb it: it reads more than a core's own cache holds, or has threads."""
    if case.kind == "net":
        files = load(case.name)[1].values()
        return "threads" in case.values or any((f / "net.tflite").stat().st_size > OWN_CACHE for f in files)
    s = case.shape
    return "read" in case.values["limit"] or s["n"] * s["k"] > OWN_CACHE


class Measurement:
    """Starts processes on cores, and keeps what they said."""

    def __init__(self, options):
        self.options, self.start, self.rows, self.lines = options, time.monotonic(), [], []
        self.cores = physical_cores()

    def say(self, text: str) -> None:
        self.lines.append(text)
        print(text, flush=True)

    def child(self, stage: str, name: str, cores: list) -> list:
        """Rows of a process that has only these cores; RuntimeError where it failed."""
        os.sched_setaffinity(0, cores)  # of this thread: the process inherits it
        command = [sys.executable, __file__, "--child", stage, name, "--rounds", str(self.options.rounds), "--budget",
                   str(self.options.budget)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   start_new_session=True)
        try:
            out, error = process.communicate(timeout=CASE_SECONDS)
        except subprocess.TimeoutExpired as late:
            os.killpg(process.pid, signal.SIGKILL)  # with what it started
            process.communicate()
            raise RuntimeError(f"took more than {CASE_SECONDS} s") from late
        if process.returncode:
            raise RuntimeError((error.strip().splitlines() or [f"ended with {process.returncode}"])[-1][-300:])
        *notes, result = out.splitlines()
        for note in notes:
            self.say(note)
        return json.loads(result)

    def attempt(self, stage: str, case, cores: list):
        if stage == "measure" and time.monotonic() - self.start > self.options.seconds:
            self.say(f"{case.name:20} skipped: no time was left")
            return None
        try:
            return self.child(stage, case.name, cores)
        except Exception as error:  # whatever befell one case, the others are measured
            self.say(f"{case.name:20} {'' if stage == 'measure' else stage + ' '}skipped: {error}")
            return None

    def measure(self, case, cores: list, selected: list) -> None:
        rows = self.attempt("measure", case, cores)
        if rows:
            self.rows += rows
            report.judge(self.rows, selected)
            self.say("\n".join(map(report.line, rows)))

    def side_by_side(self, stage: str, chosen: list, places: list, then) -> None:
        """Cases in turn on whichever of the places (lists of cores) is free."""
        free = list(places)
        with concurrent.futures.ThreadPoolExecutor(len(places)) as pool:
            def one(case):
                cores = free.pop()
                try:
                    then(case, cores)
                finally:
                    free.append(cores)
            list(pool.map(one, chosen))

    def run(self, selected: list) -> list:
        """Measures all; the limits."""
        cores = self.cores
        prepared = {}
        self.side_by_side("prepare", selected, [[c] for c in cores],
                          lambda case, on: prepared.update({case.name: self.attempt("prepare", case, on)}))
        ready = [case for case in selected if prepared[case.name] is not None]
        self.say(f"data made in {time.monotonic() - self.start:.0f} s")
        try:
            limits = self.child("limits", "limits", cores[-1:])
        except (RuntimeError, ValueError) as error:
            limits = []
            self.say(f"limits skipped: {error}")
        self.say("\n".join(map(report.limit_line, limits)))
        self.say(report.HEADER)
        together, alone = [c for c in ready if not runs_alone(c)], [c for c in ready if runs_alone(c)]
        places = [[c] for c in cores[-max(1, min(self.options.side_by_side, len(cores))):]]
        self.side_by_side("measure", together, places, lambda case, on: self.measure(case, on, selected))
        for case in alone:
            self.measure(case, cores[-case.number("threads", 1):], selected)
        self.say(f"measured in {time.monotonic() - self.start:.0f} s")
        return limits


def machine(contents: dict) -> list:
    lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    first = lambda key: next((line.split(":")[1].strip() for line in lines if line.startswith(key)), "unknown")
    caches = ", ".join(f"L{level} {size >> 10} KiB" for level, size in sorted(kernels.read_cache_sizes().items()))
    flags = [f for f in first("flags").split() if f.startswith(("avx", "amx"))]
    return [f"{first('model name')} (family {first('cpu family')}, model {first('model')}), {caches}; kernels of "
            f"{contents['source']} for {contents['target']}, built by {contents['compilers'][0]}",
            f"instructions: {' '.join(flags)}", f"{platform.platform()}, Python {platform.python_version()}"]


def main() -> int:
    options = parse_arguments()
    if options.child:
        run_child(*options.child, options)
        return 0
    contents = json.loads((HERE / "packed.json").read_text(encoding="utf-8"))
    cases, groups = table.read_table()
    there = [case for case in cases if case.name in contents["cases"]]
    chosen = {c.name for pattern in options.patterns or [""] for c in table.select(there, pattern)}
    selected = [case for case in there if case.name in chosen]
    if options.list or not selected:
        print("\n".join(case.name for case in there))
        return 0 if options.list else "no case is called so; these are packed"
    options.output = options.output.resolve()
    options.output.mkdir(parents=True, exist_ok=True)
    work = Measurement(options)
    settings = machine(contents)
    work.say("\n".join(settings))
    limits = work.run(selected)
    order = {case.name: i for i, case in enumerate(selected)}
    work.rows.sort(key=lambda row: order[row["case"]])
    report.judge(work.rows, selected)
    results = report.finish(settings, limits, work.rows, selected, groups)
    write_results(options.output, work, results, selected)
    return 0


def write_results(output: pathlib.Path, work: Measurement, results: dict, selected: list) -> None:
    (output / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    text = [*results["settings"], *map(report.limit_line, results["limits"]), report.HEADER,
            *map(report.line, work.rows), report.summary(work.rows, results["groups"],
                                                         sum(len(t) for c in selected for t in c.want.values()))]
    (output / "table.txt").write_text("\n".join(text) + "\n\nas it went:\n" + "\n".join(work.lines) + "\n",
                                      encoding="utf-8")
    (output / "bench.html").write_text(page.page(results), encoding="utf-8")
    print(f"results: {output}")


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures cases that `bench/run.py --pack` compiled elsewhere; run.sh beside the archive starts it.

All cores make the data; then cases are measured one after the other on the core that is quietest, those that
many disturbed samples were dropped of once more at the end. With --side-by-side, cases that stay within a core run
several at a time; those that read from the last cache or from memory, and those with threads, alone. Every case is
a process of its own with a time limit, so that one that fails takes nothing else with it.
"""
import argparse
import concurrent.futures
import fnmatch
import json
import os
import pathlib
import platform
import signal
import statistics
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
OWN_CACHE = 1 << 20
CASE_SECONDS = 60
# A loop that shares its core reaches less than this share of its speed; samples of a probe, and probes.
SHARED_SPEED, PROBE_ROUNDS, PROBES = 0.8, 151, 3
# Cases of which a smaller share of samples was undisturbed are measured again, at most so often.
CLEAN_SHARE, MOST_REPEATS = 0.5, 3


def parse_arguments():
    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("patterns", nargs="*", metavar="PATTERN",
                        help="cases with PATTERN in their name (* and ? allowed; default all)")
    parser.add_argument("-o", dest="output", type=pathlib.Path, default=os.environ.get("OUT", "results"),
                        help="folder for results.json, table.txt and bench.html (default $OUT, or ./results)")
    parser.add_argument("--rounds", type=int, default=31, help="samples of each entry (default 31)")
    parser.add_argument("--budget", type=float, default=1.5, help="seconds that an entry may take (default 1.5)")
    parser.add_argument("--seconds", type=float, default=240, help="cases begin no later than that (default 240)")
    parser.add_argument("--side-by-side", type=int, default=1, metavar="N",
                        help="cases within a core's own cache at a time (default 1: several disturb one another a little)")
    parser.add_argument("--wanted", action="store_true", help="leave out variants of which nothing is wanted")
    parser.add_argument("--list", action="store_true", help="say which cases are packed, and measure nothing")
    parser.add_argument("--child", nargs=2, metavar=("STAGE", "CASE"), help=argparse.SUPPRESS)
    return parser.parse_args()


# ---- in a process of its own ----

def wanted(case) -> set:
    """Variants of which something is wanted, of the case or of a group of it."""
    groups = [want for pattern, want in table.read_table()[1] if fnmatch.fnmatch(case.name, pattern)]
    return {variant for want in [case.want, *groups] for variant in want}


def load(name: str, only_wanted: bool = False):
    """A case and its files by variant."""
    contents = json.loads((HERE / "packed.json").read_text(encoding="utf-8"))
    case = next(c for c in table.read_table()[0] if c.name == name)
    files = {variant: HERE / "cases" / path for variant, path in contents["cases"][name].items()}
    chosen = {v: f for v, f in files.items() if v in wanted(case)} if only_wanted and case.kind != "net" else {}
    return case, chosen or files


def run_child(stage: str, name: str, options) -> None:
    """Prints notes, and as the last line rows in JSON."""
    only_wanted = options.wanted
    options = types.SimpleNamespace(cpu=-1, rounds=options.rounds, budget=options.budget, portable=not only_wanted)
    work = HERE / "work" / name
    if stage == "limits":
        work.mkdir(parents=True, exist_ok=True)
        print(json.dumps(kernels.run_limits(HERE / "compare", work, options)))
        return
    case, files = load(name, only_wanted)
    if case.kind == "net":
        print(json.dumps(networks.measure(list(files.values()), options) if stage == "measure" else []))
        return
    data = table.make(case)
    if stage == "prepare":
        kernels.write_job(work, case, data, files, options)
    print(json.dumps(kernels.measure(HERE / "compare", work / "job", case, data) if stage == "measure" else []))


# ---- cores ----

def loop_speeds(cores: list, folder: pathlib.Path) -> list:
    """What a loop of vector instructions reaches on each of the cores, all at once."""
    running = []
    for core in cores:
        job = folder / f"loop{core}.job"
        job.write_text(f"cpu {core}\nrounds {PROBE_ROUNDS}\nbudget 1\nlimit f32-ymm\n", encoding="utf-8")
        running.append(subprocess.Popen([HERE / "compare", job], stdout=subprocess.PIPE, text=True))
    outputs = [process.communicate()[0] for process in running]
    return [1 / statistics.median(json.loads(out)["entries"][0]["ns"]) for out in outputs]


def siblings_by_name(cores: list) -> dict:
    """Which processors the system says share a core, by the first of them."""
    groups = {}
    for cpu in cores:
        path = pathlib.Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        groups.setdefault(path.read_text() if path.exists() else str(cpu), []).append(cpu)
    return groups


def physical_cores(folder: pathlib.Path) -> tuple:
    """One processor of each core, and a line that says how they were told apart: a virtual machine may hide which
    share one, but a loop on one of them then slows the other."""
    cores = sorted(os.sched_getaffinity(0))
    named = siblings_by_name(cores)
    if len(named) < len(cores):
        return [group[0] for group in named.values()], "cores as the system names them"
    best = lambda on: max(loop_speeds(on, folder)[0] for _ in range(PROBES))  # others disturb it now and then
    alone = best(cores[:1])
    for apart in sorted({1, len(cores) // 2} - {0}):
        if apart < len(cores) and best([cores[0], cores[apart]]) < SHARED_SPEED * alone:
            first = [c for i, c in enumerate(cores) if i // apart % 2 == 0]
            return first, f"processors {cores[0]} and {cores[apart]} slow one another: one of each pair is used"
    return cores, "no two processors were seen to share a core"


# ---- the order ----

def runs_alone(case) -> bool:
    """Whether others would disturb it: it reads more than a core's own cache holds, or has threads."""
    if case.kind == "net":
        files = load(case.name)[1].values()
        return "threads" in case.values or any((f / "net.tflite").stat().st_size > OWN_CACHE for f in files)
    s = case.shape
    return "read" in case.values["limit"] or s["n"] * s["k"] > OWN_CACHE


def clean_share(rows: list) -> float:
    """Of the samples of what is wanted, the share that counts: the least of its rows."""
    return min((row["kept"] / row["rounds"] for row in rows if row.get("targets") or len(rows) == 1), default=1)


class Measurement:
    """Starts processes on cores, and keeps what they said."""

    def __init__(self, options, selected: list):
        self.options, self.selected, self.start = options, selected, time.monotonic()
        self.rows, self.lines = {}, []  # rows by case
        self.folder = HERE / "work"
        self.folder.mkdir(exist_ok=True)
        self.everywhere = sorted(os.sched_getaffinity(0))
        self.cores, how = physical_cores(self.folder)
        self.say(f"{len(self.everywhere)} processors; {how}")

    def say(self, text: str) -> None:
        self.lines.append(text)
        print(text, flush=True)

    def spent(self) -> float:
        return time.monotonic() - self.start

    def quietest(self) -> list:
        """The cores, the one that is fastest at present first."""
        speeds = {core: min(loop_speeds([core], self.folder)[0] for _ in range(PROBES)) for core in self.cores}
        return sorted(self.cores, key=lambda core: -speeds[core])

    def child(self, stage: str, name: str, cores: list, rounds: int) -> list:
        """Rows of a process that has only these cores; RuntimeError where it failed."""
        os.sched_setaffinity(0, cores)  # of this thread: the process inherits it
        command = [sys.executable, __file__, "--child", stage, name, "--rounds", str(rounds), "--budget",
                   str(self.options.budget)] + ["--wanted"] * self.options.wanted
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
        if stage == "measure" and self.spent() > self.options.seconds:
            self.say(f"{case.name:20} skipped: no time was left")
            return None
        try:
            return self.child(stage, case.name, cores, self.options.rounds)
        except Exception as error:  # whatever befell one case, the others are measured
            self.say(f"{case.name:20} {'' if stage == 'measure' else stage + ' '}skipped: {error}")
            return None

    def all_rows(self) -> list:
        rows = [row for case in self.selected for row in self.rows.get(case.name, [])]
        report.judge(rows, self.selected)
        return rows

    def measure(self, case, cores: list) -> None:
        """Rows of the case; a second measurement replaces the first if more of it was undisturbed."""
        rows, before = self.attempt("measure", case, cores), self.rows.get(case.name)
        if not rows:
            return
        self.rows[case.name] = rows
        self.all_rows()
        self.say("\n".join(map(report.line, rows)))
        if before and clean_share(before) > clean_share(rows):
            self.rows[case.name] = before

    def side_by_side(self, chosen: list, places: list, then) -> None:
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

    def prepare(self) -> list:
        """Makes all data; the cases that can be measured, first those of which something is wanted."""
        done = {}
        self.side_by_side(self.selected, [[c] for c in self.everywhere],
                          lambda case, on: done.update({case.name: self.attempt("prepare", case, on)}))
        self.say(f"data made in {self.spent():.0f} s")
        return sorted((case for case in self.selected if done[case.name] is not None), key=lambda case: not wanted(case))

    def run(self) -> list:
        """Measures all; the limits."""
        ready, cores = self.prepare(), self.quietest()
        self.say(f"measured on core {cores[0]}, which is the quietest, then {cores[1:]}")
        try:
            limits = self.child("limits", "limits", cores[:1], self.options.rounds)
        except (RuntimeError, ValueError) as error:
            limits = []
            self.say(f"limits skipped: {error}")
        self.say("\n".join(map(report.limit_line, limits)))
        self.say(report.HEADER)
        places = [[c] for c in cores[:max(1, self.options.side_by_side)]]
        if len(places) > 1:
            self.side_by_side([c for c in ready if not runs_alone(c)], places, self.measure)
            ready = [c for c in ready if runs_alone(c)]
        for case in ready:
            self.measure(case, cores[:case.number("threads", 1)])
        self.repeat()
        self.say(f"measured in {self.spent():.0f} s")
        return limits

    def repeat(self) -> None:
        """While there is time, cases again of which few samples were undisturbed, whatever they showed."""
        for _ in range(MOST_REPEATS):
            disturbed = [c for c in self.selected if c.name in self.rows and wanted(c)
                         and clean_share(self.rows[c.name]) < CLEAN_SHARE]
            if not disturbed or self.spent() > self.options.seconds - CASE_SECONDS / 4:
                return
            cores = self.quietest()
            self.say(f"again on core {cores[0]}: {', '.join(c.name for c in disturbed)}")
            for case in disturbed:
                if self.spent() < self.options.seconds - CASE_SECONDS / 4:
                    self.measure(case, cores[:case.number("threads", 1)])


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
    settings = machine(contents)
    print("\n".join(settings))
    work = Measurement(options, selected)
    limits = work.run()
    results = report.finish(settings, limits, work.all_rows(), selected, groups)
    write_results(options.output, work, results, selected)
    return 0


def write_results(output: pathlib.Path, work: Measurement, results: dict, selected: list) -> None:
    (output / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    text = [*results["settings"], *map(report.limit_line, results["limits"]), report.HEADER,
            *map(report.line, results["rows"]), report.summary(results["rows"], results["groups"],
                                                         sum(len(t) for c in selected for t in c.want.values()))]
    (output / "table.txt").write_text("\n".join(text) + "\n\nas it went:\n" + "\n".join(work.lines) + "\n",
                                      encoding="utf-8")
    (output / "bench.html").write_text(page.page(results), encoding="utf-8")
    print(f"results: {output}")


if __name__ == "__main__":
    sys.exit(main())

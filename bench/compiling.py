# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How long `nibc compile` takes, and how much memory: the `compile` lines of cases.txt."""
import os
import pathlib
import time

import peers
from networks import shared_data

RUNS = 5


def compile_once(command: list):
    """Seconds of its own processor time and of the clock, and its peak memory in MB."""
    start = time.perf_counter()
    child = os.posix_spawn(command[0], command, os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, usage = os.wait4(child, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} failed")
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - start, usage.ru_maxrss / 1024


def run_case(build: pathlib.Path, case, _options) -> list:
    model = shared_data() / case.values["file"]
    if not model.exists():
        raise RuntimeError(f"{model} is not there")
    out = build / "bench" / "compiling" / case.name
    command = [str(build / "bin/nibc"), "compile", str(model), "-o", str(out), "--name=net", "--target=native"]
    runs = sorted(compile_once(command) for _ in range(RUNS))
    own, clock, memory = runs[len(runs) // 2]
    return [{"case": case.name, "variant": "any", "ours_us": clock * 1e6, "rounds": RUNS, "kept": RUNS,
             "spread": (runs[-1][0] - runs[0][0]) / own, "seconds": own, "peak_mb": memory}]

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whole networks beside LiteRT with XNNPACK and ONNX Runtime, one thread: each in a process of its own.

Usage: bench/networks.py BUILD NAME FILE JSON-OPTIONS     prints the row as JSON

bench/run.py calls it for the `net` lines of cases.txt. Peers are called from Python by the
shortest way there is, ours from C.
"""
import ctypes
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import peers

# Peers round differently from the reference kernels: a few units in the last place are expected of
# integers, and a share of the largest magnitude of reals.
CODE_TOLERANCE, REAL_TOLERANCE = 8, 1e-3
CANARY_SHARE, STOLEN_SHARE, RETRIES, BATCH_SECONDS = 0.85, 0.02, 8, 1e-3


def shared_data() -> pathlib.Path:
    return pathlib.Path(os.environ.get("NIB_SHARED", peers.ROOT.parent / "shared")) / "data"


class Ours:
    """A network compiled by nibc to C and built as a shared object."""

    def __init__(self, build: pathlib.Path, model: pathlib.Path, target: str, inputs: list, outputs: list,
                 threads: int = 1):
        out = build / "bench" / "networks" / f"{model.stem}-{target}-{threads}"
        compiled = peers.compile_network(build, model, out, target, options=(f"--threads={threads}",))
        library = ctypes.CDLL(str(compiled))
        if threads > 1 and hasattr(library, "nib_bench_start_threads"):
            on_other_cores(lambda: library.nib_bench_start_threads(ctypes.c_uint(threads)))
        self.call = library.nib_bench_time
        self.call.restype = ctypes.c_double
        self.inputs, self.results = inputs, outputs
        self.arguments = [(ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])
                          for arrays in (inputs, outputs)]

    def run(self, runs: int) -> float:
        """Microseconds of one inference."""
        return self.call(*self.arguments, ctypes.c_int(runs)) / runs / 1e3


ALL_CORES = os.sched_getaffinity(0)


def on_other_cores(call) -> None:
    """Threads that `call` starts stay off this one's core."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, ALL_CORES - mine)
    try:
        call()
    finally:
        os.sched_setaffinity(0, mine)


class LiteRT:
    """The interpreter with its default resolver, which applies XNNPACK."""
    name = "LiteRT"

    def __init__(self, content: bytes):
        from importlib.metadata import version
        from ai_edge_litert.interpreter import Interpreter
        log, self.interpreter = capture_stderr(lambda: Interpreter(model_content=content, num_threads=1))
        more, _ = capture_stderr(self.interpreter.allocate_tensors)
        ops = [op["op_name"] for op in self.interpreter._get_ops_details()]
        delegated = "XNNPACK" in log + more
        self.info = (f"LiteRT {version('ai-edge-litert')}, XNNPACK {'active' if delegated else 'not active'}"
                     f" ({ops.count('DELEGATE')} delegated parts), one thread")

    def describe(self):
        return self.interpreter.get_input_details(), self.interpreter.get_output_details()

    def feed(self, inputs: list) -> list:
        ins, outs = self.describe()
        for d, x in zip(ins, inputs):
            self.interpreter.set_tensor(d["index"], x)
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(d["index"]) for d in outs]

    def run(self, runs: int) -> float:
        invoke = self.interpreter._interpreter.Invoke  # without what the class around it checks
        start = time.perf_counter()
        for _ in range(runs):
            invoke()
        return (time.perf_counter() - start) / runs * 1e6


class OnnxRuntime:
    """The same network as ONNX, its inputs and results bound ahead."""

    def __init__(self, content: bytes, inputs: list, results: list):
        import onnxruntime as ort
        from tflite_onnx import to_onnx
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = ort.InferenceSession(to_onnx(content), options, providers=["CPUExecutionProvider"])
        self.info = f"ONNX Runtime {ort.__version__}, CPUExecutionProvider, one thread"
        self.binding, self.results = self.session.io_binding(), [unsigned(r) for r in results]
        for info, array in zip(self.session.get_inputs(), inputs):
            self.binding.bind_cpu_input(info.name, unsigned(array))
        for info, array in zip(self.session.get_outputs(), self.results):
            self.binding.bind_output(info.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def run(self, runs: int) -> float:
        call = self.session._sess.run_with_iobinding
        start = time.perf_counter()
        for _ in range(runs):
            call(self.binding._iobinding, None)
        return (time.perf_counter() - start) / runs * 1e6


def unsigned(array):
    """int8 codes moved to uint8, as the ONNX form has them."""
    import numpy as np
    return (array.view(np.uint8) ^ 0x80) if array.dtype == np.int8 else array.copy()


def capture_stderr(call):
    """What C code writes to standard error meanwhile, and the result."""
    with tempfile.TemporaryFile() as file:
        saved = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            result = call()
        finally:
            os.dup2(saved, 2)
            os.close(saved)
        file.seek(0)
        return file.read().decode(errors="replace"), result


def make_inputs(details: list) -> list:
    import numpy as np
    rng = np.random.default_rng(1)
    inputs = []
    for d in details:
        if np.issubdtype(d["dtype"], np.integer):
            info = np.iinfo(d["dtype"])
            inputs.append(rng.integers(info.min, info.max + 1, d["shape"]).astype(d["dtype"]))
        else:
            inputs.append(rng.random(d["shape"], dtype=np.float32))
    return inputs


def difference(results: list, expected: list) -> float:
    """Codes of integers; of reals a share of the largest, in units of the tolerance for codes."""
    import numpy as np
    worst = 0.0
    for y, r in zip(results, expected):
        apart = float(np.max(np.abs(y.astype(np.float64) - r.astype(np.float64).reshape(y.shape))))
        if not np.issubdtype(y.dtype, np.integer):
            apart *= CODE_TOLERANCE / REAL_TOLERANCE / max(float(np.max(np.abs(r))), 1e-9)
        worst = max(worst, apart)
    return worst


# ---- turns ----

def canary() -> float:
    start = time.perf_counter()
    total = 0
    for i in range(5000):
        total += i
    return 1 / (time.perf_counter() - start)


def take_sample(entry, runs: int):
    """Microseconds, the canary's speed and the share of the time that other processes had."""
    for _ in range(RETRIES):
        before, wall, own = canary(), time.perf_counter(), time.thread_time()
        us = entry.run(runs)
        stolen = 1 - (time.thread_time() - own) / (time.perf_counter() - wall)
        sample = us, min(before, canary()), stolen
        if stolen <= STOLEN_SHARE:
            break
    return sample


def take_turns(entries: dict, rounds: int, budget: float) -> dict:
    """Samples that count of each entry, by round (None where it does not)."""
    runs, spent, samples = {}, dict.fromkeys(entries, 0.0), {name: [] for name in entries}
    for name, entry in entries.items():
        once = min(entry.run(1) for _ in range(3)) / 1e6
        runs[name] = max(1, min(1000, int(BATCH_SECONDS / once)))
    for _ in range(rounds):
        for name, entry in entries.items():
            if not samples[name] or spent[name] < budget:
                start = time.perf_counter()
                samples[name].append(take_sample(entry, runs[name]))
                spent[name] += time.perf_counter() - start
    speeds = sorted(c for s in samples.values() for _, c, _ in s)
    best = speeds[len(speeds) * 19 // 20]
    kept = {name: [us if c >= CANARY_SHARE * best and stolen <= STOLEN_SHARE else None for us, c, stolen in s]
            for name, s in samples.items()}
    # Long runs may all have been interrupted: then the process's own time counts.
    return {name: kept[name] if any(kept[name]) else [us * (1 - stolen) for us, _, stolen in samples[name]]
            for name in kept}


def median(samples: list) -> float:
    return statistics.median(s for s in samples if s)


def ratio(of: list, to: list) -> float:
    pairs = [a / b for a, b in zip(of, to) if a and b]
    return statistics.median(pairs) if pairs else median(of) / median(to)


def make_row(name: str, ours: str, samples: dict, infos: dict) -> dict:
    values = sorted(s for s in samples[ours] if s)
    row = {"case": name, "variant": ours, "ours_us": median(samples[ours]), "rounds": len(samples[ours]),
           "kept": len(values), "spread": (values[len(values) * 9 // 10] - values[len(values) // 10]) / median(values),
           "peers": {peer: {"us": median(samples[peer]), "ratio": ratio(samples[peer], samples[ours]), "info": info}
                     for peer, info in infos.items()}}
    if infos:
        best = min(infos, key=lambda peer: row["peers"][peer]["us"])
        row.update(peer=best, peer_us=row["peers"][best]["us"], ratio=row["peers"][best]["ratio"])
    return row


def add_onnxruntime(found: dict, content: bytes, inputs: list, expected: list) -> list:
    """Adds the peer if it computes the same; else says why not."""
    try:
        peer = OnnxRuntime(content, inputs, expected)
        peer.run(1)
    except Exception as error:  # whatever a peer throws, the others are measured
        return [f"without ONNX Runtime: {str(error)[:200]}"]
    apart = difference(peer.results, [unsigned(e) for e in expected])
    if not apart <= CODE_TOLERANCE:
        return [f"without ONNX Runtime: its outputs differ by {apart:.3g} codes from LiteRT's"]
    found["ONNX Runtime"] = peer
    return []


def bench_model(build: pathlib.Path, name: str, model: pathlib.Path, options: dict) -> dict:
    import numpy as np
    from tflite_onnx import repaired
    content = repaired(model)
    litert = LiteRT(content)
    details_in, details_out = litert.describe()
    inputs = make_inputs(details_in)
    expected = litert.feed(inputs)
    empty = lambda: [np.zeros(d["shape"], d["dtype"]) for d in details_out]
    variant = options["variant"]
    entries = {variant: Ours(build, model, "native", inputs, empty())}
    if options.get("portable"):
        entries["c99"] = Ours(build, model, "c99", inputs, empty())
    for threads in range(2, 1 + min(options["threads"], len(ALL_CORES))):
        entries[f"{threads} threads"] = Ours(build, model, "native", inputs, empty(), threads)
    for key, entry in entries.items():
        entry.run(1)
        apart = difference(entry.results, expected)
        if not apart <= CODE_TOLERANCE:
            raise RuntimeError(f"{key}: outputs differ by {apart:.3g} codes from LiteRT's: wrong results are not timed")
    found = {"LiteRT": litert}
    notes = add_onnxruntime(found, content, inputs, expected)
    samples = take_turns({**entries, **found}, options["rounds"], options["budget"])
    infos = {key: peer.info for key, peer in found.items()}
    rows = [make_row(name, variant, samples, infos)]
    for key in list(entries)[1:]:
        rows.append(make_row(name, key, samples, {}))
        rows[-1]["one_thread_ratio"] = ratio(samples[variant], samples[key])
    return {"rows": rows, "notes": notes}


def main() -> int:
    build, name, model = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    options = json.loads(sys.argv[4])
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {options["cpu"] if options["cpu"] >= 0 else cpus[-1]})
    try:
        print(json.dumps(bench_model(build, name, model, options)))
    except (RuntimeError, ValueError) as error:
        print(json.dumps({"rows": [], "notes": [str(error)[:300]]}))
    return 0


# ---- what bench/run.py calls ----

def run_one(build: pathlib.Path, name: str, model: pathlib.Path, options: dict) -> dict:
    command = [sys.executable, __file__, str(build), name, str(model), json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **peers.ENVIRONMENT})
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-500:])
    return json.loads(done.stdout.splitlines()[-1])


def run_case(build: pathlib.Path, case, options) -> list:
    """Rows of a network and of its float32 form, if the table names one."""
    rows = []
    for variant, key in (("int8", "file"), ("float", "float")):
        model = shared_data() / case.values.get(key, "-")
        if key not in case.values:
            continue
        if not model.exists():
            print(f"{case.name:20} {variant:9} skipped: {model} is not there")
            continue
        done = run_one(build, case.name, model, {"variant": variant, "rounds": options.rounds, "budget": options.budget,
                                                 "cpu": options.cpu, "portable": variant == "int8",
                                                 "threads": case.number("threads", 1) if variant == "int8" else 1})
        for note in done["notes"]:
            print(f"{case.name:20} {variant:9} {note}")
        rows += done["rows"]
    by_variant = {row["variant"]: row for row in rows}
    if {"int8", "float"} <= set(by_variant):
        by_variant["int8"]["float_ratio"] = by_variant["float"]["ours_us"] / by_variant["int8"]["ours_us"]
    return rows


if __name__ == "__main__":
    sys.exit(main())

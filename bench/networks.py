#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whole networks beside LiteRT with XNNPACK and ONNX Runtime, one thread: each in a process of its own.

Usage: bench/networks.py FOLDER JSON-OPTIONS     prints the rows as JSON

bench/run.py calls it for the `net` lines of cases.txt, with a folder that `prepare` filled. Peers are
called from Python by the shortest way there is, ours from C.
"""
import ctypes
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import peers

# Peers round differently from the reference kernels: a few units in the last place are expected of
# integers, and a share of the largest magnitude of reals.
CODE_TOLERANCE, REAL_TOLERANCE = 8, 1e-3
DESCRIPTION, TFLITE, ONNX = "network.json", "net.tflite", "net.onnx"  # of a prepared folder
# A float network in FP16 as well; numbers of networks in it are within 1/32.
F16, F16_TOLERANCE = "f16", CODE_TOLERANCE / REAL_TOLERANCE / 32
CANARY_SHARE, STOLEN_SHARE, RETRIES, BATCH_SECONDS = 0.85, 0.02, 8, 1e-3
MOST_SLOWED, NEIGHBOUR_SECONDS = 1.25, 30  # by a neighbour with a core of its own; what it computes at most


def shared_data() -> pathlib.Path:
    return pathlib.Path(os.environ.get("NIB_SHARED", peers.ROOT.parent / "shared")) / "data"


class Ours:
    """A network compiled by nibc to C and built as a shared object."""

    def __init__(self, library: pathlib.Path, inputs: list, outputs: list, threads: int):
        library = ctypes.CDLL(str(library))
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
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
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


def slowed(entry, rounds: int = 15) -> float:
    """How many times as long a network of one thread takes while the next core computes: little more than once, unless
    both are threads of one core, which a virtual machine need not say, and may change."""
    others = ALL_CORES - os.sched_getaffinity(0)
    runs = max(1, int(BATCH_SECONDS / (entry.run(1) / 1e6)))
    alone = statistics.median(entry.run(runs) for _ in range(rounds))
    child = os.fork()
    if child == 0:  # ends by itself should its parent be killed
        os.sched_setaffinity(0, {max(others)})
        end = time.monotonic() + NEIGHBOUR_SECONDS
        while time.monotonic() < end:
            pass
        os._exit(0)
    try:
        time.sleep(0.05)
        return statistics.median(entry.run(runs) for _ in range(rounds)) / alone
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


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


def add_onnxruntime(found: dict, folder: pathlib.Path, inputs: list, expected: list) -> list:
    """Adds the peer if it computes the same; else says why not."""
    try:
        peer = OnnxRuntime((folder / ONNX).read_bytes(), inputs, expected)
        peer.run(1)
    except Exception as error:  # whatever a peer throws, the others are measured
        return [f"without ONNX Runtime: {str(error)[:200]}"]
    apart = difference(peer.results, [unsigned(e) for e in expected])
    if not apart <= CODE_TOLERANCE:
        return [f"without ONNX Runtime: its outputs differ by {apart:.3g} codes from LiteRT's"]
    found["ONNX Runtime"] = peer
    return []


def bench_network(folder: pathlib.Path, options: dict) -> dict:
    import numpy as np
    network = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    litert = LiteRT((folder / TFLITE).read_bytes())
    details_in, details_out = litert.describe()
    inputs = make_inputs(details_in)
    expected = litert.feed(inputs)
    entries = {}
    for variant, (library, threads) in network["libraries"].items():
        if threads <= len(ALL_CORES) and (variant != "c99" or options["portable"]):
            empty = [np.zeros(d["shape"], d["dtype"]) for d in details_out]
            entries[variant] = Ours(folder / library, inputs, empty, threads)
    for key, entry in entries.items():
        entry.run(1)
        apart = difference(entry.results, expected)
        if not apart <= (F16_TOLERANCE if key == F16 else CODE_TOLERANCE):
            raise RuntimeError(f"{key}: outputs differ by {apart:.3g} codes from LiteRT's: wrong results are not timed")
    found = {"LiteRT": litert}
    notes = network["notes"] + add_onnxruntime(found, folder, inputs, expected)
    samples = take_turns({**entries, **found}, options["rounds"], options["budget"])
    infos = {key: peer.info for key, peer in found.items()}
    variant = next(iter(entries))
    shared = any("threads" in key for key in entries) and slowed(entries[variant]) > MOST_SLOWED
    if shared:
        notes.append("both processors are threads of one core at present: what two threads gain is not known")
    rows = [make_row(network["name"], variant, samples, infos)]
    for key in list(entries)[1:]:
        rows.append(make_row(network["name"], key, samples, {}))
        rows[-1]["float_ratio" if key == F16 else "one_thread_ratio"] = ratio(samples[variant], samples[key])
        rows[-1]["shared_core"] = shared and "threads" in key
    return {"rows": rows, "notes": notes}


def main() -> int:
    folder, options = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {options["cpu"] if options["cpu"] >= 0 else cpus[-1]})
    try:
        print(json.dumps(bench_network(folder, options)))
    except (RuntimeError, ValueError) as error:
        print(json.dumps({"rows": [], "notes": [str(error)[:300]]}))
    return 0


# ---- what bench/run.py calls ----

def prepare(build: pathlib.Path, folder: pathlib.Path, name: str, model: pathlib.Path, variant: str, threads: int,
            target: str) -> None:
    """All that a measurement of the network needs, in `folder`: it can be copied to another machine."""
    from tflite_onnx import repaired, to_onnx
    folder.mkdir(parents=True, exist_ok=True)
    libraries, notes, content = {}, [], repaired(model)
    wanted = [(variant, target, 1)] + [("c99", "c99", 1) if variant == "int8" else (F16, target, 1)]
    for key, of, n in wanted + [(f"{n} threads", target, n) for n in range(2, threads + 1)]:
        out = folder / key.replace(" ", "")
        narrow = ("--precision=f16",) if key == F16 else ()
        peers.compile_network(build, model, out, of, options=(f"--threads={n}", *narrow))
        libraries[key] = (f"{out.name}/net.so", n)
    (folder / TFLITE).write_bytes(content)
    (folder / ONNX).unlink(missing_ok=True)
    try:
        (folder / ONNX).write_bytes(to_onnx(content))
    except Exception as error:  # what a peer cannot have, the others have
        notes.append(f"not as ONNX: {str(error)[:200]}")
    description = {"name": name, "libraries": libraries, "notes": notes}
    (folder / DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")


def prepare_case(build: pathlib.Path, folder: pathlib.Path, case, target: str) -> list:
    """Prepares a network and its float32 form, if the table names one: the variants that there are."""
    done = []
    for variant, key in (("int8", "file"), ("float", "float")):
        if key not in case.values:
            continue
        model = shared_data() / case.values[key]
        if not model.exists():
            print(f"{case.name:20} {variant:9} skipped: {model} is not there")
            continue
        prepare(build, folder / variant, case.name, model, variant,
                case.number("threads", 1) if variant == "int8" else 1, target)
        done.append(variant)
    return done


def measure(folders: list, options) -> list:
    """Rows of prepared folders: of a network and of its float32 form; with portable C where options ask for it."""
    rows = []
    for folder in folders:
        command = [sys.executable, __file__, str(folder),
                   json.dumps({"rounds": options.rounds, "budget": options.budget, "cpu": options.cpu,
                               "portable": options.portable})]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **peers.ENVIRONMENT})
        if done.returncode:
            raise RuntimeError(done.stderr.strip()[-500:] or f"ended with {done.returncode}")
        result = json.loads(done.stdout.splitlines()[-1])
        for note in result["notes"]:
            print(f"{folder.parent.name:20} {folder.name:9} {note}")
        rows += result["rows"]
    by_variant = {row["variant"]: row for row in rows}
    if {"int8", "float"} <= set(by_variant):
        by_variant["int8"]["float_ratio"] = by_variant["float"]["ours_us"] / by_variant["int8"]["ours_us"]
    return rows


def run_case(build: pathlib.Path, case, options) -> list:
    folder = build / "bench" / "networks" / case.name
    return measure([folder / variant for variant in prepare_case(build, folder, case, options.target)], options)


if __name__ == "__main__":
    sys.exit(main())

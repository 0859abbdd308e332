# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs one case of the table in a process of its own, and makes rows of what it measured."""
import json
import math
import os
import pathlib
import shutil
import statistics
import struct
import subprocess

import peers
import reference
from cases import ACTIVATION_FORMATS, Case, Data, make, network_text, weight_bytes

# A sample counts if the canary beside it ran at this share of its best speed or better, and if no
# more than this share of its time went to other processes.
CANARY_SHARE, STOLEN_SHARE = 0.85, 0.02
TYPES = {"gemm_f32": "f32", "gemm_f16": "f16", "low": "f32"}
PEER_OF_KIND = {"low": "ggml"}
PEERS = ("onednn ", "ggml ")  # lines of a job
# Shares of the largest result; sums of 512 products that are rounded to f16 at every step are off by .007 of it.
TOLERANCE = {"i8": 0, "f32": 1e-5, "f16": 1e-2}
# What oneDNN is held to: the instructions that a case may use, which are never those of AMX.
ISA_OF_TARGET = {"x86-64-v3": "AVX2", "x86-64-v3+avxvnni": "AVX2_VNNI"}
ISA = "AVX512_CORE_BF16"
# Copies of weights are so much larger than a cache, here counted from the last, that they come from behind it: the one before
# the last keeps some of what passes through. The harness takes so many copies.
LARGER_THAN, MAX_COPIES = {"memory": (1.5, -1), "L3": (3, -2)}, 64


def read_cache_sizes() -> dict:
    """Bytes of the first core's caches by level."""
    sizes = {}
    for folder in pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        read = lambda name: (folder / name).read_text().strip()
        if read("type") != "Instruction":
            sizes[int(read("level"))] = int(read("size").rstrip("K")) * 1024
    return sizes or {1: 32 << 10, 2: 1 << 20, 3: 32 << 20}


class Process:
    """One run of the harness: its entries, by name, with the samples that count."""

    canary = 0.0  # the best that any run has found

    def __init__(self, program: pathlib.Path, job: pathlib.Path, environment=None):
        done = subprocess.run([str(program), str(job)], capture_output=True, text=True, check=False,
                              env={**os.environ, **peers.ENVIRONMENT, **(environment or {})})
        if done.returncode:
            raise RuntimeError(done.stderr.strip() or f"compare ended with {done.returncode}")
        self.notes = "; ".join(dict.fromkeys(done.stderr.strip().splitlines()))
        output = json.loads(done.stdout)
        self.entries = output["entries"]
        self.wrong = {e["name"] for e in self.entries if not e["ns"]}
        self.entries = [e for e in self.entries if e["ns"]]
        best = Process.canary = max(Process.canary, output["canary"])
        for e in self.entries:
            # On a core that is never alone, those of its best moments.
            least = min(CANARY_SHARE * best, statistics.quantiles(e["canary"], n=4)[2] if len(e["canary"]) > 3 else 0)
            keep = [c >= least and s <= STOLEN_SHARE for c, s in zip(e["canary"], e["stolen"])]
            # Long runs may all have been interrupted: then the process's own time counts.
            own = [ns * (1 - s) for ns, s in zip(e["ns"], e["stolen"])]
            e["kept"] = [ns if k else None for ns, k in zip(e["ns"], keep)] if any(keep) else own
            e["clean"] = sum(keep)

    def named(self, name: str) -> list:
        return [e for e in self.entries if e["name"] == name]

    def best(self, name: str):
        """The fastest entry of that name, or None."""
        return min(self.named(name), key=median_ns, default=None)


def median_ns(entry: dict) -> float:
    return statistics.median(ns for ns in entry["kept"] if ns)


def spread(entry: dict) -> float:
    """From the tenth to the ninetieth hundredth, as a share of the median."""
    values = sorted(ns for ns in entry["kept"] if ns)
    return (values[len(values) * 9 // 10] - values[len(values) // 10]) / median_ns(entry)


def ratio(of: dict, to: dict) -> float:
    """Median of the rounds' ratios: what disturbs a round disturbs both."""
    pairs = [a / b for a, b in zip(of["kept"], to["kept"]) if a and b]
    return statistics.median(pairs) if pairs else median_ns(of) / median_ns(to)


def rate(entry: dict) -> float:
    """1e9 units of work per second, of a limit."""
    return entry["work"] * 1e9 / median_ns(entry)


# ---- the job ----

def count_copies(case: Case, data: Data) -> int:
    """Of the weights, used in turn."""
    if "from" not in case.values:
        return 1
    times, place = LARGER_THAN[case.values["from"]]
    cache = sorted(read_cache_sizes().items())[place][1]
    return min(math.ceil(times * cache / weight_bytes(case, data)), MAX_COPIES)


def peer_line(case: Case, copies: int) -> str:
    s = case.shape
    if case.kind == "low":
        return f"ggml {case.values['format']} {s['m']} {s['n']} {s['k']} {copies}\n"
    if case.kind.startswith("gemm"):
        return f"onednn gemm {s['m']} {s['n']} {s['k']} {copies}\n"
    order = ("h", "w", "i", "o", "kh", "kw", "s", "s", "top", "left", "bottom", "right", "oh", "ow")
    return f"onednn {case.kind} " + " ".join(str(s[key]) for key in order) + "\n"


def limit_lines(case: Case, data: Data, copies: int) -> str:
    names = case.values["limit"].split("+")
    return "".join(f"limit read {weight_bytes(case, data)} {copies}\n" if n == "read" else f"limit {n}\n" for n in names)


def arithmetic(variant: str) -> str:
    """What a variant computes: `gcc` is the C of `even` built by gcc, VARIANT@FORM the variant in a form of kernels."""
    return "even" if variant == "gcc" else variant.split("@")[0]


def compile_variant(build: pathlib.Path, out: pathlib.Path, case: Case, data: Data, variant: str,
                    target: str) -> pathlib.Path:
    out.mkdir(parents=True, exist_ok=True)
    model = out / "net.mlir"
    model.write_text(network_text(case, data, arithmetic(variant)), encoding="utf-8")
    compiler = "gcc" if variant == "gcc" else peers.CC
    activations = ACTIVATION_FORMATS.get(arithmetic(variant))
    options = [f"--activation-format={activations}"] if activations else []
    options += [f"--prefer={form}" for form in variant.split("@")[1:]]
    return peers.compile_network(build, model, out, case.values.get("target", target), compiler, options)


def compile_case(build: pathlib.Path, folder: pathlib.Path, case: Case, data: Data, options) -> dict:
    """Shared objects by variant, of those that there are."""
    libraries = {}
    variants = case.variants + (["gcc"] if "gcc" in case.want and shutil.which("gcc") else [])
    for variant in variants + [f"{v}@{form}" for v in case.variants for form in options.also]:
        try:
            out = folder / variant.replace("/", "-").replace(":", "-")
            libraries[variant] = compile_variant(build, out, case, data, variant, options.target)
        except RuntimeError as error:
            if "@" not in variant:  # not every case has every form
                print(f"{case.name:20} {variant:9} skipped: {str(error).splitlines()[0]}", flush=True)
    if not libraries:
        raise RuntimeError("nothing of it could be compiled")
    return libraries


def write_job(folder: pathlib.Path, case: Case, data: Data, libraries: dict, options) -> pathlib.Path:
    """What `compare` is to do, with its data, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    number = TYPES.get(case.kind, "i8")
    job = [f"cpu {options.cpu}", f"rounds {options.rounds}", f"budget {options.budget}", f"canary {Process.canary}"]

    def add_file(key, name, content):
        (folder / name).write_bytes(content)
        job.append(f"{key} {folder / name}" + (f" {number}" if key in ("input", "expected") else ""))

    add_file("input", "x.bin", data.input)
    add_file("weights", "w.bin", data.weights)
    if data.bias:
        add_file("bias", "b.bin", data.bias)
        add_file("scales", "s.bin", struct.pack(f"<{len(data.multipliers)}f", *data.multipliers))
    copies, results = count_copies(case, data), {}
    # What is wanted comes first: limits of reading read its constants.
    for variant, library in sorted(libraries.items(), key=lambda item: item[0] not in case.want):
        rounded, file = arithmetic(variant), variant.replace("/", "-")
        results.setdefault(rounded, reference.expected(case, data, rounded))
        add_file("expected", f"{file}.bin", results[rounded])
        if copies > 1:
            library = shutil.copy(library, folder / f"{file}.so")
        for i in range(1, copies):
            shutil.copy(library, f"{library}.{i}")
        job.append(f"network {variant} {library} {TOLERANCE[number]} {copies}")
    # Peers round as the first variant does: what is expected of them is that.
    first = case.variants[0]
    add_file("expected", "peer.bin", results[first] if first in results else reference.expected(case, data, first))
    path = folder / "job"
    path.write_text("\n".join(job) + "\n" + peer_line(case, copies) + limit_lines(case, data, copies), encoding="utf-8")
    return path


# ---- rows ----

def limit_of(case: Case, data: Data, process: Process):
    """The limit that takes longest and how many of its calls are the case's work, or None where this processor lacks
    the instructions."""
    found = []
    for name in case.values["limit"].split("+"):
        entry = process.best(name)
        if not entry:
            return None
        calls = (weight_bytes(case, data) if name == "read" else case.macs) / 1e9 / entry["work"]
        found.append((calls * median_ns(entry), calls, entry))
    return max(found, key=lambda f: f[0])


def make_row(case: Case, data: Data, variant: str, process: Process) -> dict:
    ours, peer = process.best(variant), process.best(PEER_OF_KIND.get(case.kind, "oneDNN"))
    row = {"case": case.name, "variant": variant, "macs": case.macs, "ours_us": median_ns(ours) / 1e3,
           "spread": spread(ours), "rounds": len(ours["ns"]), "kept": ours["clean"],
           "max_difference": ours["max_difference"]}
    if peer:
        row.update(peer=peer["name"], peer_us=median_ns(peer) / 1e3, peer_info=peer["info"],
                   peer_difference=peer["max_difference"], ratio=ratio(peer, ours))
    best = limit_of(case, data, process)
    if best:
        ns, calls, limit = best
        row.update(limit=case.values["limit"], limit_us=ns / 1e3, percent=100 * calls * ratio(limit, ours))
        if peer:
            row["peer_percent"] = 100 * calls * ratio(limit, peer)
    if variant == "gcc":
        row["over_clang"] = ratio(ours, process.best("even"))
    return row


def measure(program: pathlib.Path, job: pathlib.Path, case: Case, data: Data) -> list:
    """Rows of a job that write_job wrote."""
    environment = {"DNNL_MAX_CPU_ISA": ISA_OF_TARGET.get(case.values.get("target"), os.environ.get("DNNL_MAX_CPU_ISA", ISA))}
    try:
        process = Process(program, job, environment)
    except RuntimeError as error:  # perhaps a peer's doing
        lines = job.read_text(encoding="utf-8").splitlines(keepends=True)
        job.write_text("".join(line for line in lines if not line.startswith(PEERS)), encoding="utf-8")
        process = Process(program, job, environment)
        print(f"{case.name:20} without a peer: with it {error}")
    if process.notes:
        print(f"{case.name:20} {process.notes}")
    variants = list(dict.fromkeys(e["name"] for e in process.entries if arithmetic(e["name"]) in case.variants))
    if not variants:
        raise RuntimeError("nothing of it is right")
    return [make_row(case, data, v, process) for v in variants]


def run_case(build: pathlib.Path, case: Case, options) -> list:
    data, folder = make(case), build / "bench" / "cases" / case.name
    libraries = compile_case(build, folder, case, data, options)
    return measure(peers.build_harness(build, options), write_job(folder, case, data, libraries, options), case, data)


def run_limits(program: pathlib.Path, folder: pathlib.Path, options) -> list:
    """What the core can do: (name, value, what it is)."""
    caches = read_cache_sizes()
    sizes = {"read-L1": caches[1] // 2, "read-L2": caches[2] // 2,
             "read-L3": min(9 << 20, caches.get(3, 18 << 20) // 2), "read-DRAM": min(4 * caches.get(3, 32 << 20), 512 << 20)}
    job = folder / "limits.job"
    loops = ["vnni", "vnni-ymm", "avxvnni", "maddubs", "f32", "f32-ymm", "f16"]
    job.write_text(f"cpu {options.cpu}\nrounds {min(options.rounds, 31)}\nbudget 1\n"
                   + "".join(f"limit {n}\n" for n in loops) + "".join(f"limit {n} {size // 1024 * 1024}\n" for n, size in sizes.items()))
    process = Process(program, job)
    best = {e["name"]: process.best(e["name"]) for e in process.entries}
    return [{"name": n, "value": rate(best[n]), "info": best[n]["info"]} if n in best
            else {"name": n, "value": None, "info": "not of this processor"} for n in [*loops, *sizes]]

# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Installs the peers below BUILD/bench and builds the harness with what is there."""
import hashlib
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
HARNESS = ROOT / "bench" / "harness"
PACKAGES = ["numpy", "ai-edge-litert", "onnxruntime", "onnx", "tflite"]
GGML_PACKAGE = "llama-cpp-python"
CC = shutil.which("clang-22") or "clang"
# One thread for every peer that has a pool.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def run(command: list, **options) -> subprocess.CompletedProcess:
    """A command whose output matters only if it fails."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{pathlib.Path(command[0]).name}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done


def venv_folder(build: pathlib.Path) -> pathlib.Path:
    return build / "bench" / "venv"


def continue_in(venv: pathlib.Path) -> None:
    os.environ.update(ENVIRONMENT)
    os.execv(str(venv / "bin" / "python"), [str(venv / "bin" / "python"), *sys.argv])


def reexec_in_venv(build: pathlib.Path) -> None:
    """Makes the virtual environment with the peers of PyPI and continues inside it."""
    venv = venv_folder(build)
    if pathlib.Path(sys.prefix) == venv:
        return
    marker = venv / "installed"
    if not marker.exists() or marker.read_text() != " ".join(PACKAGES):
        print(f"installing {' '.join(PACKAGES)} into {venv}", flush=True)
        run([sys.executable, "-m", "venv", venv])
        run([venv / "bin" / "python", "-m", "pip", "install", "-q", *PACKAGES])
        marker.write_text(" ".join(PACKAGES))
    continue_in(venv)


def find_numpy(build: pathlib.Path) -> None:
    """Continues in the environment that an earlier run with peers made where this Python has no numpy."""
    venv = venv_folder(build)
    if importlib.util.find_spec("numpy"):
        return
    if pathlib.Path(sys.prefix) == venv or not (venv / "bin" / "python").exists():
        sys.exit("the table needs numpy (Debian: python3-numpy); without --no-peers it is installed with them")
    continue_in(venv)


def find_onednn(build: pathlib.Path):
    """Flags that build with Debian's oneDNN: the installed one, or its packages unpacked; None without."""
    if pathlib.Path("/usr/include/oneapi/dnnl/dnnl.h").exists():
        return ["-DBENCH_ONEDNN", "-ldnnl"]
    folder = build / "bench" / "debian"
    header = folder / "usr/include/oneapi/dnnl/dnnl.h"
    if not header.exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            run(["apt-get", "download", "libdnnl-dev", "libdnnl2", "ocl-icd-libopencl1", "libgomp1"], cwd=folder)
            for package in folder.glob("*.deb"):
                run(["dpkg", "-x", package, folder])
        except (RuntimeError, OSError) as error:
            print(f"without oneDNN: {error}")
            return None
    libraries = next(folder.glob("usr/lib/*/libdnnl.so.2")).parent
    return ["-DBENCH_ONEDNN", f"-I{folder}/usr/include", f"-Wl,--disable-new-dtags,-rpath,{libraries}",
            str(libraries / "libdnnl.so.2")]


def machine_flags(target: str) -> list:
    """Of compilers, for a target of nibc. Without AMX, which none of nibc's kernels uses."""
    name, *features = target.replace(",", "+").split("+")
    switches = ["-mno-" + f[1:] if f.startswith("-") else "-m" + f for f in features if f]
    return [f"-march={name}", *switches, "-mno-amx-tile", "-mno-amx-int8", "-mno-amx-bf16"]


def ggml_flags(target: str) -> list:
    if target == "native":
        return ["-DGGML_NATIVE=ON"]
    flags = " ".join(machine_flags(target))
    return ["-DGGML_NATIVE=OFF", f"-DCMAKE_C_FLAGS={flags}", f"-DCMAKE_CXX_FLAGS={flags}"]


def find_ggml(build: pathlib.Path, target: str = "native"):
    """Flags that build with ggml, made from llama-cpp-python's source for the target; None without."""
    folder = build / "bench" / ("ggml" if target == "native" else f"ggml-{target}")
    made = folder / "build" / "src"
    if not (made / "libggml-cpu.so").exists():
        print(f"building ggml of {GGML_PACKAGE} in {folder}: some minutes, once", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", GGML_PACKAGE, "-d", folder,
                 GGML_PACKAGE])
            run(["tar", "xzf", next(folder.glob("*.tar.gz")), "-C", folder, "--strip-components=3", "--wildcards",
                 "*/vendor/llama.cpp/ggml/*"])
            (folder / "ggml" / "ggml.pc.in").touch()  # the archive lacks it
            run(["cmake", "-G", "Ninja", "-S", folder / "ggml", "-B", folder / "build", "-DCMAKE_BUILD_TYPE=Release",
                 f"-DCMAKE_C_COMPILER={CC}", f"-DCMAKE_CXX_COMPILER={CC.replace('clang', 'clang++')}",
                 *ggml_flags(target), "-DGGML_OPENMP=OFF", "-DGGML_LLAMAFILE=ON",
                 "-DGGML_BUILD_TESTS=OFF", "-DGGML_BUILD_EXAMPLES=OFF"])
            run(["cmake", "--build", folder / "build", "--target", "ggml-cpu"])
        except (RuntimeError, OSError, StopIteration) as error:
            print(f"without ggml: {error}")
            return None
    return ["-DBENCH_GGML", f"-I{folder}/ggml/include", f"-L{made}", f"-Wl,-rpath,{made}", "-lggml-cpu", "-lggml-base"]


def build_harness(build: pathlib.Path, options, program: str = "compare", flags: tuple = ()) -> pathlib.Path:
    """The program `compare` with the peers that there are; built again only when a source is newer."""
    program = build / "bench" / (program + "-alone" * options.no_peers)
    sources = [p for p in sorted(HARNESS.glob("*.c")) if p.name != "network.c"]
    newest = max(p.stat().st_mtime for p in HARNESS.iterdir())
    if not program.exists() or program.stat().st_mtime < newest:
        found = [] if options.no_peers else [find_onednn(build), find_ggml(build, options.target)]
        run([CC, "-std=c11", "-O2", "-Wall", "-Wextra", *sources, "-o", program, *flags,
             *(flag for of_peer in found for flag in of_peer or []), "-ldl", "-lm"])
    return program


def compile_network(build: pathlib.Path, model: pathlib.Path, out: pathlib.Path, target: str = "native",
                    compiler: str = CC, options: tuple = ()) -> pathlib.Path:
    """A model compiled by nibc to C and built as a shared object, net.so in `out`."""
    run([build / "bin/nibc", "compile", model, "-o", out, "--name=net", f"--target={target}", *options])
    return build_network(out, out / "net.so", compiler)


def build_network(out: pathlib.Path, library: pathlib.Path, compiler: str = CC, level: str = "-O3") -> pathlib.Path:
    """C files of nibc in `out` as a shared object, with the pool of threads if it was compiled for several; made again
    only where they or the compiler changed."""
    pool = ["-DBENCH_POOL", "-pthread", out / "nibrt_pool.c"] if (out / "nibrt_pool.c").exists() else []
    command = [compiler, "-std=c11", level, "-ffp-contract=off", "-shared", "-fPIC", "-o", library, out / "net.c",
               out / "net_weights.c", HARNESS / "network.c", f"-I{out}", *pool, "-lm"]
    made_from = hashlib.sha256(run([compiler, "--version"]).stdout.encode() + " ".join(map(str, command)).encode())
    for source in [*sorted(out.glob("*.[ch]")), HARNESS / "network.c"]:
        made_from.update(source.read_bytes())
    stamp = pathlib.Path(f"{library}.from")
    if not library.exists() or not stamp.exists() or stamp.read_text() != made_from.hexdigest():
        run(command)
        stamp.write_text(made_from.hexdigest())
    return library

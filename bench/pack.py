# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Packs cases for another machine, which needs only Python, numpy and, to compare with it, ONNX Runtime.

FOLDER then has run.sh and one archive: the cases compiled, the harness with its libraries, whole networks with
LiteRT for that Python, and the scripts of bench/ that measure and report.
"""
import json
import lzma
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

import cases as table
import kernels
import networks
import peers

SCRIPTS = ("cases.py", "cases.txt", "kernels.py", "networks.py", "packed.py", "page.py", "peers.py", "reference.py",
           "report.py")
# LiteRT's interpreter and what it needs that machines may lack; never its tools, and plugins of other processors.
PACKAGES = ("ai-edge-litert", "backports.strenum", "flatbuffers", "tqdm", "typing-extensions", "ml_dtypes", "protobuf")
NOT_NEEDED = ("/vendors/", "/tools/", "/aot/", "WebGpu")
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "any")
# Every system has its own of these.
SYSTEM_LIBRARIES = ("libc.so", "libm.so", "libdl.so", "libpthread.so", "librt.so", "ld-linux", "linux-vdso")
# Long matches: copies of a case differ little.
COMPRESSION = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 96 << 20}]

RUN = """#!/bin/sh
# Measures what is packed here: sh run.sh [-o FOLDER] [--seconds N] [PATTERN ...]; --help says more.
# Needs python3 (or $PYTHON) with numpy; results go to FOLDER, $OUT or ./results.
here=$(cd "$(dirname "$0")" && pwd) || exit
place=
for folder in /dev/shm "${TMPDIR:-/tmp}" "$here"; do # where there is room, and programs may run
  try=$(mktemp -d "$folder/nib-bench.XXXXXX" 2>/dev/null) || continue
  room=$(df -Pk "$try" | awk 'NR == 2 { print $4 }')
  printf '#!/bin/sh\\nexit 0\\n' > "$try/try" && chmod +x "$try/try"
  if [ "$room" -gt 8000000 ] && "$try/try" 2>/dev/null; then place=$try; break; fi
  [ "$place" ] || "$try/try" 2>/dev/null && place=$try && continue
  rm -rf "$try"
done
[ "$place" ] || { echo "no folder to unpack in" >&2; exit 1; }
trap 'rm -rf "$place"' EXIT
trap 'exit 1' INT TERM
python=${PYTHON:-python3}
"$python" -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$here/packed.tar.xz" "$place" || exit
OUT=${OUT:-$PWD/results} PYTHONPATH="$place/site${PYTHONPATH:+:$PYTHONPATH}" PYTHONDONTWRITEBYTECODE=1 \\
  "$python" "$place/bench/packed.py" "$@"
"""


def pack_harness(build: pathlib.Path, folder: pathlib.Path, options) -> None:
    """`compare`, and beside it the libraries that it needs."""
    program = peers.build_harness(build, options, f"compare-{options.target}", ("-Wl,--disable-new-dtags,-rpath,$ORIGIN/lib",))
    shutil.copy(program, folder / "compare")
    (folder / "lib").mkdir()
    for line in peers.run(["ldd", program]).stdout.splitlines():
        name, _, path = line.strip().partition(" => ")
        if path.startswith("/") and not name.startswith(SYSTEM_LIBRARIES):
            shutil.copy(path.split(" (")[0], folder / "lib" / name)


def pack_litert(build: pathlib.Path, folder: pathlib.Path, python: str) -> None:
    """LiteRT for that Python."""
    wheels = build / "bench" / f"wheels-{python}"
    if not (wheels / "complete").exists():
        platforms = [word for p in PLATFORMS for word in ("--platform", p)]
        peers.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", wheels,
                   "--python-version", python, "--implementation", "cp", *platforms, *PACKAGES])
        (wheels / "complete").touch()
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, [n for n in archive.namelist() if not any(part in n for part in NOT_NEEDED)])


def pack_case(build: pathlib.Path, folder: pathlib.Path, case, options) -> dict:
    """What there is of a case: its variants and their files."""
    if case.kind == "net":
        work = build / "bench" / "packed" / case.name
        variants = networks.prepare_case(build, work, case, options.target)
        keep = lambda place, names: [n for n in names if (pathlib.Path(place) / n).is_file()
                                     and not n.endswith((".so", ".json", ".tflite", ".onnx"))]
        for variant in variants:
            shutil.copytree(work / variant, folder / case.name / variant, ignore=keep, dirs_exist_ok=True)
        return {variant: f"{case.name}/{variant}" for variant in variants}
    work = build / "bench" / "packed" / case.name
    libraries = kernels.compile_case(build, work, case, table.make(case), options)
    (folder / case.name).mkdir()
    return {variant: str(pathlib.Path(shutil.copy(library, folder / case.name / f"{variant.replace('/', '-')}.so")).relative_to(folder))
            for variant, library in libraries.items()}


def describe(options) -> dict:
    def version(*command):
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=peers.ROOT)
        return done.stdout.splitlines()[0] if done.returncode == 0 and done.stdout else "unknown"
    return {"source": version("git", "rev-parse", "--short", "HEAD"), "target": options.target,
            "compilers": [version(peers.CC, "--version"), version("gcc", "--version")]}


def write_archive(folder: pathlib.Path, path: pathlib.Path) -> None:
    with lzma.open(path, "wb", filters=COMPRESSION) as stream, tarfile.open(fileobj=stream, mode="w|") as archive:
        for entry in sorted(folder.iterdir()):
            archive.add(entry, entry.name)


def pack(selected: list, options) -> int:
    output = options.pack
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"--pack: {error.filename}: {error.strerror}")
    with tempfile.TemporaryDirectory(dir=options.build / "bench") as name:
        folder = pathlib.Path(name)
        (folder / "bench").mkdir()
        (folder / "cases").mkdir()
        for script in SCRIPTS:
            shutil.copy(pathlib.Path(__file__).parent / script, folder / "bench")
        pack_harness(options.build, folder, options)
        if options.no_peers:
            selected = [case for case in selected if case.kind != "net"]
        if any(case.kind == "net" for case in selected):
            try:
                pack_litert(options.build, folder / "site", options.python)
            except RuntimeError as error:
                print(f"without LiteRT: {error}")
        packed = {}
        for case in selected:
            if case.kind == "compile":
                continue  # of nibc itself, which stays here
            try:
                packed[case.name] = pack_case(options.build, folder / "cases", case, options)
                print(f"{case.name:20} {', '.join(packed[case.name])}", flush=True)
            except RuntimeError as error:
                print(f"{case.name:20} skipped: {error}", flush=True)
        contents = {**describe(options), "cases": packed}
        (folder / "packed.json").write_text(json.dumps(contents, indent=1) + "\n", encoding="utf-8")
        write_archive(folder, output / "packed.tar.xz")
    (output / "run.sh").write_text(RUN, encoding="utf-8")
    size = sum(p.stat().st_size for p in output.iterdir()) / 2**20
    print(f"{output}: {len(packed)} cases, {size:.1f} MiB; on the other machine: sh {output.name}/run.sh")
    return 0 if packed else 1

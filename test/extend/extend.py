#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Applies the patches beside this file to a copy of the source tree, builds it and runs their tests; docs/extending.md
must show lines of these patches and no others.

Usage: extend.py SOURCE WORK CC

A patch that touches more files than its extension should need fails before anything is built. The copy is
built without optimization; ccache, where CMake finds it, serves a second run whatever the folder.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOMS = ["CMakeLists.txt", "bench", "cmake", "runtime", "codegen", "dialect", "passes", "tools", "test"]
LIMITS = {"operator.patch": 6, "vocabulary.patch": 1, "format.patch": 3}
# Tests of formats go through the table: a new row has its own there.
FORMAT_TESTS = ["test_format_scalars", "test_format_error", "test_format_pack", "test_weight_formats"]
TARGETS = ["nib-opt", "nibc", "test_selu", "test_vocab", *FORMAT_TESTS]
TESTS = ["dialect/selu.mlir", "unit/test_selu.c", "unit/test_vocab.c",
         *(f"unit/{test}.c" for test in FORMAT_TESTS)]
BUILD_LIMIT_S = 840


def run(command, **options):
    """Output of `command`; ends this script where the command fails."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-6000:]}\nfailed with {done.returncode}")
    return done.stdout


def copy_tree(source, tree):
    tree.mkdir(parents=True)
    for room in ROOMS:
        if (source / room).is_dir():
            shutil.copytree(source / room, tree / room, ignore=shutil.ignore_patterns("extend", "__pycache__"))
        else:
            shutil.copy2(source / room, tree / room)


def apply_patches(here, tree):
    for name, limit in LIMITS.items():
        lines = (here / name).read_text().splitlines()
        files = sorted({line[len("+++ b/"):] for line in lines if line.startswith("+++ b/")})
        print(f"{name}: {len(files)} file{'s'[:len(files) != 1]} (at most {limit})")
        for file in files:
            print(f"  {'changes' if (tree / file).exists() else 'adds   '} {file}")
        if not files or len(files) > limit:
            sys.exit(f"{name} touches {len(files)} files, more than {limit}")
        run(["patch", "-p1", "--fuzz=3", "-i", here / name], cwd=tree)


def check_page(here, page):
    """Every added line that the page shows is in a patch."""
    added = {line.strip() for name in LIMITS for line in (here / name).read_text().splitlines()}
    shown = [line.strip() for block in re.findall(r"```diff\n(.*?)```", page.read_text(), re.S)
             for line in block.splitlines() if line.strip()]
    wrong = [line for line in shown if line not in added]
    if wrong or not shown:
        sys.exit(f"{page.name} shows what is in no patch: {wrong}")
    print(f"{page.name} shows {len(shown)} lines of the patches")


def build_tree(tree, compiler):
    started = time.monotonic()
    ccache = {"CCACHE_BASEDIR": str(tree), "CCACHE_NOHASHDIR": "1",
              "CCACHE_SLOPPINESS": "include_file_mtime,include_file_ctime"}
    environment = {**os.environ, **ccache}
    run(["cmake", "-G", "Ninja", "-S", tree, "-B", tree / "build", f"-DCMAKE_C_COMPILER={compiler}",
         "-DCMAKE_BUILD_TYPE=None", "-DCMAKE_C_FLAGS=-O1", "-DCMAKE_CXX_FLAGS=-O0"], env=environment)
    run(["ninja", "-C", tree / "build", "-j2", *TARGETS], env=environment, timeout=BUILD_LIMIT_S)
    print(f"built {', '.join(TARGETS)} in {time.monotonic() - started:.0f} s")


def check_vocabulary(source, tree, work):
    """A network for a target that has the new vocabulary speaks it, and computes the same."""
    nibc, model = tree / "build/bin/nibc", source / "examples/fashion-mnist/fashion_mnist_int8.onnx"
    run([nibc, "compile", model, "-o", work / "out", "--name=net", "--target=x86-64-v2"])
    text = (work / "out" / "net.c").read_text()
    spoken = text.count("_mm_madd_epi16")
    if not spoken or "_mm256" in text:
        sys.exit("the generated code does not use the vocabulary")
    print(f"generated code for x86-64-v2 says _mm_madd_epi16 {spoken} times")
    if "sse4_1" not in pathlib.Path("/proc/cpuinfo").read_text():
        print("skipped running it: this processor has no SSE4.1")
        return
    print("verify --target=x86-64-v2:", run([nibc, "verify", model, "--target=x86-64-v2"]).splitlines()[-1])


def check_format(tree):
    """The new format is listed, and its blocks have the size that they should."""
    text = run([tree / "build/bin/nibc", "formats", "fp5_b16"])
    print("nibc formats fp5_b16:", next(line for line in text.splitlines() if "layout" in line))


def main():
    source, work, compiler = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    shutil.rmtree(work, ignore_errors=True)
    tree = work / "tree"
    copy_tree(source, tree)
    here = pathlib.Path(__file__).resolve().parent
    apply_patches(here, tree)
    check_page(here, source / "docs/extending.md")
    build_tree(tree, compiler)
    tests = run([sys.executable, "test/run.py", "--build", "build", "-j", "2", *(f"test/{t}" for t in TESTS)],
                cwd=tree)
    print("tests of the copy:", tests.splitlines()[-1])
    check_vocabulary(source, tree, work)
    check_format(tree)
    shutil.rmtree(work)
    print("the extensions work")


if __name__ == "__main__":
    main()

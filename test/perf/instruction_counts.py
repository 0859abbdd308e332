#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Counts the instructions of generated kernels and compares them with the counts on record.

Usage: instruction_counts.py --nibc NIBC --clang CLANG --work DIR [--update] [--expect FILE]

The kernels are the cases of bench/cases.txt marked `perf`, compiled for x86-64-v3 (valgrind knows no
AVX512) and called once each in one program under callgrind, whose counts repeat exactly. More
than 1 % above the record fails. More than 3 % below fails too and asks for --update, so that
what was won is kept.
"""
import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import cases  # noqa: E402

RECORD = pathlib.Path(__file__).with_suffix(".txt")
MOST_OVER, MOST_UNDER = 0.01, 0.03
HEADER = """# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Instructions of one call, x86-64-v3: written by test/perf/instruction_counts.py --update.
"""


def symbol(case) -> str:
    return re.sub(r"\W", "_", case.name)


def run(command: list) -> None:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stderr or done.stdout}")


def program_text(chosen: list) -> str:
    """A C file that feeds each network with the case's input."""
    lines = [f'#include "{symbol(c)}.h"' for c in chosen] + ["int main(void) {", "  int failed = 0;"]
    for case in chosen:
        name, upper = symbol(case), symbol(case).upper()
        data = ",".join(str(b - 256 if b > 127 else b) for b in cases.make(case).input)
        lines.append(f"""  {{
    static _Alignas(64) const signed char in[] = {{{data}}};
    static _Alignas(64) signed char out[{upper}_OUTPUT_0_BYTES];
    static _Alignas(64) unsigned char arena[{upper}_ARENA_BYTES + 1];
    const void *ins[] = {{in}};
    void *outs[] = {{out}}, *arenas[] = {{arena}};
    failed |= {name}_run(0, ins, outs, arenas) != NIBRT_OK;
  }}""")
    return "\n".join([*lines, "  return failed;", "}", ""])


def build(chosen: list, args) -> pathlib.Path:
    args.work.mkdir(parents=True, exist_ok=True)
    sources = [args.work / "main.c"]
    sources[0].write_text(program_text(chosen), encoding="utf-8")
    for case in chosen:
        model = args.work / f"{symbol(case)}.mlir"
        model.write_text(cases.network_text(case, cases.make(case), "even"), encoding="utf-8")
        run([args.nibc, "compile", model, "-o", args.work, f"--name={symbol(case)}", "--target=x86-64-v3"])
        sources += [args.work / f"{symbol(case)}.c", args.work / f"{symbol(case)}_weights.c"]
    program = args.work / "kernels"
    run([args.clang, "-std=c11", "-O3", "-ffp-contract=off", "-Wl,-z,now", *sources, "-o", program, "-lm"])
    return program


def count(program: pathlib.Path, chosen: list, args) -> dict:
    """Instructions of each network's run function, what it calls included."""
    out = args.work / "callgrind.out"
    run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", program])
    names, counts, callee, is_cost = {}, {}, "", False
    for line in out.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"c?fn=\((\d+)\)(?: (.*))?", line):
            names.setdefault(match[1], match[2])
            callee = names[match[1]] if line.startswith("cfn=") else callee
        elif line.startswith("calls="):
            is_cost = True  # the line that follows holds the calls' cost
        elif is_cost:
            counts[callee] = counts.get(callee, 0) + int(line.split()[-1])
            is_cost = False
    return {case.name: counts[f"{symbol(case)}_run"] for case in chosen}


def read_record(path: pathlib.Path) -> dict:
    lines = (line.split() for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {words[0]: int(words[1]) for words in lines if words}


def judge(counts: dict, expected: dict) -> int:
    """Prints a line for each kernel; how many are out of bounds."""
    bad = 0
    for name, found in counts.items():
        if name not in expected:
            verdict, is_bad = "is not on record: run this with --update", True
        else:
            change = found / expected[name] - 1
            is_bad = not -MOST_UNDER <= change <= MOST_OVER
            verdict = f"{change:+.2%} of {expected[name]}" + (
                " TOO MANY" if change > MOST_OVER else " fewer: run this with --update" if is_bad else "")
        bad += is_bad
        print(f"{name:20} {found:9} {verdict}")
    for name in expected.keys() - counts.keys():
        print(f"{name:20} is on record but not in the table: run this with --update")
        bad += 1
    return bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nibc", type=pathlib.Path, default=ROOT / "build/bin/nibc")
    parser.add_argument("--clang", default="clang-22")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build/perf", help="folder for what is built")
    parser.add_argument("--expect", type=pathlib.Path, default=RECORD, help="another record")
    parser.add_argument("--update", action="store_true", help="write the record")
    args = parser.parse_args()
    chosen = [c for c in cases.read_table()[0] if "perf" in c.values]
    counts = count(build(chosen, args), chosen, args)
    if args.update:
        args.expect.write_text(HEADER + "".join(f"{n} {c}\n" for n, c in counts.items()), encoding="utf-8")
        return 0
    return 1 if judge(counts, read_record(args.expect)) else 0


if __name__ == "__main__":
    sys.exit(main())

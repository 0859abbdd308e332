#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The table of docs/lowering.md against the operator table and against what the pass does.

Usage: check_coverage.py NIB_OPT EXAMPLES.mlir OPS_DEF LOWERING_MD

EXAMPLES.mlir has a function for the example of each operation. An operator that the page names must be
lowered, and so must those of one or two numbers; any other must be refused by name.
"""
import pathlib
import re
import subprocess
import sys


def returning(examples):
    """The functions, each returning what its last operator computes; those of one operator with operands."""
    for function in examples.split("func.func ")[1:]:
        head, _, body = function.rstrip().rstrip("}").partition("{\n")
        body = body.rsplit("return", 1)[0].rstrip() + "\n"
        if "nib.kernel" in body or "->" not in body:
            continue
        for scales in re.findall(r"(?:scales|multipliers|shifts) (%\w+)", body):  # only constants can be
            argument = re.search(rf"(, )?{scales}: (tensor<[^>]*>)", head)
            if "f16" in argument[2]:  # scales in blocks are read where they are
                continue
            head = head.replace(argument[0], "")
            value = "0.5" if re.search(r"f\d+>", argument[2]) else "9"
            body = f"  {scales} = nib.constant dense<{value}> : {argument[2]}\n" + body
        name = re.findall(r"(%\w+) = nib\.", body)[-1]
        type_ = body.rsplit("->", 1)[1].strip()
        yield f"func.func {head.rstrip()} -> {type_} {{\n{body}  return {name} : {type_}\n}}\n"


def main():
    nib_opt, examples, ops_def, page = sys.argv[1:]
    functions = "".join(returning(pathlib.Path(examples).read_text()))
    families = dict(re.findall(r'^NIB_OP\(\w+, "(\w+)"(?:[^;]|\n)*?([A-Z]+), \d+\)', pathlib.Path(ops_def).read_text(), re.M))
    rows = re.findall(r"^\| ([a-z_0-9, ]+) \| .* \|$", pathlib.Path(page).read_text(), re.M)
    said = {name for names in rows[1:] for name in names.split(", ")}
    lowered = said | {name for name, family in families.items() if family in ("FUNCTION", "BINARY")}
    result = subprocess.run([nib_opt, "--convert-nib-to-linalg"], input=functions, capture_output=True, text=True,
                            check=False)
    refused = set(re.findall(r"error: nib\.(\w+) .*has no lowering to linalg", result.stderr))
    others = [line for line in result.stderr.splitlines() if "error:" in line and "has no lowering" not in line]
    shown = set(re.findall(r"func.func @(\w+)", functions)) | {"constant"}
    others += [f"{name}: no example" for name in sorted(families.keys() - shown)]
    problems = [f"{name}: no such operator" for name in sorted(said - families.keys())]
    problems += [f"{name}: said to be lowered, and is not" for name in sorted(lowered & refused)]
    problems += [f"{name}: lowered, and not said to be" for name in sorted(shown - lowered - refused)]
    for problem in problems + others:
        print(problem)
    print(f"{len(families)} operators, {len(lowered)} of them lowered")
    return bool(problems or others)


if __name__ == "__main__":
    sys.exit(main())

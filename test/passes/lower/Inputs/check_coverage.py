#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The table of docs/lowering.md against the operator table and against what the pass does.

Usage: check_coverage.py NIB_OPT EXAMPLES.mlir OPS_DEF LOWERING_MD

EXAMPLES.mlir has a function for the example of each operation. An operator that the page says is lowered must be; one
that it says is not must be refused by name.
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
        for scales in re.findall(r"scales (%\w+)", body):  # only constants can be
            argument = re.search(rf"(, )?{scales}: (tensor<[^>]*>)", head)
            head = head.replace(argument[0], "")
            body = f"  {scales} = nib.constant dense<0.5> : {argument[2]}\n" + body
        name = re.findall(r"(%\w+) = nib\.", body)[-1]
        type_ = body.rsplit("->", 1)[1].strip()
        yield f"func.func {head.rstrip()} -> {type_} {{\n{body}  return {name} : {type_}\n}}\n"


def main():
    nib_opt, examples, ops_def, page = sys.argv[1:]
    functions = "".join(returning(pathlib.Path(examples).read_text()))
    operators = set(re.findall(r'^NIB_OP\(\w+, "(\w+)"', pathlib.Path(ops_def).read_text(), re.M))
    rows = re.findall(r"^\| ([a-z_0-9, ]+) \| (.*) \|$", pathlib.Path(page).read_text(), re.M)
    said = {name: text != "not lowered" for names, text in rows[1:] for name in names.split(", ")}
    result = subprocess.run([nib_opt, "--convert-nib-to-linalg"], input=functions, capture_output=True, text=True,
                            check=False)
    refused = set(re.findall(r"error: nib\.(\w+) .*has no lowering to linalg", result.stderr))
    others = [line for line in result.stderr.splitlines() if "error:" in line and "has no lowering" not in line]
    if functions.count("func.func") < len(operators) - 3:  # constant, and two with a resource or a kernel
        others.append("some examples are missing")
    problems = [f"{name}: no row in the table" for name in sorted(operators - said.keys())]
    problems += [f"{name}: no such operator" for name in sorted(said.keys() - operators)]
    problems += [f"{name}: the page says {'lowered' if lowered else 'not lowered'}, the pass does otherwise"
                 for name, lowered in sorted(said.items()) if lowered == (name in refused)]
    for problem in problems + others:
        print(problem)
    print(f"{len(said)} operators, {sum(said.values())} of them lowered")
    return bool(problems or others)


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes the examples of the operations' documentation as one module, a function for each operation.

Usage: doc_examples.py NibOps.json > examples.mlir

What an example uses without defining it becomes an argument, typed as the example says. An operation
without an example is an error.
"""
import json
import re
import sys

BLOCK = re.compile(r"```mlir\n(.*?)```", re.S)
RESOURCE = re.compile(r"dense_resource<(\w+)> : tensor<([\dx]+)xi8>")


def split_types(text):
    """Comma-separated types, whose own brackets may hold commas."""
    types, depth, start = [], 0, 0
    for i, c in enumerate(text + ","):
        depth += (c in "<(") - (c in ">)")
        if c == "," and depth == 0:
            types.append(text[start:i].strip())
            start = i + 1
    return [t for t in types if t]


def statements(block):
    """Operations with a functional type: (results, operands, operand types)."""
    for found in re.finditer(r"(%\w+) = ([^=]*?) : \(([^()]*)\)\s*->", " ".join(block.split())):
        yield found[1], re.findall(r"%\w+", found[2]), split_types(found[3])


def function_of(name, blocks):
    arguments, defined, lines = {}, set(), []
    for block in blocks:
        if name == "yield":
            used, kind = re.search(r"nib\.yield (%\w+) : (\S+)", block).groups()
            arguments["%in"] = kind
            last = f"{used} = nib.relu %in : ({kind}) -> {kind}\n"
            block = f"%result = nib.kernel \"k\" {{\n{last}{block}}} : {kind}\n"
        for result, operands, types in statements(block):
            if len(operands) != len(types):
                sys.exit(f"{name}: {operands} against {types}")
            arguments.update((o, t) for o, t in zip(operands, types) if o not in defined)
            defined.add(result)
        lines.append(block)
    signature = ", ".join(f"{a}: {t}" for a, t in arguments.items())
    return f"func.func @{name}({signature}) {{\n{''.join(lines)}return\n}}\n"


def resources(text):
    rows = []
    for name, dims in RESOURCE.findall(text):
        size = 1
        for d in dims.split("x"):
            size *= int(d)
        rows.append(f'{name}: "0x40000000{"01" * size}"')
    return "{-# dialect_resources: { builtin: { " + ", ".join(rows) + " } } #-}\n" if rows else ""


def main():
    records = json.load(open(sys.argv[1], encoding="utf-8"))
    text = ""
    for key in records["!instanceof"]["Op"]:
        record = records[key]
        blocks = BLOCK.findall(record["description"])
        if not blocks:
            sys.exit(f"nib.{record['opName']} has no example")
        if not any(f"nib.{record['opName']} " in block for block in blocks):
            sys.exit(f"the example of nib.{record['opName']} does not show it")
        text += function_of(record["opName"], blocks)
    print(text + resources(text))


if __name__ == "__main__":
    main()

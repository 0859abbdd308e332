# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compares the operations of NibOps.td (as llvm-tblgen's JSON) with the rows of ops.def and graph.h.

Usage: compare_operator_table.py NibOps.json codegen/graph
"""
import json
import pathlib
import re
import sys

NO_ROW = {"kernel", "yield"}
KINDS = {"INT": "I64Attr", "INTS": "DenseI64ArrayAttr", "FLOAT": "F64Attr", "STRING": "StrAttr",
         "DATA": "ElementsAttr"}


def read_rows(folder):
    """{mnemonic: ([(operand, optional, variadic)], {attribute: kind})}"""
    kinds = dict(re.findall(r'X\(\w+, "(\w+)", NIB_ATTR_(\w+)\)', (folder / "graph.h").read_text()))
    rows = {}
    text = re.sub(r"/\*.*?\*/", "", (folder / "ops.def").read_text(), flags=re.S)
    for mnemonic, operands, attributes in re.findall(
            r'NIB_OP\(\w+, "(\w+)", "([^"]*)", 1,\s*"([^"]*)", \w+,\s*\d+\)', text):
        rows[mnemonic] = ([(o.rstrip("?*"), o.endswith("?"), o.endswith("*")) for o in operands.split()],
                          {a: KINDS[kinds[a]] for a in attributes.split()})
    return rows


def read_operations(records):
    """The same of the operations."""
    def base(name):
        record = records[name]
        return base(record["baseAttr"]["def"]) if record.get("baseAttr") else name

    operations = {}
    for name in records["!instanceof"]["Op"]:
        record = records[name]
        operands, attributes = [], {}
        for argument, label in record["arguments"]["args"]:
            kind = records[argument["def"]]
            if "Attr" in kind["!superclasses"]:
                attributes[label] = base(argument["def"])
            else:
                operands.append((label, "Optional" in kind["!superclasses"],
                                 "Variadic" in kind["!superclasses"]))
        operations[record["opName"]] = (operands, attributes)
    return operations


def main():
    operations = read_operations(json.loads(pathlib.Path(sys.argv[1]).read_text()))
    rows = read_rows(pathlib.Path(sys.argv[2]))
    problems = [f"ops.def has no {name}" for name in operations.keys() - rows.keys() - NO_ROW]
    for name, row in rows.items():
        if name not in operations:
            problems.append(f"NibOps.td has no {name}")
        elif operations[name] != row:
            problems.append(f"{name}: NibOps.td has {operations[name]}, ops.def {row}")
    print("\n".join(problems) if problems else f"{len(rows)} operators agree")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())

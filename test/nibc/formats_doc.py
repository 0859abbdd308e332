#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compares the table of docs/formats.md with `nibc formats --json`; --write replaces it.

Usage: formats_doc.py NIBC DOCUMENT [--write]
"""
import json
import pathlib
import subprocess
import sys

BEGIN, END = "<!-- the table: test/nibc/formats_doc.py --write -->\n", "<!-- end of the table -->\n"


def rows(formats):
    yield "| name | also | bits/element | block | scale | range (of an element) | special | source |"
    yield "|---|---|---|---|---|---|---|---|"
    for f in formats:
        yield "| " + " | ".join([f"`{f['name']}`", f["aliases"], f"{f['bits_per_element']:g}", str(f["block"] or ""),
                                f["scale"].replace("-", ""), f"{f['low']:g} to {f['high']:g}",
                                f["special"] if f["special"] != "-" else "", f["source"]]) + " |"


def main():
    nibc, document = sys.argv[1], pathlib.Path(sys.argv[2])
    formats = json.loads(subprocess.run([nibc, "formats", "--json"], check=True, capture_output=True).stdout)
    text = document.read_text()
    before, rest = text.split(BEGIN)
    table, after = rest.split(END)
    wanted = "\n".join(rows(formats)) + "\n"
    if "--write" in sys.argv:
        document.write_text(before + BEGIN + wanted + END + after)
    elif table != wanted:
        print(f"{document}: the table is not that of `nibc formats`; write it by formats_doc.py NIBC DOCUMENT --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Counts the x86-64 instructions that compute with, convert or load real numbers in object files.

float_instructions.py LLVM-OBJDUMP FILE…   prints how many of how many instructions; moves and logical
operations on vector registers say nothing of what is in them and are not counted.
"""
import re
import subprocess
import sys

FLOAT = re.compile(
    r"v?(?:add|sub|mul|div|sqrt|min|max|rcp|rsqrt|cmp\w*|hadd|hsub|addsub|dp|round|getexp|getmant|scalef|range|"
    r"reduce|fixupimm|rndscale|rcp14|rsqrt14)(?:ss|sd|ps|pd|sh|ph)|v?u?comi(?:ss|sd|sh)|v?cvt\w+|vfn?m(?:add|sub)\w+|"
    r"f(?:ld|st|add|sub|mul|div|ild|ist|com|ucom|chs|abs|sqrt)\w*")


def main():
    text = subprocess.run([sys.argv[1], "-d", "--no-show-raw-insn", *sys.argv[2:]], check=True, capture_output=True,
                          text=True).stdout
    names = [m.group(1) for m in re.finditer(r"^\s*[0-9a-f]+:\s+(\S+)", text, re.M)]
    found = sorted({name for name in names if FLOAT.fullmatch(name)})
    print(f"{sum(bool(FLOAT.fullmatch(name)) for name in names)} of {len(names)} instructions are float", *found)


if __name__ == "__main__":
    main()

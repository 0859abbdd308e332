#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes numbers as a .npy file, or prints the floats of one.

Usage: codes.py FILE NUMBER ...    signed bytes; a number with a point: a scalar float
       codes.py --read FILE
"""
import struct
import sys


def main():
    name, *numbers = sys.argv[1:]
    if name == "--read":
        data = open(numbers[0], "rb").read()
        at = 10 + struct.unpack("<H", data[8:10])[0]
        print(*struct.unpack(f"<{(len(data) - at) // 4}f", data[at:]))
        return
    real = "." in numbers[0]
    shape = "()" if real else f"({len(numbers)},)"
    head = f"{{'descr': '{'<f4' if real else '|i1'}', 'fortran_order': False, 'shape': {shape}, }}"
    head = head.ljust(117) + "\n"
    body = struct.pack("<f", float(numbers[0])) if real else struct.pack(f"{len(numbers)}b", *map(int, numbers))
    with open(name, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + body)


if __name__ == "__main__":
    main()

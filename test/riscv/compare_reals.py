#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""compare_reals.py A.npy B.npy MOST: float32 arrays differ by at most MOST times the largest number of B."""
import struct
import sys


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    size = struct.unpack("<H", data[8:10])[0]
    assert b"'<f4'" in data[: 10 + size], path
    body = data[10 + size :]
    return struct.unpack(f"<{len(body) // 4}f", body)


a, b = read(sys.argv[1]), read(sys.argv[2])
largest, differs = max(abs(x) for x in b), max(abs(x - y) for x, y in zip(a, b))
print(f"{differs / largest:.3g} of the largest number")
assert len(a) == len(b) and differs <= float(sys.argv[3]) * largest

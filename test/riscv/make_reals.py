#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""make_reals.py FILE.npy LEAST MOST DIM...: float32 numbers between LEAST and MOST, without numpy."""
import math
import random
import struct
import sys

random.seed(11)
least, most = float(sys.argv[2]), float(sys.argv[3])
shape = tuple(int(word) for word in sys.argv[4:])
head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
head += " " * (63 - (10 + len(head)) % 64) + "\n"
with open(sys.argv[1], "wb") as file:
    file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
    for _ in range(math.prod(shape)):
        file.write(struct.pack("<f", random.uniform(least, most)))

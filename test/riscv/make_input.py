#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""make_input.py FILE.npy: two images of noise, uint8 [2, 1, 28, 28], without numpy."""
import random
import struct
import sys

random.seed(7)
head = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1, 28, 28), }"
head += " " * (63 - (10 + len(head)) % 64) + "\n"
with open(sys.argv[1], "wb") as file:
    file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
    file.write(bytes(random.randrange(256) for _ in range(2 * 784)))

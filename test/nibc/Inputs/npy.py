#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays for the command-line tests, with nothing but Python's library.

npy.py make DTYPE SHAPE SEED OUT.npy      random values (SHAPE as 3x49x10, dtype as i1 u1 i2 i4 f4 f8)
npy.py cut N IN.npy OUT.npy               the first file without its last N bytes
npy.py change INDEX IN.npy OUT.npy        one element changed: integers by one, floats by a tenth of the largest
npy.py pb IN.npy OUT.pb                   the same array as an ONNX TensorProto
npy.py shape IN.npy                       prints type and shape
"""
import ast
import random
import struct
import sys

CODES = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "i8": "q", "f4": "f", "f8": "d"}


def read(path):
    data = open(path, "rb").read()
    size = struct.unpack("<H", data[8:10])[0]
    header = ast.literal_eval(data[10:10 + size].decode())
    kind = header["descr"].lstrip("|<")
    return data[:10 + size], kind, header["shape"], bytearray(data[10 + size:])


def write(path, kind, shape, payload):
    order = "|" if kind[1] == "1" else "<"
    text = f"{{'descr': '{order}{kind}', 'fortran_order': False, 'shape': {tuple(shape)!r}, }}"
    text += " " * (-(10 + len(text) + 1) % 64) + "\n"
    open(path, "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes(payload))


def make(kind, shape, seed, out):
    dims = [int(n) for n in shape.split("x")] if shape else []
    count = 1
    for n in dims:
        count *= n
    rng = random.Random(int(seed))
    if kind[0] == "f":
        values = [rng.uniform(-2, 2) for _ in range(count)]
    else:
        bits = 8 * min(int(kind[1]), 2)
        low = 0 if kind[0] == "u" else -(1 << bits - 1)
        values = [rng.randrange(low, low + (1 << bits)) for _ in range(count)]
    write(out, kind, dims, struct.pack(f"<{count}{CODES[kind]}", *values))


def cut(n, source, out):
    open(out, "wb").write(open(source, "rb").read()[:-int(n)])


def change(index, source, out):
    _, kind, shape, payload = read(source)
    values = list(struct.unpack(f"<{len(payload) // int(kind[1])}{CODES[kind]}", payload))
    i = int(index)
    if kind[0] == "f":
        values[i] += 0.1 * max(abs(v) for v in values) + 1e-3
    else:
        values[i] += -1 if values[i] > 0 else 1
    write(out, kind, shape, struct.pack(f"<{len(values)}{CODES[kind]}", *values))


def shape(source):
    _, kind, dims, _ = read(source)
    print(kind, "x".join(str(n) for n in dims))


def varint(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)


def pb(source, out):
    _, kind, dims, payload = read(source)
    types = {"f4": 1, "u1": 2, "i1": 3, "u2": 4, "i2": 5, "i4": 6, "i8": 7, "f8": 11}
    text = b"".join(b"\x08" + varint(n) for n in dims) + b"\x10" + varint(types[kind])
    open(out, "wb").write(text + b"\x4a" + varint(len(payload)) + bytes(payload))


if __name__ == "__main__":
    {"pb": pb, "make": make, "cut": cut, "change": change, "shape": shape}[sys.argv[1]](*sys.argv[2:])

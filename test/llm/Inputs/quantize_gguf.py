#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Copies a GGUF file of f32 tensors; matrices whose rows are whole blocks become Q8_0, all others stay.

Usage: quantize_gguf.py FROM TO

Q8_0 (ggml): for each 32 elements d = largest magnitude / 127 as f16, then round(x / d) as int8.
"""
import pathlib
import struct
import sys

SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY, F32, Q8_0, ALIGNMENT = 8, 9, 0, 8, 32


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values[0]

    def text(self):
        size = self.take("Q")
        self.at += size
        return self.data[self.at - size : self.at]

    def skip(self, kind):
        if kind == STRING:
            self.text()
        elif kind == ARRAY:
            inner, count = self.take("I"), self.take("Q")
            for _ in range(count):
                self.skip(inner)
        else:
            self.at += SCALARS[kind]


def encode(data):
    values = struct.unpack(f"<{len(data) // 4}f", data)
    out = bytearray()
    for at in range(0, len(values), 32):
        block = values[at : at + 32]
        scale = max(map(abs, block)) / 127
        out += struct.pack("<e32b", scale, *(round(x / scale) if scale else 0 for x in block))
    return bytes(out)


def padded(data):
    return data + bytes(-len(data) % ALIGNMENT)


def main():
    data = pathlib.Path(sys.argv[1]).read_bytes()
    r = Reader(data)
    r.at = 8
    n_tensors, n_pairs = r.take("Q"), r.take("Q")
    for _ in range(n_pairs):
        r.text()
        r.skip(r.take("I"))
    head, tensors = data[: r.at], []
    for _ in range(n_tensors):
        name, rank = r.text(), r.take("I")
        dims = [r.take("Q") for _ in range(rank)]
        kind, offset = r.take("I"), r.take("Q")
        assert kind == F32
        tensors.append((name, dims, offset))
    start = (r.at + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
    infos, body = b"", b""
    for name, dims, offset in tensors:
        elems = 1
        for extent in dims:
            elems *= extent
        values = data[start + offset : start + offset + 4 * elems]
        to_q8 = len(dims) == 2 and dims[0] % 32 == 0
        infos += struct.pack("<Q", len(name)) + name + struct.pack("<I", len(dims))
        infos += struct.pack(f"<{len(dims)}Q", *dims)
        infos += struct.pack("<IQ", Q8_0 if to_q8 else F32, len(body))
        body += padded(encode(values) if to_q8 else values)
    pathlib.Path(sys.argv[2]).write_bytes(padded(head + infos) + body)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Makes the operand of a TFLite network's last operator its output: cut_last.py MODEL RESULT

The operator stays, and nothing reads its result. One number of the file changes: the element of the
subgraph's list of outputs."""
import pathlib
import struct
import sys


def u32(data, at):
    return struct.unpack_from("<I", data, at)[0]


def field(data, table, number):
    """Where a table's field is."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    return table + struct.unpack_from("<H", data, vtable + 4 + 2 * number)[0]


def follow(data, at):
    return at + u32(data, at)


def cut_last(data):
    out = bytearray(data)
    subgraphs = follow(out, field(out, u32(out, 0), 2))
    graph = follow(out, subgraphs + 4)
    outputs, operators = follow(out, field(out, graph, 2)), follow(out, field(out, graph, 3))
    last = follow(out, operators + 4 * u32(out, operators))
    operands = follow(out, field(out, last, 1))
    struct.pack_into("<I", out, outputs + 4, u32(out, operands + 4))
    return bytes(out)


if __name__ == "__main__":
    pathlib.Path(sys.argv[2]).write_bytes(cut_last(pathlib.Path(sys.argv[1]).read_bytes()))

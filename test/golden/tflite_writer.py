# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes TFLite files of one operator with nothing but the standard library.

A flatbuffer here is made of three kinds of values: `Table` (field number to value), `Vector` and plain
scalars given as (struct letter, number). Parents are written before children, so that all offsets are
positive as the format wants.
"""
import struct


class Table:
    def __init__(self, fields):
        self.fields = fields


class Vector:
    """Elements of a struct letter, or tables where the letter is None."""

    def __init__(self, letter, elements, align=None):
        self.letter, self.elements = letter, list(elements)
        self.align = align or (struct.calcsize(letter) if letter else 4)


def pad(out, align, ahead=0):
    while (len(out) + ahead) % align:
        out.append(0)


def put_offset(out, at, value):
    struct.pack_into("<I", out, at, emit(out, value) - at)


def emit_table(out, fields):
    slots, size = {}, 4
    for number, value in fields.items():
        width = struct.calcsize(value[0]) if isinstance(value, tuple) else 4
        size = (size + width - 1) // width * width
        slots[number] = size
        size += width
    n = max(fields, default=-1) + 1
    pad(out, 8)
    vtable = len(out)
    out += struct.pack("<HH", 4 + 2 * n, size) + b"".join(struct.pack("<H", slots.get(i, 0)) for i in range(n))
    pad(out, 8)
    start = len(out)
    out += bytes(size)
    struct.pack_into("<i", out, start, start - vtable)
    for number, value in fields.items():
        if isinstance(value, tuple):
            struct.pack_into("<" + value[0], out, start + slots[number], value[1])
    for number, value in fields.items():
        if not isinstance(value, tuple):
            put_offset(out, start + slots[number], value)
    return start


def emit(out, value):
    """Appends a value; returns where it starts."""
    if isinstance(value, Table):
        return emit_table(out, value.fields)
    pad(out, 4)
    pad(out, max(value.align, 4), 4)
    start = len(out)
    out += struct.pack("<I", len(value.elements))
    if value.letter:
        out += struct.pack(f"<{len(value.elements)}{value.letter}", *value.elements) + b"\0"  # ends a string
        return start
    first = len(out)
    out += bytes(4 * len(value.elements))
    for i, element in enumerate(value.elements):
        put_offset(out, first + 4 * i, element)
    return start


TYPES = {"f32": (0, "f"), "i32": (2, "i"), "u8": (3, "B"), "i64": (4, "q"), "i16": (7, "h"), "i8": (9, "b")}


class Model:
    """Tensors are added first; `build` adds the one operator."""

    def __init__(self):
        self.tensors, self.buffers = [], [Table({})]

    def tensor(self, shape, kind, scale=None, zero_point=0, data=None, axis=0):
        number, letter = TYPES[kind]
        fields = {0: Vector("i", shape), 1: ("b", number), 2: ("I", 0), 3: Vector("B", b"t%d" % len(self.tensors))}
        if data is not None:
            raw = struct.pack(f"<{len(data)}{letter}", *data)
            fields[2] = ("I", len(self.buffers))
            self.buffers.append(Table({0: Vector("B", raw, 16)}))
        if scale is not None:
            scales = scale if isinstance(scale, list) else [scale]
            zero_points = Vector("q", [zero_point] * len(scales))
            fields[4] = Table({2: Vector("f", scales), 3: zero_points, 6: ("i", axis)})
        self.tensors.append(Table(fields))
        return len(self.tensors) - 1

    def build(self, code, version, options, operands, results, inputs):
        """`options`: None, or the tag of the union and a dictionary of fields."""
        fields = {0: ("I", 0), 1: Vector("i", operands), 2: Vector("i", results)}
        if options:
            fields.update({3: ("B", options[0]), 4: Table(options[1])})
        graph = {0: Vector(None, self.tensors), 1: Vector("i", inputs), 2: Vector("i", results), 3: Vector(None, [Table(fields)])}
        opcode = Table({0: ("b", min(code, 127)), 2: ("i", version), 3: ("i", code)})
        model = Table({0: ("I", 3), 1: Vector(None, [opcode]), 2: Vector(None, [Table(graph)]), 4: Vector(None, self.buffers)})
        out = bytearray(struct.pack("<I4s", 0, b"TFL3"))
        put_offset(out, 0, model)
        return bytes(out)

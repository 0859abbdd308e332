#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""dynamic_quantize.py write DIR: inputs x, w, s. dynamic_quantize.py check DIR: o0 to o6 against exact arithmetic.

The codes are those of x / (largest * (1/127)) in f32, ties to even; the product is checked in double.
"""
import pathlib
import random
import struct
import sys

ROWS, COLUMNS, OUT, BLOCK = 3, 64, 5, 32


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def write(path, descr, shape, data):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (63 - (len(text) + 10) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data)


def read(path, kind):
    raw = path.read_bytes()
    data = raw[10 + struct.unpack("<H", raw[8:10])[0]:]
    return struct.unpack(f"<{len(data) // struct.calcsize(kind)}{kind}", data)


def inputs():
    rng = random.Random(5)
    x = [f32(rng.gauss(0, 1) * 10 ** rng.randint(-2, 2)) for _ in range(ROWS * COLUMNS)]
    w = [rng.randint(-8, 7) for _ in range(OUT * COLUMNS)]
    s = [f32(rng.uniform(.01, .1)) for _ in range(OUT * COLUMNS // BLOCK)]
    return x, w, s


def check(folder, x, w, s):
    step = f32(0.0078740157)
    results = []
    for group in (ROWS * COLUMNS, COLUMNS, BLOCK):
        scales = [f32(max(map(abs, x[i:i + group])) * step) for i in range(0, len(x), group)]
        codes = [max(-128, min(127, round(f32(v / scales[i // group])))) for i, v in enumerate(x)]
        results.append((codes, scales))
    problems = []
    for i, (codes, scales) in enumerate(results):
        if list(read(folder / f"o{2 * i}.npy", "b")) != codes:
            problems.append(f"codes {i}")
        if list(read(folder / f"o{2 * i + 1}.npy", "f")) != scales:
            problems.append(f"scales {i}")
    codes, scales = results[2]
    y = read(folder / "o6.npy", "f")
    for r in range(ROWS):
        for o in range(OUT):
            terms = [codes[r * COLUMNS + k] * scales[(r * COLUMNS + k) // BLOCK] *
                     w[o * COLUMNS + k] * s[(o * COLUMNS + k) // BLOCK] for k in range(COLUMNS)]
            if abs(y[r * OUT + o] - sum(terms)) > 1e-5 * sum(map(abs, terms)):
                problems.append(f"product {r},{o}: {y[r * OUT + o]}, not {sum(terms)}")
    print("\n".join(problems) or "all as computed exactly")
    return bool(problems)


def main():
    action, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    x, w, s = inputs()
    if action == "check":
        return check(folder, x, w, s)
    write(folder / "x.npy", "<f4", (ROWS, COLUMNS), struct.pack(f"<{len(x)}f", *x))
    write(folder / "w.npy", "|i1", (OUT, COLUMNS), struct.pack(f"<{len(w)}b", *w))
    write(folder / "s.npy", "<f4", (OUT, COLUMNS // BLOCK), struct.pack(f"<{len(s)}f", *s))
    return 0


if __name__ == "__main__":
    sys.exit(main())

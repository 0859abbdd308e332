# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""block_arrays.py make X.npy: numbers. block_arrays.py check X.npy Q.npy I.npy BACK.npy WHOLE.npy: each is what it should be."""
import random
import struct
import sys

import npy


def floats(path):
    _, kind, shape, data = npy.read(path)
    assert kind == "f4", kind
    return shape, struct.unpack(f"<{len(data) // 4}f", data)


def main():
    if sys.argv[1] == "make":
        rng = random.Random(1)
        npy.write(sys.argv[2], "f4", (2, 64), struct.pack("<128f", *[rng.uniform(-100, 100) for _ in range(128)]))
        return
    x_path, q_path, i_path, back_path, whole_path = sys.argv[2:]
    _, x = floats(x_path)
    _, kind, shape, data = npy.read(q_path)
    assert (kind, shape) == ("u1", (2, 68)), (kind, shape)
    blocks = [data[i:i + 34] for i in range(0, len(data), 34)]
    decoded = [struct.unpack("<e", b[:2])[0] * code for b in blocks for code in struct.unpack("<32b", b[2:])]
    assert max(abs(a - b) for a, b in zip(decoded, x)) < 0.5, "not the numbers"
    assert floats(back_path) == ((2, 64), tuple(decoded)), "not the numbers that the blocks hold"
    _, kind, shape, data = npy.read(i_path)
    assert (kind, shape) == ("i2", (2, 64)), (kind, shape)
    assert list(struct.unpack("<128h", data)) == [int(v) for v in x]
    assert floats(whole_path) == ((2, 64), tuple(float(int(v)) for v in x))
    print("all as they should be")


main()

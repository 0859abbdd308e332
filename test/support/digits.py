#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Accuracy of a compiled network of handwritten digits, on the 10,000 test images of MNIST. Standard library only.

Usage: digits.py NIBC CC TARGET FOLDER MODEL IMAGES.gz LABELS.gz

Images are idx files; the input is value / 255 as f32.
"""
import gzip
import struct
import sys

from compiled import Compiled


def main():
    nibc, cc, target, folder, model, images, labels = sys.argv[1:]
    run = Compiled(nibc, cc, model, target, folder)
    pixels, digits = gzip.open(images).read()[16:], gzip.open(labels).read()[8:]
    size = run.sizes[0] // 4
    reals = [struct.pack("<f", v / 255) for v in range(256)]
    right = 0
    for i, digit in enumerate(digits):
        image = b"".join([reals[v] for v in pixels[i * size : (i + 1) * size]])
        scores = struct.unpack("<10f", run(image)[0])
        right += scores.index(max(scores)) == digit
    print(f"{right} of {len(digits)} right, {100 * right / len(digits):.2f} %")


if __name__ == "__main__":
    main()

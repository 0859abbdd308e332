#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""make_images.py COUNT: the first test images of Fashion-MNIST (Debian: dataset-fashion-mnist) as C."""
import gzip
import pathlib
import sys

data = pathlib.Path("/usr/share/datasets/fashion-mnist")
count = int(sys.argv[1])
images = gzip.open(next(data.rglob("t10k-images-idx3-ubyte.gz"))).read()[16:]
labels = gzip.open(next(data.rglob("t10k-labels-idx1-ubyte.gz"))).read()[8:]
print("/* SPDX-License-Identifier: MIT\n * Images of Fashion-MNIST, by Zalando SE. */")
print("#include <stdint.h>")
print(f"enum {{ IMAGE_COUNT = {count} }};")
print(f"static const uint8_t images[{count}][784] = {{")
for i in range(count):
    print("{" + ",".join(str(pixel) for pixel in images[784 * i : 784 * (i + 1)]) + "},")
print("};")
print(f"static const uint8_t labels[{count}] = {{{', '.join(str(label) for label in labels[:count])}}};")

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes grouped.golden.txt of this folder: words, zero points and weights of GPTQ and AWQ checkpoints, as hashes.

The layouts are those that AutoGPTQ packs (auto_gptq/nn_modules/qlinear/qlinear_cuda.py: 32 codes of a column are `bits`
words, the first code in the lowest bits; zero points less 1 likewise along a row) and AutoAWQ (awq/modules/linear/gemm.py
and awq/utils/packing_utils.py: 8 columns in a word, in the order 0 2 4 6 1 3 5 7; zero points too). Here they are made of
integers of any size, which hold a whole line of words. 8 and 2 bits of AWQ, which AutoAWQ has not, keep the order of columns.

Needs numpy. The test, which makes the same codes, is test/unit/test_format_grouped.c.
"""
import pathlib

import numpy as np

from hashes import U64, hash_of, random_bits

K, N, GROUP = 96, 32, 32
AWQ_ORDER = {4: [0, 2, 4, 6, 1, 3, 5, 7]}


def numbers(seed, rows, columns, mask):
    return (random_bits(U64(seed), np.arange(rows * columns)) & U64(mask)).astype(np.int64).reshape(rows, columns)


def words_of(codes, bits):
    """The words of one line of codes."""
    whole = sum(int(code) << (bits * i) for i, code in enumerate(codes))
    return [whole >> (32 * w) & 0xFFFFFFFF for w in range(len(codes) * bits // 32)]


def awq_order(row, bits):
    order = AWQ_ORDER.get(bits, range(32 // bits))
    return [row[first + i] for first in range(0, len(row), len(order)) for i in order]


def lines(layout, bits):
    mask = (1 << bits) - 1
    seed = 10 * bits + (layout == "awq")
    codes = numbers(seed, K, N, mask)
    stored = numbers(seed + 100, K // GROUP, N, mask)
    scales = ((numbers(seed + 200, K // GROUP, N, 1023) + 1) * 2.0**-12).astype(np.float32)
    if layout == "gptq":
        words = np.array([words_of(column, bits) for column in codes.T]).T
        zero_words = np.array([words_of(row, bits) for row in stored])
    else:
        words = np.array([words_of(awq_order(row, bits), bits) for row in codes])
        zero_words = np.array([words_of(awq_order(row, bits), bits) for row in stored])
    zeros = stored + (layout == "gptq")
    values = (codes - zeros.repeat(GROUP, 0)).astype(np.float32) * scales.repeat(GROUP, 0)
    yield f"{layout} {bits} words {hash_of(words):016x}"
    yield f"{layout} {bits} zero-words {hash_of(zero_words):016x}"
    yield f"{layout} {bits} values {hash_of((values + np.float32(0)).view(np.uint32)):016x}"


def main():
    out = [line for bits in (2, 3, 4, 8) for line in lines("gptq", bits)]
    out += [line for bits in (2, 4, 8) for line in lines("awq", bits)]
    path = pathlib.Path(__file__).with_name("grouped.golden.txt")
    path.write_text("# By make_grouped_goldens.py. Hashes: test_format_grouped.c.\n" + "\n".join(out) + "\n")
    print(f"{len(out)} lines")


if __name__ == "__main__":
    main()

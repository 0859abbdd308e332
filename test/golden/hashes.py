# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What scripts of goldens and tests in C have in common: numbers that look random, and hashes of sequences."""
import numpy as np

U64 = np.uint64


def random_bits(seed, i):
    """splitmix64: number i of the sequence `seed`, elementwise."""
    with np.errstate(over="ignore"):
        z = np.asarray(seed, U64) + (np.asarray(i, U64) + U64(1)) * U64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> U64(30))) * U64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> U64(27))) * U64(0x94D049BB133111EB)
        return z ^ (z >> U64(31))


def hash_of(values):
    """Sum of random_bits(value, index): depends on every value and its place."""
    values = np.asarray(values).astype(U64).ravel()
    with np.errstate(over="ignore"):
        return int(np.sum(random_bits(values, np.arange(values.size)), dtype=U64))

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * splitmix64: the random numbers of the tests. */
#ifndef NIB_TEST_RANDOM_H
#define NIB_TEST_RANDOM_H

#include <stdint.h>

static inline uint64_t next_random(uint64_t *state) {
  *state += UINT64_C(0x9E3779B97F4A7C15);
  uint64_t z = *state;
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

#endif

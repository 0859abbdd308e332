/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_rounding_modes
/* Every named rounding mode against its definition in docs/numerics.md, written in integers of 128
 * bits (exactly, so also for the modes whose product is a float), on extremes, ties and random
 * numbers. A mode without a definition here fails. */
#include "num/requant.h"
#include "num/snippets.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

typedef __int128 wide;

static int failures;

static wide floor_shift(wide x, int bits) { return x >> bits; }

static wide half_up(wide x, int bits) {
  return bits ? floor_shift(x + ((wide)1 << (bits - 1)), bits) : x;
}

static wide half_away(wide x, int bits) { return x < 0 ? -half_up(-x, bits) : half_up(x, bits); }

static int64_t saturate(wide x) {
  return (int64_t)(x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : x);
}

/* acc * M in float: the product of two 24-bit significands, rounded to 24 bits, then to an integer.
 */
static int64_t float_product(int64_t acc, float scale, bool away) {
  int e;
  const float a = (float)acc;
  const wide significand = (wide)ldexp(frexp((double)scale, &e), 24) * (wide)(int64_t)a;
  int shift = 24 - e; /* value = significand / 2^shift */
  wide x = significand < 0 ? -significand : significand;
  int excess = 0;
  while (x >> (24 + excess))
    ++excess;
  if (excess) { /* rounding of the product, ties to even */
    const wide rest = x & (((wide)1 << excess) - 1), half = (wide)1 << (excess - 1);
    x >>= excess;
    x += rest > half || (rest == half && (x & 1));
    shift -= excess;
  }
  if (shift <= 0)
    x = shift < -60 ? (wide)1 << 60 : x << -shift;
  else if (shift > 100)
    x = 0;
  else {
    const wide rest = x & (((wide)1 << shift) - 1), half = (wide)1 << (shift - 1);
    x >>= shift;
    x += rest > half || (rest == half && (away || (x & 1)));
  }
  const int64_t y = saturate(significand < 0 ? -x : x);
  return y >= 2147483520 ? INT32_MAX : y; /* the last float below 2^31 counts as beyond */
}

/* Whether the definition says anything, and what. */
static bool define(nib_rounding mode, int32_t acc, nib_requant m, int64_t *out) {
  const int total = 31 - m.shift, left = m.shift > 0 ? m.shift : 0;
  const wide product = (wide)acc * m.multiplier;
  switch (mode) {
  case NIB_ROUNDING_NEAREST_EVEN:
    *out = float_product(acc, m.scale, false);
    return true;
  case NIB_ROUNDING_NEAREST_AWAY:
    *out = float_product(acc, m.scale, true);
    return true;
  case NIB_ROUNDING_TFLITE_SINGLE:
  case NIB_ROUNDING_DYADIC:
  case NIB_ROUNDING_TOSA_SINGLE:
  case NIB_ROUNDING_TOSA_INEXACT:
    *out = saturate(half_up(product, total));
    return true;
  case NIB_ROUNDING_TFLITE_AWAY:
    *out = saturate(half_away(product, total));
    return true;
  case NIB_ROUNDING_TOSA_DOUBLE:
    *out = saturate(floor_shift(product + ((wide)1 << (total - 1)) +
                                    (total <= 31 ? 0 : (wide)(acc < 0 ? -1 : 1) * (1 << 30)),
                                total));
    return true;
  case NIB_ROUNDING_TFLITE_DOUBLE: {
    const wide shifted = (wide)acc * ((wide)1 << left);
    *out = saturate(half_away(saturate(half_up(shifted * m.multiplier, 31)), left ? 0 : -m.shift));
    return shifted >= INT32_MIN && shifted <= INT32_MAX;
  }
  case NIB_ROUNDING_TFLITE_INT64: {
    if (m.shift > 14)
      return false;
    const wide reduced = m.multiplier < 0x7FFF0000 ? half_up(m.multiplier, 16) : 0x7FFF;
    const wide y = half_up(reduced * acc, 15 - m.shift);
    *out = (int64_t)y;
    return y >= INT32_MIN && y <= INT32_MAX;
  }
  default:
    printf("no definition of %s\n", nib_rounding_name(mode));
    ++failures;
    return false;
  }
}

static int64_t compute(nib_rounding mode, int32_t acc, nib_requant m) {
  switch (mode) {
  case NIB_ROUNDING_NEAREST_EVEN:
    return nib_rq_nearest_even(acc, m.scale);
  case NIB_ROUNDING_NEAREST_AWAY:
    return nib_rq_nearest_away(acc, m.scale);
  case NIB_ROUNDING_TFLITE_SINGLE:
    return nib_rq_tflite_single(acc, m.multiplier, m.shift);
  case NIB_ROUNDING_DYADIC:
    return nib_rq_dyadic(acc, m.multiplier, m.shift);
  case NIB_ROUNDING_TOSA_SINGLE:
    return nib_rq_tosa_single(acc, m.multiplier, m.shift);
  case NIB_ROUNDING_TOSA_INEXACT:
    return nib_rq_tosa_inexact(acc, m.multiplier, m.shift);
  case NIB_ROUNDING_TFLITE_AWAY:
    return nib_rq_tflite_away(acc, m.multiplier, m.shift);
  case NIB_ROUNDING_TOSA_DOUBLE:
    return nib_rq_tosa_double(acc, m.multiplier, m.shift);
  case NIB_ROUNDING_TFLITE_DOUBLE:
    return nib_rq_tflite_double(acc, m.multiplier, m.shift);
  default:
    return nib_rq_tflite_int64(acc, m.multiplier, m.shift);
  }
}

static void check(int32_t acc, double real) {
  const nib_requant m = nib_requant_from_real(real);
  for (int mode = 0; mode < NIB_ROUNDING_COUNT; ++mode) {
    int64_t want;
    if (!define((nib_rounding)mode, acc, m, &want))
      continue;
    const int64_t have = compute((nib_rounding)mode, acc, m);
    if (have != want && ++failures <= 20)
      printf("%s: %d * %a is %lld, not %lld\n", nib_rounding_name((nib_rounding)mode), acc, real,
             (long long)have, (long long)want);
  }
}

int main(void) {
  const int32_t extremes[] = {0,  1,   -1,   2,   -2,   3,          -3,        5,
                              -5, 255, -256, 768, -768, 0x7FFFFF80, INT32_MAX, INT32_MIN};
  const double scales[] = {0x1p-1, 0x1p-2, 0x1p-8, 0x1p-31, 0x1.8p-2, 1,   1.5,
                           3,      0x1p-9, 1e-9,   0x1p20,  0.75,     1e6, 0x1.fffffffcp-1};
  for (size_t i = 0; i < sizeof extremes / sizeof *extremes; ++i)
    for (size_t k = 0; k < sizeof scales / sizeof *scales; ++k)
      check(extremes[i], scales[k]);
  uint64_t state = 12345;
  for (int i = 0; i < 300000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const int32_t acc = (int32_t)(state >> 32) >> (i % 31);
    /* Powers of two and few bits make ties. */
    const double fraction = i % 3 ? 1 + (double)(state >> 8 & 0xFFFFFF) * 0x1p-24 : i % 2 ? 1 : 1.5;
    check(acc, ldexp(fraction, (int)(state % 36) - 30));
  }
  printf("%d failures\n", failures);
  return failures != 0;
}

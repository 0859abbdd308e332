/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_linear
/* Float forms of requantization that nib_linear_prove gives, with their fixes, against the rounding
 * itself: around every step of the result, at the ends of the range, and on random accumulators. */
#include "../support/random.h"
#include "epilogue/epilogue.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int failures;

static uint64_t random_state = 3;

static double random_unit(void) { return (double)(next_random(&random_state) >> 11) * 0x1p-53; }

typedef struct trial {
  nib_rounding rounding;
  nib_requant rq;
  int64_t zero, lo, hi;
  nib_acc_range range;
} trial;

static int64_t clamp(const trial *t, double code) {
  return code < (double)t->lo ? t->lo : code > (double)t->hi ? t->hi : (int64_t)code;
}

static int64_t exact(const trial *t, int64_t acc) {
  return clamp(t, (double)nib_params_rescale(t->rounding, (int32_t)acc, &t->rq) + (double)t->zero);
}

/* As the vector code computes it. */
static int64_t of_form(const trial *t, const nib_linear *l, int64_t acc) {
  const uint32_t bits = (uint32_t)l->start + (uint32_t)acc;
  const bool rounded = l->form == NIB_LINEAR_ROUNDED;
  float x = (float)acc;
  if (rounded || l->form == NIB_LINEAR_STARTED)
    memcpy(&x, &bits, sizeof x);
  const float offset = l->form == NIB_LINEAR_SIGNED ? copysignf(l->offset, x) : l->offset;
  const float real = fmaf(x, l->scale, offset);
  double code = (double)(rounded ? real - 12582912.0f : rintf(real)) +
                (l->zero_apart ? (double)t->zero : 0.0);
  for (int i = 0; i < l->n_fixes; i++)
    code += acc == l->fixes[i].acc ? l->fixes[i].by : 0;
  return clamp(t, code);
}

static void compare(const trial *t, const nib_linear *l, int64_t acc) {
  if (acc < t->range.low || acc > t->range.high || exact(t, acc) == of_form(t, l, acc))
    return;
  printf("multiplier %d shift %d, acc %lld: want %lld, got %lld\n", t->rq.multiplier, t->rq.shift,
         (long long)acc, (long long)exact(t, acc), (long long)of_form(t, l, acc));
  ++failures;
}

static void check_form(const trial *t, const nib_linear *l, double scale) {
  compare(t, l, t->range.low);
  compare(t, l, t->range.high);
  for (int64_t code = t->lo - 1; code <= t->hi + 1; code++)
    for (int64_t near = -3; near <= 3; near++)
      compare(t, l, (int64_t)(((double)(code - t->zero) - 0.5) / scale) + near);
  for (int i = 0; i < 2000; i++)
    compare(t, l, t->range.low + (int64_t)(random_unit() * (double)(t->range.high - t->range.low)));
}

/* Scales of 2^-exponent and a little more; returns how many were proven with at most `most` fixes.
 */
static int try_scales(nib_rounding rounding, int exponent, nib_linear_form form, bool zero_apart,
                      int most, int count) {
  int proven = 0;
  for (int i = 0; i < count; i++) {
    const double scale = ldexp(1.0 + random_unit() * 0.999, -exponent);
    int shift = 0;
    const double mantissa = frexp(scale, &shift);
    trial t = {.rounding = rounding,
               .zero = (int64_t)(next_random(&random_state) % 256) - 128,
               .lo = -128,
               .hi = 127};
    t.rq = (nib_requant){.multiplier = (int32_t)lrint(mantissa * 2147483647.0),
                         .shift = shift,
                         .scale = (float)scale};
    const bool started = form == NIB_LINEAR_STARTED || form == NIB_LINEAR_ROUNDED;
    const int64_t reach = started ? 1 << 22 : 1 << 24;
    t.range = (nib_acc_range){-(int64_t)(next_random(&random_state) % (uint64_t)reach),
                              (int64_t)(next_random(&random_state) % (uint64_t)reach)};
    nib_linear l = {.form = form, .zero_apart = zero_apart};
    if (!nib_linear_prove(rounding, &t.rq, t.zero, t.lo, t.hi, t.range, most, &l))
      continue;
    ++proven;
    check_form(&t, &l, scale);
  }
  return proven;
}

int main(void) {
  static const nib_rounding roundings[] = {NIB_ROUNDING_TFLITE_DOUBLE, NIB_ROUNDING_TFLITE_SINGLE,
                                           NIB_ROUNDING_NEAREST_EVEN, NIB_ROUNDING_NEAREST_AWAY,
                                           NIB_ROUNDING_TFLITE_AWAY};
  enum { count = 100 };
  for (int r = 0; r < 5; r++) {
    for (int exponent = 1; exponent <= 13; exponent++) {
      const int plain = try_scales(roundings[r], exponent, NIB_LINEAR_SIGNED, true, 0, count);
      const int fixed =
          try_scales(roundings[r], exponent, NIB_LINEAR_SIGNED, true, NIB_MAX_FIXES, count);
      const int started = try_scales(roundings[r], exponent, NIB_LINEAR_STARTED, true, 0, count);
      try_scales(roundings[r], exponent, NIB_LINEAR_PLAIN, false, NIB_MAX_FIXES, count);
      try_scales(roundings[r], exponent, NIB_LINEAR_STARTED, false, 0, count);
      const int rounded = try_scales(roundings[r], exponent, NIB_LINEAR_ROUNDED, false, 0, count);
      const int rounded_fixed =
          try_scales(roundings[r], exponent, NIB_LINEAR_ROUNDED, false, NIB_MAX_FIXES, count);
      printf(
          "rounding %d, scale 2^-%d: %d %% proven, %d %% with fixes, %d %% started, %d %% rounded, "
          "%d %% with fixes\n",
          (int)roundings[r], exponent, plain, fixed, started, rounded, rounded_fixed);
      /* A product that is rounded to a float by itself is the same whatever the sums begin at. */
      failures += roundings[r] == NIB_ROUNDING_NEAREST_EVEN && started < count;
      /* What kernels with sums of up to a thousand products need. */
      if (roundings[r] == NIB_ROUNDING_TFLITE_DOUBLE && exponent >= 6 && exponent <= 11 &&
          fixed < 98)
        ++failures;
    }
  }
  printf("%d failures\n", failures);
  return failures != 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Requantization is monotone in the accumulator, and so is a fused multiply-add followed by rint:
 * two such functions with results in [lo, hi] are equal everywhere if they step at the same
 * accumulators, of which there are at most hi - lo. */
#include "epilogue/epilogue.h"
#include "num/snippets.h"

#include <math.h>

typedef struct exact_form {
  nib_rounding rounding;
  nib_requant rq;
  int64_t zero_point, lo, hi;
} exact_form;

static int64_t exact(const exact_form *f, int32_t acc) {
  int32_t y = 0;
  switch (f->rounding) {
  case NIB_ROUNDING_TFLITE_DOUBLE:
    y = nib_rq_tflite_double(acc, f->rq.multiplier, f->rq.shift);
    break;
  case NIB_ROUNDING_TFLITE_SINGLE:
    y = nib_rq_tflite_single(acc, f->rq.multiplier, f->rq.shift);
    break;
  case NIB_ROUNDING_NEAREST_EVEN:
    y = nib_rq_nearest_even(acc, f->rq.scale);
    break;
  default:
    y = nib_rq_nearest_away(acc, f->rq.scale);
    break;
  }
  const int64_t code = y + f->zero_point;
  return code < f->lo ? f->lo : code > f->hi ? f->hi : code;
}

static float linear(float scale, float offset, int64_t acc) {
  return rintf(fmaf((float)acc, scale, offset));
}

/* Smallest acc in the range with exact(acc) >= code, or high + 1: a galloping search from where the
 * real multiplier puts it. */
static int64_t threshold(const exact_form *f, nib_acc_range range, double scale, int64_t code) {
  int64_t below = range.low - 1, above = range.high + 1; /* exact(below) < code <= exact(above) */
  const double guess = ((double)(code - f->zero_point) - 0.5) / scale;
  int64_t at = guess <= (double)range.low    ? range.low
               : guess >= (double)range.high ? range.high
                                             : (int64_t)guess;
  for (int64_t step = 1; above - below > 1; step *= 2) {
    if (exact(f, (int32_t)at) >= code) {
      above = at;
      at = at - step > below ? at - step : below + (above - below) / 2;
    } else {
      below = at;
      at = at + step < above ? at + step : below + (above - below) / 2;
    }
    if (step > 16)
      at = below + (above - below) / 2;
  }
  return above;
}

#define NIB_MAX_THRESHOLDS 256

static bool steps_agree(const int64_t *at, const exact_form *f, nib_acc_range range, float scale,
                        float offset) {
  for (int64_t code = f->lo + 1; code <= f->hi; code++) {
    const int64_t t = at[code - f->lo - 1];
    if (t <= range.high && linear(scale, offset, t) < (float)code)
      return false;
    if (t > range.low && linear(scale, offset, t - 1) >= (float)code)
      return false;
  }
  return true;
}

bool nib_linear_prove(nib_rounding rounding, const nib_requant *rq, int64_t zero_point, int64_t lo,
                      int64_t hi, nib_acc_range range, float *out_scale, float *out_offset) {
  const exact_form f = {rounding, *rq, zero_point, lo, hi};
  const double scale = rounding == NIB_ROUNDING_TFLITE_DOUBLE || rounding == NIB_ROUNDING_TFLITE_SINGLE
                           ? ldexp(rq->multiplier, rq->shift - 31)
                           : rq->scale;
  /* Within 2^30 nothing wraps or saturates, so both forms are monotone and the conversion back to
   * an integer is exact. */
  const double limit = 1073741824.0;
  if (hi - lo >= NIB_MAX_THRESHOLDS || hi < lo || !(scale > 0) || !(scale < limit) ||
      range.low > range.high)
    return false;
  const double reach = fmax(fabs((double)range.low), fabs((double)range.high));
  if (reach > limit || reach * scale > limit || (rq->shift > 0 && ldexp(reach, rq->shift) > limit))
    return false;
  int64_t at[NIB_MAX_THRESHOLDS];
  for (int64_t code = lo + 1; code <= hi; code++)
    at[code - lo - 1] = threshold(&f, range, scale, code);
  static const int nudges[] = {0, 1, -1, 2, -2, 3, -3, 4, -4};
  for (size_t i = 0; i < sizeof nudges / sizeof *nudges; i++) {
    for (size_t j = 0; j < sizeof nudges / sizeof *nudges; j++) {
      float s = (float)scale;
      for (int k = 0; k < nudges[j]; k++)
        s = nextafterf(s, INFINITY);
      for (int k = 0; k > nudges[j]; k--)
        s = nextafterf(s, 0.0f);
      const float offset = (float)((double)zero_point + ldexp(nudges[i], -18));
      if (steps_agree(at, &f, range, s, offset)) {
        *out_scale = s;
        *out_offset = offset;
        return true;
      }
    }
  }
  return false;
}

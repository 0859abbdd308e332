/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Requantization is monotone in the accumulator, and so is a fused multiply-add followed by rint:
 * two such functions with results in [lo, hi] are equal everywhere if they step at the same
 * accumulators, of which there are at most hi - lo. */
#include "epilogue/followers.h"

#include <math.h>

typedef struct exact_form {
  nib_rounding rounding;
  nib_requant rq;
  int64_t zero_point, lo, hi;
} exact_form;

static int64_t exact(const exact_form *f, int32_t acc) {
  const int64_t code = nib_params_rescale(f->rounding, acc, &f->rq) + f->zero_point;
  return code < f->lo ? f->lo : code > f->hi ? f->hi : code;
}

/* What the vector code computes, the zero point of the signed form included. */
static float linear(const nib_linear *l, int64_t acc) {
  const float x = (float)acc;
  if (!l->is_signed)
    return rintf(fmaf(x, l->scale, l->offset));
  return rintf(fmaf(x, l->scale, copysignf(l->offset, x))) + (float)l->zero_point;
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

static bool steps_agree(const int64_t *at, const exact_form *f, nib_acc_range range,
                        const nib_linear *l) {
  for (int64_t code = f->lo + 1; code <= f->hi; code++) {
    const int64_t t = at[code - f->lo - 1];
    if (t <= range.high && linear(l, t) < (float)code)
      return false;
    if (t > range.low && linear(l, t - 1) >= (float)code)
      return false;
  }
  return true;
}

/* The offsets that put every step between the accumulators t - 1 and t are an interval: its middle
 * leaves the most room for the rounding of floats. In the signed form the offset counts away from
 * zero. Returns false for an empty interval. */
static bool solve_offset(const int64_t *at, const exact_form *f, nib_acc_range range,
                         nib_linear *l) {
  double low = -INFINITY, high = INFINITY;
  const double minus = l->is_signed ? (double)f->zero_point : 0.0, scale = (double)l->scale;
  for (int64_t code = f->lo + 1; code <= f->hi; code++) {
    const int64_t t = at[code - f->lo - 1];
    const double step = (double)code - 0.5 - minus;
    if (t <= range.high) { /* scale * t + offset >= step */
      if (l->is_signed && t < 0)
        high = fmin(high, scale * (double)t - step);
      else
        low = fmax(low, step - scale * (double)t);
    }
    if (t > range.low) { /* scale * (t - 1) + offset < step */
      if (l->is_signed && t - 1 < 0)
        low = fmax(low, scale * (double)(t - 1) - step);
      else
        high = fmin(high, step - scale * (double)(t - 1));
    }
  }
  if (!(low < high))
    return false;
  if (isinf(low) || isinf(high))
    l->offset = (float)(isinf(low) ? isinf(high) ? minus : high : low);
  else
    l->offset = (float)(low + (high - low) * 0.5);
  return !l->is_signed || l->offset >= 0;
}

static bool search(const int64_t *at, const exact_form *f, nib_acc_range range, double scale,
                   nib_linear *l) {
  enum { ulps = 6 };
  l->zero_point = f->zero_point;
  for (int i = 0; i <= 2 * ulps; i++) { /* 0, 1, -1, 2, -2 … ulps away */
    l->scale = (float)scale;
    for (int k = 0; k < (i + 1) / 2; k++)
      l->scale = nextafterf(l->scale, i % 2 ? INFINITY : 0.0f);
    if (solve_offset(at, f, range, l) && steps_agree(at, f, range, l))
      return true;
  }
  return false;
}

bool nib_linear_prove(nib_rounding rounding, const nib_requant *rq, int64_t zero_point, int64_t lo,
                      int64_t hi, nib_acc_range range, nib_linear *out_linear) {
  const exact_form f = {rounding, *rq, zero_point, lo, hi};
  const bool integers = !nib_epilogue_is_float_rounding(rounding);
  const double scale = integers ? ldexp(rq->multiplier, rq->shift - 31) : (double)rq->scale;
  /* Within 2^30 nothing wraps or saturates, so both forms are monotone and the conversion back to
   * an integer is exact. */
  const double limit = 1073741824.0;
  if (hi - lo >= NIB_MAX_THRESHOLDS || hi < lo || !(scale > 0) || !(scale < limit) ||
      range.low > range.high)
    return false;
  const double reach = fmax(fabs((double)range.low), fabs((double)range.high));
  if (reach > limit || reach * scale > limit ||
      (integers && rq->shift > 0 && ldexp(reach, rq->shift) > limit))
    return false;
  int64_t at[NIB_MAX_THRESHOLDS];
  for (int64_t code = lo + 1; code <= hi; code++)
    at[code - lo - 1] = threshold(&f, range, scale, code);
  return search(at, &f, range, scale, out_linear);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Requantization is monotone in the accumulator, and so is a fused multiply-add followed by rint:
 * two such functions with results in [lo, hi] are equal everywhere if they step at the same
 * accumulators, of which there are at most hi - lo. Where a float has too few bits to put every
 * step in its place, the accumulators between the two places are few and can be listed. */
#include "epilogue/followers.h"

#include <math.h>
#include <stdlib.h>

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

/* Accumulators whose code the form misses by one are listed in *l as fixes: those between a step of
 * the exact result and the same step of the form. Returns false when there are more than
 * NIB_MAX_FIXES. */
static bool list_fixes(const int64_t *at, const exact_form *f, nib_acc_range range, nib_linear *l,
                       int most) {
  l->n_fixes = 0;
  for (int64_t code = f->lo + 1; code <= f->hi; code++) {
    const int64_t t = at[code - f->lo - 1];
    for (int64_t acc = t; acc <= range.high && linear(l, acc) < (float)code; acc++) {
      if (l->n_fixes == most)
        return false;
      l->fixes[l->n_fixes++] = (nib_fix){(int32_t)acc, 1};
    }
    for (int64_t acc = t - 1; acc >= range.low && linear(l, acc) >= (float)code; acc--) {
      if (l->n_fixes == most)
        return false;
      l->fixes[l->n_fixes++] = (nib_fix){(int32_t)acc, -1};
    }
  }
  for (int i = 1; i < l->n_fixes; i++) /* in ascending order: one that is off by two shows */
    if (l->fixes[i].acc <= l->fixes[i - 1].acc)
      return false;
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

/* i-th of the floats around `x`: 0, 1, -1, 2, -2 … ulps away. */
static float neighbour(float x, int i) {
  for (int k = 0; k < (i + 1) / 2; k++)
    x = nextafterf(x, i % 2 ? INFINITY : 0.0f);
  return x;
}

static int compare_doubles(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* The ends of the steps' intervals of offsets, sorted. */
static int offset_ends(const int64_t *at, const exact_form *f, nib_acc_range range,
                       const nib_linear *l, double *ends) {
  const double minus = l->is_signed ? (double)f->zero_point : 0.0, scale = (double)l->scale;
  int n = 0;
  for (int64_t code = f->lo + 1; code <= f->hi; code++) {
    const int64_t t = at[code - f->lo - 1];
    if (t > range.high || t <= range.low)
      continue;
    const double step = (double)code - 0.5 - minus, sign = l->is_signed && t < 0 ? -1.0 : 1.0;
    ends[n++] = sign * (step - scale * (double)t);
    ends[n++] = sign * (step - scale * (double)(t - 1));
  }
  qsort(ends, (size_t)n, sizeof *ends, compare_doubles);
  return n;
}

/* No offset fits every step: of those around the median, the one with the fewest fixes. */
static bool search_fixes(const int64_t *at, const exact_form *f, nib_acc_range range, double scale,
                         int most, nib_linear *l) {
  enum { scales = 5, offsets = 8 };
  double ends[2 * NIB_MAX_THRESHOLDS];
  nib_linear trial = *l;
  bool found = false;
  for (int i = 0; i < scales && most >= 0; i++) {
    trial.scale = neighbour((float)scale, i);
    const int n = offset_ends(at, f, range, &trial, ends);
    for (int k = n / 2 - offsets > 0 ? n / 2 - offsets : 0; k < n / 2 + offsets && k + 1 < n; k++) {
      trial.offset = (float)(ends[k] + (ends[k + 1] - ends[k]) * 0.5);
      if ((trial.is_signed && trial.offset < 0) || !list_fixes(at, f, range, &trial, most))
        continue;
      *l = trial;
      found = true;
      most = trial.n_fixes - 1; /* only better ones from here */
      if (most < 0)
        break;
    }
  }
  return found;
}

static bool search(const int64_t *at, const exact_form *f, nib_acc_range range, double scale,
                   int most_fixes, nib_linear *l) {
  enum { scales = 13 };
  l->zero_point = f->zero_point;
  for (int i = 0; i < scales; i++) {
    l->scale = neighbour((float)scale, i);
    if (solve_offset(at, f, range, l) && list_fixes(at, f, range, l, 0))
      return true;
  }
  return most_fixes > 0 && search_fixes(at, f, range, scale, most_fixes, l);
}

bool nib_linear_prove(nib_rounding rounding, const nib_requant *rq, int64_t zero_point, int64_t lo,
                      int64_t hi, nib_acc_range range, int most_fixes, nib_linear *out_linear) {
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
  if (most_fixes > NIB_MAX_FIXES)
    most_fixes = NIB_MAX_FIXES;
  return search(at, &f, range, scale, most_fixes, out_linear);
}

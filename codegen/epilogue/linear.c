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

/* Floats of the binade of the started form are integers: bits of its first one, the number of them.
 */
enum { first_bits = 0x4B000000, first_float = 1 << 23 };
/* Amid that binade: what results of the rounded form are beside. */
static const float middle = 12582912.0f;

bool nib_linear_has_start(nib_linear_form form) {
  return form == NIB_LINEAR_STARTED || form == NIB_LINEAR_ROUNDED;
}

nib_prim nib_linear_prim(nib_linear_form form) {
  static const nib_prim prims[] = {[NIB_LINEAR_PLAIN] = NIB_PRIM_RQ_LINEAR,
                                   [NIB_LINEAR_SIGNED] = NIB_PRIM_RQ_SIGNED,
                                   [NIB_LINEAR_STARTED] = NIB_PRIM_RQ_STARTED,
                                   [NIB_LINEAR_ROUNDED] = NIB_PRIM_RQ_ROUNDED};
  return prims[form];
}

/* What the vector code computes, a zero point that is added afterwards included. */
static float linear(const nib_linear *l, int64_t acc) {
  const float x =
      (float)(nib_linear_has_start(l->form) ? acc + l->start - first_bits + first_float : acc);
  if (l->form == NIB_LINEAR_ROUNDED)
    return fmaf(x, l->scale, l->offset) - middle;
  const float offset = l->form == NIB_LINEAR_SIGNED ? copysignf(l->offset, x) : l->offset;
  return rintf(fmaf(x, l->scale, offset)) + (l->zero_apart ? (float)l->zero_point : 0.0f);
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
static bool offset_window(const int64_t *at, const exact_form *f, nib_acc_range range,
                          const nib_linear *l, double *out_low, double *out_high) {
  const bool is_signed = l->form == NIB_LINEAR_SIGNED;
  double low = -INFINITY, high = INFINITY;
  const double minus = l->zero_apart ? (double)f->zero_point : 0.0, scale = (double)l->scale;
  for (int64_t code = f->lo + 1; code <= f->hi; code++) {
    const int64_t t = at[code - f->lo - 1];
    const double step = (double)code - 0.5 - minus;
    if (t <= range.high) { /* scale * t + offset >= step */
      if (is_signed && t < 0)
        high = fmin(high, scale * (double)t - step);
      else
        low = fmax(low, step - scale * (double)t);
    }
    if (t > range.low) { /* scale * (t - 1) + offset < step */
      if (is_signed && t - 1 < 0)
        low = fmax(low, scale * (double)(t - 1) - step);
      else
        high = fmin(high, step - scale * (double)(t - 1));
    }
  }
  *out_low = low;
  *out_high = high;
  return low < high;
}

static bool solve_offset(const int64_t *at, const exact_form *f, nib_acc_range range,
                         nib_linear *l) {
  double low, high;
  if (!offset_window(at, f, range, l, &low, &high))
    return false;
  if (isinf(low) || isinf(high))
    l->offset =
        (float)(isinf(low) ? isinf(high) ? l->zero_apart ? (double)f->zero_point : 0.0 : high
                           : low);
  else
    l->offset = (float)(low + (high - low) * 0.5);
  return l->form != NIB_LINEAR_SIGNED || l->offset >= 0;
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
  const double minus = l->zero_apart ? (double)f->zero_point : 0.0, scale = (double)l->scale;
  int n = 0;
  for (int64_t code = f->lo + 1; code <= f->hi; code++) {
    const int64_t t = at[code - f->lo - 1];
    if (t > range.high || t <= range.low)
      continue;
    const double step = (double)code - 0.5 - minus,
                 sign = l->form == NIB_LINEAR_SIGNED && t < 0 ? -1.0 : 1.0;
    ends[n++] = sign * (step - scale * (double)t);
    ends[n++] = sign * (step - scale * (double)(t - 1));
  }
  qsort(ends, (size_t)n, sizeof *ends, compare_doubles);
  return n;
}

/* ---- the started and the rounded form ----
 * Accumulators that begin at the bits of an integer `start` of [2^23, 2^24) can be read as floats,
 * without a conversion. The offset then is what start * scale leaves to be taken away, rounded to a
 * float, or, beside 1.5 * 2^23, to an integer; of the many possible starts one is chosen for which
 * that rounding is what the steps want.
 */

/* The first t >= 0 for which a * t modulo m is in [low, high], or -1 if there is none up to `most`:
 * the steps of Euclid's algorithm lead to the same question of smaller numbers. m <= 2^38 and most
 * < 2^24. */
static int64_t first_within(int64_t a, int64_t m, int64_t low, int64_t high, int64_t most) {
  if (low > high || low == 0)
    return 0;
  if (a == 0)
    return -1;
  if (2 * a > m) {
    const int64_t mirrored = m - low;
    low = m - high;
    high = mirrored;
    a = m - a;
  }
  int64_t t = (low + a - 1) / a;
  if (a * t > high) {
    const int64_t wraps = first_within(m % a, a, (a - high % a) % a, (a - low % a) % a, most);
    if (wraps < 0 || wraps > most)
      return -1;
    t = (low + m * wraps + a - 1) / a;
  }
  return t <= most ? t : -1;
}

static int64_t last_start(nib_acc_range range) { return 2 * first_float - 1 - range.high; }

/* The next of the starts from `from` up to `last` for which the offset, rounded, is off by what is
 * within (low, high), or -1. In units of the scale's last bit, scale is an integer of 24 bits, an
 * offset as large as 2^24 * scale a multiple of 2^24, and an integer one of a larger power of two.
 */
static int64_t next_start(int64_t from, int64_t last, double low, double high, nib_linear *l) {
  enum { largest_log2 = 38 };
  int exponent;
  const int64_t scale = (int64_t)ldexpf(frexpf(l->scale, &exponent), 24);
  const bool whole = l->form == NIB_LINEAR_ROUNDED;
  const int place = whole ? 0 : exponent, modulus_log2 = 24 - exponent + place;
  if (from > last || modulus_log2 < 24 || modulus_log2 > largest_log2)
    return -1;
  const int64_t modulus = INT64_C(1) << modulus_log2;
  const double least = ceil(ldexp(low, 24 - exponent)), most = floor(ldexp(high, 24 - exponent));
  if (!(most >= least))
    return -1;
  int64_t t = 0;
  if (most - least < (double)(modulus - 1)) {
    const int64_t begin = ((int64_t)fmod(least, (double)modulus) - scale * from) % modulus;
    const int64_t first = (begin + modulus) % modulus;
    t = first_within(scale % modulus, modulus, first, (first + (int64_t)(most - least)) % modulus,
                     last - from);
  }
  if (t < 0)
    return -1;
  const double taken = (double)(from + t) * (double)l->scale;
  l->start = (int32_t)(first_bits + (from + t - first_float));
  l->offset = (float)(ldexp(rint(ldexp(low + (high - low) * 0.5 - taken, -place)), place) +
                      (whole ? (double)middle : 0.0));
  return from + t;
}

/* An offset between `low` and `high`, by a start where the form has one; false if there is none. */
static bool put_offset(nib_acc_range range, double low, double high, nib_linear *l) {
  if (nib_linear_has_start(l->form))
    return next_start(first_float - range.low, last_start(range), low, high, l) >= 0;
  l->offset = (float)(low + (high - low) * 0.5);
  return l->form != NIB_LINEAR_SIGNED || l->offset >= 0;
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
      if (!put_offset(range, ends[k], ends[k + 1], &trial) ||
          !list_fixes(at, f, range, &trial, most))
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

static bool search_start(const int64_t *at, const exact_form *f, nib_acc_range range, double scale,
                         nib_linear *l) {
  enum { scales = 13, starts = 64, windows = 5, narrowest_log2 = -23 };
  /* A product that is rounded to a float by itself, as the rounding is defined, is rounded alike if
   * hardly anything is added to it; where starts are few, somewhat more may do. */
  const bool as_defined = f->rounding == NIB_ROUNDING_NEAREST_EVEN &&
                          l->form == NIB_LINEAR_STARTED && (l->zero_apart || f->zero_point == 0);
  const int64_t last = last_start(range);
  for (int i = 0; i < (as_defined ? windows : scales); i++) {
    l->scale = neighbour((float)scale, as_defined ? 0 : i);
    double high = ldexp((double)l->scale, 4 * i + narrowest_log2), low = -high;
    if (!as_defined && !offset_window(at, f, range, l, &low, &high))
      continue;
    /* Without a step on one side any offset beyond the other one is good. */
    low = isinf(low) ? high - 1 : low;
    high = isinf(high) ? low + 1 : high;
    int64_t start = first_float - range.low;
    for (int k = 0; k < starts && (start = next_start(start, last, low, high, l)) >= 0;
         k++, start++)
      if (list_fixes(at, f, range, l, 0))
        return true;
  }
  return false;
}

static bool search(const int64_t *at, const exact_form *f, nib_acc_range range, double scale,
                   int most_fixes, nib_linear *l) {
  enum { scales = 13 };
  l->zero_point = f->zero_point;
  if (nib_linear_has_start(l->form)) {
    if (search_start(at, f, range, scale, l))
      return true;
  } else {
    for (int i = 0; i < scales; i++) {
      l->scale = neighbour((float)scale, i);
      if (solve_offset(at, f, range, l) && list_fixes(at, f, range, l, 0))
        return true;
    }
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
  if (out_linear->form == NIB_LINEAR_ROUNDED && reach * scale > (double)(first_float / 4))
    return false; /* of the binade */
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

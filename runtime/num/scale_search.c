/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The scale of elements that share one: by a rule, from a percentile, or by least squared error. */
#include "num/scale_search.h"

#include "num/block.h"
#include "num/codebook.h"
#include "num/format_snippets.h" /* nib_finite */

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* splitmix64 of a counter. */
uint64_t nib_random_bits(uint64_t seed, uint64_t i) {
  uint64_t z = seed + (i + 1) * UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
  return z ^ z >> 31;
}

float nib_scale_finite(float x) { return nib_finite(x); }

void nib_scale_value_range(nib_format format, double zero, double *out_low, double *out_high) {
  const nib_format_info *info = nib_format_get(format);
  double low = 0, high = 0;
  if (info->kind == NIB_KIND_FLOAT) {
    high = nib_format_decode(format,
                             nib_format_encode(format, 1e300, NIB_ENCODE_NEAREST_EVEN, true, 0));
    low = nib_format_decode(format,
                            nib_format_encode(format, -1e300, NIB_ENCODE_NEAREST_EVEN, true, 0));
    low = isnan(low) ? 0 : low; /* a scale has no sign */
  } else if (info->kind == NIB_KIND_CODEBOOK || info->kind == NIB_KIND_BIPOLAR) {
    for (uint64_t c = 0; c < UINT64_C(1) << info->bits; ++c) {
      low = fmin(low, nib_format_decode(format, c));
      high = fmax(high, nib_format_decode(format, c));
    }
  } else {
    low = (double)info->min;
    high = (double)info->max;
  }
  *out_low = low - zero;
  *out_high = high - zero;
}

void nib_block_element_range(const nib_block_layout *b, double *out_low, double *out_high) {
  nib_scale_value_range((nib_format)b->element, b->element_zero, out_low, out_high);
  if (b->element_limit) {
    *out_low = fmax(*out_low, -b->element_limit);
    *out_high = fmin(*out_high, b->element_limit);
  }
}

void nib_scale_search_init(nib_scale_search *s, const nib_format_info *info,
                           const nib_encode_options *options) {
  const nib_format element = (nib_format)info->block.element;
  s->b = &info->block;
  s->options = options;
  s->has_offset = info->block.offset != NIB_NO_FORMAT || info->block.zero != NIB_NO_FORMAT;
  s->has_nan = nib_format_get(element)->kind == NIB_KIND_FLOAT;
  nib_block_element_range(s->b, &s->low, &s->high);
  for (int i = 0; nib_format_get(element)->bits <= 8 && i < 1 << nib_format_get(element)->bits; ++i)
    s->values[i] = (float)nib_format_decode(element, (uint64_t)i);
}

uint64_t nib_scale_encode(const nib_scale_search *s, double v, nib_encode_mode mode,
                          uint64_t random) {
  const nib_format element = (nib_format)s->b->element;
  const nib_format_info *info = nib_format_get(element);
  if (info->kind == NIB_KIND_CODEBOOK)
    return (uint64_t)nib_codebook_nearest(s->values, 1 << info->bits, v, mode, random);
  return nib_format_encode(element, v, mode, !s->options->wraps, random);
}

double nib_scale_clip(const nib_scale_search *s, double v) {
  if (isnan(v))
    return s->has_nan ? v : 0;
  if (s->options->wraps && s->has_nan)
    return v;
  return s->has_offset && s->b->zero != NIB_NO_FORMAT ? v : fmin(fmax(v, s->low), s->high);
}

/* ---- rules ---- */

/* Of finite elements; `signed_max` is the first of largest magnitude, with its sign. */
typedef struct extent {
  float low, high, magnitude, signed_max;
} extent;

static extent find_extent(const float *x, int n) {
  extent e = {0, 0, 0, 0};
  bool any = false;
  for (int i = 0; i < n; ++i) {
    const float v = nib_scale_finite(x[i]);
    e.low = any && e.low <= v ? e.low : v; /* of zeros, the first decides on the sign */
    e.high = any && e.high >= v ? e.high : v;
    any = true;
    if (fabsf(v) > e.magnitude) {
      e.magnitude = fabsf(v);
      e.signed_max = v;
    }
  }
  return e;
}

/* floor(log2 x) of a positive x. */
static int exponent_of(double x) {
  int e;
  frexp(x, &e);
  return e - 1;
}

static nib_scale_pair from_range(const nib_scale_search *s, extent e) {
  /* Offsets that are products of unsigned codes, and zero points, cannot leave 0 outside. */
  const bool holds_zero = s->b->group_offsets.low.bits || s->b->zero != NIB_NO_FORMAT;
  const float low = holds_zero ? fminf(e.low, 0) : e.low,
              high = holds_zero ? fmaxf(e.high, 0) : e.high;
  const nib_scale_pair p = {(high - low) / (float)(s->high - s->low), 0};
  return (nib_scale_pair){p.scale, low - p.scale * (float)s->low};
}

static nib_scale_pair from_extent(const nib_scale_search *s, extent e) {
  const double unit = ldexp(1, s->b->element_exponent);
  const float m = e.magnitude;
  /* Groups have factors that are no powers of two; their codes are rounded up. */
  switch (s->b->group_elems && s->b->scale_rule == NIB_SCALE_RULE_CEIL_POW2 ? NIB_SCALE_RULE_ABSMAX
                                                                            : s->b->scale_rule) {
  case NIB_SCALE_RULE_RANGE:
    return from_range(s, e);
  case NIB_SCALE_RULE_SIGNED_MAX:
    return (nib_scale_pair){e.signed_max / (float)s->low, 0};
  case NIB_SCALE_RULE_FLOOR_POW2:
    return (nib_scale_pair){
        m == 0 ? 0 : (float)ldexp(1, exponent_of((double)m) - exponent_of(s->high * unit)), 0};
  case NIB_SCALE_RULE_CEIL_POW2: {
    const double ratio = (double)m / (s->high * unit);
    const int e2 = m == 0 ? 0 : exponent_of(ratio);
    return (nib_scale_pair){m == 0 ? 0 : (float)ldexp(1, e2 + (ldexp(1, e2) < ratio)), 0};
  }
  default:
    return (nib_scale_pair){m / (float)(s->high * unit), 0};
  }
}

nib_scale_pair nib_scale_by_rule(const nib_scale_search *s, const float *x, int n) {
  return from_extent(s, find_extent(x, n));
}

/* ---- percentile ---- */

static int compare_floats(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* The extent without what lies beyond the percentile on either side, or of magnitudes. */
static extent clip_extent(const nib_scale_search *s, const float *x, int n, extent e) {
  const double p = s->options->percentile > 0 ? fmin(s->options->percentile, 100) : 99.9;
  float *sorted = malloc((size_t)n * sizeof *sorted);
  if (!sorted)
    return e;
  for (int i = 0; i < n; ++i)
    sorted[i] = s->has_offset ? nib_scale_finite(x[i]) : fabsf(nib_scale_finite(x[i]));
  qsort(sorted, (size_t)n, sizeof *sorted, compare_floats);
  const int last = (int)ceil(p / 100 * n) - 1;
  const float high = sorted[last < 0 ? 0 : last], low = sorted[n - 1 - (last < 0 ? 0 : last)];
  free(sorted);
  if (s->has_offset)
    return (extent){fminf(low, high), fmaxf(low, high), fmaxf(fabsf(low), fabsf(high)), 0};
  return (extent){-high, high, high, e.signed_max < 0 ? -high : high};
}

/* ---- least squared error ---- */

static double squared_error(const nib_scale_search *s, const float *x, int n, nib_scale_pair p) {
  const nib_format element = (nib_format)s->b->element;
  const double unit = ldexp((double)p.scale, s->b->element_exponent), zero = s->b->element_zero;
  double sum = 0;
  for (int i = 0; i < n; ++i) {
    const double v = (double)nib_scale_finite(x[i]),
                 scaled = unit == 0 ? 0 : (v - (double)p.offset) / unit;
    const double clipped = fmin(fmax(scaled, s->low), s->high);
    const double q =
        nib_format_decode(element, nib_scale_encode(s, clipped + zero, NIB_ENCODE_NEAREST_EVEN, 0));
    const double error = (q - zero) * unit + (double)p.offset - v;
    sum += error * error;
  }
  return sum;
}

static float as_stored(const nib_scale_search *s, double scale) {
  const int format = s->b->group_elems ? NIB_NO_FORMAT : s->b->scale;
  if (format == NIB_NO_FORMAT)
    return (float)scale;
  return (float)nib_format_decode(
      (nib_format)format,
      nib_format_encode((nib_format)format, scale, NIB_ENCODE_NEAREST_EVEN, true, 0));
}

static nib_scale_pair least_error(const nib_scale_search *s, const float *x, int n,
                                  nib_scale_pair start) {
  const bool powers = s->b->scale == NIB_F8E8M0FNU && !s->b->group_elems;
  const int steps = powers ? 4 : 80;
  nib_scale_pair best = start;
  double least = INFINITY;
  for (int i = 0; i < steps; ++i) {
    const double factor = powers ? ldexp(1, 1 - i) : 1.2 - 0.0125 * i;
    nib_scale_pair p = {as_stored(s, (double)start.scale * factor), start.offset};
    /* Offsets move along so that the middle of the range stays. */
    if (s->has_offset)
      p.offset = (float)((double)start.offset +
                         (s->low + s->high) / 2 * ((double)start.scale - (double)p.scale));
    const double error = squared_error(s, x, n, p);
    if (error < least) {
      least = error;
      best = p;
    }
  }
  return best;
}

nib_scale_pair nib_scale_choose(const nib_scale_search *s, const float *x, int n) {
  const extent e = find_extent(x, n);
  if (s->options->scale == NIB_SCALE_PERCENTILE)
    return from_extent(s, clip_extent(s, x, n, e));
  const nib_scale_pair by_rule = from_extent(s, e);
  return s->options->scale == NIB_SCALE_MSE ? least_error(s, x, n, by_rule) : by_rule;
}

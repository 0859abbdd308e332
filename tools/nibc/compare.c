/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Comparing results. */
#include "compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

double nibc_element(nib_format format, const void *data, int64_t i) {
  return nib_format_load_real(format, data, i);
}

static void count(nibc_tally *t, int64_t run, int64_t index, double got, double want,
                  double bound) {
  if (t->differing++ == 0) {
    t->first_run = run;
    t->first_index = index;
    t->first_got = got;
    t->first_want = want;
    t->first_bound = bound;
  }
  const double distance = fabs(got - want);
  if (!(distance <= t->largest)) // NaN counts as the largest
    t->largest = distance;
}

/* Expected floats: in double, or in the tensor's own format. */
typedef struct wanted {
  const double *exact;
  nib_format format;
  const void *data;
} wanted;

static double want_at(const wanted *w, int64_t i) {
  return w->exact ? w->exact[i] : nibc_element(w->format, w->data, i);
}

/* The same value, also where a double that f32 does not reach has become infinite. */
static bool same(nib_format format, double y, double r) {
  return y == r || (isnan(y) && isnan(r)) || (format == NIB_F32 && y == (double)(float)r);
}

static double largest_of(const wanted *w, int64_t n) {
  double norm = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double r = fabs(want_at(w, i));
    norm = r > norm && isfinite(r) ? r : norm;
  }
  return norm;
}

/* ‖f − r‖∞ over what is finite. */
static double deviation(const void *single, const wanted *w, int64_t n) {
  double most = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double d = fabs(nibc_element(NIB_F32, single, i) - want_at(w, i));
    most = isfinite(d) && d > most ? d : most;
  }
  return most;
}

static void raise_to(double *most, double value) {
  if (!(value <= *most))
    *most = value;
}

/* The distance of neighbours around `x` in a format that is stored in fewer than 32 bits; else 0. A
 * sum in another order may be rounded to the neighbour. */
static double step_of(nib_format format, double x) {
  const nib_format_info *info = nib_format_get(format);
  int exponent;
  if (info->bits >= 32 || !isfinite(x))
    return 0;
  frexp(x, &exponent);
  const int lowest = 1 - info->real.bias;
  return ldexp(1, (exponent - 1 > lowest ? exponent - 1 : lowest) - info->real.mantissa_bits);
}

static double float_tolerance = NIBC_FLOAT_TOLERANCE;

void nibc_allow_precision(nib_format format) {
  float_tolerance = format == NIB_F16 ? NIBC_F16_TOLERANCE : NIBC_BF16_TOLERANCE;
}

static void add_floats(nibc_tally *t, nib_format format, const void *got, const wanted *w,
                       const void *single, int64_t n, int64_t run) {
  const double norm = largest_of(w, n);
  double bound = float_tolerance * norm, distance = 0;
  if (single) {
    const double own = deviation(single, w, n);
    t->has_single = true;
    raise_to(&t->single_distance, own);
    if (norm > 0)
      raise_to(&t->single_relative, own / norm);
    bound = fmax(bound, NIBC_FLOAT_DEVIATIONS * t->single_distance);
  }
  for (int64_t i = 0; i < n; ++i) {
    const double y = nibc_element(format, got, i), r = want_at(w, i);
    if (same(format, y, r))
      continue;
    raise_to(&distance, fabs(y - r));
    const double allowed = fmax(bound, step_of(format, r));
    if (!(fabs(y - r) <= allowed))
      count(t, run, i, y, r, allowed);
  }
  raise_to(&t->distance, distance);
  if (norm > 0)
    raise_to(&t->relative, distance / norm);
}

void nibc_tally_add_exact(nibc_tally *t, const void *got, const double *exact, const void *single,
                          int64_t n, int64_t run) {
  const wanted w = {exact, NIB_F32, NULL};
  t->elems += n;
  add_floats(t, NIB_F32, got, &w, single, n, run);
}

void nibc_tally_add(nibc_tally *t, nib_format format, const void *got, const void *want, int64_t n,
                    int64_t run) {
  t->elems += n;
  if (nib_format_get(format)->kind == NIB_KIND_FLOAT) {
    const wanted w = {NULL, format, want};
    add_floats(t, format, got, &w, NULL, n, run);
    return;
  }
  const size_t bytes = nib_format_bytes(format);
  if (memcmp(got, want, nib_format_storage_bytes(format, n)) == 0)
    return;
  if (nib_format_get(format)->kind == NIB_KIND_BLOCK) { // elements whose number or block differs
    const size_t block = (size_t)nib_format_get(format)->block_bytes;
    for (int64_t i = 0; i < n; ++i) {
      const size_t at = (size_t)(i / nib_format_get(format)->block_elems) * block;
      if (memcmp((const char *)got + at, (const char *)want + at, block) != 0)
        count(t, run, i, nibc_element(format, got, i), nibc_element(format, want, i), 0);
    }
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    const size_t at = bytes * (size_t)i;
    if (memcmp((const char *)got + at, (const char *)want + at, bytes) != 0)
      count(t, run, i, nibc_element(format, got, i), nibc_element(format, want, i), 0);
  }
}

void nibc_tally_add_standard(nibc_tally *t, nib_format format, const void *got, const void *want,
                             int64_t n, int64_t run) {
  if (nib_format_get(format)->kind != NIB_KIND_FLOAT) {
    nibc_tally_add(t, format, got, want, n, run);
    return;
  }
  const wanted w = {NULL, format, want};
  const bool codes = nib_format_get(format)->bits <= 8; /* exact, the sign of zero included */
  const double noise = 1e-7 + (format == NIB_F32 ? NIBC_F32_NOISE * largest_of(&w, n) : 0);
  t->elems += n;
  for (int64_t i = 0; i < n; ++i) {
    const double y = nibc_element(format, got, i), r = nibc_element(format, want, i);
    const double bound = codes ? 0 : noise + 1e-3 * fabs(r);
    if (isnan(y) && isnan(r))
      continue;
    if (y == r && (!codes || signbit(y) == signbit(r)))
      continue;
    raise_to(&t->distance, fabs(y - r));
    if (r != 0)
      raise_to(&t->relative, fabs((y - r) / r));
    if (codes || !(fabs(y - r) <= bound) || isinf(r))
      count(t, run, i, y, r, bound);
  }
}

bool nibc_tallies_restart(nibc_tally *tallies, int n) {
  bool needed = false;
  for (int i = 0; i < n; ++i)
    needed |= tallies[i].has_single && tallies[i].differing;
  for (int i = 0; needed && i < n; ++i)
    tallies[i] = (nibc_tally){.has_single = tallies[i].has_single,
                              .single_distance = tallies[i].single_distance,
                              .single_relative = tallies[i].single_relative};
  return needed;
}

void nibc_tally_describe(const nibc_tally *t, char *out, size_t size) {
  char bound[48] = "";
  if (t->first_bound > 0)
    snprintf(bound, sizeof bound, ", allowed are %.3g", t->first_bound);
  snprintf(out, size,
           "%lld of %lld elements differ, by at most %.9g; first in run %lld at element %lld: %.9g "
           "instead of %.9g%s",
           (long long)t->differing, (long long)t->elems, t->largest, (long long)t->first_run,
           (long long)t->first_index, t->first_got, t->first_want, bound);
}

void nibc_tally_describe_distance(const nibc_tally *t, char *out, size_t size) {
  char single[96] = "";
  if (t->has_single)
    snprintf(single, sizeof single, " (f32 reference: %.2g, %.2g)", t->single_distance,
             t->single_relative);
  snprintf(out, size, "largest difference %.2g, relative %.2g%s", t->distance, t->relative, single);
}

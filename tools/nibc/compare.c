/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Comparing results. */
#include "compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

double nibc_element(nib_format format, const void *data, int64_t i) {
  union {
    int8_t i8;
    uint8_t u8;
    int16_t i16;
    uint16_t u16;
    int32_t i32;
    int64_t i64;
    float f32;
    double f64;
  } u;
  const size_t bytes = nib_format_bytes(format);
  memcpy(&u, (const char *)data + (size_t)i * bytes, bytes);
  switch (format) {
  case NIB_I8:
    return u.i8;
  case NIB_I16:
    return u.i16;
  case NIB_U16:
    return u.u16;
  case NIB_I32:
    return u.i32;
  case NIB_I64:
    return (double)u.i64;
  case NIB_F32:
    return (double)u.f32;
  case NIB_F64:
    return u.f64;
  default:
    return u.u8;
  }
}

static void count(nibc_tally *t, int64_t run, int64_t index, double got, double want) {
  if (t->differing++ == 0) {
    t->first_run = run;
    t->first_index = index;
    t->first_got = got;
    t->first_want = want;
  }
  const double distance = fabs(got - want);
  if (!(distance <= t->largest)) // NaN counts as the largest
    t->largest = distance;
}

static void add_floats(nibc_tally *t, nib_format format, const void *got, const void *want,
                       int64_t n, int64_t run) {
  double norm = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double r = fabs(nibc_element(format, want, i));
    norm = r > norm && isfinite(r) ? r : norm;
  }
  const double bound = NIBC_FLOAT_TOLERANCE * norm;
  for (int64_t i = 0; i < n; ++i) {
    const double y = nibc_element(format, got, i), r = nibc_element(format, want, i);
    if (y == r || (isnan(y) && isnan(r)))
      continue;
    const double distance = fabs(y - r);
    if (norm > 0 && distance / norm > t->relative)
      t->relative = distance / norm;
    if (!(distance <= bound))
      count(t, run, i, y, r);
  }
}

void nibc_tally_add(nibc_tally *t, nib_format format, const void *got, const void *want, int64_t n,
                    int64_t run) {
  t->elems += n;
  if (nib_format_get(format)->kind == NIB_KIND_FLOAT) {
    add_floats(t, format, got, want, n, run);
    return;
  }
  const size_t bytes = nib_format_bytes(format);
  if (memcmp(got, want, bytes * (size_t)n) == 0)
    return;
  for (int64_t i = 0; i < n; ++i) {
    const size_t at = bytes * (size_t)i;
    if (memcmp((const char *)got + at, (const char *)want + at, bytes) != 0)
      count(t, run, i, nibc_element(format, got, i), nibc_element(format, want, i));
  }
}

void nibc_tally_describe(const nibc_tally *t, char *out, size_t size) {
  snprintf(out, size,
           "%lld of %lld elements differ, by at most %.9g; first in run %lld at element %lld: %.9g "
           "instead of %.9g",
           (long long)t->differing, (long long)t->elems, t->largest, (long long)t->first_run,
           (long long)t->first_index, t->first_got, t->first_want);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Integers and bipolar integers: the codes that exist, and the number that a code is before a scale
 * and a zero point. */
#ifndef NIB_NUM_CODE_VALUE_H
#define NIB_NUM_CODE_VALUE_H

#include "num/format.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Least and greatest code: of a bipolar format 0 and 2^bits - 1. */
static inline void nib_format_code_range(nib_format format, int64_t *out_lo, int64_t *out_hi) {
  const nib_format_info *f = nib_format_get(format);
  const bool bipolar = f->kind == NIB_KIND_BIPOLAR;
  *out_lo = bipolar ? 0 : f->min;
  *out_hi = bipolar ? (INT64_C(1) << f->bits) - 1 : f->max;
}

/** The number of a code: itself, or of a bipolar format the sum of 2^i (2 bit_i - 1). */
static inline int64_t nib_format_value_of(nib_format format, int64_t code) {
  const nib_format_info *f = nib_format_get(format);
  return f->kind == NIB_KIND_BIPOLAR ? 2 * code - ((INT64_C(1) << f->bits) - 1) : code;
}

/** Least and greatest number. */
static inline void nib_format_value_range(nib_format format, int64_t *out_lo, int64_t *out_hi) {
  nib_format_code_range(format, out_lo, out_hi);
  *out_lo = nib_format_value_of(format, *out_lo);
  *out_hi = nib_format_value_of(format, *out_hi);
}

#ifdef __cplusplus
}
#endif
#endif

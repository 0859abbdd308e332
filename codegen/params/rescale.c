/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * One requantization by the name of its rounding. */
#include "params/params.h"

#include "num/snippets.h"

int32_t nib_params_rescale(nib_rounding rounding, int32_t x, const nib_requant *q) {
  switch (rounding) {
  case NIB_ROUNDING_NEAREST_EVEN:
    return nib_rq_nearest_even(x, q->scale);
  case NIB_ROUNDING_NEAREST_AWAY:
    return nib_rq_nearest_away(x, q->scale);
  case NIB_ROUNDING_TFLITE_SINGLE:
    return nib_rq_tflite_single(x, q->multiplier, q->shift);
  case NIB_ROUNDING_TFLITE_AWAY:
    return nib_rq_tflite_away(x, q->multiplier, q->shift);
  case NIB_ROUNDING_DYADIC:
    return nib_rq_dyadic(x, q->multiplier, q->shift);
  case NIB_ROUNDING_TOSA_SINGLE:
    return nib_rq_tosa_single(x, q->multiplier, q->shift);
  case NIB_ROUNDING_TOSA_DOUBLE:
    return nib_rq_tosa_double(x, q->multiplier, q->shift);
  case NIB_ROUNDING_TOSA_INEXACT:
    return nib_rq_tosa_inexact(x, q->multiplier, q->shift);
  default: /* tflite-int64 on a 32-bit value is tflite-double */
    return nib_rq_tflite_double(x, q->multiplier, q->shift);
  }
}

int32_t nib_params_rescale64(nib_rounding rounding, int64_t x, const nib_requant *q) {
  switch (rounding) {
  case NIB_ROUNDING_NEAREST_EVEN:
    return nib_rq64_nearest_even(x, q->scale);
  case NIB_ROUNDING_NEAREST_AWAY:
    return nib_rq64_nearest_away(x, q->scale);
  default:
    return nib_rq_tflite_int64(x, q->multiplier, q->shift);
  }
}

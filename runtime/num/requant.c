/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * From real multipliers to the integers that kernels multiply with. */
#include "num/requant.h"

#include <math.h>

/* Shifts stay in [-31, 30]: below, every product would round to zero; above, TensorFlow Lite's own
 * arithmetic is undefined, and the largest multiplier is used as its single-rounding build does. */
enum { MIN_SHIFT = -31, MAX_SHIFT = 30 };

void nib_quantize_multiplier(double real_multiplier, int32_t *out_multiplier, int32_t *out_shift) {
  *out_multiplier = 0;
  *out_shift = 0;
  if (real_multiplier == 0.0 || !isfinite(real_multiplier))
    return;
  int exponent = 0;
  double fraction = frexp(real_multiplier, &exponent);
  int64_t fixed = (int64_t)round(fraction * 2147483648.0);
  if (fixed == INT64_C(1) << 31 || fixed == -(INT64_C(1) << 31)) {
    fixed /= 2;
    ++exponent;
  }
  if (exponent < MIN_SHIFT)
    return;
  if (exponent > MAX_SHIFT) {
    fixed = fixed > 0 ? INT32_MAX : -(int64_t)INT32_MAX;
    exponent = MAX_SHIFT;
  }
  *out_multiplier = (int32_t)fixed;
  *out_shift = exponent;
}

nib_requant nib_requant_from_real(double real_multiplier) {
  nib_requant requant = {.scale = (float)real_multiplier};
  nib_quantize_multiplier(real_multiplier, &requant.multiplier, &requant.shift);
  return requant;
}

double nib_requant_real_multiplier(double sx, double sw, double sy, int per_tensor_f32) {
  if (!per_tensor_f32)
    return sx * sw / sy;
  const float product = (float)sx * (float)sw;
  return (double)product / sy;
}

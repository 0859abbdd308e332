/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Requantization parameters: from scales to what a kernel multiplies with. Definitions and sources:
 * docs/numerics.md. */
#ifndef NIB_NUM_REQUANT_H
#define NIB_NUM_REQUANT_H

#include "num/rounding.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One output channel's multiplier. Integer modes use (multiplier, shift), shift > 0 is left, as in
 *  TFLite; float modes use `scale`. */
typedef struct nib_requant {
  int32_t multiplier;
  int32_t shift;
  float scale;
} nib_requant;

/** TFLite's QuantizeMultiplier: |m| to a 31-bit multiplier and a shift (0 for m = 0 or too small).
 */
void nib_quantize_multiplier(double real_multiplier, int32_t *out_multiplier, int32_t *out_shift);

/** All of a nib_requant from the real multiplier; `scale` is (float)real_multiplier. */
nib_requant nib_requant_from_real(double real_multiplier);

/** Real multiplier of conv/fully-connected: per_tensor_f32 selects the float32 product sx*sw
 * (TFLite's uint8 and fully connected kernels) before the division by sy in double. */
double nib_requant_real_multiplier(double sx, double sw, double sy, int per_tensor_f32);

#ifdef __cplusplus
}
#endif
#endif

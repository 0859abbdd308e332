/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Sums of activations under the filter, which conv_rows multiplies by what is left of the weights'
 * zero point. */
#ifndef NIB_SCHEDULE_CONV_SUMS_H
#define NIB_SCHEDULE_CONV_SUMS_H

#include "pack/pack.h"
#include "schedule/conv_cut.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nib_conv_sums {
  nib_emitter *e;
  const nib_stage *stage;
  const nib_conv_walk *walk;
  int64_t weight_zero;
  bool of_part; /**< pixels [first, last) alone */
} nib_conv_sums;

/** Behind the ring in scratch. */
int64_t nib_conv_sums_bytes(const nib_stage *stage, const nib_conv_shape *shape);
/** Declares where they are. */
void nib_conv_sums_declare(const nib_conv_sums *c);
/** After a row is staged, for nib_stage_emit_rows with a nib_conv_sums: the sum of each of its
 * pixels. */
void nib_conv_sums_emit_staged(void *sums);
/** sums[x]: the zero point times the sum of all activations under output pixel x of row y. */
void nib_conv_sums_emit(const nib_conv_sums *c);

#ifdef __cplusplus
}
#endif
#endif

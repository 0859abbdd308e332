/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The part of conv_rows that multiplies what splitting took from packed weights (pack/pack_pairs.h). */
#ifndef NIB_SCHEDULE_CONV_EXCESS_H
#define NIB_SCHEDULE_CONV_EXCESS_H

#include "pack/pack_pairs.h"
#include "schedule/stage_rows.h"

#ifdef __cplusplus
extern "C" {
#endif

/** C expressions of the tables of a nib_excess; weights is NULL where there is no excess. */
typedef struct nib_conv_excess {
  const char *weights, *at, *first_dot, *first_sum;
} nib_conv_excess;

/** Splits `packed` where the vocabulary asks for it, and adds the tables to the constants. */
nib_status nib_conv_excess_add(nib_emitter *e, const char *kernel, const nib_conv_walk *w,
                               void *packed, nib_conv_excess *out_excess);
/** Adds the tables of `excess` to the constants, and releases it. */
nib_status nib_conv_excess_tables(nib_emitter *e, const char *kernel, int64_t elems,
                                  nib_excess *excess, nib_conv_excess *out_excess);
/** The first staged element of pixel x under kernel row ky. */
nib_word nib_conv_first_element(const nib_conv_walk *w, const nib_stage *stage);
/** Adds the excess of register `column` of the panel at channel c (of group g) to acc0_<column> …
 *  of `pixels` pixels from x. */
void nib_conv_excess_emit(nib_emitter *e, const nib_conv_excess *excess, const nib_conv_walk *w,
                          const nib_stage *stage, int64_t pixels, int64_t column);

#ifdef __cplusplus
}
#endif
#endif

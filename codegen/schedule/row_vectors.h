/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Phases of rows in the primitives of a vocabulary. */
#ifndef NIB_SCHEDULE_ROW_VECTORS_H
#define NIB_SCHEDULE_ROW_VECTORS_H

#include "schedule/row_steps.h"

/** Whether the vocabulary says every item of phase `phase`. */
bool nib_rows_is_vector(const nib_rows *r, int32_t phase);
/** That phase, in the scope of `row`, and of `r` where block > 1. */
void nib_rows_vector_phase(nib_rows *r, int32_t phase);
/** The product of node `position` for all rows of the block, in the scope of `first`. */
void nib_rows_vector_product(nib_rows *r, int32_t position);

#endif

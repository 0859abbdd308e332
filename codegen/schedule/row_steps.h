/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What the schedules of kernels that work row by row share: text of the phases of a row_plan.
 * Numbers are f32 in variables and in the rows that are kept from phase to phase. */
#ifndef NIB_SCHEDULE_ROW_STEPS_H
#define NIB_SCHEDULE_ROW_STEPS_H

#include "schedule/direct.h"
#include "schedule/row_plan.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nib_rows {
  nib_direct *d;
  const nib_row_plan *plan;
  int32_t block;   /**< rows in turn; the first is the variable `first` */
  int32_t now;     /**< rows of the block that is being written: the last of a matrix has fewer */
  int32_t columns; /**< registers of a product's tile */
  int64_t offsets[NIB_ROW_MAX_NODES]; /**< of kept rows, in bytes */
  int64_t bytes;
  int32_t phase; /**< that is being written */
} nib_rows;

/** Places kept rows, each of `block` rows, from byte `start` on. */
void nib_rows_place(nib_rows *r, const nib_row_plan *plan, int32_t block, int64_t start);
/** Elements from one kept row of node `position` to the next. */
int64_t nib_rows_stride(const nib_rows *r, int32_t position);
/** Declares pointers to kept rows, `memory` + offset each, and the numbers of a row. */
void nib_rows_declare(nib_rows *r, const char *memory);
/** Phase `phase`, which is no product, in the scope of `row`, and of `r` where block > 1. */
void nib_rows_phase(nib_rows *r, int32_t phase);

/** Ends a mean or reduction whose `sum` is an expression. */
void nib_rows_end_sum(nib_rows *r, int32_t position, const char *sum);

/** Index of the row of operand `slot` of node `position` that meets row `row` (an expression). */
nib_expr nib_rows_outer(const nib_rows *r, int32_t position, int32_t slot, const char *row,
                        int64_t *out_width);
/** A pointer to that operand; *out_index: of its element `i`, or of the one number that it has of
 * the row. */
nib_expr nib_rows_place_of(nib_rows *r, int32_t position, int32_t slot, int64_t *out_width,
                           nib_expr *out_index);
/** "rows3" or "rows3 + r * 128": the kept row of node `position`. */
nib_expr nib_rows_kept(const nib_rows *r, int32_t position);
/** The variable of a row's single number: `letter` s, or m of the largest. */
nib_expr nib_rows_number(const nib_rows *r, char letter, int32_t position);
/** Of a product: pointers to row `row` of its left operand (`at`: its number in the block), to the
 * matrix that it meets, and to where its result goes. `row` and `at` are expressions. */
nib_expr nib_rows_left(nib_rows *r, int32_t position, const char *row, const char *at);
nib_expr nib_rows_matrix(nib_rows *r, int32_t position, const char *row);
nib_expr nib_rows_result(nib_rows *r, int32_t position, const char *row, const char *at);

#ifdef __cplusplus
}
#endif
#endif

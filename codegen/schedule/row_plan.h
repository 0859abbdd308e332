/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Kernels of several roots that all work row by row: what is done to one row, in order. A row is
 * what the trailing dimensions hold: an operator's result has as many rows as the kernel, and its
 * row depends on the same row of what the kernel makes, whatever it reads from outside. */
#ifndef NIB_SCHEDULE_ROW_PLAN_H
#define NIB_SCHEDULE_ROW_PLAN_H

#include "schedule/schedule.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_ROW_MAX_NODES 24
#define NIB_ROW_MAX_PHASES 32
#define NIB_ROW_MAX_ITEMS 40

typedef enum nib_row_action {
  NIB_ROW_STEP,    /**< an elementwise operator */
  NIB_ROW_SUM,     /**< mean or reduce: one number of a row, known after the phase */
  NIB_ROW_LARGEST, /**< softmax, three times over the row: its largest number, */
  NIB_ROW_POWERS,  /**< exp of what each is less than that, and their sum, */
  NIB_ROW_SHARES,  /**< and each divided by the sum */
} nib_row_action;

typedef struct nib_row_item {
  nib_row_action action;
  int32_t position; /**< of the node in the kernel */
} nib_row_item;

typedef enum nib_row_phase_kind {
  NIB_ROW_NUMBERS, /**< steps on one number of a row */
  NIB_ROW_LOOP,    /**< items for each element of a row */
  NIB_ROW_PRODUCT, /**< the row of a matrix product: its one item is a step */
} nib_row_phase_kind;

typedef struct nib_row_phase {
  nib_row_phase_kind kind;
  int64_t width;
  nib_row_item items[NIB_ROW_MAX_ITEMS];
  int32_t n_items;
} nib_row_phase;

typedef struct nib_row_plan {
  int64_t rows;
  int64_t
      together; /**< so many neighbouring rows, counted from a multiple, meet the same matrices */
  int32_t n_products, n_sums;
  nib_row_phase phases[NIB_ROW_MAX_PHASES];
  int32_t n_phases;
  int64_t width[NIB_ROW_MAX_NODES];   /**< of each node's row */
  int32_t made_in[NIB_ROW_MAX_NODES]; /**< phase */
  bool read[NIB_ROW_MAX_NODES];       /**< by later phases */
  bool kept[NIB_ROW_MAX_NODES];       /**< a row in memory: it is read, or holds softmax's powers */
} nib_row_plan;

/** False where a node does not work on the same rows as the others. */
bool nib_row_plan_make(const nib_graph *g, const nib_kernel *k, nib_row_plan *out_plan);

/** Whether the row of this operator can be a part of such a kernel. */
bool nib_row_plan_knows(const nib_graph *g, const nib_node *n);

/** Position in the kernel of the node that makes `tensor`, or -1. */
int32_t nib_row_position(const nib_graph *g, const nib_kernel *k, int32_t tensor);

/** The first `leading` dimensions of `t` aligned to the right with a tensor that has `leading` +
 * `trailing`: those of its rows, as a tensor of their numbers. *out_width: elements of the rest. */
nib_tensor nib_row_leading(const nib_tensor *t, int32_t trailing, int64_t *out_width);
/** Dimensions of `t` that are not those of `rows` rows; -1 where it has no such rows. */
int32_t nib_row_trailing(const nib_tensor *t, int64_t rows);

#ifdef __cplusplus
}
#endif
#endif

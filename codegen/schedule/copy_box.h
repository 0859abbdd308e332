/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Copies of boxes of elements from a strided place to another. */
#ifndef NIB_SCHEDULE_COPY_BOX_H
#define NIB_SCHEDULE_COPY_BOX_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A copy of `dims` elements. Strides are in elements; they may be negative on the source side. */
typedef struct nib_copy_box {
  int32_t rank;
  int64_t dims[NIB_MAX_RANK], from_stride[NIB_MAX_RANK], to_stride[NIB_MAX_RANK];
  int64_t from_offset, to_offset;
} nib_copy_box;

/** Strides of a tensor, the last dimension's 1. */
void nib_copy_box_strides(const nib_tensor *t, int64_t out_strides[NIB_MAX_RANK]);
/** Drops dimensions of one element and merges those that continue each other on both sides. */
void nib_copy_box_simplify(nib_copy_box *b);
/** Removes dimension `at`. */
void nib_copy_box_take_out(nib_copy_box *b, int32_t at);
/** The copy that the transpose `n` is, in the order of its result's dimensions, not simplified. */
void nib_copy_box_transpose(const nib_graph *g, const nib_node *n, nib_copy_box *out_box);

#ifdef __cplusplus
}
#endif
#endif

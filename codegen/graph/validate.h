/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Parts of nib_graph_validate that importers use while a graph is still incomplete. */
#ifndef NIB_GRAPH_VALIDATE_H
#define NIB_GRAPH_VALIDATE_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Limits: elements of one tensor, and bytes of all tensors that are not constants. */
#define NIB_MAX_TENSOR_ELEMS INT32_MAX
#define NIB_MAX_ACTIVATION_BYTES (INT64_C(1) << 36)

/** Product of the dimensions (1 for rank 0, 0 if one is 0). False, with *out_elems 0, when a
 * dimension is negative or the product exceeds NIB_MAX_TENSOR_ELEMS. */
bool nib_count_elems(int32_t rank, const int64_t *dims, int64_t *out_elems);

/** Checks one node and the tensors it names, not its place in the graph: operand count, ids,
 *  attributes, formats, quantization and the operator's shape rule. Reports every problem found as
 *  `operator 12 (conv2d 'name'): …`; NIB_ERROR_INVALID_INPUT if there was one. */
nib_status nib_graph_validate_node(const nib_graph *g, int32_t node, const nib_diag *diag);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What fuse shares with plan: views, kernel names, and the order of nodes under kernels. */
#ifndef NIB_FUSE_FUSE_H
#define NIB_FUSE_FUSE_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Operators that only rename storage: reshape, squeeze, expand_dims. */
bool nib_fuse_is_view(nib_op op);

/** The tensor whose storage `tensor` is: follows views that are in no kernel up to a kernel's
 *  result, a graph input or a constant. */
int32_t nib_fuse_storage_root(const nib_graph *g, int32_t tensor);

/** A C identifier for a kernel that starts with `node`, from the last meaningful component of the
 *  source's name, distinct from the names of all kernels of `g`; NULL when out of memory. */
const char *nib_fuse_make_name(nib_graph *g, int32_t node);

/** Reorders g->nodes to follow g->kernels (which must be in a topological order): the nodes of a
 *  kernel become contiguous, views stand before their first use. Node ids change everywhere. */
nib_status nib_fuse_order_nodes(nib_graph *g, const nib_diag *diag);

#ifdef __cplusplus
}
#endif
#endif

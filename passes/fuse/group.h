/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Groups of nodes on their way to kernels; within fuse alone. */
#ifndef NIB_FUSE_GROUP_H
#define NIB_FUSE_GROUP_H

#include "fuse/fuse.h"
#include "select/select.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_FUSE_MAX_GROUP 24
/** Most nodes of a root with its followers, and of a chain. */
#define NIB_FUSE_MAX_FOLLOWED 12
#define NIB_FUSE_MAX_CHAIN 16

typedef struct nib_fuse_group {
  int32_t nodes[NIB_FUSE_MAX_GROUP];
  int32_t n;
  double ns;             /**< predicted; NAN: not weighed yet, INFINITY: no schedule */
  int64_t scratch_bytes; /**< of what was weighed */
  bool by_rows;          /**< what was weighed runs several filters row by row */
  bool shares_rows;      /**< what was weighed runs several operators on each row (row_plan.h) */
} nib_fuse_group;

typedef struct nib_fusion {
  nib_graph *g;
  const nib_select_context *select;
  const nib_diag *diag;
  nib_fuse_group *groups;
  int32_t n_groups;
  int32_t *group_of;  /**< per node, or NIB_NONE for views */
  int64_t most_bytes; /**< of the arena that any group needs while it runs */
} nib_fusion;

nib_status nib_fuse_weigh(const nib_fusion *f, nib_fuse_group *grp);
/** Joins groups that work on the same rows where that pays. */
nib_status nib_fuse_rows(nib_fusion *f);
/** Takes away groups without nodes. */
void nib_fuse_drop_empty(nib_fusion *f);
/** Gives what is inside kernel `k`, which will run as `c`, the codes that its products take. */
nib_status nib_fuse_recode(nib_graph *g, const nib_kernel *k, const nib_select_candidate *c);
/** Joins groups to chains where that pays; group_of no longer holds. */
nib_status nib_fuse_chains(nib_fusion *f);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The parts of the plan stage: which storage a tensor has, kernel order, offsets, and a verifier
 * that shares none of the above. Offsets and sizes in the arena are multiples of
 * NIB_PLAN_ALIGNMENT. */
#ifndef NIB_PLAN_PLAN_H
#define NIB_PLAN_PLAN_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_PLAN_ALIGNMENT 64

static inline int64_t nib_plan_align(int64_t bytes) {
  return (bytes + NIB_PLAN_ALIGNMENT - 1) / NIB_PLAN_ALIGNMENT * NIB_PLAN_ALIGNMENT;
}

/** Whether kernel `k` may write its result over the storage of `input` (a tensor that it reads and
 *  nobody reads later): same bytes, and every use of it in the kernel is element by element at the
 *  index that is being written. */
bool nib_plan_may_overwrite(const nib_graph *g, const nib_kernel *k, int32_t input);

/** What each kernel reads and writes, in terms of storage. */
typedef struct nib_plan_access {
  int32_t out;       /**< storage root of the result */
  bool out_in_arena; /**< false: a graph output */
  int64_t out_bytes; /**< aligned; 0 outside the arena */
  int64_t scratch_bytes;
  int32_t n_in;
  int32_t *in; /**< storage roots in the arena that it reads, each once */
} nib_plan_access;

typedef struct nib_plan_problem {
  const nib_graph *g;
  int32_t n_kernels;
  nib_plan_access *kernels; /**< by kernel id */
  int32_t *readers;         /**< per tensor: number of kernels reading that storage root */
  int32_t *writer;          /**< per tensor: kernel that makes that storage root, or NIB_NONE */
  int32_t *owner;           /**< per tensor: tensor whose storage it shares (itself: none) */
} nib_plan_problem;

nib_status nib_plan_problem_create(const nib_graph *g, nib_plan_problem *out_problem,
                                   const nib_diag *diag);
void nib_plan_problem_destroy(nib_plan_problem *p);

/** A topological order of kernels with a small peak (exact while the search stays within its limit
 * of states; otherwise the best of two heuristics). *out_peak is its largest live set in bytes,
 * which no assignment of offsets can undercut, and *out_peak_at the position where it is reached.
 */
nib_status nib_plan_order_kernels(const nib_plan_problem *p, int32_t *out_order, int64_t *out_peak,
                                  int32_t *out_peak_at, const nib_diag *diag);

/** Largest live set when every node is a kernel of its own, nothing is in place or in scratch. */
nib_status nib_plan_unfused_bound(const nib_graph *g, int64_t *out_bytes, const nib_diag *diag);

/** A block of the arena in use during kernels [first, last] of the order. */
typedef struct nib_plan_block {
  int64_t bytes; /**< aligned */
  int32_t first, last;
  int64_t offset;
} nib_plan_block;

/** Fills offsets so that blocks alive together do not overlap; *out_bytes is the arena's size.
 * Stops as soon as `bound` is reached. Deterministic. */
nib_status nib_plan_assign_offsets(nib_plan_block *blocks, int32_t n, int64_t bound,
                                   int64_t *out_bytes, const nib_diag *diag);

/** Checks a planned graph from its kernels and offsets alone: order, alignment, aliases, bounds,
 * and that nothing alive is overwritten. NIB_ERROR_INTERNAL with a message otherwise. */
nib_status nib_plan_verify(const nib_graph *g, const nib_diag *diag);

#ifdef __cplusplus
}
#endif
#endif

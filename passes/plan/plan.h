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

/** A piece of memory that tensors share: one tensor and its views, or the result of a concat or the
 *  operand of a slice together with pieces of it, each at its offset. */
typedef struct nib_plan_storage {
  int64_t bytes;   /**< aligned; 0: outside the arena */
  int32_t n_users; /**< kernels that read or write it */
  int32_t *users;
  bool joined; /**< holds pieces: nothing overwrites it */
} nib_plan_storage;

/** A storage that a kernel reads or writes. */
typedef struct nib_plan_use {
  int32_t storage;
  bool overwrites; /**< the kernel may write its result here if it is the last to use it */
} nib_plan_use;

typedef struct nib_plan_access {
  int64_t scratch_bytes;
  int32_t n_uses, n_after;
  nib_plan_use *uses; /**< each storage once; the result's is uses[0] */
  int32_t *after;     /**< kernels whose results it reads */
} nib_plan_access;

typedef struct nib_plan_problem {
  const nib_graph *g;
  int32_t n_kernels, n_storages;
  nib_plan_access *kernels; /**< by kernel id */
  nib_plan_storage *storages;
  int32_t *owner;      /**< per tensor: tensor whose storage it shares (itself: none) */
  int32_t *storage_of; /**< per tensor: index into storages, or NIB_NONE */
  int64_t *offset_in;  /**< per tensor: bytes into that storage */
} nib_plan_problem;

/** `joins`: per kernel, whether a concat or slice shares memory with its pieces where it can; NULL:
 *  none does. */
nib_status nib_plan_problem_create(const nib_graph *g, const bool *joins,
                                   nib_plan_problem *out_problem, const nib_diag *diag);
void nib_plan_problem_destroy(nib_plan_problem *p);

/** What ordering found. No order has a peak below proven_bytes; no offsets for this one need less
 *  than peak_bytes. */
typedef struct nib_plan_peak {
  int64_t peak_bytes, proven_bytes;
  int32_t at; /**< position where the peak is reached */
} nib_plan_peak;

/** A topological order of kernels with a small peak: of least peak while the search stays within
 *  its limit of states, which is a count, so that the result does not depend on the machine. */
nib_status nib_plan_order_kernels(const nib_plan_problem *p, int32_t *out_order,
                                  nib_plan_peak *out_peak, const nib_diag *diag);

/** Largest live set when every node is a kernel of its own, nothing is in place or in scratch. */
nib_status nib_plan_unfused_bound(const nib_graph *g, int64_t *out_bytes, const nib_diag *diag);

/** A block of the arena in use during kernels [first, last] of the order. */
typedef struct nib_plan_block {
  int64_t bytes; /**< aligned */
  int32_t first, last;
  int64_t offset;
} nib_plan_block;

/** Fills offsets so that blocks alive together do not overlap; *out_bytes is the arena's size.
 *  Stops as soon as `bound` is reached. Deterministic: its limits are counts. */
nib_status nib_plan_assign_offsets(nib_plan_block *blocks, int32_t n, int64_t bound,
                                   int64_t *out_bytes, const nib_diag *diag);

/** The last resort of nib_plan_assign_offsets: branch and bound over placements in the order of
 *  offsets, for less than *bytes. Writes best[] (by block) and *bytes when it finds some. Returns
 *  whether nothing smaller exists. */
bool nib_plan_search_offsets(const nib_plan_block *blocks, int32_t n, int64_t bound, int64_t *best,
                             int64_t *bytes);

/** Checks a planned graph from its kernels and offsets alone: order, alignment, aliases, bounds,
 * and that nothing alive is overwritten. NIB_ERROR_INTERNAL with a message otherwise. */
nib_status nib_plan_verify(const nib_graph *g, const nib_diag *diag);

#ifdef __cplusplus
}
#endif
#endif

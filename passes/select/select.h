/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Choosing how one kernel runs: every schedule × vocabulary × tile that can run it, weighed by the
 * cost model. Pure functions: the same graph, kernel and options give the same choice, so plan can
 * ask for the scratch of the choice that select makes later. */
#ifndef NIB_SELECT_SELECT_H
#define NIB_SELECT_SELECT_H

#include "cost/cost.h"
#include "pipeline/stages.h"
#include "target/target.h"

#ifdef __cplusplus
extern "C" {
#endif

/** One way to run a kernel. `schedule` and `vocab` are rows of their tables (static strings). */
typedef struct nib_select_candidate {
  const char *schedule;
  const char *vocab;
  int32_t tile[NIB_MAX_TILE];
  int32_t parts;         /**< 1: not cut for threads */
  int64_t scratch_bytes; /**< of all parts */
  int64_t saved_bytes;   /**< that its weights take less than their tensors */
  nib_cost cost;
} nib_select_candidate;

/** What a choice depends on besides the graph. */
typedef struct nib_select_context {
  nib_target target;
  nib_cost_model *model;
  bool size;
  const char *prefer; /**< borrowed from the options; NULL: nothing */
  nib_feature_set
      prefer_missing; /**< what the first form's vocabulary needs and the target lacks */
} nib_select_context;

/** Whether `c` is of a form that `context` prefers. */
bool nib_select_is_preferred(const nib_select_context *context, const nib_select_candidate *c);

/** Parses o->target and opens o->cost_model. Close it also after a failure. */
nib_status nib_select_open(const nib_options *o, nib_select_context *out_context,
                           const nib_diag *diag);
void nib_select_close(nib_select_context *context);

/** Everything that was weighed for `kernel`, cheapest first (ties: table order); with `size` the
 *  one of fewest weights, then the smallest tile, of those that take at most half as long again
 * comes before them; first comes the cheapest of the form that is preferred most. Writes at most
 *  `capacity` and always sets *out_n to how many there are. Not an error when there are none. */
nib_status nib_select_candidates(const nib_select_context *context, const nib_graph *g,
                                 const nib_kernel *kernel, nib_select_candidate *out_candidates,
                                 int capacity, int *out_n, const nib_diag *diag);

/** The cheapest candidate. NIB_ERROR_UNSUPPORTED when no schedule accepts the kernel. */
nib_status nib_select_kernel(const nib_select_context *context, const nib_graph *g,
                             const nib_kernel *kernel, nib_select_candidate *out_choice,
                             const nib_diag *diag);

/** The description of a selected kernel as it was weighed. Free it. */
nib_status nib_select_describe(const nib_graph *g, const nib_kernel *kernel,
                               nib_kernel_desc *out_desc);

/** Whether `choice` leaves a vector target's registers unused for an operator that has vector
 *  schedules: what --no-fallback refuses. */
bool nib_select_is_fallback(const nib_select_context *context, const nib_graph *g,
                            const nib_kernel *kernel, const nib_select_candidate *choice);

#ifdef __cplusplus
}
#endif
#endif

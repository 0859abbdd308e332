/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The plan stage: scratch of each kernel, kernel order, blocks of the arena, offsets. */
#include "plan/plan.h"

#include "fuse/fuse.h"
#include "graph/pieces.h"
#include "pipeline/stages.h"
#include "select/select.h"

#include <stdlib.h>
#include <string.h>

static nib_status find_scratch(nib_graph *g, const nib_options *o, const nib_diag *diag) {
  nib_select_context x;
  nib_status status = nib_select_open(o, &x, diag);
  for (int32_t k = 0; k < g->n_kernels && status == NIB_OK; ++k) {
    nib_select_candidate choice;
    status = nib_select_kernel(&x, g, &g->kernels[k], &choice, diag);
    if (status == NIB_OK) {
      g->kernels[k].scratch_bytes = choice.scratch_bytes;
      g->kernels[k].scratch_offset = -1;
    }
  }
  nib_select_close(&x);
  return status;
}

/* Blocks of the arena for a graph whose kernels are in their final order. */
typedef struct layout {
  nib_plan_block *blocks;
  int32_t n;
  int32_t *block_of;   /* per storage, NIB_NONE */
  int32_t *last_use;   /* per storage: the last kernel that uses it, -1 */
  int32_t *scratch_of; /* per kernel: block, NIB_NONE */
} layout;

/* The block that dies in kernel `k` and over which it may write its result, or NIB_NONE. */
static int32_t reusable_block(const nib_plan_problem *p, const layout *l, int32_t k) {
  const nib_plan_access *a = &p->kernels[k];
  for (int32_t i = 1; i < a->n_uses; ++i)
    if (a->uses[i].overwrites && l->last_use[a->uses[i].storage] == k)
      return l->block_of[a->uses[i].storage];
  return NIB_NONE;
}

static void make_blocks(const nib_plan_problem *p, layout *l) {
  for (int32_t s = 0; s < p->n_storages; ++s)
    l->block_of[s] = l->last_use[s] = NIB_NONE;
  for (int32_t k = 0; k < p->n_kernels; ++k)
    for (int32_t i = 0; i < p->kernels[k].n_uses; ++i)
      l->last_use[p->kernels[k].uses[i].storage] = k;
  for (int32_t k = 0; k < p->n_kernels; ++k) {
    const nib_plan_access *a = &p->kernels[k];
    const int32_t out = a->uses[0].storage;
    l->scratch_of[k] = NIB_NONE;
    if (a->scratch_bytes > 0) {
      l->scratch_of[k] = l->n;
      l->blocks[l->n++] = (nib_plan_block){.bytes = a->scratch_bytes, .first = k, .last = k};
    }
    if (p->storages[out].bytes == 0 || l->block_of[out] != NIB_NONE)
      continue;
    const int32_t over = reusable_block(p, l, k);
    l->block_of[out] = over != NIB_NONE ? over : l->n;
    if (over == NIB_NONE)
      l->blocks[l->n++] = (nib_plan_block){.bytes = p->storages[out].bytes, .first = k};
    l->blocks[l->block_of[out]].last = l->last_use[out];
  }
}

static void write_layout(nib_graph *g, const nib_plan_problem *p, const layout *l) {
  for (int32_t t = 0; t < g->n_tensors; ++t) {
    const int32_t root = nib_fuse_storage_root(g, t);
    const int32_t storage = p->storage_of[root];
    const int32_t block = storage != NIB_NONE ? l->block_of[storage] : NIB_NONE;
    g->tensors[t].alias_of = p->owner[t] != t ? p->owner[t] : NIB_NONE;
    g->tensors[t].arena_offset =
        block != NIB_NONE ? l->blocks[block].offset + p->offset_in[root] : -1;
  }
  for (int32_t k = 0; k < g->n_kernels; ++k)
    g->kernels[k].scratch_offset =
        l->scratch_of[k] != NIB_NONE ? l->blocks[l->scratch_of[k]].offset : -1;
}

static nib_status place_blocks(nib_graph *g, const nib_plan_problem *p, const nib_diag *diag) {
  const size_t kernels = (size_t)g->n_kernels + 1;
  layout l = {.blocks = calloc(2 * kernels, sizeof *l.blocks),
              .block_of = malloc(kernels * sizeof(int32_t)),
              .last_use = malloc(kernels * sizeof(int32_t)),
              .scratch_of = malloc(kernels * sizeof(int32_t))};
  nib_status status = NIB_OK;
  if (!l.blocks || !l.block_of || !l.last_use || !l.scratch_of) {
    status = nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in plan");
  } else {
    make_blocks(p, &l);
    status = nib_plan_assign_offsets(l.blocks, l.n, g->lower_bound_bytes, &g->arena_bytes, diag);
    if (status == NIB_OK)
      write_layout(g, p, &l);
  }
  free(l.blocks);
  free(l.block_of);
  free(l.last_use);
  free(l.scratch_of);
  return status;
}

/* --- pieces in place, and the order --- */

/* An order for the graph as it is, with the pieces of `joins` in place. */
static nib_status order_with(const nib_graph *g, const bool *joins, int32_t *out_order,
                             nib_plan_peak *out_peak, const nib_diag *diag) {
  nib_plan_problem p;
  NIB_RETURN_IF_ERROR(nib_plan_problem_create(g, joins, &p, diag));
  const nib_status status = nib_plan_order_kernels(&p, out_order, out_peak, diag);
  nib_plan_problem_destroy(&p);
  return status;
}

static bool has_pieces(const nib_graph *g, const nib_kernel *k) {
  const nib_node *n = &g->nodes[k->nodes[0]];
  nib_piece piece;
  bool any = false;
  for (int32_t s = 0; k->n_nodes == 1 && s < n->n_in; ++s)
    any = any || nib_piece_of(g, n, s, &piece);
  return any;
}

enum { MAX_TRIALS = 24 };

/* Joins one concat or slice after the other, and keeps what does not raise the peak. */
static nib_status join_singly(const nib_graph *g, bool *joins, int32_t *order, nib_plan_peak *peak,
                              const nib_diag *diag) {
  int trials = 0;
  for (int32_t k = 0; k < g->n_kernels; ++k) {
    const bool wanted = joins[k];
    nib_plan_peak trial;
    joins[k] = false;
    if (!wanted || trials++ == MAX_TRIALS)
      continue;
    bool *some = calloc((size_t)g->n_kernels + 1, sizeof *some);
    if (some == NULL)
      return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in plan");
    memcpy(some, joins, (size_t)k * sizeof *some);
    some[k] = true;
    const nib_status status = order_with(g, some, order, &trial, diag);
    free(some);
    NIB_RETURN_IF_ERROR(status);
    joins[k] = trial.peak_bytes <= peak->peak_bytes;
    if (joins[k])
      *peak = trial;
  }
  return order_with(g, joins, order, peak, diag);
}

/* A piece in place saves a copy, but its memory is taken earlier or kept longer. All are taken if
 * that does not raise the peak, else those that do not. */
static nib_status choose_joins(const nib_graph *g, bool *joins, int32_t *out_order,
                               nib_plan_peak *out_peak, const nib_diag *diag) {
  nib_plan_peak apart;
  bool any = false;
  for (int32_t k = 0; k < g->n_kernels; ++k) {
    joins[k] = has_pieces(g, &g->kernels[k]);
    any = any || joins[k];
  }
  NIB_RETURN_IF_ERROR(order_with(g, joins, out_order, out_peak, diag));
  if (!any)
    return NIB_OK;
  int32_t *order = malloc(((size_t)g->n_kernels + 1) * sizeof *order);
  if (order == NULL)
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in plan");
  nib_status status = order_with(g, NULL, order, &apart, diag);
  free(order);
  if (status == NIB_OK && apart.peak_bytes < out_peak->peak_bytes) {
    *out_peak = apart;
    status = join_singly(g, joins, out_order, out_peak, diag);
  }
  return status;
}

static nib_status reorder(nib_graph *g, const int32_t *order, bool *joins, const nib_diag *diag) {
  nib_kernel *sorted = malloc(((size_t)g->n_kernels + 1) * sizeof *sorted);
  bool *sorted_joins = malloc(((size_t)g->n_kernels + 1) * sizeof *sorted_joins);
  nib_status status = NIB_OK;
  if (sorted == NULL || sorted_joins == NULL) {
    status = nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in plan");
  } else {
    for (int32_t i = 0; i < g->n_kernels; ++i) {
      sorted[i] = g->kernels[order[i]];
      sorted_joins[i] = joins[order[i]];
    }
    memcpy(g->kernels, sorted, (size_t)g->n_kernels * sizeof *sorted);
    memcpy(joins, sorted_joins, (size_t)g->n_kernels * sizeof *joins);
    status = nib_fuse_order_nodes(g, diag);
  }
  free(sorted);
  free(sorted_joins);
  return status;
}

/* Kernels in their order; `joins` by their new numbers. */
static nib_status order_graph(nib_graph *g, bool *joins, int32_t *out_peak_at,
                              const nib_diag *diag) {
  int32_t *order = malloc(((size_t)g->n_kernels + 1) * sizeof *order);
  nib_plan_peak peak = {0};
  nib_status status = order == NULL
                          ? nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in plan")
                          : choose_joins(g, joins, order, &peak, diag);
  if (status == NIB_OK)
    status = reorder(g, order, joins, diag);
  free(order);
  g->lower_bound_bytes = peak.peak_bytes;
  g->proven_bound_bytes = peak.proven_bytes;
  *out_peak_at = peak.at;
  return status;
}

static nib_status plan_memory(nib_graph *g, bool *joins, int32_t *out_peak_at,
                              const nib_diag *diag) {
  NIB_RETURN_IF_ERROR(order_graph(g, joins, out_peak_at, diag));
  nib_plan_problem p;
  NIB_RETURN_IF_ERROR(nib_plan_problem_create(g, joins, &p, diag));
  const nib_status status = place_blocks(g, &p, diag);
  nib_plan_problem_destroy(&p);
  return status;
}

static nib_status check_limit(const nib_graph *g, const nib_options *o, int32_t peak_at,
                              const nib_diag *diag) {
  if (o->max_arena_bytes < 0 || g->arena_bytes <= o->max_arena_bytes)
    return NIB_OK;
  const nib_kernel *k = &g->kernels[peak_at];
  const nib_node *root = &g->nodes[k->nodes[0]];
  return nib_diag_error(diag, NIB_ERROR_LIMIT,
                        "the arena needs %lld bytes, more than the limit of %lld; the peak is at "
                        "kernel '%s' (operator %d '%s'), where %lld bytes are alive at once; "
                        "--max-arena=%lld would fit",
                        (long long)g->arena_bytes, (long long)o->max_arena_bytes, k->name,
                        root->source_index, root->name, (long long)g->lower_bound_bytes,
                        (long long)g->arena_bytes);
}

nib_status nib_plan_graph(nib_graph *g, const nib_options *o, const nib_diag *diag) {
  if (g->n_kernels == 0 && g->n_nodes > 0)
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                          "the graph has no kernels: run fuse before plan");
  int32_t peak_at = 0;
  NIB_RETURN_IF_ERROR(find_scratch(g, o, diag));
  NIB_RETURN_IF_ERROR(nib_plan_unfused_bound(g, &g->unfused_lower_bound_bytes, diag));
  bool *joins = calloc((size_t)g->n_kernels + 1, sizeof *joins);
  const nib_status status =
      joins == NULL ? nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in plan")
                    : plan_memory(g, joins, &peak_at, diag);
  free(joins);
  NIB_RETURN_IF_ERROR(status);
  NIB_RETURN_IF_ERROR(nib_plan_verify(g, diag));
  return check_limit(g, o, peak_at, diag);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The plan stage: scratch of each kernel, kernel order, blocks of the arena, offsets. */
#include "plan/plan.h"

#include "fuse/fuse.h"
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

static nib_status reorder(nib_graph *g, const int32_t *order, const nib_diag *diag) {
  nib_kernel *sorted = malloc(((size_t)g->n_kernels + 1) * sizeof *sorted);
  if (sorted == NULL)
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in plan");
  for (int32_t i = 0; i < g->n_kernels; ++i)
    sorted[i] = g->kernels[order[i]];
  memcpy(g->kernels, sorted, (size_t)g->n_kernels * sizeof *sorted);
  free(sorted);
  return nib_fuse_order_nodes(g, diag);
}

/* Blocks of the arena for a graph whose kernels are in their final order. block_of maps storage
 * roots; scratch blocks follow, by kernel. */
typedef struct layout {
  nib_plan_block *blocks;
  int32_t n;
  int32_t *block_of;   /* per tensor, NIB_NONE */
  int32_t *last_read;  /* per tensor: last kernel that reads the root, -1 */
  int32_t *scratch_of; /* per kernel: block, NIB_NONE */
} layout;

/* A dying operand over which kernel `k` may write, or NIB_NONE. */
static int32_t reusable_operand(const nib_plan_problem *p, const layout *l, int32_t k) {
  const nib_plan_access *a = &p->kernels[k];
  for (int32_t i = 0; i < a->n_in; ++i) {
    const int32_t root = a->in[i];
    if (l->block_of[root] != NIB_NONE && l->last_read[root] == k &&
        nib_plan_may_overwrite(p->g, &p->g->kernels[k], root))
      return root;
  }
  return NIB_NONE;
}

static void make_blocks(const nib_plan_problem *p, layout *l) {
  for (int32_t t = 0; t < p->g->n_tensors; ++t)
    l->block_of[t] = l->last_read[t] = NIB_NONE;
  for (int32_t k = 0; k < p->n_kernels; ++k)
    for (int32_t i = 0; i < p->kernels[k].n_in; ++i)
      l->last_read[p->kernels[k].in[i]] = k;
  for (int32_t k = 0; k < p->n_kernels; ++k) {
    const nib_plan_access *a = &p->kernels[k];
    l->scratch_of[k] = NIB_NONE;
    if (a->scratch_bytes > 0) {
      l->scratch_of[k] = l->n;
      l->blocks[l->n++] = (nib_plan_block){.bytes = a->scratch_bytes, .first = k, .last = k};
    }
    if (!a->out_in_arena)
      continue;
    const int32_t end = l->last_read[a->out] > k ? l->last_read[a->out] : k;
    const int32_t over = reusable_operand(p, l, k);
    if (over != NIB_NONE) {
      l->block_of[a->out] = l->block_of[over];
      l->blocks[l->block_of[over]].last = end;
    } else {
      l->block_of[a->out] = l->n;
      l->blocks[l->n++] = (nib_plan_block){.bytes = a->out_bytes, .first = k, .last = end};
    }
  }
}

static void write_layout(nib_graph *g, const nib_plan_problem *p, const layout *l) {
  for (int32_t t = 0; t < g->n_tensors; ++t) {
    const int32_t root = nib_fuse_storage_root(g, t);
    const int32_t block = l->block_of[root];
    g->tensors[t].alias_of = p->owner[t] != t ? p->owner[t] : NIB_NONE;
    g->tensors[t].arena_offset = block != NIB_NONE ? l->blocks[block].offset : -1;
  }
  for (int32_t k = 0; k < g->n_kernels; ++k)
    g->kernels[k].scratch_offset =
        l->scratch_of[k] != NIB_NONE ? l->blocks[l->scratch_of[k]].offset : -1;
}

static nib_status place_blocks(nib_graph *g, const nib_plan_problem *p, const nib_diag *diag) {
  const size_t tensors = (size_t)g->n_tensors + 1, kernels = (size_t)g->n_kernels + 1;
  layout l = {.blocks = calloc(2 * kernels, sizeof *l.blocks),
              .block_of = malloc(tensors * sizeof(int32_t)),
              .last_read = malloc(tensors * sizeof(int32_t)),
              .scratch_of = malloc(kernels * sizeof(int32_t))};
  nib_status status = NIB_OK;
  if (!l.blocks || !l.block_of || !l.last_read || !l.scratch_of) {
    status = nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in plan");
  } else {
    make_blocks(p, &l);
    status = nib_plan_assign_offsets(l.blocks, l.n, g->lower_bound_bytes, &g->arena_bytes, diag);
    if (status == NIB_OK)
      write_layout(g, p, &l);
  }
  free(l.blocks);
  free(l.block_of);
  free(l.last_read);
  free(l.scratch_of);
  return status;
}

static nib_status order_graph(nib_graph *g, int32_t *out_peak_at, const nib_diag *diag) {
  nib_plan_problem p;
  NIB_RETURN_IF_ERROR(nib_plan_problem_create(g, &p, diag));
  int32_t *order = malloc(((size_t)g->n_kernels + 1) * sizeof *order);
  nib_status status =
      order == NULL ? nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in plan")
                    : nib_plan_order_kernels(&p, order, &g->lower_bound_bytes, out_peak_at, diag);
  nib_plan_problem_destroy(&p);
  if (status == NIB_OK)
    status = reorder(g, order, diag);
  free(order);
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
  NIB_RETURN_IF_ERROR(order_graph(g, &peak_at, diag));
  nib_plan_problem p;
  NIB_RETURN_IF_ERROR(nib_plan_problem_create(g, &p, diag));
  nib_status status = place_blocks(g, &p, diag);
  nib_plan_problem_destroy(&p);
  NIB_RETURN_IF_ERROR(status);
  NIB_RETURN_IF_ERROR(nib_plan_verify(g, diag));
  return check_limit(g, o, peak_at, diag);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The verifier of plans. It reads what the emitter reads (kernels in order, alias_of, arena_offset,
 * scratch_offset) and derives lifetimes anew. */
#include "plan/plan.h"

#include "graph/pieces.h"

#include <stdlib.h>

typedef struct region {
  int64_t offset, bytes;
  int32_t first, last; /* kernels, in execution order */
  int32_t tensor;      /* NIB_NONE: scratch */
  int32_t whole;       /* the tensor that holds the same bytes at the same place, or itself */
} region;

static nib_status broken(const nib_graph *g, const nib_diag *diag, int32_t tensor,
                         const char *what) {
  return nib_diag_error(diag, NIB_ERROR_INTERNAL, "plan: tensor %d '%s' %s", tensor,
                        g->tensors[tensor].name, what);
}

/* Follows alias_of; NIB_NONE on a cycle. */
static int32_t storage_of(const nib_graph *g, int32_t tensor) {
  for (int32_t steps = 0; steps <= g->n_tensors; ++steps) {
    if (g->tensors[tensor].alias_of == NIB_NONE)
      return tensor;
    tensor = g->tensors[tensor].alias_of;
  }
  return NIB_NONE;
}

static bool is_outside(const nib_graph *g, int32_t tensor) {
  for (int32_t i = 0; i < g->n_inputs; ++i)
    if (g->inputs[i] == tensor)
      return true;
  return nib_graph_is_output(g, tensor) || g->tensors[tensor].data != NULL;
}

/* Extends lifetimes by what kernel `k` touches; checks that operands exist by then. */
static nib_status touch(const nib_graph *g, int32_t k, region *of, const nib_diag *diag) {
  const nib_kernel *kernel = &g->kernels[k];
  for (int32_t i = 0; i < kernel->n_nodes; ++i) {
    const nib_node *n = &g->nodes[kernel->nodes[i]];
    for (int32_t s = 0; s < n->n_in; ++s) {
      if (n->in[s] == NIB_NONE)
        continue;
      bool inside = false;
      for (int32_t j = 0; j < i; ++j)
        inside = inside || g->nodes[kernel->nodes[j]].out == n->in[s];
      if (inside)
        continue;
      const int32_t t = storage_of(g, n->in[s]);
      if (t == NIB_NONE)
        return broken(g, diag, n->in[s], "aliases itself");
      const bool given = g->tensors[t].producer == NIB_NONE;
      if (!given && of[t].first < 0)
        return broken(g, diag, t, "is read before it is written");
      of[t].last = k;
    }
  }
  const int32_t out = g->nodes[kernel->nodes[kernel->n_nodes - 1]].out;
  const int32_t t = storage_of(g, out);
  if (t == NIB_NONE)
    return broken(g, diag, out, "aliases itself");
  if (of[t].first >= 0)
    return broken(g, diag, t, "is written by two kernels");
  if (g->tensors[t].arena_offset < 0 && !nib_graph_is_output(g, t))
    return broken(g, diag, t, "has no storage");
  of[t].first = of[t].last = k;
  return NIB_OK;
}

static nib_status check_place(const nib_graph *g, const region *r, const nib_diag *diag) {
  const bool is_piece = r->tensor != r->whole;
  if ((is_piece || r->offset % NIB_PLAN_ALIGNMENT == 0) && r->offset >= 0 &&
      r->bytes <= g->arena_bytes - r->offset)
    return NIB_OK;
  if (r->tensor != NIB_NONE)
    return broken(g, diag, r->tensor, "is misaligned or outside the arena");
  return nib_diag_error(diag, NIB_ERROR_INTERNAL,
                        "plan: the scratch of kernel '%s' is misaligned or outside the arena",
                        g->kernels[r->first].name);
}

/* `b` is born where `a` dies, in the same place, and the kernel may write it so. */
static bool in_place(const nib_graph *g, const region *a, const region *b) {
  return a->tensor != NIB_NONE && b->tensor != NIB_NONE && a->last == b->first &&
         a->first < b->first && a->offset == b->offset &&
         nib_plan_may_overwrite(g, &g->kernels[b->first], a->tensor);
}

static nib_status check_pair(const nib_graph *g, const region *a, const region *b,
                             const nib_diag *diag) {
  const bool in_time = a->first <= b->last && b->first <= a->last;
  const bool in_space = a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
  const bool same = a->tensor != NIB_NONE && b->tensor != NIB_NONE && a->whole == b->whole;
  if (!in_time || !in_space || same || in_place(g, a, b) || in_place(g, b, a))
    return NIB_OK;
  return nib_diag_error(
      diag, NIB_ERROR_INTERNAL, "plan: %s '%s' and %s '%s' overlap while both are alive",
      a->tensor == NIB_NONE ? "scratch of" : "tensor",
      a->tensor == NIB_NONE ? g->kernels[a->first].name : g->tensors[a->tensor].name,
      b->tensor == NIB_NONE ? "scratch of" : "tensor",
      b->tensor == NIB_NONE ? g->kernels[b->first].name : g->tensors[b->tensor].name);
}

static nib_status check_tensors(const nib_graph *g, const nib_diag *diag) {
  for (int32_t t = 0; t < g->n_tensors; ++t) {
    const nib_tensor *tensor = &g->tensors[t];
    const int32_t owner = storage_of(g, t);
    if (owner == NIB_NONE)
      return broken(g, diag, t, "aliases itself");
    if (tensor->arena_offset != g->tensors[owner].arena_offset)
      return broken(g, diag, t, "and the tensor it aliases have different offsets");
    if (owner != t && nib_tensor_bytes(tensor) != nib_tensor_bytes(&g->tensors[owner]))
      return broken(g, diag, t, "and the tensor it aliases have different sizes");
    if (tensor->arena_offset >= 0 && is_outside(g, t))
      return broken(g, diag, t, "is an input, output or constant and has an arena offset");
  }
  return NIB_OK;
}

/* Pieces that concats and slices leave where they are: `whole` of each tensor, followed to its end.
 * The larger tensor holds the bytes of its pieces at their places, so they may overlap. */
static void find_wholes(const nib_graph *g, int32_t *whole) {
  for (int32_t t = 0; t < g->n_tensors; ++t)
    whole[t] = t;
  for (int32_t k = 0; k < g->n_kernels; ++k) {
    const nib_node *n = &g->nodes[g->kernels[k].nodes[0]];
    nib_piece piece;
    for (int32_t s = 0; g->kernels[k].n_nodes == 1 && s < n->n_in; ++s) {
      if (!nib_piece_of(g, n, s, &piece))
        continue;
      const int32_t to = storage_of(g, piece.whole), from = storage_of(g, piece.part);
      const int64_t at = g->tensors[to].arena_offset;
      if (to != from && at >= 0 && g->tensors[from].arena_offset == at + piece.offset_bytes)
        whole[from] = to;
    }
  }
  for (int32_t t = 0; t < g->n_tensors; ++t)
    for (int32_t steps = 0; steps < g->n_tensors && whole[whole[t]] != whole[t]; ++steps)
      whole[t] = whole[whole[t]];
}

static nib_status collect(const nib_graph *g, const int32_t *whole, region *regions, int32_t *out_n,
                          const nib_diag *diag) {
  for (int32_t t = 0; t < g->n_tensors; ++t)
    regions[t] = (region){.first = -1, .last = -1, .tensor = t, .whole = whole[t]};
  for (int32_t k = 0; k < g->n_kernels; ++k)
    NIB_RETURN_IF_ERROR(touch(g, k, regions, diag));
  int32_t n = 0;
  for (int32_t t = 0; t < g->n_tensors; ++t) {
    if (g->tensors[t].arena_offset < 0 || g->tensors[t].alias_of != NIB_NONE)
      continue;
    if (regions[t].first < 0)
      return broken(g, diag, t, "has storage but no kernel writes it");
    region r = regions[t];
    r.offset = g->tensors[t].arena_offset;
    r.bytes = (int64_t)nib_tensor_bytes(&g->tensors[t]);
    regions[n++] = r; /* n ≤ t */
  }
  for (int32_t k = 0; k < g->n_kernels; ++k)
    if (g->kernels[k].scratch_bytes > 0)
      regions[n++] = (region){.offset = g->kernels[k].scratch_offset,
                              .bytes = g->kernels[k].scratch_bytes,
                              .first = k,
                              .last = k,
                              .tensor = NIB_NONE,
                              .whole = NIB_NONE};
  *out_n = n;
  return NIB_OK;
}

nib_status nib_plan_verify(const nib_graph *g, const nib_diag *diag) {
  NIB_RETURN_IF_ERROR(check_tensors(g, diag));
  const size_t most = (size_t)g->n_tensors + (size_t)g->n_kernels + 1;
  region *regions = malloc(most * sizeof *regions);
  int32_t *whole = malloc(most * sizeof *whole), n = 0;
  nib_status status = NIB_OK;
  if (regions == NULL || whole == NULL) {
    status = nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory verifying the plan");
  } else {
    find_wholes(g, whole);
    status = collect(g, whole, regions, &n, diag);
  }
  for (int32_t i = 0; i < n && status == NIB_OK; ++i) {
    status = check_place(g, &regions[i], diag);
    for (int32_t k = 0; k < i && status == NIB_OK; ++k)
      status = check_pair(g, &regions[i], &regions[k], diag);
  }
  free(regions);
  free(whole);
  return status;
}

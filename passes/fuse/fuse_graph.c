/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The fuse stage. Nodes are visited in order; each either follows the kernel of one of its operands
 * (as an epilogue step on the running value) or starts a kernel. A follower's operand has no other
 * consumer, so no other kernel can come to depend on the inside of a group and no cycle arises. */
#include "fuse/group.h"

#include "params/params.h"
#include "pipeline/stages.h"
#include "schedule/schedule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

nib_status nib_fuse_weigh(const nib_fusion *f, nib_fuse_group *grp) {
  if (!isnan(grp->ns))
    return NIB_OK;
  nib_kernel k = {.name = "", .n_nodes = grp->n, .nodes = grp->nodes, .scratch_offset = -1};
  nib_select_candidate best;
  int n = 0;
  NIB_RETURN_IF_ERROR(nib_select_candidates(f->select, f->g, &k, &best, 1, &n, f->diag));
  grp->ns = n > 0 ? best.cost.ns : INFINITY;
  grp->scratch_bytes = n > 0 ? best.scratch_bytes : 0;
  grp->by_rows = n > 0 && nib_schedule_find(best.schedule)->stages != NULL;
  grp->shares_rows = n > 0 && nib_schedule_find(best.schedule)->by_rows;
  return NIB_OK;
}

/* Groups that the portable loops run besides those of nib_epilogue_accepts: element-wise operators
 * after an operator that makes one value at a time. The cost model decides whether it pays. */
static bool may_chain(const nib_graph *g, int32_t root, int32_t node) {
  const nib_op op = g->nodes[root].op;
  const nib_family family = nib_op_get(op)->family;
  const bool sums = (family == NIB_FAMILY_FILTER || family == NIB_FAMILY_MATMUL) &&
                    g->tensors[g->nodes[root].out].format == NIB_I32;
  const bool may_lead = nib_op_is_elementwise(op) || family == NIB_FAMILY_WINDOW ||
                        family == NIB_FAMILY_REDUCE || family == NIB_FAMILY_ROWS || sums;
  const nib_tensor *x = &g->tensors[g->nodes[root].out], *y = &g->tensors[g->nodes[node].out];
  return may_lead && nib_op_is_elementwise(g->nodes[node].op) &&
         nib_tensor_elems(x) == nib_tensor_elems(y);
}

/* The group whose running value is operand `slot` of `node` and which `node` may follow. */
static int32_t followable(const nib_fusion *f, int32_t node, int32_t slot) {
  const nib_graph *g = f->g;
  const nib_node *n = &g->nodes[node];
  const int32_t t = n->in[slot];
  if (t == NIB_NONE || g->tensors[t].producer == NIB_NONE)
    return NIB_NONE;
  for (int32_t s = 0; s < n->n_in; ++s)
    if (s != slot && n->in[s] == t)
      return NIB_NONE; /* the running value on both sides */
  const int32_t at = f->group_of[g->tensors[t].producer];
  if (at == NIB_NONE)
    return NIB_NONE;
  const nib_fuse_group *grp = &f->groups[at];
  if (grp->n >= NIB_FUSE_MAX_FOLLOWED || g->nodes[grp->nodes[grp->n - 1]].out != t)
    return NIB_NONE;
  if (nib_graph_is_output(g, t) || nib_graph_count_uses(g, t, NULL) != 1)
    return NIB_NONE;
  const int32_t root = grp->nodes[0];
  return nib_epilogue_accepts(g, root, node) || may_chain(g, root, node) ? at : NIB_NONE;
}

static nib_fuse_group with_follower(const nib_fuse_group *grp, int32_t node) {
  nib_fuse_group fused = *grp;
  fused.nodes[fused.n++] = node;
  fused.ns = NAN;
  return fused;
}

/* Best group for `node` to follow by predicted gain; ties go to the later producer, whose other
 * operand then is already there. *out_fused is what the group becomes. */
static nib_status choose_group(const nib_fusion *f, int32_t node, nib_fuse_group *alone,
                               int32_t *out_at, nib_fuse_group *out_fused) {
  double best_gain = 0;
  *out_at = NIB_NONE;
  for (int32_t s = 0; s < f->g->nodes[node].n_in; ++s) {
    const int32_t at = followable(f, node, s);
    if (at == NIB_NONE)
      continue;
    nib_fuse_group fused = with_follower(&f->groups[at], node);
    NIB_RETURN_IF_ERROR(nib_fuse_weigh(f, &f->groups[at]));
    NIB_RETURN_IF_ERROR(nib_fuse_weigh(f, &fused));
    NIB_RETURN_IF_ERROR(nib_fuse_weigh(f, alone));
    if (isinf(fused.ns))
      continue;
    const double separate = f->groups[at].ns + alone->ns;
    const double gain = isinf(separate) ? INFINITY : separate - fused.ns;
    if (gain < 0 ||
        (*out_at != NIB_NONE && (gain < best_gain || (gain == best_gain && at < *out_at))))
      continue;
    best_gain = gain;
    *out_at = at;
    *out_fused = fused;
  }
  return NIB_OK;
}

static nib_status group_nodes(nib_fusion *f) {
  for (int32_t i = 0; i < f->g->n_nodes; ++i) {
    f->group_of[i] = NIB_NONE;
    if (nib_fuse_is_view(f->g->nodes[i].op) && f->g->nodes[i].kernel == NIB_NONE)
      continue;
    nib_fuse_group alone = {.nodes = {i}, .n = 1, .ns = NAN}, fused;
    int32_t at = NIB_NONE;
    if (f->g->nodes[i].kernel == NIB_NONE)
      NIB_RETURN_IF_ERROR(choose_group(f, i, &alone, &at, &fused));
    if (at == NIB_NONE) {
      f->groups[f->n_groups] = alone;
      f->group_of[i] = f->n_groups++;
    } else {
      f->groups[at] = fused;
      f->group_of[i] = at;
    }
  }
  return NIB_OK;
}

/* A graph output must be written by a kernel of its own: a view of a graph input or constant, of
 * another output, or of what another output already names, becomes a copy. Such view nodes are
 * marked by kernel = 0 until kernels are made. */
static nib_status settle_outputs(nib_graph *g, const nib_diag *diag) {
  int32_t *outputs = malloc(((size_t)g->n_outputs + 1) * sizeof *outputs);
  if (outputs == NULL)
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in fuse");
  nib_status status = NIB_OK;
  for (int32_t i = 0; i < g->n_outputs && status == NIB_OK; ++i) {
    int32_t t = g->outputs[i];
    const int32_t root = nib_fuse_storage_root(g, t);
    const bool made = g->tensors[root].producer != NIB_NONE;
    bool shared = root != t && nib_graph_is_output(g, root);
    bool repeated = false;
    for (int32_t k = 0; k < i; ++k) {
      repeated = repeated || outputs[k] == t;
      shared = shared || nib_fuse_storage_root(g, outputs[k]) == root;
    }
    if (g->tensors[t].producer == NIB_NONE || repeated) {
      const nib_tensor from = g->tensors[t];
      const int32_t copy = nib_graph_add_tensor(g, from.name, from.format, from.rank, from.dims);
      const int32_t node = copy != NIB_NONE
                               ? nib_graph_add_node(g, NIB_OP_RESHAPE, from.name, -1, &t, 1, copy)
                               : NIB_NONE;
      if (node == NIB_NONE)
        status = nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in fuse");
      else {
        if (from.quantized)
          nib_graph_set_quant(g, copy, from.scale, from.zero_point);
        g->nodes[node].kernel = 0;
        t = copy;
      }
    } else if (!made || shared) {
      g->nodes[g->tensors[t].producer].kernel = 0;
    }
    outputs[i] = t;
  }
  if (status == NIB_OK)
    status = nib_graph_set_outputs(g, outputs, g->n_outputs);
  free(outputs);
  return status;
}

static int by_last_node(const void *a, const void *b) {
  const nib_fuse_group *x = a, *y = b;
  const int32_t i = x->nodes[x->n - 1], k = y->nodes[y->n - 1];
  return (i > k) - (i < k);
}

/* The node that names a kernel: the first with a name of its own. */
static int32_t naming_node(const nib_graph *g, const nib_fuse_group *grp) {
  for (int32_t i = 0; i < grp->n; ++i)
    if (g->nodes[grp->nodes[i]].name[0] != '\0')
      return grp->nodes[i];
  return grp->nodes[0];
}

static nib_status make_kernels(nib_fusion *f) {
  nib_graph *g = f->g;
  /* The last node of a group depends on all others: its position orders groups topologically. */
  qsort(f->groups, (size_t)f->n_groups, sizeof *f->groups, by_last_node);
  for (int32_t i = 0; i < g->n_nodes; ++i)
    g->nodes[i].kernel = NIB_NONE;
  for (int32_t i = 0; i < f->n_groups; ++i) {
    const nib_fuse_group *grp = &f->groups[i];
    const char *name = nib_fuse_make_name(g, naming_node(g, grp));
    if (name == NULL || nib_graph_add_kernel(g, name, grp->nodes, grp->n) == NIB_NONE)
      return nib_diag_error(f->diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in fuse");
  }
  return nib_fuse_order_nodes(g, f->diag);
}

static nib_status settle_every_kernel(const nib_fusion *f) {
  for (int32_t i = 0; i < f->g->n_kernels; ++i) {
    nib_select_candidate choice;
    NIB_RETURN_IF_ERROR(nib_select_kernel(f->select, f->g, &f->g->kernels[i], &choice, f->diag));
    NIB_RETURN_IF_ERROR(nib_fuse_recode(f->g, &f->g->kernels[i], &choice));
  }
  return NIB_OK;
}

static nib_status run(nib_fusion *f) {
  f->groups = calloc((size_t)f->g->n_nodes + 1, sizeof *f->groups);
  f->group_of = calloc((size_t)f->g->n_nodes + 1, sizeof *f->group_of);
  if (f->groups == NULL || f->group_of == NULL)
    return nib_diag_error(f->diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in fuse");
  NIB_RETURN_IF_ERROR(group_nodes(f));
  NIB_RETURN_IF_ERROR(nib_fuse_rows(f));
  NIB_RETURN_IF_ERROR(nib_fuse_chains(f));
  NIB_RETURN_IF_ERROR(make_kernels(f));
  return settle_every_kernel(f);
}

nib_status nib_fuse_graph(nib_graph *g, const nib_options *o, const nib_diag *diag) {
  if (g->n_kernels > 0)
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE, "the graph already has kernels");
  if (o->threads > 1)
    g->threads = o->threads;
  NIB_RETURN_IF_ERROR(nib_graph_sweep(g, diag));
  NIB_RETURN_IF_ERROR(nib_check_integer_only(g, diag));
  NIB_RETURN_IF_ERROR(settle_outputs(g, diag));
  nib_select_context select;
  nib_status status = nib_select_open(o, &select, diag);
  nib_fusion f = {.g = g, .select = &select, .diag = diag};
  if (status == NIB_OK)
    status = run(&f);
  nib_select_close(&select);
  free(f.groups);
  free(f.group_of);
  return status;
}

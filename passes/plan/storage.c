/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Storage: who shares whose, what each kernel reads and writes, when writing in place is sound. */
#include "plan/plan.h"

#include "fuse/fuse.h"
#include "schedule/schedule.h"
#include "select/select.h"

#include <stdlib.h>
#include <string.h>

bool nib_plan_may_overwrite(const nib_graph *g, const nib_kernel *k, int32_t input) {
  const nib_tensor *out = &g->tensors[nib_kernel_output(g, k)];
  const int32_t root = nib_fuse_storage_root(g, input);
  if (nib_tensor_bytes(&g->tensors[root]) != nib_tensor_bytes(out))
    return false;
  for (int32_t i = 0; i < k->n_nodes; ++i) {
    const nib_node *n = &g->nodes[k->nodes[i]];
    for (int32_t s = 0; s < n->n_in; ++s) {
      if (n->in[s] == NIB_NONE || nib_fuse_storage_root(g, n->in[s]) != root)
        continue;
      const nib_tensor *in = &g->tensors[n->in[s]];
      if (!nib_op_is_elementwise(n->op) || nib_tensor_elems(in) != nib_tensor_elems(out) ||
          nib_tensor_elems(&g->tensors[n->out]) != nib_tensor_elems(out) ||
          nib_format_bytes(in->format) != nib_format_bytes(out->format))
        return false;
    }
  }
  return true;
}

/* Storage owner of every tensor: a graph output that a view of a kernel's result names owns the
 * kernel's storage, so that the kernel writes the output directly. */
static void find_owners(const nib_graph *g, int32_t *owner) {
  int32_t *output_of = owner; /* first pass: per root, the output that names it */
  for (int32_t t = 0; t < g->n_tensors; ++t)
    output_of[t] = t;
  for (int32_t i = 0; i < g->n_outputs; ++i) {
    const int32_t root = nib_fuse_storage_root(g, g->outputs[i]);
    if (g->tensors[root].producer != NIB_NONE && !nib_graph_is_output(g, root))
      output_of[root] = g->outputs[i];
  }
  for (int32_t t = 0; t < g->n_tensors; ++t) {
    const int32_t root = nib_fuse_storage_root(g, t);
    if (root != t)
      owner[t] = output_of[root];
  }
}

static bool add_input(nib_plan_access *a, int32_t root) {
  for (int32_t i = 0; i < a->n_in; ++i)
    if (a->in[i] == root)
      return false;
  a->in[a->n_in++] = root;
  return true;
}

static bool lives_in_arena(const nib_plan_problem *p, int32_t root) {
  return p->writer[root] != NIB_NONE && !nib_graph_is_output(p->g, p->owner[root]);
}

static nib_status describe_kernel(nib_plan_problem *p, int32_t id, const nib_diag *diag) {
  const nib_graph *g = p->g;
  const nib_kernel *k = &g->kernels[id];
  nib_plan_access *a = &p->kernels[id];
  const int32_t most = nib_kernel_inputs(g, k, NULL, 0); /* repeated operands are counted again */
  int32_t *tensors = malloc(((size_t)most + 1) * sizeof *tensors);
  a->in = malloc(((size_t)most + 1) * sizeof *a->in);
  if (tensors == NULL || a->in == NULL) {
    free(tensors);
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in plan");
  }
  const int32_t n = nib_kernel_inputs(g, k, tensors, most);
  a->out = nib_kernel_output(g, k);
  a->out_in_arena = lives_in_arena(p, a->out);
  a->out_bytes =
      a->out_in_arena ? nib_plan_align((int64_t)nib_tensor_bytes(&g->tensors[a->out])) : 0;
  a->scratch_bytes = nib_plan_align(k->scratch_bytes);
  for (int32_t i = 0; i < n; ++i) {
    const int32_t root = nib_fuse_storage_root(g, tensors[i]);
    /* Graph outputs are read too (they order kernels), but take no arena. */
    if (p->writer[root] != NIB_NONE && add_input(a, root))
      p->readers[root]++;
  }
  free(tensors);
  return NIB_OK;
}

nib_status nib_plan_problem_create(const nib_graph *g, nib_plan_problem *out_problem,
                                   const nib_diag *diag) {
  nib_plan_problem *p = out_problem;
  memset(p, 0, sizeof *p);
  p->g = g;
  const size_t n = (size_t)g->n_tensors + 1;
  p->kernels = calloc((size_t)g->n_kernels + 1, sizeof *p->kernels);
  p->readers = calloc(n, sizeof *p->readers);
  p->writer = malloc(n * sizeof *p->writer);
  p->owner = malloc(n * sizeof *p->owner);
  nib_status status = NIB_OK;
  if (!p->kernels || !p->readers || !p->writer || !p->owner)
    status = nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in plan");
  else {
    p->n_kernels = g->n_kernels;
    find_owners(g, p->owner);
    for (int32_t t = 0; t < g->n_tensors; ++t)
      p->writer[t] = NIB_NONE;
    for (int32_t k = 0; k < g->n_kernels; ++k)
      p->writer[nib_kernel_output(g, &g->kernels[k])] = k;
    for (int32_t k = 0; k < g->n_kernels && status == NIB_OK; ++k)
      status = describe_kernel(p, k, diag);
  }
  if (status != NIB_OK)
    nib_plan_problem_destroy(p);
  return status;
}

void nib_plan_problem_destroy(nib_plan_problem *p) {
  for (int32_t k = 0; p->kernels != NULL && k < p->n_kernels; ++k)
    free(p->kernels[k].in);
  free(p->kernels);
  free(p->readers);
  free(p->writer);
  free(p->owner);
  memset(p, 0, sizeof *p);
}

nib_status nib_plan_unfused_bound(const nib_graph *g, int64_t *out_bytes, const nib_diag *diag) {
  const size_t n = (size_t)g->n_tensors + 1;
  int32_t *root = malloc(n * sizeof *root), *last = malloc(n * sizeof *last);
  *out_bytes = 0;
  if (root == NULL || last == NULL) {
    free(root);
    free(last);
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in plan");
  }
  for (int32_t t = 0; t < g->n_tensors; ++t) {
    root[t] = t;
    last[t] = -1;
  }
  for (int32_t i = 0; i < g->n_nodes; ++i) {
    const nib_node *node = &g->nodes[i];
    if (nib_fuse_is_view(node->op))
      root[node->out] = root[node->in[0]];
    for (int32_t s = 0; s < node->n_in; ++s)
      if (node->in[s] != NIB_NONE)
        last[root[node->in[s]]] = i;
  }
  for (int32_t i = 0; i < g->n_outputs; ++i)
    last[root[g->outputs[i]]] = -1; /* outside the arena */
  int64_t live = 0;
  for (int32_t i = 0; i < g->n_nodes; ++i) {
    const int32_t out = g->nodes[i].out;
    if (root[out] == out && last[out] >= 0)
      live += nib_plan_align((int64_t)nib_tensor_bytes(&g->tensors[out]));
    if (live > *out_bytes)
      *out_bytes = live;
    for (int32_t t = 0; t < g->n_tensors; ++t)
      if (last[t] == i && root[t] == t && g->tensors[t].producer != NIB_NONE)
        live -= nib_plan_align((int64_t)nib_tensor_bytes(&g->tensors[t]));
  }
  free(root);
  free(last);
  return NIB_OK;
}

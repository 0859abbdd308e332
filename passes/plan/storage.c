/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Storage: who shares whose, what each kernel reads and writes, when writing in place is sound. */
#include "plan/plan.h"

#include "fuse/fuse.h"
#include "graph/pieces.h"
#include "schedule/schedule.h"

#include <stdlib.h>
#include <string.h>

bool nib_plan_may_overwrite(const nib_graph *g, const nib_kernel *k, int32_t input) {
  const nib_tensor *out = &g->tensors[nib_kernel_output(g, k)];
  const int32_t root = nib_fuse_storage_root(g, input);
  if (nib_tensor_bytes(&g->tensors[root]) != nib_tensor_bytes(out) ||
      nib_format_get(g->tensors[root].format)->kind == NIB_KIND_BLOCK ||
      nib_format_get(out->format)->kind == NIB_KIND_BLOCK)
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

/* --- storages --- */

static bool lives_in_arena(const nib_plan_problem *p, int32_t root) {
  return p->storage_of[root] != NIB_NONE && !nib_graph_is_output(p->g, p->owner[root]);
}

/* The storage of `part` becomes a run of that of `whole`. Only a part that is no piece of anything
 * else can move. */
static void join(nib_plan_problem *p, const nib_piece *piece) {
  const int32_t whole = nib_fuse_storage_root(p->g, piece->whole);
  const int32_t part = nib_fuse_storage_root(p->g, piece->part);
  if (!lives_in_arena(p, whole) || !lives_in_arena(p, part))
    return;
  const int32_t to = p->storage_of[whole], from = p->storage_of[part];
  if (from == to || p->offset_in[part] != 0 ||
      p->storages[from].bytes != nib_plan_align((int64_t)nib_tensor_bytes(&p->g->tensors[part])))
    return;
  const int64_t shift = p->offset_in[whole] + piece->offset_bytes;
  for (int32_t t = 0; t < p->g->n_tensors; ++t)
    if (p->storage_of[t] == from) {
      p->storage_of[t] = to;
      p->offset_in[t] += shift;
    }
  p->storages[from].bytes = 0;
  p->storages[to].joined = true;
}

static void join_pieces(nib_plan_problem *p, const bool *joins) {
  for (int32_t k = 0; joins != NULL && k < p->n_kernels; ++k) {
    const nib_kernel *kernel = &p->g->kernels[k];
    const nib_node *n = &p->g->nodes[kernel->nodes[0]];
    nib_piece piece;
    for (int32_t s = 0; joins[k] && kernel->n_nodes == 1 && s < n->n_in; ++s)
      if (nib_piece_of(p->g, n, s, &piece))
        join(p, &piece);
  }
}

static void find_storages(nib_plan_problem *p, const bool *joins) {
  const nib_graph *g = p->g;
  for (int32_t t = 0; t < g->n_tensors; ++t)
    p->storage_of[t] = NIB_NONE;
  for (int32_t k = 0; k < g->n_kernels; ++k)
    p->storage_of[nib_kernel_output(g, &g->kernels[k])] = k;
  for (int32_t k = 0; k < g->n_kernels; ++k) {
    const int32_t out = nib_kernel_output(g, &g->kernels[k]);
    if (lives_in_arena(p, out))
      p->storages[k].bytes = nib_plan_align((int64_t)nib_tensor_bytes(&g->tensors[out]));
  }
  join_pieces(p, joins);
}

/* --- accesses --- */

static void add_use(nib_plan_access *a, int32_t storage, bool overwrites) {
  for (int32_t i = 0; i < a->n_uses; ++i)
    if (a->uses[i].storage == storage)
      return;
  a->uses[a->n_uses++] = (nib_plan_use){storage, overwrites};
}

static void add_after(nib_plan_access *a, int32_t kernel) {
  for (int32_t i = 0; i < a->n_after; ++i)
    if (a->after[i] == kernel)
      return;
  a->after[a->n_after++] = kernel;
}

/* `writer`: per tensor, the kernel that makes it. */
static nib_status describe_kernel(nib_plan_problem *p, int32_t id, const int32_t *writer,
                                  const nib_diag *diag) {
  const nib_graph *g = p->g;
  const nib_kernel *k = &g->kernels[id];
  nib_plan_access *a = &p->kernels[id];
  const int32_t most = nib_kernel_inputs(g, k, NULL, 0); /* repeated operands are counted again */
  int32_t *tensors = malloc(((size_t)most + 1) * sizeof *tensors);
  a->uses = malloc(((size_t)most + 1) * sizeof *a->uses);
  a->after = malloc(((size_t)most + 1) * sizeof *a->after);
  if (tensors == NULL || a->uses == NULL || a->after == NULL) {
    free(tensors);
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in plan");
  }
  const int32_t n = nib_kernel_inputs(g, k, tensors, most);
  const nib_plan_storage *out = &p->storages[p->storage_of[nib_kernel_output(g, k)]];
  a->scratch_bytes = nib_plan_align(k->scratch_bytes);
  add_use(a, (int32_t)(out - p->storages), false);
  for (int32_t i = 0; i < n; ++i) {
    const int32_t root = nib_fuse_storage_root(g, tensors[i]);
    if (writer[root] == NIB_NONE)
      continue;
    const nib_plan_storage *in = &p->storages[p->storage_of[root]];
    add_after(a, writer[root]);
    add_use(a, (int32_t)(in - p->storages),
            in->bytes > 0 && out->bytes == in->bytes && !in->joined && !out->joined &&
                nib_plan_may_overwrite(g, k, root));
  }
  free(tensors);
  return NIB_OK;
}

static nib_status list_users(nib_plan_problem *p, const nib_diag *diag) {
  for (int32_t k = 0; k < p->n_kernels; ++k)
    for (int32_t i = 0; i < p->kernels[k].n_uses; ++i)
      p->storages[p->kernels[k].uses[i].storage].n_users++;
  for (int32_t s = 0; s < p->n_storages; ++s) {
    p->storages[s].users = malloc(((size_t)p->storages[s].n_users + 1) * sizeof(int32_t));
    if (p->storages[s].users == NULL)
      return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in plan");
    p->storages[s].n_users = 0;
  }
  for (int32_t k = 0; k < p->n_kernels; ++k)
    for (int32_t i = 0; i < p->kernels[k].n_uses; ++i) {
      nib_plan_storage *s = &p->storages[p->kernels[k].uses[i].storage];
      s->users[s->n_users++] = k;
    }
  return NIB_OK;
}

static nib_status describe(nib_plan_problem *p, const bool *joins, const nib_diag *diag) {
  const nib_graph *g = p->g;
  int32_t *writer = malloc(((size_t)g->n_tensors + 1) * sizeof *writer);
  if (writer == NULL)
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in plan");
  p->n_kernels = p->n_storages = g->n_kernels;
  find_owners(g, p->owner);
  find_storages(p, joins);
  for (int32_t t = 0; t < g->n_tensors; ++t)
    writer[t] = NIB_NONE;
  for (int32_t k = 0; k < g->n_kernels; ++k)
    writer[nib_kernel_output(g, &g->kernels[k])] = k;
  nib_status status = NIB_OK;
  for (int32_t k = 0; k < g->n_kernels && status == NIB_OK; ++k)
    status = describe_kernel(p, k, writer, diag);
  free(writer);
  return status == NIB_OK ? list_users(p, diag) : status;
}

nib_status nib_plan_problem_create(const nib_graph *g, const bool *joins,
                                   nib_plan_problem *out_problem, const nib_diag *diag) {
  nib_plan_problem *p = out_problem;
  memset(p, 0, sizeof *p);
  p->g = g;
  const size_t tensors = (size_t)g->n_tensors + 1, kernels = (size_t)g->n_kernels + 1;
  p->kernels = calloc(kernels, sizeof *p->kernels);
  p->storages = calloc(kernels, sizeof *p->storages);
  p->owner = malloc(tensors * sizeof *p->owner);
  p->storage_of = malloc(tensors * sizeof *p->storage_of);
  p->offset_in = calloc(tensors, sizeof *p->offset_in);
  const bool ok = p->kernels && p->storages && p->owner && p->storage_of && p->offset_in;
  const nib_status status =
      ok ? describe(p, joins, diag)
         : nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in plan");
  if (status != NIB_OK)
    nib_plan_problem_destroy(p);
  return status;
}

void nib_plan_problem_destroy(nib_plan_problem *p) {
  for (int32_t k = 0; p->kernels != NULL && k < p->n_kernels; ++k) {
    free(p->kernels[k].uses);
    free(p->kernels[k].after);
  }
  for (int32_t s = 0; p->storages != NULL && s < p->n_storages; ++s)
    free(p->storages[s].users);
  free(p->kernels);
  free(p->storages);
  free(p->owner);
  free(p->storage_of);
  free(p->offset_in);
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

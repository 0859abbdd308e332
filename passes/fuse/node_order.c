/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Nodes in the order of kernels: contiguous per kernel, views before their first use. */
#include "fuse/fuse.h"

#include <stdlib.h>
#include <string.h>

bool nib_fuse_is_view(nib_op op) { return nib_op_get(op)->family == NIB_FAMILY_VIEW; }

int32_t nib_fuse_storage_root(const nib_graph *g, int32_t tensor) {
  for (;;) {
    const int32_t producer = g->tensors[tensor].producer;
    if (producer == NIB_NONE)
      return tensor;
    const nib_node *n = &g->nodes[producer];
    if (n->kernel != NIB_NONE || !nib_fuse_is_view(n->op))
      return tensor;
    tensor = n->in[0];
  }
}

typedef struct ordering {
  nib_graph *g;
  int32_t *place; /* old node id → new id, or NIB_NONE */
  int32_t *chain; /* scratch: views waiting to be placed */
  int32_t next;
} ordering;

/* Places the views that lead to `tensor`, the one nearest the source first. */
static void place_views(ordering *o, int32_t tensor) {
  int32_t depth = 0;
  while (tensor != NIB_NONE) {
    const int32_t p = o->g->tensors[tensor].producer;
    if (p == NIB_NONE || o->g->nodes[p].kernel != NIB_NONE || o->place[p] != NIB_NONE)
      break;
    o->chain[depth++] = p;
    tensor = o->g->nodes[p].in[0];
  }
  while (depth > 0)
    o->place[o->chain[--depth]] = o->next++;
}

static void place_all(ordering *o) {
  const nib_graph *g = o->g;
  for (int32_t k = 0; k < g->n_kernels; ++k) {
    const nib_kernel *kernel = &g->kernels[k];
    for (int32_t i = 0; i < kernel->n_nodes; ++i) {
      const nib_node *n = &g->nodes[kernel->nodes[i]];
      for (int32_t s = 0; s < n->n_in; ++s)
        place_views(o, n->in[s]);
    }
    for (int32_t i = 0; i < kernel->n_nodes; ++i)
      o->place[kernel->nodes[i]] = o->next++;
  }
  for (int32_t i = 0; i < g->n_outputs; ++i)
    place_views(o, g->outputs[i]);
  for (int32_t i = 0; i < g->n_nodes; ++i)
    if (o->place[i] == NIB_NONE)
      place_views(o, g->nodes[i].out);
}

static void apply(const ordering *o, nib_node *sorted) {
  nib_graph *g = o->g;
  for (int32_t i = 0; i < g->n_nodes; ++i)
    sorted[o->place[i]] = g->nodes[i];
  memcpy(g->nodes, sorted, (size_t)g->n_nodes * sizeof *sorted);
  for (int32_t i = 0; i < g->n_nodes; ++i)
    g->tensors[g->nodes[i].out].producer = i;
  for (int32_t k = 0; k < g->n_kernels; ++k)
    for (int32_t i = 0; i < g->kernels[k].n_nodes; ++i) {
      int32_t *node = &g->kernels[k].nodes[i];
      *node = o->place[*node];
      g->nodes[*node].kernel = k;
    }
}

nib_status nib_fuse_order_nodes(nib_graph *g, const nib_diag *diag) {
  const size_t n = (size_t)g->n_nodes + 1;
  ordering o = {.g = g, .place = malloc(n * sizeof(int32_t)), .chain = malloc(n * sizeof(int32_t))};
  nib_node *sorted = malloc(n * sizeof *sorted);
  nib_status status = NIB_OK;
  if (o.place == NULL || o.chain == NULL || sorted == NULL) {
    status = nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory ordering the kernels");
  } else {
    for (int32_t i = 0; i < g->n_nodes; ++i)
      o.place[i] = NIB_NONE;
    place_all(&o);
    if (o.next == g->n_nodes)
      apply(&o, sorted);
    else
      status = nib_diag_error(diag, NIB_ERROR_INTERNAL, "kernels do not cover the graph");
  }
  free(o.place);
  free(o.chain);
  free(sorted);
  return status;
}

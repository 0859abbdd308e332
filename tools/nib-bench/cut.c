/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * A kernel as a graph of its own. */
#include "bench.h"
#include "message.h"
#include "schedule/schedule.h"

#include <stdlib.h>

typedef struct cut {
  const nib_graph *from;
  nib_graph *to;
  int32_t *map; /* tensor of `from` to tensor of `to`, or NIB_NONE */
} cut;

static int32_t copy_tensor(cut *c, int32_t tensor) {
  if (tensor == NIB_NONE || c->map[tensor] != NIB_NONE)
    return tensor == NIB_NONE ? NIB_NONE : c->map[tensor];
  return c->map[tensor] = nib_graph_copy_tensor(c->to, &c->from->tensors[tensor]);
}

enum { MAX_INPUTS = 64 };

/* The kernel's nodes once more: what they read is shared with other copies, what they write is not.
 */
static bool add_copy(cut *c, const nib_kernel *k, int copy, int32_t *nodes) {
  for (int32_t i = 0; i < k->n_nodes; ++i)
    c->map[c->from->nodes[k->nodes[i]].out] = NIB_NONE;
  for (int32_t i = 0; i < k->n_nodes; ++i) {
    const nib_node *n = &c->from->nodes[k->nodes[i]];
    int32_t *in = calloc((size_t)n->n_in + 1, sizeof *in);
    if (!in)
      return false;
    for (int32_t s = 0; s < n->n_in; ++s)
      in[s] = copy_tensor(c, n->in[s]);
    const int32_t out = copy_tensor(c, n->out);
    nodes[i] = out != NIB_NONE
                   ? nib_graph_add_node(c->to, n->op, n->name, n->source_index, in, n->n_in, out)
                   : NIB_NONE;
    free(in);
    if (nodes[i] == NIB_NONE || nib_graph_copy_attrs(c->to, nodes[i], n) != NIB_OK)
      return false;
  }
  char *name = copy ? nibc_format("%s_%d", k->name, copy) : nibc_format("%s", k->name);
  const bool ok = name && nib_graph_add_kernel(c->to, name, nodes, k->n_nodes) != NIB_NONE;
  free(name);
  return ok;
}

static bool set_ports(cut *c, const nib_kernel *k, const int32_t *outputs, int copies) {
  int32_t inputs[MAX_INPUTS];
  const int32_t n = nib_kernel_inputs(c->from, k, inputs, MAX_INPUTS);
  if (n > MAX_INPUTS)
    return false;
  for (int32_t i = 0; i < n; ++i)
    inputs[i] = c->map[inputs[i]];
  return nib_graph_set_inputs(c->to, inputs, n) == NIB_OK &&
         nib_graph_set_outputs(c->to, outputs, copies) == NIB_OK;
}

nib_graph *bench_cut(const nib_graph *g, const nib_kernel *k, int copies) {
  cut c = {g, nib_graph_create(k->name), malloc((size_t)(g->n_tensors + 1) * sizeof(int32_t))};
  int32_t *nodes = calloc((size_t)k->n_nodes + 1, sizeof *nodes);
  int32_t *outputs = calloc((size_t)copies + 1, sizeof *outputs);
  bool ok = c.to && c.map && nodes && outputs;
  for (int32_t t = 0; ok && t < g->n_tensors; ++t)
    c.map[t] = NIB_NONE;
  if (ok && g->rounding)
    c.to->rounding = nib_graph_strdup(c.to, g->rounding);
  for (int i = 0; ok && i < copies; ++i) {
    ok = add_copy(&c, k, i, nodes);
    outputs[i] = ok ? c.map[nib_kernel_output(g, k)] : NIB_NONE;
  }
  ok = ok && set_ports(&c, k, outputs, copies) && nib_graph_validate(c.to, nibc_diag()) == NIB_OK;
  free(c.map);
  free(nodes);
  free(outputs);
  if (!ok) {
    nibc_error("kernel %s cannot be cut out", k->name);
    nib_graph_destroy(c.to);
    return NULL;
  }
  return c.to;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * nib_graph: rewriting, sweeping, cloning. */
#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

/* An erased node keeps its place until the next sweep; no operand list marks it. */
void nib_graph_erase_node(nib_graph *g, int32_t node) {
  nib_node *n = &g->nodes[node];
  if (n->out != NIB_NONE && g->tensors[n->out].producer == node)
    g->tensors[n->out].producer = NIB_NONE;
  n->in = NULL;
  n->n_in = 0;
  n->out = NIB_NONE;
}

bool nib_node_is_erased(const nib_node *n) {
  return n->out == NIB_NONE;
}

void nib_graph_replace_uses(nib_graph *g, int32_t from_tensor, int32_t to_tensor) {
  for (int32_t i = 0; i < g->n_nodes; ++i)
    for (int32_t k = 0; k < g->nodes[i].n_in; ++k)
      if (g->nodes[i].in[k] == from_tensor)
        g->nodes[i].in[k] = to_tensor;
  for (int32_t i = 0; i < g->n_outputs; ++i)
    if (g->outputs[i] == from_tensor)
      g->outputs[i] = to_tensor;
}

int32_t nib_graph_count_uses(const nib_graph *g, int32_t tensor, int32_t *out_first) {
  int32_t uses = 0;
  for (int32_t i = 0; i < g->n_nodes; ++i) {
    const nib_node *n = &g->nodes[i];
    for (int32_t k = 0; k < n->n_in; ++k) {
      if (n->in[k] != tensor)
        continue;
      if (uses == 0 && out_first)
        *out_first = i;
      ++uses;
      break;
    }
  }
  return uses;
}

bool nib_graph_is_output(const nib_graph *g, int32_t tensor) {
  for (int32_t i = 0; i < g->n_outputs; ++i)
    if (g->outputs[i] == tensor)
      return true;
  return false;
}

typedef enum visit_state { UNSEEN = 0, OPEN, DONE } visit_state;

typedef struct frame {
  int32_t node, next_operand;
} frame;

typedef struct sweep {
  nib_graph *g;
  unsigned char *state; /* visit_state per node */
  frame *stack;
  int32_t *order; /* live nodes, producers first */
  int32_t n_order;
} sweep;

/* Iterative post-order walk over producers from `root`; false on a cycle. */
static bool visit(sweep *s, int32_t root) {
  int32_t depth = 0;
  if (s->state[root] == DONE)
    return true;
  s->stack[depth++] = (frame){root, 0};
  s->state[root] = OPEN;
  while (depth > 0) {
    frame *top = &s->stack[depth - 1];
    const nib_node *n = &s->g->nodes[top->node];
    if (top->next_operand == n->n_in) {
      s->state[top->node] = DONE;
      s->order[s->n_order++] = top->node;
      --depth;
      continue;
    }
    int32_t t = n->in[top->next_operand++];
    int32_t p = t == NIB_NONE ? NIB_NONE : s->g->tensors[t].producer;
    if (p == NIB_NONE || s->state[p] == DONE)
      continue;
    if (s->state[p] == OPEN)
      return false;
    s->state[p] = OPEN;
    s->stack[depth++] = (frame){p, 0};
  }
  return true;
}

/* Nodes in their present order as far as it is topological: roots are visited in index order. */
static bool order_live_nodes(sweep *s) {
  nib_graph *g = s->g;
  unsigned char *live = calloc((size_t)g->n_nodes + 1, 1);
  if (!live)
    return false;
  /* First mark what the outputs need, then emit in index order among the live. */
  bool ok = true;
  for (int32_t i = 0; ok && i < g->n_outputs; ++i) {
    int32_t p = g->tensors[g->outputs[i]].producer;
    if (p != NIB_NONE)
      ok = visit(s, p);
  }
  for (int32_t i = 0; i < s->n_order; ++i)
    live[s->order[i]] = 1;
  s->n_order = 0;
  memset(s->state, UNSEEN, (size_t)g->n_nodes);
  for (int32_t i = 0; ok && i < g->n_nodes; ++i)
    if (live[i])
      ok = visit(s, i);
  free(live);
  return ok;
}

nib_status nib_graph_sweep(nib_graph *g, const nib_diag *diag) {
  size_t n = (size_t)g->n_nodes + 1;
  sweep s = {.g = g,
             .state = calloc(n, 1),
             .stack = malloc(n * sizeof(frame)),
             .order = malloc(n * sizeof(int32_t))};
  nib_node *sorted = malloc(n * sizeof(nib_node));
  nib_status status = NIB_OK;
  if (!s.state || !s.stack || !s.order || !sorted)
    status = nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory while sorting the graph");
  else if (!order_live_nodes(&s))
    status = nib_diag_error(diag, NIB_ERROR_INVALID_INPUT, "the graph has a cycle");
  if (status == NIB_OK) {
    for (int32_t i = 0; i < g->n_tensors; ++i)
      g->tensors[i].producer = NIB_NONE;
    for (int32_t i = 0; i < s.n_order; ++i) {
      sorted[i] = g->nodes[s.order[i]];
      g->tensors[sorted[i].out].producer = i;
    }
    memcpy(g->nodes, sorted, (size_t)s.n_order * sizeof *sorted);
    g->n_nodes = s.n_order;
  }
  free(s.state);
  free(s.stack);
  free(s.order);
  free(sorted);
  return status;
}

nib_status nib_graph_copy_attrs(nib_graph *copy, int32_t id, const nib_node *n) {
  for (int32_t i = 0; i < n->n_attrs; ++i) {
    const nib_attr *a = &n->attrs[i];
    nib_status status = NIB_OK;
    switch (nib_attr_get(a->id)->kind) {
    case NIB_ATTR_INT:
      status = nib_graph_set_int(copy, id, a->id, a->u.i);
      break;
    case NIB_ATTR_INTS:
      status = nib_graph_set_ints(copy, id, a->id, a->u.ints.v, a->u.ints.n);
      break;
    case NIB_ATTR_FLOAT:
      status = nib_graph_set_float(copy, id, a->id, a->u.f);
      break;
    case NIB_ATTR_STRING:
      status = nib_graph_set_string(copy, id, a->id, a->u.s);
      break;
    case NIB_ATTR_DATA:
      break;
    }
    NIB_RETURN_IF_ERROR(status);
  }
  return NIB_OK;
}

int32_t nib_graph_copy_tensor(nib_graph *copy, const nib_tensor *t) {
  const int32_t id = nib_graph_add_tensor(copy, t->name, t->format, t->rank, t->dims);
  if (id == NIB_NONE)
    return NIB_NONE;
  if (t->quantized)
    nib_graph_set_quant(copy, id, t->scale, t->zero_point);
  if (t->data)
    nib_graph_set_data(copy, id, t->data, t->data_bytes, NIB_DATA_BORROWED);
  return id;
}

static bool clone_node(nib_graph *copy, const nib_node *n) {
  int32_t id = nib_graph_add_node(copy, n->op, n->name, n->source_index, n->in, n->n_in, n->out);
  if (id == NIB_NONE)
    return false;
  copy->nodes[id].origin = n->origin;
  copy->nodes[id].kernel = n->kernel;
  return nib_graph_copy_attrs(copy, id, n) == NIB_OK;
}

static bool clone_tensor(nib_graph *copy, const nib_tensor *t) {
  int32_t id = nib_graph_add_tensor(copy, t->name, t->format, t->rank, t->dims);
  if (id == NIB_NONE)
    return false;
  const char *name = copy->tensors[id].name;
  copy->tensors[id] = *t;
  copy->tensors[id].name = name;
  return true;
}

static const char *clone_string(nib_graph *copy, const char *s) {
  return s ? nib_graph_strdup(copy, s) : NULL;
}

static bool clone_kernel(nib_graph *copy, const nib_kernel *k) {
  int32_t id = nib_graph_add_kernel(copy, k->name, k->nodes, k->n_nodes);
  if (id == NIB_NONE)
    return false;
  nib_kernel *c = &copy->kernels[id];
  const nib_kernel made = *c;
  *c = *k;
  c->name = made.name;
  c->nodes = made.nodes;
  c->schedule = clone_string(copy, k->schedule);
  c->vocab = clone_string(copy, k->vocab);
  return true;
}

nib_graph *nib_graph_clone(const nib_graph *g) {
  nib_graph *copy = nib_graph_create(g->name);
  if (!copy)
    return NULL;
  bool ok = true;
  for (int32_t i = 0; ok && i < g->n_tensors; ++i)
    ok = clone_tensor(copy, &g->tensors[i]);
  for (int32_t i = 0; ok && i < g->n_nodes; ++i)
    ok = clone_node(copy, &g->nodes[i]);
  for (int32_t i = 0; ok && i < g->n_kernels; ++i)
    ok = clone_kernel(copy, &g->kernels[i]);
  /* Adding set producers and kernels anew; take the originals, which may hold erased nodes. */
  for (int32_t i = 0; ok && i < g->n_tensors; ++i)
    copy->tensors[i].producer = g->tensors[i].producer;
  ok = ok && nib_graph_set_inputs(copy, g->inputs, g->n_inputs) == NIB_OK &&
       nib_graph_set_outputs(copy, g->outputs, g->n_outputs) == NIB_OK;
  copy->rounding = clone_string(copy, g->rounding);
  copy->integer_only = g->integer_only;
  copy->threads = g->threads;
  copy->arena_bytes = g->arena_bytes;
  copy->lower_bound_bytes = g->lower_bound_bytes;
  copy->unfused_lower_bound_bytes = g->unfused_lower_bound_bytes;
  copy->proven_bound_bytes = g->proven_bound_bytes;
  if (!ok || !copy->rounding) {
    nib_graph_destroy(copy);
    return NULL;
  }
  return copy;
}

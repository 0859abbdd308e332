/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Results that depend on constants alone are computed at import, by the reference evaluator: shape
 * computation, whatever operators it is written with. */
#include "onnx_internal.h"

#include "graph/validate.h"
#include "reference/reference.h"

#include <string.h>

enum { MAX_NODES = 64, MAX_ELEMS = 4096 };

/* The nodes that a tensor depends on, producers first. */
typedef struct cone {
  int32_t nodes[MAX_NODES], n;
} cone;

static bool collect(const nib_graph *g, int32_t tensor, cone *c) {
  const nib_tensor *t = &g->tensors[tensor];
  if (t->data)
    return true;
  if (t->producer == NIB_NONE || t->quantized || nib_tensor_elems(t) > MAX_ELEMS)
    return false;
  for (int32_t i = 0; i < c->n; ++i)
    if (c->nodes[i] == t->producer)
      return true;
  const nib_node *n = &g->nodes[t->producer];
  if (n->op == NIB_OP_DEQUANTIZE)
    return false; /* weights: integer operators need the codes */
  for (int32_t i = 0; i < n->n_in; ++i)
    if (n->in[i] != NIB_NONE && !collect(g, n->in[i], c))
      return false;
  if (c->n == MAX_NODES)
    return false;
  c->nodes[c->n++] = t->producer;
  return true;
}

/* A graph of the cone alone: tensor ids are found by `map`. */
typedef struct scene {
  nib_graph *g;
  int32_t from[MAX_NODES * 8], to[MAX_NODES * 8], n;
} scene;

static int32_t copy_tensor(scene *s, const nib_graph *from, int32_t id) {
  for (int32_t i = 0; i < s->n; ++i)
    if (s->from[i] == id)
      return s->to[i];
  const int32_t copy =
      s->n < MAX_NODES * 8 ? nib_graph_copy_tensor(s->g, &from->tensors[id]) : NIB_NONE;
  if (copy == NIB_NONE)
    return NIB_NONE;
  s->from[s->n] = id;
  s->to[s->n++] = copy;
  return copy;
}

static bool copy_node(scene *s, const nib_graph *from, int32_t node) {
  const nib_node *n = &from->nodes[node];
  int32_t in[16];
  if (n->n_in > 16)
    return false;
  for (int32_t i = 0; i < n->n_in; ++i) {
    in[i] = n->in[i] == NIB_NONE ? NIB_NONE : copy_tensor(s, from, n->in[i]);
    if (n->in[i] != NIB_NONE && in[i] == NIB_NONE)
      return false;
  }
  const int32_t out = copy_tensor(s, from, n->out);
  const int32_t id =
      out == NIB_NONE ? NIB_NONE
                      : nib_graph_add_node(s->g, n->op, n->name, n->source_index, in, n->n_in, out);
  if (id == NIB_NONE)
    return false;
  s->g->nodes[id].attrs = n->attrs; /* only read: the scene does not outlive the network */
  s->g->nodes[id].n_attrs = n->n_attrs;
  return nib_graph_validate_node(s->g, id, NULL) == NIB_OK && nib_reference_supports(s->g, id);
}

/* The bytes of the one output, in memory of `owner`. */
static uint8_t *run(scene *s, nib_graph *owner, int32_t y) {
  nib_reference *r = NULL;
  uint8_t *data = NULL;
  if (nib_graph_set_outputs(s->g, &y, 1) == NIB_OK &&
      nib_reference_create(s->g, &r, NULL) == NIB_OK &&
      nib_reference_run(r, NULL, NULL) == NIB_OK) {
    const size_t bytes = nib_tensor_bytes(&s->g->tensors[y]);
    data = nib_graph_alloc(owner, bytes < 64 ? 64 : bytes);
    if (data)
      memcpy(data, nib_reference_tensor(r, y), bytes);
  }
  nib_reference_destroy(r);
  return data;
}

const uint8_t *nib_onnx_evaluate(nib_onnx_ctx *ctx, int32_t tensor) {
  const nib_graph *g = ctx->graph;
  const nib_tensor *t = &g->tensors[tensor];
  cone c = {.n = 0};
  if (t->data)
    return nib_tensor_elems(t) <= MAX_ELEMS && !t->quantized ? t->data : NULL;
  if (!collect(g, tensor, &c))
    return NULL;
  scene s = {.g = nib_graph_create("constant"), .n = 0};
  const uint8_t *data = NULL;
  bool ok = s.g != NULL;
  if (ok)
    s.g->rounding = g->rounding;
  for (int32_t i = 0; ok && i < c.n; ++i)
    ok = copy_node(&s, g, c.nodes[i]);
  if (ok)
    data = run(&s, ctx->graph, copy_tensor(&s, g, tensor));
  nib_graph_destroy(s.g);
  ctx->n_evaluated += data != NULL;
  return data;
}

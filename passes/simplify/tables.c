/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Functions of one 8-bit code: whatever computes them, a table of 256 entries made by the reference
 * evaluator replaces it. */
#include "simplify/simplify.h"

#include "reference/reference.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_CONE = 24, CODES = 256 };

/* --- a small graph for the evaluator --- */

typedef struct scene {
  nib_graph *g;
  int32_t *map; /* tensor of the network → tensor of the scene, NIB_NONE */
  bool as_table;
} scene;

static int32_t import_tensor(scene *sc, const nib_graph *from, int32_t id) {
  if (sc->map[id] != NIB_NONE)
    return sc->map[id];
  const nib_tensor *t = &from->tensors[id];
  const int64_t codes = CODES;
  const bool flat = sc->as_table && t->data == NULL;
  const int32_t copy =
      nib_graph_add_tensor(sc->g, t->name, t->format, flat ? 1 : t->rank, flat ? &codes : t->dims);
  if (copy == NIB_NONE)
    return NIB_NONE;
  if (t->quantized)
    nib_graph_set_quant(sc->g, copy, t->scale, t->zero_point);
  if (t->data != NULL)
    nib_graph_set_data(sc->g, copy, t->data, t->data_bytes, NIB_DATA_BORROWED);
  sc->map[id] = copy;
  return copy;
}

/* Constants that broadcast as scalars must not raise the rank of a flat table. */
static void flatten_scalar(scene *sc, int32_t copy) {
  nib_tensor *t = &sc->g->tensors[copy];
  if (sc->as_table && t->data != NULL && nib_tensor_elems(t) == 1)
    t->rank = 0;
}

static bool import_node(scene *sc, const nib_graph *from, int32_t node) {
  const nib_node *n = &from->nodes[node];
  int32_t in[8];
  if (n->n_in > 8)
    return false;
  for (int32_t i = 0; i < n->n_in; ++i) {
    in[i] = n->in[i] == NIB_NONE ? NIB_NONE : import_tensor(sc, from, n->in[i]);
    if (n->in[i] != NIB_NONE && in[i] == NIB_NONE)
      return false;
    if (in[i] != NIB_NONE)
      flatten_scalar(sc, in[i]);
  }
  const int32_t out = import_tensor(sc, from, n->out);
  if (out == NIB_NONE)
    return false;
  const int32_t id = nib_graph_add_node(sc->g, n->op, n->name, n->source_index, in, n->n_in, out);
  if (id == NIB_NONE)
    return false;
  /* Attributes are only read: the scene does not outlive the network. */
  sc->g->nodes[id].attrs = n->attrs;
  sc->g->nodes[id].n_attrs = n->n_attrs;
  return nib_reference_supports(sc->g, id);
}

static bool build(scene *sc, const nib_graph *from, const int32_t *nodes, int32_t n,
                  int32_t input) {
  sc->g->rounding = from->rounding;
  if (input != NIB_NONE) {
    const int32_t x = import_tensor(sc, from, input);
    if (x == NIB_NONE || nib_graph_set_inputs(sc->g, &x, 1) != NIB_OK)
      return false;
  }
  for (int32_t i = 0; i < n; ++i)
    if (!import_node(sc, from, nodes[i]))
      return false;
  const int32_t y = sc->map[from->nodes[nodes[n - 1]].out];
  return nib_graph_set_outputs(sc->g, &y, 1) == NIB_OK;
}

/* The result as a constant of the network. */
static int32_t run_scene(nib_simplify *s, const scene *sc, int32_t result) {
  uint8_t codes[CODES];
  const void *inputs[1] = {codes};
  nib_reference *r = NULL;
  int32_t id = NIB_NONE;
  const int64_t low =
      sc->g->n_inputs > 0 ? nib_format_get(sc->g->tensors[sc->g->inputs[0]].format)->min : 0;
  for (int i = 0; i < CODES; ++i)
    codes[i] = (uint8_t)(i + low);
  if (nib_reference_create(sc->g, &r, NULL) == NIB_OK &&
      nib_reference_run(r, inputs, NULL) == NIB_OK) {
    const int32_t y = sc->g->outputs[0];
    const nib_tensor t = sc->g->tensors[y];
    id = nib_simplify_add_constant(s, s->g->tensors[result].name, t.format, t.rank, t.dims,
                                   nib_reference_tensor(r, y));
    if (id != NIB_NONE && !sc->as_table && t.quantized)
      nib_graph_set_quant(s->g, id, t.scale, t.zero_point);
  }
  nib_reference_destroy(r);
  return id;
}

int32_t nib_simplify_tabulate(nib_simplify *s, const int32_t *nodes, int32_t n, int32_t input) {
  scene sc = {.g = nib_graph_create("scene"), .as_table = input != NIB_NONE};
  const size_t tensors = (size_t)s->g->n_tensors + 1;
  sc.map = malloc(tensors * sizeof *sc.map);
  int32_t id = NIB_NONE;
  if (sc.g == NULL || sc.map == NULL) {
    nib_simplify_check(s, NIB_ERROR_OUT_OF_MEMORY);
  } else {
    for (size_t i = 0; i < tensors; ++i)
      sc.map[i] = NIB_NONE;
    if (build(&sc, s->g, nodes, n, input))
      id = run_scene(s, &sc, s->g->nodes[nodes[n - 1]].out);
  }
  free(sc.map);
  nib_graph_destroy(sc.g);
  return id;
}

int32_t nib_simplify_evaluate(nib_simplify *s, int32_t node) {
  return nib_simplify_tabulate(s, &node, 1, NIB_NONE);
}

/* --- rules --- */

static bool become_lookup(nib_simplify *s, int32_t node, int32_t x, int32_t table) {
  const int32_t in[2] = {x, table};
  return table != NIB_NONE && nib_simplify_become(s, node, NIB_OP_LOOKUP, in, 2);
}

/* quantize(dequantize(x)): nothing, or a requantize. */
bool nib_simplify_requantize(nib_simplify *s, int32_t node) {
  nib_dequant dq;
  const nib_node *n = nib_simplify_node(s, node);
  if (!nib_simplify_dequant_of(s, n->in[0], &dq) || dq.scales != NULL)
    return false;
  const nib_tensor *x = &s->g->tensors[dq.code], *y = &s->g->tensors[n->out];
  if (!y->quantized || !x->quantized || x->data != NULL)
    return false;
  if (nib_simplify_same_type(x, y))
    return nib_simplify_forward(s, node, dq.code);
  if (nib_simplify_is_8bit(x) && nib_simplify_is_8bit(y))
    return false; /* a table does it in one rounding, as the float graph */
  if (!nib_simplify_become(s, node, NIB_OP_REQUANTIZE, &dq.code, 1))
    return false;
  nib_simplify_check(s, nib_graph_set_string(s->g, node, NIB_A_ROUNDING, "nearest-even"));
  return true;
}

static bool is_arithmetic(nib_op op) {
  const nib_family family = nib_op_get(op)->family;
  return family == NIB_FAMILY_BINARY || family == NIB_FAMILY_SELECT ||
         family == NIB_FAMILY_FUNCTION;
}

/* The float operators between one 8-bit tensor and a quantize, producers first. */
typedef struct cone {
  int32_t nodes[MAX_CONE];
  int32_t n;
  int32_t code; /* the one source, or NIB_NONE so far */
  int64_t elems;
} cone;

static bool in_cone(const cone *c, int32_t node) {
  for (int32_t i = 0; i < c->n; ++i)
    if (c->nodes[i] == node)
      return true;
  return false;
}

static bool collect(nib_simplify *s, cone *c, int32_t tensor, int depth) {
  const nib_tensor *t = &s->g->tensors[tensor];
  if (t->data != NULL)
    return nib_tensor_elems(t) == 1;
  const int32_t p = t->producer;
  if (p == NIB_NONE || nib_tensor_elems(t) != c->elems)
    return false;
  if (in_cone(c, p))
    return true;
  const nib_node *n = &s->g->nodes[p];
  nib_dequant dq;
  if (nib_simplify_dequant_of(s, tensor, &dq)) {
    const nib_tensor *code = &s->g->tensors[dq.code];
    if (dq.scales != NULL || code->data != NULL || !nib_simplify_is_8bit(code))
      return false;
    if (c->code != NIB_NONE && c->code != dq.code)
      return false;
    c->code = dq.code;
  } else {
    if (!is_arithmetic(n->op) || depth >= MAX_CONE)
      return false;
    for (int32_t i = 0; i < n->n_in; ++i)
      if (n->in[i] == NIB_NONE || !collect(s, c, n->in[i], depth + 1))
        return false;
  }
  if (c->n == MAX_CONE)
    return false;
  c->nodes[c->n++] = p;
  return true;
}

/* Results inside the cone (but of dequantize) are read in it alone: otherwise nothing is saved. */
static bool is_closed(const nib_simplify *s, const cone *c, int32_t end) {
  const nib_graph *g = s->g;
  for (int32_t i = 0; i < c->n; ++i) {
    const nib_node *made = &g->nodes[c->nodes[i]];
    if (made->op == NIB_OP_DEQUANTIZE)
      continue;
    if (nib_graph_is_output(g, made->out))
      return false;
    for (int32_t k = 0; k < g->n_nodes; ++k)
      for (int32_t m = 0; m < g->nodes[k].n_in; ++m)
        if (g->nodes[k].in[m] == made->out && k != end && !in_cone(c, k))
          return false;
  }
  return true;
}

bool nib_simplify_table_of_cone(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  if (n->op != NIB_OP_QUANTIZE || nib_node_input(s->g, n, 1) ||
      !nib_simplify_is_8bit(&s->g->tensors[n->out]))
    return false;
  cone c = {.code = NIB_NONE, .elems = nib_tensor_elems(&s->g->tensors[n->out])};
  if (!collect(s, &c, n->in[0], 0) || c.code == NIB_NONE || c.n == MAX_CONE ||
      !nib_simplify_same_shape(&s->g->tensors[c.code], &s->g->tensors[n->out]) ||
      !is_closed(s, &c, node))
    return false;
  c.nodes[c.n++] = node;
  return become_lookup(s, node, c.code, nib_simplify_tabulate(s, c.nodes, c.n, c.code));
}

/* The lookup in a constant table that makes `tensor` of codes of the same shape, or NIB_NONE. */
static int32_t lookup_behind(const nib_simplify *s, int32_t tensor) {
  const int32_t p = nib_simplify_producer_of(s, tensor, NIB_OP_LOOKUP);
  const nib_tensor *t = s->g->tensors;
  const bool fits = p != NIB_NONE && t[s->g->nodes[p].in[1]].data != NULL &&
                    nib_simplify_same_shape(&t[s->g->nodes[p].in[0]], &t[tensor]);
  return fits ? p : NIB_NONE;
}

/* Operands that are not constants of one element, each once: their number, or -1 if they are not
 * codes of 8 bits, or more than two. */
static int code_operands(const nib_simplify *s, const nib_node *n, int32_t out[2]) {
  int count = 0;
  for (int32_t i = 0; i < n->n_in; ++i) {
    if (n->in[i] == NIB_NONE)
      continue;
    const nib_tensor *t = &s->g->tensors[n->in[i]];
    if (t->data != NULL && nib_tensor_elems(t) == 1)
      continue;
    if (t->data != NULL || !nib_simplify_is_8bit(t))
      return -1;
    if ((count > 0 && n->in[i] == out[0]) || (count > 1 && n->in[i] == out[1]))
      continue;
    if (count == 2)
      return -1;
    out[count++] = n->in[i];
  }
  return count;
}

/* An integer operator of one 8-bit operand, or of two that are functions of one by tables, such as
 * x and a gate of x; other operands are constants of one element. */
bool nib_simplify_table_of_op(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  const bool listed =
      is_arithmetic(n->op) || n->op == NIB_OP_QUANTIZE || n->op == NIB_OP_REQUANTIZE;
  if (!listed || !nib_simplify_is_8bit(&s->g->tensors[n->out]))
    return false;
  int32_t in[2], nodes[3], count = 0;
  const int operands = code_operands(s, n, in);
  if (operands < 1)
    return false;
  int32_t x = in[0];
  if (operands == 2) {
    const int32_t p = lookup_behind(s, in[0]), q = lookup_behind(s, in[1]);
    const int32_t a = p == NIB_NONE ? NIB_NONE : s->g->nodes[p].in[0];
    const int32_t b = q == NIB_NONE ? NIB_NONE : s->g->nodes[q].in[0];
    x = a == in[1] || (a != NIB_NONE && a == b) ? a : b == in[0] ? b : NIB_NONE;
    if (x == NIB_NONE)
      return false;
    if (in[0] != x)
      nodes[count++] = p;
    if (in[1] != x)
      nodes[count++] = q;
  }
  nodes[count++] = node;
  if (!nib_simplify_same_shape(&s->g->tensors[x], &s->g->tensors[n->out]))
    return false;
  return become_lookup(s, node, x, nib_simplify_tabulate(s, nodes, count, x));
}

/* lookup(lookup(x)) is one table. */
bool nib_simplify_table_of_table(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  const int32_t p = nib_simplify_producer_of(s, n->in[0], NIB_OP_LOOKUP);
  if (p == NIB_NONE || !nib_simplify_is_single_use(s, n->in[0]) ||
      s->g->tensors[n->in[1]].data == NULL || s->g->tensors[s->g->nodes[p].in[1]].data == NULL)
    return false;
  const int32_t both[2] = {p, node};
  const int32_t x = s->g->nodes[p].in[0];
  return become_lookup(s, node, x, nib_simplify_tabulate(s, both, 2, x));
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Data movement goes between quantize and dequantize, onto codes: move(dequantize(x)) becomes
 * dequantize(move(x)), quantize(move(y)) becomes move(quantize(y)). Both are exact: the operators
 * copy elements, choose the largest, or add zeros, whose code is the zero point. */
#include "simplify/simplify.h"

#include <string.h>

static bool pads_with_zero(const nib_node *n) {
  return nib_node_float(n, NIB_A_PAD_VALUE, 0.0) == 0.0;
}

static bool has_no_activation(const nib_node *n) {
  return strcmp(nib_node_string(n, NIB_A_ACTIVATION, "none"), "none") == 0 &&
         nib_node_attr(n, NIB_A_CLAMP) == NULL;
}

/* Operators that move elements and keep their values. */
static bool is_movement(const nib_node *n) {
  switch (n->op) {
  case NIB_OP_RESHAPE:
  case NIB_OP_TRANSPOSE:
  case NIB_OP_SLICE:
  case NIB_OP_STRIDED_SLICE:
    return true;
  case NIB_OP_PAD:
    return pads_with_zero(n);
  case NIB_OP_MAX_POOL2D:
    return has_no_activation(n);
  default:
    return false;
  }
}

/* At the movement operator: its dequantize sinks below it. */
bool nib_simplify_dequantize_sink(nib_simplify *s, int32_t node) {
  nib_dequant dq;
  const nib_node *n = nib_simplify_node(s, node);
  if (!is_movement(n) || !nib_simplify_dequant_of(s, n->in[0], &dq) || dq.n > 1 ||
      dq.zero_points != NIB_NONE)
    return false;
  const nib_node *dequantize = &s->g->nodes[s->g->tensors[n->in[0]].producer];
  const int32_t scales = dequantize->n_in > 1 ? dequantize->in[1] : NIB_NONE;
  if (nib_format_get(s->g->tensors[dq.code].format)->kind == NIB_KIND_BIPOLAR &&
      (n->op == NIB_OP_PAD || n->op == NIB_OP_MAX_POOL2D))
    return false; /* no bipolar number is zero; pools compare the codes of integers */
  const int32_t out = n->out;
  const nib_tensor *result = &s->g->tensors[out];
  if (s->g->tensors[dq.code].data != NULL && n->op != NIB_OP_RESHAPE)
    return false;
  const int32_t codes = nib_simplify_add_tensor(s, dq.code, result->rank, result->dims);
  if (codes == NIB_NONE)
    return false;
  nib_graph_clear_attr(s->g, node, NIB_A_PAD_VALUE); /* the default is the zero point */
  nib_simplify_node(s, node)->in[0] = dq.code;
  nib_simplify_node(s, node)->out = codes;
  s->g->tensors[codes].producer = node;
  const int32_t in[] = {codes, scales};
  return nib_simplify_add_node(s, node, NIB_OP_DEQUANTIZE, in, scales == NIB_NONE ? 1 : 2, out) !=
         NIB_NONE;
}

/* Two quantizes of one tensor to one type are one: exporters give each reader its own pair. */
bool nib_simplify_quantize_share(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  if (nib_graph_count_uses(s->g, n->in[0], NULL) < 2)
    return false;
  for (int32_t i = 0; i < s->g->n_nodes; ++i) {
    const nib_node *other = &s->g->nodes[i];
    if (i == node || nib_node_is_erased(other) || other->op != NIB_OP_QUANTIZE ||
        other->in[0] != n->in[0] || nib_node_input(s->g, n, 1) || nib_node_input(s->g, other, 1) ||
        !nib_simplify_same_type(&s->g->tensors[other->out], &s->g->tensors[n->out]) ||
        strcmp(nib_node_string(other, NIB_A_ROUNDING, ""),
               nib_node_string(n, NIB_A_ROUNDING, "")) != 0 ||
        nib_graph_is_output(s->g, n->out))
      continue;
    return nib_simplify_forward(s, node, other->out);
  }
  return false;
}

/* At the quantize: it goes above the movement operator before it. */
bool nib_simplify_quantize_hoist(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  const int32_t p = nib_simplify_producer(s, n->in[0]);
  if (p == NIB_NONE || !is_movement(&s->g->nodes[p]) || s->g->nodes[p].op == NIB_OP_MAX_POOL2D ||
      !nib_simplify_is_single_use(s, n->in[0]))
    return false;
  const int32_t source = s->g->nodes[p].in[0], out = n->out;
  const nib_tensor from = s->g->tensors[source];
  if (!nib_simplify_is_float(&from) || !s->g->tensors[out].quantized)
    return false;
  if (nib_simplify_producer_of(s, source, NIB_OP_DEQUANTIZE) != NIB_NONE)
    return false; /* the dequantize comes down first */
  const int32_t codes = nib_simplify_add_tensor(s, out, from.rank, from.dims);
  if (codes == NIB_NONE)
    return false;
  s->g->nodes[node].in[0] = source;
  s->g->nodes[node].out = codes;
  s->g->tensors[codes].producer = node;
  nib_graph_clear_attr(s->g, p, NIB_A_PAD_VALUE);
  s->g->nodes[p].in[0] = codes;
  s->g->tensors[s->g->nodes[p].out].producer = NIB_NONE;
  s->g->nodes[p].out = out;
  s->g->tensors[out].producer = p;
  return true;
}

/* quantize(concat(a, b)) becomes concat(quantize(a), quantize(b)). */
bool nib_simplify_quantize_distribute(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  const int32_t p = nib_simplify_producer_of(s, n->in[0], NIB_OP_CONCAT);
  if (p == NIB_NONE || !nib_simplify_is_single_use(s, n->in[0]) || !s->g->tensors[n->out].quantized)
    return false;
  const int32_t out = n->out, n_in = s->g->nodes[p].n_in;
  const char *rounding = nib_node_string(n, NIB_A_ROUNDING, NULL);
  for (int32_t i = 0; i < n_in; ++i) {
    const int32_t real = s->g->nodes[p].in[i];
    const nib_tensor from = s->g->tensors[real];
    const int32_t codes = nib_simplify_add_tensor(s, out, from.rank, from.dims);
    const int32_t q = nib_simplify_add_node(s, node, NIB_OP_QUANTIZE, &real, 1, codes);
    if (q == NIB_NONE)
      return false;
    if (rounding != NULL)
      nib_simplify_check(s, nib_graph_set_string(s->g, q, NIB_A_ROUNDING, rounding));
    s->g->nodes[p].in[i] = codes;
  }
  nib_simplify_take_over(s, p, out);
  return true;
}

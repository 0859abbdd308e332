/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What stays in float although its neighbours are quantized, and why: one note per operator. */
#include "simplify/simplify.h"

static bool computes(nib_op op) {
  switch (op) {
  case NIB_OP_QUANTIZE:
  case NIB_OP_DEQUANTIZE:
  case NIB_OP_RESHAPE:
  case NIB_OP_TRANSPOSE:
  case NIB_OP_CONSTANT:
    return false;
  default:
    return true;
  }
}

/* Whether an operand comes out of a dequantize of something that is computed. */
static bool reads_codes(const nib_simplify *s, const nib_node *n) {
  for (int32_t i = 0; i < n->n_in; ++i) {
    const int32_t p = nib_simplify_producer_of(s, n->in[i], NIB_OP_DEQUANTIZE);
    if (p != NIB_NONE && s->g->tensors[s->g->nodes[p].in[0]].data == NULL)
      return true;
  }
  return false;
}

/* The quantize that `node` leads to through relus and clamps, or NIB_NONE. */
static int32_t quantize_after(const nib_simplify *s, int32_t node) {
  const nib_graph *g = s->g;
  for (int32_t steps = 0; steps < g->n_nodes; ++steps) {
    int32_t next = NIB_NONE;
    if (nib_graph_count_uses(g, g->nodes[node].out, &next) == 0)
      return NIB_NONE;
    if (g->nodes[next].op == NIB_OP_QUANTIZE)
      return next;
    if (g->nodes[next].op != NIB_OP_RELU && g->nodes[next].op != NIB_OP_CLAMP)
      return NIB_NONE;
    node = next;
  }
  return NIB_NONE;
}

void nib_simplify_report(nib_simplify *s) {
  for (int32_t i = 0; i < s->g->n_nodes; ++i) {
    const nib_node *n = &s->g->nodes[i];
    if (!computes(n->op) || !nib_simplify_is_float(&s->g->tensors[n->out]) || !reads_codes(s, n))
      continue;
    const int32_t q = quantize_after(s, i);
    const char *why =
        q == NIB_NONE ? "its result is not quantized" : nib_simplify_island_reason(s, q);
    nib_diag_note(s->diag, "operator %d '%s' (%s) stays in float: %s", n->source_index, n->name,
                  nib_op_get(n->op)->mnemonic,
                  why != NULL ? why : "the operator has no integer form under nearest-even");
  }
}

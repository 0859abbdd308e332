/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Constant folding through the reference evaluator. */
#include "simplify/simplify.h"

/* A folded result larger than this many times its operands is computed at run time instead. */
enum { MAX_GROWTH = 16, FREE_BYTES = 65536 };

static bool folds(const nib_simplify *s, int32_t node) {
  const nib_node *n = &s->g->nodes[node];
  size_t operands = 0;
  for (int32_t i = 0; i < n->n_in; ++i) {
    if (n->in[i] == NIB_NONE)
      continue;
    const nib_tensor *t = &s->g->tensors[n->in[i]];
    if (t->data == NULL)
      return false;
    operands += t->data_bytes;
  }
  const size_t result = nib_tensor_bytes(&s->g->tensors[n->out]);
  return operands > 0 && (result <= FREE_BYTES || result / MAX_GROWTH <= operands) &&
         !nib_graph_is_output(s->g, n->out);
}

bool nib_simplify_fold_all(nib_simplify *s, int32_t node) {
  if (!folds(s, node))
    return false;
  const int32_t c = nib_simplify_evaluate(s, node);
  return c != NIB_NONE && nib_simplify_forward(s, node, c);
}

/* Before islands are found, a dequantize of weights must stay one. */
bool nib_simplify_fold_movement(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  if (n->op == NIB_OP_DEQUANTIZE)
    return false;
  if (n->op != NIB_OP_RESHAPE)
    return nib_simplify_fold_all(s, node);
  if (s->g->tensors[n->in[0]].data == NULL || nib_graph_is_output(s->g, n->out))
    return false;
  const nib_tensor out = s->g->tensors[n->out];
  const int32_t c = nib_simplify_reshape_constant(s, n->in[0], out.rank, out.dims);
  if (c == NIB_NONE)
    return false;
  /* The result's own type counts: a reshape may be where a constant gets its scale. */
  s->g->tensors[c].quantized = out.quantized;
  s->g->tensors[c].scale = out.scale;
  s->g->tensors[c].zero_point = out.zero_point;
  return nib_simplify_forward(s, node, c);
}

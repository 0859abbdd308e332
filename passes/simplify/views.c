/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Views and other operators that move nothing: removed, merged, brought to one spelling. */
#include "simplify/simplify.h"

/* squeeze and expand_dims become reshape; a reshape to the same shape and type disappears. */
bool nib_simplify_view_identity(nib_simplify *s, int32_t node) {
  nib_node *n = nib_simplify_node(s, node);
  if (n->op == NIB_OP_SQUEEZE || n->op == NIB_OP_EXPAND_DIMS) {
    const int32_t in = n->in[0];
    return nib_simplify_become(s, node, NIB_OP_RESHAPE, &in, 1);
  }
  if (n->op != NIB_OP_RESHAPE)
    return false;
  const nib_tensor *in = &s->g->tensors[n->in[0]], *out = &s->g->tensors[n->out];
  if (!nib_simplify_same_type(in, out) || !nib_simplify_same_shape(in, out))
    return false;
  return nib_simplify_forward(s, node, n->in[0]);
}

/* reshape(reshape(x)) reads x. Types in between matter only to their own readers. */
bool nib_simplify_view_merge(nib_simplify *s, int32_t node) {
  nib_node *n = nib_simplify_node(s, node);
  const int32_t p = nib_simplify_producer_of(s, n->in[0], NIB_OP_RESHAPE);
  if (p == NIB_NONE)
    return false;
  n->in[0] = s->g->nodes[p].in[0];
  return true;
}

/* scast to the same type disappears; of a scast, only the last counts. */
bool nib_simplify_scast(nib_simplify *s, int32_t node) {
  nib_node *n = nib_simplify_node(s, node);
  if (nib_simplify_same_type(&s->g->tensors[n->in[0]], &s->g->tensors[n->out]))
    return nib_simplify_forward(s, node, n->in[0]);
  const int32_t p = nib_simplify_producer_of(s, n->in[0], NIB_OP_SCAST);
  if (p == NIB_NONE)
    return false;
  n->in[0] = s->g->nodes[p].in[0];
  return true;
}

/* scast(move(x)) is move(scast(x)): padding and transposes then meet the operator that reads them.
 */
bool nib_simplify_scast_hoist(nib_simplify *s, int32_t node) {
  nib_graph *g = s->g;
  const int32_t moved = g->nodes[node].in[0], p = nib_simplify_producer(s, moved);
  if (p == NIB_NONE || !nib_simplify_is_single_use(s, moved))
    return false;
  const nib_op op = g->nodes[p].op;
  const bool moves = op == NIB_OP_PAD || op == NIB_OP_RESHAPE || op == NIB_OP_TRANSPOSE ||
                     op == NIB_OP_SLICE || op == NIB_OP_STRIDED_SLICE;
  const int32_t x = moves ? g->nodes[p].in[0] : NIB_NONE, y = g->nodes[node].out;
  if (x == NIB_NONE || g->tensors[x].data)
    return false;
  /* Without a pad_value the border is the zero point of the type that the pad had. */
  if (op == NIB_OP_PAD && !nib_node_attr(&g->nodes[p], NIB_A_PAD_VALUE)) {
    const nib_tensor *t = &g->tensors[moved];
    nib_simplify_check(
        s, nib_graph_set_float(g, p, NIB_A_PAD_VALUE, t->quantized ? (double)t->zero_point : 0.0));
  }
  const int32_t cast = nib_simplify_add_tensor(s, y, g->tensors[x].rank, g->tensors[x].dims);
  if (nib_simplify_add_node(s, node, NIB_OP_SCAST, &x, 1, cast) == NIB_NONE)
    return false;
  g->nodes[p].in[0] = cast;
  nib_simplify_take_over(s, p, y);
  return true;
}

bool nib_simplify_trivial_concat(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  if (n->n_in != 1 || !nib_simplify_same_type(&s->g->tensors[n->in[0]], &s->g->tensors[n->out]))
    return false;
  return nib_simplify_forward(s, node, n->in[0]);
}

bool nib_simplify_trivial_pad(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  const nib_tensor *in = &s->g->tensors[n->in[0]], *out = &s->g->tensors[n->out];
  if (!nib_simplify_same_shape(in, out) || !nib_simplify_same_type(in, out))
    return false;
  for (int32_t i = 0; i < in->rank; ++i)
    if (nib_node_ints_at(n, NIB_A_LOW, i, 0) != 0)
      return false; /* shifted by a negative amount on the other side */
  return nib_simplify_forward(s, node, n->in[0]);
}

bool nib_simplify_trivial_slice(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  const nib_tensor *in = &s->g->tensors[n->in[0]], *out = &s->g->tensors[n->out];
  if (!nib_simplify_same_shape(in, out) || !nib_simplify_same_type(in, out))
    return false;
  for (int32_t i = 0; n->op == NIB_OP_STRIDED_SLICE && i < in->rank; ++i)
    if (nib_node_ints_at(n, NIB_A_STEPS, i, 1) != 1 && in->dims[i] > 1)
      return false; /* reversed */
  return nib_simplify_forward(s, node, n->in[0]);
}

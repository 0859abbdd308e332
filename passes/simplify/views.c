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

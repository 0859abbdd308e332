/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Transposes that meet constants, each other, or a dense layer. */
#include "simplify/simplify.h"

#include <string.h>

/* transpose(transpose(x)) is one; the identity disappears. */
bool nib_simplify_transpose_merge(nib_simplify *s, int32_t node) {
  nib_node *n = nib_simplify_node(s, node);
  int64_t outer[NIB_MAX_RANK], inner[NIB_MAX_RANK], both[NIB_MAX_RANK];
  const int32_t rank = s->g->tensors[n->out].rank;
  if (!nib_simplify_perm(s, node, outer))
    return false;
  bool identity = true;
  for (int32_t i = 0; i < rank; ++i)
    identity = identity && outer[i] == i;
  if (identity)
    return nib_simplify_same_type(&s->g->tensors[n->in[0]], &s->g->tensors[n->out]) &&
           nib_simplify_forward(s, node, n->in[0]);
  const int32_t p = nib_simplify_producer_of(s, n->in[0], NIB_OP_TRANSPOSE);
  if (p == NIB_NONE || !nib_simplify_perm(s, p, inner))
    return false;
  for (int32_t i = 0; i < rank; ++i)
    both[i] = inner[outer[i]];
  n->in[0] = s->g->nodes[p].in[0];
  nib_simplify_check(s, nib_graph_set_ints(s->g, node, NIB_A_PERM, both, rank));
  return true;
}

bool nib_simplify_transpose_of_constant(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  int64_t perm[NIB_MAX_RANK];
  if (s->g->tensors[n->in[0]].data == NULL || !nib_simplify_perm(s, node, perm) ||
      nib_graph_is_output(s->g, n->out))
    return false;
  const int32_t c = nib_simplify_permute_constant(s, n->in[0], perm);
  return c != NIB_NONE && nib_simplify_forward(s, node, c);
}

/* transpose(dequantize(constant)): the codes are permuted now, the channel axis moves along. */
bool nib_simplify_transpose_of_weights(nib_simplify *s, int32_t node) {
  const int32_t p =
      nib_simplify_producer_of(s, nib_simplify_node(s, node)->in[0], NIB_OP_DEQUANTIZE);
  int64_t perm[NIB_MAX_RANK];
  if (p == NIB_NONE || !nib_simplify_perm(s, node, perm))
    return false;
  const nib_node dq = s->g->nodes[p];
  const nib_tensor code = s->g->tensors[dq.in[0]];
  if (code.data == NULL)
    return false;
  int64_t axis = nib_node_int(&dq, NIB_A_AXIS, 0);
  axis = axis < 0 ? axis + code.rank : axis;
  int32_t in[3];
  memcpy(in, dq.in, (size_t)dq.n_in * sizeof *in);
  in[0] = nib_simplify_permute_constant(s, dq.in[0], perm);
  if (in[0] == NIB_NONE || !nib_simplify_become(s, node, NIB_OP_DEQUANTIZE, in, dq.n_in))
    return false;
  for (int32_t i = 0; i < code.rank; ++i)
    if (perm[i] == axis && nib_node_attr(&dq, NIB_A_AXIS) != NULL)
      nib_simplify_check(s, nib_graph_set_int(s->g, node, NIB_A_AXIS, i));
  return true;
}

/* Whether dimensions larger than one keep their order. */
static bool keeps_order(const nib_tensor *in, const int64_t *perm) {
  int64_t last = -1;
  for (int32_t i = 0; i < in->rank; ++i) {
    if (in->dims[perm[i]] == 1)
      continue;
    if (perm[i] < last)
      return false;
    last = perm[i];
  }
  return true;
}

bool nib_simplify_transpose_to_reshape(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  const int32_t in = n->in[0];
  int64_t perm[NIB_MAX_RANK];
  if (!nib_simplify_perm(s, node, perm) || !keeps_order(&s->g->tensors[in], perm))
    return false;
  return nib_simplify_become(s, node, NIB_OP_RESHAPE, &in, 1);
}

/* fully_connected(reshape(transpose(x)), w): the columns of w take x's order. */
bool nib_simplify_dense_columns(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  const int32_t view = nib_simplify_producer_of(s, n->in[0], NIB_OP_RESHAPE);
  const int32_t t = view == NIB_NONE
                        ? NIB_NONE
                        : nib_simplify_producer_of(s, s->g->nodes[view].in[0], NIB_OP_TRANSPOSE);
  int64_t perm[NIB_MAX_RANK];
  if (t == NIB_NONE || !nib_simplify_perm(s, t, perm) || perm[0] != 0)
    return false;
  const nib_tensor w = s->g->tensors[n->in[1]], flat = s->g->tensors[n->in[0]];
  const nib_tensor moved = s->g->tensors[s->g->nodes[t].out];
  const int64_t columns = nib_tensor_elems(&moved) / (moved.dims[0] > 0 ? moved.dims[0] : 1);
  if (w.data == NULL || w.dims[1] != columns ||
      nib_format_get(w.format)->kind == NIB_KIND_BLOCK)
    return false;
  /* w as [O, dimensions of the transposed tensor], brought into the order of x. */
  int64_t dims[NIB_MAX_RANK], order[NIB_MAX_RANK] = {0};
  memcpy(dims, moved.dims, sizeof dims);
  dims[0] = w.dims[0];
  for (int32_t i = 1; i < moved.rank; ++i)
    order[perm[i]] = i;
  const int32_t wide = nib_simplify_reshape_constant(s, n->in[1], moved.rank, dims);
  const int32_t permuted =
      wide != NIB_NONE ? nib_simplify_permute_constant(s, wide, order) : NIB_NONE;
  const int32_t filter =
      permuted != NIB_NONE ? nib_simplify_reshape_constant(s, permuted, 2, w.dims) : NIB_NONE;
  const int32_t x = s->g->nodes[t].in[0];
  const int32_t input =
      filter != NIB_NONE ? nib_simplify_add_tensor(s, s->g->nodes[view].out, flat.rank, flat.dims)
                         : NIB_NONE;
  if (input == NIB_NONE || nib_simplify_add_node(s, view, NIB_OP_RESHAPE, &x, 1, input) == NIB_NONE)
    return false;
  s->g->nodes[node].in[0] = input;
  s->g->nodes[node].in[1] = filter;
  return true;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "graph/pieces.h"

static bool same_codes(const nib_tensor *a, const nib_tensor *b) {
  if (a->format != b->format || nib_format_get(a->format)->kind == NIB_KIND_BLOCK)
    return false;
  return !a->quantized || !b->quantized || (a->scale == b->scale && a->zero_point == b->zero_point);
}

static int64_t elems_from(const nib_tensor *t, int32_t dim) {
  int64_t n = 1;
  for (int32_t i = dim; i < t->rank; ++i)
    n *= t->dims[i];
  return n;
}

/* Elements of the result before operand `slot`, if nothing but ones stands before the axis. */
static bool concat_offset(const nib_graph *g, const nib_node *n, int32_t slot, int64_t *out) {
  const nib_tensor *y = &g->tensors[n->out];
  int64_t axis = nib_node_int(n, NIB_A_AXIS, 0), at = 0;
  axis += axis < 0 ? y->rank : 0;
  for (int64_t i = 0; i < axis; ++i)
    if (y->dims[i] != 1)
      return false;
  for (int32_t i = 0; i < slot; ++i)
    at += nib_node_input(g, n, i)->dims[axis];
  *out = at * elems_from(y, (int32_t)axis + 1);
  return true;
}

/* Elements of the operand before the result: one dimension is cut, those after it are whole and
 * those before it have one index. */
static bool slice_offset(const nib_tensor *x, const nib_node *n, const nib_tensor *y,
                         int64_t *out) {
  bool cut = false;
  *out = 0;
  for (int32_t i = 0; i < y->rank; ++i) {
    const int64_t begin = nib_node_ints_at(n, NIB_A_BEGIN, i, 0);
    if (cut && y->dims[i] != x->dims[i])
      return false;
    cut = cut || y->dims[i] != 1;
    *out += (begin < 0 ? begin + x->dims[i] : begin) * elems_from(x, i + 1);
  }
  return true;
}

bool nib_piece_of(const nib_graph *g, const nib_node *n, int32_t slot, nib_piece *out_piece) {
  const nib_tensor *x = slot < n->n_in ? nib_node_input(g, n, slot) : NULL;
  const nib_tensor *y = &g->tensors[n->out];
  const bool concat = n->op == NIB_OP_CONCAT, slice = n->op == NIB_OP_SLICE && slot == 0;
  int64_t elems = 0;
  if (x == NULL || (!concat && !slice) || !same_codes(x, y) || nib_tensor_elems(x) == 0 ||
      nib_tensor_elems(y) == 0)
    return false;
  if (!(concat ? concat_offset(g, n, slot, &elems) : slice_offset(x, n, y, &elems)))
    return false;
  *out_piece = (nib_piece){.whole = concat ? n->out : n->in[slot],
                           .part = concat ? n->in[slot] : n->out,
                           .offset_bytes = elems * (int64_t)nib_format_bytes(x->format)};
  return true;
}

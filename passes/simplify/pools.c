/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Pools that are cut so that their channels fill registers. */
#include "simplify/simplify.h"

enum {
  FEW_CHANNELS = 16, /* fewer leave most of a register empty */
  MANY_PIXELS = 256, /* that are worth a second pool */
  MOST_PARTS = 128,  /* of which the second pool takes one after the other */
};

/* Whether the window is the whole image, with no border. */
static bool is_global(const nib_node *n, const nib_tensor *x, const nib_tensor *y) {
  bool whole = x->rank == 4 && y->rank == 4 && y->dims[1] == 1 && y->dims[2] == 1;
  for (int i = 0; whole && i < 2; ++i)
    whole = nib_node_ints_at(n, NIB_A_KERNEL, i, 1) == x->dims[1 + i] &&
            nib_node_ints_at(n, NIB_A_DILATIONS, i, 1) == 1;
  for (int i = 0; whole && i < 4; ++i)
    whole = nib_node_ints_at(n, NIB_A_PADS, i, 0) == 0;
  return whole;
}

/* Pixels that become one, whose channels fill whole registers if they can; 1: none do. */
static int64_t parts_of(int64_t pixels, int64_t channels) {
  int64_t any = 1;
  for (int64_t parts = MOST_PARTS; parts > 1; --parts) {
    if (pixels % parts || parts * channels < FEW_CHANNELS)
      continue;
    if (parts * channels % FEW_CHANNELS == 0)
      return parts;
    any = any > 1 ? any : parts;
  }
  return any;
}

/* The largest of all pixels of few channels: neighbouring pixels become channels, of which the
 * largest is taken first. */
bool nib_simplify_largest_of_all(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  const nib_tensor *x = &s->g->tensors[n->in[0]], *y = &s->g->tensors[n->out];
  if (!is_global(n, x, y))
    return false;
  const int64_t batch = x->dims[0], pixels = x->dims[1] * x->dims[2], channels = x->dims[3];
  const int64_t parts = parts_of(pixels, channels), windows = pixels / parts;
  if (channels >= FEW_CHANNELS || pixels < MANY_PIXELS || parts == 1)
    return false;
  const int64_t shapes[][4] = {{batch, 1, windows, parts * channels},
                               {batch, 1, 1, parts * channels},
                               {batch, 1, parts, channels}};
  const int64_t kernels[][2] = {{1, windows}, {1, parts}}, strides[] = {1, 1};
  static const nib_op ops[] = {NIB_OP_RESHAPE, NIB_OP_MAX_POOL2D, NIB_OP_RESHAPE};
  int32_t id = n->in[0], pool = NIB_NONE;
  for (int i = 0; i < 3; ++i) {
    const int32_t out = nib_simplify_add_tensor(s, id, 4, shapes[i]);
    if (out == NIB_NONE)
      return false;
    const int32_t added = nib_simplify_add_node(s, node, ops[i], &id, 1, out);
    if (added == NIB_NONE)
      return false;
    pool = i == 1 ? added : pool;
    id = out;
  }
  nib_simplify_check(s, nib_graph_set_ints(s->g, pool, NIB_A_KERNEL, kernels[0], 2));
  nib_simplify_check(s, nib_graph_set_ints(s->g, pool, NIB_A_STRIDES, strides, 2));
  nib_simplify_check(s, nib_graph_set_ints(s->g, node, NIB_A_KERNEL, kernels[1], 2));
  nib_simplify_check(s, nib_graph_set_ints(s->g, node, NIB_A_STRIDES, strides, 2));
  nib_simplify_node(s, node)->in[0] = id;
  return true;
}

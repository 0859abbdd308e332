/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Blocks where no kernel reads them. */
#include "simplify/simplify.h"

/* A convolution reads each element of its input several times: blocks are decoded before it. */
bool nib_simplify_decode_input(nib_simplify *s, int32_t node) {
  nib_graph *g = s->g;
  const int32_t x = g->nodes[node].in[0], y = g->nodes[node].out;
  if (nib_format_get(g->tensors[x].format)->kind != NIB_KIND_BLOCK ||
      g->tensors[y].format != NIB_F32)
    return false;
  const int32_t reals = nib_simplify_add_tensor(s, y, g->tensors[x].rank, g->tensors[x].dims);
  if (reals == NIB_NONE || nib_simplify_add_node(s, node, NIB_OP_CAST, &x, 1, reals) == NIB_NONE)
    return false;
  g->nodes[node].in[0] = reals;
  return true;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Codes inside chains: where products take unsigned activations, what one filter makes of int8 for
 * a pointwise one is made of uint8, with a zero point that is 128 more. The numbers are the same,
 * and the pointwise one reads them as they are, where it would have to flip a copy. */
#include "fuse/group.h"

#include "pack/pack.h"
#include "schedule/schedule.h"
#include "vocab/vocab.h"

static bool is_filter(const nib_node *n) {
  return n->op == NIB_OP_CONV2D || n->op == NIB_OP_DEPTHWISE_CONV2D ||
         n->op == NIB_OP_FULLY_CONNECTED;
}

/* Whether it reads whole steps of products of each pixel, one behind the other, as they are. */
static bool reads_in_place(const nib_graph *g, const nib_node *n, const nib_vocab *v) {
  nib_conv_shape s;
  nib_params_conv_shape(g, n, &s);
  return n->op != NIB_OP_DEPTHWISE_CONV2D && nib_pack_is_pointwise(&s) && s.in_c % v->dot_k == 0;
}

/* Whether int8 goes from filter `from` to filter `to`, and to nothing else. */
static bool is_between(const nib_graph *g, const nib_node *from, const nib_node *to) {
  const nib_tensor *t = &g->tensors[from->out];
  return is_filter(from) && is_filter(to) && to->in[0] == from->out && t->format == NIB_I8 &&
         t->quantized && nib_graph_count_uses(g, from->out, NULL) == 1;
}

static nib_status recode(nib_graph *g, int32_t node) {
  enum { flip = 128 };
  nib_tensor *t = &g->tensors[g->nodes[node].out];
  const nib_attr *clamp = nib_node_attr(&g->nodes[node], NIB_A_CLAMP);
  if (clamp && clamp->u.ints.n == 2) {
    const int64_t bounds[] = {clamp->u.ints.v[0] + flip, clamp->u.ints.v[1] + flip};
    NIB_RETURN_IF_ERROR(nib_graph_set_ints(g, node, NIB_A_CLAMP, bounds, 2));
  }
  t->format = NIB_U8;
  t->zero_point += flip;
  return NIB_OK;
}

nib_status nib_fuse_recode(nib_graph *g, const nib_kernel *k, const nib_select_candidate *c) {
  const nib_schedule *s = nib_schedule_find(c->schedule);
  const nib_vocab *v = nib_vocab_find(c->vocab);
  if (!s || !s->stages || !v || v->stage != NIB_STAGE_U8)
    return NIB_OK;
  for (int32_t i = 0; i + 1 < k->n_nodes; ++i)
    if (is_between(g, &g->nodes[k->nodes[i]], &g->nodes[k->nodes[i + 1]]) &&
        reads_in_place(g, &g->nodes[k->nodes[i + 1]], v))
      NIB_RETURN_IF_ERROR(recode(g, k->nodes[i]));
  return NIB_OK;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * f16 and bf16 tensors around operators that compute in f32 (products, sums, windows, rows): casts
 * before and after, so that every importer may write its operators as if for f32. */
#include "onnx_internal.h"

#include <string.h>

static bool is_stored_real(nib_format f) {
  return nib_format_get(f)->kind == NIB_KIND_FLOAT && f != NIB_F32 && f != NIB_F64;
}

static bool computes_in_f32(const nib_node *n) {
  switch (nib_op_get(n->op)->family) {
  case NIB_FAMILY_FILTER:
  case NIB_FAMILY_MATMUL:
  case NIB_FAMILY_WINDOW:
  case NIB_FAMILY_REDUCE:
  case NIB_FAMILY_ROWS:
    return true;
  default:
    return n->op == NIB_OP_TOP_K ||
           strcmp(nib_node_string(n, NIB_A_REDUCTION, "none"), "none") != 0;
  }
}

static int32_t like(nib_graph *g, int32_t tensor, nib_format format) {
  const nib_tensor t = g->tensors[tensor];
  return nib_graph_add_tensor(g, t.name, format, t.rank, t.dims);
}

static bool widen_operand(nib_graph *g, int32_t node, int32_t slot) {
  const int32_t from = g->nodes[node].in[slot], wide = like(g, from, NIB_F32);
  if (wide == NIB_NONE ||
      nib_graph_add_node(g, NIB_OP_CAST, g->nodes[node].name, g->nodes[node].source_index, &from, 1,
                         wide) == NIB_NONE)
    return false;
  g->nodes[node].in[slot] = wide;
  return true;
}

static bool widen_result(nib_graph *g, int32_t node) {
  const int32_t out = g->nodes[node].out, wide = like(g, out, NIB_F32);
  if (wide == NIB_NONE)
    return false;
  g->nodes[node].out = wide;
  g->tensors[wide].producer = node;
  return nib_graph_add_node(g, NIB_OP_CAST, g->nodes[node].name, g->nodes[node].source_index, &wide,
                            1, out) != NIB_NONE;
}

nib_status nib_onnx_widen_reals(nib_onnx_ctx *ctx) {
  nib_graph *g = ctx->graph;
  const int32_t count = g->n_nodes;
  for (int32_t i = 0; i < count; ++i) {
    if (nib_node_is_erased(&g->nodes[i]) || !computes_in_f32(&g->nodes[i]))
      continue;
    bool ok = true;
    for (int32_t k = 0; ok && k < g->nodes[i].n_in; ++k)
      if (g->nodes[i].in[k] != NIB_NONE && is_stored_real(g->tensors[g->nodes[i].in[k]].format))
        ok = widen_operand(g, i, k);
    if (ok && is_stored_real(g->tensors[g->nodes[i].out].format))
      ok = widen_result(g, i);
    if (!ok)
      return nib_onnx_out_of_memory(ctx);
  }
  /* Producers come first again, and what only evaluated constants needed is gone. */
  return g->n_nodes > count || ctx->n_evaluated ? nib_graph_sweep(g, ctx->diag) : NIB_OK;
}

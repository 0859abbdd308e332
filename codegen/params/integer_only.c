/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The proof that a graph marked nib.integer_only computes with integers alone: no tensor of reals,
 * and no operator on codes whose arithmetic goes through them. */
#include "params/params.h"

#include <string.h>

static bool is_real(const nib_tensor *t) {
  return t && nib_format_get(t->format)->kind == NIB_KIND_FLOAT;
}

/* Scales are numbers of the compiler: what runs has multipliers. */
static bool is_scales_slot(nib_op op, int32_t slot) {
  const nib_op_info *info = nib_op_get(op);
  const char *at = info->operands;
  for (int32_t i = 0; i < slot && at; ++i) {
    at = strchr(at, ' ');
    at = at ? at + 1 : NULL;
  }
  return at && (strncmp(at, "scales", 6) == 0 || strncmp(at, "filter_scales", 13) == 0);
}

static bool is_float_mode(nib_rounding r) {
  return r == NIB_ROUNDING_NEAREST_EVEN || r == NIB_ROUNDING_NEAREST_AWAY;
}

/* Whether the operator rounds a product by a multiplier. */
static bool rescales(const nib_graph *g, const nib_node *n) {
  const nib_tensor *y = &g->tensors[n->out];
  const nib_family family = nib_op_get(n->op)->family;
  const bool arithmetic = n->op == NIB_OP_ADD || n->op == NIB_OP_SUB || n->op == NIB_OP_MUL;
  return y->quantized && (family == NIB_FAMILY_FILTER || family == NIB_FAMILY_MATMUL ||
                          n->op == NIB_OP_AVG_POOL2D || n->op == NIB_OP_MEAN || arithmetic ||
                          n->op == NIB_OP_REQUANTIZE || n->op == NIB_OP_SOFTMAX);
}

/* Tables of the compiler stand for functions of 8-bit codes. */
static const char *function_problem(const nib_graph *g, const nib_node *n) {
  uint8_t table[256];
  const nib_tensor *x = nib_node_input(g, n, 0), *y = &g->tensors[n->out];
  if (!y->quantized || nib_params_unary_table(g, n, table) == NIB_OK)
    return NULL;
  const bool same =
      x && x->format == y->format && x->scale == y->scale && x->zero_point == y->zero_point;
  if (same && (n->op == NIB_OP_RELU || n->op == NIB_OP_CLAMP))
    return NULL;
  const nib_rounding rounding = nib_node_rounding(g, n);
  if (is_float_mode(rounding) || nib_params_unary_by_reals(n->op, rounding))
    return "its function is computed in float, and its codes are too wide for a table";
  return NULL;
}

static const char *concat_problem(const nib_graph *g, const nib_node *n) {
  const nib_tensor *y = &g->tensors[n->out];
  for (int32_t i = 0; i < n->n_in; ++i) {
    const nib_tensor *x = &g->tensors[n->in[i]];
    if (x->quantized && (x->scale != y->scale || x->zero_point != y->zero_point))
      return "a part of another scale is rescaled in float";
  }
  return NULL;
}

/* What in the node is float, or NULL. */
static const char *problem_of(const nib_graph *g, const nib_node *n) {
  nib_softmax_params softmax;
  if (is_real(&g->tensors[n->out]))
    return "its result is float";
  for (int32_t i = 0; i < n->n_in; ++i)
    if (n->in[i] != NIB_NONE && is_real(&g->tensors[n->in[i]]) &&
        !(g->tensors[n->in[i]].data && is_scales_slot(n->op, i)))
      return "an operand is float";
  if (rescales(g, n) && is_float_mode(nib_node_rounding(g, n)))
    return "its rounding computes in float";
  if (n->op == NIB_OP_SOFTMAX &&
      (nib_params_softmax(g, n, &softmax) != NIB_OK || !softmax.fixed_point))
    return "it has no fixed-point arithmetic for these formats";
  if (n->op == NIB_OP_DIV && g->tensors[n->out].quantized)
    return "a quotient of codes is computed in float";
  if (n->op == NIB_OP_CONCAT)
    return concat_problem(g, n);
  return nib_op_get(n->op)->family == NIB_FAMILY_FUNCTION ? function_problem(g, n) : NULL;
}

nib_status nib_check_integer_only(const nib_graph *g, const nib_diag *diag) {
  nib_status status = NIB_OK;
  for (int32_t i = 0; g->integer_only && i < g->n_nodes; ++i) {
    const nib_node *n = &g->nodes[i];
    const char *problem = nib_node_is_erased(n) ? NULL : problem_of(g, n);
    if (problem)
      status = nib_diag_error(
          diag, NIB_ERROR_UNSUPPORTED, "operator %d (%s '%.200s') is not integer-only: %s%s%s",
          n->source_index >= 0 ? n->source_index : i, nib_op_get(n->op)->mnemonic,
          n->name ? n->name : "", problem, rescales(g, n) ? ": rounding " : "",
          rescales(g, n) ? nib_rounding_name(nib_node_rounding(g, n)) : "");
  }
  return status;
}

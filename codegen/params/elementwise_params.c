/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Arithmetic of add, sub, mul, leaky_relu and requantize. The scale arithmetic (which products are
 * f32, which double) is TensorFlow Lite's, operator by operator. */
#include "params/params.h"

#include <math.h>
#include <string.h>

static bool is_quantized_integer(const nib_tensor *t) {
  return t && t->quantized && nib_format_get(t->format)->kind != NIB_KIND_FLOAT;
}

nib_status nib_params_add(const nib_graph *g, const nib_node *n, nib_add_params *out_params) {
  nib_add_params *p = out_params;
  const nib_tensor *a = nib_node_input(g, n, 0), *b = nib_node_input(g, n, 1);
  const nib_tensor *y = &g->tensors[n->out];
  memset(p, 0, sizeof *p);
  if (!is_quantized_integer(a) || !is_quantized_integer(b) || !is_quantized_integer(y))
    return NIB_ERROR_INVALID_INPUT;
  p->rounding = nib_node_rounding(g, n);
  p->lhs_zp = a->zero_point;
  p->rhs_zp = b->zero_point;
  p->out_zp = y->zero_point;
  p->lhs_scale = (float)a->scale;
  p->rhs_scale = (float)b->scale;
  p->out_scale = (float)y->scale;
  nib_params_code_range(g, n, &p->lo, &p->hi);
  /* (x - zp) << left_shift fits 32 bits, and so does the sum of two of them halved. */
  p->left_shift = y->format == NIB_I16 ? 15 : 20;
  const double twice_max = 2.0 * fmax(a->scale, b->scale);
  const double fine_scale = ldexp(y->scale, p->left_shift);
  p->lhs = nib_requant_from_real(a->scale / twice_max);
  p->rhs = nib_requant_from_real(b->scale / twice_max);
  p->out = nib_requant_from_real(twice_max / fine_scale);
  return NIB_OK;
}

nib_status nib_params_mul(const nib_graph *g, const nib_node *n, nib_mul_params *out_params) {
  nib_mul_params *p = out_params;
  const nib_tensor *a = nib_node_input(g, n, 0), *b = nib_node_input(g, n, 1);
  const nib_tensor *y = &g->tensors[n->out];
  memset(p, 0, sizeof *p);
  if (!is_quantized_integer(a) || !is_quantized_integer(b) || !is_quantized_integer(y))
    return NIB_ERROR_INVALID_INPUT;
  p->rounding = nib_node_rounding(g, n);
  p->lhs_zp = a->zero_point;
  p->rhs_zp = b->zero_point;
  p->out_zp = y->zero_point;
  p->lhs_scale = (float)a->scale;
  p->rhs_scale = (float)b->scale;
  p->out_scale = (float)y->scale;
  nib_params_code_range(g, n, &p->lo, &p->hi);
  const float real = p->lhs_scale * p->rhs_scale / p->out_scale;
  p->out = nib_requant_from_real(real);
  return NIB_OK;
}

nib_status nib_params_unary(const nib_graph *g, const nib_node *n, nib_unary_params *out_params) {
  nib_unary_params *p = out_params;
  const nib_tensor *x = nib_node_input(g, n, 0), *y = &g->tensors[n->out];
  memset(p, 0, sizeof *p);
  if (!is_quantized_integer(y) || !x || nib_format_get(x->format)->kind == NIB_KIND_FLOAT)
    return NIB_ERROR_INVALID_INPUT;
  const bool given = n->op == NIB_OP_REQUANTIZE && nib_node_input(g, n, 2);
  if (!x->quantized && !given && !nib_node_input(g, n, 1))
    return NIB_ERROR_INVALID_INPUT;
  p->rounding = nib_node_rounding(g, n);
  p->in_zp = x->quantized ? x->zero_point : 0;
  p->out_zp = y->zero_point;
  p->in_scale = x->quantized ? (float)x->scale : 1.0f;
  p->out_scale = (float)y->scale;
  nib_params_code_range(g, n, &p->lo, &p->hi);
  if (n->op == NIB_OP_LEAKY_RELU) {
    const float identity = p->in_scale / p->out_scale;
    const float alpha = (float)nib_node_float(n, NIB_A_ALPHA, 0.01);
    const float scaled = p->in_scale * alpha / p->out_scale;
    p->identity = nib_requant_from_real(identity);
    p->alpha = nib_requant_from_real(scaled);
  } else if (n->op == NIB_OP_RELU || n->op == NIB_OP_CLAMP) {
    const float identity = p->in_scale / p->out_scale;
    p->identity = nib_requant_from_real(identity);
  } else if (n->op == NIB_OP_REQUANTIZE && nib_node_input(g, n, 2)) {
    const nib_tensor *multipliers = nib_node_input(g, n, 2), *shifts = nib_node_input(g, n, 3);
    if (!multipliers->data || !shifts || !shifts->data || nib_tensor_elems(multipliers) != 1 ||
        x->format == NIB_I64)
      return NIB_ERROR_UNSUPPORTED;
    p->identity = nib_params_given_requant(multipliers, shifts, 0, false);
  } else {
    p->identity = nib_requant_from_real((double)p->in_scale / (double)p->out_scale);
  }
  return NIB_OK;
}

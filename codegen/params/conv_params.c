/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Shape and arithmetic of convolutions and of fully connected, which is a 1x1 convolution over a
 * single row of M pixels, as is each product of two matrices. */
#include "params/params.h"

#include <stdlib.h>
#include <string.h>

static void fully_connected_shape(const nib_tensor *x, const nib_tensor *w, nib_conv_shape *s) {
  s->in_c = w->dims[1];
  s->out_c = w->dims[0];
  s->batch = s->in_h = s->out_h = 1;
  s->in_w = s->out_w = s->in_c > 0 ? nib_tensor_elems(x) / s->in_c : 0;
  s->kernel_h = s->kernel_w = 1;
}

/* Of one matrix by one matrix. */
static void matmul_shape(const nib_tensor *a, const nib_tensor *b, nib_conv_shape *s) {
  s->in_c = a->dims[a->rank - 1];
  s->out_c = b->dims[b->rank - 1];
  s->batch = s->in_h = s->out_h = 1;
  s->in_w = s->out_w = a->rank > 1 ? a->dims[a->rank - 2] : 1;
  s->kernel_h = s->kernel_w = 1;
}

void nib_params_conv_shape(const nib_graph *g, const nib_node *n, nib_conv_shape *out_shape) {
  nib_conv_shape *s = out_shape;
  const nib_tensor *x = nib_node_input(g, n, 0), *w = nib_node_input(g, n, 1);
  const nib_tensor *y = &g->tensors[n->out];
  memset(s, 0, sizeof *s);
  s->stride_h = nib_node_ints_at(n, NIB_A_STRIDES, 0, 1);
  s->stride_w = nib_node_ints_at(n, NIB_A_STRIDES, 1, 1);
  s->dilation_h = nib_node_ints_at(n, NIB_A_DILATIONS, 0, 1);
  s->dilation_w = nib_node_ints_at(n, NIB_A_DILATIONS, 1, 1);
  s->pad_top = nib_node_ints_at(n, NIB_A_PADS, 0, 0);
  s->pad_left = nib_node_ints_at(n, NIB_A_PADS, 1, 0);
  s->pad_bottom = nib_node_ints_at(n, NIB_A_PADS, 2, 0);
  s->pad_right = nib_node_ints_at(n, NIB_A_PADS, 3, 0);
  s->groups = s->multiplier = 1;
  if (n->op == NIB_OP_FULLY_CONNECTED) {
    fully_connected_shape(x, w, s);
    return;
  }
  if (n->op == NIB_OP_MATMUL) {
    matmul_shape(x, w, s);
    return;
  }
  s->batch = x->dims[0];
  s->in_h = x->dims[1];
  s->in_w = x->dims[2];
  s->in_c = x->dims[3];
  s->out_h = y->dims[1];
  s->out_w = y->dims[2];
  s->out_c = y->dims[3];
  s->kernel_h = w->dims[1];
  s->kernel_w = w->dims[2];
  if (n->op == NIB_OP_DEPTHWISE_CONV2D) {
    s->groups = s->in_c;
    s->multiplier = s->in_c > 0 ? s->out_c / s->in_c : 1;
  } else if (n->op == NIB_OP_CONV2D) {
    s->groups = nib_node_int(n, NIB_A_GROUPS, 1);
  }
}

static bool is_float_mode(nib_rounding r) {
  return r == NIB_ROUNDING_NEAREST_EVEN || r == NIB_ROUNDING_NEAREST_AWAY;
}

/* The 64-bit multiply has 15 fraction bits left after the reduction: it cannot shift further. */
static void limit_int64_shift(nib_requant *r) {
  if (r->shift > 14)
    *r = (nib_requant){.multiplier = INT32_MAX, .shift = 14, .scale = r->scale};
}

static bool has_unit(const nib_tensor *t) {
  return t->quantized || nib_format_get(t->format)->kind == NIB_KIND_BIPOLAR;
}

double nib_params_unit(const nib_tensor *t) { return t->quantized ? t->scale : 1.0; }

static nib_status fill_requant(const nib_tensor *x, const nib_tensor *w, const nib_tensor *y,
                               const nib_tensor *scales, nib_conv_params *p) {
  const bool f32_product = !scales && !is_float_mode(p->rounding);
  if (scales && (!scales->data || (scales->format != NIB_F32 && scales->format != NIB_F64)))
    return NIB_ERROR_INVALID_INPUT;
  const int64_t count = scales ? nib_tensor_elems(scales) : 1;
  if (count < 1 || count > INT32_MAX / 16)
    return NIB_ERROR_INVALID_INPUT;
  p->requant = malloc((size_t)count * sizeof *p->requant);
  if (!p->requant)
    return NIB_ERROR_OUT_OF_MEMORY;
  p->n_requant = (int32_t)count;
  for (int64_t c = 0; c < count; ++c) {
    const double sw = scales ? nib_real_at(scales, c) : nib_params_unit(w);
    p->requant[c] = nib_requant_from_real(
        nib_requant_real_multiplier(nib_params_unit(x), sw, y->scale, f32_product));
    if (p->rounding == NIB_ROUNDING_TFLITE_INT64)
      limit_int64_shift(&p->requant[c]);
  }
  return NIB_OK;
}

nib_status nib_params_conv(const nib_graph *g, const nib_node *n, nib_conv_params *out_params) {
  nib_conv_params *p = out_params;
  const nib_tensor *x = nib_node_input(g, n, 0), *w = nib_node_input(g, n, 1);
  const nib_tensor *bias = nib_node_input(g, n, 2), *scales = nib_node_input(g, n, 3);
  const nib_tensor *y = &g->tensors[n->out];
  memset(p, 0, sizeof *p);
  if (!x || !w || nib_format_get(x->format)->kind == NIB_KIND_FLOAT)
    return NIB_ERROR_INVALID_INPUT;
  p->rounding = nib_node_rounding(g, n);
  p->in_zp = x->quantized ? x->zero_point : 0;
  p->w_zp = w->quantized ? w->zero_point : 0;
  p->out_zp = y->quantized ? y->zero_point : 0;
  p->raw_accumulator = y->format == NIB_I32 || y->format == NIB_I64;
  /* TensorFlow Lite accumulates i16 activations in the type of the bias, 64 bits without one. */
  p->acc64 = (x->format == NIB_I16 || x->format == NIB_U16) && (!bias || bias->format == NIB_I64);
  /* fully connected rescales 16-bit activations like 8-bit ones */
  if (p->rounding == NIB_ROUNDING_TFLITE_AWAY)
    p->acc64 = false;
  /* 64 bits have one integer requantization, and nothing else uses it. */
  if (p->acc64 && !is_float_mode(p->rounding))
    p->rounding = NIB_ROUNDING_TFLITE_INT64;
  else if (!p->acc64 && p->rounding == NIB_ROUNDING_TFLITE_INT64)
    p->rounding = NIB_ROUNDING_TFLITE_DOUBLE;
  nib_params_code_range(g, n, &p->lo, &p->hi);
  if (p->raw_accumulator)
    return NIB_OK;
  if (!has_unit(x) || !y->quantized || !(scales || has_unit(w)))
    return NIB_ERROR_INVALID_INPUT;
  return fill_requant(x, w, y, scales, p);
}

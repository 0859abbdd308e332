/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Convolutions and dense layers by rows of a table, for tests of the vector schedules. */
#ifndef NIB_TEST_CONV_CASES_H
#define NIB_TEST_CONV_CASES_H

#include "kernel_harness.h"

typedef struct conv_case {
  const char *name;
  nib_op op;
  int batch, h, w, c, out_c, kh, kw, stride, dilation, pad, groups;
  nib_format in, weight, out; /* weight U8: per tensor with a zero point */
  int zp_in, zp_w, zp_out;
  int weight_span; /* 0: the whole range */
} conv_case;

#define I8 NIB_I8
#define U8 NIB_U8
#define I32 NIB_I32
#define F32 NIB_F32
#define F16 NIB_F16
#define BF16 NIB_BF16
#define CONV NIB_OP_CONV2D
#define DW NIB_OP_DEPTHWISE_CONV2D
#define FC NIB_OP_FULLY_CONNECTED

/* The accumulators' spread decides a result scale that uses the whole range of codes. */
static double result_scale(const conv_case *k, double sx, double sw) {
  const double taps = (double)(k->op == DW ? 1 : k->c / k->groups) * k->kh * k->kw;
  return (double)(float)(sx * sw * sqrt(taps) * 40.0);
}

static int32_t filter_of(suite *s, const conv_case *k) {
  const shape_of d = k->op == FC   ? shape(2, k->out_c, k->c)
                     : k->op == DW ? shape(4, 1, k->kh, k->kw, k->out_c)
                                   : shape(4, k->out_c, k->kh, k->kw, k->c / k->groups);
  if (k->weight != U8)
    return constant(s, k->weight, d, 0, 0, k->weight_span);
  const int32_t t = constant(s, U8, d, (double)0.02f, k->zp_w, k->weight_span);
  uint8_t *w = (uint8_t *)(uintptr_t)s->g->tensors[t].data;
  for (int64_t i = 0; k->weight_span && i < nib_tensor_elems(&s->g->tensors[t]); i++)
    w[i] = (uint8_t)(w[i] + k->zp_w);
  return t;
}

/* Weights at one end of the range for one in three cases. */
static void push_to_ends(suite *s, const conv_case *k, int32_t filter) {
  if (k->weight == F32 || k->weight == F16 || k->weight == BF16 || k->weight_span || pick(s, 0, 2))
    return;
  uint8_t *w = (uint8_t *)(uintptr_t)s->g->tensors[filter].data;
  const uint8_t end = k->weight == U8 ? (uint8_t)(255 * pick(s, 0, 1)) : (uint8_t)pick(s, 127, 129);
  memset(w, end == 128 && k->weight == I8 ? 0x81 : end,
         (size_t)nib_tensor_elems(&s->g->tensors[filter]) / 2);
}

/* Its result; *out_node is the convolution. */
static int32_t add_conv(suite *s, const conv_case *k, int32_t *out_node) {
  const bool f = nib_format_get(k->in)->kind == NIB_KIND_FLOAT, per_channel = k->weight == I8;
  const double sx = (double)0.05f;
  snprintf(s->label, sizeof s->label, "%s", k->name);
  const int32_t x =
      k->op == FC ? input(s, k->in, shape(2, k->batch, k->c), f ? 0 : sx, k->zp_in)
                  : input(s, k->in, shape(4, k->batch, k->h, k->w, k->c), f ? 0 : sx, k->zp_in);
  const int32_t filter = filter_of(s, k);
  push_to_ends(s, k, filter);
  const int32_t bias = f ? constant(s, k->in, shape(1, k->out_c), 0, 0, 0)
                         : constant(s, I32, shape(1, k->out_c), 0, 0, 2000);
  const int32_t scales = per_channel ? constant_scales(s, k->out_c, 0.02) : NIB_NONE;
  const int oh = (k->h + 2 * k->pad - (k->kh - 1) * k->dilation - 1) / k->stride + 1;
  const int ow = (k->w + 2 * k->pad - (k->kw - 1) * k->dilation - 1) / k->stride + 1;
  const shape_of d =
      k->op == FC ? shape(2, k->batch, k->out_c) : shape(4, k->batch, oh, ow, k->out_c);
  const double sy = f || k->out == I32 ? 0 : result_scale(k, sx, 0.02);
  const int32_t y = value(s, k->out, d, sy, k->zp_out);
  const int32_t n = node(s, k->op, y, 4, x, filter, bias, scales);
  if (k->op != FC) {
    set_ints(s, n, NIB_A_STRIDES, 2, k->stride, k->stride);
    set_ints(s, n, NIB_A_DILATIONS, 2, k->dilation, k->dilation);
    set_ints(s, n, NIB_A_PADS, 4, k->pad, k->pad, k->pad, k->pad);
  }
  if (k->op == CONV && k->groups > 1)
    nib_graph_set_int(s->g, n, NIB_A_GROUPS, k->groups);
  static const char *const activations[] = {"none", "relu", "relu6"};
  if (k->out != I32)
    nib_graph_set_string(s->g, n, NIB_A_ACTIVATION, activations[pick(s, 0, 2)]);
  *out_node = n;
  return y;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * For tests of generated code: a graph of every operator, in the formats and shapes that matter. */
#ifndef NIB_TEST_EVERY_OPERATOR_H
#define NIB_TEST_EVERY_OPERATOR_H

#include "emit_harness.h"

static const char *const fixed_roundings[] = {"tflite-double", "tflite-single", "dyadic",
                                              "tosa-single",   "tosa-double",   "tosa-inexact"};
static const char *const real_roundings[] = {"nearest-even", "nearest-away"};

static const nib_format codes[] = {NIB_I8, NIB_U8, NIB_I16};

static void label(suite *s, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(s->label, sizeof s->label, format, args);
  va_end(args);
}

/* A zero point that the format allows; TFLite's 16 bits have none. */
static int64_t zero_of(suite *s, nib_format f) {
  return f == NIB_I8 ? pick(s, -128, 127) : f == NIB_U8 ? pick(s, 0, 255) : 0;
}

static int32_t codes_in(suite *s, nib_format f, shape_of d, double scale) {
  return input(s, f, d, f == NIB_F32 ? 0 : pick_scale(s, scale), zero_of(s, f));
}

static int32_t codes_out(suite *s, nib_format f, shape_of d, double scale) {
  const int32_t t = value(s, f, d, f == NIB_F32 ? 0 : pick_scale(s, scale), zero_of(s, f));
  output(s, t);
  return t;
}

/* ---- convolutions ---- */

typedef struct conv_case {
  nib_op op;
  int in[4], filter[4], out[4];
  int stride, dilation, pads[4], groups;
} conv_case;

static const conv_case conv_cases[] = {
    {NIB_OP_CONV2D, {1, 7, 6, 3}, {5, 3, 3, 3}, {1, 7, 6, 5}, 1, 1, {1, 1, 1, 1}, 1},
    {NIB_OP_CONV2D, {2, 8, 9, 4}, {6, 3, 2, 2}, {2, 4, 5, 6}, 2, 1, {1, 0, 0, 1}, 2},
    {NIB_OP_CONV2D, {1, 9, 9, 2}, {3, 3, 3, 2}, {1, 5, 5, 3}, 1, 2, {0, 0, 0, 0}, 1},
    {NIB_OP_CONV2D, {1, 4, 4, 16}, {8, 1, 1, 16}, {1, 4, 4, 8}, 1, 1, {0, 0, 0, 0}, 1},
    {NIB_OP_DEPTHWISE_CONV2D, {1, 6, 6, 5}, {1, 3, 3, 5}, {1, 6, 6, 5}, 1, 1, {1, 1, 1, 1}, 1},
    {NIB_OP_DEPTHWISE_CONV2D, {1, 7, 5, 3}, {1, 3, 2, 6}, {1, 3, 3, 6}, 2, 1, {0, 0, 0, 1}, 1},
    {NIB_OP_TRANSPOSE_CONV2D, {1, 3, 4, 3}, {4, 3, 3, 3}, {1, 6, 8, 4}, 2, 1, {0, 0, 1, 1}, 1},
    {NIB_OP_FULLY_CONNECTED, {1, 1, 1, 33}, {7, 33, 0, 0}, {1, 7, 0, 0}, 1, 1, {0}, 1},
    {NIB_OP_FULLY_CONNECTED, {1, 1, 4, 12}, {5, 12, 0, 0}, {4, 5, 0, 0}, 1, 1, {0}, 1},
};

static int32_t conv_value(suite *s, const conv_case *c, nib_format x, nib_format y, int32_t in[4],
                          bool per_channel, bool with_bias) {
  const bool dense = c->op == NIB_OP_FULLY_CONNECTED, real = x == NIB_F32;
  const shape_of xs = shape(4, c->in[0], c->in[1], c->in[2], c->in[3]);
  const shape_of ws = dense ? shape(2, c->filter[0], c->filter[1])
                            : shape(4, c->filter[0], c->filter[1], c->filter[2], c->filter[3]);
  const shape_of ys =
      dense ? shape(2, c->out[0], c->out[1]) : shape(4, c->out[0], c->out[1], c->out[2], c->out[3]);
  const int channels = dense ? c->out[1] : c->out[3];
  const bool raw = y == NIB_I32 || y == NIB_I64;
  in[0] = codes_in(s, x, xs, 0.02);
  if (real)
    in[1] = constant(s, NIB_F32, ws, 0, 0, 0);
  else if (per_channel)
    in[1] = constant(s, NIB_I8, ws, 0, 0, 127);
  else
    in[1] = constant(s, x == NIB_U8 ? NIB_U8 : NIB_I8, ws, pick_scale(s, 0.01),
                     x == NIB_U8 ? pick(s, 0, 255) : 0, 127);
  in[2] = !with_bias ? NIB_NONE
          : real     ? constant(s, NIB_F32, shape(1, channels), 0, 0, 0)
                 : constant(s, x == NIB_I16 ? NIB_I64 : NIB_I32, shape(1, channels), 0, 0, 5000);
  in[3] = per_channel && !real ? constant_scales(s, channels, 0.01) : NIB_NONE;
  return raw ? value(s, y, ys, 0, 0)
             : value(s, y, ys, real ? 0 : pick_scale(s, x == NIB_I16 ? 60.0 : 0.15), zero_of(s, y));
}

static int32_t add_conv(suite *s, const conv_case *c, nib_format x, nib_format y, bool per_channel,
                        bool with_bias, const char *activation) {
  int32_t in[4];
  const int32_t out = conv_value(s, c, x, y, in, per_channel, with_bias);
  const int32_t n = node(s, c->op, out, 4, in[0], in[1], in[2], in[3]);
  if (c->op != NIB_OP_FULLY_CONNECTED) {
    set_ints(s, n, NIB_A_STRIDES, 2, c->stride, c->stride);
    set_ints(s, n, NIB_A_PADS, 4, c->pads[0], c->pads[1], c->pads[2], c->pads[3]);
  }
  if (c->op == NIB_OP_CONV2D || c->op == NIB_OP_DEPTHWISE_CONV2D)
    set_ints(s, n, NIB_A_DILATIONS, 2, c->dilation, c->dilation);
  if (c->groups > 1)
    nib_graph_set_int(s->g, n, NIB_A_GROUPS, c->groups);
  if (activation)
    nib_graph_set_string(s->g, n, NIB_A_ACTIVATION, activation);
  return n;
}

static void add_convolutions(suite *s) {
  static const char *const activations[] = {NULL, "relu", "relu6", "relu_n1_to_1"};
  int i = 0;
  for (size_t k = 0; k < sizeof conv_cases / sizeof *conv_cases; ++k)
    for (int f = 0; f < 4; ++f, ++i) {
      const nib_format x = f == 3 ? NIB_F32 : codes[f];
      label(s, "conv case %zu %s", k, nib_format_get(x)->name);
      const int32_t n = add_conv(s, &conv_cases[k], x, x, i % 2 == 0 && x != NIB_U8, i % 3 != 0,
                                 activations[i % 4]);
      output(s, s->g->nodes[n].out);
    }
  label(s, "raw accumulator");
  output(s, s->g->nodes[add_conv(s, &conv_cases[0], NIB_I8, NIB_I32, true, true, NULL)].out);
}

/* ---- the other operators ---- */

static void add_pools(suite *s, nib_format f) {
  for (int i = 0; i < 4; ++i) {
    label(s, "pool %d %s", i, nib_format_get(f)->name);
    const int32_t x = codes_in(s, f, shape(4, 1, 7, 6, 3), 0.05);
    const nib_tensor t = s->g->tensors[x];
    const bool padded = i % 2 == 1;
    const shape_of ys = padded ? shape(4, 1, 4, 3, 3) : shape(4, 1, 3, 3, 3);
    const int32_t y =
        value(s, f, ys, i == 3 ? t.scale * 1.25 : t.scale, i == 3 ? zero_of(s, f) : t.zero_point);
    output(s, y);
    const int32_t n = node(s, i < 1 ? NIB_OP_MAX_POOL2D : NIB_OP_AVG_POOL2D, y, 1, x);
    set_ints(s, n, NIB_A_KERNEL, 2, 3, 2);
    set_ints(s, n, NIB_A_STRIDES, 2, 2, 2);
    if (padded)
      set_ints(s, n, NIB_A_PADS, 4, 1, 0, 1, 0);
    if (i == 1)
      nib_graph_set_string(s->g, n, NIB_A_ACTIVATION, "relu");
    if (i == 3)
      nib_graph_set_int(s->g, n, NIB_A_COUNT_INCLUDE_PAD, 1);
  }
  label(s, "global pool %s", nib_format_get(f)->name);
  const int32_t x = codes_in(s, f, shape(4, 1, 5, 4, 6), 0.05);
  const nib_tensor t = s->g->tensors[x];
  const int32_t y = value(s, f, shape(4, 1, 1, 1, 6), t.scale, t.zero_point);
  output(s, y);
  set_ints(s, node(s, NIB_OP_AVG_POOL2D, y, 1, x), NIB_A_KERNEL, 2, 5, 4);
}

static void add_means(suite *s, nib_format f) {
  label(s, "mean hw %s", nib_format_get(f)->name);
  int32_t x = codes_in(s, f, shape(4, 2, 5, 4, 6), 0.05);
  int32_t n = node(s, NIB_OP_MEAN, codes_out(s, f, shape(2, 2, 6), 0.03), 1, x);
  set_ints(s, n, NIB_A_AXES, 2, 1, 2);
  label(s, "mean last, same scale %s", nib_format_get(f)->name);
  x = codes_in(s, f, shape(3, 3, 4, 7), 0.05);
  const nib_tensor t = s->g->tensors[x];
  const int32_t y = value(s, f, shape(3, 3, 4, 1), t.scale, t.zero_point);
  output(s, y);
  n = node(s, NIB_OP_MEAN, y, 1, x);
  set_ints(s, n, NIB_A_AXES, 1, 2);
  nib_graph_set_int(s->g, n, NIB_A_KEEP_DIMS, 1);
}

static void add_arithmetic(suite *s, nib_format f) {
  static const nib_op list[] = {NIB_OP_ADD, NIB_OP_SUB, NIB_OP_MUL, NIB_OP_DIV};
  for (int i = 0; i < 12; ++i) {
    const nib_op op = list[i % 4];
    label(s, "%s %d %s", nib_op_get(op)->mnemonic, i, nib_format_get(f)->name);
    const int32_t a = codes_in(s, f, shape(3, 4, 3, 5), 0.02);
    const int32_t b =
        i < 4   ? codes_in(s, f, shape(3, 4, 3, 5), 0.03)
        : i < 8 ? codes_in(s, f, shape(1, 5), 0.01)
                : constant(s, f, shape(3, 4, 1, 5), f == NIB_F32 ? 0 : 0.0125, zero_of(s, f), 100);
    const int32_t n =
        node(s, op, codes_out(s, f, shape(3, 4, 3, 5), op == NIB_OP_MUL ? 0.01 : 0.04), 2, a, b);
    if (i == 5 || i == 6)
      nib_graph_set_string(s->g, n, NIB_A_ACTIVATION, "relu6");
  }
  label(s, "add of one constant %s", nib_format_get(f)->name);
  const int32_t a = codes_in(s, f, shape(2, 3, 5), 0.02);
  const int32_t b = constant(s, f, shape(1, 1), f == NIB_F32 ? 0 : 0.03, zero_of(s, f), 100);
  node(s, NIB_OP_ADD, codes_out(s, f, shape(2, 3, 5), 0.04), 2, a, b);
}

static void add_unaries(suite *s, nib_format f) {
  static const nib_op list[] = {NIB_OP_RELU, NIB_OP_CLAMP,      NIB_OP_LEAKY_RELU, NIB_OP_SIGMOID,
                                NIB_OP_TANH, NIB_OP_HARD_SWISH, NIB_OP_REQUANTIZE};
  for (int i = 0; i < 7; ++i) {
    if (f == NIB_F32 && list[i] == NIB_OP_REQUANTIZE)
      continue;
    label(s, "%s %s", nib_op_get(list[i])->mnemonic, nib_format_get(f)->name);
    const bool bounded = list[i] == NIB_OP_SIGMOID || list[i] == NIB_OP_TANH;
    const shape_of d = shape(2, 16, 16);
    const double around = f == NIB_I16 ? 1.0 / 4096 : 0.05;
    const int32_t x = codes_in(s, f, d, around);
    const double fixed = f == NIB_I16             ? 1.0 / 32768
                         : list[i] == NIB_OP_TANH ? 1.0 / 128
                                                  : 1.0 / 256;
    const int64_t zp = f == NIB_U8 && list[i] == NIB_OP_TANH      ? 128
                       : f == NIB_I8 && list[i] == NIB_OP_SIGMOID ? -128
                                                                  : 0;
    int32_t y;
    if (bounded && f != NIB_F32) {
      y = value(s, f, d, fixed, zp);
      output(s, y);
    } else {
      y = codes_out(s, f, d, around);
    }
    const int32_t n = node(s, list[i], y, 1, x);
    if (list[i] == NIB_OP_CLAMP) {
      nib_graph_set_float(s->g, n, NIB_A_MIN, -0.5);
      nib_graph_set_float(s->g, n, NIB_A_MAX, 1.5);
    }
    if (list[i] == NIB_OP_LEAKY_RELU)
      nib_graph_set_float(s->g, n, NIB_A_ALPHA, 0.15);
  }
}

static void add_softmaxes(suite *s, nib_format f) {
  for (int i = 0; i < 3; ++i) {
    label(s, "softmax %d %s", i, nib_format_get(f)->name);
    const shape_of d = shape(3, 2, 5, 11);
    const double scale = f == NIB_I16 ? 1.0 / 2048 : 0.1;
    const int32_t x = codes_in(s, f, d, scale);
    const int32_t y = value(s, f, d,
                            f == NIB_F32   ? 0
                            : f == NIB_I16 ? 1.0 / 32768
                                           : 1.0 / 256,
                            f == NIB_I8 ? -128 : 0);
    output(s, y);
    const int32_t n = node(s, NIB_OP_SOFTMAX, y, 1, x);
    nib_graph_set_int(s->g, n, NIB_A_AXIS, i == 2 ? 1 : 2);
    if (i == 1)
      nib_graph_set_float(s->g, n, NIB_A_BETA, 0.75);
  }
}

static void add_conversions(suite *s, nib_format f) {
  label(s, "quantize %s", nib_format_get(f)->name);
  int32_t x = input(s, NIB_F32, shape(2, 7, 9), 0, 0);
  node(s, NIB_OP_QUANTIZE, codes_out(s, f, shape(2, 7, 9), 0.03), 1, x);
  label(s, "dequantize %s", nib_format_get(f)->name);
  x = codes_in(s, f, shape(2, 7, 9), 0.03);
  node(s, NIB_OP_DEQUANTIZE, codes_out(s, NIB_F32, shape(2, 7, 9), 0), 1, x);
  label(s, "quantize codes %s", nib_format_get(f)->name);
  x = codes_in(s, NIB_I8, shape(2, 7, 9), 0.03);
  node(s, NIB_OP_QUANTIZE, codes_out(s, f, shape(2, 7, 9), 0.04), 1, x);
  label(s, "requantize accumulators %s", nib_format_get(f)->name);
  x = input(s, NIB_I32, shape(2, 7, 9), 0, 0);
  const int32_t scales = constant_scales(s, 9, 1e-6);
  node(s, NIB_OP_REQUANTIZE, codes_out(s, f, shape(2, 7, 9), 0.04), 2, x, scales);
}

static void add_lookup(suite *s, nib_format f) {
  label(s, "lookup %s", nib_format_get(f)->name);
  const int32_t table = constant(s, f, shape(1, 256), 0, 0, 0);
  node(s, NIB_OP_LOOKUP, codes_out(s, f, shape(2, 8, 40), 0.02), 2,
       codes_in(s, f, shape(2, 8, 40), 0.02), table);
}

static void add_movement(suite *s, nib_format f) {
  const char *name = nib_format_get(f)->name;
  const double scale = f == NIB_F32 ? 0 : 0.03;
  const int64_t zp = zero_of(s, f);
  label(s, "pad %s", name);
  int32_t x = input(s, f, shape(4, 1, 3, 4, 2), scale, zp);
  int32_t y = value(s, f, shape(4, 1, 6, 5, 2), scale, zp);
  int32_t n = node(s, NIB_OP_PAD, y, 1, x);
  output(s, y);
  set_ints(s, n, NIB_A_LOW, 4, 0, 1, 0, 0);
  set_ints(s, n, NIB_A_HIGH, 4, 0, 2, 1, 0);
  label(s, "transpose %s", name);
  y = value(s, f, shape(4, 1, 2, 3, 4), scale, zp);
  n = node(s, NIB_OP_TRANSPOSE, y, 1, x);
  output(s, y);
  set_ints(s, n, NIB_A_PERM, 4, 0, 3, 1, 2);
  label(s, "transpose of rows %s", name);
  y = value(s, f, shape(4, 3, 1, 4, 2), scale, zp);
  n = node(s, NIB_OP_TRANSPOSE, y, 1, x);
  output(s, y);
  set_ints(s, n, NIB_A_PERM, 4, 1, 0, 2, 3);
  label(s, "slice %s", name);
  y = value(s, f, shape(4, 1, 2, 3, 1), scale, zp);
  n = node(s, NIB_OP_SLICE, y, 1, x);
  output(s, y);
  set_ints(s, n, NIB_A_BEGIN, 4, 0, 1, 0, 1);
  set_ints(s, n, NIB_A_SIZES, 4, 1, 2, 3, 1);
  label(s, "strided slice %s", name);
  y = value(s, f, shape(4, 1, 3, 2, 2), scale, zp);
  n = node(s, NIB_OP_STRIDED_SLICE, y, 1, x);
  output(s, y);
  set_ints(s, n, NIB_A_BEGIN, 4, 0, 2, 0, 0);
  set_ints(s, n, NIB_A_STEPS, 4, 1, -1, 2, 1);
  label(s, "concat channels %s", name);
  const int32_t other = input(s, f, shape(4, 1, 3, 4, 3), scale, zp);
  y = value(s, f, shape(4, 1, 3, 4, 5), scale, zp);
  nib_graph_set_int(s->g, node(s, NIB_OP_CONCAT, y, 2, x, other), NIB_A_AXIS, 3);
  output(s, y);
  label(s, "concat rows rescaled %s", name);
  y = value(s, f, shape(4, 1, 6, 4, 2), scale * 1.5, zp);
  const int32_t third = input(s, f, shape(4, 1, 3, 4, 2), scale * 1.5, zp);
  nib_graph_set_int(s->g, node(s, NIB_OP_CONCAT, y, 2, x, third), NIB_A_AXIS, 1);
  output(s, y);
  label(s, "reshape %s", name);
  y = value(s, f, shape(2, 6, 4), scale, zp);
  node(s, NIB_OP_RESHAPE, y, 1, x);
  output(s, y);
  label(s, "pack %s", name);
  y = value(s, NIB_I8, shape(1, (int64_t)(24 * nib_format_bytes(f))), 0, 0);
  node(s, NIB_OP_PACK, y, 1, x);
  output(s, y);
  label(s, "unpack %s", name);
  const int32_t bytes = input(s, NIB_I8, shape(1, (int64_t)(24 * nib_format_bytes(f))), 0, 0);
  y = value(s, f, shape(4, 1, 3, 4, 2), scale, zp);
  node(s, NIB_OP_UNPACK, y, 1, bytes);
  output(s, y);
}

static void add_matmuls(suite *s, nib_format f) {
  label(s, "matmul %s", nib_format_get(f)->name);
  node(s, NIB_OP_MATMUL, codes_out(s, f, shape(4, 2, 3, 4, 5), 0.2), 2,
       codes_in(s, f, shape(4, 2, 3, 4, 6), 0.02), codes_in(s, f, shape(3, 3, 6, 5), 0.02));
}

/* ---- groups ---- */

/* conv, residual add, leaky relu, then a table, and both values needed by a second convolution. */
/* Whether kernels have one root, and else followers of it. */
static bool every_root_alone;

static void add_groups(suite *s, nib_format f) {
  const shape_of d = shape(4, 1, 7, 6, 5);
  label(s, "group conv add leaky %s", nib_format_get(f)->name);
  const int32_t conv = add_conv(s, &conv_cases[0], f, f, f != NIB_U8, true, "relu");
  const int32_t skip = codes_in(s, f, d, 0.1);
  const int32_t sum = value(s, f, d, f == NIB_F32 ? 0 : 0.2, zero_of(s, f));
  const int32_t add = node(s, NIB_OP_ADD, sum, 2, skip, s->g->nodes[conv].out);
  const int32_t y = codes_out(s, f, d, 0.15);
  const int32_t leaky = node(s, NIB_OP_LEAKY_RELU, y, 1, sum);
  add_kernel(s, (const int32_t[]){conv, add, leaky}, 3);

  label(s, "group depthwise pointwise %s", nib_format_get(f)->name);
  const int32_t first = add_conv(s, &conv_cases[4], f, f, f != NIB_U8, true, NULL);
  const int32_t mid = s->g->nodes[first].out;
  const shape_of ws = shape(4, 7, 1, 1, 5), ys = shape(4, 1, 6, 6, 7);
  const int32_t w = f == NIB_F32 ? constant(s, NIB_F32, ws, 0, 0, 0)
                                 : constant(s, f == NIB_U8 ? NIB_U8 : NIB_I8, ws, 0.02, 0, 60);
  const int32_t second = node(s, NIB_OP_CONV2D, codes_out(s, f, ys, 0.4), 2, mid, w);
  if (!every_root_alone)
    add_kernel(s, (const int32_t[]){first, second}, 2);

  label(s, "group add twice, view between %s", nib_format_get(f)->name);
  const int32_t a = codes_in(s, f, shape(2, 6, 10), 0.05);
  const int32_t twice = value(s, f, shape(2, 6, 10), f == NIB_F32 ? 0 : 0.1, zero_of(s, f));
  const int32_t double_it = node(s, NIB_OP_ADD, twice, 2, a, a);
  const int32_t max = codes_out(s, f, shape(2, 6, 10), 0.1);
  const int32_t product = node(s, NIB_OP_MUL, max, 2, twice, twice);
  add_kernel(s, (const int32_t[]){double_it, product}, 2);
}

/* Formats whose codes have other widths than memory. */
static void add_packs(suite *s) {
  const nib_format formats[] = {NIB_I1,  NIB_I2,       NIB_U3,       NIB_I4,
                                NIB_I5,  NIB_F6E3M2FN, NIB_F4E2M1FN, NIB_TERNARY,
                                NIB_I11, NIB_U13,      NIB_BIPOLAR2, NIB_NF4};
  for (size_t i = 0; i < sizeof formats / sizeof *formats; ++i) {
    const nib_format f = formats[i];
    const int64_t n = 37, bytes = (int64_t)nib_format_packed_bytes(f, n);
    label(s, "pack %s", nib_format_get(f)->name);
    int32_t y = value(s, i % 2 ? NIB_I8 : NIB_U8, shape(1, bytes), 0, 0);
    node(s, NIB_OP_PACK, y, 1, input(s, f, shape(1, n), 0, 0));
    output(s, y);
    label(s, "unpack %s", nib_format_get(f)->name);
    y = value(s, f, shape(1, n), 0, 0);
    node(s, NIB_OP_UNPACK, y, 1, input(s, i % 2 ? NIB_U8 : NIB_I8, shape(1, bytes), 0, 0));
    output(s, y);
  }
}

/* ---- suites ---- */

static void add_all(suite *s, bool tflite) {
  add_packs(s);
  add_convolutions(s);
  for (int f = 0; f < 4; ++f) {
    const nib_format x = f == 3 ? NIB_F32 : codes[f];
    add_pools(s, x);
    add_means(s, x);
    add_arithmetic(s, x);
    add_unaries(s, x);
    add_softmaxes(s, x);
    add_movement(s, x);
    add_groups(s, x);
    if (x != NIB_I16)
      add_matmuls(s, x);
    if (x != NIB_F32)
      add_conversions(s, x);
    if (x == NIB_I8 || x == NIB_U8)
      add_lookup(s, x);
  }
  (void)tflite;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_few_bits
/* Layers of int8 and uint8 activations whose weights are integers of fewer than 8 bits, in every
 * vocabulary that runs here, against the reference: every format, all of its codes, zero points at
 * both ends, tails of K and of channels, extreme inputs and weights, convolutions and depthwise
 * ones. */
#include "kernel_harness.h"

#include "num/code_value.h"

#define CONV NIB_OP_CONV2D
#define DW NIB_OP_DEPTHWISE_CONV2D
#define FC NIB_OP_FULLY_CONNECTED

typedef struct layer_case {
  const char *name;
  nib_op op;
  int rows, h, w, c, out_c, kernel, stride, groups; /* rows: of fully connected, else the batch */
  nib_format in;
  int zp_in;
} layer_case;

static const layer_case cases[] = {
    {"row", FC, 1, 1, 1, 64, 32, 1, 1, 1, NIB_I8, 3},
    {"row of one", FC, 1, 1, 1, 1, 1, 1, 1, 1, NIB_I8, -128},
    {"row of tails", FC, 1, 1, 1, 77, 151, 1, 1, 1, NIB_I8, 127},
    {"long row", FC, 1, 1, 1, 1031, 70, 1, 1, 1, NIB_U8, 255},
    {"rows", FC, 7, 1, 1, 67, 49, 1, 1, 1, NIB_U8, 0},
    {"more rows", FC, 25, 1, 1, 130, 144, 1, 1, 1, NIB_I8, -128},
    {"convolution", CONV, 2, 5, 7, 9, 21, 3, 1, 1, NIB_I8, -7},
    {"first layer", CONV, 1, 9, 8, 3, 16, 3, 2, 1, NIB_U8, 255},
    {"groups", CONV, 1, 5, 6, 12, 18, 3, 1, 3, NIB_I8, 127},
    {"pointwise", CONV, 1, 5, 7, 40, 24, 1, 1, 1, NIB_I8, -128},
    {"depthwise", DW, 1, 9, 6, 24, 24, 3, 1, 1, NIB_I8, 5},
    {"depthwise 64", DW, 1, 6, 7, 64, 64, 3, 2, 1, NIB_U8, 128},
};

typedef enum weights_kind { ALL_CODES, LEAST, GREATEST, HALVES, KINDS } weights_kind;

/* `weight` codes of one kind, in turn where all are wanted. */
static void fill_codes(suite *s, int32_t tensor, weights_kind kind) {
  const nib_tensor *t = &s->g->tensors[tensor];
  uint8_t *data = (uint8_t *)(uintptr_t)t->data;
  const int64_t n = nib_tensor_elems(t);
  int64_t low, high;
  nib_format_code_range(t->format, &low, &high);
  for (int64_t i = 0; i < n; i++)
    data[i] = (uint8_t)(kind == LEAST      ? low
                        : kind == GREATEST ? high
                        : kind == HALVES   ? (i < n / 2 ? low : high)
                        : i <= high - low  ? low + i
                                           : pick(s, low, high));
}

static int32_t add_layer(suite *s, const layer_case *k, nib_format weight, weights_kind kind) {
  const nib_format_info *f = nib_format_get(weight);
  const bool per_tensor = f->kind == NIB_KIND_UNSIGNED;
  int64_t low, high;
  nib_format_value_range(weight, &low, &high);
  const int64_t ends[] = {low, high, 0, (low + high) / 2};
  const int64_t zero = per_tensor ? ends[pick(s, 0, 3)] : 0;
  snprintf(s->label, sizeof s->label, "%s by %s", k->name, f->name);
  const int32_t x =
      k->op == FC ? input(s, k->in, shape(2, k->rows, k->c), (double)0.05f, k->zp_in)
                  : input(s, k->in, shape(4, k->rows, k->h, k->w, k->c), (double)0.05f, k->zp_in);
  const shape_of d = k->op == FC   ? shape(2, k->out_c, k->c)
                     : k->op == DW ? shape(4, 1, k->kernel, k->kernel, k->out_c)
                                   : shape(4, k->out_c, k->kernel, k->kernel, k->c / k->groups);
  const int32_t filter = constant(s, weight, d, per_tensor ? (double)0.02f : 0, zero, 0);
  fill_codes(s, filter, kind);
  const int32_t bias =
      pick(s, 0, 3) ? constant(s, NIB_I32, shape(1, k->out_c), 0, 0, 2000) : NIB_NONE;
  const int32_t scales = per_tensor ? NIB_NONE : constant_scales(s, k->out_c, 0.02);
  const int pad = k->kernel / 2;
  const int oh = (k->h + 2 * pad - k->kernel) / k->stride + 1,
            ow = (k->w + 2 * pad - k->kernel) / k->stride + 1;
  const double taps = (double)(k->op == DW ? 1 : k->c / k->groups) * k->kernel * k->kernel;
  const double scale = (double)(float)(0.05 * 0.02 * sqrt(taps) * (double)(high - low) * 0.7);
  const shape_of out =
      k->op == FC ? shape(2, k->rows, k->out_c) : shape(4, k->rows, oh, ow, k->out_c);
  const int32_t y =
      value(s, k->in, out, scale, k->in == NIB_I8 ? (int)pick(s, -128, 127) : (int)pick(s, 0, 255));
  const int32_t n = node(s, k->op, y, 4, x, filter, bias, scales);
  if (k->op != FC) {
    set_ints(s, n, NIB_A_STRIDES, 2, k->stride, k->stride);
    set_ints(s, n, NIB_A_PADS, 4, pad, pad, pad, pad);
  }
  if (k->op == CONV && k->groups > 1)
    nib_graph_set_int(s->g, n, NIB_A_GROUPS, k->groups);
  return y;
}

static void test_vocabulary(const nib_vocab *v, const char *target, const char *rounding,
                            uint64_t seed) {
  static const nib_format formats[] = {
      NIB_I4,       NIB_U4, NIB_I2, NIB_U2, NIB_TERNARY,  NIB_I3, NIB_BIPOLAR1, NIB_BIPOLAR2,
      NIB_BIPOLAR4, NIB_U1, NIB_I5, NIB_U7, NIB_BIPOLAR7, NIB_U3, NIB_BIPOLAR3};
  suite s = suite_open("few_bits", rounding, seed);
  for (size_t f = 0; f < sizeof formats / sizeof *formats; f++)
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
      if ((f + i + seed) % 3 == 0) /* four roundings see all of them */
        output(&s, add_layer(&s, &cases[i], formats[f],
                             (weights_kind)((f / 3 + i + seed) % 5 % KINDS)));
  harness_shares_bytes = strcmp(rounding, "tflite-double") != 0;
  harness_sharing_kernels = 0;
  const bool clang = seed % 2 && shell("command -v clang-22 >/dev/null") == 0;
  run_suite(&s, v, target, clang ? "clang-22" : "cc");
  CHECK(harness_sharing_kernels >= (harness_shares_bytes && v->dot_k == 4 ? 20 : 0));
}

int main(void) { return test_each_vocabulary(test_vocabulary); }

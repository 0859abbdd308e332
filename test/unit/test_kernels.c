/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_kernels
/* The vector convolution schedules in every vocabulary that runs here, against the reference: odd
 * sizes, borders, strides, dilation, groups, channel tails, zero points at both ends, extreme
 * inputs and weights, and every kind of follower. */
#include "conv_cases.h"

static const conv_case cases[] = {
    {"first layer", CONV, 1, 9, 11, 3, 16, 3, 3, 1, 1, 1, 1, I8, I8, I8, -3, 0, 5, 0},
    {"resnet", CONV, 1, 8, 8, 16, 32, 3, 3, 2, 1, 1, 1, I8, I8, I8, -128, 0, -128, 0},
    {"channel tails", CONV, 1, 6, 5, 7, 37, 3, 3, 1, 1, 1, 1, I8, I8, I8, 127, 0, 127, 0},
    {"many channels", CONV, 1, 5, 5, 33, 130, 3, 3, 1, 1, 1, 1, I8, I8, I8, 1, 0, -1, 0},
    {"one channel", CONV, 1, 12, 10, 1, 8, 10, 8, 2, 1, 3, 1, I8, I8, I8, -128, 0, 9, 0},
    {"batch", CONV, 3, 4, 6, 5, 9, 2, 3, 1, 1, 0, 1, I8, I8, I8, 17, 0, -20, 0},
    {"dilated", CONV, 1, 11, 12, 6, 20, 3, 3, 1, 2, 2, 1, I8, I8, I8, 4, 0, 0, 0},
    {"dilated stride", CONV, 1, 13, 13, 3, 5, 3, 2, 2, 3, 1, 1, I8, I8, I8, 4, 0, 0, 0},
    {"groups", CONV, 1, 7, 7, 12, 18, 3, 3, 1, 1, 1, 3, I8, I8, I8, 11, 0, -7, 0},
    {"stride 3 of 1x1", CONV, 1, 10, 10, 8, 16, 1, 1, 3, 1, 0, 1, I8, I8, I8, 100, 0, -100, 0},
    {"pointwise", CONV, 1, 14, 14, 40, 24, 1, 1, 1, 1, 0, 1, I8, I8, I8, -5, 0, 3, 0},
    {"pointwise wide", CONV, 1, 25, 27, 16, 144, 1, 1, 1, 1, 0, 1, I8, I8, I8, -5, 0, 3, 0},
    {"pointwise odd", CONV, 2, 3, 5, 13, 3, 1, 1, 1, 1, 0, 1, I8, I8, I8, -5, 0, 3, 0},
    {"fully connected", FC, 1, 1, 1, 64, 10, 1, 1, 1, 1, 0, 1, I8, I8, I8, 5, 0, 10, 0},
    {"fully connected rows", FC, 7, 1, 1, 19, 131, 1, 1, 1, 1, 0, 1, I8, I8, I8, 5, 0, 10, 0},
    {"fully connected in rows", FC, 181, 1, 1, 1500, 40, 1, 1, 1, 1, 0, 1, I8, I8, I8, 5, 0, 10, 0},
    {"fully connected u8 in rows",
     FC,
     99,
     1,
     1,
     4100,
     35,
     1,
     1,
     1,
     1,
     0,
     1,
     U8,
     U8,
     U8,
     5,
     151,
     10,
     0},
    {"float fc in rows", FC, 800, 1, 1, 65, 33, 1, 1, 1, 1, 0, 1, F32, F32, F32, 0, 0, 0, 0},
    {"accumulators", FC, 2, 1, 1, 30, 50, 1, 1, 1, 1, 0, 1, I8, I8, I32, 5, 0, 0, 0},
    {"uint8", CONV, 1, 9, 9, 4, 24, 3, 3, 2, 1, 1, 1, U8, U8, U8, 128, 122, 0, 0},
    {"uint8 ends", CONV, 1, 6, 9, 5, 17, 3, 3, 1, 1, 1, 1, U8, U8, U8, 0, 255, 255, 0},
    {"uint8 pointwise", CONV, 1, 8, 8, 32, 32, 1, 1, 1, 1, 0, 1, U8, U8, U8, 255, 0, 0, 0},
    {"uint8 direct", CONV, 1, 8, 8, 32, 32, 1, 1, 1, 1, 0, 1, U8, I8, U8, 7, 0, 0, 0},
    {"uint8 fc", FC, 1, 1, 1, 100, 12, 1, 1, 1, 1, 0, 1, U8, U8, U8, 3, 151, 9, 0},
    {"int8 per tensor", FC, 2, 1, 1, 33, 12, 1, 1, 1, 1, 0, 1, I8, U8, I8, 3, 151, 9, 0},
    {"small weights", CONV, 1, 6, 6, 16, 16, 3, 3, 1, 1, 1, 1, U8, U8, U8, 30, 100, 0, 20},
    {"float", CONV, 1, 9, 7, 5, 19, 3, 3, 2, 1, 1, 1, F32, F32, F32, 0, 0, 0, 0},
    {"float groups", CONV, 1, 6, 6, 8, 24, 3, 3, 1, 2, 2, 2, F32, F32, F32, 0, 0, 0, 0},
    {"float fc", FC, 3, 1, 1, 65, 33, 1, 1, 1, 1, 0, 1, F32, F32, F32, 0, 0, 0, 0},
    {"pointwise parts", CONV, 1, 5, 6, 20, 64, 1, 1, 1, 1, 0, 1, I8, I8, I8, -128, 0, -4, 0},
    {"parts", CONV, 2, 6, 7, 8, 128, 3, 3, 1, 1, 1, 1, I8, I8, U8, 5, 0, 4, 0},
    {"depthwise", DW, 1, 9, 10, 24, 24, 3, 3, 1, 1, 1, 1, I8, I8, I8, -128, 0, 4, 0},
    {"depthwise 64", DW, 1, 7, 7, 64, 64, 3, 3, 2, 1, 1, 1, I8, I8, I8, 127, 0, -4, 0},
    {"depthwise parts", DW, 2, 7, 6, 128, 128, 3, 3, 1, 1, 1, 1, I8, I8, I8, 5, 0, -4, 0},
    {"depthwise pairs", DW, 2, 7, 5, 32, 32, 3, 3, 1, 1, 1, 1, I8, I8, I8, 5, 0, -4, 0},
    {"depthwise pairs 5x5", DW, 1, 9, 11, 96, 96, 5, 5, 2, 1, 2, 1, U8, I8, U8, 3, 0, 4, 0},
    {"depthwise pairs blocks", DW, 1, 6, 33, 160, 160, 3, 3, 1, 1, 1, 1, I8, I8, U8, -128, 0, 4, 0},
    {"depthwise parts 5x5", DW, 1, 9, 11, 64, 64, 5, 5, 2, 1, 2, 1, U8, I8, U8, 3, 0, 4, 0},
    {"depthwise parts blocks", DW, 1, 6, 13, 320, 320, 3, 3, 1, 1, 1, 1, I8, I8, U8, -128, 0, 4, 0},
    {"depthwise tail", DW, 2, 6, 5, 11, 11, 5, 3, 1, 1, 2, 1, I8, I8, I8, 9, 0, -4, 0},
    {"depthwise dilated", DW, 1, 12, 12, 16, 16, 3, 3, 1, 2, 2, 1, I8, I8, I8, 9, 0, -4, 0},
    {"depthwise multiplied", DW, 1, 6, 6, 5, 15, 3, 3, 1, 1, 1, 1, I8, I8, I8, 9, 0, -4, 0},
    {"depthwise of one", DW, 1, 12, 9, 1, 8, 10, 8, 2, 1, 4, 1, I8, I8, I8, -128, 0, -4, 0},
    {"depthwise wide filter", DW, 1, 4, 20, 16, 16, 1, 11, 1, 1, 5, 1, I8, I8, I8, 0, 0, -4, 0},
    {"depthwise blocks", DW, 1, 6, 30, 200, 200, 3, 3, 1, 1, 1, 1, I8, I8, I8, 7, 0, -4, 0},
    {"depthwise 5x5", DW, 1, 11, 9, 40, 40, 5, 5, 2, 1, 2, 1, I8, I8, I8, -128, 0, -4, 0},
    {"depthwise 7x7", DW, 1, 9, 8, 33, 33, 7, 7, 1, 1, 3, 1, U8, I8, U8, 3, 0, 4, 0},
    {"depthwise of a row", DW, 1, 1, 9, 24, 24, 3, 3, 1, 1, 1, 1, I8, I8, I8, 127, 0, -4, 0},
    {"depthwise 2x2", DW, 2, 5, 5, 16, 16, 2, 2, 1, 1, 0, 1, I8, I8, I8, 0, 0, -4, 0},
    {"depthwise uint8", DW, 1, 9, 10, 18, 18, 3, 3, 2, 1, 1, 1, U8, U8, U8, 255, 120, 4, 0},
    {"depthwise uint8 pairs", DW, 1, 9, 10, 96, 96, 3, 3, 2, 1, 1, 1, U8, U8, U8, 255, 120, 4, 0},
    {"depthwise uint8 parts", DW, 1, 7, 5, 64, 64, 3, 3, 1, 1, 1, 1, U8, U8, U8, 128, 255, 4, 0},
    {"depthwise uint8 zero", DW, 1, 7, 5, 32, 32, 5, 5, 1, 1, 2, 1, U8, U8, I8, 3, 1, 4, 0},
    {"depthwise u8 x2", DW, 1, 5, 5, 9, 18, 3, 3, 1, 1, 1, 1, U8, U8, U8, 0, 255, 4, 0},
    {"depthwise float", DW, 1, 9, 10, 20, 20, 3, 3, 1, 1, 1, 1, F32, F32, F32, 0, 0, 0, 0},
    {"f16", CONV, 1, 9, 7, 5, 19, 3, 3, 2, 1, 1, 1, F16, F16, F16, 0, 0, 0, 0},
    {"f16 pointwise", CONV, 1, 9, 9, 24, 40, 1, 1, 1, 1, 0, 1, F16, F16, F16, 0, 0, 0, 0},
    {"f16 fc", FC, 7, 1, 1, 65, 33, 1, 1, 1, 1, 0, 1, F16, F16, F16, 0, 0, 0, 0},
    {"bf16 fc", FC, 7, 1, 1, 65, 33, 1, 1, 1, 1, 0, 1, BF16, BF16, BF16, 0, 0, 0, 0},
    {"bf16 groups", CONV, 1, 6, 6, 8, 24, 3, 3, 1, 2, 2, 2, BF16, BF16, BF16, 0, 0, 0, 0},
    {"depthwise f16", DW, 1, 9, 10, 20, 20, 3, 3, 1, 1, 1, 1, F16, F16, F16, 0, 0, 0, 0},
    {"depthwise bf16 x2", DW, 1, 5, 5, 4, 8, 3, 3, 1, 1, 1, 1, BF16, BF16, BF16, 0, 0, 0, 0},
    {"depthwise float x3", DW, 1, 5, 5, 4, 12, 3, 3, 1, 1, 1, 1, F32, F32, F32, 0, 0, 0, 0},
};

/* conv + follower kernels; every operator that may follow. */
static void add_followed(suite *s, nib_op op, nib_format format, bool conv_first) {
  const conv_case k = {"followed",
                       CONV,
                       1,
                       7,
                       9,
                       8,
                       19,
                       3,
                       3,
                       1,
                       1,
                       1,
                       1,
                       format,
                       I8,
                       format,
                       3,
                       0,
                       format == I8 ? -11 : 40,
                       0};
  int32_t nodes[2];
  const int32_t y = add_conv(s, &k, &nodes[0]);
  const nib_tensor t = s->g->tensors[y];
  snprintf(s->label, sizeof s->label, "%s after conv", nib_op_get(op)->mnemonic);
  const shape_of d = shape(4, (int)t.dims[0], (int)t.dims[1], (int)t.dims[2], (int)t.dims[3]);
  int32_t out, second = NIB_NONE;
  if (op == NIB_OP_RELU) {
    out = value(s, t.format, d, t.scale, t.zero_point);
  } else {
    out = value(s, t.format, d, (double)(float)(t.scale * 1.7), t.zero_point + 9);
    second = op == NIB_OP_LOOKUP ? constant(s, t.format, shape(1, 256), 0, 0, 0)
             : op == NIB_OP_REQUANTIZE
                 ? NIB_NONE
                 : input(s, t.format, d, (double)(float)(t.scale * 1.3), t.zero_point - 2);
  }
  if (second == NIB_NONE)
    nodes[1] = node(s, op, out, 1, y);
  else
    nodes[1] = node(s, op, out, 2, conv_first ? y : second, conv_first ? second : y);
  CHECK(nib_epilogue_accepts(s->g, nodes[0], nodes[1]));
  add_kernel(s, nodes, 2);
  output(s, out);
}

static void add_float_followed(suite *s, nib_op op, const char *activation) {
  const conv_case k = {"float", CONV, 1, 5, 6, 8, 19, 3, 3, 1, 1, 1, 1, F32, F32, F32, 0, 0, 0, 0};
  int32_t nodes[2];
  const int32_t y = add_conv(s, &k, &nodes[0]);
  const shape_of d = shape(4, 1, 5, 6, 19);
  const int32_t out = value(s, F32, d, 0, 0);
  if (op == NIB_OP_ADD || op == NIB_OP_SUB || op == NIB_OP_MUL)
    nodes[1] = node(s, op, out, 2, y, input(s, F32, d, 0, 0));
  else
    nodes[1] = node(s, op, out, 1, y);
  if (activation)
    nib_graph_set_string(s->g, nodes[1], NIB_A_ACTIVATION, activation);
  if (op == NIB_OP_CLAMP) {
    nib_graph_set_float(s->g, nodes[1], NIB_A_MIN, -9.0);
    nib_graph_set_float(s->g, nodes[1], NIB_A_MAX, 25.0);
  }
  CHECK(nib_epilogue_accepts(s->g, nodes[0], nodes[1]));
  add_kernel(s, nodes, 2);
  output(s, out);
}

static void test_vocabulary(const nib_vocab *v, const char *target, const char *rounding,
                            uint64_t seed) {
  suite s = suite_open("kernels", rounding, seed);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int32_t n;
    output(&s, add_conv(&s, &cases[i], &n));
  }
  const bool tflite = strncmp(rounding, "tflite", 6) == 0;
  static const nib_op followers[] = {NIB_OP_ADD,    NIB_OP_SUB,  NIB_OP_MUL,
                                     NIB_OP_LOOKUP, NIB_OP_RELU, NIB_OP_REQUANTIZE};
  for (size_t i = 0; i < sizeof followers / sizeof *followers; i++) {
    const nib_op op = followers[i];
    if (!tflite && (op == NIB_OP_MUL || op == NIB_OP_REQUANTIZE))
      continue;
    if (strcmp(rounding, "nearest-away") == 0 && (op == NIB_OP_ADD || op == NIB_OP_SUB))
      continue;
    add_followed(&s, op, I8, true);
    add_followed(&s, op, U8, false || op == NIB_OP_RELU || op == NIB_OP_LOOKUP);
  }
  static const nib_op floats[] = {NIB_OP_ADD,   NIB_OP_SUB,     NIB_OP_MUL,  NIB_OP_RELU,
                                  NIB_OP_CLAMP, NIB_OP_SIGMOID, NIB_OP_GELU, NIB_OP_HARD_SWISH};
  for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
    add_float_followed(&s, floats[i], NULL);
  static const char *const activations[] = {"relu6", "relu", "relu"};
  for (size_t i = 0; i < 3; i++)
    add_float_followed(&s, floats[i], activations[i]);
  /* Both compilers see every vocabulary. */
  const bool clang = seed % 2 && shell("command -v clang-22 >/dev/null") == 0;
  run_suite(&s, v, target, clang ? "clang-22" : "cc");
}

int main(void) {
  harness_tame_halves = true;
  harness_real_error = 2e-5; /* sigmoid, at most 1, passes on a quarter of the error of sums */
  return test_each_vocabulary(test_vocabulary);
}

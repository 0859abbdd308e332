/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_transpose_conv
/* Transposed convolutions in the vector schedule, in every vocabulary that runs here, against the
 * reference: filters smaller than their strides, equal to them and larger, results cropped at both
 * ends or longer than any window reaches, tails of K and of channels, 1 to 4 channels (several
 * pixels to a register), batches, zero points at both ends, extreme inputs and weights, weights of
 * few bits, every kind of follower. */
#include "kernel_harness.h"

#include "num/code_value.h"
#include "pack/pack.h"

typedef struct layer_case {
  const char *name;
  int batch, h, w, c, out_c, kh, kw, sh, sw;
  int pads[4]; /* top, left, bottom, right; below 0: rows that no window reaches */
  nib_format in, weight, out;
  int zp_in, zp_w, zp_out; /* zp_w: of weights by tensor (U8, UI4) */
} layer_case;

#define I8 NIB_I8
#define U8 NIB_U8
#define F32 NIB_F32
#define F16 NIB_F16
#define BF16 NIB_BF16
#define NONE                                                                                       \
  { 0, 0, 0, 0 }
#define ONES                                                                                       \
  { 1, 1, 1, 1 }

static const layer_case cases[] = {
    {"4x4 by 2", 1, 6, 7, 16, 32, 4, 4, 2, 2, ONES, I8, I8, I8, -3, 0, 5},
    {"2x2 by 2", 1, 5, 9, 32, 16, 2, 2, 2, 2, NONE, I8, I8, I8, -128, 0, -128},
    {"3x3 by 2", 1, 7, 6, 24, 64, 3, 3, 2, 2, {0, 0, 1, 1}, I8, I8, I8, 127, 0, 127},
    {"3x3 by 2, longer", 1, 5, 5, 8, 9, 3, 3, 2, 2, {1, 1, 0, 0}, I8, I8, U8, 4, 0, 250},
    {"3x3 by 1", 1, 8, 9, 16, 32, 3, 3, 1, 1, ONES, I8, I8, I8, 7, 0, -7},
    {"3x3 by 1, whole", 1, 5, 4, 5, 19, 3, 3, 1, 1, NONE, I8, I8, I8, -128, 0, 3},
    {"1x1 by 1", 2, 5, 7, 20, 33, 1, 1, 1, 1, NONE, I8, I8, I8, 11, 0, 1},
    {"1x1 by 2", 1, 5, 6, 12, 17, 1, 1, 2, 2, {0, 0, -1, -1}, I8, I8, I8, -60, 0, 9},
    {"1x1 by 3, cropped", 1, 4, 4, 6, 8, 1, 1, 3, 3, {1, 2, -2, -1}, I8, I8, I8, 20, 0, 0},
    {"2x3 by 4x5", 1, 4, 3, 7, 21, 2, 3, 4, 5, {1, 0, -3, -2}, I8, I8, I8, 127, 0, -9},
    {"5x4 by 3x2", 2, 4, 6, 9, 37, 5, 4, 3, 2, {2, 3, 1, 0}, I8, I8, I8, 99, 0, 44},
    {"16x16 by 8", 1, 4, 3, 12, 5, 16, 16, 8, 8, {4, 4, 4, 4}, I8, I8, I8, -5, 0, 2},
    {"7x5 by 4x3", 1, 5, 5, 3, 48, 7, 5, 4, 3, {3, 1, 2, 2}, I8, I8, I8, -128, 0, 2},
    {"more pad than taps", 1, 6, 6, 8, 16, 2, 2, 2, 2, {5, 4, 3, 2}, I8, I8, I8, 5, 0, 2},
    {"more pad by 1", 1, 6, 7, 8, 16, 2, 3, 1, 1, {3, 3, 0, 2}, I8, I8, I8, 5, 0, 2},
    {"much pad below", 1, 5, 6, 4, 8, 3, 3, 2, 2, {0, 0, 6, 7}, I8, I8, I8, -9, 0, 2},
    {"fewer rows than phases", 1, 1, 1, 10, 11, 3, 3, 5, 5, {0, 1, 0, 0}, I8, I8, I8, -9, 0, 2},
    {"biases alone", 1, 1, 6, 31, 33, 1, 3, 4, 1, {1, 1, -3, 3}, U8, I8, U8, 31, 0, 2},
    {"biases alone, 5 rows", 2, 5, 1, 8, 6, 1, 1, 1, 2, {0, 1, 0, -1}, I8, I8, I8, 31, 0, 2},
    {"a row", 1, 1, 17, 8, 64, 2, 2, 2, 2, NONE, I8, I8, I8, 0, 0, 2},
    {"a column by 2x1", 1, 13, 1, 8, 64, 4, 1, 2, 1, {1, 0, 1, 0}, I8, I8, I8, 0, 0, 2},
    {"1 to 1 channel", 1, 9, 8, 1, 1, 4, 4, 2, 2, ONES, I8, I8, I8, -1, 0, 2},
    {"2 to 3 channels", 2, 6, 8, 2, 3, 3, 3, 2, 2, ONES, U8, I8, I8, 255, 0, 2},
    {"16 to 3 channels", 1, 8, 8, 16, 3, 4, 4, 2, 2, ONES, I8, I8, U8, 3, 0, 128},
    {"3 to 40 channels", 1, 7, 5, 3, 40, 5, 5, 2, 2, {2, 2, 1, 1}, I8, I8, I8, 3, 0, 1},
    {"4 to 130 channels", 1, 4, 5, 4, 130, 3, 2, 2, 2, {1, 0, 0, 0}, U8, I8, U8, 0, 0, 1},
    {"8 to 2 channels, 3x3", 1, 5, 7, 8, 2, 3, 3, 2, 2, {0, 0, 1, 1}, I8, I8, I8, 9, 0, 3},
    {"5 to 4 channels, 2x2", 2, 5, 6, 5, 4, 2, 2, 2, 2, NONE, I8, I8, U8, -128, 0, 3},
    {"9 to 4 channels, 2x2 by 3", 1, 3, 7, 9, 4, 2, 2, 3, 3, {0, 1, 0, -2}, I8, I8, I8, 127, 0, 3},
    {"3 to 1 channel, 8x8 by 4", 1, 5, 4, 3, 1, 8, 8, 4, 4, {2, 2, 2, 2}, I8, I8, I8, 127, 0, 3},
    {"4 to 3 channels, odd row", 1, 4, 6, 4, 3, 4, 4, 2, 2, {1, 1, 1, 0}, I8, I8, I8, 9, 0, 3},
    {"8 to 8 channels by 1x4", 1, 4, 6, 8, 8, 1, 4, 1, 4, NONE, I8, I8, I8, 9, 0, 3},
    {"uint8 to 3 channels", 1, 4, 6, 7, 3, 4, 4, 2, 2, ONES, U8, U8, U8, 255, 33, 3},
    {"uint8 to 4 channels, 2x2", 1, 4, 6, 7, 4, 2, 2, 2, 2, NONE, U8, U8, U8, 0, 255, 3},
    {"i4 to 3 channels", 1, 4, 6, 16, 3, 4, 4, 2, 2, ONES, I8, NIB_I4, I8, -128, 0, 3},
    {"ternary to 4 channels", 1, 4, 6, 32, 4, 2, 2, 2, 2, NONE, U8, NIB_TERNARY, I8, 255, 0, 3},
    {"bipolar to 2 channels", 1, 4, 6, 17, 2, 4, 4, 2, 2, ONES, I8, NIB_BIPOLAR1, I8, 127, 0, 3},
    {"float to 3 channels", 1, 4, 6, 7, 3, 4, 4, 2, 2, ONES, F32, F32, F32, 0, 0, 0},
    {"float to 1 channel, 8x8 by 4",
     1,
     4,
     5,
     7,
     1,
     8,
     8,
     4,
     4,
     {2, 2, 2, 2},
     F32,
     F32,
     F32,
     0,
     0,
     0},
    {"f16 to 5 channels", 1, 4, 6, 8, 5, 3, 3, 2, 2, {0, 0, 1, 1}, F16, F16, F16, 0, 0, 0},
    {"long sums", 1, 3, 4, 515, 18, 3, 3, 2, 2, ONES, I8, I8, I8, -128, 0, -128},
    {"parts", 2, 4, 5, 16, 64, 2, 2, 2, 2, NONE, I8, I8, U8, 5, 0, 4},
    {"parts by 3", 1, 4, 5, 8, 128, 4, 4, 3, 3, ONES, U8, I8, I8, 5, 0, 4},
    {"uint8", 1, 6, 5, 5, 24, 3, 3, 2, 2, {0, 1, 1, 0}, U8, U8, U8, 128, 122, 0},
    {"uint8 ends", 1, 6, 7, 5, 17, 4, 4, 2, 2, ONES, U8, U8, U8, 0, 255, 255},
    {"uint8 2x2 by 2", 1, 5, 5, 32, 32, 2, 2, 2, 2, NONE, U8, U8, U8, 255, 0, 0},
    {"uint8 2x2 by 3", 2, 5, 4, 6, 10, 2, 2, 3, 3, {1, 0, 0, -1}, U8, U8, U8, 9, 200, 0},
    {"uint8 by 1", 1, 6, 6, 9, 18, 3, 3, 1, 1, ONES, U8, U8, U8, 255, 3, 0},
    {"uint8 direct", 1, 6, 6, 32, 32, 2, 2, 2, 2, NONE, U8, I8, U8, 7, 0, 0},
    {"by tensor", 1, 5, 5, 16, 20, 4, 4, 2, 2, ONES, I8, U8, I8, 3, 151, 9},
    {"accumulators", 1, 5, 4, 12, 18, 4, 3, 2, 2, ONES, I8, I8, NIB_I32, -3, 0, 0},
    {"i4", 1, 6, 5, 24, 33, 4, 4, 2, 2, ONES, I8, NIB_I4, I8, -3, 0, 5},
    {"i2", 2, 5, 4, 9, 16, 3, 3, 2, 2, {1, 0, 0, 1}, U8, NIB_I2, U8, 255, 0, 5},
    {"ternary", 1, 5, 6, 32, 40, 2, 2, 2, 2, NONE, I8, NIB_TERNARY, I8, 127, 0, 5},
    {"ternary by 3", 1, 4, 4, 7, 12, 2, 2, 3, 3, NONE, I8, NIB_TERNARY, I8, 0, 0, 5},
    {"bipolar", 1, 5, 6, 17, 20, 3, 3, 2, 2, ONES, I8, NIB_BIPOLAR1, I8, -128, 0, 5},
    {"u4 by tensor", 1, 5, 6, 20, 19, 3, 4, 2, 2, ONES, U8, NIB_U4, U8, 3, 15, 5},
    {"i4 by 1", 1, 5, 6, 20, 19, 3, 3, 1, 1, ONES, I8, NIB_I4, I8, 3, 0, 5},
    {"float 4x4 by 2", 1, 6, 5, 9, 19, 4, 4, 2, 2, ONES, F32, F32, F32, 0, 0, 0},
    {"float 3x3 by 2", 2, 4, 5, 16, 33, 3, 3, 2, 2, {1, 1, 0, 0}, F32, F32, F32, 0, 0, 0},
    {"float 2x2 by 3", 1, 4, 5, 5, 16, 2, 2, 3, 3, {0, 0, 0, -1}, F32, F32, F32, 0, 0, 0},
    {"float 2x2 by 2", 1, 4, 7, 8, 4, 2, 2, 2, 2, NONE, F32, F32, F32, 0, 0, 0},
    {"float by 1", 1, 5, 6, 7, 18, 3, 3, 1, 1, ONES, F32, F32, F32, 0, 0, 0},
    {"float 16x16 by 8", 1, 3, 3, 4, 2, 16, 16, 8, 8, {4, 4, 4, 4}, F32, F32, F32, 0, 0, 0},
    {"f16 3x3 by 2", 1, 4, 5, 5, 19, 3, 3, 2, 2, ONES, F16, F16, F16, 0, 0, 0},
    {"f16 2x2 by 2", 1, 4, 5, 24, 40, 2, 2, 2, 2, NONE, F16, F16, F16, 0, 0, 0},
    {"bf16 4x4 by 2", 1, 4, 5, 8, 24, 4, 4, 2, 2, ONES, BF16, BF16, BF16, 0, 0, 0},
};

static bool is_real(nib_format f) { return nib_format_get(f)->kind == NIB_KIND_FLOAT; }

static bool is_by_tensor(nib_format weight) { return weight == U8 || weight == NIB_U4; }

/* All codes, those of one end, or half of each. */
static void fill_weights(suite *s, int32_t filter) {
  const nib_tensor *t = &s->g->tensors[filter];
  uint8_t *w = (uint8_t *)(uintptr_t)t->data;
  const int64_t n = nib_tensor_elems(t), kind = pick(s, 0, 4);
  int64_t low, high;
  if (is_real(t->format))
    return;
  nib_format_code_range(t->format, &low, &high);
  for (int64_t i = 0; i < n; i++)
    w[i] = (uint8_t)(kind == 0   ? low
                     : kind == 1 ? high
                     : kind == 2 ? (i < n / 2 ? high : low)
                                 : pick(s, low, high));
}

static int32_t add_layer(suite *s, const layer_case *k, int32_t *out_node) {
  const bool real = is_real(k->in), by_tensor = is_by_tensor(k->weight);
  snprintf(s->label, sizeof s->label, "%s", k->name);
  const int32_t x =
      input(s, k->in, shape(4, k->batch, k->h, k->w, k->c), real ? 0 : (double)0.05f, k->zp_in);
  const int32_t filter = constant(s, k->weight, shape(4, k->out_c, k->kh, k->kw, k->c),
                                  by_tensor ? (double)0.02f : 0, k->zp_w, 0);
  fill_weights(s, filter);
  const int32_t bias = pick(s, 0, 3) == 0 ? NIB_NONE
                       : real             ? constant(s, k->in, shape(1, k->out_c), 0, 0, 0)
                                          : constant(s, NIB_I32, shape(1, k->out_c), 0, 0, 2000);
  const int32_t scales = real || by_tensor ? NIB_NONE : constant_scales(s, k->out_c, 0.02);
  const int oh = (k->h - 1) * k->sh + k->kh - k->pads[0] - k->pads[2];
  const int ow = (k->w - 1) * k->sw + k->kw - k->pads[1] - k->pads[3];
  int64_t low = 0, high = 0;
  if (!real)
    nib_format_value_range(k->weight, &low, &high);
  const double taps = (double)k->c * k->kh * k->kw / (k->sh * k->sw) + 1;
  const double scale = (double)(float)(0.05 * 0.02 * sqrt(taps) * (double)(high - low) * 0.2);
  const int32_t y = value(s, k->out, shape(4, k->batch, oh, ow, k->out_c),
                          real || k->out == NIB_I32 ? 0 : scale, k->zp_out);
  const int32_t n = node(s, NIB_OP_TRANSPOSE_CONV2D, y, 4, x, filter, bias, scales);
  set_ints(s, n, NIB_A_STRIDES, 2, k->sh, k->sw);
  set_ints(s, n, NIB_A_PADS, 4, k->pads[0], k->pads[1], k->pads[2], k->pads[3]);
  static const char *const activations[] = {"none", "relu", "relu6"};
  if (k->out != NIB_I32)
    nib_graph_set_string(s->g, n, NIB_A_ACTIVATION, activations[pick(s, 0, 2)]);
  *out_node = n;
  return y;
}

/* A follower that reads the result and, where it takes two operands, another tensor. */
static void add_followed(suite *s, nib_op op, nib_format format, bool first, int channels) {
  const layer_case k = {
      "followed", 1, 4, 5, 8, 19, 3, 4, 2, 2, ONES, format, is_real(format) ? format : I8,
      format,     3, 0, 40};
  int32_t nodes[2], out, second = NIB_NONE;
  const int32_t y = add_layer(s, &k, &nodes[0]);
  const nib_tensor t = s->g->tensors[y];
  const shape_of d = shape(4, (int)t.dims[0], (int)t.dims[1], (int)t.dims[2], (int)t.dims[3]);
  snprintf(s->label, sizeof s->label, "%s after transpose_conv2d", nib_op_get(op)->mnemonic);
  if (op == NIB_OP_RELU || is_real(format))
    out = value(s, t.format, d, t.scale, t.zero_point);
  else
    out = value(s, t.format, d, (double)(float)(t.scale * 1.7), t.zero_point + 9);
  if (op == NIB_OP_LOOKUP)
    second = constant(s, t.format, shape(1, 256), 0, 0, 0);
  else if (op == NIB_OP_ADD || op == NIB_OP_SUB || op == NIB_OP_MUL)
    second = input(s, t.format, d, (double)(float)(t.scale * 1.3), t.zero_point - 2);
  nodes[1] = second == NIB_NONE ? node(s, op, out, 1, y)
                                : node(s, op, out, 2, first ? y : second, first ? second : y);
  CHECK(nib_epilogue_accepts(s->g, nodes[0], nodes[1]));
  add_kernel(s, nodes, 2);
  output(s, out);
}

static void add_followers(suite *s) {
  static const nib_op integers[] = {NIB_OP_RELU, NIB_OP_LOOKUP, NIB_OP_ADD,
                                    NIB_OP_SUB,  NIB_OP_MUL,    NIB_OP_REQUANTIZE};
  static const nib_op reals[] = {NIB_OP_ADD, NIB_OP_MUL, NIB_OP_RELU, NIB_OP_SIGMOID};
  const int n = strncmp(s->g->rounding, "tflite", 6) == 0     ? 6
                : strcmp(s->g->rounding, "nearest-away") == 0 ? 2
                                                              : 4;
  for (int i = 0; i < n; i++) {
    add_followed(s, integers[i], I8, true, 19);
    add_followed(s, integers[i], U8, integers[i] == NIB_OP_RELU || integers[i] == NIB_OP_LOOKUP, 3);
  }
  for (int i = 0; i < 4; i++)
    add_followed(s, reals[i], F32, true, i % 2 ? 19 : 3);
}

/* Layers whose pixels share registers. */
static int count_folded(const suite *s, const nib_vocab *v) {
  int n = 0;
  for (int32_t i = 0; i < s->g->n_nodes; i++)
    n += nib_pack_best_fold(s->g, &s->g->nodes[i], v) > 0;
  return n;
}

static void test_vocabulary(const nib_vocab *v, const char *target, const char *rounding,
                            uint64_t seed) {
  suite s = suite_open("transpose_conv", rounding, seed);
  int32_t n;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    output(&s, add_layer(&s, &cases[i], &n));
  add_followers(&s);
  CHECK(count_folded(&s, v) >= (v->lanes > 1 ? 15 : 0));
  harness_shares_bytes = seed % 2;
  harness_sharing_kernels = 0;
  const bool clang = seed % 2 && shell("command -v clang-22 >/dev/null") == 0;
  run_suite(&s, v, target, clang ? "clang-22" : "cc");
  CHECK(harness_sharing_kernels >= (harness_shares_bytes && v->dot_k == 4 ? 5 : 0));
}

int main(void) {
  harness_tame_halves = true;
  return test_each_vocabulary(test_vocabulary);
}

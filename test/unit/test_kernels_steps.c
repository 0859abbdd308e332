/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_kernels_steps
/* The vector schedules of pools, means and element-wise operators in every vocabulary that runs
 * here, against the reference: odd sizes, borders that count and that do not, tails, zero points at
 * both ends, operands of one row and of one element, constants, chains. */
#include "kernel_harness.h"

#define I8 NIB_I8
#define U8 NIB_U8
#define F32 NIB_F32

/* ---- pools ---- */

typedef struct pool_case {
  const char *name;
  nib_op op;
  int batch, h, w, c, kh, kw, stride, top, left, bottom, right, with_padding;
  int zp_in, zp_out; /* the same: the result has the scale of the operand */
} pool_case;

static const pool_case pools[] = {
    {"global", NIB_OP_AVG_POOL2D, 1, 7, 7, 96, 7, 7, 1, 0, 0, 0, 0, 0, -128, -128},
    {"global tail", NIB_OP_AVG_POOL2D, 2, 25, 5, 67, 25, 5, 1, 0, 0, 0, 0, 0, 5, 5},
    {"two by two", NIB_OP_AVG_POOL2D, 1, 6, 8, 16, 2, 2, 2, 0, 0, 0, 0, 0, 127, 127},
    {"border", NIB_OP_AVG_POOL2D, 1, 7, 9, 21, 3, 3, 2, 1, 1, 1, 1, 0, -3, -3},
    {"border counted", NIB_OP_AVG_POOL2D, 1, 7, 9, 33, 3, 3, 2, 1, 1, 1, 1, 1, -3, -3},
    {"one side", NIB_OP_AVG_POOL2D, 1, 6, 5, 8, 3, 2, 2, 0, 1, 1, 0, 1, 7, 7},
    {"past the padding", NIB_OP_AVG_POOL2D, 1, 6, 6, 40, 4, 4, 3, 1, 1, 0, 0, 1, 7, 7},
    {"rescaled", NIB_OP_AVG_POOL2D, 1, 6, 6, 40, 3, 3, 1, 1, 1, 1, 1, 0, 7, -9},
    {"rescaled counted", NIB_OP_AVG_POOL2D, 1, 6, 6, 40, 3, 3, 1, 1, 1, 1, 1, 1, 7, -9},
    {"rescaled inside", NIB_OP_AVG_POOL2D, 1, 6, 6, 3, 3, 3, 1, 0, 0, 0, 0, 0, 100, -9},
    {"maximum", NIB_OP_MAX_POOL2D, 1, 8, 9, 67, 2, 2, 2, 0, 0, 0, 0, 0, 3, 3},
    {"maximum border", NIB_OP_MAX_POOL2D, 2, 7, 7, 19, 3, 3, 2, 1, 1, 1, 1, 0, -128, -128},
    {"maximum of few", NIB_OP_MAX_POOL2D, 1, 5, 5, 3, 3, 3, 1, 1, 1, 1, 1, 0, 0, 0},
};

static void add_pool(suite *s, const pool_case *k, nib_format f, int index) {
  static const char *const activations[] = {"none", "relu", "relu6"};
  const bool real = f == F32, same = k->zp_in == k->zp_out;
  const int shift = f == U8 ? 128 : 0;
  const double sx = real ? 0 : (double)0.05f, sy = real ? 0 : same ? sx : (double)0.043f;
  snprintf(s->label, sizeof s->label, "%s %s", k->name, nib_format_get(f)->name);
  const int oh = (k->h + k->top + k->bottom - k->kh + k->stride - 1) / k->stride + 1;
  const int ow = (k->w + k->left + k->right - k->kw + k->stride - 1) / k->stride + 1;
  const bool ceil_fits =
      (oh - 1) * k->stride - k->top < k->h && (ow - 1) * k->stride - k->left < k->w;
  const int less = ceil_fits && k->bottom == 0 && k->top ? 0 : 1;
  const int h = less ? (k->h + k->top + k->bottom - k->kh) / k->stride + 1 : oh;
  const int w = less ? (k->w + k->left + k->right - k->kw) / k->stride + 1 : ow;
  const int32_t x = input(s, f, shape(4, k->batch, k->h, k->w, k->c), sx, k->zp_in + shift);
  const int32_t y = value(s, f, shape(4, k->batch, h, w, k->c), sy, k->zp_out + shift);
  const int32_t n = node(s, k->op, y, 1, x);
  set_ints(s, n, NIB_A_KERNEL, 2, k->kh, k->kw);
  set_ints(s, n, NIB_A_STRIDES, 2, k->stride, k->stride);
  set_ints(s, n, NIB_A_PADS, 4, k->top, k->left, k->bottom, k->right);
  if (k->with_padding)
    nib_graph_set_int(s->g, n, NIB_A_COUNT_INCLUDE_PAD, 1);
  nib_graph_set_string(s->g, n, NIB_A_ACTIVATION, activations[index % 3]);
  output(s, y);
}

static void add_mean(suite *s, nib_format f, shape_of in, shape_of out, int first, int count) {
  const int shift = f == U8 ? 128 : 0;
  snprintf(s->label, sizeof s->label, "mean %d %s", first, nib_format_get(f)->name);
  const int32_t x = input(s, f, in, f == F32 ? 0 : (double)0.05f, 11 + shift);
  const int32_t y = value(s, f, out, f == F32 ? 0 : (double)0.03f, -4 + shift);
  const int32_t n = node(s, NIB_OP_MEAN, y, 1, x);
  if (count == 2)
    set_ints(s, n, NIB_A_AXES, 2, first, first + 1);
  else
    set_ints(s, n, NIB_A_AXES, 1, first);
  if (in.rank == out.rank)
    nib_graph_set_int(s->g, n, NIB_A_KEEP_DIMS, 1);
  output(s, y);
}

/* A pool whose result goes on in the same kernel. */
static void add_pool_chain(suite *s, nib_format f) {
  snprintf(s->label, sizeof s->label, "pool chain %s", nib_format_get(f)->name);
  const double sx = f == F32 ? 0 : (double)0.05f, sy = f == F32 ? 0 : (double)0.07f;
  const int zp = f == U8 ? 120 : 0;
  const int32_t x = input(s, f, shape(4, 1, 4, 4, 37), sx, zp);
  const int32_t mid = value(s, f, shape(4, 1, 2, 2, 37), sx, zp);
  const int32_t row = constant(s, f, shape(1, 37), sx, zp, 0);
  const int32_t out = value(s, f, shape(4, 1, 2, 2, 37), sy, zp + 3);
  int32_t nodes[2];
  nodes[0] = node(s, NIB_OP_MAX_POOL2D, mid, 1, x);
  set_ints(s, nodes[0], NIB_A_KERNEL, 2, 2, 2);
  set_ints(s, nodes[0], NIB_A_STRIDES, 2, 2, 2);
  nodes[1] = node(s, NIB_OP_ADD, out, 2, mid, row);
  add_kernel(s, nodes, 2);
  output(s, out);
}

/* ---- element by element ---- */

typedef enum second_kind {
  WHOLE,
  ROW,
  ONE,
  CONSTANT_WHOLE,
  CONSTANT_ROW,
  CONSTANT_ONE,
  KINDS
} second_kind;

static const char *const kind_names[] = {"",          "row ",          "one ",
                                         "constant ", "constant row ", "constant one "};

static void add_pair(suite *s, nib_op op, nib_format f, second_kind kind, bool swapped) {
  const bool real = f == F32;
  const int shift = f == U8 ? 128 : 0, width = kind % 3 == ROW ? 21 : 37;
  snprintf(s->label, sizeof s->label, "%s%s %s", kind_names[kind], nib_op_get(op)->mnemonic,
           nib_format_get(f)->name);
  const shape_of whole = shape(3, 3, 5, width);
  const shape_of second = kind % 3 == ROW ? shape(1, width) : kind % 3 == ONE ? shape(1, 1) : whole;
  const double sa = real ? 0 : pick_scale(s, 0.03), sb = real ? 0 : pick_scale(s, 0.05);
  const double sy = real ? 0 : op == NIB_OP_MUL ? 0.2 : pick_scale(s, 0.06);
  const int32_t a = input(s, f, whole, sa, (int)pick(s, -128, 127) + shift);
  const int zp = (int)pick(s, -128, 127) + shift;
  const int32_t b =
      kind >= CONSTANT_WHOLE ? constant(s, f, second, sb, zp, 0) : input(s, f, second, sb, zp);
  const int32_t y = value(s, f, whole, (double)(float)sy, (int)pick(s, -128, 127) + shift);
  const int32_t n = swapped ? node(s, op, y, 2, b, a) : node(s, op, y, 2, a, b);
  if (pick(s, 0, 1))
    nib_graph_set_string(s->g, n, NIB_A_ACTIVATION, "relu");
  output(s, y);
}

static void add_unary(suite *s, nib_op op, nib_format from, nib_format to, bool same) {
  snprintf(s->label, sizeof s->label, "%s %s", nib_op_get(op)->mnemonic,
           nib_format_get(from)->name);
  const int zp = from == U8 ? 131 : -7, shift = to == U8 ? 128 : 0;
  const bool nonlinear = op == NIB_OP_SIGMOID || op == NIB_OP_TANH;
  const double sx = from == F32 ? 0 : (double)0.05f;
  const double sy = to == F32              ? 0
                    : op == NIB_OP_SIGMOID ? 1.0 / 256
                    : nonlinear            ? 1.0 / 128
                    : same                 ? sx
                                           : (double)0.041f;
  const int zy = same ? zp : op == NIB_OP_SIGMOID ? -128 + shift : nonlinear ? shift : 9 + shift;
  const shape_of d = shape(2, 7, 29);
  const int32_t x = input(s, from, d, sx, zp), y = value(s, to, d, sy, zy);
  const int32_t n = op == NIB_OP_LOOKUP
                        ? node(s, op, y, 2, x, constant(s, to, shape(1, 256), 0, 0, 0))
                        : node(s, op, y, 1, x);
  if (op == NIB_OP_LEAKY_RELU)
    nib_graph_set_float(s->g, n, NIB_A_ALPHA, pick(s, 0, 1) ? 0.3 : -0.2);
  if (op == NIB_OP_CLAMP) {
    nib_graph_set_float(s->g, n, NIB_A_MIN, -1.5);
    nib_graph_set_float(s->g, n, NIB_A_MAX, 2.25);
  }
  output(s, y);
}

/* dequantize, multiply by a row, add, leaky relu, quantize: the register's type changes twice. */
static void add_chain(suite *s, nib_format from, nib_format to) {
  snprintf(s->label, sizeof s->label, "chain %s", nib_format_get(from)->name);
  const shape_of d = shape(3, 2, 3, 35);
  const int32_t x = input(s, from, d, (double)0.05f, from == U8 ? 140 : 12);
  int32_t t[5], nodes[5];
  for (int i = 0; i < 4; i++)
    t[i] = value(s, F32, d, 0, 0);
  t[4] = value(s, to, d, (double)0.061f, to == U8 ? 90 : -20);
  nodes[0] = node(s, NIB_OP_DEQUANTIZE, t[0], 1, x);
  nodes[1] = node(s, NIB_OP_MUL, t[1], 2, constant(s, F32, shape(1, 35), 0, 0, 0), t[0]);
  nodes[2] = node(s, NIB_OP_ADD, t[2], 2, t[1], input(s, F32, d, 0, 0));
  nodes[3] = node(s, NIB_OP_LEAKY_RELU, t[3], 1, t[2]);
  nodes[4] = node(s, NIB_OP_QUANTIZE, t[4], 1, t[3]);
  add_kernel(s, nodes, 5);
  output(s, t[4]);
}

/* Two kernels with a tensor of the arena between them. */
static void add_two_kernels(suite *s) {
  snprintf(s->label, sizeof s->label, "two kernels");
  const shape_of d = shape(2, 3, 21);
  const int32_t x = input(s, I8, d, (double)0.05f, 3), mid = value(s, I8, d, (double)0.05f, 3);
  const int32_t y = value(s, F32, d, 0, 0);
  node(s, NIB_OP_RELU, mid, 1, x);
  node(s, NIB_OP_DEQUANTIZE, y, 1, mid);
  output(s, y);
}

static void add_steps(suite *s) {
  static const nib_op pairs[] = {NIB_OP_ADD, NIB_OP_SUB, NIB_OP_MUL, NIB_OP_DIV};
  static const nib_op unary[] = {NIB_OP_RELU, NIB_OP_CLAMP,  NIB_OP_LEAKY_RELU, NIB_OP_SIGMOID,
                                 NIB_OP_TANH, NIB_OP_LOOKUP, NIB_OP_REQUANTIZE, NIB_OP_HARD_SWISH};
  static const nib_format formats[] = {I8, U8, F32};
  for (int f = 0; f < 3; f++) {
    for (size_t i = 0; i < 4; i++)
      for (int kind = 0; kind < KINDS && (pairs[i] != NIB_OP_DIV || formats[f] == F32); kind++)
        add_pair(s, pairs[i], formats[f], (second_kind)kind, (kind + (int)i + f) % 2);
    for (size_t i = 0; i < (formats[f] == F32 ? 3 : 8); i++) {
      add_unary(s, unary[i], formats[f], formats[f], false);
      if (formats[f] != F32)
        add_unary(s, unary[i], formats[f], formats[f] == I8 && (i == 5 || i == 6) ? U8 : formats[f],
                  i < 3);
    }
    if (formats[f] == F32)
      continue;
    add_unary(s, NIB_OP_QUANTIZE, F32, formats[f], false);
    add_unary(s, NIB_OP_DEQUANTIZE, formats[f], F32, false);
    add_chain(s, formats[f], formats[1 - f]);
  }
}

static void test_vocabulary(const nib_vocab *v, const char *target, const char *rounding,
                            uint64_t seed) {
  static const nib_format formats[] = {I8, U8, F32};
  suite s = suite_open("steps", rounding, seed);
  for (int f = 0; f < 3; f++) {
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++)
      add_pool(&s, &pools[i], formats[f], (int)i + f);
    add_mean(&s, formats[f], shape(4, 2, 5, 3, 37), shape(2, 2, 37), 1, 2);
    add_mean(&s, formats[f], shape(4, 1, 5, 3, 16), shape(4, 1, 1, 1, 16), 1, 2);
    add_mean(&s, formats[f], shape(3, 9, 4, 5), shape(2, 4, 5), 0, 1);
    add_pool_chain(&s, formats[f]);
  }
  add_two_kernels(&s);
  add_steps(&s);
  const bool clang = seed % 2 && shell("command -v clang-22 >/dev/null") == 0;
  run_suite(&s, v, target, clang ? "clang-22" : "cc");
}

int main(void) { return test_each_vocabulary(test_vocabulary); }

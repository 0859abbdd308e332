/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_repeated_operands
/* Element-wise operators whose operands are repeated along leading, middle and trailing dimensions,
 * in every vocabulary that runs here, against the reference: either operand, both, constants,
 * chains, tails of up to two registers, zero points at both ends. */
#include "kernel_harness.h"

#define I8 NIB_I8
#define U8 NIB_U8
#define F32 NIB_F32

typedef struct repeat_case {
  const char *name;
  shape_of result, lhs, rhs;
} repeat_case;

#define S(rank, ...)                                                                               \
  {                                                                                                \
    rank, { __VA_ARGS__ }                                                                          \
  }

static const repeat_case cases[] = {
    {"leading", S(4, 2, 3, 5, 37), S(4, 2, 3, 5, 37), S(4, 1, 1, 5, 37)},
    {"middle", S(4, 2, 3, 5, 37), S(4, 2, 3, 5, 37), S(4, 1, 3, 1, 37)},
    {"batch", S(4, 3, 4, 2, 24), S(4, 3, 4, 2, 24), S(4, 3, 1, 1, 24)},
    {"column", S(3, 2, 9, 50), S(3, 2, 9, 50), S(3, 2, 9, 1)},
    {"planes", S(4, 2, 5, 6, 7), S(4, 2, 5, 6, 7), S(4, 1, 5, 1, 1)},
    {"fewer dimensions", S(4, 2, 5, 6, 7), S(4, 2, 5, 6, 7), S(3, 5, 1, 1)},
    {"every other", S(5, 2, 3, 2, 3, 19), S(5, 2, 3, 2, 3, 19), S(5, 2, 1, 2, 1, 19)},
    {"the others", S(5, 2, 3, 2, 3, 19), S(5, 2, 3, 2, 3, 19), S(5, 1, 3, 1, 3, 1)},
    {"outer", S(2, 19, 43), S(2, 19, 1), S(2, 1, 43)},
    {"both", S(4, 2, 3, 4, 33), S(4, 2, 1, 4, 33), S(4, 1, 3, 4, 1)},
    {"both inside", S(3, 3, 4, 21), S(3, 3, 1, 21), S(3, 1, 4, 1)},
    {"tall outer", S(2, 19, 8), S(2, 19, 1), S(2, 1, 8)},
    {"whole register", S(3, 3, 4, 16), S(3, 3, 4, 16), S(3, 3, 1, 16)},
    {"one element", S(2, 1, 1), S(2, 1, 1), S(1, 1)},
    {"half a register", S(3, 3, 4, 8), S(3, 3, 4, 8), S(3, 3, 4, 1)},
};

static void add_case(suite *s, const repeat_case *k, nib_op op, nib_format f, int constant_at,
                     bool swapped) {
  const bool real = f == F32;
  const int shift = f == U8 ? 128 : 0;
  snprintf(s->label, sizeof s->label, "%s %s %s", k->name, nib_op_get(op)->mnemonic,
           nib_format_get(f)->name);
  int32_t x[2];
  for (int i = 0; i < 2; i++) {
    static const int ends[] = {-128, 127};
    const double scale = real ? 0 : pick_scale(s, 0.04);
    const int zp = (pick(s, 0, 1) ? ends[pick(s, 0, 1)] : (int)pick(s, -128, 127)) + shift;
    const shape_of d = i ? k->rhs : k->lhs;
    x[i] = i == constant_at ? constant(s, f, d, scale, zp, 0) : input(s, f, d, scale, zp);
  }
  const double sy = real ? 0 : op == NIB_OP_MUL ? pick_scale(s, 0.15) : pick_scale(s, 0.06);
  const int32_t y = value(s, f, k->result, sy, (int)pick(s, -128, 127) + shift);
  const int32_t n = node(s, op, y, 2, x[swapped], x[!swapped]);
  if (pick(s, 0, 1))
    nib_graph_set_string(s->g, n, NIB_A_ACTIVATION, "relu");
  output(s, y);
}

static void add_cases(suite *s) {
  static const nib_op pairs[] = {NIB_OP_ADD, NIB_OP_SUB, NIB_OP_MUL, NIB_OP_DIV};
  static const nib_format formats[] = {I8, U8, F32};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int f = 0; f < 3; f++)
      for (int p = 0; p < (formats[f] == F32 ? 4 : 3); p++)
        add_case(s, &cases[i], pairs[p], formats[f], (int)(i + (size_t)(f + p)) % 4 == 0 ? 1 : -1,
                 (i + (size_t)p) % 2);
}

/* Rows of every length from one to two registers of the longest vocabulary, and past them. */
static void add_tails(suite *s) {
  static const nib_op pairs[] = {NIB_OP_MUL, NIB_OP_ADD, NIB_OP_SUB};
  static const nib_format formats[] = {I8, F32, U8};
  for (int width = 8; width < 36; width++) {
    const repeat_case k = {width % 2 ? "tail of columns" : "tail of rows", S(3, 3, 2, width),
                           S(3, 3, 2, width), S(3, 3, width % 2 ? 2 : 1, width % 2 ? 1 : width)};
    add_case(s, &k, pairs[width % 3], formats[width / 3 % 3], -1, width % 4 < 2);
  }
}

/* Each step repeats its operand along another dimension; the type changes between. */
static void add_chain(suite *s, nib_format from, nib_format to) {
  snprintf(s->label, sizeof s->label, "chain %s", nib_format_get(from)->name);
  const shape_of d = shape(4, 2, 3, 5, 26);
  int32_t t[6], nodes[6];
  for (int i = 0; i < 5; i++)
    t[i] = value(s, F32, d, 0, 0);
  t[5] = value(s, to, d, (double)0.061f, to == U8 ? 255 : -128);
  const int32_t x = input(s, from, d, (double)0.05f, from == U8 ? 0 : 127);
  const int32_t column = constant(s, F32, shape(4, 2, 3, 5, 1), 0, 0, 0);
  nodes[0] = node(s, NIB_OP_DEQUANTIZE, t[0], 1, x);
  nodes[1] = node(s, NIB_OP_MUL, t[1], 2, t[0], input(s, F32, shape(4, 2, 1, 1, 26), 0, 0));
  nodes[2] = node(s, NIB_OP_SUB, t[2], 2, column, t[1]);
  nodes[3] = node(s, NIB_OP_ADD, t[3], 2, t[2], input(s, F32, shape(3, 3, 1, 26), 0, 0));
  nodes[4] = node(s, NIB_OP_ADD, t[4], 2, t[3], input(s, F32, d, 0, 0));
  nodes[5] = node(s, NIB_OP_QUANTIZE, t[5], 1, t[4]);
  add_kernel(s, nodes, 6);
  output(s, t[5]);
}

/* All codes by all codes, at scales that make ties, results of one sign, and results past int32. */
static void add_all_pairs(suite *s) {
  static const struct {
    double a, b, y;
    int za, zb, zy;
  } scales[] = {{0.5, 0.5, 1, 3, -4, 1},
                {1, 1, 2, -128, -128, -128},
                {0.0625, 0.0039, 0.05, 7, -128, 0},
                {0.25, 1, 64, 127, -128, 5},
                {0.03, 0.07, 0.11, -1, 2, 127},
                {1, 1, 0.0001, 0, 0, 0}};
  static const nib_op pairs[] = {NIB_OP_MUL, NIB_OP_ADD, NIB_OP_SUB};
  for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
    for (int op = 0; op < 3; op++) {
      const nib_format f = i % 2 ? U8 : I8;
      const int shift = f == U8 ? 128 : 0;
      snprintf(s->label, sizeof s->label, "pairs %d %s", (int)i, nib_op_get(pairs[op])->mnemonic);
      const double sy = op == 0 ? scales[i].y : scales[i].a + scales[i].b;
      const int32_t a =
          input(s, f, shape(2, 256, 1), (double)(float)scales[i].a, scales[i].za + shift);
      const int32_t b =
          input(s, f, shape(2, 1, 256), (double)(float)scales[i].b, scales[i].zb + shift);
      const int32_t y = value(s, f, shape(2, 256, 256), (double)(float)sy, scales[i].zy + shift);
      node(s, pairs[op], y, 2, a, b);
      output(s, y);
    }
  }
}

static void test_vocabulary(const nib_vocab *v, const char *target, const char *rounding,
                            uint64_t seed) {
  suite s = suite_open("repeated", rounding, seed);
  add_cases(&s);
  add_tails(&s);
  add_all_pairs(&s);
  add_chain(&s, I8, U8);
  add_chain(&s, U8, I8);
  const bool clang = seed % 2 && shell("command -v clang-22 >/dev/null") == 0;
  run_suite(&s, v, target, clang ? "clang-22" : "cc");
}

int main(void) { return test_each_vocabulary(test_vocabulary); }

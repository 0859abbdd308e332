/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * RUN: %unit/test_live_products
 * Dense layers and matrix products of two activations (conv_rows packs the second when it runs), in
 * each vector vocabulary: tails of rows, columns and K from 1 to beyond the tile, batches and
 * broadcasting, zero points at both ends, one tensor by itself, against the reference. */
#include "kernel_harness.h"

typedef struct product {
  nib_op op;
  int matrices[2]; /* of each operand */
  int m, k, n;
  nib_format a, b, y;
  int zp_a, zp_b, zp_y;
} product;

static nib_format either(suite *s) { return pick(s, 0, 1) ? NIB_I8 : NIB_U8; }

static int zero_of(suite *s, nib_format f) {
  const int low = f == NIB_I8 ? -128 : 0;
  const int zeros[] = {low, low + 255, low + 128, low + 3, 0};
  return zeros[pick(s, 0, 4)];
}

static void add_product(suite *s, const product *p, bool twice) {
  const bool real = p->a == NIB_F32, dense = p->op == NIB_OP_FULLY_CONNECTED;
  const double sa = real ? 0 : 0.05, sb = real ? 0 : 0.02;
  const double sy = real || p->y == NIB_I32 ? 0 : 0.05 * 0.02 * sqrt(p->k) * 60.0;
  snprintf(s->label, sizeof s->label, "%s %d %d %dx%dx%d zeros %d %d", nib_op_get(p->op)->mnemonic,
           p->matrices[0], p->matrices[1], p->m, p->k, p->n, p->zp_a, p->zp_b);
  const int most = p->matrices[0] > p->matrices[1] ? p->matrices[0] : p->matrices[1];
  const int32_t a = dense ? input(s, p->a, shape(2, p->m, p->k), sa, p->zp_a)
                          : input(s, p->a, shape(3, p->matrices[0], p->m, p->k), sa, p->zp_a);
  const int32_t b = twice   ? a
                    : dense ? input(s, p->b, shape(2, p->n, p->k), sb, p->zp_b)
                            : input(s, p->b, shape(3, p->matrices[1], p->k, p->n), sb, p->zp_b);
  const int32_t y = dense ? value(s, p->y, shape(2, p->m, p->n), sy, p->zp_y)
                          : value(s, p->y, shape(3, most, p->m, p->n), sy, p->zp_y);
  if (dense && p->n % 2) {
    const int32_t bias = real ? constant(s, NIB_F32, shape(1, p->n), 0, 0, 0)
                              : constant(s, NIB_I32, shape(1, p->n), 0, 0, 2000);
    node(s, p->op, y, 3, a, b, bias);
  } else {
    node(s, p->op, y, 2, a, b);
  }
  output(s, y);
}

static void test_vocabulary(const nib_vocab *v, const char *target, const char *rounding,
                            uint64_t seed) {
  if (v->lanes < 2 || v->pair_limit)
    return;
  suite s = suite_open("live", rounding, seed);
  for (int i = 0; i < 28; i++) {
    product p = {.op = i % 2 ? NIB_OP_MATMUL : NIB_OP_FULLY_CONNECTED,
                 .matrices = {1, 1},
                 .m = 1 + (5 * i) % 27,
                 .k = 1 + (11 * i) % 70,
                 .n = 1 + (17 * i) % (6 * v->lanes)};
    p.a = either(&s), p.b = either(&s);
    p.y = i % 9 == 8 ? NIB_I32 : either(&s);
    p.zp_a = zero_of(&s, p.a), p.zp_b = zero_of(&s, p.b);
    p.zp_y = p.y == NIB_I32 ? 0 : zero_of(&s, p.y);
    if (p.op == NIB_OP_MATMUL)
      p.matrices[0] = i % 4 == 1 ? 1 : 3, p.matrices[1] = i % 8 == 3 ? 1 : 3;
    add_product(&s, &p, false);
  }
  for (int i = 0; i < 4; i++) { /* one tensor by itself */
    const product p = {NIB_OP_FULLY_CONNECTED,
                       {1, 1},
                       5 + 9 * i,
                       8 + 13 * i,
                       5 + 9 * i,
                       NIB_I8,
                       NIB_I8,
                       NIB_I8,
                       -128 + 85 * i,
                       -128 + 85 * i,
                       3};
    add_product(&s, &p, true);
  }
  for (int i = 0; i < 8; i++) {
    const product p = {i % 2 ? NIB_OP_MATMUL : NIB_OP_FULLY_CONNECTED,
                       {i % 2 ? 2 : 1, i % 4 == 3 ? 2 : 1},
                       1 + 7 * i,
                       1 + 9 * i,
                       1 + 13 * i,
                       NIB_F32,
                       NIB_F32,
                       NIB_F32,
                       0,
                       0,
                       0};
    add_product(&s, &p, false);
  }
  const bool clang = seed % 2 && shell("command -v clang-22 >/dev/null") == 0;
  run_suite(&s, v, target, clang ? "clang-22" : "cc");
}

int main(void) { return test_each_vocabulary(test_vocabulary); }

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_single_row
/* Dense layers of one row in a vocabulary that is for those alone (avx2signs): tails of columns and
 * of K, weights at both ends of what it takes, activations at both ends of i8, zero points at both
 * ends; and what it must leave to others. */
#include "conv_cases.h"

/* Weights of the first columns are all at one end, so that sums of pairs are as large as they can
 * be. */
static void push_columns(const nib_tensor *t) {
  int8_t *w = (int8_t *)(uintptr_t)t->data;
  const int64_t k = t->dims[1];
  for (int64_t o = 0; o < t->dims[0] && o < 4; o++)
    for (int64_t i = 0; i < k; i++)
      w[o * k + i] = (int8_t)(o == 0 || (o > 1 && i % 2 == o % 2) ? INT8_MAX : -INT8_MAX);
}

static void add_row(suite *s, int outputs, int k, int zp_in, int zp_out) {
  char name[64];
  snprintf(name, sizeof name, "row %d by %d", k, outputs);
  const conv_case c = {name, FC, 1, 1,  1,  k,  outputs, 1, 1,      1,
                       1,    0,  1, I8, I8, I8, zp_in,   0, zp_out, 127};
  int32_t n;
  const int32_t y = add_conv(s, &c, &n);
  push_columns(nib_node_input(s->g, &s->g->nodes[n], 1));
  output(s, y);
}

/* Weights of more than 1.5 MB each, as the vocabulary asks for, and so few that sums fit i32. */
static void test_rows(const nib_vocab *v, const char *target, const char *rounding, uint64_t seed) {
  enum { BYTES = 1600000 };
  static const int outputs[] = {25, 48, 53, 95, BYTES / 9 + 1};
  suite s = suite_open("rows", rounding, seed);
  for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
    add_row(&s, outputs[i], BYTES / outputs[i] + 1 + (int)(seed + i) % 4, i % 3 ? -128 : 127,
            i % 2 ? 127 : -128);
  run_suite(&s, v, target, "cc");
}

/* Not more rows, not uint8, no weight that has no negative, and not few. */
static void test_refusals(const nib_vocab *v) {
  static const conv_case refused[] = {
      {"two rows", FC, 2, 1, 1, 2048, 1024, 1, 1, 1, 1, 0, 1, I8, I8, I8, 0, 0, 0, 127},
      {"uint8", FC, 1, 1, 1, 2048, 1024, 1, 1, 1, 1, 0, 1, U8, I8, U8, 128, 0, 128, 127},
      {"least weight", FC, 1, 1, 1, 2048, 1024, 1, 1, 1, 1, 0, 1, I8, I8, I8, 0, 0, 0, 127},
      {"few", FC, 1, 1, 1, 16, 24, 1, 1, 1, 1, 0, 1, I8, I8, I8, 0, 0, 0, 127}};
  suite s = suite_open("refused", "nearest-even", 5);
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    int32_t n;
    output(&s, add_conv(&s, &refused[i], &n));
    if (i == 2)
      *(int8_t *)(uintptr_t)nib_node_input(s.g, &s.g->nodes[n], 1)->data = INT8_MIN;
  }
  finish(&s);
  for (int32_t i = 0; i < s.g->n_kernels; i++)
    CHECK(!nib_schedule_find("conv_rows")->accepts(s.g, &s.g->kernels[i], v));
  nib_graph_destroy(s.g);
}

int main(void) {
  static const char *const targets[][2] = {{"avx2signs", "x86-64-v3"}};
  test_refusals(nib_vocab_find("avx2signs"));
  return test_vocabularies(test_rows, targets, 1);
}

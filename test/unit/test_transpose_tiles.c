/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_transpose_tiles
/* Transposes in tiles, in every vocabulary that has them, against the reference: elements of 1 to 8
 * bytes, last tiles that begin in the one before, few rows of many columns and the reverse, loops
 * around, bytes that stay together. */
#include "kernel_harness.h"

typedef struct transpose_case {
  shape_of from;
  int perm[5];
  int together; /* elements that stay together */
} transpose_case;

static const transpose_case cases[] = {
    {{2, {64, 64}}, {1, 0}, 1}, /* whole tiles */
    {{2, {16, 64}}, {1, 0}, 1}, /* parts are stored apart */
    {{2, {64, 16}}, {1, 0}, 1},
    {{2, {65, 17}}, {1, 0}, 1}, /* one more than tiles */
    {{2, {17, 65}}, {1, 0}, 1},
    {{2, {127, 79}}, {1, 0}, 1}, /* one less */
    {{2, {197, 131}}, {1, 0}, 1},
    {{4, {1, 64, 9, 13}}, {0, 2, 3, 1}, 1}, /* images */
    {{4, {2, 9, 13, 65}}, {0, 3, 1, 2}, 1},
    {{3, {3, 66, 71}}, {0, 2, 1}, 1}, /* loops around */
    {{4, {2, 67, 3, 65}}, {2, 3, 0, 1}, 1},
    {{4, {64, 2, 3, 65}}, {3, 1, 2, 0}, 1}, /* the same dimensions in the middle, merged */
    {{5, {2, 64, 3, 2, 67}}, {4, 2, 0, 3, 1}, 1},
    {{3, {70, 66, 2}}, {1, 0, 2}, 2}, /* two elements that stay together */
    {{4, {2, 128, 64, 4}}, {0, 2, 1, 3}, 4},
    {{2, {512, 512}}, {1, 0}, 1}, /* addresses that caches keep in the same place */
    {{3, {2, 64, 4096}}, {0, 2, 1}, 1},
    {{3, {2, 4096, 64}}, {0, 2, 1}, 1},
    {{2, {130, 4097}}, {1, 0}, 1},
    {{2, {4096, 70}}, {1, 0}, 1},
    {{4, {2, 67, 64, 64}}, {0, 2, 3, 1}, 1},
    {{4, {2, 64, 64, 67}}, {0, 3, 1, 2}, 1},
    {{3, {2, 2048, 70}}, {0, 2, 1}, 1},
    {{3, {70, 2, 4096}}, {2, 1, 0}, 1},
    {{2, {1024, 1024}}, {1, 0}, 1}, /* on both sides */
    {{3, {128, 2, 4096}}, {2, 1, 0}, 1},
};

static void add_case(suite *s, const transpose_case *k, nib_format f) {
  shape_of to = {.rank = k->from.rank};
  for (int i = 0; i < to.rank; i++)
    to.dims[i] = k->from.dims[k->perm[i]];
  snprintf(s->label, sizeof s->label, "%dx%d to %dx%d %s", (int)k->from.dims[0],
           (int)k->from.dims[1], (int)to.dims[0], (int)to.dims[1], nib_format_get(f)->name);
  const bool code = f == NIB_I8 || f == NIB_U8;
  const int32_t x = input(s, f, k->from, code ? 0.5 : 0, code ? 3 : 0);
  const int32_t y = value(s, f, to, code ? 0.5 : 0, code ? 3 : 0);
  const int32_t n = node(s, NIB_OP_TRANSPOSE, y, 1, x);
  int64_t perm[5];
  for (int i = 0; i < to.rank; i++)
    perm[i] = k->perm[i];
  nib_graph_set_ints(s->g, n, NIB_A_PERM, perm, to.rank);
  output(s, y);
}

static void test_format(const nib_vocab *v, const char *target, nib_format f, uint64_t seed) {
  suite s = suite_open("transposes", "nearest-even", seed);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if ((size_t)cases[i].together * nib_format_bytes(f) <= 8) /* others are memcpy */
      add_case(&s, &cases[i], f);
  printf("%s: ", nib_format_get(f)->name);
  run_suite(&s, v, target,
            seed % 2 && shell("command -v clang-22 >/dev/null") == 0 ? "clang-22" : "cc");
}

int main(void) {
  static const char *const targets[][2] = {{"avx2", "x86-64-v3"},
                                           {"avxvnni", "x86-64-v3+avxvnni"},
                                           {"avx512vnni", "x86-64-v4+avx512vnni"}};
  static const nib_format formats[] = {NIB_I8, NIB_U8, NIB_F16, NIB_F32, NIB_I32, NIB_I64};
  for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
    const nib_vocab *v = vocabulary_here(targets[t][0], targets[t][1]);
    for (size_t f = 0; v && f < sizeof formats / sizeof *formats; f++)
      test_format(v, targets[t][1], formats[f], 3 * t + f);
  }
  printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_byte_tables
/* Functions of codes of 8 bits as tables of bytes: alone, of sizes around a register of them, and
 * at the end of convolutions and dense layers, in every vocabulary that looks bytes up. */
#include "conv_cases.h"

static const conv_case cases[] = {
    {"pointwise parts", CONV, 1, 5, 6, 20, 64, 1, 1, 1, 1, 0, 1, I8, I8, I8, -128, 0, -4, 0},
    {"parts", CONV, 2, 6, 7, 8, 128, 3, 3, 1, 1, 1, 1, I8, I8, U8, 5, 0, 4, 0},
    {"tail", CONV, 1, 7, 9, 8, 19, 3, 3, 1, 1, 1, 1, I8, I8, I8, 3, 0, 127, 0},
    {"columns and tail", CONV, 1, 5, 5, 33, 150, 3, 3, 1, 1, 1, 1, I8, I8, I8, 1, 0, -128, 0},
    {"uint8 ends", CONV, 1, 6, 9, 5, 17, 3, 3, 1, 1, 1, 1, U8, U8, U8, 0, 255, 255, 0},
    {"groups", CONV, 1, 7, 7, 12, 18, 3, 3, 1, 1, 1, 3, I8, I8, I8, 11, 0, -7, 0},
    {"depthwise 64", DW, 1, 7, 7, 64, 64, 3, 3, 2, 1, 1, 1, I8, I8, I8, 127, 0, -4, 0},
    {"depthwise pairs", DW, 2, 7, 5, 32, 32, 3, 3, 1, 1, 1, 1, I8, I8, I8, 5, 0, -4, 0},
    {"depthwise uint8 parts", DW, 1, 7, 5, 128, 128, 3, 3, 1, 1, 1, 1, U8, U8, U8, 128, 255, 4, 0},
    {"depthwise tail", DW, 2, 6, 5, 11, 11, 5, 3, 1, 1, 2, 1, I8, I8, I8, 9, 0, -4, 0},
    {"dense row", FC, 1, 1, 1, 64, 128, 1, 1, 1, 1, 0, 1, I8, I8, I8, -5, 0, 3, 0},
    {"dense rows", FC, 5, 1, 1, 33, 70, 1, 1, 1, 1, 0, 1, U8, U8, U8, 3, 151, 9, 0},
};

/* A result of another format than its operand every other time. */
static int32_t add_table(suite *s, int32_t x, nib_format format) {
  const nib_tensor t = s->g->tensors[x];
  shape_of d = {.rank = t.rank};
  memcpy(d.dims, t.dims, sizeof d.dims);
  const int32_t y = value(s, format, d, (double)0.03f, format == U8 ? 7 : -3);
  const int32_t n = node(s, NIB_OP_LOOKUP, y, 2, x, constant(s, format, shape(1, 256), 0, 0, 0));
  output(s, y);
  return n;
}

static void test_vocabulary(const nib_vocab *v, const char *target, const char *rounding,
                            uint64_t seed) {
  static const int sizes[] = {1, 3, 31, 32, 33, 63, 64, 65, 127, 128, 300, 1027};
  suite s = suite_open("tables", rounding, seed);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const nib_format from = i & 1 ? U8 : I8, to = i & 2 ? U8 : I8;
    snprintf(s.label, sizeof s.label, "%d bytes", sizes[i]);
    add_table(&s, input(&s, from, shape(2, 1, sizes[i]), (double)0.05f, 0), to);
  }
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int32_t nodes[2];
    const int32_t y = add_conv(&s, &cases[i], &nodes[0]);
    nodes[1] = add_table(&s, y, (i + seed) % 2 ? U8 : I8);
    CHECK(nib_epilogue_accepts(s.g, nodes[0], nodes[1]));
    add_kernel(&s, nodes, 2);
  }
  const bool clang = seed % 2 && shell("command -v clang-22 >/dev/null") == 0;
  run_suite(&s, v, target, clang ? "clang-22" : "cc");
}

int main(void) {
  static const char *const targets[][2] = {
      {"c99", "c99"},
      {"avx2", "x86-64-v3"},
      {"avx2maddubs", "x86-64-v3"},
      {"avxvnni", "x86-64-v3+avxvnni"},
      {"avx512vnni", "x86-64-v4+avx512vnni"},
      {"avx512vbmi", "x86-64-v4+avx512vnni+avx512vbmi"},
  };
  return test_vocabularies(test_vocabulary, targets, sizeof targets / sizeof *targets);
}

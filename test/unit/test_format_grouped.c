/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_format_grouped %S/../golden/grouped.golden.txt
/* GPTQ's and AWQ's words, zero points and weights against hashes of what their packages' layouts
 * make of the same codes (test/golden/make_grouped_goldens.py); and the same weights as blocks. */
#include "num/format.h"
#include "num/grouped.h"
#include "num/scale_search.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { K = 96, N = 32, GROUP = 32, GROUPS = K / GROUP };

static int failures, checks;

static void fail(const char *layout, int bits, const char *what) {
  printf("%s of %d bits: %s\n", layout, bits, what);
  ++failures;
}

static uint64_t hash(const uint32_t *values, size_t n) {
  uint64_t sum = 0;
  for (size_t i = 0; i < n; ++i)
    sum += nib_random_bits(values[i], i);
  return sum;
}

static bool expected(FILE *goldens, const char *layout, int bits, const char *what, uint64_t *out) {
  char line[128], head[64];
  const int size = snprintf(head, sizeof head, "%s %d %s ", layout, bits, what);
  rewind(goldens);
  while (fgets(line, sizeof line, goldens))
    if (!strncmp(line, head, (size_t)size))
      return sscanf(line + size, "%" SCNx64, out) == 1;
  return false;
}

static void check(FILE *goldens, const char *layout, int bits, const char *what, uint64_t got) {
  uint64_t want = 0;
  if (!expected(goldens, layout, bits, what, &want) || got != want)
    fail(layout, bits, what);
  ++checks;
}

typedef struct weights {
  uint8_t codes[K * N], stored[GROUPS * N]; /* stored: zero points as they are packed */
  float scales[GROUPS * N], zeros[GROUPS * N], values[K * N];
} weights;

static void make(weights *w, bool gptq, int bits) {
  const uint64_t seed = (uint64_t)(10 * bits + !gptq), mask = (1u << bits) - 1;
  for (uint64_t i = 0; i < K * N; ++i)
    w->codes[i] = (uint8_t)(nib_random_bits(seed, i) & mask);
  for (uint64_t i = 0; i < GROUPS * N; ++i) {
    w->stored[i] = (uint8_t)(nib_random_bits(seed + 100, i) & mask);
    w->scales[i] = (float)((nib_random_bits(seed + 200, i) & 1023) + 1) / 4096.0f;
  }
}

/* As blocks of the format, column by column. */
static void check_blocks(const char *layout, int bits, const weights *w) {
  char name[64];
  snprintf(name, sizeof name, "ui%d:block=32,scale=f16,zero=ui8", bits);
  const nib_format format = nib_format_find(name);
  const size_t bytes = format == NIB_FORMAT_COUNT ? 0 : nib_format_packed_bytes(format, K);
  uint8_t *blocks = malloc(N * bytes + 1);
  float row[K];
  if (!bytes || !blocks ||
      !nib_grouped_to_blocks(w->codes, K, N, w->scales, w->zeros, (int)format, blocks)) {
    fail(layout, bits, "no blocks");
  } else {
    for (int c = 0; c < N; ++c) {
      nib_format_decode_row(format, blocks + (size_t)c * bytes, K, row);
      for (int k = 0; k < K; ++k)
        if (row[k] != w->values[k * N + c])
          fail(layout, bits, "a weight of the blocks");
    }
  }
  free(blocks);
  ++checks;
}

static void test(FILE *goldens, const char *layout, int bits) {
  static weights w;
  static uint32_t words[K * N], zero_words[GROUPS * N];
  static uint8_t back[K * N];
  const bool gptq = !strcmp(layout, "gptq");
  const nib_grouped_layout kind = gptq ? NIB_GROUPED_GPTQ : NIB_GROUPED_AWQ;
  const size_t n_words = K * N * (size_t)bits / 32, n_zeros = GROUPS * N * (size_t)bits / 32;
  make(&w, gptq, bits);
  memset(words, 0xA5, sizeof words);
  if (nib_grouped_words(kind, bits, K, N) != n_words)
    fail(layout, bits, "number of words");
  nib_grouped_pack(kind, bits, w.codes, K, N, words);
  check(goldens, layout, bits, "words", hash(words, n_words));
  if (words[n_words] != 0xA5A5A5A5)
    fail(layout, bits, "a word beyond is written");
  nib_grouped_unpack(kind, bits, words, K, N, back);
  if (memcmp(back, w.codes, sizeof back) != 0)
    fail(layout, bits, "codes differ after packing");
  /* GPTQ packs zero points along rows: the words of the transposed matrix, transposed. */
  if (gptq) {
    static uint8_t turned[GROUPS * N];
    static uint32_t columns[GROUPS * N];
    for (int i = 0; i < GROUPS * N; ++i)
      turned[i % N * GROUPS + i / N] = w.stored[i];
    nib_grouped_pack(kind, bits, turned, N, GROUPS, columns);
    for (size_t i = 0; i < n_zeros; ++i)
      zero_words[i] = columns[i % (n_zeros / GROUPS) * GROUPS + i / (n_zeros / GROUPS)];
  } else {
    nib_grouped_pack(kind, bits, w.stored, GROUPS, N, zero_words);
  }
  check(goldens, layout, bits, "zero-words", hash(zero_words, n_zeros));
  nib_grouped_unpack_zeros(kind, bits, zero_words, GROUPS, N, gptq, w.zeros);
  nib_grouped_dequantize(w.codes, K, N, GROUP, w.scales, w.zeros, w.values);
  static uint32_t value_bits[K * N];
  for (int i = 0; i < K * N; ++i)
    w.values[i] += 0.0f; /* no negative zeros */
  memcpy(value_bits, w.values, sizeof value_bits);
  check(goldens, layout, bits, "values", hash(value_bits, K * N));
  check_blocks(layout, bits, &w);
}

/* What a layout cannot hold. */
static void test_sizes(void) {
  if (nib_grouped_words(NIB_GROUPED_AWQ, 3, 32, 32) ||
      nib_grouped_words(NIB_GROUPED_GPTQ, 5, 32, 32) ||
      nib_grouped_words(NIB_GROUPED_GPTQ, 3, 33, 32) ||
      nib_grouped_words(NIB_GROUPED_AWQ, 4, 1, 12))
    fail("gptq or awq", 3, "words for what it cannot hold");
}

int main(int argc, char **argv) {
  FILE *goldens = argc == 2 ? fopen(argv[1], "r") : NULL;
  if (!goldens)
    return 2;
  for (int bits = 2; bits <= 8; ++bits) {
    if (bits == 2 || bits == 3 || bits == 4 || bits == 8)
      test(goldens, "gptq", bits);
    if (bits == 2 || bits == 4 || bits == 8)
      test(goldens, "awq", bits);
  }
  test_sizes();
  fclose(goldens);
  printf("%d checks, %d failures\n", checks, failures);
  return failures != 0 || checks != 28;
}

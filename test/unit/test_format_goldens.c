/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_format_goldens %S/../golden/formats.golden.txt
/* The number formats against hashes of what other implementations make of the same inputs
 * (test/golden/make_format_goldens.py, which documents them): every code, every f16, every code's
 * neighbours and midpoints in each rounding mode, blocks byte for byte. */
#include "num/format.h"
#include "num/format_snippets.h"
#include "num/scale_search.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VALUES = 65536, MAX_PROBES = 6 * MAX_VALUES, BLOCK_ROWS = 24, RANDOM_BLOCKS = 64 };

static int failures, checks;
static double values[MAX_VALUES];
static float probes[MAX_PROBES];

typedef struct hash {
  uint64_t sum, count;
} hash;

static void add(hash *h, uint64_t value) { h->sum += nib_random_bits(value, h->count++); }

static void add_float(hash *h, float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  add(h, isnan(x) ? 0x7FC00000 : bits);
}

/* ---- inputs ---- */

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static uint64_t code_count(nib_format f) { return UINT64_C(1) << nib_format_get(f)->bits; }

/* Finite values, midpoints, the floats around them, and what is beyond; returns how many. */
static int make_probes(nib_format f) {
  int n = 0, unique = 0, points = 0;
  for (uint64_t code = 0; code < code_count(f); ++code) {
    const double x = nib_format_decode(f, code) + 0.0;
    if (isfinite(x))
      values[n++] = x;
  }
  qsort(values, (size_t)n, sizeof *values, compare);
  for (int i = 0; i < n; ++i)
    if (unique == 0 || values[i] != values[unique - 1])
      values[unique++] = values[i];
  for (int i = 0; i < unique; ++i)
    probes[points++] = (float)values[i];
  for (int i = 0; i + 1 < unique; ++i)
    probes[points++] = (float)(values[i] + (values[i + 1] - values[i]) / 2);
  probes[points++] = (float)(values[unique - 1] * 1.5);
  probes[points++] = (float)(values[0] * 1.5);
  for (int i = 0; i < points; ++i) {
    probes[points + i] = nextafterf(probes[i], INFINITY);
    probes[2 * points + i] = nextafterf(probes[i], -INFINITY);
  }
  return 3 * points;
}

static float random_real(uint64_t seed, uint64_t i) {
  const uint64_t bits = nib_random_bits(seed, i);
  int sum = -131070;
  for (int k = 0; k < 4; ++k)
    sum += (int)(bits >> (16 * k) & 65535);
  return (float)sum * 0x1p-16f;
}

static float block_input(int row, int i, int elems) {
  if (row < 14)
    return random_real(100 + (uint64_t)row, (uint64_t)i) * ldexpf(1, row % 7 * 3 - 12) + 0.0f;
  const float extremes[] = {0,
                            1,
                            -1,
                            i == 5 ? -7.0f : 0,
                            i == 9 ? 100.0f : 0.25f,
                            (float)i - (float)elems / 2,
                            (float)(i % 16 - 8),
                            (float)(i % 3 - 1),
                            i % 2 ? -1.5f : 1.5f,
                            (float)(i % 31 - 15) * 0.5f};
  return extremes[row - 14] + 0.0f;
}

/* ---- what the golden lines are about ---- */

static uint64_t decode_hash(nib_format f) {
  hash h = {0};
  for (uint64_t code = 0; code < code_count(f); ++code)
    add_float(&h, (float)nib_format_decode(f, code));
  return h.sum;
}

/* Where the golden's source is of another opinion. */
static bool is_skipped(nib_format f, float x, bool halves) {
  return f == NIB_F8E8M0FNU && (halves ? x == 0 : x >= 0 && x < 0x1p-126f && x != 0x1p-127f);
}

static uint64_t encode_hash(nib_format f, bool halves) {
  hash h = {0};
  const int n = halves ? 65536 : make_probes(f);
  for (int i = 0; i < n; ++i) {
    const int half = (i & 0x7FFF) > 0x7C00 ? (i & 0x8000) | 0x7E00 : i; /* one NaN of each sign */
    const float x = halves ? nib_f16_to_f32((uint16_t)half) : probes[i];
    if (!is_skipped(f, x, halves))
      add(&h, nib_format_encode(f, (double)x, NIB_ENCODE_NEAREST_EVEN, false, 0));
  }
  return h.sum;
}

static uint64_t saturate_halves_hash(nib_format f, const char *mode_name) {
  hash h = {0};
  for (int i = 0; i < 65536; ++i) {
    const double x = nib_format_decode(NIB_F16, (uint64_t)i);
    if (!isnan(x))
      add(&h, nib_format_encode(f, x, nib_encode_mode_find(mode_name), true, 0));
  }
  return h.sum;
}

static uint64_t saturate_hash(nib_format f, const char *mode_name) {
  hash h = {0};
  const nib_encode_mode mode = nib_encode_mode_find(mode_name);
  const int n = make_probes(f);
  for (int i = 0; i < n; ++i)
    add(&h, nib_format_encode(f, (double)probes[i], mode, true, 0));
  return h.sum;
}

/* Random bytes as blocks, but for scales of ggml that are NaN here. */
static uint64_t blocks_hash(nib_format f) {
  const nib_format_info *info = nib_format_get(f);
  const int size = info->block_bytes, elems = info->block_elems;
  uint8_t *bytes = malloc((size_t)size * RANDOM_BLOCKS);
  float *out = malloc((size_t)elems * RANDOM_BLOCKS * sizeof *out);
  hash h = {0};
  if (!bytes || !out)
    exit(1);
  for (int i = 0; i < size * RANDOM_BLOCKS; ++i)
    bytes[i] = (uint8_t)nib_random_bits(7, (uint64_t)i);
  for (int b = 0; b < RANDOM_BLOCKS; ++b) {
    uint8_t *block = bytes + b * size;
    if (f == NIB_GGML_MXFP4)
      block[0] %= 255;
    for (int g = 0; f == NIB_GGML_NVFP4 && g < 4; ++g)
      block[g] &= 0x7E;
  }
  nib_format_decode_row(f, bytes, elems * RANDOM_BLOCKS, out);
  for (int i = 0; i < elems * RANDOM_BLOCKS; ++i) {
    add_float(&h, out[i] + 0.0f); /* ggml has no negative zeros */
    const float one = (float)nib_format_load_real(f, bytes, i);
    if (one != out[i] && !(isnan(one) && isnan(out[i])) && ++failures)
      printf("%s: element %d alone is %g, in a row %g\n", info->name, i, (double)one,
             (double)out[i]);
  }
  free(bytes);
  free(out);
  return h.sum;
}

static uint64_t block_hash(nib_format f, int row) {
  const nib_format_info *info = nib_format_get(f);
  float *x = malloc((size_t)info->block_elems * sizeof *x);
  uint8_t *block = malloc((size_t)info->block_bytes);
  hash h = {0};
  if (!x || !block)
    exit(1);
  for (int i = 0; i < info->block_elems; ++i)
    x[i] = block_input(row, i, info->block_elems);
  nib_format_encode_row(f, x, info->block_elems, NULL, block);
  for (int i = 0; i < info->block_bytes; ++i)
    add(&h, block[i]);
  free(x);
  free(block);
  return h.sum;
}

static void check(char *line) {
  char what[24], name[64], rest[32] = "";
  uint64_t want;
  int at = 0;
  if (sscanf(line, "%23s %63s %n", what, name, &at) != 2)
    return;
  if (sscanf(line + at, "%31s %" SCNx64, rest, &want) != 2)
    sscanf(line + at, "%" SCNx64, &want);
  const nib_format f = nib_format_find(name);
  ++checks;
  const uint64_t have = f == NIB_FORMAT_COUNT                  ? 0
                        : strcmp(what, "decode") == 0          ? decode_hash(f)
                        : strcmp(what, "encode") == 0          ? encode_hash(f, rest[0] == 'h')
                        : strcmp(what, "saturate") == 0        ? saturate_hash(f, rest)
                        : strcmp(what, "saturate-halves") == 0 ? saturate_halves_hash(f, rest)
                        : strcmp(what, "blocks") == 0          ? blocks_hash(f)
                        : strcmp(what, "block") == 0           ? block_hash(f, atoi(rest))
                                                               : 0;
  if (have != want && ++failures)
    printf("differs: %s\n", line);
}

int main(int argc, char **argv) {
  FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
  char line[256];
  while (file && fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = '\0';
    if (line[0] != '#')
      check(line);
  }
  if (file)
    fclose(file);
  printf("%d checks, %d failures\n", checks, failures);
  return failures || checks < 500;
}

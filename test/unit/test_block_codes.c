/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * RUN: %unit/test_block_codes
 * Casts of f32 to blocks of int8 by block_codes, in each vocabulary: the bytes of
 * nib_format_encode_row, on random numbers of all magnitudes, ties and their neighbours, zeros,
 * subnormals, infinities and NaN. */
#include "kernel_harness.h"

enum { ROWS = 257, COLUMNS = 96, ELEMS = ROWS * COLUMNS };

static const char *const formats[] = {"q8_0", "i8:block=32,scale=f32", "i8:block=96,scale=f32",
                                      "i8:block=32,scale=f16"};

/* A tie of quotients by `scale`, or what is next to one. */
static float near_tie(uint64_t *rng, float scale) {
  const float tie = ((float)((int)(next_random(rng) % 255) - 127) + 0.5f) * scale;
  const int way = (int)(next_random(rng) % 3);
  return way == 0 ? tie : nextafterf(tie, way == 1 ? INFINITY : -INFINITY);
}

static void fill(uint64_t *rng, float *x) {
  static const float ends[] = {0.0f,   -0.0f,   INFINITY, -INFINITY, NAN,
                               1e-42f, -3e-39f, 3.4e38f,  127.0f};
  for (int b = 0; b < ELEMS / 32; ++b) {
    const int exponent = (int)(next_random(rng) % 250) - 140;
    for (int i = 0; i < 32; ++i) {
      const uint64_t r = next_random(rng);
      const float v = (float)(int32_t)(uint32_t)r * 0x1p-31f;
      x[32 * b + i] = b % 7 == 0    ? ends[(r >> 40) % 9]
                      : b % 7 == 1  ? (float)((int)(r % 509) - 254) * 0.5f /* quotients at ties */
                      : b % 7 == 2  ? v
                      : b % 63 == 3 ? 0.0f
                                    : ldexpf(v, exponent);
    }
    if (b % 7 == 1) /* the scale is 1 */
      x[32 * b + 5] = 127.0f;
    if (b % 7 < 5)
      continue;
    const float scale = ldexpf(1 + (float)(next_random(rng) >> 41) * 0x1p-23f, exponent / 2);
    for (int i = 0; i < 32; ++i)
      x[32 * b + i] = i == 5 ? 127 * scale : near_tie(rng, scale);
  }
}

static void run(const char *vocab, const nib_format_info *f, model_run *model) {
  static float x[ELEMS];
  static uint8_t want[ELEMS / 32 * 36], got[ELEMS / 32 * 36];
  const int size = f->block_bytes, bytes = ELEMS / f->block_elems * size;
  uint64_t rng = 3;
  fill(&rng, x);
  nib_format_encode_row(nib_format_find(f->name), x, ELEMS, NULL, want);
  const void *in[] = {x};
  void *out[] = {got}, *arenas[] = {NULL};
  static _Alignas(64) uint8_t arena[64];
  arenas[0] = arena;
  CHECK(model(NULL, in, out, arenas) == NIBRT_OK);
  int bad = 0;
  for (int i = 0; i < bytes; ++i)
    if (got[i] != want[i] && bad++ < 3) {
      printf("%s, %s: byte %d of block %d is %d, not %d\n", vocab, f->name, i % size, i / size,
             got[i], want[i]);
      for (int k = 0; k < f->block_elems; ++k)
        printf("%g ", (double)x[i / size * f->block_elems + k]);
      printf("\n");
    }
  harness_failures += bad;
}

static void test_format(const char *name, const char *vocab, const char *target_name) {
  const nib_format format = nib_format_find(name);
  const nib_vocab *v = vocabulary_here(vocab, target_name);
  if (!v)
    return;
  suite s = suite_open("codes", "nearest-even", 1);
  snprintf(s.label, sizeof s.label, "cast");
  const int32_t x = input(&s, NIB_F32, shape(2, ROWS, COLUMNS), 0, 0);
  const int32_t y = value(&s, format, shape(2, ROWS, COLUMNS), 0, 0);
  node(&s, NIB_OP_CAST, y, 1, x);
  output(&s, y);
  finish(&s);
  const nib_schedule *codes = nib_schedule_find("block_codes");
  nib_kernel *k = &s.g->kernels[0];
  if (v->lanes == 1 && format != NIB_Q8_0) { /* one by one they are the schedule direct's */
    CHECK(!codes->accepts(s.g, k, v));
    nib_graph_destroy(s.g);
    return;
  }
  CHECK(codes->accepts(s.g, k, v));
  k->schedule = codes->name;
  k->vocab = v->name;
  char dir[64];
  make_folder(dir);
  nib_options o = emit_options(dir);
  o.target = target_name;
  CHECK(nib_emit_graph(s.g, &o, &harness_diag) == NIB_OK);
  void *library = load_library(dir, "cc");
  if (library) {
    run(vocab, nib_format_get(format), find_run(library, "codes"));
    dlclose(library);
  }
  remove_folder(dir);
  nib_graph_destroy(s.g);
}

static void test_vocabulary(const char *vocab, const char *target_name) {
  for (size_t i = 0; i < sizeof formats / sizeof *formats; ++i)
    test_format(formats[i], vocab, target_name);
}

int main(void) {
  test_vocabulary("c99", "c99");
  test_vocabulary("avx2", "x86-64-v3");
  test_vocabulary("avx512vnni", "x86-64-v4+avx512vnni");
  printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}

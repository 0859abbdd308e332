/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * RUN: %unit/test_block_dots
 * Dense layers of weights in blocks of few bits and activations in blocks of bytes (block_dots; of
 * one bit also block_tables and block_sixes, of two or four block_nested) or in f32 (block_reals)
 * or any real (digits, in block_dots): every format that the schedules take, in each vocabulary and
 * tile, over shapes with tails, on random and extreme codes, against the reference in f32 and f64.
 */
#include "kernel_harness.h"
#include "params/params.h"

enum { MAX_CASES = 400 };

static const char *const weight_formats[] = {"q4_0",
                                             "q4_1",
                                             "q5_0",
                                             "q5_1",
                                             "q8_0",
                                             "q2_k",
                                             "q3_k",
                                             "q4_k",
                                             "q5_k",
                                             "q6_k",
                                             "tq1_0",
                                             "tq2_0",
                                             "iq4_nl",
                                             "iq4_xs",
                                             "ggml_mxfp4",
                                             "ggml_nvfp4",
                                             "mxfp4",
                                             "nvfp4",
                                             "mxfp6_e2m3",
                                             "mxint8",
                                             "ui4:block=32,scale=f16,zero=ui4",
                                             "i4:block=64,scale=f32",
                                             "i3:block=32,scale=f16",
                                             "ui2:block=16,scale=bf16,offset=f16",
                                             "i2:block=32,scale=e8m0",
                                             "ternary:block=64,scale=f16",
                                             "bipolar1:block=32,scale=f16",
                                             "bipolar2:block=128,scale=f32",
                                             "i7:block=32,scale=f16",
                                             "ui6:block=96,scale=f16,offset=f16",
                                             "book:-3,-1,0,2:block=32,scale=f16"};
#define N_FORMATS ((int)(sizeof weight_formats / sizeof *weight_formats))

/* With activations in f32 also these. */
static const char *const real_formats[] = {"nf4_b64", "power4:0.7:block=16,scale=f16",
                                           "book:-1,-0.3,0.3,1:block=16,scale=bf16",
                                           "ui4:block=32,scale=f16,zero=f16"};
#define N_REAL_FORMATS ((int)(sizeof real_formats / sizeof *real_formats))

/* Of one bit, with scales for less than a register of elements, for one and for many. */
static const char *const bit_formats[] = {
    "bipolar1:block=32,scale=f16",       "bipolar1:block=128,scale=f16",
    "ui1:block=64,scale=f16,offset=f16", "ui1:block=96,scale=f32",
    "book:-3,1:block=64,scale=bf16",     "bipolar1:block=1024,scale=f32"};
#define N_BIT_FORMATS ((int)(sizeof bit_formats / sizeof *bit_formats))

/* Of those that sums of six serve: whole pairs of 32 elements, nothing added. */
static const char *const six_formats[] = {
    "bipolar1:block=64,scale=f16",   "bipolar1:block=128,scale=f16",
    "ui1:block=64,scale=bf16",       "ui1:block=192,scale=f32",
    "book:-1,1:block=64,scale=e8m0", "bipolar1:block=1024,scale=f32"};
#define N_SIX_FORMATS ((int)(sizeof six_formats / sizeof *six_formats))

/* Of two and four bits, with steps of one unit, of several, and of groups of several steps. */
static const char *const nested_formats[] = {"q4_0",
                                             "q4_1",
                                             "q4_k",
                                             "q2_k",
                                             "tq2_0",
                                             "i4:block=64,scale=f32",
                                             "ui4:block=32,scale=f16,zero=ui4",
                                             "i4:block=8,scale=bf16",
                                             "ui2:block=16,scale=bf16,offset=f16",
                                             "i2:block=32,scale=e8m0",
                                             "ternary:block=64,scale=f16",
                                             "ternary:block=1024,scale=f32"};
#define N_NESTED_FORMATS ((int)(sizeof nested_formats / sizeof *nested_formats))

static const char *const reals[] = {"f32", "f16", "bf16"};
static const char *const row_formats[] = {"q8_0", "mxint8", "i8:block=256,scale=f32"};

static float small_real(suite *s) { return (float)pick(s, -1000, 1000) / 700.0f; }

/* 0: reals much alike; of activations in f32 also tiny, or none of a row's a number; or, where
 * their scales have exponents for it, huge. */
enum { EXTREME = 1, APART, TINY, NO_NUMBER, HUGE_REALS };

/* Blocks of `f` from reals, then (extreme) codes at both ends: all bytes of codes 0x00 or 0xFF …
 * Or, apart, scales of very different blocks, some of which are 0. */
static void fill_blocks(suite *s, nib_format f, int64_t n, int extreme, void *out) {
  const nib_format_info *info = nib_format_get(f);
  float *x = malloc((size_t)n * sizeof *x);
  for (int64_t i = 0; i < n; ++i)
    x[i] = extreme == EXTREME ? (next_random(&s->rng) % 2 ? 1.75f : -1.75f) : small_real(s);
  const int64_t block = info->block_elems ? info->block_elems : 32;
  for (int64_t b = 0; extreme == APART && b < n / block; ++b) {
    const float factor = b % 7 == 3 ? 0.0f : ldexpf(1.0f, pick(s, -9, 9));
    for (int64_t i = b * block; i < (b + 1) * block; ++i)
      x[i] *= factor;
  }
  for (int64_t i = 0; f == NIB_F32 && extreme == TINY && i < n; ++i)
    x[i] *= 0x1p-120f;
  for (int64_t i = 0; extreme == HUGE_REALS && i < n; ++i)
    x[i] *= 0x1p112f;
  for (int64_t i = 0; f == NIB_F32 && extreme == NO_NUMBER && i < n; i += 100)
    x[i] = i % 200 ? NAN : INFINITY;
  if (f == NIB_F32)
    memcpy(out, x, (size_t)n * sizeof *x);
  else
    nib_format_encode_row(f, x, n, NULL, out);
  /* Plain int8 codes reach -128, which encoders do not write. */
  if (extreme == EXTREME && info->block.element == NIB_I8)
    for (int64_t b = 0; b < n / info->block_elems; ++b)
      memset((uint8_t *)out + b * info->block_bytes + info->block.codes.low.at / 8,
             b % 3 ? 0x80 : 0x7F, (size_t)info->block_elems);
  free(x);
}

typedef struct layer_case {
  int32_t x, y;
  int extreme;
} layer_case;

static layer_case cases[MAX_CASES];
static int n_cases;

static void add_case(suite *s, const char *weights, const char *activations, int rows, int outputs,
                     int blocks, int extreme) {
  const nib_format wf = nib_format_find(weights), xf = nib_format_find(activations);
  CHECK(wf != NIB_FORMAT_COUNT && xf != NIB_FORMAT_COUNT);
  const int a = nib_format_get(xf)->block_elems, b = nib_format_get(wf)->block_elems;
  const int k = (a > b ? a : b) * blocks;
  snprintf(s->label, sizeof s->label, "%.30s %d %d %d%s", weights, rows, outputs, k,
           extreme == APART        ? " apart"
           : extreme == TINY       ? " tiny"
           : extreme == NO_NUMBER  ? " no number"
           : extreme == HUGE_REALS ? " huge"
           : extreme               ? " extreme"
                                   : "");
  const int32_t x = input(s, xf, shape(2, rows, k), 0, 0);
  const int32_t w = value(s, wf, shape(2, outputs, k), 0, 0);
  const size_t bytes = nib_tensor_bytes(&s->g->tensors[w]);
  void *data = malloc(bytes);
  fill_blocks(s, wf, (int64_t)outputs * k, extreme == HUGE_REALS ? 0 : extreme, data);
  nib_graph_set_data(s->g, w, data, bytes, NIB_DATA_COPY);
  free(data);
  const nib_format yf = xf == NIB_F16 || xf == NIB_BF16 ? xf : NIB_F32;
  const int32_t y = value(s, yf, shape(2, rows, outputs), 0, 0);
  if (outputs % 2) {
    node(s, NIB_OP_FULLY_CONNECTED, y, 2, x, w);
  } else {
    const int32_t bias = constant(s, yf, shape(1, outputs), 0, 0, 0);
    const int32_t n = node(s, NIB_OP_FULLY_CONNECTED, y, 3, x, w, bias);
    nib_graph_set_string(s->g, n, NIB_A_ACTIVATION, "relu");
  }
  output(s, y);
  CHECK(n_cases < MAX_CASES);
  cases[n_cases++] = (layer_case){x, y, extreme};
}

/* Every kernel with `schedule`, or the one for its activations, and one of the tiles offered. */
static void select_all(suite *s, const nib_vocab *v, const char *schedule) {
  int64_t at = 0;
  for (int32_t i = 0; i < s->g->n_kernels; ++i) {
    nib_kernel *k = &s->g->kernels[i];
    const nib_node *root = &s->g->nodes[k->nodes[0]];
    const bool real = nib_params_is_real(nib_node_input(s->g, root, 0)->format);
    const nib_schedule *sched = nib_schedule_find(schedule ? schedule
                                                  : real   ? "block_reals"
                                                           : "block_dots");
    if (!sched->accepts(s->g, k, v)) {
      printf("%s: not accepted in %s\n", s->g->nodes[k->nodes[0]].name, v->name);
      ++harness_failures;
      continue;
    }
    int32_t tiles[16][NIB_MAX_TILE];
    const int n = sched->tiles(s->g, k, v, tiles, 16);
    /* Of many rows by reals the last one, which unpacks. */
    const bool many = real && s->g->tensors[root->out].dims[0] >= 16;
    memcpy(k->tile, tiles[many ? n - 1 : i % n], sizeof k->tile);
    k->schedule = sched->name;
    k->vocab = v->name;
    k->scratch_bytes = sched->scratch_bytes(s->g, k, v);
    k->scratch_offset = at;
    at += (k->scratch_bytes + 63) / 64 * 64;
  }
  s->g->arena_bytes = at;
}

static double distance(const double *y, const double *r, int64_t n) {
  double most = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double d = fabs(y[i] - r[i]);
    most = d > most || d != d ? (d != d ? INFINITY : d) : most;
  }
  return most;
}

static double *decode(const nib_tensor *t, const void *data) {
  const int64_t n = nib_tensor_elems(t);
  float *reals = malloc((size_t)n * sizeof *reals);
  double *decoded = malloc((size_t)n * sizeof *decoded);
  nib_format_decode_row(t->format, data, n, reals);
  for (int64_t i = 0; i < n; ++i)
    decoded[i] = (double)reals[i];
  free(reals);
  return decoded;
}

/* Of the largest result: what sums in f32 may be off by, or a unit in the last place of fewer bits,
 * of which no exact result is kept. */
static double bound_of(nib_format f) {
  return f == NIB_F16 ? 0x1p-10 : f == NIB_BF16 ? 0x1p-7 : 1e-5;
}

/* Each row has activations that are no numbers: neither is a result. */
static void check_no_number(const nib_tensor *y, const float *results) {
  for (int64_t i = 0; i < nib_tensor_elems(y); ++i)
    if (results[i] == results[i]) {
      printf("%s: result %lld is %g, of what is no number\n", y->name, (long long)i,
             (double)results[i]);
      ++harness_failures;
      return;
    }
}

static void compare(suite *s, const char *vocab, nib_reference *f, nib_reference *r,
                    void *const *out) {
  for (int i = 0; i < n_cases; ++i) {
    const nib_tensor *t = &s->g->tensors[cases[i].y];
    const int64_t n = nib_tensor_elems(t);
    if (cases[i].extreme == NO_NUMBER) {
      check_no_number(t, out[i]);
      continue;
    }
    double *ours = decode(t, out[i]), *rounded = decode(t, nib_reference_tensor(f, cases[i].y));
    const double *exact = t->format == NIB_F32 ? nib_reference_doubles(r, cases[i].y) : rounded;
    double norm = 0;
    for (int64_t k = 0; k < n; ++k)
      norm = fmax(norm, fabs(exact[k]));
    const double mine = distance(ours, exact, n), theirs = distance(rounded, exact, n);
    if (!(mine <= fmax(bound_of(t->format) * norm, 2 * theirs))) {
      printf("%s, %s: off by %g, the reference by %g of %g\n", vocab, t->name, mine, theirs, norm);
      ++harness_failures;
    }
    free(ours);
    free(rounded);
  }
}

static void run(suite *s, const char *vocab, model_run *model) {
  nib_reference *f = NULL, *r = NULL;
  void *in[max_ports], *out[max_ports];
  for (int i = 0; i < n_cases; ++i) {
    const nib_tensor *x = &s->g->tensors[cases[i].x], *y = &s->g->tensors[cases[i].y];
    in[i] = aligned_alloc(64, (nib_tensor_bytes(x) + 63) / 64 * 64);
    out[i] = aligned_alloc(64, (nib_tensor_bytes(y) + 63) / 64 * 64);
    fill_blocks(s, x->format, nib_tensor_elems(x), cases[i].extreme, in[i]);
  }
  void *arena = aligned_alloc(64, ((size_t)s->g->arena_bytes + 64) / 64 * 64);
  void *arenas[1] = {arena};
  memset(arena, 0xAA, (size_t)s->g->arena_bytes);
  CHECK(nib_reference_create(s->g, &f, &harness_diag) == NIB_OK);
  CHECK(nib_reference_create(s->g, &r, &harness_diag) == NIB_OK);
  nib_reference_use_double(r, true);
  CHECK(nib_reference_run(f, (const void *const *)in, &harness_diag) == NIB_OK);
  CHECK(nib_reference_run(r, (const void *const *)in, &harness_diag) == NIB_OK);
  CHECK(model(NULL, (const void *const *)in, out, arenas) == NIBRT_OK);
  compare(s, vocab, f, r, out);
  nib_reference_destroy(f);
  nib_reference_destroy(r);
  for (int i = 0; i < n_cases; ++i) {
    free(in[i]);
    free(out[i]);
  }
  free(arena);
}

static void compile_and_run(suite *s, const nib_vocab *v, const char *target,
                            const char *schedule) {
  select_all(s, v, schedule);
  char dir[64];
  make_folder(dir);
  nib_options o = emit_options(dir);
  o.target = target;
  if (nib_emit_graph(s->g, &o, &harness_diag) != NIB_OK) {
    printf("%s: %s\n", v->name, harness_message);
    ++harness_failures;
  } else {
    void *library = load_library(dir, "cc");
    if (library) {
      run(s, v->name, find_run(library, s->g->name));
      dlclose(library);
    }
  }
  if (getenv("NIB_KEEP"))
    printf("kept %s\n", dir);
  else
    remove_folder(dir);
}

/* Tails of rows and outputs from 1 to twice the tile, one to three blocks. */
static void add_cases(suite *s, int lanes) {
  for (int i = 0; i < N_FORMATS; ++i) {
    add_case(s, weight_formats[i], "q8_0", 1, 2 * lanes + 3, 1 + i % 3, 0);
    add_case(s, weight_formats[i], "q8_0", 2 + i % 8, 1 + (7 * i) % (4 * lanes), 1, i % 2);
    const bool meets = nib_format_get(nib_format_find(weight_formats[i]))->block_elems != 96;
    add_case(s, weight_formats[i], row_formats[meets ? i % 3 : 0], 1 + i % 3, 4 * lanes, 2, 1);
  }
  for (int i = 0; i < N_FORMATS + N_REAL_FORMATS; ++i) {
    const char *format = i < N_FORMATS ? weight_formats[i] : real_formats[i - N_FORMATS];
    add_case(s, format, "f32", 1, 2 * lanes + 3, 1 + i % 3, 0);
    add_case(s, format, reals[i % 3], 2 + i % 8, 1 + (5 * i) % (6 * lanes), 2, i % 2);
    add_case(s, format, reals[i / 3 % 3], 16 + 5 * i % 43, 1 + (9 * i) % (5 * lanes), 1 + i % 2,
             i % 3 == 1);
  }
  for (int rows = 1; rows <= 13; ++rows)
    add_case(s, "q4_0", "q8_0", rows, rows % 2 ? 2 * lanes : 3 * lanes - 1, 3, rows % 3 == 0);
  if (lanes > 1) /* several chunks of K and blocks of rows */
    for (int i = 0; i < 3; ++i)
      add_case(s, i == 1 ? "tq2_0" : "q4_0", i == 2 ? "i8:block=256,scale=f32" : "q8_0", 205 + i,
               lanes + 1, i == 0 ? 131 : 17, i % 2);
  for (int rows = 37; lanes > 1 && rows < 43; ++rows) /* all tiles */
    add_case(s, "tq2_0", "i8:block=256,scale=f32", rows, 5 * lanes - 3, 3, rows % 2);
  for (int rows = 1; rows <= 4; ++rows)
    add_case(s, "q4_0", rows % 2 ? "mxint8" : "i8:block=32,scale=bf16", rows, 2 * lanes, 3,
             HUGE_REALS);
  for (int outputs = 1; outputs <= 4 * lanes; outputs += 1 + lanes / 4)
    add_case(s, "tq2_0", "q8_0", 1, outputs, 1, 0);
}

/* Sums that are looked up: tails from 1 to twice the widest tile, rows likewise. */
static void add_bit_cases(suite *s, int lanes) {
  for (int i = 0; i < N_BIT_FORMATS; ++i) {
    const bool meets = nib_format_get(nib_format_find(bit_formats[i]))->block_elems != 96;
    for (int rows = 1; rows <= 9; ++rows)
      add_case(s, bit_formats[i], meets ? row_formats[rows % 3] : "q8_0", rows,
               1 + (11 * rows + 5 * i) % (8 * lanes), 1 + rows % 4, rows % 3 == 0);
  }
  for (int outputs = 1; outputs <= 8 * lanes; outputs += 1 + lanes / 3)
    add_case(s, "bipolar1:block=1024,scale=f32", "i8:block=1024,scale=f32", 1 + outputs % 3,
             outputs, 1 + outputs % 3, outputs % 2);
}

/* Sums of six that are looked up: one to three panels, few rows and more than one chunk of K. */
static void add_six_cases(suite *s, int lanes) {
  for (int i = 0; i < N_SIX_FORMATS; ++i) {
    const bool meets = nib_format_get(nib_format_find(six_formats[i]))->block_elems != 192;
    for (int extreme = 0; extreme <= APART; ++extreme)
      for (int rows = 1; rows <= (i < N_SIX_FORMATS - 1 ? 3 : 2); ++rows)
        add_case(s, six_formats[i], meets ? row_formats[(rows + extreme) % 3] : "q8_0", rows,
                 4 * lanes * (1 + (i + rows) % 3), 1 + (i + rows) % 4, extreme);
    add_case(s, six_formats[i], "q8_0", 1, 4 * lanes, 15 + i, APART);
  }
  add_case(s, "bipolar1:block=128,scale=f16", "q8_0", 1, 8 * lanes, 32, 0);
  add_case(s, "bipolar1:block=1024,scale=f32", "i8:block=1024,scale=f32", 1, 4 * lanes, 3, EXTREME);
}

static int bits_of(const char *format) {
  const nib_format_info *info = nib_format_get(nib_format_find(format));
  return nib_format_get((nib_format)info->block.element)->bits;
}

/* Nested sums: one row, one to three panels; 16 registers are too few for those of two bits. */
static void add_nested_cases(suite *s, const nib_vocab *v) {
  for (int i = 0; i < N_NESTED_FORMATS; ++i)
    for (int extreme = 0; extreme <= APART; ++extreme)
      for (int panels = 1; panels <= 3; ++panels)
        if (v->registers > 16 || bits_of(nested_formats[i]) == 4)
          add_case(s, nested_formats[i], row_formats[(i + panels) % 3], 1,
                   16 / bits_of(nested_formats[i]) * v->lanes * panels,
                   1 + (i + extreme + panels) % 4, extreme);
}

/* Activations that become digits: tails as above, and many rows in chunks and blocks. In registers
 * of 16 lanes all formats at all extremes, else one after the other. */
static void add_digit_cases(suite *s, int lanes) {
  for (int i = 0; i < N_FORMATS; ++i)
    for (int extreme = 0; extreme <= APART; ++extreme) {
      if (lanes < 16 && (i + lanes) % 3 != extreme)
        continue;
      add_case(s, weight_formats[i], "f32", 1 + (i + extreme) % 9,
               1 + (7 * i + 5 * extreme) % (4 * lanes), 1 + extreme, extreme);
      add_case(s, weight_formats[i], reals[(i + extreme) % 3], 1, 2 * lanes + 3, 1 + i % 3,
               extreme);
    }
  for (int extreme = TINY; extreme <= NO_NUMBER; ++extreme) {
    add_case(s, "q4_1", "f32", 2, 3 * lanes - !(lanes % 2), 3, extreme); /* an odd number */
    add_case(s, "tq2_0", "f32", 1, 2 * lanes + 1, 1, extreme);
  }
  static const char *const many[] = {"q4_0", "tq2_0", "q4_1"};
  for (int i = 0; lanes > 1 && i < 3; ++i)
    add_case(s, many[i], reals[i], 205 + i, lanes + 1, i == 1 ? 17 : 131, i);
}

static void test_vocabulary(const char *vocab, const char *target_name, const char *schedule) {
  const nib_vocab *v = vocabulary_here(vocab, target_name);
  if (!v)
    return;
  n_cases = 0;
  suite s = suite_open("dots", "nearest-even", 11);
  if (schedule && strcmp(schedule, "block_sixes") == 0)
    add_six_cases(&s, v->lanes);
  else if (schedule && strcmp(schedule, "block_nested") == 0)
    add_nested_cases(&s, v);
  else if (schedule && strcmp(schedule, "block_dots") == 0)
    add_digit_cases(&s, v->lanes);
  else if (schedule)
    add_bit_cases(&s, v->lanes);
  else
    add_cases(&s, v->lanes);
  finish(&s);
  if (nib_graph_validate(s.g, &harness_diag) != NIB_OK) {
    printf("%s\n", harness_message);
    ++harness_failures;
  }
  compile_and_run(&s, v, target_name, schedule);
  printf("%s: %d products\n", vocab, n_cases);
  nib_graph_destroy(s.g);
}

int main(void) {
  test_vocabulary("c99", "c99", NULL);
  test_vocabulary("avx2", "x86-64-v3", NULL);
  test_vocabulary("avx512vnni", "x86-64-v4+avx512vnni", NULL);
  test_vocabulary("c99", "c99", "block_dots");
  test_vocabulary("avx2", "x86-64-v3", "block_dots");
  test_vocabulary("avxvnni", "x86-64-v3+avxvnni", "block_dots");
  test_vocabulary("avx512vnni", "x86-64-v4+avx512vnni", "block_dots");
  test_vocabulary("c99", "c99", "block_nested");
  test_vocabulary("avxvnni", "x86-64-v3+avxvnni", "block_nested");
  test_vocabulary("avx512vnni", "x86-64-v4+avx512vnni", "block_nested");
  test_vocabulary("c99", "c99", "block_tables");
  test_vocabulary("avx512vbmi", "x86-64-v4+avx512vnni+avx512vbmi", "block_tables");
  test_vocabulary("c99", "c99", "block_sixes");
  test_vocabulary("avx512vbmi", "x86-64-v4+avx512vnni+avx512vbmi", "block_sixes");
  printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}

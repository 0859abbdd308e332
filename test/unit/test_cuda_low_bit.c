/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * RUN: %unit/test_cuda_low_bit
 * Dense layers of weights of few bits on CUDA, in emulation (test/cuda): every format of blocks and
 * codebooks, with activations in f16, bf16, f32 and blocks of bytes, over shapes with tails and all
 * tiles, on random and extreme codes, against the reference in f32 and f64. */
#include "cuda_harness.h"

enum { MAX_CASES = 400 };

/* Blocks and scalars of integers (times a power of two) that fit int8: with activations in blocks
 * of bytes too. */
static const char *const integer_formats[] = {"q4_0",
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
                                              "i2:block=128,scale=f16",
                                              "ternary:block=64,scale=f16",
                                              "bipolar1:block=32,scale=f16",
                                              "bipolar2:block=128,scale=f32",
                                              "i7:block=32,scale=f16",
                                              "book:-3,-1,0,2:block=32,scale=f16",
                                              "ui4:block=32,scale=f16,zero=f16",
                                              "iq4nl",
                                              "f4E2M1FN"};
#define N_INTEGERS ((int)(sizeof integer_formats / sizeof *integer_formats))

/* All others: reals, codebooks, bytes without a sign, groups that no operand fits. */
static const char *const real_formats[] = {"mxfp6_e3m2",
                                           "mxfp8_e4m3",
                                           "mxfp6_e2m3",
                                           "nf4_b64",
                                           "dynamic8_b2048",
                                           "ui6:block=96,scale=f16,offset=f16",
                                           "ui8:block=32,scale=f16,zero=ui8",
                                           "power4:0.7:block=16,scale=f16",
                                           "book:-1,-0.3,0.3,1:block=16,scale=bf16",
                                           "i4:block=7,scale=f16",
                                           "bipolar8:block=32,scale=f32",
                                           "e2m2:block=16,scale=e8m0",
                                           "e3m4:block=48,scale=f16",
                                           "nf4",
                                           "dynamic8",
                                           "f8E4M3FN",
                                           "f8E5M2",
                                           "book:-1,-0.3,0.3,1"};
#define N_REALS ((int)(sizeof real_formats / sizeof *real_formats))

typedef struct layer_case {
  int32_t x, y;
  int extreme;
  int32_t tile[NIB_MAX_TILE];
} layer_case;

static layer_case cases[MAX_CASES];
static int n_cases;
static bool rounds; /* weights, to the operands' type */

/* Rows of `f` from reals, then (extreme) of both signs and one magnitude. Scalars: any code but NaN
 * and infinity. */
static void fill_rows(suite *s, nib_format f, int64_t n, int extreme, void *out) {
  const nib_format_info *info = nib_format_get(f);
  float *x = malloc((size_t)n * sizeof *x);
  for (int64_t i = 0; i < n; ++i)
    x[i] = extreme ? (next_random(&s->rng) % 2 ? 1.75f : -1.75f)
                   : (float)pick(s, -1000, 1000) / 700.0f;
  nib_format_encode_row(f, x, n, NULL, out);
  if (extreme && info->kind == NIB_KIND_BLOCK && info->block.element == NIB_I8)
    for (int64_t b = 0; b < n / info->block_elems; ++b)
      memset((uint8_t *)out + b * info->block_bytes + info->block.codes.low.at / 8,
             b % 3 ? 0x80 : 0x7F, (size_t)info->block_elems);
  free(x);
}

static void add_case(suite *s, const char *weights, const char *activations, int rows, int outputs,
                     int k, int extreme, int tiles, int warps, int ahead) {
  const nib_format wf = nib_format_find(weights), xf = nib_format_find(activations);
  CHECK(wf != NIB_FORMAT_COUNT && xf != NIB_FORMAT_COUNT);
  snprintf(s->label, sizeof s->label, "%.24s by %.8s %d %d %d%s", weights, activations, rows,
           outputs, k, extreme ? " extreme" : "");
  const int32_t x = input(s, xf, shape(2, rows, k), 0, 0);
  const int32_t w = value(s, wf, shape(2, outputs, k), 0, 0);
  const size_t bytes = nib_tensor_bytes(&s->g->tensors[w]);
  void *data = malloc(bytes);
  fill_rows(s, wf, (int64_t)outputs * k, extreme, data);
  nib_graph_set_data(s->g, w, data, bytes, NIB_DATA_COPY);
  free(data);
  const nib_format yf = nib_format_get(xf)->kind == NIB_KIND_BLOCK ? NIB_F32 : xf;
  const int32_t y = value(s, yf, shape(2, rows, outputs), 0, 0);
  int32_t n;
  if (outputs % 2) {
    n = node(s, NIB_OP_FULLY_CONNECTED, y, 2, x, w);
  } else {
    const int32_t bias = constant(s, yf, shape(1, outputs), 0, 0, 0);
    n = node(s, NIB_OP_FULLY_CONNECTED, y, 3, x, w, bias);
    nib_graph_set_string(s->g, n, NIB_A_ACTIVATION, "relu");
  }
  if (rounds)
    nib_graph_set_string(s->g, n, NIB_A_DECODE, "operand");
  output(s, y);
  CHECK(n_cases < MAX_CASES);
  cases[n_cases++] = (layer_case){x, y, extreme, {tiles, warps, ahead}};
}

static void select_all(suite *s, const nib_vocab *v, const char *name) {
  const nib_schedule *schedule = nib_schedule_find(name);
  for (int32_t i = 0; i < s->g->n_kernels; ++i) {
    nib_kernel *k = &s->g->kernels[i];
    memcpy(k->tile, cases[i].tile, sizeof k->tile);
    if (!schedule->accepts(s->g, k, v)) {
      printf("%s: not accepted in %s\n", s->g->nodes[k->nodes[0]].name, v->name);
      ++harness_failures;
    }
    if (!k->tile[0])
      schedule->tiles(s->g, k, v, &k->tile, 1);
    k->schedule = schedule->name;
    k->vocab = v->name;
    k->scratch_bytes = schedule->scratch_bytes(s->g, k, v);
  }
}

/* The largest error, beyond one unit in the last place of the result's format where that is short.
 */
static double distance(const nib_tensor *t, const void *y, const double *r) {
  const double unit = t->format == NIB_F16 ? 0x1.01p-10 : t->format == NIB_BF16 ? 0x1.01p-7 : 0;
  double most = 0;
  for (int64_t i = 0; i < nib_tensor_elems(t); ++i) {
    const double x = nib_format_load_real(t->format, y, i);
    if ((isnan(r[i]) && isnan(x)) || r[i] == x)
      continue;
    const double d = fmax(0, fabs(x - r[i]) - unit * fabs(r[i]));
    most = d > most ? d : x != x || r[i] != r[i] ? INFINITY : most;
  }
  return most;
}

static void compare(suite *s, nib_reference *f, nib_reference *r, void *const *out) {
  for (int i = 0; i < n_cases; ++i) {
    const nib_tensor *t = &s->g->tensors[cases[i].y];
    const int64_t n = nib_tensor_elems(t);
    const double *wide = nib_reference_doubles(r, cases[i].y);
    double *exact = malloc((size_t)n * sizeof *exact), norm = 0;
    for (int64_t k = 0; k < n; ++k) {
      exact[k] =
          wide ? wide[k] : nib_format_load_real(t->format, nib_reference_tensor(r, cases[i].y), k);
      norm = fmax(norm, fabs(exact[k]));
    }
    const double mine = distance(t, out[i], exact);
    const double theirs = distance(t, nib_reference_tensor(f, cases[i].y), exact);
    if (getenv("NIB_VERBOSE"))
      printf("%s: %g %g of %g\n", t->name, mine, theirs, norm);
    free(exact);
    if (!(mine <= fmax(1e-5 * norm, 2 * theirs))) {
      printf("%s: off by %g, the reference by %g of %g\n", t->name, mine, theirs, norm);
      ++harness_failures;
    }
  }
}

/* Elements of all results that are those of the reference, bit for bit. */
static int64_t count_equal(suite *s, nib_reference *f, void *const *out) {
  int64_t equal = 0;
  for (int i = 0; i < n_cases; ++i) {
    const nib_tensor *t = &s->g->tensors[cases[i].y];
    const uint16_t *want = nib_reference_tensor(f, cases[i].y), *got = out[i];
    for (int64_t k = 0; k < nib_tensor_elems(t); ++k)
      equal += want[k] == got[k];
  }
  return equal;
}

/* Rounded weights show in many elements: they are much more often those of the reference that
 * rounds them than of one that does not. */
static void compare_rounding(suite *s, nib_reference *f, void *const *in, void *const *out) {
  nib_reference *exact = NULL;
  for (int32_t i = 0; i < s->g->n_nodes; ++i)
    nib_graph_set_string(s->g, i, NIB_A_DECODE, "exact");
  CHECK(nib_reference_create(s->g, &exact, &harness_diag) == NIB_OK);
  CHECK(nib_reference_run(exact, (const void *const *)in, &harness_diag) == NIB_OK);
  const int64_t rounded = count_equal(s, f, out), others = count_equal(s, exact, out);
  int64_t all = 0;
  for (int i = 0; i < n_cases; ++i)
    all += nib_tensor_elems(&s->g->tensors[cases[i].y]);
  printf("%s: of %lld elements %lld are those of rounded weights, %lld of others\n", s->g->name,
         (long long)all, (long long)rounded, (long long)others);
  CHECK((all - rounded) * 50 < all && (all - others) * 10 > all);
  nib_reference_destroy(exact);
}

static void run(suite *s) {
  nib_reference *f = NULL, *r = NULL;
  void *in[max_ports], *out[max_ports];
  for (int i = 0; i < n_cases; ++i) {
    const nib_tensor *x = &s->g->tensors[cases[i].x], *y = &s->g->tensors[cases[i].y];
    in[i] = aligned_alloc(64, (nib_tensor_bytes(x) + 63) / 64 * 64);
    out[i] = aligned_alloc(64, (nib_tensor_bytes(y) + 63) / 64 * 64);
    memset(out[i], 0xA5, nib_tensor_bytes(y));
    fill_rows(s, x->format, nib_tensor_elems(x), cases[i].extreme, in[i]);
  }
  CHECK(nib_reference_create(s->g, &f, &harness_diag) == NIB_OK);
  CHECK(nib_reference_create(s->g, &r, &harness_diag) == NIB_OK);
  nib_reference_use_double(r, true);
  CHECK(nib_reference_run(f, (const void *const *)in, &harness_diag) == NIB_OK);
  CHECK(nib_reference_run(r, (const void *const *)in, &harness_diag) == NIB_OK);
  CHECK(run_on_cuda(NULL, (const void *const *)in, out, NULL) == NIBRT_OK);
  compare(s, f, r, out);
  if (rounds)
    compare_rounding(s, f, in, out);
  nib_reference_destroy(f);
  nib_reference_destroy(r);
  for (int i = 0; i < n_cases; ++i) {
    free(in[i]);
    free(out[i]);
  }
}

static void compile_and_run(suite *s, const char *schedule) {
  const bool hopper = strcmp(schedule, "low_bit_warpgroup") == 0;
  char dir[64];
  finish(s);
  if (nib_graph_validate(s->g, &harness_diag) != NIB_OK) {
    printf("%s\n", harness_message);
    ++harness_failures;
  }
  select_all(s, nib_vocab_find(hopper ? "cuda90a" : "cuda"), schedule);
  make_folder(dir);
  nib_options o = emit_options(dir);
  o.target = hopper ? "sm_90a" : "sm_80";
  if (nib_emit_graph(s->g, &o, &harness_diag) != NIB_OK) {
    printf("%s: %s\n", s->g->name, harness_message);
    ++harness_failures;
  } else if (!open_cuda(dir, s->g->name)) {
    printf("%s: no emulation\n", s->g->name);
    ++harness_failures;
  } else {
    run(s);
  }
  close_cuda();
  printf("%s: %d products\n", s->g->name, n_cases);
  if (getenv("NIB_KEEP"))
    printf("kept %s\n", dir);
  else
    remove_folder(dir);
  nib_graph_destroy(s->g);
}

static void open_suite(suite *s, const char *name, uint64_t seed) {
  n_cases = 0;
  *s = suite_open(name, "nearest-even", seed);
}

/* Elements of K: so many blocks (or 32 scalars). */
static int k_of(const char *weights, int blocks) {
  const int block = nib_format_get(nib_format_find(weights))->block_elems;
  return (block ? block : 32) * blocks;
}

/* Every format, one to three blocks, with rows and outputs that fill no tile. */
static void test_formats(const char *activations) {
  suite s;
  char name[32];
  snprintf(name, sizeof name, "formats_%.8s", activations);
  open_suite(&s, name, 3);
  const bool bytes = strcmp(activations, "q8_0") == 0;
  for (int i = 0; i < N_INTEGERS + (bytes ? 0 : N_REALS); ++i) {
    const char *format = i < N_INTEGERS ? integer_formats[i] : real_formats[i - N_INTEGERS];
    const int k = k_of(format, 1 + i % 3);
    add_case(&s, format, activations, 1 + (i * 3) % 9, 16 + (7 * i) % 19,
             bytes ? (k + 31) / 32 * 32 : k, i % 4 == 3, 1 + i % 2, 1 + i % 3, 1 + i % 2);
  }
  compile_and_run(&s, "low_bit_stream");
}

/* Rows of one and two operands and of several blocks; all tiles; the tiles that the schedule offers
 * (0). */
static void test_shapes(void) {
  static const char *const activations[] = {"f16", "bf16", "f32", "q8_0"};
  suite s;
  open_suite(&s, "shapes", 5);
  for (int i = 0; i < 4; ++i) {
    add_case(&s, "q4_0", activations[i], 16, 67, 32 * 11, 0, 4, 2, 3);
    add_case(&s, "q4_1", activations[i], 9, 40, 32 * 5, 0, 2, 4, 1);
    add_case(&s, "q3_k", activations[i], 19, 33, 256 * 3, 1, 3, 2, 2);
    add_case(&s, "tq2_0", activations[i], 1, 130, 256 * 4, 0, 2, 3, 1);
    add_case(&s, "bipolar1:block=128,scale=f16", activations[i], 3, 65, 128 * 5, 0, 4, 2, 2);
    add_case(&s, "i2:block=1024,scale=f16,zero=1", activations[i], 2, 20, 1024 * 2, 0, 1, 3, 1);
    add_case(&s, "q4_0", activations[i], 1, 31, 32 * 70, 0, 0, 0, 0);
    add_case(&s, "q5_1", activations[i], 33, 50, 32 * 3, 0, 0, 0, 0);
  }
  /* Lengths that no run of 8 or 4 divides. */
  for (int i = 0; i < 3; ++i) {
    add_case(&s, "nf4", activations[i], 5, 21, 37, 0, 1, 1, 1);
    add_case(&s, "ui4:block=12,scale=f16", activations[i], 3, 19, 12 * 7, 0, 1, 2, 1);
    add_case(&s, "f8E4M3FN", activations[i], 11, 19, 100, 0, 2, 2, 1);
  }
  compile_and_run(&s, "low_bit_stream");
}

/* Warpgroups: one and two of them, clusters, tails of rows, outputs and K, steps of one box and of
 * several. */
static void test_warpgroups(void) {
  static const char *const formats[] = {"q4_0",     "q8_0",  "q3_k",       "tq2_0",
                                        "mxfp4",    "nvfp4", "q6_k",       "i2:block=128,scale=f16",
                                        "f8E4M3FN", "q5_0",  "mxfp6_e2m3", "i4:block=64,scale=f32"};
  static const int32_t shapes[][3] = {{128, 112, 2}, {64, 64, 1}, {128, 64, 1}, {128, 112, 1}};
  static const int32_t widest[] = {128, 128, 2};
  suite s;
  open_suite(&s, "warpgroups", 9);
  for (int i = 0; i < 12; ++i) {
    const int32_t *tile = i < 1 ? widest : shapes[i % 4];
    add_case(&s, formats[i], i % 2 ? "bf16" : "f16", 30 + 41 * i % 150, 90 + 53 * i % 120,
             k_of(formats[i], 2 + i % 3), i % 5 == 4, tile[0], tile[1], tile[2]);
  }
  compile_and_run(&s, "low_bit_warpgroup");
}

/* Weights rounded to the operands' type: scales of that type and others, offsets, tables. */
static void test_rounded(const char *schedule) {
  static const char *const formats[] = {
      "q4_0", "q4_1", "q4_k", "q6_k", "tq2_0", "mxfp4", "nvfp4", "ui4:block=32,scale=f16,zero=ui4",
      "i4:block=64,scale=f32", "ui2:block=16,scale=bf16,offset=f16", "mxfp6_e2m3",
      "i7:block=128,scale=bf16",
      /* tables */
      "nf4_b64", "iq4_nl", "dynamic8", "f8E4M3FN", "book:-1,-0.3,0.3,1:block=16,scale=bf16"};
  static const int32_t shapes[][3] = {{128, 256, 1}, {64, 128, 1}, {128, 64, 2}, {128, 192, 1}};
  const bool hopper = strcmp(schedule, "low_bit_warpgroup") == 0;
  suite s;
  open_suite(&s, hopper ? "rounded_tiles" : "rounded", 13);
  rounds = true;
  for (int i = 0; i < (hopper ? 24 : 34); ++i) {
    const char *format = formats[i / 2];
    const int32_t *tile = shapes[i % 4], k = k_of(format, 2 + i % 3);
    if (hopper)
      add_case(&s, format, i % 2 ? "bf16" : "f16", 29 + 43 * i % 270, 88 + 51 * i % 120, k,
               i % 5 == 4, tile[0], tile[1], tile[2]);
    else
      add_case(&s, format, i % 2 ? "bf16" : "f16", 1 + i % 11, 30 + 51 * i % 40, k, i % 5 == 4,
               1 + i % 2, 1 + i % 3, 2);
  }
  compile_and_run(&s, schedule);
  rounds = false;
}

int main(int argc, char **argv) {
  harness_tame_halves = true;
  if (argc > 1 && strcmp(argv[1], "warpgroups") == 0) {
    test_warpgroups();
  } else if (argc > 1 && strcmp(argv[1], "rounded") == 0) {
    test_rounded("low_bit_stream");
    test_rounded("low_bit_warpgroup");
  } else if (argc > 1) {
    test_formats(argv[1]);
  } else {
    test_formats("f16");
    test_formats("bf16");
    test_formats("f32");
    test_formats("q8_0");
    test_shapes();
    test_warpgroups();
    test_rounded("low_bit_stream");
    test_rounded("low_bit_warpgroup");
  }
  printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}

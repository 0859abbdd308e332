/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_cast_blocks
/* cast between reals and blocks, codebooks and bipolar numbers: generated code gives the bytes that
 * the codecs of the table give, in every mode; and activations that are quantized to blocks at run
 * time meet weights in blocks. */
#include "emit_harness.h"

enum { BLOCKS = 5, TABLE_ELEMS = 64 };

static const char *const modes[] = {NULL,          "nearest-even", "nearest-away",
                                    "toward-zero", "up",           "down"};
enum { MODES = sizeof modes / sizeof *modes };

static int encoded, decoded;

static bool is_other(nib_format f) {
  const nib_format_kind kind = nib_format_get(f)->kind;
  return kind == NIB_KIND_BLOCK || kind == NIB_KIND_CODEBOOK || kind == NIB_KIND_BIPOLAR;
}

static int elems_of(nib_format f) {
  const int size = nib_format_get(f)->block_elems;
  return size ? BLOCKS * size : TABLE_ELEMS;
}

/* Random reals; a fifth each of zeros, of extremes, of halves and of tiny numbers. */
static float real_at(suite *s, int i, int n) {
  static const float extremes[] = {INFINITY, -INFINITY, NAN, -0.0f, 3e38f, -3e38f, 1, 0};
  switch (i * BLOCKS / n) {
  case 0:
    return (float)pick(s, -1000, 1000) / 300.0f;
  case 1:
    return i % 2 ? -0.0f : 0.0f;
  case 2:
    return extremes[pick(s, 0, 7)];
  case 3:
    return (float)pick(s, -16, 16) / 2.0f;
  default:
    return (float)pick(s, -1000, 1000) * 1e-41f;
  }
}

static int32_t make_cast(suite *s, nib_format from, nib_format to, const char *mode) {
  const int n = elems_of(is_other(from) ? from : to);
  snprintf(s->label, sizeof s->label, "%.24s to %.24s %s", nib_format_get(from)->name,
           nib_format_get(to)->name, mode ? mode : "");
  const int32_t x = input(s, from, shape(1, n), 0, 0), y = value(s, to, shape(1, n), 0, 0);
  const int32_t c = node(s, NIB_OP_CAST, y, 1, x);
  if (mode)
    nib_graph_set_string(s->g, c, NIB_A_MODE, mode);
  output(s, y);
  return c;
}

/* Adds the cast, unless it is the evaluator's alone: encoders that search, and groups of a block.
 */
static void add_cast(suite *s, nib_format from, nib_format to, const char *mode) {
  suite probe = suite_open("probe", "nearest-even", 1);
  int32_t c = make_cast(&probe, from, to, mode);
  const nib_kernel k = {.nodes = &c, .n_nodes = 1};
  if (nib_schedule_find("direct")->accepts(probe.g, &k, nib_vocab_find("c99")))
    make_cast(s, from, to, mode);
  nib_graph_destroy(probe.g);
}

static void fill(suite *s, const nib_tensor *t, void *data) {
  const int n = (int)nib_tensor_elems(t);
  float *x = malloc((size_t)n * sizeof *x);
  for (int i = 0; i < n; ++i)
    x[i] = real_at(s, i, n);
  if (t->format == NIB_F64)
    for (int i = 0; i < n; ++i)
      ((double *)data)[i] = (double)x[i];
  else
    nib_format_encode_row(t->format, x, n, NULL, data);
  free(x);
}

static bool same(const nib_tensor *t, const void *a, const void *b) {
  if (memcmp(a, b, nib_tensor_bytes(t)) == 0)
    return true;
  if (is_other(t->format))
    return false;
  for (int64_t i = 0; i < nib_tensor_elems(t); ++i) {
    const double x = nib_format_load_real(t->format, a, i),
                 y = nib_format_load_real(t->format, b, i);
    if (x != y && !(isnan(x) && isnan(y)))
      return false;
  }
  return true;
}

static int run_casts(suite *s, model_run *run, int argument) {
  (void)argument;
  const nib_graph *g = s->g;
  void *in[max_ports], *out[max_ports], *arenas[] = {aligned_alloc(64, 64)};
  nib_reference *r = NULL;
  CHECK(nib_reference_create(g, &r, &harness_diag) == NIB_OK);
  for (int32_t i = 0; i < g->n_inputs; ++i) {
    in[i] = malloc(nib_tensor_bytes(&g->tensors[g->inputs[i]]));
    out[i] = malloc(nib_tensor_bytes(&g->tensors[g->outputs[i]]));
    fill(s, &g->tensors[g->inputs[i]], in[i]);
  }
  CHECK(run(NULL, (const void *const *)in, out, arenas) == NIBRT_OK);
  CHECK(r && nib_reference_run(r, (const void *const *)in, &harness_diag) == NIB_OK);
  for (int32_t i = 0; r && i < g->n_inputs; ++i) {
    const nib_tensor *y = &g->tensors[g->outputs[i]];
    if (!same(y, nib_reference_tensor(r, g->outputs[i]), out[i])) {
      const uint8_t *want = nib_reference_tensor(r, g->outputs[i]), *got = out[i];
      size_t at = 0;
      while (want[at] == got[at])
        ++at;
      printf("%s: byte %zu of %zu is 0x%02x, not 0x%02x\n", y->name, at, nib_tensor_bytes(y),
             got[at], want[at]);
      ++harness_failures;
    }
    *(is_other(y->format) ? &encoded : &decoded) += 1;
  }
  nib_reference_destroy(r);
  for (int32_t i = 0; i < g->n_inputs; ++i) {
    free(in[i]);
    free(out[i]);
  }
  free(arenas[0]);
  return g->n_outputs;
}

static void compile_and_run(suite *s) {
  finish(s);
  use_generated(s, "-O0 -ffp-contract=off", run_casts, 0);
  nib_graph_destroy(s->g);
}

/* Every mode from f32; the source's rounding from other reals; back to four types. */
static void add_format(suite *s, nib_format f) {
  static const nib_format reals[] = {NIB_F16, NIB_BF16, NIB_F64, NIB_F8E4M3FN};
  for (int m = 0; m < MODES; ++m)
    add_cast(s, NIB_F32, f, modes[m]);
  add_cast(s, reals[f % 4], f, NULL);
  add_cast(s, f, NIB_F32, NULL);
  add_cast(s, f, reals[f % 4], NULL);
}

static void test_casts(void) {
  static const char *const spelled[] = {"ui4:block=32,scale=f32",
                                        "i5:block=16,scale=bf16",
                                        "bfp6:block=16",
                                        "book:-1,-0.3,0.3,1:block=16,scale=bf16",
                                        "power4:0.7:block=16,scale=f16",
                                        "i2:block=64,scale=e8m0,rule=ceil",
                                        "e2m2:block=16,scale=e8m0",
                                        "book:-1,-0.3,0.3,1",
                                        "power8:0.5"};
  suite s = suite_open("casts", "nearest-even", 21);
  for (int f = 0; f < NIB_FORMAT_ROWS; ++f)
    if (is_other((nib_format)f))
      add_format(&s, (nib_format)f);
  for (size_t i = 0; i < sizeof spelled / sizeof *spelled; ++i)
    add_format(&s, nib_format_find(spelled[i]));
  compile_and_run(&s);
  printf("%d casts from reals, %d to reals\n", encoded, decoded);
  CHECK(encoded >= 250 && decoded >= 94);
}

/* x to q8_0 at run time, times weights in q4_0, tq2_0 and mxfp4; a cast among other steps. */
static void test_products(void) {
  static const nib_format weights[] = {NIB_Q4_0, NIB_TQ2_0, NIB_MXFP4, NIB_Q6_K};
  suite s = suite_open("products", "nearest-even", 5);
  for (int i = 0; i < 4; ++i) {
    snprintf(s.label, sizeof s.label, "q8_0 by %s", nib_format_get(weights[i])->name);
    float *values = malloc(3 * 256 * sizeof *values);
    for (int k = 0; k < 3 * 256; ++k)
      values[k] = (float)pick(&s, -1000, 1000) / 500.0f;
    const int32_t w = value(&s, weights[i], shape(2, 3, 256), 0, 0);
    const size_t bytes = nib_tensor_bytes(&s.g->tensors[w]);
    void *data = malloc(bytes);
    nib_format_encode_row(weights[i], values, 3 * 256, NULL, data);
    nib_graph_set_data(s.g, w, data, bytes, NIB_DATA_COPY);
    free(data);
    free(values);
    const int32_t x = input(&s, NIB_F32, shape(2, 2, 256), 0, 0);
    const int32_t t = value(&s, NIB_F32, shape(2, 2, 256), 0, 0);
    const int32_t q = value(&s, NIB_Q8_0, shape(2, 2, 256), 0, 0);
    const int32_t y = value(&s, NIB_F32, shape(2, 2, 3), 0, 0);
    const int32_t z = value(&s, NIB_F32, shape(2, 2, 3), 0, 0);
    const int32_t nodes[] = {node(&s, NIB_OP_TANH, t, 1, x), node(&s, NIB_OP_CAST, q, 1, t),
                             node(&s, NIB_OP_FULLY_CONNECTED, y, 2, q, w),
                             node(&s, NIB_OP_RELU, z, 1, y)};
    if (i % 2)
      add_kernel(&s, nodes, 4);
    output(&s, z);
  }
  finish(&s);
  CHECK(compare_generated(&s, "-O1 -ffp-contract=off", 2) == 4 * 2 * FILL_COUNT);
  nib_graph_destroy(s.g);
}

int main(void) {
  test_casts();
  test_products();
  if (harness_failures)
    printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}

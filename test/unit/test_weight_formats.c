/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * RUN: %unit/test_weight_formats
 * Weights in every format of reals that the table has: fully_connected, matmul and gather read them
 * as nib_format_decode_row does, in the evaluator and in generated code, with f32, f16 and bf16
 * activations. And the stage that encodes them. */
#include "emit_harness.h"
#include "quantize/quantize.h"

enum { ROWS = 18, OUTPUTS = 5 };

/* Whether the generator reads weights in it: all reals, codebooks and blocks. */
static bool is_weight_format(nib_format f) { return nib_format_holds_reals(f) && f != NIB_F64; }

static float *random_reals(suite *s, int64_t n) {
  float *x = malloc((size_t)n * sizeof *x);
  for (int64_t i = 0; i < n; ++i)
    x[i] = (float)pick(s, -1000, 1000) / 500.0f;
  return x;
}

/* A constant matrix in `f`; where `like` is given, an f32 constant of what it decodes to beside it.
 */
static int32_t weights(suite *s, nib_format f, int64_t rows, int64_t columns,
                       int32_t *out_decoded) {
  const int64_t dims[] = {rows, columns}, n = rows * columns;
  float *x = random_reals(s, n);
  const int32_t t = tensor_of(s, f, 2, dims), plain = tensor_of(s, NIB_F32, 2, dims);
  const size_t bytes = nib_tensor_bytes(&s->g->tensors[t]);
  void *data = malloc(bytes);
  nib_format_encode_row(f, x, n, NULL, data);
  nib_format_decode_row(f, data, n, x);
  nib_graph_set_data(s->g, t, data, bytes, NIB_DATA_COPY);
  nib_graph_set_data(s->g, plain, x, (size_t)n * sizeof *x, NIB_DATA_COPY);
  free(data);
  free(x);
  *out_decoded = plain;
  return t;
}

static int32_t product(suite *s, nib_op op, nib_format activation, int32_t x, int32_t w, int n) {
  const int32_t y = value(s, activation, shape(2, ROWS, n), 0, 0);
  node(s, op, y, 2, x, w);
  output(s, y);
  return y;
}

static int32_t lookup(suite *s, nib_format result, int32_t table, int32_t indices, int columns) {
  const int32_t y = value(s, result, shape(2, 4, columns), 0, 0);
  const int32_t n = node(s, NIB_OP_GATHER, y, 2, table, indices);
  nib_graph_set_int(s->g, n, NIB_A_AXIS, 0);
  output(s, y);
  return y;
}

/* Pairs of outputs: with the weights in the format, and with what they decode to. */
static void add_format(suite *s, nib_format f, nib_format activation, int32_t indices) {
  const int size = nib_format_get(f)->block_elems ? nib_format_get(f)->block_elems : 7;
  const int columns = 2 * size;
  snprintf(s->label, sizeof s->label, "%.40s %s", nib_format_get(f)->name,
           nib_format_get(activation)->name);
  int32_t plain;
  const int32_t x = input(s, activation, shape(2, ROWS, columns), 0, 0);
  const int32_t w = weights(s, f, OUTPUTS, columns, &plain);
  product(s, NIB_OP_FULLY_CONNECTED, activation, x, w, OUTPUTS);
  product(s, NIB_OP_FULLY_CONNECTED, activation, x, plain, OUTPUTS);
  const int32_t z = input(s, activation, shape(2, ROWS, OUTPUTS), 0, 0);
  product(s, NIB_OP_MATMUL, activation, z, w, columns);
  product(s, NIB_OP_MATMUL, activation, z, plain, columns);
  lookup(s, activation, w, indices, columns);
  lookup(s, activation, plain, indices, columns);
}

/* Small numbers, so that no f16 overflows. */
static void fill_activations(suite *s, const nib_tensor *t, void *data) {
  for (int64_t i = 0; i < nib_tensor_elems(t); ++i)
    if (t->format == NIB_I32)
      ((int32_t *)data)[i] = (int32_t)pick(s, 0, OUTPUTS - 1);
    else
      nib_format_store_real(t->format, data, i, (double)pick(s, -1000, 1000) / 900.0);
}

static void check_pair(const suite *s, nib_reference *r, void *const *out, int32_t i) {
  const nib_tensor *t = &s->g->tensors[s->outputs[i]];
  const void *coded = nib_reference_tensor(r, s->outputs[i]);
  const void *plain = nib_reference_tensor(r, s->outputs[i + 1]);
  const size_t bytes = nib_tensor_bytes(t);
  int64_t first = 0;
  if (memcmp(coded, plain, bytes) != 0) {
    printf("%s: the evaluator reads other weights than it decodes\n", t->name);
    ++harness_failures;
  }
  const int64_t bad = count_differences(t, plain, out[i], &first);
  if (bad)
    report_difference(t, s->g, plain, out[i], bad, first);
}

static void run_pairs(suite *s, model_run *run) {
  nib_reference *r = NULL;
  void *in[max_ports], *out[max_ports];
  for (int32_t i = 0; i < s->n_inputs; ++i) {
    const nib_tensor *t = &s->g->tensors[s->inputs[i]];
    in[i] = aligned_alloc(64, (nib_tensor_bytes(t) + 63) / 64 * 64);
    fill_activations(s, t, in[i]);
  }
  for (int32_t i = 0; i < s->n_outputs; ++i)
    out[i] = aligned_alloc(64, (nib_tensor_bytes(&s->g->tensors[s->outputs[i]]) + 63) / 64 * 64);
  void *arena = aligned_alloc(64, ((size_t)s->g->arena_bytes + 64) / 64 * 64);
  void *arenas[1] = {arena};
  CHECK(nib_reference_create(s->g, &r, &harness_diag) == NIB_OK);
  CHECK(r && nib_reference_run(r, (const void *const *)in, &harness_diag) == NIB_OK);
  CHECK(run(NULL, (const void *const *)in, out, arenas) == NIBRT_OK);
  for (int32_t i = 0; r && i < s->n_outputs; i += 2)
    check_pair(s, r, out, i);
  nib_reference_destroy(r);
  for (int32_t i = 0; i < s->n_inputs; ++i)
    free(in[i]);
  for (int32_t i = 0; i < s->n_outputs; ++i)
    free(out[i]);
  free(arena);
}

/* Blocks of every part that a spelling may have. */
static int add_spelled(suite *s, nib_format activation, int32_t indices) {
  static const char *const names[] = {
      "ui4:block=32,scale=f16,zero=ui4",
      "ui3:block=24,scale=f32,zero=f16",
      "i5:block=16,scale=bf16,offset=f16",
      "ui4:block=64,scale=f16,offset=f16,group=16,group_scale=ui6,group_offset=6",
      "i2:block=256,scale=f16,group=32,group_scale=halves4,rule=ceil",
      "bfp6:block=16",
      "book:-1,-0.3,0.3,1:block=16,scale=bf16",
      "power4:0.7:block=16,scale=f16",
      "bipolar3:block=8,scale=f32",
      "i11:block=7,scale=ue5m3",
      "i4:block=64,scale=dyadic8",
      "e3m6:block=8,scale=tf32",
      "e2m2:block=16,scale=e8m0"};
  const int n = (int)(sizeof names / sizeof *names);
  for (int i = 0; i < n; ++i) {
    const nib_format f = nib_format_find(names[i]);
    CHECK(f != NIB_FORMAT_COUNT);
    if (f != NIB_FORMAT_COUNT)
      add_format(s, f, activation, indices);
  }
  return n;
}

static int test_activations(nib_format activation) {
  suite s = suite_open("weighed", "nearest-even", 5);
  const int32_t indices = input(&s, NIB_I32, shape(1, 4), 0, 0);
  int formats = 0;
  for (int f = 0; f < NIB_FORMAT_ROWS; ++f)
    if (is_weight_format((nib_format)f)) {
      add_format(&s, (nib_format)f, activation, indices);
      ++formats;
    }
  formats += add_spelled(&s, activation, indices);
  finish(&s);
  CHECK(nib_graph_validate(s.g, &harness_diag) == NIB_OK);
  char dir[64];
  make_folder(dir);
  nib_options o = emit_options(dir);
  CHECK(nib_emit_graph(s.g, &o, &harness_diag) == NIB_OK);
  void *library = load_models(dir, "-O1 -ffp-contract=off");
  model_run *run = find_run(library, "weighed");
  if (run)
    run_pairs(&s, run);
  if (library)
    dlclose(library);
  remove_folder(dir);
  nib_graph_destroy(s.g);
  return formats;
}

/* ---- the stage ---- */

static void test_rules(void) {
  nib_weight_rules rules;
  CHECK(nib_weight_rules_parse("q4_0;blk.?.ffn_*=q8_0;norm=f16", &rules, NULL) == NIB_OK);
  CHECK(rules.rows[nib_weight_rules_find(&rules, "blk.0.attn_q.weight")].format == NIB_Q4_0);
  CHECK(rules.rows[nib_weight_rules_find(&rules, "blk.3.ffn_up.weight")].format == NIB_Q8_0);
  CHECK(rules.rows[nib_weight_rules_find(&rules, "blk.33.ffn_up.weight")].format == NIB_Q4_0);
  CHECK(rules.rows[nib_weight_rules_find(&rules, "output_norm.weight")].format == NIB_F16);
  nib_weight_rules_free(&rules);
  CHECK(nib_weight_rules_parse("output=q8_0", &rules, NULL) == NIB_OK);
  CHECK(nib_weight_rules_find(&rules, "blk.0.attn_q.weight") == -1);
  nib_weight_rules_free(&rules);
  CHECK(nib_weight_rules_parse("e3m2:bias=4", &rules, NULL) == NIB_OK && rules.n == 1);
  nib_weight_rules_free(&rules);
  CHECK(nib_weight_rules_parse("q4_9", &rules, NULL) == NIB_ERROR_INVALID_USAGE);
  nib_weight_rules_free(&rules);
  CHECK(nib_weight_rules_parse("a=i8", &rules, NULL) == NIB_ERROR_UNSUPPORTED);
  nib_weight_rules_free(&rules);
}

/* x [3, 2, 40] * w [40, 6], and a table [9, 40]: transposed, filled up to 64 columns, cut off
 * again. */
static void test_stage(const char *formats, nib_format expected) {
  suite s = suite_open("staged", "nearest-even", 9);
  const int32_t x = input(&s, NIB_F32, shape(3, 3, 2, 40), 0, 0);
  const int32_t at = input(&s, NIB_I32, shape(2, 2, 2), 0, 0);
  snprintf(s.label, sizeof s.label, "weights");
  const int32_t w = constant(&s, NIB_F32, shape(2, 40, 6), 0, 0, 0);
  const int32_t table = constant(&s, NIB_F32, shape(2, 9, 40), 0, 0, 0);
  const int32_t y = value(&s, NIB_F32, shape(3, 3, 2, 6), 0, 0);
  const int32_t z = value(&s, NIB_F32, shape(3, 2, 2, 40), 0, 0);
  node(&s, NIB_OP_MATMUL, y, 2, x, w);
  nib_graph_set_int(s.g, node(&s, NIB_OP_GATHER, z, 2, table, at), NIB_A_AXIS, 0);
  output(&s, y);
  output(&s, z);
  nib_graph_set_inputs(s.g, s.inputs, s.n_inputs);
  nib_graph_set_outputs(s.g, s.outputs, s.n_outputs);
  nib_options o = nib_options_default();
  o.weight_formats = formats;
  nib_reference *before = NULL, *after = NULL;
  float in[240];
  int32_t indices[4] = {0, 8, 3, 3};
  for (int i = 0; i < 240; ++i)
    in[i] = (float)pick(&s, -100, 100) / 100.0f;
  const void *inputs[] = {in, indices};
  nib_graph *plain = nib_graph_clone(s.g);
  CHECK(nib_quantize_graph(s.g, &o, &harness_diag) == NIB_OK);
  CHECK(nib_graph_validate(s.g, &harness_diag) == NIB_OK);
  CHECK(nib_reference_create(plain, &before, NULL) == NIB_OK);
  CHECK(nib_reference_create(s.g, &after, NULL) == NIB_OK);
  CHECK(nib_reference_run(before, inputs, NULL) == NIB_OK);
  CHECK(nib_reference_run(after, inputs, NULL) == NIB_OK);
  int encoded = 0;
  for (int32_t i = 0; i < s.g->n_nodes; ++i)
    for (int32_t slot = 0; slot < s.g->nodes[i].n_in; ++slot)
      encoded += s.g->tensors[s.g->nodes[i].in[slot]].format == expected;
  CHECK(encoded == 2);
  for (int32_t k = 0; k < 2; ++k) {
    const float *a = nib_reference_tensor(before, s.outputs[k]);
    const float *b = nib_reference_tensor(after, s.outputs[k]);
    double signal = 0, noise = 0;
    for (int64_t i = 0; i < nib_tensor_elems(&s.g->tensors[s.outputs[k]]); ++i) {
      signal += (double)a[i] * (double)a[i];
      noise += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    }
    CHECK(noise > 0 && noise < 1e-4 * signal);
  }
  nib_reference_destroy(before);
  nib_reference_destroy(after);
  nib_graph_destroy(plain);
  nib_graph_destroy(s.g);
}

/* Notes and errors of a stage, one to a line. */
static void collect(void *user, nib_severity severity, const char *message) {
  (void)severity;
  char *text = user;
  const size_t used = strlen(text);
  snprintf(text + used, 4096 - used, "%s\n", message);
}

static int32_t conv(suite *s, nib_op op, int32_t x, shape_of filter, shape_of result,
                    int32_t bias) {
  const int32_t w = constant(s, NIB_F32, filter, 0, 0, 0), y = value(s, NIB_F32, result, 0, 0);
  if (bias == NIB_NONE)
    node(s, op, y, 2, x, w);
  else
    node(s, op, y, 3, x, w, bias);
  set_ints(s, s->g->n_nodes - 1, NIB_A_STRIDES, 2, 2, 2);
  output(s, y);
  return s->g->n_nodes - 1;
}

/* Convolutions of 40 channels in blocks of 32: filled up to 64, of the depthwise one's 80 to 96;
 * groups of 20 and filters of 3 channels keep their weights and say so. */
static void build_convolutions(suite *s, int groups) {
  const int32_t x = input(s, NIB_F32, shape(4, 2, 5, 4, 40), 0, 0);
  const int32_t bias = constant(s, NIB_F32, shape(1, 80), 0, 0, 0);
  snprintf(s->label, sizeof s->label, "plain");
  conv(s, NIB_OP_CONV2D, x, shape(4, 6, 3, 2, 40), shape(4, 2, 2, 2, 6), NIB_NONE);
  snprintf(s->label, sizeof s->label, "deep");
  conv(s, NIB_OP_DEPTHWISE_CONV2D, x, shape(4, 1, 3, 2, 80), shape(4, 2, 2, 2, 80), bias);
  snprintf(s->label, sizeof s->label, "spread");
  conv(s, NIB_OP_TRANSPOSE_CONV2D, x, shape(4, 6, 3, 2, 40), shape(4, 2, 11, 8, 6), NIB_NONE);
  if (!groups)
    return;
  snprintf(s->label, sizeof s->label, "grouped");
  const int32_t n =
      conv(s, NIB_OP_CONV2D, x, shape(4, 6, 3, 2, 20), shape(4, 2, 2, 2, 6), NIB_NONE);
  nib_graph_set_int(s->g, n, NIB_A_GROUPS, groups);
  const int32_t z = input(s, NIB_F32, shape(4, 2, 5, 4, 3), 0, 0);
  snprintf(s->label, sizeof s->label, "few");
  conv(s, NIB_OP_CONV2D, z, shape(4, 6, 3, 2, 3), shape(4, 2, 2, 2, 6), NIB_NONE);
}

static void compare_graphs(suite *s, const nib_graph *before) {
  nib_reference *a = NULL, *b = NULL;
  float *in[2] = {random_reals(s, 1600), random_reals(s, 120)};
  const void *inputs[] = {in[0], in[1]};
  CHECK(nib_reference_create(before, &a, NULL) == NIB_OK);
  CHECK(nib_reference_create(s->g, &b, NULL) == NIB_OK);
  CHECK(nib_reference_run(a, inputs, NULL) == NIB_OK);
  CHECK(nib_reference_run(b, inputs, NULL) == NIB_OK);
  for (int32_t k = 0; k < s->n_outputs; ++k) {
    const float *x = nib_reference_tensor(a, s->outputs[k]);
    const float *y = nib_reference_tensor(b, s->outputs[k]);
    const bool kept = k >= 3;
    double signal = 0, noise = 0;
    for (int64_t i = 0; i < nib_tensor_elems(&s->g->tensors[s->outputs[k]]); ++i) {
      signal += (double)x[i] * (double)x[i];
      noise += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    }
    CHECK(kept ? noise == 0 : noise > 0 && noise < 1e-4 * signal);
  }
  nib_reference_destroy(a);
  nib_reference_destroy(b);
  free(in[0]);
  free(in[1]);
}

static void test_convolutions(void) {
  suite s = suite_open("convolved", "nearest-even", 9);
  char text[4096] = "";
  const nib_diag diag = {collect, text};
  build_convolutions(&s, 2);
  nib_graph_set_inputs(s.g, s.inputs, s.n_inputs);
  nib_graph_set_outputs(s.g, s.outputs, s.n_outputs);
  CHECK(nib_graph_validate(s.g, &harness_diag) == NIB_OK);
  nib_graph *plain = nib_graph_clone(s.g), *strict = nib_graph_clone(s.g);
  nib_options o = nib_options_default();
  o.weight_formats = "q8_0";
  CHECK(nib_quantize_graph(s.g, &o, &diag) == NIB_OK);
  CHECK(nib_graph_validate(s.g, &harness_diag) == NIB_OK);
  CHECK(strstr(text, "weights 'plain': f32 to q8_0, 2448 bytes of 5760, SQNR "));
  CHECK(strstr(text, "rows filled up from 40 to 64"));
  CHECK(strstr(text, "weights 'deep': f32 to q8_0, 612 bytes of 1920, SQNR "));
  CHECK(strstr(text, "rows filled up from 80 to 96"));
  CHECK(strstr(text, "weights 'spread': f32 to q8_0"));
  CHECK(strstr(text, "'grouped' (conv2d): its weights 'grouped' stay in f32: blocks of 32 do not "
                     "divide its dimension 3, 20; groups cannot be filled up"));
  CHECK(strstr(text,
               "'few' (conv2d): its weights 'few' stay in f32: blocks of 32 do not divide its "
               "dimension 3, 3; filled up they would take more bytes than they do"));
  compare_graphs(&s, plain);
  text[0] = '\0';
  o.no_fallback = true;
  CHECK(nib_quantize_graph(strict, &o, &diag) == NIB_ERROR_LIMIT);
  CHECK(strstr(text, "'grouped' stay in f32"));
  nib_graph_destroy(plain);
  nib_graph_destroy(strict);
  nib_graph_destroy(s.g);
}

static void test_refused(void) {
  suite s = suite_open("none", "nearest-even", 9);
  const int32_t x = input(&s, NIB_F32, shape(2, 2, 4), 0, 0),
                y = value(&s, NIB_F32, shape(2, 2, 4), 0, 0);
  node(&s, NIB_OP_RELU, y, 1, x);
  output(&s, y);
  nib_graph_set_inputs(s.g, s.inputs, 1);
  nib_graph_set_outputs(s.g, s.outputs, 1);
  nib_options o = nib_options_default();
  CHECK(nib_quantize_graph(s.g, &o, &harness_diag) == NIB_OK);
  o.weight_formats = "q8_0";
  CHECK(nib_quantize_graph(s.g, &o, &harness_diag) == NIB_ERROR_INVALID_USAGE);
  nib_graph_destroy(s.g);
}

static int32_t zeros(suite *s, nib_format f, shape_of d) {
  const int32_t t = value(s, f, d, 0, 0);
  const size_t bytes = nib_tensor_bytes(&s->g->tensors[t]);
  void *data = calloc(bytes, 1);
  nib_graph_set_data(s->g, t, data, bytes, NIB_DATA_COPY);
  free(data);
  return t;
}

/* What the rules say to weights that no operator can read. */
static void expect_rule(suite *s, const char *words) {
  nib_graph_set_inputs(s->g, s->inputs, s->n_inputs);
  nib_graph_set_outputs(s->g, s->outputs, s->n_outputs);
  harness_message[0] = '\0';
  CHECK(nib_graph_validate(s->g, &harness_diag) == NIB_ERROR_INVALID_INPUT);
  if (!strstr(harness_message, words)) {
    printf("expected '%s', got '%s'\n", words, harness_message);
    ++harness_failures;
  }
  nib_graph_destroy(s->g);
}

static void test_rules_of_operators(void) {
  suite s = suite_open("conv", "nearest-even", 1);
  int32_t x = input(&s, NIB_F32, shape(4, 1, 4, 4, 48), 0, 0);
  int32_t w = value(&s, NIB_Q4_0, shape(4, 2, 1, 1, 48), 0, 0);
  int32_t y = value(&s, NIB_F32, shape(4, 1, 4, 4, 2), 0, 0);
  s.inputs[s.n_inputs++] = w;
  node(&s, NIB_OP_CONV2D, y, 2, x, w);
  output(&s, y);
  expect_rule(&s, "a last dimension that its blocks do not divide");

  s = suite_open("dense", "nearest-even", 1);
  x = input(&s, NIB_F32, shape(2, 1, 32), 0, 0);
  w = constant(&s, NIB_I8, shape(2, 2, 32), 0, 0, 0);
  y = value(&s, NIB_F32, shape(2, 1, 2), 0, 0);
  node(&s, NIB_OP_FULLY_CONNECTED, y, 2, x, w);
  output(&s, y);
  expect_rule(&s, "a f32 input needs a filter of reals, in any format");

  s = suite_open("columns", "nearest-even", 1);
  const int32_t at = input(&s, NIB_I32, shape(1, 3), 0, 0);
  w = zeros(&s, NIB_Q4_0, shape(2, 2, 32));
  y = value(&s, NIB_F32, shape(2, 2, 3), 0, 0);
  nib_graph_set_int(s.g, node(&s, NIB_OP_GATHER, y, 2, w, at), NIB_A_AXIS, 1);
  output(&s, y);
  expect_rule(&s, "along any dimension but the last");

  s = suite_open("odd", "nearest-even", 1);
  x = input(&s, NIB_F32, shape(2, 1, 40), 0, 0);
  w = value(&s, NIB_Q4_0, shape(2, 2, 40), 0, 0);
  y = value(&s, NIB_F32, shape(2, 1, 2), 0, 0);
  s.inputs[s.n_inputs++] = w;
  node(&s, NIB_OP_FULLY_CONNECTED, y, 2, x, w);
  output(&s, y);
  expect_rule(&s, "a last dimension that its blocks do not divide");
}

int main(void) {
  static const nib_format activations[] = {NIB_F32, NIB_F16, NIB_BF16};
  for (int i = 0; i < 3; ++i)
    CHECK(test_activations(activations[i]) >= 55);
  test_rules();
  test_stage("q8_0", NIB_Q8_0);
  test_stage("f16", NIB_F16);
  test_convolutions();
  test_refused();
  test_rules_of_operators();
  if (harness_failures)
    printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}

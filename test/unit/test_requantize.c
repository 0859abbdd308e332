/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_requantize
/* TOSA's apply_scale written out in 128 bits against the three rounding modes; requantize with
 * given multipliers, per tensor and per channel, of every integer format, in the reference and in
 * generated code; and layers that take the multipliers in. */
#include "emit_harness.h"

#include "num/snippets.h"
#include "params/params.h"

typedef __int128 wide;

/* TOSA 1.0, apply_scale_32 and apply_scale_16: value * multiplier / 2^shift. */
static int64_t apply_scale(int64_t value, int64_t multiplier, int shift, bool double_round) {
  wide round = (wide)1 << (shift - 1);
  if (double_round && shift > 31)
    round += value >= 0 ? (wide)1 << 30 : -((wide)1 << 30);
  const wide sum = (wide)value * multiplier + round, unit = (wide)1 << shift;
  wide quotient = sum / unit;
  if (sum % unit < 0)
    --quotient; /* toward minus infinity */
  return (int64_t)quotient;
}

/* Where TOSA defines the result: value in ±2^(shift - 1). */
static bool is_defined(int64_t value, int shift) {
  return shift > 32 || (value >= -((int64_t)1 << (shift - 1)) && value < (int64_t)1 << (shift - 1));
}

static void check_scale(int32_t x, int32_t m, int shift) {
  const int64_t once = apply_scale(x, m, shift, false), twice = apply_scale(x, m, shift, true);
  CHECK(nib_rq_tosa_single(x, m, 31 - shift) == once);
  CHECK(nib_rq_tosa_inexact(x, m, 31 - shift) == once);
  CHECK(nib_rq_dyadic(x, m, 31 - shift) == once);
  CHECK(nib_rq_tosa_double(x, m, 31 - shift) == twice);
  /* TensorFlow Lite's two roundings are TOSA's double rounding where no left shift overflows. */
  if (shift >= 31 || llabs((int64_t)x) < (int64_t)1 << shift)
    CHECK(nib_rq_tflite_double(x, m, 31 - shift) == twice);
}

static void test_formulas(void) {
  /* value, multiplier, shift, once, twice: where the two modes part, and ties on both sides. */
  static const int64_t rows[][5] = {
      {3, 1 << 30, 31, 2, 2},
      {-3, 1 << 30, 31, -1, -1},
      {1, 1 << 30, 32, 0, 1},
      {-1, 1 << 30, 32, 0, 0},
      {-3, 1 << 30, 32, -1, -1},
      {255, 1 << 30, 39, 0, 1},
      {-128, 1 << 30, 38, 0, -1},
      {-384, 1 << 30, 38, -1, -2},
      {5, 3, 2, 4, 4},
      {INT32_MAX, INT32_MAX, 62, 1, 1},
      {INT32_MIN, INT32_MAX, 62, -1, -1},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    const int64_t *r = rows[i];
    CHECK(apply_scale(r[0], r[1], (int)r[2], false) == r[3]);
    CHECK(apply_scale(r[0], r[1], (int)r[2], true) == r[4]);
    check_scale((int32_t)r[0], (int32_t)r[1], (int)r[2]);
  }
  uint64_t rng = 7;
  for (int i = 0; i < 2000000; ++i) {
    const int shift = 2 + (int)(next_random(&rng) % 61);
    const uint64_t bits = next_random(&rng) % 32;
    const int32_t x = (int32_t)((int64_t)next_random(&rng) >> (32 + bits));
    int32_t m = (int32_t)(next_random(&rng) >> 33);
    m = i % 3 == 0 ? 1 << (i / 3 % 31) : i % 3 == 1 ? m | 1 << 30 : m >> (i / 3 % 31);
    if (is_defined(x, shift))
      check_scale(x, m, shift);
  }
}

/* ---- requantize ---- */

static int32_t constant_of(suite *s, nib_format f, int n, const void *data) {
  const int32_t t = value(s, f, shape(1, n), 0, 0);
  nib_graph_set_data(s->g, t, data, nib_tensor_bytes(&s->g->tensors[t]), NIB_DATA_COPY);
  return t;
}

/* Multipliers that bring inputs of `bits` bits near the range of the result. */
static int32_t given(suite *s, nib_format from, nib_format to, int channels, int32_t *out_shifts) {
  int32_t m[64];
  int8_t shift[64];
  const int in_bits = from == NIB_I64 ? 40 : from == NIB_I32 ? 23 : nib_format_get(from)->bits;
  const int out_bits = to == NIB_I32 ? 20 : nib_format_get(to)->bits;
  for (int i = 0; i < channels; ++i) {
    const int kind = (int)pick(s, 0, 2), most = from == NIB_I64 ? 15 : 31;
    m[i] = (int32_t)pick(s, 0, ((int64_t)1 << most) - 1);
    m[i] = kind == 0 ? m[i] | 1 << (most - 1) : kind == 1 ? m[i] >> 9 : 1 << (most - 1);
    int bits = 0;
    while (bits < 31 && m[i] >> bits)
      ++bits;
    int64_t right = in_bits + bits - out_bits + pick(s, -2, 2);
    if (from != NIB_I64 && right < in_bits + 1)
      right = in_bits + 1;
    shift[i] = (int8_t)(right < 2 ? 2 : right > 62 ? 62 : right);
  }
  *out_shifts = constant_of(s, NIB_I8, channels, shift);
  return constant_of(s, NIB_I32, channels, m);
}

static const nib_format sources[] = {NIB_I8, NIB_U8, NIB_I16, NIB_I32, NIB_I64};
static const nib_format targets[] = {NIB_I8, NIB_U8, NIB_I16, NIB_I32};

static int64_t zero_of(suite *s, nib_format f) {
  return f == NIB_I8 ? pick(s, -128, 127) : f == NIB_U8 ? pick(s, 0, 255) : 0;
}

static void add_cases(suite *s) {
  for (int a = 0; a < 5; ++a)
    for (int b = 0; b < 4; ++b)
      for (int form = 0; form < 3; ++form) {
        const nib_format from = sources[a], to = targets[b];
        const int channels = form == 0 ? 1 : form == 1 ? 5 : 7;
        const bool codes_in = from == NIB_I8 || from == NIB_U8, codes_out = to != NIB_I32;
        snprintf(s->label, sizeof s->label, "%s to %s, form %d", nib_format_get(from)->name,
                 nib_format_get(to)->name, form);
        const int32_t x = input(s, from, shape(3, 3, 7, 5), codes_in ? 1.0 : 0, zero_of(s, from));
        const int32_t y = value(s, to, shape(3, 3, 7, 5), codes_out ? 1.0 : 0, zero_of(s, to));
        int32_t shifts, multipliers = given(s, from, to, channels, &shifts);
        const int32_t n = node(s, NIB_OP_REQUANTIZE, y, 4, x, NIB_NONE, multipliers, shifts);
        if (form == 2)
          nib_graph_set_int(s->g, n, NIB_A_AXIS, 1);
        output(s, y);
      }
}

static int64_t read_int(const nib_tensor *t, const void *data, int64_t i) {
  int64_t wide_value;
  memcpy(&wide_value, (const int64_t *)data + i, t->format == NIB_I64 ? 8 : 0);
  return t->format == NIB_I64 ? wide_value : (int64_t)nib_format_load_real(t->format, data, i);
}

/* One result of the reference against the formula. */
static void check_output(const suite *s, int32_t node_id, nib_reference *r, void *const *in) {
  const nib_graph *g = s->g;
  const nib_node *n = &g->nodes[node_id];
  const nib_tensor *x = &g->tensors[n->in[0]], *y = &g->tensors[n->out];
  const nib_tensor *m = &g->tensors[n->in[2]], *shifts = &g->tensors[n->in[3]];
  const nib_format_info *f = nib_format_get(y->format);
  const bool twice = strcmp(g->rounding, "tosa-double") == 0 && x->format != NIB_I64;
  const int64_t count = nib_tensor_elems(m), axis = nib_node_int(n, NIB_A_AXIS, 2);
  const void *got = nib_reference_tensor(r, n->out);
  for (int64_t i = 0; i < nib_tensor_elems(y); ++i) {
    const int64_t c = count == 1 ? 0 : axis == 2 ? i % 5 : i / 5 % 7;
    const int64_t v = read_int(x, in[node_id], i) - (x->quantized ? x->zero_point : 0);
    const int shift = ((const int8_t *)shifts->data)[c];
    if (x->format != NIB_I64 && !is_defined(v, shift))
      continue;
    int64_t want = apply_scale(v, ((const int32_t *)m->data)[c], shift, twice);
    if (want < INT32_MIN || want > INT32_MAX)
      continue; /* not defined */
    want += y->quantized ? y->zero_point : 0;
    want = want < f->min ? f->min : want > f->max ? f->max : want;
    if ((int64_t)nib_format_load_real(y->format, got, i) != want)
      printf("%s at %d\n", n->name, (int)i);
    CHECK((int64_t)nib_format_load_real(y->format, got, i) == want);
  }
}

static void check_reference(suite *s) {
  nib_reference *r = NULL;
  CHECK(nib_reference_create(s->g, &r, &harness_diag) == NIB_OK);
  void *in[max_ports];
  for (int32_t i = 0; i < s->g->n_inputs; ++i) {
    const nib_tensor *t = &s->g->tensors[s->g->inputs[i]];
    in[i] = malloc(nib_tensor_bytes(t) + 8);
    fill_random(&s->rng, t->format, in[i], nib_tensor_elems(t),
                t->format == NIB_I64   ? (int64_t)1 << 38
                : t->format == NIB_I32 ? 1 << 22
                                       : 0);
  }
  CHECK(r && nib_reference_run(r, (const void *const *)in, &harness_diag) == NIB_OK);
  for (int32_t i = 0; r && i < s->g->n_nodes; ++i)
    check_output(s, i, r, in);
  for (int32_t i = 0; i < s->g->n_inputs; ++i)
    free(in[i]);
  nib_reference_destroy(r);
}

/* ---- layers ---- */

static nib_graph *layer(const char *rounding, nib_op op, int32_t least_multiplier) {
  suite s = suite_open("layer", rounding, 40);
  const bool dense = op == NIB_OP_FULLY_CONNECTED;
  const shape_of in = dense ? shape(2, 3, 12) : shape(4, 1, 6, 5, 12);
  const shape_of filter = dense                           ? shape(2, 9, 12)
                          : op == NIB_OP_DEPTHWISE_CONV2D ? shape(4, 1, 3, 3, 12)
                                                          : shape(4, 9, 3, 3, 12);
  const int channels = op == NIB_OP_DEPTHWISE_CONV2D ? 12 : 9;
  const shape_of out = dense ? shape(2, 3, 9) : shape(4, 1, 4, 3, channels);
  const int32_t x = input(&s, NIB_I8, in, 1.0, -7);
  const int32_t w = constant(&s, NIB_I8, filter, 0, 0, 0);
  const int32_t bias = constant(&s, NIB_I32, shape(1, channels), 0, 0, 4000);
  const int32_t acc = value(&s, NIB_I32, out, 0, 0), y = value(&s, NIB_I8, out, 1.0, 11);
  const int32_t clamped = value(&s, NIB_I8, out, 1.0, 11);
  int32_t m[12];
  int8_t shift[12];
  for (int i = 0; i < channels; ++i) {
    m[i] = (int32_t)pick(&s, least_multiplier, 2 * (int64_t)least_multiplier - 1);
    shift[i] = (int8_t)pick(&s, 38, 41);
    for (int32_t k = least_multiplier; k < 1 << 30; k *= 2)
      --shift[i];
  }
  const int32_t multipliers = constant_of(&s, NIB_I32, channels, m);
  node(&s, op, acc, 3, x, w, bias);
  node(&s, NIB_OP_REQUANTIZE, y, 4, acc, NIB_NONE, multipliers,
       constant_of(&s, NIB_I8, channels, shift));
  const int32_t n = node(&s, NIB_OP_CLAMP, clamped, 1, y);
  nib_graph_set_float(s.g, n, NIB_A_MIN, -40);
  nib_graph_set_float(s.g, n, NIB_A_MAX, 30);
  output(&s, clamped);
  nib_graph_set_inputs(s.g, s.inputs, 1);
  nib_graph_set_outputs(s.g, s.outputs, 1);
  CHECK(nib_graph_validate(s.g, &harness_diag) == NIB_OK);
  return s.g;
}

static void run_graph(const nib_graph *g, uint64_t seed, int8_t *out) {
  nib_reference *r = NULL;
  int8_t in[512];
  fill_random(&seed, NIB_I8, in, (int64_t)sizeof in, 0);
  const void *inputs[] = {in};
  CHECK(nib_reference_create(g, &r, &harness_diag) == NIB_OK);
  CHECK(r && nib_reference_run(r, inputs, &harness_diag) == NIB_OK);
  const nib_tensor *t = &g->tensors[g->outputs[0]];
  if (r)
    memcpy(out, nib_reference_tensor(r, g->outputs[0]), nib_tensor_bytes(t));
  nib_reference_destroy(r);
}

/* Simplify leaves `nodes` nodes of a layer, with the same results. */
static void check_layer(const char *rounding, nib_op op, int32_t least_multiplier, int nodes) {
  nib_graph *g = layer(rounding, op, least_multiplier), *simple = nib_graph_clone(g);
  const nib_options o = nib_options_default();
  CHECK(nib_simplify_graph(simple, &o, &harness_diag) == NIB_OK);
  if (simple->n_nodes != nodes)
    printf("%s %s: %d nodes\n", rounding, nib_op_get(op)->mnemonic, simple->n_nodes);
  CHECK(simple->n_nodes == nodes);
  for (uint64_t seed = 1; seed < 200; ++seed) {
    int8_t want[512] = {0}, got[512] = {0};
    run_graph(g, seed, want);
    run_graph(simple, seed, got);
    CHECK(memcmp(want, got, sizeof want) == 0);
  }
  nib_graph_destroy(simple);
  nib_graph_destroy(g);
}

static void test_layers(void) {
  static const nib_op ops[] = {NIB_OP_CONV2D, NIB_OP_DEPTHWISE_CONV2D, NIB_OP_FULLY_CONNECTED};
  for (int i = 0; i < 3; ++i) {
    check_layer("tosa-single", ops[i], 1 << 30, 1);
    check_layer("tosa-single", ops[i], 1 << 14, 1);
    check_layer("tosa-inexact", ops[i], 1 << 20, 1);
    check_layer("tosa-double", ops[i], 1 << 30, 1);
    /* Two roundings of a multiplier below 31 bits are no function of their product. */
    check_layer("tosa-double", ops[i], 1 << 29, 3);
    check_layer("dyadic", ops[i], 1 << 25, 1);
  }
}

static void run_rounding(const char *rounding, uint64_t seed) {
  char dir[64], name[64];
  make_folder(dir);
  snprintf(name, sizeof name, "m_%s", rounding);
  suite s = suite_open(name, rounding, seed);
  add_cases(&s);
  finish(&s);
  CHECK(nib_graph_validate(s.g, &harness_diag) == NIB_OK);
  check_reference(&s);
  const nib_options o = emit_options(dir);
  CHECK(nib_emit_graph(s.g, &o, &harness_diag) == NIB_OK);
  model_run *run = find_run(load_models(dir, "-O0"), s.g->name);
  if (run)
    CHECK(compare_with_reference(&s, run, 2) > 0);
  nib_graph_destroy(s.g);
  remove_folder(dir);
}

int main(void) {
  static const char *const roundings[] = {"tosa-single", "tosa-double", "tosa-inexact"};
  test_formulas();
  for (int i = 0; i < 3; ++i)
    run_rounding(roundings[i], 90 + (uint64_t)i);
  test_layers();
  printf("%s%d failures\n", harness_message, harness_failures);
  return harness_failures != 0;
}

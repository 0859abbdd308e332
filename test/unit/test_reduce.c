/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_reduce
// reduce, cumulate and bitcast in every plain format: the reference against sums, products and
// choices made here, generated code against the reference.
#include "emit_harness.h"

static const nib_format formats[] = {NIB_I8,  NIB_U8,  NIB_I16, NIB_U16, NIB_I32, NIB_U32,
                                     NIB_I64, NIB_U64, NIB_F32, NIB_F64, NIB_I1};
static const char *const words[] = {"add", "mul", "min", "max"};

enum { A = 3, B = 4, C = 5, ELEMS = A * B * C };

typedef struct expectation {
  int32_t tensor, input;
  const char *word;
  unsigned axes; /* bits: reduced dimensions; 0: cumulated along `axis` */
  int axis;
} expectation;

static expectation expectations[max_ports];
static int n_expectations;

static bool is_real(nib_format f) { return nib_format_get(f)->kind == NIB_KIND_FLOAT; }

/* ---- graph ---- */

static void add_reduce(suite *s, nib_format f, const char *word, unsigned axes, bool keep) {
  static const int extents[] = {A, B, C};
  shape_of y = {.rank = 0};
  int64_t list[3];
  int count = 0;
  for (int i = 0; i < 3; ++i) {
    const bool gone = axes >> i & 1;
    if (gone)
      list[count++] = i;
    if (!gone || keep)
      y.dims[y.rank++] = gone ? 1 : extents[i];
  }
  snprintf(s->label, sizeof s->label, "reduce %s %s %u", word, nib_format_get(f)->name, axes);
  const int32_t x = input(s, f, shape(3, A, B, C), 0, 0), out = value(s, f, y, 0, 0);
  const int32_t n = node(s, NIB_OP_REDUCE, out, 1, x);
  nib_graph_set_ints(s->g, n, NIB_A_AXES, list, count);
  nib_graph_set_int(s->g, n, NIB_A_KEEP_DIMS, keep);
  nib_graph_set_string(s->g, n, NIB_A_REDUCTION, word);
  output(s, out);
  expectations[n_expectations++] = (expectation){out, s->n_inputs - 1, word, axes, 0};
}

static void add_cumulate(suite *s, nib_format f, const char *word, int axis) {
  snprintf(s->label, sizeof s->label, "cumulate %s %s %d", word, nib_format_get(f)->name, axis);
  const int32_t x = input(s, f, shape(3, A, B, C), 0, 0);
  const int32_t y = value(s, f, shape(3, A, B, C), 0, 0);
  const int32_t n = node(s, NIB_OP_CUMULATE, y, 1, x);
  nib_graph_set_int(s->g, n, NIB_A_AXIS, axis);
  nib_graph_set_string(s->g, n, NIB_A_REDUCTION, word);
  output(s, y);
  expectations[n_expectations++] = (expectation){y, s->n_inputs - 1, word, 0, axis};
}

static void add_bitcast(suite *s, nib_format from, nib_format to) {
  snprintf(s->label, sizeof s->label, "bitcast %s %s", nib_format_get(from)->name,
           nib_format_get(to)->name);
  const int32_t x = input(s, from, shape(2, 3, 5), 0, 0), y = value(s, to, shape(2, 3, 5), 0, 0);
  node(s, NIB_OP_BITCAST, y, 1, x);
  output(s, y);
}

static void add_all(suite *s, nib_format f) {
  for (int w = 0; w < 4; ++w) {
    if (f == NIB_I1 && w < 3) /* the inputs made up are any bytes */
      continue;
    add_reduce(s, f, words[w], 1u << w % 3, w % 2 == 0);
    add_reduce(s, f, words[w], 5, w % 2 == 1);
    add_reduce(s, f, words[w], 7, false);
    add_cumulate(s, f, words[w], w % 3);
  }
}

/* ---- expectations ---- */

static double combine_reals(const char *word, double a, double b) {
  return word[0] == 'a' ? a + b : word[1] == 'u' ? a * b : word[1] == 'i' ? fmin(a, b) : fmax(a, b);
}

/* Of equal width and signedness, modulo its range. */
static uint64_t combine_integers(const char *word, nib_format f, uint64_t a, uint64_t b) {
  const bool natural = nib_format_get(f)->kind == NIB_KIND_UNSIGNED;
  const bool less = natural ? a < b : (int64_t)a < (int64_t)b;
  if (word[0] == 'a' || word[1] == 'u') {
    unsigned char bytes[8];
    nib_format_store_code(f, bytes, 0, (int64_t)(word[0] == 'a' ? a + b : a * b));
    return (uint64_t)nib_format_load_code(f, bytes, 0);
  }
  return (word[1] == 'i') == less ? a : b;
}

static int place_of(const expectation *e, int a, int b, int c) {
  int place = 0;
  place = e->axes & 1 ? place : a;
  place = e->axes & 2 ? place : place * B + b;
  return e->axes & 4 ? place : place * C + c;
}

/* The elements that precede and include (a, b, c) along the axis, or share its place. */
static bool counts(const expectation *e, int i, int at) {
  const int x[] = {i / (B * C), i / C % B, i % C}, y[] = {at / (B * C), at / C % B, at % C};
  if (e->axes)
    return place_of(e, x[0], x[1], x[2]) == place_of(e, y[0], y[1], y[2]);
  for (int d = 0; d < 3; ++d)
    if (d == e->axis ? x[d] > y[d] : x[d] != y[d])
      return false;
  return true;
}

static void check(const suite *s, const expectation *e, const void *in, const void *got) {
  const nib_format f = s->g->tensors[e->tensor].format;
  for (int at = 0; at < ELEMS; ++at) {
    const int place = e->axes ? place_of(e, at / (B * C), at / C % B, at % C) : at;
    double real = 0, size = 0;
    uint64_t whole = 0;
    bool begun = false;
    for (int i = 0; i < ELEMS; ++i) {
      if (!counts(e, i, at))
        continue;
      const double x = is_real(f) ? nib_format_load_real(f, in, i) : 0;
      const uint64_t k = is_real(f) ? 0 : (uint64_t)nib_format_load_code(f, in, i);
      real = begun ? combine_reals(e->word, real, x) : x;
      whole = begun ? combine_integers(e->word, f, whole, k) : k;
      size = fmax(size, fabs(x)) + fabs(real) * 1e-2;
      begun = true;
    }
    const bool ok = is_real(f) ? fabs(nib_format_load_real(f, got, place) - real) <= 1e-5 * size
                               : (uint64_t)nib_format_load_code(f, got, place) == whole;
    if (!ok && ++harness_failures < 20)
      printf("%s: element %d of the result is wrong\n", s->g->tensors[e->tensor].name, place);
  }
}

static void check_reference(suite *s) {
  nib_reference *r = NULL;
  void *in[max_ports];
  CHECK(nib_reference_create(s->g, &r, &harness_diag) == NIB_OK);
  for (int32_t i = 0; i < s->n_inputs; ++i) {
    const nib_tensor *t = &s->g->tensors[s->inputs[i]];
    in[i] = calloc(nib_tensor_bytes(t) + 8, 1);
    fill_random(&s->rng, t->format, in[i], nib_tensor_elems(t), t->format == NIB_I1 ? 0 : 100);
    for (int64_t k = 0; t->format == NIB_I1 && k < nib_tensor_elems(t); ++k)
      ((uint8_t *)in[i])[k] &= 1;
    for (int64_t k = 0; t->format == NIB_F64 && k < nib_tensor_elems(t); ++k)
      ((double *)in[i])[k] = (double)pick(s, -1000, 1000) / 999;
  }
  CHECK(nib_reference_run(r, (const void *const *)in, &harness_diag) == NIB_OK);
  for (int i = 0; i < n_expectations; ++i)
    check(s, &expectations[i], in[expectations[i].input],
          nib_reference_tensor(r, expectations[i].tensor));
  for (int32_t i = 0; i < s->n_inputs; ++i)
    free(in[i]);
  nib_reference_destroy(r);
}

int main(void) {
  suite s = suite_open("m", "nearest-even", 11);
  for (size_t i = 0; i < sizeof formats / sizeof *formats; ++i)
    add_all(&s, formats[i]);
  add_bitcast(&s, NIB_F32, NIB_I32);
  add_bitcast(&s, NIB_I32, NIB_F32);
  add_bitcast(&s, NIB_I64, NIB_F64);
  add_bitcast(&s, NIB_U16, NIB_F16);
  finish(&s);
  CHECK(compare_generated(&s, "-O1", 1) > 0);
  check_reference(&s);
  nib_graph_destroy(s.g);
  printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_index
// Operators with indices: the reference against written-down results, generated code against the
// reference on indices of every kind, those beyond the ends included.
#include "emit_harness.h"

static const nib_format formats[] = {NIB_I8, NIB_I16, NIB_F32, NIB_I64, NIB_F16, NIB_U64, NIB_BF16};

static int32_t constant_of(suite *s, nib_format f, shape_of d, const void *data) {
  const int32_t t = value(s, f, d, 0, 0);
  CHECK(nib_graph_set_data(s->g, t, data, nib_tensor_bytes(&s->g->tensors[t]), NIB_DATA_COPY) ==
        NIB_OK);
  return t;
}

/* Indices up to 3 beyond both ends of `size`. */
static int32_t random_indices(suite *s, nib_format f, shape_of d, int64_t size) {
  int64_t wide[256];
  int32_t narrow[256];
  int64_t n = 1;
  for (int32_t i = 0; i < d.rank; ++i)
    n *= d.dims[i];
  for (int64_t i = 0; i < n; ++i) {
    wide[i] = pick(s, -size - 3, size + 2);
    narrow[i] = (int32_t)wide[i];
  }
  return constant_of(s, f, d, f == NIB_I64 ? (const void *)wide : narrow);
}

static int32_t result(suite *s, nib_op op, int32_t like, shape_of d, int32_t n_in, ...) {
  int32_t in[3];
  va_list args;
  va_start(args, n_in);
  for (int32_t i = 0; i < n_in; ++i)
    in[i] = va_arg(args, int32_t);
  va_end(args);
  const nib_tensor *t = &s->g->tensors[like];
  const int32_t out = value(s, t->format, d, t->quantized ? t->scale : 0, t->zero_point);
  output(s, out);
  return nib_graph_add_node(s->g, op, s->label, s->g->n_nodes, in, n_in, out);
}

static void add_gathers(suite *s, nib_format f, nib_format index) {
  const int32_t x = input(s, f, shape(4, 2, 5, 6, 3), f == NIB_I8 ? 0.5 : 0, 0);
  int32_t n = result(s, NIB_OP_GATHER, x, shape(5, 2, 5, 2, 4, 3), 2, x,
                     random_indices(s, index, shape(2, 2, 4), 6));
  nib_graph_set_int(s->g, n, NIB_A_AXIS, 2);
  n = result(s, NIB_OP_GATHER, x, shape(4, 2, 5, 6, 7), 2, x,
             random_indices(s, index, shape(1, 7), 3));
  nib_graph_set_int(s->g, n, NIB_A_AXIS, 3);
  n = result(s, NIB_OP_GATHER, x, shape(3, 5, 6, 3), 2, x, random_indices(s, index, shape(0), 2));
  n = result(s, NIB_OP_GATHER, x, shape(4, 2, 5, 4, 3), 2, x,
             random_indices(s, index, shape(2, 2, 4), 6));
  nib_graph_set_int(s->g, n, NIB_A_AXIS, 2);
  nib_graph_set_int(s->g, n, NIB_A_BATCH_DIMS, 1);
  result(s, NIB_OP_GATHER_ND, x, shape(3, 7, 6, 3), 2, x,
         random_indices(s, index, shape(2, 7, 2), 5));
  n = result(s, NIB_OP_GATHER_ND, x, shape(2, 2, 4), 2, x,
             random_indices(s, index, shape(3, 2, 4, 3), 5));
  nib_graph_set_int(s->g, n, NIB_A_BATCH_DIMS, 1);
  n = result(s, NIB_OP_GATHER_ELEMENTS, x, shape(4, 2, 9, 4, 3), 2, x,
             random_indices(s, index, shape(4, 2, 9, 4, 3), 5));
  nib_graph_set_int(s->g, n, NIB_A_AXIS, 1);
  result(s, NIB_OP_BROADCAST, x, shape(5, 4, 2, 5, 6, 3), 1, x);
}

static void add_scatters(suite *s, nib_format f, nib_format index) {
  static const char *const reductions[] = {"none", "add", "mul", "min", "max"};
  const int32_t x = input(s, f, shape(3, 4, 5, 3), 0, 0);
  const int32_t slices = input(s, f, shape(2, 6, 3), 0, 0);
  const int32_t elements = input(s, f, shape(3, 4, 7, 2), 0, 0);
  for (int i = 0; i < 5; ++i) {
    int32_t n = result(s, NIB_OP_SCATTER_ND, x, shape(3, 4, 5, 3), 3, x,
                       random_indices(s, index, shape(2, 6, 2), 4), slices);
    nib_graph_set_string(s->g, n, NIB_A_REDUCTION, reductions[i]);
    n = result(s, NIB_OP_SCATTER_ELEMENTS, x, shape(3, 4, 5, 3), 3, x,
               random_indices(s, index, shape(3, 4, 7, 2), 5), elements);
    nib_graph_set_string(s->g, n, NIB_A_REDUCTION, reductions[i]);
    nib_graph_set_int(s->g, n, NIB_A_AXIS, 1);
  }
}

static void add_top_k(suite *s, nib_format f) {
  const int32_t x = input(s, f, shape(3, 2, 9, 3), 0, 0);
  for (int i = 0; i < 4; ++i) {
    const int k = i < 2 ? 4 : 9;
    const int32_t y = value(s, NIB_I64, shape(3, 2, k, 3), 0, 0);
    const int32_t n = node(s, NIB_OP_TOP_K, y, 1, x);
    nib_graph_set_int(s->g, n, NIB_A_AXIS, 1);
    nib_graph_set_int(s->g, n, NIB_A_LARGEST, i % 2);
    output(s, y);
  }
}

static void test_generated(void) {
  suite s = suite_open("indexed", "nearest-even", 11);
  for (size_t i = 0; i < sizeof formats / sizeof *formats; ++i) {
    add_gathers(&s, formats[i], i % 2 ? NIB_I32 : NIB_I64);
    add_scatters(&s, formats[i], i % 2 ? NIB_I64 : NIB_I32);
    add_top_k(&s, formats[i]);
  }
  finish(&s);
  CHECK(compare_generated(&s, "-O1", 2) > 100);
  nib_graph_destroy(s.g);
}

/* ---- written-down results ---- */

/* What the reference computes, for one input of f32 or i64 results. */
static void expect(suite *s, const float *x, const double *want, int n) {
  nib_reference *r = NULL;
  nib_graph_set_inputs(s->g, s->inputs, s->n_inputs);
  nib_graph_set_outputs(s->g, s->outputs, s->n_outputs);
  CHECK(nib_graph_validate(s->g, &harness_diag) == NIB_OK);
  CHECK(nib_reference_create(s->g, &r, &harness_diag) == NIB_OK);
  const void *inputs[] = {x};
  CHECK(nib_reference_run(r, inputs, &harness_diag) == NIB_OK);
  const nib_tensor *t = &s->g->tensors[s->outputs[0]];
  CHECK(nib_tensor_elems(t) == n);
  for (int i = 0; i < n; ++i)
    CHECK(nib_format_load_real(t->format, nib_reference_tensor(r, s->outputs[0]), i) == want[i]);
  nib_reference_destroy(r);
  nib_graph_destroy(s->g);
}

static const float numbers[] = {3, 1, 2, 3, 5, 4};

static void test_gather_values(void) {
  static const int64_t i[] = {-1, 0, 9, -9};
  static const double columns[] = {2, 3, 2, 3, 4, 3, 4, 3};
  suite s = suite_open("m", "nearest-even", 1);
  int32_t x = input(&s, NIB_F32, shape(2, 2, 3), 0, 0);
  const int32_t n =
      result(&s, NIB_OP_GATHER, x, shape(2, 2, 4), 2, x, constant_of(&s, NIB_I64, shape(1, 4), i));
  nib_graph_set_int(s.g, n, NIB_A_AXIS, 1);
  expect(&s, numbers, columns, 8);

  static const int32_t tuples[] = {1, -1, 0, 0, -2, 7};
  static const double picked[] = {4, 3, 2};
  s = suite_open("m", "nearest-even", 1);
  x = input(&s, NIB_F32, shape(2, 2, 3), 0, 0);
  result(&s, NIB_OP_GATHER_ND, x, shape(1, 3), 2, x,
         constant_of(&s, NIB_I32, shape(2, 3, 2), tuples));
  expect(&s, numbers, picked, 3);

  static const int64_t rows[] = {1, 0, -1};
  static const double elements[] = {3, 1, 4};
  s = suite_open("m", "nearest-even", 1);
  x = input(&s, NIB_F32, shape(2, 2, 3), 0, 0);
  result(&s, NIB_OP_GATHER_ELEMENTS, x, shape(2, 1, 3), 2, x,
         constant_of(&s, NIB_I64, shape(2, 1, 3), rows));
  expect(&s, numbers, elements, 3);
}

static void test_scatter_values(void) {
  static const int64_t rows[] = {-1, 2, 0};
  static const float updates[] = {10, 11, 12, 20, 21, 22, 30, 31, 32};
  static const double stored[] = {30, 31, 32, 10, 11, 12}, added[] = {33, 32, 34, 13, 16, 16};
  for (int add = 0; add < 2; ++add) {
    suite s = suite_open("m", "nearest-even", 1);
    const int32_t x = input(&s, NIB_F32, shape(2, 2, 3), 0, 0);
    const int32_t n =
        result(&s, NIB_OP_SCATTER_ND, x, shape(2, 2, 3), 3, x,
               constant_of(&s, NIB_I64, shape(2, 3, 1), rows), /* 2 is beyond the end */
               constant_of(&s, NIB_F32, shape(2, 3, 3), updates));
    if (add)
      nib_graph_set_string(s.g, n, NIB_A_REDUCTION, "add");
    expect(&s, numbers, add ? added : stored, 6);
  }
}

static void test_top_k_values(void) {
  static const double largest[] = {4, 5, 0}, smallest[] = {1, 2, 0, 3, 5, 4};
  suite s = suite_open("m", "nearest-even", 1);
  int32_t x = input(&s, NIB_F32, shape(1, 6), 0, 0), y = value(&s, NIB_I64, shape(1, 3), 0, 0);
  node(&s, NIB_OP_TOP_K, y, 1, x);
  output(&s, y);
  expect(&s, numbers, largest, 3);
  s = suite_open("m", "nearest-even", 1);
  x = input(&s, NIB_F32, shape(1, 6), 0, 0);
  y = value(&s, NIB_I64, shape(1, 6), 0, 0);
  const int32_t n = node(&s, NIB_OP_TOP_K, y, 1, x);
  nib_graph_set_int(s.g, n, NIB_A_LARGEST, 0);
  output(&s, y);
  expect(&s, numbers, smallest, 6);
}

static void test_broadcast_values(void) {
  static const double want[] = {3, 3, 1, 1, 2, 2, 3, 3, 5, 5, 4, 4};
  suite s = suite_open("m", "nearest-even", 1);
  const int32_t x = input(&s, NIB_F32, shape(2, 6, 1), 0, 0);
  result(&s, NIB_OP_BROADCAST, x, shape(2, 6, 2), 1, x);
  expect(&s, numbers, want, 12);
}

/* Shapes and indices that the rules refuse. */
static void test_refused(void) {
  for (int i = 0; i < 4; ++i) {
    suite s = suite_open("m", "nearest-even", 1);
    const int32_t x = input(&s, NIB_F32, shape(2, 2, 3), 0, 0);
    const int32_t at = input(&s, i == 0 ? NIB_I8 : NIB_I64, shape(1, 2), 0, 0);
    const int32_t n =
        result(&s, NIB_OP_GATHER, x, i == 1 ? shape(2, 3, 3) : shape(2, 2, 3), 2, x, at);
    if (i == 2)
      nib_graph_set_int(s.g, n, NIB_A_AXIS, 2);
    if (i == 3)
      nib_graph_set_int(s.g, n, NIB_A_BATCH_DIMS, 1);
    nib_graph_set_inputs(s.g, s.inputs, s.n_inputs);
    nib_graph_set_outputs(s.g, s.outputs, s.n_outputs);
    CHECK(nib_graph_validate(s.g, &harness_diag) == NIB_ERROR_INVALID_INPUT);
    nib_graph_destroy(s.g);
  }
}

int main(void) {
  test_gather_values();
  test_scatter_values();
  test_top_k_values();
  test_broadcast_values();
  test_refused();
  test_generated();
  if (harness_failures)
    printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}

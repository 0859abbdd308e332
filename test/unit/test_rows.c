/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_rows
/* Attention and norms as one kernel that works row by row, in every vocabulary that runs here,
 * against the reference: shared heads, masks of every shape, rows of odd length, halves between the
 * steps. And that groups whose rows do not meet are not taken for such kernels. */
#include "kernel_harness.h"

#include "schedule/row_plan.h"

#define F32 NIB_F32

static int32_t add(suite *s, int32_t *nodes, int *n, nib_op op, int32_t out, int32_t a, int32_t b) {
  nodes[(*n)++] = b == NIB_NONE ? node(s, op, out, 1, a) : node(s, op, out, 2, a, b);
  return out;
}

static int32_t constant_number(suite *s, float x) {
  const int32_t t = value(s, F32, shape(0), 0, 0);
  nib_graph_set_data(s->g, t, &x, sizeof x, NIB_DATA_COPY);
  return t;
}

static int32_t flags(suite *s, shape_of d) {
  const int32_t t = value(s, NIB_I1, d, 0, 0);
  uint8_t data[1024];
  const size_t n = nib_tensor_bytes(&s->g->tensors[t]);
  for (size_t i = 0; i < n && i < sizeof data; i++)
    data[i] = (uint8_t)pick(s, 0, 1);
  nib_graph_set_data(s->g, t, data, n, NIB_DATA_COPY);
  return t;
}

/* ---- attention ---- */

typedef enum mask_kind { NO_MASK, ADDED, ADDED_PER_HEAD, WHERE, SOFTCAP } mask_kind;

static const struct attention {
  int batch, heads, shared, rows, keys, depth, width; /* `shared` heads use the same keys */
  mask_kind mask;
  nib_format between;
  float beta;
} attentions[] = {
    {1, 1, 1, 1, 2, 2, 2, NO_MASK, F32, 1},
    {2, 3, 1, 4, 6, 8, 10, ADDED, F32, 1},
    {1, 2, 2, 8, 33, 16, 16, ADDED_PER_HEAD, F32, 1},
    {1, 2, 1, 5, 64, 7, 17, WHERE, F32, 1},
    {2, 1, 3, 12, 131, 9, 40, SOFTCAP, F32, 1},
    {1, 1, 1, 6, 16, 3, 67, NO_MASK, NIB_F16, 0.5f},
    {1, 2, 1, 4, 37, 5, 9, ADDED, NIB_BF16, 1},
    {2, 2, 1, 7, 40, 6, 20, ADDED_PER_HEAD, F32, 1},
    {1, 3, 2, 9, 21, 4, 33, ADDED, F32, 1},
};

static int32_t masked(suite *s, const struct attention *a, int32_t *nodes, int *n, int32_t x,
                      shape_of scores) {
  const int32_t y = value(s, F32, scores, 0, 0);
  switch (a->mask) {
  case ADDED:
    return add(s, nodes, n, NIB_OP_ADD, y, x, input(s, F32, shape(2, a->rows, a->keys), 0, 0));
  case ADDED_PER_HEAD:
    return add(s, nodes, n, NIB_OP_ADD, y, x,
               constant(s, F32, shape(4, a->heads, 1, 1, a->keys), 0, 0, 0));
  case SOFTCAP:
    add(s, nodes, n, NIB_OP_DIV, y, x, constant_number(s, 3.0f));
    x = add(s, nodes, n, NIB_OP_TANH, value(s, F32, scores, 0, 0), y, NIB_NONE);
    return add(s, nodes, n, NIB_OP_MUL, value(s, F32, scores, 0, 0), x, constant_number(s, 3.0f));
  default:
    return x;
  }
}

static int32_t rounded(suite *s, const struct attention *a, int32_t *nodes, int *n, int32_t x,
                       shape_of d) {
  if (a->between == F32)
    return x;
  const int32_t half = add(s, nodes, n, NIB_OP_CAST, value(s, a->between, d, 0, 0), x, NIB_NONE);
  return add(s, nodes, n, NIB_OP_CAST, value(s, F32, d, 0, 0), half, NIB_NONE);
}

static void add_attention(suite *s, const struct attention *a, int index) {
  int32_t nodes[24];
  int n = 0;
  snprintf(s->label, sizeof s->label, "attention %d", index);
  const shape_of queries = shape(5, a->batch, a->heads, a->shared, a->rows, a->depth);
  const shape_of scores = shape(5, a->batch, a->heads, a->shared, a->rows, a->keys);
  const shape_of results = shape(5, a->batch, a->heads, a->shared, a->rows, a->width);
  const int32_t q = input(s, F32, queries, 0, 0);
  const int32_t k = input(s, F32, shape(5, a->batch, a->heads, 1, a->depth, a->keys), 0, 0);
  const int32_t v = input(s, F32, shape(4, a->heads, 1, a->keys, a->width), 0, 0);
  int32_t x =
      add(s, nodes, &n, NIB_OP_MUL, value(s, F32, queries, 0, 0), q, constant_number(s, 0.002f));
  x = rounded(s, a, nodes, &n, x, queries); /* sums, in another order, would round elsewhere */
  x = add(s, nodes, &n, NIB_OP_MATMUL, value(s, F32, scores, 0, 0), x, k);
  x = masked(s, a, nodes, &n, x, scores);
  x = add(s, nodes, &n, NIB_OP_SOFTMAX, value(s, F32, scores, 0, 0), x, NIB_NONE);
  nib_graph_set_int(s->g, nodes[n - 1], NIB_A_AXIS, 4);
  nib_graph_set_float(s->g, nodes[n - 1], NIB_A_BETA, a->beta);
  if (a->mask == WHERE) {
    const int32_t y = value(s, F32, scores, 0, 0);
    const int32_t keep = flags(s, shape(2, a->rows, a->keys));
    nodes[n++] = node(s, NIB_OP_WHERE, y, 3, keep, x, constant_number(s, 0.0f));
    x = y;
  }
  const int32_t y = add(s, nodes, &n, NIB_OP_MATMUL, value(s, F32, results, 0, 0), x, v);
  add_kernel(s, nodes, n);
  output(s, y);
}

/* ---- norms ---- */

/* Root mean square (with a bias where `layer`, after the mean is taken away) over the last `over`
 * of three dimensions. */
static void add_norm(suite *s, bool layer, int over, int a, int b, int c, nib_format last) {
  int32_t nodes[16];
  int n = 0;
  snprintf(s->label, sizeof s->label, "norm %d over %d of %d %d %d", layer, over, a, b, c);
  const shape_of whole = shape(3, a, b, c),
                 single = shape(3, over > 2 ? 1 : a, over > 1 ? 1 : b, 1);
  const shape_of weights = over > 1 ? shape(2, b, c) : shape(1, c);
  int32_t x = input(s, F32, whole, 0, 0);
#define TAKE_MEAN(from)                                                                            \
  (add(s, nodes, &n, NIB_OP_MEAN, value(s, F32, single, 0, 0), from, NIB_NONE),                    \
   over > 1 ? set_ints(s, nodes[n - 1], NIB_A_AXES, 2, 1, 2)                                       \
            : set_ints(s, nodes[n - 1], NIB_A_AXES, 1, 2),                                         \
   nib_graph_set_int(s->g, nodes[n - 1], NIB_A_KEEP_DIMS, 1), s->g->nodes[nodes[n - 1]].out)
  if (layer) {
    const int32_t mean = TAKE_MEAN(x);
    x = add(s, nodes, &n, NIB_OP_SUB, value(s, F32, whole, 0, 0), x, mean);
  }
  const int32_t square = add(s, nodes, &n, NIB_OP_MUL, value(s, F32, whole, 0, 0), x, x);
  int32_t m = TAKE_MEAN(square);
  m = add(s, nodes, &n, NIB_OP_ADD, value(s, F32, single, 0, 0), m, constant_number(s, 1e-3f));
  m = add(s, nodes, &n, NIB_OP_RSQRT, value(s, F32, single, 0, 0), m, NIB_NONE);
  x = add(s, nodes, &n, NIB_OP_MUL, value(s, F32, whole, 0, 0), x, m);
  x = add(s, nodes, &n, NIB_OP_MUL, value(s, F32, whole, 0, 0), x,
          constant(s, F32, weights, 0, 0, 0));
  if (layer)
    x = add(s, nodes, &n, NIB_OP_ADD, value(s, F32, whole, 0, 0), x, input(s, F32, weights, 0, 0));
  if (last != F32)
    x = add(s, nodes, &n, NIB_OP_CAST, value(s, last, whole, 0, 0), x, NIB_NONE);
  add_kernel(s, nodes, n);
  output(s, x);
}

static void test(const nib_vocab *v, const char *target, const char *rounding, uint64_t seed) {
  suite s = suite_open("rows", rounding, seed);
  if (strcmp(rounding, "tflite-double") != 0) { /* nothing is rounded to codes */
    nib_graph_destroy(s.g);
    return;
  }
  for (size_t i = 0; i < sizeof attentions / sizeof *attentions; i++)
    add_attention(&s, &attentions[i], (int)i);
  static const int widths[] = {2, 5, 8, 16, 31, 64, 100};
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
    for (int layer = 0; layer < 2; layer++)
      add_norm(&s, layer, 1 + (int)(i % 2), 2, 3, widths[i], F32);
  add_norm(&s, true, 1, 1, 4, 48, NIB_F16);
  add_norm(&s, false, 1, 3, 1, 21, NIB_BF16);
  for (int32_t i = 0; i < s.g->n_kernels; i++) {
    nib_row_plan plan;
    CHECK(nib_row_plan_make(s.g, &s.g->kernels[i], &plan));
    CHECK(plan.n_sums > 0);
  }
  run_suite(&s, v, target, "clang-22");
}

/* Groups whose rows do not meet. */
static void check_refused(void) {
  suite s = suite_open("refused", "nearest-even", 1);
  nib_row_plan plan;
  int32_t nodes[2];
  /* a softmax along another axis than the last */
  const int32_t x = input(&s, F32, shape(2, 6, 6), 0, 0), y = value(&s, F32, shape(2, 6, 6), 0, 0);
  nodes[0] = node(&s, NIB_OP_SOFTMAX, y, 1, x);
  nib_graph_set_int(s.g, nodes[0], NIB_A_AXIS, 0);
  nib_kernel k = {.name = "k", .nodes = nodes, .n_nodes = 1};
  CHECK(!nib_row_plan_make(s.g, &k, &plan));
  /* a product by what the kernel makes */
  nib_graph_set_int(s.g, nodes[0], NIB_A_AXIS, 1);
  CHECK(nib_row_plan_make(s.g, &k, &plan) && plan.rows == 6);
  nodes[1] = node(&s, NIB_OP_MATMUL, value(&s, F32, shape(2, 6, 6), 0, 0), 2, x, y);
  k.n_nodes = 2;
  CHECK(!nib_row_plan_make(s.g, &k, &plan));
  /* a product of single numbers */
  const int32_t thin = input(&s, F32, shape(2, 6, 1), 0, 0),
                wide = input(&s, F32, shape(2, 1, 6), 0, 0);
  const int32_t w = value(&s, F32, shape(2, 6, 1), 0, 0);
  nodes[0] = node(&s, NIB_OP_EXP, w, 1, thin);
  nodes[1] = node(&s, NIB_OP_MATMUL, value(&s, F32, shape(2, 6, 6), 0, 0), 2, w, wide);
  CHECK(!nib_row_plan_make(s.g, &k, &plan));
  /* rows that every row reads */
  const int32_t one = input(&s, F32, shape(2, 1, 6), 0, 0),
                z = value(&s, F32, shape(2, 1, 6), 0, 0);
  nodes[0] = node(&s, NIB_OP_SOFTMAX, z, 1, one);
  nodes[1] = node(&s, NIB_OP_ADD, value(&s, F32, shape(2, 6, 6), 0, 0), 2, x, z);
  CHECK(!nib_row_plan_make(s.g, &k, &plan));
  nib_graph_destroy(s.g);
}

int main(void) {
  check_refused();
  return test_each_vocabulary(test);
}

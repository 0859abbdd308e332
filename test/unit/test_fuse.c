/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_fuse
/* Grouping: what a kernel absorbs and what it must not, views and outputs, names, and the stages
 * after it on the same graphs (scratch, fallback, options that do not match). */
#include "stage_harness.h"

#include "fuse/fuse.h"
#include "select/select.h"
#include "vocab/vocab.h"

static const int64_t k_dims[] = {1, 6, 6, 16};

static int32_t quantized(nib_graph *g, const char *name) {
  return new_quantized(g, name, NIB_I8, 4, k_dims, 0.5f, 1);
}

static int32_t add_conv(nib_graph *g, const char *name, int32_t x) {
  const int64_t w_dims[] = {16, 3, 3, 16}, pads[] = {1, 1, 1, 1}, one = 1;
  const float scale = 0.01f;
  const int32_t in[] = {x, random_constant(g, "w", NIB_I8, 4, w_dims), NIB_NONE,
                        new_constant(g, "s", NIB_F32, 1, &one, &scale)};
  const int32_t y = quantized(g, name);
  const int32_t n = new_node(g, NIB_OP_CONV2D, name, 4, in, y);
  nib_graph_set_ints(g, n, NIB_A_PADS, pads, 4);
  return y;
}

static int32_t add_sum(nib_graph *g, const char *name, int32_t a, int32_t b) {
  const int32_t in[] = {a, b}, y = quantized(g, name);
  new_node(g, NIB_OP_ADD, name, 2, in, y);
  return y;
}

static int32_t add_view(nib_graph *g, int32_t x) {
  const int64_t flat[] = {1, 576};
  const int32_t y = new_quantized(g, "view", NIB_I8, 2, flat, 0.5f, 1);
  new_node(g, NIB_OP_RESHAPE, "view", 1, &x, y);
  return y;
}

static nib_graph *begin(int32_t *x) {
  nib_graph *g = nib_graph_create("g");
  g->rounding = nib_graph_strdup(g, "tflite-double");
  *x = quantized(g, "x");
  nib_graph_set_inputs(g, x, 1);
  return g;
}

/* Fuses, plans and selects; the evaluator sees no difference. */
static void run_stages(nib_graph *g, const int32_t *outputs, int n, const char *target,
                       const char *what) {
  message_log log = {0};
  const nib_diag diag = {log_message, &log};
  nib_options o = nib_options_default();
  o.target = target;
  nib_graph_set_outputs(g, outputs, n);
  CHECK(nib_graph_validate(g, &diag) == NIB_OK, "%s: invalid: %s", what, log.text);
  nib_graph *before = nib_graph_clone(g);
  CHECK(nib_fuse_graph(g, &o, &diag) == NIB_OK, "%s: fuse: %s", what, log.text);
  CHECK(nib_plan_graph(g, &o, &diag) == NIB_OK, "%s: plan: %s", what, log.text);
  CHECK(nib_select_graph(g, &o, &diag) == NIB_OK, "%s: select: %s", what, log.text);
  CHECK(nib_graph_validate(g, &diag) == NIB_OK, "%s: invalid after: %s", what, log.text);
  CHECK(compare_graphs(before, g, 3, &diag) == 0, "%s: results changed", what);
  nib_graph_destroy(before);
  for (int32_t i = 0; i < g->n_nodes; ++i) {
    const nib_node *node = &g->nodes[i];
    CHECK(node->kernel != NIB_NONE || nib_fuse_is_view(node->op), "%s: node %d is in no kernel",
          what, i);
  }
  for (int32_t k = 0; k < g->n_kernels; ++k) {
    CHECK(g->kernels[k].schedule != NULL && g->kernels[k].vocab != NULL &&
              g->kernels[k].predicted_ns > 0,
          "%s: kernel %d is not selected", what, k);
    for (int32_t i = 0; i < k; ++i)
      CHECK(strcmp(g->kernels[i].name, g->kernels[k].name) != 0, "%s: two kernels '%s'", what,
            g->kernels[k].name);
  }
}

static void test_residual_is_absorbed(void) {
  int32_t x;
  nib_graph *g = begin(&x);
  const int32_t a = add_conv(g, "net/conv2d_1/Conv2D", x);
  const int32_t m = add_conv(g, "net/Relu_3", a);
  const int32_t b = add_conv(g, "net/conv2d_2/Conv2D;net/bias", m);
  const int32_t c = add_sum(g, "net/add/add", b, a);
  const int32_t y = add_conv(g, "net/conv2d_1/BiasAdd", c);
  run_stages(g, &y, 1, "x86-64-v3", "residual");
  CHECK(g->n_kernels == 4, "residual: %d kernels", g->n_kernels);
  const nib_kernel *k = &g->kernels[g->nodes[g->tensors[c].producer].kernel];
  CHECK(k->n_nodes == 2 && g->tensors[b].arena_offset < 0, "residual: absorbed tensor has storage");
  CHECK(strcmp(g->kernels[0].name, "conv2d_1") == 0 && strcmp(g->kernels[1].name, "relu_3") == 0 &&
            strcmp(g->kernels[2].name, "conv2d_2") == 0 &&
            strcmp(g->kernels[3].name, "conv2d_1_2") == 0,
        "names: %s %s %s", g->kernels[1].name, g->kernels[2].name, g->kernels[3].name);
  /* The sum is written over the residual, which dies there. */
  CHECK(g->tensors[c].arena_offset == g->tensors[a].arena_offset, "residual: not in place");
  nib_graph_destroy(g);
}

/* A value that somebody else reads, or that is an output, is not absorbed. */
static void test_shared_values_stay(void) {
  int32_t x;
  nib_graph *g = begin(&x);
  const int32_t a = add_conv(g, "a", x), b = add_conv(g, "b", a);
  const int32_t c = add_sum(g, "c", b, a), outputs[] = {c, b};
  run_stages(g, outputs, 2, "x86-64-v3", "two outputs");
  CHECK(g->n_kernels == 3, "two outputs: %d kernels", g->n_kernels);
  nib_graph_destroy(g);

  g = begin(&x);
  const int32_t d = add_conv(g, "d", x), e = add_sum(g, "e", d, d);
  run_stages(g, &e, 1, "x86-64-v3", "a value twice");
  CHECK(g->n_kernels == 2, "a value twice: %d kernels", g->n_kernels);
  nib_graph_destroy(g);
}

static void test_views_and_outputs(void) {
  int32_t x;
  nib_graph *g = begin(&x);
  const int32_t y = add_conv(g, "conv", x), v = add_view(g, y);
  run_stages(g, &v, 1, "c99", "view of a result");
  CHECK(g->n_kernels == 1 && g->tensors[y].alias_of == v, "the kernel writes the output");
  nib_graph_destroy(g);

  g = begin(&x);
  const int32_t w = add_view(g, x);
  run_stages(g, &w, 1, "c99", "view of an input");
  CHECK(g->n_kernels == 1, "an output needs a copy of the input: %d kernels", g->n_kernels);
  nib_graph_destroy(g);

  g = begin(&x);
  const int32_t p = add_conv(g, "conv", x), q = add_view(g, p);
  const int32_t outputs[] = {p, q, p, x};
  run_stages(g, outputs, 4, "c99", "the same result four times");
  CHECK(g->n_kernels == 4, "each output needs its own kernel: %d kernels", g->n_kernels);
  nib_graph_destroy(g);
}

static void test_fallback_and_mismatch(void) {
  int32_t x;
  message_log log = {0};
  const nib_diag diag = {log_message, &log};
  nib_graph *g = begin(&x);
  const int64_t dims[] = {1, 3, 3, 16}, two[] = {2, 2};
  const int32_t y = new_quantized(g, "y", NIB_I8, 4, dims, 0.5f, 1);
  const int32_t a = add_conv(g, "conv", x);
  const int32_t pool = new_node(g, NIB_OP_AVG_POOL2D, "pool", 1, &a, y);
  nib_graph_set_ints(g, pool, NIB_A_KERNEL, two, 2);
  nib_graph_set_ints(g, pool, NIB_A_STRIDES, two, 2);
  nib_graph_set_outputs(g, &y, 1);
  nib_options o = nib_options_default();
  CHECK(nib_select_graph(g, &o, &diag) == NIB_ERROR_INVALID_USAGE, "select before fuse");
  CHECK(nib_plan_graph(g, &o, &diag) == NIB_ERROR_INVALID_USAGE, "plan before fuse");
  o.target = "no such target";
  CHECK(nib_fuse_graph(g, &o, &diag) == NIB_ERROR_INVALID_USAGE, "unknown target");
  o.target = "x86-64-v3";
  log.notes = 0;
  CHECK(nib_fuse_graph(g, &o, &diag) == NIB_OK && nib_plan_graph(g, &o, &diag) == NIB_OK &&
            nib_select_graph(g, &o, &diag) == NIB_OK,
        "stages: %s", log.text);
  bool scalar = false;
  for (int32_t k = 0; k < g->n_kernels; ++k)
    scalar = scalar || strcmp(g->kernels[k].schedule, "direct") == 0;
  o.no_fallback = true;
  CHECK((log.notes > 0) == scalar, "a fallback is reported: %s", log.text);
  CHECK(nib_select_graph(g, &o, &diag) == (scalar ? NIB_ERROR_LIMIT : NIB_OK), "--no-fallback");
  o.target = "c99";
  g->kernels[0].scratch_bytes = 0; /* as if planned for another target */
  g->kernels[0].scratch_offset = -1;
  nib_select_context context;
  nib_select_candidate all[64];
  int n = 0;
  CHECK(nib_select_open(&o, &context, &diag) == NIB_OK, "open");
  CHECK(nib_select_candidates(&context, g, &g->kernels[0], all, 64, &n, &diag) == NIB_OK && n > 0,
        "candidates");
  for (int i = 1; i < n && i < 64; ++i)
    CHECK(all[i - 1].cost.ns <= all[i].cost.ns, "candidates are sorted");
  if (all[0].scratch_bytes > 0)
    CHECK(nib_select_graph(g, &o, &diag) == NIB_ERROR_INVALID_USAGE, "missing scratch");
  nib_select_close(&context);
  nib_graph_destroy(g);
}

static int32_t add_dense(nib_graph *g, const char *name, int32_t x, const char *activation,
                         const int64_t *clamp) {
  const int64_t dims[] = {200, 32}, w_dims[] = {32, 32}, one = 1;
  const float scale = 0.01f;
  const int32_t in[] = {x, random_constant(g, "w", NIB_I8, 2, w_dims), NIB_NONE,
                        new_constant(g, "s", NIB_F32, 1, &one, &scale)};
  const int32_t y = new_quantized(g, name, NIB_I8, 2, dims, 0.5f, -7);
  const int32_t n = new_node(g, NIB_OP_FULLY_CONNECTED, name, 4, in, y);
  nib_graph_set_string(g, n, NIB_A_ACTIVATION, activation);
  if (clamp)
    nib_graph_set_ints(g, n, NIB_A_CLAMP, clamp, 2);
  return y;
}

/* Inside a chain int8 becomes uint8 where products take that, with its bounds; at its ends it
 * stays. */
static void test_codes_of_chains(void) {
  static const struct {
    const char *target;
    bool recoded;
  } k_rows[] = {{"x86-64-v4+avx512vnni", true}, {"x86-64-v3", true}, {"c99", false}};
  const int64_t dims[] = {200, 32}, bounds[] = {-100, 90};
  for (size_t i = 0; i < sizeof k_rows / sizeof *k_rows; ++i) {
    int32_t x;
    nib_graph *g = begin(&x);
    x = new_quantized(g, "rows", NIB_I8, 2, dims, 0.5f, 1);
    nib_graph_set_inputs(g, &x, 1);
    const int32_t a = add_dense(g, "a", x, "relu", NULL);
    const int32_t b = add_dense(g, "b", a, "none", bounds);
    const int32_t y = add_dense(g, "y", b, "none", bounds);
    run_stages(g, &y, 1, k_rows[i].target, k_rows[i].target);
    const bool chain = g->n_kernels == 1 && strcmp(g->kernels[0].schedule, "row_chain") == 0;
    const bool is_u8 = strcmp(nib_vocab_find(g->kernels[0].vocab)->name, "avx2") != 0;
    CHECK(chain == k_rows[i].recoded, "%s: chain", k_rows[i].target);
    const int64_t flip = chain && is_u8 ? 128 : 0;
    const nib_format inside = flip ? NIB_U8 : NIB_I8;
    CHECK(g->tensors[a].format == inside && g->tensors[b].format == inside, "%s: codes inside",
          k_rows[i].target);
    CHECK(g->tensors[a].zero_point == flip - 7, "%s: zero point", k_rows[i].target);
    const nib_attr *clamp = nib_node_attr(&g->nodes[g->tensors[b].producer], NIB_A_CLAMP);
    CHECK(clamp->u.ints.v[0] == flip - 100 && clamp->u.ints.v[1] == flip + 90, "%s: bounds",
          k_rows[i].target);
    CHECK(g->tensors[x].format == NIB_I8 && g->tensors[y].format == NIB_I8, "%s: codes at the ends",
          k_rows[i].target);
    nib_graph_destroy(g);
  }
}

static void test_names(void) {
  static const struct {
    const char *from, *to;
  } k_rows[] = {
      {"model/block_3/depthwise/Relu6", "block_3"},
      {"Conv2D", "conv2d"},
      {"a/b/Conv_7", "conv_7"},
      {"MobilenetV1/Conv2d_3_depthwise/Relu6", "conv2d_3_depthwise"},
      {"", "conv2d"},
      {"3x3 (first)", "k3x3_first"},
      {"/////", "conv2d"},
      {"x/y", "y"},
  };
  int32_t x;
  nib_graph *g = begin(&x);
  const int32_t y = add_conv(g, "", x), node = g->tensors[y].producer;
  for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; ++i) {
    g->nodes[node].name = k_rows[i].from;
    const char *name = nib_fuse_make_name(g, node);
    CHECK(strcmp(name, k_rows[i].to) == 0, "'%s' gives '%s'", k_rows[i].from, name);
  }
  nib_graph_destroy(g);
}

int main(void) {
  test_residual_is_absorbed();
  test_shared_values_stay();
  test_views_and_outputs();
  test_fallback_and_mismatch();
  test_codes_of_chains();
  test_names();
  return failures != 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_simplify
/* Every family of rewrites on small graphs: the shape of the result, and the reference evaluator's
 * results before and after (equal for integers, at most one code apart for QDQ islands). */
#include "stage_harness.h"

typedef struct net {
  nib_graph *g;
  message_log log;
  nib_diag diag;
} net;

static void open_net(net *n, const char *rounding) {
  memset(n, 0, sizeof *n);
  n->g = nib_graph_create("net");
  n->g->rounding = nib_graph_strdup(n->g, rounding);
  n->diag = (nib_diag){log_message, &n->log};
}

/* Simplifies and compares; `most` is the largest allowed difference. */
static void simplify(net *n, const int32_t *inputs, int n_inputs, int32_t output, double most,
                     const char *what) {
  nib_graph_set_inputs(n->g, inputs, n_inputs);
  nib_graph_set_outputs(n->g, &output, 1);
  CHECK(nib_graph_sweep(n->g, &n->diag) == NIB_OK, "%s: sweep: %s", what, n->log.text);
  CHECK(nib_graph_validate(n->g, &n->diag) == NIB_OK, "%s: invalid test graph: %s", what,
        n->log.text);
  nib_graph *before = nib_graph_clone(n->g);
  const nib_options o = nib_options_default();
  CHECK(nib_simplify_graph(n->g, &o, &n->diag) == NIB_OK, "%s: %s", what, n->log.text);
  const double worst = compare_graphs(before, n->g, 20, &n->diag);
  CHECK(worst >= 0 && worst <= most, "%s: results differ by %g: %s", what, worst, n->log.text);
  if (getenv("NIB_TEST_VERBOSE") != NULL) {
    char *text = nib_graph_to_text(n->g);
    printf("== %s\n%s%s", what, text, n->log.text);
    free(text);
  }
  nib_graph_destroy(before);
}

/* --- steps of an ONNX-like graph --- */

static int32_t step(net *n, nib_op op, int n_in, const int32_t *in, nib_format format, int32_t rank,
                    const int64_t *dims) {
  const int32_t out = new_tensor(n->g, nib_op_get(op)->mnemonic, format, rank, dims);
  new_node(n->g, op, nib_op_get(op)->mnemonic, n_in, in, out);
  return out;
}

static int32_t like(net *n, nib_op op, int n_in, const int32_t *in) {
  const nib_tensor t = n->g->tensors[in[0]];
  return step(n, op, n_in, in, NIB_F32, t.rank, t.dims);
}

static int32_t unary(net *n, nib_op op, int32_t x) { return like(n, op, 1, &x); }

static int32_t dequantize(net *n, int32_t x) { return unary(n, NIB_OP_DEQUANTIZE, x); }

static int32_t quantize(net *n, int32_t x, nib_format format, float scale, int64_t zero_point) {
  const nib_tensor t = n->g->tensors[x];
  const int32_t out = new_quantized(n->g, "q", format, t.rank, t.dims, scale, zero_point);
  new_node(n->g, NIB_OP_QUANTIZE, "q", 1, &x, out);
  return out;
}

static int32_t transpose(net *n, int32_t x, int64_t a, int64_t b, int64_t c, int64_t d) {
  const int64_t perm[] = {a, b, c, d};
  const nib_tensor t = n->g->tensors[x];
  int64_t dims[4];
  for (int i = 0; i < 4; ++i)
    dims[i] = t.dims[perm[i]];
  const int32_t out = step(n, NIB_OP_TRANSPOSE, 1, &x, t.format, 4, dims);
  nib_graph_set_ints(n->g, n->g->tensors[out].producer, NIB_A_PERM, perm, 4);
  return out;
}

static int32_t to_nhwc(net *n, int32_t x) { return transpose(n, x, 0, 2, 3, 1); }
static int32_t to_nchw(net *n, int32_t x) { return transpose(n, x, 0, 3, 1, 2); }

static int32_t input(net *n, nib_format format, int64_t c, int64_t h, int64_t w, float scale,
                     int64_t zero_point) {
  const int64_t dims[] = {1, c, h, w};
  return new_quantized(n->g, "x", format, 4, dims, scale, zero_point);
}

/* A dequantized random constant; one scale per element of `axis`, or one for all (axis -1). */
static int32_t weights(net *n, nib_format format, int32_t rank, const int64_t *dims, int axis,
                       float scale, int64_t zero_point) {
  const int32_t codes = random_constant(n->g, "w", format, rank, dims);
  const int64_t count = axis < 0 ? 1 : dims[axis];
  float scales[64];
  for (int64_t i = 0; i < count; ++i)
    scales[i] = scale * (1.0f + 0.1f * (float)i);
  if (axis < 0 && zero_point != 0) {
    nib_graph_set_quant(n->g, codes, scale, zero_point);
    return dequantize(n, codes);
  }
  const int32_t s = new_constant(n->g, "ws", NIB_F32, 1, &count, scales);
  const int32_t in[] = {codes, s};
  const int32_t out = like(n, NIB_OP_DEQUANTIZE, 2, in);
  nib_graph_set_int(n->g, n->g->tensors[out].producer, NIB_A_AXIS, axis < 0 ? 0 : axis);
  return out;
}

/* An NCHW convolution as the importer writes it, 3x3 with padding 1. */
static int32_t conv(net *n, nib_op op, int32_t x, int32_t w, int32_t bias) {
  const int32_t in[] = {to_nhwc(n, x), w, bias};
  const nib_tensor xt = n->g->tensors[in[0]], wt = n->g->tensors[w];
  const int64_t out_c = op == NIB_OP_CONV2D ? wt.dims[0] : wt.dims[3];
  const int64_t dims[] = {xt.dims[0], xt.dims[1], xt.dims[2], out_c}, pads[] = {1, 1, 1, 1};
  const int32_t y = step(n, op, bias == NIB_NONE ? 2 : 3, in, NIB_F32, 4, dims);
  nib_graph_set_ints(n->g, n->g->tensors[y].producer, NIB_A_PADS, pads, 4);
  return to_nchw(n, y);
}

static void expect_ops(const net *n, nib_op op, int count, const char *what) {
  CHECK(count_ops(n->g, op) == count, "%s: %d %s, expected %d", what, count_ops(n->g, op),
        nib_op_get(op)->mnemonic, count);
}

/* --- convolutions --- */

typedef struct conv_case {
  const char *what;
  nib_op op;
  nib_format x, w;
  int64_t x_zp, w_zp;
  bool per_channel, float_bias;
} conv_case;

static void test_conv_islands(void) {
  static const conv_case k_cases[] = {
      {"i8 per channel", NIB_OP_CONV2D, NIB_I8, NIB_I8, -5, 0, true, false},
      {"ui8 activations", NIB_OP_CONV2D, NIB_U8, NIB_I8, 117, 0, true, true},
      {"per tensor", NIB_OP_CONV2D, NIB_I8, NIB_I8, 3, 0, false, false},
      {"zero point of weights", NIB_OP_CONV2D, NIB_U8, NIB_U8, 100, 131, false, true},
      {"symmetric ui8 weights", NIB_OP_CONV2D, NIB_U8, NIB_U8, 100, 128, false, false},
      {"depthwise", NIB_OP_DEPTHWISE_CONV2D, NIB_I8, NIB_I8, 7, 0, true, true},
  };
  for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; ++i) {
    const conv_case *c = &k_cases[i];
    net n;
    open_net(&n, "nearest-even");
    const int32_t x = input(&n, c->x, 6, 5, 7, 0.02f, c->x_zp);
    const bool dw = c->op == NIB_OP_DEPTHWISE_CONV2D;
    const int64_t w_dims[] = {dw ? 1 : 9, 3, 3, 6}, out_c = dw ? 6 : 9;
    const int axis = dw ? 3 : 0;
    const int32_t w = weights(&n, c->w, 4, w_dims, c->per_channel ? axis : -1, 0.01f, c->w_zp);
    const int32_t bias = c->float_bias ? random_constant(n.g, "b", NIB_F32, 1, &out_c)
                                       : weights(&n, NIB_I32, 1, &out_c, -1, 0.0002f, 0);
    const int32_t y = unary(&n, NIB_OP_RELU, conv(&n, c->op, dequantize(&n, x), w, bias));
    const int32_t q = quantize(&n, y, c->x, 0.05f, c->x == NIB_U8 ? 20 : -30);
    simplify(&n, &x, 1, q, 1, c->what);
    expect_ops(&n, c->op, 1, c->what);
    expect_ops(&n, NIB_OP_DEQUANTIZE, 0, c->what);
    expect_ops(&n, NIB_OP_QUANTIZE, 0, c->what);
    expect_ops(&n, NIB_OP_RELU, 0, c->what);
    expect_ops(&n, NIB_OP_TRANSPOSE, 2, c->what); /* at the input and the output alone */
    CHECK(n.log.notes == 0, "%s: %s", c->what, n.log.text);
    nib_graph_destroy(n.g);
  }
}

static void test_residual_block(void) {
  net n;
  open_net(&n, "nearest-even");
  const int32_t x = input(&n, NIB_I8, 8, 6, 6, 0.05f, 4);
  const int64_t w_dims[] = {8, 3, 3, 8};
  const int32_t real = dequantize(&n, x);
  const int32_t a =
      conv(&n, NIB_OP_CONV2D, real, weights(&n, NIB_I8, 4, w_dims, 0, 0.01f, 0), NIB_NONE);
  const int32_t b = dequantize(&n, quantize(&n, unary(&n, NIB_OP_RELU, a), NIB_I8, 0.3f, -128));
  const int32_t c =
      conv(&n, NIB_OP_CONV2D, b, weights(&n, NIB_I8, 4, w_dims, 0, 0.01f, 0), NIB_NONE);
  const int32_t in[] = {dequantize(&n, quantize(&n, c, NIB_I8, 0.9f, 2)), b};
  const int32_t sum = unary(&n, NIB_OP_RELU, like(&n, NIB_OP_ADD, 2, in));
  const int32_t mean_in = to_nhwc(&n, dequantize(&n, quantize(&n, sum, NIB_I8, 0.8f, -128)));
  const int64_t mean_dims[] = {1, 1, 1, 8}, flat_dims[] = {1, 8}, axes[] = {1, 2};
  const int32_t mean = step(&n, NIB_OP_MEAN, 1, &mean_in, NIB_F32, 4, mean_dims);
  nib_graph_set_ints(n.g, n.g->tensors[mean].producer, NIB_A_AXES, axes, 2);
  nib_graph_set_int(n.g, n.g->tensors[mean].producer, NIB_A_KEEP_DIMS, 1);
  const int32_t back = to_nchw(&n, mean);
  const int32_t pooled = dequantize(&n, quantize(&n, back, NIB_I8, 0.4f, -100));
  const int32_t flat = step(&n, NIB_OP_RESHAPE, 1, &pooled, NIB_F32, 2, flat_dims);
  const int32_t q = quantize(&n, flat, NIB_I8, 0.4f, -100);
  simplify(&n, &x, 1, q, 1, "residual block");
  expect_ops(&n, NIB_OP_CONV2D, 2, "residual block");
  expect_ops(&n, NIB_OP_ADD, 1, "residual block");
  expect_ops(&n, NIB_OP_TRANSPOSE, 1, "residual block");
  expect_ops(&n, NIB_OP_DEQUANTIZE, 0, "residual block");
  expect_ops(&n, NIB_OP_QUANTIZE, 0, "residual block");
  nib_graph_destroy(n.g);
}

/* x + conv(x), and x once more, in float: only one side of the sums is channels-last by nature, so
 * the transposes of the other could chase each other for ever. */
static void test_skip_of_input(void) {
  net n;
  open_net(&n, "nearest-even");
  const int64_t dims[] = {1, 8, 5, 6}, w_dims[] = {8, 3, 3, 8};
  const int32_t x = new_tensor(n.g, "x", NIB_F32, 4, dims);
  const int32_t w = random_constant(n.g, "w", NIB_F32, 4, w_dims);
  const int32_t in[] = {x, conv(&n, NIB_OP_CONV2D, x, w, NIB_NONE)};
  const int32_t sum = like(&n, NIB_OP_ADD, 2, in);
  const int32_t again[] = {unary(&n, NIB_OP_TANH, sum), x};
  simplify(&n, &x, 1, like(&n, NIB_OP_MUL, 2, again), 1e-4, "skip of the input");
  expect_ops(&n, NIB_OP_CONV2D, 1, "skip of the input");
  expect_ops(&n, NIB_OP_ADD, 1, "skip of the input");
  nib_graph_destroy(n.g);
}

/* Each reader of a result has its own quantize; between 16-bit codes a relu is an integer operator.
 */
static void test_dedicated_pairs(void) {
  net n;
  open_net(&n, "nearest-even");
  const int32_t x = input(&n, NIB_I16, 2, 3, 4, 0.001f, 0);
  const int32_t y = unary(&n, NIB_OP_RELU, dequantize(&n, x));
  const int32_t in[] = {dequantize(&n, quantize(&n, y, NIB_I16, 0.0015f, 0)),
                        dequantize(&n, quantize(&n, y, NIB_I16, 0.0015f, 0))};
  const int32_t q = quantize(&n, like(&n, NIB_OP_ADD, 2, in), NIB_I16, 0.004f, 0);
  simplify(&n, &x, 1, q, 1, "dedicated pairs");
  expect_ops(&n, NIB_OP_RELU, 1, "dedicated pairs");
  expect_ops(&n, NIB_OP_ADD, 1, "dedicated pairs");
  expect_ops(&n, NIB_OP_DEQUANTIZE, 0, "dedicated pairs");
  expect_ops(&n, NIB_OP_QUANTIZE, 0, "dedicated pairs");
  nib_graph_destroy(n.g);
}

/* conv - flatten (of NCHW) - matmul - add: the transpose goes into the columns of the weights. */
static void test_flatten_and_matmul(void) {
  net n;
  open_net(&n, "nearest-even");
  const int32_t x = input(&n, NIB_I8, 2, 4, 3, 0.05f, 4);
  const int64_t w_dims[] = {5, 3, 3, 2}, flat_dims[] = {1, 60}, m_dims[] = {60, 7},
                y_dims[] = {1, 7}, seven = 7;
  const int32_t a = conv(&n, NIB_OP_CONV2D, dequantize(&n, x),
                         weights(&n, NIB_I8, 4, w_dims, 0, 0.01f, 0), NIB_NONE);
  const int32_t b = dequantize(&n, quantize(&n, a, NIB_I8, 0.3f, 5));
  const int32_t flat = step(&n, NIB_OP_RESHAPE, 1, &b, NIB_F32, 2, flat_dims);
  const int32_t in[] = {dequantize(&n, quantize(&n, flat, NIB_I8, 0.3f, 5)),
                        weights(&n, NIB_I8, 2, m_dims, 1, 0.02f, 0)};
  const int32_t product = step(&n, NIB_OP_MATMUL, 2, in, NIB_F32, 2, y_dims);
  const int32_t sum_in[] = {product, random_constant(n.g, "bias", NIB_F32, 1, &seven)};
  const int32_t q = quantize(&n, like(&n, NIB_OP_ADD, 2, sum_in), NIB_I8, 2.0f, 1);
  simplify(&n, &x, 1, q, 1, "flatten");
  expect_ops(&n, NIB_OP_FULLY_CONNECTED, 1, "flatten");
  expect_ops(&n, NIB_OP_MATMUL, 0, "flatten");
  expect_ops(&n, NIB_OP_ADD, 0, "flatten");
  expect_ops(&n, NIB_OP_TRANSPOSE, 1, "flatten");
  expect_ops(&n, NIB_OP_DEQUANTIZE, 0, "flatten");
  nib_graph_destroy(n.g);
}

/* --- other islands --- */

static void test_concat_and_pools(void) {
  net n;
  open_net(&n, "nearest-even");
  const int32_t x[] = {input(&n, NIB_U8, 3, 6, 6, 0.05f, 100), input(&n, NIB_U8, 2, 6, 6, 0.1f, 7)};
  const int64_t both[] = {1, 5, 6, 6}, pooled[] = {1, 3, 3, 5}, two[] = {2, 2};
  const int32_t in[] = {dequantize(&n, x[0]), dequantize(&n, x[1])};
  const int32_t joined = step(&n, NIB_OP_CONCAT, 2, in, NIB_F32, 4, both);
  nib_graph_set_int(n.g, n.g->tensors[joined].producer, NIB_A_AXIS, 1);
  const int32_t q = dequantize(&n, quantize(&n, joined, NIB_U8, 0.1f, 60));
  const int32_t nhwc = to_nhwc(&n, q);
  const int32_t largest = step(&n, NIB_OP_MAX_POOL2D, 1, &nhwc, NIB_F32, 4, pooled);
  const int32_t average = step(&n, NIB_OP_AVG_POOL2D, 1, &nhwc, NIB_F32, 4, pooled);
  for (int i = 0; i < 2; ++i) {
    const int32_t node = n.g->tensors[i ? largest : average].producer;
    nib_graph_set_ints(n.g, node, NIB_A_KERNEL, two, 2);
    nib_graph_set_ints(n.g, node, NIB_A_STRIDES, two, 2);
  }
  const int32_t a = dequantize(&n, quantize(&n, to_nchw(&n, largest), NIB_U8, 0.1f, 60));
  const int32_t b = dequantize(&n, quantize(&n, to_nchw(&n, average), NIB_U8, 0.08f, 50));
  const int32_t ab[] = {a, b};
  /* a step of b times the largest a is less than a step of y: a tie stays one step */
  const int32_t y = quantize(&n, like(&n, NIB_OP_MUL, 2, ab), NIB_U8, 1.7f, 90);
  simplify(&n, x, 2, y, 1, "concat and pools");
  expect_ops(&n, NIB_OP_CONCAT, 1, "concat");
  expect_ops(&n, NIB_OP_LOOKUP, 2, "concat"); /* both inputs change scale */
  expect_ops(&n, NIB_OP_MAX_POOL2D, 1, "pool");
  expect_ops(&n, NIB_OP_AVG_POOL2D, 1, "pool");
  expect_ops(&n, NIB_OP_MUL, 1, "pool");
  expect_ops(&n, NIB_OP_DEQUANTIZE, 0, "pool");
  expect_ops(&n, NIB_OP_QUANTIZE, 0, "pool");
  nib_graph_destroy(n.g);
}

/* The largest of few channels: in two steps where there are many pixels and no border, of any
 * format. */
static void test_largest_of_all(void) {
  static const struct {
    const char *what;
    int64_t dims[4], pads;
    int pools, channels; /* of the first pool */
  } cases[] = {
      {"one channel", {2, 1, 8000, 1}, 0, 2, 80},   {"odd sides", {1, 49, 10, 1}, 0, 2, 98},
      {"three channels", {1, 32, 17, 3}, 0, 2, 96}, {"a border", {1, 49, 10, 1}, 1, 1, 1},
      {"a prime", {1, 1, 257, 1}, 0, 1, 1},         {"many channels", {1, 32, 32, 16}, 0, 1, 16},
      {"few pixels", {1, 8, 8, 1}, 0, 1, 1}};
  static const nib_format formats[] = {NIB_F32, NIB_I8, NIB_F16};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i)
    for (size_t f = 0; f < sizeof formats / sizeof *formats; ++f) {
      net n;
      open_net(&n, "nearest-even");
      const int64_t *dims = cases[i].dims, pads[] = {0, 0, cases[i].pads, 0};
      const int64_t kernel[] = {dims[1] + cases[i].pads, dims[2]}, one[] = {dims[0], 1, 1, dims[3]};
      const bool codes = formats[f] == NIB_I8;
      const int32_t x = codes ? new_quantized(n.g, "x", NIB_I8, 4, dims, 0.5f, 3)
                              : new_tensor(n.g, "x", formats[f], 4, dims);
      const int32_t y = codes ? new_quantized(n.g, "y", NIB_I8, 4, one, 0.5f, 3)
                              : new_tensor(n.g, "y", formats[f], 4, one);
      const int32_t node = new_node(n.g, NIB_OP_MAX_POOL2D, "largest", 1, &x, y);
      nib_graph_set_ints(n.g, node, NIB_A_KERNEL, kernel, 2);
      nib_graph_set_ints(n.g, node, NIB_A_PADS, pads, 4);
      simplify(&n, &x, 1, y, 0, cases[i].what);
      expect_ops(&n, NIB_OP_MAX_POOL2D, cases[i].pools, cases[i].what);
      for (int32_t k = 0; k < n.g->n_nodes; ++k)
        if (n.g->nodes[k].op == NIB_OP_MAX_POOL2D) {
          CHECK(n.g->tensors[n.g->nodes[k].out].dims[3] == cases[i].channels, "%s: %d channels",
                cases[i].what, (int)n.g->tensors[n.g->nodes[k].out].dims[3]);
          break;
        }
      nib_graph_destroy(n.g);
    }
}

/* x * clamp(x + 3, 0, 6) / 6 on codes is one table, and so is what follows it. */
static void test_table_of_cone(void) {
  net n;
  open_net(&n, "nearest-even");
  const int32_t x = input(&n, NIB_I8, 2, 3, 3, 0.05f, 4);
  const int64_t one = 1;
  const float three = 3, six = 6;
  const int32_t real = dequantize(&n, x);
  const int32_t plus[] = {real, new_constant(n.g, "3", NIB_F32, 1, &one, &three)};
  const int32_t gate = unary(&n, NIB_OP_CLAMP, like(&n, NIB_OP_ADD, 2, plus));
  nib_graph_set_float(n.g, n.g->tensors[gate].producer, NIB_A_MIN, 0);
  nib_graph_set_float(n.g, n.g->tensors[gate].producer, NIB_A_MAX, 6);
  const int32_t times[] = {real, gate};
  const int32_t by[] = {like(&n, NIB_OP_MUL, 2, times),
                        new_constant(n.g, "6", NIB_F32, 1, &one, &six)};
  const int32_t q = quantize(&n, like(&n, NIB_OP_DIV, 2, by), NIB_I8, 0.04f, -100);
  const int32_t s = unary(&n, NIB_OP_SIGMOID, dequantize(&n, q));
  simplify(&n, &x, 1, quantize(&n, s, NIB_U8, 1.0f / 256, 0), 0, "hard swish");
  CHECK(n.g->n_nodes == 1 && n.g->nodes[0].op == NIB_OP_LOOKUP, "hard swish: %d nodes",
        n.g->n_nodes);
  nib_graph_destroy(n.g);
}

static void test_i16_unary(void) {
  net n;
  open_net(&n, "nearest-even");
  const int32_t x = input(&n, NIB_I16, 2, 3, 3, 0.0005f, 0);
  const int32_t y = unary(&n, NIB_OP_LEAKY_RELU, dequantize(&n, x));
  nib_graph_set_float(n.g, n.g->tensors[y].producer, NIB_A_ALPHA, 0.1);
  simplify(&n, &x, 1, quantize(&n, y, NIB_I16, 0.0005f, 0), 1, "i16 leaky relu");
  expect_ops(&n, NIB_OP_DEQUANTIZE, 0, "i16 leaky relu");
  expect_ops(&n, NIB_OP_LEAKY_RELU, 1, "i16 leaky relu");
  nib_graph_destroy(n.g);
}

static void test_product_of_activations(void) {
  net n;
  open_net(&n, "nearest-even");
  const int64_t dims[] = {1, 2, 3, 5};
  const int32_t x[] = {input(&n, NIB_I8, 2, 3, 4, 0.05f, 4), input(&n, NIB_U8, 2, 4, 5, 0.02f, 90)};
  const int32_t in[] = {dequantize(&n, x[0]), dequantize(&n, x[1])};
  const int32_t y = step(&n, NIB_OP_MATMUL, 2, in, NIB_F32, 4, dims);
  simplify(&n, x, 2, quantize(&n, y, NIB_I8, 0.1f, -3), 1, "product of activations");
  expect_ops(&n, NIB_OP_DEQUANTIZE, 0, "product of activations");
  expect_ops(&n, NIB_OP_MATMUL, 1, "product of activations");
  nib_graph_destroy(n.g);
}

/* --- what stays in float says why --- */

static void expect_note(net *n, const char *text, const char *what) {
  CHECK(n->log.notes == 1 && strstr(n->log.text, text) != NULL, "%s: notes: %s", what, n->log.text);
  nib_graph_destroy(n->g);
}

static void test_notes(void) {
  net n;
  const int64_t w_dims[] = {4, 3, 3, 2}, four = 4;
  open_net(&n, "nearest-even");
  int32_t x = input(&n, NIB_I8, 2, 3, 3, 0.05f, 4);
  int32_t y = unary(&n, NIB_OP_SOFTMAX, dequantize(&n, x));
  simplify(&n, &x, 1, quantize(&n, y, NIB_I8, 1.0f / 256, -128), 1, "softmax");
  expect_note(&n, "no integer form", "softmax");

  open_net(&n, "nearest-even");
  x = input(&n, NIB_I8, 2, 3, 3, 1e-4f, 4);
  const float huge[4] = {1e6f, 0, 0, 0};
  y = conv(&n, NIB_OP_CONV2D, dequantize(&n, x), weights(&n, NIB_I8, 4, w_dims, 0, 1e-4f, 0),
           new_constant(n.g, "b", NIB_F32, 1, &four, huge));
  simplify(&n, &x, 1, quantize(&n, y, NIB_I8, 0.1f, 0), 1, "large bias");
  expect_note(&n, "bias does not fit", "large bias");

  open_net(&n, "nearest-even");
  x = input(&n, NIB_I8, 2, 3, 3, 0.05f, 4);
  y = conv(&n, NIB_OP_CONV2D, dequantize(&n, x), random_constant(n.g, "w", NIB_F32, 4, w_dims),
           NIB_NONE);
  simplify(&n, &x, 1, quantize(&n, y, NIB_I8, 0.1f, 0), 1, "float weights");
  expect_note(&n, "weights are not quantized", "float weights");

  open_net(&n, "nearest-even");
  x = input(&n, NIB_I8, 2, 3, 3, 0.05f, 4);
  y = conv(&n, NIB_OP_CONV2D, dequantize(&n, x), weights(&n, NIB_I8, 4, w_dims, 0, 0.1f, 0),
           NIB_NONE);
  simplify(&n, &x, 1, y, 1e-5, "float result");
  expect_note(&n, "result is not quantized", "float result");
}

/* --- float networks --- */

static void test_float_absorption(void) {
  net n;
  open_net(&n, "nearest-even");
  const int64_t x_dims[] = {1, 3, 5, 5}, w_dims[] = {4, 3, 3, 3}, c[] = {4, 1, 1};
  const int32_t x = new_tensor(n.g, "x", NIB_F32, 4, x_dims);
  const int32_t a =
      conv(&n, NIB_OP_CONV2D, x, random_constant(n.g, "w", NIB_F32, 4, w_dims), NIB_NONE);
  const int32_t mul[] = {a, random_constant(n.g, "gamma", NIB_F32, 3, c)};
  const int32_t add[] = {like(&n, NIB_OP_MUL, 2, mul), random_constant(n.g, "beta", NIB_F32, 3, c)};
  simplify(&n, &x, 1, unary(&n, NIB_OP_RELU, like(&n, NIB_OP_ADD, 2, add)), 1e-5, "batch norm");
  expect_ops(&n, NIB_OP_CONV2D, 1, "batch norm");
  expect_ops(&n, NIB_OP_TRANSPOSE, 2, "batch norm");
  CHECK(n.g->n_nodes == 3, "batch norm: %d nodes", n.g->n_nodes);
  nib_graph_destroy(n.g);
}

/* x op number, or number op x. */
static int32_t with(net *n, nib_op op, int32_t x, float number, bool swapped) {
  const int32_t c = new_constant(n->g, "c", NIB_F32, 0, NULL, &number);
  const nib_tensor t = n->g->tensors[x];
  const int32_t in[] = {swapped ? c : x, swapped ? x : c};
  return step(n, op, 2, in, NIB_F32, t.rank, t.dims);
}

static int32_t clamp(net *n, int32_t x, double lo, double hi) {
  const int32_t y = unary(n, NIB_OP_CLAMP, x);
  nib_graph_set_float(n->g, n->g->tensors[y].producer, NIB_A_MIN, lo);
  nib_graph_set_float(n->g, n->g->tensors[y].producer, NIB_A_MAX, hi);
  return y;
}

static int32_t times(net *n, int32_t a, int32_t b) {
  return like(n, NIB_OP_MUL, 2, (const int32_t[]){a, b});
}

/* Spellings of hard_swish, and what comes near it. */
static int32_t hard_swish(net *n, int kind, int32_t x, int32_t other) {
  const float sixth = 1.0f / 6;
  int32_t y;
  switch (kind) {
  case 0:
    y = times(n, x, clamp(n, with(n, NIB_OP_ADD, x, 3, false), 0, 6));
    return with(n, NIB_OP_DIV, y, 6, false);
  case 1:
    y = with(n, NIB_OP_MUL, clamp(n, with(n, NIB_OP_ADD, x, 3, true), 0, 6), sixth, true);
    return times(n, y, x);
  case 2:
    y = with(n, NIB_OP_ADD, with(n, NIB_OP_MUL, x, 0.1666667f, false), 0.5f, false);
    return times(n, x, clamp(n, y, 0, 1));
  case 3: /* as TensorFlow Lite's converter leaves it */
    y = with(n, NIB_OP_SUB, x, -3, false);
    nib_graph_set_string(n->g, n->g->tensors[y].producer, NIB_A_ACTIVATION, "relu6");
    return with(n, NIB_OP_MUL, times(n, y, x), sixth, false);
  case 4:
    return times(n, with(n, NIB_OP_DIV, x, 6, false),
                 clamp(n, with(n, NIB_OP_ADD, x, 3, false), 0, 6));
  case 5: /* the gate of something else */
    return times(n, other,
                 clamp(n, with(n, NIB_OP_DIV, with(n, NIB_OP_ADD, x, 3, false), 6, false), 0, 1));
  case 6: /* another line */
    y = times(n, x, clamp(n, with(n, NIB_OP_ADD, x, 2.99f, false), 0, 6));
    return with(n, NIB_OP_DIV, y, 6, false);
  case 7: /* no division */
    return times(n, x, clamp(n, with(n, NIB_OP_ADD, x, 3, false), 0, 6));
  default: /* another end */
    y = times(n, x, clamp(n, with(n, NIB_OP_ADD, x, 3, false), 0, 5));
    return with(n, NIB_OP_DIV, y, 6, false);
  }
}

static void test_hard_swish(void) {
  const int64_t dims[] = {1, 8, 5, 6}, w_dims[] = {8, 3, 3, 8};
  for (int kind = 0; kind < 9; ++kind)
    for (int after_conv = 0; after_conv < 2; ++after_conv) {
      net n;
      char what[32];
      snprintf(what, sizeof what, "hard swish %d", kind);
      open_net(&n, "nearest-even");
      const int32_t in = new_tensor(n.g, "x", NIB_F32, 4, dims);
      int32_t x = in;
      if (after_conv)
        x = conv(&n, NIB_OP_CONV2D, x, random_constant(n.g, "w", NIB_F32, 4, w_dims), NIB_NONE);
      const int32_t y = hard_swish(&n, kind, x, unary(&n, NIB_OP_ABS, x));
      simplify(&n, &in, 1, y, 1e-5, what);
      expect_ops(&n, NIB_OP_HARD_SWISH, kind < 5, what);
      if (kind < 5)
        CHECK(n.g->n_nodes == (after_conv ? 4 : 1), "%s: %d nodes", what, n.g->n_nodes);
      nib_graph_destroy(n.g);
    }
}

static void test_constant_folding(void) {
  net n;
  open_net(&n, "nearest-even");
  const int64_t dims[] = {1, 3};
  const int32_t x = new_tensor(n.g, "x", NIB_F32, 2, dims);
  const int32_t ab[] = {random_constant(n.g, "a", NIB_F32, 2, dims),
                        random_constant(n.g, "b", NIB_F32, 2, dims)};
  const int32_t in[] = {x, unary(&n, NIB_OP_TANH, like(&n, NIB_OP_MUL, 2, ab))};
  simplify(&n, &x, 1, like(&n, NIB_OP_ADD, 2, in), 1e-6, "constants");
  CHECK(n.g->n_nodes == 1, "constants: %d nodes", n.g->n_nodes);
  nib_graph_destroy(n.g);
}

/* --- TensorFlow Lite's integer operators: not a bit changes --- */

static int32_t codes_of(net *n, nib_op op, int32_t a, int32_t b, float scale, int64_t zero_point) {
  const nib_tensor t = n->g->tensors[a];
  const int32_t y =
      new_quantized(n->g, nib_op_get(op)->mnemonic, NIB_I8, t.rank, t.dims, scale, zero_point);
  const int32_t in[] = {a, b};
  new_node(n->g, op, nib_op_get(op)->mnemonic, b == NIB_NONE ? 1 : 2, in, y);
  return y;
}

/* x by a gate of x, both by a number, and the sum of two functions of x, are tables; x by a gate of
 * something else is none. */
static void test_tables_of_two(void) {
  const int64_t dims[] = {1, 4, 4, 3}, one = 1;
  const int8_t code = 100;
  for (int same = 0; same < 2; ++same) {
    net n;
    open_net(&n, "tflite-double");
    const int32_t in[] = {new_quantized(n.g, "x", NIB_I8, 4, dims, 0.05f, 9),
                          new_quantized(n.g, "z", NIB_I8, 4, dims, 0.05f, 9)};
    const int32_t number = new_constant(n.g, "c", NIB_I8, 1, &one, &code);
    nib_graph_set_quant(n.g, number, 0.03f, 0);
    const int32_t gated = in[1 - same];
    const int32_t line = codes_of(&n, NIB_OP_ADD, gated, number, 0.0235f, -128);
    nib_graph_set_string(n.g, n.g->tensors[line].producer, NIB_A_ACTIVATION, "relu6");
    const int32_t product = codes_of(&n, NIB_OP_MUL, in[0], line, 0.2f, -100);
    const int32_t y = codes_of(&n, NIB_OP_MUL, product, number, 0.1f, -110);
    const int32_t leaky = codes_of(&n, NIB_OP_LEAKY_RELU, in[0], NIB_NONE, 0.06f, 0);
    const int32_t sum = codes_of(&n, NIB_OP_ADD, leaky, y, 0.2f, 3);
    simplify(&n, in, 2, sum, 0, "tables of two");
    if (same)
      CHECK(n.g->n_nodes == 1 && count_ops(n.g, NIB_OP_LOOKUP) == 1, "%d nodes", n.g->n_nodes);
    else
      expect_ops(&n, NIB_OP_MUL, 1, "gate of something else");
    nib_graph_destroy(n.g);
  }
}

static void test_tflite_operators(void) {
  net n;
  open_net(&n, "tflite-double");
  const int64_t x_dims[] = {1, 6, 6, 1}, p_dims[] = {1, 8, 8, 1}, w_dims[] = {1, 3, 3, 4},
                y_dims[] = {1, 6, 6, 4}, low[] = {0, 1, 1, 0}, four = 4, one = 1;
  const float scales[4] = {0.01f, 0.02f, 0.03f, 0.015f};
  const int8_t code = 50;
  const int32_t x = new_quantized(n.g, "x", NIB_I8, 4, x_dims, 0.5f, 9);
  const int32_t padded = new_quantized(n.g, "padded", NIB_I8, 4, p_dims, 0.5f, 9);
  const int32_t pad = new_node(n.g, NIB_OP_PAD, "pad", 1, &x, padded);
  nib_graph_set_ints(n.g, pad, NIB_A_LOW, low, 4);
  nib_graph_set_ints(n.g, pad, NIB_A_HIGH, low, 4);
  const int32_t in[] = {padded, random_constant(n.g, "w", NIB_I8, 4, w_dims),
                        random_constant(n.g, "b", NIB_I32, 1, &four),
                        new_constant(n.g, "s", NIB_F32, 1, &four, scales)};
  const int32_t y = new_quantized(n.g, "y", NIB_I8, 4, y_dims, 0.7f, -3);
  new_node(n.g, NIB_OP_DEPTHWISE_CONV2D, "dw", 4, in, y);
  const int32_t r = new_quantized(n.g, "r", NIB_I8, 4, y_dims, 0.7f, -3);
  new_node(n.g, NIB_OP_RELU, "relu", 1, &y, r);
  const int32_t l = new_quantized(n.g, "l", NIB_I8, 4, y_dims, 0.5f, 4);
  new_node(n.g, NIB_OP_LEAKY_RELU, "leaky", 1, &r, l);
  const int32_t s = new_quantized(n.g, "s", NIB_I8, 4, y_dims, 1.0f / 256, -128);
  new_node(n.g, NIB_OP_SIGMOID, "sigmoid", 1, &l, s);
  const int32_t scalar = new_constant(n.g, "half", NIB_I8, 1, &one, &code);
  nib_graph_set_quant(n.g, scalar, 0.01f, 0);
  const int32_t mul[] = {s, scalar};
  const int32_t m = new_quantized(n.g, "m", NIB_I8, 4, y_dims, 0.01f, 3);
  new_node(n.g, NIB_OP_MUL, "mul", 2, mul, m);
  simplify(&n, &x, 1, m, 0, "tflite operators");
  expect_ops(&n, NIB_OP_CONV2D, 1, "one channel"); /* a depthwise of one channel */
  expect_ops(&n, NIB_OP_PAD, 0, "padding");
  expect_ops(&n, NIB_OP_RELU, 0, "relu");
  expect_ops(&n, NIB_OP_LOOKUP, 1, "tables");
  CHECK(n.g->n_nodes == 2, "tflite: %d nodes", n.g->n_nodes);
  nib_graph_destroy(n.g);
}

int main(void) {
  test_conv_islands();
  test_residual_block();
  test_skip_of_input();
  test_dedicated_pairs();
  test_flatten_and_matmul();
  test_concat_and_pools();
  test_largest_of_all();
  test_table_of_cone();
  test_i16_unary();
  test_product_of_activations();
  test_notes();
  test_float_absorption();
  test_hard_swish();
  test_constant_folding();
  test_tables_of_two();
  test_tflite_operators();
  return failures != 0;
}

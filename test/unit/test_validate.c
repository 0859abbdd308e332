/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_validate
#include "graph/validate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int failures;
static char messages[8192];

static void keep(void *user, nib_severity severity, const char *message) {
  (void)user;
  (void)severity;
  size_t used = strlen(messages);
  snprintf(messages + used, sizeof messages - used, "%s\n", message);
}
static const nib_diag diag = {keep, NULL};

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      printf("%s:%d: failed: %s\n%s", __FILE__, __LINE__, #condition, messages);                   \
      ++failures;                                                                                  \
    }                                                                                              \
  } while (0)

#define DIMS(...)                                                                                  \
  (int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / 8), (const int64_t[]) { __VA_ARGS__ }

static int32_t codes(nib_graph *g, const char *name, int32_t rank, const int64_t *dims) {
  int32_t id = nib_graph_add_tensor(g, name, NIB_I8, rank, dims);
  nib_graph_set_quant(g, id, 0.5, 1);
  return id;
}

static int32_t constant(nib_graph *g, nib_format format, int32_t rank, const int64_t *dims) {
  static const float ones[64] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  int32_t id = nib_graph_add_tensor(g, "constant", format, rank, dims);
  nib_graph_set_data(g, id, ones, nib_tensor_bytes(&g->tensors[id]), NIB_DATA_BORROWED);
  return id;
}

/* Tensor 0 is the input, tensor 1 the result, node 0 the operator; extra operands follow. */
static nib_graph *one_node(nib_op op, int32_t in_rank, const int64_t *in_dims, int32_t out_rank,
                           const int64_t *out_dims) {
  nib_graph *g = nib_graph_create("g");
  int32_t in = codes(g, "x", in_rank, in_dims), out = codes(g, "y", out_rank, out_dims);
  nib_graph_set_inputs(g, &in, 1);
  nib_graph_set_outputs(g, &out, 1);
  nib_graph_add_node(g, op, "node", 7, &in, 1, out);
  return g;
}

static void set_operands(nib_graph *g, int32_t n, const int32_t *ids) {
  int32_t *copy = nib_graph_alloc(g, (size_t)n * sizeof *copy);
  memcpy(copy, ids, (size_t)n * sizeof *copy);
  g->nodes[0].in = copy;
  g->nodes[0].n_in = n;
}

static void set_ints(nib_graph *g, nib_attr_id id, int32_t n, const int64_t *v) {
  nib_graph_set_ints(g, 0, id, v, n);
}

static void expect_valid(nib_graph *g, int line) {
  messages[0] = '\0';
  if (nib_graph_validate(g, &diag) != NIB_OK) {
    printf("line %d: not valid: %s", line, messages);
    ++failures;
  }
  nib_graph_destroy(g);
}

static void expect_error(nib_graph *g, const char *message, int line) {
  messages[0] = '\0';
  nib_status status = nib_graph_validate(g, &diag);
  if (status != NIB_ERROR_INVALID_INPUT || !strstr(messages, message)) {
    printf("line %d: status %d, expected '%s', got '%s'\n", line, (int)status, message, messages);
    ++failures;
  }
  nib_graph_destroy(g);
}
#define VALID(g) expect_valid(g, __LINE__)
#define ERROR(g, message) expect_error(g, message, __LINE__)

/* --- tensors and links --- */

static nib_graph *relu(void) { return one_node(NIB_OP_RELU, DIMS(2, 3), DIMS(2, 3)); }

static void test_tensors(void) {
  VALID(relu());
  nib_graph *g = relu();
  g->tensors[0].format = NIB_FORMAT_COUNT;
  ERROR(g, "unknown format");
  g = relu();
  g->tensors[0].rank = 9;
  ERROR(g, "more dimensions");
  g = relu();
  g->tensors[0].dims[0] = -1;
  ERROR(g, "negative dimension");
  g = relu();
  g->tensors[0].dims[0] = INT64_MAX;
  ERROR(g, "too many elements");
  g = relu();
  g->tensors[0].dims[0] = g->tensors[0].dims[1] = 1 << 16;
  ERROR(g, "too many elements");
  g = relu();
  g->tensors[0].dims[1] = 0;
  ERROR(g, "dimension of 0");
  const double bad[] = {0, -1, NAN, INFINITY, 0.1, 1e300};
  for (int i = 0; i < 6; ++i) {
    g = relu();
    g->tensors[0].scale = bad[i];
    ERROR(g, "a scale that is not");
  }
  g = relu();
  g->tensors[1].zero_point = -129;
  ERROR(g, "zero point outside");
  g = relu();
  g->tensors[1].format = NIB_F32;
  ERROR(g, "its format cannot have");
  g = relu();
  g->tensors[0].data = "abc";
  g->tensors[0].data_bytes = 3;
  ERROR(g, "length that does not fit");
}

static void test_huge_graphs_are_refused_quickly(void) {
  nib_graph *g = nib_graph_create("g");
  for (int i = 0; i < 40; ++i)
    nib_graph_add_tensor(g, "big", NIB_I8, DIMS(1 << 15, 1 << 15, 1));
  for (int i = 0; i < 40; ++i)
    nib_graph_add_tensor(g, "bigger", NIB_F64, DIMS(1 << 15, 1 << 15));
  int32_t out = 0;
  nib_graph_set_outputs(g, &out, 1);
  ERROR(g, "more than 64 GiB");
}

static void test_links(void) {
  nib_graph *g = relu();
  g->n_outputs = 0;
  ERROR(g, "no outputs");
  g = relu();
  g->outputs[0] = 5;
  ERROR(g, "output 0 is tensor 5");
  g = relu();
  g->inputs[0] = -3;
  ERROR(g, "which does not exist");
  g = relu();
  g->inputs[0] = 1;
  ERROR(g, "which an operator computes");
  g = relu();
  nib_graph_set_inputs(g, (const int32_t[]){0, 0}, 2);
  ERROR(g, "listed twice");
  g = relu();
  g->n_inputs = 0;
  ERROR(g, "operator 7 (relu 'node'): it reads 'x' before");
  g = relu();
  g->nodes[0].in[0] = 1;
  ERROR(g, "it reads 'y' before");
  g = relu();
  g->nodes[0].in[0] = 2;
  ERROR(g, "operand 0 is tensor 2, which does not exist");
  g = relu();
  g->nodes[0].in[0] = NIB_NONE;
  ERROR(g, "operand 0 is missing");
  g = relu();
  g->nodes[0].n_in = 0;
  ERROR(g, "operand 0 is missing");
  g = relu();
  set_operands(g, 2, (const int32_t[]){0, 0});
  ERROR(g, "2 operands, at most 1");
  g = relu();
  g->tensors[1].producer = 4;
  ERROR(g, "a producer that does not produce it");
  g = relu();
  g->tensors[0].producer = 0;
  ERROR(g, "a producer that does not produce it");
  g = relu();
  int32_t x = 0;
  nib_graph_add_node(g, NIB_OP_RELU, "again", 8, &x, 1, 1);
  ERROR(g, "written twice");
  g = relu();
  g->nodes[0].op = NIB_OP_COUNT;
  ERROR(g, "unknown kind");
  g = one_node(NIB_OP_CONSTANT, DIMS(1), DIMS(1));
  g->nodes[0].n_in = 0;
  ERROR(g, "constants are tensors");
}

static void test_shared_attributes(void) {
  nib_graph *g = relu();
  nib_graph_set_int(g, 0, NIB_A_AXIS, 1);
  ERROR(g, "cannot have the attribute 'axis'");
  g = relu();
  nib_graph_set_string(g, 0, NIB_A_ROUNDING, "up");
  ERROR(g, "unknown rounding 'up'");
  g = one_node(NIB_OP_ADD, DIMS(2), DIMS(2));
  set_operands(g, 2, (const int32_t[]){0, 0});
  nib_graph_set_string(g, 0, NIB_A_ACTIVATION, "gelu");
  ERROR(g, "unknown activation 'gelu'");
  const int64_t clamps[3][2] = {{3, 2}, {-129, 0}, {0, 128}};
  for (int i = 0; i < 3; ++i) {
    g = one_node(NIB_OP_ADD, DIMS(2), DIMS(2));
    set_operands(g, 2, (const int32_t[]){0, 0});
    set_ints(g, NIB_A_CLAMP, 2, clamps[i]);
    ERROR(g, "its clamp");
  }
}

/* --- convolutions, products, pooling --- */

static nib_graph *conv(void) {
  nib_graph *g = one_node(NIB_OP_CONV2D, DIMS(1, 5, 5, 2), DIMS(1, 3, 3, 4));
  int32_t filter = constant(g, NIB_I8, DIMS(4, 3, 3, 2)), bias = constant(g, NIB_I32, DIMS(4));
  int32_t scales = constant(g, NIB_F32, DIMS(4));
  set_operands(g, 4, (const int32_t[]){0, filter, bias, scales});
  set_ints(g, NIB_A_STRIDES, 2, (const int64_t[]){2, 2});
  set_ints(g, NIB_A_PADS, 4, (const int64_t[]){1, 1, 1, 1});
  return g;
}

static void test_conv(void) {
  VALID(conv());
  nib_graph *g = conv();
  g->tensors[0].rank = 3;
  ERROR(g, "its input has 3 dimensions, not 4");
  g = conv();
  g->tensors[1].dims[1] = 4;
  ERROR(g, "its result's height is 4, the window gives 3");
  g = conv();
  g->tensors[0].dims[0] = 2;
  ERROR(g, "the batch of its result is 1, expected 2");
  g = conv();
  g->tensors[0].dims[3] = 3;
  ERROR(g, "does not fit 3 channels");
  g = conv();
  nib_graph_set_int(g, 0, NIB_A_GROUPS, INT64_MAX);
  ERROR(g, "does not fit 2 channels");
  g = conv();
  set_ints(g, NIB_A_STRIDES, 2, (const int64_t[]){0, 2});
  ERROR(g, "value 0 of its strides is 0");
  g = conv();
  set_ints(g, NIB_A_STRIDES, 3, (const int64_t[]){1, 1, 1});
  ERROR(g, "its strides has 3 values, not 2");
  g = conv();
  set_ints(g, NIB_A_DILATIONS, 2, (const int64_t[]){INT32_MAX, INT32_MAX});
  ERROR(g, "the window gives 0");
  g = conv();
  set_ints(g, NIB_A_PADS, 4, (const int64_t[]){-1, 0, 0, 0});
  ERROR(g, "value 0 of its pads is -1");
  g = conv();
  g->tensors[3] = g->tensors[4];
  ERROR(g, "its bias is f32");
  g = conv();
  g->nodes[0].in[3] = NIB_NONE;
  ERROR(g, "neither a quantized type nor filter_scales");
  g = conv();
  nib_graph_set_quant(g, 2, 1, 0);
  ERROR(g, "filter_scales need a filter of plain i8");
  g = conv();
  g->tensors[0].quantized = false;
  ERROR(g, "its input is neither quantized nor bipolar nor float");
  g = conv();
  g->tensors[1].quantized = false;
  ERROR(g, "neither quantized nor a plain accumulator");
  g = conv();
  g->tensors[1].quantized = false;
  g->tensors[1].format = NIB_I32;
  VALID(g);
  g = conv();
  static const float scales[4] = {1, 2, -3, 4};
  nib_graph_set_data(g, 4, scales, sizeof scales, NIB_DATA_BORROWED);
  ERROR(g, "scale 2 is -3");
  g = conv();
  g->nodes[0].in[3] = constant(g, NIB_F32, DIMS(3));
  ERROR(g, "must be f32 of shape [1] or [4]");
  g = conv();
  g->nodes[0].in[2] = constant(g, NIB_I32, DIMS(2));
  ERROR(g, "its bias must have the shape [4]");
  g = conv();
  g->tensors[0].quantized = false;
  g->tensors[0].format = NIB_F32;
  ERROR(g, "needs a result of the same type");
}

static void test_depthwise(void) {
  for (int variant = 0; variant < 4; ++variant) {
    nib_graph *g = one_node(NIB_OP_DEPTHWISE_CONV2D, DIMS(1, 5, 5, 2), DIMS(1, 3, 3, 4));
    int32_t filter = constant(g, NIB_I8, DIMS(1, 3, 3, 4));
    nib_graph_set_quant(g, filter, 0.25, 0);
    set_operands(g, 2, (const int32_t[]){0, filter});
    g->tensors[filter].dims[0] = variant == 1 ? 4 : 1;
    g->tensors[filter].dims[3] = variant == 1 ? 1 : 4;
    g->tensors[0].dims[3] = variant == 2 ? 3 : 2;
    if (variant == 3)
      g->tensors[1].dims[3] = 2;
    static const char *const messages_[] = {NULL, "first dimension of its filter is 4",
                                            "4 channels are not a multiple of 3",
                                            "channel count of its result is 2"};
    if (variant == 0)
      VALID(g);
    else
      ERROR(g, messages_[variant]);
  }
}

static nib_graph *transposed(int64_t out_h, int64_t bottom) {
  nib_graph *g = one_node(NIB_OP_TRANSPOSE_CONV2D, DIMS(1, 3, 3, 2), DIMS(1, 7, 7, 2));
  g->tensors[1].dims[1] = out_h;
  int32_t filter = constant(g, NIB_I8, DIMS(2, 3, 3, 2));
  nib_graph_set_quant(g, filter, 0.25, 0);
  set_operands(g, 2, (const int32_t[]){0, filter});
  set_ints(g, NIB_A_STRIDES, 2, (const int64_t[]){2, 2});
  set_ints(g, NIB_A_PADS, 4, (const int64_t[]){0, 0, bottom, 0});
  return g;
}

static void test_transposed(void) {
  VALID(transposed(7, 0));
  VALID(transposed(6, 1));
  VALID(transposed(8, -1));
  ERROR(transposed(9, -2), "padding 0 and -2 with stride 2");
  ERROR(transposed(8, 0), "its result's height is 8, expected 7");
}

static void test_fully_connected_and_matmul(void) {
  for (int variant = 0; variant < 4; ++variant) {
    nib_graph *g = one_node(NIB_OP_FULLY_CONNECTED, DIMS(2, 4), DIMS(2, 3));
    int32_t filter = constant(g, NIB_I8, DIMS(3, 4));
    nib_graph_set_quant(g, filter, 0.25, 0);
    set_operands(g, 2, (const int32_t[]){0, filter});
    static const char *const messages_[] = {NULL, "width of its filter is 4, expected 5",
                                            "row count of its result is 3",
                                            "width of its result is 4"};
    g->tensors[0].dims[1] += variant == 1;
    g->tensors[1].dims[0] += variant == 2;
    g->tensors[1].dims[1] += variant == 3;
    if (variant == 0)
      VALID(g);
    else
      ERROR(g, messages_[variant]);
  }
  for (int variant = 0; variant < 4; ++variant) {
    nib_graph *g = one_node(NIB_OP_MATMUL, DIMS(2, 1, 3, 4), DIMS(2, 2, 3, 4));
    int32_t rhs = constant(g, NIB_I8, DIMS(2, 4, 4));
    nib_graph_set_quant(g, rhs, 0.25, 0);
    set_operands(g, 2, (const int32_t[]){0, rhs});
    static const char *const messages_[] = {NULL, "height of the right operand is 4, expected 5",
                                            "do not give 3", "must all be quantized"};
    g->tensors[0].dims[3] += variant == 1;
    g->tensors[1].dims[1] += variant == 2;
    if (variant == 3)
      g->tensors[rhs].quantized = false;
    if (variant == 0)
      VALID(g);
    else
      ERROR(g, messages_[variant]);
  }
}

static nib_graph *pool(nib_op op) {
  nib_graph *g = one_node(op, DIMS(1, 4, 4, 2), DIMS(1, 2, 2, 2));
  set_ints(g, NIB_A_KERNEL, 2, (const int64_t[]){3, 3});
  set_ints(g, NIB_A_STRIDES, 2, (const int64_t[]){2, 2});
  set_ints(g, NIB_A_PADS, 4, (const int64_t[]){0, 0, 1, 1});
  return g;
}

static void test_pools(void) {
  VALID(pool(NIB_OP_AVG_POOL2D));
  VALID(pool(NIB_OP_MAX_POOL2D));
  nib_graph *g = pool(NIB_OP_MAX_POOL2D);
  g->tensors[1].scale = 2;
  ERROR(g, "differ in quantization");
  g = pool(NIB_OP_AVG_POOL2D);
  set_ints(g, NIB_A_PADS, 4, (const int64_t[]){3, 0, 0, 0});
  ERROR(g, "padding of the whole kernel");
  g = pool(NIB_OP_AVG_POOL2D);
  nib_graph_clear_attr(g, 0, NIB_A_KERNEL);
  ERROR(g, "it has no kernel");
  g = pool(NIB_OP_AVG_POOL2D);
  g->tensors[1].dims[3] = 3;
  ERROR(g, "the channel count of its result is 3");
  g = pool(NIB_OP_AVG_POOL2D);
  g->tensors[0].quantized = g->tensors[1].quantized = false;
  ERROR(g, "neither quantized nor float");
}

/* --- elementwise and reductions --- */

static void test_elementwise(void) {
  nib_graph *g = one_node(NIB_OP_ADD, DIMS(2, 3), DIMS(4, 2, 3));
  int32_t rhs = constant(g, NIB_I8, DIMS(4, 1, 1));
  nib_graph_set_quant(g, rhs, 1, 0);
  set_operands(g, 2, (const int32_t[]){0, rhs});
  VALID(nib_graph_clone(g));
  g->tensors[1].dims[2] = 1;
  ERROR(g, "do not broadcast");
  g = relu();
  g->tensors[1].dims[1] = 2;
  ERROR(g, "differ in shape");
  g = relu();
  g->tensors[1].format = NIB_U8;
  ERROR(g, "operand 0 and the result differ in type");
  g = relu();
  g->tensors[0].quantized = g->tensors[1].quantized = false;
  ERROR(g, "operand 0 is neither quantized nor float");
  g = one_node(NIB_OP_CLAMP, DIMS(2), DIMS(2));
  nib_graph_set_float(g, 0, NIB_A_MIN, 2);
  nib_graph_set_float(g, 0, NIB_A_MAX, 1);
  ERROR(g, "its min is above its max");
  g = one_node(NIB_OP_CLAMP, DIMS(2), DIMS(2));
  nib_graph_set_float(g, 0, NIB_A_MIN, NAN);
  ERROR(g, "'min' is not a number");
  g = one_node(NIB_OP_LEAKY_RELU, DIMS(2), DIMS(2));
  nib_graph_set_float(g, 0, NIB_A_ALPHA, INFINITY);
  ERROR(g, "alpha is not finite");
  g = one_node(NIB_OP_SOFTMAX, DIMS(2), DIMS(2));
  nib_graph_set_int(g, 0, NIB_A_AXIS, 1);
  ERROR(g, "its axis is 1 of 1");
  g = one_node(NIB_OP_SOFTMAX, DIMS(2), DIMS(2));
  nib_graph_set_float(g, 0, NIB_A_BETA, 0);
  ERROR(g, "its beta is 0");
}

static void test_mean_and_lookup(void) {
  nib_graph *g = one_node(NIB_OP_MEAN, DIMS(2, 3, 4), DIMS(2, 4));
  set_ints(g, NIB_A_AXES, 1, (const int64_t[]){1});
  VALID(nib_graph_clone(g));
  nib_graph_set_int(g, 0, NIB_A_KEEP_DIMS, 1);
  ERROR(g, "another shape than its axes give");
  g = one_node(NIB_OP_MEAN, DIMS(2, 3), DIMS(2, 3));
  set_ints(g, NIB_A_AXES, 2, (const int64_t[]){1, 1});
  ERROR(g, "not distinct dimensions");
  g = one_node(NIB_OP_LOOKUP, DIMS(4), DIMS(4));
  set_operands(g, 2, (const int32_t[]){0, constant(g, NIB_I8, DIMS(255))});
  ERROR(g, "256 entries");
  g = one_node(NIB_OP_LOOKUP, DIMS(4), DIMS(4));
  set_operands(g, 2, (const int32_t[]){0, constant(g, NIB_I8, DIMS(256))});
  g->tensors[0].format = NIB_I16;
  ERROR(g, "not 8 bits wide");
}

/* --- moving data --- */

static void test_views(void) {
  VALID(one_node(NIB_OP_RESHAPE, DIMS(2, 3), DIMS(6)));
  ERROR(one_node(NIB_OP_RESHAPE, DIMS(2, 3), DIMS(5)), "6 elements become 5");
  nib_graph *g = one_node(NIB_OP_SQUEEZE, DIMS(1, 3), DIMS(3));
  g->tensors[1].zero_point = 2;
  ERROR(g, "differ in type or quantization");
}

static void test_pad_transpose_concat(void) {
  nib_graph *g = one_node(NIB_OP_PAD, DIMS(2, 3), DIMS(3, 5));
  set_ints(g, NIB_A_LOW, 2, (const int64_t[]){1, 0});
  set_ints(g, NIB_A_HIGH, 2, (const int64_t[]){0, 2});
  VALID(nib_graph_clone(g));
  nib_graph *h = nib_graph_clone(g);
  nib_graph_set_float(h, 0, NIB_A_PAD_VALUE, 0.5);
  ERROR(h, "0.5 is no code of i8");
  h = nib_graph_clone(g);
  nib_graph_set_float(h, 0, NIB_A_PAD_VALUE, 1e300);
  ERROR(h, "is no code of i8");
  set_ints(g, NIB_A_HIGH, 2, (const int64_t[]){0, INT64_MAX});
  ERROR(g, "value 1 of its high");

  g = one_node(NIB_OP_TRANSPOSE, DIMS(2, 3), DIMS(3, 2));
  set_ints(g, NIB_A_PERM, 2, (const int64_t[]){1, 0});
  VALID(nib_graph_clone(g));
  set_ints(g, NIB_A_PERM, 2, (const int64_t[]){1, 1});
  ERROR(nib_graph_clone(g), "not a permutation");
  nib_graph_clear_attr(g, 0, NIB_A_PERM);
  ERROR(g, "not a permutation");

  g = one_node(NIB_OP_CONCAT, DIMS(2, 3), DIMS(2, 6));
  set_operands(g, 2, (const int32_t[]){0, 0});
  nib_graph_set_int(g, 0, NIB_A_AXIS, 1);
  VALID(nib_graph_clone(g));
  nib_graph_set_int(g, 0, NIB_A_AXIS, 0);
  ERROR(nib_graph_clone(g), "dimension 0 of its result is 2, expected 4");
  nib_graph_set_int(g, 0, NIB_A_AXIS, -1);
  ERROR(g, "its axis is -1 of 2");
}

static void test_slices(void) {
  nib_graph *g = one_node(NIB_OP_SLICE, DIMS(4, 5), DIMS(2, 3));
  set_ints(g, NIB_A_BEGIN, 2, (const int64_t[]){2, 1});
  set_ints(g, NIB_A_SIZES, 2, (const int64_t[]){2, 3});
  VALID(nib_graph_clone(g));
  set_ints(g, NIB_A_BEGIN, 2, (const int64_t[]){3, 1});
  ERROR(g, "it takes 3 to 5 of 4");
  g = one_node(NIB_OP_STRIDED_SLICE, DIMS(9), DIMS(3));
  set_ints(g, NIB_A_BEGIN, 1, (const int64_t[]){8});
  set_ints(g, NIB_A_STEPS, 1, (const int64_t[]){-4});
  VALID(nib_graph_clone(g));
  set_ints(g, NIB_A_STEPS, 1, (const int64_t[]){-5});
  ERROR(nib_graph_clone(g), "it takes 8 to -2 in steps of -5");
  set_ints(g, NIB_A_STEPS, 1, (const int64_t[]){0});
  ERROR(g, "in steps of 0");
}

static void test_changes_of_format(void) {
  nib_graph *g = one_node(NIB_OP_QUANTIZE, DIMS(4), DIMS(4));
  ERROR(nib_graph_clone(g), "its input is not float");
  g->tensors[0].format = NIB_F32;
  g->tensors[0].quantized = false;
  VALID(nib_graph_clone(g));
  g->tensors[1].quantized = false;
  ERROR(g, "its result is neither quantized nor bipolar");

  g = one_node(NIB_OP_DEQUANTIZE, DIMS(4, 2), DIMS(4, 2));
  ERROR(nib_graph_clone(g), "from codes to float");
  g->tensors[1].format = NIB_F32;
  g->tensors[1].quantized = false;
  VALID(nib_graph_clone(g));
  g->tensors[0].quantized = false;
  ERROR(nib_graph_clone(g), "its input has no scale");
  set_operands(g, 3,
               (const int32_t[]){0, constant(g, NIB_F32, DIMS(2)), constant(g, NIB_I8, DIMS(3))});
  nib_graph_set_int(g, 0, NIB_A_AXIS, 1);
  ERROR(nib_graph_clone(g), "zero points are not plain numbers of the shape of the scales");
  nib_graph_set_int(g, 0, NIB_A_AXIS, 2);
  ERROR(g, "its axis is 2 of 2");

  g = one_node(NIB_OP_REQUANTIZE, DIMS(4), DIMS(4));
  VALID(nib_graph_clone(g));
  g->tensors[0].quantized = false;
  ERROR(nib_graph_clone(g), "its input has no scale");
  g->tensors[1].quantized = false;
  ERROR(g, "from an integer format to a quantized one");
}

static void test_one_node_of_an_incomplete_graph(void) {
  nib_graph *g = relu();
  g->n_inputs = 0;
  CHECK(nib_graph_validate_node(g, 0, &diag) == NIB_OK);
  g->tensors[0].scale = NAN;
  CHECK(nib_graph_validate_node(g, 0, NULL) == NIB_ERROR_INVALID_INPUT);
  nib_graph_destroy(g);
}

int main(void) {
  test_tensors();
  test_huge_graphs_are_refused_quickly();
  test_links();
  test_shared_attributes();
  test_conv();
  test_depthwise();
  test_transposed();
  test_fully_connected_and_matmul();
  test_pools();
  test_elementwise();
  test_mean_and_lookup();
  test_views();
  test_pad_transpose_concat();
  test_slices();
  test_changes_of_format();
  test_one_node_of_an_incomplete_graph();
  return failures != 0;
}

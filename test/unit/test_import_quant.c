/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * RUN: %unit/test_import_quant
 * ONNX operators on codes: what is refused, each with one message that names the operator; and what
 * scales that come at run time compute. */
#include "../support/tiny_onnx.h"
#include "import/import.h"
#include "reference/reference.h"

#include <math.h>

static int failures, n_errors;
static char messages[4096];

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      printf("line %d: %s\n  %s\n", __LINE__, #condition, messages);                               \
      ++failures;                                                                                  \
    }                                                                                              \
  } while (0)

static void collect(void *user, nib_severity severity, const char *message) {
  (void)user;
  n_errors += severity == NIB_ERROR;
  size_t used = strlen(messages);
  snprintf(messages + used, sizeof messages - used, "%s\n", message);
}

static const nib_diag diag = {collect, NULL};
static const nib_import_options plain = {.model_name = "m", .display_path = "m.onnx"};

enum { UINT16 = 4, UINT4 = 21, INT4 = 22, FLOAT8 = 17, E8M0 = 24, NONE = 0 };

/* A tensor of at most 8 elements given as numbers; 4-bit types are packed. */
typedef struct numbers {
  int type, rank;
  int64_t dims[3];
  float v[8];
} numbers;

static pb tensor_of(const char *name, const numbers *t) {
  uint8_t bytes[32] = {0};
  size_t count = 1, size = 0;
  for (int i = 0; i < t->rank; ++i)
    count *= (size_t)t->dims[i];
  for (size_t i = 0; i < count; ++i) {
    const int32_t code = isfinite(t->v[i]) ? (int32_t)t->v[i] : 0;
    if (t->type == ONNX_FLOAT)
      memcpy(bytes + 4 * i, &t->v[i], 4);
    else if (t->type == ONNX_INT32)
      memcpy(bytes + 4 * i, &code, 4);
    else if (t->type == UINT16)
      memcpy(bytes + 2 * i, &code, 2);
    else if (t->type == INT4 || t->type == UINT4)
      bytes[i / 2] |= (uint8_t)((code & 15) << (i % 2 * 4));
    else
      bytes[i] = (uint8_t)code;
  }
  size = t->type == ONNX_FLOAT || t->type == ONNX_INT32 ? 4 * count
         : t->type == UINT16                            ? 2 * count
         : t->type == INT4 || t->type == UINT4          ? (count + 1) / 2
                                                        : count;
  return onnx_tensor(name, t->type, t->rank, t->dims, bytes, size);
}

static void add_int(pb *node, const char *name, int64_t value) {
  pb a = {0};
  pb_text(&a, 1, name);
  pb_int(&a, 3, value);
  pb_message(node, 5, a);
}

/* ---- what is refused ---- */

typedef struct bad {
  const char *op;
  int x_type;
  numbers scale, zero; /* zero.type NONE: absent */
  int axis, block;     /* 0: absent */
  nib_status status;
  const char *words;
} bad;

#define F1(...)                                                                                    \
  {                                                                                                \
    ONNX_FLOAT, 1, {sizeof((float[]){__VA_ARGS__}) / 4}, { __VA_ARGS__ }                           \
  }

static const bad rows[] = {
    {"QuantizeLinear", 1, F1(0), {0}, 0, 0, NIB_ERROR_INVALID_INPUT, "scale 0 is 0, not positive"},
    {"QuantizeLinear", 1, F1(NAN), {0}, 0, 0, NIB_ERROR_INVALID_INPUT, "scale 0 is nan"},
    {"QuantizeLinear", 1, F1(INFINITY), {0}, 0, 0, NIB_ERROR_INVALID_INPUT, "scale 0 is inf"},
    {"QuantizeLinear", 1, F1(-1), {0}, 0, 0, NIB_ERROR_INVALID_INPUT, "scale 0 is -1"},
    {"QuantizeLinear", 1, F1(1, 1, 1, -2), {0}, 1, 0, NIB_ERROR_INVALID_INPUT, "scale 3 is -2"},
    {"DequantizeLinear", 2, F1(0), {0}, 0, 0, NIB_ERROR_INVALID_INPUT, "scale 0 is 0"},
    {"DequantizeLinear", INT4, F1(NAN), {0}, 0, 0, NIB_ERROR_INVALID_INPUT, "scale 0 is nan"},
    {"QuantizeLinear", 1, F1(1, 2, 3), {0}, 1, 0, NIB_ERROR_INVALID_INPUT, "3 scales for 4 slices"},
    {"QuantizeLinear",
     1,
     F1(1, 2, 3, 4),
     {0},
     5,
     0,
     NIB_ERROR_INVALID_INPUT,
     "axis 5 does not exist at rank 2"},
    {"QuantizeLinear",
     1,
     F1(1),
     {INT4, 1, {1}, {0}},
     0,
     -2,
     NIB_ERROR_INVALID_INPUT,
     "block_size is -2"},
    {"QuantizeLinear",
     1,
     {ONNX_FLOAT, 2, {2, 2}, {1, 1, 1, 1}},
     {0},
     1,
     3,
     NIB_ERROR_UNSUPPORTED,
     "blocks of 3 do not divide dimension 1, which is 4"},
    {"QuantizeLinear",
     1,
     {ONNX_FLOAT, 2, {2, 3}, {1, 1, 1, 1, 1, 1}},
     {0},
     1,
     2,
     NIB_ERROR_INVALID_INPUT,
     "dimension 1 of its scales is 3, not 2"},
    {"QuantizeLinear",
     1,
     F1(1, 1),
     {0},
     1,
     2,
     NIB_ERROR_INVALID_INPUT,
     "its scales have rank 1, its input 2"},
    {"QuantizeLinear",
     1,
     F1(1, 1, 1, 1),
     {INT4, 1, {2}, {0, 0}},
     1,
     0,
     NIB_ERROR_INVALID_INPUT,
     "4 scales and 2 zero points"},
    {"DequantizeLinear",
     INT4,
     F1(1),
     {UINT4, 1, {1}, {3}},
     0,
     0,
     NIB_ERROR_INVALID_INPUT,
     "its zero point is ui4, its codes are i4"},
    {"DequantizeLinear",
     2,
     F1(1),
     {3, 1, {1}, {3}},
     0,
     0,
     NIB_ERROR_INVALID_INPUT,
     "its zero point is i8, its codes are ui8"},
    {"DequantizeLinear",
     FLOAT8,
     F1(1),
     {FLOAT8, 1, {1}, {0x38}},
     0,
     0,
     NIB_ERROR_INVALID_INPUT,
     "the zero point of f8E4M3FN codes is not 0"},
    {"DequantizeLinear",
     ONNX_INT32,
     F1(1),
     {ONNX_INT32, 1, {1}, {7}},
     0,
     0,
     NIB_ERROR_INVALID_INPUT,
     "the zero point of int32 codes is not 0"},
    {"DequantizeLinear", ONNX_INT64, F1(1), {0}, 0, 0, NIB_ERROR_UNSUPPORTED, "codes of type i64"},
    {"QuantizeLinear",
     1,
     F1(1),
     {E8M0, 1, {1}, {127}},
     0,
     0,
     NIB_ERROR_UNSUPPORTED,
     "codes of type f8E8M0FNU"},
    {"QuantizeLinear", 2, F1(1), {0}, 0, 0, NIB_ERROR_INVALID_INPUT, "its input is ui8"},
    {"DequantizeLinear",
     2,
     {ONNX_INT32, 1, {1}, {1}},
     {0},
     0,
     0,
     NIB_ERROR_INVALID_INPUT,
     "is i32, not real"},
};

static const int64_t matrix[] = {2, 4};

static nib_graph *import(pb node, pb *graph, int x_type, int y_type, nib_status *out_status) {
  nib_graph *g = NULL;
  pb_message(graph, 1, node);
  pb_message(graph, 11, onnx_value("x", x_type, 2, matrix, ""));
  pb_message(graph, 12, onnx_value("y", y_type, 2, matrix, ""));
  pb model = onnx_model(*graph, 25);
  n_errors = 0;
  messages[0] = '\0';
  *out_status = nib_import_onnx(model.bytes, model.size, &plain, &g, &diag);
  free(model.bytes);
  return g;
}

static void test_bad(const bad *b) {
  pb g = {0}, node = onnx_node(b->op, b->zero.type ? "x s z" : "x s", "y");
  nib_status status;
  if (b->axis)
    add_int(&node, "axis", b->axis);
  if (b->block)
    add_int(&node, "block_size", b->block);
  pb_message(&g, 5, tensor_of("s", &b->scale));
  if (b->zero.type)
    pb_message(&g, 5, tensor_of("z", &b->zero));
  nib_graph *graph = import(node, &g, b->x_type, ONNX_FLOAT, &status);
  char head[64];
  snprintf(head, sizeof head, "operator 0 'y' (%s): ", b->op);
  if (status != b->status || n_errors != 1 || !strstr(messages, b->words) ||
      strncmp(messages, head, strlen(head))) {
    printf("%s, expected '%s': status %d, %d errors: %s\n", b->op, b->words, status, n_errors,
           messages);
    ++failures;
  }
  nib_graph_destroy(graph);
}

/* ---- scales at run time ---- */

static nib_graph *graph_of_inputs(const char *op, const int64_t *scale_dims, int block, int codes,
                                  bool quantizes) {
  pb g = {0}, node = onnx_node(op, "x s z", "y");
  nib_status status;
  if (block)
    add_int(&node, "block_size", block);
  add_int(&node, "axis", 1);
  nib_graph *graph = NULL;
  pb_message(&g, 1, node);
  pb_message(&g, 11, onnx_value("x", quantizes ? ONNX_FLOAT : codes, 2, matrix, ""));
  pb_message(&g, 11, onnx_value("s", ONNX_FLOAT, block ? 2 : 1, scale_dims, ""));
  pb_message(&g, 11, onnx_value("z", codes, block ? 2 : 1, scale_dims, ""));
  pb_message(&g, 12, onnx_value("y", quantizes ? codes : ONNX_FLOAT, 2, matrix, ""));
  pb model = onnx_model(g, 25);
  n_errors = 0;
  messages[0] = '\0';
  status = nib_import_onnx(model.bytes, model.size, &plain, &graph, &diag);
  CHECK(status == NIB_OK);
  free(model.bytes);
  return graph;
}

static const float reals[8] = {0, 2.5f, -3.75f, 100, -0.5f, 7, -100, 1.25f};

static void check_run(nib_graph *g, const void *x, const float *scales, const int8_t *zeros,
                      const void *want, size_t bytes) {
  nib_reference *r = NULL;
  const void *inputs[] = {x, scales, zeros};
  if (!g)
    return;
  CHECK(nib_reference_create(g, &r, &diag) == NIB_OK);
  CHECK(r && nib_reference_run(r, inputs, &diag) == NIB_OK);
  CHECK(r && !memcmp(nib_reference_tensor(r, g->outputs[0]), want, bytes));
  nib_reference_destroy(r);
  nib_graph_destroy(g);
}

static void test_run_time(void) {
  const int64_t channels[] = {4}, blocks[] = {2, 2};
  const float by_channel[] = {0.5f, 1, 2, 4}, by_block[] = {0.5f, 1, 2, 4};
  const int8_t zeros[] = {1, -2, 3, 0};
  int8_t q[8], qb[8];
  float d[8];
  for (int i = 0; i < 8; ++i) {
    const int block = i / 4 * 2 + i % 4 / 2;
    q[i] = (int8_t)fmaxf(-8, fminf(7, rintf(reals[i] / by_channel[i % 4]) + zeros[i % 4]));
    qb[i] = (int8_t)fmaxf(-8, fminf(7, rintf(reals[i] / by_block[block]) + zeros[block]));
    d[i] = (float)(qb[i] - zeros[block]) * by_block[block];
  }
  check_run(graph_of_inputs("QuantizeLinear", channels, 0, INT4, true), reals, by_channel, zeros, q,
            sizeof q);
  check_run(graph_of_inputs("QuantizeLinear", blocks, 2, INT4, true), reals, by_block, zeros, qb,
            sizeof qb);
  check_run(graph_of_inputs("DequantizeLinear", blocks, 2, INT4, false), qb, by_block, zeros, d,
            sizeof d);
}

/* ---- QuantizeLinear's precision ---- */

enum { FLOAT16 = 10, DOUBLE = 11 };

static nib_graph *graph_of_precision(int precision, nib_status *out_status) {
  pb g = {0}, node = onnx_node("QuantizeLinear", "x s z", "y");
  const numbers s = F1(0.5f), z = {3, 0, {0}, {-3}};
  add_int(&node, "precision", precision);
  pb_message(&g, 5, tensor_of("s", &s));
  pb_message(&g, 5, tensor_of("z", &z));
  return import(node, &g, ONNX_FLOAT, 3, out_status);
}

/* 1.7499 is 1.75 in f16, whose quotient is a tie; what f16 cannot hold saturates. */
static void test_precision(void) {
  static const float x[] = {1.7499f, 1.2501f, -1.7499f, 1e6f, -1e6f, 65519, -40000, 1e-9f};
  static const int8_t halves[] = {1, -1, -7, 127, -128, 127, -128, -3};
  static const int8_t floats[] = {0, 0, -6, 127, -128, 127, -128, -3};
  nib_status status;
  for (int i = 0; i < 2; ++i) {
    nib_graph *g = graph_of_precision(i ? ONNX_FLOAT : FLOAT16, &status);
    CHECK(status == NIB_OK);
    check_run(g, x, NULL, NULL, i ? floats : halves, sizeof halves);
  }
  nib_graph *g = graph_of_precision(DOUBLE, &status);
  CHECK(status == NIB_ERROR_UNSUPPORTED && n_errors == 1 &&
        strstr(messages, "operator 0 'y' (QuantizeLinear): division in the precision "));
  nib_graph_destroy(g);
}

/* ---- MatMulNBits whose columns name their blocks ---- */

static void test_groups(int32_t group, int count, nib_status wanted, const char *words) {
  pb g = {0}, node = onnx_node("MatMulNBits", "x w s none g", "y");
  const int64_t w[] = {1, 2, 8}, s[] = {2}, k[] = {count};
  int32_t groups[32] = {0};
  const float scales[] = {1, 2};
  const uint8_t codes[16] = {0x99};
  nib_graph *graph = NULL;
  groups[31] = group;
  pb_text(&node, 7, "com.microsoft");
  add_int(&node, "K", 32);
  add_int(&node, "N", 1);
  add_int(&node, "block_size", 16);
  pb_message(&g, 1, node);
  pb_message(&g, 5, onnx_tensor("w", 2, 3, w, codes, sizeof codes));
  pb_message(&g, 5, onnx_tensor("s", ONNX_FLOAT, 1, s, scales, sizeof scales));
  pb_message(&g, 5, onnx_tensor("g", ONNX_INT32, 1, k, groups, 4 * (size_t)count));
  pb_message(&g, 11, onnx_value("x", ONNX_FLOAT, 2, (int64_t[]){1, 32}, ""));
  pb_message(&g, 11, onnx_value("none", 2, 2, (int64_t[]){1, 1}, ""));
  pb_message(&g, 12, onnx_value("y", ONNX_FLOAT, 2, (int64_t[]){1, 1}, ""));
  pb model = onnx_model(g, 17);
  n_errors = 0;
  messages[0] = '\0';
  const nib_status status = nib_import_onnx(model.bytes, model.size, &plain, &graph, &diag);
  CHECK(status == wanted && strstr(messages, words));
  free(model.bytes);
  nib_graph_destroy(graph);
}

int main(void) {
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i)
    test_bad(&rows[i]);
  test_run_time();
  test_precision();
  test_groups(2, 32, NIB_ERROR_INVALID_INPUT, "g_idx has 2 at 31 of 2 blocks");
  test_groups(-1, 32, NIB_ERROR_INVALID_INPUT, "g_idx has -1 at 31 of 2 blocks");
  test_groups(1, 31, NIB_ERROR_INVALID_INPUT, "31 elements of g_idx, not 32");
  printf("%d failures\n", failures);
  return failures != 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_import_qonnx %S/../golden/qonnx.golden.txt
/* QONNX operators one by one, imported and evaluated, against values written out here; and what is
 * wrong with a file gives one message that names the operator. Every rounding mode against goldens
 * (test/golden/make_qonnx_goldens.py), of inputs that come at run time and of constants. */
#include "../support/tiny_onnx.h"
#include "import/import.h"
#include "reference/reference.h"

#include <math.h>

static int failures, n_errors;
static char message[1024];

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                               \
      ++failures;                                                                                  \
    }                                                                                              \
  } while (0)

static void keep(void *user, nib_severity severity, const char *text) {
  (void)user;
  if (severity != NIB_ERROR)
    return;
  ++n_errors;
  snprintf(message, sizeof message, "%s", text);
}
static const nib_diag diag = {keep, NULL};

/* One operator of domain `domain`: input "x" of `dims`, constants "c1", "c2" … of f32. */
typedef struct model {
  pb graph, node;
  int constants;
} model;

static void add_constant(model *m, int rank, const int64_t *dims, const float *data, size_t n) {
  char name[8];
  snprintf(name, sizeof name, "c%d", ++m->constants);
  pb_message(&m->graph, 5, onnx_tensor(name, ONNX_FLOAT, rank, dims, data, n * sizeof *data));
}

static void add_scalar(model *m, float value) { add_constant(m, 0, NULL, &value, 1); }

static void add_int(model *m, const char *name, int64_t value) {
  pb a = {0};
  pb_text(&a, 1, name);
  pb_int(&a, 3, value);
  pb_int(&a, 20, 2);
  pb_message(&m->node, 5, a);
}

static void add_string(model *m, const char *name, const char *value) {
  pb a = {0};
  pb_text(&a, 1, name);
  pb_text(&a, 4, value);
  pb_int(&a, 20, 3);
  pb_message(&m->node, 5, a);
}

static model begin(const char *op, const char *inputs, const char *domain) {
  model m = {.node = onnx_node(op, inputs, "y")};
  pb_text(&m.node, 7, domain);
  return m;
}

static nib_graph *finish(model *m, int rank, const int64_t *dims, nib_status wanted) {
  pb_message(&m->graph, 1, m->node);
  pb_message(&m->graph, 11, onnx_value("x", ONNX_FLOAT, rank, dims, ""));
  pb_message(&m->graph, 12, onnx_value("y", ONNX_FLOAT, rank, dims, ""));
  pb file = onnx_model(m->graph, 13);
  const nib_import_options options = {.display_path = "t", .model_name = "t"};
  nib_graph *g = NULL;
  n_errors = 0;
  message[0] = '\0';
  const nib_status status = nib_import_onnx(file.bytes, file.size, &options, &g, &diag);
  if (status != wanted)
    printf("status %d: %s\n", (int)status, message);
  CHECK(status == wanted);
  free(file.bytes);
  return g;
}

/* Equal numbers; NaN equals NaN. */
static bool same(float a, float b) { return a == b || (isnan(a) && isnan(b)); }

static void expect(model *m, int rank, const int64_t *dims, const float *x, const float *y, int n) {
  nib_graph *g = finish(m, rank, dims, NIB_OK);
  nib_reference *r = NULL;
  const void *inputs[] = {x};
  CHECK(g && nib_reference_create(g, &r, &diag) == NIB_OK &&
        nib_reference_run(r, inputs, &diag) == NIB_OK);
  const float *got = r ? nib_reference_tensor(r, g->outputs[0]) : NULL;
  for (int i = 0; got && i < n; ++i)
    if (!same(got[i], y[i])) {
      printf("element %d of %g: %.9g, not %.9g\n", i, (double)x[i], (double)got[i], (double)y[i]);
      ++failures;
    }
  nib_reference_destroy(r);
  nib_graph_destroy(g);
}

static model quant(float scale, float zero, float bits, int is_signed, int narrow,
                   const char *rounding) {
  model m = begin("Quant", "x c1 c2 c3", "qonnx.custom_op.general");
  add_scalar(&m, scale);
  add_scalar(&m, zero);
  add_scalar(&m, bits);
  add_int(&m, "signed", is_signed);
  add_int(&m, "narrow", narrow);
  if (rounding)
    add_string(&m, "rounding_mode", rounding);
  return m;
}

/* The table of QONNX's description of Quant. */
static void test_rounding(void) {
  static const float x[] = {5.5f, 2.5f, 1.6f, 1.1f, 1.0f, -1.0f, -1.1f, -1.6f, -2.5f, -5.5f};
  static const struct {
    const char *name;
    float y[10];
  } rows[] = {
      {"ROUND", {6, 2, 2, 1, 1, -1, -1, -2, -2, -6}},
      {"half_even", {6, 2, 2, 1, 1, -1, -1, -2, -2, -6}},
      {"CEIL", {6, 3, 2, 2, 1, -1, -1, -1, -2, -5}},
      {"floor", {5, 2, 1, 1, 1, -1, -2, -2, -3, -6}},
      {"UP", {6, 3, 2, 2, 1, -1, -2, -2, -3, -6}},
      {"DOWN", {5, 2, 1, 1, 1, -1, -1, -1, -2, -5}},
      {"ROUND_TO_ZERO", {5, 2, 1, 1, 1, -1, -1, -1, -2, -5}},
      {"HALF_UP", {6, 3, 2, 1, 1, -1, -1, -2, -3, -6}},
      {"HALF_DOWN", {5, 2, 2, 1, 1, -1, -1, -2, -2, -5}},
  };
  static const int64_t dims[] = {10};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    model m = quant(1, 0, 8, 1, 0, rows[i].name);
    expect(&m, 1, dims, x, rows[i].y, 10);
  }
}

static void test_ranges(void) {
  static const float x[] = {-1000, 1000, 0.3f, -0.3f, NAN};
  static const int64_t dims[] = {4};
  static const struct {
    int bits, is_signed, narrow;
    float y[4];
  } rows[] = {
      {4, 1, 0, {-2.0f, 1.75f, 0.25f, -0.25f}},
      {4, 1, 1, {-1.75f, 1.75f, 0.25f, -0.25f}},
      {4, 0, 0, {0, 3.75f, 0.25f, 0}},
      {4, 0, 1, {0, 3.5f, 0.25f, 0}},
      {2, 1, 1, {-0.25f, 0.25f, 0.25f, -0.25f}},
      {1, 0, 0, {0, 0.25f, 0.25f, 0}},
      {8, 1, 1, {-31.75f, 31.75f, 0.25f, -0.25f}},
      {16, 0, 0, {0, 250 * 4 / 4.0f * 4, 0.25f, 0}},
      {1, 1, 0, {-0.25f, 0.25f, 0.25f, -0.25f}},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    model m = quant(0.25f, 0, (float)rows[i].bits, rows[i].is_signed, rows[i].narrow, NULL);
    expect(&m, 1, dims, x, rows[i].y, 4);
  }
}

/* Odd zero points round x / scale + zero, not x / scale: ties go elsewhere. */
static void test_zero_points(void) {
  static const float x[] = {0.25f, 0.75f, -0.25f, -100, 100}, y[] = {0.5f, 0.5f, -0.5f, -1.5f, 6};
  static const int64_t dims[] = {5};
  model m = quant(0.5f, 3, 4, 0, 0, NULL);
  expect(&m, 1, dims, x, y, 5);
  static const float fraction[] = {0.25f, 0.75f, -0.25f, -1.25f, 6.25f};
  m = quant(0.5f, 2.5f, 4, 0, 0, NULL);
  expect(&m, 1, dims, x, fraction, 5);
}

static void test_channels(void) {
  static const float x[] = {0.9f, 5, -5, 0.9f, 5, -5}, scale[] = {0.5f, 2};
  static const float y[] = {1, 1.5f, -2, 0, 4, -4};
  static const int64_t dims[] = {2, 3}, scales[] = {2, 1};
  model m = begin("IntQuant", "x c1 c2 c3", "qonnx.custom_op.general");
  add_constant(&m, 2, scales, scale, 2);
  add_scalar(&m, 0);
  add_scalar(&m, 3);
  expect(&m, 2, dims, x, y, 6);
}

static void expect_error(model m, nib_status status, const char *what);

/* Scales that come at run time, here x itself, and zero points. */
static void test_run_time(void) {
  static const float x[] = {0.5f, 3, -2, -0.75f};
  static const int64_t dims[] = {4};
  model m = begin("Quant", "x x c1 c2", "qonnx.custom_op.general");
  add_scalar(&m, 0);
  add_scalar(&m, 4);
  expect(&m, 1, dims, x, x, 4);
  m = begin("Quant", "x c1 x c2", "qonnx.custom_op.general");
  add_scalar(&m, 1);
  add_scalar(&m, 3);
  add_string(&m, "rounding_mode", "UP");
  const float y[] = {1 - 0.5f, 3 - 3, -4 + 2, -2 + 0.75f};
  expect(&m, 1, dims, x, y, 4);
  m = begin("BipolarQuant", "x x", "qonnx.custom_op.general");
  expect_error(m, NIB_ERROR_UNSUPPORTED, "its scale is not a constant");
}

static void test_bipolar(void) {
  static const float x[] = {0, -0.0f, 1e-30f, -1e-30f, 7, -7},
                     y[] = {0.5f, 0.5f, 0.5f, -0.5f, 0.5f, -0.5f};
  static const int64_t dims[] = {6};
  static const char *const domains[] = {"qonnx.custom_op.general", "finn.custom_op.general",
                                        "onnx.brevitas"};
  for (int i = 0; i < 3; ++i) {
    model m = begin("BipolarQuant", "x c1", domains[i]);
    add_scalar(&m, 0.5f);
    expect(&m, 1, dims, x, y, 6);
  }
}

static void test_trunc(void) {
  static const float x[] = {10.4f, 27, 127, -1, -27}, first[] = {0, 1, 7, -1, -2};
  static const float second[] = {16, 32, 112, 0, -32};
  static const int64_t dims[] = {5};
  model m = begin("Trunc", "x c1 c2 c3 c4", "qonnx.custom_op.general");
  add_scalar(&m, 1);
  add_scalar(&m, 0);
  add_scalar(&m, 8);
  add_scalar(&m, 4);
  expect(&m, 1, dims, x, first, 5);
  m = begin("Trunc", "x c1 c2 c3 c4 c5", "qonnx.custom_op.general");
  const float constants[] = {1, 0, 8, 16, 4};
  for (int i = 0; i < 5; ++i)
    add_scalar(&m, constants[i]);
  add_string(&m, "rounding_mode", "ROUND");
  expect(&m, 1, dims, x, second, 5);
}

/* e4m3 with bias 7 and 448 as the largest value; e2m1 with bias 1. */
static void test_float(void) {
  static const float x[] = {1.0625f, 1.1875f, 449, -1e9f, 0.001f, 0.0009f};
  static const float e4m3[] = {1, 1.25f, 448, -448, 0.001953125f, 0};
  static const float e2m1[] = {1, 1, 6, -6, 0, 0};
  static const int64_t dims[] = {6};
  static const float k[2][5] = {{1, 4, 3, 7, 448}, {1, 2, 1, 1, 6}};
  for (int i = 0; i < 2; ++i) {
    model m = begin("FloatQuant", "x c1 c2 c3 c4 c5", "qonnx.custom_op.general");
    for (int j = 0; j < 5; ++j)
      add_scalar(&m, k[i][j]);
    expect(&m, 1, dims, x, i ? e2m1 : e4m3, 6);
  }
}

/* ---- goldens ---- */

enum { MOST = 128 };

typedef struct golden {
  char op[16], names[3][16];
  int n_constants, n_attributes, n, values[3];
  float constants[8], x[MOST];
} golden;

static bool read_reals(FILE *f, float *out, int n) {
  for (int i = 0; i < n; ++i) {
    unsigned bits;
    if (fscanf(f, "%x", &bits) != 1)
      return false;
    memcpy(&out[i], &bits, sizeof bits);
  }
  return true;
}

static bool read_golden(FILE *f, golden *g) {
  if (fscanf(f, " constants %d", &g->n_constants) != 1 || g->n_constants > 8 ||
      !read_reals(f, g->constants, g->n_constants) ||
      fscanf(f, " attributes %d", &g->n_attributes) != 1 || g->n_attributes > 3)
    return false;
  for (int i = 0; i < g->n_attributes; ++i)
    if (fscanf(f, "%15s %d", g->names[i], &g->values[i]) != 2)
      return false;
  return fscanf(f, " x %d", &g->n) == 1 && g->n <= MOST && read_reals(f, g->x, g->n);
}

/* The operator on a constant, behind a Where, so that the graph has an input. */
static void expect_of_constant(model *m, const golden *g, const float *y) {
  const int64_t dims[] = {g->n};
  pb_message(&m->graph, 5, onnx_tensor("k", ONNX_FLOAT, 1, dims, g->x, (size_t)g->n * 4));
  pb_message(&m->graph, 1, m->node);
  pb_message(&m->graph, 1, onnx_node("Where", "b r r", "y"));
  pb_message(&m->graph, 11, onnx_value("b", 9 /* bool */, 1, dims, ""));
  pb_message(&m->graph, 12, onnx_value("y", ONNX_FLOAT, 1, dims, ""));
  pb file = onnx_model(m->graph, 13);
  const nib_import_options options = {.display_path = "t", .model_name = "t"};
  nib_graph *graph = NULL;
  nib_reference *r = NULL;
  static const uint8_t yes[MOST];
  const void *inputs[] = {yes};
  CHECK(nib_import_onnx(file.bytes, file.size, &options, &graph, &diag) == NIB_OK);
  CHECK(graph && nib_reference_create(graph, &r, &diag) == NIB_OK &&
        nib_reference_run(r, inputs, &diag) == NIB_OK);
  const float *got = r ? nib_reference_tensor(r, graph->outputs[0]) : NULL;
  for (int i = 0; got && i < g->n; ++i)
    if (!same(got[i], y[i])) {
      printf("constant %s of %g: %.9g, not %.9g\n", g->op, (double)g->x[i], (double)got[i],
             (double)y[i]);
      ++failures;
    }
  nib_reference_destroy(r);
  nib_graph_destroy(graph);
  free(file.bytes);
}

static model golden_model(const golden *g, const char *mode, const char *x, const char *y) {
  char inputs[64];
  snprintf(inputs, sizeof inputs, "%s c1 c2 c3 c4 c5", x);
  inputs[strlen(inputs) - (size_t)(5 - g->n_constants) * 3] = '\0';
  model m = {.node = onnx_node(g->op, inputs, y)};
  pb_text(&m.node, 7, "qonnx.custom_op.general");
  for (int i = 0; i < g->n_constants; ++i)
    add_scalar(&m, g->constants[i]);
  for (int i = 0; i < g->n_attributes; ++i)
    add_int(&m, g->names[i], g->values[i]);
  add_string(&m, "rounding_mode", mode);
  return m;
}

static void test_goldens(const char *path) {
  FILE *f = fopen(path, "r");
  golden g = {0};
  char word[16];
  float y[MOST];
  int lines = 0;
  CHECK(f != NULL);
  if (!f || fscanf(f, "%*[^\n]") != 0)
    return;
  while (fscanf(f, "%15s", word) == 1) {
    if (strchr("QTF", word[0]) && strcmp(word, "FLOOR") != 0) {
      snprintf(g.op, sizeof g.op, "%s", word);
      CHECK(read_golden(f, &g));
      continue;
    }
    CHECK(fscanf(f, " y%*1[ ]") == 0 && read_reals(f, y, g.n));
    const int before = failures;
    const int64_t dims[] = {g.n};
    model m = golden_model(&g, word, "x", "y");
    expect(&m, 1, dims, g.x, y, g.n);
    if (strcmp(g.op, "Trunc") != 0) { /* other operators fold constants by functions of their own */
      m = golden_model(&g, word, "k", "r");
      expect_of_constant(&m, &g, y);
    }
    if (failures != before)
      printf("^ line %d: %s %s\n", lines, g.op, word);
    ++lines;
  }
  CHECK(lines > 150);
  fclose(f);
}

static void expect_error(model m, nib_status status, const char *what) {
  static const int64_t dims[] = {4};
  nib_graph *g = finish(&m, 1, dims, status);
  nib_graph_destroy(g);
  if (n_errors != 1 || !strstr(message, what) || !strstr(message, "operator 0 'y' ("))
    printf("%d messages: %s\n", n_errors, message);
  CHECK(n_errors == 1 && strstr(message, what) && strstr(message, "operator 0 'y' ("));
}

static void test_errors(void) {
  const nib_status bad = NIB_ERROR_INVALID_INPUT, unsupported = NIB_ERROR_UNSUPPORTED;
  expect_error(quant(0, 0, 4, 1, 0, NULL), bad, "its scale is 0, not positive");
  expect_error(quant(-1, 0, 4, 1, 0, NULL), bad, "its scale is -1, not positive");
  expect_error(quant(NAN, 0, 4, 1, 0, NULL), bad, "its scale is");
  expect_error(quant(INFINITY, 0, 4, 1, 0, NULL), bad, "its scale is inf, not finite");
  expect_error(quant(1, NAN, 4, 1, 0, NULL), bad, "its zero point is");
  expect_error(quant(1, 8, 4, 1, 0, NULL), bad, "its zero point 8 is outside [-8, 7]");
  expect_error(quant(1, -8, 4, 1, 1, NULL), bad, "its zero point -8 is outside [-7, 7]");
  expect_error(quant(1, 0, 0, 1, 0, NULL), bad, "its bit width is 0, not a positive integer");
  expect_error(quant(1, 0, 2.5f, 1, 0, NULL), bad, "its bit width is 2.5, not a positive integer");
  expect_error(quant(1, 0, NAN, 1, 0, NULL), bad, "not a positive integer");
  expect_error(quant(1, 0, 33, 1, 0, NULL), unsupported, "its bit width is 33, above 32");
  expect_error(quant(1, 0, 4, 1, 0, "SIDEWAYS"), bad, "unknown rounding mode 'SIDEWAYS'");
  model m = begin("Quant", "x c1 c2 x", "qonnx.custom_op.general");
  add_scalar(&m, 1);
  add_scalar(&m, 0);
  expect_error(m, unsupported, "its bit width is not a constant");
  expect_error(begin("Relu", "x", "qonnx.custom_op.general"), unsupported,
               "the operator is not supported");
  expect_error(begin("Relu", "x", "other"), unsupported, "domain 'other' is not supported");
}

int main(int argc, char **argv) {
  test_rounding();
  test_ranges();
  test_zero_points();
  test_channels();
  test_run_time();
  test_bipolar();
  test_trunc();
  test_float();
  test_errors();
  CHECK(argc == 2);
  if (argc == 2)
    test_goldens(argv[1]);
  printf("%d failures\n", failures);
  return failures != 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * RUN: %unit/test_import_onnx
 * The ONNX importer on small files made here: what it accepts, what it refuses and in which words.
 */
#include "../support/tiny_onnx.h"
#include "import/import.h"
#include "reference/reference.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

static int failures, n_errors, n_notes;
static char messages[8192];

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
  n_notes += severity == NIB_NOTE;
  size_t used = strlen(messages);
  snprintf(messages + used, sizeof messages - used, "%s\n", message);
}

static const nib_diag diag = {collect, NULL};

static nib_status import_with(const pb *model, const nib_import_options *options, nib_graph **g) {
  n_errors = n_notes = 0;
  messages[0] = '\0';
  nib_status status = nib_import_onnx(model->bytes, model->size, options, g, &diag);
  CHECK((status == NIB_OK) == (*g != NULL));
  CHECK(status == NIB_OK || n_errors > 0);
  return status;
}

/* Imports, destroys what came out, frees the model. */
static nib_status import_once(pb model, const nib_import_options *options) {
  nib_graph *g = NULL;
  nib_status status = import_with(&model, options, &g);
  nib_graph_destroy(g);
  free(model.bytes);
  return status;
}

static const nib_import_options plain = {.model_name = "m", .display_path = "m.onnx"};
static const int64_t image[] = {1, 2, 4, 4}, vector[] = {4}, one[] = {1};

static bool says(const char *words) { return strstr(messages, words) != NULL; }

/* x → Relu → y, with room for more in the graph. */
static pb relu_graph(const char *symbol, const int64_t *dims) {
  pb g = {0};
  pb_message(&g, 1, onnx_node("Relu", "x", "y"));
  pb_message(&g, 11, onnx_value("x", ONNX_FLOAT, 4, dims, symbol));
  pb_message(&g, 12, onnx_value("y", ONNX_FLOAT, 4, dims, symbol));
  return g;
}

static void test_dimensions(void) {
  const int64_t batch[] = {-1, 2, 4, 4}, width[] = {1, 2, 4, -1};
  const nib_dim_binding five = {"W", 5}, zero = {"W", 0};
  nib_import_options bound = plain;
  bound.n_dims = 1;
  CHECK(import_once(onnx_model(relu_graph("N", batch), 13), &plain) == NIB_OK);
  CHECK(n_notes == 1 && says("--dim N=N"));
  CHECK(import_once(onnx_model(relu_graph("W", width), 13), &plain) == NIB_ERROR_INVALID_INPUT);
  CHECK(says("--dim W=N"));
  bound.dims = &zero;
  CHECK(import_once(onnx_model(relu_graph("W", width), 13), &bound) == NIB_ERROR_INVALID_INPUT);
  bound.dims = &five;
  pb model = onnx_model(relu_graph("W", width), 13);
  nib_graph *g = NULL;
  CHECK(import_with(&model, &bound, &g) == NIB_OK);
  CHECK(g && g->tensors[g->outputs[0]].dims[3] == 5);
  nib_graph_destroy(g);
  free(model.bytes);
}

static void test_versions(void) {
  CHECK(import_once(onnx_model(relu_graph("", image), 6), &plain) == NIB_ERROR_UNSUPPORTED);
  CHECK(import_once(onnx_model(relu_graph("", image), 7), &plain) == NIB_OK);
  CHECK(import_once(onnx_model(relu_graph("", image), 99), &plain) == NIB_ERROR_UNSUPPORTED);
  /* Unknown fields of newer files are skipped. */
  pb model = onnx_model(relu_graph("", image), 13);
  pb_text(&model, 99, "something new");
  CHECK(import_once(model, &plain) == NIB_OK);
}

static pb hard_swish(int type, int64_t opset) {
  pb g = {0};
  pb_message(&g, 1, onnx_node("HardSwish", "x", "y"));
  pb_message(&g, 11, onnx_value("x", type, 1, vector, ""));
  pb_message(&g, 12, onnx_value("y", type, 1, vector, ""));
  return onnx_model(g, opset);
}

static void test_hard_swish(void) {
  CHECK(import_once(hard_swish(ONNX_FLOAT, 13), &plain) == NIB_ERROR_UNSUPPORTED);
  CHECK(import_once(hard_swish(ONNX_INT32, 14), &plain) == NIB_ERROR_UNSUPPORTED);
  CHECK(import_once(hard_swish(ONNX_HALF, 14), &plain) == NIB_OK);
  pb model = hard_swish(ONNX_FLOAT, 14);
  nib_graph *g = NULL;
  nib_reference *r = NULL;
  CHECK(import_with(&model, &plain, &g) == NIB_OK);
  CHECK(g && g->n_nodes == 1 && g->nodes[0].op == NIB_OP_HARD_SWISH);
  CHECK(nib_reference_create(g, &r, &diag) == NIB_OK);
  static const float x[] = {-4, -1.5f, 1, 3e38f}, y[] = {0, -0.375f, 2.0f / 3, 3e38f};
  CHECK(nib_reference_run(r, (const void *[]){x}, &diag) == NIB_OK);
  const float *got = nib_reference_tensor(r, g->outputs[0]);
  for (int i = 0; i < 4; ++i)
    CHECK(fabsf(got[i] - y[i]) <= 1e-7f * fabsf(y[i]));
  nib_reference_destroy(r);
  nib_graph_destroy(g);
  free(model.bytes);
}

static pb chain(const char *first, const char *second) {
  pb g = {0};
  pb_message(&g, 1, onnx_node(first, "x", "a"));
  pb_message(&g, 1, onnx_node(second, "a", "b"));
  pb_message(&g, 1, onnx_node("Relu", "x", "y"));
  pb_message(&g, 11, onnx_value("x", ONNX_FLOAT, 4, image, ""));
  pb_message(&g, 12, onnx_value("y", ONNX_FLOAT, 4, image, ""));
  pb_message(&g, 12, onnx_value("b", ONNX_FLOAT, 4, image, ""));
  return g;
}

static void test_unsupported(void) {
  CHECK(import_once(onnx_model(chain("Bernoulli", "Loop"), 13), &plain) == NIB_ERROR_UNSUPPORTED);
  CHECK(n_errors == 2 && says("operator 0 'a' (Bernoulli)") && says("operator 1 'b' (Loop)"));
  nib_import_options listing = plain;
  listing.list_only = true;
  CHECK(import_once(onnx_model(chain("Bernoulli", "Loop"), 13), &listing) == NIB_OK);
  CHECK(n_errors == 0 && n_notes == 2);
  pb g = {0}, node = onnx_node("Relu", "x", "y");
  pb_text(&node, 7, "com.example");
  pb_message(&g, 1, node);
  pb_message(&g, 11, onnx_value("x", ONNX_FLOAT, 4, image, ""));
  pb_message(&g, 12, onnx_value("y", ONNX_FLOAT, 4, image, ""));
  CHECK(import_once(onnx_model(g, 13), &plain) == NIB_ERROR_UNSUPPORTED && says("com.example"));
  /* Types by name, also those that Debian's onnx.proto does not have. */
  pb h = {0};
  pb_message(&h, 1, onnx_node("Relu", "x", "y"));
  pb_message(&h, 11, onnx_value("x", 22, 4, image, ""));
  pb_message(&h, 12, onnx_value("y", 22, 4, image, ""));
  CHECK(import_once(onnx_model(h, 21), &plain) == NIB_ERROR_UNSUPPORTED && says("is i4"));
}

static pb two_nodes(const char *in1, const char *out1, const char *in2, const char *out2) {
  pb g = {0};
  pb_message(&g, 1, onnx_node("Relu", in1, out1));
  pb_message(&g, 1, onnx_node("Relu", in2, out2));
  pb_message(&g, 11, onnx_value("x", ONNX_FLOAT, 4, image, ""));
  pb_message(&g, 12, onnx_value("y", ONNX_FLOAT, 4, image, ""));
  return g;
}

static void test_order(void) {
  CHECK(import_once(onnx_model(two_nodes("a", "y", "x", "a"), 13), &plain) == NIB_OK);
  CHECK(import_once(onnx_model(two_nodes("b", "y", "y", "b"), 13), &plain) ==
        NIB_ERROR_INVALID_INPUT);
  CHECK(says("cycle"));
  CHECK(import_once(onnx_model(two_nodes("x", "y", "x", "y"), 13), &plain) ==
        NIB_ERROR_INVALID_INPUT);
  CHECK(says("twice"));
  CHECK(import_once(onnx_model(two_nodes("x", "y", "q", "z"), 13), &plain) ==
        NIB_ERROR_INVALID_INPUT);
  CHECK(says("'q'"));
}

/* x → QuantizeLinear → DequantizeLinear → y */
static pb qdq_model(float scale, int zero_type) {
  pb g = {0};
  const uint8_t zero = 3;
  pb_message(&g, 1, onnx_node("QuantizeLinear", "x s z", "q"));
  pb_message(&g, 1, onnx_node("DequantizeLinear", "q s z", "y"));
  pb_message(&g, 5, onnx_tensor("s", ONNX_FLOAT, 0, NULL, &scale, sizeof scale));
  pb_message(&g, 5, onnx_tensor("z", zero_type, 0, NULL, &zero, sizeof zero));
  pb_message(&g, 11, onnx_value("x", ONNX_FLOAT, 4, image, ""));
  pb_message(&g, 12, onnx_value("y", ONNX_FLOAT, 4, image, ""));
  return onnx_model(g, 13);
}

/* Constant indices beyond the ends, of a constant and of an input. */
static void test_index_range(void) {
  static const int64_t last[] = {-4, 3}, beyond[] = {0, 4}, two[] = {2};
  static const float data[] = {1, 2, 3, 4};
  for (int i = 0; i < 4; ++i) {
    pb g = {0};
    pb_message(&g, 1, onnx_node("Gather", i & 1 ? "x k" : "c k", "p"));
    pb_message(&g, 1, onnx_node("Add", "p p", "q"));
    pb_message(&g, 1, onnx_node("Mul", "q h", "y"));
    pb_message(&g, 5, onnx_tensor("k", ONNX_INT64, 1, two, i & 2 ? beyond : last, sizeof last));
    pb_message(&g, 5, onnx_tensor("c", ONNX_FLOAT, 1, vector, data, sizeof data));
    pb_message(&g, 11, onnx_value("x", ONNX_FLOAT, 1, vector, ""));
    pb_message(&g, 11, onnx_value("h", ONNX_FLOAT, 1, two, ""));
    pb_message(&g, 12, onnx_value("y", ONNX_FLOAT, 1, two, ""));
    const nib_status status = import_once(onnx_model(g, 17), &plain);
    CHECK(i & 2 ? status == NIB_ERROR_INVALID_INPUT && says("(Gather): index 4 is out of range")
                : status == NIB_OK);
  }
}

static void test_quantization(void) {
  pb model = qdq_model(0.5f, ONNX_INT8);
  nib_graph *g = NULL;
  CHECK(import_with(&model, &plain, &g) == NIB_OK);
  CHECK(g && g->n_nodes == 2 && g->nodes[0].op == NIB_OP_QUANTIZE);
  const nib_tensor *q = g ? &g->tensors[g->nodes[0].out] : NULL;
  CHECK(q && q->format == NIB_I8 && q->quantized && q->scale == 0.5 && q->zero_point == 3);
  nib_graph_destroy(g);
  free(model.bytes);
  const float bad[] = {0.0f, -1.0f, NAN, INFINITY};
  for (int i = 0; i < 4; ++i)
    CHECK(import_once(qdq_model(bad[i], ONNX_UINT8), &plain) == NIB_ERROR_INVALID_INPUT);
  CHECK(says("scale"));
  CHECK(import_once(qdq_model(1.0f, ONNX_INT32), &plain) == NIB_ERROR_INVALID_INPUT);
}

/* A convolution whose int8 filter [O=4, I=2, 3, 3] has one scale per output channel. */
static pb qdq_conv_model(void) {
  pb g = {0};
  int8_t w[4 * 2 * 3 * 3], zeros[4] = {0};
  float scales[4] = {0.1f, 0.2f, 0.3f, 0.4f}, s = 0.05f;
  const int8_t z = -7;
  const int64_t filter[] = {4, 2, 3, 3};
  for (int i = 0; i < 72; ++i)
    w[i] = (int8_t)(i - 36);
  pb conv = onnx_node("Conv", "xr wr", "c"),
     dequantize = onnx_node("DequantizeLinear", "w ws wz", "wr");
  pb axis = {0};
  pb_text(&axis, 1, "axis");
  pb_int(&axis, 3, 0);
  pb_int(&axis, 20, 2);
  pb_message(&dequantize, 5, axis);
  pb_message(&g, 1, onnx_node("DequantizeLinear", "x s z", "xr"));
  pb_message(&g, 1, dequantize);
  pb_message(&g, 1, conv);
  pb_message(&g, 1, onnx_node("QuantizeLinear", "c s z", "y"));
  pb_message(&g, 5, onnx_tensor("s", ONNX_FLOAT, 0, NULL, &s, sizeof s));
  pb_message(&g, 5, onnx_tensor("z", ONNX_INT8, 1, one, &z, sizeof z));
  pb_message(&g, 5, onnx_tensor("w", ONNX_INT8, 4, filter, w, sizeof w));
  pb_message(&g, 5, onnx_tensor("ws", ONNX_FLOAT, 1, vector, scales, sizeof scales));
  pb_message(&g, 5, onnx_tensor("wz", ONNX_INT8, 1, vector, zeros, sizeof zeros));
  pb_message(&g, 11, onnx_value("x", ONNX_INT8, 4, image, ""));
  pb_message(&g, 11, onnx_value("s", ONNX_FLOAT, 0, NULL, "")); /* an initializer all the same */
  pb_message(&g, 12, onnx_value("y", ONNX_INT8, 4, image, ""));
  return onnx_model(g, 13);
}

static const nib_node *find_node(const nib_graph *g, nib_op op) {
  for (int32_t i = 0; i < g->n_nodes; ++i)
    if (g->nodes[i].op == op)
      return &g->nodes[i];
  return NULL;
}

static void test_conv(void) {
  pb model = qdq_conv_model();
  nib_graph *g = NULL;
  CHECK(import_with(&model, &plain, &g) == NIB_OK);
  const nib_node *conv = g ? find_node(g, NIB_OP_CONV2D) : NULL;
  CHECK(conv && g->n_inputs == 1);
  if (conv) {
    const nib_tensor *filter = nib_node_input(g, conv, 1);
    const nib_node *dequantize = &g->nodes[filter->producer];
    const nib_tensor *codes = nib_node_input(g, dequantize, 0);
    const int8_t *w = codes->data;
    CHECK(dequantize->op == NIB_OP_DEQUANTIZE && nib_node_int(dequantize, NIB_A_AXIS, -1) == 0);
    CHECK(codes->dims[0] == 4 && codes->dims[1] == 3 && codes->dims[2] == 3 && codes->dims[3] == 2);
    CHECK(w[0] == -36 && w[1] == -36 + 9 && w[2] == -35 && w[18] == -18); /* OIHW to OHWI */
    CHECK(g->tensors[g->inputs[0]].quantized && g->tensors[g->inputs[0]].zero_point == -7);
  }
  nib_graph_destroy(g);
  free(model.bytes);
}

/* Every prefix and every single changed bit: any status, no crash (and no sanitizer report). */
static void test_damage(void) {
  pb model = qdq_conv_model();
  nib_graph *g = NULL;
  const nib_diag silent = {0};
  for (size_t size = 0; size < model.size; ++size) {
    uint8_t *copy = malloc(size + 1); /* exact, so that a read beyond it is caught */
    memcpy(copy, model.bytes, size);
    CHECK(nib_import_onnx(copy, size, &plain, &g, &silent) != NIB_OK || g);
    nib_graph_destroy(g);
    free(copy);
  }
  for (size_t bit = 0; bit < 8 * model.size; ++bit) {
    model.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    CHECK(nib_import_onnx(model.bytes, model.size, &plain, &g, &silent) != NIB_OK || g);
    nib_graph_destroy(g);
    model.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  free(model.bytes);
}

static void test_hostile(void) {
  /* Graphs in attributes in graphs … */
  pb g = {0};
  for (int i = 0; i < 300; ++i) {
    pb attribute = {0}, node = {0}, outer = {0};
    pb_message(&attribute, 6, g);
    pb_message(&node, 5, attribute);
    pb_message(&outer, 1, node);
    g = outer;
  }
  CHECK(import_once(onnx_model(g, 13), &plain) == NIB_ERROR_INVALID_INPUT && says("deep"));
  pb twice = onnx_model(relu_graph("", image), 13);
  pb_message(&twice, 7, relu_graph("", image));
  CHECK(import_once(twice, &plain) == NIB_ERROR_INVALID_INPUT && says("twice"));
  /* A shape that promises more than the file holds, and one whose product overflows. */
  const int64_t large[] = {1 << 20, 1 << 19}, overflow[] = {INT64_MAX, INT64_MAX};
  const float zero = 0;
  pb a = relu_graph("", image), b = relu_graph("", image);
  pb_message(&a, 5, onnx_tensor("w", ONNX_FLOAT, 2, large, &zero, sizeof zero));
  CHECK(import_once(onnx_model(a, 13), &plain) == NIB_ERROR_INVALID_INPUT && says("bytes of data"));
  pb_message(&b, 5, onnx_tensor("w", ONNX_FLOAT, 2, overflow, &zero, sizeof zero));
  CHECK(import_once(onnx_model(b, 13), &plain) == NIB_ERROR_INVALID_INPUT && says("too large"));
  /* Two million empty nodes in four megabytes: more memory than a real file of that size needs. */
  const size_t crowd_bytes = 4000000;
  pb crowd = {malloc(crowd_bytes), crowd_bytes};
  for (size_t i = 0; crowd.bytes && i < crowd_bytes; ++i)
    crowd.bytes[i] = i % 2 ? 0 : 1 << 3 | 2;
  CHECK(import_once(onnx_model(crowd, 13), &plain) == NIB_ERROR_INVALID_INPUT && says("memory"));
}

static pb external_model(const char *location, const char *length) {
  pb g = {0}, t = {0}, where = {0}, size = {0}, offset = {0};
  pb_int(&t, 1, 4);
  pb_int(&t, 2, ONNX_FLOAT);
  pb_text(&t, 8, "w");
  pb_text(&where, 1, "location");
  pb_text(&where, 2, location);
  pb_text(&size, 1, "length");
  pb_text(&size, 2, length);
  pb_text(&offset, 1, "offset");
  pb_text(&offset, 2, "4");
  pb_message(&t, 13, where);
  pb_message(&t, 13, size);
  pb_message(&t, 13, offset);
  pb_int(&t, 14, 1);
  pb_message(&g, 1, onnx_node("Add", "x w", "y"));
  pb_message(&g, 5, t);
  pb_message(&g, 11, onnx_value("x", ONNX_FLOAT, 4, image, ""));
  pb_message(&g, 12, onnx_value("y", ONNX_FLOAT, 4, image, ""));
  return onnx_model(g, 13);
}

static void test_external_data(void) {
  char folder[] = "/tmp/nib_onnx_XXXXXX", path[64], link[64];
  if (!mkdtemp(folder)) {
    printf("skipped external data: no temporary folder\n");
    return;
  }
  snprintf(path, sizeof path, "%s/w.bin", folder);
  snprintf(link, sizeof link, "%s/link", folder);
  const float data[] = {0, 1, 2, 3, 4};
  FILE *f = fopen(path, "wb");
  CHECK(f && fwrite(data, sizeof data, 1, f) == 1 && fclose(f) == 0 && symlink("w.bin", link) == 0);
  nib_import_options options = plain;
  CHECK(import_once(external_model("w.bin", "16"), &options) == NIB_ERROR_INVALID_INPUT);
  options.base_dir = folder;
  pb model = external_model("./w.bin", "16");
  nib_graph *g = NULL;
  CHECK(import_with(&model, &options, &g) == NIB_OK);
  const nib_node *add = g ? find_node(g, NIB_OP_ADD) : NULL;
  const float *w = add ? nib_node_input(g, add, 1)->data : NULL;
  CHECK(w && w[0] == 1 && w[3] == 4);
  nib_graph_destroy(g);
  free(model.bytes);
  CHECK(import_once(external_model("w.bin", "20"), &options) == NIB_ERROR_INVALID_INPUT);
  CHECK(import_once(external_model("missing", "16"), &options) == NIB_ERROR_IO);
  CHECK(import_once(external_model("link", "16"), &options) == NIB_ERROR_INVALID_INPUT);
  CHECK(import_once(external_model("a/../w.bin", "16"), &options) != NIB_OK);
  CHECK(import_once(external_model("../w.bin", "16"), &options) == NIB_ERROR_INVALID_INPUT);
  CHECK(says("may not leave"));
  CHECK(import_once(external_model(path, "16"), &options) == NIB_ERROR_INVALID_INPUT);
  unlink(link);
  unlink(path);
  rmdir(folder);
}

static void test_half(void) {
  const uint16_t halves[] = {0x3c00, 0xc000, 0x0001, 0x7bff}; /* 1, -2, the smallest, the largest */
  pb g = {0}, cast = onnx_node("Cast", "h", "w"), to = {0};
  pb_text(&to, 1, "to");
  pb_int(&to, 3, ONNX_FLOAT);
  pb_message(&cast, 5, to);
  pb_message(&g, 1, cast);
  pb_message(&g, 1, onnx_node("Add", "x w", "y"));
  pb_message(&g, 5, onnx_tensor("h", ONNX_HALF, 1, vector, halves, sizeof halves));
  pb_message(&g, 11, onnx_value("x", ONNX_FLOAT, 4, image, ""));
  pb_message(&g, 12, onnx_value("y", ONNX_FLOAT, 4, image, ""));
  pb model = onnx_model(g, 13);
  nib_graph *graph = NULL;
  CHECK(import_with(&model, &plain, &graph) == NIB_OK);
  const nib_node *add = graph ? find_node(graph, NIB_OP_ADD) : NULL;
  const float *w = add ? nib_node_input(graph, add, 1)->data : NULL;
  CHECK(w && w[0] == 1 && w[1] == -2 && w[2] == 0x1p-24f && w[3] == 65504);
  nib_graph_destroy(graph);
  free(model.bytes);
}

static void test_tensor_file(void) {
  const int8_t codes[] = {1, -2, 3, -4};
  nib_format format;
  int32_t rank;
  int64_t dims[NIB_MAX_RANK];
  void *data;
  size_t bytes;
  pb t = onnx_tensor("t", ONNX_INT8, 1, vector, codes, sizeof codes);
  CHECK(nib_import_onnx_tensor(t.bytes, t.size, &format, &rank, dims, &data, &bytes, &diag) ==
        NIB_OK);
  CHECK(format == NIB_I8 && rank == 1 && dims[0] == 4 && bytes == 4 && !memcmp(data, codes, 4));
  free(data);
  free(t.bytes);
  t = onnx_tensor("t", ONNX_INT32, 1, vector, codes, sizeof codes);
  CHECK(nib_import_onnx_tensor(t.bytes, t.size, &format, &rank, dims, &data, &bytes, &diag) ==
        NIB_ERROR_INVALID_INPUT);
  CHECK(data == NULL);
  free(t.bytes);
}

int main(void) {
  test_dimensions();
  test_versions();
  test_hard_swish();
  test_unsupported();
  test_order();
  test_index_range();
  test_quantization();
  test_conv();
  test_damage();
  test_hostile();
  test_external_data();
  test_half();
  test_tensor_file();
  printf("%d failures\n", failures);
  return failures != 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_import_tflite
#include "../support/tiny_tflite.h"
#include "import/import.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

static int failures;
static char messages[8192];
static int n_errors, n_notes;

static void keep(void *user, nib_severity severity, const char *message) {
  (void)user;
  n_errors += severity == NIB_ERROR;
  n_notes += severity == NIB_NOTE;
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

static nib_status import_bytes(const uint8_t *bytes, size_t size, const nib_import_options *options,
                               nib_graph **out_graph) {
  static const nib_import_options defaults = {.model_name = "tiny", .display_path = "tiny.tflite"};
  messages[0] = '\0';
  n_errors = n_notes = 0;
  return nib_import_tflite(bytes, size, options ? options : &defaults, out_graph, &diag);
}

/* Imports from an exactly sized copy, so that a sanitizer sees any read outside the file. */
static nib_graph *import_model(const tiny_model *m, const nib_import_options *options,
                               nib_status expected) {
  enum { CAPACITY = 1 << 16 };
  uint8_t *bytes = malloc(CAPACITY);
  size_t size = tiny_write(m, bytes, CAPACITY);
  bytes = realloc(bytes, size);
  nib_graph *g = NULL;
  nib_status status = import_bytes(bytes, size, options, &g);
  free(bytes);
  CHECK(status == expected);
  CHECK((status == NIB_OK) == (g != NULL));
  CHECK(status == NIB_OK || n_errors > 0);
  return g;
}

static void expect_failure(const tiny_model *m, nib_status expected, const char *message) {
  nib_graph *g = import_model(m, NULL, expected);
  if (!strstr(messages, message)) {
    printf("expected '%s', got '%s'\n", message, messages);
    ++failures;
  }
  nib_graph_destroy(g);
}

static void expect_invalid(const tiny_model *m, const char *message) {
  expect_failure(m, NIB_ERROR_INVALID_INPUT, message);
}

static void expect_unsupported(const tiny_model *m, const char *message) {
  expect_failure(m, NIB_ERROR_UNSUPPORTED, message);
}

static bool ints_are(const nib_node *n, nib_attr_id id, const int64_t *want, int count) {
  const nib_attr *a = nib_node_attr(n, id);
  return a && a->u.ints.n == count && memcmp(a->u.ints.v, want, (size_t)count * sizeof *want) == 0;
}

static void test_conv_becomes_explicit(void) {
  tiny_model m = tiny_conv_model();
  nib_graph *g = import_model(&m, NULL, NIB_OK);
  if (!g)
    return;
  CHECK(g->n_nodes == 4 && strcmp(g->rounding, "tflite-double") == 0);
  const nib_node *conv = &g->nodes[0];
  CHECK(conv->op == NIB_OP_CONV2D && strcmp(conv->name, "conv") == 0 && conv->source_index == 0);
  CHECK(ints_are(conv, NIB_A_STRIDES, (const int64_t[]){2, 2}, 2));
  CHECK(ints_are(conv, NIB_A_PADS, (const int64_t[]){0, 0, 1, 1}, 4));
  CHECK(strcmp(nib_node_string(conv, NIB_A_ACTIVATION, ""), "relu6") == 0);
  const nib_tensor *in = nib_node_input(g, conv, 0), *filter = nib_node_input(g, conv, 1);
  const nib_tensor *bias = nib_node_input(g, conv, 2), *scales = nib_node_input(g, conv, 3);
  CHECK(in->quantized && in->scale == 0.5 && in->zero_point == 3);
  CHECK(filter->format == NIB_I8 && !filter->quantized && filter->rank == 4);
  CHECK(filter->data_bytes == 36 && memcmp(filter->data, tiny_filter, 36) == 0);
  CHECK(bias->format == NIB_I32 && !bias->quantized && bias->rank == 1 && bias->dims[0] == 2);
  CHECK(scales && scales->format == NIB_F32 && scales->dims[0] == 2 &&
        memcmp(scales->data, (const float[]){0.25f, 0.125f}, 8) == 0);
  nib_graph_destroy(g);
}

static void test_dense_flattens_and_keeps_typed_filter(void) {
  tiny_model m = tiny_conv_model();
  nib_graph *g = import_model(&m, NULL, NIB_OK);
  if (!g)
    return;
  const nib_node *flat = &g->nodes[1], *dense = &g->nodes[2], *softmax = &g->nodes[3];
  CHECK(flat->op == NIB_OP_RESHAPE && g->tensors[flat->out].dims[1] == 8);
  CHECK(g->tensors[flat->out].scale == 0.75 && g->tensors[flat->out].zero_point == -128);
  CHECK(dense->op == NIB_OP_FULLY_CONNECTED && dense->in[0] == flat->out);
  CHECK(nib_node_input(g, dense, 1)->quantized && !nib_node_input(g, dense, 3));
  CHECK(nib_node_input(g, dense, 1)->scale == (double)0.03f);
  CHECK(softmax->op == NIB_OP_SOFTMAX && nib_node_int(softmax, NIB_A_AXIS, -1) == 1);
  CHECK(g->n_outputs == 1 && g->outputs[0] == softmax->out);
  nib_graph_destroy(g);
}

static void test_rounding_can_be_overridden(void) {
  tiny_model m = tiny_conv_model();
  nib_import_options options = {.display_path = "t", .rounding = "tflite-single"};
  nib_graph *g = import_model(&m, &options, NIB_OK);
  CHECK(g && strcmp(g->rounding, "tflite-single") == 0);
  nib_graph_destroy(g);
  options.rounding = "sideways";
  nib_graph_destroy(import_model(&m, &options, NIB_ERROR_INVALID_USAGE));
}

static void test_int16_with_wide_bias_rounds_once(void) {
  static const int64_t bias[2] = {INT64_C(1) << 40, -5};
  tiny_model m = tiny_conv_model();
  m.n_ops = 1;
  m.outputs[0] = 3;
  m.tensors[0].type = m.tensors[3].type = 7;
  m.tensors[0].zero_points[0] = m.tensors[3].zero_points[0] = 0;
  m.tensors[2] = (tiny_tensor){
      .name = "bias", .type = 4, .rank = 1, .dims = {2}, .data = bias, .data_bytes = 16};
  nib_graph *g = import_model(&m, NULL, NIB_OK);
  CHECK(g && strcmp(nib_node_string(&g->nodes[0], NIB_A_ROUNDING, ""), "tflite-int64") == 0);
  CHECK(g && nib_node_input(g, &g->nodes[0], 2)->format == NIB_I64);
  nib_graph_destroy(g);
  m.tensors[0].zero_points[0] = 4;
  expect_unsupported(&m, "zero point 4");
}

static void test_int16_without_bias(void) {
  tiny_model m = tiny_conv_model();
  m.n_ops = 1;
  m.outputs[0] = 3;
  m.tensors[0].type = m.tensors[3].type = 7;
  m.tensors[0].zero_points[0] = m.tensors[3].zero_points[0] = 0;
  m.ops[0].n_in = 2;
  nib_graph *g = import_model(&m, NULL, NIB_OK);
  CHECK(g && strcmp(nib_node_string(&g->nodes[0], NIB_A_ROUNDING, ""), "tflite-int64") == 0);
  nib_graph_destroy(g);
  m.ops[0].options[m.ops[0].n_options++] = (tiny_option){6, 1, 2}; /* quantized_bias_type i32 */
  g = import_model(&m, NULL, NIB_OK);
  CHECK(g && !nib_node_attr(&g->nodes[0], NIB_A_ROUNDING));
  nib_graph_destroy(g);

  /* Depthwise has no such option. The filter becomes [1,3,3,2]. */
  m.tensors[1].dims[0] = 1;
  m.tensors[1].data_bytes = 18;
  m.tensors[1].quantized_dimension = 3;
  m.ops[0].code = 4;
  m.ops[0].tag = 2;
  m.ops[0].n_options = 3;
  g = import_model(&m, NULL, NIB_OK);
  CHECK(g && strcmp(nib_node_string(&g->nodes[0], NIB_A_ROUNDING, ""), "tflite-int64") == 0);
  nib_graph_destroy(g);
}

static void test_an_unsupported_input_type_is_listed(void) {
  tiny_model m = tiny_conv_model();
  m.tensors[0].type = 5; /* STRING */
  expect_unsupported(&m, "tensor 'input' has type STRING");
  nib_import_options options = {.display_path = "t", .list_only = true};
  nib_graph *g = import_model(&m, &options, NIB_OK);
  CHECK(g && g->n_nodes == 3 && n_notes == 2 && n_errors == 0);
  nib_graph_destroy(g);
}

static void test_quantization_is_checked(void) {
  const float bad[] = {0.0f, -1.0f, INFINITY, NAN};
  for (int i = 0; i < 4; ++i) {
    tiny_model m = tiny_conv_model();
    m.tensors[0].scales[0] = bad[i];
    expect_invalid(&m, "it must be positive and finite");
    m = tiny_conv_model();
    m.tensors[1].scales[1] = bad[i];
    expect_invalid(&m, "operator 0 (CONV_2D 'conv'): tensor 'filter' has the scale");
  }
  tiny_model m = tiny_conv_model();
  m.tensors[3].zero_points[0] = 128;
  expect_invalid(&m, "zero point 128, outside i8");
  m = tiny_conv_model();
  m.tensors[1].quantized_dimension = 3;
  expect_invalid(&m, "quantized along dimension 3");
  m = tiny_conv_model();
  m.tensors[1].n_scales = m.tensors[1].n_zero_points = 3;
  m.tensors[1].scales[2] = 1;
  expect_invalid(&m, "3 scales for 2 output channels");
  m = tiny_conv_model();
  m.tensors[1].n_zero_points = 3;
  expect_invalid(&m, "2 scales and 3 zero points");
  m = tiny_conv_model();
  m.tensors[1].zero_points[1] = 1;
  expect_unsupported(&m, "zero point other than 0");
  m = tiny_conv_model();
  m.tensors[0].n_scales = m.tensors[0].n_zero_points = 0;
  expect_invalid(&m, "neither quantized nor bipolar nor float");
}

static void test_shapes_and_data_are_checked(void) {
  tiny_model m = tiny_conv_model();
  m.tensors[0].dims[1] = -4;
  expect_invalid(&m, "negative dimension");
  m = tiny_conv_model();
  for (int i = 0; i < 4; ++i)
    m.tensors[0].dims[i] = 60000;
  expect_invalid(&m, "too many elements");
  m = tiny_conv_model();
  m.tensors[1].data_bytes = 35;
  expect_invalid(&m, "has 35 bytes of data, its shape needs 36");
  m = tiny_conv_model();
  m.tensors[3].dims[1] = 3;
  m.n_ops = 1;
  m.outputs[0] = 3;
  expect_invalid(&m, "the window gives 2");
  m = tiny_conv_model();
  m.tensors[0].dims[0] = 0;
  m.ops[0] = m.ops[1];
  m.ops[0].in[0] = 0;
  expect_invalid(&m, "has no elements");
  m = tiny_conv_model();
  m.tensors[2].dims[0] = 1;
  m.tensors[2].n_scales = m.tensors[2].n_zero_points = 0;
  m.tensors[2].data_bytes = 4;
  expect_invalid(&m, "1 elements for 2 channels");
  m = tiny_conv_model();
  m.ops[0].options[1].value = 0;
  expect_invalid(&m, "each must be positive");
}

static void test_links_are_checked(void) {
  tiny_model m = tiny_conv_model();
  m.ops[0].in[0] = 99;
  expect_invalid(&m, "input 0 is tensor 99");
  m = tiny_conv_model();
  m.ops[2].in[0] = 7;
  expect_invalid(&m, "it reads 'softmax' before any operator has written it");
  m = tiny_conv_model();
  m.ops[1].out[0] = 3;
  expect_invalid(&m, "is written twice");
  m = tiny_conv_model();
  m.ops[0].out[0] = 0;
  expect_invalid(&m, "is written twice");
  m = tiny_conv_model();
  m.outputs[0] = 1;
  expect_invalid(&m, "no operator computes the output");
  m = tiny_conv_model();
  m.ops[0].tag = 9;
  expect_invalid(&m, "options are those of another operator");
  m = tiny_conv_model();
  m.ops[0].n_in = 1;
  expect_invalid(&m, "it has 1 inputs");
}

static void test_everything_unsupported_is_listed_at_once(void) {
  tiny_model m = tiny_conv_model();
  m.ops[0] = (tiny_op){32, 1, 0, {{0}}, 0, {0}, 1, {3}, 1, "MyOp"};
  m.ops[1].version = 99;
  m.ops[2].code = 110; /* RANK */
  expect_unsupported(&m, "operator 0 (MyOp 'conv'): this operator is not supported");
  CHECK(strstr(messages, "operator 1 (FULLY_CONNECTED 'dense'): version 99"));
  CHECK(strstr(messages, "operator 2 (RANK 'softmax')"));
  CHECK(n_errors == 3);

  nib_import_options options = {.display_path = "t", .list_only = true};
  nib_graph *g = import_model(&m, &options, NIB_OK);
  CHECK(n_errors == 0 && n_notes == 3 && g && g->n_nodes == 0 && g->n_outputs == 1);
  nib_graph_destroy(g);
}

static void test_other_unsupported_things(void) {
  tiny_model m = tiny_conv_model();
  m.n_subgraphs = 2;
  expect_unsupported(&m, "2 subgraphs");
  m = tiny_conv_model();
  m.tensors[3].is_variable = 1;
  expect_unsupported(&m, "is a variable");
  m = tiny_conv_model();
  m.tensors[0].type = m.tensors[3].type = 0;
  m.tensors[0].n_scales = m.tensors[0].n_zero_points = 0;
  m.tensors[3].n_scales = m.tensors[3].n_zero_points = 0;
  expect_unsupported(&m, "f32 activations with a bias of type i32");
  m = tiny_conv_model();
  m.ops[0].options[3].value = 4;
  expect_unsupported(&m, "fused activation tanh");
  m = tiny_conv_model();
  m.tensors[7].scales[0] = 0.5f;
  expect_unsupported(&m, "instead of the fixed");
}

/* One operator on an f32 [1,4,4,2]; parameters in constants. */
static tiny_model unary_model(int code, int version, int tag, int rank, const int32_t *dims) {
  tiny_model m = {.tensors = {{"x", 0, 4, {1, 4, 4, 2}, 0, {0}, 0, {0}, 0, NULL, 0, 0},
                              {"y", 0, rank, {0}, 0, {0}, 0, {0}, 0, NULL, 0, 0}},
                  .n_tensors = 2,
                  .ops = {{code, version, tag, {{0}}, 0, {0}, 1, {1}, 1, NULL}},
                  .n_ops = 1,
                  .inputs = {0},
                  .outputs = {1},
                  .n_inputs = 1,
                  .n_outputs = 1};
  memcpy(m.tensors[1].dims, dims, (size_t)rank * sizeof *dims);
  return m;
}

static void add_parameter(tiny_model *m, const int32_t *values, int rows, int columns) {
  m->tensors[m->n_tensors] =
      (tiny_tensor){.name = "p",
                    .type = 2,
                    .rank = columns ? 2 : 1,
                    .dims = {rows, columns},
                    .data = values,
                    .data_bytes = 4u * (unsigned)rows * (unsigned)(columns ? columns : 1)};
  m->ops[0].in[m->ops[0].n_in++] = m->n_tensors++;
}

static void test_hard_swish(void) {
  tiny_model m = unary_model(117, 1, 0, 4, (const int32_t[]){1, 4, 4, 2});
  nib_graph *g = import_model(&m, NULL, NIB_OK);
  CHECK(g && g->n_nodes == 1 && g->nodes[0].op == NIB_OP_HARD_SWISH);
  nib_graph_destroy(g);
  for (int i = 0; i < 2; ++i) {
    m.tensors[i].type = 9;
    m.tensors[i].n_scales = m.tensors[i].n_zero_points = 1;
    m.tensors[i].scales[0] = 1.0f;
  }
  m.tensors[1].scales[0] = 1.0f / 127;
  g = import_model(&m, NULL, NIB_OK);
  CHECK(g && g->n_nodes == 1 && g->tensors[g->outputs[0]].format == NIB_I8);
  nib_graph_destroy(g);
  m.tensors[1].scales[0] = 1.0f / 128;
  expect_unsupported(&m, "less than 1/128 of 1");
  m.tensors[0].type = m.tensors[1].type = 7;
  expect_unsupported(&m, "i16");
}

static void test_parameters_become_attributes(void) {
  static const int32_t pads[8] = {0, 0, 1, 2, 3, 4, 0, 0}, axes[2] = {-2, 1},
                       perm[4] = {0, 3, 1, 2};
  tiny_model m = unary_model(34, 1, 0, 4, (const int32_t[]){1, 7, 11, 2});
  add_parameter(&m, pads, 4, 2);
  nib_graph *g = import_model(&m, NULL, NIB_OK);
  CHECK(g && ints_are(&g->nodes[0], NIB_A_LOW, (const int64_t[]){0, 1, 3, 0}, 4) &&
        ints_are(&g->nodes[0], NIB_A_HIGH, (const int64_t[]){0, 2, 4, 0}, 4));
  nib_graph_destroy(g);
  m.tensors[2].data = NULL;
  expect_unsupported(&m, "its parameter 'p' is not a constant");

  m = unary_model(40, 1, 27, 2, (const int32_t[]){1, 2});
  add_parameter(&m, axes, 2, 0);
  g = import_model(&m, NULL, NIB_OK);
  CHECK(g && ints_are(&g->nodes[0], NIB_A_AXES, (const int64_t[]){1, 2}, 2) &&
        nib_node_int(&g->nodes[0], NIB_A_KEEP_DIMS, -1) == 0);
  nib_graph_destroy(g);

  m = unary_model(39, 1, 0, 4, (const int32_t[]){1, 2, 4, 4});
  add_parameter(&m, perm, 4, 0);
  g = import_model(&m, NULL, NIB_OK);
  CHECK(g && ints_are(&g->nodes[0], NIB_A_PERM, (const int64_t[]){0, 3, 1, 2}, 4));
  nib_graph_destroy(g);
}

static void test_strided_slice_resolves_masks(void) {
  static const int32_t begin[4] = {0, -1, 1, 0}, end[4] = {0, -9, 4, 1}, steps[4] = {1, -2, 2, 1};
  tiny_model m = unary_model(45, 2, 32, 3, (const int32_t[]){1, 2, 2});
  add_parameter(&m, begin, 4, 0);
  add_parameter(&m, end, 4, 0);
  add_parameter(&m, steps, 4, 0);
  m.ops[0].n_options = 2;
  m.ops[0].options[0] = (tiny_option){1, 4, 1}; /* end of dimension 0 is open */
  m.ops[0].options[1] = (tiny_option){4, 4, 8}; /* drop the last */
  nib_graph *g = import_model(&m, NULL, NIB_OK);
  CHECK(g && g->n_nodes == 2 && g->nodes[0].op == NIB_OP_STRIDED_SLICE &&
        g->nodes[1].op == NIB_OP_SQUEEZE);
  CHECK(g && ints_are(&g->nodes[0], NIB_A_BEGIN, (const int64_t[]){0, 3, 1, 0}, 4) &&
        ints_are(&g->nodes[0], NIB_A_STEPS, (const int64_t[]){1, -2, 2, 1}, 4));
  nib_graph_destroy(g);
}

static void test_malformed_files(void) {
  static const uint8_t junk[16] = {0};
  nib_graph *g;
  CHECK(import_bytes(junk, 0, NULL, &g) == NIB_ERROR_INVALID_INPUT && n_errors == 1);
  CHECK(import_bytes(junk, 16, NULL, &g) == NIB_ERROR_INVALID_INPUT && !g);
  CHECK(strstr(messages, "not a TFLite file"));
  enum { CAPACITY = 1 << 16 };
  static uint8_t bytes[CAPACITY];
  tiny_model m = tiny_conv_model();
  size_t size = tiny_write(&m, bytes, CAPACITY);
  for (size_t cut = 0; cut < size; cut += 7) {
    uint8_t *copy = malloc(cut ? cut : 1);
    memcpy(copy, bytes, cut);
    nib_status status = import_bytes(copy, cut, NULL, &g);
    bool only_padding_lost = cut + 64 > size; /* the last two buffers are empty and unused */
    CHECK(only_padding_lost || (status == NIB_ERROR_INVALID_INPUT && !g && n_errors > 0));
    nib_graph_destroy(g);
    free(copy);
  }
}

/* --- the real models, when they are there --- */

static const struct real_model {
  const char *path;
  int n_nodes;
  nib_status status;
  double in_scale; /* as LiteRT's interpreter reports them */
  int64_t in_zero_point;
  double out_scale;
  int64_t out_zero_point;
} real_models[] = {
#include "../support/real_tflite_models.inc"
};

static uint8_t *read_file(const char *folder, const char *path, size_t *out_size) {
  char name[1024];
  snprintf(name, sizeof name, "%s/data/%s", folder, path);
  FILE *f = fopen(name, "rb");
  if (!f)
    return NULL;
  fseek(f, 0, SEEK_END);
  *out_size = (size_t)ftell(f);
  rewind(f);
  uint8_t *bytes = malloc(*out_size);
  if (fread(bytes, 1, *out_size, f) != *out_size)
    *out_size = 0;
  fclose(f);
  return bytes;
}

static void test_real_models(void) {
  const char *shared = getenv("NIB_SHARED");
  int seen = 0;
  for (size_t i = 0; i < sizeof real_models / sizeof *real_models; ++i) {
    const struct real_model *r = &real_models[i];
    size_t size;
    uint8_t *bytes = read_file(shared ? shared : "../shared", r->path, &size);
    if (!bytes)
      continue;
    ++seen;
    nib_graph *g;
    CHECK(import_bytes(bytes, size, NULL, &g) == r->status);
    CHECK((g ? g->n_nodes : 0) == r->n_nodes);
    if (g) {
      const nib_tensor *in = &g->tensors[g->inputs[g->n_inputs - 1]];
      const nib_tensor *out = &g->tensors[g->outputs[0]];
      CHECK(in->scale == r->in_scale && in->zero_point == r->in_zero_point);
      CHECK(out->scale == r->out_scale && out->zero_point == r->out_zero_point);
    }
    nib_graph_destroy(g);
    free(bytes);
  }
  printf("%d of %zu real models read\n", seen, sizeof real_models / sizeof *real_models);
}

int main(void) {
  test_conv_becomes_explicit();
  test_dense_flattens_and_keeps_typed_filter();
  test_rounding_can_be_overridden();
  test_int16_with_wide_bias_rounds_once();
  test_int16_without_bias();
  test_an_unsupported_input_type_is_listed();
  test_quantization_is_checked();
  test_shapes_and_data_are_checked();
  test_links_are_checked();
  test_everything_unsupported_is_listed_at_once();
  test_other_unsupported_things();
  test_hard_swish();
  test_parameters_become_attributes();
  test_strided_slice_resolves_masks();
  test_malformed_files();
  test_real_models();
  return failures != 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_desc
/* Kernel descriptions: what nodes give, round trip through JSON, malformed JSON. */
#include "stage_harness.h"

#include "desc/kernel_desc.h"

static void make_conv(nib_graph *g, int32_t nodes[2]) {
  const int64_t x_dims[] = {1, 8, 8, 3}, y_dims[] = {1, 4, 4, 5}, w_dims[] = {5, 3, 3, 3}, c = 5;
  const float scales[5] = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f};
  const int32_t x = new_quantized(g, "x", NIB_I8, 4, x_dims, 0.5f, 3);
  const int32_t r = new_quantized(g, "r", NIB_I8, 4, y_dims, 0.5f, 3);
  const int32_t y = new_quantized(g, "y", NIB_I8, 4, y_dims, 0.5f, 3);
  const int32_t z = new_quantized(g, "z", NIB_I8, 4, y_dims, 0.5f, 3);
  const int32_t w = random_constant(g, "w", NIB_I8, 4, w_dims);
  const int32_t s = new_constant(g, "s", NIB_F32, 1, &c, scales);
  const int32_t in[] = {x, w, NIB_NONE, s}, add[] = {y, r};
  const int64_t strides[] = {2, 2}, pads[] = {1, 1, 0, 0};
  nodes[0] = new_node(g, NIB_OP_CONV2D, "conv", 4, in, y);
  nib_graph_set_ints(g, nodes[0], NIB_A_STRIDES, strides, 2);
  nib_graph_set_ints(g, nodes[0], NIB_A_PADS, pads, 4);
  nodes[1] = new_node(g, NIB_OP_ADD, "add", 2, add, z);
}

static void check_counts(const nib_kernel_desc *d) {
  CHECK(d->n_ops == 2 && strcmp(d->ops[0], "conv2d") == 0 && strcmp(d->ops[1], "add") == 0,
        "operators");
  CHECK(d->macs == 16 * 5 * 27, "macs %lld", (long long)d->macs);
  CHECK(d->elementwise == 80 + 160, "elementwise %lld", (long long)d->elementwise);
  CHECK(d->input_bytes == 192 + 80, "input bytes %lld", (long long)d->input_bytes);
  CHECK(d->weight_bytes == 135 + 20, "weight bytes %lld", (long long)d->weight_bytes);
  CHECK(d->output_bytes == 80, "output bytes %lld", (long long)d->output_bytes);
  CHECK(d->kernel[0] == 3 && d->strides[1] == 2 && d->pads[0] == 1 && d->pads[2] == 0, "window");
  CHECK(d->n_tensors == 5 && strcmp(d->tensors[4].role, "out") == 0, "tensors %d", d->n_tensors);
}

static void check_same(const nib_kernel_desc *a, const nib_kernel_desc *b) {
  char *x = nib_kernel_desc_to_json(a), *y = nib_kernel_desc_to_json(b);
  CHECK(x != NULL && y != NULL && strcmp(x, y) == 0, "round trip: %s\n%s", x, y);
  free(x);
  free(y);
}

/* Every prefix, and every object that lacks, repeats or adds a field, is refused with a message. */
static void check_malformed(const char *good) {
  static const struct {
    const char *find, *put;
  } k_edits[] = {
      {"\"macs\":", "\"Macs\":"},
      {"\"macs\":2160", "\"macs\":2160.5"},
      {"\"macs\":2160", "\"macs\":-1"},
      {"\"macs\":2160", "\"macs\":1e300"},
      {"\"macs\":2160", "\"macs\":\"1\""},
      {"\"conv2d\"", "\"conv3d\""},
      {"\"i8\"", "\"i24\""},
      {"\"out\"", "\"outer\""},
      {"\"kernel\":[3,3]", "\"kernel\":[3]"},
      {"\"ops\":[", "\"ops\":[7,"},
      {"\"rounding\":\"", "\"rounding\":\"a very long name of a rounding "},
      {"{\"ops\"", "{\"more\":1,\"ops\""},
      {"\"tile\":[0,0,0,0,0]", "\"tile\":[0,0,0,0,3000000000]"},
  };
  nib_kernel_desc d;
  for (size_t n = 0; n < strlen(good); ++n) {
    char *prefix = strndup(good, n);
    message_log log = {0};
    const nib_diag diag = {log_message, &log};
    CHECK(nib_kernel_desc_from_json(prefix, &d, &diag) == NIB_ERROR_INVALID_INPUT &&
              log.errors == 1,
          "prefix of %zu bytes", n);
    free(prefix);
  }
  for (size_t i = 0; i < sizeof k_edits / sizeof k_edits[0]; ++i) {
    const char *at = strstr(good, k_edits[i].find);
    CHECK(at != NULL, "no %s in %s", k_edits[i].find, good);
    if (at == NULL)
      continue;
    char text[8192];
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, k_edits[i].put,
             at + strlen(k_edits[i].find));
    message_log log = {0};
    const nib_diag diag = {log_message, &log};
    CHECK(nib_kernel_desc_from_json(text, &d, &diag) == NIB_ERROR_INVALID_INPUT && log.errors == 1,
          "accepted %s", k_edits[i].put);
  }
}

static const char k_conv_and_add[] =
    "func.func @kernel(%arg0: tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, "
    "%arg1: tensor<5x3x3x3xi8>, %arg2: tensor<5xf32>, "
    "%arg3: tensor<1x4x4x5x!quant.uniform<i8:f32, 5.000000e-01:3>>) -> "
    "tensor<1x4x4x5x!quant.uniform<i8:f32, 5.000000e-01:3>> "
    "attributes {nib.rounding = \"nearest-even\"} {\n"
    "  %0 = nib.conv2d %arg0, %arg1 scales %arg2 strides [2, 2] pads [1, 1, 0, 0] : "
    "(tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, tensor<5x3x3x3xi8>, tensor<5xf32>) "
    "-> tensor<1x4x4x5x!quant.uniform<i8:f32, 5.000000e-01:3>>\n"
    "  %1 = nib.add %0, %arg3 : (tensor<1x4x4x5x!quant.uniform<i8:f32, 5.000000e-01:3>>, "
    "tensor<1x4x4x5x!quant.uniform<i8:f32, 5.000000e-01:3>>) -> "
    "tensor<1x4x4x5x!quant.uniform<i8:f32, 5.000000e-01:3>>\n"
    "  return %1 : tensor<1x4x4x5x!quant.uniform<i8:f32, 5.000000e-01:3>>\n"
    "}\n";

/* Scales as the IR spells them; the last digits are those of its printer. */
static void check_floats(void) {
  static const struct {
    float scale;
    const char *text;
  } k_rows[] = {
      {0.00390625f, "3.906250e-03"},
      {0.0787253975868225f, "0.078725397586822509"},
      {2.5e6f, "2.500000e+06"},
      {0.083858303725719452f, "0.083858303725719451"},
      {3.3e-7f, "3.3000000598804036E-7"},
      {0.0012345679f, "0.0012345679569989443"},
      {1234.5677f, "1234.5677490234375"},
      {12345679.0f, "0x41678C29E0000000"},
      {5.6789e25f, "5.6788997995503637E+25"},
  };
  const int64_t one = 1;
  for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; ++i) {
    nib_graph *g = nib_graph_create("g");
    const int32_t x = new_quantized(g, "x", NIB_I8, 1, &one, k_rows[i].scale, 0);
    const int32_t y = new_tensor(g, "y", NIB_F32, 1, &one);
    const int32_t n = new_node(g, NIB_OP_DEQUANTIZE, "n", 1, &x, y);
    nib_kernel_desc d = {0};
    CHECK(nib_kernel_desc_set_body(&d, g, &n, 1) == NIB_OK, "body");
    char want[128];
    snprintf(want, sizeof want, "!quant.uniform<i8:f32, %s>>", k_rows[i].text);
    CHECK(d.body != NULL && strstr(d.body, want) != NULL, "no %s in %s", want, d.body);
    nib_kernel_desc_free(&d);
    nib_graph_destroy(g);
  }
}

int main(void) {
  nib_graph *g = nib_graph_create("g");
  int32_t nodes[2];
  nib_kernel_desc d, back;
  make_conv(g, nodes);
  CHECK(nib_kernel_desc_from_nodes(g, nodes, 2, &d) == NIB_OK, "from nodes");
  check_counts(&d);
  char *json = nib_kernel_desc_to_json(&d);
  CHECK(strchr(json, '\n') == NULL, "more than one line");
  CHECK(nib_kernel_desc_from_json(json, &back, NULL) == NIB_OK, "from json");
  check_same(&d, &back);
  check_malformed(json);
  free(json);
  strcpy(d.schedule, "direct");
  strcpy(d.vocab, "c99");
  d.tile[2] = 7;
  CHECK(nib_kernel_desc_set_body(&d, g, nodes, 2) == NIB_OK, "set body");
  CHECK(d.body != NULL && strcmp(d.body, k_conv_and_add) == 0, "body:\n%s", d.body);
  check_floats();
  json = nib_kernel_desc_to_json(&d);
  CHECK(nib_kernel_desc_from_json(json, &back, NULL) == NIB_OK, "from json with body");
  check_same(&d, &back);
  CHECK(back.body != NULL && strcmp(back.body, d.body) == 0, "body");
  free(json);
  nib_kernel_desc_free(&back);
  nib_kernel_desc_free(&d);
  CHECK(nib_kernel_desc_from_nodes(g, nodes, 0, &d) == NIB_ERROR_INVALID_USAGE, "no nodes");
  nib_graph_destroy(g);
  return failures != 0;
}

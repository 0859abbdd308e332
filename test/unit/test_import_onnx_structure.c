/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_import_onnx_structure
// ONNX operators that are imported as several: the evaluator's results of the imported graph
// against loops written down here from the standard's definitions.
#include "../support/tiny_onnx.h"
#include "emit_harness.h"
#include "import/import.h"

enum { MAX_ELEMS = 4096 };

static pb attribute_ints(const char *name, int n, const int64_t *values) {
  pb a = {0};
  pb_text(&a, 1, name);
  for (int i = 0; i < n; ++i)
    pb_int(&a, 8, values[i]);
  pb_int(&a, 20, 7);
  return a;
}

static pb attribute_int(const char *name, int64_t value) {
  pb a = {0};
  pb_text(&a, 1, name);
  pb_int(&a, 3, value);
  pb_int(&a, 20, 2);
  return a;
}

/* A graph of one node whose inputs are all tensors of f32, in[i] of rank[i]. */
typedef struct model {
  pb graph;
  int n_inputs;
  float in[4][MAX_ELEMS];
} model;

static void add_input(model *m, const char *name, int rank, const int64_t *dims, uint64_t seed) {
  int64_t n = 1;
  for (int i = 0; i < rank; ++i)
    n *= dims[i];
  CHECK(n <= MAX_ELEMS);
  fill_random(&seed, NIB_F32, m->in[m->n_inputs++], n, 0);
  pb_message(&m->graph, 11, onnx_value(name, ONNX_FLOAT, rank, dims, ""));
}

/* Imports, evaluates, and compares the outputs with `want`. */
static void expect(model *m, int n_outputs, const double *const *want, const int64_t *counts) {
  static const int64_t none[] = {0};
  const nib_import_options options = {.model_name = "m", .display_path = "m.onnx"};
  for (int i = 0; i < n_outputs; ++i)
    pb_message(&m->graph, 12, onnx_value(i ? "z" : "y", i ? ONNX_INT64 : ONNX_FLOAT, 0, none, ""));
  pb file = onnx_model(m->graph, 22);
  nib_graph *g = NULL;
  nib_reference *r = NULL;
  const void *inputs[4] = {m->in[0], m->in[1], m->in[2], m->in[3]};
  CHECK(nib_import_onnx(file.bytes, file.size, &options, &g, &harness_diag) == NIB_OK);
  if (!g)
    printf("%s\n", harness_message);
  CHECK(g && nib_reference_create(g, &r, &harness_diag) == NIB_OK);
  if (r)
    CHECK(nib_reference_run(r, inputs, &harness_diag) == NIB_OK);
  for (int i = 0; r && i < n_outputs; ++i) {
    const nib_tensor *t = &g->tensors[g->outputs[i]];
    CHECK(nib_tensor_elems(t) == counts[i]);
    for (int64_t k = 0; k < counts[i]; ++k)
      CHECK(fabs(nib_format_load_real(t->format, nib_reference_tensor(r, g->outputs[i]), k) -
                 want[i][k]) < 1e-4);
  }
  nib_reference_destroy(r);
  nib_graph_destroy(g);
  free(file.bytes);
}

/* Three dimensions, two groups, strides and dilations that differ, padding at one side. */
static void test_conv_3d(void) {
  static model m;
  static double want[MAX_ELEMS];
  static const int64_t x[] = {2, 4, 5, 6, 7}, w[] = {6, 2, 2, 3, 2}, b[] = {6};
  static const int64_t strides[] = {1, 2, 1}, dilations[] = {2, 1, 3}, pads[] = {1, 0, 0, 0, 1, 2};
  static const int64_t out[] = {4, 3, 6};
  pb node = onnx_node("Conv", "x w b", "y");
  pb_message(&node, 5, attribute_ints("strides", 3, strides));
  pb_message(&node, 5, attribute_ints("dilations", 3, dilations));
  pb_message(&node, 5, attribute_ints("pads", 6, pads));
  pb_message(&node, 5, attribute_int("group", 2));
  pb_message(&m.graph, 1, node);
  add_input(&m, "x", 5, x, 1);
  add_input(&m, "w", 5, w, 2);
  add_input(&m, "b", 1, b, 3);
  int64_t count = 0;
  for (int64_t i = 0; i < 2 * 6 * out[0] * out[1] * out[2]; ++i) {
    const int64_t ox = i % out[2], oy = i / out[2] % out[1], oz = i / out[2] / out[1] % out[0];
    const int64_t c = i / (out[0] * out[1] * out[2]) % 6, n = i / (out[0] * out[1] * out[2] * 6);
    double sum = (double)m.in[2][c];
    for (int64_t k = 0; k < 2 * 2 * 3 * 2; ++k) {
      const int64_t kx = k % 2, ky = k / 2 % 3, kz = k / 6 % 2, ic = k / 12 + c / 3 * 2;
      const int64_t ix = ox * strides[2] + kx * dilations[2] - pads[2];
      const int64_t iy = oy * strides[1] + ky * dilations[1] - pads[1];
      const int64_t iz = oz * strides[0] + kz * dilations[0] - pads[0];
      if (ix >= 0 && ix < 7 && iy >= 0 && iy < 6 && iz >= 0 && iz < 5)
        sum += (double)m.in[0][(((n * 4 + ic) * 5 + iz) * 6 + iy) * 7 + ix] *
               (double)m.in[1][(((c * 2 + k / 12) * 2 + kz) * 3 + ky) * 2 + kx];
    }
    want[count++] = sum;
  }
  const double *all[] = {want};
  expect(&m, 1, all, &count);
}

/* Groups, dilations, strides, padding and output_padding of a transposed convolution. */
static void test_conv_transpose(void) {
  static model m;
  static double want[MAX_ELEMS];
  static const int64_t x[] = {1, 4, 3, 4}, w[] = {4, 3, 2, 3}, strides[] = {2, 3};
  static const int64_t dilations[] = {2, 1}, pads[] = {1, 0, 0, 2}, extra[] = {1, 0};
  pb node = onnx_node("ConvTranspose", "x w", "y");
  pb_message(&node, 5, attribute_ints("strides", 2, strides));
  pb_message(&node, 5, attribute_ints("dilations", 2, dilations));
  pb_message(&node, 5, attribute_ints("pads", 4, pads));
  pb_message(&node, 5, attribute_ints("output_padding", 2, extra));
  pb_message(&node, 5, attribute_int("group", 2));
  pb_message(&m.graph, 1, node);
  add_input(&m, "x", 4, x, 4);
  add_input(&m, "w", 4, w, 5);
  const int64_t h = 2 * 2 + 1 + (2 - 1) * 2 + 1 - 1, width = 3 * 3 + 3 - 2;
  const int64_t count = 6 * h * width;
  for (int64_t i = 0; i < 4 * 3 * 4 * 3 * 2 * 3; ++i) {
    const int64_t kx = i % 3, ky = i / 3 % 2, oc = i / 6 % 3, ix = i / 18 % 4, iy = i / 72 % 3;
    const int64_t ic = i / 216, oy = iy * 2 + ky * 2 - 1, ox = ix * 3 + kx;
    if (oy >= 0 && oy < h && ox >= 0 && ox < width)
      want[((ic / 2 * 3 + oc) * h + oy) * width + ox] +=
          (double)m.in[0][(ic * 3 + iy) * 4 + ix] *
          (double)m.in[1][((ic * 3 + oc) * 2 + ky) * 3 + kx];
  }
  const double *all[] = {want};
  expect(&m, 1, all, &count);
}

/* Maxima of dilated windows and where they are, over padding. */
static void test_max_pool_places(void) {
  static model m;
  static double want[MAX_ELEMS], places[MAX_ELEMS];
  static const int64_t x[] = {2, 3, 6, 5}, kernel[] = {2, 3}, dilations[] = {2, 1};
  static const int64_t strides[] = {1, 2}, pads[] = {1, 1, 0, 1};
  pb node = onnx_node("MaxPool", "x", "y z");
  pb_message(&node, 5, attribute_ints("kernel_shape", 2, kernel));
  pb_message(&node, 5, attribute_ints("dilations", 2, dilations));
  pb_message(&node, 5, attribute_ints("strides", 2, strides));
  pb_message(&node, 5, attribute_ints("pads", 4, pads));
  pb_message(&m.graph, 1, node);
  add_input(&m, "x", 4, x, 6);
  int64_t counts[2] = {0};
  for (int64_t plane = 0; plane < 6; ++plane)
    for (int64_t oy = 0; oy < 5; ++oy)
      for (int64_t ox = 0; ox < 3; ++ox) {
        double best = -INFINITY;
        int64_t at = -1;
        for (int64_t k = 0; k < 6; ++k) {
          const int64_t iy = oy + k / 3 * 2 - 1, ix = ox * 2 + k % 3 - 1;
          if (iy < 0 || iy >= 6 || ix < 0 || ix >= 5)
            continue;
          const int64_t p = (plane * 6 + iy) * 5 + ix;
          if ((double)m.in[0][p] > best) {
            best = (double)m.in[0][p];
            at = p;
          }
        }
        want[counts[0]++] = best;
        places[counts[1]++] = (double)at;
      }
  const double *all[] = {want, places};
  expect(&m, 2, all, counts);
}

/* Layer normalization over two dimensions. */
static void test_layer_norm(void) {
  static model m;
  static double want[MAX_ELEMS];
  static const int64_t x[] = {3, 4, 5}, s[] = {4, 5};
  pb node = onnx_node("LayerNormalization", "x s b", "y");
  pb_message(&node, 5, attribute_int("axis", 1));
  pb_message(&m.graph, 1, node);
  add_input(&m, "x", 3, x, 7);
  add_input(&m, "s", 2, s, 8);
  add_input(&m, "b", 2, s, 9);
  for (int n = 0; n < 3; ++n) {
    double mean = 0, variance = 0;
    for (int i = 0; i < 20; ++i)
      mean += (double)m.in[0][n * 20 + i] / 20;
    for (int i = 0; i < 20; ++i)
      variance += pow((double)m.in[0][n * 20 + i] - mean, 2) / 20;
    for (int i = 0; i < 20; ++i)
      want[n * 20 + i] =
          ((double)m.in[0][n * 20 + i] - mean) / sqrt(variance + 1e-5) * (double)m.in[1][i] +
          (double)m.in[2][i];
  }
  const double *all[] = {want};
  const int64_t count = 60;
  expect(&m, 1, all, &count);
}

int main(void) {
  test_conv_3d();
  test_conv_transpose();
  test_max_pool_places();
  test_layer_norm();
  if (harness_failures)
    printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}

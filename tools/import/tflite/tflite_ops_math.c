/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Elementwise operators, activations, reductions and changes of quantization. */
#include "import/tflite/tflite_context.h"

#include <math.h>
#include <string.h>

#define FLOAT_OR_QUANT                                                                             \
  (UINT64_C(1) << NIB_F32 | UINT64_C(1) << NIB_I8 | UINT64_C(1) << NIB_U8 | UINT64_C(1) << NIB_I16)
#define FLOAT_OR_BYTES (UINT64_C(1) << NIB_F32 | UINT64_C(1) << NIB_I8 | UINT64_C(1) << NIB_U8)
#define QUANT (UINT64_C(1) << NIB_I8 | UINT64_C(1) << NIB_U8 | UINT64_C(1) << NIB_I16)

/* A node of one input and one result, without attributes. */
static nib_status convert_unary(nib_tfl_context *c, nib_op op, int32_t *out_node) {
  nib_tfl_tensor in, out;
  int32_t id, result;
  NIB_RETURN_IF_ERROR(nib_tfl_input(c, 0, &in));
  NIB_RETURN_IF_ERROR(nib_tfl_output(c, &out));
  NIB_RETURN_IF_ERROR(nib_tfl_value(c, &in, &id));
  NIB_RETURN_IF_ERROR(nib_tfl_result(c, &out, &result));
  return nib_tfl_node(c, op, &id, 1, result, out_node);
}

static bool is_power_of_two_scale(const nib_tfl_tensor *t) {
  int exponent;
  return t->scales.count == 1 && frexpf(nib_fb_f32_at(&t->scales, 0), &exponent) == 0.5f;
}

static nib_status convert_binary(nib_tfl_context *c, nib_op op, bool has_pot_option) {
  nib_tfl_tensor lhs, rhs, out;
  const char *activation;
  int32_t id[2], result, node;
  NIB_RETURN_IF_ERROR(nib_tfl_input(c, 0, &lhs));
  NIB_RETURN_IF_ERROR(nib_tfl_input(c, 1, &rhs));
  NIB_RETURN_IF_ERROR(nib_tfl_output(c, &out));
  NIB_RETURN_IF_ERROR(nib_tfl_check_activation(c, TFL_BINARY_ACTIVATION, &activation));
  bool shifts = has_pot_option && lhs.format == NIB_I16 &&
                nib_fb_u8(&c->op_options, TFL_BINARY_POT_SCALE, 1) && is_power_of_two_scale(&lhs) &&
                is_power_of_two_scale(&rhs) && is_power_of_two_scale(&out);
  if (shifts)
    return nib_tfl_unsupported(c, "int16 arithmetic by shifts (pot_scale_int16)");
  NIB_RETURN_IF_ERROR(nib_tfl_value(c, &lhs, &id[0]));
  NIB_RETURN_IF_ERROR(nib_tfl_value(c, &rhs, &id[1]));
  NIB_RETURN_IF_ERROR(nib_tfl_result(c, &out, &result));
  NIB_RETURN_IF_ERROR(nib_tfl_node(c, op, id, 2, result, &node));
  if (strcmp(activation, "none") == 0)
    return NIB_OK;
  return nib_graph_set_string(c->graph, node, NIB_A_ACTIVATION, activation);
}

static nib_status convert_add(nib_tfl_context *c) { return convert_binary(c, NIB_OP_ADD, true); }

static nib_status convert_sub(nib_tfl_context *c) { return convert_binary(c, NIB_OP_SUB, true); }

static nib_status convert_mul(nib_tfl_context *c) { return convert_binary(c, NIB_OP_MUL, false); }

static nib_status convert_div(nib_tfl_context *c) { return convert_binary(c, NIB_OP_DIV, false); }

static nib_status convert_relu(nib_tfl_context *c) {
  int32_t node;
  return convert_unary(c, NIB_OP_RELU, &node);
}

static nib_status convert_clamp(nib_tfl_context *c, double min, double max) {
  int32_t node;
  NIB_RETURN_IF_ERROR(convert_unary(c, NIB_OP_CLAMP, &node));
  NIB_RETURN_IF_ERROR(nib_graph_set_float(c->graph, node, NIB_A_MIN, min));
  return nib_graph_set_float(c->graph, node, NIB_A_MAX, max);
}

static nib_status convert_relu6(nib_tfl_context *c) { return convert_clamp(c, 0, 6); }

static nib_status convert_relu_n1_to_1(nib_tfl_context *c) { return convert_clamp(c, -1, 1); }

static nib_status convert_relu_0_to_1(nib_tfl_context *c) { return convert_clamp(c, 0, 1); }

static nib_status convert_leaky_relu(nib_tfl_context *c) {
  int32_t node;
  float alpha = nib_fb_f32(&c->op_options, TFL_LEAKY_RELU_ALPHA, 0);
  NIB_RETURN_IF_ERROR(nib_tfl_check(c));
  if (!isfinite(alpha))
    return nib_tfl_invalid(c, "alpha is %g", (double)alpha);
  NIB_RETURN_IF_ERROR(convert_unary(c, NIB_OP_LEAKY_RELU, &node));
  return nib_graph_set_float(c->graph, node, NIB_A_ALPHA, (double)alpha);
}

/* The kernels of logistic, tanh and softmax have fixed result scales; the format's own rule. */
typedef struct fixed_result {
  nib_format format;
  float scale;
  int64_t zero_point;
} fixed_result;

static nib_status check_fixed_result(nib_tfl_context *c, const fixed_result *rules, size_t n) {
  nib_tfl_tensor out;
  NIB_RETURN_IF_ERROR(nib_tfl_output(c, &out));
  for (size_t i = 0; i < n; ++i) {
    if (rules[i].format != out.format)
      continue;
    float scale = out.scales.count ? nib_fb_f32_at(&out.scales, 0) : 0;
    int64_t zero = out.zero_points.count ? nib_fb_i64_at(&out.zero_points, 0) : 0;
    if (fabsf(scale - rules[i].scale) > rules[i].scale * 1e-3f || zero != rules[i].zero_point)
      return nib_tfl_unsupported(c,
                                 "its result has scale %g and zero point %lld instead of the "
                                 "fixed %g and %lld",
                                 (double)scale, (long long)zero, (double)rules[i].scale,
                                 (long long)rules[i].zero_point);
  }
  return NIB_OK;
}

static nib_status convert_logistic(nib_tfl_context *c) {
  static const fixed_result rules[] = {
      {NIB_I8, 1.0f / 256, -128}, {NIB_U8, 1.0f / 256, 0}, {NIB_I16, 1.0f / 32768, 0}};
  int32_t node;
  NIB_RETURN_IF_ERROR(check_fixed_result(c, rules, 3));
  return convert_unary(c, NIB_OP_SIGMOID, &node);
}

static nib_status convert_tanh(nib_tfl_context *c) {
  static const fixed_result rules[] = {
      {NIB_I8, 1.0f / 128, 0}, {NIB_U8, 1.0f / 128, 128}, {NIB_I16, 1.0f / 32768, 0}};
  int32_t node;
  NIB_RETURN_IF_ERROR(check_fixed_result(c, rules, 3));
  return convert_unary(c, NIB_OP_TANH, &node);
}

/* Its arithmetic has no place for results in steps below 1/128 of the operand's. */
static nib_status convert_hard_swish(nib_tfl_context *c) {
  nib_tfl_tensor in, out;
  int32_t node;
  NIB_RETURN_IF_ERROR(nib_tfl_input(c, 0, &in));
  NIB_RETURN_IF_ERROR(nib_tfl_output(c, &out));
  if (in.scales.count && out.scales.count) {
    const float from = nib_fb_f32_at(&in.scales, 0), to = nib_fb_f32_at(&out.scales, 0);
    if (from * (1.0f / 128.0f) >= to)
      return nib_tfl_unsupported(c, "scale %g of its result is less than 1/128 of %g", (double)to,
                                 (double)from);
  }
  return convert_unary(c, NIB_OP_HARD_SWISH, &node);
}

static nib_status convert_softmax(nib_tfl_context *c) {
  static const fixed_result rules[] = {
      {NIB_I8, 1.0f / 256, -128}, {NIB_U8, 1.0f / 256, 0}, {NIB_I16, 1.0f / 32768, 0}};
  int32_t node;
  nib_tfl_tensor in;
  float beta = nib_fb_f32(&c->op_options, TFL_SOFTMAX_BETA, 0);
  NIB_RETURN_IF_ERROR(nib_tfl_input(c, 0, &in));
  if (in.rank < 1)
    return nib_tfl_invalid(c, "its input '%s' is a scalar", in.name);
  if (!isfinite(beta) || beta <= 0)
    return nib_tfl_invalid(c, "beta is %g", (double)beta);
  NIB_RETURN_IF_ERROR(check_fixed_result(c, rules, 3));
  NIB_RETURN_IF_ERROR(convert_unary(c, NIB_OP_SOFTMAX, &node));
  NIB_RETURN_IF_ERROR(nib_graph_set_int(c->graph, node, NIB_A_AXIS, in.rank - 1));
  return nib_graph_set_float(c->graph, node, NIB_A_BETA, (double)beta);
}

/* Sorted, distinct, non-negative axes of `in` in place. */
static nib_status normalize_axes(nib_tfl_context *c, int32_t rank, int64_t *axes, int32_t *n) {
  bool reduced[NIB_MAX_RANK] = {false};
  for (int32_t i = 0; i < *n; ++i) {
    int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
    if (axis < 0 || axis >= rank)
      return nib_tfl_invalid(c, "axis %lld of %d dimensions", (long long)axes[i], rank);
    reduced[axis] = true;
  }
  *n = 0;
  for (int32_t i = 0; i < rank; ++i)
    if (reduced[i])
      axes[(*n)++] = i;
  return NIB_OK;
}

static nib_status convert_mean(nib_tfl_context *c) {
  int64_t axes[NIB_MAX_RANK * 2];
  int32_t n, node;
  nib_tfl_tensor in;
  NIB_RETURN_IF_ERROR(nib_tfl_input(c, 0, &in));
  NIB_RETURN_IF_ERROR(nib_tfl_int_list(c, 1, axes, &n));
  NIB_RETURN_IF_ERROR(normalize_axes(c, in.rank, axes, &n));
  uint8_t keep = nib_fb_u8(&c->op_options, TFL_REDUCER_KEEP_DIMS, 0);
  NIB_RETURN_IF_ERROR(nib_tfl_check(c));
  NIB_RETURN_IF_ERROR(convert_unary(c, NIB_OP_MEAN, &node));
  NIB_RETURN_IF_ERROR(nib_graph_set_ints(c->graph, node, NIB_A_AXES, axes, n));
  return nib_graph_set_int(c->graph, node, NIB_A_KEEP_DIMS, keep != 0);
}

/* real -> codes, or codes -> codes of another scale. */
static nib_status convert_quantize(nib_tfl_context *c) {
  nib_tfl_tensor in, out;
  int32_t node;
  NIB_RETURN_IF_ERROR(nib_tfl_input(c, 0, &in));
  NIB_RETURN_IF_ERROR(nib_tfl_output(c, &out));
  if (out.scales.count != 1)
    return nib_tfl_unsupported(c, "its result '%s' has %u scales, not one", out.name,
                               out.scales.count);
  return convert_unary(c, in.format == NIB_F32 ? NIB_OP_QUANTIZE : NIB_OP_REQUANTIZE, &node);
}

static nib_status convert_dequantize(nib_tfl_context *c) {
  int32_t node;
  return convert_unary(c, NIB_OP_DEQUANTIZE, &node);
}

const nib_tfl_op nib_tfl_math_ops[] = {
    {0, "ADD", 1, 5, TFL_ADD_OPTIONS, 2, 2, 0, FLOAT_OR_QUANT, convert_add},
    {6, "DEQUANTIZE", 1, 6, TFL_NO_OPTIONS, 1, 1, 0, QUANT | UINT64_C(1) << NIB_I32,
     convert_dequantize},
    {14, "LOGISTIC", 1, 4, TFL_NO_OPTIONS, 1, 1, 0, FLOAT_OR_QUANT, convert_logistic},
    {18, "MUL", 1, 8, TFL_MUL_OPTIONS, 2, 2, 0, FLOAT_OR_QUANT, convert_mul},
    {19, "RELU", 1, 3, TFL_NO_OPTIONS, 1, 1, 0, FLOAT_OR_QUANT, convert_relu},
    {20, "RELU_N1_TO_1", 1, 3, TFL_NO_OPTIONS, 1, 1, 0, FLOAT_OR_QUANT, convert_relu_n1_to_1},
    {21, "RELU6", 1, 3, TFL_NO_OPTIONS, 1, 1, 0, FLOAT_OR_QUANT, convert_relu6},
    {25, "SOFTMAX", 1, 3, TFL_SOFTMAX_OPTIONS, 1, 1, 0, FLOAT_OR_QUANT, convert_softmax},
    {28, "TANH", 1, 4, TFL_NO_OPTIONS, 1, 1, 0, FLOAT_OR_QUANT, convert_tanh},
    {40, "MEAN", 1, 3, TFL_REDUCER_OPTIONS, 2, 2, 0, FLOAT_OR_QUANT, convert_mean},
    {41, "SUB", 1, 5, TFL_SUB_OPTIONS, 2, 2, 0, FLOAT_OR_QUANT, convert_sub},
    {42, "DIV", 1, 3, TFL_DIV_OPTIONS, 2, 2, 0, UINT64_C(1) << NIB_F32, convert_div},
    {98, "LEAKY_RELU", 1, 2, TFL_LEAKY_RELU_OPTIONS, 1, 1, 0, FLOAT_OR_QUANT, convert_leaky_relu},
    {114, "QUANTIZE", 1, 5, TFL_NO_OPTIONS, 1, 1, 0, FLOAT_OR_QUANT | UINT64_C(1) << NIB_I32,
     convert_quantize},
    {117, "HARD_SWISH", 1, 1, TFL_NO_OPTIONS, 1, 1, 0, FLOAT_OR_BYTES, convert_hard_swish},
    {152, "RELU_0_TO_1", 1, 1, TFL_NO_OPTIONS, 1, 1, 0, FLOAT_OR_QUANT, convert_relu_0_to_1},
};
const size_t nib_tfl_n_math_ops = sizeof nib_tfl_math_ops / sizeof *nib_tfl_math_ops;

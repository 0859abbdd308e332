/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Activations with parameters, as expressions of simpler operators. */
#include "onnx_elementwise.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static nib_status require_real(nib_onnx_node *n) {
  const nib_onnx_value *x = nib_onnx_input(n, 0);
  if (nib_format_get(x->format)->kind == NIB_KIND_FLOAT)
    return NIB_OK;
  return nib_onnx_unsupported(n, "'%.100s' is %s; it is defined for real numbers", x->name,
                              nib_format_get(x->format)->name);
}

/* A finite attribute. */
static nib_status parameter(nib_onnx_node *n, const char *name, float if_absent, double *out) {
  *out = (double)nib_onnx_attr_float(n, name, if_absent);
  return isfinite(*out) ? NIB_OK : nib_onnx_invalid(n, "%s is not finite", name);
}

/* max(0, min(1, alpha x + beta)) */
nib_status nib_onnx_import_hard_sigmoid(nib_onnx_node *n) {
  double alpha, beta;
  NIB_RETURN_IF_ERROR(require_real(n));
  NIB_RETURN_IF_ERROR(parameter(n, "alpha", 0.2f, &alpha));
  NIB_RETURN_IF_ERROR(parameter(n, "beta", 0.5f, &beta));
  const int32_t scaled = nib_onnx_with(n, NIB_OP_MUL, nib_onnx_in(n, 0), alpha);
  const int32_t line = nib_onnx_with(n, NIB_OP_ADD, scaled, beta);
  return nib_onnx_finish(n, nib_onnx_clamped(n, line, 0, 1));
}

/* max(x, 0) + negative(min(x, 0)): the parts on both sides of 0. */
static int32_t positive_part(nib_onnx_node *n, int32_t x) {
  return nib_onnx_unary(n, NIB_OP_RELU, x);
}

static int32_t negative_part(nib_onnx_node *n, int32_t x) {
  return nib_onnx_with(n, NIB_OP_MINIMUM, x, 0);
}

/* Elu: x, or alpha (e^x - 1) below 0. Selu: gamma times that. */
nib_status nib_onnx_import_elu(nib_onnx_node *n) {
  const bool selu = n->proto->op_type[0] == 'S';
  double alpha, gamma = 1;
  NIB_RETURN_IF_ERROR(require_real(n));
  NIB_RETURN_IF_ERROR(parameter(n, "alpha", selu ? 1.67326319217681884765625f : 1.0f, &alpha));
  if (selu)
    NIB_RETURN_IF_ERROR(parameter(n, "gamma", 1.05070102214813232421875f, &gamma));
  const int32_t x = nib_onnx_in(n, 0);
  int32_t below = nib_onnx_unary(n, NIB_OP_EXPM1, negative_part(n, x));
  below = alpha == 1 ? below : nib_onnx_with(n, NIB_OP_MUL, below, alpha);
  int32_t y = nib_onnx_binary(n, NIB_OP_ADD, positive_part(n, x), below);
  y = selu ? nib_onnx_with(n, NIB_OP_MUL, y, gamma) : y;
  return nib_onnx_finish(n, y);
}

/* max(x, 0) + min(0, alpha (e^(x / alpha) - 1)) */
nib_status nib_onnx_import_celu(nib_onnx_node *n) {
  double alpha;
  NIB_RETURN_IF_ERROR(require_real(n));
  NIB_RETURN_IF_ERROR(parameter(n, "alpha", 1.0f, &alpha));
  if (alpha == 0)
    return nib_onnx_invalid(n, "alpha is 0");
  const int32_t x = nib_onnx_in(n, 0);
  int32_t below = alpha > 0 ? negative_part(n, x) : x;
  below = nib_onnx_unary(n, NIB_OP_EXPM1, nib_onnx_with(n, NIB_OP_DIV, below, alpha));
  below = nib_onnx_with(n, NIB_OP_MUL, below, alpha);
  below = alpha > 0 ? below : negative_part(n, below);
  return nib_onnx_finish(n, nib_onnx_binary(n, NIB_OP_ADD, positive_part(n, x), below));
}

nib_status nib_onnx_import_gelu(nib_onnx_node *n) {
  const char *how = nib_onnx_attr_string(n, "approximate", "none");
  NIB_RETURN_IF_ERROR(require_real(n));
  if (strcmp(how, "none") != 0 && strcmp(how, "tanh") != 0)
    return nib_onnx_invalid(n, "its approximation is '%.20s'", how);
  const nib_op op = how[0] == 't' ? NIB_OP_GELU_TANH : NIB_OP_GELU;
  return nib_onnx_finish(n, nib_onnx_unary(n, op, nib_onnx_in(n, 0)));
}

nib_status nib_onnx_import_swish(nib_onnx_node *n) {
  double alpha;
  NIB_RETURN_IF_ERROR(require_real(n));
  NIB_RETURN_IF_ERROR(parameter(n, "alpha", 1.0f, &alpha));
  const int32_t x = nib_onnx_in(n, 0);
  if (alpha == 1)
    return nib_onnx_finish(n, nib_onnx_unary(n, NIB_OP_SILU, x));
  const int32_t gate = nib_onnx_unary(n, NIB_OP_SIGMOID, nib_onnx_with(n, NIB_OP_MUL, x, alpha));
  return nib_onnx_finish(n, nib_onnx_binary(n, NIB_OP_MUL, x, gate));
}

nib_status nib_onnx_import_prelu(nib_onnx_node *n) {
  if (nib_onnx_input(n, 0)->format != nib_onnx_input(n, 1)->format)
    return nib_onnx_invalid(n, "its inputs differ in type");
  const int32_t x = nib_onnx_in(n, 0), slope = x == NIB_NONE ? x : nib_onnx_in(n, 1);
  const int32_t below = nib_onnx_with(n, NIB_OP_LESS, x, 0);
  const int32_t y = nib_onnx_chosen(n, below, nib_onnx_binary(n, NIB_OP_MUL, x, slope), x);
  return nib_onnx_finish(n, y);
}

static int32_t zero_like(nib_onnx_node *n, int32_t x) {
  return x == NIB_NONE ? x : nib_onnx_number(n, nib_onnx_tensor(n, x)->format, 0);
}

nib_status nib_onnx_import_thresholded_relu(nib_onnx_node *n) {
  double alpha;
  NIB_RETURN_IF_ERROR(require_real(n));
  NIB_RETURN_IF_ERROR(parameter(n, "alpha", 1.0f, &alpha));
  const int32_t x = nib_onnx_in(n, 0);
  const int32_t small = nib_onnx_with(n, NIB_OP_LESS_EQUAL, x, alpha);
  return nib_onnx_finish(n, nib_onnx_chosen(n, small, zero_like(n, x), x));
}

/* x + bias below -lambd, x - bias above lambd, else 0. */
nib_status nib_onnx_import_shrink(nib_onnx_node *n) {
  double bias, lambd;
  NIB_RETURN_IF_ERROR(parameter(n, "bias", 0.0f, &bias));
  NIB_RETURN_IF_ERROR(parameter(n, "lambd", 0.5f, &lambd));
  NIB_RETURN_IF_ERROR(require_real(n));
  const int32_t x = nib_onnx_in(n, 0);
  const int32_t low = nib_onnx_with(n, NIB_OP_LESS, x, -lambd);
  const int32_t not_high = nib_onnx_with(n, NIB_OP_LESS_EQUAL, x, lambd);
  const int32_t above = bias == 0 ? x : nib_onnx_with(n, NIB_OP_SUB, x, bias);
  const int32_t below = bias == 0 ? x : nib_onnx_with(n, NIB_OP_ADD, x, bias);
  const int32_t rest = nib_onnx_chosen(n, not_high, zero_like(n, x), above);
  return nib_onnx_finish(n, nib_onnx_chosen(n, low, below, rest));
}

/* ---- along an axis ---- */

/* The axis; before opset 13 the dimensions from it on are one, which *out_flat tells. */
static nib_status softmax_axis(nib_onnx_node *n, int64_t *out_axis, bool *out_flat) {
  const nib_onnx_value *x = nib_onnx_input(n, 0);
  *out_flat = n->ctx->opset < 13;
  *out_axis = nib_onnx_attr_int(n, "axis", *out_flat ? 1 : -1);
  if (x->rank == 0)
    return nib_onnx_unsupported(n, "a scalar");
  if (*out_flat && *out_axis == x->rank)
    return nib_onnx_unsupported(n, "an axis behind the last dimension");
  return nib_onnx_normalize_axes(n, out_axis, 1, x->rank);
}

/* x as the rows along the axis, which is the last dimension of the result. */
static int32_t as_rows(nib_onnx_node *n, int32_t x, int64_t axis, bool flat) {
  if (x == NIB_NONE)
    return x;
  if (!flat)
    return nib_onnx_swapped(n, x, (int32_t)axis, -1);
  int64_t dims[2] = {1, 1};
  for (int32_t i = 0; i < nib_onnx_tensor(n, x)->rank; ++i)
    dims[i >= axis] *= nib_onnx_dim(n, x, i);
  return nib_onnx_reshaped(n, x, 2, dims);
}

static int32_t from_rows(nib_onnx_node *n, int32_t y, const nib_onnx_value *x, int64_t axis,
                         bool flat) {
  if (y == NIB_NONE)
    return y;
  return flat ? nib_onnx_reshaped(n, y, x->rank, x->dims)
              : nib_onnx_swapped(n, y, (int32_t)axis, -1);
}

static int64_t last_axis(const nib_onnx_node *n, int32_t x) {
  return x == NIB_NONE ? 0 : nib_onnx_tensor(n, x)->rank - 1;
}

/* d - log(sum(exp(d))), d the differences to the maximum. */
nib_status nib_onnx_import_log_softmax(nib_onnx_node *n) {
  const nib_onnx_value *v = nib_onnx_input(n, 0);
  int64_t axis;
  bool flat;
  NIB_RETURN_IF_ERROR(require_real(n));
  NIB_RETURN_IF_ERROR(softmax_axis(n, &axis, &flat));
  const int32_t x = as_rows(n, nib_onnx_in(n, 0), axis, flat);
  const int64_t last = last_axis(n, x);
  const int32_t most = nib_onnx_reduced(n, x, "max", &last, 1, true);
  const int32_t d = nib_onnx_binary(n, NIB_OP_SUB, x, most);
  const int32_t sum = nib_onnx_reduced(n, nib_onnx_unary(n, NIB_OP_EXP, d), "add", &last, 1, true);
  const int32_t y = nib_onnx_binary(n, NIB_OP_SUB, d, nib_onnx_unary(n, NIB_OP_LOG, sum));
  return nib_onnx_finish(n, from_rows(n, y, v, axis, flat));
}

/* 1 at the first of the largest elements: where the index equals that of the maximum. */
nib_status nib_onnx_import_hardmax(nib_onnx_node *n) {
  const nib_onnx_value *v = nib_onnx_input(n, 0);
  int64_t axis;
  bool flat;
  NIB_RETURN_IF_ERROR(require_real(n));
  NIB_RETURN_IF_ERROR(softmax_axis(n, &axis, &flat));
  const int32_t x = as_rows(n, nib_onnx_in(n, 0), axis, flat);
  if (x == NIB_NONE)
    return n->ctx->failure;
  const int64_t count = nib_onnx_dim(n, x, -1);
  int64_t *indices = nib_onnx_longs(n, count);
  if (!indices)
    return n->ctx->failure;
  for (int64_t i = 0; i < count; ++i)
    indices[i] = i;
  const int32_t best = nib_onnx_best_index(n, x, (int32_t)last_axis(n, x), true);
  const int32_t hit =
      nib_onnx_binary(n, NIB_OP_EQUAL, nib_onnx_integers(n, 1, &count, indices), best);
  const int32_t y = nib_onnx_casted(n, hit, v->format);
  return nib_onnx_finish(n, from_rows(n, y, v, axis, flat));
}

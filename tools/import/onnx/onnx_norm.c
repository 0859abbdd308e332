/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Normalizations, as means, products and roots. */
#include "onnx_build.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* A vector of `channels` elements, seen so that it broadcasts along dimension 1 of `rank`. */
static int32_t along_channels(nib_onnx_node *n, size_t input, int32_t rank, int64_t channels) {
  nib_onnx_value *v = nib_onnx_input(n, input);
  if (v->rank != 1 || v->dims[0] != channels) {
    nib_onnx_invalid(n, "input %zu is not one number for each of %" PRId64 " channels", input,
                     channels);
    return NIB_NONE;
  }
  int64_t dims[NIB_MAX_RANK] = {channels, 1, 1, 1, 1, 1, 1, 1};
  return nib_onnx_reshaped(n, nib_onnx_materialize(n, v), rank - 1, dims);
}

/* 1 / sqrt(variance + epsilon) */
static int32_t inverse_deviation(nib_onnx_node *n, int32_t variance, double epsilon) {
  return nib_onnx_unary(n, NIB_OP_RSQRT, nib_onnx_with(n, NIB_OP_ADD, variance, epsilon));
}

/* x * scale + bias; either may be NIB_ONNX_ABSENT. */
static int32_t affine(nib_onnx_node *n, int32_t x, int32_t scale, int32_t bias) {
  return nib_onnx_binary(n, NIB_OP_ADD, nib_onnx_binary(n, NIB_OP_MUL, x, scale), bias);
}

/* Differences to the mean over the last `count` dimensions, times their inverse deviation. */
typedef struct normalized {
  int32_t mean, inverse, value;
} normalized;

static normalized normalize_last(nib_onnx_node *n, int32_t x, int32_t count, double epsilon) {
  normalized r;
  r.mean = nib_onnx_mean_last(n, x, count);
  const int32_t centered = nib_onnx_binary(n, NIB_OP_SUB, x, r.mean);
  r.inverse =
      inverse_deviation(n, nib_onnx_mean_last(n, nib_onnx_squared(n, centered), count), epsilon);
  r.value = nib_onnx_binary(n, NIB_OP_MUL, centered, r.inverse);
  return r;
}

/* ---- batches ---- */

/* a * weight + b * (1 - weight) */
static int32_t blend(nib_onnx_node *n, int32_t a, int32_t b, double weight) {
  return nib_onnx_binary(n, NIB_OP_ADD, nib_onnx_with(n, NIB_OP_MUL, a, weight),
                         nib_onnx_with(n, NIB_OP_MUL, b, 1.0 - weight));
}

/* Training mode: by the mean and variance of the batch itself, which the running ones take in. */
static nib_status train_batch_norm(nib_onnx_node *n, nib_onnx_value *x, double epsilon) {
  const double momentum = (double)nib_onnx_attr_float(n, "momentum", 0.9f);
  const int32_t rank = x->rank;
  const int64_t channels = x->dims[1];
  int64_t axes[NIB_MAX_RANK] = {0};
  for (int32_t i = 2; i < rank; ++i)
    axes[i - 1] = i;
  const int32_t in = nib_onnx_materialize(n, x);
  const int32_t mean = nib_onnx_mean(n, in, axes, rank - 1, true);
  const int32_t centered = nib_onnx_binary(n, NIB_OP_SUB, in, mean);
  const int32_t variance = nib_onnx_mean(n, nib_onnx_squared(n, centered), axes, rank - 1, true);
  const int32_t value =
      nib_onnx_binary(n, NIB_OP_MUL, centered, inverse_deviation(n, variance, epsilon));
  NIB_RETURN_IF_ERROR(nib_onnx_finish(n, affine(n, value, along_channels(n, 1, rank, channels),
                                                along_channels(n, 2, rank, channels))));
  const int32_t batch[] = {mean, variance};
  for (size_t i = 0; i < 2; ++i)
    if (nib_onnx_output_is_used(n, i + 1))
      NIB_RETURN_IF_ERROR(nib_onnx_finish_at(
          n, i + 1,
          blend(n, nib_onnx_in(n, i + 3), nib_onnx_reshaped(n, batch[i], 1, &channels), momentum)));
  return NIB_OK;
}

static bool has_constant_parameters(nib_onnx_node *n) {
  for (size_t i = 0; i < 5; ++i) {
    const nib_onnx_value *v = nib_onnx_input(n, i);
    if (v->format != NIB_F32 || (i > 0 && !v->data && !v->codes))
      return false;
  }
  return true;
}

nib_status nib_onnx_import_batch_norm(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  const double epsilon = (double)nib_onnx_attr_float(n, "epsilon", 1e-5f);
  NIB_RETURN_IF_ERROR(nib_onnx_require_reals(n));
  if (x->rank < 2)
    return nib_onnx_invalid(n, "its input has rank %d", x->rank);
  if (!nib_onnx_attr_int(n, "spatial", 1))
    return nib_onnx_unsupported(n, "statistics of each position");
  if (nib_onnx_attr_int(n, "training_mode", 0))
    return train_batch_norm(n, x, epsilon);
  NIB_RETURN_IF_ERROR(nib_onnx_require_outputs_unused(n, 1));
  if (has_constant_parameters(n))
    return nib_onnx_import_constant_batch_norm(n);
  const int32_t rank = x->rank;
  const int64_t channels = x->dims[1];
  const int32_t centered = nib_onnx_binary(n, NIB_OP_SUB, nib_onnx_materialize(n, x),
                                           along_channels(n, 3, rank, channels));
  const int32_t gain =
      nib_onnx_binary(n, NIB_OP_MUL, along_channels(n, 1, rank, channels),
                      inverse_deviation(n, along_channels(n, 4, rank, channels), epsilon));
  return nib_onnx_finish(n, affine(n, centered, gain, along_channels(n, 2, rank, channels)));
}

/* ---- one example ---- */

nib_status nib_onnx_import_instance_norm(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  NIB_RETURN_IF_ERROR(nib_onnx_require_reals(n));
  if (x->rank < 3)
    return nib_onnx_invalid(n, "its input has rank %d", x->rank);
  const int32_t rank = x->rank;
  const int64_t channels = x->dims[1];
  const normalized r = normalize_last(n, nib_onnx_materialize(n, x), rank - 2,
                                      (double)nib_onnx_attr_float(n, "epsilon", 1e-5f));
  return nib_onnx_finish(n, affine(n, r.value, along_channels(n, 1, rank, channels),
                                   along_channels(n, 2, rank, channels)));
}

/* Operator set 18 has a scale for each group, the later ones for each channel. */
static nib_status scale_groups(nib_onnx_node *n, int32_t value, const int64_t *grouped,
                               int32_t rank, const int64_t *dims) {
  if (n->ctx->opset < 21)
    value =
        affine(n, value, along_channels(n, 1, 3, grouped[1]), along_channels(n, 2, 3, grouped[1]));
  value = nib_onnx_reshaped(n, value, rank, dims);
  if (n->ctx->opset < 21)
    return nib_onnx_finish(n, value);
  return nib_onnx_finish(n, affine(n, value, along_channels(n, 1, rank, dims[1]),
                                   along_channels(n, 2, rank, dims[1])));
}

nib_status nib_onnx_import_group_norm(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  const int64_t groups = nib_onnx_attr_int(n, "num_groups", 0);
  NIB_RETURN_IF_ERROR(nib_onnx_require_reals(n));
  if (x->rank < 2 || groups < 1 || x->dims[1] % groups)
    return nib_onnx_invalid(n, "%" PRId64 " groups of channels of an input of rank %d", groups,
                            x->rank);
  int64_t dims[NIB_MAX_RANK];
  const int32_t rank = x->rank;
  memcpy(dims, x->dims, sizeof dims);
  const int64_t grouped[] = {dims[0], groups,
                             nib_onnx_count_elems(dims, rank) / (dims[0] * groups)};
  const normalized r =
      normalize_last(n, nib_onnx_reshaped(n, nib_onnx_materialize(n, x), 3, grouped), 1,
                     (double)nib_onnx_attr_float(n, "epsilon", 1e-5f));
  return scale_groups(n, r.value, grouped, rank, dims);
}

nib_status nib_onnx_import_layer_norm(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  int64_t axis = nib_onnx_attr_int(n, "axis", -1);
  NIB_RETURN_IF_ERROR(nib_onnx_require_reals(n));
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, &axis, 1, x->rank));
  const normalized r = normalize_last(n, nib_onnx_materialize(n, x), x->rank - (int32_t)axis,
                                      (double)nib_onnx_attr_float(n, "epsilon", 1e-5f));
  int32_t y = nib_onnx_binary(n, NIB_OP_MUL, r.value, nib_onnx_in(n, 1));
  if (nib_onnx_input(n, 2))
    y = nib_onnx_binary(n, NIB_OP_ADD, y, nib_onnx_in(n, 2));
  NIB_RETURN_IF_ERROR(nib_onnx_finish_at(n, 1, r.mean));
  NIB_RETURN_IF_ERROR(nib_onnx_finish_at(n, 2, r.inverse));
  return nib_onnx_finish(n, y);
}

nib_status nib_onnx_import_rms_norm(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  int64_t axis = nib_onnx_attr_int(n, "axis", -1);
  NIB_RETURN_IF_ERROR(nib_onnx_require_reals(n));
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, &axis, 1, x->rank));
  const int32_t count = x->rank - (int32_t)axis, in = nib_onnx_materialize(n, x);
  const int32_t inverse =
      inverse_deviation(n, nib_onnx_mean_last(n, nib_onnx_squared(n, in), count),
                        (double)nib_onnx_attr_float(n, "epsilon", 1e-5f));
  return nib_onnx_finish(n,
                         nib_onnx_binary(n, NIB_OP_MUL, nib_onnx_binary(n, NIB_OP_MUL, in, inverse),
                                         nib_onnx_in(n, 1)));
}

/* Deviations are kept off zero by 1e-9. */
nib_status nib_onnx_import_mean_variance_norm(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  int64_t axes[NIB_MAX_RANK] = {0, 2, 3};
  int32_t count = 3;
  NIB_RETURN_IF_ERROR(nib_onnx_require_reals(n));
  const Onnx__AttributeProto *a = nib_onnx_attr(n, "axes");
  if (a && a->n_ints > (size_t)x->rank)
    return nib_onnx_invalid(n, "attribute axes has %zu elements", a->n_ints);
  if (a) {
    count = (int32_t)a->n_ints;
    for (int32_t i = 0; i < count; ++i)
      axes[i] = a->ints[i];
  }
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, axes, count, x->rank));
  const int32_t in = nib_onnx_materialize(n, x);
  const int32_t centered =
      nib_onnx_binary(n, NIB_OP_SUB, in, nib_onnx_mean(n, in, axes, count, true));
  const int32_t deviation = nib_onnx_unary(
      n, NIB_OP_SQRT, nib_onnx_mean(n, nib_onnx_squared(n, centered), axes, count, true));
  return nib_onnx_finish(
      n, nib_onnx_binary(n, NIB_OP_DIV, centered, nib_onnx_with(n, NIB_OP_ADD, deviation, 1e-9)));
}

/* ---- norms ---- */

/* A row of zeros stays one: its norm is taken as the least positive number. */
nib_status nib_onnx_import_lp_norm(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  int64_t axis = nib_onnx_attr_int(n, "axis", -1), p = nib_onnx_attr_int(n, "p", 2);
  NIB_RETURN_IF_ERROR(nib_onnx_require_reals(n));
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, &axis, 1, x->rank));
  if (p != 1 && p != 2)
    return nib_onnx_invalid(n, "p is %" PRId64, p);
  const int32_t in = nib_onnx_materialize(n, x);
  int32_t norm = p == 1 ? nib_onnx_unary(n, NIB_OP_ABS, in) : nib_onnx_squared(n, in);
  norm = nib_onnx_sum(n, norm, &axis, 1, true);
  if (p == 2)
    norm = nib_onnx_unary(n, NIB_OP_SQRT, norm);
  norm = nib_onnx_with(n, NIB_OP_MAXIMUM, norm, (double)FLT_MIN);
  return nib_onnx_finish(n, nib_onnx_binary(n, NIB_OP_DIV, in, norm));
}

/* x / (bias + alpha / size * sum of the squares of `size` channels)^beta */
nib_status nib_onnx_import_lrn(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  const int64_t size = nib_onnx_attr_int(n, "size", 0);
  NIB_RETURN_IF_ERROR(nib_onnx_require_reals(n));
  if (x->rank < 2 || size < 1)
    return nib_onnx_invalid(n, "windows of %" PRId64 " channels of an input of rank %d", size,
                            x->rank);
  if (size > 64)
    return nib_onnx_unsupported(n, "windows of more than 64 channels");
  const double alpha = (double)nib_onnx_attr_float(n, "alpha", 1e-4f);
  const double beta = (double)nib_onnx_attr_float(n, "beta", 0.75f);
  const double bias = (double)nib_onnx_attr_float(n, "bias", 1.0f);
  const int64_t low[NIB_MAX_RANK] = {0, (size - 1) / 2}, high[NIB_MAX_RANK] = {0, size / 2};
  const int64_t channels = x->dims[1];
  const int32_t in = nib_onnx_materialize(n, x);
  const int32_t squares = nib_onnx_padded(n, nib_onnx_squared(n, in), low, high, 0);
  int32_t sum = nib_onnx_part(n, squares, 1, 0, channels, 1);
  for (int64_t i = 1; i < size; ++i)
    sum = nib_onnx_binary(n, NIB_OP_ADD, sum, nib_onnx_part(n, squares, 1, i, channels, 1));
  sum = nib_onnx_with(n, NIB_OP_MUL, sum, alpha / (double)size);
  sum = nib_onnx_with(n, NIB_OP_ADD, sum, bias);
  return nib_onnx_finish(
      n, nib_onnx_binary(n, NIB_OP_MUL, in, nib_onnx_with(n, NIB_OP_POW, sum, -beta)));
}

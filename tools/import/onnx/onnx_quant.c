/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * QuantizeLinear and DequantizeLinear. */
#include "onnx_qlinear.h"
#include "onnx_scaling.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Scale and zero point of a (de)quantization: constants, checked. */
typedef struct quant {
  const nib_onnx_value *scales, *zeros;
  int32_t axis; /* NIB_ONNX_ABSENT: per tensor */
  nib_format format;
} quant;

static int64_t zero_at(const nib_onnx_value *zeros, int64_t i) {
  return zeros ? nib_onnx_integer_at(zeros, i) : 0;
}

static float scale_at(const quant *q, int64_t i) {
  float scale;
  memcpy(&scale, q->scales->data + 4 * (size_t)i, sizeof scale);
  return scale;
}

/* Codes that dequantize takes. */
static bool is_code_format(nib_format format) {
  const nib_format_info *info = nib_format_get(format);
  return (info->kind == NIB_KIND_SIGNED || info->kind == NIB_KIND_UNSIGNED) && info->bits >= 8 &&
         info->bits <= 32 && format != NIB_U32;
}

static nib_status check_scales(nib_onnx_node *n, const quant *q, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    float scale = scale_at(q, i);
    if (!isfinite(scale) || scale <= 0)
      return nib_onnx_invalid(n, "scale %" PRId64 " is %g, not positive and finite", i,
                              (double)scale);
    if (q->format == NIB_I32 && zero_at(q->zeros, i) != 0)
      return nib_onnx_invalid(n, "the zero point of int32 codes is not 0");
  }
  return NIB_OK;
}

/* `codes` is the format of the quantized side; NIB_FORMAT_COUNT: that of the zero point. */
static nib_status read_quant(nib_onnx_node *n, const nib_onnx_value *x, nib_format codes,
                             quant *q) {
  q->scales = nib_onnx_input(n, 1);
  q->zeros = nib_onnx_input(n, 2);
  q->axis = NIB_ONNX_ABSENT;
  if (!q->scales->data || (q->zeros && !q->zeros->data))
    return nib_onnx_unsupported(n, "its scale and zero point are not constants");
  if (q->scales->format != NIB_F32)
    return nib_onnx_unsupported(n, "its scale is %s, only f32 is supported",
                                nib_format_get(q->scales->format)->name);
  if (nib_onnx_attr_int(n, "block_size", 0) != 0)
    return nib_onnx_unsupported(n, "blocked quantization");
  q->format = codes != NIB_FORMAT_COUNT ? codes : q->zeros ? q->zeros->format : NIB_U8;
  if (q->zeros && q->zeros->format != q->format)
    return nib_onnx_invalid(n, "its zero point is %s, its codes are %s",
                            nib_format_get(q->zeros->format)->name,
                            nib_format_get(q->format)->name);
  if (!is_code_format(q->format))
    return nib_onnx_unsupported(n, "codes of type %s", nib_format_get(q->format)->name);
  int64_t count = nib_onnx_count_elems(q->scales->dims, q->scales->rank);
  int64_t zeros = q->zeros ? nib_onnx_count_elems(q->zeros->dims, q->zeros->rank) : count;
  if (count < 1 || zeros != count || q->scales->rank > 1)
    return nib_onnx_invalid(n, "%" PRId64 " scales and %" PRId64 " zero points", count, zeros);
  if (count > 1) {
    int64_t axis = nib_onnx_attr_int(n, "axis", 1);
    NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, &axis, 1, x->rank));
    if (x->dims[axis] != count)
      return nib_onnx_invalid(n, "%" PRId64 " scales for %" PRId64 " slices", count, x->dims[axis]);
    q->axis = (int32_t)axis;
  }
  return check_scales(n, q, count);
}

static void store_code(uint8_t *to, nib_format format, int64_t code) {
  int16_t i16 = (int16_t)code;
  int32_t i32 = (int32_t)code;
  size_t bytes = nib_format_bytes(format);
  if (bytes == 1)
    *to = (uint8_t)code;
  else
    memcpy(to, bytes == 2 ? (const void *)&i16 : (const void *)&i32, bytes);
}

/* Codes of a constant, by the definition: saturate(round half to even(x / scale) + zero point). */
static nib_status quantize_constant(nib_onnx_node *n, const nib_onnx_value *x, const quant *q) {
  int64_t count = nib_onnx_count_elems(x->dims, x->rank), inner = 1;
  size_t code_bytes = nib_format_bytes(q->format);
  uint8_t *codes = nib_onnx_fold_alloc(n, (size_t)count * code_bytes);
  if (!codes)
    return n->ctx->failure;
  for (int32_t i = q->axis + 1; q->axis != NIB_ONNX_ABSENT && i < x->rank; ++i)
    inner *= x->dims[i];
  const nib_format_info *info = nib_format_get(q->format);
  for (int64_t k = 0; k < count; ++k) {
    int64_t at = q->axis == NIB_ONNX_ABSENT ? 0 : k / inner % x->dims[q->axis];
    float real;
    memcpy(&real, x->data + 4 * (size_t)k, sizeof real);
    double code = (double)rintf(real / scale_at(q, at)) + (double)zero_at(q->zeros, at);
    code = code >= (double)info->max  ? (double)info->max
           : code > (double)info->min ? code
                                      : (double)info->min;
    store_code(codes + (size_t)k * code_bytes, q->format, (int64_t)code);
  }
  return nib_onnx_set_constant(n, q->format, x->rank, x->dims, codes);
}

/* Scales that a type can hold: one f32 constant (or, of constants, one for each slice), integer
 * codes of at least 8 bits. */
static bool is_static(nib_onnx_node *n, const nib_onnx_value *x, nib_format codes) {
  const nib_onnx_value *scales = nib_onnx_input(n, 1), *zeros = nib_onnx_input(n, 2);
  const bool one = nib_onnx_count_elems(scales->dims, scales->rank) == 1;
  return scales->data && (!zeros || zeros->data) && scales->format == NIB_F32 && (one || x->data) &&
         scales->rank <= 1 && is_code_format(codes) && nib_onnx_attr_int(n, "block_size", 0) == 0;
}

static nib_status read_type(nib_onnx_node *n, const char *attr, nib_format otherwise,
                            nib_format *out) {
  const int64_t type = nib_onnx_attr_int(n, attr, 0);
  *out =
      type ? type > 0 && type < 128 ? nib_onnx_format((int32_t)type) : NIB_FORMAT_COUNT : otherwise;
  return *out != NIB_FORMAT_COUNT
             ? NIB_OK
             : nib_onnx_unsupported(n, "type %s",
                                    nib_onnx_type_name(type < 128 ? (int32_t)type : -1));
}

nib_status nib_onnx_import_quantize(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  const nib_onnx_value *zeros = nib_onnx_input(n, 2);
  nib_format codes, precision;
  NIB_RETURN_IF_ERROR(read_type(n, "output_dtype", zeros ? zeros->format : NIB_U8, &codes));
  NIB_RETURN_IF_ERROR(nib_onnx_read_precision(n, &precision));
  if (x->format != NIB_F32 || precision != NIB_F32 || !is_static(n, x, codes))
    return nib_onnx_quantize_by_operands(n, codes);
  quant q;
  NIB_RETURN_IF_ERROR(read_quant(n, x, codes, &q));
  if (q.format == NIB_I32)
    return nib_onnx_invalid(n, "it cannot write int32 codes");
  if (x->data)
    return quantize_constant(n, x, &q);
  nib_graph *g = n->ctx->graph;
  int32_t in = nib_onnx_materialize(n, x);
  int32_t node = in == NIB_NONE
                     ? NIB_NONE
                     : nib_onnx_emit(n, NIB_OP_QUANTIZE, &in, 1, NIB_NONE, x->rank, x->dims, "");
  if (node == NIB_NONE)
    return n->ctx->failure;
  int32_t out = g->nodes[node].out;
  g->tensors[out].format = q.format;
  nib_graph_set_quant(g, out, scale_at(&q, 0), zero_at(q.zeros, 0));
  return nib_onnx_set_result(n, out);
}

/* A constant stays one: written, perhaps permuted, where it is used. */
static nib_status defer_constant(nib_onnx_node *n, const nib_onnx_value *x, const quant *q) {
  int32_t id = nib_onnx_find_value(n->ctx, n->proto->output[0]);
  if (id == NIB_ONNX_ABSENT)
    return nib_onnx_invalid(n, "its output has no name");
  nib_onnx_value *v = &n->ctx->values[id];
  v->format = NIB_F32;
  v->rank = x->rank;
  memcpy(v->dims, x->dims, sizeof v->dims);
  v->codes = x;
  v->scales = q->scales;
  v->zeros = q->zeros;
  v->axis = q->axis;
  v->dequantize_index = n->index;
  v->is_known = true;
  return NIB_OK;
}

nib_status nib_onnx_import_dequantize(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  const nib_format scale = nib_onnx_input(n, 1)->format;
  nib_format result;
  NIB_RETURN_IF_ERROR(
      read_type(n, "output_dtype", scale == NIB_F8E8M0FNU ? NIB_F32 : scale, &result));
  if (result != NIB_F32 || !is_static(n, x, x->format))
    return nib_onnx_dequantize_by_operands(n, result);
  quant q;
  NIB_RETURN_IF_ERROR(read_quant(n, x, x->format, &q));
  if (x->data)
    return defer_constant(n, x, &q);
  nib_graph *g = n->ctx->graph;
  int32_t in = nib_onnx_materialize(n, x);
  if (in == NIB_NONE)
    return n->ctx->failure;
  nib_tensor *t = &g->tensors[in];
  if (!t->quantized && t->producer == NIB_NONE && !nib_graph_count_uses(g, in, NULL))
    nib_graph_set_quant(g, in, scale_at(&q, 0), zero_at(q.zeros, 0)); /* its meaning is known */
  in = nib_onnx_typed(n, in, scale_at(&q, 0), zero_at(q.zeros, 0));
  int32_t node = in == NIB_NONE
                     ? NIB_NONE
                     : nib_onnx_emit(n, NIB_OP_DEQUANTIZE, &in, 1, NIB_NONE, x->rank, x->dims, "");
  return node == NIB_NONE ? n->ctx->failure : nib_onnx_set_result(n, g->nodes[node].out);
}

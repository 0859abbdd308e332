/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * QONNX: Quant, BipolarQuant and Trunc. Their results are reals that lie on a grid of integers.
 *
 * A constant becomes codes behind a dequantize. Anything else goes through the reals of the
 * definition (divide, add, clip, round, subtract, multiply; docs/numerics.md), and, where the grid
 * is that of a quantized tensor, through a quantize and a dequantize, which change no value and
 * tell what the format is. Where the quantize alone computes the definition, it stands for it. */
#include "onnx_qonnx.h"
#include "onnx_build.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct quant {
  const nib_onnx_value *x, *scale, *zero;
  int bits;
  bool is_signed, narrow;
  bool bipolar; /* one bit that is -1 or +1 */
  int64_t low, high;
  nib_qonnx_rounding rounding;
} quant;

/* ---- reading ---- */

static void set_range(quant *q) {
  const int64_t half = INT64_C(1) << (q->bits - 1);
  q->bipolar = q->bits == 1 && q->is_signed;
  q->low = q->bipolar ? -1 : q->is_signed ? q->narrow - half : 0;
  q->high = q->bipolar ? 1 : q->is_signed ? half - 1 : 2 * half - 1 - q->narrow;
}

static nib_status read_quant(nib_onnx_node *n, quant *q) {
  q->x = nib_onnx_input(n, 0);
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, q->x));
  NIB_RETURN_IF_ERROR(nib_qonnx_read_operand(n, 1, "scale", q->x, &q->scale));
  NIB_RETURN_IF_ERROR(nib_qonnx_check_scale(n, q->scale, "scale"));
  NIB_RETURN_IF_ERROR(nib_qonnx_read_operand(n, 2, "zero point", q->x, &q->zero));
  NIB_RETURN_IF_ERROR(nib_qonnx_read_bits(n, 3, "bit width", &q->bits));
  NIB_RETURN_IF_ERROR(nib_qonnx_read_rounding(n, "ROUND", &q->rounding));
  q->is_signed = nib_onnx_attr_int(n, "signed", 1) != 0;
  q->narrow = nib_onnx_attr_int(n, "narrow", 0) != 0;
  set_range(q);
  for (int64_t k = 0; q->zero->data && k < nib_onnx_elems(q->zero); ++k) {
    const float zero = nib_qonnx_real_at(q->zero, k);
    if (zero < (float)q->low || zero > (float)q->high)
      return nib_onnx_invalid(n, "its zero point %g is outside [%" PRId64 ", %" PRId64 "]",
                              (double)zero, q->low, q->high);
  }
  return NIB_OK;
}

/* ---- the definition ---- */

static float round_by(nib_qonnx_rounding mode, float x) {
  switch (mode) {
  case NIB_QONNX_CEIL:
    return ceilf(x);
  case NIB_QONNX_FLOOR:
    return floorf(x);
  case NIB_QONNX_UP:
    return copysignf(ceilf(fabsf(x)), x);
  case NIB_QONNX_DOWN:
    return truncf(x);
  case NIB_QONNX_HALF_UP:
    return roundf(x);
  case NIB_QONNX_HALF_DOWN:
    return fabsf(x) - floorf(fabsf(x)) == 0.5f ? truncf(x) : roundf(x);
  default:
    return rintf(x);
  }
}

/* The integer on the grid, before the zero point is subtracted. */
static float integer_of(const quant *q, float x, float scale, float zero) {
  const float y = x / scale + zero;
  if (q->bipolar)
    return y >= 0.0f ? 1.0f : -1.0f;
  return round_by(q->rounding, fminf(fmaxf(y, (float)q->low), (float)q->high));
}

/* ---- formats ---- */

/* The one dimension of x along which v changes, NIB_ONNX_ABSENT if there is none; false: several.
 */
static bool axis_of(const nib_onnx_value *v, const nib_onnx_value *x, int32_t *out_axis) {
  *out_axis = NIB_ONNX_ABSENT;
  if (nib_qonnx_is_uniform(v))
    return true;
  for (int32_t k = 0; k < v->rank; ++k)
    if (v->dims[k] != 1) {
      if (*out_axis != NIB_ONNX_ABSENT)
        return false;
      *out_axis = k + x->rank - v->rank;
    }
  return true;
}

/* The least format that holds the grid, NIB_FORMAT_COUNT if none does. */
static nib_format format_of(const quant *q) {
  char name[16];
  snprintf(name, sizeof name, "%s%d", q->bipolar ? "bipolar" : q->is_signed ? "i" : "ui", q->bits);
  return q->bits <= 16 ? nib_format_find(name) : NIB_FORMAT_COUNT;
}

/* Whether the integers are codes of a tensor with one scale and an integral zero point. */
static bool has_codes(const quant *q) {
  if (format_of(q) == NIB_FORMAT_COUNT || !nib_qonnx_is_uniform(q->zero))
    return false;
  const float zero = nib_qonnx_real_at(q->zero, 0);
  return zero == floorf(zero) && !(q->bipolar && zero != 0);
}

/* ---- constants ---- */

static nib_onnx_value *output_of(nib_onnx_node *n) {
  const int32_t id = nib_onnx_find_value(n->ctx, n->proto->output[0]);
  if (id == NIB_ONNX_ABSENT) {
    nib_onnx_invalid(n, "its output has no name");
    return NULL;
  }
  return &n->ctx->values[id];
}

/* A value that only constants of this file have: no name in the model. */
static nib_onnx_value *new_vector(nib_onnx_node *n, const char *name, nib_format format,
                                  int64_t count, const void *data, size_t bytes) {
  nib_onnx_value *v = nib_graph_alloc(n->ctx->graph, sizeof *v);
  uint8_t *copy = v ? nib_onnx_fold_alloc(n, bytes) : NULL;
  if (!copy)
    return NULL;
  memcpy(copy, data, bytes);
  *v = (nib_onnx_value){.name = name,
                        .format = format,
                        .rank = count > 1,
                        .dims = {count},
                        .data = copy,
                        .bytes = bytes,
                        .tensor = NIB_NONE,
                        .is_known = true,
                        .axis = NIB_ONNX_ABSENT};
  return v;
}

/* Codes behind a dequantize, written where the constant is used. */
static nib_status defer_codes(nib_onnx_node *n, const quant *q, int32_t axis) {
  const nib_format format = format_of(q);
  const int64_t count = nib_onnx_elems(q->x);
  uint8_t *data = nib_onnx_fold_alloc(n, (size_t)count * nib_format_bytes(format));
  if (!data)
    return n->ctx->failure;
  for (int64_t i = 0; i < count; ++i) {
    const float y =
        integer_of(q, nib_qonnx_real_at(q->x, i),
                   nib_qonnx_real_at(q->scale, nib_qonnx_broadcast_at(q->scale, q->x, i)),
                   nib_qonnx_real_at(q->zero, 0));
    nib_format_store_code(format, data, i, q->bipolar ? y > 0 : (int64_t)y);
  }
  const int64_t scales = axis == NIB_ONNX_ABSENT ? 1 : q->x->dims[axis];
  const int32_t zero = (int32_t)nib_qonnx_real_at(q->zero, 0);
  nib_onnx_value *codes = nib_graph_alloc(n->ctx->graph, sizeof *codes);
  const nib_onnx_value *s = new_vector(n, q->scale->name, NIB_F32, scales, q->scale->data,
                                       (size_t)scales * sizeof(float));
  const nib_onnx_value *z = new_vector(n, q->zero->name, NIB_I32, 1, &zero, sizeof zero);
  nib_onnx_value *out = output_of(n);
  if (!codes || !s || !z || !out)
    return n->ctx->failure ? n->ctx->failure : nib_onnx_out_of_memory(n->ctx);
  *codes = *q->x;
  codes->format = format;
  codes->data = data;
  codes->bytes = (size_t)count * nib_format_bytes(format);
  codes->tensor = NIB_NONE;
  out->format = NIB_F32;
  out->rank = q->x->rank;
  memcpy(out->dims, q->x->dims, sizeof out->dims);
  out->codes = codes;
  out->scales = s;
  out->zeros = zero && axis == NIB_ONNX_ABSENT ? z : NULL;
  out->axis = axis;
  out->dequantize_index = n->index;
  out->is_known = true;
  return NIB_OK;
}

static nib_status fold_reals(nib_onnx_node *n, const quant *q) {
  const int64_t count = nib_onnx_elems(q->x);
  uint8_t *data = nib_onnx_fold_alloc(n, (size_t)count * sizeof(float));
  if (!data)
    return n->ctx->failure;
  for (int64_t i = 0; i < count; ++i) {
    const float scale = nib_qonnx_real_at(q->scale, nib_qonnx_broadcast_at(q->scale, q->x, i));
    const float zero = nib_qonnx_real_at(q->zero, nib_qonnx_broadcast_at(q->zero, q->x, i));
    const float y = (integer_of(q, nib_qonnx_real_at(q->x, i), scale, zero) - zero) * scale;
    memcpy(data + (size_t)i * sizeof y, &y, sizeof y);
  }
  return nib_onnx_set_constant(n, NIB_F32, q->x->rank, q->x->dims, data);
}

static nib_status quantize_constant(nib_onnx_node *n, const quant *q) {
  int32_t axis;
  const bool one_axis = axis_of(q->scale, q->x, &axis);
  for (int64_t i = 0; i < nib_onnx_elems(q->x); ++i)
    if (isnan(nib_qonnx_real_at(q->x, i)))
      return nib_onnx_invalid(n, "element %" PRId64 " of its constant input is not a number", i);
  if (one_axis && has_codes(q) && (axis == NIB_ONNX_ABSENT || nib_qonnx_real_at(q->zero, 0) == 0))
    return defer_codes(n, q, axis);
  return fold_reals(n, q);
}

/* ---- activations: steps on reals; each returns a tensor or NIB_NONE ---- */

/* The tensors and nodes of one operator are named by what they do; the last has the plain name. */
typedef struct steps {
  nib_onnx_node *n;
  int32_t rank;
  int64_t dims[NIB_MAX_RANK];
  int32_t t; /* the running value, or NIB_NONE after a failure */
} steps;

static int32_t add_node(steps *s, nib_op op, const int32_t *in, int32_t n_in, const char *suffix) {
  for (int32_t i = 0; i < n_in; ++i)
    if (in[i] == NIB_NONE)
      return NIB_NONE;
  const int32_t node = nib_onnx_emit(s->n, op, in, n_in, NIB_NONE, s->rank, s->dims, suffix);
  if (node != NIB_NONE) /* also of a decode, whose operand is of another format */
    s->n->ctx->graph->tensors[s->n->ctx->graph->nodes[node].out].format = NIB_F32;
  return node;
}

static int32_t result_of(const steps *s, int32_t node) {
  return node == NIB_NONE ? NIB_NONE : s->n->ctx->graph->nodes[node].out;
}

static int32_t unary(steps *s, nib_op op, int32_t x, const char *suffix) {
  return result_of(s, add_node(s, op, &x, 1, suffix));
}

static int32_t binary(steps *s, nib_op op, int32_t a, int32_t b, const char *suffix) {
  const int32_t in[] = {a, b};
  return result_of(s, add_node(s, op, in, 2, suffix));
}

static int32_t scalar(steps *s, const char *name, float value) {
  float *data = (float *)(void *)nib_onnx_fold_alloc(s->n, sizeof value);
  if (!data)
    return NIB_NONE;
  *data = value;
  return nib_onnx_emit_constant(s->n, name, NIB_F32, 0, NULL, data);
}

/* A scale or zero point: a constant of one element where all are the same. */
static int32_t constant(steps *s, const nib_onnx_value *v) {
  if (!v->data)
    return nib_onnx_materialize(s->n, (nib_onnx_value *)(uintptr_t)v);
  if (nib_qonnx_is_uniform(v))
    return scalar(s, v->name, nib_qonnx_real_at(v, 0));
  return nib_onnx_emit_constant(s->n, v->name, NIB_F32, v->rank, v->dims, v->data);
}

static int32_t clamp(steps *s, int32_t x, double low, double high, const char *suffix) {
  const int32_t node = add_node(s, NIB_OP_CLAMP, &x, 1, suffix);
  if (node == NIB_NONE)
    return NIB_NONE;
  nib_graph *g = s->n->ctx->graph;
  if (nib_graph_set_float(g, node, NIB_A_MIN, low) != NIB_OK ||
      nib_graph_set_float(g, node, NIB_A_MAX, high) != NIB_OK) {
    nib_onnx_out_of_memory(s->n->ctx);
    return NIB_NONE;
  }
  return g->nodes[node].out;
}

/* Modes without an operator work on the magnitude; the sign comes back at the end. */
static int32_t round_magnitude(steps *s, nib_qonnx_rounding mode, int32_t x) {
  const int32_t a = unary(s, NIB_OP_ABS, x, "_magnitude");
  int32_t r = unary(s, mode == NIB_QONNX_UP ? NIB_OP_CEIL : NIB_OP_FLOOR, a, "_whole");
  if (mode == NIB_QONNX_HALF_UP || mode == NIB_QONNX_HALF_DOWN) {
    /* The remainder, doubled: both exact, so that ties are ties. */
    const int32_t d = binary(s, NIB_OP_SUB, a, r, "_remainder");
    int32_t up = binary(s, NIB_OP_ADD, d, d, "_doubled");
    if (mode == NIB_QONNX_HALF_UP)
      up = unary(s, NIB_OP_FLOOR, up, "_half");
    else
      up = unary(s, NIB_OP_RELU,
                 binary(s, NIB_OP_SUB, unary(s, NIB_OP_CEIL, up, "_ceil"), scalar(s, "one", 1.0f),
                        "_less"),
                 "_half");
    r = binary(s, NIB_OP_ADD, r, up, "_nearest");
  }
  return binary(s, NIB_OP_MUL, unary(s, NIB_OP_SIGN, x, "_sign"), r, "_rounded");
}

static int32_t round_reals(steps *s, nib_qonnx_rounding mode, int32_t x) {
  switch (mode) {
  case NIB_QONNX_EVEN:
    return unary(s, NIB_OP_ROUND, x, "_rounded");
  case NIB_QONNX_CEIL:
    return unary(s, NIB_OP_CEIL, x, "_rounded");
  case NIB_QONNX_FLOOR:
    return unary(s, NIB_OP_FLOOR, x, "_rounded");
  default:
    return round_magnitude(s, mode, x);
  }
}

/* x / scale + zero */
static int32_t to_grid(steps *s, int32_t x, const nib_onnx_value *scale,
                       const nib_onnx_value *zero) {
  if (!nib_qonnx_all_are(scale, 1.0f))
    x = binary(s, NIB_OP_DIV, x, constant(s, scale), "_scaled");
  if (!nib_qonnx_all_are(zero, 0.0f))
    x = binary(s, NIB_OP_ADD, x, constant(s, zero), "_shifted");
  return x;
}

/* (x - zero) * scale */
static int32_t from_grid(steps *s, int32_t x, const nib_onnx_value *scale,
                         const nib_onnx_value *zero) {
  if (!nib_qonnx_all_are(zero, 0.0f))
    x = binary(s, NIB_OP_SUB, x, constant(s, zero), "_centred");
  if (!nib_qonnx_all_are(scale, 1.0f))
    x = binary(s, NIB_OP_MUL, x, constant(s, scale), "_real");
  return x;
}

/* The codes of x, and the same reals again. */
static int32_t through_codes(steps *s, int32_t x, nib_format format, double scale, int64_t zero) {
  nib_graph *g = s->n->ctx->graph;
  const int32_t node = add_node(s, NIB_OP_QUANTIZE, &x, 1, "_codes");
  if (node == NIB_NONE)
    return NIB_NONE;
  const int32_t codes = g->nodes[node].out;
  g->tensors[codes].format = format;
  if (nib_format_get(format)->kind == NIB_KIND_BIPOLAR) /* numbers without a scale in the type */
    return unary(s, NIB_OP_DEQUANTIZE, codes, "_number");
  nib_graph_set_quant(g, codes, scale, zero);
  if (nib_graph_set_string(g, node, NIB_A_ROUNDING, "nearest-even") != NIB_OK) {
    nib_onnx_out_of_memory(s->n->ctx);
    return NIB_NONE;
  }
  return unary(s, NIB_OP_DEQUANTIZE, codes, "");
}

static steps begin(nib_onnx_node *n, nib_onnx_value *x) {
  steps s = {.n = n, .rank = x->rank};
  memcpy(s.dims, x->dims, sizeof s.dims);
  s.t = nib_onnx_materialize(n, x);
  return s;
}

static nib_status finish(steps *s) {
  return s->t == NIB_NONE ? s->n->ctx->failure : nib_onnx_set_result(s->n, s->t);
}

/* Signs, of x or of the shifted grid; a positive scale changes none. */
static void emit_bipolar(steps *s, const quant *q) {
  if (!nib_qonnx_all_are(q->zero, 0.0f))
    s->t = to_grid(s, s->t, q->scale, q->zero);
  s->t = from_grid(s, through_codes(s, s->t, format_of(q), 1.0, 0), q->scale, q->zero);
}

static void emit_quant(steps *s, const quant *q) {
  const nib_format format = format_of(q);
  const bool coded = has_codes(q) && nib_qonnx_is_uniform(q->scale);
  const double scale = coded ? (double)nib_qonnx_real_at(q->scale, 0) : 1,
               zero = coded ? (double)nib_qonnx_real_at(q->zero, 0) : 0;
  if (coded && q->rounding == NIB_QONNX_EVEN && zero == 0) {
    /* Clamping reals to grid points before the nearest is taken is clamping the integers. */
    const nib_format_info *info = nib_format_get(format);
    if (q->low != info->min || q->high != info->max)
      s->t = clamp(s, s->t, (double)((float)q->low * (float)scale),
                   (double)((float)q->high * (float)scale), "_clipped");
  } else {
    s->t = to_grid(s, s->t, q->scale, q->zero);
    s->t = clamp(s, s->t, (double)q->low, (double)q->high, "_clipped");
    s->t = round_reals(s, q->rounding, s->t);
    s->t = from_grid(s, s->t, q->scale, q->zero);
  }
  if (coded)
    s->t = through_codes(s, s->t, format, scale, (int64_t)zero);
}

static nib_status import_checked(nib_onnx_node *n, const quant *q) {
  if (q->x->data && q->scale->data && q->zero->data)
    return quantize_constant(n, q);
  steps s = begin(n, nib_onnx_input(n, 0));
  if (q->bipolar)
    emit_bipolar(&s, q);
  else
    emit_quant(&s, q);
  return finish(&s);
}

nib_status nib_onnx_import_qonnx_quant(nib_onnx_node *n) {
  quant q = {0};
  NIB_RETURN_IF_ERROR(read_quant(n, &q));
  return import_checked(n, &q);
}

nib_status nib_onnx_import_qonnx_bipolar(nib_onnx_node *n) {
  static const uint8_t nothing[sizeof(float)];
  nib_onnx_value zero = {
      .name = "zero", .format = NIB_F32, .data = nothing, .bytes = sizeof nothing};
  quant q = {.x = nib_onnx_input(n, 0), .zero = &zero, .bits = 1, .is_signed = true};
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, q.x));
  NIB_RETURN_IF_ERROR(nib_qonnx_read_scale(n, 1, "scale", q.x, &q.scale));
  set_range(&q);
  return import_checked(n, &q);
}

/* ---- Trunc: the low bits of an integer fall away ---- */

/* Inputs of the first version: x, scale, zero point, bits in, bits out. Of the second: x, scale,
 * zero point, bits in, scale out, bits out; its result is clipped. */
typedef struct truncation {
  quant q; /* bits, range and rounding of the result */
  const nib_onnx_value *out_scale;
  float step; /* of the result in steps of the input; a power of two */
} truncation;

static nib_status read_second(nib_onnx_node *n, truncation *t) {
  quant *q = &t->q;
  NIB_RETURN_IF_ERROR(nib_qonnx_read_scale(n, 4, "output scale", q->x, &t->out_scale));
  if (!nib_qonnx_is_uniform(t->out_scale) || !nib_qonnx_is_uniform(q->scale))
    return nib_onnx_unsupported(n, "a scale for each channel");
  t->step =
      exp2f(rintf(log2f(nib_qonnx_real_at(t->out_scale, 0) / nib_qonnx_real_at(q->scale, 0))));
  q->is_signed = nib_onnx_attr_int(n, "signed", 1) != 0;
  q->narrow = nib_onnx_attr_int(n, "narrow", 0) != 0;
  set_range(q);
  q->low = q->bipolar ? -1 : q->low; /* here one bit is not bipolar: [-1, 0] */
  q->high = q->bipolar ? 0 : q->high;
  return NIB_OK;
}

static nib_status read_trunc(nib_onnx_node *n, truncation *t) {
  quant *q = &t->q;
  const bool second = n->proto->n_input > 5;
  int in_bits;
  q->x = nib_onnx_input(n, 0);
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, q->x));
  NIB_RETURN_IF_ERROR(nib_qonnx_read_scale(n, 1, "scale", q->x, &q->scale));
  NIB_RETURN_IF_ERROR(nib_qonnx_read_constant(n, 2, "zero point", q->x, &q->zero));
  NIB_RETURN_IF_ERROR(nib_qonnx_read_bits(n, 3, "input bit width", &in_bits));
  NIB_RETURN_IF_ERROR(nib_qonnx_read_bits(n, second ? 5 : 4, "output bit width", &q->bits));
  NIB_RETURN_IF_ERROR(nib_qonnx_read_rounding(n, "FLOOR", &q->rounding));
  if (second)
    return read_second(n, t);
  if (in_bits < q->bits)
    return nib_onnx_invalid(n, "it makes %d bits of %d", q->bits, in_bits);
  t->step = ldexpf(1.0f, in_bits - q->bits);
  return NIB_OK;
}

/* The zero points of the result, (zero point of the input) / step. */
static int32_t stepped_zero(steps *s, const nib_onnx_value *zero, float step) {
  const int32_t z = constant(s, zero);
  return step == 1.0f ? z : nib_onnx_with(s->n, NIB_OP_DIV, z, (double)step);
}

nib_status nib_onnx_import_qonnx_trunc(nib_onnx_node *n) {
  truncation t = {0};
  const quant *q = &t.q;
  NIB_RETURN_IF_ERROR(read_trunc(n, &t));
  steps s = begin(n, nib_onnx_input(n, 0));
  s.t = unary(&s, NIB_OP_ROUND, to_grid(&s, s.t, q->scale, q->zero), "_integer");
  if (t.step != 1.0f)
    s.t = binary(&s, NIB_OP_DIV, s.t, scalar(&s, "step", t.step), "_shifted_right");
  if (t.out_scale)
    s.t = clamp(&s, s.t, (double)q->low, (double)q->high, "_clipped");
  s.t = round_reals(&s, q->rounding, s.t);
  if (!nib_qonnx_all_are(q->zero, 0.0f))
    s.t = binary(&s, NIB_OP_SUB, s.t, stepped_zero(&s, q->zero, t.out_scale ? t.step : 1.0f),
                 "_centred");
  const nib_onnx_value *scale = t.out_scale ? t.out_scale : q->scale;
  if (!nib_qonnx_all_are(scale, 1.0f))
    s.t = binary(&s, NIB_OP_MUL, s.t, constant(&s, scale), "_real");
  return finish(&s);
}

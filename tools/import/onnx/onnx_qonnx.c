/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * QONNX: Quant, BipolarQuant, Trunc and FloatQuant. Their results are reals that lie on a grid of
 * integers.
 *
 * A constant becomes codes behind a dequantize. Anything else goes through the reals of the
 * definition (divide, add, clip, round, subtract, multiply; docs/numerics.md), and, where the grid
 * is that of a quantized tensor, through a quantize and a dequantize, which change no value and
 * tell what the format is. Where the quantize alone computes the definition, it stands for it. */
#include "onnx_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_BITS 32

typedef enum round_mode {
  ROUND_EVEN,
  ROUND_CEIL,
  ROUND_FLOOR,
  ROUND_UP,   /* away from zero */
  ROUND_DOWN, /* towards zero */
  ROUND_HALF_UP,
  ROUND_HALF_DOWN,
  ROUND_UNKNOWN
} round_mode;

typedef struct quant {
  const nib_onnx_value *x, *scale, *zero;
  int bits;
  bool is_signed, narrow;
  bool bipolar; /* one bit that is -1 or +1 */
  int64_t low, high;
  round_mode rounding;
} quant;

/* ---- reading ---- */

static round_mode find_rounding(const char *name) {
  static const struct {
    const char *name;
    round_mode mode;
  } rows[] = {
      {"ROUND", ROUND_EVEN},         {"HALF_EVEN", ROUND_EVEN},  {"CEIL", ROUND_CEIL},
      {"FLOOR", ROUND_FLOOR},        {"UP", ROUND_UP},           {"DOWN", ROUND_DOWN},
      {"ROUND_TO_ZERO", ROUND_DOWN}, {"HALF_UP", ROUND_HALF_UP}, {"HALF_DOWN", ROUND_HALF_DOWN},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    size_t k = 0;
    while (name[k] && (name[k] == rows[i].name[k] ||
                       (name[k] >= 'a' && name[k] <= 'z' && name[k] - 32 == rows[i].name[k])))
      ++k;
    if (!name[k] && !rows[i].name[k])
      return rows[i].mode;
  }
  return ROUND_UNKNOWN;
}

static nib_status read_rounding(nib_onnx_node *n, const char *if_absent, round_mode *out) {
  const char *name = nib_onnx_attr_string(n, "rounding_mode", if_absent);
  *out = find_rounding(name);
  return *out == ROUND_UNKNOWN ? nib_onnx_invalid(n, "unknown rounding mode '%.40s'", name)
                               : NIB_OK;
}

static float real_at(const nib_onnx_value *v, int64_t i) {
  float value;
  memcpy(&value, v->data + (size_t)i * sizeof value, sizeof value);
  return value;
}

static int64_t count_of(const nib_onnx_value *v) { return nib_onnx_count_elems(v->dims, v->rank); }

/* A constant of finite f32 that broadcasts to x. */
static nib_status read_constant(nib_onnx_node *n, size_t i, const char *what,
                                const nib_onnx_value *x, const nib_onnx_value **out) {
  const nib_onnx_value *v = nib_onnx_input(n, i);
  *out = v;
  if (!v || !v->data)
    return nib_onnx_unsupported(n, "its %s is not a constant", what);
  if (v->format != NIB_F32)
    return nib_onnx_unsupported(n, "its %s is %s, only f32 is supported", what,
                                nib_format_get(v->format)->name);
  int64_t dims[NIB_MAX_RANK];
  int32_t rank;
  NIB_RETURN_IF_ERROR(nib_onnx_broadcast(n, x, v, &rank, dims));
  if (rank != x->rank || (rank && memcmp(dims, x->dims, (size_t)rank * sizeof *dims)))
    return nib_onnx_invalid(n, "its %s has another shape than its input", what);
  for (int64_t k = 0; k < count_of(v); ++k)
    if (!isfinite(real_at(v, k)))
      return nib_onnx_invalid(n, "its %s is %g, not finite", what, (double)real_at(v, k));
  return NIB_OK;
}

static nib_status read_scale(nib_onnx_node *n, size_t i, const char *what, const nib_onnx_value *x,
                             const nib_onnx_value **out) {
  NIB_RETURN_IF_ERROR(read_constant(n, i, what, x, out));
  for (int64_t k = 0; k < count_of(*out); ++k)
    if (real_at(*out, k) <= 0)
      return nib_onnx_invalid(n, "its %s is %g, not positive", what, (double)real_at(*out, k));
  return NIB_OK;
}

/* A positive number of bits, of whatever type. */
static nib_status read_bits(nib_onnx_node *n, size_t i, const char *what, int *out) {
  const nib_onnx_value *v = nib_onnx_input(n, i);
  if (!v || !v->data)
    return nib_onnx_unsupported(n, "its %s is not a constant", what);
  if (count_of(v) != 1)
    return nib_onnx_unsupported(n, "its %s has %" PRId64 " elements", what, count_of(v));
  const double bits =
      v->format == NIB_F32 ? (double)real_at(v, 0) : (double)nib_onnx_integer_at(v, 0);
  if (!(bits >= 1) || bits != floor(bits))
    return nib_onnx_invalid(n, "its %s is %g, not a positive integer", what, bits);
  if (bits > MAX_BITS)
    return nib_onnx_unsupported(n, "its %s is %g, above %d", what, bits, MAX_BITS);
  *out = (int)bits;
  return NIB_OK;
}

static void set_range(quant *q) {
  const int64_t half = INT64_C(1) << (q->bits - 1);
  q->bipolar = q->bits == 1 && q->is_signed;
  q->low = q->bipolar ? -1 : q->is_signed ? q->narrow - half : 0;
  q->high = q->bipolar ? 1 : q->is_signed ? half - 1 : 2 * half - 1 - q->narrow;
}

static nib_status read_quant(nib_onnx_node *n, quant *q) {
  q->x = nib_onnx_input(n, 0);
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, q->x));
  NIB_RETURN_IF_ERROR(read_scale(n, 1, "scale", q->x, &q->scale));
  NIB_RETURN_IF_ERROR(read_constant(n, 2, "zero point", q->x, &q->zero));
  NIB_RETURN_IF_ERROR(read_bits(n, 3, "bit width", &q->bits));
  NIB_RETURN_IF_ERROR(read_rounding(n, "ROUND", &q->rounding));
  q->is_signed = nib_onnx_attr_int(n, "signed", 1) != 0;
  q->narrow = nib_onnx_attr_int(n, "narrow", 0) != 0;
  set_range(q);
  for (int64_t k = 0; k < count_of(q->zero); ++k) {
    const float zero = real_at(q->zero, k);
    if (zero < (float)q->low || zero > (float)q->high)
      return nib_onnx_invalid(n, "its zero point %g is outside [%" PRId64 ", %" PRId64 "]",
                              (double)zero, q->low, q->high);
  }
  return NIB_OK;
}

/* ---- the definition ---- */

static float round_by(round_mode mode, float x) {
  switch (mode) {
  case ROUND_CEIL:
    return ceilf(x);
  case ROUND_FLOOR:
    return floorf(x);
  case ROUND_UP:
    return copysignf(ceilf(fabsf(x)), x);
  case ROUND_DOWN:
    return truncf(x);
  case ROUND_HALF_UP:
    return roundf(x);
  case ROUND_HALF_DOWN:
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

/* Index into `v`, which broadcasts to x, of flat element `i` of x. */
static int64_t broadcast_at(const nib_onnx_value *v, const nib_onnx_value *x, int64_t i) {
  int64_t at = 0, stride = 1;
  for (int32_t r = x->rank - 1, k = v->rank - 1; k >= 0; --r, --k) {
    if (v->dims[k] != 1)
      at += i % x->dims[r] * stride;
    stride *= v->dims[k];
    i /= x->dims[r];
  }
  return at;
}

/* ---- formats ---- */

static bool all_are(const nib_onnx_value *v, float value) {
  for (int64_t k = 0; k < count_of(v); ++k)
    if (real_at(v, k) != value)
      return false;
  return true;
}

static bool is_uniform(const nib_onnx_value *v) { return all_are(v, real_at(v, 0)); }

/* The one dimension of x along which v changes, NIB_ONNX_ABSENT if there is none; false: several.
 */
static bool axis_of(const nib_onnx_value *v, const nib_onnx_value *x, int32_t *out_axis) {
  *out_axis = NIB_ONNX_ABSENT;
  if (is_uniform(v))
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
  const float zero = real_at(q->zero, 0);
  return format_of(q) != NIB_FORMAT_COUNT && is_uniform(q->zero) && zero == floorf(zero) &&
         !(q->bipolar && zero != 0);
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
  const int64_t count = count_of(q->x);
  uint8_t *data = nib_onnx_fold_alloc(n, (size_t)count * nib_format_bytes(format));
  if (!data)
    return n->ctx->failure;
  for (int64_t i = 0; i < count; ++i) {
    const float y =
        integer_of(q, real_at(q->x, i), real_at(q->scale, broadcast_at(q->scale, q->x, i)),
                   real_at(q->zero, 0));
    nib_format_store_code(format, data, i, q->bipolar ? y > 0 : (int64_t)y);
  }
  const int64_t scales = axis == NIB_ONNX_ABSENT ? 1 : q->x->dims[axis];
  const int32_t zero = (int32_t)real_at(q->zero, 0);
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
  const int64_t count = count_of(q->x);
  uint8_t *data = nib_onnx_fold_alloc(n, (size_t)count * sizeof(float));
  if (!data)
    return n->ctx->failure;
  for (int64_t i = 0; i < count; ++i) {
    const float scale = real_at(q->scale, broadcast_at(q->scale, q->x, i));
    const float zero = real_at(q->zero, broadcast_at(q->zero, q->x, i));
    const float y = (integer_of(q, real_at(q->x, i), scale, zero) - zero) * scale;
    memcpy(data + (size_t)i * sizeof y, &y, sizeof y);
  }
  return nib_onnx_set_constant(n, NIB_F32, q->x->rank, q->x->dims, data);
}

static nib_status quantize_constant(nib_onnx_node *n, const quant *q) {
  int32_t axis;
  const bool one_axis = axis_of(q->scale, q->x, &axis);
  for (int64_t i = 0; i < count_of(q->x); ++i)
    if (isnan(real_at(q->x, i)))
      return nib_onnx_invalid(n, "element %" PRId64 " of its constant input is not a number", i);
  if (one_axis && has_codes(q) && (axis == NIB_ONNX_ABSENT || real_at(q->zero, 0) == 0))
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

/* A constant of the model: one element where all are the same. */
static int32_t constant(steps *s, const nib_onnx_value *v) {
  if (is_uniform(v))
    return scalar(s, v->name, real_at(v, 0));
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
static int32_t round_magnitude(steps *s, round_mode mode, int32_t x) {
  const int32_t a = unary(s, NIB_OP_ABS, x, "_magnitude");
  int32_t r = unary(s, mode == ROUND_UP ? NIB_OP_CEIL : NIB_OP_FLOOR, a, "_whole");
  if (mode == ROUND_HALF_UP || mode == ROUND_HALF_DOWN) {
    /* The remainder, doubled: both exact, so that ties are ties. */
    const int32_t d = binary(s, NIB_OP_SUB, a, r, "_remainder");
    int32_t up = binary(s, NIB_OP_ADD, d, d, "_doubled");
    if (mode == ROUND_HALF_UP)
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

static int32_t round_reals(steps *s, round_mode mode, int32_t x) {
  switch (mode) {
  case ROUND_EVEN:
    return unary(s, NIB_OP_ROUND, x, "_rounded");
  case ROUND_CEIL:
    return unary(s, NIB_OP_CEIL, x, "_rounded");
  case ROUND_FLOOR:
    return unary(s, NIB_OP_FLOOR, x, "_rounded");
  default:
    return round_magnitude(s, mode, x);
  }
}

/* x / scale + zero */
static int32_t to_grid(steps *s, int32_t x, const nib_onnx_value *scale,
                       const nib_onnx_value *zero) {
  if (!all_are(scale, 1.0f))
    x = binary(s, NIB_OP_DIV, x, constant(s, scale), "_scaled");
  if (!all_are(zero, 0.0f))
    x = binary(s, NIB_OP_ADD, x, constant(s, zero), "_shifted");
  return x;
}

/* (x - zero) * scale */
static int32_t from_grid(steps *s, int32_t x, const nib_onnx_value *scale,
                         const nib_onnx_value *zero) {
  if (!all_are(zero, 0.0f))
    x = binary(s, NIB_OP_SUB, x, constant(s, zero), "_centred");
  if (!all_are(scale, 1.0f))
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
  if (!all_are(q->zero, 0.0f))
    s->t = to_grid(s, s->t, q->scale, q->zero);
  s->t = from_grid(s, through_codes(s, s->t, format_of(q), 1.0, 0), q->scale, q->zero);
}

static void emit_quant(steps *s, const quant *q) {
  const nib_format format = format_of(q);
  const bool coded = has_codes(q) && is_uniform(q->scale);
  const double scale = (double)real_at(q->scale, 0), zero = (double)real_at(q->zero, 0);
  if (coded && q->rounding == ROUND_EVEN && zero == 0) {
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
  if (q->x->data)
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
  NIB_RETURN_IF_ERROR(read_scale(n, 1, "scale", q.x, &q.scale));
  set_range(&q);
  return import_checked(n, &q);
}

/* ---- Trunc: the low bits of an integer fall away ---- */

/* Inputs of the first version: x, scale, zero point, bits in, bits out. Of the second: x, scale,
 * zero point, bits in, scale out, zero point out, bits out; its result is clipped. */
nib_status nib_onnx_import_qonnx_trunc(nib_onnx_node *n) {
  quant q = {.x = nib_onnx_input(n, 0)};
  const nib_onnx_value *out_scale = NULL, *out_zero = NULL;
  const bool second = n->proto->n_input > 5;
  int in_bits;
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, q.x));
  NIB_RETURN_IF_ERROR(read_scale(n, 1, "scale", q.x, &q.scale));
  NIB_RETURN_IF_ERROR(read_constant(n, 2, "zero point", q.x, &q.zero));
  NIB_RETURN_IF_ERROR(read_bits(n, 3, "input bit width", &in_bits));
  NIB_RETURN_IF_ERROR(read_bits(n, second ? 6 : 4, "output bit width", &q.bits));
  NIB_RETURN_IF_ERROR(read_rounding(n, "FLOOR", &q.rounding));
  if (!is_uniform(q.scale) || !is_uniform(q.zero))
    return nib_onnx_unsupported(n, "a scale or zero point for each channel");
  float step = ldexpf(1.0f, in_bits - q.bits);
  if (second) {
    NIB_RETURN_IF_ERROR(read_scale(n, 4, "output scale", q.x, &out_scale));
    NIB_RETURN_IF_ERROR(read_constant(n, 5, "output zero point", q.x, &out_zero));
    if (!is_uniform(out_scale))
      return nib_onnx_unsupported(n, "an output scale for each channel");
    step = exp2f(rintf(log2f(real_at(out_scale, 0) / real_at(q.scale, 0))));
    q.is_signed = nib_onnx_attr_int(n, "signed", 1) != 0;
    q.narrow = nib_onnx_attr_int(n, "narrow", 0) != 0;
    set_range(&q);
  } else if (in_bits < q.bits) {
    return nib_onnx_invalid(n, "it makes %d bits of %d", q.bits, in_bits);
  }
  steps s = begin(n, nib_onnx_input(n, 0));
  s.t = unary(&s, NIB_OP_ROUND, to_grid(&s, s.t, q.scale, q.zero), "_integer");
  if (step != 1.0f)
    s.t = binary(&s, NIB_OP_DIV, s.t, scalar(&s, "step", step), "_shifted_right");
  if (second)
    s.t = clamp(&s, s.t, (double)q.low, (double)q.high, "_clipped");
  s.t = round_reals(&s, q.rounding, s.t);
  const float zero = real_at(q.zero, 0) / (second ? step : 1.0f);
  if (zero != 0)
    s.t = binary(&s, NIB_OP_SUB, s.t, scalar(&s, "zero", zero), "_centred");
  const float scale = real_at(second ? out_scale : q.scale, 0);
  if (scale != 1.0f)
    s.t = binary(&s, NIB_OP_MUL, s.t, scalar(&s, "scale", scale), "_real");
  return finish(&s);
}

/* ---- FloatQuant: the nearest number of a format with so many exponent and mantissa bits ---- */

typedef struct minifloat {
  const nib_onnx_value *x, *scale;
  nib_format format;
  float most;
} minifloat;

static nib_status read_number(nib_onnx_node *n, size_t i, const char *what, double *out) {
  const nib_onnx_value *v;
  NIB_RETURN_IF_ERROR(read_constant(n, i, what, nib_onnx_input(n, 0), &v));
  if (!is_uniform(v))
    return nib_onnx_unsupported(n, "its %s is not one number", what);
  *out = (double)real_at(v, 0);
  return NIB_OK;
}

static nib_status read_minifloat(nib_onnx_node *n, minifloat *f) {
  double exponent, mantissa, bias, most;
  round_mode rounding;
  int bits;
  f->x = nib_onnx_input(n, 0);
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, f->x));
  NIB_RETURN_IF_ERROR(read_scale(n, 1, "scale", f->x, &f->scale));
  NIB_RETURN_IF_ERROR(read_bits(n, 2, "exponent bit width", &bits));
  NIB_RETURN_IF_ERROR(read_number(n, 2, "exponent bit width", &exponent));
  NIB_RETURN_IF_ERROR(read_number(n, 3, "mantissa bit width", &mantissa));
  NIB_RETURN_IF_ERROR(read_number(n, 4, "exponent bias", &bias));
  NIB_RETURN_IF_ERROR(read_number(n, 5, "largest value", &most));
  NIB_RETURN_IF_ERROR(read_rounding(n, "ROUND", &rounding));
  if (mantissa < 0 || mantissa != floor(mantissa))
    return nib_onnx_invalid(n, "its mantissa bit width is %g, not an integer", mantissa);
  if (bias != floor(bias))
    return nib_onnx_unsupported(n, "its exponent bias is %g, not an integer", bias);
  if (!(most > 0))
    return nib_onnx_invalid(n, "its largest value is %g, not positive", most);
  if (rounding != ROUND_EVEN)
    return nib_onnx_unsupported(n, "a rounding mode other than ROUND");
  if (nib_onnx_attr_int(n, "saturation", 1) == 0)
    return nib_onnx_unsupported(n, "it does not saturate");
  /* Every code a number: the largest value says which of them are used. */
  const double highest = ldexp(2 - ldexp(1, (int)-mantissa), (1 << bits) - 1 - (int)bias);
  f->most = (float)fmin(most, highest);
  char name[64];
  snprintf(name, sizeof name, "e%dm%d:bias=%d,specials=none", bits, (int)mantissa, (int)bias);
  f->format = nib_format_find(name);
  if (f->format == NIB_FORMAT_COUNT)
    return nib_onnx_unsupported(n, "%d exponent and %g mantissa bits with the bias %g", bits,
                                mantissa, bias);
  return NIB_OK;
}

static nib_status fold_minifloat(nib_onnx_node *n, const minifloat *f) {
  const int64_t count = count_of(f->x);
  uint8_t *data = nib_onnx_fold_alloc(n, (size_t)count * sizeof(float));
  if (!data)
    return n->ctx->failure;
  for (int64_t i = 0; i < count; ++i) {
    const float scale = real_at(f->scale, broadcast_at(f->scale, f->x, i));
    const float x = fminf(fmaxf(real_at(f->x, i) / scale, -f->most), f->most);
    const uint64_t code = nib_format_encode(f->format, (double)x, NIB_ENCODE_NEAREST_EVEN, true, 0);
    const float y = (float)nib_format_decode(f->format, code) * scale;
    memcpy(data + (size_t)i * sizeof y, &y, sizeof y);
  }
  return nib_onnx_set_constant(n, NIB_F32, f->x->rank, f->x->dims, data);
}

nib_status nib_onnx_import_qonnx_float(nib_onnx_node *n) {
  minifloat f = {0};
  NIB_RETURN_IF_ERROR(read_minifloat(n, &f));
  if (f.x->data)
    return fold_minifloat(n, &f);
  steps s = begin(n, nib_onnx_input(n, 0));
  nib_graph *g = n->ctx->graph;
  if (!all_are(f.scale, 1.0f))
    s.t = binary(&s, NIB_OP_DIV, s.t, constant(&s, f.scale), "_scaled");
  s.t = clamp(&s, s.t, (double)-f.most, (double)f.most, "_clipped");
  const int32_t node = add_node(&s, NIB_OP_CAST, &s.t, 1, "_codes");
  if (node == NIB_NONE)
    return n->ctx->failure;
  g->tensors[g->nodes[node].out].format = f.format;
  s.t = unary(&s, NIB_OP_CAST, g->nodes[node].out, "_decoded");
  if (!all_are(f.scale, 1.0f))
    s.t = binary(&s, NIB_OP_MUL, s.t, constant(&s, f.scale), "_real");
  return finish(&s);
}

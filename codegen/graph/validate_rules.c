/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The table from operator to rule; rules of elementwise operators, reductions and changes of
 * format; the attributes that many operators share. */
#include "graph/validate_rules.h"

#include "num/code_value.h"
#include "num/rounding.h"

#include <math.h>
#include <string.h>

const nib_tensor *nib_check_in(const nib_check *c, int32_t slot) {
  return nib_node_input(c->g, c->n, slot);
}

bool nib_is_float(const nib_tensor *t) { return nib_format_get(t->format)->kind == NIB_KIND_FLOAT; }

bool nib_is_codes(const nib_tensor *t) {
  return t->quantized && nib_format_get(t->format)->bits <= 16;
}

bool nib_is_block(const nib_tensor *t) { return nib_format_get(t->format)->kind == NIB_KIND_BLOCK; }

bool nib_is_accumulator(const nib_tensor *t) {
  return !t->quantized && (t->format == NIB_I32 || t->format == NIB_I64);
}

bool nib_same_type(const nib_tensor *a, const nib_tensor *b) {
  return a->format == b->format && a->quantized == b->quantized &&
         (!a->quantized || (a->scale == b->scale && a->zero_point == b->zero_point));
}

bool nib_same_shape(const nib_tensor *a, const nib_tensor *b) {
  return a->rank == b->rank &&
         (a->rank == 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0);
}

bool nib_check_ints(nib_check *c, nib_attr_id id, int32_t n, int64_t low, int64_t otherwise,
                    int64_t *out) {
  const nib_attr *a = nib_node_attr(c->n, id);
  const char *name = nib_attr_get(id)->name;
  if (a && a->u.ints.n != n) {
    nib_check_fail(c, "its %s has %d values, not %d", name, a->u.ints.n, n);
    return false;
  }
  for (int32_t i = 0; i < n; ++i) {
    out[i] = a ? a->u.ints.v[i] : otherwise;
    if (a && (out[i] < low || out[i] > INT32_MAX)) {
      nib_check_fail(c, "value %d of its %s is %lld", i, name, (long long)out[i]);
      return false;
    }
  }
  return true;
}

void nib_check_scales(nib_check *c, int32_t slot, int64_t channels) {
  const nib_tensor *t = nib_check_in(c, slot);
  if ((t->format != NIB_F32 && t->format != NIB_F64) || t->rank != 1 ||
      (t->dims[0] != 1 && t->dims[0] != channels)) {
    nib_check_fail(c, "its scales must be f32 of shape [1] or [%lld]", (long long)channels);
    return;
  }
  for (int64_t i = 0; t->data && i < t->dims[0]; ++i) {
    double scale = nib_real_at(t, i);
    if (!isfinite(scale) || scale <= 0) {
      nib_check_fail(c, "scale %lld is %g; it must be positive and finite", (long long)i, scale);
      return;
    }
  }
}

/* --- shared attributes --- */

static void check_activation(nib_check *c) {
  static const char *const known[] = {"none", "relu", "relu6", "relu_n1_to_1", "tanh"};
  const char *activation = nib_node_string(c->n, NIB_A_ACTIVATION, "none");
  for (size_t i = 0; i < sizeof known / sizeof *known; ++i)
    if (strcmp(activation, known[i]) == 0)
      return;
  nib_check_fail(c, "unknown activation '%.40s'", activation);
}

static void check_clamp(nib_check *c) {
  const nib_attr *a = nib_node_attr(c->n, NIB_A_CLAMP);
  if (!a)
    return;
  const nib_format_info *info = nib_format_get(c->out->format);
  int64_t lo, hi;
  nib_format_code_range(c->out->format, &lo, &hi);
  if (a->u.ints.n != 2 || a->u.ints.v[0] > a->u.ints.v[1])
    nib_check_fail(c, "its clamp is not [low, high]");
  else if (info->kind == NIB_KIND_FLOAT || a->u.ints.v[0] < lo || a->u.ints.v[1] > hi)
    nib_check_fail(c, "its clamp [%lld, %lld] is outside %s", (long long)a->u.ints.v[0],
                   (long long)a->u.ints.v[1], info->name);
}

void nib_check_common_attributes(nib_check *c) {
  check_activation(c);
  check_clamp(c);
  const char *rounding = nib_node_string(c->n, NIB_A_ROUNDING, NULL);
  if (rounding && nib_rounding_find(rounding) == NIB_ROUNDING_COUNT)
    nib_check_fail(c, "unknown rounding '%.40s'", rounding);
  const char *decode = nib_node_string(c->n, NIB_A_DECODE, "exact");
  if (strcmp(decode, "exact") != 0 && strcmp(decode, "operand") != 0)
    nib_check_fail(c, "its weights are decoded exact or operand, not '%.40s'", decode);
}

/* --- elementwise --- */

static bool is_arithmetic(const nib_tensor *t) { return nib_is_float(t) || nib_is_codes(t); }

static void check_arithmetic_types(nib_check *c) {
  for (int32_t i = 0; i < c->n->n_in; ++i) {
    const nib_tensor *in = nib_check_in(c, i);
    if (!is_arithmetic(in))
      nib_check_fail(c, "operand %d is neither quantized nor float", i);
    if (in->format != c->out->format || in->quantized != c->out->quantized)
      nib_check_fail(c, "operand %d and the result differ in type", i);
  }
}

/* The operands' shapes broadcast to the result's, as in numpy. */
static void check_broadcast(nib_check *c) {
  int64_t dims[NIB_MAX_RANK];
  int32_t rank = 0;
  for (int32_t k = 0; k < c->n->n_in; ++k)
    rank = nib_check_in(c, k)->rank > rank ? nib_check_in(c, k)->rank : rank;
  bool ok = c->out->rank == rank;
  for (int32_t i = 0; i < rank; ++i)
    dims[i] = 1;
  for (int32_t k = 0; ok && k < c->n->n_in; ++k) {
    const nib_tensor *t = nib_check_in(c, k);
    for (int32_t i = 0; ok && i < t->rank; ++i) {
      int64_t *dim = &dims[rank - t->rank + i];
      ok = t->dims[i] == *dim || t->dims[i] == 1 || *dim == 1;
      *dim = *dim == 1 ? t->dims[i] : *dim;
    }
  }
  if (!ok || (rank && memcmp(dims, c->out->dims, (size_t)rank * sizeof *dims) != 0))
    nib_check_fail(c, "the shapes of its operands do not broadcast to that of its result");
}

/* add, sub, mul, div: reals, codes, or plain integers of one format. */
static void check_binary(nib_check *c) {
  const nib_tensor *a = nib_check_in(c, 0), *b = nib_check_in(c, 1);
  const bool plain = !a->quantized && !b->quantized && !c->out->quantized && !nib_is_float(a);
  const char *activation = nib_node_string(c->n, NIB_A_ACTIVATION, "none");
  if (!plain)
    check_arithmetic_types(c);
  else if (a->format != b->format || a->format != c->out->format)
    nib_check_fail(c, "its operands and result differ in type");
  else if (strcmp(activation, "none") != 0)
    nib_check_fail(c, "plain integers have no activation");
  check_broadcast(c);
}

/* Operators of binary.def: two operands of one plain type; comparisons give i1. */
static void check_plain_binary(nib_check *c) {
  const nib_tensor *a = nib_check_in(c, 0), *b = nib_check_in(c, 1);
  const bool compares =
      c->n->op == NIB_OP_EQUAL || c->n->op == NIB_OP_LESS || c->n->op == NIB_OP_LESS_EQUAL;
  if (a->quantized || b->quantized || c->out->quantized)
    nib_check_fail(c, "its operands and result must be plain, not quantized");
  if (a->format != b->format || c->out->format != (compares ? NIB_I1 : a->format))
    nib_check_fail(c, compares ? "its operands must be of one type and its result i1"
                               : "its operands and result differ in type");
  const bool bits = c->n->op >= NIB_OP_BIT_AND && c->n->op <= NIB_OP_SHIFT_RIGHT;
  if (bits && nib_is_float(a))
    nib_check_fail(c, "its operands are not integers");
  check_broadcast(c);
}

static void check_where(nib_check *c) {
  const nib_tensor *condition = nib_check_in(c, 0);
  if (condition->format != NIB_I1 || condition->quantized)
    nib_check_fail(c, "its condition is not i1");
  for (int32_t i = 1; i < 3; ++i)
    if (!nib_same_type(nib_check_in(c, i), c->out))
      nib_check_fail(c, "operand %d and the result differ in type", i);
  check_broadcast(c);
}

static void check_same_shapes(nib_check *c) {
  if (!nib_same_shape(nib_check_in(c, 0), c->out))
    nib_check_fail(c, "its input and result differ in shape");
}

static void check_unary(nib_check *c) {
  check_arithmetic_types(c);
  check_same_shapes(c);
}

/* Functions of codebooks are tables; abs, neg and sign are defined for plain integers as well. */
static void check_function(nib_check *c) {
  const nib_tensor *x = nib_check_in(c, 0);
  const bool integers = c->n->op == NIB_OP_ABS || c->n->op == NIB_OP_NEG || c->n->op == NIB_OP_SIGN;
  const bool codebook = nib_format_get(x->format)->kind == NIB_KIND_CODEBOOK;
  if (!codebook && (!integers || x->quantized || c->out->quantized || nib_is_float(x)))
    check_arithmetic_types(c);
  else if (x->format != c->out->format)
    nib_check_fail(c, "its operand and result differ in type");
  check_same_shapes(c);
}

static void check_clamp_op(nib_check *c) {
  check_function(c);
  if (nib_node_float(c->n, NIB_A_MIN, -INFINITY) > nib_node_float(c->n, NIB_A_MAX, INFINITY))
    nib_check_fail(c, "its min is above its max");
}

static void check_leaky_relu(nib_check *c) {
  check_function(c);
  if (!isfinite(nib_node_float(c->n, NIB_A_ALPHA, 0)))
    nib_check_fail(c, "its alpha is not finite");
}

static void check_softmax(nib_check *c) {
  check_unary(c);
  int64_t axis = nib_node_int(c->n, NIB_A_AXIS, c->out->rank - 1);
  double beta = nib_node_float(c->n, NIB_A_BETA, 1);
  if (axis < 0 || axis >= c->out->rank)
    nib_check_fail(c, "its axis is %lld of %d dimensions", (long long)axis, c->out->rank);
  if (!isfinite(beta) || beta <= 0)
    nib_check_fail(c, "its beta is %g", beta);
}

static void check_lookup(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0), *table = nib_check_in(c, 1);
  check_same_shapes(c);
  if (nib_format_get(in->format)->bits != 8 || nib_is_float(in) || in->format == NIB_I1)
    nib_check_fail(c, "its input is not 8 bits wide");
  if (table->rank != 1 || table->dims[0] != 256 || table->format != c->out->format)
    nib_check_fail(c, "its table must have 256 entries of the result's format");
}

/* Thresholds and steps of each channel: as many as the result has steps, in ascending order. */
static void check_multi_threshold(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0), *t = nib_check_in(c, 1), *steps = nib_check_in(c, 2);
  const int64_t channels = in->rank > 0 ? in->dims[in->rank - 1] : 1;
  check_same_shapes(c);
  if (nib_is_float(c->out) || nib_format_get(c->out->format)->bits > 8) {
    nib_check_fail(c, "its result is %s, not codes of at most 8 bits",
                   nib_format_get(c->out->format)->name);
    return;
  }
  if (in->format != NIB_I32 && in->format != NIB_F32)
    nib_check_fail(c, "its input is %s, not i32 or f32", nib_format_get(in->format)->name);
  if (t->format != in->format || t->rank != 2 || (t->dims[0] != 1 && t->dims[0] != channels)) {
    nib_check_fail(c, "its thresholds must be %s of shape [1 or %lld] x K",
                   nib_format_get(in->format)->name, (long long)channels);
    return;
  }
  int64_t lo, hi;
  nib_format_code_range(c->out->format, &lo, &hi);
  lo = nib_node_ints_at(c->n, NIB_A_CLAMP, 0, lo);
  hi = nib_node_ints_at(c->n, NIB_A_CLAMP, 1, hi);
  if (t->dims[1] != hi - lo)
    nib_check_fail(c, "%lld thresholds for the codes %lld to %lld", (long long)t->dims[1],
                   (long long)lo, (long long)hi);
  if (steps && (steps->format != NIB_I8 || steps->rank != 1 || steps->dims[0] != t->dims[0]))
    nib_check_fail(c, "its steps must be i8 of shape [%lld]", (long long)t->dims[0]);
  for (int64_t i = 0; steps && steps->data && i < steps->dims[0]; ++i)
    if (((const int8_t *)steps->data)[i] != 1 && ((const int8_t *)steps->data)[i] != -1)
      nib_check_fail(c, "step %lld is neither 1 nor -1", (long long)i);
  for (int64_t i = 1; t->data && i < t->dims[0] * t->dims[1]; ++i) {
    const bool ascends = in->format == NIB_I32
                             ? ((const int32_t *)t->data)[i - 1] <= ((const int32_t *)t->data)[i]
                             : ((const float *)t->data)[i - 1] <= ((const float *)t->data)[i];
    if (i % t->dims[1] != 0 && !ascends) {
      nib_check_fail(c, "threshold %lld of channel %lld is not in ascending order",
                     (long long)(i % t->dims[1]), (long long)(i / t->dims[1]));
      return;
    }
  }
}

static void check_reduced_shape(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0);
  const nib_attr *axes = nib_node_attr(c->n, NIB_A_AXES);
  bool keep = nib_node_int(c->n, NIB_A_KEEP_DIMS, 0) != 0, reduced[NIB_MAX_RANK] = {false};
  for (int32_t i = 0; axes && i < axes->u.ints.n; ++i) {
    int64_t axis = axes->u.ints.v[i];
    if (axis < 0 || axis >= in->rank || reduced[axis]) {
      nib_check_fail(c, "its axes are not distinct dimensions of %d", in->rank);
      return;
    }
    reduced[axis] = true;
  }
  int32_t rank = 0;
  bool ok = true;
  for (int32_t i = 0; i < in->rank; ++i) {
    if (reduced[i] && !keep)
      continue;
    ok = ok && rank < c->out->rank && c->out->dims[rank] == (reduced[i] ? 1 : in->dims[i]);
    ++rank;
  }
  if (!ok || rank != c->out->rank)
    nib_check_fail(c, "its result has another shape than its axes give");
}

static void check_mean(nib_check *c) {
  check_arithmetic_types(c);
  check_reduced_shape(c);
}

/* Plain numbers, or codes that are only chosen among. */
static void check_reduction(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0);
  const char *word = nib_node_string(c->n, NIB_A_REDUCTION, "add");
  const bool chooses = strcmp(word, "min") == 0 || strcmp(word, "max") == 0;
  if (!chooses && strcmp(word, "add") != 0 && strcmp(word, "mul") != 0)
    nib_check_fail(c, "its reduction is '%.40s', none of add, mul, min, max", word);
  if (!nib_same_type(in, c->out))
    nib_check_fail(c, "its input and result differ in type");
  if (in->quantized && !chooses)
    nib_check_fail(c, "codes with a scale have only min and max");
}

static void check_reduce(nib_check *c) {
  check_reduction(c);
  check_reduced_shape(c);
}

static void check_cumulate(nib_check *c) {
  const int64_t axis = nib_node_int(c->n, NIB_A_AXIS, 0);
  check_reduction(c);
  check_same_shapes(c);
  if (axis < 0 || axis >= c->out->rank)
    nib_check_fail(c, "its axis is %lld of %d dimensions", (long long)axis, c->out->rank);
}

/* --- changes of format --- */

static void check_bitcast(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0);
  check_same_shapes(c);
  if (in->quantized || c->out->quantized)
    nib_check_fail(c, "its input and result must be plain, not quantized");
  if (nib_format_bytes(in->format) != nib_format_bytes(c->out->format))
    nib_check_fail(c, "elements of %zu bytes cannot become elements of %zu",
                   nib_format_bytes(in->format), nib_format_bytes(c->out->format));
}

/* Length that per-axis operands may have: the dimension `axis` of the input. */
static int64_t axis_length(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0);
  int64_t axis = nib_node_int(c->n, NIB_A_AXIS, 0);
  if (axis >= 0 && axis < in->rank)
    return in->dims[axis];
  if (nib_node_attr(c->n, NIB_A_AXIS))
    nib_check_fail(c, "its axis is %lld of %d dimensions", (long long)axis, in->rank);
  return 1;
}

/* The operands scales and zero points of quantize and dequantize. */
static void check_scaling(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0), *scales = nib_check_in(c, 1);
  const nib_tensor *zeros = nib_check_in(c, 2);
  const int64_t axis = nib_node_int(c->n, NIB_A_AXIS, 1);
  nib_scale_map map;
  if (nib_node_attr(c->n, NIB_A_AXIS) && (axis < -in->rank || axis >= in->rank))
    nib_check_fail(c, "its axis is %lld of %d dimensions", (long long)axis, in->rank);
  else if (scales->quantized || !nib_is_float(scales))
    nib_check_fail(c, "its scales are not real");
  else if (!nib_scale_map_of(in, scales, axis, &map))
    nib_check_fail(c,
                   "its scales are neither one, one for each index of the axis, nor one for each "
                   "block that divides the input");
  for (int64_t i = 0; !c->errors && scales->data && i < nib_tensor_elems(scales); ++i) {
    const double scale = nib_format_load_real(scales->format, scales->data, i);
    if (!isfinite(scale) || scale <= 0)
      nib_check_fail(c, "scale %lld is %g; it must be positive and finite", (long long)i, scale);
  }
  if (zeros &&
      (zeros->quantized || (nib_tensor_elems(zeros) != 1 && !nib_same_shape(zeros, scales))))
    nib_check_fail(c, "its zero points are not plain numbers of the shape of the scales");
}

static void check_quantize(nib_check *c) {
  const nib_format_info *to = nib_format_get(c->out->format);
  check_same_shapes(c);
  if (!nib_is_float(nib_check_in(c, 0)))
    nib_check_fail(c, "its input is not float");
  if (!nib_check_in(c, 1)) {
    if ((!c->out->quantized && to->kind != NIB_KIND_BIPOLAR) || nib_check_in(c, 2))
      nib_check_fail(c, "its result is neither quantized nor bipolar");
    return;
  }
  check_scaling(c);
  if (c->out->quantized)
    nib_check_fail(c, "its result has a scale beside the operand");
  else if (to->kind > NIB_KIND_FLOAT || to->bits > 32 || c->out->format == NIB_I1)
    nib_check_fail(c, "its result must be integers or reals of at most 32 bits");
}

static void check_cast(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0);
  check_same_shapes(c);
  if (in->quantized || c->out->quantized)
    nib_check_fail(c, "it takes plain formats: quantize and dequantize have scales");
  if (nib_node_encode_mode(c->n) == NIB_ENCODE_MODE_NONE)
    nib_check_fail(c, "unknown mode '%.40s'", nib_node_string(c->n, NIB_A_MODE, ""));
  if (!nib_cast_is_scalar(c->g, c->n) && !nib_is_float(in) && !nib_is_float(c->out))
    nib_check_fail(c, "one side of it must be real");
  if (nib_node_attr(c->n, NIB_A_SATURATE) && nib_format_get(c->out->format)->kind > NIB_KIND_FLOAT)
    nib_check_fail(c, "%s always saturates", nib_format_get(c->out->format)->name);
}

static void check_dequantize(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0);
  check_same_shapes(c);
  if (nib_format_get(in->format)->kind > NIB_KIND_BIPOLAR || !nib_is_float(c->out))
    nib_check_fail(c, "it must go from codes to float");
  if (nib_check_in(c, 1))
    check_scaling(c);
  else if ((!in->quantized && nib_format_get(in->format)->kind != NIB_KIND_BIPOLAR) ||
           nib_check_in(c, 2))
    nib_check_fail(c, "its input has no scale");
}

/* A constant of integers in [low, high], one or `length` of them. */
static void check_integers(nib_check *c, int32_t slot, const char *what, nib_format format,
                           int64_t length, int64_t low, int64_t high) {
  const nib_tensor *t = nib_check_in(c, slot);
  if (t->format != format || t->rank != 1 || (t->dims[0] != 1 && t->dims[0] != length)) {
    nib_check_fail(c, "its %s must be %s of shape [1] or [%lld]", what,
                   nib_format_get(format)->name, (long long)length);
    return;
  }
  for (int64_t i = 0; t->data && i < t->dims[0]; ++i) {
    int32_t value = format == NIB_I8 ? ((const int8_t *)t->data)[i] : 0;
    if (format == NIB_I32)
      memcpy(&value, (const char *)t->data + (size_t)i * sizeof value, sizeof value);
    if (value < low || value > high) {
      nib_check_fail(c, "entry %lld of its %s is %d, outside [%lld, %lld]", (long long)i, what,
                     (int)value, (long long)low, (long long)high);
      return;
    }
  }
}

/* (x - zx) * multiplier / 2^shift: the arithmetic itself is given. */
static void check_given_multipliers(nib_check *c, int64_t length) {
  const nib_tensor *in = nib_check_in(c, 0);
  const bool wide = in->format == NIB_I64;
  if (!nib_check_in(c, 2) || !nib_check_in(c, 3) || nib_check_in(c, 1)) {
    nib_check_fail(c, "multipliers and shifts come together, and without scales");
    return;
  }
  check_integers(c, 2, "multipliers", NIB_I32, length, 0, wide ? INT16_MAX : INT32_MAX);
  check_integers(c, 3, "shifts", NIB_I8, length, 1, 62);
  if (nib_check_in(c, 2)->dims[0] != nib_check_in(c, 3)->dims[0])
    nib_check_fail(c, "its multipliers and shifts differ in number");
  if (nib_is_float(in) || nib_is_float(c->out) || nib_format_get(c->out->format)->bits > 32 ||
      c->out->format == NIB_I1)
    nib_check_fail(c, "it must go from an integer format to one of at most 32 bits");
}

static void check_requantize(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0);
  const int64_t axis = nib_node_int(c->n, NIB_A_AXIS, in->rank - 1);
  const int64_t length = nib_node_attr(c->n, NIB_A_AXIS) ? axis_length(c)
                         : axis >= 0                     ? in->dims[axis]
                                                         : 1;
  check_same_shapes(c);
  if (nib_check_in(c, 2) || nib_check_in(c, 3)) {
    check_given_multipliers(c, length);
    return;
  }
  if (nib_is_float(in) || !c->out->quantized)
    nib_check_fail(c, "it must go from an integer format to a quantized one");
  if (nib_check_in(c, 1))
    nib_check_scales(c, 1, length);
  else if (!in->quantized)
    nib_check_fail(c, "its input has no scale");
}

nib_check_rule *nib_check_rule_of(nib_op op) {
  static nib_check_rule *const rules[NIB_OP_COUNT] = {
      [NIB_OP_CONSTANT] = nib_check_constant,
      [NIB_OP_CONV2D] = nib_check_conv2d,
      [NIB_OP_DEPTHWISE_CONV2D] = nib_check_depthwise,
      [NIB_OP_TRANSPOSE_CONV2D] = nib_check_transpose_conv,
      [NIB_OP_FULLY_CONNECTED] = nib_check_fully_connected,
      [NIB_OP_MATMUL] = nib_check_matmul,
      [NIB_OP_AVG_POOL2D] = nib_check_avg_pool,
      [NIB_OP_MAX_POOL2D] = nib_check_max_pool,
      [NIB_OP_MEAN] = check_mean,
      [NIB_OP_ADD] = check_binary,
      [NIB_OP_SUB] = check_binary,
      [NIB_OP_MUL] = check_binary,
      [NIB_OP_DIV] = check_binary,
      [NIB_OP_REDUCE] = check_reduce,
      [NIB_OP_CUMULATE] = check_cumulate,
      [NIB_OP_BITCAST] = check_bitcast,
      [NIB_OP_WHERE] = check_where,
      [NIB_OP_CLAMP] = check_clamp_op,
      [NIB_OP_LEAKY_RELU] = check_leaky_relu,
      [NIB_OP_SOFTMAX] = check_softmax,
      [NIB_OP_LOOKUP] = check_lookup,
      [NIB_OP_MULTI_THRESHOLD] = check_multi_threshold,
      [NIB_OP_PAD] = nib_check_pad,
      [NIB_OP_RESHAPE] = nib_check_view,
      [NIB_OP_TRANSPOSE] = nib_check_transpose,
      [NIB_OP_CONCAT] = nib_check_concat,
      [NIB_OP_SLICE] = nib_check_slice,
      [NIB_OP_STRIDED_SLICE] = nib_check_strided_slice,
      [NIB_OP_BROADCAST] = nib_check_broadcast,
      [NIB_OP_GATHER] = nib_check_gather,
      [NIB_OP_GATHER_ND] = nib_check_gather_nd,
      [NIB_OP_GATHER_ELEMENTS] = nib_check_gather_elements,
      [NIB_OP_SCATTER_ND] = nib_check_scatter_nd,
      [NIB_OP_SCATTER_ELEMENTS] = nib_check_scatter_elements,
      [NIB_OP_TOP_K] = nib_check_top_k,
      [NIB_OP_SQUEEZE] = nib_check_unit_dims,
      [NIB_OP_EXPAND_DIMS] = nib_check_unit_dims,
      [NIB_OP_SCAST] = nib_check_scast,
      [NIB_OP_CAST] = check_cast,
      [NIB_OP_QUANTIZE] = check_quantize,
      [NIB_OP_DEQUANTIZE] = check_dequantize,
      [NIB_OP_REQUANTIZE] = check_requantize,
      [NIB_OP_PACK] = nib_check_pack,
      [NIB_OP_UNPACK] = nib_check_unpack,
  };
  const nib_family family = nib_op_get(op)->family;
  if (!rules[op] && family == NIB_FAMILY_BINARY)
    return check_plain_binary;
  return !rules[op] && family == NIB_FAMILY_FUNCTION ? check_function : rules[op];
}

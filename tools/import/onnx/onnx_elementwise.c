/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Elementwise operators in every type: arithmetic, comparisons, logic, choices, bounds. */
#include "onnx_elementwise.h"

#include "params/params.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define LAST NIB_ONNX_LAST_OPSET
#define NONE NIB_OP_COUNT
#define ANY (1 << 20)

const nib_onnx_row nib_onnx_elementwise_rows[] = {
    {"Abs", 7, LAST, 1, 1, nib_onnx_import_function, NIB_OP_ABS},
    {"Acos", 7, LAST, 1, 1, nib_onnx_import_function, NIB_OP_ACOS},
    {"Acosh", 9, LAST, 1, 1, nib_onnx_import_function, NIB_OP_ACOSH},
    {"Add", 7, LAST, 2, 2, nib_onnx_import_two, NIB_OP_ADD},
    {"And", 7, LAST, 2, 2, nib_onnx_import_two, NIB_OP_BIT_AND},
    {"ArgMax", 7, LAST, 1, 1, nib_onnx_import_arg, NONE},
    {"ArgMin", 7, LAST, 1, 1, nib_onnx_import_arg, NONE},
    {"Asin", 7, LAST, 1, 1, nib_onnx_import_function, NIB_OP_ASIN},
    {"Asinh", 9, LAST, 1, 1, nib_onnx_import_function, NIB_OP_ASINH},
    {"Atan", 7, LAST, 1, 1, nib_onnx_import_function, NIB_OP_ATAN},
    {"Atanh", 9, LAST, 1, 1, nib_onnx_import_function, NIB_OP_ATANH},
    {"BitCast", 26, LAST, 1, 1, nib_onnx_import_bitcast, NONE},
    {"BitShift", 11, LAST, 2, 2, nib_onnx_import_bit_shift, NONE},
    {"BitwiseAnd", 18, LAST, 2, 2, nib_onnx_import_two, NIB_OP_BIT_AND},
    {"BitwiseNot", 18, LAST, 1, 1, nib_onnx_import_not, NONE},
    {"BitwiseOr", 18, LAST, 2, 2, nib_onnx_import_two, NIB_OP_BIT_OR},
    {"BitwiseXor", 18, LAST, 2, 2, nib_onnx_import_two, NIB_OP_BIT_XOR},
    {"Ceil", 7, LAST, 1, 1, nib_onnx_import_function, NIB_OP_CEIL},
    {"Celu", 12, LAST, 1, 1, nib_onnx_import_celu, NONE},
    {"Clip", 7, LAST, 1, 3, nib_onnx_import_clip, NONE},
    {"Cos", 7, LAST, 1, 1, nib_onnx_import_function, NIB_OP_COS},
    {"Cosh", 9, LAST, 1, 1, nib_onnx_import_function, NIB_OP_COSH},
    {"CumProd", 26, LAST, 2, 2, nib_onnx_import_cumulate, NIB_OP_MUL},
    {"CumSum", 11, LAST, 2, 2, nib_onnx_import_cumulate, NIB_OP_ADD},
    {"Div", 7, LAST, 2, 2, nib_onnx_import_two, NIB_OP_DIV},
    {"Elu", 7, LAST, 1, 1, nib_onnx_import_elu, NONE},
    {"Equal", 7, LAST, 2, 2, nib_onnx_import_two, NIB_OP_EQUAL},
    {"Erf", 9, LAST, 1, 1, nib_onnx_import_function, NIB_OP_ERF},
    {"Exp", 7, LAST, 1, 1, nib_onnx_import_function, NIB_OP_EXP},
    {"EyeLike", 9, LAST, 1, 1, nib_onnx_import_eye_like, NONE},
    {"Floor", 7, LAST, 1, 1, nib_onnx_import_function, NIB_OP_FLOOR},
    {"Gelu", 20, LAST, 1, 1, nib_onnx_import_gelu, NONE},
    {"Greater", 7, LAST, 2, 2, nib_onnx_import_greater, NIB_OP_LESS},
    {"GreaterOrEqual", 12, LAST, 2, 2, nib_onnx_import_greater, NIB_OP_LESS_EQUAL},
    {"HardSigmoid", 7, LAST, 1, 1, nib_onnx_import_hard_sigmoid, NONE},
    {"HardSwish", 14, LAST, 1, 1, nib_onnx_import_function, NIB_OP_HARD_SWISH},
    {"Hardmax", 7, LAST, 1, 1, nib_onnx_import_hardmax, NONE},
    {"IsInf", 10, LAST, 1, 1, nib_onnx_import_is_inf, NONE},
    {"IsNaN", 9, LAST, 1, 1, nib_onnx_import_is_nan, NONE},
    {"Less", 7, LAST, 2, 2, nib_onnx_import_two, NIB_OP_LESS},
    {"LessOrEqual", 12, LAST, 2, 2, nib_onnx_import_two, NIB_OP_LESS_EQUAL},
    {"Log", 7, LAST, 1, 1, nib_onnx_import_function, NIB_OP_LOG},
    {"LogSoftmax", 7, LAST, 1, 1, nib_onnx_import_log_softmax, NONE},
    {"Max", 8, LAST, 1, ANY, nib_onnx_import_variadic, NIB_OP_MAXIMUM},
    {"Mean", 8, LAST, 1, ANY, nib_onnx_import_variadic, NIB_OP_MEAN},
    {"Min", 8, LAST, 1, ANY, nib_onnx_import_variadic, NIB_OP_MINIMUM},
    {"Mish", 18, LAST, 1, 1, nib_onnx_import_function, NIB_OP_MISH},
    {"Mod", 10, LAST, 2, 2, nib_onnx_import_mod, NONE},
    {"Mul", 7, LAST, 2, 2, nib_onnx_import_two, NIB_OP_MUL},
    {"Neg", 7, LAST, 1, 1, nib_onnx_import_function, NIB_OP_NEG},
    {"Not", 7, LAST, 1, 1, nib_onnx_import_not, NONE},
    {"Or", 7, LAST, 2, 2, nib_onnx_import_two, NIB_OP_BIT_OR},
    {"PRelu", 7, LAST, 2, 2, nib_onnx_import_prelu, NONE},
    {"Pow", 7, LAST, 2, 2, nib_onnx_import_pow, NONE},
    {"Range", 11, LAST, 3, 3, nib_onnx_import_range, NONE},
    {"Reciprocal", 7, LAST, 1, 1, nib_onnx_import_function, NIB_OP_RECIPROCAL},
    {"ReduceL1", 7, LAST, 1, 2, nib_onnx_import_reduce, NONE},
    {"ReduceL2", 7, LAST, 1, 2, nib_onnx_import_reduce, NONE},
    {"ReduceLogSum", 7, LAST, 1, 2, nib_onnx_import_reduce, NONE},
    {"ReduceLogSumExp", 7, LAST, 1, 2, nib_onnx_import_reduce, NONE},
    {"ReduceMax", 7, LAST, 1, 2, nib_onnx_import_reduce, NONE},
    {"ReduceMin", 7, LAST, 1, 2, nib_onnx_import_reduce, NONE},
    {"ReduceProd", 7, LAST, 1, 2, nib_onnx_import_reduce, NONE},
    {"ReduceSum", 7, LAST, 1, 2, nib_onnx_import_reduce, NONE},
    {"ReduceSumSquare", 7, LAST, 1, 2, nib_onnx_import_reduce, NONE},
    {"Relu", 7, LAST, 1, 1, nib_onnx_import_function, NIB_OP_RELU},
    {"Round", 11, LAST, 1, 1, nib_onnx_import_function, NIB_OP_ROUND},
    {"Selu", 7, LAST, 1, 1, nib_onnx_import_elu, NONE},
    {"Shrink", 9, LAST, 1, 1, nib_onnx_import_shrink, NONE},
    {"Sigmoid", 7, LAST, 1, 1, nib_onnx_import_function, NIB_OP_SIGMOID},
    {"Sign", 9, LAST, 1, 1, nib_onnx_import_function, NIB_OP_SIGN},
    {"Sin", 7, LAST, 1, 1, nib_onnx_import_function, NIB_OP_SIN},
    {"Sinh", 9, LAST, 1, 1, nib_onnx_import_function, NIB_OP_SINH},
    {"Softplus", 7, LAST, 1, 1, nib_onnx_import_function, NIB_OP_SOFTPLUS},
    {"Softsign", 7, LAST, 1, 1, nib_onnx_import_function, NIB_OP_SOFTSIGN},
    {"Sqrt", 7, LAST, 1, 1, nib_onnx_import_function, NIB_OP_SQRT},
    {"Sub", 7, LAST, 2, 2, nib_onnx_import_two, NIB_OP_SUB},
    {"Sum", 8, LAST, 1, ANY, nib_onnx_import_variadic, NIB_OP_ADD},
    {"Swish", 24, LAST, 1, 1, nib_onnx_import_swish, NONE},
    {"Tan", 7, LAST, 1, 1, nib_onnx_import_function, NIB_OP_TAN},
    {"Tanh", 7, LAST, 1, 1, nib_onnx_import_function, NIB_OP_TANH},
    {"ThresholdedRelu", 10, LAST, 1, 1, nib_onnx_import_thresholded_relu, NONE},
    {"Where", 9, LAST, 3, 3, nib_onnx_import_where, NONE},
    {"Xor", 7, LAST, 2, 2, nib_onnx_import_two, NIB_OP_BIT_XOR},
};
const size_t nib_onnx_n_elementwise_rows =
    sizeof nib_onnx_elementwise_rows / sizeof *nib_onnx_elementwise_rows;

static bool is_real(const nib_tensor *t) {
  return nib_format_get(t->format)->kind == NIB_KIND_FLOAT;
}

/* ---- expressions ---- */

int32_t nib_onnx_casted(nib_onnx_node *n, int32_t a, nib_format format) {
  if (a == NIB_NONE || nib_onnx_tensor(n, a)->format == format)
    return a;
  int64_t dims[NIB_MAX_RANK];
  const int32_t rank = nib_onnx_tensor(n, a)->rank;
  memcpy(dims, nib_onnx_tensor(n, a)->dims, sizeof dims);
  const int32_t node = nib_onnx_emit_as(n, NIB_OP_CAST, &a, 1, format, rank, dims, "");
  return node == NIB_NONE ? NIB_NONE : n->ctx->graph->nodes[node].out;
}

/* Both operands have one format. */
static nib_status require_same(nib_onnx_node *n, size_t i, size_t k) {
  const nib_onnx_value *a = nib_onnx_input(n, i), *b = nib_onnx_input(n, k);
  if (a->format == b->format)
    return NIB_OK;
  return nib_onnx_invalid(n, "its inputs are %s and %s", nib_format_get(a->format)->name,
                          nib_format_get(b->format)->name);
}

/* Arithmetic is defined on whole bytes: codes of fewer bits are only stored, moved and cast. */
static nib_status require_arithmetic(nib_onnx_node *n) {
  for (size_t i = 0; i < n->proto->n_input; ++i) {
    const nib_onnx_value *v = nib_onnx_input(n, i);
    const nib_format_info *f = v ? nib_format_get(v->format) : NULL;
    if (f && v->format != NIB_I1 && f->bits < 8)
      return nib_onnx_unsupported(n, "'%.100s' is %s", v->name, f->name);
  }
  return NIB_OK;
}

/* ---- one operand ---- */

nib_status nib_onnx_import_function(nib_onnx_node *n) {
  const nib_onnx_value *x = nib_onnx_input(n, 0);
  const nib_op op = n->row->op;
  const bool real = nib_format_get(x->format)->kind == NIB_KIND_FLOAT;
  NIB_RETURN_IF_ERROR(require_arithmetic(n));
  if (op == NIB_OP_RELU && !real) {
    const int32_t t = nib_onnx_in(n, 0);
    return nib_onnx_finish(n, nib_onnx_with(n, NIB_OP_MAXIMUM, t, 0));
  }
  if (!real && !nib_params_integer_function(op))
    return nib_onnx_unsupported(n, "'%.100s' is %s; it is defined for real numbers", x->name,
                                nib_format_get(x->format)->name);
  return nib_onnx_finish(n, nib_onnx_unary(n, op, nib_onnx_in(n, 0)));
}

/* All ones of the format: 1 for bool. */
nib_status nib_onnx_import_not(nib_onnx_node *n) {
  const int32_t x = nib_onnx_in(n, 0);
  if (x == NIB_NONE)
    return n->ctx->failure;
  const nib_tensor *t = nib_onnx_tensor(n, x);
  if (is_real(t))
    return nib_onnx_invalid(n, "its input is %s", nib_format_get(t->format)->name);
  const double ones = nib_format_get(t->format)->kind == NIB_KIND_SIGNED ? -1 : INFINITY;
  return nib_onnx_finish(n, nib_onnx_with(n, NIB_OP_BIT_XOR, x, ones));
}

nib_status nib_onnx_import_is_nan(nib_onnx_node *n) {
  const int32_t x = nib_onnx_in(n, 0);
  return nib_onnx_finish(
      n, nib_onnx_with(n, NIB_OP_BIT_XOR, nib_onnx_binary(n, NIB_OP_EQUAL, x, x), 1));
}

nib_status nib_onnx_import_is_inf(nib_onnx_node *n) {
  const bool negative = nib_onnx_attr_int(n, "detect_negative", 1) != 0;
  const bool positive = nib_onnx_attr_int(n, "detect_positive", 1) != 0;
  int32_t x = nib_onnx_in(n, 0);
  if (negative && positive)
    x = nib_onnx_unary(n, NIB_OP_ABS, x);
  /* Neither: compared with NaN, nothing is equal. */
  const double sought = !negative && !positive ? NAN : positive ? INFINITY : -INFINITY;
  return nib_onnx_finish(n, nib_onnx_with(n, NIB_OP_EQUAL, x, sought));
}

/* ---- two operands ---- */

static nib_status two(nib_onnx_node *n, nib_op op, bool swapped) {
  NIB_RETURN_IF_ERROR(require_arithmetic(n));
  NIB_RETURN_IF_ERROR(require_same(n, 0, 1));
  const int32_t a = nib_onnx_in(n, 0), b = a == NIB_NONE ? NIB_NONE : nib_onnx_in(n, 1);
  return nib_onnx_finish(n, nib_onnx_binary(n, op, swapped ? b : a, swapped ? a : b));
}

nib_status nib_onnx_import_two(nib_onnx_node *n) { return two(n, n->row->op, false); }

nib_status nib_onnx_import_greater(nib_onnx_node *n) { return two(n, n->row->op, true); }

nib_status nib_onnx_import_bit_shift(nib_onnx_node *n) {
  const char *direction = nib_onnx_attr_string(n, "direction", "");
  if (strcmp(direction, "LEFT") != 0 && strcmp(direction, "RIGHT") != 0)
    return nib_onnx_invalid(n, "its direction is '%.20s'", direction);
  return two(n, direction[0] == 'L' ? NIB_OP_SHIFT_LEFT : NIB_OP_SHIFT_RIGHT, false);
}

nib_status nib_onnx_import_mod(nib_onnx_node *n) {
  return two(n, nib_onnx_attr_int(n, "fmod", 0) ? NIB_OP_FMOD : NIB_OP_MOD, false);
}

/* The result has the base's type. Where the exponent has another one, both become the real type of
 * the two; of two integer types, the base's. */
nib_status nib_onnx_import_pow(nib_onnx_node *n) {
  const int32_t a = nib_onnx_in(n, 0), b = a == NIB_NONE ? NIB_NONE : nib_onnx_in(n, 1);
  if (b == NIB_NONE)
    return n->ctx->failure;
  const nib_format base = nib_onnx_tensor(n, a)->format, power = nib_onnx_tensor(n, b)->format;
  const bool by_power = !is_real(nib_onnx_tensor(n, a)) && is_real(nib_onnx_tensor(n, b));
  const nib_format common = by_power ? power : base;
  const int32_t y =
      nib_onnx_binary(n, NIB_OP_POW, nib_onnx_casted(n, a, common), nib_onnx_casted(n, b, common));
  return nib_onnx_finish(n, nib_onnx_casted(n, y, base));
}

nib_status nib_onnx_import_variadic(nib_onnx_node *n) {
  const bool mean = n->row->op == NIB_OP_MEAN;
  const size_t count = n->proto->n_input;
  if (count == 1)
    return nib_onnx_import_identity(n);
  int32_t y = NIB_NONE;
  for (size_t i = 0; i < count; ++i) {
    if (!nib_onnx_input(n, i))
      return nib_onnx_invalid(n, "its input %zu is missing", i);
    NIB_RETURN_IF_ERROR(require_same(n, 0, i));
    const int32_t t = nib_onnx_in(n, i);
    y = i == 0 ? t : nib_onnx_binary(n, mean ? NIB_OP_ADD : n->row->op, y, t);
    if (y == NIB_NONE)
      return n->ctx->failure;
  }
  return nib_onnx_finish(n, mean ? nib_onnx_with(n, NIB_OP_DIV, y, (double)count) : y);
}

/* ---- choices and bounds ---- */

nib_status nib_onnx_import_where(nib_onnx_node *n) {
  NIB_RETURN_IF_ERROR(require_same(n, 1, 2));
  if (nib_onnx_input(n, 0)->format != NIB_I1)
    return nib_onnx_invalid(n, "its condition is not bool");
  const int32_t c = nib_onnx_in(n, 0), a = c == NIB_NONE ? c : nib_onnx_in(n, 1);
  return nib_onnx_finish(n, nib_onnx_chosen(n, c, a, a == NIB_NONE ? a : nib_onnx_in(n, 2)));
}

/* A bound that is a constant f32, or absent. */
static bool plain_bound(nib_onnx_node *n, size_t i, float absent, float *out) {
  const nib_onnx_value *v = nib_onnx_input(n, i);
  *out = absent;
  if (v && (!v->data || v->format != NIB_F32 || v->bytes != sizeof *out))
    return false;
  if (v)
    memcpy(out, v->data, sizeof *out);
  return !isnan(*out);
}

/* Bounds that are tensors: min(max(x, low), high), which is `high` where the bounds cross. */
static nib_status clip_by_tensors(nib_onnx_node *n) {
  int32_t y = nib_onnx_in(n, 0);
  for (size_t i = 1; i < 3 && y != NIB_NONE; ++i) {
    const nib_onnx_value *v = nib_onnx_input(n, i);
    if (!v)
      continue;
    NIB_RETURN_IF_ERROR(require_same(n, 0, i));
    if (nib_onnx_count_elems(v->dims, v->rank) != 1)
      return nib_onnx_invalid(n, "input %zu is not a single number", i);
    y = nib_onnx_binary(n, i == 1 ? NIB_OP_MAXIMUM : NIB_OP_MINIMUM, y, nib_onnx_in(n, i));
  }
  if (y != NIB_NONE && !nib_onnx_input(n, 1) && !nib_onnx_input(n, 2))
    return nib_onnx_import_identity(n);
  return nib_onnx_finish(n, y);
}

nib_status nib_onnx_import_clip(nib_onnx_node *n) {
  const nib_onnx_value *x = nib_onnx_input(n, 0);
  float low = nib_onnx_attr_float(n, "min", -FLT_MAX),
        high = nib_onnx_attr_float(n, "max", FLT_MAX);
  bool plain = x->format == NIB_F32;
  if (n->ctx->opset >= 11)
    plain = plain_bound(n, 1, -FLT_MAX, &low) && plain_bound(n, 2, FLT_MAX, &high) && plain;
  else if (!plain)
    return nib_onnx_unsupported(n, "'%.100s' is %s", x->name, nib_format_get(x->format)->name);
  if (!plain)
    return clip_by_tensors(n);
  if (isnan(low) || isnan(high))
    return nib_onnx_invalid(n, "a bound is not a number");
  low = fmaxf(fminf(low, high), -FLT_MAX); /* min above max: everything becomes max */
  high = fminf(fmaxf(high, -FLT_MAX), FLT_MAX);
  return nib_onnx_finish(n, nib_onnx_clamped(n, nib_onnx_in(n, 0), (double)low, (double)high));
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Products and convolutions of codes: MatMulInteger, ConvInteger, QLinearMatMul, QLinearConv. Codes
 * less their zero points, i32 accumulators, and one requantization (docs/numerics.md, ONNX). */
#include "onnx_qlinear.h"

#include "onnx_elementwise.h"
#include "onnx_scaling.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

bool nib_onnx_is_number(const nib_onnx_value *v) { return v->data && nib_onnx_elems(v) == 1; }

double nib_onnx_number_of(const nib_onnx_value *v) {
  return nib_format_load_real(v->format, v->data, 0);
}

int32_t nib_onnx_typed(nib_onnx_node *n, int32_t t, double scale, int64_t zero) {
  if (t == NIB_NONE)
    return NIB_NONE;
  nib_graph *g = n->ctx->graph;
  const nib_tensor from = g->tensors[t];
  if (from.quantized == (scale != 0) &&
      (!from.quantized || (from.scale == scale && from.zero_point == zero)))
    return t;
  const int32_t node =
      nib_onnx_emit(n, NIB_OP_SCAST, &t, 1, NIB_NONE, from.rank, from.dims, "_codes");
  if (node == NIB_NONE)
    return NIB_NONE;
  const int32_t out = g->nodes[node].out;
  g->tensors[out].format = from.format;
  if (scale != 0)
    nib_graph_set_quant(g, out, scale, zero);
  return out;
}

int32_t nib_onnx_plain(nib_onnx_node *n, int32_t t) { return nib_onnx_typed(n, t, 0, 0); }

nib_status nib_onnx_check_scale(nib_onnx_node *n, const nib_onnx_value *v) {
  if (nib_format_get(v->format)->kind != NIB_KIND_FLOAT)
    return nib_onnx_invalid(n, "its scale '%.100s' is %s, not real", v->name,
                            nib_format_get(v->format)->name);
  for (int64_t i = 0; v->data && i < nib_onnx_elems(v); ++i) {
    const double scale = nib_format_load_real(v->format, v->data, i);
    if (!isfinite(scale) || scale <= 0)
      return nib_onnx_invalid(n, "scale %" PRId64 " is %g, not positive and finite", i, scale);
  }
  return NIB_OK;
}

static bool is_byte(nib_format f) { return f == NIB_I8 || f == NIB_U8; }

/* Operand `i` with zero point `zero` is 8 bits wide, and they agree. */
static nib_status check_codes(nib_onnx_node *n, size_t i, size_t zero) {
  const nib_onnx_value *x = nib_onnx_input(n, i), *z = nib_onnx_input(n, zero);
  if (!is_byte(x->format))
    return nib_onnx_unsupported(n, "'%.100s' is %s, only i8 and ui8 are supported here", x->name,
                                nib_format_get(x->format)->name);
  if (z && z->format != x->format)
    return nib_onnx_invalid(n, "the zero point of '%.100s' is %s, its codes are %s", x->name,
                            nib_format_get(z->format)->name, nib_format_get(x->format)->name);
  return NIB_OK;
}

static bool is_all(const nib_onnx_value *zeros, int64_t value) {
  for (int64_t i = 0; i < nib_onnx_elems(zeros); ++i)
    if (nib_onnx_integer_at(zeros, i) != value)
      return false;
  return true;
}

/* Codes less zero points that broadcast to them, in 16 bits, as a quantized tensor of scale 1. */
static int32_t centered_by(nib_onnx_node *n, int32_t t, int32_t zeros) {
  const int32_t z = nib_onnx_casted(n, zeros, NIB_I16);
  const int32_t x = z == NIB_NONE ? NIB_NONE : nib_onnx_casted(n, nib_onnx_plain(n, t), NIB_I16);
  return nib_onnx_typed(n, nib_onnx_binary(n, NIB_OP_SUB, x, z), 1.0, 0);
}

/* Codes less their zero points as a quantized tensor of scale 1. Different zero points lie along
 * `axis`; those, and what comes at run time, are subtracted in 16 bits. */
static int32_t centered(nib_onnx_node *n, int32_t t, const nib_onnx_value *zero, int32_t axis) {
  if (t == NIB_NONE)
    return NIB_NONE;
  const int32_t rank = nib_onnx_tensor(n, t)->rank;
  int64_t dims[NIB_MAX_RANK];
  const int64_t count = zero ? nib_onnx_elems(zero) : 1;
  for (int32_t i = 0; i < rank; ++i)
    dims[i] = i == axis ? count : 1;
  if (count != 1 && count != nib_onnx_dim(n, t, axis)) {
    nib_onnx_invalid(n, "%" PRId64 " zero points for %" PRId64 " slices", count,
                     nib_onnx_dim(n, t, axis));
    return NIB_NONE;
  }
  if (!zero || (zero->data && is_all(zero, nib_onnx_integer_at(zero, 0))))
    return nib_onnx_typed(n, t, 1.0, zero ? nib_onnx_integer_at(zero, 0) : 0);
  const int32_t z = nib_onnx_materialize(n, (nib_onnx_value *)(uintptr_t)zero);
  return z == NIB_NONE ? NIB_NONE
                       : centered_by(n, t, nib_onnx_reshaped(n, nib_onnx_plain(n, z), rank, dims));
}

/* The i32 accumulators of a product of centered codes. */
static int32_t product(nib_onnx_node *n, int32_t a, int32_t b) {
  if (a == NIB_NONE || b == NIB_NONE)
    return NIB_NONE;
  nib_graph *g = n->ctx->graph;
  const int32_t y = nib_onnx_product(n, a, b);
  if (y != NIB_NONE) {
    g->tensors[y].format = NIB_I32;
    g->tensors[y].quantized = false;
  }
  return y;
}

/* Input `i` as a matrix or several; a vector is a row, or a column on the right. */
static int32_t as_matrix(nib_onnx_node *n, size_t i, bool right) {
  const int32_t t = nib_onnx_in(n, i);
  if (t == NIB_NONE || nib_onnx_tensor(n, t)->rank != 1)
    return t;
  const int64_t k = nib_onnx_dim(n, t, 0), row[] = {1, k}, column[] = {k, 1};
  return nib_onnx_reshaped(n, t, 2, right ? column : row);
}

/* The product of inputs `a` and `b` as the result, without the dimensions that made vectors
 * matrices. */
static nib_status finish_product(nib_onnx_node *n, size_t a, size_t b, int32_t y) {
  if (y == NIB_NONE)
    return n->ctx->failure;
  const bool row = nib_onnx_input(n, a)->rank == 1, column = nib_onnx_input(n, b)->rank == 1;
  const nib_tensor t = *nib_onnx_tensor(n, y);
  int64_t dims[NIB_MAX_RANK];
  int32_t rank = 0;
  for (int32_t i = 0; i < t.rank; ++i)
    if (!(row && i == t.rank - 2) && !(column && i == t.rank - 1))
      dims[rank++] = t.dims[i];
  return nib_onnx_finish(n, row || column ? nib_onnx_reshaped(n, y, rank, dims) : y);
}

static int32_t centered_product(nib_onnx_node *n, size_t a, size_t a_zero, size_t b,
                                size_t b_zero) {
  if (nib_onnx_input(n, a)->rank < 1 || nib_onnx_input(n, b)->rank < 1) {
    nib_onnx_invalid(n, "an operand is a scalar");
    return NIB_NONE;
  }
  const int32_t ta = as_matrix(n, a, false), tb = ta == NIB_NONE ? NIB_NONE : as_matrix(n, b, true);
  if (tb == NIB_NONE)
    return NIB_NONE;
  const int32_t ra = nib_onnx_tensor(n, ta)->rank, rb = nib_onnx_tensor(n, tb)->rank;
  return product(n, centered(n, ta, nib_onnx_input(n, a_zero), ra - 2),
                 centered(n, tb, nib_onnx_input(n, b_zero), rb - 1));
}

nib_status nib_onnx_import_matmul_integer(nib_onnx_node *n) {
  NIB_RETURN_IF_ERROR(check_codes(n, 0, 2));
  NIB_RETURN_IF_ERROR(check_codes(n, 1, 3));
  return finish_product(n, 0, 1, centered_product(n, 0, 2, 1, 3));
}

/* ---- accumulators to codes ---- */

/* i32 accumulators at scale factor * first * second[c] to codes at scale y: constants. */
static int32_t requantized(nib_onnx_node *n, int32_t acc, double factor,
                           const nib_onnx_value *first, const nib_onnx_value *second, int32_t axis,
                           const nib_onnx_value *y, const nib_onnx_value *zero) {
  nib_graph *g = n->ctx->graph;
  const int64_t count = nib_onnx_elems(second);
  double *scales = acc == NIB_NONE ? NULL : nib_onnx_doubles(n, count);
  if (!scales)
    return NIB_NONE;
  for (int64_t i = 0; i < count; ++i)
    scales[i] =
        factor * nib_onnx_number_of(first) * nib_format_load_real(second->format, second->data, i);
  const int32_t s = nib_onnx_emit_constant(n, "scales", NIB_F64, 1, &count, scales);
  const int32_t in[] = {acc, s};
  const nib_tensor from = g->tensors[acc];
  const int32_t node = s == NIB_NONE ? NIB_NONE
                                     : nib_onnx_emit(n, NIB_OP_REQUANTIZE, in, 2, NIB_NONE,
                                                     from.rank, from.dims, "");
  if (node == NIB_NONE)
    return NIB_NONE;
  const int32_t out = g->nodes[node].out;
  g->tensors[out].format = zero->format;
  nib_graph_set_quant(g, out, (double)(float)nib_onnx_number_of(y),
                      (int64_t)nib_onnx_number_of(zero));
  if (nib_graph_set_string(g, node, NIB_A_ROUNDING, "nearest-even") != NIB_OK ||
      nib_graph_set_int(g, node, NIB_A_AXIS, axis) != NIB_OK) {
    nib_onnx_out_of_memory(n->ctx);
    return NIB_NONE;
  }
  return out;
}

/* A scale as f32, its elements along `axis` of a tensor of `rank` dimensions. */
static int32_t scale_along(nib_onnx_node *n, size_t i, int32_t rank, int32_t axis) {
  const nib_onnx_value *v = nib_onnx_input(n, i);
  const int64_t count = nib_onnx_elems(v);
  int64_t dims[NIB_MAX_RANK];
  for (int32_t k = 0; k < rank; ++k)
    dims[k] = k == axis ? count : 1;
  const int32_t t = nib_onnx_in(n, i);
  return t == NIB_NONE ? NIB_NONE
                       : nib_onnx_reshaped(n, nib_onnx_casted(n, t, NIB_F32), rank, dims);
}

/* The same with scales and zero points of the result that come at run time. */
static int32_t requantized_at_run(nib_onnx_node *n, int32_t acc, int32_t first, int32_t second,
                                  size_t y_scale, size_t y_zero) {
  if (acc == NIB_NONE || first == NIB_NONE || second == NIB_NONE)
    return NIB_NONE;
  nib_graph *g = n->ctx->graph;
  const int32_t rank = g->tensors[acc].rank;
  const int32_t scale =
      nib_onnx_binary(n, NIB_OP_DIV, nib_onnx_binary(n, NIB_OP_MUL, first, second),
                      scale_along(n, y_scale, rank, 0));
  const int32_t real =
      scale == NIB_NONE ? NIB_NONE
                        : nib_onnx_binary(n, NIB_OP_MUL, nib_onnx_casted(n, acc, NIB_F32), scale);
  const int32_t zero = real == NIB_NONE ? NIB_NONE : nib_onnx_in(n, y_zero);
  const int32_t one = zero == NIB_NONE ? NIB_NONE : nib_onnx_number(n, NIB_F32, 1.0);
  return one == NIB_NONE ? NIB_NONE
                         : nib_onnx_quantized_by(n, real, one, nib_onnx_plain(n, zero),
                                                 nib_onnx_input(n, y_zero)->format, 0);
}

/* ---- constants that the types of an integer operator can hold ---- */

/* Inputs of an operator: codes, scale and zero point of x, the filter and the result. */
typedef struct linear {
  size_t x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero;
} linear;

static const linear k_qlinear = {0, 1, 2, 3, 4, 5, 6, 7}, k_qgemm = {0, 1, 2, 3, 4, 5, 7, 8};

static bool is_absent_or_number(const nib_onnx_value *v) { return !v || nib_onnx_is_number(v); }

/* A filter of i8 around 0: plain, with scales for one or each channel. */
static bool is_plain_filter(nib_onnx_node *n, const linear *l) {
  const nib_onnx_value *zeros = nib_onnx_input(n, l->w_zero);
  return nib_onnx_input(n, l->w)->format == NIB_I8 && (!zeros || is_all(zeros, 0));
}

/* Whether one operator computes it: else there are accumulators and a requantization. */
static bool is_direct(nib_onnx_node *n, const linear *l) {
  const nib_onnx_value *w = nib_onnx_input(n, l->w), *zeros = nib_onnx_input(n, l->w_zero);
  const nib_onnx_value *scales = nib_onnx_input(n, l->w_scale);
  const nib_onnx_value *y_zero = nib_onnx_input(n, l->y_zero);
  const nib_onnx_value *y_scale = nib_onnx_input(n, l->y_scale);
  return nib_onnx_is_number(nib_onnx_input(n, l->x_scale)) &&
         is_absent_or_number(nib_onnx_input(n, l->x_zero)) && w->data && scales->data &&
         (!zeros || zeros->data) && y_scale && nib_onnx_is_number(y_scale) && y_zero &&
         nib_onnx_is_number(y_zero) &&
         (is_plain_filter(n, l) ||
          (nib_onnx_elems(scales) == 1 && zeros && is_all(zeros, nib_onnx_integer_at(zeros, 0))));
}

static int64_t zero_number(const nib_onnx_value *zero) {
  return zero ? nib_onnx_integer_at(zero, 0) : 0;
}

static int32_t direct_input(nib_onnx_node *n, const linear *l) {
  const int32_t t = nib_onnx_in(n, l->x);
  return nib_onnx_typed(n, t, nib_onnx_number_of(nib_onnx_input(n, l->x_scale)),
                        zero_number(nib_onnx_input(n, l->x_zero)));
}

/* The filter, plain with *out_scales (times `factor`), or with a type and NIB_NONE. */
static int32_t direct_filter(nib_onnx_node *n, const linear *l, double factor,
                             int32_t *out_scales) {
  const nib_onnx_value *scales = nib_onnx_input(n, l->w_scale);
  const int32_t w = nib_onnx_in(n, l->w);
  *out_scales = NIB_NONE;
  if (w == NIB_NONE)
    return NIB_NONE;
  if (!is_plain_filter(n, l))
    return nib_onnx_typed(n, w, nib_onnx_number_of(scales),
                          zero_number(nib_onnx_input(n, l->w_zero)));
  const int64_t count = nib_onnx_elems(scales);
  double *values = nib_onnx_doubles(n, count);
  for (int64_t i = 0; values && i < count; ++i)
    values[i] = factor * nib_format_load_real(scales->format, scales->data, i);
  /* The product of two f32 numbers needs more than f32. */
  *out_scales = !values       ? NIB_NONE
                : factor != 1 ? nib_onnx_emit_constant(n, "scales", NIB_F64, 1, &count, values)
                              : nib_onnx_constant(n, NIB_F32, 1, &count, values);
  return *out_scales == NIB_NONE ? NIB_NONE : nib_onnx_plain(n, w);
}

/* Gives the node its result's type; returns the result. */
static int32_t with_result(nib_onnx_node *n, const linear *l, int32_t node) {
  nib_graph *g = n->ctx->graph;
  if (node == NIB_NONE)
    return NIB_NONE;
  const nib_onnx_value *zero = nib_onnx_input(n, l->y_zero);
  const int32_t out = g->nodes[node].out;
  g->tensors[out].format = zero->format;
  nib_graph_set_quant(g, out, nib_onnx_number_of(nib_onnx_input(n, l->y_scale)), zero_number(zero));
  return out;
}

/* y [M, N] = x [M, K] by the filter [N, K]. */
static int32_t direct_product(nib_onnx_node *n, const linear *l, int32_t x, int32_t filter,
                              int32_t bias, int32_t scales) {
  if (x == NIB_NONE || filter == NIB_NONE)
    return NIB_NONE;
  const int64_t dims[] = {nib_onnx_dim(n, x, 0), nib_onnx_dim(n, filter, 0)};
  const int32_t in[] = {x, filter, bias, scales};
  const int32_t n_in = scales != NIB_NONE ? 4 : bias != NIB_NONE ? 3 : 2;
  return with_result(
      n, l, nib_onnx_emit(n, NIB_OP_FULLY_CONNECTED, in, n_in, NIB_NONE, 2, dims, "_product"));
}

static nib_status check_qlinear(nib_onnx_node *n) {
  NIB_RETURN_IF_ERROR(check_codes(n, 0, 2));
  NIB_RETURN_IF_ERROR(check_codes(n, 3, 5));
  static const size_t scales[] = {1, 4, 6};
  for (size_t i = 0; i < 3; ++i)
    NIB_RETURN_IF_ERROR(nib_onnx_check_scale(n, nib_onnx_input(n, scales[i])));
  if (!is_byte(nib_onnx_input(n, 7)->format))
    return nib_onnx_unsupported(n, "a result of type %s",
                                nib_format_get(nib_onnx_input(n, 7)->format)->name);
  if (nib_onnx_elems(nib_onnx_input(n, 6)) != 1 || nib_onnx_elems(nib_onnx_input(n, 7)) != 1)
    return nib_onnx_unsupported(n, "several scales of the result");
  return NIB_OK;
}

/* x [.., K] by a constant [K, N]. */
static nib_status import_direct_matmul(nib_onnx_node *n, const nib_onnx_value *a,
                                       const nib_onnx_value *b) {
  const linear *l = &k_qlinear;
  const int32_t rank = a->rank;
  const int64_t flat[] = {nib_onnx_elems(a) / b->dims[0], b->dims[0]};
  int64_t dims[NIB_MAX_RANK];
  int32_t scales = NIB_NONE;
  memcpy(dims, a->dims, sizeof dims);
  dims[rank - 1] = b->dims[1];
  const int32_t x = nib_onnx_reshaped(n, direct_input(n, l), 2, flat);
  const int32_t filter = x == NIB_NONE ? NIB_NONE : direct_filter(n, l, 1.0, &scales);
  const int32_t y = direct_product(
      n, l, x, filter == NIB_NONE ? NIB_NONE : nib_onnx_swapped(n, filter, 0, 1), NIB_NONE, scales);
  return nib_onnx_finish(n, y == NIB_NONE ? NIB_NONE : nib_onnx_reshaped(n, y, rank, dims));
}

nib_status nib_onnx_import_qlinear_matmul(nib_onnx_node *n) {
  NIB_RETURN_IF_ERROR(check_qlinear(n));
  const nib_onnx_value *as = nib_onnx_input(n, 1), *bs = nib_onnx_input(n, 4);
  const nib_onnx_value *ys = nib_onnx_input(n, 6), *yz = nib_onnx_input(n, 7);
  const nib_onnx_value *a = nib_onnx_input(n, 0), *b = nib_onnx_input(n, 3);
  if (b->rank == 2 && a->rank > 1 && a->dims[a->rank - 1] == b->dims[0] &&
      (nib_onnx_elems(bs) == 1 || nib_onnx_elems(bs) == b->dims[1]) && is_direct(n, &k_qlinear))
    return import_direct_matmul(n, a, b);
  const int32_t acc = centered_product(n, 0, 2, 3, 5);
  if (acc == NIB_NONE)
    return n->ctx->failure;
  const int32_t rank = nib_onnx_tensor(n, acc)->rank;
  if ((nib_onnx_elems(as) != 1 && nib_onnx_elems(as) != nib_onnx_dim(n, acc, -2)) ||
      (nib_onnx_elems(bs) != 1 && nib_onnx_elems(bs) != nib_onnx_dim(n, acc, -1)))
    return nib_onnx_invalid(n, "its scales are neither one nor one for each row or column");
  if (nib_onnx_is_number(as) && bs->data && nib_onnx_is_number(ys) && nib_onnx_is_number(yz))
    return finish_product(n, 0, 3, requantized(n, acc, 1.0, as, bs, rank - 1, ys, yz));
  return finish_product(n, 0, 3,
                        requantized_at_run(n, acc, scale_along(n, 1, rank, rank - 2),
                                           scale_along(n, 4, rank, rank - 1), 6, 7));
}

/* ---- MatMulIntegerToFloat and DynamicQuantizeMatMul of com.microsoft ---- */

/* The reals of accumulators: times `first` and the scales of input `second` along the columns, plus
 * input `bias`. */
static int32_t reals_of(nib_onnx_node *n, int32_t acc, int32_t first, size_t second, size_t bias) {
  if (acc == NIB_NONE || first == NIB_NONE)
    return NIB_NONE;
  const int32_t rank = nib_onnx_tensor(n, acc)->rank;
  const int64_t count = nib_onnx_elems(nib_onnx_input(n, second));
  if (count != 1 && count != nib_onnx_dim(n, acc, -1)) {
    nib_onnx_invalid(n, "%" PRId64 " scales for %" PRId64 " columns", count,
                     nib_onnx_dim(n, acc, -1));
    return NIB_NONE;
  }
  const int32_t scale =
      nib_onnx_binary(n, NIB_OP_MUL, first, scale_along(n, second, rank, rank - 1));
  int32_t y = nib_onnx_binary(n, NIB_OP_MUL, nib_onnx_casted(n, acc, NIB_F32), scale);
  if (y != NIB_NONE && nib_onnx_input(n, bias)) {
    const int32_t c = nib_onnx_in(n, bias);
    y = nib_onnx_binary(n, NIB_OP_ADD, y,
                        c == NIB_NONE ? NIB_NONE : nib_onnx_casted(n, c, NIB_F32));
  }
  return y;
}

nib_status nib_onnx_import_matmul_to_float(nib_onnx_node *n) {
  const nib_onnx_value *scales = nib_onnx_input(n, 2);
  const nib_format format = scales->format;
  NIB_RETURN_IF_ERROR(check_codes(n, 0, 4));
  NIB_RETURN_IF_ERROR(check_codes(n, 1, 5));
  NIB_RETURN_IF_ERROR(nib_onnx_check_scale(n, scales));
  NIB_RETURN_IF_ERROR(nib_onnx_check_scale(n, nib_onnx_input(n, 3)));
  if (nib_onnx_elems(scales) != 1)
    return nib_onnx_unsupported(n, "several scales of A");
  const int32_t acc = centered_product(n, 0, 4, 1, 5);
  const int32_t first =
      acc == NIB_NONE ? NIB_NONE : scale_along(n, 2, nib_onnx_tensor(n, acc)->rank, 0);
  const int32_t y = reals_of(n, acc, first, 3, 6);
  return finish_product(n, 0, 1, y == NIB_NONE ? NIB_NONE : nib_onnx_casted(n, y, format));
}

nib_status nib_onnx_import_dynamic_matmul(nib_onnx_node *n) {
  nib_onnx_dynamic a;
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, nib_onnx_input(n, 0)));
  NIB_RETURN_IF_ERROR(check_codes(n, 1, 3));
  NIB_RETURN_IF_ERROR(nib_onnx_check_scale(n, nib_onnx_input(n, 2)));
  if (nib_onnx_input(n, 0)->rank < 1 || nib_onnx_input(n, 1)->rank < 2)
    return nib_onnx_unsupported(n, "B is a vector");
  const int32_t x = as_matrix(n, 0, false);
  if (x == NIB_NONE || !nib_onnx_quantize_dynamically(n, x, &a))
    return n->ctx->failure;
  const int32_t b = nib_onnx_in(n, 1);
  const int32_t acc =
      b == NIB_NONE
          ? NIB_NONE
          : product(n, centered_by(n, a.codes, a.zero),
                    centered(n, b, nib_onnx_input(n, 3), nib_onnx_tensor(n, b)->rank - 1));
  return finish_product(n, 0, 1, reals_of(n, acc, a.scale, 2, 4));
}

/* ---- QGemm of com.microsoft: alpha * (A * B + C), C in accumulators ---- */

static nib_status check_qgemm(nib_onnx_node *n) {
  const nib_onnx_value *as = nib_onnx_input(n, 1), *bs = nib_onnx_input(n, 4);
  const nib_onnx_value *c = nib_onnx_input(n, 6), *ys = nib_onnx_input(n, 7);
  const nib_onnx_value *yz = nib_onnx_input(n, 8);
  NIB_RETURN_IF_ERROR(check_codes(n, 0, 2));
  NIB_RETURN_IF_ERROR(check_codes(n, 3, 5));
  NIB_RETURN_IF_ERROR(nib_onnx_check_scale(n, as));
  NIB_RETURN_IF_ERROR(nib_onnx_check_scale(n, bs));
  if (ys)
    NIB_RETURN_IF_ERROR(nib_onnx_check_scale(n, ys));
  if (!isfinite(nib_onnx_attr_float(n, "alpha", 1.0f)))
    return nib_onnx_invalid(n, "alpha is not finite");
  if (nib_onnx_input(n, 0)->rank != 2 || nib_onnx_input(n, 3)->rank != 2)
    return nib_onnx_invalid(n, "its operands are not matrices");
  if (c && c->format != NIB_I32)
    return nib_onnx_invalid(n, "C is %s, not i32", nib_format_get(c->format)->name);
  if (nib_onnx_elems(as) != 1 || (ys && nib_onnx_elems(ys) != 1))
    return nib_onnx_invalid(n, "several scales of A or of the result");
  if (ys && (!yz || !is_byte(yz->format) || nib_onnx_elems(yz) != 1))
    return nib_onnx_invalid(n, "its result has a scale but not one 8-bit zero point");
  return NIB_OK;
}

static int32_t qgemm_accumulators(nib_onnx_node *n) {
  const bool trans_a = nib_onnx_attr_int(n, "transA", 0),
             trans_b = nib_onnx_attr_int(n, "transB", 0);
  const int32_t a = centered(n, nib_onnx_in(n, 0), nib_onnx_input(n, 2), 0);
  const int32_t b =
      a == NIB_NONE ? NIB_NONE : centered(n, nib_onnx_in(n, 3), nib_onnx_input(n, 5), !trans_b);
  const int32_t acc = product(n, trans_a ? nib_onnx_swapped(n, a, 0, 1) : a,
                              trans_b ? nib_onnx_swapped(n, b, 0, 1) : b);
  return acc != NIB_NONE && nib_onnx_input(n, 6)
             ? nib_onnx_binary(n, NIB_OP_ADD, acc, nib_onnx_in(n, 6))
             : acc;
}

/* One operator: C, where it is there, is a constant for each column. */
static bool is_direct_gemm(nib_onnx_node *n, double alpha) {
  const nib_onnx_value *a = nib_onnx_input(n, 0), *b = nib_onnx_input(n, 3);
  const nib_onnx_value *c = nib_onnx_input(n, 6), *scales = nib_onnx_input(n, 4);
  const bool trans_a = nib_onnx_attr_int(n, "transA", 0),
             trans_b = nib_onnx_attr_int(n, "transB", 0);
  const int64_t columns = b->dims[!trans_b];
  return is_direct(n, &k_qgemm) && alpha > 0 && (alpha == 1 || is_plain_filter(n, &k_qgemm)) &&
         a->dims[!trans_a] == b->dims[trans_b] &&
         (nib_onnx_elems(scales) == 1 || nib_onnx_elems(scales) == columns) &&
         (!c || (c->data && c->rank == 1 && c->dims[0] == columns));
}

static nib_status import_direct_gemm(nib_onnx_node *n, double alpha) {
  const bool trans_a = nib_onnx_attr_int(n, "transA", 0),
             trans_b = nib_onnx_attr_int(n, "transB", 0);
  int32_t scales = NIB_NONE, x = direct_input(n, &k_qgemm);
  x = x != NIB_NONE && trans_a ? nib_onnx_swapped(n, x, 0, 1) : x;
  int32_t filter = x == NIB_NONE ? NIB_NONE : direct_filter(n, &k_qgemm, alpha, &scales);
  filter = filter != NIB_NONE && !trans_b ? nib_onnx_swapped(n, filter, 0, 1) : filter;
  const bool has_bias = filter != NIB_NONE && nib_onnx_input(n, 6);
  const int32_t bias = has_bias ? nib_onnx_in(n, 6) : NIB_NONE;
  return has_bias && bias == NIB_NONE
             ? n->ctx->failure
             : nib_onnx_finish(n, direct_product(n, &k_qgemm, x, filter, bias, scales));
}

nib_status nib_onnx_import_qgemm(nib_onnx_node *n) {
  NIB_RETURN_IF_ERROR(check_qgemm(n));
  const nib_onnx_value *as = nib_onnx_input(n, 1), *bs = nib_onnx_input(n, 4);
  const nib_onnx_value *ys = nib_onnx_input(n, 7), *yz = nib_onnx_input(n, 8);
  const double alpha = (double)nib_onnx_attr_float(n, "alpha", 1.0f);
  if (is_direct_gemm(n, alpha))
    return import_direct_gemm(n, alpha);
  const int32_t acc = qgemm_accumulators(n);
  if (acc == NIB_NONE)
    return n->ctx->failure;
  if (nib_onnx_elems(bs) != 1 && nib_onnx_elems(bs) != nib_onnx_dim(n, acc, 1))
    return nib_onnx_invalid(n, "its scales are neither one nor one for each column");
  if (ys && alpha > 0 && as->data && bs->data && ys->data && yz->data)
    return nib_onnx_finish(n, requantized(n, acc, alpha, as, bs, 1, ys, yz));
  int32_t first = scale_along(n, 1, 2, 1);
  if (alpha != 1)
    first = nib_onnx_with(n, NIB_OP_MUL, first, alpha);
  const int32_t second = first == NIB_NONE ? NIB_NONE : scale_along(n, 4, 2, 1);
  if (ys)
    return nib_onnx_finish(n, requantized_at_run(n, acc, first, second, 7, 8));
  return nib_onnx_finish(n, nib_onnx_binary(n, NIB_OP_MUL, nib_onnx_casted(n, acc, NIB_F32),
                                            nib_onnx_binary(n, NIB_OP_MUL, first, second)));
}

/* ---- convolutions ---- */

typedef struct conv {
  size_t x, x_zero, w, w_zero, bias; /* inputs */
} conv;

/* The node of a convolution in NHWC: of centered codes, with accumulators, or, with `l`, of codes.
 */
static int32_t convolved(nib_onnx_node *n, const conv *c, const linear *l, int32_t *out_spatial) {
  static const int64_t conv_perm[] = {0, 2, 3, 1}, depthwise_perm[] = {1, 2, 3, 0};
  nib_graph *g = n->ctx->graph;
  const nib_onnx_value *x = nib_onnx_input(n, c->x), *w = nib_onnx_input(n, c->w);
  const int32_t spatial = x->rank - 2;
  *out_spatial = spatial;
  if (spatial < 1 || w->rank != x->rank) {
    nib_onnx_invalid(n, "its input has rank %d, its filter rank %d", x->rank, w->rank);
    return NIB_NONE;
  }
  if (spatial > 2) {
    nib_onnx_unsupported(n, "more than two spatial dimensions");
    return NIB_NONE;
  }
  const int64_t groups = nib_onnx_attr_int(n, "group", 1), channels = x->dims[1];
  if (groups < 1 || groups > channels || channels % groups || w->dims[0] % groups ||
      w->dims[1] != channels / groups) {
    nib_onnx_invalid(n, "%" PRId64 " channels in %" PRId64 " groups do not fit its filter",
                     channels, groups);
    return NIB_NONE;
  }
  nib_onnx_window window;
  if (nib_onnx_read_window(n, x->dims + 2, spatial, w->dims + 2, &window) != NIB_OK)
    return NIB_NONE;
  const bool depthwise = groups == channels && groups > 1;
  const int64_t filter[] = {w->dims[0], w->dims[1], spatial == 1 ? 1 : w->dims[2],
                            w->dims[spatial == 1 ? 2 : 3]};
  int32_t in[4] = {NIB_NONE, NIB_NONE, NIB_NONE, NIB_NONE};
  in[0] =
      l ? direct_input(n, l) : centered(n, nib_onnx_in(n, c->x), nib_onnx_input(n, c->x_zero), 0);
  in[0] = in[0] == NIB_NONE ? NIB_NONE : nib_onnx_to_nhwc(n, in[0]);
  int32_t f = NIB_NONE;
  if (in[0] != NIB_NONE)
    f = l ? direct_filter(n, l, 1.0, &in[3])
          : centered(n, nib_onnx_in(n, c->w), nib_onnx_input(n, c->w_zero), 0);
  f = f == NIB_NONE ? NIB_NONE : nib_onnx_reshaped(n, f, 4, filter);
  in[1] =
      f == NIB_NONE ? NIB_NONE : nib_onnx_transposed(n, f, depthwise ? depthwise_perm : conv_perm);
  if (in[1] == NIB_NONE)
    return NIB_NONE;
  const bool bias = nib_onnx_input(n, c->bias) != NULL;
  if (bias && (in[2] = nib_onnx_in(n, c->bias)) == NIB_NONE)
    return NIB_NONE;
  const int64_t dims[] = {x->dims[0], window.out[0], window.out[1], w->dims[0]};
  const int32_t node = nib_onnx_emit(n, depthwise ? NIB_OP_DEPTHWISE_CONV2D : NIB_OP_CONV2D, in,
                                     in[3] != NIB_NONE ? 4
                                     : bias            ? 3
                                                       : 2,
                                     NIB_NONE, 4, dims, "_acc");
  if (node == NIB_NONE)
    return NIB_NONE;
  g->tensors[g->nodes[node].out].format = NIB_I32;
  nib_status status = nib_graph_set_ints(g, node, NIB_A_STRIDES, window.strides, 2);
  if (status == NIB_OK)
    status = nib_graph_set_ints(g, node, NIB_A_PADS, window.pads, 4);
  if (status == NIB_OK)
    status = nib_graph_set_ints(g, node, NIB_A_DILATIONS, window.dilations, 2);
  if (status == NIB_OK && !depthwise && groups > 1)
    status = nib_graph_set_int(g, node, NIB_A_GROUPS, groups);
  if (status == NIB_OK)
    return l ? with_result(n, l, node) : g->nodes[node].out;
  nib_onnx_out_of_memory(n->ctx);
  return NIB_NONE;
}

nib_status nib_onnx_import_conv_integer(nib_onnx_node *n) {
  static const conv c = {0, 2, 1, 3, 99};
  int32_t spatial;
  NIB_RETURN_IF_ERROR(check_codes(n, 0, 2));
  NIB_RETURN_IF_ERROR(check_codes(n, 1, 3));
  const int32_t y = convolved(n, &c, NULL, &spatial);
  return nib_onnx_finish(n, y == NIB_NONE ? NIB_NONE : nib_onnx_from_nhwc(n, y, spatial));
}

nib_status nib_onnx_import_qlinear_conv(nib_onnx_node *n) {
  static const conv c = {0, 2, 3, 5, 8};
  NIB_RETURN_IF_ERROR(check_qlinear(n));
  const nib_onnx_value *xs = nib_onnx_input(n, 1), *ws = nib_onnx_input(n, 4);
  const nib_onnx_value *ys = nib_onnx_input(n, 6), *yz = nib_onnx_input(n, 7);
  const nib_onnx_value *bias = nib_onnx_input(n, 8), *w = nib_onnx_input(n, 3);
  if (bias && (bias->format != NIB_I32 || nib_onnx_elems(bias) != w->dims[0] || bias->rank != 1))
    return nib_onnx_invalid(n, "its bias is not int32, one for each channel");
  if (nib_onnx_elems(xs) != 1 || (nib_onnx_elems(ws) != 1 && nib_onnx_elems(ws) != w->dims[0]))
    return nib_onnx_invalid(n,
                            "its scales are neither one nor, of the filter, one for each channel");
  const bool direct = is_direct(n, &k_qlinear);
  int32_t spatial, y = convolved(n, &c, direct ? &k_qlinear : NULL, &spatial);
  if (y == NIB_NONE)
    return n->ctx->failure;
  if (direct)
    return nib_onnx_finish(n, nib_onnx_from_nhwc(n, y, spatial));
  if (xs->data && ws->data && ys->data && yz->data)
    y = requantized(n, y, 1.0, xs, ws, 3, ys, yz);
  else
    y = requantized_at_run(n, y, scale_along(n, 1, 4, 3), scale_along(n, 4, 4, 3), 6, 7);
  return nib_onnx_finish(n, y == NIB_NONE ? NIB_NONE : nib_onnx_from_nhwc(n, y, spatial));
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * add, sub, mul and div with broadcasting; operators of one operand; quantize and its relatives. */
#include "reference/internal.h"

#include "num/code_value.h"

#include "num/snippets.h"

#include <stdlib.h>
#include <string.h>

/* ---- two operands ---- */

typedef struct pair {
  nib_add_params add;
  nib_mul_params mul;
  const nib_node *n;
  nib_reference *r;
  const nib_tensor *y;
} pair;

static bool is_float_mode(nib_rounding r) {
  return r == NIB_ROUNDING_NEAREST_EVEN || r == NIB_ROUNDING_NEAREST_AWAY;
}

static double real_arithmetic(const pair *p, double a, double b) {
  const nib_binary_real *f = nib_params_binary_real(p->n->op);
  return p->r->use_double || p->y->format == NIB_F64 ? f->f64(a, b)
                                                     : (double)f->f32((float)a, (float)b);
}

static int64_t add_codes(const pair *p, int64_t a, int64_t b) {
  const nib_add_params *q = &p->add;
  const int32_t x = (int32_t)(a - q->lhs_zp), z = (int32_t)(b - q->rhs_zp);
  if (is_float_mode(q->rounding)) {
    const float fx = (float)x * q->lhs_scale, fz = (float)z * q->rhs_scale;
    return nib_ref_quantize(q->rounding, p->n->op == NIB_OP_SUB ? fx - fz : fx + fz, p->y, q->lo,
                            q->hi);
  }
  const int32_t sx = (int32_t)((uint32_t)x << q->left_shift);
  const int32_t sz = (int32_t)((uint32_t)z << q->left_shift);
  const int32_t rx = nib_params_rescale(q->rounding, sx, &q->lhs);
  const int32_t rz = nib_params_rescale(q->rounding, sz, &q->rhs);
  const int64_t sum = p->n->op == NIB_OP_SUB ? (int64_t)rx - rz : (int64_t)rx + rz;
  const int64_t y = nib_params_rescale(q->rounding, (int32_t)sum, &q->out) + q->out_zp;
  return nib_ref_clamp(y, q->lo, q->hi);
}

static int64_t mul_codes(const pair *p, int64_t a, int64_t b) {
  const nib_mul_params *q = &p->mul;
  const int32_t x = (int32_t)(a - q->lhs_zp), z = (int32_t)(b - q->rhs_zp);
  if (is_float_mode(q->rounding)) {
    const float fx = (float)x * q->lhs_scale, fz = (float)z * q->rhs_scale;
    return nib_ref_quantize(q->rounding, fx * fz, p->y, q->lo, q->hi);
  }
  const int64_t y = nib_params_rescale(q->rounding, (int32_t)((int64_t)x * z), &q->out) + q->out_zp;
  return nib_ref_clamp(y, q->lo, q->hi);
}

/* TFLite has no quantized division kernel to follow: f32 in every mode. */
static int64_t div_codes(const pair *p, int64_t a, int64_t b) {
  const nib_mul_params *q = &p->mul;
  const float fx = (float)(a - q->lhs_zp) * q->lhs_scale;
  const float fz = (float)(b - q->rhs_zp) * q->rhs_scale;
  return nib_ref_quantize(q->rounding, fx / fz, p->y, q->lo, q->hi);
}

static int64_t code_arithmetic(const pair *p, int64_t a, int64_t b) {
  if (p->n->op == NIB_OP_MUL)
    return mul_codes(p, a, b);
  return p->n->op == NIB_OP_DIV ? div_codes(p, a, b) : add_codes(p, a, b);
}

typedef struct walk {
  int64_t index[NIB_MAX_RANK], a[NIB_MAX_RANK], b[NIB_MAX_RANK];
} walk;

static nib_status arithmetic_reals(pair *p) {
  walk w = {0};
  nib_ref_strides(nib_ref_tensor(p->r, p->n->in[0]), p->y, w.a);
  nib_ref_strides(nib_ref_tensor(p->r, p->n->in[1]), p->y, w.b);
  const int64_t elems = nib_tensor_elems(p->y);
  double *a = nib_ref_load_reals(p->r, p->n->in[0]), *b = nib_ref_load_reals(p->r, p->n->in[1]);
  double *y = calloc((size_t)elems + 1, sizeof *y);
  const nib_status status = a && b && y ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
  for (int64_t i = 0; status == NIB_OK && i < elems; ++i) {
    const double value = real_arithmetic(p, a[nib_ref_offset(w.index, w.a, p->y->rank)],
                                         b[nib_ref_offset(w.index, w.b, p->y->rank)]);
    y[i] = nib_ref_activate(p->r, p->n, value);
    nib_ref_next(w.index, p->y->dims, p->y->rank);
  }
  if (status == NIB_OK)
    nib_ref_store_reals(p->r, p->n->out, y);
  free(a);
  free(b);
  free(y);
  return status;
}

static nib_status arithmetic_codes(pair *p) {
  walk w = {0};
  nib_ref_strides(nib_ref_tensor(p->r, p->n->in[0]), p->y, w.a);
  nib_ref_strides(nib_ref_tensor(p->r, p->n->in[1]), p->y, w.b);
  const int64_t elems = nib_tensor_elems(p->y);
  int64_t *a = nib_ref_load_codes(p->r, p->n->in[0], 0);
  int64_t *b = nib_ref_load_codes(p->r, p->n->in[1], 0);
  int64_t *y = calloc((size_t)elems + 1, sizeof *y);
  const nib_status status = a && b && y ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
  for (int64_t i = 0; status == NIB_OK && i < elems; ++i) {
    y[i] = code_arithmetic(p, a[nib_ref_offset(w.index, w.a, p->y->rank)],
                           b[nib_ref_offset(w.index, w.b, p->y->rank)]);
    nib_ref_next(w.index, p->y->dims, p->y->rank);
  }
  if (status == NIB_OK)
    nib_ref_store_codes(p->r, p->n->out, y);
  free(a);
  free(b);
  free(y);
  return status;
}

nib_status nib_ref_arithmetic(nib_reference *r, const nib_node *n) {
  pair p = {.n = n, .r = r, .y = nib_ref_tensor(r, n->out)};
  if (nib_ref_is_real(p.y))
    return arithmetic_reals(&p);
  if (!p.y->quantized)
    return nib_ref_binary(r, n);
  if (n->op == NIB_OP_ADD || n->op == NIB_OP_SUB)
    NIB_RETURN_IF_ERROR(nib_params_add(r->g, n, &p.add));
  else
    NIB_RETURN_IF_ERROR(nib_params_mul(r->g, n, &p.mul));
  return arithmetic_codes(&p);
}

/* ---- one operand ---- */

static double leaky_slope(const nib_node *n, double x, bool wide) {
  const double y = x * (double)(float)nib_node_float(n, NIB_A_ALPHA, 0.01);
  return wide ? y : (double)(float)y;
}

static double real_unary(const nib_reference *r, const nib_node *n, double x) {
  float lo, hi;
  const nib_real_function *function = nib_params_real_function(n->op);
  const bool wide = r->use_double || nib_ref_tensor(r, n->out)->format == NIB_F64;
  if (function)
    return wide ? function->f64(x) : (double)function->f32((float)x);
  if (n->op == NIB_OP_LEAKY_RELU)
    return x > 0 ? x : leaky_slope(n, x, wide);
  nib_params_real_range(r->g, n, &lo, &hi); /* relu and clamp */
  return x < lo ? lo : x > hi ? hi : x;
}

nib_status nib_ref_unary(nib_reference *r, const nib_node *n) {
  const int64_t elems = nib_tensor_elems(nib_ref_tensor(r, n->out));
  if (nib_ref_is_real(nib_ref_tensor(r, n->out))) {
    double *x = nib_ref_load_reals(r, n->in[0]);
    if (!x)
      return NIB_ERROR_OUT_OF_MEMORY;
    for (int64_t i = 0; i < elems; ++i)
      x[i] = real_unary(r, n, x[i]);
    nib_ref_store_reals(r, n->out, x);
    free(x);
    return NIB_OK;
  }
  if (!nib_ref_tensor(r, n->out)->quantized)
    return nib_ref_integer_function(r, n);
  nib_unary_code u;
  NIB_RETURN_IF_ERROR(nib_params_unary_begin(r->g, n, &u));
  int64_t *x = nib_ref_load_codes(r, n->in[0], 0);
  if (!x)
    return NIB_ERROR_OUT_OF_MEMORY;
  for (int64_t i = 0; i < elems; ++i)
    x[i] = nib_params_unary_code(&u, x[i]);
  nib_ref_store_codes(r, n->out, x);
  free(x);
  return NIB_OK;
}

nib_status nib_ref_lookup(nib_reference *r, const nib_node *n) {
  const int64_t first = nib_format_get(nib_ref_tensor(r, n->in[0])->format)->min;
  const int64_t elems = nib_tensor_elems(nib_ref_tensor(r, n->out));
  int64_t *x = nib_ref_load_codes(r, n->in[0], first);
  int64_t *table = nib_ref_load_codes(r, n->in[1], 0);
  const nib_status status = x && table ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
  for (int64_t i = 0; status == NIB_OK && i < elems; ++i)
    x[i] = table[x[i]];
  if (status == NIB_OK)
    nib_ref_store_codes(r, n->out, x);
  free(x);
  free(table);
  return status;
}

/* ---- between reals and codes ---- */

/* Channel of flat element i along `axis` of `t`. */
static int64_t channel_of(const nib_tensor *t, int64_t axis, int64_t i) {
  if (axis < 0)
    axis += t->rank;
  for (int32_t d = t->rank - 1; d > axis; --d)
    i /= t->dims[d];
  return axis >= 0 && axis < t->rank ? i % t->dims[axis] : 0;
}

nib_status nib_ref_requantize(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]);
  const int64_t elems = nib_tensor_elems(x);
  nib_requantize_params p;
  NIB_RETURN_IF_ERROR(nib_params_requantize(r->g, n, &p));
  int64_t *codes = nib_ref_load_codes(r, n->in[0], p.in_zp);
  for (int64_t i = 0; codes && i < elems; ++i) {
    const nib_requant *q = &p.requant[p.n_requant > 1 ? channel_of(x, p.axis, i) : 0];
    const int64_t y = p.acc64 ? nib_params_rescale64(p.rounding, codes[i], q)
                              : nib_params_rescale(p.rounding, (int32_t)codes[i], q);
    codes[i] = nib_ref_clamp(y + p.out_zp, p.lo, p.hi);
  }
  if (codes)
    nib_ref_store_codes(r, n->out, codes);
  const nib_status status = codes ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
  free(p.requant);
  free(codes);
  return status;
}

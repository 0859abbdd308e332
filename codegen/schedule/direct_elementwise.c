// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Elementwise operators as expressions of one element.
#include "schedule/direct.h"

#include "params/params.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const nib_tensor *result_of(const nib_direct *d, const nib_node *n) {
  return &d->g->tensors[n->out];
}

static bool is_float(const nib_tensor *t) {
  return nib_format_get(t->format)->kind == NIB_KIND_FLOAT;
}

static nib_expr none(nib_direct *d, const nib_node *n, const char *what) {
  nib_direct_fail(d, n, NIB_ERROR_UNSUPPORTED, what);
  return nib_expr_printf("0");
}

static nib_expr requant_one(nib_direct *d, const nib_node *n, nib_rounding rounding,
                            const nib_requant *requant, const char *value) {
  nib_direct_multiplier m = {.rounding = rounding, .requant = requant, .n = 1};
  return nib_direct_requant(d, n, &m, value, "0");
}

static bool by_real_numbers(nib_rounding r) {
  return r == NIB_ROUNDING_NEAREST_EVEN || r == NIB_ROUNDING_NEAREST_AWAY;
}

/* Codes of a real value: the snippet of the rounding. */
static nib_expr quantize(nib_direct *d, const nib_node *n, nib_rounding rounding, const char *real,
                         float scale, int64_t zero_point, int64_t lo, int64_t hi) {
  const char *snippet =
      rounding == NIB_ROUNDING_NEAREST_EVEN ? "nib_quantize_even" : "nib_quantize_away";
  if (!nib_direct_use(d, n, snippet))
    return nib_expr_printf("0");
  return nib_expr_printf("%s(%.300s, %s, %lld, %lld, %lld)", snippet, real, nib_direct_f32(scale).s,
                         (long long)zero_point, (long long)lo, (long long)hi);
}

/* (float)(x - zp) * scale */
static nib_expr real_of(const char *x, int64_t zero_point, float scale) {
  return nib_expr_printf("(float)%.120s * %s", nib_direct_minus(x, zero_point).s,
                         nib_direct_f32(scale).s);
}

static nib_expr float_result(nib_direct *d, const nib_node *n, const char *value) {
  float lo, hi;
  nib_params_real_range(d->g, n, &lo, &hi);
  return nib_direct_clamp_f32(d, value, lo, hi);
}

/* ---- add, sub, mul, div ---- */

nib_expr nib_direct_step_add(nib_direct *d, const nib_node *n, const nib_expr *operands,
                             const char *index) {
  (void)index;
  const char *op = n->op == NIB_OP_SUB ? "-" : "+", *x = operands[0].s, *y = operands[1].s;
  if (is_float(result_of(d, n)))
    return float_result(d, n, nib_expr_printf("%.200s %s %.200s", x, op, y).s);
  nib_add_params p;
  if (nib_params_add(d->g, n, &p) != NIB_OK)
    return none(d, n, "these formats have no arithmetic");
  if (by_real_numbers(p.rounding)) {
    nib_expr sum = nib_expr_printf("%.200s %s %.200s", real_of(x, p.lhs_zp, p.lhs_scale).s, op,
                                   real_of(y, p.rhs_zp, p.rhs_scale).s);
    return quantize(d, n, p.rounding, sum.s, p.out_scale, p.out_zp, p.lo, p.hi);
  }
  nib_expr l = nib_expr_printf("%.120s * %" PRId64, nib_direct_minus(x, p.lhs_zp).s,
                               INT64_C(1) << p.left_shift);
  nib_expr r = nib_expr_printf("%.120s * %" PRId64, nib_direct_minus(y, p.rhs_zp).s,
                               INT64_C(1) << p.left_shift);
  l = requant_one(d, n, p.rounding, &p.lhs, l.s);
  r = requant_one(d, n, p.rounding, &p.rhs, r.s);
  nib_text_line(d->t, "const int32_t sum%d = %s %s %s;", d->position, l.s, op, r.s);
  char sum[32];
  snprintf(sum, sizeof sum, "sum%d", d->position);
  return nib_direct_saturate(d, n, requant_one(d, n, p.rounding, &p.out, sum).s, p.out_zp, p.lo,
                             p.hi);
}

nib_expr nib_direct_step_mul(nib_direct *d, const nib_node *n, const nib_expr *operands,
                             const char *index) {
  (void)index;
  const char *x = operands[0].s, *y = operands[1].s;
  if (is_float(result_of(d, n)))
    return float_result(d, n, nib_expr_printf("%.200s * %.200s", x, y).s);
  nib_mul_params p;
  if (nib_params_mul(d->g, n, &p) != NIB_OK)
    return none(d, n, "these formats have no arithmetic");
  if (by_real_numbers(p.rounding)) {
    nib_expr product = nib_expr_printf("(%.200s) * (%.200s)", real_of(x, p.lhs_zp, p.lhs_scale).s,
                                       real_of(y, p.rhs_zp, p.rhs_scale).s);
    return quantize(d, n, p.rounding, product.s, p.out_scale, p.out_zp, p.lo, p.hi);
  }
  nib_expr product = nib_expr_printf("%.55s * %.55s", nib_direct_minus(x, p.lhs_zp).s,
                                     nib_direct_minus(y, p.rhs_zp).s);
  return nib_direct_saturate(d, n, requant_one(d, n, p.rounding, &p.out, product.s).s, p.out_zp,
                             p.lo, p.hi);
}

nib_expr nib_direct_step_div(nib_direct *d, const nib_node *n, const nib_expr *operands,
                             const char *index) {
  (void)index;
  if (!is_float(result_of(d, n)))
    return none(d, n, "quantized division is not supported");
  return float_result(d, n, nib_expr_printf("%.200s / %.200s", operands[0].s, operands[1].s).s);
}

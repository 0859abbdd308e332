// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// add, sub, mul and div as expressions of one element.
#include "schedule/direct.h"

#include "params/params.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static nib_expr requant_one(nib_direct *d, const nib_node *n, nib_rounding rounding,
                            const nib_requant *requant, const char *value) {
  nib_direct_multiplier m = {.rounding = rounding, .requant = requant, .n = 1};
  return nib_direct_requant(d, n, &m, value, "0");
}

/* (float)(x - zp) * scale */
static nib_expr real_of(const char *x, int64_t zero_point, float scale) {
  return nib_expr_printf("(float)%s * %s", nib_direct_minus(x, zero_point).s,
                         nib_direct_f32(scale).s);
}

static const char *operator_of(const nib_node *n) {
  switch (n->op) {
  case NIB_OP_ADD:
    return "+";
  case NIB_OP_SUB:
    return "-";
  case NIB_OP_MUL:
    return "*";
  default:
    return "/";
  }
}

/* TFLite's integer form: both operands at a common finer scale, then their sum at the result's. */
static nib_expr add_fixed(nib_direct *d, const nib_node *n, const nib_add_params *p, const char *x,
                          const char *y) {
  const int64_t factor = INT64_C(1) << p->left_shift;
  nib_expr l = nib_expr_printf("%s * %" PRId64, nib_direct_minus(x, p->lhs_zp).s, factor);
  nib_expr r = nib_expr_printf("%s * %" PRId64, nib_direct_minus(y, p->rhs_zp).s, factor);
  l = requant_one(d, n, p->rounding, &p->lhs, l.s);
  r = requant_one(d, n, p->rounding, &p->rhs, r.s);
  nib_expr sum = nib_expr_printf("sum%d", d->position);
  nib_text_line(d->t, "const int32_t %s = %s %s %s;", sum.s, l.s, operator_of(n), r.s);
  return nib_direct_saturate(d, n, requant_one(d, n, p->rounding, &p->out, sum.s).s, p->out_zp,
                             p->lo, p->hi);
}

nib_expr nib_direct_step_add(nib_direct *d, const nib_node *n, const nib_expr *operands,
                             const char *index) {
  const char *op = operator_of(n), *x = operands[0].s, *y = operands[1].s;
  if (nib_direct_is_float(nib_direct_result(d, n)))
    return nib_direct_activate_real(d, n, nib_expr_printf("%s %s %s", x, op, y).s);
  if (!nib_direct_result(d, n)->quantized)
    return nib_direct_step_binary(d, n, operands, index);
  nib_add_params p;
  if (nib_params_add(d->g, n, &p) != NIB_OK)
    return nib_direct_none(d, n, "these formats have no arithmetic");
  if (!nib_direct_by_reals(p.rounding))
    return add_fixed(d, n, &p, x, y);
  nib_expr sum = nib_expr_printf("%s %s %s", real_of(x, p.lhs_zp, p.lhs_scale).s, op,
                                 real_of(y, p.rhs_zp, p.rhs_scale).s);
  return nib_direct_quantize(d, n, p.rounding, sum.s, p.lo, p.hi);
}

static nib_expr real_product(nib_direct *d, const nib_node *n, const nib_mul_params *p,
                             const char *x, const char *y) {
  nib_expr real = nib_expr_printf("(%s) %s (%s)", real_of(x, p->lhs_zp, p->lhs_scale).s,
                                  operator_of(n), real_of(y, p->rhs_zp, p->rhs_scale).s);
  return nib_direct_quantize(d, n, p->rounding, real.s, p->lo, p->hi);
}

nib_expr nib_direct_step_mul(nib_direct *d, const nib_node *n, const nib_expr *operands,
                             const char *index) {
  const char *x = operands[0].s, *y = operands[1].s;
  if (nib_direct_is_float(nib_direct_result(d, n)))
    return nib_direct_activate_real(d, n, nib_expr_printf("%s %s %s", x, operator_of(n), y).s);
  if (!nib_direct_result(d, n)->quantized)
    return nib_direct_step_binary(d, n, operands, index);
  nib_mul_params p;
  if (nib_params_mul(d->g, n, &p) != NIB_OK)
    return nib_direct_none(d, n, "these formats have no arithmetic");
  if (nib_direct_by_reals(p.rounding) || n->op == NIB_OP_DIV)
    return real_product(d, n, &p, x, y);
  nib_expr product =
      nib_expr_printf("%s * %s", nib_direct_minus(x, p.lhs_zp).s, nib_direct_minus(y, p.rhs_zp).s);
  return nib_direct_saturate(d, n, requant_one(d, n, p.rounding, &p.out, product.s).s, p.out_zp,
                             p.lo, p.hi);
}

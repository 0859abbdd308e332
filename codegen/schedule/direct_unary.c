// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Elementwise operators of one operand. A map from 8-bit codes to 8-bit codes that is not a plain
// clamp becomes a table of 256 entries.
#include "schedule/direct.h"

#include "params/params.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const nib_tensor *operand_of(const nib_direct *d, const nib_node *n) {
  return nib_node_input(d->g, n, 0);
}

bool nib_direct_same_codes(const nib_tensor *x, const nib_tensor *y) {
  return x->format == y->format && x->quantized == y->quantized && x->scale == y->scale &&
         x->zero_point == y->zero_point;
}

/* ---- 8 bits to 8 bits ---- */

static bool table_of(const nib_direct *d, const nib_node *n, uint8_t table[256]) {
  return nib_params_unary_table(d->g, n, table) == NIB_OK;
}

static nib_expr by_table(nib_direct *d, const nib_node *n, const uint8_t table[256],
                         const char *x) {
  char hint[64];
  snprintf(hint, sizeof hint, "%s_table", nib_op_get(n->op)->mnemonic);
  nib_expr p = nib_direct_constant(d, hint, nib_format_get(nib_direct_result(d, n)->format)->c_type,
                                   table, 256);
  const int64_t first = nib_format_get(operand_of(d, n)->format)->min;
  return nib_expr_printf("%s[%s]", p.s, nib_direct_minus(x, first).s);
}

/* The table is the node's second operand: operands[1] would be one element of it. */
nib_expr nib_direct_step_lookup(nib_direct *d, const nib_node *n, const nib_expr *operands,
                                const char *index) {
  (void)index;
  nib_expr p = nib_direct_pointer(d, n->in[1], "table");
  const int64_t first = nib_format_get(operand_of(d, n)->format)->min;
  return nib_expr_printf("%s[%s]", p.s, nib_direct_minus(operands[0].s, first).s);
}

/* ---- other formats ---- */

/* zero point + rescale(x - zero point), clamped. */
static nib_expr rescaled(nib_direct *d, const nib_node *n, const nib_unary_params *p,
                         const nib_requant *requant, const char *x) {
  nib_direct_multiplier m = {.rounding = p->rounding, .requant = requant, .n = 1};
  return nib_direct_requant(d, n, &m, nib_direct_minus(x, p->in_zp).s, "0");
}

/* relu, clamp and requantize: the codes at another scale, within the result's range. */
static nib_expr step_range(nib_direct *d, const nib_node *n, const char *x) {
  nib_unary_params p;
  uint8_t table[256];
  if (nib_params_unary(d->g, n, &p) != NIB_OK)
    return nib_direct_none(d, n, "these formats have no arithmetic");
  if (nib_direct_same_codes(operand_of(d, n), nib_direct_result(d, n)))
    return nib_direct_saturate(d, n, x, 0, p.lo, p.hi);
  if (table_of(d, n, table))
    return by_table(d, n, table, x);
  return nib_direct_saturate(d, n, rescaled(d, n, &p, &p.identity, x).s, p.out_zp, p.lo, p.hi);
}

nib_expr nib_direct_step_clamp(nib_direct *d, const nib_node *n, const nib_expr *operands,
                               const char *index) {
  (void)index;
  if (!nib_direct_is_float(nib_direct_result(d, n)))
    return step_range(d, n, operands[0].s);
  float lo, hi;
  nib_params_real_range(d->g, n, &lo, &hi);
  return nib_direct_clamp_real(nib_direct_result(d, n)->format, operands[0].s, lo, hi);
}

/* The operator on the real number in the variable `x`. */
static nib_expr of_real(const nib_node *n, const char *x) {
  const nib_real_function *function = nib_params_real_function(n->op);
  const nib_expr value = nib_expr_printf("%s", x);
  if (function)
    return nib_direct_substitute(function->text, "x", &value);
  const float alpha = (float)nib_node_float(n, NIB_A_ALPHA, 0.01);
  return nib_expr_printf("%s < 0 ? %s * %s : %s", x, x, nib_direct_f32(alpha).s, x);
}

/* Dequantize, the operator in f32, quantize. */
static nib_expr through_reals(nib_direct *d, const nib_node *n, const nib_unary_params *p,
                              const char *x) {
  nib_expr real = nib_expr_printf("real%d", d->position);
  nib_text_line(d->t, "const float %s = (float)%s * %s;", real.s, nib_direct_minus(x, p->in_zp).s,
                nib_direct_f32(p->in_scale).s);
  return nib_direct_quantize(d, n, p->rounding, of_real(n, real.s).s, p->lo, p->hi);
}

static nib_expr leaky_fixed(nib_direct *d, const nib_node *n, const nib_unary_params *p,
                            const char *x) {
  /* A negative slope keeps the multiplier positive. */
  nib_requant slope = p->alpha;
  const char *sign = slope.multiplier < 0 ? "-" : "";
  slope.multiplier = abs(slope.multiplier);
  nib_expr y =
      nib_expr_printf("(%s < %lld ? %s%s : %s)", x, (long long)p->in_zp, sign,
                      rescaled(d, n, p, &slope, x).s, rescaled(d, n, p, &p->identity, x).s);
  return nib_direct_saturate(d, n, y.s, p->out_zp, p->lo, p->hi);
}

nib_expr nib_direct_step_leaky_relu(nib_direct *d, const nib_node *n, const nib_expr *operands,
                                    const char *index) {
  (void)index;
  const char *x = operands[0].s;
  const float alpha = (float)nib_node_float(n, NIB_A_ALPHA, 0.01);
  uint8_t table[256];
  nib_unary_params p;
  if (nib_direct_is_float(nib_direct_result(d, n)))
    return nib_expr_printf("%s > 0 ? %s : %s * %s", x, x, x, nib_direct_f32(alpha).s);
  if (table_of(d, n, table))
    return by_table(d, n, table, x);
  if (nib_params_unary(d->g, n, &p) != NIB_OK)
    return nib_direct_none(d, n, "these formats have no arithmetic");
  return nib_params_unary_by_reals(n->op, p.rounding) ? through_reals(d, n, &p, x)
                                                      : leaky_fixed(d, n, &p, x);
}

static nib_expr logistic_i16(nib_direct *d, const nib_node *n, const char *x) {
  const char *snippet = n->op == NIB_OP_TANH ? "nib_tanh_i16" : "nib_logistic_i16";
  nib_logistic_params p;
  uint16_t table[256];
  if (nib_params_logistic_i16(d->g, n, &p) != NIB_OK)
    return nib_direct_none(d, n, "these formats have no arithmetic");
  if (!nib_direct_use(d, n, snippet))
    return nib_expr_printf("0");
  nib_params_logistic_table(table);
  nib_expr t = nib_direct_constant(d, "logistic_table", "uint16_t", table, sizeof table);
  return nib_expr_printf("%s(%s, %d, %d, %s)", snippet,
                         nib_direct_minus(x, operand_of(d, n)->zero_point).s, p.multiplier, p.shift,
                         t.s);
}

/* Operators with a row in functions.def. */
nib_expr nib_direct_step_function(nib_direct *d, const nib_node *n, const nib_expr *operands,
                                  const char *index) {
  (void)index;
  const char *x = operands[0].s;
  uint8_t table[256];
  nib_unary_params p;
  if (nib_direct_result(d, n)->format == NIB_F64)
    return nib_direct_substitute(nib_params_real_function(n->op)->text64, "x", operands);
  if (nib_direct_is_float(nib_direct_result(d, n)))
    return of_real(n, x);
  if (!nib_direct_result(d, n)->quantized)
    return nib_direct_integer_function(d, n, x);
  if (table_of(d, n, table))
    return by_table(d, n, table, x);
  if (nib_params_unary(d->g, n, &p) != NIB_OK)
    return nib_direct_none(d, n, "these formats have no arithmetic");
  if (nib_params_unary_by_reals(n->op, p.rounding))
    return through_reals(d, n, &p, x);
  if (operand_of(d, n)->format == NIB_I16 && nib_direct_result(d, n)->format == NIB_I16)
    return logistic_i16(d, n, x);
  return nib_direct_none(d, n, "these formats have no arithmetic");
}

/* ---- between reals and codes ---- */

/* Channel of the flat element `index` along `axis` of `t`. */
static nib_expr channel_of(const nib_tensor *t, int64_t axis, const char *index) {
  int64_t inner = 1;
  axis += axis < 0 ? t->rank : 0;
  if (axis < 0 || axis >= t->rank)
    return nib_expr_printf("0");
  for (int32_t i = t->rank - 1; i > axis; --i)
    inner *= t->dims[i];
  nib_expr at = inner > 1 ? nib_expr_printf("%s / %lld", index, (long long)inner)
                          : nib_expr_printf("%s", index);
  return axis == 0 ? at : nib_expr_printf("%s %% %lld", at.s, (long long)t->dims[axis]);
}

/* Multipliers that are operands: constants, one or one per channel. */
static nib_expr requantize_channels(nib_direct *d, const nib_node *n, const char *x,
                                    const char *index) {
  const nib_tensor *y = nib_direct_result(d, n);
  nib_requantize_params p;
  if (nib_params_requantize(d->g, n, &p) != NIB_OK)
    return nib_direct_none(d, n, "its scales must be constants");
  nib_direct_multiplier m = {
      .rounding = p.rounding, .acc64 = p.acc64, .requant = p.requant, .n = p.n_requant};
  nib_expr channel = channel_of(operand_of(d, n), p.axis, index);
  nib_expr value = nib_direct_requant(d, n, &m, nib_direct_minus(x, p.in_zp).s, channel.s);
  free(p.requant);
  if (y->format == NIB_I32 && p.out_zp == 0 && p.lo == INT32_MIN && p.hi == INT32_MAX)
    return value;
  return nib_direct_saturate(d, n, value.s, p.out_zp, p.lo, p.hi);
}

static bool has_operands(const nib_direct *d, const nib_node *n) {
  return n->op == NIB_OP_REQUANTIZE && (nib_node_input(d->g, n, 1) || nib_node_input(d->g, n, 2));
}

nib_expr nib_direct_step_requantize(nib_direct *d, const nib_node *n, const nib_expr *operands,
                                    const char *index) {
  uint8_t table[256];
  if (!has_operands(d, n))
    return step_range(d, n, operands[0].s);
  if (table_of(d, n, table))
    return by_table(d, n, table, operands[0].s);
  return requantize_channels(d, n, operands[0].s, index);
}

/* Index of the scale of the flat element `index`. */
static nib_expr scale_index(const nib_scale_map *m, const char *index) {
  nib_expr sum = {""};
  for (int32_t k = 0; k < m->n; ++k) {
    nib_expr at = nib_expr_printf("(%s)", index);
    if (m->divide[k] > 1)
      at = nib_expr_printf("%s / %lld", at.s, (long long)m->divide[k]);
    at = nib_expr_printf("%s %% %lld", at.s, (long long)m->extent[k]);
    if (m->stride[k] > 1)
      at = nib_expr_printf("%s * %lld", at.s, (long long)m->stride[k]);
    sum = nib_expr_printf("%s%s%s", sum.s, sum.s[0] ? " + " : "", at.s);
  }
  return sum.s[0] ? sum : nib_expr_printf("0");
}

/* Expressions of the scale and zero point of an element; reals are decoded, zero.s is "" where
 * there is none. */
typedef struct scaling {
  nib_expr scale, zero;
} scaling;

static nib_expr element_of(nib_direct *d, int32_t tensor, const char *hint, const char *at) {
  nib_expr p = nib_direct_pointer(d, tensor, hint);
  return nib_direct_decode(d->g->tensors[tensor].format, nib_expr_printf("%s[%s]", p.s, at).s);
}

static scaling scaling_of(nib_direct *d, const nib_node *n, const char *index) {
  scaling s = {{""}, {""}};
  nib_scale_map map;
  nib_scale_map_of(operand_of(d, n), nib_node_input(d->g, n, 1), nib_node_int(n, NIB_A_AXIS, 1),
                   &map);
  nib_expr at = scale_index(&map, index);
  s.scale = element_of(d, n->in[1], "scales", at.s);
  const nib_tensor *zeros = nib_node_input(d->g, n, 2);
  if (zeros)
    s.zero = element_of(d, n->in[2], "zero_points", nib_tensor_elems(zeros) == 1 ? "0" : at.s);
  return s;
}

static nib_expr quantize_by(nib_direct *d, const nib_node *n, const char *x, const char *index) {
  const nib_tensor *y = nib_direct_result(d, n);
  const nib_format_info *f = nib_format_get(y->format);
  const scaling s = scaling_of(d, n, index);
  if (nib_direct_is_float(y)) {
    nib_expr real = nib_expr_printf("(float)%s / (float)%s", x, s.scale.s);
    if (s.zero.s[0])
      real = nib_expr_printf("%s + (float)%s", real.s, s.zero.s);
    const bool saturate = nib_node_int(n, NIB_A_SATURATE, 1) != 0;
    return nib_direct_decode(y->format, nib_direct_encode(y->format, real.s, saturate).s);
  }
  const char *snippet = nib_node_rounding(d->g, n) == NIB_ROUNDING_NEAREST_EVEN
                            ? "nib_quantize_even"
                            : "nib_quantize_away";
  return nib_expr_printf("%s((float)%s, (float)%s, (int32_t)%s, %s, %s)", snippet, x, s.scale.s,
                         s.zero.s[0] ? s.zero.s : "0", nib_direct_i64(f->min).s,
                         nib_direct_i64(f->max).s);
}

nib_expr nib_direct_step_quantize(nib_direct *d, const nib_node *n, const nib_expr *operands,
                                  const char *index) {
  if (nib_node_input(d->g, n, 1))
    return quantize_by(d, n, operands[0].s, index);
  if (!nib_direct_is_float(operand_of(d, n)))
    return nib_direct_step_requantize(d, n, operands, index);
  const nib_format_info *f = nib_format_get(nib_direct_result(d, n)->format);
  return nib_direct_quantize(d, n, nib_node_rounding(d->g, n), operands[0].s, f->min, f->max);
}

/* Integer codes differ from integer zero points exactly; both fit 32 bits, or it is a real. */
nib_expr nib_direct_step_dequantize(nib_direct *d, const nib_node *n, const nib_expr *operands,
                                    const char *index) {
  const nib_tensor *x = operand_of(d, n), *zeros = nib_node_input(d->g, n, 2);
  const bool has_scales = nib_node_input(d->g, n, 1) != NULL;
  nib_expr code = nib_direct_is_float(x)
                      ? operands[0]
                      : nib_direct_number(x->format, operands[0].s, has_scales ? 0 : x->zero_point);
  if (!has_scales && !x->quantized)
    return nib_expr_printf("(float)%s", code.s); /* the numbers of a bipolar format */
  if (!has_scales)
    return nib_expr_printf("(float)%s * %s", code.s, nib_direct_f32((float)x->scale).s);
  const scaling s = scaling_of(d, n, index);
  if (!zeros)
    return nib_expr_printf("(float)%s * %s", code.s, s.scale.s);
  const bool real = nib_direct_is_float(x) || nib_direct_is_float(zeros);
  return nib_expr_printf("(float)(%s%s - %s) * %s", real ? "" : "(int64_t)", code.s, s.zero.s,
                         s.scale.s);
}

/* Blocks have a row of their own: nib_direct_op_of. */
bool nib_direct_cast_accepts(const nib_graph *g, const nib_node *n) {
  return nib_cast_is_scalar(g, n) || nib_direct_is_float(nib_node_input(g, n, 0)) ||
         nib_direct_is_float(&g->tensors[n->out]);
}

/* Codebooks and bipolar numbers to reals. */
static nib_expr number_to_real(nib_direct *d, const nib_node *n, const char *v) {
  const nib_tensor *x = operand_of(d, n), *y = nib_direct_result(d, n);
  nib_expr real = nib_format_get(x->format)->kind == NIB_KIND_BIPOLAR
                      ? nib_expr_printf("(float)%s", nib_direct_number(x->format, v, 0).s)
                      : nib_direct_real(d, x->format, v);
  if (nib_direct_is_stored_real(y->format))
    return nib_direct_decode(y->format, nib_direct_encode(y->format, real.s, false).s);
  return nib_expr_printf("(%s)%s", nib_direct_value_type(y->format), real.s);
}

/* Reals to the nearest number of a codebook, or of the odd ones that are bipolar. */
static nib_expr real_to_number(nib_direct *d, const nib_node *n, const char *v) {
  const nib_format format = nib_direct_result(d, n)->format;
  const nib_encode_mode mode = nib_node_encode_mode(n);
  if (nib_format_get(format)->kind == NIB_KIND_CODEBOOK)
    return nib_expr_printf(
        "(int32_t)%s",
        nib_direct_codebook_code(d, format, nib_expr_printf("(double)%s", v).s, mode).s);
  const int greatest = (1 << nib_format_get(format)->bits) - 1;
  nib_expr half = nib_expr_printf("((double)%s + %d) / 2", v, greatest), code;
  if (mode == NIB_ENCODE_TOWARD_ZERO)
    code = nib_expr_printf("%s < 0 ? ceil(%s) : floor(%s)", v, half.s, half.s);
  else if (mode == NIB_ENCODE_NEAREST_AWAY)
    code = nib_expr_printf("%s > 0 ? floor(%s + 0.5) : ceil(%s - 0.5)", v, half.s, half.s);
  else
    code = mode == NIB_ENCODE_UP
               ? nib_expr_printf("ceil(%s)", half.s)
               : nib_expr_printf(mode == NIB_ENCODE_DOWN ? "floor(%s)" : "nearbyint(%s)", half.s);
  return nib_expr_printf("(int32_t)nib_real_to_int(%s, 0, %d)", code.s, greatest);
}

/* The code of `v` in a format of less than 32 bits. f16 and bf16 have functions of their own from
 * f32, which is rounded once only if f32 holds `v`. */
static nib_expr encoded(const nib_node *n, const nib_tensor *x, nib_format to, const char *v) {
  const nib_real_layout *r = &nib_format_get(to)->real;
  const bool saturate = nib_node_int(n, NIB_A_SATURATE, 0) != 0;
  const nib_encode_mode mode = nib_node_encode_mode(n);
  const nib_format_info *from = nib_format_get(x->format);
  const bool single = x->format != NIB_F64 && (from->kind == NIB_KIND_FLOAT || from->bits <= 16);
  if (single && mode == NIB_ENCODE_NEAREST_EVEN)
    return nib_direct_encode(to, v, saturate);
  nib_expr real = nib_direct_sign_kept(to, nib_expr_printf("(double)%s", v).s);
  return nib_expr_printf("(%s)nib_minifloat_encode(%s, %d, %d, %d, %d, %d, %d, 0)",
                         nib_format_get(to)->c_type, real.s, r->exponent_bits, r->mantissa_bits,
                         r->bias, r->specials, mode, saturate);
}

/* The low bits of an integer, sign-extended; it has the width of its storage after that. */
static nib_expr low_bits(const nib_format_info *to, const char *type, const char *v) {
  if (to->bits == 8 * to->bytes)
    return nib_expr_printf("(%s)(%s)%s", type, to->c_type, v);
  if (to->kind == NIB_KIND_UNSIGNED)
    return nib_expr_printf("(int32_t)((uint32_t)%s & %uu)", v, (1u << to->bits) - 1);
  const unsigned half = 1u << (to->bits - 1);
  return nib_expr_printf("(int32_t)((((uint32_t)%s & %uu) ^ %uu) - %uu)", v, 2 * half - 1, half,
                         half);
}

static nib_expr real_to_code(const nib_node *n, nib_format format, const char *v) {
  const nib_format_info *to = nib_format_get(format);
  const char *type = nib_direct_value_type(format);
  if (format == NIB_U64)
    return nib_expr_printf("nib_real_to_uint64(%s)", v);
  if (to->bits >= 8 || nib_node_int(n, NIB_A_SATURATE, 0))
    return nib_expr_printf("(%s)nib_real_to_int(%s, %s, %s)", type, v, nib_direct_i64(to->min).s,
                           nib_direct_i64(to->max).s);
  return low_bits(to, type, nib_expr_printf("nib_real_to_int(%s, INT32_MIN, INT32_MAX)", v).s);
}

static nib_expr integer_to_code(const nib_node *n, const nib_tensor *x, nib_format format,
                                const char *v) {
  const nib_format_info *to = nib_format_get(format), *from = nib_format_get(x->format);
  const char *type = nib_direct_value_type(format);
  const bool saturate = nib_node_int(n, NIB_A_SATURATE, 0) != 0;
  if (!saturate || format == NIB_U64 || x->format == NIB_U64)
    return low_bits(to, type, v);
  nib_expr y = nib_expr_printf("(int64_t)%s", v);
  if (from->max > to->max)
    y = nib_expr_printf("(%s > %s ? %s : %s)", y.s, nib_direct_i64(to->max).s,
                        nib_direct_i64(to->max).s, y.s);
  if (from->min < to->min)
    y = nib_expr_printf("((int64_t)%s < %s ? %s : %s)", v, nib_direct_i64(to->min).s,
                        nib_direct_i64(to->min).s, y.s);
  return nib_expr_printf("(%s)%s", type, y.s);
}

/* Casts: docs/numerics.md. */
nib_expr nib_direct_step_cast(nib_direct *d, const nib_node *n, const nib_expr *operands,
                              const char *index) {
  (void)index;
  const nib_tensor *x = operand_of(d, n), *y = nib_direct_result(d, n);
  const char *v = operands[0].s;
  if (nib_format_get(x->format)->kind > NIB_KIND_FLOAT)
    return number_to_real(d, n, v);
  if (nib_format_get(y->format)->kind > NIB_KIND_FLOAT)
    return real_to_number(d, n, v);
  if (y->format == NIB_I1)
    return nib_expr_printf("%s != 0", v);
  if (nib_direct_is_stored_real(y->format))
    return nib_direct_decode(y->format, encoded(n, x, y->format, v).s);
  if (nib_direct_is_float(y))
    return nib_expr_printf("(%s)%s", nib_direct_value_type(y->format), v);
  return nib_direct_is_float(x) ? real_to_code(n, y->format, v)
                                : integer_to_code(n, x, y->format, v);
}

nib_expr nib_direct_step_identity(nib_direct *d, const nib_node *n, const nib_expr *operands,
                                  const char *index) {
  (void)d, (void)n, (void)index;
  return operands[0];
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Elementwise operators from codes to codes, one code at a time, and 8-bit ones as tables. */
#include "params/params.h"

#include "num/snippets.h"

#include <math.h>
#include <string.h>

enum { LOGISTIC_INTEGER_BITS = 4 };

static bool is_float_mode(nib_rounding r) {
  return r == NIB_ROUNDING_NEAREST_EVEN || r == NIB_ROUNDING_NEAREST_AWAY;
}

int32_t nib_params_input_radius(int32_t integer_bits, int32_t shift) {
  const double largest = (double)((1 << integer_bits) - 1);
  return (int32_t)floor(ldexp(largest, 31 - integer_bits - shift));
}

static int64_t clamp64(int64_t x, int64_t lo, int64_t hi) { return x < lo ? lo : x > hi ? hi : x; }

static float real_result(const nib_node *n, float x) {
  const nib_real_function *function = nib_params_real_function(n->op);
  if (function)
    return function->f32(x);
  if (n->op == NIB_OP_LEAKY_RELU)
    return x < 0 ? x * (float)nib_node_float(n, NIB_A_ALPHA, 0.01) : x;
  return x;
}

/* What the unfused graph computes: dequantize, the operator in f32, quantize. */
static int64_t float_code(const nib_unary_code *u, int32_t x) {
  const float y = real_result(u->n, (float)x * u->p.in_scale);
  const int32_t zp = (int32_t)u->p.out_zp, lo = (int32_t)u->p.lo, hi = (int32_t)u->p.hi;
  return u->p.rounding == NIB_ROUNDING_NEAREST_EVEN
             ? nib_quantize_even(y, u->p.out_scale, zp, lo, hi)
             : nib_quantize_away(y, u->p.out_scale, zp, lo, hi);
}

/* TFLite's fixed-point sigmoid and tanh: results in steps of 1/256 and 1/128. */
static int64_t sigmoidal_code(const nib_unary_code *u, int32_t x) {
  const bool tanh_op = u->n->op == NIB_OP_TANH;
  if (x <= -u->radius)
    return u->p.lo;
  if (x >= u->radius)
    return u->p.hi;
  const int32_t q4 = nib_rq_tflite_double(x, u->multiplier, u->shift);
  const int32_t q0 = tanh_op ? nib_fx_tanh(q4) : nib_fx_logistic(q4);
  const int64_t code = nib_shift_right_round(q0, tanh_op ? 24 : 23) + u->p.out_zp;
  return clamp64(code, u->p.lo, u->p.hi);
}

/* 16-bit factors: twice the upper half of the product, rounded half up. */
static int32_t high_round16(int32_t a, int32_t b) { return (a * b + (1 << 14)) >> 15; }

static int32_t shift_left16(int32_t x, int32_t n) {
  return (int32_t)clamp64((int64_t)x * (INT64_C(1) << n), INT16_MIN, INT16_MAX);
}

/* Ties away from zero. The mask has 16 bits: by 16 places or more, 0 and above become 1, others -1. */
static int32_t shift_right16(int32_t x, int32_t n) {
  const int16_t mask = (int16_t)(uint16_t)((UINT32_C(1) << n) - 1);
  return (x >> n) + ((x & mask) > (mask >> 1) + (x < 0));
}

/* TFLite's hard_swish, all in 16 bits: x in 1/128 of its scale, at the result's scale but for the
 * last shift, times the gate (x + 3) / 6 in 1/32768; -3 … 3 are the gate's range, saturated. */
static int64_t hard_swish_code(const nib_unary_code *u, int32_t x) {
  const int32_t fine = x * 128, value = high_round16(fine, u->multiplier);
  int32_t gate = u->gate_shift > 0 ? shift_left16(fine, u->gate_shift - 1) : fine;
  gate = high_round16(gate, u->gate_multiplier);
  gate = u->gate_shift > 0 ? shift_left16(gate, 1) : shift_right16(gate, -u->gate_shift);
  gate = (gate + (1 << 15)) >> 1;
  const int32_t y = shift_right16(gate * value / (1 << 15), -u->shift);
  return clamp64(y + u->p.out_zp, u->p.lo, u->p.hi);
}

/* A multiplier of 16 bits instead of 32. */
static void quantize_multiplier16(float real, int32_t *out_multiplier, int32_t *out_shift) {
  nib_quantize_multiplier((double)real, out_multiplier, out_shift);
  const int64_t rounded = ((int64_t)*out_multiplier + (1 << 15)) >> 16;
  *out_multiplier = (int32_t)clamp64(rounded, 0, INT16_MAX);
}

/* Results in steps below 1/128 of the operand's have no such arithmetic. */
static void begin_hard_swish(nib_unary_code *u) {
  const float fine_scale = u->p.in_scale * (1.0f / 128.0f);
  quantize_multiplier16(fine_scale / u->p.out_scale, &u->multiplier, &u->shift);
  quantize_multiplier16(fine_scale / (3.0f / 32768.0f), &u->gate_multiplier, &u->gate_shift);
  u->fixed = u->shift <= 0 ? hard_swish_code : NULL;
}

bool nib_params_unary_by_reals(nib_op op, nib_rounding rounding) {
  if (op == NIB_OP_SIGMOID || op == NIB_OP_TANH || op == NIB_OP_LEAKY_RELU)
    return is_float_mode(rounding);
  return nib_params_real_function(op) != NULL;
}

int64_t nib_params_unary_code(const nib_unary_code *u, int64_t code) {
  const int32_t x = (int32_t)(code - u->p.in_zp);
  const nib_op op = u->n->op;
  if (u->fixed)
    return u->fixed(u, x);
  if (nib_params_unary_by_reals(op, u->p.rounding))
    return float_code(u, x);
  if (u->sixteen)
    return op == NIB_OP_TANH ? nib_tanh_i16(x, u->multiplier, u->shift, u->table)
                             : nib_logistic_i16(x, u->multiplier, u->shift, u->table);
  const bool negative = op == NIB_OP_LEAKY_RELU && x < 0;
  if (negative && u->p.alpha.multiplier < 0) { /* a negative slope: the multiplier stays positive */
    nib_requant positive = u->p.alpha;
    positive.multiplier = -positive.multiplier;
    return clamp64(u->p.out_zp - nib_params_rescale(u->p.rounding, x, &positive), u->p.lo, u->p.hi);
  }
  const nib_requant *q = negative ? &u->p.alpha : &u->p.identity;
  return clamp64(u->p.out_zp + nib_params_rescale(u->p.rounding, x, q), u->p.lo, u->p.hi);
}

static bool is_unary_op(nib_op op) {
  return nib_op_get(op)->family == NIB_FAMILY_FUNCTION || op == NIB_OP_REQUANTIZE;
}

nib_status nib_params_unary_begin(const nib_graph *g, const nib_node *n,
                                  nib_unary_code *out_unary) {
  nib_unary_code *u = out_unary;
  memset(u, 0, sizeof *u);
  u->n = n;
  const nib_tensor *x = nib_node_input(g, n, 0), *y = &g->tensors[n->out];
  if (!is_unary_op(n->op) || !x)
    return NIB_ERROR_UNSUPPORTED;
  NIB_RETURN_IF_ERROR(nib_params_unary(g, n, &u->p));
  if (is_float_mode(u->p.rounding))
    return NIB_OK;
  if (n->op == NIB_OP_HARD_SWISH && nib_format_bytes(x->format) == 1 &&
      nib_format_bytes(y->format) == 1)
    begin_hard_swish(u);
  if (n->op != NIB_OP_SIGMOID && n->op != NIB_OP_TANH)
    return NIB_OK;
  if (x->format == NIB_I16) {
    nib_logistic_params p;
    NIB_RETURN_IF_ERROR(nib_params_logistic_i16(g, n, &p));
    u->multiplier = p.multiplier;
    u->shift = p.shift;
    nib_params_logistic_table(u->table);
    u->sixteen = true;
    return NIB_OK;
  }
  nib_quantize_multiplier(ldexp(x->scale, 31 - LOGISTIC_INTEGER_BITS), &u->multiplier, &u->shift);
  u->radius = nib_params_input_radius(LOGISTIC_INTEGER_BITS, u->shift);
  u->fixed = sigmoidal_code;
  return NIB_OK;
}

nib_status nib_params_unary_table(const nib_graph *g, const nib_node *n, uint8_t out_table[256]) {
  const nib_tensor *x = nib_node_input(g, n, 0), *y = &g->tensors[n->out];
  nib_unary_code u;
  if (!x || nib_node_input(g, n, 1) || !x->quantized || !y->quantized ||
      nib_format_bytes(x->format) != 1 || nib_format_bytes(y->format) != 1)
    return NIB_ERROR_UNSUPPORTED;
  NIB_RETURN_IF_ERROR(nib_params_unary_begin(g, n, &u));
  const int64_t first = nib_format_get(x->format)->min;
  for (int i = 0; i < 256; ++i)
    out_table[i] = (uint8_t)nib_params_unary_code(&u, first + i);
  return NIB_OK;
}

/* A function of a real number in the arithmetic of f32. */
static float real_function(const nib_graph *g, const nib_node *n, float x) {
  float lo, hi;
  if (nib_params_real_function(n->op) || n->op == NIB_OP_LEAKY_RELU)
    return real_result(n, x);
  nib_params_real_range(g, n, &lo, &hi); /* relu and clamp */
  return x < lo ? lo : x > hi ? hi : x;
}

nib_status nib_params_real_table(const nib_graph *g, const nib_node *n, uint8_t out_table[256]) {
  const nib_tensor *x = nib_node_input(g, n, 0), *y = &g->tensors[n->out];
  if (nib_op_get(n->op)->family != NIB_FAMILY_FUNCTION || !x || x->format != y->format ||
      x->quantized || y->quantized)
    return NIB_ERROR_UNSUPPORTED;
  const nib_format_info *info = nib_format_get(x->format);
  if ((info->kind != NIB_KIND_FLOAT && info->kind != NIB_KIND_CODEBOOK) || info->bits > 8)
    return NIB_ERROR_UNSUPPORTED;
  for (int64_t i = 0; i < 256; ++i) {
    const float value = (float)nib_format_decode(x->format, (uint64_t)i & ((1u << info->bits) - 1));
    nib_format_store_real(y->format, out_table, i, (double)real_function(g, n, value));
  }
  return NIB_OK;
}

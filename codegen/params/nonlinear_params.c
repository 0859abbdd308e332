/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Arithmetic of means, softmax and 16-bit sigmoid and tanh. */
#include "params/params.h"

#include "num/snippets.h"

#include <stdlib.h>
#include <string.h>

static bool is_float_mode(nib_rounding r) {
  return r == NIB_ROUNDING_NEAREST_EVEN || r == NIB_ROUNDING_NEAREST_AWAY;
}

/* TFLite's mean divides by the count inside the multiplier: as many bits as the count has are moved
 * from the shift into it first, and the division truncates. */
static nib_requant divide_requant(nib_requant r, int64_t count) {
  int32_t bits = 0;
  while (bits < 32 && (count >> (bits + 1)) > 0)
    ++bits;
  if (bits > 31 + r.shift)
    bits = 31 + r.shift;
  const int64_t multiplier = r.multiplier * (INT64_C(1) << bits) / count;
  return (nib_requant){(int32_t)multiplier, r.shift - bits, r.scale};
}

static bool is_tosa_mode(nib_rounding r) {
  return r == NIB_ROUNDING_TOSA_SINGLE || r == NIB_ROUNDING_TOSA_DOUBLE ||
         r == NIB_ROUNDING_TOSA_INEXACT;
}

/* TOSA's reciprocal_scale: 1 / count as a multiplier of 31 bits, rounded down from 2^30 + 1. */
static nib_requant reciprocal(int64_t count) {
  int32_t k = 0;
  while ((INT64_C(1) << k) < count)
    ++k;
  const int64_t multiplier = (((INT64_C(1) << 30) + 1) << k) / count;
  return (nib_requant){(int32_t)multiplier, 1 - k, (float)(1.0 / (double)count)};
}

nib_status nib_params_mean(const nib_graph *g, const nib_node *n, int64_t count,
                           nib_mean_params *out_params) {
  nib_mean_params *p = out_params;
  const nib_tensor *x = nib_node_input(g, n, 0), *y = &g->tensors[n->out];
  memset(p, 0, sizeof *p);
  if (!x || !x->quantized || !y->quantized || count < 1)
    return NIB_ERROR_INVALID_INPUT;
  p->rounding = nib_node_rounding(g, n);
  p->in_zp = x->zero_point;
  p->out_zp = y->zero_point;
  nib_params_code_range(g, n, &p->lo, &p->hi);
  const bool same = x->scale == y->scale && x->zero_point == y->zero_point;
  if (is_float_mode(p->rounding)) {
    p->out = nib_requant_from_real(x->scale / (y->scale * (double)count));
  } else if (n->op == NIB_OP_AVG_POOL2D && is_tosa_mode(p->rounding) && x->scale == y->scale &&
             count <= INT32_MAX) {
    p->rounding = NIB_ROUNDING_TOSA_SINGLE;
    p->out = reciprocal(count);
  } else if (n->op == NIB_OP_AVG_POOL2D && same) {
    p->divide = true;
  } else {
    const nib_requant whole = nib_requant_from_real(x->scale / y->scale);
    p->out = divide_requant(whole, count);
    p->out.scale = (float)(x->scale / (y->scale * (double)count));
  }
  return NIB_OK;
}

enum { SOFTMAX_INTEGER_BITS = 5 };

nib_status nib_params_softmax(const nib_graph *g, const nib_node *n,
                              nib_softmax_params *out_params) {
  nib_softmax_params *p = out_params;
  const nib_tensor *x = nib_node_input(g, n, 0), *y = &g->tensors[n->out];
  memset(p, 0, sizeof *p);
  if (!x || !x->quantized || !y->quantized)
    return NIB_ERROR_INVALID_INPUT;
  p->fixed_point = !is_float_mode(nib_node_rounding(g, n)) && x->format == y->format &&
                   (nib_format_bytes(x->format) == 1 || x->format == NIB_I16);
  const double beta = (float)nib_node_float(n, NIB_A_BETA, 1.0);
  if (x->format == NIB_I16) {
    nib_quantize_multiplier(x->scale * beta / (10.0 / 65535.0), &p->multiplier, &p->shift);
    return NIB_OK;
  }
  const double real = ldexp(x->scale * beta, 31 - SOFTMAX_INTEGER_BITS);
  nib_quantize_multiplier(fmin(real, 2147483647.0), &p->multiplier, &p->shift);
  if (p->shift < 0 || real <= 0)
    p->fixed_point = false; /* such a scale is outside what TFLite accepts */
  else
    p->diff_min = -nib_params_input_radius(SOFTMAX_INTEGER_BITS, p->shift);
  return NIB_OK;
}

static double exp_of(double x) { return exp(x); }
static double inverse_of(double x) { return 1.0 / (1.0 + x); }

/* 512 steps from lo to hi, in double; each entry is lowered by half the error that interpolation
 * makes in the middle of its step. Values in [-1, 1] become the 16-bit range. */
static void fill_lut513(double lo, double hi, double (*f)(double), int16_t *table) {
  const double step = (hi - lo) / 512, half = step / 2;
  for (int i = 0; i < 512; ++i) {
    const double sample = round(f(lo + i * step) * 32768);
    const double interpolated = round((f(lo + (i + 1) * step) * 32768 + sample) / 2);
    const double middle = round(f(lo + i * step + half) * 32768);
    const double value = sample - round((interpolated - middle) / 2);
    table[i] = (int16_t)fmin(fmax(value, -32768), 32767);
  }
  table[512] = (int16_t)fmin(fmax(round(f(hi) * 32768), -32768), 32767);
}

void nib_params_softmax_tables(int16_t out_exp[513], int16_t out_inverse[513]) {
  fill_lut513(-10, 0, exp_of, out_exp);
  fill_lut513(0, 1, inverse_of, out_inverse);
}

nib_status nib_params_logistic_i16(const nib_graph *g, const nib_node *n,
                                   nib_logistic_params *out_params) {
  const nib_tensor *x = nib_node_input(g, n, 0);
  if (!x || !x->quantized || x->format != NIB_I16)
    return NIB_ERROR_INVALID_INPUT;
  const float log2_scale = (float)(log(x->scale) * (1.0 / log(2.0)));
  const float rounded = roundf(log2_scale);
  const int32_t shift = 12 + (int32_t)rounded;
  const bool one_is_enough = n->op == NIB_OP_TANH;
  if (fabsf(log2_scale - rounded) < 1e-3f && (shift == 0 || (shift == 1 && one_is_enough))) {
    *out_params = (nib_logistic_params){.multiplier = 3 << shift, .shift = 0};
    return NIB_OK;
  }
  double multiplier = x->scale * 4096.0 * 3.0;
  nib_logistic_params p = {0};
  for (; multiplier <= 32767.0 / 2.0 && p.shift <= 30; multiplier *= 2.0)
    ++p.shift;
  p.multiplier = (int32_t)fmin(multiplier, 32767.0);
  if (p.shift > 30)
    p.shift = 30;
  *out_params = p;
  return NIB_OK;
}

void nib_params_logistic_table(uint16_t out_table[256]) {
  /* TFLite's table is 65536 / (1 + exp(-i / 24)), rounded, except for these entries, one higher. */
  static const uint64_t one_higher[4] = {UINT64_C(0xc0467baefa7bd110), UINT64_C(0x11009020440005),
                                         UINT64_C(0x80), UINT64_C(0x8000000000000000)};
  for (int i = 0; i < 256; ++i) {
    const double exact = 65536.0 / (1.0 + exp(-i / 24.0));
    out_table[i] = (uint16_t)(floor(exact + 0.5) + ((one_higher[i / 64] >> (i % 64)) & 1));
  }
}

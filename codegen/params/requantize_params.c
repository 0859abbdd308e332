/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Arithmetic of requantize: multipliers derived from scales, or given. */
#include "params/params.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The multiplier m / 2^s as the snippets take it. A 64-bit input has the 16-bit multiply of
 * tflite-int64, which reduces 31 bits to 16 first: the shift by 16 undoes that exactly. */
static nib_requant given(int32_t multiplier, int32_t shift, bool acc64) {
  nib_requant q = {.multiplier = multiplier, .shift = 31 - shift};
  q.scale = (float)ldexp(multiplier, -shift);
  if (acc64) {
    q.multiplier = multiplier * 65536;
    q.shift = 15 - shift;
  }
  return q;
}

nib_requant nib_params_given_requant(const nib_tensor *multipliers, const nib_tensor *shifts,
                                     int64_t i, bool acc64) {
  int32_t multiplier;
  memcpy(&multiplier, (const char *)multipliers->data + (size_t)i * sizeof multiplier,
         sizeof multiplier);
  return given(multiplier, ((const int8_t *)shifts->data)[i], acc64);
}

static nib_status fill(const nib_tensor *scales, const nib_tensor *multipliers,
                       const nib_tensor *shifts, double out_scale, nib_requantize_params *p) {
  const nib_tensor *entries = scales ? scales : multipliers;
  const int64_t count = nib_tensor_elems(entries);
  if (!entries->data || (shifts && !shifts->data) || count < 1 || count > INT32_MAX / 16)
    return NIB_ERROR_UNSUPPORTED;
  p->requant = malloc((size_t)count * sizeof *p->requant);
  if (!p->requant)
    return NIB_ERROR_OUT_OF_MEMORY;
  p->n_requant = (int32_t)count;
  for (int64_t i = 0; i < count; ++i)
    p->requant[i] = scales ? nib_requant_from_real(nib_real_at(scales, i) / out_scale)
                           : nib_params_given_requant(multipliers, shifts, i, p->acc64);
  return NIB_OK;
}

nib_status nib_params_requantize(const nib_graph *g, const nib_node *n,
                                 nib_requantize_params *out_params) {
  nib_requantize_params *p = out_params;
  const nib_tensor *x = nib_node_input(g, n, 0), *y = &g->tensors[n->out];
  const bool is_requantize = n->op == NIB_OP_REQUANTIZE;
  const nib_tensor *scales = is_requantize ? nib_node_input(g, n, 1) : NULL;
  const nib_tensor *multipliers = is_requantize ? nib_node_input(g, n, 2) : NULL;
  memset(p, 0, sizeof *p);
  if (!x || nib_format_get(x->format)->kind == NIB_KIND_FLOAT ||
      nib_format_get(y->format)->kind == NIB_KIND_FLOAT || (!y->quantized && !multipliers) ||
      (!x->quantized && !scales && !multipliers))
    return NIB_ERROR_INVALID_INPUT;
  p->rounding = nib_node_rounding(g, n);
  p->acc64 = x->format == NIB_I64;
  p->axis = nib_node_int(n, NIB_A_AXIS, x->rank - 1);
  p->in_zp = x->quantized ? x->zero_point : 0;
  p->out_zp = y->quantized ? y->zero_point : 0;
  nib_params_code_range(g, n, &p->lo, &p->hi);
  if (scales || multipliers)
    return fill(scales, multipliers, nib_node_input(g, n, 3), (double)(float)y->scale, p);
  p->requant = malloc(sizeof *p->requant);
  if (!p->requant)
    return NIB_ERROR_OUT_OF_MEMORY;
  p->n_requant = 1;
  p->requant[0] = nib_requant_from_real((double)(float)x->scale / (double)(float)y->scale);
  return NIB_OK;
}

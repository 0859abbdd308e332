// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Requantization and saturation as expressions.
#include "schedule/direct.h"

#include "emit/snippets.h"
#include "params/params.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How each rounding mode is said: its snippet, and whether that takes a float scale. */
static const struct rounding_row {
  const char *snippet, *snippet64; /* for 32- and 64-bit accumulators */
  bool by_scale;
} rows[NIB_ROUNDING_COUNT] = {
    [NIB_ROUNDING_NEAREST_EVEN] = {"nib_rq_nearest_even", "nib_rq64_nearest_even", true},
    [NIB_ROUNDING_NEAREST_AWAY] = {"nib_rq_nearest_away", "nib_rq64_nearest_away", true},
    [NIB_ROUNDING_TFLITE_SINGLE] = {"nib_rq_tflite_single", "nib_rq_tflite_int64", false},
    [NIB_ROUNDING_TFLITE_DOUBLE] = {"nib_rq_tflite_double", "nib_rq_tflite_int64", false},
    [NIB_ROUNDING_TFLITE_INT64] = {"nib_rq_tflite_double", "nib_rq_tflite_int64", false},
    [NIB_ROUNDING_DYADIC] = {"nib_rq_dyadic", "nib_rq_tflite_int64", false},
    [NIB_ROUNDING_TOSA_SINGLE] = {"nib_rq_tosa_single", "nib_rq_tflite_int64", false},
    [NIB_ROUNDING_TOSA_DOUBLE] = {"nib_rq_tosa_double", "nib_rq_tflite_int64", false},
    [NIB_ROUNDING_TFLITE_AWAY] = {"nib_rq_tflite_away", "nib_rq_tflite_int64", false},
    [NIB_ROUNDING_TOSA_INEXACT] = {"nib_rq_tosa_inexact", "nib_rq_tflite_int64", false},
};

static const char *snippet_of(nib_rounding rounding, bool acc64) {
  return acc64 ? rows[rounding].snippet64 : rows[rounding].snippet;
}

bool nib_direct_can_round(nib_rounding rounding, bool acc64) {
  return nib_snippet_exists(snippet_of(rounding, acc64));
}

/* An array over channels of one member of the multipliers, or its literal when there is one. */
static nib_expr channel_i32(nib_direct *d, const nib_direct_multiplier *m, bool shift,
                            const char *channel) {
  if (m->n == 1)
    return nib_direct_i64(shift ? m->requant[0].shift : m->requant[0].multiplier);
  int32_t *all = malloc((size_t)m->n * sizeof *all);
  if (!all) {
    d->status = NIB_ERROR_OUT_OF_MEMORY;
    return nib_expr_printf("0");
  }
  for (int32_t i = 0; i < m->n; ++i)
    all[i] = shift ? m->requant[i].shift : m->requant[i].multiplier;
  nib_expr p = nib_direct_constant(d, shift ? "shift" : "multiplier", "int32_t", all,
                                   (size_t)m->n * sizeof *all);
  free(all);
  return nib_expr_printf("%s[%s]", p.s, channel);
}

static nib_expr channel_scale(nib_direct *d, const nib_direct_multiplier *m, const char *channel) {
  if (m->n == 1)
    return nib_direct_f32(m->requant[0].scale);
  float *all = malloc((size_t)m->n * sizeof *all);
  if (!all) {
    d->status = NIB_ERROR_OUT_OF_MEMORY;
    return nib_expr_printf("0");
  }
  for (int32_t i = 0; i < m->n; ++i)
    all[i] = m->requant[i].scale;
  nib_expr p = nib_direct_constant(d, "scale", "float", all, (size_t)m->n * sizeof *all);
  free(all);
  return nib_expr_printf("%s[%s]", p.s, channel);
}

nib_expr nib_direct_requant(nib_direct *d, const nib_node *n, const nib_direct_multiplier *m,
                            const char *acc, const char *channel) {
  const char *snippet = snippet_of(m->rounding, m->acc64);
  if (!nib_direct_use(d, n, snippet))
    return nib_expr_printf("0");
  if (rows[m->rounding].by_scale)
    return nib_expr_printf("%s(%s, %s)", snippet, acc, channel_scale(d, m, channel).s);
  nib_expr multiplier = channel_i32(d, m, false, channel), shift = channel_i32(d, m, true, channel);
  return nib_expr_printf("%s(%s, %s, %s)", snippet, acc, multiplier.s, shift.s);
}

/* Clamping before the zero point is added keeps a saturated value from overflowing. */
nib_expr nib_direct_saturate(nib_direct *d, const nib_node *n, const char *value,
                             int64_t zero_point, int64_t lo, int64_t hi) {
  if (!nib_direct_use(d, n, "nib_clamp_i32"))
    return nib_expr_printf("0");
  nib_expr clamped =
      nib_expr_printf("nib_clamp_i32(%s, %s, %s)", value, nib_direct_i64(lo - zero_point).s,
                      nib_direct_i64(hi - zero_point).s);
  return nib_direct_plus(clamped.s, zero_point);
}

bool nib_direct_by_reals(nib_rounding r) {
  return r == NIB_ROUNDING_NEAREST_EVEN || r == NIB_ROUNDING_NEAREST_AWAY;
}

nib_expr nib_direct_quantize(nib_direct *d, const nib_node *n, nib_rounding rounding,
                             const char *real, int64_t lo, int64_t hi) {
  const nib_tensor *y = &d->g->tensors[n->out];
  const nib_format_info *f = nib_format_get(y->format);
  if (f->kind == NIB_KIND_BIPOLAR)
    return nib_direct_use(d, n, "nib_quantize_bipolar")
               ? nib_expr_printf("nib_quantize_bipolar(%s, %d)", real, f->bits)
               : nib_expr_printf("0");
  const char *snippet =
      rounding == NIB_ROUNDING_NEAREST_EVEN ? "nib_quantize_even" : "nib_quantize_away";
  if (!nib_direct_use(d, n, snippet))
    return nib_expr_printf("0");
  return nib_expr_printf("%s(%s, %s, %s, %s, %s)", snippet, real, nib_direct_f32((float)y->scale).s,
                         nib_direct_i64(y->zero_point).s, nib_direct_i64(lo).s,
                         nib_direct_i64(hi).s);
}

nib_expr nib_direct_activate_real(nib_direct *d, const nib_node *n, const char *value) {
  float lo, hi;
  const bool is_double = nib_direct_result(d, n)->format == NIB_F64;
  if (strcmp(nib_node_string(n, NIB_A_ACTIVATION, "none"), "tanh") == 0)
    return nib_expr_printf(is_double ? "tanh(%s)" : "tanhf(%s)", value);
  nib_params_real_range(d->g, n, &lo, &hi);
  return nib_direct_clamp_real(nib_direct_result(d, n)->format, value, lo, hi);
}

nib_expr nib_direct_clamp_real(nib_format format, const char *value, float lo, float hi) {
  if (isinf(lo) && isinf(hi))
    return nib_expr_printf("%s", value);
  return nib_expr_printf("nib_clamp_%s(%s, %s, %s)", format == NIB_F64 ? "f64" : "f32", value,
                         nib_direct_f32(lo).s, nib_direct_f32(hi).s);
}

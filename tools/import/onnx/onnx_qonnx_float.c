/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * QONNX's FloatQuant: the nearest number, in the sense of a rounding mode, of a format with so many
 * exponent and mantissa bits, within a largest value. */
#include "onnx_build.h"
#include "onnx_qonnx.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct minifloat {
  const nib_onnx_value *x, *scale;
  nib_format format; /* every code a number; one exponent bit more where it does not saturate */
  nib_qonnx_rounding rounding;
  float most;     /* the largest value */
  bool saturates; /* else what is above becomes `beyond` */
  float beyond;   /* infinity or NaN */
} minifloat;

/* ---- reading ---- */

static nib_status read_number(nib_onnx_node *n, size_t i, const char *what, double *out) {
  const nib_onnx_value *v;
  NIB_RETURN_IF_ERROR(nib_qonnx_read_constant(n, i, what, nib_onnx_input(n, 0), &v));
  if (!nib_qonnx_is_uniform(v))
    return nib_onnx_unsupported(n, "its %s is not one number", what);
  *out = (double)nib_qonnx_real_at(v, 0);
  return NIB_OK;
}

static nib_status read_saturation(nib_onnx_node *n, minifloat *f) {
  const bool has_infinity =
      nib_onnx_attr_int(n, "has_inf", nib_onnx_attr_int(n, "has_infinity", 0)) != 0;
  f->saturates = nib_onnx_attr_int(n, "saturation", 1) != 0;
  f->beyond = has_infinity ? INFINITY : NAN;
  if (!f->saturates && !has_infinity && !nib_onnx_attr_int(n, "has_nan", 0))
    return nib_onnx_invalid(n, "it does not saturate, and has neither infinity nor NaN");
  return NIB_OK;
}

static nib_status read_minifloat(nib_onnx_node *n, minifloat *f) {
  double exponent, mantissa, bias, most;
  int bits;
  f->x = nib_onnx_input(n, 0);
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, f->x));
  NIB_RETURN_IF_ERROR(nib_qonnx_read_scale(n, 1, "scale", f->x, &f->scale));
  NIB_RETURN_IF_ERROR(nib_qonnx_read_bits(n, 2, "exponent bit width", &bits));
  NIB_RETURN_IF_ERROR(read_number(n, 2, "exponent bit width", &exponent));
  NIB_RETURN_IF_ERROR(read_number(n, 3, "mantissa bit width", &mantissa));
  NIB_RETURN_IF_ERROR(read_number(n, 4, "exponent bias", &bias));
  NIB_RETURN_IF_ERROR(read_number(n, 5, "largest value", &most));
  NIB_RETURN_IF_ERROR(nib_qonnx_read_rounding(n, "ROUND", &f->rounding));
  NIB_RETURN_IF_ERROR(read_saturation(n, f));
  if (mantissa < 0 || mantissa != floor(mantissa))
    return nib_onnx_invalid(n, "its mantissa bit width is %g, not an integer", mantissa);
  if (bias != floor(bias))
    return nib_onnx_unsupported(n, "its exponent bias is %g, not an integer", bias);
  if (!(most > 0))
    return nib_onnx_invalid(n, "its largest value is %g, not positive", most);
  /* Every code a number: the largest value says which of them are used. */
  char name[64];
  snprintf(name, sizeof name, "e%dm%.0f:bias=%.0f,specials=none", bits + !f->saturates, mantissa,
           bias);
  f->format = nib_format_find(name);
  if (f->format == NIB_FORMAT_COUNT)
    return nib_onnx_unsupported(n, "%d exponent and %g mantissa bits with the bias %g", bits,
                                mantissa, bias);
  const double highest = ldexp(2 - ldexp(1, (int)-mantissa), (1 << bits) - 1 - (int)bias);
  f->most = (float)fmin(most, highest);
  return NIB_OK;
}

/* ---- the definition ---- */

/* The mode of a cast that rounds so; HALF_DOWN and UP are made of others. */
static const char *cast_mode(nib_qonnx_rounding rounding) {
  switch (rounding) {
  case NIB_QONNX_CEIL:
    return "up";
  case NIB_QONNX_FLOOR:
    return "down";
  case NIB_QONNX_DOWN:
    return "toward-zero";
  case NIB_QONNX_HALF_UP:
    return "nearest-away";
  default:
    return "nearest-even";
  }
}

static float on_grid(const minifloat *f, float x, const char *mode) {
  const uint64_t code =
      nib_format_encode(f->format, (double)x, nib_encode_mode_find(mode), true, 0);
  return (float)nib_format_decode(f->format, code);
}

static float rounded(const minifloat *f, float x) {
  const float a = fabsf(x);
  if (f->rounding != NIB_QONNX_UP && f->rounding != NIB_QONNX_HALF_DOWN)
    return on_grid(f, x, cast_mode(f->rounding));
  const float above = on_grid(f, a, "up"), below = on_grid(f, a, "down");
  return copysignf(f->rounding == NIB_QONNX_UP || (below + above) * 0.5f < a ? above : below, x);
}

static float quantized(const minifloat *f, float x) {
  const float y = rounded(f, x);
  if (!f->saturates && fabsf(y) > f->most)
    return copysignf(f->beyond, y);
  return fminf(fmaxf(y, -f->most), f->most);
}

static nib_status fold_minifloat(nib_onnx_node *n, const minifloat *f) {
  const int64_t count = nib_onnx_count_elems(f->x->dims, f->x->rank);
  uint8_t *data = nib_onnx_fold_alloc(n, (size_t)count * sizeof(float));
  if (!data)
    return n->ctx->failure;
  for (int64_t i = 0; i < count; ++i) {
    const float scale = nib_qonnx_real_at(f->scale, nib_qonnx_broadcast_at(f->scale, f->x, i));
    const float y = quantized(f, nib_qonnx_real_at(f->x, i) / scale) * scale;
    memcpy(data + (size_t)i * sizeof y, &y, sizeof y);
  }
  return nib_onnx_set_constant(n, NIB_F32, f->x->rank, f->x->dims, data);
}

/* ---- the same in operators of the graph; each returns a tensor or NIB_NONE ---- */

/* To the format and back. */
static int32_t cast_both(nib_onnx_node *n, const minifloat *f, int32_t x, const char *mode) {
  nib_graph *g = n->ctx->graph;
  if (x == NIB_NONE)
    return NIB_NONE;
  const nib_tensor t = *nib_onnx_tensor(n, x);
  const int32_t codes =
      nib_onnx_emit_as(n, NIB_OP_CAST, &x, 1, f->format, t.rank, t.dims, "_codes");
  if (codes == NIB_NONE)
    return NIB_NONE;
  if (strcmp(mode, "nearest-even") != 0 &&
      nib_graph_set_string(g, codes, NIB_A_MODE, mode) != NIB_OK) {
    nib_onnx_out_of_memory(n->ctx);
    return NIB_NONE;
  }
  const int32_t number = nib_onnx_emit_as(n, NIB_OP_CAST, &g->nodes[codes].out, 1, NIB_F32, t.rank,
                                          t.dims, "_decoded");
  return number == NIB_NONE ? NIB_NONE : g->nodes[number].out;
}

static int32_t emit_rounded(nib_onnx_node *n, const minifloat *f, int32_t x) {
  if (f->rounding != NIB_QONNX_UP && f->rounding != NIB_QONNX_HALF_DOWN)
    return cast_both(n, f, x, cast_mode(f->rounding));
  const int32_t a = nib_onnx_unary(n, NIB_OP_ABS, x);
  int32_t y = cast_both(n, f, a, "up");
  if (f->rounding == NIB_QONNX_HALF_DOWN) {
    /* Exact: midpoints have one mantissa bit more than the format. */
    const int32_t below = cast_both(n, f, a, "down");
    const int32_t middle =
        nib_onnx_with(n, NIB_OP_MUL, nib_onnx_binary(n, NIB_OP_ADD, below, y), 0.5);
    y = nib_onnx_chosen(n, nib_onnx_compared(n, NIB_OP_LESS, middle, a), y, below);
  }
  return nib_onnx_binary(n, NIB_OP_MUL, nib_onnx_unary(n, NIB_OP_SIGN, x), y);
}

static int32_t emit_bounded(nib_onnx_node *n, const minifloat *f, int32_t y) {
  const double most = (double)f->most, beyond = (double)f->beyond;
  if (f->saturates)
    return nib_onnx_clamped(n, y, -most, most);
  if (y == NIB_NONE)
    return NIB_NONE;
  const int32_t high = nib_onnx_number(n, NIB_F32, most), low = nib_onnx_number(n, NIB_F32, -most);
  const int32_t above = nib_onnx_number(n, NIB_F32, beyond),
                below = nib_onnx_number(n, NIB_F32, -beyond);
  const int32_t z = nib_onnx_chosen(n, nib_onnx_compared(n, NIB_OP_LESS, high, y), above, y);
  return nib_onnx_chosen(n, nib_onnx_compared(n, NIB_OP_LESS, y, low), below, z);
}

static int32_t scale_of(nib_onnx_node *n, const minifloat *f) {
  if (nib_qonnx_is_uniform(f->scale))
    return nib_onnx_number(n, NIB_F32, (double)nib_qonnx_real_at(f->scale, 0));
  return nib_onnx_emit_constant(n, f->scale->name, NIB_F32, f->scale->rank, f->scale->dims,
                                f->scale->data);
}

nib_status nib_onnx_import_qonnx_float(nib_onnx_node *n) {
  minifloat f = {0};
  NIB_RETURN_IF_ERROR(read_minifloat(n, &f));
  if (f.x->data)
    return fold_minifloat(n, &f);
  const bool scaled = !nib_qonnx_all_are(f.scale, 1.0f);
  int32_t x = nib_onnx_in(n, 0);
  x = x == NIB_NONE ? NIB_NONE : nib_onnx_converted(n, x, NIB_F32);
  if (scaled)
    x = nib_onnx_binary(n, NIB_OP_DIV, x, scale_of(n, &f));
  int32_t y = emit_bounded(n, &f, emit_rounded(n, &f, x));
  if (scaled)
    y = nib_onnx_binary(n, NIB_OP_MUL, y, scale_of(n, &f));
  return nib_onnx_finish(n, y);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * quantize and dequantize: between reals and codes. */
#include "reference/internal.h"

#include <math.h>
#include <stdlib.h>

/* Scales and zero points of a node, by element. */
typedef struct scaling {
  nib_scale_map map;
  double *scales; /* NULL: one, `scale` */
  double *zeros;  /* NULL: `zero` */
  bool one_zero;
  double scale, zero;
} scaling;

static void scaling_close(scaling *s) {
  free(s->scales);
  free(s->zeros);
}

/* `codes` is the quantized side. */
static bool scaling_open(nib_reference *r, const nib_node *n, const nib_tensor *codes, scaling *s) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]);
  const int32_t scales = n->n_in > 1 ? n->in[1] : NIB_NONE;
  const int32_t zeros = n->n_in > 2 ? n->in[2] : NIB_NONE;
  *s = (scaling){.scale = nib_params_unit(codes),
                 .zero = codes->quantized ? (double)codes->zero_point : 0.0};
  if (scales == NIB_NONE)
    return true;
  s->zero = 0;
  s->scales = nib_ref_load_reals(r, scales);
  if (zeros != NIB_NONE) {
    s->zeros = nib_ref_load_reals(r, zeros);
    s->one_zero = nib_tensor_elems(nib_ref_tensor(r, zeros)) == 1;
  }
  return s->scales && (s->zeros || zeros == NIB_NONE) &&
         nib_scale_map_of(x, nib_ref_tensor(r, scales), nib_node_int(n, NIB_A_AXIS, 1), &s->map);
}

static double scale_at(const scaling *s, int64_t at) {
  return s->scales ? s->scales[at] : s->scale;
}
static double zero_at(const scaling *s, int64_t at) {
  return s->zeros ? s->zeros[s->one_zero ? 0 : at] : s->zero;
}

/* One element, as generated code computes it: the division in f32. */
static int64_t code_of(nib_rounding rounding, float x, float scale, double zero,
                       const nib_tensor *y, bool saturate) {
  const nib_format_info *info = nib_format_get(y->format);
  const float steps = x / scale;
  if (info->kind == NIB_KIND_BIPOLAR)
    return nib_ref_quantize(rounding, x, y, 0, 0);
  if (info->kind == NIB_KIND_FLOAT)
    return (int64_t)nib_format_encode(y->format, (double)(float)(steps + (float)zero),
                                      NIB_ENCODE_NEAREST_EVEN, saturate, 0);
  const double rounded = rounding == NIB_ROUNDING_NEAREST_EVEN ? rintf(steps) : roundf(steps);
  const double code = rounded + zero;
  return code >= (double)info->max  ? info->max
         : code > (double)info->min ? (int64_t)code
                                    : info->min;
}

nib_status nib_ref_quantize_op(nib_reference *r, const nib_node *n) {
  const nib_tensor *y = nib_ref_tensor(r, n->out);
  if (!nib_ref_is_real(nib_ref_tensor(r, n->in[0])))
    return nib_ref_requantize(r, n);
  const nib_rounding rounding = nib_node_rounding(r->g, n);
  const bool saturate = nib_node_int(n, NIB_A_SATURATE, 1) != 0;
  const int64_t elems = nib_tensor_elems(y);
  scaling s;
  double *x = nib_ref_load_reals(r, n->in[0]);
  int64_t *codes = calloc((size_t)elems + 1, sizeof *codes);
  const bool ok = scaling_open(r, n, y, &s) && x && codes;
  for (int64_t i = 0; ok && i < elems; ++i) {
    const int64_t at = nib_scale_map_at(&s.map, i);
    codes[i] =
        code_of(rounding, (float)x[i], (float)scale_at(&s, at), zero_at(&s, at), y, saturate);
  }
  if (ok)
    nib_ref_store_codes(r, n->out, codes);
  scaling_close(&s);
  free(x);
  free(codes);
  return ok ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

nib_status nib_ref_dequantize(nib_reference *r, const nib_node *n) {
  const int64_t elems = nib_tensor_elems(nib_ref_tensor(r, n->in[0]));
  scaling s;
  double *x = nib_ref_load_reals(r, n->in[0]); /* the numbers of codes without a scale */
  const bool ok = scaling_open(r, n, nib_ref_tensor(r, n->in[0]), &s) && x;
  for (int64_t i = 0; ok && i < elems; ++i) {
    const int64_t at = nib_scale_map_at(&s.map, i);
    x[i] = nib_ref_round(r, nib_ref_round(r, x[i] - zero_at(&s, at)) * scale_at(&s, at));
  }
  if (ok)
    nib_ref_store_reals(r, n->out, x);
  scaling_close(&s);
  free(x);
  return ok ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

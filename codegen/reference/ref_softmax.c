/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Softmax: fixed point as TensorFlow Lite's reference kernels, or real arithmetic. */
#include "reference/internal.h"

#include "num/snippets.h"

#include <stdlib.h>
#include <string.h>

/* Elements along the axis, and the distance between them. */
static void rows_of(const nib_node *n, const nib_tensor *x, int64_t *out_depth,
                    int64_t *out_stride) {
  int64_t axis = nib_node_int(n, NIB_A_AXIS, -1);
  axis += axis < 0 ? x->rank : 0;
  *out_stride = 1;
  for (int64_t d = x->rank - 1; d > axis; --d)
    *out_stride *= x->dims[d];
  *out_depth = x->rank > 0 && axis >= 0 && axis < x->rank ? x->dims[axis] : 1;
}

static int64_t row_start(int64_t row, int64_t depth, int64_t stride) {
  return row / stride * stride * depth + row % stride;
}

static void real_row(const nib_reference *r, double *x, int64_t depth, int64_t stride,
                     double beta) {
  double max = -INFINITY, sum = 0;
  for (int64_t i = 0; i < depth; ++i)
    max = fmax(max, x[i * stride]);
  for (int64_t i = 0; i < depth; ++i) {
    double *e = &x[i * stride];
    *e = nib_ref_exp(r, nib_ref_round(r, nib_ref_round(r, *e - max) * beta));
    sum = nib_ref_round(r, sum + *e);
  }
  for (int64_t i = 0; i < depth; ++i)
    x[i * stride] = nib_ref_round(r, x[i * stride] / sum);
}

/* Reals, or codes through reals in the float modes (always in f32: a code must not depend on the
 * precision of other tensors). */
static nib_status through_reals(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]), *y = nib_ref_tensor(r, n->out);
  const bool real = nib_ref_is_real(y);
  const int64_t elems = nib_tensor_elems(x);
  const double beta = (float)nib_node_float(n, NIB_A_BETA, 1.0);
  int64_t depth, stride;
  rows_of(n, x, &depth, &stride);
  const nib_reference single = {.g = r->g};
  double *values = nib_ref_load_reals(r, n->in[0]);
  int64_t *codes = calloc((size_t)elems + 1, sizeof *codes);
  const nib_status status = values && codes ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
  for (int64_t i = 0; status == NIB_OK && !real && i < elems; ++i)
    values[i] = (float)((values[i] - (double)x->zero_point) * x->scale);
  for (int64_t row = 0; status == NIB_OK && depth > 0 && row < elems / depth; ++row)
    real_row(real ? r : &single, values + row_start(row, depth, stride), depth, stride, beta);
  int64_t lo = 0, hi = 0;
  if (!real)
    nib_params_code_range(r->g, n, &lo, &hi);
  for (int64_t i = 0; status == NIB_OK && !real && i < elems; ++i)
    codes[i] = nib_ref_quantize(nib_node_rounding(r->g, n), (float)values[i], y, lo, hi);
  if (status == NIB_OK && real)
    nib_ref_store_reals(r, n->out, values);
  else if (status == NIB_OK)
    nib_ref_store_codes(r, n->out, codes);
  free(values);
  free(codes);
  return status;
}

static nib_status fixed_point(nib_reference *r, const nib_node *n, const nib_softmax_params *p,
                              int64_t depth) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]);
  const unsigned char *in = nib_ref_bytes(r, n->in[0]);
  unsigned char *out = nib_ref_result_bytes(r, n->out);
  int16_t exp_table[513], inverse_table[513];
  if (x->format == NIB_I16)
    nib_params_softmax_tables(exp_table, inverse_table);
  const uint8_t flip = x->format == NIB_I8 ? 0x80 : 0;
  for (int64_t row = 0; row < nib_tensor_elems(x) / depth; ++row) {
    if (x->format == NIB_I16)
      nib_softmax_i16((const int16_t *)(const void *)in + row * depth,
                      (int16_t *)(void *)out + row * depth, (int32_t)depth, p->multiplier, p->shift,
                      exp_table, inverse_table);
    else
      nib_softmax_8bit(in + row * depth, out + row * depth, (int32_t)depth, p->multiplier, p->shift,
                       p->diff_min, flip);
  }
  return NIB_OK;
}

nib_status nib_ref_softmax(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]);
  int64_t depth, stride;
  rows_of(n, x, &depth, &stride);
  nib_softmax_params p = {0};
  if (!nib_ref_is_real(nib_ref_tensor(r, n->out)))
    NIB_RETURN_IF_ERROR(nib_params_softmax(r->g, n, &p));
  if (p.fixed_point && stride == 1 && depth > 0 && depth <= INT32_MAX)
    return fixed_point(r, n, &p, depth);
  return through_reals(r, n);
}

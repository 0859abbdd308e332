/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Pools and means. */
#include "reference/internal.h"

#include "num/snippets.h"

#include <stdlib.h>

typedef struct window {
  int64_t y0, y1, x0, x1; /* input rows and columns inside the image */
  int64_t padded;         /* elements of the window inside image and padding */
} window;

static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }

static window window_at(const nib_node *n, const nib_tensor *x, int64_t oy, int64_t ox) {
  const int64_t kh = nib_node_ints_at(n, NIB_A_KERNEL, 0, 1);
  const int64_t kw = nib_node_ints_at(n, NIB_A_KERNEL, 1, 1);
  const int64_t top =
      oy * nib_node_ints_at(n, NIB_A_STRIDES, 0, 1) - nib_node_ints_at(n, NIB_A_PADS, 0, 0);
  const int64_t left =
      ox * nib_node_ints_at(n, NIB_A_STRIDES, 1, 1) - nib_node_ints_at(n, NIB_A_PADS, 1, 0);
  const int64_t bottom = x->dims[1] + nib_node_ints_at(n, NIB_A_PADS, 2, 0);
  const int64_t right = x->dims[2] + nib_node_ints_at(n, NIB_A_PADS, 3, 0);
  window w = {max64(top, 0), min64(top + kh, x->dims[1]), max64(left, 0),
              min64(left + kw, x->dims[2]), 0};
  w.padded = (min64(top + kh, bottom) - top) * (min64(left + kw, right) - left);
  return w;
}

static int64_t window_elems(const window *w) {
  return max64(w->y1 - w->y0, 0) * max64(w->x1 - w->x0, 0);
}

/* Rounding of a mean of codes: sum of `count` codes, of which `inside` were in the image. */
static int64_t mean_code(const nib_mean_params *p, int64_t sum, int64_t count) {
  int64_t y;
  if (p->divide)
    y = p->truncate ? sum / count : nib_avg_round((int32_t)sum, (int32_t)count);
  else
    y = nib_params_rescale(p->rounding, (int32_t)(sum - count * p->in_zp), &p->out) + p->out_zp;
  return nib_ref_clamp(y, p->lo, p->hi);
}

static nib_status avg_codes(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]), *y = nib_ref_tensor(r, n->out);
  const bool with_pad = nib_node_int(n, NIB_A_COUNT_INCLUDE_PAD, 0) != 0;
  int64_t *in = nib_ref_load_codes(r, n->in[0], 0), index[NIB_MAX_RANK] = {0}, i = 0;
  int64_t *out = calloc((size_t)nib_tensor_elems(y) + 1, sizeof *out);
  nib_status status = in && out ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
  while (status == NIB_OK && i < nib_tensor_elems(y)) {
    const window w = window_at(n, x, index[1], index[2]);
    const int64_t inside = window_elems(&w), count = with_pad ? w.padded : inside;
    nib_mean_params p;
    status = nib_params_mean(r->g, n, count, &p);
    int64_t sum = (count - inside) * p.in_zp;
    for (int64_t iy = w.y0; iy < w.y1; ++iy)
      for (int64_t ix = w.x0; ix < w.x1; ++ix)
        sum += in[((index[0] * x->dims[1] + iy) * x->dims[2] + ix) * x->dims[3] + index[3]];
    if (status == NIB_OK)
      out[i++] = mean_code(&p, sum, count);
    nib_ref_next(index, y->dims, y->rank);
  }
  if (status == NIB_OK)
    nib_ref_store_codes(r, n->out, out);
  free(in);
  free(out);
  return status;
}

static nib_status avg_reals(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]), *y = nib_ref_tensor(r, n->out);
  const bool with_pad = nib_node_int(n, NIB_A_COUNT_INCLUDE_PAD, 0) != 0;
  double *in = nib_ref_load_reals(r, n->in[0]);
  double *out = calloc((size_t)nib_tensor_elems(y) + 1, sizeof *out);
  int64_t index[NIB_MAX_RANK] = {0};
  for (int64_t i = 0; in && out && i < nib_tensor_elems(y); ++i) {
    const window w = window_at(n, x, index[1], index[2]);
    double sum = 0;
    for (int64_t iy = w.y0; iy < w.y1; ++iy)
      for (int64_t ix = w.x0; ix < w.x1; ++ix)
        sum = nib_ref_round(
            r, sum + in[((index[0] * x->dims[1] + iy) * x->dims[2] + ix) * x->dims[3] + index[3]]);
    const int64_t count = with_pad ? w.padded : window_elems(&w);
    out[i] = nib_ref_activate(r, n, nib_ref_round(r, sum / (double)count));
    nib_ref_next(index, y->dims, y->rank);
  }
  const nib_status status = in && out ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
  if (status == NIB_OK)
    nib_ref_store_reals(r, n->out, out);
  free(in);
  free(out);
  return status;
}

nib_status nib_ref_avg_pool2d(nib_reference *r, const nib_node *n) {
  return nib_ref_is_real(nib_ref_tensor(r, n->out)) ? avg_reals(r, n) : avg_codes(r, n);
}

/* Codes of at most 32 bits are exact in double, so one loop serves both kinds. */
nib_status nib_ref_max_pool2d(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]), *y = nib_ref_tensor(r, n->out);
  const bool real = nib_ref_is_real(y);
  double *in = nib_ref_load_reals(r, n->in[0]);
  double *out = calloc((size_t)nib_tensor_elems(y) + 1, sizeof *out);
  int64_t *codes = calloc((size_t)nib_tensor_elems(y) + 1, sizeof *codes);
  int64_t index[NIB_MAX_RANK] = {0}, lo = 0, hi = 0;
  const nib_status status = in && out && codes ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
  if (!real)
    nib_params_code_range(r->g, n, &lo, &hi);
  for (int64_t i = 0; status == NIB_OK && i < nib_tensor_elems(y); ++i) {
    const window w = window_at(n, x, index[1], index[2]);
    double max = real ? -INFINITY : (double)nib_format_get(x->format)->min;
    for (int64_t iy = w.y0; iy < w.y1; ++iy)
      for (int64_t ix = w.x0; ix < w.x1; ++ix)
        max =
            fmax(max, in[((index[0] * x->dims[1] + iy) * x->dims[2] + ix) * x->dims[3] + index[3]]);
    out[i] = real ? nib_ref_activate(r, n, max) : max;
    codes[i] = real ? 0 : nib_ref_clamp((int64_t)max, lo, hi);
    nib_ref_next(index, y->dims, y->rank);
  }
  if (status == NIB_OK && real)
    nib_ref_store_reals(r, n->out, out);
  else if (status == NIB_OK)
    nib_ref_store_codes(r, n->out, codes);
  free(in);
  free(out);
  free(codes);
  return status;
}

/* Strides into the result for each input dimension (0 for reduced ones), and the reduced count. */
static int64_t reduced_strides(const nib_node *n, const nib_tensor *x,
                               int64_t out_strides[NIB_MAX_RANK]) {
  bool reduced[NIB_MAX_RANK] = {false};
  const nib_attr *axes = nib_node_attr(n, NIB_A_AXES);
  for (int32_t d = 0; d < x->rank; ++d)
    reduced[d] = !axes;
  for (int32_t i = 0; axes && i < axes->u.ints.n; ++i) {
    const int64_t axis = axes->u.ints.v[i] + (axes->u.ints.v[i] < 0 ? x->rank : 0);
    if (axis >= 0 && axis < x->rank)
      reduced[axis] = true;
  }
  int64_t stride = 1, count = 1;
  for (int32_t d = x->rank - 1; d >= 0; --d) {
    out_strides[d] = reduced[d] ? 0 : stride;
    stride *= reduced[d] ? 1 : x->dims[d];
    count *= reduced[d] ? x->dims[d] : 1;
  }
  return count;
}

static nib_status mean_reals(nib_reference *r, const nib_node *n, const int64_t *strides,
                             int64_t count) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]), *y = nib_ref_tensor(r, n->out);
  double *in = nib_ref_load_reals(r, n->in[0]);
  double *out = calloc((size_t)nib_tensor_elems(y) + 1, sizeof *out);
  int64_t index[NIB_MAX_RANK] = {0};
  const nib_status status = in && out ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
  for (int64_t i = 0; status == NIB_OK && i < nib_tensor_elems(x); ++i) {
    double *sum = &out[nib_ref_offset(index, strides, x->rank)];
    *sum = nib_ref_round(r, *sum + in[i]);
    nib_ref_next(index, x->dims, x->rank);
  }
  for (int64_t i = 0; status == NIB_OK && i < nib_tensor_elems(y); ++i)
    out[i] = nib_ref_round(r, out[i] / (double)count);
  if (status == NIB_OK)
    nib_ref_store_reals(r, n->out, out);
  free(in);
  free(out);
  return status;
}

static nib_status mean_codes(nib_reference *r, const nib_node *n, const int64_t *strides,
                             int64_t count) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]), *y = nib_ref_tensor(r, n->out);
  nib_mean_params p;
  NIB_RETURN_IF_ERROR(nib_params_mean(r->g, n, count, &p));
  int64_t *in = nib_ref_load_codes(r, n->in[0], 0);
  int64_t *out = calloc((size_t)nib_tensor_elems(y) + 1, sizeof *out);
  int64_t index[NIB_MAX_RANK] = {0};
  const nib_status status = in && out ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
  for (int64_t i = 0; status == NIB_OK && i < nib_tensor_elems(x); ++i) {
    out[nib_ref_offset(index, strides, x->rank)] += in[i];
    nib_ref_next(index, x->dims, x->rank);
  }
  for (int64_t i = 0; status == NIB_OK && i < nib_tensor_elems(y); ++i)
    out[i] = mean_code(&p, out[i], count);
  if (status == NIB_OK)
    nib_ref_store_codes(r, n->out, out);
  free(in);
  free(out);
  return status;
}

nib_status nib_ref_mean(nib_reference *r, const nib_node *n) {
  int64_t strides[NIB_MAX_RANK];
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]);
  const int64_t count = reduced_strides(n, x, strides);
  return nib_ref_is_real(nib_ref_tensor(r, n->out)) ? mean_reals(r, n, strides, count)
                                                    : mean_codes(r, n, strides, count);
}

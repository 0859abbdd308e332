/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Convolutions, fully connected and matmul: accumulate, then requantize or activate. */
#include "reference/internal.h"

#include "num/code_value.h"

#include <stdlib.h>
#include <string.h>

/* Operands of one accumulation: exactly one of the pairs is set. Zero points are subtracted. */
typedef struct operands {
  int32_t *xi, *wi;
  double *xr, *wr;
} operands;

static void free_operands(operands *o) {
  free(o->xi);
  free(o->wi);
  free(o->xr);
  free(o->wr);
}

/* Codes without their zero point; of bipolar formats the numbers that they mean. */
static int32_t *load_numbers(const nib_reference *r, int32_t tensor, int64_t zero_point) {
  const nib_tensor *t = nib_ref_tensor(r, tensor);
  int32_t *x = nib_ref_load_codes32(r, tensor, zero_point);
  for (int64_t i = 0; x && i < nib_tensor_elems(t); ++i)
    x[i] = (int32_t)nib_format_value_of(t->format, x[i]);
  return x;
}

/* To the format of the input, where the operator says so. */
static void round_weights(const nib_reference *r, const nib_node *n, double *w) {
  const nib_format to = nib_node_decode_format(r->g, n);
  const int64_t elems = nib_tensor_elems(nib_ref_tensor(r, n->in[1]));
  uint8_t code[8];
  for (int64_t i = 0; w && to != NIB_NO_FORMAT && i < elems; ++i) {
    nib_format_store_real(to, code, 0, w[i]);
    w[i] = nib_format_load_real(to, code, 0);
  }
}

static bool load_operands(const nib_reference *r, const nib_node *n, bool real, int64_t in_zp,
                          int64_t w_zp, operands *o) {
  memset(o, 0, sizeof *o);
  if (real) {
    o->xr = nib_ref_load_reals(r, n->in[0]);
    o->wr = nib_ref_load_reals(r, n->in[1]);
    round_weights(r, n, o->wr);
    return o->xr && o->wr;
  }
  o->xi = load_numbers(r, n->in[0], in_zp);
  o->wi = load_numbers(r, n->in[1], w_zp);
  return o->xi && o->wi;
}

/* Sums of all results, without bias. */
typedef struct sums {
  int64_t *codes;
  double *reals;
  int64_t elems;
} sums;

static bool make_sums(int64_t elems, bool real, sums *s) {
  memset(s, 0, sizeof *s);
  s->elems = elems;
  if (real)
    s->reals = calloc((size_t)elems + 1, sizeof *s->reals);
  else
    s->codes = calloc((size_t)elems + 1, sizeof *s->codes);
  return s->reals || s->codes;
}

static void free_sums(sums *s) {
  free(s->codes);
  free(s->reals);
}

static void add_products(const nib_reference *r, const operands *o, int64_t x, int64_t w,
                         int64_t w_step, int64_t count, sums *s, int64_t y) {
  if (s->reals) {
    double sum = s->reals[y];
    for (int64_t i = 0; i < count; ++i)
      sum = nib_ref_round(r, sum + nib_ref_round(r, o->xr[x + i] * o->wr[w + i * w_step]));
    s->reals[y] = sum;
    return;
  }
  int64_t sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += (int64_t)o->xi[x + i] * o->wi[w + i * w_step];
  s->codes[y] += sum;
}

/* One result of conv2d or depthwise_conv2d: position (b, oy, ox), channel oc. Padding adds zero. */
static void accumulate_window(const nib_reference *r, const nib_conv_shape *s, const operands *o,
                              bool depthwise, int64_t b, int64_t oy, int64_t ox, int64_t oc,
                              sums *sum, int64_t y) {
  const int64_t group_in = depthwise ? 1 : s->in_c / s->groups;
  const int64_t group_out = s->out_c / s->groups;
  const int64_t ic = oc / group_out * group_in;
  for (int64_t ky = 0; ky < s->kernel_h; ++ky) {
    const int64_t iy = oy * s->stride_h - s->pad_top + ky * s->dilation_h;
    if (iy < 0 || iy >= s->in_h)
      continue;
    for (int64_t kx = 0; kx < s->kernel_w; ++kx) {
      const int64_t ix = ox * s->stride_w - s->pad_left + kx * s->dilation_w;
      if (ix < 0 || ix >= s->in_w)
        continue;
      const int64_t x = ((b * s->in_h + iy) * s->in_w + ix) * s->in_c + ic;
      const int64_t tap = ky * s->kernel_w + kx;
      const int64_t w =
          depthwise ? tap * s->out_c + oc : (oc * s->kernel_h * s->kernel_w + tap) * group_in;
      add_products(r, o, x, w, 1, group_in, sum, y);
    }
  }
}

static void accumulate_conv(const nib_reference *r, const nib_conv_shape *s, const operands *o,
                            bool depthwise, sums *sum) {
  int64_t y = 0;
  for (int64_t b = 0; b < s->batch; ++b)
    for (int64_t oy = 0; oy < s->out_h; ++oy)
      for (int64_t ox = 0; ox < s->out_w; ++ox)
        for (int64_t oc = 0; oc < s->out_c; ++oc)
          accumulate_window(r, s, o, depthwise, b, oy, ox, oc, sum, y++);
}

/* Scatters: each input pixel adds its products to the window of results that it reaches. */
static void accumulate_transposed(const nib_reference *r, const nib_conv_shape *s,
                                  const operands *o, sums *sum) {
  const int64_t pixels = s->batch * s->in_h * s->in_w, taps = s->kernel_h * s->kernel_w;
  for (int64_t p = 0; p < pixels; ++p)
    for (int64_t tap = 0; tap < taps; ++tap) {
      const int64_t ix = p % s->in_w, iy = p / s->in_w % s->in_h, b = p / s->in_w / s->in_h;
      const int64_t oy = iy * s->stride_h - s->pad_top + tap / s->kernel_w;
      const int64_t ox = ix * s->stride_w - s->pad_left + tap % s->kernel_w;
      if (oy < 0 || oy >= s->out_h || ox < 0 || ox >= s->out_w)
        continue;
      const int64_t y = ((b * s->out_h + oy) * s->out_w + ox) * s->out_c;
      for (int64_t oc = 0; oc < s->out_c; ++oc)
        add_products(r, o, p * s->in_c, (oc * taps + tap) * s->in_c, 1, s->in_c, sum, y + oc);
    }
}

/* reals: + bias, activation. */
static nib_status finish_reals(nib_reference *r, const nib_node *n, const sums *s, int64_t out_c) {
  const int32_t bias_id = n->n_in > 2 ? n->in[2] : NIB_NONE;
  double *bias = bias_id == NIB_NONE ? NULL : nib_ref_load_reals(r, bias_id);
  if (bias_id != NIB_NONE && !bias)
    return NIB_ERROR_OUT_OF_MEMORY;
  for (int64_t i = 0; i < s->elems; ++i) {
    if (bias)
      s->reals[i] = nib_ref_round(r, s->reals[i] + bias[i % out_c]);
    s->reals[i] = nib_ref_activate(r, n, s->reals[i]);
  }
  free(bias);
  nib_ref_store_reals(r, n->out, s->reals);
  return NIB_OK;
}

/* codes: + bias, requantize, + zero point, clamp. */
static nib_status finish_codes(nib_reference *r, const nib_node *n, const nib_conv_params *p,
                               const sums *s, int64_t out_c) {
  const int32_t bias_id = n->n_in > 2 ? n->in[2] : NIB_NONE;
  int64_t *bias = bias_id == NIB_NONE ? NULL : nib_ref_load_codes(r, bias_id, 0);
  if (bias_id != NIB_NONE && !bias)
    return NIB_ERROR_OUT_OF_MEMORY;
  for (int64_t i = 0; i < s->elems; ++i) {
    const int64_t c = i % out_c, acc = s->codes[i] + (bias ? bias[c] : 0);
    s->codes[i] = acc;
    if (p->raw_accumulator)
      continue;
    const nib_requant *q = &p->requant[p->n_requant > 1 ? c : 0];
    const int64_t y = p->acc64 ? nib_params_rescale64(p->rounding, acc, q)
                               : nib_params_rescale(p->rounding, (int32_t)acc, q);
    s->codes[i] = nib_ref_clamp(y + p->out_zp, p->lo, p->hi);
  }
  free(bias);
  nib_ref_store_codes(r, n->out, s->codes);
  return NIB_OK;
}

static nib_status run_conv(nib_reference *r, const nib_node *n) {
  const bool real = nib_ref_is_real(nib_ref_tensor(r, n->out));
  nib_conv_shape shape;
  nib_params_conv_shape(r->g, n, &shape);
  nib_conv_params params = {0};
  if (!real)
    NIB_RETURN_IF_ERROR(nib_params_conv(r->g, n, &params));
  operands o = {0};
  sums s = {0};
  nib_status status = NIB_ERROR_OUT_OF_MEMORY;
  if (params.n_requant > 1 && params.n_requant != shape.out_c)
    status = NIB_ERROR_INVALID_INPUT;
  else if (load_operands(r, n, real, params.in_zp, params.w_zp, &o) &&
           make_sums(nib_tensor_elems(nib_ref_tensor(r, n->out)), real, &s)) {
    if (n->op == NIB_OP_TRANSPOSE_CONV2D)
      accumulate_transposed(r, &shape, &o, &s);
    else
      accumulate_conv(r, &shape, &o, n->op == NIB_OP_DEPTHWISE_CONV2D, &s);
    status =
        real ? finish_reals(r, n, &s, shape.out_c) : finish_codes(r, n, &params, &s, shape.out_c);
  }
  free_operands(&o);
  free_sums(&s);
  free(params.requant);
  return status;
}

nib_status nib_ref_conv2d(nib_reference *r, const nib_node *n) { return run_conv(r, n); }
nib_status nib_ref_transpose_conv2d(nib_reference *r, const nib_node *n) { return run_conv(r, n); }
nib_status nib_ref_fully_connected(nib_reference *r, const nib_node *n) { return run_conv(r, n); }

/* Codes of a matmul: one multiplier for all. */
static nib_status finish_matmul(nib_reference *r, const nib_node *n, const sums *s) {
  const nib_tensor *a = nib_ref_tensor(r, n->in[0]), *b = nib_ref_tensor(r, n->in[1]);
  const nib_tensor *y = nib_ref_tensor(r, n->out);
  if (y->quantized) {
    const nib_rounding rounding = nib_node_rounding(r->g, n);
    const bool nearest =
        rounding == NIB_ROUNDING_NEAREST_EVEN || rounding == NIB_ROUNDING_NEAREST_AWAY;
    const nib_requant q = nib_requant_from_real(
        nib_requant_real_multiplier(nib_params_unit(a), nib_params_unit(b), y->scale, !nearest));
    int64_t lo, hi;
    nib_params_code_range(r->g, n, &lo, &hi);
    for (int64_t i = 0; i < s->elems; ++i)
      s->codes[i] = nib_ref_clamp(
          nib_params_rescale(rounding, (int32_t)s->codes[i], &q) + y->zero_point, lo, hi);
  }
  nib_ref_store_codes(r, n->out, s->codes);
  return NIB_OK;
}

static void accumulate_matmul(const nib_reference *r, const nib_node *n, const operands *o,
                              sums *s) {
  const nib_tensor *a = nib_ref_tensor(r, n->in[0]), *b = nib_ref_tensor(r, n->in[1]);
  const nib_tensor *y = nib_ref_tensor(r, n->out);
  const int64_t k = a->dims[a->rank - 1], columns = b->dims[b->rank - 1];
  int64_t a_strides[NIB_MAX_RANK], b_strides[NIB_MAX_RANK], index[NIB_MAX_RANK] = {0};
  nib_ref_strides(a, y, a_strides);
  nib_ref_strides(b, y, b_strides);
  a_strides[y->rank - 1] = 0; /* a's last dimension is k */
  b_strides[y->rank - 2] = 0; /* so is b's last but one */
  b_strides[y->rank - 1] = 1;
  for (int64_t i = 0; i < s->elems; ++i) {
    add_products(r, o, nib_ref_offset(index, a_strides, y->rank),
                 nib_ref_offset(index, b_strides, y->rank), columns, k, s, i);
    nib_ref_next(index, y->dims, y->rank);
  }
}

nib_status nib_ref_matmul(nib_reference *r, const nib_node *n) {
  const nib_tensor *a = nib_ref_tensor(r, n->in[0]), *b = nib_ref_tensor(r, n->in[1]);
  const nib_tensor *y = nib_ref_tensor(r, n->out);
  const bool real = nib_ref_is_real(y);
  if (a->rank < 2 || b->rank < 2 || y->rank < 2)
    return NIB_ERROR_UNSUPPORTED;
  operands o;
  sums s = {0};
  nib_status status = NIB_ERROR_OUT_OF_MEMORY;
  if (load_operands(r, n, real, a->quantized ? a->zero_point : 0, b->quantized ? b->zero_point : 0,
                    &o) &&
      make_sums(nib_tensor_elems(y), real, &s)) {
    accumulate_matmul(r, n, &o, &s);
    status = NIB_OK;
    if (real)
      nib_ref_store_reals(r, n->out, s.reals);
    else
      status = finish_matmul(r, n, &s);
  }
  free_operands(&o);
  free_sums(&s);
  return status;
}

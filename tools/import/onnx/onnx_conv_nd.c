/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Convolutions that the graph has no operator for, as several that it has. Of more than two
 * dimensions: one convolution for each tap of the first, with its positions as batch, and their
 * sum. Transposed with groups or dilations: a convolution, by the flipped filter, of the input with
 * zeros between its elements. */
#include "onnx_build.h"

#include <inttypes.h>
#include <string.h>

#define MAX_TAPS 64 /* convolutions that one is written out as */
#define MAX_EXTENT (INT64_C(1) << 30)

typedef struct filter {
  int32_t spatial;
  int64_t strides[NIB_ONNX_MAX_SPATIAL], dilations[NIB_ONNX_MAX_SPATIAL];
  int64_t groups;
} filter;

/* x [batch, channels, h, w], w [out, channels / groups, kh, kw], without padding. */
static int32_t emit_conv2d(nib_onnx_node *n, int32_t x, int32_t w, int32_t bias, const filter *f) {
  static const int64_t in_perm[] = {0, 2, 3, 1}, out_perm[] = {0, 3, 1, 2};
  static const int64_t conv[] = {0, 2, 3, 1}, depthwise_perm[] = {1, 2, 3, 0};
  const bool depthwise = f->groups > 1 && nib_onnx_dim(n, w, 1) == 1;
  const int64_t *strides = f->strides + f->spatial - 2, *dilations = f->dilations + f->spatial - 2;
  nib_graph *g = n->ctx->graph;
  int64_t dims[4] = {nib_onnx_dim(n, x, 0), 0, 0, nib_onnx_dim(n, w, 0)};
  for (int32_t i = 0; i < 2; ++i)
    dims[1 + i] = (nib_onnx_dim(n, x, 2 + i) - (nib_onnx_dim(n, w, 2 + i) - 1) * dilations[i] - 1) /
                      strides[i] +
                  1;
  const int32_t in[] = {nib_onnx_transposed(n, x, in_perm),
                        nib_onnx_transposed(n, w, depthwise ? depthwise_perm : conv), bias};
  if (in[0] == NIB_NONE || in[1] == NIB_NONE)
    return NIB_NONE;
  const int32_t node = nib_onnx_emit(n, depthwise ? NIB_OP_DEPTHWISE_CONV2D : NIB_OP_CONV2D, in,
                                     bias == NIB_ONNX_ABSENT ? 2 : 3, x, 4, dims, "");
  if (node == NIB_NONE)
    return NIB_NONE;
  nib_status status = nib_graph_set_ints(g, node, NIB_A_STRIDES, strides, 2);
  if (status == NIB_OK)
    status = nib_graph_set_ints(g, node, NIB_A_DILATIONS, dilations, 2);
  if (status == NIB_OK && !depthwise && f->groups > 1)
    status = nib_graph_set_int(g, node, NIB_A_GROUPS, f->groups);
  if (status == NIB_OK)
    return nib_onnx_transposed(n, g->nodes[node].out, out_perm);
  nib_onnx_out_of_memory(n->ctx);
  return NIB_NONE;
}

/* `t` with dimensions [from, from + count) seen as one. */
static int32_t merged(nib_onnx_node *n, int32_t t, int32_t from, int32_t count) {
  if (t == NIB_NONE)
    return NIB_NONE;
  const nib_tensor *x = nib_onnx_tensor(n, t);
  int64_t dims[NIB_MAX_RANK];
  int32_t rank = 0;
  for (int32_t i = 0; i < x->rank; ++i) {
    if (i > from && i < from + count)
      dims[rank - 1] *= x->dims[i];
    else
      dims[rank++] = x->dims[i];
  }
  return nib_onnx_reshaped(n, t, rank, dims);
}

/* `t` with dimension `at` seen as [a, size / a]. */
static int32_t split(nib_onnx_node *n, int32_t t, int32_t at, int64_t a) {
  if (t == NIB_NONE)
    return NIB_NONE;
  const nib_tensor *x = nib_onnx_tensor(n, t);
  int64_t dims[NIB_MAX_RANK + 1];
  int32_t rank = 0;
  for (int32_t i = 0; i < x->rank; ++i) {
    dims[rank++] = i == at ? a : x->dims[i];
    if (i == at)
      dims[rank++] = x->dims[i] / a;
  }
  return nib_onnx_reshaped(n, t, rank, dims);
}

/* The convolution of the last `left` spatial dimensions, without padding. */
static int32_t emit_conv(nib_onnx_node *n, int32_t x, int32_t w, int32_t bias, const filter *f,
                         int32_t left) {
  if (x == NIB_NONE || w == NIB_NONE)
    return NIB_NONE;
  if (left == 2)
    return emit_conv2d(n, x, w, bias, f);
  const int32_t at = f->spatial - left;
  const int64_t batch = nib_onnx_dim(n, x, 0), taps = nib_onnx_dim(n, w, 2);
  const int64_t size =
      (nib_onnx_dim(n, x, 2) - (taps - 1) * f->dilations[at] - 1) / f->strides[at] + 1;
  int32_t sum = NIB_NONE;
  for (int64_t k = 0; k < taps; ++k) {
    const int32_t planes = nib_onnx_part(n, x, 2, k * f->dilations[at], size, f->strides[at]);
    const int32_t y = emit_conv(n, merged(n, nib_onnx_swapped(n, planes, 1, 2), 0, 2),
                                merged(n, nib_onnx_part(n, w, 2, k, 1, 1), 1, 2),
                                k == 0 ? bias : NIB_ONNX_ABSENT, f, left - 1);
    sum = k == 0 ? y : nib_onnx_binary(n, NIB_OP_ADD, sum, y);
  }
  return nib_onnx_swapped(n, split(n, sum, 0, batch), 1, 2);
}

/* One-dimensional operands as two-dimensional ones of height 1. */
static int32_t as_planes(nib_onnx_node *n, int32_t t) {
  return t != NIB_NONE && nib_onnx_tensor(n, t)->rank == 3 ? split(n, t, 1, nib_onnx_dim(n, t, 1))
                                                           : t;
}

static nib_status check_taps(nib_onnx_node *n, const int64_t *kernel, int32_t spatial) {
  int64_t taps = 1;
  for (int32_t i = 0; i < spatial - 2; ++i)
    taps *= kernel[i] <= MAX_TAPS ? kernel[i] : MAX_TAPS + 1;
  return taps <= MAX_TAPS ? NIB_OK
                          : nib_onnx_unsupported(n, "a filter of more than %d planes", MAX_TAPS);
}

/* x padded by low and high (negative: cropped), convolved; the result in the file's layout. */
static nib_status finish_conv(nib_onnx_node *n, int32_t x, int32_t w, filter *f, const int64_t *low,
                              const int64_t *high) {
  const int32_t bias = nib_onnx_input(n, 2) ? nib_onnx_in(n, 2) : NIB_ONNX_ABSENT;
  if (nib_onnx_input(n, 2) && bias == NIB_NONE)
    return n->ctx->failure;
  const bool flat = f->spatial == 1;
  x = nib_onnx_padded(n, x, low, high, 0);
  if (flat) {
    f->spatial = 2;
    f->strides[1] = f->strides[0];
    f->dilations[1] = f->dilations[0];
    f->strides[0] = f->dilations[0] = 1;
    x = as_planes(n, x);
    w = as_planes(n, w);
  }
  const int32_t y = emit_conv(n, x, w, bias, f, f->spatial);
  return nib_onnx_finish(n, flat ? merged(n, y, 1, 2) : y);
}

nib_status nib_onnx_import_conv_nd(nib_onnx_node *n) {
  const nib_onnx_value *x = nib_onnx_input(n, 0), *w = nib_onnx_input(n, 1);
  const int32_t spatial = x->rank - 2;
  const int64_t groups = nib_onnx_attr_int(n, "group", 1);
  nib_onnx_windows window;
  NIB_RETURN_IF_ERROR(nib_onnx_require_reals(n));
  if (spatial < 1 || w->rank != x->rank || groups < 1 || w->dims[0] % groups ||
      x->dims[1] != w->dims[1] * groups)
    return nib_onnx_invalid(n, "its filter does not fit its input");
  const nib_onnx_value *bias = nib_onnx_input(n, 2);
  if (bias && (bias->rank != 1 || bias->dims[0] != w->dims[0]))
    return nib_onnx_invalid(n, "its bias is not one number for each channel");
  NIB_RETURN_IF_ERROR(nib_onnx_read_windows(n, x->dims + 2, spatial, w->dims + 2, &window));
  NIB_RETURN_IF_ERROR(check_taps(n, window.kernel, spatial));
  filter f = {.spatial = spatial, .groups = groups};
  memcpy(f.strides, window.strides, sizeof f.strides);
  memcpy(f.dilations, window.dilations, sizeof f.dilations);
  int64_t low[NIB_MAX_RANK] = {0}, high[NIB_MAX_RANK] = {0};
  memcpy(low + 2, window.low, (size_t)spatial * sizeof *low);
  memcpy(high + 2, window.high, (size_t)spatial * sizeof *high);
  const int32_t in = nib_onnx_in(n, 0);
  return finish_conv(n, in, nib_onnx_in(n, 1), &f, low, high);
}

/* ---- transposed ---- */

/* What is padded around the stretched input: low and high of the convolution. */
static nib_status place_transposed(nib_onnx_node *n, const nib_onnx_value *x,
                                   const nib_onnx_value *w, filter *f, int64_t *strides,
                                   int64_t *low, int64_t *high) {
  const int32_t spatial = f->spatial;
  int64_t pads[2 * NIB_ONNX_MAX_SPATIAL], extra[NIB_ONNX_MAX_SPATIAL], shape[NIB_ONNX_MAX_SPATIAL];
  int64_t kernel[NIB_ONNX_MAX_SPATIAL];
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "strides", spatial, 1, strides));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "dilations", spatial, 1, f->dilations));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "pads", 2 * spatial, 0, pads));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "output_padding", spatial, 0, extra));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "output_shape", spatial, 0, shape));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "kernel_shape", spatial, 0, kernel));
  const char *auto_pad = nib_onnx_attr_string(n, "auto_pad", "NOTSET");
  const bool same = !strncmp(auto_pad, "SAME", 4), upper = !strcmp(auto_pad, "SAME_UPPER");
  for (int32_t i = 0; i < spatial; ++i) {
    const int64_t in = x->dims[2 + i], k = w->dims[2 + i];
    if (nib_onnx_attr(n, "kernel_shape") && kernel[i] != k)
      return nib_onnx_invalid(n, "kernel_shape differs from the shape of its filter");
    if (strides[i] < 1 || strides[i] > MAX_EXTENT || f->dilations[i] < 1 ||
        f->dilations[i] > MAX_EXTENT || in > MAX_EXTENT || k > MAX_EXTENT || extra[i] < 0 ||
        extra[i] > MAX_EXTENT || pads[i] < -MAX_EXTENT || pads[i] > MAX_EXTENT ||
        pads[spatial + i] < -MAX_EXTENT || pads[spatial + i] > MAX_EXTENT)
      return nib_onnx_invalid(n, "its strides, dilations or pads are out of range");
    const int64_t span = (k - 1) * f->dilations[i];
    const int64_t full = strides[i] * (in - 1) + span + 1 + extra[i];
    const int64_t wanted = shape[i] > 0 ? shape[i] : same ? in * strides[i] : 0;
    int64_t begin = pads[i], end = pads[spatial + i];
    if (!strcmp(auto_pad, "VALID"))
      begin = end = 0;
    if (wanted > 0) {
      const int64_t total = full - wanted;
      begin = total < 0 ? 0 : upper ? total / 2 : total - total / 2;
      end = total - begin;
    }
    if (full - begin - end < 1 || full - begin - end > MAX_EXTENT)
      return nib_onnx_unsupported(n, "its pads do not fit its result");
    low[2 + i] = span - begin;
    high[2 + i] = span - end + extra[i];
    f->strides[i] = 1;
  }
  return NIB_OK;
}

/* `step` - 1 zeros between the elements of dimension `at`. */
static int32_t stretched(nib_onnx_node *n, int32_t t, int32_t at, int64_t step) {
  if (t == NIB_NONE || step == 1)
    return t;
  const int64_t size = nib_onnx_dim(n, t, at);
  const int64_t before[NIB_MAX_RANK] = {0}, behind[NIB_MAX_RANK] = {0, step - 1};
  int64_t dims[NIB_MAX_RANK];
  const int32_t rank = nib_onnx_tensor(n, t)->rank;
  memcpy(dims, nib_onnx_tensor(n, t)->dims, sizeof dims);
  const int64_t flat[] = {nib_onnx_count_elems(dims, at + 1), 1,
                          nib_onnx_count_elems(dims + at + 1, rank - at - 1)};
  t = nib_onnx_padded(n, nib_onnx_reshaped(n, t, 3, flat), before, behind, 0);
  dims[at] = size * step;
  return nib_onnx_part(n, nib_onnx_reshaped(n, t, rank, dims), at, 0, (size - 1) * step + 1, 1);
}

/* [in, out / groups, k ..] as the filter [out, in / groups, k ..] of a convolution, flipped. */
static int32_t flipped(nib_onnx_node *n, int32_t w, const filter *f) {
  w = nib_onnx_swapped(n, split(n, w, 0, f->groups), 1, 2);
  w = merged(n, w, 0, 2);
  for (int32_t i = 0; i < f->spatial && w != NIB_NONE; ++i) {
    const int64_t k = nib_onnx_dim(n, w, 2 + i);
    if (k > 1)
      w = nib_onnx_part(n, w, 2 + i, k - 1, k, -1);
  }
  return w;
}

nib_status nib_onnx_import_conv_transpose_nd(nib_onnx_node *n) {
  const nib_onnx_value *x = nib_onnx_input(n, 0), *w = nib_onnx_input(n, 1);
  const nib_onnx_value *bias = nib_onnx_input(n, 2);
  filter f = {.spatial = x->rank - 2, .groups = nib_onnx_attr_int(n, "group", 1)};
  NIB_RETURN_IF_ERROR(nib_onnx_require_reals(n));
  if (f.spatial < 1 || w->rank != x->rank || f.groups < 1 || w->dims[0] != x->dims[1] ||
      x->dims[1] % f.groups)
    return nib_onnx_invalid(n, "its filter does not fit its input");
  if (f.spatial > NIB_ONNX_MAX_SPATIAL || x->rank >= NIB_MAX_RANK)
    return nib_onnx_unsupported(n, "%d spatial dimensions", f.spatial);
  if (bias && (bias->rank != 1 || bias->dims[0] != w->dims[1] * f.groups))
    return nib_onnx_invalid(n, "its bias is not one number for each channel");
  int64_t strides[NIB_ONNX_MAX_SPATIAL], low[NIB_MAX_RANK] = {0}, high[NIB_MAX_RANK] = {0};
  NIB_RETURN_IF_ERROR(check_taps(n, w->dims + 2, f.spatial));
  NIB_RETURN_IF_ERROR(place_transposed(n, x, w, &f, strides, low, high));
  int32_t in = nib_onnx_in(n, 0);
  for (int32_t i = 0; i < f.spatial; ++i)
    in = stretched(n, in, 2 + i, strides[i]);
  return finish_conv(n, in, flipped(n, nib_onnx_in(n, 1), &f), &f, low, high);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Pooling. One and two dimensions without dilations are operators of the graph, in NHWC between two
 * transposes. All else goes dimension by dimension, since a maximum or a sum over a box is one of
 * maxima or sums over its edges: strided slices of the padded input, combined. */
#include "onnx_build.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define MAX_TAPS 64 /* of one dimension, where they are written out */

/* ---- operators of the graph ---- */

/* Whether the graph's pooling operators can say it. */
static bool is_plain(const nib_onnx_windows *w) {
  bool ok = w->spatial <= 2;
  for (int32_t i = 0; ok && i < w->spatial; ++i)
    ok = w->dilations[i] == 1 && w->low[i] < w->kernel[i] && w->high[i] < w->kernel[i];
  return ok;
}

static nib_status emit_pool(nib_onnx_node *n, nib_op op, const nib_onnx_windows *w,
                            nib_onnx_value *x, bool include_pad) {
  int64_t kernel[2] = {1, 1}, strides[2] = {1, 1}, pads[4] = {0};
  int64_t dims[] = {x->dims[0], 1, 1, x->dims[1]};
  for (int32_t i = 0; i < w->spatial; ++i) {
    const int32_t at = 2 - w->spatial + i;
    kernel[at] = w->kernel[i];
    strides[at] = w->strides[i];
    pads[at] = w->low[i];
    pads[2 + at] = w->high[i];
    dims[1 + at] = w->out[i];
  }
  nib_graph *g = n->ctx->graph;
  int32_t in = nib_onnx_materialize(n, x);
  in = in == NIB_NONE ? NIB_NONE : nib_onnx_to_nhwc(n, in);
  const int32_t node =
      in == NIB_NONE ? NIB_NONE : nib_onnx_emit(n, op, &in, 1, in, 4, dims, "_nhwc");
  if (node == NIB_NONE)
    return n->ctx->failure;
  if (nib_graph_set_ints(g, node, NIB_A_STRIDES, strides, 2) != NIB_OK ||
      nib_graph_set_ints(g, node, NIB_A_PADS, pads, 4) != NIB_OK ||
      nib_graph_set_ints(g, node, NIB_A_KERNEL, kernel, 2) != NIB_OK ||
      (op == NIB_OP_AVG_POOL2D &&
       nib_graph_set_int(g, node, NIB_A_COUNT_INCLUDE_PAD, include_pad) != NIB_OK))
    return nib_onnx_out_of_memory(n->ctx);
  const int32_t out = nib_onnx_from_nhwc(n, g->nodes[node].out, w->spatial);
  return out == NIB_NONE ? n->ctx->failure : nib_onnx_set_result(n, out);
}

static nib_status read_pool(nib_onnx_node *n, const nib_onnx_value *x, nib_onnx_windows *w) {
  if (x->rank < 3)
    return nib_onnx_invalid(n, "its input has rank %d", x->rank);
  return nib_onnx_read_windows(n, x->dims + 2, x->rank - 2, NULL, w);
}

/* ---- dimension by dimension ---- */

/* x with room around its spatial dimensions for every window. */
static int32_t pad_windows(nib_onnx_node *n, int32_t x, const nib_onnx_windows *w, double value) {
  int64_t low[NIB_MAX_RANK] = {0}, high[NIB_MAX_RANK] = {0};
  for (int32_t i = 0; i < w->spatial; ++i) {
    low[2 + i] = w->low[i];
    high[2 + i] = w->high[i];
  }
  return nib_onnx_padded(n, x, low, high, value);
}

/* Element `tap` of each window along dimension i. */
static int32_t tap_of(nib_onnx_node *n, int32_t x, const nib_onnx_windows *w, int32_t i,
                      int64_t tap) {
  return nib_onnx_part(n, x, 2 + i, tap * w->dilations[i], w->out[i], w->strides[i]);
}

static nib_status check_taps(nib_onnx_node *n, const nib_onnx_windows *w) {
  for (int32_t i = 0; i < w->spatial; ++i)
    if (w->kernel[i] > MAX_TAPS)
      return nib_onnx_unsupported(n, "a window of %" PRId64 " elements; at most %d are written out",
                                  w->kernel[i], MAX_TAPS);
  return NIB_OK;
}

/* `op` over the windows of the padded x. */
static int32_t combine_windows(nib_onnx_node *n, nib_op op, int32_t x, const nib_onnx_windows *w) {
  for (int32_t i = w->spatial - 1; i >= 0; --i) {
    int32_t y = tap_of(n, x, w, i, 0);
    for (int64_t k = 1; k < w->kernel[i] && y != NIB_NONE; ++k)
      y = nib_onnx_binary(n, op, y, tap_of(n, x, w, i, k));
    x = y;
  }
  return x;
}

/* The least value of a format: what padding is to a maximum. */
static double least(nib_format f) {
  const nib_format_info *info = nib_format_get(f);
  return info->kind == NIB_KIND_FLOAT ? -INFINITY : (double)info->min;
}

/* ---- maxima ---- */

/* Places of elements in their plane, as i64 of the padded shape [1, 1, spatial]; `columns`: the
 * first dimension runs fastest. */
static int32_t places(nib_onnx_node *n, const nib_onnx_value *x, const nib_onnx_windows *w,
                      bool columns) {
  int64_t dims[NIB_MAX_RANK] = {1, 1}, at[NIB_MAX_RANK] = {0}, total = 1;
  for (int32_t i = 0; i < w->spatial; ++i) {
    dims[2 + i] = w->low[i] + x->dims[2 + i] + w->high[i];
    total *= dims[2 + i];
  }
  int64_t *place = nib_onnx_longs(n, total);
  for (int64_t k = 0; place && k < total; ++k) {
    for (int32_t s = 0; s < w->spatial; ++s) {
      const int32_t i = columns ? w->spatial - 1 - s : s;
      place[k] = place[k] * x->dims[2 + i] + at[i] - w->low[i];
    }
    for (int32_t i = w->spatial - 1; i >= 0 && ++at[i] == dims[2 + i]; --i)
      at[i] = 0;
  }
  return nib_onnx_integers(n, w->spatial + 2, dims, place);
}

/* Where each plane begins: i64 [batch, channels, 1 ..]. */
static int32_t plane_starts(nib_onnx_node *n, const nib_onnx_value *x) {
  int64_t dims[NIB_MAX_RANK] = {x->dims[0], x->dims[1], 1, 1, 1, 1, 1, 1};
  const int64_t plane = nib_onnx_count_elems(x->dims + 2, x->rank - 2);
  int64_t *starts = nib_onnx_longs(n, dims[0] * dims[1]);
  for (int64_t i = 0; starts && i < dims[0] * dims[1]; ++i)
    starts[i] = i * plane;
  return nib_onnx_integers(n, x->rank, dims, starts);
}

/* Maxima and where they are; the first of equals. Places go along with the values. */
static nib_status max_with_places(nib_onnx_node *n, nib_onnx_value *x, const nib_onnx_windows *w) {
  const bool columns = nib_onnx_attr_int(n, "storage_order", 0) != 0;
  const nib_onnx_value shape = *x;
  int32_t best = pad_windows(n, nib_onnx_materialize(n, x), w, least(x->format));
  int32_t place = places(n, &shape, w, columns);
  for (int32_t i = w->spatial - 1; i >= 0; --i) {
    int32_t value = tap_of(n, best, w, i, 0), at = tap_of(n, place, w, i, 0);
    for (int64_t k = 1; k < w->kernel[i] && value != NIB_NONE; ++k) {
      const int32_t other = tap_of(n, best, w, i, k);
      const int32_t larger = nib_onnx_compared(n, NIB_OP_LESS, value, other);
      value = nib_onnx_chosen(n, larger, other, value);
      at = nib_onnx_chosen(n, larger, tap_of(n, place, w, i, k), at);
    }
    best = value;
    place = at;
  }
  NIB_RETURN_IF_ERROR(
      nib_onnx_finish_at(n, 1, nib_onnx_binary(n, NIB_OP_ADD, place, plane_starts(n, &shape))));
  return nib_onnx_finish_at(n, 0, best);
}

nib_status nib_onnx_import_max_pool(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  nib_onnx_windows w;
  NIB_RETURN_IF_ERROR(read_pool(n, x, &w));
  const bool with_places = nib_onnx_output_is_used(n, 1);
  if (is_plain(&w) && !with_places)
    return emit_pool(n, NIB_OP_MAX_POOL2D, &w, x, false);
  NIB_RETURN_IF_ERROR(check_taps(n, &w));
  if (with_places)
    return max_with_places(n, x, &w);
  const int32_t in = pad_windows(n, nib_onnx_materialize(n, x), &w, least(x->format));
  return nib_onnx_finish(n, combine_windows(n, NIB_OP_MAXIMUM, in, &w));
}

/* The given elements in their places, zeros elsewhere. */
nib_status nib_onnx_import_max_unpool(nib_onnx_node *n) {
  const nib_onnx_value *x = nib_onnx_input(n, 0), *indices = nib_onnx_input(n, 1);
  const int32_t spatial = x->rank - 2;
  int64_t kernel[NIB_MAX_RANK], strides[NIB_MAX_RANK], pads[2 * NIB_MAX_RANK];
  int64_t dims[NIB_MAX_RANK], shape[NIB_MAX_RANK];
  int32_t n_shape;
  if (spatial < 1 || indices->rank != x->rank ||
      memcmp(indices->dims, x->dims, (size_t)x->rank * sizeof *x->dims))
    return nib_onnx_invalid(n, "its input and indices differ in shape");
  NIB_RETURN_IF_ERROR(nib_onnx_require_real(n, x));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "kernel_shape", spatial, 1, kernel));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "strides", spatial, 1, strides));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "pads", 2 * spatial, 0, pads));
  NIB_RETURN_IF_ERROR(nib_onnx_constant_ints(n, 2, NIB_MAX_RANK, shape, &n_shape));
  memcpy(dims, x->dims, sizeof dims);
  for (int32_t i = 0; i < spatial; ++i)
    dims[2 + i] = (x->dims[2 + i] - 1) * strides[i] + kernel[i] - pads[i] - pads[spatial + i];
  if (n_shape >= 0 && n_shape != x->rank)
    return nib_onnx_invalid(n, "its output_shape has %d dimensions", n_shape);
  if (n_shape >= 0)
    memcpy(dims, shape, (size_t)n_shape * sizeof *shape);
  /* Indices are those of the pooled tensor flattened, which has the computed shape. */
  const int64_t total = nib_onnx_count_elems(dims, x->rank),
                count[] = {nib_onnx_count_elems(x->dims, x->rank), 1};
  if (total < 1)
    return nib_onnx_invalid(n, "its result has no elements");
  const int32_t zeros = nib_onnx_constant(n, x->format, 1, &total, nib_onnx_doubles(n, total));
  const int32_t at = nib_onnx_reshaped(n, nib_onnx_in(n, 1), 2, count);
  const int32_t values = nib_onnx_reshaped(n, nib_onnx_in(n, 0), 1, count);
  return nib_onnx_finish(
      n, nib_onnx_reshaped(n, nib_onnx_scattered_nd(n, zeros, at, values, "none"), x->rank, dims));
}

/* ---- sums ---- */

/* How many elements of window `at` of dimension i count. */
static int64_t count_elements(const nib_onnx_windows *w, int32_t i, int64_t in, int64_t at,
                              bool include_pad) {
  int64_t count = 0;
  for (int64_t k = 0; k < w->kernel[i]; ++k) {
    const int64_t p = at * w->strides[i] - w->low[i] + k * w->dilations[i];
    count += include_pad ? p < w->padded_end[i] : p >= 0 && p < in;
  }
  return count;
}

/* 1 / count of each window: [spatial]. */
static int32_t shares(nib_onnx_node *n, const nib_onnx_value *x, const nib_onnx_windows *w,
                      bool include_pad) {
  int64_t at[NIB_MAX_RANK] = {0};
  const int64_t total = nib_onnx_count_elems(w->out, w->spatial);
  double *share = nib_onnx_doubles(n, total);
  for (int64_t k = 0; share && k < total; ++k) {
    int64_t count = 1;
    for (int32_t i = 0; i < w->spatial; ++i)
      count *= count_elements(w, i, x->dims[2 + i], at[i], include_pad);
    share[k] = count ? 1.0 / (double)count : 0;
    for (int32_t i = w->spatial - 1; i >= 0 && ++at[i] == w->out[i]; --i)
      at[i] = 0;
  }
  return nib_onnx_constant(n, x->format, w->spatial, w->out, share);
}

nib_status nib_onnx_import_average_pool(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  nib_onnx_windows w;
  NIB_RETURN_IF_ERROR(nib_onnx_require_real(n, x));
  NIB_RETURN_IF_ERROR(read_pool(n, x, &w));
  const bool include_pad = nib_onnx_attr_int(n, "count_include_pad", 0) != 0;
  if (is_plain(&w) && !(w.grown && include_pad))
    return emit_pool(n, NIB_OP_AVG_POOL2D, &w, x, include_pad);
  NIB_RETURN_IF_ERROR(check_taps(n, &w));
  const nib_onnx_value shape = *x;
  const int32_t in = pad_windows(n, nib_onnx_materialize(n, x), &w, 0);
  const int32_t sum = combine_windows(n, NIB_OP_ADD, in, &w);
  return nib_onnx_finish(n,
                         nib_onnx_binary(n, NIB_OP_MUL, sum, shares(n, &shape, &w, include_pad)));
}

/* |x|^p, and back. */
static int32_t to_power(nib_onnx_node *n, int32_t x, int64_t p) {
  if (p == 2)
    return nib_onnx_squared(n, x);
  x = nib_onnx_unary(n, NIB_OP_ABS, x);
  return p == 1 ? x : nib_onnx_with(n, NIB_OP_POW, x, (double)p);
}

static int32_t from_power(nib_onnx_node *n, int32_t x, int64_t p) {
  if (p == 2)
    return nib_onnx_unary(n, NIB_OP_SQRT, x);
  return p == 1 ? x : nib_onnx_with(n, NIB_OP_POW, x, 1.0 / (double)p);
}

nib_status nib_onnx_import_lp_pool(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  const int64_t p = nib_onnx_attr_int(n, "p", 2);
  nib_onnx_windows w;
  NIB_RETURN_IF_ERROR(nib_onnx_require_real(n, x));
  NIB_RETURN_IF_ERROR(read_pool(n, x, &w));
  NIB_RETURN_IF_ERROR(check_taps(n, &w));
  if (p < 1)
    return nib_onnx_invalid(n, "p is %" PRId64, p);
  const int32_t in = pad_windows(n, to_power(n, nib_onnx_materialize(n, x), p), &w, 0);
  return nib_onnx_finish(n, from_power(n, combine_windows(n, NIB_OP_ADD, in, &w), p));
}

/* ---- whole planes ---- */

static nib_status check_global(nib_onnx_node *n, const nib_onnx_value *x) {
  return x->rank < 3 ? nib_onnx_invalid(n, "its input has rank %d", x->rank) : NIB_OK;
}

/* One maximum for each channel; more than two dimensions are seen as two. */
static nib_status global_max(nib_onnx_node *n, nib_onnx_value *x) {
  const int64_t rest = nib_onnx_count_elems(x->dims + 3, x->rank - 3);
  const int64_t flat[] = {x->dims[0], x->dims[1], x->dims[2], rest}, window[] = {x->dims[2], rest};
  const int64_t dims[NIB_MAX_RANK] = {x->dims[0], x->dims[1], 1, 1, 1, 1, 1, 1};
  const int64_t nhwc[] = {x->dims[0], 1, 1, x->dims[1]};
  const int32_t rank = x->rank;
  nib_graph *g = n->ctx->graph;
  int32_t in = nib_onnx_reshaped(n, nib_onnx_materialize(n, x), 4, flat);
  in = in == NIB_NONE ? NIB_NONE : nib_onnx_to_nhwc(n, in);
  const int32_t node =
      in == NIB_NONE ? NIB_NONE : nib_onnx_emit(n, NIB_OP_MAX_POOL2D, &in, 1, in, 4, nhwc, "_nhwc");
  if (node == NIB_NONE)
    return n->ctx->failure;
  if (nib_graph_set_ints(g, node, NIB_A_KERNEL, window, 2) != NIB_OK)
    return nib_onnx_out_of_memory(n->ctx);
  return nib_onnx_finish(n, nib_onnx_reshaped(n, g->nodes[node].out, rank, dims));
}

/* Two dimensions in NHWC, where transposes meet those of convolutions. */
static nib_status global_average(nib_onnx_node *n, nib_onnx_value *x) {
  static const int64_t spatial[] = {1, 2};
  int64_t axes[NIB_MAX_RANK];
  const int32_t rank = x->rank;
  int32_t in = nib_onnx_materialize(n, x);
  NIB_RETURN_IF_ERROR(nib_onnx_require_real(n, x));
  if (rank <= 4) {
    in = in == NIB_NONE ? NIB_NONE : nib_onnx_to_nhwc(n, in);
    in = nib_onnx_mean(n, in, spatial, 2, true);
    in = in == NIB_NONE ? NIB_NONE : nib_onnx_from_nhwc(n, in, rank - 2);
    return nib_onnx_finish(n, in);
  }
  for (int32_t i = 2; i < rank; ++i)
    axes[i - 2] = i;
  return nib_onnx_finish(n, nib_onnx_mean(n, in, axes, rank - 2, true));
}

nib_status nib_onnx_import_global_pool(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  NIB_RETURN_IF_ERROR(check_global(n, x));
  if (!strcmp(n->proto->op_type, "GlobalMaxPool"))
    return global_max(n, x);
  return global_average(n, x);
}

nib_status nib_onnx_import_global_lp_pool(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  const int64_t p = nib_onnx_attr_int(n, "p", 2);
  int64_t axes[NIB_MAX_RANK];
  NIB_RETURN_IF_ERROR(nib_onnx_require_real(n, x));
  NIB_RETURN_IF_ERROR(check_global(n, x));
  if (p < 1)
    return nib_onnx_invalid(n, "p is %" PRId64, p);
  for (int32_t i = 2; i < x->rank; ++i)
    axes[i - 2] = i;
  const int32_t rank = x->rank;
  const int32_t sum =
      nib_onnx_sum(n, to_power(n, nib_onnx_materialize(n, x), p), axes, rank - 2, true);
  return nib_onnx_finish(n, from_power(n, sum, p));
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Operators that read an image between its elements, at places that are computed at run time:
 * GridSample, RoiAlign, DeformConv; AffineGrid, which makes such places. Each place is a weighted
 * sum of neighbours, gathered one after the other. */
#include "onnx_build.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define MAX_DIMS 3
#define MAX_TAPS 4

typedef enum sample_mode { NEAREST = 1, LINEAR = 2, CUBIC = 4 } sample_mode; /* taps each way */
typedef enum sample_padding { ZEROS, BORDER, REFLECTION } sample_padding;

typedef struct sampler {
  nib_onnx_node *n;
  sample_mode mode;
  sample_padding padding;
  bool align_corners; /* reflection: at the centres of the outer elements, not at their edges */
  int32_t spatial;
  int64_t dims[MAX_DIMS];
  nib_format format;
} sampler;

/* One dimension of all places: what to read, as i64, and its weight. */
typedef struct taps {
  int32_t index[MAX_TAPS], weight[MAX_TAPS];
} taps;

/* ---- one dimension ---- */

/* x mirrored at both ends until it lies within. */
static int32_t reflect(const sampler *s, int32_t x, int64_t size) {
  nib_onnx_node *n = s->n;
  const double low = s->align_corners ? 0 : -0.5;
  const double span = s->align_corners ? (double)(size - 1) : (double)size;
  if (span == 0)
    return nib_onnx_with(n, NIB_OP_MUL, x, 0);
  x = nib_onnx_with(n, NIB_OP_MOD, nib_onnx_with(n, NIB_OP_SUB, x, low), 2 * span);
  x = nib_onnx_unary(n, NIB_OP_ABS, nib_onnx_with(n, NIB_OP_SUB, x, span)); /* from the far end */
  return nib_onnx_with(n, NIB_OP_ADD, nib_onnx_unary(n, NIB_OP_NEG, x), span + low);
}

/* Places that the padding brings into the image, before neighbours are found. */
static int32_t bring_in(const sampler *s, int32_t x, int64_t size) {
  if (s->padding == BORDER)
    return nib_onnx_clamped(s->n, x, 0, (double)(size - 1));
  return s->padding == REFLECTION ? reflect(s, x, size) : x;
}

/* ((a x + b) x + c) x + d */
static int32_t polynomial(nib_onnx_node *n, int32_t x, double a, double b, double c, double d) {
  int32_t y = nib_onnx_with(n, NIB_OP_ADD, nib_onnx_with(n, NIB_OP_MUL, x, a), b);
  y = nib_onnx_with(n, NIB_OP_ADD, nib_onnx_binary(n, NIB_OP_MUL, y, x), c);
  return nib_onnx_with(n, NIB_OP_ADD, nib_onnx_binary(n, NIB_OP_MUL, y, x), d);
}

/* Weights of the taps by the fraction f behind the second of four, or the first of two. */
static void weigh(const sampler *s, int32_t f, int32_t *weight) {
  nib_onnx_node *n = s->n;
  const double a = -0.75;
  const int32_t rest = nib_onnx_with(n, NIB_OP_ADD, nib_onnx_unary(n, NIB_OP_NEG, f), 1);
  if (s->mode == LINEAR) {
    weight[0] = rest;
    weight[1] = f;
    return;
  }
  weight[0] = polynomial(n, nib_onnx_with(n, NIB_OP_ADD, f, 1), a, -5 * a, 8 * a, -4 * a);
  weight[1] = polynomial(n, f, a + 2, -(a + 3), 0, 1);
  weight[2] = polynomial(n, rest, a + 2, -(a + 3), 0, 1);
  weight[3] = polynomial(n, nib_onnx_with(n, NIB_OP_ADD, rest, 1), a, -5 * a, 8 * a, -4 * a);
}

/* The index of the element at whole number x; with zeros around, the weight loses what is outside.
 * NIB_ONNX_ABSENT as a weight is 1. */
static void place_tap(const sampler *s, int32_t x, int64_t size, int32_t *index, int32_t *weight) {
  nib_onnx_node *n = s->n;
  if (s->padding == ZEROS) {
    const int32_t clamped = nib_onnx_clamped(n, x, 0, (double)(size - 1));
    const int32_t inside = nib_onnx_compared(n, NIB_OP_EQUAL, clamped, x);
    const int32_t one = *weight == NIB_ONNX_ABSENT ? nib_onnx_number(n, s->format, 1) : *weight;
    *weight = nib_onnx_chosen(n, inside, one, nib_onnx_number(n, s->format, 0));
    x = clamped;
  } else if (s->padding == REFLECTION) {
    x = nib_onnx_clamped(n, reflect(s, x, size), 0, (double)(size - 1));
  } else {
    x = nib_onnx_clamped(n, x, 0, (double)(size - 1));
  }
  *index = nib_onnx_converted(n, x, NIB_I64);
}

static taps find_taps(const sampler *s, int32_t x, int64_t size) {
  nib_onnx_node *n = s->n;
  taps t;
  for (int i = 0; i < MAX_TAPS; ++i)
    t.weight[i] = NIB_ONNX_ABSENT;
  if (s->mode == NEAREST) {
    x = bring_in(s, nib_onnx_unary(n, NIB_OP_ROUND, x), size);
    place_tap(s, x, size, &t.index[0], &t.weight[0]);
    return t;
  }
  x = bring_in(s, x, size);
  const int32_t whole = nib_onnx_unary(n, NIB_OP_FLOOR, x);
  weigh(s, nib_onnx_binary(n, NIB_OP_SUB, x, whole), t.weight);
  for (int i = 0; i < (int)s->mode; ++i) {
    const int offset = s->mode == CUBIC ? i - 1 : i;
    place_tap(s, offset ? nib_onnx_with(n, NIB_OP_ADD, whole, offset) : whole, size, &t.index[i],
              &t.weight[i]);
  }
  return t;
}

/* ---- all dimensions ---- */

/* Elements of `planes` [batch, positions, channels] at the places x[d] [batch, count] of each
 * dimension: [batch, count, channels]. */
static int32_t sample(const sampler *s, int32_t planes, const int32_t *x) {
  nib_onnx_node *n = s->n;
  taps t[MAX_DIMS];
  int64_t total = 1;
  int32_t sum = NIB_NONE;
  for (int32_t d = 0; d < s->spatial; ++d) {
    t[d] = find_taps(s, x[d], s->dims[d]);
    total *= (int64_t)s->mode;
  }
  for (int64_t k = 0; k < total; ++k) {
    int64_t rest = k;
    int32_t index = NIB_NONE, weight = NIB_ONNX_ABSENT;
    for (int32_t d = 0; d < s->spatial; ++d, rest /= (int64_t)s->mode) {
      const int32_t i = t[d].index[rest % (int64_t)s->mode];
      const int32_t w = t[d].weight[rest % (int64_t)s->mode];
      index = d == 0 ? i
                     : nib_onnx_binary(n, NIB_OP_ADD,
                                       nib_onnx_with(n, NIB_OP_MUL, index, (double)s->dims[d]), i);
      weight = weight == NIB_ONNX_ABSENT ? w
               : w == NIB_ONNX_ABSENT    ? weight
                                         : nib_onnx_binary(n, NIB_OP_MUL, weight, w);
    }
    int32_t value = nib_onnx_gathered_batches(n, planes, index, 1, 1);
    if (value == NIB_NONE)
      return NIB_NONE;
    if (weight != NIB_ONNX_ABSENT) {
      const int64_t column[] = {nib_onnx_dim(n, weight, 0), nib_onnx_dim(n, weight, 1), 1};
      value = nib_onnx_binary(n, NIB_OP_MUL, value, nib_onnx_reshaped(n, weight, 3, column));
    }
    sum = k == 0 ? value : nib_onnx_binary(n, NIB_OP_ADD, sum, value);
  }
  return sum;
}

/* [batch, channels, spatial ..] as [batch, positions, channels] */
static int32_t channels_last(nib_onnx_node *n, int32_t t) {
  if (t == NIB_NONE)
    return NIB_NONE;
  const nib_tensor *x = nib_onnx_tensor(n, t);
  const int64_t dims[] = {x->dims[0], x->dims[1], nib_onnx_count_elems(x->dims + 2, x->rank - 2)};
  return nib_onnx_swapped(n, nib_onnx_reshaped(n, t, 3, dims), 1, 2);
}

/* ---- GridSample ---- */

static nib_status read_grid_sample(nib_onnx_node *n, sampler *s) {
  const nib_onnx_value *x = nib_onnx_input(n, 0), *grid = nib_onnx_input(n, 1);
  const char *mode = nib_onnx_attr_string(n, "mode", "linear");
  const char *padding = nib_onnx_attr_string(n, "padding_mode", "zeros");
  NIB_RETURN_IF_ERROR(nib_onnx_require_reals(n));
  *s = (sampler){.n = n, .format = x->format, .spatial = x->rank - 2};
  s->align_corners = nib_onnx_attr_int(n, "align_corners", 0) != 0;
  s->mode = !strcmp(mode, "nearest")                             ? NEAREST
            : !strcmp(mode, "cubic") || !strcmp(mode, "bicubic") ? CUBIC
                                                                 : LINEAR;
  if (s->mode == LINEAR && strcmp(mode, "linear") && strcmp(mode, "bilinear"))
    return nib_onnx_invalid(n, "mode '%.40s' does not exist", mode);
  s->padding = !strcmp(padding, "border") ? BORDER : !strcmp(padding, "zeros") ? ZEROS : REFLECTION;
  if (s->padding == REFLECTION && strcmp(padding, "reflection"))
    return nib_onnx_invalid(n, "padding_mode '%.40s' does not exist", padding);
  if (x->rank < 3 || grid->rank != x->rank || grid->dims[0] != x->dims[0] ||
      grid->dims[grid->rank - 1] != s->spatial)
    return nib_onnx_invalid(n, "its grid does not fit its input");
  if (s->spatial > MAX_DIMS)
    return nib_onnx_unsupported(n, "%d spatial dimensions", s->spatial);
  memcpy(s->dims, x->dims + 2, (size_t)s->spatial * sizeof *s->dims);
  return NIB_OK;
}

nib_status nib_onnx_import_grid_sample(nib_onnx_node *n) {
  const nib_onnx_value *grid = nib_onnx_input(n, 1);
  sampler s;
  NIB_RETURN_IF_ERROR(read_grid_sample(n, &s));
  const int64_t batch = grid->dims[0], channels = nib_onnx_input(n, 0)->dims[1];
  const int64_t count = nib_onnx_count_elems(grid->dims + 1, s.spatial);
  const int64_t places[] = {batch, count, s.spatial}, row[] = {batch, count};
  int64_t dims[NIB_MAX_RANK] = {batch, channels};
  memcpy(dims + 2, grid->dims + 1, (size_t)s.spatial * sizeof *dims);
  const int32_t all = nib_onnx_reshaped(n, nib_onnx_in(n, 1), 3, places);
  int32_t x[MAX_DIMS];
  for (int32_t d = 0; d < s.spatial; ++d) { /* the last dimension comes first; from -1 .. 1 */
    const double size = (double)s.dims[d];
    x[d] = nib_onnx_reshaped(n, nib_onnx_part(n, all, 2, s.spatial - 1 - d, 1, 1), 2, row);
    x[d] = nib_onnx_with(n, NIB_OP_ADD, x[d], 1);
    if (s.align_corners)
      x[d] = nib_onnx_with(n, NIB_OP_MUL, x[d], (size - 1) / 2);
    else
      x[d] = nib_onnx_with(
          n, NIB_OP_MUL, nib_onnx_with(n, NIB_OP_SUB, nib_onnx_with(n, NIB_OP_MUL, x[d], size), 1),
          0.5);
  }
  const int32_t y = sample(&s, channels_last(n, nib_onnx_in(n, 0)), x);
  return nib_onnx_finish(n,
                         nib_onnx_reshaped(n, nib_onnx_swapped(n, y, 1, 2), s.spatial + 2, dims));
}

/* Places from -1 to 1 of a regular grid, with a 1 behind, times the matrix of each example. */
nib_status nib_onnx_import_affine_grid(nib_onnx_node *n) {
  const nib_onnx_value *theta = nib_onnx_input(n, 0);
  const bool align = nib_onnx_attr_int(n, "align_corners", 0) != 0;
  int64_t size[NIB_MAX_RANK];
  int32_t rank;
  NIB_RETURN_IF_ERROR(nib_onnx_require_real(n, theta));
  NIB_RETURN_IF_ERROR(nib_onnx_constant_ints(n, 1, NIB_MAX_RANK, size, &rank));
  const int32_t spatial = rank - 2;
  if (spatial < 1 || theta->rank != 3 || theta->dims[0] != size[0] || theta->dims[1] != spatial ||
      theta->dims[2] != spatial + 1)
    return nib_onnx_invalid(n, "its matrices do not fit its size");
  const int64_t count = nib_onnx_count_elems(size + 2, spatial), columns = spatial + 1;
  const int64_t dims[] = {count, columns};
  if (count < 1)
    return nib_onnx_invalid(n, "its size is out of range");
  double *grid = nib_onnx_doubles(n, count * columns);
  for (int64_t k = 0; grid && k < count; ++k) {
    int64_t rest = k;
    for (int32_t d = spatial - 1; d >= 0; rest /= size[2 + d], --d) {
      const double at = (double)(rest % size[2 + d]), extent = (double)size[2 + d];
      grid[k * columns + spatial - 1 - d] =
          align ? (extent > 1 ? 2 * at / (extent - 1) - 1 : 0) : (2 * at + 1) / extent - 1;
    }
    grid[k * columns + spatial] = 1;
  }
  int64_t result[NIB_MAX_RANK];
  result[0] = size[0];
  memcpy(result + 1, size + 2, (size_t)spatial * sizeof *result);
  result[rank - 1] = spatial;
  const int32_t places = nib_onnx_constant(n, theta->format, 2, dims, grid);
  const int32_t matrices = nib_onnx_swapped(n, nib_onnx_in(n, 0), 1, 2);
  return nib_onnx_finish(n,
                         nib_onnx_reshaped(n, nib_onnx_product(n, places, matrices), rank, result));
}

/* ---- RoiAlign ---- */

/* Regions [regions, 4] of images; `ratio` samples each way for each of out[d] results. */
typedef struct regions {
  nib_onnx_node *n;
  int64_t count, ratio, out[2];
  double scale, offset;
  bool at_least_one; /* a region is not smaller than an element */
} regions;

/* Places of the samples along dimension d (0: y) of every region: [regions, out[d] * ratio]. */
static int32_t region_places(const regions *r, int32_t rois, int32_t d) {
  nib_onnx_node *n = r->n;
  const int64_t samples = r->out[d] * r->ratio;
  double *share = nib_onnx_doubles(n, samples);
  for (int64_t i = 0; share && i < samples; ++i)
    share[i] = ((double)i + 0.5) / (double)samples;
  int32_t edge[2]; /* x1 y1 x2 y2 */
  for (int i = 0; i < 2; ++i) {
    edge[i] = nib_onnx_part(n, rois, 1, 2 * i + (d == 0 ? 1 : 0), 1, 1);
    edge[i] =
        nib_onnx_with(n, NIB_OP_SUB, nib_onnx_with(n, NIB_OP_MUL, edge[i], r->scale), r->offset);
  }
  int32_t extent = nib_onnx_binary(n, NIB_OP_SUB, edge[1], edge[0]);
  if (r->at_least_one)
    extent = nib_onnx_with(n, NIB_OP_MAXIMUM, extent, 1);
  if (extent == NIB_NONE)
    return NIB_NONE;
  const int32_t shares =
      nib_onnx_constant(n, nib_onnx_tensor(n, extent)->format, 1, &samples, share);
  return nib_onnx_binary(n, NIB_OP_ADD, nib_onnx_binary(n, NIB_OP_MUL, extent, shares), edge[0]);
}

/* y and x of all samples, [regions, samples]: rows of y times columns of x. */
static void all_places(const regions *r, int32_t rois, int32_t *x) {
  const int64_t rows = r->out[0] * r->ratio, columns = r->out[1] * r->ratio;
  const int64_t all[] = {r->count, rows, columns}, flat[] = {r->count, rows * columns};
  for (int32_t d = 0; d < 2; ++d) {
    const int64_t seen[] = {r->count, d ? 1 : rows, d ? columns : 1};
    x[d] = nib_onnx_reshaped(r->n, region_places(r, rois, d), 3, seen);
    x[d] = nib_onnx_reshaped(r->n, nib_onnx_broadcasted(r->n, x[d], 3, all), 2, flat);
  }
}

/* More than one element outside the image: nothing. */
static int32_t mask_outside(const sampler *s, int32_t values, const int32_t *x) {
  nib_onnx_node *n = s->n;
  for (int32_t d = 0; d < 2 && values != NIB_NONE; ++d) {
    const int32_t clamped = nib_onnx_clamped(n, x[d], -1, (double)s->dims[d]);
    const int32_t inside = nib_onnx_compared(n, NIB_OP_EQUAL, clamped, x[d]);
    if (inside == NIB_NONE)
      return NIB_NONE;
    const int64_t column[] = {nib_onnx_dim(n, inside, 0), nib_onnx_dim(n, inside, 1), 1};
    values = nib_onnx_chosen(n, nib_onnx_reshaped(n, inside, 3, column), values,
                             nib_onnx_number(n, s->format, 0));
  }
  return values;
}

/* [regions, samples, channels] to [regions, channels, out, out] by means or maxima. */
static int32_t pool_samples(const regions *r, int32_t values, int64_t channels, bool largest) {
  static const int64_t axes[] = {2, 4};
  nib_onnx_node *n = r->n;
  const int64_t split[] = {r->count, r->out[0], r->ratio, r->out[1], r->ratio, channels};
  const int64_t dims[] = {r->count, r->out[0], r->out[1], channels};
  static const int64_t perm[] = {0, 3, 1, 2};
  values = nib_onnx_reshaped(n, values, 6, split);
  if (!largest)
    return nib_onnx_transposed(
        n, nib_onnx_reshaped(n, nib_onnx_mean(n, values, axes, 2, true), 4, dims), perm);
  for (int32_t i = 0; i < 2; ++i) {
    int32_t best = nib_onnx_part(n, values, (int32_t)axes[i], 0, 1, 1);
    for (int64_t k = 1; k < r->ratio; ++k)
      best = nib_onnx_binary(n, NIB_OP_MAXIMUM, best,
                             nib_onnx_part(n, values, (int32_t)axes[i], k, 1, 1));
    values = best;
  }
  return nib_onnx_transposed(n, nib_onnx_reshaped(n, values, 4, dims), perm);
}

nib_status nib_onnx_import_roi_align(nib_onnx_node *n) {
  const nib_onnx_value *x = nib_onnx_input(n, 0), *rois = nib_onnx_input(n, 1);
  const nib_onnx_value *batch = nib_onnx_input(n, 2);
  const char *coordinates = nib_onnx_attr_string(
      n, "coordinate_transformation_mode", n->ctx->opset < 16 ? "output_half_pixel" : "half_pixel");
  const bool half = !strcmp(coordinates, "half_pixel");
  const bool largest = !strcmp(nib_onnx_attr_string(n, "mode", "avg"), "max");
  NIB_RETURN_IF_ERROR(nib_onnx_require_real(n, x));
  if (x->rank != 4 || rois->rank != 2 || rois->dims[1] != 4 || rois->format != x->format ||
      batch->rank != 1 || batch->dims[0] != rois->dims[0] || batch->format != NIB_I64)
    return nib_onnx_invalid(n, "its regions do not fit its input");
  regions r = {
      .n = n,
      .count = rois->dims[0],
      .ratio = nib_onnx_attr_int(n, "sampling_ratio", 0),
      .out = {nib_onnx_attr_int(n, "output_height", 1), nib_onnx_attr_int(n, "output_width", 1)},
      .scale = (double)nib_onnx_attr_float(n, "spatial_scale", 1.0f),
      .offset = half ? 0.5 : 0,
      .at_least_one = !half};
  if (r.ratio < 1)
    return nib_onnx_unsupported(n, "sampling_ratio 0: the number of samples would depend on the "
                                   "regions");
  if (r.ratio > 64 || r.out[0] < 1 || r.out[0] > 4096 || r.out[1] < 1 || r.out[1] > 4096)
    return nib_onnx_invalid(n, "its output size or sampling_ratio is out of range");
  if (largest)
    return nib_onnx_unsupported(n, "mode 'max', the maximum of weighted elements");
  const sampler s = {.n = n,
                     .mode = LINEAR,
                     .padding = BORDER,
                     .spatial = 2,
                     .dims = {x->dims[2], x->dims[3]},
                     .format = x->format};
  const int64_t channels = x->dims[1];
  int32_t places[2];
  all_places(&r, nib_onnx_in(n, 1), places);
  const int32_t planes =
      nib_onnx_gathered(n, channels_last(n, nib_onnx_in(n, 0)), nib_onnx_in(n, 2), 0);
  if (places[0] == NIB_NONE || places[1] == NIB_NONE || planes == NIB_NONE)
    return n->ctx->failure;
  const int32_t values = mask_outside(&s, sample(&s, planes, places), places);
  return nib_onnx_finish(n, pool_samples(&r, values, channels, false));
}

/* ---- DeformConv ---- */

typedef struct deform {
  nib_onnx_node *n;
  nib_onnx_window w;
  int64_t batch, channels, out_channels, groups, offset_groups, taps, positions;
} deform;

/* Where tap k of the window at position p lies along dimension d without offsets: [taps,
 * positions]. */
static int32_t regular_places(const deform *c, int32_t d, nib_format format) {
  const nib_onnx_window *w = &c->w;
  double *place = nib_onnx_doubles(c->n, c->taps * c->positions);
  for (int64_t i = 0; place && i < c->taps * c->positions; ++i) {
    const int64_t tap = i / c->positions, at = i % c->positions;
    const int64_t k = d ? tap % w->kernel[1] : tap / w->kernel[1];
    const int64_t o = d ? at % w->out[1] : at / w->out[1];
    place[i] = (double)(o * w->strides[d] - w->pads[d] + k * w->dilations[d]);
  }
  const int64_t dims[] = {1, c->taps, c->positions};
  return nib_onnx_constant(c->n, format, 3, dims, place);
}

/* Places along dimension d: [batch * offset groups, taps * positions]. */
static int32_t deformed_places(const deform *c, int32_t d, nib_format format) {
  nib_onnx_node *n = c->n;
  const int64_t rows = c->batch * c->offset_groups;
  const int64_t split[] = {rows, c->taps, 2, c->positions}, dims[] = {rows, c->taps, c->positions};
  const int64_t flat[] = {rows, c->taps * c->positions};
  int32_t offset = nib_onnx_reshaped(n, nib_onnx_in(n, 2), 4, split);
  offset = nib_onnx_reshaped(n, nib_onnx_part(n, offset, 2, d, 1, 1), 3, dims);
  return nib_onnx_reshaped(n, nib_onnx_binary(n, NIB_OP_ADD, offset, regular_places(c, d, format)),
                           2, flat);
}

static nib_status read_deform(nib_onnx_node *n, deform *c) {
  const nib_onnx_value *x = nib_onnx_input(n, 0), *w = nib_onnx_input(n, 1);
  const nib_onnx_value *offset = nib_onnx_input(n, 2), *mask = nib_onnx_input(n, 4);
  NIB_RETURN_IF_ERROR(nib_onnx_require_reals(n));
  if (x->rank != 4 || w->rank != 4)
    return nib_onnx_unsupported(n, "other than two spatial dimensions");
  *c = (deform){.n = n, .batch = x->dims[0], .channels = x->dims[1], .out_channels = w->dims[0]};
  NIB_RETURN_IF_ERROR(nib_onnx_read_window(n, x->dims + 2, 2, w->dims + 2, &c->w));
  c->groups = nib_onnx_attr_int(n, "group", 1);
  c->offset_groups = nib_onnx_attr_int(n, "offset_group", 1);
  c->taps = c->w.kernel[0] * c->w.kernel[1];
  c->positions = c->w.out[0] * c->w.out[1];
  if (c->groups < 1 || c->offset_groups < 1 || c->channels != w->dims[1] * c->groups ||
      c->out_channels % c->groups || c->channels % c->offset_groups)
    return nib_onnx_invalid(n, "its groups do not fit its channels");
  const int64_t offsets[] = {c->batch, c->offset_groups * c->taps * 2, c->w.out[0], c->w.out[1]};
  const int64_t masks[] = {c->batch, c->offset_groups * c->taps, c->w.out[0], c->w.out[1]};
  const nib_onnx_value *bias = nib_onnx_input(n, 3);
  if (offset->rank != 4 || memcmp(offset->dims, offsets, sizeof offsets) ||
      (mask && (mask->rank != 4 || memcmp(mask->dims, masks, sizeof masks))) ||
      (bias && (bias->rank != 1 || bias->dims[0] != c->out_channels)))
    return nib_onnx_invalid(n, "its offset, mask or bias does not fit its window");
  return NIB_OK;
}

/* What each tap of each window sees: [batch, groups, channels / groups * taps, positions]. */
static int32_t deformed_columns(const deform *c, nib_format format) {
  static const int64_t perm[] = {0, 1, 4, 2, 3};
  nib_onnx_node *n = c->n;
  const nib_onnx_value *x = nib_onnx_input(n, 0);
  const int64_t each = c->channels / c->offset_groups, rows = c->batch * c->offset_groups;
  const int64_t planes[] = {rows, each, x->dims[2] * x->dims[3]};
  const int64_t column[] = {rows, c->taps * c->positions, 1};
  const int64_t split[] = {c->batch, c->offset_groups, c->taps, c->positions, each};
  const int64_t dims[] = {c->batch, c->groups, c->channels / c->groups * c->taps, c->positions};
  const sampler s = {.n = n,
                     .mode = LINEAR,
                     .padding = ZEROS,
                     .align_corners = true,
                     .spatial = 2,
                     .dims = {x->dims[2], x->dims[3]},
                     .format = format};
  const int32_t places[] = {deformed_places(c, 0, format), deformed_places(c, 1, format)};
  const int32_t in = nib_onnx_swapped(n, nib_onnx_reshaped(n, nib_onnx_in(n, 0), 3, planes), 1, 2);
  if (places[0] == NIB_NONE || places[1] == NIB_NONE || in == NIB_NONE)
    return NIB_NONE;
  int32_t values = sample(&s, in, places);
  if (nib_onnx_input(n, 4))
    values =
        nib_onnx_binary(n, NIB_OP_MUL, values, nib_onnx_reshaped(n, nib_onnx_in(n, 4), 3, column));
  values = nib_onnx_transposed(n, nib_onnx_reshaped(n, values, 5, split), perm);
  return nib_onnx_reshaped(n, values, 4, dims);
}

nib_status nib_onnx_import_deform_conv(nib_onnx_node *n) {
  deform c;
  NIB_RETURN_IF_ERROR(read_deform(n, &c));
  const int64_t filter[] = {1, c.groups, c.out_channels / c.groups, c.channels / c.groups * c.taps};
  const int64_t dims[] = {c.batch, c.out_channels, c.w.out[0], c.w.out[1]};
  const int64_t column[] = {c.out_channels, 1, 1};
  const int32_t columns = deformed_columns(&c, nib_onnx_input(n, 0)->format);
  const int32_t w = nib_onnx_reshaped(n, nib_onnx_in(n, 1), 4, filter);
  int32_t y = nib_onnx_reshaped(n, nib_onnx_product(n, w, columns), 4, dims);
  if (nib_onnx_input(n, 3))
    y = nib_onnx_binary(n, NIB_OP_ADD, y, nib_onnx_reshaped(n, nib_onnx_in(n, 3), 3, column));
  return nib_onnx_finish(n, y);
}

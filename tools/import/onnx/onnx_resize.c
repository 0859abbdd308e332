/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Resize and Upsample: each result element is a sum of weighted elements along one dimension after
 * the other. Places and weights are known, so a dimension is a gather by constant indices (nearest)
 * or a product with a constant matrix. */
#include "onnx_build.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define MAX_EXTENT (INT64_C(1) << 20)

typedef struct resize {
  nib_onnx_node *n;
  const char *mode, *coordinates, *nearest;
  bool antialias, exclude_outside;
  double cubic_a, extrapolation;
  int32_t rank;
  int64_t in[NIB_MAX_RANK], out[NIB_MAX_RANK];
  double scale[NIB_MAX_RANK];
  double roi_start[NIB_MAX_RANK], roi_end[NIB_MAX_RANK];
} resize;

/* ---- one dimension ---- */

/* Where element i of the result lies in the input. */
static double place(const resize *r, int32_t d, int64_t i) {
  const double in = (double)r->in[d], scale = r->scale[d], x = (double)i, out = scale * in;
  if (!strcmp(r->coordinates, "align_corners"))
    return out == 1 ? 0 : x * (in - 1) / (out - 1);
  if (!strcmp(r->coordinates, "asymmetric"))
    return x / scale;
  if (!strcmp(r->coordinates, "pytorch_half_pixel"))
    return out == 1 ? -0.5 : (x + 0.5) / scale - 0.5;
  if (!strcmp(r->coordinates, "half_pixel_symmetric"))
    return in / 2 * (1 - (double)r->out[d] / out) + (x + 0.5) / scale - 0.5;
  if (!strcmp(r->coordinates, "tf_half_pixel_for_nn"))
    return (x + 0.5) / scale;
  if (!strcmp(r->coordinates, "tf_crop_and_resize")) {
    const double span = (r->roi_end[d] - r->roi_start[d]) * (in - 1);
    return r->roi_start[d] * (in - 1) + (out == 1 ? span / 2 : x * span / (out - 1));
  }
  return (x + 0.5) / scale - 0.5; /* half_pixel */
}

/* Beyond the input, where tf_crop_and_resize puts a constant. */
static bool is_outside(const resize *r, int32_t d, double x) {
  return !strcmp(r->coordinates, "tf_crop_and_resize") && (x < 0 || x > (double)(r->in[d] - 1));
}

static int64_t within(int64_t i, int64_t size) { return i < 0 ? 0 : i < size ? i : size - 1; }

static int64_t nearest_index(const resize *r, int32_t d, int64_t i) {
  const double x = place(r, d, i), below = floor(x), part = x - below;
  double at = below;
  if (!strcmp(r->nearest, "ceil"))
    at = ceil(x);
  else if (!strcmp(r->nearest, "round_prefer_ceil"))
    at = part >= 0.5 ? below + 1 : below;
  else if (strcmp(r->nearest, "floor"))
    at = part > 0.5 ? below + 1 : below; /* round_prefer_floor */
  return within((int64_t)at, r->in[d]);
}

static double cubic_weight(double x, double a) {
  x = fabs(x);
  if (x <= 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* The weights of row i, of `in` elements. Elements beyond the ends are those at the ends, or with
 * exclude_outside none. */
static void weigh(const resize *r, int32_t d, int64_t i, double *row) {
  const bool cubic = !strcmp(r->mode, "cubic");
  const double x = place(r, d, i), stretch = r->antialias && r->scale[d] < 1 ? r->scale[d] : 1;
  const double reach = (cubic ? 2 : 1) / stretch;
  const int64_t first = (int64_t)floor(x - reach) + 1, last = (int64_t)ceil(x + reach) - 1;
  double total = 0;
  if (is_outside(r, d, x))
    return;
  for (int64_t k = first; k <= last; ++k) {
    const double distance = ((double)k - x) * stretch;
    const double w = cubic ? cubic_weight(distance, r->cubic_a) : fmax(1 - fabs(distance), 0);
    if (r->exclude_outside && (k < 0 || k >= r->in[d]))
      continue;
    row[within(k, r->in[d])] += w;
    total += w;
  }
  for (int64_t k = 0; k < r->in[d]; ++k)
    row[k] /= total;
}

static int32_t resize_nearest(const resize *r, int32_t t, int32_t d) {
  int64_t *indices = nib_onnx_longs(r->n, r->out[d]);
  for (int64_t i = 0; indices && i < r->out[d]; ++i)
    indices[i] = nearest_index(r, d, i);
  return nib_onnx_gathered(r->n, t, nib_onnx_integers(r->n, 1, &r->out[d], indices), d);
}

/* [outer, in, inner] times the matrix of weights. */
static int32_t resize_linear(const resize *r, int32_t t, int32_t d) {
  nib_onnx_node *n = r->n;
  if (t == NIB_NONE)
    return NIB_NONE;
  double *weights = nib_onnx_doubles(n, r->out[d] * r->in[d]);
  for (int64_t i = 0; weights && i < r->out[d]; ++i)
    weigh(r, d, i, weights + i * r->in[d]);
  int64_t dims[NIB_MAX_RANK];
  memcpy(dims, nib_onnx_tensor(n, t)->dims, sizeof dims);
  const int64_t matrix[] = {r->out[d], r->in[d]};
  const int64_t flat[] = {nib_onnx_count_elems(dims, d), dims[d],
                          nib_onnx_count_elems(dims + d + 1, r->rank - d - 1)};
  const int32_t w = nib_onnx_constant(n, nib_onnx_tensor(n, t)->format, 2, matrix, weights);
  t = nib_onnx_reshaped(n, t, flat[2] == 1 ? 2 : 3, flat);
  t = flat[2] == 1 ? nib_onnx_product(n, t, nib_onnx_swapped(n, w, 0, 1))
                   : nib_onnx_product(n, w, t);
  dims[d] = r->out[d];
  return nib_onnx_reshaped(n, t, r->rank, dims);
}

/* ---- the operator ---- */

/* The extrapolation value where any dimension is outside. */
static int32_t extrapolate(const resize *r, int32_t t) {
  nib_onnx_node *n = r->n;
  for (int32_t d = 0; d < r->rank; ++d) {
    int64_t dims[NIB_MAX_RANK] = {1, 1, 1, 1, 1, 1, 1, 1};
    double *outside = nib_onnx_doubles(n, r->out[d]);
    bool any = false;
    for (int64_t i = 0; outside && i < r->out[d]; ++i)
      any |= (outside[i] = is_outside(r, d, place(r, d, i))) != 0;
    dims[d] = r->out[d];
    if (any && t != NIB_NONE) {
      const nib_format format = nib_onnx_tensor(n, t)->format;
      t = nib_onnx_chosen(n, nib_onnx_constant(n, NIB_I1, r->rank, dims, outside),
                          nib_onnx_number(n, format, r->extrapolation), t);
    }
  }
  return t;
}

static nib_status emit_resize(const resize *r, nib_onnx_value *x) {
  nib_onnx_node *n = r->n;
  const bool nearest = !strcmp(r->mode, "nearest");
  int32_t t = nib_onnx_materialize(n, x);
  for (int32_t d = 0; d < r->rank; ++d) {
    bool same = r->in[d] == r->out[d];
    for (int64_t i = 0; same && i < r->out[d]; ++i)
      same = place(r, d, i) == (double)i;
    if (!same)
      t = nearest ? resize_nearest(r, t, d) : resize_linear(r, t, d);
  }
  return nib_onnx_finish(n, extrapolate(r, t));
}

/* Sizes and scales of the given axes; a policy keeps the aspect ratio. */
static nib_status read_sizes(resize *r, const int64_t *axes, int32_t n_axes, const int64_t *sizes) {
  const char *policy = nib_onnx_attr_string(r->n, "keep_aspect_ratio_policy", "stretch");
  const bool larger = !strcmp(policy, "not_smaller"), smaller = !strcmp(policy, "not_larger");
  double common = larger ? 0 : INFINITY;
  if (!larger && !smaller && strcmp(policy, "stretch"))
    return nib_onnx_invalid(r->n, "keep_aspect_ratio_policy '%.40s' does not exist", policy);
  for (int32_t i = 0; i < n_axes; ++i) {
    if (sizes[i] < 1 || sizes[i] > MAX_EXTENT)
      return nib_onnx_invalid(r->n, "its size %" PRId64 " is out of range", sizes[i]);
    const double scale = (double)sizes[i] / (double)r->in[axes[i]];
    common = larger ? fmax(common, scale) : fmin(common, scale);
  }
  for (int32_t i = 0; i < n_axes; ++i) {
    const int32_t d = (int32_t)axes[i];
    r->out[d] = larger || smaller ? (int64_t)floor(common * (double)r->in[d] + 0.5) : sizes[i];
    r->scale[d] = larger || smaller ? common : (double)sizes[i] / (double)r->in[d];
  }
  return NIB_OK;
}

static nib_status read_scales(resize *r, const int64_t *axes, int32_t n_axes, const float *scales) {
  for (int32_t i = 0; i < n_axes; ++i) {
    const int32_t d = (int32_t)axes[i];
    r->scale[d] = (double)scales[i];
    if (!(r->scale[d] > 0) || !(r->scale[d] * (double)r->in[d] < (double)MAX_EXTENT))
      return nib_onnx_invalid(r->n, "its scale %g is out of range", r->scale[d]);
    r->out[d] = (int64_t)floor((double)r->in[d] * r->scale[d]);
  }
  return NIB_OK;
}

/* A constant vector of f32: `count` elements, or *out NULL where input `i` is absent or empty. */
static nib_status float_input(nib_onnx_node *n, size_t i, int32_t count, const float **out) {
  nib_onnx_value *v = nib_onnx_input(n, i);
  *out = NULL;
  if (!v || (v->data && nib_onnx_count_elems(v->dims, v->rank) == 0))
    return NIB_OK;
  if (!v->data)
    return nib_onnx_unsupported(n, "input %zu '%.100s' is not a constant", i, v->name);
  if (v->format != NIB_F32)
    return nib_onnx_unsupported(n, "input %zu is %s, only f32 is supported", i,
                                nib_format_get(v->format)->name);
  if (v->rank != 1 || v->dims[0] != count)
    return nib_onnx_invalid(n, "input %zu has not %d elements", i, count);
  *out = (const float *)(const void *)v->data;
  return NIB_OK;
}

static nib_status read_roi(resize *r, const int64_t *axes, int32_t n_axes) {
  const float *roi;
  if (strcmp(r->coordinates, "tf_crop_and_resize"))
    return NIB_OK;
  for (int32_t d = 0; d < r->rank; ++d)
    r->roi_end[d] = 1;
  NIB_RETURN_IF_ERROR(float_input(r->n, 1, 2 * n_axes, &roi));
  for (int32_t i = 0; roi && i < n_axes; ++i) {
    r->roi_start[axes[i]] = (double)roi[i];
    r->roi_end[axes[i]] = (double)roi[n_axes + i];
  }
  return NIB_OK;
}

static nib_status check_modes(resize *r) {
  static const char *const modes[] = {"nearest", "linear", "cubic"};
  static const char *const coordinates[] = {
      "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",  "align_corners",
      "asymmetric", "tf_crop_and_resize",   "tf_half_pixel_for_nn"};
  static const char *const nearest[] = {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"};
  bool ok[3] = {false};
  for (int i = 0; i < 3; ++i)
    ok[0] |= !strcmp(r->mode, modes[i]);
  for (int i = 0; i < 7; ++i)
    ok[1] |= !strcmp(r->coordinates, coordinates[i]);
  for (int i = 0; i < 4; ++i)
    ok[2] |= !strcmp(r->nearest, nearest[i]);
  if (!ok[0] || !ok[1] || !ok[2])
    return nib_onnx_invalid(r->n, "there is no mode '%.40s', '%.40s', '%.40s'", r->mode,
                            r->coordinates, r->nearest);
  return NIB_OK;
}

static nib_status check_result(resize *r, const nib_onnx_value *x) {
  for (int32_t d = 0; d < r->rank; ++d)
    if (r->out[d] < 1)
      return nib_onnx_unsupported(r->n, "a result without elements");
  return strcmp(r->mode, "nearest") ? nib_onnx_require_real(r->n, x) : NIB_OK;
}

nib_status nib_onnx_import_resize(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  const bool old = n->ctx->opset < 11; /* inputs are X, scales */
  resize r = {.n = n, .rank = x->rank};
  r.mode = nib_onnx_attr_string(n, "mode", "nearest");
  r.coordinates =
      nib_onnx_attr_string(n, "coordinate_transformation_mode", old ? "asymmetric" : "half_pixel");
  r.nearest = nib_onnx_attr_string(n, "nearest_mode", old ? "floor" : "round_prefer_floor");
  r.antialias = nib_onnx_attr_int(n, "antialias", 0) != 0;
  r.exclude_outside = nib_onnx_attr_int(n, "exclude_outside", 0) != 0;
  r.cubic_a = (double)nib_onnx_attr_float(n, "cubic_coeff_a", -0.75f);
  r.extrapolation = (double)nib_onnx_attr_float(n, "extrapolation_value", 0.0f);
  NIB_RETURN_IF_ERROR(check_modes(&r));
  int64_t axes[NIB_MAX_RANK], sizes[NIB_MAX_RANK];
  int32_t n_axes = r.rank, n_sizes = -1;
  const float *scales;
  for (int32_t d = 0; d < r.rank; ++d) {
    axes[d] = d;
    r.in[d] = r.out[d] = x->dims[d];
    r.scale[d] = 1;
  }
  const Onnx__AttributeProto *a = nib_onnx_attr(n, "axes");
  if (a) {
    if (a->n_ints > (size_t)r.rank)
      return nib_onnx_invalid(n, "attribute axes has %zu elements", a->n_ints);
    n_axes = (int32_t)a->n_ints;
    for (int32_t i = 0; i < n_axes; ++i)
      axes[i] = a->ints[i];
    NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, axes, n_axes, r.rank));
  }
  NIB_RETURN_IF_ERROR(read_roi(&r, axes, n_axes));
  NIB_RETURN_IF_ERROR(float_input(n, old ? 1 : 2, n_axes, &scales));
  if (!scales)
    NIB_RETURN_IF_ERROR(nib_onnx_constant_ints(n, 3, NIB_MAX_RANK, sizes, &n_sizes));
  if (!scales && n_sizes != n_axes)
    return nib_onnx_invalid(n, "it has neither scales nor sizes for %d dimensions", n_axes);
  NIB_RETURN_IF_ERROR(scales ? read_scales(&r, axes, n_axes, scales)
                             : read_sizes(&r, axes, n_axes, sizes));
  NIB_RETURN_IF_ERROR(check_result(&r, x));
  return emit_resize(&r, x);
}

/* As Resize in operator set 10; scales are an attribute before 9. */
nib_status nib_onnx_import_upsample(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  resize r = {.n = n, .rank = x->rank, .coordinates = "asymmetric", .nearest = "floor"};
  int64_t axes[NIB_MAX_RANK];
  const float *scales = NULL;
  r.mode = nib_onnx_attr_string(n, "mode", "nearest");
  for (int32_t d = 0; d < r.rank; ++d) {
    axes[d] = d;
    r.in[d] = x->dims[d];
  }
  NIB_RETURN_IF_ERROR(check_modes(&r));
  if (n->ctx->opset >= 9)
    NIB_RETURN_IF_ERROR(float_input(n, 1, r.rank, &scales));
  const Onnx__AttributeProto *a = nib_onnx_attr(n, "scales");
  if (n->ctx->opset < 9 && a && a->n_floats == (size_t)r.rank)
    scales = a->floats;
  if (!scales)
    return nib_onnx_invalid(n, "it has no scales");
  NIB_RETURN_IF_ERROR(read_scales(&r, axes, r.rank, scales));
  NIB_RETURN_IF_ERROR(check_result(&r, x));
  return emit_resize(&r, x);
}

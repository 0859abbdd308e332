/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Signal processing. A Fourier transform is a product with a constant matrix; windows and mel
 * weights are constants. */
#include "onnx_build.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* A transform of `in` numbers of `parts` (1: real, 2: complex) to `out` complex ones. */
typedef struct transform {
  nib_onnx_node *n;
  int64_t in, parts, length, out;
  bool inverse;
} transform;

/* The matrix of [in, parts] times [out, 2]; numbers beyond the length are dropped. */
static int32_t fourier_matrix(const transform *t, nib_format format) {
  const int64_t rows = t->in * t->parts, columns = t->out * 2;
  const double sign = t->inverse ? 1 : -1, scale = t->inverse ? 1 / (double)t->length : 1;
  double *m = rows <= INT64_C(1) << 20 && columns <= INT64_C(1) << 20
                  ? nib_onnx_doubles(t->n, rows * columns)
                  : NULL;
  for (int64_t i = 0; m && i < t->in && i < t->length; ++i)
    for (int64_t k = 0; k < t->out; ++k) {
      const double angle = 2 * pi * (double)(i * k % t->length) / (double)t->length;
      const double c = cos(angle) * scale, s = sign * sin(angle) * scale;
      double *real = m + i * t->parts * columns + 2 * k;
      real[0] = c;
      real[1] = s;
      if (t->parts == 2) {
        real[columns] = -s;
        real[columns + 1] = c;
      }
    }
  const int64_t dims[] = {rows, columns};
  if (m)
    return nib_onnx_constant(t->n, format, 2, dims, m);
  if (rows > INT64_C(1) << 20 || columns > INT64_C(1) << 20)
    nib_onnx_unsupported(t->n, "a transform of %" PRId64 " numbers", t->length);
  return NIB_NONE;
}

/* [.., in, parts] to [.., out, 2], for the two last dimensions. */
static int32_t emit_transform(const transform *t, int32_t x) {
  nib_onnx_node *n = t->n;
  if (x == NIB_NONE)
    return NIB_NONE;
  int64_t dims[NIB_MAX_RANK];
  const int32_t rank = nib_onnx_tensor(n, x)->rank;
  const nib_format format = nib_onnx_tensor(n, x)->format;
  memcpy(dims, nib_onnx_tensor(n, x)->dims, sizeof dims);
  const int64_t rows[] = {nib_onnx_count_elems(dims, rank - 2), t->in * t->parts};
  x = nib_onnx_product(n, nib_onnx_reshaped(n, x, 2, rows), fourier_matrix(t, format));
  dims[rank - 2] = t->out;
  dims[rank - 1] = 2;
  return nib_onnx_reshaped(n, x, rank, dims);
}

/* The axis is an attribute before operator set 20, input 2 since. */
static nib_status read_dft_axis(nib_onnx_node *n, int32_t rank, int64_t *axis) {
  int64_t given;
  int32_t count = -1;
  *axis = n->ctx->opset < 20 ? nib_onnx_attr_int(n, "axis", 1) : -2;
  if (n->ctx->opset >= 20)
    NIB_RETURN_IF_ERROR(nib_onnx_constant_ints(n, 2, 1, &given, &count));
  if (count == 1)
    *axis = given;
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, axis, 1, rank));
  return *axis == rank - 1 ? nib_onnx_invalid(n, "its axis holds the parts of its numbers")
                           : NIB_OK;
}

nib_status nib_onnx_import_dft(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  const bool onesided = nib_onnx_attr_int(n, "onesided", 0) != 0;
  int64_t axis, length;
  int32_t count;
  NIB_RETURN_IF_ERROR(nib_onnx_require_real(n, x));
  if (x->rank < 2 || (x->dims[x->rank - 1] != 1 && x->dims[x->rank - 1] != 2))
    return nib_onnx_invalid(n, "its input is neither real nor complex");
  NIB_RETURN_IF_ERROR(read_dft_axis(n, x->rank, &axis));
  NIB_RETURN_IF_ERROR(nib_onnx_constant_ints(n, 1, 1, &length, &count));
  transform t = {.n = n,
                 .in = x->dims[axis],
                 .parts = x->dims[x->rank - 1],
                 .length = count == 1 ? length : x->dims[axis],
                 .inverse = nib_onnx_attr_int(n, "inverse", 0) != 0};
  if (t.length < 1 || t.length > INT64_C(1) << 30)
    return nib_onnx_invalid(n, "its length is %" PRId64, t.length);
  if (onesided && t.inverse)
    return nib_onnx_unsupported(n, "an inverse transform of one side");
  t.out = onesided ? t.length / 2 + 1 : t.length;
  const int32_t rank = x->rank;
  const int32_t in = nib_onnx_swapped(n, nib_onnx_materialize(n, x), (int32_t)axis, rank - 2);
  return nib_onnx_finish(n, nib_onnx_swapped(n, emit_transform(&t, in), (int32_t)axis, rank - 2));
}

/* Frames of the signal, [batch, frames, length, parts], times the window, transformed. */
nib_status nib_onnx_import_stft(nib_onnx_node *n) {
  const nib_onnx_value *x = nib_onnx_input(n, 0), *window = nib_onnx_input(n, 2);
  int64_t step, length;
  int32_t n_step, n_length;
  NIB_RETURN_IF_ERROR(nib_onnx_require_real(n, x));
  NIB_RETURN_IF_ERROR(nib_onnx_constant_ints(n, 1, 1, &step, &n_step));
  NIB_RETURN_IF_ERROR(nib_onnx_constant_ints(n, 3, 1, &length, &n_length));
  if (x->rank != 3 || (x->dims[2] != 1 && x->dims[2] != 2) || n_step != 1 || step < 1 ||
      (window && (window->rank != 1 || window->format != x->format)))
    return nib_onnx_invalid(n, "its signal, step or window are not what they are to be");
  if (n_length != 1)
    length = window ? window->dims[0] : x->dims[1];
  if (length < 1 || length > x->dims[1] || (window && window->dims[0] != length))
    return nib_onnx_invalid(n, "frames of %" PRId64 " in a signal of %" PRId64, length, x->dims[1]);
  const int64_t frames[] = {(x->dims[1] - length) / step + 1, length};
  const bool onesided = nib_onnx_attr_int(n, "onesided", 1) != 0;
  transform t = {.n = n, .in = length, .parts = x->dims[2], .length = length};
  t.out = onesided ? length / 2 + 1 : length;
  int64_t *at = nib_onnx_longs(n, frames[0] * length);
  for (int64_t i = 0; at && i < frames[0] * length; ++i)
    at[i] = i / length * step + i % length;
  int32_t y = nib_onnx_gathered(n, nib_onnx_in(n, 0), nib_onnx_integers(n, 2, frames, at), 1);
  const int64_t column[] = {length, 1};
  if (window)
    y = nib_onnx_binary(n, NIB_OP_MUL, y, nib_onnx_reshaped(n, nib_onnx_in(n, 2), 2, column));
  return nib_onnx_finish(n, emit_transform(&t, y));
}

/* ---- constants ---- */

/* The format that output_datatype names. */
static nib_status read_format(nib_onnx_node *n, nib_format *out) {
  const int64_t type = nib_onnx_attr_int(n, "output_datatype", 1);
  *out = type > 0 && type < 128 ? nib_onnx_format((int32_t)type) : NIB_FORMAT_COUNT;
  return *out == NIB_FORMAT_COUNT ? nib_onnx_unsupported(n, "output_datatype %" PRId64, type)
                                  : NIB_OK;
}

static nib_status finish_constant(nib_onnx_node *n, int32_t tensor) {
  if (tensor == NIB_NONE)
    return n->ctx->failure;
  const nib_tensor *t = nib_onnx_tensor(n, tensor);
  return nib_onnx_set_constant(n, t->format, t->rank, t->dims, t->data);
}

/* a0 - a1 cos + a2 cos 2: the windows of Hann, Hamming and Blackman. */
nib_status nib_onnx_import_window(nib_onnx_node *n) {
  static const double hann[] = {0.5, 0.5, 0}, blackman[] = {0.42, 0.5, 0.08};
  static const double hamming[] = {25.0 / 46.0, 21.0 / 46.0, 0};
  const char *name = n->proto->op_type;
  const double *a = !strcmp(name, "HannWindow")      ? hann
                    : !strcmp(name, "HammingWindow") ? hamming
                                                     : blackman;
  nib_format format;
  double size;
  NIB_RETURN_IF_ERROR(read_format(n, &format));
  NIB_RETURN_IF_ERROR(nib_onnx_constant_number(n, 0, 0, &size));
  if (!(size >= 1) || size > 0x1p24)
    return nib_onnx_invalid(n, "its size is %g", size);
  const int64_t count = (int64_t)size;
  const double period =
      nib_onnx_attr_int(n, "periodic", 1) ? (double)count : (double)(count > 1 ? count - 1 : 1);
  double *values = nib_onnx_doubles(n, count);
  for (int64_t i = 0; values && i < count; ++i) {
    const double angle = 2 * pi * (double)i / period;
    values[i] = a[0] - a[1] * cos(angle) + a[2] * cos(2 * angle);
  }
  return finish_constant(n, nib_onnx_constant(n, format, 1, &count, values));
}

/* The bin of a frequency on the mel scale. */
static int64_t mel_bin(double mel, double length, double rate) {
  const double hertz = 700 * expm1(mel / 2595 * log(10.0));
  return (int64_t)floor((length + 1) * hertz / rate);
}

static void mel_triangle(double *m, int64_t bins, int64_t bands, int64_t band, int64_t low,
                         int64_t mid, int64_t high) {
  if (mid == low && mid >= 0 && mid < bins)
    m[mid * bands + band] = 1;
  for (int64_t j = low < 0 ? 0 : low; mid > low && j <= mid && j < bins; ++j)
    m[j * bands + band] = (double)(j - low) / (double)(mid - low);
  for (int64_t j = mid < 0 ? 0 : mid; high > mid && j < high && j < bins; ++j)
    m[j * bands + band] = (double)(high - j) / (double)(high - mid);
}

nib_status nib_onnx_import_mel_weights(nib_onnx_node *n) {
  double number[5]; /* bands, length, sample rate, lowest and highest frequency */
  nib_format format;
  NIB_RETURN_IF_ERROR(read_format(n, &format));
  for (size_t i = 0; i < 5; ++i)
    NIB_RETURN_IF_ERROR(nib_onnx_constant_number(n, i, 0, &number[i]));
  if (!(number[0] >= 1 && number[0] < 0x1p16 && number[1] >= 1 && number[1] < 0x1p20 &&
        number[2] >= 1 && number[3] >= 0 && number[4] >= number[3] && number[4] < 0x1p30))
    return nib_onnx_invalid(n, "its numbers are out of range");
  const int64_t bands = (int64_t)number[0], dims[] = {(int64_t)number[1] / 2 + 1, bands};
  const double low = 2595 * log10(1 + number[3] / 700), high = 2595 * log10(1 + number[4] / 700);
  const double step = (high - low) / (double)(bands + 2);
  double *m = nib_onnx_doubles(n, dims[0] * bands);
  for (int64_t i = 0; m && i < bands; ++i)
    mel_triangle(m, dims[0], bands, i, mel_bin(low + step * (double)i, number[1], number[2]),
                 mel_bin(low + step * (double)(i + 1), number[1], number[2]),
                 mel_bin(low + step * (double)(i + 2), number[1], number[2]));
  return finish_constant(n, nib_onnx_constant(n, format, 2, dims, m));
}

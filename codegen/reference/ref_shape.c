/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Operators that move elements: each result element is copied from, or to, a computed place. */
#include "reference/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* out[index] = in[base + index . strides] for every index of the result. */
static nib_status gather(nib_reference *r, const nib_node *n, int64_t base,
                         const int64_t *strides) {
  const nib_tensor *y = nib_ref_tensor(r, n->out);
  const size_t bytes = nib_ref_element_bytes(r, n->out);
  const unsigned char *in = nib_ref_bytes(r, n->in[0]);
  unsigned char *out = nib_ref_result_bytes(r, n->out);
  const int64_t elems = nib_tensor_elems(y), limit = nib_tensor_elems(nib_ref_tensor(r, n->in[0]));
  int64_t index[NIB_MAX_RANK] = {0};
  for (int64_t i = 0; i < elems; ++i) {
    const int64_t from = base + nib_ref_offset(index, strides, y->rank);
    if (from < 0 || from >= limit)
      return NIB_ERROR_INVALID_INPUT;
    memcpy(out + (size_t)i * bytes, in + (size_t)from * bytes, bytes);
    nib_ref_next(index, y->dims, y->rank);
  }
  return NIB_OK;
}

static size_t bytes_of(const nib_reference *r, int32_t tensor) {
  const nib_tensor *t = nib_ref_tensor(r, tensor);
  return nib_format_get(t->format)->kind == NIB_KIND_BLOCK
             ? nib_tensor_bytes(t)
             : (size_t)nib_tensor_elems(t) * nib_ref_element_bytes(r, tensor);
}

nib_status nib_ref_copy(nib_reference *r, const nib_node *n) {
  const size_t bytes = bytes_of(r, n->out);
  if (bytes != bytes_of(r, n->in[0]))
    return NIB_ERROR_INVALID_INPUT;
  memcpy(nib_ref_result_bytes(r, n->out), nib_ref_bytes(r, n->in[0]), bytes);
  return NIB_OK;
}

/* The tensor's own elements where they are kept in double: their codes. */
static void *narrow(const nib_reference *r, int32_t tensor) {
  const nib_tensor *t = nib_ref_tensor(r, tensor);
  const int64_t elems = nib_tensor_elems(t);
  void *codes = malloc(nib_tensor_bytes(t) + 1);
  double *values = codes ? nib_ref_load_reals(r, tensor) : NULL;
  if (!values) {
    free(codes);
    return NULL;
  }
  for (int64_t i = 0; i < elems; ++i)
    nib_format_store_real(t->format, codes, i, values[i]);
  free(values);
  return codes;
}

nib_status nib_ref_pack(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]);
  const bool is_narrow = nib_ref_element_bytes(r, n->in[0]) == nib_format_bytes(x->format);
  void *codes = is_narrow ? NULL : narrow(r, n->in[0]);
  if (!is_narrow && !codes)
    return NIB_ERROR_OUT_OF_MEMORY;
  nib_format_pack(x->format, is_narrow ? nib_ref_bytes(r, n->in[0]) : codes, nib_tensor_elems(x),
                  nib_ref_result_bytes(r, n->out));
  free(codes);
  return NIB_OK;
}

nib_status nib_ref_unpack(nib_reference *r, const nib_node *n) {
  const nib_tensor *y = nib_ref_tensor(r, n->out);
  const int64_t elems = nib_tensor_elems(y);
  const unsigned char *packed = nib_ref_bytes(r, n->in[0]);
  if (nib_ref_element_bytes(r, n->out) == nib_format_bytes(y->format)) {
    nib_format_unpack(y->format, packed, elems, nib_ref_result_bytes(r, n->out));
    return NIB_OK;
  }
  void *codes = malloc(nib_tensor_bytes(y) + 1);
  double *values = malloc(((size_t)elems + 1) * sizeof *values);
  if (codes && values) {
    nib_format_unpack(y->format, packed, elems, codes);
    for (int64_t i = 0; i < elems; ++i)
      values[i] = nib_format_load_real(y->format, codes, i);
    nib_ref_store_reals(r, n->out, values);
  }
  const bool ok = codes && values;
  free(codes);
  free(values);
  return ok ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

nib_status nib_ref_constant(nib_reference *r, const nib_node *n) {
  return nib_ref_tensor(r, n->out)->data ? NIB_OK : NIB_ERROR_INVALID_INPUT;
}

nib_status nib_ref_transpose(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]);
  int64_t in_strides[NIB_MAX_RANK], strides[NIB_MAX_RANK];
  nib_ref_strides(x, NULL, in_strides);
  for (int32_t d = 0; d < x->rank; ++d) {
    const int64_t from = nib_node_ints_at(n, NIB_A_PERM, d, x->rank - 1 - d);
    if (from < 0 || from >= x->rank)
      return NIB_ERROR_INVALID_INPUT;
    strides[d] = in_strides[from];
  }
  return gather(r, n, 0, strides);
}

/* begin and step per dimension, negative begins counting from the end. */
static nib_status slice_with(nib_reference *r, const nib_node *n, nib_attr_id steps) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]);
  int64_t strides[NIB_MAX_RANK], base = 0;
  nib_ref_strides(x, NULL, strides);
  for (int32_t d = 0; d < x->rank; ++d) {
    const int64_t begin = nib_node_ints_at(n, NIB_A_BEGIN, d, 0);
    base += (begin < 0 ? begin + x->dims[d] : begin) * strides[d];
    strides[d] *= steps == NIB_ATTR_COUNT ? 1 : nib_node_ints_at(n, steps, d, 1);
  }
  return gather(r, n, base, strides);
}

nib_status nib_ref_slice(nib_reference *r, const nib_node *n) {
  return slice_with(r, n, NIB_ATTR_COUNT);
}

nib_status nib_ref_strided_slice(nib_reference *r, const nib_node *n) {
  return slice_with(r, n, NIB_A_STEPS);
}

/* Fills the result with one element. */
static void fill(nib_reference *r, int32_t tensor, double value) {
  const nib_tensor *t = nib_ref_tensor(r, tensor);
  const int64_t elems = nib_tensor_elems(t);
  unsigned char *out = nib_ref_result_bytes(r, tensor);
  const size_t bytes = nib_ref_element_bytes(r, tensor);
  unsigned char element[8] = {0};
  const float single = (float)value;
  const int64_t code = nib_ref_is_real(t) ? 0 : (int64_t)value;
  if (!nib_ref_is_real(t))
    memcpy(element, &code, 8); /* little-endian: the low bytes come first */
  else if (bytes == 8)
    memcpy(element, &value, 8);
  else
    memcpy(element, &single, 4);
  for (int64_t i = 0; i < elems; ++i)
    memcpy(out + (size_t)i * bytes, element, bytes);
}

nib_status nib_ref_pad(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]), *y = nib_ref_tensor(r, n->out);
  const double zero = x->quantized ? (double)x->zero_point : 0.0;
  fill(r, n->out, nib_node_float(n, NIB_A_PAD_VALUE, zero));
  const size_t bytes = nib_ref_element_bytes(r, n->out);
  const unsigned char *in = nib_ref_bytes(r, n->in[0]);
  unsigned char *out = nib_ref_result_bytes(r, n->out);
  int64_t strides[NIB_MAX_RANK], index[NIB_MAX_RANK] = {0};
  nib_ref_strides(y, NULL, strides);
  for (int64_t i = 0; i < nib_tensor_elems(x); ++i) {
    int64_t to = 0;
    bool inside = true; /* negative padding crops */
    for (int32_t d = 0; d < x->rank; ++d) {
      const int64_t at = index[d] + nib_node_ints_at(n, NIB_A_LOW, d, 0);
      inside = inside && at >= 0 && at < y->dims[d];
      to += at * strides[d];
    }
    if (inside)
      memcpy(out + (size_t)to * bytes, in + (size_t)i * bytes, bytes);
    nib_ref_next(index, x->dims, x->rank);
  }
  return NIB_OK;
}

/* Codes at another scale: TFLite's concatenation computes code * (sx / sy) - zx * (sx / sy) in f32.
 */
static int64_t concat_code(nib_rounding rounding, const nib_tensor *x, const nib_tensor *y,
                           int64_t code) {
  const nib_format_info *format = nib_format_get(y->format);
  if (rounding == NIB_ROUNDING_NEAREST_EVEN || rounding == NIB_ROUNDING_NEAREST_AWAY)
    return nib_ref_quantize(rounding, (float)(code - x->zero_point) * (float)x->scale, y,
                            format->min, format->max);
  const float scale = (float)x->scale * (1.0f / (float)y->scale);
  const float bias = (float)-x->zero_point * scale;
  const float product = (float)code * scale;
  return nib_ref_clamp((int64_t)roundf(product + bias) + y->zero_point, format->min, format->max);
}

/* Copies operand `slot` to its place; `at` is its first index along the axis. */
static nib_status concat_one(nib_reference *r, const nib_node *n, int32_t slot, int64_t axis,
                             int64_t at) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[slot]), *y = nib_ref_tensor(r, n->out);
  const size_t bytes = nib_ref_element_bytes(r, n->out);
  const unsigned char *in = nib_ref_bytes(r, n->in[slot]);
  unsigned char *out = nib_ref_result_bytes(r, n->out);
  const bool rescaled = x->quantized && y->quantized && !nib_ref_is_real(y) &&
                        (x->scale != y->scale || x->zero_point != y->zero_point);
  int64_t strides[NIB_MAX_RANK], index[NIB_MAX_RANK] = {0};
  nib_ref_strides(y, NULL, strides);
  int64_t *codes = rescaled ? nib_ref_load_codes(r, n->in[slot], 0) : NULL;
  if (rescaled && !codes)
    return NIB_ERROR_OUT_OF_MEMORY;
  for (int64_t i = 0; i < nib_tensor_elems(x); ++i) {
    const int64_t to = nib_ref_offset(index, strides, y->rank) + at * strides[axis];
    if (rescaled)
      codes[i] = concat_code(nib_node_rounding(r->g, n), x, y, codes[i]);
    const void *from = rescaled ? (const void *)&codes[i] : in + (size_t)i * bytes;
    memcpy(out + (size_t)to * bytes, from, bytes);
    nib_ref_next(index, x->dims, x->rank);
  }
  free(codes);
  return NIB_OK;
}

nib_status nib_ref_concat(nib_reference *r, const nib_node *n) {
  const nib_tensor *y = nib_ref_tensor(r, n->out);
  int64_t axis = nib_node_int(n, NIB_A_AXIS, 0), at = 0;
  axis += axis < 0 ? y->rank : 0;
  for (int32_t i = 0; i < n->n_in; ++i) {
    NIB_RETURN_IF_ERROR(concat_one(r, n, i, axis, at));
    at += nib_ref_tensor(r, n->in[i])->dims[axis];
  }
  return NIB_OK;
}

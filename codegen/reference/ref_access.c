/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Access to tensors by element, real arithmetic in two precisions, index arithmetic. */
#include "reference/internal.h"

#include "num/snippets.h"

#include <stdlib.h>

const nib_tensor *nib_ref_tensor(const nib_reference *r, int32_t tensor) {
  return &r->g->tensors[tensor];
}

bool nib_ref_is_real(const nib_tensor *t) {
  return nib_format_holds_reals(t->format);
}

static bool is_wide(const nib_reference *r, int32_t tensor) {
  return r->use_double && r->wide[tensor];
}

const unsigned char *nib_ref_bytes(const nib_reference *r, int32_t tensor) {
  if (is_wide(r, tensor))
    return (const unsigned char *)r->wide[tensor];
  const void *constant = nib_ref_tensor(r, tensor)->data;
  return constant ? constant : r->data[tensor];
}

unsigned char *nib_ref_result_bytes(nib_reference *r, int32_t tensor) {
  return is_wide(r, tensor) ? (unsigned char *)r->wide[tensor] : r->data[tensor];
}

size_t nib_ref_element_bytes(const nib_reference *r, int32_t tensor) {
  return is_wide(r, tensor) ? sizeof(double) : nib_format_bytes(nib_ref_tensor(r, tensor)->format);
}

double *nib_ref_load_reals(const nib_reference *r, int32_t tensor) {
  const nib_tensor *t = nib_ref_tensor(r, tensor);
  const int64_t elems = nib_tensor_elems(t);
  double *values = malloc(((size_t)elems + 1) * sizeof *values);
  const void *bytes = nib_ref_bytes(r, tensor);
  const nib_format format = is_wide(r, tensor) ? NIB_F64 : t->format;
  if (nib_format_get(format)->kind == NIB_KIND_BLOCK) {
    float *row = malloc(((size_t)elems + 1) * sizeof *row);
    if (row && values)
      nib_format_decode_row(format, bytes, elems, row);
    for (int64_t i = 0; row && values && i < elems; ++i)
      values[i] = (double)row[i];
    if (!row) {
      free(values);
      values = NULL;
    }
    free(row);
    return values;
  }
  for (int64_t i = 0; values && i < elems; ++i)
    values[i] = nib_format_load_real(format, bytes, i);
  return values;
}

int64_t *nib_ref_load_codes(const nib_reference *r, int32_t tensor, int64_t minus) {
  const nib_tensor *t = nib_ref_tensor(r, tensor);
  const int64_t elems = nib_tensor_elems(t);
  int64_t *codes = malloc(((size_t)elems + 1) * sizeof *codes);
  const void *bytes = nib_ref_bytes(r, tensor);
  for (int64_t i = 0; codes && i < elems; ++i)
    codes[i] = nib_format_load_code(t->format, bytes, i) - minus;
  return codes;
}

int32_t *nib_ref_load_codes32(const nib_reference *r, int32_t tensor, int64_t minus) {
  const nib_tensor *t = nib_ref_tensor(r, tensor);
  const int64_t elems = nib_tensor_elems(t);
  int32_t *codes = malloc(((size_t)elems + 1) * sizeof *codes);
  const void *bytes = nib_ref_bytes(r, tensor);
  for (int64_t i = 0; codes && i < elems; ++i)
    codes[i] = (int32_t)(nib_format_load_code(t->format, bytes, i) - minus);
  return codes;
}

void nib_ref_store_reals(nib_reference *r, int32_t tensor, const double *values) {
  const nib_tensor *t = nib_ref_tensor(r, tensor);
  const int64_t elems = nib_tensor_elems(t);
  void *bytes = nib_ref_result_bytes(r, tensor);
  const nib_format format = is_wide(r, tensor) ? NIB_F64 : t->format;
  for (int64_t i = 0; i < elems; ++i)
    nib_format_store_real(format, bytes, i, values[i]);
}

void nib_ref_store_codes(nib_reference *r, int32_t tensor, const int64_t *codes) {
  const nib_tensor *t = nib_ref_tensor(r, tensor);
  const int64_t elems = nib_tensor_elems(t);
  void *bytes = r->data[tensor];
  for (int64_t i = 0; i < elems; ++i)
    nib_format_store_code(t->format, bytes, i, codes[i]);
}

double nib_ref_round(const nib_reference *r, double x) { return r->use_double ? x : (float)x; }
double nib_ref_exp(const nib_reference *r, double x) {
  return r->use_double ? exp(x) : expf((float)x);
}
double nib_ref_tanh(const nib_reference *r, double x) {
  return r->use_double ? tanh(x) : tanhf((float)x);
}

double nib_ref_activate(const nib_reference *r, const nib_node *n, double x) {
  float lo, hi;
  nib_params_real_range(r->g, n, &lo, &hi);
  const char *name = nib_node_string(n, NIB_A_ACTIVATION, "none");
  if (name[0] == 't')
    return nib_ref_tanh(r, x);
  return x < lo ? lo : x > hi ? hi : x;
}

int64_t nib_ref_clamp(int64_t x, int64_t lo, int64_t hi) { return x < lo ? lo : x > hi ? hi : x; }

int64_t nib_ref_quantize(nib_rounding rounding, float x, const nib_tensor *t, int64_t lo,
                         int64_t hi) {
  if (nib_format_get(t->format)->kind == NIB_KIND_BIPOLAR)
    return nib_quantize_bipolar(x, nib_format_get(t->format)->bits);
  const float steps = x / (float)t->scale;
  const double rounded = rounding == NIB_ROUNDING_NEAREST_EVEN ? rintf(steps) : roundf(steps);
  const double code = rounded + (double)t->zero_point;
  return code >= (double)hi ? hi : code > (double)lo ? (int64_t)code : lo;
}

void nib_ref_strides(const nib_tensor *t, const nib_tensor *broadcast_to,
                     int64_t out_strides[NIB_MAX_RANK]) {
  const int32_t rank = broadcast_to ? broadcast_to->rank : t->rank;
  int64_t stride = 1;
  for (int32_t i = rank - 1, d = t->rank - 1; i >= 0; --i, --d) {
    const int64_t extent = d >= 0 ? t->dims[d] : 1;
    out_strides[i] = broadcast_to && extent == 1 ? 0 : stride;
    stride *= extent;
  }
}

bool nib_ref_next(int64_t index[NIB_MAX_RANK], const int64_t *dims, int32_t rank) {
  for (int32_t i = rank - 1; i >= 0; --i) {
    if (++index[i] < dims[i])
      return true;
    index[i] = 0;
  }
  return false;
}

int64_t nib_ref_offset(const int64_t *index, const int64_t *strides, int32_t rank) {
  int64_t offset = 0;
  for (int32_t i = 0; i < rank; ++i)
    offset += index[i] * strides[i];
  return offset;
}

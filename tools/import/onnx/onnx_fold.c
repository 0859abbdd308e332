/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Operators that exist only on constants: shape computation. Every shape is static, so all of it
 * ends before the network begins. */
#include "onnx_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

nib_status nib_onnx_import_constant(nib_onnx_node *n) {
  const Onnx__AttributeProto *a = n->proto->n_attribute == 1 ? n->proto->attribute[0] : NULL;
  if (!a)
    return nib_onnx_invalid(n, "it has %zu attributes, not one", n->proto->n_attribute);
  const char *kind = nib_onnx_text(a->name);
  if (!strcmp(kind, "value") && a->t) {
    nib_onnx_value v = {0};
    char where[300];
    snprintf(where, sizeof where, "operator %d '%.200s' (Constant)", n->index, n->name);
    nib_status status = nib_onnx_read_tensor(a->t, n->ctx->graph, n->ctx->options->base_dir, where,
                                             &v, n->ctx->diag);
    if (status == NIB_ERROR_UNSUPPORTED)
      ++n->ctx->n_unsupported;
    if (status != NIB_OK)
      return n->ctx->failure = status;
    return nib_onnx_set_constant(n, v.format, v.rank, v.dims, v.data);
  }
  bool list = !strcmp(kind, "value_ints") || !strcmp(kind, "value_floats");
  bool real = !strcmp(kind, "value_float") || !strcmp(kind, "value_floats");
  if (!list && !real && strcmp(kind, "value_int"))
    return nib_onnx_unsupported(n, "attribute %.40s", kind);
  int64_t count = !list ? 1 : (int64_t)(real ? a->n_floats : a->n_ints);
  size_t bytes = (size_t)count * (real ? sizeof(float) : sizeof(int64_t));
  uint8_t *data = nib_onnx_fold_alloc(n, bytes);
  if (!data)
    return n->ctx->failure;
  const void *from = list ? (real ? (const void *)a->floats : (const void *)a->ints)
                          : (real ? (const void *)&a->f : (const void *)&a->i);
  if (bytes)
    memcpy(data, from, bytes);
  return nib_onnx_set_constant(n, real ? NIB_F32 : NIB_I64, list, &count, data);
}

nib_status nib_onnx_import_constant_of_shape(nib_onnx_node *n) {
  int64_t dims[NIB_MAX_RANK];
  int32_t rank;
  NIB_RETURN_IF_ERROR(nib_onnx_constant_ints(n, 0, NIB_MAX_RANK, dims, &rank));
  const Onnx__AttributeProto *a = nib_onnx_attr(n, "value");
  static const uint8_t zero[sizeof(float)];
  nib_onnx_value v = {.format = NIB_F32, .data = zero, .bytes = sizeof(float)};
  if (a && a->t) {
    nib_status status = nib_onnx_read_tensor(a->t, n->ctx->graph, n->ctx->options->base_dir,
                                             n->name, &v, n->ctx->diag);
    if (status == NIB_ERROR_UNSUPPORTED)
      ++n->ctx->n_unsupported;
    if (status != NIB_OK)
      return n->ctx->failure = status;
  }
  size_t element = nib_format_bytes(v.format);
  int64_t count = nib_onnx_count_elems(dims, rank);
  if (v.bytes != element || count < 0)
    return nib_onnx_invalid(n, "its value is not one element, or its shape is out of range");
  uint8_t *data = nib_onnx_fold_alloc(n, (size_t)count * element);
  if (!data)
    return n->ctx->failure;
  for (int64_t i = 0; i < count; ++i)
    memcpy(data + (size_t)i * element, v.data, element);
  return nib_onnx_set_constant(n, v.format, rank, dims, data);
}

nib_status nib_onnx_import_shape(nib_onnx_node *n) {
  const nib_onnx_value *x = nib_onnx_input(n, 0);
  if (!strcmp(n->proto->op_type, "Size")) {
    uint8_t *data = nib_onnx_fold_alloc(n, sizeof(int64_t));
    int64_t count = nib_onnx_count_elems(x->dims, x->rank);
    if (!data)
      return n->ctx->failure;
    memcpy(data, &count, sizeof count);
    return nib_onnx_set_constant(n, NIB_I64, 0, NULL, data);
  }
  int64_t start = nib_onnx_attr_int(n, "start", 0), end = nib_onnx_attr_int(n, "end", x->rank);
  start = start < -x->rank ? 0 : start < 0 ? start + x->rank : start > x->rank ? x->rank : start;
  end = end < -x->rank ? 0 : end < 0 ? end + x->rank : end > x->rank ? x->rank : end;
  int64_t count = end > start ? end - start : 0;
  uint8_t *data = nib_onnx_fold_alloc(n, (size_t)count * sizeof(int64_t));
  if (!data)
    return n->ctx->failure;
  if (count)
    memcpy(data, x->dims + start, (size_t)count * sizeof(int64_t));
  return nib_onnx_set_constant(n, NIB_I64, 1, &count, data);
}

/* Integers of an i64 or i32 constant. */
static int64_t load_int(const nib_onnx_value *v, int64_t i) {
  int32_t narrow;
  int64_t wide;
  if (v->format == NIB_I64) {
    memcpy(&wide, v->data + 8 * (size_t)i, sizeof wide);
    return wide;
  }
  memcpy(&narrow, v->data + 4 * (size_t)i, sizeof narrow);
  return narrow;
}

nib_status nib_onnx_fold_gather(nib_onnx_node *n) {
  const nib_onnx_value *x = nib_onnx_input(n, 0), *indices = nib_onnx_input(n, 1);
  int64_t axis = nib_onnx_attr_int(n, "axis", 0), dims[2 * NIB_MAX_RANK];
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, &axis, 1, x->rank));
  int32_t rank = 0;
  for (int32_t i = 0; i < axis; ++i)
    dims[rank++] = x->dims[i];
  for (int32_t i = 0; i < indices->rank; ++i)
    dims[rank++] = indices->dims[i];
  for (int32_t i = (int32_t)axis + 1; i < x->rank; ++i)
    dims[rank++] = x->dims[i];
  if (rank > NIB_MAX_RANK)
    return nib_onnx_unsupported(n, "rank %d is above %d", rank, NIB_MAX_RANK);
  int64_t total = nib_onnx_count_elems(dims, rank), size = x->dims[axis];
  int64_t outer = nib_onnx_count_elems(x->dims, (int32_t)axis);
  int64_t picks = nib_onnx_count_elems(indices->dims, indices->rank);
  size_t block = (size_t)nib_onnx_count_elems(x->dims + axis + 1, x->rank - (int32_t)axis - 1) *
                 nib_format_bytes(x->format);
  if (total < 0)
    return nib_onnx_invalid(n, "its result is too large");
  uint8_t *data = nib_onnx_fold_alloc(n, (size_t)total * nib_format_bytes(x->format));
  if (!data)
    return n->ctx->failure;
  for (int64_t o = 0, k = 0; o < outer && total; ++o)
    for (int64_t i = 0; i < picks; ++i, ++k) {
      int64_t at = load_int(indices, i);
      at += at < 0 ? size : 0;
      if (at < 0 || at >= size)
        return nib_onnx_invalid(n, "index %" PRId64 " is out of range", load_int(indices, i));
      memcpy(data + (size_t)k * block, x->data + (size_t)(o * size + at) * block, block);
    }
  return nib_onnx_set_constant(n, x->format, rank, dims, data);
}

static bool is_shape_format(nib_format f) {
  return f == NIB_I64 || f == NIB_I32;
}

/* Two's complement arithmetic, as the standard's integers wrap. */
static bool combine(char op, int64_t a, int64_t b, int64_t *out) {
  switch (op) {
  case 'A':
    *out = (int64_t)((uint64_t)a + (uint64_t)b);
    return true;
  case 'S':
    *out = (int64_t)((uint64_t)a - (uint64_t)b);
    return true;
  case 'M':
    *out = (int64_t)((uint64_t)a * (uint64_t)b);
    return true;
  default:
    if (b == 0 || (a == INT64_MIN && b == -1))
      return false;
    *out = a / b;
    return true;
  }
}

/* Element of `v` under the flat index `k` of the broadcast shape. */
static int64_t broadcast_index(const nib_onnx_value *v, int32_t rank, const int64_t *dims,
                               int64_t k) {
  int64_t index = 0, stride = 1;
  for (int32_t i = rank - 1; i >= 0; --i) {
    int32_t at = i - (rank - v->rank);
    if (at >= 0) {
      index += v->dims[at] == 1 ? 0 : k % dims[i] * stride;
      stride *= v->dims[at];
    }
    k /= dims[i];
  }
  return index;
}

bool nib_onnx_fold_binary(nib_onnx_node *n, nib_status *out_status) {
  const nib_onnx_value *a = nib_onnx_input(n, 0), *b = nib_onnx_input(n, 1);
  if (!a->data || !b->data || a->format != b->format || !is_shape_format(a->format))
    return false;
  int64_t dims[NIB_MAX_RANK];
  int32_t rank;
  *out_status = nib_onnx_broadcast(n, a, b, &rank, dims);
  if (*out_status != NIB_OK)
    return true;
  int64_t count = nib_onnx_count_elems(dims, rank);
  size_t element = nib_format_bytes(a->format);
  if (count < 0) {
    *out_status = nib_onnx_invalid(n, "its result is too large");
    return true;
  }
  uint8_t *data = nib_onnx_fold_alloc(n, (size_t)count * element);
  *out_status = data ? NIB_OK : n->ctx->failure;
  for (int64_t k = 0; data && k < count; ++k) {
    int64_t value;
    if (!combine(n->proto->op_type[0], load_int(a, broadcast_index(a, rank, dims, k)),
                 load_int(b, broadcast_index(b, rank, dims, k)), &value)) {
      *out_status = nib_onnx_invalid(n, "division by zero");
      return true;
    }
    memcpy(data + (size_t)k * element, &value, element); /* little-endian: the low bytes */
  }
  if (data)
    *out_status = nib_onnx_set_constant(n, a->format, rank, dims, data);
  return true;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Operators whose results are constants: given ones, and shapes, which are all static. What else
 * depends on constants alone is computed by onnx_evaluate.c. */
#include "onnx_internal.h"

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

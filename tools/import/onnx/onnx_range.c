/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The same bytes in another type; constants that are made from numbers. */
#include "onnx_elementwise.h"

#include <math.h>

/* The format that attribute `name` says. */
static nib_status target(nib_onnx_node *n, const char *name, nib_format *out) {
  const int64_t to = nib_onnx_attr_int(n, name, 0);
  *out = to > 0 && to < 128 ? nib_onnx_format((int32_t)to) : NIB_FORMAT_COUNT;
  if (*out != NIB_FORMAT_COUNT)
    return NIB_OK;
  return nib_onnx_unsupported(n, "to type %s", nib_onnx_type_name(to < 128 ? (int32_t)to : -1));
}

nib_status nib_onnx_import_bitcast(nib_onnx_node *n) {
  const nib_onnx_value *x = nib_onnx_input(n, 0);
  nib_format format;
  NIB_RETURN_IF_ERROR(target(n, "to", &format));
  if (nib_format_get(format)->bits != nib_format_get(x->format)->bits)
    return nib_onnx_unsupported(n, "from %s to %s", nib_format_get(x->format)->name,
                                nib_format_get(format)->name);
  if (format == x->format)
    return nib_onnx_import_identity(n);
  const int32_t a = nib_onnx_in(n, 0);
  const int32_t node =
      a == NIB_NONE ? NIB_NONE
                    : nib_onnx_emit_as(n, NIB_OP_BITCAST, &a, 1, format, x->rank, x->dims, "");
  return nib_onnx_finish(n, node == NIB_NONE ? NIB_NONE : n->ctx->graph->nodes[node].out);
}

/* One constant number. */
static nib_status number_at(nib_onnx_node *n, size_t i, double *out) {
  const nib_onnx_value *v = nib_onnx_input(n, i);
  if (!v->data)
    return nib_onnx_unsupported(n, "input %zu '%.100s' is not a constant", i, v->name);
  if (nib_onnx_count_elems(v->dims, v->rank) != 1)
    return nib_onnx_invalid(n, "input %zu is not a single number", i);
  *out = nib_format_load_real(v->format, v->data, 0);
  return NIB_OK;
}

nib_status nib_onnx_import_range(nib_onnx_node *n) {
  double start, limit, delta;
  NIB_RETURN_IF_ERROR(number_at(n, 0, &start));
  NIB_RETURN_IF_ERROR(number_at(n, 1, &limit));
  NIB_RETURN_IF_ERROR(number_at(n, 2, &delta));
  const double exact = ceil((limit - start) / delta);
  if (delta == 0 || !isfinite(exact) || exact > 1 << 26)
    return nib_onnx_invalid(n, "from %g to %g by %g", start, limit, delta);
  const int64_t count = exact > 0 ? (int64_t)exact : 0;
  if (count == 0)
    return nib_onnx_unsupported(n, "a tensor without elements");
  double *values = nib_onnx_doubles(n, count);
  for (int64_t i = 0; values && i < count; ++i)
    values[i] = start + (double)i * delta;
  return nib_onnx_finish(n, nib_onnx_constant(n, nib_onnx_input(n, 0)->format, 1, &count, values));
}

nib_status nib_onnx_import_eye_like(nib_onnx_node *n) {
  const nib_onnx_value *x = nib_onnx_input(n, 0);
  const int64_t k = nib_onnx_attr_int(n, "k", 0);
  nib_format format = x->format;
  if (nib_onnx_attr(n, "dtype"))
    NIB_RETURN_IF_ERROR(target(n, "dtype", &format));
  if (x->rank != 2)
    return nib_onnx_invalid(n, "its input has rank %d", x->rank);
  double *values = nib_onnx_doubles(n, x->dims[0] * x->dims[1]);
  for (int64_t i = 0; values && i < x->dims[0]; ++i)
    for (int64_t j = 0; j < x->dims[1]; ++j)
      values[i * x->dims[1] + j] = j - i == k;
  return nib_onnx_finish(n, nib_onnx_constant(n, format, 2, x->dims, values));
}

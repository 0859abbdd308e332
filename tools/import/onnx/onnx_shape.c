/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Operators that move elements. On constants they are computed here. */
#include "onnx_build.h"

#include <inttypes.h>
#include <string.h>

static nib_status finish(nib_onnx_node *n, int32_t tensor) {
  return tensor == NIB_NONE ? n->ctx->failure : nib_onnx_set_result(n, tensor);
}

/* `v` with another shape of as many elements. */
static nib_status reshape(nib_onnx_node *n, nib_op op, nib_onnx_value *v, int32_t rank,
                          const int64_t *dims) {
  if (rank > NIB_MAX_RANK)
    return nib_onnx_unsupported(n, "rank %d is above %d", rank, NIB_MAX_RANK);
  int64_t before = nib_onnx_count_elems(v->dims, v->rank);
  int64_t after = nib_onnx_count_elems(dims, rank);
  if (before != after)
    return nib_onnx_invalid(n, "%" PRId64 " elements do not become %" PRId64, before, after);
  if (v->data)
    return nib_onnx_set_constant(n, v->format, rank, dims, v->data);
  int32_t in = nib_onnx_materialize(n, v);
  return finish(n, in == NIB_NONE ? NIB_NONE : nib_onnx_emit_reshape(n, op, in, rank, dims, ""));
}

nib_status nib_onnx_import_flatten(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  int64_t axis = nib_onnx_attr_int(n, "axis", 1);
  if (axis < -x->rank || axis > x->rank)
    return nib_onnx_invalid(n, "axis %" PRId64 " does not exist at rank %d", axis, x->rank);
  axis += axis < 0 ? x->rank : 0;
  const int64_t dims[] = {nib_onnx_count_elems(x->dims, (int32_t)axis),
                          nib_onnx_count_elems(x->dims + axis, x->rank - (int32_t)axis)};
  return reshape(n, NIB_OP_RESHAPE, x, 2, dims);
}

nib_status nib_onnx_import_reshape(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  int64_t dims[NIB_MAX_RANK];
  int32_t rank, unknown = -1;
  NIB_RETURN_IF_ERROR(nib_onnx_constant_ints(n, 1, NIB_MAX_RANK, dims, &rank));
  bool allow_zero = nib_onnx_attr_int(n, "allowzero", 0) != 0;
  int64_t known = 1, total = nib_onnx_count_elems(x->dims, x->rank);
  for (int32_t i = 0; i < rank; ++i) {
    if (dims[i] == 0 && !allow_zero) {
      if (i >= x->rank)
        return nib_onnx_invalid(n, "dimension %d is to be kept, its input has rank %d", i, x->rank);
      dims[i] = x->dims[i];
    }
    if (dims[i] == -1 && unknown < 0)
      unknown = i;
    else if (dims[i] < 0 || (dims[i] && known > INT64_MAX / dims[i]))
      return nib_onnx_invalid(n, "dimension %" PRId64 " is out of range", dims[i]);
    else
      known *= dims[i];
  }
  if (unknown >= 0) {
    if (known == 0 || total % known)
      return nib_onnx_invalid(n, "%" PRId64 " elements do not divide by %" PRId64, total, known);
    dims[unknown] = total / known;
  }
  return reshape(n, NIB_OP_RESHAPE, x, rank, dims);
}

nib_status nib_onnx_import_squeeze(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  int64_t axes[NIB_MAX_RANK], dims[NIB_MAX_RANK];
  int32_t count, rank = 0;
  uint32_t gone = 0;
  NIB_RETURN_IF_ERROR(nib_onnx_ints(n, 13, 1, "axes", NIB_MAX_RANK, axes, &count));
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, axes, count, x->rank));
  for (int32_t i = 0; i < count; ++i) {
    if (x->dims[axes[i]] != 1)
      return nib_onnx_invalid(n, "dimension %" PRId64 " is not 1", axes[i]);
    gone |= 1u << axes[i];
  }
  for (int32_t i = 0; i < x->rank; ++i)
    if (count < 0 ? x->dims[i] != 1 : !(gone >> i & 1))
      dims[rank++] = x->dims[i];
  return reshape(n, NIB_OP_SQUEEZE, x, rank, dims);
}

nib_status nib_onnx_import_unsqueeze(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  int64_t axes[NIB_MAX_RANK], dims[NIB_MAX_RANK];
  int32_t count, from = 0;
  uint32_t added = 0;
  NIB_RETURN_IF_ERROR(nib_onnx_ints(n, 13, 1, "axes", NIB_MAX_RANK, axes, &count));
  if (count < 0)
    return nib_onnx_invalid(n, "it has no axes");
  if (x->rank + count > NIB_MAX_RANK)
    return nib_onnx_unsupported(n, "rank %d is above %d", x->rank + count, NIB_MAX_RANK);
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, axes, count, x->rank + count));
  for (int32_t i = 0; i < count; ++i)
    added |= 1u << axes[i];
  for (int32_t i = 0; i < x->rank + count; ++i)
    dims[i] = added >> i & 1 ? 1 : x->dims[from++];
  return reshape(n, NIB_OP_EXPAND_DIMS, x, x->rank + count, dims);
}

/* The mask of a Dropout that drops nothing. */
static nib_status keep_all(nib_onnx_node *n) {
  const nib_onnx_value *x = nib_onnx_input(n, 0);
  const int64_t count = nib_onnx_count_elems(x->dims, x->rank);
  double *ones = nib_onnx_doubles(n, count);
  for (int64_t i = 0; ones && i < count; ++i)
    ones[i] = 1;
  return nib_onnx_finish_at(n, 1, nib_onnx_constant(n, NIB_I1, x->rank, x->dims, ones));
}

nib_status nib_onnx_import_identity(nib_onnx_node *n) {
  /* Dropout: the ratio does not matter, training does. */
  if (!strcmp(n->proto->op_type, "Dropout")) {
    const nib_onnx_value *training = nib_onnx_input(n, 2);
    if (training && (!training->data || training->format != NIB_I1 || training->bytes != 1 ||
                     training->data[0]))
      return nib_onnx_unsupported(n, "training mode");
    if (nib_onnx_output_is_used(n, 1))
      NIB_RETURN_IF_ERROR(keep_all(n));
  }
  nib_onnx_value *x = nib_onnx_input(n, 0);
  int32_t id = nib_onnx_find_value(n->ctx, n->proto->output[0]);
  if (id == NIB_ONNX_ABSENT)
    return nib_onnx_invalid(n, "its output has no name");
  nib_onnx_value *y = &n->ctx->values[id];
  const char *name = y->name;
  bool used = y->is_used;
  *y = *x; /* the same constant or tensor under a second name */
  y->name = name;
  y->is_used = used;
  return NIB_OK;
}

nib_status nib_onnx_import_transpose(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  int64_t perm[NIB_MAX_RANK], dims[NIB_MAX_RANK];
  if (nib_onnx_attr(n, "perm"))
    NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "perm", x->rank, 0, perm));
  else
    for (int32_t i = 0; i < x->rank; ++i)
      perm[i] = x->rank - 1 - i;
  for (int32_t i = 0; i < x->rank; ++i)
    if (perm[i] < 0)
      return nib_onnx_invalid(n, "perm has a negative element");
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, perm, x->rank, x->rank));
  if (x->data) {
    uint8_t *data = nib_onnx_fold_alloc(n, x->bytes);
    if (!data)
      return n->ctx->failure;
    nib_onnx_permute(x->data, data, nib_format_bytes(x->format), x->rank, x->dims, perm);
    for (int32_t i = 0; i < x->rank; ++i)
      dims[i] = x->dims[perm[i]];
    return nib_onnx_set_constant(n, x->format, x->rank, dims, data);
  }
  int32_t in = x->codes ? nib_onnx_materialize_permuted(n, x, x->dims, x->rank, perm)
                        : nib_onnx_materialize(n, x);
  if (in == NIB_NONE || x->codes)
    return finish(n, in);
  return finish(n, nib_onnx_emit_transpose(n, in, perm, ""));
}

/* Copies constant `v` to its place along `axis` of a constant of `dims`. */
static void place_constant(const nib_onnx_value *v, int32_t axis, int64_t at, const int64_t *dims,
                           uint8_t *to) {
  size_t element = nib_format_bytes(v->format);
  int64_t outer = nib_onnx_count_elems(v->dims, axis);
  int64_t inner = nib_onnx_count_elems(v->dims + axis + 1, v->rank - axis - 1);
  size_t block = (size_t)(v->dims[axis] * inner) * element;
  size_t row = (size_t)(dims[axis] * inner) * element;
  for (int64_t i = 0; block && i < outer; ++i)
    memcpy(to + (size_t)i * row + (size_t)(at * inner) * element, v->data + (size_t)i * block,
           block);
}

static nib_status concat_constants(nib_onnx_node *n, int32_t axis, int32_t rank,
                                   const int64_t *dims) {
  const nib_onnx_value *first = nib_onnx_input(n, 0);
  uint8_t *data = nib_onnx_fold_alloc(n, (size_t)nib_onnx_count_elems(dims, rank) *
                                             nib_format_bytes(first->format));
  if (!data)
    return n->ctx->failure;
  int64_t at = 0;
  for (size_t i = 0; i < n->proto->n_input; ++i) {
    const nib_onnx_value *v = nib_onnx_input(n, i);
    place_constant(v, axis, at, dims, data);
    at += v->dims[axis];
  }
  return nib_onnx_set_constant(n, first->format, rank, dims, data);
}

static nib_status emit_concat(nib_onnx_node *n, int32_t axis, int32_t rank, const int64_t *dims) {
  nib_graph *g = n->ctx->graph;
  size_t count = n->proto->n_input;
  int32_t *in = nib_graph_alloc(g, count * sizeof *in);
  if (!in)
    return nib_onnx_out_of_memory(n->ctx);
  for (size_t i = 0; i < count; ++i) {
    in[i] = nib_onnx_materialize(n, nib_onnx_input(n, i));
    if (in[i] == NIB_NONE)
      return n->ctx->failure;
    const nib_tensor *a = &g->tensors[in[0]], *b = &g->tensors[in[i]];
    if (a->quantized != b->quantized || a->scale != b->scale || a->zero_point != b->zero_point)
      return nib_onnx_unsupported(n, "codes of different scales or zero points");
  }
  int32_t node = nib_onnx_emit(n, NIB_OP_CONCAT, in, (int32_t)count, in[0], rank, dims, "");
  if (node == NIB_NONE)
    return n->ctx->failure;
  if (nib_graph_set_int(g, node, NIB_A_AXIS, axis) != NIB_OK)
    return nib_onnx_out_of_memory(n->ctx);
  return finish(n, g->nodes[node].out);
}

nib_status nib_onnx_import_concat(nib_onnx_node *n) {
  nib_onnx_value *first = nib_onnx_input(n, 0);
  if (!nib_onnx_attr(n, "axis"))
    return nib_onnx_invalid(n, "it has no axis");
  int64_t axis = nib_onnx_attr_int(n, "axis", 0), dims[NIB_MAX_RANK];
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, &axis, 1, first->rank));
  memcpy(dims, first->dims, sizeof dims);
  dims[axis] = 0;
  bool constant = true;
  for (size_t i = 0; i < n->proto->n_input; ++i) {
    const nib_onnx_value *v = nib_onnx_input(n, i);
    if (!v)
      return nib_onnx_invalid(n, "its input %zu is missing", i);
    if (v->rank != first->rank || v->format != first->format)
      return nib_onnx_invalid(n, "its inputs differ in rank or type");
    for (int32_t d = 0; d < v->rank; ++d)
      if (d != axis && v->dims[d] != first->dims[d])
        return nib_onnx_invalid(n, "its inputs differ in dimension %d", d);
    dims[axis] += v->dims[axis];
    constant &= v->data != NULL;
    if (nib_onnx_count_elems(dims, v->rank) < 0)
      return nib_onnx_invalid(n, "its result is too large");
  }
  if (n->proto->n_input == 1)
    return nib_onnx_import_identity(n);
  return constant ? concat_constants(n, (int32_t)axis, first->rank, dims)
                  : emit_concat(n, (int32_t)axis, first->rank, dims);
}

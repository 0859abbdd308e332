/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Expressions of graph tensors. */
#include "onnx_build.h"

#include "params/params.h"

#include <string.h>

#define MAX_CONCATENATED 32

const nib_tensor *nib_onnx_tensor(const nib_onnx_node *n, int32_t tensor) {
  return &n->ctx->graph->tensors[tensor];
}

int64_t nib_onnx_dim(const nib_onnx_node *n, int32_t tensor, int32_t i) {
  const nib_tensor *t = nib_onnx_tensor(n, tensor);
  return t->dims[i < 0 ? i + t->rank : i];
}

int32_t nib_onnx_in(nib_onnx_node *n, size_t i) {
  nib_onnx_value *v = nib_onnx_input(n, i);
  if (v)
    return nib_onnx_materialize(n, v);
  nib_onnx_invalid(n, "its input %zu is missing", i);
  return NIB_NONE;
}

nib_status nib_onnx_finish(nib_onnx_node *n, int32_t tensor) {
  return tensor == NIB_NONE ? n->ctx->failure : nib_onnx_set_result(n, tensor);
}

nib_status nib_onnx_finish_at(nib_onnx_node *n, size_t i, int32_t tensor) {
  if (tensor == NIB_NONE)
    return n->ctx->failure;
  return nib_onnx_output_is_used(n, i) ? nib_onnx_set_result_at(n, i, tensor) : NIB_OK;
}

/* The result of `node` after its attributes were set. */
static int32_t result(nib_onnx_node *n, int32_t node, nib_status attributes) {
  if (node == NIB_NONE)
    return NIB_NONE;
  if (attributes != NIB_OK) {
    nib_onnx_out_of_memory(n->ctx);
    return NIB_NONE;
  }
  return n->ctx->graph->nodes[node].out;
}

nib_status nib_onnx_require_real(nib_onnx_node *n, const nib_onnx_value *v) {
  if (nib_format_get(v->format)->kind == NIB_KIND_FLOAT)
    return NIB_OK;
  return nib_onnx_unsupported(n, "'%.100s' is %s, only floats are supported here", v->name,
                              nib_format_get(v->format)->name);
}

nib_status nib_onnx_require_reals(nib_onnx_node *n) {
  const nib_onnx_value *first = nib_onnx_input(n, 0);
  for (size_t i = 0; i < n->proto->n_input; ++i) {
    const nib_onnx_value *v = nib_onnx_input(n, i);
    if (!v)
      continue;
    NIB_RETURN_IF_ERROR(nib_onnx_require_real(n, v));
    if (first && v->format != first->format)
      return nib_onnx_unsupported(n, "operands of %s and %s", nib_format_get(first->format)->name,
                                  nib_format_get(v->format)->name);
  }
  return NIB_OK;
}

static int32_t emit_one(nib_onnx_node *n, nib_op op, int32_t a, int32_t rank, const int64_t *dims) {
  if (a == NIB_NONE)
    return NIB_NONE;
  int64_t copy[NIB_MAX_RANK]; /* `dims` may lie in a tensor, and those move */
  if (rank <= NIB_MAX_RANK && rank > 0)
    memcpy(copy, dims, (size_t)rank * sizeof *dims);
  return nib_onnx_emit(n, op, &a, 1, a, rank, copy, "");
}

int32_t nib_onnx_unary(nib_onnx_node *n, nib_op op, int32_t a) {
  if (a == NIB_NONE)
    return NIB_NONE;
  const nib_tensor *t = nib_onnx_tensor(n, a);
  return result(n, emit_one(n, op, a, t->rank, t->dims), NIB_OK);
}

static nib_onnx_value shape_of(const nib_onnx_node *n, int32_t t, int32_t drop) {
  const nib_tensor *tensor = nib_onnx_tensor(n, t);
  nib_onnx_value v = {.rank = tensor->rank - drop};
  memcpy(v.dims, tensor->dims, sizeof v.dims);
  return v;
}

int32_t nib_onnx_binary(nib_onnx_node *n, nib_op op, int32_t a, int32_t b) {
  if (a == NIB_NONE || b == NIB_NONE)
    return NIB_NONE;
  nib_onnx_value va = shape_of(n, a, 0), vb = shape_of(n, b, 0);
  int64_t dims[NIB_MAX_RANK];
  int32_t rank;
  if (nib_onnx_broadcast(n, &va, &vb, &rank, dims) != NIB_OK)
    return NIB_NONE;
  const int32_t in[] = {a, b};
  return result(n,
                nib_params_is_comparison(op)
                    ? nib_onnx_emit_as(n, op, in, 2, NIB_I1, rank, dims, "")
                    : nib_onnx_emit(n, op, in, 2, a, rank, dims, ""),
                NIB_OK);
}

int32_t nib_onnx_squared(nib_onnx_node *n, int32_t a) {
  return nib_onnx_binary(n, NIB_OP_MUL, a, a);
}

int32_t nib_onnx_compared(nib_onnx_node *n, nib_op op, int32_t a, int32_t b) {
  const int32_t t = nib_onnx_binary(n, op, a, b);
  if (t != NIB_NONE) {
    n->ctx->graph->tensors[t].format = NIB_I1;
    n->ctx->graph->tensors[t].quantized = false;
  }
  return t;
}

int32_t nib_onnx_chosen(nib_onnx_node *n, int32_t condition, int32_t a, int32_t b) {
  if (condition == NIB_NONE || a == NIB_NONE || b == NIB_NONE)
    return NIB_NONE;
  nib_onnx_value vc = shape_of(n, condition, 0), va = shape_of(n, a, 0), vb = shape_of(n, b, 0);
  nib_onnx_value both = {0};
  int64_t dims[NIB_MAX_RANK];
  int32_t rank;
  if (nib_onnx_broadcast(n, &va, &vb, &both.rank, both.dims) != NIB_OK ||
      nib_onnx_broadcast(n, &vc, &both, &rank, dims) != NIB_OK)
    return NIB_NONE;
  const int32_t in[] = {condition, a, b};
  return result(n, nib_onnx_emit(n, NIB_OP_WHERE, in, 3, a, rank, dims, ""), NIB_OK);
}

int32_t nib_onnx_with(nib_onnx_node *n, nib_op op, int32_t a, double number) {
  if (a == NIB_NONE)
    return NIB_NONE;
  return nib_onnx_binary(n, op, a, nib_onnx_number(n, nib_onnx_tensor(n, a)->format, number));
}

int32_t nib_onnx_reshaped(nib_onnx_node *n, int32_t a, int32_t rank, const int64_t *dims) {
  return result(n, emit_one(n, NIB_OP_RESHAPE, a, rank, dims), NIB_OK);
}

int32_t nib_onnx_transposed(nib_onnx_node *n, int32_t a, const int64_t *perm) {
  return a == NIB_NONE ? NIB_NONE : nib_onnx_emit_transpose(n, a, perm, "");
}

int32_t nib_onnx_swapped(nib_onnx_node *n, int32_t a, int32_t i, int32_t k) {
  if (a == NIB_NONE)
    return NIB_NONE;
  const int32_t rank = nib_onnx_tensor(n, a)->rank;
  int64_t perm[NIB_MAX_RANK];
  for (int32_t d = 0; d < rank; ++d)
    perm[d] = d;
  i += i < 0 ? rank : 0;
  k += k < 0 ? rank : 0;
  perm[i] = k;
  perm[k] = i;
  return i == k ? a : nib_onnx_transposed(n, a, perm);
}

static bool has_shape(const nib_tensor *t, int32_t rank, const int64_t *dims) {
  return t->rank == rank && (rank == 0 || !memcmp(t->dims, dims, (size_t)rank * sizeof *dims));
}

int32_t nib_onnx_broadcasted(nib_onnx_node *n, int32_t a, int32_t rank, const int64_t *dims) {
  if (a == NIB_NONE || has_shape(nib_onnx_tensor(n, a), rank, dims))
    return a;
  return result(n, emit_one(n, NIB_OP_BROADCAST, a, rank, dims), NIB_OK);
}

int32_t nib_onnx_sliced(nib_onnx_node *n, int32_t a, const int64_t *begin, const int64_t *sizes) {
  if (a == NIB_NONE)
    return NIB_NONE;
  nib_graph *g = n->ctx->graph;
  const int32_t rank = g->tensors[a].rank;
  if (has_shape(&g->tensors[a], rank, sizes))
    return a;
  const int32_t node = emit_one(n, NIB_OP_SLICE, a, rank, sizes);
  if (node == NIB_NONE)
    return NIB_NONE;
  nib_status status = nib_graph_set_ints(g, node, NIB_A_BEGIN, begin, rank);
  if (status == NIB_OK)
    status = nib_graph_set_ints(g, node, NIB_A_SIZES, sizes, rank);
  return result(n, node, status);
}

int32_t nib_onnx_part(nib_onnx_node *n, int32_t a, int32_t axis, int64_t begin, int64_t count,
                      int64_t step) {
  if (a == NIB_NONE)
    return NIB_NONE;
  nib_graph *g = n->ctx->graph;
  const int32_t rank = g->tensors[a].rank;
  int64_t first[NIB_MAX_RANK] = {0}, steps[NIB_MAX_RANK], dims[NIB_MAX_RANK];
  memcpy(dims, g->tensors[a].dims, sizeof dims);
  for (int32_t i = 0; i < rank; ++i)
    steps[i] = 1;
  axis += axis < 0 ? rank : 0;
  first[axis] = begin;
  dims[axis] = count;
  steps[axis] = step;
  if (step == 1 || count == 1)
    return nib_onnx_sliced(n, a, first, dims);
  const int32_t node = emit_one(n, NIB_OP_STRIDED_SLICE, a, rank, dims);
  if (node == NIB_NONE)
    return NIB_NONE;
  nib_status status = nib_graph_set_ints(g, node, NIB_A_BEGIN, first, rank);
  if (status == NIB_OK)
    status = nib_graph_set_ints(g, node, NIB_A_STEPS, steps, rank);
  return result(n, node, status);
}

int32_t nib_onnx_padded(nib_onnx_node *n, int32_t a, const int64_t *low, const int64_t *high,
                        double value) {
  if (a == NIB_NONE)
    return NIB_NONE;
  nib_graph *g = n->ctx->graph;
  const int32_t rank = g->tensors[a].rank;
  int64_t dims[NIB_MAX_RANK], begin[NIB_MAX_RANK], before[NIB_MAX_RANK], behind[NIB_MAX_RANK];
  bool any = false;
  for (int32_t i = 0; i < rank; ++i) {
    begin[i] = low[i] < 0 ? -low[i] : 0;
    before[i] = low[i] < 0 ? 0 : low[i];
    behind[i] = high[i] < 0 ? 0 : high[i];
    dims[i] = g->tensors[a].dims[i] - begin[i] + (high[i] < 0 ? high[i] : 0);
    any |= before[i] || behind[i];
  }
  a = nib_onnx_sliced(n, a, begin, dims);
  if (!any || a == NIB_NONE)
    return a;
  for (int32_t i = 0; i < rank; ++i)
    dims[i] += before[i] + behind[i];
  const int32_t node = emit_one(n, NIB_OP_PAD, a, rank, dims);
  if (node == NIB_NONE)
    return NIB_NONE;
  nib_status status = nib_graph_set_ints(g, node, NIB_A_LOW, before, rank);
  if (status == NIB_OK)
    status = nib_graph_set_ints(g, node, NIB_A_HIGH, behind, rank);
  if (status == NIB_OK)
    status = nib_graph_set_float(g, node, NIB_A_PAD_VALUE, value);
  return result(n, node, status);
}

/* More parts than a kernel may read: groups of them first. */
static int32_t concatenate_groups(nib_onnx_node *n, const int32_t *parts, int32_t count,
                                  int32_t axis) {
  int32_t groups[MAX_CONCATENATED], made = 0;
  const int32_t each = (count + MAX_CONCATENATED - 1) / MAX_CONCATENATED;
  for (int32_t at = 0; at < count; at += each) {
    const int32_t size = count - at < each ? count - at : each;
    groups[made++] = nib_onnx_concatenated(n, parts + at, size, axis);
  }
  return nib_onnx_concatenated(n, groups, made, axis);
}

int32_t nib_onnx_concatenated(nib_onnx_node *n, const int32_t *parts, int32_t count, int32_t axis) {
  if (count > MAX_CONCATENATED)
    return concatenate_groups(n, parts, count, axis);
  nib_graph *g = n->ctx->graph;
  int64_t total = 0, dims[NIB_MAX_RANK];
  for (int32_t i = 0; i < count; ++i) {
    if (parts[i] == NIB_NONE)
      return NIB_NONE;
    if (i == 0)
      axis += axis < 0 ? g->tensors[parts[0]].rank : 0;
    total += g->tensors[parts[i]].dims[axis];
  }
  if (count == 1)
    return parts[0];
  const int32_t rank = g->tensors[parts[0]].rank;
  memcpy(dims, g->tensors[parts[0]].dims, sizeof dims);
  dims[axis] = total;
  const int32_t node = nib_onnx_emit(n, NIB_OP_CONCAT, parts, count, parts[0], rank, dims, "");
  return result(n, node, node == NIB_NONE ? NIB_OK : nib_graph_set_int(g, node, NIB_A_AXIS, axis));
}

int32_t nib_onnx_product(nib_onnx_node *n, int32_t a, int32_t b) {
  if (a == NIB_NONE || b == NIB_NONE)
    return NIB_NONE;
  nib_onnx_value va = shape_of(n, a, 2), vb = shape_of(n, b, 2);
  int64_t dims[NIB_MAX_RANK];
  int32_t rank;
  if (nib_onnx_dim(n, a, -1) != nib_onnx_dim(n, b, -2)) {
    nib_onnx_invalid(n, "the inner dimensions of a product are %lld and %lld",
                     (long long)nib_onnx_dim(n, a, -1), (long long)nib_onnx_dim(n, b, -2));
    return NIB_NONE;
  }
  if (nib_onnx_broadcast(n, &va, &vb, &rank, dims) != NIB_OK)
    return NIB_NONE;
  dims[rank++] = nib_onnx_dim(n, a, -2);
  dims[rank++] = nib_onnx_dim(n, b, -1);
  const int32_t in[] = {a, b};
  return result(n, nib_onnx_emit(n, NIB_OP_MATMUL, in, 2, a, rank, dims, ""), NIB_OK);
}

int32_t nib_onnx_softmax(nib_onnx_node *n, int32_t a) {
  if (a == NIB_NONE)
    return NIB_NONE;
  const nib_format format = nib_onnx_tensor(n, a)->format;
  if (format != NIB_F32 && format != NIB_F64) /* sums of many: in f32 */
    return nib_onnx_converted(n, nib_onnx_softmax(n, nib_onnx_converted(n, a, NIB_F32)), format);
  nib_graph *g = n->ctx->graph;
  const int32_t rank = g->tensors[a].rank;
  const int32_t node = emit_one(n, NIB_OP_SOFTMAX, a, rank, g->tensors[a].dims);
  if (node == NIB_NONE)
    return NIB_NONE;
  nib_status status = nib_graph_set_int(g, node, NIB_A_AXIS, rank - 1);
  if (status == NIB_OK)
    status = nib_graph_set_float(g, node, NIB_A_BETA, 1.0);
  return result(n, node, status);
}

int32_t nib_onnx_reduced_dims(const nib_tensor *t, const int64_t *axes, int32_t count, bool keep,
                              int64_t *out_dims) {
  int32_t rank = 0;
  for (int32_t i = 0; i < t->rank; ++i) {
    bool gone = false;
    for (int32_t k = 0; k < count; ++k)
      gone |= axes[k] == i;
    if (!gone || keep)
      out_dims[rank++] = gone ? 1 : t->dims[i];
  }
  return rank;
}

int32_t nib_onnx_mean(nib_onnx_node *n, int32_t a, const int64_t *axes, int32_t count, bool keep) {
  if (a == NIB_NONE)
    return NIB_NONE;
  nib_graph *g = n->ctx->graph;
  int64_t dims[NIB_MAX_RANK];
  const int32_t rank = nib_onnx_reduced_dims(&g->tensors[a], axes, count, keep, dims);
  const int32_t node = emit_one(n, NIB_OP_MEAN, a, rank, dims);
  if (node == NIB_NONE)
    return NIB_NONE;
  nib_status status = nib_graph_set_ints(g, node, NIB_A_AXES, axes, count);
  if (status == NIB_OK)
    status = nib_graph_set_int(g, node, NIB_A_KEEP_DIMS, keep);
  return result(n, node, status);
}

int32_t nib_onnx_sum(nib_onnx_node *n, int32_t a, const int64_t *axes, int32_t count, bool keep) {
  double size = 1;
  for (int32_t i = 0; a != NIB_NONE && i < count; ++i)
    size *= (double)nib_onnx_dim(n, a, (int32_t)axes[i]);
  return nib_onnx_with(n, NIB_OP_MUL, nib_onnx_mean(n, a, axes, count, keep), size);
}

int32_t nib_onnx_mean_last(nib_onnx_node *n, int32_t a, int32_t count) {
  int64_t axes[NIB_MAX_RANK];
  const int32_t rank = a == NIB_NONE ? 0 : nib_onnx_tensor(n, a)->rank;
  for (int32_t i = 0; i < count; ++i)
    axes[i] = rank - count + i;
  return nib_onnx_mean(n, a, axes, count, true);
}

int32_t nib_onnx_clamped(nib_onnx_node *n, int32_t a, double low, double high) {
  if (a == NIB_NONE)
    return NIB_NONE;
  nib_graph *g = n->ctx->graph;
  const int32_t node = emit_one(n, NIB_OP_CLAMP, a, g->tensors[a].rank, g->tensors[a].dims);
  if (node == NIB_NONE)
    return NIB_NONE;
  nib_status status = nib_graph_set_float(g, node, NIB_A_MIN, low);
  if (status == NIB_OK)
    status = nib_graph_set_float(g, node, NIB_A_MAX, high);
  return result(n, node, status);
}

int32_t nib_onnx_converted(nib_onnx_node *n, int32_t a, nib_format format) {
  if (a == NIB_NONE || nib_onnx_tensor(n, a)->format == format)
    return a;
  const int32_t t = nib_onnx_unary(n, NIB_OP_CAST, a);
  if (t != NIB_NONE)
    n->ctx->graph->tensors[t].format = format;
  return t;
}

/* ---- indices ---- */

int32_t nib_onnx_gathered_batches(nib_onnx_node *n, int32_t a, int32_t indices, int32_t axis,
                                  int32_t batch_dims) {
  if (a == NIB_NONE || indices == NIB_NONE)
    return NIB_NONE;
  nib_graph *g = n->ctx->graph;
  const nib_tensor *x = &g->tensors[a], *i = &g->tensors[indices];
  int64_t dims[2 * NIB_MAX_RANK];
  int32_t rank = 0;
  for (int32_t d = 0; d < axis; ++d)
    dims[rank++] = x->dims[d];
  for (int32_t d = batch_dims; d < i->rank; ++d)
    dims[rank++] = i->dims[d];
  for (int32_t d = axis + 1; d < x->rank; ++d)
    dims[rank++] = x->dims[d];
  const int32_t in[] = {a, indices};
  const int32_t node = nib_onnx_emit(n, NIB_OP_GATHER, in, 2, a, rank, dims, "");
  if (node == NIB_NONE)
    return NIB_NONE;
  nib_status status = nib_graph_set_int(g, node, NIB_A_AXIS, axis);
  if (status == NIB_OK && batch_dims)
    status = nib_graph_set_int(g, node, NIB_A_BATCH_DIMS, batch_dims);
  return result(n, node, status);
}

int32_t nib_onnx_gathered(nib_onnx_node *n, int32_t a, int32_t indices, int32_t axis) {
  return nib_onnx_gathered_batches(n, a, indices, axis, 0);
}

int32_t nib_onnx_gathered_nd(nib_onnx_node *n, int32_t a, int32_t indices, int32_t batch_dims) {
  if (a == NIB_NONE || indices == NIB_NONE)
    return NIB_NONE;
  nib_graph *g = n->ctx->graph;
  const nib_tensor *x = &g->tensors[a], *i = &g->tensors[indices];
  int64_t dims[2 * NIB_MAX_RANK];
  int32_t rank = 0;
  for (int32_t d = 0; d < i->rank - 1; ++d)
    dims[rank++] = i->dims[d];
  for (int32_t d = batch_dims + (int32_t)i->dims[i->rank - 1]; d < x->rank; ++d)
    dims[rank++] = x->dims[d];
  const int32_t in[] = {a, indices};
  const int32_t node = nib_onnx_emit(n, NIB_OP_GATHER_ND, in, 2, a, rank, dims, "");
  return result(n, node,
                node == NIB_NONE || !batch_dims
                    ? NIB_OK
                    : nib_graph_set_int(g, node, NIB_A_BATCH_DIMS, batch_dims));
}

int32_t nib_onnx_gathered_elements(nib_onnx_node *n, int32_t a, int32_t indices, int32_t axis) {
  if (a == NIB_NONE || indices == NIB_NONE)
    return NIB_NONE;
  nib_graph *g = n->ctx->graph;
  int64_t dims[NIB_MAX_RANK];
  memcpy(dims, g->tensors[indices].dims, sizeof dims);
  const int32_t in[] = {a, indices};
  const int32_t node =
      nib_onnx_emit(n, NIB_OP_GATHER_ELEMENTS, in, 2, a, g->tensors[indices].rank, dims, "");
  return result(n, node, node == NIB_NONE ? NIB_OK : nib_graph_set_int(g, node, NIB_A_AXIS, axis));
}

int32_t nib_onnx_scattered_nd(nib_onnx_node *n, int32_t a, int32_t indices, int32_t updates,
                              const char *reduction) {
  if (a == NIB_NONE || indices == NIB_NONE || updates == NIB_NONE)
    return NIB_NONE;
  nib_graph *g = n->ctx->graph;
  int64_t dims[NIB_MAX_RANK];
  memcpy(dims, g->tensors[a].dims, sizeof dims);
  const int32_t in[] = {a, indices, updates};
  const int32_t node = nib_onnx_emit(n, NIB_OP_SCATTER_ND, in, 3, a, g->tensors[a].rank, dims, "");
  return result(n, node,
                node == NIB_NONE ? NIB_OK
                                 : nib_graph_set_string(g, node, NIB_A_REDUCTION, reduction));
}

int32_t nib_onnx_scattered_elements(nib_onnx_node *n, int32_t a, int32_t indices, int32_t updates,
                                    int32_t axis) {
  if (a == NIB_NONE || indices == NIB_NONE || updates == NIB_NONE)
    return NIB_NONE;
  nib_graph *g = n->ctx->graph;
  int64_t dims[NIB_MAX_RANK];
  memcpy(dims, g->tensors[a].dims, sizeof dims);
  const int32_t in[] = {a, indices, updates};
  const int32_t node =
      nib_onnx_emit(n, NIB_OP_SCATTER_ELEMENTS, in, 3, a, g->tensors[a].rank, dims, "");
  return result(n, node, node == NIB_NONE ? NIB_OK : nib_graph_set_int(g, node, NIB_A_AXIS, axis));
}

/* ---- constants ---- */

double *nib_onnx_doubles(nib_onnx_node *n, int64_t count) {
  return (double *)(void *)nib_onnx_fold_alloc(n, (size_t)count * sizeof(double));
}

int64_t *nib_onnx_longs(nib_onnx_node *n, int64_t count) {
  return (int64_t *)(void *)nib_onnx_fold_alloc(n, (size_t)count * sizeof(int64_t));
}

nib_status nib_onnx_constant_number(nib_onnx_node *n, size_t i, double if_absent, double *out) {
  nib_onnx_value *v = nib_onnx_input(n, i);
  *out = if_absent;
  if (!v)
    return NIB_OK;
  if (!v->data)
    return nib_onnx_unsupported(n, "input %zu '%.100s' is not a constant", i, v->name);
  if (nib_onnx_count_elems(v->dims, v->rank) != 1)
    return nib_onnx_invalid(n, "input %zu is not a single number", i);
  *out = nib_format_load_real(v->format, v->data, 0);
  return NIB_OK;
}

/* Saturated: infinity is the largest. */
static int64_t integer_of(nib_format format, double value) {
  const nib_format_info *info = nib_format_get(format);
  if (format == NIB_U64 && value > 0)
    return value >= 0x1p64 ? -1 : (int64_t)(uint64_t)value;
  return value <= (double)info->min   ? info->min
         : value >= (double)info->max ? info->max
                                      : (int64_t)value;
}

static void store(nib_format format, uint8_t *data, int64_t i, double value) {
  if (nib_format_get(format)->kind == NIB_KIND_FLOAT)
    nib_format_store_real(format, data, i, value);
  else
    nib_format_store_code(format, data, i, integer_of(format, value));
}

int32_t nib_onnx_constant(nib_onnx_node *n, nib_format format, int32_t rank, const int64_t *dims,
                          const double *values) {
  const int64_t count = nib_onnx_count_elems(dims, rank);
  const size_t bytes = nib_format_bytes(format);
  uint8_t *data = values && count >= 0 ? nib_onnx_fold_alloc(n, (size_t)count * bytes) : NULL;
  if (!data)
    return NIB_NONE;
  for (int64_t i = 0; i < count; ++i)
    store(format, data, i, values[i]);
  return nib_onnx_emit_constant(n, "number", format, rank, dims, data);
}

int32_t nib_onnx_number(nib_onnx_node *n, nib_format format, double value) {
  return nib_onnx_constant(n, format, 0, NULL, &value);
}

int32_t nib_onnx_integers(nib_onnx_node *n, int32_t rank, const int64_t *dims,
                          const int64_t *values) {
  const int64_t count = nib_onnx_count_elems(dims, rank);
  int64_t *data = values && count >= 0 ? nib_onnx_longs(n, count) : NULL;
  if (!data)
    return NIB_NONE;
  if (count)
    memcpy(data, values, (size_t)count * sizeof *data);
  return nib_onnx_emit_constant(n, "integers", NIB_I64, rank, dims, data);
}

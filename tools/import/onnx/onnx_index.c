/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Operators with indices: Gather*, Scatter*, TopK, Compress; Expand and Tile. */
#include "onnx_build.h"

#include <inttypes.h>
#include <string.h>

static bool is_index_format(nib_format f) { return f == NIB_I64 || f == NIB_I32; }

static nib_status require_indices(nib_onnx_node *n, const nib_onnx_value *v) {
  if (is_index_format(v->format))
    return NIB_OK;
  return nib_onnx_invalid(n, "its indices are %s", nib_format_get(v->format)->name);
}

/* The attribute `axis` of an input of `rank` dimensions. */
static nib_status read_axis(nib_onnx_node *n, int32_t rank, int64_t if_absent, int64_t *out) {
  *out = nib_onnx_attr_int(n, "axis", if_absent);
  return nib_onnx_normalize_axes(n, out, 1, rank);
}

/* A single constant index: a slice, which passes know more of. */
static nib_status gather_one(nib_onnx_node *n, nib_onnx_value *x, const nib_onnx_value *indices,
                             int32_t axis) {
  int64_t at = nib_onnx_integer_at(indices, 0), dims[NIB_MAX_RANK];
  const int64_t size = x->dims[axis];
  at += at < 0 ? size : 0;
  int32_t rank = 0;
  for (int32_t i = 0; i < axis; ++i)
    dims[rank++] = x->dims[i];
  for (int32_t i = 0; i < indices->rank; ++i)
    dims[rank++] = 1;
  for (int32_t i = axis + 1; i < x->rank; ++i)
    dims[rank++] = x->dims[i];
  const int32_t t = nib_onnx_part(n, nib_onnx_materialize(n, x), axis, at, 1, 1);
  return nib_onnx_finish(n, nib_onnx_reshaped(n, t, rank, dims));
}

/* Constant indices are checked; those that come at run time read the nearest element. */
static nib_status check_range(nib_onnx_node *n, const nib_onnx_value *indices, int64_t size) {
  const int64_t count = nib_onnx_count_elems(indices->dims, indices->rank);
  for (int64_t i = 0; indices->data && i < count; ++i) {
    const int64_t at = nib_onnx_integer_at(indices, i);
    if (at < -size || at >= size)
      return nib_onnx_invalid(n, "index %" PRId64 " is out of range", at);
  }
  return NIB_OK;
}

nib_status nib_onnx_import_gather(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0), *indices = nib_onnx_input(n, 1);
  int64_t axis;
  NIB_RETURN_IF_ERROR(require_indices(n, indices));
  NIB_RETURN_IF_ERROR(read_axis(n, x->rank, 0, &axis));
  NIB_RETURN_IF_ERROR(check_range(n, indices, x->dims[axis]));
  if (x->rank + indices->rank - 1 > NIB_MAX_RANK)
    return nib_onnx_unsupported(n, "rank %d is above %d", x->rank + indices->rank - 1,
                                NIB_MAX_RANK);
  if (indices->data && nib_onnx_count_elems(indices->dims, indices->rank) == 1)
    return gather_one(n, x, indices, (int32_t)axis);
  const int32_t in = nib_onnx_materialize(n, x);
  return nib_onnx_finish(n,
                         nib_onnx_gathered(n, in, nib_onnx_materialize(n, indices), (int32_t)axis));
}

nib_status nib_onnx_import_gather_nd(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0), *indices = nib_onnx_input(n, 1);
  NIB_RETURN_IF_ERROR(require_indices(n, indices));
  const int64_t batch = nib_onnx_attr_int(n, "batch_dims", 0);
  const int64_t k = indices->rank ? indices->dims[indices->rank - 1] : 0;
  if (batch < 0 || batch >= indices->rank || k < 1 || batch + k > x->rank)
    return nib_onnx_invalid(n, "tuples of %" PRId64 " indices behind %" PRId64 " dimensions of %d",
                            k, batch, x->rank);
  for (int64_t i = 0; i < batch; ++i)
    if (x->dims[i] != indices->dims[i])
      return nib_onnx_invalid(n, "its inputs differ in dimension %" PRId64, i);
  if (indices->rank - 1 + x->rank - batch - k > NIB_MAX_RANK)
    return nib_onnx_unsupported(n, "the rank of its result is above %d", NIB_MAX_RANK);
  const int32_t in = nib_onnx_materialize(n, x);
  return nib_onnx_finish(
      n, nib_onnx_gathered_nd(n, in, nib_onnx_materialize(n, indices), (int32_t)batch));
}

/* Indices lie within the input but along the axis. */
static nib_status check_within(nib_onnx_node *n, const nib_onnx_value *x,
                               const nib_onnx_value *indices, int64_t axis) {
  bool ok = x->rank == indices->rank;
  for (int32_t i = 0; ok && i < x->rank; ++i)
    ok = i == axis || indices->dims[i] <= x->dims[i];
  return ok ? NIB_OK : nib_onnx_invalid(n, "its indices reach beyond its input");
}

nib_status nib_onnx_import_gather_elements(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0), *indices = nib_onnx_input(n, 1);
  int64_t axis;
  NIB_RETURN_IF_ERROR(require_indices(n, indices));
  NIB_RETURN_IF_ERROR(read_axis(n, x->rank, 0, &axis));
  NIB_RETURN_IF_ERROR(check_within(n, x, indices, axis));
  const int32_t in = nib_onnx_materialize(n, x);
  return nib_onnx_finish(
      n, nib_onnx_gathered_elements(n, in, nib_onnx_materialize(n, indices), (int32_t)axis));
}

static bool same_shape(const nib_onnx_value *a, const nib_onnx_value *b) {
  return a->rank == b->rank &&
         (a->rank == 0 || !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims));
}

/* The three operands and the reduction of ScatterND and ScatterElements. */
static nib_status emit_scatter(nib_onnx_node *n, nib_op op, int64_t axis) {
  const char *reduction = nib_onnx_attr_string(n, "reduction", "none");
  nib_graph *g = n->ctx->graph;
  const int32_t in[] = {nib_onnx_in(n, 0), nib_onnx_in(n, 1), nib_onnx_in(n, 2)};
  if (in[0] == NIB_NONE || in[1] == NIB_NONE || in[2] == NIB_NONE)
    return n->ctx->failure;
  int64_t dims[NIB_MAX_RANK];
  memcpy(dims, g->tensors[in[0]].dims, sizeof dims);
  const int32_t node = nib_onnx_emit(n, op, in, 3, in[0], g->tensors[in[0]].rank, dims, "");
  if (node == NIB_NONE)
    return n->ctx->failure;
  if (nib_graph_set_string(g, node, NIB_A_REDUCTION, reduction) != NIB_OK ||
      (axis >= 0 && nib_graph_set_int(g, node, NIB_A_AXIS, axis) != NIB_OK))
    return nib_onnx_out_of_memory(n->ctx);
  return nib_onnx_set_result(n, g->nodes[node].out);
}

static nib_status check_scatter(nib_onnx_node *n, const nib_onnx_value *x,
                                const nib_onnx_value *indices, const nib_onnx_value *updates) {
  static const char *const known[] = {"none", "add", "mul", "min", "max"};
  const char *reduction = nib_onnx_attr_string(n, "reduction", "none");
  bool found = false;
  for (size_t i = 0; i < sizeof known / sizeof *known; ++i)
    found |= !strcmp(reduction, known[i]);
  if (!found)
    return nib_onnx_invalid(n, "reduction '%.40s' does not exist", reduction);
  if (x->format != updates->format)
    return nib_onnx_invalid(n, "its data and updates differ in type");
  return require_indices(n, indices);
}

nib_status nib_onnx_import_scatter_elements(nib_onnx_node *n) {
  const nib_onnx_value *x = nib_onnx_input(n, 0), *indices = nib_onnx_input(n, 1);
  const nib_onnx_value *updates = nib_onnx_input(n, 2);
  int64_t axis;
  NIB_RETURN_IF_ERROR(check_scatter(n, x, indices, updates));
  NIB_RETURN_IF_ERROR(read_axis(n, x->rank, 0, &axis));
  NIB_RETURN_IF_ERROR(check_within(n, x, indices, axis));
  if (!same_shape(indices, updates))
    return nib_onnx_invalid(n, "its indices and updates differ in shape");
  return emit_scatter(n, NIB_OP_SCATTER_ELEMENTS, axis);
}

nib_status nib_onnx_import_scatter_nd(nib_onnx_node *n) {
  const nib_onnx_value *x = nib_onnx_input(n, 0), *indices = nib_onnx_input(n, 1);
  const nib_onnx_value *updates = nib_onnx_input(n, 2);
  NIB_RETURN_IF_ERROR(check_scatter(n, x, indices, updates));
  const int64_t k = indices->rank ? indices->dims[indices->rank - 1] : 0;
  if (k < 1 || k > x->rank)
    return nib_onnx_invalid(n, "tuples of %" PRId64 " indices into %d dimensions", k, x->rank);
  nib_onnx_value want = {0};
  for (int32_t i = 0; i < indices->rank - 1; ++i)
    want.dims[want.rank++] = indices->dims[i];
  for (int32_t i = (int32_t)k; i < x->rank && want.rank < NIB_MAX_RANK; ++i)
    want.dims[want.rank++] = x->dims[i];
  if (!same_shape(&want, updates))
    return nib_onnx_invalid(n, "its updates do not fit its data and indices");
  return emit_scatter(n, NIB_OP_SCATTER_ND, -1);
}

/* ---- repetition ---- */

nib_status nib_onnx_import_expand(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0), shape = {0};
  int64_t dims[NIB_MAX_RANK];
  int32_t rank;
  NIB_RETURN_IF_ERROR(nib_onnx_constant_ints(n, 1, NIB_MAX_RANK, shape.dims, &shape.rank));
  NIB_RETURN_IF_ERROR(nib_onnx_broadcast(n, x, &shape, &rank, dims));
  return nib_onnx_finish(n, nib_onnx_broadcasted(n, nib_onnx_materialize(n, x), rank, dims));
}

/* Each dimension is [1, size] for a while, and that 1 is repeated. */
nib_status nib_onnx_import_tile(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  int64_t repeats[NIB_MAX_RANK], dims[NIB_MAX_RANK];
  int32_t count;
  NIB_RETURN_IF_ERROR(nib_onnx_constant_ints(n, 1, NIB_MAX_RANK, repeats, &count));
  if (count != x->rank)
    return nib_onnx_invalid(n, "%d repeats of %d dimensions", count, x->rank);
  memcpy(dims, x->dims, sizeof dims);
  const int32_t rank = x->rank;
  int32_t t = nib_onnx_materialize(n, x);
  for (int32_t i = 0; i < rank && t != NIB_NONE; ++i) {
    if (repeats[i] == 1)
      continue;
    if (repeats[i] < 1 || repeats[i] > INT32_MAX)
      return nib_onnx_unsupported(n, "%" PRId64 " repeats", repeats[i]);
    int64_t flat[] = {nib_onnx_count_elems(dims, i), 1, nib_onnx_count_elems(dims + i, rank - i)};
    t = nib_onnx_reshaped(n, t, 3, flat);
    flat[1] = repeats[i];
    dims[i] *= repeats[i];
    t = nib_onnx_reshaped(n, nib_onnx_broadcasted(n, t, 3, flat), rank, dims);
  }
  return nib_onnx_finish(n, t);
}

/* ---- selections ---- */

nib_status nib_onnx_import_top_k(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  int64_t axis, k = 0, dims[NIB_MAX_RANK];
  int32_t count = 1;
  NIB_RETURN_IF_ERROR(read_axis(n, x->rank, -1, &axis));
  if (n->ctx->opset >= 10)
    NIB_RETURN_IF_ERROR(nib_onnx_constant_ints(n, 1, 1, &k, &count));
  else
    k = nib_onnx_attr_int(n, "k", 0);
  if (count != 1 || k < 1 || k > x->dims[axis])
    return nib_onnx_invalid(n, "the first %" PRId64 " of %" PRId64 " elements", k, x->dims[axis]);
  nib_graph *g = n->ctx->graph;
  const int32_t in = nib_onnx_materialize(n, x), like = nib_onnx_integers(n, 0, NULL, &k);
  if (in == NIB_NONE || like == NIB_NONE)
    return n->ctx->failure;
  memcpy(dims, x->dims, sizeof dims);
  dims[axis] = k;
  const int32_t node = nib_onnx_emit(n, NIB_OP_TOP_K, &in, 1, like, x->rank, dims, "_indices");
  if (node == NIB_NONE)
    return n->ctx->failure;
  if (nib_graph_set_int(g, node, NIB_A_AXIS, axis) != NIB_OK ||
      nib_graph_set_int(g, node, NIB_A_LARGEST, nib_onnx_attr_int(n, "largest", 1) != 0) != NIB_OK)
    return nib_onnx_out_of_memory(n->ctx);
  const int32_t indices = g->nodes[node].out;
  if (nib_onnx_output_is_used(n, 1))
    NIB_RETURN_IF_ERROR(nib_onnx_set_result_at(n, 1, indices));
  return nib_onnx_finish(n, nib_onnx_gathered_elements(n, in, indices, (int32_t)axis));
}

/* Where a constant of truth values holds. */
static int64_t *find_true(nib_onnx_node *n, const nib_onnx_value *v, int64_t limit,
                          int64_t *out_count) {
  int64_t size = nib_onnx_count_elems(v->dims, v->rank);
  int64_t *at = nib_onnx_longs(n, size + 1);
  *out_count = 0;
  for (int64_t i = 0; at && i < size && i < limit; ++i)
    if (v->data[i])
      at[(*out_count)++] = i;
  return at;
}

nib_status nib_onnx_import_compress(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0), *condition = nib_onnx_input(n, 1);
  if (!condition->data)
    return nib_onnx_unsupported(n, "its condition is not a constant: the size of its result would "
                                   "depend on it");
  if (condition->format != NIB_I1 || condition->rank != 1)
    return nib_onnx_invalid(n, "its condition is not a vector of truth values");
  int64_t axis = 0, count;
  const bool flat = !nib_onnx_attr(n, "axis");
  if (!flat)
    NIB_RETURN_IF_ERROR(read_axis(n, x->rank, 0, &axis));
  const int64_t total = nib_onnx_count_elems(x->dims, x->rank);
  const int64_t *at = find_true(n, condition, flat ? total : x->dims[axis], &count);
  int32_t t = nib_onnx_materialize(n, x);
  if (flat)
    t = nib_onnx_reshaped(n, t, 1, &total);
  return nib_onnx_finish(
      n, nib_onnx_gathered(n, t, nib_onnx_integers(n, 1, &count, at), (int32_t)axis));
}

/* Indices of all elements that are not 0: of a constant, since their number is the result's size.
 */
nib_status nib_onnx_import_non_zero(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  if (!x->data)
    return nib_onnx_unsupported(n, "its input is not a constant: the size of its result would "
                                   "depend on it");
  const int64_t total = nib_onnx_count_elems(x->dims, x->rank);
  int64_t *flat = nib_onnx_longs(n, total + 1), dims[] = {x->rank, 0};
  for (int64_t i = 0; flat && i < total; ++i)
    if (nib_format_load_real(x->format, x->data, i) != 0)
      flat[dims[1]++] = i;
  int64_t *out = flat ? nib_onnx_longs(n, dims[0] * dims[1] + 1) : NULL;
  if (!out)
    return n->ctx->failure;
  for (int64_t k = 0; k < dims[1]; ++k)
    for (int32_t i = x->rank - 1; i >= 0; flat[k] /= x->dims[i], --i)
      out[i * dims[1] + k] = flat[k] % x->dims[i];
  return nib_onnx_set_constant(n, NIB_I64, 2, dims, (const uint8_t *)out);
}

/* ---- caches ---- */

/* Positions where a sequence of `count` is written, [batch, count] as i64: from the index of each
 * example on, around the end where the cache is circular. */
static int32_t write_positions(nib_onnx_node *n, int64_t batch, int64_t count, int64_t size,
                               bool circular) {
  const int64_t column[] = {batch, 1};
  int64_t *steps = nib_onnx_longs(n, count);
  for (int64_t i = 0; steps && i < count; ++i)
    steps[i] = i;
  int32_t at = nib_onnx_integers(n, 1, &count, steps);
  if (nib_onnx_input(n, 2))
    at = nib_onnx_binary(n, NIB_OP_ADD, nib_onnx_reshaped(n, nib_onnx_in(n, 2), 2, column), at);
  return circular ? nib_onnx_with(n, NIB_OP_MOD, at, (double)size) : at;
}

/* The cache with the update at those positions of its axis. */
nib_status nib_onnx_import_tensor_scatter(nib_onnx_node *n) {
  const nib_onnx_value *cache = nib_onnx_input(n, 0), *update = nib_onnx_input(n, 1);
  const nib_onnx_value *at = nib_onnx_input(n, 2);
  const char *mode = nib_onnx_attr_string(n, "mode", "linear");
  const bool circular = !strcmp(mode, "circular");
  int64_t axis, seen[NIB_MAX_RANK];
  NIB_RETURN_IF_ERROR(read_axis(n, cache->rank, -2, &axis));
  if (!circular && strcmp(mode, "linear"))
    return nib_onnx_invalid(n, "mode '%.40s' does not exist", mode);
  bool ok = axis > 0 && cache->rank == update->rank && cache->format == update->format;
  for (int32_t i = 0; ok && i < cache->rank; ++i)
    ok = i == axis ? update->dims[i] <= cache->dims[i] : update->dims[i] == cache->dims[i];
  if (!ok || (at && (at->format != NIB_I64 || at->rank != 1 || at->dims[0] != cache->dims[0])))
    return nib_onnx_invalid(n, "its update or indices do not fit its cache");
  for (int32_t i = 0; i < update->rank; ++i)
    seen[i] = i == 0 || i == axis ? update->dims[i] : 1;
  int32_t positions = nib_onnx_reshaped(
      n, write_positions(n, cache->dims[0], update->dims[axis], cache->dims[axis], circular),
      update->rank, seen);
  positions = nib_onnx_broadcasted(n, positions, update->rank, update->dims);
  return nib_onnx_finish(n, nib_onnx_scattered_elements(n, nib_onnx_in(n, 0), positions,
                                                        nib_onnx_in(n, 1), (int32_t)axis));
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Slice and Split. */
#include "import/import_util.h"
#include "onnx_internal.h"

#include <inttypes.h>
#include <string.h>

/* Where a slice begins, how it steps, how many it takes: per dimension of its input. */
typedef struct slice {
  int64_t begin[NIB_MAX_RANK], step[NIB_MAX_RANK], count[NIB_MAX_RANK];
} slice;

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
  return x < low ? low : x > high ? high : x;
}

static nib_status read_slice(nib_onnx_node *n, const nib_onnx_value *x, slice *s) {
  int64_t starts[NIB_MAX_RANK], ends[NIB_MAX_RANK], axes[NIB_MAX_RANK], steps[NIB_MAX_RANK];
  int32_t n_starts, n_ends, n_axes, n_steps = -1;
  NIB_RETURN_IF_ERROR(nib_onnx_ints(n, 10, 1, "starts", NIB_MAX_RANK, starts, &n_starts));
  NIB_RETURN_IF_ERROR(nib_onnx_ints(n, 10, 2, "ends", NIB_MAX_RANK, ends, &n_ends));
  NIB_RETURN_IF_ERROR(nib_onnx_ints(n, 10, 3, "axes", NIB_MAX_RANK, axes, &n_axes));
  if (n->ctx->opset >= 10)
    NIB_RETURN_IF_ERROR(nib_onnx_constant_ints(n, 4, NIB_MAX_RANK, steps, &n_steps));
  if (n_starts < 0 || n_ends != n_starts || (n_axes >= 0 && n_axes != n_starts) ||
      (n_steps >= 0 && n_steps != n_starts))
    return nib_onnx_invalid(n, "its starts, ends, axes and steps differ in number");
  for (int32_t i = 0; n_axes < 0 && i < n_starts; ++i)
    axes[i] = i;
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, axes, n_starts, x->rank));
  for (int32_t i = 0; i < x->rank; ++i) {
    s->begin[i] = 0;
    s->step[i] = 1;
    s->count[i] = x->dims[i];
  }
  for (int32_t i = 0; i < n_starts; ++i) {
    int64_t size = x->dims[axes[i]], step = n_steps >= 0 ? steps[i] : 1;
    if (step == 0 || step == INT64_MIN)
      return nib_onnx_invalid(n, "a step is %" PRId64, step);
    int64_t first = starts[i] < 0 ? starts[i] + size : starts[i];
    int64_t last = ends[i] < 0 ? ends[i] + size : ends[i];
    bool forward = step > 0;
    first = forward ? clamp(first, 0, size) : clamp(first, 0, size - 1);
    last = forward ? clamp(last, 0, size) : clamp(last, -1, size);
    int64_t span = forward ? last - first : first - last, stride = forward ? step : -step;
    s->begin[axes[i]] = first;
    s->step[axes[i]] = step;
    s->count[axes[i]] = span > 0 ? (span - 1) / stride + 1 : 0;
    if (s->count[axes[i]] <= 1)
      s->step[axes[i]] = 1;
  }
  return NIB_OK;
}

static nib_status slice_constant(nib_onnx_node *n, const nib_onnx_value *x, const slice *s) {
  size_t element = nib_format_bytes(x->format);
  int64_t total = nib_onnx_count_elems(s->count, x->rank), at[NIB_MAX_RANK] = {0};
  uint8_t *data = nib_onnx_fold_alloc(n, (size_t)total * element);
  if (!data)
    return n->ctx->failure;
  for (int64_t k = 0; k < total; ++k) {
    int64_t offset = 0;
    for (int32_t i = 0; i < x->rank; ++i)
      offset = offset * x->dims[i] + s->begin[i] + at[i] * s->step[i];
    memcpy(data + (size_t)k * element, x->data + (size_t)offset * element, element);
    for (int32_t i = x->rank - 1; i >= 0 && ++at[i] == s->count[i]; --i)
      at[i] = 0;
  }
  return nib_onnx_set_constant(n, x->format, x->rank, s->count, data);
}

nib_status nib_onnx_import_slice(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  slice s;
  NIB_RETURN_IF_ERROR(read_slice(n, x, &s));
  if (x->data)
    return slice_constant(n, x, &s);
  bool dense = true;
  for (int32_t i = 0; i < x->rank; ++i)
    dense &= s.step[i] == 1;
  nib_graph *g = n->ctx->graph;
  int32_t in = nib_onnx_materialize(n, x);
  int32_t node = in == NIB_NONE ? NIB_NONE
                                : nib_onnx_emit(n, dense ? NIB_OP_SLICE : NIB_OP_STRIDED_SLICE, &in,
                                                1, in, x->rank, s.count, "");
  if (node == NIB_NONE)
    return n->ctx->failure;
  nib_status status = nib_graph_set_ints(g, node, NIB_A_BEGIN, s.begin, x->rank);
  if (status == NIB_OK)
    status = dense ? nib_graph_set_ints(g, node, NIB_A_SIZES, s.count, x->rank)
                   : nib_graph_set_ints(g, node, NIB_A_STEPS, s.step, x->rank);
  return status == NIB_OK ? nib_onnx_set_result(n, g->nodes[node].out)
                          : nib_onnx_out_of_memory(n->ctx);
}

/* Sizes of the outputs along `axis`: given, or equal, the last one smaller (operator set 18 on). */
static nib_status read_split(nib_onnx_node *n, int64_t size, int32_t count, int64_t *out_sizes) {
  int32_t n_sizes;
  NIB_RETURN_IF_ERROR(nib_onnx_ints(n, 13, 1, "split", count, out_sizes, &n_sizes));
  const int64_t each = (size + count - 1) / count;
  if (n_sizes < 0 && size % count && n->ctx->opset < 18)
    return nib_onnx_invalid(n, "%" PRId64 " elements in %d equal parts", size, count);
  int64_t left = size;
  for (int32_t i = 0; i < count; ++i) {
    if (n_sizes < 0)
      out_sizes[i] = left < each ? left : each;
    if ((n_sizes >= 0 && n_sizes != count) || out_sizes[i] < 1 || out_sizes[i] > left)
      return nib_onnx_invalid(n, "its parts are not those of %" PRId64 " elements", size);
    left -= out_sizes[i];
  }
  return left == 0 ? NIB_OK
                   : nib_onnx_invalid(n, "%" PRId64 " of %" PRId64 " elements are in no part", left,
                                      size);
}

enum { MAX_PARTS = 256 };

nib_status nib_onnx_import_split(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  const size_t count = n->proto->n_output;
  int64_t axis = nib_onnx_attr_int(n, "axis", 0), sizes[MAX_PARTS], begin[NIB_MAX_RANK] = {0};
  int64_t dims[NIB_MAX_RANK];
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, &axis, 1, x->rank));
  if (count > MAX_PARTS)
    return nib_onnx_unsupported(n, "more than %d outputs", MAX_PARTS);
  memcpy(dims, x->dims, sizeof dims);
  const int32_t rank = x->rank;
  NIB_RETURN_IF_ERROR(read_split(n, dims[axis], (int32_t)count, sizes));
  const int32_t in = nib_onnx_materialize(n, x);
  nib_graph *g = n->ctx->graph;
  for (size_t i = 0; i < count && in != NIB_NONE; begin[axis] += sizes[i++]) {
    if (!nib_onnx_output_is_used(n, i))
      continue;
    dims[axis] = sizes[i];
    const int32_t node = nib_onnx_emit(n, NIB_OP_SLICE, &in, 1, in, rank, dims, "");
    if (node == NIB_NONE)
      return n->ctx->failure;
    const char *name = n->proto->output[i];
    name = nib_import_clean_name(g, name, strlen(name));
    if (!name || nib_graph_set_ints(g, node, NIB_A_BEGIN, begin, rank) != NIB_OK ||
        nib_graph_set_ints(g, node, NIB_A_SIZES, dims, rank) != NIB_OK)
      return nib_onnx_out_of_memory(n->ctx);
    g->tensors[g->nodes[node].out].name = name;
    NIB_RETURN_IF_ERROR(nib_onnx_set_result_at(n, i, g->nodes[node].out));
  }
  return in == NIB_NONE ? n->ctx->failure : NIB_OK;
}

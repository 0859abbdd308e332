/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Operators that move data without arithmetic: their parameters must be constants. */
#include "import/import_util.h"
#include "import/tflite/tflite_context.h"

#include <math.h>
#include <string.h>

#define MOVABLE                                                                                    \
  (UINT64_C(1) << NIB_F32 | UINT64_C(1) << NIB_I8 | UINT64_C(1) << NIB_U8 |                        \
   UINT64_C(1) << NIB_I16 | UINT64_C(1) << NIB_I32 | UINT64_C(1) << NIB_I64)
#define MAX_LIST (NIB_MAX_RANK * 2)

/* The common beginning: the input, the result and their graph tensors. */
typedef struct moved {
  nib_tfl_tensor in, out;
  int32_t in_id, out_id;
} moved;

static nib_status begin(nib_tfl_context *c, moved *m) {
  NIB_RETURN_IF_ERROR(nib_tfl_input(c, 0, &m->in));
  NIB_RETURN_IF_ERROR(nib_tfl_output(c, &m->out));
  NIB_RETURN_IF_ERROR(nib_tfl_value(c, &m->in, &m->in_id));
  NIB_RETURN_IF_ERROR(nib_tfl_result(c, &m->out, &m->out_id));
  return nib_tfl_check_same_type(c, m->in_id, m->out_id);
}

static nib_status int_list(nib_tfl_context *c, uint32_t slot, int32_t wanted, const char *what,
                           int64_t out[MAX_LIST]) {
  int32_t n;
  NIB_RETURN_IF_ERROR(nib_tfl_int_list(c, slot, out, &n));
  if (n != wanted)
    return nib_tfl_invalid(c, "%d values of %s for %d", n, what, wanted);
  return NIB_OK;
}

/* Same elements, other shape: the result's static shape says which. */
static nib_status convert_view(nib_tfl_context *c, nib_op op) {
  moved m;
  int32_t node;
  NIB_RETURN_IF_ERROR(begin(c, &m));
  return nib_tfl_node(c, op, &m.in_id, 1, m.out_id, &node);
}

static nib_status convert_reshape(nib_tfl_context *c) { return convert_view(c, NIB_OP_RESHAPE); }

static nib_status convert_squeeze(nib_tfl_context *c) { return convert_view(c, NIB_OP_SQUEEZE); }

static nib_status convert_expand_dims(nib_tfl_context *c) {
  return convert_view(c, NIB_OP_EXPAND_DIMS);
}

static nib_status read_pad_value(nib_tfl_context *c, const nib_tfl_tensor *in, double *out_value) {
  nib_tfl_tensor t;
  NIB_RETURN_IF_ERROR(nib_tfl_input(c, 2, &t));
  if (!t.data)
    return nib_tfl_unsupported(c, "its padding value '%s' is not a constant", t.name);
  if (t.format != in->format || t.elems != 1)
    return nib_tfl_invalid(c, "its padding value '%s' is not one %s", t.name,
                           nib_format_get(in->format)->name);
  if (t.format == NIB_F32) {
    float value;
    memcpy(&value, t.data, sizeof value);
    *out_value = (double)value;
    return NIB_OK;
  }
  int64_t value = nib_import_load_int(t.data, t.format, 0);
  if (value > INT32_MAX || value < INT32_MIN)
    return nib_tfl_unsupported(c, "a padding value of more than 32 bits");
  *out_value = (double)value;
  return NIB_OK;
}

static nib_status convert_pad(nib_tfl_context *c) {
  moved m;
  int64_t pairs[MAX_LIST], low[NIB_MAX_RANK], high[NIB_MAX_RANK];
  int32_t node;
  double value = 0;
  NIB_RETURN_IF_ERROR(begin(c, &m));
  NIB_RETURN_IF_ERROR(int_list(c, 1, 2 * m.in.rank, "padding", pairs));
  for (int32_t i = 0; i < m.in.rank; ++i) {
    low[i] = pairs[2 * i];
    high[i] = pairs[2 * i + 1];
  }
  bool has_value = nib_tfl_has_input(c, 2);
  if (has_value)
    NIB_RETURN_IF_ERROR(read_pad_value(c, &m.in, &value));
  NIB_RETURN_IF_ERROR(nib_tfl_node(c, NIB_OP_PAD, &m.in_id, 1, m.out_id, &node));
  NIB_RETURN_IF_ERROR(nib_graph_set_ints(c->graph, node, NIB_A_LOW, low, m.in.rank));
  NIB_RETURN_IF_ERROR(nib_graph_set_ints(c->graph, node, NIB_A_HIGH, high, m.in.rank));
  return has_value ? nib_graph_set_float(c->graph, node, NIB_A_PAD_VALUE, value) : NIB_OK;
}

static nib_status convert_transpose(nib_tfl_context *c) {
  moved m;
  int64_t perm[MAX_LIST];
  int32_t node;
  NIB_RETURN_IF_ERROR(begin(c, &m));
  NIB_RETURN_IF_ERROR(int_list(c, 1, m.in.rank, "permutation", perm));
  for (int32_t i = 0; i < m.in.rank; ++i)
    perm[i] += perm[i] < 0 ? m.in.rank : 0;
  NIB_RETURN_IF_ERROR(nib_tfl_node(c, NIB_OP_TRANSPOSE, &m.in_id, 1, m.out_id, &node));
  return nib_graph_set_ints(c->graph, node, NIB_A_PERM, perm, m.in.rank);
}

static nib_status convert_slice(nib_tfl_context *c) {
  moved m;
  int64_t start[MAX_LIST], sizes[MAX_LIST];
  int32_t node;
  NIB_RETURN_IF_ERROR(begin(c, &m));
  NIB_RETURN_IF_ERROR(int_list(c, 1, m.in.rank, "begin", start));
  NIB_RETURN_IF_ERROR(int_list(c, 2, m.in.rank, "size", sizes));
  for (int32_t i = 0; i < m.in.rank; ++i) {
    if (start[i] < 0 || start[i] > m.in.dims[i])
      return nib_tfl_invalid(c, "slice begins at %lld of %lld", (long long)start[i],
                             (long long)m.in.dims[i]);
    if (sizes[i] == -1)
      sizes[i] = m.in.dims[i] - start[i];
  }
  NIB_RETURN_IF_ERROR(nib_tfl_node(c, NIB_OP_SLICE, &m.in_id, 1, m.out_id, &node));
  NIB_RETURN_IF_ERROR(nib_graph_set_ints(c->graph, node, NIB_A_BEGIN, start, m.in.rank));
  return nib_graph_set_ints(c->graph, node, NIB_A_SIZES, sizes, m.in.rank);
}

/* --- strided slice --- */

typedef struct slice_masks {
  int32_t begin, end, shrink;
  bool end_is_offset;
} slice_masks;

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
  return x < low ? low : x > high ? high : x;
}

/* Indices of one dimension: replaces begin by its position and returns how many are taken. */
static int64_t resolve_range(const slice_masks *masks, int32_t axis, int64_t dim, int64_t step,
                             int64_t *begin, int64_t end) {
  int32_t bit = 1 << axis;
  int64_t low = step > 0 ? 0 : -1, high = step > 0 ? dim : dim - 1;
  if (masks->begin & bit)
    *begin = step > 0 ? 0 : dim - 1;
  else
    *begin = clamp(*begin < 0 ? *begin + dim : *begin, low, high);
  if (masks->shrink & bit)
    return *begin >= 0 && *begin < dim ? 1 : 0;
  if (masks->end & bit) {
    end = step > 0 ? high : low;
  } else {
    if (masks->end_is_offset)
      end += *begin;
    end = clamp(end < 0 && !masks->end_is_offset ? end + dim : end, low, high);
  }
  int64_t span = step > 0 ? end - *begin : *begin - end;
  int64_t stride = step > 0 ? step : -step;
  return span > 0 ? (span + stride - 1) / stride : 0;
}

static nib_status read_masks(nib_tfl_context *c, slice_masks *masks) {
  const nib_fb_table *o = &c->op_options;
  *masks = (slice_masks){
      nib_fb_i32(o, TFL_SLICE_BEGIN_MASK, 0), nib_fb_i32(o, TFL_SLICE_END_MASK, 0),
      nib_fb_i32(o, TFL_SLICE_SHRINK_AXIS_MASK, 0), nib_fb_u8(o, TFL_SLICE_OFFSET, 0) != 0};
  int32_t ellipsis = nib_fb_i32(o, TFL_SLICE_ELLIPSIS_MASK, 0);
  int32_t new_axis = nib_fb_i32(o, TFL_SLICE_NEW_AXIS_MASK, 0);
  NIB_RETURN_IF_ERROR(nib_tfl_check(c));
  if (ellipsis || new_axis)
    return nib_tfl_unsupported(c, "a strided slice with %s",
                               ellipsis ? "ellipsis_mask" : "new_axis_mask");
  return NIB_OK;
}

/* Fills begin and the shape before axes are dropped. */
static nib_status resolve_slice(nib_tfl_context *c, const nib_tfl_tensor *in,
                                const slice_masks *masks, int64_t *start, const int64_t *end,
                                const int64_t *steps, int64_t *shape) {
  for (int32_t i = 0; i < in->rank; ++i) {
    bool in_range = steps[i] >= INT32_MIN && steps[i] <= INT32_MAX && start[i] >= INT32_MIN &&
                    start[i] <= INT32_MAX && end[i] >= INT32_MIN && end[i] <= INT32_MAX;
    if (!in_range || steps[i] == 0)
      return nib_tfl_invalid(c, "the slice of dimension %d has a step of 0 or is out of range", i);
    shape[i] = resolve_range(masks, i, in->dims[i], steps[i], &start[i], end[i]);
    if (shape[i] == 0)
      return nib_tfl_invalid(c, "the slice of dimension %d is empty", i);
  }
  return NIB_OK;
}

static nib_status convert_strided_slice(nib_tfl_context *c) {
  moved m;
  slice_masks masks;
  int64_t start[MAX_LIST], end[MAX_LIST], steps[MAX_LIST], shape[NIB_MAX_RANK];
  int32_t node;
  NIB_RETURN_IF_ERROR(read_masks(c, &masks));
  NIB_RETURN_IF_ERROR(begin(c, &m));
  NIB_RETURN_IF_ERROR(int_list(c, 1, m.in.rank, "begin", start));
  NIB_RETURN_IF_ERROR(int_list(c, 2, m.in.rank, "end", end));
  NIB_RETURN_IF_ERROR(int_list(c, 3, m.in.rank, "step", steps));
  NIB_RETURN_IF_ERROR(resolve_slice(c, &m.in, &masks, start, end, steps, shape));
  int32_t whole = m.out_id;
  bool dropped = m.out.rank != m.in.rank;
  if (dropped)
    NIB_RETURN_IF_ERROR(nib_tfl_temporary(c, &m.out, "sliced", m.in.rank, shape, &whole));
  NIB_RETURN_IF_ERROR(nib_tfl_node(c, NIB_OP_STRIDED_SLICE, &m.in_id, 1, whole, &node));
  NIB_RETURN_IF_ERROR(nib_graph_set_ints(c->graph, node, NIB_A_BEGIN, start, m.in.rank));
  NIB_RETURN_IF_ERROR(nib_graph_set_ints(c->graph, node, NIB_A_STEPS, steps, m.in.rank));
  if (dropped)
    return nib_tfl_node(c, NIB_OP_SQUEEZE, &whole, 1, m.out_id, &node);
  for (int32_t i = 0; i < m.in.rank; ++i)
    if (shape[i] != m.out.dims[i])
      return nib_tfl_invalid(c, "the slice takes %lld of dimension %d, its result has %lld",
                             (long long)shape[i], i, (long long)m.out.dims[i]);
  return NIB_OK;
}

/* One part of a split: `m->out`, from `*at` on along `axis`. */
static nib_status convert_part(nib_tfl_context *c, moved *m, int64_t axis, int64_t *at) {
  int64_t first[NIB_MAX_RANK] = {0};
  int32_t node;
  bool fits = m->out.rank == m->in.rank && m->out.dims[axis] <= m->in.dims[axis] - *at;
  for (int32_t i = 0; fits && i < m->in.rank; ++i)
    fits = i == axis || m->out.dims[i] == m->in.dims[i];
  if (!fits)
    return nib_tfl_invalid(c, "its result '%s' is no part of '%s'", m->out.name, m->in.name);
  first[axis] = *at;
  *at += m->out.dims[axis];
  NIB_RETURN_IF_ERROR(nib_tfl_result(c, &m->out, &m->out_id));
  NIB_RETURN_IF_ERROR(nib_tfl_check_same_type(c, m->in_id, m->out_id));
  NIB_RETURN_IF_ERROR(nib_tfl_node(c, NIB_OP_SLICE, &m->in_id, 1, m->out_id, &node));
  NIB_RETURN_IF_ERROR(nib_graph_set_ints(c->graph, node, NIB_A_BEGIN, first, m->in.rank));
  return nib_graph_set_ints(c->graph, node, NIB_A_SIZES, m->out.dims, m->in.rank);
}

/* SPLIT reads the axis first, SPLIT_V last; the results' static shapes say how large the parts are.
 */
static nib_status split_at(nib_tfl_context *c, uint32_t value, uint32_t axis_slot) {
  moved m;
  int64_t axis[MAX_LIST], at = 0;
  NIB_RETURN_IF_ERROR(nib_tfl_input(c, value, &m.in));
  NIB_RETURN_IF_ERROR(int_list(c, axis_slot, 1, "axis", axis));
  axis[0] += axis[0] < 0 ? m.in.rank : 0;
  if (axis[0] < 0 || axis[0] >= m.in.rank)
    return nib_tfl_invalid(c, "its axis is outside of the %d dimensions of '%s'", m.in.rank,
                           m.in.name);
  NIB_RETURN_IF_ERROR(nib_tfl_value(c, &m.in, &m.in_id));
  for (uint32_t i = 0; i < c->outputs.count; ++i) {
    NIB_RETURN_IF_ERROR(nib_tfl_read_tensor(c, nib_fb_i32_at(&c->outputs, i), &m.out));
    NIB_RETURN_IF_ERROR(convert_part(c, &m, axis[0], &at));
  }
  if (at != m.in.dims[axis[0]])
    return nib_tfl_invalid(c, "its parts are %lld of %lld elements", (long long)at,
                           (long long)m.in.dims[axis[0]]);
  return NIB_OK;
}

static nib_status convert_split(nib_tfl_context *c) { return split_at(c, 1, 0); }
static nib_status convert_split_v(nib_tfl_context *c) { return split_at(c, 0, 2); }

static nib_status convert_concatenation(nib_tfl_context *c) {
  nib_tfl_tensor in, out;
  int32_t ids[NIB_TFL_MAX_INPUTS], result, node;
  const char *activation;
  NIB_RETURN_IF_ERROR(nib_tfl_check_activation(c, TFL_CONCAT_ACTIVATION, &activation));
  if (strcmp(activation, "none") != 0)
    return nib_tfl_unsupported(c, "the fused activation %s", activation);
  NIB_RETURN_IF_ERROR(nib_tfl_output(c, &out));
  int64_t axis = nib_fb_i32(&c->op_options, TFL_CONCAT_AXIS, 0);
  NIB_RETURN_IF_ERROR(nib_tfl_check(c));
  axis += axis < 0 ? out.rank : 0;
  NIB_RETURN_IF_ERROR(nib_tfl_result(c, &out, &result));
  for (uint32_t i = 0; i < c->inputs.count; ++i) {
    NIB_RETURN_IF_ERROR(nib_tfl_input(c, i, &in));
    NIB_RETURN_IF_ERROR(nib_tfl_value(c, &in, &ids[i]));
    /* TFLite changes the scale of u8 operands alone. */
    if (in.format != NIB_U8 || out.format != NIB_U8)
      NIB_RETURN_IF_ERROR(nib_tfl_check_same_type(c, ids[i], result));
  }
  int32_t n = (int32_t)c->inputs.count;
  NIB_RETURN_IF_ERROR(nib_tfl_node(c, NIB_OP_CONCAT, ids, n, result, &node));
  return nib_graph_set_int(c->graph, node, NIB_A_AXIS, axis);
}

const nib_tfl_op nib_tfl_shape_ops[] = {
    {2, "CONCATENATION", 1, 5, TFL_CONCATENATION_OPTIONS, 1, -1, 0, MOVABLE, convert_concatenation},
    {22, "RESHAPE", 1, 2, TFL_NO_OPTIONS, 1, 2, 0, MOVABLE, convert_reshape},
    {34, "PAD", 1, 5, TFL_NO_OPTIONS, 2, 2, 0, MOVABLE, convert_pad},
    {39, "TRANSPOSE", 1, 7, TFL_NO_OPTIONS, 2, 2, 0, MOVABLE, convert_transpose},
    {43, "SQUEEZE", 1, 2, TFL_NO_OPTIONS, 1, 1, 0, MOVABLE, convert_squeeze},
    {45, "STRIDED_SLICE", 1, 8, TFL_STRIDED_SLICE_OPTIONS, 4, 4, 0, MOVABLE, convert_strided_slice},
    {49, "SPLIT", 1, 4, TFL_NO_OPTIONS, 2, 2, 1, MOVABLE, convert_split},
    {60, "PADV2", 1, 5, TFL_NO_OPTIONS, 3, 3, 0, MOVABLE, convert_pad},
    {65, "SLICE", 1, 7, TFL_NO_OPTIONS, 3, 3, 0, MOVABLE, convert_slice},
    {102, "SPLIT_V", 1, 2, TFL_NO_OPTIONS, 3, 3, 0, MOVABLE, convert_split_v},
    {70, "EXPAND_DIMS", 1, 2, TFL_NO_OPTIONS, 2, 2, 0, MOVABLE, convert_expand_dims},
};
const size_t nib_tfl_n_shape_ops = sizeof nib_tfl_shape_ops / sizeof *nib_tfl_shape_ops;

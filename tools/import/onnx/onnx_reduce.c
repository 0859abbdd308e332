/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Reductions over axes and running sums, as expressions of reduce, cumulate and top_k. */
#include "onnx_elementwise.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

int32_t nib_onnx_reduced(nib_onnx_node *n, int32_t a, const char *reduction, const int64_t *axes,
                         int32_t count, bool keep) {
  if (a == NIB_NONE)
    return NIB_NONE;
  nib_graph *g = n->ctx->graph;
  int64_t dims[NIB_MAX_RANK];
  const int32_t rank = nib_onnx_reduced_dims(&g->tensors[a], axes, count, keep, dims);
  const int32_t node = nib_onnx_emit(n, NIB_OP_REDUCE, &a, 1, a, rank, dims, "");
  if (node == NIB_NONE)
    return NIB_NONE;
  if (nib_graph_set_ints(g, node, NIB_A_AXES, axes, count) != NIB_OK ||
      nib_graph_set_int(g, node, NIB_A_KEEP_DIMS, keep) != NIB_OK ||
      nib_graph_set_string(g, node, NIB_A_REDUCTION, reduction) != NIB_OK) {
    nib_onnx_out_of_memory(n->ctx);
    return NIB_NONE;
  }
  return g->nodes[node].out;
}

/* ---- over axes ---- */

typedef struct reduction {
  const nib_onnx_value *x;
  int64_t axes[NIB_MAX_RANK]; /* ascending */
  int32_t n_axes;
  bool keep;
  int64_t dims[NIB_MAX_RANK]; /* of the result */
  int32_t rank;
} reduction;

/* One after the other: the kinds of reductions, the value of an empty one. */
typedef enum kind { SUM, PROD, MAX, MIN, L1, L2, LOG_SUM, LOG_SUM_EXP, SUM_SQUARE } kind;

static const struct {
  const char *op_type;
  double empty;
} kinds[] = {
    [SUM] = {"ReduceSum", 0},
    [PROD] = {"ReduceProd", 1},
    [MAX] = {"ReduceMax", -INFINITY},
    [MIN] = {"ReduceMin", INFINITY},
    [L1] = {"ReduceL1", 0},
    [L2] = {"ReduceL2", 0},
    [LOG_SUM] = {"ReduceLogSum", -INFINITY},
    [LOG_SUM_EXP] = {"ReduceLogSumExp", -INFINITY},
    [SUM_SQUARE] = {"ReduceSumSquare", 0},
};

static kind kind_of(const nib_onnx_node *n) {
  int k = SUM;
  while (k < SUM_SQUARE && strcmp(kinds[k].op_type, n->proto->op_type) != 0)
    ++k;
  return (kind)k;
}

/* n_axes == 0: nothing is reduced. */
static nib_status read_axes(nib_onnx_node *n, reduction *r) {
  r->x = nib_onnx_input(n, 0);
  const int64_t since = kind_of(n) == SUM ? 13 : 18;
  NIB_RETURN_IF_ERROR(nib_onnx_ints(n, since, 1, "axes", NIB_MAX_RANK, r->axes, &r->n_axes));
  if (r->n_axes <= 0 && !nib_onnx_attr_int(n, "noop_with_empty_axes", 0))
    for (r->n_axes = 0; r->n_axes < r->x->rank; ++r->n_axes)
      r->axes[r->n_axes] = r->n_axes;
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, r->axes, r->n_axes, r->x->rank));
  r->keep = nib_onnx_attr_int(n, "keepdims", 1) != 0;
  uint32_t gone = 0;
  for (int32_t i = 0; i < r->n_axes; ++i)
    gone |= 1u << r->axes[i];
  r->n_axes = r->rank = 0;
  for (int32_t i = 0; i < r->x->rank; ++i) {
    const bool reduced = gone >> i & 1;
    if (reduced)
      r->axes[r->n_axes++] = i;
    if (!reduced || r->keep)
      r->dims[r->rank++] = reduced ? 1 : r->x->dims[i];
  }
  return NIB_OK;
}

/* Nothing to combine: the neutral element, as many times as the result has elements. */
static nib_status reduce_nothing(nib_onnx_node *n, const reduction *r) {
  const int64_t count = nib_onnx_count_elems(r->dims, r->rank);
  if (count == 0)
    return nib_onnx_unsupported(n, "a tensor without elements");
  double *values = nib_onnx_doubles(n, count);
  for (int64_t i = 0; values && i < count; ++i)
    values[i] = kinds[kind_of(n)].empty;
  return nib_onnx_finish(n, nib_onnx_constant(n, r->x->format, r->rank, r->dims, values));
}

static int32_t over(nib_onnx_node *n, const reduction *r, const char *word, int32_t x, bool keep) {
  return nib_onnx_reduced(n, x, word, r->axes, r->n_axes, keep);
}

/* most + log(sum(exp(x - most))); an infinite maximum is not subtracted. */
static int32_t log_sum_exp(nib_onnx_node *n, const reduction *r, int32_t x) {
  int32_t most = over(n, r, "max", x, true);
  if (most == NIB_NONE)
    return NIB_NONE;
  const int32_t infinite =
      nib_onnx_with(n, NIB_OP_EQUAL, nib_onnx_unary(n, NIB_OP_ABS, most), INFINITY);
  most = nib_onnx_chosen(n, infinite, nib_onnx_number(n, r->x->format, 0), most);
  const int32_t powers = nib_onnx_unary(n, NIB_OP_EXP, nib_onnx_binary(n, NIB_OP_SUB, x, most));
  const int32_t sum = over(n, r, "add", powers, true);
  const int32_t y = nib_onnx_binary(n, NIB_OP_ADD, nib_onnx_unary(n, NIB_OP_LOG, sum), most);
  return r->keep ? y : nib_onnx_reshaped(n, y, r->rank, r->dims);
}

static int32_t reduced(nib_onnx_node *n, const reduction *r, kind k, int32_t x) {
  switch (k) {
  case PROD:
    return over(n, r, "mul", x, r->keep);
  case MAX:
    return over(n, r, "max", x, r->keep);
  case MIN:
    return over(n, r, "min", x, r->keep);
  case L1:
    return over(n, r, "add", nib_onnx_unary(n, NIB_OP_ABS, x), r->keep);
  case L2:
    x = over(n, r, "add", nib_onnx_binary(n, NIB_OP_MUL, x, x), r->keep);
    return nib_onnx_unary(n, NIB_OP_SQRT, x);
  case LOG_SUM:
    return nib_onnx_unary(n, NIB_OP_LOG, over(n, r, "add", x, r->keep));
  case LOG_SUM_EXP:
    return log_sum_exp(n, r, x);
  case SUM_SQUARE:
    return over(n, r, "add", nib_onnx_binary(n, NIB_OP_MUL, x, x), r->keep);
  default:
    return over(n, r, "add", x, r->keep);
  }
}

nib_status nib_onnx_import_reduce(nib_onnx_node *n) {
  reduction r;
  const kind k = kind_of(n);
  NIB_RETURN_IF_ERROR(read_axes(n, &r));
  const bool real = nib_format_get(r.x->format)->kind == NIB_KIND_FLOAT;
  if (!real && (k == L2 || k == LOG_SUM || k == LOG_SUM_EXP))
    return nib_onnx_unsupported(n, "'%.100s' is %s", r.x->name, nib_format_get(r.x->format)->name);
  if (r.n_axes == 0 && (k == SUM || k == PROD || k == MAX || k == MIN))
    return nib_onnx_import_identity(n);
  if (nib_onnx_count_elems(r.x->dims, r.x->rank) == 0)
    return reduce_nothing(n, &r);
  return nib_onnx_finish(n, reduced(n, &r, k, nib_onnx_in(n, 0)));
}

/* ---- the place of the largest or smallest ---- */

static int32_t flipped(nib_onnx_node *n, int32_t a, int32_t axis) {
  if (a == NIB_NONE)
    return a;
  const int64_t count = nib_onnx_dim(n, a, axis);
  return nib_onnx_part(n, a, axis, count - 1, count, -1);
}

int32_t nib_onnx_best_index(nib_onnx_node *n, int32_t a, int32_t axis, bool largest) {
  if (a == NIB_NONE)
    return NIB_NONE;
  nib_graph *g = n->ctx->graph;
  int64_t dims[NIB_MAX_RANK];
  memcpy(dims, g->tensors[a].dims, sizeof dims);
  dims[axis] = 1;
  const int32_t node =
      nib_onnx_emit_as(n, NIB_OP_TOP_K, &a, 1, NIB_I64, g->tensors[a].rank, dims, "");
  if (node == NIB_NONE)
    return NIB_NONE;
  if (nib_graph_set_int(g, node, NIB_A_AXIS, axis) != NIB_OK ||
      nib_graph_set_int(g, node, NIB_A_LARGEST, largest) != NIB_OK) {
    nib_onnx_out_of_memory(n->ctx);
    return NIB_NONE;
  }
  return g->nodes[node].out;
}

nib_status nib_onnx_import_arg(nib_onnx_node *n) {
  const nib_onnx_value *v = nib_onnx_input(n, 0);
  const bool largest = strcmp(n->proto->op_type, "ArgMax") == 0;
  const bool last = nib_onnx_attr_int(n, "select_last_index", 0) != 0;
  int64_t axis = nib_onnx_attr_int(n, "axis", 0), dims[NIB_MAX_RANK];
  int32_t rank = 0;
  if (v->rank == 0)
    return nib_onnx_unsupported(n, "a scalar");
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, &axis, 1, v->rank));
  for (int32_t i = 0; i < v->rank; ++i)
    if (i != axis)
      dims[rank++] = v->dims[i];
  int32_t x = nib_onnx_in(n, 0);
  x = last ? flipped(n, x, (int32_t)axis) : x;
  int32_t y = nib_onnx_best_index(n, x, (int32_t)axis, largest);
  if (last && y != NIB_NONE)
    y = nib_onnx_binary(n, NIB_OP_SUB, nib_onnx_number(n, NIB_I64, (double)(v->dims[axis] - 1)), y);
  if (!nib_onnx_attr_int(n, "keepdims", 1) && y != NIB_NONE)
    y = nib_onnx_reshaped(n, y, rank, dims);
  return nib_onnx_finish(n, y);
}

/* ---- running sums and products ---- */

static int32_t cumulated(nib_onnx_node *n, int32_t a, int32_t axis) {
  if (a == NIB_NONE)
    return NIB_NONE;
  nib_graph *g = n->ctx->graph;
  int64_t dims[NIB_MAX_RANK];
  memcpy(dims, g->tensors[a].dims, sizeof dims);
  const int32_t node = nib_onnx_emit(n, NIB_OP_CUMULATE, &a, 1, a, g->tensors[a].rank, dims, "");
  const char *word = n->row->op == NIB_OP_MUL ? "mul" : "add";
  if (node == NIB_NONE)
    return NIB_NONE;
  if (nib_graph_set_int(g, node, NIB_A_AXIS, axis) != NIB_OK ||
      nib_graph_set_string(g, node, NIB_A_REDUCTION, word) != NIB_OK) {
    nib_onnx_out_of_memory(n->ctx);
    return NIB_NONE;
  }
  return g->nodes[node].out;
}

nib_status nib_onnx_import_cumulate(nib_onnx_node *n) {
  const nib_onnx_value *v = nib_onnx_input(n, 0);
  const bool exclusive = nib_onnx_attr_int(n, "exclusive", 0) != 0;
  const bool reverse = nib_onnx_attr_int(n, "reverse", 0) != 0;
  int64_t axis = 0, low[NIB_MAX_RANK] = {0}, high[NIB_MAX_RANK] = {0};
  int32_t count;
  NIB_RETURN_IF_ERROR(nib_onnx_constant_ints(n, 1, 1, &axis, &count));
  if (count != 1)
    return nib_onnx_invalid(n, "its axis is not a single number");
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, &axis, 1, v->rank));
  const int32_t at = (int32_t)axis;
  int32_t x = nib_onnx_in(n, 0);
  x = reverse ? flipped(n, x, at) : x;
  /* Exclusive: all but the last element, behind a neutral one. */
  low[at] = exclusive;
  if (exclusive && v->dims[at] > 1)
    x = nib_onnx_part(n, x, at, 0, v->dims[at] - 1, 1);
  else if (exclusive)
    high[at] = low[at] = 0;
  const double neutral = n->row->op == NIB_OP_MUL ? 1 : 0;
  if (exclusive && v->dims[at] == 1) {
    x = nib_onnx_with(n, NIB_OP_MUL, x, 0);
    x = nib_onnx_with(n, NIB_OP_ADD, x, neutral);
  } else
    x = nib_onnx_padded(n, x, low, high, neutral);
  int32_t y = cumulated(n, x, at);
  y = reverse ? flipped(n, y, at) : y;
  return nib_onnx_finish(n, y);
}

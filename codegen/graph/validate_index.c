/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Rules of operators that move elements to or from places named by indices. */
#include "graph/validate_rules.h"

#include <string.h>

static void check_moves(nib_check *c, const nib_tensor *from) {
  if (!nib_same_type(from, c->out))
    nib_check_fail(c, "its input and result differ in type or quantization");
}

static bool check_indices(nib_check *c, const nib_tensor *t) {
  if (!t->quantized && (t->format == NIB_I32 || t->format == NIB_I64))
    return true;
  nib_check_fail(c, "its indices are neither i32 nor i64");
  return false;
}

/* A shape under construction. */
typedef struct expected {
  int32_t rank;
  int64_t dims[2 * NIB_MAX_RANK];
} expected;

static void append(expected *e, const nib_tensor *t, int32_t from, int32_t to) {
  for (int32_t i = from; i < to; ++i)
    e->dims[e->rank++] = t->dims[i];
}

static void check_shape_is(nib_check *c, const nib_tensor *t, const char *what, const expected *e) {
  bool same = t->rank == e->rank;
  for (int32_t i = 0; same && i < e->rank; ++i)
    same = t->dims[i] == e->dims[i];
  if (!same)
    nib_check_fail(c, "its %s has another shape than its operands give", what);
}

/* The attribute `axis` (default `otherwise`) of `rank` dimensions; -1 after a message. */
static int64_t read_axis(nib_check *c, int32_t rank, int64_t otherwise) {
  const int64_t axis = nib_node_int(c->n, NIB_A_AXIS, otherwise);
  if (axis >= 0 && axis < rank)
    return axis;
  nib_check_fail(c, "its axis is %lld of %d dimensions", (long long)axis, rank);
  return -1;
}

/* The attribute `batch_dims`: dimensions that both operands share; -1 after a message. */
static int64_t read_batch(nib_check *c, const nib_tensor *x, const nib_tensor *indices,
                          int64_t limit) {
  const int64_t batch = nib_node_int(c->n, NIB_A_BATCH_DIMS, 0);
  bool ok = batch >= 0 && batch <= limit && batch <= indices->rank && batch <= x->rank;
  for (int64_t i = 0; ok && i < batch; ++i)
    ok = x->dims[i] == indices->dims[i];
  if (ok)
    return batch;
  nib_check_fail(c, "its operands do not share %lld leading dimensions", (long long)batch);
  return -1;
}

void nib_check_broadcast(nib_check *c) {
  const nib_tensor *x = nib_check_in(c, 0);
  check_moves(c, x);
  bool ok = x->rank <= c->out->rank;
  for (int32_t i = 1; ok && i <= x->rank; ++i) {
    const int64_t from = x->dims[x->rank - i];
    ok = from == 1 || from == c->out->dims[c->out->rank - i];
  }
  if (!ok)
    nib_check_fail(c, "its input does not broadcast to its result");
}

/* Elements are moved, or, reals of a table in another format, decoded. Blocks lie along the last
 * dimension and stay whole. */
static void check_gathered_type(nib_check *c, const nib_tensor *x, int64_t axis) {
  const bool decodes = x->format != c->out->format && nib_is_float(c->out) &&
                       nib_format_holds_reals(x->format) && !x->quantized;
  if (!decodes)
    check_moves(c, x);
  if (nib_format_get(x->format)->kind == NIB_KIND_BLOCK && (!decodes || axis == x->rank - 1))
    nib_check_fail(c, "a table of blocks gives reals, along any dimension but the last");
}

void nib_check_gather(nib_check *c) {
  const nib_tensor *x = nib_check_in(c, 0), *indices = nib_check_in(c, 1);
  const int64_t axis = read_axis(c, x->rank, 0);
  if (!check_indices(c, indices) || axis < 0)
    return;
  check_gathered_type(c, x, axis);
  const int64_t batch = read_batch(c, x, indices, axis);
  if (batch < 0)
    return;
  expected e = {0};
  append(&e, x, 0, (int32_t)axis);
  append(&e, indices, (int32_t)batch, indices->rank);
  append(&e, x, (int32_t)axis + 1, x->rank);
  check_shape_is(c, c->out, "result", &e);
}

/* Length of the tuples of indices into `x` behind `batch` dimensions, or -1 after a message. */
static int64_t tuple_length(nib_check *c, const nib_tensor *x, const nib_tensor *indices,
                            int64_t batch) {
  if (indices->rank > batch) {
    const int64_t k = indices->dims[indices->rank - 1];
    if (k >= 1 && k <= x->rank - batch)
      return k;
  }
  nib_check_fail(c, "its indices are not tuples into %d dimensions", x->rank);
  return -1;
}

void nib_check_gather_nd(nib_check *c) {
  const nib_tensor *x = nib_check_in(c, 0), *indices = nib_check_in(c, 1);
  check_moves(c, x);
  if (!check_indices(c, indices))
    return;
  const int64_t batch = read_batch(c, x, indices, x->rank);
  const int64_t k = batch < 0 ? -1 : tuple_length(c, x, indices, batch);
  if (k < 0)
    return;
  expected e = {0};
  append(&e, indices, 0, indices->rank - 1);
  append(&e, x, (int32_t)(batch + k), x->rank);
  check_shape_is(c, c->out, "result", &e);
}

/* Whether `indices` lies within `x` but along the axis. */
static bool check_within(nib_check *c, const nib_tensor *x, const nib_tensor *indices,
                         int64_t axis) {
  bool ok = x->rank == indices->rank;
  for (int32_t i = 0; ok && i < x->rank; ++i)
    ok = i == axis || indices->dims[i] <= x->dims[i];
  if (!ok)
    nib_check_fail(c, "its indices reach beyond its input");
  return ok;
}

void nib_check_gather_elements(nib_check *c) {
  const nib_tensor *x = nib_check_in(c, 0), *indices = nib_check_in(c, 1);
  check_moves(c, x);
  const int64_t axis = read_axis(c, x->rank, 0);
  if (!check_indices(c, indices) || axis < 0 || !check_within(c, x, indices, axis))
    return;
  if (!nib_same_shape(indices, c->out))
    nib_check_fail(c, "its indices and result differ in shape");
}

static void check_scatter(nib_check *c) {
  static const char *const known[] = {"none", "add", "mul", "min", "max"};
  const nib_tensor *x = nib_check_in(c, 0), *updates = nib_check_in(c, 2);
  const char *reduction = nib_node_string(c->n, NIB_A_REDUCTION, "none");
  bool found = false;
  for (size_t i = 0; i < sizeof known / sizeof *known; ++i)
    found |= strcmp(reduction, known[i]) == 0;
  if (!found)
    nib_check_fail(c, "unknown reduction '%.40s'", reduction);
  check_moves(c, x);
  check_moves(c, updates);
  if (!nib_same_shape(x, c->out))
    nib_check_fail(c, "its input and result differ in shape");
  if (strcmp(reduction, "none") && x->quantized)
    nib_check_fail(c, "there is no reduction of codes");
}

void nib_check_scatter_nd(nib_check *c) {
  const nib_tensor *x = nib_check_in(c, 0), *indices = nib_check_in(c, 1);
  check_scatter(c);
  const int64_t k = check_indices(c, indices) ? tuple_length(c, x, indices, 0) : -1;
  if (k < 0)
    return;
  expected e = {0};
  append(&e, indices, 0, indices->rank - 1);
  append(&e, x, (int32_t)k, x->rank);
  check_shape_is(c, nib_check_in(c, 2), "updates", &e);
}

void nib_check_scatter_elements(nib_check *c) {
  const nib_tensor *x = nib_check_in(c, 0), *indices = nib_check_in(c, 1);
  check_scatter(c);
  const int64_t axis = read_axis(c, x->rank, 0);
  if (!check_indices(c, indices) || axis < 0 || !check_within(c, x, indices, axis))
    return;
  if (!nib_same_shape(indices, nib_check_in(c, 2)))
    nib_check_fail(c, "its indices and updates differ in shape");
}

void nib_check_top_k(nib_check *c) {
  const nib_tensor *x = nib_check_in(c, 0);
  const int64_t axis = read_axis(c, x->rank, x->rank - 1);
  if (c->out->format != NIB_I64 || c->out->quantized)
    nib_check_fail(c, "its result is not i64");
  bool ok = axis >= 0 && x->rank == c->out->rank;
  for (int32_t i = 0; ok && i < x->rank; ++i)
    ok = i == axis ? c->out->dims[i] <= x->dims[i] : c->out->dims[i] == x->dims[i];
  if (!ok)
    nib_check_fail(c, "its result has another shape than its input gives");
}

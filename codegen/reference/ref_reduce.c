/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * reduce and cumulate: a two-operand operator along dimensions, in the order of the elements. */
#include "reference/internal.h"

#include <stdlib.h>
#include <string.h>

/* The operator as a function on reals or on integers, widened. */
typedef struct folding {
  const nib_binary_real *real;
  const nib_binary_integer *integer;
  bool wide, natural;
} folding;

static folding folding_of(const nib_reference *r, const nib_node *n) {
  const nib_op op = nib_params_reduction(n);
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]);
  return (folding){nib_params_binary_real(op), nib_params_binary_integer(op),
                   r->use_double || x->format == NIB_F64,
                   nib_format_get(x->format)->kind == NIB_KIND_UNSIGNED};
}

static double fold_real(const folding *f, double a, double b) {
  return f->wide ? f->real->f64(a, b) : (double)f->real->f32((float)a, (float)b);
}

static int64_t fold_integer(const folding *f, int64_t a, int64_t b) {
  return f->natural ? (int64_t)f->integer->u64((uint64_t)a, (uint64_t)b) : f->integer->i64(a, b);
}

/* Strides of the result by the dimensions of the operand: 0 where it is reduced. */
static void result_strides(const nib_node *n, const nib_tensor *x, int64_t strides[NIB_MAX_RANK]) {
  bool reduced[NIB_MAX_RANK] = {false};
  const nib_attr *axes = nib_node_attr(n, NIB_A_AXES);
  for (int32_t i = 0; i < x->rank; ++i)
    reduced[i] = !axes;
  for (int32_t i = 0; axes && i < axes->u.ints.n; ++i)
    reduced[axes->u.ints.v[i]] = true;
  int64_t stride = 1;
  for (int32_t i = x->rank - 1; i >= 0; --i) {
    strides[i] = reduced[i] ? 0 : stride;
    stride *= reduced[i] ? 1 : x->dims[i];
  }
}

nib_status nib_ref_reduce(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]), *y = nib_ref_tensor(r, n->out);
  const int64_t elems = nib_tensor_elems(x), results = nib_tensor_elems(y);
  const folding f = folding_of(r, n);
  const bool real = nib_ref_is_real(x);
  int64_t index[NIB_MAX_RANK] = {0}, strides[NIB_MAX_RANK];
  result_strides(n, x, strides);
  double *a = real ? nib_ref_load_reals(r, n->in[0]) : NULL;
  int64_t *b = real ? NULL : nib_ref_load_codes(r, n->in[0], 0);
  double *reals = calloc((size_t)results + 1, sizeof *reals);
  int64_t *codes = calloc((size_t)results + 1, sizeof *codes);
  bool *begun = calloc((size_t)results + 1, sizeof *begun);
  const bool ok = (a || b) && reals && codes && begun;
  for (int64_t i = 0; ok && i < elems; ++i) {
    const int64_t at = nib_ref_offset(index, strides, x->rank);
    if (real)
      reals[at] = begun[at] ? fold_real(&f, reals[at], a[i]) : a[i];
    else
      codes[at] = begun[at] ? fold_integer(&f, codes[at], b[i]) : b[i];
    begun[at] = true;
    nib_ref_next(index, x->dims, x->rank);
  }
  if (ok && real)
    nib_ref_store_reals(r, n->out, reals);
  else if (ok)
    nib_ref_store_codes(r, n->out, codes);
  free(a);
  free(b);
  free(reals);
  free(codes);
  free(begun);
  return ok ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

nib_status nib_ref_cumulate(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]);
  const int64_t elems = nib_tensor_elems(x), axis = nib_node_int(n, NIB_A_AXIS, 0);
  const folding f = folding_of(r, n);
  const bool real = nib_ref_is_real(x);
  int64_t inner = 1;
  for (int32_t i = x->rank - 1; i > axis; --i)
    inner *= x->dims[i];
  double *a = real ? nib_ref_load_reals(r, n->in[0]) : NULL;
  int64_t *b = real ? NULL : nib_ref_load_codes(r, n->in[0], 0);
  const bool ok = a || b;
  for (int64_t i = inner; ok && i < elems; ++i) {
    if (i / inner % x->dims[axis] == 0)
      continue;
    if (real)
      a[i] = fold_real(&f, a[i - inner], a[i]);
    else
      b[i] = fold_integer(&f, b[i - inner], b[i]);
  }
  if (ok && real)
    nib_ref_store_reals(r, n->out, a);
  else if (ok)
    nib_ref_store_codes(r, n->out, b);
  free(a);
  free(b);
  return ok ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

/* Bytes as they are stored: in double, f32 tensors are wide. */
nib_status nib_ref_bitcast(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]), *y = nib_ref_tensor(r, n->out);
  const int64_t elems = nib_tensor_elems(x);
  const size_t bytes = nib_tensor_bytes(x);
  double *reals = nib_ref_load_reals(r, n->in[0]);
  float *single = calloc((size_t)elems + 1, sizeof *single);
  const bool ok = reals && single;
  for (int64_t i = 0; ok && x->format == NIB_F32 && i < elems; ++i)
    single[i] = (float)reals[i];
  const void *from = x->format == NIB_F32 ? (const void *)single : nib_ref_bytes(r, n->in[0]);
  if (ok && y->format == NIB_F32) {
    for (int64_t i = 0; i < elems; ++i) {
      float value;
      memcpy(&value, (const char *)from + (size_t)i * sizeof value, sizeof value);
      reals[i] = (double)value;
    }
    nib_ref_store_reals(r, n->out, reals);
  } else if (ok) {
    memcpy(nib_ref_result_bytes(r, n->out), from, bytes);
  }
  free(reals);
  free(single);
  return ok ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

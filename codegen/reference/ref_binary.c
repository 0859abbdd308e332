/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Operators of binary.def, where, and functions of plain integers. */
#include "reference/internal.h"

#include <stdlib.h>

/* Where each operand's element for the next element of the result is. */
typedef struct walk {
  const nib_tensor *y;
  int64_t index[NIB_MAX_RANK], strides[3][NIB_MAX_RANK];
} walk;

static walk walk_begin(const nib_reference *r, const nib_node *n) {
  walk w = {.y = nib_ref_tensor(r, n->out)};
  for (int32_t i = 0; i < n->n_in && i < 3; ++i)
    nib_ref_strides(nib_ref_tensor(r, n->in[i]), w.y, w.strides[i]);
  return w;
}

static int64_t walk_at(const walk *w, int operand) {
  return nib_ref_offset(w->index, w->strides[operand], w->y->rank);
}

static void walk_next(walk *w) { nib_ref_next(w->index, w->y->dims, w->y->rank); }

static bool in_double(const nib_reference *r, const nib_tensor *t) {
  return r->use_double || t->format == NIB_F64;
}

static nib_status of_reals(nib_reference *r, const nib_node *n) {
  const nib_binary_real *f = nib_params_binary_real(n->op);
  const bool wide = in_double(r, nib_ref_tensor(r, n->in[0]));
  const bool compares = nib_params_is_comparison(n->op);
  walk w = walk_begin(r, n);
  const int64_t elems = nib_tensor_elems(w.y);
  double *a = nib_ref_load_reals(r, n->in[0]), *b = nib_ref_load_reals(r, n->in[1]);
  double *y = calloc((size_t)elems + 1, sizeof *y);
  int64_t *truth = calloc((size_t)elems + 1, sizeof *truth);
  const nib_status status = a && b && y && truth ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
  for (int64_t i = 0; status == NIB_OK && i < elems; ++i) {
    const double p = a[walk_at(&w, 0)], q = b[walk_at(&w, 1)];
    y[i] = wide ? f->f64(p, q) : (double)f->f32((float)p, (float)q);
    truth[i] = y[i] != 0;
    walk_next(&w);
  }
  if (status == NIB_OK && compares)
    nib_ref_store_codes(r, n->out, truth);
  else if (status == NIB_OK)
    nib_ref_store_reals(r, n->out, y);
  free(a);
  free(b);
  free(y);
  free(truth);
  return status;
}

static bool is_unsigned(const nib_tensor *t) {
  return nib_format_get(t->format)->kind == NIB_KIND_UNSIGNED;
}

static nib_status of_integers(nib_reference *r, const nib_node *n) {
  const nib_binary_integer *f = nib_params_binary_integer(n->op);
  const bool natural = is_unsigned(nib_ref_tensor(r, n->in[0]));
  walk w = walk_begin(r, n);
  const int64_t elems = nib_tensor_elems(w.y);
  int64_t *a = nib_ref_load_codes(r, n->in[0], 0), *b = nib_ref_load_codes(r, n->in[1], 0);
  int64_t *y = calloc((size_t)elems + 1, sizeof *y);
  const nib_status status = a && b && y ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
  for (int64_t i = 0; status == NIB_OK && i < elems; ++i) {
    const int64_t p = a[walk_at(&w, 0)], q = b[walk_at(&w, 1)];
    y[i] = natural ? (int64_t)f->u64((uint64_t)p, (uint64_t)q) : f->i64(p, q);
    walk_next(&w);
  }
  if (status == NIB_OK)
    nib_ref_store_codes(r, n->out, y);
  free(a);
  free(b);
  free(y);
  return status;
}

nib_status nib_ref_binary(nib_reference *r, const nib_node *n) {
  return nib_ref_is_real(nib_ref_tensor(r, n->in[0])) ? of_reals(r, n) : of_integers(r, n);
}

bool nib_ref_binary_accepts(const nib_graph *g, const nib_node *n) {
  const nib_tensor *a = &g->tensors[n->in[0]], *b = &g->tensors[n->in[1]];
  return a->format == b->format && !a->quantized && !b->quantized &&
         (nib_ref_is_real(a) ? nib_params_binary_real(n->op) != NULL
                             : nib_params_binary_integer(n->op) != NULL);
}

/* Elements move as they are. */
nib_status nib_ref_where(nib_reference *r, const nib_node *n) {
  walk w = walk_begin(r, n);
  const int64_t elems = nib_tensor_elems(w.y);
  const bool real = nib_ref_is_real(w.y);
  int64_t *c = nib_ref_load_codes(r, n->in[0], 0);
  void *a =
      real ? (void *)nib_ref_load_reals(r, n->in[1]) : (void *)nib_ref_load_codes(r, n->in[1], 0);
  void *b =
      real ? (void *)nib_ref_load_reals(r, n->in[2]) : (void *)nib_ref_load_codes(r, n->in[2], 0);
  double *reals = calloc((size_t)elems + 1, sizeof *reals);
  int64_t *codes = calloc((size_t)elems + 1, sizeof *codes);
  const nib_status status = a && b && c && reals && codes ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
  for (int64_t i = 0; status == NIB_OK && i < elems; ++i) {
    const int slot = c[walk_at(&w, 0)] ? 1 : 2;
    const void *from = slot == 1 ? a : b;
    if (real)
      reals[i] = ((const double *)from)[walk_at(&w, slot)];
    else
      codes[i] = ((const int64_t *)from)[walk_at(&w, slot)];
    walk_next(&w);
  }
  if (status == NIB_OK && real)
    nib_ref_store_reals(r, n->out, reals);
  else if (status == NIB_OK)
    nib_ref_store_codes(r, n->out, codes);
  free(a);
  free(b);
  free(c);
  free(reals);
  free(codes);
  return status;
}

nib_status nib_ref_integer_function(nib_reference *r, const nib_node *n) {
  const nib_integer_function *f = nib_params_integer_function(n->op);
  const nib_tensor *y = nib_ref_tensor(r, n->out);
  const int64_t elems = nib_tensor_elems(y);
  int64_t *x = nib_ref_load_codes(r, n->in[0], 0);
  if (!x)
    return NIB_ERROR_OUT_OF_MEMORY;
  for (int64_t i = 0; i < elems; ++i)
    x[i] = is_unsigned(y) ? (int64_t)f->u64((uint64_t)x[i]) : f->i64(x[i]);
  nib_ref_store_codes(r, n->out, x);
  free(x);
  return NIB_OK;
}

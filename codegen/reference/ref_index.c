/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Operators that move elements to or from places named by indices; broadcast; top_k. */
#include "reference/internal.h"

#include "num/snippets.h"

#include <stdlib.h>
#include <string.h>

static int64_t product(const int64_t *dims, int64_t from, int64_t to) {
  int64_t p = 1;
  for (int64_t i = from; i < to; ++i)
    p *= dims[i];
  return p;
}

nib_status nib_ref_broadcast(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]), *y = nib_ref_tensor(r, n->out);
  const size_t bytes = nib_ref_element_bytes(r, n->out);
  const unsigned char *in = nib_ref_bytes(r, n->in[0]);
  unsigned char *out = nib_ref_result_bytes(r, n->out);
  int64_t strides[NIB_MAX_RANK], index[NIB_MAX_RANK] = {0};
  nib_ref_strides(x, y, strides);
  for (int64_t i = 0; i < nib_tensor_elems(y); ++i) {
    memcpy(out + (size_t)i * bytes, in + (size_t)nib_ref_offset(index, strides, y->rank) * bytes,
           bytes);
    nib_ref_next(index, y->dims, y->rank);
  }
  return NIB_OK;
}

/* A table in another format than the result: all of it decoded, then stored where it is asked for.
 */
static nib_status gather_decoded(nib_reference *r, const nib_node *n, const int64_t *indices,
                                 int64_t outer, int64_t rows, int64_t picks) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]);
  const int64_t axis = nib_node_int(n, NIB_A_AXIS, 0), size = x->dims[axis];
  const int64_t inner = product(x->dims, axis + 1, x->rank);
  double *table = nib_ref_load_reals(r, n->in[0]);
  double *values =
      malloc(((size_t)nib_tensor_elems(nib_ref_tensor(r, n->out)) + 1) * sizeof *values);
  if (table && values) {
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t p = 0; p < picks; ++p) {
        const int64_t at = nib_index_within(indices[row / outer * picks + p], size);
        memcpy(values + (row * picks + p) * inner, table + (row * size + at) * inner,
               (size_t)inner * sizeof *values);
      }
    nib_ref_store_reals(r, n->out, values);
  }
  const bool ok = table && values;
  free(table);
  free(values);
  return ok ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

nib_status nib_ref_gather(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]), *i = nib_ref_tensor(r, n->in[1]);
  const int64_t axis = nib_node_int(n, NIB_A_AXIS, 0), batch = nib_node_int(n, NIB_A_BATCH_DIMS, 0);
  const int64_t batches = product(x->dims, 0, batch), outer = product(x->dims, batch, axis);
  const int64_t size = x->dims[axis], inner = product(x->dims, axis + 1, x->rank);
  const int64_t picks = product(i->dims, batch, i->rank);
  const size_t block = (size_t)inner * nib_ref_element_bytes(r, n->out);
  const unsigned char *in = nib_ref_bytes(r, n->in[0]);
  unsigned char *out = nib_ref_result_bytes(r, n->out);
  int64_t *indices = nib_ref_load_codes(r, n->in[1], 0);
  if (!indices)
    return NIB_ERROR_OUT_OF_MEMORY;
  if (x->format != nib_ref_tensor(r, n->out)->format) {
    const nib_status status = gather_decoded(r, n, indices, outer, batches * outer, picks);
    free(indices);
    return status;
  }
  for (int64_t row = 0; row < batches * outer; ++row)
    for (int64_t p = 0; p < picks; ++p) {
      const int64_t at = nib_index_within(indices[row / outer * picks + p], size);
      memcpy(out + (size_t)(row * picks + p) * block, in + (size_t)(row * size + at) * block,
             block);
    }
  free(indices);
  return NIB_OK;
}

/* Where the tuple points among the elements of dims[0 .. k), or -1 beyond the ends if `strict`. */
static int64_t tuple_offset(const int64_t *tuple, const int64_t *dims, int64_t k, bool strict) {
  int64_t offset = 0;
  for (int64_t i = 0; i < k; ++i) {
    const int64_t at =
        strict ? nib_index_or_none(tuple[i], dims[i]) : nib_index_within(tuple[i], dims[i]);
    if (at < 0)
      return -1;
    offset = offset * dims[i] + at;
  }
  return offset;
}

nib_status nib_ref_gather_nd(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]), *i = nib_ref_tensor(r, n->in[1]);
  const int64_t batch = nib_node_int(n, NIB_A_BATCH_DIMS, 0), k = i->dims[i->rank - 1];
  const int64_t batches = product(x->dims, 0, batch), tuples = product(i->dims, batch, i->rank - 1);
  const int64_t places = product(x->dims, batch, batch + k);
  const size_t block =
      (size_t)product(x->dims, batch + k, x->rank) * nib_ref_element_bytes(r, n->out);
  const unsigned char *in = nib_ref_bytes(r, n->in[0]);
  unsigned char *out = nib_ref_result_bytes(r, n->out);
  int64_t *indices = nib_ref_load_codes(r, n->in[1], 0);
  if (!indices)
    return NIB_ERROR_OUT_OF_MEMORY;
  for (int64_t t = 0; t < batches * tuples; ++t) {
    const int64_t at = tuple_offset(indices + t * k, x->dims + batch, k, false);
    memcpy(out + (size_t)t * block, in + (size_t)(t / tuples * places + at) * block, block);
  }
  free(indices);
  return NIB_OK;
}

nib_status nib_ref_gather_elements(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]), *y = nib_ref_tensor(r, n->out);
  const int64_t axis = nib_node_int(n, NIB_A_AXIS, 0);
  const size_t bytes = nib_ref_element_bytes(r, n->out);
  const unsigned char *in = nib_ref_bytes(r, n->in[0]);
  unsigned char *out = nib_ref_result_bytes(r, n->out);
  int64_t strides[NIB_MAX_RANK], index[NIB_MAX_RANK] = {0};
  int64_t *indices = nib_ref_load_codes(r, n->in[1], 0);
  if (!indices)
    return NIB_ERROR_OUT_OF_MEMORY;
  nib_ref_strides(x, NULL, strides);
  for (int64_t i = 0; i < nib_tensor_elems(y); ++i) {
    const int64_t at = nib_index_within(indices[i], x->dims[axis]);
    const int64_t from =
        nib_ref_offset(index, strides, y->rank) + (at - index[axis]) * strides[axis];
    memcpy(out + (size_t)i * bytes, in + (size_t)from * bytes, bytes);
    nib_ref_next(index, y->dims, y->rank);
  }
  free(indices);
  return NIB_OK;
}

/* ---- scatter ---- */

/* The result under construction, the updates, and how they combine. */
typedef struct scatter {
  nib_reference *r;
  const nib_node *n;
  nib_format format;
  const char *reduction;
  size_t bytes; /* of an element */
  unsigned char *y;
  const unsigned char *u;
  int64_t *indices;
} scatter;

static bool scatter_open(nib_reference *r, const nib_node *n, scatter *s) {
  *s = (scatter){.r = r,
                 .n = n,
                 .format = nib_ref_tensor(r, n->out)->format,
                 .reduction = nib_node_string(n, NIB_A_REDUCTION, "none"),
                 .bytes = nib_ref_element_bytes(r, n->out),
                 .y = nib_ref_result_bytes(r, n->out),
                 .u = nib_ref_bytes(r, n->in[2])};
  const int64_t elems = nib_tensor_elems(nib_ref_tensor(r, n->out));
  memcpy(s->y, nib_ref_bytes(r, n->in[0]), (size_t)elems * s->bytes);
  s->indices = nib_ref_load_codes(r, n->in[1], 0);
  return s->indices != NULL;
}

static nib_status scatter_close(scatter *s, bool ok) {
  free(s->indices);
  return ok ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

static double real_at(const scatter *s, const unsigned char *data, int64_t i) {
  return s->bytes == sizeof(double) ? ((const double *)(const void *)data)[i]
                                    : nib_format_load_real(s->format, data, i);
}

/* Sums and products; each is rounded to the format. */
static void combine_reals(scatter *s, int64_t y, int64_t u) {
  const double a = real_at(s, s->y, y), b = real_at(s, s->u, u);
  const double value = nib_ref_round(s->r, s->reduction[0] == 'a' ? a + b : a * b);
  if (s->bytes == sizeof(double))
    ((double *)(void *)s->y)[y] =
        s->format == NIB_F64 ? (s->reduction[0] == 'a' ? a + b : a * b) : value;
  else
    nib_format_store_real(s->format, s->y, y, value);
}

static void combine_codes(scatter *s, int64_t y, int64_t u) {
  const uint64_t a = (uint64_t)nib_format_load_code(s->format, s->y, y);
  const uint64_t b = (uint64_t)nib_format_load_code(s->format, s->u, u);
  nib_format_store_code(s->format, s->y, y, (int64_t)(s->reduction[0] == 'a' ? a + b : a * b));
}

/* Whether update u is below (above) result y; no comparison with NaN holds. */
static bool replaces(const scatter *s, int64_t y, int64_t u, bool above) {
  if (nib_ref_is_real(nib_ref_tensor(s->r, s->n->out))) {
    const double a = real_at(s, s->y, y), b = real_at(s, s->u, u);
    return above ? b > a : b < a;
  }
  /* u64 keeps its order when the sign bit turns. */
  const uint64_t turn = s->format == NIB_U64 ? UINT64_C(1) << 63 : 0;
  const int64_t a = (int64_t)((uint64_t)nib_format_load_code(s->format, s->y, y) ^ turn);
  const int64_t b = (int64_t)((uint64_t)nib_format_load_code(s->format, s->u, u) ^ turn);
  return above ? b > a : b < a;
}

/* Element `u` of the updates meets element `y` of the result. */
static void scatter_one(scatter *s, int64_t y, int64_t u) {
  const char *how = s->reduction;
  if (!strcmp(how, "add") || !strcmp(how, "mul")) {
    if (nib_ref_is_real(nib_ref_tensor(s->r, s->n->out)))
      combine_reals(s, y, u);
    else
      combine_codes(s, y, u);
  } else if (!strcmp(how, "none") || replaces(s, y, u, how[1] == 'a')) {
    memcpy(s->y + (size_t)y * s->bytes, s->u + (size_t)u * s->bytes, s->bytes);
  }
}

nib_status nib_ref_scatter_nd(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]), *i = nib_ref_tensor(r, n->in[1]);
  const int64_t k = i->dims[i->rank - 1], tuples = product(i->dims, 0, i->rank - 1);
  const int64_t inner = product(x->dims, k, x->rank);
  scatter s;
  const bool ok = scatter_open(r, n, &s);
  for (int64_t t = 0; ok && t < tuples; ++t) {
    const int64_t at = tuple_offset(s.indices + t * k, x->dims, k, true);
    for (int64_t e = 0; at >= 0 && e < inner; ++e)
      scatter_one(&s, at * inner + e, t * inner + e);
  }
  return scatter_close(&s, ok);
}

nib_status nib_ref_scatter_elements(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]), *i = nib_ref_tensor(r, n->in[1]);
  const int64_t axis = nib_node_int(n, NIB_A_AXIS, 0);
  int64_t strides[NIB_MAX_RANK], index[NIB_MAX_RANK] = {0};
  scatter s;
  const bool ok = scatter_open(r, n, &s);
  nib_ref_strides(x, NULL, strides);
  for (int64_t u = 0; ok && u < nib_tensor_elems(i); ++u) {
    const int64_t at = nib_index_or_none(s.indices[u], x->dims[axis]);
    if (at >= 0)
      scatter_one(&s, nib_ref_offset(index, strides, x->rank) + (at - index[axis]) * strides[axis],
                  u);
    nib_ref_next(index, i->dims, i->rank);
  }
  return scatter_close(&s, ok);
}

/* ---- top_k ---- */

/* Values of one row: of reals, or codes. */
typedef struct row {
  const double *reals;
  const int64_t *codes;
  int64_t base, stride, size;
  bool largest;
  bool wide; /* u64, whose codes are not in order as int64_t */
} row;

/* Whether element a comes before element b in the order asked for; NaN before nothing. */
static bool before(const row *w, int64_t a, int64_t b) {
  const int64_t ia = w->base + a * w->stride, ib = w->base + b * w->stride;
  if (w->reals)
    return w->largest ? w->reals[ia] > w->reals[ib] : w->reals[ia] < w->reals[ib];
  const bool less =
      w->wide ? (uint64_t)w->codes[ia] < (uint64_t)w->codes[ib] : w->codes[ia] < w->codes[ib];
  return w->largest ? !less && w->codes[ia] != w->codes[ib] : less;
}

/* The first k of an insertion sort, which keeps the order of equals. order: k + 1 entries. */
static void sort_row(const row *w, int64_t k, int64_t *order, int64_t *out) {
  for (int64_t i = 0; i < w->size; ++i) {
    int64_t at = i < k ? i : k;
    for (; at > 0 && before(w, i, order[at - 1]); --at)
      order[at] = order[at - 1];
    order[at] = i;
  }
  for (int64_t i = 0; i < k; ++i)
    out[i * w->stride] = order[i];
}

nib_status nib_ref_top_k(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]), *y = nib_ref_tensor(r, n->out);
  const int64_t axis = nib_node_int(n, NIB_A_AXIS, x->rank - 1), k = y->dims[axis];
  const int64_t inner = product(x->dims, axis + 1, x->rank), outer = product(x->dims, 0, axis);
  const bool real = nib_ref_is_real(x);
  double *reals = real ? nib_ref_load_reals(r, n->in[0]) : NULL;
  int64_t *codes = real ? NULL : nib_ref_load_codes(r, n->in[0], 0);
  int64_t *order = calloc((size_t)x->dims[axis] + 1, sizeof *order);
  int64_t *out = calloc((size_t)nib_tensor_elems(y) + 1, sizeof *out);
  const bool ok = (reals || codes) && order && out;
  for (int64_t i = 0; ok && i < outer * inner; ++i) {
    const row w = {reals,
                   codes,
                   i / inner * x->dims[axis] * inner + i % inner,
                   inner,
                   x->dims[axis],
                   nib_node_int(n, NIB_A_LARGEST, 1) != 0,
                   x->format == NIB_U64};
    sort_row(&w, k, order, out + i / inner * k * inner + i % inner);
  }
  if (ok)
    nib_ref_store_codes(r, n->out, out);
  free(reals);
  free(codes);
  free(order);
  free(out);
  return ok ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

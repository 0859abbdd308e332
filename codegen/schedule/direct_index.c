// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Operators that move elements to or from places named by indices. Blocks of elements that stay
// together are copied by memcpy.
#include "schedule/direct.h"

#include <string.h>

static int64_t product(const int64_t *dims, int64_t from, int64_t to) {
  int64_t p = 1;
  for (int64_t i = from; i < to; ++i)
    p *= dims[i];
  return p;
}

static void close(nib_direct *d, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    nib_text_close(d->t, "");
}

/* "(row * 12 + at)", shorter where it can be. */
static nib_expr scaled(const char *a, int64_t by, const char *b) {
  if (by == 1)
    return nib_expr_printf("(%s + %s)", a, b);
  return nib_expr_printf("(%s * %lld + %s)", a, (long long)by, b);
}

/* to[to_block * inner ..] = from[from_block * inner ..] */
static void copy_block(nib_direct *d, const nib_node *n, const char *to, const char *to_block,
                       const char *from, const char *from_block, int64_t inner) {
  const size_t bytes = nib_format_bytes(d->g->tensors[n->out].format);
  if (inner == 1)
    nib_text_line(d->t, "%s[%s] = %s[%s];", to, to_block, from, from_block);
  else if (d->grid) {
    nib_direct_each(d, "e", inner);
    nib_text_line(d->t, "%s[%s * %lld + e] = %s[%s * %lld + e];", to, to_block, (long long)inner, from,
                  from_block, (long long)inner);
    nib_text_close(d->t, "");
  } else
    nib_text_line(d->t, "memcpy(&%s[%s * %lld], &%s[%s * %lld], %lld);", to, to_block,
                  (long long)inner, from, from_block, (long long)inner,
                  (long long)(inner * (int64_t)bytes));
}

void nib_direct_gather(nib_direct *d, const nib_node *n) {
  const nib_tensor *x = nib_node_input(d->g, n, 0), *i = nib_node_input(d->g, n, 1);
  const int64_t axis = nib_node_int(n, NIB_A_AXIS, 0), batch = nib_node_int(n, NIB_A_BATCH_DIMS, 0);
  const int64_t outer = product(x->dims, batch, axis);
  const int64_t size = x->dims[axis], inner = product(x->dims, axis + 1, x->rank);
  const int64_t picks = product(i->dims, batch, i->rank);
  nib_expr from = nib_direct_pointer(d, n->in[0], "input");
  nib_expr index = nib_direct_pointer(d, n->in[1], "indices");
  nib_expr to = nib_direct_result_pointer(d, n);
  nib_direct_use(d, n, "nib_index_within");
  nib_direct_each(d, "row", product(x->dims, 0, axis));
  nib_direct_each(d, "p", picks);
  nib_expr which = nib_expr_printf("p");
  if (batch > 0)
    which =
        scaled(outer == 1 ? "row" : nib_expr_printf("row / %lld", (long long)outer).s, picks, "p");
  nib_text_line(d->t, "const int64_t at = nib_index_within(%s[%s], %lld);", index.s, which.s,
                (long long)size);
  nib_expr to_block = scaled("row", picks, "p"), from_block = scaled("row", size, "at");
  if (x->format == d->g->tensors[n->out].format)
    copy_block(d, n, to.s, to_block.s, from.s, from_block.s, inner);
  else
    nib_direct_decode_rows(d, n, from.s, from_block.s, to.s, to_block.s, inner);
  close(d, 2);
}

void nib_direct_gather_nd(nib_direct *d, const nib_node *n) {
  const nib_tensor *x = nib_node_input(d->g, n, 0), *i = nib_node_input(d->g, n, 1);
  const int64_t batch = nib_node_int(n, NIB_A_BATCH_DIMS, 0), k = i->dims[i->rank - 1];
  const int64_t tuples = product(i->dims, batch, i->rank - 1);
  nib_expr from = nib_direct_pointer(d, n->in[0], "input");
  nib_expr index = nib_direct_pointer(d, n->in[1], "indices");
  nib_expr to = nib_direct_result_pointer(d, n);
  nib_direct_use(d, n, "nib_index_within");
  nib_direct_each(d, "t", product(i->dims, 0, i->rank - 1));
  nib_text_line(d->t, "int64_t at = %s;",
                batch > 0 ? nib_expr_printf("t / %lld", (long long)tuples).s : "0");
  for (int64_t j = 0; j < k; ++j) {
    const long long size = x->dims[batch + j];
    nib_text_line(d->t, "at = at * %lld + nib_index_within(%s[t * %lld + %lld], %lld);", size,
                  index.s, (long long)k, (long long)j, size);
  }
  copy_block(d, n, to.s, "t", from.s, "at", product(x->dims, batch + k, x->rank));
  close(d, 1);
}

/* Opens a loop for each dimension of `dims`; the flat index of `t` with `at` in place of the loop
 * variable of the axis (-1: none). */
static nib_expr flat_index(const nib_tensor *t, int64_t axis) {
  nib_expr sum = {""};
  for (int32_t i = 0; i < t->rank; ++i) {
    const int64_t stride = product(t->dims, i + 1, t->rank);
    nib_expr var = i == axis ? nib_expr_printf("at") : nib_expr_printf("%c", 'a' + i);
    nib_expr part = stride == 1 ? var : nib_expr_printf("%s * %lld", var.s, (long long)stride);
    sum = nib_expr_printf("%s%s%s", sum.s, sum.s[0] ? " + " : "", part.s);
  }
  return sum;
}

static void open_loops(nib_direct *d, const nib_tensor *t) {
  for (int32_t i = 0; i < t->rank; ++i)
    nib_direct_each(d, nib_expr_printf("%c", 'a' + i).s, t->dims[i]);
}

void nib_direct_gather_elements(nib_direct *d, const nib_node *n) {
  const nib_tensor *x = nib_node_input(d->g, n, 0), *y = &d->g->tensors[n->out];
  const int64_t axis = nib_node_int(n, NIB_A_AXIS, 0);
  nib_expr from = nib_direct_pointer(d, n->in[0], "input");
  nib_expr index = nib_direct_pointer(d, n->in[1], "indices");
  nib_expr to = nib_direct_result_pointer(d, n);
  nib_direct_use(d, n, "nib_index_within");
  open_loops(d, y);
  nib_text_line(d->t, "const %s i = %s;", d->index, flat_index(y, -1).s);
  nib_text_line(d->t, "const int64_t at = nib_index_within(%s[i], %lld);", index.s,
                (long long)x->dims[axis]);
  nib_text_line(d->t, "%s[i] = %s[%s];", to.s, from.s, flat_index(x, axis).s);
  close(d, y->rank);
}

/* ---- scatter ---- */

typedef struct scatter {
  nib_expr index, updates, to;
} scatter;

static scatter scatter_open(nib_direct *d, const nib_node *n) {
  scatter s = {.index = nib_direct_pointer(d, n->in[1], "indices"),
               .updates = nib_direct_pointer(d, n->in[2], "updates"),
               .to = nib_direct_result_pointer(d, n)};
  nib_text_line(d->t, "memcpy(%s, %s, %zu);", s.to.s, nib_direct_pointer(d, n->in[0], "input").s,
                nib_tensor_bytes(&d->g->tensors[n->out]));
  nib_direct_use(d, n, "nib_index_or_none");
  return s;
}

/* The number that an element of memory holds. */
static nib_expr value_of(nib_format format, const char *element) {
  return nib_direct_is_stored_real(format) ? nib_direct_decode(format, element)
                                           : nib_expr_printf("%s", element);
}

/* The element `to` of the result takes in the element `with` of the updates. */
static void combine(nib_direct *d, const nib_node *n, const char *to, const char *from) {
  const nib_tensor *y = &d->g->tensors[n->out];
  const nib_expr update = value_of(y->format, from), old = value_of(y->format, to);
  const char *with = update.s;
  const char *how = nib_node_string(n, NIB_A_REDUCTION, "none");
  const char *type = nib_format_get(y->format)->c_type;
  if (!strcmp(how, "none")) {
    nib_text_line(d->t, "%s = %s;", to, from);
  } else if (!strcmp(how, "min") || !strcmp(how, "max")) {
    nib_text_line(d->t, "if (%s %s %s)", with, how[1] == 'i' ? "<" : ">", old.s);
    nib_text_line(d->t, "  %s = %s;", to, from);
  } else if (nib_direct_is_stored_real(y->format)) {
    nib_expr sum = nib_expr_printf("%s %s %s", old.s, how[0] == 'a' ? "+" : "*", with);
    nib_text_line(d->t, "%s = (%s)%s;", to, type, nib_direct_encode(y->format, sum.s, false).s);
  } else if (nib_direct_is_float(y)) {
    nib_text_line(d->t, "%s %s= %s;", to, how[0] == 'a' ? "+" : "*", with);
  } else { /* plain integers wrap */
    nib_text_line(d->t, "%s = (%s)((uint64_t)%s %s (uint64_t)%s);", to, type, to,
                  how[0] == 'a' ? "+" : "*", with);
  }
}

void nib_direct_scatter_nd(nib_direct *d, const nib_node *n) {
  const nib_tensor *x = nib_node_input(d->g, n, 0), *i = nib_node_input(d->g, n, 1);
  const int64_t k = i->dims[i->rank - 1], inner = product(x->dims, k, x->rank);
  scatter s = scatter_open(d, n);
  nib_direct_for(d, "t", product(i->dims, 0, i->rank - 1));
  nib_text_line(d->t, "int64_t at = 0;");
  for (int64_t j = 0; j < k; ++j) {
    nib_text_line(d->t, "const int64_t i%lld = nib_index_or_none(%s[t * %lld + %lld], %lld);",
                  (long long)j, s.index.s, (long long)k, (long long)j, (long long)x->dims[j]);
    nib_text_line(d->t, "if (i%lld < 0)", (long long)j);
    nib_text_line(d->t, "  continue;");
    nib_text_line(d->t, "at = at * %lld + i%lld;", (long long)x->dims[j], (long long)j);
  }
  if (!strcmp(nib_node_string(n, NIB_A_REDUCTION, "none"), "none")) {
    copy_block(d, n, s.to.s, "at", s.updates.s, "t", inner);
    close(d, 1);
    return;
  }
  nib_direct_for(d, "e", inner);
  combine(d, n, nib_expr_printf("%s[at * %lld + e]", s.to.s, (long long)inner).s,
          nib_expr_printf("%s[t * %lld + e]", s.updates.s, (long long)inner).s);
  close(d, 2);
}

void nib_direct_scatter_elements(nib_direct *d, const nib_node *n) {
  const nib_tensor *i = nib_node_input(d->g, n, 1), *y = &d->g->tensors[n->out];
  const int64_t axis = nib_node_int(n, NIB_A_AXIS, 0);
  scatter s = scatter_open(d, n);
  open_loops(d, i);
  nib_text_line(d->t, "const %s i = %s;", d->index, flat_index(i, -1).s);
  nib_text_line(d->t, "const int64_t at = nib_index_or_none(%s[i], %lld);", s.index.s,
                (long long)y->dims[axis]);
  nib_text_line(d->t, "if (at < 0)");
  nib_text_line(d->t, "  continue;");
  combine(d, n, nib_expr_printf("%s[%s]", s.to.s, flat_index(y, axis).s).s,
          nib_expr_printf("%s[i]", s.updates.s).s);
  close(d, i->rank);
}

/* ---- top_k ---- */

/* The first k of an insertion sort: each element moves up past those that come behind it. */
void nib_direct_top_k(nib_direct *d, const nib_node *n) {
  const nib_tensor *x = nib_node_input(d->g, n, 0), *y = &d->g->tensors[n->out];
  const int64_t axis = nib_node_int(n, NIB_A_AXIS, x->rank - 1);
  const long long size = x->dims[axis], k = y->dims[axis];
  const int64_t inner = product(x->dims, axis + 1, x->rank);
  const char *type = nib_direct_value_type(x->format);
  const char *order = nib_node_int(n, NIB_A_LARGEST, 1) ? ">" : "<";
  nib_expr from = nib_direct_pointer(d, n->in[0], "input");
  nib_expr to = nib_direct_result_pointer(d, n);
  nib_expr step = {""};
  if (inner != 1)
    step = nib_expr_printf(" * %lld", (long long)inner);
  const char *by = step.s;
  nib_direct_each(d, "outer", product(x->dims, 0, axis));
  nib_direct_each(d, "inner", inner);
  nib_text_line(d->t, "const %s *const row = %s + outer * %lld + inner;",
                nib_format_get(x->format)->c_type, from.s, (long long)(size * inner));
  nib_text_line(d->t, "int64_t *const top = %s + outer * %lld + inner;", to.s,
                (long long)(k * inner));
  nib_direct_for(d, "i", size);
  nib_expr above = nib_expr_printf("row[top[(at - 1)%s]%s]", by, by);
  nib_text_line(d->t, "const %s v = %s;", type,
                value_of(x->format, nib_expr_printf("row[i%s]", by).s).s);
  nib_text_line(d->t, "%s at = i < %lld ? i : %lld;", d->index, k, k);
  nib_text_open(d->t, "for (; at > 0 && v %s %s; --at) {", order, value_of(x->format, above.s).s);
  nib_text_line(d->t, "if (at < %lld)", k);
  nib_text_line(d->t, "  top[at%s] = top[(at - 1)%s];", by, by);
  nib_text_close(d->t, "");
  nib_text_line(d->t, "if (at < %lld)", k);
  nib_text_line(d->t, "  top[at%s] = i;", by);
  close(d, 3);
}

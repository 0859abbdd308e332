/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Einsum: diagonals are strided slices, labels that nothing else needs are summed, and two operands
 * meet in a batched matrix product. */
#include "onnx_build.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#define MAX_OPERANDS 8
#define MAX_TEXT 256

/* A tensor and the label of each of its dimensions: letters, digits for those of the ellipsis. */
typedef struct term {
  int32_t tensor;
  int32_t rank;
  char labels[NIB_MAX_RANK + 1];
} term;

typedef struct equation {
  char left[MAX_OPERANDS][MAX_TEXT], right[MAX_TEXT];
  int32_t operands;
  bool has_right;
} equation;

static bool has(const char *labels, char c) { return c && strchr(labels, c); }

/* ---- reading ---- */

static nib_status read_equation(nib_onnx_node *n, equation *e) {
  const Onnx__AttributeProto *a = nib_onnx_attr(n, "equation");
  char *to = e->left[0];
  size_t used = 0;
  memset(e, 0, sizeof *e);
  e->operands = 1;
  if (!a || !a->has_s || a->s.len >= MAX_TEXT)
    return nib_onnx_invalid(n, "it has no equation, or one that is too long");
  for (size_t i = 0; i < a->s.len; ++i) {
    const char c = (char)a->s.data[i];
    if (c == ' ')
      continue;
    if (c == ',' && !e->has_right && e->operands < MAX_OPERANDS) {
      to = e->left[e->operands++];
      used = 0;
    } else if (c == '-' && i + 1 < a->s.len && a->s.data[i + 1] == '>' && !e->has_right) {
      ++i;
      e->has_right = true;
      to = e->right;
      used = 0;
    } else if (isalpha((unsigned char)c) || c == '.') {
      to[used++] = c;
    } else {
      return nib_onnx_invalid(n, "its equation has '%c' at %zu", c, i);
    }
  }
  return NIB_OK;
}

/* Writes labels for `text`, the ellipsis as `hidden` digits that end at '9'. */
static bool label(const char *text, int32_t hidden, char out[NIB_MAX_RANK + 1]) {
  int32_t used = 0;
  for (const char *c = text; *c; ++c) {
    if (*c != '.') {
      if (used == NIB_MAX_RANK)
        return false;
      out[used++] = *c;
      continue;
    }
    if (strncmp(c, "...", 3))
      return false;
    c += 2;
    for (int32_t i = 0; i < hidden; ++i) {
      if (used == NIB_MAX_RANK)
        return false;
      out[used++] = (char)('9' - hidden + 1 + i);
    }
  }
  out[used] = '\0';
  return true;
}

static int32_t count_letters(const char *text) {
  int32_t count = 0;
  for (; *text; ++text)
    count += *text != '.';
  return count;
}

/* Labels of an operand of `rank`; *out_hidden is how many its ellipsis stands for. */
static nib_status label_operand(nib_onnx_node *n, const char *text, int32_t rank, term *t,
                                int32_t *out_hidden) {
  const int32_t letters = count_letters(text), hidden = strchr(text, '.') ? rank - letters : 0;
  if (hidden < 0 || hidden > 9 || !label(text, hidden, t->labels) ||
      (int32_t)strlen(t->labels) != rank)
    return nib_onnx_invalid(n, "'%.40s' does not name %d dimensions", text, rank);
  t->rank = rank;
  *out_hidden = hidden > *out_hidden ? hidden : *out_hidden;
  return NIB_OK;
}

/* Without a right side: the ellipsis, then every label that occurs once, in order. */
static void implied_result(const equation *e, int32_t hidden, char out[NIB_MAX_RANK + 1]) {
  int32_t used = 0;
  for (int32_t i = 0; i < hidden && used < NIB_MAX_RANK; ++i)
    out[used++] = (char)('9' - hidden + 1 + i);
  for (int c = 'A'; c <= 'z'; ++c) {
    int32_t count = 0;
    for (int32_t i = 0; isalpha(c) && i < e->operands; ++i)
      for (const char *s = e->left[i]; *s; ++s)
        count += *s == c;
    if (count == 1 && used < NIB_MAX_RANK)
      out[used++] = (char)c;
  }
  out[used] = '\0';
}

/* ---- one operand ---- */

static int32_t find(const term *t, char c) {
  for (int32_t i = 0; i < t->rank; ++i)
    if (t->labels[i] == c)
      return i;
  return -1;
}

static void drop(term *t, int32_t at) {
  memmove(t->labels + at, t->labels + at + 1, (size_t)(t->rank - at));
  --t->rank;
}

/* Dimensions i < k with one label become their diagonal, in place i. */
static void take_diagonal(nib_onnx_node *n, term *t, int32_t i, int32_t k) {
  int64_t dims[NIB_MAX_RANK];
  const int64_t size = nib_onnx_dim(n, t->tensor, i);
  /* Both last, [.., size * size], every (size + 1)-th, and back to place i. */
  int64_t perm[NIB_MAX_RANK], back[NIB_MAX_RANK];
  int32_t used = 0;
  for (int32_t d = 0; d < t->rank; ++d)
    if (d != i && d != k)
      perm[used++] = d;
  perm[used] = i;
  perm[used + 1] = k;
  t->tensor = nib_onnx_transposed(n, t->tensor, perm);
  if (t->tensor == NIB_NONE)
    return;
  memcpy(dims, nib_onnx_tensor(n, t->tensor)->dims, sizeof dims);
  dims[used] = size * size;
  t->tensor = nib_onnx_reshaped(n, t->tensor, used + 1, dims);
  t->tensor = nib_onnx_part(n, t->tensor, used, 0, size, size + 1);
  for (int32_t d = 0; d <= used; ++d)
    back[d] = d < i ? d : d == i ? used : d - 1;
  t->tensor = nib_onnx_transposed(n, t->tensor, back);
  drop(t, k);
}

/* The sum over dimension `at`. */
static void sum_out(nib_onnx_node *n, term *t, int32_t at) {
  const int64_t axis = at;
  t->tensor = nib_onnx_sum(n, t->tensor, &axis, 1, false);
  drop(t, at);
}

static nib_status take_diagonals(nib_onnx_node *n, term *t) {
  for (int32_t k = t->rank - 1; k > 0; --k) {
    const int32_t i = find(t, t->labels[k]);
    if (i == k)
      continue;
    if (nib_onnx_dim(n, t->tensor, i) != nib_onnx_dim(n, t->tensor, k))
      return nib_onnx_invalid(n, "label '%c' has two sizes", t->labels[k]);
    take_diagonal(n, t, i, k);
    if (t->tensor == NIB_NONE)
      return n->ctx->failure;
  }
  return NIB_OK;
}

static nib_status sum_unneeded(nib_onnx_node *n, term *t, const char *needed) {
  for (int32_t i = t->rank - 1; i >= 0; --i)
    if (!has(needed, t->labels[i])) {
      sum_out(n, t, i);
      if (t->tensor == NIB_NONE)
        return n->ctx->failure;
    }
  return NIB_OK;
}

/* Dimensions in the order of `labels`, which are all of them. */
static void reorder(nib_onnx_node *n, term *t, const char *labels) {
  int64_t perm[NIB_MAX_RANK];
  bool same = true;
  for (int32_t i = 0; i < t->rank; ++i) {
    perm[i] = find(t, labels[i]);
    same &= perm[i] == i;
  }
  if (!same)
    t->tensor = nib_onnx_transposed(n, t->tensor, perm);
  memcpy(t->labels, labels, (size_t)t->rank);
}

/* ---- two operands ---- */

static int64_t extent(const nib_onnx_node *n, const term *t, char c) {
  const int32_t at = find(t, c);
  return at < 0 ? 1 : nib_onnx_dim(n, t->tensor, at);
}

/* Labels of a pair by their part in its product. */
typedef struct parts {
  char batch[NIB_MAX_RANK + 1], left[NIB_MAX_RANK + 1], inner[NIB_MAX_RANK + 1];
  char right[NIB_MAX_RANK + 1];
} parts;

static void add_label(char *to, char c) {
  const size_t used = strlen(to);
  if (used < NIB_MAX_RANK) {
    to[used] = c;
    to[used + 1] = '\0';
  }
}

/* A dimension of 1 against a larger one belongs to the side that has more. */
static nib_status sort_labels(nib_onnx_node *n, term *a, term *b, const char *needed, parts *p) {
  memset(p, 0, sizeof *p);
  for (int32_t i = a->rank - 1; i >= 0; --i) {
    const char c = a->labels[i];
    const int64_t x = extent(n, a, c), y = extent(n, b, c);
    if (find(b, c) < 0 || x == y)
      continue;
    if (x != 1 && y != 1)
      return nib_onnx_invalid(n, "label '%c' has two sizes", c);
    sum_out(n, x == 1 ? a : b, x == 1 ? i : find(b, c));
    if (a->tensor == NIB_NONE || b->tensor == NIB_NONE)
      return n->ctx->failure;
  }
  for (int32_t i = 0; i < a->rank; ++i) {
    const char c = a->labels[i];
    add_label(find(b, c) < 0 ? p->left : has(needed, c) ? p->batch : p->inner, c);
  }
  for (int32_t i = 0; i < b->rank; ++i)
    if (find(a, b->labels[i]) < 0)
      add_label(p->right, b->labels[i]);
  if (strlen(p->batch) + strlen(p->left) + strlen(p->right) > NIB_MAX_RANK)
    return nib_onnx_unsupported(n, "a product of more than %d dimensions", NIB_MAX_RANK);
  return NIB_OK;
}

static int64_t extent_of(const nib_onnx_node *n, const term *t, const char *labels) {
  int64_t total = 1;
  for (; *labels; ++labels)
    total *= extent(n, t, *labels);
  return total;
}

/* a and b become one term. */
static nib_status multiply(nib_onnx_node *n, term *a, term *b, const char *needed) {
  parts p;
  NIB_RETURN_IF_ERROR(sort_labels(n, a, b, needed, &p));
  char left[3 * NIB_MAX_RANK + 4], right[3 * NIB_MAX_RANK + 4], result[3 * NIB_MAX_RANK + 4];
  strcat(strcat(strcpy(left, p.batch), p.left), p.inner);
  strcat(strcat(strcpy(right, p.batch), p.inner), p.right);
  strcat(strcat(strcpy(result, p.batch), p.left), p.right);
  const int64_t batch = extent_of(n, a, p.batch), inner = extent_of(n, a, p.inner);
  const int64_t rows = extent_of(n, a, p.left), columns = extent_of(n, b, p.right);
  int64_t dims[NIB_MAX_RANK];
  const int32_t rank = (int32_t)strlen(result);
  for (int32_t i = 0; i < rank; ++i)
    dims[i] = find(a, result[i]) >= 0 ? extent(n, a, result[i]) : extent(n, b, result[i]);
  const int64_t x[] = {batch, rows, inner}, y[] = {batch, inner, columns};
  reorder(n, a, left);
  reorder(n, b, right);
  const int32_t product = nib_onnx_product(n, nib_onnx_reshaped(n, a->tensor, 3, x),
                                           nib_onnx_reshaped(n, b->tensor, 3, y));
  a->tensor = nib_onnx_reshaped(n, product, rank, dims);
  a->rank = rank;
  memcpy(a->labels, result, (size_t)rank + 1);
  return a->tensor == NIB_NONE ? n->ctx->failure : NIB_OK;
}

/* ---- the operator ---- */

/* Labels that the result or operands from `first` on have. */
static void needed_labels(const term *terms, int32_t first, int32_t count, const char *result,
                          char out[MAX_TEXT]) {
  strcpy(out, result);
  for (int32_t i = first; i < count; ++i)
    strcat(out, terms[i].labels);
}

static nib_status check_result(nib_onnx_node *n, const term *t, const char *result) {
  for (const char *c = result; *c; ++c)
    if (find(t, *c) < 0 || strchr(c + 1, *c))
      return nib_onnx_invalid(n, "label '%c' of its result is in no operand, or there twice", *c);
  return NIB_OK;
}

nib_status nib_onnx_import_einsum(nib_onnx_node *n) {
  equation e;
  term terms[MAX_OPERANDS];
  char result[NIB_MAX_RANK + 1], needed[MAX_TEXT];
  int32_t hidden = 0;
  NIB_RETURN_IF_ERROR(nib_onnx_require_reals(n));
  NIB_RETURN_IF_ERROR(read_equation(n, &e));
  if ((size_t)e.operands != n->proto->n_input)
    return nib_onnx_invalid(n, "its equation has %d operands, not %zu", e.operands,
                            n->proto->n_input);
  for (int32_t i = 0; i < e.operands; ++i) {
    terms[i].tensor = nib_onnx_in(n, (size_t)i);
    if (terms[i].tensor == NIB_NONE)
      return n->ctx->failure;
    NIB_RETURN_IF_ERROR(
        label_operand(n, e.left[i], nib_onnx_tensor(n, terms[i].tensor)->rank, &terms[i], &hidden));
    NIB_RETURN_IF_ERROR(take_diagonals(n, &terms[i]));
  }
  if (!e.has_right)
    implied_result(&e, hidden, result);
  else if (!label(e.right, hidden, result))
    return nib_onnx_invalid(n, "'%.40s' is no result", e.right);
  needed_labels(terms, 1, e.operands, result, needed);
  NIB_RETURN_IF_ERROR(sum_unneeded(n, &terms[0], needed));
  for (int32_t i = 1; i < e.operands; ++i) {
    needed_labels(terms, i + 1, e.operands, result, needed);
    strcat(needed, terms[0].labels);
    NIB_RETURN_IF_ERROR(sum_unneeded(n, &terms[i], needed));
    needed_labels(terms, i + 1, e.operands, result, needed);
    NIB_RETURN_IF_ERROR(multiply(n, &terms[0], &terms[i], needed));
    NIB_RETURN_IF_ERROR(sum_unneeded(n, &terms[0], needed));
  }
  NIB_RETURN_IF_ERROR(check_result(n, &terms[0], result));
  reorder(n, &terms[0], result);
  return nib_onnx_finish(n, terms[0].tensor);
}

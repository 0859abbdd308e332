// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Weights in blocks that share a scale: each block is decoded to f32 where it is read.
#include "schedule/direct.h"

bool nib_direct_is_block(const nib_tensor *t) {
  return nib_format_get(t->format)->kind == NIB_KIND_BLOCK;
}

/* The snippet that decodes a block of the format, or NULL. */
static const char *block_decoder(nib_format format) {
  (void)format;
  return NULL;
}

bool nib_direct_reads_weights(const nib_tensor *t) {
  return nib_direct_is_float(t) || (nib_direct_is_block(t) && block_decoder(t->format));
}

void nib_direct_decode_block(nib_direct *d, nib_format format, const char *from, const char *to) {
  nib_text_line(d->t, "%s(%s, %s);", block_decoder(format), from, to);
}

/* `float w[32];` and its values, block number `block` of the tensor at `pointer`. */
static void decode_block(nib_direct *d, const nib_tensor *t, const char *pointer,
                         const char *block) {
  const nib_format_info *info = nib_format_get(t->format);
  nib_text_line(d->t, "float w[%d];", info->block_elems);
  nib_direct_decode_block(
      d, t->format, nib_expr_printf("%s + (%s) * %d", pointer, block, info->block_bytes).s, "w");
}

static nib_expr decoded(const nib_tensor *t, const char *pointer, const char *index) {
  return nib_direct_decode(t->format, nib_expr_printf("%s[%s]", pointer, index).s);
}

void nib_direct_block_dot(nib_direct *d, const nib_node *n, const char *input, const char *filter,
                          const char *row, const char *column) {
  const nib_tensor *x = nib_node_input(d->g, n, 0), *w = nib_node_input(d->g, n, 1);
  const long long k = w->dims[w->rank - 1], size = nib_format_get(w->format)->block_elems;
  nib_direct_for(d, "b", k / size);
  decode_block(d, w, filter, nib_expr_printf("%s * %lld + b", column, k / size).s);
  nib_direct_for(d, "i", size);
  nib_expr index = nib_expr_printf("%s * %lld + b * %lld + i", row, k, size);
  nib_text_line(d->t, "acc += %s * w[i];", decoded(x, input, index.s).s);
  nib_text_close(d->t, "");
  nib_text_close(d->t, "");
}

void nib_direct_block_columns(nib_direct *d, const nib_node *n, const char *lhs, const char *rhs,
                              const char *result) {
  const nib_tensor *a = nib_node_input(d->g, n, 0), *b = nib_node_input(d->g, n, 1);
  const nib_format_info *info = nib_format_get(b->format);
  const long long columns = b->dims[b->rank - 1], size = info->block_elems;
  const char *type = nib_direct_value_type(a->format);
  nib_direct_for(d, "c", columns / size);
  nib_text_line(d->t, "%s acc[%lld] = {0};", type, size);
  nib_direct_for(d, "k", a->dims[a->rank - 1]);
  nib_text_line(d->t, "const %s x = %s;", type, decoded(a, lhs, "k").s);
  decode_block(d, b, rhs, nib_expr_printf("k * %lld + c", columns / size).s);
  nib_direct_for(d, "j", size);
  nib_text_line(d->t, "acc[j] += x * w[j];");
  nib_text_close(d->t, "");
  nib_text_close(d->t, "");
  nib_direct_for(d, "j", size);
  nib_direct_put(d, nib_expr_printf("%sc * %lld + j", result, size).s, "acc[j]");
  nib_text_close(d->t, "");
  nib_text_close(d->t, "");
}

void nib_direct_decode_rows(nib_direct *d, const nib_node *n, const char *from,
                            const char *from_row, const char *to, const char *to_row,
                            int64_t row_elems) {
  const nib_tensor *x = nib_node_input(d->g, n, 0), *y = nib_direct_result(d, n);
  const long long elems = row_elems, size = nib_format_get(x->format)->block_elems;
  if (!nib_direct_is_block(x)) {
    nib_direct_for(d, "e", elems);
    nib_expr value = decoded(x, from, nib_expr_printf("%s * %lld + e", from_row, elems).s);
    nib_text_line(d->t, "%s[%s * %lld + e] = %s;", to, to_row, elems,
                  nib_direct_encode(y->format, value.s, false).s);
    nib_text_close(d->t, "");
    return;
  }
  nib_direct_for(d, "b", elems / size);
  decode_block(d, x, from, nib_expr_printf("%s * %lld + b", from_row, elems / size).s);
  nib_direct_for(d, "e", size);
  nib_text_line(d->t, "%s[%s * %lld + b * %lld + e] = %s;", to, to_row, elems, size,
                nib_direct_encode(y->format, "w[e]", false).s);
  nib_text_close(d->t, "");
  nib_text_close(d->t, "");
}

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Weights in blocks that share a scale: each block is decoded to f32 where it is read.
#include "schedule/direct.h"

#include "num/block.h"

#include <math.h>

bool nib_direct_is_block(const nib_tensor *t) {
  return nib_format_get(t->format)->kind == NIB_KIND_BLOCK;
}

bool nib_direct_reads_weights(const nib_tensor *t) {
  return nib_direct_is_float(t) || nib_direct_is_block(t) ||
         nib_format_get(t->format)->kind == NIB_KIND_CODEBOOK;
}

/* ---- parts of a block: expressions of `q`, its bytes ---- */

/* Code number `i` (a simple expression) of a field of `count` codes. */
static nib_expr field_code(const nib_bit_field *f, const char *i, int count) {
  const int per_byte = f->bits < 8 && 8 % f->bits == 0 ? 8 / f->bits : 1;
  const unsigned mask = f->bits < 32 ? (1u << f->bits) - 1 : ~0u;
  const bool one_chunk = f->chunk == 0 || f->chunk >= count;
  if (f->at % 8 == 0 && f->bits == 8 && f->stride == 8 && f->run == 0 && one_chunk)
    return nib_expr_printf("(uint32_t)q[%d + %s]", f->at / 8, i);
  if (f->at % 8 == 0 && per_byte > 1 && f->stride == f->bits && f->run == 0 && one_chunk)
    return nib_expr_printf("((uint32_t)q[%d + %s / %d] >> (%s %% %d * %d) & %uu)", f->at / 8, i,
                           per_byte, i, per_byte, f->bits, mask);
  /* Runs of bytes: bits of a code never leave their byte. */
  const int chunk = one_chunk ? count : f->chunk;
  if (f->stride == 8 && f->run > 0 && f->chunk_step % 8 == 0 &&
      f->at % 8 + (chunk - 1) / f->run * f->step + f->bits <= 8) {
    nib_expr in_chunk =
        one_chunk ? nib_expr_printf("%s", i) : nib_expr_printf("%s %% %d", i, chunk);
    nib_expr start =
        one_chunk ? nib_expr_printf("%d", f->at / 8)
                  : nib_expr_printf("%d + %s / %d * %d", f->at / 8, i, chunk, f->chunk_step / 8);
    return nib_expr_printf("((uint32_t)q[%s + %s %% %d] >> (%d + %s / %d * %d) & %uu)", start.s,
                           in_chunk.s, f->run, f->at % 8, in_chunk.s, f->run, f->step, mask);
  }
  return nib_expr_printf("nib_bit_field_at(q, (int)(%s), %d, %d, %d, %d, %d, %d, %d)", i, f->at,
                         f->bits, f->stride, f->run, f->step, f->chunk, f->chunk_step);
}

static nib_expr split_code(const nib_split_field *f, const char *i, int count) {
  nib_expr low = field_code(&f->low, i, count);
  if (!f->high.bits)
    return low;
  return nib_expr_printf("(%s | %s << %d)", low.s, field_code(&f->high, i, count).s, f->low.bits);
}

static nib_expr codebook_values(nib_direct *d, nib_format format) {
  const int n = 1 << nib_format_get(format)->bits;
  float values[256];
  for (int i = 0; i < n && i < 256; ++i)
    values[i] = (float)nib_format_decode(format, (uint64_t)i);
  return nib_direct_constant(d, "codebook", "float", values, (size_t)n * sizeof *values);
}

nib_expr nib_direct_codebook_code(nib_direct *d, nib_format format, const char *x,
                                  nib_encode_mode mode) {
  return nib_expr_printf("nib_codebook_code(%s, %d, %s, %d, 0)", codebook_values(d, format).s,
                         1 << nib_format_get(format)->bits, x, mode);
}

/* The float that `code` (of type uint32_t) means in a format of scalars. */
static nib_expr scalar_value(nib_direct *d, nib_format format, const char *code) {
  const nib_format_info *info = nib_format_get(format);
  switch (info->kind) {
  case NIB_KIND_FLOAT:
    if (format == NIB_F32)
      return nib_expr_printf("nib_bits_to_f32(%s)", code);
    return nib_direct_decode(format, nib_expr_printf("(%s)(%s)", info->c_type, code).s);
  case NIB_KIND_SIGNED:
    return nib_expr_printf("(float)((int32_t)(%s ^ %uu) - %d)", code, 1u << (info->bits - 1),
                           1 << (info->bits - 1));
  case NIB_KIND_BIPOLAR:
    return nib_expr_printf("(float)(2 * (int32_t)%s - %d)", code, (1 << info->bits) - 1);
  case NIB_KIND_CODEBOOK:
    return nib_expr_printf("%s[%s]", codebook_values(d, format).s, code);
  default:
    return nib_expr_printf("(float)%s", code);
  }
}

nib_expr nib_direct_real(nib_direct *d, nib_format format, const char *code) {
  return nib_format_get(format)->kind == NIB_KIND_CODEBOOK ? scalar_value(d, format, code)
                                                           : nib_direct_decode(format, code);
}

/* A number of whole bytes in the block. */
nib_expr nib_direct_block_number(nib_direct *d, nib_format format, int at) {
  const int bytes = (nib_format_get(format)->bits + 7) / 8;
  nib_expr code = nib_expr_printf("(uint32_t)q[%d]", at);
  for (int i = 1; i < bytes; ++i)
    code = nib_expr_printf("%s | (uint32_t)q[%d] << %d", code.s, at + i, 8 * i);
  return scalar_value(d, format, nib_expr_printf("(%s)", code.s).s);
}

/* Declares `name`, a factor of the block times one of the group g; the arithmetic of block.c. */
static void declare_scale(nib_direct *d, const nib_block_layout *b, int groups) {
  nib_expr scale = b->scale == NIB_NO_FORMAT ? nib_expr_printf("1.0f")
                                             : nib_direct_block_number(d, (nib_format)b->scale, b->scale_at);
  if (b->group_elems) {
    nib_expr group =
        scalar_value(d, (nib_format)b->group_scale, split_code(&b->group_scales, "g", groups).s);
    if (b->group_scale_zero)
      group = nib_expr_printf("(%s - %d.0f)", group.s, b->group_scale_zero);
    scale = nib_expr_printf("%s * %s", scale.s, group.s);
  }
  nib_text_line(d->t, "const float scale = %s;", scale.s);
}

static void declare_offset(nib_direct *d, const nib_block_layout *b, int groups) {
  nib_expr offset = nib_direct_block_number(d, (nib_format)b->offset, b->offset_at);
  if (b->group_offsets.low.bits)
    offset =
        nib_expr_printf("%s * (float)%s", offset.s, split_code(&b->group_offsets, "g", groups).s);
  nib_text_line(d->t, "const float offset = %s%s;", b->offset_is_subtracted ? "-" : "", offset.s);
}

static nib_expr element_value(nib_direct *d, const nib_block_layout *b, const char *i, int count) {
  nib_expr code = b->packing == NIB_PACKING_TQ1_0
                      ? nib_expr_printf("nib_tq1_0_code(q, (int)(%s))", i)
                      : split_code(&b->codes, i, count);
  nib_expr value = scalar_value(d, (nib_format)b->element, code.s);
  if (b->zero != NIB_NO_FORMAT)
    value = nib_expr_printf("(%s - zero)", value.s);
  else if (b->element_zero)
    value = nib_expr_printf("(%s - %d.0f)", value.s, b->element_zero);
  if (b->element_exponent)
    value = nib_expr_printf("%s * %s", value.s, nib_direct_f32(ldexpf(1, b->element_exponent)).s);
  return value;
}

void nib_direct_decode_block(nib_direct *d, const char *name, const nib_tensor *t,
                             const char *pointer, const char *block) {
  const nib_format_info *info = nib_format_get(t->format);
  const nib_block_layout *b = &info->block;
  const int size = info->block_elems, group = nib_block_group_elems(info);
  const bool adds = b->offset != NIB_NO_FORMAT;
  nib_text_line(d->t, "float %s[%d];", name, size);
  nib_text_open(d->t, "{");
  nib_text_line(d->t, "const uint8_t *const q = %s + (%s) * %d; /* %s */", pointer, block,
                info->block_bytes, info->name);
  if (b->zero != NIB_NO_FORMAT)
    nib_text_line(d->t, "const float zero = %s;",
                  scalar_value(d, (nib_format)b->zero, field_code(&b->zero_field, "0", 1).s).s);
  if (group < size)
    nib_direct_for(d, "g", size / group);
  declare_scale(d, b, size / group);
  if (adds)
    declare_offset(d, b, size / group);
  nib_direct_for(d, "e", group);
  if (group < size)
    nib_text_line(d->t, "const %s i = g * %d + e;", d->index, group);
  const char *i = group < size ? "i" : "e";
  nib_text_line(d->t, "%s[%s] = scale * (%s)%s;", name, i, element_value(d, b, i, size).s,
                adds ? " + offset" : "");
  nib_text_close(d->t, "");
  if (group < size)
    nib_text_close(d->t, "");
  nib_text_close(d->t, "");
}

static nib_expr decoded(nib_direct *d, const nib_tensor *t, const char *pointer,
                        const char *index) {
  return nib_direct_real(d, t->format, nib_expr_printf("%s[%s]", pointer, index).s);
}

nib_expr nib_direct_open_columns(nib_direct *d, const nib_tensor *t, const char *pointer,
                                 const char *start) {
  const long long columns = t->dims[t->rank - 1], size = nib_format_get(t->format)->block_elems;
  if (!nib_direct_is_block(t)) {
    nib_direct_for(d, "k", columns);
    return nib_expr_printf("%s[%sk]", pointer, start);
  }
  nib_direct_for(d, "kb", columns / size);
  nib_direct_decode_block(d, "x", t, pointer, nib_expr_printf("(%s0) / %lld + kb", start, size).s);
  nib_direct_for(d, "e", size);
  nib_text_line(d->t, "const %s k = kb * %lld + e;", d->index, size);
  return nib_expr_printf("x[e]");
}

void nib_direct_close_columns(nib_direct *d, const nib_tensor *t) {
  nib_text_close(d->t, "");
  if (nib_direct_is_block(t))
    nib_text_close(d->t, "");
}

void nib_direct_block_columns(nib_direct *d, const nib_node *n, const char *lhs,
                              const char *lhs_start, const char *rhs, const char *rhs_start,
                              const char *result) {
  const nib_tensor *a = nib_node_input(d->g, n, 0), *b = nib_node_input(d->g, n, 1);
  const nib_format_info *info = nib_format_get(b->format);
  const long long columns = b->dims[b->rank - 1], size = info->block_elems;
  const char *type = nib_direct_value_type(nib_direct_result(d, n)->format);
  nib_direct_each(d, "c", columns / size);
  nib_text_line(d->t, "%s acc[%lld] = {0};", type, size);
  nib_expr x = nib_direct_open_columns(d, a, lhs, lhs_start);
  nib_text_line(d->t, "const %s factor = %s;", type, nib_direct_real(d, a->format, x.s).s);
  nib_direct_decode_block(
      d, "w", b, rhs,
      nib_expr_printf("(%s0) / %lld + k * %lld + c", rhs_start, size, columns / size).s);
  nib_direct_for(d, "j", size);
  nib_text_line(d->t, "acc[j] += factor * w[j];");
  nib_text_close(d->t, "");
  nib_direct_close_columns(d, a);
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
    nib_direct_each(d, "e", elems);
    nib_expr value = decoded(d, x, from, nib_expr_printf("%s * %lld + e", from_row, elems).s);
    nib_text_line(d->t, "%s[%s * %lld + e] = %s;", to, to_row, elems,
                  nib_direct_encode(y->format, value.s, false).s);
    nib_text_close(d->t, "");
    return;
  }
  nib_direct_each(d, "b", elems / size);
  nib_direct_decode_block(d, "w", x, from,
                          nib_expr_printf("%s * %lld + b", from_row, elems / size).s);
  nib_direct_for(d, "e", size);
  nib_text_line(d->t, "%s[%s * %lld + b * %lld + e] = %s;", to, to_row, elems, size,
                nib_direct_encode(y->format, "w[e]", false).s);
  nib_text_close(d->t, "");
  nib_text_close(d->t, "");
}

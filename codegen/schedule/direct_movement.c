// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Data movement: boxes of elements copied from a strided place to another, as runs of memcpy where
// both sides are contiguous.
#include "schedule/copy_box.h"
#include "schedule/direct.h"

#include "emit/storage.h"
#include "graph/pieces.h"
#include "params/params.h"

#include <stdio.h>
#include <string.h>

/* "3 + a * 12 + b": an index from loop variables a, b … */
static nib_expr index_of(int64_t offset, const int64_t *strides, int32_t rank) {
  nib_expr sum = {""};
  if (offset || rank == 0)
    sum = nib_expr_printf("%lld", (long long)offset);
  for (int32_t i = 0; i < rank; ++i) {
    const int64_t stride = strides[i];
    if (stride == 0)
      continue;
    const char *sign = stride < 0 ? " - " : " + ";
    nib_expr part =
        stride == 1 || stride == -1
            ? nib_expr_printf("%c", 'a' + i)
            : nib_expr_printf("%c * %lld", 'a' + i, (long long)(stride < 0 ? -stride : stride));
    sum = nib_expr_printf("%s%s%s", sum.s, sum.s[0] ? sign : stride < 0 ? "-" : "", part.s);
  }
  return sum.s[0] ? sum : nib_expr_printf("0");
}

static nib_expr advance(const char *pointer, nib_expr index) {
  return strcmp(index.s, "0") == 0 ? nib_expr_printf("%s", pointer)
                                   : nib_expr_printf("%s + %s", pointer, index.s);
}

enum { MOST_TOGETHER = 8 };

/* The dimension of few elements that lie side by side on one side, but not on the other: compilers
 * find vectors in a loop around all of them, not in a loop over them. -1: there is none. */
static int32_t few_side_by_side(const nib_copy_box *b) {
  for (int32_t i = b->rank - 1; i >= 0 && b->rank > 1; --i)
    if (b->dims[i] <= MOST_TOGETHER && (b->to_stride[i] == 1 || b->from_stride[i] == 1))
      return i;
  return -1;
}

/* What is inside of the loops of a box: `count` elements, `from_step` and `to_step` apart. */
static void copy_elements(nib_direct *d, nib_copy_box b, const char *from, const char *to,
                          int64_t count, int64_t from_step, int64_t to_step) {
  for (int64_t k = 0; k < count; ++k) {
    nib_text_line(d->t, "%s[%s] = %s[%s];", to, index_of(b.to_offset, b.to_stride, b.rank).s, from,
                  index_of(b.from_offset, b.from_stride, b.rank).s);
    b.from_offset += from_step;
    b.to_offset += to_step;
  }
}

/* Emits the loops of a box. `change` is an expression of the element `x`; NULL copies. */
static void copy_changed(nib_direct *d, nib_copy_box b, const char *from, const char *to,
                         size_t element, const nib_expr *change) {
  for (int32_t i = 0; i < b.rank; ++i)
    if (b.dims[i] == 0)
      return;
  nib_copy_box_simplify(&b);
  const int32_t last = b.rank - 1;
  const bool run =
      !change && !d->grid && (b.rank == 0 || (b.from_stride[last] == 1 && b.to_stride[last] == 1));
  const int32_t few = run || change || d->grid || d->e->size ? -1 : few_side_by_side(&b);
  const int32_t inside = run && b.rank > 0 ? last : few;
  const int64_t count = inside >= 0 ? b.dims[inside] : 1;
  const int64_t from_step = inside >= 0 ? b.from_stride[inside] : 0;
  const int64_t to_step = inside >= 0 ? b.to_stride[inside] : 0;
  if (inside >= 0)
    nib_copy_box_take_out(&b, inside);
  for (int32_t i = 0; i < b.rank; ++i) {
    char var[] = {(char)('a' + i), 0};
    nib_direct_each(d, var, b.dims[i]);
  }
  if (change && b.rank == 0)
    nib_text_open(d->t, "{");
  nib_expr from_index = index_of(b.from_offset, b.from_stride, b.rank);
  nib_expr to_index = index_of(b.to_offset, b.to_stride, b.rank);
  if (run && inside >= 0) {
    nib_text_line(d->t, "memcpy(%s, %s, %lld);", advance(to, to_index).s,
                  advance(from, from_index).s, (long long)(count * (int64_t)element));
  } else if (change) {
    nib_text_line(d->t, "const int32_t x = %s[%s];", from, from_index.s);
    nib_text_line(d->t, "%s[%s] = %s;", to, to_index.s, change->s);
  } else {
    copy_elements(d, b, from, to, count, from_step, to_step);
  }
  for (int32_t i = 0; i < b.rank + (change && b.rank == 0); ++i)
    nib_text_close(d->t, "");
}

static void copy_box(nib_direct *d, nib_copy_box b, const char *from, const char *to,
                     size_t element) {
  copy_changed(d, b, from, to, element, NULL);
}

static size_t element_bytes(const nib_direct *d, const nib_node *n) {
  return nib_format_bytes(d->g->tensors[n->out].format);
}

void nib_direct_copy(nib_direct *d, const nib_node *n) {
  nib_expr from = nib_direct_pointer(d, n->in[0], "input");
  nib_expr to = nib_direct_result_pointer(d, n);
  if (d->grid) {
    nib_direct_each(d, "i", (int64_t)nib_tensor_bytes(&d->g->tensors[n->out]));
    nib_text_line(d->t, "((uint8_t *)%s)[i] = ((const uint8_t *)%s)[i];", to.s, from.s);
    nib_text_close(d->t, "");
    return;
  }
  nib_text_line(d->t, "memcpy(%s, %s, %zu);", to.s, from.s,
                nib_tensor_bytes(&d->g->tensors[n->out]));
}

/* Whether packing moves no bits. */
static bool is_packed(const nib_tensor *t) {
  return nib_format_packed_bytes(t->format, nib_tensor_elems(t)) == nib_tensor_bytes(t) &&
         nib_format_packed_bytes(t->format, 8) == nib_format_storage_bytes(t->format, 8);
}

void nib_direct_pack(nib_direct *d, const nib_node *n) {
  const nib_tensor *x = nib_node_input(d->g, n, 0);
  if (is_packed(x)) {
    nib_direct_copy(d, n);
    return;
  }
  nib_expr from = nib_direct_pointer(d, n->in[0], "input");
  nib_expr to = nib_direct_result_pointer(d, n);
  nib_direct_for(d, "i", nib_tensor_elems(x));
  if (x->format == NIB_TERNARY)
    nib_text_line(d->t, "nib_pack_ternary((uint8_t *)%s, i, %s[i]);", to.s, from.s);
  else
    nib_text_line(d->t, "nib_pack_code((uint8_t *)%s, i, %d, (uint32_t)%s[i]);", to.s,
                  nib_format_get(x->format)->bits, from.s);
  nib_text_close(d->t, "");
}

void nib_direct_unpack(nib_direct *d, const nib_node *n) {
  const nib_tensor *y = &d->g->tensors[n->out];
  const nib_format_info *info = nib_format_get(y->format);
  if (is_packed(y)) {
    nib_direct_copy(d, n);
    return;
  }
  nib_expr from = nib_direct_pointer(d, n->in[0], "input");
  nib_expr to = nib_direct_result_pointer(d, n);
  nib_direct_each(d, "i", nib_tensor_elems(y));
  nib_expr code =
      y->format == NIB_TERNARY
          ? nib_expr_printf("nib_packed_ternary((const uint8_t *)%s, i)", from.s)
          : nib_expr_printf("nib_packed_code((const uint8_t *)%s, i, %d)", from.s, info->bits);
  if (info->kind == NIB_KIND_SIGNED && y->format != NIB_TERNARY)
    code = nib_expr_printf("((int32_t)(%s ^ %uu) - %d)", code.s, 1u << (info->bits - 1),
                           1 << (info->bits - 1));
  nib_text_line(d->t, "%s[i] = (%s)%s;", to.s, info->c_type, code.s);
  nib_text_close(d->t, "");
}

void nib_direct_transpose(nib_direct *d, const nib_node *n) {
  nib_copy_box b;
  nib_copy_box_transpose(d->g, n, &b);
  copy_box(d, b, nib_direct_pointer(d, n->in[0], "input").s, nib_direct_result_pointer(d, n).s,
           element_bytes(d, n));
}

void nib_direct_broadcast(nib_direct *d, const nib_node *n) {
  const nib_tensor *x = nib_node_input(d->g, n, 0), *y = &d->g->tensors[n->out];
  int64_t strides[NIB_MAX_RANK];
  nib_copy_box b = {.rank = y->rank};
  nib_copy_box_strides(x, strides);
  nib_copy_box_strides(y, b.to_stride);
  memcpy(b.dims, y->dims, sizeof b.dims);
  for (int32_t i = 0; i < y->rank; ++i) {
    const int32_t from = i - (y->rank - x->rank);
    b.from_stride[i] = from < 0 || x->dims[from] == 1 ? 0 : strides[from];
  }
  copy_box(d, b, nib_direct_pointer(d, n->in[0], "input").s, nib_direct_result_pointer(d, n).s,
           element_bytes(d, n));
}

/* Whether operand `slot` of `n` and the result are planned as the same memory. */
static bool is_in_place(const nib_direct *d, const nib_node *n, int32_t slot) {
  nib_piece piece;
  if (!nib_piece_of(d->g, n, slot, &piece))
    return false;
  const nib_storage whole = nib_storage_of(d->g, piece.whole);
  const nib_storage part = nib_storage_of(d->g, piece.part);
  return whole.kind == NIB_STORAGE_ARENA && part.kind == NIB_STORAGE_ARENA &&
         part.offset == whole.offset + piece.offset_bytes;
}

/* An operand at another scale than the result: the code of `x`, by the rule of the rounding. TFLite
 * computes x * (sx / sy) - zx * (sx / sy) in f32. */
static nib_expr concat_code(nib_direct *d, const nib_node *n, const nib_tensor *x) {
  const nib_tensor *y = &d->g->tensors[n->out];
  const nib_format_info *f = nib_format_get(y->format);
  const nib_rounding rounding = nib_node_rounding(d->g, n);
  if (nib_direct_by_reals(rounding)) {
    nib_expr real = nib_expr_printf("(float)%s * %s", nib_direct_minus("x", x->zero_point).s,
                                    nib_direct_f32((float)x->scale).s);
    nib_expr code = nib_direct_quantize(d, n, rounding, real.s, f->min, f->max);
    return nib_expr_printf("(%s)%s", f->c_type, code.s);
  }
  const float scale = (float)x->scale * (1.0f / (float)y->scale);
  const float bias = (float)-x->zero_point * scale;
  nib_expr real = nib_expr_printf("(int32_t)roundf((float)x * %s + %s)", nib_direct_f32(scale).s,
                                  nib_direct_f32(bias).s);
  nib_expr code = nib_direct_saturate(d, n, real.s, y->zero_point, f->min, f->max);
  return nib_expr_printf("(%s)%s", f->c_type, code.s);
}

void nib_direct_concat(nib_direct *d, const nib_node *n) {
  const nib_tensor *y = &d->g->tensors[n->out];
  int64_t axis = nib_node_int(n, NIB_A_AXIS, 0), at = 0;
  if (axis < 0)
    axis += y->rank;
  nib_expr to = nib_direct_result_pointer(d, n);
  for (int32_t i = 0; i < n->n_in; ++i) {
    const nib_tensor *x = nib_node_input(d->g, n, i);
    char hint[32];
    snprintf(hint, sizeof hint, "input%d", i);
    nib_expr from = nib_direct_pointer(d, n->in[i], hint);
    nib_copy_box b = {.rank = y->rank};
    nib_copy_box_strides(x, b.from_stride);
    nib_copy_box_strides(y, b.to_stride);
    memcpy(b.dims, x->dims, sizeof b.dims);
    b.to_offset = at * b.to_stride[axis];
    at += x->dims[axis];
    if (is_in_place(d, n, i)) {
      nib_text_line(d->t, "(void)%s, (void)%s; /* its kernel writes into the result */", from.s,
                    to.s);
      continue;
    }
    const bool rescaled = x->quantized && y->quantized && !nib_direct_same_codes(x, y) &&
                          nib_format_get(y->format)->kind != NIB_KIND_FLOAT;
    nib_expr change = rescaled ? concat_code(d, n, x) : (nib_expr){""};
    copy_changed(d, b, from.s, to.s, element_bytes(d, n), rescaled ? &change : NULL);
  }
}

static void copy_slice(nib_direct *d, const nib_node *n, bool stepped) {
  const nib_tensor *x = nib_node_input(d->g, n, 0), *y = &d->g->tensors[n->out];
  nib_copy_box b = {.rank = y->rank};
  nib_copy_box_strides(x, b.from_stride);
  nib_copy_box_strides(y, b.to_stride);
  memcpy(b.dims, y->dims, sizeof b.dims);
  for (int32_t i = 0; i < y->rank; ++i) {
    const int64_t begin = nib_node_ints_at(n, NIB_A_BEGIN, i, 0);
    b.from_offset += (begin < 0 ? begin + x->dims[i] : begin) * b.from_stride[i];
    b.from_stride[i] *= stepped ? nib_node_ints_at(n, NIB_A_STEPS, i, 1) : 1;
  }
  const nib_expr from = nib_direct_pointer(d, n->in[0], "input");
  const nib_expr to = nib_direct_result_pointer(d, n);
  if (!stepped && is_in_place(d, n, 0))
    nib_text_line(d->t, "(void)%s, (void)%s; /* the result lies in the operand */", from.s, to.s);
  else
    copy_box(d, b, from.s, to.s, element_bytes(d, n));
}

void nib_direct_slice(nib_direct *d, const nib_node *n) { copy_slice(d, n, false); }
void nib_direct_strided_slice(nib_direct *d, const nib_node *n) { copy_slice(d, n, true); }

/* The code, or real value, that padding holds. */
static nib_expr pad_literal(const nib_direct *d, const nib_node *n) {
  const nib_tensor *x = nib_node_input(d->g, n, 0);
  const double value =
      nib_node_float(n, NIB_A_PAD_VALUE, x->quantized ? (double)x->zero_point : 0.0);
  if (nib_direct_is_stored_real(x->format))
    return nib_direct_i64(
        (int64_t)nib_format_encode(x->format, value, NIB_ENCODE_NEAREST_EVEN, false, 0));
  if (x->format == NIB_F64)
    return nib_expr_printf("%.17g", value);
  if (nib_format_get(x->format)->kind == NIB_KIND_FLOAT)
    return nib_direct_f32((float)value);
  return nib_direct_i64((int64_t)value);
}

void nib_direct_pad(nib_direct *d, const nib_node *n) {
  const nib_tensor *x = nib_node_input(d->g, n, 0), *y = &d->g->tensors[n->out];
  const size_t bytes = nib_tensor_bytes(y);
  nib_expr to = nib_direct_result_pointer(d, n), value = pad_literal(d, n);
  nib_copy_box b = {.rank = y->rank};
  nib_copy_box_strides(x, b.from_stride);
  nib_copy_box_strides(y, b.to_stride);
  for (int32_t i = 0; i < y->rank; ++i) {
    /* Negative padding crops. */
    const int64_t low = nib_node_ints_at(n, NIB_A_LOW, i, 0);
    const int64_t first = low < 0 ? -low : 0, room = y->dims[i] - (low > 0 ? low : 0);
    b.dims[i] = x->dims[i] - first < room ? x->dims[i] - first : room;
    b.from_offset += first * b.from_stride[i];
    b.to_offset += (low > 0 ? low : 0) * b.to_stride[i];
    if (b.dims[i] < 0)
      b.dims[i] = 0;
  }
  if (element_bytes(d, n) == 1) {
    nib_text_line(d->t, "memset(%s, %s, %zu);", to.s, value.s, bytes);
  } else {
    nib_direct_for(d, "i", nib_tensor_elems(y));
    nib_text_line(d->t, "%s[i] = %s;", to.s, value.s);
    nib_text_close(d->t, "");
  }
  copy_box(d, b, nib_direct_pointer(d, n->in[0], "input").s, to.s, element_bytes(d, n));
}

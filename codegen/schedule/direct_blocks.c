// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Casts between reals and blocks: a block is decoded at once; encoding finds the scale of a block
// by the format's rule, then the codes, in the arithmetic of num/block_encode.c.
#include "schedule/direct.h"

#include "num/block.h"

#include <math.h>

static bool has_mode(const nib_node *n) { return nib_node_attr(n, NIB_A_MODE) != NULL; }

/* The source's own arithmetic, where no mode is said. */
static bool as_source(const nib_block_layout *b, const nib_node *n) {
  return !has_mode(n) && (b->rounding == NIB_SOURCE_HALF_UP || b->rounding == NIB_SOURCE_HALF_AWAY);
}

/* Reals with all of their bits, or E8M0. */
static bool is_whole_real(nib_format format) {
  const nib_format_info *f = nib_format_get(format);
  return f->kind == NIB_KIND_FLOAT && f->bits <= 32 &&
         (f->real.specials == NIB_SPECIALS_SCALE ||
          f->bits > f->real.exponent_bits + f->real.mantissa_bits);
}

/* Whether blocks of `info` have one scale and nothing else, which generated code can find. */
static bool can_encode(const nib_format_info *info, const nib_node *n) {
  const nib_block_layout *b = &info->block;
  const nib_format_kind element = nib_format_get((nib_format)b->element)->kind;
  const bool searches =
      b->rounding == NIB_SOURCE_LEAST_ERROR || b->rounding == NIB_SOURCE_MIDPOINTS;
  return b->packing == NIB_PACKING_FIELDS && !b->group_elems && b->zero == NIB_NO_FORMAT &&
         b->offset == NIB_NO_FORMAT && b->scale_rule != NIB_SCALE_RULE_RANGE &&
         is_whole_real((nib_format)b->scale) && (has_mode(n) || !searches) &&
         (element != NIB_KIND_FLOAT || is_whole_real((nib_format)b->element)) &&
         element != NIB_KIND_BIPOLAR && nib_format_get((nib_format)b->element)->bits <= 16;
}

bool nib_direct_is_block_cast(const nib_graph *g, const nib_node *n) {
  return n->op == NIB_OP_CAST &&
         (nib_direct_is_block(nib_node_input(g, n, 0)) || nib_direct_is_block(&g->tensors[n->out]));
}

bool nib_direct_block_cast_accepts(const nib_graph *g, const nib_node *n) {
  const nib_tensor *x = nib_node_input(g, n, 0), *y = &g->tensors[n->out];
  return nib_direct_is_block(y) ? nib_direct_is_float(x) && can_encode(nib_format_get(y->format), n)
                                : nib_direct_is_float(y);
}

static nib_expr f64(double v) { return nib_expr_printf("%.17g", v); }

/* The scale that the rule gives, from `magnitude` and `extreme`. */
static void declare_scale(nib_direct *d, const nib_block_layout *b) {
  double low, high;
  int exponent;
  nib_block_element_range(b, &low, &high);
  const double greatest = high * ldexp(1, b->element_exponent);
  frexp(greatest, &exponent);
  switch (b->scale_rule) {
  case NIB_SCALE_RULE_SIGNED_MAX:
    nib_text_line(d->t, "const float scale = extreme / %s;", nib_direct_f32((float)low).s);
    break;
  case NIB_SCALE_RULE_FLOOR_POW2:
    nib_text_line(d->t,
                  "const float scale = magnitude == 0 ? 0.0f : (float)ldexp(1.0, "
                  "ilogb((double)magnitude) - %d);",
                  exponent - 1);
    break;
  case NIB_SCALE_RULE_CEIL_POW2:
    nib_text_line(d->t, "const double ratio = (double)magnitude / %s;", f64(greatest).s);
    nib_text_line(d->t, "const int floor_log2 = magnitude == 0 ? 0 : ilogb(ratio);");
    nib_text_line(d->t,
                  "const float scale = magnitude == 0 ? 0.0f : (float)ldexp(1.0, floor_log2 + "
                  "(ldexp(1.0, floor_log2) < ratio));");
    break;
  default:
    nib_text_line(d->t, "const float scale = magnitude / %s;", nib_direct_f32((float)greatest).s);
  }
}

/* An expression of the code of the double `x` in a scalar format that holds reals or integers. */
static nib_expr code_of(nib_direct *d, nib_format format, const char *x, nib_encode_mode mode) {
  static const char *const roundings[] = {"nearbyint", "round", "trunc", "ceil", "floor"};
  const nib_format_info *f = nib_format_get(format);
  const nib_real_layout *r = &f->real;
  if (f->kind == NIB_KIND_FLOAT)
    return nib_expr_printf("nib_minifloat_encode(%s, %d, %d, %d, %d, %d, 1, 0)", x,
                           r->exponent_bits, r->mantissa_bits, r->bias, r->specials, mode);
  if (f->kind == NIB_KIND_CODEBOOK)
    return nib_direct_codebook_code(d, format, x, mode);
  return nib_expr_printf("(uint32_t)nib_real_to_int(%s(%s), %lld, %lld)", roundings[mode], x,
                         (long long)f->min, (long long)f->max);
}

/* Stores `scale`, and declares the double `stored`, what can be read back of it. */
static void store_scale(nib_direct *d, const nib_block_layout *b, bool read_back) {
  const nib_format format = (nib_format)b->scale;
  const nib_format_info *f = nib_format_get(format);
  const nib_encode_mode mode =
      b->scale_rule == NIB_SCALE_RULE_CEIL_POW2 ? NIB_ENCODE_UP : NIB_ENCODE_NEAREST_EVEN;
  nib_text_line(d->t, "const uint32_t scale_code = %s;",
                code_of(d, format, "(double)scale", mode).s);
  for (int i = 0; i < (f->bits + 7) / 8; ++i)
    nib_text_line(d->t, "q[%d] = (uint8_t)(scale_code >> %d);", b->scale_at + i, 8 * i);
  if (!read_back)
    return;
  nib_expr code = nib_expr_printf("(%s)scale_code", f->c_type);
  nib_text_line(
      d->t, "const double unit = %s%s;",
      format == NIB_F32 ? "(double)scale" : nib_direct_decode(format, code.s).s,
      b->element_exponent ? nib_expr_printf(" * %s", f64(ldexp(1, b->element_exponent)).s).s : "");
}

/* An expression of the code of element `x` by the source's float arithmetic. */
static nib_expr source_code(const nib_block_layout *b) {
  const nib_format_info *f = nib_format_get((nib_format)b->element);
  nib_expr code =
      b->rounding == NIB_SOURCE_HALF_UP
          ? nib_expr_printf("truncf(scaled + %s)", nib_direct_f32((float)b->element_zero + 0.5f).s)
          : nib_expr_printf("roundf(scaled) + %s", nib_direct_f32((float)b->element_zero).s);
  return nib_expr_printf("(uint32_t)nib_real_to_int((double)(%s), %lld, %lld)", code.s,
                         (long long)f->min, (long long)f->max);
}

/* The element as a multiple of the stored scale, within the range of codes. */
static void declare_clipped(nib_direct *d, const nib_block_layout *b) {
  double low, high;
  nib_block_element_range(b, &low, &high);
  const bool has_nan = nib_format_get((nib_format)b->element)->kind == NIB_KIND_FLOAT;
  nib_text_line(d->t, "const double quotient = unit == 0 ? 0 : (double)x / unit;");
  nib_text_line(
      d->t, "const double clipped = (quotient != quotient ? %s : fmin(fmax(quotient, %s), %s))%s;",
      has_nan ? "quotient" : "0", f64(low).s, f64(high).s,
      nib_expr_printf(" + %d.0", b->element_zero).s);
}

static void put_bits(nib_direct *d, const nib_bit_field *f, const char *code) {
  if (f->at % 8 == 0 && f->bits == 8 && f->stride == 8 && !f->run && !f->chunk)
    nib_text_line(d->t, "q[%d + e] = (uint8_t)(%s);", f->at / 8, code);
  else
    nib_text_line(d->t, "nib_bit_field_put(q, (int)e, %d, %d, %d, %d, %d, %d, %d, %s);", f->at,
                  f->bits, f->stride, f->run, f->step, f->chunk, f->chunk_step, code);
}

static void put_code(nib_direct *d, const nib_block_layout *b, const char *code) {
  const nib_split_field *f = &b->codes;
  nib_text_line(d->t, "const uint32_t code = %s;", code);
  put_bits(d, &f->low, "code");
  if (f->high.bits)
    put_bits(d, &f->high, nib_expr_printf("code >> %d", f->low.bits).s);
}

static void encode_blocks(nib_direct *d, const nib_node *n, const char *from, const char *to) {
  const nib_tensor *x = nib_node_input(d->g, n, 0), *y = nib_direct_result(d, n);
  const nib_format_info *info = nib_format_get(y->format);
  const nib_block_layout *b = &info->block;
  const long long size = info->block_elems;
  const bool source = as_source(b, n), is_signed = b->scale_rule == NIB_SCALE_RULE_SIGNED_MAX;
  nib_expr element = nib_expr_printf(
      "const float x = (float)%s;",
      nib_direct_decode(x->format, nib_expr_printf("%s[b * %lld + e]", from, size).s).s);
  nib_direct_each(d, "b", nib_tensor_elems(x) / size);
  nib_text_line(d->t, "uint8_t *const q = %s + b * %d; /* %s */", to, info->block_bytes,
                info->name);
  nib_text_line(d->t, "memset(q, 0, %d);", info->block_bytes);
  nib_text_line(d->t, is_signed ? "float magnitude = 0, extreme = 0;" : "float magnitude = 0;");
  nib_direct_for(d, "e", size);
  nib_text_line(d->t, "%s", element.s);
  nib_text_open(d->t, "if (fabsf(nib_finite(x)) > magnitude) {");
  nib_text_line(d->t, "magnitude = fabsf(nib_finite(x));");
  if (is_signed)
    nib_text_line(d->t, "extreme = nib_finite(x);");
  nib_text_close(d->t, "");
  nib_text_close(d->t, "");
  declare_scale(d, b);
  store_scale(d, b, !source);
  if (source)
    nib_text_line(d->t, "const float inverse = scale == 0 ? 0.0f : 1.0f / scale;");
  nib_direct_for(d, "e", size);
  nib_text_line(d->t, "%s", element.s);
  if (source)
    nib_text_line(d->t,
                  "const float scaled = isfinite(x) ? x * inverse : nib_finite(x * inverse);");
  else
    declare_clipped(d, b);
  put_code(d, b,
           source ? source_code(b).s
                  : code_of(d, (nib_format)b->element, "clipped", nib_node_encode_mode(n)).s);
  nib_text_close(d->t, "");
  nib_text_close(d->t, "");
}

void nib_direct_cast_blocks(nib_direct *d, const nib_node *n) {
  nib_expr from = nib_direct_pointer(d, n->in[0], "input"), to = nib_direct_result_pointer(d, n);
  if (nib_direct_is_block(nib_direct_result(d, n)))
    encode_blocks(d, n, from.s, to.s);
  else
    nib_direct_decode_rows(d, n, from.s, "0", to.s, "0",
                           nib_tensor_elems(nib_node_input(d->g, n, 0)));
}

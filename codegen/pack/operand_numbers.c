// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "pack/operand_numbers.h"

#include "num/code_value.h"
#include "pack/element_integers.h"

#include <math.h>
#include <string.h>

/* What all codes of `element` mean, less `zero`. NaN is noted, and counts as 0. */
static void element_values(nib_format element, double zero, nib_operand_numbers *p,
                           bool *out_infinite) {
  const nib_format_info *f = nib_format_get(element);
  *out_infinite = false;
  for (int code = 0; code < 1 << f->bits; ++code) {
    const double x = nib_element_number(element, code) - zero;
    p->is_nan[code] = isnan(x);
    *out_infinite |= isinf(x) != 0;
    p->values[code] = isnan(x) ? 0 : x;
    p->stored[code] = (uint8_t)code;
  }
}

/* Elements that are code * 2^mul_log2 - zero, with codes of no more bits than they have. */
static bool plan_integers(int n, int bits, nib_operand_numbers *p) {
  nib_element_integers e;
  if (!nib_element_integers_of(p->values, n, &e))
    return false;
  const int64_t low = e.low;
  p->mul_log2 = e.mul_log2;
  const int needed = nib_element_bits((e.high - low) >> p->mul_log2);
  /* bf16 holds 7 bits beside the leading one: the eighth, of plain two's complement, is a step of
   * its own. */
  const bool is_byte = needed == 8 && p->mul_log2 == 0 && low == -128;
  if (needed > bits || low < -255 || low > 127 ||
      (p->type == NIB_OPERAND_BF16 && (needed > 7 || low < -127) && !is_byte))
    return false;
  p->rule = NIB_OPERAND_INTEGER;
  p->exponent += e.unit_exponent;
  p->bits = needed;
  p->zero = (int)-low;
  for (int i = 0; i < n; ++i)
    p->stored[i] = (uint8_t)((e.values[i] - low) >> p->mul_log2);
  if (p->type == NIB_OPERAND_I8)
    p->is_signed = p->mul_log2 == 0 && p->zero == 1 << (needed - 1);
  /* The sign in its place: what is taken away is then 0 or 128. */
  if (p->is_signed || (p->type == NIB_OPERAND_BF16 && is_byte))
    for (int i = 0; i < n; ++i)
      p->stored[i] ^= (uint8_t)(1 << (needed - 1));
  return true;
}

/* Reals whose exponent and mantissa fit those of the product's type. */
static bool plan_real(const nib_format_info *f, bool infinite, nib_operand_numbers *p) {
  const nib_real_layout *r = &f->real;
  const int exponent_bits = p->type == NIB_OPERAND_F16 ? 5 : 8;
  if (f->kind != NIB_KIND_FLOAT || p->type == NIB_OPERAND_I8 || r->exponent_bits < 1 ||
      r->exponent_bits > exponent_bits ||
      r->mantissa_bits > (p->type == NIB_OPERAND_F16 ? 10 : 7) ||
      r->specials == NIB_SPECIALS_SCALE || (infinite && r->exponent_bits != exponent_bits))
    return false;
  p->rule = NIB_OPERAND_REAL;
  p->exponent_bits = r->exponent_bits;
  p->mantissa_bits = r->mantissa_bits;
  p->bias = r->bias;
  p->has_sign = f->bits > r->exponent_bits + r->mantissa_bits;
  if (p->type == NIB_OPERAND_F16)
    p->exponent += 15 - r->bias;
  return p->type == NIB_OPERAND_F16 || (127 - r->bias >= -126 && 127 - r->bias <= 127);
}

static double rounded(nib_operand_type type, double x) {
  const nib_format f = type == NIB_OPERAND_F16 ? NIB_F16 : NIB_BF16;
  return nib_format_decode(f, nib_format_encode(f, x, NIB_ENCODE_NEAREST_EVEN, true, 0));
}

/* Any numbers: scaled to a largest magnitude of about 1 (of f16: 2^14, so that the smaller parts
 * are not subnormal), and cut into as many parts as hold them. Bytes must hold them as integers. */
static bool plan_table(int n, nib_operand_numbers *p) {
  double largest = 0;
  p->rule = NIB_OPERAND_TABLE;
  p->parts = 1;
  if (p->type == NIB_OPERAND_I8) {
    nib_element_integers e;
    if (!nib_element_integers_of(p->values, n, &e) || e.low < -128 || e.high > 127)
      return false; /* NaN is no integer either */
    for (int i = 0; i < n; ++i)
      p->values[i] = (double)e.values[i];
    p->exponent += e.unit_exponent;
    return true;
  }
  for (int i = 0; i < n; ++i)
    if (isfinite(p->values[i]))
      largest = fmax(largest, fabs(p->values[i]));
  const int up = (p->type == NIB_OPERAND_F16 ? 15 : 0) - (largest > 0 ? ilogb(largest) + 1 : 0);
  p->exponent -= up;
  for (int i = 0; i < n; ++i) {
    p->values[i] = ldexp(p->values[i], up);
    double rest = isfinite(p->values[i]) ? p->values[i] - rounded(p->type, p->values[i]) : 0;
    for (int part = 1; part < NIB_OPERAND_MAX_PARTS && fabs(rest) > ldexp(fabs(p->values[i]), -25);
         ++part) {
      p->parts = part + 1 > p->parts ? part + 1 : p->parts;
      rest -= rounded(p->type, rest);
    }
  }
  return true;
}

bool nib_operand_has_nan(const nib_operand_numbers *p) {
  return memchr(p->is_nan, true, sizeof p->is_nan) != NULL;
}

/* Whether scalar weights have a code that is NaN. */
static bool has_nan(const nib_operand_numbers *p, const nib_tensor *w) {
  const uint8_t *code = w->data;
  for (int64_t i = 0, n = nib_operand_has_nan(p) ? nib_tensor_elems(w) : 0; i < n; ++i)
    if (p->is_nan[code[i]])
      return true;
  return false;
}

static bool plan_numbers(const nib_tensor *tensor, nib_operand_numbers *p) {
  const nib_format_info *w = nib_format_get(tensor->format);
  const bool is_block = w->kind == NIB_KIND_BLOCK;
  const nib_format element = is_block ? (nib_format)w->block.element : tensor->format;
  const nib_format_info *f = nib_format_get(element);
  bool infinite;
  if (f->kind == NIB_KIND_BLOCK || f->bits > 8)
    return false;
  p->exponent = is_block ? w->block.element_exponent : 0;
  p->bits = f->bits;
  /* A zero point of a block is part of its offset. */
  element_values(element, is_block && w->block.zero == NIB_NO_FORMAT ? w->block.element_zero : 0, p,
                 &infinite);
  const int n = 1 << f->bits;
  p->parts = 1;
  if (!is_block && has_nan(p, tensor)) { /* no scale to put it in */
    for (int i = 0; i < n; ++i)
      p->values[i] = p->is_nan[i] ? NAN : p->values[i];
    return plan_table(n, p);
  }
  return plan_integers(n, f->bits, p) || plan_real(f, infinite, p) || plan_table(n, p);
}

static void plan_planes(nib_operand_numbers *p) {
  int left = p->bits, shift = 0;
  for (p->n_planes = 0; left > 0; ++p->n_planes) {
    int bits = 1;
    while (bits * 2 <= left)
      bits *= 2;
    p->planes[p->n_planes] = (nib_operand_plane){bits, shift};
    shift += bits;
    left -= bits;
  }
}

bool nib_operand_numbers_of(const nib_tensor *w, nib_operand_type type, nib_operand_numbers *out) {
  memset(out, 0, sizeof *out);
  out->type = type;
  if (!plan_numbers(w, out))
    return false;
  plan_planes(out);
  return true;
}

static uint32_t bits_of(nib_operand_type type, double x) {
  return (uint32_t)nib_format_encode(type == NIB_OPERAND_F16 ? NIB_F16 : NIB_BF16, x,
                                     NIB_ENCODE_NEAREST_EVEN, false, 0);
}

int nib_operand_table(const nib_operand_numbers *p, uint32_t words[512]) {
  const int n = 1 << p->bits;
  if (p->rule != NIB_OPERAND_TABLE)
    return 0;
  for (int i = 0; i < n; ++i) {
    double rest = p->values[i];
    uint32_t parts[NIB_OPERAND_MAX_PARTS] = {0};
    if (p->type == NIB_OPERAND_I8) {
      words[i] = (uint32_t)(int32_t)rest & 255;
      continue;
    }
    for (int part = 0; part < p->parts; ++part) {
      parts[part] = bits_of(p->type, rest);
      rest = isfinite(rest) ? rest - rounded(p->type, rest) : 0;
    }
    words[i] = parts[0] | parts[1] << 16;
    if (p->parts > 2)
      words[n + i] = parts[2];
  }
  return p->parts > 2 ? 2 * n : n;
}

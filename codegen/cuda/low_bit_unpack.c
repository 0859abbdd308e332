// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// From words of codes to registers of a matrix instruction, by shifts, masks and one addition. See
// low_bit.h.
#include "cuda/low_bit.h"

#include "num/format.h"

#include <math.h>
#include <stdlib.h>

static bool is_half(const nib_low_bit *p) { return p->e.type == NIB_OPERAND_F16; }
static bool is_byte(const nib_low_bit *p) { return p->e.type == NIB_OPERAND_I8; }
static const char *type_of(const nib_low_bit *p) { return is_half(p) ? "h" : "bf16_"; }
static const char *real_of(const nib_low_bit *p) { return is_half(p) ? "f16" : "bf16"; }

/* `x` in every element of a register. */
static uint32_t spread(const nib_low_bit *p, uint32_t x) {
  return x * (is_byte(p) ? 0x01010101u : 0x00010001u);
}

/* The pair of `x`, in the product's type. */
static uint32_t pair_of(const nib_low_bit *p, double x) {
  return spread(p, (uint32_t)nib_format_encode(is_half(p) ? NIB_F16 : NIB_BF16, x,
                                               NIB_ENCODE_NEAREST_EVEN, false, 0));
}

/* ---- codes ---- */

/* The word of plane `i` that has register `reg`, and where in it the code begins. */
static int bit_of(const nib_low_bit *p, int i, int reg, int *out_word) {
  const nib_operand_plane *plane = &p->e.planes[i];
  const int of_word = (is_byte(p) ? 8 : 16) / plane->bits;
  *out_word = plane->shift + reg / of_word;
  return reg % of_word * plane->bits;
}

static nib_expr shifted(const char *x, int right) {
  return right == 0 ? nib_expr_printf("%s", x)
                    : nib_expr_printf("%s %s %d", x, right > 0 ? ">>" : "<<", abs(right));
}

/* The codes of register `reg` with their lowest bit at bit `at` of each element, or'ed to `base`.
 */
static nib_expr gathered(const nib_low_bit *p, int reg, int at, uint32_t base) {
  nib_expr all = {""};
  if (base)
    all = nib_expr_printf("0x%08xu", spread(p, base));
  for (int i = 0; i < p->e.n_planes; ++i) {
    const nib_operand_plane *plane = &p->e.planes[i];
    int word;
    const int bit = bit_of(p, i, reg, &word), to = at + plane->shift;
    const uint32_t mask = spread(p, ((1u << plane->bits) - 1) << to);
    const nib_expr w = shifted(nib_expr_printf("w[%d]", word).s, bit - to);
    all = all.s[0] ? nib_expr_printf("nib_and_or(%s, 0x%08xu, %.700s)", w.s, mask, all.s)
                   : nib_expr_printf("(%s) & 0x%08xu", w.s, mask);
  }
  return all;
}

/* ---- integers ---- */

static int mantissa_bits(const nib_low_bit *p) { return is_half(p) ? 10 : 7; }

/* Where in the mantissa the code of register `reg` is put: where it lies, if that is within the
 * mantissa, or where a shift that others of the word need as well brings it. Not below mul_log2. */
static int place_in_mantissa(const nib_low_bit *p, int reg) {
  const int room = mantissa_bits(p) - p->e.bits;
  int word;
  if (p->e.n_planes > 1)
    return p->e.mul_log2;
  const int bit = bit_of(p, 0, reg, &word);
  for (int shift = -p->e.mul_log2, next = 0;; shift = next - p->e.mul_log2) {
    /* Codes that this shift serves: up to the last one whose place has room. */
    const int last = (room + shift) / p->e.planes[0].bits * p->e.planes[0].bits;
    if (bit <= last || last <= next - p->e.planes[0].bits)
      return bit - shift;
    next = last + p->e.planes[0].bits;
  }
}

/* The leading one of the number `big` has the code below it: big + code * 2^at. */
static void emit_integer(const nib_low_bit *p, nib_text *t, int reg) {
  const bool half = is_half(p);
  const double big = half ? 1024 : 128;
  const uint32_t leading = half ? 0x6400 : 0x4300;
  if (!half && p->e.bits == 8) {
    /* Two's complement: bit 7 of the number subtracted makes 256 of its 128. */
    int word;
    const int bit = bit_of(p, 0, reg, &word);
    const nib_expr s = shifted(nib_expr_printf("w[%d]", word).s, bit);
    nib_text_line(t,
                  "a[0][%d] = nib_bf16_sub2(nib_and_or(%s, 0x007f007fu, 0x43004300u), "
                  "nib_and_or(%s, 0x00800080u, 0x43004300u));",
                  reg, s.s, s.s);
    return;
  }
  const int at = place_in_mantissa(p, reg), down = at - p->e.mul_log2;
  const nib_expr code = gathered(p, reg, at, leading);
  const double less = ldexp(big, -down) + p->e.zero;
  if (down == 0)
    nib_text_line(t, "a[0][%d] = nib_%ssub2(%s, 0x%08xu);", reg, type_of(p), code.s,
                  pair_of(p, less));
  else
    nib_text_line(t, "a[0][%d] = nib_%sfma2(%s, 0x%08xu, 0x%08xu);", reg, type_of(p), code.s,
                  pair_of(p, ldexp(1, -down)), pair_of(p, -less));
}

/* Bytes: codes at the top, so that their highest bit is the sign. */
static void emit_byte(const nib_low_bit *p, nib_text *t, int reg) {
  nib_text_line(t, "a[0][%d] = %s;", reg, gathered(p, reg, 8 - p->e.bits, 0).s);
}

/* ---- reals ---- */

/* Sign and magnitude are moved apart; what the exponents' biases differ by is a factor. */
static void emit_real(const nib_low_bit *p, nib_text *t, int reg) {
  const int magnitude_bits = p->e.exponent_bits + p->e.mantissa_bits;
  const int to = mantissa_bits(p) - p->e.mantissa_bits;
  const uint32_t magnitude = spread(p, ((1u << magnitude_bits) - 1) << to);
  int word, bit = 0;
  nib_expr source = nib_expr_printf("c%d", reg);
  if (p->e.n_planes > 1) {
    nib_text_line(t, "const uint32_t c%d = %s;", reg, gathered(p, reg, 0, 0).s);
  } else {
    bit = bit_of(p, 0, reg, &word);
    source = nib_expr_printf("w[%d]", word);
  }
  const nib_expr moved = shifted(source.s, bit - to),
                 sign = shifted(source.s, bit + magnitude_bits - 15),
                 placed = p->e.has_sign
                              ? nib_expr_printf("nib_and_or(%s, 0x%08xu, (%s) & 0x80008000u)",
                                                moved.s, magnitude, sign.s)
                              : nib_expr_printf("(%s) & 0x%08xu", moved.s, magnitude);
  if (is_half(p))
    nib_text_line(t, "a[0][%d] = %s;", reg, placed.s);
  else
    nib_text_line(t, "a[0][%d] = nib_bf16_mul2(%s, 0x%08xu);", reg, placed.s,
                  pair_of(p, ldexp(1, 127 - p->e.bias)));
}

/* ---- tables ---- */

static void emit_lookup(const nib_low_bit *p, nib_text *t, int reg) {
  const int n = 1 << p->e.bits, elements = is_byte(p) ? 4 : 2;
  nib_text_open(t, "{");
  nib_text_line(t, "const uint32_t c = %s;", gathered(p, reg, 0, 0).s);
  for (int e = 0; e < elements; ++e)
    nib_text_line(t, "const uint32_t e%d = table[c >> %d%s];", e, e * 32 / elements,
                  e + 1 < elements ? elements == 4 ? " & 0xff" : " & 0xffff" : "");
  if (elements == 4) {
    nib_text_line(t, "a[0][%d] = e0 | e1 << 8 | e2 << 16 | e3 << 24;", reg);
  } else {
    nib_text_line(t, "a[0][%d] = nib_select_bytes(e0, e1, 0x5410);", reg);
    if (p->e.parts > 1)
      nib_text_line(t, "a[1][%d] = nib_select_bytes(e0, e1, 0x7632);", reg);
    if (p->e.parts > 2)
      nib_text_line(t, "a[2][%d] = table[%d + (c & 0xffff)] | table[%d + (c >> 16)] << 16;", reg, n,
                    n);
  }
  nib_text_close(t, "");
}

void nib_low_bit_unpack_emit(const nib_low_bit *p, nib_text *t, const char *q, const char *sub,
                             const char *tile, int first, int end) {
  nib_text_line(t, "const uint32_t *const w = %s + (%s * %d + %s) * %d;", q, sub, p->tiles, tile,
                p->e.bits);
  nib_text_line(t, "uint32_t a[%d][%d];", p->e.parts, nib_low_bit_registers(p));
  for (int reg = first; reg < end; ++reg) {
    if (p->e.rule == NIB_OPERAND_TABLE)
      emit_lookup(p, t, reg);
    else if (p->e.rule == NIB_OPERAND_REAL)
      emit_real(p, t, reg);
    else if (is_byte(p))
      emit_byte(p, t, reg);
    else
      emit_integer(p, t, reg);
  }
}

/* ---- memory ---- */

/* Widths of loads: 16, 8 and 4 bytes. Those of codes are of all lanes side by side; each g has its
 * scales together. */
static int width_at(int words, int i, bool spread) {
  return words - i >= 4 && (spread || words % 4 == 0)   ? 4
         : words - i >= 2 && (spread || words % 2 == 0) ? 2
                                                        : 1;
}

/* Loads `words` from `place`, which may say $load_bytes, of a load, and $load_at, where they are.
 */
static void emit_words(nib_text *t, const char *how, const char *to, int words, bool spread,
                       const char *place) {
  nib_text_set_words(t, "load", "%s", how);
  for (int i = 0, width; i < words; i += width) {
    width = width_at(words, i, spread);
    nib_text_set(t, "load_bytes load_at", 4 * width, spread ? 128 * i : 4 * i);
    nib_text_line(t, "nib_$load$load_bytes(%s + %d, %s);", to, i, place);
  }
}

void nib_low_bit_get_emit(const nib_low_bit *p, nib_text *t, const char *q, const char *f,
                          const char *at) {
  emit_words(t, "get", q, p->words, true,
             nib_expr_printf("%s + $load_at + lane * $load_bytes", at).s);
  for (int i = 0, width; i < p->scale_words; i += width) {
    width = width_at(p->scale_words, i, false);
    nib_text_line(t, "nib_get%d(%s + %d, %s + %lld + g * %d);", 4 * width, f, i, at,
                  (long long)p->scales_at + 4 * i, 4 * p->scale_words);
  }
}

void nib_low_bit_pointers_emit(const nib_low_bit *p, nib_text *t, const char *from) {
  for (int width = 4, left = p->words; width > 0; left %= width, width /= 2)
    if (left >= width)
      nib_text_line(t, "const uint8_t *codes%d = %s + lane * %d;", 4 * width, from, 4 * width);
  if (p->scale_words)
    nib_text_line(t, "const uint8_t *scales = %s + %lld + g * %d;", from, (long long)p->scales_at,
                  4 * p->scale_words);
}

void nib_low_bit_load_emit(const nib_low_bit *p, nib_text *t, const char *q, const char *f,
                           const char *offset) {
  if (q)
    emit_words(t, "load", q, p->words, true,
               nib_expr_printf("codes$load_bytes + %s + $load_at", offset).s);
  if (f)
    emit_words(t, "load", f, p->scale_words, false,
               nib_expr_printf("scales + %s + $load_at", offset).s);
}

/* Sets the scale (`which` 0) or offset of a row half in group `group`: a real, or that times a
 * byte. */
static void emit_factor(const nib_low_bit *p, nib_text *t, int which, int half, const char *f,
                        const char *tile, const char *group) {
  const bool codes = p->has_codes;
  nib_text_set(t, "which row_half step_scales", which, half, p->scales_of_step);
  nib_text_set(t, "factors code_words", p->has_offsets ? 2 : 1, p->code_words);
  nib_text_set_words(t, "factor_id", "%d_%d", which, half);
  if (codes)
    nib_text_line(t,
                  "const int32_t code$factor_id = ((%s * 2 + $row_half) * $step_scales + %s) * "
                  "$factors + $which;",
                  tile, group);
  nib_text_line(
      t, "const int32_t at$factor_id = ((%s * 2 + $row_half) * %d + %s) * $factors + $which;", tile,
      codes ? 1 : p->scales_of_step, codes ? "0" : group);
  const nib_expr code =
      nib_expr_printf("(float)(int8_t)(%s[code$factor_id / 4] >> code$factor_id %% 4 * 8) * ", f);
  const nib_expr real =
      p->scale_format == NIB_F32
          ? nib_expr_printf("nib_f32_bits(%s[$code_words + at$factor_id])", f)
          : nib_expr_printf(
                "nib_f32_%s(%s[$code_words + at$factor_id / 2] >> at$factor_id %% 2 * 16)",
                p->scale_format == NIB_F16 ? "f16" : "bf16", f);
  nib_text_line(t, "%s[$row_half] = %s%s;", which ? "offset" : "scale", codes ? code.s : "",
                real.s);
}

void nib_low_bit_scales_emit(const nib_low_bit *p, nib_text *t, const char *f, const char *tile,
                             const char *group) {
  nib_text_line(t, "float scale[2]%s;", p->has_offsets ? ", offset[2]" : "");
  for (int half = 0; half < 2; ++half) {
    for (int which = 0; which < (p->has_offsets ? 2 : 1); ++which)
      emit_factor(p, t, which, half, f, tile, group);
    if (p->e.exponent)
      nib_text_line(t, "scale[%d] *= 0x1p%df;", half, p->e.exponent);
  }
}

/* ---- weights ---- */

/* An expression: element `e` of register `i` as float, the sum of its parts. */
static nib_expr element_f32(const nib_low_bit *p, int i, int e) {
  nib_expr all = {""};
  for (int part = 0; part < p->e.parts; ++part)
    all = nib_expr_printf("%.300s%snib_f32_%s(a[%d][%d]%s)", all.s, part ? " + " : "", real_of(p),
                          part, i, e ? " >> 16" : "");
  return all;
}

/* A scale that the product's type holds multiplies pairs; other scales, and offsets, are floats. */
static bool folds_in_pairs(const nib_low_bit *p) {
  return p->has_scales && !p->has_offsets && !p->has_codes && p->e.parts == 1 &&
         p->e.exponent == 0 && p->scale_format == (is_half(p) ? NIB_F16 : NIB_BF16);
}

static void emit_folded(const nib_low_bit *p, nib_text *t, int i) {
  if (folds_in_pairs(p)) {
    nib_text_line(t, "a[0][%d] = nib_%smul2(a[0][%d], scale%d);", i, type_of(p), i, i % 2);
    return;
  }
  const nib_expr low = element_f32(p, i, 0), high = element_f32(p, i, 1);
  nib_text_set_words(t, "factor",
                     !p->has_scales   ? "scale"
                     : p->has_offsets ? "scale[%d] + offset[%d]"
                                      : "scale[%d]",
                     i % 2, i % 2);
  nib_text_line(t, "a[0][%d] = nib_%s_pair((%s) * $factor, (%s) * $factor);", i, real_of(p), low.s,
                high.s);
}

/* Registers 4 i to 4 i + 3 are 16 of K, those with odd numbers 8 rows further down. */
void nib_low_bit_fold_emit(const nib_low_bit *p, nib_text *t, const char *f, const char *sub,
                           const char *tile, int first, int end) {
  const int of_group =
      p->has_scales && p->padded_group < NIB_LOW_BIT_SUB ? (int)p->padded_group / 4 : 16;
  for (int from = first; from < end; from += of_group) {
    nib_text_open(t, "{");
    const nib_expr group = p->scales_of_step > 1 ? nib_expr_printf("((%s) * %d + %d)", sub,
                                                                   16 / of_group, from / of_group)
                                                 : nib_expr_printf("0");
    if (!p->has_scales)
      nib_text_line(t, "const float scale = 0x1p%df;", p->e.exponent);
    else if (!folds_in_pairs(p))
      nib_low_bit_scales_emit(p, t, f, tile, group.s);
    for (int r = 0; folds_in_pairs(p) && r < 2; ++r) {
      nib_text_set(t, "row_half step_scales", r, p->scales_of_step);
      nib_text_line(t, "const int32_t at$row_half = (%s * 2 + $row_half) * $step_scales + %s;",
                    tile, group.s);
      nib_text_line(t,
                    "const uint32_t scale$row_half = nib_select_bytes(%s[at$row_half / 2], 0, "
                    "at$row_half %% 2 ? 0x3232 "
                    ": 0x1010);",
                    f);
    }
    for (int i = from; i < from + of_group; ++i)
      emit_folded(p, t, i);
    nib_text_close(t, "");
  }
}

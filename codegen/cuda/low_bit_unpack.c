// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// From words of codes to registers of a matrix instruction, by shifts, masks and one addition. See
// low_bit.h.
#include "cuda/low_bit.h"

#include "num/format.h"

#include <math.h>
#include <stdio.h>

typedef struct expr {
  char s[384];
} expr;

static uint32_t twice(uint32_t half) { return half | half << 16; }
static uint32_t four_times(uint32_t byte) { return byte * 0x01010101u; }

/* The pair of `x`, in the product's type. */
static uint32_t pair_of(const nib_low_bit *p, double x) {
  return twice((uint32_t)nib_format_encode(p->product == NIB_LOW_BIT_F16 ? NIB_F16 : NIB_BF16, x,
                                           NIB_ENCODE_NEAREST_EVEN, false, 0));
}

static const char *type_of(const nib_low_bit *p) {
  return p->product == NIB_LOW_BIT_F16 ? "h" : "bf16_";
}

/* ---- codes ---- */

/* The word of plane `i` that has register `reg`, and where in it the code begins. */
static int bit_of(const nib_low_bit *p, int i, int reg, int *out_word) {
  const nib_low_bit_plane *plane = &p->planes[i];
  const int of_word = (p->product == NIB_LOW_BIT_I8 ? 8 : 16) / plane->bits;
  *out_word = plane->shift + reg / of_word;
  return reg % of_word * plane->bits;
}

static expr shifted(int word, int right) {
  expr e;
  if (right == 0)
    snprintf(e.s, sizeof e.s, "w[%d]", word);
  else
    snprintf(e.s, sizeof e.s, "w[%d] %s %d", word, right > 0 ? ">>" : "<<",
             right > 0 ? right : -right);
  return e;
}

/* The codes of register `reg` with their lowest bit at bit `at` of each element, or'ed to `base`
 * (0: "0"). */
static expr gathered(const nib_low_bit *p, int reg, int at, uint32_t base) {
  expr all = {""};
  for (int i = 0; i < p->n_planes; ++i) {
    const nib_low_bit_plane *plane = &p->planes[i];
    int word;
    const int bit = bit_of(p, i, reg, &word), to = at + plane->shift;
    const uint32_t mask = ((1u << plane->bits) - 1) << to;
    const expr w = shifted(word, bit - to);
    expr next;
    char before[352];
    snprintf(before, sizeof before, "%.340s", all.s);
    if (i == 0 && base == 0)
      snprintf(next.s, sizeof next.s, "(%s) & 0x%08xu", w.s,
               p->product == NIB_LOW_BIT_I8 ? four_times(mask) : twice(mask));
    else
      snprintf(next.s, sizeof next.s, "nib_and_or(%s, 0x%08xu, %s)", w.s,
               p->product == NIB_LOW_BIT_I8 ? four_times(mask) : twice(mask), i ? before : "");
    if (i == 0 && base != 0)
      snprintf(next.s, sizeof next.s, "nib_and_or(%s, 0x%08xu, 0x%08xu)", w.s, twice(mask),
               twice(base));
    all = next;
  }
  return all;
}

/* ---- integers ---- */

static int mantissa_bits(const nib_low_bit *p) { return p->product == NIB_LOW_BIT_F16 ? 10 : 7; }

/* Where in the mantissa the code of register `reg` is put: where it lies, if that is within the
 * mantissa, or where a shift that others of the word need as well brings it. Not below mul_log2. */
static int place_in_mantissa(const nib_low_bit *p, int reg) {
  const int room = mantissa_bits(p) - p->bits;
  int word;
  if (p->n_planes > 1)
    return p->mul_log2;
  const int bit = bit_of(p, 0, reg, &word);
  for (int shift = -p->mul_log2, next = 0;; shift = next - p->mul_log2) {
    /* Codes that this shift serves: up to the last one whose place has room. */
    const int last = (room + shift) / p->planes[0].bits * p->planes[0].bits;
    if (bit <= last || last <= next - p->planes[0].bits)
      return bit - shift;
    next = last + p->planes[0].bits;
  }
}

/* The leading one of the number `big` has the code below it: big + code * 2^at. */
static void emit_integer(const nib_low_bit *p, nib_text *t, int reg) {
  const bool half = p->product == NIB_LOW_BIT_F16;
  const double big = half ? 1024 : 128;
  const uint32_t leading = half ? 0x6400 : 0x4300;
  if (!half && p->bits == 8) {
    /* Two's complement: bit 7 of the number subtracted makes 256 of its 128. */
    int word;
    const int bit = bit_of(p, 0, reg, &word);
    const expr s = shifted(word, bit);
    nib_text_line(t,
                  "a[0][%d] = nib_bf16_sub2(nib_and_or(%s, 0x007f007fu, 0x43004300u), "
                  "nib_and_or(%s, 0x00800080u, 0x43004300u));",
                  reg, s.s, s.s);
    return;
  }
  const int at = place_in_mantissa(p, reg), down = at - p->mul_log2;
  const expr code = gathered(p, reg, at, leading);
  const double less = ldexp(big, -down) + p->zero;
  if (down == 0)
    nib_text_line(t, "a[0][%d] = nib_%ssub2(%s, 0x%08xu);", reg, type_of(p), code.s,
                  pair_of(p, less));
  else
    nib_text_line(t, "a[0][%d] = nib_%sfma2(%s, 0x%08xu, 0x%08xu);", reg, type_of(p), code.s,
                  pair_of(p, ldexp(1, -down)), pair_of(p, -less));
}

/* Bytes: codes at the top, so that their highest bit is the sign. */
static void emit_byte(const nib_low_bit *p, nib_text *t, int reg) {
  nib_text_line(t, "a[0][%d] = %s;", reg, gathered(p, reg, 8 - p->bits, 0).s);
}

/* ---- reals ---- */

/* Sign and magnitude are moved apart; what the exponents' biases differ by is a factor. */
static void emit_real(const nib_low_bit *p, nib_text *t, int reg) {
  const int magnitude_bits = p->exponent_bits + p->mantissa_bits;
  const int to = mantissa_bits(p) - p->mantissa_bits;
  const uint32_t magnitude = twice(((1u << magnitude_bits) - 1) << to);
  int word, bit = 0;
  expr source;
  if (p->n_planes > 1) {
    nib_text_line(t, "const uint32_t c%d = %s;", reg, gathered(p, reg, 0, 0).s);
    snprintf(source.s, sizeof source.s, "c%d", reg);
  } else {
    bit = bit_of(p, 0, reg, &word);
    snprintf(source.s, sizeof source.s, "w[%d]", word);
  }
  const int down = bit - to, sign_up = 15 - (bit + magnitude_bits);
  char placed[512], moved[400], signs[400];
  snprintf(moved, sizeof moved, down ? "%.300s %s %d" : "%.300s", source.s, down > 0 ? ">>" : "<<",
           down > 0 ? down : -down);
  snprintf(signs, sizeof signs, sign_up ? "%.300s %s %d" : "%.300s", source.s,
           sign_up > 0 ? "<<" : ">>", sign_up > 0 ? sign_up : -sign_up);
  if (p->has_sign)
    snprintf(placed, sizeof placed, "nib_and_or(%s, 0x%08xu, (%s) & 0x80008000u)", moved, magnitude,
             signs);
  else
    snprintf(placed, sizeof placed, "(%s) & 0x%08xu", moved, magnitude);
  if (p->product == NIB_LOW_BIT_F16)
    nib_text_line(t, "a[0][%d] = %s;", reg, placed);
  else
    nib_text_line(t, "a[0][%d] = nib_bf16_mul2(%s, 0x%08xu);", reg, placed,
                  pair_of(p, ldexp(1, 127 - p->bias)));
}

/* ---- tables ---- */

static void emit_lookup(const nib_low_bit *p, nib_text *t, int reg) {
  const int n = 1 << p->bits, elements = p->product == NIB_LOW_BIT_I8 ? 4 : 2;
  nib_text_open(t, "{");
  nib_text_line(t, "const uint32_t c = %s;", gathered(p, reg, 0, 0).s);
  for (int e = 0; e < elements; ++e)
    nib_text_line(t, "const uint32_t e%d = table[c >> %d%s];", e, e * 32 / elements,
                  e + 1 < elements ? elements == 4 ? " & 0xff" : " & 0xffff" : "");
  if (elements == 4) {
    nib_text_line(t, "a[0][%d] = e0 | e1 << 8 | e2 << 16 | e3 << 24;", reg);
  } else {
    nib_text_line(t, "a[0][%d] = nib_select_bytes(e0, e1, 0x5410);", reg);
    if (p->parts > 1)
      nib_text_line(t, "a[1][%d] = nib_select_bytes(e0, e1, 0x7632);", reg);
    if (p->parts > 2)
      nib_text_line(t, "a[2][%d] = table[%d + (c & 0xffff)] | table[%d + (c >> 16)] << 16;", reg, n,
                    n);
  }
  nib_text_close(t, "");
}

void nib_low_bit_unpack_emit(const nib_low_bit *p, nib_text *t, const char *q, const char *sub,
                             const char *tile, int first, int end) {
  nib_text_line(t, "const uint32_t *const w = %s + (%s * %d + %s) * %d;", q, sub, p->tiles, tile,
                p->bits);
  nib_text_line(t, "uint32_t a[%d][%d];", p->parts, nib_low_bit_registers(p));
  for (int reg = first; reg < end; ++reg) {
    if (p->rule == NIB_LOW_BIT_TABLE)
      emit_lookup(p, t, reg);
    else if (p->rule == NIB_LOW_BIT_REAL)
      emit_real(p, t, reg);
    else if (p->product == NIB_LOW_BIT_I8)
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

void nib_low_bit_get_emit(const nib_low_bit *p, nib_text *t, const char *q, const char *f,
                          const char *at) {
  for (int i = 0, width; i < p->words; i += width) {
    width = width_at(p->words, i, true);
    nib_text_line(t, "nib_get%d(%s + %d, %s + %d + lane * %d);", 4 * width, q, i, at, 128 * i,
                  4 * width);
  }
  for (int i = 0, width; i < p->scale_words; i += width) {
    width = width_at(p->scale_words, i, false);
    nib_text_line(t, "nib_get%d(%s + %d, %s + %lld + g * %d);", 4 * width, f, i, at,
                  (long long)p->scales_at + 4 * i, 4 * p->scale_words);
  }
}

static void emit_loads(nib_text *t, const char *to, int words, const char *from, bool spread) {
  for (int i = 0, width; i < words; i += width) {
    width = width_at(words, i, spread);
    if (spread)
      nib_text_line(t, "nib_load%d(%s + %d, codes%d + %s + %d);", 4 * width, to, i, 4 * width, from,
                    128 * i);
    else
      nib_text_line(t, "nib_load%d(%s + %d, scales + %s + %d);", 4 * width, to, i, from, 4 * i);
  }
}

void nib_low_bit_pointers_emit(const nib_low_bit *p, nib_text *t, const char *from) {
  bool has[5] = {false};
  for (int i = 0; i < p->words; i += width_at(p->words, i, true))
    has[width_at(p->words, i, true)] = true;
  for (int width = 4; width > 0; width /= 2)
    if (has[width])
      nib_text_line(t, "const uint8_t *codes%d = %s + lane * %d;", 4 * width, from, 4 * width);
  if (p->scale_words)
    nib_text_line(t, "const uint8_t *scales = %s + %lld + g * %d;", from, (long long)p->scales_at,
                  4 * p->scale_words);
}

void nib_low_bit_load_emit(const nib_low_bit *p, nib_text *t, const char *q, const char *f,
                           const char *offset) {
  if (q)
    emit_loads(t, q, p->words, offset, true);
  if (f)
    emit_loads(t, f, p->scale_words, offset, false);
}

/* Sets the scale (`which` 0) or offset of a row half in group `group`: a real, or that times a
 * byte. */
static void emit_factor(const nib_low_bit *p, nib_text *t, int which, int half, const char *f,
                        const char *tile, const char *group) {
  const int factors = p->has_offsets ? 2 : 1;
  char code[192] = "", at[128], real[320];
  if (p->has_codes) {
    snprintf(at, sizeof at, "((%s * 2 + %d) * %d + %s) * %d + %d", tile, half, p->scales_of_step,
             group, factors, which);
    nib_text_line(t, "const int32_t code%d_%d = %s;", which, half, at);
    snprintf(code, sizeof code, "(float)(int8_t)(%s[code%d_%d / 4] >> code%d_%d %% 4 * 8) * ", f,
             which, half, which, half);
    group = "0";
  }
  nib_text_line(t, "const int32_t at%d_%d = ((%s * 2 + %d) * %d + %s) * %d + %d;", which, half,
                tile, half, p->has_codes ? 1 : p->scales_of_step, group, factors, which);
  if (p->scale_format == NIB_F32)
    snprintf(real, sizeof real, "nib_f32_bits(%s[%d + at%d_%d])", f, p->code_words, which, half);
  else
    snprintf(real, sizeof real, "nib_f32_%s(%s[%d + at%d_%d / 2] >> at%d_%d %% 2 * 16)",
             p->scale_format == NIB_F16 ? "f16" : "bf16", f, p->code_words, which, half, which,
             half);
  nib_text_line(t, "%s[%d] = %s%s;", which ? "offset" : "scale", half, code, real);
}

void nib_low_bit_scales_emit(const nib_low_bit *p, nib_text *t, const char *f, const char *tile,
                             const char *group) {
  nib_text_line(t, "float scale[2]%s;", p->has_offsets ? ", offset[2]" : "");
  for (int half = 0; half < 2; ++half) {
    for (int which = 0; which < (p->has_offsets ? 2 : 1); ++which)
      emit_factor(p, t, which, half, f, tile, group);
    if (p->exponent)
      nib_text_line(t, "scale[%d] *= 0x1p%df;", half, p->exponent);
  }
}

/* ---- weights ---- */

/* An expression: element `e` of register `i` as float, the sum of its parts. */
static expr element_f32(const nib_low_bit *p, int i, int e) {
  expr all = {""};
  for (int part = 0, at = 0; part < p->parts; ++part)
    at += snprintf(all.s + at, sizeof all.s - (size_t)at, "%snib_f32_%s(a[%d][%d]%s)",
                   part ? " + " : "", p->product == NIB_LOW_BIT_F16 ? "f16" : "bf16", part, i,
                   e ? " >> 16" : "");
  return all;
}

/* A scale that the product's type holds multiplies pairs; other scales, and offsets, are floats. */
static bool folds_in_pairs(const nib_low_bit *p) {
  return p->has_scales && !p->has_offsets && !p->has_codes && p->parts == 1 && p->exponent == 0 &&
         p->scale_format == (p->product == NIB_LOW_BIT_F16 ? NIB_F16 : NIB_BF16);
}

static void emit_folded(const nib_low_bit *p, nib_text *t, int i) {
  const char *type = p->product == NIB_LOW_BIT_F16 ? "f16" : "bf16";
  if (folds_in_pairs(p)) {
    nib_text_line(t, "a[0][%d] = nib_%smul2(a[0][%d], scale%d);", i,
                  p->product == NIB_LOW_BIT_F16 ? "h" : "bf16_", i, i % 2);
    return;
  }
  expr w[2];
  for (int e = 0; e < 2; ++e) {
    const expr x = element_f32(p, i, e);
    snprintf(w[e].s, sizeof w[e].s,
             p->has_offsets  ? "(%.300s) * scale[%d] + offset[%d]"
             : p->has_scales ? "(%.300s) * scale[%d]"
                             : "(%.300s) * scale",
             x.s, i % 2, i % 2);
  }
  nib_text_line(t, "a[0][%d] = nib_%s_pair(%s, %s);", i, type, w[0].s, w[1].s);
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
      nib_text_line(t, "const float scale = 0x1p%df;", p->exponent);
    else if (!folds_in_pairs(p))
      nib_low_bit_scales_emit(p, t, f, tile, group.s);
    for (int r = 0; folds_in_pairs(p) && r < 2; ++r) {
      nib_text_line(t, "const int32_t at%d = (%s * 2 + %d) * %d + %s;", r, tile, r,
                    p->scales_of_step, group.s);
      nib_text_line(t,
                    "const uint32_t scale%d = nib_select_bytes(%s[at%d / 2], 0, at%d %% 2 ? 0x3232 "
                    ": 0x1010);",
                    r, f, r, r);
    }
    for (int i = from; i < from + of_group; ++i)
      emit_folded(p, t, i);
    nib_text_close(t, "");
  }
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Activations that are reals, as digits, so that their products with weights of few bits are those
 * of bytes: the numbers of a group as integers of 23 bits and a sign times a power of two, cut into
 * three bytes. Sums of a group are then exact; what is lost of an activation is at most 2^-23 of
 * the largest of its group, as much as adding it to a sum of that size in f32 would lose. */
#include "schedule/block_dots.h"

#include "emit/snippets.h"
#include "epilogue/say.h"
#include "num/block.h"
#include "params/params.h"

typedef long long ll;

int64_t nib_block_digits_group(const nib_tensor *x, const nib_tensor *w) {
  const nib_format_info *f = nib_format_get(w->format);
  return nib_params_is_real(x->format) && f->kind == NIB_KIND_BLOCK ? nib_block_group_elems(f) : 0;
}

void nib_block_digits_open(const nib_block_dots *d) {
  const ll k = (ll)d->rows.k, group = (ll)d->rows.scale_elems;
  const nib_format format = d->rows.x->format;
  nib_text *t = d->e->body;
  nib_emitter_use(d->e, "nib_f32_to_bits");
  nib_emitter_use(d->e, "nib_bits_to_f32");
  nib_text_open(t, "for (int32_t row = 0; row < %lld; row++) {", (ll)d->rows.rows);
  nib_text_open(t, "for (int32_t b = 0; b < %lld; b++) {", k / group);
  const nib_word from = nib_word_of("in0 + row * %lld + b * %lld", k, group);
  if (format == NIB_F32) {
    nib_text_line(t, "const float *const q = %s;", from.s);
  } else {
    nib_text_line(t, "float q[%lld];", group);
    nib_say_widen(d->e, format, "q", from.s, nib_word_of("%lld", group).s);
  }
  nib_text_line(t, "int8_t digits[%d][%lld];", NIB_BLOCK_DIGITS, group);
  nib_text_line(t, "uint32_t largest = 0;");
  nib_text_open(t, "for (int32_t k = 0; k < %lld; k++) {", group);
  nib_text_line(t, "const uint32_t bits = nib_f32_to_bits(q[k]) & 0x7FFFFFFF;");
  nib_text_line(t, "largest = bits > largest ? bits : largest;");
  nib_text_close(t, "");
  /* Rounded up, so that the largest integer is at most 0x7F7F7F, of digits of 127. Units below
   * 2^-126 are subnormal, and their reciprocals have no room in one f32. */
  nib_text_line(t, "const uint32_t exponent = (largest + 0x10200) >> 23, tiny = exponent < 23;");
  nib_text_line(t, "const float lift = tiny ? 0x1p64f : 1.0f;");
  nib_text_line(t, "const float inverse = nib_bits_to_f32(((tiny ? 212 : 276) - exponent) << 23);");
  nib_text_line(t, "float unit = nib_bits_to_f32(tiny ? 1u << exponent : (exponent - 22) << 23);");
  nib_text_open(t, "if (largest >= 0x7F800000) {");
  nib_text_line(t, "memset(digits, 0, sizeof digits);");
  nib_text_line(t, "unit = nib_bits_to_f32(0x7FC00000);");
  nib_text_close(t, "");
  nib_text_open(t, "else {");
  nib_text_open(t, "for (int32_t k = 0; k < %lld; k++) {", group);
  nib_text_line(t, "const float scaled = q[k] * lift * inverse;");
  nib_text_line(t, "const int32_t code = (int32_t)(scaled + (scaled < 0.0f ? -0.5f : 0.5f));");
  nib_text_line(t, "const uint32_t bytes = (uint32_t)code + 0x808080;");
  for (int i = 0; i < NIB_BLOCK_DIGITS; ++i)
    nib_text_line(t, "digits[%d][k] = (int8_t)((int32_t)(bytes >> %d & 0xFF) - 128);", i,
                  8 * (NIB_BLOCK_DIGITS - 1 - i));
  nib_text_close(t, "");
  nib_text_close(t, "");
}

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Weights of few bits that conv_rows keeps several to a byte: see conv_codes.h.
#include "schedule/conv_codes.h"

#include <string.h>

/* Registers of weights are registers of bytes, four of K to a lane, which codes may fill from 0 on.
 * What is below 0 is taken out with the sums of activations, which are of all channels and taps. */
int64_t nib_conv_codes(const nib_graph *g, const nib_node *n, const nib_vocab *v,
                       const nib_conv_walk *w) {
  static const nib_prim needed[] = {NIB_PRIM_BYTES_SET, NIB_PRIM_BYTES_AND, NIB_PRIM_BYTES_SHL,
                                    NIB_PRIM_BYTES_SHR, NIB_PRIM_I32_ADD,   NIB_PRIM_I32_SET};
  const int64_t codes = nib_pack_shared_codes(nib_node_input(g, n, 1)).codes;
  if (w->is_float || codes < 2 || nib_pack_has_gaps(w) || v->dot_k != 4 || v->weights_i16 ||
      v->stage != NIB_STAGE_U8 || strcmp(v->type_weight, v->type_i32) != 0 ||
      !nib_vocab_has(v, needed, sizeof needed / sizeof *needed))
    return 1;
  const bool sums = nib_pack_weight_zero(g, n, v, codes) != 0;
  return sums && (w->shape.groups > 1 || !nib_vocab_prim(v, NIB_PRIM_STAGE_SUM)) ? 1 : codes;
}

int nib_conv_codes_places(const nib_shared_codes *s, int64_t pixels) {
  return pixels == 1 ? 4 / s->bits : 1;
}

/* Sums of places hold multiples of what they stand for: 2^by times as much, or half of it where
 * `by` is -1. */
static int place_shift(const nib_shared_codes *s, int place) { return place * s->bits - s->shift; }

nib_word nib_conv_codes_sum(const nib_shared_codes *s, int places, int64_t code, int64_t column) {
  const int place = (int)(code % places);
  return places == 1 || place_shift(s, place) == 0
             ? nib_word_of("acc0_%lld", (long long)column)
             : nib_word_of("place%d_%lld", place, (long long)column);
}

void nib_conv_codes_begin(nib_emitter *e, const nib_shared_codes *s, int places, int64_t columns) {
  nib_text_line(e->body, "%s mask0; /* of %d bits, %lld codes to a byte */", e->vocab->type_weight,
                s->bits, (long long)s->codes);
  for (int i = 0; i < places; i++) {
    const int mask = ((1 << s->bits) - 1) << (places > 1 ? i * s->bits : s->shift);
    if (i > 0)
      nib_text_line(e->body, "%s mask%d;", e->vocab->type_weight, i);
    nib_say(e, NIB_PRIM_BYTES_SET, nib_word_of("mask%d", i).s, nib_word_of("%d", mask).s, NULL,
            NULL, NULL);
    for (int64_t n = 0; n < columns && places > 1 && place_shift(s, i) != 0; n++) {
      const nib_word sum = nib_conv_codes_sum(s, places, i, n);
      nib_text_line(e->body, "%s %s;", e->vocab->type_i32, sum.s);
      nib_say(e, NIB_PRIM_I32_SET, sum.s, "0", NULL, NULL, NULL);
    }
  }
}

/* to = from * 2^-right, within lanes. */
static void say_shift(nib_emitter *e, const char *to, const char *from, int right) {
  nib_say(e, right < 0 ? NIB_PRIM_BYTES_SHL : NIB_PRIM_BYTES_SHR, to, from,
          nib_word_of("%d", right < 0 ? -right : right).s, NULL, NULL);
}

void nib_conv_codes_unpack(nib_emitter *e, const nib_shared_codes *s, int places, const char *to,
                           const char *from, int64_t code) {
  const int right = (int)code * s->bits - s->shift;
  if (places > 1 && code == places)
    say_shift(e, from, from, 4);
  if (places == 1 && right)
    say_shift(e, to, from, right);
  nib_say(e, NIB_PRIM_BYTES_AND, to, places == 1 && right ? to : from,
          nib_word_of("mask%d", (int)(code % places)).s, NULL, NULL);
}

void nib_conv_codes_end(nib_emitter *e, const nib_shared_codes *s, int places, int64_t columns) {
  for (int i = 0; i < places && places > 1; i++)
    for (int64_t n = 0; n < columns && place_shift(s, i) != 0; n++) {
      const nib_word sum = nib_conv_codes_sum(s, places, i, n),
                     acc = nib_word_of("acc0_%lld", (long long)n);
      say_shift(e, sum.s, sum.s, place_shift(s, i)); /* sums of products of numbers from 0 on */
      nib_say(e, NIB_PRIM_I32_ADD, acc.s, acc.s, sum.s, NULL, NULL);
    }
}

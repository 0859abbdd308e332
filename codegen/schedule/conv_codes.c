// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Weights of few bits that conv_rows keeps several to a byte: see conv_codes.h.
#include "schedule/conv_codes.h"

#include <string.h>

/* Registers of weights are registers of bytes, four of K to a lane, which codes may fill from 0 on. What is below 0
 * is taken out with the sums of activations, which are of all channels. */
int64_t nib_conv_codes(const nib_graph *g, const nib_node *n, const nib_vocab *v, const nib_conv_walk *w) {
  static const nib_prim needed[] = {NIB_PRIM_BYTES_SET, NIB_PRIM_BYTES_AND, NIB_PRIM_BYTES_SHL, NIB_PRIM_BYTES_SHR};
  const int64_t codes = nib_pack_shared_codes(nib_node_input(g, n, 1)).codes;
  if (w->is_float || codes < 2 || v->dot_k != 4 || v->weights_i16 || v->stage != NIB_STAGE_U8 ||
      strcmp(v->type_weight, v->type_i32) != 0 || !nib_vocab_has(v, needed, sizeof needed / sizeof *needed))
    return 1;
  const bool sums = nib_pack_weight_zero(g, n, v, codes) != 0;
  return sums && (w->shape.groups > 1 || !nib_vocab_prim(v, NIB_PRIM_STAGE_SUM)) ? 1 : codes;
}

void nib_conv_codes_declare(nib_emitter *e, const nib_shared_codes *s) {
  nib_text_line(e->body, "%s mask; /* of %d bits, %lld codes to a byte */", e->vocab->type_weight, s->bits,
                (long long)s->codes);
  nib_say(e, NIB_PRIM_BYTES_SET, "mask", nib_word_of("%d", ((1 << s->bits) - 1) << s->shift).s, NULL, NULL, NULL);
}

void nib_conv_codes_unpack(nib_emitter *e, const nib_shared_codes *s, const char *to, const char *from, int64_t code) {
  const int right = (int)code * s->bits - s->shift;
  const nib_word by = nib_word_of("%d", right < 0 ? -right : right);
  if (right)
    nib_say(e, right < 0 ? NIB_PRIM_BYTES_SHL : NIB_PRIM_BYTES_SHR, to, from, by.s, NULL, NULL);
  nib_say(e, NIB_PRIM_BYTES_AND, to, right ? to : from, "mask", NULL, NULL);
}

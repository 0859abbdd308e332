/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The packed store: registers of codes are narrowed together, so that the zero point is added to
 * 16-bit lanes, bounds are taken of bytes, and what lies side by side in memory is stored at once.
 */
#include "epilogue/followers.h"

#include <string.h>

typedef long long ll;

static bool is_unsigned(nib_format f) { return f == NIB_U8; }

bool nib_epilogue_can_pack(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *vocab) {
  static const nib_prim prims[] = {NIB_PRIM_NARROW16,     NIB_PRIM_I16_ADD,
                                   NIB_PRIM_BYTES_STORE4, NIB_PRIM_BYTES_STORE2,
                                   NIB_PRIM_BYTES_STORE1, NIB_PRIM_BYTES_STORE1_TAIL};
  static const nib_prim of_i8[] = {NIB_PRIM_NARROW_I8, NIB_PRIM_I8_MAX, NIB_PRIM_I8_MIN};
  static const nib_prim of_u8[] = {NIB_PRIM_NARROW_U8, NIB_PRIM_U8_MAX, NIB_PRIM_U8_MIN};
  const nib_tensor *y = &g->tensors[nib_kernel_output(g, kernel)];
  return nib_epilogue_is_narrow(y->format) && y->quantized &&
         nib_vocab_has(vocab, prims, sizeof prims / sizeof *prims) &&
         nib_vocab_has(vocab, is_unsigned(y->format) ? of_u8 : of_i8, 3);
}

int32_t nib_epilogue_register_nodes(const nib_graph *g, const nib_kernel *kernel,
                                    const nib_vocab *vocab) {
  const int32_t n = kernel->n_nodes;
  return n - (n > 1 && nib_epilogue_is_byte_table(g, &g->nodes[kernel->nodes[n - 1]], vocab));
}

/* What is pending on 16-bit lanes. */
void nib_epilogue_join_parts(nib_epilogue *p, const char *to, const char *a, const char *b) {
  nib_say(p->e, NIB_PRIM_NARROW16, to, a, b, NULL, NULL);
  if (p->pending.zero_point)
    nib_say(p->e, NIB_PRIM_I16_ADD, to, to, nib_word_of("%lld", (ll)p->pending.zero_point).s, NULL,
            NULL);
}

/* "bytes", with what is pending on them; `prim` narrows. */
static void narrow_bytes(nib_epilogue *p, nib_prim prim, const char *low, const char *high) {
  nib_emitter *e = p->e;
  const nib_codes *c = &p->pending;
  const nib_format_info *f = nib_format_get(c->format);
  const bool u = is_unsigned(c->format);
  nib_say(e, prim, "bytes", low, high, NULL, NULL);
  if (c->lo > f->min)
    nib_say(e, u ? NIB_PRIM_U8_MAX : NIB_PRIM_I8_MAX, "bytes", "bytes",
            nib_word_of("%lld", (ll)c->lo).s, NULL, NULL);
  if (c->hi < f->max)
    nib_say(e, u ? NIB_PRIM_U8_MIN : NIB_PRIM_I8_MIN, "bytes", "bytes",
            nib_word_of("%lld", (ll)c->hi).s, NULL, NULL);
  if (p->byte_table)
    nib_say(e, NIB_PRIM_BYTES_LOOKUP256, "bytes", p->byte_table, "bytes", NULL, NULL);
}

static void narrow(nib_epilogue *p, const nib_finish *registers, int n) {
  const char *acc[NIB_PACK_REGISTERS]; /* missing ones repeat the last */
  for (int i = 0; i < NIB_PACK_REGISTERS; i++)
    acc[i] = registers[i < n ? i : n - 1].acc;
  nib_text_line(p->e->body, "%s low, high, bytes;", p->e->vocab->type_bytes);
  nib_epilogue_join_parts(p, "low", acc[0], acc[1]);
  nib_epilogue_join_parts(p, "high", acc[2], acc[3]);
  static const nib_prim prims[2][2] = {{NIB_PRIM_NARROW_I8, NIB_PRIM_NARROW_U8},
                                       {NIB_PRIM_PACK_I8, NIB_PRIM_PACK_U8}};
  narrow_bytes(p, prims[p->in_parts][is_unsigned(p->pending.format)], "low", "high");
}

bool nib_epilogue_can_finish_parts(const nib_graph *g, const nib_kernel *kernel,
                                   const nib_vocab *vocab) {
  static const nib_prim prims[] = {NIB_PRIM_PACK_I8, NIB_PRIM_PACK_U8, NIB_PRIM_PACK_PAIRS_I8,
                                   NIB_PRIM_PACK_PAIRS_U8};
  return nib_vocab_has(vocab, prims, 4) && nib_epilogue_can_pack(g, kernel, vocab) &&
         nib_epilogue_register_nodes(g, kernel, vocab) == 1;
}

void nib_epilogue_store_parts(nib_epilogue *p, const char *low, const char *high, const char *at) {
  nib_text_open(p->e->body, "{");
  nib_text_line(p->e->body, "%s bytes;", p->e->vocab->type_bytes);
  narrow_bytes(p, is_unsigned(p->pending.format) ? NIB_PRIM_PACK_U8 : NIB_PRIM_PACK_I8, low, high);
  nib_say(p->e, NIB_PRIM_BYTES_STORE4, NULL, nib_word_of("out + %s", at).s, "bytes", NULL, NULL);
  nib_text_close(p->e->body, "");
}

/* Whether `count` registers from `first` lie side by side in memory. */
static bool are_adjacent(const nib_epilogue *p, const nib_finish *registers, int n, int first,
                         int count) {
  if (first + count > n)
    return false;
  for (int i = first; i < first + count; i++)
    if (registers[i].tail ||
        registers[i].offset != registers[first].offset + (i - first) * p->e->vocab->lanes)
      return false;
  return true;
}

void nib_epilogue_store_packed(nib_epilogue *p, const nib_finish *registers, int n,
                               const char *base) {
  nib_emitter *e = p->e;
  nib_text_open(e->body, "{");
  narrow(p, registers, n);
  for (int i = 0; i < n;) {
    const nib_word to = nib_word_of("out + %s + %lld", base, (ll)registers[i].offset);
    const bool whole = i == 0 && are_adjacent(p, registers, n, 0, NIB_PACK_REGISTERS);
    const bool half = i % 2 == 0 && are_adjacent(p, registers, n, i, 2);
    if (whole) {
      nib_say(e, NIB_PRIM_BYTES_STORE4, NULL, to.s, "bytes", NULL, NULL);
    } else if (half) {
      nib_say(e, NIB_PRIM_BYTES_STORE2, NULL, to.s, "bytes", nib_word_of("%d", i / 2).s, NULL);
    } else if (!registers[i].tail) {
      nib_say(e, NIB_PRIM_BYTES_STORE1, NULL, to.s, "bytes", nib_word_of("%d", i).s, NULL);
    } else {
      nib_say(e, NIB_PRIM_BYTES_STORE1_TAIL, NULL, to.s, "bytes", nib_word_of("%d", i).s,
              nib_word_of("%d", registers[i].tail).s);
    }
    i += whole ? NIB_PACK_REGISTERS : half ? 2 : 1;
  }
  nib_text_close(e->body, "");
}

void nib_epilogue_store_pairs(nib_epilogue *p, const char *first, const char *second,
                              const char *at, int64_t channels) {
  nib_emitter *e = p->e;
  const bool u = is_unsigned(p->pending.format);
  nib_text_open(e->body, "{");
  nib_text_line(e->body, "%s bytes;", e->vocab->type_bytes);
  narrow_bytes(p, u ? NIB_PRIM_PACK_PAIRS_U8 : NIB_PRIM_PACK_PAIRS_I8, first,
               second ? second : first);
  if (second && channels == 2 * e->vocab->lanes) {
    nib_say(e, NIB_PRIM_BYTES_STORE4, NULL, nib_word_of("out + %s", at).s, "bytes", NULL, NULL);
  } else {
    nib_say(e, NIB_PRIM_BYTES_STORE2, NULL, nib_word_of("out + %s", at).s, "bytes", "0", NULL);
    if (second)
      nib_say(e, NIB_PRIM_BYTES_STORE2, NULL, nib_word_of("out + %s + %lld", at, (ll)channels).s,
              "bytes", "1", NULL);
  }
  nib_text_close(e->body, "");
}

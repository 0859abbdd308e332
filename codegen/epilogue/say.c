/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "epilogue/say.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

nib_word nib_word_of(const char *format, ...) {
  nib_word w;
  va_list args;
  va_start(args, format);
  vsnprintf(w.s, sizeof w.s, format, args);
  va_end(args);
  return w;
}

nib_word nib_word_f32(float value) {
  if (isinf(value))
    return nib_word_of(value > 0 ? "INFINITY" : "-INFINITY");
  nib_word w = nib_word_of("%.9g", (double)value);
  if (!strpbrk(w.s, ".e"))
    strcat(w.s, ".0");
  strcat(w.s, "f");
  return w;
}

void nib_say(nib_emitter *e, nib_prim prim, const char *d, const char *a, const char *b,
             const char *c, const char *n) {
  const nib_prim_args args = {.d = d, .a = a, .b = b, .c = c, .n = n};
  if (!nib_vocab_say(e->vocab, prim, &args, e->body))
    nib_text_line(e->body, "#error \"vocabulary %s lacks primitive %d\"", e->vocab->name,
                  (int)prim);
}

void nib_say_lanes(nib_emitter *e, nib_prim prim, const char *d, const char *a, const char *b,
                   int n) {
  /* In the table each *_TAIL form follows its full form. */
  if (n > 0)
    nib_say(e, (nib_prim)(prim + 1), d, a, b, NULL, nib_word_of("%d", n).s);
  else
    nib_say(e, prim, d, a, b, NULL, NULL);
}

void nib_declare_registers(nib_emitter *e, const char *type, const char *stem, int64_t count) {
  nib_text_printf(e->body, "%*s%s ", 2 * e->body->indent, "", type);
  for (int64_t i = 0; i < count; i++)
    nib_text_printf(e->body, "%s%s%lld", i ? ", " : "", stem, (long long)i);
  nib_text_printf(e->body, ";\n");
}

void nib_declare_tile(nib_emitter *e, const char *type, const char *stem, int64_t rows,
                      int64_t columns) {
  for (int64_t m = 0; m < rows; m++)
    nib_declare_registers(e, type, nib_word_of("%s%lld_", stem, (long long)m).s, columns);
}

nib_prim nib_real_load(nib_format format) {
  return format == NIB_F16    ? NIB_PRIM_F16_LOAD
         : format == NIB_BF16 ? NIB_PRIM_BF16_LOAD
                              : NIB_PRIM_F32_LOAD;
}

void nib_say_load_reals(nib_emitter *e, nib_format format, const char *to, int64_t at) {
  nib_say(e, nib_real_load(format), to,
          nib_word_of("(const %s *)(const void *)(w + %lld)", nib_format_get(format)->c_type,
                      (long long)at)
              .s,
          NULL, NULL, NULL);
}

const char *nib_widening(nib_format format) {
  return format == NIB_F16 ? "nib_f16_to_f32" : "nib_bf16_to_f32";
}

void nib_say_widen(nib_emitter *e, nib_format format, const char *to, const char *from,
                   const char *n) {
  const nib_vocab *v = e->vocab;
  const nib_prim load = nib_real_load(format);
  nib_text_open(e->body, "{");
  nib_text_line(e->body, "int32_t i = 0;");
  if (v->lanes > 1 && nib_vocab_prim(v, load)) {
    nib_text_open(e->body, "for (; i + %d <= %s; i += %d) {", v->lanes, n, v->lanes);
    nib_text_line(e->body, "%s wide;", v->type_f32);
    nib_say(e, load, "wide", nib_word_of("%s + i", from).s, NULL, NULL, NULL);
    nib_say(e, NIB_PRIM_F32_STORE, NULL, nib_word_of("%s + i", to).s, "wide", NULL, NULL);
    nib_text_close(e->body, "");
  }
  nib_text_line(e->body, "for (; i < %s; i++)", n);
  nib_text_line(e->body, "  (%s)[i] = %s((%s)[i]);", to, nib_widening(format), from);
  nib_text_close(e->body, "");
}

void nib_say_prefetch(nib_emitter *e, const char *pointer, int ahead, bool here) {
  const bool can = here && nib_vocab_prim(e->vocab, NIB_PRIM_PREFETCH_HERE);
  nib_say(e, can ? NIB_PRIM_PREFETCH_HERE : NIB_PRIM_PREFETCH, NULL, pointer,
          nib_word_of("%d", ahead).s, NULL, NULL);
}

void nib_say_prefetch_page(nib_emitter *e, const char *pointer, bool here) {
  enum { AHEAD = 4 * NIB_PAGE_BYTES }; /* farther takes the place of what is used sooner */
  nib_say_prefetch(e, pointer, AHEAD, here);
}

bool nib_vocab_has(const nib_vocab *v, const nib_prim *prims, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!nib_vocab_prim(v, prims[i]))
      return false;
  return true;
}

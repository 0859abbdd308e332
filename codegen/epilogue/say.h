/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Short forms for writing primitives: formatted operands by value, and one call per statement. */
#ifndef NIB_EPILOGUE_SAY_H
#define NIB_EPILOGUE_SAY_H

#include "schedule/schedule.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A formatted C expression, by value: `nib_word_of("acc%d", i).s` lives to the end of the full
 *  expression. Longer text is cut, so keep operands short. */
typedef struct nib_word {
  char s[320];
} nib_word;

nib_word nib_word_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** An f32 literal that reads back exactly. */
nib_word nib_word_f32(float value);

/** Says `prim` in the emitter's vocabulary into its body. A primitive that the vocabulary lacks
 * becomes an #error line, which the check of the generated file reports: schedules ask
 * nib_vocab_has first. */
void nib_say(nib_emitter *e, nib_prim prim, const char *d, const char *a, const char *b,
             const char *c, const char *n);
/** The form of `prim` for `n` lanes of the vocabulary: `tail` (the next primitive) when n > 0. */
void nib_say_lanes(nib_emitter *e, nib_prim prim, const char *d, const char *a, const char *b,
                   int n);
/** Declares <stem>0 … <stem>(count - 1). */
void nib_declare_registers(nib_emitter *e, const char *type, const char *stem, int64_t count);
/** Declares <stem><row>_<column> of a tile. */
void nib_declare_tile(nib_emitter *e, const char *type, const char *stem, int64_t rows,
                      int64_t columns);
/** What loads reals of `format`, f32, f16 or bf16, as f32. */
nib_prim nib_real_load(nib_format format);
/** to = reals of `format`, f32, f16 or bf16, as f32, at byte `at` behind the pointer `w` to bytes.
 */
void nib_say_load_reals(nib_emitter *e, nib_format format, const char *to, int64_t at);
/** Floats at `to` = n reals of `format`, f16 or bf16, at `from`; all are expressions. */
void nib_say_widen(nib_emitter *e, nib_format format, const char *to, const char *from,
                   const char *n);
/** The function that makes f32 of one of them: its name, which is a snippet's too. */
const char *nib_widening(nib_format format);
/** Prefetches the line `ahead` bytes behind `pointer`; `here`: between the reads that it is said
 * between, where the vocabulary can say that. */
void nib_say_prefetch(nib_emitter *e, const char *pointer, int ahead, bool here);
/** Prefetches a line of a page well behind `pointer`, once for each so many bytes that are read from
 * there: where a page lies takes longer to find than a line takes to come, if nobody knows any more. */
enum { NIB_PAGE_BYTES = 4096 };
void nib_say_prefetch_page(nib_emitter *e, const char *pointer, bool here);
bool nib_vocab_has(const nib_vocab *v, const nib_prim *prims, size_t n);

#ifdef __cplusplus
}
#endif
#endif

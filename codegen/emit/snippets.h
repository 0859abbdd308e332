/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The scalar helper functions of runtime/num/snippets.h as text: which exist, and which a generated
 * file needs; and the same of other texts that are embedded in pieces. */
#ifndef NIB_EMIT_SNIPPETS_H
#define NIB_EMIT_SNIPPETS_H

#include "emit/text.h"
#include "schedule/schedule.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Whether a snippet of this name exists. */
bool nib_snippet_exists(const char *name);

/** Marks the snippet `name` as used by the kernel being emitted; the file will hold it and what it
 *  calls. False (and nothing marked) if there is none of this name. */
bool nib_emitter_use(nib_emitter *e, const char *name);

/** Appends every snippet of `used` and those they name, in the order of the source file. */
void nib_snippets_append(const uint64_t used[4], nib_text *t);

/** Marks the snippets that `text` names (vocabulary support code). */
void nib_snippets_scan(const char *text, uint64_t used[4]);

enum { NIB_MAX_PIECES = 256 };

/** What lies between a mark "//@ NAME" or "//@ begin NAME" and the next one; none is called "end". */
typedef struct nib_piece {
  const char *name, *text; /**< not terminated */
  size_t name_size, text_size;
  bool used;
} nib_piece;

/** Begin with {.n = 0}. */
typedef struct nib_pieces {
  nib_piece list[NIB_MAX_PIECES]; /**< of several with one name the first counts */
  int n;
  const char *functions; /**< what the names of pieces that replace functions of C's library begin with; or NULL */
} nib_pieces;

/** Adds the pieces of `text`; the snippets. */
void nib_pieces_find(nib_pieces *p, const char *text);
void nib_snippets_find(nib_pieces *p);
/** Marks as used what `text` names, and what that names. */
void nib_pieces_use(nib_pieces *p, const char *text);
/** The first word in [at, end), of letters, digits and underscores; NULL: none. */
const char *nib_next_word(const char *at, const char *end, size_t *out_size);

#ifdef __cplusplus
}
#endif
#endif

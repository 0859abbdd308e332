// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Snippets are found by scanning the embedded texts of runtime/num/*snippets.h for their marks.
#include "emit/snippets.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

extern const char nib_embedded_snippets[], nib_embedded_format_snippets[];

/* ---- pieces of any text ---- */

void nib_pieces_find(nib_pieces *p, const char *text) {
  static const char mark[] = "//@ ", begin[] = "begin ";
  const char *at = strstr(text, mark);
  while (at && p->n < NIB_MAX_PIECES) {
    const char *name = at + sizeof mark - 1;
    name += strncmp(name, begin, sizeof begin - 1) == 0 ? sizeof begin - 1 : 0;
    const char *line = strchr(name, '\n');
    if (!line)
      return;
    at = strstr(line, mark);
    const nib_piece piece = {.name = name,
                             .name_size = strcspn(name, " \t\r\n"),
                             .text = line + 1,
                             .text_size = at ? (size_t)(at - line - 1) : strlen(line + 1)};
    if (piece.name_size != 3 || memcmp(name, "end", 3) != 0)
      p->list[p->n++] = piece;
  }
}

static nib_piece *find_piece(nib_pieces *p, const char *name, size_t size) {
  for (int i = 0; i < p->n; ++i)
    if (p->list[i].name_size == size && memcmp(p->list[i].name, name, size) == 0)
      return &p->list[i];
  return NULL;
}

const char *nib_next_word(const char *at, const char *end, size_t *out_size) {
  while (at < end && !isalnum((unsigned char)*at) && *at != '_')
    ++at;
  *out_size = 0;
  while (at + *out_size < end && (isalnum((unsigned char)at[*out_size]) || at[*out_size] == '_'))
    ++*out_size;
  return *out_size ? at : NULL;
}

/* The piece that a word stands for: of its name, or a function of C's library. */
static nib_piece *piece_of(nib_pieces *p, const char *word, size_t size, bool is_called) {
  char name[64];
  if (size > 4 && memcmp(word, "nib_", 4) == 0)
    return find_piece(p, word, size);
  if (!p->functions || !is_called || size < 3 || size > 16)
    return NULL;
  snprintf(name, sizeof name, "%s%.*s", p->functions, (int)size, word);
  return find_piece(p, name, strlen(name));
}

static void use_words(nib_pieces *p, const char *text, size_t text_size) {
  const char *end = text + text_size;
  size_t size;
  while ((text = nib_next_word(text, end, &size))) {
    nib_piece *piece = piece_of(p, text, size, text + size < end && text[size] == '(');
    text += size;
    if (piece && !piece->used) {
      piece->used = true;
      use_words(p, piece->text, piece->text_size);
    }
  }
}

void nib_pieces_use(nib_pieces *p, const char *text) { use_words(p, text, strlen(text)); }

/* ---- snippets ---- */

static void find_snippets(nib_pieces *p) {
  *p = (nib_pieces){.n = 0};
  nib_snippets_find(p);
}

void nib_snippets_find(nib_pieces *p) {
  nib_pieces_find(p, nib_embedded_snippets);
  nib_pieces_find(p, nib_embedded_format_snippets);
}

/* Marks one in `used`, where that is not NULL. */
static bool use_snippet(const char *name, uint64_t used[4]) {
  nib_pieces p;
  find_snippets(&p);
  const nib_piece *piece = find_piece(&p, name, strlen(name));
  const int64_t i = piece ? piece - p.list : 0;
  if (piece && used)
    used[i / 64] |= UINT64_C(1) << (i % 64);
  return piece != NULL;
}

bool nib_snippet_exists(const char *name) { return use_snippet(name, NULL); }

bool nib_emitter_use(nib_emitter *e, const char *name) { return use_snippet(name, e->snippets); }

void nib_snippets_scan(const char *text, uint64_t used[4]) {
  nib_pieces p;
  find_snippets(&p);
  nib_pieces_use(&p, text);
  for (int i = 0; i < p.n; ++i)
    used[i / 64] |= (uint64_t)p.list[i].used << (i % 64);
}

void nib_snippets_append(const uint64_t used[4], nib_text *t) {
  nib_pieces p;
  find_snippets(&p);
  for (int i = 0; i < p.n; ++i)
    if (used[i / 64] >> (i % 64) & 1) {
      p.list[i].used = true;
      use_words(&p, p.list[i].text, p.list[i].text_size);
    }
  for (int i = 0; i < p.n; ++i)
    if (p.list[i].used)
      nib_text_printf(t, "%.*s\n", (int)p.list[i].text_size, p.list[i].text);
}

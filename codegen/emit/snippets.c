// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Snippets are found by scanning the embedded texts of runtime/num/*snippets.h for their marks.
#include "emit/snippets.h"

#include <ctype.h>
#include <string.h>

extern const char nib_embedded_snippets[], nib_embedded_format_snippets[];

#define NIB_MAX_SNIPPETS 256
static const char begin_mark[] = "//@ begin ";
static const char end_mark[] = "//@ end";

typedef struct nib_snippet {
  const char *name; /* not terminated */
  size_t name_size;
  const char *text;
  size_t text_size;
} nib_snippet;

/* A place in the texts. */
typedef struct place {
  int text;
  const char *at;
} place;

/* Steps to the next snippet of all texts; false at the end of the last. Begin with {0}. */
static bool next_snippet(place *p, nib_snippet *out) {
  const char *const texts[] = {nib_embedded_snippets, nib_embedded_format_snippets};
  const int n_texts = sizeof texts / sizeof *texts;
  const char *begin = NULL;
  if (!p->at)
    p->at = texts[0];
  while (!(begin = strstr(p->at, begin_mark))) {
    if (++p->text >= n_texts)
      return false;
    p->at = texts[p->text];
  }
  out->name = begin + sizeof begin_mark - 1;
  out->name_size = strcspn(out->name, " \t\r\n");
  out->text = strchr(out->name, '\n');
  if (!out->text)
    return false;
  out->text++;
  const char *end = strstr(out->text, end_mark);
  if (!end)
    return false;
  out->text_size = (size_t)(end - out->text);
  p->at = end;
  return true;
}

static int find_snippet(const char *name, size_t size) {
  place at = {0};
  nib_snippet s;
  for (int i = 0; i < NIB_MAX_SNIPPETS && next_snippet(&at, &s); ++i)
    if (s.name_size == size && memcmp(s.name, name, size) == 0)
      return i;
  return -1;
}

static void set_bit(uint64_t used[4], int i) { used[i / 64] |= UINT64_C(1) << (i % 64); }
static bool get_bit(const uint64_t used[4], int i) { return (used[i / 64] >> (i % 64)) & 1; }

bool nib_snippet_exists(const char *name) { return find_snippet(name, strlen(name)) >= 0; }

bool nib_emitter_use(nib_emitter *e, const char *name) {
  int i = find_snippet(name, strlen(name));
  if (i < 0)
    return false;
  set_bit(e->snippets, i);
  return true;
}

static bool is_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

static bool is_replaced(const char *name, size_t size, bool (*is_other)(const char *name)) {
  char word[64];
  if (!is_other || size >= sizeof word)
    return false;
  memcpy(word, name, size);
  word[size] = 0;
  return is_other(word);
}

/* Marks the snippets named in text[0..size), but for those that are others'; returns whether any was new. */
static bool scan(const char *text, size_t size, uint64_t used[4],
                 bool (*is_other)(const char *name)) {
  bool grew = false;
  size_t i = 0;
  while (i < size) {
    size_t start = i;
    while (i < size && is_word(text[i]))
      i++;
    if (i - start > 4 && memcmp(text + start, "nib_", 4) == 0) {
      int found = find_snippet(text + start, i - start);
      if (found >= 0 && !get_bit(used, found) && !is_replaced(text + start, i - start, is_other)) {
        set_bit(used, found);
        grew = true;
      }
    }
    if (i == start)
      i++;
  }
  return grew;
}

void nib_snippets_scan(const char *text, uint64_t used[4]) {
  scan(text, strlen(text), used, NULL);
}

static void append_used(uint64_t all[4], bool (*is_other)(const char *name), nib_text *t) {
  bool grew;
  do {
    grew = false;
    place at = {0};
    nib_snippet s;
    for (int i = 0; i < NIB_MAX_SNIPPETS && next_snippet(&at, &s); ++i)
      if (get_bit(all, i) && scan(s.text, s.text_size, all, is_other))
        grew = true;
  } while (grew);
  place at = {0};
  nib_snippet s;
  for (int i = 0; i < NIB_MAX_SNIPPETS && next_snippet(&at, &s); ++i)
    if (get_bit(all, i))
      nib_text_printf(t, "%.*s\n", (int)s.text_size, s.text);
}

void nib_snippets_append(const uint64_t used[4], nib_text *t) {
  uint64_t all[4];
  memcpy(all, used, sizeof all);
  append_used(all, NULL, t);
}

void nib_snippets_append_for(const char *text, bool (*is_other)(const char *name), nib_text *t) {
  uint64_t used[4] = {0};
  scan(text, strlen(text), used, is_other);
  append_used(used, is_other, t);
}

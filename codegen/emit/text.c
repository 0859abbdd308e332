/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Text buffer. */
#include "emit/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void nib_text_init(nib_text *t) { memset(t, 0, sizeof *t); }

void nib_text_free(nib_text *t) {
  for (int32_t i = 0; i < t->n_names; ++i)
    free(t->names[i].words);
  free(t->names);
  free(t->data);
  nib_text_init(t);
}

/* Room for `extra` more bytes and the terminator. */
static bool reserve(nib_text *t, size_t extra) {
  if (t->failed || extra > SIZE_MAX / 4 - t->size) {
    t->failed = true;
    return false;
  }
  size_t needed = t->size + extra + 1;
  if (needed <= t->capacity)
    return true;
  size_t capacity = t->capacity ? t->capacity : 1024;
  while (capacity < needed)
    capacity *= 2;
  char *data = realloc(t->data, capacity);
  if (!data) {
    t->failed = true;
    return false;
  }
  t->data = data;
  t->capacity = capacity;
  return true;
}

static void append_plain(nib_text *t, const char *text, size_t size) {
  if (!reserve(t, size))
    return;
  memcpy(t->data + t->size, text, size);
  t->size += size;
  t->data[t->size] = '\0';
}

/* The name at the beginning of `at`, which is `size` long; NULL: none that is known. */
static nib_text_name *name_at(const nib_text *t, const char *at, size_t size) {
  for (int32_t i = 0; i < t->n_names; ++i)
    if (strlen(t->names[i].name) == size && memcmp(t->names[i].name, at, size) == 0)
      return &t->names[i];
  return NULL;
}

static size_t word_size(const char *at) {
  return strspn(at, "abcdefghijklmnopqrstuvwxyz_0123456789");
}

/* What names stand for; a dollar without a name is one. */
static void append_named(nib_text *t, const char *text, const char *end) {
  while (text < end) {
    const char *dollar = t->n_names ? memchr(text, '$', (size_t)(end - text)) : NULL;
    const bool braced = dollar && dollar[1] == '{';
    const nib_text_name *n =
        dollar ? name_at(t, dollar + 1 + braced, word_size(dollar + 1 + braced)) : NULL;
    const char *stop = dollar ? dollar + !n : end;
    char number[24];
    append_plain(t, text, (size_t)(stop - text));
    if (n)
      snprintf(number, sizeof number, "%lld", (long long)n->number);
    if (n)
      append_plain(t, n->words ? n->words : number, strlen(n->words ? n->words : number));
    text = n ? stop + 1 + strlen(n->name) + 2 * braced : stop;
  }
}

static void append_va(nib_text *t, const char *format, va_list args) {
  va_list measure;
  va_copy(measure, args);
  const int length = vsnprintf(NULL, 0, format, measure);
  va_end(measure);
  if (length < 0 || !reserve(t, (size_t)length)) {
    t->failed = true;
    return;
  }
  char *at = t->data + t->size;
  vsnprintf(at, (size_t)length + 1, format, args);
  if (!t->n_names || !memchr(at, '$', (size_t)length)) {
    t->size += (size_t)length;
    return;
  }
  char *text = malloc((size_t)length + 1);
  t->failed |= !text;
  if (text)
    append_named(t, memcpy(text, at, (size_t)length + 1), text + length);
  free(text);
}

static void append_indent(nib_text *t) {
  size_t spaces = 2 * (size_t)(t->indent > 0 ? t->indent : 0);
  if (!reserve(t, spaces))
    return;
  memset(t->data + t->size, ' ', spaces);
  t->size += spaces;
  t->data[t->size] = '\0';
}

void nib_text_printf(nib_text *t, const char *format, ...) {
  va_list args;
  va_start(args, format);
  append_va(t, format, args);
  va_end(args);
}

void nib_text_line(nib_text *t, const char *format, ...) {
  va_list args;
  append_indent(t);
  va_start(args, format);
  append_va(t, format, args);
  va_end(args);
  nib_text_printf(t, "\n");
}

static void open_va(nib_text *t, const char *format, va_list args) {
  append_indent(t);
  append_va(t, format, args);
  nib_text_printf(t, "\n");
  t->indent++;
}

void nib_text_open(nib_text *t, const char *format, ...) {
  va_list args;
  va_start(args, format);
  open_va(t, format, args);
  va_end(args);
}

void nib_text_open_unrolled(nib_text *t, const char *format, ...) {
  va_list args;
  nib_text_line(t, "#pragma unroll");
  va_start(args, format);
  open_va(t, format, args);
  va_end(args);
}

void nib_text_close(nib_text *t, const char *suffix) {
  t->indent--;
  nib_text_line(t, "}%s", suffix);
}

/* ---- blocks ---- */

/* The name, new or known, that is `size` long; NULL: out of memory. */
static nib_text_name *name_for(nib_text *t, const char *at, size_t size) {
  nib_text_name *n = name_at(t, at, size);
  if (n)
    return n;
  nib_text_name *grown = realloc(t->names, (size_t)(t->n_names + 1) * sizeof *grown);
  if (!grown || size >= sizeof n->name) {
    t->names = grown ? grown : t->names;
    t->failed = true;
    return NULL;
  }
  t->names = grown;
  n = &t->names[t->n_names++];
  *n = (nib_text_name){{0}, NULL, 0};
  memcpy(n->name, at, size);
  return n;
}

void nib_text_set_numbers(nib_text *t, const char *names, const int64_t *numbers, size_t n) {
  for (size_t i = 0; i < n; ++i, names += strspn(names, " ")) {
    const size_t size = word_size(names);
    nib_text_name *name = name_for(t, names, size);
    if (!name)
      return;
    free(name->words);
    name->words = NULL;
    name->number = numbers[i];
    names += size;
  }
}

void nib_text_set_words(nib_text *t, const char *name, const char *format, ...) {
  nib_text words = {0};
  nib_text_name *n = name_for(t, name, strlen(name));
  va_list args;
  va_start(args, format);
  append_va(&words, format, args);
  va_end(args);
  t->failed |= words.failed;
  if (n) {
    free(n->words);
    n->words = words.data;
  }
}

/* Steps over the condition of a line; whether the line is written. */
static bool holds(const nib_text *t, const char **line) {
  *line += strspn(*line, " ");
  if (**line != '[')
    return true;
  const bool inverted = (*line)[1] == '!';
  const char *name = *line + 1 + inverted;
  const nib_text_name *n = name_at(t, name, word_size(name));
  *line += strcspn(*line, " ");
  *line += strspn(*line, " ");
  return n && (n->words ? n->words[0] != '\0' : n->number != 0) != inverted;
}

void nib_text_block(nib_text *t, const char *lines) {
  int32_t within = 0; /* 1 after a line that is the head of a statement */
  while (*lines) {
    const char *end = lines + strcspn(lines, "\n");
    if (holds(t, &lines)) {
      t->indent += within - (*lines == '}');
      append_indent(t);
      append_named(t, lines, end);
      append_plain(t, "\n", 1);
      t->indent += (end > lines && end[-1] == '{') - within;
      within = *lines != '#' && end > lines && end[-1] == ')';
    }
    lines = *end ? end + 1 : end;
  }
}

int32_t nib_text_lines(const nib_text *t) {
  int32_t n = 0;
  for (size_t i = 0; i < t->size; ++i)
    n += t->data[i] == '\n';
  return n;
}

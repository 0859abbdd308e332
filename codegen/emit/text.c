/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Text buffer. */
#include "emit/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void nib_text_init(nib_text *t) {
  memset(t, 0, sizeof *t);
}

void nib_text_free(nib_text *t) {
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

static void append_va(nib_text *t, const char *format, va_list args) {
  va_list measure;
  va_copy(measure, args);
  int length = vsnprintf(NULL, 0, format, measure);
  va_end(measure);
  if (length < 0) {
    t->failed = true;
    return;
  }
  if (!reserve(t, (size_t)length))
    return;
  vsnprintf(t->data + t->size, (size_t)length + 1, format, args);
  t->size += (size_t)length;
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

int32_t nib_text_lines(const nib_text *t) {
  int32_t n = 0;
  for (size_t i = 0; i < t->size; ++i)
    n += t->data[i] == '\n';
  return n;
}

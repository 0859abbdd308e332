/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * A growing text buffer with indentation and a sticky out-of-memory error. */
#ifndef NIB_EMIT_TEXT_H
#define NIB_EMIT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A name of a text, and what it stands for. */
typedef struct nib_text_name {
  char name[24], *words;
  int64_t number; /**< without words */
} nib_text_name;

typedef struct nib_text {
  char *data;     /**< NUL-terminated once anything was appended */
  size_t size, capacity;
  int indent;     /**< levels of two spaces, applied at the start of each nib_text_line */
  bool failed;    /**< out of memory: contents are incomplete */
  nib_text_name *names; /**< what $name or ${name} stands for in all that is appended */
  int32_t n_names;
} nib_text;

void nib_text_init(nib_text *t);
void nib_text_free(nib_text *t);
/** Appends formatted text as it is. */
void nib_text_printf(nib_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Appends indentation, the formatted text and a newline. */
void nib_text_line(nib_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** nib_text_line, then indents by one; nib_text_close un-indents and writes "}" + suffix. */
void nib_text_open(nib_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** nib_text_open of a loop that the compiler is told to unroll. */
void nib_text_open_unrolled(nib_text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void nib_text_close(nib_text *t, const char *suffix);
/** Gives names (in one string, with spaces between them) numbers, or one name words, from now on. */
#define nib_text_set(t, names, ...)                                                                          \
  nib_text_set_numbers(t, names, (const int64_t[]){__VA_ARGS__},                                             \
                       sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
void nib_text_set_numbers(nib_text *t, const char *names, const int64_t *numbers, size_t n);
void nib_text_set_words(nib_text *t, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** Appends the lines of `lines`, which is no format, indented by their braces: a line that ends in "{" indents those
 *  after it until one that begins with "}" (either may be in another block), one that ends in ")" the next. A line that
 *  begins with "[name] " is left out where the name stands for 0 or for no words, one with "[!name] " where it does not. */
void nib_text_block(nib_text *t, const char *lines);
/** Lines that have ended. */
int32_t nib_text_lines(const nib_text *t);

#ifdef __cplusplus
}
#endif
#endif

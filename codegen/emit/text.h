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

typedef struct nib_text {
  char *data;     /**< NUL-terminated once anything was appended */
  size_t size, capacity;
  int indent;     /**< levels of two spaces, applied at the start of each nib_text_line */
  bool failed;    /**< out of memory: contents are incomplete */
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
/** Lines that have ended. */
int32_t nib_text_lines(const nib_text *t);

#ifdef __cplusplus
}
#endif
#endif

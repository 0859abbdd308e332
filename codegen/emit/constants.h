/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The collection behind nib_constants_add, and its text. */
#ifndef NIB_EMIT_CONSTANTS_H
#define NIB_EMIT_CONSTANTS_H

#include "emit/text.h"
#include "schedule/schedule.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum nib_weights_style {
  NIB_WEIGHTS_WORDS, /**< 64-bit hexadecimal words, little-endian: compiles fast */
  NIB_WEIGHTS_BYTES, /**< one initialiser per element of the array's type */
  NIB_WEIGHTS_BLOB,  /**< words of one array, PREFIX_weights; expressions are offsets from `weights` */
} nib_weights_style;

/** The arrays of a blob begin at multiples of this. */
#define NIB_BLOB_ALIGNMENT 256

/** Arrays will be called PREFIX_w_<hint>. NULL when out of memory. */
nib_constants *nib_constants_create(const char *prefix, nib_weights_style style);
void nib_constants_destroy(nib_constants *c); /**< NULL is allowed */

/** The word that the expressions of nib_constants_add are made of, for the array's declaration:
 *  appends one `extern const …` line for each array. */
void nib_constants_declare(const nib_constants *c, nib_text *t);
/** Appends the definitions. */
void nib_constants_define(const nib_constants *c, nib_text *t);
/** Of a blob: where the constant of an expression begins. */
uint64_t nib_constants_offset(const nib_constants *c, const char *expression);
/** Of a blob: its bytes with padding, and a copy of them into `out`. */
uint64_t nib_constants_blob_bytes(const nib_constants *c);
void nib_constants_blob(const nib_constants *c, uint8_t *out);
/** Bytes of all arrays, padding left out. */
size_t nib_constants_bytes(const nib_constants *c);
size_t nib_constants_count(const nib_constants *c);
/** Whether a nib_constants_add failed for want of memory. */
bool nib_constants_failed(const nib_constants *c);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The elements of a format of few bits as integers, which is how products with bytes and halves are
 * packed. */
#ifndef NIB_PACK_ELEMENT_INTEGERS_H
#define NIB_PACK_ELEMENT_INTEGERS_H

#include "num/format.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Numbers as integers times 2^unit_exponent, in [low, high]; those less `low` are multiples of
 * 2^mul_log2, which is at most 8. */
typedef struct nib_element_integers {
  int64_t values[256], low, high;
  int unit_exponent, mul_log2;
} nib_element_integers;

/** False where no power of two down to 2^-8 makes integers below 1024 of all n <= 256 numbers, of
 * which none is a NaN. */
bool nib_element_integers_of(const double *numbers, int n, nib_element_integers *out);

/** What `code` of the scalar format `element` means: a real (NaN and infinities too) or an integer.
 */
double nib_element_number(nib_format element, int code);

/** The bits that hold 0 to `largest`, at least 1. */
int nib_element_bits(int64_t largest);

#ifdef __cplusplus
}
#endif
#endif

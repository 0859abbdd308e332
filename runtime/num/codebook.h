/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Codebooks: formats whose codes are indices into a table of reals, given or by a rule. */
#ifndef NIB_NUM_CODEBOOK_H
#define NIB_NUM_CODEBOOK_H

#include "num/format.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const float nib_codebook_nf4[16], nib_codebook_iq4nl[16];

/** The value of a code of `info`, whose kind is NIB_KIND_CODEBOOK. */
double nib_codebook_decode(const nib_format_info *info, uint32_t code);

/** Index in `values[0..n)` (in any order) of the value that `x` becomes in the mode. The nearest
 *  modes differ in ties: to the even index, or to the value further from 0. NaN becomes the value
 *  nearest 0. */
int nib_codebook_nearest(const float *values, int n, double x, nib_encode_mode mode,
                         uint64_t random);

#ifdef __cplusplus
}
#endif
#endif

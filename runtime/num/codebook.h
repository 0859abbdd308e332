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

/** Learned tables, one for each channel or one for all: `tables` is [channels, n] in any order, n
 * at most 256; x and codes are [channels, elems]. Nearest values, ties to the even index. */
void nib_codebook_encode_channels(const float *tables, int n, int64_t channels, const float *x,
                                  int64_t elems, uint8_t *codes);
void nib_codebook_decode_channels(const float *tables, int n, int64_t channels,
                                  const uint8_t *codes, int64_t elems, float *x);
/** The n values of least squared error for x[0..count) that Lloyd's algorithm finds from evenly
 *  spaced quantiles, ascending, in at most `rounds` rounds; NaN does not count. False when out of
 *  memory or without numbers. */
bool nib_codebook_learn(const float *x, int64_t count, int n, int rounds, float *out_values);

#ifdef __cplusplus
}
#endif
#endif

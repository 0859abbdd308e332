/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Weights of few bits that conv_rows keeps several to a byte: a mask, and shifts where there is no
 * other way, make of a register of packed weights what one step multiplies. */
#ifndef NIB_SCHEDULE_CONV_CODES_H
#define NIB_SCHEDULE_CONV_CODES_H

#include "pack/pack.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How many weights of convolution `n`, walked as `w`, may share a byte; 1: none. */
int64_t nib_conv_codes(const nib_graph *g, const nib_node *n, const nib_vocab *v,
                       const nib_conv_walk *w);
/** Sums of each register of channels in a tile of `pixels`. Of one pixel, codes of the lower half
 * of a byte are multiplied where they lie, and products of each place have a sum of their own; else
 * codes are brought to the lowest place. */
int nib_conv_codes_places(const nib_shared_codes *s, int64_t pixels);
/** The register that sums products of code number `code` for register `column`: acc0_<column>, or
 * one for its place. */
nib_word nib_conv_codes_sum(const nib_shared_codes *s, int places, int64_t code, int64_t column);
/** Before all steps: masks, and sums of places of `columns` registers. */
void nib_conv_codes_begin(nib_emitter *e, const nib_shared_codes *s, int places, int64_t columns);
/** to = the weights that are code number `code` of the bytes in register `from`, which may be
 * changed: codes are asked for in order. */
void nib_conv_codes_unpack(nib_emitter *e, const nib_shared_codes *s, int places, const char *to,
                           const char *from, int64_t code);
/** After all steps: adds the sums of places to acc0_0 ... */
void nib_conv_codes_end(nib_emitter *e, const nib_shared_codes *s, int places, int64_t columns);

#ifdef __cplusplus
}
#endif
#endif

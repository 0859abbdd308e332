/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Weights of few bits that conv_rows keeps several to a byte: a mask, and a shift for all but one of them, makes of a
 * register of packed weights what one step multiplies. */
#ifndef NIB_SCHEDULE_CONV_CODES_H
#define NIB_SCHEDULE_CONV_CODES_H

#include "pack/pack.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How many weights of convolution `n`, walked as `w`, may share a byte; 1: none. */
int64_t nib_conv_codes(const nib_graph *g, const nib_node *n, const nib_vocab *v, const nib_conv_walk *w);
/** Declares the register `mask`. */
void nib_conv_codes_declare(nib_emitter *e, const nib_shared_codes *s);
/** to = the weights that are code number `code` of the bytes in register `from`. */
void nib_conv_codes_unpack(nib_emitter *e, const nib_shared_codes *s, const char *to, const char *from, int64_t code);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What packing asks of the phases of transposed convolutions. */
#ifndef NIB_PACK_PACK_PHASES_H
#define NIB_PACK_PACK_PHASES_H

#include "pack/pack.h"

#ifdef __cplusplus
extern "C" {
#endif

/** From the shape of a transposed convolution to that of the convolution of stride 1 whose windows
 * are those of all its phases, which *out_phases describes; `fold` pixels as one, or 1. */
void nib_pack_transpose_shape(nib_conv_shape *shape, int64_t fold, nib_conv_phases *out_phases);
/** The output channel of the tensors that channel `o` of a walk is. */
int64_t nib_pack_channel(const nib_conv_walk *w, int64_t o);
/** The tap of a transposed convolution's filter that a phase of a block multiplies at row y and
 * column x of its window for channel o; -1: none. */
int64_t nib_pack_tap(const nib_conv_walk *block, int64_t phase, int64_t o, int64_t y, int64_t x);
/** Runs, steps and panels of a walk from its shape; `split`: a run for each tap. */
void nib_pack_fit_run(nib_conv_walk *w, bool split);

#ifdef __cplusplus
}
#endif
#endif

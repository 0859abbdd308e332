/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What packing asks of the phases of transposed convolutions. */
#ifndef NIB_PACK_PACK_PHASES_H
#define NIB_PACK_PACK_PHASES_H

#include "pack/pack.h"

#ifdef __cplusplus
extern "C" {
#endif

/** From the shape of a transposed convolution to that of the convolution of stride 1 whose windows
 * are those of all its phases, which *out_phases describes. */
void nib_pack_transpose_shape(nib_conv_shape *shape, nib_conv_phases *out_phases);
/** Runs, steps and panels of a walk from its shape; `split`: a run for each tap. */
void nib_pack_fit_run(nib_conv_walk *w, bool split);

#ifdef __cplusplus
}
#endif
#endif

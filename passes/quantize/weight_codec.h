/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Rows of constant weights as f32. */
#ifndef NIB_QUANTIZE_WEIGHT_CODEC_H
#define NIB_QUANTIZE_WEIGHT_CODEC_H

#include "graph/graph.h"

/** Row `row` (of the last dimension) of a constant of reals into `out`, which is returned. */
float *nib_weight_load_row(const nib_tensor *t, int64_t row, float *out);
#endif

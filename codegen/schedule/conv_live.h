/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The part of conv_rows whose weights are activations: dense layers and matrix products of two
 * tensors that are both computed. They are packed when the kernel runs, into scratch, as
 * pack/pack.h packs constants. */
#ifndef NIB_SCHEDULE_CONV_LIVE_H
#define NIB_SCHEDULE_CONV_LIVE_H

#include "pack/pack.h"
#include "schedule/conv_formats.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Whether the second operand is no constant. */
bool nib_conv_is_live(const nib_graph *g, const nib_node *n);
/** Whether it can be packed: dense layers, and matrix products whose leading dimensions, of each
 *  operand, are those of the result or 1. */
bool nib_conv_live_accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v);
/** Matrices of the result, which threads share; a dense layer has one. */
int64_t nib_conv_live_matrices(const nib_graph *g, const nib_node *n);
/** Bytes of scratch for it, a multiple of 64. */
int64_t nib_conv_live_bytes(const nib_conv_walk *w, const nib_vocab *v);
/** Packs at `scratch` + `at`, and opens the loop over matrices, where there are several. `starts`:
 * added to the biases of integers, by channel, or NULL. */
void nib_conv_live_begin(nib_emitter *e, const nib_node *n, const nib_conv_walk *w, int64_t at,
                         const int32_t *starts);
/** Pointers to what it packs. */
extern const nib_conv_constants nib_conv_live_constants;
/** Goes on to the next matrices. */
void nib_conv_live_end(nib_emitter *e, const nib_node *n);

#ifdef __cplusplus
}
#endif
#endif

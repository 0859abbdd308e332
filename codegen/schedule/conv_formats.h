/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef NIB_SCHEDULE_CONV_FORMATS_H
#define NIB_SCHEDULE_CONV_FORMATS_H

#include "pack/pack.h"
#include "schedule/schedule.h"

/** Whether the operands of a convolution suit the vector schedules: 8-bit by constants of integers
 *  of up to 8 bits with an i32 bias, or all reals, summed in f32 or in the vocabulary's f16; not in
 * that from a bias of f32. With `live` the weights need be no constants. */
bool nib_conv_formats_fit(const nib_graph *g, const nib_node *n, const nib_vocab *v, bool live);

/** The constants of a kernel's filter: C expressions of pointers to them. */
typedef struct nib_conv_constants {
  const char *weights, *bias;
} nib_conv_constants;
/** C types of packed reals and of biases. */
const char *nib_conv_real_type(const nib_vocab *v);
/** C type of packed weights. */
const char *nib_conv_weight_type(const nib_vocab *v, bool is_float);
const char *nib_conv_bias_type(const nib_vocab *v, bool is_float);
/** Adds what accumulators begin at besides the bias, by place; `starts` may be NULL. */
void nib_conv_add_starts(void *biases, const int32_t *starts, int64_t channels);
/** The channel at each place of panels whose codes are narrowed without an instruction that brings
 * them in order: where a pixel of a tile is as many registers as are packed together. *out_order is
 * NULL elsewhere; the caller frees it. */
nib_status nib_conv_order(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                          const nib_conv_walk *w, int32_t **out_order);
/** Packed weights and what sums begin at, biases plus `starts` by place (or NULL), in `order`
 * unless that is NULL. The caller frees both, also after a failure. */
nib_status nib_conv_pack(const nib_graph *g, const nib_node *n, const nib_vocab *v,
                         const nib_conv_walk *w, const int32_t *order, const int32_t *starts,
                         int64_t elems, void **out_weights, size_t *out_bytes, void **out_bias);
/** Adds what packing gave: `bytes` of `weight_type`, and `bias_elems` biases of `bias_type`. */
nib_status nib_conv_add_constants(nib_emitter *e, const nib_kernel *kernel, const char *weight_type,
                                  const void *weights, size_t bytes, const char *bias_type,
                                  const void *bias, int64_t bias_elems, nib_conv_constants *out);

/** The share of the work that the largest of `parts` ≥ 1 even parts of `units` has. */
double nib_conv_largest_share(int64_t units, int64_t parts);

#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Weights for dot products that sum pairs of products in i16 (nib_vocab.pair_limit): packed weights
 * stay within the limit, and what that takes from them is multiplied in dot products of its own,
 * few enough for most weights. */
#ifndef NIB_PACK_PACK_PAIRS_H
#define NIB_PACK_PACK_PAIRS_H

#include "pack/pack.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What packed weights lost. One dot product takes dot_k elements of a row, from any on; several of
 *  them make a sum, which stays within the limit as a whole: DOT8 and DOT8_SUM compute it. */
typedef struct nib_excess {
  int64_t dots, sums, registers;
  int8_t *weights;        /**< [dots][lane][dot_k] */
  int32_t *at;            /**< [dots][2]: kernel row, and first element from the pixel's first */
  int32_t *first_dot;     /**< [sums + 1]: of each sum */
  int32_t *first_sum;     /**< [registers + 1]: of each register [group or phase][panel][column] */
} nib_excess;

/** Brings `packed`, which nib_pack_weights made, within the limit. nib_excess_release frees. */
nib_status nib_pack_split(const nib_vocab *v, const nib_conv_walk *w, int8_t *packed,
                          nib_excess *out_excess);
/** The same for `packed` of nib_pack_quads, in `blocks` registers of channels: each excess stays in its place, a
 *  dot product is as DOT computes it, and a sum has those of one block and row of results ([blocks][rows]);
 *  `at` is the quad and the kernel column. */
nib_status nib_pack_split_quads(const nib_vocab *v, const nib_quads *q, int64_t blocks,
                                int64_t kernel_w, int8_t *packed, nib_excess *out_excess);
/** The same of `rest`, weights that are multiplied besides the packed ones: a dot product where any is not 0. */
nib_status nib_pack_collect_quads(const nib_vocab *v, const nib_quads *q, int64_t blocks,
                                  int64_t kernel_w, const int8_t *rest, nib_excess *out_excess);
void nib_excess_release(nib_excess *excess);

/** Multiply-accumulates that splitting adds to convolution `n` as conv_rows runs it, sums counted as dot products; 0 where nothing is split. */
nib_status nib_pack_excess_macs(const nib_graph *g, const nib_node *n, const nib_vocab *v,
                                int64_t *out_macs);

#ifdef __cplusplus
}
#endif
#endif

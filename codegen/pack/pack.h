/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Packing: weights and biases rearranged at compile time into the order in which a micro-kernel
 * reads them, in the number formats of a vocabulary. */
#ifndef NIB_PACK_PACK_H
#define NIB_PACK_PACK_H

#include "epilogue/epilogue.h"
#include "params/params.h"
#include "vocab/vocab.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Rows of flattened pixels are multiples of this where the last row is shorter. */
#define NIB_ROW_UNIT 24

/** Where results and taps of a transposed convolution are. It is walked as convolutions of stride
 * 1, one for each phase: the results at row Y * stride_h + y and pixel X * stride_w + x for all Y
 * and X. Neighbouring phases that read the same window of the input are walked as one block, whose
 * shape they share. All zero but the strides, which are 1, in the walks of other operators. */
typedef struct nib_conv_phases {
  int64_t stride_h, stride_w;      /**< of results */
  int64_t out_h, out_w;            /**< all results, of which a walk's shape has one in a stride */
  int64_t filter_h, filter_w;      /**< of the weights */
  int64_t pad_top, pad_left;       /**< of results that are left out */
  int64_t y, x, rows, columns;     /**< the phases of a block: from (y, x) on */
  int64_t first_row, first_column; /**< of the block's window in that of all phases */
  int64_t tap_y, tap_x;            /**< of phase (y, x) at its window's first row and column */
  int64_t fold; /**< so many pixels of the result are walked as the channels of one; 1: each by
                   itself. Their phases along a row are walked together. */
} nib_conv_phases;
enum { NIB_CONV_MOST_BLOCKS = 16 };

/** How a convolution walks its operands. A kernel row is `segments` runs of contiguous staged
 *  elements, `pitch` elements apart: one run of kernel_w * in_c where the taps touch (dilation 1,
 *  one group), else one per tap. Runs are padded with zero weights to `steps` * dot_k. Output
 *  channels of a group are cut into panels of `columns` registers; the last may have fewer. */
typedef struct nib_conv_walk {
  nib_conv_shape shape; /**< 1x1 convolutions and fully connected are flattened to rows of pixels */
  int64_t last_w; /**< output pixels of the last row: fewer than out_w only after flattening */
  bool is_float;
  bool transposed;             /**< filter [1,KH,KW,O]: a depthwise filter of one input channel */
  int64_t group_in, group_out; /**< channels of one group */
  int64_t segments, run, pitch;
  int64_t dot_k, steps;
  int64_t lanes, columns;
  int64_t full_panels, last_columns,
      last_tail; /**< last_tail: valid lanes of its last register, or 0 */
  int64_t codes; /**< weights that share a byte, those of as many steps (nib_pack_share_bytes); 1:
                    none do */
  int64_t panel_elems, last_panel_elems, group_elems; /**< packed weights, of each phase */
  nib_conv_phases phases; /**< of a transposed convolution: shape is what all phases read, or what
                             those of a block do */
} nib_conv_walk;

/** Fills *out_walk for conv2d, transpose_conv2d (all phases), fully_connected, or depthwise_conv2d
 * of one input channel. */
void nib_pack_walk(const nib_graph *g, const nib_node *n, const nib_vocab *v, int64_t columns,
                   nib_conv_walk *out_walk);
/** The same with rows of `row` pixels where pixels are flattened to rows; 0: chosen here. Of a
 * transposed convolution with `row` pixels folded, if nib_pack_may_fold says so; else none. */
void nib_pack_walk_in_rows(const nib_graph *g, const nib_node *n, const nib_vocab *v,
                           int64_t columns, int64_t row, nib_conv_walk *out_walk);
/** What is walked with weights of its own, at most NIB_CONV_MOST_BLOCKS: blocks of phases, without
 * taps where none reaches their results; of other operators the walk itself. Returns how many. */
int nib_pack_blocks(const nib_conv_walk *w, nib_conv_walk *out_blocks);
/** The one of them with most taps. */
nib_conv_walk nib_pack_largest_block(const nib_conv_walk *w);
int64_t nib_pack_phase_count(const nib_conv_walk *block); /**< 1 of other operators */
int64_t nib_pack_part_count(const nib_conv_walk *block);  /**< groups or phases */
/** Whether results of one walk lie apart. */
bool nib_pack_has_phases(const nib_conv_walk *w);
/** Whether pixels of transposed convolution `n` can be walked as channels of one, as many as its
 * stride along rows: weights must hold a 0 for taps that some of them lack. */
bool nib_pack_may_fold(const nib_graph *g, const nib_node *n, const nib_vocab *v);
/** Pixels to fold: as many where that multiplies fewer registers of channels; else, and of other
 * operators, 0. */
int64_t nib_pack_best_fold(const nib_graph *g, const nib_node *n, const nib_vocab *v);
/** Whether channels that are folded lack taps of the window. */
bool nib_pack_has_gaps(const nib_conv_walk *w);
bool nib_pack_is_pointwise(const nib_conv_shape *s); /**< whose pixels are flattened to rows */
/** Walks the taps of a kernel row one by one, as with dilation, although they touch. */
void nib_pack_split_taps(nib_conv_walk *w);
/** Weights of few bits, how they share bytes: register s of packed weights holds steps s * codes +
 * i, each code in bits i * bits … of its byte. A code is its number less `low`, without the lowest
 * `shift` bits. */
typedef struct nib_shared_codes {
  int64_t codes; /**< of a byte; 1: weights of this format share none */
  int bits;      /**< of a code in its byte: 1, 2 or 4 */
  int shift;     /**< all numbers less `low` are multiples of 2^shift */
  int64_t low;
} nib_shared_codes;
nib_shared_codes nib_pack_shared_codes(const nib_tensor *weights);
/** Walks `codes` steps to a register of packed weights. */
void nib_pack_share_bytes(nib_conv_walk *w, int64_t codes);
/** Elements from one kernel row to the next within a panel of `columns`. */
int64_t nib_pack_row_elems(const nib_conv_walk *w, int64_t columns);

int64_t nib_pack_zero(const nib_tensor *t); /**< zero point: 0 where it has none */
/** Zero point of the weights as the vocabulary multiplies them, `codes` to a byte: what is left to
 * subtract with the sum of the activations. 0 where packing subtracts it. */
int64_t nib_pack_weight_zero(const nib_graph *g, const nib_node *n, const nib_vocab *v,
                             int64_t codes);

/** Bytes of an element of packed weights. */
int nib_pack_elem_bytes(const nib_conv_walk *w, const nib_vocab *v);
/** Packed weights [group or phase][panel][kernel row][segment][step][column][lane][dot_k]: i8 or
 * i16 as the vocabulary says, or f32; of w->codes steps one where they share bytes. The caller
 * frees *out_data. */
nib_status nib_pack_weights(const nib_graph *g, const nib_node *n, const nib_vocab *v,
                            const nib_conv_walk *w, void **out_data, size_t *out_bytes);
/** Initial accumulators: bias with the staged zero point's contribution taken out, i32, f32, or f16
 * where the vocabulary computes in it, `elems` ≥ out_c of them, zero past out_c; of integers for
 * each phase. The caller frees *out_data. */
nib_status nib_pack_bias(const nib_graph *g, const nib_node *n, const nib_vocab *v,
                         const nib_conv_walk *w, int64_t elems, void **out_data);
/** What accumulators (in TFLite's sense) each of out_c channels can reach, in any phase. The caller
 * frees. */
nib_status nib_pack_ranges(const nib_graph *g, const nib_node *n, const nib_conv_walk *w,
                           nib_acc_range **out_ranges);

/** Depthwise: weights minus zero point as i16 of 2 or, with a zero upper half (see MAC16), 4 bytes,
 * or f32 or in 2 bytes f16, [kernel row][kernel column][channel], channels padded to `elems`. The
 * caller frees. */
nib_status nib_pack_depthwise(const nib_graph *g, const nib_node *n, int64_t elems, int elem_bytes,
                              void **out_data, size_t *out_bytes);

/** How depthwise_quads reads its operands: `quads` groups of four input rows give `rows` output
 * rows. */
typedef struct nib_quads {
  int64_t quads, rows;
} nib_quads;
/** Whether all weights minus the zero point are int8, as quads need them. */
bool nib_pack_fits_i8(const nib_tensor *weights);
/** Whether they are i8 whose negatives are, too. */
bool nib_pack_fits_signs(const nib_tensor *t);
bool nib_pack_fits_two(const nib_tensor *weights); /**< whether each is the sum of two int8 */
/** Weights minus zero point [channels / lanes][quad][kernel column][row][lane][row of the quad],
 * i8: row r of the results multiplies kernel row 4 * quad + i - r * stride by row i of the quad.
 * *out_rest is the same of what an int8 has no room for, NULL where all fit. The caller frees both,
 * also after a failure. */
nib_status nib_pack_quads(const nib_graph *g, const nib_node *n, const nib_quads *q,
                          const nib_conv_shape *shape, int64_t lanes, int8_t **out_data,
                          int8_t **out_rest, size_t *out_bytes);

/** The channel at each place of `registers` (2 or 4) registers of channels whose codes are packed
 * together, for interleaving and packing that move no bytes between parts of 16 (QUADS_PARTS,
 * QUADS_PAIRS). `channels` is a multiple of what they hold. The caller frees; NULL: out of memory.
 */
int32_t *nib_pack_channel_order(int64_t channels, int64_t lanes, int64_t registers);
/** Brings a result of nib_pack_quads in that order, or biases. */
nib_status nib_pack_move_quads(const int32_t *order, int64_t channels, int64_t lanes,
                               int8_t *weights, size_t bytes);
/** Brings packed weights of panels of `columns` channels, four K of each at a time, in that order.
 */
nib_status nib_pack_move_columns(const int32_t *order, int64_t columns, int8_t *weights,
                                 size_t bytes);
nib_status nib_pack_move_biases(const int32_t *order, int64_t channels, int32_t *bias);

/** Zero point that padding of the staged input holds: codes - min(format), or 0 for i16 staging. */
int64_t nib_pack_staged_zero(const nib_graph *g, const nib_node *n, const nib_vocab *v);

#ifdef __cplusplus
}
#endif
#endif

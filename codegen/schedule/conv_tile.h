/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The micro-kernel of conv_rows: the sums of a tile of pixels by registers of output channels, over
 * the taps under each pixel. */
#ifndef NIB_SCHEDULE_CONV_TILE_H
#define NIB_SCHEDULE_CONV_TILE_H

#include "schedule/conv_codes.h"
#include "schedule/conv_cut.h"
#include "schedule/conv_excess.h"
#include "schedule/conv_fetch.h"
#include "schedule/conv_formats.h"
#include "schedule/stage_rows.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What is walked with one set of weights: all of a convolution, or some phases of a transposed one
 * (nib_conv_phases). */
typedef struct nib_conv_block {
  nib_conv_walk walk;
  nib_conv_fetch fetch;
  nib_conv_constants constants;
  nib_conv_excess excess;
} nib_conv_block;

/** A kernel of conv_rows while it is emitted. */
typedef struct nib_conv_rows {
  nib_emitter *e;
  const nib_kernel *kernel;
  nib_conv_walk walk; /**< of the rows that are staged */
  nib_conv_block blocks[NIB_CONV_MOST_BLOCKS];
  int n_blocks;
  const nib_conv_block *block; /**< the one that is being emitted */
  const char *bias;            /**< expression of its biases */
  nib_stage stage;
  nib_epilogue epilogue;
  int64_t pixels;   /**< of a tile */
  bool by_taps;     /**< the taps of a row together: each input column is loaded once for all */
  int64_t out_ring; /**< rows of out, a ring; 0: all of them */
  nib_conv_cut cut; /**< what begin and end count */
  int64_t units;
  int64_t code;        /**< of the bytes of weights, whose step is being said */
  bool live;           /**< weights are packed when the kernel runs */
  bool in_last;        /**< the step beyond whole groups of an odd run is being said */
  int64_t weight_zero; /**< left to subtract with sums of activations; 0: none */
  const char *weight_type;
  nib_shared_codes codes; /**< of a byte of the weights, if any share one */
} nib_conv_rows;

/** A tile: `pixels` by `columns` registers of output channels from channel c (of group g). */
typedef struct nib_conv_tile {
  int64_t pixels, columns;
  int64_t tail; /**< valid lanes of the last register, 0: all */
} nib_conv_tile;

/** Declares acc<pixel>_<column>, the sums of tile `t` of the panel that is being emitted, biases
 * included. */
void nib_conv_tile_sums(nib_conv_rows *r, const nib_conv_tile *t);

#ifdef __cplusplus
}
#endif
#endif

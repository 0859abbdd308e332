/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The integer sums of block_dots' micro-kernel (block_tile.c): products of codes where they lie in
 * their bytes, or looked up, or nested. */
#ifndef NIB_SCHEDULE_BLOCK_SUMS_H
#define NIB_SCHEDULE_BLOCK_SUMS_H

#include "schedule/block_dots.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { NIB_BLOCK_MAX_KEYS = 16 };

/** Sums of products with codes `shift` bits too high (below 0: too low). */
typedef struct nib_block_key {
  int shift;
  int dots; /**< since the last flush of i16 sums */
} nib_block_key;

/** A tile while it is emitted. */
typedef struct nib_block_sums {
  nib_block_dots *d;
  nib_emitter *e;
  const nib_block_pack *p;
  nib_block_tile size;
  int64_t rows; /**< of codes, of which a row of activations may be several */
  nib_block_plane
      planes[NIB_BLOCK_MAX_PLANES]; /**< of the source: packed weights, or one of bytes */
  int n_planes, n_tables;
  int64_t unit;
  int spread; /**< of the source */
  bool delayed;
  int dots_of_flush; /**< 0: DOT8 adds into i32 */
  nib_block_key keys[NIB_BLOCK_MAX_KEYS];
  int n_keys;
} nib_block_sums;

/** Finds out what is multiplied how, from d, e, p and size. */
void nib_block_sums_open(nib_block_sums *t);
/** Declares `next`, what comes near while unpacked codes are multiplied: the activations of the
 * tile behind this one. */
void nib_block_sums_next_rows(const nib_block_sums *t);
/** Declares the masks of codes. */
void nib_block_sums_masks(const nib_block_sums *t);
/** acc<m>_<c> = the sums of step `step` (an expression), whose weights are at w and activations at
 *  a; both move on. */
void nib_block_sums_step(nib_block_sums *t, const char *step);
/** The same of pieces [from, to) of a bundle whose first step is `step`: acc<m>_<c>_<piece *
 * tables>. Neither moves on. */
void nib_block_sums_pieces(nib_block_sums *t, const char *step, int from, int to);
/** Where what belongs to step `step` + j of row m of codes, counted from the tile's first, lies,
 * for column register c. */
nib_word nib_block_field_at(const nib_block_sums *t, int64_t m, int c, const char *step, int j);
/** Bytes ahead at which packed weights are prefetched. */
int nib_block_sums_ahead(const nib_block_sums *t);

#ifdef __cplusplus
}
#endif
#endif

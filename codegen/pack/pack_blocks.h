/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Packing of weights of few bits for products with bytes. The elements of a format are integers
 * times a power of two: element = (code * 2^mul_log2 - zero) * 2^unit_exponent, with a code that is
 * stored, or looked up in a table of 16 bytes by what is stored. A stored code is cut into planes
 * of 1, 2, 4 or 8 bits. In a plane a register of `lanes` columns by 4 bytes has, in bits j * bits
 * and up of byte i, the code of element k + 4 j + i, so that a mask (and a shift) gives what DOT8
 * multiplies. Codes of one plane are spread instead where steps can be bundled: piece j belongs to
 * element k + i of step j of the bundle, so that each step has a sum of its own and nothing needs
 * shifting afterwards. */
#ifndef NIB_PACK_PACK_BLOCKS_H
#define NIB_PACK_PACK_BLOCKS_H

#include "graph/graph.h"
#include "vocab/vocab.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { NIB_BLOCK_MAX_PLANES = 3, NIB_BLOCK_MAX_TABLES = 2 };

/** Bits [shift, shift + bits) of a code. */
typedef struct nib_block_plane {
  int bits, shift;
} nib_block_plane;

typedef struct nib_block_pack {
  int64_t outputs, k;
  /* numbers */
  int bits; /**< of a stored code */
  int zero, mul_log2, unit_exponent;
  int largest;  /**< code (or entry of a table) */
  int n_tables; /**< 0: none; 2: low and high four bits of the entries */
  uint8_t tables[NIB_BLOCK_MAX_TABLES][16];
  int16_t stored[256]; /**< by code of the element format */
  /* planned for reals: element = (code - zero / 2^mul_log2) * 2^(mul_log2 + unit_exponent) or,
   * where it is no integer times a constant, reals[code & 15] */
  bool by_codes;
  float reals[16];
  bool by_fours; /**< planned for sums: see nib_block_pack_plan_sums; a code counts 2^fours_log2 */
  int fours_log2;
  bool by_sixes;  /**< and by six of them: see nib_block_pack_plan_sixes */
  bool one_plane; /**< codes are indices, not sums of parts */
  int n_planes;
  nib_block_plane planes[NIB_BLOCK_MAX_PLANES];
  /* K: groups of elements with one scale, made of steps whose sum is an integer. A step is padded
   * to whole units, for which each plane fills whole registers. */
  int64_t group, step, padded_step, unit;
  int64_t groups, steps_of_group;
  int64_t
      chunk_groups; /**< groups of a chunk of K, one of which lies behind the other: whole ones */
  int spread;       /**< steps of a bundle; 1: codes are not spread */
  int fields;       /**< column registers whose codes share a byte; 1: see plan_nested */
  /* columns */
  int lanes, columns; /**< a panel is `columns` registers wide; the last may be narrower */
  int64_t panels, last_columns;
  bool has_scales, has_offsets;
  nib_format scale_format,
      offset_format;               /**< the narrowest of f16, bf16, f32 that hold all exactly */
  int64_t step_bytes, group_bytes; /**< for one register of columns */
} nib_block_pack;

/** Scales of a tensor in blocks, and what is added where its format adds something or has zero
 * points: of each group (of each block, where it has none), in memory's order. */
typedef struct nib_block_factors {
  float *scales, *offsets; /**< offsets: NULL where nothing is added */
} nib_block_factors;

bool nib_block_factors_read(const nib_tensor *w, nib_block_factors *out);
void nib_block_factors_free(nib_block_factors *f);
/** The narrowest of f16, bf16 and f32 that holds x[0..n) exactly; f16 where x is NULL. */
nib_format nib_block_narrowest(const float *x, int64_t n);

/** Plans the packing of `w` [outputs, k], in a block format or in integers of at most 8 bits, for
 *  products with rows whose scales are shared by `act_group` elements (k: by all; 0: there are
 * none, and none of the weights are looked at). False where the elements are no such integers, or
 *  groups do not meet. Codes are not spread unless `spreads`. The formats of scales are set by
 *  nib_block_pack_data. */
bool nib_block_pack_plan(const nib_tensor *w, int64_t act_group, bool spreads, const nib_vocab *v,
                         int columns, nib_block_pack *out_pack);

/** The same for products with reals, which take elements of any kind of at most 4 bits and integers
 *  of 8: steps are groups, and codes are not looked up in tables of bytes. Those of fewer than 4
 * bits that are not 1 or 2 have planes of 4. */
bool nib_block_pack_plan_reals(const nib_tensor *w, const nib_vocab *v, int columns,
                               nib_block_pack *out_pack);

/** The same for codes of one bit by which sums of four activations are looked up: a register holds
 * 32 elements of each column. The four from 4 i on are bits 0 to 3 of byte i, those from 16 + 4 i
 * on bits 4 to 7. Of a code counts its bit * 2^fours_log2; mul_log2 is 0. */
bool nib_block_pack_plan_sums(const nib_tensor *w, int64_t act_group, const nib_vocab *v,
                              int columns, nib_block_pack *out_pack);

/** The same for sums of six, where panels are four registers wide and all full. For 32 elements of
 * the columns of a panel there are four registers with a byte for each column: nib_block_six_byte
 * says which, and in the next 32 elements of a group neighbours have changed places. Elements 6 r
 * to 6 r + 5 are bits 0 to 5 of register r, 30 and 31 bits 6 and 7 of register 3. Of registers 0 to
 * 2, as 32-bit lanes shifted right by 2, 4 and 6 and joined by exclusive or, elements 24 to 29 are
 * bits 0 to 5: what bits 6 and 7 are for. */
bool nib_block_pack_plan_sixes(const nib_tensor *w, int64_t act_group, const nib_vocab *v,
                               nib_block_pack *out_pack);

/** The same for codes of 2 or 4 bits of which a byte has those of 8 / bits column registers
 * (fields) at one element, where a panel is `registers` registers of codes wide, and all are full.
 * Of register c, bits f * bits and up of a byte belong to column register c * fields + f. */
bool nib_block_pack_plan_nested(const nib_tensor *w, int64_t act_group, const nib_vocab *v,
                                int registers, nib_block_pack *out_pack);

/** The byte of column `in_panel` of a panel of 4 * lanes columns: zipping bytes and taking even or
 * odd words brings it to its place. */
int64_t nib_block_six_byte(int lanes, int64_t in_panel);

/** Sets the formats of scales and the bytes that depend on them, and packs: chunk by chunk, panel
 * by panel, group by group: [step][unit][plane][register of the unit][column register], then
 * scales, then offsets, by column. Bundles, of steps of a group or of groups of one step, have
 * their codes as [register][column register] and, in the latter case, the scales of all their
 * groups, then the offsets, behind them. Columns past the last have codes and scales of 0. The
 * caller frees *out_data. */
nib_status nib_block_pack_data(const nib_tensor *w, nib_block_pack *pack, uint8_t **out_data,
                               size_t *out_bytes);

/** The largest byte that an element is, its tables looked up. */
int nib_block_pack_largest(const nib_block_pack *pack);

/** First byte in the first chunk of the panel at column register `column`; bytes of a chunk. */
int64_t nib_block_pack_panel_at(const nib_block_pack *pack, int64_t column);
int64_t nib_block_pack_chunk_bytes(const nib_block_pack *pack);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Weights of few bits as the operand A of matrix instructions (16 rows of weights by 16 or 32 of
 * K), for any format of blocks, codebooks and small reals: how elements are stored and become
 * operands, and in which order they lie in memory. No schedule knows a format.
 *
 * A step is what a warp loads at once: `tiles` x 16 rows by `step_elems` of K. It begins with the
 * words of each lane, four (then two, one) of them side by side, so that a warp reads 512
 * contiguous bytes with one instruction; then come the scales. In a step lie, 64 of K after 64, the
 * tiles, of each the planes of the codes. A register of A has elements of 16 bits (of 8 with
 * products of bytes); element i of register j of a tile is in word j / (16 / bits), bits j % (16 /
 * bits) * bits + 16 i, so that a shift and a mask take a whole register out of a word. */
#ifndef NIB_CUDA_LOW_BIT_H
#define NIB_CUDA_LOW_BIT_H

#include "pack/operand_numbers.h"
#include "schedule/direct.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { NIB_LOW_BIT_SUB = 64 }; /**< of K, in which steps are counted */

typedef struct nib_low_bit {
  const nib_tensor *w;
  int64_t outputs, k;
  nib_operand_numbers e; /**< weight = element * 2^exponent * scale + offset; a NaN is the scale's.
                            Bits [shift, shift + bits) of a plane are those words of a tile */
  bool folds; /**< operands are weights, rounded: not elements, with scales applied to sums */
  /* K: groups with one scale, each padded so that matrix instructions do not cross it */
  bool has_scales, has_offsets;
  bool has_codes; /**< scales are products of a byte for the group and a real for its block */
  int64_t group, padded_group, groups;
  int64_t step_elems, steps;
  int scales_of_step; /**< of a row */
  int run; /**< neighbours in K that a lane has of a row of B: 2 (as the instructions say), 4, 8 */
  /* memory */
  int tiles; /**< of 16 rows in a step */
  int64_t row_blocks;
  nib_format scale_format; /**< of scales and offsets; set by nib_low_bit_pack */
  int words, scale_words;  /**< of a lane in a step: codes; scales of rows lane / 4 and that + 8 */
  int code_words;          /**< of those, the bytes of groups, before the reals */
  int64_t scales_at, step_bytes;
} nib_low_bit;

/** Plans the weights [outputs, k] of `n` in steps of `tiles` tiles. With products of bytes, integer
 * sums end after `act_group` elements. Groups of 16 have runs of 4 where 8 is asked for. It folds
 * where the node multiplies rounded weights, unless elements are such already. False where the
 * elements are none that the product takes. */
bool nib_low_bit_plan(const nib_graph *g, const nib_node *n, nib_operand_type type,
                      int64_t act_group, int tiles, int run, nib_low_bit *out_plan);

/** Sets what depends on scales, and packs: [row block][step]. The caller frees *out_data. */
nib_status nib_low_bit_pack(nib_low_bit *p, uint8_t **out_data, size_t *out_bytes);
/** The same as a constant of the kernel whose root is `n`: a pointer to it. */
nib_expr nib_low_bit_constant(nib_low_bit *p, nib_direct *d, const nib_node *n);

/** Registers of a tile for 64 of K: 16 or 8. */
int nib_low_bit_registers(const nib_low_bit *p);

/** Declares `a[parts][registers]` and unpacks registers [first, end) of tile `tile` of sub-step
 * `sub` (C expressions) from the words `q`; a TABLE is at `table`. */
void nib_low_bit_unpack_emit(const nib_low_bit *p, nib_text *t, const char *q, const char *sub,
                             const char *tile, int first, int end);
/** Declares the lane's pointers into the step at `from`, by `lane` and `g` = lane / 4; and loads
 * the words `q` and `f` (scales; either may be NULL) of the step `offset` bytes further (C
 * expressions). */
void nib_low_bit_pointers_emit(const nib_low_bit *p, nib_text *t, const char *from);
void nib_low_bit_load_emit(const nib_low_bit *p, nib_text *t, const char *q, const char *f,
                           const char *offset);
/** The same from a step in shared memory. */
void nib_low_bit_get_emit(const nib_low_bit *p, nib_text *t, const char *q, const char *f,
                          const char *at);
/** Declares `scale[2]` and, where there are any, `offset[2]`, of rows lane / 4 and that + 8 of tile
 * `tile`, in group number `group` of the step, from the words `f`. */
void nib_low_bit_scales_emit(const nib_low_bit *p, nib_text *t, const char *f, const char *tile,
                             const char *group);
/** Where the plan folds: makes registers [first, end) of `a`, part 0, of tile `tile` of sub-step
 * `sub`, the weights themselves, rounded to the product's type; scales and offsets are the words
 * `f`. */
void nib_low_bit_fold_emit(const nib_low_bit *p, nib_text *t, const char *f, const char *sub,
                           const char *tile, int first, int end);

#ifdef __cplusplus
}
#endif
#endif

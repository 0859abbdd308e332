/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Parts of blocks, for those that read, write or describe them. */
#ifndef NIB_NUM_BLOCK_H
#define NIB_NUM_BLOCK_H

#include "num/format.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The bit of a block at which field number i begins. */
int nib_block_field_bit(const nib_bit_field *f, int i);
/** Bit field number i of a block. */
uint32_t nib_bit_field_get(const nib_bit_field *f, const uint8_t *block, int i);
void nib_bit_field_set(const nib_bit_field *f, uint8_t *block, int i, uint32_t value);
uint32_t nib_split_field_get(const nib_split_field *f, const uint8_t *block, int i);
void nib_split_field_set(const nib_split_field *f, uint8_t *block, int i, uint32_t value);

/** Elements that share a scale: of a group, or of the whole block. */
int nib_block_group_elems(const nib_format_info *block);
/** The code of element i, as it lies in the block. */
uint32_t nib_block_code(const nib_block_layout *b, const uint8_t *block, int i);
/** Scale, offset and zero point of an element of group number `group`:
 *  value = scale * ((element - zero) * 2^element_exponent) + offset, in f32. */
float nib_block_scale(const nib_block_layout *b, const uint8_t *block, int group);
float nib_block_offset(const nib_block_layout *b, const uint8_t *block, int group);
float nib_block_zero(const nib_block_layout *b, const uint8_t *block);
/** Stores the block's own scale or zero point, rounded to nearest even. */
void nib_block_store_scale(const nib_block_layout *b, uint8_t *block, float scale);
void nib_block_store_zero(const nib_block_layout *b, uint8_t *block, float zero);
/** The value of element i. */
float nib_block_element(const nib_block_layout *b, const uint8_t *block, int i);
/** Least and greatest element less the zero point, before the scale. */
void nib_block_element_range(const nib_block_layout *b, double *out_low, double *out_high);
/** Element i of a tensor of blocks. */
double nib_block_load_real(const nib_format_info *info, const void *bytes, int64_t i);

#ifdef __cplusplus
}
#endif
#endif

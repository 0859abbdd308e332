/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The elements of any format of few bits as operands of products in f16, bf16 or int8: how a code
 * becomes an element, and what is stored of it. Which instructions multiply, and where codes lie,
 * is for others to say. */
#ifndef NIB_PACK_OPERAND_NUMBERS_H
#define NIB_PACK_OPERAND_NUMBERS_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { NIB_OPERAND_MAX_PLANES = 4, NIB_OPERAND_MAX_PARTS = 3 };

/** What is multiplied; sums are f32, or i32. */
typedef enum nib_operand_type {
  NIB_OPERAND_F16,
  NIB_OPERAND_BF16,
  NIB_OPERAND_I8,
} nib_operand_type;

/** How stored codes become elements. */
typedef enum nib_operand_rule {
  NIB_OPERAND_INTEGER, /**< code * 2^mul_log2 - zero */
  NIB_OPERAND_REAL,    /**< sign, exponent and mantissa in their places */
  NIB_OPERAND_TABLE,   /**< looked up, as a sum of `parts` */
} nib_operand_rule;

/** Bits [shift, shift + bits) of a code. */
typedef struct nib_operand_plane {
  int bits, shift;
} nib_operand_plane;

/** What the format means by a code is element * 2^exponent (scales and offsets aside). */
typedef struct nib_operand_numbers {
  nib_operand_type type;
  nib_operand_rule rule;
  int bits; /**< of a stored code */
  int mul_log2, zero, exponent;
  bool is_signed;      /**< products of bytes: elements are codes in two's complement */
  uint8_t stored[256]; /**< by code of the format */
  bool is_nan[256];    /**< by code: for its block's scale to say, where it has one */
  int exponent_bits, mantissa_bits, bias, has_sign; /**< of a REAL */
  int parts;
  double values[256]; /**< of a TABLE, by code */
  int n_planes;       /**< powers of two of bits each, that add up to `bits` */
  nib_operand_plane planes[NIB_OPERAND_MAX_PLANES];
} nib_operand_numbers;

/** Of constant weights in blocks or in a scalar format. False where the elements are none that the
 * type takes. */
bool nib_operand_numbers_of(const nib_tensor *w, nib_operand_type type, nib_operand_numbers *out);
/** Whether any code is a NaN that a scale has to say. */
bool nib_operand_has_nan(const nib_operand_numbers *p);
/** Words of a TABLE: by code, part 0 in the low half, part 1 in the high half; then part 2 by code.
 * Products of bytes: the element. Returns their number; 0 where there is no table. */
int nib_operand_table(const nib_operand_numbers *p, uint32_t words[512]);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Weights in groups whose scales and zero points lie in arrays of their own, as checkpoints of GPTQ
 * and AWQ have them: codes [K, N] in 32-bit words, scales and zero points [K / group, N]. */
#ifndef NIB_NUM_GROUPED_H
#define NIB_NUM_GROUPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum nib_grouped_layout {
  NIB_GROUPED_GPTQ, /**< a word has codes of one column and following rows, low bits first; 3-bit
                         codes run on over three words. Source: AutoGPTQ, qlinear */
  NIB_GROUPED_AWQ,  /**< a word has codes of one row and following columns; of 4 bits in the order 0
                         2 4 6 1 3 5 7. Source: AutoAWQ, WQLinear_GEMM */
} nib_grouped_layout;

/** Words of [rows, columns] codes of 2, 3 (GPTQ), 4 or 8 bits; 0 if the layout cannot hold them:
 * the words (of 3 bits: three words) that follow in a column or row are whole. */
size_t nib_grouped_words(nib_grouped_layout layout, int bits, int64_t rows, int64_t columns);
/** Between unsigned codes, one to a byte, [rows, columns], and words. Also for zero points: GPTQ
 * packs these along columns, as NIB_GROUPED_AWQ but without its order, and its first version stores
 * zero - 1 (nib_grouped_unpack_zeros). */
void nib_grouped_pack(nib_grouped_layout layout, int bits, const uint8_t *codes, int64_t rows,
                      int64_t columns, uint32_t *words);
void nib_grouped_unpack(nib_grouped_layout layout, int bits, const uint32_t *words, int64_t rows,
                        int64_t columns, uint8_t *codes);
/** Zero points [groups, columns] of GPTQ's `qzeros` (`minus_one`: of its first version) or AWQ's.
 */
void nib_grouped_unpack_zeros(nib_grouped_layout layout, int bits, const uint32_t *words,
                              int64_t groups, int64_t columns, bool minus_one, float *zeros);
/** (code - zero) * scale: codes [rows, columns], scales and zeros [rows / group, columns]. */
void nib_grouped_dequantize(const uint8_t *codes, int64_t rows, int64_t columns, int64_t group,
                            const float *scales, const float *zeros, float *out);
/** The same as blocks along the rows: for each column, rows / group blocks of the format
 *  ui<bits>:block=<group>,scale=…,zero=… with these scales and zero points, ready to be weights
 *  [columns, rows]. False if `format` has not this element, group, scale and zero point. */
bool nib_grouped_to_blocks(const uint8_t *codes, int64_t rows, int64_t columns, const float *scales,
                           const float *zeros, int format, void *out);

#ifdef __cplusplus
}
#endif
#endif

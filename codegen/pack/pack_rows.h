/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Weights of a matrix product as rows along K, one for each column of the result, and what each
 * sum begins with. */
#ifndef NIB_PACK_PACK_ROWS_H
#define NIB_PACK_PACK_ROWS_H

#include "pack/pack.h"

#ifdef __cplusplus
extern "C" {
#endif

/** `rows` rows of `k` elements: [rows][k] in `w`, or (`transposed`) [k][rows]. */
typedef struct nib_pack_matrix {
  const nib_tensor *w;
  bool transposed;
  int64_t rows, k;
} nib_pack_matrix;

/** The code of element `i` of constant weights of 8 bits, less their zero point. */
int64_t nib_pack_weight(const nib_tensor *w, int64_t i);

/** Constant weights as rows of `pitch` bytes, with zeros behind k; zero points of 8-bit codes are
 * taken out. The caller frees *out_data. */
nib_status nib_pack_rows(const nib_pack_matrix *m, int64_t pitch, void **out_data,
                         size_t *out_bytes);

/** What the sum of products of the codes of `x` with a row of 8-bit weights lacks: the bias (i32,
 * or NULL) less the zero point of `x` times the weights. The caller frees *out_start. */
nib_status nib_pack_row_starts(const nib_pack_matrix *m, const nib_tensor *x,
                               const nib_tensor *bias, int32_t **out_start);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The codes of weights of few bits, wherever their format keeps them: where the bits of a block lie
 * is found once. */
#ifndef NIB_PACK_ELEMENT_CODES_H
#define NIB_PACK_ELEMENT_CODES_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Where the bits of one number lie. */
typedef struct nib_code_place {
  int32_t byte;
  uint8_t shift, two; /**< two: in the next byte as well */
} nib_code_place;

typedef struct nib_code_reader {
  const nib_tensor *w;
  nib_code_place *low,
      *high; /**< by element of a block; NULL: scalars, or nothing is that simple */
} nib_code_reader;

/** For weights in blocks, or in a scalar format of at most 8 bits. False: out of memory. */
bool nib_code_reader_open(const nib_tensor *w, nib_code_reader *out);
void nib_code_reader_close(nib_code_reader *r);
/** The codes of `n` elements of one block from `elem` on, as the format has them. */
void nib_code_reader_get(const nib_code_reader *r, int64_t elem, int64_t n, uint8_t *out_codes);

#ifdef __cplusplus
}
#endif
#endif

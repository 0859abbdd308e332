/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Pieces: operands of `concat` and results of `slice` whose bytes are a run of the larger tensor's,
 * so that both may be the same memory and nothing has to be copied. */
#ifndef NIB_GRAPH_PIECES_H
#define NIB_GRAPH_PIECES_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A piece and the tensor that it is a run of. */
typedef struct nib_piece {
  int32_t whole, part;  /**< tensors */
  int64_t offset_bytes; /**< of the part in the whole */
} nib_piece;

/** Whether operand `slot` of `n` and the result are whole and part (concat) or part and whole
 *  (slice), byte for byte: contiguous, of one format and one scale, not empty. */
bool nib_piece_of(const nib_graph *g, const nib_node *n, int32_t slot, nib_piece *out_piece);

#ifdef __cplusplus
}
#endif
#endif

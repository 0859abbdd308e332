/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The stages of a kernel that holds a chain of convolutions. */
#ifndef NIB_SCHEDULE_ROW_CHAIN_H
#define NIB_SCHEDULE_ROW_CHAIN_H

#include "schedule/row_stage.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_MAX_CHAIN NIB_MAX_STAGES

typedef struct nib_chain_stage {
  nib_kernel kernel; /**< its nodes, and its tile; the chain's name and a number are its name */
  char name[96];
  const nib_row_stage *row;
  nib_row_shape shape;
  int64_t scratch, scratch_bytes; /**< offset in the chain's, and bytes */
  int64_t ring;                   /**< rows of its result's buffer; 0: the last, into `out` */
  int64_t buffer;                 /**< the buffer's offset in the chain's scratch */
} nib_chain_stage;

typedef struct nib_chain {
  int n;
  nib_chain_stage stages[NIB_MAX_CHAIN];
  int64_t scratch_bytes;
} nib_chain;

/** Cuts the nodes of `kernel` where a convolution or pool starts; false where that makes fewer than two
 *  parts, or too many, or a part reads anything but the result before it. out->stages[i].kernel has
 *  nodes alone. */
bool nib_chain_cut(const nib_graph *g, const nib_kernel *kernel, nib_chain *out);
/** Cuts `kernel`, and chooses a schedule and a tile for each stage, and buffers; kernel->tile[0] is
 *  the rows of the pointwise stages' steps. False where a stage cannot run by rows. Its names point
 * into *out. */
bool nib_chain_open(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                    nib_chain *out);

#ifdef __cplusplus
}
#endif
#endif

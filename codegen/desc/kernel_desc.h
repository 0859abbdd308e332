/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Kernel descriptions: what fuse, select and tiling weigh. One JSON line each; no notion of an
 * instruction set (that is the target's and the vocabulary's). */
#ifndef NIB_DESC_KERNEL_DESC_H
#define NIB_DESC_KERNEL_DESC_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_DESC_MAX_OPS 16
#define NIB_DESC_MAX_TENSORS 16

typedef struct nib_desc_tensor {
  char role[8];          /**< "in", "out", "weight" */
  char format[96];       /**< its name, with parameters if it has any */
  int32_t rank;
  int64_t dims[NIB_MAX_RANK];
} nib_desc_tensor;

typedef struct nib_kernel_desc {
  int32_t n_ops;
  char ops[NIB_DESC_MAX_OPS][24];       /**< mnemonics in execution order */
  int32_t n_tensors;
  nib_desc_tensor tensors[NIB_DESC_MAX_TENSORS];
  int64_t kernel[2], strides[2], dilations[2], pads[4];
  char rounding[16];
  char schedule[24];                    /**< "" before a schedule is weighed */
  char vocab[24];
  int32_t tile[NIB_MAX_TILE];
  int64_t macs;                         /**< multiply-accumulates, padding taps included */
  int64_t excess_macs;                  /**< more of them, where pairs would saturate (pack_pairs.h) */
  int64_t elementwise;                  /**< element operations of the epilogue and others */
  int64_t input_bytes, weight_bytes, output_bytes, scratch_bytes; /**< compulsory traffic */
  int64_t working_set_bytes;            /**< touched by the innermost tile loop: which cache level */
  char *body;                           /**< the group's MLIR text, owned; may be NULL */
} nib_kernel_desc;

/** Describes the nodes `nodes[0..n)` of `g` as one kernel. */
nib_status nib_kernel_desc_from_nodes(const nib_graph *g, const int32_t *nodes, int32_t n,
                                      nib_kernel_desc *out_desc);
/** Along a row, as products see a filter: the taps of each result, the step from the window of one
 * to that of the next, how far apart their results are, and how many of these are folded into the
 * channels of one (conv_rows' tile[2]). Of transposed convolutions results a stride apart are next
 * to each other, and have a tap in a stride. */
typedef struct nib_desc_row {
  int64_t taps, step, apart, fold;
} nib_desc_row;
nib_desc_row nib_kernel_desc_row(const nib_kernel_desc *d);
/** Fills d->body with the same nodes as IR: one function @kernel of what they read, without names
 *  and locations, as the dialect prints it. */
nib_status nib_kernel_desc_set_body(nib_kernel_desc *d, const nib_graph *g, const int32_t *nodes,
                                    int32_t n);
void nib_kernel_desc_free(nib_kernel_desc *d);
/** One JSON object on one line without newline; caller frees. */
char *nib_kernel_desc_to_json(const nib_kernel_desc *d);
nib_status nib_kernel_desc_from_json(const char *json, nib_kernel_desc *out_desc,
                                     const nib_diag *diag);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What CUDA's schedules of matrix products share: operators as products of rows by rows, both along
 * K. */
#ifndef NIB_CUDA_GEMM_H
#define NIB_CUDA_GEMM_H

#include "pack/pack_rows.h"
#include "schedule/direct.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Element (i, j) of the result is the sum over k of row i of the activations times row j of the
 * weights. */
typedef struct nib_gemm {
  int64_t m, n, k;
  const char *type; /**< of the operands, as nib_cuda_wgmma names it: "bf16", "f8e4m3", "u8i8" … */
  bool is_float;    /**< sums are float, else int32_t */
  int32_t bytes;    /**< of an element of either operand */
  bool constant;    /**< the weights are: they are packed at compile time */
  int64_t
      pitch; /**< bytes from one row of weights to the next: packed ones begin at multiples of 16 */
} nib_gemm;

/** Whether the kernel is one segment whose root is such a product: fully_connected, a 1x1
 * convolution, or a matmul by a constant matrix, of bf16, f16, f8E4M3FN, or 8 bits with signed
 * weights. */
bool nib_gemm_of(const nib_graph *g, const nib_kernel *k, nib_gemm *out);

/** The part of nib_gemm_of about formats, for schedules that know other shapes: fills type,
 * is_float and bytes. Weights of codes are constant and may have any zero point. */
bool nib_gemm_formats(const nib_graph *g, const nib_node *n, nib_gemm *out);
/** Whether the tensor begins at a multiple of 16 bytes: a piece of another one may not. */
bool nib_gemm_is_aligned(const nib_graph *g, int32_t tensor);

/** The weights as rows of K, for nib_pack_rows. */
nib_pack_matrix nib_gemm_weights(const nib_graph *g, const nib_node *n, const nib_gemm *p);

/** The variable `acc`, from the expression `sum` of the element's products: bias and zero points
 * added. Then the result at flat element `index`: requantized or activated, followers, stored.
 * `start` is from nib_gemm_start. */
void nib_gemm_finish(nib_direct *d, const nib_node *n, const nib_gemm *p, const char *start,
                     const char *sum, const char *index, const char *channel);

/** Declares what nib_gemm_finish adds: an array over channels, or "". */
nib_expr nib_gemm_start(nib_direct *d, const nib_node *n, const nib_gemm *p);

#ifdef __cplusplus
}
#endif
#endif

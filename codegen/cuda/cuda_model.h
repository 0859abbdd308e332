/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The text of a model compiled for CUDA: kernels in NAME.cu, and NAME.c, whose tables (nibrt_cuda.h) say how they
 * are launched. */
#ifndef NIB_CUDA_CUDA_MODEL_H
#define NIB_CUDA_CUDA_MODEL_H

#include "emit/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Fills device, source, weights, header and example of *m, and what it counts. NAME.c refers to NAME_image, the
 *  assembled NAME.cu, which another file defines. */
nib_status nib_cuda_model_write(const nib_graph *g, const nib_model_options *o, nib_model_text *m,
                                const nib_diag *diag);

/** Kernel functions alone, without the parts that kernels share: what nib-cuda-bench and tests launch. Appends the
 *  .cu text of kernel `index` to `t` and describes its launch; constants go to `constants` (a blob). */
nib_status nib_cuda_kernel_write(const nib_graph *g, const nib_model_options *o, int32_t index,
                                 nib_constants *constants, nib_text *t, nib_launch *out_launch,
                                 const nib_diag *diag);

/** The whole .cu file around the text of kernels: a head comment, the primitives and helpers that they name. */
void nib_cuda_file_write(const nib_model_options *o, const nib_text *kernels, nib_text *t);

#ifdef __cplusplus
}
#endif
#endif

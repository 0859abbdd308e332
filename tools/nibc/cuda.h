/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * From NAME.cu to PTX, to a cubin and into NAME_weights.c, by clang or nvcc and ptxas. */
#ifndef NIBC_CUDA_H
#define NIBC_CUDA_H

#include "schedule/schedule.h"
#include "session.h"

/** What ptxas says of a kernel. */
typedef struct nibc_cuda_kernel {
  char name[256];
  int32_t registers;
  int64_t shared_bytes; /**< static; what a launch asks for comes on top */
  int64_t spill_bytes;  /**< stored and loaded */
} nibc_cuda_kernel;

typedef struct nibc_cuda_build {
  int64_t ptx_bytes, cubin_bytes; /**< -1: not made */
  nibc_cuda_kernel *kernels;      /**< in no order; none without ptxas */
  int n;
} nibc_cuda_build;

/** How far to go. */
typedef enum nibc_cuda_step {
  NIBC_CUDA_PTX,   /**< NAME.cu to NAME.ptx */
  NIBC_CUDA_CUBIN, /**< also to NAME.cubin: fails without ptxas */
  NIBC_CUDA_IMAGE, /**< the cubin, or without ptxas the PTX, at the end of NAME_weights.c */
} nibc_cuda_step;

/** Goes on from the files of nibc_session_emit in `dir`; what lies between is removed. Where ptxas
 * is installed, kernels that spill and its notes on lost performance are warnings, with
 * --no-fallback NIB_ERROR_LIMIT. */
nib_status nibc_cuda_compile(const nibc_session *session, const char *dir, nibc_cuda_step last,
                             nibc_cuda_build *out_build);
void nibc_cuda_build_free(nibc_cuda_build *build);
/** What ptxas says of kernel `index`, or NULL. */
const nibc_cuda_kernel *nibc_cuda_find(const nibc_session *session, int32_t index,
                                       const nibc_cuda_build *build);
/** How kernel `index` is launched. */
nib_status nibc_cuda_launch(const nibc_session *session, int32_t index, nib_launch *out_launch);

/** The programs that would be used, with size and date, as a text that changes with them (free()).
 */
char *nibc_cuda_identity(void);

/** Whether a driver is installed. */
bool nibc_cuda_has_driver(void);
/** NIB_ERROR_IO and a message where there is no driver to run on. */
nib_status nibc_cuda_check_driver(const nibc_session *session);

#endif

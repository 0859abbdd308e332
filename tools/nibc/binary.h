/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * A compiled model loaded into this process. */
#ifndef NIBC_BINARY_H
#define NIBC_BINARY_H

#include "emulator.h"
#include "nibrt_cuda.h"
#include "nibrt_pool.h"
#include "session.h"

typedef struct nibc_binary {
  void *handle; /**< dlopen */
  nibrt_status (*run)(const nibrt_exec *exec, const void *const *in, void *const *out,
                      void *const *arenas);
  nibrt_cuda_session *device; /**< of a CUDA target */
  void (*close_device)(nibrt_cuda_session *device);
  nibc_emulator *emulator; /**< of a RISC-V target */
  nibrt_pool *pool; /**< of --threads; NULL: one thread */
  void *arena; /**< aligned, as large as the plan says */
  char *kept;  /**< temporary folder of an uncached object, or of a program, or NULL */
} nibc_binary;

/** Compiles the session's selected module to a shared object (from the cache if it is there) and
 *  loads it. A target that cannot run here is NIB_ERROR_INVALID_INPUT. */
nib_status nibc_binary_load(nibc_session *session, nibc_binary *out_binary);
/** Runs once on 64-byte aligned buffers. */
nib_status nibc_binary_run(const nibc_binary *binary, const void *const *in, void *const *out);
void nibc_binary_unload(nibc_binary *binary);

#endif

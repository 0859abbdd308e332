/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * nibrt_abi.h: the calling convention of every model that nibc compiles. `nibc compile` copies this
 * file beside the generated header, so that the output is self-contained. Append-only: fields and
 * values are added at the end, never changed. Compiles as C11 and C++17. */
#ifndef NIBRT_ABI_H
#define NIBRT_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIBRT_ABI_VERSION 3u

/* Result of NAME_run. */
typedef enum nibrt_status {
  NIBRT_OK = 0,
  NIBRT_ERROR_NULL_ARGUMENT = 1, /* an input, output or arena pointer is NULL */
  NIBRT_ERROR_ABI = 2,           /* exec->version is newer than, or exec->size smaller than, known */
  NIBRT_ERROR_ALIGNMENT = 3,     /* an arena is not aligned to NIBRT_ARENA_ALIGNMENT */
  NIBRT_ERROR_DEVICE = 4,        /* no device, or its driver refused */
} nibrt_status;

/* Every arena is aligned to this many bytes by the caller. */
#define NIBRT_ARENA_ALIGNMENT 64u

/* Memory spaces of planned buffers; NAME_run takes one arena for each. */
#define NIBRT_SPACE_HOST 0u
#define NIBRT_SPACE_COUNT 1u /* of models compiled for a processor */
#define NIBRT_SPACE_DEVICE 1u

/* A part of a kernel: `part` of `parts`. */
typedef void nibrt_task(void *context, uint32_t part, uint32_t parts);

/* How to run: NULL means one thread on the host, no messages. `size` is sizeof(nibrt_exec) and
 * `version` is NIBRT_ABI_VERSION at the caller's compile time, so that later versions can append
 * fields (cluster core id and barrier). Fields that `size` leaves out count as 0. */
typedef struct nibrt_exec {
  uint32_t size;
  uint32_t version;
  /* Called with a static message before NAME_run returns an error; may be NULL. */
  void (*message)(void *user, const char *text);
  void *user;
  /* Since version 2; NULL: everything runs on the calling thread. Chooses an n of 1 to `parts`,
   * calls task(context, i, n) once for each i from 0 to n - 1, on any threads and in any order, and
   * returns when all of them have returned; what they wrote is then visible to the caller. Models
   * compiled with --threads=N call it, with `parts` of at most N; results do not depend on n.
   * nibrt_pool_parallel of nibrt_pool.h is one. */
  void (*parallel)(void *pool, nibrt_task *task, void *context, uint32_t parts);
  void *pool; /* passed to `parallel` */
  /* Since version 3: a nibrt_cuda_session of the model (nibrt_cuda.h), where it is compiled for CUDA. */
  void *device;
} nibrt_exec;

/* sizeof(nibrt_exec) in each version. */
#define NIBRT_EXEC_SIZE_1 offsetof(nibrt_exec, parallel)
#define NIBRT_EXEC_SIZE_2 (offsetof(nibrt_exec, pool) + sizeof(void *))
#define NIBRT_EXEC_SIZE_3 (offsetof(nibrt_exec, device) + sizeof(void *))

#ifdef __cplusplus
}
#endif
#endif

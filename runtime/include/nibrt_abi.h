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

#define NIBRT_ABI_VERSION 1u

/* Result of NAME_run. */
typedef enum nibrt_status {
  NIBRT_OK = 0,
  NIBRT_ERROR_NULL_ARGUMENT = 1, /* an input, output or arena pointer is NULL */
  NIBRT_ERROR_ABI = 2,           /* exec->version is newer than, or exec->size smaller than, known */
  NIBRT_ERROR_ALIGNMENT = 3,     /* an arena is not aligned to NIBRT_ARENA_ALIGNMENT */
} nibrt_status;

/* Every arena is aligned to this many bytes by the caller. */
#define NIBRT_ARENA_ALIGNMENT 64u

/* Memory spaces of planned buffers; NAME_run takes one arena for each. */
#define NIBRT_SPACE_HOST 0u
#define NIBRT_SPACE_COUNT 1u

/* How to run: NULL means one thread on the host, no messages. `size` is sizeof(nibrt_exec) and
 * `version` is NIBRT_ABI_VERSION at the caller's compile time, so that later versions can append
 * fields (threads, cluster core id and barrier, device queue). */
typedef struct nibrt_exec {
  uint32_t size;
  uint32_t version;
  /* Called with a static message before NAME_run returns an error; may be NULL. */
  void (*message)(void *user, const char *text);
  void *user;
} nibrt_exec;

#ifdef __cplusplus
}
#endif
#endif

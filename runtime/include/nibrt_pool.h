/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * nibrt_pool.h: threads for models compiled with --threads=N. Optional: any function that fits
 * nibrt_exec.parallel does as well. Needs POSIX threads; compiles as C11, the header as C++17 too.
 *
 *   nibrt_pool *pool = nibrt_pool_create(2);
 *   nibrt_exec exec;
 *   nibrt_pool_exec(pool, &exec);
 *   NAME_run(&exec, in, out, arenas);
 *   nibrt_pool_destroy(pool);
 */
#ifndef NIBRT_POOL_H
#define NIBRT_POOL_H

#include "nibrt_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nibrt_pool nibrt_pool;

/* A pool of `threads` threads, the one that calls counted: threads - 1 are started, which wait for
 * work, awake for some 50 microseconds and then asleep. NULL when out of memory or threads. The pool
 * is the caller's to destroy. */
nibrt_pool *nibrt_pool_create(uint32_t threads);
/* Stops the threads. Nothing may be running. NULL is allowed. */
void nibrt_pool_destroy(nibrt_pool *pool);

uint32_t nibrt_pool_threads(const nibrt_pool *pool);

/* For nibrt_exec.parallel, `pool` being a nibrt_pool. Any number of models and threads may share a
 * pool: while it works for one, it runs the other's parts on the thread that calls. */
void nibrt_pool_parallel(void *pool, nibrt_task *task, void *context, uint32_t parts);

/* Fills *out_exec: this pool, no messages. */
void nibrt_pool_exec(nibrt_pool *pool, nibrt_exec *out_exec);

#ifdef __cplusplus
}
#endif
#endif

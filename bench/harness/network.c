/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Makes a shared object of a compiled network called `net`: what the harness and scripts call. */
#define _POSIX_C_SOURCE 199309L
#include "net.h"

#include <time.h>

#ifdef BENCH_POOL
#include "nibrt_pool.h"

int nib_bench_start_threads(unsigned threads);

static nibrt_exec pool_exec;
static const nibrt_exec *exec; /* NULL until there is a pool */

/* Networks run on a pool of so many threads from now on; 0 if it could be made. */
int nib_bench_start_threads(unsigned threads) {
  nibrt_pool *const pool = nibrt_pool_create(threads);
  if (!pool)
    return 1;
  nibrt_pool_exec(pool, &pool_exec);
  exec = &pool_exec;
  return 0;
}
#else
static const nibrt_exec *const exec = NULL;
#endif

int nib_bench_run(const void *in, void *out);
double nib_bench_time(const void *const *in, void *const *out, int runs);

static _Alignas(NIBRT_ARENA_ALIGNMENT) unsigned char arena[NET_ARENA_BYTES + 1];

/* One inference of a network with one input and one output; 0 if it succeeded. */
int nib_bench_run(const void *in, void *out) {
  const void *const ins[] = {in};
  void *const outs[] = {out}, *arenas[NIBRT_SPACE_COUNT] = {arena};
  return net_run(exec, ins, outs, arenas) != NIBRT_OK;
}

/* Nanoseconds of `runs` inferences; negative on an error of the network. */
double nib_bench_time(const void *const *in, void *const *out, int runs) {
  void *arenas[NIBRT_SPACE_COUNT] = {arena};
  struct timespec start, stop;
  if (net_run(exec, in, out, arenas) != NIBRT_OK) /* warm the caches */
    return -1;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (int i = 0; i < runs; ++i)
    net_run(exec, in, out, arenas);
  clock_gettime(CLOCK_MONOTONIC, &stop);
  return 1e9 * (double)(stop.tv_sec - start.tv_sec) + (double)(stop.tv_nsec - start.tv_nsec);
}

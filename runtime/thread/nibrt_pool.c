/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * nibrt_pool.c: one job at a time. Who is free takes the next part of it, the caller among them, so
 * that a worker that the system has put aside delays nothing that it has not begun. Workers look
 * for a new job in a loop for a while, as kernels follow each other within microseconds, and then
 * sleep on a condition. Self-contained: nibc writes this file beside the models that can use it. */
#include "nibrt_pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum { SPINS_AWAKE = 2000, SPINS_BEFORE_YIELD = 2000, MOST_THREADS = 4096 };

typedef struct worker {
  nibrt_pool *pool;
  pthread_t thread;
} worker;

struct nibrt_pool {
  uint32_t threads;
  atomic_flag busy;
  /* Of the job; they change only while none of its parts is left to take. */
  _Atomic(nibrt_task *) task;
  _Atomic(void *) context;
  /* Number of the job << 32 | its parts << 16 | the next part to take. */
  _Alignas(64) _Atomic uint64_t job;
  _Alignas(64) atomic_uint done; /* parts */
  atomic_uint asleep;
  atomic_bool stop;
  pthread_mutex_t mutex;
  pthread_cond_t wake;
  worker workers[];
};

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static uint32_t number_of(uint64_t job) { return (uint32_t)(job >> 32); }

/* Runs the next part of job `number`; false if there is none. */
static bool run_part(nibrt_pool *p, uint32_t number) {
  uint64_t job = atomic_load_explicit(&p->job, memory_order_acquire);
  for (;;) {
    const uint32_t parts = job >> 16 & 0xFFFF, part = job & 0xFFFF;
    nibrt_task *const task = atomic_load_explicit(&p->task, memory_order_relaxed);
    void *const context = atomic_load_explicit(&p->context, memory_order_relaxed);
    if (number_of(job) != number || part >= parts)
      return false;
    /* Where this succeeds a part was left, so task and context were still this job's. */
    if (atomic_compare_exchange_weak_explicit(&p->job, &job, job + 1, memory_order_acq_rel,
                                              memory_order_acquire)) {
      task(context, part, parts);
      atomic_fetch_add_explicit(&p->done, 1, memory_order_release);
      return true;
    }
  }
}

/* Waits for a job other than `seen`; returns its number. */
static uint32_t wait_for_job(nibrt_pool *p, uint32_t seen) {
  for (int i = 0; i < SPINS_AWAKE; ++i) {
    const uint32_t number = number_of(atomic_load_explicit(&p->job, memory_order_acquire));
    if (number != seen)
      return number;
    pause_briefly();
  }
  /* Whoever starts a job looks at `asleep` after writing it, both in one total order with these:
   * either the loop below sees the job, or the caller sees that someone sleeps. */
  uint32_t number;
  pthread_mutex_lock(&p->mutex);
  atomic_fetch_add(&p->asleep, 1);
  while ((number = number_of(atomic_load(&p->job))) == seen)
    pthread_cond_wait(&p->wake, &p->mutex);
  atomic_fetch_sub(&p->asleep, 1);
  pthread_mutex_unlock(&p->mutex);
  return number;
}

static void *work(void *argument) {
  nibrt_pool *const p = ((const worker *)argument)->pool;
  for (uint32_t seen = 0;;) {
    seen = wait_for_job(p, seen);
    if (atomic_load_explicit(&p->stop, memory_order_relaxed))
      return NULL;
    while (run_part(p, seen)) {
    }
  }
}

/* Returns the new job's number. */
static uint32_t start_job(nibrt_pool *p, uint32_t parts) {
  const uint32_t number = number_of(atomic_load_explicit(&p->job, memory_order_relaxed)) + 1;
  atomic_store(&p->job, (uint64_t)number << 32 | (uint64_t)parts << 16);
  if (atomic_load(&p->asleep) != 0) {
    pthread_mutex_lock(&p->mutex);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->mutex);
  }
  return number;
}

void nibrt_pool_parallel(void *pool, nibrt_task *task, void *context, uint32_t parts) {
  nibrt_pool *const p = pool;
  if (p == NULL || parts < 2 || p->threads < 2 ||
      atomic_flag_test_and_set_explicit(&p->busy, memory_order_acquire)) {
    task(context, 0, 1);
    return;
  }
  parts = parts < p->threads ? parts : p->threads;
  atomic_store_explicit(&p->task, task, memory_order_relaxed);
  atomic_store_explicit(&p->context, context, memory_order_relaxed);
  atomic_store_explicit(&p->done, 0, memory_order_relaxed);
  const uint32_t number = start_job(p, parts);
  while (run_part(p, number)) {
  }
  for (int i = 0; atomic_load_explicit(&p->done, memory_order_acquire) != parts; ++i) {
    if (i < SPINS_BEFORE_YIELD)
      pause_briefly();
    else
      sched_yield(); /* fewer processors than threads */
  }
  atomic_flag_clear_explicit(&p->busy, memory_order_release);
}

static void stop_workers(nibrt_pool *p, uint32_t started) {
  atomic_store(&p->stop, true);
  start_job(p, 0);
  for (uint32_t i = 0; i < started; ++i)
    pthread_join(p->workers[i].thread, NULL);
}

nibrt_pool *nibrt_pool_create(uint32_t threads) {
  const uint32_t others = threads > 1 ? threads - 1 : 0;
  const size_t bytes = sizeof(nibrt_pool) + others * sizeof(worker);
  nibrt_pool *const p = others < MOST_THREADS ? aligned_alloc(64, (bytes + 63) / 64 * 64) : NULL;
  if (p == NULL)
    return NULL;
  p->threads = others + 1;
  atomic_flag_clear(&p->busy);
  atomic_init(&p->task, NULL);
  atomic_init(&p->context, NULL);
  atomic_init(&p->job, 0);
  atomic_init(&p->done, 0);
  atomic_init(&p->asleep, 0);
  atomic_init(&p->stop, false);
  pthread_mutex_init(&p->mutex, NULL);
  pthread_cond_init(&p->wake, NULL);
  uint32_t started = 0;
  for (; started < others; ++started) {
    p->workers[started].pool = p;
    if (pthread_create(&p->workers[started].thread, NULL, work, &p->workers[started]) != 0)
      break;
  }
  if (started == others)
    return p;
  stop_workers(p, started);
  p->threads = 1;
  nibrt_pool_destroy(p);
  return NULL;
}

void nibrt_pool_destroy(nibrt_pool *p) {
  if (p == NULL)
    return;
  if (p->threads > 1)
    stop_workers(p, p->threads - 1);
  pthread_cond_destroy(&p->wake);
  pthread_mutex_destroy(&p->mutex);
  free(p);
}

uint32_t nibrt_pool_threads(const nibrt_pool *pool) { return pool->threads; }

void nibrt_pool_exec(nibrt_pool *pool, nibrt_exec *out_exec) {
  out_exec->size = (uint32_t)sizeof(nibrt_exec);
  out_exec->version = NIBRT_ABI_VERSION;
  out_exec->message = NULL;
  out_exec->user = NULL;
  out_exec->parallel = nibrt_pool_parallel;
  out_exec->pool = pool;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Between the parts of the emulation: emulate.c (fibres, launches), emulate_async.c (copies,
 * barriers in memory), emulate_matrix.c (fragments). */
#ifndef NIB_EMULATE_INTERNAL_H
#define NIB_EMULATE_INTERNAL_H

#include "emulate_runtime.h"

#include <stdbool.h>

enum {
  max_threads = 1024,
  max_cluster = 8,
  max_shared = 227 * 1024,
  shared_base = 1024, /* the shared address of nib_shared: the first kilobyte is the system's */
};

/* Ends the launch with a message; does not return to a fibre. */
void emulated_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool emulated_failed(void);

/* The running fibre's number among those of the cluster. */
int emulated_fibre(void);
int emulated_cluster(void); /* blocks in it */
/* Makes the shared memory of block `rank` of the cluster the one that is meant; returns the rank
 * before. */
int emulated_enter_block(int rank);
bool emulated_block_ended(int rank);
bool emulated_eager(void);

/* Threads that wait for each other: all `size` of them, or the launch fails. The last one runs
 * `perform` with what each brought. */
typedef struct meeting {
  const char *what; /* of the first that came */
  int arrived;
  void *args[128];
} meeting;
typedef void performer(void **args, int n, int first_thread);
void emulated_meet_warp(const char *what, performer *perform, void *arg);
void emulated_meet_warpgroup(const char *what, performer *perform, void *arg);

/* The running fibre waits until emulated_wake(object). */
void emulated_wait(const void *object, const char *what);
void emulated_wake(const void *object);

/* Fails unless [p, p + bytes), which `what` touches, is inside dynamic shared memory, or in static
 * shared memory, which only a sanitizer can check. */
bool emulated_check_shared(const void *p, size_t bytes, size_t alignment, const char *what);
/* The memory at a shared address; NULL after failing. */
const uint8_t *emulated_at_shared(uint32_t address, size_t bytes, const char *what);

void emulated_perform_warp(int collective, nib_emulated_warp_args **args, int n);

/* emulate_async.c and emulate_matrix.c: at the start of a block; when a thread ends; when nothing
 * else can run, the next asynchronous operation (false: there is none). */
void emulated_async_reset(int fibres);
void emulated_async_thread_ends(int fibre);
bool emulated_async_step(void);
void emulated_matrix_reset(void);
/* Fails if the warpgroups of a block that has ended asked for more registers than a launch with the
 * kernel's bounds gives it: hardware waits for them for ever. */
void emulated_check_registers(int rank, int threads, int most_threads);

#endif

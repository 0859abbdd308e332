/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What takes turns in one comparison: compiled networks, peers and loops that measure the machine.
 *
 * Each of them is a `bench_entry`: a function that does a known amount of work, and where its
 * results lie so that they can be compared before any time counts. */
#ifndef NIB_BENCH_HARNESS_H
#define NIB_BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { BENCH_MAX_ENTRIES = 32, BENCH_MAX_ROUNDS = 1000, BENCH_MAX_COPIES = 64 };

typedef enum bench_type { BENCH_I8, BENCH_F32, BENCH_F16 } bench_type;

/* One thing that is timed. */
typedef struct bench_entry {
  char name[64];
  char info[96];              /* what a peer says of itself: kernel, instruction set */
  bool (*run)(void *context); /* false: it failed, and the comparison ends */
  void *context;
  const void *result, *expected; /* what `run` wrote and should write; result is NULL of a limit */
  double work;      /* of a limit: units of 1e9 that one call does (MAC, bytes); else 0 */
  double tolerance; /* accepted difference: codes, or a share of the largest expected magnitude */
} bench_entry;

/* Constants of one copy of a network, in its shared object. */
typedef struct bench_constants {
  const unsigned char *bytes;
  size_t n;
} bench_constants;

/* What all entries of a comparison compute, as the job file says. */
typedef struct bench_job {
  int cpu, rounds;
  double budget; /* seconds that one entry may take in all rounds */
  double
      canary; /* instructions that a cycle starts in a core that is not shared, as far as known */
  bench_type in_type, out_type;
  void *input;
  size_t input_bytes, outputs; /* elements of the result */
  void *expected;
  void *weights, *bias, *scales;
  bench_constants constants[BENCH_MAX_COPIES]; /* of the first network, by copy */
  int n_constants;
  bench_entry entries[BENCH_MAX_ENTRIES];
  int n_entries;
} bench_job;

/* Which of its copies of the weights an entry uses now. All take turns in one order: then none
 * finds in a cache what another has just read. */
int bench_next_copy(int copies);

/* Adds an entry; NULL when there is no room. */
bench_entry *bench_add(bench_job *job, const char *name, bool (*run)(void *), void *context);

/* A whole file, aligned to 64 bytes; NULL after a message. */
void *bench_read_file(const char *path, size_t *bytes);

/* Memory aligned to a cache line, zeroed; ends the program where there is none. */
void *bench_alloc(size_t bytes);

size_t bench_type_bytes(bench_type type);

/* ---- adding entries: words of a line of the job file, without its first ---- */

/* NAME [BYTES [COPIES]]: a loop of limits.c, if this processor can run it; one call reads BYTES of
 * the next copy. */
bool bench_add_limit(bench_job *job, const char *line);
/* NAME FILE.so [COPIES]: networks built from `nibc`'s output with network.c. */
bool bench_add_network(bench_job *job, const char *line);
/* KIND PARAMETERS: a primitive of oneDNN. */
bool bench_add_onednn(bench_job *job, const char *line);
/* FORMAT M N K [COPIES]: ggml's products with such weights. */
bool bench_add_ggml(bench_job *job, const char *line);

/* ---- timing.c ---- */

/* Pins the process to one core; what it is pinned to. */
int bench_pin(int cpu);
/* Compares results, times all entries in turns, prints one JSON object. */
bool bench_run(bench_job *job, FILE *to);

#endif

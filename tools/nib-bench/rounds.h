/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Timing functions in turn. */
#ifndef NIB_BENCH_ROUNDS_H
#define NIB_BENCH_ROUNDS_H

enum { BENCH_ROUNDS = 9 };

/** One function, and what its rounds gave. */
typedef struct bench_entry {
  void (*run)(void *context);
  void *context;
  int runs;                /**< of a batch */
  int warm;                /**< runs before a batch that are not timed */
  int n;                   /**< rounds taken */
  double ns[BENCH_ROUNDS]; /**< of one run */
  double
      calm[BENCH_ROUNDS];   /**< share of the best speed that a loop of nops had beside the batch */
  double own[BENCH_ROUNDS]; /**< share of the batch in which this process ran */
  double median_ns, min_ns; /**< of the rounds that were kept */
  int kept;
} bench_entry;

/** Takes turns with all entries, so that each meets the same phases of the machine; drops rounds in
 *  which another process had a part or a loop of nops ran slowly. An entry of which one run takes
 *  longer than a tenth of a second is run once. */
void bench_take_turns(bench_entry *entries, int n);

#endif

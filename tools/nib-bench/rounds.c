/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Rounds of batches, with a canary on both sides of each. */
#include "rounds.h"

#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

enum { BATCH_NS = 500000, SLOW_NS = 100000000, TRIES = 4, CANARY_STEPS = 2000, MAX_RUNS = 100000 };

/* A round is kept when this process ran all but this share of it … */
static const double k_most_stolen = 0.02;
/* … and the canary reached this share of its best. */
static const double k_least_calm = 0.85;

static double now_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

/* Speed of the core on instructions that need nothing but the core. */
static double canary(void) {
  const double begin = now_ns(CLOCK_MONOTONIC);
  for (int i = 0; i < CANARY_STEPS; ++i)
    __asm__ volatile("nop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop");
  return CANARY_STEPS / (now_ns(CLOCK_MONOTONIC) - begin);
}

static double lesser(double a, double b) { return a < b ? a : b; }

static bool is_calm(const bench_entry *e, int round, double best) {
  return e->calm[round] >= k_least_calm * best && e->own[round] >= 1 - k_most_stolen;
}

static void take_batch(bench_entry *e, int round) {
  for (int i = 0; i < e->warm; ++i)
    e->run(e->context);
  const double before = canary();
  const double wall = now_ns(CLOCK_MONOTONIC), own = now_ns(CLOCK_THREAD_CPUTIME_ID);
  for (int i = 0; i < e->runs; ++i)
    e->run(e->context);
  const double own_spent = now_ns(CLOCK_THREAD_CPUTIME_ID) - own;
  const double wall_spent = now_ns(CLOCK_MONOTONIC) - wall;
  e->ns[round] = wall_spent / e->runs;
  e->own[round] = wall_spent > 0 ? own_spent / wall_spent : 1;
  e->calm[round] = lesser(before, canary());
}

/* Runs per batch, doubled until they take long enough; a slow entry's only round. */
static void calibrate(bench_entry *e) {
  double spent = 0;
  for (e->runs = 1; e->runs < MAX_RUNS; e->runs *= 2) {
    const double begin = now_ns(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < e->runs; ++i)
      e->run(e->context);
    spent = now_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
    if (spent > BATCH_NS / 4)
      break;
  }
  e->n = 0;
  if (e->runs == 1 && spent > SLOW_NS) {
    e->ns[0] = spent;
    e->own[0] = 1;
    e->calm[0] = canary();
    e->n = 1;
    return;
  }
  const double runs = (double)e->runs * BATCH_NS / (spent > 1 ? spent : 1);
  e->runs = runs < 1 ? 1 : runs > MAX_RUNS ? MAX_RUNS : (int)runs;
  /* Where few runs make a batch much memory is read: more than one brings it into its cache. */
  e->warm = e->runs < 8 ? 3 : 1;
}

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void sum_up(bench_entry *e, double best) {
  double kept[BENCH_ROUNDS];
  e->kept = 0;
  for (int i = 0; i < e->n; ++i)
    if (is_calm(e, i, best))
      kept[e->kept++] = e->ns[i];
  int n = e->kept;
  for (int i = 0; e->kept == 0 && i < e->n; ++i) /* none was calm: `kept` says so */
    kept[n++] = e->ns[i];
  qsort(kept, (size_t)n, sizeof *kept, compare);
  e->min_ns = kept[0];
  e->median_ns = n % 2 ? kept[n / 2] : (kept[n / 2 - 1] + kept[n / 2]) / 2;
}

void bench_take_turns(bench_entry *entries, int n) {
  double best = canary();
  for (int i = 0; i < n; ++i)
    calibrate(&entries[i]);
  for (int round = 0; round < BENCH_ROUNDS; ++round)
    for (int i = 0; i < n; ++i) {
      bench_entry *e = &entries[i];
      for (int tries = 0; e->n == round && tries < TRIES; ++tries) {
        take_batch(e, round);
        best = e->calm[round] > best ? e->calm[round] : best;
        if (is_calm(e, round, best))
          break;
      }
      e->n += e->n == round;
    }
  for (int i = 0; i < n; ++i)
    sum_up(&entries[i], best);
}

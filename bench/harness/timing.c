/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Entries take turns; a sample is the time of one call in a batch, with a canary on both sides that
 * tells whether the core was shared. Shared samples are taken again while there is time. All that
 * are left are printed: scripts choose among them. */
#define _GNU_SOURCE
#include "harness.h"

#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  BATCH_NS = 400000,
  WARM_NS = 100000000,
  LONG_NS = 10000000,
  SLICE_NS = 4000000,
  RETRIES = 8,
  MAX_REPEATS = 100000,
  CANARY_STEPS = 1000,
  FIRST_CANARIES = 20000
};

/* Share of a batch that may have gone to other processes; of the canary's best that it must reach.
 */
static const double MAX_STOLEN = 0.02, MIN_CANARY = 0.85;

static double now_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

int bench_pin(int cpu) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0)
    return -1;
  for (int i = CPU_SETSIZE - 1; cpu < 0 && i >= 0; --i)
    if (CPU_ISSET(i, &set))
      cpu = i;
  CPU_ZERO(&set);
  CPU_SET((unsigned)cpu, &set);
  return sched_setaffinity(0, sizeof set, &set) == 0 ? cpu : -1;
}

/* Instructions that a cycle starts, where they need nothing but to be started: few where another
 * thread has its turns in the core, which a virtual machine may not be told of. The cycles are
 * those of a chain of additions, so that the clock may change. */
static double canary(void) {
  uint64_t sum = 0;
  const double start = now_ns(CLOCK_MONOTONIC);
  for (int i = 0; i < CANARY_STEPS; ++i)
    __asm__ volatile(".rept 16\n\tadd $1, %0\n\t.endr" : "+r"(sum));
  const double between = now_ns(CLOCK_MONOTONIC);
  for (int i = 0; i < CANARY_STEPS; ++i)
    __asm__ volatile(".rept 64\n\tnopl 8(%rax)\n\t.endr");
  return 4 * (between - start) / (now_ns(CLOCK_MONOTONIC) - between);
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The canary of a core that is not shared, in what is left of its time: single ones may be far off.
 */
static double best_canary(void) {
  double *const all = bench_alloc(FIRST_CANARIES * sizeof *all);
  for (int i = 0; i < FIRST_CANARIES; ++i)
    all[i] = canary();
  qsort(all, FIRST_CANARIES, sizeof *all, by_value);
  const double best = all[FIRST_CANARIES * 19 / 20];
  free(all);
  return best;
}

/* ---- results ---- */

static double half_value(uint16_t h) {
  const int exponent = h >> 10 & 31, mantissa = h & 1023;
  const double v = exponent == 31 ? (mantissa ? NAN : INFINITY)
                   : exponent     ? ldexp(1024 + mantissa, exponent - 25)
                                  : ldexp(mantissa, -24);
  return h & 0x8000 ? -v : v;
}

static double value(const void *p, bench_type type, size_t i) {
  switch (type) {
  case BENCH_I8:
    return ((const int8_t *)p)[i];
  case BENCH_F32:
    return (double)((const float *)p)[i];
  case BENCH_F16:
    break;
  }
  return half_value(((const uint16_t *)p)[i]);
}

typedef struct difference {
  double worst; /* codes, or a share of the largest magnitude */
  size_t count;
} difference;

static difference compare(const bench_job *job, const bench_entry *e) {
  difference d = {0, 0};
  double largest = 0;
  for (size_t i = 0; i < job->outputs; ++i) {
    const double want = value(e->expected, job->out_type, i);
    const double apart = fabs(value(e->result, job->out_type, i) - want);
    largest = fmax(largest, fabs(want));
    d.count += apart != 0;
    d.worst = apart > d.worst || isnan(apart) ? (isnan(apart) ? INFINITY : apart) : d.worst;
  }
  if (job->out_type != BENCH_I8)
    d.worst /= fmax(largest, 1e-30);
  return d;
}

/* ---- rounds ---- */

typedef struct samples {
  bool wrong;
  int repeats, n;
  int warm;     /* runs before each batch that are not timed */
  double spent; /* ns in all */
  double ns[BENCH_MAX_ROUNDS], canary[BENCH_MAX_ROUNDS], stolen[BENCH_MAX_ROUNDS];
} samples;

/* One batch: a call that is not timed brings the caches into this entry's state. */
static bool sample(const bench_entry *e, samples *s, int round) {
  const double begin = now_ns(CLOCK_MONOTONIC);
  for (int i = 0; i < s->warm; ++i)
    if (!e->run(e->context))
      return false;
  const double before = canary();
  const double wall = now_ns(CLOCK_MONOTONIC), cpu = now_ns(CLOCK_THREAD_CPUTIME_ID);
  for (int i = 0; i < s->repeats; ++i)
    if (!e->run(e->context))
      return false;
  const double cpu_spent = now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
  const double wall_spent = now_ns(CLOCK_MONOTONIC) - wall;
  s->ns[round] = wall_spent / s->repeats;
  s->canary[round] = fmin(before, canary());
  s->stolen[round] = fmax(0, 1 - cpu_spent / wall_spent);
  s->spent += now_ns(CLOCK_MONOTONIC) - begin;
  return true;
}

/* Runs per batch, from runs that double until they take long enough of this process's own time. */
static bool calibrate(const bench_entry *e, samples *s) {
  double spent = 0;
  for (s->repeats = 1; s->repeats < MAX_REPEATS; s->repeats *= 2) {
    /* The first runs still bring pages and caches near. */
    for (int tries = 0; tries < (spent > LONG_NS ? 1 : 3); ++tries) {
      const double start = now_ns(CLOCK_THREAD_CPUTIME_ID);
      for (int i = 0; i < s->repeats; ++i)
        if (!e->run(e->context))
          return false;
      spent = now_ns(CLOCK_THREAD_CPUTIME_ID) - start;
    }
    if (spent > BATCH_NS / 4)
      break;
  }
  s->repeats = (int)fmax(1, (double)s->repeats * BATCH_NS / fmax(spent, 1));
  /* Where few runs make a batch, much memory is read: more than one run brings it all into its
   * cache, unless a run is so long that its own first reads are a small part of it. */
  s->warm = spent > WARM_NS ? 0 : spent > LONG_NS ? 1 : s->repeats < 8 ? 3 : 1;
  return true;
}

/* A sample of a round: taken again where another process, or another thread of the core, had a part
 * of it. Of the budget each round has its share. */
static bool sample_undisturbed(const bench_job *job, const bench_entry *e, samples *s, int round) {
  const double budget = 1e9 * job->budget, share = budget * (round + 1) / job->rounds;
  for (int tries = 0;; ++tries) {
    if (!sample(e, s, round))
      return false;
    /* A batch longer than a time slice is interrupted again where others want the core. */
    const bool stolen = s->stolen[round] > MAX_STOLEN && s->ns[round] * s->repeats <= SLICE_NS &&
                        tries < RETRIES && s->spent <= budget;
    const bool shared = s->canary[round] < MIN_CANARY * job->canary && s->spent <= share;
    if (!stolen && !shared)
      break;
  }
  s->n = round + 1;
  return true;
}

static void print_list(FILE *to, const char *name, const double *values, int n) {
  fprintf(to, ",\"%s\":[", name);
  for (int i = 0; i < n; ++i)
    fprintf(to, "%s%.6g", i ? "," : "", values[i]);
  fprintf(to, "]");
}

static void print_entry(FILE *to, const bench_entry *e, const samples *s, difference d) {
  fprintf(to, "{\"name\":\"%s\",\"info\":\"%s\",\"work\":%.9g,\"repeats\":%d", e->name, e->info,
          e->work, s->repeats);
  if (e->result)
    fprintf(to, ",\"max_difference\":%.6g,\"different\":%zu", isinf(d.worst) ? 1e30 : d.worst,
            d.count);
  print_list(to, "ns", s->ns, s->n);
  print_list(to, "canary", s->canary, s->n);
  print_list(to, "stolen", s->stolen, s->n);
  fprintf(to, "}");
}

/* The first run: its results are compared, and where it is slow its time is the sample. */
static bool first_run(const bench_job *job, const bench_entry *e, samples *s, difference *d) {
  const double start = now_ns(CLOCK_MONOTONIC), cpu = now_ns(CLOCK_THREAD_CPUTIME_ID);
  if (!e->run(e->context)) {
    fprintf(stderr, "%s: cannot run\n", e->name);
    return false;
  }
  const double spent = now_ns(CLOCK_MONOTONIC) - start, own = now_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
  if (e->result) {
    *d = compare(job, e);
    s->wrong = !(d->worst <= e->tolerance);
    if (s->wrong)
      fprintf(stderr, "%s: results differ by %g (%zu of %zu): wrong results are not timed\n",
              e->name, d->worst, d->count, job->outputs);
  }
  s->repeats = 1;
  if (s->wrong || spent < WARM_NS)
    return s->wrong || calibrate(e, s);
  s->ns[0] = s->spent = spent;
  s->canary[0] = canary();
  s->stolen[0] = fmax(0, 1 - own / spent);
  s->n = 1;
  return true;
}

bool bench_run(bench_job *job, FILE *to) {
  samples *const all = bench_alloc((size_t)job->n_entries * sizeof *all);
  difference differences[BENCH_MAX_ENTRIES] = {{0, 0}};
  for (int i = 0; i < job->n_entries; ++i)
    if (!first_run(job, &job->entries[i], &all[i], &differences[i]))
      return false;
  const double budget = 1e9 * job->budget;
  job->canary = fmax(job->canary, best_canary());
  for (int round = 0; round < job->rounds; ++round)
    for (int i = 0; i < job->n_entries; ++i) {
      samples *const s = &all[i];
      const bool due = !s->wrong && round == s->n && (round == 0 || s->spent < budget);
      if (due && !sample_undisturbed(job, &job->entries[i], s, round))
        return false;
    }
  fprintf(to, "{\"cpu\":%d,\"canary\":%.6g,\"entries\":[", job->cpu, job->canary);
  for (int i = 0; i < job->n_entries; ++i) {
    fprintf(to, "%s\n", i ? "," : "");
    print_entry(to, &job->entries[i], &all[i], differences[i]);
  }
  fprintf(to, "]}\n");
  return true;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What this core can do at best: dot products and multiply-adds on registers alone, reads of a
 * buffer with and without software prefetch. Assembly, so that no compiler finds the loops idle. */
#define _POSIX_C_SOURCE 200112L
#include "harness.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 2000, CHAINS = 16 };

/* Sixteen independent accumulators: four cycles of latency on two ports need eight. */
#define EACH(X)                                                                                    \
  X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define CLOBBERS                                                                                   \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",         \
      "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

#define REGISTER_LOOP(name, attribute, clobbers, body)                                             \
  __attribute__((target(attribute))) static bool name(void *context) {                             \
    (void)context;                                                                                 \
    for (int i = 0; i < STEPS; ++i)                                                                \
      __asm__ volatile(body ::: clobbers);                                                         \
    __asm__ volatile("vzeroupper");                                                                \
    return true;                                                                                   \
  }

#define CLEAR_ZMM(r) "vpxord %%zmm" #r ", %%zmm" #r ", %%zmm" #r "\n\t"
#define DOT_ZMM(r) "vpdpbusd %%zmm16, %%zmm16, %%zmm" #r "\n\t"
#define DOT_YMM(r) "vpdpbusd %%ymm16, %%ymm16, %%ymm" #r "\n\t"
#define DOT_VEX(r) "%{vex%} vpdpbusd %%ymm12, %%ymm13, %%ymm" #r "\n\t"
#define FMA_ZMM(r) "vfmadd231ps %%zmm16, %%zmm16, %%zmm" #r "\n\t"
#define HALF_ZMM(r) "vfmadd231ph %%zmm16, %%zmm16, %%zmm" #r "\n\t"
#define FMA_YMM(r) "vfmadd231ps %%ymm12, %%ymm13, %%ymm" #r "\n\t"
/* A product of 4 of K for 8 columns: pairs, sums of pairs, accumulator. */
#define MADD_YMM(r)                                                                                \
  "vpmaddubsw %%ymm12, %%ymm13, %%ymm14\n\tvpmaddwd %%ymm12, %%ymm14, %%ymm14\n\t"                 \
  "vpaddd %%ymm14, %%ymm" #r ", %%ymm" #r "\n\t"

/* Registers are not cleared: the values do not matter to integers, and zeros or NaN cost float
 * units nothing either; subnormal numbers could, so float loops begin with a clear below. */
REGISTER_LOOP(dot_zmm, "avx512f,avx512vnni", CLOBBERS, EACH(DOT_ZMM))
REGISTER_LOOP(dot_ymm, "avx512f,avx512vl,avx512vnni", CLOBBERS, EACH(DOT_YMM))
REGISTER_LOOP(dot_vex, "avx2,avxvnni", CLOBBERS, TWELVE(DOT_VEX))
REGISTER_LOOP(madd_ymm, "avx2", CLOBBERS, TWELVE(MADD_YMM))

__attribute__((target("avx512f"))) static bool fma_zmm(void *context) {
  (void)context;
  __asm__ volatile(EACH(CLEAR_ZMM) "vpxord %%zmm16, %%zmm16, %%zmm16" ::: CLOBBERS, "xmm16");
  for (int i = 0; i < STEPS; ++i)
    __asm__ volatile(EACH(FMA_ZMM)::: CLOBBERS);
  __asm__ volatile("vzeroupper");
  return true;
}

__attribute__((target("avx512f,avx512fp16"))) static bool half_zmm(void *context) {
  (void)context;
  __asm__ volatile(EACH(CLEAR_ZMM) "vpxord %%zmm16, %%zmm16, %%zmm16" ::: CLOBBERS, "xmm16");
  for (int i = 0; i < STEPS; ++i)
    __asm__ volatile(EACH(HALF_ZMM)::: CLOBBERS);
  __asm__ volatile("vzeroupper");
  return true;
}

#define CLEAR_YMM(r) "vpxor %%xmm" #r ", %%xmm" #r ", %%xmm" #r "\n\t"
__attribute__((target("avx2,fma"))) static bool fma_ymm(void *context) {
  (void)context;
  __asm__ volatile(EACH(CLEAR_YMM)::: CLOBBERS);
  for (int i = 0; i < STEPS; ++i)
    __asm__ volatile(TWELVE(FMA_YMM)::: CLOBBERS);
  __asm__ volatile("vzeroupper");
  return true;
}

/* ---- reads ---- */

typedef struct reading {
  const unsigned char *copies[BENCH_MAX_COPIES];
  size_t n, ahead; /* bytes of a copy; of software prefetch of one stream, or 0 */
  bool pages;      /* prefetches a line of each page well before */
  size_t streams;
  int n_copies;
} reading;

enum { LINE = 64, UNROLL = 8, PAGE = 4096, PAGE_AHEAD = 4 * PAGE };

#define LOAD_ZMM(r) "vmovdqa64 " #r "*64(%0), %%zmm" #r "\n\t"
#define LOAD_YMM(r) "vmovdqa " #r "*64(%0), %%ymm" #r "\n\tvmovdqa " #r "*64+32(%0), %%ymm8\n\t"
#define PREFETCH(r) "prefetcht0 " #r "*64(%1)\n\t"
#define EIGHT(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)

#define READ_LOOP(name, attribute, LOAD)                                                           \
  __attribute__((target(attribute))) static bool name(void *context) {                             \
    reading *const r = context;                                                                    \
    const size_t part = r->n / r->streams;                                                         \
    const unsigned char *p = r->copies[bench_next_copy(r->n_copies)];                              \
    const unsigned char *const end = p + part;                                                     \
    if (r->ahead)                                                                                  \
      for (; p < end; p += UNROLL * LINE) {                                                        \
        if (r->pages && (uintptr_t)p % PAGE < UNROLL * LINE)                                       \
          __builtin_prefetch(p + PAGE_AHEAD);                                                      \
        __asm__ volatile(EIGHT(PREFETCH) EIGHT(LOAD)::"r"(p), "r"(p + r->ahead) : CLOBBERS);       \
      }                                                                                            \
    for (; r->streams > 1 && p < end; p += UNROLL * LINE)                                          \
      for (size_t i = 0; i < r->streams; ++i)                                                      \
        __asm__ volatile(EIGHT(LOAD)::"r"(p + i * part) : CLOBBERS);                               \
    for (; p < end; p += UNROLL * LINE)                                                            \
      __asm__ volatile(EIGHT(LOAD)::"r"(p) : CLOBBERS);                                            \
    __asm__ volatile("vzeroupper");                                                                \
    return true;                                                                                   \
  }

READ_LOOP(read_zmm, "avx512f", LOAD_ZMM)
READ_LOOP(read_ymm, "avx2", LOAD_YMM)

/* What is read, copy by copy as the network does: its own constants, so that both have the same
 * place in the caches, else memory of ours. Bytes are whole steps. */
static void find_memory(const bench_job *job, size_t bytes, int copies, reading *r) {
  enum { STEP = 4 * UNROLL * LINE };
  r->n = bytes / STEP * STEP;
  r->n_copies = copies;
  bool theirs = job->n_constants == copies;
  for (int i = 0; theirs && i < copies; ++i) {
    const bench_constants *const c = &job->constants[i];
    const size_t skip = (LINE - (uintptr_t)c->bytes % LINE) % LINE;
    r->copies[i] = c->bytes + skip;
    theirs = c->n >= r->n + skip;
  }
  if (theirs)
    return;
  unsigned char *const buffer = bench_alloc(r->n * (size_t)copies);
  memset(buffer, 1, r->n * (size_t)copies); /* untouched pages would all be one page of zeros */
  for (int i = 0; i < copies; ++i)
    r->copies[i] = buffer + r->n * (size_t)i;
}

/* Adds loops over the same memory, in one to four streams, without prefetch and with; the best
 * counts. */
static bool add_reads(bench_job *job, const char *name, size_t bytes, int copies) {
  static const struct {
    size_t streams, ahead;
    bool pages;
  } WAYS[] = {{1, 0, false},    {2, 0, false},    {4, 0, false},
              {1, 2304, false}, {1, 4096, false}, {1, 4096, true}};
  reading memory = {0};
  find_memory(job, bytes, copies, &memory);
  const bool wide = __builtin_cpu_supports("avx512f");
  for (size_t i = 0; i < sizeof WAYS / sizeof *WAYS; ++i) {
    reading *const r = bench_alloc(sizeof *r);
    *r = memory;
    r->ahead = WAYS[i].ahead;
    r->pages = WAYS[i].pages;
    r->streams = WAYS[i].streams;
    bench_entry *const e = bench_add(job, name, wide ? read_zmm : read_ymm, r);
    if (!e)
      return false;
    e->work = (double)r->n / 1e9;
    snprintf(e->info, sizeof e->info, "GB/s, %zu KiB, streams %zu, prefetch %zu%s",
             r->n * (size_t)copies / 1024, r->streams, r->ahead, r->pages ? " and pages" : "");
  }
  return true;
}

/* ---- which a processor has ---- */

static sigjmp_buf refused;

static void refuse(int signal_number) {
  (void)signal_number;
  siglongjmp(refused, 1);
}

/* Whether the core executes the instructions of a loop. It is tried, for virtual machines hide some
 * that there are, and kernels compiled for a named target have them all the same. */
static bool executes(bool (*run)(void *)) {
  struct sigaction action = {.sa_handler = refuse}, before;
  if (sigaction(SIGILL, &action, &before))
    return false;
  const bool done = sigsetjmp(refused, 1) == 0 && run(NULL);
  sigaction(SIGILL, &before, NULL);
  return done;
}

static const struct limit {
  const char *name, *info;
  bool (*run)(void *);
  int chains, macs; /* multiply-accumulates of one instruction (of three for maddubs) */
} LIMITS[] = {
    {"vnni", "GMAC/s, vpdpbusd zmm", dot_zmm, CHAINS, 64},
    {"vnni-ymm", "GMAC/s, vpdpbusd ymm", dot_ymm, CHAINS, 32},
    {"avxvnni", "GMAC/s, vpdpbusd ymm of AVX-VNNI", dot_vex, 12, 32},
    {"maddubs", "GMAC/s, vpmaddubsw + vpmaddwd + vpaddd ymm", madd_ymm, 12, 32},
    {"f32", "GMAC/s, vfmadd231ps zmm", fma_zmm, CHAINS, 16},
    {"f32-ymm", "GMAC/s, vfmadd231ps ymm", fma_ymm, 12, 8},
    {"f16", "GMAC/s, vfmadd231ph zmm", half_zmm, CHAINS, 32},
};

bool bench_add_limit(bench_job *job, const char *line) {
  char name[64] = "";
  unsigned long bytes = 0;
  int copies = 1;
  sscanf(line, "%63s %lu %d", name, &bytes, &copies);
  if (bytes)
    return copies > 0 && copies <= BENCH_MAX_COPIES && add_reads(job, name, bytes, copies);
  for (size_t i = 0; i < sizeof LIMITS / sizeof *LIMITS; ++i) {
    const struct limit *const l = &LIMITS[i];
    if (strcmp(l->name, name) != 0)
      continue;
    if (!executes(l->run))
      return true; /* a limit that is absent from the results: not of this processor */
    bench_entry *const e = bench_add(job, name, l->run, NULL);
    if (!e)
      return false;
    e->work = (double)STEPS * l->chains * l->macs / 1e9;
    snprintf(e->info, sizeof e->info, "%s", l->info);
    return true;
  }
  fprintf(stderr, "no limit is called '%s'\n", name);
  return false;
}

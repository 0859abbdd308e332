// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Fibres, their scheduler, rendezvous, and launches.
#define _GNU_SOURCE
#include "emulate_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

/* ---- switching stacks ---- */

enum { stack_bytes = 256 * 1024, guard_bytes = 4096 };

#ifdef __x86_64__
typedef void *context;
void nib_emulated_switch(void **save, void *to);
__asm__(".text\n"
        ".hidden nib_emulated_switch\n"
        ".globl nib_emulated_switch\n"
        ".type nib_emulated_switch, @function\n"
        "nib_emulated_switch:\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
        "  ret\n"
        ".size nib_emulated_switch, . - nib_emulated_switch\n");
static void context_switch(context *save, context *to) { nib_emulated_switch(save, *to); }
static void context_make(context *c, uint8_t *stack, void (*entry)(void)) {
  void **top = (void **)(stack + stack_bytes);
  top[-1] = NULL;
  memcpy(&top[-2], &entry, sizeof entry);
  *c = top - 8; /* six registers below the address of entry */
  memset(*c, 0, 6 * sizeof(void *));
}
#else
#include <ucontext.h>
typedef ucontext_t context;
static void context_switch(context *save, context *to) { swapcontext(save, to); }
static void context_make(context *c, uint8_t *stack, void (*entry)(void)) {
  getcontext(c);
  c->uc_stack.ss_sp = stack;
  c->uc_stack.ss_size = stack_bytes;
  c->uc_link = NULL;
  makecontext(c, entry, 0);
}
#endif

/* ---- the block that runs ---- */

typedef enum fibre_state { READY, WAITING, DONE } fibre_state;

typedef struct fibre {
  context ctx;
  struct block *block;
  uint8_t *stack;
  nib_emulated_place place;
  fibre_state state;
  const void *object; /* waited for */
  const char *what;
  void *fake_stack;
} fibre;

/* Of all threads that have not ended. */
typedef struct thread_barrier {
  int arrived;
} thread_barrier;

/* Blocks of a cluster run together; without clusters there is one. */
typedef struct block {
  int index[3], live; /* live: threads that have not ended */
  meeting warps[max_threads / 32], warpgroups[max_threads / 128];
  thread_barrier barrier;
  uint8_t *area, *shared;
} block;

static struct {
  fibre fibres[max_cluster * max_threads]; /* those of one block after those of another */
  block blocks[max_cluster];
  thread_barrier cluster_barrier;
  int n_stacks, n, cluster; /* n: threads of a block */
  int ready[max_cluster * max_threads], ready_first, n_ready;
  int running; /* -1: the scheduler */
  block *now;  /* whose shared memory is meant */
  context scheduler;
  const void *scheduler_stack;
  size_t scheduler_stack_bytes;
  uint32_t order; /* 0: threads take turns; else the state of a random choice */
  const nib_emulated_kernel *kernel;
  void **params;
  uint32_t shared_bytes;
  bool failed, eager;
  char error[1024];
} b = {.running = -1};

const nib_emulated_place *nib_emulated_now;
uint8_t *nib_emulated_shared;

const char *nib_emulated_error(void) { return b.error; }
bool emulated_failed(void) { return b.failed; }
bool emulated_eager(void) { return b.eager; }
int emulated_fibre(void) { return b.running; }

static int rank_of(const block *k) { return (int)(k - b.blocks); }
int emulated_enter_block(int rank) {
  int before = rank_of(b.now);
  b.now = &b.blocks[rank];
  nib_emulated_shared = b.now->shared;
  return before;
}
int emulated_cluster(void) { return b.cluster; }
bool emulated_block_ended(int rank) { return b.blocks[rank].live == 0; }

static void to_scheduler(fibre *f) {
#ifdef HAS_ASAN
  __sanitizer_start_switch_fiber(f->state == DONE ? NULL : &f->fake_stack, b.scheduler_stack,
                                 b.scheduler_stack_bytes);
#endif
  context_switch(&f->ctx, &b.scheduler);
#ifdef HAS_ASAN
  __sanitizer_finish_switch_fiber(f->fake_stack, &b.scheduler_stack, &b.scheduler_stack_bytes);
#endif
}

static void resume(int i) {
  fibre *f = &b.fibres[i];
  b.running = i;
  nib_emulated_now = &f->place;
  emulated_enter_block(rank_of(f->block));
#ifdef HAS_ASAN
  void *fake = NULL;
  __sanitizer_start_switch_fiber(&fake, f->stack, stack_bytes);
#endif
  context_switch(&b.scheduler, &f->ctx);
#ifdef HAS_ASAN
  __sanitizer_finish_switch_fiber(fake, NULL, NULL);
#endif
  b.running = -1;
}

void emulated_fail(const char *format, ...) {
  if (!b.failed) {
    b.failed = true;
    int n = snprintf(b.error, sizeof b.error, "kernel %s, block (%d, %d, %d)", b.kernel->name,
                     b.now->index[0], b.now->index[1], b.now->index[2]);
    if (b.running >= 0)
      n += snprintf(b.error + n, sizeof b.error - (size_t)n, ", thread %d",
                    b.fibres[b.running].place.thread);
    n += snprintf(b.error + n, sizeof b.error - (size_t)n, ": ");
    va_list args;
    va_start(args, format);
    vsnprintf(b.error + n, sizeof b.error - (size_t)n, format, args);
    va_end(args);
  }
  while (b.running >= 0) { /* the scheduler does not come back */
    b.fibres[b.running].state = DONE;
    to_scheduler(&b.fibres[b.running]);
  }
}

static void make_ready(int i) {
  b.fibres[i].state = READY;
  b.ready[(b.ready_first + b.n_ready++) % (max_cluster * max_threads)] = i;
}

void emulated_wait(const void *object, const char *what) {
  fibre *f = &b.fibres[b.running];
  f->state = WAITING;
  f->object = object;
  f->what = what;
  to_scheduler(f);
}

void emulated_wake(const void *object) {
  for (int i = 0; i < b.cluster * b.n; ++i)
    if (b.fibres[i].state == WAITING && b.fibres[i].object == object)
      make_ready(i);
}

/* ---- rendezvous ---- */

static void meet(meeting *m, int first, int size, const char *what, performer *perform, void *arg) {
  if (m->arrived && m->what != what && strcmp(m->what, what) != 0)
    emulated_fail("%s, while others of threads %d to %d are at %s", what, first, first + size - 1,
                  m->what);
  m->what = what;
  m->args[nib_emulated_now->thread - first] = arg;
  if (++m->arrived < size) {
    emulated_wait(m, what);
    return;
  }
  m->arrived = 0;
  perform(m->args, size, first);
  emulated_wake(m);
}

void emulated_meet_warp(const char *what, performer *perform, void *arg) {
  int first = nib_emulated_now->thread & ~31;
  meet(&b.now->warps[first / 32], first, b.n - first < 32 ? b.n - first : 32, what, perform, arg);
}

void emulated_meet_warpgroup(const char *what, performer *perform, void *arg) {
  int first = nib_emulated_now->thread & ~127;
  if (b.n - first < 128)
    emulated_fail("%s in a warpgroup of %d threads", what, b.n - first);
  meet(&b.now->warpgroups[first / 128], first, 128, what, perform, arg);
}

static const char *const collective_names[] = {
    [NIB_EMULATED_SYNC] = "bar.warp.sync",
    [NIB_EMULATED_SHUFFLE] = "shfl.idx",
    [NIB_EMULATED_SHUFFLE_XOR] = "shfl.bfly",
    [NIB_EMULATED_LDMATRIX4] = "ldmatrix.x4",
    [NIB_EMULATED_MMA] = "mma",
};

static void perform_warp(void **args, int n, int first) {
  (void)first;
  nib_emulated_warp_args **of = (nib_emulated_warp_args **)args;
  int collective = of[0]->by >> 8;
  if (n < 32 && collective >= NIB_EMULATED_LDMATRIX4)
    emulated_fail("%s in a warp of %d threads", collective_names[collective], n);
  else
    emulated_perform_warp(collective, of, n);
}

void nib_emulated_warp(int collective, nib_emulated_warp_args *args) {
  args->by = (int32_t)((uint32_t)collective << 8) | (args->by & 255);
  emulated_meet_warp(collective_names[collective], perform_warp, args);
}

/* Threads that have not ended, of the block or, for the barrier of the cluster, of all its blocks.
 */
static int live(const thread_barrier *bar) {
  int n = 0;
  for (int i = 0; i < b.cluster; ++i)
    n += bar == &b.cluster_barrier || &b.blocks[i] == b.now ? b.blocks[i].live : 0;
  return n;
}

static bool release_if_complete(thread_barrier *bar) {
  if (!bar->arrived || bar->arrived < live(bar))
    return false;
  bar->arrived = 0;
  emulated_wake(bar);
  return true;
}

static void wait_at(thread_barrier *bar, const char *what) {
  bar->arrived++;
  if (!release_if_complete(bar))
    emulated_wait(bar, what);
}

void nib_emulated_bar_sync(void) { wait_at(&b.now->barrier, "bar.sync"); }
void nib_emulated_cluster_sync(void) { wait_at(&b.cluster_barrier, "barrier.cluster"); }

int32_t nib_emulated_cluster_rank(void) { return rank_of(b.now); }

void nib_emulated_check_aligned(const void *global, size_t alignment) {
  if ((uintptr_t)global % alignment)
    emulated_fail("an access of %zu bytes is not aligned", alignment);
}

/* What -fsanitize=… -fsanitize-minimal-runtime calls. */
#define MISTAKE(name, what)                                                                        \
  void __ubsan_handle_##name##_minimal(void);                                                      \
  void __ubsan_handle_##name##_minimal(void) { emulated_fail(what); }
MISTAKE(type_mismatch, "an access that is not aligned to its type")
MISTAKE(alignment_assumption, "a pointer that is not aligned as the compiler was told")
MISTAKE(out_of_bounds, "an index outside its array")
MISTAKE(add_overflow, "a sum of signed integers overflows")
MISTAKE(sub_overflow, "a difference of signed integers overflows")
MISTAKE(mul_overflow, "a product of signed integers overflows")
MISTAKE(negate_overflow, "a negated integer overflows")
MISTAKE(divrem_overflow, "a division by zero, or one that overflows")
MISTAKE(shift_out_of_bounds, "a shift by more than the bits there are")

/* ---- shared memory ---- */

uint32_t nib_emulated_shared_address(const void *shared) {
  ptrdiff_t offset = (const uint8_t *)shared - nib_emulated_shared;
  if (offset < 0 || offset > (ptrdiff_t)b.shared_bytes)
    emulated_fail("the shared address of memory that is not nib_shared");
  return (uint32_t)offset + shared_base;
}

bool emulated_check_shared(const void *p, size_t bytes, size_t alignment, const char *what) {
  const uint8_t *at = p;
  if ((uintptr_t)p % alignment) {
    emulated_fail("%s: not aligned to %zu bytes", what, alignment);
    return false;
  }
  if (at < b.now->area || at >= b.now->area + max_shared + 2 * guard_bytes)
    return true;
  if (at < nib_emulated_shared || at + bytes > nib_emulated_shared + b.shared_bytes) {
    emulated_fail("%s: bytes %td to %td of %u bytes of shared memory", what,
                  at - nib_emulated_shared, at - nib_emulated_shared + (ptrdiff_t)bytes,
                  b.shared_bytes);
    return false;
  }
  return true;
}

const uint8_t *emulated_at_shared(uint32_t address, size_t bytes, const char *what) {
  if (address < shared_base || address + bytes > shared_base + b.shared_bytes) {
    emulated_fail("%s: bytes %d to %d of %u bytes of shared memory", what,
                  (int)address - shared_base, (int)address - shared_base + (int)bytes,
                  b.shared_bytes);
    return NULL;
  }
  return nib_emulated_shared + (address - shared_base);
}

/* Ends at a page that cannot be touched, but for what aligns its start. */
static bool place_shared(block *k) {
  size_t all = (max_shared + guard_bytes - 1) / guard_bytes * guard_bytes;
  if (!k->area) {
    k->area =
        mmap(NULL, all + guard_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (k->area == MAP_FAILED) {
      k->area = NULL;
      return false;
    }
    mprotect(k->area + all, guard_bytes, PROT_NONE);
  }
  k->shared = k->area + all - ((size_t)b.shared_bytes + 1023) / 1024 * 1024;
  return true;
}

enum { poison = 0xcb };

static void check_slack(const block *k) {
  const uint8_t *end = k->shared + b.shared_bytes;
  for (size_t i = 0; (b.shared_bytes + i) % 1024; ++i)
    if (end[i] != poison) {
      emulated_fail("byte %zu of %u bytes of shared memory was written", b.shared_bytes + i,
                    b.shared_bytes);
      return;
    }
}

/* ---- launches ---- */

static void fibre_main(void) {
#ifdef HAS_ASAN
  __sanitizer_finish_switch_fiber(NULL, &b.scheduler_stack, &b.scheduler_stack_bytes);
#endif
  b.kernel->call(b.params);
  emulated_async_thread_ends(b.running);
  fibre *f = &b.fibres[b.running];
  f->state = DONE;
  f->block->live--;
  release_if_complete(&f->block->barrier);
  release_if_complete(&b.cluster_barrier);
  to_scheduler(f);
}

static bool make_stacks(int n) {
  for (; b.n_stacks < n; ++b.n_stacks) {
    uint8_t *p = mmap(NULL, guard_bytes + stack_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
      return false;
    mprotect(p, guard_bytes, PROT_NONE);
    b.fibres[b.n_stacks].stack = p + guard_bytes;
  }
  return true;
}

/* Names what the threads that are left wait for. */
static void fail_deadlock(void) {
  char text[700] = "";
  int n = 0, kinds = 0, all = b.cluster * b.n, ended = all;
  for (int i = 0; i < b.cluster; ++i)
    ended -= b.blocks[i].live;
  for (int i = 0; i < all && kinds < 4; ++i) {
    const fibre *f = &b.fibres[i];
    bool first = f->state == WAITING;
    int same = 0, last = i;
    for (int j = 0; first && j < all; ++j)
      if (b.fibres[j].state == WAITING && b.fibres[j].object == f->object) {
        first = j >= i;
        last = j;
        same++;
      }
    if (!first)
      continue;
    n += snprintf(text + n, sizeof text - (size_t)n, "%s%d thread%s (%d to %d) at %s",
                  kinds ? "; " : "", same, same > 1 ? "s" : "", f->place.thread,
                  b.fibres[last].place.thread, f->what);
    emulated_enter_block(rank_of(f->block));
    if (f->object == &b.now->barrier)
      n += snprintf(text + n, sizeof text - (size_t)n, ", where %d of %d arrived",
                    b.now->barrier.arrived, live(&b.now->barrier));
    const uint8_t *at = f->object;
    if (at >= b.now->shared && at < b.now->shared + b.shared_bytes)
      n += snprintf(text + n, sizeof text - (size_t)n, " at byte %td of shared memory",
                    at - b.now->shared);
    if (b.cluster > 1)
      n +=
          snprintf(text + n, sizeof text - (size_t)n, " (block %d of the cluster)", rank_of(b.now));
    kinds++;
  }
  emulated_fail("threads wait for ever: %s; %d of %d threads have ended", text, ended, all);
}

static bool any_live(void) {
  for (int i = 0; i < b.cluster; ++i)
    if (b.blocks[i].live)
      return true;
  return false;
}

static void begin_block(int rank, const int index[3]) {
  block *k = &b.blocks[rank];
  memcpy(k->index, index, sizeof k->index);
  k->index[0] += rank;
  k->live = b.n;
  k->barrier.arrived = 0;
  for (int i = 0; i < max_threads / 32; ++i)
    k->warps[i].arrived = 0;
  for (int i = 0; i < max_threads / 128; ++i)
    k->warpgroups[i].arrived = 0;
  memset(k->shared, poison, ((size_t)b.shared_bytes + 1023) / 1024 * 1024);
  for (int i = 0; i < b.n; ++i) {
    fibre *f = &b.fibres[rank * b.n + i];
    f->block = k;
    f->place.thread = i;
    memcpy(f->place.block, k->index, sizeof k->index);
    f->fake_stack = NULL;
    context_make(&f->ctx, f->stack, fibre_main);
    make_ready(rank * b.n + i);
  }
}

/* The next of those that can run. */
static int take_ready(void) {
  enum { size = max_cluster * max_threads };
  int *first = &b.ready[b.ready_first];
  if (b.order) {
    b.order ^= b.order << 13, b.order ^= b.order >> 17, b.order ^= b.order << 5;
    int *other = &b.ready[(b.ready_first + (int)(b.order % (uint32_t)b.n_ready)) % size],
        i = *other;
    *other = *first;
    *first = i;
  }
  b.ready_first = (b.ready_first + 1) % size;
  b.n_ready--;
  return *first;
}

static void run_cluster(const int index[3]) {
  b.ready_first = b.n_ready = 0;
  memset(&b.cluster_barrier, 0, sizeof b.cluster_barrier);
  emulated_async_reset(b.cluster * b.n);
  emulated_matrix_reset();
  for (int i = 0; i < b.cluster; ++i)
    begin_block(i, index);
  emulated_enter_block(0);
  while (any_live() && !b.failed) {
    if (b.n_ready) {
      resume(take_ready());
    } else if (!emulated_async_step()) {
      fail_deadlock();
    }
  }
  while (!b.failed && emulated_async_step()) /* copies that nobody waited for */
    ;
  for (int i = 0; i < b.cluster && !b.failed; ++i)
    check_slack(&b.blocks[i]);
  for (int i = 0; i < b.cluster && !b.failed; ++i)
    emulated_check_registers(i, b.n, b.kernel->most_threads);
}

static uint64_t common_divisor(uint64_t a, uint64_t b) { return b ? common_divisor(b, a % b) : a; }

int nib_emulated_launch(const nib_emulated_kernel *kernel, const uint32_t grid[3], uint32_t threads,
                        uint32_t shared_bytes, void **params) {
  const char *async = getenv("NIB_EMULATE_ASYNC"), *order = getenv("NIB_EMULATE_ORDER");
  b.order = order ? (uint32_t)strtoul(order, NULL, 10) : 0;
  b.eager = async && strcmp(async, "eager") == 0;
  b.failed = false;
  b.kernel = kernel;
  b.params = params;
  b.shared_bytes = shared_bytes;
  b.cluster = kernel->cluster;
  b.n = (int)threads;
  b.now = &b.blocks[0];
  memset(b.now->index, 0, sizeof b.now->index);
  if (threads == 0 || (int32_t)threads > kernel->most_threads || threads > max_threads)
    emulated_fail("launched with %u threads; it has launch bounds of %d", threads,
                  kernel->most_threads);
  else if (shared_bytes > max_shared)
    emulated_fail("launched with %u bytes of shared memory", shared_bytes);
  else if (b.cluster < 1 || b.cluster > max_cluster || grid[0] % (uint32_t)b.cluster)
    emulated_fail("launched with %u blocks in clusters of %d", grid[0], b.cluster);
  bool enough = b.failed || make_stacks(b.cluster * b.n);
  for (int i = 0; i < b.cluster && !b.failed && enough; ++i)
    enough = place_shared(&b.blocks[i]);
  if (!enough)
    emulated_fail("out of memory");
  if (b.failed)
    return 1;
  for (int i = 0; i < b.cluster * b.n; ++i)
    for (int j = 0; j < 3; ++j)
      b.fibres[i].place.grid[j] = (int32_t)grid[j];
  /* In a random order: steps of a size that has no divisor in common with the number of clusters.
   */
  const uint64_t columns = grid[0] / (uint32_t)b.cluster, all = columns * grid[1] * grid[2];
  uint64_t step = 1, at = 0;
  if (b.order) {
    step = 1 + b.order * UINT64_C(2654435761) % all;
    while (common_divisor(step, all) != 1)
      step++;
  }
  for (uint64_t i = 0; i < all && !b.failed; ++i, at = (at + step) % all)
    run_cluster((const int[]){(int)(at % columns) * b.cluster, (int)(at / columns % grid[1]),
                              (int)(at / columns / grid[1])});
  return b.failed;
}

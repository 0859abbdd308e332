// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Copies that happen later (cp.async, TMA), and the barriers in memory that count them.
#include "emulate_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- cp.async: of each thread, groups in order ---- */

typedef struct thread_copy {
  uint8_t *to;
  const uint8_t *from;
  int32_t size, bytes;
  int32_t group;
} thread_copy;

static struct {
  thread_copy *list;
  int first, n, capacity;
  int32_t groups; /* closed */
} copies[max_cluster * max_threads];

static void copy_now(const thread_copy *c) {
  memcpy(c->to, c->from, (size_t)c->bytes);
  memset(c->to + c->bytes, 0, (size_t)(c->size - c->bytes));
}

void nib_emulated_copy_async(void *shared, const void *global, int32_t size, int32_t bytes) {
  int t = emulated_fibre();
  if (bytes < 0 || bytes > size)
    emulated_fail("cp.async of %d bytes of %d", bytes, size);
  if ((uintptr_t)global % (size_t)size)
    emulated_fail("cp.async: source not aligned to %d bytes", size);
  emulated_check_shared(shared, (size_t)size, (size_t)size, "cp.async");
  thread_copy c = {shared, global, size, bytes, copies[t].groups};
  if (emulated_eager()) {
    copy_now(&c);
    return;
  }
  if (copies[t].n == copies[t].capacity) {
    int capacity = copies[t].capacity ? 2 * copies[t].capacity : 16;
    thread_copy *list = realloc(copies[t].list, sizeof *list * (size_t)capacity);
    if (!list)
      emulated_fail("out of memory");
    copies[t].list = list;
    copies[t].capacity = capacity;
  }
  copies[t].list[copies[t].n++] = c;
}

void nib_emulated_copy_commit(void) { copies[emulated_fibre()].groups++; }

static void finish_copies(int t, int32_t groups) {
  while (copies[t].first < copies[t].n && copies[t].list[copies[t].first].group < groups)
    copy_now(&copies[t].list[copies[t].first++]);
  if (copies[t].first == copies[t].n)
    copies[t].first = copies[t].n = 0;
}

void nib_emulated_copy_wait(int32_t groups) {
  int t = emulated_fibre();
  finish_copies(t, copies[t].groups - groups);
}

void emulated_async_thread_ends(int t) { finish_copies(t, copies[t].groups + 1); }

/* ---- mbarrier: 64 bits in shared memory, in a layout of our own ---- */

typedef struct barrier_bits {
  uint64_t pending : 20, count : 20, phase : 1;
  int64_t bytes : 23;
} barrier_bits;

enum { max_barriers = 512 };
static struct {
  const void *at;
  int fibre;
  bool fenced;            /* since it was initialized, by the same thread */
} barriers[max_barriers]; /* of this cluster */
static int n_barriers;

static barrier_bits *find_barrier(uint64_t *barrier, const char *what) {
  if (!emulated_check_shared(barrier, 8, 8, what))
    return NULL;
  for (int i = 0; i < n_barriers; ++i)
    if (barriers[i].at == barrier)
      return (barrier_bits *)barrier;
  emulated_fail("%s: the barrier was not initialized", what);
  return NULL;
}

void nib_emulated_barrier_init(uint64_t *barrier, uint32_t count) {
  emulated_check_shared(barrier, 8, 8, "mbarrier.init");
  if (count == 0 || count >= 1 << 20)
    emulated_fail("mbarrier.init with a count of %u", count);
  barrier_bits bits = {.pending = count & 0xfffff, .count = count & 0xfffff};
  memcpy(barrier, &bits, sizeof bits);
  int i = 0;
  while (i < n_barriers && barriers[i].at != barrier)
    ++i;
  if (i == max_barriers)
    emulated_fail("mbarrier.init: more than %d barriers", max_barriers);
  barriers[i].at = barrier;
  barriers[i].fibre = emulated_fibre();
  barriers[i].fenced = false;
  n_barriers += i == n_barriers;
}

void nib_emulated_fence_barrier_init(void) {
  for (int i = 0; i < n_barriers; ++i)
    barriers[i].fenced |= barriers[i].fibre == emulated_fibre();
}

/* What the copy engine and other blocks do with a barrier needs the fence. */
static void check_fenced(const uint64_t *barrier, const char *what) {
  for (int i = 0; i < n_barriers; ++i)
    if (barriers[i].at == barrier && !barriers[i].fenced)
      emulated_fail("%s: fence.mbarrier_init is missing since the barrier was initialized", what);
}

static void end_phase_if_complete(barrier_bits *bar) {
  if (bar->pending || bar->bytes)
    return;
  bar->phase ^= 1;
  bar->pending = bar->count;
  emulated_wake(bar);
}

static void complete_bytes(uint64_t *barrier, uint32_t bytes) {
  barrier_bits *bar = find_barrier(barrier, "complete_tx");
  if (!bar)
    return;
  check_fenced(barrier, "complete_tx");
  bar->bytes -= bytes;
  end_phase_if_complete(bar);
}

void nib_emulated_barrier_arrive(uint64_t *barrier, uint32_t expected_bytes) {
  barrier_bits *bar = find_barrier(barrier, "mbarrier.arrive");
  if (expected_bytes >= 1 << 20)
    emulated_fail("mbarrier.arrive.expect_tx of %u bytes: more than the count holds",
                  expected_bytes);
  if (bar->pending == 0)
    emulated_fail("mbarrier.arrive: more arrivals than the %u of a phase", (unsigned)bar->count);
  bar->bytes += expected_bytes;
  bar->pending--;
  end_phase_if_complete(bar);
}

void nib_emulated_barrier_arrive_at(uint64_t *barrier, int32_t block) {
  if (block < 0 || block >= emulated_cluster())
    emulated_fail("mbarrier.arrive in block %d of a cluster of %d", block, emulated_cluster());
  ptrdiff_t offset = (uint8_t *)barrier - nib_emulated_shared;
  int before = emulated_enter_block(block);
  if (emulated_block_ended(block))
    emulated_fail("mbarrier.arrive in block %d of the cluster, which has ended", block);
  check_fenced((const uint64_t *)(const void *)(nib_emulated_shared + offset), "mbarrier.arrive");
  nib_emulated_barrier_arrive((uint64_t *)(void *)(nib_emulated_shared + offset), 0);
  emulated_enter_block(before);
}

void nib_emulated_barrier_wait(uint64_t *barrier, uint32_t parity) {
  barrier_bits *bar = find_barrier(barrier, "mbarrier.try_wait");
  if (parity > 1)
    emulated_fail("mbarrier.try_wait: parity %u", parity);
  while (bar->phase == parity)
    emulated_wait(bar, parity ? "mbarrier.try_wait of parity 1" : "mbarrier.try_wait of parity 0");
}

/* ---- the copy engine ---- */

typedef struct engine_copy {
  nib_emulated_map map;
  int32_t at[5];
  uint8_t *to;
  uint32_t bytes;
  uint64_t *barrier;
  int issuer;      /* the block whose shared memory `to` and `barrier` are in; */
  uint32_t blocks; /* those of the cluster that get it */
} engine_copy;

static engine_copy *queue;
static int queue_first, queue_n, queue_capacity;

static uint32_t box_bytes(const nib_emulated_map *m) {
  uint32_t n = m->element_bytes;
  for (int i = 0; i < m->rank; ++i)
    n *= m->box[i];
  return n;
}

/* Where byte `offset` of a box that starts at `shared` lies: swizzles exchange units of 16 bytes by
 * bits of the shared address. */
static uint8_t *swizzled(uint8_t *shared, uint32_t offset, int swizzle) {
  static const uint32_t masks[] = {0, 1, 3, 7};
  uint32_t address = (uint32_t)(shared - nib_emulated_shared) + shared_base + offset;
  return nib_emulated_shared + ((address ^ (address >> 7 & masks[swizzle]) << 4) - shared_base);
}

/* Copies row by row of dimension 0, in runs of one element. */
static void copy_box(const nib_emulated_map *m, const int32_t *at, uint8_t *shared) {
  uint32_t index[5] = {0}, offset = 0, size = m->element_bytes;
  for (;;) {
    bool inside = true;
    uint64_t from = 0;
    for (int i = 0; i < m->rank; ++i) {
      int64_t x = (int64_t)at[i] + index[i];
      inside &= x >= 0 && x < (int64_t)m->dims[i];
      from += (uint64_t)x * (i ? m->strides[i - 1] : size);
    }
    uint8_t *s = swizzled(shared, offset, m->swizzle);
    if (inside)
      memcpy(s, (const uint8_t *)(uintptr_t)m->base + from, size);
    else
      memset(s, 0, size);
    offset += size;
    int i = 0;
    while (i < m->rank && ++index[i] == m->box[i])
      index[i++] = 0;
    if (i == m->rank)
      return;
  }
}

/* In the shared memory of block `rank`, the place of p in that of the issuer. */
static void *there(const engine_copy *c, const void *p, int rank) {
  int before = emulated_enter_block(c->issuer);
  ptrdiff_t offset = (const uint8_t *)p - nib_emulated_shared;
  emulated_enter_block(rank);
  void *q = nib_emulated_shared + offset;
  emulated_enter_block(before);
  return q;
}

static void engine_now(const engine_copy *c) {
  for (int rank = 0; rank < emulated_cluster(); ++rank) {
    if (!(c->blocks >> rank & 1))
      continue;
    int before = emulated_enter_block(rank);
    copy_box(&c->map, c->at, there(c, c->to, rank));
    if (emulated_block_ended(rank) && rank != c->issuer)
      emulated_fail("cp.async.bulk into block %d of the cluster, which has ended", rank);
    complete_bytes(there(c, c->barrier, rank), c->bytes);
    emulated_enter_block(before);
  }
}

static void engine_begin(engine_copy *c, uint32_t blocks) {
  c->issuer = nib_emulated_cluster_rank();
  c->blocks = blocks ? blocks : 1u << c->issuer;
  if (c->blocks >> emulated_cluster())
    emulated_fail("cp.async.bulk into blocks that the cluster does not have");
  if (!blocks)
    find_barrier(c->barrier, "cp.async.bulk");
  if (emulated_eager()) {
    engine_now(c);
    return;
  }
  if (queue_n == queue_capacity) {
    int capacity = queue_capacity ? 2 * queue_capacity : 64;
    engine_copy *list = realloc(queue, sizeof *list * (size_t)capacity);
    if (!list)
      emulated_fail("out of memory");
    queue = list;
    queue_capacity = capacity;
  }
  queue[queue_n++] = *c;
}

bool emulated_async_step(void) {
  if (queue_first == queue_n)
    return false;
  engine_copy c = queue[queue_first++];
  if (queue_first == queue_n)
    queue_first = queue_n = 0;
  engine_now(&c);
  return true;
}

static void check_map(nib_emulated_map *out, const void *map, int rank, const void *shared,
                      const char *what) {
  if ((uintptr_t)map % 64)
    emulated_fail("%s: the tensor map is not aligned to 64 bytes", what);
  memcpy(out, map, sizeof *out);
  if (out->magic != NIB_EMULATED_MAP_MAGIC || out->rank != rank)
    emulated_fail("%s: not a tensor map of rank %d", what, rank);
  emulated_check_shared(shared, box_bytes(out), 128, what);
  static const uint32_t repeats[] = {128, 256, 512, 1024};
  if (((uint32_t)((const uint8_t *)shared - nib_emulated_shared) + shared_base) %
      repeats[out->swizzle])
    emulated_fail(
        "%s: shared memory is not aligned to the %u bytes after which the swizzle repeats", what,
        repeats[out->swizzle]);
}

void nib_emulated_tma_load(void *shared, const void *map, uint64_t *barrier, const int32_t *at,
                           int rank, uint32_t blocks) {
  engine_copy c = {.to = shared, .barrier = barrier};
  check_map(&c.map, map, rank, shared, "cp.async.bulk.tensor");
  if ((int64_t)at[0] * c.map.element_bytes % 16)
    emulated_fail("cp.async.bulk.tensor: column %d is not a multiple of 16 bytes", at[0]);
  memcpy(c.at, at, sizeof *at * (size_t)rank);
  c.bytes = box_bytes(&c.map);
  engine_begin(&c, blocks);
}

void emulated_async_reset(int fibres) {
  for (int t = 0; t < fibres; ++t) {
    copies[t].first = copies[t].n = 0;
    copies[t].groups = 0;
  }
  n_barriers = 0;
  queue_first = queue_n = 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Offsets: each block goes to the lowest gap left by those placed before it that are alive with it.
 * The order of placement decides; several are tried, then improved by moving the block at the top
 * forward, then branch and bound searches for less (offsets_search.c). All limits are counts, so
 * the result does not depend on the machine. */
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_IMPROVEMENTS = 400 };

typedef struct packing {
  nib_plan_block *blocks;
  int32_t n;
  int64_t bound;
  int32_t *order, *trial;  /* permutations of blocks */
  int32_t *placed;         /* blocks placed so far, sorted by offset */
  int64_t *offsets, *best; /* by block */
  int64_t best_bytes;
} packing;

static bool overlap_in_time(const nib_plan_block *a, const nib_plan_block *b) {
  return a->first <= b->last && b->first <= a->last;
}

/* Lowest offset for `id` among the first `n_placed` entries of p->placed (sorted by offset). */
static int64_t lowest_gap(const packing *p, int32_t n_placed, int32_t id) {
  int64_t at = 0;
  for (int32_t i = 0; i < n_placed; ++i) {
    const int32_t other = p->placed[i];
    if (!overlap_in_time(&p->blocks[id], &p->blocks[other]))
      continue;
    if (p->offsets[other] >= at + p->blocks[id].bytes)
      break;
    const int64_t end = p->offsets[other] + p->blocks[other].bytes;
    if (end > at)
      at = end;
  }
  return at;
}

static void insert_placed(packing *p, int32_t n_placed, int32_t id) {
  int32_t i = n_placed;
  for (; i > 0 && p->offsets[p->placed[i - 1]] > p->offsets[id]; --i)
    p->placed[i] = p->placed[i - 1];
  p->placed[i] = id;
}

/* Places all in the given order; keeps the result when it is the best so far. Returns the size. */
static int64_t place(packing *p, const int32_t *order) {
  int64_t bytes = 0;
  for (int32_t i = 0; i < p->n; ++i) {
    const int32_t id = order[i];
    p->offsets[id] = lowest_gap(p, i, id);
    insert_placed(p, i, id);
    const int64_t end = p->offsets[id] + p->blocks[id].bytes;
    if (end > bytes)
      bytes = end;
  }
  if (bytes < p->best_bytes) {
    p->best_bytes = bytes;
    memcpy(p->best, p->offsets, (size_t)p->n * sizeof *p->best);
  }
  return bytes;
}

typedef int64_t block_key(const nib_plan_block *b);

static int64_t by_size(const nib_plan_block *b) { return -b->bytes; }
static int64_t by_start(const nib_plan_block *b) { return b->first; }
static int64_t by_end(const nib_plan_block *b) { return -(int64_t)b->last; }
static int64_t by_span(const nib_plan_block *b) { return -(int64_t)(b->last - b->first); }
static int64_t by_area(const nib_plan_block *b) { return -b->bytes * (b->last - b->first + 1); }

static block_key *const k_keys[] = {by_size, by_area, by_span, by_start, by_end};

static void sort_by(packing *p, block_key *key) {
  for (int32_t i = 0; i < p->n; ++i)
    p->trial[i] = i;
  for (int32_t i = 1; i < p->n; ++i) {
    const int32_t id = p->trial[i];
    int32_t k = i;
    for (; k > 0 && key(&p->blocks[p->trial[k - 1]]) > key(&p->blocks[id]); --k)
      p->trial[k] = p->trial[k - 1];
    p->trial[k] = id;
  }
}

/* The block that ends highest goes to an earlier place in the order; better or equal is kept. */
static void improve(packing *p, int64_t bytes) {
  uint64_t random = 88172645463325252u;
  for (int i = 0; i < MAX_IMPROVEMENTS && p->best_bytes > p->bound; ++i) {
    int32_t top = 0;
    for (int32_t k = 0; k < p->n; ++k)
      if (p->offsets[p->order[k]] + p->blocks[p->order[k]].bytes == bytes)
        top = k;
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    const int32_t to = top > 0 ? (int32_t)(random % (uint64_t)top) : 0;
    memcpy(p->trial, p->order, (size_t)p->n * sizeof *p->trial);
    memmove(p->trial + to + 1, p->trial + to, (size_t)(top - to) * sizeof *p->trial);
    p->trial[to] = p->order[top];
    const int64_t moved = place(p, p->trial);
    if (moved > bytes) {
      place(p, p->order);
      continue;
    }
    bytes = moved;
    memcpy(p->order, p->trial, (size_t)p->n * sizeof *p->order);
  }
}

static void pack(packing *p) {
  for (size_t k = 0; k < sizeof k_keys / sizeof k_keys[0] && p->best_bytes > p->bound; ++k) {
    sort_by(p, k_keys[k]);
    const int64_t bytes = place(p, p->trial);
    memcpy(p->order, p->trial, (size_t)p->n * sizeof *p->order);
    improve(p, bytes);
  }
  if (p->best_bytes > p->bound)
    nib_plan_search_offsets(p->blocks, p->n, p->bound, p->best, &p->best_bytes);
}

nib_status nib_plan_assign_offsets(nib_plan_block *blocks, int32_t n, int64_t bound,
                                   int64_t *out_bytes, const nib_diag *diag) {
  const size_t entries = (size_t)n + 1;
  packing p = {.blocks = blocks, .n = n, .bound = bound, .best_bytes = INT64_MAX};
  int32_t *ids = malloc(3 * entries * sizeof *ids);
  int64_t *offsets = calloc(2 * entries, sizeof *offsets);
  *out_bytes = 0;
  nib_status status = NIB_OK;
  if (ids == NULL || offsets == NULL) {
    status = nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory planning the arena");
  } else if (n > 0) {
    p.order = ids;
    p.trial = ids + entries;
    p.placed = ids + 2 * entries;
    p.offsets = offsets;
    p.best = offsets + entries;
    pack(&p);
    for (int32_t i = 0; i < n; ++i)
      blocks[i].offset = p.best[i];
    *out_bytes = p.best_bytes;
  }
  free(ids);
  free(offsets);
  return status;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Branch and bound for offsets. Blocks are placed in the order of their offsets, each on the
 * highest of those below it: every arrangement can be settled into one of these without growing. A
 * branch ends where at some time what is placed and what is still to come do not fit, and a block
 * is not placed where another would fit below it. */
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_NODES = 200000, MAX_BLOCKS = 256 };

typedef struct arrangement {
  const nib_plan_block *blocks;
  int32_t n, times;
  int64_t bound, limit; /* sought: at least bound, below limit */
  int64_t *offsets, *best;
  bool *placed;
  int64_t *height; /* per time: end of the highest block placed */
  int64_t *rest;   /* per time: bytes of the blocks still to place */
  int64_t *saved;  /* heights under the blocks placed, by depth × times */
  int32_t nodes;
} arrangement;

static int64_t floor_under(const arrangement *a, const nib_plan_block *b) {
  int64_t top = 0;
  for (int32_t t = b->first; t <= b->last; ++t)
    top = a->height[t] > top ? a->height[t] : top;
  return top;
}

/* Whether with `b` at `at` everything can still end below the limit: what comes later is not placed
 * below `at`. */
static bool fits(const arrangement *a, const nib_plan_block *b, int64_t at) {
  for (int32_t t = 0; t < a->times; ++t) {
    const bool inside = b->first <= t && t <= b->last; /* rest includes b */
    const int64_t from = !inside && a->height[t] > at ? a->height[t] : at;
    if (a->rest[t] > 0 && from + a->rest[t] >= a->limit)
      return false;
  }
  return true;
}

/* The least end of a block still to place: nothing is placed above it, or it would fit below. */
static int64_t lowest_end(const arrangement *a, int64_t from) {
  int64_t least = INT64_MAX;
  for (int32_t i = 0; i < a->n; ++i) {
    if (a->placed[i])
      continue;
    int64_t at = floor_under(a, &a->blocks[i]);
    at = (at > from ? at : from) + a->blocks[i].bytes;
    least = at < least ? at : least;
  }
  return least;
}

static void put(arrangement *a, int32_t id, int64_t at, int64_t *saved) {
  const nib_plan_block *b = &a->blocks[id];
  a->placed[id] = true;
  a->offsets[id] = at;
  for (int32_t t = b->first; t <= b->last; ++t) {
    saved[t] = a->height[t];
    a->height[t] = at + b->bytes;
    a->rest[t] -= b->bytes;
  }
}

static void take_back(arrangement *a, int32_t id, const int64_t *saved) {
  const nib_plan_block *b = &a->blocks[id];
  a->placed[id] = false;
  for (int32_t t = b->first; t <= b->last; ++t) {
    a->height[t] = saved[t];
    a->rest[t] += b->bytes;
  }
}

/* False once nothing more is to be sought: the bound is reached or the limit of nodes. `from` is
 * the offset of the last block placed, `last` its id: of equal offsets the smaller id goes first.
 */
static bool arrange(arrangement *a, int32_t depth, int64_t from, int32_t last, int64_t top) {
  if (depth == a->n) {
    memcpy(a->best, a->offsets, (size_t)a->n * sizeof *a->best);
    a->limit = top;
    return top > a->bound;
  }
  const int64_t ceiling = lowest_end(a, from);
  for (int32_t id = 0; id < a->n; ++id) {
    const nib_plan_block *b = &a->blocks[id];
    if (a->placed[id])
      continue;
    const int64_t at = floor_under(a, b);
    if (at < from || (at == from && id < last) || at >= ceiling || !fits(a, b, at))
      continue;
    if (++a->nodes > MAX_NODES)
      return false;
    const int64_t end = at + b->bytes;
    int64_t *saved = a->saved + (size_t)depth * (size_t)a->times;
    put(a, id, at, saved);
    const bool go_on = arrange(a, depth + 1, at, id, end > top ? end : top);
    take_back(a, id, saved);
    if (!go_on)
      return false;
  }
  return true;
}

bool nib_plan_search_offsets(const nib_plan_block *blocks, int32_t n, int64_t bound, int64_t *best,
                             int64_t *bytes) {
  arrangement a = {
      .blocks = blocks, .n = n, .times = 1, .bound = bound, .limit = *bytes, .best = best};
  for (int32_t i = 0; i < n; ++i)
    a.times = blocks[i].last + 1 > a.times ? blocks[i].last + 1 : a.times;
  if (n > MAX_BLOCKS)
    return false;
  const size_t times = (size_t)a.times;
  int64_t *numbers = calloc(((size_t)n + 2) * times + (size_t)n, sizeof *numbers);
  a.placed = calloc((size_t)n + 1, sizeof *a.placed);
  bool done = false;
  if (numbers != NULL && a.placed != NULL) {
    a.height = numbers;
    a.rest = numbers + times;
    a.saved = numbers + 2 * times;
    a.offsets = a.saved + (size_t)n * times;
    for (int32_t i = 0; i < n; ++i)
      for (int32_t t = blocks[i].first; t <= blocks[i].last; ++t)
        a.rest[t] += blocks[i].bytes;
    done = arrange(&a, 0, 0, 0, 0) || a.limit <= bound;
    *bytes = a.limit;
  }
  free(numbers);
  free(a.placed);
  return done;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Kernel order. A state is the set of kernels that ran; its live set does not depend on their
 * order. The order with the smallest peak is a path of least maximum through these states, found by
 * Dijkstra's algorithm with max in place of sum. Networks are near chains, so states are few; past
 * the limit the better of the given order and a greedy one is taken. */
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_STATES = 20000, WORD_BITS = 64 };

typedef struct state {
  int64_t live; /* bytes kept after the last kernel */
  int64_t peak; /* largest live set so far */
  int32_t parent, kernel, done, peak_at;
} state;

typedef struct search {
  const nib_plan_problem *p;
  int32_t words;
  state *states;
  uint64_t *sets; /* words per state */
  int32_t n_states, capacity;
  int32_t *table; /* open addressing over states, NIB_NONE empty */
  int32_t table_size;
  int32_t *heap;
  int32_t n_heap;
} search;

static bool has(const uint64_t *set, int32_t k) {
  return (set[k / WORD_BITS] >> (k % WORD_BITS)) & 1;
}

static bool is_ready(const nib_plan_problem *p, const uint64_t *set, int32_t k) {
  if (has(set, k))
    return false;
  for (int32_t i = 0; i < p->kernels[k].n_in; ++i)
    if (!has(set, p->writer[p->kernels[k].in[i]]))
      return false;
  return true;
}

/* Whether kernel `k` is the last reader of `root` once the kernels of `set` ran. */
static bool dies_at(const nib_plan_problem *p, const uint64_t *set, int32_t k, int32_t root) {
  int32_t left = p->readers[root];
  for (int32_t i = 0; i < p->n_kernels && left > 0; ++i) {
    if (i != k && !has(set, i))
      continue;
    for (int32_t s = 0; s < p->kernels[i].n_in; ++s)
      left -= p->kernels[i].in[s] == root;
  }
  return left == 0;
}

typedef struct step {
  int64_t peak, live;
} step;

static bool in_arena(const nib_plan_problem *p, int32_t root) {
  return p->kernels[p->writer[root]].out_in_arena;
}

/* Runs kernel `k` after `set` with `live` bytes kept. */
static step run_kernel(const nib_plan_problem *p, const uint64_t *set, int64_t live, int32_t k) {
  const nib_plan_access *a = &p->kernels[k];
  int64_t freed = 0, reused = 0;
  for (int32_t i = 0; i < a->n_in; ++i) {
    const int32_t root = a->in[i];
    if (!in_arena(p, root) || !dies_at(p, set, k, root))
      continue;
    freed += p->kernels[p->writer[root]].out_bytes;
    if (a->out_in_arena && nib_plan_may_overwrite(p->g, &p->g->kernels[k], root))
      reused = a->out_bytes;
  }
  const step s = {.peak = live + a->out_bytes - reused + a->scratch_bytes,
                  .live = live + (p->readers[a->out] > 0 ? a->out_bytes : 0) - freed};
  return s;
}

/* --- the search --- */

static uint64_t hash_set(const uint64_t *set, int32_t words) {
  uint64_t h = 1469598103934665603u;
  for (int32_t i = 0; i < words; ++i) {
    h ^= set[i];
    h *= 1099511628211u;
    h ^= h >> 29;
  }
  return h;
}

static bool earlier(const search *s, int32_t a, int32_t b) {
  const state *x = &s->states[a], *y = &s->states[b];
  if (x->peak != y->peak)
    return x->peak < y->peak;
  if (x->done != y->done)
    return x->done > y->done;
  return a < b;
}

static void push(search *s, int32_t id) {
  int32_t i = s->n_heap++;
  while (i > 0 && earlier(s, id, s->heap[(i - 1) / 2])) {
    s->heap[i] = s->heap[(i - 1) / 2];
    i = (i - 1) / 2;
  }
  s->heap[i] = id;
}

static int32_t pop(search *s) {
  const int32_t top = s->heap[0], last = s->heap[--s->n_heap];
  int32_t i = 0;
  for (;;) {
    int32_t child = 2 * i + 1;
    if (child >= s->n_heap)
      break;
    if (child + 1 < s->n_heap && earlier(s, s->heap[child + 1], s->heap[child]))
      ++child;
    if (!earlier(s, s->heap[child], last))
      break;
    s->heap[i] = s->heap[child];
    i = child;
  }
  s->heap[i] = last;
  return top;
}

/* Adds a state for `set` unless one with the same set and no larger peak exists. Popping by peak
 * makes the first arrival at a set the best one, so a set is never reopened. */
static bool add_state(search *s, const uint64_t *set, const state *st) {
  const size_t bytes = (size_t)s->words * sizeof *set;
  uint64_t at = hash_set(set, s->words) & (uint64_t)(s->table_size - 1);
  for (; s->table[at] != NIB_NONE; at = (at + 1) & (uint64_t)(s->table_size - 1)) {
    const int32_t id = s->table[at];
    if (memcmp(s->sets + (size_t)id * (size_t)s->words, set, bytes) != 0)
      continue;
    if (s->states[id].peak <= st->peak)
      return true;
    break; /* a better way to the same set: it replaces the entry, the old one stays in the heap */
  }
  if (s->n_states == s->capacity)
    return false;
  const int32_t id = s->n_states++;
  s->states[id] = *st;
  memcpy(s->sets + (size_t)id * (size_t)s->words, set, bytes);
  s->table[at] = id;
  push(s, id);
  return true;
}

static bool expand(search *s, int32_t id, uint64_t *set) {
  const nib_plan_problem *p = s->p;
  const size_t bytes = (size_t)s->words * sizeof *set;
  for (int32_t k = 0; k < p->n_kernels; ++k) {
    const uint64_t *here = s->sets + (size_t)id * (size_t)s->words;
    if (!is_ready(p, here, k))
      continue;
    const state *from = &s->states[id];
    const step ran = run_kernel(p, here, from->live, k);
    const bool higher = ran.peak > from->peak;
    const state next = {.live = ran.live,
                        .peak = higher ? ran.peak : from->peak,
                        .parent = id,
                        .kernel = k,
                        .done = from->done + 1,
                        .peak_at = higher ? from->done : from->peak_at};
    memcpy(set, here, bytes);
    set[k / WORD_BITS] |= UINT64_C(1) << (k % WORD_BITS);
    if (!add_state(s, set, &next))
      return false;
  }
  return true;
}

/* Id of the final state, or NIB_NONE when the limit was reached. */
static int32_t find_path(search *s, uint64_t *set) {
  const state start = {.parent = NIB_NONE, .kernel = NIB_NONE};
  memset(set, 0, (size_t)s->words * sizeof *set);
  if (!add_state(s, set, &start))
    return NIB_NONE;
  while (s->n_heap > 0) {
    const int32_t id = pop(s);
    if (s->states[id].done == s->p->n_kernels)
      return id;
    if (!expand(s, id, set))
      return NIB_NONE;
  }
  return NIB_NONE;
}

static bool open_search(search *s, const nib_plan_problem *p) {
  *s = (search){.p = p, .words = p->n_kernels / WORD_BITS + 1, .table_size = 65536};
  s->capacity = MAX_STATES;
  s->states = malloc(MAX_STATES * sizeof *s->states);
  s->sets = malloc((size_t)MAX_STATES * (size_t)s->words * sizeof *s->sets);
  s->table = malloc((size_t)s->table_size * sizeof *s->table);
  s->heap = malloc(MAX_STATES * sizeof *s->heap);
  if (!s->states || !s->sets || !s->table || !s->heap)
    return false;
  for (int32_t i = 0; i < s->table_size; ++i)
    s->table[i] = NIB_NONE;
  return true;
}

static void close_search(search *s) {
  free(s->states);
  free(s->sets);
  free(s->table);
  free(s->heap);
}

/* --- heuristics --- */

/* Follows `order` (or, with order NULL, always the ready kernel with the smallest step) and reports
 * the peak. Ties go to the smaller id, which is the source's order. */
static void walk(const nib_plan_problem *p, const int32_t *order, uint64_t *set, int32_t words,
                 int32_t *out_order, int64_t *out_peak, int32_t *out_peak_at) {
  int64_t live = 0;
  *out_peak = 0;
  *out_peak_at = 0;
  memset(set, 0, (size_t)words * sizeof *set);
  for (int32_t i = 0; i < p->n_kernels; ++i) {
    int32_t pick = order != NULL ? order[i] : NIB_NONE;
    step best = {0, 0};
    if (pick != NIB_NONE)
      best = run_kernel(p, set, live, pick);
    for (int32_t k = 0; order == NULL && k < p->n_kernels; ++k) {
      if (!is_ready(p, set, k))
        continue;
      const step s = run_kernel(p, set, live, k);
      if (pick == NIB_NONE || s.live < best.live || (s.live == best.live && s.peak < best.peak)) {
        pick = k;
        best = s;
      }
    }
    if (best.peak > *out_peak) {
      *out_peak = best.peak;
      *out_peak_at = i;
    }
    live = best.live;
    set[pick / WORD_BITS] |= UINT64_C(1) << (pick % WORD_BITS);
    out_order[i] = pick;
  }
}

static void take_heuristic(const nib_plan_problem *p, uint64_t *set, int32_t words,
                           int32_t *scratch, int32_t *out_order, int64_t *out_peak,
                           int32_t *out_peak_at) {
  int64_t greedy_peak;
  int32_t greedy_at;
  for (int32_t k = 0; k < p->n_kernels; ++k)
    scratch[k] = k;
  walk(p, scratch, set, words, out_order, out_peak, out_peak_at);
  walk(p, NULL, set, words, scratch, &greedy_peak, &greedy_at);
  if (greedy_peak >= *out_peak)
    return;
  memcpy(out_order, scratch, (size_t)p->n_kernels * sizeof *scratch);
  *out_peak = greedy_peak;
  *out_peak_at = greedy_at;
}

nib_status nib_plan_order_kernels(const nib_plan_problem *p, int32_t *out_order, int64_t *out_peak,
                                  int32_t *out_peak_at, const nib_diag *diag) {
  search s;
  nib_status status = NIB_OK;
  const bool opened = open_search(&s, p);
  uint64_t *set = malloc((size_t)s.words * sizeof *set);
  int32_t *scratch = malloc(((size_t)p->n_kernels + 1) * sizeof *scratch);
  if (!opened || set == NULL || scratch == NULL) {
    status = nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory ordering the kernels");
  } else {
    take_heuristic(p, set, s.words, scratch, out_order, out_peak, out_peak_at);
    const int32_t end = find_path(&s, set);
    /* The given order stays unless another one is better. */
    if (end != NIB_NONE && s.states[end].peak < *out_peak) {
      *out_peak = s.states[end].peak;
      *out_peak_at = s.states[end].peak_at;
      for (int32_t id = end; s.states[id].parent != NIB_NONE; id = s.states[id].parent)
        out_order[s.states[id].done - 1] = s.states[id].kernel;
    }
  }
  free(set);
  free(scratch);
  close_search(&s);
  return status;
}

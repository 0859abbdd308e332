/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Kernel order. A state is the set of kernels that ran; its live set does not depend on their
 * order. The order with the smallest peak is a path of least maximum through these states, found by
 * Dijkstra's algorithm with max in place of sum. Two things keep states few: those that reach the
 * peak of a known order are dropped, and a kernel that raises neither the peak nor what stays alive
 * runs at once, since moving it forward in any order makes nothing worse. Past the limit of states
 * the best known order is taken, and the smallest peak still open is what is proven. */
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_STATES = 60000, TABLE_SIZE = 262144, WORD_BITS = 64 };

typedef struct state {
  int64_t live; /* bytes kept after the last kernel */
  int64_t peak; /* largest live set so far */
  int32_t parent, kernel, done, peak_at;
} state;

typedef struct search {
  const nib_plan_problem *p;
  int32_t words;
  int64_t known; /* peak of a known order: only smaller ones are searched */
  state *states;
  uint64_t *sets; /* words per state */
  int32_t n_states, capacity;
  int32_t *table; /* open addressing over states, NIB_NONE empty */
  int32_t *heap;
  int32_t n_heap;
} search;

static bool has(const uint64_t *set, int32_t k) {
  return (set[k / WORD_BITS] >> (k % WORD_BITS)) & 1;
}

static void insert(uint64_t *set, int32_t k) {
  set[k / WORD_BITS] |= UINT64_C(1) << (k % WORD_BITS);
}

static bool is_ready(const nib_plan_problem *p, const uint64_t *set, int32_t k) {
  if (has(set, k))
    return false;
  for (int32_t i = 0; i < p->kernels[k].n_after; ++i)
    if (!has(set, p->kernels[k].after[i]))
      return false;
  return true;
}

typedef struct step {
  int64_t peak, live;
} step;

/* Runs kernel `k` after `set` with `live` bytes kept. A storage is alive from its first user to its
 * last. */
static step run_kernel(const nib_plan_problem *p, const uint64_t *set, int64_t live, int32_t k) {
  const nib_plan_access *a = &p->kernels[k];
  int64_t born = 0, freed = 0, reused = 0;
  bool made = false; /* the result's storage is new */
  for (int32_t i = 0; i < a->n_uses; ++i) {
    const nib_plan_storage *s = &p->storages[a->uses[i].storage];
    int32_t ran = 0;
    for (int32_t u = 0; u < s->n_users; ++u)
      ran += s->users[u] != k && has(set, s->users[u]);
    const bool dies = ran + 1 == s->n_users;
    born += ran == 0 ? s->bytes : 0;
    freed += dies ? s->bytes : 0;
    made = made || (i == 0 && ran == 0);
    if (made && dies && a->uses[i].overwrites)
      reused = s->bytes;
  }
  const step r = {.peak = live + born - reused + a->scratch_bytes, .live = live + born - freed};
  return r;
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
  uint64_t at = hash_set(set, s->words) & (uint64_t)(TABLE_SIZE - 1);
  for (; s->table[at] != NIB_NONE; at = (at + 1) & (uint64_t)(TABLE_SIZE - 1)) {
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

static state after_step(const state *from, int32_t parent, int32_t k, step ran) {
  const bool higher = ran.peak > from->peak;
  return (state){.live = ran.live,
                 .peak = higher ? ran.peak : from->peak,
                 .parent = parent,
                 .kernel = k,
                 .done = from->done + 1,
                 .peak_at = higher ? from->done : from->peak_at};
}

/* A ready kernel that costs nothing in any order, or NIB_NONE. */
static int32_t find_free_kernel(const search *s, const state *from, const uint64_t *set) {
  for (int32_t k = 0; k < s->p->n_kernels; ++k) {
    if (!is_ready(s->p, set, k))
      continue;
    const step ran = run_kernel(s->p, set, from->live, k);
    if (ran.peak <= from->peak && ran.live <= from->live)
      return k;
  }
  return NIB_NONE;
}

static bool expand(search *s, int32_t id, uint64_t *set) {
  const nib_plan_problem *p = s->p;
  const size_t bytes = (size_t)s->words * sizeof *set;
  const state from = s->states[id];
  memcpy(set, s->sets + (size_t)id * (size_t)s->words, bytes);
  const int32_t only = find_free_kernel(s, &from, set);
  for (int32_t k = 0; k < p->n_kernels; ++k) {
    memcpy(set, s->sets + (size_t)id * (size_t)s->words, bytes);
    if ((only != NIB_NONE && k != only) || !is_ready(p, set, k))
      continue;
    const state next = after_step(&from, id, k, run_kernel(p, set, from.live, k));
    insert(set, k);
    if (next.peak < s->known && !add_state(s, set, &next))
      return false;
  }
  return true;
}

/* Id of the final state, or NIB_NONE: there is none below s->known, or the limit was reached.
 * *out_proven is what no order undercuts. */
static int32_t find_path(search *s, uint64_t *set, int64_t *out_proven) {
  const state start = {.parent = NIB_NONE, .kernel = NIB_NONE};
  memset(set, 0, (size_t)s->words * sizeof *set);
  *out_proven = 0;
  if (!add_state(s, set, &start))
    return NIB_NONE;
  while (s->n_heap > 0) {
    const int32_t id = pop(s);
    *out_proven = s->states[id].peak;
    if (s->states[id].done == s->p->n_kernels)
      return id;
    if (!expand(s, id, set))
      return NIB_NONE;
  }
  *out_proven = s->known;
  return NIB_NONE;
}

static bool open_search(search *s, const nib_plan_problem *p) {
  *s = (search){.p = p, .words = p->n_kernels / WORD_BITS + 1, .capacity = MAX_STATES};
  s->states = malloc(MAX_STATES * sizeof *s->states);
  s->sets = malloc((size_t)MAX_STATES * (size_t)s->words * sizeof *s->sets);
  s->table = malloc(TABLE_SIZE * sizeof *s->table);
  s->heap = malloc(MAX_STATES * sizeof *s->heap);
  if (!s->states || !s->sets || !s->table || !s->heap)
    return false;
  for (int32_t i = 0; i < TABLE_SIZE; ++i)
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
                 int32_t *out_order, nib_plan_peak *out_peak) {
  int64_t live = 0;
  *out_peak = (nib_plan_peak){0};
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
    if (best.peak > out_peak->peak_bytes) {
      out_peak->peak_bytes = best.peak;
      out_peak->at = i;
    }
    live = best.live;
    insert(set, pick);
    out_order[i] = pick;
  }
}

static void take_heuristic(const nib_plan_problem *p, uint64_t *set, int32_t words,
                           int32_t *scratch, int32_t *out_order, nib_plan_peak *out_peak) {
  nib_plan_peak greedy;
  for (int32_t k = 0; k < p->n_kernels; ++k)
    scratch[k] = k;
  walk(p, scratch, set, words, out_order, out_peak);
  walk(p, NULL, set, words, scratch, &greedy);
  if (greedy.peak_bytes >= out_peak->peak_bytes)
    return;
  memcpy(out_order, scratch, (size_t)p->n_kernels * sizeof *scratch);
  *out_peak = greedy;
}

nib_status nib_plan_order_kernels(const nib_plan_problem *p, int32_t *out_order,
                                  nib_plan_peak *out_peak, const nib_diag *diag) {
  search s;
  nib_status status = NIB_OK;
  const bool opened = open_search(&s, p);
  uint64_t *set = malloc((size_t)s.words * sizeof *set);
  int32_t *scratch = malloc(((size_t)p->n_kernels + 1) * sizeof *scratch);
  if (!opened || set == NULL || scratch == NULL) {
    status = nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory ordering the kernels");
  } else {
    take_heuristic(p, set, s.words, scratch, out_order, out_peak);
    s.known = out_peak->peak_bytes;
    /* The given order stays unless another one is better. */
    const int32_t end = find_path(&s, set, &out_peak->proven_bytes);
    if (end != NIB_NONE) {
      out_peak->peak_bytes = s.states[end].peak;
      out_peak->at = s.states[end].peak_at;
      for (int32_t id = end; s.states[id].parent != NIB_NONE; id = s.states[id].parent)
        out_order[s.states[id].done - 1] = s.states[id].kernel;
    }
  }
  free(set);
  free(scratch);
  close_search(&s);
  return status;
}

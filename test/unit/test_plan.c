/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_plan
/* Plans of random graphs: the verifier agrees, bounds hold, damage is found; offsets and orders of
 * small problems are compared with exhaustive search. */
#include "stage_harness.h"

#include "fuse/fuse.h"
#include "plan/plan.h"

/* --- random graphs --- */

static int32_t pick(const int32_t *pool, int n) { return pool[random_in(0, n - 1)]; }

/* Adds, lookups, reshapes, concats and slices of i8 tensors with one of a few shapes. */
static nib_graph *random_graph(int nodes) {
  nib_graph *g = nib_graph_create("random");
  int32_t pool[80];
  int n = 0;
  for (int i = 0; i < 2; ++i) {
    const int64_t dims[] = {1, 4, 4, random_in(1, 40)};
    pool[n++] = new_quantized(g, "in", NIB_I8, 4, dims, 0.5f, 0);
  }
  nib_graph_set_inputs(g, pool, n);
  int8_t codes[256];
  for (int i = 0; i < 256; ++i)
    codes[i] = (int8_t)random_in(-128, 127);
  const int64_t entries = 256;
  const int32_t table = new_constant(g, "table", NIB_I8, 1, &entries, codes);
  for (int i = 0; i < nodes; ++i) {
    const int32_t a = pick(pool, n);
    const nib_tensor t = g->tensors[a];
    int64_t dims[NIB_MAX_RANK];
    memcpy(dims, t.dims, sizeof dims);
    int32_t in[2] = {a, table}, out;
    char name[32];
    snprintf(name, sizeof name, "net/n%d", i);
    switch (random_in(0, 5)) {
    case 0:
      out = new_quantized(g, name, NIB_I8, 4, dims, 0.5f, 0);
      new_node(g, NIB_OP_LOOKUP, name, 2, in, out);
      break;
    case 1: {
      int32_t b = a;
      for (int k = 0; k < n; ++k)
        if (pool[k] != a && memcmp(g->tensors[pool[k]].dims, dims, sizeof dims) == 0)
          b = pool[k];
      in[1] = b;
      out = new_quantized(g, name, NIB_I8, 4, dims, 0.5f, 0);
      new_node(g, NIB_OP_ADD, name, 2, in, out);
      break;
    }
    case 2: {
      const int64_t turned[] = {1, dims[2], dims[1], dims[3]};
      out = new_quantized(g, name, NIB_I8, 4, turned, (float)t.scale, t.zero_point);
      new_node(g, NIB_OP_RESHAPE, name, 1, in, out);
      break;
    }
    case 3: { /* rows of the operand: a run of its bytes */
      const int64_t begin[] = {0, random_in(0, dims[1] - 1), 0, 0};
      dims[1] -= begin[1];
      out = new_quantized(g, name, NIB_I8, 4, dims, (float)t.scale, t.zero_point);
      const int32_t node = new_node(g, NIB_OP_SLICE, name, 1, in, out);
      nib_graph_set_ints(g, node, NIB_A_BEGIN, begin, 4);
      nib_graph_set_ints(g, node, NIB_A_SIZES, dims, 4);
      break;
    }
    case 4: { /* operands are runs of the result's bytes */
      for (int k = 0; k < n; ++k)
        if (memcmp(g->tensors[pool[k]].dims + 2, dims + 2, 2 * sizeof *dims) == 0)
          in[1] = pool[k];
      if (in[1] == table)
        in[1] = a;
      dims[1] += g->tensors[in[1]].dims[1];
      out = new_quantized(g, name, NIB_I8, 4, dims, 0.5f, 0);
      const int32_t node = new_node(g, NIB_OP_CONCAT, name, 2, in, out);
      nib_graph_set_int(g, node, NIB_A_AXIS, 1);
      break;
    }
    default: {
      int32_t b = a;
      for (int k = 0; k < n; ++k)
        if (memcmp(g->tensors[pool[k]].dims, dims, 3 * sizeof *dims) == 0 &&
            g->tensors[pool[k]].dims[3] < 60)
          b = pool[k];
      if (dims[3] > 60)
        continue;
      in[1] = b;
      dims[3] += g->tensors[b].dims[3];
      out = new_quantized(g, name, NIB_I8, 4, dims, 0.5f, 0);
      const int32_t node = new_node(g, NIB_OP_CONCAT, name, 2, in, out);
      nib_graph_set_int(g, node, NIB_A_AXIS, 3);
    }
    }
    pool[n++] = out;
  }
  const int32_t outputs[] = {pool[n - 1], pool[n / 2], pool[n - 1]};
  nib_graph_set_outputs(g, outputs, (int32_t)random_in(1, 3));
  return g;
}

/* Offsets of two tensors alive together are made equal: the verifier must notice. */
static void check_damage(nib_graph *g) {
  for (int32_t a = 0; a < g->n_tensors; ++a) {
    if (g->tensors[a].arena_offset < 0 || g->tensors[a].alias_of != NIB_NONE)
      continue;
    const int64_t kept = g->tensors[a].arena_offset;
    g->tensors[a].arena_offset = kept + 1;
    CHECK(nib_plan_verify(g, NULL) == NIB_ERROR_INTERNAL, "misaligned offset not noticed");
    g->tensors[a].arena_offset = g->arena_bytes;
    CHECK(nib_plan_verify(g, NULL) == NIB_ERROR_INTERNAL, "offset beyond the arena not noticed");
    g->tensors[a].arena_offset = -1;
    CHECK(nib_plan_verify(g, NULL) == NIB_ERROR_INTERNAL, "missing storage not noticed");
    g->tensors[a].arena_offset = kept;
  }
  CHECK(nib_plan_verify(g, NULL) == NIB_OK, "restored plan");
}

static void check_random_graph(int nodes) {
  message_log log = {0};
  const nib_diag diag = {log_message, &log};
  nib_graph *g = random_graph(nodes);
  const nib_options o = nib_options_default();
  nib_graph *before = nib_graph_clone(g);
  CHECK(nib_fuse_graph(g, &o, &diag) == NIB_OK, "fuse: %s", log.text);
  CHECK(nib_plan_graph(g, &o, &diag) == NIB_OK, "plan: %s", log.text);
  CHECK(g->arena_bytes >= g->lower_bound_bytes, "arena %lld below its bound %lld",
        (long long)g->arena_bytes, (long long)g->lower_bound_bytes);
  CHECK(g->arena_bytes * 100 <= g->lower_bound_bytes * 102, "arena %lld, bound %lld",
        (long long)g->arena_bytes, (long long)g->lower_bound_bytes);
  CHECK(g->proven_bound_bytes >= 0 && g->proven_bound_bytes <= g->lower_bound_bytes,
        "proven %lld, bound %lld", (long long)g->proven_bound_bytes,
        (long long)g->lower_bound_bytes);
  CHECK(nib_graph_validate(g, &diag) == NIB_OK, "planned graph: %s", log.text);
  CHECK(compare_graphs(before, g, 1, &diag) == 0, "fuse or plan changed results: %s", log.text);
  check_damage(g);
  if (g->arena_bytes > 0) {
    nib_options tight = o;
    tight.max_arena_bytes = g->arena_bytes - 1;
    nib_graph *again = nib_graph_clone(before);
    log = (message_log){0};
    CHECK(nib_fuse_graph(again, &tight, &diag) == NIB_OK, "fuse again");
    CHECK(nib_plan_graph(again, &tight, &diag) == NIB_ERROR_LIMIT, "limit not noticed");
    CHECK(strstr(log.text, "--max-arena=") != NULL && strstr(log.text, "kernel '") != NULL,
          "message %s", log.text);
    nib_graph_destroy(again);
  }
  nib_graph_destroy(before);
  nib_graph_destroy(g);
}

/* --- in place and overlap --- */

static void check_overlap_is_found(void) {
  nib_graph *g = nib_graph_create("chain");
  const int64_t dims[] = {1, 64}, entries = 256;
  int8_t codes[256] = {0};
  int32_t t[5];
  for (int i = 0; i < 5; ++i)
    t[i] = new_quantized(g, "t", NIB_I8, 2, dims, 1.0f, 0);
  const int32_t table = new_constant(g, "table", NIB_I8, 1, &entries, codes);
  const int32_t a[] = {t[0], table}, b[] = {t[0], table}, c[] = {t[1], t[2]}, d[] = {t[3], table};
  nib_graph_set_inputs(g, t, 1);
  nib_graph_set_outputs(g, t + 4, 1);
  new_node(g, NIB_OP_LOOKUP, "a", 2, a, t[1]);
  new_node(g, NIB_OP_LOOKUP, "b", 2, b, t[2]);
  new_node(g, NIB_OP_ADD, "c", 2, c, t[3]);
  new_node(g, NIB_OP_LOOKUP, "d", 2, d, t[4]);
  for (int32_t i = 0; i < 4; ++i) {
    char name[] = {'k', (char)('0' + i), 0};
    nib_graph_add_kernel(g, name, &i, 1);
  }
  nib_options o = nib_options_default();
  CHECK(nib_plan_graph(g, &o, NULL) == NIB_OK, "plan");
  CHECK(g->arena_bytes == 128, "sum in place of an operand: %lld bytes", (long long)g->arena_bytes);
  CHECK(g->unfused_lower_bound_bytes == 192, "unfused %lld",
        (long long)g->unfused_lower_bound_bytes);
  const int64_t kept = g->tensors[t[2]].arena_offset;
  g->tensors[t[2]].arena_offset = g->tensors[t[1]].arena_offset;
  CHECK(nib_plan_verify(g, NULL) == NIB_ERROR_INTERNAL, "overlap not noticed");
  g->tensors[t[2]].arena_offset = kept;
  const nib_kernel swap = g->kernels[2];
  g->kernels[2] = g->kernels[1];
  g->kernels[1] = swap;
  CHECK(nib_plan_verify(g, NULL) == NIB_ERROR_INTERNAL, "wrong order not noticed");
  nib_graph_destroy(g);
}

/* --- offsets --- */

static int64_t peak_of(const nib_plan_block *b, int n, int time) {
  int64_t sum = 0;
  for (int i = 0; i < n; ++i)
    sum += b[i].first <= time && time <= b[i].last ? b[i].bytes : 0;
  return sum;
}

/* Smallest size over all orders of placement, by exhaustion; placed: bit set. */
static void try_placements(nib_plan_block *b, int n, unsigned placed, int64_t size, int64_t *best) {
  if (size >= *best)
    return;
  if (placed == (1u << n) - 1) {
    *best = size;
    return;
  }
  for (int i = 0; i < n; ++i) {
    if ((placed >> i) & 1)
      continue;
    int64_t at = 0;
    for (bool moved = true; moved;) { /* the lowest gap */
      moved = false;
      for (int k = 0; k < n; ++k) {
        const bool meets = ((placed >> k) & 1) && b[i].first <= b[k].last &&
                           b[k].first <= b[i].last && at < b[k].offset + b[k].bytes &&
                           b[k].offset < at + b[i].bytes;
        moved = moved || meets;
        at = meets ? b[k].offset + b[k].bytes : at;
      }
    }
    b[i].offset = at;
    try_placements(b, n, placed | 1u << i, at + b[i].bytes > size ? at + b[i].bytes : size, best);
  }
}

/* The search finds what the heuristics found, and for few blocks the least there is. */
static void check_search(const nib_plan_block *blocks, int n, int64_t bound, int64_t found) {
  int64_t offsets[48], bytes = INT64_MAX / 2;
  const bool done = nib_plan_search_offsets(blocks, n, bound, offsets, &bytes);
  CHECK(!done || bytes <= found, "%d blocks: the search finds %lld, others %lld", n,
        (long long)bytes, (long long)found);
  if (n > 7)
    return;
  nib_plan_block copy[7];
  int64_t best = INT64_MAX;
  memcpy(copy, blocks, (size_t)n * sizeof *copy);
  try_placements(copy, n, 0, 0, &best);
  CHECK(done && bytes == best, "%d blocks: the search finds %lld, the best is %lld", n,
        (long long)bytes, (long long)best);
}

static void check_random_blocks(int n) {
  nib_plan_block b[48];
  int64_t bound = 0, bytes = 0;
  for (int i = 0; i < n; ++i) {
    b[i].bytes = 64 * random_in(1, 20);
    b[i].first = (int32_t)random_in(0, 19);
    b[i].last = b[i].first + (int32_t)random_in(0, 4);
  }
  for (int time = 0; time < 24; ++time)
    bound = peak_of(b, n, time) > bound ? peak_of(b, n, time) : bound;
  CHECK(nib_plan_assign_offsets(b, n, bound, &bytes, NULL) == NIB_OK, "offsets");
  CHECK(bytes >= bound && bytes * 10 <= bound * 11, "%d blocks: %lld bytes, bound %lld", n,
        (long long)bytes, (long long)bound);
  check_search(b, n, bound, bytes);
  for (int i = 0; i < n; ++i) {
    CHECK(b[i].offset >= 0 && b[i].offset % 64 == 0 && b[i].offset + b[i].bytes <= bytes, "place");
    for (int k = 0; k < i; ++k)
      CHECK(b[i].first > b[k].last || b[k].first > b[i].last ||
                b[i].offset >= b[k].offset + b[k].bytes || b[k].offset >= b[i].offset + b[i].bytes,
            "blocks overlap");
  }
}

/* --- order --- */

/* Bytes alive while kernel `k` runs after those of `done`, and afterwards. */
static void live_around(const nib_plan_problem *p, unsigned done, int32_t k, int64_t *during,
                        int64_t *after) {
  const unsigned all = done | 1u << k;
  int64_t reused = 0;
  *during = *after = 0;
  for (int32_t s = 0; s < p->n_storages; ++s) {
    unsigned users = 0;
    for (int32_t u = 0; u < p->storages[s].n_users; ++u)
      users |= 1u << p->storages[s].users[u];
    const bool kept = (users & all) != 0 && (users & ~all) != 0;
    *during += (users & done) != 0 && (users & ~done) != 0 ? p->storages[s].bytes : 0;
    *during += (users & all) == 1u << k ? p->storages[s].bytes : 0; /* born here */
    *after += kept ? p->storages[s].bytes : 0;
    for (int32_t i = 1; i < p->kernels[k].n_uses; ++i)
      if (p->kernels[k].uses[i].storage == s && p->kernels[k].uses[i].overwrites && !kept)
        reused = p->storages[s].bytes;
  }
  *during -= reused;
}

/* Smallest peak over all topological orders, by exhaustion. */
static void try_orders(const nib_plan_problem *p, unsigned done, int64_t peak, int64_t *best) {
  if (peak >= *best)
    return;
  if (done == (1u << p->n_kernels) - 1) {
    *best = peak;
    return;
  }
  for (int32_t k = 0; k < p->n_kernels; ++k) {
    bool ready = !((done >> k) & 1);
    for (int32_t i = 0; i < p->kernels[k].n_after; ++i)
      ready = ready && ((done >> p->kernels[k].after[i]) & 1);
    if (!ready)
      continue;
    int64_t during, after;
    live_around(p, done, k, &during, &after);
    try_orders(p, done | 1u << k, during > peak ? during : peak, best);
  }
}

static void check_order_is_best(void) {
  message_log log = {0};
  const nib_diag diag = {log_message, &log};
  nib_graph *g = random_graph(9);
  const nib_options o = nib_options_default();
  CHECK(nib_fuse_graph(g, &o, &diag) == NIB_OK, "fuse: %s", log.text);
  if (g->n_kernels > 0 && g->n_kernels <= 10) {
    nib_plan_problem p;
    nib_plan_peak peak;
    bool joins[10];
    int32_t order[10];
    int64_t best = INT64_MAX;
    for (int i = 0; i < 10; ++i)
      joins[i] = random_in(0, 1) != 0;
    CHECK(nib_plan_problem_create(g, joins, &p, &diag) == NIB_OK, "problem");
    CHECK(nib_plan_order_kernels(&p, order, &peak, &diag) == NIB_OK, "order");
    try_orders(&p, 0, 0, &best);
    CHECK(peak.peak_bytes == best && peak.proven_bytes == best,
          "order reaches %lld (proven %lld), the best is %lld", (long long)peak.peak_bytes,
          (long long)peak.proven_bytes, (long long)best);
    nib_plan_problem_destroy(&p);
  }
  nib_graph_destroy(g);
}

int main(void) {
  check_overlap_is_found();
  for (int i = 0; i < 60; ++i)
    check_random_graph(4 + i % 40);
  for (int i = 0; i < 100; ++i)
    check_random_blocks(i % 2 ? 1 + i % 7 : 1 + i % 30);
  for (int i = 0; i < 60; ++i)
    check_order_is_best();
  return failures != 0;
}

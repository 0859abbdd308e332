/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_plan
/* Plans of random graphs: the verifier agrees, bounds hold, damage is found; offsets and orders of
 * small problems are compared with exhaustive search. */
#include "stage_harness.h"

#include "fuse/fuse.h"
#include "plan/plan.h"

/* --- random graphs --- */

static int32_t pick(const int32_t *pool, int n) { return pool[random_in(0, n - 1)]; }

/* Adds, lookups, pools, reshapes and concats of i8 tensors with one of a few shapes. */
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
    switch (random_in(0, 3)) {
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
    default: {
      int32_t b = a;
      for (int k = 0; k < n; ++k)
        if (g->tensors[pool[k]].dims[1] == dims[1] && g->tensors[pool[k]].dims[3] < 60)
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
  CHECK(g->arena_bytes * 10 <= g->lower_bound_bytes * 11, "arena %lld, bound %lld",
        (long long)g->arena_bytes, (long long)g->lower_bound_bytes);
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
  for (int i = 0; i < n; ++i) {
    CHECK(b[i].offset >= 0 && b[i].offset % 64 == 0 && b[i].offset + b[i].bytes <= bytes, "place");
    for (int k = 0; k < i; ++k)
      CHECK(b[i].first > b[k].last || b[k].first > b[i].last ||
                b[i].offset >= b[k].offset + b[k].bytes || b[k].offset >= b[i].offset + b[i].bytes,
            "blocks overlap");
  }
}

/* --- order --- */

/* Smallest peak over all topological orders, by exhaustion. */
static void try_orders(const nib_plan_problem *p, unsigned done, int64_t live, int64_t peak,
                       int64_t *best) {
  if (peak >= *best)
    return;
  if (done == (1u << p->n_kernels) - 1) {
    *best = peak;
    return;
  }
  for (int32_t k = 0; k < p->n_kernels; ++k) {
    const nib_plan_access *a = &p->kernels[k];
    bool ready = !((done >> k) & 1);
    int64_t freed = 0, reused = 0;
    for (int32_t i = 0; ready && i < a->n_in; ++i) {
      const int32_t writer = p->writer[a->in[i]];
      ready = (done >> writer) & 1;
      bool dies = p->kernels[writer].out_in_arena;
      for (int32_t j = 0; j < p->n_kernels; ++j)
        for (int32_t s = 0; s < p->kernels[j].n_in; ++s)
          dies = dies && !(p->kernels[j].in[s] == a->in[i] && j != k && !((done >> j) & 1));
      if (!dies)
        continue;
      freed += p->kernels[writer].out_bytes;
      if (a->out_in_arena && nib_plan_may_overwrite(p->g, &p->g->kernels[k], a->in[i]))
        reused = a->out_bytes;
    }
    if (!ready)
      continue;
    const int64_t here = live + a->out_bytes - reused;
    const int64_t kept = p->readers[a->out] > 0 ? a->out_bytes : 0;
    try_orders(p, done | 1u << k, live + kept - freed, here > peak ? here : peak, best);
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
    int32_t order[10], at;
    int64_t peak = 0, best = INT64_MAX;
    CHECK(nib_plan_problem_create(g, &p, &diag) == NIB_OK, "problem");
    CHECK(nib_plan_order_kernels(&p, order, &peak, &at, &diag) == NIB_OK, "order");
    try_orders(&p, 0, 0, 0, &best);
    CHECK(peak == best, "order reaches %lld, the best is %lld", (long long)peak, (long long)best);
    nib_plan_problem_destroy(&p);
  }
  nib_graph_destroy(g);
}

int main(void) {
  check_overlap_is_found();
  for (int i = 0; i < 60; ++i)
    check_random_graph(4 + i % 40);
  for (int i = 0; i < 100; ++i)
    check_random_blocks(1 + i % 30);
  for (int i = 0; i < 60; ++i)
    check_order_is_best();
  return failures != 0;
}

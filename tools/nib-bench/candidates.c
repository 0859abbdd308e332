/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Several candidates of each kernel, compiled into one object a batch, and timed in turn. */
#include "bench.h"
#include "emit/files.h"
#include "emit/model.h"
#include "feed.h"
#include "message.h"
#include "rounds.h"
#include "select/select.h"
#include "toolchain.h"

#include <dlfcn.h>
#include <nibrt_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { MOST_CANDIDATES = 512, MOST_BATCH = 32 };

/* Weights that one batch may have: the C that holds them is compiled. */
static const int64_t k_batch_bytes = INT64_C(48) << 20;
/* What is predicted to take longer than this, and is not the best, is left out. */
static const double k_longest_ns = 1e9;

/* ---- which ---- */

static bool is_form(const nib_select_candidate *a, const nib_select_candidate *b) {
  return strcmp(a->schedule, b->schedule) == 0 && strcmp(a->vocab, b->vocab) == 0;
}

static void take(bool *taken, int at, int *n) {
  *n += !taken[at];
  taken[at] = true;
}

/* Of all[0..n), cheapest first: half of `most` from the front, then the best of each schedule and
 * vocabulary, then others evenly from what is left. all becomes what was taken; ranks[i] is where
 * its number i was. */
static int choose(nib_select_candidate *all, int n, int most, int *ranks) {
  bool taken[MOST_CANDIDATES] = {false};
  int chosen = 0;
  while (n > 1 && all[n - 1].cost.ns > k_longest_ns)
    --n;
  for (int i = 0; i < n && i < (most + 1) / 2; ++i)
    take(taken, i, &chosen);
  for (int i = 0; i < n && chosen < most; ++i) {
    bool first = true;
    for (int k = 0; k < i && first; ++k)
      first = !is_form(&all[k], &all[i]);
    if (first)
      take(taken, i, &chosen);
  }
  const int steps = most - chosen;
  for (int i = 1; i <= steps; ++i) {
    int at = (n - 1) * i / steps;
    while (at > 0 && taken[at])
      --at;
    take(taken, at, &chosen);
  }
  int to = 0;
  for (int i = 0; i < n; ++i)
    if (taken[i]) {
      ranks[to] = i;
      all[to++] = all[i];
    }
  return to;
}

/* ---- a batch ---- */

typedef struct batch {
  const nibc_session *session;
  const nib_select_candidate *candidates;
  const int *ranks;
  int n, of;
  nib_graph *graph; /* kernel i runs as candidate i */
  void *handle;
  nibc_buffers in, out; /* one output, which all write */
  void *outputs[MOST_BATCH];
  void *arena;
  bench_entry entries[MOST_BATCH];
} batch;

typedef void apart_function(const void *const *in, void *const *out, uint8_t *arena);

typedef struct call {
  apart_function *run;
  const batch *batch;
} call;

static void run_call(void *context) {
  const call *c = context;
  c->run((const void *const *)c->batch->in.at, (void *const *)c->batch->outputs, c->batch->arena);
}

static nib_status plan(batch *b, const nib_graph *from, const nib_kernel *k) {
  b->graph = bench_cut(from, k, b->n);
  if (!b->graph)
    return NIB_ERROR_INTERNAL;
  int64_t most = 0;
  for (int i = 0; i < b->n; ++i) {
    const nib_select_candidate *c = &b->candidates[i];
    nib_kernel *to = &b->graph->kernels[i];
    to->schedule = c->schedule;
    to->vocab = c->vocab;
    memcpy(to->tile, c->tile, sizeof to->tile);
    to->parts = 1;
    to->predicted_ns = c->cost.ns;
    to->scratch_bytes = c->scratch_bytes;
    to->scratch_offset = c->scratch_bytes > 0 ? 0 : -1;
    most = c->scratch_bytes > most ? c->scratch_bytes : most;
  }
  b->graph->arena_bytes = most;
  return NIB_OK;
}

static nib_status write_sources(const batch *b, const char *dir) {
  const nib_model_options o = {.name = "batch",
                               .target = &b->session->target,
                               .weights = NIB_WEIGHTS_WORDS,
                               .size = b->session->options->size,
                               .apart = true};
  nib_model_text m;
  NIB_RETURN_IF_ERROR(nib_model_write(b->graph, &o, &m, nibc_diag()));
  const nib_file files[] = {{"batch.h", m.header.data, m.header.size},
                            {"batch.c", m.source.data, m.source.size},
                            {"batch_weights.c", m.weights.data, m.weights.size},
                            {"nibrt_abi.h", m.abi, strlen(m.abi)}};
  const nib_status status = nib_files_write(dir, files, sizeof files / sizeof *files, nibc_diag());
  nib_model_free(&m);
  return status;
}

static nib_status build(batch *b) {
  static const char *const sources[] = {"batch.c", "batch_weights.c"};
  nibc_compiler compiler;
  NIB_RETURN_IF_ERROR(nibc_compiler_find(&compiler));
  char *flags = nibc_compiler_flags(&b->session->target, b->session->options->size);
  char *dir = NULL, *path = NULL;
  nib_status status = flags ? nibc_dir_temporary(NULL, &dir) : NIB_ERROR_OUT_OF_MEMORY;
  if (status == NIB_OK)
    status = write_sources(b, dir);
  if (status == NIB_OK)
    status = nibc_compiler_run(&compiler, NIBC_SHARED, flags, dir, sources, 2, "batch.so");
  if (status == NIB_OK) {
    path = nibc_path_join(dir, "batch.so");
    b->handle = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!b->handle)
      status = nibc_fail(NIB_ERROR_IO, "cannot load the compiled kernels: %s", dlerror());
  }
  free(path);
  if (dir)
    nibc_dir_remove(dir);
  free(dir);
  free(flags);
  nibc_compiler_free(&compiler);
  return status;
}

static nib_status make_buffers(batch *b) {
  const nib_graph *g = b->graph;
  NIB_RETURN_IF_ERROR(nibc_buffers_create(g, g->inputs, g->n_inputs, &b->in));
  NIB_RETURN_IF_ERROR(nibc_buffers_create(g, g->outputs, 1, &b->out));
  for (int i = 0; i < g->n_inputs; ++i)
    nibc_fill(&g->tensors[g->inputs[i]], 2 + i, b->in.at[i]);
  for (int i = 0; i < b->n; ++i)
    b->outputs[i] = b->out.at[0];
  const size_t unit = NIBRT_ARENA_ALIGNMENT, bytes = (size_t)g->arena_bytes;
  b->arena = aligned_alloc(unit, (bytes / unit + 1) * unit);
  return b->arena ? NIB_OK : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
}

static nib_status find_calls(batch *b, call *calls) {
  for (int i = 0; i < b->n; ++i) {
    char symbol[64];
    snprintf(symbol, sizeof symbol, "batch_k%02d_apart", i);
    void *address = dlsym(b->handle, symbol);
    if (!address)
      return nibc_fail(NIB_ERROR_INTERNAL, "the compiled kernels lack %s", symbol);
    calls[i].batch = b;
    memcpy(&calls[i].run, &address, sizeof address);
    b->entries[i] = (bench_entry){.run = run_call, .context = &calls[i]};
  }
  return NIB_OK;
}

static bool has_reals(const nib_graph *g) {
  for (int32_t i = 0; i < g->n_tensors; ++i) {
    const nib_format_kind kind = nib_format_get(g->tensors[i].format)->kind;
    if (kind != NIB_KIND_SIGNED && kind != NIB_KIND_UNSIGNED)
      return true;
  }
  return false;
}

/* Integer kernels have one right result, whichever way they run. */
static nib_status check_results(const batch *b, call *calls) {
  const nib_tensor *t = &b->graph->tensors[b->graph->outputs[0]];
  const size_t bytes = nib_tensor_bytes(t);
  if (has_reals(b->graph))
    return NIB_OK;
  uint8_t *first = malloc(bytes + 1);
  nib_status status = first ? NIB_OK : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  for (int i = 0; status == NIB_OK && i < b->n; ++i) {
    run_call(&calls[i]);
    if (i == 0)
      memcpy(first, b->out.at[0], bytes);
    else if (memcmp(first, b->out.at[0], bytes) != 0)
      status = nibc_fail(NIB_ERROR_INTERNAL, "%s by %s/%s differs from %s/%s",
                         b->graph->kernels[0].name, b->candidates[i].schedule,
                         b->candidates[i].vocab, b->candidates[0].schedule, b->candidates[0].vocab);
  }
  free(first);
  return status;
}

/* ---- samples ---- */

static char *sample_line(const batch *b, int i, const char *model, uint64_t identity,
                         const char *target) {
  const nib_kernel *k = &b->graph->kernels[i];
  const bench_entry *e = &b->entries[i];
  nib_kernel_desc desc;
  if (nib_select_describe(b->graph, k, &desc) != NIB_OK)
    return NULL;
  char *json = nib_kernel_desc_set_body(&desc, b->graph, k->nodes, k->n_nodes) == NIB_OK
                   ? nib_kernel_desc_to_json(&desc)
                   : NULL;
  nib_kernel_desc_free(&desc);
  char *line =
      json ? nibc_format("{\"kernel\":\"%016llx\",\"model\":\"%s\",\"name\":\"%s\","
                         "\"rank\":%d,\"of\":%d,\"desc\":%s,\"target\":\"%s\",\"ns\":%.1f,"
                         "\"min_ns\":%.1f,\"rounds\":%d,\"kept\":%d,\"predicted_ns\":%.1f}\n",
                         (unsigned long long)identity, model, b->graph->kernels[0].name,
                         b->ranks[i], b->of, json, target, e->median_ns, e->min_ns, e->n, e->kept,
                         k->predicted_ns)
           : NULL;
  free(json);
  return line;
}

static nib_status append_batch(const batch *b, const char *samples, uint64_t identity) {
  char *target = bench_spell_target(&b->session->target);
  const char *model = b->session->name;
  nib_status status = target ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
  for (int i = 0; status == NIB_OK && samples && i < b->n; ++i) {
    char *line = sample_line(b, i, model, identity, target);
    status = bench_append(samples, line);
    free(line);
  }
  free(target);
  return status;
}

static nib_status measure_batch(batch *b, const nib_graph *from, const nib_kernel *k,
                                const char *samples, uint64_t identity) {
  call calls[MOST_BATCH];
  nib_status status = plan(b, from, k);
  if (status == NIB_OK)
    status = build(b);
  if (status == NIB_OK)
    status = make_buffers(b);
  if (status == NIB_OK)
    status = find_calls(b, calls);
  if (status == NIB_OK)
    status = check_results(b, calls);
  if (status == NIB_OK) {
    bench_take_turns(b->entries, b->n);
    status = append_batch(b, samples, identity);
  }
  free(b->arena);
  nibc_buffers_free(&b->in);
  nibc_buffers_free(&b->out);
  if (b->handle)
    dlclose(b->handle);
  nib_graph_destroy(b->graph);
  return status;
}

/* ---- kernels ---- */

typedef struct measured {
  double choice_ns, best_ns;
  const nib_select_candidate *best;
  int n;
} measured;

static void note(measured *m, const batch *b) {
  for (int i = 0; i < b->n; ++i) {
    const double ns = b->entries[i].median_ns;
    if (m->n++ == 0)
      m->choice_ns = ns;
    if (m->best && m->best_ns <= ns)
      continue;
    m->best_ns = ns;
    m->best = &b->candidates[i];
  }
}

static void print_kernel(const nib_kernel *k, const measured *m,
                         const nib_select_candidate *choice) {
  printf("%-32.32s %3d candidates, choice %s/%s %dx%d %.2f us", k->name, m->n, choice->schedule,
         choice->vocab, choice->tile[0], choice->tile[1], m->choice_ns * 1e-3);
  if (m->best == choice)
    printf(", which is the best\n");
  else
    printf(", best %s/%s %dx%d %.2f us: %.2f times\n", m->best->schedule, m->best->vocab,
           m->best->tile[0], m->best->tile[1], m->best_ns * 1e-3, m->choice_ns / m->best_ns);
  fflush(stdout);
}

/* Equal for kernels of the same operators, formats and shapes. */
static nib_status identify(const nibc_session *s, const nib_graph *g, const nib_kernel *k,
                           uint64_t *out_identity) {
  nib_kernel_desc d;
  NIB_RETURN_IF_ERROR(nib_kernel_desc_from_nodes(g, k->nodes, k->n_nodes, &d));
  char *json = nib_kernel_desc_to_json(&d);
  char *target = bench_spell_target(&s->target);
  char *text = json && target ? nibc_format("%s%s", json, target) : NULL;
  *out_identity = text ? XXH3_64bits(text, strlen(text)) : 0;
  nib_kernel_desc_free(&d);
  free(text);
  free(target);
  free(json);
  return *out_identity ? NIB_OK : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
}

static bool is_seen(bench_seen *seen, uint64_t identity) {
  for (size_t i = 0; i < seen->n; ++i)
    if (seen->hashes[i] == identity)
      return true;
  if (seen->n == seen->capacity) {
    const size_t capacity = seen->capacity ? 2 * seen->capacity : 64;
    uint64_t *hashes = realloc(seen->hashes, capacity * sizeof *hashes);
    if (!hashes)
      return false;
    seen->hashes = hashes;
    seen->capacity = capacity;
  }
  seen->hashes[seen->n++] = identity;
  return false;
}

static int batch_size(const nib_graph *g, const nib_kernel *k) {
  int64_t bytes = 1;
  for (int32_t i = 0; i < k->n_nodes; ++i)
    for (int32_t s = 0; s < g->nodes[k->nodes[i]].n_in; ++s) {
      const nib_tensor *t = nib_node_input(g, &g->nodes[k->nodes[i]], s);
      bytes += t && t->data ? (int64_t)t->data_bytes : 0;
    }
  const int64_t n = k_batch_bytes / bytes;
  return n < 1 ? 1 : n > MOST_BATCH ? MOST_BATCH : (int)n;
}

static nib_status measure_kernel(const nibc_session *s, const nib_select_context *x,
                                 const nib_graph *alone, int most, const char *samples,
                                 uint64_t identity) {
  const nib_kernel *k = &alone->kernels[0];
  nib_select_candidate all[MOST_CANDIDATES];
  int of = 0, ranks[MOST_CANDIDATES];
  NIB_RETURN_IF_ERROR(nib_select_candidates(x, alone, k, all, MOST_CANDIDATES, &of, nibc_diag()));
  of = of < MOST_CANDIDATES ? of : MOST_CANDIDATES;
  const int n = choose(all, of, most, ranks), size = batch_size(alone, k);
  measured m = {0};
  nib_status status = NIB_OK;
  for (int at = 0; status == NIB_OK && at < n; at += size) {
    batch b = {.session = s, .candidates = all + at, .ranks = ranks + at, .of = of};
    b.n = n - at < size ? n - at : size;
    status = measure_batch(&b, alone, k, samples, identity);
    if (status == NIB_OK)
      note(&m, &b);
  }
  if (status == NIB_OK && m.n > 0)
    print_kernel(k, &m, &all[0]);
  return status;
}

static nib_status measure_unseen(const nibc_session *s, const nib_select_context *x,
                                 const nib_graph *selected, int32_t index, int most,
                                 const char *samples, bench_seen *seen) {
  nib_graph *alone = bench_cut(selected, &selected->kernels[index], 1);
  uint64_t identity = 0;
  nib_status status =
      alone ? identify(s, alone, &alone->kernels[0], &identity) : NIB_ERROR_INTERNAL;
  if (status == NIB_OK && !is_seen(seen, identity)) {
    if (isatty(STDERR_FILENO))
      fprintf(stderr, "kernel %d of %d\r", index + 1, selected->n_kernels);
    status = measure_kernel(s, x, alone, most, samples, identity);
  }
  nib_graph_destroy(alone);
  return status;
}

nib_status bench_candidates(const nibc_options *options, int most, const char *samples,
                            bench_seen *seen) {
  nibc_session s;
  NIB_RETURN_IF_ERROR(nibc_session_open(options, &s));
  nib_options o = nib_options_default();
  o.target = s.target.spec;
  o.size = options->size;
  o.cost_model = options->cost_model ? options->cost_model : o.cost_model;
  nib_select_context x;
  nib_status status = nib_select_open(&o, &x, nibc_diag());
  if (status == NIB_OK && !nib_target_runs_here(&s.target))
    status = nibc_fail(NIB_ERROR_INVALID_INPUT, "this processor cannot run code for '%s'",
                       s.target.spec);
  if (status == NIB_OK)
    status = nibc_session_run(&s, NIBC_STAGE_IMPORT, NIBC_STAGE_SELECT, false);
  nib_status worst = status;
  for (int32_t k = 0; status == NIB_OK && k < s.planned->n_kernels; ++k) {
    const nib_status one = measure_unseen(&s, &x, s.planned, k, most, samples, seen);
    worst = worst == NIB_OK ? one : worst;
  }
  nib_select_close(&x);
  nibc_session_close(&s);
  return worst;
}

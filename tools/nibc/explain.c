/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "explain.h"
#include "emit/text.h"
#include "message.h"
#include "report.h"
#include "schedule/schedule.h"
#include "select/select.h"
#include "vocab/vocab.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_CANDIDATES = 512, SHOWN = 6 };

typedef struct weighed {
  char *prefer; /* may be NULL */
  nib_select_context x;
  nib_select_candidate all[MOST_CANDIDATES];
  int n; /* cheapest first */
} weighed;

static nib_status open_weighed(const nibc_session *s, weighed **out) {
  nib_options o = nib_options_default();
  o.target = s->target.spec;
  o.size = s->options->size;
  if (s->options->cost_model)
    o.cost_model = s->options->cost_model;
  *out = calloc(1, sizeof **out);
  if (*out && s->options->prefer.n)
    o.prefer = (*out)->prefer = nibc_preferred_forms(s->options);
  return *out ? nib_select_open(&o, &(*out)->x, nibc_diag())
              : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
}

static void close_weighed(weighed *w) {
  if (w) {
    nib_select_close(&w->x);
    free(w->prefer);
  }
  free(w);
}

static nib_status weigh(weighed *w, const nib_graph *g, const nib_kernel *k) {
  const nib_status status =
      nib_select_candidates(&w->x, g, k, w->all, MOST_CANDIDATES, &w->n, nibc_diag());
  w->n = w->n < MOST_CANDIDATES ? w->n : MOST_CANDIDATES;
  return status;
}

static bool is_form(const nib_select_candidate *a, const nib_select_candidate *b) {
  return strcmp(a->schedule, b->schedule) == 0 && strcmp(a->vocab, b->vocab) == 0;
}

/* Whether no cheaper candidate has the schedule and vocabulary of candidate `i`. */
static bool is_best_of_form(const weighed *w, int i) {
  for (int k = 0; k < i; ++k)
    if (is_form(&w->all[k], &w->all[i]))
      return false;
  return true;
}

static bool is_chosen(const nib_kernel *k, const nib_select_candidate *c) {
  return k->schedule && strcmp(k->schedule, c->schedule) == 0 && strcmp(k->vocab, c->vocab) == 0 &&
         memcmp(k->tile, c->tile, sizeof k->tile) == 0 && (k->parts > 1 ? k->parts : 1) == c->parts;
}

static void put_tile(nib_text *t, const int32_t *tile) {
  int used = 0;
  for (int i = 0; i < NIB_MAX_TILE; ++i)
    used = tile[i] != 0 ? i + 1 : used;
  for (int i = 0; i < used; ++i)
    nib_text_printf(t, "%s%d", i ? "x" : "", tile[i]);
  if (used == 0)
    nib_text_printf(t, "-");
}

/* "conv_rows/avx2 4x2: 1.31 times as long" for the best of the first other form, tile or cut. */
static void put_next(const weighed *w, nib_text *t, bool same_form, const char *what) {
  for (int i = 1; i < w->n; ++i) {
    const nib_select_candidate *c = &w->all[i];
    if (is_form(&w->all[0], c) != same_form)
      continue;
    nib_text_printf(t, "; the next %s, ", what);
    if (!same_form)
      nib_text_printf(t, "%s/%s ", c->schedule, c->vocab);
    put_tile(t, c->tile);
    if (c->parts != w->all[0].parts)
      nib_text_printf(t, c->parts > 1 ? " in %d parts" : " uncut", c->parts);
    nib_text_printf(t, ", takes %.2f times as long", c->cost.ns / w->all[0].cost.ns);
    return;
  }
}

static void put_refusals(const weighed *w, const nib_graph *g, const nib_kernel *k, nib_text *t) {
  const nib_schedule *s;
  const char *separator = "; not able to run it: ";
  for (size_t i = 0; (s = nib_schedule_at(i)) != NULL; ++i) {
    bool accepts = false;
    const nib_vocab *v;
    if (s->device != nib_target_is_cuda(&w->x.target))
      continue;
    for (size_t j = 0; (v = nib_vocab_at(j)) != NULL; ++j)
      accepts = accepts || nib_schedule_fits(s, g, k, v, &w->x.target);
    if (accepts)
      continue;
    nib_text_printf(t, "%s%s", separator, s->name);
    separator = ", ";
  }
}

/* A chain of int8 is of uint8 inside where fuse found that to suit its products
 * (passes/fuse/recode.c); kernels one by one would not be. */
static void restore_codes(nib_graph *g, const nib_kernel *k, const nib_kernel_stage *stages,
                          int n) {
  if (g->tensors[nib_kernel_output(g, k)].format != NIB_I8)
    return;
  for (int i = 0; i + 1 < n; ++i) {
    nib_tensor *t = &g->tensors[nib_kernel_output(g, &stages[i].kernel)];
    t->zero_point -= t->format == NIB_U8 ? 128 : 0;
    t->format = t->format == NIB_U8 ? NIB_I8 : t->format;
  }
}

/* Predicted for the stages as kernels of their own, and the bytes that they would leave between
 * them. */
static nib_status weigh_parts(const weighed *w, nib_graph *g, const nib_kernel_stage *stages, int n,
                              double *out_ns, int64_t *out_bytes) {
  *out_ns = 0;
  *out_bytes = 0;
  for (int i = 0; i < n; ++i) {
    nib_select_candidate alone;
    NIB_RETURN_IF_ERROR(nib_select_kernel(&w->x, g, &stages[i].kernel, &alone, nibc_diag()));
    *out_ns += alone.cost.ns;
    if (i + 1 < n)
      *out_bytes += (int64_t)nib_tensor_bytes(&g->tensors[nib_kernel_output(g, &stages[i].kernel)]);
  }
  return NIB_OK;
}

/* What a chain was weighed against. */
static nib_status put_parts(const weighed *w, const nib_graph *g, const nib_kernel *k,
                            nib_text *t) {
  const nib_select_candidate *c = &w->all[0];
  const nib_schedule *s = nib_schedule_find(c->schedule);
  nib_kernel chain = *k;
  nib_kernel_stage stages[NIB_MAX_STAGES];
  memcpy(chain.tile, c->tile, sizeof chain.tile);
  chain.parts = 1;
  const int n =
      s->stages ? s->stages(g, &chain, nib_vocab_find(c->vocab), stages, NIB_MAX_STAGES) : 0;
  if (n == 0)
    return NIB_OK;
  nib_graph *apart = nib_graph_clone(g);
  if (!apart)
    return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  double ns;
  int64_t bytes;
  restore_codes(apart, k, stages, n);
  const nib_status status = weigh_parts(w, apart, stages, n, &ns, &bytes);
  nib_graph_destroy(apart);
  if (status == NIB_OK)
    nib_text_printf(
        t, "; %d kernels one after another take %.2f times as long, with %s bytes between them", n,
        ns / c->cost.ns, nibc_number(bytes).text);
  return status;
}

/* One sentence. */
static nib_status put_why(const weighed *w, const nib_graph *g, const nib_kernel *k, nib_text *t) {
  if (w->n == 0) {
    nib_text_printf(t, "no schedule can run it");
    return NIB_OK;
  }
  const nib_cost *c = &w->all[0].cost;
  nib_text_printf(
      t, "%s of %d, bound by %s",
      w->x.size ? "fewest weights, then smallest tile, within 1.5 times the least predicted time"
                : "least predicted time",
      w->n,
      c->overhead_ns > c->compute_ns && c->overhead_ns > c->memory_ns ? "its fixed cost"
      : c->compute_ns >= c->memory_ns                                 ? "computing"
                                                                      : "memory");
  put_next(w, t, true, "tile");
  put_next(w, t, false, "form");
  NIB_RETURN_IF_ERROR(put_parts(w, g, k, t));
  put_refusals(w, g, k, t);
  return NIB_OK;
}

static void print_candidate(FILE *to, const nib_kernel *k, const nib_select_candidate *c) {
  nib_text tile;
  nib_text_init(&tile);
  put_tile(&tile, c->tile);
  fprintf(to, "  %c %-16s %-12s %9s %5d %11s %10.2f %10.2f %10.2f %10.2f\n",
          is_chosen(k, c) ? '*' : ' ', c->schedule, c->vocab, tile.data ? tile.data : "", c->parts,
          nibc_number(c->scratch_bytes).text, c->cost.ns * 1e-3, c->cost.compute_ns * 1e-3,
          c->cost.memory_ns * 1e-3, c->cost.overhead_ns * 1e-3);
  nib_text_free(&tile);
}

static nib_status print_kernel(FILE *to, const weighed *w, const nib_graph *g,
                               const nib_kernel *k) {
  nib_text why;
  nib_text_init(&why);
  const nib_status status = put_why(w, g, k, &why);
  fprintf(to, "\n%s:", k->name);
  for (int32_t i = 0; i < k->n_nodes; ++i)
    fprintf(to, "%s %s", i ? "," : "", nib_op_get(g->nodes[k->nodes[i]].op)->mnemonic);
  fprintf(to, "\n    %-16s %-12s %9s %5s %11s %10s %10s %10s %10s\n", "schedule", "vocabulary",
          "tile", "parts", "scratch", "time us", "compute us", "memory us", "fixed us");
  int hidden = 0;
  for (int i = 0; i < w->n; ++i) {
    if (i < SHOWN || is_best_of_form(w, i) || is_chosen(k, &w->all[i]))
      print_candidate(to, k, &w->all[i]);
    else
      ++hidden;
  }
  if (hidden > 0)
    fprintf(to, "    and %d more\n", hidden);
  fprintf(to, "    why: %s\n", why.data ? why.data : "");
  nib_text_free(&why);
  return status;
}

/* What a CUDA kernel is launched with and uses. */
static nib_status print_launch(FILE *to, const nibc_session *s, int32_t index,
                               const nibc_cuda_build *b) {
  nib_launch l;
  NIB_RETURN_IF_ERROR(nibc_cuda_launch(s, index, &l));
  int64_t blocks = 1;
  for (int i = 0; i < 3; ++i)
    blocks *= l.grid[i] ? l.grid[i] : 1;
  fprintf(to, "    launch: %s blocks of %d threads, %s bytes of shared memory",
          nibc_number(blocks).text, l.threads, nibc_number(l.shared_bytes).text);
  const nibc_cuda_kernel *k = nibc_cuda_find(s, index, b);
  if (k)
    fprintf(to, "; %d registers, %lld bytes spilled", k->registers, (long long)k->spill_bytes);
  fprintf(to, "\n");
  return NIB_OK;
}

nib_status nibc_explain_print(FILE *to, const nibc_session *s, const nibc_cuda_build *cuda) {
  const nib_graph *g = s->planned;
  weighed *w;
  nib_status status = open_weighed(s, &w);
  for (int32_t i = 0; status == NIB_OK && i < g->n_kernels; ++i) {
    status = weigh(w, g, &g->kernels[i]);
    if (status == NIB_OK)
      status = print_kernel(to, w, g, &g->kernels[i]);
    if (status == NIB_OK && nib_target_is_cuda(&s->target))
      status = print_launch(to, s, i, cuda);
  }
  if (status == NIB_OK)
    fprintf(to, "\n");
  close_weighed(w);
  return status;
}

static cJSON *candidate_json(const nib_kernel *k, const nib_select_candidate *c) {
  cJSON *j = cJSON_CreateObject();
  cJSON_AddStringToObject(j, "schedule", c->schedule);
  cJSON_AddStringToObject(j, "vocabulary", c->vocab);
  cJSON *tile = cJSON_AddArrayToObject(j, "tile");
  for (int i = 0; i < NIB_MAX_TILE; ++i)
    cJSON_AddItemToArray(tile, cJSON_CreateNumber(c->tile[i]));
  cJSON_AddNumberToObject(j, "parts", c->parts);
  cJSON_AddNumberToObject(j, "scratch_bytes", (double)c->scratch_bytes);
  cJSON_AddNumberToObject(j, "predicted_ns", c->cost.ns);
  cJSON_AddNumberToObject(j, "compute_ns", c->cost.compute_ns);
  cJSON_AddNumberToObject(j, "memory_ns", c->cost.memory_ns);
  cJSON_AddNumberToObject(j, "overhead_ns", c->cost.overhead_ns);
  cJSON_AddBoolToObject(j, "chosen", is_chosen(k, c));
  return j;
}

nib_status nibc_explain_add(cJSON *kernel_json, const nibc_session *s, const nib_kernel *k) {
  weighed *w;
  nib_text why;
  nib_text_init(&why);
  nib_status status = open_weighed(s, &w);
  if (status == NIB_OK)
    status = weigh(w, s->planned, k);
  if (status == NIB_OK) {
    cJSON *candidates = cJSON_AddArrayToObject(kernel_json, "candidates");
    for (int i = 0; i < w->n; ++i)
      cJSON_AddItemToArray(candidates, candidate_json(k, &w->all[i]));
    status = put_why(w, s->planned, k, &why);
    cJSON_AddStringToObject(kernel_json, "why", why.data ? why.data : "");
  }
  nib_text_free(&why);
  close_weighed(w);
  return status;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Enumerates schedule × vocabulary × tile for one kernel and weighs each. */
#include "select/select.h"

#include "schedule/schedule.h"
#include "vocab/vocab.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TILES = 128, FAST_TILES = 16 };

/* Small code may take as much longer than fast code. */
static const double k_size_slack = 1.5;

/* ---- preferred forms ---- */

/* One form of a list, "SCHEDULE[/VOCABULARY][:TILE]", a tile of numbers and of * for any; sets *end
 * behind it. */
typedef struct form {
  char schedule[32], vocab[32];
  int32_t tile[NIB_MAX_TILE];
  bool tiled;
} form;

static bool take_name(const char **at, char *out, size_t capacity) {
  const size_t n = strcspn(*at, "/:;");
  if (n == 0 || n >= capacity)
    return false;
  memcpy(out, *at, n);
  out[n] = '\0';
  *at += n;
  return true;
}

static bool parse_form(const char *text, const char **end, form *f) {
  memset(f, 0, sizeof *f);
  *end = text;
  if (!take_name(end, f->schedule, sizeof f->schedule))
    return false;
  if (**end == '/' && (++*end, !take_name(end, f->vocab, sizeof f->vocab)))
    return false;
  f->tiled = **end == ':';
  for (int i = 0; f->tiled && i < NIB_MAX_TILE && (i == 0 || **end == 'x'); ++i) {
    const bool any = (*end)[1] == '*';
    char *behind = (char *)*end + 2;
    const long n = any ? -1 : strtol(*end + 1, &behind, 10);
    if (behind == *end + 1 || (n < 0 && !any) || n > INT32_MAX)
      return false;
    f->tile[i] = (int32_t)n;
    *end = behind;
  }
  return **end == '\0' || **end == ';';
}

static bool has_tile(const form *f, const nib_select_candidate *c) {
  for (int i = 0; f->tiled && i < NIB_MAX_TILE; ++i)
    if (f->tile[i] >= 0 && f->tile[i] != c->tile[i])
      return false;
  return true;
}

/* Place of the first preferred form that `c` has; INT_MAX: it has none. */
static int rank_of(const char *prefer, const nib_select_candidate *c) {
  form f;
  const char *end = prefer;
  for (int rank = 0; end && *end && parse_form(*end == ';' ? end + 1 : end, &end, &f); ++rank)
    if (strcmp(f.schedule, c->schedule) == 0 && (!f.vocab[0] || strcmp(f.vocab, c->vocab) == 0) &&
        has_tile(&f, c))
      return rank;
  return INT_MAX;
}

bool nib_select_is_preferred(const nib_select_context *context, const nib_select_candidate *c) {
  return rank_of(context->prefer, c) != INT_MAX;
}

/* *out_missing: what the first form's vocabulary needs and `target` lacks. */
static nib_status check_forms(const char *prefer, const nib_target *target,
                              nib_feature_set *out_missing, const nib_diag *diag) {
  form f;
  const char *end = prefer;
  if (end && *end && parse_form(end, &end, &f) && nib_vocab_find(f.vocab))
    *out_missing = nib_vocab_find(f.vocab)->requires_ & ~target->features;
  end = prefer;
  while (end && *end)
    if (!parse_form(*end == ';' ? end + 1 : end, &end, &f) || !nib_schedule_find(f.schedule) ||
        (f.vocab[0] && !nib_vocab_find(f.vocab)))
      return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                            "'%s' is no form of kernels: SCHEDULE[/VOCABULARY][:TILE], such as "
                            "conv_rows/avx2:4x2",
                            prefer);
  return NIB_OK;
}

nib_status nib_select_open(const nib_options *o, nib_select_context *out_context,
                           const nib_diag *diag) {
  memset(out_context, 0, sizeof *out_context);
  out_context->size = o->size;
  out_context->prefer = o->prefer;
  NIB_RETURN_IF_ERROR(nib_target_parse(o->target ? o->target : "c99", &out_context->target, diag));
  NIB_RETURN_IF_ERROR(
      check_forms(o->prefer, &out_context->target, &out_context->prefer_missing, diag));
  return nib_cost_model_open(o->cost_model ? o->cost_model : "analytic", &out_context->model, diag);
}

void nib_select_close(nib_select_context *context) {
  nib_cost_model_close(context->model);
  context->model = NULL;
}

/* A growing list of candidates. */
typedef struct candidate_list {
  nib_select_candidate *items;
  int n, capacity;
} candidate_list;

static bool append(candidate_list *list, const nib_select_candidate *c) {
  if (list->n == list->capacity) {
    const int capacity = list->capacity ? list->capacity * 2 : 32;
    void *items = realloc(list->items, (size_t)capacity * sizeof *list->items);
    if (items == NULL)
      return false;
    list->items = items;
    list->capacity = capacity;
  }
  list->items[list->n++] = *c;
  return true;
}

static void put_name(char *to, size_t capacity, const char *from) {
  const size_t n = strlen(from) < capacity ? strlen(from) : capacity - 1;
  memcpy(to, from, n);
  to[n] = '\0';
}

/* Whether the root's weights are integers of few bits, of which schedules have forms of more and of
 * fewer bytes. */
static bool has_few_bits(const nib_kernel_desc *d) {
  for (int32_t i = 0; i < d->n_tensors; i++) {
    const nib_format f = nib_format_find(d->tensors[i].format);
    if (strcmp(d->tensors[i].role, "weight") == 0)
      return f != NIB_FORMAT_COUNT && nib_format_get(f)->bits <= 4 && !nib_format_holds_reals(f);
  }
  return false;
}

/* What the innermost loops touch again and again: the weights of one column tile, and the input. A
 * single row takes every weight once, from where they all are: as far as that is the second level
 * of the caches. What streams from farther takes as long in any code by this measure, and would be
 * given to the slowest; but where forms differ in their bytes, all weights count, and for a single
 * row as many of other layers, which come between two uses. */
static int64_t working_set(const nib_kernel_desc *d, const nib_select_candidate *c) {
  enum { near_bytes = 512 * 1024 };
  const nib_vocab *v = nib_vocab_find(c->vocab);
  const nib_desc_tensor *out = &d->tensors[d->n_tensors - 1];
  const int64_t columns = out->rank > 0 ? out->dims[out->rank - 1] : 1;
  const int64_t tile = (int64_t)(c->tile[1] > 0 ? c->tile[1] : 1) * (v != NULL ? v->lanes : 1);
  int64_t weights = d->weight_bytes - c->saved_bytes, rows = 1;
  for (int32_t i = 0; i + 1 < out->rank; i++)
    rows *= out->dims[i];
  const bool streams_near = rows == 1 && weights <= near_bytes;
  if (has_few_bits(d))
    weights *= rows == 1 ? 2 : 1;
  else if (d->macs > 0 && columns > tile && !streams_near)
    weights = weights / columns * tile;
  return weights + c->scratch_bytes + d->input_bytes;
}

static void describe_candidate(const nib_kernel_desc *base, const nib_select_candidate *c,
                               nib_kernel_desc *d) {
  put_name(d->schedule, sizeof d->schedule, c->schedule);
  put_name(d->vocab, sizeof d->vocab, c->vocab);
  memcpy(d->tile, c->tile, sizeof d->tile);
  d->scratch_bytes = c->scratch_bytes;
  d->weight_bytes = base->weight_bytes - c->saved_bytes;
  d->working_set_bytes = working_set(base, c);
}

static nib_status describe_excess(const nib_graph *g, const nib_kernel *kernel,
                                  const nib_schedule *s, const nib_vocab *v, nib_kernel_desc *d) {
  d->excess_macs = 0;
  return s && s->excess_macs && v ? s->excess_macs(g, kernel, v, &d->excess_macs) : NIB_OK;
}

nib_status nib_select_describe(const nib_graph *g, const nib_kernel *kernel,
                               nib_kernel_desc *out_desc) {
  NIB_RETURN_IF_ERROR(nib_kernel_desc_from_nodes(g, kernel->nodes, kernel->n_nodes, out_desc));
  if (kernel->schedule == NULL || kernel->vocab == NULL)
    return NIB_OK;
  const nib_schedule *s = nib_schedule_find(kernel->schedule);
  nib_select_candidate c = {.schedule = kernel->schedule,
                            .vocab = kernel->vocab,
                            .scratch_bytes = kernel->scratch_bytes,
                            .saved_bytes = nib_schedule_saved_bytes(s, g, kernel)};
  memcpy(c.tile, kernel->tile, sizeof c.tile);
  const nib_kernel_desc base = *out_desc;
  describe_candidate(&base, &c, out_desc);
  return describe_excess(g, kernel, s, nib_vocab_find(c.vocab), out_desc);
}

static int64_t align_scratch(int64_t bytes) { return (bytes + 63) / 64 * 64; }

/* The candidate of `trial`, whole or cut into as many parts as there are threads and units for;
 * false if it cannot be cut. */
static bool make_candidate(const nib_graph *g, nib_kernel *trial, const nib_schedule *s,
                           const nib_vocab *v, int32_t threads, nib_select_candidate *c,
                           double *out_share) {
  trial->parts = threads;
  const int64_t units = threads > 1 && s->units ? s->units(g, trial, v) : 1;
  if (threads > 1 && units < 2)
    return false;
  trial->parts = units < threads ? (int32_t)units : threads;
  *out_share = (double)((units + trial->parts - 1) / trial->parts) / (double)units;
  *c = (nib_select_candidate){.schedule = s->name, .vocab = v->name, .parts = trial->parts};
  memcpy(c->tile, trial->tile, sizeof c->tile);
  c->scratch_bytes = s->scratch_bytes ? s->scratch_bytes(g, trial, v) : 0;
  c->saved_bytes = nib_schedule_saved_bytes(s, g, trial);
  if (c->parts > 1)
    c->scratch_bytes = align_scratch(c->scratch_bytes) * c->parts;
  return true;
}

/* Entering a step: its loops' constants. */
static const double k_step_cycles = 10.0;

/* The sum of what the stages cost alone, less the way of what is between them through memory; of a
 * kernel that is cut, what the largest part costs. */
static nib_status predict_stages(const nib_select_context *x, const nib_graph *g,
                                 const nib_kernel_stage *stages, int n, nib_cost *out_cost) {
  memset(out_cost, 0, sizeof *out_cost);
  const double ghz = x->target.machine.ghz > 0 ? x->target.machine.ghz : 1.0;
  for (int i = 0; i < n; ++i) {
    const nib_kernel_stage *s = &stages[i];
    nib_kernel_desc d;
    nib_cost cost;
    NIB_RETURN_IF_ERROR(nib_select_describe(g, &s->kernel, &d));
    if (i > 0)
      d.input_bytes = 0;
    if (i + 1 < n)
      d.output_bytes = 0;
    d.working_set_bytes = d.weight_bytes + d.scratch_bytes + s->buffer_bytes;
    d.weight_bytes *= s->rereads ? s->steps : 1;
    const nib_status status = nib_cost_predict(x->model, &d, &x->target, &cost);
    nib_kernel_desc_free(&d);
    NIB_RETURN_IF_ERROR(status);
    const double steps_ns = k_step_cycles * (double)s->part_steps / ghz;
    const double share = (double)s->part_steps / (double)(s->steps > 0 ? s->steps : 1);
    out_cost->compute_ns += cost.compute_ns * share;
    out_cost->memory_ns += cost.memory_ns * share;
    out_cost->overhead_ns = (i > 0 ? out_cost->overhead_ns : cost.overhead_ns) + steps_ns;
    out_cost->ns += (cost.ns - cost.overhead_ns) * share;
  }
  out_cost->ns += out_cost->overhead_ns;
  return NIB_OK;
}

/* `share`: of the largest part of a kernel that is cut. */
static nib_status predict(const nib_select_context *x, const nib_graph *g, const nib_kernel *trial,
                          const nib_schedule *s, const nib_vocab *v, const nib_kernel_desc *d,
                          double share, nib_cost *out_cost) {
  nib_kernel_stage stages[NIB_MAX_STAGES];
  const int n = s->stages ? s->stages(g, trial, v, stages, NIB_MAX_STAGES) : 0;
  const nib_status status = n > 0 ? predict_stages(x, g, stages, n, out_cost)
                                  : nib_cost_predict(x->model, d, &x->target, out_cost);
  if (status == NIB_OK && trial->parts > 1)
    nib_cost_cut(&x->target, n > 0 ? 1.0 : share, out_cost);
  return status;
}

static nib_status weigh(const nib_select_context *x, const nib_graph *g, const nib_kernel *kernel,
                        const nib_kernel_desc *base, const nib_schedule *s, const nib_vocab *v,
                        candidate_list *list) {
  int32_t tiles[2 * MAX_TILES][NIB_MAX_TILE];
  memset(tiles, 0, sizeof tiles);
  /* Of weights of few bits there are two forms of each tile. */
  const int most = (x->size || x->prefer ? MAX_TILES : FAST_TILES) * (has_few_bits(base) ? 2 : 1);
  int n = s->tiles(g, kernel, v, tiles, most);
  n = n < 1 ? 1 : n > most ? most : n;
  nib_kernel_desc d = *base;
  NIB_RETURN_IF_ERROR(describe_excess(g, kernel, s, v, &d));
  for (int i = 0; i < n; ++i)
    for (int cut = 0; cut < (g->threads > 1 ? 2 : 1); ++cut) {
      nib_kernel trial = *kernel;
      nib_select_candidate c;
      double share;
      trial.schedule = s->name;
      trial.vocab = v->name;
      memcpy(trial.tile, tiles[i], sizeof trial.tile);
      if (!make_candidate(g, &trial, s, v, cut ? g->threads : 1, &c, &share))
        continue;
      describe_candidate(base, &c, &d);
      NIB_RETURN_IF_ERROR(predict(x, g, &trial, s, v, &d, share, &c.cost));
      if (!append(list, &c))
        return NIB_ERROR_OUT_OF_MEMORY;
    }
  return NIB_OK;
}

static nib_status enumerate(const nib_select_context *x, const nib_graph *g,
                            const nib_kernel *kernel, candidate_list *list) {
  nib_kernel_desc base;
  nib_kernel fresh = *kernel; /* what was selected before does not count */
  memset(fresh.tile, 0, sizeof fresh.tile);
  kernel = &fresh;
  NIB_RETURN_IF_ERROR(nib_kernel_desc_from_nodes(g, kernel->nodes, kernel->n_nodes, &base));
  nib_status status = NIB_OK;
  const nib_schedule *s;
  for (size_t i = 0; status == NIB_OK && (s = nib_schedule_at(i)) != NULL; ++i) {
    const nib_vocab *v;
    for (size_t k = 0; status == NIB_OK && (v = nib_vocab_at(k)) != NULL; ++k)
      if (nib_schedule_fits(s, g, kernel, v, &x->target))
        status = weigh(x, g, kernel, &base, s, v, list);
  }
  nib_kernel_desc_free(&base);
  return status;
}

/* Stable insertion sort: lists are short, and ties keep the order of the tables. */
static void sort_by_cost(candidate_list *list) {
  for (int i = 1; i < list->n; ++i) {
    const nib_select_candidate c = list->items[i];
    int k = i;
    for (; k > 0 && list->items[k - 1].cost.ns > c.cost.ns; --k)
      list->items[k] = list->items[k - 1];
    list->items[k] = c;
  }
}

/* Unrolled bodies of a tile: what its code grows with. */
static int64_t unrolled(const nib_select_candidate *c) {
  int64_t n = 1;
  for (int i = 0; i < NIB_MAX_TILE; ++i)
    n *= c->tile[i] > 1 ? c->tile[i] : 1;
  return n;
}

static bool is_smaller(const nib_select_candidate *a, const nib_select_candidate *b) {
  return a->saved_bytes != b->saved_bytes ? a->saved_bytes > b->saved_bytes
                                          : unrolled(a) < unrolled(b);
}

/* The fewest bytes of weights, then the smallest tile, of those that are fast enough goes first; of
 * equal ones the fastest. */
static void prefer_small(candidate_list *list) {
  int best = 0;
  for (int i = 1; i < list->n && list->items[i].cost.ns <= k_size_slack * list->items[0].cost.ns;
       ++i)
    best = is_smaller(&list->items[i], &list->items[best]) ? i : best;
  if (list->n == 0)
    return;
  const nib_select_candidate c = list->items[best];
  memmove(list->items + 1, list->items, (size_t)best * sizeof *list->items);
  list->items[0] = c;
}

static void prefer_forms(const char *prefer, candidate_list *list) {
  int best = 0;
  for (int i = 1; i < list->n; ++i)
    best = rank_of(prefer, &list->items[i]) < rank_of(prefer, &list->items[best]) ? i : best;
  if (best == 0)
    return;
  const nib_select_candidate c = list->items[best];
  memmove(list->items + 1, list->items, (size_t)best * sizeof *list->items);
  list->items[0] = c;
}

nib_status nib_select_candidates(const nib_select_context *context, const nib_graph *g,
                                 const nib_kernel *kernel, nib_select_candidate *out_candidates,
                                 int capacity, int *out_n, const nib_diag *diag) {
  candidate_list list = {0};
  *out_n = 0;
  const nib_status status = enumerate(context, g, kernel, &list);
  if (status == NIB_OK) {
    sort_by_cost(&list);
    if (context->size)
      prefer_small(&list);
    if (context->prefer)
      prefer_forms(context->prefer, &list);
    *out_n = list.n;
    const int n = list.n < capacity ? list.n : capacity;
    if (n > 0)
      memcpy(out_candidates, list.items, (size_t)n * sizeof *list.items);
  }
  free(list.items);
  return status == NIB_OK ? NIB_OK
                          : nib_diag_error(diag, status,
                                           "kernel '%s': its candidates could not be "
                                           "weighed",
                                           kernel->name ? kernel->name : "");
}

nib_status nib_select_kernel(const nib_select_context *context, const nib_graph *g,
                             const nib_kernel *kernel, nib_select_candidate *out_choice,
                             const nib_diag *diag) {
  int n = 0;
  NIB_RETURN_IF_ERROR(nib_select_candidates(context, g, kernel, out_choice, 1, &n, diag));
  if (n > 0)
    return NIB_OK;
  const nib_node *root = &g->nodes[kernel->nodes[0]];
  return nib_diag_error(diag, NIB_ERROR_UNSUPPORTED,
                        "kernel '%s' (operator %d '%s', %s): no schedule can run it on target %s",
                        kernel->name ? kernel->name : "", root->source_index, root->name,
                        nib_op_get(root->op)->mnemonic, context->target.spec);
}

/* Operators for which a vector target is expected to use its registers. */
static bool is_vector_capable(nib_op op) {
  static const nib_op k_ops[] = {
      NIB_OP_CONV2D,
      NIB_OP_DEPTHWISE_CONV2D,
      NIB_OP_TRANSPOSE_CONV2D,
      NIB_OP_FULLY_CONNECTED,
      NIB_OP_MATMUL,
      NIB_OP_AVG_POOL2D,
      NIB_OP_MAX_POOL2D,
      NIB_OP_MEAN,
      NIB_OP_LOOKUP,
      NIB_OP_ADD,
      NIB_OP_SUB,
      NIB_OP_MUL,
      NIB_OP_RELU,
      NIB_OP_CLAMP,
      NIB_OP_LEAKY_RELU,
      NIB_OP_QUANTIZE,
      NIB_OP_DEQUANTIZE,
      NIB_OP_REQUANTIZE,
  };
  for (size_t i = 0; i < sizeof k_ops / sizeof k_ops[0]; ++i)
    if (k_ops[i] == op)
      return true;
  return false;
}

static bool has_vector_vocab(const nib_target *target) {
  const nib_vocab *v;
  for (size_t i = 0; (v = nib_vocab_at(i)) != NULL; ++i)
    if (v->lanes > 1 && nib_vocab_fits(v, target))
      return true;
  return false;
}

static bool is_vector_form(const nib_schedule *s, const nib_vocab *v) {
  return s != NULL && v != NULL && strcmp(s->name, "direct") != 0 && v->lanes > 1;
}

bool nib_select_is_fallback(const nib_select_context *context, const nib_graph *g,
                            const nib_kernel *kernel, const nib_select_candidate *choice) {
  if (!is_vector_capable(g->nodes[kernel->nodes[0]].op) || !has_vector_vocab(&context->target))
    return false;
  if (is_vector_form(nib_schedule_find(choice->schedule), nib_vocab_find(choice->vocab)))
    return false;
  /* Weighed against a vector form and found faster, as for very few elements: a choice. */
  const nib_schedule *s;
  for (size_t i = 0; (s = nib_schedule_at(i)) != NULL; ++i) {
    const nib_vocab *v;
    for (size_t k = 0; (v = nib_vocab_at(k)) != NULL; ++k)
      if (is_vector_form(s, v) && nib_schedule_fits(s, g, kernel, v, &context->target))
        return false;
  }
  return true;
}

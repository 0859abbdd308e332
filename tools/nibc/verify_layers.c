/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Comparisons inside the network. */
#include "verify_layers.h"
#include "binary.h"
#include "message.h"
#include "oracle.h"
#include "schedule/schedule.h"
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether `b`, of another form of the network, is `a`; its dimension i is a's dimension perm[i]. */
static bool same_tensor(const nib_tensor *a, const nib_tensor *b, const int *perm) {
  if (a->format != b->format || a->rank != b->rank || a->quantized != b->quantized ||
      a->zero_point != b->zero_point || a->scale != b->scale || a->data || b->data || !a->name[0] ||
      strcmp(a->name, b->name) != 0)
    return false;
  for (int32_t i = 0; i < a->rank; ++i)
    if (b->dims[i] != a->dims[perm[i]])
      return false;
  return true;
}

/* A shape that looks the same in NCHW and NHWC: its elements may be in another order. */
static bool layout_is_ambiguous(const nib_tensor *t) {
  bool equal = t->rank > 2 && t->dims[1] > 1;
  for (int32_t i = 2; i < t->rank; ++i)
    equal = equal && t->dims[i] == t->dims[1];
  return equal;
}

static int32_t find_permuted(const nib_graph *g, const nib_tensor *t, const int *perm,
                             int *out_count) {
  int32_t found = NIB_NONE;
  *out_count = 0;
  for (int32_t i = 0; i < g->n_tensors; ++i)
    if (g->tensors[i].producer != NIB_NONE && same_tensor(t, &g->tensors[i], perm)) {
      found = i;
      ++*out_count;
    }
  return found;
}

static const int k_same_order[NIB_MAX_RANK] = {0, 1, 2, 3, 4, 5, 6, 7};
static const int k_nhwc[NIB_MAX_RANK] = {0, 2, 3, 1};

/* The tensor of `g` that is `t` of another form of the same network; NIB_NONE if there is none, or
 * more than one. */
static int32_t find_same(const nib_graph *g, const nib_tensor *t) {
  int count = 0;
  const int32_t found =
      layout_is_ambiguous(t) ? NIB_NONE : find_permuted(g, t, k_same_order, &count);
  return count == 1 ? found : NIB_NONE;
}

/* The f32 tensor that became `t` by --precision; NIB_NONE if `t` is not narrow. */
static int32_t find_wide(const nib_graph *g, const nib_tensor *t) {
  if (t->format != NIB_F16 && t->format != NIB_BF16)
    return NIB_NONE;
  for (int32_t i = 0; i < g->n_tensors; ++i)
    if (g->tensors[i].format == NIB_F32 && !g->tensors[i].data && g->tensors[i].name && t->name &&
        strcmp(g->tensors[i].name, t->name) == 0 &&
        nib_tensor_elems(&g->tensors[i]) == nib_tensor_elems(t))
      return i;
  return NIB_NONE;
}

/* Bytes of the integer form's tensor that is `t`, in t's order (NHWC brought back to NCHW); NULL if
 * there is none. `*out_made` is the caller's to free. */
static const void *codes_of(const nib_graph *g, nib_reference *r, const nib_tensor *t,
                            void **out_made) {
  *out_made = NULL;
  int count = 0;
  int32_t same = layout_is_ambiguous(t) ? NIB_NONE : find_permuted(g, t, k_same_order, &count);
  if (count == 1)
    return nib_reference_tensor(r, same);
  if (count > 1 || t->rank != 4 || layout_is_ambiguous(t))
    return NULL;
  same = find_permuted(g, t, k_nhwc, &count);
  const size_t size = nib_format_bytes(t->format);
  unsigned char *to = count == 1 ? malloc(nib_tensor_bytes(t) + 1) : NULL;
  if (!to)
    return NULL;
  const unsigned char *from = nib_reference_tensor(r, same);
  const int64_t c = t->dims[1], area = t->dims[2] * t->dims[3];
  for (int64_t i = 0, n = nib_tensor_elems(t); i < n; ++i) {
    const int64_t image = i / (c * area), channel = i / area % c, place = i % area;
    memcpy(to + (size_t)i * size, from + (size_t)((image * area + place) * c + channel) * size,
           size);
  }
  return *out_made = to;
}

static void add_steps(nibc_step_tally *tally, const nib_tensor *t, double step, const void *a,
                      const void *b, int64_t run) {
  ++tally->tensors;
  for (int64_t i = 0, n = nib_tensor_elems(t); i < n; ++i) {
    const double x = nibc_element(t->format, a, i), y = nibc_element(t->format, b, i);
    ++tally->elems;
    if (x == y)
      continue;
    // A dequantized code is a float32: a difference of steps is an integer but for its rounding.
    const double steps = nib_format_get(t->format)->kind == NIB_KIND_FLOAT
                             ? nearbyint(fabs(x - y) / step)
                             : fabs(x - y);
    tally->differing += steps != 0;
    if (!(steps <= tally->largest)) {
      tally->largest = steps;
      tally->worst_name = t->name;
      tally->worst_run = run;
      tally->worst_index = i;
    }
  }
}

static void add_outputs(nibc_step_tally *tally, const nib_graph *written_graph,
                        nib_reference *written, const nib_graph *integer_graph,
                        nib_reference *integer, int64_t run) {
  for (int i = 0; i < written_graph->n_outputs; ++i) {
    const int32_t id = written_graph->outputs[i];
    const nib_tensor *t = &written_graph->tensors[id];
    const int32_t from = t->producer;
    if (from == NIB_NONE || written_graph->nodes[from].op != NIB_OP_DEQUANTIZE)
      continue;
    const nib_tensor *codes = nib_node_input(written_graph, &written_graph->nodes[from], 0);
    if (codes && codes->quantized)
      add_steps(tally, t, codes->scale, nib_reference_tensor(written, id),
                nib_reference_tensor(integer, integer_graph->outputs[i]), run);
  }
}

void nibc_step_tally_add(nibc_step_tally *tally, const nib_graph *written_graph,
                         nib_reference *written, const nib_graph *integer_graph,
                         nib_reference *integer, int64_t run) {
  tally->tensors = 0;
  for (int32_t i = 0; i < written_graph->n_tensors; ++i) {
    const nib_tensor *t = &written_graph->tensors[i];
    if (!t->quantized || t->producer == NIB_NONE)
      continue;
    void *made;
    const void *codes = codes_of(integer_graph, integer, t, &made);
    if (codes)
      add_steps(tally, t, 1, nib_reference_tensor(written, i), codes, run);
    free(made);
  }
  add_outputs(tally, written_graph, written, integer_graph, integer, run);
}

typedef struct step_observer {
  nibc_step_tally *tally;
  const nib_graph *written_graph, *integer_graph;
  nib_reference *integer;
  int64_t run;
} step_observer;

static void observe(void *context, int32_t tensor, void *bytes) {
  const step_observer *o = context;
  const nib_tensor *t = &o->written_graph->tensors[tensor];
  void *made = NULL;
  const void *codes = t->quantized ? codes_of(o->integer_graph, o->integer, t, &made) : NULL;
  if (codes) {
    add_steps(o->tally, t, 1, bytes, codes, o->run);
    memcpy(bytes, codes, nib_tensor_bytes(t));
  }
  free(made);
}

nib_status nibc_step_tally_run(nibc_step_tally *tally, const nib_graph *written_graph,
                               nib_reference *written, const nib_graph *integer_graph,
                               nib_reference *integer, const void *const *inputs, int64_t run) {
  step_observer o = {tally, written_graph, integer_graph, integer, run};
  tally->tensors = 0;
  nib_reference_observe(written, observe, &o);
  const nib_status status = nib_reference_run(written, inputs, nibc_diag());
  nib_reference_observe(written, NULL, NULL);
  if (status == NIB_OK)
    add_outputs(tally, written_graph, written, integer_graph, integer, run);
  return status;
}

/* ---- layer by layer ---- */

static bool is_computed_real(const nib_graph *g, int32_t tensor) {
  const nib_tensor *t = tensor != NIB_NONE ? &g->tensors[tensor] : NULL;
  return t && !t->data && t->producer != NIB_NONE &&
         nib_format_get(t->format)->kind == NIB_KIND_FLOAT;
}

/* Whether it makes codes of a real, or has one that it computes. */
static bool is_real_node(const nib_graph *g, const nib_node *n) {
  for (int32_t s = 0; s < n->n_in; ++s)
    if (is_computed_real(g, n->in[s]))
      return true;
  return is_computed_real(g, n->out);
}

static bool has_reals(const nib_graph *g, const nib_kernel *k) {
  for (int32_t i = 0; i < k->n_nodes; ++i)
    if (is_real_node(g, &g->nodes[k->nodes[i]]))
      return true;
  return false;
}

bool nibc_graph_is_mixed(const nib_graph *g) {
  for (int32_t i = 0; i < g->n_nodes; ++i)
    if (!nib_node_is_erased(&g->nodes[i]) && g->tensors[g->nodes[i].out].quantized &&
        is_real_node(g, &g->nodes[i]))
      return true;
  return false;
}

static bool contains(const int32_t *list, int32_t n, int32_t item) {
  for (int32_t i = 0; i < n; ++i)
    if (list[i] == item)
      return true;
  return false;
}

nib_status nibc_layers_create(nib_graph *g, const nib_graph *oracle, nibc_layers *l) {
  const size_t capacity = (size_t)g->n_outputs + (size_t)g->n_kernels + 1;
  *l = (nibc_layers){
      .fused = g,
      .kept = calloc(capacity, sizeof *l->kept),
      .tallies = calloc(capacity, sizeof *l->tallies),
      .forms = calloc(capacity, sizeof *l->forms),
      .same = calloc(capacity, sizeof *l->same),
      .wide = calloc(capacity, sizeof *l->wide),
      .errors = calloc(capacity, sizeof *l->errors),
      .mixed = nibc_graph_is_mixed(g),
      .singles = calloc(capacity, sizeof *l->singles),
  };
  if (!l->singles || !l->kept || !l->same || !l->wide || !l->errors || !l->tallies || !l->forms)
    return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  memcpy(l->kept, g->outputs, (size_t)g->n_outputs * sizeof *l->kept);
  l->n_kept = g->n_outputs;
  for (int32_t k = 0; k < g->n_kernels; ++k) {
    const int32_t result = nib_kernel_output(g, &g->kernels[k]);
    if (!contains(l->kept, l->n_kept, result))
      l->kept[l->n_kept++] = result;
  }
  for (int32_t i = 0; i < l->n_kept; ++i) {
    l->wide[i] = find_wide(oracle, &g->tensors[l->kept[i]]);
    l->same[i] =
        l->wide[i] == NIB_NONE && !l->mixed ? find_same(oracle, &g->tensors[l->kept[i]]) : NIB_NONE;
  }
  for (int32_t i = 0; l->mixed && i < l->n_kept; ++i)
    if (!(l->singles[i] = malloc(nib_tensor_bytes(&g->tensors[l->kept[i]]) + 1)))
      return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  return nib_graph_set_outputs(g, l->kept, l->n_kept);
}

void nibc_layers_free(nibc_layers *l) {
  for (int32_t i = 0; l->singles && i < l->n_kept; ++i)
    free(l->singles[i]);
  free(l->singles);
  free(l->kept);
  free(l->same);
  free(l->wide);
  free(l->errors);
  free(l->tallies);
  free(l->forms);
  memset(l, 0, sizeof *l);
}

static void add_error(nibc_layers *l, int32_t i, const nibc_oracle *oracle, const void *got) {
  const nib_tensor *t = &l->fused->tensors[l->kept[i]];
  const void *want = nibc_oracle_tensor(oracle, l->wide[i]);
  double error = 0, largest = 0;
  for (int64_t k = 0, n = nib_tensor_elems(t); k < n; ++k) {
    const double r = nibc_element(NIB_F32, want, k);
    error = fmax(error, fabs(nibc_element(t->format, got, k) - r));
    largest = fmax(largest, fabs(r));
  }
  if (largest > 0)
    l->errors[i] = fmax(l->errors[i], error / largest);
}

static void print_errors(const nibc_layers *l) {
  for (int32_t i = 0; i < l->n_kept; ++i)
    if (l->wide[i] != NIB_NONE)
      printf("layer '%s' (%s): largest error against f32 %.2g of the largest value\n",
             l->fused->tensors[l->kept[i]].name,
             nib_format_get(l->fused->tensors[l->kept[i]].format)->name, l->errors[i]);
}

/* ---- on equal inputs ---- */

/* What a reference computes of the results that ran, and what ran in their place. */
typedef struct equal_inputs {
  nibc_layers *l;
  const nibc_oracle *oracle;
  void *const *got;
  int64_t run;
} equal_inputs;

static int32_t kept_at(const nibc_layers *l, int32_t tensor) {
  int32_t i = 0;
  while (i < l->n_kept && l->kept[i] != tensor)
    ++i;
  return i;
}

static void take_single(void *context, int32_t tensor, void *bytes) {
  const equal_inputs *e = context;
  const int32_t i = kept_at(e->l, tensor);
  if (i == e->l->n_kept)
    return;
  memcpy(e->l->singles[i], bytes, nib_tensor_bytes(&e->l->fused->tensors[tensor]));
  memcpy(bytes, e->got[i], nib_tensor_bytes(&e->l->fused->tensors[tensor]));
}

static void compare_exact(void *context, int32_t tensor, void *bytes) {
  const equal_inputs *e = context;
  const nib_tensor *t = &e->l->fused->tensors[tensor];
  const int32_t i = kept_at(e->l, tensor);
  if (i == e->l->n_kept)
    return;
  const int64_t n = nib_tensor_elems(t);
  const double *exact = nib_reference_doubles(e->oracle->exact, tensor);
  if (exact && t->format == NIB_F32)
    nibc_tally_add_exact(&e->l->tallies[i], e->got[i], exact, e->l->singles[i], n, e->run);
  else
    nibc_tally_add(&e->l->tallies[i], t->format, e->got[i], e->l->singles[i], n, e->run);
  memcpy(bytes, e->got[i], nib_tensor_bytes(t));
}

static nib_status compare_on_equal_inputs(nibc_layers *l, const nibc_oracle *oracle,
                                          const void *const *inputs, void *const *got,
                                          int64_t run) {
  equal_inputs e = {l, oracle, got, run};
  nib_reference_observe(oracle->single, take_single, &e);
  nib_reference_observe(oracle->exact, compare_exact, &e);
  NIB_RETURN_IF_ERROR(nib_reference_run(oracle->single, inputs, nibc_diag()));
  return nib_reference_run(oracle->exact, inputs, nibc_diag());
}

static void compare_layers(nibc_layers *l, const nibc_oracle *fused, const nibc_oracle *oracle,
                           void *const *got, int64_t run) {
  for (int32_t i = 0; i < l->n_kept; ++i) {
    nibc_oracle_compare(fused, l->kept[i], got[i], run, &l->tallies[i]);
    if (l->wide[i] != NIB_NONE)
      add_error(l, i, oracle, got[i]);
    if (l->same[i] != NIB_NONE)
      nibc_oracle_compare(oracle, l->same[i], nibc_oracle_tensor(fused, l->kept[i]), run,
                          &l->forms[i]);
  }
}

/* As nibc_tallies_restart. Where one kind needs no second pass, adding to it again changes counts
 * that are not reported. */
static bool restart_layers(nibc_layers *l) {
  const bool tallies = nibc_tallies_restart(l->tallies, l->n_kept);
  const bool forms = nibc_tallies_restart(l->forms, l->n_kept);
  return tallies || forms;
}

nib_status nibc_layers_compare(nibc_layers *l, const nib_graph *oracle_graph, const nibc_feed *in,
                               nibc_network *network, void *context) {
  const nib_graph *g = l->fused;
  const bool is_float = nibc_graph_is_float(oracle_graph);
  nibc_oracle fused = {0}, oracle = {0};
  nibc_buffers x = {0}, y = {0};
  nib_status status = nibc_oracle_create(g, is_float || l->mixed, &fused);
  if (status == NIB_OK)
    status = nibc_oracle_create(oracle_graph, is_float, &oracle);
  if (status == NIB_OK)
    status = nibc_buffers_create(g, g->inputs, g->n_inputs, &x);
  if (status == NIB_OK)
    status = nibc_buffers_create(g, g->outputs, g->n_outputs, &y);
  bool again = false;
  for (int64_t run = 0; status == NIB_OK && run < in->runs; ++run) {
    for (int i = 0; i < in->n; ++i)
      memcpy(x.at[i], nibc_feed_at(in, i, run), nib_tensor_bytes(&g->tensors[g->inputs[i]]));
    const void *const *inputs = (const void *const *)x.at;
    status = network(context, inputs, y.at);
    if (status == NIB_OK && !l->mixed)
      status = nibc_oracle_run(&fused, inputs);
    if (status == NIB_OK)
      status = nibc_oracle_run(&oracle, inputs);
    if (status == NIB_OK && l->mixed)
      status = compare_on_equal_inputs(l, &fused, inputs, y.at, run);
    else if (status == NIB_OK)
      compare_layers(l, &fused, &oracle, y.at, run);
    if (status == NIB_OK && run + 1 == in->runs && !again && (again = restart_layers(l)))
      run = -1;
  }
  nibc_buffers_free(&x);
  nibc_buffers_free(&y);
  nibc_oracle_free(&fused);
  nibc_oracle_free(&oracle);
  return status;
}

/* One step is within reason where codes are made of reals. */
static bool is_off(const nibc_layers *l, const nibc_tally *t, int32_t kernel, int32_t tensor) {
  const nib_graph *g = l->fused;
  const bool step = l->mixed && g->tensors[tensor].quantized && has_reals(g, &g->kernels[kernel]);
  return t->differing && !(step && t->largest <= 1);
}

/* Position in `kept` of the first kernel result with differences; -1: none. */
static int32_t first_difference(const nibc_layers *l, const nibc_tally *tallies,
                                int32_t *out_kernel) {
  const nib_graph *g = l->fused;
  for (int32_t k = 0; k < g->n_kernels; ++k)
    for (int32_t i = 0; i < l->n_kept; ++i)
      if (l->kept[i] == nib_kernel_output(g, &g->kernels[k]) &&
          is_off(l, &tallies[i], k, l->kept[i])) {
        *out_kernel = k;
        return i;
      }
  return -1;
}

nib_status nibc_layers_judge(const nibc_layers *l, char *out, size_t size) {
  const nib_graph *g = l->fused;
  char text[256];
  int32_t kernel = 0, compared = 0;
  for (int32_t i = 0; i < l->n_kept; ++i)
    compared += l->same[i] != NIB_NONE;
  const int32_t form = first_difference(l, l->forms, &kernel);
  if (form >= 0) {
    nibc_tally_describe(&l->forms[form], text, sizeof text);
    snprintf(out, size,
             "simplifying changed tensor '%s' (kernel %d, %s), the first that differs: %s",
             g->tensors[l->kept[form]].name, kernel, g->kernels[kernel].name, text);
    return NIB_ERROR_MISMATCH;
  }
  const int32_t first = first_difference(l, l->tallies, &kernel);
  if (first >= 0) {
    nibc_tally_describe(&l->tallies[first], text, sizeof text);
    snprintf(out, size, "tensor '%s' (kernel %d, %s) is the first that differs: %s",
             g->tensors[l->kept[first]].name, kernel, g->kernels[kernel].name, text);
    return NIB_ERROR_MISMATCH;
  }
  if (l->mixed) {
    snprintf(out, size, "every kernel agrees on the inputs that it had: the results of %d kernels",
             g->n_kernels);
    return NIB_OK;
  }
  snprintf(out, size,
           "every layer agrees: the results of %d kernels, %d of them with the source's own "
           "tensors",
           g->n_kernels, compared);
  return NIB_OK;
}

static nib_status run_binary(void *context, const void *const *inputs, void *const *outputs) {
  return nibc_binary_run(context, inputs, outputs);
}

nib_status nibc_verify_layers(nibc_session *s, const nibc_feed *in, const nib_graph *oracle) {
  nibc_layers l = {0};
  nibc_binary binary = {0};
  nib_graph *fused = NULL;
  char text[1024];
  nib_status status = nibc_session_set_graph(s, nibc_session_source(s));
  if (status == NIB_OK)
    status = nibc_session_run(s, NIBC_STAGE_IMPORT, NIBC_STAGE_FUSE, false);
  if (status == NIB_OK)
    status = (fused = nibc_session_graph(s)) ? nibc_layers_create(fused, oracle, &l)
                                             : NIB_ERROR_INTERNAL;
  if (status == NIB_OK)
    status = nibc_session_set_graph(s, fused);
  if (status == NIB_OK)
    status = nibc_session_run(s, NIBC_STAGE_FUSE, NIBC_STAGE_SELECT, false);
  if (status == NIB_OK)
    status = nibc_binary_load(s, &binary);
  if (status == NIB_OK)
    status = nibc_layers_compare(&l, oracle, in, run_binary, &binary);
  if (status == NIB_OK) {
    print_errors(&l);
    status = nibc_layers_judge(&l, text, sizeof text);
    if (status == NIB_OK)
      printf("%s\n", text);
    else
      nibc_error("%s", text);
  }
  nibc_binary_unload(&binary);
  nibc_layers_free(&l);
  return status;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Comparisons inside the network. */
#include "verify_layers.h"
#include "binary.h"
#include "compare.h"
#include "message.h"
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

typedef struct layers {
  nib_graph *fused; /* with the result of every kernel as an output */
  int32_t *kept;    /* its outputs: those of the network, then the others in kernel order */
  int32_t n_kept;
  nibc_tally *tallies; /* compiled against the fused graph's reference */
  nibc_tally *forms;   /* the fused graph's reference against the oracle's */
  int32_t *same;       /* the oracle's tensor for each kept one, or NIB_NONE */
} layers;

static bool contains(const int32_t *list, int32_t n, int32_t item) {
  for (int32_t i = 0; i < n; ++i)
    if (list[i] == item)
      return true;
  return false;
}

static nib_status keep_results(layers *l) {
  nib_graph *g = l->fused;
  const size_t capacity = (size_t)g->n_outputs + (size_t)g->n_kernels + 1;
  l->kept = calloc(capacity, sizeof *l->kept);
  l->same = calloc(capacity, sizeof *l->same);
  l->tallies = calloc(capacity, sizeof *l->tallies);
  l->forms = calloc(capacity, sizeof *l->forms);
  if (!l->kept || !l->same || !l->tallies || !l->forms)
    return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  memcpy(l->kept, g->outputs, (size_t)g->n_outputs * sizeof *l->kept);
  l->n_kept = g->n_outputs;
  for (int32_t k = 0; k < g->n_kernels; ++k) {
    const int32_t result = nib_kernel_output(g, &g->kernels[k]);
    if (!contains(l->kept, l->n_kept, result))
      l->kept[l->n_kept++] = result;
  }
  return nib_graph_set_outputs(g, l->kept, l->n_kept);
}

static nib_status run_layers(layers *l, const nibc_binary *binary, const nibc_feed *in,
                             const nib_graph *oracle_graph) {
  const nib_graph *g = l->fused;
  nib_reference *fused = NULL, *oracle = NULL;
  nibc_buffers x = {0}, y = {0};
  nib_status status = nib_reference_create(g, &fused, nibc_diag());
  if (status == NIB_OK)
    status = nib_reference_create(oracle_graph, &oracle, nibc_diag());
  if (status == NIB_OK)
    status = nibc_buffers_create(g, g->inputs, g->n_inputs, &x);
  if (status == NIB_OK)
    status = nibc_buffers_create(g, g->outputs, g->n_outputs, &y);
  if (status == NIB_OK && nibc_graph_is_float(oracle_graph)) {
    nib_reference_use_double(fused, true);
    nib_reference_use_double(oracle, true);
  }
  for (int64_t run = 0; status == NIB_OK && run < in->runs; ++run) {
    for (int i = 0; i < in->n; ++i)
      memcpy(x.at[i], nibc_feed_at(in, i, run), nib_tensor_bytes(&g->tensors[g->inputs[i]]));
    const void *const *inputs = (const void *const *)x.at;
    status = nib_reference_run(fused, inputs, nibc_diag());
    if (status == NIB_OK)
      status = nib_reference_run(oracle, inputs, nibc_diag());
    if (status == NIB_OK)
      status = nibc_binary_run(binary, inputs, y.at);
    for (int32_t i = 0; status == NIB_OK && i < l->n_kept; ++i) {
      const nib_tensor *t = &g->tensors[l->kept[i]];
      const void *want = nib_reference_tensor(fused, l->kept[i]);
      nibc_tally_add(&l->tallies[i], t->format, y.at[i], want, nib_tensor_elems(t), run);
      if (l->same[i] != NIB_NONE)
        nibc_tally_add(&l->forms[i], t->format, want, nib_reference_tensor(oracle, l->same[i]),
                       nib_tensor_elems(t), run);
    }
  }
  nibc_buffers_free(&x);
  nibc_buffers_free(&y);
  nib_reference_destroy(fused);
  nib_reference_destroy(oracle);
  return status;
}

/* Position in `kept` of the first kernel result with differences; -1: none. */
static int32_t first_difference(const layers *l, const nibc_tally *tallies, int32_t *out_kernel) {
  const nib_graph *g = l->fused;
  for (int32_t k = 0; k < g->n_kernels; ++k)
    for (int32_t i = 0; i < l->n_kept; ++i)
      if (l->kept[i] == nib_kernel_output(g, &g->kernels[k]) && tallies[i].differing) {
        *out_kernel = k;
        return i;
      }
  return -1;
}

static nib_status report_layers(const layers *l) {
  const nib_graph *g = l->fused;
  char text[256];
  int32_t kernel = 0, compared = 0;
  for (int32_t i = 0; i < l->n_kept; ++i)
    compared += l->same[i] != NIB_NONE;
  const int32_t form = first_difference(l, l->forms, &kernel);
  if (form >= 0) {
    nibc_tally_describe(&l->forms[form], text, sizeof text);
    return nibc_fail(NIB_ERROR_MISMATCH,
                     "simplifying changed tensor '%s' (kernel %d, %s), the first that differs: %s",
                     g->tensors[l->kept[form]].name, kernel, g->kernels[kernel].name, text);
  }
  const int32_t first = first_difference(l, l->tallies, &kernel);
  if (first >= 0) {
    nibc_tally_describe(&l->tallies[first], text, sizeof text);
    return nibc_fail(NIB_ERROR_MISMATCH,
                     "tensor '%s' (kernel %d, %s) is the first that differs: %s",
                     g->tensors[l->kept[first]].name, kernel, g->kernels[kernel].name, text);
  }
  printf(
      "every layer agrees: the results of %d kernels, %d of them with the source's own tensors\n",
      g->n_kernels, compared);
  return NIB_OK;
}

nib_status nibc_verify_layers(nibc_session *s, const nibc_feed *in, const nib_graph *oracle) {
  layers l = {NULL, NULL, 0, NULL, NULL, NULL};
  nibc_binary binary = {0};
  nib_status status = nibc_session_set_graph(s, s->imported);
  if (status == NIB_OK)
    status = nibc_session_run(s, NIBC_STAGE_IMPORT, NIBC_STAGE_FUSE, false);
  if (status == NIB_OK)
    status = (l.fused = nibc_session_graph(s)) ? keep_results(&l) : NIB_ERROR_INTERNAL;
  for (int32_t i = 0; status == NIB_OK && i < l.n_kept; ++i)
    l.same[i] = find_same(oracle, &l.fused->tensors[l.kept[i]]);
  if (status == NIB_OK)
    status = nibc_session_set_graph(s, l.fused);
  if (status == NIB_OK)
    status = nibc_session_run(s, NIBC_STAGE_FUSE, NIBC_STAGE_SELECT, false);
  if (status == NIB_OK)
    status = nibc_binary_load(s, &binary);
  if (status == NIB_OK)
    status = run_layers(&l, &binary, in, oracle);
  if (status == NIB_OK)
    status = report_layers(&l);
  nibc_binary_unload(&binary);
  free(l.kept);
  free(l.same);
  free(l.tallies);
  free(l.forms);
  return status;
}

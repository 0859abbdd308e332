/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The select stage: a choice for each kernel of the graph. */
#include "select/select.h"

#include "schedule/schedule.h"
#include "vocab/vocab.h"

#include <stdio.h>
#include <string.h>

static nib_status apply(nib_graph *g, nib_kernel *k, const nib_select_candidate *c,
                        const nib_diag *diag) {
  /* The plan reserved the scratch of the very same choice; other options may need more. */
  if (k->scratch_offset >= 0 && c->scratch_bytes > k->scratch_bytes)
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                          "kernel '%s' needs %lld bytes of scratch, %lld are planned: plan and "
                          "select must run with the same target and options",
                          k->name, (long long)c->scratch_bytes, (long long)k->scratch_bytes);
  if (k->scratch_offset < 0 && c->scratch_bytes > 0 && g->arena_bytes >= 0)
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                          "kernel '%s' needs %lld bytes of scratch, none is planned: plan and "
                          "select must run with the same target and options",
                          k->name, (long long)c->scratch_bytes);
  k->schedule = nib_graph_strdup(g, c->schedule);
  k->vocab = nib_graph_strdup(g, c->vocab);
  if (k->schedule == NULL || k->vocab == NULL)
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory in select");
  memcpy(k->tile, c->tile, sizeof k->tile);
  k->parts = c->parts;
  k->predicted_ns = c->cost.ns;
  if (g->arena_bytes < 0)
    k->scratch_bytes = c->scratch_bytes;
  return NIB_OK;
}

/* The fewest features of the target's family that it lacks and with which vector code runs
 * `kernel`; 0: none would do. */
static nib_feature_set missing_features(const nib_graph *g, const nib_kernel *kernel,
                                        const nib_target *target) {
  nib_kernel fresh = *kernel;
  memset(fresh.tile, 0, sizeof fresh.tile);
  nib_feature_set others = 0, fewest = 0;
  for (int f = 0; f < NIB_FEATURE_COUNT; ++f)
    if (nib_feature_arch((nib_feature)f) != target->arch)
      others |= (nib_feature_set)1 << f;
  const nib_schedule *s;
  for (size_t i = 0; (s = nib_schedule_at(i)) != NULL; ++i) {
    const nib_vocab *v;
    for (size_t k = 0; (v = nib_vocab_at(k)) != NULL; ++k) {
      const nib_feature_set missing = v->requires_ & ~target->features;
      if (v->lanes < 2 || s->device != v->device || missing == 0 || (missing & others) ||
          strcmp(s->name, "direct") == 0 ||
          (fewest && __builtin_popcountll(missing) >= __builtin_popcountll(fewest)))
        continue;
      if (s->accepts(g, &fresh, v))
        fewest = missing;
    }
  }
  return fewest;
}

/* "; +v+zvfh would do", or "". */
static void say_missing(nib_feature_set missing, char *text, size_t capacity) {
  size_t used = 0;
  text[0] = 0;
  for (int f = 0; f < NIB_FEATURE_COUNT; ++f)
    if ((missing >> f & 1) && used < capacity)
      used += (size_t)snprintf(text + used, capacity - used, "%s+%s", used ? "" : "; it needs ",
                               nib_feature_name((nib_feature)f));
}

static void report_fallback(const nib_graph *g, const nib_kernel *k, const nib_select_context *x,
                            const nib_diag *diag) {
  const nib_node *root = &g->nodes[k->nodes[0]];
  char missing[256];
  say_missing(missing_features(g, k, &x->target), missing, sizeof missing);
  nib_diag_note(diag,
                "kernel '%s' (operator %d '%s', %s): no vector schedule of target %s runs it; it "
                "uses schedule '%s' with vocabulary '%s'%s",
                k->name, root->source_index, root->name, nib_op_get(root->op)->mnemonic,
                x->target.spec, k->schedule, k->vocab, missing);
}

static nib_status select_all(nib_graph *g, const nib_select_context *x, const nib_options *o,
                             const nib_diag *diag) {
  int fallbacks = 0, preferred = 0;
  const nib_kernel *first = NULL;
  for (int32_t i = 0; i < g->n_kernels; ++i) {
    nib_kernel *k = &g->kernels[i];
    nib_select_candidate choice;
    NIB_RETURN_IF_ERROR(nib_select_kernel(x, g, k, &choice, diag));
    NIB_RETURN_IF_ERROR(apply(g, k, &choice, diag));
    preferred += nib_select_is_preferred(x, &choice);
    if (nib_select_is_fallback(x, g, k, &choice)) {
      report_fallback(g, k, x, diag);
      ++fallbacks;
      first = first ? first : k;
    }
  }
  if (x->prefer && preferred == 0) {
    const nib_node *root = g->n_kernels > 0 ? &g->nodes[g->kernels[0].nodes[0]] : NULL;
    char missing[256];
    say_missing(x->prefer_missing, missing, sizeof missing);
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                          "no kernel, from %s on, can take the form '%s' on target %s%s",
                          root ? nib_op_get(root->op)->mnemonic : "none", x->prefer, x->target.spec,
                          missing);
  }
  if (fallbacks > 0 && o->no_fallback) {
    const nib_node *root = &g->nodes[first->nodes[0]];
    char missing[256];
    say_missing(missing_features(g, first, &x->target), missing, sizeof missing);
    return nib_diag_error(diag, NIB_ERROR_LIMIT,
                          "%d of %d kernels fall back to scalar code on target %s, and "
                          "--no-fallback is given: first operator %d '%s' (%s of %s)%s",
                          fallbacks, g->n_kernels, x->target.spec, root->source_index, root->name,
                          nib_op_get(root->op)->mnemonic,
                          nib_format_get(nib_node_input(g, root, 0)
                                             ? nib_node_input(g, root, 0)->format
                                             : g->tensors[root->out].format)
                              ->name,
                          missing);
  }
  return NIB_OK;
}

nib_status nib_select_graph(nib_graph *g, const nib_options *o, const nib_diag *diag) {
  if (g->n_kernels == 0 && g->n_nodes > 0)
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                          "the graph has no kernels: run fuse before select");
  nib_select_context x;
  nib_status status = nib_select_open(o, &x, diag);
  if (status == NIB_OK)
    status = select_all(g, &x, o, diag);
  nib_select_close(&x);
  return status;
}

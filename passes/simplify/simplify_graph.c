/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The simplify stage: tables of rules, phase after phase, each to a fixpoint.
 *
 *   sink     transposes go down until they meet their inverse
 *   move     dequantize goes down and quantize up through data movement, so that what lies between
 *            them computes; transposes now meet their inverses on codes
 *   islands  dequantize - float operator - quantize becomes the integer operator; tables
 *   absorb   padding, bias, scale and activation go into convolutions
 *   fold     what is left constant is computed now */
#include "simplify/simplify.h"

#include "pipeline/stages.h"

#include <stdlib.h>

#define ANY NIB_OP_COUNT

#define CLEANUP                                                                                    \
  {NIB_OP_SQUEEZE, nib_simplify_view_identity}, {NIB_OP_EXPAND_DIMS, nib_simplify_view_identity},  \
      {NIB_OP_RESHAPE, nib_simplify_view_identity}, {NIB_OP_RESHAPE, nib_simplify_view_merge},     \
      {NIB_OP_SCAST, nib_simplify_scast}, {NIB_OP_SCAST, nib_simplify_scast_hoist},                \
      {NIB_OP_TRANSPOSE, nib_simplify_transpose_merge},                                            \
      {NIB_OP_TRANSPOSE, nib_simplify_transpose_of_constant},                                      \
      {NIB_OP_TRANSPOSE, nib_simplify_transpose_of_weights},                                       \
      {NIB_OP_CONCAT, nib_simplify_trivial_concat}, {NIB_OP_PAD, nib_simplify_trivial_pad},        \
      {NIB_OP_SLICE, nib_simplify_trivial_slice},                                                  \
      {NIB_OP_STRIDED_SLICE, nib_simplify_trivial_slice}, {                                        \
    ANY, nib_simplify_fold_movement                                                                \
  }

static const nib_simplify_rule k_sink[] = {
    CLEANUP,
    {NIB_OP_MATMUL, nib_simplify_matmul_to_dense},
    {NIB_OP_MUL, nib_simplify_hard_swish},
    {NIB_OP_DIV, nib_simplify_hard_swish},
    {ANY, nib_simplify_transpose_sink},
};

static const nib_simplify_rule k_move[] = {
    CLEANUP,
    {NIB_OP_TRANSPOSE, nib_simplify_transpose_to_reshape},
    {NIB_OP_ADD, nib_simplify_bias_absorb},
    {NIB_OP_MUL, nib_simplify_scale_absorb},
    {NIB_OP_RELU, nib_simplify_activation_absorb},
    {NIB_OP_CLAMP, nib_simplify_activation_absorb},
    {ANY, nib_simplify_dequantize_sink},
    {NIB_OP_QUANTIZE, nib_simplify_quantize_share},
    {NIB_OP_QUANTIZE, nib_simplify_quantize_hoist},
    {NIB_OP_QUANTIZE, nib_simplify_quantize_distribute},
};

static const nib_simplify_rule k_islands[] = {
    CLEANUP,
    {NIB_OP_QUANTIZE, nib_simplify_requantize},
    {NIB_OP_QUANTIZE, nib_simplify_table_of_cone},
    {NIB_OP_QUANTIZE, nib_simplify_thresholds},
    {NIB_OP_QUANTIZE, nib_simplify_island},
};

static const nib_simplify_rule k_absorb[] = {
    CLEANUP,
    {NIB_OP_CONV2D, nib_simplify_decode_input},
    {NIB_OP_DEPTHWISE_CONV2D, nib_simplify_decode_input},
    {NIB_OP_TRANSPOSE_CONV2D, nib_simplify_decode_input},
    {NIB_OP_CONV2D, nib_simplify_pad_absorb},
    {NIB_OP_DEPTHWISE_CONV2D, nib_simplify_pad_absorb},
    {NIB_OP_DEPTHWISE_CONV2D, nib_simplify_depthwise_to_conv},
    {NIB_OP_MAX_POOL2D, nib_simplify_largest_of_all},
    {NIB_OP_FULLY_CONNECTED, nib_simplify_dense_columns},
    {NIB_OP_FULLY_CONNECTED, nib_simplify_accumulate},
    {NIB_OP_CONV2D, nib_simplify_accumulate},
    {NIB_OP_DEPTHWISE_CONV2D, nib_simplify_accumulate},
    {NIB_OP_TRANSPOSE, nib_simplify_transpose_to_reshape},
    {NIB_OP_REQUANTIZE, nib_simplify_accumulator_absorb},
    {NIB_OP_RELU, nib_simplify_activation_absorb},
    {NIB_OP_CLAMP, nib_simplify_activation_absorb},
    {ANY, nib_simplify_table_of_op},
    {NIB_OP_LOOKUP, nib_simplify_table_of_table},
};

static const nib_simplify_rule k_fold[] = {
    CLEANUP,
    {ANY, nib_simplify_fold_all},
};

static const struct phase {
  const char *name;
  const nib_simplify_rule *rules;
  size_t n;
} k_phases[] = {
#define PHASE(table)                                                                               \
  { &#table[2], table, sizeof table / sizeof table[0] }
    PHASE(k_sink), PHASE(k_move), PHASE(k_islands), PHASE(k_absorb), PHASE(k_fold),
#undef PHASE
};

static bool apply_rules(nib_simplify *s, const struct phase *phase) {
  bool changed = false;
  const int32_t n = s->g->n_nodes; /* nodes added now have their turn after the sort */
  for (int32_t i = 0; i < n && s->status == NIB_OK; ++i)
    for (size_t r = 0; r < phase->n && s->status == NIB_OK; ++r) {
      const nib_node *node = &s->g->nodes[i];
      if (nib_node_is_erased(node))
        break;
      if (phase->rules[r].op == ANY || phase->rules[r].op == node->op)
        changed = phase->rules[r].apply(s, i) || changed;
    }
  return changed;
}

static nib_status run_phase(nib_simplify *s, const struct phase *phase) {
  /* Every rule removes or moves something one way; the limit only guards against a mistake. */
  const int64_t limit = 64 + 8 * (int64_t)s->g->n_nodes;
  for (int64_t round = 0; round < limit; ++round) {
    const bool changed = apply_rules(s, phase);
    if (s->status != NIB_OK)
      return s->status;
    NIB_RETURN_IF_ERROR(nib_graph_sweep(s->g, s->diag));
    if (!changed)
      return NIB_OK;
  }
  return nib_diag_error(s->diag, NIB_ERROR_INTERNAL, "simplify: the rules of phase '%s' do not end",
                        phase->name);
}

static nib_status run_phases(nib_simplify *s) {
  for (size_t i = 0; i < sizeof k_phases / sizeof k_phases[0]; ++i) {
    if (k_phases[i].rules == k_fold)
      nib_simplify_report(s); /* while weights are still dequantized constants */
    NIB_RETURN_IF_ERROR(run_phase(s, &k_phases[i]));
  }
  return NIB_OK;
}

nib_status nib_simplify_graph(nib_graph *g, const nib_options *o, const nib_diag *diag) {
  if (g->n_kernels > 0)
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE, "simplify must run before fuse");
  nib_simplify s = {.g = g, .diag = diag};
  if (o->rounding != NULL) {
    g->rounding = nib_graph_strdup(g, o->rounding);
    if (g->rounding == NULL)
      return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "simplify: out of memory");
  }
  NIB_RETURN_IF_ERROR(nib_graph_sweep(g, diag));
  const nib_status status = run_phases(&s);
  free(s.turned);
  return status != NIB_OK ? status : nib_graph_validate(g, diag);
}

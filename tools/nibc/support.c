/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What is supported, decided from options and graph alone. */
#include "support.h"
#include "lower.h"
#include "message.h"
#include "num/rounding.h"
#include "quantize/quantize.h"
#include "reference/reference.h"
#include "session.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { NIBC_MOST_THREADS = 256 };

static bool is(const char *value, const char *word) { return value && strcmp(value, word) == 0; }

/* Values that the command line knows and no capability fills yet. */
static nib_status check_later(const nibc_options *o) {
  nib_status status = NIB_OK;
  if (o->accumulate.n && !nibc_has_narrow_floats(o))
    status = nibc_fail(NIB_ERROR_INVALID_USAGE, "--accumulate goes with --precision=f16 or bf16");
  if (o->threads > NIBC_MOST_THREADS)
    status = nibc_fail(NIB_ERROR_UNSUPPORTED, "--threads=%lld: at most %d are supported",
                       (long long)o->threads, NIBC_MOST_THREADS);
  if (o->cost_model && strcmp(o->cost_model, "analytic") != 0)
    status = nibc_fail(NIB_ERROR_UNSUPPORTED,
                       "--cost-model=%s: learned cost models are not supported yet", o->cost_model);
  if (o->rounding) {
    const nib_rounding rounding = nib_rounding_find(o->rounding);
    if (rounding >= NIB_ROUNDING_TFLITE_INT64 && rounding <= NIB_ROUNDING_TOSA_INEXACT)
      status = nibc_fail(NIB_ERROR_UNSUPPORTED,
                         "--rounding=%s is not supported yet as a model's rounding", o->rounding);
  }
  return status;
}

static nib_status unknown_rounding(const char *word) {
  char list[256] = "";
  for (int i = 0; i < NIB_ROUNDING_COUNT; ++i) {
    strncat(list, i ? ", " : "", sizeof list - strlen(list) - 1);
    strncat(list, nib_rounding_name((nib_rounding)i), sizeof list - strlen(list) - 1);
  }
  return nibc_fail(NIB_ERROR_INVALID_USAGE, "--rounding: '%s' is none of %s", word, list);
}

static bool has_other_characters(const char *word) {
  for (const char *c = word; *c; ++c)
    if (!isalnum((unsigned char)*c) && !strchr("_.:=,*?/+-;", *c))
      return true;
  return false;
}

/* The rules are an option of a pass, within a pipeline in MLIR's words: only what names have. */
static nib_status check_weight_formats(const nibc_options *o) {
  for (int i = 0; i < o->weight_formats.n; ++i)
    if (has_other_characters(o->weight_formats.items[i]))
      return nibc_fail(NIB_ERROR_INVALID_USAGE,
                       "--weight-format: '%s' has other characters than letters, digits and "
                       "_.:=,*?/+-",
                       o->weight_formats.items[i]);
  for (int i = 0; i < o->accumulate.n; ++i)
    if (has_other_characters(o->accumulate.items[i]))
      return nibc_fail(NIB_ERROR_INVALID_USAGE,
                       "--accumulate: '%s' has other characters than letters, digits and "
                       "_.:=,*?/+-",
                       o->accumulate.items[i]);
  if (o->activation_format &&
      (has_other_characters(o->activation_format) ||
       nib_format_find(o->activation_format) == NIB_FORMAT_COUNT ||
       nib_format_get(nib_format_find(o->activation_format))->kind != NIB_KIND_BLOCK))
    return nibc_fail(NIB_ERROR_INVALID_USAGE,
                     "--activation-format: '%s' is no format of blocks, as q8_0 is",
                     o->activation_format);
  char *text = nibc_weight_formats(o);
  nib_weight_rules rules;
  nib_status status = NIB_OK;
  if (text) {
    status = nib_weight_rules_parse(text, &rules, nibc_diag());
    nib_weight_rules_free(&rules);
  }
  free(text);
  return status;
}

/* What --codegen=mlir has not: C, kernels, an arena. */
static nib_status check_codegen(const nibc_options *o) {
  if (!nibc_is_lowered(o))
    return NIB_OK;
  const char *other = is(o->emit, "c")          ? "--emit=c"
                      : o->weights              ? "--weights"
                      : o->report               ? "--report"
                      : o->per_layer            ? "--per-layer"
                      : o->max_arena_bytes >= 0 ? "--max-arena"
                      : o->no_fallback          ? "--no-fallback"
                      : o->threads > 1          ? "--threads"
                      : o->explain              ? "--explain"
                      : o->pass_pipeline        ? "--pass-pipeline"
                                                : NULL;
  return other ? nibc_fail(NIB_ERROR_INVALID_USAGE, "%s goes with --codegen=c, not --codegen=mlir",
                           other)
               : NIB_OK;
}

/* What goes with a CUDA target alone, and what does not go with one. */
static nib_status check_cuda(const nibc_options *o) {
  static const nib_diag silent = {0};
  nib_target target;
  const char *spec = o->target ? o->target : "native";
  if (nib_target_parse(spec, &target, &silent) != NIB_OK)
    return NIB_OK; // said where the target is needed
  const bool makes_kernels = is(o->emit, "cuda") || is(o->emit, "ptx") || is(o->emit, "cubin");
  if (!nib_target_is_cuda(&target))
    return makes_kernels ? nibc_fail(NIB_ERROR_INVALID_USAGE,
                                     "--emit=%s goes with a CUDA target, as --target=sm_90a, not with %s",
                                     o->emit, spec)
                         : NIB_OK;
  const bool makes_code = is(o->emit, "llvm") || is(o->emit, "asm") || is(o->emit, "obj");
  if (makes_code)
    return nibc_fail(NIB_ERROR_INVALID_USAGE,
                     "--emit=%s does not go with --target=%s; kernels are written by cuda, ptx and cubin", o->emit,
                     spec);
  const char *other = nibc_is_lowered(o) ? "--codegen=mlir" : o->threads > 1 ? "--threads" : NULL;
  return other ? nibc_fail(NIB_ERROR_INVALID_USAGE, "%s goes with a processor, not with --target=%s", other, spec)
               : NIB_OK;
}

/* What goes with a RISC-V target alone, and what its emulated processor can be. */
static nib_status check_riscv(const nibc_options *o) {
  static const nib_diag silent = {0};
  nib_target target;
  const char *spec = o->target ? o->target : "native";
  if (nib_target_parse(spec, &target, &silent) != NIB_OK)
    return NIB_OK; // said where the target is needed
  if (!nib_target_is_riscv(&target)) {
    const char *option = o->count ? "--count" : o->vlen ? "--vlen" : NULL;
    return option ? nibc_fail(NIB_ERROR_INVALID_USAGE,
                              "%s goes with a RISC-V target, as --target=riscv64-linux-gnu+v, not with %s",
                              option, spec)
                  : NIB_OK;
  }
  if (nibc_is_lowered(o))
    return nibc_fail(NIB_ERROR_INVALID_USAGE, "--codegen=mlir goes with the host's processor, not with %s",
                     spec);
  if (!o->vlen)
    return NIB_OK;
  const bool has_vectors = target.features & NIB_FEATURE_BIT(V);
  const int32_t least = nib_target_vlen(&target) ? nib_target_vlen(&target) : 128;
  if (!has_vectors || o->vlen < least || o->vlen > 1024 || (o->vlen & (o->vlen - 1)))
    return nibc_fail(NIB_ERROR_INVALID_USAGE,
                     has_vectors ? "--vlen=%lld: %s takes a power of two from %d to 1024"
                                 : "--vlen=%lld: %s has no vectors; add +v",
                     (long long)o->vlen, spec, least);
  return NIB_OK;
}

nib_status nibc_check_options(const nibc_options *o) {
  if (o->rounding && nib_rounding_find(o->rounding) == NIB_ROUNDING_COUNT)
    return unknown_rounding(o->rounding);
  if (o->stop_after && o->emit && !is(o->emit, "mlir"))
    return nibc_fail(NIB_ERROR_INVALID_USAGE,
                     "--stop-after prints the IR: it goes with --emit=mlir, not --emit=%s",
                     o->emit);
  if (o->stop_after && o->command != NIBC_COMPILE)
    return nibc_fail(NIB_ERROR_INVALID_USAGE,
                     "--stop-after leaves nothing to run; use 'nibc compile'");
  if (o->stop_after && o->pass_pipeline)
    return nibc_fail(NIB_ERROR_INVALID_USAGE,
                     "--stop-after and --pass-pipeline exclude each other");
  NIB_RETURN_IF_ERROR(check_weight_formats(o));
  NIB_RETURN_IF_ERROR(check_codegen(o));
  NIB_RETURN_IF_ERROR(check_cuda(o));
  NIB_RETURN_IF_ERROR(check_riscv(o));
  return check_later(o);
}

bool nibc_graph_is_float(const nib_graph *g) {
  for (int32_t t = 0; t < g->n_tensors; ++t)
    if (g->tensors[t].quantized)
      return false;
  return true;
}

static bool is_tflite(const char *rounding) {
  return rounding && strncmp(rounding, "tflite", 6) == 0;
}

/* Whether a float operator reads dequantized codes. */
static bool has_float_between_codes(const nib_graph *g) {
  for (int32_t i = 0; i < g->n_nodes; ++i) {
    const nib_node *n = &g->nodes[i];
    if (n->op == NIB_OP_QUANTIZE || n->op == NIB_OP_DEQUANTIZE ||
        g->tensors[n->out].format != NIB_F32)
      continue;
    for (int32_t s = 0; s < n->n_in; ++s) {
      const int32_t from = n->in[s] == NIB_NONE ? NIB_NONE : g->tensors[n->in[s]].producer;
      if (from != NIB_NONE && g->nodes[from].op == NIB_OP_DEQUANTIZE)
        return true;
    }
  }
  return false;
}

bool nibc_graph_is_qdq(const nib_graph *g) {
  return !is_tflite(g->rounding) && has_float_between_codes(g);
}

nib_status nibc_check_graph(const nibc_options *o, const nib_graph *g) {
  nib_status status = NIB_OK;
  const bool is_float = nibc_graph_is_float(g);
  if (is(o->precision, "int8") && is_float)
    status = nibc_fail(NIB_ERROR_UNSUPPORTED,
                       "--precision=int8: quantizing a float model is not supported yet");
  if (is(o->precision, "f32") && !is_float)
    status = nibc_fail(NIB_ERROR_UNSUPPORTED,
                       "--precision=f32: running a quantized model in float is not supported yet");
  if (is_tflite(o->rounding) && has_float_between_codes(g))
    status = nibc_fail(NIB_ERROR_UNSUPPORTED,
                       "--rounding=%s: a network of quantize/dequantize pairs rounds a float, to "
                       "nearest-even or nearest-away",
                       o->rounding);
  for (int32_t i = 0; i < g->n_nodes; ++i) {
    const nib_node *n = &g->nodes[i];
    if (nib_reference_supports(g, i))
      continue;
    status = nibc_fail(NIB_ERROR_UNSUPPORTED, "operator %d (%s '%s'): no kernel for %s",
                       n->source_index, nib_op_get(n->op)->mnemonic, n->name,
                       nib_format_get(g->tensors[n->out].format)->name);
  }
  return status;
}

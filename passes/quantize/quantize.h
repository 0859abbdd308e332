/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The quantize stage inside: which weights get which format, and what they lose. */
#ifndef NIB_QUANTIZE_QUANTIZE_H
#define NIB_QUANTIZE_QUANTIZE_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_MAX_WEIGHT_RULES 64

/** `pattern` has the whole of a weight's name to match, * and ? standing for anything; "" is the
 *  rule for all weights that no other rule names. */
typedef struct nib_weight_rule {
  const char *pattern; /**< owned by nib_weight_rules */
  nib_format format;
} nib_weight_rule;

typedef struct nib_weight_rules {
  nib_weight_rule rows[NIB_MAX_WEIGHT_RULES];
  int n;
  char *text;
} nib_weight_rules;

/** Reads "FORMAT" and "PATTERN=FORMAT", separated by semicolons. A pattern without * and ? matches
 *  names that have it anywhere. NIB_ERROR_INVALID_USAGE for unknown formats, NIB_ERROR_UNSUPPORTED
 *  for those that hold no reals. Release with nib_weight_rules_free in any case. */
nib_status nib_weight_rules_parse(const char *text, nib_weight_rules *out_rules,
                                  const nib_diag *diag);
void nib_weight_rules_free(nib_weight_rules *rules);
/** Index of the rule for the weight called `name`, or -1: the first pattern that matches, else the
 *  rule for all. */
int nib_weight_rules_find(const nib_weight_rules *rules, const char *name);

/** Casts the f32 activations of fully_connected with constant weights in blocks to `format`, which has
 *  blocks. NIB_ERROR_INVALID_USAGE where there is no such format or layer; layers whose rows its blocks
 *  do not divide keep theirs: a note, or with no_fallback NIB_ERROR_LIMIT. */
nib_status nib_quantize_activations(nib_graph *g, const char *format, bool no_fallback,
                                    const nib_diag *diag);

/** All f32 tensors between the network's inputs and outputs, and constants, in `format`: "f16" or
 *  "bf16". `sums`: rules by names of layers' results, "FORMAT;PATTERN=FORMAT", for what products are
 *  summed in: f16 (the default of f16) or f32; a layer's bias has that format. NULL: defaults. */
nib_status nib_quantize_precision(nib_graph *g, const char *format, const char *sums,
                                  const nib_diag *diag);

/** Whether operand `slot` of the node is weights that the stage may encode: the constant filter of
 * a convolution or fully_connected of reals, a constant matrix of reals that a matmul multiplies
 * with, or a table of rows that a gather reads. */
bool nib_is_weight(const nib_graph *g, const nib_node *n, int32_t slot);

/** 10 log10 of the energy of `from` to that of its difference to `to`, which has the same elements
 *  or, in each row, more; infinite where there is none. NAN for other shapes, or when
 *  out of memory. */
double nib_weight_sqnr_db(const nib_tensor *from, const nib_tensor *to);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Comparisons inside the network: layer by layer, and a QDQ network in float as written. */
#ifndef NIBC_VERIFY_LAYERS_H
#define NIBC_VERIFY_LAYERS_H

#include "compare.h"
#include "feed.h"
#include "reference/reference.h"
#include "session.h"

/** Differences, in steps (1 = one code) of quantized tensors, between two evaluations. */
typedef struct nibc_step_tally {
  int64_t elems, differing;
  int tensors;
  double largest;
  const char *worst_name;
  int64_t worst_run, worst_index;
} nibc_step_tally;

/** Adds one run: every quantized tensor that both graphs have (name, format, shape, scale), and the
 *  outputs that are dequantized codes. */
void nibc_step_tally_add(nibc_step_tally *tally, const nib_graph *written_graph,
                         nib_reference *written, const nib_graph *integer_graph,
                         nib_reference *integer, int64_t run);

/** The same operator by operator: runs `written` on `inputs`, each quantized result compared and
 * then replaced by the integer form's codes. A difference of one step, where a result lies between
 * two codes, is so not multiplied by the operators that follow. */
nib_status nibc_step_tally_run(nibc_step_tally *tally, const nib_graph *written_graph,
                               nib_reference *written, const nib_graph *integer_graph,
                               nib_reference *integer, const void *const *inputs, int64_t run);

/** A network compared by the result of each of its kernels. */
typedef struct nibc_layers {
  nib_graph *fused; /**< not owned; its outputs are `kept` */
  int32_t *kept;    /**< tensors: the network's outputs, then the others in kernel order */
  int32_t n_kept;
  nibc_tally *tallies; /**< what runs against the fused graph's reference */
  nibc_tally *forms;   /**< the fused graph's reference against the oracle's */
  int32_t *same;       /**< the oracle's tensor for each kept one, or NIB_NONE */
  int32_t
      *wide; /**< where --precision made it narrow, the oracle's tensor of its name, or NIB_NONE */
  double *errors; /**< of what runs, against that: ‖y − r‖∞ / ‖r‖∞ at its largest */
  bool mixed;     /**< see nibc_graph_is_mixed */
  void **singles; /**< where mixed: the f32 reference's kept tensors in a run */
} nibc_layers;

/** Whether codes are computed from reals that the network computes. A real between two codes may be
 *  rounded to either, which operators that follow multiply: each kernel is judged by itself, on the
 *  inputs that it had, and codes that it makes of reals may be one step off. */
bool nibc_graph_is_mixed(const nib_graph *g);

/** Runs a network: one array for each input and each output of its graph. */
typedef nib_status nibc_network(void *context, const void *const *inputs, void *const *outputs);

/** Makes the result of every kernel of `fused` an output of it. Free after success and failure. */
nib_status nibc_layers_create(nib_graph *fused, const nib_graph *oracle, nibc_layers *out_layers);
void nibc_layers_free(nibc_layers *layers);
/** Runs `network`, which should compute layers->fused, on every run of `in` and compares. */
nib_status nibc_layers_compare(nibc_layers *layers, const nib_graph *oracle, const nibc_feed *in,
                               nibc_network *network, void *context);
/** NIB_ERROR_MISMATCH and the first tensor that differs, or NIB_OK and how many agree. */
nib_status nibc_layers_judge(const nibc_layers *layers, char *out_text, size_t size);

/** Compiles a variant of the session's model that keeps the result of every kernel, and compares
 *  each with the reference of the fused graph; that reference with the one of `oracle`, tensor by
 *  tensor. Names the first that differs. */
nib_status nibc_verify_layers(nibc_session *session, const nibc_feed *in, const nib_graph *oracle);

#endif

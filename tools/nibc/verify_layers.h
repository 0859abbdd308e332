/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Comparisons inside the network: layer by layer, and a QDQ network in float as written. */
#ifndef NIBC_VERIFY_LAYERS_H
#define NIBC_VERIFY_LAYERS_H

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

/** The same operator by operator: runs `written` on `inputs`, each quantized result compared and then
 *  replaced by the integer form's codes. A difference of one step, where a result lies between two
 *  codes, is so not multiplied by the operators that follow. */
nib_status nibc_step_tally_run(nibc_step_tally *tally, const nib_graph *written_graph,
                               nib_reference *written, const nib_graph *integer_graph,
                               nib_reference *integer, const void *const *inputs, int64_t run);

/** Compiles a variant of the session's model that keeps the result of every kernel, and compares
 *  each with the reference of the fused graph; that reference with the one of `oracle`, tensor by
 *  tensor. Names the first that differs. */
nib_status nibc_verify_layers(nibc_session *session, const nibc_feed *in, const nib_graph *oracle);

#endif

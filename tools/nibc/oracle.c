/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The reference evaluator as an oracle. */
#include "oracle.h"
#include "message.h"

#include <string.h>

nib_status nibc_oracle_create(const nib_graph *graph, bool is_float, nibc_oracle *o) {
  memset(o, 0, sizeof *o);
  o->graph = graph;
  NIB_RETURN_IF_ERROR(nib_reference_create(graph, &o->exact, nibc_diag()));
  nib_reference_use_double(o->exact, is_float);
  return is_float ? nib_reference_create(graph, &o->single, nibc_diag()) : NIB_OK;
}

void nibc_oracle_free(nibc_oracle *o) {
  nib_reference_destroy(o->exact);
  nib_reference_destroy(o->single);
  memset(o, 0, sizeof *o);
}

nib_status nibc_oracle_run(const nibc_oracle *o, const void *const *inputs) {
  NIB_RETURN_IF_ERROR(nib_reference_run(o->exact, inputs, nibc_diag()));
  return o->single ? nib_reference_run(o->single, inputs, nibc_diag()) : NIB_OK;
}

void nibc_oracle_compare(const nibc_oracle *o, int32_t id, const void *got, int64_t run,
                         nibc_tally *tally) {
  const nib_tensor *t = &o->graph->tensors[id];
  const int64_t n = nib_tensor_elems(t);
  const double *exact = o->single ? nib_reference_doubles(o->exact, id) : NULL;
  if (exact && t->format == NIB_F32)
    nibc_tally_add_exact(tally, got, exact, nib_reference_tensor(o->single, id), n, run);
  else /* rounded to another format on the way, or decided by a comparison: as f32 does */
    nibc_tally_add(tally, t->format, got,
                   nib_reference_tensor(o->single ? o->single : o->exact, id), n, run);
}

const void *nibc_oracle_tensor(const nibc_oracle *o, int32_t id) {
  return nib_reference_tensor(o->exact, id);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * multi_threshold: counts the thresholds that a value has reached. */
#include "reference/internal.h"

#include <stdlib.h>

nib_status nib_ref_multi_threshold(nib_reference *r, const nib_node *n) {
  const nib_tensor *x = nib_ref_tensor(r, n->in[0]), *t = nib_ref_tensor(r, n->in[1]);
  const int32_t steps_id = n->n_in > 2 ? n->in[2] : NIB_NONE;
  const int64_t elems = nib_tensor_elems(x), channels = t->dims[0], levels = t->dims[1];
  /* i32 and f32 are exact in double. */
  double *values = nib_ref_load_reals(r, n->in[0]), *limits = nib_ref_load_reals(r, n->in[1]);
  int64_t *steps = steps_id == NIB_NONE ? NULL : nib_ref_load_codes(r, steps_id, 0);
  int64_t *codes = calloc((size_t)elems + 1, sizeof *codes), lo, hi;
  const bool ok = values && limits && codes && (steps || steps_id == NIB_NONE);
  nib_params_code_range(r->g, n, &lo, &hi);
  for (int64_t i = 0; ok && i < elems; ++i) {
    const int64_t c = channels > 1 ? i % channels : 0;
    int64_t count = 0;
    for (int64_t k = 0; k < levels; ++k)
      count += values[i] >= limits[c * levels + k];
    codes[i] = steps && steps[c] < 0 ? hi - count : lo + count;
  }
  if (ok)
    nib_ref_store_codes(r, n->out, codes);
  free(values);
  free(limits);
  free(steps);
  free(codes);
  return ok ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

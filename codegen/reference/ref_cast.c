/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * cast: the same numbers in another format. */
#include "reference/internal.h"

#include <stdlib.h>

/* Between reals and codebooks, bipolar numbers or blocks. To blocks, by f32: as their source does
 * it, or, where the mode is said, rounded so in terms of the scale of the format's rule. */
static nib_status cast_reals(nib_reference *r, const nib_node *n) {
  const nib_tensor *y = nib_ref_tensor(r, n->out);
  const int64_t elems = nib_tensor_elems(y);
  const nib_encode_mode mode = nib_node_encode_mode(n);
  double *x = nib_ref_load_reals(r, n->in[0]);
  float *row = malloc(((size_t)elems + 1) * sizeof *row);
  const bool ok = x && row;
  for (int64_t i = 0; ok && i < elems; ++i)
    row[i] = (float)x[i];
  if (ok && nib_format_get(y->format)->kind == NIB_KIND_BLOCK) {
    const nib_encode_options options = {.mode = mode, .scale = NIB_SCALE_ABSMAX};
    nib_format_encode_row(y->format, row, elems, nib_node_attr(n, NIB_A_MODE) ? &options : NULL,
                          nib_ref_result_bytes(r, n->out));
  } else if (ok && nib_format_get(y->format)->kind == NIB_KIND_FLOAT) {
    nib_ref_store_reals(r, n->out, x);
  } else {
    for (int64_t i = 0; ok && i < elems; ++i)
      nib_format_store_code(y->format, nib_ref_result_bytes(r, n->out), i,
                            (int64_t)nib_format_encode(y->format, x[i], mode, true, 0));
  }
  free(x);
  free(row);
  return ok ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

nib_status nib_ref_cast(nib_reference *r, const nib_node *n) {
  if (!nib_cast_is_scalar(r->g, n))
    return cast_reals(r, n);
  const nib_tensor *y = nib_ref_tensor(r, n->out), *x = nib_ref_tensor(r, n->in[0]);
  const bool saturate = nib_node_int(n, NIB_A_SATURATE, 0) != 0;
  const bool from_wide = nib_ref_element_bytes(r, n->in[0]) > nib_format_bytes(x->format);
  const bool to_wide = nib_ref_element_bytes(r, n->out) > nib_format_bytes(y->format);
  nib_format_cast(from_wide ? NIB_F64 : x->format, nib_ref_bytes(r, n->in[0]),
                  to_wide ? NIB_F64 : y->format, nib_ref_result_bytes(r, n->out),
                  nib_tensor_elems(y), nib_node_encode_mode(n), saturate);
  return NIB_OK;
}

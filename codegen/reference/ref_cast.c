/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * cast: the same numbers in another format. */
#include "reference/internal.h"

nib_status nib_ref_cast(nib_reference *r, const nib_node *n) {
  const nib_tensor *y = nib_ref_tensor(r, n->out), *x = nib_ref_tensor(r, n->in[0]);
  const bool saturate = nib_node_int(n, NIB_A_SATURATE, 0) != 0;
  const bool from_wide = nib_ref_element_bytes(r, n->in[0]) > nib_format_bytes(x->format);
  const bool to_wide = nib_ref_element_bytes(r, n->out) > nib_format_bytes(y->format);
  nib_format_cast(from_wide ? NIB_F64 : x->format, nib_ref_bytes(r, n->in[0]),
                  to_wide ? NIB_F64 : y->format, nib_ref_result_bytes(r, n->out),
                  nib_tensor_elems(y), nib_node_encode_mode(n), saturate);
  return NIB_OK;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * cast: the same numbers in another format. */
#include "reference/internal.h"

#include "num/format_snippets.h"

/* Real to integer: toward zero, saturated. Integer to integer: the low bits. */
static int64_t to_integer(nib_format to, double x) {
  const nib_format_info *info = nib_format_get(to);
  if (to == NIB_I1)
    return x != 0;
  return to == NIB_U64 ? (int64_t)nib_real_to_uint64(x) : nib_real_to_int(x, info->min, info->max);
}

static int64_t low_bits(nib_format to, int64_t code) {
  const nib_format_info *info = nib_format_get(to);
  if (to == NIB_I1)
    return code != 0;
  if (info->bits == 64)
    return code;
  const uint64_t mask = (UINT64_C(1) << info->bits) - 1, low = (uint64_t)code & mask;
  const uint64_t sign = info->kind == NIB_KIND_SIGNED ? (mask >> 1) + 1 : 0;
  return (int64_t)((low ^ sign) - sign);
}

nib_status nib_ref_cast(nib_reference *r, const nib_node *n) {
  const nib_tensor *y = nib_ref_tensor(r, n->out), *x = nib_ref_tensor(r, n->in[0]);
  const bool saturate = nib_node_int(n, NIB_A_SATURATE, 0) != 0;
  const bool from_wide = nib_ref_element_bytes(r, n->in[0]) > nib_format_bytes(x->format);
  const bool to_wide = nib_ref_element_bytes(r, n->out) > nib_format_bytes(y->format);
  const nib_format from = from_wide ? NIB_F64 : x->format, to = to_wide ? NIB_F64 : y->format;
  const unsigned char *in = nib_ref_bytes(r, n->in[0]);
  unsigned char *out = nib_ref_result_bytes(r, n->out);
  for (int64_t i = 0, elems = nib_tensor_elems(y); i < elems; ++i) {
    const bool real = nib_ref_is_real(x);
    const double value = nib_format_load_real(from, in, i);
    if (!nib_ref_is_real(y))
      nib_format_store_code(to, out, i,
                            real ? to_integer(to, value)
                                 : low_bits(to, nib_format_load_code(from, in, i)));
    else if (to == NIB_F32 || to == NIB_F64)
      nib_format_store_real(to, out, i, value);
    else /* generated code holds reals of other formats than f64 as float */
      nib_format_store_code(
          to, out, i, (int64_t)nib_format_encode(to, value, NIB_ENCODE_NEAREST_EVEN, saturate, 0));
  }
  return NIB_OK;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Elements without the bits that memory adds to them. */
#include "num/format.h"
#include "num/format_snippets.h"

#include <string.h>

/* Whether elements in memory have no other bits. */
static bool is_dense(const nib_format_info *info) {
  return info->kind == NIB_KIND_BLOCK || info->bits == 8 * info->bytes;
}

size_t nib_format_packed_bytes(nib_format format, int64_t elems) {
  const nib_format_info *info = nib_format_get(format);
  if (is_dense(info))
    return nib_format_storage_bytes(format, elems);
  if (format == NIB_TERNARY)
    return (size_t)(elems / 5 + (elems % 5 != 0));
  /* Eight codes are a whole number of bytes; so nothing overflows. */
  return (size_t)(elems / 8 * info->bits + (elems % 8 * info->bits + 7) / 8);
}

void nib_format_pack(nib_format format, const void *unpacked, int64_t elems, void *packed) {
  const nib_format_info *info = nib_format_get(format);
  if (is_dense(info)) {
    memcpy(packed, unpacked, nib_format_storage_bytes(format, elems));
    return;
  }
  for (int64_t i = 0; i < elems; ++i) {
    const int64_t code = nib_format_load_code(format, unpacked, i);
    if (format == NIB_TERNARY)
      nib_pack_ternary(packed, i, (int)code);
    else
      nib_pack_code(packed, i, info->bits, (uint32_t)code);
  }
}

void nib_format_unpack(nib_format format, const void *packed, int64_t elems, void *unpacked) {
  const nib_format_info *info = nib_format_get(format);
  if (is_dense(info)) {
    memcpy(unpacked, packed, nib_format_storage_bytes(format, elems));
    return;
  }
  for (int64_t i = 0; i < elems; ++i)
    nib_format_store_code(
        format, unpacked, i,
        format == NIB_TERNARY
            ? nib_packed_ternary(packed, i)
            : nib_format_extend_code(format, nib_packed_code(packed, i, info->bits)));
}

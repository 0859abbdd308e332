/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The format table. */
#include "num/format.h"

#include <string.h>

static const nib_format_info formats[NIB_FORMAT_COUNT] = {
#define X(ID, name, bits, kind, min, max, c_type) [NIB_##ID] = {name, bits, kind, min, max, c_type},
    NIB_FORMATS(X)
#undef X
};

const nib_format_info *nib_format_get(nib_format format) {
  return &formats[format];
}

nib_format nib_format_find(const char *name) {
  for (int i = 0; i < NIB_FORMAT_COUNT; ++i)
    if (strcmp(formats[i].name, name) == 0)
      return (nib_format)i;
  return NIB_FORMAT_COUNT;
}

size_t nib_format_bytes(nib_format format) {
  return (size_t)formats[format].bits / 8;
}

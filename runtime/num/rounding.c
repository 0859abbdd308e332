/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The rounding table. */
#include "num/rounding.h"

#include <stddef.h>
#include <string.h>

static const char *const names[NIB_ROUNDING_COUNT] = {
#define X(ID, name) [NIB_ROUNDING_##ID] = name,
    NIB_ROUNDINGS(X)
#undef X
};

const char *nib_rounding_name(nib_rounding rounding) {
  return (size_t)rounding < NIB_ROUNDING_COUNT ? names[rounding] : "?";
}

nib_rounding nib_rounding_find(const char *name) {
  for (int i = 0; name && i < NIB_ROUNDING_COUNT; ++i)
    if (strcmp(names[i], name) == 0)
      return (nib_rounding)i;
  return NIB_ROUNDING_COUNT;
}

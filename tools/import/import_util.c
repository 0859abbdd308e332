/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Helpers of both importers. */
#include "import/import_util.h"

#include "graph/validate.h"

#include <string.h>

bool nib_import_count_elems(int32_t rank, const int64_t *dims, int64_t *out_elems) {
  return nib_count_elems(rank, dims, out_elems);
}

/* Length of the UTF-8 sequence at `s` (at most `left` bytes), or 0 if it is none. */
static size_t utf8_length(const unsigned char *s, size_t left) {
  static const struct {
    unsigned char mask, lead, low, high; /* range of the second byte */
    size_t length;
  } forms[] = {
      {0x80, 0x00, 0, 0, 1},       {0xFF, 0xE0, 0xA0, 0xBF, 3}, {0xFF, 0xED, 0x80, 0x9F, 3},
      {0xFF, 0xF0, 0x90, 0xBF, 4}, {0xFF, 0xF4, 0x80, 0x8F, 4}, {0xE0, 0xC0, 0x80, 0xBF, 2},
      {0xF0, 0xE0, 0x80, 0xBF, 3}, {0xF8, 0xF0, 0x80, 0xBF, 4},
  };
  if (s[0] == 0xC0 || s[0] == 0xC1 || s[0] > 0xF4)
    return 0;
  for (size_t f = 0; f < sizeof forms / sizeof *forms; ++f) {
    if ((s[0] & forms[f].mask) != forms[f].lead)
      continue;
    if (forms[f].length > left)
      return 0;
    for (size_t i = 1; i < forms[f].length; ++i)
      if (s[i] < (i == 1 ? forms[f].low : 0x80) || s[i] > (i == 1 ? forms[f].high : 0xBF))
        return 0;
    return forms[f].length;
  }
  return 0;
}

const char *nib_import_clean_name(nib_graph *g, const char *bytes, size_t length) {
  size_t n = 0;
  while (n < length && n < NIB_IMPORT_MAX_NAME && bytes[n])
    ++n;
  char *name = nib_graph_alloc(g, n + 1);
  if (!name)
    return NULL;
  for (size_t i = 0; i < n;) {
    size_t step = utf8_length((const unsigned char *)bytes + i, n - i);
    bool control = (unsigned char)bytes[i] < 0x20 || bytes[i] == 0x7F;
    if (step == 0 || control) {
      name[i++] = '_';
      continue;
    }
    memcpy(name + i, bytes + i, step);
    i += step;
  }
  name[n] = '\0';
  return name;
}

int64_t nib_import_load_int(const void *data, nib_format format, size_t i) {
  const nib_format_info *info = nib_format_get(format);
  size_t bytes = nib_format_bytes(format);
  const unsigned char *at = (const unsigned char *)data + i * bytes;
  uint64_t value = 0;
  for (size_t b = bytes; b-- > 0;)
    value = value << 8 | at[b];
  uint64_t sign = UINT64_C(1) << (bytes * 8 - 1);
  if (info->kind == NIB_KIND_SIGNED && bytes < 8 && (value & sign))
    value |= ~UINT64_C(0) << (bytes * 8);
  return (int64_t)value;
}

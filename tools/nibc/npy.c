/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * NumPy's .npy files. Format: numpy/lib/format.py's documentation, versions 1.0 to 3.0. */
#include "npy.h"
#include "file_io.h"
#include "message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *descr;
  nib_format format;
} dtypes[] = {
    {"|i1", NIB_I8},  {"|u1", NIB_U8},  {"<i2", NIB_I16}, {"<u2", NIB_U16}, {"<i4", NIB_I32},
    {"<i8", NIB_I64}, {"|b1", NIB_I1},  {"<f4", NIB_F32}, {"<f8", NIB_F64}, {"<i1", NIB_I8},
    {"<u1", NIB_U8},  {"<f2", NIB_F16}, {"<u4", NIB_U32}, {"<u8", NIB_U64},
};
enum { DTYPE_COUNT = sizeof dtypes / sizeof dtypes[0] };

nibc_shape_text nibc_shape(int32_t rank, const int64_t *dims) {
  nibc_shape_text s = {"scalar"};
  size_t used = 0;
  for (int32_t i = 0; i < rank && used < sizeof s.text; ++i)
    used += (size_t)snprintf(s.text + used, sizeof s.text - used, i ? "x%lld" : "%lld",
                             (long long)dims[i]);
  return s;
}

void nibc_array_free(nibc_array *a) {
  free(a->data);
  memset(a, 0, sizeof *a);
}

static nib_status malformed(const char *path, const char *why) {
  return nibc_fail(NIB_ERROR_INVALID_INPUT, "%s: not a .npy file that nibc reads: %s", path, why);
}

/* The header is a Python dict literal on one line; this reads the three keys numpy writes. */
typedef struct header {
  char descr[16];
  bool fortran, have_descr, have_order, have_shape;
  int32_t rank;
  int64_t dims[NIBC_ARRAY_MAX_RANK];
} header;

static const char *skip_space(const char *at) { return at + strspn(at, " \t\n"); }

static const char *parse_quoted(const char *at, char *out, size_t capacity) {
  const char quote = *at;
  if (quote != '\'' && quote != '"')
    return NULL;
  const char *end = strchr(at + 1, quote);
  if (!end || (size_t)(end - at) > capacity)
    return NULL;
  memcpy(out, at + 1, (size_t)(end - at) - 1);
  out[end - at - 1] = 0;
  return end + 1;
}

static const char *parse_shape(const char *at, header *h) {
  if (*at != '(')
    return NULL;
  at = skip_space(at + 1);
  while (*at != ')') {
    if (h->rank == NIBC_ARRAY_MAX_RANK || *at < '0' || *at > '9')
      return NULL;
    int64_t value = 0;
    for (; *at >= '0' && *at <= '9'; ++at) {
      if (value > (INT64_MAX - 9) / 10)
        return NULL;
      value = value * 10 + (*at - '0');
    }
    h->dims[h->rank++] = value;
    at = skip_space(*at == 'L' ? at + 1 : at);
    if (*at == ',')
      at = skip_space(at + 1);
    else if (*at != ')')
      return NULL;
  }
  return at + 1;
}

static const char *parse_order(const char *at, header *h) {
  h->fortran = strncmp(at, "True", 4) == 0;
  return h->fortran ? at + 4 : strncmp(at, "False", 5) == 0 ? at + 5 : NULL;
}

static bool parse_header(const char *at, header *h) {
  memset(h, 0, sizeof *h);
  at = skip_space(at);
  if (*at != '{')
    return false;
  at = skip_space(at + 1);
  while (*at != '}') {
    char key[32];
    if (!(at = parse_quoted(at, key, sizeof key)))
      return false;
    at = skip_space(at);
    if (*at != ':')
      return false;
    at = skip_space(at + 1);
    if (strcmp(key, "descr") == 0 && !h->have_descr) {
      h->have_descr = true;
      at = parse_quoted(at, h->descr, sizeof h->descr);
    } else if (strcmp(key, "fortran_order") == 0 && !h->have_order) {
      h->have_order = true;
      at = parse_order(at, h);
    } else if (strcmp(key, "shape") == 0 && !h->have_shape) {
      h->have_shape = true;
      at = parse_shape(at, h);
    } else {
      return false;
    }
    if (!at)
      return false;
    at = skip_space(at);
    if (*at == ',')
      at = skip_space(at + 1);
    else if (*at != '}')
      return false;
  }
  return h->have_descr && h->have_order && h->have_shape;
}

static nib_status array_from_header(const char *path, const header *h, const uint8_t *data,
                                    size_t data_bytes, nibc_array *out) {
  if (h->fortran && h->rank > 1)
    return malformed(path, "Fortran order (write it with numpy.ascontiguousarray)");
  nib_format format = NIB_FORMAT_COUNT;
  for (size_t i = 0; i < DTYPE_COUNT; ++i)
    if (strcmp(dtypes[i].descr, h->descr) == 0)
      format = dtypes[i].format;
  if (format == NIB_FORMAT_COUNT)
    return nibc_fail(NIB_ERROR_INVALID_INPUT,
                     "%s: element type '%s' is none of i1 u1 i2 u2 i4 i8 f4 f8 b1, little-endian",
                     path, h->descr);
  size_t bytes = nib_format_bytes(format);
  for (int32_t i = 0; i < h->rank; ++i)
    if (__builtin_mul_overflow(bytes, (size_t)h->dims[i], &bytes) || bytes > PTRDIFF_MAX)
      return malformed(path, "its shape overflows");
  if (bytes != data_bytes)
    return nibc_fail(NIB_ERROR_INVALID_INPUT, "%s: %s: shape %s needs %zu bytes, the file has %zu",
                     path, data_bytes < bytes ? "truncated" : "too long",
                     nibc_shape(h->rank, h->dims).text, bytes, data_bytes);
  memset(out, 0, sizeof *out);
  out->data = malloc(bytes ? bytes : 1);
  if (!out->data)
    return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "%s: out of memory", path);
  memcpy(out->data, data, bytes);
  out->format = format;
  out->rank = h->rank;
  memcpy(out->dims, h->dims, sizeof out->dims);
  out->bytes = bytes;
  return NIB_OK;
}

nib_status nibc_npy_parse(const char *path, const uint8_t *bytes, size_t size, nibc_array *out) {
  if (size < 10 || memcmp(bytes, "\x93NUMPY", 6) != 0)
    return malformed(path, "it does not start with \\x93NUMPY");
  const bool wide = bytes[6] >= 2;
  if (bytes[6] < 1 || bytes[6] > 3)
    return malformed(path, "unknown version");
  const size_t start = wide ? 12 : 10;
  if (size < start)
    return malformed(path, "truncated header");
  size_t length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
  if (wide)
    length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
  if (length > size - start)
    return malformed(path, "truncated header");
  if (length > 1 << 16)
    return malformed(path, "header of more than 64 KB");
  char *text = malloc(length + 1);
  if (!text)
    return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "%s: out of memory", path);
  memcpy(text, bytes + start, length);
  text[length] = 0;
  header h;
  const bool parsed = parse_header(text, &h);
  free(text);
  if (!parsed)
    return malformed(path, "malformed header");
  return array_from_header(path, &h, bytes + start + length, size - start - length, out);
}

nib_status nibc_npy_read(const char *path, nibc_array *out) {
  uint8_t *bytes = NULL;
  size_t size = 0;
  NIB_RETURN_IF_ERROR(nibc_file_read(path, &bytes, &size));
  const nib_status status = nibc_npy_parse(path, bytes, size, out);
  free(bytes);
  return status;
}

nib_status nibc_npy_write(const char *path, const nibc_array *a) {
  const char *descr = NULL;
  for (size_t i = 0; i < DTYPE_COUNT && !descr; ++i)
    if (dtypes[i].format == a->format)
      descr = dtypes[i].descr;
  const nib_format_info *info = nib_format_get(a->format);
  const bool is_signed = info->kind == NIB_KIND_SIGNED;
  if (!descr) /* codes, or the bytes of blocks */
    descr = info->bytes == 1   ? is_signed ? "|i1" : "|u1"
            : info->bytes == 2 ? is_signed ? "<i2" : "<u2"
            : info->bytes == 4 ? "<u4"
                               : NULL;
  if (!descr)
    return nibc_fail(NIB_ERROR_INTERNAL, "%s: no .npy type for %s", path,
                     nib_format_get(a->format)->name);
  char shape[256] = "";
  size_t used = 0;
  for (int32_t i = 0; i < a->rank && used < sizeof shape; ++i) {
    const bool in_bytes = info->kind == NIB_KIND_BLOCK && i + 1 == a->rank;
    used += (size_t)snprintf(
        shape + used, sizeof shape - used, i ? ", %lld" : "%lld",
        (long long)(in_bytes ? a->dims[i] / info->block_elems * info->block_bytes : a->dims[i]));
  }
  char text[512];
  const int length =
      snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (%s%s), }",
               descr, shape, a->rank == 1 ? "," : "");
  const size_t total = (10 + (size_t)length + 1 + 63) / 64 * 64; // data starts at a multiple of 64
  uint8_t *bytes = malloc(total + a->bytes);
  if (!bytes)
    return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "%s: out of memory", path);
  memset(bytes, ' ', total);
  memcpy(bytes, "\x93NUMPY\x01\x00", 8);
  bytes[8] = (uint8_t)((total - 10) & 255);
  bytes[9] = (uint8_t)((total - 10) >> 8);
  memcpy(bytes + 10, text, (size_t)length);
  bytes[total - 1] = '\n';
  memcpy(bytes + total, a->data, a->bytes);
  const nib_status status = nibc_file_write(path, bytes, total + a->bytes);
  free(bytes);
  return status;
}

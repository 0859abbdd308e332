// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Constant arrays of a generated model: shared by content, named after what they hold.
#include "emit/constants.h"

#include "num/format.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { padding = 64, max_hint = 48 };

typedef struct constant_use {
  char *c_type; /* of the expression */
  char *expression;
} constant_use;

typedef struct constant_array {
  char *name;
  nib_format format; /* of one initialiser */
  uint8_t *data;     /* padded */
  size_t bytes, padded_bytes;
  uint64_t offset; /* in a blob */
  uint64_t hash;
  constant_use *uses; /* one for each type asked for */
  size_t n_uses;
} constant_array;

struct nib_constants {
  char *prefix;
  nib_weights_style style;
  constant_array *arrays;
  size_t n, capacity;
  bool failed;
};

nib_constants *nib_constants_create(const char *prefix, nib_weights_style style) {
  nib_constants *c = calloc(1, sizeof *c);
  if (!c)
    return NULL;
  c->style = style;
  c->prefix = strdup(prefix);
  if (!c->prefix) {
    free(c);
    return NULL;
  }
  return c;
}

static void free_array(constant_array *a) {
  for (size_t i = 0; i < a->n_uses; ++i) {
    free(a->uses[i].c_type);
    free(a->uses[i].expression);
  }
  free(a->uses);
  free(a->name);
  free(a->data);
}

void nib_constants_destroy(nib_constants *c) {
  if (!c)
    return;
  for (size_t i = 0; i < c->n; ++i)
    free_array(&c->arrays[i]);
  free(c->arrays);
  free(c->prefix);
  free(c);
}

/* FNV-1a: only to skip comparisons. */
static uint64_t hash_bytes(const uint8_t *data, size_t n) {
  uint64_t h = UINT64_C(14695981039346656037);
  for (size_t i = 0; i < n; ++i)
    h = (h ^ data[i]) * UINT64_C(1099511628211);
  return h;
}

static nib_format format_of_c_type(const char *c_type) {
  for (int f = 0; f < NIB_FORMAT_ROWS; ++f) {
    const nib_format_info *info = nib_format_get((nib_format)f);
    const bool whole = info->bits == 8 * info->bytes;
    const bool native = info->kind != NIB_KIND_FLOAT || f == NIB_F32 || f == NIB_F64;
    if (whole && native && strcmp(info->c_type, c_type) == 0)
      return (nib_format)f;
  }
  return NIB_U8;
}

static bool name_taken(const nib_constants *c, const char *name) {
  for (size_t i = 0; i < c->n; ++i)
    if (strcmp(c->arrays[i].name, name) == 0)
      return true;
  return false;
}

static char *make_name(const nib_constants *c, const char *hint) {
  char clean[max_hint + 1];
  size_t n = 0;
  for (; hint[n] && n < max_hint; ++n)
    clean[n] = isalnum((unsigned char)hint[n]) ? hint[n] : '_';
  clean[n] = 0;
  size_t size = strlen(c->prefix) + n + 32;
  char *name = malloc(size);
  if (!name)
    return NULL;
  snprintf(name, size, "%s_w_%s", c->prefix, clean);
  for (int i = 2; name_taken(c, name); ++i)
    snprintf(name, size, "%s_w_%s_%d", c->prefix, clean, i);
  return name;
}

static constant_array *find_array(nib_constants *c, const uint8_t *data, size_t bytes,
                                  uint64_t hash) {
  for (size_t i = 0; i < c->n; ++i) {
    constant_array *a = &c->arrays[i];
    if (a->hash == hash && a->bytes == bytes && memcmp(a->data, data, bytes) == 0)
      return a;
  }
  return NULL;
}

static constant_array *add_array(nib_constants *c, const char *hint, const char *c_type,
                                 const void *data, size_t bytes, uint64_t hash) {
  if (c->n == c->capacity) {
    size_t capacity = c->capacity ? 2 * c->capacity : 32;
    constant_array *grown = realloc(c->arrays, capacity * sizeof *grown);
    if (!grown)
      return NULL;
    c->arrays = grown;
    c->capacity = capacity;
  }
  constant_array a = {.format = format_of_c_type(c_type), .bytes = bytes, .hash = hash};
  const size_t unit = c->style == NIB_WEIGHTS_BLOB ? NIB_BLOB_ALIGNMENT : padding;
  a.padded_bytes = bytes > SIZE_MAX - unit ? 0 : (bytes + unit - 1) / unit * unit;
  if (a.padded_bytes == 0)
    a.padded_bytes = unit;
  a.offset = c->n ? c->arrays[c->n - 1].offset + c->arrays[c->n - 1].padded_bytes : 0;
  a.data = calloc(1, a.padded_bytes);
  a.name = make_name(c, hint);
  if (!a.data || !a.name || bytes > a.padded_bytes) {
    free_array(&a);
    return NULL;
  }
  if (bytes)
    memcpy(a.data, data, bytes);
  c->arrays[c->n] = a;
  return &c->arrays[c->n++];
}

static const char *array_c_type(const nib_constants *c, const constant_array *a) {
  return c->style == NIB_WEIGHTS_WORDS ? "uint64_t" : nib_format_get(a->format)->c_type;
}

/* The cast passes through void so that no compiler sees a type-punned dereference. */
static const char *use_array(const nib_constants *c, constant_array *a, const char *c_type) {
  for (size_t i = 0; i < a->n_uses; ++i)
    if (strcmp(a->uses[i].c_type, c_type) == 0)
      return a->uses[i].expression;
  constant_use *grown = realloc(a->uses, (a->n_uses + 1) * sizeof *grown);
  if (!grown)
    return NULL;
  a->uses = grown;
  size_t size = strlen(a->name) + strlen(c_type) + 80;
  char *expression = malloc(size), *type = strdup(c_type);
  if (!expression || !type) {
    free(expression);
    free(type);
    return NULL;
  }
  if (c->style == NIB_WEIGHTS_BLOB)
    snprintf(expression, size, "((const %s *)(const void *)(weights + %" PRIu64 "))", c_type,
             a->offset);
  else if (strcmp(c_type, array_c_type(c, a)) == 0)
    snprintf(expression, size, "%s", a->name);
  else
    snprintf(expression, size, "((const %s *)(const void *)%s)", c_type, a->name);
  a->uses[a->n_uses++] = (constant_use){.c_type = type, .expression = expression};
  return expression;
}

const char *nib_constants_add(nib_constants *c, const char *hint, const char *c_type,
                              const void *data, size_t bytes) {
  uint64_t hash = hash_bytes(data, bytes);
  constant_array *a = find_array(c, data, bytes, hash);
  if (!a)
    a = add_array(c, hint, c_type, data, bytes, hash);
  const char *expression = a ? use_array(c, a, c_type) : NULL;
  if (!expression)
    c->failed = true;
  return expression;
}

static size_t element_count(const nib_constants *c, const constant_array *a) {
  return a->padded_bytes / (c->style == NIB_WEIGHTS_WORDS ? 8 : nib_format_bytes(a->format));
}

uint64_t nib_constants_offset(const nib_constants *c, const char *expression) {
  for (size_t i = 0; expression && i < c->n; ++i)
    for (size_t j = 0; j < c->arrays[i].n_uses; ++j)
      if (strcmp(c->arrays[i].uses[j].expression, expression) == 0)
        return c->arrays[i].offset;
  return 0;
}

uint64_t nib_constants_blob_bytes(const nib_constants *c) {
  return c->n ? c->arrays[c->n - 1].offset + c->arrays[c->n - 1].padded_bytes : 0;
}

void nib_constants_blob(const nib_constants *c, uint8_t *out) {
  for (size_t i = 0; i < c->n; ++i)
    memcpy(out + c->arrays[i].offset, c->arrays[i].data, c->arrays[i].padded_bytes);
}

static bool declare_blob(const nib_constants *c, nib_text *t, const char *head, const char *tail) {
  if (c->style != NIB_WEIGHTS_BLOB)
    return false;
  if (c->n)
    nib_text_line(t, "%s uint64_t %s_weights[%" PRIu64 "]%s", head, c->prefix,
                  nib_constants_blob_bytes(c) / 8, tail);
  return true;
}

void nib_constants_declare(const nib_constants *c, nib_text *t) {
  if (declare_blob(c, t, "extern const", ";"))
    return;
  for (size_t i = 0; i < c->n; ++i)
    nib_text_line(t, "extern const %s %s[%zu];", array_c_type(c, &c->arrays[i]), c->arrays[i].name,
                  element_count(c, &c->arrays[i]));
}

static void define_words(const constant_array *a, nib_text *t) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < a->padded_bytes; i += 8) {
    char word[] = "0x0000000000000000,";
    for (int b = 0; b < 8; ++b) {
      word[16 - 2 * b] = digits[a->data[i + b] >> 4];
      word[17 - 2 * b] = digits[a->data[i + b] & 15];
    }
    bool last_in_line = i % 32 == 24 || i + 8 == a->padded_bytes;
    nib_text_printf(t, "%s%s%s", i % 32 == 0 ? "  " : "", word, last_in_line ? "\n" : " ");
  }
}

/* Shortest of the usual precisions is not needed: 9 and 17 digits read back exactly. */
static void format_real(char *out, size_t size, double v, int digits, const char *suffix) {
  if (isnan(v))
    snprintf(out, size, "NAN");
  else if (isinf(v))
    snprintf(out, size, v > 0 ? "INFINITY" : "-INFINITY");
  else {
    snprintf(out, size, "%.*g", digits, v);
    if (!strpbrk(out, ".e"))
      strcat(out, ".0");
    strcat(out, suffix);
  }
}

static void format_element(char out[40], nib_format format, const uint8_t *p) {
  switch (format) {
  case NIB_I8:
    snprintf(out, 40, "%d", (int8_t)*p);
    break;
  case NIB_I16: {
    int16_t v;
    memcpy(&v, p, sizeof v);
    snprintf(out, 40, "%d", v);
    break;
  }
  case NIB_U16: {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    snprintf(out, 40, "%u", v);
    break;
  }
  case NIB_I32: {
    int32_t v;
    memcpy(&v, p, sizeof v);
    if (v == INT32_MIN)
      snprintf(out, 40, "INT32_MIN");
    else
      snprintf(out, 40, "%" PRId32, v);
    break;
  }
  case NIB_I64: {
    int64_t v;
    memcpy(&v, p, sizeof v);
    if (v == INT64_MIN)
      snprintf(out, 40, "INT64_MIN");
    else
      snprintf(out, 40, "INT64_C(%" PRId64 ")", v);
    break;
  }
  case NIB_U32: {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    snprintf(out, 40, "%" PRIu32 "u", v);
    break;
  }
  case NIB_U64: {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    snprintf(out, 40, "UINT64_C(%" PRIu64 ")", v);
    break;
  }
  case NIB_F32: {
    float v;
    memcpy(&v, p, sizeof v);
    format_real(out, 40, (double)v, 9, "f");
    break;
  }
  case NIB_F64: {
    double v;
    memcpy(&v, p, sizeof v);
    format_real(out, 40, v, 17, "");
    break;
  }
  default:
    snprintf(out, 40, "%u", *p);
  }
}

static void define_elements(const constant_array *a, nib_text *t) {
  size_t step = nib_format_bytes(a->format), column = 0;
  for (size_t i = 0; i < a->padded_bytes; i += step) {
    char element[40];
    format_element(element, a->format, a->data + i);
    size_t width = strlen(element) + 2;
    if (column + width > 98) {
      nib_text_printf(t, "\n");
      column = 0;
    }
    nib_text_printf(t, "%s%s,", column ? " " : "  ", element);
    column += width;
  }
  nib_text_printf(t, "\n");
}

void nib_constants_define(const nib_constants *c, nib_text *t) {
  if (c->style == NIB_WEIGHTS_BLOB) {
    /* Declared first, for external linkage. */
    declare_blob(c, t, "extern const", ";");
    declare_blob(c, t, "_Alignas(64) const", " = {");
    for (size_t i = 0; i < c->n; ++i) {
      nib_text_line(t, "  /* %s: %zu bytes at %" PRIu64 " */", c->arrays[i].name,
                    c->arrays[i].bytes, c->arrays[i].offset);
      define_words(&c->arrays[i], t);
    }
    nib_text_printf(t, "%s", c->n ? "};\n" : "");
    return;
  }
  for (size_t i = 0; i < c->n; ++i) {
    const constant_array *a = &c->arrays[i];
    const char *c_type = array_c_type(c, a);
    size_t n = element_count(c, a);
    nib_text_printf(t, "\n/* %zu %s of %s */\n", a->bytes / nib_format_bytes(a->format),
                    a->bytes == nib_format_bytes(a->format) ? "element" : "elements",
                    nib_format_get(a->format)->c_type);
    /* Declared first: the array has external linkage and belongs to the model's other file. */
    nib_text_printf(t, "extern const %s %s[%zu];\n", c_type, a->name, n);
    nib_text_printf(t, "_Alignas(64) const %s %s[%zu] = {\n", c_type, a->name, n);
    if (c->style == NIB_WEIGHTS_WORDS)
      define_words(a, t);
    else
      define_elements(a, t);
    nib_text_printf(t, "};\n");
  }
}

size_t nib_constants_bytes(const nib_constants *c) {
  size_t sum = 0;
  for (size_t i = 0; i < c->n; ++i)
    sum += c->arrays[i].bytes;
  return sum;
}

size_t nib_constants_count(const nib_constants *c) { return c->n; }
bool nib_constants_failed(const nib_constants *c) { return c->failed; }

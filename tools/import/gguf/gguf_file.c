/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Reading GGUF. Every length is compared with the bytes that are left before it is believed. */
#include "import/gguf/gguf_file.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KEY = 65535, MAX_NESTING = 4, DEFAULT_ALIGNMENT = 32, MIN_PAIR = 13, MIN_TENSOR = 24 };

/* Tensor types of ggml by their numbers (ggml.h, enum ggml_type), with their block sizes
 * (ggml-common.h). Numbers that are missing were retired. */
static const nib_gguf_encoding encodings[] = {
    {0, "f32", "f32", 1, 4},
    {1, "f16", "f16", 1, 2},
    {2, "q4_0", "q4_0", 32, 18},
    {3, "q4_1", "q4_1", 32, 20},
    {6, "q5_0", "q5_0", 32, 22},
    {7, "q5_1", "q5_1", 32, 24},
    {8, "q8_0", "q8_0", 32, 34},
    {9, "q8_1", "q8_1", 32, 36},
    {10, "q2_k", "q2_k", 256, 84},
    {11, "q3_k", "q3_k", 256, 110},
    {12, "q4_k", "q4_k", 256, 144},
    {13, "q5_k", "q5_k", 256, 176},
    {14, "q6_k", "q6_k", 256, 210},
    {15, "q8_k", "q8_k", 256, 292},
    {16, "iq2_xxs", "iq2_xxs", 256, 66},
    {17, "iq2_xs", "iq2_xs", 256, 74},
    {18, "iq3_xxs", "iq3_xxs", 256, 98},
    {19, "iq1_s", "iq1_s", 256, 50},
    {20, "iq4_nl", "iq4_nl", 32, 18},
    {21, "iq3_s", "iq3_s", 256, 110},
    {22, "iq2_s", "iq2_s", 256, 82},
    {23, "iq4_xs", "iq4_xs", 256, 136},
    {24, "i8", "i8", 1, 1},
    {25, "i16", "i16", 1, 2},
    {26, "i32", "i32", 1, 4},
    {27, "i64", "i64", 1, 8},
    {28, "f64", "f64", 1, 8},
    {29, "iq1_m", "iq1_m", 256, 56},
    {30, "bf16", "bf16", 1, 2},
    {34, "tq1_0", "tq1_0", 256, 54},
    {35, "tq2_0", "tq2_0", 256, 66},
    {39, "mxfp4", "ggml_mxfp4", 32, 17},
};

static const nib_gguf_encoding *find_encoding(uint32_t id) {
  for (size_t i = 0; i < sizeof encodings / sizeof *encodings; ++i)
    if (encodings[i].id == id)
      return &encodings[i];
  return NULL;
}

/* Bytes of a value of each type; 0 for strings and arrays. */
static const uint8_t type_bytes[NIB_GGUF_TYPE_COUNT] = {
    [NIB_GGUF_U8] = 1,  [NIB_GGUF_I8] = 1,  [NIB_GGUF_U16] = 2, [NIB_GGUF_I16] = 2,
    [NIB_GGUF_U32] = 4, [NIB_GGUF_I32] = 4, [NIB_GGUF_F32] = 4, [NIB_GGUF_BOOL] = 1,
    [NIB_GGUF_U64] = 8, [NIB_GGUF_I64] = 8, [NIB_GGUF_F64] = 8,
};

/* ---- the cursor ---- */

typedef struct cursor {
  nib_gguf_file *f;
  size_t at;
  nib_status status;
} cursor;

#define INVALID(c, ...) ((c)->status = invalid((c)->f, __VA_ARGS__))

static nib_status invalid(const nib_gguf_file *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static nib_status invalid(const nib_gguf_file *f, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return nib_diag_error(f->diag, NIB_ERROR_INVALID_INPUT, "%s: %s", f->path, text);
}

static size_t left(const cursor *c) { return c->f->size - c->at; }

/* The next `n` bytes, or NULL (after a message) when the file ends before. */
static const uint8_t *take(cursor *c, uint64_t n, const char *what) {
  if (c->status != NIB_OK)
    return NULL;
  if (n > left(c)) {
    INVALID(c, "the file ends within %s: %" PRIu64 " bytes at offset %zu of %zu", what, n, c->at,
            c->f->size);
    return NULL;
  }
  const uint8_t *bytes = c->f->bytes + c->at;
  c->at += (size_t)n;
  return bytes;
}

static uint64_t load(const uint8_t *bytes, size_t n) {
  uint64_t value = 0;
  for (size_t i = n; i-- > 0;)
    value = value << 8 | bytes[i];
  return value;
}

static uint32_t take_u32(cursor *c, const char *what) {
  const uint8_t *bytes = take(c, 4, what);
  return bytes ? (uint32_t)load(bytes, 4) : 0;
}

static uint64_t take_u64(cursor *c, const char *what) {
  const uint8_t *bytes = take(c, 8, what);
  return bytes ? load(bytes, 8) : 0;
}

static nib_gguf_text take_text(cursor *c, const char *what) {
  const uint64_t length = take_u64(c, what);
  const uint8_t *bytes = take(c, length, what);
  return (nib_gguf_text){(const char *)bytes, bytes ? (size_t)length : 0};
}

/* ---- metadata ---- */

static void skip_value(cursor *c, uint32_t type, int depth);

static void skip_array(cursor *c, int depth) {
  const uint32_t type = take_u32(c, "an array");
  const uint64_t count = take_u64(c, "an array");
  if (c->status != NIB_OK)
    return;
  if (depth >= MAX_NESTING || type >= NIB_GGUF_TYPE_COUNT) {
    INVALID(c,
            depth >= MAX_NESTING ? "arrays nest deeper than %u levels"
                                 : "an array has elements of the unknown type %u",
            depth >= MAX_NESTING ? (unsigned)MAX_NESTING : type);
    return;
  }
  if (type_bytes[type]) {
    if (count > left(c) / type_bytes[type])
      INVALID(c, "an array of %" PRIu64 " elements at offset %zu does not fit in the file", count,
              c->at);
    else
      take(c, count * type_bytes[type], "an array");
    return;
  }
  for (uint64_t i = 0; i < count && c->status == NIB_OK; ++i)
    skip_value(c, type, depth + 1);
}

static void skip_value(cursor *c, uint32_t type, int depth) {
  if (type == NIB_GGUF_STRING)
    take_text(c, "a string");
  else if (type == NIB_GGUF_ARRAY)
    skip_array(c, depth);
  else
    take(c, type_bytes[type], "a value");
}

static void read_pair(cursor *c, nib_gguf_pair *pair) {
  pair->key = take_text(c, "a key");
  const uint32_t type = take_u32(c, "the type of a value");
  if (c->status != NIB_OK)
    return;
  if (pair->key.length == 0 || pair->key.length > MAX_KEY) {
    INVALID(c, "a key has %zu bytes, it must have 1 to %d", pair->key.length, MAX_KEY);
    return;
  }
  if (type >= NIB_GGUF_TYPE_COUNT) {
    INVALID(c, "the value of a key has the unknown type %u", type);
    return;
  }
  pair->type = (nib_gguf_type)type;
  pair->value = c->f->bytes + c->at;
  skip_value(c, type, 0);
}

/* ---- the table of tensors ---- */

typedef struct place {
  uint64_t offset, bytes;
  const nib_gguf_tensor *tensor;
} place;

/* The beginning of a name, without what a terminal would not show. */
typedef struct shown {
  char s[101];
} shown;

static shown show(nib_gguf_text t) {
  shown out;
  size_t n = t.length < sizeof out.s - 1 ? t.length : sizeof out.s - 1;
  for (size_t i = 0; i < n; ++i)
    out.s[i] = t.bytes[i] >= 0x20 && t.bytes[i] < 0x7F ? t.bytes[i] : '_';
  out.s[n] = 0;
  return out;
}

/* Element count and bytes of a tensor without overflow. */
static nib_status measure(const nib_gguf_file *f, nib_gguf_tensor *t, uint64_t *out_bytes) {
  uint64_t elems = 1;
  for (int32_t i = 0; i < t->rank; ++i) {
    if (t->dims[i] < 1 || elems > INT32_MAX / (uint64_t)t->dims[i])
      return invalid(f, "tensor '%s': a dimension is %" PRId64 ", or it has more than %d elements",
                     show(t->name).s, t->dims[i], INT32_MAX);
    elems *= (uint64_t)t->dims[i];
  }
  const uint64_t row = t->rank ? (uint64_t)t->dims[t->rank - 1] : 1;
  if (row % t->encoding->block_elems)
    return invalid(
        f, "tensor '%s': rows of %" PRIu64 " elements are not whole blocks of %s, which have %u",
        show(t->name).s, row, t->encoding->name, t->encoding->block_elems);
  *out_bytes = elems / t->encoding->block_elems * t->encoding->block_bytes;
  return NIB_OK;
}

static void read_tensor(cursor *c, nib_gguf_tensor *t, place *p) {
  t->name = take_text(c, "the name of a tensor");
  const uint32_t rank = take_u32(c, "a tensor's number of dimensions");
  if (c->status == NIB_OK && rank > NIB_GGUF_MAX_DIMS)
    INVALID(c, "tensor '%s' has %u dimensions, at most %d are allowed", show(t->name).s, rank,
            NIB_GGUF_MAX_DIMS);
  if (c->status != NIB_OK)
    return;
  t->rank = (int32_t)rank;
  for (uint32_t i = 0; i < rank; ++i) {
    const uint64_t extent = take_u64(c, "a tensor's dimensions");
    t->dims[rank - 1 - i] = extent > INT32_MAX ? 0 : (int64_t)extent; // 0 is refused by measure()
  }
  const uint32_t type = take_u32(c, "a tensor's type");
  p->offset = take_u64(c, "a tensor's offset");
  p->tensor = t;
  if (c->status != NIB_OK)
    return;
  t->encoding = find_encoding(type);
  if (!t->encoding) {
    c->status = nib_diag_error(c->f->diag, NIB_ERROR_UNSUPPORTED,
                               "%s: tensor '%s' has type number %u, which is not known", c->f->path,
                               show(t->name).s, type);
    return;
  }
  c->status = measure(c->f, t, &p->bytes);
}

static int by_offset(const void *a, const void *b) {
  const place *x = a, *y = b;
  return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int by_name(const void *a, const void *b) {
  const nib_gguf_text x = *(const nib_gguf_text *)a, y = *(const nib_gguf_text *)b;
  const int order = memcmp(x.bytes, y.bytes, x.length < y.length ? x.length : y.length);
  return order ? order : x.length < y.length ? -1 : x.length > y.length;
}

/* Data of each tensor: aligned, within the file, apart from the others. `start` is where it begins.
 */
static nib_status place_tensors(nib_gguf_file *f, place *places, uint64_t start,
                                uint64_t alignment) {
  qsort(places, f->n_tensors, sizeof *places, by_offset);
  for (size_t i = 0; i < f->n_tensors; ++i) {
    const nib_gguf_text name = places[i].tensor->name;
    const uint64_t room = f->size > start ? f->size - start : 0;
    if (places[i].offset % alignment)
      return invalid(f, "tensor '%s' is at offset %" PRIu64 ", which is no multiple of %" PRIu64,
                     show(name).s, places[i].offset, alignment);
    if (places[i].offset > room || places[i].bytes > room - places[i].offset)
      return invalid(f,
                     "tensor '%s' of %" PRIu64 " bytes at offset %" PRIu64
                     " lies beyond the end: the file has %" PRIu64 " bytes of data",
                     show(name).s, places[i].bytes, places[i].offset, room);
    if (i > 0 && places[i - 1].offset + places[i - 1].bytes > places[i].offset)
      return invalid(f, "tensors '%s' and '%s' overlap", show(places[i - 1].tensor->name).s,
                     show(name).s);
    nib_gguf_tensor *t = &f->tensors[places[i].tensor - f->tensors];
    t->data = f->bytes + start + places[i].offset;
    t->data_bytes = (size_t)places[i].bytes;
  }
  return NIB_OK;
}

/* No two texts are alike; `stride` bytes lie between them. */
static nib_status check_unique(const nib_gguf_file *f, const void *first, size_t n, size_t stride,
                               const char *what) {
  nib_gguf_text *names = malloc((n ? n : 1) * sizeof *names);
  if (!names)
    return nib_diag_error(f->diag, NIB_ERROR_OUT_OF_MEMORY, "%s: out of memory", f->path);
  for (size_t i = 0; i < n; ++i)
    memcpy(&names[i], (const char *)first + i * stride, sizeof *names);
  qsort(names, n, sizeof *names, by_name);
  nib_status status = NIB_OK;
  for (size_t i = 1; i < n && status == NIB_OK; ++i)
    if (by_name(&names[i - 1], &names[i]) == 0)
      status = invalid(f, "the %s '%s' occurs twice", what, show(names[i]).s);
  free(names);
  return status;
}

/* ---- the file ---- */

/* Counts are believed only as far as the file has room for the least that each needs. */
static nib_status read_header(cursor *c, uint64_t *out_tensors, uint64_t *out_pairs) {
  const uint8_t *magic = take(c, 4, "the header");
  if (magic && memcmp(magic, "GGUF", 4) != 0)
    return invalid(c->f, "not a GGUF file: it begins with other bytes than 'GGUF'");
  const uint32_t version = take_u32(c, "the header");
  if (c->status == NIB_OK && version != 2 && version != 3)
    return nib_diag_error(c->f->diag, NIB_ERROR_UNSUPPORTED,
                          "%s: GGUF version %u%s; versions 2 and 3 are supported", c->f->path,
                          version, version && !(version & 0xFFFF) ? " (or a big-endian file)" : "");
  *out_tensors = take_u64(c, "the header");
  *out_pairs = take_u64(c, "the header");
  if (c->status == NIB_OK &&
      (*out_tensors > left(c) / MIN_TENSOR || *out_pairs > left(c) / MIN_PAIR))
    return invalid(c->f, "%" PRIu64 " tensors and %" PRIu64 " keys do not fit in %zu bytes",
                   *out_tensors, *out_pairs, c->f->size);
  return c->status;
}

static nib_status read_alignment(const nib_gguf_file *f, uint64_t *out_alignment) {
  const nib_gguf_pair *pair = nib_gguf_find(f, "general.alignment");
  int64_t value = DEFAULT_ALIGNMENT;
  if (pair &&
      (!nib_gguf_int(pair, &value) || value < 1 || value > 1 << 30 || (value & (value - 1))))
    return invalid(f, "general.alignment is no power of two");
  *out_alignment = (uint64_t)value;
  return NIB_OK;
}

static nib_status read_tensors(cursor *c, size_t n, place *places) {
  nib_gguf_file *f = c->f;
  for (size_t i = 0; i < n && c->status == NIB_OK; ++i)
    read_tensor(c, &f->tensors[i], &places[i]);
  NIB_RETURN_IF_ERROR(c->status);
  f->n_tensors = n;
  NIB_RETURN_IF_ERROR(check_unique(f, f->tensors, n, sizeof *f->tensors, "tensor"));
  uint64_t alignment;
  NIB_RETURN_IF_ERROR(read_alignment(f, &alignment));
  const uint64_t start = (c->at + alignment - 1) / alignment * alignment;
  return place_tensors(f, places, start, alignment);
}

nib_status nib_gguf_open(const uint8_t *bytes, size_t size, const char *path, const nib_diag *diag,
                         nib_gguf_file *out_file) {
  *out_file = (nib_gguf_file){.bytes = bytes, .size = size, .path = path, .diag = diag};
  cursor c = {.f = out_file};
  uint64_t n_tensors = 0, n_pairs = 0;
  NIB_RETURN_IF_ERROR(read_header(&c, &n_tensors, &n_pairs));
  out_file->pairs = calloc(n_pairs + 1, sizeof *out_file->pairs);
  out_file->tensors = calloc(n_tensors + 1, sizeof *out_file->tensors);
  place *places = calloc(n_tensors + 1, sizeof *places);
  nib_status status = NIB_OK;
  if (!out_file->pairs || !out_file->tensors || !places)
    status = nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "%s: out of memory", path);
  for (size_t i = 0; i < n_pairs && status == NIB_OK; ++i) {
    read_pair(&c, &out_file->pairs[i]);
    out_file->n_pairs = i + 1;
    status = c.status;
  }
  if (status == NIB_OK)
    status =
        check_unique(out_file, out_file->pairs, out_file->n_pairs, sizeof *out_file->pairs, "key");
  if (status == NIB_OK)
    status = read_tensors(&c, (size_t)n_tensors, places);
  free(places);
  return status;
}

void nib_gguf_close(nib_gguf_file *file) {
  free(file->pairs);
  free(file->tensors);
  file->pairs = NULL;
  file->tensors = NULL;
  file->n_pairs = file->n_tensors = 0;
}

bool nib_gguf_text_is(nib_gguf_text text, const char *word) {
  return text.length == strlen(word) && memcmp(text.bytes, word, text.length) == 0;
}

const nib_gguf_pair *nib_gguf_find(const nib_gguf_file *file, const char *key) {
  for (size_t i = 0; i < file->n_pairs; ++i)
    if (nib_gguf_text_is(file->pairs[i].key, key))
      return &file->pairs[i];
  return NULL;
}

nib_gguf_tensor *nib_gguf_find_tensor(const nib_gguf_file *file, const char *name) {
  for (size_t i = 0; i < file->n_tensors; ++i)
    if (nib_gguf_text_is(file->tensors[i].name, name))
      return &file->tensors[i];
  return NULL;
}

bool nib_gguf_int(const nib_gguf_pair *pair, int64_t *out_value) {
  if (!pair)
    return false;
  const size_t bytes = type_bytes[pair->type];
  uint64_t value = bytes ? load(pair->value, bytes) : 0;
  switch (pair->type) {
  case NIB_GGUF_U8:
  case NIB_GGUF_U16:
  case NIB_GGUF_U32:
  case NIB_GGUF_BOOL:
    break;
  case NIB_GGUF_U64:
    if (value > INT64_MAX)
      return false;
    break;
  case NIB_GGUF_I8:
  case NIB_GGUF_I16:
  case NIB_GGUF_I32:
  case NIB_GGUF_I64:
    if (bytes < 8 && value >> (bytes * 8 - 1))
      value |= ~UINT64_C(0) << (bytes * 8);
    break;
  default:
    return false;
  }
  *out_value = (int64_t)value;
  return true;
}

bool nib_gguf_real(const nib_gguf_pair *pair, double *out_value) {
  if (pair && pair->type == NIB_GGUF_F32) {
    float value;
    memcpy(&value, pair->value, sizeof value);
    *out_value = (double)value;
    return true;
  }
  if (pair && pair->type == NIB_GGUF_F64) {
    memcpy(out_value, pair->value, sizeof *out_value);
    return true;
  }
  return false;
}

bool nib_gguf_string(const nib_gguf_pair *pair, nib_gguf_text *out_text) {
  if (!pair || pair->type != NIB_GGUF_STRING)
    return false;
  *out_text = (nib_gguf_text){(const char *)pair->value + 8, (size_t)load(pair->value, 8)};
  return true;
}

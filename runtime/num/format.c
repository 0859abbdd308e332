/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The format table, and the formats that are found by a spelling with parameters. */
#include "num/format.h"

#include "num/codebook.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GGML "ggml, ggml-common.h and ggml-quants.c"
#define MX_SOURCE "OCP Microscaling Formats (MX) Specification 1.0, 5.2"
#define NIB_DENSE(AT, BITS)                                                                        \
  { .at = (AT), .bits = (BITS), .stride = (BITS) }
#define NIB_RUNS(AT, BITS, BYTES)                                                                  \
  {                                                                                                \
    .at = (AT), .bits = (BITS), .stride = 8, .run = (BYTES), .step = (BITS),                       \
    .chunk = (BYTES)*8 / (BITS), .chunk_step = (BYTES)*8                                           \
  }
#define NIB_MX(BITS)                                                                               \
  .codes = {.low = NIB_DENSE(8, BITS)}, .scale = NIB_F8E8M0FNU,                                    \
  .scale_rule = NIB_SCALE_RULE_FLOOR_POW2
/* Eight scales and eight minima of 6 bits in 12 bytes. */
#define NIB_K_SCALES                                                                               \
  .offset_is_subtracted = true, .group_elems = 32, .group_scale = NIB_U6,                          \
  .group_scales = {{.at = 32, .bits = 4, .stride = 8, .chunk = 4, .chunk_step = 64},               \
                   {.at = 36, .bits = 2, .stride = 8, .run = 4, .step = 2}},                       \
  .group_offsets = {{.at = 64, .bits = 4, .stride = 8, .chunk = 4, .chunk_step = 36},              \
                    {.at = 68, .bits = 2, .stride = 8, .run = 4, .step = 2}},                      \
  .scale_rule = NIB_SCALE_RULE_RANGE

static const nib_format_info rows[NIB_FORMAT_ROWS] = {
#define NIB_FORMAT(ID, NAME, ...) [NIB_##ID] = {.name = NAME, __VA_ARGS__},
#define NIB_SIGNED_ROW(BITS, BYTES, TYPE)                                                          \
  [NIB_I##BITS] = {.name = "i" #BITS,                                                              \
                   .aliases = "int" #BITS " s" #BITS,                                              \
                   .source = "two's complement integer",                                           \
                   .kind = NIB_KIND_SIGNED,                                                        \
                   .bits = BITS,                                                                   \
                   .bytes = BYTES,                                                                 \
                   .min = -(INT64_C(1) << ((BITS)-2)) * 2,                                         \
                   .max = ((INT64_C(1) << ((BITS)-2)) - 1) * 2 + 1,                                \
                   .c_type = TYPE},
#define NIB_UNSIGNED_ROW(BITS, BYTES, TYPE)                                                        \
  [NIB_U##BITS] = {.name = "ui" #BITS,                                                             \
                   .aliases = "uint" #BITS " u" #BITS,                                             \
                   .source = "unsigned integer",                                                   \
                   .kind = NIB_KIND_UNSIGNED,                                                      \
                   .bits = BITS,                                                                   \
                   .bytes = BYTES,                                                                 \
                   .max = (INT64_C(1) << (BITS)) - 1,                                              \
                   .c_type = TYPE},
#define NIB_BIPOLAR_ROW(BITS)                                                                      \
  [NIB_BIPOLAR##BITS] = {.name = "bipolar" #BITS,                                                  \
                         .source = "sum of 2^i (2 bit_i - 1)",                                     \
                         .kind = NIB_KIND_BIPOLAR,                                                 \
                         .bits = BITS,                                                             \
                         .bytes = 1,                                                               \
                         .c_type = "uint8_t"},
#define NIB_BLOCK(ID, NAME, ELEMS, BYTES, SOURCE, ...)                                             \
  [NIB_##ID] = {.name = NAME,                                                                      \
                .source = SOURCE,                                                                  \
                .kind = NIB_KIND_BLOCK,                                                            \
                .bytes = 1,                                                                        \
                .c_type = "uint8_t",                                                               \
                .block_elems = ELEMS,                                                              \
                .block_bytes = BYTES,                                                              \
                .block = {__VA_ARGS__}},
#include "num/formats.def"
#undef NIB_BLOCK
#undef NIB_BIPOLAR_ROW
#undef NIB_FORMAT
#undef NIB_SIGNED_ROW
#undef NIB_UNSIGNED_ROW
};

/* ---- spellings with parameters ---- */

#define MAX_FOUND (NIB_FORMAT_COUNT - 1 - NIB_FORMAT_ROWS)

/* Append-only: an entry is written before the count that makes it visible. */
static nib_format_info *found[MAX_FOUND];
static atomic_int n_found;
static atomic_flag adding = ATOMIC_FLAG_INIT;

/* Reads a decimal number of at most 5 digits; false if there is none. */
static bool read_number(const char **at, int *out) {
  char *end;
  const char *from = *at + (**at == '-');
  if (!isdigit((unsigned char)*from) || strspn(from, "0123456789") > 5)
    return false;
  *out = (int)strtol(*at, &end, 10);
  *at = end;
  return true;
}

static bool read_word(const char **at, const char *word) {
  const size_t n = strlen(word);
  if (strncmp(*at, word, n) != 0)
    return false;
  *at += n;
  return true;
}

static bool read_specials(const char **at, nib_specials *out) {
  static const char *const names[] = {"ieee", "fnuz", "fn", "none"};
  static const nib_specials values[] = {NIB_SPECIALS_IEEE, NIB_SPECIALS_FNUZ, NIB_SPECIALS_FN,
                                        NIB_SPECIALS_NONE};
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
    if (read_word(at, names[i])) {
      *out = values[i];
      return true;
    }
  return false;
}

/* eXmY[:bias=N][,specials=S], both parameters in any order. */
static bool parse_minifloat(const char *name, nib_format_info *out) {
  nib_real_layout *r = &out->real;
  if (!read_word(&name, "e") || !read_number(&name, &r->exponent_bits) || !read_word(&name, "m") ||
      !read_number(&name, &r->mantissa_bits))
    return false;
  if (r->exponent_bits < 1 || r->exponent_bits > 11 || r->mantissa_bits < 0 ||
      r->exponent_bits + r->mantissa_bits > 15)
    return false;
  r->bias = (1 << (r->exponent_bits - 1)) - 1;
  r->specials = NIB_SPECIALS_IEEE;
  for (char separator = ':'; *name; separator = ',') {
    if (*name++ != separator)
      return false;
    const bool ok = read_word(&name, "bias=")       ? read_number(&name, &r->bias)
                    : read_word(&name, "specials=") ? read_specials(&name, &r->specials)
                                                    : false;
    if (!ok)
      return false;
  }
  /* Values stay within double, whose exponents reach from -1074 to 1023. */
  if (r->bias < -900 || r->bias > 1000 - r->mantissa_bits + 40 ||
      (1 << r->exponent_bits) - r->bias > 1000)
    return false;
  /* An IEEE format without mantissa bits could not tell infinity from NaN, and all ones of a
   * format with neither mantissa nor exponent to spare would leave no number. */
  if (r->mantissa_bits == 0 && r->specials == NIB_SPECIALS_IEEE)
    return false;
  out->kind = NIB_KIND_FLOAT;
  out->bits = 1 + r->exponent_bits + r->mantissa_bits;
  out->bytes = out->bits <= 8 ? 1 : 2;
  out->c_type = out->bits <= 8 ? "uint8_t" : "uint16_t";
  out->source = "sign, exponent and mantissa bits as spelled";
  return true;
}

static nib_format search_found(const char *name) {
  const int n = atomic_load(&n_found);
  for (int i = 0; i < n; ++i)
    if (strcmp(found[i]->name, name) == 0)
      return (nib_format)(NIB_FORMAT_ROWS + i);
  return NIB_FORMAT_COUNT;
}

static nib_format add_found(const nib_format_info *info, const char *name) {
  while (atomic_flag_test_and_set(&adding))
    ;
  nib_format format = search_found(name); /* another thread may have been first */
  const int n = atomic_load(&n_found);
  const size_t length = strlen(name) + 1;
  if (format == NIB_FORMAT_COUNT && n < MAX_FOUND) {
    nib_format_info *entry = malloc(sizeof *entry + length);
    if (entry) {
      *entry = *info;
      entry->name = memcpy((char *)(entry + 1), name, length);
      found[n] = entry;
      atomic_store(&n_found, n + 1);
      format = (nib_format)(NIB_FORMAT_ROWS + n);
    }
  }
  atomic_flag_clear(&adding);
  return format;
}

/* ---- finding ---- */

static bool has_word(const char *words, const char *word) {
  const size_t n = strlen(word);
  for (const char *at = words; at && n; at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL)
    if (strncmp(at, word, n) == 0 && (at[n] == ' ' || at[n] == '\0'))
      return true;
  return false;
}

nib_format nib_format_find(const char *name) {
  for (int i = 0; i < NIB_FORMAT_ROWS; ++i)
    if (strcmp(rows[i].name, name) == 0)
      return (nib_format)i;
  for (int i = 0; i < NIB_FORMAT_ROWS; ++i)
    if (has_word(rows[i].aliases, name))
      return (nib_format)i;
  const nib_format format = search_found(name);
  nib_format_info info = {0};
  if (format != NIB_FORMAT_COUNT || !parse_minifloat(name, &info))
    return format;
  return add_found(&info, name);
}

bool nib_format_is_known(nib_format format) {
  return (int)format >= 0 && (int)format < NIB_FORMAT_ROWS + atomic_load(&n_found);
}

bool nib_format_is_builtin(nib_format format) {
  return format < NIB_FORMAT_ROWS && rows[format].kind <= NIB_KIND_FLOAT && !rows[format].is_extra;
}

const nib_format_info *nib_format_get(nib_format format) {
  return format < NIB_FORMAT_ROWS ? &rows[format] : found[format - NIB_FORMAT_ROWS];
}

bool nib_format_holds_reals(nib_format format) {
  const nib_format_kind kind = nib_format_get(format)->kind;
  return kind == NIB_KIND_FLOAT || kind == NIB_KIND_CODEBOOK || kind == NIB_KIND_BLOCK;
}

size_t nib_format_bytes(nib_format format) { return (size_t)nib_format_get(format)->bytes; }

size_t nib_format_storage_bytes(nib_format format, int64_t elems) {
  const nib_format_info *info = nib_format_get(format);
  if (info->kind != NIB_KIND_BLOCK)
    return (size_t)elems * (size_t)info->bytes;
  const int64_t blocks = (elems + info->block_elems - 1) / info->block_elems;
  return (size_t)blocks * (size_t)info->block_bytes;
}

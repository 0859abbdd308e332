/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Formats by their names, and those that are spelled with parameters. */
#include "num/format_found.h"

#include <ctype.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FOUND (NIB_FORMAT_COUNT - 1 - NIB_FORMAT_ROWS)

/* Append-only: an entry is written before the count that makes it visible. */
static nib_format_info *found[MAX_FOUND];
static atomic_int n_found;
static atomic_flag adding = ATOMIC_FLAG_INIT;

const nib_format_info *nib_format_found(nib_format format) {
  const int i = (int)format - NIB_FORMAT_ROWS;
  return i >= 0 && i < atomic_load(&n_found) ? found[i] : NULL;
}

/* ---- spellings with parameters ---- */

/* A decimal number of at most 5 digits. */
bool nib_read_number(const char **at, int *out) {
  char *end;
  const char *from = *at + (**at == '-');
  if (!isdigit((unsigned char)*from) || strspn(from, "0123456789") > 5)
    return false;
  *out = (int)strtol(*at, &end, 10);
  *at = end;
  return true;
}

bool nib_read_word(const char **at, const char *word) {
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
    if (nib_read_word(at, names[i])) {
      *out = values[i];
      return true;
    }
  return false;
}

/* [u]eXmY[:bias=N][,specials=S], both parameters in any order. */
static bool parse_minifloat(const char *name, nib_format_info *out) {
  nib_real_layout *r = &out->real;
  const bool has_sign = !nib_read_word(&name, "u");
  if (!nib_read_word(&name, "e") || !nib_read_number(&name, &r->exponent_bits) ||
      !nib_read_word(&name, "m") || !nib_read_number(&name, &r->mantissa_bits))
    return false;
  if (r->exponent_bits < 1 || r->exponent_bits > 11 || r->mantissa_bits < 0 ||
      r->exponent_bits + r->mantissa_bits > 15)
    return false;
  r->bias = (1 << (r->exponent_bits - 1)) - 1;
  r->specials = NIB_SPECIALS_IEEE;
  for (char separator = ':'; *name; separator = ',') {
    if (*name++ != separator)
      return false;
    const bool ok = nib_read_word(&name, "bias=")       ? nib_read_number(&name, &r->bias)
                    : nib_read_word(&name, "specials=") ? read_specials(&name, &r->specials)
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
  if (!has_sign && r->specials == NIB_SPECIALS_FNUZ) /* NaN is the code of the negative zero */
    return false;
  out->kind = NIB_KIND_FLOAT;
  out->bits = has_sign + r->exponent_bits + r->mantissa_bits;
  out->bytes = out->bits <= 8 ? 1 : 2;
  out->c_type = out->bits <= 8 ? "uint8_t" : "uint16_t";
  out->source = "sign, exponent and mantissa bits as spelled";
  return true;
}

/* ---- codebooks ---- */

static bool read_real(const char **at, double *out) {
  char *end;
  if (!isdigit((unsigned char)**at) && **at != '-' && **at != '.')
    return false;
  *out = strtod(*at, &end);
  if (end == *at || !isfinite(*out))
    return false;
  *at = end;
  return true;
}

/* book:V,V,…: 2, 4, 8 … 256 values by code. */
static bool parse_book(const char *name, nib_format_info *out) {
  float values[256];
  int n = 0;
  double x;
  if (!nib_read_word(&name, "book:"))
    return false;
  do {
    if (n == 256 || !read_real(&name, &x) || !isfinite((float)x))
      return false;
    values[n++] = (float)x;
  } while (nib_read_word(&name, ","));
  if (*name || n < 2 || (n & (n - 1)))
    return false;
  while (1 << out->bits < n)
    ++out->bits;
  float *kept = malloc((size_t)n * sizeof *kept); /* for the life of the process, as the format */
  if (!kept)
    return false;
  out->codebook.values = memcpy(kept, values, (size_t)n * sizeof *kept);
  out->source = "values as spelled";
  return true;
}

/* powerN:A and halvesN. */
static bool parse_rule(const char *name, nib_format_info *out) {
  out->codebook.rule = NIB_CODEBOOK_POWER;
  out->source = "Yvinec et al., NUPES (2023): sign(c) |c / max|^a of an integer c";
  if (nib_read_word(&name, "power"))
    return nib_read_number(&name, &out->bits) && out->bits >= 2 && out->bits <= 8 &&
           nib_read_word(&name, ":") && read_real(&name, &out->codebook.parameter) &&
           out->codebook.parameter > 0 && out->codebook.parameter <= 16 && !*name;
  out->codebook.rule = NIB_CODEBOOK_HALVES;
  out->source = "Wu et al., ZeroQuant-FP (2023), M2: 2^-code";
  return nib_read_word(&name, "halves") && nib_read_number(&name, &out->bits) && out->bits >= 1 &&
         out->bits <= 8 && !*name;
}

static bool parse_codebook(const char *name, nib_format_info *out) {
  *out = (nib_format_info){.kind = NIB_KIND_CODEBOOK, .bytes = 1, .c_type = "uint8_t"};
  return parse_book(name, out) || parse_rule(name, out);
}

/* ---- those that were found ---- */

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
    if (strcmp(nib_format_get((nib_format)i)->name, name) == 0)
      return (nib_format)i;
  for (int i = 0; i < NIB_FORMAT_ROWS; ++i)
    if (has_word(nib_format_get((nib_format)i)->aliases, name))
      return (nib_format)i;
  const nib_format format = search_found(name);
  if (format != NIB_FORMAT_COUNT)
    return format;
  nib_format_info info = {0};
  return nib_format_parse_block(name, &info) || parse_minifloat(name, &info) ||
                 parse_codebook(name, &info)
             ? add_found(&info, name)
             : NIB_FORMAT_COUNT;
}

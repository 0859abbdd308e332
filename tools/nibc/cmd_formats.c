/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * nibc formats: the table of number formats, and one format with its values. */
#include "commands.h"
#include "message.h"
#include "num/format.h"
#include "num/scale_search.h"

#include <math.h>
#include <string.h>

enum { TABLE_BITS = 8, SCAN_BITS = 16 };

static const char *const kind_names[] = {
    [NIB_KIND_SIGNED] = "signed integer", [NIB_KIND_UNSIGNED] = "unsigned integer",
    [NIB_KIND_FLOAT] = "floating point",  [NIB_KIND_BIPOLAR] = "bipolar",
    [NIB_KIND_CODEBOOK] = "codebook",     [NIB_KIND_BLOCK] = "block",
};

static const char *const rule_names[] = {
    [NIB_SCALE_RULE_ABSMAX] = "largest magnitude",
    [NIB_SCALE_RULE_SIGNED_MAX] = "element of largest magnitude to the lowest code",
    [NIB_SCALE_RULE_RANGE] = "least and greatest element",
    [NIB_SCALE_RULE_FLOOR_POW2] = "exponent of the largest magnitude",
    [NIB_SCALE_RULE_CEIL_POW2] = "least power of two that holds the largest magnitude",
};

static const char *part_name(int format) { return nib_format_get((nib_format)format)->name; }

/* ---- what the columns say ---- */

typedef struct words {
  char text[96];
} words;

static double bits_per_element(const nib_format_info *f) {
  return f->kind == NIB_KIND_BLOCK ? 8.0 * f->block_bytes / f->block_elems : f->bits;
}

/* "f16, 6-bit for 16": the scale of a block and that of its groups. */
static words scale_words(const nib_format_info *f) {
  const nib_block_layout *b = &f->block;
  words w = {"-"};
  if (f->kind != NIB_KIND_BLOCK)
    return w;
  int n =
      snprintf(w.text, sizeof w.text, "%s", b->scale == NIB_NO_FORMAT ? "" : part_name(b->scale));
  if (b->group_elems)
    n += snprintf(w.text + n, sizeof w.text - (size_t)n, "%s%s for %d", n ? ", " : "",
                  part_name(b->group_scale), b->group_elems);
  if (b->offset != NIB_NO_FORMAT)
    n += snprintf(w.text + n, sizeof w.text - (size_t)n, ", offset %s", part_name(b->offset));
  if (b->zero != NIB_NO_FORMAT)
    snprintf(w.text + n, sizeof w.text - (size_t)n, ", zero point %s", part_name(b->zero));
  return w;
}

static nib_format element_of(nib_format format) {
  const nib_format_info *f = nib_format_get(format);
  return f->kind == NIB_KIND_BLOCK ? (nib_format)f->block.element : format;
}

/* Least and greatest finite value; of a block, of an element before the scale. */
static void range_of(nib_format format, double *low, double *high) {
  const nib_format_info *f = nib_format_get(format);
  if (format == NIB_F32 || format == NIB_F64) {
    *high = format == NIB_F32 ? 0x1.fffffep127 : 0x1.fffffffffffffp1023;
    *low = -*high;
  } else if (f->kind == NIB_KIND_BLOCK) {
    nib_scale_search search;
    nib_scale_search_init(&search, f, NULL);
    *low = ldexp(search.low, f->block.element_exponent);
    *high = ldexp(search.high, f->block.element_exponent);
  } else if (format == NIB_U64) {
    *low = 0;
    *high = 18446744073709551615.0;
  } else {
    nib_scale_value_range(format, 0, low, high);
    if (f->real.specials == NIB_SPECIALS_SCALE && f->kind == NIB_KIND_FLOAT)
      *low = nib_format_decode(format, 0);
  }
}

static words range_words(nib_format format) {
  double low, high;
  words w;
  range_of(format, &low, &high);
  snprintf(w.text, sizeof w.text, "%.6g to %.6g", low, high);
  return w;
}

/* Which values that are no ordinary numbers an element has. */
static words special_words(nib_format format) {
  const nib_format element = element_of(format);
  const nib_format_info *f = nib_format_get(element);
  bool infinity = f->bits > SCAN_BITS && f->kind == NIB_KIND_FLOAT, nan = infinity, zero = infinity;
  for (uint64_t code = 0; f->bits <= SCAN_BITS && code < UINT64_C(1) << f->bits; ++code) {
    const double x = nib_format_decode(element, code);
    infinity |= isinf(x);
    nan |= isnan(x);
    zero |= x == 0 && signbit(x);
  }
  words w;
  snprintf(w.text, sizeof w.text, "%s%s%s", infinity ? "inf " : "", nan ? "NaN " : "",
           zero ? "-0" : "");
  const size_t n = strlen(w.text);
  if (n && w.text[n - 1] == ' ')
    w.text[n - 1] = '\0';
  return n ? w : (words){"-"};
}

/* ---- the list ---- */

static void list_kind(nib_format_kind kind) {
  static const char *const titles[] = {
      [NIB_KIND_SIGNED] = "Signed integers", [NIB_KIND_UNSIGNED] = "Unsigned integers",
      [NIB_KIND_FLOAT] = "Floating point",   [NIB_KIND_BIPOLAR] = "Bipolar",
      [NIB_KIND_CODEBOOK] = "Codebooks",     [NIB_KIND_BLOCK] = "Blocks (range: of an element)",
  };
  const bool blocks = kind == NIB_KIND_BLOCK;
  printf("%s%s%s\n", nibc_bold(), titles[kind], nibc_plain());
  printf("  %-15s %7s %6s %-32s %-28s %-10s %s\n", "name", "bits/el", blocks ? "block" : "",
         blocks ? "scale" : "", "range", "special", "source");
  for (int i = 0; i < NIB_FORMAT_ROWS; ++i) {
    const nib_format_info *f = nib_format_get((nib_format)i);
    if (f->kind != kind)
      continue;
    char block[16] = "";
    if (blocks)
      snprintf(block, sizeof block, "%d", f->block_elems);
    printf("  %-15s %7.5g %6s %-32s %-28s %-10s %s\n", f->name, bits_per_element(f), block,
           blocks ? scale_words(f).text : "", range_words((nib_format)i).text,
           special_words((nib_format)i).text, f->source);
  }
  printf("\n");
}

static void list_formats(void) {
  for (int kind = 0; kind <= NIB_KIND_BLOCK; ++kind)
    list_kind((nib_format_kind)kind);
  printf(
      "Spelled with parameters: eXmY[:bias=N][,specials=ieee|fn|fnuz|none], ueXmY (no sign),\n"
      "book:V,V,…, powerN:A, halvesN, and blocks: ELEMENT:block=N,scale=FORMAT[,…], bfpM:block=N.\n"
      "`nibc formats NAME` shows one, with its values.\n");
}

/* ---- one format ---- */

static void print_values(nib_format format) {
  const nib_format_info *f = nib_format_get(format);
  const uint64_t n = UINT64_C(1) << f->bits;
  const int columns = n < 8 ? (int)n : 8;
  printf("\n%svalues by code%s\n", nibc_bold(), nibc_plain());
  for (uint64_t row = 0; row < n; row += (uint64_t)columns) {
    printf("  %02llx ", (unsigned long long)row);
    for (int c = 0; c < columns; ++c)
      printf(" %11.6g", nib_format_decode(format, row + (uint64_t)c));
    printf("\n");
  }
}

/* How many positive numbers lie in each octave: the precision there. Long runs of equal octaves are
 * one line. */
static void print_octaves(nib_format format) {
  enum { OFFSET = 1100, OCTAVES = 2200, WIDTH = 48 };
  static int counts[OCTAVES];
  const nib_format_info *f = nib_format_get(format);
  int most = 0, first = OCTAVES, last = -1;
  memset(counts, 0, sizeof counts);
  for (uint64_t code = 0; code < UINT64_C(1) << f->bits; ++code) {
    const double x = nib_format_decode(format, code);
    int e;
    if (!(x > 0) || isinf(x))
      continue;
    frexp(x, &e);
    e += OFFSET - 1;
    most = ++counts[e] > most ? counts[e] : most;
    first = e < first ? e : first;
    last = e > last ? e : last;
  }
  if (last < 0)
    return;
  printf("\n%spositive numbers in each octave%s\n", nibc_bold(), nibc_plain());
  for (int e = first; e <= last;) {
    int end = e;
    while (end < last && counts[end + 1] == counts[e])
      ++end;
    char range[40];
    if (end == e)
      snprintf(range, sizeof range, "2^%d", e - OFFSET);
    else
      snprintf(range, sizeof range, "2^%d … 2^%d", e - OFFSET, end - OFFSET);
    printf("  %-18s%s %6d ", range, end == e ? "" : "  ", counts[e]);
    for (int i = 0; i < (counts[e] * WIDTH + most - 1) / most; ++i)
      printf("#");
    printf("\n");
    e = end + 1;
  }
}

static void print_field(const char *what, const nib_bit_field *f) {
  if (!f->bits)
    return;
  char i[16] = "i";
  printf("  %-22s %d bits, number i at bit %d", what, f->bits, f->at);
  if (f->chunk) {
    printf(" + i/%d*%d", f->chunk, f->chunk_step);
    snprintf(i, sizeof i, "(i%%%d)", f->chunk);
  }
  if (f->run)
    printf(" + %s/%d*%d + i%%%d*%d\n", i, f->run, f->step, f->run, f->stride);
  else
    printf(" + %s*%d\n", i, f->stride);
}

static void print_number(const char *what, int format, int byte) {
  if (format != NIB_NO_FORMAT)
    printf("  %-22s %s at byte %d\n", what, part_name(format), byte);
}

static void print_block(const nib_format_info *f) {
  const nib_block_layout *b = &f->block;
  printf("\n%slayout of %d elements in %d bytes, little-endian%s\n", nibc_bold(), f->block_elems,
         f->block_bytes, nibc_plain());
  print_number("scale", b->scale, b->scale_at);
  print_number(b->offset_is_subtracted ? "offset (subtracted)" : "offset", b->offset, b->offset_at);
  print_field("zero point", &b->zero_field);
  print_field("group scales", &b->group_scales.low);
  print_field("group scales, above", &b->group_scales.high);
  print_field("group offsets", &b->group_offsets.low);
  print_field("group offsets, above", &b->group_offsets.high);
  print_field("codes", &b->codes.low);
  print_field("codes, above", &b->codes.high);
  if (b->packing == NIB_PACKING_TQ1_0)
    printf("  %-22s five base-3 digits in a byte, from byte 0\n", "codes");
  printf("  value = (%s", part_name(b->element));
  if (b->element_zero || b->zero != NIB_NO_FORMAT)
    printf(b->zero != NIB_NO_FORMAT ? " - zero point" : " - %d", b->element_zero);
  printf(")");
  if (b->element_exponent)
    printf(" 2^%d", b->element_exponent);
  printf(" scale%s%s\n", b->group_elems ? " group_scale" : "",
         b->offset == NIB_NO_FORMAT ? ""
         : b->offset_is_subtracted  ? " - offset"
                                    : " + offset");
  printf("  %-22s %s\n", "scale is chosen from", rule_names[b->scale_rule]);
}

static void show_format(nib_format format) {
  const nib_format_info *f = nib_format_get(format);
  const nib_format element = element_of(format);
  printf("%s%s%s: %s\n", nibc_bold(), f->name, nibc_plain(), kind_names[f->kind]);
  if (f->aliases)
    printf("  %-22s %s\n", "also called", f->aliases);
  printf("  %-22s %s\n", "source", f->source);
  printf("  %-22s %.6g\n", "bits per element", bits_per_element(f));
  if (f->kind == NIB_KIND_FLOAT)
    printf("  %-22s %d exponent, %d mantissa, bias %d\n", "bits", f->real.exponent_bits,
           f->real.mantissa_bits, f->real.bias);
  printf("  %-22s %s\n", f->kind == NIB_KIND_BLOCK ? "range of an element" : "range",
         range_words(format).text);
  printf("  %-22s %s\n", "special values", special_words(format).text);
  if (f->kind == NIB_KIND_BLOCK)
    print_block(f);
  if (nib_format_get(element)->bits <= TABLE_BITS)
    print_values(element);
  if (nib_format_get(element)->bits <= SCAN_BITS)
    print_octaves(element);
}

/* ---- JSON ---- */

static void json_number(double x) {
  if (isfinite(x))
    printf("%.17g", x);
  else
    printf(isnan(x) ? "\"nan\"" : x < 0 ? "\"-inf\"" : "\"inf\"");
}

static void json_format(nib_format format, bool with_values) {
  const nib_format_info *f = nib_format_get(format);
  double low, high;
  range_of(format, &low, &high);
  printf("{\"name\": \"%s\", \"aliases\": \"%s\", \"kind\": \"%s\", \"bits_per_element\": %.9g, "
         "\"block\": %d, \"block_bytes\": %d, \"element\": \"%s\", \"scale\": \"%s\", \"low\": ",
         f->name, f->aliases ? f->aliases : "", kind_names[f->kind], bits_per_element(f),
         f->block_elems, f->block_bytes, nib_format_get(element_of(format))->name,
         scale_words(f).text);
  json_number(low);
  printf(", \"high\": ");
  json_number(high);
  printf(", \"special\": \"%s\", \"source\": \"%s\"", special_words(format).text, f->source);
  if (with_values && f->kind != NIB_KIND_BLOCK && f->bits <= TABLE_BITS) {
    printf(", \"values\": [");
    for (uint64_t code = 0; code < UINT64_C(1) << f->bits; ++code) {
      printf(code ? ", " : "");
      json_number(nib_format_decode(format, code));
    }
    printf("]");
  }
  printf("}");
}

nib_status nibc_command_formats(const nibc_options *o) {
  const nib_format format = o->model ? nib_format_find(o->model) : NIB_FORMAT_COUNT;
  if (o->model && format == NIB_FORMAT_COUNT) {
    nibc_error("'%s' is not a format", o->model);
    nibc_hint("'nibc formats' lists them, and how others are spelled");
    return NIB_ERROR_INVALID_USAGE;
  }
  if (o->json && o->model) {
    json_format(format, true);
    printf("\n");
  } else if (o->json) {
    for (int i = 0; i < NIB_FORMAT_ROWS; ++i) {
      printf(i ? ",\n " : "[");
      json_format((nib_format)i, false);
    }
    printf("]\n");
  } else if (o->model) {
    show_format(format);
  } else {
    list_formats();
  }
  return NIB_OK;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Blocks that are spelled with parameters. */
#include "num/format_found.h"

#include <stdio.h>
#include <string.h>

enum { MAX_ELEMS = 8192, MAX_GROUPS = 256, MAX_NAME = 1024 };

/* What a spelling says. */
typedef struct spelling {
  nib_format element, scale, offset, zero, group_scale;
  int elems, zero_code, limit, group_elems, group_offset_bits, rule;
  bool has_zero_code;
} spelling;

/* The format whose name is text[0..size). */
static nib_format find_part(const char *text, size_t size) {
  char name[MAX_NAME];
  if (size == 0 || size >= sizeof name)
    return NIB_FORMAT_COUNT;
  memcpy(name, text, size);
  name[size] = '\0';
  return nib_format_find(name);
}

static bool read_format(const char **at, nib_format *out) {
  const size_t size = strcspn(*at, ",");
  *out = find_part(*at, size);
  *at += size;
  return *out != NIB_FORMAT_COUNT && *out != NIB_NO_FORMAT;
}

static bool read_rule(const char **at, int *out) {
  static const char *const names[] = {"absmax", "signed-max", "range", "floor", "ceil"};
  for (int i = 0; i < 5; ++i)
    if (nib_read_word(at, names[i])) {
      *out = i;
      return true;
    }
  return false;
}

/* A number that is subtracted, or the format of one in each block. */
static bool read_zero(const char **at, spelling *s) {
  const char *number = *at;
  if (nib_read_number(&number, &s->zero_code) && (*number == ',' || *number == '\0')) {
    s->has_zero_code = true;
    *at = number;
    return true;
  }
  return read_format(at, &s->zero);
}

static bool read_parameter(const char **at, spelling *s) {
  if (nib_read_word(at, "scale="))
    return read_format(at, &s->scale);
  if (nib_read_word(at, "offset="))
    return read_format(at, &s->offset);
  if (nib_read_word(at, "zero="))
    return read_zero(at, s);
  if (nib_read_word(at, "limit="))
    return nib_read_number(at, &s->limit) && s->limit > 0;
  if (nib_read_word(at, "rule="))
    return read_rule(at, &s->rule);
  if (nib_read_word(at, "group="))
    return nib_read_number(at, &s->group_elems);
  if (nib_read_word(at, "group_scale="))
    return read_format(at, &s->group_scale);
  return nib_read_word(at, "group_offset=") && nib_read_number(at, &s->group_offset_bits);
}

/* bfpM:block=N is iM:block=N,scale=e8m0,rule=ceil. */
static bool read_floating(const char **at, spelling *s) {
  int bits;
  const char *name = *at;
  if (!nib_read_word(&name, "bfp") || !nib_read_number(&name, &bits) || bits < 2 || bits > 16)
    return false;
  char element[8];
  snprintf(element, sizeof element, "i%d", bits);
  s->element = nib_format_find(element);
  s->scale = NIB_F8E8M0FNU;
  s->rule = NIB_SCALE_RULE_CEIL_POW2;
  *at = name;
  return true;
}

/* ELEMENT:block=N,PARAMETER,…; the element's own parameters come before block=. */
static bool read_spelling(const char *name, spelling *s) {
  const char *block = strstr(name, "block=");
  if (!block || block < name + 2 || (block[-1] != ':' && block[-1] != ','))
    return false;
  *s = (spelling){.rule = -1};
  const char *at = name;
  if (!read_floating(&at, s) || at != block - 1)
    s->element = find_part(name, (size_t)(block - 1 - name));
  at = block;
  if (!nib_read_word(&at, "block=") || !nib_read_number(&at, &s->elems))
    return false;
  while (nib_read_word(&at, ","))
    if (!read_parameter(&at, s))
      return false;
  return *at == '\0';
}

/* ---- what can be ---- */

static bool is_integer(nib_format f) {
  const nib_format_kind kind = nib_format_get(f)->kind;
  return kind == NIB_KIND_SIGNED || kind == NIB_KIND_UNSIGNED;
}

static bool is_scale(nib_format f) {
  return f == NIB_NO_FORMAT || (nib_format_holds_reals(f) && nib_format_get(f)->bits >= 1 &&
                                nib_format_get(f)->bits <= 32);
}

static bool is_sound(const spelling *s) {
  if (s->element == NIB_FORMAT_COUNT || nib_format_get(s->element)->kind == NIB_KIND_BLOCK ||
      nib_format_get(s->element)->bits > 16)
    return false;
  const bool has_zero = s->has_zero_code || s->zero != NIB_NO_FORMAT;
  if (!is_scale(s->scale) || !is_scale(s->offset) || (has_zero && !is_integer(s->element)) ||
      (s->has_zero_code && s->zero_code < 0) || (s->zero && nib_format_get(s->zero)->bits > 32) ||
      nib_format_get(s->zero)->kind >= NIB_KIND_BIPOLAR)
    return false;
  if (s->scale == NIB_NO_FORMAT && s->group_scale == NIB_NO_FORMAT)
    return false;
  if ((s->group_elems != 0) != (s->group_scale != NIB_NO_FORMAT) ||
      (s->group_scale && nib_format_get(s->group_scale)->bits > 16) ||
      (s->group_scale && nib_format_get(s->group_scale)->kind == NIB_KIND_BLOCK) ||
      s->group_offset_bits < 0 || s->group_offset_bits > 16 ||
      (s->group_offset_bits && (s->offset == NIB_NO_FORMAT || !s->group_elems)) ||
      (s->group_elems &&
       (s->zero != NIB_NO_FORMAT || (s->offset != NIB_NO_FORMAT && s->group_offset_bits == 0))))
    return false;
  return s->elems >= 1 && s->elems <= MAX_ELEMS && s->group_elems >= 0 &&
         (!s->group_elems ||
          (s->elems % s->group_elems == 0 && s->elems / s->group_elems <= MAX_GROUPS));
}

/* ---- layout ---- */

static int take_bytes(int *bit, int bits) {
  const int at = *bit;
  *bit += (bits + 7) / 8 * 8;
  return at;
}

static nib_bit_field take_dense(int *bit, int bits, int n) {
  return (nib_bit_field){.at = take_bytes(bit, bits * n), .bits = bits, .stride = bits};
}

static nib_scale_rule rule_of(const spelling *s) {
  if (s->rule >= 0)
    return (nib_scale_rule)s->rule;
  if (s->zero != NIB_NO_FORMAT || s->offset != NIB_NO_FORMAT)
    return NIB_SCALE_RULE_RANGE;
  if (s->scale == NIB_F8E8M0FNU && !s->group_elems)
    return is_integer(s->element) ? NIB_SCALE_RULE_CEIL_POW2 : NIB_SCALE_RULE_FLOOR_POW2;
  return NIB_SCALE_RULE_ABSMAX;
}

/* Scale, offset, zero point, group scales, group offsets, elements, each from a byte on. */
static void lay_out(const spelling *s, nib_format_info *out) {
  nib_block_layout *b = &out->block;
  const nib_format_info *element = nib_format_get(s->element);
  const int groups = s->group_elems ? s->elems / s->group_elems : 0;
  int bit = 0;
  b->element = (int)s->element;
  b->scale = (int)s->scale;
  b->offset = (int)s->offset;
  b->zero = (int)s->zero;
  b->group_elems = s->group_elems;
  b->group_scale = (int)s->group_scale;
  b->scale_rule = rule_of(s);
  b->element_limit = s->limit;
  if (s->has_zero_code)
    b->element_zero = s->zero_code;
  else if (element->kind == NIB_KIND_UNSIGNED && !s->zero && !s->offset)
    b->element_zero = 1 << (element->bits - 1);
  if (s->scale)
    b->scale_at = take_bytes(&bit, nib_format_get(s->scale)->bits) / 8;
  if (s->offset)
    b->offset_at = take_bytes(&bit, nib_format_get(s->offset)->bits) / 8;
  if (s->zero)
    b->zero_field = take_dense(&bit, nib_format_get(s->zero)->bits, 1);
  if (groups)
    b->group_scales.low = take_dense(&bit, nib_format_get(s->group_scale)->bits, groups);
  if (s->group_offset_bits)
    b->group_offsets.low = take_dense(&bit, s->group_offset_bits, groups);
  b->codes.low = take_dense(&bit, element->bits, s->elems);
  out->block_elems = s->elems;
  out->block_bytes = bit / 8;
}

bool nib_format_parse_block(const char *name, nib_format_info *out_info) {
  spelling s;
  if (!read_spelling(name, &s) || !is_sound(&s))
    return false;
  *out_info = (nib_format_info){.kind = NIB_KIND_BLOCK,
                                .bytes = 1,
                                .c_type = "uint8_t",
                                .source = "elements and scales as spelled"};
  lay_out(&s, out_info);
  return true;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The format table. */
#include "num/format.h"

#include "num/codebook.h"
#include "num/format_found.h"

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

bool nib_format_is_known(nib_format format) {
  return (int)format >= 0 && ((int)format < NIB_FORMAT_ROWS || nib_format_found(format) != NULL);
}

bool nib_format_is_builtin(nib_format format) {
  return format < NIB_FORMAT_ROWS && rows[format].kind <= NIB_KIND_FLOAT && !rows[format].is_extra;
}

const nib_format_info *nib_format_get(nib_format format) {
  return format < NIB_FORMAT_ROWS ? &rows[format] : nib_format_found(format);
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

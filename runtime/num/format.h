/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The number formats: one table, read by every room. */
#ifndef NIB_NUM_FORMAT_H
#define NIB_NUM_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* NIB_FORMAT(ID, name, bits, kind, min, max, c_type): name is the MLIR builtin spelling. */
#define NIB_FORMATS(X)                                                                             \
  X(I8, "i8", 8, NIB_KIND_SIGNED, -128, 127, "int8_t")                                             \
  X(U8, "ui8", 8, NIB_KIND_UNSIGNED, 0, 255, "uint8_t")                                            \
  X(I16, "i16", 16, NIB_KIND_SIGNED, -32768, 32767, "int16_t")                                     \
  X(U16, "ui16", 16, NIB_KIND_UNSIGNED, 0, 65535, "uint16_t")                                      \
  X(I32, "i32", 32, NIB_KIND_SIGNED, INT32_MIN, INT32_MAX, "int32_t")                              \
  X(I64, "i64", 64, NIB_KIND_SIGNED, INT64_MIN, INT64_MAX, "int64_t")                              \
  X(I1, "i1", 8, NIB_KIND_UNSIGNED, 0, 1, "uint8_t")                                               \
  X(F32, "f32", 32, NIB_KIND_FLOAT, 0, 0, "float")                                                 \
  X(F64, "f64", 64, NIB_KIND_FLOAT, 0, 0, "double")

typedef enum nib_format_kind { NIB_KIND_SIGNED, NIB_KIND_UNSIGNED, NIB_KIND_FLOAT } nib_format_kind;

typedef enum nib_format {
#define X(ID, name, bits, kind, min, max, c_type) NIB_##ID,
  NIB_FORMATS(X)
#undef X
      NIB_FORMAT_COUNT
} nib_format;

typedef struct nib_format_info {
  const char *name;   /**< MLIR's spelling of the storage type */
  int bits;           /**< storage bits of one element (i1 occupies a byte) */
  nib_format_kind kind;
  int64_t min, max;   /**< integer range; 0 for floats */
  const char *c_type; /**< C11 type of one stored element */
} nib_format_info;

/** Row of `format`; never NULL for a value of the enum. Thread-safe. */
const nib_format_info *nib_format_get(nib_format format);
/** Format whose name is `name`, or NIB_FORMAT_COUNT. */
nib_format nib_format_find(const char *name);
/** Bytes of one element (≥ 1). */
size_t nib_format_bytes(nib_format format);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * A reader of untrusted flatbuffers. Every access is checked against the buffer; the first
 * violation is remembered in the reader and everything read afterwards is the default, so that
 * callers check `nib_fb_ok` once after a group of reads. Nothing is allocated and nothing recurses.
 * Source: the FlatBuffers internals page (tables, vtables, vectors, strings; little-endian; offsets
 * are relative to where they are stored). */
#ifndef NIB_IMPORT_TFLITE_FLATBUFFER_H
#define NIB_IMPORT_TFLITE_FLATBUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nib_fb {
  const uint8_t *bytes; /**< borrowed for the life of the reader */
  size_t size;
  const char *error;   /**< NULL, or what the first violation was (static text) */
  size_t error_offset; /**< byte offset at which it was found */
} nib_fb;

/** A table inside the buffer; `fb` NULL: absent (every field has its default). */
typedef struct nib_fb_table {
  nib_fb *fb;
  size_t at;     /**< start of the table */
  size_t vtable; /**< start of its vtable */
  uint16_t vtable_bytes, table_bytes;
} nib_fb_table;

/** A vector inside the buffer, of `count` elements that all lie inside it. */
typedef struct nib_fb_vector {
  nib_fb *fb;
  size_t at;      /**< first element */
  uint32_t count; /**< 0 when absent */
  uint32_t elem_bytes;
} nib_fb_vector;

/** Starts reading: checks the four-character identifier and finds the root table. */
nib_fb_table nib_fb_open(nib_fb *fb, const uint8_t *bytes, size_t size, const char identifier[4]);
bool nib_fb_ok(const nib_fb *fb);

/* Scalar fields by field number, `otherwise` when absent. */
uint8_t nib_fb_u8(const nib_fb_table *t, int field, uint8_t otherwise);
int8_t nib_fb_i8(const nib_fb_table *t, int field, int8_t otherwise);
int32_t nib_fb_i32(const nib_fb_table *t, int field, int32_t otherwise);
uint32_t nib_fb_u32(const nib_fb_table *t, int field, uint32_t otherwise);
uint64_t nib_fb_u64(const nib_fb_table *t, int field, uint64_t otherwise);
float nib_fb_f32(const nib_fb_table *t, int field, float otherwise);

/** A field that is a table; `fb` is NULL in the result when it is absent. */
nib_fb_table nib_fb_child(const nib_fb_table *t, int field);
bool nib_fb_has(const nib_fb_table *t, int field);

/** A field that is a vector (or string, elem_bytes 1); count 0 when absent. */
nib_fb_vector nib_fb_vec(const nib_fb_table *t, int field, uint32_t elem_bytes);
int32_t nib_fb_i32_at(const nib_fb_vector *v, uint32_t i);
int64_t nib_fb_i64_at(const nib_fb_vector *v, uint32_t i);
float nib_fb_f32_at(const nib_fb_vector *v, uint32_t i);
/** i-th table of a vector of offsets. */
nib_fb_table nib_fb_table_at(const nib_fb_vector *v, uint32_t i);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Bounds-checked flatbuffer reader. */
#include "import/tflite/flatbuffer.h"

#include <string.h>

bool nib_fb_ok(const nib_fb *fb) { return fb->error == NULL; }

static void fail(nib_fb *fb, const char *error, size_t offset) {
  if (fb->error)
    return;
  fb->error = error;
  fb->error_offset = offset;
}

/* Whether [at, at + bytes) lies in the buffer. */
static bool inside(const nib_fb *fb, size_t at, size_t bytes) {
  return at <= fb->size && bytes <= fb->size - at;
}

/* Little-endian integer of 1 to 8 bytes; the caller has checked the range. */
static uint64_t load(const nib_fb *fb, size_t at, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = bytes; i-- > 0;)
    value = value << 8 | fb->bytes[at + i];
  return value;
}

/* Follows the unsigned offset stored at `at` (4 bytes, inside the buffer); 0 on a violation. */
static size_t follow(nib_fb *fb, size_t at) {
  size_t offset = (size_t)load(fb, at, 4);
  if (offset == 0 || !inside(fb, at, offset) || !inside(fb, at + offset, 4)) {
    fail(fb, "offset outside the file", at);
    return 0;
  }
  return at + offset;
}

static nib_fb_table table_from(nib_fb *fb, size_t at) {
  nib_fb_table none = {0};
  if (!inside(fb, at, 4)) {
    fail(fb, "table outside the file", at);
    return none;
  }
  int64_t back = (int32_t)load(fb, at, 4);
  int64_t vtable = (int64_t)at - back;
  if (vtable < 0 || !inside(fb, (size_t)vtable, 4)) {
    fail(fb, "vtable outside the file", at);
    return none;
  }
  nib_fb_table t = {.fb = fb,
                    .at = at,
                    .vtable = (size_t)vtable,
                    .vtable_bytes = (uint16_t)load(fb, (size_t)vtable, 2),
                    .table_bytes = (uint16_t)load(fb, (size_t)vtable + 2, 2)};
  if (t.vtable_bytes < 4 || t.vtable_bytes % 2 || !inside(fb, t.vtable, t.vtable_bytes)) {
    fail(fb, "vtable with a wrong size", t.vtable);
    return none;
  }
  if (t.table_bytes < 4 || !inside(fb, at, t.table_bytes)) {
    fail(fb, "table with a wrong size", at);
    return none;
  }
  return t;
}

nib_fb_table nib_fb_open(nib_fb *fb, const uint8_t *bytes, size_t size, const char identifier[4]) {
  *fb = (nib_fb){.bytes = bytes, .size = size};
  if (size < 8 || memcmp(bytes + 4, identifier, 4) != 0) {
    fail(fb, "file identifier missing", 4);
    return (nib_fb_table){0};
  }
  size_t root = follow(fb, 0);
  return root ? table_from(fb, root) : (nib_fb_table){0};
}

/* Where the field's `bytes` bytes are, or 0 when the field is absent or out of the table. */
static size_t field_at(const nib_fb_table *t, int field, size_t bytes) {
  size_t slot = 4 + 2 * (size_t)field;
  if (!t->fb || slot + 2 > t->vtable_bytes)
    return 0;
  size_t offset = (size_t)load(t->fb, t->vtable + slot, 2);
  if (offset == 0)
    return 0;
  if (offset < 4 || offset + bytes > t->table_bytes) {
    fail(t->fb, "field outside its table", t->at);
    return 0;
  }
  return t->at + offset;
}

bool nib_fb_has(const nib_fb_table *t, int field) { return field_at(t, field, 1) != 0; }

uint8_t nib_fb_u8(const nib_fb_table *t, int field, uint8_t otherwise) {
  size_t at = field_at(t, field, 1);
  return at ? t->fb->bytes[at] : otherwise;
}

int8_t nib_fb_i8(const nib_fb_table *t, int field, int8_t otherwise) {
  return (int8_t)nib_fb_u8(t, field, (uint8_t)otherwise);
}

uint32_t nib_fb_u32(const nib_fb_table *t, int field, uint32_t otherwise) {
  size_t at = field_at(t, field, 4);
  return at ? (uint32_t)load(t->fb, at, 4) : otherwise;
}

int32_t nib_fb_i32(const nib_fb_table *t, int field, int32_t otherwise) {
  return (int32_t)nib_fb_u32(t, field, (uint32_t)otherwise);
}

uint64_t nib_fb_u64(const nib_fb_table *t, int field, uint64_t otherwise) {
  size_t at = field_at(t, field, 8);
  return at ? load(t->fb, at, 8) : otherwise;
}

static float float_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

float nib_fb_f32(const nib_fb_table *t, int field, float otherwise) {
  size_t at = field_at(t, field, 4);
  return at ? float_from_bits((uint32_t)load(t->fb, at, 4)) : otherwise;
}

nib_fb_table nib_fb_child(const nib_fb_table *t, int field) {
  size_t at = field_at(t, field, 4);
  size_t child = at ? follow(t->fb, at) : 0;
  return child ? table_from(t->fb, child) : (nib_fb_table){0};
}

nib_fb_vector nib_fb_vec(const nib_fb_table *t, int field, uint32_t elem_bytes) {
  nib_fb_vector none = {0};
  size_t at = field_at(t, field, 4);
  size_t start = at ? follow(t->fb, at) : 0;
  if (!start)
    return none;
  uint32_t count = (uint32_t)load(t->fb, start, 4);
  if (count > (t->fb->size - start - 4) / elem_bytes) {
    fail(t->fb, "vector longer than the file", start);
    return none;
  }
  return (nib_fb_vector){.fb = t->fb, .at = start + 4, .count = count, .elem_bytes = elem_bytes};
}

/* Element `i` as an integer of the vector's element size; 0 and a violation when out of range. */
static uint64_t element(const nib_fb_vector *v, uint32_t i) {
  if (i < v->count)
    return load(v->fb, v->at + (size_t)i * v->elem_bytes, v->elem_bytes);
  if (v->fb)
    fail(v->fb, "index past the end of a vector", v->at);
  return 0;
}

int32_t nib_fb_i32_at(const nib_fb_vector *v, uint32_t i) {
  return (int32_t)(uint32_t)element(v, i);
}

int64_t nib_fb_i64_at(const nib_fb_vector *v, uint32_t i) { return (int64_t)element(v, i); }

float nib_fb_f32_at(const nib_fb_vector *v, uint32_t i) {
  return float_from_bits((uint32_t)element(v, i));
}

nib_fb_table nib_fb_table_at(const nib_fb_vector *v, uint32_t i) {
  if (i >= v->count) {
    (void)element(v, i);
    return (nib_fb_table){0};
  }
  size_t child = follow(v->fb, v->at + (size_t)i * 4);
  return child ? table_from(v->fb, child) : (nib_fb_table){0};
}

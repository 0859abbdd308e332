/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_flatbuffer
#include "import/tflite/flatbuffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                               \
      ++failures;                                                                                  \
    }                                                                                              \
  } while (0)

/* Root at 20 with vtable at 8: field 0 u32 = 7, field 1 absent, field 2 vector, field 3 u8 = 0xFE.
 */
static const uint8_t sample[] = {
    20, 0, 0,  0, 'T',  'E',  'S',  'T',               /* root offset, identifier */
    12, 0, 16, 0, 4,    0,    0,    0,    8, 0, 12, 0, /* vtable: 12 bytes, table of 16 */
    12, 0, 0,  0, 7,    0,    0,    0,    8, 0, 0,  0, 0xFE, 0, 0, 0, /* table */
    2,  0, 0,  0, 0xFF, 0xFF, 0xFF, 0xFF, 5, 0, 0,  0,                /* vector at 36 of two i32 */
};

static void test_sound_buffer_reads(void) {
  nib_fb fb;
  nib_fb_table t = nib_fb_open(&fb, sample, sizeof sample, "TEST");
  CHECK(nib_fb_ok(&fb));
  CHECK(nib_fb_u32(&t, 0, 1) == 7);
  CHECK(nib_fb_i32(&t, 1, -3) == -3);
  CHECK(nib_fb_i32(&t, 9, 11) == 11);
  CHECK(nib_fb_i8(&t, 3, 0) == -2);
  CHECK(nib_fb_u8(&t, 3, 0) == 0xFE);
  CHECK(nib_fb_has(&t, 0) && !nib_fb_has(&t, 1));
  nib_fb_vector v = nib_fb_vec(&t, 2, 4);
  CHECK(v.count == 2 && nib_fb_i32_at(&v, 0) == -1 && nib_fb_i32_at(&v, 1) == 5);
  CHECK(nib_fb_ok(&fb));
  CHECK(nib_fb_i32_at(&v, 2) == 0);
  CHECK(!nib_fb_ok(&fb));
}

static void test_absent_table_gives_defaults(void) {
  nib_fb_table none = {0};
  CHECK(nib_fb_u32(&none, 0, 9) == 9);
  CHECK(nib_fb_vec(&none, 3, 8).count == 0);
  CHECK(nib_fb_child(&none, 0).fb == NULL);
  CHECK(nib_fb_f32(&none, 0, 2.5f) == 2.5f);
}

/* Reads everything in a copy with byte `at` set to `value`; the expected violation, or NULL. */
static const char *read_changed(size_t at, uint8_t value, size_t size) {
  uint8_t *copy = malloc(size ? size : 1);
  memcpy(copy, sample, size);
  if (at < size)
    copy[at] = value;
  nib_fb fb;
  nib_fb_table t = nib_fb_open(&fb, copy, size, "TEST");
  (void)nib_fb_u32(&t, 0, 0);
  nib_fb_vector v = nib_fb_vec(&t, 2, 4);
  for (uint32_t i = 0; i < v.count; ++i)
    (void)nib_fb_i32_at(&v, i);
  (void)nib_fb_u8(&t, 3, 0);
  const char *error = fb.error;
  free(copy);
  return error ? error : "";
}

static void test_each_violation_is_found(void) {
  CHECK(!strcmp(read_changed(4, 'X', sizeof sample), "file identifier missing"));
  CHECK(!strcmp(read_changed(0, 200, sizeof sample), "offset outside the file"));
  CHECK(!strcmp(read_changed(0, 0, sizeof sample), "offset outside the file"));
  CHECK(!strcmp(read_changed(20, 40, sizeof sample), "vtable outside the file"));
  CHECK(!strcmp(read_changed(23, 0x80, sizeof sample), "vtable outside the file"));
  CHECK(!strcmp(read_changed(8, 3, sizeof sample), "vtable with a wrong size"));
  CHECK(!strcmp(read_changed(8, 200, sizeof sample), "vtable with a wrong size"));
  CHECK(!strcmp(read_changed(10, 60, sizeof sample), "table with a wrong size"));
  CHECK(!strcmp(read_changed(12, 14, sizeof sample), "field outside its table"));
  CHECK(!strcmp(read_changed(36, 3, sizeof sample), "vector longer than the file"));
  CHECK(!strcmp(read_changed(39, 0xFF, sizeof sample), "vector longer than the file"));
}

/* Every truncation and every single-byte change reads inside the copy (sanitizers watch). */
static void test_any_change_stays_inside(void) {
  for (size_t size = 0; size < sizeof sample; ++size)
    CHECK(read_changed(sizeof sample, 0, size)[0] != '\0');
  int sound = 0;
  for (size_t at = 0; at < sizeof sample; ++at)
    for (int value = 0; value < 256; ++value)
      sound += read_changed(at, (uint8_t)value, sizeof sample)[0] == '\0';
  CHECK(sound > 0);
}

int main(void) {
  test_sound_buffer_reads();
  test_absent_table_gives_defaults();
  test_each_violation_is_found();
  test_any_change_stays_inside();
  return failures != 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_format_pack
/* Packing: every width and length gives back its codes, writes no byte beyond, and lies as said. */
#include "num/format.h"

#include <stdio.h>
#include <string.h>

static int failures;

static void fail(const char *what, const char *name, long long at) {
  if (++failures <= 20)
    printf("%s: %s at %lld\n", name, what, at);
}

/* Little-endian bits by their definition. */
static uint64_t bits_at(const uint8_t *bytes, int64_t bit, int n) {
  uint64_t value = 0;
  for (int i = 0; i < n; ++i)
    value |= (uint64_t)(bytes[(bit + i) / 8] >> (bit + i) % 8 & 1) << i;
  return value;
}

static void test_round_trip(nib_format f) {
  const nib_format_info *info = nib_format_get(f);
  enum { MOST = 70 };
  for (int64_t n = 0; n <= MOST; ++n) {
    int64_t codes[MOST + 1], back[MOST + 1];
    uint8_t packed[8 * MOST + 1];
    const size_t bytes = nib_format_packed_bytes(f, n);
    memset(codes, 0, sizeof codes);
    memset(back, 0, sizeof back);
    memset(packed, 0xA5, sizeof packed);
    for (int64_t i = 0; i < n; ++i) {
      const uint64_t code =
          f == NIB_TERNARY ? (uint64_t)(i * 7 % 3 - 1) : (uint64_t)(i * 0x9E3779B97F4A7C15);
      nib_format_store_code(f, codes, i, nib_format_extend_code(f, code));
    }
    nib_format_pack(f, codes, n, packed);
    if (packed[bytes] != 0xA5)
      fail("a byte beyond is written", info->name, n);
    nib_format_unpack(f, packed, n, back);
    if (memcmp(codes, back, sizeof codes) != 0)
      fail("codes differ after packing", info->name, n);
    for (int64_t i = 0; i < n && f != NIB_TERNARY; ++i)
      if (bits_at(packed, i * info->bits, info->bits) !=
          ((uint64_t)nib_format_load_code(f, codes, i) &
           (info->bits == 64 ? UINT64_MAX : (UINT64_C(1) << info->bits) - 1)))
        fail("a code lies elsewhere", info->name, i);
  }
}

static void test_known(void) {
  const uint8_t codes[] = {1, 2, 3, 4, 5};
  const int8_t ternary[] = {-1, 0, 1, 1, 0, 1, -1};
  uint8_t packed[8];
  nib_format_pack(NIB_U3, codes, 5, packed);
  if (packed[0] != (1 | 2 << 3 | (3 & 3) << 6) || packed[1] != (3 >> 2 | 4 << 1 | 5 << 4))
    fail("bytes", "ui3", 0);
  nib_format_pack(NIB_TERNARY, ternary, 7, packed);
  if (packed[0] != 0 + 1 * 3 + 2 * 9 + 2 * 27 + 1 * 81 || packed[1] != 2 + 0)
    fail("bytes", "ternary", 0);
}

int main(void) {
  for (int f = 0; f < NIB_FORMAT_ROWS; ++f)
    if (nib_format_get((nib_format)f)->kind != NIB_KIND_BLOCK)
      test_round_trip((nib_format)f);
  test_known();
  printf("%d failures\n", failures);
  return failures != 0;
}

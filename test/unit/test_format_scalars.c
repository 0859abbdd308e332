/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_format_scalars
/* The format table's rows agree with each other; every code of every minifloat of at most 16 bits
 * decodes to a number that encodes to the code again; f16 and bf16 by their own functions as by the
 * general one. */
#include "num/format.h"
#include "num/format_snippets.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int failures;

static void fail(const char *what, const char *name, unsigned long long at) {
  if (++failures <= 20)
    printf("%s: %s at %llu\n", name, what, at);
}

static bool same(double a, double b) {
  return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b));
}

static void test_row(nib_format f) {
  const nib_format_info *info = nib_format_get(f);
  if (nib_format_find(info->name) != f)
    fail("its name finds another row", info->name, 0);
  if (info->bytes != 1 && info->bytes != 2 && info->bytes != 4 && info->bytes != 8)
    fail("bytes of an element", info->name, (unsigned)info->bytes);
  if (!info->source || !info->c_type)
    fail("it has no source or no C type", info->name, 0);
  if (info->kind == NIB_KIND_FLOAT && f != NIB_F8E8M0FNU &&
      info->bits != 1 + info->real.exponent_bits + info->real.mantissa_bits)
    fail("its bits are not its layout's", info->name, (unsigned)info->bits);
  char alias[64];
  for (const char *at = info->aliases; at && *at; at += strspn(at, " ")) {
    const size_t n = strcspn(at, " ");
    snprintf(alias, sizeof alias, "%.*s", (int)n, at);
    if (nib_format_find(alias) != f)
      fail("an alias finds another row", alias, 0);
    at += n;
  }
}

/* Codes in ascending order decode ascending; each encodes to itself in every mode. */
static void test_codes(const char *name) {
  const nib_format f = nib_format_find(name);
  if (f == NIB_FORMAT_COUNT) {
    fail("not found", name, 0);
    return;
  }
  const nib_format_info *info = nib_format_get(f);
  const bool is_scale = info->real.specials == NIB_SPECIALS_SCALE;
  const uint64_t half = UINT64_C(1) << (info->bits - 1);
  for (uint64_t code = 0; code < 2 * half; ++code) {
    const double x = nib_format_decode(f, code);
    for (int mode = 0; mode <= NIB_ENCODE_STOCHASTIC; ++mode) {
      const uint64_t back = nib_format_encode(f, x, (nib_encode_mode)mode, false, 12345);
      if (isnan(x) ? !isnan(nib_format_decode(f, back)) : back != code)
        fail("a code does not encode to itself", name, code);
    }
    if (code && !isnan(x) && (code < half || is_scale) && !(x > nib_format_decode(f, code - 1)))
      fail("codes are not ascending", name, code);
    if (!is_scale && code < half && !isnan(x) && !isnan(nib_format_decode(f, code | half)) &&
        !same(-x, nib_format_decode(f, code | half)))
      fail("the sign bit does not negate", name, code);
  }
}

/* Midpoints of neighbours go to the even code, and to the outer one. */
static void test_midpoints(const char *name) {
  const nib_format f = nib_format_find(name);
  const nib_format_info *info = nib_format_get(f);
  const uint64_t half = UINT64_C(1) << (info->bits - 1);
  for (uint64_t code = 0; code + 1 < half; ++code) {
    const double a = nib_format_decode(f, code), b = nib_format_decode(f, code + 1);
    if (!isfinite(a) || !isfinite(b))
      continue;
    const double middle = a + (b - a) / 2, below = nextafter(middle, a);
    if (nib_format_encode(f, middle, NIB_ENCODE_NEAREST_EVEN, true, 0) != code + (code & 1) ||
        nib_format_encode(f, middle, NIB_ENCODE_NEAREST_AWAY, true, 0) != code + 1 ||
        nib_format_encode(f, below, NIB_ENCODE_NEAREST_AWAY, true, 0) != code ||
        nib_format_encode(f, middle, NIB_ENCODE_TOWARD_ZERO, true, 0) != code ||
        nib_format_encode(f, middle, NIB_ENCODE_UP, true, 0) != code + 1 ||
        nib_format_encode(f, middle, NIB_ENCODE_DOWN, true, 0) != code ||
        nib_format_encode(f, middle, NIB_ENCODE_STOCHASTIC, true, 0) != code + 1 ||
        nib_format_encode(f, middle, NIB_ENCODE_STOCHASTIC, true, UINT64_MAX) != code)
      fail("a midpoint", name, code);
  }
}

static void test_minifloat(const char *name) {
  test_codes(name);
  if (nib_format_find(name) != NIB_F8E8M0FNU) /* its ties go up */
    test_midpoints(name);
}

static void test_halves(void) {
  for (uint32_t code = 0; code < 65536; ++code) {
    const float h = nib_f16_to_f32((uint16_t)code), b = nib_bf16_to_f32((uint16_t)code);
    if (!same(h, nib_format_decode(NIB_F16, code)))
      fail("nib_f16_to_f32", "f16", code);
    if (!same(b, nib_format_decode(NIB_BF16, code)))
      fail("nib_bf16_to_f32", "bf16", code);
  }
  /* Floats around each f16, and a walk over all exponents. */
  for (uint64_t i = 0; i < UINT64_C(1) << 32; i += 4093) {
    const uint32_t bits = (uint32_t)i;
    float x;
    memcpy(&x, &bits, sizeof x);
    if (isnan(x))
      continue;
    if (nib_f32_to_f16(x) != nib_format_encode(NIB_F16, x, NIB_ENCODE_NEAREST_EVEN, false, 0))
      fail("nib_f32_to_f16", "f16", bits);
    if (nib_f32_to_bf16(x) != nib_format_encode(NIB_BF16, x, NIB_ENCODE_NEAREST_EVEN, false, 0))
      fail("nib_f32_to_bf16", "bf16", bits);
  }
}

int main(void) {
  for (int f = 0; f < NIB_FORMAT_ROWS; ++f)
    test_row((nib_format)f);
  for (int f = 0; f < NIB_FORMAT_ROWS; ++f)
    if (nib_format_get((nib_format)f)->kind == NIB_KIND_FLOAT &&
        nib_format_get((nib_format)f)->bits <= 16)
      test_minifloat(nib_format_get((nib_format)f)->name);
  static const char *const spelled[] = {"e2m2", "e8m6", "e1m6:specials=none", "e3m0:specials=fn",
                                        "e5m9:bias=3,specials=fnuz"};
  for (size_t i = 0; i < sizeof spelled / sizeof *spelled; ++i)
    test_minifloat(spelled[i]);
  static const char *const wrong[] = {"",
                                      "e",
                                      "e5",
                                      "e5m",
                                      "e0m3",
                                      "e12m3",
                                      "e5m11",
                                      "e4m3:",
                                      "e4m3:bias",
                                      "e4m3:bias=x",
                                      "e4m3,bias=1",
                                      "e4m3:specials=odd",
                                      "e3m0",
                                      "e4m3:bias=100000",
                                      "e-1m3",
                                      "i0",
                                      "f7"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i)
    if (nib_format_find(wrong[i]) != NIB_FORMAT_COUNT)
      fail("found", wrong[i], 0);
  if (nib_format_find("e4m3:bias=5") != nib_format_find("e4m3:bias=5"))
    fail("found twice as two formats", "e4m3:bias=5", 0);
  test_halves();
  printf("%d failures\n", failures);
  return failures != 0;
}

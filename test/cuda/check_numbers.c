// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What arithmetic on packed values and conversions should write.
#include "check_primitives.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- arithmetic ---- */

/* The number of a 16-bit code, and the nearest code, even on a tie, found by bisection among all
 * codes. */
static double number16(uint32_t code, bool bf16) {
  int fraction_bits = bf16 ? 7 : 10, bias = bf16 ? 127 : 15, top = bf16 ? 255 : 31;
  int exponent = (int)(code >> fraction_bits) & top,
      fraction = (int)code & ((1 << fraction_bits) - 1);
  double sign = code & 0x8000 ? -1 : 1;
  if (exponent == top)
    return fraction ? NAN : sign * INFINITY;
  double significand = fraction + (exponent ? 1 << fraction_bits : 0);
  return sign * significand * pow(2, (exponent ? exponent : 1) - bias - fraction_bits);
}
static bool is_nan16(uint32_t code, bool bf16) { return isnan(number16(code, bf16)); }

/* x + error is exact, error being smaller than any distance between codes. */
static uint32_t nearest16(double x, double error, bool bf16) {
  uint32_t sign = signbit(x) ? 0x8000 : 0, low = 0,
           high = bf16 ? 0x7f80 : 0x7c00; /* codes around |x| */
  if (isnan(x))
    return 0x7fff;
  if (sign)
    x = -x, error = -error;
  while (high - low > 1) {
    uint32_t middle = (low + high) / 2;
    double m = number16(middle, bf16);
    if (m < x || (m == x && error >= 0))
      low = middle;
    else
      high = middle;
  }
  /* Infinity is as far as the next power of two. */
  double up =
      high == (bf16 ? 0x7f80u : 0x7c00u) ? (bf16 ? pow(2, 128) : 65536) : number16(high, bf16);
  double middle = (number16(low, bf16) + up) / 2;
  if (x > middle || (x == middle && error > 0))
    return sign | high;
  if (x < middle || error < 0)
    return sign | low;
  return sign | (low & 1 ? high : low);
}

/* The code of an f8E4M3FN, by its distance to all of them. */
static uint32_t nearest8(double x) {
  const uint32_t sign = signbit(x) ? 0x80 : 0;
  uint32_t best = 0;
  double least = INFINITY;
  if (!(fabs(x) <= 464))
    return sign | 0x7f;
  for (uint32_t code = 0; code < 0x7f; ++code) {
    const int exponent = (int)code >> 3;
    const double y = ldexp((code & 7) + (exponent ? 8 : 0), (exponent ? exponent : 1) - 10);
    const double distance = fabs(fabs(x) - y);
    if (distance < least || (distance == least && code % 2 == 0)) {
      least = distance;
      best = code;
    }
  }
  return sign | best;
}

/* Of codes: a b + c. Products are exact in double; what their sum loses is `error`. */
static uint32_t fma16(uint32_t a, uint32_t b, uint32_t c, bool bf16) {
  double p = number16(a, bf16) * number16(b, bf16), q = number16(c, bf16), sum = p + q, error = 0;
  if (isfinite(sum)) {
    double big = fabs(p) > fabs(q) ? p : q, small = fabs(p) > fabs(q) ? q : p;
    error = small - (sum - big);
  }
  return nearest16(sum, error, bf16);
}
static uint32_t pair(uint32_t low, uint32_t high) { return low | high << 16; }

static uint32_t select_bytes(uint32_t a, uint32_t b, uint32_t selector) {
  uint8_t bytes[8], out[4];
  uint32_t d;
  memcpy(bytes, &a, 4);
  memcpy(bytes + 4, &b, 4);
  for (int i = 0; i < 4; ++i) {
    uint32_t s = selector >> 4 * i & 15;
    out[i] = s < 8 ? bytes[s] : (uint8_t) - (bytes[s - 8] >> 7);
  }
  memcpy(&d, out, 4);
  return d;
}

/* Floats: half of them near the range of f16, some special. */
static void put_floats(buffer *b) {
  static const uint32_t special[] = {0,          0x80000000, 0x3f800000, 0x7f800000, 0xff800000,
                                     0x7fc00000, 0x477fefff, 0x477ff000, 0x33000000, 0x33000001,
                                     0x43e80000, 0x43e80001, 0x3a800000, 0x3f810000, 0x3f818000,
                                     0x7f7fffff, 0x00000001, 0x43e00000};
  for (size_t i = 0; i < b->bytes / 4; ++i) {
    float x = ldexpf((float)(int32_t)random32(), (int)(random32() % 40) - 55);
    if (i % 2)
      memcpy(&words(b)[i], &x, 4);
    if (i % 7 == 0)
      words(b)[i] = special[random32() % 18];
  }
}

static bool is_nan32(uint32_t x) { return (x & 0x7fffffff) > 0x7f800000; }

void check_conversions(void *f) {
  enum { blocks = 60, n = 128 * blocks, kinds = 5 };
  static const char *const names[kinds] = {"f32_to_bf16", "f32_to_f16", "f16_to_f32", "f32_rest",
                                           "fma_f32"};
  buffer a = make(4 * n, true), b = make(4 * n, true), c = make(4 * n, true),
         out = make(4 * n * kinds, false);
  put_floats(&a), put_floats(&b), put_floats(&c);
  up(&a), up(&b), up(&c);
  launch(f, "conversions", (unsigned[3]){blocks, 1, 1}, 128, 0,
         (void *[]){&a.device, &b.device, &c.device, &out.device});
  down(&out);
  uint32_t *want = malloc(out.bytes);
  for (int i = 0; i < n; ++i) {
    float x, y, z, high, rest, sum, half = (float)number16(words(&a)[i] & 0xffff, false);
    memcpy(&x, &words(&a)[i], 4);
    memcpy(&y, &words(&b)[i], 4);
    memcpy(&z, &words(&c)[i], 4);
    memcpy(&high, &(uint32_t){words(&a)[i] & 0xffff0000}, 4);
    rest = x == high ? 0 : x - high;
    sum = fmaf(x, y, z);
    want[i] = nearest16(x, 0, true);
    want[n + i] = nearest16(x, 0, false);
    memcpy(&want[2 * n + i], &half, 4);
    memcpy(&want[3 * n + i], &rest, 4);
    memcpy(&want[4 * n + i], &sum, 4);
    for (int kind = 0; kind < kinds; ++kind) { /* one NaN is as good as another */
      uint32_t *got = &words(&out)[kind * n + i], w = want[kind * n + i];
      if (kind < 2 ? is_nan16(w, kind == 0) && is_nan16(*got, kind == 0)
                   : is_nan32(w) && is_nan32(*got))
        want[kind * n + i] = *got;
    }
  }
  for (int kind = 0; kind < kinds; ++kind)
    compare(names[kind], words(&out) + kind * n, want + kind * n, n);
  free(want);
  drop(&a), drop(&b), drop(&c), drop(&out);
}

/* The nearest of all codes of f8e4m3fn, the even one on a tie; what would round to 480 and more is
 * NaN. */
static uint32_t nearest_e4m3(float x) {
  uint32_t best = 0, sign = signbit(x) ? 0x80 : 0;
  double least = INFINITY;
  if (isnan(x) || fabsf(x) > 464)
    return sign | 0x7f;
  for (uint32_t code = 0; code < 0x7f; ++code) {
    uint32_t exponent = code >> 3, fraction = code & 7;
    double value = exponent ? ldexp(8 + fraction, (int)exponent - 10) : ldexp(fraction, -9);
    double distance = fabs(value - fabs((double)x));
    if (distance < least || (distance == least && code % 2 == 0)) {
      least = distance;
      best = code;
    }
  }
  return sign | best;
}

static void check_to_f8(void *f, const char *name) {
  enum { blocks = 60, n = 128 * blocks };
  buffer x = make(4 * n, true), out = make(n, false);
  uint8_t *want = malloc(n);
  put_floats(&x);
  for (int i = 0; i < n / 2; ++i) /* midpoints, and beside them */
    words(&x)[i] = (0x3a000000u + ((uint32_t)i % 1024 << 19)) + (uint32_t)(i / 1024 % 3) - 1;
  up(&x);
  launch(f, name, (unsigned[3]){blocks, 1, 1}, 128, 0, (void *[]){&x.device, &out.device});
  down(&out);
  for (int i = 0; i < n; ++i) {
    float value;
    memcpy(&value, &words(&x)[i], 4);
    want[i] = (uint8_t)nearest_e4m3(value);
    if (isnan(value) && (((uint8_t *)out.host)[i] & 0x7f) == 0x7f)
      want[i] = ((uint8_t *)out.host)[i];
  }
  compare(name, out.host, want, n / 4);
  free(want);
  drop(&x), drop(&out);
}
void check_to_f8_ampere(void *f) { check_to_f8(f, "to_f8_ampere"); }
void check_to_f8_hopper(void *f) { check_to_f8(f, "to_f8_hopper"); }

void check_arithmetic(void *f) {
  enum { blocks = 40, n = 128 * blocks, kinds = 19 };
  static const char *const names[kinds] = {
      "select_bytes",    "and_or",     "hfma2",           "hsub2",    "bf16_fma2",
      "bf16_sub2",       "bf16_mul2",  "f32_f16",         "f32_bf16", "f32_to_bf16",
      "f32_to_f16",      "f16_to_f32", "f32_to_f8e4m3fn", "fma_f32",  "f32_rest",
      "rq_nearest_even", "hmul2",      "f16_pair",        "bf16_pair"};
  static const uint32_t special[] = {0,          0x80008000, 0x00010001, 0x7c007bff, 0x3c003c00,
                                     0xbf803f80, 0x7f807f7f, 0x00800080, 0x64006401, 0x43004301,
                                     0x80808080, 0x7f7f7f7f, 0xffffffff};
  buffer a = make(4 * n, true), b = make(4 * n, true), c = make(4 * n, true),
         out = make(4 * n * kinds, false);
  for (int i = 0; i < n; i += 3) {
    words(&a)[i] = special[random32() % 13];
    words(i % 2 ? &b : &c)[i] = special[random32() % 13];
  }
  for (int i = 1; i < n; i += 3) { /* floats that f16 can hold or nearly */
    float x = ldexpf((float)(int32_t)random32(), (int)(random32() % 40) - 55);
    memcpy(&words(&a)[i], &x, 4);
    x = ldexpf((float)(int32_t)(random32() % 8192), -12 - (int)(random32() % 20));
    memcpy(&words(&b)[i], &x, 4);
  }
  up(&a), up(&b), up(&c);
  launch(f, "arithmetic", (unsigned[3]){blocks, 1, 1}, 128, 0,
         (void *[]){&a.device, &b.device, &c.device, &out.device});
  down(&out);
  uint32_t *want = malloc(out.bytes);
  for (int i = 0; i < n; ++i) {
    uint32_t x = words(&a)[i], y = words(&b)[i], z = words(&c)[i], w[kinds];
    uint32_t xl = x & 0xffff, xh = x >> 16, yl = y & 0xffff, yh = y >> 16, zl = z & 0xffff,
             zh = z >> 16;
    float fx, fy, f16 = (float)number16(xl, false), fbf = (float)number16(xl, true);
    memcpy(&fx, &x, 4);
    memcpy(&fy, &y, 4);
    w[0] = select_bytes(x, y, z);
    w[1] = (x & y) | z;
    w[2] = pair(fma16(xl, yl, zl, false), fma16(xh, yh, zh, false));
    w[3] = pair(fma16(0x3c00, xl, yl ^ 0x8000, false), fma16(0x3c00, xh, yh ^ 0x8000, false));
    w[4] = pair(fma16(xl, yl, zl, true), fma16(xh, yh, zh, true));
    w[5] = pair(fma16(0x3f80, xl, yl ^ 0x8000, true), fma16(0x3f80, xh, yh ^ 0x8000, true));
    w[6] = pair(nearest16(number16(xl, true) * number16(yl, true), 0, true),
                nearest16(number16(xh, true) * number16(yh, true), 0, true));
    memcpy(&w[7], &f16, 4);
    memcpy(&w[8], &fbf, 4);
    w[9] = nearest16(fx, 0, true);
    w[10] = nearest16(fx, 0, false);
    w[11] = w[7];
    w[12] = nearest8(fx);
    float fz, high, sum;
    const uint32_t high_bits = x & 0xffff0000u;
    memcpy(&fz, &z, 4);
    memcpy(&high, &high_bits, 4);
    sum = fmaf(fx, fy, fz);
    memcpy(&w[13], &sum, 4);
    sum = isinf(fx) ? 0 : fx - high;
    memcpy(&w[14], &sum, 4);
    const float scaled = rintf((float)(int32_t)x * fy);
    w[15] = isnan(scaled)             ? words(&out)[15 * n + i]
            : scaled >= 2147483520.0f ? 0x7fffffffu
            : scaled < -2147483648.0f ? 0x80000000u
                                      : (uint32_t)(int32_t)scaled;
    w[16] = pair(nearest16(number16(xl, false) * number16(yl, false), 0, false),
                 nearest16(number16(xh, false) * number16(yh, false), 0, false));
    w[17] = pair(nearest16(fx, 0, false), nearest16(fy, 0, false));
    w[18] = pair(nearest16(fx, 0, true), nearest16(fy, 0, true));
    for (int kind = 0; kind < kinds; ++kind) {
      uint32_t *got = &words(&out)[kind * n + i];
      want[kind * n + i] = w[kind];
      /* One NaN is as good as another. */
      const bool bf16 = (kind >= 4 && kind <= 6) || kind == 18,
                 pairs = (kind >= 2 && kind <= 6) || kind >= 16;
      for (int half = 0; half < 32 && pairs; half += 16)
        if (is_nan16(*got >> half & 0xffff, bf16) && is_nan16(w[kind] >> half & 0xffff, bf16))
          want[kind * n + i] = (want[kind * n + i] & ~(0xffffu << half)) | (*got & 0xffffu << half);
      if (kind >= 7 && kind <= 8 && is_nan16(xl, kind == 8) && (*got & 0x7fffffff) > 0x7f800000)
        want[kind * n + i] = *got;
      const uint32_t infinity = kind == 9    ? 0x7f80
                                : kind == 10 ? 0x7c00
                                : kind == 12 ? 0x7e
                                             : 0x7f800000;
      const uint32_t magnitude = kind == 12 ? 0x7f : kind < 11 ? 0x7fff : 0x7fffffff;
      if (kind >= 9 && kind < 15 && (*got & magnitude) > infinity &&
          (w[kind] & magnitude) > infinity)
        want[kind * n + i] = *got;
    }
  }
  for (int kind = 0; kind < kinds; ++kind)
    compare(names[kind], words(&out) + kind * n, want + kind * n, n);
  free(want);
  drop(&a), drop(&b), drop(&c), drop(&out);
}

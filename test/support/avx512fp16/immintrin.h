/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The intrinsics that the vocabulary avx512fp16 uses, in portable C for processors without
 * AVX512-FP16: found before the compiler's own header, it takes their names and the attribute that
 * would let the compiler use the instructions. For tests, with clang.
 *
 * Every lane is rounded once. A double holds sums (multiples of 2^-24 below 2^17) and products
 * (22 bits) exactly. Of quotients it holds 53 bits, and no quotient of 11-bit numbers is nearer to
 * the middle between two FP16 numbers than 2^-24 of itself, unless it is that middle. A fused
 * product may need 80 bits: its sum is rounded to odd, to a double whose last bit is 1 where
 * anything is missing, so that no middle appears that is none; 53 bits are two more than rounding
 * needs. */
#ifndef NIB_TEST_AVX512FP16_H
#define NIB_TEST_AVX512FP16_H

#include_next <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef struct nib_fp16_lanes {
  uint16_t at[32];
} nib_fp16_lanes;

static inline nib_fp16_lanes nib_fp16_get(__m512h x) {
  nib_fp16_lanes y;
  memcpy(&y, &x, sizeof y);
  return y;
}

static inline __m512h nib_fp16_put(nib_fp16_lanes x) {
  __m512h y;
  memcpy(&y, &x, sizeof y);
  return y;
}

/* 2^exponent. */
static inline double nib_fp16_power(int exponent) {
  const uint64_t bits = (uint64_t)(exponent + 1023) << 52;
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static inline double nib_fp16_decode(uint16_t code) {
  const int exponent = code >> 10 & 31, fraction = code & 1023;
  const double size = exponent == 31 ? (fraction ? NAN : INFINITY)
                      : exponent     ? (1024 + fraction) * nib_fp16_power(exponent - 25)
                                     : fraction * nib_fp16_power(-24);
  return code >> 15 ? -size : size;
}

/* To nearest, ties to even. */
static inline uint16_t nib_fp16_encode(double x) {
  const double size = fabs(x);
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint16_t sign = bits >> 63 ? 0x8000 : 0;
  if (x != x)
    return 0x7E00;
  if (size >= 65520)
    return sign | 0x7C00;
  const int own = (int)(bits >> 52 & 2047) - 1023, exponent = own < -14 ? -14 : own;
  /* In units of the last place, without what is below 1; may carry over. */
  const double steps = size * nib_fp16_power(10 - exponent) + 0x1p52 - 0x1p52;
  return (uint16_t)(sign + ((exponent + 14) << 10) + (int)steps);
}

/* p + c rounded to odd: both multiples of 2^-48, p below 2^32. */
static inline double nib_fp16_add_odd(double p, double c) {
  const double sum = p + c, part = sum - p;
  const double rest = (p - (sum - part)) + (c - part); /* exact */
  uint64_t bits;
  memcpy(&bits, &sum, sizeof bits);
  if (!isfinite(sum) || rest == 0 || (bits & 1))
    return sum;
  return nextafter(sum, rest > 0 ? INFINITY : -INFINITY);
}

#define NIB_FP16_BINARY(name, expression)                                                          \
  static inline __m512h name(__m512h left, __m512h right) {                                        \
    nib_fp16_lanes x = nib_fp16_get(left);                                                         \
    const nib_fp16_lanes y = nib_fp16_get(right);                                                  \
    for (int i = 0; i < 32; i++) {                                                                 \
      const double a = nib_fp16_decode(x.at[i]), b = nib_fp16_decode(y.at[i]);                     \
      x.at[i] = expression;                                                                        \
    }                                                                                              \
    return nib_fp16_put(x);                                                                        \
  }
NIB_FP16_BINARY(nib_add_ph, nib_fp16_encode(a + b))
NIB_FP16_BINARY(nib_sub_ph, nib_fp16_encode(a - b))
NIB_FP16_BINARY(nib_mul_ph, nib_fp16_encode(a *b))
NIB_FP16_BINARY(nib_div_ph, nib_fp16_encode(a / b))
NIB_FP16_BINARY(nib_min_ph, a < b ? x.at[i] : y.at[i]) /* the second of two zeros, or with a NaN */
NIB_FP16_BINARY(nib_max_ph, a > b ? x.at[i] : y.at[i])

static inline __m512h nib_fmadd_ph(__m512h left, __m512h right, __m512h sum) {
  nib_fp16_lanes z = nib_fp16_get(sum);
  const nib_fp16_lanes x = nib_fp16_get(left), y = nib_fp16_get(right);
  for (int i = 0; i < 32; i++) {
    const double product = nib_fp16_decode(x.at[i]) * nib_fp16_decode(y.at[i]);
    z.at[i] = nib_fp16_encode(nib_fp16_add_odd(product, nib_fp16_decode(z.at[i])));
  }
  return nib_fp16_put(z);
}

static inline __m512h nib_set1_ph(_Float16 value) {
  nib_fp16_lanes x;
  for (int i = 0; i < 32; i++)
    memcpy(&x.at[i], &value, sizeof value);
  return nib_fp16_put(x);
}

static inline __m512h nib_setzero_ph(void) {
  const nib_fp16_lanes x = {{0}};
  return nib_fp16_put(x);
}

static inline __m512h nib_loadu_ph(const void *from) {
  __m512h x;
  memcpy(&x, from, sizeof x);
  return x;
}

static inline void nib_storeu_ph(void *to, __m512h x) { memcpy(to, &x, sizeof x); }

/* ---- of AVX-512 without FP16 ---- */

static inline __m512i nib_as_si512(__m512h x) {
  __m512i y;
  memcpy(&y, &x, sizeof y);
  return y;
}

static inline __m512h nib_as_ph(__m512i x) {
  __m512h y;
  memcpy(&y, &x, sizeof y);
  return y;
}

static inline __m512i nib_set1_epi32(int32_t value) {
  int32_t x[16];
  for (int i = 0; i < 16; i++)
    x[i] = value;
  __m512i y;
  memcpy(&y, x, sizeof y);
  return y;
}

static inline __m512i nib_loadu_si512(const void *from) {
  __m512i x;
  memcpy(&x, from, sizeof x);
  return x;
}

static inline void nib_storeu_si512(void *to, __m512i x) { memcpy(to, &x, sizeof x); }

static inline __m512i nib_maskz_loadu_epi16(uint32_t mask, const void *from) {
  nib_fp16_lanes x = {{0}};
  for (int i = 0; i < 32; i++)
    if (mask >> i & 1)
      memcpy(&x.at[i], (const char *)from + 2 * i, 2);
  return nib_as_si512(nib_fp16_put(x));
}

static inline void nib_mask_storeu_epi16(void *to, uint32_t mask, __m512i value) {
  const nib_fp16_lanes x = nib_fp16_get(nib_as_ph(value));
  for (int i = 0; i < 32; i++)
    if (mask >> i & 1)
      memcpy((char *)to + 2 * i, &x.at[i], 2);
}

static inline void nib_mask_storeu_epi32(void *to, uint16_t mask, __m512i value) {
  const nib_fp16_lanes x = nib_fp16_get(nib_as_ph(value));
  for (int i = 0; i < 16; i++)
    if (mask >> i & 1)
      memcpy((char *)to + 4 * i, &x.at[2 * i], 4);
}

static inline __m512i nib_permutexvar_epi16(__m512i places, __m512i value) {
  nib_fp16_lanes p = nib_fp16_get(nib_as_ph(places));
  const nib_fp16_lanes x = nib_fp16_get(nib_as_ph(value));
  for (int i = 0; i < 32; i++)
    p.at[i] = x.at[p.at[i] & 31];
  return nib_as_si512(nib_fp16_put(p));
}

#undef _mm512_add_ph
#undef _mm512_permutexvar_epi16
#define target(features) /* of functions */
#define _mm512_add_ph nib_add_ph
#define _mm512_sub_ph nib_sub_ph
#define _mm512_mul_ph nib_mul_ph
#define _mm512_div_ph nib_div_ph
#define _mm512_min_ph nib_min_ph
#define _mm512_max_ph nib_max_ph
#define _mm512_fmadd_ph nib_fmadd_ph
#define _mm512_set1_ph nib_set1_ph
#define _mm512_setzero_ph nib_setzero_ph
#define _mm512_loadu_ph nib_loadu_ph
#define _mm512_storeu_ph nib_storeu_ph
#define _mm512_castph_si512 nib_as_si512
#define _mm512_castsi512_ph nib_as_ph
#define _mm512_set1_epi32 nib_set1_epi32
#define _mm512_loadu_si512 nib_loadu_si512
#define _mm512_storeu_si512 nib_storeu_si512
#define _mm512_maskz_loadu_epi16 nib_maskz_loadu_epi16
#define _mm512_mask_storeu_epi16 nib_mask_storeu_epi16
#define _mm512_mask_storeu_epi32 nib_mask_storeu_epi32
#define _mm512_permutexvar_epi16 nib_permutexvar_epi16
#ifndef __AVX512F__ /* no register of 64 bytes to keep anything in */
#define __asm__(keep)
#endif

#endif

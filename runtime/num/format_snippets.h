/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Codes of number formats to reals and back: source text shared by the library and generated code,
 * as snippets.h. `specials` and `mode` are values of nib_specials and nib_encode_mode (format.h),
 * which generated code has as numbers. */
#ifndef NIB_NUM_FORMAT_SNIPPETS_H
#define NIB_NUM_FORMAT_SNIPPETS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

//@ begin nib_minifloat_decode
/* The value of a code of sign, exponent and mantissa bits; specials: 0 IEEE, 1 FN, 2 FNUZ, 3 none,
 * 4 E8M0. */
static inline double nib_minifloat_decode(uint32_t code, int exponent_bits, int mantissa_bits,
                                          int bias, int specials) {
  uint32_t top = (1u << exponent_bits) - 1, ones = (1u << mantissa_bits) - 1;
  if (specials == 4)
    return code == top ? (double)NAN : ldexp(1.0, (int)code - bias);
  uint32_t magnitude = code & ((top << mantissa_bits) | ones);
  int negative = (int)(code >> (exponent_bits + mantissa_bits)) & 1;
  uint32_t exponent = magnitude >> mantissa_bits, mantissa = magnitude & ones;
  if (specials == 0 && exponent == top)
    return mantissa ? (double)NAN : negative ? -(double)INFINITY : (double)INFINITY;
  if ((specials == 1 && exponent == top && mantissa == ones) ||
      (specials == 2 && negative && magnitude == 0))
    return (double)NAN;
  double x = exponent ? ldexp((double)(mantissa + ones + 1), (int)exponent - bias - mantissa_bits)
                      : ldexp((double)mantissa, 1 - bias - mantissa_bits);
  return negative ? -x : x;
}
//@ end

//@ begin nib_round_significand
/* significand / 2^shift, 0 <= shift <= 63, rounded; mode: 0 nearest even, 1 nearest away, 2 toward
 * zero, 3 up, 4 down, 5 stochastic. A tie goes to the even code, which is the quotient plus `base`
 * (that is odd for some exponents where there are no mantissa bits). */
static inline uint64_t nib_round_significand(uint64_t significand, int shift, int negative,
                                             int mode, int64_t base, uint64_t random) {
  if (shift == 0)
    return significand;
  uint64_t whole = significand >> shift, rest = significand & ((UINT64_C(1) << shift) - 1);
  uint64_t half = UINT64_C(1) << (shift - 1);
  int up = mode == 0   ? rest > half || (rest == half && ((whole + (uint64_t)base) & 1))
           : mode == 1 ? rest >= half
           : mode == 3 ? rest != 0 && !negative
           : mode == 4 ? rest != 0 && negative
           : mode == 5 ? (random >> (64 - shift)) < rest
                       : 0;
  return whole + (uint64_t)up;
}
//@ end

//@ begin nib_minifloat_encode
/* The code of a real; `mode` as above. Too large: the largest
 * number if `saturate` or if there is no other code, else infinity or NaN. NaN is -0 where there is
 * no NaN; infinity is NaN in E8M0. */
static inline uint32_t nib_minifloat_encode(double x, int exponent_bits, int mantissa_bits,
                                            int bias, int specials, int mode, int saturate,
                                            uint64_t random) {
  uint32_t top = (1u << exponent_bits) - 1, ones = (1u << mantissa_bits) - 1;
  uint32_t sign_bit = 1u << (exponent_bits + mantissa_bits);
  uint32_t all = (top << mantissa_bits) | ones;
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  int negative = (int)(bits >> 63), exponent = (int)(bits >> 52 & 2047);
  uint64_t significand = bits & ((UINT64_C(1) << 52) - 1);
  uint32_t sign = negative && specials != 4 ? sign_bit : 0;
  uint32_t largest = specials == 0                    ? (top << mantissa_bits) - 1
                     : specials == 1 || specials == 4 ? all - 1
                                                      : all;
  uint32_t nan = specials == 0   ? (top << mantissa_bits) | (ones + 1) >> 1 | sign
                 : specials == 1 ? all | sign
                 : specials == 2 ? sign_bit
                 : specials == 4 ? all
                 : negative      ? 0
                                 : sign_bit;
  uint32_t over = saturate || specials == 3 ? largest | sign
                  : specials == 0           ? top << mantissa_bits | sign
                                            : nan;
  if (exponent == 2047 && significand)
    return nan;
  if (exponent == 2047)
    return specials == 4 ? nan : over;
  if (specials == 4 && (negative || (exponent == 0 && significand == 0)))
    return negative && (exponent || significand) ? nan : 0;
  if (exponent == 0 && significand == 0)
    return specials == 2 ? 0 : sign;
  /* |x| = significand * 2^exponent with 53 bits */
  if (exponent)
    significand |= UINT64_C(1) << 52;
  else
    exponent = 1;
  while (!(significand >> 52)) {
    significand <<= 1;
    --exponent;
  }
  exponent -= 1023;
  int lowest = specials == 4 ? -bias : 1 - bias;
  int normal = exponent >= lowest;
  int shift = 52 - mantissa_bits + (normal ? 0 : lowest - exponent);
  if (shift > 63) { /* below half of the smallest step: only its being not 0 counts */
    shift = 63;
    significand = 1;
  }
  /* The hidden bit of a normal number counts the exponent up by one; a carry does so again. */
  int64_t base = (int64_t)((normal ? exponent : lowest) - lowest) << mantissa_bits;
  base -= specials == 4 ? 1 : 0;
  if (specials == 4 && mode == 0) /* 1.5 is nearer to 2 than to 1 for those who count exponents */
    mode = 1;
  int64_t code =
      base + (int64_t)nib_round_significand(significand, shift, negative, mode, base, random);
  if (code < 0)
    code = 0;
  if (code > (int64_t)largest) /* finite numbers do not go beyond it against their direction */
    return mode == 2 || mode == (negative ? 3 : 4) ? largest | sign : over;
  return code == 0 && specials == 2 ? 0 : (uint32_t)code | sign;
}
//@ end

//@ begin nib_packed_code
/* Number i of codes of 1 to 32 bits, one after the other, low bits first. */
static inline uint32_t nib_packed_code(const uint8_t *bytes, int64_t i, int bits) {
  uint64_t at = (uint64_t)i * (uint64_t)bits;
  bytes += at / 8;
  uint64_t value = (uint64_t)*bytes >> at % 8;
  for (int have = 8 - (int)(at % 8); have < bits; have += 8)
    value |= (uint64_t) * ++bytes << have;
  return (uint32_t)(value & ((UINT64_C(1) << bits) - 1));
}
//@ end

//@ begin nib_pack_code
/* Puts number i, in ascending order: its first byte has the codes before it, others are new. */
static inline void nib_pack_code(uint8_t *bytes, int64_t i, int bits, uint32_t code) {
  uint64_t at = (uint64_t)i * (uint64_t)bits;
  uint64_t value = (code & ((UINT64_C(1) << bits) - 1)) << at % 8;
  bytes += at / 8;
  *bytes = (uint8_t)(at % 8 ? *bytes | value : value);
  for (int done = 8 - (int)(at % 8); done < bits; done += 8)
    *++bytes = (uint8_t)(value >>= 8);
}
//@ end

//@ begin nib_packed_ternary
/* Number i, -1 to 1, of five to a byte: digits of base 3, the first is the lowest. */
static inline int nib_packed_ternary(const uint8_t *bytes, int64_t i) {
  static const uint8_t powers[5] = {1, 3, 9, 27, 81};
  return bytes[i / 5] / powers[i % 5] % 3 - 1;
}
//@ end

//@ begin nib_pack_ternary
/* Puts number i, in ascending order. */
static inline void nib_pack_ternary(uint8_t *bytes, int64_t i, int value) {
  static const uint8_t powers[5] = {1, 3, 9, 27, 81};
  bytes[i / 5] = (uint8_t)((i % 5 ? bytes[i / 5] : 0) + (value + 1) * powers[i % 5]);
}
//@ end

//@ begin nib_tq1_0_code
/* Element i of a block_tq1_0: byte b holds five digits of base 3 as ceil(digits * 256 / 3^5), the
 * first in front; the last four bytes hold four. */
static inline uint32_t nib_tq1_0_code(const uint8_t *block, int i) {
  static const uint8_t powers[5] = {1, 3, 9, 27, 81};
  int byte = i < 160 ? i % 32 : i < 240 ? 32 + (i - 160) % 16 : 48 + (i - 240) % 4;
  int digit = i < 160 ? i / 32 : i < 240 ? (i - 160) / 16 : (i - 240) / 4;
  return (uint32_t)((uint8_t)(block[byte] * powers[digit])) * 3 >> 8;
}
//@ end

//@ begin nib_scale_passes
/* n scales, n <= 256, as integers times one number, as many of them as have one in common, then
 * those left: returns the number of such passes. Significands have `places` bits behind the first,
 * and may be shifted left by `shifts`; where that is negative, only equal scales have a number in
 * common. Of pass i, to[i * words] and up are the integers of neighbours as pairs of 16 bits, once
 * in their order and once in the other, each integer `repeat` times; then the sum of bases times
 * integers, and the bits of the number. */
static inline int32_t nib_scale_passes(const float *scales, const int32_t *bases, int32_t n,
                                       int32_t repeat, uint32_t places, int32_t shifts,
                                       int32_t words, int32_t *to) {
  const uint32_t done = 0xFFFFFFFFu;
  uint32_t waits[256]; /* magnitudes of those left */
  int32_t passes = 0, integers[256], signs[256], left = 0;
  for (int32_t s = 0; s < n; s++) {
    memcpy(&signs[s], &scales[s], sizeof scales[s]);
    waits[s] = (uint32_t)signs[s] & 0x7FFFFFFFu;
    waits[s] = waits[s] ? waits[s] : done;
    left += waits[s] != done;
  }
  for (; left > 0; passes++, to += words) {
    uint32_t least = done;
    int32_t sum = 0;
    for (int32_t s = 0; s < n; s++)
      least = waits[s] < least ? waits[s] : least;
    const uint32_t exponent = least >> 23;
    const int is_shifted = shifts >= 0 && exponent > places && exponent < 255;
    for (int32_t s = 0; s < n; s++) {
      const uint32_t by = is_shifted ? (waits[s] >> 23) - exponent : 0;
      const uint32_t whole = is_shifted ? ((waits[s] & 0x7FFFFFu) | 0x800000u) >> (23 - places) : 1;
      const int32_t goes = is_shifted ? by <= (uint32_t)shifts : waits[s] == least;
      const int32_t integer = goes ? (int32_t)(whole << (by & 31)) : 0;
      integers[s] = signs[s] < 0 ? -integer : integer;
      waits[s] = goes ? done : waits[s];
      left -= goes;
      sum += integers[s] * bases[s];
    }
    for (int32_t i = 0; i < n * repeat; i += 2) {
      const uint32_t a = (uint16_t)integers[i / repeat], b = (uint16_t)integers[(i + 1) / repeat];
      to[i] = (int32_t)(a | b << 16);
      to[i + 1] = (int32_t)(b | a << 16);
    }
    to[words - 2] = sum;
    to[words - 1] = (int32_t)(is_shifted ? (exponent - places) << 23 : least);
  }
  return passes;
}
//@ end

//@ begin nib_f32_to_bits
static inline uint32_t nib_f32_to_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
//@ end

//@ begin nib_bits_to_f32
static inline float nib_bits_to_f32(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
//@ end

//@ begin nib_bit_field_place
/* The first bit of code number i of a bit field (format.h). */
static inline int nib_bit_field_place(int i, int at, int stride, int run, int step, int chunk,
                                      int chunk_step) {
  int bit = at;
  if (chunk) {
    bit += i / chunk * chunk_step;
    i %= chunk;
  }
  if (run) {
    bit += i / run * step;
    i %= run;
  }
  return bit + i * stride;
}
//@ end

//@ begin nib_bit_field_at
/* Code number i of a bit field (format.h) of a block; bits: at most 32. */
static inline uint32_t nib_bit_field_at(const uint8_t *block, int i, int at, int bits, int stride,
                                        int run, int step, int chunk, int chunk_step) {
  const int bit = nib_bit_field_place(i, at, stride, run, step, chunk, chunk_step);
  uint64_t value = 0;
  for (int byte = bit / 8; byte <= (bit + bits - 1) / 8; ++byte)
    value |= (uint64_t)block[byte] << (8 * (byte - bit / 8));
  return (uint32_t)(value >> bit % 8 & ((UINT64_C(1) << bits) - 1));
}
//@ end

//@ begin nib_bit_field_put
/* Puts code number i into a bit field of a block, whose bits there are 0; higher bits of `code` do
 * not count. */
static inline void nib_bit_field_put(uint8_t *block, int i, int at, int bits, int stride, int run,
                                     int step, int chunk, int chunk_step, uint32_t code) {
  const int bit = nib_bit_field_place(i, at, stride, run, step, chunk, chunk_step);
  uint64_t value = (code & ((UINT64_C(1) << bits) - 1)) << bit % 8;
  for (int byte = bit / 8; byte <= (bit + bits - 1) / 8; ++byte, value >>= 8)
    block[byte] = (uint8_t)(block[byte] | value);
}
//@ end

//@ begin nib_without_sign
/* For formats that have none: what is below 0 becomes 0. */
static inline double nib_without_sign(double x) { return x <= 0 ? 0 : x; }
//@ end

//@ begin nib_finite
/* Infinities as the largest number, NaN as 0. */
static inline float nib_finite(float x) {
  return x != x                ? 0.0f
         : x > 3.40282347e38f  ? 3.40282347e38f
         : x < -3.40282347e38f ? -3.40282347e38f
                               : x;
}
//@ end

//@ begin nib_codebook_code
/* The code of the value nearest to x, or, by `mode` as above, of its neighbour in a direction; ties
 * to the even code. Values need no order. NaN counts as 0. */
static inline uint32_t nib_codebook_code(const float *values, int n, double x, int mode,
                                         uint64_t random) {
  int below = -1, above = -1; /* the greatest value at most x, the least at least x */
  x = x != x ? 0 : x;
  for (int i = 0; i < n; ++i) {
    const double v = (double)values[i];
    if (v <= x && (below < 0 || v > (double)values[below]))
      below = i;
    if (v >= x && (above < 0 || v < (double)values[above]))
      above = i;
  }
  if (below < 0 || above < 0)
    return (uint32_t)(below < 0 ? above : below);
  const double down = x - (double)values[below], up = (double)values[above] - x;
  if (down == 0 || up == 0)
    return (uint32_t)(down == 0 ? below : above);
  const int takes_above = mode == 1   ? up < down || (up == down && x > 0)
                          : mode == 2 ? x < 0
                          : mode == 3 ? 1
                          : mode == 4 ? 0
                          : mode == 5 ? (double)(random >> 11) * 0x1p-53 < down / (down + up)
                                      : up < down || (up == down && (below & 1));
  return (uint32_t)(takes_above ? above : below);
}
//@ end

//@ begin nib_real_to_int
/* Toward zero, saturated; NaN is 0. */
static inline int64_t nib_real_to_int(double x, int64_t low, int64_t high) {
  return x != x ? 0 : x >= (double)high ? high : x <= (double)low ? low : (int64_t)x;
}
//@ end

//@ begin nib_real_to_uint64
static inline uint64_t nib_real_to_uint64(double x) {
  return !(x > 0.0) ? 0 : x >= 18446744073709551616.0 ? UINT64_MAX : (uint64_t)x;
}
//@ end

//@ begin nib_f16_to_f32
static inline float nib_f16_to_f32(uint16_t h) {
#if defined(__riscv_zfhmin) || defined(__riscv_zhinxmin) /* an instruction */
  _Float16 half;
  memcpy(&half, &h, sizeof half);
  return (float)half;
#else
  uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = h >> 10 & 31u, mantissa = h & 1023u;
  if (exponent == 0) { /* exact: a product of a small integer and a power of two */
    float magnitude = (float)mantissa * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  uint32_t bits = exponent == 31 ? sign | 0x7F800000u | mantissa << 13
                                 : sign | (exponent + 112u) << 23 | mantissa << 13;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
#endif
}
//@ end

//@ begin nib_f32_to_f16
/* To nearest even. */
static inline uint16_t nib_f32_to_f16(float x) {
#if defined(__riscv_zfhmin) || defined(__riscv_zhinxmin)
  const _Float16 half = (_Float16)x;
  uint16_t h;
  memcpy(&h, &half, sizeof h);
  return h;
#else
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u)
    return (uint16_t)(sign | 0x7E00u);
  if (magnitude >= 0x477FF000u) /* rounds to 65536 or more */
    return (uint16_t)(sign | 0x7C00u);
  if (magnitude < 0x38800000u) { /* below 2^-14: in steps of 2^-24 */
    float a;
    memcpy(&a, &magnitude, sizeof a);
    return (uint16_t)(sign | (uint32_t)rintf(a * 0x1p24f));
  }
  uint32_t rounded = magnitude + 0xFFFu + (magnitude >> 13 & 1u) - (112u << 23);
  return (uint16_t)(sign | rounded >> 13);
#endif
}
//@ end

//@ begin nib_bf16_to_f32
static inline float nib_bf16_to_f32(uint16_t h) {
  uint32_t bits = (uint32_t)h << 16;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
//@ end

//@ begin nib_f32_to_bf16
/* To nearest even. */
static inline uint16_t nib_f32_to_bf16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
    return (uint16_t)((bits >> 16 & 0x8000u) | 0x7FC0u);
  return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}
//@ end

//@ begin nib_f32_to_f8e4m3fn
/* To nearest even. */
static inline uint8_t nib_f32_to_f8e4m3fn(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint32_t sign = bits >> 24 & 0x80u, magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x43E80000u) /* beyond 464, half way from 448 to what would be 480; NaN */
    return (uint8_t)(sign | 0x7Fu);
  if (magnitude < 0x3C800000u) { /* below 2^-6: in steps of 2^-9 */
    float a;
    memcpy(&a, &magnitude, sizeof a);
    return (uint8_t)(sign | (uint32_t)rintf(a * 0x1p9f));
  }
  const uint32_t rounded = magnitude + 0x7FFFFu + (magnitude >> 20 & 1u) - (120u << 23);
  return (uint8_t)(sign | rounded >> 20);
}
//@ end

#endif

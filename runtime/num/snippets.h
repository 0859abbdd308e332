/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Scalar arithmetic shared, as source text, by the reference evaluator and by generated code. Each
 * function is between marks; the emitter copies the ones a model uses (and those they name) into
 * its output, so they must be plain C11 and need nothing but <stdint.h>, <string.h> and <math.h>.
 */
#ifndef NIB_NUM_SNIPPETS_H
#define NIB_NUM_SNIPPETS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

//@ begin nib_clamp_i32
static inline int32_t nib_clamp_i32(int32_t x, int32_t lo, int32_t hi) {
  return x < lo ? lo : x > hi ? hi : x;
}
//@ end

//@ begin nib_clamp_f32
/* NaN stays. */
static inline float nib_clamp_f32(float x, float lo, float hi) {
  return x < lo ? lo : x > hi ? hi : x;
}
//@ end

//@ begin nib_clamp_f64
static inline double nib_clamp_f64(double x, double lo, double hi) {
  return x < lo ? lo : x > hi ? hi : x;
}
//@ end

//@ begin nib_pow_u64
/* a to the power of b modulo 2^64. */
static inline uint64_t nib_pow_u64(uint64_t a, uint64_t b) {
  uint64_t y = 1;
  for (; b; b >>= 1, a *= a)
    y *= b & 1 ? a : 1;
  return y;
}
//@ end

//@ begin nib_pow_i64
/* The same of signed numbers; a negative power is 0 but for 1 and -1. */
static inline int64_t nib_pow_i64(int64_t a, int64_t b) {
  if (b >= 0)
    return (int64_t)nib_pow_u64((uint64_t)a, (uint64_t)b);
  return a == 1 ? 1 : a == -1 ? (b % 2 ? -1 : 1) : 0;
}
//@ end

//@ begin nib_mod_i64
/* The remainder with the divisor's sign; 0 for a divisor of 0. */
static inline int64_t nib_mod_i64(int64_t a, int64_t b) {
  if (b == 0 || b == -1)
    return 0;
  int64_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
//@ end

//@ begin nib_mod_f32
static inline float nib_mod_f32(float a, float b) {
  float r = fmodf(a, b);
  return r != 0.0f && (r < 0.0f) != (b < 0.0f) ? r + b : r;
}
//@ end

//@ begin nib_mod_f64
static inline double nib_mod_f64(double a, double b) {
  double r = fmod(a, b);
  return r != 0.0 && (r < 0.0) != (b < 0.0) ? r + b : r;
}
//@ end

//@ begin nib_bit_i64
/* 2^n, 0 <= n <= 62. On 32 bits not by a shift of 64, which clang makes a call in small code. */
static inline int64_t nib_bit_i64(int32_t n) {
#if UINTPTR_MAX > 0xffffffff
  return INT64_C(1) << n;
#else
  return (int64_t)(n < 32 ? UINT32_C(1) << n : (uint64_t)(UINT32_C(1) << (n - 32)) << 32);
#endif
}
//@ end

//@ begin nib_shift_right_i64
/* x / 2^n rounded down, 0 <= n <= 62; likewise. */
static inline int64_t nib_shift_right_i64(int64_t x, int32_t n) {
#if UINTPTR_MAX > 0xffffffff
  return x >> n;
#else
  int32_t high = (int32_t)(x >> 32);
  uint32_t low = (uint32_t)x;
  if (n >= 32)
    return high >> (n - 32);
  low = low >> n | (uint32_t)high << 1 << (31 - n);
  return (int64_t)((uint64_t)(uint32_t)(high >> n) << 32 | low);
#endif
}
//@ end

//@ begin nib_mul_high_round
/* Doubling high multiply, rounded to nearest (ties up: the source adds 1 - 2^30 to products below
 * zero, and divides towards zero, which is the same), saturated at INT32_MIN * INT32_MIN. */
static inline int32_t nib_mul_high_round(int32_t a, int32_t b) {
  if (a == INT32_MIN && b == INT32_MIN)
    return INT32_MAX;
  int64_t product = (int64_t)a * b;
  return (int32_t)((product + (INT64_C(1) << 30)) >> 31);
}
//@ end

//@ begin nib_shift_right_round
/* x / 2^n rounded to nearest, ties away from zero; 0 <= n <= 31. */
static inline int32_t nib_shift_right_round(int32_t x, int32_t n) {
  int32_t mask = (int32_t)((UINT32_C(1) << n) - 1);
  int32_t remainder = x & mask;
  int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
  return (x >> n) + (remainder > threshold ? 1 : 0);
}
//@ end

//@ begin nib_rq_tflite_double
static inline int32_t nib_rq_tflite_double(int32_t x, int32_t multiplier, int32_t shift) {
  int32_t left = shift > 0 ? shift : 0;
  int32_t right = shift > 0 ? 0 : -shift;
  return nib_shift_right_round(nib_mul_high_round((int32_t)((uint32_t)x << left), multiplier),
                               right);
}
//@ end

//@ begin nib_rq_tflite_single
static inline int32_t nib_rq_tflite_single(int32_t x, int32_t multiplier, int32_t shift) {
  int32_t total = 31 - shift;
  int64_t rounded = (int64_t)x * multiplier + nib_bit_i64(total - 1);
  rounded = nib_shift_right_i64(rounded, total);
  return rounded > INT32_MAX ? INT32_MAX : rounded < INT32_MIN ? INT32_MIN : (int32_t)rounded;
}
//@ end

//@ begin nib_rq_tflite_away
/* x * multiplier / 2^(31 - shift), ties away from zero, saturated. */
static inline int32_t nib_rq_tflite_away(int32_t x, int32_t multiplier, int32_t shift) {
  int32_t total = 31 - shift;
  int64_t product = (int64_t)x * multiplier;
  int64_t y = nib_shift_right_i64(product + nib_bit_i64(total - 1) - (product < 0 ? 1 : 0), total);
  return y > INT32_MAX ? INT32_MAX : y < INT32_MIN ? INT32_MIN : (int32_t)y;
}
//@ end

//@ begin nib_rq_tflite_int64
/* 64-bit accumulator, multiplier reduced to 16 bits, rounded half up once; shift <= 14. */
static inline int32_t nib_rq_tflite_int64(int64_t x, int32_t multiplier, int32_t shift) {
  int32_t reduced = multiplier < 0x7FFF0000 ? (multiplier + (1 << 15)) >> 16 : 0x7FFF;
  int32_t total = 15 - shift;
  uint64_t rounded = (uint64_t)x * (uint64_t)(int64_t)reduced + (uint64_t)nib_bit_i64(total - 1);
  return (int32_t)nib_shift_right_i64((int64_t)rounded, total);
}
//@ end

//@ begin nib_rq_nearest_even
/* rint((float)x * scale), saturated to int32. */
static inline int32_t nib_rq_nearest_even(int32_t x, float scale) {
  float y = rintf((float)x * scale);
  return y >= 2147483520.0f ? INT32_MAX : y <= -2147483648.0f ? INT32_MIN : (int32_t)y;
}
//@ end

//@ begin nib_rq_nearest_away
static inline int32_t nib_rq_nearest_away(int32_t x, float scale) {
  float y = roundf((float)x * scale);
  return y >= 2147483520.0f ? INT32_MAX : y <= -2147483648.0f ? INT32_MIN : (int32_t)y;
}
//@ end

//@ begin nib_rq64_nearest_even
/* The same for a 64-bit accumulator. */
static inline int32_t nib_rq64_nearest_even(int64_t x, float scale) {
  float y = rintf((float)x * scale);
  return y >= 2147483520.0f ? INT32_MAX : y <= -2147483648.0f ? INT32_MIN : (int32_t)y;
}
//@ end

//@ begin nib_rq64_nearest_away
static inline int32_t nib_rq64_nearest_away(int64_t x, float scale) {
  float y = roundf((float)x * scale);
  return y >= 2147483520.0f ? INT32_MAX : y <= -2147483648.0f ? INT32_MIN : (int32_t)y;
}
//@ end

//@ begin nib_rq_dyadic
/* x * multiplier / 2^(31 - shift), rounded half up, saturated. */
static inline int32_t nib_rq_dyadic(int32_t x, int32_t multiplier, int32_t shift) {
  int32_t total = 31 - shift;
  int64_t y = nib_shift_right_i64((int64_t)x * multiplier + nib_bit_i64(total - 1), total);
  return y > INT32_MAX ? INT32_MAX : y < INT32_MIN ? INT32_MIN : (int32_t)y;
}
//@ end

//@ begin nib_rq_tosa_single
/* TOSA apply_scale_32 with its shift = 31 - shift. */
static inline int32_t nib_rq_tosa_single(int32_t x, int32_t multiplier, int32_t shift) {
  int32_t total = 31 - shift;
  int64_t y = nib_shift_right_i64((int64_t)x * multiplier + nib_bit_i64(total - 1), total);
  return y > INT32_MAX ? INT32_MAX : y < INT32_MIN ? INT32_MIN : (int32_t)y;
}
//@ end

//@ begin nib_rq_tosa_double
/* TOSA apply_scale_32 with double rounding: beyond 31 bits, ties move away from zero. */
static inline int32_t nib_rq_tosa_double(int32_t x, int32_t multiplier, int32_t shift) {
  int32_t total = 31 - shift;
  int64_t round = nib_bit_i64(total - 1);
  if (total > 31)
    round += x >= 0 ? INT64_C(1) << 30 : -(INT64_C(1) << 30);
  int64_t y = nib_shift_right_i64((int64_t)x * multiplier + round, total);
  return y > INT32_MAX ? INT32_MAX : y < INT32_MIN ? INT32_MIN : (int32_t)y;
}
//@ end

//@ begin nib_rq_tosa_inexact
/* TOSA leaves the result to the implementation: here that of tosa-single. */
static inline int32_t nib_rq_tosa_inexact(int32_t x, int32_t multiplier, int32_t shift) {
  int32_t total = 31 - shift;
  int64_t y = nib_shift_right_i64((int64_t)x * multiplier + nib_bit_i64(total - 1), total);
  return y > INT32_MAX ? INT32_MAX : y < INT32_MIN ? INT32_MIN : (int32_t)y;
}
//@ end

//@ begin nib_avg_round
/* Mean of `count` codes that sum to `sum`, ties away from zero. */
static inline int32_t nib_avg_round(int32_t sum, int32_t count) {
  return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}
//@ end

//@ begin nib_quantize_even
/* saturate(rint(x / scale) + zero_point); NaN becomes lo. */
static inline int32_t nib_quantize_even(float x, float scale, int32_t zero_point, int32_t lo,
                                        int32_t hi) {
  float y = rintf(x / scale) + (float)zero_point;
  return y >= (float)hi ? hi : y > (float)lo ? (int32_t)y : lo;
}
//@ end

//@ begin nib_quantize_away
/* saturate(round(x / scale) + zero_point), ties away from zero; NaN becomes lo. */
static inline int32_t nib_quantize_away(float x, float scale, int32_t zero_point, int32_t lo,
                                        int32_t hi) {
  float y = roundf(x / scale) + (float)zero_point;
  return y >= (float)hi ? hi : y > (float)lo ? (int32_t)y : lo;
}
//@ end

//@ begin nib_fx_shl_sat
/* x * 2^n saturated; 1 <= n <= 30. */
static inline int32_t nib_fx_shl_sat(int32_t x, int32_t n) {
  int64_t y = (int64_t)x * (INT32_C(1) << n);
  return y > INT32_MAX ? INT32_MAX : y < INT32_MIN ? INT32_MIN : (int32_t)y;
}
//@ end

//@ begin nib_fx_exp_quarter
/* exp(a) in Q0.31 for a in [-1/4, 0) in Q0.31: Taylor series of degree 4 around -1/8. */
static inline int32_t nib_fx_exp_quarter(int32_t a) {
  const int32_t exp_minus_eighth = 1895147668, third = 715827883;
  int32_t x = a + (INT32_C(1) << 28);
  int32_t x2 = nib_mul_high_round(x, x);
  int32_t x3 = nib_mul_high_round(x2, x);
  int32_t x4 = nib_mul_high_round(x2, x2);
  int32_t tail = nib_mul_high_round(nib_shift_right_round(x4, 2) + x3, third) + x2;
  return exp_minus_eighth +
         nib_mul_high_round(exp_minus_eighth, x + nib_shift_right_round(tail, 1));
}
//@ end

//@ begin nib_fx_exp
/* exp(a) in Q0.31 for a <= 0 with `integer_bits` (0 to 5) bits before the point. The fraction below
 * 1/4 goes through nib_fx_exp_quarter; each higher bit of -a multiplies by its own constant. */
static inline int32_t nib_fx_exp(int32_t a, int32_t integer_bits) {
  static const int32_t factor[7] = {1672461947, 1302514674, 790015084, 290630308,
                                    39332535,   720401,     242};
  int32_t quarter = INT32_C(1) << (29 - integer_bits);
  int32_t rest = (a & (quarter - 1)) - quarter;
  int32_t higher = rest - a;
  int32_t y = integer_bits > 0 ? nib_fx_exp_quarter(nib_fx_shl_sat(rest, integer_bits))
                               : nib_fx_exp_quarter(rest);
  for (int32_t i = 0; i < integer_bits + 2; ++i)
    if (higher & (quarter << i))
      y = nib_mul_high_round(y, factor[i]);
  return a == 0 ? INT32_MAX : y;
}
//@ end

//@ begin nib_fx_newton
/* 1 / h in Q2.29 for h in [1/2, 1] in Q0.31: three Newton-Raphson steps from 48/17 - 32/17 h. */
static inline int32_t nib_fx_newton(int32_t h) {
  int32_t x = 1515870810 + nib_mul_high_round(h, -1010580540);
  for (int i = 0; i < 3; ++i) {
    int32_t error = (INT32_C(1) << 29) - nib_mul_high_round(h, x);
    x += nib_fx_shl_sat(nib_mul_high_round(x, error), 2);
  }
  return x;
}
//@ end

//@ begin nib_fx_half_one_plus
/* (1 + a) / 2 in Q0.31, where one is 2^31 - 1. */
static inline int32_t nib_fx_half_one_plus(int32_t a) {
  int64_t sum = (int64_t)a + INT32_MAX;
  return (int32_t)((sum + (sum >= 0 ? 1 : 0)) >> 1);
}
//@ end

//@ begin nib_fx_one_over_one_plus
/* 1 / (1 + a) in Q0.31 for a in [0, 1] in Q0.31. */
static inline int32_t nib_fx_one_over_one_plus(int32_t a) {
  return nib_fx_shl_sat(nib_fx_newton(nib_fx_half_one_plus(a)), 1);
}
//@ end

//@ begin nib_fx_logistic
/* 1 / (1 + exp(-a)) in Q0.31 for a with 4 bits before the point. */
static inline int32_t nib_fx_logistic(int32_t a) {
  if (a == 0)
    return INT32_C(1) << 30;
  int32_t y = nib_fx_one_over_one_plus(nib_fx_exp(a > 0 ? -a : a, 4));
  return a > 0 ? y : INT32_MAX - y;
}
//@ end

//@ begin nib_fx_tanh
/* tanh(a) in Q0.31 for a with 4 bits before the point: (1 - e) / (1 + e), e = exp(-2 |a|). */
static inline int32_t nib_fx_tanh(int32_t a) {
  if (a == 0)
    return 0;
  int32_t h = nib_fx_half_one_plus(nib_fx_exp(a > 0 ? -a : a, 5));
  int32_t y = nib_fx_shl_sat(nib_fx_newton(h) - (INT32_C(1) << 29), 2);
  return a > 0 ? y : -y;
}
//@ end

//@ begin nib_leading_zeros
static inline int32_t nib_leading_zeros(uint32_t x) {
  int32_t n = 0;
  for (uint32_t bit = UINT32_C(1) << 31; bit && !(x & bit); bit >>= 1)
    ++n;
  return n;
}
//@ end

//@ begin nib_softmax_8bit_exp
/* TensorFlow Lite's 8-bit softmax in fixed point: exp of a code less the largest, Q0.31.
 * Differences below diff_min count as zero. */
static inline int32_t nib_softmax_8bit_exp(int32_t diff, int32_t multiplier, int32_t shift,
                                           int32_t diff_min) {
  if (diff < diff_min)
    return 0;
  return nib_fx_exp(nib_mul_high_round((int32_t)((uint32_t)diff << shift), multiplier), 5);
}
//@ end

//@ begin nib_softmax_8bit_scale
/* 1 / sum, of a sum in Q12.19; codes are that times exp, less *out_exponent bits. */
static inline int32_t nib_softmax_8bit_scale(int32_t sum, int32_t *out_exponent) {
  int32_t headroom = nib_leading_zeros((uint32_t)sum);
  *out_exponent = 12 - headroom + 31 - 8;
  return nib_fx_one_over_one_plus(
      (int32_t)(((uint32_t)sum << (headroom & 31)) - (UINT32_C(1) << 31)));
}
//@ end

//@ begin nib_softmax_8bit_code
static inline int32_t nib_softmax_8bit_code(int32_t e, int32_t scale, int32_t exponent) {
  if (exponent > 31) /* less than half a code */
    return 0;
  int32_t code = nib_shift_right_round(nib_mul_high_round(scale, e), exponent);
  return code > 255 ? 255 : code < 0 ? 0 : code;
}
//@ end

//@ begin nib_softmax_8bit
/* One row. `flip` is 0 for unsigned codes and 0x80 for signed ones. */
static inline void nib_softmax_8bit(const void *row, void *out_row, int32_t depth,
                                    int32_t multiplier, int32_t shift, int32_t diff_min,
                                    uint8_t flip) {
  const uint8_t *x = (const uint8_t *)row;
  uint8_t *y = (uint8_t *)out_row;
  int32_t max = 0;
  for (int32_t i = 0; i < depth; ++i)
    max = (x[i] ^ flip) > max ? (x[i] ^ flip) : max;
  int32_t sum = 0; /* Q12.19 */
  for (int32_t i = 0; i < depth; ++i) {
    const int32_t e = nib_softmax_8bit_exp((x[i] ^ flip) - max, multiplier, shift, diff_min);
    sum = (int32_t)((uint32_t)sum + (uint32_t)nib_shift_right_round(e, 12));
  }
  int32_t exponent;
  const int32_t scale = nib_softmax_8bit_scale(sum, &exponent);
  for (int32_t i = 0; i < depth; ++i) {
    const int32_t e = nib_softmax_8bit_exp((x[i] ^ flip) - max, multiplier, shift, diff_min);
    y[i] = (uint8_t)(nib_softmax_8bit_code(e, scale, exponent) ^ flip);
  }
}
//@ end

//@ begin nib_softmax_8bit_by_tables
/* The same by tables of each difference d: exps[d] is exp of -d, terms[d] what it adds to the sum.
 */
static inline void nib_softmax_8bit_by_tables(const void *row, void *out_row, int32_t depth,
                                              const int32_t exps[256], const int32_t terms[256],
                                              uint8_t flip) {
  const uint8_t *x = (const uint8_t *)row;
  uint8_t *y = (uint8_t *)out_row, max = 0, codes[256];
  for (int32_t i = 0; i < depth; ++i) {
    const uint8_t code = (uint8_t)(x[i] ^ flip);
    max = code > max ? code : max;
  }
  uint32_t sum = 0;
  for (int32_t i = 0; i < depth; ++i)
    sum += (uint32_t)terms[(uint8_t)(max - (x[i] ^ flip))];
  int32_t exponent;
  const int32_t scale = nib_softmax_8bit_scale((int32_t)sum, &exponent);
  for (int32_t d = 0; d < 256; ++d)
    codes[d] = (uint8_t)(nib_softmax_8bit_code(exps[d], scale, exponent) ^ flip);
  for (int32_t i = 0; i < depth; ++i)
    y[i] = codes[(uint8_t)(max - (x[i] ^ flip))];
}
//@ end

//@ begin nib_lut513
/* Table of 513 entries over the 16-bit range, linear between them. */
static inline int16_t nib_lut513(int32_t x, const int16_t *table) {
  int32_t i = 256 + (x >> 7), base = table[i];
  int32_t slope = (int16_t)(table[i + 1] - base);
  return (int16_t)(base + ((slope * (x & 127) + 64) >> 7));
}
//@ end

//@ begin nib_softmax_i16
/* One row of TensorFlow Lite's 16-bit softmax; exp_table holds exp over [-10, 0], inverse_table
 * 1 / (1 + x) over [0, 1]. */
static inline void nib_softmax_i16(const int16_t *x, int16_t *y, int32_t depth, int32_t multiplier,
                                   int32_t shift, const int16_t *exp_table,
                                   const int16_t *inverse_table) {
  int32_t max = INT16_MIN, sum = 0; /* sum: Q16.15 */
  for (int32_t i = 0; i < depth; ++i)
    max = x[i] > max ? x[i] : max;
  for (int32_t i = 0; i < depth; ++i) {
    int32_t scaled = nib_rq_tflite_double(x[i] - max, multiplier, shift);
    y[i] = nib_lut513(nib_clamp_i32(scaled < INT16_MIN - 32767 ? INT16_MIN : scaled + 32767,
                                    INT16_MIN, INT16_MAX),
                      exp_table);
    sum += y[i];
  }
  int32_t headroom = nib_leading_zeros((uint32_t)sum);
  int32_t shifted = (int32_t)((sum * nib_bit_i64(headroom - 1) + (1 << 13)) >> 14);
  int32_t inverse = nib_lut513(nib_clamp_i32(shifted - (1 << 15) - (1 << 16), INT16_MIN, INT16_MAX),
                               inverse_table);
  int32_t right = 31 - headroom;
  int64_t round = nib_bit_i64(right - 1);
  for (int32_t i = 0; i < depth; ++i)
    y[i] = (int16_t)nib_clamp_i32(
        (int32_t)nib_shift_right_i64(y[i] * (int64_t)inverse + round, right), 0, 32767);
}
//@ end

//@ begin nib_logistic_i16
/* TensorFlow Lite's 16-bit logistic; table: 256 entries of 65536 / (1 + exp(-i / 24)). */
static inline int16_t nib_logistic_i16(int32_t x, int32_t multiplier, int32_t shift,
                                       const uint16_t *table) {
  int32_t scaled = (x * multiplier + (shift > 0 ? 1 << (shift - 1) : 0)) >> shift;
  uint32_t magnitude = scaled < 0 ? 0u - (uint32_t)scaled : (uint32_t)scaled;
  uint32_t i = magnitude >> 9, y = UINT32_C(0x7FFF) << 10;
  if (i < 255)
    y = ((uint32_t)table[i] << 9) + (magnitude & 511) * (uint32_t)(table[i + 1] - table[i]);
  y = scaled >= 0 ? y + (1 << 9) : (UINT32_C(1) << 25) - y + (1 << 9) - 1;
  return (int16_t)(y >> 10);
}
//@ end

//@ begin nib_tanh_i16
/* TensorFlow Lite's 16-bit tanh = 2 logistic(2 x) - 1, from the same table. */
static inline int16_t nib_tanh_i16(int32_t x, int32_t multiplier, int32_t shift,
                                   const uint16_t *table) {
  int32_t scaled = (x * multiplier + (shift > 0 ? 1 << (shift - 1) : 0)) >> shift;
  uint32_t magnitude = scaled < 0 ? 0u - (uint32_t)scaled : (uint32_t)scaled;
  uint32_t i = magnitude >> 8;
  int32_t y = 0xFFFF << 8;
  if (i < 255)
    y = (int32_t)(((uint32_t)table[i] << 8) +
                  (magnitude & 255) * (uint32_t)(table[i + 1] - table[i]));
  y = scaled >= 0 ? y - (1 << 23) + (1 << 7) : -y + (1 << 23) + (1 << 7) - 1;
  return (int16_t)(y >> 8);
}
//@ end

//@ begin nib_index_within
/* Place of an index among n elements: negative ones count from the end, beyond the ends is at them.
 */
static inline int64_t nib_index_within(int64_t i, int64_t n) {
  if (i < 0)
    i = i < -n ? 0 : i + n;
  return i < n ? i : n - 1;
}
//@ end

//@ begin nib_index_or_none
/* The same, or -1 beyond the ends. */
static inline int64_t nib_index_or_none(int64_t i, int64_t n) {
  if (i < -n || i >= n)
    return -1;
  return i < 0 ? i + n : i;
}
//@ end

//@ begin nib_quantize_bipolar
/* Code of the nearest odd number from -(2^bits - 1) to 2^bits - 1, ties up; NaN becomes the least.
 */
static inline int32_t nib_quantize_bipolar(float x, int32_t bits) {
  const float most = (float)((1 << bits) - 1);
  const int32_t whole = (int32_t)floorf(fminf(fmaxf(x, -most), most));
  return (whole + (1 << bits)) >> 1;
}
//@ end

//@ begin nib_pack_bits
/* Bit p of `count` codes (one to a byte) as words of 64, for each of `planes` bits; the last word
 * of a plane is filled with 0. Eight bits at a time: the product moves bit 0 of byte i to bit 56 +
 * i. */
static inline void nib_pack_bits(uint64_t *planes, const uint8_t *codes, int32_t count, int32_t n) {
  const int32_t words = (count + 63) / 64;
  for (int32_t p = 0; p < n; ++p)
    for (int32_t w = 0; w < words; ++w) {
      uint64_t word = 0;
      for (int32_t at = w * 64; at < w * 64 + 64 && at < count; at += 8) {
        const uint8_t *c = codes + at;
        uint64_t eight = 0;
        if (at + 8 <= count)
          eight = (uint64_t)c[0] | (uint64_t)c[1] << 8 | (uint64_t)c[2] << 16 |
                  (uint64_t)c[3] << 24 | (uint64_t)c[4] << 32 | (uint64_t)c[5] << 40 |
                  (uint64_t)c[6] << 48 | (uint64_t)c[7] << 56;
        else
          for (int32_t i = 0; at + i < count; ++i)
            eight |= (uint64_t)c[i] << 8 * i;
        eight = (eight >> p & UINT64_C(0x0101010101010101)) * UINT64_C(0x0102040810204080) >> 56;
        word |= eight << (at - w * 64);
      }
      planes[p * words + w] = word;
    }
}
//@ end

//@ begin nib_count_reached_i32
/* How many of n ascending thresholds are not above x. */
static inline int32_t nib_count_reached_i32(int32_t x, const int32_t *thresholds, int32_t n) {
  int32_t first = 0;
  while (n > 0) {
    const int32_t half = n / 2;
    if (x >= thresholds[first + half]) {
      first += half + 1;
      n -= half + 1;
    } else {
      n = half;
    }
  }
  return first;
}
//@ end

//@ begin nib_count_reached_f32
/* The same of floats; none for a NaN. */
static inline int32_t nib_count_reached_f32(float x, const float *thresholds, int32_t n) {
  int32_t first = 0;
  while (n > 0) {
    const int32_t half = n / 2;
    if (x >= thresholds[first + half]) {
      first += half + 1;
      n -= half + 1;
    } else {
      n = half;
    }
  }
  return first;
}
//@ end

#endif

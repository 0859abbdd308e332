/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Scalar arithmetic shared, as source text, by the reference evaluator and by generated code. Each
 * function is between marks; the emitter copies the ones a model uses (and those they name) into its
 * output, so they must be plain C11 and need nothing but <stdint.h>, <string.h> and <math.h>. */
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

//@ begin nib_mul_high_round
/* Doubling high multiply, rounded to nearest (ties away), saturated at INT32_MIN * INT32_MIN. */
static inline int32_t nib_mul_high_round(int32_t a, int32_t b) {
  if (a == INT32_MIN && b == INT32_MIN)
    return INT32_MAX;
  int64_t product = (int64_t)a * b;
  int64_t nudge = product >= 0 ? (INT64_C(1) << 30) : 1 - (INT64_C(1) << 30);
  return (int32_t)((product + nudge) / (INT64_C(1) << 31));
}
//@ end

//@ begin nib_shift_right_round
/* x / 2^n rounded to nearest, ties away from zero; 0 <= n <= 31. */
static inline int32_t nib_shift_right_round(int32_t x, int32_t n) {
  int32_t mask = (int32_t)((INT64_C(1) << n) - 1);
  int32_t remainder = x & mask;
  int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
  return (x >> n) + (remainder > threshold ? 1 : 0);
}
//@ end

//@ begin nib_rq_tflite_double
static inline int32_t nib_rq_tflite_double(int32_t x, int32_t multiplier, int32_t shift) {
  int32_t left = shift > 0 ? shift : 0;
  int32_t right = shift > 0 ? 0 : -shift;
  return nib_shift_right_round(
      nib_mul_high_round((int32_t)((uint32_t)x << left), multiplier), right);
}
//@ end

//@ begin nib_rq_tflite_single
static inline int32_t nib_rq_tflite_single(int32_t x, int32_t multiplier, int32_t shift) {
  int32_t total = 31 - shift;
  int64_t rounded = (int64_t)x * multiplier + (INT64_C(1) << (total - 1));
  rounded >>= total;
  return rounded > INT32_MAX ? INT32_MAX : rounded < INT32_MIN ? INT32_MIN : (int32_t)rounded;
}
//@ end

//@ begin nib_rq_tflite_int64
/* 64-bit accumulator, multiplier reduced to 16 bits, rounded half up once. */
static inline int32_t nib_rq_tflite_int64(int64_t x, int32_t multiplier, int32_t shift) {
  int32_t reduced = multiplier < 0x7FFF0000 ? (multiplier + (1 << 15)) >> 16 : 0x7FFF;
  int32_t total = 15 - shift;
  return (int32_t)((x * (int64_t)reduced + (INT64_C(1) << (total - 1))) >> total);
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

#endif

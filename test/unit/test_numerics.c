/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_numerics
/* The definitions of docs/numerics.md on chosen values: ties, signs, saturation, extremes. */
#include "num/requant.h"
#include "num/snippets.h"
#include "params/params.h"

#include <stdio.h>

static int failures;

#define CHECK_EQ(actual, expected)                                                                 \
  do {                                                                                             \
    const long long a_ = (long long)(actual), e_ = (long long)(expected);                          \
    if (a_ != e_) {                                                                                \
      printf("line %d: %s is %lld, not %lld\n", __LINE__, #actual, a_, e_);                        \
      ++failures;                                                                                  \
    }                                                                                              \
  } while (0)

static const int32_t one_half = INT32_C(1) << 30; /* multiplier 1/2; shift 1 makes it 1 */

/* Each rounding of x / 2^k for x around a tie: rows are x, columns the modes. */
static void test_ties(void) {
  static const struct {
    int32_t x, shift;
    int32_t twice, once_up, once_away, even, away;
  } rows[] = {
      /*            double single away even nearest-away */
      {3, 0, 2, 2, 2, 2, 2},       /* 1.5 */
      {5, 0, 3, 3, 3, 2, 3},       /* 2.5 */
      {-3, 0, -1, -1, -2, -2, -2}, /* -1.5: doubling high multiply rounds half up */
      {-5, 0, -2, -2, -3, -2, -3},
      {255, -8, 1, 0, 0, 0, 0}, /* 0.498: rounding twice makes it 1 */
      {256, -8, 1, 1, 1, 0, 1}, /* 0.5 */
      {-256, -8, -1, 0, -1, 0, -1},
      {-768, -8, -2, -1, -2, -2, -2},
      {0, -8, 0, 0, 0, 0, 0},
      {7, 1, 7, 7, 7, 7, 7}, /* multiplier 1 */
      {-7, 2, -14, -14, -14, -14, -14},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    const int32_t x = rows[i].x, s = rows[i].shift;
    const float scale = ldexpf(0.5f, s);
    CHECK_EQ(nib_rq_tflite_double(x, one_half, s), rows[i].twice);
    CHECK_EQ(nib_rq_tflite_single(x, one_half, s), rows[i].once_up);
    CHECK_EQ(nib_rq_dyadic(x, one_half, s), rows[i].once_up);
    CHECK_EQ(nib_rq_tosa_single(x, one_half, s), rows[i].once_up);
    CHECK_EQ(nib_rq_tosa_inexact(x, one_half, s), rows[i].once_up);
    CHECK_EQ(nib_rq_tflite_int64(x, one_half, s), rows[i].once_up);
    CHECK_EQ(nib_rq_tflite_away(x, one_half, s), rows[i].once_away);
    CHECK_EQ(nib_rq_nearest_even(x, scale), rows[i].even);
    CHECK_EQ(nib_rq_nearest_away(x, scale), rows[i].away);
    CHECK_EQ(nib_rq64_nearest_even(x, scale), rows[i].even);
    CHECK_EQ(nib_rq64_nearest_away(x, scale), rows[i].away);
  }
}

/* TOSA's double rounding adds 2^30 with x's sign when it shifts by more than 31. */
static void test_tosa_double(void) {
  CHECK_EQ(nib_rq_tosa_double(255, one_half, -8), 1);
  CHECK_EQ(nib_rq_tosa_double(-256, one_half, -8), -1);
  CHECK_EQ(nib_rq_tosa_double(-3, one_half, 0), -1);
  CHECK_EQ(nib_rq_tosa_double(1000, one_half, -8), 2);
}

static void test_saturation(void) {
  CHECK_EQ(nib_mul_high_round(INT32_MIN, INT32_MIN), INT32_MAX);
  CHECK_EQ(nib_rq_tflite_single(INT32_MAX, INT32_MAX, 1), INT32_MAX);
  CHECK_EQ(nib_rq_tflite_single(INT32_MIN, INT32_MAX, 1), INT32_MIN);
  CHECK_EQ(nib_rq_tflite_away(INT32_MIN, INT32_MAX, 30), INT32_MIN);
  CHECK_EQ(nib_rq_nearest_even(INT32_MAX, 4.0f), INT32_MAX);
  CHECK_EQ(nib_rq_nearest_away(INT32_MIN, 4.0f), INT32_MIN);
  CHECK_EQ(nib_quantize_even(1e30f, 0.5f, 3, -128, 127), 127);
  CHECK_EQ(nib_quantize_even(-1e30f, 0.5f, 3, -128, 127), -128);
  CHECK_EQ(nib_quantize_away(NAN, 0.5f, 3, -128, 127), -128);
  CHECK_EQ(nib_quantize_even(1.25f, 0.5f, 3, -128, 127), 5);
  CHECK_EQ(nib_quantize_away(1.25f, 0.5f, 3, -128, 127), 6);
}

static void test_multiplier(void) {
  static const struct {
    double real;
    int32_t multiplier, shift;
  } rows[] = {
      {1.0, 1 << 30, 1},
      {0.5, 1 << 30, 0},
      {0.75, 1610612736, 0},
      {0.0, 0, 0},
      {0x1p-33, 0, 0},
      {0x1p-32, 1 << 30, -31},
      {1e300, INT32_MAX, 30},
      {INFINITY, 0, 0},
      {1.0 - 0x1p-40, 1 << 30, 1},
      {-0.75, -1610612736, 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    int32_t multiplier, shift;
    nib_quantize_multiplier(rows[i].real, &multiplier, &shift);
    CHECK_EQ(multiplier, rows[i].multiplier);
    CHECK_EQ(shift, rows[i].shift);
  }
  /* The f32 product of two scales is another number than the double one. */
  const double sx = 0.1f, sw = 0.003f, sy = 0.07f;
  CHECK_EQ(nib_requant_real_multiplier(sx, sw, sy, 0) == sx * sw / sy, 1);
  CHECK_EQ(nib_requant_real_multiplier(sx, sw, sy, 1) == (double)(0.1f * 0.003f) / sy, 1);
  CHECK_EQ(sx * sw == (double)(0.1f * 0.003f), 0);
}

/* Fixed-point functions stay within a few units of the last place of 16 bits of the real ones. */
static void test_fixed_point(void) {
  for (int i = 1; i <= 15 * 64; ++i) {
    const double x = i / 64.0;
    const int32_t q5 = (int32_t)ldexp(x, 26), q4 = (int32_t)ldexp(x, 27);
    CHECK_EQ(fabs(ldexp(nib_fx_exp(-q5, 5), -31) - exp(-x)) < 1e-6, 1);
    CHECK_EQ(fabs(ldexp(nib_fx_logistic(q4), -31) - 1 / (1 + exp(-x))) < 1e-6, 1);
    CHECK_EQ(fabs(ldexp(nib_fx_tanh(-q4), -31) + tanh(x)) < 1e-6, 1);
  }
  CHECK_EQ(nib_fx_exp(0, 5), INT32_MAX);
  CHECK_EQ(nib_fx_logistic(0), 1 << 30);
  CHECK_EQ(nib_fx_tanh(0), 0);
}

static void test_softmax(void) {
  const int8_t same[4] = {5, 5, 5, 5}, apart[2] = {-128, 127};
  int8_t y[4];
  /* scale 1: multiplier 1/2, shift 27 of Q5.26 */
  nib_softmax_8bit(same, y, 4, 1 << 30, 27, -15, 0x80);
  for (int i = 0; i < 4; ++i)
    CHECK_EQ(y[i], 64 - 128);
  nib_softmax_8bit(apart, y, 2, 1 << 30, 27, -15, 0x80);
  CHECK_EQ(y[0], -128);
  CHECK_EQ(y[1], 127);
  uint8_t many[4096] = {0}, out[4096];
  nib_softmax_8bit(many, out, 4096, 1 << 30, 27, -15, 0);
  CHECK_EQ(out[0] + out[4095], 0);
  /* Entries that come out one different when the tables are computed in f32. */
  int16_t exp_table[513], inverse_table[513];
  nib_params_softmax_tables(exp_table, inverse_table);
  CHECK_EQ(inverse_table[160], 24967);
  CHECK_EQ(inverse_table[294], 20815);
}

static void test_small(void) {
  CHECK_EQ(nib_avg_round(5, 2), 3);
  CHECK_EQ(nib_avg_round(-5, 2), -3);
  CHECK_EQ(nib_avg_round(-4, 3), -1);
  CHECK_EQ(nib_avg_round(0, 7), 0);
  CHECK_EQ(nib_shift_right_round(INT32_MIN, 31), -1);
  CHECK_EQ(nib_fx_shl_sat(1 << 29, 2), INT32_MAX);
  CHECK_EQ(nib_fx_shl_sat(-(1 << 30), 2), INT32_MIN);
  CHECK_EQ(nib_leading_zeros(0), 32);
  CHECK_EQ(nib_leading_zeros(1), 31);
  uint16_t table[256];
  nib_params_logistic_table(table);
  CHECK_EQ(table[0], 32768);
  CHECK_EQ(table[4], 35493);
  CHECK_EQ(table[255], 65535);
}

int main(void) {
  test_ties();
  test_tosa_double();
  test_saturation();
  test_multiplier();
  test_fixed_point();
  test_softmax();
  test_small();
  printf("%d failures\n", failures);
  return failures != 0;
}

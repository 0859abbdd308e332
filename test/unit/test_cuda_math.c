/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_cuda_math
/* Functions of C's library for GPUs (runtime/cuda/device_math.h), here on the processor: within an
 * ulp of the function in double, rounded, for random floats of all magnitudes and special ones. */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define NIB_DEVICE static inline __attribute__((unused))

/* The library's, before the names mean others. */
static double power(double x, double y) { return pow(x, y); }
static double remainder_of(double x, double y) { return fmod(x, y); }
static double scaled(double x, int32_t e) { return ldexp(x, e); }

#include "cuda/device_math.h"

typedef struct function {
  const char *name;
  float (*got)(float);
  double (*want)(double);
  double most; /* |x| up to which the result is promised */
} function;

static const function functions[] = {
    {"expf", nib_math_expf, exp, INFINITY},
    {"expm1f", nib_math_expm1f, expm1, INFINITY},
    {"logf", nib_math_logf, log, INFINITY},
    {"log1pf", nib_math_log1pf, log1p, INFINITY},
    {"tanhf", nib_math_tanhf, tanh, INFINITY},
    {"sinhf", nib_math_sinhf, sinh, INFINITY},
    {"coshf", nib_math_coshf, cosh, INFINITY},
    {"asinhf", nib_math_asinhf, asinh, INFINITY},
    {"acoshf", nib_math_acoshf, acosh, INFINITY},
    {"atanhf", nib_math_atanhf, atanh, INFINITY},
    {"erff", nib_math_erff, erf, INFINITY},
    {"sinf", nib_math_sinf, sin, 1e6},
    {"cosf", nib_math_cosf, cos, 1e6},
    {"tanf", nib_math_tanf, tan, 1e6},
    {"atanf", nib_math_atanf, atan, INFINITY},
    {"asinf", nib_math_asinf, asin, INFINITY},
    {"acosf", nib_math_acosf, acos, INFINITY},
};

static int failures;
static int64_t compared;

/* Codes of floats in their order. */
static int64_t rank_of(float x) {
  int32_t bits;
  memcpy(&bits, &x, 4);
  return bits < 0 ? INT32_MIN - (int64_t)bits : bits;
}

static void compare(const char *name, float x, float y, float got, double exact) {
  const float want = (float)exact;
  compared++;
  if (isnan(got) && isnan(want))
    return;
  const int64_t distance = isnan(got) || isnan(want) ? INT64_MAX : rank_of(got) - rank_of(want);
  if ((distance >= -1 && distance <= 1) || failures++ > 20)
    return;
  printf("%s(%a, %a) is %a and should be %a\n", name, (double)x, (double)y, (double)got,
         (double)want);
}

static uint32_t state = 99;
static uint32_t random32(void) {
  state = state * 1664525 + 1013904223;
  return state ^ state >> 16;
}

static float random_float(int i) {
  static const float special[] = {0.0f,      -0.0f, 1.0f,      -1.0f,           INFINITY,
                                  -INFINITY, NAN,   0x1p-149f, 0x1.fffffep127f, 88.8f,
                                  -103.9f};
  float x;
  uint32_t bits = random32();
  if (i < 11)
    return special[i];
  memcpy(&x, &bits, 4);
  if (i % 2) /* as they are in networks */
    x = (float)(int32_t)bits * 0x1p-28f;
  return x;
}

int main(void) {
  for (size_t f = 0; f < sizeof functions / sizeof *functions; ++f)
    for (int i = 0; i < 20000; ++i) {
      const float x = random_float(i);
      if (fabs((double)x) <= functions[f].most || isnan(x))
        compare(functions[f].name, x, 0, functions[f].got(x), functions[f].want((double)x));
    }
  for (int i = 0; i < 20000; ++i) {
    const float x = random_float(i % 500), y = random_float(i / 500 + i % 3 * 40);
    compare("powf", x, y, nib_math_powf(x, y), power((double)x, (double)y));
    compare("fmodf", x, y, nib_math_fmodf(x, y), remainder_of((double)x, (double)y));
    const int32_t e = (int32_t)(random32() % 200) - 100;
    compare("ldexp", x, (float)e, (float)nib_math_ldexp((double)x, e), scaled((double)x, e));
  }
  printf("%" PRId64 " values compared, %d failures\n", compared, failures);
  return failures != 0;
}

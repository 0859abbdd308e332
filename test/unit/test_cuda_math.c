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
typedef double real_function(double);
static real_function *const library[] = {exp,   expm1, log, log1p, tanh, sinh, cosh, asinh, acosh,
                                         atanh, erf,   sin, cos,   tan,  atan, asin, acos};
static double power(double x, double y) { return pow(x, y); }
static double remainder_of(double x, double y) { return fmod(x, y); }
static double scaled(double x, int32_t e) { return ldexp(x, e); }

#include "cuda/device_math.h"

typedef struct function {
  const char *name;
  float (*single)(float);
  double (*real)(double);
  double most; /* |x| up to which the result is promised */
} function;

#define FUNCTION(name, most)                                                                       \
  { #name, nib_math_##name##f, nib_math_##name, most }
/* In the order of `library`. */
static const function functions[] = {
    FUNCTION(exp, INFINITY),   FUNCTION(expm1, INFINITY), FUNCTION(log, INFINITY),
    FUNCTION(log1p, INFINITY), FUNCTION(tanh, INFINITY),  FUNCTION(sinh, INFINITY),
    FUNCTION(cosh, INFINITY),  FUNCTION(asinh, INFINITY), FUNCTION(acosh, INFINITY),
    FUNCTION(atanh, INFINITY), FUNCTION(erf, INFINITY),   FUNCTION(sin, 1e6),
    FUNCTION(cos, 1e6),        FUNCTION(tan, 1e6),        FUNCTION(atan, INFINITY),
    FUNCTION(asin, INFINITY),  FUNCTION(acos, INFINITY),
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

/* To 12 digits. */
static void compare_real(const char *name, double x, double y, double got, double want) {
  compared++;
  if ((isnan(got) && isnan(want)) || got == want ||
      fabs(got - want) <= 1e-12 * fabs(want) + 0x1p-1060 || failures++ > 20)
    return;
  printf("%s(%a, %a) is %.17g and should be %.17g\n", name, x, y, got, want);
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

static double random_real(int i) {
  double x;
  const uint64_t bits = (uint64_t)random32() << 32 | random32();
  memcpy(&x, &bits, 8);
  return i % 2 ? (double)random_float(i) : x;
}

int main(void) {
  for (size_t f = 0; f < sizeof functions / sizeof *functions; ++f)
    for (int i = 0; i < 20000; ++i) {
      const float x = random_float(i);
      const double wide = random_real(i);
      if (fabs((double)x) <= functions[f].most || isnan(x))
        compare(functions[f].name, x, 0, functions[f].single(x), library[f]((double)x));
      if (fabs(wide) <= functions[f].most || isnan(wide))
        compare_real(functions[f].name, wide, 0, functions[f].real(wide), library[f](wide));
    }
  for (int i = 0; i < 20000; ++i) {
    const float x = random_float(i % 500), y = random_float(i / 500 + i % 3 * 40);
    compare("powf", x, y, nib_math_powf(x, y), power((double)x, (double)y));
    compare("fmodf", x, y, nib_math_fmodf(x, y), remainder_of((double)x, (double)y));
    const double a = random_real(i), b = random_real(i + 1);
    compare_real("pow", a, (double)y, nib_math_pow(a, (double)y), power(a, (double)y));
    if (i < 2000)
      compare_real("fmod", a, b, nib_math_fmod(a, b), remainder_of(a, b));
    const int32_t e = (int32_t)(random32() % 200) - 100;
    compare("ldexp", x, (float)e, (float)nib_math_ldexp((double)x, e), scaled((double)x, e));
  }
  printf("%" PRId64 " values compared, %d failures\n", compared, failures);
  return failures != 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Functions of C's library that clang has no instructions for, in the form of device.h; nvcc and
 * the emulation have their own. In double, from reductions and series that end below 1e-12, then
 * rounded: floats within an ulp. */
#ifndef NIB_CUDA_DEVICE_MATH_H
#define NIB_CUDA_DEVICE_MATH_H

//@ nib_exp_reduced
/* exp(x) for |x| < 700: 2^k times a series in |r| <= log(2) / 2. */
NIB_DEVICE double nib_exp_reduced(double x) {
  const double k = __builtin_rint(x * 1.4426950408889634);
  const double r = x - k * 0.69314718055994531;
  double sum = 1.0;
  for (int32_t n = 11; n > 0; --n)
    sum = 1.0 + sum * r / (double)n;
  const int64_t bits = ((int64_t)k + 1023) << 52;
  double scale;
  memcpy(&scale, &bits, sizeof scale);
  return sum * scale;
}
//@ nib_log_reduced
/* log(x) of a normal x > 0: the exponent, and 2 atanh(s) of what is left, |s| < 0.172. */
NIB_DEVICE double nib_log_reduced(double x) {
  int64_t bits;
  memcpy(&bits, &x, sizeof bits);
  int64_t k = (bits >> 52) - 1023;
  bits = (bits & 0xfffffffffffffl) | 0x3ff0000000000000l;
  double m;
  memcpy(&m, &bits, sizeof m);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    k++;
  }
  const double s = (m - 1.0) / (m + 1.0), q = s * s;
  double sum = 0.0;
  for (int32_t n = 15; n > 0; n -= 2)
    sum = sum * q + 1.0 / (double)n;
  return 2.0 * s * sum + (double)k * 0.69314718055994531;
}
//@ nib_atan_reduced
/* atan(x) of x >= 0: halved twice by atan(x) = 2 atan(x / (1 + sqrt(1 + x^2))), then a series. */
NIB_DEVICE double nib_atan_reduced(double x) {
  const bool large = x > 1.0;
  double y = large ? 1.0 / x : x;
  y = y / (1.0 + __builtin_sqrt(1.0 + y * y));
  y = y / (1.0 + __builtin_sqrt(1.0 + y * y));
  const double q = y * y;
  double sum = 0.0;
  for (int32_t n = 17; n > 0; n -= 2)
    sum = 1.0 / (double)n - sum * q;
  const double atan = 4.0 * y * sum;
  return large ? 1.5707963267948966 - atan : atan;
}
//@ nib_sin_reduced
/* sin(x + quarters * pi / 2) of a finite x; past 1e9 the phase is that of x rounded. */
NIB_DEVICE double nib_sin_reduced(double x, int64_t quarters) {
  while (x > 1e9 || x < -1e9)
    x -= __builtin_rint(x * 0.15915494309189535) * 6.2831853071795865;
  const double k = __builtin_rint(x * 0.63661977236758134);
  const double r = (x - k * 1.5707963267948966) - k * 6.123233995736766e-17;
  const int64_t quarter = ((int64_t)k + quarters) & 3;
  const bool odd = quarter & 1;
  double sum = 1.0;
  for (int32_t n = 8; n > 0; --n)
    sum = 1.0 - sum * r * r / (double)(2 * n * (odd ? 2 * n - 1 : 2 * n + 1));
  sum = odd ? sum : sum * r;
  return quarter & 2 ? -sum : sum;
}
//@ nib_math_expf
NIB_DEVICE float nib_math_expf(float x) {
  if (x > 89.0f)
    return __builtin_huge_valf();
  return x < -105.0f ? 0.0f
                     : (float)nib_exp_reduced((double)(x == x ? x : 0.0f)) + (x == x ? 0.0f : x);
}
#define expf nib_math_expf
//@ nib_expm1_real
NIB_DEVICE double nib_expm1_real(double x) {
  if (x > -1e-3 && x < 1e-3)
    return x + x * x * (0.5 + x * (1.0 / 6 + x * (1.0 / 24)));
  return (x > 700 ? (double)__builtin_huge_valf() : x < -700 ? 0.0 : nib_exp_reduced(x)) - 1.0;
}
//@ nib_math_expm1f
NIB_DEVICE float nib_math_expm1f(float x) { return x == x ? (float)nib_expm1_real((double)x) : x; }
#define expm1f nib_math_expm1f
//@ nib_math_logf
NIB_DEVICE float nib_math_logf(float x) {
  if (!(x > 0.0f))
    return x == 0.0f ? -__builtin_huge_valf() : __builtin_nanf("");
  return x == __builtin_huge_valf() ? x : (float)nib_log_reduced((double)x);
}
#define logf nib_math_logf
//@ nib_log1p_real
NIB_DEVICE double nib_log1p_real(double x) {
  if (x > -1e-3 && x < 1e-3)
    return x - x * x * (0.5 - x * (1.0 / 3 - x * 0.25));
  return nib_log_reduced(1.0 + x);
}
//@ nib_math_log1pf
NIB_DEVICE float nib_math_log1pf(float x) {
  if (!(x > -1.0f))
    return x == -1.0f ? -__builtin_huge_valf() : __builtin_nanf("");
  return x == __builtin_huge_valf() ? x : (float)nib_log1p_real((double)x);
}
#define log1pf nib_math_log1pf
//@ nib_math_tanhf
NIB_DEVICE float nib_math_tanhf(float x) {
  if (!(x < 10.0f && x > -10.0f))
    return x >= 10.0f ? 1.0f : x <= -10.0f ? -1.0f : x;
  const double e = nib_expm1_real(2.0 * (double)x);
  return x == 0.0f ? x : (float)(e / (e + 2.0));
}
#define tanhf nib_math_tanhf
//@ nib_math_sinhf
NIB_DEVICE float nib_math_sinhf(float x) {
  if (!(x < 90.0f && x > -90.0f))
    return x != x ? x : x > 0 ? __builtin_huge_valf() : -__builtin_huge_valf();
  const double e = nib_expm1_real((double)__builtin_fabsf(x));
  return x == 0.0f ? x : __builtin_copysignf((float)(0.5 * (e + e / (e + 1.0))), x);
}
#define sinhf nib_math_sinhf
//@ nib_math_coshf
NIB_DEVICE float nib_math_coshf(float x) {
  if (!(x < 90.0f && x > -90.0f))
    return x != x ? x : __builtin_huge_valf();
  const double e = nib_exp_reduced((double)x);
  return (float)(0.5 * (e + 1.0 / e));
}
#define coshf nib_math_coshf
//@ nib_math_asinhf
NIB_DEVICE float nib_math_asinhf(float x) {
  const double a = (double)__builtin_fabsf(x);
  if (!(a < 1e300 && a > 0.0))
    return x;
  return __builtin_copysignf((float)nib_log1p_real(a + a * a / (1.0 + __builtin_sqrt(1.0 + a * a))),
                             x);
}
#define asinhf nib_math_asinhf
//@ nib_math_acoshf
NIB_DEVICE float nib_math_acoshf(float x) {
  if (!(x >= 1.0f))
    return __builtin_nanf("");
  const double a = (double)x - 1.0;
  return x == __builtin_huge_valf() ? x : (float)nib_log1p_real(a + __builtin_sqrt(a * (a + 2.0)));
}
#define acoshf nib_math_acoshf
//@ nib_math_atanhf
NIB_DEVICE float nib_math_atanhf(float x) {
  const double a = (double)__builtin_fabsf(x);
  if (!(a < 1.0))
    return a == 1.0 ? __builtin_copysignf(__builtin_huge_valf(), x) : __builtin_nanf("");
  return x == 0.0f ? x : __builtin_copysignf((float)(0.5 * nib_log1p_real(2.0 * a / (1.0 - a))), x);
}
#define atanhf nib_math_atanhf
//@ nib_math_erff
/* 2 / sqrt(pi) exp(-x^2) times a series of positive terms. */
NIB_DEVICE float nib_math_erff(float x) {
  const double a = (double)__builtin_fabsf(x);
  if (!(a < 4.0))
    return x != x ? x : __builtin_copysignf(1.0f, x);
  double term = a, sum = a;
  for (int32_t n = 1; term > sum * 1e-12; ++n) {
    term *= 2.0 * a * a / (double)(2 * n + 1);
    sum += term;
  }
  return __builtin_copysignf((float)(1.1283791670955126 * nib_exp_reduced(-a * a) * sum), x);
}
#define erff nib_math_erff
//@ nib_math_sinf
NIB_DEVICE float nib_math_sinf(float x) {
  return x - x != 0.0f ? x - x : x == 0.0f ? x : (float)nib_sin_reduced((double)x, 0);
}
#define sinf nib_math_sinf
//@ nib_math_cosf
NIB_DEVICE float nib_math_cosf(float x) {
  return x - x != 0.0f ? x - x : (float)nib_sin_reduced((double)x, 1);
}
#define cosf nib_math_cosf
//@ nib_math_tanf
NIB_DEVICE float nib_math_tanf(float x) {
  return x - x != 0.0f ? x - x
         : x == 0.0f   ? x
                       : (float)(nib_sin_reduced((double)x, 0) / nib_sin_reduced((double)x, 1));
}
#define tanf nib_math_tanf
//@ nib_math_atanf
NIB_DEVICE float nib_math_atanf(float x) {
  return x == 0.0f || x != x
             ? x
             : __builtin_copysignf((float)nib_atan_reduced((double)__builtin_fabsf(x)), x);
}
#define atanf nib_math_atanf
//@ nib_math_asinf
NIB_DEVICE float nib_math_asinf(float x) {
  const double a = (double)__builtin_fabsf(x);
  if (!(a <= 1.0))
    return __builtin_nanf("");
  return x == 0.0f ? x
                   : __builtin_copysignf(
                         (float)nib_atan_reduced(a / __builtin_sqrt((1.0 - a) * (1.0 + a))), x);
}
#define asinf nib_math_asinf
//@ nib_math_acosf
NIB_DEVICE float nib_math_acosf(float x) {
  const double a = (double)x;
  if (!(a >= -1.0 && a <= 1.0))
    return __builtin_nanf("");
  return (float)(2.0 * nib_atan_reduced(__builtin_sqrt((1.0 - a) / (1.0 + a))));
}
#define acosf nib_math_acosf
//@ nib_math_fmodf
/* The dividend loses the divisor times the largest power of two that fits, until none does: exact.
 */
NIB_DEVICE float nib_math_fmodf(float x, float y) {
  double a = (double)__builtin_fabsf(x);
  const double b = (double)__builtin_fabsf(y);
  if (!(a < 1e300) || !(b > 0.0))
    return __builtin_nanf("");
  while (a >= b && b < 1e300) {
    double part = b;
    while (part * 2.0 <= a)
      part *= 2.0;
    a -= part;
  }
  return __builtin_copysignf((float)a, x);
}
#define fmodf nib_math_fmodf
//@ nib_math_powf
NIB_DEVICE float nib_math_powf(float x, float y) {
  const double a = (double)__builtin_fabsf(x);
  if (x == 1.0f || y == 0.0f)
    return 1.0f;
  if (x != x || y != y)
    return x + y;
  const bool whole = __builtin_floorf(y) == y;
  const bool odd = whole && __builtin_fabsf(y) < 16777216.0f && ((int32_t)y & 1);
  if (x < 0.0f && !whole && a < 1e300)
    return __builtin_nanf("");
  float result;
  if (a == 0.0 || a > 1e300)
    result = (a == 0.0) == (y > 0.0f) ? 0.0f : __builtin_huge_valf();
  else {
    const double e = a == 1.0 ? 0.0 : (double)y * nib_log_reduced(a);
    result = e > 90.0 ? __builtin_huge_valf() : e < -110.0 ? 0.0f : (float)nib_exp_reduced(e);
  }
  return odd && (x < 0.0f || __builtin_signbit(x)) ? -result : result;
}
#define powf nib_math_powf
//@ nib_math_ldexp
NIB_DEVICE double nib_math_ldexp(double x, int32_t e) {
  for (; e > 1000; e -= 1000)
    x *= 0x1p1000;
  for (; e < -1000; e += 1000)
    x *= 0x1p-1000;
  const int64_t bits = (int64_t)(e + 1023) << 52;
  double scale;
  memcpy(&scale, &bits, sizeof scale);
  return x * scale;
}
#define ldexp nib_math_ldexp
//@ end

#endif

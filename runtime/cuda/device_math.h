/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Functions of C's library that clang has no instructions for, in the form of device.h; nvcc and
 * the emulation have their own. In double to 12 digits and more, from reductions and series; floats
 * are those rounded, within an ulp. */
#ifndef NIB_CUDA_DEVICE_MATH_H
#define NIB_CUDA_DEVICE_MATH_H

//@ nib_math_infinity
#define nib_math_infinity ((double)__builtin_huge_valf())
//@ nib_math_float_of
#define nib_math_float_of(name, of)                                                                \
  NIB_DEVICE float name(float x) { return (float)of((double)x); }
//@ nib_exp_reduced
/* exp(x) for |x| < 746: 2^k, in two factors, times a series in |r| <= log(2) / 2. */
NIB_DEVICE double nib_exp_reduced(double x) {
  const double k = __builtin_rint(x * 1.4426950408889634);
  const double r = (x - k * 0x1.62e42fefa38p-1) - k * 0x1.ef35793c7673p-45;
  double sum = 1.0;
#pragma unroll
  for (int32_t n = 13; n > 0; --n)
    sum = 1.0 + sum * r * (1.0 / (double)n);
  const int64_t half = (int64_t)k / 2, rest = (int64_t)k - half;
  const int64_t bits[2] = {(half + 1023) << 52, (rest + 1023) << 52};
  double scale[2];
  memcpy(scale, bits, sizeof scale);
  return sum * scale[0] * scale[1];
}
//@ nib_log_reduced
/* log(x) of x > 0: the exponent, and 2 atanh(s) of what is left, |s| < 0.172. */
NIB_DEVICE double nib_log_reduced(double x) {
  const bool small = x < 0x1p-1022;
  int64_t bits;
  x = small ? x * 0x1p54 : x;
  memcpy(&bits, &x, sizeof bits);
  int64_t k = (bits >> 52) - (small ? 1077 : 1023);
  bits = (bits & 0xfffffffffffffl) | 0x3ff0000000000000l;
  double m;
  memcpy(&m, &bits, sizeof m);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    k++;
  }
  const double s = (m - 1.0) / (m + 1.0), q = s * s;
  double sum = 0.0;
#pragma unroll
  for (int32_t n = 21; n > 0; n -= 2)
    sum = sum * q + 1.0 / (double)n;
  return (double)k * 0x1.62e42fefa38p-1 + (2.0 * s * sum + (double)k * 0x1.ef35793c7673p-45);
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
#pragma unroll
  for (int32_t n = 21; n > 0; n -= 2)
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
  const double r = ((x - k * 0x1.921fb544p0) - k * 0x1.0b4611a6p-34) - k * 0x1.3198a2e037073p-69;
  const int64_t quarter = ((int64_t)k + quarters) & 3;
  const bool odd = quarter & 1;
  double sum = 1.0;
#pragma unroll
  for (int32_t n = 9; n > 0; --n)
    sum = 1.0 - sum * r * r * (odd ? 1.0 / (2 * n * (2 * n - 1)) : 1.0 / (2 * n * (2 * n + 1)));
  sum = odd ? sum : sum * r;
  return quarter & 2 ? -sum : sum;
}
//@ nib_math_exp
NIB_DEVICE double nib_math_exp(double x) {
  if (!(x < 709.79 && x > -745.2))
    return x != x ? x : x > 0.0 ? nib_math_infinity : 0.0;
  return nib_exp_reduced(x);
}
#define exp nib_math_exp
//@ nib_math_expf
nib_math_float_of(nib_math_expf, nib_math_exp)
#define expf nib_math_expf
    //@ nib_math_expm1
    NIB_DEVICE double nib_math_expm1(double x) {
  if (!(x > -0.35 && x < 0.35))
    return nib_math_exp(x) - 1.0;
  double sum = 1.0;
#pragma unroll
  for (int32_t n = 14; n > 1; --n)
    sum = 1.0 + sum * x * (1.0 / (double)n);
  return x * sum;
}
#define expm1 nib_math_expm1
//@ nib_math_expm1f
nib_math_float_of(nib_math_expm1f, nib_math_expm1)
#define expm1f nib_math_expm1f
    //@ nib_math_log
    NIB_DEVICE double nib_math_log(double x) {
  if (!(x > 0.0 && x < nib_math_infinity))
    return x == 0.0 ? -nib_math_infinity : x > 0.0 ? x : (double)__builtin_nanf("");
  return nib_log_reduced(x);
}
#define log nib_math_log
//@ nib_math_logf
nib_math_float_of(nib_math_logf, nib_math_log)
#define logf nib_math_logf
    //@ nib_math_log1p
    /* What 1 + x loses is made good by the slope. */
    NIB_DEVICE double nib_math_log1p(double x) {
  const double y = 1.0 + x;
  return y == 1.0 || x == nib_math_infinity ? x : nib_math_log(y) * (y > 0.0 ? x / (y - 1.0) : 1.0);
}
#define log1p nib_math_log1p
//@ nib_math_log1pf
nib_math_float_of(nib_math_log1pf, nib_math_log1p)
#define log1pf nib_math_log1pf
    //@ nib_math_tanh
    NIB_DEVICE double nib_math_tanh(double x) {
  const double a = __builtin_fabs(x), e = nib_math_expm1(a < 22.0 ? 2.0 * a : 44.0);
  return x != x ? x : __builtin_copysign(a < 22.0 ? e / (e + 2.0) : 1.0, x);
}
#define tanh nib_math_tanh
//@ nib_math_tanhf
nib_math_float_of(nib_math_tanhf, nib_math_tanh)
#define tanhf nib_math_tanhf
    //@ nib_math_sinh
    NIB_DEVICE double nib_math_sinh(double x) {
  const double a = __builtin_fabs(x), h = nib_math_exp(0.5 * a), e = nib_math_expm1(a);
  return __builtin_copysign(a > 709.0 ? 0.5 * h * h : 0.5 * (e + e / (e + 1.0)), x);
}
#define sinh nib_math_sinh
//@ nib_math_sinhf
nib_math_float_of(nib_math_sinhf, nib_math_sinh)
#define sinhf nib_math_sinhf
    //@ nib_math_cosh
    NIB_DEVICE double nib_math_cosh(double x) {
  const double h = nib_math_exp(0.5 * __builtin_fabs(x));
  return 0.5 * h * h + 0.5 / h / h;
}
#define cosh nib_math_cosh
//@ nib_math_coshf
nib_math_float_of(nib_math_coshf, nib_math_cosh)
#define coshf nib_math_coshf
    //@ nib_math_asinh
    NIB_DEVICE double nib_math_asinh(double x) {
  const double a = __builtin_fabs(x);
  const double y = a > 1e150 ? nib_math_log(a) + 0.69314718055994531
                             : nib_math_log1p(a + a * a / (1.0 + __builtin_sqrt(1.0 + a * a)));
  return __builtin_copysign(y, x);
}
#define asinh nib_math_asinh
//@ nib_math_asinhf
nib_math_float_of(nib_math_asinhf, nib_math_asinh)
#define asinhf nib_math_asinhf
    //@ nib_math_acosh
    NIB_DEVICE double nib_math_acosh(double x) {
  const double a = x - 1.0;
  if (!(a >= 0.0))
    return (double)__builtin_nanf("");
  return a > 1e150 ? nib_math_log(a) + 0.69314718055994531
                   : nib_math_log1p(a + __builtin_sqrt(a * (a + 2.0)));
}
#define acosh nib_math_acosh
//@ nib_math_acoshf
nib_math_float_of(nib_math_acoshf, nib_math_acosh)
#define acoshf nib_math_acoshf
    //@ nib_math_atanh
    NIB_DEVICE double nib_math_atanh(double x) {
  const double a = __builtin_fabs(x);
  if (!(a < 1.0))
    return a == 1.0 ? __builtin_copysign(nib_math_infinity, x) : (double)__builtin_nanf("");
  return __builtin_copysign(0.5 * nib_math_log1p(2.0 * a / (1.0 - a)), x);
}
#define atanh nib_math_atanh
//@ nib_math_atanhf
nib_math_float_of(nib_math_atanhf, nib_math_atanh)
#define atanhf nib_math_atanhf
    //@ nib_math_erf
    /* 2 / sqrt(pi) exp(-x^2) times a series of positive terms. */
    NIB_DEVICE double nib_math_erf(double x) {
  const double a = __builtin_fabs(x);
  if (!(a < 6.0))
    return x != x ? x : __builtin_copysign(1.0, x);
  double term = a, sum = a;
  for (int32_t n = 1; term > sum * 1e-17; ++n) {
    term *= 2.0 * a * a / (double)(2 * n + 1);
    sum += term;
  }
  return __builtin_copysign(1.1283791670955126 * nib_exp_reduced(-a * a) * sum, x);
}
#define erf nib_math_erf
//@ nib_math_erff
nib_math_float_of(nib_math_erff, nib_math_erf)
#define erff nib_math_erff
    //@ nib_math_sin
    NIB_DEVICE double nib_math_sin(double x) {
  return x - x != 0.0 ? x - x : x == 0.0 ? x : nib_sin_reduced(x, 0);
}
#define sin nib_math_sin
//@ nib_math_sinf
nib_math_float_of(nib_math_sinf, nib_math_sin)
#define sinf nib_math_sinf
    //@ nib_math_cos
    NIB_DEVICE double nib_math_cos(double x) {
  return x - x != 0.0 ? x - x : nib_sin_reduced(x, 1);
}
#define cos nib_math_cos
//@ nib_math_cosf
nib_math_float_of(nib_math_cosf, nib_math_cos)
#define cosf nib_math_cosf
    //@ nib_math_tan
    NIB_DEVICE double nib_math_tan(double x) {
  return nib_math_sin(x) / nib_math_cos(x);
}
#define tan nib_math_tan
//@ nib_math_tanf
nib_math_float_of(nib_math_tanf, nib_math_tan)
#define tanf nib_math_tanf
    //@ nib_math_atan
    NIB_DEVICE double nib_math_atan(double x) {
  return x != x ? x : __builtin_copysign(nib_atan_reduced(__builtin_fabs(x)), x);
}
#define atan nib_math_atan
//@ nib_math_atanf
nib_math_float_of(nib_math_atanf, nib_math_atan)
#define atanf nib_math_atanf
    //@ nib_math_asin
    NIB_DEVICE double nib_math_asin(double x) {
  const double a = __builtin_fabs(x);
  if (!(a <= 1.0))
    return (double)__builtin_nanf("");
  return __builtin_copysign(nib_atan_reduced(a / __builtin_sqrt((1.0 - a) * (1.0 + a))), x);
}
#define asin nib_math_asin
//@ nib_math_asinf
nib_math_float_of(nib_math_asinf, nib_math_asin)
#define asinf nib_math_asinf
    //@ nib_math_acos
    NIB_DEVICE double nib_math_acos(double x) {
  if (!(x >= -1.0 && x <= 1.0))
    return (double)__builtin_nanf("");
  return 2.0 * nib_atan_reduced(__builtin_sqrt((1.0 - x) / (1.0 + x)));
}
#define acos nib_math_acos
//@ nib_math_acosf
nib_math_float_of(nib_math_acosf, nib_math_acos)
#define acosf nib_math_acosf
    //@ nib_math_fmod
    /* The dividend loses the divisor times every power of two that fits: exact. */
    NIB_DEVICE double nib_math_fmod(double x, double y) {
  double a = __builtin_fabs(x);
  const double b = __builtin_fabs(y);
  if (!(a < nib_math_infinity) || !(b > 0.0))
    return (double)__builtin_nanf("");
  double part = b;
  while (part <= 0.5 * a)
    part *= 2.0;
  for (; a >= b; part *= 0.5)
    a -= a >= part ? part : 0.0;
  return __builtin_copysign(a, x);
}
#define fmod nib_math_fmod
//@ nib_math_fmodf
NIB_DEVICE float nib_math_fmodf(float x, float y) {
  return (float)nib_math_fmod((double)x, (double)y);
}
#define fmodf nib_math_fmodf
//@ nib_math_pow
NIB_DEVICE double nib_math_pow(double x, double y) {
  const double a = __builtin_fabs(x);
  if (x == 1.0 || y == 0.0)
    return 1.0;
  if (x != x || y != y)
    return x + y;
  const bool whole = __builtin_floor(y) == y;
  const bool odd = whole && __builtin_fabs(y) < 0x1p53 && ((int64_t)y & 1);
  if (x < 0.0 && !whole && a < nib_math_infinity)
    return (double)__builtin_nanf("");
  const double power = a == 1.0 ? 1.0 : nib_math_exp(y * nib_math_log(a));
  return odd && __builtin_signbit(x) ? -power : power;
}
#define pow nib_math_pow
//@ nib_math_powf
NIB_DEVICE float nib_math_powf(float x, float y) {
  return (float)nib_math_pow((double)x, (double)y);
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

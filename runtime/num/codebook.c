/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Values of codebooks, and the nearest of them. */
#include "num/codebook.h"

#include "num/format_snippets.h" /* nib_codebook_code */

#include <math.h>

const float nib_codebook_nf4[16] = {-1.0f,
                                    -0.6961928009986877f,
                                    -0.5250730514526367f,
                                    -0.39491748809814453f,
                                    -0.28444138169288635f,
                                    -0.18477343022823334f,
                                    -0.09105003625154495f,
                                    0.0f,
                                    0.07958029955625534f,
                                    0.16093020141124725f,
                                    0.24611230194568634f,
                                    0.33791524171829224f,
                                    0.44070982933044434f,
                                    0.5626170039176941f,
                                    0.7229568362236023f,
                                    1.0f};

const float nib_codebook_iq4nl[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113};

/* Number i of n + 1 points from .1 to 1, computed as float from the nearer end. */
static float boundary(int i, int n) {
  const float step = (1.0f - 0.1f) / (float)n;
  return 2 * i < n + 1 ? 0.1f + step * (float)i : 1.0f - step * (float)(n - i);
}

/* Positive number k of the dynamic map, k from 0: decade 10^-6 has `first` values, the midpoints of
 * its equal parts, and each decade above twice as many; then 1. */
static double dynamic_magnitude(int k, int first) {
  static const float powers[7] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.0f};
  int decade = 0, n = first;
  while (decade < 7 && k >= n) {
    k -= n;
    n *= 2;
    ++decade;
  }
  if (decade == 7)
    return 1;
  return (double)(powers[decade] * ((boundary(k, n) + boundary(k + 1, n)) / 2.0f));
}

static double power(const nib_format_info *info, uint32_t code) {
  const int half = 1 << (info->bits - 1);
  const int c = (int)code >= half ? (int)code - 2 * half : (int)code;
  const double magnitude = pow(fabs((double)c) / (half - 1), info->codebook.parameter);
  return (double)(float)(c < 0 ? -magnitude : magnitude);
}

double nib_codebook_decode(const nib_format_info *info, uint32_t code) {
  code &= (1u << info->bits) - 1;
  switch (info->codebook.rule) {
  case NIB_CODEBOOK_DYNAMIC:
    return code == 127  ? 0
           : code < 127 ? -dynamic_magnitude(126 - (int)code, 1)
                        : dynamic_magnitude((int)code - 128, 1);
  case NIB_CODEBOOK_DYNAMIC_UNSIGNED:
    return code == 0 ? 0 : dynamic_magnitude((int)code - 1, 2);
  case NIB_CODEBOOK_POWER:
    return power(info, code);
  case NIB_CODEBOOK_HALVES:
    return ldexp(1, -(int)code);
  case NIB_CODEBOOK_DYADIC: {
    const int shift_bits = (int)info->codebook.parameter;
    return ldexp(code >> shift_bits, -(int)(code & ((1u << shift_bits) - 1)));
  }
  default:
    return (double)info->codebook.values[code];
  }
}

int nib_codebook_nearest(const float *values, int n, double x, nib_encode_mode mode,
                         uint64_t random) {
  return (int)nib_codebook_code(values, n, x, mode, random);
}

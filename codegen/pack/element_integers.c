// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "pack/element_integers.h"

#include "num/code_value.h"

#include <math.h>

/* The least power of two that makes integers of all of them. */
static bool whole_numbers(const double *numbers, int n, nib_element_integers *out) {
  for (int e = 0; e <= 8; ++e) {
    bool whole = true;
    for (int i = 0; whole && i < n; ++i) {
      const double x = ldexp(numbers[i], e);
      whole = x == floor(x) && fabs(x) < 1024;
      out->values[i] = whole ? (int64_t)x : 0;
    }
    out->unit_exponent = -e;
    if (whole)
      return true;
  }
  return false;
}

bool nib_element_integers_of(const double *numbers, int n, nib_element_integers *out) {
  if (!whole_numbers(numbers, n, out))
    return false;
  int64_t odd = 0;
  out->low = INT64_MAX;
  out->high = INT64_MIN;
  for (int i = 0; i < n; ++i) {
    out->low = out->values[i] < out->low ? out->values[i] : out->low;
    out->high = out->values[i] > out->high ? out->values[i] : out->high;
  }
  for (int i = 0; i < n; ++i)
    odd |= out->values[i] - out->low;
  out->mul_log2 = 0;
  while (out->mul_log2 < 3 && odd && !(odd >> out->mul_log2 & 1))
    ++out->mul_log2;
  return true;
}

double nib_element_number(nib_format element, int code) {
  if (nib_format_holds_reals(element))
    return nib_format_decode(element, (uint64_t)code);
  return (double)nib_format_value_of(element, nib_format_extend_code(element, (uint64_t)code));
}

int nib_element_bits(int64_t largest) {
  int bits = 1;
  while (largest >> bits)
    ++bits;
  return bits;
}

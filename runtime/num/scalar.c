/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Single elements: codes in memory, reals to codes and back. */
#include "num/format.h"

#include "num/format_snippets.h"

#include <string.h>

int64_t nib_format_load_code(nib_format format, const void *data, int64_t i) {
  const nib_format_info *info = nib_format_get(format);
  const bool negative = info->kind == NIB_KIND_SIGNED;
  const char *at = (const char *)data + (size_t)i * (size_t)info->bytes;
  switch (info->bytes) {
  case 1:
    return negative ? *(const int8_t *)at : *(const uint8_t *)at;
  case 2: {
    uint16_t code;
    memcpy(&code, at, sizeof code);
    return negative ? (int16_t)code : code;
  }
  case 4: {
    uint32_t code;
    memcpy(&code, at, sizeof code);
    return negative ? (int32_t)code : (int64_t)code;
  }
  default: {
    int64_t code;
    memcpy(&code, at, sizeof code);
    return code;
  }
  }
}

void nib_format_store_code(nib_format format, void *data, int64_t i, int64_t code) {
  const size_t bytes = nib_format_bytes(format);
  const uint8_t narrow = (uint8_t)code;
  const uint16_t middle = (uint16_t)code;
  const uint32_t wide = (uint32_t)code;
  const void *from = bytes == 1   ? (const void *)&narrow
                     : bytes == 2 ? (const void *)&middle
                     : bytes == 4 ? (const void *)&wide
                                  : (const void *)&code;
  memcpy((char *)data + (size_t)i * bytes, from, bytes);
}

double nib_format_decode(nib_format format, uint64_t code) {
  const nib_real_layout *r = &nib_format_get(format)->real;
  if (format == NIB_F32) {
    const uint32_t bits = (uint32_t)code;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
  }
  if (format == NIB_F64) {
    double x;
    memcpy(&x, &code, sizeof x);
    return x;
  }
  return nib_minifloat_decode((uint32_t)code, r->exponent_bits, r->mantissa_bits, r->bias,
                              r->specials);
}

uint64_t nib_format_encode(nib_format format, double x, nib_encode_mode mode, bool saturate,
                           uint64_t random) {
  const nib_real_layout *r = &nib_format_get(format)->real;
  if (format == NIB_F64) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
  }
  return nib_minifloat_encode(x, r->exponent_bits, r->mantissa_bits, r->bias, r->specials, mode,
                              saturate, random);
}

double nib_format_load_real(nib_format format, const void *data, int64_t i) {
  if (format == NIB_F32)
    return ((const float *)data)[i];
  if (format == NIB_F64)
    return ((const double *)data)[i];
  if (format == NIB_U64)
    return (double)((const uint64_t *)data)[i];
  const int64_t code = nib_format_load_code(format, data, i);
  if (nib_format_get(format)->kind != NIB_KIND_FLOAT)
    return (double)code;
  return nib_format_decode(format, (uint64_t)code);
}

void nib_format_store_real(nib_format format, void *data, int64_t i, double x) {
  if (format == NIB_F32)
    ((float *)data)[i] = (float)x;
  else if (format == NIB_F64)
    ((double *)data)[i] = x;
  else
    nib_format_store_code(format, data, i,
                          (int64_t)nib_format_encode(format, x, NIB_ENCODE_NEAREST_EVEN, false, 0));
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Single elements: codes in memory, reals to codes and back. */
#include "num/format.h"

#include "num/block.h"
#include "num/codebook.h"
#include "num/format_snippets.h"

#include <math.h>
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

static int64_t to_integer(const nib_format_info *info, uint64_t code) {
  if (info->bits == 64)
    return (int64_t)code;
  const uint64_t sign = UINT64_C(1) << (info->bits - 1);
  code &= 2 * sign - 1;
  return info->kind == NIB_KIND_SIGNED ? (int64_t)(code ^ sign) - (int64_t)sign : (int64_t)code;
}

int64_t nib_format_extend_code(nib_format format, uint64_t code) {
  return to_integer(nib_format_get(format), code);
}

double nib_format_decode(nib_format format, uint64_t code) {
  const nib_format_info *info = nib_format_get(format);
  const nib_real_layout *r = &info->real;
  if (format == NIB_F32) {
    const uint32_t bits = (uint32_t)code;
    float x;
    memcpy(&x, &bits, sizeof x);
    return (double)x;
  }
  if (format == NIB_F64) {
    double x;
    memcpy(&x, &code, sizeof x);
    return x;
  }
  switch (info->kind) {
  case NIB_KIND_CODEBOOK:
    return nib_codebook_decode(info, (uint32_t)code);
  case NIB_KIND_BIPOLAR:
    return (double)(2 * (int)(code & ((1u << info->bits) - 1)) - ((1 << info->bits) - 1));
  case NIB_KIND_FLOAT:
    return nib_minifloat_decode((uint32_t)(code & ((UINT64_C(1) << info->bits) - 1)),
                                r->exponent_bits, r->mantissa_bits, r->bias, r->specials);
  default:
    return format == NIB_U64 ? (double)code : (double)to_integer(info, code);
  }
}

static double round_real(double x, nib_encode_mode mode, uint64_t random) {
  switch (mode) {
  case NIB_ENCODE_NEAREST_AWAY:
    return round(x);
  case NIB_ENCODE_TOWARD_ZERO:
    return trunc(x);
  case NIB_ENCODE_UP:
    return ceil(x);
  case NIB_ENCODE_DOWN:
    return floor(x);
  case NIB_ENCODE_STOCHASTIC:
    return floor(x) + ((double)(random >> 11) * 0x1p-53 < x - floor(x));
  default:
    return nearbyint(x);
  }
}

static uint64_t encode_integer(const nib_format_info *info, double x, nib_encode_mode mode,
                               uint64_t random) {
  x = round_real(x, mode, random);
  const uint64_t mask = info->bits == 64 ? UINT64_MAX : (UINT64_C(1) << info->bits) - 1;
  if (info->bits == 64 && info->kind == NIB_KIND_UNSIGNED)
    return nib_real_to_uint64(x);
  return (uint64_t)nib_real_to_int(x, info->min, info->max) & mask;
}

static uint64_t encode_codebook(const nib_format_info *info, double x, nib_encode_mode mode,
                                uint64_t random) {
  float values[256];
  const int n = 1 << info->bits;
  for (int i = 0; i < n; ++i)
    values[i] = (float)nib_codebook_decode(info, (uint32_t)i);
  return (uint64_t)nib_codebook_nearest(values, n, x, mode, random);
}

/* Bipolar numbers are the odd ones within their range: 2 code - max. */
static uint64_t encode_bipolar(const nib_format_info *info, double x, nib_encode_mode mode,
                               uint64_t random) {
  const double max = (double)((1 << info->bits) - 1);
  double code;
  if (mode == NIB_ENCODE_TOWARD_ZERO)
    code = round_real((x + max) / 2, x < 0 ? NIB_ENCODE_UP : NIB_ENCODE_DOWN, 0);
  else if (mode == NIB_ENCODE_NEAREST_AWAY)
    code = x > 0 ? floor((x + max) / 2 + 0.5) : ceil((x + max) / 2 - 0.5);
  else
    code = round_real((x + max) / 2, mode, random);
  return (uint64_t)nib_real_to_int(code, 0, (1 << info->bits) - 1);
}

/* But for E8M0, which the codec itself knows. */
static bool has_no_sign(const nib_format_info *info) {
  return info->bits == info->real.exponent_bits + info->real.mantissa_bits &&
         info->real.specials != NIB_SPECIALS_SCALE;
}

uint64_t nib_format_encode(nib_format format, double x, nib_encode_mode mode, bool saturate,
                           uint64_t random) {
  const nib_format_info *info = nib_format_get(format);
  const nib_real_layout *r = &info->real;
  if (format == NIB_F64) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
  }
  switch (info->kind) {
  case NIB_KIND_CODEBOOK:
    return encode_codebook(info, x, mode, random);
  case NIB_KIND_BIPOLAR:
    return encode_bipolar(info, x, mode, random);
  case NIB_KIND_FLOAT:
    if (x < 0 && has_no_sign(info))
      return 0;
    return nib_minifloat_encode(x, r->exponent_bits, r->mantissa_bits, r->bias, r->specials,
                                mode == NIB_ENCODE_AS_SOURCE ? NIB_ENCODE_NEAREST_EVEN : mode,
                                saturate, random);
  default:
    return encode_integer(info, x, mode, random);
  }
}

double nib_format_load_real(nib_format format, const void *data, int64_t i) {
  if (format == NIB_F32)
    return (double)((const float *)data)[i];
  if (format == NIB_F64)
    return ((const double *)data)[i];
  const nib_format_info *info = nib_format_get(format);
  if (info->kind == NIB_KIND_BLOCK)
    return nib_block_load_real(info, data, i);
  return nib_format_decode(format, (uint64_t)nib_format_load_code(format, data, i));
}

void nib_format_store_real(nib_format format, void *data, int64_t i, double x) {
  if (format == NIB_F32)
    ((float *)data)[i] = (float)x;
  else if (format == NIB_F64)
    ((double *)data)[i] = x;
  else
    nib_format_store_code(
        format, data, i,
        nib_format_extend_code(format,
                               nib_format_encode(format, x, NIB_ENCODE_NEAREST_EVEN, false, 0)));
}

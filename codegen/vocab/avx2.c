/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * AVX2 with FMA: 8 lanes. Dot products go through int16 (vpmaddwd), which cannot saturate. */
#include "vocab/vocab.h"
#include "vocab/x86.h"

#define TARGET "__attribute__((target(\"avx2,fma,f16c\")))"
/* Keeps a product from being fused into a following addition: results must not depend on that. */
#define KEEP(x) "__asm__(\"\" : \"+x\"(" x "));"
#define INLINE TARGET "\nstatic inline "

static const char support[] =
    "//@ nib_avx2_count\n"
    "/* How many bits of each word are 1: tables of 16 for both halves of every byte, then sums of the\n"
    " * eight bytes of a word. */\n" INLINE
    "__m256i nib_avx2_count(__m256i x) {\n"
    "  const __m256i table = _mm256_broadcastsi128_si256(\n"
    "      _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));\n"
    "  const __m256i half = _mm256_set1_epi8(15);\n"
    "  const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(x, half));\n"
    "  const __m256i high = _mm256_shuffle_epi8(\n"
    "      table, _mm256_and_si256(_mm256_srli_epi16(x, 4), half));\n"
    "  return _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256());\n"
    "}\n"
    "\n"
    "//@ nib_avx2_mask\n"
    "/* The first n of eight lanes. */\n" INLINE
    "__m256i nib_avx2_mask(int32_t n) {\n"
    "  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, "
    "6, 7));\n"
    "}\n"
    "\n"
    "//@ nib_avx2_dot\n"
    "/* Products of two int16 and their sum. The empty statement keeps gcc from copying the\n"
    " * accumulator. */\n" INLINE
    "__m256i nib_avx2_dot(__m256i sum, __m256i a, __m256i weights) {\n"
    "  sum = _mm256_add_epi32(sum, _mm256_madd_epi16(a, weights));\n"
    "#ifndef __clang__\n"
    "  " KEEP("sum") "\n"
    "#endif\n"
    "  return sum;\n"
    "}\n"
    "\n"
    "//@ nib_avx2_fma\n" INLINE
    "__m256 nib_avx2_fma(__m256 sum, __m256 a, __m256 b) {\n"
    "  sum = _mm256_fmadd_ps(a, b, sum);\n"
    "#ifndef __clang__\n"
    "  " KEEP("sum") "\n"
    "#endif\n"
    "  return sum;\n"
    "}\n"
    "\n"
    "//@ nib_avx2_exp\n"
    "/* 2^n e^r with |r| <= ln 2 / 2 by Taylor's polynomial; bounds that the least and the largest float\n"
    " * are within, and a NaN passes. */\n" INLINE
    "__m256 nib_avx2_exp(__m256 a) {\n"
    "  const __m256 x = _mm256_min_ps(_mm256_set1_ps(89.0f), _mm256_max_ps(_mm256_set1_ps(-104.0f), a));\n"
    "  const __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)), 8);\n"
    "  __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693145752f), x);\n"
    "  r = _mm256_fnmadd_ps(n, _mm256_set1_ps(1.42860677e-6f), r);\n"
    "  __m256 y = _mm256_set1_ps(1.98412698e-4f);\n"
    "  y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.38888889e-3f));\n"
    "  y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(8.33333333e-3f));\n"
    "  y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(4.16666667e-2f));\n"
    "  y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.66666667e-1f));\n"
    "  y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(0.5f));\n"
    "  y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.0f));\n"
    "  y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.0f));\n"
    "  /* 2^n in two factors, either of them a normal number. */\n"
    "  const __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);\n"
    "  const __m256i rest = _mm256_sub_epi32(whole, half), bias = _mm256_set1_epi32(127);\n"
    "  y = _mm256_mul_ps(y, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23)));\n"
    "  return _mm256_mul_ps(y, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23)));\n"
    "}\n"
    "\n"
    "//@ nib_avx2_add_lanes\n" INLINE
    "float nib_avx2_add_lanes(__m256 a) {\n"
    "  __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));\n"
    "  x = _mm_add_ps(x, _mm_movehl_ps(x, x));\n"
    "  return _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps(x, x, 1)));\n"
    "}\n"
    "\n"
    "//@ nib_avx2_load_bytes\n" INLINE
    "__m128i nib_avx2_load_bytes(const void *a, int32_t bytes) {\n"
    "  uint64_t word[2] = {0, 0};\n"
    "  memcpy(word, a, (size_t)bytes);\n"
    "  return _mm_set_epi64x((long long)word[1], (long long)word[0]);\n"
    "}\n"
    "\n"
    "//@ nib_avx2_store_bytes\n" INLINE
    "void nib_avx2_store_bytes(void *a, __m128i x, int32_t bytes) {\n"
    "  uint64_t word[2];\n"
    "  _mm_storeu_si128((__m128i *)word, x);\n"
    "  memcpy(a, word, (size_t)bytes);\n"
    "}\n"
    "\n"
    "//@ nib_avx2_bcast2\n"
    "/* Two int16 activations in every 32-bit lane, broadcast straight from memory. */\n" INLINE
    "__m256i nib_avx2_bcast2(const int16_t *a) {\n"
    "  return _mm256_broadcastd_epi32(_mm_loadu_si32(a));\n"
    "}\n"
    "\n"
    "//@ nib_avx2_narrow16\n" INLINE
    "__m128i nib_avx2_narrow16(__m256i x) {\n"
    "  return _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));\n"
    "}\n"
    "\n"
    "//@ nib_avx2_narrow_i8\n" INLINE
    "__m128i nib_avx2_narrow_i8(__m256i x) {\n"
    "  const __m128i y = nib_avx2_narrow16(x);\n"
    "  return _mm_packs_epi16(y, y);\n"
    "}\n"
    "\n"
    "//@ nib_avx2_narrow_u8\n" INLINE
    "__m128i nib_avx2_narrow_u8(__m256i x) {\n"
    "  const __m128i y = nib_avx2_narrow16(x);\n"
    "  return _mm_packus_epi16(y, y);\n"
    "}\n"
    "\n"
    "//@ nib_avx2_rq_signed\n"
    "/* x * scale plus offset away from zero, rounded. */\n" INLINE
    "__m256i nib_avx2_rq_signed(__m256i x, __m256 scale, __m256 offset) {\n"
    "  const __m256 real = _mm256_cvtepi32_ps(x);\n"
    "  const __m256 away = _mm256_or_ps(_mm256_and_ps(real, _mm256_set1_ps(-0.0f)), offset);\n"
    "  return _mm256_cvtps_epi32(_mm256_fmadd_ps(real, scale, away));\n"
    "}\n"
    "\n"
    "//@ nib_avx2_order\n"
    "/* Packing works in halves of 128 bits: brings four lanes of each of four registers into the order of\n"
    " * the registers. */\n" INLINE
    "__m256i nib_avx2_order(__m256i bytes) {\n"
    "  return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));\n"
    "}\n"
    "\n"
    "//@ nib_avx2_quarter\n"
    "/* The eight bytes of register c, in the low half. */\n" INLINE
    "__m128i nib_avx2_quarter(__m256i bytes, int c) {\n"
    "  const __m128i half = c < 2 ? _mm256_castsi256_si128(bytes) : _mm256_extracti128_si256(bytes, 1);\n"
    "  return c % 2 ? _mm_unpackhi_epi64(half, half) : half;\n"
    "}\n"
    "\n"
    "//@ nib_avx2_rq_tflite_double\n"
    "/* Doubling high multiply rounded half up (64-bit products of even and odd lanes), "
    "then a shift\n"
    " * right that rounds ties away from zero. */\n" INLINE
    "__m256i nib_avx2_rq_tflite_double(__m256i x, __m256i multiplier, __m256i shift) {\n"
    "  const __m256i zero = _mm256_setzero_si256(), one = _mm256_set1_epi32(1);\n"
    "  const __m256i half = _mm256_set1_epi64x(INT64_C(1) << 30);\n"
    "  const __m256i right = _mm256_max_epi32(_mm256_sub_epi32(zero, shift), zero);\n"
    "  x = _mm256_sllv_epi32(x, _mm256_max_epi32(shift, zero));\n"
    "  const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(x, multiplier), half);\n"
    "  const __m256i odd = _mm256_add_epi64(\n"
    "      _mm256_mul_epi32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(multiplier, 32)), half);\n"
    "  const __m256i high = _mm256_blend_epi32(_mm256_srli_epi64(even, 31),\n"
    "                                          _mm256_slli_epi64(odd, 1), 0xAA);\n"
    "  const __m256i biased = _mm256_add_epi32(high, _mm256_srai_epi32(high, 31));\n"
    "  const __m256i halves = _mm256_srav_epi32(biased, _mm256_sub_epi32(right, one));\n"
    "  const __m256i shifted = _mm256_srai_epi32(_mm256_add_epi32(halves, one), 1);\n"
    "  return _mm256_blendv_epi8(shifted, high, _mm256_cmpeq_epi32(right, zero));\n"
    "}\n"
    "\n"
    "//@ nib_avx2_rq_single64\n"
    "/* One rounding shift of 64-bit products, saturated to int32; AVX2 has no 64-bit arithmetic\n"
    " * shift, so the product is shifted as an offset value. */\n" INLINE
    "__m256i nib_avx2_rq_single64(__m256i x, __m256i multiplier, __m256i total) {\n"
    "  const __m256i one = _mm256_set1_epi64x(1), offset = _mm256_set1_epi64x(INT64_MIN);\n"
    "  const __m256i low = _mm256_set1_epi64x(INT32_MIN), high = _mm256_set1_epi64x(INT32_MAX);\n"
    "  const __m256i half = _mm256_sllv_epi64(one, _mm256_sub_epi64(total, one));\n"
    "  __m256i y = _mm256_add_epi64(_mm256_mul_epi32(x, multiplier), half);\n"
    "  y = _mm256_sub_epi64(_mm256_srlv_epi64(_mm256_xor_si256(y, offset), total),\n"
    "                       _mm256_srlv_epi64(offset, total));\n"
    "  y = _mm256_blendv_epi8(y, high, _mm256_cmpgt_epi64(y, high));\n"
    "  return _mm256_blendv_epi8(y, low, _mm256_cmpgt_epi64(low, y));\n"
    "}\n"
    "\n"
    "//@ nib_avx2_rq_tflite_single\n" INLINE
    "__m256i nib_avx2_rq_tflite_single(__m256i x, __m256i multiplier, __m256i shift) {\n"
    "  const __m256i total = _mm256_sub_epi32(_mm256_set1_epi32(31), shift);\n"
    "  const __m256i even = nib_avx2_rq_single64(\n"
    "      x, multiplier, _mm256_and_si256(total, _mm256_set1_epi64x(UINT32_MAX)));\n"
    "  const __m256i odd = nib_avx2_rq_single64(_mm256_srli_epi64(x, 32),\n"
    "                                           _mm256_srli_epi64(multiplier, 32),\n"
    "                                           _mm256_srli_epi64(total, 32));\n"
    "  return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);\n"
    "}\n"
    "\n"
    "//@ nib_avx2_rq_away64\n"
    "/* One rounding shift of 64-bit products, ties away from zero, saturated to int32. */\n" INLINE
    "__m256i nib_avx2_rq_away64(__m256i x, __m256i multiplier, __m256i total) {\n"
    "  const __m256i one = _mm256_set1_epi64x(1), offset = _mm256_set1_epi64x(INT64_MIN);\n"
    "  const __m256i low = _mm256_set1_epi64x(INT32_MIN), high = _mm256_set1_epi64x(INT32_MAX);\n"
    "  const __m256i half = _mm256_sllv_epi64(one, _mm256_sub_epi64(total, one));\n"
    "  const __m256i product = _mm256_mul_epi32(x, multiplier);\n"
    "  const __m256i sign = _mm256_cmpgt_epi64(_mm256_setzero_si256(), product);\n"
    "  __m256i y = _mm256_add_epi64(_mm256_add_epi64(product, half), sign);\n"
    "  y = _mm256_sub_epi64(_mm256_srlv_epi64(_mm256_xor_si256(y, offset), total),\n"
    "                       _mm256_srlv_epi64(offset, total));\n"
    "  y = _mm256_blendv_epi8(y, high, _mm256_cmpgt_epi64(y, high));\n"
    "  return _mm256_blendv_epi8(y, low, _mm256_cmpgt_epi64(low, y));\n"
    "}\n"
    "\n"
    "//@ nib_avx2_rq_tflite_away\n" INLINE
    "__m256i nib_avx2_rq_tflite_away(__m256i x, __m256i multiplier, __m256i shift) {\n"
    "  const __m256i total = _mm256_sub_epi32(_mm256_set1_epi32(31), shift);\n"
    "  const __m256i even = nib_avx2_rq_away64(\n"
    "      x, multiplier, _mm256_and_si256(total, _mm256_set1_epi64x(UINT32_MAX)));\n"
    "  const __m256i odd = nib_avx2_rq_away64(_mm256_srli_epi64(x, 32),\n"
    "                                         _mm256_srli_epi64(multiplier, 32),\n"
    "                                         _mm256_srli_epi64(total, 32));\n"
    "  return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);\n"
    "}\n"
    "\n"
    "//@ nib_avx2_saturate\n"
    "/* Integral floats to int32, saturated at both ends. */\n" INLINE
    "__m256i nib_avx2_saturate(__m256 y) {\n"
    "  const __m256 above = _mm256_cmp_ps(y, _mm256_set1_ps(2147483520.0f), _CMP_GE_OQ);\n"
    "  return _mm256_blendv_epi8(_mm256_cvtps_epi32(y), _mm256_set1_epi32(INT32_MAX),\n"
    "                            _mm256_castps_si256(above));\n"
    "}\n"
    "\n"
    "//@ nib_avx2_f32_even\n" INLINE
    "__m256i nib_avx2_f32_even(__m256 x) {\n"
    "  const __m256 number = _mm256_cmp_ps(x, x, _CMP_ORD_Q);\n"
    "  return _mm256_and_si256(_mm256_castps_si256(number), nib_avx2_saturate(x));\n"
    "}\n"
    "\n"
    "//@ nib_avx2_round_away\n"
    "/* Nearest, ties away from zero: add the float below one half with x's sign, truncate. */\n"
    INLINE
    "__m256 nib_avx2_round_away(__m256 x) {\n"
    "  " KEEP("x") "\n"
    "  const __m256 sign = _mm256_and_ps(x, _mm256_set1_ps(-0.0f));\n"
    "  const __m256 half = _mm256_or_ps(sign, _mm256_set1_ps(0.49999997f));\n"
    "  return _mm256_round_ps(_mm256_add_ps(x, half), _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);\n"
    "}\n"
    "\n"
    "//@ nib_avx2_lookup8\n"
    "/* Gathers four bytes at each index and keeps the first, sign-extended. */\n" INLINE
    "__m256i nib_avx2_lookup8(const int8_t *table, __m256i index) {\n"
    "  const __m256i word = _mm256_i32gather_epi32((const int *)(const void *)table, index, 1);\n"
    "  return _mm256_srai_epi32(_mm256_slli_epi32(word, 24), 24);\n"
    "}\n"
    "\n"
    "//@ nib_avx2_lookup_bytes\n"
    "/* `steps`: 16 tables of 16 bytes, of which eight up to that of the byte make its value: a shuffle gives 0\n"
    " * where the sign bit is set, which is before those and behind them. */\n" INLINE
    "__m256i nib_avx2_lookup_bytes(const uint8_t *steps, __m256i x) {\n"
    "  const __m256i next = _mm256_set1_epi8(16);\n"
    "  __m256i y = _mm256_setzero_si256();\n"
    "  for (int i = 0; i < 16; i++) {\n"
    "    const __m256i row = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)(steps + 16 * i)));\n"
    "    y = _mm256_xor_si256(y, _mm256_shuffle_epi8(row, x));\n"
    "    x = i < 8 ? _mm256_sub_epi8(x, next) : _mm256_subs_epi8(x, next);\n"
    "  }\n"
    "  return y;\n"
    "}\n"
    "\n"
    "//@ nib_avx2_sum_i8\n"
    "/* Sums of eight bytes that are made unsigned. */\n" INLINE
    "int32_t nib_avx2_sum_i8(const int8_t *a, int32_t n) {\n"
    "  __m256i sum = _mm256_setzero_si256();\n"
    "  int32_t i = 0;\n"
    "  for (; i + 32 <= n; i += 32)\n"
    "    sum = _mm256_add_epi64(sum, _mm256_sad_epu8(\n"
    "        _mm256_xor_si256(_mm256_loadu_si256((const void *)(a + i)), _mm256_set1_epi8(-128)),\n"
    "        _mm256_setzero_si256()));\n"
    "  __m128i part = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));\n"
    "  for (; i + 16 <= n; i += 16)\n"
    "    part = _mm_add_epi64(part, _mm_sad_epu8(\n"
    "        _mm_xor_si128(_mm_loadu_si128((const void *)(a + i)), _mm_set1_epi8(-128)),\n"
    "        _mm_setzero_si128()));\n"
    "  int32_t total = _mm_cvtsi128_si32(_mm_add_epi64(part, _mm_unpackhi_epi64(part, part))) - 128 * i;\n"
    "  for (; i < n; i++)\n"
    "    total += a[i];\n"
    "  return total;\n"
    "}\n"
    "\n"
    "//@ nib_avx2_quotient\n"
    "/* Beside a tie the rounded quotient may be the wrong neighbour: what is left over, which is exact, "
    "says so.\n"
    " * Units too small for a reciprocal are made larger. */\n" INLINE
    "__m256i nib_avx2_quotient(__m256 x, __m256 unit) {\n"
    "  const __m256 one = _mm256_set1_ps(1.0f);\n"
    "  const __m256 small = _mm256_cmp_ps(unit, _mm256_set1_ps(0x1p-100f), _CMP_LT_OQ);\n"
    "  const __m256 grow = _mm256_blendv_ps(one, _mm256_set1_ps(0x1p64f), small);\n"
    "  const __m256 inverse = _mm256_div_ps(one, _mm256_mul_ps(unit, grow));\n"
    "  const __m256 ratio = _mm256_and_ps(_mm256_cmp_ps(x, x, _CMP_ORD_Q),\n"
    "                                     _mm256_mul_ps(_mm256_mul_ps(x, grow), inverse));\n"
    "  const __m256i code = _mm256_cvtps_epi32(_mm256_min_ps(\n"
    "      _mm256_max_ps(ratio, _mm256_set1_ps(-128.0f)), _mm256_set1_ps(127.0f)));\n"
    "  const __m256 rest = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(code), unit, x);\n"
    "  const __m256 twice = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), _mm256_add_ps(rest, rest));\n"
    "  const __m256i way = _mm256_or_si256(_mm256_srai_epi32(_mm256_castps_si256(rest), 31),\n"
    "                                      _mm256_set1_epi32(1));\n"
    "  const __m256 odd = _mm256_castsi256_ps(_mm256_srai_epi32(_mm256_slli_epi32(code, 31), 31));\n"
    "  const __m256 moves = _mm256_or_ps(\n"
    "      _mm256_cmp_ps(twice, unit, _CMP_GT_OQ),\n"
    "      _mm256_and_ps(_mm256_cmp_ps(twice, unit, _CMP_EQ_OQ), odd));\n"
    "  return _mm256_add_epi32(code, _mm256_and_si256(_mm256_castps_si256(moves), way));\n"
    "}\n"
    "\n"
    "//@ nib_avx2_near\n"
    "/* The product is rounded once to a multiple of 2^-14, whose places the sum with 1.5 * 2^9 leaves. */\n" INLINE
    "__m256i nib_avx2_near(__m256 x, __m256 inverse, __m256i *certain) {\n"
    "  const __m256 sum = _mm256_fmadd_ps(x, inverse, _mm256_set1_ps(768.0f));\n"
    "  const __m256i code = _mm256_sub_epi32(_mm256_castps_si256(sum), _mm256_set1_epi32(0x443FE000));\n"
    "  *certain = _mm256_min_epi32(*certain, _mm256_and_si256(code, _mm256_set1_epi32(0x3FFF)));\n"
    "  return _mm256_srai_epi32(code, 14);\n"
    "}\n"
    "\n"
    "//@ nib_avx2_away\n" INLINE
    "__m256i nib_avx2_away(__m256 x) {\n"
    "  " KEEP("x") "\n"
    "  const __m256 half = _mm256_or_ps(_mm256_and_ps(x, _mm256_set1_ps(-0.0f)), _mm256_set1_ps(0.49999997f));\n"
    "  return _mm256_cvttps_epi32(_mm256_add_ps(x, half));\n"
    "}\n"
    "\n"
    "//@ nib_avx2_largest\n" INLINE
    "float nib_avx2_largest(__m256 x) {\n"
    "  __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));\n"
    "  y = _mm_max_ps(y, _mm_movehl_ps(y, y));\n"
    "  return _mm_cvtss_f32(_mm_max_ss(y, _mm_shuffle_ps(y, y, 1)));\n"
    "}\n"
    "\n"
    "//@ nib_avx2_lookup16\n"
    "/* Both halves of the table by the low three bits, chosen by the fourth. */\n" INLINE
    "__m256 nib_avx2_lookup16(const float *table, __m256i index) {\n"
    "  const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), index);\n"
    "  const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), index);\n"
    "  return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));\n"
    "}\n"
    "\n"
    "//@ nib_avx2_stage_i8\n" INLINE
    "void nib_avx2_stage_i8(int16_t *d, const int8_t *a, int32_t zero, int32_t n) {\n"
    "  const __m256i z = _mm256_set1_epi16((short)zero);\n"
    "  int32_t i = 0;\n"
    "  for (; i + 16 <= n; i += 16) {\n"
    "    const __m256i x = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(a + i)));\n"
    "    _mm256_storeu_si256((__m256i *)(d + i), _mm256_sub_epi16(x, z));\n"
    "  }\n"
    "  for (; i < n; i++)\n"
    "    d[i] = (int16_t)(a[i] - zero);\n"
    "}\n"
    "\n"
    "//@ nib_avx2_stage_u8\n" INLINE
    "void nib_avx2_stage_u8(int16_t *d, const uint8_t *a, int32_t zero, int32_t n) {\n"
    "  const __m256i z = _mm256_set1_epi16((short)zero);\n"
    "  int32_t i = 0;\n"
    "  for (; i + 16 <= n; i += 16) {\n"
    "    const __m256i x = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(a + i)));\n"
    "    _mm256_storeu_si256((__m256i *)(d + i), _mm256_sub_epi16(x, z));\n"
    "  }\n"
    "  for (; i < n; i++)\n"
    "    d[i] = (int16_t)(a[i] - zero);\n"
    "}\n"
    "\n"
    "//@ nib_avx2_stage_fill\n" INLINE
    "void nib_avx2_stage_fill(int16_t *d, int32_t value, int32_t n) {\n"
    "  for (int32_t i = 0; i < n; i++)\n"
    "    d[i] = (int16_t)value;\n"
    "}\n"
    "\n"
    "//@ nib_avx2_bf16\n"
    "/* To bf16, nearest even. */\n" INLINE
    "__m128i nib_avx2_bf16(__m256 x) {\n"
    "  const __m256i bits = _mm256_castps_si256(x);\n"
    "  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));\n"
    "  const __m256i even = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));\n"
    "  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));\n"
    "  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));\n"
    "  const __m256i y = _mm256_srli_epi32(_mm256_blendv_epi8(even, quiet, nan), 16);\n"
    "  return _mm_packus_epi32(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1));\n"
    "}\n"
    "\n"
    "//@ nib_avx2_stage_sum\n" INLINE
    "int32_t nib_avx2_stage_sum(const int16_t *a, int32_t n) {\n"
    "  int32_t sum = 0;\n"
    "  for (int32_t i = 0; i < n; i++)\n"
    "    sum += a[i];\n"
    "  return sum;\n"
    "}\n"
    "\n"
    "//@ nib_avx2_bcast4\n"
    "/* Four activations in every 32-bit lane, broadcast straight from memory. */\n" INLINE
    "__m256i nib_avx2_bcast4(const uint8_t *a) {\n"
    "  return _mm256_broadcastd_epi32(_mm_loadu_si32(a));\n"
    "}\n"
    "\n"
    "//@ nib_avx2_flip_i8\n"
    "/* Flips the sign bit: int8 codes become code + 128. */\n" INLINE
    "void nib_avx2_flip_i8(uint8_t *d, const int8_t *a, int32_t n) {\n"
    "  const __m256i flip = _mm256_set1_epi8((char)-128);\n"
    "  int32_t i = 0;\n"
    "  for (; i + 32 <= n; i += 32)\n"
    "    _mm256_storeu_si256((void *)(d + i),\n"
    "                        _mm256_xor_si256(_mm256_loadu_si256((const void *)(a + i)), flip));\n"
    "  for (; i < n; i++)\n"
    "    d[i] = (uint8_t)(a[i] + 128);\n"
    "}\n"
    "\n"
    "//@ nib_avx2_sum_u8\n" INLINE
    "int32_t nib_avx2_sum_u8(const uint8_t *a, int32_t n) {\n"
    "  int32_t sum = 0;\n"
    "  for (int32_t i = 0; i < n; i++)\n"
    "    sum += a[i];\n"
    "  return sum;\n"
    "}\n"
    "\n"
    "//@ nib_avx2_quads_part\n"
    "/* 32 columns of four rows: bytes, then pairs, of the rows interleaved within halves, and the halves\n"
    " * brought in order. */\n" INLINE
    "void nib_avx2_quads_part(__m256i out[4], const __m256i row[4], __m256i flip) {\n"
    "  const __m256i low01 = _mm256_unpacklo_epi8(row[0], row[1]);\n"
    "  const __m256i high01 = _mm256_unpackhi_epi8(row[0], row[1]);\n"
    "  const __m256i low23 = _mm256_unpacklo_epi8(row[2], row[3]);\n"
    "  const __m256i high23 = _mm256_unpackhi_epi8(row[2], row[3]);\n"
    "  const __m256i a = _mm256_xor_si256(_mm256_unpacklo_epi16(low01, low23), flip);\n"
    "  const __m256i b = _mm256_xor_si256(_mm256_unpackhi_epi16(low01, low23), flip);\n"
    "  const __m256i c = _mm256_xor_si256(_mm256_unpacklo_epi16(high01, high23), flip);\n"
    "  const __m256i d = _mm256_xor_si256(_mm256_unpackhi_epi16(high01, high23), flip);\n"
    "  out[0] = _mm256_permute2x128_si256(a, b, 0x20);\n"
    "  out[1] = _mm256_permute2x128_si256(c, d, 0x20);\n"
    "  out[2] = _mm256_permute2x128_si256(a, b, 0x31);\n"
    "  out[3] = _mm256_permute2x128_si256(c, d, 0x31);\n"
    "}\n"
    "\n"
    "//@ nib_avx2_quads\n"
    "/* Codes [from, from + n) of four rows, interleaved; `flip` is 0x80 for int8. Writes whole vectors: up\n"
    " * to 28 bytes past the last column. */\n" INLINE
    "void nib_avx2_quads(uint8_t *d, const void *const rows[4], int32_t from, int32_t n, int flip) {\n"
    "  const __m256i flips = _mm256_set1_epi8((char)flip);\n"
    "  __m256i row[4], out[4];\n"
    "  int32_t i = 0;\n"
    "  for (; i + 32 <= n; i += 32) {\n"
    "    for (int k = 0; k < 4; k++)\n"
    "      row[k] = _mm256_loadu_si256((const void *)((const char *)rows[k] + from + i));\n"
    "    nib_avx2_quads_part(out, row, flips);\n"
    "    for (int k = 0; k < 4; k++)\n"
    "      _mm256_storeu_si256((void *)(d + 4 * i + 32 * k), out[k]);\n"
    "  }\n"
    "  if (i < n) {\n"
    "    for (int k = 0; k < 4; k++) {\n"
    "      uint8_t rest[32] = {0};\n"
    "      memcpy(rest, (const char *)rows[k] + from + i, (size_t)(n - i));\n"
    "      row[k] = _mm256_loadu_si256((const void *)rest);\n"
    "    }\n"
    "    nib_avx2_quads_part(out, row, flips);\n"
    "    for (int k = 0; i + 8 * k < n; k++)\n"
    "      _mm256_storeu_si256((void *)(d + 4 * i + 32 * k), out[k]);\n"
    "  }\n"
    "}\n"
    "\n"
    "//@ nib_avx2_parts\n" INLINE
    "__m256i nib_avx2_parts(const uint8_t *a, int64_t apart) {\n"
    "  const __m256i low = _mm256_castsi128_si256(_mm_loadu_si128((const void *)a));\n"
    "  return _mm256_inserti128_si256(low, _mm_loadu_si128((const void *)(a + apart)), 1);\n"
    "}\n"
    "\n"
    "//@ nib_avx2_store_parts\n" INLINE
    "void nib_avx2_store_parts(uint8_t *a, __m256i b, int64_t apart) {\n"
    "  _mm_storeu_si128((void *)a, _mm256_castsi256_si128(b));\n"
    "  _mm_storeu_si128((void *)(a + apart), _mm256_extracti128_si256(b, 1));\n"
    "}\n";

const nib_vocab nib_vocab_avx2 = {
    .name = "avx2",
    .description = "AVX2 and FMA, 8 lanes",
    .requires_ = NIB_FEATURE_BIT(AVX2) | NIB_FEATURE_BIT(FMA) | NIB_FEATURE_BIT(F16C),
    .function_attr = TARGET,
    .includes = "#include <immintrin.h>\n",
    .support = support,
    .lanes = 8,
    .registers = 16,
    .stage = NIB_STAGE_I16,
    .dot_k = 2,
    .weights_i16 = true,
    .type_i32 = "__m256i",
    .type_f32 = "__m256",
    .type_act = "__m256i",
    .type_weight = "__m256i",
    .type_bytes = "__m256i",
    .prims =
        {
            [NIB_PRIM_I32_SET] = "$d = _mm256_set1_epi32($a);",
            [NIB_PRIM_I32_LOAD] =
                "$d = _mm256_loadu_si256((const __m256i *)(const __m256i *)(const void *)($a));",
            [NIB_PRIM_I32_LOAD_TAIL] = "$d = _mm256_maskload_epi32((const int *)($a), "
                                       "nib_avx2_mask($n));",
            [NIB_PRIM_F32_SET] = "$d = _mm256_set1_ps($a);",
            [NIB_PRIM_F32_LOAD] = "$d = _mm256_loadu_ps($a);",
            [NIB_PRIM_F32_LOAD_TAIL] = "$d = _mm256_maskload_ps($a, nib_avx2_mask($n));",
            [NIB_PRIM_F32_STORE] = "_mm256_storeu_ps($a, $b);",
            [NIB_PRIM_F32_STORE_TAIL] = "_mm256_maskstore_ps($a, nib_avx2_mask($n), $b);",
            [NIB_PRIM_I32_STORE] = "_mm256_storeu_si256((__m256i *)(void *)($a), $b);",
            [NIB_PRIM_I32_STORE_TAIL] =
                "_mm256_maskstore_epi32((int *)($a), nib_avx2_mask($n), $b);",
            [NIB_PRIM_I8_LOAD] =
                "$d = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)($a)));",
            [NIB_PRIM_I8_LOAD_TAIL] = "$d = _mm256_cvtepi8_epi32(nib_avx2_load_bytes($a, $n));",
            [NIB_PRIM_U8_LOAD] =
                "$d = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)($a)));",
            [NIB_PRIM_U8_LOAD_TAIL] = "$d = _mm256_cvtepu8_epi32(nib_avx2_load_bytes($a, $n));",
            [NIB_PRIM_I16_LOAD] =
                "$d = _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)($a)));",
            [NIB_PRIM_I16_LOAD_TAIL] =
                "$d = _mm256_cvtepi16_epi32(nib_avx2_load_bytes($a, 2 * ($n)));",
            [NIB_PRIM_I8_STORE] = "_mm_storel_epi64((__m128i *)($a), nib_avx2_narrow_i8($b));",
            [NIB_PRIM_I8_STORE_TAIL] = "nib_avx2_store_bytes($a, nib_avx2_narrow_i8($b), $n);",
            [NIB_PRIM_U8_STORE] = "_mm_storel_epi64((__m128i *)($a), nib_avx2_narrow_u8($b));",
            [NIB_PRIM_U8_STORE_TAIL] = "nib_avx2_store_bytes($a, nib_avx2_narrow_u8($b), $n);",
            [NIB_PRIM_I16_STORE] = "_mm_storeu_si128((__m128i *)($a), nib_avx2_narrow16($b));",
            [NIB_PRIM_I16_STORE_TAIL] =
                "nib_avx2_store_bytes($a, nib_avx2_narrow16($b), 2 * ($n));",
            [NIB_PRIM_WEIGHT_LOAD] =
                "$d = _mm256_loadu_si256((const __m256i *)(const __m256i *)(const void *)($a));",
            [NIB_PRIM_ACT_BCAST] = "$d = nib_avx2_bcast2($a);",
            [NIB_PRIM_DOT] = "$d = nib_avx2_dot($d, $a, $b);",
            [NIB_PRIM_MAC16] = "$d = nib_avx2_dot($d, $a, $b);",
            [NIB_PRIM_F32_FMA] = "$d = nib_avx2_fma($d, $a, $b);",
            [NIB_PRIM_I32_ADD] = "$d = _mm256_add_epi32($a, $b);",
            [NIB_PRIM_I32_SUB] = "$d = _mm256_sub_epi32($a, $b);",
            [NIB_PRIM_I32_MUL] = "$d = _mm256_mullo_epi32($a, $b);",
            [NIB_PRIM_I32_MIN] = "$d = _mm256_min_epi32($a, $b);",
            [NIB_PRIM_I32_MAX] = "$d = _mm256_max_epi32($a, $b);",
            [NIB_PRIM_I32_SHL] = "$d = _mm256_slli_epi32($a, $b);",
            [NIB_PRIM_RQ_TFLITE_DOUBLE] = "$d = nib_avx2_rq_tflite_double($a, $b, $c);",
            [NIB_PRIM_RQ_TFLITE_AWAY] = "$d = nib_avx2_rq_tflite_away($a, $b, $c);",
            [NIB_PRIM_RQ_TFLITE_SINGLE] = "$d = nib_avx2_rq_tflite_single($a, $b, $c);",
            [NIB_PRIM_RQ_NEAREST_EVEN] =
                "$d = nib_avx2_saturate(_mm256_mul_ps(_mm256_cvtepi32_ps($a), $b));",
            [NIB_PRIM_RQ_NEAREST_AWAY] = "$d = nib_avx2_saturate(nib_avx2_round_away(\n"
                                         "    _mm256_mul_ps(_mm256_cvtepi32_ps($a), $b)));",
            [NIB_PRIM_RQ_PRODUCT] =
                "$d = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps($a), $b));",
            [NIB_PRIM_RQ_FIX] =
                "$d = _mm256_add_epi32($d, _mm256_and_si256(_mm256_cmpeq_epi32($a, $b), $c));",
            [NIB_PRIM_NARROW16] = "$d = _mm256_packs_epi32($a, $b);",
            [NIB_PRIM_I16_ADD] = "$d = _mm256_adds_epi16($a, _mm256_set1_epi16($b));",
            [NIB_PRIM_NARROW_I8] = "$d = nib_avx2_order(_mm256_packs_epi16($a, $b));",
            [NIB_PRIM_NARROW_U8] = "$d = nib_avx2_order(_mm256_packus_epi16($a, $b));",
            [NIB_PRIM_I8_MAX] = "$d = _mm256_max_epi8($a, _mm256_set1_epi8($b));",
            [NIB_PRIM_I8_MIN] = "$d = _mm256_min_epi8($a, _mm256_set1_epi8($b));",
            [NIB_PRIM_U8_MAX] = "$d = _mm256_max_epu8($a, _mm256_set1_epi8((char)$b));",
            [NIB_PRIM_U8_MIN] = "$d = _mm256_min_epu8($a, _mm256_set1_epi8((char)$b));",
            [NIB_PRIM_BYTES_STORE4] = "_mm256_storeu_si256((void *)($a), $b);",
            [NIB_PRIM_BYTES_STORE2] =
                "_mm_storeu_si128((void *)($a), _mm256_extracti128_si256($b, $c));",
            [NIB_PRIM_BYTES_STORE1] = "_mm_storel_epi64((void *)($a), nib_avx2_quarter($b, $c));",
            [NIB_PRIM_BYTES_STORE1_TAIL] =
                "nib_avx2_store_bytes($a, nib_avx2_quarter($b, $c), $n);",
            [NIB_PRIM_F32_ADD] = "$d = _mm256_add_ps($a, $b);",
            [NIB_PRIM_F32_SUB] = "$d = _mm256_sub_ps($a, $b);",
            [NIB_PRIM_F32_MUL] = "$d = _mm256_mul_ps($a, $b);\n" KEEP("$d"),
            [NIB_PRIM_F32_DIV] = "$d = _mm256_div_ps($a, $b);",
            [NIB_PRIM_F32_MIN] = "$d = _mm256_min_ps($a, $b);",
            [NIB_PRIM_F32_MAX] = "$d = _mm256_max_ps($a, $b);",
            [NIB_PRIM_F32_FROM_I32] = "$d = _mm256_cvtepi32_ps($a);",
            [NIB_PRIM_I32_FROM_F32_EVEN] = "$d = nib_avx2_f32_even($a);",
            [NIB_PRIM_I32_FROM_F32_AWAY] = "$d = nib_avx2_f32_even(nib_avx2_round_away($a));",
            [NIB_PRIM_BYTES_LOOKUP256] = "$d = nib_avx2_lookup_bytes($a, $b);",
            [NIB_PRIM_LOOKUP8] = "$d = nib_avx2_lookup8($a, $b);",
            [NIB_PRIM_RQ_LINEAR] =
                "$d = _mm256_cvtps_epi32(_mm256_fmadd_ps(_mm256_cvtepi32_ps($a), $b, $c));",
            [NIB_PRIM_RQ_STARTED] =
                "$d = _mm256_cvtps_epi32(_mm256_fmadd_ps(_mm256_castsi256_ps($a), $b, $c));",
            [NIB_PRIM_RQ_ROUNDED] =
                "$d = _mm256_sub_epi32(_mm256_castps_si256(_mm256_fmadd_ps(\n"
                "    _mm256_castsi256_ps($a), $b, $c)), _mm256_set1_epi32(0x4B400000));",
            [NIB_PRIM_RQ_SIGNED] = "$d = nib_avx2_rq_signed($a, $b, $c);",
            [NIB_PRIM_STAGE_I8] = "nib_avx2_stage_i8($d, $a, $b, $n);",
            [NIB_PRIM_STAGE_U8] = "nib_avx2_stage_u8($d, $a, $b, $n);",
            [NIB_PRIM_STAGE_FILL] = "nib_avx2_stage_fill($d, $a, $n);",
            [NIB_PRIM_STAGE_SUM] = "$d = nib_avx2_stage_sum($a, $n);",
            [NIB_PRIM_BITS_SET] = "$d = _mm256_set1_epi64x((long long)($a));",
            [NIB_PRIM_BITS_LOAD] = "$d = _mm256_loadu_si256((const __m256i *)(const void *)($a));",
            [NIB_PRIM_BITS_STORE] = "_mm256_storeu_si256((__m256i *)(void *)($a), $b);",
            [NIB_PRIM_BITS_COUNT_AND] =
                "$d = _mm256_add_epi64($d, nib_avx2_count(_mm256_and_si256($a, $b)));",
            [NIB_PRIM_BITS_COUNT_XOR] =
                "$d = _mm256_add_epi64($d, nib_avx2_count(_mm256_xor_si256($a, $b)));",
            [NIB_PRIM_BYTES_SET] = "$d = _mm256_set1_epi8((char)($a));",
            [NIB_PRIM_BYTES_LOAD] = "$d = _mm256_loadu_si256((const void *)($a));",
            [NIB_PRIM_BYTES_STORE] = "_mm256_storeu_si256((void *)($a), $b);",
            [NIB_PRIM_ZIP_LOW] = "$d = _mm256_unpacklo_epi$n($a, $b);",
            [NIB_PRIM_ZIP_HIGH] = "$d = _mm256_unpackhi_epi$n($a, $b);",
            [NIB_PRIM_PARTS_LOAD] = "$d = nib_avx2_parts($a, $b);",
            [NIB_PRIM_PARTS_STORE] = "nib_avx2_store_parts($a, $b, $c);",
            [NIB_PRIM_BYTES_BCAST] = "$d = _mm256_broadcastd_epi32(_mm_loadu_si32($a));",
            [NIB_PRIM_BYTES_LOOKUP] =
                "$d = _mm256_shuffle_epi8(\n"
                "    _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)($a))), $b);",
            [NIB_PRIM_BYTES_AND] = "$d = _mm256_and_si256($a, $b);",
            [NIB_PRIM_BYTES_OR] = "$d = _mm256_or_si256($a, $b);",
            [NIB_PRIM_BYTES_SHL] = "$d = _mm256_slli_epi32($a, $b);",
            [NIB_PRIM_BYTES_SHR] = "$d = _mm256_srli_epi32($a, $b);",
            [NIB_PRIM_DOT8] =
                "$d = _mm256_add_epi16($d, _mm256_maddubs_epi16($a, $b));\n" KEEP("$d"),
            [NIB_PRIM_DOT8_SUM] =
                "$d = _mm256_add_epi32($d, _mm256_madd_epi16($a, _mm256_set1_epi16(1)));",
            [NIB_PRIM_I32_SAR] = "$d = _mm256_srai_epi32($a, $b);",
            [NIB_PRIM_F32_OF_BITS] = "$d = _mm256_castsi256_ps($a);",
            [NIB_PRIM_F16_LOAD] = "$d = _mm256_cvtph_ps(_mm_loadu_si128((const void *)($a)));",
            [NIB_PRIM_F16_LOAD_TAIL] = "$d = _mm256_cvtph_ps(nib_avx2_load_bytes($a, 2 * ($n)));",
            [NIB_PRIM_BF16_LOAD_TAIL] =
                "$d = _mm256_castsi256_ps(_mm256_slli_epi32(\n"
                "    _mm256_cvtepu16_epi32(nib_avx2_load_bytes($a, 2 * ($n))), 16));",
            [NIB_PRIM_BF16_LOAD] =
                "$d = _mm256_castsi256_ps(_mm256_slli_epi32(\n"
                "    _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)($a))), 16));",
            [NIB_PRIM_F32_LOOKUP16] = "$d = nib_avx2_lookup16($a, $b);",
            [NIB_PRIM_F16_STORE] = "_mm_storeu_si128((void *)($a), _mm256_cvtps_ph($b, "
                                   "_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));",
            [NIB_PRIM_F16_STORE_TAIL] =
                "nib_avx2_store_bytes($a, _mm256_cvtps_ph(\n"
                "    $b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), 2 * ($n));",
            [NIB_PRIM_BF16_STORE] = "_mm_storeu_si128((void *)($a), nib_avx2_bf16($b));",
            [NIB_PRIM_BF16_STORE_TAIL] = "nib_avx2_store_bytes($a, nib_avx2_bf16($b), 2 * ($n));",
            [NIB_PRIM_I8_SUM] = "$d = nib_avx2_sum_i8($a, $n);",
            [NIB_PRIM_F16_VALUE] = "$d = _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128($a)));",
            [NIB_PRIM_I8_QUOTIENT] = "$d = nib_avx2_quotient($a, $b);",
            [NIB_PRIM_F32_LARGEST] = "$d = nib_avx2_largest($a);",
            [NIB_PRIM_I8_NEAR] = "$d = nib_avx2_near($a, $b, &$c);",
            [NIB_PRIM_I32_ANY_ZERO] = "$d = _mm256_movemask_epi8(_mm256_cmpeq_epi32(\n"
                                      "    $a, _mm256_setzero_si256())) != 0;",
            [NIB_PRIM_I32_SIZE] = "$d = _mm256_max_epi32($d, _mm256_and_si256(\n"
                                  "    _mm256_castps_si256($a), _mm256_set1_epi32(INT32_MAX)));",
            [NIB_PRIM_I32_OF_F32_AWAY] = "$d = nib_avx2_away($a);",
            [NIB_PRIM_F32_SUM] = "$d = nib_avx2_add_lanes($a);",
            [NIB_PRIM_F32_FIRST] =
                "$d = _mm256_blendv_ps($b, $a, _mm256_castsi256_ps(nib_avx2_mask($n)));",
            [NIB_PRIM_F32_WHERE] =
                "$d = _mm256_blendv_ps($b, $c, _mm256_castsi256_ps(_mm256_cmpeq_epi32($a, "
                "_mm256_setzero_si256())));",
            [NIB_PRIM_F32_EXP] = "$d = nib_avx2_exp($a);",
            [NIB_PRIM_PREFETCH] = NIB_X86_PREFETCH,
            [NIB_PRIM_PREFETCH_HERE] = NIB_X86_PREFETCH_HERE,
        },
    .dot_cycles = 0.67, /* two of three ports */
    .fma_cycles = 0.5,
    .mac16_cycles = 1.0,
    .requant_cycles = 1.5,
    .elementwise_cycles = 2.0,
    .bit_words = 4,
    .type_bits = "__m256i",
    .bit_count_cycles = 3.5,
    .dot8_limit = 32767,
    .lookup_cycles = 12.0,
    .lookup_steps = true,
    .dot8_cycles = 0.75,
    .lookup16_operations = 4,
};

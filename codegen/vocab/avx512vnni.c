/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * AVX-512 with VNNI: 16 lanes, vpdpbusd for 8-bit dot products (activations unsigned, weights
 * signed), vpdpwssd for depthwise products. */
#include "vocab/vocab.h"
#include "vocab/x86.h"

#define TARGET "__attribute__((target(\"avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma\")))"
/* Keeps a product from being fused into a following addition: results must not depend on that. */
#define KEEP(x) "__asm__(\"\" : \"+v\"(" x "));"
#define INLINE TARGET "\nstatic inline "
#define MASK "(__mmask16)((1u << ($n)) - 1u)"

static const char support[] =
    "//@ nib_avx512_count\n"
    "/* How many bits of each word are 1: tables of 16 for both halves of every byte, then sums of the\n"
    " * eight bytes of a word. */\n" INLINE
    "__m512i nib_avx512_count(__m512i x) {\n"
    "  const __m512i table = _mm512_broadcast_i32x4(\n"
    "      _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));\n"
    "  const __m512i half = _mm512_set1_epi8(15);\n"
    "  const __m512i low = _mm512_shuffle_epi8(table, _mm512_and_si512(x, half));\n"
    "  const __m512i high = _mm512_shuffle_epi8(\n"
    "      table, _mm512_and_si512(_mm512_srli_epi16(x, 4), half));\n"
    "  return _mm512_sad_epu8(_mm512_add_epi8(low, high), _mm512_setzero_si512());\n"
    "}\n"
    "\n"
    "//@ nib_avx512_bcast4\n"
    "/* Four activations in every 32-bit lane, broadcast straight from memory. */\n" INLINE
    "__m512i nib_avx512_bcast4(const uint8_t *a) {\n"
    "  return _mm512_broadcastd_epi32(_mm_loadu_si32(a));\n"
    "}\n"
    "\n"
    "//@ nib_avx512_dot\n"
    "/* Dot products of four. The empty statement keeps gcc from copying the accumulator. */\n"
    INLINE
    "__m512i nib_avx512_dot(__m512i sum, __m512i a, __m512i weights) {\n"
    "  sum = _mm512_dpbusd_epi32(sum, a, weights);\n"
    "#ifndef __clang__\n"
    "  " KEEP("sum") "\n"
    "#endif\n"
    "  return sum;\n"
    "}\n"
    "\n"
    "//@ nib_avx512_near_dot\n"
    "/* The same of four weights in memory for all lanes. Said as an instruction, since compilers that\n"
    " * see two of them read the same bytes make it three: one more to decode where that is scarce. */\n" INLINE
    "__m512i nib_avx512_near_dot(__m512i sum, __m512i a, const int8_t *weights) {\n"
    "  struct four { int8_t bytes[4]; };\n"
    "  __asm__(\"vpdpbusd %2%{1to16%}, %1, %0\"\n"
    "          : \"+v\"(sum)\n"
    "          : \"v\"(a), \"m\"(*(const struct four *)weights));\n"
    "  return sum;\n"
    "}\n"
    "\n"
    "//@ nib_avx512_mac16\n" INLINE
    "__m512i nib_avx512_mac16(__m512i sum, __m512i a, __m512i weights) {\n"
    "  sum = _mm512_dpwssd_epi32(sum, a, weights);\n"
    "#ifndef __clang__\n"
    "  " KEEP("sum") "\n"
    "#endif\n"
    "  return sum;\n"
    "}\n"
    "\n"
    "//@ nib_avx512_fma\n" INLINE
    "__m512 nib_avx512_fma(__m512 sum, __m512 a, __m512 b) {\n"
    "  sum = _mm512_fmadd_ps(a, b, sum);\n"
    "#ifndef __clang__\n"
    "  " KEEP("sum") "\n"
    "#endif\n"
    "  return sum;\n"
    "}\n"
    "\n"
    "//@ nib_avx512_rq_signed\n"
    "/* x * scale plus offset away from zero, rounded. */\n" INLINE
    "__m512i nib_avx512_rq_signed(__m512i x, __m512 scale, __m512 offset) {\n"
    "  const __m512 real = _mm512_cvtepi32_ps(x);\n"
    "  const __m512i away = _mm512_ternarylogic_epi32(\n"
    "      _mm512_set1_epi32(INT32_MIN), _mm512_castps_si512(real), "
    "_mm512_castps_si512(offset), 0xEA);\n"
    "  return _mm512_cvtps_epi32(_mm512_fmadd_ps(real, scale, _mm512_castsi512_ps(away)));\n"
    "}\n"
    "\n"
    "//@ nib_avx512_order\n"
    "/* Packing works in quarters of 128 bits: brings four lanes of each of four registers into the order\n"
    " * of the registers. */\n" INLINE
    "__m512i nib_avx512_order(__m512i bytes) {\n"
    "  return _mm512_permutexvar_epi32(\n"
    "      _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), bytes);\n"
    "}\n"
    "\n"
    "//@ nib_avx512_rq_tflite_double\n"
    "/* Doubling high multiply rounded half up (64-bit products of even and odd lanes), "
    "then a shift\n"
    " * right that rounds ties away from zero. */\n" INLINE
    "__m512i nib_avx512_rq_tflite_double(__m512i x, __m512i multiplier, __m512i shift) {\n"
    "  const __m512i zero = _mm512_setzero_si512(), one = _mm512_set1_epi32(1);\n"
    "  const __m512i half = _mm512_set1_epi64(INT64_C(1) << 30);\n"
    "  const __m512i right = _mm512_max_epi32(_mm512_sub_epi32(zero, shift), zero);\n"
    "  x = _mm512_sllv_epi32(x, _mm512_max_epi32(shift, zero));\n"
    "  const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(x, multiplier), half);\n"
    "  const __m512i odd = _mm512_add_epi64(\n"
    "      _mm512_mul_epi32(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(multiplier, 32)), half);\n"
    "  const __m512i high = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 31),\n"
    "                                               _mm512_slli_epi64(odd, 1));\n"
    "  const __m512i biased = _mm512_add_epi32(high, _mm512_srai_epi32(high, 31));\n"
    "  const __m512i halves = _mm512_srav_epi32(biased, _mm512_sub_epi32(right, one));\n"
    "  return _mm512_mask_srai_epi32(high, _mm512_test_epi32_mask(right, right),\n"
    "                                _mm512_add_epi32(halves, one), 1);\n"
    "}\n"
    "\n"
    "//@ nib_avx512_rq_single64\n" INLINE
    "__m512i nib_avx512_rq_single64(__m512i x, __m512i multiplier, __m512i total) {\n"
    "  const __m512i one = _mm512_set1_epi64(1);\n"
    "  const __m512i half = _mm512_sllv_epi64(one, _mm512_sub_epi64(total, one));\n"
    "  const __m512i y = _mm512_srav_epi64(\n"
    "      _mm512_add_epi64(_mm512_mul_epi32(x, multiplier), half), total);\n"
    "  return _mm512_min_epi64(_mm512_max_epi64(y, _mm512_set1_epi64(INT32_MIN)),\n"
    "                          _mm512_set1_epi64(INT32_MAX));\n"
    "}\n"
    "\n"
    "//@ nib_avx512_rq_tflite_single\n"
    "/* One rounding shift of the 64-bit product by 31 - shift, saturated. */\n" INLINE
    "__m512i nib_avx512_rq_tflite_single(__m512i x, __m512i multiplier, __m512i shift) {\n"
    "  const __m512i total = _mm512_sub_epi32(_mm512_set1_epi32(31), shift);\n"
    "  const __m512i even = nib_avx512_rq_single64(\n"
    "      x, multiplier, _mm512_and_si512(total, _mm512_set1_epi64(UINT32_MAX)));\n"
    "  const __m512i odd = nib_avx512_rq_single64(_mm512_srli_epi64(x, 32),\n"
    "                                             _mm512_srli_epi64(multiplier, 32),\n"
    "                                             _mm512_srli_epi64(total, 32));\n"
    "  return _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));\n"
    "}\n"
    "\n"
    "//@ nib_avx512_rq_away64\n" INLINE
    "__m512i nib_avx512_rq_away64(__m512i x, __m512i multiplier, __m512i total) {\n"
    "  const __m512i one = _mm512_set1_epi64(1);\n"
    "  const __m512i half = _mm512_sllv_epi64(one, _mm512_sub_epi64(total, one));\n"
    "  const __m512i product = _mm512_mul_epi32(x, multiplier);\n"
    "  const __m512i y = _mm512_srav_epi64(\n"
    "      _mm512_add_epi64(_mm512_add_epi64(product, half), _mm512_srai_epi64(product, 63)),\n"
    "      total);\n"
    "  return _mm512_min_epi64(_mm512_max_epi64(y, _mm512_set1_epi64(INT32_MIN)),\n"
    "                          _mm512_set1_epi64(INT32_MAX));\n"
    "}\n"
    "\n"
    "//@ nib_avx512_rq_tflite_away\n"
    "/* One rounding shift of the 64-bit product by 31 - shift, ties away from zero, "
    "saturated. */\n"
    INLINE
    "__m512i nib_avx512_rq_tflite_away(__m512i x, __m512i multiplier, __m512i shift) {\n"
    "  const __m512i total = _mm512_sub_epi32(_mm512_set1_epi32(31), shift);\n"
    "  const __m512i even = nib_avx512_rq_away64(\n"
    "      x, multiplier, _mm512_and_si512(total, _mm512_set1_epi64(UINT32_MAX)));\n"
    "  const __m512i odd = nib_avx512_rq_away64(_mm512_srli_epi64(x, 32),\n"
    "                                           _mm512_srli_epi64(multiplier, 32),\n"
    "                                           _mm512_srli_epi64(total, 32));\n"
    "  return _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));\n"
    "}\n"
    "\n"
    "//@ nib_avx512_saturate\n"
    "/* Integral floats to int32, saturated at both ends. */\n" INLINE
    "__m512i nib_avx512_saturate(__m512 y) {\n"
    "  const __mmask16 above = _mm512_cmp_ps_mask(y, _mm512_set1_ps(2147483520.0f), _CMP_GE_OQ);\n"
    "  return _mm512_mask_mov_epi32(_mm512_cvtps_epi32(y), above, _mm512_set1_epi32(INT32_MAX));\n"
    "}\n"
    "\n"
    "//@ nib_avx512_f32_even\n" INLINE
    "__m512i nib_avx512_f32_even(__m512 x) {\n"
    "  const __mmask16 number = _mm512_cmp_ps_mask(x, x, _CMP_ORD_Q);\n"
    "  return _mm512_maskz_mov_epi32(number, nib_avx512_saturate(x));\n"
    "}\n"
    "\n"
    "//@ nib_avx512_round_away\n"
    "/* Nearest, ties away from zero: add the float below one half with x's sign, truncate. */\n"
    INLINE
    "__m512 nib_avx512_round_away(__m512 x) {\n"
    "  " KEEP("x") "\n"
    "  const __m512 sign = _mm512_and_ps(x, _mm512_set1_ps(-0.0f));\n"
    "  const __m512 half = _mm512_or_ps(sign, _mm512_set1_ps(0.49999997f));\n"
    "  return _mm512_roundscale_ps(_mm512_add_ps(x, half), _MM_FROUND_TO_ZERO | "
    "_MM_FROUND_NO_EXC);\n"
    "}\n"
    "\n"
    "//@ nib_avx512_quotient\n"
    "/* Beside a tie the rounded quotient may be the wrong neighbour: what is left over, which is exact, "
    "says so.\n"
    " * Units too small for a reciprocal are made larger. */\n" INLINE
    "__m512i nib_avx512_quotient(__m512 x, __m512 unit) {\n"
    "  const __m512 one = _mm512_set1_ps(1.0f);\n"
    "  const __mmask16 small = _mm512_cmp_ps_mask(unit, _mm512_set1_ps(0x1p-100f), _CMP_LT_OQ);\n"
    "  const __m512 grow = _mm512_mask_mov_ps(one, small, _mm512_set1_ps(0x1p64f));\n"
    "  const __m512 inverse = _mm512_div_ps(one, _mm512_mul_ps(unit, grow));\n"
    "  const __mmask16 number = _mm512_cmp_ps_mask(x, x, _CMP_ORD_Q);\n"
    "  const __m512 ratio = _mm512_maskz_mul_ps(number, _mm512_mul_ps(x, grow), inverse);\n"
    "  const __m512i code = _mm512_cvtps_epi32(_mm512_min_ps(\n"
    "      _mm512_max_ps(ratio, _mm512_set1_ps(-128.0f)), _mm512_set1_ps(127.0f)));\n"
    "  const __m512 rest = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(code), unit, x);\n"
    "  const __m512 twice = _mm512_abs_ps(_mm512_add_ps(rest, rest));\n"
    "  const __m512i way = _mm512_or_si512(_mm512_srai_epi32(_mm512_castps_si512(rest), 31),\n"
    "                                      _mm512_set1_epi32(1));\n"
    "  const __mmask16 above = _mm512_cmp_ps_mask(twice, unit, _CMP_GT_OQ);\n"
    "  const __mmask16 tie = _mm512_cmp_ps_mask(twice, unit, _CMP_EQ_OQ);\n"
    "  const __mmask16 odd = _mm512_test_epi32_mask(code, _mm512_set1_epi32(1));\n"
    "  return _mm512_mask_add_epi32(code, (__mmask16)(above | (tie & odd)), code, way);\n"
    "}\n"
    "\n"
    "//@ nib_avx512_near\n"
    "/* The product is rounded once to a multiple of 2^-14, whose places the sum with 1.5 * 2^9 leaves. */\n" INLINE
    "__m512i nib_avx512_near(__m512 x, __m512 inverse, __m512i *certain) {\n"
    "  const __m512 sum = _mm512_fmadd_ps(x, inverse, _mm512_set1_ps(768.0f));\n"
    "  const __m512i code = _mm512_sub_epi32(_mm512_castps_si512(sum), _mm512_set1_epi32(0x443FE000));\n"
    "  *certain = _mm512_min_epi32(*certain, _mm512_and_si512(code, _mm512_set1_epi32(0x3FFF)));\n"
    "  return _mm512_srai_epi32(code, 14);\n"
    "}\n"
    "\n"
    "//@ nib_avx512_away\n" INLINE
    "__m512i nib_avx512_away(__m512 x) {\n"
    "  " KEEP("x") "\n"
    "  const __m512i half = _mm512_ternarylogic_epi32(_mm512_set1_epi32(INT32_MIN), _mm512_castps_si512(x),\n"
    "      _mm512_castps_si512(_mm512_set1_ps(0.49999997f)), 0xEA);\n"
    "  return _mm512_cvttps_epi32(_mm512_add_ps(x, _mm512_castsi512_ps(half)));\n"
    "}\n"
    "\n"
    "//@ nib_avx512_lookup8\n"
    "/* Gathers four bytes at each index and keeps the first, sign-extended. */\n" INLINE
    "__m512i nib_avx512_lookup8(const int8_t *table, __m512i index) {\n"
    "  const __m512i word = _mm512_i32gather_epi32(index, (const void *)table, 1);\n"
    "  return _mm512_srai_epi32(_mm512_slli_epi32(word, 24), 24);\n"
    "}\n"
    "\n"
    "//@ nib_avx512_lookup_bytes\n"
    "/* `steps`: 16 tables of 16 bytes, of which eight up to that of the byte make its value: a shuffle gives 0\n"
    " * where the sign bit is set, which is before those and behind them. */\n" INLINE
    "__m512i nib_avx512_lookup_bytes(const uint8_t *steps, __m512i x) {\n"
    "  const __m512i next = _mm512_set1_epi8(16);\n"
    "  __m512i y = _mm512_setzero_si512();\n"
    "  for (int i = 0; i < 16; i++) {\n"
    "    const __m512i row = _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)(steps + 16 * i)));\n"
    "    y = _mm512_xor_si512(y, _mm512_shuffle_epi8(row, x));\n"
    "    x = i < 8 ? _mm512_sub_epi8(x, next) : _mm512_subs_epi8(x, next);\n"
    "  }\n"
    "  return y;\n"
    "}\n"
    "\n"
    "//@ nib_avx512_stage_i8\n"
    "/* Flips the sign bit: int8 codes become code + 128. */\n" INLINE
    "void nib_avx512_stage_i8(uint8_t *d, const int8_t *a, int32_t n) {\n"
    "  const __m512i flip = _mm512_set1_epi8((char)-128);\n"
    "  int32_t i = 0;\n"
    "  for (; i + 64 <= n; i += 64)\n"
    "    _mm512_storeu_si512((void *)(d + i),\n"
    "                        _mm512_xor_si512(_mm512_loadu_si512((const void *)(a + i)), flip));\n"
    "  if (i < n) {\n"
    "    const __mmask64 rest = ~UINT64_C(0) >> (64 - (n - i));\n"
    "    _mm512_mask_storeu_epi8((void *)(d + i), rest,\n"
    "                            _mm512_xor_si512(_mm512_maskz_loadu_epi8(rest, a + i), flip));\n"
    "  }\n"
    "}\n"
    "\n"
    "//@ nib_avx512_stage_u8\n"
    "/* Copies short rows without a call. */\n" INLINE
    "void nib_avx512_stage_u8(uint8_t *d, const uint8_t *a, int32_t n) {\n"
    "  int32_t i = 0;\n"
    "  if (n > 1024) {\n"
    "    memcpy(d, a, (size_t)n);\n"
    "    return;\n"
    "  }\n"
    "  for (; i + 64 <= n; i += 64) {\n"
    "    __m512i x = _mm512_loadu_si512((const void *)(a + i));\n"
    "    " KEEP("x") " /* or compilers make it memcpy */\n"
    "    _mm512_storeu_si512((void *)(d + i), x);\n"
    "  }\n"
    "  if (i < n) {\n"
    "    const __mmask64 rest = ~UINT64_C(0) >> (64 - (n - i));\n"
    "    _mm512_mask_storeu_epi8((void *)(d + i), rest, _mm512_maskz_loadu_epi8(rest, a + i));\n"
    "  }\n"
    "}\n"
    "\n"
    "//@ nib_avx512_zip_rows\n"
    "/* Bytes, then pairs, of four rows interleaved within quarters of a register. */\n" INLINE
    "void nib_avx512_zip_rows(__m512i out[4], const __m512i row[4]) {\n"
    "  const __m512i low01 = _mm512_unpacklo_epi8(row[0], row[1]);\n"
    "  const __m512i high01 = _mm512_unpackhi_epi8(row[0], row[1]);\n"
    "  const __m512i low23 = _mm512_unpacklo_epi8(row[2], row[3]);\n"
    "  const __m512i high23 = _mm512_unpackhi_epi8(row[2], row[3]);\n"
    "  out[0] = _mm512_unpacklo_epi16(low01, low23);\n"
    "  out[1] = _mm512_unpackhi_epi16(low01, low23);\n"
    "  out[2] = _mm512_unpacklo_epi16(high01, high23);\n"
    "  out[3] = _mm512_unpackhi_epi16(high01, high23);\n"
    "}\n"
    "\n"
    "//@ nib_avx512_quads_part\n"
    "/* Columns [i, i + 64) of four rows: interleaved, and the quarters brought in order. */\n" INLINE
    "void nib_avx512_quads_part(__m512i out[4], const __m512i row[4], __m512i flip) {\n"
    "  __m512i part[4];\n"
    "  nib_avx512_zip_rows(part, row);\n"
    "  const __m512i a = part[0], b = part[1], c = part[2], d = part[3];\n"
    "  const __m512i ab_low = _mm512_shuffle_i32x4(a, b, 0x44);\n"
    "  const __m512i ab_high = _mm512_shuffle_i32x4(a, b, 0xEE);\n"
    "  const __m512i cd_low = _mm512_shuffle_i32x4(c, d, 0x44);\n"
    "  const __m512i cd_high = _mm512_shuffle_i32x4(c, d, 0xEE);\n"
    "  out[0] = _mm512_xor_si512(_mm512_shuffle_i32x4(ab_low, cd_low, 0x88), flip);\n"
    "  out[1] = _mm512_xor_si512(_mm512_shuffle_i32x4(ab_low, cd_low, 0xDD), flip);\n"
    "  out[2] = _mm512_xor_si512(_mm512_shuffle_i32x4(ab_high, cd_high, 0x88), flip);\n"
    "  out[3] = _mm512_xor_si512(_mm512_shuffle_i32x4(ab_high, cd_high, 0xDD), flip);\n"
    "}\n"
    "\n"
    "//@ nib_avx512_quads\n"
    "/* Codes [from, from + n) of four rows, interleaved; `flip` is 0x80 for int8. Writes whole vectors: up\n"
    " * to 60 bytes past the last column. */\n" INLINE
    "void nib_avx512_quads(uint8_t *d, const void *const rows[4], int32_t from, int32_t n, int flip) {\n"
    "  const __m512i flips = _mm512_set1_epi8((char)flip);\n"
    "  __m512i row[4], out[4];\n"
    "  int32_t i = 0;\n"
    "  for (; i + 64 <= n; i += 64) {\n"
    "    for (int k = 0; k < 4; k++)\n"
    "      row[k] = _mm512_loadu_si512((const char *)rows[k] + from + i);\n"
    "    nib_avx512_quads_part(out, row, flips);\n"
    "    for (int k = 0; k < 4; k++)\n"
    "      _mm512_storeu_si512((void *)(d + 4 * i + 64 * k), out[k]);\n"
    "  }\n"
    "  if (i < n) {\n"
    "    const __mmask64 rest = ~UINT64_C(0) >> (64 - (n - i));\n"
    "    for (int k = 0; k < 4; k++)\n"
    "      row[k] = _mm512_maskz_loadu_epi8(rest, (const char *)rows[k] + from + i);\n"
    "    nib_avx512_quads_part(out, row, flips);\n"
    "    for (int k = 0; i + 16 * k < n; k++)\n"
    "      _mm512_storeu_si512((void *)(d + 4 * i + 64 * k), out[k]);\n"
    "  }\n"
    "}\n"
    "\n"
    "//@ nib_avx512_interleave\n"
    "/* Codes [from, from + n) of four rows, interleaved within quarters: packing the results brings them\n"
    " * in order. n is a multiple of 64. */\n" INLINE
    "void nib_avx512_interleave(uint8_t *d, const void *const rows[4], int32_t from, int32_t n, int flip) {\n"
    "  const __m512i flips = _mm512_set1_epi8((char)flip);\n"
    "  __m512i row[4];\n"
    "  for (int32_t i = 0; i < n; i += 64) {\n"
    "    for (int k = 0; k < 4; k++)\n"
    "      row[k] = _mm512_xor_si512(\n"
    "          _mm512_loadu_si512((const char *)rows[k] + from + i), flips);\n"
    "    const __m512i low01 = _mm512_unpacklo_epi8(row[0], row[1]);\n"
    "    const __m512i high01 = _mm512_unpackhi_epi8(row[0], row[1]);\n"
    "    const __m512i low23 = _mm512_unpacklo_epi8(row[2], row[3]);\n"
    "    const __m512i high23 = _mm512_unpackhi_epi8(row[2], row[3]);\n"
    "    _mm512_storeu_si512((void *)(d + 4 * i), _mm512_unpacklo_epi16(low01, low23));\n"
    "    _mm512_storeu_si512((void *)(d + 4 * i + 64), _mm512_unpackhi_epi16(low01, low23));\n"
    "    _mm512_storeu_si512((void *)(d + 4 * i + 128), _mm512_unpacklo_epi16(high01, high23));\n"
    "    _mm512_storeu_si512((void *)(d + 4 * i + 192), _mm512_unpackhi_epi16(high01, high23));\n"
    "  }\n"
    "}\n"
    "\n"
    "//@ nib_avx512_pairs\n"
    "/* Codes of 64 columns of four rows as two registers of each 32. */\n" INLINE
    "void nib_avx512_pairs(__m512i out[4], const __m512i row[4]) {\n"
    "  __m512i part[4];\n"
    "  nib_avx512_zip_rows(part, row);\n"
    "  const __m512i a = part[0], b = part[1], c = part[2], d = part[3];\n"
    "  out[0] = _mm512_shuffle_i64x2(a, b, 0x44);\n"
    "  out[1] = _mm512_shuffle_i64x2(c, d, 0x44);\n"
    "  out[2] = _mm512_shuffle_i64x2(a, b, 0xEE);\n"
    "  out[3] = _mm512_shuffle_i64x2(c, d, 0xEE);\n"
    "}\n"
    "\n"
    "//@ nib_avx512_stage_pairs\n"
    "/* Codes [from, from + n) of four rows, n a multiple of 32. */\n" INLINE
    "void nib_avx512_stage_pairs(uint8_t *d, const void *const rows[4], int32_t from, int32_t n, int flip) {\n"
    "  const __m512i flips = _mm512_set1_epi8((char)flip);\n"
    "  __m512i row[4], out[4];\n"
    "  int32_t i = 0;\n"
    "  for (; i + 64 <= n; i += 64) {\n"
    "    for (int k = 0; k < 4; k++)\n"
    "      row[k] = _mm512_xor_si512(_mm512_loadu_si512((const char *)rows[k] + from + i), flips);\n"
    "    nib_avx512_pairs(out, row);\n"
    "    for (int k = 0; k < 4; k++)\n"
    "      _mm512_storeu_si512((void *)(d + 4 * i + 64 * k), out[k]);\n"
    "  }\n"
    "  if (i < n) {\n"
    "    for (int k = 0; k < 4; k++)\n"
    "      row[k] = _mm512_xor_si512(_mm512_castsi256_si512(_mm256_loadu_si256(\n"
    "          (const void *)((const char *)rows[k] + from + i))), flips);\n"
    "    nib_avx512_pairs(out, row);\n"
    "    for (int k = 0; k < 2; k++)\n"
    "      _mm512_storeu_si512((void *)(d + 4 * i + 64 * k), out[k]);\n"
    "  }\n"
    "}\n"
    "\n"
    "//@ nib_avx512_two_columns\n"
    "/* Two columns of 32 codes, narrowed from two registers each, in order. */\n" INLINE
    "__m512i nib_avx512_two_columns(__m512i bytes) {\n"
    "  return _mm512_permutexvar_epi32(\n"
    "      _mm512_setr_epi32(0, 8, 1, 9, 4, 12, 5, 13, 2, 10, 3, 11, 6, 14, 7, 15), bytes);\n"
    "}\n"
    "\n"
    "//@ nib_avx512_exp\n"
    "/* 2^n e^r with |r| <= ln 2 / 2 by Taylor's polynomial; bounds that the least and the largest float\n"
    " * are within, and a NaN passes. */\n" INLINE
    "__m512 nib_avx512_exp(__m512 a) {\n"
    "  const __m512 x = _mm512_min_ps(_mm512_set1_ps(89.0f), _mm512_max_ps(_mm512_set1_ps(-104.0f), a));\n"
    "  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 8);\n"
    "  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693145752f), x);\n"
    "  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(1.42860677e-6f), r);\n"
    "  __m512 y = _mm512_set1_ps(1.98412698e-4f);\n"
    "  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.38888889e-3f));\n"
    "  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(8.33333333e-3f));\n"
    "  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(4.16666667e-2f));\n"
    "  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.66666667e-1f));\n"
    "  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(0.5f));\n"
    "  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.0f));\n"
    "  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.0f));\n"
    "  return _mm512_scalef_ps(y, n);\n"
    "}\n"
    "\n"
    "//@ nib_avx512_bf16\n"
    "/* To bf16, nearest even, in integers: the conversion of AVX512-BF16 flushes subnormals. The empty\n"
    " * statement keeps clang 22 from merging the shift into a masked store that writes too much. */\n" INLINE
    "__m256i nib_avx512_bf16(__m512 x) {\n"
    "  const __m512i bits = _mm512_castps_si512(x);\n"
    "  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));\n"
    "  const __m512i even = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));\n"
    "  const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));\n"
    "  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);\n"
    "  __m256i y = _mm512_cvtepi32_epi16(\n"
    "      _mm512_srli_epi32(_mm512_mask_mov_epi32(even, nan, quiet), 16));\n"
    "  " KEEP("y") "\n"
    "  return y;\n"
    "}\n"
    "\n"
    "//@ nib_avx512_sum_i8\n" INLINE
    "int32_t nib_avx512_sum_i8(const int8_t *a, int32_t n) {\n"
    "  __m256i sum = _mm256_setzero_si256();\n"
    "  int32_t i = 0;\n"
    "  for (; i + 32 <= n; i += 32)\n"
    "    sum = _mm256_dpbusd_epi32(sum, _mm256_set1_epi8(1), _mm256_loadu_si256((const void *)(a + i)));\n"
    "  __m128i part = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));\n"
    "  for (; i + 16 <= n; i += 16)\n"
    "    part = _mm_dpbusd_epi32(part, _mm_set1_epi8(1), _mm_loadu_si128((const void *)(a + i)));\n"
    "  part = _mm_add_epi32(part, _mm_shuffle_epi32(part, 0x4E));\n"
    "  part = _mm_add_epi32(part, _mm_shuffle_epi32(part, 0xB1));\n"
    "  int32_t total = _mm_cvtsi128_si32(part);\n"
    "  for (; i < n; i++)\n"
    "    total += a[i];\n"
    "  return total;\n"
    "}\n"
    "\n"
    "//@ nib_avx512_stage_sum\n" INLINE
    "int32_t nib_avx512_stage_sum(const uint8_t *a, int32_t n) {\n"
    "  const __m512i ones = _mm512_set1_epi8(1);\n"
    "  __m512i sum = _mm512_setzero_si512();\n"
    "  int32_t i = 0;\n"
    "  for (; i + 64 <= n; i += 64)\n"
    "    sum = _mm512_dpbusd_epi32(sum, _mm512_loadu_si512((const void *)(a + i)), ones);\n"
    "  if (i < n) {\n"
    "    const __mmask64 rest = ~UINT64_C(0) >> (64 - (n - i));\n"
    "    sum = _mm512_dpbusd_epi32(sum, _mm512_maskz_loadu_epi8(rest, a + i), ones);\n"
    "  }\n"
    "  return _mm512_reduce_add_epi32(sum);\n"
    "}\n"
    "\n"
    "//@ nib_avx512_parts\n" INLINE
    "__m512i nib_avx512_parts(const uint8_t *a, int64_t apart) {\n"
    "  __m256i low = _mm256_castsi128_si256(_mm_loadu_si128((const void *)a));\n"
    "  __m256i high = _mm256_castsi128_si256(_mm_loadu_si128((const void *)(a + 2 * apart)));\n"
    "  low = _mm256_inserti128_si256(low, _mm_loadu_si128((const void *)(a + apart)), 1);\n"
    "  high = _mm256_inserti128_si256(high, _mm_loadu_si128((const void *)(a + 3 * apart)), 1);\n"
    "  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);\n"
    "}\n"
    "\n"
    "//@ nib_avx512_store_parts\n" INLINE
    "void nib_avx512_store_parts(uint8_t *a, __m512i b, int64_t apart) {\n"
    "  _mm_storeu_si128((void *)a, _mm512_castsi512_si128(b));\n"
    "  _mm_storeu_si128((void *)(a + apart), _mm512_extracti32x4_epi32(b, 1));\n"
    "  _mm_storeu_si128((void *)(a + 2 * apart), _mm512_extracti32x4_epi32(b, 2));\n"
    "  _mm_storeu_si128((void *)(a + 3 * apart), _mm512_extracti32x4_epi32(b, 3));\n"
    "}\n";

const nib_vocab nib_vocab_avx512vnni = {
    .name = "avx512vnni",
    .description = "AVX-512 with VNNI dot products, 16 lanes",
    .requires_ = NIB_FEATURE_BIT(AVX512F) | NIB_FEATURE_BIT(AVX512BW) | NIB_FEATURE_BIT(AVX512DQ) |
                 NIB_FEATURE_BIT(AVX512VL) | NIB_FEATURE_BIT(AVX512VNNI) | NIB_FEATURE_BIT(FMA),
    .function_attr = TARGET,
    .includes = "#include <immintrin.h>\n",
    .support = support,
    .lanes = 16,
    .registers = 32,
    .stage = NIB_STAGE_U8,
    .dot_k = 4,
    .weights_i16 = false,
    .type_i32 = "__m512i",
    .type_f32 = "__m512",
    .type_act = "__m512i",
    .type_weight = "__m512i",
    .type_bytes = "__m512i",
    .prims =
        {
            [NIB_PRIM_I32_SET] = "$d = _mm512_set1_epi32($a);",
            [NIB_PRIM_I32_LOAD] = "$d = _mm512_loadu_si512((const void *)($a));",
            [NIB_PRIM_I32_LOAD_TAIL] =
                "$d = _mm512_maskz_loadu_epi32(" MASK ", (const void *)($a));",
            [NIB_PRIM_F32_SET] = "$d = _mm512_set1_ps($a);",
            [NIB_PRIM_F32_LOAD] = "$d = _mm512_loadu_ps($a);",
            [NIB_PRIM_F32_LOAD_TAIL] = "$d = _mm512_maskz_loadu_ps(" MASK ", $a);",
            [NIB_PRIM_F32_STORE] = "_mm512_storeu_ps($a, $b);",
            [NIB_PRIM_F32_STORE_TAIL] = "_mm512_mask_storeu_ps($a, " MASK ", $b);",
            [NIB_PRIM_I32_STORE] = "_mm512_storeu_si512((void *)($a), $b);",
            [NIB_PRIM_I32_STORE_TAIL] = "_mm512_mask_storeu_epi32((void *)($a), " MASK ", $b);",
            [NIB_PRIM_I8_LOAD] =
                "$d = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)($a)));",
            [NIB_PRIM_I8_LOAD_TAIL] =
                "$d = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(" MASK ", $a));",
            [NIB_PRIM_U8_LOAD] =
                "$d = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)($a)));",
            [NIB_PRIM_U8_LOAD_TAIL] =
                "$d = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(" MASK ", $a));",
            [NIB_PRIM_I16_LOAD] =
                "$d = _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)($a)));",
            [NIB_PRIM_I16_LOAD_TAIL] =
                "$d = _mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(" MASK ", $a));",
            [NIB_PRIM_I8_STORE] = "_mm_storeu_si128((__m128i *)($a), _mm512_cvtsepi32_epi8($b));",
            [NIB_PRIM_I8_STORE_TAIL] =
                "_mm_mask_storeu_epi8((void *)($a), " MASK ", _mm512_cvtsepi32_epi8($b));",
            [NIB_PRIM_U8_STORE] = "_mm_storeu_si128((__m128i *)($a), _mm512_cvtusepi32_epi8(\n"
                                  "    _mm512_max_epi32($b, _mm512_setzero_si512())));",
            [NIB_PRIM_U8_STORE_TAIL] =
                "_mm_mask_storeu_epi8((void *)($a), " MASK ", _mm512_cvtusepi32_epi8(\n"
                "    _mm512_max_epi32($b, _mm512_setzero_si512())));",
            [NIB_PRIM_I16_STORE] =
                "_mm256_storeu_si256((__m256i *)($a), _mm512_cvtsepi32_epi16($b));",
            [NIB_PRIM_I16_STORE_TAIL] =
                "_mm256_mask_storeu_epi16((void *)($a), " MASK ", _mm512_cvtsepi32_epi16($b));",
            [NIB_PRIM_WEIGHT_LOAD] = "$d = _mm512_loadu_si512((const void *)($a));",
            [NIB_PRIM_ACT_BCAST] = "$d = nib_avx512_bcast4($a);",
            [NIB_PRIM_DOT] = "$d = nib_avx512_dot($d, $a, $b);",
            [NIB_PRIM_MAC16] = "$d = nib_avx512_mac16($d, $a, $b);",
            [NIB_PRIM_F32_FMA] = "$d = nib_avx512_fma($d, $a, $b);",
            [NIB_PRIM_I32_ADD] = "$d = _mm512_add_epi32($a, $b);",
            [NIB_PRIM_I32_SUB] = "$d = _mm512_sub_epi32($a, $b);",
            [NIB_PRIM_I32_MUL] = "$d = _mm512_mullo_epi32($a, $b);",
            [NIB_PRIM_I32_MIN] = "$d = _mm512_min_epi32($a, $b);",
            [NIB_PRIM_I32_MAX] = "$d = _mm512_max_epi32($a, $b);",
            [NIB_PRIM_I32_SHL] = "$d = _mm512_slli_epi32($a, $b);",
            [NIB_PRIM_RQ_TFLITE_DOUBLE] = "$d = nib_avx512_rq_tflite_double($a, $b, $c);",
            [NIB_PRIM_RQ_TFLITE_AWAY] = "$d = nib_avx512_rq_tflite_away($a, $b, $c);",
            [NIB_PRIM_RQ_TFLITE_SINGLE] = "$d = nib_avx512_rq_tflite_single($a, $b, $c);",
            [NIB_PRIM_RQ_NEAREST_EVEN] =
                "$d = nib_avx512_saturate(_mm512_mul_ps(_mm512_cvtepi32_ps($a), $b));",
            [NIB_PRIM_RQ_NEAREST_AWAY] = "$d = nib_avx512_saturate(nib_avx512_round_away(\n"
                                         "    _mm512_mul_ps(_mm512_cvtepi32_ps($a), $b)));",
            [NIB_PRIM_QUADS_I8] = "nib_avx512_quads($d, $a, $b, $n, 0x80);",
            [NIB_PRIM_QUADS_U8] = "nib_avx512_quads($d, $a, $b, $n, 0);",
            [NIB_PRIM_QUADS_PARTS_I8] = "nib_avx512_interleave($d, $a, $b, $n, 0x80);",
            [NIB_PRIM_QUADS_PARTS_U8] = "nib_avx512_interleave($d, $a, $b, $n, 0);",
            [NIB_PRIM_QUADS_PAIRS_I8] = "nib_avx512_stage_pairs($d, $a, $b, $n, 0x80);",
            [NIB_PRIM_QUADS_PAIRS_U8] = "nib_avx512_stage_pairs($d, $a, $b, $n, 0);",
            [NIB_PRIM_PACK_PAIRS_I8] = "$d = nib_avx512_two_columns(_mm512_packs_epi16($a, $b));",
            [NIB_PRIM_PACK_PAIRS_U8] = "$d = nib_avx512_two_columns(_mm512_packus_epi16($a, $b));",
            [NIB_PRIM_PACK_I8] = "$d = _mm512_packs_epi16($a, $b);",
            [NIB_PRIM_PACK_U8] = "$d = _mm512_packus_epi16($a, $b);",
            [NIB_PRIM_RQ_PRODUCT] =
                "$d = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps($a), $b));",
            [NIB_PRIM_RQ_FIX] =
                "$d = _mm512_mask_add_epi32($d, _mm512_cmpeq_epi32_mask($a, $b), $d, $c);",
            [NIB_PRIM_NARROW16] = "$d = _mm512_packs_epi32($a, $b);",
            [NIB_PRIM_I16_ADD] = "$d = _mm512_adds_epi16($a, _mm512_set1_epi16($b));",
            [NIB_PRIM_NARROW_I8] = "$d = nib_avx512_order(_mm512_packs_epi16($a, $b));",
            [NIB_PRIM_NARROW_U8] = "$d = nib_avx512_order(_mm512_packus_epi16($a, $b));",
            [NIB_PRIM_I8_MAX] = "$d = _mm512_max_epi8($a, _mm512_set1_epi8($b));",
            [NIB_PRIM_I8_MIN] = "$d = _mm512_min_epi8($a, _mm512_set1_epi8($b));",
            [NIB_PRIM_U8_MAX] = "$d = _mm512_max_epu8($a, _mm512_set1_epi8((char)$b));",
            [NIB_PRIM_U8_MIN] = "$d = _mm512_min_epu8($a, _mm512_set1_epi8((char)$b));",
            [NIB_PRIM_BYTES_STORE4] = "_mm512_storeu_si512((void *)($a), $b);",
            [NIB_PRIM_BYTES_STORE2] =
                "_mm256_storeu_si256((void *)($a), _mm512_extracti64x4_epi64($b, $c));",
            [NIB_PRIM_BYTES_STORE1] =
                "_mm_storeu_si128((void *)($a), _mm512_extracti32x4_epi32($b, $c));",
            [NIB_PRIM_BYTES_STORE1_TAIL] =
                "_mm_mask_storeu_epi8((void *)($a), " MASK ", _mm512_extracti32x4_epi32($b, $c));",
            [NIB_PRIM_F32_ADD] = "$d = _mm512_add_ps($a, $b);",
            [NIB_PRIM_F32_SUB] = "$d = _mm512_sub_ps($a, $b);",
            [NIB_PRIM_F32_MUL] = "$d = _mm512_mul_ps($a, $b);\n" KEEP("$d"),
            [NIB_PRIM_F32_DIV] = "$d = _mm512_div_ps($a, $b);",
            [NIB_PRIM_F32_MIN] = "$d = _mm512_min_ps($a, $b);",
            [NIB_PRIM_F32_MAX] = "$d = _mm512_max_ps($a, $b);",
            [NIB_PRIM_F32_FROM_I32] = "$d = _mm512_cvtepi32_ps($a);",
            [NIB_PRIM_I32_FROM_F32_EVEN] = "$d = nib_avx512_f32_even($a);",
            [NIB_PRIM_I32_FROM_F32_AWAY] = "$d = nib_avx512_f32_even(nib_avx512_round_away($a));",
            [NIB_PRIM_BYTES_LOOKUP256] = "$d = nib_avx512_lookup_bytes($a, $b);",
            [NIB_PRIM_LOOKUP8] = "$d = nib_avx512_lookup8($a, $b);",
            [NIB_PRIM_RQ_LINEAR] =
                "$d = _mm512_cvtps_epi32(_mm512_fmadd_ps(_mm512_cvtepi32_ps($a), $b, $c));",
            [NIB_PRIM_RQ_STARTED] =
                "$d = _mm512_cvtps_epi32(_mm512_fmadd_ps(_mm512_castsi512_ps($a), $b, $c));",
            [NIB_PRIM_RQ_ROUNDED] =
                "$d = _mm512_sub_epi32(_mm512_castps_si512(_mm512_fmadd_ps(\n"
                "    _mm512_castsi512_ps($a), $b, $c)), _mm512_set1_epi32(0x4B400000));",
            [NIB_PRIM_RQ_SIGNED] = "$d = nib_avx512_rq_signed($a, $b, $c);",
            [NIB_PRIM_STAGE_I8] = "nib_avx512_stage_i8($d, $a, $n);",
            [NIB_PRIM_STAGE_U8] = "nib_avx512_stage_u8($d, $a, $n);",
            [NIB_PRIM_STAGE_FILL] = "memset($d, $a, (size_t)($n));",
            [NIB_PRIM_STAGE_SUM] = "$d = nib_avx512_stage_sum($a, $n);",
            [NIB_PRIM_BITS_SET] = "$d = _mm512_set1_epi64((long long)($a));",
            [NIB_PRIM_BITS_LOAD] = "$d = _mm512_loadu_si512((const void *)($a));",
            [NIB_PRIM_BITS_STORE] = "_mm512_storeu_si512((void *)($a), $b);",
            [NIB_PRIM_BITS_COUNT_AND] =
                "$d = _mm512_add_epi64($d, nib_avx512_count(_mm512_and_si512($a, $b)));",
            [NIB_PRIM_BITS_COUNT_XOR] =
                "$d = _mm512_add_epi64($d, nib_avx512_count(_mm512_xor_si512($a, $b)));",
            [NIB_PRIM_BYTES_SET] = "$d = _mm512_set1_epi8((char)($a));",
            [NIB_PRIM_BYTES_LOAD] = "$d = _mm512_loadu_si512((const void *)($a));",
            [NIB_PRIM_BYTES_STORE] = "_mm512_storeu_si512((void *)($a), $b);",
            [NIB_PRIM_ZIP_LOW] = "$d = _mm512_unpacklo_epi$n($a, $b);",
            [NIB_PRIM_ZIP_HIGH] = "$d = _mm512_unpackhi_epi$n($a, $b);",
            [NIB_PRIM_PARTS_LOAD] = "$d = nib_avx512_parts($a, $b);",
            [NIB_PRIM_PARTS_STORE] = "nib_avx512_store_parts($a, $b, $c);",
            [NIB_PRIM_BYTES_BCAST] = "$d = _mm512_broadcastd_epi32(_mm_loadu_si32($a));",
            [NIB_PRIM_BYTES_LOOKUP] =
                "$d = _mm512_shuffle_epi8(\n"
                "    _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)($a))), $b);",
            [NIB_PRIM_BYTES_AND] = "$d = _mm512_and_si512($a, $b);",
            [NIB_PRIM_BYTES_OR] = "$d = _mm512_or_si512($a, $b);",
            [NIB_PRIM_BYTES_SHL] = "$d = _mm512_slli_epi32($a, $b);",
            [NIB_PRIM_BYTES_SHR] = "$d = _mm512_srli_epi32($a, $b);",
            [NIB_PRIM_DOT8] = "$d = nib_avx512_dot($d, $a, $b);",
            [NIB_PRIM_DOT8_NEAR] = "$d = nib_avx512_near_dot($d, $a, $b);",
            [NIB_PRIM_DOT8_SUM] = "$d = _mm512_add_epi32($d, $a);",
            [NIB_PRIM_I32_SAR] = "$d = _mm512_srai_epi32($a, $b);",
            [NIB_PRIM_F32_OF_BITS] = "$d = _mm512_castsi512_ps($a);",
            [NIB_PRIM_F16_LOAD] = "$d = _mm512_cvtph_ps(_mm256_loadu_si256((const void *)($a)));",
            [NIB_PRIM_F16_LOAD_TAIL] =
                "$d = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(" MASK ", $a));",
            [NIB_PRIM_BF16_LOAD_TAIL] =
                "$d = _mm512_castsi512_ps(_mm512_slli_epi32(\n"
                "    _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(" MASK ", $a)), 16));",
            [NIB_PRIM_BF16_LOAD] =
                "$d = _mm512_castsi512_ps(_mm512_slli_epi32(\n"
                "    _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)($a))), 16));",
            [NIB_PRIM_F32_LOOKUP16] = "$d = _mm512_permutexvar_ps($b, _mm512_loadu_ps($a));",
            [NIB_PRIM_F16_STORE] =
                "_mm256_storeu_si256((void *)($a), _mm512_cvtps_ph($b, _MM_FROUND_TO_NEAREST_INT | "
                "_MM_FROUND_NO_EXC));",
            [NIB_PRIM_F16_STORE_TAIL] =
                "_mm256_mask_storeu_epi16((void *)($a), " MASK ", _mm512_cvtps_ph(\n"
                "    $b, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));",
            [NIB_PRIM_BF16_STORE] = "_mm256_storeu_si256((void *)($a), nib_avx512_bf16($b));",
            [NIB_PRIM_BF16_STORE_TAIL] =
                "_mm256_mask_storeu_epi16((void *)($a), " MASK ", nib_avx512_bf16($b));",
            [NIB_PRIM_F32_LARGEST] = "$d = _mm512_reduce_max_ps($a);",
            [NIB_PRIM_I8_SUM] = "$d = nib_avx512_sum_i8($a, $n);",
            [NIB_PRIM_F16_VALUE] =
                "$d = _mm512_cvtss_f32(_mm512_cvtph_ps(_mm256_castsi128_si256(_mm_cvtsi32_si128($a))));",
            [NIB_PRIM_I8_QUOTIENT] = "$d = nib_avx512_quotient($a, $b);",
            [NIB_PRIM_I8_NEAR] = "$d = nib_avx512_near($a, $b, &$c);",
            [NIB_PRIM_I32_ANY_ZERO] = "$d = _mm512_testn_epi32_mask($a, $a) != 0;",
            [NIB_PRIM_I32_SIZE] = "$d = _mm512_max_epi32($d, _mm512_and_si512(\n"
                                  "    _mm512_castps_si512($a), _mm512_set1_epi32(INT32_MAX)));",
            [NIB_PRIM_I32_OF_F32_AWAY] = "$d = nib_avx512_away($a);",
            [NIB_PRIM_F32_SUM] = "$d = _mm512_reduce_add_ps($a);",
            [NIB_PRIM_F32_FIRST] = "$d = _mm512_mask_blend_ps(" MASK ", $b, $a);",
            [NIB_PRIM_F32_WHERE] =
                "$d = _mm512_mask_blend_ps(_mm512_test_epi32_mask($a, $a), $c, $b);",
            [NIB_PRIM_F32_EXP] = "$d = nib_avx512_exp($a);",
            [NIB_PRIM_PREFETCH] = NIB_X86_PREFETCH,
            [NIB_PRIM_PREFETCH_HERE] = NIB_X86_PREFETCH_HERE,
        },
    .dot_cycles = 0.5,
    .fma_cycles = 0.5,
    .mac16_cycles = 1.0,
    .requant_cycles = 2.0,
    .elementwise_cycles = 2.0,
    .bit_words = 8,
    .type_bits = "__m512i",
    .bit_count_cycles = 4.5,
    .lookup_cycles = 10.0,
    .lookup_steps = true,
    .dot8_cycles = 0.5,
};

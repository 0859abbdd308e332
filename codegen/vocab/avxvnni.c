/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * AVX2 with AVX-VNNI: 8 lanes, vpdpbusd for 8-bit dot products (activations unsigned, weights signed).
 * Everything else is AVX2's. */
#include "vocab/vocab.h"

extern const nib_vocab nib_vocab_avx2;

#define TARGET "__attribute__((target(\"avx2,fma,f16c,avxvnni\")))"
#define KEEP(x) "__asm__(\"\" : \"+x\"(" x "));"
#define INLINE TARGET "\nstatic inline "

static const char support[] =
    "//@ nib_avxvnni_bcast4\n"
    "/* Four activations in every 32-bit lane, broadcast straight from memory. */\n" INLINE
    "__m256i nib_avxvnni_bcast4(const uint8_t *a) {\n"
    "  return _mm256_broadcastd_epi32(_mm_loadu_si32(a));\n"
    "}\n"
    "\n"
    "//@ nib_avxvnni_dot\n"
    "/* Dot products of four. The empty statement keeps gcc from copying the accumulator. */\n" INLINE
    "__m256i nib_avxvnni_dot(__m256i sum, __m256i a, __m256i weights) {\n"
    "  sum = _mm256_dpbusd_avx_epi32(sum, a, weights);\n"
    "#ifndef __clang__\n"
    "  " KEEP("sum") "\n"
    "#endif\n"
    "  return sum;\n"
    "}\n"
    "\n"
    "//@ nib_avxvnni_mac16\n" INLINE
    "__m256i nib_avxvnni_mac16(__m256i sum, __m256i a, __m256i weights) {\n"
    "  sum = _mm256_dpwssd_avx_epi32(sum, a, weights);\n"
    "#ifndef __clang__\n"
    "  " KEEP("sum") "\n"
    "#endif\n"
    "  return sum;\n"
    "}\n"
    "\n"
    "//@ nib_avxvnni_stage_i8\n"
    "/* Flips the sign bit: int8 codes become code + 128. */\n" INLINE
    "void nib_avxvnni_stage_i8(uint8_t *d, const int8_t *a, int32_t n) {\n"
    "  const __m256i flip = _mm256_set1_epi8((char)-128);\n"
    "  int32_t i = 0;\n"
    "  for (; i + 32 <= n; i += 32)\n"
    "    _mm256_storeu_si256((void *)(d + i),\n"
    "                        _mm256_xor_si256(_mm256_loadu_si256((const void *)(a + i)), flip));\n"
    "  for (; i < n; i++)\n"
    "    d[i] = (uint8_t)(a[i] + 128);\n"
    "}\n"
    "\n"
    "//@ nib_avxvnni_stage_sum\n" INLINE
    "int32_t nib_avxvnni_stage_sum(const uint8_t *a, int32_t n) {\n"
    "  int32_t sum = 0;\n"
    "  for (int32_t i = 0; i < n; i++)\n"
    "    sum += a[i];\n"
    "  return sum;\n"
    "}\n"
    "\n"
    "//@ nib_avxvnni_quads_part\n"
    "/* 32 columns of four rows: bytes, then pairs, of the rows interleaved within halves, and the halves\n"
    " * brought in order. */\n" INLINE
    "void nib_avxvnni_quads_part(__m256i out[4], const __m256i row[4], __m256i flip) {\n"
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
    "//@ nib_avxvnni_quads\n"
    "/* Codes [from, from + n) of four rows, interleaved; `flip` is 0x80 for int8. Writes whole vectors: up\n"
    " * to 28 bytes past the last column. */\n" INLINE
    "void nib_avxvnni_quads(uint8_t *d, const void *const rows[4], int32_t from, int32_t n, int flip) {\n"
    "  const __m256i flips = _mm256_set1_epi8((char)flip);\n"
    "  __m256i row[4], out[4];\n"
    "  int32_t i = 0;\n"
    "  for (; i + 32 <= n; i += 32) {\n"
    "    for (int k = 0; k < 4; k++)\n"
    "      row[k] = _mm256_loadu_si256((const void *)((const char *)rows[k] + from + i));\n"
    "    nib_avxvnni_quads_part(out, row, flips);\n"
    "    for (int k = 0; k < 4; k++)\n"
    "      _mm256_storeu_si256((void *)(d + 4 * i + 32 * k), out[k]);\n"
    "  }\n"
    "  if (i < n) {\n"
    "    for (int k = 0; k < 4; k++) {\n"
    "      uint8_t rest[32] = {0};\n"
    "      memcpy(rest, (const char *)rows[k] + from + i, (size_t)(n - i));\n"
    "      row[k] = _mm256_loadu_si256((const void *)rest);\n"
    "    }\n"
    "    nib_avxvnni_quads_part(out, row, flips);\n"
    "    for (int k = 0; i + 8 * k < n; k++)\n"
    "      _mm256_storeu_si256((void *)(d + 4 * i + 32 * k), out[k]);\n"
    "  }\n"
    "}\n";

const nib_vocab nib_vocab_avxvnni = {
    .name = "avxvnni",
    .description = "AVX2 with AVX-VNNI dot products, 8 lanes",
    .requires_ = NIB_FEATURE_BIT(AVX2) | NIB_FEATURE_BIT(FMA) | NIB_FEATURE_BIT(F16C) |
                 NIB_FEATURE_BIT(AVXVNNI),
    .function_attr = TARGET,
    .includes = "#include <immintrin.h>\n",
    .support = support,
    .lanes = 8,
    .registers = 16,
    .stage = NIB_STAGE_U8,
    .dot_k = 4,
    .weights_i16 = false,
    .type_i32 = "__m256i",
    .type_f32 = "__m256",
    .type_act = "__m256i",
    .type_weight = "__m256i",
    .type_bytes = "__m256i",
    .base = &nib_vocab_avx2,
    .prims =
        {
            [NIB_PRIM_ACT_BCAST] = "$d = nib_avxvnni_bcast4($a);",
            [NIB_PRIM_DOT] = "$d = nib_avxvnni_dot($d, $a, $b);",
            [NIB_PRIM_MAC16] = "$d = nib_avxvnni_mac16($d, $a, $b);",
            [NIB_PRIM_STAGE_I8] = "nib_avxvnni_stage_i8($d, $a, $n);",
            [NIB_PRIM_STAGE_U8] = "memcpy($d, $a, (size_t)($n));",
            [NIB_PRIM_STAGE_FILL] = "memset($d, $a, (size_t)($n));",
            [NIB_PRIM_STAGE_SUM] = "$d = nib_avxvnni_stage_sum($a, $n);",
            [NIB_PRIM_QUADS_I8] = "nib_avxvnni_quads($d, $a, $b, $n, 0x80);",
            [NIB_PRIM_QUADS_U8] = "nib_avxvnni_quads($d, $a, $b, $n, 0);",
            [NIB_PRIM_DOT8] = "$d = nib_avxvnni_dot($d, $a, $b);",
            [NIB_PRIM_DOT8_SUM] = "$d = _mm256_add_epi32($d, $a);",
        },
    .dot_cycles = 0.5,
    .fma_cycles = 0.5,
    .mac16_cycles = 0.5,
    .requant_cycles = 3.0,
    .elementwise_cycles = 2.0,
    .bit_words = 4,
    .type_bits = "__m256i",
    .bit_count_cycles = 3.5,
    .dot8_limit = 0,
    .dot8_cycles = 0.5,
};

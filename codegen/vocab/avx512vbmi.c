/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * AVX512-VNNI with AVX512-VBMI, whose vpermb looks up bytes in a table of a whole register: for
 * sums of activations that weights of one bit choose, and for functions of codes of 8 bits.
 * Everything else is AVX512-VNNI's. */
#include "vocab/vocab.h"

extern const nib_vocab nib_vocab_avx512vnni;

#define TARGET                                                                                     \
  "__attribute__((target(\"avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi,fma\")))"

#define INLINE TARGET "\nstatic inline "

static const char support[] =
    "//@ nib_avx512_six_table\n"
    "/* Sums of the activations in x01, x23 and x45, 16-bit lanes of two each, that bits 0 to 5 of an entry's\n"
    " * number choose: bits 0 to 2 say which word of a quarter, 4 and 5 which quarter, and the second register\n"
    " * has bit 3. Packing brings the entries in order. */\n" INLINE
    "void nib_avx512_six_table(uint8_t *d, __m512i sum, __m512i x01, __m512i x23, __m512i x45) {\n"
    "  const __m512i b01 = _mm512_set4_epi32(0x01010100, 0x00010000, 0x01010100, 0x00010000);\n"
    "  const __m512i b23 = _mm512_set4_epi32(0x00010001, 0x00010001, 0, 0);\n"
    "  const __m512i b45 = _mm512_setr_epi32(0, 0, 0, 0, 0x00010001, 0x00010001, 0x00010001, 0x00010001,\n"
    "                                        0x01000100, 0x01000100, 0x01000100, 0x01000100,\n"
    "                                        0x01010101, 0x01010101, 0x01010101, 0x01010101);\n"
    "  const __m512i low = _mm512_set1_epi16(31);\n"
    "  sum = _mm512_add_epi16(sum, _mm512_maddubs_epi16(b01, x01));\n"
    "  sum = _mm512_add_epi16(sum, _mm512_add_epi16(_mm512_maddubs_epi16(b23, x23),\n"
    "                                               _mm512_maddubs_epi16(b45, x45)));\n"
    "  const __m512i more = _mm512_add_epi16(sum, _mm512_srai_epi16(x23, 8));\n"
    "  _mm512_storeu_si512((void *)d, _mm512_packus_epi16(_mm512_and_si512(sum, low),\n"
    "                                                     _mm512_and_si512(more, low)));\n"
    "  _mm512_storeu_si512((void *)(d + 6 * 64), _mm512_packus_epi16(_mm512_srli_epi16(sum, 5),\n"
    "                                                                _mm512_srli_epi16(more, 5)));\n"
    "}\n"
    "\n"
    "//@ nib_avx512_lookup_whole\n"
    "/* Bits 0 to 6 of a byte choose in each half of the table, bit 7 between the halves. */\n" INLINE
    "__m512i nib_avx512_lookup_whole(const uint8_t *table, __m512i x) {\n"
    "  const __m512i low = _mm512_permutex2var_epi8(_mm512_loadu_si512((const void *)table), x,\n"
    "                                               _mm512_loadu_si512((const void *)(table + 64)));\n"
    "  const __m512i high = _mm512_permutex2var_epi8(_mm512_loadu_si512((const void *)(table + 128)), x,\n"
    "                                                _mm512_loadu_si512((const void *)(table + 192)));\n"
    "  return _mm512_mask_mov_epi8(low, _mm512_movepi8_mask(x), high);\n"
    "}\n"
    "\n"
    "//@ nib_avx512_sum16\n"
    "/* The empty statement keeps compilers from making it a product and an addition. */\n" INLINE
    "__m512i nib_avx512_sum16(__m512i sum, __m512i a, __m512i b) {\n"
    "  sum = _mm512_dpwssd_epi32(sum, a, b);\n"
    "  __asm__(\"\" : \"+v\"(sum));\n"
    "  return sum;\n"
    "}\n"
    "\n"
    "//@ nib_avx512_two\n" INLINE
    "__m512i nib_avx512_two(const int8_t *a) {\n"
    "  int16_t both;\n"
    "  memcpy(&both, a, sizeof both);\n"
    "  return _mm512_set1_epi16(both);\n"
    "}\n"
    "\n"
    "//@ nib_avx512_six_tables\n" INLINE
    "void nib_avx512_six_tables(uint8_t *d, const int8_t *a) {\n"
    "  const __m512i zero = _mm512_setzero_si512(), excess = _mm512_set1_epi16(6 * 128);\n"
    "  for (int i = 0; i < 5; i++)\n"
    "    nib_avx512_six_table(d + 64 * i, excess, nib_avx512_two(a + 6 * i),\n"
    "                         nib_avx512_two(a + 6 * i + 2), nib_avx512_two(a + 6 * i + 4));\n"
    "  nib_avx512_six_table(d + 64 * 5, _mm512_set1_epi16(2 * 128), nib_avx512_two(a + 30), zero, zero);\n"
    "}\n";

const nib_vocab nib_vocab_avx512vbmi = {
    .name = "avx512vbmi",
    .description = "AVX-512 with VNNI dot products and tables of 64 bytes, 16 lanes",
    .requires_ = NIB_FEATURE_BIT(AVX512F) | NIB_FEATURE_BIT(AVX512BW) | NIB_FEATURE_BIT(AVX512DQ) |
                 NIB_FEATURE_BIT(AVX512VL) | NIB_FEATURE_BIT(AVX512VNNI) |
                 NIB_FEATURE_BIT(AVX512VBMI) | NIB_FEATURE_BIT(FMA),
    .function_attr = TARGET,
    .includes = "#include <immintrin.h>\n",
    .support = support,
    .serves = "block_sixes block_tables byte_tables",
    .serves_tables = "conv_rows depthwise_quads depthwise_rows",
    .lanes = 16,
    .registers = 32,
    .stage = NIB_STAGE_U8,
    .dot_k = 4,
    .type_i32 = "__m512i",
    .type_f32 = "__m512",
    .type_act = "__m512i",
    .type_weight = "__m512i",
    .type_bytes = "__m512i",
    .base = &nib_vocab_avx512vnni,
    .prims =
        {
            [NIB_PRIM_BYTES_LOOKUP64] =
                "$d = _mm512_permutexvar_epi8($b, _mm512_loadu_si512((const void *)($a)));",
            [NIB_PRIM_BYTES_LOOKUP256] = "$d = nib_avx512_lookup_whole($a, $b);",
            [NIB_PRIM_BYTES_ADD] = "$d = _mm512_add_epi8($a, $b);",
            [NIB_PRIM_BYTES_XOR3] = "$d = _mm512_ternarylogic_epi32($a, $b, $c, 0x96);",
            [NIB_PRIM_BYTES_BLEND] = "$d = _mm512_ternarylogic_epi32($c, $a, $b, 0xCA);",
            [NIB_PRIM_BYTES_ZIP_LOW] = "$d = _mm512_unpacklo_epi8($a, $b);",
            [NIB_PRIM_BYTES_ZIP_HIGH] = "$d = _mm512_unpackhi_epi8($a, $b);",
            [NIB_PRIM_BYTES_PAIRS] = "$d = _mm512_maddubs_epi16($a, $b);",
            [NIB_PRIM_DOT16] = "$d = nib_avx512_sum16($d, $a, $b);",
            [NIB_PRIM_SIX_TABLES] = "nib_avx512_six_tables($d, $a);",
        },
    .dot_cycles = 0.5,
    .fma_cycles = 0.5,
    .mac16_cycles = 1.0,
    .requant_cycles = 2.0,
    .elementwise_cycles = 2.0,
    .bit_words = 8,
    .type_bits = "__m512i",
    .bit_count_cycles = 4.5,
    .dot8_cycles = 0.5,
    .lookup_cycles = 2.5,
};

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * AVX2 with AVX-VNNI: 8 lanes, vpdpbusd for 8-bit dot products (activations unsigned, weights signed).
 * Everything else is AVX2's. */
#include "vocab/vocab.h"
#include "vocab/x86.h"

extern const nib_vocab nib_vocab_avx2;

#define TARGET "__attribute__((target(\"avx2,fma,f16c,avxvnni\")))"
#define KEEP(x) "__asm__(\"\" : \"+x\"(" x "));"
#define INLINE TARGET "\nstatic inline "

static const char support[] =
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
    "}\n";

const nib_vocab nib_vocab_avxvnni = {
    .name = "avxvnni",
    .description = "AVX2 with AVX-VNNI dot products, 8 lanes",
    .requires_ = NIB_FEATURE_BIT(AVX2) | NIB_FEATURE_BIT(FMA) | NIB_FEATURE_BIT(F16C) |
                 NIB_FEATURE_BIT(AVXVNNI),
    .function_attr = TARGET,
    .support = support,
    .registers = 16,
    .stage = NIB_STAGE_U8,
    NIB_X86_AVX2_BYTES,
    .prims =
        {
            [NIB_PRIM_ACT_BCAST] = "$d = nib_avx2_bcast4($a);",
            [NIB_PRIM_DOT] = "$d = nib_avxvnni_dot($d, $a, $b);",
            [NIB_PRIM_MAC16] = "$d = nib_avxvnni_mac16($d, $a, $b);",
            [NIB_PRIM_STAGE_I8] = "nib_avx2_flip_i8($d, $a, $n);",
            [NIB_PRIM_STAGE_U8] = "memcpy($d, $a, (size_t)($n));",
            [NIB_PRIM_STAGE_FILL] = "memset($d, $a, (size_t)($n));",
            [NIB_PRIM_STAGE_SUM] = "$d = nib_avx2_sum_u8($a, $n);",
            [NIB_PRIM_QUADS_I8] = "nib_avx2_quads($d, $a, $b, $n, 0x80);",
            [NIB_PRIM_QUADS_U8] = "nib_avx2_quads($d, $a, $b, $n, 0);",
            [NIB_PRIM_DOT8] = "$d = nib_avxvnni_dot($d, $a, $b);",
            [NIB_PRIM_DOT8_SUM] = "$d = _mm256_add_epi32($d, $a);",
        },
    .dot_cycles = 0.5,
    .fma_cycles = 0.5,
    .mac16_cycles = 0.5,
    .requant_cycles = 1.5,
    .elementwise_cycles = 2.0,
    .bit_words = 4,
    .type_bits = "__m256i",
    .bit_count_cycles = 3.5,
    .dot8_limit = 0,
    .dot8_cycles = 0.5,
    .lookup16_operations = 4,
};

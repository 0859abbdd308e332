/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * AVX2 without VNNI instructions, for a single row: 8 lanes, vpmaddubsw of the activations' magnitudes and of weights
 * that have their signs. Pairs are at most 2 * 128 * 127, which i16 lanes hold: nothing is kept apart as in avx2maddubs,
 * at the price of one more instruction for each register of weights. Everything else is AVX2's. */
#include "vocab/vocab.h"
#include "vocab/x86.h"

extern const nib_vocab nib_vocab_avx2;

#define TARGET "__attribute__((target(\"avx2,fma,f16c\")))"
#define INLINE TARGET "\nstatic inline "

static const char support[] =
    "//@ nib_avx2signs_dot\n"
    "/* Dot products of four, two of them at a time in i16, with weights above -128. */\n" INLINE
    "__m256i nib_avx2signs_dot(__m256i sum, __m256i a, __m256i weights) {\n"
    "  const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(a), _mm256_sign_epi8(weights, a));\n"
    "  return nib_avx2_dot(sum, pairs, _mm256_set1_epi16(1));\n"
    "}\n";

const nib_vocab nib_vocab_avx2signs = {
    .name = "avx2signs",
    .description = "AVX2 and FMA with products of magnitudes by signed weights, of a single row, 8 lanes",
    .requires_ = NIB_FEATURE_BIT(AVX2) | NIB_FEATURE_BIT(FMA) | NIB_FEATURE_BIT(F16C),
    .unless = NIB_FEATURE_BIT(AVXVNNI) | NIB_FEATURE_BIT(AVX512VNNI),
    .serves = "conv_rows",
    .signed_row = true,
    .function_attr = TARGET,
    .support = support,
    .registers = 14, /* two are taken by ones and by magnitudes */
    .stage = NIB_STAGE_CODES,
    NIB_X86_AVX2_BYTES,
    .prims =
        {
            [NIB_PRIM_ACT_BCAST] = "$d = _mm256_broadcastd_epi32(_mm_loadu_si32($a));",
            [NIB_PRIM_DOT] = "$d = nib_avx2signs_dot($d, $a, $b);",
            [NIB_PRIM_STAGE_I8] = "memcpy($d, $a, (size_t)($n));",
            [NIB_PRIM_STAGE_FILL] = "memset($d, $a, (size_t)($n));",
        },
    .dot_cycles = 1.05, /* beside reads of weights from afar */
    .fma_cycles = 0.5,
    .mac16_cycles = 1.0,
    .requant_cycles = 1.5,
    .elementwise_cycles = 2.0,
    .dot8_limit = 32767,
    .dot8_cycles = 0.75,
};

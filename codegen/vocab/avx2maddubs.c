/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * AVX2 without VNNI instructions: 8 lanes, vpmaddubsw for 8-bit dot products (activations unsigned, weights signed).
 * It sums neighbours in i16 lanes, which packing keeps from saturating (pair_limit). Everything else is AVX2's. */
#include "vocab/vocab.h"
#include "vocab/x86.h"

extern const nib_vocab nib_vocab_avx2;

#define TARGET "__attribute__((target(\"avx2,fma,f16c\")))"
#define INLINE TARGET "\nstatic inline "

static const char support[] =
    "//@ nib_avx2maddubs_dot\n"
    "/* Dot products of four, two of them at a time in i16. */\n" INLINE
    "__m256i nib_avx2maddubs_dot(__m256i sum, __m256i a, __m256i weights) {\n"
    "  const __m256i pairs = _mm256_maddubs_epi16(a, weights);\n"
    "  return nib_avx2_dot(sum, pairs, _mm256_set1_epi16(1));\n"
    "}\n";

const nib_vocab nib_vocab_avx2maddubs = {
    .name = "avx2maddubs",
    .description = "AVX2 and FMA with 8-bit dot products in pairs, 8 lanes",
    .requires_ = NIB_FEATURE_BIT(AVX2) | NIB_FEATURE_BIT(FMA) | NIB_FEATURE_BIT(F16C),
    .unless = NIB_FEATURE_BIT(AVXVNNI) | NIB_FEATURE_BIT(AVX512VNNI),
    .serves = "conv_rows row_chain depthwise_quads", /* what has nothing of it is avx2's */
    .function_attr = TARGET,
    .support = support,
    .registers = 15, /* one is taken by ones */
    .stage = NIB_STAGE_U8,
    .pair_limit = 128,
    NIB_X86_AVX2_BYTES,
    .prims =
        {
            [NIB_PRIM_ACT_BCAST] = "$d = nib_avx2_bcast4($a);",
            [NIB_PRIM_DOT] = "$d = nib_avx2maddubs_dot($d, $a, $b);",
            [NIB_PRIM_STAGE_I8] = "nib_avx2_flip_i8($d, $a, $n);",
            [NIB_PRIM_STAGE_U8] = "memcpy($d, $a, (size_t)($n));",
            [NIB_PRIM_STAGE_FILL] = "memset($d, $a, (size_t)($n));",
            [NIB_PRIM_QUADS_I8] = "nib_avx2_quads($d, $a, $b, $n, 0x80);",
            [NIB_PRIM_QUADS_U8] = "nib_avx2_quads($d, $a, $b, $n, 0);",
            [NIB_PRIM_STAGE_SUM] = "$d = nib_avx2_sum_u8($a, $n);",
        },
    .dot_cycles = 1.0,
    .fma_cycles = 0.5,
    .mac16_cycles = 1.0,
    .requant_cycles = 1.5,
    .elementwise_cycles = 2.0,
    .bit_words = 4,
    .type_bits = "__m256i",
    .bit_count_cycles = 3.5,
    .dot8_limit = 32767,
    .dot8_cycles = 0.75,
};

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * AVX512-VNNI with AVX512-VBMI, whose vpermb looks up bytes in a table of a whole register: for
 * sums of activations that weights of one bit choose. Everything else is AVX512-VNNI's. */
#include "vocab/vocab.h"

extern const nib_vocab nib_vocab_avx512vnni;

#define TARGET                                                                                     \
  "__attribute__((target(\"avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi,fma\")))"

const nib_vocab nib_vocab_avx512vbmi = {
    .name = "avx512vbmi",
    .description = "AVX-512 with VNNI dot products and tables of 64 bytes, 16 lanes",
    .requires_ = NIB_FEATURE_BIT(AVX512F) | NIB_FEATURE_BIT(AVX512BW) | NIB_FEATURE_BIT(AVX512DQ) |
                 NIB_FEATURE_BIT(AVX512VL) | NIB_FEATURE_BIT(AVX512VNNI) |
                 NIB_FEATURE_BIT(AVX512VBMI) | NIB_FEATURE_BIT(FMA),
    .function_attr = TARGET,
    .includes = "#include <immintrin.h>\n",
    .support = "",
    .serves = "block_tables",
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
    .prims = {[NIB_PRIM_BYTES_LOOKUP64] =
                  "$d = _mm512_permutexvar_epi8($b, _mm512_loadu_si512((const void *)($a)));"},
    .dot_cycles = 0.5,
    .fma_cycles = 0.5,
    .mac16_cycles = 1.0,
    .requant_cycles = 2.0,
    .elementwise_cycles = 2.0,
    .bit_words = 8,
    .type_bits = "__m512i",
    .bit_count_cycles = 4.5,
    .dot8_cycles = 0.5,
};

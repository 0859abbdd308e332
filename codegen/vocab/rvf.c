/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Scalar floats of RISC-V: fused products in tiles as large as the registers, which are the floats'
 * own or, with zfinx, the integers'. All else is portable C. */
#include "vocab/vocab.h"

extern const nib_vocab nib_vocab_c99;

/* `constraint`: where clang keeps a float. */
#define SCALAR_ROW(stem, words, feature, constraint, n_registers, more)                            \
  {                                                                                                \
    .name = stem, .description = "RISC-V, one float, " words, .requires_ = feature, .unless = 0,   \
    .function_attr = "", .includes = "", .support = "", .base = &nib_vocab_c99, .lanes = 1,        \
    .registers = n_registers, .stage = NIB_STAGE_CODES, .dot_k = 1, .type_i32 = "int32_t",         \
    .type_f32 = "float", .type_act = "int32_t", .type_weight = "int32_t",                          \
    .prims = {[NIB_PRIM_F32_FMA] = "$d = __builtin_fmaf($a, $b, $d);",                             \
              [NIB_PRIM_F32_FMA_SCALAR] = "$d = __builtin_fmaf($a, $b, $d);",                      \
              [NIB_PRIM_F32_AFTER] =                                                               \
                  "__asm__ volatile(\"\" : \"+" constraint "\"($d) : : \"memory\");"},             \
    .in_order = true, .unroll = 8, .dot_cycles = 1.1, .fma_cycles = .95, .mac16_cycles = 1.1,      \
    .requant_cycles = 8.1, .elementwise_cycles = 2.1, .bit_words = 1, .type_bits = "uint64_t",     \
    .bit_count_cycles = 5.1, .dot8_cycles = 6.1, .next = more                                      \
  }

static const nib_vocab zfinx =
    SCALAR_ROW("rvzfinx", "in integer registers", NIB_FEATURE_BIT(ZFINX), "r", 26, NULL);
const nib_vocab nib_vocab_rvf =
    SCALAR_ROW("rvf", "in float registers", NIB_FEATURE_BIT(F), "f", 31, &zfinx);

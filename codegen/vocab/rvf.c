/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Scalar floats of RISC-V: fused products in tiles as large as the registers, which are the floats'
 * own or, with zfinx, the integers'. Integers are portable C. */
#include "vocab/scalar_reals.h"
#include "vocab/vocab.h"

/* `constraint`: where clang keeps a float. */
#define SCALAR_ROW(stem, words, feature, constraint, n_registers, more)                            \
  {                                                                                                \
    .name = stem, .description = "RISC-V, one float, " words, .requires_ = feature, .unless = 0,   \
    .function_attr = "", .includes = "", .support = "", .lanes = 1, .registers = n_registers,      \
    .stage = NIB_STAGE_CODES, .dot_k = 1, .type_i32 = "int32_t", .type_f32 = "float",              \
    .type_act = "int32_t", .type_weight = "int32_t",                                               \
    .prims =                                                                                       \
        {NIB_SCALAR_REAL_PRIMS, [NIB_PRIM_F32_FMA_SCALAR] = "$d = __builtin_fmaf($a, $b, $d);",    \
         [NIB_PRIM_F32_AFTER] =                                                                    \
             "__asm__ volatile(\"\" : \"+" constraint "\"($d) : : \"memory\");"},                  \
    .in_order = true, .unroll = 8, .dot_cycles = 1, .fma_cycles = .95, .mac16_cycles = 1000,       \
    .requant_cycles = 1000, .elementwise_cycles = 2.1, .next = more                                \
  }

static const nib_vocab zfinx =
    SCALAR_ROW("rvzfinx", "in integer registers", NIB_FEATURE_BIT(ZFINX), "r", 26, NULL);
const nib_vocab nib_vocab_rvf =
    SCALAR_ROW("rvf", "in float registers", NIB_FEATURE_BIT(F), "f", 31, &zfinx);

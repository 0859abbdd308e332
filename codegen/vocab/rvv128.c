/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * RISC-V vectors of 128 bits or more: 4 lanes to a register, in groups of one to eight. */
#include "vocab/rvv.h"

#define FEATURES 0
#define LONGER NIB_FEATURE_BIT(ZVL256B)

static const nib_vocab m1 = RVV_M1(128, 4, FEATURES, LONGER, NULL);
static const nib_vocab m2 = RVV_M2(128, 8, FEATURES, LONGER, &m1);
static const nib_vocab m4 = RVV_M4(128, 16, FEATURES, LONGER, &m2);
static const nib_vocab m8 = RVV_M8(128, 32, FEATURES, LONGER, &m4);

/* FP16 in memory, FP32 in registers. */
static const nib_vocab s1 =
    RVV_STORED_F16_ROW(128, 1, "m1", "mf2", 4, FEATURES, LONGER, &m1, &m8);
static const nib_vocab s2 =
    RVV_STORED_F16_ROW(128, 2, "m2", "m1", 8, FEATURES, LONGER, &m2, &s1);
static const nib_vocab s4 =
    RVV_STORED_F16_ROW(128, 4, "m4", "m2", 16, FEATURES, LONGER, &m4, &s2);
static const nib_vocab s8 =
    RVV_STORED_F16_ROW(128, 8, "m8", "m4", 32, FEATURES, LONGER, &m8, &s4);

/* FP16 summed in FP32. */
static const nib_vocab w1 =
    RVV_WIDENING_ROW(128, 1, "m1", "mf2", 4, FEATURES, LONGER, &m1, &s8);
static const nib_vocab w2 =
    RVV_WIDENING_ROW(128, 2, "m2", "m1", 8, FEATURES, LONGER, &m2, &w1);
static const nib_vocab w4 =
    RVV_WIDENING_ROW(128, 4, "m4", "m2", 16, FEATURES, LONGER, &m4, &w2);
static const nib_vocab w8 =
    RVV_WIDENING_ROW(128, 8, "m8", "m4", 32, FEATURES, LONGER, &m8, &w4);

/* FP16: twice the lanes. */
static const nib_vocab h1 = RVV_F16_ROW(128, 1, "m1", "16", 8, FEATURES, LONGER, &w8);
static const nib_vocab h2 = RVV_F16_ROW(128, 2, "m2", "8", 16, FEATURES, LONGER, &h1);
static const nib_vocab h4 = RVV_F16_ROW(128, 4, "m4", "4", 32, FEATURES, LONGER, &h2);
const nib_vocab nib_vocab_rvv128 = RVV_F16_ROW(128, 8, "m8", "2", 64, FEATURES, LONGER, &h4);

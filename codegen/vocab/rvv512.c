/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * RISC-V vectors of 512 bits or more: 16 lanes to a register, in groups of one to eight. */
#include "vocab/rvv.h"

#define FEATURES NIB_FEATURE_BIT(ZVL512B)
#define LONGER 0

static const nib_vocab m1 = RVV_M1(512, 16, FEATURES, LONGER, NULL);
static const nib_vocab m2 = RVV_M2(512, 32, FEATURES, LONGER, &m1);
static const nib_vocab m4 = RVV_M4(512, 64, FEATURES, LONGER, &m2);
static const nib_vocab m8 = RVV_M8(512, 128, FEATURES, LONGER, &m4);

/* FP16 in memory, FP32 in registers. */
static const nib_vocab s1 =
    RVV_STORED_F16_ROW(512, 1, "m1", "mf2", 16, FEATURES, LONGER, &m1, &m8);
static const nib_vocab s2 =
    RVV_STORED_F16_ROW(512, 2, "m2", "m1", 32, FEATURES, LONGER, &m2, &s1);
static const nib_vocab s4 =
    RVV_STORED_F16_ROW(512, 4, "m4", "m2", 64, FEATURES, LONGER, &m4, &s2);
static const nib_vocab s8 =
    RVV_STORED_F16_ROW(512, 8, "m8", "m4", 128, FEATURES, LONGER, &m8, &s4);

/* FP16 summed in FP32. */
static const nib_vocab w1 =
    RVV_WIDENING_ROW(512, 1, "m1", "mf2", 16, FEATURES, LONGER, &m1, &s8);
static const nib_vocab w2 =
    RVV_WIDENING_ROW(512, 2, "m2", "m1", 32, FEATURES, LONGER, &m2, &w1);
static const nib_vocab w4 =
    RVV_WIDENING_ROW(512, 4, "m4", "m2", 64, FEATURES, LONGER, &m4, &w2);
static const nib_vocab w8 =
    RVV_WIDENING_ROW(512, 8, "m8", "m4", 128, FEATURES, LONGER, &m8, &w4);

/* FP16: twice the lanes. */
static const nib_vocab h1 = RVV_F16_ROW(512, 1, "m1", "16", 32, FEATURES, LONGER, &w8);
static const nib_vocab h2 = RVV_F16_ROW(512, 2, "m2", "8", 64, FEATURES, LONGER, &h1);
static const nib_vocab h4 = RVV_F16_ROW(512, 4, "m4", "4", 128, FEATURES, LONGER, &h2);
const nib_vocab nib_vocab_rvv512 = RVV_F16_ROW(512, 8, "m8", "2", 256, FEATURES, LONGER, &h4);

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * RISC-V vectors of 256 bits or more: 8 lanes to a register, in groups of one to eight. */
#include "vocab/rvv.h"

#define FEATURES NIB_FEATURE_BIT(ZVL256B)
#define LONGER NIB_FEATURE_BIT(ZVL512B)

static const nib_vocab m1 = RVV_M1(256, 8, FEATURES, LONGER, NULL);
static const nib_vocab m2 = RVV_M2(256, 16, FEATURES, LONGER, &m1);
static const nib_vocab m4 = RVV_M4(256, 32, FEATURES, LONGER, &m2);

const nib_vocab nib_vocab_rvv256 = RVV_M8(256, 64, FEATURES, LONGER, &m4);

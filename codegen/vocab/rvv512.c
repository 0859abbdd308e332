/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * RISC-V vectors of 512 bits or more: 16 lanes to a register, in groups of one to eight. */
#include "vocab/rvv.h"

#define FEATURES NIB_FEATURE_BIT(ZVL512B)
#define LONGER 0

static const nib_vocab m1 = RVV_M1(512, 16, FEATURES, LONGER, NULL);
static const nib_vocab m2 = RVV_M2(512, 32, FEATURES, LONGER, &m1);
static const nib_vocab m4 = RVV_M4(512, 64, FEATURES, LONGER, &m2);

const nib_vocab nib_vocab_rvv512 = RVV_M8(512, 128, FEATURES, LONGER, &m4);

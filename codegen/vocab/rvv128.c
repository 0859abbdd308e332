/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * RISC-V vectors of 128 bits or more: 4 lanes to a register, in groups of one to eight. */
#include "vocab/rvv.h"

#define FEATURES 0
#define LONGER NIB_FEATURE_BIT(ZVL256B)

static const nib_vocab m1 = RVV_M1(128, 4, FEATURES, LONGER, NULL);
static const nib_vocab m2 = RVV_M2(128, 8, FEATURES, LONGER, &m1);
static const nib_vocab m4 = RVV_M4(128, 16, FEATURES, LONGER, &m2);

const nib_vocab nib_vocab_rvv128 = RVV_M8(128, 32, FEATURES, LONGER, &m4);

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * CUDA on sm_90a: what `cuda` has, and warpgroup products. Its schedules (codegen/cuda) say
 * primitives of cuda/device.h by name, so that none are here. */
#include "vocab/vocab.h"

const nib_vocab nib_vocab_cuda90a = {
    .name = "cuda90a",
    .description = "NVIDIA Hopper: wgmma, bulk copies, setmaxnreg",
    .requires_ = NIB_FEATURE_BIT(CUDA) | NIB_FEATURE_BIT(WGMMA),
    .device = true,
    .function_attr = "",
    .includes = "",
    .support = "",
    .lanes = 32,
    .registers = 255,
    .dot_k = 4,
    .dot_cycles = 0.5,
    .fma_cycles = 1.0,
    .mac16_cycles = 1.0,
    .requant_cycles = 8.0,
    .elementwise_cycles = 4.0,
};

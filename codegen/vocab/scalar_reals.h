/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Primitives of reals, one to a register, for vocabularies that say no integers. */
#ifndef NIB_VOCAB_SCALAR_REALS_H
#define NIB_VOCAB_SCALAR_REALS_H

#define NIB_SCALAR_REAL_PRIMS                                                                      \
  [NIB_PRIM_F32_SET] = "$d = $a;", [NIB_PRIM_F32_LOAD] = "$d = *($a);",                            \
  [NIB_PRIM_F32_LOAD_TAIL] = "$d = *($a);", [NIB_PRIM_F32_STORE] = "*($a) = $b;",                  \
  [NIB_PRIM_F32_STORE_TAIL] = "*($a) = $b;", [NIB_PRIM_F32_ADD] = "$d = $a + $b;",                 \
  [NIB_PRIM_F32_SUB] = "$d = $a - $b;", [NIB_PRIM_F32_MUL] = "$d = $a * $b;",                      \
  [NIB_PRIM_F32_DIV] = "$d = $a / $b;", [NIB_PRIM_F32_MIN] = "$d = $a < $b ? $a : $b;",            \
  [NIB_PRIM_F32_MAX] = "$d = $a > $b ? $a : $b;",                                                  \
  [NIB_PRIM_F16_LOAD] = "$d = nib_f16_to_f32(*($a));",                                             \
  [NIB_PRIM_F16_LOAD_TAIL] = "$d = nib_f16_to_f32(*($a));",                                        \
  [NIB_PRIM_BF16_LOAD] = "$d = nib_bf16_to_f32(*($a));",                                           \
  [NIB_PRIM_BF16_LOAD_TAIL] = "$d = nib_bf16_to_f32(*($a));",                                      \
  [NIB_PRIM_F16_STORE] = "*($a) = nib_f32_to_f16($b);",                                            \
  [NIB_PRIM_F16_STORE_TAIL] = "*($a) = nib_f32_to_f16($b);",                                       \
  [NIB_PRIM_BF16_STORE] = "*($a) = nib_f32_to_bf16($b);",                                          \
  [NIB_PRIM_BF16_STORE_TAIL] = "*($a) = nib_f32_to_bf16($b);",                                     \
  [NIB_PRIM_F32_FMA] = "$d = __builtin_fmaf($a, $b, $d);", [NIB_PRIM_PREFETCH] = ""

#endif

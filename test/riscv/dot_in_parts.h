/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Dot products of bytes as QEMU can run them: by what they are defined to be, in four steps. In
 * place of zvqdotq's and Andes' functions. */
#ifndef DOT_IN_PARTS_H
#define DOT_IN_PARTS_H

#if defined(__riscv_vector)
#include <andes_vector.h>
#include <riscv_vector.h>

#define DEFINE(M)                                                                                  \
  static inline vint32##M##_t in_parts_vx_##M(vint32##M##_t d, vint8##M##_t w, uint32_t a,         \
                                              size_t vl) {                                         \
    const vint32##M##_t words = __riscv_vreinterpret_v_i8##M##_i32##M(w);                          \
    for (int i = 0; i < 4; ++i) {                                                                  \
      vint32##M##_t byte = __riscv_vsll_vx_i32##M(words, (size_t)(24 - 8 * i), vl);                \
      byte = __riscv_vsra_vx_i32##M(byte, 24, vl);                                                 \
      d = __riscv_vmacc_vx_i32##M(d, (int32_t)(a >> 8 * i & 255), byte, vl);                       \
    }                                                                                              \
    return d;                                                                                      \
  }                                                                                                \
  static inline vint32##M##_t in_parts_vv_##M(vint32##M##_t d, vint8##M##_t w, vuint8##M##_t a,    \
                                              size_t vl) {                                         \
    const vint32##M##_t words = __riscv_vreinterpret_v_i8##M##_i32##M(w);                          \
    const vuint32##M##_t others = __riscv_vreinterpret_v_u8##M##_u32##M(a);                        \
    for (int i = 0; i < 4; ++i) {                                                                  \
      vint32##M##_t byte = __riscv_vsll_vx_i32##M(words, (size_t)(24 - 8 * i), vl);                \
      byte = __riscv_vsra_vx_i32##M(byte, 24, vl);                                                 \
      vuint32##M##_t other = __riscv_vsrl_vx_u32##M(others, (size_t)(8 * i), vl);                  \
      other = __riscv_vand_vx_u32##M(other, 255, vl);                                              \
      d = __riscv_vmacc_vv_i32##M(d, __riscv_vreinterpret_v_u32##M##_i32##M(other), byte, vl);     \
    }                                                                                              \
    return d;                                                                                      \
  }

DEFINE(m1)
DEFINE(m2)
DEFINE(m4)
#undef DEFINE

#define __riscv_vqdotsu_vx_i32m1 in_parts_vx_m1
#define __riscv_vqdotsu_vx_i32m2 in_parts_vx_m2
#define __riscv_vqdotsu_vx_i32m4 in_parts_vx_m4
#define __riscv_nds_vd4dotsu_vv_i32m1 in_parts_vv_m1
#define __riscv_nds_vd4dotsu_vv_i32m2 in_parts_vv_m2
#define __riscv_nds_vd4dotsu_vv_i32m4 in_parts_vv_m4

#endif
#endif

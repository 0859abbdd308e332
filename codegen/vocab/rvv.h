/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What the vocabularies of RISC-V's vectors share: their primitives, by the number of vector registers
 * that a register of i32 lanes is made of (LMUL). A vocabulary names the least VLEN that it needs; its
 * code sets the number of elements itself (vl), so that it computes the same on longer vectors. */
#ifndef NIB_VOCAB_RVV_H
#define NIB_VOCAB_RVV_H

#include "vocab/vocab.h"

/* M, H, Q: suffixes of types of 32-, 16- and 8-bit elements; B: of their mask. */
#define RVV_NARROW_I16(M, H, x, n)                                                                 \
  "__riscv_vnclip_wx_i16" H "(" x ", 0, __RISCV_VXRM_RNU, " n ")"
#define RVV_NARROW_I8(M, H, Q, x, n)                                                               \
  "__riscv_vnclip_wx_i8" Q "(" RVV_NARROW_I16(M, H, x, n) ", 0, __RISCV_VXRM_RNU, " n ")"
#define RVV_NARROW_U8(M, H, Q, x, n)                                                               \
  "__riscv_vnclipu_wx_u8" Q "(__riscv_vnclipu_wx_u16" H "(__riscv_vreinterpret_v_i32" M "_u32" M   \
  "(\n    __riscv_vmax_vx_i32" M "(" x ", 0, " n ")), 0, __RISCV_VXRM_RNU, " n                     \
  "), 0, __RISCV_VXRM_RNU, " n ")"
#define RVV_SIGNED(M, x) "__riscv_vreinterpret_v_u32" M "_i32" M "(" x ")"
#define RVV_ZERO(M, vl) "__riscv_vmv_v_x_i32" M "(0, " vl ")"

#define RVV_PRIMS(M, H, Q, B, vl)                                                                  \
  [NIB_PRIM_I32_SET] = "$d = __riscv_vmv_v_x_i32" M "($a, " vl ");",                               \
  [NIB_PRIM_I32_LOAD] = "$d = __riscv_vle32_v_i32" M "($a, " vl ");",                              \
  [NIB_PRIM_I32_LOAD_TAIL] =                                                                       \
      "$d = __riscv_vle32_v_i32" M "_tu(" RVV_ZERO(M, vl) ", $a, $n);",                            \
  [NIB_PRIM_F32_SET] = "$d = __riscv_vfmv_v_f_f32" M "($a, " vl ");",                              \
  [NIB_PRIM_F32_LOAD] = "$d = __riscv_vle32_v_f32" M "($a, " vl ");",                              \
  [NIB_PRIM_F32_LOAD_TAIL] =                                                                       \
      "$d = __riscv_vle32_v_f32" M "_tu(__riscv_vfmv_v_f_f32" M "(0, " vl "), $a, $n);",           \
  [NIB_PRIM_F32_LOAD_STRIDED] = "$d = __riscv_vlse32_v_f32" M "($a, 4 * ($b), $n);",               \
  [NIB_PRIM_F32_STORE_STRIDED] = "__riscv_vsse32_v_f32" M "($a, 4 * ($c), $b, $n);",               \
  [NIB_PRIM_STAGE_STRIDED] = "__riscv_vse32_v_f32" M "($d, __riscv_vlse32_v_f32" M                 \
      "($a, 4 * ($b), $n), $n);",                                                                  \
  [NIB_PRIM_F32_STORE] = "__riscv_vse32_v_f32" M "($a, $b, " vl ");",                              \
  [NIB_PRIM_F32_STORE_TAIL] = "__riscv_vse32_v_f32" M "($a, $b, $n);",                             \
  [NIB_PRIM_I32_STORE] = "__riscv_vse32_v_i32" M "($a, $b, " vl ");",                              \
  [NIB_PRIM_I32_STORE_TAIL] = "__riscv_vse32_v_i32" M "($a, $b, $n);",                             \
  [NIB_PRIM_I8_LOAD] =                                                                             \
      "$d = __riscv_vsext_vf4_i32" M "(__riscv_vle8_v_i8" Q "($a, " vl "), " vl ");",              \
  [NIB_PRIM_I8_LOAD_TAIL] = "$d = __riscv_vsext_vf4_i32" M "_tu(" RVV_ZERO(M, vl)                  \
      ", __riscv_vle8_v_i8" Q "($a, $n), $n);",                                                    \
  [NIB_PRIM_U8_LOAD] = "$d = " RVV_SIGNED(M, "__riscv_vzext_vf4_u32" M "(__riscv_vle8_v_u8" Q      \
                                             "($a, " vl "), " vl ")") ";",                         \
  [NIB_PRIM_U8_LOAD_TAIL] =                                                                        \
      "$d = " RVV_SIGNED(M, "__riscv_vzext_vf4_u32" M "_tu(__riscv_vmv_v_x_u32" M "(0, " vl        \
                            "), __riscv_vle8_v_u8" Q "($a, $n), $n)") ";",                         \
  [NIB_PRIM_I16_LOAD] =                                                                            \
      "$d = __riscv_vsext_vf2_i32" M "(__riscv_vle16_v_i16" H "($a, " vl "), " vl ");",            \
  [NIB_PRIM_I16_LOAD_TAIL] = "$d = __riscv_vsext_vf2_i32" M "_tu(" RVV_ZERO(M, vl)                 \
      ", __riscv_vle16_v_i16" H "($a, $n), $n);",                                                  \
  [NIB_PRIM_I8_STORE] = "__riscv_vse8_v_i8" Q "($a, " RVV_NARROW_I8(M, H, Q, "$b", vl)             \
      ", " vl ");",                                                                                \
  [NIB_PRIM_I8_STORE_TAIL] = "__riscv_vse8_v_i8" Q "($a, " RVV_NARROW_I8(M, H, Q, "$b", "$n")      \
      ", $n);",                                                                                    \
  [NIB_PRIM_U8_STORE] = "__riscv_vse8_v_u8" Q "($a, " RVV_NARROW_U8(M, H, Q, "$b", vl)             \
      ", " vl ");",                                                                                \
  [NIB_PRIM_U8_STORE_TAIL] = "__riscv_vse8_v_u8" Q "($a, " RVV_NARROW_U8(M, H, Q, "$b", "$n")      \
      ", $n);",                                                                                    \
  [NIB_PRIM_I16_STORE] = "__riscv_vse16_v_i16" H "($a, " RVV_NARROW_I16(M, H, "$b", vl)            \
      ", " vl ");",                                                                                \
  [NIB_PRIM_I16_STORE_TAIL] = "__riscv_vse16_v_i16" H "($a, " RVV_NARROW_I16(M, H, "$b", "$n")     \
      ", $n);",                                                                                    \
  [NIB_PRIM_WEIGHT_LOAD] =                                                                         \
      "$d = __riscv_vsext_vf2_i16" H "(__riscv_vle8_v_i8" Q "($a, " vl "), " vl ");",              \
  [NIB_PRIM_ACT_BCAST] = "$d = *($a);",                                                            \
  [NIB_PRIM_DOT] = "$d = __riscv_vwmacc_vx_i32" M "($d, $a, $b, " vl ");",                         \
  [NIB_PRIM_LANE_I8] =                                                                             \
      "$d = __riscv_vsext_vf2_i16" H "(__riscv_vle8_v_i8" Q "($a, " vl "), " vl ");",              \
  [NIB_PRIM_LANE_U8] = "$d = __riscv_vreinterpret_v_u16" H "_i16" H "(__riscv_vzext_vf2_u16" H     \
                       "(__riscv_vle8_v_u8" Q "($a, " vl "), " vl "));",                           \
  [NIB_PRIM_LANE_LOAD] = "$d = __riscv_vle16_v_i16" H "($a, " vl ");",                             \
  [NIB_PRIM_MAC16] = "$d = __riscv_vwmacc_vv_i32" M "($d, $a, $b, " vl ");",                       \
  [NIB_PRIM_F32_FMA] = "$d = __riscv_vfmacc_vv_f32" M "($d, $a, $b, " vl ");",                     \
  [NIB_PRIM_F32_FMA_SCALAR] = "$d = __riscv_vfmacc_vf_f32" M "($d, $a, $b, " vl ");",              \
  [NIB_PRIM_I32_ADD] = "$d = __riscv_vadd_vv_i32" M "($a, $b, " vl ");",                           \
  [NIB_PRIM_I32_SUB] = "$d = __riscv_vsub_vv_i32" M "($a, $b, " vl ");",                           \
  [NIB_PRIM_I32_MUL] = "$d = __riscv_vmul_vv_i32" M "($a, $b, " vl ");",                           \
  [NIB_PRIM_I32_MIN] = "$d = __riscv_vmin_vv_i32" M "($a, $b, " vl ");",                           \
  [NIB_PRIM_I32_MAX] = "$d = __riscv_vmax_vv_i32" M "($a, $b, " vl ");",                           \
  [NIB_PRIM_I32_SHL] = "$d = __riscv_vsll_vx_i32" M "($a, $b, " vl ");",                           \
  [NIB_PRIM_I32_SAR] = "$d = __riscv_vsra_vx_i32" M "($a, $b, " vl ");",                           \
  [NIB_PRIM_RQ_TFLITE_DOUBLE] = "$d = nib_rvv_rq_tflite_double_" M "($a, $b, $c, " vl ");",        \
  [NIB_PRIM_RQ_TFLITE_SINGLE] = "$d = nib_rvv_rq_tflite_single_" M "($a, $b, $c, " vl ");",        \
  [NIB_PRIM_RQ_TFLITE_AWAY] = "$d = nib_rvv_rq_tflite_away_" M "($a, $b, $c, " vl ");",            \
  [NIB_PRIM_RQ_NEAREST_EVEN] = "$d = __riscv_vfcvt_x_f_v_i32" M "(__riscv_vfmul_vv_f32" M          \
      "(\n    __riscv_vfcvt_f_x_v_f32" M "($a, " vl "), $b, " vl "), " vl ");",                    \
  [NIB_PRIM_RQ_NEAREST_AWAY] = "$d = __riscv_vfcvt_x_f_v_i32" M "_rm(__riscv_vfmul_vv_f32" M       \
      "(\n    __riscv_vfcvt_f_x_v_f32" M "($a, " vl "), $b, " vl "), __RISCV_FRM_RMM, " vl ");",   \
  [NIB_PRIM_RQ_PRODUCT] = "$d = __riscv_vfcvt_x_f_v_i32" M "(__riscv_vfmul_vv_f32" M               \
      "(\n    __riscv_vfcvt_f_x_v_f32" M "($a, " vl "), $b, " vl "), " vl ");",                    \
  [NIB_PRIM_RQ_LINEAR] = "$d = __riscv_vfcvt_x_f_v_i32" M "(__riscv_vfmadd_vv_f32" M               \
      "(\n    __riscv_vfcvt_f_x_v_f32" M "($a, " vl "), $b, $c, " vl "), " vl ");",                \
  [NIB_PRIM_RQ_SIGNED] = "$d = nib_rvv_rq_signed_" M "($a, $b, $c, " vl ");",                      \
  [NIB_PRIM_RQ_FIX] = "$d = __riscv_vadd_vv_i32" M "_mu(__riscv_vmseq_vv_i32" M "_b" B              \
      "($a, $b, " vl "), $d, $d, $c, " vl ");",                                                    \
  [NIB_PRIM_RQ_TFLITE_DOUBLE_RIGHT] =                                                              \
      "$d = nib_rvv_rq_right_" M "(__riscv_vsmul_vv_i32" M                                         \
      "($a, $b, __RISCV_VXRM_RNU, " vl "), $c, " vl ");",                                          \
  [NIB_PRIM_RQ_TFLITE_AWAY_RIGHT] =                                                                \
      "$d = nib_rvv_rq_right_" M "(__riscv_vsmul_vv_i32" M                                         \
      "($a, $b, __RISCV_VXRM_ROD, " vl "), $c, " vl ");",                                          \
  [NIB_PRIM_RQ_TFLITE_SINGLE_RIGHT] =                                                              \
      "$d = __riscv_vssra_vv_i32" M "(__riscv_vsmul_vv_i32" M "($a, $b, __RISCV_VXRM_ROD, " vl     \
      "),\n    __riscv_vreinterpret_v_i32" M "_u32" M "(__riscv_vneg_v_i32" M "($c, " vl            \
      ")), __RISCV_VXRM_RNU, " vl ");",                                                            \
  [NIB_PRIM_I32_ADD_CONST] = "$d = __riscv_vadd_vx_i32" M "($a, $b, " vl ");",                      \
  [NIB_PRIM_I32_MIN_CONST] = "$d = __riscv_vmin_vx_i32" M "($a, $b, " vl ");",                      \
  [NIB_PRIM_I32_MAX_CONST] = "$d = __riscv_vmax_vx_i32" M "($a, $b, " vl ");",                      \
  [NIB_PRIM_I32_SUB_CONST] = "$d = __riscv_vsub_vx_i32" M "($a, $b, " vl ");",                     \
  [NIB_PRIM_F32_MAX_CONST] = "$d = __riscv_vfmax_vf_f32" M "($a, $b, " vl ");",                    \
  [NIB_PRIM_F32_MIN_CONST] = "$d = __riscv_vfmin_vf_f32" M "($a, $b, " vl ");",                    \
  [NIB_PRIM_F32_RAISE_CONST] = "$d = __riscv_vfmerge_vfm_f32" M "($a, $b, __riscv_vmflt_vf_f32" M  \
      "_b" B "($a, $b, " vl "), " vl ");",                                                         \
  [NIB_PRIM_F32_LOWER_CONST] = "$d = __riscv_vfmerge_vfm_f32" M "($a, $b, __riscv_vmfgt_vf_f32" M  \
      "_b" B "($a, $b, " vl "), " vl ");",                                                         \
  [NIB_PRIM_ORDER] = "__atomic_signal_fence(__ATOMIC_SEQ_CST);",                                   \
  [NIB_PRIM_RELOAD] = "__asm__ volatile(\"\" : \"+r\"($d));",                                        \
  [NIB_PRIM_I32_AFTER] = "__asm__ volatile(\"\" : \"+vr\"($d) : : \"memory\");",                    \
  [NIB_PRIM_F32_AFTER] = "__asm__ volatile(\"\" : \"+vr\"($d) : : \"memory\");",                    \
  [NIB_PRIM_F32_ADD] = "$d = __riscv_vfadd_vv_f32" M "($a, $b, " vl ");",                          \
  [NIB_PRIM_F32_SUB] = "$d = __riscv_vfsub_vv_f32" M "($a, $b, " vl ");",                          \
  [NIB_PRIM_F32_MUL] = "$d = __riscv_vfmul_vv_f32" M "($a, $b, " vl ");",                          \
  [NIB_PRIM_F32_DIV] = "$d = __riscv_vfdiv_vv_f32" M "($a, $b, " vl ");",                          \
  [NIB_PRIM_F32_MIN] = "$d = __riscv_vmerge_vvm_f32" M "($b, $a, __riscv_vmflt_vv_f32" M "_b" B     \
      "($a, $b, " vl "), " vl ");",                                                                \
  [NIB_PRIM_F32_MAX] = "$d = __riscv_vmerge_vvm_f32" M "($b, $a, __riscv_vmfgt_vv_f32" M "_b" B     \
      "($a, $b, " vl "), " vl ");",                                                                \
  [NIB_PRIM_F32_FROM_I32] = "$d = __riscv_vfcvt_f_x_v_f32" M "($a, " vl ");",                      \
  [NIB_PRIM_I32_FROM_F32_EVEN] = "$d = __riscv_vfcvt_x_f_v_i32" M "_mu(__riscv_vmfeq_vv_f32" M     \
      "_b" B "($a, $a, " vl "), " RVV_ZERO(M, vl) ", $a, " vl ");",                                 \
  [NIB_PRIM_I32_FROM_F32_AWAY] = "$d = __riscv_vfcvt_x_f_v_i32" M "_rm_mu(__riscv_vmfeq_vv_f32" M  \
      "_b" B "($a, $a, " vl "), " RVV_ZERO(M, vl) ", $a, __RISCV_FRM_RMM, " vl ");",                \
  [NIB_PRIM_LOOKUP8] = "$d = __riscv_vsext_vf4_i32" M "(__riscv_vluxei32_v_i8" Q                   \
      "(\n    $a, __riscv_vreinterpret_v_i32" M "_u32" M "($b), " vl "), " vl ");",                \
  [NIB_PRIM_STAGE_I8] = "memcpy($d, $a, (size_t)($n));",                                           \
  [NIB_PRIM_STAGE_U8] = "memcpy($d, $a, (size_t)($n));",                                           \
  [NIB_PRIM_STAGE_FILL] = "memset($d, $a, (size_t)($n));",                                         \
  [NIB_PRIM_STAGE_SUM] = "$d = 0;\nfor (int32_t i = 0; i < $n; i++)\n  $d += ($a)[i];",            \
  [NIB_PRIM_BF16_LOAD] = "$d = __riscv_vreinterpret_v_u32" M "_f32" M "(__riscv_vsll_vx_u32" M     \
      "(\n    __riscv_vzext_vf2_u32" M "(__riscv_vle16_v_u16" H "($a, " vl "), " vl "), 16, "      \
      vl "));",                                                                                    \
  [NIB_PRIM_BF16_LOAD_TAIL] = "$d = __riscv_vreinterpret_v_u32" M "_f32" M "(__riscv_vsll_vx_u32" M \
      "(\n    __riscv_vzext_vf2_u32" M "_tu(__riscv_vmv_v_x_u32" M "(0, " vl                       \
      "), __riscv_vle16_v_u16" H "($a, $n), $n), 16, " vl "));",                                   \
  [NIB_PRIM_BF16_STORE] =                                                                          \
      "__riscv_vse16_v_u16" H "($a, nib_rvv_bf16_" M "($b, " vl "), " vl ");",                     \
  [NIB_PRIM_BF16_STORE_TAIL] =                                                                     \
      "__riscv_vse16_v_u16" H "($a, nib_rvv_bf16_" M "($b, " vl "), $n);",                         \
  [NIB_PRIM_F32_LOOKUP16] = "$d = __riscv_vluxei32_v_f32" M "($a, __riscv_vsll_vx_u32" M           \
      "(__riscv_vand_vx_u32" M "(\n    __riscv_vreinterpret_v_i32" M "_u32" M "($b), 15, " vl      \
      "), 2, " vl "), " vl ");",                                                                   \
  [NIB_PRIM_F32_LARGEST] = "$d = __riscv_vfmv_f_s_f32m1_f32(__riscv_vfredmax_vs_f32" M "_f32m1"    \
      "(\n    $a, __riscv_vfmv_s_f_f32m1(-INFINITY, 1), " vl "));",                                \
  [NIB_PRIM_F32_SUM] = "$d = __riscv_vfmv_f_s_f32m1_f32(__riscv_vfredusum_vs_f32" M "_f32m1"       \
      "(\n    $a, __riscv_vfmv_s_f_f32m1(0, 1), " vl "));",                                        \
  [NIB_PRIM_F32_FIRST] = "$d = __riscv_vmv_v_v_f32" M "_tu($b, $a, $n);",                          \
  [NIB_PRIM_F32_WHERE] = "$d = __riscv_vmerge_vvm_f32" M "($c, $b, __riscv_vmsne_vx_i32" M "_b" B  \
      "($a, 0, " vl "), " vl ");",                                                                 \
  [NIB_PRIM_PREFETCH] = "",

/* Exact requantization: a saturating doubling high multiply and a rounding shift of its result; or one
 * rounding shift of 64-bit products, in halves where these take two registers. */
#define RVV_SUPPORT(M, H, B, ONE_SHIFT)                                                            \
  "//@ nib_rvv_rq_tflite_double_" M "\n"                                                           \
  "/* Doubling high multiply rounded half up, then a shift right that rounds ties away from zero. */\n" \
  "static inline vint32" M "_t nib_rvv_rq_tflite_double_" M "(vint32" M "_t x, vint32" M           \
  "_t multiplier,\n    vint32" M "_t shift, size_t vl) {\n"                                        \
  "  const vint32" M "_t right = __riscv_vmax_vx_i32" M "(__riscv_vneg_v_i32" M                    \
  "(shift, vl), 0, vl);\n"                                                                         \
  "  const vuint32" M "_t left = __riscv_vreinterpret_v_i32" M "_u32" M "(\n"                      \
  "      __riscv_vmax_vx_i32" M "(shift, 0, vl));\n"                                               \
  "  x = __riscv_vsmul_vv_i32" M "(__riscv_vsll_vv_i32" M "(x, left, vl), multiplier, "            \
  "__RISCV_VXRM_RNU, vl);\n"                                                                       \
  "  const vbool" B "_t ties = __riscv_vmsgt_vx_i32" M "_b" B "(right, 0, vl);\n"              \
  "  x = __riscv_vadd_vv_i32" M "_mu(ties, x, x, __riscv_vsra_vx_i32" M "(x, 31, vl), vl);\n"      \
  "  return __riscv_vssra_vv_i32" M "(x, __riscv_vreinterpret_v_i32" M "_u32" M                    \
  "(right), __RISCV_VXRM_RNU, vl);\n"                                                              \
  "}\n"                                                                                            \
  "\n"                                                                                             \
  "//@ nib_rvv_rq_right_" M "\n"                                                                   \
  "/* A shift right by -shift that rounds ties away from zero. Of products halved by rounding to odd,\n" \
  " * which keeps what is below their last bit apart from a tie. */\n"                             \
  "static inline vint32" M "_t nib_rvv_rq_right_" M "(vint32" M "_t x, vint32" M                   \
  "_t shift, size_t vl) {\n"                                                                       \
  "  const vuint32" M "_t right = __riscv_vreinterpret_v_i32" M "_u32" M                           \
  "(__riscv_vneg_v_i32" M "(shift, vl));\n"                                                        \
  "  x = __riscv_vadd_vv_i32" M "(x, __riscv_vsra_vx_i32" M "(x, 31, vl), vl);\n"                  \
  "  return __riscv_vssra_vv_i32" M "(x, right, __RISCV_VXRM_RNU, vl);\n"                          \
  "}\n"                                                                                            \
  "\n"                                                                                             \
  "//@ nib_rvv_rq_signed_" M "\n"                                                                  \
  "/* x * scale plus offset away from zero, rounded. */\n"                                         \
  "static inline vint32" M "_t nib_rvv_rq_signed_" M "(vint32" M "_t x, vfloat32" M                \
  "_t scale,\n    vfloat32" M "_t offset, size_t vl) {\n"                                          \
  "  const vfloat32" M "_t real = __riscv_vfcvt_f_x_v_f32" M "(x, vl);\n"                          \
  "  const vfloat32" M "_t away = __riscv_vfsgnj_vv_f32" M "(offset, real, vl);\n"                 \
  "  return __riscv_vfcvt_x_f_v_i32" M "(__riscv_vfmadd_vv_f32" M                                  \
  "(real, scale, away, vl), vl);\n"                                                                \
  "}\n"                                                                                            \
  "\n"                                                                                             \
  "//@ nib_rvv_bf16_" M "\n"                                                                       \
  "/* To bf16, nearest even, in integers. */\n"                                                    \
  "static inline vuint16" H "_t nib_rvv_bf16_" M "(vfloat32" M "_t x, size_t vl) {\n"              \
  "  const vuint32" M "_t bits = __riscv_vreinterpret_v_f32" M "_u32" M "(x);\n"                   \
  "  vuint32" M "_t y = __riscv_vand_vx_u32" M "(__riscv_vsrl_vx_u32" M                            \
  "(bits, 16, vl), 1, vl);\n"                                                                      \
  "  y = __riscv_vadd_vv_u32" M "(bits, __riscv_vadd_vx_u32" M "(y, 0x7fff, vl), vl);\n"           \
  "  y = __riscv_vor_vx_u32" M "_mu(__riscv_vmfne_vv_f32" M "_b" B                                  \
  "(x, x, vl), y, bits, 0x400000, vl);\n"                                                          \
  "  return __riscv_vnsrl_wx_u16" H "(y, 16, vl);\n"                                               \
  "}\n"                                                                                            \
  "\n" ONE_SHIFT

/* 64-bit products fit a group of twice the registers, D. */
#define RVV_ONE_SHIFT(M, D)                                                                        \
  "//@ nib_rvv_rq_tflite_single_" M "\n"                                                           \
  "/* One rounding shift of the 64-bit product by 31 - shift, saturated. */\n"                     \
  "static inline vint32" M "_t nib_rvv_rq_tflite_single_" M "(vint32" M "_t x, vint32" M           \
  "_t multiplier,\n    vint32" M "_t shift, size_t vl) {\n"                                        \
  "  const vuint32" M "_t total = __riscv_vreinterpret_v_i32" M "_u32" M "(\n"                     \
  "      __riscv_vrsub_vx_i32" M "(shift, 31, vl));\n"                                             \
  "  return __riscv_vnclip_wv_i32" M "(__riscv_vwmul_vv_i64" D                                     \
  "(x, multiplier, vl), total, __RISCV_VXRM_RNU, vl);\n"                                           \
  "}\n"                                                                                            \
  "\n"                                                                                             \
  "//@ nib_rvv_rq_tflite_away_" M "\n"                                                             \
  "/* The same, ties away from zero. */\n"                                                         \
  "static inline vint32" M "_t nib_rvv_rq_tflite_away_" M "(vint32" M "_t x, vint32" M             \
  "_t multiplier,\n    vint32" M "_t shift, size_t vl) {\n"                                        \
  "  const vuint32" M "_t total = __riscv_vreinterpret_v_i32" M "_u32" M "(\n"                     \
  "      __riscv_vrsub_vx_i32" M "(shift, 31, vl));\n"                                             \
  "  vint64" D "_t y = __riscv_vwmul_vv_i64" D "(x, multiplier, vl);\n"                            \
  "  y = __riscv_vadd_vv_i64" D "(y, __riscv_vsra_vx_i64" D "(y, 63, vl), vl);\n"                  \
  "  return __riscv_vnclip_wv_i32" M "(y, total, __RISCV_VXRM_RNU, vl);\n"                         \
  "}\n"

#define RVV_ONE_SHIFT_HALVES(name, comment)                                                        \
  "//@ nib_rvv_rq_tflite_" name "_m8\n" comment                                                    \
  "static inline vint32m8_t nib_rvv_rq_tflite_" name "_m8(vint32m8_t x, vint32m8_t multiplier,\n"  \
  "    vint32m8_t shift, size_t vl) {\n"                                                           \
  "  (void)vl;\n"                                                                                  \
  "  const size_t half = __riscv_vsetvlmax_e32m4();\n"                                             \
  "  const vint32m4_t low = nib_rvv_rq_tflite_" name "_m4(\n"                                      \
  "      __riscv_vget_v_i32m8_i32m4(x, 0), __riscv_vget_v_i32m8_i32m4(multiplier, 0),\n"           \
  "      __riscv_vget_v_i32m8_i32m4(shift, 0), half);\n"                                           \
  "  const vint32m4_t high = nib_rvv_rq_tflite_" name "_m4(\n"                                     \
  "      __riscv_vget_v_i32m8_i32m4(x, 1), __riscv_vget_v_i32m8_i32m4(multiplier, 1),\n"           \
  "      __riscv_vget_v_i32m8_i32m4(shift, 1), half);\n"                                           \
  "  return __riscv_vcreate_v_i32m4_i32m8(low, high);\n"                                           \
  "}\n"
#define RVV_ONE_SHIFT_M8                                                                           \
  RVV_ONE_SHIFT("m4", "m8")                                                                        \
  "\n" RVV_ONE_SHIFT_HALVES("single", "/* In halves: 64-bit products take twice the registers. */\n") \
  "\n" RVV_ONE_SHIFT_HALVES("away", "")

/* Cycles of an instruction on LMUL registers: one to issue, and an eighth more for each register after
 * the first. */
#define RVV_CYCLES(lmul) ((7.0 + (lmul)) / 8)

#define RVV_SUPPORT_M1 RVV_SUPPORT("m1", "mf2", "32", RVV_ONE_SHIFT("m1", "m2"))
#define RVV_SUPPORT_M2 RVV_SUPPORT("m2", "m1", "16", RVV_ONE_SHIFT("m2", "m4"))
#define RVV_SUPPORT_M4 RVV_SUPPORT("m4", "m2", "8", RVV_ONE_SHIFT("m4", "m8"))
#define RVV_SUPPORT_M8 RVV_SUPPORT("m8", "m4", "4", RVV_ONE_SHIFT_M8)

#define RVV_ROW(vlen, lmul, M, H, Q, B, vl, feature, longer, more)                                 \
  {                                                                                                \
    .name = "rvv" #vlen M, .description = "RISC-V vectors of " #vlen " bits or more, LMUL " #lmul, \
    .requires_ = NIB_FEATURE_BIT(V) | (feature), .unless = (longer), .function_attr = "",          \
    .includes = "#include <riscv_vector.h>\n", .support = RVV_SUPPORT_M##lmul, .lanes = vl,        \
    .registers = 32 / (lmul) + 1, .stage = NIB_STAGE_CODES, .dot_k = 1, .lanes_i16 = true,         \
    .in_order = true, .unroll = 4, .type_i32 = "vint32" M "_t", .type_f32 = "vfloat32" M "_t",                  \
    .type_act = "int32_t", .type_weight = "vint16" H "_t", .type_lane = "vint16" H "_t",           \
    .prims = {RVV_PRIMS(M, H, Q, B, #vl)}, .dot_cycles = RVV_CYCLES(lmul),                         \
    .fma_cycles = RVV_CYCLES(lmul), .mac16_cycles = RVV_CYCLES(lmul),                              \
    .requant_cycles = 6 * RVV_CYCLES(lmul), .elementwise_cycles = 8 * RVV_CYCLES(lmul),           \
    .next = more                                                                                   \
  }
/* `lanes`: of one register. */
#define RVV_M1(vlen, vl, feature, longer, more)                                                    \
  RVV_ROW(vlen, 1, "m1", "mf2", "mf4", "32", vl, feature, longer, more)
#define RVV_M2(vlen, vl, feature, longer, more)                                                    \
  RVV_ROW(vlen, 2, "m2", "m1", "mf2", "16", vl, feature, longer, more)
#define RVV_M4(vlen, vl, feature, longer, more)                                                    \
  RVV_ROW(vlen, 4, "m4", "m2", "m1", "8", vl, feature, longer, more)
#define RVV_M8(vlen, vl, feature, longer, more)                                                    \
  RVV_ROW(vlen, 8, "m8", "m4", "m2", "4", vl, feature, longer, more)

/* ---- FP16 ---- */

/* Halves in memory are uint16_t to the rest of the code. */
#define RVV_HALF_INCLUDES                                                                          \
  "#include <riscv_vector.h>\n"                                                                    \
  "typedef _Float16 __attribute__((__may_alias__)) nib_rvv_f16;\n"
#define RVV_FROM(a) "(const nib_rvv_f16 *)(const void *)(" a ")"
#define RVV_TO(a) "(nib_rvv_f16 *)(void *)(" a ")"

/* Storage and arithmetic in f16. */
#define RVV_F16_PRIMS(M, B, vl)                                                                    \
  [NIB_PRIM_F32_SET] = "$d = __riscv_vfmv_v_f_f16" M "((_Float16)($a), " vl ");",                  \
  [NIB_PRIM_F32_LOAD] = "$d = __riscv_vle16_v_f16" M "(" RVV_FROM("$a") ", " vl ");",              \
  [NIB_PRIM_F32_LOAD_TAIL] = "$d = __riscv_vle16_v_f16" M "_tu(__riscv_vfmv_v_f_f16" M "(0, " vl   \
      "), " RVV_FROM("$a") ", $n);",                                                               \
  [NIB_PRIM_ORDER] = "__atomic_signal_fence(__ATOMIC_SEQ_CST);",                                   \
  [NIB_PRIM_RELOAD] = "__asm__ volatile(\"\" : \"+r\"($d));",                                        \
  [NIB_PRIM_F32_LOAD_STRIDED] =                                                                    \
      "$d = __riscv_vlse16_v_f16" M "(" RVV_FROM("$a") ", 2 * ($b), $n);",                         \
  [NIB_PRIM_F32_STORE_STRIDED] = "__riscv_vsse16_v_f16" M "(" RVV_TO("$a") ", 2 * ($c), $b, $n);", \
  [NIB_PRIM_STAGE_STRIDED] = "__riscv_vse16_v_f16" M "(" RVV_TO("$d") ", __riscv_vlse16_v_f16" M   \
      "(" RVV_FROM("$a") ", 2 * ($b), $n), $n);",                                                  \
  [NIB_PRIM_F32_STORE] = "__riscv_vse16_v_f16" M "(" RVV_TO("$a") ", $b, " vl ");",                \
  [NIB_PRIM_F32_STORE_TAIL] = "__riscv_vse16_v_f16" M "(" RVV_TO("$a") ", $b, $n);",               \
  [NIB_PRIM_F32_FMA] = "$d = __riscv_vfmacc_vv_f16" M "($d, $a, $b, " vl ");",                     \
  [NIB_PRIM_F32_FMA_SCALAR] = "$d = __riscv_vfmacc_vf_f16" M "($d, $a, $b, " vl ");",              \
  [NIB_PRIM_F32_AFTER] = "__asm__ volatile(\"\" : \"+vr\"($d) : : \"memory\");",                    \
  [NIB_PRIM_F32_ADD] = "$d = __riscv_vfadd_vv_f16" M "($a, $b, " vl ");",                          \
  [NIB_PRIM_F32_SUB] = "$d = __riscv_vfsub_vv_f16" M "($a, $b, " vl ");",                          \
  [NIB_PRIM_F32_MUL] = "$d = __riscv_vfmul_vv_f16" M "($a, $b, " vl ");",                          \
  [NIB_PRIM_F32_DIV] = "$d = __riscv_vfdiv_vv_f16" M "($a, $b, " vl ");",                          \
  [NIB_PRIM_F32_MIN] = "$d = __riscv_vmerge_vvm_f16" M "($b, $a, __riscv_vmflt_vv_f16" M "_b" B    \
      "($a, $b, " vl "), " vl ");",                                                                \
  [NIB_PRIM_F32_MAX] = "$d = __riscv_vmerge_vvm_f16" M "($b, $a, __riscv_vmfgt_vv_f16" M "_b" B    \
      "($a, $b, " vl "), " vl ");",                                                                \
  [NIB_PRIM_F32_MAX_CONST] = "$d = __riscv_vfmax_vf_f16" M "($a, (_Float16)($b), " vl ");",        \
  [NIB_PRIM_F32_MIN_CONST] = "$d = __riscv_vfmin_vf_f16" M "($a, (_Float16)($b), " vl ");",        \
  [NIB_PRIM_F32_RAISE_CONST] = "$d = __riscv_vfmerge_vfm_f16" M "($a, (_Float16)($b), "            \
      "__riscv_vmflt_vf_f16" M "_b" B "(\n    $a, (_Float16)($b), " vl "), " vl ");",              \
  [NIB_PRIM_F32_LOWER_CONST] = "$d = __riscv_vfmerge_vfm_f16" M "($a, (_Float16)($b), "            \
      "__riscv_vmfgt_vf_f16" M "_b" B "(\n    $a, (_Float16)($b), " vl "), " vl ");",              \
  [NIB_PRIM_PREFETCH] = "",

#define RVV_F16_ROW(vlen, lmul, M, B, vl, feature, longer, more)                                   \
  {                                                                                                \
    .name = "rvv" #vlen M "h", .description = "FP16 in RISC-V vectors of " #vlen " bits or more, LMUL " #lmul, \
    .requires_ = NIB_FEATURE_BIT(V) | NIB_FEATURE_BIT(ZVFH) | (feature), .unless = (longer),       \
    .function_attr = "", .includes = RVV_HALF_INCLUDES, .support = "", .lanes = vl,                \
    .registers = 32 / (lmul) + 1, .stage = NIB_STAGE_CODES, .dot_k = 1, .lanes_i16 = true,         \
    .real_f16 = true, .type_real = "nib_rvv_f16", .in_order = true, .unroll = 4,                   \
    .type_i32 = "int32_t", .type_f32 = "vfloat16" M "_t", .type_act = "int32_t",                   \
    .type_weight = "int32_t", .prims = {RVV_F16_PRIMS(M, B, #vl)}, .dot_cycles = 1000,             \
    .fma_cycles = RVV_CYCLES(lmul), .mac16_cycles = 1000, .requant_cycles = 1000,                  \
    .elementwise_cycles = 8 * RVV_CYCLES(lmul), .next = more                                      \
  }

/* Storage of f16 around arithmetic in f32. */
#define RVV_STORED_F16_PRIMS(M, H, vl)                                                             \
  [NIB_PRIM_F16_LOAD] = "$d = __riscv_vfwcvt_f_f_v_f32" M "(__riscv_vle16_v_f16" H                 \
      "(" RVV_FROM("$a") ", " vl "), " vl ");",                                                    \
  [NIB_PRIM_F16_LOAD_TAIL] = "$d = __riscv_vfwcvt_f_f_v_f32" M "_tu(__riscv_vfmv_v_f_f32" M        \
      "(0, " vl "),\n    __riscv_vle16_v_f16" H "(" RVV_FROM("$a") ", $n), $n);",                  \
  [NIB_PRIM_F16_STORE] = "__riscv_vse16_v_f16" H "(" RVV_TO("$a")                                  \
      ", __riscv_vfncvt_f_f_w_f16" H "($b, " vl "), " vl ");",                                     \
  [NIB_PRIM_F16_STORE_TAIL] = "__riscv_vse16_v_f16" H "(" RVV_TO("$a")                             \
      ", __riscv_vfncvt_f_f_w_f16" H "($b, $n), $n);",

/* What zvfhmin has: the conversions alone. */
#define RVV_STORED_F16_ROW(vlen, lmul, M, H, vl, feature, longer, row, more)                       \
  {                                                                                                \
    .name = "rvv" #vlen M "s", .description = "RISC-V vectors of " #vlen " bits or more, LMUL " #lmul ", FP16 in memory", \
    .requires_ = NIB_FEATURE_BIT(V) | NIB_FEATURE_BIT(ZVFHMIN) | (feature),                        \
    .unless = NIB_FEATURE_BIT(ZVFH) | (longer), .function_attr = "",                               \
    .includes = RVV_HALF_INCLUDES, .support = "", .base = row, .lanes = vl,                        \
    .registers = 32 / (lmul) + 1, .stage = NIB_STAGE_CODES, .dot_k = 1, .lanes_i16 = true,         \
    .in_order = true, .unroll = 4, .type_i32 = "vint32" M "_t", .type_f32 = "vfloat32" M "_t",     \
    .type_act = "int32_t", .type_weight = "vint16" H "_t", .type_lane = "vint16" H "_t",           \
    .prims = {RVV_STORED_F16_PRIMS(M, H, #vl)}, .dot_cycles = RVV_CYCLES(lmul) + .01,              \
    .fma_cycles = RVV_CYCLES(lmul) + .01, .mac16_cycles = RVV_CYCLES(lmul) + .01,                  \
    .requant_cycles = 6 * RVV_CYCLES(lmul) + .01,                                                  \
    .elementwise_cycles = 8 * RVV_CYCLES(lmul) + .01, .next = more                                \
  }

/* Products of f16 summed in f32; storage of f16 around arithmetic in f32. */
#define RVV_WIDENING_PRIMS(M, H, vl)                                                               \
  [NIB_PRIM_STAGE_STRIDED] = "__riscv_vse16_v_f16" H "(" RVV_TO("$d") ", __riscv_vlse16_v_f16" H   \
      "(" RVV_FROM("$a") ", 2 * ($b), $n), $n);",                                                  \
  [NIB_PRIM_HALF_LOAD] = "$d = __riscv_vle16_v_f16" H "(" RVV_FROM("$a") ", " vl ");",             \
  [NIB_PRIM_HALF_FMA] = "$d = __riscv_vfwmacc_vv_f32" M "($d, $a, $b, " vl ");",                   \
  [NIB_PRIM_HALF_FMA_SCALAR] = "$d = __riscv_vfwmacc_vf_f32" M "($d, $a, $b, " vl ");",                           \
  RVV_STORED_F16_PRIMS(M, H, vl)

#define RVV_WIDENING_ROW(vlen, lmul, M, H, vl, feature, longer, row, more)                         \
  {                                                                                                \
    .name = "rvv" #vlen M "w", .description = "RISC-V vectors of " #vlen " bits or more, LMUL " #lmul ", sums of FP16 in FP32", \
    .requires_ = NIB_FEATURE_BIT(V) | NIB_FEATURE_BIT(ZVFH) | (feature), .unless = (longer),       \
    .function_attr = "", .includes = RVV_HALF_INCLUDES, .support = "", .base = row, .lanes = vl,   \
    .registers = 32 / (lmul) + 1, .stage = NIB_STAGE_CODES, .dot_k = 1, .lanes_i16 = true,         \
    .type_half = "vfloat16" H "_t", .type_real = "nib_rvv_f16", .in_order = true, .unroll = 4,     \
    .type_i32 = "vint32" M "_t", .type_f32 = "vfloat32" M "_t", .type_act = "int32_t",             \
    .type_weight = "vint16" H "_t", .type_lane = "vint16" H "_t",                                  \
    .prims = {RVV_WIDENING_PRIMS(M, H, #vl)}, .dot_cycles = RVV_CYCLES(lmul) + .01,                \
    .fma_cycles = RVV_CYCLES(lmul) + .01, .mac16_cycles = RVV_CYCLES(lmul) + .01,                  \
    .requant_cycles = 6 * RVV_CYCLES(lmul) + .01,                                                  \
    .elementwise_cycles = 8 * RVV_CYCLES(lmul) + .01, .next = more                                \
  }

#endif

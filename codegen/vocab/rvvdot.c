/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Dot products of four bytes in RISC-V's vectors: zvqdotq, and those of two vendors. Activations
 * are unsigned (staged as code - least code), weights signed, four of K to a lane; all else is as
 * in rvv.h. */
#include "vocab/rvv.h"

/* $d += $a . $b for `vl` lanes; $a: activations, $b: weights. */
#define DOT_STANDARD(M, vl) "$d = __riscv_vqdotsu_vx_i32" M "($d, $b, $a, " vl ");"
#define DOT_ANDES(M, vl) "$d = __riscv_nds_vd4dotsu_vv_i32" M "($d, $b, $a, " vl ");"
/* clang has no function for it: vtype is set where it is used. */
#define DOT_THEAD(M, vl)                                                                           \
  "__asm__(\"vsetvli zero, %3, e32, " M ", ta, ma\\n\\tth.vmaqaus.vx %0, %1, %2\"\n"               \
  "        : \"+vr\"($d)\n        : \"r\"($a), \"vr\"($b), \"r\"((size_t)" vl ")\n"                \
  "        : \"vl\", \"vtype\");"

#define LOAD_FOUR "$d = nib_rvv_four($a);"
#define SPREAD_FOUR(M, vl)                                                                         \
  "$d = __riscv_vreinterpret_v_u32" M "_u8" M "(__riscv_vmv_v_x_u32" M "(nib_rvv_four($a), " vl    \
  "));"

static const char support[] =
    "//@ nib_rvv_four\n"
    "static inline uint32_t nib_rvv_four(const void *p) {\n"
    "  uint32_t x;\n"
    "  memcpy(&x, p, 4);\n"
    "  return x;\n"
    "}\n"
    "\n"
    "//@ nib_rvv_stage_i8\n"
    "static inline void nib_rvv_stage_i8(uint8_t *to, const int8_t *from, int32_t n) {\n"
    "  for (int32_t i = 0; i < n; i++)\n"
    "    to[i] = (uint8_t)from[i] ^ 0x80;\n"
    "}\n";

#define ROW(stem, vendor, base_row, M, H, vl, feature, longer, header, act, load, product, lmul,   \
            more)                                                                                  \
  {                                                                                                \
    .name = stem, .description = "RISC-V vectors with dot products of bytes, " vendor,             \
    .requires_ = (feature), .unless = (longer), .function_attr = "", .includes = header,           \
    .support = support, .base = base_row, .lanes = vl, .registers = 32 / (lmul) + 1,               \
    .stage = NIB_STAGE_U8, .dot_k = 4, .lanes_i16 = true, .in_order = true, .unroll = 4,           \
    .type_i32 = "vint32" M "_t", .type_f32 = "vfloat32" M "_t", .type_act = act,                   \
    .type_weight = "vint8" M "_t", .type_lane = "vint16" H "_t",                                   \
    .prims = {[NIB_PRIM_WEIGHT_LOAD] = "$d = __riscv_vle8_v_i8" M "($a, 4 * " #vl ");",            \
              [NIB_PRIM_ACT_BCAST] = load,                                                         \
              [NIB_PRIM_DOT] = product,                                                            \
              [NIB_PRIM_STAGE_I8] = "nib_rvv_stage_i8($d, $a, $n);"},                              \
    .dot_cycles = RVV_CYCLES(lmul), .fma_cycles = RVV_CYCLES(lmul) + .02,                          \
    .mac16_cycles = RVV_CYCLES(lmul) + .02, .requant_cycles = 6 * RVV_CYCLES(lmul),                \
    .elementwise_cycles = 8 * RVV_CYCLES(lmul), .next = more                                       \
  }

#define PLAIN "#include <riscv_vector.h>\n"
#define ANDES "#include <andes_vector.h>\n#include <riscv_vector.h>\n"

/* Three rows of one length and LMUL: `q`, `a` and `t` before what follows. */
#define ROWS(n, vlen, lmul, M, H, Q, B, vl, feature, longer, more)                                 \
  static const nib_vocab base##n = RVV_ROW(vlen, lmul, M, H, Q, B, vl, feature, longer, NULL);     \
  static const nib_vocab q##n =                                                                    \
      ROW("rvv" #vlen M "q", "zvqdotq", &base##n, M, H, vl, NIB_FEATURE_BIT(ZVQDOTQ) | (feature),  \
          longer, PLAIN, "uint32_t", LOAD_FOUR, DOT_STANDARD(M, #vl), lmul, more);                 \
  static const nib_vocab a##n = ROW(                                                               \
      "rvv" #vlen M "a", "Andes'", &base##n, M, H, vl, NIB_FEATURE_BIT(XANDESVDOT) | (feature),    \
      longer, ANDES, "vuint8" M "_t", SPREAD_FOUR(M, #vl), DOT_ANDES(M, #vl), lmul, &q##n);        \
  static const nib_vocab t##n = ROW("rvv" #vlen M "t", "T-Head's", &base##n, M, H, vl,             \
                                    NIB_FEATURE_BIT(XTHEADVDOT) | (feature), longer, PLAIN,        \
                                    "uint32_t", LOAD_FOUR, DOT_THEAD(M, #vl), lmul, &a##n);

#define V128 0, NIB_FEATURE_BIT(ZVL256B)
#define V256 NIB_FEATURE_BIT(ZVL256B), NIB_FEATURE_BIT(ZVL512B)
#define V512 NIB_FEATURE_BIT(ZVL512B), 0
#define GROUP(n, vlen, lmul, M, H, Q, B, vl, features, more)                                       \
  ROWS(n, vlen, lmul, M, H, Q, B, vl, features, more)

GROUP(0, 128, 1, "m1", "mf2", "mf4", "32", 4, V128, NULL)
GROUP(1, 128, 2, "m2", "m1", "mf2", "16", 8, V128, &t0)
GROUP(2, 128, 4, "m4", "m2", "m1", "8", 16, V128, &t1)
GROUP(3, 256, 1, "m1", "mf2", "mf4", "32", 8, V256, &t2)
GROUP(4, 256, 2, "m2", "m1", "mf2", "16", 16, V256, &t3)
GROUP(5, 256, 4, "m4", "m2", "m1", "8", 32, V256, &t4)
GROUP(6, 512, 1, "m1", "mf2", "mf4", "32", 16, V512, &t5)
GROUP(7, 512, 2, "m2", "m1", "mf2", "16", 32, V512, &t6)

static const nib_vocab base8 =
    RVV_ROW(512, 4, "m4", "m2", "m1", "8", 64, NIB_FEATURE_BIT(ZVL512B), 0, NULL);
static const nib_vocab a8 =
    ROW("rvv512m4a", "Andes'", &base8, "m4", "m2", 64,
        NIB_FEATURE_BIT(XANDESVDOT) | NIB_FEATURE_BIT(ZVL512B), 0, ANDES, "vuint8m4_t",
        SPREAD_FOUR("m4", "64"), DOT_ANDES("m4", "64"), 4, &t7);
static const nib_vocab t8 = ROW("rvv512m4t", "T-Head's", &base8, "m4", "m2", 64,
                                NIB_FEATURE_BIT(XTHEADVDOT) | NIB_FEATURE_BIT(ZVL512B), 0, PLAIN,
                                "uint32_t", LOAD_FOUR, DOT_THEAD("m4", "64"), 4, &a8);
const nib_vocab nib_vocab_rvvdot =
    ROW("rvv512m4q", "zvqdotq", &base8, "m4", "m2", 64,
        NIB_FEATURE_BIT(ZVQDOTQ) | NIB_FEATURE_BIT(ZVL512B), 0, PLAIN, "uint32_t", LOAD_FOUR,
        DOT_STANDARD("m4", "64"), 4, &t8);

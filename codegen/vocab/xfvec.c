/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Two FP16 in an integer register of a 32-bit RISC-V core: the packed instructions of PULP's cores,
 * which compilers have no names for. What there is no packed instruction for is done on each half
 * by zhinx. */
#include "vocab/scalar_reals.h"
#include "vocab/vocab.h"

/* rd op= rs1, rs2; funct3 6 takes the low half of rs2 twice. */
#define INSTRUCTION(funct3, funct7, d, a, b)                                                       \
  "__asm__(\".insn r 0x33, " #funct3 ", " #funct7 ", %0, %1, %2\" : \"+r\"(" d ") : \"r\"(" a      \
  "), \"r\"(" b "));"
#define INTO(funct3, funct7)                                                                       \
  "__asm__(\".insn r 0x33, " #funct3 ", " #funct7 ", %0, %1, %2\" : \"=r\"($d) : \"r\"($a), "      \
  "\"r\"($b));"

/* A function of each half. */
#define EACH(name, expression)                                                                     \
  "//@ nib_xfvec_" name "\n"                                                                       \
  "static inline uint32_t nib_xfvec_" name "(uint32_t x, uint32_t y) {\n"                          \
  "  nib_xfvec_pair u = {x}, v = {y};\n"                                                           \
  "  for (int i = 0; i < 2; i++) {\n"                                                              \
  "    const _Float16 a = u.half[i], b = v.half[i];\n"                                             \
  "    u.half[i] = " expression ";\n"                                                              \
  "  }\n"                                                                                          \
  "  return u.bits;\n"                                                                             \
  "}\n"                                                                                            \
  "\n"

static const char support[] =
    "typedef uint16_t __attribute__((__may_alias__)) nib_xfvec_half;\n"
    "typedef uint32_t __attribute__((__may_alias__)) nib_xfvec_bits;\n"
    "typedef union nib_xfvec_pair {\n"
    "  uint32_t bits;\n"
    "  _Float16 half[2];\n"
    "} nib_xfvec_pair;\n"
    "\n"
    "//@ nib_xfvec_load\n"
    "/* Halves are aligned as such, which cores take; both that lie in one word are one access. "
    "*/\n"
    "static inline uint32_t nib_xfvec_load(const void *p) {\n"
    "  uint32_t x;\n"
    "  memcpy(&x, __builtin_assume_aligned(p, 2), 4);\n"
    "  return x;\n"
    "}\n"
    "\n"
    "//@ nib_xfvec_set\n"
    "static inline uint32_t nib_xfvec_set(_Float16 x) {\n"
    "  const nib_xfvec_pair u = {.half = {x, x}};\n"
    "  return u.bits;\n"
    "}\n"
    "\n" EACH("div", "a / b") EACH("min", "a < b ? a : b") EACH("max", "a > b ? a : b")
        EACH("max_const", "a >= b ? a : b") EACH("min_const", "a <= b ? a : b")
            EACH("raise", "a < b ? b : a") EACH("lower", "a > b ? b : a");

/* Products of pairs of K, summed in FP32: one output channel to a register. */
#define DOT_ROW(row, words, funct3, features, others, more)                                        \
  static const nib_vocab row = {                                                                   \
      .name = words,                                                                               \
      .description = "two FP16 in a register of a 32-bit RISC-V core, summed in FP32",             \
      .requires_ = features,                                                                       \
      .unless = others,                                                                            \
      .function_attr = "",                                                                         \
      .includes = "",                                                                              \
      .support = support,                                                                          \
      .lanes = 1,                                                                                  \
      .registers = 26,                                                                             \
      .stage = NIB_STAGE_CODES,                                                                    \
      .dot_k = 1,                                                                                  \
      .lanes_i16 = true,                                                                           \
      .type_half = "uint32_t",                                                                     \
      .half_k = 2,                                                                                 \
      .type_real = "nib_xfvec_half",                                                               \
      .in_order = true,                                                                            \
      .unroll = 8,                                                                                 \
      .type_i32 = "int32_t",                                                                       \
      .type_f32 = "float",                                                                         \
      .type_act = "int32_t",                                                                       \
      .type_weight = "int32_t",                                                                    \
      .prims = {NIB_SCALAR_REAL_PRIMS,                                                             \
                [NIB_PRIM_HALF_LOAD] = "$d = *(const nib_xfvec_bits *)(const void *)($a);",        \
                [NIB_PRIM_HALF_GROUP] = "$d = *(const nib_xfvec_bits *)(const void *)($a);",       \
                [NIB_PRIM_HALF_FMA_SCALAR] = INSTRUCTION(funct3, 0x4b, "$d", "$a", "$b"),          \
                [NIB_PRIM_F32_AFTER] = "__asm__ volatile(\"\" : \"+r\"($d) : : \"memory\");"},     \
      .dot_cycles = 1.2,                                                                           \
      .fma_cycles = 1.06,                                                                          \
      .mac16_cycles = 1000,                                                                        \
      .requant_cycles = 1000,                                                                      \
      .elementwise_cycles = 4,                                                                     \
      .next = more,                                                                                \
  }

DOT_ROW(dot2, "xfdotpex2", 2, NIB_FEATURE_BIT(VFDOTPEX2), 0, NULL);
DOT_ROW(dot0, "xfdotpex", 0, NIB_FEATURE_BIT(VFDOTPEX), NIB_FEATURE_BIT(VFDOTPEX2), &dot2);

const nib_vocab nib_vocab_xfvec = {
    .name = "xfvec",
    .description = "two FP16 in a register of a 32-bit RISC-V core",
    .requires_ = NIB_FEATURE_BIT(XFVEC),
    .unless = 0,
    .function_attr = "",
    .includes = "",
    .support = support,
    .lanes = 2,
    .registers = 26,
    .stage = NIB_STAGE_CODES,
    .dot_k = 1,
    .lanes_i16 = true,
    .real_f16 = true,
    .type_real = "nib_xfvec_half",
    .in_order = true,
    .unroll = 8,
    .type_i32 = "int32_t",
    .type_f32 = "uint32_t",
    .type_act = "int32_t",
    .type_weight = "int32_t",
    .prims =
        {
            [NIB_PRIM_F32_SET] = "$d = nib_xfvec_set((_Float16)($a));",
            [NIB_PRIM_F32_LOAD] = "$d = *(const nib_xfvec_bits *)(const void *)($a);",
            [NIB_PRIM_F32_LOAD_TAIL] = "$d = *(const nib_xfvec_half *)(const void *)($a);",
            [NIB_PRIM_F32_STORE] = "*(nib_xfvec_bits *)(void *)($a) = $b;",
            [NIB_PRIM_F32_STORE_TAIL] = "*(nib_xfvec_half *)(void *)($a) = (uint16_t)$b;",
            [NIB_PRIM_F32_FMA] = INSTRUCTION(2, 0x48, "$d", "$a", "$b"),
            [NIB_PRIM_F32_FMA_SCALAR] = INSTRUCTION(6, 0x48, "$d", "$b", "$a"),
            [NIB_PRIM_F32_AFTER] = "__asm__ volatile(\"\" : \"+r\"($d) : : \"memory\");",
            [NIB_PRIM_F32_ADD] = INTO(2, 0x41),
            [NIB_PRIM_F32_SUB] = INTO(2, 0x42),
            [NIB_PRIM_F32_MUL] = INTO(2, 0x43),
            [NIB_PRIM_F32_DIV] = "$d = nib_xfvec_div($a, $b);",
            [NIB_PRIM_F32_MIN] = "$d = nib_xfvec_min($a, $b);",
            [NIB_PRIM_F32_MAX] = "$d = nib_xfvec_max($a, $b);",
            [NIB_PRIM_F32_MAX_CONST] =
                "$d = nib_xfvec_max_const($a, nib_xfvec_set((_Float16)($b)));",
            [NIB_PRIM_F32_MIN_CONST] =
                "$d = nib_xfvec_min_const($a, nib_xfvec_set((_Float16)($b)));",
            [NIB_PRIM_F32_RAISE_CONST] = "$d = nib_xfvec_raise($a, nib_xfvec_set((_Float16)($b)));",
            [NIB_PRIM_F32_LOWER_CONST] = "$d = nib_xfvec_lower($a, nib_xfvec_set((_Float16)($b)));",
            [NIB_PRIM_PREFETCH] = "",
        },
    .dot_cycles = 1,
    .fma_cycles = 1,
    .mac16_cycles = 1000,
    .requant_cycles = 1000,
    .elementwise_cycles = 4,
    .next = &dot0,
};

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
    "typedef _Float16 __attribute__((__may_alias__)) nib_xfvec_real;\n"
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

/* Two floats, which only become FP16 and back: `pack` says how. */
#define FLOATS_SUPPORT(pack)                                                                       \
  "typedef uint32_t __attribute__((__may_alias__)) nib_xfpair_bits;\n"                             \
  "typedef _Float16 __attribute__((__may_alias__)) nib_xfpair_half;\n"                             \
  "typedef struct nib_xfpair {\n"                                                                  \
  "  float low, high;\n"                                                                           \
  "} nib_xfpair;\n"                                                                                \
  "\n"                                                                                             \
  "//@ nib_xfpair_pack\n"                                                                          \
  "static inline uint32_t nib_xfpair_pack(nib_xfpair x) {\n"                                       \
  "  uint32_t d;\n" pack "  return d;\n"                                                           \
  "}\n"                                                                                            \
  "\n"

static const char converted[] =
    FLOATS_SUPPORT("  const _Float16 halves[2] = {(_Float16)x.low, (_Float16)x.high};\n"
                   "  memcpy(&d, halves, 4);\n");
static const char packed[] =
    FLOATS_SUPPORT("  __asm__(\".insn r 0x33, 2, 0x58, %0, %1, %2\" : \"=r\"(d) : \"r\"(x.low), "
                   "\"r\"(x.high));\n");

#define FLOATS_ROW(stem, words, feature, others, text, cycles, more)                               \
  {                                                                                                \
    .name = stem, .description = "two FP32 of a 32-bit RISC-V core, made FP16 " words,             \
    .requires_ = feature, .unless = others, .function_attr = "", .includes = "", .support = text,  \
    .lanes = 2, .registers = 12, .stage = NIB_STAGE_CODES, .dot_k = 1, .in_order = true,           \
    .type_i32 = "int32_t", .type_f32 = "nib_xfpair", .type_act = "int32_t",                        \
    .type_weight = "int32_t",                                                                      \
    .prims = {[NIB_PRIM_F32_LOAD] = "$d = (nib_xfpair){($a)[0], ($a)[1]};",                        \
              [NIB_PRIM_F32_LOAD_TAIL] = "$d = (nib_xfpair){*($a), 0};",                           \
              [NIB_PRIM_F32_STORE] = "($a)[0] = $b.low;\n($a)[1] = $b.high;",                      \
              [NIB_PRIM_F32_STORE_TAIL] = "*($a) = $b.low;",                                       \
              [NIB_PRIM_F16_LOAD] =                                                                \
                  "$d = (nib_xfpair){((const nib_xfpair_half *)(const void *)($a))[0],\n"          \
                  "    ((const nib_xfpair_half *)(const void *)($a))[1]};",                        \
              [NIB_PRIM_F16_LOAD_TAIL] =                                                           \
                  "$d = (nib_xfpair){*(const nib_xfpair_half *)(const void *)($a), 0};",           \
              [NIB_PRIM_F16_STORE] = "*(nib_xfpair_bits *)(void *)($a) = nib_xfpair_pack($b);",    \
              [NIB_PRIM_F16_STORE_TAIL] = "*(nib_xfpair_half *)(void *)($a) = (_Float16)$b.low;",  \
              [NIB_PRIM_PREFETCH] = ""},                                                           \
    .dot_cycles = 1000, .fma_cycles = 1000, .mac16_cycles = 1000, .requant_cycles = 1000,          \
    .elementwise_cycles = cycles, .next = more                                                     \
  }

static const nib_vocab floats = FLOATS_ROW("xfpair", "one by one", NIB_FEATURE_BIT(XFVECMIN),
                                           NIB_FEATURE_BIT(VFCPKA), converted, 8, &dot0);
static const nib_vocab pairs =
    FLOATS_ROW("xfcpka", "at once", NIB_FEATURE_BIT(VFCPKA), 0, packed, 4, &floats);

#define PACKED_PRIMS                                                                               \
  [NIB_PRIM_F32_SET] = "$d = nib_xfvec_set((_Float16)($a));",                                      \
  [NIB_PRIM_F32_LOAD] = "$d = *(const nib_xfvec_bits *)(const void *)($a);",                       \
  [NIB_PRIM_F32_LOAD_TAIL] = "$d = *(const nib_xfvec_half *)(const void *)($a);",                  \
  [NIB_PRIM_F32_STORE] = "*(nib_xfvec_bits *)(void *)($a) = $b;",                                  \
  [NIB_PRIM_F32_STORE_TAIL] = "*(nib_xfvec_half *)(void *)($a) = (uint16_t)$b;",                   \
  [NIB_PRIM_F32_FMA] = INSTRUCTION(2, 0x48, "$d", "$a", "$b"),                                     \
  [NIB_PRIM_F32_AFTER] = "__asm__ volatile(\"\" : \"+r\"($d) : : \"memory\");",                    \
  [NIB_PRIM_F32_ADD] = INTO(2, 0x41), [NIB_PRIM_F32_SUB] = INTO(2, 0x42),                          \
  [NIB_PRIM_F32_MUL] = INTO(2, 0x43), [NIB_PRIM_F32_DIV] = "$d = nib_xfvec_div($a, $b);",          \
  [NIB_PRIM_F32_MIN] = "$d = nib_xfvec_min($a, $b);",                                              \
  [NIB_PRIM_F32_MAX] = "$d = nib_xfvec_max($a, $b);",                                              \
  [NIB_PRIM_F32_MAX_CONST] = "$d = nib_xfvec_max_const($a, nib_xfvec_set((_Float16)($b)));",       \
  [NIB_PRIM_F32_MIN_CONST] = "$d = nib_xfvec_min_const($a, nib_xfvec_set((_Float16)($b)));",       \
  [NIB_PRIM_F32_RAISE_CONST] = "$d = nib_xfvec_raise($a, nib_xfvec_set((_Float16)($b)));",         \
  [NIB_PRIM_F32_LOWER_CONST] = "$d = nib_xfvec_lower($a, nib_xfvec_set((_Float16)($b)));",         \
  [NIB_PRIM_PREFETCH] = ""

#define PACKED_ROW(stem, words, feature, others, half, cycles, more, ...)                          \
  {                                                                                                \
    .name = stem, .description = "two FP16 in a register of a 32-bit RISC-V core" words,           \
    .requires_ = feature, .unless = others, .function_attr = "", .includes = "",                   \
    .support = support, .lanes = 2, .registers = 26, .stage = NIB_STAGE_CODES, .dot_k = 1,         \
    .lanes_i16 = true, .real_f16 = true, .type_real = half, .in_order = true, .unroll = 8,         \
    .type_i32 = "int32_t", .type_f32 = "uint32_t", .type_act = "int32_t",                          \
    .type_weight = "int32_t", .prims = {PACKED_PRIMS, __VA_ARGS__}, .dot_cycles = 1,               \
    .fma_cycles = cycles, .mac16_cycles = 1000, .requant_cycles = 1000, .elementwise_cycles = 4,   \
    .next = more                                                                                   \
  }

/* An activation is put into both halves before it is multiplied. */
static const nib_vocab least =
    PACKED_ROW("xfvecmin", ", no product by one for both", NIB_FEATURE_BIT(XFVECMIN),
               NIB_FEATURE_BIT(XFVEC), "nib_xfvec_real", 1, &pairs, [NIB_PRIM_ORDER] = NULL);

const nib_vocab nib_vocab_xfvec =
    PACKED_ROW("xfvec", "", NIB_FEATURE_BIT(XFVEC), 0, "nib_xfvec_half", 1,
               &least, [NIB_PRIM_F32_FMA_SCALAR] = INSTRUCTION(6, 0x48, "$d", "$b", "$a"));

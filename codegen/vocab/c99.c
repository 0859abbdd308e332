/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The portable vocabulary: one lane, plain C. It needs no feature and defines every primitive. */
#include "vocab/vocab.h"

/* Narrowing stores: `low` and `high` are the format's range. */
#define NARROW(type, low, high)                                                                    \
  "*($a) = (" #type ")($b < " #low " ? " #low " : $b > " #high " ? " #high " : $b);"

const nib_vocab nib_vocab_c99 = {
    .name = "c99",
    .description = "portable C, one lane",
    .requires_ = 0,
    .unless = NIB_FEATURE_BIT(CUDA),
    .function_attr = "",
    .includes = "",
    .support = "//@ nib_c99_f32_even\n"
               "/* rint to int32, saturated; 0 for a NaN. */\n"
               "static inline int32_t nib_c99_f32_even(float x) {\n"
               "  const float y = rintf(x);\n"
               "  if (y != y)\n"
               "    return 0;\n"
               "  return y >= 2147483520.0f ? INT32_MAX : y <= -2147483648.0f ? INT32_MIN : "
               "(int32_t)y;\n"
               "}\n"
               "\n"
               "//@ nib_c99_count\n"
               "/* How many bits of x are 1: sums of 2, 4, 8 bits, then of all bytes. */\n"
               "static inline uint64_t nib_c99_count(uint64_t x) {\n"
               "  x -= x >> 1 & UINT64_C(0x5555555555555555);\n"
               "  x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & "
               "UINT64_C(0x3333333333333333));\n"
               "  x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);\n"
               "  return x * UINT64_C(0x0101010101010101) >> 56;\n"
               "}\n"
               "\n"
               "//@ nib_c99_bytes\n"
               "/* Four bytes as one number, the first lowest. */\n"
               "static inline int32_t nib_c99_bytes(const void *p) {\n"
               "  const uint8_t *a = p;\n"
               "  return (int32_t)((uint32_t)a[0] | (uint32_t)a[1] << 8 | (uint32_t)a[2] << 16 |\n"
               "                   (uint32_t)a[3] << 24);\n"
               "}\n"
               "\n"
               "//@ nib_c99_store_bytes\n"
               "static inline void nib_c99_store_bytes(uint8_t *a, int32_t x) {\n"
               "  for (int i = 0; i < 4; i++)\n"
               "    a[i] = (uint8_t)((uint32_t)x >> 8 * i);\n"
               "}\n"
               "\n"
               "//@ nib_c99_lookup\n"
               "static inline int32_t nib_c99_lookup(const uint8_t *table, int32_t x) {\n"
               "  uint32_t y = 0;\n"
               "  for (int i = 0; i < 4; i++)\n"
               "    y |= (uint32_t)table[(uint32_t)x >> 8 * i & 15] << 8 * i;\n"
               "  return (int32_t)y;\n"
               "}\n"
               "\n"
               "//@ nib_c99_add_bytes\n"
               "static inline int32_t nib_c99_add_bytes(int32_t a, int32_t b) {\n"
               "  const uint32_t x = (uint32_t)a, y = (uint32_t)b, low = 0x7F7F7F7Fu;\n"
               "  return (int32_t)(((x & low) + (y & low)) ^ ((x ^ y) & ~low));\n"
               "}\n"
               "\n"
               "//@ nib_c99_zip\n"
               "/* Bytes `from` and the next one of a and b in turns. */\n"
               "static inline int32_t nib_c99_zip(int32_t a, int32_t b, int from) {\n"
               "  const uint32_t x = (uint32_t)a >> 8 * from, y = (uint32_t)b >> 8 * from;\n"
               "  return (int32_t)((x & 255) | (y & 255) << 8 | (x >> 8 & 255) << 16 | (y >> 8 & 255) << 24);\n"
               "}\n"
               "\n"
               "//@ nib_c99_pairs\n"
               "static inline int32_t nib_c99_pairs(int32_t a, int32_t b) {\n"
               "  uint32_t y = 0;\n"
               "  for (int i = 0; i < 4; i += 2) {\n"
               "    int32_t sum = 0;\n"
               "    for (int k = i; k < i + 2; k++)\n"
               "      sum += (int32_t)((uint32_t)a >> 8 * k & 255) * (int8_t)((uint32_t)b >> 8 * k);\n"
               "    sum = sum < INT16_MIN ? INT16_MIN : sum > INT16_MAX ? INT16_MAX : sum;\n"
               "    y |= (uint32_t)(uint16_t)sum << 8 * i;\n"
               "  }\n"
               "  return (int32_t)y;\n"
               "}\n"
               "\n"
               "//@ nib_c99_dot16\n"
               "static inline int32_t nib_c99_dot16(int32_t a, int32_t b) {\n"
               "  return (int16_t)a * (int16_t)b +\n"
               "         (int16_t)((uint32_t)a >> 16) * (int16_t)((uint32_t)b >> 16);\n"
               "}\n"
               "\n"
               "//@ nib_c99_six_tables\n"
               "static inline void nib_c99_six_tables(uint8_t *d, const int8_t *a) {\n"
               "  for (int i = 0; i < 6 * 64; i++) {\n"
               "    const int first = i / 64 * 6, last = first + 6 < 32 ? first + 6 : 32;\n"
               "    int32_t sum = 768;\n"
               "    for (int k = first; k < last; k++)\n"
               "      sum += i >> (k - first) & 1 ? a[k] : 0;\n"
               "    sum -= 128 * (first + 6 - last);\n"
               "    d[i] = (uint8_t)(sum & 31);\n"
               "    d[i + 6 * 64] = (uint8_t)(sum >> 5);\n"
               "  }\n"
               "}\n"
               "\n"
               "//@ nib_c99_lookup64\n"
               "static inline int32_t nib_c99_lookup64(const uint8_t *table, int32_t x) {\n"
               "  uint32_t y = 0;\n"
               "  for (int i = 0; i < 4; i++)\n"
               "    y |= (uint32_t)table[(uint32_t)x >> 8 * i & 63] << 8 * i;\n"
               "  return (int32_t)y;\n"
               "}\n"
               "\n"
               "//@ nib_c99_dot8\n"
               "/* Four products of an unsigned and a signed byte. */\n"
               "static inline int32_t nib_c99_dot8(int32_t sum, int32_t a, int32_t b) {\n"
               "  for (int i = 0; i < 4; i++)\n"
               "    sum += (int32_t)((uint32_t)a >> 8 * i & 255) *\n"
               "           ((int32_t)(((uint32_t)b >> 8 * i & 255) ^ 128) - 128);\n"
               "  return sum;\n"
               "}\n",
    .lanes = 1,
    .registers = 16,
    .stage = NIB_STAGE_CODES,
    .dot_k = 1,
    .weights_i16 = false,
    .type_i32 = "int32_t",
    .type_f32 = "float",
    .type_act = "int32_t",
    .type_weight = "int32_t",
    .prims =
        {
            [NIB_PRIM_I32_SET] = "$d = $a;",
            [NIB_PRIM_I32_LOAD] = "$d = *($a);",
            [NIB_PRIM_I32_LOAD_TAIL] = "$d = *($a);",
            [NIB_PRIM_F32_SET] = "$d = $a;",
            [NIB_PRIM_F32_LOAD] = "$d = *($a);",
            [NIB_PRIM_F32_LOAD_TAIL] = "$d = *($a);",
            [NIB_PRIM_F32_STORE] = "*($a) = $b;",
            [NIB_PRIM_F32_STORE_TAIL] = "*($a) = $b;",
            [NIB_PRIM_I32_STORE] = "*($a) = $b;",
            [NIB_PRIM_I32_STORE_TAIL] = "*($a) = $b;",
            [NIB_PRIM_I8_LOAD] = "$d = *($a);",
            [NIB_PRIM_I8_LOAD_TAIL] = "$d = *($a);",
            [NIB_PRIM_U8_LOAD] = "$d = *($a);",
            [NIB_PRIM_U8_LOAD_TAIL] = "$d = *($a);",
            [NIB_PRIM_I16_LOAD] = "$d = *($a);",
            [NIB_PRIM_I16_LOAD_TAIL] = "$d = *($a);",
            [NIB_PRIM_I8_STORE] = NARROW(int8_t, -128, 127),
            [NIB_PRIM_I8_STORE_TAIL] = NARROW(int8_t, -128, 127),
            [NIB_PRIM_U8_STORE] = NARROW(uint8_t, 0, 255),
            [NIB_PRIM_U8_STORE_TAIL] = NARROW(uint8_t, 0, 255),
            [NIB_PRIM_I16_STORE] = NARROW(int16_t, -32768, 32767),
            [NIB_PRIM_I16_STORE_TAIL] = NARROW(int16_t, -32768, 32767),
            [NIB_PRIM_WEIGHT_LOAD] = "$d = *($a);",
            [NIB_PRIM_ACT_BCAST] = "$d = *($a);",
            [NIB_PRIM_DOT] = "$d += $a * $b;",
            [NIB_PRIM_MAC16] = "$d += $a * (int16_t)$b;",
            [NIB_PRIM_F32_FMA] = "$d += $a * $b;",
            [NIB_PRIM_I32_ADD] = "$d = (int32_t)((uint32_t)$a + (uint32_t)$b);",
            [NIB_PRIM_I32_SUB] = "$d = (int32_t)((uint32_t)$a - (uint32_t)$b);",
            [NIB_PRIM_I32_MUL] = "$d = (int32_t)((uint32_t)$a * (uint32_t)$b);",
            [NIB_PRIM_I32_MIN] = "$d = $a < $b ? $a : $b;",
            [NIB_PRIM_I32_MAX] = "$d = $a > $b ? $a : $b;",
            [NIB_PRIM_I32_SHL] = "$d = (int32_t)((uint32_t)$a << ($b));",
            [NIB_PRIM_RQ_TFLITE_DOUBLE] = "$d = nib_rq_tflite_double($a, $b, $c);",
            [NIB_PRIM_RQ_TFLITE_SINGLE] = "$d = nib_rq_tflite_single($a, $b, $c);",
            [NIB_PRIM_RQ_TFLITE_AWAY] = "$d = nib_rq_tflite_away($a, $b, $c);",
            [NIB_PRIM_RQ_NEAREST_EVEN] = "$d = nib_rq_nearest_even($a, $b);",
            [NIB_PRIM_RQ_NEAREST_AWAY] = "$d = nib_rq_nearest_away($a, $b);",
            [NIB_PRIM_F32_ADD] = "$d = $a + $b;",
            [NIB_PRIM_F32_SUB] = "$d = $a - $b;",
            [NIB_PRIM_F32_MUL] = "$d = $a * $b;",
            [NIB_PRIM_F32_DIV] = "$d = $a / $b;",
            [NIB_PRIM_F32_MIN] = "$d = $a < $b ? $a : $b;",
            [NIB_PRIM_F32_MAX] = "$d = $a > $b ? $a : $b;",
            [NIB_PRIM_F32_FROM_I32] = "$d = (float)$a;",
            [NIB_PRIM_I32_FROM_F32_EVEN] = "$d = nib_c99_f32_even($a);",
            [NIB_PRIM_I32_FROM_F32_AWAY] = "$d = nib_c99_f32_even(roundf($a));",
            [NIB_PRIM_LOOKUP8] = "$d = ($a)[$b];",
            /* RQ_LINEAR needs a fused multiply-add in hardware: not said here. */
            [NIB_PRIM_STAGE_I8] = "memcpy($d, $a, (size_t)($n));",
            [NIB_PRIM_STAGE_U8] = "memcpy($d, $a, (size_t)($n));",
            [NIB_PRIM_STAGE_FILL] = "memset($d, $a, (size_t)($n));",
            [NIB_PRIM_STAGE_SUM] = "$d = 0;\nfor (int32_t i = 0; i < $n; i++)\n  $d += ($a)[i];",
            [NIB_PRIM_BITS_SET] = "$d = $a;",
            [NIB_PRIM_BITS_LOAD] = "$d = *($a);",
            [NIB_PRIM_BITS_STORE] = "*($a) = $b;",
            [NIB_PRIM_BITS_COUNT_AND] = "$d += nib_c99_count($a & $b);",
            [NIB_PRIM_BITS_COUNT_XOR] = "$d += nib_c99_count($a ^ $b);",
            [NIB_PRIM_BYTES_SET] = "$d = (int32_t)($a * 0x01010101u);",
            [NIB_PRIM_BYTES_LOAD] = "$d = nib_c99_bytes($a);",
            [NIB_PRIM_BYTES_STORE] = "nib_c99_store_bytes($a, $b);",
            [NIB_PRIM_BYTES_BCAST] = "$d = nib_c99_bytes($a);",
            [NIB_PRIM_BYTES_LOOKUP] = "$d = nib_c99_lookup($a, $b);",
            [NIB_PRIM_BYTES_LOOKUP64] = "$d = nib_c99_lookup64($a, $b);",
            [NIB_PRIM_DOT8] = "$d = nib_c99_dot8($d, $a, $b);",
            [NIB_PRIM_DOT8_SUM] = "$d = (int32_t)((uint32_t)$d + (uint32_t)$a);",
            [NIB_PRIM_BYTES_AND] = "$d = $a & $b;",
            [NIB_PRIM_BYTES_OR] = "$d = $a | $b;",
            [NIB_PRIM_BYTES_ADD] = "$d = nib_c99_add_bytes($a, $b);",
            [NIB_PRIM_BYTES_XOR3] = "$d = $a ^ $b ^ $c;",
            [NIB_PRIM_BYTES_BLEND] = "$d = ($a & $c) | ($b & ~$c);",
            [NIB_PRIM_BYTES_ZIP_LOW] = "$d = nib_c99_zip($a, $b, 0);",
            [NIB_PRIM_BYTES_ZIP_HIGH] = "$d = nib_c99_zip($a, $b, 2);",
            [NIB_PRIM_BYTES_PAIRS] = "$d = nib_c99_pairs($a, $b);",
            [NIB_PRIM_DOT16] = "$d += nib_c99_dot16($a, $b);",
            [NIB_PRIM_SIX_TABLES] = "nib_c99_six_tables($d, $a);",
            [NIB_PRIM_BYTES_SHL] = "$d = (int32_t)((uint32_t)$a << ($b));",
            [NIB_PRIM_BYTES_SHR] = "$d = (int32_t)((uint32_t)$a >> ($b));",
            [NIB_PRIM_I32_SAR] = "$d = $a < 0 ? ~(~$a >> ($b)) : $a >> ($b);",
            [NIB_PRIM_F16_LOAD] = "$d = nib_f16_to_f32(*($a));",
            [NIB_PRIM_F16_LOAD_TAIL] = "$d = nib_f16_to_f32(*($a));",
            [NIB_PRIM_BF16_LOAD_TAIL] = "$d = nib_bf16_to_f32(*($a));",
            [NIB_PRIM_BF16_LOAD] = "$d = nib_bf16_to_f32(*($a));",
            [NIB_PRIM_F32_LOOKUP16] = "$d = ($a)[$b & 15];",
            [NIB_PRIM_F16_STORE] = "*($a) = nib_f32_to_f16($b);",
            [NIB_PRIM_F16_STORE_TAIL] = "*($a) = nib_f32_to_f16($b);",
            [NIB_PRIM_BF16_STORE] = "*($a) = nib_f32_to_bf16($b);",
            [NIB_PRIM_BF16_STORE_TAIL] = "*($a) = nib_f32_to_bf16($b);",
            [NIB_PRIM_F32_LARGEST] = "$d = $a;",
            [NIB_PRIM_F32_SUM] = "$d = $a;",
            [NIB_PRIM_F32_FIRST] = "$d = $a;",
            [NIB_PRIM_F32_WHERE] = "$d = $a ? $b : $c;",
            [NIB_PRIM_F32_EXP] = "$d = expf($a);",
            [NIB_PRIM_PREFETCH] = "",
        },
    .dot_cycles = 1.0,
    .fma_cycles = 1.0,
    .mac16_cycles = 1.0,
    .requant_cycles = 8.0,
    .elementwise_cycles = 2.0,
    .bit_words = 1,
    .type_bits = "uint64_t",
    .bit_count_cycles = 5.0,
    .dot8_cycles = 6.0,
};

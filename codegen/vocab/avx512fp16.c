/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * AVX512-FP16: 32 lanes of FP16, stored, multiplied and summed. Reals alone. */
#include "vocab/vocab.h"
#include "vocab/x86.h"

#define TARGET "__attribute__((target(\"avx512f,avx512bw,avx512dq,avx512vl,avx512fp16\")))"
/* Keeps a product from being fused into a following addition: results must not depend on that. */
#define KEEP(x) "__asm__(\"\" : \"+v\"(" x "));"
/* Halves in memory are uint16_t to the rest of the code. */
#define INCLUDES                                                                                   \
  "#include <immintrin.h>\n"                                                                       \
  "__extension__ typedef _Float16 nib_avx512fp16_half;\n"
#define INLINE TARGET "\nstatic inline "
#define MASK "(__mmask32)((1u << ($n)) - 1u)"

static const char support[] =
    "//@ nib_avx512fp16_fma\n"
    "/* The empty statement keeps gcc from copying the accumulator. */\n" INLINE
    "__m512h nib_avx512fp16_fma(__m512h sum, __m512h a, __m512h b) {\n"
    "  sum = _mm512_fmadd_ph(a, b, sum);\n"
    "#ifndef __clang__\n"
    "  " KEEP(
        "sum") "\n"
               "#endif\n"
               "  return sum;\n"
               "}\n"
               "\n"
               "//@ nib_avx512fp16_total\n"
               "/* d + the even + the odd lanes of a sum. */\n" INLINE
               "__m512 nib_avx512fp16_total(__m512 d, __m512h sum) {\n"
               "  static const uint16_t places[32] = {0, 2,  4,  6,  8,  10, 12, 14, 16, 18, 20,\n"
               "                                      22, 24, 26, 28, 30, 1,  3,  5,  7,  9,  11,\n"
               "                                      13, 15, 17, 19, 21, 23, 25, 27, 29, 31};\n"
               "  const __m512i apart = _mm512_permutexvar_epi16(_mm512_loadu_si512((const void "
               "*)places),\n"
               "                                                 _mm512_castph_si512(sum));\n"
               "  const __m512 even = _mm512_cvtph_ps(_mm512_castsi512_si256(apart));\n"
               "  const __m512 odd = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(apart, 1));\n"
               "  return _mm512_add_ps(d, _mm512_add_ps(even, odd));\n"
               "}\n"
               "\n"
               "//@ nib_avx512fp16_stage_twice\n"
               "/* n halves at a, each twice. */\n" INLINE
               "void nib_avx512fp16_stage_twice(uint32_t *d, const uint16_t *a, int32_t n) {\n"
               "  static const uint16_t places[64] = {\n"
               "      0,  0,  1,  1,  2,  2,  3,  3,  4,  4,  5,  5,  6,  6,  7,  7,\n"
               "      8,  8,  9,  9,  10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15,\n"
               "      16, 16, 17, 17, 18, 18, 19, 19, 20, 20, 21, 21, 22, 22, 23, 23,\n"
               "      24, 24, 25, 25, 26, 26, 27, 27, 28, 28, 29, 29, 30, 30, 31, 31};\n"
               "  const __m512i twice = _mm512_loadu_si512((const void *)places);\n"
               "  const __m512i high = _mm512_loadu_si512((const void *)(places + 32));\n"
               "  int32_t i = 0;\n"
               "  for (; i + 32 <= n; i += 32) {\n"
               "    const __m512i x = _mm512_loadu_si512((const void *)(a + i));\n"
               "    _mm512_storeu_si512((void *)(d + i), _mm512_permutexvar_epi16(twice, x));\n"
               "    _mm512_storeu_si512((void *)(d + i + 16), _mm512_permutexvar_epi16(high, x));\n"
               "  }\n"
               "  if (i < n) {\n"
               "    const uint32_t rest = (UINT32_C(1) << (n - i)) - 1;\n"
               "    const __m512i x = _mm512_maskz_loadu_epi16((__mmask32)rest, a + i);\n"
               "    _mm512_mask_storeu_epi32((void *)(d + i), (__mmask16)rest,\n"
               "                             _mm512_permutexvar_epi16(twice, x));\n"
               "    _mm512_mask_storeu_epi32((void *)(d + i + 16), (__mmask16)(rest >> 16),\n"
               "                             _mm512_permutexvar_epi16(high, x));\n"
               "  }\n"
               "}\n";

#define FEATURES                                                                                   \
  (NIB_FEATURE_BIT(AVX512F) | NIB_FEATURE_BIT(AVX512BW) | NIB_FEATURE_BIT(AVX512DQ) |              \
   NIB_FEATURE_BIT(AVX512VL) | NIB_FEATURE_BIT(AVX512FP16))

/* Two of K to a column: as many columns as FP32 has, for layers of few channels, with the same work
 * in each product. Sums end, and all else is done, in FP32. */
extern const nib_vocab nib_vocab_avx512vnni;
static const nib_vocab pairs = {
    .name = "avx512fp16pairs",
    .description = "AVX-512 with FP16 products of two of K, 16 lanes",
    .requires_ = FEATURES | NIB_FEATURE_BIT(AVX512VNNI) | NIB_FEATURE_BIT(FMA),
    .function_attr =
        "__attribute__((target(\"avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512fp16,fma\")))",
    .includes = INCLUDES,
    .support = support,
    .base = &nib_vocab_avx512vnni,
    .lanes = 16,
    .registers = 32,
    .stage = NIB_STAGE_U8,
    .dot_k = 4,
    .half_k = 2,
    .type_real = "uint16_t",
    .type_half = "__m512h",
    .type_sum = "__m512h",
    .type_i32 = "__m512i",
    .type_f32 = "__m512",
    .type_act = "__m512i",
    .type_weight = "__m512i",
    .prims =
        {
            [NIB_PRIM_HALF_LOAD] = "$d = _mm512_loadu_ph($a);",
            [NIB_PRIM_HALF_GROUP] =
                "$d = _mm512_castsi512_ph(_mm512_broadcastd_epi32(_mm_loadu_si32($a)));",
            [NIB_PRIM_HALF_LAST] = "$d = _mm512_castsi512_ph(_mm512_set1_epi32((int32_t)*($a)));",
            [NIB_PRIM_HALF_FMA_SCALAR] = "$d = nib_avx512fp16_fma($d, $a, $b);",
            [NIB_PRIM_SUM_ZERO] = "$d = _mm512_setzero_ph();",
            [NIB_PRIM_SUM_TOTAL] = "$d = nib_avx512fp16_total($d, $a);",
        },
    /* All but products of FP16 is for avx512vnni to do. */
    .dot_cycles = 0.51,
    .fma_cycles = 0.505,
    .mac16_cycles = 1.01,
    .requant_cycles = 2.01,
    .elementwise_cycles = 2.01,
};

/* Broadcasting 16 bits from memory takes a shuffle, which shares a port with products; 32 bits take
 * a load alone. So convolutions stage each activation twice. */
const nib_vocab nib_vocab_avx512fp16 = {
    .name = "avx512fp16",
    .description = "AVX-512 with FP16 arithmetic, 32 lanes of FP16",
    .requires_ = FEATURES,
    .function_attr = TARGET,
    .includes = INCLUDES,
    .support = support,
    .lanes = 32,
    .registers = 32,
    .stage = NIB_STAGE_CODES,
    .dot_k = 1,
    .real_f16 = true,
    .type_real = "uint16_t",
    .type_i32 = "int32_t",
    .type_f32 = "__m512h",
    .type_act = "int32_t",
    .type_weight = "int32_t",
    .prims =
        {
            [NIB_PRIM_F32_SET] = "$d = _mm512_set1_ph((nib_avx512fp16_half)($a));",
            [NIB_PRIM_F32_LOAD] = "$d = _mm512_loadu_ph($a);",
            [NIB_PRIM_F32_LOAD_TAIL] =
                "$d = _mm512_castsi512_ph(_mm512_maskz_loadu_epi16(" MASK ", $a));",
            [NIB_PRIM_F32_STORE] = "_mm512_storeu_ph($a, $b);",
            [NIB_PRIM_F32_STORE_TAIL] =
                "_mm512_mask_storeu_epi16((void *)($a), " MASK ", _mm512_castph_si512($b));",
            [NIB_PRIM_F32_FMA] = "$d = nib_avx512fp16_fma($d, $a, $b);",
            [NIB_PRIM_F32_ADD] = "$d = _mm512_add_ph($a, $b);",
            [NIB_PRIM_F32_SUB] = "$d = _mm512_sub_ph($a, $b);",
            [NIB_PRIM_F32_MUL] = "$d = _mm512_mul_ph($a, $b);\n" KEEP("$d"),
            [NIB_PRIM_F32_DIV] = "$d = _mm512_div_ph($a, $b);",
            [NIB_PRIM_F32_MIN] = "$d = _mm512_min_ph($a, $b);",
            [NIB_PRIM_F32_MAX] = "$d = _mm512_max_ph($a, $b);",
            [NIB_PRIM_STAGE_TWICE] = "nib_avx512fp16_stage_twice($d, $a, $n);",
            [NIB_PRIM_F32_TWICE] = "$d = _mm512_castsi512_ph(_mm512_set1_epi32((int32_t)*($a)));",
            [NIB_PRIM_PREFETCH] = NIB_X86_PREFETCH,
            [NIB_PRIM_PREFETCH_HERE] = NIB_X86_PREFETCH_HERE,
        },
    .dot_cycles = 1000,
    .fma_cycles = 0.52, /* staging, and rows twice as long: pairs of K are faster where K is long */
    .mac16_cycles = 1000,
    .requant_cycles = 1000,
    .elementwise_cycles = 2.0,
    .next = &pairs,
};

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "cuda_stub.h"

#define DEVICE "static inline __attribute__((device)) "
#define TAIL(statement) "if (nib_cuda_lane() < ($n))\n  " statement
#define TAIL_LOAD "$d = nib_cuda_lane() < ($n) ? ($a)[nib_cuda_lane()] : 0;"
#define LOAD "$d = ($a)[nib_cuda_lane()];"
#define STORE "($a)[nib_cuda_lane()] = $b;"
#define NARROW(type, low, high)                                                                    \
  "($a)[nib_cuda_lane()] = (" #type ")nib_cuda_clamp($b, " #low ", " #high ");"

static const char support[] =
    "//@ nib_cuda_lane\n" DEVICE "int nib_cuda_lane(void) {\n"
    "  return __nvvm_read_ptx_sreg_tid_x();\n"
    "}\n"
    "\n"
    "//@ nib_cuda_clamp\n" DEVICE "int32_t nib_cuda_clamp(int32_t x, int32_t low, int32_t high) {\n"
    "  return x < low ? low : x > high ? high : x;\n"
    "}\n"
    "\n"
    "//@ nib_cuda_rq_tflite_double\n" DEVICE
    "int32_t nib_cuda_rq_tflite_double(int32_t x, int32_t multiplier, int32_t shift) {\n"
    "  const int32_t left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;\n"
    "  const int64_t product = (int64_t)(int32_t)((uint32_t)x << left) * multiplier;\n"
    "  const int32_t high = (int32_t)((product + (INT64_C(1) << 30)) >> 31);\n"
    "  const int64_t half = right ? INT64_C(1) << (right - 1) : 0;\n"
    "  return (int32_t)((high + half - (right && high < 0)) >> right);\n"
    "}\n"
    "\n"
    "//@ nib_cuda_dot4\n"
    "/* Four unsigned by four signed bytes. */\n" DEVICE
    "int32_t nib_cuda_dot4(int32_t sum, uint32_t a, uint32_t b) {\n"
    "  int32_t d;\n"
    "  __asm__(\"dp4a.u32.s32 %0, %1, %2, %3;\" : \"=r\"(d) : \"r\"(a), \"r\"(b), \"r\"(sum));\n"
    "  return d;\n"
    "}\n";

const nib_vocab nib_vocab_cuda_stub = {
    .name = "cuda_stub",
    .description = "one value per thread of a warp",
    .requires_ = 0,
    .function_attr = "extern \"C\" __attribute__((global))",
    .includes = "",
    .support = support,
    .lanes = 32,
    .registers = 64,
    .stage = NIB_STAGE_U8,
    .dot_k = 4,
    .weights_i16 = false,
    .type_i32 = "int32_t",
    .type_f32 = "float",
    .type_act = "uint32_t",
    .type_weight = "uint32_t",
    .prims =
        {
            [NIB_PRIM_I32_SET] = "$d = $a;",
            [NIB_PRIM_I32_LOAD] = LOAD,
            [NIB_PRIM_I32_LOAD_TAIL] = TAIL_LOAD,
            [NIB_PRIM_F32_SET] = "$d = $a;",
            [NIB_PRIM_F32_LOAD] = LOAD,
            [NIB_PRIM_F32_LOAD_TAIL] = TAIL_LOAD,
            [NIB_PRIM_F32_STORE] = STORE,
            [NIB_PRIM_F32_STORE_TAIL] = TAIL(STORE),
            [NIB_PRIM_I32_STORE] = STORE,
            [NIB_PRIM_I32_STORE_TAIL] = TAIL(STORE),
            [NIB_PRIM_I8_LOAD] = LOAD,
            [NIB_PRIM_I8_LOAD_TAIL] = TAIL_LOAD,
            [NIB_PRIM_U8_LOAD] = LOAD,
            [NIB_PRIM_U8_LOAD_TAIL] = TAIL_LOAD,
            [NIB_PRIM_I8_STORE] = NARROW(int8_t, -128, 127),
            [NIB_PRIM_I8_STORE_TAIL] = TAIL(NARROW(int8_t, -128, 127)),
            [NIB_PRIM_U8_STORE] = NARROW(uint8_t, 0, 255),
            [NIB_PRIM_U8_STORE_TAIL] = TAIL(NARROW(uint8_t, 0, 255)),
            [NIB_PRIM_DOT] = "$d = nib_cuda_dot4($d, $a, $b);",
            [NIB_PRIM_F32_FMA] = "$d = __builtin_fmaf($a, $b, $d);",
            [NIB_PRIM_I32_ADD] = "$d = $a + $b;",
            [NIB_PRIM_I32_SUB] = "$d = $a - $b;",
            [NIB_PRIM_I32_MUL] = "$d = $a * $b;",
            [NIB_PRIM_I32_MIN] = "$d = $a < $b ? $a : $b;",
            [NIB_PRIM_I32_MAX] = "$d = $a > $b ? $a : $b;",
            [NIB_PRIM_I32_SHL] = "$d = (int32_t)((uint32_t)$a << ($b));",
            [NIB_PRIM_RQ_TFLITE_DOUBLE] = "$d = nib_cuda_rq_tflite_double($a, $b, $c);",
            [NIB_PRIM_F32_ADD] = "$d = $a + $b;",
            [NIB_PRIM_F32_SUB] = "$d = $a - $b;",
            [NIB_PRIM_F32_MUL] = "$d = $a * $b;",
            [NIB_PRIM_F32_MAX] = "$d = $a > $b ? $a : $b;",
            [NIB_PRIM_F32_MIN] = "$d = $a < $b ? $a : $b;",
            [NIB_PRIM_F32_FROM_I32] = "$d = (float)$a;",
        },
    .dot_cycles = 1.0,
    .fma_cycles = 1.0,
    .mac16_cycles = 1.0,
    .requant_cycles = 8.0,
    .elementwise_cycles = 1.0,
};

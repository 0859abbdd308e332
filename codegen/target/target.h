/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Targets: NAME{(+|,)[+|-]feature}, LLVM's spellings. */
#ifndef NIB_TARGET_TARGET_H
#define NIB_TARGET_TARGET_H

#include "nib_status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* NIB_FEATURE(ID, name, ours): `ours` features are unknown to LLVM and never passed to clang. */
#define NIB_FEATURES(X)                                                                            \
  X(SSE41, "sse4.1", false)                                                                        \
  X(AVX, "avx", false)                                                                             \
  X(AVX2, "avx2", false)                                                                           \
  X(FMA, "fma", false)                                                                             \
  X(F16C, "f16c", false)                                                                           \
  X(AVX512F, "avx512f", false)                                                                     \
  X(AVX512BW, "avx512bw", false)                                                                   \
  X(AVX512DQ, "avx512dq", false)                                                                   \
  X(AVX512VL, "avx512vl", false)                                                                   \
  X(AVX512CD, "avx512cd", false)                                                                   \
  X(AVX512VNNI, "avx512vnni", false)                                                               \
  X(AVX512VBMI, "avx512vbmi", false)                                                               \
  X(AVX512FP16, "avx512fp16", false)                                                               \
  X(AVXVNNI, "avxvnni", false)                                                                     \
  X(CUDA, "cuda", true)       /* NVIDIA's GPUs: mma.sync, cp.async (sm_80) */                      \
  X(CUDA_FP8, "cuda-fp8", true) /* FP8 operands of mma.sync (sm_89) */                             \
  X(WGMMA, "wgmma", true)     /* wgmma, TMA, setmaxnreg (sm_90a) */

typedef enum nib_feature {
#define X(ID, name, ours) NIB_FEATURE_##ID,
  NIB_FEATURES(X)
#undef X
      NIB_FEATURE_COUNT
} nib_feature;

typedef uint64_t nib_feature_set; /**< bit i: nib_feature i */
#define NIB_FEATURE_BIT(ID) ((nib_feature_set)1 << NIB_FEATURE_##ID)

/** What the cost model knows of a processor. Rows of one table in target.c. */
typedef struct nib_machine {
  double ghz;
  int vector_bytes;                 /**< widest register */
  int vector_registers;
  double l1_bytes, l2_bytes, l3_bytes;
  double l1_bytes_per_cycle, l2_bytes_per_cycle, l3_bytes_per_cycle, dram_bytes_per_cycle;
} nib_machine;

typedef struct nib_target {
  char spec[256];            /**< as the user wrote it, normalised: "x86-64-v4+avx512vnni" */
  const char *name;          /**< row name: "c99", "x86-64-v4", … */
  const char *triple;        /**< for clang; NULL: the host's default */
  const char *cpu;           /**< clang -march value, NULL for none */
  nib_feature_set features;  /**< after adding and taking away */
  nib_machine machine;
} nib_target;

/** Parses a target spec. "native" is read off the host's processor. Unknown names and features give
 *  NIB_ERROR_INVALID_USAGE and a message listing what exists. */
nib_status nib_target_parse(const char *spec, nib_target *out_target, const nib_diag *diag);
/** Whether `target` is a GPU of CUDA's. */
bool nib_target_is_cuda(const nib_target *target);
/** Whether this host can execute code for `target` (triple and all features present). */
bool nib_target_runs_here(const nib_target *target);
const char *nib_feature_name(nib_feature feature);
/** Unknown to LLVM: never passed to clang. */
bool nib_feature_is_ours(nib_feature feature);
/** Rows for `nibc targets`: i-th target name, its one-line description and implied features; false
 *  past the end. */
bool nib_target_row(size_t i, const char **out_name, const char **out_description,
                    nib_feature_set *out_features);

#ifdef __cplusplus
}
#endif
#endif

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

/** Families of processors. A target takes the features of its own. */
typedef enum nib_arch { NIB_ARCH_ANY, NIB_ARCH_X86, NIB_ARCH_CUDA, NIB_ARCH_RISCV } nib_arch;

/* X(ID, name, family, ours): `ours` features are unknown to LLVM and never passed to clang. */
#define NIB_FEATURES(X)                                                                            \
  X(SSE41, "sse4.1", X86, false)                                                                   \
  X(AVX, "avx", X86, false)                                                                        \
  X(AVX2, "avx2", X86, false)                                                                      \
  X(FMA, "fma", X86, false)                                                                        \
  X(F16C, "f16c", X86, false)                                                                      \
  X(AVX512F, "avx512f", X86, false)                                                                \
  X(AVX512BW, "avx512bw", X86, false)                                                              \
  X(AVX512DQ, "avx512dq", X86, false)                                                              \
  X(AVX512VL, "avx512vl", X86, false)                                                              \
  X(AVX512CD, "avx512cd", X86, false)                                                              \
  X(AVX512VNNI, "avx512vnni", X86, false)                                                          \
  X(AVX512VBMI, "avx512vbmi", X86, false)                                                          \
  X(AVX512FP16, "avx512fp16", X86, false)                                                          \
  X(AVXVNNI, "avxvnni", X86, false)                                                                \
  X(CUDA, "cuda", CUDA, true)         /* NVIDIA's GPUs: mma.sync, cp.async (sm_80) */              \
  X(CUDA_FP8, "cuda-fp8", CUDA, true) /* FP8 operands of mma.sync (sm_89) */                       \
  X(WGMMA, "wgmma", CUDA, true)       /* wgmma, TMA, setmaxnreg (sm_90a) */                        \
  X(F, "f", RISCV, false)                                                                          \
  X(D, "d", RISCV, false)                                                                          \
  X(ZFHMIN, "zfhmin", RISCV, false) /* conversions of FP16 */                                      \
  X(ZFH, "zfh", RISCV, false)       /* FP16 arithmetic */                                          \
  X(ZFINX, "zfinx", RISCV, false)   /* floats in integer registers */                              \
  X(ZHINX, "zhinx", RISCV, false)   /* FP16 arithmetic there */                                    \
  X(V, "v", RISCV, false)           /* vectors of any length, at least 128 bits */                 \
  X(ZVFHMIN, "zvfhmin", RISCV, false)                                                              \
  X(ZVFH, "zvfh", RISCV, false) /* FP16 vectors */                                                 \
  X(ZVL128B, "zvl128b", RISCV,                                                                     \
    false) /* vectors of exactly so many bits, the most that is given */                           \
  X(ZVL256B, "zvl256b", RISCV, false)                                                              \
  X(ZVL512B, "zvl512b", RISCV, false)                                                              \
  X(ZVL1024B, "zvl1024b", RISCV, false)                                                            \
  X(ZVQDOTQ, "zvqdotq", RISCV, false)            /* dot products of 4 bytes (experimental) */      \
  X(XTHEADVDOT, "xtheadvdot", RISCV, false)      /* the same, T-Head's */                          \
  X(XANDESVDOT, "xandesvdot", RISCV, false)      /* the same, Andes' */                            \
  X(XFVECMIN, "xfvecmin", RISCV, true)           /* two FP16 in an integer register */             \
  X(XFVEC, "xfvec", RISCV, true)                 /* and products by one FP16 for both */           \
  X(VFDOTPEX, "vfdotpex", RISCV, true)           /* their dot product in FP32; funct3 0 */         \
  X(VFDOTPEX2, "vfdotpex-funct3-2", RISCV, true) /* the same, encoded with funct3 2 */             \
  X(VFCPKA, "vfcpka", RISCV, true)               /* two FP32 packed into them */

typedef enum nib_feature {
#define X(ID, name, arch, ours) NIB_FEATURE_##ID,
  NIB_FEATURES(X)
#undef X
      NIB_FEATURE_COUNT
} nib_feature;

typedef uint64_t nib_feature_set; /**< bit i: nib_feature i */
#define NIB_FEATURE_BIT(ID) ((nib_feature_set)1 << NIB_FEATURE_##ID)

/** What the cost model knows of a processor. Rows of one table in target.c. */
typedef struct nib_machine {
  double ghz;
  int vector_bytes; /**< widest register */
  int vector_registers;
  double l1_bytes, l2_bytes, l3_bytes;
  double l1_bytes_per_cycle, l2_bytes_per_cycle, l3_bytes_per_cycle, dram_bytes_per_cycle;
} nib_machine;

typedef struct nib_target {
  char spec[256];     /**< as the user wrote it, normalised: "x86-64-v4+avx512vnni" */
  const char *name;   /**< row name: "c99", "x86-64-v4", … */
  const char *triple; /**< for clang; NULL: the host's default */
  const char *cpu;    /**< clang -march value (RISC-V: without features, see
                           nib_target_march), NULL for none */
  nib_arch arch;
  int32_t xlen;             /**< RISC-V: 32 or 64 */
  bool bare_metal;          /**< no operating system: nothing to link but what is given */
  nib_feature_set features; /**< after adding and taking away */
  nib_machine machine;
} nib_target;

/** Parses a target spec. "native" is read off the host's processor. Unknown names and features give
 *  NIB_ERROR_INVALID_USAGE and a message listing what exists. */
nib_status nib_target_parse(const char *spec, nib_target *out_target, const nib_diag *diag);
/** Whether `target` is a GPU of CUDA's. */
bool nib_target_is_cuda(const nib_target *target);
bool nib_target_is_riscv(const nib_target *target);
/** Whether reals are computed by a library, with integers. */
bool nib_target_lacks_reals(const nib_target *target);
/** What a RISC-V target's features add up to: "rv64imafdc_zfh_v_zvl256b", and its calling
 * convention, "lp64d". Features of ours are left out. */
void nib_target_march(const nib_target *target, char *out_text, size_t capacity);
const char *nib_target_abi(const nib_target *target);
/** The vector length that a RISC-V target fixes (+zvl256b) in bits; 0: any, or no vectors. */
int32_t nib_target_vlen(const nib_target *target);
/** Whether this host can execute code for `target` (triple and all features present). */
bool nib_target_runs_here(const nib_target *target);
const char *nib_feature_name(nib_feature feature);
nib_arch nib_feature_arch(nib_feature feature);
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

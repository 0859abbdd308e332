/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Products of cuBLASLt, found at run time: y[m, n] = x[m, k] w[n, k]^T. */
#ifndef NIB_BENCH_CUDA_CUBLASLT_H
#define NIB_BENCH_CUDA_CUBLASLT_H

#include "driver.h"

typedef struct lt_product lt_product;

/** Loads the library; false after a message where there is none. */
bool lt_open(void);
/** Types are "bf16", "f16", "f8e4m3", "i8", of the result also "i32". NULL where there is no
 * algorithm. */
lt_product *lt_create(const char *type, const char *result, int64_t m, int64_t n, int64_t k,
                      device_pointer workspace, size_t workspace_bytes);
/** Algorithms that the heuristics offer, best guess first. */
int lt_algorithms(const lt_product *p);
/** 0, or a status of cuBLAS. */
int lt_run(const lt_product *p, int algorithm, device_pointer x, device_pointer w, device_pointer y,
           void *stream);
void lt_destroy(lt_product *p);

#endif

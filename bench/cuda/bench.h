/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * nib-cuda-bench: its two halves, which may run on different machines. */
#ifndef NIB_BENCH_CUDA_BENCH_H
#define NIB_BENCH_CUDA_BENCH_H

#include "nib_status.h"

#include <stdbool.h>

typedef struct bench_options {
  const char *folder, *only; /**< only: names of cases, separated by commas, or NULL */
  const char *json;          /**< file for the results, or NULL */
  bool alone;                /**< without cuBLASLt */
  bool sources;              /**< write .cu files alone */
  bool clang;                /**< compile with clang and ptxas instead of nvcc */
  int rounds;
  nib_diag diag;
} bench_options;

int bench_compile(const bench_options *o);
int bench_run(const bench_options *o);

#endif

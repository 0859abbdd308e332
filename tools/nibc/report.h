/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What was asked and what was done: the table after a compilation and --report's JSON. */
#ifndef NIBC_REPORT_H
#define NIBC_REPORT_H

#include "cuda.h"
#include "session.h"

#include <stdio.h>

/** Sizes measured in the compiled objects; -1: not compiled. */
typedef struct nibc_code_size {
  int64_t code_bytes, weights_bytes;
  int64_t text_bytes, rodata_bytes, data_bytes; /**< of RISC-V: what a linker script has to place */
  int64_t stack_bytes;  /**< of RISC-V: at most, within the generated code */
  char *undefined;      /**< symbols that something else has to define, "memcpy memset" */
  nibc_cuda_build cuda; /**< of a CUDA target */
} nibc_code_size;
#define NIBC_NOT_MEASURED                                                                          \
  ((nibc_code_size){-1, -1, -1, -1, -1, -1, NULL, {.ptx_bytes = -1, .cubin_bytes = -1}})

/** One line per kernel, then arena, weights and code. */
void nibc_report_print(FILE *to, const nibc_session *session, const nibc_code_size *size);
/** Writes --report's file. */
nib_status nibc_report_write(const char *path, const nibc_session *session,
                             const nibc_code_size *size);
/** NIB_ERROR_LIMIT, with one message per operator, when --no-fallback is given and an operator's
 *  realised precision is not the requested one, or the arena exceeds --max-arena. */
nib_status nibc_report_check_limits(const nibc_session *session);

/** Multiply-accumulates and compulsory bytes of nodes of `g`; 0 when they have no description. */
void nibc_count_work(const nib_graph *g, const int32_t *nodes, int32_t n, int64_t *out_macs,
                     int64_t *out_bytes);
/** Bytes of the constants that nodes of `g` read, as selected kernels keep them. */
int64_t nibc_count_weights(const nib_graph *g);
/** "1,234,567" in a value. */
typedef struct nibc_number_text {
  char text[32];
} nibc_number_text;
nibc_number_text nibc_number(int64_t value);

#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * nibc run --count: the instructions of one run of a RISC-V model. */
#ifndef NIBC_COUNT_H
#define NIBC_COUNT_H

#include "session.h"

typedef struct nibc_counts {
  uint64_t instructions; /**< from entry to return of NAME_run, by the processor's counter */
  uint64_t stack_bytes;  /**< how deep the stack was */
  bool has_parts;        /**< the emulator takes plugins: what follows is known */
  uint64_t weighted;     /**< a vector instruction counts as the registers that it works on */
  uint64_t *kernels;     /**< per kernel of the plan: instructions, weighted ones */
  int32_t n_kernels;
} nibc_counts;

/** Writes the plugin's plan for `dir`/model.elf. *out_plugin: the argument of -plugin (free()), or
 *  NULL where the plugin is not installed. */
nib_status nibc_count_plan(const nibc_session *session, const char *dir, char **out_plugin);
/** Reads what the plugin has counted. `counts` has what the program said itself. */
nib_status nibc_count_read(const nibc_session *session, const char *dir, nibc_counts *counts);
void nibc_counts_free(nibc_counts *counts);
/** A table, or with --json one line. */
void nibc_count_print(const nibc_session *session, const nibc_counts *counts, int64_t runs);

#endif

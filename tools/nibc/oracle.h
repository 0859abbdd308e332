/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What results are compared with: the reference evaluator; for a network of floats in double, and
 * in f32 beside it, to know how far f32 arithmetic itself strays. */
#ifndef NIBC_ORACLE_H
#define NIBC_ORACLE_H

#include "compare.h"
#include "reference/reference.h"

typedef struct nibc_oracle {
  const nib_graph *graph;
  nib_reference *exact;
  nib_reference *single; /**< f32; NULL unless the network is one of floats */
} nibc_oracle;

/** `graph` must outlive it. Free it after success and failure alike. */
nib_status nibc_oracle_create(const nib_graph *graph, bool is_float, nibc_oracle *out_oracle);
void nibc_oracle_free(nibc_oracle *oracle);
nib_status nibc_oracle_run(const nibc_oracle *oracle, const void *const *inputs);
/** Adds `got`, which should be the graph's tensor `id` of the last run. */
void nibc_oracle_compare(const nibc_oracle *oracle, int32_t id, const void *got, int64_t run,
                         nibc_tally *tally);
/** Bytes of a tensor after a run (f32 from double is rounded). */
const void *nibc_oracle_tensor(const nibc_oracle *oracle, int32_t id);

#endif

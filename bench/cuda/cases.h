/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What nib-cuda-bench measures: matrix products, each in the schedules and tiles worth comparing.
 */
#ifndef NIB_BENCH_CUDA_CASES_H
#define NIB_BENCH_CUDA_CASES_H

#include "emit/constants.h"
#include "graph/graph.h"
#include "schedule/schedule.h"
#include "target/target.h"

/** One product: activations [m, k] by weights [n, k]. */
typedef struct bench_case {
  const char *name;
  const char *activations, *weights; /**< formats; of quantized ones scales are chosen here */
  int64_t m, n, k;
  const char *peer;     /**< types of cuBLASLt's product: "bf16", "f16", "f8e4m3", "i8" */
  const char *schedule; /**< to measure no other; NULL: all that accept it */
  int max_tiles;        /**< of those that each schedule offers; 0: the first */
  const int32_t (*more)[NIB_MAX_TILE]; /**< and further ones, up to one of zeros; or NULL */
  const char *decode;                  /**< of weights: "operand", or NULL */
  const char *than; /**< an earlier case whose time is compared with this one's, or NULL */
} bench_case;

const bench_case *bench_case_at(int i); /**< NULL past the end */

/** Whether it is one of `names`, separated by commas; NULL: all are. */
bool bench_case_is_wanted(const bench_case *c, const char *names);

/** A kernel of a case: the i-th tile of a schedule. */
typedef struct bench_kernel {
  char symbol[128]; /**< of its function, and the stem of its files */
  const nib_schedule *schedule;
  int32_t tile[NIB_MAX_TILE];
  nib_launch launch;
  int64_t scratch_bytes;
  nib_text source; /**< the .cu file */
  nib_constants *constants;
} bench_kernel;

/** The graph of a case, with weights from a seed: one kernel, not yet selected. NULL when out of
 * memory. */
nib_graph *bench_case_graph(const bench_case *c);
/** The same with `n_rows` rows of activations, and only some channels: for the reference. */
nib_graph *bench_case_sample(const bench_case *c, const nib_graph *whole, const int64_t *channels,
                             int n_channels, int n_rows);

/** Writes the index-th kernel of the case. NIB_ERROR_INVALID_USAGE: there are fewer. The caller
 * frees it. */
nib_status bench_kernel_write(const bench_case *c, nib_graph *g, int index, bench_kernel *out,
                              const nib_diag *diag);
void bench_kernel_free(bench_kernel *k);

/** Fills a tensor's storage with random numbers that suit its format. */
void bench_fill(nib_format format, void *data, int64_t elems, uint64_t seed);

#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What the parts of nib-bench share. */
#ifndef NIB_BENCH_BENCH_H
#define NIB_BENCH_BENCH_H

#include "file_io.h"
#include "graph/graph.h"
#include "options.h"
#include "session.h"
#include "target/target.h"

/** A graph of `copies` kernels that each are kernel `k` of `g`, grouped as it is there; they share
 *  inputs and constants and each has an output. NULL after a message. */
nib_graph *bench_cut(const nib_graph *g, const nib_kernel *k, int copies);

/** The target by its features (free()): "native" would mean nothing on another machine. */
char *bench_spell_target(const nib_target *target);
/** One write of one line (NULL: out of memory), so that lines of several writers do not mix. */
nib_status bench_append(const char *path, const char *line);

/** Kernels whose candidates were measured, so that equal ones of other models are passed over. */
typedef struct bench_seen {
  uint64_t *hashes;
  size_t n, capacity;
} bench_seen;

/** Measures up to `most` candidates of each kernel of the model and appends a sample for each to
 *  `samples` (NULL: prints only). A kernel that cannot be compiled does not stop the others, but
 * the status tells. */
nib_status bench_candidates(const nibc_options *options, int most, const char *samples,
                            bench_seen *seen);

#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What goes into a model and comes out of it: arrays matched with the model's tensors, one run or a
 * batch of runs. */
#ifndef NIBC_FEED_H
#define NIBC_FEED_H

#include "npy.h"
#include "options.h"

/** How an array relates to the tensor it feeds. */
typedef enum nibc_batch {
  NIBC_BATCH_NONE,  /**< one run: the exact shape, or flat with the exact count */
  NIBC_BATCH_EXTRA, /**< [N, shape…] */
  NIBC_BATCH_FIRST, /**< N in place of a leading 1 */
} nibc_batch;

typedef struct nibc_feed {
  int n;              /**< arrays: inputs of the model, or outputs */
  nibc_array *arrays; /**< each holds `runs` tensors one after the other */
  int64_t runs;
  nibc_batch batch;
} nibc_feed;

/** Runs that `array` holds for `tensor`; 0 if the shapes do not go together. */
int64_t nibc_feed_match(const nibc_array *array, const nib_tensor *tensor, nibc_batch *out_batch);

/** Reads files for tensors[0..n) of `g`, checking types and shapes. `what`: "input" or "expected
 *  output". All must hold the same number of runs. */
nib_status nibc_feed_read(const nib_graph *g, const int32_t *tensors, int n, const nibc_list *files,
                          const char *what, nibc_feed *out_feed);
/** The same step by step: room for n arrays; then, array `i` filled, its check against its tensor
 * and the runs of those before it. */
nib_status nibc_feed_begin(nibc_feed *out_feed, int n);
nib_status nibc_feed_accept(nibc_feed *feed, int i, const nib_tensor *tensor, const char *path,
                            const char *what);
/** Room for `runs` results of the graph's outputs, shaped as the inputs' batch says. */
nib_status nibc_feed_for_tensors(const nib_graph *g, const int32_t *tensors, int n, int64_t runs,
                                 nibc_batch batch, nibc_feed *out_feed);
void nibc_feed_free(nibc_feed *feed);

/** The bytes of array `i` for run `run`. */
void *nibc_feed_at(const nibc_feed *feed, int i, int64_t run);

/** Data made up for a tensor: run 0 has the lowest value everywhere, run 1 the highest, others
 * random ones that depend on `run` and the tensor's size alone. Reals, in any format, are in [-1,
 * 1]. */
void nibc_fill(const nib_tensor *tensor, int64_t run, void *out_data);

/** Aligned copies of one run, as the compiled model wants them. */
typedef struct nibc_buffers {
  int n;
  void **at;
} nibc_buffers;
nib_status nibc_buffers_create(const nib_graph *g, const int32_t *tensors, int n,
                               nibc_buffers *out_buffers);
void nibc_buffers_free(nibc_buffers *b);

#endif

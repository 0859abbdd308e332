/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Where a planned tensor lives when the generated model runs. */
#ifndef NIB_EMIT_STORAGE_H
#define NIB_EMIT_STORAGE_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum nib_storage_kind {
  NIB_STORAGE_NONE,     /**< the plan gave it no place */
  NIB_STORAGE_INPUT,    /**< the caller's input buffer `index` */
  NIB_STORAGE_OUTPUT,   /**< the caller's output buffer `index` */
  NIB_STORAGE_ARENA,    /**< `offset` bytes into the arena */
  NIB_STORAGE_CONSTANT, /**< the data of tensor `index` */
} nib_storage_kind;

typedef struct nib_storage {
  nib_storage_kind kind;
  int32_t index;
  int64_t offset;
} nib_storage;

/** Views share the storage of what they view; a graph output without a place in the arena lives in
 *  the caller's buffer. */
nib_storage nib_storage_of(const nib_graph *g, int32_t tensor);

/** Whether two tensors share bytes. */
bool nib_storage_overlaps(const nib_graph *g, int32_t a, int32_t b);
/** Whether any of `tensors` shares bytes with `other`. */
bool nib_storage_overlaps_any(const nib_graph *g, const int32_t *tensors, int32_t n, int32_t other);

#ifdef __cplusplus
}
#endif
#endif

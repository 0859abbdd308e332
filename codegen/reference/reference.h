/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The portable reference: evaluates a graph operator by operator, as its source defines it. It is
 * the oracle of every kernel; clarity before speed. */
#ifndef NIB_REFERENCE_REFERENCE_H
#define NIB_REFERENCE_REFERENCE_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nib_reference nib_reference;

/** Prepares buffers for every tensor of `g` (which must outlive it). */
nib_status nib_reference_create(const nib_graph *g, nib_reference **out_reference,
                                const nib_diag *diag);
void nib_reference_destroy(nib_reference *r);
/** f32 tensors are computed and kept in double between operators when on (default off). */
void nib_reference_use_double(nib_reference *r, bool on);
/** Called after each operator of a run with its result, which it may overwrite for the operators
 *  that follow; NULL takes it away. */
typedef void nib_reference_observer(void *context, int32_t tensor, void *bytes);
void nib_reference_observe(nib_reference *r, nib_reference_observer *observer, void *context);
/** Runs once. inputs[i] holds nib_tensor_bytes of graph input i. */
nib_status nib_reference_run(nib_reference *r, const void *const *inputs, const nib_diag *diag);
/** Bytes of any tensor after a run (with use_double, f32 tensors are rounded on reading). */
const void *nib_reference_tensor(nib_reference *r, int32_t tensor);
/** Elements of an f32 tensor in double after a run with use_double; NULL otherwise. */
const double *nib_reference_doubles(const nib_reference *r, int32_t tensor);
/** Names of the operators that have a reference kernel: false means exit 4. */
bool nib_reference_supports(const nib_graph *g, int32_t node);

#ifdef __cplusplus
}
#endif
#endif

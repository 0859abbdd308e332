/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The only decision interface: predicted time of a kernel description on a target. */
#ifndef NIB_COST_COST_H
#define NIB_COST_COST_H

#include "desc/kernel_desc.h"
#include "target/target.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nib_cost {
  double ns;                                 /**< predicted time of one execution, warm caches */
  double compute_ns, memory_ns, overhead_ns; /**< what it is made of */
} nib_cost;

typedef struct nib_cost_model nib_cost_model;

/** "analytic", or the path of a learned model (NIB_ERROR_UNSUPPORTED until there are any). */
nib_status nib_cost_model_open(const char *spec, nib_cost_model **out_model, const nib_diag *diag);
void nib_cost_model_close(nib_cost_model *model);
/** Thread-safe for one open model. */
nib_status nib_cost_predict(const nib_cost_model *model, const nib_kernel_desc *desc,
                            const nib_target *target, nib_cost *out_cost);

/** Cycles of m rows by n columns of k_bytes along K by warpgroups of a GPU: tile[0] x tile[1]
 * elements of the result in clusters of tile[2] blocks. Schedules order their tiles by it. */
double nib_cost_warpgroup_cycles(double m, double n, double k_bytes,
                                 const int32_t tile[NIB_MAX_TILE], double processors);

/** From the cost of a kernel to that of the same kernel cut into parts for threads, the largest of
 *  which has `share` of the work. */
void nib_cost_cut(const nib_target *target, double share, nib_cost *cost);

#ifdef __cplusplus
}
#endif
#endif

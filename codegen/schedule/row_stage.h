/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Schedules that can also run a few output rows at a time, from rows of their input in a buffer
 * into rows of a buffer: the stages of row_chain. */
#ifndef NIB_SCHEDULE_ROW_STAGE_H
#define NIB_SCHEDULE_ROW_STAGE_H

#include "schedule/schedule.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Which rows a step reads and writes. The step at output row `top`, a multiple of `rows`, writes
 *  rows [top, top + rows), and reads rows [top * stride - pad, … + span) as far as they exist. */
typedef struct nib_row_shape {
  int64_t in_h, out_h, out_w;
  int64_t rows, stride, pad, span;
  bool pointwise; /**< takes whole rows as one: kernel->tile[2] pixels of `rows` rows together */
  bool counts;    /**< keeps `next`, the input row to stage next, from step to step */
} nib_row_shape;

/** Rows that a buffer holds, row r at place r % n; 0: all rows of the tensor are there. */
typedef struct nib_row_rings {
  int64_t in, out;
} nib_row_rings;

typedef struct nib_row_stage {
  const nib_schedule *schedule;
  /** False where it cannot run by rows. kernel->tile[2] is set where the operator is pointwise. */
  bool (*shape)(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                nib_row_shape *out_shape);
  /** Packs constants. The caller closes *out_stage, also where this failed. */
  nib_status (*open)(nib_emitter *e, const nib_kernel *kernel, nib_row_rings rings,
                     void **out_stage);
  void (*emit_begin)(void *stage); /**< once, before all steps; NULL: nothing */
  void (*emit_step)(void *stage);  /**< in the scope of `top`, and of `next` where it counts */
  void (*close)(void *stage);
} nib_row_stage;

extern const nib_row_stage nib_row_stage_conv, nib_row_stage_quads, nib_row_stage_depthwise,
    nib_row_stage_pool;

#ifdef __cplusplus
}
#endif
#endif

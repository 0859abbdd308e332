/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * How conv_rows is cut for threads. */
#ifndef NIB_SCHEDULE_CONV_CUT_H
#define NIB_SCHEDULE_CONV_CUT_H

#include "pack/pack.h"
#include "schedule/stage_rows.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What threads share: output rows, panels of output channels, or tiles of pixels of a single row.
 */
typedef enum nib_conv_cut {
  NIB_CUT_NONE,
  NIB_CUT_ROWS,
  NIB_CUT_PANELS,
  NIB_CUT_PIXELS
} nib_conv_cut;

/** The evenest cut into `parts` of a kernel in tiles of `pixels`, and its units. */
nib_conv_cut nib_conv_choose_cut(const nib_conv_walk *w, const nib_stage *stage, int64_t pixels,
                                 int64_t parts, int64_t *out_units);

#ifdef __cplusplus
}
#endif
#endif

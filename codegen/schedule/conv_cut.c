// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How conv_rows is cut for threads.
#include "schedule/conv_cut.h"

#include "schedule/conv_formats.h"

/* Parts of panels each stage all rows, which counts as a share. Of equal ones
 * rows, then what divides the larger of weights and activations, so that each thread reads less of
 * it. */
nib_conv_cut nib_conv_choose_cut(const nib_conv_walk *w, const nib_stage *stage, int64_t pixels,
                                 int64_t parts, int64_t *out_units) {
  const nib_conv_shape *s = &w->shape;
  const int64_t panels = s->groups == 1 ? w->full_panels + (w->last_columns > 0) : 1;
  const bool single_row = !nib_pack_has_phases(w) && s->out_h == 1 && s->batch == 1 &&
                          s->kernel_h == 1 && s->kernel_w == 1 && stage->pixels == stage->copied;
  const int64_t tiles = single_row ? (s->out_w + pixels - 1) / pixels : 1;
  const bool heavy = w->group_elems > s->in_h * s->in_w * s->in_c;
  const double shares[] = {
      [NIB_CUT_NONE] = 1.0,
      [NIB_CUT_ROWS] = nib_conv_largest_share(s->out_h, parts),
      [NIB_CUT_PANELS] = nib_conv_largest_share(panels, parts) + (stage->direct ? 0.0 : 0.05) +
                         (heavy ? 1e-3 : 2e-3),
      [NIB_CUT_PIXELS] = nib_conv_largest_share(tiles, parts) + (heavy ? 2e-3 : 1e-3),
  };
  const int64_t units[] = {1, s->out_h, panels, tiles};
  nib_conv_cut best = NIB_CUT_NONE;
  for (nib_conv_cut i = NIB_CUT_ROWS; i <= NIB_CUT_PIXELS; i++)
    best = shares[i] < shares[best] ? i : best;
  *out_units = units[best];
  return best;
}

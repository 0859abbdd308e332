/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What conv_rows fetches ahead of its use: a core that multiplies sees too few loads ahead to
 * stream what comes from beyond its second-level cache. */
#ifndef NIB_SCHEDULE_CONV_FETCH_H
#define NIB_SCHEDULE_CONV_FETCH_H

#include "pack/pack.h"
#include "schedule/stage_rows.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Second-level caches hold no more. */
enum { NIB_CONV_NEAR_BYTES = 3 << 19 };

typedef struct nib_conv_fetch {
  bool weights; /**< those of later steps */
  int64_t
      row_elems; /**< of the next row's pixels, what each panel fetches of each pixel; 0: nothing */
  int64_t panel_lines; /**< of the next panel, what a tile fetches in each step, if it is among the
                          first panel_tiles of a row; 0: nothing */
  int64_t panel_tiles;
} nib_conv_fetch;

/** What pays for tiles of `pixels` pixels whose packed weights are `weight_bytes`. */
nib_conv_fetch nib_conv_fetch_plan(const nib_vocab *v, const nib_conv_walk *w, const nib_stage *s,
                                   int64_t pixels, int64_t weight_bytes);
/** Where register `n` of a step's weights is loaded, from `w`. */
void nib_conv_fetch_weights(nib_emitter *e, const nib_conv_fetch *f, const nib_conv_walk *w,
                            int64_t n);
/** Behind these `columns` registers: one row also touches a page that it reads well later. */
void nib_conv_fetch_page(nib_emitter *e, const nib_conv_fetch *f, const nib_conv_walk *w,
                         int64_t columns);
/** At the top of tiles of `columns` registers and `pixels` pixels from x, of the panel at `panel`
 * and channel c, whose weights begin at `weights`: from where the steps of this tile fetch. */
void nib_conv_fetch_open(nib_emitter *e, const nib_conv_fetch *f, const nib_conv_walk *w,
                         int64_t columns, int64_t pixels, const char *weights);
/** In a step: its share of the next panel. */
void nib_conv_fetch_panel(nib_emitter *e, const nib_conv_fetch *f);
/** At the top of a tile of `pixels` pixels from x and of the panel at channel c: its share of the
 * row that is staged next. */
void nib_conv_fetch_row(nib_emitter *e, const nib_conv_fetch *f, const nib_conv_walk *w,
                        int64_t pixels);

#ifdef __cplusplus
}
#endif
#endif

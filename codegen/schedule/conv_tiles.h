/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Tiles of pixels by registers of output channels for `conv_rows`. */
#ifndef NIB_SCHEDULE_CONV_TILES_H
#define NIB_SCHEDULE_CONV_TILES_H

#include "pack/pack.h"
#include "schedule/schedule.h"

enum { NIB_CONV_MOST_PIXELS = 16, NIB_CONV_MOST_COLUMNS = 8 };

/** Tiles that fit the registers, the fastest first: pixels, registers of channels, 0, and 1 where
 * the taps of a row are taken together. `w` is the walk of one register of channels. Returns how
 * many, at most `capacity`. */
int nib_conv_tiles(const nib_vocab *v, const nib_conv_walk *w, int32_t (*out_tiles)[NIB_MAX_TILE],
                   int capacity);
/** Columns of the input under a tile's pixels. */
int64_t nib_conv_columns_under(const nib_conv_shape *s, int64_t pixels);
/** Whether tiles of so many pixels leave no rest but in a shorter last row. */
bool nib_conv_divides_rows(const nib_conv_walk *w, int64_t pixels);

#endif

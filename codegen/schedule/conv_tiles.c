/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "schedule/conv_tiles.h"

#include <stdlib.h>
#include <string.h>

enum { n_columns = 6 };

int64_t nib_conv_columns_under(const nib_conv_shape *s, int64_t pixels) {
  return (pixels - 1) * s->stride_w + (s->kernel_w - 1) * s->dilation_w + 1;
}

/* Cycles of a tile in one kernel row: dot products, loads at two a cycle, and the latency of the
 * chain. A tile by taps takes the taps of a row together. */
static double step_cycles(const nib_vocab *v, const nib_conv_walk *w, bool by_taps, int64_t pixels,
                          int64_t columns) {
  const int64_t taps = by_taps ? w->segments : 1;
  const int64_t loaded = by_taps ? nib_conv_columns_under(&w->shape, pixels) : pixels;
  const double dots =
      (double)(taps * pixels * columns) * (w->is_float ? v->fma_cycles : v->dot_cycles) +
      (w->codes > 1 ? (double)columns * nib_vocab_unpack_cycles(v, w->codes, pixels == 1) : 0.0);
  if (v->in_order) { /* a scalar load for each activation, and weights that are widened */
    const double weights = (double)(taps * columns) * v->dot_cycles;
    return (dots + (double)loaded + weights + 0.5) *
           (double)(by_taps ? w->steps : w->segments * w->steps);
  }
  const double loads = (double)loaded * 0.5 + (double)(taps * columns) * 0.5 / (double)w->codes;
  const double latency = (v->lanes > 1 ? 5.0 : 1.0) * (double)taps;
  const double busy = dots > loads ? dots : loads;
  const double steps = (double)(by_taps ? w->steps : w->segments * w->steps);
  return ((busy > latency ? busy : latency) + 1.0) * steps;
}

static double tile_cycles(const nib_vocab *v, const nib_conv_walk *w, bool by_taps, int64_t pixels,
                          int64_t columns) {
  const int64_t panels = (w->group_out + columns * w->lanes - 1) / (columns * w->lanes);
  const int64_t all = (w->shape.out_h - 1) * w->shape.out_w + w->last_w;
  const int64_t rest = w->last_w % pixels;
  const int64_t rests = rest == 0 ? 0 : w->last_w < w->shape.out_w ? 1 : w->shape.out_h;
  const double full =
      (double)((all - rests * rest) / pixels) * step_cycles(v, w, by_taps, pixels, columns);
  const double tail = rests ? (double)rests * step_cycles(v, w, by_taps, rest, columns) : 0.0;
  return (double)panels * (full + tail);
}

typedef struct choice {
  double cost;
  int32_t pixels, columns, by_taps;
} choice;

static int compare_choices(const void *a, const void *b) {
  const choice *x = a, *y = b;
  if (x->cost != y->cost)
    return x->cost < y->cost ? -1 : 1;
  return y->pixels * y->columns - x->pixels * x->columns;
}

bool nib_conv_divides_rows(const nib_conv_walk *w, int64_t pixels) {
  return w->last_w == w->shape.out_w || w->shape.out_w % pixels == 0;
}

/* Tiles of one walk that fit the registers, appended to `choices`. */
static int weigh_tiles(const nib_vocab *v, const nib_conv_walk *w, bool by_taps, choice *choices,
                       int n) {
  static const int32_t columns[] = {1, 2, 3, 4, 6, NIB_CONV_MOST_COLUMNS};
  const int64_t all_columns = (w->group_out + w->lanes - 1) / w->lanes;
  /* Compilers spill when a tile takes the last registers: a tenth stays free. */
  const int32_t usable = v->registers - v->registers / 10;
  const int32_t taps = by_taps ? (int32_t)w->segments : 1;
  /* Codes that share bytes: these and a mask; of a single pixel sums for each place in half a byte,
   * and masks. */
  const int32_t held = w->codes > 1 ? 1 : 0;
  for (int i = 0; i < n_columns && (i == 0 || columns[i] <= all_columns); i++)
    for (int32_t pixels = 1; pixels <= w->shape.out_w && pixels <= NIB_CONV_MOST_PIXELS; pixels++) {
      const int32_t places = w->codes > 1 && pixels == 1 ? (int32_t)w->codes / 2 : 1;
      if ((pixels * places + taps + held) * columns[i] + places + held <= usable &&
          nib_conv_divides_rows(w, pixels))
        choices[n++] =
            (choice){tile_cycles(v, w, by_taps, pixels, columns[i]), pixels, columns[i], by_taps};
    }
  return n;
}

/* Whether taking the taps of a row together, each input column loaded once for all, multiplies no
 * more. */
static bool gains_by_taps(const nib_vocab *v, const nib_conv_walk *w, nib_conv_walk *out_split) {
  *out_split = *w;
  if (w->codes > 1 || w->segments != 1 || w->shape.kernel_w < 2 || w->shape.kernel_w > 8 ||
      v->lanes < 2)
    return false;
  nib_pack_split_taps(out_split);
  return out_split->segments * out_split->steps <= w->steps;
}

int nib_conv_tiles(const nib_vocab *v, const nib_conv_walk *w, int32_t (*out_tiles)[NIB_MAX_TILE],
                   int capacity) {
  nib_conv_walk split;
  choice choices[2 * NIB_CONV_MOST_PIXELS * n_columns];
  int n = weigh_tiles(v, w, false, choices, 0);
  if (gains_by_taps(v, w, &split))
    n = weigh_tiles(v, &split, true, choices, n);
  qsort(choices, (size_t)n, sizeof *choices, compare_choices);
  n = n < capacity ? n : capacity;
  for (int i = 0; i < n; i++) {
    memset(out_tiles[i], 0, sizeof out_tiles[i]);
    out_tiles[i][0] = choices[i].pixels;
    out_tiles[i][1] = choices[i].columns;
    out_tiles[i][3] = choices[i].by_taps;
    out_tiles[i][4] = w->codes > 1 ? (int32_t)w->codes : 0;
  }
  return n;
}

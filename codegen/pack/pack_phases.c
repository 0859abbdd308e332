/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Transposed convolutions as convolutions of stride 1 (nib_conv_phases).
 *
 * Along one dimension, input i adds tap k to result i * stride + k - pad. Of the results Y * stride
 * + phase, those are the taps k = least, least + stride, … where least = (phase + pad) % stride, of
 * inputs Y + (phase + pad) / stride and before: a window whose rows, in the order of the input,
 * have the taps from the greatest down. */
#include "pack/pack_phases.h"

/* One dimension of a transposed convolution. */
typedef struct axis {
  int64_t stride, pad, kernel, out;
} axis;

/* What the results of a phase read: `taps` inputs from place `first` after Y, the first of which is
 * multiplied by tap `tap`. */
typedef struct window {
  int64_t first, taps, tap;
} window;

static window window_of(const axis *a, int64_t phase) {
  const int64_t least = (phase + a->pad) % a->stride;
  const int64_t taps = a->kernel > least ? (a->kernel - least + a->stride - 1) / a->stride : 0;
  return (window){(phase + a->pad) / a->stride - taps + 1, taps, least + (taps - 1) * a->stride};
}

/* Phases from `phase` up to the answer read the same window, and have as many results. Windows
 * change where the first tap does, and where the last does. */
static int64_t same_until(const axis *a, int64_t phase) {
  const int64_t first = a->stride - a->pad % a->stride;
  const int64_t changes[] = {first, (a->kernel + first) % a->stride, a->out % a->stride};
  int64_t end = a->out < a->stride ? a->out : a->stride;
  for (int i = 0; i < 3; i++)
    end = changes[i] > phase && changes[i] < end ? changes[i] : end;
  return end;
}

/* The window of all phases, which begins no later than Y. */
static window window_of_all(const axis *a) {
  int64_t first = 0, last = 0;
  for (int64_t phase = 0; phase < a->stride && phase < a->out; phase = same_until(a, phase)) {
    const window w = window_of(a, phase);
    const int64_t end = w.first + w.taps - 1;
    first = w.taps && w.first < first ? w.first : first;
    last = w.taps && end > last ? end : last;
  }
  return (window){first, last - first + 1, 0};
}

static axis rows_of(const nib_conv_phases *p) {
  return (axis){p->stride_h, p->pad_top, p->filter_h, p->out_h};
}

/* Also of folded ones. */
static axis columns_of(const nib_conv_phases *p) {
  return (axis){p->stride_w * p->fold, p->pad_left, p->filter_w, p->out_w * p->fold};
}

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

static bool has_gaps(const axis *a) {
  const window all = window_of_all(a);
  bool gaps = false;
  for (int64_t phase = 0; phase < a->stride && phase < a->out; phase = same_until(a, phase)) {
    const window w = window_of(a, phase);
    gaps = gaps || w.taps != all.taps || w.first != all.first;
  }
  return gaps;
}

/* Along the rows of transposed convolution `n`. */
static axis across_of(const nib_conv_shape *s) {
  return (axis){s->stride_w, s->pad_left, s->kernel_w, s->out_w};
}

bool nib_pack_may_fold(const nib_graph *g, const nib_node *n, const nib_vocab *v) {
  if (n->op != NIB_OP_TRANSPOSE_CONV2D)
    return false;
  nib_conv_shape s;
  nib_params_conv_shape(g, n, &s);
  const axis across = across_of(&s);
  return s.stride_w > 1 && s.out_w % s.stride_w == 0 &&
         (!has_gaps(&across) || nib_pack_weight_zero(g, n, v, 1) == 0);
}

int64_t nib_pack_best_fold(const nib_graph *g, const nib_node *n, const nib_vocab *v) {
  if (!nib_pack_may_fold(g, n, v))
    return 0;
  nib_conv_shape s;
  nib_params_conv_shape(g, n, &s);
  const axis across = across_of(&s);
  int64_t apart = 0;
  for (int64_t phase = 0, end; phase < across.stride; phase = end) {
    end = same_until(&across, phase);
    apart += (end - phase) * window_of(&across, phase).taps * ceil_div(s.out_c, v->lanes);
  }
  const int64_t folded = window_of_all(&across).taps * ceil_div(s.out_c * s.stride_w, v->lanes);
  return folded < apart ? s.stride_w : 0;
}

void nib_pack_transpose_shape(nib_conv_shape *s, int64_t fold, nib_conv_phases *p) {
  const axis across = across_of(s);
  const window columns = window_of_all(&across);
  *p = (nib_conv_phases){.stride_h = s->stride_h,
                         .stride_w = s->stride_w / fold,
                         .out_h = s->out_h,
                         .out_w = s->out_w / fold,
                         .filter_h = s->kernel_h,
                         .filter_w = s->kernel_w,
                         .pad_top = s->pad_top,
                         .pad_left = s->pad_left,
                         .fold = fold};
  const axis down = rows_of(p);
  const window rows = window_of_all(&down);
  s->out_c *= fold;
  s->out_h = ceil_div(p->out_h, p->stride_h);
  s->out_w = ceil_div(p->out_w, p->stride_w);
  s->stride_h = s->stride_w = 1;
  s->kernel_h = rows.taps;
  s->kernel_w = columns.taps;
  s->pad_top = -rows.first;
  s->pad_left = -columns.first;
  s->pad_bottom = s->out_h - 1 + rows.taps - s->pad_top - s->in_h;
  s->pad_right = s->out_w - 1 + columns.taps - s->pad_left - s->in_w;
}

bool nib_pack_has_gaps(const nib_conv_walk *w) {
  const axis across = columns_of(&w->phases);
  return w->phases.fold > 1 && has_gaps(&across);
}

int64_t nib_pack_channel(const nib_conv_walk *w, int64_t o) {
  return w->phases.fold > 1 ? o % (w->shape.out_c / w->phases.fold) : o;
}

int64_t nib_pack_tap(const nib_conv_walk *block, int64_t phase, int64_t o, int64_t y, int64_t x) {
  const nib_conv_phases *p = &block->phases;
  const int64_t tap_y = p->tap_y + phase / p->columns - y * p->stride_h;
  if (p->fold == 1)
    return tap_y * p->filter_w + p->tap_x + phase % p->columns - x * p->stride_w;
  const axis across = columns_of(p);
  const window w = window_of(&across, o / (block->shape.out_c / p->fold));
  const int64_t at = x - block->shape.pad_left - w.first;
  return at < 0 || at >= w.taps ? -1 : tap_y * p->filter_w + w.tap - at * p->fold;
}

bool nib_pack_has_phases(const nib_conv_walk *w) {
  return w->phases.stride_h > 1 || w->phases.stride_w > 1;
}

int64_t nib_pack_phase_count(const nib_conv_walk *block) {
  const nib_conv_phases *p = &block->phases;
  return p->rows > 0 ? p->rows * p->columns : 1;
}

int64_t nib_pack_part_count(const nib_conv_walk *block) {
  return block->shape.groups * nib_pack_phase_count(block);
}

/* The phases of a row from `x` on that are walked alike, up to *out_until, and what they read. */
static window columns_from(const nib_conv_walk *w, int64_t x, int64_t *out_until) {
  const axis across = columns_of(&w->phases);
  *out_until = w->phases.fold > 1 ? 1 : same_until(&across, x);
  return w->phases.fold > 1 ? window_of_all(&across) : window_of(&across, x);
}

/* The block of the phases from (y, x) on. */
static nib_conv_walk block_at(const nib_conv_walk *w, int64_t y, int64_t x) {
  nib_conv_walk b = *w;
  nib_conv_phases *p = &b.phases;
  const axis down = rows_of(p);
  int64_t until;
  const window rows = window_of(&down, y), columns = columns_from(w, x, &until);
  const bool reached = rows.taps > 0 && columns.taps > 0;
  p->y = y;
  p->x = x;
  p->rows = same_until(&down, y) - y;
  p->columns = until - x;
  p->first_row = reached ? rows.first + w->shape.pad_top : 0;
  p->first_column = reached ? columns.first + w->shape.pad_left : 0;
  p->tap_y = rows.tap;
  p->tap_x = columns.tap;
  b.shape.out_h = ceil_div(p->out_h - y, p->stride_h);
  b.shape.out_w = b.last_w = ceil_div(p->out_w - x, p->stride_w);
  b.shape.kernel_h = reached ? rows.taps : 0;
  b.shape.kernel_w = reached ? columns.taps : 0;
  nib_pack_fit_run(&b, w->segments > 1);
  return b;
}

int nib_pack_blocks(const nib_conv_walk *w, nib_conv_walk *out_blocks) {
  const nib_conv_phases *p = &w->phases;
  int n = 0;
  if (p->filter_h == 0) {
    *out_blocks = *w;
    return 1;
  }
  for (int64_t y = 0; y < p->stride_h && y < p->out_h; y += out_blocks[n - 1].phases.rows)
    for (int64_t x = 0; x < p->stride_w && x < p->out_w; x += out_blocks[n - 1].phases.columns)
      out_blocks[n++] = block_at(w, y, x);
  return n;
}

nib_conv_walk nib_pack_largest_block(const nib_conv_walk *w) {
  nib_conv_walk blocks[NIB_CONV_MOST_BLOCKS];
  const int n = nib_pack_blocks(w, blocks);
  int best = 0;
  for (int i = 1; i < n; i++)
    if (blocks[i].shape.kernel_h * blocks[i].run > blocks[best].shape.kernel_h * blocks[best].run)
      best = i;
  return blocks[best];
}

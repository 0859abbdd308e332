/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "pack/pack.h"

#include "num/code_value.h"
#include "pack/pack_phases.h"

#include <stdlib.h>
#include <string.h>

/* ---- how a convolution is walked ---- */

bool nib_pack_is_pointwise(const nib_conv_shape *s) {
  return s->kernel_h == 1 && s->kernel_w == 1 && s->stride_h == 1 && s->stride_w == 1 &&
         s->pad_top == 0 && s->pad_left == 0 && s->pad_bottom == 0 && s->pad_right == 0;
}

/* Pixels of a row when P pixels of a pointwise operator are walked in equal rows. Portable code
 * saves memory: one row is staged at a time, a sixteenth of what the operator reads and writes is
 * little beside its buffers, and fewer than 4 pixels would starve the micro-kernel. */
static int64_t thrifty_row(int64_t pixels, int64_t pixel_bytes, int64_t operand_bytes) {
  enum { least_bytes = 1024, least_pixels = 4 };
  const int64_t budget = operand_bytes / 16 > least_bytes ? operand_bytes / 16 : least_bytes;
  int64_t fits = 1;
  for (int64_t d = 1; d <= pixels && d * pixel_bytes <= budget; ++d)
    fits = pixels % d == 0 ? d : fits;
  while (fits < least_pixels && fits < pixels) {
    ++fits;
    while (pixels % fits != 0)
      ++fits;
  }
  return fits;
}

/* The same for vector code: every row walks all weights, so rows are long, yet stay in the second
 * level of the caches beside a panel of weights; in the first, where weights are few. Many tiles
 * divide NIB_ROW_UNIT; the last row may be shorter. */
static int64_t cached_row(int64_t pixels, int64_t pixel_bytes, int64_t weight_bytes,
                          int64_t threads) {
  enum { few_weights = 1024, near_bytes = 8 * 1024, far_bytes = 192 * 1024, least_pixels = 48 };
  int64_t fits = (weight_bytes <= few_weights ? near_bytes : far_bytes) / pixel_bytes;
  fits = fits > least_pixels ? fits : least_pixels;
  if (pixels <= fits)
    return pixels;
  int64_t rows = (pixels + fits - 1) / fits;
  if (threads > 1)
    rows = (rows + threads - 1) / threads * threads; /* they share the rows evenly */
  const int64_t even = (pixels + rows - 1) / rows;
  return (even + NIB_ROW_UNIT - 1) / NIB_ROW_UNIT * NIB_ROW_UNIT;
}

static void flatten(nib_conv_walk *w, const nib_tensor *x, const nib_tensor *y, const nib_vocab *v,
                    int64_t threads, int64_t wanted) {
  nib_conv_shape *s = &w->shape;
  const bool twice = nib_vocab_prim(v, NIB_PRIM_STAGE_TWICE) != NULL;
  const int64_t real_bytes = nib_vocab_multiplies_f16(v) && !twice ? 2 : 4;
  const int64_t stage_bytes = nib_params_is_real(x->format) ? real_bytes
                              : v->stage == NIB_STAGE_I16   ? 2
                                                            : 1;
  const int64_t pixels = s->batch * s->out_h * s->out_w, pixel_bytes = s->in_c * stage_bytes;
  const int64_t operand_bytes = (int64_t)(nib_tensor_bytes(x) + nib_tensor_bytes(y));
  const int64_t row = wanted > 0 ? wanted
                      : v->lanes > 1
                          ? cached_row(pixels, pixel_bytes, pixel_bytes * s->out_c, threads)
                          : thrifty_row(pixels, pixel_bytes, operand_bytes);
  s->in_w = s->out_w = row;
  s->in_h = s->out_h = (pixels + row - 1) / row;
  s->batch = 1;
  w->last_w = pixels - (s->out_h - 1) * row;
}

int64_t nib_pack_row_elems(const nib_conv_walk *w, int64_t columns) {
  return w->segments * w->steps / w->codes * columns * w->lanes * w->dot_k;
}

static void cut_panels(nib_conv_walk *w) {
  const int64_t of_register = w->dot_k * w->codes;
  w->steps = (w->run + of_register - 1) / of_register * w->codes;
  const int64_t panel = w->columns * w->lanes;
  w->full_panels = w->group_out / panel;
  const int64_t rest = w->group_out % panel;
  w->last_columns = (rest + w->lanes - 1) / w->lanes;
  w->last_tail = rest % w->lanes;
  w->panel_elems = w->shape.kernel_h * nib_pack_row_elems(w, w->columns);
  w->last_panel_elems = w->shape.kernel_h * nib_pack_row_elems(w, w->last_columns);
  w->group_elems = w->full_panels * w->panel_elems + w->last_panel_elems;
}

void nib_pack_fit_run(nib_conv_walk *w, bool split) {
  const nib_conv_shape *s = &w->shape;
  const bool contiguous = !split && s->groups == 1 && (s->dilation_w == 1 || s->kernel_w == 1);
  w->segments = contiguous ? 1 : s->kernel_w;
  w->run = contiguous ? s->kernel_w * s->in_c : w->group_in;
  cut_panels(w);
}

void nib_pack_walk(const nib_graph *g, const nib_node *n, const nib_vocab *v, int64_t columns,
                   nib_conv_walk *out_walk) {
  nib_pack_walk_in_rows(g, n, v, columns, 0, out_walk);
}

void nib_pack_walk_in_rows(const nib_graph *g, const nib_node *n, const nib_vocab *v,
                           int64_t columns, int64_t row, nib_conv_walk *out_walk) {
  nib_conv_walk *w = out_walk;
  memset(w, 0, sizeof *w);
  nib_conv_shape *s = &w->shape;
  nib_params_conv_shape(g, n, s);
  w->is_float = nib_params_is_real(nib_node_input(g, n, 0)->format);
  w->transposed = n->op == NIB_OP_DEPTHWISE_CONV2D;
  if (w->transposed)
    s->groups = s->multiplier = 1;
  w->phases = (nib_conv_phases){.stride_h = 1, .stride_w = 1};
  if (n->op == NIB_OP_TRANSPOSE_CONV2D)
    nib_pack_transpose_shape(s, row > 1 && nib_pack_may_fold(g, n, v) ? s->stride_w : 1,
                             &w->phases);
  w->last_w = s->out_w;
  if (nib_pack_is_pointwise(s) && !nib_pack_has_phases(w) && w->phases.fold <= 1) {
    w->phases =
        (nib_conv_phases){.stride_h = 1, .stride_w = 1}; /* a single tap stays in its place */
    flatten(w, nib_node_input(g, n, 0), &g->tensors[n->out], v, g->threads, row);
  }
  w->group_in = s->in_c / s->groups;
  w->group_out = s->out_c / s->groups;
  w->pitch = s->dilation_w * s->in_c;
  w->dot_k = !w->is_float ? v->dot_k : v->half_k ? v->half_k : 1;
  w->lanes = v->lanes;
  w->columns = columns;
  w->codes = 1;
  nib_pack_fit_run(w, false);
}

void nib_pack_share_bytes(nib_conv_walk *w, int64_t codes) {
  w->codes = codes;
  cut_panels(w);
}

void nib_pack_split_taps(nib_conv_walk *w) { nib_pack_fit_run(w, true); }

/* ---- reading weights ---- */

typedef struct weights {
  const nib_tensor *t;
  const nib_conv_walk *walk;
  int64_t kernel_h, kernel_w, in_c, out_c; /* in_c: of a group */
  bool transposed;
  int64_t phase; /* that is read */
} weights;

static weights weights_of(const nib_graph *g, const nib_node *n, const nib_conv_walk *w) {
  return (weights){.t = nib_node_input(g, n, 1),
                   .walk = w,
                   .kernel_h = w->shape.kernel_h,
                   .kernel_w = w->shape.kernel_w,
                   .in_c = w->group_in,
                   .out_c = w->shape.out_c,
                   .transposed = w->transposed};
}

/* -1: there is none. */
static int64_t weight_index(const weights *w, int64_t o, int64_t y, int64_t x, int64_t c) {
  const nib_conv_phases *p = &w->walk->phases;
  if (w->transposed)
    return (y * w->kernel_w + x) * w->out_c + o;
  if (!p->filter_h)
    return ((o * w->kernel_h + y) * w->kernel_w + x) * w->in_c + c;
  const int64_t tap = nib_pack_tap(w->walk, w->phase, o, y, x);
  const int64_t taps = p->filter_h * p->filter_w, channel = nib_pack_channel(w->walk, o);
  return tap < 0 ? -1 : (channel * taps + tap) * w->in_c + c;
}

/* The number of a code of up to 8 bits, each in a byte of its own. */
static int64_t number_at(const nib_tensor *t, int64_t i) {
  if (t->format == NIB_I8 || nib_format_get(t->format)->kind == NIB_KIND_SIGNED)
    return ((const int8_t *)t->data)[i];
  return t->format == NIB_U8 ? ((const uint8_t *)t->data)[i]
                             : nib_format_value_of(t->format, ((const uint8_t *)t->data)[i]);
}

/* That of a weight less `zero`; 0 where there is none. */
static int64_t weight_less(const weights *w, int64_t index, int64_t zero) {
  return index < 0 ? 0 : number_at(w->t, index) - zero;
}

int64_t nib_pack_zero(const nib_tensor *t) { return t->quantized ? t->zero_point : 0; }

/* Whether every weight minus its zero point lies in [least, most]. Asked for every candidate: no
 * branches in the loop over the bytes, which are ordered as if unsigned by `flip`. */
static bool weights_within(const nib_tensor *t, int64_t least, int64_t most) {
  const int64_t zero = nib_pack_zero(t), elems = nib_tensor_elems(t);
  const nib_format_info *f = nib_format_get(t->format);
  int64_t least_number, most_number;
  nib_format_value_range(t->format, &least_number, &most_number);
  if (least_number - zero >= least && most_number - zero <= most)
    return true;
  if (f->bits < 8 || !t->data)
    return false;
  const uint8_t *bytes = t->data, flip = t->format == NIB_U8 ? 0 : 0x80;
  uint8_t low = UINT8_MAX, high = 0;
  for (int64_t i = 0; i < elems; i++) {
    const uint8_t b = bytes[i] ^ flip;
    low = b < low ? b : low;
    high = b > high ? b : high;
  }
  return elems == 0 || (low + f->min - zero >= least && high + f->min - zero <= most);
}

bool nib_pack_fits_i8(const nib_tensor *t) { return weights_within(t, INT8_MIN, INT8_MAX); }

bool nib_pack_fits_signs(const nib_tensor *t) { return weights_within(t, -INT8_MAX, INT8_MAX); }

bool nib_pack_fits_two(const nib_tensor *t) {
  return weights_within(t, 2 * INT8_MIN, 2 * INT8_MAX);
}

nib_shared_codes nib_pack_shared_codes(const nib_tensor *weights) {
  const nib_format_info *f = nib_format_get(weights->format);
  nib_shared_codes s = {.codes = 1, .bits = 8};
  const bool bipolar = f->kind == NIB_KIND_BIPOLAR;
  if (f->bits > 4 || f->bytes != 1 ||
      (!bipolar && f->kind != NIB_KIND_SIGNED && f->kind != NIB_KIND_UNSIGNED))
    return s;
  s.bits = f->bits > 2 ? 4 : f->bits;
  s.codes = 8 / s.bits;
  s.shift = bipolar;
  s.low = bipolar                      ? nib_format_value_of(weights->format, 0)
          : f->kind == NIB_KIND_SIGNED ? -(INT64_C(1) << (f->bits - 1))
                                       : 0;
  return s;
}

/* What packing subtracts from the numbers of weights. */
static int64_t subtracted_zero(const nib_tensor *t, const nib_vocab *v, int64_t codes) {
  if (codes > 1)
    return nib_pack_shared_codes(t).low;
  if (v->weights_i16 || nib_pack_fits_i8(t))
    return nib_pack_zero(t);
  return nib_format_get(t->format)->kind == NIB_KIND_UNSIGNED ? 128 : 0;
}

int64_t nib_pack_weight_zero(const nib_graph *g, const nib_node *n, const nib_vocab *v,
                             int64_t codes) {
  const nib_tensor *t = nib_node_input(g, n, 1);
  return nib_params_is_real(t->format) ? 0 : nib_pack_zero(t) - subtracted_zero(t, v, codes);
}

int64_t nib_pack_staged_zero(const nib_graph *g, const nib_node *n, const nib_vocab *v) {
  const nib_tensor *x = nib_node_input(g, n, 0);
  if (nib_params_is_real(x->format) || v->stage == NIB_STAGE_I16)
    return 0;
  return nib_pack_zero(x) - (v->stage == NIB_STAGE_CODES ? 0 : nib_format_get(x->format)->min);
}

/* ---- packed weights ---- */

typedef struct packer {
  const nib_conv_walk *w;
  weights source;
  nib_shared_codes shared;
  int64_t zero;
  int elem_bytes;
  uint8_t *at;
} packer;

/* As f32, or as f16 in two bytes. */
static void put_real(uint8_t *to, int bytes, float value) {
  nib_format_store_real(bytes == 2 ? NIB_F16 : NIB_F32, to, 0, (double)value);
}

static void put(packer *p, bool valid, int64_t index) {
  if (p->w->is_float) {
    put_real(p->at, p->elem_bytes,
             valid ? (float)nib_format_load_real(p->source.t->format, p->source.t->data, index)
                   : 0.0f);
  } else {
    const int64_t value = valid ? number_at(p->source.t, index) - p->zero : 0;
    p->at[0] = (uint8_t)value;
    if (p->elem_bytes == 2)
      p->at[1] = (uint8_t)((uint64_t)value >> 8);
  }
  p->at += p->elem_bytes;
}

/* Index of channel o's weight at element i of a run, -1 where there is none. */
static int64_t weight_of_run(const packer *p, int64_t o, int64_t group_end, int64_t ky,
                             int64_t segment, int64_t i) {
  const nib_conv_walk *w = p->w;
  if (o >= group_end || i >= w->run)
    return -1;
  const int64_t tap = w->segments > 1 ? segment : i / w->group_in;
  return weight_index(&p->source, o, ky, tap, w->segments > 1 ? i : i % w->group_in);
}

/* A byte of the codes at elements i, i + dot_k … of a run. */
static void put_codes(packer *p, int64_t o, int64_t group_end, int64_t ky, int64_t segment,
                      int64_t i) {
  uint8_t byte = 0;
  for (int64_t c = 0; c < p->w->codes; c++) {
    const int64_t index = weight_of_run(p, o, group_end, ky, segment, i + c * p->w->dot_k);
    if (index >= 0)
      byte |= (uint8_t)((number_at(p->source.t, index) - p->zero) >> p->shared.shift
                                                                         << (c * p->shared.bits));
  }
  *p->at++ = byte;
}

/* One register: `lanes` output channels from `first`, dot_k elements of a run from `k`. */
static void put_register(packer *p, int64_t first, int64_t group_end, int64_t ky, int64_t segment,
                         int64_t k) {
  const nib_conv_walk *w = p->w;
  for (int64_t lane = 0; lane < w->lanes; lane++) {
    for (int64_t i = k; i < k + w->dot_k; i++) {
      if (w->codes > 1) {
        put_codes(p, first + lane, group_end, ky, segment, i);
        continue;
      }
      const int64_t index = weight_of_run(p, first + lane, group_end, ky, segment, i);
      put(p, index >= 0, index);
    }
  }
}

static void put_panel(packer *p, int64_t first, int64_t columns, int64_t group_end) {
  const nib_conv_walk *w = p->w;
  for (int64_t ky = 0; ky < w->shape.kernel_h; ky++)
    for (int64_t segment = 0; segment < w->segments; segment++)
      for (int64_t step = 0; step < w->steps; step += w->codes)
        for (int64_t column = 0; column < columns; column++)
          put_register(p, first + column * w->lanes, group_end, ky, segment, step * w->dot_k);
}

int nib_pack_elem_bytes(const nib_conv_walk *w, const nib_vocab *v) {
  if (w->is_float)
    return nib_vocab_multiplies_f16(v) ? 2 : 4;
  return v->weights_i16 ? 2 : 1;
}

nib_status nib_pack_weights(const nib_graph *g, const nib_node *n, const nib_vocab *v,
                            const nib_conv_walk *w, void **out_data, size_t *out_bytes) {
  const int elem_bytes = nib_pack_elem_bytes(w, v);
  const int64_t parts = nib_pack_part_count(w);
  const size_t bytes = (size_t)(parts * w->group_elems) * (size_t)elem_bytes;
  uint8_t *data = malloc(bytes ? bytes : 1);
  if (!data)
    return NIB_ERROR_OUT_OF_MEMORY;
  packer p = {.w = w, .source = weights_of(g, n, w), .elem_bytes = elem_bytes, .at = data};
  p.zero = w->is_float ? 0 : subtracted_zero(p.source.t, v, w->codes);
  p.shared = nib_pack_shared_codes(p.source.t);
  for (int64_t part = 0; part < parts; part++) {
    const int64_t begin = part % w->shape.groups * w->group_out, end = begin + w->group_out;
    p.source.phase = part / w->shape.groups;
    for (int64_t panel = 0; panel < w->full_panels; panel++)
      put_panel(&p, begin + panel * w->columns * w->lanes, w->columns, end);
    put_panel(&p, begin + w->full_panels * w->columns * w->lanes, w->last_columns, end);
  }
  *out_data = data;
  *out_bytes = bytes;
  return NIB_OK;
}

/* ---- biases and ranges ---- */

static int64_t bias_at(const nib_tensor *bias, int64_t o) {
  if (!bias)
    return 0;
  return bias->format == NIB_I64 ? ((const int64_t *)bias->data)[o]
                                 : ((const int32_t *)bias->data)[o];
}

nib_status nib_pack_bias(const nib_graph *g, const nib_node *n, const nib_vocab *v,
                         const nib_conv_walk *w, int64_t elems, void **out_data) {
  const nib_tensor *bias = nib_node_input(g, n, 2);
  const int64_t phases = w->is_float ? 1 : nib_pack_phase_count(w);
  int32_t *data = calloc((size_t)(elems * phases), sizeof *data);
  if (!data)
    return NIB_ERROR_OUT_OF_MEMORY;
  *out_data = data;
  if (w->is_float) {
    for (int64_t o = 0; bias && o < w->shape.out_c; o++)
      put_real((uint8_t *)data + o * (v->real_f16 ? 2 : 4), v->real_f16 ? 2 : 4,
               (float)nib_format_load_real(bias->format, bias->data, nib_pack_channel(w, o)));
    return NIB_OK;
  }
  weights source = weights_of(g, n, w);
  const bool depthwise = w->transposed && w->shape.in_c > 1;
  const int64_t zero = nib_pack_staged_zero(g, n, v);
  const int64_t subtracted =
      depthwise ? nib_pack_zero(source.t) : subtracted_zero(source.t, v, w->codes);
  const int64_t left = nib_pack_zero(source.t) - subtracted;
  for (int64_t i = 0; i < phases * w->shape.out_c; i++) {
    const int64_t o = i % w->shape.out_c;
    int64_t sum = 0, taps = 0;
    source.phase = i / w->shape.out_c;
    for (int64_t y = 0; y < source.kernel_h; y++)
      for (int64_t x = 0; x < source.kernel_w; x++)
        for (int64_t c = 0; c < source.in_c; c++, taps++)
          sum += weight_less(&source, weight_index(&source, o, y, x, c), subtracted);
    const int64_t start = bias_at(bias, nib_pack_channel(w, o)) - zero * sum + taps * zero * left;
    data[source.phase * elems + o] = (int32_t)(uint32_t)(uint64_t)start;
  }
  return NIB_OK;
}

/* The range of `n` more products of [low, high] with any codes of `t`. */
static void widen(nib_acc_range *r, const nib_tensor *t, int64_t low, int64_t high, int64_t n) {
  const nib_format_info *f = nib_format_get(t->format);
  const int64_t least = f->min - nib_pack_zero(t), most = f->max - nib_pack_zero(t);
  const int64_t ends[] = {least * low, least * high, most * low, most * high};
  int64_t lowest = ends[0], highest = ends[0];
  for (int i = 1; i < 4; i++) {
    lowest = ends[i] < lowest ? ends[i] : lowest;
    highest = ends[i] > highest ? ends[i] : highest;
  }
  r->low += n * lowest;
  r->high += n * highest;
}

/* What accumulators output channel `o` can reach. A tap on padding adds 0, which lies between low
 * and high as the zero point is a code. */
static nib_acc_range range_of(const weights *source, const nib_tensor *bias, int64_t low,
                              int64_t high, int64_t o) {
  const int64_t start = bias_at(bias, nib_pack_channel(source->walk, o));
  nib_acc_range r = {start, start};
  for (int64_t y = 0; y < source->kernel_h; y++) {
    for (int64_t x = 0; x < source->kernel_w; x++) {
      for (int64_t c = 0; c < source->in_c; c++) {
        const int64_t value =
            weight_less(source, weight_index(source, o, y, x, c), nib_pack_zero(source->t));
        r.low += value > 0 ? value * low : value * high;
        r.high += value > 0 ? value * high : value * low;
      }
    }
  }
  return r;
}

static nib_acc_range join_ranges(nib_acc_range a, nib_acc_range b) {
  return (nib_acc_range){a.low < b.low ? a.low : b.low, a.high > b.high ? a.high : b.high};
}

/* The same of the phases of block `w`. */
static nib_acc_range range_of_block(const nib_graph *g, const nib_node *n, const nib_conv_walk *w,
                                    int64_t low, int64_t high, int64_t o) {
  const nib_tensor *bias = nib_node_input(g, n, 2);
  weights source = weights_of(g, n, w);
  if (!source.t->data) {
    nib_acc_range r = {bias_at(bias, o), bias_at(bias, o)};
    widen(&r, source.t, low, high, w->run);
    return r;
  }
  nib_acc_range all = range_of(&source, bias, low, high, o);
  while (++source.phase < nib_pack_phase_count(w))
    all = join_ranges(all, range_of(&source, bias, low, high, o));
  return all;
}

nib_status nib_pack_ranges(const nib_graph *g, const nib_node *n, const nib_conv_walk *w,
                           nib_acc_range **out_ranges) {
  const nib_tensor *input = nib_node_input(g, n, 0);
  const nib_format_info *format = nib_format_get(input->format);
  const int64_t low = format->min - nib_pack_zero(input), high = format->max - nib_pack_zero(input);
  nib_conv_walk blocks[NIB_CONV_MOST_BLOCKS];
  const int n_blocks = nib_pack_blocks(w, blocks);
  nib_acc_range *ranges = calloc((size_t)w->shape.out_c, sizeof *ranges);
  if (!ranges)
    return NIB_ERROR_OUT_OF_MEMORY;
  for (int64_t o = 0; o < w->shape.out_c; o++) {
    ranges[o] = range_of_block(g, n, &blocks[0], low, high, o);
    for (int i = 1; i < n_blocks; i++)
      ranges[o] = join_ranges(ranges[o], range_of_block(g, n, &blocks[i], low, high, o));
  }
  *out_ranges = ranges;
  return NIB_OK;
}

/* ---- depthwise ---- */

static void put_i16(uint8_t *to, int64_t value) {
  to[0] = (uint8_t)value;
  to[1] = (uint8_t)((uint64_t)value >> 8);
}

nib_status nib_pack_depthwise(const nib_graph *g, const nib_node *n, int64_t elems, int elem_bytes,
                              void **out_data, size_t *out_bytes) {
  const nib_tensor *t = nib_node_input(g, n, 1);
  const int64_t channels = t->dims[3], taps = t->dims[1] * t->dims[2];
  uint8_t *data = calloc((size_t)(taps * elems), (size_t)elem_bytes);
  if (!data)
    return NIB_ERROR_OUT_OF_MEMORY;
  for (int64_t tap = 0; tap < taps; tap++) {
    for (int64_t c = 0; c < channels; c++) {
      const int64_t i = tap * channels + c;
      uint8_t *to = data + (tap * elems + c) * elem_bytes;
      const float real =
          nib_params_is_real(t->format) ? (float)nib_format_load_real(t->format, t->data, i) : 0.0f;
      if (nib_params_is_real(t->format))
        put_real(to, elem_bytes, real);
      else
        put_i16(to, number_at(t, i) - nib_pack_zero(t));
    }
  }
  *out_data = data;
  *out_bytes = (size_t)(taps * elems) * (size_t)elem_bytes;
  return NIB_OK;
}

nib_status nib_pack_quads(const nib_graph *g, const nib_node *n, const nib_quads *q,
                          const nib_conv_shape *shape, int64_t lanes, int8_t **out_data,
                          int8_t **out_rest, size_t *out_bytes) {
  const nib_tensor *t = nib_node_input(g, n, 1);
  const int64_t channels = shape->out_c, blocks = (channels + lanes - 1) / lanes;
  const size_t bytes = (size_t)(blocks * q->quads * shape->kernel_w * q->rows * lanes * 4);
  const bool fits = nib_pack_fits_i8(t);
  int8_t *data = calloc(bytes, 1), *rest = fits ? NULL : calloc(bytes, 1), *at = data;
  *out_data = data;
  *out_rest = rest;
  if (!data || (!fits && !rest))
    return NIB_ERROR_OUT_OF_MEMORY;
  for (int64_t c = 0; c < blocks * lanes; c += lanes)
    for (int64_t quad = 0; quad < q->quads; quad++)
      for (int64_t kx = 0; kx < shape->kernel_w; kx++)
        for (int64_t row = 0; row < q->rows; row++)
          for (int64_t lane = c; lane < c + lanes; lane++)
            for (int64_t i = 4 * quad; i < 4 * quad + 4; i++, at++) {
              const int64_t ky = i - row * shape->stride_h;
              if (lane >= channels || ky < 0 || ky >= shape->kernel_h)
                continue;
              const int64_t weight =
                  number_at(t, (ky * shape->kernel_w + kx) * channels + lane) - nib_pack_zero(t);
              *at = (int8_t)(weight < INT8_MIN ? INT8_MIN : weight > INT8_MAX ? INT8_MAX : weight);
              if (rest)
                rest[at - data] = (int8_t)(weight - *at);
            }
  *out_bytes = bytes;
  return NIB_OK;
}

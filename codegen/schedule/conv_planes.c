/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * conv_planes: convolution of reals with pixels in the lanes, for layers with fewer channels than a
 * long register has lanes. The input is staged as a plane for each channel, with its border, rows
 * one behind the other, so that a register takes pixels of several rows; with strides, a plane for
 * each remainder of a row and column. Where tile[2] says so there is a plane for each column of the
 * filter instead, whose rows are as long as the result's, so that no lane is between two rows. A
 * tile is tile[0] output channels of one register of pixels, each multiplied by a weight that is
 * one number for all lanes. Sums go to a buffer, which is read across for each pixel, or, of dense
 * planes without followers, straight to the result, one channel of it at a time. */
#include "emit/snippets.h"
#include "epilogue/epilogue.h"
#include "pack/pack.h"
#include "schedule/conv_formats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef long long ll;

enum { most_channels = 14, most_columns = 8, most_bytes = 1 << 20 };

typedef struct conv_planes {
  nib_emitter *e;
  const nib_kernel *kernel;
  nib_conv_shape shape;
  bool depthwise;
  bool across;       /* results are stored from the sums' registers */
  bool dense;        /* a plane for each column of the filter */
  int64_t pitch;     /* from a row of a plane to the next */
  int64_t plane;     /* elements of a plane */
  int64_t planes;    /* of a channel: one for each remainder by the strides */
  int64_t positions; /* in output planes of the same pitch, what lies between rows included */
  int64_t channels;  /* of a tile */
  int64_t lanes;
  float low, high; /* of results, whose bounds are taken before they are read across */
  nib_epilogue epilogue;
  nib_conv_constants constants;
} conv_planes;

static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

static bool is_depthwise(const nib_node *n) { return n->op == NIB_OP_DEPTHWISE_CONV2D; }

static int64_t taps(const conv_planes *r) { return r->shape.kernel_h * r->shape.kernel_w; }

static void init(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v, conv_planes *r) {
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  memset(r, 0, sizeof *r);
  r->kernel = kernel;
  nib_params_conv_shape(g, n, &r->shape);
  nib_conv_shape *s = &r->shape;
  if (nib_pack_is_pointwise(s)) { /* one row of all pixels */
    s->in_w = s->out_w = s->in_w * s->in_h;
    s->in_h = s->out_h = 1;
  }
  r->depthwise = is_depthwise(n);
  r->lanes = v->lanes;
  r->channels = kernel->tile[0] > 0 ? kernel->tile[0] : 1;
  /* Rows and columns that outputs read, and those that the input fills. */
  const int64_t rows = (s->kernel_h - 1) / s->stride_h + s->out_h;
  const int64_t filled = (s->pad_top + s->in_h + s->stride_h - 1) / s->stride_h;
  const int64_t columns = (s->kernel_w - 1) / s->stride_w + s->out_w;
  const int64_t across = (s->pad_left + s->in_w + s->stride_w - 1) / s->stride_w;
  r->dense = kernel->tile[2] > 0;
  r->pitch = r->dense ? s->out_w : columns > across ? columns : across;
  r->planes = s->stride_h * (r->dense ? s->kernel_w : s->stride_w);
  r->positions = (s->out_h - 1) * r->pitch + s->out_w;
  const int64_t last = (s->kernel_h - 1) / s->stride_h * r->pitch + (r->dense ? 0 : s->kernel_w);
  const int64_t read = round_up(r->positions, r->lanes) + last;
  const int64_t held = (rows > filled ? rows : filled) * r->pitch;
  r->plane = round_up(read > held ? read : held, 16);
}

static int64_t real_bytes(const nib_vocab *v) { return v->real_f16 ? 2 : 4; }

/* Whether a dense plane is the image itself, moved: rows follow each other without a gap. */
static bool moves_image(const conv_planes *r, const nib_vocab *v) {
  const nib_conv_shape *s = &r->shape;
  return r->dense && !v->type_half && nib_vocab_prim(v, NIB_PRIM_F32_STORE_STRIDED) &&
         s->stride_h == 1 && s->stride_w == 1 && s->out_w == s->in_w && s->pad_left < s->in_w &&
         s->kernel_w - s->pad_left <= s->in_w;
}

static int64_t planes_bytes(const conv_planes *r, const nib_vocab *v) {
  const int64_t elem = nib_vocab_multiplies_f16(v) ? 2 : 4;
  const int64_t vector = real_bytes(v) * r->lanes; /* zeros are stored by whole registers */
  /* Behind each image the border above the next one is written too. */
  const int64_t border = moves_image(r, v) ? r->shape.pad_top * r->pitch : 0;
  return round_up((r->shape.in_c * r->planes * r->plane + border) * elem,
                  vector > 64 ? vector : 64);
}

/* Whether results go from the sums' registers to where they belong, a channel of a register of
 * pixels at once. */
static bool stores_across(const nib_graph *g, const conv_planes *r, const nib_vocab *v) {
  return r->dense && r->kernel->n_nodes == 1 && nib_vocab_prim(v, NIB_PRIM_F32_STORE_STRIDED) &&
         g->tensors[nib_kernel_output(g, r->kernel)].format == (v->real_f16 ? NIB_F16 : NIB_F32);
}

static int64_t scratch_bytes(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  conv_planes r;
  init(g, kernel, v, &r);
  const int64_t sums = stores_across(g, &r, v) ? 0 : r.shape.out_c * r.lanes * real_bytes(v);
  return planes_bytes(&r, v) + round_up(sums, 64);
}

static bool accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  const bool filter = n->op == NIB_OP_CONV2D || is_depthwise(n) || n->op == NIB_OP_FULLY_CONNECTED;
  if (!filter || !nib_vocab_prim(v, NIB_PRIM_STAGE_STRIDED) ||
      !nib_conv_formats_fit(g, n, v, false) || !nib_epilogue_can_emit(g, kernel, v))
    return false;
  const nib_tensor *x = nib_node_input(g, n, 0);
  if (x->format != (nib_vocab_multiplies_f16(v) ? NIB_F16 : NIB_F32))
    return false;
  conv_planes r;
  init(g, kernel, v, &r);
  const nib_conv_shape *s = &r.shape;
  return s->batch == 1 && s->out_w > 0 && s->out_h > 0 && s->dilation_h == 1 &&
         s->dilation_w == 1 && (r.depthwise ? s->multiplier == 1 : s->groups == 1) &&
         taps(&r) <= 25 && s->out_c <= most_columns * v->lanes &&
         scratch_bytes(g, kernel, v) <= most_bytes;
}

static int tiles(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                 int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  conv_planes r;
  init(g, kernel, v, &r);
  int64_t channels = v->registers - 2 < most_channels ? v->registers - 2 : most_channels;
  channels = r.depthwise ? 1 : channels < r.shape.out_c ? channels : r.shape.out_c;
  /* As many tiles as the most channels need, of even size. */
  const int64_t parts = (r.shape.out_c + channels - 1) / channels;
  const int64_t even = (r.shape.out_c + parts - 1) / parts;
  nib_kernel dense = *kernel;
  dense.tile[2] = 1;
  const bool fits = scratch_bytes(g, &dense, v) <= most_bytes;
  const int64_t sizes[] = {even, channels};
  int n = 0;
  for (int i = even < channels ? 0 : 1; i < 2; i++)
    for (int32_t is_dense = fits ? 1 : 0; is_dense >= 0 && n < capacity; is_dense--, n++) {
      memset(out_tiles[n], 0, sizeof out_tiles[n]);
      out_tiles[n][0] = (int32_t)sizes[i];
      out_tiles[n][1] = 1;
      out_tiles[n][2] = is_dense;
    }
  return n;
}

/* ---- constants ---- */

static float weight_at(const conv_planes *r, const nib_tensor *w, int64_t o, int64_t tap,
                       int64_t c) {
  const int64_t i =
      r->depthwise ? tap * r->shape.out_c + o : (o * taps(r) + tap) * r->shape.in_c + c;
  return (float)nib_format_load_real(w->format, w->data, i);
}

/* [tile][input channel][tap][channel of the tile]; depthwise [channel][tap]. */
static void pack(const conv_planes *r, const nib_tensor *w, nib_format format, void *data) {
  const int64_t in = r->depthwise ? 1 : r->shape.in_c;
  int64_t at = 0;
  for (int64_t o = 0; o < r->shape.out_c; o += r->channels)
    for (int64_t c = 0; c < in; c++)
      for (int64_t tap = 0; tap < taps(r); tap++)
        for (int64_t i = o; i < o + r->channels && i < r->shape.out_c; i++)
          nib_format_store_real(format, data, at++, (double)weight_at(r, w, i, tap, c));
}

static nib_status add_constants(conv_planes *r) {
  nib_emitter *e = r->e;
  const nib_vocab *v = e->vocab;
  const nib_node *n = &e->graph->nodes[r->kernel->nodes[0]];
  const nib_tensor *w = nib_node_input(e->graph, n, 1);
  const nib_format format = nib_vocab_multiplies_f16(v) ? NIB_F16 : NIB_F32;
  const size_t bytes = (size_t)nib_tensor_elems(w) * (format == NIB_F16 ? 2 : 4);
  const nib_conv_walk walk = {.shape = r->shape, .is_float = true};
  void *weights = malloc(bytes > 0 ? bytes : 1), *bias = NULL;
  nib_status status = weights ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
  if (status == NIB_OK) {
    pack(r, w, format, weights);
    status = nib_pack_bias(e->graph, n, v, &walk, r->shape.out_c, &bias);
  }
  if (status == NIB_OK)
    status =
        nib_conv_add_constants(e, r->kernel, nib_conv_real_type(v), weights, bytes,
                               nib_conv_bias_type(v, true), bias, r->shape.out_c, &r->constants);
  free(weights);
  free(bias);
  return status;
}

/* ---- emission ---- */

static const char *staged_type(const nib_vocab *v) { return v->type_real ? v->type_real : "float"; }

static void emit_begin(const conv_planes *r) {
  nib_emitter *e = r->e;
  const nib_vocab *v = e->vocab;
  nib_text_line(e->body, "%s *const planes = (%s *)(void *)scratch; /* %lld of %lld */",
                staged_type(v), staged_type(v), (ll)(r->shape.in_c * r->planes), (ll)r->plane);
  if (!r->across)
    nib_text_line(e->body, "%s *const sums = (%s *)(void *)(scratch + %lld);",
                  nib_conv_bias_type(v, true), nib_conv_bias_type(v, true), (ll)planes_bytes(r, v));
  if (moves_image(r, v))
    return;
  nib_text_open(e->body, "{ /* borders */");
  nib_text_line(e->body, "%s zero;", v->type_f32);
  nib_say(e, NIB_PRIM_F32_SET, "zero", "0.0f", NULL, NULL, NULL);
  nib_text_open(e->body, "for (int32_t i = 0; i < %lld; i += %lld) {",
                (ll)(planes_bytes(r, v) / real_bytes(v)), (ll)r->lanes);
  nib_say(e, NIB_PRIM_F32_STORE, NULL,
          nib_word_of("(%s *)(void *)scratch + i", nib_conv_bias_type(v, true)).s, "zero", NULL,
          NULL);
  nib_text_close(e->body, "");
  nib_text_close(e->body, "");
}

/* Copies `count` elements of in0 from `from`, `apart` elements from each other, to `to`. */
static void emit_run(const conv_planes *r, int64_t count, const char *from, int64_t apart) {
  nib_emitter *e = r->e;
  const bool loops = count > r->lanes;
  const nib_word rest = !loops ? nib_word_of("%lld", (ll)count)
                        : count % r->lanes == 0
                            ? nib_word_of("%lld", (ll)r->lanes)
                            : nib_word_of("(%lld - j < %lld ? %lld - j : %lld)", (ll)count,
                                          (ll)r->lanes, (ll)count, (ll)r->lanes);
  if (loops)
    nib_text_open(e->body, "for (int32_t j = 0; j < %lld; j += %lld) {", (ll)count, (ll)r->lanes);
  const nib_word source =
      loops ? nib_word_of("in0 + %s + j * %lld", from, (ll)apart) : nib_word_of("in0 + %s", from);
  nib_say(e, NIB_PRIM_STAGE_STRIDED, loops ? "to + j" : "to", source.s,
          nib_word_of("%lld", (ll)apart).s, NULL, rest.s);
  if (loops)
    nib_text_close(e->body, "");
}

/* One column remainder of an input row: every stride-th pixel of each channel into its plane. */
static void emit_columns(const conv_planes *r, int64_t remainder) {
  nib_emitter *e = r->e;
  const nib_conv_shape *s = &r->shape;
  const int64_t first = ((remainder - s->pad_left) % s->stride_w + s->stride_w) % s->stride_w;
  const int64_t column = (first + s->pad_left) / s->stride_w;
  const int64_t count = (s->in_w - first + s->stride_w - 1) / s->stride_w;
  if (count <= 0)
    return;
  nib_text_open(e->body, "for (int32_t c = 0; c < %lld; c++) {", (ll)s->in_c);
  nib_text_line(e->body, "%s *const to = planes + (c * %lld + (py %% %lld) * %lld + %lld) * %lld +",
                staged_type(e->vocab), (ll)r->planes, (ll)s->stride_h, (ll)s->stride_w,
                (ll)remainder, (ll)r->plane);
  nib_text_line(e->body, "    py / %lld * %lld + %lld;", (ll)s->stride_h, (ll)r->pitch, (ll)column);
  emit_run(r, count,
           nib_word_of("(y * %lld + %lld) * %lld + c", (ll)s->in_w, (ll)first, (ll)s->in_c).s,
           s->stride_w * s->in_c);
  nib_text_close(e->body, "");
}

/* `count` zeros from `at`, of the register `zero`. */
static void emit_zeros(const conv_planes *r, const char *at, int64_t count) {
  for (int64_t i = 0; i < count; i += r->lanes)
    nib_say_lanes(r->e, NIB_PRIM_F32_STORE, NULL, nib_word_of("%s + %lld", at, (ll)i).s, "zero",
                  count - i < r->lanes ? (int)(count - i) : 0);
}

/* One input row into the plane of a column of the filter: from its first pixel that is in the row.
 */
static void emit_column(const conv_planes *r, int64_t kx) {
  nib_emitter *e = r->e;
  const nib_conv_shape *s = &r->shape;
  const int64_t before = s->pad_left > kx ? s->pad_left - kx : 0;
  const int64_t x = (before + s->stride_w - 1) / s->stride_w;
  const int64_t first = x * s->stride_w + kx - s->pad_left;
  const int64_t there = (s->in_w - first + s->stride_w - 1) / s->stride_w;
  const int64_t count = there < s->out_w - x ? there : s->out_w - x;
  if (count <= 0 || first >= s->in_w)
    return;
  nib_text_open(e->body, "for (int32_t c = 0; c < %lld; c++) {", (ll)s->in_c);
  nib_text_line(e->body, "%s *const to = planes + (c * %lld + py %% %lld * %lld + %lld) * %lld +",
                staged_type(e->vocab), (ll)r->planes, (ll)s->stride_h, (ll)s->kernel_w, (ll)kx,
                (ll)r->plane);
  nib_text_line(e->body, "    py / %lld * %lld + %lld;", (ll)s->stride_h, (ll)r->pitch, (ll)x);
  emit_run(r, count,
           nib_word_of("(y * %lld + %lld) * %lld + c", (ll)s->in_w, (ll)first, (ll)s->in_c).s,
           s->stride_w * s->in_c);
  nib_text_close(e->body, "");
}

/* A plane for each column of the filter, each the image of a channel moved by some pixels: what
 * came from the row before or after becomes the border. */
static void emit_moved(const conv_planes *r) {
  nib_emitter *e = r->e;
  const nib_conv_shape *s = &r->shape;
  const int64_t image = s->in_h * s->in_w, base = s->pad_top * r->pitch;
  const int64_t behind = r->plane - image; /* from the image of a plane to the next one's */
  nib_text_line(e->body, "%s zero;", e->vocab->type_f32);
  nib_say(e, NIB_PRIM_F32_SET, "zero", "0.0f", NULL, NULL, NULL);
  emit_zeros(r, "planes", base);
  nib_text_open(e->body, "for (int32_t c = 0; c < %lld; c++) {", (ll)s->in_c);
  for (int64_t kx = 0; kx < s->kernel_w; kx++) {
    const int64_t moved = s->pad_left - kx, first = moved < 0 ? -moved : 0;
    const int64_t start = moved > 0 ? moved : 0, border = moved < 0 ? -moved : moved;
    nib_text_open(e->body, "{");
    nib_text_line(e->body, "%s *const image = planes + (c * %lld + %lld) * %lld + %lld;",
                  staged_type(e->vocab), (ll)r->planes, (ll)kx, (ll)r->plane, (ll)base);
    nib_text_line(e->body, "%s *const to = image + %lld;", staged_type(e->vocab), (ll)start);
    emit_run(r, image - border, nib_word_of("%lld + c", (ll)(first * s->in_c)).s, s->in_c);
    for (int64_t x = 0; x < border; x++)
      for (int64_t y = 0; y < s->in_h; y += r->lanes)
        nib_say(
            e, NIB_PRIM_F32_STORE_STRIDED, NULL,
            nib_word_of("image + %lld", (ll)(y * r->pitch + (moved > 0 ? x : s->in_w - 1 - x))).s,
            "zero", nib_word_of("%lld", (ll)r->pitch).s,
            nib_word_of("%lld", (ll)(s->in_h - y < r->lanes ? s->in_h - y : r->lanes)).s);
    emit_zeros(r, nib_word_of("image + %lld", (ll)image).s, behind);
    nib_text_close(e->body, "");
  }
  nib_text_close(e->body, "");
}

static void emit_staging(const conv_planes *r) {
  nib_emitter *e = r->e;
  if (moves_image(r, e->vocab)) {
    nib_text_open(e->body, "{");
    emit_moved(r);
    nib_text_close(e->body, "");
    return;
  }
  nib_text_open(e->body, "for (int32_t y = 0; y < %lld; y++) {", (ll)r->shape.in_h);
  nib_text_line(e->body, "const int32_t py = y + %lld;", (ll)r->shape.pad_top);
  for (int64_t i = 0; r->dense && i < r->shape.kernel_w; i++)
    emit_column(r, i);
  for (int64_t remainder = 0; !r->dense && remainder < r->shape.stride_w; remainder++)
    emit_columns(r, remainder);
  nib_text_close(e->body, "");
}

static void emit_taps(const conv_planes *r, int64_t channels) {
  nib_emitter *e = r->e;
  const nib_vocab *v = e->vocab;
  const nib_conv_shape *s = &r->shape;
  const bool half = v->type_half;
  for (int64_t ky = 0; ky < s->kernel_h; ky++)
    for (int64_t kx = 0; kx < s->kernel_w; kx++) {
      const int64_t plane = r->dense ? ky % s->stride_h * s->kernel_w + kx
                                     : ky % s->stride_h * s->stride_w + kx % s->stride_w;
      const int64_t at =
          plane * r->plane + ky / s->stride_h * r->pitch + (r->dense ? 0 : kx / s->stride_w);
      nib_say(e, half ? NIB_PRIM_HALF_LOAD : NIB_PRIM_F32_LOAD, "x",
              nib_word_of("a + %lld", (ll)at).s, NULL, NULL, NULL);
      for (int64_t i = 0; i < channels; i++)
        nib_say(e, half ? NIB_PRIM_HALF_FMA_SCALAR : NIB_PRIM_F32_FMA_SCALAR,
                nib_word_of("acc%lld", (ll)i).s,
                nib_word_of("w[%lld]", (ll)((ky * s->kernel_w + kx) * channels + i)).s, "x", NULL,
                NULL);
      /* Or all inputs would be loaded first, and spilled. */
      nib_say(e, NIB_PRIM_F32_AFTER, nib_word_of("acc%lld", (ll)(channels - 1)).s, NULL, NULL, NULL,
              NULL);
    }
}

/* The tile's sums are results: each channel of the register of pixels from p. */
static void emit_results(const conv_planes *r, int64_t channels) {
  const ll lanes = (ll)r->lanes, all = (ll)r->positions;
  const nib_word rest =
      all % lanes == 0 ? nib_word_of("%lld", lanes)
      : all < lanes    ? nib_word_of("%lld", all)
                       : nib_word_of("(%lld - p < %lld ? %lld - p : %lld)", all, lanes, all, lanes);
  /* Where few lanes of the last sums are stored, compilers for vectors of any length would compute
   * few in the loop too, and switch lengths between products. */
  if (all % lanes != 0 && nib_vocab_prim(r->e->vocab, NIB_PRIM_F32_AFTER))
    for (int64_t i = 0; i < channels; i++)
      nib_say(r->e, NIB_PRIM_F32_AFTER, nib_word_of("acc%lld", (ll)i).s, NULL, NULL, NULL, NULL);
  for (int64_t i = 0; i < channels; i++)
    nib_say(r->e, NIB_PRIM_F32_STORE_STRIDED, NULL,
            nib_word_of("out + p * %lld + o + %lld", (ll)r->shape.out_c, (ll)i).s,
            nib_word_of("acc%lld", (ll)i).s, nib_word_of("%lld", (ll)r->shape.out_c).s, rest.s);
}

/* Sums of `channels` output channels from o, of the register of positions from p. */
static void emit_tile(conv_planes *r, int64_t channels) {
  nib_emitter *e = r->e;
  const nib_vocab *v = e->vocab;
  const int64_t in = r->depthwise ? 1 : r->shape.in_c;
  for (int64_t i = 0; i < channels; i++) {
    const nib_word acc = nib_word_of("acc%lld", (ll)i);
    nib_text_line(e->body, "%s %s;", v->type_f32, acc.s);
    nib_say(e, NIB_PRIM_F32_SET, acc.s, nib_word_of("bias[o + %lld]", (ll)i).s, NULL, NULL, NULL);
  }
  nib_text_line(e->body, "%s x;", v->type_half ? v->type_half : v->type_f32);
  nib_text_line(e->body, "const %s *w = weights + o * %lld;", staged_type(v), (ll)(in * taps(r)));
  nib_text_line(e->body, "const %s *a = planes + %sp;", staged_type(v),
                r->depthwise ? nib_word_of("o * %lld + ", (ll)(r->planes * r->plane)).s : "");
  if (in > 1) {
    if (taps(r) == 1 && (nib_emitter_unroll(e) > 1 || e->unroll))
      nib_text_line(e->body, "#pragma GCC unroll %d", nib_emitter_unroll(e));
    nib_text_open(e->body, "for (int32_t c = 0; c < %lld; c++, a += %lld, w += %lld) {", (ll)in,
                  (ll)(r->planes * r->plane), (ll)(taps(r) * channels));
  }
  emit_taps(r, channels);
  if (in > 1)
    nib_text_close(e->body, "");
  for (int64_t i = 0; i < channels; i++)
    nib_epilogue_clamp_real(&r->epilogue, nib_word_of("acc%lld", (ll)i).s, r->low, r->high);
  if (r->across) {
    emit_results(r, channels);
    return;
  }
  for (int64_t i = 0; i < channels; i++)
    nib_say(e, NIB_PRIM_F32_STORE, NULL,
            nib_word_of("sums + (o + %lld) * %lld", (ll)i, (ll)r->lanes).s,
            nib_word_of("acc%lld", (ll)i).s, NULL, NULL);
}

static void emit_sums(conv_planes *r) {
  nib_emitter *e = r->e;
  const int64_t whole = r->shape.out_c / r->channels * r->channels;
  nib_text_open(e->body, "for (int32_t o = 0; o < %lld; o += %lld) {", (ll)whole, (ll)r->channels);
  emit_tile(r, r->channels);
  nib_text_close(e->body, "");
  if (whole < r->shape.out_c) {
    nib_text_open(e->body, "{ /* the last channels */");
    nib_text_line(e->body, "const int32_t o = %lld;", (ll)whole);
    emit_tile(r, r->shape.out_c - whole);
    nib_text_close(e->body, "");
  }
}

/* The pixels among the positions from p, each with its channels in registers; between rows there
 * are none. */
static void emit_pixels(conv_planes *r) {
  nib_emitter *e = r->e;
  const int64_t channels = r->shape.out_c;
  nib_text_open(e->body, "for (int32_t q = 0; q < %lld && p + q < %lld; q++) {", (ll)r->lanes,
                (ll)r->positions);
  nib_text_open(e->body, "if (x < %lld) {", (ll)r->shape.out_w);
  nib_finish registers[most_columns];
  int count = 0;
  nib_epilogue_load_channels(&r->epilogue, "0", 1);
  for (int64_t c = 0; c < channels; c += r->lanes, count++) {
    nib_finish *f = &registers[count];
    *f = (nib_finish){.column = count, .offset = c};
    f->tail = channels - c < r->lanes ? (int)(channels - c) : 0;
    snprintf(f->acc, sizeof f->acc, "value%d", count);
    nib_text_line(e->body, "%s %s;", e->vocab->type_f32, f->acc);
    nib_say(e, NIB_PRIM_F32_LOAD_STRIDED, f->acc,
            nib_word_of("sums + %lld + q", (ll)(c * r->lanes)).s,
            nib_word_of("%lld", (ll)r->lanes).s, NULL,
            nib_word_of("%lld", (ll)(f->tail ? f->tail : r->lanes)).s);
  }
  nib_epilogue_apply(&r->epilogue, registers, count, "at");
  nib_text_line(e->body, "at += %lld;", (ll)channels);
  nib_text_close(e->body, "");
  nib_text_line(e->body, "x = x + 1 == %lld ? 0 : x + 1;", (ll)r->pitch);
  nib_text_close(e->body, "");
}

static void emit_body(conv_planes *r) {
  nib_emitter *e = r->e;
  const nib_vocab *v = e->vocab;
  const nib_conv_shape *s = &r->shape;
  nib_text_line(e->body,
                "/* %s: %s %lldx%lld, %lldx%lldx%lld to %lldx%lldx%lld, in tiles of %lld pixels by"
                " %lld channels */",
                r->kernel->name, nib_op_get(r->epilogue.root->op)->mnemonic, (ll)s->kernel_h,
                (ll)s->kernel_w, (ll)s->in_h, (ll)s->in_w, (ll)s->in_c, (ll)s->out_h, (ll)s->out_w,
                (ll)s->out_c, (ll)r->lanes, (ll)r->channels);
  emit_begin(r);
  emit_staging(r);
  nib_text_line(e->body, "const %s *const weights = (const %s *)(const void *)(%s);",
                staged_type(v), staged_type(v), r->constants.weights);
  const char *bias = v->real_f16 ? staged_type(v) : "float";
  nib_text_line(e->body, "const %s *const bias = (const %s *)(const void *)(%s);", bias, bias,
                r->constants.bias);
  if (!r->across)
    nib_text_line(e->body, "int32_t at = 0, x = 0;");
  nib_text_open(e->body, "for (int32_t p = 0; p < %lld; p += %lld) {", (ll)r->positions,
                (ll)r->lanes);
  emit_sums(r);
  if (!r->across)
    emit_pixels(r);
  nib_text_close(e->body, "");
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  conv_planes r;
  init(e->graph, kernel, e->vocab, &r);
  r.e = e;
  r.across = stores_across(e->graph, &r, e->vocab);
  if (r.channels > most_channels)
    return nib_diag_error(e->diag, NIB_ERROR_INVALID_INPUT, "%s: a tile has at most %d channels",
                          kernel->name, most_channels);
  if (add_constants(&r) != NIB_OK)
    return nib_diag_error(e->diag, NIB_ERROR_OUT_OF_MEMORY, "%s: out of memory while packing",
                          kernel->name);
  NIB_RETURN_IF_ERROR(
      nib_epilogue_prepare(&r.epilogue, e, kernel, NULL, NULL, r.shape.out_c, r.lanes));
  r.low = r.epilogue.low, r.high = r.epilogue.high;
  r.epilogue.low = -INFINITY, r.epilogue.high = INFINITY;
  const size_t before = e->body->size;
  emit_body(&r);
  return nib_epilogue_end(&r.epilogue, e, before);
}

const nib_schedule nib_schedule_conv_planes = {
    .name = "conv_planes",
    .accepts = accepts,
    .tiles = tiles,
    .scratch_bytes = scratch_bytes,
    .emit = emit,
};

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * depthwise_quads: 8-bit depthwise convolution by dot products of four. Four input rows are staged
 * interleaved, so that one dot product takes four kernel rows of a column; with three kernel rows
 * it serves two output rows, whose weights are the same moved by a row. A tile is tile[0] pixels of
 * all output rows that the staged ones give, in tile[1] registers of channels: one, or four or two
 * that are packed to bytes together. Then interleaving leaves the channels in the order that
 * packing undoes, and weights, biases and scales are in that order too. */
#include "emit/snippets.h"
#include "pack/pack_pairs.h"
#include "schedule/conv_excess.h"
#include "schedule/conv_formats.h"
#include "schedule/row_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef long long ll;

enum { most_pixels = 12, most_rows = 4, quad = 4 };

typedef struct depthwise_quads {
  nib_emitter *e;
  const nib_kernel *kernel;
  nib_conv_walk walk; /* what packing of biases and ranges reads */
  nib_quads quads;
  nib_epilogue epilogue;
  int64_t pixels;              /* of a tile */
  int64_t left, copied, width; /* pixels of a staged row: border, copied, all */
  int64_t block;               /* channels staged at a time */
  int64_t parts;               /* registers of channels that are packed together: 4, 2, or 1 */
  bool channels_first;         /* all rows of a block of channels before the next */
  bool cut_channels;           /* threads share blocks of channels, not of rows */
  int64_t units;               /* that they share */
  int64_t quad_bytes;          /* of one staged group of four rows */
  nib_row_rings rings;         /* what in0 and out hold */
  nib_conv_constants constants;
  nib_conv_excess excess;
} depthwise_quads;

static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

/* What `threads` threads share: blocks of rows (the last of which also has the rows that overlap),
 * or blocks of channels, of another size if that makes them even. */
static void init_cut(depthwise_quads *r, int64_t threads, int64_t unit) {
  const nib_conv_shape *s = &r->walk.shape;
  r->units = s->out_h / r->quads.rows;
  if (threads < 2)
    return;
  double best = nib_conv_largest_share(r->units, threads);
  const int64_t most = r->block * 2;
  for (int64_t block = most / unit * unit; block >= unit; block -= unit) {
    const int64_t units = (s->in_c + block - 1) / block;
    if (nib_conv_largest_share(units, threads) > best - 0.02)
      continue;
    best = nib_conv_largest_share(units, threads);
    r->cut_channels = true;
    r->units = units;
    r->block = block;
  }
}

static void init_shape(const nib_graph *g, const nib_node *n, const nib_vocab *v,
                       depthwise_quads *r) {
  nib_conv_walk *w = &r->walk;
  memset(w, 0, sizeof *w);
  nib_params_conv_shape(g, n, &w->shape);
  w->transposed = true;
  w->group_in = 1;
  w->lanes = v->lanes;
  nib_conv_shape *s = &w->shape;
  r->quads.quads = (s->kernel_h + quad - 1) / quad;
  r->quads.rows = (quad * r->quads.quads - s->kernel_h) / s->stride_h + 1;
  if (r->quads.rows > most_rows)
    r->quads.rows = most_rows;
  if (r->quads.rows > s->out_h)
    r->quads.rows = s->out_h;
  r->width = (s->out_w - 1) * s->stride_w + (s->kernel_w - 1) * s->dilation_w + 1;
  r->left = s->pad_left < r->width ? s->pad_left : r->width;
  r->copied = r->width - r->left < s->in_w ? r->width - r->left : s->in_w;
  /* What is staged should stay in the first level of the caches. */
  enum { budget = 8 * 1024, unit = 64 };
  const int64_t blocks = (r->quads.quads * r->width * s->in_c * quad + budget - 1) / budget;
  r->block = blocks > 1 ? round_up((s->in_c + blocks - 1) / blocks, unit) : s->in_c;
  r->block = r->block < s->in_c ? r->block : s->in_c;
  r->cut_channels = false;
  init_cut(r, g->threads, unit);
  /* A vector of channels may start at the last ones, and staging writes whole vectors. */
  r->quad_bytes = round_up(r->width * r->block * quad + 2 * v->lanes * quad, 64);
}

static bool accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  if (n->op != NIB_OP_DEPTHWISE_CONV2D || v->lanes < 2 || v->stage != NIB_STAGE_U8 ||
      v->dot_k != quad || !nib_conv_formats_fit(g, n, v, false) ||
      !nib_epilogue_can_emit(g, kernel, v))
    return false;
  const nib_tensor *x = nib_node_input(g, n, 0), *f = nib_node_input(g, n, 1);
  if (nib_params_is_real(x->format) ||
      !(v->pair_limit ? nib_pack_fits_i8(f) : nib_pack_fits_two(f)))
    return false;
  depthwise_quads r;
  init_shape(g, n, v, &r);
  const nib_conv_shape *s = &r.walk.shape;
  const nib_prim prims[] = {x->format == NIB_U8 ? NIB_PRIM_QUADS_U8 : NIB_PRIM_QUADS_I8,
                            NIB_PRIM_STAGE_FILL, NIB_PRIM_DOT, NIB_PRIM_WEIGHT_LOAD,
                            NIB_PRIM_I32_LOAD};
  return s->out_w > 0 && s->out_h > 0 && s->multiplier == 1 && s->dilation_h == 1 &&
         s->kernel_w <= 8 && r.quads.quads <= 2 && nib_vocab_has(v, prims, 5);
}

/* How many registers of channels are packed together: as many as the channels are a multiple of. */
static int32_t parts_of(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                        const depthwise_quads *r) {
  static const nib_prim prims[] = {NIB_PRIM_QUADS_PARTS_I8, NIB_PRIM_QUADS_PARTS_U8,
                                   NIB_PRIM_QUADS_PAIRS_I8, NIB_PRIM_QUADS_PAIRS_U8};
  if (v->pair_limit || !nib_vocab_has(v, prims, 4) || !nib_epilogue_can_finish_parts(g, kernel, v))
    return 1;
  const int64_t channels = r->walk.shape.out_c;
  return channels % (4 * v->lanes) == 0 ? 4 : channels % (2 * v->lanes) == 0 ? 2 : 1;
}

/* Tiles of all parts, those that divide the row first. */
static int part_tiles(int64_t width, int32_t parts, int32_t (*out_tiles)[NIB_MAX_TILE],
                      int capacity) {
  static const int32_t choices[] = {4, 3, 2, 5, 1};
  int n = 0;
  for (int pass = 0; pass < 2; pass++)
    for (size_t i = 0; i < sizeof choices / sizeof *choices && n < capacity; i++) {
      const bool divides = width % choices[i] == 0 && (choices[i] > 1 || width == 1);
      if (choices[i] > width || divides != (pass == 0))
        continue;
      memset(out_tiles[n], 0, sizeof out_tiles[n]);
      out_tiles[n][0] = choices[i];
      out_tiles[n++][1] = parts;
    }
  return n;
}

static int tiles(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                 int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  static const int32_t choices[] = {8, 7, 6, 10, 5, 4, most_pixels, 9, 3, 2, 1};
  depthwise_quads r;
  init_shape(g, &g->nodes[kernel->nodes[0]], v, &r);
  const int64_t width = r.walk.shape.out_w;
  const int32_t parts = parts_of(g, kernel, v, &r);
  int n = parts > 1 ? part_tiles(width, parts, out_tiles, capacity) : 0;
  for (int pass = 0; pass < 2; pass++) { /* first those that divide the row */
    for (size_t i = 0; i < sizeof choices / sizeof *choices && n < capacity; i++) {
      const int32_t pixels = choices[i];
      const bool divides = width % pixels == 0 && (pixels > 2 || width <= 2);
      const int64_t registers = pixels * r.quads.rows + r.walk.shape.kernel_w * r.quads.rows + 2;
      if (pixels > width || divides != (pass == 0) || (registers > v->registers && pixels > 1))
        continue;
      memset(out_tiles[n], 0, sizeof out_tiles[n]);
      out_tiles[n][0] = pixels;
      out_tiles[n++][1] = 1;
    }
  }
  return n;
}

static int64_t scratch_bytes(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  depthwise_quads r;
  init_shape(g, &g->nodes[kernel->nodes[0]], v, &r);
  return r.quads.quads * r.quad_bytes + round_up(r.copied * r.walk.shape.in_c, 64);
}

/* ---- emission ---- */

static const char *element_type(const depthwise_quads *r) {
  const nib_tensor *x = nib_node_input(r->e->graph, r->epilogue.root, 0);
  return nib_format_get(x->format)->c_type;
}

static void emit_fill(depthwise_quads *r, int64_t first_pixel, int64_t pixels, int64_t value) {
  const int64_t bytes = r->block * quad;
  if (pixels > 0)
    nib_say(r->e, NIB_PRIM_STAGE_FILL,
            nib_word_of("staged + q * %lld + %lld", (ll)r->quad_bytes, (ll)(first_pixel * bytes)).s,
            nib_word_of("%lld", (ll)value).s, NULL, NULL,
            nib_word_of("%lld", (ll)(pixels * bytes)).s);
}

static void emit_scratch(depthwise_quads *r) {
  nib_emitter *e = r->e;
  nib_text_line(e->body, "uint8_t *const staged = scratch; /* %lld times four rows, interleaved */",
                (ll)r->quads.quads);
  nib_text_line(e->body, "%s *const edge = (%s *)(void *)(scratch + %lld); /* a row of padding */",
                element_type(r), element_type(r), (ll)(r->quads.quads * r->quad_bytes));
}

/* Borders left and right of the staged rows stay as they are: filled once. */
static void emit_borders(depthwise_quads *r) {
  nib_emitter *e = r->e;
  const int64_t border = nib_pack_staged_zero(e->graph, r->epilogue.root, e->vocab);
  const ll edge_bytes = (ll)(r->copied * r->walk.shape.in_c);
  nib_text_line(e->body, "memset(edge, %lld, %lld);", (ll)r->epilogue.params.in_zp, edge_bytes);
  if (r->left + r->copied == r->width && r->left == 0)
    return;
  nib_text_open(e->body, "for (int32_t q = 0; q < %lld; q++) {", (ll)r->quads.quads);
  emit_fill(r, 0, r->left, border);
  emit_fill(r, r->left + r->copied, r->width - r->left - r->copied, border);
  nib_text_close(e->body, "");
}

/* The rows of a block of channels, a pixel at a time unless all channels are staged together. */
static void emit_interleaving(depthwise_quads *r) {
  nib_emitter *e = r->e;
  const nib_conv_shape *s = &r->walk.shape;
  const bool is_u8 = nib_node_input(e->graph, r->epilogue.root, 0)->format == NIB_U8;
  const nib_prim whole = is_u8 ? NIB_PRIM_QUADS_U8 : NIB_PRIM_QUADS_I8;
  const nib_prim by_parts = is_u8 ? NIB_PRIM_QUADS_PARTS_U8 : NIB_PRIM_QUADS_PARTS_I8;
  const nib_prim by_pairs = is_u8 ? NIB_PRIM_QUADS_PAIRS_U8 : NIB_PRIM_QUADS_PAIRS_I8;
  const nib_prim prim = r->parts == 4 ? by_parts : r->parts == 2 ? by_pairs : whole;
  const ll left = (ll)(r->left * r->block * quad), rest = (ll)(s->in_c % r->block);
  if (r->block == s->in_c) {
    nib_say(e, prim, nib_word_of("staged + q * %lld + %lld", (ll)r->quad_bytes, left).s, "rows",
            "0", NULL, nib_word_of("%lld", (ll)(r->copied * s->in_c)).s);
    return;
  }
  const nib_word n =
      rest ? nib_word_of("(cb == %lld ? %lld : %lld)", (ll)(s->in_c - rest), rest, (ll)r->block)
           : nib_word_of("%lld", (ll)r->block);
  nib_text_open(e->body, "for (int32_t p = 0; p < %lld; p++) {", (ll)r->copied);
  nib_say(e, prim,
          nib_word_of("staged + q * %lld + %lld + p * %lld", (ll)r->quad_bytes, left,
                      (ll)(r->block * quad))
              .s,
          "rows", nib_word_of("(p * %lld + cb)", (ll)s->in_c).s, NULL, n.s);
  nib_text_close(e->body, "");
}

static void emit_staging(depthwise_quads *r) {
  nib_emitter *e = r->e;
  const nib_conv_shape *s = &r->walk.shape;
  const ll row_elems = (ll)(s->in_w * s->in_c);
  const nib_word plane =
      s->batch > 1 ? nib_word_of(" + b * %lld", (ll)s->in_h * row_elems) : nib_word_of("%s", "");
  nib_text_open(e->body, "for (int32_t q = 0; q < %lld; q++) {", (ll)r->quads.quads);
  nib_text_line(e->body, "const void *rows[4];");
  nib_text_open(e->body, "for (int32_t i = 0; i < 4; i++) {");
  nib_text_line(e->body, "const int32_t from = y * %lld + q * 4 + i - %lld;", (ll)s->stride_h,
                (ll)s->pad_top);
  const nib_word place =
      r->rings.in ? nib_word_of("from %% %lld", (ll)r->rings.in) : nib_word_of("from");
  nib_text_line(e->body, "rows[i] = from >= 0 && from < %lld ? in0%s + %s * %lld : edge;",
                (ll)s->in_h, plane.s, place.s, row_elems);
  nib_text_close(e->body, "");
  emit_interleaving(r);
  if (r->left + r->copied <
      r->width) { /* whole vectors were written: mend the border to the right */
    const int64_t bytes = r->block * quad, touched = 64;
    const int64_t all = (r->width - r->left - r->copied) * bytes;
    nib_say(e, NIB_PRIM_STAGE_FILL,
            nib_word_of("staged + q * %lld + %lld", (ll)r->quad_bytes,
                        (ll)((r->left + r->copied) * bytes))
                .s,
            nib_word_of("%lld", (ll)nib_pack_staged_zero(e->graph, r->epilogue.root, e->vocab)).s,
            NULL, NULL, nib_word_of("%lld", (ll)(touched < all ? touched : all)).s);
  }
  nib_text_close(e->body, "");
}

static void emit_weights(depthwise_quads *r, int64_t q) {
  nib_emitter *e = r->e;
  const int64_t kernel_w = r->walk.shape.kernel_w, elems = r->walk.lanes * quad;
  nib_declare_tile(e, e->vocab->type_weight, "w", r->quads.rows, kernel_w);
  for (int64_t kx = 0; kx < kernel_w; kx++)
    for (int64_t m = 0; m < r->quads.rows; m++)
      nib_say(e, NIB_PRIM_WEIGHT_LOAD, nib_word_of("w%lld_%lld", (ll)m, (ll)kx).s,
              nib_word_of("w + %lld", (ll)(((q * kernel_w + kx) * r->quads.rows + m) * elems)).s,
              NULL, NULL, NULL);
}

/* Each column of the staged rows is loaded once and multiplied into every pixel that it touches. */
static void emit_columns(depthwise_quads *r, int64_t pixels, int64_t q) {
  nib_emitter *e = r->e;
  const nib_conv_shape *s = &r->walk.shape;
  const int64_t last = (pixels - 1) * s->stride_w + (s->kernel_w - 1) * s->dilation_w;
  for (int64_t column = 0; column <= last; column++) {
    bool loaded = false;
    for (int64_t kx = 0; kx < s->kernel_w; kx++) {
      const int64_t ahead = column - kx * s->dilation_w;
      if (ahead < 0 || ahead % s->stride_w || ahead / s->stride_w >= pixels)
        continue;
      if (!loaded)
        nib_say(e, NIB_PRIM_WEIGHT_LOAD, "a0",
                nib_word_of("a + %lld", (ll)(q * r->quad_bytes + column * r->block * quad)).s, NULL,
                NULL, NULL);
      loaded = true;
      for (int64_t m = 0; m < r->quads.rows; m++)
        nib_say(e, NIB_PRIM_DOT, nib_word_of("acc%lld_%lld", (ll)m, (ll)(ahead / s->stride_w)).s,
                "a0", nib_word_of("w%lld_%lld", (ll)m, (ll)kx).s, NULL, NULL);
    }
  }
}

/* What would saturate pairs or has no room in int8: dot products of their own for each row of
 * results. */
static void emit_excess(depthwise_quads *r, int64_t pixels) {
  nib_emitter *e = r->e;
  const nib_conv_shape *s = &r->walk.shape;
  const ll step = (ll)(r->block * quad);
  for (int64_t m = 0; r->excess.weights && m < r->quads.rows; m++) {
    nib_text_open(e->body, "{");
    nib_text_line(e->body, "const int32_t *const dots = %s + c / %lld * %lld + %lld;",
                  r->excess.first_dot, (ll)r->walk.lanes, (ll)r->quads.rows, (ll)m);
    nib_text_open(e->body, "for (int32_t i = dots[0]; i < dots[1]; i++) {");
    nib_text_line(e->body,
                  "const uint8_t *column = a + (%s)[2 * i] * %lld + (%s)[2 * i + 1] * %lld;",
                  r->excess.at, (ll)r->quad_bytes, r->excess.at, (ll)s->dilation_w * step);
    nib_text_line(e->body, "%s w0;", e->vocab->type_weight);
    nib_say(e, NIB_PRIM_WEIGHT_LOAD, "w0",
            nib_word_of("%s + i * %lld", r->excess.weights, (ll)(r->walk.lanes * quad)).s, NULL,
            NULL, NULL);
    for (int64_t i = 0; i < pixels; i++) {
      nib_say(e, NIB_PRIM_WEIGHT_LOAD, "a0",
              nib_word_of("column + %lld", (ll)(i * s->stride_w) * step).s, NULL, NULL, NULL);
      nib_say(e, NIB_PRIM_DOT, nib_word_of("acc%lld_%lld", (ll)m, (ll)i).s, "a0", "w0", NULL, NULL);
    }
    nib_text_close(e->body, "");
    nib_text_close(e->body, "");
  }
}

/* The sums of a register of channels. */
static void emit_products(depthwise_quads *r, int64_t pixels) {
  nib_emitter *e = r->e;
  const nib_conv_shape *s = &r->walk.shape;
  const bool hoisted = r->quads.quads == 1; /* weights stay in registers for the whole row */
  nib_declare_tile(e, e->vocab->type_i32, "acc", r->quads.rows, pixels);
  nib_say(e, NIB_PRIM_I32_LOAD, "acc0_0", nib_word_of("%s + c", r->constants.bias).s, NULL, NULL,
          NULL);
  for (int64_t i = 1; i < r->quads.rows * pixels; i++)
    nib_text_line(e->body, "acc%lld_%lld = acc0_0;", (ll)(i / pixels), (ll)(i % pixels));
  nib_text_line(e->body, "const uint8_t *a = staged + (x * %lld + c%s) * 4;",
                (ll)(s->stride_w * r->block), r->block < s->in_c ? " - cb" : "");
  nib_text_line(e->body, "%s a0;", e->vocab->type_act);
  emit_excess(r, pixels);
  for (int64_t q = 0; q < r->quads.quads; q++) {
    if (!hoisted) {
      nib_text_open(e->body, "{");
      emit_weights(r, q);
    }
    emit_columns(r, pixels, q);
    if (!hoisted)
      nib_text_close(e->body, "");
  }
}

/* `at`: the first element that a tile stores, of channel `channel`. */
static void emit_place(const depthwise_quads *r, const char *channel) {
  const nib_conv_shape *s = &r->walk.shape;
  const nib_word row = s->batch > 1   ? nib_word_of("(b * %lld + y)", (ll)s->out_h)
                       : r->rings.out ? nib_word_of("(y %% %lld)", (ll)r->rings.out)
                                      : nib_word_of("y");
  nib_text_line(r->e->body, "const int32_t at = (%s * %lld + x) * %lld + %s;", row.s, (ll)s->out_w,
                (ll)s->out_c, channel);
}

static void emit_tile(depthwise_quads *r, int64_t pixels, int tail) {
  const nib_conv_shape *s = &r->walk.shape;
  emit_products(r, pixels);
  emit_place(r, "c");
  nib_finish registers[most_pixels * most_rows];
  int count = 0;
  for (int64_t m = 0; m < r->quads.rows; m++) {
    for (int64_t i = 0; i < pixels; i++) {
      nib_finish *f = &registers[count++];
      *f = (nib_finish){.offset = (m * s->out_w + i) * s->out_c, .tail = tail};
      snprintf(f->acc, sizeof f->acc, "acc%lld_%lld", (ll)m, (ll)i);
    }
  }
  nib_epilogue_apply(&r->epilogue, registers, count, "at");
}

/* Weights and scales of the register of channels at c. */
static void emit_operands(depthwise_quads *r) {
  nib_text_line(r->e->body, "const int8_t *const w = %s + c * %lld;", r->constants.weights,
                (ll)(r->quads.quads * r->walk.shape.kernel_w * r->quads.rows * quad));
  if (r->quads.quads == 1)
    emit_weights(r, 0);
  nib_epilogue_load_channels(&r->epilogue, "c", 1);
}

/* Requantizes the sums of one part, and joins them with those of the part before. */
static void emit_part(depthwise_quads *r, int64_t pixels, int64_t part) {
  for (int64_t i = 0; i < r->quads.rows * pixels; i++) {
    const ll m = (ll)(i / pixels), x = (ll)(i % pixels);
    const nib_word acc = nib_word_of("acc%lld_%lld", m, x),
                   kept = nib_word_of("part%lld_%lld", m, x);
    nib_epilogue_finish_part(&r->epilogue, acc.s, 0);
    if (part % 2 == 0)
      nib_text_line(r->e->body, "%s = %s;", kept.s, acc.s);
    else
      nib_epilogue_join_parts(&r->epilogue,
                              nib_word_of(part == 1 ? "low%lld_%lld" : "high%lld_%lld", m, x).s,
                              kept.s, acc.s);
  }
}

/* Stores what was joined: the four parts of a pixel, or the two of each of two pixels. */
static void emit_part_stores(depthwise_quads *r, int64_t pixels) {
  const nib_conv_shape *s = &r->walk.shape;
  for (ll m = 0; m < r->quads.rows; m++) {
    for (ll x = 0; x < pixels; x += r->parts == 4 ? 1 : 2) {
      const nib_word at = nib_word_of("at + %lld", (m * (ll)s->out_w + x) * (ll)s->out_c);
      const nib_word low = nib_word_of("low%lld_%lld", m, x);
      if (r->parts == 4)
        nib_epilogue_store_parts(&r->epilogue, low.s, nib_word_of("high%lld_%lld", m, x).s, at.s);
      else
        nib_epilogue_store_pairs(&r->epilogue, low.s,
                                 x + 1 < pixels ? nib_word_of("low%lld_%lld", m, x + 1).s : NULL,
                                 at.s, s->out_c);
    }
  }
}

/* A tile of the registers from channel first_c that are packed together: joined as they come. */
static void emit_part_tile(depthwise_quads *r, int64_t pixels) {
  nib_emitter *e = r->e;
  nib_declare_tile(e, e->vocab->type_i32, "part", r->quads.rows, pixels);
  nib_declare_tile(e, e->vocab->type_bytes, "low", r->quads.rows, pixels);
  if (r->parts == 4)
    nib_declare_tile(e, e->vocab->type_bytes, "high", r->quads.rows, pixels);
  emit_place(r, "first_c");
  for (int64_t part = 0; part < r->parts; part++) {
    nib_text_open(e->body, "{");
    nib_text_line(e->body, "const int32_t c = first_c + %lld;", (ll)(part * e->vocab->lanes));
    emit_operands(r);
    emit_products(r, pixels);
    emit_part(r, pixels, part);
    nib_text_close(e->body, "");
  }
  emit_part_stores(r, pixels);
}

static void emit_tile_of(depthwise_quads *r, int64_t pixels, int tail) {
  if (r->parts > 1)
    emit_part_tile(r, pixels);
  else
    emit_tile(r, pixels, tail);
}

static void emit_channels(depthwise_quads *r, int tail) {
  nib_emitter *e = r->e;
  const nib_conv_shape *s = &r->walk.shape;
  const int64_t full = s->out_w / r->pixels, rest = s->out_w % r->pixels;
  if (r->parts == 1)
    emit_operands(r);
  if (full > 0) {
    nib_text_open(e->body, "for (int32_t x = 0; x < %lld; x += %lld) {", (ll)(full * r->pixels),
                  (ll)r->pixels);
    emit_tile_of(r, r->pixels, tail);
    nib_text_close(e->body, "");
  }
  if (rest > 0) {
    nib_text_open(e->body, "{ /* the last pixels of the row */");
    nib_text_line(e->body, "const int32_t x = %lld;", (ll)(full * r->pixels));
    emit_tile_of(r, rest, tail);
    nib_text_close(e->body, "");
  }
}

static void emit_rows(depthwise_quads *r);

static int64_t last_block(const depthwise_quads *r) {
  return (r->walk.shape.in_c - 1) / r->block * r->block;
}

/* Opens the loop over blocks of channels, if there is more than one. */
static void open_blocks(const depthwise_quads *r) {
  nib_emitter *e = r->e;
  const ll block = (ll)r->block, channels = (ll)r->walk.shape.in_c;
  if (last_block(r) > 0 && e->cut && r->cut_channels)
    nib_text_open(
        e->body,
        "for (int32_t cb = begin * %lld; cb < (end == %lld ? %lld : end * %lld); cb += %lld) {",
        block, (ll)r->units, channels, block, block);
  else if (last_block(r) > 0)
    nib_text_open(e->body, "for (int32_t cb = 0; cb < %lld; cb += %lld) {", channels, block);
}

static void emit_body(depthwise_quads *r) {
  nib_emitter *e = r->e;
  const nib_conv_shape *s = &r->walk.shape;
  const int64_t lanes = e->vocab->lanes;
  const ll rows = (ll)r->quads.rows, last = (ll)(s->out_h - r->quads.rows);
  nib_text_line(e->body,
                "/* %s: depthwise_conv2d %lldx%lld, %lldx%lldx%lld to %lldx%lldx%lld, in tiles of"
                " %lldx%lld pixels by %lld channels */",
                r->kernel->name, (ll)s->kernel_h, (ll)s->kernel_w, (ll)s->in_h, (ll)s->in_w,
                (ll)s->in_c, (ll)s->out_h, (ll)s->out_w, (ll)s->out_c, rows, (ll)r->pixels,
                (ll)(r->parts * lanes));
  emit_scratch(r);
  emit_borders(r);
  if (s->batch > 1)
    nib_text_open(e->body, "for (int32_t b = 0; b < %lld; b++) {", (ll)s->batch);
  if (r->channels_first)
    open_blocks(r);
  if (e->cut && !r->cut_channels)
    nib_text_open(e->body,
                  "for (int32_t block = begin * %lld; block < (end == %lld ? %lld : end * %lld); "
                  "block += %lld) {",
                  rows, (ll)r->units, (ll)s->out_h, rows, rows);
  else
    nib_text_open(e->body, "for (int32_t block = 0; block < %lld; block += %lld) {", (ll)s->out_h,
                  rows);
  if (s->out_h %
      r->quads.rows) /* the last rows overlap the ones before: computed twice, the same */
    nib_text_line(e->body, "const int32_t y = block < %lld ? block : %lld;", last, last);
  else
    nib_text_line(e->body, "const int32_t y = block;");
  emit_rows(r);
  for (int i = 0; i < 1 + (s->batch > 1) + r->channels_first; i++)
    nib_text_close(e->body, "");
}

/* Output rows y and those after it that come with it, a block of channels at a time. */
static void emit_rows(depthwise_quads *r) {
  nib_emitter *e = r->e;
  const nib_conv_shape *s = &r->walk.shape;
  const int64_t lanes = e->vocab->lanes, whole = s->out_c / lanes * lanes;
  const ll block = (ll)r->block, last = (ll)last_block(r), step = (ll)(r->parts * lanes);
  const char *const c = r->parts > 1 ? "first_c" : "c";
  if (!r->channels_first)
    open_blocks(r);
  emit_staging(r);
  if (whole > 0) {
    if (last > 0)
      nib_text_open(e->body, "for (int32_t %s = cb; %s < %lld && %s < cb + %lld; %s += %lld) {", c,
                    c, (ll)whole, c, block, c, step);
    else
      nib_text_open(e->body, "for (int32_t %s = 0; %s < %lld; %s += %lld) {", c, c, (ll)whole, c,
                    step);
    emit_channels(r, 0);
    nib_text_close(e->body, "");
  }
  if (whole < s->out_c) {
    nib_text_open(
        e->body,
        last > 0 ? "if (cb == %lld) { /* the last channels */" : "{ /* the last channels */", last);
    nib_text_line(e->body, "const int32_t c = %lld;", (ll)whole);
    emit_channels(r, (int)(s->out_c - whole));
    nib_text_close(e->body, "");
  }
  if (last > 0 && !r->channels_first)
    nib_text_close(e->body, "");
}

/* Packs weights, in `order` unless that is NULL, and what it takes to keep their pairs within the
 * limit of the vocabulary, or what an int8 has no room for. */
static nib_status split_weights(const nib_graph *g, const nib_node *n, const nib_vocab *v,
                                const depthwise_quads *r, const int32_t *order,
                                int8_t **out_weights, size_t *out_bytes, nib_excess *out_excess) {
  const nib_conv_shape *s = &r->walk.shape;
  const int64_t blocks = round_up(s->out_c, v->lanes) / v->lanes;
  int8_t *rest = NULL;
  memset(out_excess, 0, sizeof *out_excess);
  nib_status status = nib_pack_quads(g, n, &r->quads, s, v->lanes, out_weights, &rest, out_bytes);
  if (status == NIB_OK && order)
    status = nib_pack_move_quads(order, s->out_c, v->lanes, *out_weights, *out_bytes);
  if (status == NIB_OK && order && rest)
    status = nib_pack_move_quads(order, s->out_c, v->lanes, rest, *out_bytes);
  if (status == NIB_OK && v->pair_limit)
    status = nib_pack_split_quads(v, &r->quads, blocks, s->kernel_w, *out_weights, out_excess);
  else if (status == NIB_OK && rest)
    status = nib_pack_collect_quads(v, &r->quads, blocks, s->kernel_w, rest, out_excess);
  free(rest);
  return status;
}

static nib_status excess_macs(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                              int64_t *out_macs) {
  *out_macs = 0;
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  if (!v->pair_limit && nib_pack_fits_i8(nib_node_input(g, n, 1)))
    return NIB_OK;
  depthwise_quads r = {0};
  nib_excess x;
  int8_t *weights = NULL;
  size_t bytes = 0;
  init_shape(g, n, v, &r);
  const nib_status status = split_weights(g, n, v, &r, NULL, &weights, &bytes, &x);
  const nib_conv_shape *s = &r.walk.shape;
  const int64_t rows = s->batch * ((s->out_h + r.quads.rows - 1) / r.quads.rows);
  *out_macs = x.dots * v->lanes * quad * rows * s->out_w;
  free(weights);
  nib_excess_release(&x);
  return status;
}

static nib_status add_constants(depthwise_quads *r, const nib_node *n, const int32_t *order) {
  nib_emitter *e = r->e;
  const nib_conv_shape *s = &r->walk.shape;
  const int64_t padded = round_up(s->out_c, r->walk.lanes);
  int8_t *weights = NULL;
  void *bias = NULL;
  size_t bytes = 0;
  nib_excess x;
  nib_status status = split_weights(e->graph, n, e->vocab, r, order, &weights, &bytes, &x);
  if (status == NIB_OK)
    status = nib_conv_excess_tables(e, r->kernel->name, r->walk.lanes * quad, &x, &r->excess);
  if (status == NIB_OK)
    status = nib_pack_bias(e->graph, n, e->vocab, &r->walk, padded, &bias);
  if (status == NIB_OK && order)
    status = nib_pack_move_biases(order, s->out_c, bias);
  if (status == NIB_OK)
    nib_conv_add_starts(bias, r->epilogue.starts, s->out_c);
  if (status == NIB_OK)
    status = nib_conv_add_constants(e, r->kernel, "int8_t", weights, bytes, "int32_t", bias, padded,
                                    &r->constants);
  free(weights);
  free(bias);
  return status;
}

/* Where input and result stay in the second level of the caches, blocks of channels come one after
 * another, so that each one's weights stay in the first. */
static bool fits_cache(const depthwise_quads *r) {
  enum { few_bytes = 512 * 1024 };
  const nib_conv_shape *s = &r->walk.shape;
  return s->batch * (s->in_h * s->in_w + s->out_h * s->out_w) * s->in_c <= few_bytes;
}

static nib_status prepare(depthwise_quads *r) {
  nib_emitter *e = r->e;
  const nib_kernel *kernel = r->kernel;
  const nib_node *n = &e->graph->nodes[kernel->nodes[0]];
  init_shape(e->graph, n, e->vocab, r);
  r->pixels = kernel->tile[0] > 0 ? kernel->tile[0] : 1;
  if (r->pixels > most_pixels)
    return nib_diag_error(e->diag, NIB_ERROR_INVALID_INPUT, "%s: a tile has at most %d pixels",
                          kernel->name, most_pixels);
  const int32_t parts = parts_of(e->graph, kernel, e->vocab, r);
  r->parts = kernel->tile[1] == parts ? parts : 1;
  r->channels_first = last_block(r) > 0 && fits_cache(r);
  nib_acc_range *ranges = NULL;
  int32_t *order =
      r->parts > 1 ? nib_pack_channel_order(r->walk.shape.out_c, r->walk.lanes, parts) : NULL;
  nib_status status = r->parts > 1 && !order ? NIB_ERROR_OUT_OF_MEMORY
                                             : nib_pack_ranges(e->graph, n, &r->walk, &ranges);
  bool prepared = false;
  if (status == NIB_OK) {
    status = nib_epilogue_prepare_started(&r->epilogue, e, kernel, ranges, order,
                                          r->walk.shape.out_c, e->vocab->lanes);
    prepared = status == NIB_OK;
    status = prepared ? add_constants(r, n, order) : status;
  } else {
    nib_diag_error(e->diag, status, "%s: out of memory while packing", kernel->name);
  }
  if (prepared && status != NIB_OK) {
    nib_epilogue_release(&r->epilogue);
    nib_diag_error(e->diag, status, "%s: out of memory while packing", kernel->name);
  }
  free(order);
  free(ranges);
  return status;
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  depthwise_quads r = {.e = e, .kernel = kernel};
  NIB_RETURN_IF_ERROR(prepare(&r));
  const size_t before = e->body->size;
  emit_body(&r);
  return nib_epilogue_end(&r.epilogue, e, before);
}

static int64_t units(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  depthwise_quads r;
  init_shape(g, &g->nodes[kernel->nodes[0]], v, &r);
  return r.units;
}

/* ---- as a stage of a chain ---- */

static bool row_shape(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                      nib_row_shape *out_shape) {
  depthwise_quads r;
  init_shape(g, &g->nodes[kernel->nodes[0]], v, &r);
  const nib_conv_shape *s = &r.walk.shape;
  *out_shape = (nib_row_shape){.in_h = s->in_h,
                               .out_h = s->out_h,
                               .out_w = s->out_w,
                               .rows = r.quads.rows,
                               .stride = s->stride_h,
                               .pad = s->pad_top,
                               .span = (r.quads.rows - 1) * s->stride_h + s->kernel_h};
  return s->batch == 1;
}

static nib_status row_open(nib_emitter *e, const nib_kernel *kernel, nib_row_rings rings,
                           void **out_stage) {
  depthwise_quads *r = calloc(1, sizeof *r);
  *out_stage = r;
  if (!r)
    return NIB_ERROR_OUT_OF_MEMORY;
  *r = (depthwise_quads){.e = e, .kernel = kernel};
  NIB_RETURN_IF_ERROR(prepare(r));
  r->rings = rings;
  r->channels_first = false; /* rows come as the chain has them */
  return NIB_OK;
}

static void row_emit_begin(void *stage) {
  emit_scratch(stage);
  nib_text_line(((depthwise_quads *)stage)->e->body, "(void)staged;");
  emit_borders(stage);
}

/* A ring has room for rows past the last; a tensor has not, there the last ones come twice. */
static void row_emit_step(void *stage) {
  depthwise_quads *r = stage;
  const ll rows = (ll)r->quads.rows, last = (ll)r->walk.shape.out_h - rows;
  emit_scratch(r);
  if (!r->rings.out && r->walk.shape.out_h % rows)
    nib_text_line(r->e->body, "const int32_t y = top < %lld ? top : %lld;", last, last);
  else
    nib_text_line(r->e->body, "const int32_t y = top;");
  emit_rows(r);
}

static void row_close(void *stage) {
  depthwise_quads *r = stage;
  if (r && r->epilogue.e)
    nib_epilogue_release(&r->epilogue);
  free(r);
}

extern const nib_schedule nib_schedule_depthwise_quads;

const nib_row_stage nib_row_stage_quads = {
    .schedule = &nib_schedule_depthwise_quads,
    .shape = row_shape,
    .open = row_open,
    .emit_begin = row_emit_begin,
    .emit_step = row_emit_step,
    .close = row_close,
};

const nib_schedule nib_schedule_depthwise_quads = {
    .name = "depthwise_quads",
    .accepts = accepts,
    .tiles = tiles,
    .scratch_bytes = scratch_bytes,
    .emit = emit,
    .excess_macs = excess_macs,
    .units = units,
};

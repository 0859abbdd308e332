/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * conv_rows: convolution and fully connected without an im2col buffer. Input rows are staged once
 * into a ring (stage_rows.c); a micro-kernel of tile[0] pixels by tile[1] registers of output
 * channels walks the taps of a pixel as contiguous runs; the epilogue finishes in registers.
 * tile[2] is the pixels of a row where these are flattened to rows, tile[3] whether taps are taken
 * together, tile[4] how many weights share a byte. */
#include "emit/snippets.h"
#include "pack/pack_pairs.h"
#include "schedule/conv_codes.h"
#include "schedule/conv_cut.h"
#include "schedule/conv_excess.h"
#include "schedule/conv_fetch.h"
#include "schedule/conv_formats.h"
#include "schedule/conv_live.h"
#include "schedule/conv_sums.h"
#include "schedule/conv_tiles.h"
#include "schedule/row_stage.h"
#include "schedule/stage_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef long long ll;

#define NIB_MAX_TILE_REGISTERS (NIB_CONV_MOST_PIXELS * NIB_CONV_MOST_COLUMNS)

typedef struct conv_rows {
  nib_emitter *e;
  const nib_kernel *kernel;
  nib_conv_walk walk;
  nib_stage stage;
  nib_epilogue epilogue;
  int64_t pixels;   /* of a tile */
  bool by_taps;     /* the taps of a row together: each input column is loaded once for all */
  int64_t out_ring; /* rows of out, a ring; 0: all of them */
  nib_conv_cut cut; /* what begin and end count */
  int64_t units;
  nib_conv_fetch fetch;
  int64_t code;        /* of the bytes of weights, whose step is being said */
  bool live;           /* weights are packed when the kernel runs */
  bool in_last;        /* the step beyond whole groups of an odd run is being said */
  int64_t weight_zero; /* left to subtract with sums of activations; 0: none */
  nib_conv_constants constants;
  const char *weight_type;
  nib_shared_codes codes; /* of a byte of the weights, if any share one */
  nib_conv_excess excess;
} conv_rows;

/* ---- what it accepts ---- */

static bool is_supported_root(const nib_graph *g, const nib_node *n) {
  if (n->op == NIB_OP_DEPTHWISE_CONV2D)
    return nib_node_input(g, n, 0) && nib_node_input(g, n, 0)->dims[3] == 1;
  return n->op == NIB_OP_CONV2D || n->op == NIB_OP_FULLY_CONNECTED ||
         (n->op == NIB_OP_MATMUL && nib_conv_is_live(g, n));
}

static void init_stage(const nib_graph *g, const nib_node *n, const nib_vocab *v,
                       const nib_conv_walk *w, nib_stage *out_stage) {
  const bool sums = nib_pack_weight_zero(g, n, v, w->codes) != 0;
  const bool ends_short = w->is_float && nib_vocab_prim(v, NIB_PRIM_HALF_LAST);
  const int64_t read_past = ends_short ? 0 : w->steps * w->dot_k - w->run;
  nib_stage_init(out_stage, nib_node_input(g, n, 0), &w->shape, v, nib_pack_staged_zero(g, n, v),
                 read_past, sums);
  nib_stage_reals_twice(out_stage, v, read_past);
  out_stage->last_copied -= w->shape.out_w - w->last_w;
}

static bool accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  static const nib_prim ints[] = {NIB_PRIM_I32_LOAD, NIB_PRIM_I32_SET,   NIB_PRIM_I32_SUB,
                                  NIB_PRIM_DOT,      NIB_PRIM_ACT_BCAST, NIB_PRIM_WEIGHT_LOAD};
  static const nib_prim floats[] = {NIB_PRIM_F32_LOAD, NIB_PRIM_F32_SET, NIB_PRIM_F32_FMA,
                                    NIB_PRIM_F32_STORE, NIB_PRIM_F32_STORE_TAIL};
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  if (!is_supported_root(g, n) || !nib_conv_formats_fit(g, n, v, nib_conv_is_live(g, n)) ||
      !nib_epilogue_can_emit(g, kernel, v) ||
      (nib_conv_is_live(g, n) && !nib_conv_live_accepts(g, kernel, v)))
    return false;
  const bool is_float = nib_params_is_real(nib_node_input(g, n, 0)->format);
  if (is_float ? !nib_vocab_has(v, floats, 5) : v->real_f16 || !nib_vocab_has(v, ints, 6))
    return false;
  nib_conv_walk w;
  nib_pack_walk_in_rows(g, n, v, 1, kernel->tile[2], &w);
  if (w.shape.out_w < 1 || w.shape.out_h < 1 || w.group_in < 1 || w.group_out < 1)
    return false;
  if (!is_float && nib_pack_weight_zero(g, n, v, 1) != 0 &&
      (w.shape.groups > 1 || !nib_vocab_prim(v, NIB_PRIM_STAGE_SUM)))
    return false;
  /* Groups of halves are read as a whole, from where they are aligned; none is half a group, or the
   * last is read by itself. */
  if (is_float && v->half_k && !nib_vocab_prim(v, NIB_PRIM_HALF_LAST) &&
      (w.shape.in_c % v->half_k || w.group_in % v->half_k))
    return false;
  nib_stage stage;
  init_stage(g, n, v, &w, &stage);
  return nib_stage_can_emit(&stage, v);
}

/* ---- tiles ---- */

static int tiles(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                 int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  nib_conv_walk w;
  nib_pack_walk_in_rows(g, n, v, 1, kernel->tile[2], &w);
  const int64_t codes = nib_conv_codes(g, n, v, &w);
  const int count = nib_conv_tiles(v, &w, out_tiles, codes > 1 ? (capacity + 1) / 2 : capacity);
  if (codes < 2)
    return count;
  nib_pack_share_bytes(&w, codes);
  return count + nib_conv_tiles(v, &w, out_tiles + count, capacity - count);
}

/* The walk of a kernel in its tile. */
static void walk_of(const nib_graph *g, const nib_node *n, const nib_vocab *v, const int32_t *tile_,
                    nib_conv_walk *out_walk) {
  nib_pack_walk_in_rows(g, n, v, tile_[1] > 0 ? tile_[1] : 1, tile_[2], out_walk);
  if (tile_[3] > 0)
    nib_pack_split_taps(out_walk);
  else if (tile_[4] > 1)
    nib_pack_share_bytes(out_walk, tile_[4]);
}

/* ---- scratch ---- */

/* Where weights are that are packed in scratch: behind the ring and the sums. */
static int64_t live_at(const nib_stage *s, const nib_conv_walk *w, bool sums) {
  return nib_stage_ring_bytes(s) + (sums ? nib_conv_sums_bytes(s, &w->shape) : 0);
}

static int64_t scratch_bytes(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  nib_conv_walk w;
  nib_stage stage;
  walk_of(g, n, v, kernel->tile, &w);
  init_stage(g, n, v, &w, &stage);
  const bool sums = nib_pack_weight_zero(g, n, v, w.codes) != 0;
  return live_at(&stage, &w, sums) + (nib_conv_is_live(g, n) ? nib_conv_live_bytes(&w, v) : 0);
}

/* ---- threads ---- */

static int64_t units(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  const int32_t *t = kernel->tile;
  nib_conv_walk w;
  nib_stage stage;
  int64_t n_units = 1;
  if (nib_conv_is_live(g, n))
    return nib_conv_live_matrices(g, n);
  walk_of(g, n, v, t, &w);
  init_stage(g, n, v, &w, &stage);
  nib_conv_choose_cut(&w, &stage, t[0] > 0 ? t[0] : 1, kernel->parts, &n_units);
  return n_units;
}

static int64_t saved_bytes(const nib_graph *g, const nib_kernel *kernel) {
  const int64_t codes = kernel->tile[4];
  const int64_t elems = nib_tensor_elems(nib_node_input(g, &g->nodes[kernel->nodes[0]], 1));
  return codes > 1 ? elems - elems / codes : 0;
}

static nib_status excess_macs(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                              int64_t *out_macs) {
  return nib_pack_excess_macs(g, &g->nodes[kernel->nodes[0]], v, out_macs);
}

/* ---- emission ---- */

/* A tile: `pixels` by `columns` registers of output channels from channel c (of group g). */
typedef struct tile {
  int64_t pixels, columns;
  int64_t tail; /* valid lanes of the last register, 0: all */
} tile;

static void declare_registers(nib_emitter *e, const char *type, const char *stem, int64_t pixels,
                              int64_t columns) {
  for (int64_t m = 0; m < pixels; m++) {
    nib_text_printf(e->body, "%*s%s ", 2 * e->body->indent, "", type);
    for (int64_t n = 0; n < columns; n++)
      nib_text_printf(e->body, "%s%s%lld_%lld", n ? ", " : "", stem, (ll)m, (ll)n);
    nib_text_printf(e->body, ";\n");
  }
}

/* Whether products are summed in registers of their own kind. */
static bool sums_apart(const conv_rows *r) { return r->walk.is_float && r->e->vocab->type_sum; }

/* The register that sums the products of pixel m and column register n. */
static nib_word sum_register(const conv_rows *r, const tile *t, int64_t m, int64_t n) {
  const int places = r->walk.codes > 1 ? nib_conv_codes_places(&r->codes, t->pixels) : 1;
  if (places > 1)
    return nib_conv_codes_sum(&r->codes, places, r->code, n);
  return nib_word_of(sums_apart(r) ? "sum%lld_%lld" : "acc%lld_%lld", (ll)m, (ll)n);
}

/* Sums in registers of their own kind begin with 0. */
static void emit_zeros(conv_rows *r, const tile *t) {
  declare_registers(r->e, r->e->vocab->type_sum, "sum", t->pixels, t->columns);
  for (int64_t m = 0; m < t->pixels; m++)
    for (int64_t n = 0; n < t->columns; n++)
      nib_say(r->e, NIB_PRIM_SUM_ZERO, sum_register(r, t, m, n).s, NULL, NULL, NULL, NULL);
}

/* And are added to the biases in the end, one after another: the registers of the sums are free
 * then. */
static void emit_totals(conv_rows *r, const tile *t) {
  declare_registers(r->e, r->e->vocab->type_f32, "acc", t->pixels, t->columns);
  for (int64_t m = 0; m < t->pixels; m++)
    for (int64_t n = 0; n < t->columns; n++) {
      const nib_word acc = nib_word_of("acc%lld_%lld", (ll)m, (ll)n);
      nib_say(r->e, NIB_PRIM_F32_LOAD, acc.s,
              nib_word_of("%s + channel + %lld", r->constants.bias, (ll)(n * r->walk.lanes)).s,
              NULL, NULL, NULL);
      nib_say(r->e, NIB_PRIM_SUM_TOTAL, acc.s, sum_register(r, t, m, n).s, NULL, NULL, NULL);
    }
}

static void emit_initial(conv_rows *r, const tile *t) {
  nib_emitter *e = r->e;
  const bool f = r->walk.is_float;
  declare_registers(e, f ? e->vocab->type_f32 : e->vocab->type_i32, "acc", t->pixels, t->columns);
  for (int64_t n = 0; n < t->columns; n++) {
    const nib_word from =
        nib_word_of("%s + channel + %lld", r->constants.bias, (ll)(n * r->walk.lanes));
    nib_say(e, f ? NIB_PRIM_F32_LOAD : NIB_PRIM_I32_LOAD, nib_word_of("acc0_%lld", (ll)n).s, from.s,
            NULL, NULL, NULL);
    for (int64_t m = 1; m < t->pixels; m++)
      nib_text_line(e->body, "acc%lld_%lld = acc0_%lld;", (ll)m, (ll)n, (ll)n);
    nib_conv_excess_emit(e, &r->excess, &r->walk, &r->stage, t->pixels, n);
  }
  for (int64_t m = 0; r->weight_zero && m < t->pixels; m++) {
    nib_text_open(e->body, "{");
    nib_text_line(e->body, "%s sum;", e->vocab->type_i32);
    nib_say(e, NIB_PRIM_I32_SET, "sum", nib_word_of("sums[x + %lld]", (ll)m).s, NULL, NULL, NULL);
    for (int64_t n = 0; n < t->columns; n++) {
      const nib_word acc = nib_word_of("acc%lld_%lld", (ll)m, (ll)n);
      nib_say(e, NIB_PRIM_I32_SUB, acc.s, acc.s, "sum", NULL, NULL);
    }
    nib_text_close(e->body, "");
  }
}

/* Whether products take one float for all lanes. */
static bool takes_scalar(const conv_rows *r) {
  return r->walk.is_float && nib_vocab_prim(r->e->vocab, NIB_PRIM_F32_FMA_SCALAR);
}

static nib_prim product_prim(const conv_rows *r) {
  if (!r->walk.is_float)
    return NIB_PRIM_DOT;
  return r->e->vocab->type_half ? NIB_PRIM_HALF_FMA_SCALAR
         : takes_scalar(r)      ? NIB_PRIM_F32_FMA_SCALAR
                                : NIB_PRIM_F32_FMA;
}

static const char *weight_register(const conv_rows *r) {
  const nib_vocab *v = r->e->vocab;
  return !r->walk.is_float ? v->type_weight : v->type_half ? v->type_half : v->type_f32;
}

static nib_prim weight_prim(const conv_rows *r) {
  return !r->walk.is_float        ? NIB_PRIM_WEIGHT_LOAD
         : r->e->vocab->type_half ? NIB_PRIM_HALF_LOAD
                                  : NIB_PRIM_F32_LOAD;
}

/* Whether a product takes several halves of an activation. */
static bool takes_group(const conv_rows *r) { return r->walk.is_float && r->e->vocab->half_k; }

/* Whether reals are staged twice. */
static bool takes_twice(const conv_rows *r) { return r->stage.twice; }

static void declare_activation(const conv_rows *r) {
  const nib_vocab *v = r->e->vocab;
  nib_text_line(r->e->body, "%s a0;",
                takes_group(r)     ? v->type_half
                : takes_scalar(r)  ? r->stage.c_type
                : r->walk.is_float ? v->type_f32
                                   : v->type_act);
}

/* a0 = what all columns multiply, at element `at` of the run. */
static void load_activation(const conv_rows *r, int64_t at) {
  nib_emitter *e = r->e;
  if (takes_group(r))
    nib_say(e, r->in_last ? NIB_PRIM_HALF_LAST : NIB_PRIM_HALF_GROUP, "a0",
            nib_word_of("a + k + %lld", (ll)at).s, NULL, NULL, NULL);
  else if (takes_twice(r))
    nib_say(e, NIB_PRIM_F32_TWICE, "a0", nib_word_of("a + k + %lld", (ll)at).s, NULL, NULL, NULL);
  else if (takes_scalar(r))
    nib_text_line(e->body, "a0 = a[k + %lld];", (ll)at);
  else if (r->walk.is_float)
    nib_say(e, NIB_PRIM_F32_SET, "a0", nib_word_of("a[k + %lld]", (ll)at).s, NULL, NULL, NULL);
  else
    nib_say(e, NIB_PRIM_ACT_BCAST, "a0", nib_word_of("a + k + %lld", (ll)at).s, NULL, NULL, NULL);
}

/* Registers <stem>0 … = the next ones of packed weights. */
static void load_weights(conv_rows *r, const tile *t, char stem) {
  nib_emitter *e = r->e;
  const int64_t register_elems = r->walk.lanes * r->walk.dot_k;
  for (int64_t n = 0; n < t->columns; n++) {
    nib_text_line(e->body, "%s %c%lld;", weight_register(r), stem, (ll)n);
    nib_say(e, weight_prim(r), nib_word_of("%c%lld", stem, (ll)n).s,
            nib_word_of("w + %lld", (ll)(n * register_elems)).s, NULL, NULL, NULL);
    nib_conv_fetch_weights(e, &r->fetch, &r->walk, n);
  }
  nib_text_line(e->body, "w += %lld;", (ll)(t->columns * register_elems));
}

/* Registers w0 … times all pixels' activations, the first of which is at element `at` of the run.
 */
static void multiply(conv_rows *r, const tile *t, int64_t at) {
  declare_activation(r);
  for (int64_t m = 0; m < t->pixels; m++) {
    load_activation(r, at + m * r->walk.shape.stride_w * r->walk.shape.in_c);
    for (int64_t n = 0; n < t->columns; n++)
      nib_say(r->e, product_prim(r), sum_register(r, t, m, n).s, "a0",
              nib_word_of("w%lld", (ll)n).s, NULL, NULL);
  }
}

static void emit_step(conv_rows *r, const tile *t) {
  load_weights(r, t, 'w');
  multiply(r, t, 0);
}

/* The steps whose weights share bytes. */
static void emit_shared_steps(conv_rows *r, const tile *t) {
  nib_emitter *e = r->e;
  const int places = nib_conv_codes_places(&r->codes, t->pixels);
  load_weights(r, t, 'p');
  for (int64_t code = 0; code < r->walk.codes; code++) {
    r->code = code;
    nib_text_open(e->body, "{");
    for (int64_t n = 0; n < t->columns; n++) {
      const nib_word to = nib_word_of("w%lld", (ll)n);
      nib_text_line(e->body, "%s %s;", weight_register(r), to.s);
      nib_conv_codes_unpack(e, &r->codes, places, to.s, nib_word_of("p%lld", (ll)n).s, code);
    }
    multiply(r, t, code * r->walk.dot_k);
    nib_text_close(e->body, "");
  }
}

/* One step of all taps of a row: every input column is loaded once and multiplied into the pixels
 * that it touches. */
static void emit_columns(conv_rows *r, const tile *t) {
  nib_emitter *e = r->e;
  const nib_conv_walk *w = &r->walk;
  const nib_conv_shape *s = &w->shape;
  const int64_t register_elems = w->lanes * w->dot_k;
  declare_registers(e, weight_register(r), "w", w->segments, t->columns);
  for (int64_t kx = 0; kx < w->segments; kx++)
    for (int64_t n = 0; n < t->columns; n++)
      nib_say(e, weight_prim(r), nib_word_of("w%lld_%lld", (ll)kx, (ll)n).s,
              nib_word_of("w + %lld", (ll)((kx * w->steps * t->columns + n) * register_elems)).s,
              NULL, NULL, NULL);
  nib_text_line(e->body, "w += %lld;", (ll)(t->columns * register_elems));
  declare_activation(r);
  for (int64_t column = 0; column < nib_conv_columns_under(s, t->pixels); column++) {
    bool loaded = false;
    for (int64_t kx = 0; kx < w->segments; kx++) {
      const int64_t ahead = column - kx * s->dilation_w, m = ahead / s->stride_w;
      if (ahead < 0 || ahead % s->stride_w || m >= t->pixels)
        continue;
      if (!loaded)
        load_activation(r, column * s->in_c);
      loaded = true;
      for (int64_t n = 0; n < t->columns; n++)
        nib_say(e, product_prim(r), sum_register(r, t, m, n).s, "a0",
                nib_word_of("w%lld_%lld", (ll)kx, (ll)n).s, NULL, NULL);
    }
  }
}

/* Between steps: unrolled ones would load all their weights first, and spill. */
static void keep_order(const conv_rows *r, const tile *t) {
  if (r->walk.is_float && nib_vocab_prim(r->e->vocab, NIB_PRIM_F32_AFTER)) {
    for (int64_t n = 0; n < t->columns; n++)
      nib_say(r->e, NIB_PRIM_F32_AFTER, nib_word_of("acc%lld_%lld", (ll)(t->pixels - 1), (ll)n).s,
              NULL, NULL, NULL, NULL);
  } else if (nib_vocab_prim(r->e->vocab, NIB_PRIM_ORDER)) {
    nib_say(r->e, NIB_PRIM_ORDER, NULL, NULL, NULL, NULL, NULL);
  }
}

static void emit_any_step(conv_rows *r, const tile *t) {
  if (r->by_taps)
    emit_columns(r, t);
  else if (r->walk.codes > 1)
    emit_shared_steps(r, t);
  else
    emit_step(r, t);
  keep_order(r, t);
  nib_text_close(r->e->body, "");
}

/* The steps of a run. */
static void emit_steps(conv_rows *r, const tile *t) {
  nib_emitter *e = r->e;
  const nib_conv_walk *w = &r->walk;
  const bool ends_short = takes_group(r) && w->run % w->dot_k;
  const int64_t whole = w->steps - ends_short;
  if ((nib_emitter_unroll(e) > 1 || e->unroll) && whole > 1)
    nib_text_line(e->body, "#pragma GCC unroll %d", nib_emitter_unroll(e));
  if (whole > 0) {
    nib_text_open(e->body, "for (int32_t k = 0; k < %lld; k += %lld) {", (ll)(whole * w->dot_k),
                  (ll)(w->dot_k * w->codes));
    emit_any_step(r, t);
  }
  if (!ends_short)
    return;
  nib_text_open(e->body, "{");
  nib_text_line(e->body, "const int32_t k = %lld;", (ll)(whole * w->dot_k));
  r->in_last = true;
  emit_any_step(r, t);
  r->in_last = false;
}

static void emit_taps(conv_rows *r, const tile *t) {
  nib_emitter *e = r->e;
  const nib_conv_walk *w = &r->walk;
  const nib_conv_shape *s = &w->shape;
  const bool each_tap = w->segments > 1 && !r->by_taps;
  const int places = nib_conv_codes_places(&r->codes, t->pixels);
  if (w->codes > 1)
    nib_conv_codes_begin(e, &r->codes, places, t->columns);
  if (!r->by_taps)
    nib_text_line(e->body, "const %s *w = panel;", r->weight_type);
  if (s->kernel_h > 1)
    nib_text_open(e->body, "for (int32_t ky = 0; ky < %lld; ky++) {", (ll)s->kernel_h);
  if (r->by_taps)
    nib_text_line(e->body, "const %s *w = panel%s;", r->weight_type,
                  s->kernel_h > 1
                      ? nib_word_of(" + ky * %lld", (ll)nib_pack_row_elems(w, t->columns)).s
                      : "");
  const nib_word group =
      s->groups > 1 ? nib_word_of(" + g * %lld", (ll)w->group_in) : nib_word_of("%s", "");
  nib_text_line(e->body, "const %s *a = %s + x * %lld%s;", r->stage.c_type,
                nib_stage_row(&r->stage).s, (ll)(s->stride_w * s->in_c), group.s);
  if (each_tap)
    nib_text_open(e->body, "for (int32_t kx = 0; kx < %lld; kx++, a += %lld) {", (ll)w->segments,
                  (ll)w->pitch);
  emit_steps(r, t);
  for (int i = 0; i < each_tap + (s->kernel_h > 1); i++)
    nib_text_close(e->body, "");
  if (w->codes > 1)
    nib_conv_codes_end(e, &r->codes, places, t->columns);
}

static void emit_tile(conv_rows *r, const tile *t) {
  nib_emitter *e = r->e;
  const nib_conv_shape *s = &r->walk.shape;
  const nib_word row = s->batch > 1       ? nib_word_of("(b * %lld + y)", (ll)s->out_h)
                       : r->out_ring == 1 ? nib_word_of("0")
                       : r->out_ring > 1  ? nib_word_of("(y %% %lld)", (ll)r->out_ring)
                                          : nib_word_of("y");
  nib_conv_fetch_row(e, &r->fetch, &r->walk, t->pixels);
  if (sums_apart(r))
    emit_zeros(r, t);
  else
    emit_initial(r, t);
  emit_taps(r, t);
  if (sums_apart(r))
    emit_totals(r, t);
  nib_text_line(e->body, "const int32_t at = (%s * %lld + x) * %lld + channel;", row.s,
                (ll)s->out_w, (ll)s->out_c);
  nib_epilogue_load_channels(&r->epilogue, "channel", (int)t->columns);
  nib_finish registers[NIB_MAX_TILE_REGISTERS];
  int count = 0;
  for (int64_t m = 0; m < t->pixels; m++) {
    for (int64_t n = 0; n < t->columns; n++) {
      nib_finish *f = &registers[count++];
      *f = (nib_finish){.column = (int)n, .offset = m * s->out_c + n * r->walk.lanes};
      f->tail = n + 1 == t->columns ? (int)t->tail : 0;
      snprintf(f->acc, sizeof f->acc, "acc%lld_%lld", (ll)m, (ll)n);
    }
  }
  nib_epilogue_apply(&r->epilogue, registers, count, "at");
}

/* The tiles of one output row for the panel at channel c: full ones, then the rest. */
static void emit_panel(conv_rows *r, int64_t columns, int64_t tail) {
  nib_emitter *e = r->e;
  const nib_conv_walk *w = &r->walk;
  const int64_t per_channel = w->shape.kernel_h * w->segments * w->steps * w->dot_k / w->codes;
  if (w->shape.groups > 1) {
    nib_text_line(e->body, "const %s *const panel = %s + g * %lld + c * %lld;", r->weight_type,
                  r->constants.weights, (ll)w->group_elems, (ll)per_channel);
    nib_text_line(e->body, "const int32_t channel = g * %lld + c;", (ll)w->group_out);
  } else {
    nib_text_line(e->body, "const %s *const panel = %s + c * %lld;", r->weight_type,
                  r->constants.weights, (ll)per_channel);
    nib_text_line(e->body, "const int32_t channel = c;");
    const int64_t panel = w->columns * w->lanes;
    if (columns == w->columns && w->full_panels > 0 && !tail)
      nib_epilogue_at_channels(&r->epilogue, 0, panel, w->full_panels);
    else
      nib_epilogue_at_channels(&r->epilogue, w->full_panels * panel, panel, 1);
  }
  const bool shorter = w->last_w < w->shape.out_w;
  const ll last = (ll)(w->shape.out_h - 1);
  const int64_t full = w->shape.out_w / r->pixels * r->pixels, rest = w->last_w % r->pixels;
  if (full > 0) {
    const nib_word end =
        shorter ? nib_word_of("(y == %lld ? %lld : %lld)", last, (ll)(w->last_w - rest), (ll)full)
                : nib_word_of("%lld", (ll)full);
    if (r->cut == NIB_CUT_PIXELS)
      nib_text_open(e->body, "for (int32_t x = first; x + %lld <= last; x += %lld) {",
                    (ll)r->pixels, (ll)r->pixels);
    else
      nib_text_open(e->body, "for (int32_t x = 0; x < %s; x += %lld) {", end.s, (ll)r->pixels);
    emit_tile(r, &(tile){r->pixels, columns, tail});
    nib_text_close(e->body, "");
  }
  if (rest > 0) {
    if (r->cut == NIB_CUT_PIXELS)
      nib_text_open(e->body, "if (end == %lld) { /* the last pixels of the row */", (ll)r->units);
    else
      nib_text_open(e->body,
                    shorter ? "if (y == %lld) { /* the last pixels */"
                            : "{ /* the last pixels of the row */",
                    last);
    nib_text_line(e->body, "const int32_t x = %lld;", (ll)(w->last_w - rest));
    emit_tile(r, &(tile){rest, columns, tail});
    nib_text_close(e->body, "");
  }
}

static void emit_panels(conv_rows *r) {
  nib_emitter *e = r->e;
  const nib_conv_walk *w = &r->walk;
  const ll panel = w->columns * w->lanes;
  if (w->shape.groups > 1)
    nib_text_open(e->body, "for (int32_t g = 0; g < %lld; g++) {", (ll)w->shape.groups);
  if (w->full_panels > 0) {
    if (r->cut == NIB_CUT_PANELS)
      nib_text_open(
          e->body,
          "for (int32_t c = begin * %lld; c < (end < %lld ? end : %lld) * %lld; c += %lld) {",
          panel, (ll)w->full_panels, (ll)w->full_panels, panel, panel);
    else
      nib_text_open(e->body, "for (int32_t c = 0; c < %lld; c += %lld) {",
                    (ll)(w->full_panels * panel), panel);
    emit_panel(r, w->columns, 0);
    nib_text_close(e->body, "");
  }
  if (w->last_columns > 0) {
    if (r->cut == NIB_CUT_PANELS)
      nib_text_open(e->body, "if (end == %lld) { /* the last channels */", (ll)r->units);
    else
      nib_text_open(e->body, "{ /* the last channels */");
    nib_text_line(e->body, "const int32_t c = %lld;", (ll)(w->full_panels * panel));
    emit_panel(r, w->last_columns, w->last_tail);
    nib_text_close(e->body, "");
  }
  if (w->shape.groups > 1)
    nib_text_close(e->body, "");
}

static nib_conv_sums sums_of(const conv_rows *r) {
  return (nib_conv_sums){r->e, &r->stage, &r->walk.shape, r->weight_zero, r->cut == NIB_CUT_PIXELS};
}

static void emit_scratch(const conv_rows *r) {
  const nib_conv_sums sums = sums_of(r);
  nib_stage_emit_begin(&r->stage, r->e);
  if (r->weight_zero)
    nib_conv_sums_declare(&sums);
}

/* Output row y. */
static void emit_row(conv_rows *r) {
  nib_conv_sums sums = sums_of(r);
  nib_stage_emit_rows(&r->stage, r->e, r->weight_zero ? nib_conv_sums_emit_staged : NULL, &sums);
  if (r->weight_zero)
    nib_conv_sums_emit(&sums);
  emit_panels(r);
}

static void emit_body(conv_rows *r) {
  nib_emitter *e = r->e;
  const nib_conv_shape *s = &r->walk.shape;
  const nib_node *n = r->epilogue.root;
  nib_text_line(e->body,
                "/* %s: %s %lldx%lld, %lldx%lldx%lld to %lldx%lldx%lld, in tiles of %lld"
                " pixels by %lld channels */",
                r->kernel->name, nib_op_get(n->op)->mnemonic, (ll)s->kernel_h, (ll)s->kernel_w,
                (ll)s->in_h, (ll)s->in_w, (ll)s->in_c, (ll)s->out_h, (ll)s->out_w, (ll)s->out_c,
                (ll)r->pixels, (ll)(r->walk.columns * r->walk.lanes));
  if (r->cut == NIB_CUT_PIXELS) {
    nib_text_line(e->body, "const int32_t first = begin * %lld;", (ll)r->pixels);
    nib_text_line(e->body, "const int32_t last = end == %lld ? %lld : end * %lld;", (ll)r->units,
                  (ll)s->out_w, (ll)r->pixels);
  }
  emit_scratch(r);
  if (r->live)
    nib_conv_live_begin(e, n, &r->walk, live_at(&r->stage, &r->walk, r->weight_zero != 0),
                        r->epilogue.starts);
  if (s->batch > 1)
    nib_text_open(e->body, "for (int32_t b = 0; b < %lld; b++) {", (ll)s->batch);
  nib_stage_emit_loop(&r->stage, e, r->cut == NIB_CUT_ROWS);
  emit_row(r);
  nib_text_close(e->body, "");
  if (s->batch > 1)
    nib_text_close(e->body, "");
  if (r->live)
    nib_conv_live_end(e, n);
}

static nib_status out_of_memory(const conv_rows *r, nib_status status) {
  return nib_diag_error(r->e->diag, status, "%s: out of memory while packing", r->kernel->name);
}

/* Packs weights and biases, from which sums begin, and adds them to the constants. */
static nib_status add_constants(conv_rows *r, const int32_t *order) {
  nib_emitter *e = r->e;
  const nib_node *n = &e->graph->nodes[r->kernel->nodes[0]];
  const int64_t elems = r->walk.shape.out_c + r->walk.lanes;
  void *weights = NULL, *bias = NULL;
  size_t bytes = 0;
  nib_status status = nib_conv_pack(e->graph, n, e->vocab, &r->walk, order, r->epilogue.starts,
                                    elems, &weights, &bytes, &bias);
  if (status == NIB_OK && r->walk.codes == 1) /* pairs of small codes are within all limits */
    status = nib_conv_excess_add(e, r->kernel->name, &r->walk, weights, &r->excess);
  if (status == NIB_OK)
    status = nib_conv_add_constants(e, r->kernel, r->weight_type, weights, bytes,
                                    nib_conv_bias_type(e->vocab, r->walk.is_float), bias, elems,
                                    &r->constants);
  free(weights);
  free(bias);
  r->fetch = nib_conv_fetch_plan(e->vocab, &r->walk, &r->stage, r->pixels, (int64_t)bytes);
  return status;
}

static nib_status prepare_epilogue(conv_rows *r, const int32_t *order) {
  nib_emitter *e = r->e;
  nib_acc_range *ranges = NULL;
  const nib_status status =
      r->walk.is_float
          ? NIB_OK
          : nib_pack_ranges(e->graph, &e->graph->nodes[r->kernel->nodes[0]], &r->walk, &ranges);
  if (status != NIB_OK)
    return out_of_memory(r, status);
  const nib_status prepared = nib_epilogue_prepare_started(
      &r->epilogue, e, r->kernel, ranges, order, r->walk.shape.out_c, r->walk.lanes);
  free(ranges);
  return prepared;
}

static nib_status prepare(conv_rows *r) {
  nib_emitter *e = r->e;
  const nib_node *n = &e->graph->nodes[r->kernel->nodes[0]];
  const int32_t *tile_ = r->kernel->tile;
  if (tile_[0] > NIB_CONV_MOST_PIXELS || tile_[1] > NIB_CONV_MOST_COLUMNS)
    return nib_diag_error(e->diag, NIB_ERROR_INVALID_INPUT,
                          "%s: a tile has at most %d pixels and %d registers of channels",
                          r->kernel->name, NIB_CONV_MOST_PIXELS, NIB_CONV_MOST_COLUMNS);
  walk_of(e->graph, n, e->vocab, tile_, &r->walk);
  r->codes = nib_pack_shared_codes(nib_node_input(e->graph, n, 1));
  if (r->walk.codes > 1 && r->walk.codes != nib_conv_codes(e->graph, n, e->vocab, &r->walk))
    return nib_diag_error(e->diag, NIB_ERROR_INVALID_INPUT,
                          "%s: %lld of its weights cannot share a byte", r->kernel->name,
                          (ll)r->walk.codes);
  r->by_taps = tile_[3] > 0;
  r->pixels = tile_[0] > 0 ? tile_[0] : 1;
  if (!nib_conv_divides_rows(&r->walk, r->pixels))
    return nib_diag_error(e->diag, NIB_ERROR_INVALID_INPUT,
                          "%s: a tile of %lld pixels does not divide its rows of %lld",
                          r->kernel->name, (ll)r->pixels, (ll)r->walk.shape.out_w);
  init_stage(e->graph, n, e->vocab, &r->walk, &r->stage);
  r->live = nib_conv_is_live(e->graph, n);
  if (e->cut && !r->live)
    r->cut = nib_conv_choose_cut(&r->walk, &r->stage, r->pixels, r->kernel->parts, &r->units);
  r->stage.cut_pixels = r->cut == NIB_CUT_PIXELS ? r->pixels : 0;
  r->weight_zero = nib_pack_weight_zero(e->graph, n, e->vocab, r->walk.codes);
  r->weight_type = nib_conv_weight_type(e->vocab, r->walk.is_float);
  int32_t *order = NULL;
  nib_status status = nib_conv_order(e->graph, r->kernel, e->vocab, &r->walk, &order);
  if (status != NIB_OK)
    return out_of_memory(r, status);
  status = prepare_epilogue(r, order);
  if (status == NIB_OK && r->live) {
    r->constants = nib_conv_live_constants;
  } else if (status == NIB_OK && (status = add_constants(r, order)) != NIB_OK) {
    nib_epilogue_release(&r->epilogue);
    out_of_memory(r, status);
  }
  free(order);
  return status;
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  conv_rows r = {.e = e, .kernel = kernel};
  NIB_RETURN_IF_ERROR(prepare(&r));
  const size_t before = e->body->size;
  emit_body(&r);
  return nib_epilogue_end(&r.epilogue, e, before);
}

/* ---- as a stage of a chain ---- */

extern const nib_schedule nib_schedule_conv_rows;

static bool row_shape(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                      nib_row_shape *out_shape) {
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  const nib_tensor *x = nib_node_input(g, n, 0), *y = &g->tensors[n->out];
  nib_conv_walk w;
  nib_stage stage;
  /* Rows of fully connected are of one pixel each. */
  const bool dense = n->op == NIB_OP_FULLY_CONNECTED;
  if (nib_conv_is_live(g, n))
    return false;
  if (!dense && (x->rank != 4 || x->dims[0] != 1))
    return false;
  nib_pack_walk_in_rows(g, n, v, 1, kernel->tile[2], &w);
  init_stage(g, n, v, &w, &stage);
  const nib_conv_shape *s = &w.shape;
  const int64_t pixels = (s->out_h - 1) * s->out_w + w.last_w;
  *out_shape = (nib_row_shape){.in_h = dense ? pixels : x->dims[1],
                               .out_h = dense ? pixels : y->dims[1],
                               .out_w = dense ? 1 : y->dims[2],
                               .rows = 1,
                               .stride = s->stride_h,
                               .pad = s->pad_top,
                               .span = stage.span,
                               .pointwise = nib_pack_is_pointwise(s),
                               .counts = !stage.direct};
  if (out_shape->pointwise)
    out_shape->rows = out_shape->span = s->out_w / out_shape->out_w;
  return !out_shape->pointwise || s->out_w % out_shape->out_w == 0;
}

static nib_status row_open(nib_emitter *e, const nib_kernel *kernel, nib_row_rings rings,
                           void **out_stage) {
  conv_rows *r = calloc(1, sizeof *r);
  *out_stage = r;
  if (!r)
    return NIB_ERROR_OUT_OF_MEMORY;
  *r = (conv_rows){.e = e, .kernel = kernel};
  NIB_RETURN_IF_ERROR(prepare(r));
  nib_row_shape shape;
  row_shape(e->graph, kernel, e->vocab, &shape);
  const int64_t unit = shape.pointwise ? shape.rows : 1;
  r->stage.source_ring = rings.in / unit;
  r->stage.skips = true;
  r->fetch.row_elems = 0; /* rows come when they are made */
  r->out_ring = rings.out / unit;
  return NIB_OK;
}

static void row_emit_step(void *stage) {
  conv_rows *r = stage;
  nib_row_shape shape;
  row_shape(r->e->graph, r->kernel, r->e->vocab, &shape);
  if (shape.pointwise && shape.rows > 1)
    nib_text_line(r->e->body, "const int32_t y = top / %lld; /* so many rows as one */",
                  (ll)shape.rows);
  else
    nib_text_line(r->e->body, "const int32_t y = top;");
  if (r->stage.direct && r->stage.source_ring == 1 && r->out_ring == 1)
    nib_text_line(r->e->body, "(void)y; /* both buffers hold this step alone */");
  emit_scratch(r);
  emit_row(r);
}

static void row_close(void *stage) {
  conv_rows *r = stage;
  if (r && r->epilogue.e)
    nib_epilogue_release(&r->epilogue);
  free(r);
}

const nib_row_stage nib_row_stage_conv = {
    .schedule = &nib_schedule_conv_rows,
    .shape = row_shape,
    .open = row_open,
    .emit_step = row_emit_step,
    .close = row_close,
};

const nib_schedule nib_schedule_conv_rows = {
    .name = "conv_rows",
    .accepts = accepts,
    .tiles = tiles,
    .scratch_bytes = scratch_bytes,
    .emit = emit,
    .units = units,
    .excess_macs = excess_macs,
    .saved_bytes = saved_bytes,
};

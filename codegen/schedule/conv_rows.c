/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * conv_rows: convolution and fully connected without an im2col buffer. Input rows are staged once
 * into a ring (stage_rows.c); a micro-kernel of tile[0] pixels by tile[1] registers of output
 * channels walks the taps of a pixel as contiguous runs; the epilogue finishes in registers. Of a
 * transposed convolution, each row of windows is walked once for each block of phases
 * (pack/pack_phases.c), whose results it stores where they belong.
 * tile[2] is the pixels of a row where these are flattened to rows, or those of a transposed
 * convolution's result that are walked as one, tile[3] whether taps are taken together, tile[4] how
 * many weights share a byte. */
#include "emit/snippets.h"
#include "pack/pack_pairs.h"
#include "schedule/conv_live.h"
#include "schedule/conv_sums.h"
#include "schedule/conv_tile.h"
#include "schedule/conv_tiles.h"
#include "schedule/row_stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef long long ll;

#define NIB_MAX_TILE_REGISTERS (NIB_CONV_MOST_PIXELS * NIB_CONV_MOST_COLUMNS)

/* ---- what it accepts ---- */

static bool is_supported_root(const nib_graph *g, const nib_node *n) {
  if (n->op == NIB_OP_DEPTHWISE_CONV2D)
    return nib_node_input(g, n, 0) && nib_node_input(g, n, 0)->dims[3] == 1;
  return n->op == NIB_OP_CONV2D || n->op == NIB_OP_TRANSPOSE_CONV2D ||
         n->op == NIB_OP_FULLY_CONNECTED || (n->op == NIB_OP_MATMUL && nib_conv_is_live(g, n));
}

/* Elements behind a row's end that the last steps of a run read. */
static int64_t read_past_of(const nib_conv_walk *w) {
  nib_conv_walk blocks[NIB_CONV_MOST_BLOCKS];
  const int n = nib_pack_blocks(w, blocks);
  int64_t most = 0;
  for (int i = 0; i < n; i++) {
    const int64_t past = blocks[i].steps * blocks[i].dot_k - blocks[i].run;
    most = past > most ? past : most;
  }
  return most;
}

static void init_stage(const nib_graph *g, const nib_node *n, const nib_vocab *v,
                       const nib_conv_walk *w, nib_stage *out_stage) {
  const bool sums = nib_pack_weight_zero(g, n, v, w->codes) != 0;
  const bool ends_short = w->is_float && nib_vocab_prim(v, NIB_PRIM_HALF_LAST);
  const int64_t read_past = ends_short ? 0 : read_past_of(w);
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
  const int64_t fold = nib_pack_best_fold(g, n, v);
  nib_conv_walk w;
  nib_pack_walk_in_rows(g, n, v, 1, fold > 0 ? fold : kernel->tile[2], &w);
  w = nib_pack_largest_block(&w);
  const int64_t codes = nib_conv_codes(g, n, v, &w);
  int count = nib_conv_tiles(v, &w, out_tiles, codes > 1 ? (capacity + 1) / 2 : capacity);
  if (codes > 1) {
    nib_pack_share_bytes(&w, codes);
    count += nib_conv_tiles(v, &w, out_tiles + count, capacity - count);
  }
  for (int i = 0; i < count; i++)
    out_tiles[i][2] = (int32_t)fold;
  return count;
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

/* The row or pixel of the result that place `at` of a walk is: `first` of each stride, or, of
 * several phases, what `phase` adds to it. */
static nib_word result_place(const nib_conv_walk *w, const char *at, int64_t stride, int64_t first,
                             char phase) {
  if (stride == 1)
    return nib_word_of("%s", at);
  if (nib_pack_phase_count(w) > 1)
    return nib_word_of("(%s * %lld + %lld + phase %c %lld)", at, (ll)stride, (ll)first, phase,
                       (ll)w->phases.columns);
  return first ? nib_word_of("(%s * %lld + %lld)", at, (ll)stride, (ll)first)
               : nib_word_of("%s * %lld", at, (ll)stride);
}

/* Biases of a phase, and what the last register of channels reads past them. */
static int64_t bias_elems(const nib_conv_walk *w) { return w->shape.out_c + w->lanes; }

static void emit_tile(nib_conv_rows *r, const nib_conv_tile *t) {
  nib_emitter *e = r->e;
  const nib_conv_walk *w = &r->block->walk;
  const nib_conv_phases *p = &w->phases;
  const nib_conv_shape *s = &w->shape;
  const int64_t width = p->filter_h ? p->out_w : s->out_w,
                height = p->filter_h ? p->out_h : s->out_h;
  const nib_word y = result_place(w, "y", p->stride_h, p->y, '/');
  const nib_word x = result_place(w, "x", p->stride_w, p->x, '%');
  const nib_word row = s->batch > 1       ? nib_word_of("(b * %lld + %s)", (ll)height, y.s)
                       : r->out_ring == 1 ? nib_word_of("0")
                       : r->out_ring > 1  ? nib_word_of("(y %% %lld)", (ll)r->out_ring)
                                          : y;
  nib_conv_fetch_row(e, &r->block->fetch, w, t->pixels);
  nib_conv_fetch_open(e, &r->block->fetch, w, t->columns, r->pixels, r->block->constants.weights);
  nib_conv_tile_sums(r, t);
  nib_text_line(e->body, "const int32_t at = (%s * %lld + %s) * %lld + channel;", row.s, (ll)width,
                x.s, (ll)s->out_c);
  nib_epilogue_load_channels(&r->epilogue, "channel", (int)t->columns);
  nib_finish registers[NIB_MAX_TILE_REGISTERS];
  int count = 0;
  for (int64_t m = 0; m < t->pixels; m++) {
    for (int64_t n = 0; n < t->columns; n++) {
      nib_finish *f = &registers[count++];
      *f = (nib_finish){.column = (int)n, .offset = m * p->stride_w * s->out_c + n * w->lanes};
      f->tail = n + 1 == t->columns ? (int)t->tail : 0;
      snprintf(f->acc, sizeof f->acc, "acc%lld_%lld", (ll)m, (ll)n);
    }
  }
  nib_epilogue_apply(&r->epilogue, registers, count, "at");
}

/* The tiles of one output row for the panel at channel c: full ones, then the rest. */
static void emit_panel(nib_conv_rows *r, int64_t columns, int64_t tail) {
  nib_emitter *e = r->e;
  const nib_conv_walk *w = &r->block->walk;
  const int64_t per_channel = w->shape.kernel_h * w->segments * w->steps * w->dot_k / w->codes;
  const nib_word part = w->shape.groups > 1 ? nib_word_of(" + g * %lld", (ll)w->group_elems)
                        : nib_pack_phase_count(w) > 1
                            ? nib_word_of(" + phase * %lld", (ll)w->group_elems)
                            : nib_word_of("%s", "");
  if (w->shape.kernel_h > 0)
    nib_text_line(e->body, "const %s *const panel = %s%s + c * %lld;", r->weight_type,
                  r->block->constants.weights, part.s, (ll)per_channel);
  if (w->shape.groups > 1) {
    nib_text_line(e->body, "const int32_t channel = g * %lld + c;", (ll)w->group_out);
  } else {
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
    emit_tile(r, &(nib_conv_tile){r->pixels, columns, tail});
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
    emit_tile(r, &(nib_conv_tile){rest, columns, tail});
    nib_text_close(e->body, "");
  }
}

static void emit_panels(nib_conv_rows *r) {
  nib_emitter *e = r->e;
  const nib_conv_walk *w = &r->block->walk;
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

static nib_conv_sums sums_of(const nib_conv_rows *r) {
  return (nib_conv_sums){r->e, &r->stage, r->block ? &r->block->walk : &r->walk, r->weight_zero,
                         r->cut == NIB_CUT_PIXELS};
}

/* What one set of weights makes of the rows that are staged for y. */
static void emit_block(nib_conv_rows *r, const nib_conv_block *block) {
  nib_emitter *e = r->e;
  const nib_conv_walk *w = &block->walk;
  const nib_conv_phases *p = &w->phases;
  const int64_t phases = nib_pack_phase_count(w);
  r->block = block;
  r->bias = block->constants.bias;
  const nib_conv_sums sums = sums_of(r);
  if (nib_pack_has_phases(w)) {
    const nib_word rows = nib_word_of("if (y < %lld) ", (ll)w->shape.out_h);
    nib_text_open(e->body,
                  "%s{ /* results from row %lld, pixel %lld of %lldx%lld: %lldx%lld taps */",
                  w->shape.out_h < r->walk.shape.out_h ? rows.s : "", (ll)p->y, (ll)p->x,
                  (ll)p->stride_h, (ll)p->stride_w, (ll)w->shape.kernel_h, (ll)w->shape.kernel_w);
  }
  if (r->weight_zero)
    nib_conv_sums_emit(&sums);
  if (phases > 1)
    nib_text_open(e->body, "for (int32_t phase = 0; phase < %lld; phase++) {", (ll)phases);
  if (phases > 1 && !w->is_float) {
    nib_text_line(e->body, "const int32_t *const bias = %s + phase * %lld;", r->bias,
                  (ll)bias_elems(w));
    r->bias = "bias";
  }
  emit_panels(r);
  if (phases > 1)
    nib_text_close(e->body, "");
  if (nib_pack_has_phases(w))
    nib_text_close(e->body, "");
}

static void emit_scratch(const nib_conv_rows *r) {
  const nib_conv_sums sums = sums_of(r);
  nib_stage_emit_begin(&r->stage, r->e);
  if (r->weight_zero)
    nib_conv_sums_declare(&sums);
}

/* Output row y. */
static void emit_row(nib_conv_rows *r) {
  nib_conv_sums sums = sums_of(r);
  nib_stage_emit_rows(&r->stage, r->e, r->weight_zero ? nib_conv_sums_emit_staged : NULL, &sums);
  bool reached = false;
  for (int i = 0; i < r->n_blocks; i++) {
    reached = reached || r->blocks[i].walk.shape.kernel_h > 0;
    emit_block(r, &r->blocks[i]);
  }
  if (!reached)
    nib_text_line(r->e->body, "(void)row; /* no tap reaches a result */");
}

static void emit_comment(const nib_conv_rows *r) {
  nib_conv_shape s;
  nib_params_conv_shape(r->e->graph, r->epilogue.root, &s);
  if (!r->walk.phases.filter_h)
    s = r->walk.shape; /* which may be flattened */
  nib_text_line(r->e->body,
                "/* %s: %s %lldx%lld, %lldx%lldx%lld to %lldx%lldx%lld, in tiles of %lld"
                " pixels by %lld channels */",
                r->kernel->name, nib_op_get(r->epilogue.root->op)->mnemonic, (ll)s.kernel_h,
                (ll)s.kernel_w, (ll)s.in_h, (ll)s.in_w, (ll)s.in_c, (ll)s.out_h, (ll)s.out_w,
                (ll)s.out_c, (ll)r->pixels, (ll)(r->walk.columns * r->walk.lanes));
}

static void emit_body(nib_conv_rows *r) {
  nib_emitter *e = r->e;
  const nib_conv_shape *s = &r->walk.shape;
  const nib_node *n = r->epilogue.root;
  emit_comment(r);
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

static nib_status out_of_memory(const nib_conv_rows *r, nib_status status) {
  return nib_diag_error(r->e->diag, status, "%s: out of memory while packing", r->kernel->name);
}

/* Packs weights and biases of a block, from which sums begin, and adds them to the constants. */
static nib_status add_block(nib_conv_rows *r, const int32_t *order, nib_conv_block *b) {
  nib_emitter *e = r->e;
  const nib_node *n = &e->graph->nodes[r->kernel->nodes[0]];
  const nib_conv_walk *w = &b->walk;
  const int64_t phases = w->is_float ? 1 : nib_pack_phase_count(w);
  void *weights = NULL, *bias = NULL;
  size_t bytes = 0;
  nib_status status = nib_conv_pack(e->graph, n, e->vocab, w, order, r->epilogue.starts,
                                    bias_elems(w), &weights, &bytes, &bias);
  if (status == NIB_OK && w->codes == 1) /* pairs of small codes are within all limits */
    status = nib_conv_excess_add(e, r->kernel->name, w, weights, &b->excess);
  if (status == NIB_OK)
    status = nib_conv_add_constants(e, r->kernel, r->weight_type, weights, bytes,
                                    nib_conv_bias_type(e->vocab, w->is_float), bias,
                                    phases * bias_elems(w), &b->constants);
  free(weights);
  free(bias);
  b->fetch = nib_conv_fetch_plan(e->vocab, w, &r->stage, r->pixels, (int64_t)bytes);
  return status;
}

static nib_status add_constants(nib_conv_rows *r, const int32_t *order) {
  for (int i = 0; i < r->n_blocks; i++)
    NIB_RETURN_IF_ERROR(add_block(r, order, &r->blocks[i]));
  return NIB_OK;
}

/* The blocks of the walk, without constants. */
static void cut_blocks(nib_conv_rows *r) {
  nib_conv_walk walks[NIB_CONV_MOST_BLOCKS];
  r->n_blocks = nib_pack_blocks(&r->walk, walks);
  for (int i = 0; i < r->n_blocks; i++)
    r->blocks[i] = (nib_conv_block){.walk = walks[i]};
}

static nib_status prepare_epilogue(nib_conv_rows *r, const int32_t *order) {
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

static nib_status prepare(nib_conv_rows *r) {
  nib_emitter *e = r->e;
  const nib_node *n = &e->graph->nodes[r->kernel->nodes[0]];
  const int32_t *tile_ = r->kernel->tile;
  if (tile_[0] > NIB_CONV_MOST_PIXELS || tile_[1] > NIB_CONV_MOST_COLUMNS)
    return nib_diag_error(e->diag, NIB_ERROR_INVALID_INPUT,
                          "%s: a tile has at most %d pixels and %d registers of channels",
                          r->kernel->name, NIB_CONV_MOST_PIXELS, NIB_CONV_MOST_COLUMNS);
  walk_of(e->graph, n, e->vocab, tile_, &r->walk);
  cut_blocks(r);
  if (r->walk.phases.filter_h && tile_[2] > 1 && r->walk.phases.fold != tile_[2])
    return nib_diag_error(e->diag, NIB_ERROR_INVALID_INPUT,
                          "%s: %d pixels of its result cannot be walked as one", r->kernel->name,
                          tile_[2]);
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
    r->blocks[0].constants = nib_conv_live_constants;
  } else if (status == NIB_OK && (status = add_constants(r, order)) != NIB_OK) {
    nib_epilogue_release(&r->epilogue);
    out_of_memory(r, status);
  }
  free(order);
  return status;
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  nib_conv_rows r = {.e = e, .kernel = kernel};
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
  if (nib_conv_is_live(g, n) || n->op == NIB_OP_TRANSPOSE_CONV2D)
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
  nib_conv_rows *r = calloc(1, sizeof *r);
  *out_stage = r;
  if (!r)
    return NIB_ERROR_OUT_OF_MEMORY;
  *r = (nib_conv_rows){.e = e, .kernel = kernel};
  NIB_RETURN_IF_ERROR(prepare(r));
  nib_row_shape shape;
  row_shape(e->graph, kernel, e->vocab, &shape);
  const int64_t unit = shape.pointwise ? shape.rows : 1;
  r->stage.source_ring = rings.in / unit;
  r->stage.skips = true;
  r->blocks[0].fetch.row_elems = 0; /* rows come when they are made */
  r->out_ring = rings.out / unit;
  return NIB_OK;
}

static void row_emit_step(void *stage) {
  nib_conv_rows *r = stage;
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
  nib_conv_rows *r = stage;
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

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * depthwise_rows: depthwise convolution, vectorised over channels. Input rows are staged into a
 * ring; a tile is tile[0] pixels of one register of channels. Along a kernel row each input column
 * is loaded once and multiplied into every output pixel that it touches. */
#include "emit/snippets.h"
#include "pack/pack.h"
#include "schedule/conv_formats.h"
#include "schedule/row_stage.h"
#include "schedule/stage_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef long long ll;

typedef struct depthwise_rows {
  nib_emitter *e;
  const nib_kernel *kernel;
  nib_conv_walk walk; /* shape, and what packing of biases and ranges reads */
  nib_stage stage;
  nib_epilogue epilogue;
  int64_t channels; /* of the result */
  int64_t padded;   /* a multiple of lanes */
  int64_t pixels;   /* of a tile */
  int64_t out_ring; /* rows of out, a ring; 0: all of them */
  nib_conv_constants constants;
} depthwise_rows;

enum {
  most_shared_taps = 8, /* of a kernel row held in registers */
  most_pixels = 12,
};

static void init_shape(const nib_graph *g, const nib_node *n, const nib_vocab *v, nib_conv_walk *w,
                       nib_stage *stage) {
  memset(w, 0, sizeof *w);
  nib_params_conv_shape(g, n, &w->shape);
  w->is_float = nib_params_is_real(nib_node_input(g, n, 0)->format);
  w->transposed = true;
  w->group_in = 1;
  w->lanes = v->lanes;
  const int64_t read_past = w->shape.out_c % v->lanes ? v->lanes : 0;
  nib_stage_init(stage, nib_node_input(g, n, 0), &w->shape, v, nib_pack_staged_zero(g, n, v),
                 read_past, false);
}

/* Of staged activations of `format`. */
static nib_prim load_prim(const nib_conv_walk *w, const nib_vocab *v, nib_format format) {
  if (w->is_float)
    return v->type_half ? NIB_PRIM_HALF_LOAD : NIB_PRIM_F32_LOAD;
  if (v->stage == NIB_STAGE_I16)
    return v->lanes_i16 ? NIB_PRIM_LANE_LOAD : NIB_PRIM_I16_LOAD;
  if (v->stage == NIB_STAGE_U8 || format == NIB_U8)
    return v->lanes_i16 ? NIB_PRIM_LANE_U8 : NIB_PRIM_U8_LOAD;
  return v->lanes_i16 ? NIB_PRIM_LANE_I8 : NIB_PRIM_I8_LOAD;
}

static nib_prim weight_prim(const nib_conv_walk *w, const nib_vocab *v) {
  if (w->is_float)
    return v->type_half ? NIB_PRIM_HALF_LOAD : NIB_PRIM_F32_LOAD;
  return v->lanes_i16 ? NIB_PRIM_LANE_LOAD : NIB_PRIM_I32_LOAD;
}

static nib_prim product_prim(const nib_conv_walk *w, const nib_vocab *v) {
  return !w->is_float ? NIB_PRIM_MAC16 : v->type_half ? NIB_PRIM_HALF_FMA : NIB_PRIM_F32_FMA;
}

static const char *weight_type(const nib_conv_walk *w, const nib_vocab *v) {
  return w->is_float ? nib_conv_real_type(v) : v->lanes_i16 ? "int16_t" : "int32_t";
}

static bool accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  if (n->op != NIB_OP_DEPTHWISE_CONV2D || v->lanes < 2 || !nib_conv_formats_fit(g, n, v, false) ||
      !nib_epilogue_can_emit(g, kernel, v))
    return false;
  nib_conv_walk w;
  nib_stage stage;
  init_shape(g, n, v, &w, &stage);
  const nib_prim prims[] = {load_prim(&w, v, stage.format), weight_prim(&w, v), product_prim(&w, v),
                            w.is_float ? NIB_PRIM_F32_LOAD : NIB_PRIM_I32_LOAD};
  return w.shape.out_w > 0 && w.shape.out_h > 0 && w.shape.multiplier > 0 &&
         w.shape.in_c * w.shape.multiplier == w.shape.out_c && nib_vocab_has(v, prims, 4) &&
         nib_stage_can_emit(&stage, v);
}

/* Tiles with the fewest registers in the row's tiles, longest first: a tile's fixed cost is its
 * weights, its epilogue is the same for all. */
static int tiles(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                 int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  static const int32_t choices[] = {8, most_pixels, 6, 5, 7, 4, 3, 2, 1};
  nib_conv_walk w;
  nib_stage stage;
  init_shape(g, &g->nodes[kernel->nodes[0]], v, &w, &stage);
  const int64_t taps = w.shape.kernel_w <= most_shared_taps ? w.shape.kernel_w : 1;
  int n = 0;
  for (int pass = 0; pass < 2; pass++) { /* first those that divide the row */
    for (size_t i = 0; i < sizeof choices / sizeof *choices && n < capacity; i++) {
      const int32_t pixels = choices[i];
      const bool divides = w.shape.out_w % pixels == 0 && (pixels > 2 || w.shape.out_w <= 2);
      if (pixels > w.shape.out_w || divides != (pass == 0) || pixels + taps + 2 > v->registers)
        continue;
      memset(out_tiles[n], 0, sizeof out_tiles[n]);
      out_tiles[n][0] = pixels;
      out_tiles[n++][1] = 1;
    }
  }
  if (n == 0 && capacity > 0) {
    memset(out_tiles[0], 0, sizeof out_tiles[0]);
    out_tiles[0][0] = out_tiles[0][1] = 1;
    n = 1;
  }
  return n;
}

static int64_t scratch_bytes(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  nib_conv_walk w;
  nib_stage stage;
  init_shape(g, &g->nodes[kernel->nodes[0]], v, &w, &stage);
  return nib_stage_ring_bytes(&stage);
}

/* ---- emission ---- */

static const char *register_type(const depthwise_rows *r) {
  return r->walk.is_float ? r->e->vocab->type_f32 : r->e->vocab->type_i32;
}

static void emit_initial(depthwise_rows *r, int64_t pixels) {
  nib_emitter *e = r->e;
  nib_declare_registers(e, register_type(r), "acc", pixels);
  nib_say(e, r->walk.is_float ? NIB_PRIM_F32_LOAD : NIB_PRIM_I32_LOAD, "acc0",
          nib_word_of("%s + c", r->constants.bias).s, NULL, NULL, NULL);
  for (int64_t m = 1; m < pixels; m++)
    nib_text_line(e->body, "acc%lld = acc0;", (ll)m);
}

/* Taps [first, first + taps) of a kernel row. `column`: expression of the first tap's column. */
static void emit_taps(depthwise_rows *r, int64_t pixels, int64_t taps, const char *kx) {
  nib_emitter *e = r->e;
  const nib_vocab *v = e->vocab;
  const nib_conv_shape *s = &r->walk.shape;
  const bool f = r->walk.is_float;
  const char *type = f && v->type_half    ? v->type_half
                     : !f && v->lanes_i16 ? v->type_lane
                                          : register_type(r);
  nib_declare_registers(e, type, "w", taps);
  for (int64_t t = 0; t < taps; t++)
    nib_say(e, weight_prim(&r->walk, v), nib_word_of("w%lld", (ll)t).s,
            nib_word_of("w + %s%lld", kx, (ll)(t * r->padded)).s, NULL, NULL, NULL);
  const int64_t last = (pixels - 1) * s->stride_w + (taps - 1) * s->dilation_w;
  nib_text_line(e->body, "%s a0;", type);
  for (int64_t column = 0; column <= last; column++) {
    bool loaded = false;
    for (int64_t t = 0; t < taps; t++) {
      const int64_t ahead = column - t * s->dilation_w;
      if (ahead < 0 || ahead % s->stride_w || ahead / s->stride_w >= pixels)
        continue;
      if (!loaded)
        nib_say(e, load_prim(&r->walk, v, r->stage.format), "a0",
                nib_word_of("a + %lld", (ll)(column * r->channels)).s, NULL, NULL, NULL);
      loaded = true;
      nib_say(e, product_prim(&r->walk, v), nib_word_of("acc%lld", (ll)(ahead / s->stride_w)).s,
              "a0", nib_word_of("w%lld", (ll)t).s, NULL, NULL);
    }
  }
}

static void emit_tile(depthwise_rows *r, int64_t pixels, int tail) {
  nib_emitter *e = r->e;
  const nib_conv_shape *s = &r->walk.shape;
  const bool shared = s->kernel_w <= most_shared_taps;
  emit_initial(r, pixels);
  nib_text_open(e->body, "for (int32_t ky = 0; ky < %lld; ky++) {", (ll)s->kernel_h);
  nib_text_line(e->body, "const %s *w = %s + ky * %lld + c;", weight_type(&r->walk, e->vocab),
                r->constants.weights, (ll)(s->kernel_w * r->padded));
  if (nib_vocab_prim(e->vocab, NIB_PRIM_RELOAD))
    nib_say(e, NIB_PRIM_RELOAD, "w", NULL, NULL, NULL, NULL);
  nib_text_line(e->body, "const %s *a = %s + x * %lld + c;", r->stage.c_type,
                nib_stage_row(&r->stage).s, (ll)(s->stride_w * r->channels));
  if (shared) {
    emit_taps(r, pixels, s->kernel_w, "");
  } else {
    nib_text_open(e->body, "for (int32_t kx = 0; kx < %lld; kx++, a += %lld) {", (ll)s->kernel_w,
                  (ll)(s->dilation_w * r->channels));
    emit_taps(r, pixels, 1, nib_word_of("kx * %lld + ", (ll)r->padded).s);
    nib_text_close(e->body, "");
  }
  nib_text_close(e->body, "");
  const nib_word row = s->batch > 1  ? nib_word_of("(b * %lld + y)", (ll)s->out_h)
                       : r->out_ring ? nib_word_of("(y %% %lld)", (ll)r->out_ring)
                                     : nib_word_of("y");
  nib_text_line(e->body, "const int32_t at = (%s * %lld + x) * %lld + c;", row.s, (ll)s->out_w,
                (ll)r->channels);
  nib_epilogue_load_channels(&r->epilogue, "c", 1);
  nib_finish registers[most_pixels];
  for (int64_t m = 0; m < pixels; m++) {
    registers[m] = (nib_finish){.offset = m * r->channels, .tail = tail};
    snprintf(registers[m].acc, sizeof registers[m].acc, "acc%lld", (ll)m);
  }
  nib_epilogue_apply(&r->epilogue, registers, (int)pixels, "at");
}

static void emit_channels(depthwise_rows *r, int tail) {
  nib_emitter *e = r->e;
  const int64_t width = r->walk.shape.out_w;
  const int64_t full = width / r->pixels, rest = width % r->pixels;
  if (full > 0) {
    nib_text_open(e->body, "for (int32_t x = 0; x < %lld; x += %lld) {", (ll)(full * r->pixels),
                  (ll)r->pixels);
    emit_tile(r, r->pixels, tail);
    nib_text_close(e->body, "");
  }
  if (rest > 0) {
    nib_text_open(e->body, "{ /* the last pixels of the row */");
    nib_text_line(e->body, "const int32_t x = %lld;", (ll)(full * r->pixels));
    emit_tile(r, rest, tail);
    nib_text_close(e->body, "");
  }
}

/* Output row y. */
static void emit_row(depthwise_rows *r) {
  nib_emitter *e = r->e;
  const int64_t lanes = e->vocab->lanes, whole = r->channels / lanes * lanes;
  nib_stage_emit_rows(&r->stage, e, NULL, NULL);
  if (whole > 0) {
    nib_text_open(e->body, "for (int32_t c = 0; c < %lld; c += %lld) {", (ll)whole, (ll)lanes);
    emit_channels(r, 0);
    nib_text_close(e->body, "");
  }
  if (whole < r->channels) {
    nib_text_open(e->body, "{ /* the last channels */");
    nib_text_line(e->body, "const int32_t c = %lld;", (ll)whole);
    emit_channels(r, (int)(r->channels - whole));
    nib_text_close(e->body, "");
  }
}

static void emit_body(depthwise_rows *r) {
  nib_emitter *e = r->e;
  const nib_conv_shape *s = &r->walk.shape;
  nib_text_line(e->body,
                "/* %s: depthwise_conv2d %lldx%lld, %lldx%lldx%lld to %lldx%lldx%lld, in tiles of"
                " %lld pixels by %lld channels */",
                r->kernel->name, (ll)s->kernel_h, (ll)s->kernel_w, (ll)s->in_h, (ll)s->in_w,
                (ll)s->in_c, (ll)s->out_h, (ll)s->out_w, (ll)s->out_c, (ll)r->pixels,
                (ll)e->vocab->lanes);
  nib_stage_emit_begin(&r->stage, e);
  if (s->batch > 1)
    nib_text_open(e->body, "for (int32_t b = 0; b < %lld; b++) {", (ll)s->batch);
  nib_stage_emit_loop(&r->stage, e, e->cut);
  emit_row(r);
  nib_text_close(e->body, "");
  if (s->batch > 1)
    nib_text_close(e->body, "");
}

static nib_status add_constants(depthwise_rows *r, const nib_node *n) {
  nib_emitter *e = r->e;
  void *weights = NULL, *bias = NULL;
  size_t bytes = 0;
  const nib_vocab *v = e->vocab;
  const char *type = nib_conv_bias_type(v, r->walk.is_float);
  const bool shorter = r->walk.is_float ? nib_vocab_multiplies_f16(v) : v->lanes_i16;
  const int elem_bytes = shorter ? 2 : 4;
  nib_status status = nib_pack_depthwise(e->graph, n, r->padded, elem_bytes, &weights, &bytes);
  if (status == NIB_OK)
    status = nib_pack_bias(e->graph, n, e->vocab, &r->walk, r->padded, &bias);
  if (status == NIB_OK)
    status = nib_conv_add_constants(e, r->kernel, weight_type(&r->walk, e->vocab), weights, bytes,
                                    type, bias, r->padded, &r->constants);
  free(weights);
  free(bias);
  return status;
}

static nib_status prepare(depthwise_rows *r) {
  nib_emitter *e = r->e;
  const nib_kernel *kernel = r->kernel;
  const nib_node *n = &e->graph->nodes[kernel->nodes[0]];
  init_shape(e->graph, n, e->vocab, &r->walk, &r->stage);
  r->channels = r->walk.shape.out_c;
  r->padded = (r->channels + e->vocab->lanes - 1) / e->vocab->lanes * e->vocab->lanes;
  r->pixels = kernel->tile[0] > 0 ? kernel->tile[0] : 1;
  if (r->pixels > most_pixels)
    return nib_diag_error(e->diag, NIB_ERROR_INVALID_INPUT, "%s: a tile has at most %d pixels",
                          kernel->name, most_pixels);
  nib_acc_range *ranges = NULL;
  nib_status status = add_constants(r, n);
  if (status == NIB_OK && !r->walk.is_float)
    status = nib_pack_ranges(e->graph, n, &r->walk, &ranges);
  if (status != NIB_OK)
    return nib_diag_error(e->diag, status, "%s: out of memory while packing", kernel->name);
  status =
      nib_epilogue_prepare(&r->epilogue, e, kernel, ranges, NULL, r->channels, e->vocab->lanes);
  free(ranges);
  return status;
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  depthwise_rows r = {.e = e, .kernel = kernel};
  NIB_RETURN_IF_ERROR(prepare(&r));
  const size_t before = e->body->size;
  emit_body(&r);
  return nib_epilogue_end(&r.epilogue, e, before);
}

static int64_t units(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  nib_conv_walk w;
  nib_stage stage;
  init_shape(g, &g->nodes[kernel->nodes[0]], v, &w, &stage);
  return w.shape.out_h;
}

/* ---- as a stage of a chain ---- */

static bool row_shape(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                      nib_row_shape *out_shape) {
  nib_conv_walk w;
  nib_stage stage;
  init_shape(g, &g->nodes[kernel->nodes[0]], v, &w, &stage);
  *out_shape = (nib_row_shape){.in_h = w.shape.in_h,
                               .out_h = w.shape.out_h,
                               .out_w = w.shape.out_w,
                               .rows = 1,
                               .stride = w.shape.stride_h,
                               .pad = w.shape.pad_top,
                               .span = stage.span,
                               .counts = !stage.direct};
  return w.shape.batch == 1;
}

static nib_status row_open(nib_emitter *e, const nib_kernel *kernel, nib_row_rings rings,
                           void **out_stage) {
  depthwise_rows *r = calloc(1, sizeof *r);
  *out_stage = r;
  if (!r)
    return NIB_ERROR_OUT_OF_MEMORY;
  *r = (depthwise_rows){.e = e, .kernel = kernel};
  NIB_RETURN_IF_ERROR(prepare(r));
  r->stage.source_ring = rings.in;
  r->stage.skips = true;
  r->out_ring = rings.out;
  return NIB_OK;
}

static void row_emit_step(void *stage) {
  depthwise_rows *r = stage;
  nib_text_line(r->e->body, "const int32_t y = top;");
  nib_stage_emit_begin(&r->stage, r->e);
  emit_row(r);
}

static void row_close(void *stage) {
  depthwise_rows *r = stage;
  if (r && r->epilogue.e)
    nib_epilogue_release(&r->epilogue);
  free(r);
}

extern const nib_schedule nib_schedule_depthwise_rows;

const nib_row_stage nib_row_stage_depthwise = {
    .schedule = &nib_schedule_depthwise_rows,
    .shape = row_shape,
    .open = row_open,
    .emit_step = row_emit_step,
    .close = row_close,
};

const nib_schedule nib_schedule_depthwise_rows = {
    .name = "depthwise_rows",
    .accepts = accepts,
    .tiles = tiles,
    .scratch_bytes = scratch_bytes,
    .emit = emit,
    .units = units,
};

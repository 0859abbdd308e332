/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "schedule/conv_fetch.h"

#include "epilogue/say.h"

typedef long long ll;

enum { line_bytes = 64, long_run = 512 };

/* Weights that no second-level cache holds, where few tiles of a panel share them and wait. */
static bool streams_weights(const nib_conv_walk *w, int64_t pixels, int64_t weight_bytes) {
  enum { few_tiles = 8 };
  return w->shape.out_w <= few_tiles * pixels && weight_bytes > NIB_CONV_NEAR_BYTES;
}

static bool is_product(const nib_conv_walk *w) {
  const nib_conv_shape *c = &w->shape;
  return nib_pack_is_pointwise(c) && !nib_pack_has_phases(w) && c->groups == 1 && c->batch == 1;
}

/* Whether a second-level cache holds all that it reads and writes. */
static bool is_near(const nib_vocab *v, const nib_conv_walk *w, int64_t weight_bytes) {
  const nib_conv_shape *c = &w->shape;
  const int64_t elem = w->is_float ? nib_pack_elem_bytes(w, v) : 1;
  return (c->in_h * c->in_w * c->in_c + c->out_h * c->out_w * c->out_c) * elem + weight_bytes <
         NIB_CONV_NEAR_BYTES;
}

/* Of products whose operands are not all near, tiles of a panel share what the next panel has: the
 * first of its tiles would wait for all of it. Few tiles fetch theirs as they go. */
static void share_panel(const nib_vocab *v, const nib_conv_walk *w, const nib_stage *s,
                        int64_t pixels, int64_t weight_bytes, nib_conv_fetch *f) {
  enum { fewest_tiles = 3, most_panel_bytes = 512 * 1024 };
  const int64_t tiles = w->shape.out_w / pixels;
  const int64_t step_bytes = w->columns * w->lanes * w->dot_k * nib_pack_elem_bytes(w, v);
  if (!is_product(w) || s->cut_pixels || tiles < fewest_tiles || w->full_panels < 2 ||
      w->run < long_run || step_bytes % line_bytes || is_near(v, w, weight_bytes) ||
      w->steps / w->codes * step_bytes > most_panel_bytes)
    return;
  const int64_t lines = step_bytes / line_bytes;
  f->panel_lines = (lines + tiles - 1) / tiles;
  f->panel_tiles = (lines + f->panel_lines - 1) / f->panel_lines;
  f->weights = false;
}

/* Long rows of bytes that are staged one after another, between the products of long sums, of
 * operands that are not all near. */
static int64_t row_share(const nib_vocab *v, const nib_conv_walk *w, const nib_stage *s,
                         int64_t pixels, int64_t weight_bytes) {
  enum { least_bytes = 64 * 1024, most_lines = 8 };
  const nib_conv_shape *c = &w->shape;
  if (w->is_float || s->direct || s->source_ring || s->skips || s->cut_pixels || !is_product(w) ||
      c->out_h == 1 || is_near(v, w, weight_bytes) || w->run < long_run ||
      c->in_w * c->in_c < least_bytes)
    return 0;
  const int64_t panels = w->full_panels + (w->last_columns > 0);
  const int64_t share = (c->in_c + panels - 1) / panels;
  return share * pixels <= most_lines * line_bytes ? share : 0;
}

nib_conv_fetch nib_conv_fetch_plan(const nib_vocab *v, const nib_conv_walk *w, const nib_stage *s,
                                   int64_t pixels, int64_t weight_bytes) {
  const char *prefetch = nib_vocab_prim(v, NIB_PRIM_PREFETCH);
  if (!prefetch || !*prefetch)
    return (nib_conv_fetch){0};
  nib_conv_fetch f = {.weights = streams_weights(w, pixels, weight_bytes),
                      .row_elems = row_share(v, w, s, pixels, weight_bytes)};
  share_panel(v, w, s, pixels, weight_bytes, &f);
  return f;
}

/* After the last whole panel come the weights of the first one again, for the next row. */
void nib_conv_fetch_open(nib_emitter *e, const nib_conv_fetch *f, const nib_conv_walk *w,
                         int64_t columns, int64_t pixels, const char *weights) {
  if (!f->panel_lines)
    return;
  const int64_t width = w->columns * w->lanes, step = f->panel_lines * line_bytes;
  nib_text_line(e->body, "const uint8_t *ahead = (const uint8_t *)panel;");
  nib_text_line(e->body, "int32_t ahead_step = 0;");
  nib_text_open(e->body, "if (x < %lld) {", (ll)(f->panel_tiles * pixels));
  nib_text_line(
      e->body, "ahead = (const uint8_t *)(c + %lld <= %lld ? panel + %lld : %s) + x / %lld * %lld;",
      (ll)(2 * width), (ll)w->shape.out_c, (ll)nib_pack_row_elems(w, columns), weights, (ll)pixels,
      (ll)(w->steps / w->codes * step));
  nib_text_line(e->body, "ahead_step = %lld;", (ll)step);
  nib_text_close(e->body, "");
}

void nib_conv_fetch_panel(nib_emitter *e, const nib_conv_fetch *f) {
  if (!f->panel_lines)
    return;
  for (int64_t i = 0; i < f->panel_lines; ++i)
    nib_say(e, NIB_PRIM_PREFETCH, NULL, "ahead", nib_word_of("%lld", (ll)(i * line_bytes)).s, NULL,
            NULL);
  nib_text_line(e->body, "ahead += ahead_step;");
}

void nib_conv_fetch_weights(nib_emitter *e, const nib_conv_fetch *f, const nib_conv_walk *w,
                            int64_t n) {
  enum { ahead_of_one = 4096, ahead_of_more = 12288 };
  const bool one = w->shape.out_w == 1;
  const int64_t at = n * w->lanes * w->dot_k;
  if (f->weights && at * nib_pack_elem_bytes(w, e->vocab) % line_bytes == 0)
    nib_say_prefetch(e, nib_word_of("w + %lld", (ll)at).s, one ? ahead_of_one : ahead_of_more, one);
}

void nib_conv_fetch_page(nib_emitter *e, const nib_conv_fetch *f, const nib_conv_walk *w,
                         int64_t columns) {
  enum { fewest_lines = 4 };
  const int64_t bytes = columns * w->lanes * w->dot_k * nib_pack_elem_bytes(w, e->vocab);
  if (f->weights && w->shape.out_w == 1 && bytes >= fewest_lines * line_bytes)
    nib_say_prefetch_page(e, "w", true);
}

void nib_conv_fetch_row(nib_emitter *e, const nib_conv_fetch *f, const nib_conv_walk *w,
                        int64_t pixels) {
  const nib_conv_shape *c = &w->shape;
  if (!f->row_elems)
    return;
  const nib_word from =
      nib_word_of("in0 + next * %lld + c / %lld * %lld + x * %lld", (ll)(c->in_w * c->in_c),
                  (ll)(w->columns * w->lanes), (ll)(c->in_w * f->row_elems), (ll)f->row_elems);
  for (int64_t at = 0; at < pixels * f->row_elems; at += line_bytes)
    nib_say(e, NIB_PRIM_PREFETCH, NULL, from.s, nib_word_of("%lld", (ll)at).s, NULL, NULL);
}

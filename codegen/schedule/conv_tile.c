/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The micro-kernel of conv_rows: the sums of a tile's pixels and channels. */
#include "schedule/conv_tile.h"

#include "schedule/conv_tiles.h"

typedef long long ll;

/* Whether products are summed in registers of their own kind. */
static bool sums_apart(const nib_conv_rows *r) {
  return r->block->walk.is_float && r->e->vocab->type_sum;
}

/* The register that sums the products of pixel m and column register n. */
static nib_word sum_register(const nib_conv_rows *r, const nib_conv_tile *t, int64_t m, int64_t n) {
  const int places = r->block->walk.codes > 1 ? nib_conv_codes_places(&r->codes, t->pixels) : 1;
  if (places > 1)
    return nib_conv_codes_sum(&r->codes, places, r->code, n);
  return nib_word_of(sums_apart(r) ? "sum%lld_%lld" : "acc%lld_%lld", (ll)m, (ll)n);
}

/* Sums in registers of their own kind begin with 0. */
static void emit_zeros(nib_conv_rows *r, const nib_conv_tile *t) {
  nib_declare_tile(r->e, r->e->vocab->type_sum, "sum", t->pixels, t->columns);
  for (int64_t m = 0; m < t->pixels; m++)
    for (int64_t n = 0; n < t->columns; n++)
      nib_say(r->e, NIB_PRIM_SUM_ZERO, sum_register(r, t, m, n).s, NULL, NULL, NULL, NULL);
}

/* And are added to the biases in the end, one after another: the registers of the sums are free
 * then. */
static void emit_totals(nib_conv_rows *r, const nib_conv_tile *t) {
  nib_declare_tile(r->e, r->e->vocab->type_f32, "acc", t->pixels, t->columns);
  for (int64_t m = 0; m < t->pixels; m++)
    for (int64_t n = 0; n < t->columns; n++) {
      const nib_word acc = nib_word_of("acc%lld_%lld", (ll)m, (ll)n);
      nib_say(r->e, NIB_PRIM_F32_LOAD, acc.s,
              nib_word_of("%s + channel + %lld", r->bias, (ll)(n * r->block->walk.lanes)).s, NULL,
              NULL, NULL);
      nib_say(r->e, NIB_PRIM_SUM_TOTAL, acc.s, sum_register(r, t, m, n).s, NULL, NULL, NULL);
    }
}

static void emit_initial(nib_conv_rows *r, const nib_conv_tile *t) {
  nib_emitter *e = r->e;
  const bool f = r->block->walk.is_float;
  nib_declare_tile(e, f ? e->vocab->type_f32 : e->vocab->type_i32, "acc", t->pixels, t->columns);
  for (int64_t n = 0; n < t->columns; n++) {
    const nib_word from =
        nib_word_of("%s + channel + %lld", r->bias, (ll)(n * r->block->walk.lanes));
    nib_say(e, f ? NIB_PRIM_F32_LOAD : NIB_PRIM_I32_LOAD, nib_word_of("acc0_%lld", (ll)n).s, from.s,
            NULL, NULL, NULL);
    for (int64_t m = 1; m < t->pixels; m++)
      nib_text_line(e->body, "acc%lld_%lld = acc0_%lld;", (ll)m, (ll)n, (ll)n);
    nib_conv_excess_emit(e, &r->block->excess, &r->block->walk, &r->stage, t->pixels, n);
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
static bool takes_scalar(const nib_conv_rows *r) {
  return r->block->walk.is_float && nib_vocab_prim(r->e->vocab, NIB_PRIM_F32_FMA_SCALAR);
}

static nib_prim product_prim(const nib_conv_rows *r) {
  if (!r->block->walk.is_float)
    return NIB_PRIM_DOT;
  return r->e->vocab->type_half ? NIB_PRIM_HALF_FMA_SCALAR
         : takes_scalar(r)      ? NIB_PRIM_F32_FMA_SCALAR
                                : NIB_PRIM_F32_FMA;
}

static const char *weight_register(const nib_conv_rows *r) {
  const nib_vocab *v = r->e->vocab;
  return !r->block->walk.is_float ? v->type_weight : v->type_half ? v->type_half : v->type_f32;
}

static nib_prim weight_prim(const nib_conv_rows *r) {
  return !r->block->walk.is_float ? NIB_PRIM_WEIGHT_LOAD
         : r->e->vocab->type_half ? NIB_PRIM_HALF_LOAD
                                  : NIB_PRIM_F32_LOAD;
}

/* Whether a product takes several halves of an activation. */
static bool takes_group(const nib_conv_rows *r) {
  return r->block->walk.is_float && r->e->vocab->half_k;
}

/* Whether reals are staged twice. */
static bool takes_twice(const nib_conv_rows *r) { return r->stage.twice; }

static void declare_activation(const nib_conv_rows *r) {
  const nib_vocab *v = r->e->vocab;
  nib_text_line(r->e->body, "%s a0;",
                takes_group(r)            ? v->type_half
                : takes_scalar(r)         ? r->stage.c_type
                : r->block->walk.is_float ? v->type_f32
                                          : v->type_act);
}

/* a0 = what all columns multiply, at element `at` of the run. */
static void load_activation(const nib_conv_rows *r, int64_t at) {
  nib_emitter *e = r->e;
  if (takes_group(r))
    nib_say(e, r->in_last ? NIB_PRIM_HALF_LAST : NIB_PRIM_HALF_GROUP, "a0",
            nib_word_of("a + k + %lld", (ll)at).s, NULL, NULL, NULL);
  else if (takes_twice(r))
    nib_say(e, NIB_PRIM_F32_TWICE, "a0", nib_word_of("a + k + %lld", (ll)at).s, NULL, NULL, NULL);
  else if (takes_scalar(r))
    nib_text_line(e->body, "a0 = a[k + %lld];", (ll)at);
  else if (r->block->walk.is_float)
    nib_say(e, NIB_PRIM_F32_SET, "a0", nib_word_of("a[k + %lld]", (ll)at).s, NULL, NULL, NULL);
  else
    nib_say(e, NIB_PRIM_ACT_BCAST, "a0", nib_word_of("a + k + %lld", (ll)at).s, NULL, NULL, NULL);
}

/* Registers <stem>0 … = the next ones of packed weights. */
static void load_weights(nib_conv_rows *r, const nib_conv_tile *t, char stem) {
  nib_emitter *e = r->e;
  const int64_t register_elems = r->block->walk.lanes * r->block->walk.dot_k;
  for (int64_t n = 0; n < t->columns; n++) {
    nib_text_line(e->body, "%s %c%lld;", weight_register(r), stem, (ll)n);
    nib_say(e, weight_prim(r), nib_word_of("%c%lld", stem, (ll)n).s,
            nib_word_of("w + %lld", (ll)(n * register_elems)).s, NULL, NULL, NULL);
    nib_conv_fetch_weights(e, &r->block->fetch, &r->block->walk, n);
  }
  nib_conv_fetch_page(e, &r->block->fetch, &r->block->walk, t->columns);
  nib_conv_fetch_panel(e, &r->block->fetch);
  nib_text_line(e->body, "w += %lld;", (ll)(t->columns * register_elems));
}

/* Registers w0 … times all pixels' activations, the first of which is at element `at` of the run.
 */
static void multiply(nib_conv_rows *r, const nib_conv_tile *t, int64_t at) {
  declare_activation(r);
  for (int64_t m = 0; m < t->pixels; m++) {
    load_activation(r, at + m * r->block->walk.shape.stride_w * r->block->walk.shape.in_c);
    for (int64_t n = 0; n < t->columns; n++)
      nib_say(r->e, product_prim(r), sum_register(r, t, m, n).s, "a0",
              nib_word_of("w%lld", (ll)n).s, NULL, NULL);
  }
}

static void emit_step(nib_conv_rows *r, const nib_conv_tile *t) {
  load_weights(r, t, 'w');
  multiply(r, t, 0);
}

/* The steps whose weights share bytes. */
static void emit_shared_steps(nib_conv_rows *r, const nib_conv_tile *t) {
  nib_emitter *e = r->e;
  const int places = nib_conv_codes_places(&r->codes, t->pixels);
  load_weights(r, t, 'p');
  for (int64_t code = 0; code < r->block->walk.codes; code++) {
    r->code = code;
    nib_text_open(e->body, "{");
    for (int64_t n = 0; n < t->columns; n++) {
      const nib_word to = nib_word_of("w%lld", (ll)n);
      nib_text_line(e->body, "%s %s;", weight_register(r), to.s);
      nib_conv_codes_unpack(e, &r->codes, places, to.s, nib_word_of("p%lld", (ll)n).s, code);
    }
    multiply(r, t, code * r->block->walk.dot_k);
    nib_text_close(e->body, "");
  }
}

/* One step of all taps of a row: every input column is loaded once and multiplied into the pixels
 * that it touches. */
static void emit_columns(nib_conv_rows *r, const nib_conv_tile *t) {
  nib_emitter *e = r->e;
  const nib_conv_walk *w = &r->block->walk;
  const nib_conv_shape *s = &w->shape;
  const int64_t register_elems = w->lanes * w->dot_k;
  nib_declare_tile(e, weight_register(r), "w", w->segments, t->columns);
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
static void keep_order(const nib_conv_rows *r, const nib_conv_tile *t) {
  if (r->block->walk.is_float && nib_vocab_prim(r->e->vocab, NIB_PRIM_F32_AFTER)) {
    for (int64_t n = 0; n < t->columns; n++)
      nib_say(r->e, NIB_PRIM_F32_AFTER, nib_word_of("acc%lld_%lld", (ll)(t->pixels - 1), (ll)n).s,
              NULL, NULL, NULL, NULL);
  } else if (nib_vocab_prim(r->e->vocab, NIB_PRIM_ORDER)) {
    nib_say(r->e, NIB_PRIM_ORDER, NULL, NULL, NULL, NULL, NULL);
  }
}

static void emit_any_step(nib_conv_rows *r, const nib_conv_tile *t) {
  if (r->by_taps)
    emit_columns(r, t);
  else if (r->block->walk.codes > 1)
    emit_shared_steps(r, t);
  else
    emit_step(r, t);
  keep_order(r, t);
  nib_text_close(r->e->body, "");
}

/* The steps of a run. */
static void emit_steps(nib_conv_rows *r, const nib_conv_tile *t) {
  nib_emitter *e = r->e;
  const nib_conv_walk *w = &r->block->walk;
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

static void emit_taps(nib_conv_rows *r, const nib_conv_tile *t) {
  nib_emitter *e = r->e;
  const nib_conv_walk *w = &r->block->walk;
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
  nib_text_line(e->body, "const %s *a = %s;", r->stage.c_type,
                nib_conv_first_element(w, &r->stage).s);
  if (each_tap)
    nib_text_open(e->body, "for (int32_t kx = 0; kx < %lld; kx++, a += %lld) {", (ll)w->segments,
                  (ll)w->pitch);
  emit_steps(r, t);
  for (int i = 0; i < each_tap + (s->kernel_h > 1); i++)
    nib_text_close(e->body, "");
  if (w->codes > 1)
    nib_conv_codes_end(e, &r->codes, places, t->columns);
}

void nib_conv_tile_sums(nib_conv_rows *r, const nib_conv_tile *t) {
  if (sums_apart(r))
    emit_zeros(r, t);
  else
    emit_initial(r, t);
  if (r->block->walk.shape.kernel_h > 0)
    emit_taps(r, t);
  if (sums_apart(r))
    emit_totals(r, t);
}

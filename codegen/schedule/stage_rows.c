/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "schedule/stage_rows.h"

#include "pack/pack.h"

#include <string.h>

typedef long long ll;

static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

/* In a ring a row's place is a division away. */
static void keep_all_rows(nib_stage *s, const nib_vocab *v) {
  enum { few_bytes = 8 * 1024 };
  const int64_t rows = (s->shape.out_h - 1) * s->shape.stride_h + s->span;
  if (!s->direct && v->lanes > 1 && s->span > 1 && rows * s->row_elems * s->elem_bytes <= few_bytes)
    s->ring = rows > s->span ? rows : s->span;
}

static void set_row_elems(nib_stage *s, int64_t read_past) {
  s->row_elems =
      round_up((s->pixels * s->channels + read_past) * s->elem_bytes, 64) / s->elem_bytes;
}

void nib_stage_init(nib_stage *s, const nib_tensor *input, const nib_conv_shape *shape,
                    const nib_vocab *v, int64_t fill, int64_t read_past, bool must_stage) {
  memset(s, 0, sizeof *s);
  s->shape = *shape;
  s->format = input->format;
  const bool is_float = nib_params_is_real(input->format), bytes = v->stage != NIB_STAGE_I16;
  const bool codes = v->stage == NIB_STAGE_CODES;
  const bool halves = nib_vocab_multiplies_f16(v);
  s->real = halves ? NIB_F16 : NIB_F32;
  s->c_type = is_float ? v->type_real ? v->type_real : "float"
              : codes  ? nib_format_get(input->format)->c_type
              : bytes  ? "uint8_t"
                       : "int16_t";
  s->elem_bytes = is_float ? (halves ? 2 : 4) : bytes ? 1 : 2;
  s->fill = fill;
  s->zero_point = input->quantized ? input->zero_point : 0;
  s->span = s->ring = (shape->kernel_h - 1) * shape->dilation_h + 1;
  s->pixels = (shape->out_w - 1) * shape->stride_w + (shape->kernel_w - 1) * shape->dilation_w + 1;
  s->left = shape->pad_left < s->pixels ? shape->pad_left : s->pixels;
  s->copied = s->pixels - s->left < shape->in_w ? s->pixels - s->left : shape->in_w;
  s->last_copied = s->copied;
  s->right = s->pixels - s->left - s->copied;
  s->repeat = shape->multiplier > 1;
  s->channels = shape->in_c * shape->multiplier;
  set_row_elems(s, read_past);
  const int64_t rows_needed = (shape->out_h - 1) * shape->stride_h + s->span;
  const bool padded = s->left || s->right || shape->pad_top || rows_needed > shape->in_h;
  s->direct = !must_stage && !padded && !s->repeat && read_past == 0 &&
              (is_float ? input->format == s->real : codes || (bytes && input->format == NIB_U8));
  keep_all_rows(s, v);
}

void nib_stage_reals_twice(nib_stage *s, const nib_vocab *v, int64_t read_past) {
  if (!nib_params_is_real(s->format) || !nib_vocab_prim(v, NIB_PRIM_STAGE_TWICE))
    return;
  s->twice = true;
  s->direct = false;
  s->c_type = "uint32_t";
  s->elem_bytes *= 2;
  s->ring = s->span;
  set_row_elems(s, read_past);
  keep_all_rows(s, v);
}

int64_t nib_stage_ring_bytes(const nib_stage *s) {
  return s->direct ? 0 : s->ring * s->row_elems * s->elem_bytes;
}

static nib_prim stage_prim(const nib_stage *s) {
  return s->format == NIB_U8 ? NIB_PRIM_STAGE_U8 : NIB_PRIM_STAGE_I8;
}

bool nib_stage_can_emit(const nib_stage *s, const nib_vocab *v) {
  const nib_prim prims[] = {stage_prim(s), NIB_PRIM_STAGE_FILL};
  if (nib_params_is_real(s->format))
    return s->format == s->real || s->real == NIB_F32;
  return s->direct || nib_vocab_has(v, prims, 2);
}

void nib_stage_emit_begin(const nib_stage *s, nib_emitter *e) {
  if (s->direct)
    return;
  nib_text_line(e->body, "%s *const ring = (%s *)(void *)scratch; /* %lld rows of %lld */",
                s->c_type, s->c_type, (ll)s->ring, (ll)s->row_elems);
}

void nib_stage_emit_loop(const nib_stage *s, nib_emitter *e, bool cut) {
  if (!s->direct)
    nib_text_line(e->body, "int32_t next = %s; /* input row to stage, counted from the padding */",
                  cut ? nib_word_of("begin * %lld", (ll)s->shape.stride_h).s : "0");
  if (cut)
    nib_text_open(e->body, "for (int32_t y = begin; y < end; y++) {");
  else
    nib_text_open(e->body, "for (int32_t y = 0; y < %lld; y++) {", (ll)s->shape.out_h);
}

static void emit_fill(const nib_stage *s, nib_emitter *e, int64_t first_pixel, int64_t pixels) {
  if (pixels <= 0)
    return;
  const nib_word d = nib_word_of("staged + %lld", (ll)(first_pixel * s->channels));
  if (nib_params_is_real(s->format))
    nib_text_line(e->body, "memset(%s, 0, %lld);", d.s,
                  (ll)(pixels * s->channels * s->elem_bytes));
  else
    nib_say(e, NIB_PRIM_STAGE_FILL, d.s, nib_word_of("%lld", (ll)s->fill).s, NULL, NULL,
            nib_word_of("%lld", (ll)(pixels * s->channels)).s);
}

/* The pixels of tiles [begin, end). */
static void emit_cut_copy(const nib_stage *s, nib_emitter *e, const char *from) {
  const nib_word at = nib_word_of("first * %lld", (ll)s->channels);
  const nib_word d = nib_word_of("staged + %s", at.s), x = nib_word_of("%s + %s", from, at.s);
  const nib_word n = nib_word_of("((last - first) * %lld)", (ll)s->channels);
  if (s->twice)
    nib_say(e, NIB_PRIM_STAGE_TWICE, d.s, x.s, NULL, NULL, n.s);
  else if (s->format == s->real)
    nib_text_line(e->body, "memcpy(%s, %s, (size_t)%s * %lld);", d.s, x.s, n.s,
                  (ll)s->elem_bytes);
  else if (nib_params_is_real(s->format))
    nib_say_widen(e, s->format, d.s, x.s, n.s);
  else
    nib_say(e, stage_prim(s), d.s, x.s, nib_word_of("%lld", (ll)s->zero_point).s, NULL, n.s);
}

static void emit_copy(const nib_stage *s, nib_emitter *e, const char *from) {
  if (s->cut_pixels) {
    emit_cut_copy(s, e, from);
    return;
  }
  const nib_word d = nib_word_of("staged + %lld", (ll)(s->left * s->channels));
  nib_word n = nib_word_of("%lld", (ll)(s->copied * s->channels));
  if (s->last_copied != s->copied)
    n = nib_word_of("(next == %lld ? %lld : %s)", (ll)(s->shape.in_h - 1),
                    (ll)(s->last_copied * s->channels), nib_word_of("%s", n.s).s);
  if (s->repeat) { /* each channel `multiplier` times: plain C, as this is rare and short */
    nib_text_open(e->body, "for (int32_t i = 0; i < %lld; i++) {", (ll)(s->copied * s->shape.in_c));
    nib_text_open(e->body, "for (int32_t m = 0; m < %lld; m++) {", (ll)s->shape.multiplier);
    if (s->format != s->real && nib_params_is_real(s->format))
      nib_text_line(e->body, "(%s)[i * %lld + m] = %s((%s)[i]);", d.s, (ll)s->shape.multiplier,
                    nib_widening(s->format), from);
    else if (s->format == s->real)
      nib_text_line(e->body, "(%s)[i * %lld + m] = ((const %s *)(const void *)(%s))[i];", d.s,
                    (ll)s->shape.multiplier, s->c_type, from);
    else
      nib_text_line(e->body, "(%s)[i * %lld + m] = (%s)((%s)[i] - (%lld));", d.s,
                    (ll)s->shape.multiplier, s->c_type, from, (ll)(s->zero_point - s->fill));
    nib_text_close(e->body, "");
    nib_text_close(e->body, "");
  } else if (s->format != s->real && nib_params_is_real(s->format)) {
    nib_say_widen(e, s->format, d.s, from, n.s);
  } else if (s->twice) {
    nib_say(e, NIB_PRIM_STAGE_TWICE, d.s, from, NULL, NULL, n.s);
  } else if (s->format == s->real) {
    nib_text_line(e->body, "memcpy(%s, %s, %s * %lld);", d.s, from, n.s, (ll)s->elem_bytes);
  } else {
    nib_say(e, stage_prim(s), d.s, from, nib_word_of("%lld", (ll)s->zero_point).s, NULL, n.s);
  }
}

/* A row of in0 as staged elements. */
static nib_word as_staged(const nib_stage *s, nib_word row) {
  if (strcmp(s->c_type, nib_format_get(s->format)->c_type) == 0)
    return row;
  return nib_word_of("(const %s *)(const void *)(%s)", s->c_type, row.s);
}

static bool has_outside_rows(const nib_stage *s) {
  return s->shape.pad_top || (s->shape.out_h - 1) * s->shape.stride_h + s->span > s->shape.in_h;
}

static nib_word input_row(const nib_stage *s, const char *row) {
  const ll elems = s->shape.in_w * s->shape.in_c;
  if (s->shape.batch > 1)
    return nib_word_of("in0 + (b * %lld + %s) * %lld", (ll)s->shape.in_h, row, elems);
  if (s->source_ring == 1)
    return nib_word_of("in0");
  if (s->source_ring > 1)
    return nib_word_of("in0 + (%s) %% %lld * %lld", row, (ll)s->source_ring, elems);
  return nib_word_of("in0 + (%s) * %lld", row, elems);
}

static nib_word slot(const nib_stage *s, const char *padded_row) {
  if (s->ring == 1)
    return nib_word_of("ring");
  if (s->ring > s->span)
    return nib_word_of("ring + (%s) * %lld", padded_row, (ll)s->row_elems);
  return nib_word_of("ring + (%s) %% %lld * %lld", padded_row, (ll)s->ring, (ll)s->row_elems);
}

static void emit_staging(const nib_stage *s, nib_emitter *e, void (*after)(void *user),
                         void *user) {
  const nib_conv_shape *c = &s->shape;
  if (c->stride_h > s->span || s->skips)
    nib_text_line(e->body, "next = next < y * %lld ? y * %lld : next;", (ll)c->stride_h,
                  (ll)c->stride_h);
  nib_text_open(e->body, "for (; next < y * %lld + %lld; next++) {", (ll)c->stride_h, (ll)s->span);
  nib_text_line(e->body, "%s *const staged = %s;", s->c_type, slot(s, "next").s);
  if (has_outside_rows(s)) {
    nib_text_open(e->body, "if (next < %lld || next >= %lld) {", (ll)c->pad_top,
                  (ll)(c->pad_top + c->in_h));
    emit_fill(s, e, 0, s->pixels);
    nib_text_close(e->body, " else {");
    e->body->indent++;
  }
  emit_fill(s, e, 0, s->left);
  if (s->copied > 0)
    emit_copy(s, e, input_row(s, nib_word_of("next - %lld", (ll)c->pad_top).s).s);
  emit_fill(s, e, s->left + s->copied, s->right);
  if (has_outside_rows(s))
    nib_text_close(e->body, "");
  if (after)
    after(user);
  nib_text_close(e->body, "");
}

/* Whether the rows under a filter are one behind the other: no ring's end is among them. */
static bool is_linear(const nib_stage *s) {
  return s->direct ? s->source_ring == 0 : s->ring > s->span;
}

void nib_stage_emit_rows(const nib_stage *s, nib_emitter *e, void (*after)(void *user),
                         void *user) {
  const nib_conv_shape *c = &s->shape;
  if (!s->direct)
    emit_staging(s, e, after, user);
  if (c->kernel_h == 1 || is_linear(s)) {
    const nib_word at = nib_word_of("y * %lld", (ll)c->stride_h);
    const nib_word row = s->direct ? as_staged(s, input_row(s, at.s)) : slot(s, at.s);
    nib_text_line(e->body, "const %s *const row = %s;", s->c_type, row.s);
    return;
  }
  nib_text_line(e->body, "const %s *rows[%lld];", s->c_type, (ll)c->kernel_h);
  nib_text_open(e->body, "for (int32_t ky = 0; ky < %lld; ky++) {", (ll)c->kernel_h);
  const nib_word at = nib_word_of("y * %lld + ky * %lld", (ll)c->stride_h, (ll)c->dilation_h);
  nib_text_line(e->body, "rows[ky] = %s;", s->direct ? as_staged(s, input_row(s, at.s)).s : slot(s, at.s).s);
  nib_text_close(e->body, "");
}

nib_word nib_stage_row_of(const nib_stage *s, int64_t first, int64_t rows) {
  const nib_conv_shape *c = &s->shape;
  const int64_t elems = s->direct ? c->in_w * c->in_c : s->row_elems;
  const nib_word at = rows == 1 ? nib_word_of("%lld", (ll)first)
                      : first   ? nib_word_of("(ky + %lld)", (ll)first)
                                : nib_word_of("ky");
  if (c->kernel_h == 1)
    return nib_word_of("row");
  if (is_linear(s))
    return nib_word_of("row + %s * %lld", at.s, (ll)(c->dilation_h * elems));
  return nib_word_of("rows[%s]", at.s);
}

nib_word nib_stage_row(const nib_stage *s) { return nib_stage_row_of(s, 0, s->shape.kernel_h); }

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The micro-kernel of block_dots: rows by registers of columns, all of K or a chunk of it. Integer
 * sums (block_sums.c), their scales, and totals. */
#include "schedule/block_sums.h"

#include "epilogue/say.h"

#include <string.h>

typedef long long ll;
typedef nib_block_sums tile;

static void say(const tile *t, nib_prim prim, const char *to, const char *a, const char *b) {
  nib_say(t->e, prim, to, a, b, NULL, NULL);
}

static nib_word place(const char *stem, int64_t m, int c) {
  return nib_word_of("%s%lld_%d", stem, (ll)m, c);
}

static void declare(const tile *t, const char *type, const char *name) {
  nib_text_line(t->e->body, "%s %s;", type, name);
}

/* ---- scales ---- */

static int64_t format_bytes(nib_format f) { return (int64_t)nib_format_bytes(f); }

/* Groups whose scales lie together. */
static int bundled_groups(const tile *t) { return t->p->steps_of_group > 1 ? 1 : t->p->spread; }

/* Format of factors where the micro-kernel finds them. */
static nib_format factor_format(const tile *t, nib_format packed) {
  return t->d->unpacks ? NIB_F32 : packed;
}

/* name0 … = a factor of the columns, at byte `at` of the factors. */
static void load_factors(const tile *t, nib_format format, const char *name, int64_t at) {
  for (int c = 0; c < t->size.columns; ++c, at += t->p->lanes * format_bytes(format)) {
    const nib_word to = nib_word_of("%s%d", name, c);
    declare(t, t->e->vocab->type_f32, to.s);
    nib_say_load_reals(t->e, format, to.s, at);
  }
}

/* Bytes of the scales and offsets that lie together. */
static int64_t factor_bytes(const tile *t) {
  const nib_block_pack *p = t->p;
  if (t->d->unpacks)
    return nib_block_unpacked_factor_bytes(t->d, t->size.columns);
  return (p->group_bytes - p->steps_of_group * p->step_bytes) * t->size.columns * bundled_groups(t);
}

static nib_word row_of_block(const tile *t) {
  return nib_word_of(t->d->row_block < t->d->rows.rows ? "row - block" : "row");
}

/* Totals between chunks of K lie in scratch by row: of a panel, or of all of them. */
static void move_total(const tile *t, int64_t m, int c, bool load) {
  const nib_word total = place("total", m, c);
  const nib_word at =
      t->d->unpacks
          ? nib_word_of("totals + (%s + %lld) * %d + %d", row_of_block(t).s, (ll)m,
                        t->p->lanes * t->p->columns, c * t->p->lanes)
          : nib_word_of("totals + (row + %lld) * %lld + channel + %d", (ll)m,
                        (ll)(t->p->panels * t->p->columns * t->p->lanes), c * t->p->lanes);
  if (load)
    say(t, NIB_PRIM_F32_LOAD, total.s, at.s, NULL);
  else
    say(t, NIB_PRIM_F32_STORE, NULL, at.s, total.s);
}

static void move_totals(const tile *t, bool load) {
  for (int64_t m = 0; m < t->size.rows; ++m)
    for (int c = 0; c < t->size.columns; ++c)
      move_total(t, m, c, load);
}

/* Declares the totals of rows [from, to): those that wait in scratch, if `waiting`, else 0. */
static void begin_totals(const tile *t, int64_t from, int64_t to, const char *waiting) {
  for (int64_t m = from; m < to; ++m)
    for (int c = 0; c < t->size.columns; ++c)
      declare(t, t->e->vocab->type_f32, place("total", m, c).s);
  if (waiting) {
    nib_text_open(t->e->body, "if (%s) {", waiting);
    for (int64_t m = from; m < to; ++m)
      for (int c = 0; c < t->size.columns; ++c)
        move_total(t, m, c, true);
    nib_text_close(t->e->body, "");
    nib_text_open(t->e->body, "else {");
  }
  for (int64_t m = from; m < to; ++m)
    for (int c = 0; c < t->size.columns; ++c)
      say(t, NIB_PRIM_F32_SET, place("total", m, c).s, "0.0f", NULL);
  if (waiting)
    nib_text_close(t->e->body, "");
}

/* Results, if the totals of rows [from, to) are `complete`, else they wait. Stores between products
 * wait for nothing. */
static void end_totals(const tile *t, int64_t from, int64_t to, const char *complete) {
  if (complete)
    nib_text_open(t->e->body, "if (%s) {", complete);
  for (int64_t m = from; m < to; ++m)
    for (int c = 0; c < t->size.columns; ++c)
      nib_block_finish_value(t->d, &t->size, m, c);
  if (!complete)
    return;
  nib_text_close(t->e->body, "");
  nib_text_open(t->e->body, "else {");
  for (int64_t m = from; m < to; ++m)
    for (int c = 0; c < t->size.columns; ++c)
      move_total(t, m, c, false);
  nib_text_close(t->e->body, "");
}

/* scale0 … and offset0 …: the factors of group g + j. */
static void load_group(const tile *t, int j) {
  const nib_block_pack *p = t->p;
  const nib_format scales = factor_format(t, p->scale_format);
  const nib_format offsets = factor_format(t, p->offset_format);
  const int64_t width = t->size.columns * p->lanes, scale_bytes = format_bytes(scales);
  load_factors(t, scales, "scale", j * width * scale_bytes);
  if (p->has_offsets)
    load_factors(t, offsets, "offset",
                 bundled_groups(t) * width * scale_bytes + j * width * format_bytes(offsets));
  if (nib_block_magic_is_by_columns(t->d))
    load_factors(t, NIB_F32, "magic", (p->has_scales + p->has_offsets) * width * 4);
}

/* The row's scale of a step for column register c. */
static nib_word row_factor(const tile *t, int64_t m, int c) {
  return place("factor", m, c % t->p->fields);
}

static void declare_row_factors(const tile *t, int64_t m, const char *step, int j) {
  for (int f = 0; f < t->p->fields; ++f) {
    declare(t, t->e->vocab->type_f32, row_factor(t, m, f).s);
    say(t, NIB_PRIM_F32_SET, row_factor(t, m, f).s,
        nib_word_of("row_scales[%s]", nib_block_field_at(t, m, f, step, j).s).s, NULL);
  }
}

/* real = factor * (magic + sum) - factor * magic, rounded once, where the sum of row m of codes is
 * the bits of a float: by a factor of the row, or of the column. */
static void scale_bits(const tile *t, const char *suffix, int64_t m, int c, const char *factor) {
  const nib_word real = place("real", m, c), bits = place("bits", m, c);
  declare(t, t->e->vocab->type_f32, bits.s);
  say(t, NIB_PRIM_F32_OF_BITS, bits.s, nib_word_of("acc%lld_%d%s", (ll)m, c, suffix).s, NULL);
  say(t, NIB_PRIM_F32_FMA, real.s, bits.s, factor);
}

/* total += the sums of row m, whose bits they are, times the columns' scales and then the row's. */
static void add_bits(const tile *t, int j, int64_t m) {
  const int digits = t->d->rows.digits;
  for (int64_t r = m * digits; r < (m + 1) * digits; ++r) {
    declare_row_factors(t, r, "g", j);
    for (int c = 0; c < t->size.columns; ++c) {
      const nib_word real = place("real", r, c);
      nib_text_line(t->e->body, "%s %s = magic%d;", t->e->vocab->type_f32, real.s, c);
      scale_bits(t, "", r, c, nib_word_of("scale%d", c).s);
      say(t, NIB_PRIM_F32_FMA, place("total", m, c).s, real.s, row_factor(t, r, c).s);
    }
  }
}

/* total += the sums of row m, which the row's scales have made reals, times the columns'. */
static void add_reals(const tile *t, const char *stem, int64_t m) {
  for (int c = 0; c < t->size.columns; ++c)
    say(t, NIB_PRIM_F32_FMA, place("total", m, c).s, place(stem, m, c).s,
        nib_word_of("scale%d", c).s);
}

/* total += real * scale of group g + j, + offset * sum of the activations, for row m. */
static void add_row(const tile *t, const char *stem, int j, int64_t m) {
  const nib_block_pack *p = t->p;
  if (t->d->totals_stay) /* met and left once a group */
    begin_totals(t, m, m + 1, nib_word_of("g + %d > 0", j).s);
  if (nib_block_magic_is_by_columns(t->d))
    add_bits(t, j, m);
  else
    add_reals(t, stem, m);
  if (p->has_offsets) {
    declare(t, t->e->vocab->type_f32, "sum");
    say(t, NIB_PRIM_F32_SET, "sum",
        nib_word_of("offset_sums[(row + %lld) * %lld + g + %d]", (ll)m, (ll)p->groups, j).s, NULL);
  }
  for (int c = 0; p->has_offsets && c < t->size.columns; ++c)
    say(t, NIB_PRIM_F32_FMA, place("total", m, c).s, nib_word_of("offset%d", c).s, "sum");
  if (t->d->totals_stay)
    end_totals(t, m, m + 1, nib_word_of("g + %d == %lld", j + 1, (ll)p->groups).s);
}

static void add_group(tile *t, const char *stem, int j) {
  load_group(t, j);
  for (int64_t m = 0; m < t->size.rows; ++m) {
    nib_text_open(t->e->body, "{");
    add_row(t, stem, j, m);
    nib_text_close(t->e->body, "");
  }
}

/* real<m>_0 …, where the sums are bits of floats, by the row's scales of step + j. */
static void scale_row_bits(const tile *t, const char *suffix, const char *step, int j, int64_t m) {
  declare_row_factors(t, m, step, j);
  for (int c = 0; c < t->size.columns; ++c) {
    const nib_word real = place("real", m, c);
    declare(t, t->e->vocab->type_f32, real.s);
    say(t, NIB_PRIM_F32_SET, real.s,
        nib_word_of("row_magics[%s]", nib_block_field_at(t, m, c, step, j).s).s, NULL);
    scale_bits(t, suffix, m, c, row_factor(t, m, c).s);
  }
}

/* real<m>_0 … = the integer sums acc<m>_0… times the row's scales of step + j, those of an
 * activation's digits together; adding, to group<m>_0 … */
static void scale_row(tile *t, const char *suffix, const char *step, int j, bool adds, int64_t m) {
  const int digits = t->d->rows.digits;
  if (nib_block_magic_is_by_columns(t->d))
    return; /* the columns' scales come first: add_bits */
  if (t->d->rows.magic == NIB_BLOCK_MAGIC_ROWS && !adds) {
    scale_row_bits(t, suffix, step, j, m);
    return;
  }
  for (int64_t r = m * digits; r < (m + 1) * digits; ++r) {
    const bool is_first = r == m * digits;
    declare_row_factors(t, r, step, j);
    for (int c = 0; c < t->size.columns; ++c) {
      const nib_word sum = place("sum", r, c), real = place(adds ? "group" : "real", m, c);
      declare(t, t->e->vocab->type_f32, sum.s);
      say(t, NIB_PRIM_F32_FROM_I32, sum.s, nib_word_of("acc%lld_%d%s", (ll)r, c, suffix).s, NULL);
      if (is_first && !adds)
        declare(t, t->e->vocab->type_f32, real.s);
      say(t, is_first && !adds ? NIB_PRIM_F32_MUL : NIB_PRIM_F32_FMA, real.s, sum.s,
          row_factor(t, r, c).s);
    }
  }
}

static void scale_step(tile *t, const char *suffix, const char *step, int j, bool adds) {
  for (int64_t m = 0; m < t->size.rows; ++m)
    scale_row(t, suffix, step, j, adds, m);
}

/* Scales the sums of group g + j and adds them: all rows, or, where totals wait, one after the
 * other, whose stores keep compilers from loading what is of the next ones. */
static void finish_group(tile *t, int j) {
  if (!t->d->totals_stay) {
    scale_step(t, "", "g", j, false);
    add_group(t, "real", j);
    return;
  }
  load_group(t, j);
  for (int64_t m = 0; m < t->size.rows; ++m) {
    nib_text_open(t->e->body, "{");
    scale_row(t, "", "g", j, false, m);
    add_row(t, "real", j, m);
    nib_text_close(t->e->body, "");
  }
}

/* ---- bundles ---- */

/* A bundle whose first step is `step`: of steps of one group, or of groups. */
static void emit_bundle(tile *t, const char *step) {
  const nib_block_pack *p = t->p;
  const int tables = t->n_tables ? t->n_tables : 1;
  const int together =
      nib_block_pieces_together(t->e->vocab, t->spread, t->rows * t->size.columns * tables);
  const int64_t bytes = t->spread * p->step_bytes * t->size.columns;
  for (int from = 0; from < t->spread; from += together) {
    nib_text_open(t->e->body, "{");
    nib_block_sums_pieces(t, step, from, from + together);
    for (int j = from; j < from + together; ++j) {
      nib_text_open(t->e->body, "{");
      scale_step(t, nib_word_of("_%d", j * tables).s, step, j, p->steps_of_group > 1);
      if (p->steps_of_group == 1) {
        nib_text_line(t->e->body, "w += %lld;", (ll)bytes);
        add_group(t, "real", j);
        nib_text_line(t->e->body, "w -= %lld;", (ll)bytes);
      }
      nib_text_close(t->e->body, "");
    }
    nib_text_close(t->e->body, "");
  }
  nib_text_line(t->e->body, "w += %lld;", (ll)bytes);
  nib_text_line(t->e->body, "a += %lld;", (ll)(t->spread * p->padded_step));
}

/* ---- groups ---- */

/* Behind the codes of a bundle, or of a group. */
static void skip_factors(tile *t) {
  if (!t->d->unpacks)
    nib_block_prefetch(t->e, t->p->group_bytes * t->size.columns * bundled_groups(t),
                       factor_bytes(t), nib_block_sums_ahead(t), t->size.rows == 1);
  nib_text_line(t->e->body, "w += %lld;", (ll)factor_bytes(t));
}

/* A group of several steps. */
static void emit_long_group(tile *t) {
  const int64_t steps = t->p->steps_of_group;
  for (int64_t m = 0; m < t->size.rows; ++m)
    for (int c = 0; c < t->size.columns; ++c) {
      declare(t, t->e->vocab->type_f32, place("group", m, c).s);
      say(t, NIB_PRIM_F32_SET, place("group", m, c).s, "0.0f", NULL);
    }
  nib_text_open(t->e->body, "for (int32_t s = g * %lld; s < (g + 1) * %lld; s += %d) {", (ll)steps,
                (ll)steps, t->spread);
  if (t->spread > 1) {
    emit_bundle(t, "s");
  } else {
    nib_block_sums_step(t, "s");
    scale_step(t, "", "s", 0, true);
  }
  nib_text_close(t->e->body, "");
  add_group(t, "group", 0);
}

/* A chunk of one group is no loop: compilers would take what is met in it out of it, totals that
 * have no registers. */
static void open_groups(const tile *t) {
  const nib_block_dots *d = t->d;
  if (d->unpacks && d->chunk_groups == 1) {
    nib_text_open(t->e->body, "{");
    nib_text_line(t->e->body, "const int32_t g = first;");
  } else if (d->in_chunks) {
    nib_text_open(t->e->body, "for (int32_t g = first; g < last; g += %d) {", bundled_groups(t));
  } else {
    nib_text_open(t->e->body, "for (int32_t g = 0; g < %lld; g += %d) {", (ll)d->pack.groups,
                  bundled_groups(t));
  }
}

/* Groups [g, g + groups of a bundle). */
static void emit_groups(tile *t) {
  if (t->p->steps_of_group > 1) {
    emit_long_group(t);
  } else if (t->spread > 1) {
    emit_bundle(t, "g");
  } else {
    for (int j = 0; j < bundled_groups(t); ++j) {
      nib_text_open(t->e->body, "{");
      nib_block_sums_step(t, nib_word_of("g + %d", j).s);
      finish_group(t, j);
      nib_text_close(t->e->body, "");
    }
  }
  skip_factors(t);
}

/* ---- the tile ---- */

void nib_block_finish_value(nib_block_dots *d, const nib_block_tile *size, int64_t m, int c) {
  nib_emitter *e = d->e;
  const nib_word total = place("total", m, c);
  if (d->bias) {
    nib_text_open(e->body, "{");
    nib_text_line(e->body, "%s bias;", e->vocab->type_f32);
    nib_say(e, NIB_PRIM_F32_LOAD, "bias",
            nib_word_of("%s + channel + %d", d->bias, c * d->pack.lanes).s, NULL, NULL, NULL);
    nib_say(e, NIB_PRIM_F32_ADD, total.s, total.s, "bias", NULL, NULL);
    nib_text_close(e->body, "");
  }
  nib_epilogue_clamp_real(&d->epilogue, total.s, d->epilogue.low, d->epilogue.high);
  nib_epilogue_finish(&d->epilogue, total.s,
                      nib_word_of("(row + %lld) * %lld + channel + %d", (ll)m, (ll)d->pack.outputs,
                                  c * d->pack.lanes)
                          .s,
                      c + 1 == size->columns ? size->tail : 0);
}

void nib_block_finish_emit(nib_block_dots *d, const nib_block_tile *size) {
  tile t = {.d = d, .e = d->e, .p = &d->pack, .size = *size};
  for (int64_t m = 0; m < size->rows; ++m)
    for (int c = 0; c < size->columns; ++c)
      declare(&t, d->v->type_f32, place("total", m, c).s);
  move_totals(&t, true);
  for (int64_t m = 0; m < size->rows; ++m)
    for (int c = 0; c < size->columns; ++c)
      nib_block_finish_value(d, size, m, c);
}

/* The codes of a chunk; steps are counted through all of K, but what belongs to one lies by chunks.
 */
static void open_chunk(const tile *t) {
  const nib_block_rows *r = &t->d->rows;
  nib_text_line(t->e->body, "const int8_t *a = codes + (first / %lld * %lld + row) * %lld;",
                (ll)t->d->chunk_groups, (ll)r->rows, (ll)(r->stride * r->digits));
  nib_block_sums_next_rows(t);
  if (r->chunks > 1)
    nib_text_line(t->e->body, "const int32_t chunk_at = first * %lld;",
                  (ll)(t->p->steps_of_group * (r->rows * r->digits - 1)));
}

/* Tiles of rows bring the packed codes of the next chunk near, each its share: they lie behind
 * those of this one, as those of the next panel do. */
static void prefetch_chunk(const tile *t) {
  const nib_block_dots *d = t->d;
  const int64_t bytes = d->chunk_groups * t->p->group_bytes * t->size.columns;
  const int64_t tiles = (d->row_block + d->tile_rows - 1) / d->tile_rows;
  const int64_t share = (bytes + 64 * tiles - 1) / (64 * tiles) * 64;
  if (!*nib_vocab_prim(t->e->vocab, NIB_PRIM_PREFETCH))
    return;
  nib_text_open(t->e->body, "for (int32_t i = 0; i < %lld; i += 64) {", (ll)share);
  say(t, NIB_PRIM_PREFETCH, NULL,
      nib_word_of("panel + last * %lld + (%s) / %lld * %lld",
                  (ll)(t->p->group_bytes * t->size.columns), row_of_block(t).s, (ll)d->tile_rows,
                  (ll)share)
          .s,
      "i");
  nib_text_close(t->e->body, "");
}

/* Where results go comes near before they are there, if that is no cache near, each chunk its
 * share: else the stores of the last one wait for it. */
static void prefetch_results(const tile *t) {
  enum { FAR_BYTES = 1 << 20, LINE = 64 };
  const nib_block_dots *d = t->d;
  const nib_tensor *y = &d->g->tensors[nib_kernel_output(d->g, d->epilogue.kernel)];
  const int64_t bytes = format_bytes(y->format);
  const int64_t of_row = (t->size.columns * t->p->lanes * bytes + LINE - 1) / LINE;
  const int64_t lines = t->size.rows * of_row;
  const int64_t chunks = (t->p->groups + d->chunk_groups - 1) / d->chunk_groups;
  const int64_t share = (lines + chunks - 1) / chunks;
  if (!*nib_vocab_prim(t->e->vocab, NIB_PRIM_PREFETCH) || nib_tensor_bytes(y) < FAR_BYTES)
    return;
  nib_text_line(t->e->body, "const int32_t line = first / %lld * %lld;", (ll)d->chunk_groups,
                (ll)share);
  nib_text_open(t->e->body, "for (int32_t i = line; i < line + %lld && i < %lld; i++) {", (ll)share,
                (ll)lines);
  say(t, NIB_PRIM_PREFETCH, NULL,
      nib_word_of("out + (row + i / %lld) * %lld + channel", (ll)of_row, (ll)t->p->outputs).s,
      nib_word_of("i %% %lld * %d", (ll)of_row, LINE).s);
  nib_text_close(t->e->body, "");
}

static void open_totals(const tile *t) {
  const nib_block_dots *d = t->d;
  const bool waits = d->in_chunks && d->chunk_groups < t->p->groups;
  if (d->totals_stay)
    return;
  if (waits && !d->unpacks) { /* all of them are in scratch from the beginning */
    for (int64_t m = 0; m < t->size.rows; ++m)
      for (int c = 0; c < t->size.columns; ++c)
        declare(t, d->v->type_f32, place("total", m, c).s);
    move_totals(t, true);
    return;
  }
  begin_totals(t, 0, t->size.rows, waits ? "first > 0" : NULL);
}

static void close_totals(const tile *t) {
  const nib_block_dots *d = t->d;
  const bool waits = d->in_chunks && d->chunk_groups < t->p->groups;
  if (d->totals_stay)
    return;
  if (waits && !d->unpacks)
    move_totals(t, false);
  else
    end_totals(t, 0, t->size.rows, waits ? nib_word_of("last == %lld", (ll)t->p->groups).s : NULL);
}

void nib_block_tile_emit(nib_block_dots *d, const nib_block_tile *size) {
  tile t = {.d = d, .e = d->e, .p = &d->pack, .size = *size};
  nib_block_sums_open(&t);
  if (d->looks_up)
    nib_block_lookup_declare(d);
  else if (d->pack.fields > 1)
    nib_block_nested_declare(d);
  else
    nib_block_sums_masks(&t);
  open_totals(&t);
  nib_text_line(d->e->body, "const uint8_t *w = %s;", d->unpacks ? "unpacked" : "panel");
  if (d->unpacks) {
    open_chunk(&t);
    prefetch_chunk(&t);
    prefetch_results(&t);
  } else {
    if (d->looks_up)
      nib_text_line(d->e->body, "const uint8_t *a = tables + row * %lld;", (ll)d->table_stride);
    else
      nib_text_line(d->e->body, "const int8_t *a = codes + row * %lld;",
                    (ll)(d->rows.stride * d->rows.digits));
  }
  open_groups(&t);
  emit_groups(&t);
  nib_text_close(d->e->body, "");
  close_totals(&t);
}

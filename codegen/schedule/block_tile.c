/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The micro-kernel of block_dots: rows by registers of columns, all of K or a chunk of it. Codes are
 * multiplied where they lie in their byte, and sums shifted once behind a step, while there are
 * registers for a sum of each place; else codes are shifted first. */
#include "schedule/block_dots.h"

#include "epilogue/say.h"

#include <string.h>

typedef long long ll;

enum { MAX_KEYS = 16, UNROLLED_UNITS = 8, PREFETCH_BYTES = 3072 };

/* Sums of products with codes `shift` bits too high (below 0: too low). */
typedef struct key {
  int shift;
  int dots; /* since the last flush of i16 sums */
} key;

typedef struct tile {
  nib_block_dots *d;
  nib_emitter *e;
  const nib_block_pack *p;
  nib_block_tile size;
  nib_block_plane planes[NIB_BLOCK_MAX_PLANES]; /* of the source: packed weights, or one of bytes */
  int n_planes, n_tables;
  bool delayed;
  int dots_of_flush; /* 0: DOT8 adds into i32 */
  key keys[MAX_KEYS];
  int n_keys;
} tile;

static void say(const tile *t, nib_prim prim, const char *to, const char *a, const char *b) {
  nib_say(t->e, prim, to, a, b, NULL, NULL);
}

static nib_word place(const char *stem, int64_t m, int c) {
  return nib_word_of("%s%lld_%d", stem, (ll)m, c);
}

/* ---- keys ---- */

static int key_of(tile *t, int shift) {
  for (int i = 0; i < t->n_keys; ++i)
    if (t->keys[i].shift == shift)
      return i;
  t->keys[t->n_keys] = (key){shift, 0};
  return t->n_keys++;
}

/* Key of piece `j` of a plane as table `table` has it. */
static int piece_shift(const tile *t, const nib_block_plane *plane, int j, int table) {
  return (t->delayed ? j * plane->bits : 0) - plane->shift - t->p->mul_log2 - 4 * table;
}

static void find_keys(tile *t) {
  t->n_keys = 0;
  for (int i = 0; i < t->n_planes; ++i)
    for (int j = 0; j < 8 / t->planes[i].bits; ++j)
      for (int table = 0; table < (t->n_tables ? t->n_tables : 1); ++table)
        key_of(t, piece_shift(t, &t->planes[i], j, table));
}

static void open_source(tile *t) {
  const nib_block_pack *p = t->p;
  const nib_vocab *v = t->e->vocab;
  const int64_t places = t->size.rows * t->size.columns;
  if (t->d->unpacks) {
    t->planes[0] = (nib_block_plane){8, 0};
    t->n_planes = 1;
  } else {
    memcpy(t->planes, p->planes, sizeof t->planes);
    t->n_planes = p->n_planes;
    t->n_tables = p->n_tables;
  }
  t->delayed = !v->dot8_limit && !t->n_tables;
  find_keys(t);
  if (t->delayed && t->n_keys * places > v->registers / 2) {
    t->delayed = false;
    find_keys(t);
  }
  const int largest = t->d->unpacks || t->n_tables ? p->largest : p->largest < 15 ? p->largest : 15;
  t->dots_of_flush = v->dot8_limit ? v->dot8_limit / (256 * largest) : 0;
}

/* ---- dots ---- */

static nib_word sum_of(const tile *t, int64_t m, int c, int k) {
  return nib_word_of("%s%lld_%d_%d", t->dots_of_flush ? "part" : "acc", (ll)m, c, k);
}

static void flush(tile *t, int k) {
  if (!t->dots_of_flush || !t->keys[k].dots)
    return;
  for (int64_t m = 0; m < t->size.rows; ++m)
    for (int c = 0; c < t->size.columns; ++c) {
      const nib_word part = sum_of(t, m, c, k);
      say(t, NIB_PRIM_DOT8_SUM, nib_word_of("acc%lld_%d_%d", (ll)m, c, k).s, part.s, NULL);
      say(t, NIB_PRIM_I32_SET, part.s, "0", NULL);
    }
  t->keys[k].dots = 0;
}

static void flush_all(tile *t) {
  for (int k = 0; k < t->n_keys; ++k)
    flush(t, k);
}

/* codes0 …: what piece j of the registers w0 … multiplies, by table `table`. */
static void emit_piece(const tile *t, const nib_block_plane *plane, int j, int table) {
  const int at = j * plane->bits;
  for (int c = 0; c < t->size.columns; ++c) {
    const nib_word codes = nib_word_of("codes%d", c), w = nib_word_of("w%d", c);
    const char *from = w.s;
    nib_text_line(t->e->body, "%s codes%d;", t->e->vocab->type_i32, c);
    if (at && !t->delayed) {
      say(t, NIB_PRIM_BYTES_SHR, codes.s, from, nib_word_of("%d", at).s);
      from = codes.s;
    }
    if (plane->bits < 8) {
      const int mask = ((1 << plane->bits) - 1) << (t->delayed ? at : 0);
      say(t, NIB_PRIM_BYTES_AND, codes.s, from, nib_word_of("mask%d", mask).s);
      from = codes.s;
    }
    if (t->n_tables)
      say(t, NIB_PRIM_BYTES_LOOKUP, codes.s, t->d->tables[table], from);
    else if (from == w.s)
      nib_text_line(t->e->body, "codes%d = w%d;", c, c);
  }
}

/* Piece j against the activations at `a` + offset. */
static void emit_dots(tile *t, const nib_block_plane *plane, int j, const char *offset) {
  for (int table = 0; table < (t->n_tables ? t->n_tables : 1); ++table) {
    const int k = key_of(t, piece_shift(t, plane, j, table));
    if (t->dots_of_flush && t->keys[k].dots == t->dots_of_flush)
      flush(t, k);
    t->keys[k].dots++;
    nib_text_open(t->e->body, "{");
    emit_piece(t, plane, j, table);
    nib_text_line(t->e->body, "%s x;", t->e->vocab->type_i32);
    for (int64_t m = 0; m < t->size.rows; ++m) {
      say(t, NIB_PRIM_BYTES_BCAST, "x",
          nib_word_of("a + %lld + %s", (ll)(m * t->d->rows.stride), offset).s, NULL);
      for (int c = 0; c < t->size.columns; ++c)
        say(t, NIB_PRIM_DOT8, sum_of(t, m, c, k).s, nib_word_of("codes%d", c).s, "x");
    }
    nib_text_close(t->e->body, "");
  }
}

/* Bytes of a unit of all columns in the source. */
static int64_t unit_bytes(const tile *t) {
  int bits = 0;
  for (int i = 0; i < t->n_planes; ++i)
    bits += t->planes[i].bits;
  return t->p->unit * bits / 8 * t->p->lanes * t->size.columns;
}

static void emit_unit(tile *t, int64_t u) {
  const int64_t register_bytes = 4 * t->p->lanes;
  int64_t at = u * unit_bytes(t);
  for (int i = 0; i < t->n_planes; ++i) {
    const nib_block_plane *plane = &t->planes[i];
    const int64_t per_register = 32 / plane->bits;
    for (int64_t r = 0; r < t->p->unit / per_register; ++r) {
      nib_text_open(t->e->body, "{");
      for (int c = 0; c < t->size.columns; ++c, at += register_bytes) {
        nib_text_line(t->e->body, "%s w%d;", t->e->vocab->type_i32, c);
        say(t, NIB_PRIM_BYTES_LOAD, nib_word_of("w%d", c).s, nib_word_of("w + %lld", (ll)at).s, NULL);
        if (!t->d->unpacks && at % 64 == 0)
          say(t, NIB_PRIM_PREFETCH, NULL, nib_word_of("w + %lld", (ll)at).s,
              nib_word_of("%d", PREFETCH_BYTES).s);
      }
      for (int j = 0; j < 8 / plane->bits; ++j)
        emit_dots(t, plane, j,
                  nib_word_of("%lld", (ll)(u * t->p->unit + r * per_register + 4 * j)).s);
      nib_text_close(t->e->body, "");
    }
  }
}

/* ---- steps ---- */

static void declare(const tile *t, const char *type, const char *name) {
  nib_text_line(t->e->body, "%s %s;", type, name);
}

static void open_sums(tile *t, const char *step) {
  for (int64_t m = 0; m < t->size.rows; ++m)
    for (int c = 0; c < t->size.columns; ++c)
      for (int k = 0; k < t->n_keys; ++k) {
        const nib_word acc = nib_word_of("acc%lld_%d_%d", (ll)m, c, k);
        const bool base = t->d->rows.has_bases && t->keys[k].shift == 0 && step;
        declare(t, t->e->vocab->type_i32, acc.s);
        say(t, NIB_PRIM_I32_SET, acc.s,
            base ? nib_word_of("bases[(%s + %lld) * %lld + %s]", "row", (ll)m,
                               (ll)t->d->rows.steps, step)
                       .s
                 : "0",
            NULL);
        if (!t->dots_of_flush)
          continue;
        declare(t, t->e->vocab->type_i32, sum_of(t, m, c, k).s);
        say(t, NIB_PRIM_I32_SET, sum_of(t, m, c, k).s, "0", NULL);
      }
}

/* acc0_0 … = the sums of all keys, shifted into place, and the base if no key has it. */
static void close_sums(tile *t, const char *step) {
  bool has_base = !t->d->rows.has_bases || !step;
  for (int k = 0; k < t->n_keys; ++k)
    has_base |= t->keys[k].shift == 0;
  for (int64_t m = 0; m < t->size.rows; ++m)
    for (int c = 0; c < t->size.columns; ++c) {
      const nib_word acc = place("acc", m, c);
      declare(t, t->e->vocab->type_i32, acc.s);
      for (int k = 0; k < t->n_keys; ++k) {
        const nib_word part = nib_word_of("acc%lld_%d_%d", (ll)m, c, k);
        const int shift = t->keys[k].shift;
        if (shift)
          say(t, shift > 0 ? NIB_PRIM_I32_SAR : NIB_PRIM_I32_SHL, part.s, part.s,
              nib_word_of("%d", shift > 0 ? shift : -shift).s);
        if (k)
          say(t, NIB_PRIM_I32_ADD, acc.s, acc.s, part.s);
        else
          nib_text_line(t->e->body, "%s = %s;", acc.s, part.s);
      }
      if (has_base)
        continue;
      nib_text_open(t->e->body, "{");
      declare(t, t->e->vocab->type_i32, "base");
      say(t, NIB_PRIM_I32_SET, "base",
          nib_word_of("bases[(row + %lld) * %lld + %s]", (ll)m, (ll)t->d->rows.steps, step).s, NULL);
      say(t, NIB_PRIM_I32_ADD, acc.s, acc.s, "base");
      nib_text_close(t->e->body, "");
    }
}

/* The integer sums of a step, acc0_0 …, whose weights are at w and activations at a. */
static void emit_step(tile *t, const char *step) {
  const int64_t units = t->p->padded_step / t->p->unit;
  open_sums(t, step);
  if (units <= UNROLLED_UNITS) {
    for (int64_t u = 0; u < units; ++u)
      emit_unit(t, u);
    flush_all(t);
    nib_text_line(t->e->body, "w += %lld;", (ll)(units * unit_bytes(t)));
    nib_text_line(t->e->body, "a += %lld;", (ll)t->p->padded_step);
  } else {
    nib_text_open(t->e->body, "for (int32_t u = 0; u < %lld; u++) {", (ll)units);
    emit_unit(t, 0);
    flush_all(t);
    nib_text_line(t->e->body, "w += %lld;", (ll)unit_bytes(t));
    nib_text_line(t->e->body, "a += %lld;", (ll)t->p->unit);
    nib_text_close(t->e->body, "");
  }
  close_sums(t, step);
}

/* ---- scales ---- */

static void load_factor(const tile *t, nib_format format, const char *name, int c, int64_t at) {
  const nib_prim prim = format == NIB_F16    ? NIB_PRIM_F16_LOAD
                        : format == NIB_BF16 ? NIB_PRIM_BF16_LOAD
                                             : NIB_PRIM_F32_LOAD;
  const nib_word to = nib_word_of("%s%d", name, c);
  declare(t, t->e->vocab->type_f32, to.s);
  say(t, prim, to.s,
      nib_word_of("(const %s *)(const void *)(%s + %lld)", nib_format_get(format)->c_type,
                  t->d->unpacks ? "factors" : "w", (ll)(at + c * t->p->lanes * (int64_t)nib_format_bytes(format)))
          .s,
      NULL);
}

/* Bytes of scales and offsets of a group. */
static int64_t factor_bytes(const tile *t) {
  const nib_block_pack *p = t->p;
  return (p->group_bytes - p->steps_of_group * p->step_bytes) * t->size.columns;
}

/* total += real * scale of the group, + offset * sum of the activations. */
static void add_group(tile *t, const char *stem) {
  const nib_block_pack *p = t->p;
  for (int c = 0; c < t->size.columns; ++c)
    load_factor(t, p->scale_format, "scale", c, 0);
  const int64_t at = t->size.columns * p->lanes * (int64_t)nib_format_bytes(p->scale_format);
  for (int c = 0; p->has_offsets && c < t->size.columns; ++c)
    load_factor(t, p->offset_format, "offset", c, at);
  for (int64_t m = 0; m < t->size.rows; ++m) {
    for (int c = 0; c < t->size.columns; ++c)
      say(t, NIB_PRIM_F32_FMA, place("total", m, c).s, place(stem, m, c).s,
          nib_word_of("scale%d", c).s);
    if (!p->has_offsets)
      continue;
    nib_text_open(t->e->body, "{");
    declare(t, t->e->vocab->type_f32, "sum");
    say(t, NIB_PRIM_F32_SET, "sum",
        nib_word_of("offset_sums[(row + %lld) * %lld + g]", (ll)m, (ll)p->groups).s, NULL);
    for (int c = 0; c < t->size.columns; ++c)
      say(t, NIB_PRIM_F32_FMA, place("total", m, c).s, nib_word_of("offset%d", c).s, "sum");
    nib_text_close(t->e->body, "");
  }
}

/* real0_0 … (or, adding, part0_0 …) from acc0_0 … and the rows' scales. */
static void scale_step(tile *t, const char *step, bool adds) {
  for (int64_t m = 0; m < t->size.rows; ++m) {
    const nib_word factor = nib_word_of("factor%lld", (ll)m);
    declare(t, t->e->vocab->type_f32, factor.s);
    say(t, NIB_PRIM_F32_SET, factor.s,
        nib_word_of("row_scales[(row + %lld) * %lld + %s]", (ll)m, (ll)t->d->rows.steps, step).s,
        NULL);
    for (int c = 0; c < t->size.columns; ++c) {
      const nib_word real = place("real", m, c);
      declare(t, t->e->vocab->type_f32, real.s);
      say(t, NIB_PRIM_F32_FROM_I32, real.s, place("acc", m, c).s, NULL);
      if (adds)
        say(t, NIB_PRIM_F32_FMA, place("group", m, c).s, real.s, factor.s);
      else
        say(t, NIB_PRIM_F32_MUL, real.s, real.s, factor.s);
    }
  }
}

static void emit_group(tile *t) {
  const int64_t steps = t->p->steps_of_group;
  if (steps == 1) {
    emit_step(t, "g");
    scale_step(t, "g", false);
    add_group(t, "real");
  } else {
    for (int64_t m = 0; m < t->size.rows; ++m)
      for (int c = 0; c < t->size.columns; ++c) {
        declare(t, t->e->vocab->type_f32, place("group", m, c).s);
        say(t, NIB_PRIM_F32_SET, place("group", m, c).s, "0.0f", NULL);
      }
    nib_text_open(t->e->body, "for (int32_t s = g * %lld; s < (g + 1) * %lld; s++) {", (ll)steps,
                  (ll)steps);
    emit_step(t, "s");
    scale_step(t, "s", true);
    nib_text_close(t->e->body, "");
    add_group(t, "group");
  }
  for (int64_t at = 0; !t->d->unpacks && at < factor_bytes(t); at += 64)
    say(t, NIB_PRIM_PREFETCH, NULL, nib_word_of("w + %lld", (ll)at).s,
        nib_word_of("%d", PREFETCH_BYTES).s);
  if (t->d->unpacks)
    nib_text_line(t->e->body, "factors += %lld;", (ll)(t->p->group_bytes * t->size.columns));
  else
    nib_text_line(t->e->body, "w += %lld;", (ll)factor_bytes(t));
}

/* ---- the tile ---- */

static void declare_masks(const tile *t) {
  bool have[256] = {false};
  for (int i = 0; i < t->n_planes; ++i)
    for (int j = 0; t->planes[i].bits < 8 && j < 8 / t->planes[i].bits; ++j) {
      const int bits = t->planes[i].bits;
      const int mask = ((1 << bits) - 1) << (t->delayed ? j * bits : 0);
      if (have[mask])
        continue;
      have[mask] = true;
      declare(t, t->e->vocab->type_i32, nib_word_of("mask%d", mask).s);
      say(t, NIB_PRIM_BYTES_SET, nib_word_of("mask%d", mask).s, nib_word_of("%d", mask).s, NULL);
    }
}

/* Totals between chunks of K lie in scratch by row. */
static void move_totals(const tile *t, bool load) {
  for (int64_t m = 0; m < t->size.rows; ++m)
    for (int c = 0; c < t->size.columns; ++c) {
      const nib_word total = place("total", m, c);
      const nib_word at = nib_word_of("totals + (row + %lld) * %d + %d", (ll)m,
                                      t->p->lanes * t->p->columns, c * t->p->lanes);
      if (load)
        say(t, NIB_PRIM_F32_LOAD, total.s, at.s, NULL);
      else
        say(t, NIB_PRIM_F32_STORE, NULL, at.s, total.s);
    }
}

/* Bias, clamp and what follows the product, for the total of row m and column c. */
static void finish(tile *t, int64_t m, int c) {
  nib_block_dots *d = t->d;
  const nib_word total = place("total", m, c);
  if (d->bias) {
    nib_text_open(t->e->body, "{");
    declare(t, t->e->vocab->type_f32, "bias");
    say(t, NIB_PRIM_F32_LOAD, "bias",
        nib_word_of("%s + channel + %d", d->bias, c * t->p->lanes).s, NULL);
    say(t, NIB_PRIM_F32_ADD, total.s, total.s, "bias");
    nib_text_close(t->e->body, "");
  }
  nib_epilogue_clamp_real(&d->epilogue, total.s, d->epilogue.low, d->epilogue.high);
  nib_epilogue_finish(&d->epilogue, total.s,
                      nib_word_of("(row + %lld) * %lld + channel + %d", (ll)m, (ll)t->p->outputs,
                                  c * t->p->lanes)
                          .s,
                      c + 1 == t->size.columns ? t->size.tail : 0);
}

void nib_block_tile_emit(nib_block_dots *d, const nib_block_tile *size) {
  tile t = {.d = d, .e = d->e, .p = &d->pack, .size = *size};
  open_source(&t);
  declare_masks(&t);
  for (int64_t m = 0; m < size->rows; ++m)
    for (int c = 0; c < size->columns; ++c) {
      declare(&t, d->v->type_f32, place("total", m, c).s);
      if (!d->unpacks)
        say(&t, NIB_PRIM_F32_SET, place("total", m, c).s, "0.0f", NULL);
    }
  nib_text_line(d->e->body, "const uint8_t *w = %s;", d->unpacks ? "unpacked" : "panel");
  if (d->unpacks) {
    move_totals(&t, true);
    nib_text_line(d->e->body, "const uint8_t *factors = panel + first * %lld + %lld;",
                  (ll)(d->pack.group_bytes * size->columns),
                  (ll)(d->pack.steps_of_group * d->pack.step_bytes * size->columns));
    nib_text_line(d->e->body, "const int8_t *a = codes + row * %lld + first * %lld;",
                  (ll)d->rows.stride, (ll)(d->pack.steps_of_group * d->pack.padded_step));
    nib_text_open(d->e->body, "for (int32_t g = first; g < last; g++) {");
  } else {
    nib_text_line(d->e->body, "const int8_t *a = codes + row * %lld;", (ll)d->rows.stride);
    nib_text_open(d->e->body, "for (int32_t g = 0; g < %lld; g++) {", (ll)d->pack.groups);
  }
  emit_group(&t);
  nib_text_close(d->e->body, "");
  if (d->unpacks)
    move_totals(&t, false);
  for (int64_t m = 0; !d->unpacks && m < size->rows; ++m)
    for (int c = 0; c < size->columns; ++c)
      finish(&t, m, c);
}

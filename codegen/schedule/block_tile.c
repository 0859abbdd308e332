/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The micro-kernel of block_dots: rows by registers of columns, all of K or a chunk of it. Codes
 * are multiplied where they lie in their byte, and sums shifted once behind a step, while there are
 * registers for a sum of each place; else codes are shifted first. */
#include "schedule/block_dots.h"

#include "epilogue/say.h"

#include <string.h>

typedef long long ll;

enum {
  MAX_KEYS = 16,
  UNROLLED_UNITS = 8,
  UNROLLED_DOTS = 512,
  MAX_NEAR = 2 /* pieces of a register: a core reads as often as it multiplies, and codes too */
};

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
  int64_t unit;
  int spread; /* of the source */
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
  return (t->delayed ? j * plane->bits : 0) - plane->shift - t->p->mul_log2 + t->d->made_log2 -
         4 * table;
}

static void find_keys(tile *t) {
  t->n_keys = 0;
  if (t->spread > 1) { /* one for each step, and table */
    for (; t->n_keys < t->spread * (t->n_tables ? t->n_tables : 1); ++t->n_keys)
      t->keys[t->n_keys] = (key){0, 0};
    return;
  }
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
    t->spread = 1;
    for (t->unit = 32; p->padded_step % t->unit; t->unit /= 2)
      ;
  } else if (t->d->looks_up) { /* one sum, of whole registers */
    t->planes[0] = (nib_block_plane){8, 0};
    t->n_planes = 1;
    t->unit = p->unit;
    t->spread = 1;
  } else {
    memcpy(t->planes, p->planes, sizeof t->planes);
    t->n_planes = p->n_planes;
    t->n_tables = p->n_tables;
    t->unit = p->unit;
    t->spread = p->spread;
  }
  t->delayed = t->spread == 1 && !v->dot8_limit && !t->n_tables;
  find_keys(t);
  if (t->delayed && t->n_keys * places > v->registers / 2) {
    t->delayed = false;
    find_keys(t);
  }
  const int largest = t->d->unpacks ? nib_block_pack_largest(p) << t->d->made_log2
                      : t->n_tables || p->largest < 15 ? p->largest
                                                       : 15;
  const int highest = t->spread > 1 ? largest << p->planes[0].bits * (t->d->in_place - 1) : largest;
  t->dots_of_flush = v->dot8_limit ? v->dot8_limit / (256 * highest) : 0;
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

/* Bit of its byte at which piece j of a plane is multiplied. */
static int bit_of(const tile *t, const nib_block_plane *plane, int j) {
  const int pieces = t->spread > 1 ? t->d->in_place : t->delayed ? 8 / plane->bits : 1;
  return j % pieces * plane->bits;
}

/* codes0 …: what piece j of the registers w0 … multiplies, by table `table`. */
static void emit_piece(const tile *t, const nib_block_plane *plane, int j, int table) {
  const int at = bit_of(t, plane, j), shift = j * plane->bits - at;
  for (int c = 0; c < t->size.columns; ++c) {
    const nib_word codes = nib_word_of("codes%d", c), w = nib_word_of("w%d", c);
    const char *from = w.s;
    nib_text_line(t->e->body, "%s codes%d;", t->e->vocab->type_i32, c);
    if (shift) {
      say(t, NIB_PRIM_BYTES_SHR, codes.s, from, nib_word_of("%d", shift).s);
      from = codes.s;
    }
    if (plane->bits < 8) {
      const int mask = ((1 << plane->bits) - 1) << at;
      say(t, NIB_PRIM_BYTES_AND, codes.s, from, nib_word_of("mask%d", mask).s);
      from = codes.s;
    }
    if (t->n_tables)
      say(t, NIB_PRIM_BYTES_LOOKUP, codes.s, t->d->tables[table], from);
    else if (from == w.s)
      nib_text_line(t->e->body, "codes%d = w%d;", c, c);
  }
}

/* Whether products read the activations of piece j themselves. Of one row, each reading would serve
 * few products, and is an instruction to decode beside them. */
static bool reads_near(const tile *t, int j) {
  return t->size.rows == 1 && j < MAX_NEAR && nib_vocab_prim(t->e->vocab, NIB_PRIM_DOT8_NEAR);
}

/* The sums of row m += codes0 … times the activations at `from`. */
static void emit_row_dots(const tile *t, int64_t m, int k, bool near, const char *from) {
  if (!near)
    say(t, NIB_PRIM_BYTES_BCAST, "x", from, NULL);
  for (int c = 0; c < t->size.columns; ++c)
    say(t, near ? NIB_PRIM_DOT8_NEAR : NIB_PRIM_DOT8, sum_of(t, m, c, k).s,
        nib_word_of("codes%d", c).s, near ? from : "x");
}

/* Piece j against the activations at `a` + offset. */
static void emit_dots(tile *t, const nib_block_plane *plane, int j, const char *offset) {
  const int tables = t->n_tables ? t->n_tables : 1;
  for (int table = 0; table < tables; ++table) {
    const int k = t->spread > 1 ? j * tables + table : key_of(t, piece_shift(t, plane, j, table));
    if (t->dots_of_flush && t->keys[k].dots == t->dots_of_flush)
      flush(t, k);
    t->keys[k].dots++;
    nib_text_open(t->e->body, "{");
    emit_piece(t, plane, j, table);
    const bool near = reads_near(t, j);
    if (!near)
      nib_text_line(t->e->body, "%s x;", t->e->vocab->type_i32);
    for (int64_t m = 0; m < t->size.rows; ++m)
      emit_row_dots(t, m, k, near,
                    nib_word_of("a + %lld + %s", (ll)(m * t->d->rows.stride), offset).s);
    nib_text_close(t->e->body, "");
  }
}

/* Bytes of a unit of all columns in the source. */
static int64_t unit_bytes(const tile *t) {
  int bits = 0;
  for (int i = 0; i < t->n_planes; ++i)
    bits += t->d->looks_up ? 1 : t->planes[i].bits;
  return t->unit * bits / 8 * t->p->lanes * t->size.columns;
}

/* Bytes at `a` of n elements: codes, or tables of their sums. */
static int64_t act_bytes(const tile *t, int64_t n) { return t->d->looks_up ? 8 * n : n; }

static void load_codes(const tile *t, int c, int64_t at, bool first) {
  const nib_word from = nib_word_of("w + %lld", (ll)at);
  nib_text_line(t->e->body, "%s w%d;", t->e->vocab->type_i32, c);
  say(t, NIB_PRIM_BYTES_LOAD, nib_word_of("w%d", c).s, from.s, NULL);
  if (first && !t->d->unpacks && at % 64 == 0)
    nib_say_prefetch(t->e, from.s, NIB_BLOCK_AHEAD, t->size.rows == 1);
}

static void emit_unit(tile *t, int64_t u) {
  const int64_t register_bytes = 4 * t->p->lanes;
  int64_t at = u * unit_bytes(t);
  if (t->d->looks_up) {
    nib_text_open(t->e->body, "{");
    for (int c = 0; c < t->size.columns; ++c, at += register_bytes)
      load_codes(t, c, at, true);
    nib_block_lookup_emit(t->d, &t->size, u * act_bytes(t, t->unit));
    nib_text_close(t->e->body, "");
    return;
  }
  for (int i = 0; i < t->n_planes; ++i) {
    const nib_block_plane *plane = &t->planes[i];
    const int64_t per_register = 32 / plane->bits;
    for (int64_t r = 0; r < t->unit / per_register; ++r) {
      nib_text_open(t->e->body, "{");
      for (int c = 0; c < t->size.columns; ++c, at += register_bytes)
        load_codes(t, c, at, true);
      for (int j = 0; j < 8 / plane->bits; ++j)
        emit_dots(t, plane, j, nib_word_of("%lld", (ll)(u * t->unit + r * per_register + 4 * j)).s);
      nib_text_close(t->e->body, "");
    }
  }
}

/* ---- steps ---- */

static void declare(const tile *t, const char *type, const char *name) {
  nib_text_line(t->e->body, "%s %s;", type, name);
}

/* Whether the sum of key k starts with the row's base. */
static bool starts_with_base(const tile *t, int k) {
  const int tables = t->n_tables ? t->n_tables : 1;
  if (!t->d->rows.has_bases)
    return false;
  if (t->spread > 1)
    return k % tables == 0 && t->p->mul_log2 == 0;
  return t->keys[k].shift == 0;
}

/* Where what belongs to step `step` + j of row `row` + m lies; chunk_at: see open_chunk. */
static nib_word step_at(const tile *t, int64_t m, const char *step, int j) {
  return nib_word_of("(row + %lld) * %lld + %s%s + %d", (ll)m, (ll)t->d->rows.chunk_steps,
                     t->d->rows.chunks > 1 ? "chunk_at + " : "", step, j);
}

static nib_word base_of(const tile *t, int64_t m, const char *step, int j) {
  return nib_word_of("bases[%s]", step_at(t, m, step, j).s);
}

static void open_sum(tile *t, const char *step, int k) {
  const int tables = t->n_tables ? t->n_tables : 1;
  for (int64_t m = 0; m < t->size.rows; ++m)
    for (int c = 0; c < t->size.columns; ++c) {
      const nib_word acc = nib_word_of("acc%lld_%d_%d", (ll)m, c, k);
      declare(t, t->e->vocab->type_i32, acc.s);
      say(t, NIB_PRIM_I32_SET, acc.s,
          starts_with_base(t, k) ? base_of(t, m, step, t->spread > 1 ? k / tables : 0).s : "0",
          NULL);
      if (!t->dots_of_flush)
        continue;
      declare(t, t->e->vocab->type_i32, sum_of(t, m, c, k).s);
      say(t, NIB_PRIM_I32_SET, sum_of(t, m, c, k).s, "0", NULL);
    }
}

static void open_sums(tile *t, const char *step) {
  for (int k = 0; k < t->n_keys; ++k)
    open_sum(t, step, k);
}

static void add_base(tile *t, const char *acc, const char *base) {
  nib_text_open(t->e->body, "{");
  declare(t, t->e->vocab->type_i32, "base");
  say(t, NIB_PRIM_I32_SET, "base", base, NULL);
  say(t, NIB_PRIM_I32_ADD, acc, acc, "base");
  nib_text_close(t->e->body, "");
}

/* acc0_0 … = the sums of all keys, shifted into place, and the base if no key has it. */
static void close_sums(tile *t, const char *step) {
  bool has_base = !t->d->rows.has_bases;
  for (int k = 0; k < t->n_keys; ++k)
    has_base |= starts_with_base(t, k);
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
      if (!has_base)
        add_base(t, acc.s, base_of(t, m, step, 0).s);
    }
}

/* The integer sums of a step, acc0_0 …, whose weights are at w and activations at a. */
static void emit_step(tile *t, const char *step) {
  const int64_t units = t->p->padded_step / t->unit;
  const int64_t dots = t->p->padded_step / 4 * t->size.rows * t->size.columns;
  open_sums(t, step);
  if (units <= UNROLLED_UNITS && (dots <= UNROLLED_DOTS || units == 1)) {
    for (int64_t u = 0; u < units; ++u)
      emit_unit(t, u);
    flush_all(t);
    nib_text_line(t->e->body, "w += %lld;", (ll)(units * unit_bytes(t)));
    nib_text_line(t->e->body, "a += %lld;", (ll)act_bytes(t, t->p->padded_step));
  } else {
    nib_text_open(t->e->body, "for (int32_t u = 0; u < %lld; u++) {", (ll)units);
    emit_unit(t, 0);
    flush_all(t);
    nib_text_line(t->e->body, "w += %lld;", (ll)unit_bytes(t));
    nib_text_line(t->e->body, "a += %lld;", (ll)act_bytes(t, t->unit));
    nib_text_close(t->e->body, "");
  }
  close_sums(t, step);
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
    return nib_block_unpacked_factor_bytes(p, t->size.columns);
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

/* total += real * scale of group g + j, + offset * sum of the activations. */
static void add_group(tile *t, const char *stem, int j) {
  const nib_block_pack *p = t->p;
  const nib_format scales = factor_format(t, p->scale_format);
  const nib_format offsets = factor_format(t, p->offset_format);
  const int64_t width = t->size.columns * p->lanes, scale_bytes = format_bytes(scales);
  load_factors(t, scales, "scale", j * width * scale_bytes);
  if (p->has_offsets)
    load_factors(t, offsets, "offset",
                 bundled_groups(t) * width * scale_bytes + j * width * format_bytes(offsets));
  for (int64_t m = 0; m < t->size.rows; ++m) {
    nib_text_open(t->e->body, "{");
    for (int c = 0; c < t->size.columns; ++c) {
      if (t->d->totals_stay) {
        declare(t, t->e->vocab->type_f32, place("total", m, c).s);
        move_total(t, m, c, true);
      }
      say(t, NIB_PRIM_F32_FMA, place("total", m, c).s, place(stem, m, c).s,
          nib_word_of("scale%d", c).s);
    }
    if (p->has_offsets) {
      declare(t, t->e->vocab->type_f32, "sum");
      say(t, NIB_PRIM_F32_SET, "sum",
          nib_word_of("offset_sums[(row + %lld) * %lld + g + %d]", (ll)m, (ll)p->groups, j).s,
          NULL);
    }
    for (int c = 0; p->has_offsets && c < t->size.columns; ++c)
      say(t, NIB_PRIM_F32_FMA, place("total", m, c).s, nib_word_of("offset%d", c).s, "sum");
    for (int c = 0; t->d->totals_stay && c < t->size.columns; ++c)
      move_total(t, m, c, false);
    nib_text_close(t->e->body, "");
  }
}

/* The same where the sums are bits of floats: scale * (magic + sum) - scale * magic, rounded once.
 */
static void scale_bits(tile *t, const char *suffix, const char *step, int j) {
  for (int64_t m = 0; m < t->size.rows; ++m) {
    const nib_word factor = nib_word_of("factor%lld", (ll)m), at = step_at(t, m, step, j);
    declare(t, t->e->vocab->type_f32, factor.s);
    say(t, NIB_PRIM_F32_SET, factor.s, nib_word_of("row_scales[%s]", at.s).s, NULL);
    for (int c = 0; c < t->size.columns; ++c) {
      const nib_word real = place("real", m, c), bits = place("bits", m, c);
      nib_text_line(t->e->body, "%s %s, %s;", t->e->vocab->type_f32, real.s, bits.s);
      say(t, NIB_PRIM_F32_OF_BITS, bits.s, nib_word_of("acc%lld_%d%s", (ll)m, c, suffix).s, NULL);
      say(t, NIB_PRIM_F32_SET, real.s, nib_word_of("row_magics[%s]", at.s).s, NULL);
      say(t, NIB_PRIM_F32_FMA, real.s, bits.s, factor.s);
    }
  }
}

/* real0_0 … = the integer sums acc0_0… times the rows' scales of step + j; adding, to group0_0 … */
static void scale_step(tile *t, const char *suffix, const char *step, int j, bool adds) {
  if (t->d->rows.magic && !adds) {
    scale_bits(t, suffix, step, j);
    return;
  }
  for (int64_t m = 0; m < t->size.rows; ++m) {
    const nib_word factor = nib_word_of("factor%lld", (ll)m);
    declare(t, t->e->vocab->type_f32, factor.s);
    say(t, NIB_PRIM_F32_SET, factor.s, nib_word_of("row_scales[%s]", step_at(t, m, step, j).s).s,
        NULL);
    for (int c = 0; c < t->size.columns; ++c) {
      const nib_word real = place("real", m, c);
      declare(t, t->e->vocab->type_f32, real.s);
      say(t, NIB_PRIM_F32_FROM_I32, real.s, nib_word_of("acc%lld_%d%s", (ll)m, c, suffix).s, NULL);
      if (adds)
        say(t, NIB_PRIM_F32_FMA, place("group", m, c).s, real.s, factor.s);
      else
        say(t, NIB_PRIM_F32_MUL, real.s, real.s, factor.s);
    }
  }
}

/* ---- bundles ---- */

/* The sum of step j of a bundle is whole: the parts of both tables, the row's base. */
static void close_spread(tile *t, const char *step, int j) {
  const int tables = t->n_tables ? t->n_tables : 1, mul = t->p->mul_log2;
  for (int table = 0; table < tables; ++table)
    flush(t, j * tables + table);
  for (int64_t m = 0; m < t->size.rows; ++m)
    for (int c = 0; c < t->size.columns; ++c) {
      const nib_word acc = nib_word_of("acc%lld_%d_%d", (ll)m, c, j * tables);
      const nib_word high = nib_word_of("acc%lld_%d_%d", (ll)m, c, j * tables + 1);
      if (tables > 1) {
        say(t, NIB_PRIM_I32_SHL, high.s, high.s, "4");
        say(t, NIB_PRIM_I32_ADD, acc.s, acc.s, high.s);
      }
      if (mul)
        say(t, NIB_PRIM_I32_SHL, acc.s, acc.s, nib_word_of("%d", mul).s);
      if (mul && t->d->rows.has_bases)
        add_base(t, acc.s, base_of(t, m, step, j).s);
    }
}

/* Registers [0, n) of a bundle against pieces [from, to). */
static void emit_registers(tile *t, int64_t n, int from, int to) {
  for (int64_t r = 0; r < n; ++r) {
    nib_text_open(t->e->body, "{");
    for (int c = 0; c < t->size.columns; ++c)
      load_codes(t, c, (r * t->size.columns + c) * 4 * t->p->lanes, from == 0);
    for (int j = from; j < to; ++j)
      emit_dots(t, &t->planes[0], j, nib_word_of("%lld", (ll)(j * t->p->padded_step + 4 * r)).s);
    nib_text_close(t->e->body, "");
  }
}

/* All registers of a bundle against pieces [from, to), whose sums are then whole. */
static void emit_pieces(tile *t, const char *step, int from, int to) {
  const int64_t registers = t->p->padded_step / 4;
  const int64_t unrolled = registers <= 16 ? registers : registers % 8 == 0 ? 8 : 1;
  const int64_t bytes = unrolled * 4 * t->p->lanes * t->size.columns;
  const int tables = t->n_tables ? t->n_tables : 1;
  for (int k = from * tables; k < to * tables; ++k)
    open_sum(t, step, k);
  if (registers == unrolled) {
    emit_registers(t, registers, from, to);
  } else {
    nib_text_open(t->e->body, "for (int32_t r = 0; r < %lld; r++) {", (ll)(registers / unrolled));
    emit_registers(t, unrolled, from, to);
    flush_all(t);
    nib_text_line(t->e->body, "w += %lld;", (ll)bytes);
    nib_text_line(t->e->body, "a += %lld;", (ll)(4 * unrolled));
    nib_text_close(t->e->body, "");
    nib_text_line(t->e->body, "w -= %lld;", (ll)(bytes * registers / unrolled));
    nib_text_line(t->e->body, "a -= %lld;", (ll)t->p->padded_step);
  }
  for (int j = from; j < to; ++j)
    close_spread(t, step, j);
}

/* A bundle whose first step is `step`: of steps of one group, or of groups. */
static void emit_bundle(tile *t, const char *step) {
  const nib_block_pack *p = t->p;
  const int tables = t->n_tables ? t->n_tables : 1;
  const int64_t sums = t->spread * t->size.rows * t->size.columns * tables;
  const int together = sums <= t->e->vocab->registers / 2 ? t->spread : 1;
  const int64_t bytes = t->spread * p->step_bytes * t->size.columns;
  for (int from = 0; from < t->spread; from += together) {
    nib_text_open(t->e->body, "{");
    emit_pieces(t, step, from, from + together);
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
  const int64_t bytes = t->p->group_bytes * t->size.columns * bundled_groups(t);
  for (int64_t at = 0; !t->d->unpacks && at < bytes; at += NIB_PAGE_BYTES)
    nib_say_prefetch_page(t->e, nib_word_of("w + %lld", (ll)at).s, t->size.rows == 1);
  for (int64_t at = 0; !t->d->unpacks && at < factor_bytes(t); at += 64)
    nib_say_prefetch(t->e, nib_word_of("w + %lld", (ll)at).s, NIB_BLOCK_AHEAD, t->size.rows == 1);
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
    emit_step(t, "s");
    scale_step(t, "", "s", 0, true);
  }
  nib_text_close(t->e->body, "");
  add_group(t, "group", 0);
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
      emit_step(t, nib_word_of("g + %d", j).s);
      scale_step(t, "", "g", j, false);
      add_group(t, "real", j);
      nib_text_close(t->e->body, "");
    }
  }
  skip_factors(t);
}

/* ---- the tile ---- */

static void declare_masks(const tile *t) {
  bool have[256] = {false};
  for (int i = 0; i < t->n_planes; ++i)
    for (int j = 0; t->planes[i].bits < 8 && j < 8 / t->planes[i].bits; ++j) {
      const int bits = t->planes[i].bits;
      const int mask = ((1 << bits) - 1) << bit_of(t, &t->planes[i], j);
      if (have[mask])
        continue;
      have[mask] = true;
      declare(t, t->e->vocab->type_i32, nib_word_of("mask%d", mask).s);
      say(t, NIB_PRIM_BYTES_SET, nib_word_of("mask%d", mask).s, nib_word_of("%d", mask).s, NULL);
    }
}

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
                (ll)t->d->chunk_groups, (ll)r->rows, (ll)r->stride);
  if (r->chunks > 1)
    nib_text_line(t->e->body, "const int32_t chunk_at = first * %lld;",
                  (ll)(t->p->steps_of_group * (r->rows - 1)));
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

/* Declares totals: of the first chunk they are 0. */
static void open_totals(const tile *t) {
  const nib_block_dots *d = t->d;
  const bool waits = d->in_chunks && d->chunk_groups < t->p->groups;
  if (d->totals_stay)
    return;
  for (int64_t m = 0; m < t->size.rows; ++m)
    for (int c = 0; c < t->size.columns; ++c)
      declare(t, d->v->type_f32, place("total", m, c).s);
  if (d->unpacks && waits) {
    nib_text_open(t->e->body, "if (first > 0) {");
    move_totals(t, true);
    nib_text_close(t->e->body, "");
    nib_text_open(t->e->body, "else {");
  } else if (waits) {
    move_totals(t, true);
    return;
  }
  for (int64_t m = 0; m < t->size.rows; ++m)
    for (int c = 0; c < t->size.columns; ++c)
      say(t, NIB_PRIM_F32_SET, place("total", m, c).s, "0.0f", NULL);
  if (waits)
    nib_text_close(t->e->body, "");
}

static void finish_values(const tile *t) {
  for (int64_t m = 0; m < t->size.rows; ++m)
    for (int c = 0; c < t->size.columns; ++c)
      nib_block_finish_value(t->d, &t->size, m, c);
}

/* Results of a tile are stored as soon as the last chunk is in them: between products, stores wait
 * for nothing. */
static void close_totals(const tile *t) {
  const nib_block_dots *d = t->d;
  const bool waits = d->in_chunks && d->chunk_groups < t->p->groups;
  if (!d->unpacks) {
    waits ? move_totals(t, false) : finish_values(t);
    return;
  }
  if (waits)
    nib_text_open(t->e->body, "if (last == %lld) {", (ll)t->p->groups);
  else
    nib_text_open(t->e->body, "{");
  d->totals_stay ? nib_block_finish_emit(t->d, &t->size) : finish_values(t);
  nib_text_close(t->e->body, "");
  if (!waits || d->totals_stay)
    return;
  nib_text_open(t->e->body, "else {");
  move_totals(t, false);
  nib_text_close(t->e->body, "");
}

void nib_block_tile_emit(nib_block_dots *d, const nib_block_tile *size) {
  tile t = {.d = d, .e = d->e, .p = &d->pack, .size = *size};
  open_source(&t);
  if (d->looks_up)
    nib_block_lookup_declare(d);
  else
    declare_masks(&t);
  open_totals(&t);
  nib_text_line(d->e->body, "const uint8_t *w = %s;", d->unpacks ? "unpacked" : "panel");
  if (d->unpacks) {
    open_chunk(&t);
    prefetch_chunk(&t);
  } else {
    if (d->looks_up)
      nib_text_line(d->e->body, "const uint8_t *a = tables + row * %lld;", (ll)d->table_stride);
    else
      nib_text_line(d->e->body, "const int8_t *a = codes + row * %lld;", (ll)d->rows.stride);
  }
  if (d->in_chunks)
    nib_text_open(d->e->body, "for (int32_t g = first; g < last; g += %d) {", bundled_groups(&t));
  else
    nib_text_open(d->e->body, "for (int32_t g = 0; g < %lld; g += %d) {", (ll)d->pack.groups,
                  bundled_groups(&t));
  emit_groups(&t);
  nib_text_close(d->e->body, "");
  close_totals(&t);
}

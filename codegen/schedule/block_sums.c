/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The integer sums of block_dots' micro-kernel. Codes are multiplied where they lie in their byte,
 * and sums shifted once behind a step, while there are registers for a sum of each place; else
 * codes are shifted first. */
#include "schedule/block_sums.h"

#include "epilogue/say.h"

#include <string.h>

typedef long long ll;
typedef nib_block_sums tile;
typedef nib_block_key key;

enum {
  UNROLLED_UNITS = 8,
  UNROLLED_DOTS = 512,
  MAX_NEAR = 2 /* pieces of a register: a core reads as often as it multiplies, and codes too */
};

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

void nib_block_sums_open(tile *t) {
  const nib_block_pack *p = t->p;
  const nib_vocab *v = t->e->vocab;
  t->rows = t->size.rows * t->d->rows.digits;
  const int64_t places = t->rows * t->size.columns;
  if (t->d->unpacks) {
    t->planes[0] = (nib_block_plane){8, 0};
    t->n_planes = 1;
    t->spread = 1;
    for (t->unit = 32; p->padded_step % t->unit; t->unit /= 2)
      ;
  } else if (p->fields > 1) { /* one sum for each column register */
    t->planes[0] = p->planes[0];
    t->n_planes = 1;
    t->unit = 8; /* two registers of codes for each register of the panel: see open_short_loop */
    t->spread = 1;
    t->keys[0] = (key){0, 0};
    t->n_keys = 1;
    return;
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
  for (int64_t m = 0; m < t->rows; ++m)
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
  return t->rows == 1 && j < MAX_NEAR && nib_vocab_prim(t->e->vocab, NIB_PRIM_DOT8_NEAR);
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
    for (int64_t m = 0; m < t->rows; ++m)
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

/* Nested sums take so little of a core that its own prefetching comes in time from the last cache.
 */
int nib_block_sums_ahead(const tile *t) {
  enum { NESTED = 3072 };
  return t->p->fields > 1 ? NESTED : NIB_BLOCK_AHEAD;
}

/* ---- the next rows ---- */

/* Whether the rows' codes of a chunk leave the first cache, whose half has the unpacked ones,
 * before the next chunk comes to them. */
static bool fetches_rows(const tile *t) {
  enum { NEAR_BYTES = 16384 };
  const nib_block_dots *d = t->d;
  return d->unpacks && d->row_block * d->rows.digits * d->rows.stride > NEAR_BYTES &&
         *nib_vocab_prim(t->e->vocab, NIB_PRIM_PREFETCH);
}

void nib_block_sums_next_rows(const tile *t) {
  if (fetches_rows(t))
    nib_text_line(t->e->body, "const int8_t *next = a + %lld;", (ll)(t->rows * t->d->rows.stride));
}

/* Their share in one of `steps` steps of the tile: all at once, the first loads behind them would
 * wait. */
static void fetch_next_rows(const tile *t, int64_t steps) {
  enum { LINE = 64 };
  const int64_t lines = (t->rows * t->d->rows.stride + LINE - 1) / LINE;
  const int64_t share = (lines + steps - 1) / steps;
  if (!fetches_rows(t))
    return;
  for (int64_t i = 0; i < share; ++i)
    say(t, NIB_PRIM_PREFETCH, NULL, "next", nib_word_of("%lld", (ll)(i * LINE)).s);
  nib_text_line(t->e->body, "next += %lld;", (ll)(share * LINE));
}

static void load_codes(const tile *t, int c, int64_t at, bool first) {
  const nib_word from = nib_word_of("w + %lld", (ll)at);
  nib_text_line(t->e->body, "%s w%d;", t->e->vocab->type_i32, c);
  say(t, NIB_PRIM_BYTES_LOAD, nib_word_of("w%d", c).s, from.s, NULL);
  if (first && !t->d->unpacks && at % 64 == 0)
    nib_say_prefetch(t->e, from.s, nib_block_sums_ahead(t), t->size.rows == 1);
}

/* Opens a block in which w0 … are the next registers of codes, from *at on. */
static void open_codes(const tile *t, int registers, int64_t *at) {
  nib_text_open(t->e->body, "{");
  for (int c = 0; c < registers; ++c, *at += 4 * t->p->lanes)
    load_codes(t, c, *at, true);
}

static void emit_nested_unit(const tile *t, int64_t u, int64_t at) {
  for (int64_t quad = 0; quad < t->unit; quad += 4) {
    open_codes(t, t->size.columns / t->p->fields, &at);
    nib_block_nested_emit(t->d, &t->size, u * t->unit + quad);
    nib_text_close(t->e->body, "");
  }
}

static void emit_planes_unit(tile *t, int64_t u, int64_t at) {
  for (int i = 0; i < t->n_planes; ++i) {
    const nib_block_plane *plane = &t->planes[i];
    const int64_t per_register = 32 / plane->bits;
    for (int64_t r = 0; r < t->unit / per_register; ++r) {
      open_codes(t, t->size.columns, &at);
      for (int j = 0; j < 8 / plane->bits; ++j)
        emit_dots(t, plane, j, nib_word_of("%lld", (ll)(u * t->unit + r * per_register + 4 * j)).s);
      nib_text_close(t->e->body, "");
    }
  }
}

static void emit_unit(tile *t, int64_t u) {
  int64_t at = u * unit_bytes(t);
  if (t->d->looks_up) {
    open_codes(t, t->size.columns, &at);
    nib_block_lookup_emit(t->d, &t->size, u * act_bytes(t, t->unit));
    nib_text_close(t->e->body, "");
  } else if (t->p->fields > 1) {
    emit_nested_unit(t, u, at);
  } else {
    emit_planes_unit(t, u, at);
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

/* Where what belongs to step `step` + j of row m of codes lies; chunk_at: see open_chunk. */
static nib_word step_at(const tile *t, int64_t m, const char *step, int j) {
  const nib_block_rows *r = &t->d->rows;
  const nib_word row = r->digits > 1 ? nib_word_of("row * %d", r->digits) : nib_word_of("row");
  return nib_word_of("(%s + %lld) * %lld + %s%s + %d", row.s, (ll)m, (ll)r->chunk_steps,
                     r->chunks > 1 ? "chunk_at + " : "", step, j);
}

/* The same of column register c. */
nib_word nib_block_field_at(const tile *t, int64_t m, int c, const char *step, int j) {
  const nib_word at = step_at(t, m, step, j);
  const int fields = t->p->fields;
  return fields > 1 ? nib_word_of("(%s) * %d + %d", at.s, fields, c % fields) : at;
}

static nib_word base_of(const tile *t, int64_t m, int c, const char *step, int j) {
  return nib_word_of("bases[%s]", nib_block_field_at(t, m, c, step, j).s);
}

static void open_sum(tile *t, const char *step, int k) {
  const int tables = t->n_tables ? t->n_tables : 1;
  for (int64_t m = 0; m < t->rows; ++m)
    for (int c = 0; c < t->size.columns; ++c) {
      const nib_word acc = nib_word_of("acc%lld_%d_%d", (ll)m, c, k);
      declare(t, t->e->vocab->type_i32, acc.s);
      say(t, NIB_PRIM_I32_SET, acc.s,
          starts_with_base(t, k) ? base_of(t, m, c, step, t->spread > 1 ? k / tables : 0).s : "0",
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
  for (int64_t m = 0; m < t->rows; ++m)
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
        add_base(t, acc.s, base_of(t, m, c, step, 0).s);
    }
  for (int c = 0; t->p->fields > 1 && c < t->size.columns; ++c)
    if ((c + 1) % t->p->fields)
      say(t, NIB_PRIM_I32_SUB, place("acc", 0, c).s, place("acc", 0, c).s,
          place("acc", 0, c + 1).s);
}

/* A loop that stays short: of one row, reads of weights are all that takes long, and code that is
 * not much longer than they are lets more of them be on their way. */
static void open_short_loop(const tile *t, int64_t n) {
  if (t->size.rows == 1)
    nib_text_line(t->e->body, "#pragma GCC unroll 1");
  nib_text_open(t->e->body, "for (int32_t u = 0; u < %lld; u++) {", (ll)n);
}

/* The integer sums of a step, acc0_0 …, whose weights are at w and activations at a. */
void nib_block_sums_step(tile *t, const char *step) {
  const int64_t units = t->p->padded_step / t->unit;
  /* The last rows do as all others: of few, compilers make one row's sums after the other's. */
  const int64_t dots =
      t->p->padded_step / 4 * t->d->tile_rows * t->d->rows.digits * t->size.columns;
  const bool unrolls =
      units == 1 || (t->p->fields == 1 && units <= UNROLLED_UNITS && dots <= UNROLLED_DOTS);
  open_sums(t, step);
  if (unrolls) {
    fetch_next_rows(t, t->d->rows.chunk_steps);
    for (int64_t u = 0; u < units; ++u)
      emit_unit(t, u);
    flush_all(t);
    nib_text_line(t->e->body, "w += %lld;", (ll)(units * unit_bytes(t)));
    nib_text_line(t->e->body, "a += %lld;", (ll)act_bytes(t, t->p->padded_step));
  } else {
    open_short_loop(t, units);
    fetch_next_rows(t, t->d->rows.chunk_steps * units);
    emit_unit(t, 0);
    flush_all(t);
    nib_text_line(t->e->body, "w += %lld;", (ll)unit_bytes(t));
    nib_text_line(t->e->body, "a += %lld;", (ll)act_bytes(t, t->unit));
    nib_text_close(t->e->body, "");
  }
  close_sums(t, step);
}

/* ---- bundles ---- */

/* The sum of step j of a bundle is whole: the parts of both tables, the row's base. */
static void close_spread(tile *t, const char *step, int j) {
  const int tables = t->n_tables ? t->n_tables : 1, mul = t->p->mul_log2;
  for (int table = 0; table < tables; ++table)
    flush(t, j * tables + table);
  for (int64_t m = 0; m < t->rows; ++m)
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
        add_base(t, acc.s, base_of(t, m, c, step, j).s);
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
void nib_block_sums_pieces(tile *t, const char *step, int from, int to) {
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

/* ---- masks ---- */

void nib_block_sums_masks(const tile *t) {
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

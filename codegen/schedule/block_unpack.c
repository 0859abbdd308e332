/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * From packed codes of few bits to bytes, for tiles of many rows: what all of them would unpack
 * again and again is unpacked once for a chunk that stays in the first cache. */
#include "schedule/block_dots.h"

#include "epilogue/say.h"

typedef long long ll;

typedef struct unpacking {
  const nib_block_dots *d;
  nib_emitter *e;
  const nib_block_pack *p;
  int columns;
} unpacking;

static void say(const unpacking *u, nib_prim prim, const char *to, const char *a, const char *b) {
  nib_say(u->e, prim, to, a, b, NULL, NULL);
}

static void declare(const unpacking *u, const char *name) {
  nib_text_line(u->e->body, "%s %s;", u->e->vocab->type_i32, name);
}

/* to = bits of piece j of the register `from`, as codes. */
static void say_piece(const unpacking *u, const nib_block_plane *plane, int j, const char *to,
                      const char *from) {
  const int at = j * plane->bits;
  if (at) {
    say(u, NIB_PRIM_BYTES_SHR, to, from, nib_word_of("%d", at).s);
    from = to;
  }
  if (plane->bits < 8)
    say(u, NIB_PRIM_BYTES_AND, to, from, nib_word_of("mask%d", (1 << plane->bits) - 1).s);
  else
    nib_text_line(u->e->body, "%s = %s;", to, from);
}

/* Stores `codes`, by the tables if there are any, times their power of two, at byte `at`. */
static void store(const unpacking *u, const char *at) {
  const nib_block_dots *d = u->d;
  if (u->p->n_tables > 1) {
    declare(u, "high");
    say(u, NIB_PRIM_BYTES_LOOKUP, "high", d->tables[1], "codes");
    say(u, NIB_PRIM_BYTES_SHL, "high", "high", "4");
    say(u, NIB_PRIM_BYTES_LOOKUP, "codes", d->tables[0], "codes");
    say(u, NIB_PRIM_BYTES_OR, "codes", "codes", "high");
  } else if (u->p->n_tables) {
    say(u, NIB_PRIM_BYTES_LOOKUP, "codes", d->tables[0], "codes");
  }
  if (d->made_log2)
    say(u, NIB_PRIM_BYTES_SHL, "codes", "codes", nib_word_of("%d", d->made_log2).s);
  say(u, NIB_PRIM_BYTES_STORE, NULL, at, "codes");
}

/* Elements [4 q, 4 q + 4) of a unit at w: a piece of every plane. */
static void emit_quad(const unpacking *u, int64_t q, int c) {
  const nib_block_pack *p = u->p;
  const int64_t register_bytes = 4 * p->lanes;
  int64_t at = 0;
  nib_text_open(u->e->body, "{");
  declare(u, "codes");
  for (int i = 0; i < p->n_planes; ++i) {
    const nib_block_plane *plane = &p->planes[i];
    const int64_t per_register = 32 / plane->bits, r = 4 * q / per_register;
    const nib_word w = nib_word_of("w%d", i), part = nib_word_of(i ? "part%d" : "codes", i);
    declare(u, w.s);
    say(u, NIB_PRIM_BYTES_LOAD, w.s,
        nib_word_of("w + %lld", (ll)((at + r) * u->columns * register_bytes + c * register_bytes))
            .s,
        NULL);
    if (i)
      declare(u, part.s);
    say_piece(u, plane, (int)(4 * q % per_register / 4), part.s, w.s);
    if (i) {
      say(u, NIB_PRIM_BYTES_SHL, part.s, part.s, nib_word_of("%d", plane->shift).s);
      say(u, NIB_PRIM_BYTES_OR, "codes", "codes", part.s);
    }
    at += p->unit / per_register;
  }
  store(u, nib_word_of("to + %lld", (ll)((q * u->columns + c) * register_bytes)).s);
  nib_text_close(u->e->body, "");
}

/* All codes of `units` units. */
static void emit_units(const unpacking *u, const char *units) {
  const nib_block_pack *p = u->p;
  int bits = 0;
  for (int i = 0; i < p->n_planes; ++i)
    bits += p->planes[i].bits;
  nib_text_open(u->e->body, "for (int32_t u = 0; u < %s; u++) {", units);
  for (int64_t q = 0; q < p->unit / 4; ++q)
    for (int c = 0; c < u->columns; ++c)
      emit_quad(u, q, c);
  nib_text_line(u->e->body, "w += %lld;", (ll)(p->unit * bits / 8 * p->lanes * u->columns));
  nib_text_line(u->e->body, "to += %lld;", (ll)(p->unit * p->lanes * u->columns));
  nib_text_close(u->e->body, "");
}

static void declare_masks(const unpacking *u) {
  bool have[9] = {false};
  for (int i = 0; i < u->p->n_planes; ++i) {
    const int bits = u->p->planes[i].bits;
    if (bits == 8 || have[bits])
      continue;
    have[bits] = true;
    const nib_word mask = nib_word_of("mask%d", (1 << bits) - 1);
    declare(u, mask.s);
    say(u, NIB_PRIM_BYTES_SET, mask.s, nib_word_of("%d", (1 << bits) - 1).s, NULL);
  }
}

static void store_factor(const unpacking *u, int64_t at, const char *factor) {
  say(u, NIB_PRIM_F32_STORE, NULL, nib_word_of("(float *)(void *)(to + %lld)", (ll)at).s, factor);
}

/* to = a factor of all columns, in f32; its products by the magic number `magics` bytes behind it,
 * if not 0. */
static void emit_factors(const unpacking *u, nib_format format, int64_t magics) {
  const int64_t bytes = (int64_t)nib_format_bytes(format);
  for (int c = 0; c < u->columns; ++c) {
    const int64_t at = (int64_t)c * u->p->lanes * 4;
    nib_text_open(u->e->body, "{");
    nib_text_line(u->e->body, "%s factor;", u->e->vocab->type_f32);
    nib_say_load_reals(u->e, format, "factor", c * u->p->lanes * bytes);
    store_factor(u, at, "factor");
    if (magics) {
      say(u, NIB_PRIM_F32_MUL, "factor", "factor", "magic");
      store_factor(u, at + magics, "factor");
    }
    nib_text_close(u->e->body, "");
  }
  nib_text_line(u->e->body, "w += %lld;", (ll)(u->columns * u->p->lanes * bytes));
  nib_text_line(u->e->body, "to += %lld;", (ll)(u->columns * u->p->lanes * 4));
}

bool nib_block_magic_is_by_columns(const nib_block_dots *d) {
  return d->rows.magic == NIB_BLOCK_MAGIC_COLUMNS;
}

int64_t nib_block_unpacked_factor_bytes(const nib_block_dots *d, int64_t columns) {
  const nib_block_pack *p = &d->pack;
  return (p->has_scales + p->has_offsets + nib_block_magic_is_by_columns(d)) * columns * p->lanes *
         4;
}

void nib_block_unpack_emit(const nib_block_dots *d, int columns) {
  const nib_block_pack *p = &d->pack;
  const unpacking u = {.d = d, .e = d->e, .p = p, .columns = columns};
  nib_text *t = d->e->body;
  const int64_t width_bytes = (int64_t)columns * p->lanes * 4;
  declare_masks(&u);
  if (nib_block_magic_is_by_columns(d)) {
    nib_text_line(t, "%s magic;", d->e->vocab->type_f32);
    say(&u, NIB_PRIM_F32_SET, "magic", nib_word_f32(NIB_BLOCK_MAGIC_FACTOR).s, NULL);
  }
  nib_text_line(t, "const uint8_t *w = panel + first * %lld;", (ll)(p->group_bytes * columns));
  nib_text_line(t, "uint8_t *to = unpacked;");
  nib_text_open(t, "for (int32_t g = first; g < last; g++) {");
  emit_units(&u, nib_word_of("%lld", (ll)(p->steps_of_group * p->padded_step / p->unit)).s);
  if (p->has_scales)
    emit_factors(&u, p->scale_format,
                 nib_block_magic_is_by_columns(d) * (1 + p->has_offsets) * width_bytes);
  if (p->has_offsets)
    emit_factors(&u, p->offset_format, 0);
  if (nib_block_magic_is_by_columns(d))
    nib_text_line(t, "to += %lld;", (ll)width_bytes);
  nib_text_close(t, "");
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * From packed codes of few bits to reals in registers: where elements are integers, codes become
 * reals where they lie in their lane, times the power of two of that place; others are looked up.
 */
#include "schedule/block_reals.h"

#include "epilogue/say.h"

#include <math.h>
#include <string.h>

typedef long long ll;
typedef nib_block_reals tile;

static void say(const tile *t, nib_prim prim, const char *to, const char *a, const char *b) {
  nib_say(t->e, prim, to, a, b, NULL, NULL);
}

static void declare(const tile *t, const char *type, const char *name) {
  nib_text_line(t->e->body, "%s %s;", type, name);
}

float nib_block_step(const nib_block_pack *p) {
  return ldexpf(1.0f, p->mul_log2 + p->unit_exponent);
}

float nib_block_least(const nib_block_pack *p) { return ldexpf((float)-p->zero, p->unit_exponent); }

int nib_block_place(const nib_block_pack *p, bool unpacks, int j, int i) {
  return unpacks ? 0 : (8 * i + j * p->planes[0].bits) % 16;
}

static nib_word mask_of(const nib_block_plane *q, int place) {
  return nib_word_of("mask%X", ((1 << q->bits) - 1) << (place + q->shift));
}

/* The piece of a plane that belongs to piece j of the first one, in elements [4 at, 4 at + 4). */
static int piece_of(const nib_block_pack *p, int plane, int j, int64_t at) {
  return plane ? (int)(at % (8 / p->planes[plane].bits)) : j;
}

static int bit_of(const nib_block_pack *p, int plane, int j, int i) {
  return 8 * i + j * p->planes[plane].bits;
}

/* Whether nothing but the code is left of a lane that was shifted right by its bit. */
static bool is_alone(const nib_block_plane *q, int bit, int place) {
  return place + q->shift == 0 && bit + q->bits == 32;
}

/* to = the bits of a plane that are at `bit` of register w<plane>_<c>, at `place` of a code. */
static void say_bits(const tile *t, int plane, int c, int bit, int place, const char *to) {
  const nib_block_plane *q = &t->p->planes[plane];
  const int right = bit - place - q->shift;
  nib_word from = nib_word_of("w%d_%d", plane, c);
  if (right == 16 && plane == 0 && !t->d->unpacks) {
    from = nib_word_of("upper%d", c);
  } else if (right) {
    say(t, right > 0 ? NIB_PRIM_BYTES_SHR : NIB_PRIM_BYTES_SHL, to, from.s,
        nib_word_of("%d", right > 0 ? right : -right).s);
    from = nib_word_of("%s", to);
  }
  if (!is_alone(q, bit, place))
    say(t, NIB_PRIM_BYTES_AND, to, from.s, mask_of(q, place).s);
  else if (strcmp(from.s, to) != 0)
    nib_text_line(t->e->body, "%s = %s;", to, from.s);
}

/* number0 … = the codes of elements [4 at, 4 at + 4) of registers w<plane>_0 …, piece j of the
 * first plane, byte i. */
static void say_codes(const tile *t, int j, int i, int64_t at) {
  const int place = nib_block_place(t->p, t->d->unpacks, j, i);
  for (int c = 0; c < t->size.columns; ++c) {
    const nib_word number = nib_word_of("number%d", c);
    declare(t, t->e->vocab->type_f32, number.s);
    nib_text_open(t->e->body, "{");
    declare(t, t->e->vocab->type_i32, "code");
    for (int plane = 0; plane < t->p->n_planes; ++plane) {
      if (plane)
        declare(t, t->e->vocab->type_i32, nib_word_of("part%d", plane).s);
      const nib_word part = plane ? nib_word_of("part%d", plane) : nib_word_of("code");
      say_bits(t, plane, c, bit_of(t->p, plane, piece_of(t->p, plane, j, at), i), place, part.s);
      if (plane)
        say(t, NIB_PRIM_BYTES_OR, "code", "code", part.s);
    }
    say(t, NIB_PRIM_F32_FROM_I32, number.s, "code", NULL);
    nib_text_close(t->e->body, "");
  }
}

/* The same, looked up. Bits behind an index of a whole code do not matter: the table repeats. */
static void say_lookups(const tile *t, int j, int i) {
  for (int c = 0; c < t->size.columns; ++c) {
    const nib_word number = nib_word_of("number%d", c), w = nib_word_of("w0_%d", c);
    const int bit = bit_of(t->p, 0, j, i);
    declare(t, t->e->vocab->type_f32, number.s);
    nib_text_open(t->e->body, "{");
    nib_text_line(t->e->body, "%s index = %s;", t->e->vocab->type_i32, w.s);
    if (bit)
      say(t, NIB_PRIM_BYTES_SHR, "index", w.s, nib_word_of("%d", bit).s);
    say(t, NIB_PRIM_F32_LOOKUP16, number.s, "reals", "index");
    nib_text_close(t->e->body, "");
  }
}

void nib_block_numbers_say(const tile *t, int j, int i, int64_t at) {
  if (t->p->by_codes)
    say_codes(t, j, i, at);
  else
    say_lookups(t, j, i);
}

void nib_block_numbers_declare(const tile *t) {
  const nib_block_pack *p = t->p;
  uint32_t places = 0;
  for (int j = 0; j < 8 / p->planes[0].bits; ++j)
    for (int i = 0; i < 4; ++i)
      places |= 1u << nib_block_place(p, t->d->unpacks, j, i);
  for (int plane = 0; plane < p->n_planes; ++plane)
    for (int place = 0; places >> place; ++place)
      if (places >> place & 1) {
        const nib_word mask = mask_of(&p->planes[plane], place);
        declare(t, t->e->vocab->type_i32, mask.s);
        say(t, NIB_PRIM_I32_SET, mask.s, nib_word_of("0x%s", mask.s + strlen("mask")).s, NULL);
      }
}

void nib_block_numbers_load(const tile *t, int plane, int64_t at, bool first) {
  for (int c = 0; c < t->size.columns; ++c, at += 4 * t->p->lanes) {
    const nib_word w = nib_word_of("w%d_%d", plane, c), from = nib_word_of("w + %lld", (ll)at);
    declare(t, t->e->vocab->type_i32, w.s);
    say(t, NIB_PRIM_BYTES_LOAD, w.s, from.s, NULL);
    if (first && at % 64 == 0)
      nib_say_prefetch(t->e, from.s, NIB_BLOCK_AHEAD, t->size.rows == 1);
    if (plane == 0 && t->p->by_codes && !t->d->unpacks) {
      const nib_word upper = nib_word_of("upper%d", c);
      declare(t, t->e->vocab->type_i32, upper.s);
      say(t, NIB_PRIM_BYTES_SHR, upper.s, w.s, "16");
    }
  }
}

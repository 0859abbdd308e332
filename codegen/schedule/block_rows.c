/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Rows of activations for block_dots: int8 codes without gaps but for padding of steps, with what
 * depends on a row alone beside them. */
#include "schedule/block_dots.h"

#include "emit/snippets.h"
#include "epilogue/say.h"

#include <math.h>
#include <string.h>

typedef long long ll;

static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

bool nib_block_codes_are_bytes(const nib_format_info *f) {
  const nib_block_layout *b = &f->block;
  const nib_bit_field *codes = &b->codes.low;
  return f->kind == NIB_KIND_BLOCK && b->element == NIB_I8 && b->packing == NIB_PACKING_FIELDS &&
         !b->codes.high.bits && codes->at % 8 == 0 && codes->bits == 8 && codes->stride == 8 &&
         !codes->run && !codes->chunk && b->offset == NIB_NO_FORMAT && b->zero == NIB_NO_FORMAT &&
         !b->element_zero && !b->group_elems;
}

bool nib_block_is_bytes(const nib_format_info *f) {
  const nib_block_layout *b = &f->block;
  return nib_block_codes_are_bytes(f) && (b->scale == NIB_F16 || b->scale == NIB_BF16 ||
                                          b->scale == NIB_F32 || b->scale == NIB_F8E8M0FNU);
}

int64_t nib_block_rows_group(const nib_tensor *x) {
  const nib_format_info *f = nib_format_get(x->format);
  if (nib_block_is_bytes(f))
    return f->block_elems;
  return 0;
}

static int64_t place(nib_block_rows *r, int64_t bytes) {
  const int64_t at = r->bytes;
  r->bytes = round_up(at + bytes, 64);
  return at;
}

/* Whether sums fit the low bits of a float. */
static bool sums_fit(const nib_block_pack *p) {
  const int64_t most = (int64_t)p->largest << (p->mul_log2 + p->fours_log2);
  const int64_t element = most - p->zero > p->zero ? most - p->zero : p->zero;
  const int places = p->spread > 1 || p->fields > 1 ? 8 - p->planes[0].bits : 0;
  return (element * 128 * p->step) << places < INT64_C(1) << 22;
}

/* Products of scales that are f16, or these times integers of at most 8 bits, by 1.5 * 2^23 are
 * exact, and finite. */
static nib_block_magic magic(const nib_block_rows *r, const nib_tensor *w, const nib_block_pack *p,
                             const nib_vocab *v, bool unpacks) {
  if (p->steps_of_group > 1 || p->n_tables || p->by_sixes || !sums_fit(p) ||
      !nib_vocab_prim(v, NIB_PRIM_F32_OF_BITS))
    return NIB_BLOCK_NO_MAGIC;
  if (unpacks && p->has_scales && nib_format_get(w->format)->block.scale == NIB_F16)
    return NIB_BLOCK_MAGIC_COLUMNS;
  return r->digits == 1 && nib_format_get(r->x->format)->block.scale == NIB_F16
             ? NIB_BLOCK_MAGIC_ROWS
             : NIB_BLOCK_NO_MAGIC;
}

static int64_t code_rows(const nib_block_rows *r) { return r->rows * r->digits; }

bool nib_block_rows_plan(const nib_graph *g, const nib_node *n, const nib_block_pack *pack,
                         const nib_vocab *v, int64_t chunk_groups, nib_block_rows *out_rows) {
  nib_block_rows *r = out_rows;
  const nib_tensor *x = nib_node_input(g, n, 0);
  memset(r, 0, sizeof *r);
  r->x = x;
  r->digits = nib_block_is_bytes(nib_format_get(x->format)) ? 1 : NIB_BLOCK_DIGITS;
  r->k = x->dims[x->rank - 1];
  r->rows = nib_tensor_elems(x) / r->k;
  r->scale_elems = r->digits == 1 ? nib_block_rows_group(x) : pack->group;
  r->steps = pack->groups * pack->steps_of_group;
  r->chunk_steps = (chunk_groups ? chunk_groups : pack->groups) * pack->steps_of_group;
  r->chunks = (r->steps + r->chunk_steps - 1) / r->chunk_steps;
  r->stride = round_up(r->chunk_steps * pack->padded_step, 64);
  if (code_rows(r) > 1 && r->stride % 4096 == 0) /* else rows share the sets of the first cache */
    r->stride += 64;
  r->magic = magic(r, nib_node_input(g, n, 1), pack, v, chunk_groups > 0);
  r->has_bases = r->magic || pack->zero != 0 || pack->by_fours;
  r->has_offset_sums = pack->has_offsets;
  const int64_t words = code_rows(r) * r->chunks * r->chunk_steps * pack->fields * 4;
  r->codes_at = place(r, code_rows(r) * r->chunks * r->stride);
  r->bases_at = place(r, r->has_bases ? words : 0);
  r->scales_at = place(r, words);
  r->magics_at = place(r, r->magic == NIB_BLOCK_MAGIC_ROWS ? words : 0);
  r->offset_sums_at = place(r, r->has_offset_sums ? r->rows * pack->groups * 4 : 0);
  return r->scale_elems > 0 && r->bytes < INT32_MAX / 2;
}

/* ---- emission ---- */

static void declare(const nib_block_dots *d, const char *type, const char *name, int64_t at) {
  nib_text_line(d->e->body, "%s *const %s = (%s *)(void *)(scratch + %lld);", type, name, type,
                (ll)at);
}

/* An expression of the block's scale, `q` being its first byte. */
static nib_word scale_of(const nib_block_dots *d, const nib_block_layout *b) {
  const int at = b->scale_at;
  switch (b->scale) {
  case NIB_F16:
  case NIB_BF16: {
    const char *name = nib_widening(b->scale);
    nib_emitter_use(d->e, name);
    return nib_word_of("%s((uint16_t)(q[%d] | q[%d] << 8))", name, at, at + 1);
  }
  case NIB_F32:
    nib_emitter_use(d->e, "nib_bits_to_f32");
    return nib_word_of(
        "nib_bits_to_f32((uint32_t)q[%d] | (uint32_t)q[%d] << 8 | (uint32_t)q[%d] << "
        "16 | (uint32_t)q[%d] << 24)",
        at, at + 1, at + 2, at + 3);
  default:
    nib_emitter_use(d->e, "nib_minifloat_decode");
    return nib_word_of("(float)nib_minifloat_decode(q[%d], 8, 0, 127, %d)", at, NIB_SPECIALS_SCALE);
  }
}

/* real: the scale, whatever power of two elements count in included. */
static void emit_scale(const nib_block_dots *d, const nib_block_layout *b) {
  nib_text *t = d->e->body;
  const int at = b->scale_at;
  nib_text_line(t, "float real;");
  if (b->scale == NIB_F16 && nib_vocab_prim(d->v, NIB_PRIM_F16_VALUE))
    nib_say(d->e, NIB_PRIM_F16_VALUE, "real", nib_word_of("q[%d] | q[%d] << 8", at, at + 1).s, NULL,
            NULL, NULL);
  else
    nib_text_line(t, "real = %s;", scale_of(d, b).s);
  if (b->element_exponent)
    nib_text_line(t, "real *= %s;", nib_word_f32(ldexpf(1, b->element_exponent)).s);
}

/* sum: of the codes at `to`. */
static void emit_sum(const nib_block_dots *d, int64_t n) {
  nib_text *t = d->e->body;
  if (nib_vocab_prim(d->v, NIB_PRIM_I8_SUM)) {
    nib_text_line(t, "int32_t sum;");
    nib_say(d->e, NIB_PRIM_I8_SUM, "sum", "to", NULL, NULL, nib_word_of("%lld", (ll)n).s);
    return;
  }
  nib_text_line(t, "int32_t sum = 0;");
  nib_text_line(t, "for (int32_t k = 0; k < %lld; k++)", (ll)n);
  nib_text_line(t, "  sum += to[k];");
}

/* What sums of field `f` of step number `s` are too large by: a power of two, since codes are
 * multiplied where they lie; empty: 1. */
static nib_word power_of(const nib_block_dots *d, int f) {
  const int bits = d->pack.planes[0].bits;
  return d->in_place > 1 ? nib_word_of("(1 << s %% %d * %d)", d->in_place, bits)
         : f > 0         ? nib_word_of("%d", 1 << f * bits)
                         : nib_word_of("%s", "");
}

/* The zero of the codes of field `f`, with those of the fields behind it, which its sum has in it.
 */
static int zero_of(const nib_block_pack *p, int f) {
  int zero = 0;
  for (int behind = f; behind < p->fields; ++behind)
    zero += p->zero << behind * p->planes[0].bits;
  return zero;
}

/* As text, the bits of a float from which the sum counts, and likewise those of the fields behind.
 */
static nib_word magic_of(const nib_block_dots *d, int f) {
  const uint32_t bits = 0x4B400000u * (uint32_t)(d->pack.fields - f);
  return !d->rows.magic      ? nib_word_of("%s", "")
         : bits <= INT32_MAX ? nib_word_of(" + 0x%X", bits)
                             : nib_word_of(" - 0x%X", -bits);
}

/* Base, scale and magic number of field `f` of step number `s` of the row. */
static void emit_factors(const nib_block_dots *d, int f, const char *scale) {
  const nib_block_pack *p = &d->pack;
  const nib_block_rows *r = &d->rows;
  nib_text *t = d->e->body;
  const nib_word at = p->fields > 1 ? nib_word_of("at * %d + %d", p->fields, f) : nib_word_of("at");
  const nib_word power = power_of(d, f);
  if (r->has_bases)
    nib_text_line(t, "bases[%s] = sum * %d%s%s%s%s;", at.s, -zero_of(p, f),
                  d->in_place > 1 ? " * " : "", d->in_place > 1 ? power.s : "",
                  p->by_fours ? nib_word_of(" - %lld", (ll)nib_block_table_excess(p)).s : "",
                  magic_of(d, f).s);
  if (*power.s)
    nib_text_line(t, "row_scales[%s] = %s / (float)%s;", at.s, scale, power.s);
  else
    nib_text_line(t, "row_scales[%s] = %s;", at.s, scale);
  if (r->magic == NIB_BLOCK_MAGIC_ROWS)
    nib_text_line(t, "row_magics[%s] = %s * row_scales[%s];", at.s,
                  nib_word_f32(NIB_BLOCK_MAGIC_FACTOR).s, at.s);
}

/* A step whose codes are at `from`, as step number `s` of the row. */
static void emit_step(const nib_block_dots *d, const char *from, const char *scale) {
  const nib_block_pack *p = &d->pack;
  nib_text *t = d->e->body;
  const nib_block_rows *r = &d->rows;
  if (r->chunks > 1) {
    const ll chunk = (ll)r->chunk_steps;
    nib_text_line(t, "const int32_t at = (s / %lld * %lld + m) * %lld + s %% %lld;", chunk,
                  (ll)code_rows(r), chunk, chunk);
    nib_text_line(t, "int8_t *const to = codes + (s / %lld * %lld + m) * %lld + s %% %lld * %lld;",
                  chunk, (ll)code_rows(r), (ll)r->stride, chunk, (ll)p->padded_step);
  } else {
    nib_text_line(t, "const int32_t at = m * %lld + s;", (ll)r->steps);
    nib_text_line(t, "int8_t *const to = codes + m * %lld + s * %lld;", (ll)r->stride,
                  (ll)p->padded_step);
  }
  nib_text_line(t, "(void)at;");
  nib_text_line(t, "memcpy(to, %s, %lld);", from, (ll)p->step);
  if (p->padded_step > p->step)
    nib_text_line(t, "memset(to + %lld, 0, %lld);", (ll)p->step, (ll)(p->padded_step - p->step));
  if (d->rows.has_bases || d->rows.has_offset_sums) {
    emit_sum(d, p->step);
  }
  for (int f = 0; f < p->fields; ++f)
    emit_factors(d, f, scale);
  if (d->rows.has_offset_sums)
    nib_text_line(t, "offset_sums[%s * %lld + s / %lld] += real * (float)sum;",
                  r->digits > 1 ? "row" : "m", (ll)p->groups, (ll)p->steps_of_group);
}

/* An expression of a row's scale: `real`, in units that the weights' elements are integers of. */
static nib_word scale_in_units(const nib_block_pack *p) {
  return p->unit_exponent ? nib_word_of("real * %s", nib_word_f32(ldexpf(1, p->unit_exponent)).s)
                          : nib_word_of("real");
}

/* Each digit of an activation in a row of its own. */
static void emit_digits(const nib_block_dots *d) {
  nib_text *t = d->e->body;
  nib_block_digits_open(d);
  nib_text_open(t, "for (int32_t digit = 0; digit < %d; digit++) {", NIB_BLOCK_DIGITS);
  nib_text_line(t, "const int32_t m = row * %d + digit, s = b;", NIB_BLOCK_DIGITS);
  nib_text_line(t, "const float real = unit * (float)(1 << 8 * (%d - digit));",
                NIB_BLOCK_DIGITS - 1);
  emit_step(d, "digits[digit]", scale_in_units(&d->pack).s);
  nib_text_close(t, "");
  nib_text_close(t, "");
  nib_text_close(t, "");
}

void nib_block_rows_emit(const nib_block_dots *d) {
  const nib_block_rows *r = &d->rows;
  const nib_block_pack *p = &d->pack;
  const nib_format_info *f = nib_format_get(r->x->format);
  const nib_block_layout *b = &f->block;
  nib_text *t = d->e->body;
  declare(d, "int8_t", "codes", r->codes_at);
  if (r->has_bases)
    declare(d, "int32_t", "bases", r->bases_at);
  if (r->magic == NIB_BLOCK_MAGIC_ROWS)
    declare(d, "float", "row_magics", r->magics_at);
  declare(d, "float", "row_scales", r->scales_at);
  if (r->has_offset_sums)
    declare(d, "float", "offset_sums", r->offset_sums_at);
  if (r->has_offset_sums)
    nib_text_line(t, "memset(offset_sums, 0, %lld);", (ll)(r->rows * p->groups * 4));
  if (r->digits > 1) {
    emit_digits(d);
    return;
  }
  nib_text_open(t, "for (int32_t m = 0; m < %lld; m++) {", (ll)r->rows);
  nib_text_open(t, "for (int32_t b = 0; b < %lld; b++) {", (ll)(r->k / r->scale_elems));
  nib_text_line(t, "const uint8_t *const q = in0 + (m * %lld + b) * %d; /* %s */",
                (ll)(r->k / r->scale_elems), f->block_bytes, f->name);
  emit_scale(d, b);
  const nib_word scale = scale_in_units(p);
  const int64_t steps = r->scale_elems / p->step;
  if (steps > 1) {
    nib_text_open(t, "for (int32_t i = 0; i < %lld; i++) {", (ll)steps);
    nib_text_line(t, "const int32_t s = b * %lld + i;", (ll)steps);
    emit_step(d, nib_word_of("q + %d + i * %lld", b->codes.low.at / 8, (ll)p->step).s, scale.s);
    nib_text_close(t, "");
  } else {
    nib_text_line(t, "const int32_t s = b;");
    emit_step(d, nib_word_of("q + %d", b->codes.low.at / 8).s, scale.s);
  }
  nib_text_close(t, "");
  nib_text_close(t, "");
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Activations of block_reals in scratch: widened to f32, divided by the powers of two of their
 * codes' places, and their sums, group by group. */
#include "schedule/block_reals.h"

#include "epilogue/say.h"

#include <math.h>

typedef long long ll;

int64_t nib_block_unpacked_bytes(const nib_block_pack *p) {
  return p->k * p->columns * p->lanes * (int64_t)sizeof(float);
}

static int64_t number_bytes(const nib_block_dots *d) {
  return d->rows.rows * d->rows.k * (int64_t)sizeof(float);
}

/* Of activations that are no f32, in scratch as such. */
static int64_t wide_bytes(const nib_block_dots *d) {
  return d->rows.x->format == NIB_F32 ? 0 : number_bytes(d);
}

/* Scratch of tiles: the activations, where they are staged, and two numbers for each group of each
 * row: what its sum starts at, where codes have a zero, and the sum of its activations, which
 * offsets multiply. */
static int64_t staged_bytes(const nib_block_dots *d) {
  return d->pack.by_codes ? number_bytes(d) : 0;
}

static int64_t group_sum_bytes(const nib_block_dots *d) {
  return d->rows.rows * d->pack.groups * (int64_t)sizeof(float);
}

bool nib_block_has_starts(const nib_block_pack *p) { return p->by_codes && p->zero; }

/* Behind which the wide activations are: unpacked weights, or what tiles need. */
static int64_t own_bytes(const nib_block_dots *d) {
  return d->unpacks ? nib_block_unpacked_bytes(&d->pack)
                    : staged_bytes(d) + (nib_block_has_starts(&d->pack) + d->pack.has_offsets) *
                                            group_sum_bytes(d);
}

nib_status nib_block_reals_constant(const nib_block_dots *d, const nib_kernel *kernel,
                                    const char *name, const float *values, size_t count) {
  const char *constant =
      nib_constants_add(d->e->constants, nib_word_of("%s_%s", kernel->name, name).s, "float",
                        values, count * sizeof *values);
  if (!constant)
    return nib_diag_error(d->e->diag, NIB_ERROR_OUT_OF_MEMORY, "%s: out of memory", kernel->name);
  nib_text_line(d->e->body, "const float *const %s = %s;", name, constant);
  return NIB_OK;
}

/* numbers: the activations in f32. */
static void emit_numbers(const nib_block_dots *d) {
  nib_text *t = d->e->body;
  if (d->rows.x->format == NIB_F32) {
    nib_text_line(t, "const float *const numbers = in0;");
    return;
  }
  nib_text_line(t, "float *const numbers = (float *)(void *)(scratch + %lld);", (ll)own_bytes(d));
  nib_say_widen(d->e, d->rows.x->format, "numbers", "in0",
                nib_word_of("%lld", (ll)(d->rows.rows * d->rows.k)).s);
}

/* Activations times what is in a code's unit and not in its place. */
static nib_status emit_staged(const nib_block_dots *d, const nib_kernel *kernel) {
  const nib_block_pack *p = &d->pack;
  nib_text *t = d->e->body;
  /* Elements of a piece in a row, pieces of a register. */
  const int64_t length = p->spread > 1 ? p->step : 4;
  const int pieces = 8 / p->planes[0].bits;
  float places[32];
  for (int e = 0; e < 4 * pieces; ++e)
    places[e] = ldexpf(nib_block_step(p), -nib_block_place(p, false, e / 4, e % 4));
  NIB_RETURN_IF_ERROR(nib_block_reals_constant(d, kernel, "places", places, 4 * (size_t)pieces));
  nib_text_line(t, "float *const staged = (float *)(void *)scratch;");
  nib_text_open(t, "for (int32_t i = 0; i < %lld; i += 4) {", (ll)(d->rows.rows * d->rows.k));
  nib_text_line(t, "const float *const place = places + i / %lld %% %d * 4;", (ll)length, pieces);
  nib_text_line(t, "for (int32_t k = 0; k < 4; k++)");
  nib_text_line(t, "  staged[i + k] = numbers[i + k] * place[k];");
  nib_text_close(t, "");
  return NIB_OK;
}

/* sums: of the activations of each group, in eight parts, which compilers find registers for. */
static void emit_sums(const nib_block_dots *d) {
  const nib_block_pack *p = &d->pack;
  nib_text *t = d->e->body;
  if (p->has_offsets)
    nib_text_line(t, "float *const sums = (float *)(void *)(scratch + %lld);", (ll)staged_bytes(d));
  if (nib_block_has_starts(p))
    nib_text_line(t, "float *const starts = (float *)(void *)(scratch + %lld);",
                  (ll)(staged_bytes(d) + p->has_offsets * group_sum_bytes(d)));
  nib_text_open(t, "for (int32_t i = 0; i < %lld; i++) {", (ll)(d->rows.rows * p->groups));
  nib_text_line(t, "float part[8] = {0};");
  nib_text_line(t, "for (int32_t k = 0; k < %lld; k += 8)", (ll)p->group);
  nib_text_line(t, "  for (int32_t j = 0; j < 8; j++)");
  nib_text_line(t, "    part[j] += numbers[i * %lld + k + j];", (ll)p->group);
  nib_text_line(t, "const float sum = ((part[0] + part[4]) + (part[1] + part[5])) +");
  nib_text_line(t, "                  ((part[2] + part[6]) + (part[3] + part[7]));");
  if (p->has_offsets)
    nib_text_line(t, "sums[i] = sum;");
  if (nib_block_has_starts(p))
    nib_text_line(t, "starts[i] = sum * %s;", nib_word_f32(nib_block_least(p)).s);
  nib_text_close(t, "");
}

int64_t nib_block_reals_bytes(const nib_block_dots *d) { return own_bytes(d) + wide_bytes(d); }

nib_status nib_block_reals_rows_emit(const nib_block_dots *d, const nib_kernel *kernel) {
  emit_numbers(d);
  if (d->unpacks)
    return NIB_OK;
  if (d->pack.by_codes)
    NIB_RETURN_IF_ERROR(emit_staged(d, kernel));
  if (d->pack.has_offsets || nib_block_has_starts(&d->pack))
    emit_sums(d);
  return NIB_OK;
}

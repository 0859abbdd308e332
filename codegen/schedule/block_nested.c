/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * block_nested: a row of activations in blocks of bytes by a dense layer's weights of 2 or 4 bits
 * in blocks. The codes that share a byte are of neighbouring registers of columns at one element,
 * and meet the same activation: products are with the whole byte, then with what is left of it
 * without its lowest code, and so on. Each sum has those of the columns behind it in it, times
 * powers of two; a difference of two is the sum of one column. That takes one mask fewer for each
 * register than codes apart, and one activation for all of them, so that more reads of weights are
 * on their way at a time. No tile: panels are two registers of codes wide; everything but the sums
 * is as in block_dots. */
#include "schedule/block_dots.h"

#include "epilogue/say.h"

#include <string.h>

extern const nib_schedule nib_schedule_block_dots;

/* ---- what it accepts ---- */

/* Of codes in a panel: of one register there are so few sums that each waits for its last product.
 */
enum { REGISTERS = 2 };

/* A sum and a total of each column, masks, codes, an activation, and what is left of codes. */
static bool fits(const nib_block_pack *p, const nib_vocab *v) {
  return 2 * p->columns + p->fields - 1 + REGISTERS + 2 <= v->registers;
}

static bool plan(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                 nib_block_dots *d) {
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  memset(d, 0, sizeof *d);
  d->g = g;
  d->n = n;
  d->v = v;
  d->tile_rows = d->in_place = 1;
  const int64_t act_group = nib_block_rows_group(nib_node_input(g, n, 0));
  if (act_group == 0 ||
      !nib_block_pack_plan_nested(nib_node_input(g, n, 1), act_group, v, REGISTERS, &d->pack) ||
      !fits(&d->pack, v) || !nib_block_rows_plan(g, n, &d->pack, v, 0, &d->rows))
    return false;
  d->scratch_bytes = d->rows.bytes;
  return d->rows.rows == 1;
}

/* Sums of whole bytes are too large for those of 16 bits. */
static bool accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  nib_block_dots d;
  return nib_vocab_prim(v, NIB_PRIM_I32_SUB) && !v->dot8_limit &&
         nib_schedule_block_dots.accepts(g, kernel, v) && plan(g, kernel, v, &d);
}

static int64_t scratch_bytes(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  nib_block_dots d;
  return plan(g, kernel, v, &d) ? (d.scratch_bytes + 63) / 64 * 64 : 0;
}

/* ---- sums ---- */

/* A mask for what is left of a byte from field `f` on. */
static nib_word mask_of(const nib_block_dots *d, int f) {
  return nib_word_of("mask%d", 0xFF << f * d->pack.planes[0].bits & 0xFF);
}

void nib_block_nested_declare(const nib_block_dots *d) {
  nib_emitter *e = d->e;
  for (int f = 1; f < d->pack.fields; ++f) {
    const nib_word mask = mask_of(d, f);
    nib_text_line(e->body, "%s %s;", e->vocab->type_i32, mask.s);
    nib_say(e, NIB_PRIM_BYTES_SET, mask.s, mask.s + strlen("mask"), NULL, NULL, NULL);
  }
}

void nib_block_nested_emit(const nib_block_dots *d, const nib_block_tile *size, int64_t at) {
  nib_emitter *e = d->e;
  const int fields = d->pack.fields, registers = size->columns / fields;
  nib_text_line(e->body, "%s x, left;", e->vocab->type_i32);
  nib_say(e, NIB_PRIM_BYTES_BCAST, "x", nib_word_of("a + %lld", (long long)at).s, NULL, NULL, NULL);
  for (int f = 0; f < fields; ++f)
    for (int c = 0; c < registers; ++c) {
      const nib_word w = nib_word_of("w%d", c);
      if (f)
        nib_say(e, NIB_PRIM_BYTES_AND, "left", w.s, mask_of(d, f).s, NULL, NULL);
      nib_say(e, NIB_PRIM_DOT8, nib_word_of("acc0_%d_0", c * fields + f).s, f ? "left" : w.s, "x",
              NULL, NULL);
    }
}

/* ---- the kernel ---- */

static void emit_panel(nib_block_dots *d, int columns, int tail) {
  nib_block_emit_rows(d, columns, tail, nib_block_tile_emit);
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  nib_block_dots d;
  NIB_RETURN_IF_ERROR(nib_block_begin(e, kernel, plan, &d));
  NIB_RETURN_IF_ERROR(nib_block_begin_epilogue(&d, kernel));
  nib_block_rows_emit(&d);
  nib_block_emit_panels(&d, emit_panel);
  nib_epilogue_release(&d.epilogue);
  return NIB_OK;
}

static int64_t units(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  nib_block_dots d;
  return plan(g, kernel, v, &d) ? d.pack.panels : 1;
}

const nib_schedule nib_schedule_block_nested = {
    .name = "block_nested",
    .accepts = accepts,
    .tiles = nib_schedule_one_tile,
    .scratch_bytes = scratch_bytes,
    .emit = emit,
    .units = units,
};

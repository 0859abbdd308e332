/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * block_dots: dense layers with weights in blocks of few bits and activations in blocks of bytes,
 * or reals, which become bytes: three for each (block_digits.c). The products inside of what shares
 * both scales are summed as integers; then come the scales. Weights stream through once for every
 * tile of rows: panel by panel, packed in the order of the micro-kernel. With many rows a chunk of
 * a panel is unpacked to bytes first, and the totals of all rows wait in scratch. tile[0] is rows,
 * tile[1] registers of columns, tile[2] groups of a chunk that is unpacked, or 0. */
#include "schedule/block_dots.h"

#include "emit/snippets.h"
#include "epilogue/say.h"

#include <stdlib.h>
#include <string.h>

typedef long long ll;

static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

/* ---- what it accepts ---- */

/* Elements of a row that share a scale; 0: not accepted. */
static int64_t group_of(const nib_tensor *x, const nib_tensor *w) {
  const int64_t group = nib_block_rows_group(x);
  return group ? group : nib_block_digits_group(x, w);
}

/* All of a byte, or as many as the sum of a step holds. */
static int pieces_in_place(const nib_block_pack *p, const nib_vocab *v, bool unpacks) {
  const int bits = p->planes[0].bits;
  int pieces = p->spread;
  if (unpacks || p->n_tables)
    return 1;
  while (v->dot8_limit && pieces > 1 &&
         ((int64_t)p->largest << bits * (pieces - 1)) * 256 * (p->padded_step / 4) > v->dot8_limit)
    pieces /= 2;
  return pieces;
}

/* The power of two of codes that unpacked bytes have room for: sums then need no shift. */
static int unpacked_log2(const nib_block_dots *d) {
  const int largest = nib_block_pack_largest(&d->pack) << d->pack.mul_log2;
  const bool fits = largest <= 255 && (!d->v->dot8_limit || 256 * largest <= d->v->dot8_limit);
  return d->unpacks && fits && nib_vocab_prim(d->v, NIB_PRIM_BYTES_SHL) ? d->pack.mul_log2 : 0;
}

/* Rows whose codes leave the second cache room, in blocks of much the same size: whole tiles. */
static int64_t rows_of_block(const nib_block_dots *d) {
  enum { BLOCK_BYTES = 768 << 10 };
  const int64_t bytes = d->rows.rows * d->rows.digits * d->rows.chunks * d->rows.stride;
  const int64_t blocks = (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
  const int64_t rows = round_up((d->rows.rows + blocks - 1) / blocks, d->tile_rows);
  return rows < d->rows.rows ? rows : d->rows.rows;
}

/* Whether totals wait in scratch at all. */
static bool has_totals(const nib_block_dots *d) {
  return d->unpacks && (d->totals_stay || d->chunk_groups < d->pack.groups);
}

/* Where a chunk is unpacked and its sums are long, they have the registers, and totals wait. */
static bool sums_are_long(const nib_block_pack *p) {
  enum { LONG_STEP = 64 };
  return p->steps_of_group > 1 || p->padded_step >= LONG_STEP;
}

static bool plan(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                 nib_block_dots *d) {
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  const nib_tensor *x = nib_node_input(g, n, 0), *w = nib_node_input(g, n, 1);
  memset(d, 0, sizeof *d);
  d->g = g;
  d->n = n;
  d->v = v;
  d->tile_rows = kernel->tile[0] > 0 ? kernel->tile[0] : 1;
  const int columns = kernel->tile[1] > 0 ? kernel->tile[1] : 1;
  const int64_t act_group = group_of(x, w);
  d->unpacks = d->in_chunks = kernel->tile[2] > 0;
  d->chunk_groups = kernel->tile[2];
  if (act_group == 0 || !nib_block_pack_plan(w, act_group, !d->unpacks, v, columns, &d->pack) ||
      !nib_block_rows_plan(g, n, &d->pack, v, d->chunk_groups, &d->rows))
    return false;
  d->totals_stay = d->unpacks && sums_are_long(&d->pack);
  d->made_log2 = unpacked_log2(d);
  d->in_place = pieces_in_place(&d->pack, v, d->unpacks);
  d->unpacked_at = d->totals_at = d->scratch_bytes = d->rows.bytes;
  if (d->unpacks) {
    const int64_t width = d->pack.lanes * (int64_t)d->pack.columns;
    d->totals_at +=
        round_up(d->chunk_groups * (d->pack.steps_of_group * d->pack.padded_step * width +
                                    nib_block_unpacked_factor_bytes(d, d->pack.columns)),
                 64);
    d->row_block = rows_of_block(d);
    d->scratch_bytes = d->totals_at + (has_totals(d) ? d->row_block * width * 4 : 0);
  }
  return d->scratch_bytes < INT32_MAX;
}

static bool accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  static const nib_prim needed[] = {
      NIB_PRIM_BYTES_SET, NIB_PRIM_BYTES_LOAD, NIB_PRIM_BYTES_BCAST, NIB_PRIM_BYTES_LOOKUP,
      NIB_PRIM_BYTES_AND, NIB_PRIM_BYTES_SHR,  NIB_PRIM_DOT8,        NIB_PRIM_DOT8_SUM,
      NIB_PRIM_I32_SAR,   NIB_PRIM_F16_LOAD,   NIB_PRIM_BF16_LOAD,   NIB_PRIM_PREFETCH};
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  if (n->op != NIB_OP_FULLY_CONNECTED || !nib_vocab_has(v, needed, sizeof needed / sizeof *needed))
    return false;
  if (!nib_block_operands_fit(g, n, v))
    return false;
  nib_block_dots d;
  return plan(g, kernel, v, &d) && nib_epilogue_can_finish(g, kernel, 1, v);
}

/* ---- tiles ---- */

/* Groups that make a chunk of half the first cache. */
static int32_t chunk_groups(const nib_block_pack *p) {
  enum { CHUNK_BYTES = 16384 };
  const int64_t bytes = p->steps_of_group * p->padded_step * p->lanes * (int64_t)p->columns;
  const int64_t groups = bytes >= CHUNK_BYTES ? 1 : CHUNK_BYTES / bytes;
  return (int32_t)(groups < p->groups ? groups : p->groups);
}

static void put_tile(int32_t *tile, int64_t rows, int64_t most, int32_t columns, int32_t chunk) {
  const int64_t passes = (rows + most - 1) / most;
  memset(tile, 0, NIB_MAX_TILE * sizeof *tile);
  tile[0] = (int32_t)((rows + passes - 1) / passes);
  tile[1] = columns;
  tile[2] = chunk;
}

/* Rows of a tile that multiplies unpacked codes: long sums of one step need no totals beside them.
 */
static int64_t most_unpacked(const nib_block_pack *p, const nib_vocab *v, int sums, int columns,
                             int64_t most) {
  if (sums_are_long(p) && p->steps_of_group == 1 && v->registers >= 32)
    return (v->registers - columns - 3) / (sums * columns);
  return columns < 4 || v->registers < 32 || sums > 1 ? most : most + 1;
}

static int tiles(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                 int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  const nib_tensor *x = nib_node_input(g, n, 0), *w = nib_node_input(g, n, 1);
  const nib_tensor *y = &g->tensors[n->out];
  const int64_t rows = y->dims[0], registers = (y->dims[1] + v->lanes - 1) / v->lanes;
  const int sums = nib_block_rows_group(x) ? 1 : NIB_BLOCK_DIGITS; /* of a row */
  static const int32_t widths[] = {2, 1,
                                   4}; /* in memory's order: four registers are for many rows */
  int count = 0;
  for (int i = 0; i < 3; ++i) {
    const int32_t columns = widths[i];
    /* Sums and a total each, the codes, an activation. */
    const int32_t most =
        (v->registers - v->registers / 8 - 2 * columns - 1) / ((sums + 1) * columns);
    nib_block_pack p;
    if ((columns > registers && columns > 1) || most < 1)
      continue;
    if (columns < 4 && count < capacity)
      put_tile(out_tiles[count++], rows, most, columns, 0);
    if (rows > 1 && count < capacity &&
        nib_block_pack_plan(w, group_of(x, w), false, v, columns, &p) &&
        (!v->dot8_limit || 256 * nib_block_pack_largest(&p) <= v->dot8_limit))
      put_tile(out_tiles[count++], rows, most_unpacked(&p, v, sums, columns, most), columns,
               chunk_groups(&p));
  }
  return count;
}

static int64_t scratch_bytes(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  nib_block_dots d;
  return plan(g, kernel, v, &d) ? round_up(d.scratch_bytes, 64) : 0;
}

/* ---- emission ---- */

/* The panel at `panel`: all rows, or chunk by chunk. */
static void emit_panel(nib_block_dots *d, int columns, int tail) {
  const nib_block_pack *p = &d->pack;
  nib_text *t = d->e->body;
  if (!d->unpacks) {
    nib_block_emit_rows(d, columns, tail, nib_block_tile_emit);
    return;
  }
  nib_text_open(t, "for (int32_t first = 0; first < %lld; first += %lld) {", (ll)p->groups,
                (ll)d->chunk_groups);
  if (p->groups % d->chunk_groups)
    nib_text_line(t, "const int32_t last = first + %lld < %lld ? first + %lld : %lld;",
                  (ll)d->chunk_groups, (ll)p->groups, (ll)d->chunk_groups, (ll)p->groups);
  else
    nib_text_line(t, "const int32_t last = first + %lld;", (ll)d->chunk_groups);
  nib_text_open(t, "{");
  nib_block_unpack_emit(d, columns);
  nib_text_close(t, "");
  nib_block_emit_rows(d, columns, tail, nib_block_tile_emit);
  nib_text_close(t, "");
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  nib_block_dots d;
  NIB_RETURN_IF_ERROR(nib_block_begin(e, kernel, plan, &d));
  NIB_RETURN_IF_ERROR(nib_block_begin_epilogue(&d, kernel));
  nib_block_rows_emit(&d);
  if (d.unpacks) {
    nib_text_line(e->body, "uint8_t *const unpacked = scratch + %lld;", (ll)d.unpacked_at);
  }
  if (has_totals(&d)) {
    nib_text_line(e->body, "float *const totals = (float *)(void *)(scratch + %lld);",
                  (ll)d.totals_at);
  }
  if (d.unpacks && d.row_block < d.rows.rows) {
    nib_text_open(e->body, "for (int32_t block = 0; block < %lld; block += %lld) {",
                  (ll)d.rows.rows, (ll)d.row_block);
    nib_text_line(e->body, "const int32_t block_end = block + %lld < %lld ? block + %lld : %lld;",
                  (ll)d.row_block, (ll)d.rows.rows, (ll)d.row_block, (ll)d.rows.rows);
  }
  nib_block_emit_panels(&d, emit_panel);
  if (d.unpacks && d.row_block < d.rows.rows)
    nib_text_close(e->body, "");
  nib_epilogue_release(&d.epilogue);
  return NIB_OK;
}

static int64_t units(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  nib_block_dots d;
  return plan(g, kernel, v, &d) ? d.pack.panels : 1;
}

const nib_schedule nib_schedule_block_dots = {
    .name = "block_dots",
    .accepts = accepts,
    .tiles = tiles,
    .scratch_bytes = scratch_bytes,
    .emit = emit,
    .units = units,
};

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * block_tables: dense layers with weights of one bit in blocks and activations in blocks of bytes.
 * Four codes are an index into the 16 sums of the four activations that they may choose. A
 * register's table is the 64 sums of 16 activations, as bytes: the low 6 bits of each, and in
 * another register what is above. So that every byte of a register of weights looks up in its own
 * quarter of the table, two bits of an index say which byte of its lane it is. DOT8 by ones, and by
 * 64, adds the four of a column. Tables of activations are made once and serve all columns: of so
 * many rows and groups at a time that they stay in the first cache, while totals wait in scratch.
 * tile[0] is rows, tile[1] registers of columns; everything but the sums is as in block_dots. */
#include "schedule/block_dots.h"

#include "epilogue/say.h"

#include <string.h>

typedef long long ll;

enum { LOW_BITS = 6, UNIT = 32, UNIT_BYTES = 256, HALF_BYTES = 128, HIGH_AT = 64 };

extern const nib_schedule nib_schedule_block_dots;

/* ---- what it accepts ---- */

/* Added to each sum of four activations, so that none is negative. */
static int64_t excess_of_four(const nib_block_pack *p) { return INT64_C(4 * 128) << p->fours_log2; }

int64_t nib_block_table_excess(const nib_block_pack *p) {
  return p->padded_step / 4 * excess_of_four(p);
}

static int64_t group_table_bytes(const nib_block_pack *p) {
  return p->steps_of_group * p->padded_step / UNIT * UNIT_BYTES;
}

/* The most groups, whole chunks of them, whose tables leave the first cache room for weights. */
static int64_t chunk_groups(const nib_block_pack *p, int64_t rows) {
  enum { CHUNK_BYTES = 8192, ROW_BYTES = 2048 };
  const int64_t bytes = rows * ROW_BYTES > CHUNK_BYTES ? rows * ROW_BYTES : CHUNK_BYTES;
  int64_t groups = p->groups;
  while (groups > 1 && (p->groups % groups || rows * groups * group_table_bytes(p) > bytes))
    --groups;
  return groups;
}

static int64_t total_bytes(const nib_block_dots *d) {
  return d->rows.rows * d->pack.panels * d->pack.columns * d->pack.lanes * 4;
}

static bool plan(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                 nib_block_dots *d) {
  enum { MAX_LOG2 = 3 }; /* what is above the low bits is less than 128 */
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  const nib_tensor *x = nib_node_input(g, n, 0);
  memset(d, 0, sizeof *d);
  d->g = g;
  d->n = n;
  d->v = v;
  d->tile_rows = kernel->tile[0] > 0 ? kernel->tile[0] : 1;
  d->in_place = 1;
  d->looks_up = true;
  const int64_t act_group = nib_block_rows_group(x);
  if (act_group == 0 ||
      !nib_block_pack_plan_sums(nib_node_input(g, n, 1), act_group, v,
                                kernel->tile[1] > 0 ? kernel->tile[1] : 1, &d->pack) ||
      d->pack.fours_log2 > MAX_LOG2 || !nib_block_rows_plan(g, n, &d->pack, v, 0, &d->rows))
    return false;
  d->chunk_groups = d->pack.chunk_groups = chunk_groups(&d->pack, d->rows.rows);
  d->in_chunks = d->chunk_groups < d->pack.groups;
  d->table_stride = d->chunk_groups * group_table_bytes(&d->pack);
  d->tables_at = d->rows.bytes;
  d->totals_at = d->scratch_bytes = d->tables_at + d->rows.rows * d->table_stride;
  if (d->in_chunks)
    d->scratch_bytes += total_bytes(d);
  return d->scratch_bytes < INT32_MAX;
}

static bool accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  static const nib_prim needed[] = {NIB_PRIM_BYTES_LOOKUP64, NIB_PRIM_BYTES_OR, NIB_PRIM_I8_STORE};
  nib_block_dots d;
  return nib_vocab_has(v, needed, sizeof needed / sizeof *needed) && !v->dot8_limit &&
         v->lanes <= 16 && nib_schedule_block_dots.accepts(g, kernel, v) && plan(g, kernel, v, &d);
}

static int tiles(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                 int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  const nib_tensor *y = &g->tensors[g->nodes[kernel->nodes[0]].out];
  const int64_t rows = y->dims[0], registers = (y->dims[1] + v->lanes - 1) / v->lanes;
  int count = 0;
  for (int32_t columns = 4; columns >= 1 && count < capacity; columns /= 2) {
    /* A sum, a group's and a total each; two indices for a column; tables and constants. */
    int64_t most = (v->registers - 8 - 2 * columns) / (3 * columns);
    most = most < 1 ? 1 : most;
    if (columns > registers && columns > 1)
      continue;
    const int64_t passes = (rows + most - 1) / most;
    memset(out_tiles[count], 0, sizeof out_tiles[count]);
    out_tiles[count][0] = (int32_t)((rows + passes - 1) / passes);
    out_tiles[count++][1] = columns;
  }
  return count;
}

static int64_t scratch_bytes(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  nib_block_dots d;
  return plan(g, kernel, v, &d) ? (d.scratch_bytes + 63) / 64 * 64 : 0;
}

/* ---- tables ---- */

static void set(nib_emitter *e, nib_prim prim, const char *name, int64_t value) {
  nib_text_line(e->body, "%s %s;", e->vocab->type_i32, name);
  nib_say(e, prim, name, nib_word_of("%lld", (ll)value).s, NULL, NULL, NULL);
}

/* The sums of the four activations at `from`: lane i adds those that the bits of i choose. */
static void emit_four(const nib_block_dots *d) {
  nib_emitter *e = d->e;
  const char *type = e->vocab->type_i32;
  const bool whole = e->vocab->lanes == 16;
  if (!whole)
    nib_text_open(e->body, "for (int32_t i = 0; i < 16; i += %d) {", e->vocab->lanes);
  nib_text_line(e->body, "%s x, chosen, low, high;", type);
  nib_say(e, NIB_PRIM_BYTES_BCAST, "x", "from", NULL, NULL, NULL);
  nib_say(e, NIB_PRIM_BYTES_LOAD, "chosen", whole ? "choice" : "choice + 4 * i", NULL, NULL, NULL);
  set(e, NIB_PRIM_I32_SET, "sum", excess_of_four(&d->pack));
  nib_say(e, NIB_PRIM_DOT8, "sum", "chosen", "x", NULL, NULL);
  nib_say(e, NIB_PRIM_BYTES_AND, "low", "sum", "low_bits", NULL, NULL);
  nib_say(e, NIB_PRIM_I32_SAR, "high", "sum", nib_word_of("%d", LOW_BITS).s, NULL, NULL);
  nib_say(e, NIB_PRIM_I8_STORE, NULL, whole ? "(int8_t *)to" : "(int8_t *)to + i", "low", NULL,
          NULL);
  nib_say(e, NIB_PRIM_I8_STORE, NULL,
          nib_word_of("(int8_t *)to + %d%s", HIGH_AT, whole ? "" : " + i").s, "high", NULL, NULL);
  if (!whole)
    nib_text_close(e->body, "");
}

/* The tables of a chunk. */
static void emit_tables(const nib_block_dots *d, const char *name) {
  nib_emitter *e = d->e;
  const int64_t group = d->pack.steps_of_group * d->pack.padded_step;
  nib_text_open(e->body, "{ /* the sums of each four activations */");
  nib_text_line(e->body, "const uint8_t *const choice = %s;", name);
  set(e, NIB_PRIM_I32_SET, "low_bits", (1 << LOW_BITS) - 1);
  nib_text_open(e->body, "for (int32_t m = 0; m < %lld; m++) {", (ll)d->rows.rows);
  nib_text_open(e->body, "for (int32_t k = 0; k < %lld; k += 4) {", (ll)(d->chunk_groups * group));
  nib_text_line(e->body, "const int8_t *const from = codes + m * %lld + %sk;", (ll)d->rows.stride,
                d->in_chunks ? nib_word_of("first * %lld + ", (ll)group).s : "");
  nib_text_line(e->body, "uint8_t *const to = tables + m * %lld + k / 16 * %d + k %% 16 * 4;",
                (ll)d->table_stride, HALF_BYTES);
  emit_four(d);
  nib_text_close(e->body, "");
  nib_text_close(e->body, "");
  nib_text_close(e->body, "");
}

/* Which activations each of the 16 sums has, as a constant; NULL: out of memory. */
static const char *add_choice(const nib_block_dots *d, const nib_kernel *kernel) {
  uint8_t choice[64];
  for (int i = 0; i < 64; ++i)
    choice[i] = (uint8_t)((i / 4 >> i % 4 & 1) << d->pack.fours_log2);
  return nib_constants_add(d->e->constants, nib_word_of("%s_choice", kernel->name).s, "uint8_t",
                           choice, sizeof choice);
}

void nib_block_lookup_declare(const nib_block_dots *d) {
  set(d->e, NIB_PRIM_BYTES_SET, "nibble", 15);
  set(d->e, NIB_PRIM_I32_SET, "quarter", 0x30201000);
  set(d->e, NIB_PRIM_BYTES_SET, "ones", 1);
  set(d->e, NIB_PRIM_BYTES_SET, "high_unit", 1 << LOW_BITS);
}

/* index<c>_<half>: which sums of 16 elements. */
static void emit_index(nib_emitter *e, int c, int half) {
  const nib_word index = nib_word_of("index%d_%d", c, half), w = nib_word_of("w%d", c);
  nib_text_line(e->body, "%s %s;", e->vocab->type_i32, index.s);
  if (half)
    nib_say(e, NIB_PRIM_BYTES_SHR, index.s, w.s, "4", NULL, NULL);
  nib_say(e, NIB_PRIM_BYTES_AND, index.s, half ? index.s : w.s, "nibble", NULL, NULL);
  nib_say(e, NIB_PRIM_BYTES_OR, index.s, index.s, "quarter", NULL, NULL);
}

void nib_block_lookup_emit(const nib_block_dots *d, const nib_block_tile *size, int64_t at) {
  nib_emitter *e = d->e;
  for (int c = 0; c < size->columns; ++c)
    for (int half = 0; half < 2; ++half)
      emit_index(e, c, half);
  nib_text_line(e->body, "%s looked, other;", e->vocab->type_i32);
  for (int64_t m = 0; m < size->rows; ++m)
    for (int high = 0; high < 2; ++high)
      for (int c = 0; c < size->columns; ++c) {
        const int64_t table = m * d->table_stride + at + high * HIGH_AT;
        nib_say(e, NIB_PRIM_BYTES_LOOKUP64, "looked", nib_word_of("a + %lld", (ll)table).s,
                nib_word_of("index%d_0", c).s, NULL, NULL);
        nib_say(e, NIB_PRIM_BYTES_LOOKUP64, "other",
                nib_word_of("a + %lld", (ll)(table + HALF_BYTES)).s, nib_word_of("index%d_1", c).s,
                NULL, NULL);
        /* No sum of two bytes of these tables carries. */
        nib_say(e, NIB_PRIM_I32_ADD, "looked", "looked", "other", NULL, NULL);
        nib_say(e, NIB_PRIM_DOT8, nib_word_of("acc%lld_%d_0", (ll)m, c).s, "looked",
                high ? "high_unit" : "ones", NULL, NULL);
      }
}

/* ---- the kernel ---- */

static void emit_panel(nib_block_dots *d, int columns, int tail) {
  nib_block_emit_rows(d, columns, tail, nib_block_tile_emit);
}

static void finish_panel(nib_block_dots *d, int columns, int tail) {
  nib_text_line(d->e->body, "(void)panel;");
  nib_block_emit_rows(d, columns, tail, nib_block_finish_emit);
}

/* All chunks, then what follows their totals. */
static void emit_chunks(nib_block_dots *d, const char *choice) {
  nib_text *t = d->e->body;
  if (!d->in_chunks) {
    emit_tables(d, choice);
    nib_block_emit_panels(d, emit_panel);
    return;
  }
  nib_text_line(t, "float *const totals = (float *)(void *)(scratch + %lld);", (ll)d->totals_at);
  nib_text_line(t, "memset(totals, 0, %lld);", (ll)total_bytes(d));
  nib_text_open(t, "for (int32_t first = 0; first < %lld; first += %lld) {", (ll)d->pack.groups,
                (ll)d->chunk_groups);
  nib_text_line(t, "const int32_t last = first + %lld;", (ll)d->chunk_groups);
  emit_tables(d, choice);
  nib_block_emit_panels(d, emit_panel);
  nib_text_close(t, "");
  nib_text_open(t, "{");
  nib_text_line(t, "const int32_t first = 0;");
  nib_block_emit_panels(d, finish_panel);
  nib_text_close(t, "");
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  nib_block_dots d;
  NIB_RETURN_IF_ERROR(nib_block_begin(e, kernel, plan, &d));
  const char *choice = add_choice(&d, kernel);
  if (!choice)
    return nib_diag_error(e->diag, NIB_ERROR_OUT_OF_MEMORY, "%s: out of memory for its tables",
                          kernel->name);
  NIB_RETURN_IF_ERROR(nib_block_begin_epilogue(&d, kernel));
  nib_block_rows_emit(&d);
  nib_text_line(e->body, "uint8_t *const tables = scratch + %lld;", (ll)d.tables_at);
  emit_chunks(&d, choice);
  nib_epilogue_release(&d.epilogue);
  return NIB_OK;
}

static int64_t units(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  nib_block_dots d;
  return plan(g, kernel, v, &d) ? d.pack.panels : 1;
}

const nib_schedule nib_schedule_block_tables = {
    .name = "block_tables",
    .accepts = accepts,
    .tiles = tiles,
    .scratch_bytes = scratch_bytes,
    .emit = emit,
    .units = units,
};

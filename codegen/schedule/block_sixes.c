/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * block_sixes: dense layers with weights of one bit in blocks and activations in blocks of bytes, a
 * row at a time. Six codes of a column are an index into the 64 sums of the six activations that
 * they may choose: of 32 activations there are five tables of six and one of the last two, as the
 * low 5 bits of each sum and, 6 * 64 bytes behind them, what is above; both stay bytes when all six
 * are added. A register of weights has a byte for each of 64 columns, whose low six bits are an
 * index as they are; the upper two bits of four registers make the other two indices. Three
 * registers are joined whole, as packing has made up for what else of them is joined. Where the
 * activations' scales are integers of 15 bits times one number, products of the sums by these are
 * summed in i32 lanes (DOT16), exactly, over all of a group; a group whose scales have no such
 * number in common is done in as many passes as it takes. As in block_tables, tables are made of so
 * many groups at a time that they stay in the first cache, while totals wait in scratch. No tile:
 * panels are four registers of columns wide. */
#include "schedule/block_dots.h"

#include "emit/snippets.h"
#include "epilogue/say.h"

#include <string.h>

typedef long long ll;

enum {
  COLUMNS = 4,
  STEP = 32, /* elements */
  SETS = 6,  /* of elements */
  LOW_BITS = 5,
  HIGH_AT = SETS * 64,
  STEP_TABLES = 2 * HIGH_AT,
  MAX_LOG2 = 1,        /* 32 << 1 is a signed byte */
  MAX_STEPS = 256,     /* scales of a group */
  CHUNK_BYTES = 12288, /* of tables */
  MOST_BYTES = 65536
};

extern const nib_schedule nib_schedule_block_dots;

/* ---- what it accepts ---- */

typedef struct plan {
  nib_block_dots d;
  int64_t steps;      /* of STEP elements in a group */
  int64_t pass_words; /* i32 words of a pass: see nib_scale_passes */
  int64_t most;       /* integer that a scale may be */
  int64_t units_at, passes_at;
} plan;

static int64_t group_tables(const plan *p) { return p->steps * STEP_TABLES; }

/* The most groups, whole chunks of them, whose tables leave the first cache room for weights. */
static int64_t chunk_groups(const plan *p) {
  int64_t groups = p->d.pack.groups;
  while (groups > 1 &&
         (p->d.pack.groups % groups || p->d.rows.rows * groups * group_tables(p) > CHUNK_BYTES))
    --groups;
  return groups;
}

static bool plan_kernel(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v, plan *p) {
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  const nib_tensor *x = nib_node_input(g, n, 0);
  nib_block_dots *d = &p->d;
  memset(p, 0, sizeof *p);
  d->g = g;
  d->n = n;
  d->v = v;
  d->tile_rows = d->in_place = 1;
  d->in_chunks = true;
  const int64_t act_group = nib_block_rows_group(x);
  if (act_group == 0 ||
      !nib_block_pack_plan_sixes(nib_node_input(g, n, 1), act_group, v, &d->pack) ||
      d->pack.fours_log2 > MAX_LOG2 || d->pack.group % (2 * STEP) ||
      d->pack.steps_of_group > MAX_STEPS || !nib_block_rows_plan(g, n, &d->pack, v, 0, &d->rows))
    return false;
  /* The sums of a step and what they are too large by are bytes: 32 * 255 at most. */
  const int64_t largest = (STEP * INT64_C(256)) << d->pack.fours_log2;
  p->steps = d->pack.group / STEP;
  p->most = INT32_MAX / largest / p->steps;
  p->most = p->most > INT16_MAX ? INT16_MAX : p->most;
  p->pass_words = p->steps + 2;
  d->chunk_groups = d->pack.chunk_groups = chunk_groups(p);
  d->table_stride = d->chunk_groups * group_tables(p);
  d->tables_at = d->rows.bytes;
  const int64_t rows = d->rows.rows, passes = rows * d->pack.groups * d->pack.steps_of_group;
  d->totals_at = d->tables_at + rows * d->table_stride;
  p->units_at = d->totals_at + rows * d->pack.outputs * 4;
  p->passes_at = p->units_at + passes * p->pass_words * 4;
  d->scratch_bytes = p->passes_at + rows * d->pack.groups * 4;
  return p->most > 0 && rows * d->table_stride <= MOST_BYTES && d->scratch_bytes < INT32_MAX;
}

static bool accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  static const nib_prim needed[] = {
      NIB_PRIM_BYTES_LOOKUP64, NIB_PRIM_BYTES_ADD,   NIB_PRIM_BYTES_BLEND, NIB_PRIM_BYTES_ZIP_LOW,
      NIB_PRIM_BYTES_ZIP_HIGH, NIB_PRIM_BYTES_PAIRS, NIB_PRIM_DOT16,       NIB_PRIM_SIX_TABLES};
  plan p;
  return nib_vocab_has(v, needed, sizeof needed / sizeof *needed) &&
         nib_schedule_block_dots.accepts(g, kernel, v) && plan_kernel(g, kernel, v, &p);
}

static int64_t scratch_bytes(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  plan p;
  return plan_kernel(g, kernel, v, &p) ? (p.d.scratch_bytes + 63) / 64 * 64 : 0;
}

static bool plan_dots(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                      nib_block_dots *out_dots) {
  plan p;
  const bool ok = plan_kernel(g, kernel, v, &p);
  *out_dots = p.d;
  return ok;
}

/* ---- sums of a step ---- */

static void declare(nib_emitter *e, const char *names) {
  nib_text_line(e->body, "%s %s;", e->vocab->type_i32, names);
}

static void say(nib_emitter *e, nib_prim prim, const char *to, const char *a, const char *b,
                const char *c) {
  nib_say(e, prim, to, a, b, c, NULL);
}

static void declare_constants(const nib_block_dots *d) {
  nib_emitter *e = d->e;
  const int log2 = d->pack.fours_log2;
  const int places = 1 << log2 | 1 << (log2 + LOW_BITS) << 8;
  declare(e, "places, low_half");
  say(e, NIB_PRIM_I32_SET, "places", nib_word_of("%d", places | places << 16).s, NULL, NULL);
  say(e, NIB_PRIM_I32_SET, "low_half", "65535", NULL, NULL);
}

/* w0 … w5: the indices of a step whose registers are at `from`. */
static void emit_indices(const nib_block_dots *d, const char *from) {
  nib_emitter *e = d->e;
  declare(e, "w0, w1, w2, w3, w4, w5");
  for (int r = 0; r < 4; ++r) {
    const nib_word at = nib_word_of("%s + %d", from, r * COLUMNS * d->pack.lanes);
    say(e, NIB_PRIM_BYTES_LOAD, nib_word_of("w%d", r).s, at.s, NULL, NULL);
    if (r * COLUMNS * d->pack.lanes % 64 == 0)
      nib_say_prefetch(e, at.s, NIB_BLOCK_AHEAD, true);
  }
  declare(e, "shifted0, shifted1, shifted2");
  for (int r = 0; r < 3; ++r)
    say(e, NIB_PRIM_BYTES_SHR, nib_word_of("shifted%d", r).s, nib_word_of("w%d", r).s,
        nib_word_of("%d", 2 + 2 * r).s, NULL);
  say(e, NIB_PRIM_BYTES_XOR3, "w4", "shifted0", "shifted1", "shifted2");
  say(e, NIB_PRIM_BYTES_SHR, "w5", "w3", "6", NULL);
}

/* `to` = the sum of what the indices find in the tables at `at`. */
static void emit_lookups(nib_emitter *e, const char *to, const char *at, int offset) {
  nib_text_open(e->body, "{");
  for (int set = 0; set < SETS; ++set) {
    const nib_word found = nib_word_of("found%d", set);
    declare(e, found.s);
    say(e, NIB_PRIM_BYTES_LOOKUP64, found.s, nib_word_of("%s + %d", at, offset + set * 64).s,
        nib_word_of("w%d", set).s, NULL);
  }
  for (int set = 0; set < SETS; set += 2)
    say(e, NIB_PRIM_BYTES_ADD, nib_word_of("found%d", set).s, nib_word_of("found%d", set).s,
        nib_word_of("found%d", set + 1).s, NULL);
  say(e, NIB_PRIM_BYTES_ADD, "found0", "found0", "found2", NULL);
  say(e, NIB_PRIM_BYTES_ADD, to, "found0", "found4", NULL);
  nib_text_close(e->body, "");
}

/* words<i>_0 and words<i>_1: the sums of a step as i16 lanes. */
static void emit_step(const nib_block_dots *d, int i) {
  nib_emitter *e = d->e;
  nib_text_line(e->body, "%s words%d_0, words%d_1;", e->vocab->type_i32, i, i);
  nib_text_open(e->body, "{");
  emit_indices(d, nib_word_of("from + %d", i * 4 * COLUMNS * d->pack.lanes).s);
  declare(e, "low, high, pairs");
  emit_lookups(e, "low", "tables_of", i * STEP_TABLES);
  emit_lookups(e, "high", "tables_of", i * STEP_TABLES + HIGH_AT);
  say(e, NIB_PRIM_BYTES_ZIP_LOW, "pairs", "low", "high", NULL);
  say(e, NIB_PRIM_BYTES_PAIRS, nib_word_of("words%d_0", i).s, "pairs", "places", NULL);
  say(e, NIB_PRIM_BYTES_ZIP_HIGH, "pairs", "low", "high", NULL);
  say(e, NIB_PRIM_BYTES_PAIRS, nib_word_of("words%d_1", i).s, "pairs", "places", NULL);
  nib_text_close(e->body, "");
}

/* ---- groups ---- */

/* Steps 2 i and 2 i + 1 of the group, times their scales: in the second, neighbours have changed
 * places. */
static void emit_two_steps(const nib_block_dots *d) {
  nib_emitter *e = d->e;
  nib_text_line(e->body, "const uint8_t *const from = w + i * %d, *const tables_of = a + i * %d;",
                8 * COLUMNS * d->pack.lanes, 2 * STEP_TABLES);
  emit_step(d, 0);
  emit_step(d, 1);
  declare(e, "both, scales");
  for (int odd = 0; odd < 2; ++odd) {
    say(e, NIB_PRIM_I32_SET, "scales", nib_word_of("unit[2 * i + %d]", odd).s, NULL, NULL);
    for (int half = 0; half < 2; ++half) {
      say(e, NIB_PRIM_BYTES_BLEND, "both", nib_word_of("words%d_%d", odd, half).s,
          nib_word_of("words%d_%d", 1 - odd, half).s, "low_half");
      say(e, NIB_PRIM_DOT16, nib_word_of("sum%d", 2 * half + odd).s, "both", "scales", NULL);
    }
  }
}

static void add_pass(const plan *p) {
  const nib_block_dots *d = &p->d;
  nib_emitter *e = d->e;
  const nib_format scale = d->pack.scale_format;
  nib_text_line(e->body, "%s factor, scale, real;", e->vocab->type_f32);
  nib_emitter_use(e, "nib_bits_to_f32");
  say(e, NIB_PRIM_F32_SET, "factor",
      nib_word_of("nib_bits_to_f32((uint32_t)unit[%lld])", (ll)(p->pass_words - 1)).s, NULL, NULL);
  for (int c = 0; c < COLUMNS; ++c) {
    const int64_t at = p->steps * d->pack.lanes * COLUMNS * 4 +
                       c * d->pack.lanes * (int64_t)nib_format_bytes(scale);
    nib_say_load_reals(e, scale, "scale", at);
    say(e, NIB_PRIM_F32_FROM_I32, "real", nib_word_of("sum%d", c).s, NULL, NULL);
    say(e, NIB_PRIM_F32_MUL, "real", "real", "factor", NULL);
    say(e, NIB_PRIM_F32_FMA, nib_word_of("total0_%d", c).s, "real", "scale", NULL);
  }
}

static void emit_group(const plan *p) {
  const nib_block_dots *d = &p->d;
  nib_emitter *e = d->e;
  nib_text_open(e->body, "for (int32_t pass = 0; pass < passes[row * %lld + g]; pass++) {",
                (ll)d->pack.groups);
  nib_text_line(e->body,
                "const int32_t *const unit = units + ((row * %lld + g) * %lld + pass) * %lld;",
                (ll)d->pack.groups, (ll)d->pack.steps_of_group, (ll)p->pass_words);
  for (int c = 0; c < COLUMNS; ++c) {
    declare(e, nib_word_of("sum%d", c).s);
    say(e, NIB_PRIM_I32_SET, nib_word_of("sum%d", c).s,
        nib_word_of("unit[%lld]", (ll)(p->pass_words - 2)).s, NULL, NULL);
  }
  nib_text_open(e->body, "for (int32_t i = 0; i < %lld; i++) {", (ll)(p->steps / 2));
  emit_two_steps(d);
  nib_text_close(e->body, "");
  add_pass(p);
  nib_text_close(e->body, "");
  nib_block_prefetch(e, d->pack.group_bytes * COLUMNS, 0, NIB_BLOCK_AHEAD, true);
  nib_text_line(e->body, "w += %lld;", (ll)(d->pack.group_bytes * COLUMNS));
  nib_text_line(e->body, "a += %lld;", (ll)group_tables(p));
}

/* ---- the kernel ---- */

static void move_totals(const nib_block_dots *d, bool load) {
  for (int c = 0; c < COLUMNS; ++c) {
    const nib_word total = nib_word_of("total0_%d", c);
    const nib_word at =
        nib_word_of("totals + row * %lld + channel + %d", (ll)d->pack.outputs, c * d->pack.lanes);
    if (load)
      say(d->e, NIB_PRIM_F32_LOAD, total.s, at.s, NULL, NULL);
    else
      say(d->e, NIB_PRIM_F32_STORE, NULL, at.s, total.s, NULL);
  }
}

/* The plan that `d` is the first member of. */
static void emit_tile(nib_block_dots *d, const nib_block_tile *size) {
  const plan *p = (const plan *)(const void *)d;
  nib_emitter *e = d->e;
  (void)size;
  nib_text_line(e->body, "%s total0_0, total0_1, total0_2, total0_3;", e->vocab->type_f32);
  move_totals(d, true);
  nib_text_line(e->body, "const uint8_t *w = panel, *a = tables + row * %lld;",
                (ll)d->table_stride);
  nib_text_open(e->body, "for (int32_t g = first; g < first + %lld; g++) {", (ll)d->chunk_groups);
  emit_group(p);
  nib_text_close(e->body, "");
  move_totals(d, false);
}

static void emit_panel(nib_block_dots *d, int columns, int tail) {
  nib_block_emit_rows(d, columns, tail, emit_tile);
}

static void finish_panel(nib_block_dots *d, int columns, int tail) {
  nib_text_line(d->e->body, "(void)panel;");
  nib_block_emit_rows(d, columns, tail, nib_block_finish_emit);
}

/* Bits of the activations' scales behind the first. */
static int places_of(const plan *p) {
  switch (nib_format_get(p->d.rows.x->format)->block.scale) {
  case NIB_F16:
    return 10;
  case NIB_BF16:
    return 7;
  case NIB_F8E8M0FNU:
    return 0;
  default:
    return 23;
  }
}

/* How far a scale's significand may be shifted left; negative: not at all. */
static int shifts_of(const plan *p, int places) {
  int shifts = -1;
  while ((INT64_C(2) << places) - 1 <= p->most >> (shifts + 1))
    ++shifts;
  return shifts;
}

static void emit_units(const plan *p) {
  const int places = places_of(p);
  const nib_block_dots *d = &p->d;
  nib_text *t = d->e->body;
  const ll steps = (ll)d->pack.steps_of_group;
  nib_emitter_use(d->e, "nib_scale_passes");
  nib_text_line(t, "int32_t *const units = (int32_t *)(void *)(scratch + %lld);", (ll)p->units_at);
  nib_text_line(t, "int32_t *const passes = (int32_t *)(void *)(scratch + %lld);",
                (ll)p->passes_at);
  nib_text_line(t, "for (int32_t g = 0; g < %lld; g++)", (ll)(d->rows.rows * d->pack.groups));
  nib_text_line(
      t, "  passes[g] = nib_scale_passes(row_scales + g * %lld, bases + g * %lld, %lld, %lld,",
      steps, steps, steps, (ll)(p->steps / steps));
  nib_text_line(t, "                               %d, %d, %lld, units + g * %lld);", places,
                shifts_of(p, places), (ll)p->pass_words, (ll)(steps * p->pass_words));
}

/* The tables of a chunk. */
static void emit_tables(const nib_block_dots *d) {
  nib_emitter *e = d->e;
  const int64_t chunk = d->chunk_groups * d->pack.group;
  nib_text_open(e->body, "for (int32_t m = 0; m < %lld; m++) {", (ll)d->rows.rows);
  nib_text_open(e->body, "for (int32_t k = 0; k < %lld; k += %d) {", (ll)chunk, STEP);
  say(e, NIB_PRIM_SIX_TABLES,
      nib_word_of("tables + m * %lld + k / %d * %d", (ll)d->table_stride, STEP, STEP_TABLES).s,
      nib_word_of("codes + m * %lld + first * %lld + k", (ll)d->rows.stride, (ll)d->pack.group).s,
      NULL, NULL);
  nib_text_close(e->body, "");
  nib_text_close(e->body, "");
}

static void emit_chunks(plan *p) {
  nib_block_dots *d = &p->d;
  nib_text *t = d->e->body;
  nib_text_line(t, "uint8_t *const tables = scratch + %lld;", (ll)d->tables_at);
  nib_text_line(t, "float *const totals = (float *)(void *)(scratch + %lld);", (ll)d->totals_at);
  nib_text_line(t, "memset(totals, 0, %lld);", (ll)(d->rows.rows * d->pack.outputs * 4));
  declare_constants(d);
  nib_text_open(t, "for (int32_t first = 0; first < %lld; first += %lld) {", (ll)d->pack.groups,
                (ll)d->chunk_groups);
  emit_tables(d);
  nib_block_emit_panels(d, emit_panel);
  nib_text_close(t, "");
  nib_text_open(t, "{");
  if (d->chunk_groups < d->pack.groups)
    nib_text_line(t, "const int32_t first = 0;");
  nib_block_emit_panels(d, finish_panel);
  nib_text_close(t, "");
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  plan p;
  nib_block_dots *d = &p.d;
  if (!plan_kernel(e->graph, kernel, e->vocab, &p))
    return nib_diag_error(e->diag, NIB_ERROR_INTERNAL, "%s: no plan of its blocks", kernel->name);
  NIB_RETURN_IF_ERROR(nib_block_begin(e, kernel, plan_dots, d));
  NIB_RETURN_IF_ERROR(nib_block_begin_epilogue(d, kernel));
  nib_block_rows_emit(d);
  emit_units(&p);
  emit_chunks(&p);
  nib_epilogue_release(&d->epilogue);
  return NIB_OK;
}

static int64_t units(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  plan p;
  return plan_kernel(g, kernel, v, &p) ? p.d.pack.panels : 1;
}

const nib_schedule nib_schedule_block_sixes = {
    .name = "block_sixes",
    .accepts = accepts,
    .tiles = nib_schedule_one_tile,
    .scratch_bytes = scratch_bytes,
    .emit = emit,
    .units = units,
};

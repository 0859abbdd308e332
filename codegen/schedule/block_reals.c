/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * block_reals: dense layers with weights in blocks of few bits and activations in f32, or in fewer
 * bits and widened first. Where elements are integers, codes become reals where they lie in their
 * lane, times the power of two of their place, and activations are staged divided by it; other
 * codes are indices of a register's table of f32 numbers. The sum of a group is multiplied by its
 * scale. With many rows a panel becomes the weights themselves in scratch first, and is then
 * multiplied as weights in f32 are. tile[0] is rows, tile[1] registers of columns, tile[2] 1 where
 * it is unpacked. */
#include "schedule/block_reals.h"

#include "epilogue/say.h"
#include "params/params.h"

#include <string.h>

typedef long long ll;

enum {
  MANY_ROWS = 16,           /* which share a panel that was unpacked */
  UNPACKED_BYTES = 1 << 20, /* of a panel, in the second cache */
  MOST_ROWS =
      12, /* whose activations a set of the first cache holds, where strides are a power of two */
};

/* ---- what it accepts ---- */

static bool plan(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                 nib_block_dots *d) {
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  const nib_tensor *x = nib_node_input(g, n, 0);
  memset(d, 0, sizeof *d);
  d->g = g;
  d->n = n;
  d->v = v;
  d->tile_rows = kernel->tile[0] > 0 ? kernel->tile[0] : 1;
  if (!nib_block_pack_plan_reals(nib_node_input(g, n, 1), v,
                                 kernel->tile[1] > 0 ? kernel->tile[1] : 1, &d->pack))
    return false;
  d->rows = (nib_block_rows){.x = x, .rows = x->dims[0], .k = x->dims[1]};
  d->unpacks = kernel->tile[2] > 0;
  d->row_block = d->rows.rows;
  d->scratch_bytes = nib_block_reals_bytes(d);
  return d->scratch_bytes < INT32_MAX / 2;
}

static bool accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  static const nib_prim needed[] = {
      NIB_PRIM_F32_LOOKUP16, NIB_PRIM_BYTES_LOAD, NIB_PRIM_BYTES_SHR, NIB_PRIM_BYTES_AND,
      NIB_PRIM_BYTES_SHL,    NIB_PRIM_BYTES_OR,   NIB_PRIM_F32_FMA,   NIB_PRIM_F32_FROM_I32,
      NIB_PRIM_F16_LOAD,     NIB_PRIM_BF16_LOAD,  NIB_PRIM_PREFETCH};
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  if (n->op != NIB_OP_FULLY_CONNECTED || !nib_vocab_has(v, needed, sizeof needed / sizeof *needed))
    return false;
  if (!nib_block_operands_fit(g, n, v) || !nib_params_is_real(nib_node_input(g, n, 0)->format) ||
      nib_tensor_elems(nib_node_input(g, n, 0)) > INT32_MAX / 4)
    return false;
  nib_block_dots d;
  return plan(g, kernel, v, &d) && nib_epilogue_can_finish(g, kernel, 1, v);
}

/* As few passes over the rows as registers for `most` rows allow. */
static void add_tile(int64_t rows, int32_t most, int32_t columns, bool unpacks,
                     int32_t (*out_tiles)[NIB_MAX_TILE], int *count) {
  const int64_t passes = (rows + most - 1) / most;
  memset(out_tiles[*count], 0, sizeof out_tiles[*count]);
  out_tiles[*count][0] = (int32_t)((rows + passes - 1) / passes);
  out_tiles[*count][1] = columns;
  out_tiles[(*count)++][2] = unpacks;
}

static int tiles(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                 int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  const nib_tensor *y = &g->tensors[g->nodes[kernel->nodes[0]].out];
  const int64_t rows = y->dims[0], registers = (y->dims[1] + v->lanes - 1) / v->lanes;
  int count = 0;
  for (int32_t columns = 4; columns >= 1; columns /= 2) {
    /* A sum of the group and a total each, the numbers, an activation, the table. */
    const int32_t most = (v->registers - v->registers / 8 - 2 * columns - 2) / (2 * columns);
    if ((columns <= registers || columns == 1) && most >= 1 && count < capacity)
      add_tile(rows, most, columns, false, out_tiles, &count);
  }
  if (rows >= MANY_ROWS && count < capacity) {
    /* A total each, the weights, an activation. */
    const int32_t columns = registers > 1 ? 2 : 1,
                  most = (v->registers - v->registers / 8 - columns - 1) / columns;
    nib_kernel tried = *kernel;
    nib_block_dots d;
    tried.tile[1] = columns, tried.tile[2] = 1;
    if (most >= 1 && plan(g, &tried, v, &d) && nib_block_unpacked_bytes(&d.pack) <= UNPACKED_BYTES)
      add_tile(rows, most < MOST_ROWS ? most : MOST_ROWS, columns, true, out_tiles, &count);
  }
  return count;
}

static int64_t scratch_bytes(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  nib_block_dots d;
  return plan(g, kernel, v, &d) ? (d.scratch_bytes + 63) / 64 * 64 : 0;
}

/* ---- one register of codes ---- */

typedef nib_block_reals tile;

static void say(const tile *t, nib_prim prim, const char *to, const char *a, const char *b) {
  nib_say(t->e, prim, to, a, b, NULL, NULL);
}

static nib_word place(const char *stem, int64_t m, int c) {
  return nib_word_of("%s%lld_%d", stem, (ll)m, c);
}

static void declare(const tile *t, const char *type, const char *name) {
  nib_text_line(t->e->body, "%s %s;", type, name);
}

static nib_word group_of(int64_t m, int c, int j) {
  return nib_word_of("group%lld_%d_%d", (ll)m, c, j);
}

/* Whether weights are more than a product. */
static bool adds(const nib_block_pack *p) { return p->has_offsets || nib_block_has_starts(p); }

/* Stores the numbers, which are element `at` of group j, as weights. */
static void store_weights(const tile *t, int j, int64_t at) {
  for (int c = 0; c < t->size.columns; ++c) {
    nib_word weight = nib_word_of("number%d", c);
    const nib_word number = weight, scale = nib_word_of("scale%d_%d", j, c);
    if (adds(t->p)) {
      weight = nib_word_of("weight%d", c);
      nib_text_line(t->e->body, "%s %s = offset%d_%d;", t->e->vocab->type_f32, weight.s, j, c);
      say(t, NIB_PRIM_F32_FMA, weight.s, number.s, scale.s);
    } else {
      say(t, NIB_PRIM_F32_MUL, weight.s, number.s, scale.s);
    }
    say(t, NIB_PRIM_F32_STORE, NULL,
        nib_word_of("to + %lld", (ll)((at * t->size.columns + c) * t->p->lanes)).s, weight.s);
  }
}

/* Goes on by `n` elements of K (back, where it is negative). */
static void advance(const tile *t, int64_t n) {
  const int64_t by = t->d->unpacks ? n * t->size.columns * t->p->lanes : n;
  nib_text_line(t->e->body, "%s %s= %lld;", t->d->unpacks ? "to" : "x", n < 0 ? "-" : "+",
                (ll)(n < 0 ? -by : by));
}

/* Sums j += the numbers times the activations at x + `at`. */
static void multiply(const tile *t, int j, int64_t at) {
  if (t->d->unpacks) {
    store_weights(t, j, at);
    return;
  }
  for (int64_t m = 0; m < t->size.rows; ++m) {
    nib_text_open(t->e->body, "{");
    declare(t, t->e->vocab->type_f32, "real");
    say(t, NIB_PRIM_F32_SET, "real", nib_word_of("x[%lld]", (ll)(m * t->d->rows.k + at)).s, NULL);
    for (int c = 0; c < t->size.columns; ++c)
      say(t, NIB_PRIM_F32_FMA, group_of(m, c, j).s, nib_word_of("number%d", c).s, "real");
    nib_text_close(t->e->body, "");
  }
}

/* ---- groups ---- */

/* Elements [4 q, 4 q + 4) of a unit at w, of a group that is no part of a bundle. */
static void emit_quad(const tile *t, int64_t q) {
  const nib_block_pack *p = t->p;
  int64_t at = 0;
  nib_text_open(t->e->body, "{");
  for (int i = 0; i < p->n_planes; ++i) {
    const int64_t per_register = 32 / p->planes[i].bits, r = 4 * q / per_register;
    nib_block_numbers_load(t, i, (at + r) * t->size.columns * 4 * p->lanes,
                           4 * q % per_register == 0);
    at += p->unit / per_register;
  }
  for (int i = 0; i < 4; ++i) {
    nib_text_open(t->e->body, "{");
    nib_block_numbers_say(t, (int)(q % (8 / p->planes[0].bits)), i, q);
    multiply(t, 0, 4 * q + i);
    nib_text_close(t->e->body, "");
  }
  nib_text_close(t->e->body, "");
}

static void emit_units(const tile *t) {
  const nib_block_pack *p = t->p;
  const int64_t units = p->step / p->unit;
  nib_text_open(t->e->body, "for (int32_t u = 0; u < %lld; u++) {", (ll)units);
  for (int64_t q = 0; q < p->unit / 4; ++q)
    emit_quad(t, q);
  nib_text_line(t->e->body, "w += %lld;", (ll)(p->step_bytes / units * t->size.columns));
  advance(t, p->unit);
  nib_text_close(t->e->body, "");
}

/* Registers of a bundle against its pieces [from, to): w and x are where they were afterwards. */
static void emit_registers(const tile *t, int from, int to) {
  const nib_block_pack *p = t->p;
  const int64_t registers = p->step / 4, bytes = 4 * p->lanes * t->size.columns;
  nib_text_open(t->e->body, "for (int32_t r = 0; r < %lld; r++) {", (ll)registers);
  nib_block_numbers_load(t, 0, 0, from == 0);
  for (int j = from; j < to; ++j)
    for (int i = 0; i < 4; ++i) {
      nib_text_open(t->e->body, "{");
      nib_block_numbers_say(t, j, i, 0);
      multiply(t, j, j * p->step + i);
      nib_text_close(t->e->body, "");
    }
  nib_text_line(t->e->body, "w += %lld;", (ll)bytes);
  advance(t, 4);
  nib_text_close(t->e->body, "");
  nib_text_line(t->e->body, "w -= %lld;", (ll)(bytes * registers));
  advance(t, -p->step);
}

/* What array `name` has for group g + j of row m. */
static nib_word of_group(const tile *t, const char *name, int64_t m, int j) {
  return nib_word_of("%s[(row + %lld) * %lld + g + %d]", name, (ll)m, (ll)t->p->groups, j);
}

static void open_groups(const tile *t, int from, int to) {
  for (int j = from; j < to; ++j)
    for (int64_t m = 0; m < t->size.rows; ++m)
      for (int c = 0; c < t->size.columns; ++c) {
        declare(t, t->e->vocab->type_f32, group_of(m, c, j).s);
        say(t, NIB_PRIM_F32_SET, group_of(m, c, j).s,
            nib_block_has_starts(t->p) ? of_group(t, "starts", m, j).s : "0.0f", NULL);
      }
}

static void load_factors(const tile *t, nib_format format, const char *name, int64_t at) {
  const int64_t bytes = (int64_t)nib_format_bytes(format);
  for (int c = 0; c < t->size.columns; ++c) {
    const nib_word to = nib_word_of("%s%d", name, c);
    declare(t, t->e->vocab->type_f32, to.s);
    nib_say_load_reals(t->e, format, to.s, at + c * t->p->lanes * bytes);
  }
}

/* <name>0 … = the scales of group j of a bundle, whose factors are at w + `at`; its offsets. */
static void load_scales(const tile *t, int j, int64_t at, const char *name) {
  const int64_t width = t->size.columns * t->p->lanes;
  load_factors(t, t->p->scale_format, name,
               at + j * width * (int64_t)nib_format_bytes(t->p->scale_format));
}

static void load_offsets(const tile *t, int j, int64_t at, const char *name) {
  const int64_t width = t->size.columns * t->p->lanes;
  load_factors(t, t->p->offset_format, name,
               at + t->p->spread * width * (int64_t)nib_format_bytes(t->p->scale_format) +
                   j * width * (int64_t)nib_format_bytes(t->p->offset_format));
}

/* Totals += sums of group g + j times its scale, + its offset times the sum of its activations. The
 * factors of the bundle are at w + `at`. */
static void close_group(const tile *t, int j, int64_t at) {
  const nib_block_pack *p = t->p;
  nib_text_open(t->e->body, "{");
  load_scales(t, j, at, "scale");
  for (int64_t m = 0; m < t->size.rows; ++m)
    for (int c = 0; c < t->size.columns; ++c)
      say(t, NIB_PRIM_F32_FMA, place("total", m, c).s, group_of(m, c, j).s,
          nib_word_of("scale%d", c).s);
  if (p->has_offsets)
    load_offsets(t, j, at, "offset");
  for (int64_t m = 0; p->has_offsets && m < t->size.rows; ++m) {
    nib_text_open(t->e->body, "{");
    declare(t, t->e->vocab->type_f32, "sum");
    say(t, NIB_PRIM_F32_SET, "sum", of_group(t, "sums", m, j).s, NULL);
    for (int c = 0; c < t->size.columns; ++c)
      say(t, NIB_PRIM_F32_FMA, place("total", m, c).s, nib_word_of("offset%d", c).s, "sum");
    nib_text_close(t->e->body, "");
  }
  nib_text_close(t->e->body, "");
}

/* What codes are multiplied by, and what is added, of all groups of the bundle, whose factors are
 * at w + `at`. */
static void load_all_factors(const tile *t, int64_t at) {
  const nib_block_pack *p = t->p;
  for (int j = 0; j < p->spread; ++j) {
    const nib_word scales = nib_word_of("scale%d_", j), offsets = nib_word_of("offset%d_", j);
    load_scales(t, j, at, scales.s);
    if (p->has_offsets)
      load_offsets(t, j, at, offsets.s);
    for (int c = 0; p->by_codes && c < t->size.columns; ++c) {
      const nib_word scale = nib_word_of("%s%d", scales.s, c),
                     offset = nib_word_of("%s%d", offsets.s, c);
      if (p->zero && !p->has_offsets) {
        declare(t, t->e->vocab->type_f32, offset.s);
        say(t, NIB_PRIM_F32_MUL, offset.s, scale.s, "least");
      } else if (p->zero) {
        say(t, NIB_PRIM_F32_FMA, offset.s, scale.s, "least");
      }
      if (nib_block_step(p) != 1.0f)
        say(t, NIB_PRIM_F32_MUL, scale.s, scale.s, "step");
    }
  }
}

/* Groups [g, g + spread). */
static void emit_groups(const tile *t) {
  const nib_block_pack *p = t->p;
  const bool unpacks = t->d->unpacks;
  const int together =
      unpacks ? p->spread
              : nib_block_pieces_together(t->e->vocab, p->spread, t->size.rows * t->size.columns);
  const int64_t codes = p->spread * p->step_bytes * t->size.columns;
  const int64_t factors =
      p->spread * (p->group_bytes - p->steps_of_group * p->step_bytes) * t->size.columns;
  for (int from = 0; from < p->spread; from += together) {
    nib_text_open(t->e->body, "{");
    if (unpacks)
      load_all_factors(t, codes);
    else
      open_groups(t, from, from + together);
    if (p->spread > 1)
      emit_registers(t, from, from + together);
    else
      emit_units(t);
    for (int j = from; !unpacks && j < from + together; ++j)
      close_group(t, j, p->spread > 1 ? codes : 0);
    nib_text_close(t->e->body, "");
  }
  nib_block_prefetch(t->e, codes + factors, factors, NIB_BLOCK_AHEAD, t->size.rows == 1);
  nib_text_line(t->e->body, "w += %lld;", (ll)(factors + (p->spread > 1 ? codes : 0)));
  if (p->spread > 1)
    advance(t, p->spread * p->step);
}

/* Constants of codes that are unpacked. */
static void declare_factors(const tile *t) {
  const nib_block_pack *p = t->p;
  const struct {
    const char *name;
    float value;
    bool used;
  } factors[] = {{"least", nib_block_least(p), p->zero != 0},
                 {"step", nib_block_step(p), nib_block_step(p) != 1.0f}};
  for (int i = 0; i < 2; ++i)
    if (factors[i].used) {
      declare(t, t->e->vocab->type_f32, factors[i].name);
      say(t, NIB_PRIM_F32_SET, factors[i].name, nib_word_f32(factors[i].value).s, NULL);
    }
}

static void open_totals(const tile *t) {
  for (int64_t m = 0; m < t->size.rows; ++m)
    for (int c = 0; c < t->size.columns; ++c) {
      declare(t, t->e->vocab->type_f32, place("total", m, c).s);
      say(t, NIB_PRIM_F32_SET, place("total", m, c).s, "0.0f", NULL);
    }
}

static void finish_totals(const tile *t) {
  for (int64_t m = 0; m < t->size.rows; ++m)
    for (int c = 0; c < t->size.columns; ++c)
      nib_block_finish_value(t->d, &t->size, m, c);
}

static void emit_all_groups(const tile *t) {
  if (t->p->by_codes)
    nib_block_numbers_declare(t);
  if (t->p->by_codes && t->d->unpacks)
    declare_factors(t);
  nib_text_line(t->e->body, "const uint8_t *w = panel;");
  nib_text_open(t->e->body, "for (int32_t g = 0; g < %lld; g += %d) {", (ll)t->p->groups,
                t->p->spread);
  emit_groups(t);
  nib_text_close(t->e->body, "");
}

static void emit_tile(nib_block_dots *d, const nib_block_tile *size) {
  const tile t = {.d = d, .e = d->e, .p = &d->pack, .size = *size};
  open_totals(&t);
  nib_text_line(d->e->body, "const float *x = %s + row * %lld;",
                d->pack.by_codes ? "staged" : "numbers", (ll)d->rows.k);
  emit_all_groups(&t);
  finish_totals(&t);
}

/* The product with a panel of weights. */
static void emit_unpacked_tile(nib_block_dots *d, const nib_block_tile *size) {
  const tile t = {.d = d, .e = d->e, .p = &d->pack, .size = *size};
  nib_text *body = d->e->body;
  open_totals(&t);
  nib_text_line(body, "const float *x = numbers + row * %lld;", (ll)d->rows.k);
  nib_text_open(body, "for (int32_t k = 0; k < %lld; k++) {", (ll)d->rows.k);
  for (int c = 0; c < size->columns; ++c) {
    const nib_word weight = nib_word_of("number%d", c);
    declare(&t, d->v->type_f32, weight.s);
    say(&t, NIB_PRIM_F32_LOAD, weight.s,
        nib_word_of("weights_of_panel + k * %lld + %d", (ll)size->columns * d->v->lanes,
                    c * d->v->lanes)
            .s,
        NULL);
  }
  for (int64_t m = 0; m < size->rows; ++m) {
    nib_text_open(body, "{");
    declare(&t, d->v->type_f32, "real");
    say(&t, NIB_PRIM_F32_SET, "real", nib_word_of("x[k + %lld]", (ll)(m * d->rows.k)).s, NULL);
    for (int c = 0; c < size->columns; ++c)
      say(&t, NIB_PRIM_F32_FMA, place("total", m, c).s, nib_word_of("number%d", c).s, "real");
    nib_text_close(body, "");
  }
  nib_text_close(body, "");
  finish_totals(&t);
}

/* ---- the kernel ---- */

static void emit_panel(nib_block_dots *d, int columns, int tail) {
  if (!d->unpacks) {
    nib_block_emit_rows(d, columns, tail, emit_tile);
    return;
  }
  const tile t = {.d = d, .e = d->e, .p = &d->pack, .size = {.columns = columns}};
  nib_text_open(d->e->body, "{");
  nib_text_line(d->e->body, "float *to = weights_of_panel;");
  emit_all_groups(&t);
  nib_text_close(d->e->body, "");
  nib_block_emit_rows(d, columns, tail, emit_unpacked_tile);
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  nib_block_dots d;
  NIB_RETURN_IF_ERROR(nib_block_begin(e, kernel, plan, &d));
  if (!d.pack.by_codes)
    NIB_RETURN_IF_ERROR(nib_block_reals_constant(&d, kernel, "reals", d.pack.reals, 16));
  NIB_RETURN_IF_ERROR(nib_block_begin_epilogue(&d, kernel));
  NIB_RETURN_IF_ERROR(nib_block_reals_rows_emit(&d, kernel));
  if (d.unpacks)
    nib_text_line(e->body, "float *const weights_of_panel = (float *)(void *)scratch;");
  nib_block_emit_panels(&d, emit_panel);
  nib_epilogue_release(&d.epilogue);
  return NIB_OK;
}

static int64_t units(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  nib_block_dots d;
  return plan(g, kernel, v, &d) ? d.pack.panels : 1;
}

const nib_schedule nib_schedule_block_reals = {
    .name = "block_reals",
    .accepts = accepts,
    .tiles = tiles,
    .scratch_bytes = scratch_bytes,
    .emit = emit,
    .units = units,
};

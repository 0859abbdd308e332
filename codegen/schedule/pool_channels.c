/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * pool_channels: pools and means over leading dimensions, vectorised over channels. A tile is
 * tile[1] registers of channels of one window. Windows at the border know how many elements they
 * have; what depends on that number comes from a table by it. */
#include "emit/snippets.h"
#include "epilogue/followers.h"
#include "epilogue/say.h"
#include "schedule/row_stage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef long long ll;

enum { most_columns = 4, most_counts = 4096 };

/* Index 0 is y, 1 is x. A mean is one window over `in[0]` rows of one pixel. */
typedef struct pool {
  nib_op op;
  const nib_node *n;
  const nib_tensor *x, *y;
  bool is_float, with_padding;
  int64_t batch, channels, in[2], out[2], kernel[2], stride[2], before[2], after[2];
  bool border[2]; /* some windows leave the input */
} pool;

/* ---- what it accepts ---- */

static bool is_byte(const nib_tensor *t) {
  return t->quantized && (t->format == NIB_I8 || t->format == NIB_U8);
}

static bool shape_of_window(pool *p) {
  if (p->x->rank != 4 || p->y->rank != 4)
    return false;
  p->batch = p->x->dims[0];
  p->channels = p->x->dims[3];
  for (int i = 0; i < 2; i++) {
    p->in[i] = p->x->dims[1 + i];
    p->out[i] = p->y->dims[1 + i];
    p->kernel[i] = nib_node_ints_at(p->n, NIB_A_KERNEL, i, 1);
    p->stride[i] = nib_node_ints_at(p->n, NIB_A_STRIDES, i, 1);
    p->before[i] = nib_node_ints_at(p->n, NIB_A_PADS, i, 0);
    p->after[i] = nib_node_ints_at(p->n, NIB_A_PADS, 2 + i, 0);
    const int64_t last = (p->out[i] - 1) * p->stride[i] - p->before[i];
    p->border[i] = p->before[i] > 0 || last + p->kernel[i] > p->in[i];
    /* Every window has an element inside. */
    if (p->before[i] < 0 || p->before[i] >= p->kernel[i] || last >= p->in[i])
      return false;
  }
  p->with_padding = nib_node_int(p->n, NIB_A_COUNT_INCLUDE_PAD, 0) != 0;
  return true;
}

/* The reduced dimensions must be neighbours with something behind them. */
static bool shape_of_mean(pool *p) {
  const nib_attr *axes = nib_node_attr(p->n, NIB_A_AXES);
  bool reduced[NIB_MAX_RANK] = {false};
  for (int32_t i = 0; axes && i < axes->u.ints.n; i++) {
    const int64_t axis = axes->u.ints.v[i] + (axes->u.ints.v[i] < 0 ? p->x->rank : 0);
    if (axis < 0 || axis >= p->x->rank)
      return false;
    reduced[axis] = true;
  }
  int state = 0; /* before, inside, behind the reduced ones */
  p->batch = p->channels = p->in[0] = p->in[1] = 1;
  for (int32_t d = 0; d < p->x->rank; d++) {
    state = reduced[d] && state == 0 ? 1 : !reduced[d] && state == 1 ? 2 : state;
    if (reduced[d] && state == 2)
      return false;
    *(state == 0 ? &p->batch : state == 1 ? &p->in[0] : &p->channels) *= p->x->dims[d];
  }
  p->kernel[0] = p->in[0];
  for (int i = 0; i < 2; i++)
    p->out[i] = p->stride[i] = 1;
  p->kernel[1] = 1;
  return state == 2;
}

static bool describe(const nib_graph *g, const nib_node *n, pool *p) {
  memset(p, 0, sizeof *p);
  p->op = n->op;
  p->n = n;
  p->x = nib_node_input(g, n, 0);
  p->y = &g->tensors[n->out];
  if (!p->x || p->x->data)
    return false;
  p->is_float = nib_params_is_real(p->x->format);
  if (n->op == NIB_OP_MEAN)
    return shape_of_mean(p);
  return (n->op == NIB_OP_AVG_POOL2D || n->op == NIB_OP_MAX_POOL2D) && shape_of_window(p);
}

static bool formats_fit(const pool *p) {
  if (nib_tensor_elems(p->x) > INT32_MAX / 4 || nib_tensor_elems(p->x) < 1)
    return false;
  if (p->is_float)
    return p->y->format == p->x->format &&
           strcmp(nib_node_string(p->n, NIB_A_ACTIVATION, "none"), "tanh") != 0;
  return is_byte(p->x) && is_byte(p->y) &&
         (p->op != NIB_OP_MAX_POOL2D || p->x->format == p->y->format);
}

static bool has_border(const pool *p) { return p->border[0] || p->border[1]; }

/* ---- means of codes ---- */

/* The mean of `count` codes with ties away from zero, as rint(sum * scale + offset away from zero):
 * the offset settles ties and is too small for anything else. */
typedef struct division {
  float scale, offset;
} division;

static bool agrees(const division *d, int64_t sum, int64_t count) {
  const int64_t half = count / 2, want = (sum > 0 ? sum + half : sum - half) / count;
  return rintf(fmaf((float)sum, d->scale, copysignf(d->offset, (float)sum))) == (float)want;
}

/* Both sides are monotone: equal at both sides of every step, they are equal everywhere. */
static bool prove_division(nib_format format, int64_t count, division *out_division) {
  const nib_format_info *f = nib_format_get(format);
  *out_division = (division){(float)(1.0 / (double)count), (float)(0.25 / (double)count)};
  if (count > 65536)
    return false;
  for (int64_t code = f->min; code <= f->max; code++) {
    const int64_t step = code * count, half = (count + 1) / 2; /* codes change at step ± half */
    for (int64_t sum = step - half - 1; sum <= step - half + 1; sum++)
      if (sum >= f->min * count && sum <= f->max * count && !agrees(out_division, sum, count))
        return false;
    for (int64_t sum = step + half - 1; sum <= step + half + 1; sum++)
      if (sum >= f->min * count && sum <= f->max * count && !agrees(out_division, sum, count))
        return false;
  }
  return true;
}

/* Counts that windows can have: [*out_first, *out_last]. */
static void counts_of(const pool *p, int64_t *out_first, int64_t *out_last) {
  *out_last = p->kernel[0] * p->kernel[1];
  *out_first = has_border(p) ? 1 : *out_last;
}

static bool can_average(const nib_graph *g, const pool *p, const nib_vocab *v) {
  int64_t first, last;
  nib_mean_params m;
  counts_of(p, &first, &last);
  if (last - first > most_counts || last > INT32_MAX / 512)
    return false;
  for (int64_t count = first; count <= last; count++) {
    division d;
    if (nib_params_mean(g, p->n, count, &m) != NIB_OK || m.truncate)
      return false;
    if (m.divide && (g->integer_only || !nib_vocab_prim(v, NIB_PRIM_RQ_SIGNED) ||
                     !prove_division(p->x->format, count, &d)))
      return false;
    const nib_prim prim = nib_epilogue_requant_prim(m.rounding);
    const bool left = m.rounding == NIB_ROUNDING_TOSA_DOUBLE && m.out.shift > 0;
    if (!m.divide && (prim >= NIB_PRIM_COUNT || !nib_vocab_prim(v, prim) || left))
      return false;
  }
  return true;
}

static bool accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  static const nib_prim ints[] = {NIB_PRIM_I32_SET, NIB_PRIM_I32_ADD, NIB_PRIM_I32_MAX};
  static const nib_prim floats[] = {NIB_PRIM_F32_SET, NIB_PRIM_F32_ADD, NIB_PRIM_F32_MAX,
                                    NIB_PRIM_F32_DIV};
  pool p;
  if (v->lanes < 2 || !describe(g, &g->nodes[kernel->nodes[0]], &p) || !formats_fit(&p) ||
      !nib_epilogue_can_finish(g, kernel, 1, v))
    return false;
  if (p.is_float) /* averages are summed in f32 */
    return (p.op == NIB_OP_MAX_POOL2D || !v->real_f16) &&
           nib_vocab_holds(v, p.x->format) && nib_vocab_has(v, floats, sizeof floats / sizeof *floats);
  return nib_vocab_has(v, ints, sizeof ints / sizeof *ints) &&
         (p.op == NIB_OP_MAX_POOL2D || can_average(g, &p, v));
}

static int tiles(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                 int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  pool p;
  describe(g, &g->nodes[kernel->nodes[0]], &p);
  const int64_t whole = p.channels / v->lanes;
  int n = 0;
  for (int32_t columns = most_columns; columns >= 1 && n < capacity; columns /= 2) {
    if (columns > 1 && columns > whole)
      continue;
    memset(out_tiles[n], 0, sizeof out_tiles[n]);
    out_tiles[n][0] = 1;
    out_tiles[n++][1] = columns;
  }
  return n;
}

/* ---- emission ---- */

typedef struct pool_channels {
  pool p;
  nib_emitter *e;
  nib_epilogue epilogue;
  nib_mean_params mean; /* of any count: what does not depend on it */
  const char *table[2]; /* arrays of factors by count; NULL for a single count */
  nib_word factor[2];   /* expressions */
  int64_t columns;      /* of a tile */
  nib_row_rings rings;  /* what in0 and out hold */
} pool_channels;

static bool is_average_of_codes(const pool *p) {
  return !p->is_float && p->op != NIB_OP_MAX_POOL2D;
}

static bool by_reals(const pool_channels *r) {
  return r->mean.divide || nib_epilogue_is_float_rounding(r->mean.rounding);
}

/* What a count multiplies by: scale and offset, or multiplier and shift. */
typedef struct factors {
  float reals[2];
  int32_t ints[2];
} factors;

static bool factors_of(const pool_channels *r, int64_t count, factors *out_factors) {
  division d;
  nib_mean_params m;
  memset(out_factors, 0, sizeof *out_factors);
  if (nib_params_mean(r->e->graph, r->p.n, count, &m) != NIB_OK)
    return false;
  if (m.divide) {
    const bool proven = prove_division(r->p.x->format, count, &d);
    *out_factors = (factors){.reals = {d.scale, d.offset}};
    return proven;
  }
  *out_factors = (factors){{m.out.scale, 0.0f}, {m.out.multiplier, m.out.shift}};
  return true;
}

/* Fills r->factor: literals for a single count, else expressions of entry `count` of tables. */
static nib_status add_factors(pool_channels *r) {
  int64_t first, last;
  factors f;
  counts_of(&r->p, &first, &last);
  if (!is_average_of_codes(&r->p))
    return NIB_OK;
  NIB_RETURN_IF_ERROR(nib_params_mean(r->e->graph, r->p.n, last, &r->mean));
  const bool real = by_reals(r);
  if (!has_border(&r->p)) {
    if (!factors_of(r, last, &f))
      return NIB_ERROR_INTERNAL;
    for (int i = 0; i < 2; i++)
      r->factor[i] = real ? nib_word_f32(f.reals[i]) : nib_word_of("%d", (int)f.ints[i]);
    return NIB_OK;
  }
  const size_t bytes = ((size_t)last + 1) * 4;
  nib_status status = NIB_OK;
  for (int i = 0; status == NIB_OK && i < 2; i++) {
    int32_t *words = calloc((size_t)last + 1, 4);
    status = words ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
    for (int64_t count = first; status == NIB_OK && count <= last; count++) {
      status = factors_of(r, count, &f) ? NIB_OK : NIB_ERROR_INTERNAL;
      memcpy(&words[count], real ? (const void *)&f.reals[i] : &f.ints[i], 4);
    }
    const nib_word hint = nib_word_of("%s_factor%d", r->epilogue.kernel->name, i);
    if (status == NIB_OK)
      r->table[i] =
          nib_constants_add(r->e->constants, hint.s, real ? "float" : "int32_t", words, bytes);
    free(words);
    r->factor[i] = nib_word_of("factors%d[count]", i);
    if (status == NIB_OK && !r->table[i])
      status = NIB_ERROR_OUT_OF_MEMORY;
  }
  return status;
}

static const char *register_type(const pool_channels *r) {
  return r->p.is_float ? r->e->vocab->type_f32 : r->e->vocab->type_i32;
}

static void emit_initial(pool_channels *r, int64_t columns) {
  nib_emitter *e = r->e;
  const bool max = r->p.op == NIB_OP_MAX_POOL2D;
  const nib_word least = r->p.is_float
                             ? nib_word_f32(-INFINITY)
                             : nib_word_of("%lld", (ll)nib_format_get(r->p.x->format)->min);
  for (int64_t k = 0; k < columns; k++) {
    nib_text_line(e->body, "%s acc%lld;", register_type(r), (ll)k);
    nib_say(e, r->p.is_float ? NIB_PRIM_F32_SET : NIB_PRIM_I32_SET, nib_word_of("acc%lld", (ll)k).s,
            max             ? least.s
            : r->p.is_float ? "0.0f"
                            : "0",
            NULL, NULL, NULL);
  }
}

static nib_prim combining(const pool *p) {
  if (p->op == NIB_OP_MAX_POOL2D)
    return p->is_float ? NIB_PRIM_F32_MAX : NIB_PRIM_I32_MAX;
  return p->is_float ? NIB_PRIM_F32_ADD : NIB_PRIM_I32_ADD;
}

static void emit_window(pool_channels *r, int64_t columns, int tail) {
  nib_emitter *e = r->e;
  const pool *p = &r->p;
  const int64_t lanes = e->vocab->lanes;
  const nib_word image =
      p->batch > 1 ? nib_word_of("b * %lld + ", (ll)p->in[0]) : nib_word_of("%s", "");
  nib_text_open(e->body, "for (int32_t y = y0; y < y1; y++) {");
  const nib_word row =
      r->rings.in ? nib_word_of("y %% %lld", (ll)r->rings.in) : nib_word_of("%sy", image.s);
  nib_text_line(e->body, "const %s *a = in0 + ((%s) * %lld + x0) * %lld + c;",
                nib_format_get(p->x->format)->c_type, row.s, (ll)p->in[1], (ll)p->channels);
  nib_text_open(e->body, "for (int32_t x = x0; x < x1; x++, a += %lld) {", (ll)p->channels);
  nib_text_line(e->body, "%s value;", register_type(r));
  for (int64_t k = 0; k < columns; k++) {
    const nib_word acc = nib_word_of("acc%lld", (ll)k);
    nib_epilogue_load(&r->epilogue, p->n->in[0], "value",
                      nib_word_of("a + %lld", (ll)(k * lanes)).s, tail);
    nib_say(e, combining(p), acc.s, p->op == NIB_OP_MAX_POOL2D ? "value" : acc.s,
            p->op == NIB_OP_MAX_POOL2D ? acc.s : "value", NULL, NULL);
  }
  nib_text_close(e->body, "");
  nib_text_close(e->body, "");
}

static void say_set(pool_channels *r, const char *name, bool real, const char *from) {
  nib_emitter *e = r->e;
  nib_text_line(e->body, "%s %s;", real ? e->vocab->type_f32 : e->vocab->type_i32, name);
  nib_say(e, real ? NIB_PRIM_F32_SET : NIB_PRIM_I32_SET, name, from, NULL, NULL, NULL);
}

/* acc = code of the mean of its sum. `inside`, `count`: variables at the border. */
static void emit_mean_of_codes(pool_channels *r, const char *acc) {
  nib_emitter *e = r->e;
  const pool *p = &r->p;
  const nib_mean_params *m = &r->mean;
  const bool border = has_border(p);
  const ll zp = m->in_zp, count = p->kernel[0] * p->kernel[1];
  const nib_prim prim = m->divide ? NIB_PRIM_RQ_SIGNED : nib_epilogue_requant_prim(m->rounding);
  /* Padding counts as codes of the zero point; multipliers want codes less their zero point. */
  const char *pads = border && p->with_padding ? "(count - inside)" : "0";
  const nib_word shift = m->divide ? nib_word_of("%s * (%lld)", pads, zp)
                         : border  ? nib_word_of("inside * (%lld)", -zp)
                                   : nib_word_of("%lld", -zp * count);
  nib_text_open(e->body, "{");
  if (zp != 0 && (!m->divide || (border && p->with_padding))) {
    say_set(r, "zeros", false, shift.s);
    nib_say(e, NIB_PRIM_I32_ADD, acc, acc, "zeros", NULL, NULL);
  }
  say_set(r, "factor", by_reals(r), r->factor[0].s);
  if (m->divide || !by_reals(r))
    say_set(r, "second", by_reals(r), r->factor[1].s);
  nib_say(e, prim, acc, acc, "factor", "second", NULL);
  const double reach = 256.0 * p->x->scale / p->y->scale;
  const nib_codes codes = {.zero_point = m->divide ? 0 : m->out_zp,
                           .lo = m->lo,
                           .hi = m->hi,
                           .may_wrap = !m->divide && !(reach < 1073741824.0),
                           .last = r->epilogue.kernel->n_nodes == 1,
                           .format = p->y->format};
  nib_epilogue_offset_clamp(&r->epilogue, acc, &codes);
  nib_text_close(e->body, "");
}

static void emit_root(pool_channels *r, const char *acc) {
  nib_emitter *e = r->e;
  const pool *p = &r->p;
  if (is_average_of_codes(p)) {
    emit_mean_of_codes(r, acc);
    return;
  }
  if (!p->is_float) {
    nib_codes codes = {.last = r->epilogue.kernel->n_nodes == 1, .format = p->y->format};
    nib_params_code_range(e->graph, p->n, &codes.lo, &codes.hi);
    nib_epilogue_offset_clamp(&r->epilogue, acc, &codes);
    return;
  }
  if (p->op != NIB_OP_MAX_POOL2D) {
    nib_text_open(e->body, "{");
    say_set(r, "divisor", true,
            has_border(p) ? "(float)count" : nib_word_f32((float)(p->kernel[0] * p->kernel[1])).s);
    nib_say(e, NIB_PRIM_F32_DIV, acc, acc, "divisor", NULL, NULL);
    nib_text_close(e->body, "");
  }
  float low, high;
  nib_params_real_range(e->graph, p->n, &low, &high);
  nib_epilogue_clamp_real(&r->epilogue, acc, low, high);
}

static void emit_columns(pool_channels *r, int64_t columns, int tail) {
  nib_emitter *e = r->e;
  const pool *p = &r->p;
  emit_initial(r, columns);
  emit_window(r, columns, tail);
  const nib_word image = p->batch > 1   ? nib_word_of("(b * %lld + oy)", (ll)p->out[0])
                         : r->rings.out ? nib_word_of("(oy %% %lld)", (ll)r->rings.out)
                                        : nib_word_of("oy");
  nib_text_line(e->body, "const int32_t at = (%s * %lld + ox) * %lld + c;", image.s, (ll)p->out[1],
                (ll)p->channels);
  for (int64_t k = 0; k < columns; k++) {
    const nib_word acc = nib_word_of("acc%lld", (ll)k),
                   from = nib_word_of("%lld", (ll)(k * e->vocab->lanes));
    const nib_word channel = nib_word_of("c + %s", from.s);
    emit_root(r, acc.s);
    r->epilogue.channel = channel.s;
    nib_epilogue_finish(&r->epilogue, acc.s, nib_word_of("at + %s", from.s).s, tail);
  }
}

/* The window of output `o` along an axis: its first and last rows inside the input. */
static void emit_range(pool_channels *r, int axis) {
  nib_emitter *e = r->e;
  const pool *p = &r->p;
  const char v = axis ? 'x' : 'y';
  const ll kernel = p->kernel[axis], extent = p->in[axis];
  if (!p->border[axis]) {
    nib_text_line(e->body, "const int32_t %c0 = o%c * %lld, %c1 = %c0 + %lld;", v, v,
                  (ll)p->stride[axis], v, v, kernel);
    return;
  }
  nib_text_line(e->body, "const int32_t first_%c = o%c * %lld - %lld;", v, v, (ll)p->stride[axis],
                (ll)p->before[axis]);
  nib_text_line(e->body, "const int32_t %c0 = first_%c < 0 ? 0 : first_%c;", v, v, v);
  nib_text_line(e->body, "const int32_t %c1 = first_%c > %lld ? %lld : first_%c + %lld;", v, v,
                extent - kernel, extent, v, kernel);
}

/* Extent of the window along an axis with the padding that it covers. */
static nib_word padded_extent(const pool *p, int axis) {
  const char v = axis ? 'x' : 'y';
  const ll kernel = p->kernel[axis], end = p->in[axis] + p->after[axis];
  const int64_t last = (p->out[axis] - 1) * p->stride[axis] - p->before[axis];
  if (last + kernel <= end)
    return nib_word_of("%lld", kernel);
  return nib_word_of("(first_%c > %lld ? %lld - first_%c : %lld)", v, end - kernel, end, v, kernel);
}

static void emit_count(pool_channels *r) {
  nib_emitter *e = r->e;
  const pool *p = &r->p;
  const bool centred = is_average_of_codes(p) && r->mean.in_zp != 0;
  const bool inside = !p->with_padding || centred;
  if (!has_border(p) || p->op == NIB_OP_MAX_POOL2D)
    return;
  if (inside)
    nib_text_line(e->body, "const int32_t inside = (y1 - y0) * (x1 - x0);");
  if (p->with_padding)
    nib_text_line(e->body, "const int32_t count = %s * %s;", padded_extent(p, 0).s,
                  padded_extent(p, 1).s);
  else
    nib_text_line(e->body, "const int32_t count = inside;");
}

static void emit_channels(pool_channels *r, int64_t columns) {
  nib_emitter *e = r->e;
  const int64_t lanes = e->vocab->lanes, channels = r->p.channels;
  int64_t at = 0;
  for (int64_t width = columns; width >= 1; width = width > 1 ? 1 : 0) {
    const int64_t end = at + (channels - at) / (width * lanes) * (width * lanes);
    if (end == at)
      continue;
    nib_text_open(e->body, "for (int32_t c = %lld; c < %lld; c += %lld) {", (ll)at, (ll)end,
                  (ll)(width * lanes));
    emit_columns(r, width, 0);
    nib_text_close(e->body, "");
    at = end;
  }
  if (at < channels) {
    nib_text_open(e->body, "{ /* the last channels */");
    nib_text_line(e->body, "const int32_t c = %lld;", (ll)at);
    emit_columns(r, 1, (int)(channels - at));
    nib_text_close(e->body, "");
  }
}

static void emit_tables(pool_channels *r) {
  const bool second = r->mean.divide || !by_reals(r);
  for (int i = 0; i < 2; i++)
    if (r->table[i] && (i == 0 || second))
      nib_text_line(r->e->body, "const %s *const factors%d = %s;",
                    by_reals(r) ? "float" : "int32_t", i, r->table[i]);
}

/* Output row oy. */
static void emit_row(pool_channels *r) {
  nib_emitter *e = r->e;
  emit_range(r, 0);
  nib_text_open(e->body, "for (int32_t ox = 0; ox < %lld; ox++) {", (ll)r->p.out[1]);
  emit_range(r, 1);
  emit_count(r);
  emit_channels(r, r->columns);
  nib_text_close(e->body, "");
}

static void emit_body(pool_channels *r) {
  nib_emitter *e = r->e;
  const pool *p = &r->p;
  nib_text_line(e->body, "/* %s: %s %lldx%lld, %lldx%lldx%lld to %lldx%lldx%lld */",
                r->epilogue.kernel->name, nib_op_get(p->op)->mnemonic, (ll)p->kernel[0],
                (ll)p->kernel[1], (ll)p->in[0], (ll)p->in[1], (ll)p->channels, (ll)p->out[0],
                (ll)p->out[1], (ll)p->channels);
  emit_tables(r);
  if (p->batch > 1)
    nib_text_open(e->body, "for (int32_t b = 0; b < %lld; b++) {", (ll)p->batch);
  if (e->cut)
    nib_text_open(e->body, "for (int32_t oy = begin; oy < end; oy++) {");
  else
    nib_text_open(e->body, "for (int32_t oy = 0; oy < %lld; oy++) {", (ll)p->out[0]);
  emit_row(r);
  nib_text_close(e->body, "");
  if (p->batch > 1)
    nib_text_close(e->body, "");
}

static nib_status prepare(pool_channels *r, const nib_kernel *kernel) {
  nib_emitter *e = r->e;
  describe(e->graph, &e->graph->nodes[kernel->nodes[0]], &r->p);
  r->columns = kernel->tile[1] > 0 ? kernel->tile[1] : 1;
  NIB_RETURN_IF_ERROR(nib_epilogue_begin(&r->epilogue, e, kernel, 1));
  const nib_status status = add_factors(r);
  return status == NIB_OK ? NIB_OK
                          : nib_diag_error(e->diag, status, "%s: no parameters for its mean",
                                           kernel->name);
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  pool_channels r = {.e = e};
  NIB_RETURN_IF_ERROR(prepare(&r, kernel));
  const size_t before = e->body->size;
  emit_body(&r);
  return nib_epilogue_end(&r.epilogue, e, before);
}

static int64_t units(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  (void)v;
  pool p;
  describe(g, &g->nodes[kernel->nodes[0]], &p);
  return p.out[0];
}

/* ---- as a stage of a chain ---- */

/* Not where one window takes all rows. */
static bool row_shape(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                      nib_row_shape *out_shape) {
  (void)v;
  pool p;
  if (!describe(g, &g->nodes[kernel->nodes[0]], &p) || p.op == NIB_OP_MEAN || p.batch != 1)
    return false;
  *out_shape = (nib_row_shape){.in_h = p.in[0],
                               .out_h = p.out[0],
                               .out_w = p.out[1],
                               .rows = 1,
                               .stride = p.stride[0],
                               .pad = p.before[0],
                               .span = p.kernel[0]};
  return p.out[0] > 1;
}

static nib_status row_open(nib_emitter *e, const nib_kernel *kernel, nib_row_rings rings,
                           void **out_stage) {
  pool_channels *r = calloc(1, sizeof *r);
  *out_stage = r;
  if (!r)
    return NIB_ERROR_OUT_OF_MEMORY;
  r->e = e;
  r->rings = rings;
  return prepare(r, kernel);
}

static void row_emit_step(void *stage) {
  pool_channels *r = stage;
  emit_tables(r);
  nib_text_line(r->e->body, "const int32_t oy = top;");
  emit_row(r);
}

static void row_close(void *stage) {
  pool_channels *r = stage;
  if (r && r->epilogue.e)
    nib_epilogue_release(&r->epilogue);
  free(r);
}

extern const nib_schedule nib_schedule_pool_channels;

const nib_row_stage nib_row_stage_pool = {
    .schedule = &nib_schedule_pool_channels,
    .shape = row_shape,
    .open = row_open,
    .emit_step = row_emit_step,
    .close = row_close,
};

const nib_schedule nib_schedule_pool_channels = {
    .name = "pool_channels",
    .accepts = accepts,
    .tiles = tiles,
    .scratch_bytes = nib_schedule_no_scratch,
    .emit = emit,
    .units = units,
};

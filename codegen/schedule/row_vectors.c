// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Phases of rows in registers of a vocabulary; a row's last elements by its forms for tails.
#include "schedule/row_vectors.h"

#include "epilogue/say.h"
#include "params/params.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef long long ll;

/* A loop body that is being written. */
typedef struct body {
  nib_rows *r;
  int tail; /* elements of the last register, or 0: all lanes */
} body;

static const nib_node *node_at(const nib_rows *r, int32_t position) {
  return &r->d->g->nodes[r->d->kernel->nodes[position]];
}

static const nib_tensor *result_of(const nib_rows *r, int32_t position) {
  return &r->d->g->tensors[node_at(r, position)->out];
}

/* ---- what vocabularies can say ---- */

static const struct step {
  nib_op op;
  nib_prim prim;
  int operands;
} steps[] = {
    {NIB_OP_ADD, NIB_PRIM_F32_ADD, 2}, {NIB_OP_SUB, NIB_PRIM_F32_SUB, 2},
    {NIB_OP_MUL, NIB_PRIM_F32_MUL, 2}, {NIB_OP_DIV, NIB_PRIM_F32_DIV, 2},
    {NIB_OP_EXP, NIB_PRIM_F32_EXP, 1}, {NIB_OP_WHERE, NIB_PRIM_F32_WHERE, 3},
    {NIB_OP_CAST, NIB_PRIM_COUNT, 1},
};

static const struct step *step_of(nib_op op) {
  for (size_t i = 0; i < sizeof steps / sizeof *steps; ++i)
    if (steps[i].op == op)
      return &steps[i];
  return NULL;
}

static bool has(const nib_rows *r, nib_prim prim) {
  return nib_vocab_prim(r->d->e->vocab, prim) != NULL;
}

/* Elements of a format in memory: the first of its load and store. */
static bool load_of(nib_format f, nib_prim *out_load, nib_prim *out_store) {
  *out_load = nib_real_load(f);
  *out_store = f == NIB_F32   ? NIB_PRIM_F32_STORE
               : f == NIB_F16 ? NIB_PRIM_F16_STORE
                              : NIB_PRIM_BF16_STORE;
  return f == NIB_F32 || f == NIB_F16 || f == NIB_BF16;
}

static bool can_load(const nib_rows *r, int32_t position, int32_t slot, int64_t width) {
  const nib_node *n = node_at(r, position);
  const nib_tensor *t = nib_node_input(r->d->g, n, slot);
  nib_prim load, store;
  nib_expr literal;
  int64_t own;
  if (nib_row_position(r->d->g, r->d->kernel, n->in[slot]) >= 0)
    return t->format != NIB_I1;
  nib_rows_outer(r, position, slot, "row", &own);
  if (n->op == NIB_OP_WHERE && slot == 0)
    return t->format == NIB_I1 && own == width && has(r, NIB_PRIM_U8_LOAD);
  if (!load_of(t->format, &load, &store))
    return false;
  if (own == 1 || nib_direct_literal(t, &literal))
    return true;
  return has(r, load) && (t->format == NIB_F32 || width % r->d->e->vocab->lanes == 0);
}

static bool can_step(const nib_rows *r, int32_t position, int64_t width) {
  const nib_node *n = node_at(r, position);
  const struct step *s = step_of(n->op);
  nib_prim load, store;
  float low, high;
  if (!s || (s->prim != NIB_PRIM_COUNT && !has(r, s->prim)) ||
      !load_of(result_of(r, position)->format, &load, &store) || !has(r, load) || !has(r, store))
    return false;
  nib_params_real_range(r->d->g, n, &low, &high);
  if (!isinf(low) || !isinf(high) ||
      strcmp(nib_node_string(n, NIB_A_ACTIVATION, "none"), "none") != 0)
    return false;
  for (int i = 0; i < s->operands; ++i)
    if (!can_load(r, position, i, width))
      return false;
  return true;
}

bool nib_rows_is_vector(const nib_rows *r, int32_t phase) {
  static const nib_prim needed[] = {NIB_PRIM_F32_SET,   NIB_PRIM_F32_LOAD,   NIB_PRIM_F32_STORE,
                                    NIB_PRIM_F32_ADD,   NIB_PRIM_F32_SUB,    NIB_PRIM_F32_MUL,
                                    NIB_PRIM_F32_DIV,   NIB_PRIM_F32_MAX,    NIB_PRIM_F32_SUM,
                                    NIB_PRIM_F32_FIRST, NIB_PRIM_F32_LARGEST};
  const nib_row_phase *p = &r->plan->phases[phase];
  if (p->kind != NIB_ROW_LOOP || r->d->e->vocab->lanes < 2 ||
      !nib_vocab_has(r->d->e->vocab, needed, sizeof needed / sizeof *needed))
    return false;
  for (int32_t i = 0; i < p->n_items; ++i) {
    const nib_row_item *item = &p->items[i];
    const nib_node *n = node_at(r, item->position);
    if (item->action == NIB_ROW_STEP ? !can_step(r, item->position, p->width)
                                     : !can_load(r, item->position, 0, p->width))
      return false;
    if (item->action == NIB_ROW_POWERS && !has(r, NIB_PRIM_F32_EXP))
      return false;
    if (n->op == NIB_OP_REDUCE && nib_params_reduction(n) != NIB_OP_ADD)
      return false;
  }
  return true;
}

/* ---- values ---- */

static void declare(body *b, const char *name) {
  nib_text_line(b->r->d->t, "%s %s;", b->r->d->e->vocab->type_f32, name);
}

static void say(body *b, nib_prim prim, const char *d, const char *x, const char *y) {
  nib_say(b->r->d->e, prim, d, x, y, NULL, NULL);
}

/* A register of element `i` on of operand `slot`. */
static nib_expr operand(body *b, int32_t position, int32_t slot) {
  nib_rows *r = b->r;
  nib_direct *d = r->d;
  const nib_node *n = node_at(r, position);
  const nib_tensor *t = nib_node_input(d->g, n, slot);
  const int32_t from = nib_row_position(d->g, d->kernel, n->in[slot]);
  if (from >= 0 && r->plan->made_in[from] == r->phase)
    return nib_expr_printf("v%d", from);
  const bool condition = n->op == NIB_OP_WHERE && slot == 0;
  nib_expr name = nib_expr_printf("x%d_%d", position, slot), literal;
  nib_text_line(d->t, "%s %s;", condition ? d->e->vocab->type_i32 : d->e->vocab->type_f32, name.s);
  if (from >= 0 && r->plan->width[from] == 1) {
    say(b, NIB_PRIM_F32_SET, name.s, nib_rows_number(r, 's', from).s, NULL);
    return name;
  }
  if (from >= 0) {
    nib_say_lanes(d->e, NIB_PRIM_F32_LOAD, name.s,
                  nib_expr_printf("%s + i", nib_rows_kept(r, from).s).s, NULL, b->tail);
    return name;
  }
  if (nib_direct_literal(t, &literal)) {
    say(b, NIB_PRIM_F32_SET, name.s, literal.s, NULL);
    return name;
  }
  int64_t width;
  nib_expr index, p = nib_rows_place_of(r, position, slot, &width, &index);
  nib_expr at = nib_expr_printf("%s + %s", p.s, index.s);
  nib_prim load, store;
  load_of(t->format, &load, &store);
  if (condition)
    nib_say_lanes(d->e, NIB_PRIM_U8_LOAD, name.s, at.s, NULL, b->tail);
  else if (width > 1)
    nib_say_lanes(d->e, load, name.s, at.s, NULL, b->tail);
  else
    say(b, NIB_PRIM_F32_SET, name.s,
        nib_direct_decode(t->format, nib_expr_printf("*(%s)", at.s).s).s, NULL);
  return name;
}

/* v<position> is there: rounded to its format, and stored where it belongs. */
static void put(body *b, int32_t position) {
  nib_rows *r = b->r;
  nib_direct *d = r->d;
  const nib_tensor *y = result_of(r, position);
  nib_expr v = nib_expr_printf("v%d", position);
  nib_prim load, store;
  load_of(y->format, &load, &store);
  if (position == d->kernel->n_nodes - 1) {
    nib_say_lanes(d->e, store, NULL,
                  nib_expr_printf("out + row * %lld + i", (ll)r->plan->width[position]).s, v.s,
                  b->tail);
    return;
  }
  if (y->format != NIB_F32) {
    nib_text_line(d->t, "uint16_t c%d[%d];", position, d->e->vocab->lanes);
    nib_say(d->e, store, NULL, nib_expr_printf("c%d", position).s, v.s, NULL, NULL);
    say(b, load, v.s, nib_expr_printf("c%d", position).s, NULL);
  }
  if (r->plan->read[position])
    nib_say_lanes(d->e, NIB_PRIM_F32_STORE, NULL,
                  nib_expr_printf("%s + i", nib_rows_kept(r, position).s).s, v.s, b->tail);
}

static void run_step(body *b, int32_t position) {
  nib_direct *d = b->r->d;
  const nib_node *n = node_at(b->r, position);
  const struct step *s = step_of(n->op);
  nib_expr v = nib_expr_printf("v%d", position), x[3];
  d->position = position;
  for (int i = 0; i < s->operands; ++i)
    x[i] = operand(b, position, i);
  nib_text_line(d->t, "%s %s; /* %s */", d->e->vocab->type_f32, v.s, nib_op_get(n->op)->mnemonic);
  if (s->prim == NIB_PRIM_COUNT)
    nib_text_line(d->t, "%s = %s;", v.s, x[0].s);
  else
    nib_say(d->e, s->prim, v.s, x[0].s, s->operands > 1 ? x[1].s : NULL,
            s->operands > 2 ? x[2].s : NULL, NULL);
  put(b, position);
}

/* Lanes past the row's end do not count. */
static void collect(body *b, nib_prim prim, const char *into, const char *x, const char *neutral) {
  nib_direct *d = b->r->d;
  if (b->tail == 0) {
    say(b, prim, into, into, x);
    return;
  }
  nib_text_open(d->t, "{");
  declare(b, "others");
  say(b, NIB_PRIM_F32_SET, "others", neutral, NULL);
  nib_say(d->e, NIB_PRIM_F32_FIRST, "others", x, "others", NULL, nib_expr_printf("%d", b->tail).s);
  say(b, prim, into, into, "others");
  nib_text_close(d->t, "");
}

/* softmax: exp of the scaled difference to the row's largest number. */
static void run_powers(body *b, int32_t position) {
  nib_rows *r = b->r;
  const float beta = (float)nib_node_float(node_at(r, position), NIB_A_BETA, 1.0);
  nib_expr e = nib_expr_printf("e%d", position), m = nib_expr_printf("most%d", position);
  nib_expr x = operand(b, position, 0);
  declare(b, e.s);
  say(b, NIB_PRIM_F32_SUB, e.s, x.s, m.s);
  if (beta != 1.0f)
    say(b, NIB_PRIM_F32_MUL, e.s, e.s, nib_expr_printf("beta%d", position).s);
  say(b, NIB_PRIM_F32_EXP, e.s, e.s, NULL);
  nib_say_lanes(r->d->e, NIB_PRIM_F32_STORE, NULL,
                nib_expr_printf("%s + i", nib_rows_kept(r, position).s).s, e.s, b->tail);
  collect(b, NIB_PRIM_F32_ADD, nib_expr_printf("sum%d", position).s, e.s, "0.0f");
}

static void run_item(body *b, const nib_row_item *item) {
  nib_rows *r = b->r;
  const int32_t position = item->position;
  r->d->position = position;
  switch (item->action) {
  case NIB_ROW_STEP:
    run_step(b, position);
    break;
  case NIB_ROW_SUM:
    collect(b, NIB_PRIM_F32_ADD, nib_expr_printf("sum%d", position).s, operand(b, position, 0).s,
            "0.0f");
    break;
  case NIB_ROW_LARGEST:
    collect(b, NIB_PRIM_F32_MAX, nib_expr_printf("max%d", position).s, operand(b, position, 0).s,
            "-INFINITY");
    break;
  case NIB_ROW_POWERS:
    run_powers(b, position);
    break;
  case NIB_ROW_SHARES: {
    nib_expr v = nib_expr_printf("v%d", position);
    declare(b, v.s);
    nib_say_lanes(r->d->e, NIB_PRIM_F32_LOAD, v.s,
                  nib_expr_printf("%s + i", nib_rows_kept(r, position).s).s, NULL, b->tail);
    say(b, NIB_PRIM_F32_MUL, v.s, v.s, nib_expr_printf("share%d", position).s);
    put(b, position);
    break;
  }
  }
}

/* ---- phases ---- */

static void set(body *b, const char *name, int32_t position, const char *value) {
  nib_expr variable = nib_expr_printf("%s%d", name, position);
  declare(b, variable.s);
  say(b, NIB_PRIM_F32_SET, variable.s, value, NULL);
}

static void begin_item(body *b, const nib_row_item *item) {
  nib_rows *r = b->r;
  const int32_t p = item->position;
  const float beta = (float)nib_node_float(node_at(r, p), NIB_A_BETA, 1.0);
  if (item->action == NIB_ROW_LARGEST)
    set(b, "max", p, "-INFINITY");
  if (item->action == NIB_ROW_SUM || item->action == NIB_ROW_POWERS)
    set(b, "sum", p, "0.0f");
  if (item->action == NIB_ROW_POWERS)
    set(b, "most", p, nib_rows_number(r, 'm', p).s);
  if (item->action == NIB_ROW_POWERS && beta != 1.0f)
    set(b, "beta", p, nib_direct_f32(beta).s);
  if (item->action == NIB_ROW_SHARES)
    set(b, "share", p, nib_expr_printf("1.0f / %s", nib_rows_number(r, 's', p).s).s);
}

static void end_item(body *b, const nib_row_item *item) {
  nib_rows *r = b->r;
  const int32_t p = item->position;
  nib_expr sum = nib_expr_printf("sum%d", p), total = nib_expr_printf("total%d", p);
  if (item->action == NIB_ROW_LARGEST)
    say(b, NIB_PRIM_F32_LARGEST, nib_rows_number(r, 'm', p).s, nib_expr_printf("max%d", p).s, NULL);
  if (item->action == NIB_ROW_POWERS)
    say(b, NIB_PRIM_F32_SUM, nib_rows_number(r, 's', p).s, sum.s, NULL);
  if (item->action != NIB_ROW_SUM)
    return;
  nib_text_line(r->d->t, "float %s;", total.s);
  say(b, NIB_PRIM_F32_SUM, total.s, sum.s, NULL);
  nib_rows_end_sum(r, p, total.s);
}

void nib_rows_vector_phase(nib_rows *r, int32_t phase) {
  nib_direct *d = r->d;
  const nib_row_phase *p = &r->plan->phases[phase];
  const int lanes = d->e->vocab->lanes, tail = (int)(p->width % lanes);
  body b = {r, 0};
  r->phase = phase;
  nib_text_open(d->t, "{");
  for (int32_t i = 0; i < p->n_items; ++i)
    begin_item(&b, &p->items[i]);
  if (p->width >= lanes) {
    nib_text_open(d->t, "for (int32_t i = 0; i < %lld; i += %d) {", (ll)(p->width - tail), lanes);
    for (int32_t i = 0; i < p->n_items; ++i)
      run_item(&b, &p->items[i]);
    nib_text_close(d->t, "");
  }
  if (tail > 0) {
    b.tail = tail;
    nib_text_open(d->t, "{ /* the last elements */");
    nib_text_line(d->t, "const int32_t i = %lld;", (ll)(p->width - tail));
    for (int32_t i = 0; i < p->n_items; ++i)
      run_item(&b, &p->items[i]);
    nib_text_close(d->t, "");
  }
  b.tail = 0;
  for (int32_t i = 0; i < p->n_items; ++i)
    end_item(&b, &p->items[i]);
  nib_text_close(d->t, "");
}

/* ---- products ---- */

typedef struct product {
  nib_rows *r;
  int32_t position;
  ll depth, width;
} product;

/* Chains of sums that hide what an addition waits for the one before it. */
enum { ENOUGH_CHAINS = 8, MOST_PARTS = 4 };

/* Sums of each result, of every so many elements along the depth, where a tile has few results. */
static int32_t parts_of(const product *p, int32_t columns) {
  const nib_vocab *v = p->r->d->e->vocab;
  const int32_t sums = p->r->now * columns;
  int32_t parts = 1;
  while (!v->in_order && sums * parts < ENOUGH_CHAINS && parts < MOST_PARTS &&
         p->depth >= 16 * parts && 2 * sums * parts + columns < v->registers)
    parts *= 2;
  return parts;
}

static nib_expr sum_of(int32_t i, int32_t c, int32_t part) {
  return nib_expr_printf(part > 0 ? "acc%d_%d_%d" : "acc%d_%d", i, c, part);
}

/* Element k + part of the depth. */
static void say_products(product *p, int32_t columns, int tail, int32_t part) {
  nib_direct *d = p->r->d;
  const bool scalar = has(p->r, NIB_PRIM_F32_FMA_SCALAR);
  const nib_expr k = nib_expr_printf(part > 0 ? "(k + %d)" : "k", part);
  nib_text_open(d->t, "{");
  for (int32_t c = 0; c < columns; ++c) {
    nib_text_line(d->t, "%s b%d;", d->e->vocab->type_f32, c);
    nib_say_lanes(
        d->e, NIB_PRIM_F32_LOAD, nib_expr_printf("b%d", c).s,
        nib_expr_printf("matrix + %s * %lld + j + %d", k.s, p->width, c * d->e->vocab->lanes).s,
        NULL, c == columns - 1 ? tail : 0);
  }
  for (int32_t i = 0; i < p->r->now; ++i) {
    nib_expr left = nib_expr_printf("left%d[%s]", i, k.s);
    nib_expr x = scalar ? left : nib_expr_printf("a%d", i);
    if (!scalar) {
      nib_text_line(d->t, "%s a%d;", d->e->vocab->type_f32, i);
      nib_say(d->e, NIB_PRIM_F32_SET, x.s, left.s, NULL, NULL, NULL);
    }
    for (int32_t c = 0; c < columns; ++c)
      nib_say(d->e, scalar ? NIB_PRIM_F32_FMA_SCALAR : NIB_PRIM_F32_FMA, sum_of(i, c, part).s, x.s,
              nib_expr_printf("b%d", c).s, NULL, NULL);
  }
  nib_text_close(d->t, "");
}

static void say_depth(product *p, int32_t columns, int tail, int32_t parts) {
  nib_direct *d = p->r->d;
  const ll whole = p->depth / parts * parts;
  nib_text_open(d->t, "for (int32_t k = 0; k < %lld; k += %d) {", whole, parts);
  for (int32_t part = 0; part < parts; ++part)
    say_products(p, columns, tail, part);
  nib_text_close(d->t, "");
  if (whole < p->depth) {
    nib_text_open(d->t, "for (int32_t k = %lld; k < %lld; ++k) {", whole, p->depth);
    say_products(p, columns, tail, 0);
    nib_text_close(d->t, "");
  }
}

/* Columns from `j` on: so many registers, of which the last may be a tail. */
static void say_tile(product *p, int32_t columns, int tail) {
  nib_direct *d = p->r->d;
  const int32_t parts = parts_of(p, columns);
  for (int32_t i = 0; i < p->r->now; ++i)
    for (int32_t c = 0; c < columns; ++c)
      for (int32_t part = 0; part < parts; ++part) {
        nib_text_line(d->t, "%s %s;", d->e->vocab->type_f32, sum_of(i, c, part).s);
        nib_say(d->e, NIB_PRIM_F32_SET, sum_of(i, c, part).s, "0.0f", NULL, NULL, NULL);
      }
  say_depth(p, columns, tail, parts);
  for (int32_t i = 0; i < p->r->now; ++i)
    for (int32_t c = 0; c < columns; ++c) {
      for (int32_t part = 1; part < parts; ++part)
        nib_say(d->e, NIB_PRIM_F32_ADD, sum_of(i, c, 0).s, sum_of(i, c, 0).s, sum_of(i, c, part).s,
                NULL, NULL);
      nib_say_lanes(d->e, NIB_PRIM_F32_STORE, NULL,
                    nib_expr_printf("result%d + j + %d", i, c * d->e->vocab->lanes).s,
                    sum_of(i, c, 0).s, c == columns - 1 ? tail : 0);
    }
}

void nib_rows_vector_product(nib_rows *r, int32_t position) {
  nib_direct *d = r->d;
  const nib_tensor *a = nib_node_input(d->g, node_at(r, position), 0);
  const int lanes = d->e->vocab->lanes;
  product p = {r, position, (ll)a->dims[a->rank - 1], (ll)r->plan->width[position]};
  nib_text_open(d->t, "{ /* matmul */");
  for (int32_t i = 0; i < r->now; ++i) {
    nib_expr row = nib_expr_printf(i > 0 ? "(first + %d)" : "first", i),
             at = nib_expr_printf("%d", i);
    nib_text_line(d->t, "const float *const left%d = %s;", i,
                  nib_rows_left(r, position, row.s, at.s).s);
    nib_text_line(d->t, "float *const result%d = %s;", i,
                  nib_rows_result(r, position, row.s, at.s).s);
  }
  nib_text_line(d->t, "const float *const matrix = %s;", nib_rows_matrix(r, position, "first").s);
  const ll step = (ll)r->columns * lanes, whole = p.width / step * step, rest = p.width - whole;
  if (whole > 0) {
    nib_text_open(d->t, "for (int32_t j = 0; j < %lld; j += %lld) {", whole, step);
    say_tile(&p, r->columns, 0);
    nib_text_close(d->t, "");
  }
  if (rest > 0) {
    nib_text_open(d->t, "{ /* the last columns */");
    nib_text_line(d->t, "const int32_t j = %lld;", whole);
    say_tile(&p, (int32_t)((rest + lanes - 1) / lanes), (int)(rest % lanes));
    nib_text_close(d->t, "");
  }
  nib_text_close(d->t, "");
}

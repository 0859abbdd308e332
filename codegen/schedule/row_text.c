// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Phases of rows as loops in plain C, which the lanes of a CUDA block may share.
#include "schedule/row_steps.h"

#include "params/params.h"

#include <stdio.h>
#include <string.h>

typedef long long ll;

static const nib_node *node_at(const nib_rows *r, int32_t position) {
  return &r->d->g->nodes[r->d->kernel->nodes[position]];
}

static const nib_tensor *result_of(const nib_rows *r, int32_t position) {
  return &r->d->g->tensors[node_at(r, position)->out];
}

static bool is_last(const nib_rows *r, int32_t position) {
  return position == r->d->kernel->n_nodes - 1;
}

/* ---- where rows and numbers are ---- */

int64_t nib_rows_stride(const nib_rows *r, int32_t position) {
  return (r->plan->width[position] + 15) / 16 * 16;
}

void nib_rows_place(nib_rows *r, const nib_row_plan *plan, int32_t block, int64_t start) {
  r->plan = plan;
  r->block = r->now = block;
  r->bytes = start;
  for (int32_t i = 0; i < NIB_ROW_MAX_NODES; ++i) {
    r->offsets[i] = r->bytes;
    if (plan->kept[i])
      r->bytes += block * nib_rows_stride(r, i) * (int64_t)sizeof(float);
  }
}

nib_expr nib_rows_kept(const nib_rows *r, int32_t position) {
  return r->block > 1
             ? nib_expr_printf("rows%d + r * %lld", position, (ll)nib_rows_stride(r, position))
             : nib_expr_printf("rows%d", position);
}

nib_expr nib_rows_number(const nib_rows *r, char letter, int32_t position) {
  const bool many = r->block > 1 && !nib_direct_shares_sums(r->d);
  return nib_expr_printf(many ? "%c%d[r]" : "%c%d", letter, position);
}

static void declare_number(nib_rows *r, char letter, int32_t position) {
  if (r->block > 1 && !nib_direct_shares_sums(r->d))
    nib_text_line(r->d->t, "float %c%d[%d];", letter, position, r->block);
  else
    nib_text_line(r->d->t, "float %c%d;", letter, position);
}

void nib_rows_declare(nib_rows *r, const char *memory) {
  for (int32_t i = 0; i < r->d->kernel->n_nodes; ++i) {
    if (node_at(r, i)->op == NIB_OP_SOFTMAX)
      declare_number(r, 'm', i);
    if (node_at(r, i)->op == NIB_OP_SOFTMAX || (r->plan->width[i] == 1 && r->plan->read[i]))
      declare_number(r, 's', i);
    if (r->plan->kept[i] && r->plan->width[i] > 1)
      nib_text_line(r->d->t, "float *const rows%d = (float *)(void *)(%s + %lld);", i, memory,
                    (ll)r->offsets[i]);
  }
}

/* ---- operands ---- */

nib_expr nib_rows_outer(const nib_rows *r, int32_t position, int32_t slot, const char *row,
                        int64_t *out_width) {
  const nib_node *n = node_at(r, position);
  const nib_tensor *t = nib_node_input(r->d->g, n, slot), *y = result_of(r, position);
  int64_t ignored;
  if (n->op == NIB_OP_SOFTMAX || n->op == NIB_OP_MEAN || n->op == NIB_OP_REDUCE)
    y = t;
  const int32_t trailing = nib_row_trailing(y, r->plan->rows);
  const nib_tensor rows = nib_row_leading(t, trailing, out_width);
  const nib_tensor all = nib_row_leading(y, trailing, &ignored);
  return nib_direct_broadcast_index(&rows, &all, row);
}

/* "index * width", or " + row * width" and the like where one is 0 or 1. */
static nib_expr product_of(const char *index, int64_t width) {
  if (strcmp(index, "0") == 0 || width == 1)
    return nib_expr_printf("%s", index);
  return nib_expr_printf(strpbrk(index, " ") ? "(%s) * %lld" : "%s * %lld", index, (ll)width);
}

/* Element `i` of a kept row. */
static nib_expr at_i(const nib_rows *r, int32_t position) {
  return nib_expr_printf(r->block > 1 ? "rows%d[r * %lld + i]" : "rows%d[i]", position,
                         (ll)nib_rows_stride(r, position));
}

nib_expr nib_rows_place_of(nib_rows *r, int32_t position, int32_t slot, int64_t *out_width,
                           nib_expr *out_index) {
  char hint[32];
  snprintf(hint, sizeof hint, "operand%d", slot);
  nib_expr at = nib_rows_outer(r, position, slot, "row", out_width);
  *out_index = nib_expr_printf(*out_width > 1 ? "%s + i" : "%s", product_of(at.s, *out_width).s);
  return nib_direct_pointer(r->d, node_at(r, position)->in[slot], hint);
}

/* An expression of element `i` of operand `slot`. */
static nib_expr operand(nib_rows *r, int32_t position, int32_t slot) {
  nib_direct *d = r->d;
  const nib_node *n = node_at(r, position);
  const nib_tensor *t = nib_node_input(d->g, n, slot);
  const int32_t from = nib_row_position(d->g, d->kernel, n->in[slot]);
  nib_expr literal;
  int64_t width;
  if (from >= 0 && r->plan->made_in[from] == r->phase)
    return nib_expr_printf("v%d", from);
  if (from >= 0 && r->plan->width[from] == 1)
    return nib_rows_number(r, 's', from);
  if (from >= 0)
    return at_i(r, from);
  if (nib_direct_literal(t, &literal))
    return literal;
  nib_expr index, p = nib_rows_place_of(r, position, slot, &width, &index);
  return nib_direct_decode(t->format, nib_expr_printf("%s[%s]", p.s, index.s).s);
}

/* ---- items ---- */

/* The variable v<position> = value, as a later reader of the tensor would see it, and its places.
 */
static void put(nib_rows *r, int32_t position, const char *value) {
  nib_direct *d = r->d;
  const nib_tensor *y = result_of(r, position);
  const char *mnemonic = nib_op_get(node_at(r, position)->op)->mnemonic;
  const char *type = nib_format_get(y->format)->c_type;
  const bool number = r->plan->width[position] == 1, coded = nib_direct_is_stored_real(y->format);
  nib_expr stored = nib_expr_printf(coded ? "c%d" : "v%d", position);
  if (coded) {
    nib_text_line(d->t, "const %s c%d = %s; /* %s */", type, position,
                  nib_direct_encode(y->format, value, false).s, mnemonic);
    if (!is_last(r, position))
      nib_text_line(d->t, "const float v%d = %s;", position,
                    nib_direct_decode(y->format, stored.s).s);
  } else {
    nib_text_line(d->t, "const float v%d = %s; /* %s */", position, value, mnemonic);
  }
  if (number && r->plan->read[position])
    nib_text_line(d->t, "%s = v%d;", nib_rows_number(r, 's', position).s, position);
  else if (!number && r->plan->read[position])
    nib_text_line(d->t, "%s = v%d;", at_i(r, position).s, position);
  if (!is_last(r, position))
    return;
  if (number)
    nib_direct_open_leader(d);
  nib_expr at = number ? nib_expr_printf("row")
                       : nib_expr_printf("row * %lld + i", (ll)r->plan->width[position]);
  nib_text_line(d->t, coded || y->format == NIB_F32 ? "out[%s] = %s;" : "out[%s] = (uint8_t)%s;",
                at.s, stored.s);
  if (number)
    nib_direct_close_leader(d);
}

static nib_op joined_by(const nib_node *n) {
  return n->op == NIB_OP_REDUCE ? nib_params_reduction(n) : NIB_OP_ADD;
}

static nib_expr combined(nib_op op, const char *a, const char *b) {
  const nib_expr values[2] = {nib_expr_printf("%s", a), nib_expr_printf("%s", b)};
  return nib_direct_substitute(nib_params_binary_real(op)->text, "ab", values);
}

static const char *neutral(nib_op op) {
  return op == NIB_OP_ADD       ? "0.0f"
         : op == NIB_OP_MUL     ? "1.0f"
         : op == NIB_OP_MAXIMUM ? "-INFINITY"
                                : "INFINITY";
}

/* The scaled difference of softmax's operand to the row's largest number. */
static nib_expr power(nib_rows *r, int32_t position) {
  const float beta = (float)nib_node_float(node_at(r, position), NIB_A_BETA, 1.0);
  nib_expr x = operand(r, position, 0), m = nib_rows_number(r, 'm', position);
  return beta == 1.0f ? nib_expr_printf("expf(%s - %s)", x.s, m.s)
                      : nib_expr_printf("expf((%s - %s) * %s)", x.s, m.s, nib_direct_f32(beta).s);
}

static void begin_item(nib_rows *r, const nib_row_item *item) {
  if (item->action == NIB_ROW_LARGEST)
    nib_text_line(r->d->t, "float max%d = -INFINITY;", item->position);
  if (item->action == NIB_ROW_SUM || item->action == NIB_ROW_POWERS)
    nib_text_line(r->d->t, "float sum%d = %s;", item->position,
                  neutral(joined_by(node_at(r, item->position))));
}

/* Loaded values are variables, so that expressions stay short. */
static nib_expr named(nib_rows *r, int32_t slot, nib_expr x) {
  if (!strchr(x.s, '['))
    return x;
  nib_expr name = nib_expr_printf("x%d_%d", r->d->position, slot);
  nib_text_line(r->d->t, "const float %s = %s;", name.s, x.s);
  return name;
}

static void run_item(nib_rows *r, const nib_row_item *item) {
  nib_direct *d = r->d;
  const int32_t position = item->position;
  const nib_node *n = node_at(r, position);
  nib_expr operands[4];
  d->position = position;
  switch (item->action) {
  case NIB_ROW_STEP:
    for (int32_t i = 0; i < n->n_in && i < 4; ++i)
      operands[i] = named(r, i, operand(r, position, i));
    put(r, position, nib_direct_op_of(d->g, n)->step(d, n, operands, "0").s);
    break;
  case NIB_ROW_SUM:
    nib_text_line(d->t, "const float x%d = %s;", position, operand(r, position, 0).s);
    nib_text_line(d->t, "sum%d = %s;", position,
                  combined(joined_by(n), nib_expr_printf("sum%d", position).s,
                           nib_expr_printf("x%d", position).s)
                      .s);
    break;
  case NIB_ROW_LARGEST:
    nib_text_line(d->t, "max%d = fmaxf(max%d, %s);", position, position, operand(r, position, 0).s);
    break;
  case NIB_ROW_POWERS:
    nib_text_line(d->t, "const float e%d = %s;", position, power(r, position).s);
    nib_text_line(d->t, "%s = e%d;", at_i(r, position).s, position);
    nib_text_line(d->t, "sum%d += e%d;", position, position);
    break;
  case NIB_ROW_SHARES:
    put(r, position,
        nib_expr_printf("%s / %s", at_i(r, position).s, nib_rows_number(r, 's', position).s).s);
    break;
  }
}

void nib_rows_end_sum(nib_rows *r, int32_t position, const char *sum) {
  const nib_node *n = node_at(r, position);
  const int64_t width = nib_tensor_elems(nib_node_input(r->d->g, n, 0)) / r->plan->rows;
  put(r, position,
      n->op == NIB_OP_MEAN ? nib_expr_printf("%s / %s", sum, nib_direct_f32((float)width).s).s
                           : sum);
}

/* What a phase has collected is joined. */
static void end_item(nib_rows *r, const nib_row_item *item) {
  nib_direct *d = r->d;
  const int32_t position = item->position;
  const nib_node *n = node_at(r, position);
  nib_expr var = nib_expr_printf(item->action == NIB_ROW_LARGEST ? "max%d" : "sum%d", position);
  if (item->action == NIB_ROW_LARGEST)
    nib_direct_join_lanes(d, "float", var.s, nib_expr_printf("fmaxf(%s, other)", var.s).s);
  else if (item->action == NIB_ROW_SUM || item->action == NIB_ROW_POWERS)
    nib_direct_join_lanes(d, "float", var.s, combined(joined_by(n), var.s, "other").s);
  if (item->action == NIB_ROW_LARGEST)
    nib_text_line(d->t, "%s = %s;", nib_rows_number(r, 'm', position).s, var.s);
  else if (item->action == NIB_ROW_POWERS)
    nib_text_line(d->t, "%s = %s;", nib_rows_number(r, 's', position).s, var.s);
  else if (item->action == NIB_ROW_SUM)
    nib_rows_end_sum(r, position, var.s);
}

void nib_rows_phase(nib_rows *r, int32_t phase) {
  const nib_row_phase *p = &r->plan->phases[phase];
  r->phase = phase;
  const bool loop = p->kind == NIB_ROW_LOOP;
  nib_text_open(r->d->t, "{");
  for (int32_t i = 0; loop && i < p->n_items; ++i)
    begin_item(r, &p->items[i]);
  if (loop)
    nib_direct_for_lanes(r->d, "i", p->width);
  for (int32_t i = 0; i < p->n_items; ++i)
    run_item(r, &p->items[i]);
  if (loop)
    nib_text_close(r->d->t, "");
  for (int32_t i = 0; loop && i < p->n_items; ++i)
    end_item(r, &p->items[i]);
  nib_text_close(r->d->t, "");
}

/* ---- products ---- */

nib_expr nib_rows_left(nib_rows *r, int32_t position, const char *row, const char *at) {
  const nib_node *n = node_at(r, position);
  const nib_tensor *a = nib_node_input(r->d->g, n, 0), *y = result_of(r, position);
  const int32_t from = nib_row_position(r->d->g, r->d->kernel, n->in[0]);
  int64_t width, ignored;
  if (from >= 0)
    return nib_expr_printf("rows%d + %s * %lld", from, at, (ll)nib_rows_stride(r, from));
  const nib_tensor rows = nib_row_leading(a, 1, &width), all = nib_row_leading(y, 1, &ignored);
  return nib_expr_printf("%s + %s", nib_direct_pointer(r->d, n->in[0], "lhs").s,
                         product_of(nib_direct_broadcast_index(&rows, &all, row).s, width).s);
}

nib_expr nib_rows_matrix(nib_rows *r, int32_t position, const char *row) {
  const nib_node *n = node_at(r, position);
  const nib_tensor *b = nib_node_input(r->d->g, n, 1), *y = result_of(r, position);
  int64_t columns, ignored;
  nib_tensor matrices = nib_row_leading(b, 1, &columns);
  const nib_tensor all = nib_row_leading(y, 1, &ignored);
  const int64_t depth = matrices.dims[matrices.rank - 1];
  matrices.dims[matrices.rank - 1] = 1;
  return nib_expr_printf("%s + (%s) * %lld", nib_direct_pointer(r->d, n->in[1], "rhs").s,
                         nib_direct_broadcast_index(&matrices, &all, row).s, (ll)(depth * columns));
}

nib_expr nib_rows_result(nib_rows *r, int32_t position, const char *row, const char *at) {
  if (is_last(r, position))
    return nib_expr_printf("out + %s", product_of(row, r->plan->width[position]).s);
  return nib_expr_printf("rows%d + %s * %lld", position, at, (ll)nib_rows_stride(r, position));
}

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which kernels work row by row, and the phases of a row: loops that share what they load.
#include "schedule/row_plan.h"

#include "schedule/direct.h"

#include <string.h>

/* ---- rows of tensors ---- */

int32_t nib_row_trailing(const nib_tensor *t, int64_t rows) {
  int64_t leading = 1;
  for (int32_t i = 0; i <= t->rank; ++i) {
    if (leading == rows)
      return t->rank - i;
    if (i < t->rank)
      leading *= t->dims[i];
  }
  return -1;
}

nib_tensor nib_row_leading(const nib_tensor *t, int32_t trailing, int64_t *out_width) {
  nib_tensor rows = *t;
  rows.rank = t->rank > trailing ? t->rank - trailing : 0;
  *out_width = 1;
  for (int32_t i = rows.rank; i < t->rank; ++i)
    *out_width *= t->dims[i];
  return rows;
}

int32_t nib_row_position(const nib_graph *g, const nib_kernel *k, int32_t tensor) {
  for (int32_t i = 0; tensor != NIB_NONE && i < k->n_nodes; ++i)
    if (g->nodes[k->nodes[i]].out == tensor)
      return i;
  return -1;
}

/* ---- which operators ---- */

static bool is_number(nib_format f) {
  return f == NIB_F32 || f == NIB_F16 || f == NIB_BF16 || f == NIB_I1;
}

static bool is_plain(const nib_tensor *t) { return is_number(t->format) && !t->quantized; }

static bool is_step(const nib_graph *g, const nib_node *n) {
  const nib_direct_op *op = nib_direct_op_of(g, n);
  return op->step && !op->root && !op->first_operand_only && (!op->accepts || op->accepts(g, n));
}

static bool is_root(nib_op op) {
  return op == NIB_OP_MATMUL || op == NIB_OP_SOFTMAX || op == NIB_OP_MEAN || op == NIB_OP_REDUCE;
}

bool nib_row_plan_knows(const nib_graph *g, const nib_node *n) {
  if (!is_root(n->op) && !is_step(g, n))
    return false;
  bool real = g->tensors[n->out].format == NIB_F32;
  for (int32_t i = 0; i < n->n_in; ++i) {
    const nib_tensor *t = nib_node_input(g, n, i);
    if (!t || !is_plain(t) || nib_tensor_elems(t) > INT32_MAX / 4)
      return false;
    real &= t->format == NIB_F32;
  }
  const int64_t elems = nib_tensor_elems(&g->tensors[n->out]);
  return elems > 0 && elems <= INT32_MAX / 4 && is_plain(&g->tensors[n->out]) &&
         (real || !is_root(n->op));
}

/* Whether the axes that are summed or shared out are those of a row of `width` elements. */
static bool axes_are_row(const nib_node *n, const nib_tensor *x, int64_t rows, int64_t width) {
  const nib_attr *axes = nib_node_attr(n, NIB_A_AXES);
  const int32_t first = x->rank - nib_row_trailing(x, rows);
  bool reduced[NIB_MAX_RANK] = {false};
  if (n->op == NIB_OP_SOFTMAX) {
    const int64_t axis = nib_node_int(n, NIB_A_AXIS, -1);
    const int64_t at = axis + (axis < 0 ? x->rank : 0);
    return x->rank > 0 && at == x->rank - 1 && x->dims[x->rank - 1] == width;
  }
  for (int32_t i = 0; axes && i < axes->u.ints.n; ++i) {
    const int64_t axis = axes->u.ints.v[i];
    reduced[axis + (axis < 0 ? x->rank : 0)] = true;
  }
  for (int32_t i = 0; i < x->rank; ++i)
    if (x->dims[i] != 1 && (!axes || reduced[i]) != (i >= first))
      return false;
  return true;
}

/* ---- phases ---- */

typedef struct planner {
  const nib_graph *g;
  const nib_kernel *k;
  nib_row_plan *plan;
} planner;

/* Rows of the kernel: those of its first root. */
static int64_t count_rows(const nib_graph *g, const nib_kernel *k) {
  for (int32_t i = 0; i < k->n_nodes; ++i) {
    const nib_node *n = &g->nodes[k->nodes[i]];
    const nib_tensor *y = &g->tensors[n->out];
    if (n->op == NIB_OP_MEAN || n->op == NIB_OP_REDUCE)
      return nib_tensor_elems(y);
    if (is_root(n->op))
      return y->rank > 0 && y->dims[y->rank - 1] > 0 ? nib_tensor_elems(y) / y->dims[y->rank - 1]
                                                     : 0;
  }
  return 0;
}

/* Operand `slot` of node `position` in a loop over rows of `width` elements: what is made inside
 * has the same rows, anything has the whole row or one number of it. */
static bool operand_fits(const planner *p, int32_t position, int32_t slot, int64_t width) {
  const nib_node *n = &p->g->nodes[p->k->nodes[position]];
  const nib_tensor *t = nib_node_input(p->g, n, slot);
  const nib_tensor *y = is_root(n->op) ? t : &p->g->tensors[n->out];
  const int32_t trailing = nib_row_trailing(y, p->plan->rows);
  int64_t own;
  if (trailing < 0)
    return false;
  const nib_tensor rows = nib_row_leading(t, trailing, &own);
  if (own != 1 && own != width)
    return false;
  if (nib_row_position(p->g, p->k, n->in[slot]) >= 0)
    return nib_tensor_elems(&rows) == p->plan->rows;
  return nib_row_position(p->g, p->k, nib_kernel_source(p->g, p->k, n->in[slot])) < 0;
}

/* Whether what node `position` reads of width `width` is there before phase `phase` ends, element
 * by element, and its single numbers before it begins. */
static bool ready_in(const planner *p, int32_t position, int32_t phase) {
  const nib_node *n = &p->g->nodes[p->k->nodes[position]];
  for (int32_t i = 0; i < n->n_in; ++i) {
    const int32_t from = nib_row_position(p->g, p->k, n->in[i]);
    if (from >= 0 && p->plan->made_in[from] >= phase &&
        (p->plan->width[from] == 1 || p->plan->made_in[from] > phase))
      return false;
  }
  return true;
}

static int32_t add_phase(planner *p, nib_row_phase_kind kind, int64_t width) {
  if (p->plan->n_phases == NIB_ROW_MAX_PHASES)
    return -1;
  nib_row_phase *phase = &p->plan->phases[p->plan->n_phases];
  phase->kind = kind;
  phase->width = width;
  phase->n_items = 0;
  return p->plan->n_phases++;
}

/* The last phase, where the node can be a part of it, else a new one. */
static int32_t phase_for(planner *p, nib_row_phase_kind kind, int64_t width, int32_t position) {
  const int32_t last = p->plan->n_phases - 1;
  if (last >= 0 && p->plan->phases[last].kind == kind && p->plan->phases[last].width == width &&
      p->plan->phases[last].n_items < NIB_ROW_MAX_ITEMS &&
      (kind == NIB_ROW_NUMBERS || ready_in(p, position, last)))
    return last;
  return add_phase(p, kind, width);
}

static bool add_item(planner *p, int32_t phase, nib_row_action action, int32_t position) {
  if (phase < 0)
    return false;
  nib_row_phase *to = &p->plan->phases[phase];
  if (to->n_items == NIB_ROW_MAX_ITEMS)
    return false;
  to->items[to->n_items++] = (nib_row_item){action, position};
  p->plan->made_in[position] = phase;
  return true;
}

static int64_t common_divisor(int64_t a, int64_t b) {
  while (b != 0) {
    const int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/* Rows of the left operand by a matrix, both of any batch. */
static bool add_product(planner *p, int32_t position) {
  const nib_node *n = &p->g->nodes[p->k->nodes[position]];
  const nib_tensor *a = nib_node_input(p->g, n, 0), *b = nib_node_input(p->g, n, 1);
  const nib_tensor *y = &p->g->tensors[n->out];
  nib_row_plan *plan = p->plan;
  if (a->rank < 2 || b->rank < 2 || y->rank < 2 || y->dims[y->rank - 1] < 2 || a->rank > y->rank ||
      b->rank > y->rank || nib_tensor_elems(y) != plan->rows * y->dims[y->rank - 1] ||
      nib_row_position(p->g, p->k, nib_kernel_source(p->g, p->k, n->in[1])) >= 0)
    return false;
  const int32_t from = nib_row_position(p->g, p->k, n->in[0]);
  if (from < 0 && nib_row_position(p->g, p->k, nib_kernel_source(p->g, p->k, n->in[0])) >= 0)
    return false;
  if (from >= 0 &&
      (plan->width[from] < 2 || nib_tensor_elems(a) != plan->rows * a->dims[a->rank - 1]))
    return false;
  plan->together = common_divisor(plan->together, y->dims[y->rank - 2]);
  plan->width[position] = y->dims[y->rank - 1];
  plan->n_products++;
  return add_item(p, add_phase(p, NIB_ROW_PRODUCT, plan->width[position]), NIB_ROW_STEP, position);
}

static bool add_sum(planner *p, int32_t position) {
  const nib_node *n = &p->g->nodes[p->k->nodes[position]];
  const nib_tensor *x = nib_node_input(p->g, n, 0), *y = &p->g->tensors[n->out];
  const int64_t width = nib_tensor_elems(x) / p->plan->rows;
  const bool softmax = n->op == NIB_OP_SOFTMAX;
  if (nib_row_trailing(x, p->plan->rows) < 0 || width < 2 ||
      !axes_are_row(n, x, p->plan->rows, width) || !operand_fits(p, position, 0, width) ||
      (!softmax && nib_tensor_elems(y) != p->plan->rows))
    return false;
  p->plan->width[position] = softmax ? width : 1;
  p->plan->n_sums++;
  const int32_t phase = phase_for(p, NIB_ROW_LOOP, width, position);
  if (!softmax)
    return add_item(p, phase, NIB_ROW_SUM, position);
  return add_item(p, phase, NIB_ROW_LARGEST, position) &&
         add_item(p, add_phase(p, NIB_ROW_LOOP, width), NIB_ROW_POWERS, position) &&
         add_item(p, add_phase(p, NIB_ROW_LOOP, width), NIB_ROW_SHARES, position);
}

static bool add_step(planner *p, int32_t position) {
  const nib_node *n = &p->g->nodes[p->k->nodes[position]];
  const nib_tensor *y = &p->g->tensors[n->out];
  const int64_t width = nib_tensor_elems(y) / p->plan->rows;
  if (nib_row_trailing(y, p->plan->rows) < 0)
    return false;
  for (int32_t i = 0; i < n->n_in; ++i)
    if (!operand_fits(p, position, i, width))
      return false;
  p->plan->width[position] = width;
  return add_item(p, phase_for(p, width == 1 ? NIB_ROW_NUMBERS : NIB_ROW_LOOP, width, position),
                  NIB_ROW_STEP, position);
}

/* Rows that a phase after the one that makes them reads. Softmax reads its operand in two phases,
 * and its powers are where its result will be. */
static void find_kept(planner *p) {
  nib_row_plan *plan = p->plan;
  for (int32_t ph = 0; ph < plan->n_phases; ++ph)
    for (int32_t i = 0; i < plan->phases[ph].n_items; ++i) {
      const nib_row_item *item = &plan->phases[ph].items[i];
      const nib_node *n = &p->g->nodes[p->k->nodes[item->position]];
      if (item->action == NIB_ROW_POWERS)
        plan->kept[item->position] = true;
      for (int32_t s = 0; s < n->n_in && item->action != NIB_ROW_SHARES; ++s) {
        const int32_t from = nib_row_position(p->g, p->k, n->in[s]);
        if (from >= 0 && plan->made_in[from] != ph)
          plan->read[from] = true;
      }
    }
  for (int32_t i = 0; i < p->k->n_nodes; ++i)
    plan->kept[i] |= plan->read[i] && plan->width[i] > 1;
}

bool nib_row_plan_make(const nib_graph *g, const nib_kernel *k, nib_row_plan *out_plan) {
  planner p = {g, k, out_plan};
  memset(out_plan, 0, sizeof *out_plan);
  if (k->n_nodes > NIB_ROW_MAX_NODES)
    return false;
  for (int32_t i = 0; i < k->n_nodes; ++i)
    if (!nib_row_plan_knows(g, &g->nodes[k->nodes[i]]))
      return false;
  out_plan->rows = count_rows(g, k);
  out_plan->together = out_plan->rows;
  if (out_plan->rows < 1)
    return false;
  for (int32_t i = 0; i < k->n_nodes; ++i) {
    const nib_node *n = &g->nodes[k->nodes[i]];
    const bool added = n->op == NIB_OP_MATMUL ? add_product(&p, i)
                       : is_root(n->op)       ? add_sum(&p, i)
                                              : add_step(&p, i);
    if (!added)
      return false;
  }
  find_kept(&p);
  return true;
}

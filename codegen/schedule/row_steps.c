/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * row_steps: attention, norms and whatever else works row by row, as one kernel: matrix products,
 * softmax, means and sums over a row, and element-wise operators between them. tile[0] rows are
 * taken through all phases before the next, so that no tensor between them ever exists as a whole;
 * a product holds tile[0] rows × tile[1] registers. */
#include "schedule/row_steps.h"

#include "schedule/row_vectors.h"

#include <string.h>

typedef long long ll;

enum { MOST_BYTES = 1 << 20 };

static bool plan_of(const nib_graph *g, const nib_kernel *k, nib_rows *r, nib_row_plan *plan) {
  if (!nib_row_plan_make(g, k, plan) || plan->n_products + plan->n_sums == 0)
    return false;
  memset(r, 0, sizeof *r);
  nib_rows_place(r, plan, k->tile[0] > 0 ? k->tile[0] : 1, 0);
  r->columns = k->tile[1] > 0 ? k->tile[1] : 1;
  return true;
}

static bool accepts(const nib_graph *g, const nib_kernel *k, const nib_vocab *v) {
  nib_row_plan plan;
  nib_rows r;
  return !v->real_f16 && plan_of(g, k, &r, &plan) && r.bytes <= MOST_BYTES;
}

static int64_t scratch_bytes(const nib_graph *g, const nib_kernel *k, const nib_vocab *v) {
  nib_row_plan plan;
  nib_rows r;
  (void)v;
  return plan_of(g, k, &r, &plan) ? r.bytes : 0;
}

/* Registers of a product's tile: accumulators, one row of the matrix, an element of the left one.
 */
static int32_t columns_for(const nib_row_plan *plan, const nib_vocab *v, int32_t block) {
  int64_t widest = 1;
  for (int32_t i = 0; i < plan->n_phases; ++i)
    if (plan->phases[i].kind == NIB_ROW_PRODUCT && plan->phases[i].width > widest)
      widest = plan->phases[i].width;
  int32_t columns = 4;
  while (columns > 1 &&
         ((columns / 2) * (int64_t)v->lanes >= widest || columns * (block + 1) + 1 > v->registers))
    columns /= 2;
  return columns;
}

static int tiles(const nib_graph *g, const nib_kernel *k, const nib_vocab *v,
                 int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  nib_row_plan plan;
  nib_rows r;
  int n = 0;
  if (!plan_of(g, k, &r, &plan))
    return nib_schedule_one_tile(g, k, v, out_tiles, capacity);
  for (int32_t block = plan.n_products > 0 && v->lanes > 1 ? 4 : 1; block > 0 && n < capacity;
       block /= 2) {
    if (plan.together < block)
      continue;
    memset(out_tiles[n], 0, sizeof out_tiles[n]);
    out_tiles[n][0] = block;
    out_tiles[n++][1] = columns_for(&plan, v, block);
  }
  return n;
}

/* Compilers find vectors in the loop over columns, whose sums are independent. */
static void portable_product(nib_rows *r, int32_t position) {
  nib_direct *d = r->d;
  const nib_node *n = &d->g->nodes[d->kernel->nodes[position]];
  const nib_tensor *a = nib_node_input(d->g, n, 0);
  const ll depth = (ll)a->dims[a->rank - 1], width = (ll)r->plan->width[position];
  const char *at = r->block > 1 ? "r" : "0";
  nib_text_open(d->t, "{ /* matmul */");
  nib_text_line(d->t, "const float *const left = %s;", nib_rows_left(r, position, "row", at).s);
  nib_text_line(d->t, "const float *const matrix = %s;", nib_rows_matrix(r, position, "row").s);
  nib_text_line(d->t, "float *const result = %s;", nib_rows_result(r, position, "row", at).s);
  nib_text_line(d->t, "memset(result, 0, %lld * sizeof *result);", width);
  nib_text_open(d->t, "for (int32_t k = 0; k < %lld; ++k) {", depth);
  nib_text_line(d->t, "const float x = left[k];");
  nib_text_open(d->t, "for (int32_t j = 0; j < %lld; ++j) {", width);
  nib_text_line(d->t, "result[j] += x * matrix[k * %lld + j];", width);
  nib_text_close(d->t, "");
  nib_text_close(d->t, "");
  nib_text_close(d->t, "");
}

/* Products are written for all rows of the block; the phases between them for one row after
 * another. */
static void write_phases(nib_rows *r) {
  nib_direct *d = r->d;
  const bool vectors = d->e->vocab->lanes > 1;
  bool inside = false;
  for (int32_t i = 0; i < r->plan->n_phases; ++i) {
    const nib_row_phase *phase = &r->plan->phases[i];
    const bool product = phase->kind == NIB_ROW_PRODUCT && vectors;
    if (inside == product) {
      if (product)
        nib_text_close(d->t, "");
      else if (r->block > 1)
        nib_text_open(d->t, "for (int32_t r = 0; r < %d; ++r) {", r->now);
      else
        nib_text_open(d->t, "{");
      if (!product) {
        nib_text_line(d->t, "const int32_t row = first%s;", r->block > 1 ? " + r" : "");
        nib_text_line(d->t, "(void)row;");
      }
      inside = !product;
    }
    if (product)
      nib_rows_vector_product(r, phase->items[0].position);
    else if (phase->kind == NIB_ROW_PRODUCT)
      portable_product(r, phase->items[0].position);
    else if (nib_rows_is_vector(r, i))
      nib_rows_vector_phase(r, i);
    else
      nib_rows_phase(r, i);
  }
  if (inside)
    nib_text_close(d->t, "");
}

/* Rows of one matrix: blocks, and fewer at its end. */
static void write_rest(nib_rows *r) {
  nib_direct *d = r->d;
  const ll all = (ll)r->plan->together, rest = all % r->block;
  nib_text_open(d->t, "for (int32_t first = base; first < base + %lld; first += %d) {", all - rest,
                r->block);
  write_phases(r);
  nib_text_close(d->t, "");
  nib_text_open(d->t, "{ /* the last rows */");
  nib_text_line(d->t, "const int32_t first = base + %lld;", all - rest);
  r->now = (int32_t)rest;
  write_phases(r);
  r->now = r->block;
  nib_text_close(d->t, "");
}

/* Rows of a unit of the outermost loop. */
static int64_t rows_of_unit(const nib_rows *r) {
  return r->plan->together % r->block == 0 ? r->block : r->plan->together;
}

static void write(nib_direct *d, void *user) {
  nib_rows *r = user;
  const ll step = (ll)rows_of_unit(r);
  const char *var = step == r->block ? "first" : "base";
  r->d = d;
  nib_rows_declare(r, "scratch");
  if (d->e->cut)
    nib_text_open(d->t, "for (int32_t %s = begin * %lld; %s < end * %lld; %s += %lld) {", var, step,
                  var, step, var, step);
  else
    nib_text_open(d->t, "for (int32_t %s = 0; %s < %lld; %s += %lld) {", var, var,
                  (ll)r->plan->rows, var, step);
  if (step == r->block)
    write_phases(r);
  else
    write_rest(r);
  nib_text_close(d->t, "");
}

static nib_status emit(nib_emitter *e, const nib_kernel *k) {
  nib_row_plan plan;
  nib_rows r;
  if (!plan_of(e->graph, k, &r, &plan))
    return nib_diag_error(e->diag, NIB_ERROR_INTERNAL, "kernel '%s' has no rows", k->name);
  return nib_direct_emit_body(e, k, NULL, write, &r);
}

static int64_t units(const nib_graph *g, const nib_kernel *k, const nib_vocab *v) {
  nib_row_plan plan;
  nib_rows r;
  (void)v;
  return plan_of(g, k, &r, &plan) ? plan.rows / rows_of_unit(&r) : 1;
}

const nib_schedule nib_schedule_row_steps = {
    .name = "row_steps",
    .by_rows = true,
    .accepts = accepts,
    .tiles = tiles,
    .scratch_bytes = scratch_bytes,
    .emit = emit,
    .units = units,
};

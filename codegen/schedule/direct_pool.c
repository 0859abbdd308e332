// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Pooling windows.
#include "schedule/direct.h"

#include "params/params.h"

#include <stdlib.h>
#include <string.h>

/* The window and the shapes of a pooling node. Index 0 is y, 1 is x. */
typedef struct pool {
  nib_direct *d;
  const nib_node *n;
  const nib_tensor *x, *y;
  int64_t kernel[2], stride[2], before[2], after[2];
  int loops; /* over the result */
  bool is_float;
  nib_expr input;
} pool;

static pool pool_open(nib_direct *d, const nib_node *n) {
  pool p = {.d = d, .n = n, .x = nib_node_input(d->g, n, 0), .y = &d->g->tensors[n->out]};
  for (int32_t i = 0; i < 2; ++i) {
    p.kernel[i] = nib_node_ints_at(n, NIB_A_KERNEL, i, 1);
    p.stride[i] = nib_node_ints_at(n, NIB_A_STRIDES, i, 1);
    p.before[i] = nib_node_ints_at(n, NIB_A_PADS, i, 0);
    p.after[i] = nib_node_ints_at(n, NIB_A_PADS, 2 + i, 0);
  }
  p.is_float = nib_format_get(p.y->format)->kind == NIB_KIND_FLOAT;
  p.input = nib_direct_pointer(d, n->in[0], "input");
  p.loops = p.y->dims[0] > 1 ? 4 : 3;
  if (p.y->dims[0] > 1)
    nib_direct_each(d, "n", p.y->dims[0]);
  nib_direct_each(d, "oy", p.y->dims[1]);
  nib_direct_each(d, "ox", p.y->dims[2]);
  nib_direct_each(d, "c", p.y->dims[3]);
  return p;
}

static void close_loops(pool *p, int n) {
  for (int i = 0; i < n; ++i)
    nib_text_close(p->d->t, "");
}

/* One past the last input row that any window covers. */
static int64_t reach(const pool *p, int axis) {
  return (p->y->dims[1 + axis] - 1) * p->stride[axis] - p->before[axis] + p->kernel[axis];
}

static bool leaves_input(const pool *p, int axis) {
  return p->before[axis] > 0 || reach(p, axis) > p->x->dims[1 + axis];
}

/* Opens the loop over one axis of the window, without what lies outside the input. */
static void open_axis(pool *p, int axis) {
  const char *name = axis ? "x" : "y";
  const char k[] = {'k', name[0], 0};
  nib_text *t = p->d->t;
  nib_direct_for(p->d, k, p->kernel[axis]);
  nib_expr start = nib_expr_printf("o%s * %lld + k%s", name, (long long)p->stride[axis], name);
  nib_text_line(t, "const %s i%s = %s;", p->d->index, name,
                p->before[axis]
                    ? nib_expr_printf("%s - %lld", start.s, (long long)p->before[axis]).s
                    : start.s);
  if (leaves_input(p, axis)) {
    nib_text_line(t, "if (i%s < 0 || i%s >= %lld)", name, name, (long long)p->x->dims[1 + axis]);
    nib_text_line(t, "  continue;");
  }
}

/* Flat index of channel c at row `y` and column `x` of `t`. */
static nib_expr index_in(const nib_tensor *t, const char *y, const char *x) {
  nib_expr row = t->dims[0] > 1 ? nib_expr_printf("(n * %lld + %s)", (long long)t->dims[1], y)
                                : nib_expr_printf("%s", y);
  return nib_expr_printf("(%s * %lld + %s) * %lld + c", row.s, (long long)t->dims[2], x,
                         (long long)t->dims[3]);
}

static nib_expr input_at(const pool *p) {
  return nib_expr_printf("%s[%s]", p->input.s, index_in(p->x, "iy", "ix").s);
}

static void put(pool *p, const char *value) {
  nib_direct_put(p->d, index_in(p->y, "oy", "ox").s, value);
}

void nib_direct_max_pool2d(nib_direct *d, const nib_node *n) {
  pool p = pool_open(d, n);
  int64_t lo = 0, hi = 0;
  const char *type = nib_direct_value_type(p.y->format);
  nib_expr least =
      p.is_float ? nib_expr_printf("-INFINITY") : nib_direct_i64(nib_format_get(p.x->format)->min);
  nib_text_line(d->t, "%s max = %s;", type, least.s);
  open_axis(&p, 0);
  open_axis(&p, 1);
  nib_text_line(d->t, "const %s x = %s;", type, input_at(&p).s);
  nib_text_line(d->t, "max = x > max ? x : max;");
  close_loops(&p, 2);
  if (!p.is_float)
    nib_params_code_range(d->g, n, &lo, &hi);
  put(&p, p.is_float ? nib_direct_activate_real(d, n, "max").s
                     : nib_direct_saturate(d, n, "max", 0, lo, hi).s);
  close_loops(&p, p.loops);
}

/* ---- averages ---- */

/* Extent of the window along an axis when padding counts: it ends where the padding does. */
static nib_expr padded_extent(pool *p, int axis) {
  const char name = axis ? 'x' : 'y';
  const int64_t end = p->x->dims[1 + axis] + p->after[axis];
  if (reach(p, axis) <= end)
    return nib_expr_printf("%lld", (long long)p->kernel[axis]);
  nib_text_line(p->d->t, "const %s left%c = %lld - o%c * %lld;", p->d->index, name,
                (long long)(end + p->before[axis]), name, (long long)p->stride[axis]);
  return nib_expr_printf("(left%c < %lld ? left%c : %lld)", name, (long long)p->kernel[axis], name,
                         (long long)p->kernel[axis]);
}

/* The number of elements that a window averages: constant, or counted in a variable. */
typedef struct window_count {
  bool constant, with_padding;
  int64_t value;
} window_count;

static window_count count_of(const pool *p) {
  window_count c = {.with_padding = nib_node_int(p->n, NIB_A_COUNT_INCLUDE_PAD, 0) != 0};
  c.value = p->kernel[0] * p->kernel[1];
  c.constant = !leaves_input(p, 0) && !leaves_input(p, 1);
  return c;
}

/* Multipliers hold 1 / count: one for each count that can occur, indexed by it. */
static nib_expr mean_by_multiplier(pool *p, const window_count *c) {
  nib_direct *d = p->d;
  const int32_t n = c->constant ? 1 : (int32_t)c->value + 1;
  nib_requant *all = calloc((size_t)n, sizeof *all);
  nib_mean_params m = {0};
  bool ok = all != NULL;
  for (int32_t i = 0; ok && i < n; ++i) {
    ok = nib_params_mean(d->g, p->n, c->constant ? c->value : i ? i : 1, &m) == NIB_OK;
    all[i] = m.out;
  }
  if (!ok) {
    free(all);
    nib_direct_fail(d, p->n, NIB_ERROR_INTERNAL, "its arithmetic has no parameters");
    return nib_expr_printf("0");
  }
  nib_direct_multiplier by_count = {.rounding = m.rounding, .requant = all, .n = n, .hint = "mean"};
  nib_expr scaled = nib_direct_requant(d, p->n, &by_count, "sum", "count");
  free(all);
  return nib_direct_saturate(d, p->n, scaled.s, m.out_zp, m.lo, m.hi);
}

static void finish_codes(pool *p, const window_count *c) {
  nib_direct *d = p->d;
  nib_mean_params m;
  if (nib_params_mean(d->g, p->n, c->value, &m) != NIB_OK) {
    nib_direct_fail(d, p->n, NIB_ERROR_INTERNAL, "its arithmetic has no parameters");
    return;
  }
  if (!m.divide) {
    put(p, mean_by_multiplier(p, c).s);
  } else if (nib_direct_use(d, p->n, "nib_avg_round")) {
    nib_expr count = c->constant ? nib_direct_i64(c->value) : nib_expr_printf("count");
    nib_expr mean = nib_expr_printf("nib_avg_round(sum, %s)", count.s);
    put(p, nib_direct_saturate(d, p->n, mean.s, 0, m.lo, m.hi).s);
  }
}

/* What the sum runs over: codes as they are where they are divided, else less their zero point, so
 * that padding adds nothing. */
static nib_expr summand(pool *p, const window_count *c) {
  nib_mean_params m;
  if (p->is_float || nib_params_mean(p->d->g, p->n, c->value, &m) != NIB_OK || m.divide)
    return input_at(p);
  return nib_direct_minus(input_at(p).s, m.in_zp);
}

/* Replaces the count of elements inside the input by that of the padded window. */
static void count_padding(pool *p) {
  nib_expr rows = padded_extent(p, 0), columns = padded_extent(p, 1);
  nib_mean_params m;
  const bool adds =
      !p->is_float && nib_params_mean(p->d->g, p->n, 1, &m) == NIB_OK && m.divide && m.in_zp != 0;
  if (adds)
    nib_text_line(p->d->t, "sum += (%s * %s - count) * %s;", rows.s, columns.s,
                  nib_direct_i64(m.in_zp).s);
  nib_text_line(p->d->t, "count = %s * %s;", rows.s, columns.s);
}

void nib_direct_avg_pool2d(nib_direct *d, const nib_node *n) {
  pool p = pool_open(d, n);
  const window_count c = count_of(&p);
  nib_text_line(d->t, "%s sum = 0;", nib_direct_value_type(p.y->format));
  if (!c.constant)
    nib_text_line(d->t, "int32_t count = 0;");
  open_axis(&p, 0);
  open_axis(&p, 1);
  nib_text_line(d->t, "sum += %s;", summand(&p, &c).s);
  if (!c.constant)
    nib_text_line(d->t, "count++;");
  close_loops(&p, 2);
  if (!c.constant && c.with_padding)
    count_padding(&p);
  if (!p.is_float)
    finish_codes(&p, &c);
  else if (c.constant)
    put(&p, nib_direct_activate_real(d, n,
                                    nib_expr_printf("sum / %s", nib_direct_f32((float)c.value).s).s)
                .s);
  else
    put(&p, nib_direct_activate_real(d, n, "sum / (float)count").s);
  close_loops(&p, p.loops);
}

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Reductions: mean over axes, softmax over an axis.
#include "schedule/direct.h"

#include "params/params.h"

#include <math.h>
#include <string.h>

/* ---- mean ---- */

/* The axes reduced, and the loops over the kept and the reduced dimensions. */
typedef struct reduction {
  bool reduced[NIB_MAX_RANK];
  int64_t strides[NIB_MAX_RANK];
  int64_t count; /* elements per mean */
} reduction;

static reduction describe(const nib_node *n, const nib_tensor *x) {
  reduction r = {.count = 1};
  const nib_attr *axes = nib_node_attr(n, NIB_A_AXES);
  for (int32_t i = 0; axes && i < axes->u.ints.n; ++i) {
    int64_t axis = axes->u.ints.v[i];
    axis += axis < 0 ? x->rank : 0;
    if (axis >= 0 && axis < x->rank)
      r.reduced[axis] = true;
  }
  int64_t stride = 1;
  for (int32_t i = x->rank - 1; i >= 0; --i) {
    r.strides[i] = stride;
    stride *= x->dims[i];
    r.count *= r.reduced[i] ? x->dims[i] : 1;
  }
  return r;
}

/* Opens loops a, b … over the dimensions that are (not) reduced; returns how many. */
static int open_dims(nib_direct *d, const reduction *r, const nib_tensor *x, bool reduced) {
  int loops = 0;
  for (int32_t i = 0; i < x->rank; ++i) {
    const char var[] = {(char)('a' + i), 0};
    if (r->reduced[i] != reduced || x->dims[i] == 1)
      continue;
    nib_direct_for(d, var, x->dims[i]);
    loops++;
  }
  return loops;
}

/* Index over the dimensions that pass the filter, in the strides of x or packed. */
static nib_expr index_over(const reduction *r, const nib_tensor *x, bool kept_only) {
  nib_expr sum = {""};
  int64_t packed[NIB_MAX_RANK], stride = 1;
  for (int32_t i = x->rank - 1; i >= 0; --i) {
    packed[i] = stride;
    stride *= r->reduced[i] ? 1 : x->dims[i];
  }
  for (int32_t i = 0; i < x->rank; ++i) {
    if (x->dims[i] == 1 || (kept_only && r->reduced[i]))
      continue;
    const int64_t step = kept_only ? packed[i] : r->strides[i];
    nib_expr part = step == 1 ? nib_expr_printf("%c", 'a' + i)
                              : nib_expr_printf("%c * %lld", 'a' + i, (long long)step);
    sum = nib_expr_printf("%.300s%s%.100s", sum.s, sum.s[0] ? " + " : "", part.s);
  }
  return sum.s[0] ? sum : nib_expr_printf("0");
}

static void close_loops(nib_direct *d, int n) {
  for (int i = 0; i < n; ++i)
    nib_text_close(d->t, "");
}

void nib_direct_mean(nib_direct *d, const nib_node *n) {
  const nib_tensor *x = nib_node_input(d->g, n, 0);
  const reduction r = describe(n, x);
  nib_expr p = nib_direct_pointer(d, n->in[0], "input");
  if (x->format != NIB_F32) {
    nib_direct_fail(d, n, NIB_ERROR_UNSUPPORTED, "mean of these formats is not supported");
    return;
  }
  const int kept = open_dims(d, &r, x, false);
  nib_text_line(d->t, "float sum = 0.0f;");
  const int inner = open_dims(d, &r, x, true);
  nib_text_line(d->t, "sum += %s[%s];", p.s, index_over(&r, x, false).s);
  close_loops(d, inner);
  nib_direct_put(d, index_over(&r, x, true).s,
                 nib_expr_printf("sum / %s", nib_direct_f32((float)r.count).s).s);
  close_loops(d, kept);
}

/* ---- softmax ---- */

static void softmax_f32(nib_direct *d, const nib_node *n, const char *input, int64_t outer,
                        int64_t depth, int64_t inner) {
  const float beta = (float)nib_node_float(n, NIB_A_BETA, 1.0);
  nib_expr at = nib_expr_printf("(o * %lld + i) * %lld + j", (long long)depth, (long long)inner);
  nib_expr scaled = beta == 1.0f
                        ? nib_expr_printf("expf(%s[%s] - max)", input, at.s)
                        : nib_expr_printf("expf((%.100s[%.100s] - max) * %s)", input, at.s,
                                          nib_direct_f32(beta).s);
  nib_direct_for(d, "o", outer);
  nib_direct_for(d, "j", inner);
  nib_text_line(d->t, "float max = -INFINITY, sum = 0.0f;");
  nib_direct_for(d, "i", depth);
  nib_text_line(d->t, "max = fmaxf(max, %s[%s]);", input, at.s);
  nib_text_close(d->t, "");
  nib_direct_for(d, "i", depth);
  nib_text_line(d->t, "sum += %s;", scaled.s);
  nib_text_close(d->t, "");
  nib_direct_for(d, "i", depth);
  nib_direct_put(d, at.s, nib_expr_printf("%.400s / sum", scaled.s).s);
  close_loops(d, 3);
}

void nib_direct_softmax(nib_direct *d, const nib_node *n) {
  const nib_tensor *x = nib_node_input(d->g, n, 0);
  int64_t axis = nib_node_int(n, NIB_A_AXIS, -1), outer = 1, inner = 1;
  axis += axis < 0 ? x->rank : 0;
  for (int32_t i = 0; i < x->rank; ++i) {
    outer *= i < axis ? x->dims[i] : 1;
    inner *= i > axis ? x->dims[i] : 1;
  }
  const int64_t depth = x->rank ? x->dims[axis] : 1;
  nib_expr p = nib_direct_pointer(d, n->in[0], "input");
  if (x->format == NIB_F32)
    softmax_f32(d, n, p.s, outer, depth, inner);
  else
    nib_direct_fail(d, n, NIB_ERROR_UNSUPPORTED, "softmax of these formats is not supported");
}

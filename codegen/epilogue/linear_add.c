/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Addition of two 8-bit tensors has 65,536 cases: a float form that agrees in all of them is exact,
 * whatever the integer arithmetic behind the definition. */
#include "epilogue/followers.h"

#include <math.h>
#include <stdlib.h>

enum { codes = 256 };

/* One operand's contribution to the fine sum, by code. */
typedef struct fine {
  int32_t lhs[codes], rhs[codes];
} fine;

static int64_t clamp(int64_t x, int64_t lo, int64_t hi) { return x < lo ? lo : x > hi ? hi : x; }

int64_t nib_linear_round(float y, nib_rounding rounding) {
  y = rounding == NIB_ROUNDING_NEAREST_EVEN ? rintf(y) : roundf(y);
  return y >= 2147483520.0f ? INT32_MAX : y <= -2147483648.0f ? INT32_MIN : (int64_t)y;
}

static int64_t real_sum(const nib_add_params *q, bool subtract, int32_t x, int32_t y) {
  const float a = (float)(x - q->lhs_zp) * q->lhs_scale, b = (float)(y - q->rhs_zp) * q->rhs_scale;
  return nib_linear_round((subtract ? a - b : a + b) / q->out_scale, q->rounding);
}

/* The node's own arithmetic for all pairs; false if it cannot be tabulated. */
static bool tabulate(const nib_node *n, const nib_add_params *q, int32_t least_l, int32_t least_r,
                     int16_t *out_table) {
  const bool subtract = n->op == NIB_OP_SUB;
  const bool tflite = !nib_epilogue_is_float_rounding(q->rounding);
  if (tflite && (q->lhs.shift > 0 || q->rhs.shift > 0 || q->out.shift > 0))
    return false;
  fine f;
  for (int i = 0; tflite && i < codes; i++) {
    f.lhs[i] = nib_params_rescale(
        q->rounding, (int32_t)((i + least_l - q->lhs_zp) * (1 << q->left_shift)), &q->lhs);
    f.rhs[i] = nib_params_rescale(
        q->rounding, (int32_t)((i + least_r - q->rhs_zp) * (1 << q->left_shift)), &q->rhs);
  }
  for (int i = 0; i < codes; i++) {
    for (int j = 0; j < codes; j++) {
      const int64_t y =
          tflite ? nib_params_rescale(q->rounding,
                                      subtract ? f.lhs[i] - f.rhs[j] : f.lhs[i] + f.rhs[j], &q->out)
                 : real_sum(q, subtract, i + least_l, j + least_r);
      out_table[i * codes + j] = (int16_t)clamp(y + q->out_zp, q->lo, q->hi);
    }
  }
  return true;
}

static bool agrees(const nib_linear_add *l, const nib_add_params *q, int32_t least_l,
                   int32_t least_r, bool lhs_inner, const int16_t *table) {
  for (int i = 0; i < codes; i++) {
    const float x = (float)(i + least_l);
    for (int j = 0; j < codes; j++) {
      const float y = (float)(j + least_r);
      const float sum = lhs_inner ? fmaf(y, l->rhs_scale, fmaf(x, l->lhs_scale, l->offset))
                                  : fmaf(x, l->lhs_scale, fmaf(y, l->rhs_scale, l->offset));
      if (clamp((int64_t)rintf(sum), q->lo, q->hi) != table[i * codes + j])
        return false;
    }
  }
  return true;
}

static float nudged(double x, int ulps) {
  float f = (float)x;
  for (; ulps > 0; ulps--)
    f = nextafterf(f, INFINITY);
  for (; ulps < 0; ulps++)
    f = nextafterf(f, -INFINITY);
  return f;
}

bool nib_linear_add_prove(const nib_graph *g, const nib_node *n, bool lhs_inner,
                          nib_linear_add *out_add) {
  nib_add_params q;
  if (nib_params_add(g, n, &q) != NIB_OK)
    return false;
  const double left = (double)q.lhs_scale / (double)q.out_scale;
  const double right =
      (double)q.rhs_scale / (double)q.out_scale * (n->op == NIB_OP_SUB ? -1.0 : 1.0);
  if (!(left < 1e6) || !(fabs(right) < 1e6))
    return false;
  const int32_t least_l = (int32_t)nib_format_get(nib_node_input(g, n, 0)->format)->min;
  const int32_t least_r = (int32_t)nib_format_get(nib_node_input(g, n, 1)->format)->min;
  int16_t *table = malloc(sizeof *table * codes * codes);
  bool found = false;
  if (table && tabulate(n, &q, least_l, least_r, table)) {
    static const int nudges[] = {0, 1, -1, 2, -2};
    enum { n_nudges = sizeof nudges / sizeof *nudges };
    for (int i = 0; i < n_nudges * n_nudges * n_nudges && !found; i++) {
      nib_linear_add l = {true, nudged(left, nudges[i % n_nudges]),
                          nudged(right, nudges[i / n_nudges % n_nudges]), 0.0f};
      const double offset = (double)q.out_zp - (double)q.lhs_zp * left - (double)q.rhs_zp * right;
      l.offset = nudged(offset, nudges[i / (n_nudges * n_nudges)]);
      found = agrees(&l, &q, least_l, least_r, lhs_inner, table);
      if (found)
        *out_add = l;
    }
  }
  free(table);
  return found;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Products of two 8-bit codes are integers: where the result depends on the product alone, a float
 * form of its requantization that agrees for every pair of codes is exact. */
#include "epilogue/followers.h"

#include <math.h>
#include <stdlib.h>

enum { codes = 256 };

static int64_t clamp(int64_t x, int64_t lo, int64_t hi) { return x < lo ? lo : x > hi ? hi : x; }

/* The node's own arithmetic where its rounding is one of reals. */
static int64_t real_code(const nib_mul_params *q, int64_t x, int64_t y) {
  const float a = (float)x * q->lhs_scale, b = (float)y * q->rhs_scale;
  return clamp(nib_linear_round(a * b / q->out_scale, q->rounding) + q->out_zp, q->lo, q->hi);
}

static int64_t linear_code(const nib_mul_params *q, const nib_linear *l, int64_t product) {
  const float x = (float)product;
  const float offset = l->form == NIB_LINEAR_SIGNED ? copysignf(l->offset, x) : l->offset;
  const int64_t code = nib_linear_round(fmaf(x, l->scale, offset), NIB_ROUNDING_NEAREST_EVEN);
  return clamp(code + (l->zero_apart ? q->out_zp : 0), q->lo, q->hi);
}

/* `least`: the smallest code of each operand less its zero point. */
static bool agrees(const nib_mul_params *q, const nib_linear *l, const int64_t least[2]) {
  for (int64_t x = least[0]; x < least[0] + codes; x++)
    for (int64_t y = least[1]; y < least[1] + codes; y++)
      if (linear_code(q, l, x * y) != real_code(q, x, y))
        return false;
  return true;
}

/* Reals are rounded three times before the last: near the product's own form, something may agree.
 */
static bool nudge(const nib_mul_params *q, const int64_t least[2], nib_linear *l) {
  enum { most = 2 };
  const nib_linear first = *l;
  for (int s = 0; s <= 2 * most; s++) {
    for (int o = 0; o <= 2 * most; o++) {
      const int scales = s % 2 ? (s + 1) / 2 : -s / 2, offsets = o % 2 ? (o + 1) / 2 : -o / 2;
      l->scale = first.scale;
      l->offset = first.offset;
      for (int i = 0; i < abs(scales); i++)
        l->scale = nextafterf(l->scale, scales > 0 ? INFINITY : 0.0f);
      for (int i = 0; i < abs(offsets); i++)
        l->offset = nextafterf(l->offset, offsets > 0 ? INFINITY : -INFINITY);
      if ((l->form != NIB_LINEAR_SIGNED || l->offset >= 0) && agrees(q, l, least))
        return true;
    }
  }
  return false;
}

bool nib_linear_mul_prove(const nib_graph *g, const nib_node *n, bool may_be_signed,
                          nib_linear *out_linear) {
  nib_mul_params q;
  if (nib_params_mul(g, n, &q) != NIB_OK)
    return false;
  const int64_t least[2] = {nib_format_get(nib_node_input(g, n, 0)->format)->min - q.lhs_zp,
                            nib_format_get(nib_node_input(g, n, 1)->format)->min - q.rhs_zp};
  const bool real = nib_epilogue_is_float_rounding(q.rounding);
  nib_acc_range range = {0, 0};
  for (int i = 0; i < 4; i++) {
    const int64_t x = least[0] + (i & 1 ? codes - 1 : 0), y = least[1] + (i & 2 ? codes - 1 : 0);
    range.low = x * y < range.low ? x * y : range.low;
    range.high = x * y > range.high ? x * y : range.high;
  }
  static const struct {
    nib_linear_form form;
    bool zero_apart; /* ties to even codes stay so */
  } forms[] = {{NIB_LINEAR_PLAIN, false}, {NIB_LINEAR_PLAIN, true}, {NIB_LINEAR_SIGNED, true}};
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    if (forms[i].form == NIB_LINEAR_SIGNED && !may_be_signed)
      continue;
    nib_linear l = {.form = forms[i].form, .zero_apart = forms[i].zero_apart};
    if (!nib_linear_prove(q.rounding, &q.out, q.out_zp, q.lo, q.hi, range, 0, &l))
      continue;
    if (real && !nudge(&q, least, &l))
      continue;
    *out_linear = l;
    return true;
  }
  return false;
}

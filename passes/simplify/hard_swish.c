/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * hard_swish as networks spell it: x relu6(x + 3) / 6, x hard_sigmoid(x); the sixth may be
 * anywhere. */
#include "simplify/simplify.h"

#include <math.h>
#include <string.h>

/* How many operators with a number may lie one behind the other. */
enum { MAX_STEPS = 4 };

/* What is looked at is a * x + b. */
typedef struct line {
  int32_t x;
  double a, b;
} line;

static bool has_activation(const nib_node *n, const char *name) {
  return strcmp(nib_node_string(n, NIB_A_ACTIVATION, "none"), name) == 0;
}

static bool number_of(const nib_simplify *s, int32_t tensor, double *out) {
  const nib_tensor *t = &s->g->tensors[tensor];
  if (t->data == NULL || !nib_simplify_is_float(t) || nib_tensor_elems(t) != 1)
    return false;
  *out = nib_format_load_real(t->format, t->data, 0);
  return isfinite(*out);
}

/* From the result of a product or quotient with a number to its operand; of a sum or difference too
 * where `sums`. The operator's activation is `activation`. */
static bool step_back(const nib_simplify *s, line *l, bool sums, const char *activation) {
  const int32_t p = nib_simplify_producer(s, l->x);
  const nib_node *n = p == NIB_NONE ? NULL : &s->g->nodes[p];
  if (n == NULL || n->n_in != 2 || !has_activation(n, activation))
    return false;
  const bool scales = n->op == NIB_OP_MUL || n->op == NIB_OP_DIV;
  const bool swaps = n->op == NIB_OP_MUL || n->op == NIB_OP_ADD;
  if (!scales && !(sums && (n->op == NIB_OP_ADD || n->op == NIB_OP_SUB)))
    return false;
  double c;
  int side = 0;
  if (!number_of(s, n->in[1], &c)) {
    side = 1;
    if (!swaps || !number_of(s, n->in[0], &c))
      return false;
  }
  if (!nib_simplify_same_shape(&s->g->tensors[n->in[side]], &s->g->tensors[n->out]))
    return false;
  if (scales)
    l->a = n->op == NIB_OP_MUL ? l->a * c : l->a / c;
  else
    l->b += n->op == NIB_OP_ADD ? l->a * c : -l->a * c;
  l->x = n->in[side];
  return true;
}

/* Whether `tensor` times `factor` is min(max(x / 6 + 1/2, 0), 1), but for the rounding of numbers.
 */
static bool is_gate(const nib_simplify *s, int32_t tensor, double factor, int32_t x) {
  line outer = {tensor, factor, 0}, inner;
  double lo = 0, hi = 6;
  for (int i = 0; i < MAX_STEPS && step_back(s, &outer, false, "none"); ++i)
    continue;
  const int32_t p = nib_simplify_producer_of(s, outer.x, NIB_OP_CLAMP);
  if (p != NIB_NONE) {
    const nib_node *n = &s->g->nodes[p];
    lo = nib_node_float(n, NIB_A_MIN, -INFINITY);
    hi = nib_node_float(n, NIB_A_MAX, INFINITY);
    inner = (line){n->in[0], 1, 0};
  } else {
    inner = (line){outer.x, 1, 0};
    if (!step_back(s, &inner, true, "relu6"))
      return false;
  }
  for (int i = 0; i < MAX_STEPS && inner.x != x && step_back(s, &inner, true, "none"); ++i)
    continue;
  const nib_format_info *f = nib_format_get(s->g->tensors[x].format);
  const double near = fmax(5e-7, ldexp(1, -f->real.mantissa_bits - 1)), a = outer.a;
  return inner.x == x && lo == 0 && fabs(a * hi - 1) <= near && fabs(6 * a * inner.a - 1) <= near &&
         fabs(2 * a * inner.b - 1) <= near;
}

bool nib_simplify_hard_swish(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  const nib_tensor *y = &s->g->tensors[n->out];
  line outer = {n->out, 1, 0};
  if (!nib_simplify_is_float(y) || nib_format_get(y->format)->bits < 16)
    return false;
  for (int i = 0; i < MAX_STEPS && step_back(s, &outer, false, "none"); ++i)
    continue;
  const int32_t p = nib_simplify_producer_of(s, outer.x, NIB_OP_MUL);
  if (p == NIB_NONE || !has_activation(&s->g->nodes[p], "none"))
    return false;
  const int32_t *in = s->g->nodes[p].in;
  for (int side = 0; side < 2; ++side) {
    line x = {in[side], outer.a, 0};
    for (int i = 0; i < MAX_STEPS; ++i) {
      const nib_tensor *t = &s->g->tensors[x.x];
      if (t->format == y->format && nib_simplify_same_shape(t, y) &&
          is_gate(s, in[1 - side], x.a, x.x))
        return nib_simplify_become(s, node, NIB_OP_HARD_SWISH, &x.x, 1);
      if (!step_back(s, &x, false, "none"))
        break;
    }
  }
  return false;
}

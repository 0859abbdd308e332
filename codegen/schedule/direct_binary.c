// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Operators of binary.def and functions of plain integers as expressions of one element.
#include "schedule/direct.h"

#include "params/params.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool is_word(char c) { return c == '_' || isalnum((unsigned char)c); }

nib_expr nib_direct_substitute(const char *expression, const char *names, const nib_expr *values) {
  nib_expr y = {""};
  size_t n = 0;
  for (const char *c = expression; *c; ++c) {
    const char *name = strchr(names, *c);
    const bool variable = name && !is_word(c[1]) && (c == expression || !is_word(c[-1]));
    const char letter[2] = {*c, '\0'};
    const char *text = variable ? values[name - names].s : letter;
    const bool negative = variable && text[0] == '-';
    const int added = snprintf(y.s + n, sizeof y.s - n, negative ? "(%s)" : "%s", text);
    if (added < 0 || (n += (size_t)added) >= sizeof y.s)
      return nib_expr_printf("#error expression too long");
  }
  return y;
}

static bool is_unsigned(const nib_tensor *t) {
  return nib_format_get(t->format)->kind == NIB_KIND_UNSIGNED;
}

/* `x` as 64 bits, as the expressions of integers expect. */
static nib_expr widened(const nib_tensor *t, const char *x) {
  return nib_expr_printf(is_unsigned(t) ? "((uint64_t)%s)" : "((int64_t)%s)", x);
}

static nib_expr narrowed(const nib_tensor *y, const char *value) {
  return nib_expr_printf("(%s)(%s)", nib_format_get(y->format)->c_type, value);
}

nib_expr nib_direct_step_binary(nib_direct *d, const nib_node *n, const nib_expr *operands,
                                const char *index) {
  (void)index;
  const nib_tensor *a = nib_node_input(d->g, n, 0), *y = nib_direct_result(d, n);
  if (nib_direct_is_float(a)) {
    const nib_binary_real *f = nib_params_binary_real(n->op);
    if (!f)
      return nib_direct_none(d, n, "it is not defined for real numbers");
    return nib_direct_substitute(a->format == NIB_F64 ? f->text64 : f->text, "ab", operands);
  }
  const nib_binary_integer *f = nib_params_binary_integer(n->op);
  if (!f)
    return nib_direct_none(d, n, "it is not defined for integers");
  const nib_expr wide[2] = {widened(a, operands[0].s), widened(a, operands[1].s)};
  nib_expr value =
      nib_direct_substitute(is_unsigned(a) ? f->unsigned_text : f->signed_text, "ab", wide);
  return nib_params_is_comparison(n->op) ? value : narrowed(y, value.s);
}

nib_expr nib_direct_step_where(nib_direct *d, const nib_node *n, const nib_expr *operands,
                               const char *index) {
  (void)d, (void)n, (void)index;
  return nib_expr_printf("%s ? %s : %s", operands[0].s, operands[1].s, operands[2].s);
}

nib_expr nib_direct_integer_function(nib_direct *d, const nib_node *n, const char *x) {
  const nib_integer_function *f = nib_params_integer_function(n->op);
  const nib_tensor *y = nib_direct_result(d, n);
  if (!f)
    return nib_direct_none(d, n, "it is not defined for integers");
  const nib_expr wide = widened(y, x);
  return narrowed(
      y, nib_direct_substitute(is_unsigned(y) ? f->unsigned_text : f->signed_text, "x", &wide).s);
}

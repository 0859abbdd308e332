// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// multi_threshold as an expression of one element.
#include "schedule/direct.h"

#include "params/params.h"

#include <string.h>

/* Up to this many thresholds are compared one by one: without branches that is faster than a
 * search.
 */
enum { MAX_COMPARED = 4 };

/* How many of the thresholds, which begin at `first`, are not above x. */
static nib_expr count_of(nib_direct *d, const nib_node *n, const char *x, const char *first,
                         int64_t levels) {
  const bool real = nib_direct_is_float(nib_node_input(d->g, n, 0));
  if (levels > MAX_COMPARED) {
    const char *snippet = real ? "nib_count_reached_f32" : "nib_count_reached_i32";
    if (!nib_direct_use(d, n, snippet))
      return nib_expr_printf("0");
    return nib_expr_printf("%s(%s, %s, %lld)", snippet, x, first, (long long)levels);
  }
  nib_expr sum = nib_expr_printf("(%s >= %s[0])", x, first);
  for (int64_t k = 1; k < levels; ++k)
    sum = nib_expr_printf("%s + (%s >= %s[%lld])", sum.s, x, first, (long long)k);
  return levels > 0 ? sum : nib_expr_printf("0");
}

nib_expr nib_direct_step_multi_threshold(nib_direct *d, const nib_node *n, const nib_expr *operands,
                                         const char *index) {
  const nib_tensor *t = nib_node_input(d->g, n, 1), *steps = nib_node_input(d->g, n, 2);
  const int64_t channels = t->dims[0], levels = t->dims[1];
  const nib_tensor *y = nib_direct_result(d, n);
  const char *type = nib_format_get(t->format)->c_type;
  int64_t lo, hi;
  nib_params_code_range(d->g, n, &lo, &hi);
  nib_expr p = nib_direct_pointer(d, n->in[1], "thresholds");
  nib_expr channel = channels == 1 ? nib_expr_printf("0")
                     : nib_tensor_elems(y) == channels
                         ? nib_expr_printf("%s", index)
                         : nib_expr_printf("%s %% %lld", index, (long long)channels);
  nib_expr row = nib_expr_printf("reached%d", d->position), x = operands[0];
  nib_text_line(d->t, "const %s *const %s = %s + (%s) * %lld;", type, row.s, p.s, channel.s,
                (long long)levels);
  nib_expr count = count_of(d, n, x.s, row.s, levels);
  if (!steps)
    return nib_direct_plus(nib_expr_printf("(%s)", count.s).s, lo);
  nib_expr s = nib_direct_pointer(d, n->in[2], "steps");
  nib_text_line(d->t, "const int32_t count%d = %s;", d->position, count.s);
  return nib_expr_printf("%s[%s] < 0 ? %lld - count%d : %lld + count%d", s.s, channel.s,
                         (long long)hi, d->position, (long long)lo, d->position);
}

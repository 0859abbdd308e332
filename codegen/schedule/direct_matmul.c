// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Batched matrix products with broadcasting of the leading dimensions.
#include "schedule/direct.h"

#include "params/params.h"

/* "b0 * 12 + b1 * 4": where a matrix of `t` starts for the batch loops b0, b1 … */
static nib_expr matrix_start(const nib_tensor *t, const nib_tensor *y) {
  nib_expr sum = {""};
  int64_t stride = t->dims[t->rank - 1] * t->dims[t->rank - 2];
  for (int32_t i = y->rank - 3; i >= 0; --i) {
    const int32_t at = i - (y->rank - t->rank);
    const int64_t extent = at >= 0 ? t->dims[at] : 1;
    if (extent > 1)
      sum = nib_expr_printf("b%d * %lld + %s", i, (long long)stride, sum.s);
    stride *= extent;
  }
  return sum;
}

nib_expr nib_direct_matmul_value(nib_direct *d, const nib_node *n) {
  const nib_tensor *a = nib_node_input(d->g, n, 0), *b = nib_node_input(d->g, n, 1);
  const nib_tensor *y = &d->g->tensors[n->out];
  if (!y->quantized)
    return nib_expr_printf("acc");
  const nib_rounding rounding = nib_node_rounding(d->g, n);
  const nib_requant q = nib_requant_from_real(nib_requant_real_multiplier(
      nib_params_unit(a), nib_params_unit(b), y->scale, !nib_direct_by_reals(rounding)));
  nib_direct_multiplier m = {.rounding = rounding, .requant = &q, .n = 1};
  int64_t lo, hi;
  nib_params_code_range(d->g, n, &lo, &hi);
  return nib_direct_saturate(d, n, nib_direct_requant(d, n, &m, "acc", "0").s, y->zero_point, lo,
                             hi);
}

/* The number of a code; elements of blocks are numbers already. */
static nib_expr number_of(nib_direct *d, const nib_tensor *t, const char *x) {
  if (t->quantized || nib_format_get(t->format)->kind == NIB_KIND_BIPOLAR)
    return nib_direct_number(t->format, x, t->zero_point);
  return nib_direct_real(d, t->format, x);
}

bool nib_direct_matmul_accepts(const nib_graph *g, const nib_node *n) {
  const nib_tensor *a = nib_node_input(g, n, 0), *b = nib_node_input(g, n, 1);
  return a && b && a->rank >= 2 && b->rank >= 2 && g->tensors[n->out].rank >= 2 &&
         nib_direct_can_round(nib_node_rounding(g, n), false) &&
         (!nib_direct_is_float(&g->tensors[n->out]) ||
          (nib_direct_reads_weights(a) && nib_direct_reads_weights(b)));
}

/* The longest loop over rows or batches. */
int64_t nib_direct_matmul_units(const nib_graph *g, const nib_node *n) {
  const nib_tensor *y = &g->tensors[n->out];
  int64_t most = 1;
  for (int32_t i = 0; i < y->rank - 1; ++i)
    most = y->dims[i] > most ? y->dims[i] : most;
  return most;
}

void nib_direct_matmul(nib_direct *d, const nib_node *n) {
  const nib_tensor *a = nib_node_input(d->g, n, 0), *b = nib_node_input(d->g, n, 1);
  const nib_tensor *y = &d->g->tensors[n->out];
  nib_expr pa = nib_direct_pointer(d, n->in[0], "lhs"), pb = nib_direct_pointer(d, n->in[1], "rhs");
  nib_expr start_a = matrix_start(a, y), start_b = matrix_start(b, y), start_y = matrix_start(y, y);
  for (int32_t i = 0; i < y->rank - 2; ++i)
    nib_direct_each(d, nib_expr_printf("b%d", i).s, y->dims[i]);
  nib_direct_each(d, "i", y->dims[y->rank - 2]);
  nib_expr row = nib_expr_printf("%si * %lld + ", start_a.s, (long long)a->dims[a->rank - 1]);
  if (nib_direct_is_block(b)) {
    nib_direct_block_columns(
        d, n, pa.s, row.s, pb.s, start_b.s,
        nib_expr_printf("%si * %lld + ", start_y.s, (long long)y->dims[y->rank - 1]).s);
    for (int32_t i = 0; i < y->rank - 1; ++i)
      nib_text_close(d->t, "");
    return;
  }
  nib_direct_each(d, "j", y->dims[y->rank - 1]);
  nib_text_line(d->t, "%s acc = 0;", nib_direct_value_type(y->format));
  nib_expr x = nib_direct_open_columns(d, a, pa.s, row.s);
  nib_expr w =
      nib_expr_printf("%s[%sk * %lld + j]", pb.s, start_b.s, (long long)b->dims[b->rank - 1]);
  nib_direct_add_product(d, n, nib_direct_value_type(y->format), number_of(d, a, x.s).s,
                         number_of(d, b, w.s).s);
  nib_direct_close_columns(d, a);
  nib_expr index = nib_expr_printf("%si * %lld + j", start_y.s, (long long)y->dims[y->rank - 1]);
  nib_direct_put(d, index.s, nib_direct_matmul_value(d, n).s);
  for (int32_t i = 0; i < y->rank; ++i)
    nib_text_close(d->t, "");
}

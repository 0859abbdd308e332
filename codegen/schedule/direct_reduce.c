// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Reductions: mean over axes, softmax over an axis.
#include "schedule/direct.h"

#include "num/snippets.h"
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
  for (int32_t i = 0; !axes && i < x->rank; ++i)
    r.reduced[i] = true;
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
  int32_t last = -1;
  for (int32_t i = 0; i < x->rank; ++i)
    if (r->reduced[i] == reduced && x->dims[i] != 1)
      last = i;
  for (int32_t i = 0; i <= last; ++i) {
    const char var[] = {(char)('a' + i), 0};
    if (r->reduced[i] != reduced || x->dims[i] == 1)
      continue;
    if (!reduced)
      nib_direct_each(d, var, x->dims[i]);
    else if (i == last)
      nib_direct_for_lanes(d, var, x->dims[i]);
    else
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
    sum = nib_expr_printf("%s%s%s", sum.s, sum.s[0] ? " + " : "", part.s);
  }
  return sum.s[0] ? sum : nib_expr_printf("0");
}

static void close_loops(nib_direct *d, int n) {
  for (int i = 0; i < n; ++i)
    nib_text_close(d->t, "");
}

/* The mean's code from `sum`, which runs over codes as they are. */
static nib_expr mean_code(nib_direct *d, const nib_node *n, int64_t count) {
  nib_mean_params p;
  if (nib_params_mean(d->g, n, count, &p) != NIB_OK) {
    nib_direct_fail(d, n, NIB_ERROR_INTERNAL, "its arithmetic has no parameters");
    return nib_expr_printf("0");
  }
  if (p.divide && p.truncate)
    return nib_direct_saturate(d, n, nib_expr_printf("(int32_t)(sum / %lld)", (long long)count).s,
                               0, p.lo, p.hi);
  if (p.divide && nib_direct_use(d, n, "nib_avg_round"))
    return nib_direct_saturate(
        d, n, nib_expr_printf("nib_avg_round((int32_t)sum, %lld)", (long long)count).s, 0, p.lo,
        p.hi);
  nib_direct_multiplier m = {.rounding = p.rounding, .requant = &p.out, .n = 1};
  nib_expr centered = nib_expr_printf("(int32_t)%s", nib_direct_minus("sum", count * p.in_zp).s);
  return nib_direct_saturate(d, n, nib_direct_requant(d, n, &m, centered.s, "0").s, p.out_zp, p.lo,
                             p.hi);
}

void nib_direct_mean(nib_direct *d, const nib_node *n) {
  const nib_tensor *x = nib_node_input(d->g, n, 0);
  const reduction r = describe(n, x);
  const bool real = nib_format_get(x->format)->kind == NIB_KIND_FLOAT;
  nib_expr p = nib_direct_pointer(d, n->in[0], "input");
  const int kept = open_dims(d, &r, x, false);
  nib_text_line(d->t, "%s sum = 0;",
                real                          ? nib_direct_value_type(x->format)
                : r.count * 65536 > INT32_MAX ? "int64_t"
                                              : "int32_t");
  const int inner = open_dims(d, &r, x, true);
  nib_text_line(d->t, "sum += %s[%s];", p.s, index_over(&r, x, false).s);
  close_loops(d, inner);
  if (inner > 0)
    nib_direct_join_lanes(d, real ? "float" : "int32_t", "sum", "sum + other");
  nib_expr value = real ? nib_expr_printf("sum / %s", nib_direct_f32((float)r.count).s)
                        : mean_code(d, n, r.count);
  nib_direct_open_leader(d);
  nib_direct_put(d, index_over(&r, x, true).s, value.s);
  nib_direct_close_leader(d);
  close_loops(d, kept);
}

/* ---- reduce and cumulate ---- */

static bool is_unsigned(const nib_tensor *t) {
  return nib_format_get(t->format)->kind == NIB_KIND_UNSIGNED;
}

/* The operator on two values of the tensor's format. */
static nib_expr combined(const nib_node *n, const nib_tensor *x, const char *a, const char *b) {
  const nib_op op = nib_params_reduction(n);
  const char *type = is_unsigned(x) ? "uint64_t" : "int64_t";
  nib_expr values[2] = {nib_expr_printf("%s", a), nib_expr_printf("%s", b)};
  if (nib_direct_is_float(x)) {
    const nib_binary_real *f = nib_params_binary_real(op);
    return nib_direct_substitute(x->format == NIB_F64 ? f->text64 : f->text, "ab", values);
  }
  const nib_binary_integer *f = nib_params_binary_integer(op);
  values[0] = nib_expr_printf("((%s)%s)", type, a);
  values[1] = nib_expr_printf("((%s)%s)", type, b);
  nib_expr y =
      nib_direct_substitute(is_unsigned(x) ? f->unsigned_text : f->signed_text, "ab", values);
  return nib_expr_printf("(%s)(%s)", nib_format_get(x->format)->c_type, y.s);
}

/* What leaves every number as it is. */
static nib_expr neutral(const nib_node *n, const nib_tensor *x) {
  const nib_op op = nib_params_reduction(n);
  const nib_format_info *f = nib_format_get(x->format);
  if (op == NIB_OP_ADD || op == NIB_OP_MUL)
    return nib_expr_printf(op == NIB_OP_ADD ? "0" : "1");
  if (nib_direct_is_float(x))
    return nib_expr_printf(op == NIB_OP_MAXIMUM ? "-INFINITY" : "INFINITY");
  if (is_unsigned(x) && f->bits == 64 && op == NIB_OP_MINIMUM)
    return nib_expr_printf("UINT64_MAX");
  return nib_direct_i64(op == NIB_OP_MAXIMUM ? f->min : f->max);
}

void nib_direct_reduce(nib_direct *d, const nib_node *n) {
  const nib_tensor *x = nib_node_input(d->g, n, 0);
  const reduction r = describe(n, x);
  nib_expr p = nib_direct_pointer(d, n->in[0], "input");
  const int kept = open_dims(d, &r, x, false);
  nib_text_line(d->t, "%s acc = %s;", nib_direct_value_type(x->format), neutral(n, x).s);
  const int inner = open_dims(d, &r, x, true);
  nib_text_line(d->t, "const %s x = %s[%s];", nib_direct_value_type(x->format), p.s,
                index_over(&r, x, false).s);
  nib_text_line(d->t, "acc = %s;", combined(n, x, "acc", "x").s);
  close_loops(d, inner);
  if (inner > 0)
    nib_direct_join_lanes(d, nib_direct_value_type(x->format), "acc",
                          combined(n, x, "acc", "other").s);
  nib_direct_open_leader(d);
  nib_direct_put(d, index_over(&r, x, true).s, "acc");
  nib_direct_close_leader(d);
  close_loops(d, kept);
}

void nib_direct_cumulate(nib_direct *d, const nib_node *n) {
  const nib_tensor *x = nib_node_input(d->g, n, 0);
  const int64_t axis = nib_node_int(n, NIB_A_AXIS, 0);
  int64_t outer = 1, inner = 1;
  for (int32_t i = 0; i < x->rank; ++i) {
    outer *= i < axis ? x->dims[i] : 1;
    inner *= i > axis ? x->dims[i] : 1;
  }
  nib_expr p = nib_direct_pointer(d, n->in[0], "input");
  nib_expr index =
      nib_expr_printf("(o * %lld + i) * %lld + j", (long long)x->dims[axis], (long long)inner);
  nib_direct_each(d, "o", outer);
  nib_direct_each(d, "j", inner);
  nib_text_line(d->t, "%s acc = %s;", nib_direct_value_type(x->format), neutral(n, x).s);
  nib_direct_for(d, "i", x->dims[axis]);
  nib_text_line(d->t, "const %s x = %s[%s];", nib_direct_value_type(x->format), p.s, index.s);
  nib_text_line(d->t, "acc = %s;", combined(n, x, "acc", "x").s);
  nib_direct_put(d, index.s, "acc");
  close_loops(d, 3);
}

/* ---- softmax ---- */

/* How a softmax walks its operand: `outer` blocks of `depth` rows of `inner` elements. */
typedef struct softmax {
  nib_direct *d;
  const nib_node *n;
  const nib_tensor *x, *y;
  int64_t outer, depth, inner;
  nib_expr input, index, scaled; /* element i: its index, and exp of it less the maximum */
  bool real;
} softmax;

static softmax softmax_open(nib_direct *d, const nib_node *n) {
  softmax s = {.d = d,
               .n = n,
               .x = nib_node_input(d->g, n, 0),
               .y = &d->g->tensors[n->out],
               .outer = 1,
               .inner = 1};
  int64_t axis = nib_node_int(n, NIB_A_AXIS, -1);
  axis += axis < 0 ? s.x->rank : 0;
  for (int32_t i = 0; i < s.x->rank; ++i) {
    s.outer *= i < axis ? s.x->dims[i] : 1;
    s.inner *= i > axis ? s.x->dims[i] : 1;
  }
  s.depth = s.x->rank ? s.x->dims[axis] : 1;
  s.real = nib_format_get(s.x->format)->kind == NIB_KIND_FLOAT;
  s.input = nib_direct_pointer(d, n->in[0], "input");
  return s;
}

int64_t nib_direct_softmax_units(const nib_graph *g, const nib_node *n) {
  const nib_tensor *x = nib_node_input(g, n, 0);
  int64_t axis = nib_node_int(n, NIB_A_AXIS, -1), outer = 1;
  axis += axis < 0 ? x->rank : 0;
  for (int32_t i = 0; i < axis; ++i)
    outer *= x->dims[i];
  return outer;
}

static nib_expr exp_of_element(softmax *s) {
  const float beta = (float)nib_node_float(s->n, NIB_A_BETA, 1.0);
  nib_expr x = nib_expr_printf("%s[%s]", s->input.s, s->index.s);
  if (!s->real)
    x = nib_expr_printf("(float)%s * %s", nib_direct_minus(x.s, s->x->zero_point).s,
                        nib_direct_f32((float)s->x->scale).s);
  return beta == 1.0f ? nib_expr_printf("expf(%s - max)", x.s)
                      : nib_expr_printf("expf((%s - max) * %s)", x.s, nib_direct_f32(beta).s);
}

/* In floats; codes are dequantized on the way in and quantized on the way out. */
static void softmax_by_reals(softmax *s) {
  nib_direct *d = s->d;
  int64_t lo = 0, hi = 0;
  s->index = nib_expr_printf("(o * %lld + i) * %lld + j", (long long)s->depth, (long long)s->inner);
  s->scaled = exp_of_element(s);
  nib_direct_each(d, "o", s->outer);
  nib_direct_each(d, "j", s->inner);
  nib_text_line(d->t, "float max = -INFINITY, sum = 0.0f;");
  nib_direct_for_lanes(d, "i", s->depth);
  nib_expr x = nib_expr_printf("%s[%s]", s->input.s, s->index.s);
  if (!s->real)
    x = nib_expr_printf("(float)%s * %s", nib_direct_minus(x.s, s->x->zero_point).s,
                        nib_direct_f32((float)s->x->scale).s);
  nib_text_line(d->t, "max = fmaxf(max, %s);", x.s);
  nib_text_close(d->t, "");
  nib_direct_join_lanes(d, "float", "max", "fmaxf(max, other)");
  nib_direct_for_lanes(d, "i", s->depth);
  nib_text_line(d->t, "sum += %s;", s->scaled.s);
  nib_text_close(d->t, "");
  nib_direct_join_lanes(d, "float", "sum", "sum + other");
  nib_direct_for_lanes(d, "i", s->depth);
  nib_expr share = nib_expr_printf("%s / sum", s->scaled.s);
  if (!s->real) {
    nib_text_line(d->t, "const float share = %s;", share.s);
    nib_params_code_range(d->g, s->n, &lo, &hi);
    share = nib_direct_quantize(d, s->n, nib_node_rounding(d->g, s->n), "share", lo, hi);
  }
  nib_direct_put(d, s->index.s, share.s);
  close_loops(d, 3);
}

/* nib_softmax_8bit by several threads: integer sums do not depend on the order. */
static void softmax_lanes(softmax *s, const nib_softmax_params *p) {
  nib_direct *d = s->d;
  const char *flip = s->x->format == NIB_I8 ? " ^ 0x80" : "";
  nib_direct_use(d, s->n, "nib_softmax_8bit_exp");
  nib_direct_use(d, s->n, "nib_softmax_8bit_scale");
  nib_direct_use(d, s->n, "nib_softmax_8bit_code");
  nib_direct_each(d, "o", s->outer);
  nib_text_line(d->t, "const uint8_t *const row = (const uint8_t *)%s + o * %lld;", s->input.s,
                (long long)s->depth);
  nib_text_line(d->t, "int32_t max = 0, sum = 0;");
  nib_direct_for_lanes(d, "i", s->depth);
  nib_text_line(d->t, "const int32_t x = row[i]%s;", flip);
  nib_text_line(d->t, "max = x > max ? x : max;");
  close_loops(d, 1);
  nib_direct_join_lanes(d, "int32_t", "max", "other > max ? other : max");
  nib_direct_for_lanes(d, "i", s->depth);
  nib_text_line(d->t, "const int32_t e = nib_softmax_8bit_exp((row[i]%s) - max, %d, %d, %d);", flip,
                p->multiplier, p->shift, p->diff_min);
  nib_text_line(d->t, "sum = (int32_t)((uint32_t)sum + (uint32_t)nib_shift_right_round(e, 12));");
  close_loops(d, 1);
  nib_direct_join_lanes(d, "int32_t", "sum", "(int32_t)((uint32_t)sum + (uint32_t)other)");
  nib_text_line(d->t, "int32_t exponent;");
  nib_text_line(d->t, "const int32_t scale = nib_softmax_8bit_scale(sum, &exponent);");
  nib_direct_for_lanes(d, "i", s->depth);
  nib_text_line(
      d->t,
      "const int32_t code = nib_softmax_8bit_code(nib_softmax_8bit_exp((row[i]%s) - max, %d, %d, "
      "%d), scale, exponent);",
      flip, p->multiplier, p->shift, p->diff_min);
  nib_direct_put(d, nib_expr_printf("o * %lld + i", (long long)s->depth).s,
                 s->x->format == NIB_I8 ? "code - 128" : "code");
  close_loops(d, 2);
}

/* nib_softmax_8bit with tables of what it computes of each difference of codes. */
static void softmax_call_by_tables(softmax *s, const nib_softmax_params *p) {
  int32_t exps[256], terms[256];
  for (int32_t i = 0; i < 256; ++i) {
    exps[i] = nib_softmax_8bit_exp(-i, p->multiplier, p->shift, p->diff_min);
    terms[i] = nib_shift_right_round(exps[i], 12);
  }
  const nib_expr e = nib_direct_constant(s->d, "exps", "int32_t", exps, sizeof exps);
  const nib_expr t = nib_direct_constant(s->d, "terms", "int32_t", terms, sizeof terms);
  nib_text_line(s->d->t, "nib_softmax_8bit_by_tables(%s + o * %lld, row, %lld, %s, %s, %s);",
                s->input.s, (long long)s->depth, (long long)s->depth, e.s, t.s,
                s->x->format == NIB_I8 ? "0x80" : "0");
}

/* One call of a row function. Followers work on the finished row; without any it goes to its place.
 */
static void softmax_rows(softmax *s, const nib_softmax_params *p) {
  nib_direct *d = s->d;
  enum { SHORT_ROWS = 64, FEW_ELEMENTS = 1024 }; /* for which tables take more than they save */
  const bool wide = s->x->format == NIB_I16;
  const bool tables =
      !wide && !d->e->size && s->depth >= SHORT_ROWS && s->outer * s->depth >= FEW_ELEMENTS;
  const char *type = nib_format_get(s->y->format)->c_type;
  if (!nib_direct_use(d, s->n,
                      wide     ? "nib_softmax_i16"
                      : tables ? "nib_softmax_8bit_by_tables"
                               : "nib_softmax_8bit"))
    return;
  const bool alone = d->segment.count == 1;
  nib_direct_each(d, "o", s->outer);
  if (alone)
    nib_text_line(d->t, "%s *const row = %s + o * %lld;", type,
                  nib_direct_result_pointer(d, s->n).s, (long long)s->depth);
  else
    nib_text_line(d->t, "%s row[%lld];", type, (long long)s->depth);
  if (wide) {
    int16_t exp_table[513], inverse_table[513];
    nib_params_softmax_tables(exp_table, inverse_table);
    nib_expr e = nib_direct_constant(d, "exp_table", "int16_t", exp_table, sizeof exp_table);
    nib_expr i =
        nib_direct_constant(d, "inverse_table", "int16_t", inverse_table, sizeof inverse_table);
    nib_text_line(d->t, "nib_softmax_i16(%s + o * %lld, row, %lld, %d, %d, %s, %s);", s->input.s,
                  (long long)s->depth, (long long)s->depth, p->multiplier, p->shift, e.s, i.s);
  } else if (tables) {
    softmax_call_by_tables(s, p);
  } else {
    nib_text_line(d->t, "nib_softmax_8bit(%s + o * %lld, row, %lld, %d, %d, %d, %s);", s->input.s,
                  (long long)s->depth, (long long)s->depth, p->multiplier, p->shift, p->diff_min,
                  s->x->format == NIB_I8 ? "0x80" : "0");
  }
  if (!alone) {
    nib_direct_for(d, "i", s->depth);
    nib_direct_put(d, nib_expr_printf("o * %lld + i", (long long)s->depth).s, "row[i]");
    close_loops(d, 1);
  }
  close_loops(d, 1);
}

void nib_direct_softmax(nib_direct *d, const nib_node *n) {
  softmax s = softmax_open(d, n);
  nib_softmax_params p = {0};
  if (!s.real && nib_params_softmax(d->g, n, &p) != NIB_OK) {
    nib_direct_fail(d, n, NIB_ERROR_INTERNAL, "its arithmetic has no parameters");
    return;
  }
  if (p.fixed_point && s.inner == 1 && nib_direct_shares_sums(d) && s.x->format != NIB_I16)
    softmax_lanes(&s, &p);
  else if (p.fixed_point && s.inner == 1)
    softmax_rows(&s, &p);
  else
    softmax_by_reals(&s);
}

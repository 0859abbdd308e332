// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Elementwise operators of one operand. Every map from 8-bit codes to 8-bit codes that is not a plain
// clamp becomes a table of 256 entries, which the reference evaluator fills.
#include "schedule/direct.h"

#include "params/params.h"
#include "reference/reference.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const nib_tensor *result_of(const nib_direct *d, const nib_node *n) {
  return &d->g->tensors[n->out];
}

static bool is_float(const nib_tensor *t) {
  return nib_format_get(t->format)->kind == NIB_KIND_FLOAT;
}

static bool is_8bit(const nib_tensor *t) { return t->format == NIB_I8 || t->format == NIB_U8; }

static nib_expr none(nib_direct *d, const nib_node *n, const char *what) {
  nib_direct_fail(d, n, NIB_ERROR_UNSUPPORTED, what);
  return nib_expr_printf("0");
}

/* ---- tables ---- */

/* The graph y[256] = op(x[256]) with n's attributes and the formats of its tensors. */
static nib_graph *graph_of_codes(const nib_graph *g, const nib_node *n) {
  const nib_tensor *x = nib_node_input(g, n, 0), *y = &g->tensors[n->out];
  const int64_t dims[1] = {256};
  nib_graph *map = nib_graph_create("map");
  if (!map)
    return NULL;
  map->rounding = g->rounding;
  const int32_t in = nib_graph_add_tensor(map, "x", x->format, 1, dims);
  const int32_t out = nib_graph_add_tensor(map, "y", y->format, 1, dims);
  const int32_t node = in < 0 || out < 0 ? NIB_NONE
                                         : nib_graph_add_node(map, n->op, n->name, -1, &in, 1, out);
  if (node < 0 || nib_graph_set_inputs(map, &in, 1) != NIB_OK ||
      nib_graph_set_outputs(map, &out, 1) != NIB_OK) {
    nib_graph_destroy(map);
    return NULL;
  }
  if (x->quantized)
    nib_graph_set_quant(map, in, x->scale, x->zero_point);
  if (y->quantized)
    nib_graph_set_quant(map, out, y->scale, y->zero_point);
  map->nodes[node].attrs = n->attrs; /* borrowed: only read */
  map->nodes[node].n_attrs = n->n_attrs;
  return map;
}

/* table[i]: the result's code for the code i + min(format). */
static nib_status fill_table(const nib_graph *g, const nib_node *n, uint8_t table[256],
                             const nib_diag *diag) {
  nib_graph *map = graph_of_codes(g, n);
  if (!map)
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  uint8_t codes[256];
  const int64_t min = nib_format_get(nib_node_input(g, n, 0)->format)->min;
  for (int i = 0; i < 256; ++i)
    codes[i] = (uint8_t)(i + min);
  nib_reference *r = NULL;
  const void *inputs[1] = {codes};
  nib_status status = nib_reference_create(map, &r, diag);
  if (status == NIB_OK)
    status = nib_reference_run(r, inputs, diag);
  if (status == NIB_OK)
    memcpy(table, nib_reference_tensor(r, map->outputs[0]), 256);
  nib_reference_destroy(r);
  nib_graph_destroy(map);
  return status;
}

static nib_expr by_table(nib_direct *d, const nib_node *n, const char *x) {
  uint8_t table[256] = {0};
  const nib_format_info *in = nib_format_get(nib_node_input(d->g, n, 0)->format);
  const nib_status status = fill_table(d->g, n, table, d->e->diag);
  if (status != NIB_OK && d->status == NIB_OK)
    d->status = status;
  char hint[64];
  snprintf(hint, sizeof hint, "%s_table", nib_op_get(n->op)->mnemonic);
  nib_expr p = nib_direct_constant(d, hint, nib_format_get(result_of(d, n)->format)->c_type, table,
                                   sizeof table);
  return nib_expr_printf("%.250s[%.200s]", p.s, nib_direct_minus(x, in->min).s);
}

static bool maps_8bit(const nib_direct *d, const nib_node *n) {
  return is_8bit(nib_node_input(d->g, n, 0)) && is_8bit(result_of(d, n));
}

/* ---- arithmetic ---- */

static nib_expr rescaled(nib_direct *d, const nib_node *n, const nib_unary_params *p,
                         const nib_requant *requant, const char *x) {
  nib_direct_multiplier m = {.rounding = p->rounding, .requant = requant, .n = 1};
  return nib_direct_requant(d, n, &m, nib_direct_minus(x, p->in_zp).s, "0");
}

static bool same_codes(const nib_tensor *x, const nib_tensor *y) {
  return x->format == y->format && x->quantized == y->quantized && x->scale == y->scale &&
         x->zero_point == y->zero_point;
}

nib_expr nib_direct_step_requantize(nib_direct *d, const nib_node *n, const nib_expr *operands,
                                    const char *index) {
  (void)index;
  if (maps_8bit(d, n))
    return by_table(d, n, operands[0].s);
  nib_unary_params p;
  if (nib_params_unary(d->g, n, &p) != NIB_OK)
    return none(d, n, "these formats have no arithmetic");
  return nib_direct_saturate(d, n, rescaled(d, n, &p, &p.identity, operands[0].s).s, p.out_zp, p.lo,
                             p.hi);
}

nib_expr nib_direct_step_relu(nib_direct *d, const nib_node *n, const nib_expr *operands,
                              const char *index) {
  (void)index;
  const nib_tensor *x = nib_node_input(d->g, n, 0), *y = result_of(d, n);
  if (is_float(y))
    return nib_direct_clamp_f32(d, operands[0].s, 0.0f, INFINITY);
  if (same_codes(x, y))
    return nib_direct_saturate(d, n, operands[0].s, 0, y->zero_point, nib_format_get(y->format)->max);
  if (maps_8bit(d, n))
    return by_table(d, n, operands[0].s);
  nib_unary_params p;
  if (nib_params_unary(d->g, n, &p) != NIB_OK)
    return none(d, n, "these formats have no arithmetic");
  const int64_t lo = p.lo > p.out_zp ? p.lo : p.out_zp;
  return nib_direct_saturate(d, n, rescaled(d, n, &p, &p.identity, operands[0].s).s, p.out_zp, lo,
                             p.hi);
}

nib_expr nib_direct_step_clamp(nib_direct *d, const nib_node *n, const nib_expr *operands,
                               const char *index) {
  (void)index;
  if (is_float(result_of(d, n)))
    return nib_direct_clamp_f32(d, operands[0].s,
                                (float)nib_node_float(n, NIB_A_MIN, -INFINITY),
                                (float)nib_node_float(n, NIB_A_MAX, INFINITY));
  if (maps_8bit(d, n))
    return by_table(d, n, operands[0].s);
  return none(d, n, "clamp of these formats is not supported");
}

nib_expr nib_direct_step_leaky_relu(nib_direct *d, const nib_node *n, const nib_expr *operands,
                                    const char *index) {
  (void)index;
  const char *x = operands[0].s;
  if (is_float(result_of(d, n)))
    return nib_expr_printf("%.120s > 0.0f ? %.120s : %.120s * %s", x, x, x,
                           nib_direct_f32((float)nib_node_float(n, NIB_A_ALPHA, 0.01)).s);
  if (maps_8bit(d, n))
    return by_table(d, n, x);
  nib_unary_params p;
  if (nib_params_unary(d->g, n, &p) != NIB_OK)
    return none(d, n, "these formats have no arithmetic");
  nib_expr positive = rescaled(d, n, &p, &p.identity, x), negative = rescaled(d, n, &p, &p.alpha, x);
  nib_expr either = nib_expr_printf("(%.60s >= %lld ? %.200s : %.200s)", x, (long long)p.in_zp,
                                    positive.s, negative.s);
  return nib_direct_saturate(d, n, either.s, p.out_zp, p.lo, p.hi);
}

nib_expr nib_direct_step_sigmoid(nib_direct *d, const nib_node *n, const nib_expr *operands,
                                 const char *index) {
  (void)index;
  if (is_float(result_of(d, n)))
    return nib_expr_printf("1.0f / (1.0f + expf(-%.300s))", operands[0].s);
  if (maps_8bit(d, n))
    return by_table(d, n, operands[0].s);
  return none(d, n, "sigmoid of these formats is not supported");
}

nib_expr nib_direct_step_tanh(nib_direct *d, const nib_node *n, const nib_expr *operands,
                              const char *index) {
  (void)index;
  if (is_float(result_of(d, n)))
    return nib_expr_printf("tanhf(%.300s)", operands[0].s);
  if (maps_8bit(d, n))
    return by_table(d, n, operands[0].s);
  return none(d, n, "tanh of these formats is not supported");
}

/* The table is the node's second operand: operands[1] would be one element of it. */
nib_expr nib_direct_step_lookup(nib_direct *d, const nib_node *n, const nib_expr *operands,
                                const char *index) {
  (void)index;
  const nib_format_info *in = nib_format_get(nib_node_input(d->g, n, 0)->format);
  nib_expr p = nib_direct_pointer(d, n->in[1], "table");
  return nib_expr_printf("%.250s[%.200s]", p.s, nib_direct_minus(operands[0].s, in->min).s);
}

nib_expr nib_direct_step_quantize(nib_direct *d, const nib_node *n, const nib_expr *operands,
                                  const char *index) {
  (void)index;
  const nib_tensor *y = result_of(d, n);
  const char *snippet = nib_node_rounding(d->g, n) == NIB_ROUNDING_NEAREST_EVEN
                            ? "nib_quantize_even"
                            : "nib_quantize_away";
  if (!is_float(nib_node_input(d->g, n, 0)))
    return nib_direct_step_requantize(d, n, operands, index);
  if (!nib_direct_use(d, n, snippet))
    return nib_expr_printf("0");
  const nib_format_info *f = nib_format_get(y->format);
  return nib_expr_printf("%s(%.300s, %s, %lld, %lld, %lld)", snippet, operands[0].s,
                         nib_direct_f32((float)y->scale).s, (long long)y->zero_point,
                         (long long)f->min, (long long)f->max);
}

nib_expr nib_direct_step_dequantize(nib_direct *d, const nib_node *n, const nib_expr *operands,
                                    const char *index) {
  (void)index;
  const nib_tensor *x = nib_node_input(d->g, n, 0);
  if (n->n_in > 1 && n->in[1] != NIB_NONE)
    return none(d, n, "dequantization per axis outside of constants is not supported");
  return nib_expr_printf("(float)%.200s * %s", nib_direct_minus(operands[0].s, x->zero_point).s,
                         nib_direct_f32((float)x->scale).s);
}

nib_expr nib_direct_step_identity(nib_direct *d, const nib_node *n, const nib_expr *operands,
                                  const char *index) {
  (void)d, (void)n, (void)index;
  return operands[0];
}

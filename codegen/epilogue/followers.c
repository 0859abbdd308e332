/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * One row per operator that may follow a root: whether a vocabulary can say it, and how it is said
 * on the running value (i32 lanes of codes, or f32 lanes). */
#include "epilogue/followers.h"

#include "epilogue/real_functions.h"
#include "epilogue/say.h"

#include <math.h>
#include <string.h>

typedef struct follower {
  bool (*accepts)(const nib_graph *g, const nib_node *n);
  void (*apply)(nib_epilogue *p, const nib_node *n, const char *value, const char *other,
                const nib_codes *codes, int32_t index);
  nib_prim
      prims[8]; /* that it says besides loads, integer adds and clamps; I32_SET ends the list */
} follower;

static bool is_byte(const nib_tensor *t) {
  return t && t->quantized && (t->format == NIB_I8 || t->format == NIB_U8);
}

static bool is_real(const nib_tensor *t) { return t && nib_params_is_real(t->format); }

/* All of one format. */
static bool all_real(const nib_graph *g, const nib_node *n) {
  const nib_tensor *y = &g->tensors[n->out];
  for (int32_t i = 0; i < n->n_in; i++)
    if (!nib_node_input(g, n, i) || nib_node_input(g, n, i)->format != y->format)
      return false;
  return is_real(y);
}

/* Integer modes that a primitive says for every shift. */
static bool is_integer_mode(nib_rounding r) {
  return r != NIB_ROUNDING_TOSA_DOUBLE && !nib_epilogue_is_float_rounding(r) &&
         nib_epilogue_requant_prim(r) != NIB_PRIM_COUNT;
}

static bool is_binary(nib_op op) {
  return op == NIB_OP_ADD || op == NIB_OP_SUB || op == NIB_OP_MUL || op == NIB_OP_DIV;
}

/* All operands have the result's element count. */
static bool same_elems(const nib_graph *g, const nib_node *n) {
  const int64_t elems = nib_tensor_elems(&g->tensors[n->out]);
  for (int32_t i = 0; i < n->n_in; i++) {
    const nib_tensor *t = nib_node_input(g, n, i);
    if (!t || nib_tensor_elems(t) != elems)
      return false;
  }
  return n->n_in > 0;
}

/* ---- integer arithmetic ---- */

static void say_constant(nib_emitter *e, const char *name, int64_t value) {
  nib_text_line(e->body, "%s %s;", e->vocab->type_i32, name);
  nib_say(e, NIB_PRIM_I32_SET, name, nib_word_of("%lld", (long long)value).s, NULL, NULL, NULL);
}

static void say_f32_constant(nib_emitter *e, const char *name, float value) {
  nib_text_line(e->body, "%s %s;", e->vocab->type_f32, name);
  nib_say(e, NIB_PRIM_F32_SET, name, nib_word_f32(value).s, NULL, NULL, NULL);
}

/* value = rounded(value * multiplier) with one multiplier for all lanes. */
static void rescale(nib_epilogue *p, const char *value, nib_rounding rounding,
                    const nib_requant *rq) {
  nib_emitter *e = p->e;
  nib_text_open(e->body, "{");
  say_constant(e, "multiplier", rq->multiplier);
  say_constant(e, "shift", rq->shift);
  nib_say(e, nib_epilogue_requant_prim(rounding), value, value, "multiplier", "shift", NULL);
  nib_text_close(e->body, "");
}

static void subtract(nib_epilogue *p, const char *value, int64_t constant) {
  if (constant)
    nib_epilogue_with_constant(p->e, NIB_PRIM_I32_SUB, value, constant);
}

static void fine_operand(nib_epilogue *p, const char *value, const nib_add_params *q, bool lhs) {
  nib_emitter *e = p->e;
  subtract(p, value, lhs ? q->lhs_zp : q->rhs_zp);
  nib_say(e, NIB_PRIM_I32_SHL, value, value, nib_word_of("%d", q->left_shift).s, NULL, NULL);
  rescale(p, value, q->rounding, lhs ? &q->lhs : &q->rhs);
}

/* f = (value - zero point) * scale */
static void real_operand(nib_epilogue *p, const char *f, const char *value, int64_t zp,
                         float scale) {
  nib_emitter *e = p->e;
  subtract(p, value, zp);
  nib_text_line(e->body, "%s %s;", e->vocab->type_f32, f);
  nib_say(e, NIB_PRIM_F32_FROM_I32, f, value, NULL, NULL, NULL);
  nib_text_open(e->body, "{");
  say_f32_constant(e, "scale", scale);
  nib_say(e, NIB_PRIM_F32_MUL, f, f, "scale", NULL, NULL);
  nib_text_close(e->body, "");
}

/* value = rounded(real / scale) + zero point, clamped. A NaN becomes the least code. */
static void to_codes(nib_epilogue *p, const char *value, const char *real, float scale,
                     nib_rounding rounding, const nib_codes *codes) {
  nib_emitter *e = p->e;
  const bool even = rounding == NIB_ROUNDING_NEAREST_EVEN;
  say_f32_constant(e, "out_scale", scale);
  nib_say(e, NIB_PRIM_F32_DIV, real, real, "out_scale", NULL, NULL);
  nib_epilogue_saturate_real(p, real, (float)(codes->lo - codes->zero_point),
                             (float)(codes->hi - codes->zero_point));
  nib_say(e, even ? NIB_PRIM_I32_FROM_F32_EVEN : NIB_PRIM_I32_FROM_F32_AWAY, value, real, NULL,
          NULL, NULL);
  if (codes->zero_point) /* in range already */
    nib_epilogue_with_constant(e, NIB_PRIM_I32_ADD, value, codes->zero_point);
}

/* The larger one is, which has the result's elements unless both are repeated; no constant. */
static bool starts_with_rhs(const nib_graph *g, const nib_node *n) {
  const nib_tensor *lhs = nib_node_input(g, n, 0), *rhs = nib_node_input(g, n, 1);
  return is_binary(n->op) && (lhs->data || nib_tensor_elems(lhs) < nib_tensor_elems(rhs)) &&
         !rhs->data;
}

int32_t nib_epilogue_start(const nib_graph *g, const nib_kernel *kernel) {
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  return n->in[starts_with_rhs(g, n) ? 1 : 0];
}

/* Which operand of step `index` is the running value: the other one comes from memory. */
static bool lhs_runs(const nib_graph *g, const nib_kernel *kernel, int32_t index) {
  const nib_node *n = &g->nodes[kernel->nodes[index]];
  return index == 0 ? !starts_with_rhs(g, n) : n->in[0] == g->nodes[kernel->nodes[index - 1]].out;
}

static bool running_is_lhs(const nib_epilogue *p, int32_t index) {
  return lhs_runs(p->e->graph, p->kernel, index);
}

int32_t nib_epilogue_beside(const nib_graph *g, const nib_kernel *kernel, int32_t index) {
  const nib_node *n = &g->nodes[kernel->nodes[index]];
  return is_binary(n->op) ? n->in[lhs_runs(g, kernel, index) ? 1 : 0] : NIB_NONE;
}

/* value = rint(value * scale + (other * scale + offset)), zero points included. */
static void apply_linear_add(nib_epilogue *p, const char *value, const char *other, bool lhs,
                             const nib_linear_add *l, nib_codes *out) {
  nib_emitter *e = p->e;
  nib_text_line(e->body, "%s real;", e->vocab->type_f32);
  nib_say(e, NIB_PRIM_F32_FROM_I32, "real", other, NULL, NULL, NULL);
  say_f32_constant(e, "other_scale", lhs ? l->rhs_scale : l->lhs_scale);
  say_f32_constant(e, "value_scale", lhs ? l->lhs_scale : l->rhs_scale);
  say_f32_constant(e, "sum", l->offset);
  nib_say(e, NIB_PRIM_F32_FMA, "sum", "real", "other_scale", NULL, NULL);
  nib_say(e, NIB_PRIM_RQ_LINEAR, value, value, "value_scale", "sum", NULL);
  out->zero_point = 0;
  out->may_wrap = false;
  nib_epilogue_offset_clamp(p, value, out);
}

/* The activation of a float operator that has two operands. */
static void apply_activation(nib_epilogue *p, const nib_node *n, const char *value) {
  float low, high;
  nib_params_real_range(p->e->graph, n, &low, &high);
  nib_epilogue_clamp_real(p, value, low, high);
}

static void apply_add(nib_epilogue *p, const nib_node *n, const char *value, const char *other,
                      const nib_codes *codes, int32_t index) {
  nib_emitter *e = p->e;
  const bool lhs = running_is_lhs(p, index);
  if (is_real(&e->graph->tensors[n->out])) {
    nib_say(e, n->op == NIB_OP_SUB ? NIB_PRIM_F32_SUB : NIB_PRIM_F32_ADD, value,
            lhs ? value : other, lhs ? other : value, NULL, NULL);
    apply_activation(p, n, value);
    return;
  }
  nib_add_params q;
  if (nib_params_add(e->graph, n, &q) != NIB_OK)
    return; /* same_elems and is_byte held: it cannot fail */
  nib_codes out = *codes;
  out.zero_point = q.out_zp, out.lo = q.lo, out.hi = q.hi;
  const char *left = lhs ? value : other, *right = lhs ? other : value;
  if (p->adds[index].proven) {
    apply_linear_add(p, value, other, lhs, &p->adds[index], &out);
    return;
  }
  if (is_integer_mode(q.rounding)) {
    fine_operand(p, left, &q, true);
    fine_operand(p, right, &q, false);
    nib_say(e, n->op == NIB_OP_SUB ? NIB_PRIM_I32_SUB : NIB_PRIM_I32_ADD, value, left, right, NULL,
            NULL);
    rescale(p, value, q.rounding, &q.out);
    out.may_wrap = q.out.shift > 0;
    nib_epilogue_offset_clamp(p, value, &out);
    return;
  }
  real_operand(p, "left", left, q.lhs_zp, q.lhs_scale);
  real_operand(p, "right", right, q.rhs_zp, q.rhs_scale);
  nib_say(e, n->op == NIB_OP_SUB ? NIB_PRIM_F32_SUB : NIB_PRIM_F32_ADD, "left", "left", "right",
          NULL, NULL);
  to_codes(p, value, "left", q.out_scale, q.rounding, &out);
}

/* Of add, sub and mul. */
static bool accepts_pair(const nib_graph *g, const nib_node *n) {
  if (n->n_in != 2)
    return false;
  if (all_real(g, n))
    return strcmp(nib_node_string(n, NIB_A_ACTIVATION, "none"), "tanh") != 0;
  const nib_rounding r = nib_node_rounding(g, n);
  return is_byte(nib_node_input(g, n, 0)) && is_byte(nib_node_input(g, n, 1)) &&
         is_byte(&g->tensors[n->out]) && (is_integer_mode(r) || nib_epilogue_is_float_rounding(r));
}

/* value = rounded(product * scale + offset). */
static void apply_linear_mul(nib_epilogue *p, const char *value, const nib_linear *l,
                             nib_codes *out) {
  nib_emitter *e = p->e;
  say_f32_constant(e, "scale", l->scale);
  say_f32_constant(e, "offset", l->offset);
  nib_say(e, nib_linear_prim(l->form), value, value, "scale", "offset", NULL);
  out->zero_point = l->zero_apart ? out->zero_point : 0;
  out->may_wrap = false;
  nib_epilogue_offset_clamp(p, value, out);
}

static void apply_mul(nib_epilogue *p, const nib_node *n, const char *value, const char *other,
                      const nib_codes *codes, int32_t index) {
  nib_emitter *e = p->e;
  if (is_real(&e->graph->tensors[n->out])) {
    nib_say(e, NIB_PRIM_F32_MUL, value, value, other, NULL, NULL);
    apply_activation(p, n, value);
    return;
  }
  nib_mul_params q;
  if (nib_params_mul(e->graph, n, &q) != NIB_OK)
    return;
  const bool lhs = running_is_lhs(p, index);
  nib_codes out = *codes;
  out.zero_point = q.out_zp, out.lo = q.lo, out.hi = q.hi;
  out.may_wrap = q.out.shift > 0;
  const bool linear = p->linear_mul[index];
  if (!linear && nib_epilogue_is_float_rounding(q.rounding)) {
    real_operand(p, "left", lhs ? value : other, q.lhs_zp, q.lhs_scale);
    real_operand(p, "right", lhs ? other : value, q.rhs_zp, q.rhs_scale);
    nib_say(e, NIB_PRIM_F32_MUL, "left", "left", "right", NULL, NULL);
    to_codes(p, value, "left", q.out_scale, q.rounding, &out);
    return;
  }
  subtract(p, value, lhs ? q.lhs_zp : q.rhs_zp);
  subtract(p, other, lhs ? q.rhs_zp : q.lhs_zp);
  nib_say(e, NIB_PRIM_I32_MUL, value, value, other, NULL, NULL);
  if (linear) {
    apply_linear_mul(p, value, &p->muls[index], &out);
    return;
  }
  rescale(p, value, q.rounding, &q.out);
  nib_epilogue_offset_clamp(p, value, &out);
}

static void apply_div(nib_epilogue *p, const nib_node *n, const char *value, const char *other,
                      const nib_codes *codes, int32_t index) {
  (void)codes;
  const bool lhs = running_is_lhs(p, index);
  nib_say(p->e, NIB_PRIM_F32_DIV, value, lhs ? value : other, lhs ? other : value, NULL, NULL);
  apply_activation(p, n, value);
}

static bool accepts_div(const nib_graph *g, const nib_node *n) {
  return all_real(g, n) && accepts_pair(g, n);
}

/* ---- one operand ---- */

static bool same_codes(const nib_tensor *x, const nib_tensor *y) {
  return x->format == y->format && x->scale == y->scale && x->zero_point == y->zero_point;
}

/* Any function from codes of 8 bits to codes of 8 bits is a table. */
static bool accepts_table(const nib_graph *g, const nib_node *n) {
  const nib_tensor *x = nib_node_input(g, n, 0), *table = nib_node_input(g, n, 1);
  const nib_tensor *y = &g->tensors[n->out];
  if (!is_byte(x) || (y->format != NIB_I8 && y->format != NIB_U8))
    return false;
  if (n->op != NIB_OP_LOOKUP)
    return y->quantized && !table;
  return table && table->data && table->data_bytes >= 256 && table->format == y->format;
}

static nib_status fill_table(const nib_graph *g, const nib_node *n, uint8_t out_table[256]) {
  if (n->op != NIB_OP_LOOKUP)
    return nib_params_unary_table(g, n, out_table);
  memcpy(out_table, nib_node_input(g, n, 1)->data, 256);
  return NIB_OK;
}

/* The index is code - min(format); tables of ui8 results hold code - 128, as LOOKUP8 is signed. */
static void apply_table(nib_epilogue *p, const nib_node *n, const char *value, const char *other,
                        const nib_codes *codes, int32_t index) {
  (void)other, (void)codes;
  nib_emitter *e = p->e;
  const nib_tensor *x = nib_node_input(e->graph, n, 0), *y = &e->graph->tensors[n->out];
  subtract(p, value, nib_format_get(x->format)->min);
  nib_say(e, NIB_PRIM_LOOKUP8, value, p->tables[index], value, NULL, NULL);
  if (y->format == NIB_U8)
    nib_epilogue_with_constant(e, NIB_PRIM_I32_ADD, value, 128);
}

static bool is_rescale(const nib_graph *g, const nib_node *n) {
  return n->op == NIB_OP_REQUANTIZE && is_integer_mode(nib_node_rounding(g, n));
}

static void apply_requantize(nib_epilogue *p, const nib_node *n, const char *value,
                             const char *other, const nib_codes *codes, int32_t index) {
  nib_unary_params q;
  if (!is_rescale(p->e->graph, n)) {
    apply_table(p, n, value, other, codes, index);
    return;
  }
  if (nib_params_unary(p->e->graph, n, &q) != NIB_OK)
    return;
  nib_codes out = *codes;
  out.zero_point = q.out_zp, out.lo = q.lo, out.hi = q.hi;
  out.may_wrap = q.identity.shift > 0;
  subtract(p, value, q.in_zp);
  rescale(p, value, q.rounding, &q.identity);
  nib_epilogue_offset_clamp(p, value, &out);
}

/* relu and clamp: bounds in the codes where these stay the same. */
static void apply_range(nib_epilogue *p, const nib_node *n, const char *value, const char *other,
                        const nib_codes *codes, int32_t index) {
  const nib_graph *g = p->e->graph;
  if (is_real(&g->tensors[n->out])) {
    apply_activation(p, n, value);
  } else if (!p->tables[index]) {
    nib_codes out = *codes;
    nib_params_code_range(g, n, &out.lo, &out.hi);
    nib_epilogue_offset_clamp(p, value, &out);
  } else {
    apply_table(p, n, value, other, codes, index);
  }
}

static bool accepts_range(const nib_graph *g, const nib_node *n) {
  return all_real(g, n) || accepts_table(g, n);
}

/* Functions of reals; of codes of 8 bits tables. */
static void apply_function(nib_epilogue *p, const nib_node *n, const char *value, const char *other,
                           const nib_codes *codes, int32_t index) {
  if (is_real(&p->e->graph->tensors[n->out]))
    nib_real_function_say(p->e, n->op, value);
  else
    apply_table(p, n, value, other, codes, index);
}

/* max(x, 0) + alpha * min(x, 0); a NaN passes through the minimum's second operand. */
static void apply_leaky_relu(nib_epilogue *p, const nib_node *n, const char *value,
                             const char *other, const nib_codes *codes, int32_t index) {
  nib_emitter *e = p->e;
  if (!is_real(&e->graph->tensors[n->out])) {
    apply_table(p, n, value, other, codes, index);
    return;
  }
  nib_text_line(e->body, "%s below;", e->vocab->type_f32);
  say_f32_constant(e, "zero", 0.0f);
  say_f32_constant(e, "alpha", (float)nib_node_float(n, NIB_A_ALPHA, 0.01));
  nib_say(e, NIB_PRIM_F32_MIN, "below", "zero", value, NULL, NULL);
  nib_say(e, NIB_PRIM_F32_MUL, "below", "below", "alpha", NULL, NULL);
  nib_say(e, NIB_PRIM_F32_MAX, value, value, "zero", NULL, NULL);
  nib_say(e, NIB_PRIM_F32_ADD, value, value, "below", NULL, NULL);
}

/* ---- between codes and reals ---- */

static bool converts(const nib_graph *g, const nib_node *n) {
  return is_real(nib_node_input(g, n, 0)) != is_real(&g->tensors[n->out]);
}

static void apply_quantize(nib_epilogue *p, const nib_node *n, const char *value, const char *other,
                           const nib_codes *codes, int32_t index) {
  (void)other, (void)index;
  const nib_graph *g = p->e->graph;
  const nib_tensor *y = &g->tensors[n->out];
  nib_codes out = *codes;
  out.zero_point = y->zero_point;
  out.lo = nib_format_get(y->format)->min;
  out.hi = nib_format_get(y->format)->max;
  to_codes(p, p->code, value, (float)y->scale, nib_node_rounding(g, n), &out);
}

static bool accepts_quantize(const nib_graph *g, const nib_node *n) {
  return is_real(nib_node_input(g, n, 0)) && is_byte(&g->tensors[n->out]) &&
         !nib_node_input(g, n, 1);
}

static void apply_dequantize(nib_epilogue *p, const nib_node *n, const char *value,
                             const char *other, const nib_codes *codes, int32_t index) {
  (void)other, (void)codes, (void)index;
  nib_emitter *e = p->e;
  const nib_tensor *x = nib_node_input(e->graph, n, 0);
  subtract(p, value, x->zero_point);
  say_f32_constant(e, "scale", (float)x->scale);
  nib_say(e, NIB_PRIM_F32_FROM_I32, p->real, value, NULL, NULL, NULL);
  nib_say(e, NIB_PRIM_F32_MUL, p->real, p->real, "scale", NULL, NULL);
}

static bool accepts_dequantize(const nib_graph *g, const nib_node *n) {
  return is_byte(nib_node_input(g, n, 0)) && is_real(&g->tensors[n->out]) &&
         !nib_node_input(g, n, 1);
}

/* Between formats of reals: the registers are those of the vocabulary. */
static void apply_cast(nib_epilogue *p, const nib_node *n, const char *value, const char *other,
                       const nib_codes *codes, int32_t index) {
  (void)p, (void)n, (void)value, (void)other, (void)codes, (void)index;
}

static bool accepts_cast(const nib_graph *g, const nib_node *n) {
  return is_real(nib_node_input(g, n, 0)) && is_real(&g->tensors[n->out]) &&
         !nib_node_string(n, NIB_A_MODE, NULL);
}

#define INTEGER_RESCALE NIB_PRIM_I32_SHL, NIB_PRIM_I32_SUB, NIB_PRIM_I32_MUL
#define REAL_CLAMP NIB_PRIM_F32_MAX, NIB_PRIM_F32_MIN

static const follower followers[NIB_OP_COUNT] = {
    [NIB_OP_ADD] = {accepts_pair, apply_add, {NIB_PRIM_F32_ADD, INTEGER_RESCALE, REAL_CLAMP}},
    [NIB_OP_SUB] = {accepts_pair, apply_add, {NIB_PRIM_F32_SUB, INTEGER_RESCALE, REAL_CLAMP}},
    [NIB_OP_MUL] = {accepts_pair, apply_mul, {NIB_PRIM_F32_MUL, INTEGER_RESCALE, REAL_CLAMP}},
    [NIB_OP_DIV] = {accepts_div, apply_div, {NIB_PRIM_F32_DIV, REAL_CLAMP}},
    [NIB_OP_REQUANTIZE] = {accepts_table, apply_requantize, {INTEGER_RESCALE}},
    [NIB_OP_RELU] = {accepts_range, apply_range, {REAL_CLAMP}},
    [NIB_OP_CLAMP] = {accepts_range, apply_range, {REAL_CLAMP}},
    [NIB_OP_LEAKY_RELU] = {accepts_range, apply_leaky_relu, {REAL_CLAMP}},
    [NIB_OP_LOOKUP] = {accepts_table, apply_table, {NIB_PRIM_LOOKUP8}},
    [NIB_OP_SIGMOID] = {accepts_range, apply_function, {NIB_PRIM_F32_SET}},
    [NIB_OP_TANH] = {accepts_range, apply_function, {NIB_PRIM_F32_SET}},
    [NIB_OP_HARD_SWISH] = {accepts_range, apply_function, {NIB_PRIM_F32_SET}},
    [NIB_OP_SILU] = {all_real, apply_function, {NIB_PRIM_F32_SET}},
    [NIB_OP_EXP] = {all_real, apply_function, {NIB_PRIM_F32_SET}},
    [NIB_OP_ERF] = {all_real, apply_function, {NIB_PRIM_F32_SET}},
    [NIB_OP_GELU] = {all_real, apply_function, {NIB_PRIM_F32_SET}},
    [NIB_OP_GELU_TANH] = {all_real, apply_function, {NIB_PRIM_F32_SET}},
    [NIB_OP_CAST] = {accepts_cast, apply_cast, {NIB_PRIM_F32_LOAD}},
    [NIB_OP_QUANTIZE] = {accepts_quantize, apply_quantize, {NIB_PRIM_F32_DIV, REAL_CLAMP}},
    [NIB_OP_DEQUANTIZE] = {accepts_dequantize, apply_dequantize, {NIB_PRIM_F32_FROM_I32}},
};

/* Whether 8-bit codes go through a table at this step. */
static bool uses_table(const nib_graph *g, const nib_node *n) {
  if (is_binary(n->op) || !accepts_table(g, n) || is_rescale(g, n))
    return false;
  const bool range = n->op == NIB_OP_RELU || n->op == NIB_OP_CLAMP;
  return !(range && same_codes(nib_node_input(g, n, 0), &g->tensors[n->out]));
}

/* ---- the chain ---- */

static bool is_root(nib_op op) {
  return op == NIB_OP_CONV2D || op == NIB_OP_DEPTHWISE_CONV2D || op == NIB_OP_TRANSPOSE_CONV2D ||
         op == NIB_OP_FULLY_CONNECTED;
}

bool nib_epilogue_accepts(const nib_graph *g, int32_t root, int32_t node) {
  const nib_node *r = &g->nodes[root], *n = &g->nodes[node];
  const follower *f = &followers[n->op];
  const nib_tensor *x = nib_node_input(g, r, 0), *y = &g->tensors[r->out];
  if (!is_root(r->op) || !f->accepts || n->op == NIB_OP_CAST || !f->accepts(g, n) || converts(g, n))
    return false;
  if (is_binary(n->op) && !same_elems(g, n))
    return false;
  if (!is_byte(y) && !(is_real(y) && is_real(x)))
    return false;
  return nib_tensor_elems(&g->tensors[n->out]) == nib_tensor_elems(y);
}

static bool is_integer_prim(nib_prim prim) {
  return prim == NIB_PRIM_I32_SHL || prim == NIB_PRIM_I32_SUB || prim == NIB_PRIM_I32_MUL;
}

static bool can_say(const nib_graph *g, const nib_node *n, const nib_vocab *vocab) {
  const follower *f = &followers[n->op];
  /* Loads and stores are all that a cast of reals is. */
  const bool real = all_real(g, n) || (n->op == NIB_OP_CAST && is_real(nib_node_input(g, n, 0)) &&
                                       is_real(&g->tensors[n->out]));
  for (int i = 0; i < 8 && f->prims[i] != NIB_PRIM_I32_SET; i++)
    if (!nib_vocab_prim(vocab, f->prims[i]) && !(real && is_integer_prim(f->prims[i])))
      return false;
  if (uses_table(g, n) && !nib_vocab_prim(vocab, NIB_PRIM_LOOKUP8))
    return false;
  if (real && nib_real_function_is(n->op) && !nib_real_function_can_say(n->op, vocab))
    return false;
  const bool away = nib_node_rounding(g, n) != NIB_ROUNDING_NEAREST_EVEN;
  return real ||
         nib_vocab_prim(vocab, away ? NIB_PRIM_I32_FROM_F32_AWAY : NIB_PRIM_I32_FROM_F32_EVEN) ||
         (away && is_integer_mode(nib_node_rounding(g, n)) && n->op != NIB_OP_QUANTIZE);
}

/* An operand from memory: all elements, one row of the last dimension, or one element; or any that
 * is repeated. */
static bool operand_fits(const nib_graph *g, const nib_kernel *kernel, const nib_node *n,
                         int32_t tensor, bool repeats) {
  const nib_tensor *t = &g->tensors[tensor], *y = &g->tensors[n->out];
  const nib_tensor *root = &g->tensors[g->nodes[kernel->nodes[0]].out];
  const int64_t elems = nib_tensor_elems(t);
  for (int32_t i = 0; i < kernel->n_nodes; i++)
    if (g->nodes[kernel->nodes[i]].out == tensor)
      return false;
  if (elems == 1)
    return t->data || t->format == NIB_F32 || !is_real(t);
  if (elems == nib_tensor_elems(y) || repeats)
    return true;
  return t->rank > 0 && y->rank > 0 && root->rank > 0 && elems == t->dims[t->rank - 1] &&
         elems == y->dims[y->rank - 1] && elems == root->dims[root->rank - 1];
}

/* Whether the node's reals go through the vocabulary's registers. */
static bool holds_reals(const nib_graph *g, const nib_node *n, const nib_vocab *vocab) {
  for (int32_t i = 0; i < n->n_in; i++)
    if (is_real(nib_node_input(g, n, i)) &&
        !nib_vocab_holds(vocab, nib_node_input(g, n, i)->format))
      return false;
  const nib_tensor *y = &g->tensors[n->out];
  return is_real(y) ? nib_vocab_holds(vocab, y->format) : !vocab->real_f16;
}

bool nib_step_can_emit(const nib_graph *g, const nib_kernel *kernel, int32_t index, bool repeats,
                       const nib_vocab *vocab) {
  const nib_node *n = &g->nodes[kernel->nodes[index]];
  if (!holds_reals(g, n, vocab))
    return false;
  const follower *f = &followers[n->op];
  const int64_t elems = nib_tensor_elems(&g->tensors[n->out]);
  if (!f->accepts || !f->accepts(g, n) || !can_say(g, n, vocab) ||
      elems != nib_tensor_elems(&g->tensors[g->nodes[kernel->nodes[0]].out]))
    return false;
  const int32_t running =
      index == 0 ? nib_epilogue_start(g, kernel) : g->nodes[kernel->nodes[index - 1]].out;
  const nib_tensor *t = &g->tensors[running];
  if (t->data)
    return false;
  if (nib_tensor_elems(t) != elems && !(repeats && index == 0 && is_binary(n->op)))
    return false;
  if (!is_binary(n->op))
    return n->in[0] == running;
  /* One operand is the running value; the other one comes from memory. */
  if (index > 0 && (n->in[0] == running) == (n->in[1] == running))
    return false;
  return operand_fits(g, kernel, n, nib_epilogue_beside(g, kernel, index), repeats);
}

const char *nib_epilogue_add_byte_table(nib_emitter *e, const nib_kernel *kernel,
                                        const nib_node *n) {
  const bool is_signed = nib_node_input(e->graph, n, 0)->format == NIB_I8;
  uint8_t by_code[256], by_byte[256];
  if (fill_table(e->graph, n, by_code) != NIB_OK)
    return NULL;
  for (int byte = 0; byte < 256; byte++)
    by_byte[byte] = by_code[is_signed ? byte ^ 0x80 : byte];
  nib_vocab_byte_table(e->vocab, by_byte);
  return nib_constants_add(e->constants, nib_word_of("%s_bytes", kernel->name).s, "uint8_t",
                           by_byte, sizeof by_byte);
}

bool nib_epilogue_is_byte_table(const nib_graph *g, const nib_node *n, const nib_vocab *v) {
  return uses_table(g, n) && nib_vocab_prim(v, NIB_PRIM_BYTES_LOOKUP256);
}

static nib_status add_table(nib_epilogue *p, int32_t index, const nib_node *n) {
  uint8_t copy[256 + 64] = {0};
  if (index >= p->register_nodes) {
    p->byte_table = nib_epilogue_add_byte_table(p->e, p->kernel, n);
    return p->byte_table ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
  }
  NIB_RETURN_IF_ERROR(fill_table(p->e->graph, n, copy));
  for (int i = 0; p->e->graph->tensors[n->out].format == NIB_U8 && i < 256; i++)
    copy[i] = (uint8_t)(copy[i] ^ 0x80);
  p->tables[index] =
      nib_constants_add(p->e->constants, nib_word_of("%s_table%d", p->kernel->name, index).s,
                        "int8_t", copy, sizeof copy);
  return p->tables[index] ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

static nib_status add_operand(nib_epilogue *p, int32_t index) {
  const nib_graph *g = p->e->graph;
  const nib_tensor *t = &g->tensors[nib_epilogue_beside(g, p->kernel, index)];
  if (!t->data || nib_tensor_elems(t) == 1)
    return NIB_OK;
  p->operands[index] =
      nib_constants_add(p->e->constants, nib_word_of("%s_operand%d", p->kernel->name, index).s,
                        nib_format_get(t->format)->c_type, t->data, nib_tensor_bytes(t));
  return p->operands[index] ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

nib_status nib_followers_prepare(nib_epilogue *p) {
  const nib_graph *g = p->e->graph;
  for (int32_t i = p->first; i < p->kernel->n_nodes; i++) {
    const nib_node *n = &g->nodes[p->kernel->nodes[i]];
    if (uses_table(g, n))
      NIB_RETURN_IF_ERROR(add_table(p, i, n));
    if (is_binary(n->op))
      NIB_RETURN_IF_ERROR(add_operand(p, i));
    const bool sum = n->op == NIB_OP_ADD || n->op == NIB_OP_SUB;
    if (g->integer_only || !is_byte(&g->tensors[n->out]) ||
        !nib_vocab_prim(p->e->vocab, NIB_PRIM_RQ_LINEAR))
      continue;
    if (sum)
      p->adds[i].proven = nib_linear_add_prove(g, n, !running_is_lhs(p, i), &p->adds[i]);
    if (n->op == NIB_OP_MUL)
      p->linear_mul[i] = nib_linear_mul_prove(
          g, n, nib_vocab_prim(p->e->vocab, NIB_PRIM_RQ_SIGNED) != NULL, &p->muls[i]);
  }
  return NIB_OK;
}

nib_word nib_epilogue_input(const nib_epilogue *p, int32_t tensor) {
  int32_t inputs[NIB_EPILOGUE_MAX_NODES * 2];
  const int32_t n = nib_kernel_inputs(p->e->graph, p->kernel, inputs, NIB_EPILOGUE_MAX_NODES * 2);
  int32_t number = 0;
  while (number < n && inputs[number] != tensor)
    number++;
  return nib_word_of("in%d", number);
}

void nib_epilogue_load(nib_epilogue *p, int32_t tensor, const char *to, const char *at, int tail) {
  const nib_format format = p->e->graph->tensors[tensor].format;
  const bool native = format == NIB_F32 || (format == NIB_F16 && p->e->vocab->real_f16);
  const nib_prim load = native                       ? NIB_PRIM_F32_LOAD
                        : nib_params_is_real(format) ? nib_real_load(format)
                        : format == NIB_I8           ? NIB_PRIM_I8_LOAD
                                                     : NIB_PRIM_U8_LOAD;
  nib_say_lanes(p->e, load, to, at, NULL, tail);
}

static nib_word only_element(const nib_tensor *t) {
  if (is_real(t))
    return nib_word_f32((float)nib_format_load_real(t->format, t->data, 0));
  return nib_word_of("%d",
                     t->format == NIB_I8 ? *(const int8_t *)t->data : *(const uint8_t *)t->data);
}

/* Loads the operand that is not the running value into `other`. */
static void load_other(nib_epilogue *p, const nib_node *n, int32_t index, const char *at,
                       int tail) {
  nib_emitter *e = p->e;
  const int32_t tensor = nib_epilogue_beside(e->graph, p->kernel, index);
  const nib_operand_place *place = &p->places[index];
  const nib_tensor *t = &e->graph->tensors[tensor];
  const int64_t elems = nib_tensor_elems(t);
  const bool real = is_real(t), whole = elems == nib_tensor_elems(&e->graph->tensors[n->out]);
  const nib_word from =
      p->operands[index] ? nib_word_of("%s", p->operands[index]) : nib_epilogue_input(p, tensor);
  nib_text_line(e->body, "%s other;", real ? e->vocab->type_f32 : e->vocab->type_i32);
  if (elems == 1 || place->one)
    nib_say(e, real ? NIB_PRIM_F32_SET : NIB_PRIM_I32_SET, "other",
            t->data && elems == 1 ? only_element(t).s
                                  : nib_word_of("%s[%s]", from.s, place->one ? place->at : "0").s,
            NULL, NULL, NULL);
  else
    nib_epilogue_load(p, tensor, "other",
                      nib_word_of("%s + %s", from.s,
                                  place->at ? place->at
                                  : whole   ? at
                                            : p->channel)
                          .s,
                      tail);
}

void nib_follower_apply(nib_epilogue *p, int32_t index, const char *value, const char *at,
                        int tail) {
  nib_emitter *e = p->e;
  const nib_node *n = &e->graph->nodes[p->kernel->nodes[index]];
  const nib_codes codes = {.last = index + 1 == p->register_nodes,
                           .format = e->graph->tensors[n->out].format};
  const nib_format_info *f = nib_format_get(codes.format);
  if (codes.last) /* unless the step says otherwise */
    p->pending = (nib_codes){.lo = f->min, .hi = f->max, .last = true, .format = codes.format};
  nib_text_open(e->body, "{ /* %s */", nib_op_get(n->op)->mnemonic);
  if (is_binary(n->op))
    load_other(p, n, index, at, tail);
  followers[n->op].apply(p, n, value, "other", &codes, index);
  nib_text_close(e->body, "");
}

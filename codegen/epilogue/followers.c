/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * One row per operator that may follow a root: whether a vocabulary can say it, and how it is said
 * on the running value (i32 lanes of codes, or f32 lanes). */
#include "epilogue/followers.h"
#include "epilogue/say.h"

#include <math.h>
#include <string.h>

typedef struct follower {
  bool (*accepts)(const nib_graph *g, const nib_node *n);
  void (*apply)(nib_epilogue *p, const nib_node *n, const char *value, const char *other,
                const nib_codes *codes, int32_t index);
  nib_prim prims[8]; /* that it says besides loads, integer adds and clamps; I32_SET ends the list */
} follower;

static bool is_byte(const nib_tensor *t) {
  return t && t->quantized && (t->format == NIB_I8 || t->format == NIB_U8);
}

static bool is_f32(const nib_tensor *t) { return t && t->format == NIB_F32; }

static bool all_f32(const nib_graph *g, const nib_node *n) {
  for (int32_t i = 0; i < n->n_in; i++)
    if (!is_f32(nib_node_input(g, n, i)))
      return false;
  return g->tensors[n->out].format == NIB_F32;
}

static bool is_tflite(nib_rounding r) {
  return r == NIB_ROUNDING_TFLITE_DOUBLE || r == NIB_ROUNDING_TFLITE_SINGLE ||
         r == NIB_ROUNDING_TFLITE_AWAY;
}

/* Two operands of the result's element count. */
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

/* value = rint(real / scale) + zero point, clamped */
static void to_codes(nib_epilogue *p, const char *value, const char *real, float scale,
                     const nib_codes *codes) {
  nib_emitter *e = p->e;
  say_f32_constant(e, "out_scale", scale);
  nib_say(e, NIB_PRIM_F32_DIV, real, real, "out_scale", NULL, NULL);
  nib_say(e, NIB_PRIM_I32_FROM_F32_EVEN, value, real, NULL, NULL, NULL);
  nib_epilogue_offset_clamp(p, value, codes);
}

/* Which operand of `n` is the running value: the other one comes from memory. */
static bool running_is_lhs(const nib_epilogue *p, const nib_node *n, int32_t index) {
  return n->in[0] == p->e->graph->nodes[p->kernel->nodes[index - 1]].out;
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

static void clamp_real(nib_epilogue *p, const char *value, float low, float high) {
  nib_emitter *e = p->e;
  const float bounds[2] = {low, high};
  const nib_prim prims[2] = {NIB_PRIM_F32_MAX, NIB_PRIM_F32_MIN};
  for (int i = 0; i < 2; i++) {
    if (isinf(bounds[i]))
      continue;
    nib_text_open(e->body, "{");
    say_f32_constant(e, "bound", bounds[i]);
    nib_say(e, prims[i], value, value, "bound", NULL, NULL);
    nib_text_close(e->body, "");
  }
}

/* The activation of a float operator that has two operands. */
static void apply_activation(nib_epilogue *p, const nib_node *n, const char *value) {
  float low, high;
  nib_params_real_range(p->e->graph, n, &low, &high);
  clamp_real(p, value, low, high);
}

static void apply_add(nib_epilogue *p, const nib_node *n, const char *value, const char *other,
                      const nib_codes *codes, int32_t index) {
  nib_emitter *e = p->e;
  const bool lhs = running_is_lhs(p, n, index);
  if (is_f32(&e->graph->tensors[n->out])) {
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
  if (is_tflite(q.rounding)) {
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
  const double reach = 256.0 * ((double)q.lhs_scale + (double)q.rhs_scale) / (double)q.out_scale;
  out.may_wrap = !(reach < 1073741824.0);
  to_codes(p, value, "left", q.out_scale, &out);
}

static bool accepts_add(const nib_graph *g, const nib_node *n) {
  if (!same_elems(g, n) || n->n_in != 2)
    return false;
  if (all_f32(g, n))
    return strcmp(nib_node_string(n, NIB_A_ACTIVATION, "none"), "tanh") != 0;
  const nib_rounding r = nib_node_rounding(g, n);
  return is_byte(nib_node_input(g, n, 0)) && is_byte(nib_node_input(g, n, 1)) &&
         is_byte(&g->tensors[n->out]) && (is_tflite(r) || r == NIB_ROUNDING_NEAREST_EVEN);
}

static void apply_mul(nib_epilogue *p, const nib_node *n, const char *value, const char *other,
                      const nib_codes *codes, int32_t index) {
  nib_emitter *e = p->e;
  if (is_f32(&e->graph->tensors[n->out])) {
    nib_say(e, NIB_PRIM_F32_MUL, value, value, other, NULL, NULL);
    apply_activation(p, n, value);
    return;
  }
  nib_mul_params q;
  if (nib_params_mul(e->graph, n, &q) != NIB_OK)
    return;
  const bool lhs = running_is_lhs(p, n, index);
  nib_codes out = *codes;
  out.zero_point = q.out_zp, out.lo = q.lo, out.hi = q.hi;
  out.may_wrap = q.out.shift > 0;
  subtract(p, value, lhs ? q.lhs_zp : q.rhs_zp);
  subtract(p, other, lhs ? q.rhs_zp : q.lhs_zp);
  nib_say(e, NIB_PRIM_I32_MUL, value, value, other, NULL, NULL);
  rescale(p, value, q.rounding, &q.out);
  nib_epilogue_offset_clamp(p, value, &out);
}

static bool accepts_mul(const nib_graph *g, const nib_node *n) {
  if (!same_elems(g, n) || n->n_in != 2)
    return false;
  if (all_f32(g, n))
    return strcmp(nib_node_string(n, NIB_A_ACTIVATION, "none"), "tanh") != 0;
  return is_byte(nib_node_input(g, n, 0)) && is_byte(nib_node_input(g, n, 1)) &&
         is_byte(&g->tensors[n->out]) && is_tflite(nib_node_rounding(g, n));
}

/* ---- one operand ---- */

static void apply_requantize(nib_epilogue *p, const nib_node *n, const char *value,
                             const char *other, const nib_codes *codes, int32_t index) {
  (void)other, (void)index;
  nib_unary_params q;
  if (nib_params_unary(p->e->graph, n, &q) != NIB_OK)
    return;
  nib_codes out = *codes;
  out.zero_point = q.out_zp, out.lo = q.lo, out.hi = q.hi;
  out.may_wrap = q.identity.shift > 0;
  subtract(p, value, q.in_zp);
  rescale(p, value, q.rounding, &q.identity);
  nib_epilogue_offset_clamp(p, value, &out);
}

static bool accepts_requantize(const nib_graph *g, const nib_node *n) {
  return is_byte(nib_node_input(g, n, 0)) && is_byte(&g->tensors[n->out]) &&
         !nib_node_input(g, n, 1) && is_tflite(nib_node_rounding(g, n));
}

static void apply_relu(nib_epilogue *p, const nib_node *n, const char *value, const char *other,
                       const nib_codes *codes, int32_t index) {
  (void)other, (void)codes, (void)index;
  nib_emitter *e = p->e;
  const nib_tensor *y = &e->graph->tensors[n->out];
  if (!is_f32(y)) {
    nib_epilogue_with_constant(e, NIB_PRIM_I32_MAX, value, y->zero_point);
    return;
  }
  nib_text_open(e->body, "{");
  say_f32_constant(e, "zero", 0.0f);
  nib_say(e, NIB_PRIM_F32_MAX, value, value, "zero", NULL, NULL);
  nib_text_close(e->body, "");
}

static bool accepts_relu(const nib_graph *g, const nib_node *n) {
  const nib_tensor *x = nib_node_input(g, n, 0), *y = &g->tensors[n->out];
  return all_f32(g, n) || (is_byte(x) && is_byte(y) && x->format == y->format &&
                           x->scale == y->scale && x->zero_point == y->zero_point);
}

static void apply_clamp(nib_epilogue *p, const nib_node *n, const char *value, const char *other,
                        const nib_codes *codes, int32_t index) {
  (void)other, (void)codes, (void)index;
  clamp_real(p, value, (float)nib_node_float(n, NIB_A_MIN, -INFINITY),
             (float)nib_node_float(n, NIB_A_MAX, INFINITY));
}

static bool accepts_clamp(const nib_graph *g, const nib_node *n) { return all_f32(g, n); }

/* The index is code - min(format); tables of ui8 results hold code - 128, as LOOKUP8 is signed. */
static void apply_lookup(nib_epilogue *p, const nib_node *n, const char *value, const char *other,
                         const nib_codes *codes, int32_t index) {
  (void)other, (void)codes;
  nib_emitter *e = p->e;
  const nib_tensor *x = nib_node_input(e->graph, n, 0), *y = &e->graph->tensors[n->out];
  subtract(p, value, nib_format_get(x->format)->min);
  nib_say(e, NIB_PRIM_LOOKUP8, value, p->tables[index], value, NULL, NULL);
  if (y->format == NIB_U8)
    nib_epilogue_with_constant(e, NIB_PRIM_I32_ADD, value, 128);
}

static bool accepts_lookup(const nib_graph *g, const nib_node *n) {
  const nib_tensor *x = nib_node_input(g, n, 0), *table = nib_node_input(g, n, 1);
  const nib_tensor *y = &g->tensors[n->out];
  return is_byte(x) && table && table->data && table->data_bytes >= 256 &&
         table->format == y->format && (y->format == NIB_I8 || y->format == NIB_U8);
}

#define INTEGER_RESCALE NIB_PRIM_I32_SHL, NIB_PRIM_I32_SUB, NIB_PRIM_I32_MUL
#define REAL_CLAMP NIB_PRIM_F32_MAX, NIB_PRIM_F32_MIN

static const follower followers[NIB_OP_COUNT] = {
    [NIB_OP_ADD] = {accepts_add, apply_add, {NIB_PRIM_F32_ADD, INTEGER_RESCALE, REAL_CLAMP}},
    [NIB_OP_SUB] = {accepts_add, apply_add, {NIB_PRIM_F32_SUB, INTEGER_RESCALE, REAL_CLAMP}},
    [NIB_OP_MUL] = {accepts_mul, apply_mul, {NIB_PRIM_F32_MUL, INTEGER_RESCALE, REAL_CLAMP}},
    [NIB_OP_REQUANTIZE] = {accepts_requantize, apply_requantize, {INTEGER_RESCALE}},
    [NIB_OP_RELU] = {accepts_relu, apply_relu, {NIB_PRIM_F32_MAX}},
    [NIB_OP_CLAMP] = {accepts_clamp, apply_clamp, {REAL_CLAMP}},
    [NIB_OP_LOOKUP] = {accepts_lookup, apply_lookup, {NIB_PRIM_LOOKUP8}},
};

/* ---- the chain ---- */

static bool is_root(nib_op op) {
  return op == NIB_OP_CONV2D || op == NIB_OP_DEPTHWISE_CONV2D || op == NIB_OP_FULLY_CONNECTED;
}

bool nib_epilogue_accepts(const nib_graph *g, int32_t root, int32_t node) {
  const nib_node *r = &g->nodes[root], *n = &g->nodes[node];
  const follower *f = &followers[n->op];
  const nib_tensor *x = nib_node_input(g, r, 0), *y = &g->tensors[r->out];
  if (!is_root(r->op) || !f->accepts || !f->accepts(g, n))
    return false;
  if (!is_byte(y) && !(is_f32(y) && is_f32(x)))
    return false;
  return nib_tensor_elems(&g->tensors[n->out]) == nib_tensor_elems(y);
}

bool nib_follower_can_emit(const nib_graph *g, const nib_kernel *kernel, int32_t index,
                           const nib_vocab *vocab) {
  const nib_node *n = &g->nodes[kernel->nodes[index]];
  const follower *f = &followers[n->op];
  if (!nib_epilogue_accepts(g, kernel->nodes[0], kernel->nodes[index]))
    return false;
  for (int i = 0; i < 8 && f->prims[i] != NIB_PRIM_I32_SET; i++)
    if (!vocab->prims[f->prims[i]])
      return false;
  /* Exactly one operand is the running value; a second one comes from an input of the kernel. */
  const int32_t running = g->nodes[kernel->nodes[index - 1]].out;
  const bool binary = n->op == NIB_OP_ADD || n->op == NIB_OP_SUB || n->op == NIB_OP_MUL;
  if (!binary)
    return n->in[0] == running;
  if ((n->in[0] == running) == (n->in[1] == running))
    return false;
  const int32_t other = n->in[0] == running ? n->in[1] : n->in[0];
  if (g->tensors[other].data)
    return false;
  for (int32_t i = 0; i < kernel->n_nodes; i++)
    if (g->nodes[kernel->nodes[i]].out == other)
      return false;
  return true;
}

static nib_status add_table(nib_epilogue *p, int32_t index, const nib_node *n) {
  const nib_tensor *table = nib_node_input(p->e->graph, n, 1);
  int8_t copy[256 + 64] = {0};
  memcpy(copy, table->data, 256);
  for (int i = 0; table->format == NIB_U8 && i < 256; i++)
    copy[i] = (int8_t)(copy[i] ^ -128);
  p->tables[index] =
      nib_constants_add(p->e->constants, nib_word_of("%s_table%d", p->kernel->name, index).s,
                        "int8_t", copy, sizeof copy);
  return p->tables[index] ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

nib_status nib_followers_prepare(nib_epilogue *p) {
  for (int32_t i = 1; i < p->kernel->n_nodes; i++) {
    const nib_node *n = &p->e->graph->nodes[p->kernel->nodes[i]];
    if (n->op == NIB_OP_LOOKUP)
      NIB_RETURN_IF_ERROR(add_table(p, i, n));
    const bool sum = n->op == NIB_OP_ADD || n->op == NIB_OP_SUB;
    if (sum && is_byte(&p->e->graph->tensors[n->out]) && p->e->vocab->prims[NIB_PRIM_RQ_LINEAR])
      p->adds[i].proven = nib_linear_add_prove(p->e->graph, n, !running_is_lhs(p, n, i), &p->adds[i]);
  }
  return NIB_OK;
}

/* Loads the operand that is not the running value into `other`. */
static void load_other(nib_epilogue *p, int32_t tensor, const char *at, int tail) {
  nib_emitter *e = p->e;
  int32_t inputs[NIB_EPILOGUE_MAX_NODES * 2];
  const int32_t n = nib_kernel_inputs(e->graph, p->kernel, inputs, NIB_EPILOGUE_MAX_NODES * 2);
  int32_t number = 0;
  while (number < n && inputs[number] != tensor)
    number++;
  const nib_format format = e->graph->tensors[tensor].format;
  const nib_prim load = format == NIB_F32  ? NIB_PRIM_F32_LOAD
                        : format == NIB_I8 ? NIB_PRIM_I8_LOAD
                                           : NIB_PRIM_U8_LOAD;
  nib_text_line(e->body, "%s other;", format == NIB_F32 ? e->vocab->type_f32 : e->vocab->type_i32);
  nib_say_lanes(e, load, "other", nib_word_of("in%d + %s", number, at).s, NULL, tail);
}

void nib_follower_apply(nib_epilogue *p, int32_t index, const char *value, const char *at,
                        int tail) {
  nib_emitter *e = p->e;
  const nib_node *n = &e->graph->nodes[p->kernel->nodes[index]];
  const nib_codes codes = {.last = index + 1 == p->kernel->n_nodes,
                           .format = e->graph->tensors[n->out].format};
  nib_text_open(e->body, "{ /* %s */", nib_op_get(n->op)->mnemonic);
  const bool binary = n->op == NIB_OP_ADD || n->op == NIB_OP_SUB || n->op == NIB_OP_MUL;
  if (binary)
    load_other(p, n->in[running_is_lhs(p, n, index) ? 1 : 0], at, tail);
  followers[n->op].apply(p, n, value, "other", &codes, index);
  nib_text_close(e->body, "");
}

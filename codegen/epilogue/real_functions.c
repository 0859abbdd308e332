// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "epilogue/real_functions.h"

#include <stddef.h>

static void say(nib_emitter *e, nib_prim prim, const char *to, const char *a, const char *b) {
  nib_say(e, prim, to, a, b, NULL, NULL);
}

static void declare(nib_emitter *e, const char *name, const char *from) {
  nib_text_line(e->body, from ? "%s %s = %s;" : "%s %s;", e->vocab->type_f32, name, from);
}

static void constant(nib_emitter *e, const char *name, float value) {
  declare(e, name, NULL);
  say(e, NIB_PRIM_F32_SET, name, nib_word_f32(value).s, NULL);
}

/* Declares `to` = c[0] + c[1] x + … + c[n - 1] x^(n - 1). */
static void polynomial(nib_emitter *e, const char *to, const char *x, const float *c, int n) {
  for (int i = n - 1; i >= 0; i--) {
    const nib_word step = i > 0 ? nib_word_of("%s%d", to, i) : nib_word_of("%s", to);
    constant(e, step.s, c[i]);
    if (i < n - 1)
      say(e, NIB_PRIM_F32_FMA, step.s, nib_word_of("%s%d", to, i + 1).s, x);
  }
}

/* Declares `to` = |from|. */
static void magnitude(nib_emitter *e, const char *to, const char *from) {
  declare(e, to, NULL);
  constant(e, "zero", 0.0f);
  say(e, NIB_PRIM_F32_SUB, to, "zero", from);
  say(e, NIB_PRIM_F32_MAX, to, to, from);
}

/* x = min(x, bound), where the function has its limit; a NaN, as the second operand, stays. */
static void at_most(nib_emitter *e, const char *x, float bound) {
  nib_text_open(e->body, "{");
  constant(e, "bound", bound);
  say(e, NIB_PRIM_F32_MIN, x, "bound", x);
  nib_text_close(e->body, "");
}

/* Also not below -bound. */
static void within(nib_emitter *e, const char *x, float bound) {
  at_most(e, x, bound);
  nib_text_open(e->body, "{");
  constant(e, "bound", -bound);
  say(e, NIB_PRIM_F32_MAX, x, "bound", x);
  nib_text_close(e->body, "");
}

/* Declares `power` = exp(factor * x). */
static void power_of(nib_emitter *e, const char *x, float factor) {
  declare(e, "power", NULL);
  constant(e, "factor", factor);
  say(e, NIB_PRIM_F32_MUL, "power", x, "factor");
  say(e, NIB_PRIM_F32_EXP, "power", "power", NULL);
}

/* Declares `tail` = erfc(u) for u ≥ 0: exp(-u^2) times a polynomial, without constant term, in
 * 1 / (1 + 2/5 u), relative error 6e-8 up to u = 9.6 (erfc is 0 in f32 beyond). */
static void complement(nib_emitter *e, const char *u) {
  static const float c[] = {0,
                            0.22562795877456665f,
                            0.2265482246875763f,
                            0.2011500597000122f,
                            0.196230947971344f,
                            0.07319243997335434f,
                            0.09733634442090988f,
                            0.07589913159608841f,
                            -0.13645131886005402f,
                            0.040466271340847015f};
  declare(e, "square", NULL);
  say(e, NIB_PRIM_F32_MUL, "square", u, u);
  power_of(e, "square", -1.0f);
  constant(e, "place", 1.0f);
  constant(e, "inverse", 1.0f);
  constant(e, "slope", 0.4f);
  say(e, NIB_PRIM_F32_FMA, "place", u, "slope");
  say(e, NIB_PRIM_F32_DIV, "inverse", "inverse", "place");
  polynomial(e, "tail", "inverse", c, (int)(sizeof c / sizeof *c));
  say(e, NIB_PRIM_F32_MUL, "tail", "tail", "power");
}

/* value = value * P(value^2) where |value| is at most 1/2, else 1 - `rest` with value's sign. */
static void join(nib_emitter *e, const char *value, const char *size, const char *rest,
                 const float *c, int n) {
  declare(e, "squared", NULL);
  say(e, NIB_PRIM_F32_MUL, "squared", value, value);
  polynomial(e, "small", "squared", c, n);
  say(e, NIB_PRIM_F32_MUL, "small", "small", value);
  constant(e, "large", 1.0f);
  constant(e, "limit", 1.0f);
  declare(e, "sign", NULL);
  say(e, NIB_PRIM_F32_SUB, "large", "large", rest);
  say(e, NIB_PRIM_F32_DIV, "sign", value, size);
  say(e, NIB_PRIM_F32_MUL, "large", "large", "sign");
  /* 1/2 is rounded to 0, more to 1. */
  nib_text_line(e->body, "%s is_large;", e->vocab->type_i32);
  say(e, NIB_PRIM_F32_MIN, "limit", "limit", size);
  say(e, NIB_PRIM_I32_FROM_F32_EVEN, "is_large", "limit", NULL);
  nib_say(e, NIB_PRIM_F32_WHERE, value, "is_large", "large", "small", NULL);
}

/* ---- functions ---- */

static void say_exp(nib_emitter *e, const char *value) {
  say(e, NIB_PRIM_F32_EXP, value, value, NULL);
}

/* Declares `power` = 1 + exp(-x). */
static void logistic(nib_emitter *e, const char *x) {
  power_of(e, x, -1.0f);
  constant(e, "one", 1.0f);
  say(e, NIB_PRIM_F32_ADD, "power", "power", "one");
}

static void say_sigmoid(nib_emitter *e, const char *value) {
  logistic(e, value);
  say(e, NIB_PRIM_F32_DIV, value, "one", "power");
}

static void say_silu(nib_emitter *e, const char *value) {
  logistic(e, value);
  say(e, NIB_PRIM_F32_DIV, value, value, "power");
}

/* 1 - 2 / (1 + exp(2 x)). */
static void say_tanh(nib_emitter *e, const char *value) {
  static const float c[] = {1.0f,
                            -0.33333322405815125f,
                            0.13332869112491608f,
                            -0.05388933792710304f,
                            0.02125396393239498f,
                            -0.006576969288289547f};
  within(e, value, 16.0f);
  magnitude(e, "size", value);
  power_of(e, "size", 2.0f);
  constant(e, "one", 1.0f);
  constant(e, "two", 2.0f);
  say(e, NIB_PRIM_F32_ADD, "power", "power", "one");
  say(e, NIB_PRIM_F32_DIV, "two", "two", "power");
  join(e, value, "size", "two", c, (int)(sizeof c / sizeof *c));
}

static void say_erf(nib_emitter *e, const char *value) {
  static const float c[] = {1.1283791065216064f, -0.3761260509490967f, 0.11282765865325928f,
                            -0.026753023266792297f, 0.004708612337708473f};
  within(e, value, 9.0f);
  magnitude(e, "size", value);
  complement(e, "size");
  join(e, value, "size", "tail", c, (int)(sizeof c / sizeof *c));
}

/* x / 2 (1 + erf(x / sqrt(2))) = max(x, 0) - |x| / 2 erfc(|x| / sqrt(2)): nothing cancels. */
static void say_gelu(nib_emitter *e, const char *value) {
  magnitude(e, "size", value);
  at_most(e, "size", 13.5f);
  constant(e, "place_of_size", 0.70710678f);
  constant(e, "half", -0.5f);
  say(e, NIB_PRIM_F32_MUL, "place_of_size", "place_of_size", "size");
  complement(e, "place_of_size");
  say(e, NIB_PRIM_F32_MUL, "tail", "tail", "half");
  say(e, NIB_PRIM_F32_MAX, value, value, "zero");
  say(e, NIB_PRIM_F32_FMA, value, "tail", "size");
}

/* x / 2 (1 + tanh(y)) = x / (1 + exp(-2 y)), y = sqrt(2 / pi) (x + 0.044715 x^3). */
static void say_gelu_tanh(nib_emitter *e, const char *value) {
  static const float c[] = {2 * 0.79788456f, 2 * 0.79788456f * 0.044715f};
  declare(e, "square", NULL);
  say(e, NIB_PRIM_F32_MUL, "square", value, value);
  polynomial(e, "twice", "square", c, 2);
  say(e, NIB_PRIM_F32_MUL, "twice", "twice", value);
  logistic(e, "twice");
  say(e, NIB_PRIM_F32_DIV, value, value, "power");
}

/* The same steps as the f32 expression. */
static void say_hard_swish(nib_emitter *e, const char *value) {
  constant(e, "gate", 3.0f);
  constant(e, "zero", 0.0f);
  constant(e, "six", 6.0f);
  constant(e, "sixth", 1.0f / 6.0f);
  say(e, NIB_PRIM_F32_ADD, "gate", "gate", value);
  say(e, NIB_PRIM_F32_MAX, "gate", "gate", "zero");
  say(e, NIB_PRIM_F32_MIN, "gate", "gate", "six");
  say(e, NIB_PRIM_F32_MUL, "gate", "gate", "sixth");
  say(e, NIB_PRIM_F32_MUL, value, value, "gate");
}

static const struct {
  nib_op op;
  void (*say)(nib_emitter *e, const char *value);
} functions[] = {{NIB_OP_EXP, say_exp},
                 {NIB_OP_SIGMOID, say_sigmoid},
                 {NIB_OP_SILU, say_silu},
                 {NIB_OP_TANH, say_tanh},
                 {NIB_OP_ERF, say_erf},
                 {NIB_OP_GELU, say_gelu},
                 {NIB_OP_GELU_TANH, say_gelu_tanh},
                 {NIB_OP_HARD_SWISH, say_hard_swish}};
enum { n_functions = sizeof functions / sizeof *functions };

bool nib_real_function_is(nib_op op) {
  for (int i = 0; i < n_functions; i++)
    if (functions[i].op == op)
      return true;
  return false;
}

bool nib_real_function_can_say(nib_op op, const nib_vocab *v) {
  static const nib_prim needed[] = {NIB_PRIM_F32_EXP,   NIB_PRIM_F32_ADD,          NIB_PRIM_F32_SUB,
                                    NIB_PRIM_F32_MUL,   NIB_PRIM_F32_DIV,          NIB_PRIM_F32_FMA,
                                    NIB_PRIM_F32_MIN,   NIB_PRIM_F32_MAX,          NIB_PRIM_F32_SET,
                                    NIB_PRIM_F32_WHERE, NIB_PRIM_I32_FROM_F32_EVEN};
  return nib_real_function_is(op) && !v->real_f16 &&
         nib_vocab_has(v, needed, sizeof needed / sizeof *needed);
}

void nib_real_function_say(nib_emitter *e, nib_op op, const char *value) {
  for (int i = 0; i < n_functions; i++)
    if (functions[i].op == op) {
      nib_text_open(e->body, "{");
      functions[i].say(e, value);
      nib_text_close(e->body, "");
    }
}

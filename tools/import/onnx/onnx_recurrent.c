/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Operators of state-space and linear-attention networks that carry a state: LinearAttention, its
 * steps written out, and CausalConvWithState. */
#include "onnx_build.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define MAX_STEPS 512

/* ---- linear attention ---- */

typedef struct linear {
  nib_onnx_node *n;
  int64_t batch, steps, heads, kv_heads, size, v_size;
  bool gated, delta;
  double scale;
  int32_t state; /* [batch, kv heads, size, v_size] */
} linear;

static nib_status read_linear(nib_onnx_node *n, linear *l) {
  const char *rule = nib_onnx_attr_string(n, "update_rule", "gated_delta");
  static const char *const rules[] = {"linear", "gated", "delta", "gated_delta"};
  int which = 0;
  while (which < 4 && strcmp(rule, rules[which]))
    ++which;
  NIB_RETURN_IF_ERROR(nib_onnx_require_reals(n));
  const nib_onnx_value *q = nib_onnx_input(n, 0), *k = nib_onnx_input(n, 1);
  const nib_onnx_value *v = nib_onnx_input(n, 2);
  *l = (linear){.n = n, .gated = which & 1, .delta = which & 2};
  l->heads = nib_onnx_attr_int(n, "q_num_heads", 0);
  l->kv_heads = nib_onnx_attr_int(n, "kv_num_heads", 0);
  if (which == 4)
    return nib_onnx_invalid(n, "update_rule '%.40s' does not exist", rule);
  if (!nib_onnx_input(n, 4) == l->gated || !nib_onnx_input(n, 5) == l->delta)
    return nib_onnx_invalid(n, "decay or beta do not fit update_rule '%s'", rule);
  if (q->rank != 3 || k->rank != 3 || v->rank != 3 || l->heads < 1 || l->kv_heads < 1 ||
      l->heads % l->kv_heads || q->dims[2] % l->heads || v->dims[2] % l->kv_heads)
    return nib_onnx_invalid(n, "its heads do not fit its operands");
  l->batch = q->dims[0];
  l->steps = q->dims[1];
  l->size = q->dims[2] / l->heads;
  l->v_size = v->dims[2] / l->kv_heads;
  if (k->dims[2] != l->size * l->kv_heads || k->dims[1] != l->steps || v->dims[1] != l->steps ||
      k->dims[0] != l->batch || v->dims[0] != l->batch)
    return nib_onnx_invalid(n, "query, key and value do not fit each other");
  if (l->steps > MAX_STEPS)
    return nib_onnx_unsupported(n, "%" PRId64 " steps; at most %d are written out", l->steps,
                                MAX_STEPS);
  const double scale = (double)nib_onnx_attr_float(n, "scale", 0.0f);
  l->scale = scale == 0 ? 1 / sqrt((double)l->size) : scale;
  return NIB_OK;
}

/* Step t of input `i` as [batch, a, b, c]. */
static int32_t at_step(linear *l, size_t i, int64_t t, int64_t a, int64_t b, int64_t c) {
  const int64_t dims[] = {l->batch, a, b, c};
  return nib_onnx_reshaped(l->n, nib_onnx_part(l->n, nib_onnx_in(l->n, i), 1, t, 1, 1), 4, dims);
}

/* The state takes in step t: [batch, 1, heads * v_size] comes out. */
static int32_t step(linear *l, int64_t t) {
  nib_onnx_node *n = l->n;
  const int32_t k = at_step(l, 1, t, l->kv_heads, l->size, 1);
  int32_t v = at_step(l, 2, t, l->kv_heads, 1, l->v_size);
  if (l->gated) {
    const int64_t width = nib_onnx_input(n, 4)->dims[2] / l->kv_heads; /* 1 or size */
    const int32_t decay = nib_onnx_unary(n, NIB_OP_EXP, at_step(l, 4, t, l->kv_heads, width, 1));
    l->state = nib_onnx_binary(n, NIB_OP_MUL, l->state, decay);
  }
  if (l->delta) {
    const int64_t width = nib_onnx_input(n, 5)->dims[2]; /* 1 or kv heads */
    const int32_t known = nib_onnx_product(n, at_step(l, 1, t, l->kv_heads, 1, l->size), l->state);
    v = nib_onnx_binary(n, NIB_OP_MUL, nib_onnx_binary(n, NIB_OP_SUB, v, known),
                        at_step(l, 5, t, width, 1, 1));
  }
  l->state = nib_onnx_binary(n, NIB_OP_ADD, l->state, nib_onnx_binary(n, NIB_OP_MUL, k, v));
  const int32_t q = at_step(l, 0, t, l->kv_heads, l->heads / l->kv_heads, l->size);
  const int64_t dims[] = {l->batch, 1, l->heads * l->v_size};
  return nib_onnx_reshaped(
      n, nib_onnx_product(n, nib_onnx_with(n, NIB_OP_MUL, q, l->scale), l->state), 3, dims);
}

nib_status nib_onnx_import_linear_attention(nib_onnx_node *n) {
  linear l;
  NIB_RETURN_IF_ERROR(read_linear(n, &l));
  const nib_onnx_value *decay = nib_onnx_input(n, 4), *beta = nib_onnx_input(n, 5);
  if (decay &&
      (decay->rank != 3 || (decay->dims[2] != l.kv_heads && decay->dims[2] != l.kv_heads * l.size)))
    return nib_onnx_invalid(n, "its decay does not fit its heads");
  if (beta && (beta->rank != 3 || (beta->dims[2] != l.kv_heads && beta->dims[2] != 1)))
    return nib_onnx_invalid(n, "its beta does not fit its heads");
  const int64_t dims[] = {l.batch, l.kv_heads, l.size, l.v_size};
  const nib_onnx_value *past = nib_onnx_input(n, 3);
  if (past && (past->rank != 4 || memcmp(past->dims, dims, sizeof dims)))
    return nib_onnx_invalid(n, "its past state does not fit its heads");
  l.state = past ? nib_onnx_in(n, 3)
                 : nib_onnx_constant(n, nib_onnx_input(n, 0)->format, 4, dims,
                                     nib_onnx_doubles(n, l.batch * l.kv_heads * l.size * l.v_size));
  int32_t *steps = nib_graph_alloc(n->ctx->graph, (size_t)l.steps * sizeof *steps);
  if (!steps)
    return nib_onnx_out_of_memory(n->ctx);
  for (int64_t t = 0; t < l.steps; ++t)
    if ((steps[t] = step(&l, t)) == NIB_NONE)
      return n->ctx->failure;
  NIB_RETURN_IF_ERROR(nib_onnx_finish_at(n, 1, l.state));
  return nib_onnx_finish(n, nib_onnx_concatenated(n, steps, (int32_t)l.steps, 1));
}

/* ---- causal convolution ---- */

/* Each tap is a product of a slice of [batch, channels, k - 1 + length] and a column of weights. */
nib_status nib_onnx_import_causal_conv(nib_onnx_node *n) {
  const nib_onnx_value *x = nib_onnx_input(n, 0), *w = nib_onnx_input(n, 1);
  const nib_onnx_value *bias = nib_onnx_input(n, 2), *past = nib_onnx_input(n, 3);
  const char *activation = nib_onnx_attr_string(n, "activation", "none");
  const bool silu = !strcmp(activation, "silu") || !strcmp(activation, "swish");
  NIB_RETURN_IF_ERROR(nib_onnx_require_reals(n));
  if (!silu && strcmp(activation, "none"))
    return nib_onnx_invalid(n, "activation '%.40s' does not exist", activation);
  if (x->rank != 3 || w->rank != 3 || w->dims[0] != x->dims[1] || w->dims[1] != 1)
    return nib_onnx_invalid(n, "its filter does not fit its input");
  const int64_t channels = x->dims[1], length = x->dims[2], k = w->dims[2];
  const int64_t state[] = {x->dims[0], channels, k - 1}, column[] = {channels, 1};
  if (k > 64)
    return nib_onnx_unsupported(n, "a filter of more than 64 taps");
  if ((past && (past->rank != 3 || memcmp(past->dims, state, sizeof state))) ||
      (bias && (bias->rank != 1 || bias->dims[0] != channels)))
    return nib_onnx_invalid(n, "its past state or bias does not fit its input");
  const int64_t low[NIB_MAX_RANK] = {0, 0, k - 1}, high[NIB_MAX_RANK] = {0};
  int32_t in = nib_onnx_in(n, 0);
  if (past) {
    const int32_t parts[] = {nib_onnx_in(n, 3), in};
    in = nib_onnx_concatenated(n, parts, 2, 2);
  } else {
    in = nib_onnx_padded(n, in, low, high, 0);
  }
  const int64_t taps[] = {channels, k};
  const int32_t filter = nib_onnx_reshaped(n, nib_onnx_in(n, 1), 2, taps);
  int32_t y = bias ? nib_onnx_reshaped(n, nib_onnx_in(n, 2), 2, column) : NIB_ONNX_ABSENT;
  for (int64_t i = 0; i < k; ++i) {
    const int32_t product = nib_onnx_binary(n, NIB_OP_MUL, nib_onnx_part(n, in, 2, i, length, 1),
                                            nib_onnx_part(n, filter, 1, i, 1, 1));
    y = y == NIB_ONNX_ABSENT ? product : nib_onnx_binary(n, NIB_OP_ADD, product, y);
    if (y == NIB_NONE)
      return n->ctx->failure;
  }
  if (nib_onnx_output_is_used(n, 1) && k == 1)
    return nib_onnx_unsupported(n, "a state without elements");
  if (k > 1)
    NIB_RETURN_IF_ERROR(nib_onnx_finish_at(n, 1, nib_onnx_part(n, in, 2, length, k - 1, 1)));
  return nib_onnx_finish(n, silu ? nib_onnx_unary(n, NIB_OP_SILU, y) : y);
}

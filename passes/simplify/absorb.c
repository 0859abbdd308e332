/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Neighbours absorbed by convolutions and dense layers: padding, bias, per-channel scale,
 * activation; and two operators that are special cases of others. */
#include "simplify/simplify.h"

#include "params/params.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_conv_like(nib_op op) {
  return op == NIB_OP_CONV2D || op == NIB_OP_DEPTHWISE_CONV2D || op == NIB_OP_TRANSPOSE_CONV2D ||
         op == NIB_OP_FULLY_CONNECTED;
}

static bool has_activation(const nib_node *n) {
  return strcmp(nib_node_string(n, NIB_A_ACTIVATION, "none"), "none") != 0 ||
         nib_node_attr(n, NIB_A_CLAMP) != NULL;
}

/* Whether the pad adds what a convolution takes for zero. */
static bool pads_with_zero(const nib_graph *g, const nib_node *n) {
  const nib_tensor *x = &g->tensors[n->in[0]];
  const double zero = x->quantized ? (double)x->zero_point : 0.0;
  return nib_node_float(n, NIB_A_PAD_VALUE, zero) == zero;
}

/* conv(pad(x)): the padding becomes the convolution's. */
bool nib_simplify_pad_absorb(nib_simplify *s, int32_t node) {
  nib_node *n = nib_simplify_node(s, node);
  const int32_t p = nib_simplify_producer_of(s, n->in[0], NIB_OP_PAD);
  if (p == NIB_NONE || !pads_with_zero(s->g, &s->g->nodes[p]))
    return false;
  const nib_node *pad = &s->g->nodes[p];
  const int32_t x = pad->in[0];
  if (s->g->tensors[x].rank != 4 ||
      !nib_simplify_same_type(&s->g->tensors[x], &s->g->tensors[pad->out]))
    return false;
  int64_t low[4], high[4], pads[4];
  for (int32_t i = 0; i < 4; ++i) {
    low[i] = nib_node_ints_at(pad, NIB_A_LOW, i, 0);
    high[i] = nib_node_ints_at(pad, NIB_A_HIGH, i, 0);
    pads[i] = nib_node_ints_at(n, NIB_A_PADS, i, 0);
    if (low[i] < 0 || high[i] < 0)
      return false;
  }
  if (low[0] || high[0] || low[3] || high[3])
    return false;
  const int64_t sum[4] = {pads[0] + low[1], pads[1] + low[2], pads[2] + high[1], pads[3] + high[2]};
  n->in[0] = x;
  nib_simplify_check(s, nib_graph_set_ints(s->g, node, NIB_A_PADS, sum, 4));
  return true;
}

/* --- bias --- */

/* A vector over the last dimension (channels) that `tensor` is when broadcast to `result`: the
 * constant as rank 1, or the tensor itself if it is a dequantized constant of rank 1. */
static int32_t channel_vector(nib_simplify *s, int32_t tensor, const nib_tensor *result) {
  const nib_tensor t = s->g->tensors[tensor];
  const int64_t channels = result->rank > 0 ? result->dims[result->rank - 1] : 1;
  if (t.rank < 1 || t.rank > result->rank || t.dims[t.rank - 1] != channels ||
      nib_tensor_elems(&t) != channels)
    return NIB_NONE;
  if (t.data != NULL && t.format == NIB_F32)
    return t.rank == 1 ? tensor : nib_simplify_reshape_constant(s, tensor, 1, &channels);
  nib_dequant dq;
  const bool weights =
      nib_simplify_dequant_of(s, tensor, &dq) && s->g->tensors[dq.code].data != NULL && t.rank == 1;
  return weights ? tensor : NIB_NONE;
}

/* The convolution without activation whose only use is `tensor`, shaped as `result`, or NIB_NONE.
 */
static int32_t plain_conv_behind(nib_simplify *s, int32_t tensor, const nib_tensor *result) {
  const int32_t p = nib_simplify_producer(s, tensor);
  const bool fits = p != NIB_NONE && is_conv_like(s->g->nodes[p].op) &&
                    nib_simplify_is_single_use(s, tensor) && !has_activation(&s->g->nodes[p]) &&
                    nib_simplify_same_shape(&s->g->tensors[tensor], result);
  return fits ? p : NIB_NONE;
}

/* add(conv(x), v): v is the bias of a float convolution that has none. */
bool nib_simplify_bias_absorb(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  const nib_tensor result = s->g->tensors[n->out];
  if (!nib_simplify_is_float(&result))
    return false;
  for (int side = 0; side < 2; ++side) {
    const int32_t p = plain_conv_behind(s, n->in[side], &result);
    if (p == NIB_NONE)
      continue;
    const nib_node conv = s->g->nodes[p];
    if (conv.n_in > 2 && conv.in[2] != NIB_NONE)
      continue;
    const int32_t v = channel_vector(s, n->in[1 - side], &result);
    int32_t *in = v == NIB_NONE ? NULL : nib_graph_alloc(s->g, 4 * sizeof *in);
    if (in == NULL)
      continue;
    in[0] = conv.in[0];
    in[1] = conv.in[1];
    in[2] = v;
    in[3] = conv.n_in > 3 ? conv.in[3] : NIB_NONE;
    s->g->nodes[p].in = in;
    s->g->nodes[p].n_in = in[3] != NIB_NONE ? 4 : 3;
    const char *activation = nib_node_string(&s->g->nodes[node], NIB_A_ACTIVATION, NULL);
    if (activation != NULL)
      nib_simplify_check(s, nib_graph_set_string(s->g, p, NIB_A_ACTIVATION, activation));
    nib_simplify_take_over(s, p, s->g->nodes[node].out);
    return true;
  }
  return false;
}

/* --- scale --- */

/* Filter constant times one factor per output channel. */
static int32_t scale_filter(nib_simplify *s, const nib_node *conv, const float *factor,
                            int64_t channels) {
  const nib_tensor w = s->g->tensors[conv->in[1]];
  const int64_t n = nib_tensor_elems(&w);
  const bool last = conv->op == NIB_OP_DEPTHWISE_CONV2D;
  float *data = malloc((size_t)n * sizeof *data + 1);
  if (data == NULL) {
    nib_simplify_check(s, NIB_ERROR_OUT_OF_MEMORY);
    return NIB_NONE;
  }
  for (int64_t i = 0; i < n; ++i) {
    const int64_t c = last ? i % channels : i / (n / channels);
    data[i] = (float)((double)((const float *)w.data)[i] * (double)factor[c]);
  }
  const int32_t id = nib_simplify_add_constant(s, w.name, NIB_F32, w.rank, w.dims, data);
  free(data);
  return id;
}

static int32_t scale_vector(nib_simplify *s, int32_t tensor, const float *factor,
                            int64_t channels) {
  const nib_tensor b = s->g->tensors[tensor];
  float *data = malloc((size_t)channels * sizeof *data + 1);
  if (data == NULL) {
    nib_simplify_check(s, NIB_ERROR_OUT_OF_MEMORY);
    return NIB_NONE;
  }
  for (int64_t i = 0; i < channels; ++i)
    data[i] = (float)((double)((const float *)b.data)[i] * (double)factor[i]);
  const int32_t id = nib_simplify_add_constant(s, b.name, NIB_F32, 1, &channels, data);
  free(data);
  return id;
}

static bool is_f32_constant(const nib_simplify *s, int32_t tensor) {
  const nib_tensor *t = &s->g->tensors[tensor];
  return t->data != NULL && t->format == NIB_F32;
}

/* mul(conv(x), v): v goes into the weights and bias of a float convolution. */
bool nib_simplify_scale_absorb(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  const nib_tensor result = s->g->tensors[n->out];
  if (!nib_simplify_is_float(&result))
    return false;
  for (int side = 0; side < 2; ++side) {
    const int32_t p = plain_conv_behind(s, n->in[side], &result);
    if (p == NIB_NONE)
      continue;
    const nib_node conv = s->g->nodes[p];
    const bool biased = conv.n_in > 2 && conv.in[2] != NIB_NONE;
    const int64_t channels = result.dims[result.rank - 1];
    if (!is_f32_constant(s, conv.in[1]) || (biased && !is_f32_constant(s, conv.in[2])) ||
        !is_f32_constant(s, n->in[1 - side]) ||
        (biased && nib_tensor_elems(&s->g->tensors[conv.in[2]]) != channels))
      continue;
    const int32_t v = channel_vector(s, n->in[1 - side], &result);
    if (v == NIB_NONE)
      continue;
    const float *factor = s->g->tensors[v].data;
    const int32_t filter = scale_filter(s, &conv, factor, channels);
    const int32_t bias =
        biased && filter != NIB_NONE ? scale_vector(s, conv.in[2], factor, channels) : NIB_NONE;
    if (filter == NIB_NONE || (biased && bias == NIB_NONE))
      return false;
    s->g->nodes[p].in[1] = filter;
    if (biased)
      s->g->nodes[p].in[2] = bias;
    const char *activation = nib_node_string(&s->g->nodes[node], NIB_A_ACTIVATION, NULL);
    if (activation != NULL)
      nib_simplify_check(s, nib_graph_set_string(s->g, p, NIB_A_ACTIVATION, activation));
    nib_simplify_take_over(s, p, s->g->nodes[node].out);
    return true;
  }
  return false;
}

/* --- activation --- */

static bool carries(nib_op op, const char *attribute) {
  const char *at = strstr(nib_op_get(op)->attributes, attribute);
  return at != NULL;
}

/* The name of the activation that `n` (relu or clamp) computes, or NULL. */
static const char *activation_name(const nib_node *n) {
  if (n->op == NIB_OP_RELU)
    return "relu";
  const double lo = nib_node_float(n, NIB_A_MIN, -INFINITY);
  const double hi = nib_node_float(n, NIB_A_MAX, INFINITY);
  if (lo == 0.0 && hi == 6.0)
    return "relu6";
  if (lo == -1.0 && hi == 1.0)
    return "relu_n1_to_1";
  return lo == 0.0 && isinf(hi) ? "relu" : NULL;
}

static int64_t within(int64_t x, int64_t lo, int64_t hi) { return x < lo ? lo : x > hi ? hi : x; }

/* On codes of one type, relu and clamp cut at codes: the producer's clamp does the same. */
static bool absorb_on_codes(nib_simplify *s, int32_t node, int32_t p) {
  nib_graph *g = s->g;
  const nib_node *n = &g->nodes[node];
  const nib_tensor *x = &g->tensors[n->in[0]], *y = &g->tensors[n->out];
  if ((n->op != NIB_OP_RELU && n->op != NIB_OP_CLAMP) || !nib_simplify_is_8bit(x) ||
      !nib_simplify_same_type(x, y) || !carries(g->nodes[p].op, "clamp"))
    return false;
  int64_t lo, hi, low, high;
  nib_params_code_range(g, &g->nodes[p], &lo, &hi);
  nib_params_code_range(g, n, &low, &high);
  const int64_t clamp[2] = {within(lo, low, high), within(hi, low, high)};
  nib_simplify_check(s, nib_graph_set_ints(g, p, NIB_A_CLAMP, clamp, 2));
  nib_simplify_take_over(s, p, n->out);
  return true;
}

bool nib_simplify_activation_absorb(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  const int32_t p = nib_simplify_producer(s, n->in[0]);
  if (p == NIB_NONE || !nib_simplify_is_single_use(s, n->in[0]) ||
      !carries(s->g->nodes[p].op, "activation"))
    return false;
  if (absorb_on_codes(s, node, p))
    return true;
  const char *name = activation_name(n);
  if (name == NULL || !nib_simplify_is_float(&s->g->tensors[n->out]) ||
      has_activation(&s->g->nodes[p]) ||
      !nib_simplify_same_shape(&s->g->tensors[n->in[0]], &s->g->tensors[n->out]))
    return false;
  nib_simplify_check(s, nib_graph_set_string(s->g, p, NIB_A_ACTIVATION, name));
  nib_simplify_take_over(s, p, s->g->nodes[node].out);
  return true;
}

/* --- special cases --- */

/* A depthwise convolution of one channel is an ordinary one: filter [1,KH,KW,M] to [M,KH,KW,1]. */
bool nib_simplify_depthwise_to_conv(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  const nib_tensor *x = &s->g->tensors[n->in[0]], *w = &s->g->tensors[n->in[1]];
  static const int64_t k_perm[4] = {3, 1, 2, 0};
  if (x->rank != 4 || x->dims[3] != 1 || w->data == NULL || w->rank != 4)
    return false;
  const int32_t filter = nib_simplify_permute_constant(s, n->in[1], k_perm);
  if (filter == NIB_NONE)
    return false;
  s->g->nodes[node].op = NIB_OP_CONV2D;
  s->g->nodes[node].in[1] = filter;
  return true;
}

/* matmul(x, W) with a constant [K,N] is a dense layer with W transposed. */
bool nib_simplify_matmul_to_dense(nib_simplify *s, int32_t node) {
  const nib_node *n = nib_simplify_node(s, node);
  const int32_t x = n->in[0], rhs = n->in[1];
  const nib_tensor w = s->g->tensors[rhs];
  const int32_t p = nib_simplify_producer_of(s, rhs, NIB_OP_DEQUANTIZE);
  static const int64_t k_perm[2] = {1, 0};
  int64_t dims[2];
  if (w.rank != 2 || !nib_simplify_is_float(&w) || s->g->tensors[x].rank != 2)
    return false;
  int32_t filter = NIB_NONE;
  if (w.data != NULL) {
    filter = nib_simplify_permute_constant(s, rhs, k_perm);
  } else if (p != NIB_NONE && s->g->tensors[s->g->nodes[p].in[0]].data != NULL) {
    dims[0] = w.dims[1];
    dims[1] = w.dims[0];
    filter = nib_simplify_add_tensor(s, rhs, 2, dims);
    const int32_t t = nib_simplify_add_node(s, p, NIB_OP_TRANSPOSE, &rhs, 1, filter);
    if (t == NIB_NONE)
      return false;
    nib_simplify_check(s, nib_graph_set_ints(s->g, t, NIB_A_PERM, k_perm, 2));
  }
  const int32_t in[2] = {x, filter};
  return filter != NIB_NONE && nib_simplify_become(s, node, NIB_OP_FULLY_CONNECTED, in, 2);
}

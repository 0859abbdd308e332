/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Attention as products, a bias and a softmax; rotary embeddings; SwiGLU.
 *
 * Heads that share keys and values are a dimension of their own: queries are
 * [batch, kv heads, group, queries, size], keys [batch, kv heads, 1, keys, size]. */
#include "onnx_build.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct attention {
  nib_onnx_node *n;
  nib_format format;
  bool packed; /* [batch, sequence, heads * size] */
  int64_t batch, heads, kv_heads, queries, keys, past, size, v_size;
  int32_t q, k, v; /* [batch, heads, sequence, size], keys and values with the past */
  int32_t bias;    /* added to scores, or NIB_ONNX_ABSENT; at most 5 dimensions */
} attention;

/* [batch, sequence, heads * size] as [batch, heads, sequence, size] */
static int32_t split_heads(nib_onnx_node *n, int32_t t, int64_t heads) {
  if (t == NIB_NONE)
    return NIB_NONE;
  const int64_t dims[] = {nib_onnx_dim(n, t, 0), nib_onnx_dim(n, t, 1), heads,
                          nib_onnx_dim(n, t, 2) / heads};
  return nib_onnx_swapped(n, nib_onnx_reshaped(n, t, 4, dims), 1, 2);
}

/* The inverse. */
static int32_t join_heads(nib_onnx_node *n, int32_t t) {
  if (t == NIB_NONE)
    return NIB_NONE;
  const int64_t dims[] = {nib_onnx_dim(n, t, 0), nib_onnx_dim(n, t, 2),
                          nib_onnx_dim(n, t, 1) * nib_onnx_dim(n, t, 3)};
  return nib_onnx_reshaped(n, nib_onnx_swapped(n, t, 1, 2), 3, dims);
}

static nib_status read_attention(nib_onnx_node *n, attention *a) {
  const nib_onnx_value *v[3];
  for (size_t i = 0; i < 3; ++i) {
    v[i] = nib_onnx_input(n, i);
    NIB_RETURN_IF_ERROR(nib_onnx_require_real(n, v[i]));
    if (v[i]->rank != v[0]->rank || (v[0]->rank != 3 && v[0]->rank != 4))
      return nib_onnx_invalid(n, "query, key and value do not all have 3 or 4 dimensions");
    if (v[i]->format != v[0]->format || v[i]->dims[0] != v[0]->dims[0])
      return nib_onnx_invalid(n, "query, key and value differ in type or batch");
  }
  *a = (attention){.n = n, .format = v[0]->format, .packed = v[0]->rank == 3};
  a->batch = v[0]->dims[0];
  a->heads = a->packed ? nib_onnx_attr_int(n, "q_num_heads", 0) : v[0]->dims[1];
  a->kv_heads = a->packed ? nib_onnx_attr_int(n, "kv_num_heads", 0) : v[1]->dims[1];
  if (a->heads < 1 || a->kv_heads < 1 || a->heads % a->kv_heads)
    return nib_onnx_invalid(n, "%" PRId64 " query heads and %" PRId64 " key heads", a->heads,
                            a->kv_heads);
  const int32_t last = v[0]->rank - 1;
  const int64_t of_q = a->packed ? a->heads : 1, of_kv = a->packed ? a->kv_heads : 1;
  a->size = v[0]->dims[last] / of_q;
  a->v_size = v[2]->dims[last] / of_kv;
  a->queries = v[0]->dims[last - 1];
  a->keys = v[1]->dims[last - 1];
  if (a->size * of_q != v[0]->dims[last] || a->v_size * of_kv != v[2]->dims[last] ||
      a->size * of_kv != v[1]->dims[last] || v[2]->dims[last - 1] != a->keys ||
      (!a->packed && v[2]->dims[1] != a->kv_heads))
    return nib_onnx_invalid(n, "query, key and value do not fit each other");
  return NIB_OK;
}

/* Input `i` with the past, input `i` + 3, before it: [batch, kv heads, keys, size]. */
static int32_t with_past(attention *a, size_t i, int64_t size) {
  nib_onnx_node *n = a->n;
  int32_t t = nib_onnx_in(n, i);
  if (a->packed)
    t = split_heads(n, t, a->kv_heads);
  const nib_onnx_value *past = nib_onnx_input(n, i + 3);
  if (t == NIB_NONE || !past)
    return t;
  if (past->rank != 4 || past->dims[0] != a->batch || past->dims[1] != a->kv_heads ||
      past->dims[3] != size || past->format != a->format) {
    nib_onnx_invalid(n, "'%.100s' does not fit the keys", past->name);
    return NIB_NONE;
  }
  a->past = past->dims[2];
  const int32_t parts[] = {nib_onnx_in(n, i + 3), t};
  return nib_onnx_concatenated(n, parts, 2, 2);
}

static nib_status place_operands(attention *a) {
  nib_onnx_node *n = a->n;
  const bool past_key = nib_onnx_input(n, 4) != NULL, past_value = nib_onnx_input(n, 5) != NULL;
  if (past_key != past_value || (past_key && nib_onnx_input(n, 6)))
    return nib_onnx_invalid(n, "past keys without past values, or with nonpad_kv_seqlen");
  a->q = nib_onnx_in(n, 0);
  if (a->packed)
    a->q = split_heads(n, a->q, a->heads);
  a->k = with_past(a, 1, a->size);
  a->v = with_past(a, 2, a->v_size);
  if (a->q == NIB_NONE || a->k == NIB_NONE || a->v == NIB_NONE)
    return n->ctx->failure;
  a->keys = nib_onnx_dim(n, a->k, 2);
  if (nib_onnx_dim(n, a->v, 2) != a->keys)
    return nib_onnx_invalid(n, "there are %" PRId64 " keys and %" PRId64 " values", a->keys,
                            nib_onnx_dim(n, a->v, 2));
  NIB_RETURN_IF_ERROR(nib_onnx_finish_at(n, 1, a->k));
  return nib_onnx_finish_at(n, 2, a->v);
}

/* ---- the bias ---- */

static int32_t add_bias(nib_onnx_node *n, int32_t a, int32_t b) {
  return a == NIB_ONNX_ABSENT ? b : b == NIB_ONNX_ABSENT ? a : nib_onnx_binary(n, NIB_OP_ADD, a, b);
}

/* 0 where `condition` holds, else minus infinity. */
static int32_t bias_of(attention *a, int32_t condition) {
  const int32_t zero = nib_onnx_number(a->n, a->format, 0);
  return nib_onnx_chosen(a->n, condition, zero, nib_onnx_number(a->n, a->format, -INFINITY));
}

/* attn_mask [.., queries, keys], with fewer keys than there are padded by minus infinity. */
static int32_t mask_bias(attention *a) {
  nib_onnx_node *n = a->n;
  const nib_onnx_value *v = nib_onnx_input(n, 3);
  if (!v)
    return NIB_ONNX_ABSENT;
  const int32_t rank = v->rank;
  const int64_t width = rank ? v->dims[rank - 1] : 0;
  if (rank < 1 || rank > 4 || width > a->keys || (v->format != NIB_I1 && v->format != a->format)) {
    nib_onnx_invalid(n, "its mask does not fit %" PRId64 " keys", a->keys);
    return NIB_NONE;
  }
  int32_t t = nib_onnx_in(n, 3);
  if (v->format == NIB_I1)
    t = bias_of(a, t);
  int64_t low[NIB_MAX_RANK] = {0}, high[NIB_MAX_RANK] = {0};
  high[rank - 1] = width == 1 ? 0 : a->keys - width; /* one column broadcasts */
  t = nib_onnx_padded(n, t, low, high, -INFINITY);
  if (rank < 3 || t == NIB_NONE)
    return t;
  /* Heads become kv heads and groups. */
  const int64_t heads = nib_onnx_dim(n, t, rank - 3);
  const int64_t dims[] = {rank == 4 ? nib_onnx_dim(n, t, 0) : 1, heads == 1 ? 1 : a->kv_heads,
                          heads == 1 ? 1 : a->heads / a->kv_heads, nib_onnx_dim(n, t, rank - 2),
                          nib_onnx_dim(n, t, rank - 1)};
  return nib_onnx_reshaped(n, t, 5, dims);
}

/* Key minus query of each pair, [queries, keys], as i64: what causal masks and windows compare. */
static int32_t distances(attention *a) {
  int64_t *d = nib_onnx_longs(a->n, a->queries * a->keys);
  for (int64_t i = 0; d && i < a->queries * a->keys; ++i)
    d[i] = i % a->keys - i / a->keys;
  const int64_t dims[] = {a->queries, a->keys};
  return nib_onnx_integers(a->n, 2, dims, d);
}

/* The number of valid keys of each example, [batch, 1, 1, 1, 1] as i64. */
static int32_t valid_keys(attention *a) {
  const nib_onnx_value *v = nib_onnx_input(a->n, 6);
  const int64_t dims[] = {a->batch, 1, 1, 1, 1};
  if (v->format != NIB_I64 || v->rank != 1 || v->dims[0] != a->batch) {
    nib_onnx_invalid(a->n, "nonpad_kv_seqlen is not one i64 for each example");
    return NIB_NONE;
  }
  return nib_onnx_reshaped(a->n, nib_onnx_in(a->n, 6), 5, dims);
}

/* The bias of left <= key - query - offset <= right; -1: no bound. `offset` is a constant, or a
 * tensor of one for each example. */
static int32_t window_bias(attention *a, int64_t left, int64_t right) {
  nib_onnx_node *n = a->n;
  int32_t distance = distances(a);
  if (nib_onnx_input(n, 6)) {
    const int32_t offset = nib_onnx_with(n, NIB_OP_SUB, valid_keys(a), (double)a->queries);
    distance = nib_onnx_binary(n, NIB_OP_SUB, distance, offset);
  } else {
    distance = nib_onnx_with(n, NIB_OP_SUB, distance, (double)a->past);
  }
  int32_t bias = NIB_ONNX_ABSENT;
  if (right >= 0)
    bias = bias_of(a, nib_onnx_compared(n, NIB_OP_LESS_EQUAL, distance,
                                        nib_onnx_number(n, NIB_I64, (double)right)));
  if (left >= 0)
    bias = add_bias(
        n, bias,
        bias_of(a, nib_onnx_compared(n, NIB_OP_LESS_EQUAL,
                                     nib_onnx_number(n, NIB_I64, (double)-left), distance)));
  return bias;
}

static int32_t padding_bias(attention *a) {
  int64_t *index = nib_onnx_longs(a->n, a->keys);
  for (int64_t i = 0; index && i < a->keys; ++i)
    index[i] = i;
  const int32_t keys = nib_onnx_integers(a->n, 1, &a->keys, index);
  return bias_of(a, nib_onnx_compared(a->n, NIB_OP_LESS, keys, valid_keys(a)));
}

static nib_status read_bias(attention *a) {
  nib_onnx_node *n = a->n;
  const bool causal = nib_onnx_attr_int(n, "is_causal", 0) != 0;
  const int64_t left = nib_onnx_attr_int(n, "left_window_size", -1);
  const int64_t right = nib_onnx_attr_int(n, "right_window_size", -1);
  a->bias = NIB_ONNX_ABSENT;
  int32_t parts[4] = {NIB_ONNX_ABSENT, NIB_ONNX_ABSENT, NIB_ONNX_ABSENT, NIB_ONNX_ABSENT};
  const bool used[4] = {nib_onnx_input(n, 3), causal, left >= 0 || right >= 0,
                        nib_onnx_input(n, 6)};
  parts[0] = used[0] ? mask_bias(a) : NIB_ONNX_ABSENT;
  parts[1] = used[1] ? window_bias(a, -1, 0) : NIB_ONNX_ABSENT;
  parts[2] = used[2] ? window_bias(a, left, right) : NIB_ONNX_ABSENT;
  parts[3] = used[3] ? padding_bias(a) : NIB_ONNX_ABSENT;
  for (int i = 0; i < 4; ++i) {
    if (used[i] && parts[i] == NIB_NONE)
      return n->ctx->failure;
    a->bias = add_bias(n, a->bias, parts[i]);
    if (used[i] && a->bias == NIB_NONE)
      return n->ctx->failure;
  }
  return NIB_OK;
}

/* ---- the computation ---- */

/* The softmax of the scores; a row whose every key is masked is zero, not NaN. */
static int32_t probabilities(attention *a, int32_t scores) {
  nib_onnx_node *n = a->n;
  if (a->bias == NIB_ONNX_ABSENT)
    return nib_onnx_softmax(n, scores);
  const int32_t open =
      nib_onnx_compared(n, NIB_OP_LESS, nib_onnx_number(n, a->format, -INFINITY), a->bias);
  return nib_onnx_chosen(n, open, nib_onnx_softmax(n, scores), nib_onnx_number(n, a->format, 0));
}

/* [batch, kv heads, group, queries, x] as [batch, heads, queries, x] */
static int32_t ungrouped(attention *a, int32_t t) {
  if (t == NIB_NONE)
    return NIB_NONE;
  const int64_t dims[] = {a->batch, a->heads, nib_onnx_dim(a->n, t, -2), nib_onnx_dim(a->n, t, -1)};
  return nib_onnx_reshaped(a->n, t, 4, dims);
}

/* Output 3 shows the scores at one of four places. */
static nib_status show_scores(attention *a, int64_t place, int32_t scores) {
  if (!nib_onnx_output_is_used(a->n, 3) ||
      nib_onnx_attr_int(a->n, "qk_matmul_output_mode", 0) != place)
    return NIB_OK;
  return nib_onnx_finish_at(a->n, 3, ungrouped(a, scores));
}

static nib_status emit_attention(attention *a) {
  nib_onnx_node *n = a->n;
  const double scale =
      (double)nib_onnx_attr_float(n, "scale", (float)(1.0 / sqrt((double)a->size)));
  const double cap = (double)nib_onnx_attr_float(n, "softcap", 0.0f);
  const int64_t group = a->heads / a->kv_heads;
  const int64_t q_dims[] = {a->batch, a->kv_heads, group, a->queries, a->size};
  const int64_t k_dims[] = {a->batch, a->kv_heads, 1, a->keys, a->size};
  const int64_t v_dims[] = {a->batch, a->kv_heads, 1, a->keys, a->v_size};
  const int32_t q = nib_onnx_with(n, NIB_OP_MUL, nib_onnx_reshaped(n, a->q, 5, q_dims), scale);
  const int32_t k = nib_onnx_swapped(n, nib_onnx_reshaped(n, a->k, 5, k_dims), 3, 4);
  int32_t scores = nib_onnx_product(n, q, k);
  NIB_RETURN_IF_ERROR(show_scores(a, 0, scores));
  if (cap > 0)
    scores = nib_onnx_with(
        n, NIB_OP_MUL, nib_onnx_unary(n, NIB_OP_TANH, nib_onnx_with(n, NIB_OP_DIV, scores, cap)),
        cap);
  NIB_RETURN_IF_ERROR(show_scores(a, 1, scores));
  if (a->bias != NIB_ONNX_ABSENT)
    scores = nib_onnx_binary(n, NIB_OP_ADD, scores, a->bias);
  NIB_RETURN_IF_ERROR(show_scores(a, 2, scores));
  const int32_t weights = probabilities(a, scores);
  NIB_RETURN_IF_ERROR(show_scores(a, 3, weights));
  const int32_t y =
      ungrouped(a, nib_onnx_product(n, weights, nib_onnx_reshaped(n, a->v, 5, v_dims)));
  return nib_onnx_finish(n, a->packed ? join_heads(n, y) : y);
}

nib_status nib_onnx_import_attention(nib_onnx_node *n) {
  attention a;
  const int64_t mode = nib_onnx_attr_int(n, "qk_matmul_output_mode", 0);
  if (mode < 0 || mode > 3)
    return nib_onnx_invalid(n, "qk_matmul_output_mode is %" PRId64, mode);
  NIB_RETURN_IF_ERROR(read_attention(n, &a));
  NIB_RETURN_IF_ERROR(place_operands(&a));
  NIB_RETURN_IF_ERROR(read_bias(&a));
  return emit_attention(&a);
}

/* Attention without a mask. Its modifications of scores and probabilities are graphs. */
nib_status nib_onnx_import_flex_attention(nib_onnx_node *n) {
  attention a;
  if (nib_onnx_attr(n, "score_mod") || nib_onnx_attr(n, "prob_mod"))
    return nib_onnx_unsupported(n, "a graph that modifies scores or probabilities");
  NIB_RETURN_IF_ERROR(read_attention(n, &a));
  NIB_RETURN_IF_ERROR(place_operands(&a));
  a.bias = NIB_ONNX_ABSENT;
  return emit_attention(&a);
}

/* ---- rotary embeddings ---- */

/* Cosines or sines of each position: [batch or 1, 1, sequence, half]. */
static int32_t angles(nib_onnx_node *n, size_t input, int64_t half) {
  int32_t t = nib_onnx_in(n, input);
  if (nib_onnx_input(n, 3))
    t = nib_onnx_gathered(n, t, nib_onnx_in(n, 3), 0);
  if (t == NIB_NONE)
    return NIB_NONE;
  const nib_tensor *x = nib_onnx_tensor(n, t);
  if (x->rank != 3 || x->dims[2] != half) {
    nib_onnx_invalid(n, "input %zu does not fit a rotation of %" PRId64 " pairs", input, half);
    return NIB_NONE;
  }
  const int64_t dims[] = {x->dims[0], 1, x->dims[1], half};
  return nib_onnx_reshaped(n, t, 4, dims);
}

/* The first `rotated` of the last dimension of x, [batch, heads, sequence, size], turned. */
static int32_t rotate(nib_onnx_node *n, int32_t x, int64_t rotated, bool interleaved) {
  const int64_t half = rotated / 2, step = interleaved ? 2 : 1;
  const int32_t cosine = angles(n, 1, half), sine = angles(n, 2, half);
  const int32_t a = nib_onnx_part(n, x, 3, 0, half, step);
  const int32_t b = nib_onnx_part(n, x, 3, interleaved ? 1 : half, half, step);
  int32_t parts[] = {nib_onnx_binary(n, NIB_OP_SUB, nib_onnx_binary(n, NIB_OP_MUL, a, cosine),
                                     nib_onnx_binary(n, NIB_OP_MUL, b, sine)),
                     nib_onnx_binary(n, NIB_OP_ADD, nib_onnx_binary(n, NIB_OP_MUL, a, sine),
                                     nib_onnx_binary(n, NIB_OP_MUL, b, cosine))};
  if (parts[0] == NIB_NONE || parts[1] == NIB_NONE)
    return NIB_NONE;
  int64_t dims[NIB_MAX_RANK];
  memcpy(dims, nib_onnx_tensor(n, parts[0])->dims, sizeof dims);
  dims[4] = 1;
  for (int i = 0; interleaved && i < 2; ++i)
    parts[i] = nib_onnx_reshaped(n, parts[i], 5, dims);
  dims[3] = rotated;
  return nib_onnx_reshaped(n, nib_onnx_concatenated(n, parts, 2, -1), 4, dims);
}

nib_status nib_onnx_import_rotary_embedding(nib_onnx_node *n) {
  const nib_onnx_value *v = nib_onnx_input(n, 0);
  NIB_RETURN_IF_ERROR(nib_onnx_require_real(n, v));
  const bool packed = v->rank == 3;
  const int64_t heads = packed ? nib_onnx_attr_int(n, "num_heads", 0) : 1;
  if ((!packed && v->rank != 4) || heads < 1 || v->dims[v->rank - 1] % heads)
    return nib_onnx_invalid(n, "%" PRId64 " heads of an input of rank %d", heads, v->rank);
  const int64_t size = v->dims[v->rank - 1] / heads;
  int64_t rotated = nib_onnx_attr_int(n, "rotary_embedding_dim", 0);
  rotated = rotated ? rotated : size;
  if (rotated < 2 || rotated > size || rotated % 2)
    return nib_onnx_invalid(n, "rotation of %" PRId64 " of %" PRId64 " elements", rotated, size);
  const int32_t x = packed ? split_heads(n, nib_onnx_in(n, 0), heads) : nib_onnx_in(n, 0);
  int32_t parts[] = {rotate(n, x, rotated, nib_onnx_attr_int(n, "interleaved", 0) != 0), NIB_NONE};
  if (rotated < size)
    parts[1] = nib_onnx_part(n, x, 3, rotated, size - rotated, 1);
  const int32_t y = nib_onnx_concatenated(n, parts, rotated < size ? 2 : 1, 3);
  return nib_onnx_finish(n, packed ? join_heads(n, y) : y);
}

nib_status nib_onnx_import_swiglu(nib_onnx_node *n) {
  NIB_RETURN_IF_ERROR(nib_onnx_require_reals(n));
  const double alpha = (double)nib_onnx_attr_float(n, "alpha", 1.0f);
  const int32_t a = nib_onnx_in(n, 0);
  const int32_t gate = alpha == 1.0 ? a : nib_onnx_with(n, NIB_OP_MUL, a, alpha);
  const int32_t swish = nib_onnx_binary(n, NIB_OP_MUL, a, nib_onnx_unary(n, NIB_OP_SIGMOID, gate));
  return nib_onnx_finish(n, nib_onnx_binary(n, NIB_OP_MUL, swish, nib_onnx_in(n, 1)));
}

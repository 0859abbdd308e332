/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Elementwise operators, activations, matrix products, reductions, batch normalization. */
#include "onnx_internal.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* A node with two operands and the broadcast shape. */
static int32_t emit_binary(nib_onnx_node *n, nib_op op, int32_t a, int32_t b, const char *suffix) {
  const nib_graph *g = n->ctx->graph;
  const nib_tensor *ta = &g->tensors[a], *tb = &g->tensors[b];
  nib_onnx_value va = {.rank = ta->rank}, vb = {.rank = tb->rank};
  memcpy(va.dims, ta->dims, sizeof va.dims);
  memcpy(vb.dims, tb->dims, sizeof vb.dims);
  int64_t dims[NIB_MAX_RANK];
  int32_t rank;
  if (nib_onnx_broadcast(n, &va, &vb, &rank, dims) != NIB_OK)
    return NIB_NONE;
  const int32_t in[] = {a, b};
  int32_t node = nib_onnx_emit(n, op, in, 2, NIB_NONE, rank, dims, suffix);
  return node == NIB_NONE ? NIB_NONE : n->ctx->graph->nodes[node].out;
}

static nib_status finish(nib_onnx_node *n, int32_t tensor) {
  return tensor == NIB_NONE ? n->ctx->failure : nib_onnx_set_result(n, tensor);
}

nib_status nib_onnx_import_binary(nib_onnx_node *n) {
  nib_status status;
  if (nib_onnx_fold_binary(n, &status))
    return status;
  nib_onnx_value *a = nib_onnx_input(n, 0), *b = nib_onnx_input(n, 1);
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, a));
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, b));
  int32_t ta = nib_onnx_materialize(n, a);
  int32_t tb = ta == NIB_NONE ? NIB_NONE : nib_onnx_materialize(n, b);
  if (tb == NIB_NONE)
    return n->ctx->failure;
  return finish(n, emit_binary(n, n->row->op, ta, tb, ""));
}

nib_status nib_onnx_import_sum(nib_onnx_node *n) {
  if (n->proto->n_input == 1)
    return nib_onnx_import_identity(n);
  int32_t sum = NIB_NONE;
  for (size_t i = 0; i < n->proto->n_input; ++i) {
    nib_onnx_value *v = nib_onnx_input(n, i);
    if (!v)
      return nib_onnx_invalid(n, "its input %zu is missing", i);
    NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, v));
    int32_t t = nib_onnx_materialize(n, v);
    bool last = i + 1 == n->proto->n_input;
    sum = t == NIB_NONE || i == 0 ? t : emit_binary(n, NIB_OP_ADD, sum, t, last ? "" : "_partial");
    if (sum == NIB_NONE)
      return n->ctx->failure;
  }
  return finish(n, sum);
}

nib_status nib_onnx_import_unary(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, x));
  int32_t in = nib_onnx_materialize(n, x);
  int32_t node = in == NIB_NONE
                     ? NIB_NONE
                     : nib_onnx_emit(n, n->row->op, &in, 1, NIB_NONE, x->rank, x->dims, "");
  if (node == NIB_NONE)
    return n->ctx->failure;
  nib_graph *g = n->ctx->graph;
  if (n->row->op == NIB_OP_LEAKY_RELU) {
    float alpha = nib_onnx_attr_float(n, "alpha", 0.01f);
    if (!isfinite(alpha))
      return nib_onnx_invalid(n, "alpha is not finite");
    if (nib_graph_set_float(g, node, NIB_A_ALPHA, alpha) != NIB_OK)
      return nib_onnx_out_of_memory(n->ctx);
  }
  return finish(n, g->nodes[node].out);
}

nib_status nib_onnx_import_clip(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, x));
  float low, high;
  if (n->ctx->opset < 11) {
    low = nib_onnx_attr_float(n, "min", -FLT_MAX);
    high = nib_onnx_attr_float(n, "max", FLT_MAX);
  } else {
    NIB_RETURN_IF_ERROR(nib_onnx_constant_float(n, 1, -FLT_MAX, &low));
    NIB_RETURN_IF_ERROR(nib_onnx_constant_float(n, 2, FLT_MAX, &high));
  }
  if (isnan(low) || isnan(high))
    return nib_onnx_invalid(n, "a bound is not a number");
  low = fmaxf(fminf(low, high), -FLT_MAX); /* min above max: everything becomes max */
  high = fminf(fmaxf(high, -FLT_MAX), FLT_MAX);
  int32_t in = nib_onnx_materialize(n, x);
  int32_t node = in == NIB_NONE
                     ? NIB_NONE
                     : nib_onnx_emit(n, NIB_OP_CLAMP, &in, 1, NIB_NONE, x->rank, x->dims, "");
  if (node == NIB_NONE)
    return n->ctx->failure;
  nib_graph *g = n->ctx->graph;
  if (nib_graph_set_float(g, node, NIB_A_MIN, low) != NIB_OK ||
      nib_graph_set_float(g, node, NIB_A_MAX, high) != NIB_OK)
    return nib_onnx_out_of_memory(n->ctx);
  return finish(n, g->nodes[node].out);
}

/* `op` of `in` and the number `value`. */
static int32_t emit_with_number(nib_onnx_node *n, nib_op op, int32_t in, float value,
                                const char *suffix) {
  float *data = in == NIB_NONE ? NULL : (float *)(void *)nib_onnx_fold_alloc(n, sizeof *data);
  if (!data)
    return NIB_NONE;
  *data = value;
  const int32_t number = nib_onnx_emit_constant(n, "number", NIB_F32, 0, NULL, data);
  return number == NIB_NONE ? NIB_NONE : emit_binary(n, op, in, number, suffix);
}

/* HardSigmoid, max(0, min(1, alpha x + beta)); HardSwish is x times that at 1/6 and 1/2. */
nib_status nib_onnx_import_hard(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, x));
  const bool swish = n->row->op == NIB_OP_MUL;
  const float alpha = swish ? 1.0f / 6.0f : nib_onnx_attr_float(n, "alpha", 0.2f);
  const float beta = swish ? 0.5f : nib_onnx_attr_float(n, "beta", 0.5f);
  if (!isfinite(alpha) || !isfinite(beta))
    return nib_onnx_invalid(n, "alpha or beta is not finite");
  nib_graph *g = n->ctx->graph;
  const int32_t in = nib_onnx_materialize(n, x);
  const int32_t line = emit_with_number(
      n, NIB_OP_ADD, emit_with_number(n, NIB_OP_MUL, in, alpha, "_scaled"), beta, "_line");
  if (line == NIB_NONE)
    return n->ctx->failure;
  const nib_tensor t = g->tensors[line];
  const int32_t node = nib_onnx_emit(n, NIB_OP_CLAMP, &line, 1, NIB_NONE, t.rank, t.dims,
                                     swish ? "_gate" : "");
  if (node == NIB_NONE)
    return n->ctx->failure;
  if (nib_graph_set_float(g, node, NIB_A_MIN, 0.0) != NIB_OK ||
      nib_graph_set_float(g, node, NIB_A_MAX, 1.0) != NIB_OK)
    return nib_onnx_out_of_memory(n->ctx);
  const int32_t gate = g->nodes[node].out;
  return finish(n, swish ? emit_binary(n, NIB_OP_MUL, in, gate, "") : gate);
}

nib_status nib_onnx_import_negate(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, x));
  return finish(n, emit_with_number(n, NIB_OP_MUL, nib_onnx_materialize(n, x), -1.0f, ""));
}

/* softmax along the last dimension of `in`, whatever its rank. */
static int32_t emit_softmax(nib_onnx_node *n, int32_t in, const char *suffix) {
  nib_graph *g = n->ctx->graph;
  int64_t dims[NIB_MAX_RANK];
  int32_t rank = g->tensors[in].rank;
  memcpy(dims, g->tensors[in].dims, sizeof dims);
  int32_t node = nib_onnx_emit(n, NIB_OP_SOFTMAX, &in, 1, NIB_NONE, rank, dims, suffix);
  if (node == NIB_NONE)
    return NIB_NONE;
  if (nib_graph_set_int(g, node, NIB_A_AXIS, rank - 1) != NIB_OK ||
      nib_graph_set_float(g, node, NIB_A_BETA, 1.0) != NIB_OK) {
    nib_onnx_out_of_memory(n->ctx);
    return NIB_NONE;
  }
  return g->nodes[node].out;
}

/* Before opset 13: the dimensions from `axis` on are one. */
static int32_t softmax_flattened(nib_onnx_node *n, const nib_onnx_value *x, int32_t in,
                                 int64_t axis) {
  int64_t flat[2] = {1, 1};
  for (int32_t i = 0; i < x->rank; ++i)
    flat[i >= axis] *= x->dims[i];
  int32_t t = nib_onnx_emit_reshape(n, NIB_OP_RESHAPE, in, 2, flat, "_flat");
  t = t == NIB_NONE ? NIB_NONE : emit_softmax(n, t, "_softmax");
  return t == NIB_NONE ? NIB_NONE
                       : nib_onnx_emit_reshape(n, NIB_OP_RESHAPE, t, x->rank, x->dims, "");
}

/* Since opset 13: one dimension, brought to the end and back. */
static int32_t softmax_along(nib_onnx_node *n, const nib_onnx_value *x, int32_t in, int64_t axis) {
  int64_t perm[NIB_MAX_RANK];
  for (int32_t i = 0; i < x->rank; ++i)
    perm[i] = i;
  perm[axis] = x->rank - 1;
  perm[x->rank - 1] = axis; /* an exchange is its own inverse */
  int32_t t = nib_onnx_emit_transpose(n, in, perm, "_last");
  t = t == NIB_NONE ? NIB_NONE : emit_softmax(n, t, "_softmax");
  return t == NIB_NONE ? NIB_NONE : nib_onnx_emit_transpose(n, t, perm, "");
}

nib_status nib_onnx_import_softmax(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, x));
  bool flatten = n->ctx->opset < 13;
  int64_t axis = nib_onnx_attr_int(n, "axis", flatten ? 1 : -1);
  if (flatten && axis == x->rank)
    return nib_onnx_unsupported(n, "an axis behind the last dimension");
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, &axis, 1, x->rank));
  int32_t in = nib_onnx_materialize(n, x);
  if (in == NIB_NONE)
    return n->ctx->failure;
  if (axis == x->rank - 1)
    return finish(n, emit_softmax(n, in, ""));
  return finish(n, flatten ? softmax_flattened(n, x, in, axis) : softmax_along(n, x, in, axis));
}

nib_status nib_onnx_import_reduce_mean(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, x));
  int64_t axes[NIB_MAX_RANK];
  int32_t n_axes;
  NIB_RETURN_IF_ERROR(nib_onnx_ints(n, 18, 1, "axes", NIB_MAX_RANK, axes, &n_axes));
  if (n_axes <= 0) {
    if (n->ctx->opset >= 18 && nib_onnx_attr_int(n, "noop_with_empty_axes", 0))
      return nib_onnx_import_identity(n);
    for (n_axes = 0; n_axes < x->rank; ++n_axes)
      axes[n_axes] = n_axes;
  }
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, axes, n_axes, x->rank));
  bool keep = nib_onnx_attr_int(n, "keepdims", 1) != 0;
  uint32_t reduced = 0;
  for (int32_t i = 0; i < n_axes; ++i)
    reduced |= 1u << axes[i];
  int64_t dims[NIB_MAX_RANK];
  int32_t rank = 0;
  n_axes = 0;
  for (int32_t i = 0; i < x->rank; ++i) {
    bool gone = reduced >> i & 1;
    if (gone)
      axes[n_axes++] = i; /* ascending */
    if (!gone || keep)
      dims[rank++] = gone ? 1 : x->dims[i];
  }
  if (x->rank == 0)
    return nib_onnx_import_identity(n);
  int32_t in = nib_onnx_materialize(n, x);
  int32_t node =
      in == NIB_NONE ? NIB_NONE : nib_onnx_emit(n, NIB_OP_MEAN, &in, 1, NIB_NONE, rank, dims, "");
  if (node == NIB_NONE)
    return n->ctx->failure;
  nib_graph *g = n->ctx->graph;
  if (nib_graph_set_ints(g, node, NIB_A_AXES, axes, n_axes) != NIB_OK ||
      nib_graph_set_int(g, node, NIB_A_KEEP_DIMS, keep) != NIB_OK)
    return nib_onnx_out_of_memory(n->ctx);
  return finish(n, g->nodes[node].out);
}

/* One f32 constant of one element per channel, or NULL after a message. */
static const float *channel_constant(nib_onnx_node *n, size_t i, int64_t channels) {
  const nib_onnx_value *v = nib_onnx_input(n, i);
  if (!v->data && !v->codes)
    nib_onnx_unsupported(n, "input %zu '%.100s' is not a constant", i, v->name);
  else if (v->format != NIB_F32)
    nib_onnx_unsupported(n, "input %zu is %s, only f32 is supported", i,
                         nib_format_get(v->format)->name);
  else if (v->rank != 1 || v->dims[0] != channels)
    nib_onnx_invalid(n, "input %zu is not one number for each of %" PRId64 " channels", i,
                     channels);
  else
    return nib_onnx_float_vector(n, v);
  return NULL;
}

nib_status nib_onnx_import_constant_batch_norm(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  int64_t channels = x->dims[1];
  const float *parts[4]; /* scale, bias, mean, variance */
  for (size_t i = 0; i < 4; ++i)
    if (!(parts[i] = channel_constant(n, i + 1, channels)))
      return n->ctx->failure;
  double epsilon = nib_onnx_attr_float(n, "epsilon", 1e-5f);
  size_t bytes = (size_t)channels * sizeof(float);
  float *gain = (float *)(void *)nib_onnx_fold_alloc(n, bytes);
  float *offset = gain ? (float *)(void *)nib_onnx_fold_alloc(n, bytes) : NULL;
  if (!offset)
    return n->ctx->failure;
  for (int64_t c = 0; c < channels; ++c) {
    double g = parts[0][c] / sqrt(parts[3][c] + epsilon);
    gain[c] = (float)g;
    offset[c] = (float)(parts[1][c] - parts[2][c] * g);
    if (!isfinite(gain[c]) || !isfinite(offset[c]))
      return nib_onnx_invalid(n, "channel %" PRId64 " has no finite scale and offset", c);
  }
  int64_t dims[NIB_MAX_RANK] = {channels, 1, 1, 1, 1, 1, 1, 1};
  int32_t in = nib_onnx_materialize(n, x);
  int32_t k = nib_onnx_emit_constant(n, "gain", NIB_F32, x->rank - 1, dims, gain);
  int32_t b = nib_onnx_emit_constant(n, "offset", NIB_F32, x->rank - 1, dims, offset);
  if (in == NIB_NONE || k == NIB_NONE || b == NIB_NONE)
    return n->ctx->failure;
  int32_t scaled = emit_binary(n, NIB_OP_MUL, in, k, "_scaled");
  return finish(n, scaled == NIB_NONE ? NIB_NONE : emit_binary(n, NIB_OP_ADD, scaled, b, ""));
}

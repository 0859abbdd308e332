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

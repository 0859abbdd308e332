/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Convolutions. The operator runs in NHWC between two transposes; 1-D operators are 2-D ones of
 * height 1. onnx_conv_nd.c has the others. */
#include "onnx_internal.h"

#include <inttypes.h>
#include <string.h>

#define MAX_EXTENT (INT64_C(1) << 30)

static nib_status set_window(nib_onnx_node *n, int32_t node, const nib_onnx_window *w,
                             bool dilations) {
  nib_graph *g = n->ctx->graph;
  nib_status status = nib_graph_set_ints(g, node, NIB_A_STRIDES, w->strides, 2);
  if (status == NIB_OK)
    status = nib_graph_set_ints(g, node, NIB_A_PADS, w->pads, 4);
  if (status == NIB_OK && dilations)
    status = nib_graph_set_ints(g, node, NIB_A_DILATIONS, w->dilations, 2);
  return status == NIB_OK ? NIB_OK : nib_onnx_out_of_memory(n->ctx);
}

/* The NHWC result of `node` becomes the operator's output. */
static nib_status finish(nib_onnx_node *n, int32_t node, int32_t spatial) {
  int32_t out = nib_onnx_from_nhwc(n, n->ctx->graph->nodes[node].out, spatial);
  return out == NIB_NONE ? n->ctx->failure : nib_onnx_set_result(n, out);
}

/* Input, filter and bias of a convolution. */
typedef struct conv_operands {
  nib_onnx_value *x, *w, *bias;
  int32_t spatial;
  int64_t filter_dims[4]; /* as 2-D: [w0, w1, kh, kw] */
} conv_operands;

static nib_status read_conv(nib_onnx_node *n, conv_operands *c) {
  c->x = nib_onnx_input(n, 0);
  c->w = nib_onnx_input(n, 1);
  c->bias = nib_onnx_input(n, 2);
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, c->x));
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, c->w));
  c->spatial = c->x->rank - 2;
  if (c->spatial < 1 || c->w->rank != c->x->rank)
    return nib_onnx_invalid(n, "its input has rank %d, its filter rank %d", c->x->rank, c->w->rank);
  bool flat = c->spatial == 1;
  const int64_t dims[] = {c->w->dims[0], c->w->dims[1], flat ? 1 : c->w->dims[2],
                          flat ? c->w->dims[2] : c->w->dims[3]};
  memcpy(c->filter_dims, dims, sizeof dims);
  if (c->bias)
    NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, c->bias));
  return NIB_OK;
}

static nib_status check_bias(nib_onnx_node *n, const nib_onnx_value *bias, int64_t channels) {
  if (bias && (bias->rank != 1 || bias->dims[0] != channels))
    return nib_onnx_invalid(n, "its bias is not one number for each of %" PRId64 " channels",
                            channels);
  return NIB_OK;
}

/* Graph tensors of the operands, the filter permuted. */
static bool place_operands(nib_onnx_node *n, const conv_operands *c, const int64_t *perm,
                           int32_t *in, int32_t *out_count) {
  *out_count = c->bias ? 3 : 2;
  in[0] = nib_onnx_materialize(n, c->x);
  in[0] = in[0] == NIB_NONE ? NIB_NONE : nib_onnx_to_nhwc(n, in[0]);
  if (in[0] == NIB_NONE)
    return false;
  in[1] = nib_onnx_materialize_permuted(n, c->w, c->filter_dims, 4, perm);
  if (in[1] == NIB_NONE)
    return false;
  in[2] = c->bias ? nib_onnx_materialize(n, c->bias) : NIB_NONE;
  return !c->bias || in[2] != NIB_NONE;
}

/* Whether input and filter of more than two spatial dimensions, or of another type than f32. */
static bool is_beyond_plane(nib_onnx_node *n) {
  return nib_onnx_input(n, 0)->rank > 4 || nib_onnx_input(n, 0)->format != NIB_F32;
}

nib_status nib_onnx_import_conv(nib_onnx_node *n) {
  static const int64_t conv_perm[] = {0, 2, 3, 1}, depthwise_perm[] = {1, 2, 3, 0};
  conv_operands c;
  if (is_beyond_plane(n))
    return nib_onnx_import_conv_nd(n);
  NIB_RETURN_IF_ERROR(read_conv(n, &c));
  int64_t channels = c.x->dims[1], out_channels = c.w->dims[0];
  int64_t groups = nib_onnx_attr_int(n, "group", 1);
  if (groups < 1 || groups > channels || channels % groups || out_channels % groups ||
      c.w->dims[1] != channels / groups)
    return nib_onnx_invalid(n,
                            "%" PRId64 " channels in %" PRId64
                            " groups do not fit a filter of %" PRId64 " x %" PRId64,
                            channels, groups, out_channels, c.w->dims[1]);
  NIB_RETURN_IF_ERROR(check_bias(n, c.bias, out_channels));
  nib_onnx_window w;
  NIB_RETURN_IF_ERROR(nib_onnx_read_window(n, c.x->dims + 2, c.spatial, c.w->dims + 2, &w));
  bool depthwise = groups == channels && groups > 1;
  int32_t in[3], n_in;
  if (!place_operands(n, &c, depthwise ? depthwise_perm : conv_perm, in, &n_in))
    return n->ctx->failure;
  const int64_t dims[] = {c.x->dims[0], w.out[0], w.out[1], out_channels};
  int32_t node = nib_onnx_emit(n, depthwise ? NIB_OP_DEPTHWISE_CONV2D : NIB_OP_CONV2D, in, n_in,
                               NIB_NONE, 4, dims, "_nhwc");
  if (node == NIB_NONE)
    return n->ctx->failure;
  NIB_RETURN_IF_ERROR(set_window(n, node, &w, true));
  if (!depthwise && groups > 1 &&
      nib_graph_set_int(n->ctx->graph, node, NIB_A_GROUPS, groups) != NIB_OK)
    return nib_onnx_out_of_memory(n->ctx);
  return finish(n, node, c.spatial);
}

/* Pads and size of the result along one dimension of a transposed convolution. */
static nib_status place_transposed(nib_onnx_node *n, const char *auto_pad, int64_t full,
                                   int64_t wanted, int64_t *begin, int64_t *end, int64_t *out) {
  if (wanted > 0) {
    int64_t total = full - wanted;
    *begin = !strcmp(auto_pad, "SAME_UPPER") ? total / 2 : total - total / 2;
    if (total < 0) /* larger than what the windows reach: the rest lies at the end */
      *begin = 0;
    *end = total - *begin;
  } else if (!strcmp(auto_pad, "VALID"))
    *begin = *end = 0;
  *out = full - *begin - *end;
  if (*begin < 0 || *out < 1 || *out > MAX_EXTENT)
    return nib_onnx_unsupported(n, "its pads do not fit its result");
  return NIB_OK;
}

static nib_status read_transposed(nib_onnx_node *n, const conv_operands *c, nib_onnx_window *w) {
  int64_t strides[2], pads[4], extra[2], shape[2], kernel[2];
  int32_t spatial = c->spatial;
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "strides", spatial, 1, strides));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "pads", 2 * spatial, 0, pads));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "output_padding", spatial, 0, extra));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "output_shape", spatial, 0, shape));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "kernel_shape", spatial, 0, kernel));
  const char *auto_pad = nib_onnx_attr_string(n, "auto_pad", "NOTSET");
  bool same = !strncmp(auto_pad, "SAME", 4);
  *w = (nib_onnx_window){
      .spatial = spatial, .kernel = {1, 1}, .strides = {1, 1}, .dilations = {1, 1}, .out = {1, 1}};
  for (int32_t i = 0; i < spatial; ++i) {
    int32_t at = 2 - spatial + i;
    int64_t in = c->x->dims[2 + i], k = c->w->dims[2 + i];
    if (nib_onnx_attr(n, "kernel_shape") && kernel[i] != k)
      return nib_onnx_invalid(n, "kernel_shape differs from the shape of its filter");
    if (strides[i] < 1 || strides[i] > MAX_EXTENT || in > MAX_EXTENT || k > MAX_EXTENT ||
        extra[i] < 0 || extra[i] > MAX_EXTENT || pads[i] < 0 || pads[spatial + i] < 0 ||
        pads[i] > MAX_EXTENT || pads[spatial + i] > MAX_EXTENT)
      return nib_onnx_invalid(n, "its strides or pads are out of range");
    w->kernel[at] = k;
    w->strides[at] = strides[i];
    w->pads[at] = pads[i];
    w->pads[2 + at] = pads[spatial + i];
    int64_t full = strides[i] * (in - 1) + k + extra[i];
    int64_t wanted = shape[i] > 0 ? shape[i] : same ? in * strides[i] : 0;
    NIB_RETURN_IF_ERROR(
        place_transposed(n, auto_pad, full, wanted, &w->pads[at], &w->pads[2 + at], &w->out[at]));
    w->pads[2 + at] -= extra[i]; /* negative: rows that no window reaches */
  }
  return NIB_OK;
}

static bool is_dilated(const nib_onnx_node *n) {
  const Onnx__AttributeProto *a = nib_onnx_attr(n, "dilations");
  bool any = false;
  for (size_t i = 0; a && i < a->n_ints; ++i)
    any |= a->ints[i] != 1;
  return any;
}

nib_status nib_onnx_import_conv_transpose(nib_onnx_node *n) {
  static const int64_t perm[] = {1, 2, 3, 0};
  conv_operands c;
  if (is_beyond_plane(n) || nib_onnx_attr_int(n, "group", 1) != 1 || is_dilated(n))
    return nib_onnx_import_conv_transpose_nd(n);
  NIB_RETURN_IF_ERROR(read_conv(n, &c));
  if (c.w->dims[0] != c.x->dims[1])
    return nib_onnx_invalid(n, "its filter is for %" PRId64 " channels, its input has %" PRId64,
                            c.w->dims[0], c.x->dims[1]);
  NIB_RETURN_IF_ERROR(check_bias(n, c.bias, c.w->dims[1]));
  nib_onnx_window w;
  NIB_RETURN_IF_ERROR(read_transposed(n, &c, &w));
  int32_t in[3], n_in;
  if (!place_operands(n, &c, perm, in, &n_in))
    return n->ctx->failure;
  const int64_t dims[] = {c.x->dims[0], w.out[0], w.out[1], c.w->dims[1]};
  int32_t node = nib_onnx_emit(n, NIB_OP_TRANSPOSE_CONV2D, in, n_in, NIB_NONE, 4, dims, "_nhwc");
  if (node == NIB_NONE)
    return n->ctx->failure;
  NIB_RETURN_IF_ERROR(set_window(n, node, &w, false));
  return finish(n, node, c.spatial);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Convolutions and pooling. The operator runs in NHWC between two transposes; 1-D operators are 2-D
 * ones of height 1. */
#include "onnx_internal.h"

#include <inttypes.h>
#include <string.h>

#define MAX_EXTENT (INT64_C(1) << 30)

static int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

/* Padding and size along one dimension: `begin` and `end` come in as the file says. */
static nib_status place_window(nib_onnx_node *n, const char *auto_pad, int64_t in, int64_t extent,
                               int64_t stride, bool ceil_mode, int64_t *begin, int64_t *end,
                               int64_t *out, bool *grown) {
  bool same_upper = !strcmp(auto_pad, "SAME_UPPER"), same_lower = !strcmp(auto_pad, "SAME_LOWER");
  if (same_upper || same_lower) {
    *out = divide_up(in, stride);
    int64_t total = (*out - 1) * stride + extent - in;
    total = total < 0 ? 0 : total;
    *begin = same_upper ? total / 2 : total - total / 2;
    *end = total - *begin;
    return NIB_OK;
  }
  if (!strcmp(auto_pad, "VALID"))
    *begin = *end = 0;
  else if (strcmp(auto_pad, "NOTSET"))
    return nib_onnx_invalid(n, "auto_pad '%.40s' does not exist", auto_pad);
  int64_t room = in + *begin + *end - extent;
  if (room < 0)
    return nib_onnx_invalid(n, "the kernel spans %" PRId64 " elements, its padded input has %" PRId64,
                            extent, in + *begin + *end);
  *out = room / stride + 1;
  if (ceil_mode && room % stride) {
    /* One more window, unless it would begin in the padding behind the input. */
    if (*out * stride < in + *begin) {
      *end += stride - room % stride;
      *out += 1;
      *grown = true;
    }
  }
  return NIB_OK;
}

nib_status nib_onnx_read_window(nib_onnx_node *n, const int64_t *in, int32_t spatial,
                                const int64_t *kernel_if_absent, nib_onnx_window *w) {
  if (spatial < 1 || spatial > 2)
    return nib_onnx_unsupported(n, "%d spatial dimensions, only 1 and 2 are supported", spatial);
  int64_t kernel[2], strides[2], dilations[2], pads[4];
  if (!kernel_if_absent && !nib_onnx_attr(n, "kernel_shape"))
    return nib_onnx_invalid(n, "it has no kernel_shape");
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "kernel_shape", spatial, 0, kernel));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "strides", spatial, 1, strides));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "dilations", spatial, 1, dilations));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "pads", 2 * spatial, 0, pads));
  const char *auto_pad = nib_onnx_attr_string(n, "auto_pad", "NOTSET");
  bool ceil_mode = nib_onnx_attr_int(n, "ceil_mode", 0) != 0;
  *w = (nib_onnx_window){.spatial = spatial,
                         .kernel = {1, 1},
                         .strides = {1, 1},
                         .dilations = {1, 1},
                         .out = {1, 1}};
  for (int32_t i = 0; i < spatial; ++i) {
    int32_t at = 2 - spatial + i;
    if (!nib_onnx_attr(n, "kernel_shape"))
      kernel[i] = kernel_if_absent[i];
    else if (kernel_if_absent && kernel[i] != kernel_if_absent[i])
      return nib_onnx_invalid(n, "kernel_shape differs from the shape of its filter");
    if (kernel[i] < 1 || kernel[i] > MAX_EXTENT || strides[i] < 1 || strides[i] > MAX_EXTENT ||
        dilations[i] < 1 || dilations[i] > MAX_EXTENT || in[i] > MAX_EXTENT)
      return nib_onnx_invalid(n, "its kernel, strides or dilations are out of range");
    if (pads[i] < 0 || pads[spatial + i] < 0)
      return nib_onnx_unsupported(n, "negative pads");
    if (pads[i] > MAX_EXTENT || pads[spatial + i] > MAX_EXTENT)
      return nib_onnx_invalid(n, "its pads are out of range");
    w->kernel[at] = kernel[i];
    w->strides[at] = strides[i];
    w->dilations[at] = dilations[i];
    w->pads[at] = pads[i];
    w->pads[2 + at] = pads[spatial + i];
    NIB_RETURN_IF_ERROR(place_window(n, auto_pad, in[i], (kernel[i] - 1) * dilations[i] + 1,
                                     strides[i], ceil_mode, &w->pads[at], &w->pads[2 + at],
                                     &w->out[at], &w->grown));
  }
  return NIB_OK;
}

static nib_status set_window(nib_onnx_node *n, int32_t node, const nib_onnx_window *w, bool kernel,
                             bool dilations) {
  nib_graph *g = n->ctx->graph;
  nib_status status = nib_graph_set_ints(g, node, NIB_A_STRIDES, w->strides, 2);
  if (status == NIB_OK)
    status = nib_graph_set_ints(g, node, NIB_A_PADS, w->pads, 4);
  if (status == NIB_OK && kernel)
    status = nib_graph_set_ints(g, node, NIB_A_KERNEL, w->kernel, 2);
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
  if (c->spatial > 2)
    return nib_onnx_unsupported(n, "%d spatial dimensions, only 1 and 2 are supported", c->spatial);
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

nib_status nib_onnx_import_conv(nib_onnx_node *n) {
  static const int64_t conv_perm[] = {0, 2, 3, 1}, depthwise_perm[] = {1, 2, 3, 0};
  conv_operands c;
  NIB_RETURN_IF_ERROR(read_conv(n, &c));
  int64_t channels = c.x->dims[1], out_channels = c.w->dims[0];
  int64_t groups = nib_onnx_attr_int(n, "group", 1);
  if (groups < 1 || groups > channels || channels % groups || out_channels % groups ||
      c.w->dims[1] != channels / groups)
    return nib_onnx_invalid(n,
                            "%" PRId64 " channels in %" PRId64 " groups do not fit a filter of %" PRId64
                            " x %" PRId64,
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
  NIB_RETURN_IF_ERROR(set_window(n, node, &w, false, true));
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
  int64_t strides[2], dilations[2], pads[4], extra[2], shape[2], kernel[2];
  int32_t spatial = c->spatial;
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "strides", spatial, 1, strides));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "dilations", spatial, 1, dilations));
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
    if (dilations[i] != 1)
      return nib_onnx_unsupported(n, "dilations");
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
    NIB_RETURN_IF_ERROR(place_transposed(n, auto_pad, full, wanted, &w->pads[at], &w->pads[2 + at],
                                         &w->out[at]));
    w->pads[2 + at] -= extra[i]; /* negative: rows that no window reaches */
  }
  return NIB_OK;
}

nib_status nib_onnx_import_conv_transpose(nib_onnx_node *n) {
  static const int64_t perm[] = {1, 2, 3, 0};
  conv_operands c;
  NIB_RETURN_IF_ERROR(read_conv(n, &c));
  if (nib_onnx_attr_int(n, "group", 1) != 1)
    return nib_onnx_unsupported(n, "groups");
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
  int32_t node =
      nib_onnx_emit(n, NIB_OP_TRANSPOSE_CONV2D, in, n_in, NIB_NONE, 4, dims, "_nhwc");
  if (node == NIB_NONE)
    return n->ctx->failure;
  NIB_RETURN_IF_ERROR(set_window(n, node, &w, false, false));
  return finish(n, node, c.spatial);
}

/* The pooling operator `op` over the window; `like` as nib_onnx_emit. */
static nib_status emit_pool(nib_onnx_node *n, nib_op op, const nib_onnx_window *w,
                            nib_onnx_value *x, bool include_pad) {
  for (int32_t i = 0; i < 2; ++i)
    if (w->pads[i] >= w->kernel[i] || w->pads[2 + i] >= w->kernel[i] + w->strides[i])
      return nib_onnx_unsupported(n, "pads as large as its kernel");
  int32_t in = nib_onnx_materialize(n, x);
  in = in == NIB_NONE ? NIB_NONE : nib_onnx_to_nhwc(n, in);
  if (in == NIB_NONE)
    return n->ctx->failure;
  const int64_t dims[] = {x->dims[0], w->out[0], w->out[1], x->dims[1]};
  int32_t node = nib_onnx_emit(n, op, &in, 1, in, 4, dims, "_nhwc");
  if (node == NIB_NONE)
    return n->ctx->failure;
  NIB_RETURN_IF_ERROR(set_window(n, node, w, true, false));
  if (op == NIB_OP_AVG_POOL2D &&
      nib_graph_set_int(n->ctx->graph, node, NIB_A_COUNT_INCLUDE_PAD, include_pad) != NIB_OK)
    return nib_onnx_out_of_memory(n->ctx);
  return finish(n, node, x->rank - 2);
}

static nib_status read_pool(nib_onnx_node *n, nib_onnx_value *x, nib_onnx_window *w) {
  if (x->rank < 3)
    return nib_onnx_invalid(n, "its input has rank %d", x->rank);
  NIB_RETURN_IF_ERROR(nib_onnx_read_window(n, x->dims + 2, x->rank - 2, NULL, w));
  if (w->dilations[0] != 1 || w->dilations[1] != 1)
    return nib_onnx_unsupported(n, "dilations");
  return NIB_OK;
}

nib_status nib_onnx_import_max_pool(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  if (x->format != NIB_F32 && x->format != NIB_I8 && x->format != NIB_U8)
    return nib_onnx_unsupported(n, "type %s", nib_format_get(x->format)->name);
  NIB_RETURN_IF_ERROR(nib_onnx_require_outputs_unused(n, 1));
  nib_onnx_window w;
  NIB_RETURN_IF_ERROR(read_pool(n, x, &w));
  return emit_pool(n, NIB_OP_MAX_POOL2D, &w, x, false);
}

nib_status nib_onnx_import_average_pool(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, x));
  bool include_pad = nib_onnx_attr_int(n, "count_include_pad", 0) != 0;
  nib_onnx_window w;
  NIB_RETURN_IF_ERROR(read_pool(n, x, &w));
  if (w.grown && include_pad)
    return nib_onnx_unsupported(n, "count_include_pad with a window that ceil_mode adds");
  return emit_pool(n, NIB_OP_AVG_POOL2D, &w, x, include_pad);
}

nib_status nib_onnx_import_global_pool(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, x));
  if (x->rank < 3)
    return nib_onnx_invalid(n, "its input has rank %d", x->rank);
  if (x->rank > 4)
    return nib_onnx_unsupported(n, "%d spatial dimensions, only 1 and 2 are supported",
                                x->rank - 2);
  bool flat = x->rank == 3;
  if (!strcmp(n->proto->op_type, "GlobalMaxPool")) {
    nib_onnx_window w = {.spatial = x->rank - 2,
                         .kernel = {flat ? 1 : x->dims[2], flat ? x->dims[2] : x->dims[3]},
                         .strides = {1, 1},
                         .dilations = {1, 1},
                         .out = {1, 1}};
    return emit_pool(n, NIB_OP_MAX_POOL2D, &w, x, false);
  }
  static const int64_t axes[] = {1, 2};
  nib_graph *g = n->ctx->graph;
  int32_t in = nib_onnx_materialize(n, x);
  in = in == NIB_NONE ? NIB_NONE : nib_onnx_to_nhwc(n, in);
  const int64_t dims[] = {x->dims[0], 1, 1, x->dims[1]};
  int32_t node = in == NIB_NONE
                     ? NIB_NONE
                     : nib_onnx_emit(n, NIB_OP_MEAN, &in, 1, NIB_NONE, 4, dims, "_nhwc");
  if (node == NIB_NONE)
    return n->ctx->failure;
  if (nib_graph_set_ints(g, node, NIB_A_AXES, axes, 2) != NIB_OK ||
      nib_graph_set_int(g, node, NIB_A_KEEP_DIMS, 1) != NIB_OK)
    return nib_onnx_out_of_memory(n->ctx);
  return finish(n, node, x->rank - 2);
}

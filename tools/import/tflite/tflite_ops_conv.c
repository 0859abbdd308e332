/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Convolutions, fully connected layers and pooling. Padding SAME and VALID become explicit amounts.
 */
#include "import/tflite/tflite_context.h"

#include <string.h>

#define FLOAT_OR_QUANT                                                                             \
  (UINT64_C(1) << NIB_F32 | UINT64_C(1) << NIB_I8 | UINT64_C(1) << NIB_U8 | UINT64_C(1) << NIB_I16)

typedef enum conv_kind { CONV, DEPTHWISE, TRANSPOSED } conv_kind;

/* Where each kind of convolution keeps things. */
static const struct conv_layout {
  nib_op op;
  uint32_t input, filter, bias;                                          /* operand slots */
  int stride_w, stride_h, dilation_w, dilation_h, activation, bias_type; /* fields, -1: none */
  int32_t channel_dim;                                                   /* of the filter */
} layouts[] = {
    [CONV] = {NIB_OP_CONV2D, 0, 1, 2, TFL_CONV_STRIDE_W, TFL_CONV_STRIDE_H, TFL_CONV_DILATION_W,
              TFL_CONV_DILATION_H, TFL_CONV_ACTIVATION, TFL_CONV_BIAS_TYPE, 0},
    [DEPTHWISE] = {NIB_OP_DEPTHWISE_CONV2D, 0, 1, 2, TFL_CONV_STRIDE_W, TFL_CONV_STRIDE_H,
                   TFL_DEPTHWISE_DILATION_W, TFL_DEPTHWISE_DILATION_H, TFL_DEPTHWISE_ACTIVATION, -1,
                   3},
    [TRANSPOSED] = {NIB_OP_TRANSPOSE_CONV2D, 2, 1, 3, TFL_TCONV_STRIDE_W, TFL_TCONV_STRIDE_H, -1,
                    -1, TFL_TCONV_ACTIVATION, TFL_TCONV_BIAS_TYPE, 0},
};

/* What the options say about a window that slides over an image. */
typedef struct window {
  int64_t kernel[2], strides[2], dilations[2], pads[4]; /* h, w; top, left, bottom, right */
  int padding;
} window;

static nib_status check_window(nib_tfl_context *c, const window *w) {
  NIB_RETURN_IF_ERROR(nib_tfl_check(c));
  for (int i = 0; i < 2; ++i)
    if (w->kernel[i] < 1 || w->strides[i] < 1 || w->dilations[i] < 1)
      return nib_tfl_invalid(c,
                             "kernel %lldx%lld, strides %lldx%lld, dilations %lldx%lld: each must "
                             "be positive",
                             (long long)w->kernel[0], (long long)w->kernel[1],
                             (long long)w->strides[0], (long long)w->strides[1],
                             (long long)w->dilations[0], (long long)w->dilations[1]);
  if (w->padding != TFL_PADDING_SAME && w->padding != TFL_PADDING_VALID)
    return nib_tfl_invalid(c, "unknown padding %d", w->padding);
  return NIB_OK;
}

/* SAME: as many outputs as strides fit in `size`; the odd unit of padding goes to the end. All
 * values fit in 32 bits, so 64-bit arithmetic cannot overflow. */
static int64_t same_padding(int64_t size, int64_t kernel, int64_t stride, int64_t dilation) {
  int64_t outputs = (size - 1) / stride + 1;
  int64_t total = (outputs - 1) * stride + (kernel - 1) * dilation + 1 - size;
  return total > 0 ? total : 0;
}

static void set_pads(window *w, const int64_t size[2]) {
  for (int i = 0; i < 2; ++i) {
    int64_t total = w->padding == TFL_PADDING_SAME
                        ? same_padding(size[i], w->kernel[i], w->strides[i], w->dilations[i])
                        : 0;
    w->pads[i] = total / 2;
    w->pads[i + 2] = total - total / 2;
  }
}

static nib_status set_window(nib_tfl_context *c, int32_t node, const window *w, bool dilations) {
  nib_graph *g = c->graph;
  NIB_RETURN_IF_ERROR(nib_graph_set_ints(g, node, NIB_A_STRIDES, w->strides, 2));
  if (dilations)
    NIB_RETURN_IF_ERROR(nib_graph_set_ints(g, node, NIB_A_DILATIONS, w->dilations, 2));
  return nib_graph_set_ints(g, node, NIB_A_PADS, w->pads, 4);
}

static nib_status set_activation(nib_tfl_context *c, int32_t node, const char *activation) {
  if (strcmp(activation, "none") == 0)
    return NIB_OK;
  return nib_graph_set_string(c->graph, node, NIB_A_ACTIVATION, activation);
}

/* Convolutions with a 64-bit accumulator round in their own way (fully connected does not); an
 * override by the caller to another family of rounding (not TFLite's) replaces it as well. */
static nib_status set_rounding(nib_tfl_context *c, int32_t node, bool wide) {
  if (!wide || strncmp(c->graph->rounding, "tflite", 6) != 0)
    return NIB_OK;
  return nib_graph_set_string(c->graph, node, NIB_A_ROUNDING, "tflite-int64");
}

static nib_status check_rank4(nib_tfl_context *c, const nib_tfl_tensor *t) {
  if (t->rank != 4)
    return nib_tfl_invalid(c, "tensor '%s' has %d dimensions, not 4", t->name, t->rank);
  for (int i = 0; i < 4; ++i)
    if (t->dims[i] < 1)
      return nib_tfl_invalid(c, "tensor '%s' has an empty dimension", t->name);
  return NIB_OK;
}

static void read_window(const nib_tfl_context *c, const struct conv_layout *l,
                        const nib_tfl_tensor *filter, window *w) {
  const nib_fb_table *o = &c->op_options;
  *w = (window){.kernel = {filter->dims[1], filter->dims[2]},
                .strides = {nib_fb_i32(o, l->stride_h, 0), nib_fb_i32(o, l->stride_w, 0)},
                .dilations = {1, 1},
                .padding = nib_fb_i8(o, TFL_CONV_PADDING, TFL_PADDING_SAME)};
  if (l->dilation_h >= 0) {
    w->dilations[0] = nib_fb_i32(o, l->dilation_h, 1);
    w->dilations[1] = nib_fb_i32(o, l->dilation_w, 1);
  }
}

/* Transposed: the padding is that of the forward convolution from the result's size; what remains
 * at the bottom and right may be negative (rows that no window reaches). */
static void set_transposed_pads(window *w, const nib_tfl_tensor *in, const nib_tfl_tensor *out) {
  set_pads(w, &out->dims[1]);
  for (int i = 0; i < 2; ++i)
    w->pads[i + 2] =
        (in->dims[1 + i] - 1) * w->strides[i] + w->kernel[i] - w->pads[i] - out->dims[1 + i];
}

static nib_status count_groups(nib_tfl_context *c, const nib_tfl_tensor *in,
                               const nib_tfl_tensor *filter, int64_t *out_groups) {
  *out_groups = filter->dims[3] ? in->dims[3] / filter->dims[3] : 0;
  if (*out_groups < 1 || *out_groups * filter->dims[3] != in->dims[3] ||
      filter->dims[0] % *out_groups != 0)
    return nib_tfl_invalid(c, "its filter of %lldx…x%lld does not fit %lld input channels",
                           (long long)filter->dims[0], (long long)filter->dims[3],
                           (long long)in->dims[3]);
  return NIB_OK;
}

static nib_status check_multiplier(nib_tfl_context *c, const nib_tfl_tensor *in,
                                   const nib_tfl_tensor *filter) {
  int64_t stated = nib_fb_i32(&c->op_options, TFL_DEPTHWISE_MULTIPLIER, 0);
  if (filter->dims[3] % in->dims[3] != 0 || (stated > 0 && in->dims[3] * stated != filter->dims[3]))
    return nib_tfl_invalid(c, "%lld filter channels for %lld input channels and multiplier %lld",
                           (long long)filter->dims[3], (long long)in->dims[3], (long long)stated);
  return NIB_OK;
}

static nib_status convert_conv(nib_tfl_context *c, conv_kind kind) {
  const struct conv_layout *l = &layouts[kind];
  nib_tfl_tensor in, filter, out;
  NIB_RETURN_IF_ERROR(nib_tfl_input(c, l->input, &in));
  NIB_RETURN_IF_ERROR(nib_tfl_input(c, l->filter, &filter));
  NIB_RETURN_IF_ERROR(nib_tfl_output(c, &out));
  NIB_RETURN_IF_ERROR(check_rank4(c, &in));
  NIB_RETURN_IF_ERROR(check_rank4(c, &filter));
  NIB_RETURN_IF_ERROR(check_rank4(c, &out));
  window w;
  read_window(c, l, &filter, &w);
  NIB_RETURN_IF_ERROR(check_window(c, &w));
  int64_t groups = 1;
  if (kind == CONV)
    NIB_RETURN_IF_ERROR(count_groups(c, &in, &filter, &groups));
  if (kind == DEPTHWISE)
    NIB_RETURN_IF_ERROR(check_multiplier(c, &in, &filter));
  if (kind == TRANSPOSED)
    set_transposed_pads(&w, &in, &out);
  else
    set_pads(&w, &in.dims[1]);

  const char *activation;
  bool wide;
  int32_t id[4] = {NIB_NONE, NIB_NONE, NIB_NONE, NIB_NONE}, result, node;
  nib_tfl_hybrid h = {.result = &out, .bias_slot = l->bias, .bias_type_field = l->bias_type};
  const bool is_hybrid = kind == CONV && nib_tfl_is_hybrid(&in, &filter);
  NIB_RETURN_IF_ERROR(nib_tfl_check_activation(c, l->activation, &activation));
  NIB_RETURN_IF_ERROR(nib_tfl_value(c, &in, &id[0]));
  if (is_hybrid) {
    NIB_RETURN_IF_ERROR(
        nib_tfl_hybrid_begin(c, &h, &filter, in.dims[0], id[0], out.rank, out.dims, id));
  } else {
    NIB_RETURN_IF_ERROR(
        nib_tfl_filter(c, &filter, in.format, l->channel_dim, false, &id[1], &id[3]));
    NIB_RETURN_IF_ERROR(nib_tfl_bias(c, l->bias, in.format, filter.dims[l->channel_dim],
                                     l->bias_type, &id[2], &wide));
    NIB_RETURN_IF_ERROR(nib_tfl_result(c, &out, &result));
  }
  NIB_RETURN_IF_ERROR(nib_tfl_node(c, l->op, id, 4, is_hybrid ? h.sum : result, &node));
  NIB_RETURN_IF_ERROR(set_window(c, node, &w, kind != TRANSPOSED));
  if (kind == CONV)
    NIB_RETURN_IF_ERROR(nib_graph_set_int(c->graph, node, NIB_A_GROUPS, groups));
  if (is_hybrid)
    return nib_tfl_hybrid_result(c, &h, out.rank, out.dims, activation, &result);
  NIB_RETURN_IF_ERROR(set_rounding(c, node, wide));
  return set_activation(c, node, activation);
}

static nib_status convert_conv_2d(nib_tfl_context *c) { return convert_conv(c, CONV); }

static nib_status convert_depthwise(nib_tfl_context *c) { return convert_conv(c, DEPTHWISE); }

/* The result's static shape is used. The shape operand says the same: it is checked when constant,
 * and stays an unread input when the model leaves it to the caller. */
static nib_status convert_transpose_conv(nib_tfl_context *c) {
  int64_t shape[NIB_MAX_RANK * 2];
  int32_t n;
  nib_tfl_tensor wanted, out;
  NIB_RETURN_IF_ERROR(nib_tfl_input(c, 0, &wanted));
  NIB_RETURN_IF_ERROR(nib_tfl_output(c, &out));
  if (!wanted.data)
    return convert_conv(c, TRANSPOSED);
  NIB_RETURN_IF_ERROR(nib_tfl_int_list(c, 0, shape, &n));
  bool same = n == out.rank;
  for (int32_t i = 0; same && i < n; ++i)
    same = shape[i] == out.dims[i];
  if (!same)
    return nib_tfl_invalid(c, "its shape operand differs from the shape of its result");
  return convert_conv(c, TRANSPOSED);
}

/* `id` seen as [rows, columns], through a reshape if it has another shape. */
static nib_status flatten(nib_tfl_context *c, const nib_tfl_tensor *t, const int64_t dims[2],
                          int32_t *id) {
  if (t->rank == 2 && t->dims[0] == dims[0])
    return NIB_OK;
  int32_t flat, node;
  NIB_RETURN_IF_ERROR(nib_tfl_temporary(c, t, "rows", 2, dims, &flat));
  NIB_RETURN_IF_ERROR(nib_tfl_node(c, NIB_OP_RESHAPE, id, 1, flat, &node));
  *id = flat;
  return NIB_OK;
}

static nib_status check_dense(nib_tfl_context *c, const nib_tfl_tensor *in,
                              const nib_tfl_tensor *filter, const nib_tfl_tensor *out) {
  if (nib_fb_i8(&c->op_options, TFL_FC_WEIGHTS_FORMAT, 0) != 0)
    return nib_tfl_unsupported(c, "its weights are stored in a shuffled format");
  if (filter->rank != 2 || filter->elems == 0)
    return nib_tfl_invalid(c, "its filter '%s' is not a matrix", filter->name);
  if (in->elems % filter->dims[1] != 0 ||
      out->elems != in->elems / filter->dims[1] * filter->dims[0])
    return nib_tfl_invalid(c, "%lld inputs and %lld outputs do not fit a filter of %lldx%lld",
                           (long long)in->elems, (long long)out->elems, (long long)filter->dims[0],
                           (long long)filter->dims[1]);
  return NIB_OK;
}

/* A dense layer of float activations and int8 weights; every row is quantized by itself. */
static nib_status convert_hybrid_dense(nib_tfl_context *c, const nib_tfl_tensor *in,
                                       const nib_tfl_tensor *filter, const nib_tfl_tensor *out,
                                       const char *activation) {
  const int64_t rows = in->elems / filter->dims[1];
  const int64_t in_dims[2] = {rows, filter->dims[1]}, out_dims[2] = {rows, filter->dims[0]};
  const bool reshaped = out->rank != 2 || out->dims[0] != rows;
  nib_tfl_hybrid h = {
      .result = reshaped ? NULL : out, .bias_slot = 2, .bias_type_field = TFL_FC_BIAS_TYPE};
  int32_t id[4] = {NIB_NONE, NIB_NONE, NIB_NONE, NIB_NONE}, matrix, result, node;
  if (nib_fb_u8(&c->op_options, TFL_FC_ASYMMETRIC, 0))
    return nib_tfl_unsupported(c, "hybrid arithmetic with asymmetrically quantized activations");
  NIB_RETURN_IF_ERROR(nib_tfl_value(c, in, &id[0]));
  NIB_RETURN_IF_ERROR(flatten(c, in, in_dims, &id[0]));
  NIB_RETURN_IF_ERROR(nib_tfl_hybrid_begin(c, &h, filter, rows, id[0], 2, out_dims, id));
  NIB_RETURN_IF_ERROR(nib_tfl_node(c, NIB_OP_FULLY_CONNECTED, id, 4, h.sum, &node));
  NIB_RETURN_IF_ERROR(nib_tfl_hybrid_result(c, &h, 2, out_dims, activation, &matrix));
  if (!reshaped)
    return NIB_OK;
  NIB_RETURN_IF_ERROR(nib_tfl_result(c, out, &result));
  return nib_tfl_node(c, NIB_OP_RESHAPE, &matrix, 1, result, &node);
}

static nib_status convert_fully_connected(nib_tfl_context *c) {
  nib_tfl_tensor in, filter, out;
  NIB_RETURN_IF_ERROR(nib_tfl_input(c, 0, &in));
  NIB_RETURN_IF_ERROR(nib_tfl_input(c, 1, &filter));
  NIB_RETURN_IF_ERROR(nib_tfl_output(c, &out));
  NIB_RETURN_IF_ERROR(check_dense(c, &in, &filter, &out));
  const char *activation;
  bool wide;
  int32_t id[4], result, node;
  NIB_RETURN_IF_ERROR(nib_tfl_check_activation(c, TFL_FC_ACTIVATION, &activation));
  if (nib_tfl_is_hybrid(&in, &filter))
    return convert_hybrid_dense(c, &in, &filter, &out, activation);
  NIB_RETURN_IF_ERROR(nib_tfl_value(c, &in, &id[0]));
  NIB_RETURN_IF_ERROR(nib_tfl_filter(c, &filter, in.format, 0, true, &id[1], &id[3]));
  NIB_RETURN_IF_ERROR(
      nib_tfl_bias(c, 2, in.format, filter.dims[0], TFL_FC_BIAS_TYPE, &id[2], &wide));
  NIB_RETURN_IF_ERROR(nib_tfl_result(c, &out, &result));

  int64_t rows = in.elems / filter.dims[1];
  const int64_t in_dims[2] = {rows, filter.dims[1]}, out_dims[2] = {rows, filter.dims[0]};
  NIB_RETURN_IF_ERROR(flatten(c, &in, in_dims, &id[0]));
  bool reshaped = out.rank != 2 || out.dims[0] != rows;
  int32_t matrix = result;
  if (reshaped)
    NIB_RETURN_IF_ERROR(nib_tfl_temporary(c, &out, "rows", 2, out_dims, &matrix));
  NIB_RETURN_IF_ERROR(nib_tfl_node(c, NIB_OP_FULLY_CONNECTED, id, 4, matrix, &node));
  NIB_RETURN_IF_ERROR(set_activation(c, node, activation));
  return reshaped ? nib_tfl_node(c, NIB_OP_RESHAPE, &matrix, 1, result, &node) : NIB_OK;
}

static nib_status convert_pool(nib_tfl_context *c, nib_op op) {
  nib_tfl_tensor in, out;
  NIB_RETURN_IF_ERROR(nib_tfl_input(c, 0, &in));
  NIB_RETURN_IF_ERROR(nib_tfl_output(c, &out));
  NIB_RETURN_IF_ERROR(check_rank4(c, &in));
  const nib_fb_table *o = &c->op_options;
  window w = {.kernel = {nib_fb_i32(o, TFL_POOL_FILTER_H, 0), nib_fb_i32(o, TFL_POOL_FILTER_W, 0)},
              .strides = {nib_fb_i32(o, TFL_POOL_STRIDE_H, 0), nib_fb_i32(o, TFL_POOL_STRIDE_W, 0)},
              .dilations = {1, 1},
              .padding = nib_fb_i8(o, TFL_POOL_PADDING, TFL_PADDING_SAME)};
  NIB_RETURN_IF_ERROR(check_window(c, &w));
  set_pads(&w, &in.dims[1]);
  const char *activation;
  int32_t id, result, node;
  NIB_RETURN_IF_ERROR(nib_tfl_check_activation(c, TFL_POOL_ACTIVATION, &activation));
  NIB_RETURN_IF_ERROR(nib_tfl_value(c, &in, &id));
  NIB_RETURN_IF_ERROR(nib_tfl_result(c, &out, &result));
  NIB_RETURN_IF_ERROR(nib_tfl_check_same_type(c, id, result));
  NIB_RETURN_IF_ERROR(nib_tfl_node(c, op, &id, 1, result, &node));
  NIB_RETURN_IF_ERROR(nib_graph_set_ints(c->graph, node, NIB_A_KERNEL, w.kernel, 2));
  NIB_RETURN_IF_ERROR(set_window(c, node, &w, false));
  if (op == NIB_OP_AVG_POOL2D)
    NIB_RETURN_IF_ERROR(nib_graph_set_int(c->graph, node, NIB_A_COUNT_INCLUDE_PAD, 0));
  return set_activation(c, node, activation);
}

static nib_status convert_avg_pool(nib_tfl_context *c) {
  return convert_pool(c, NIB_OP_AVG_POOL2D);
}

static nib_status convert_max_pool(nib_tfl_context *c) {
  return convert_pool(c, NIB_OP_MAX_POOL2D);
}

const nib_tfl_op nib_tfl_conv_ops[] = {
    {1, "AVERAGE_POOL_2D", 1, 3, TFL_POOL_2D_OPTIONS, 1, 1, 0, FLOAT_OR_QUANT, convert_avg_pool},
    {3, "CONV_2D", 1, 8, TFL_CONV_2D_OPTIONS, 2, 3, 0, FLOAT_OR_QUANT, convert_conv_2d},
    {4, "DEPTHWISE_CONV_2D", 1, 7, TFL_DEPTHWISE_CONV_2D_OPTIONS, 2, 3, 0, FLOAT_OR_QUANT,
     convert_depthwise},
    {9, "FULLY_CONNECTED", 1, 14, TFL_FULLY_CONNECTED_OPTIONS, 2, 3, 0, FLOAT_OR_QUANT,
     convert_fully_connected},
    {17, "MAX_POOL_2D", 1, 3, TFL_POOL_2D_OPTIONS, 1, 1, 0, FLOAT_OR_QUANT, convert_max_pool},
    {67, "TRANSPOSE_CONV", 1, 5, TFL_TRANSPOSE_CONV_OPTIONS, 3, 4, 2, FLOAT_OR_QUANT,
     convert_transpose_conv},
};
const size_t nib_tfl_n_conv_ops = sizeof nib_tfl_conv_ops / sizeof *nib_tfl_conv_ops;

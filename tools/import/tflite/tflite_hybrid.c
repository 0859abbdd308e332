/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Hybrid arithmetic: float activations, int8 weights with one scale. TensorFlow Lite's kernels
 * quantize the activations when they run, symmetrically and for each batch (each row of a dense
 * layer) by its largest magnitude m: code = round(x * (127 / m)), ties away from zero. The product
 * of the codes is an integer, worth m / 127 times the weights' scale. Here the same steps are
 * operators, so that weights stay int8 and the product is an integer one. */
#include "import/tflite/tflite_context.h"

#include <float.h>

/* A float result of the current operator's making. */
static nib_status step(nib_tfl_context *c, const char *suffix, nib_op op, const int32_t *in,
                       int32_t n_in, nib_format format, int32_t rank, const int64_t *dims,
                       int32_t *out_id) {
  const nib_tfl_tensor plain = {.name = c->name, .format = format};
  int32_t node, out;
  NIB_RETURN_IF_ERROR(nib_tfl_temporary(c, &plain, suffix, rank, dims, &out));
  NIB_RETURN_IF_ERROR(nib_tfl_node(c, op, in, n_in, out, &node));
  *out_id = out; /* only now: it may be the operand */
  return NIB_OK;
}

static nib_status constant(nib_tfl_context *c, const char *suffix, float value, int32_t *out_id) {
  const nib_tfl_tensor plain = {.name = c->name, .format = NIB_F32};
  NIB_RETURN_IF_ERROR(nib_tfl_temporary(c, &plain, suffix, 0, NULL, out_id));
  return nib_graph_set_data(c->graph, *out_id, &value, sizeof value, NIB_DATA_COPY);
}

static nib_status binary(nib_tfl_context *c, const char *suffix, nib_op op, int32_t a, int32_t b,
                         int32_t rank, const int64_t *dims, int32_t *out_id) {
  const int32_t in[] = {a, b};
  return step(c, suffix, op, in, 2, NIB_F32, rank, dims, out_id);
}

/* The largest magnitude of each of `batches` equal parts of x, as [batches, 1, …] of x's rank. It
 * is never 0: a batch of zeros has the codes 0 by any scale. */
static nib_status largest(nib_tfl_context *c, int32_t x, int64_t batches, int32_t rank,
                          int32_t *out_id) {
  const nib_tensor t = c->graph->tensors[x];
  const int64_t row = nib_tensor_elems(&t) / batches, flat[] = {batches, 1, row, 1};
  const int64_t one[] = {batches, 1, 1, 1}, kernel[] = {1, row}, strides[] = {1, 1};
  int32_t id, node, least;
  NIB_RETURN_IF_ERROR(step(c, "magnitude", NIB_OP_ABS, &x, 1, NIB_F32, t.rank, t.dims, &id));
  NIB_RETURN_IF_ERROR(step(c, "batches", NIB_OP_RESHAPE, &id, 1, NIB_F32, 4, flat, &id));
  NIB_RETURN_IF_ERROR(step(c, "largest", NIB_OP_MAX_POOL2D, &id, 1, NIB_F32, 4, one, &id));
  node = c->graph->tensors[id].producer;
  NIB_RETURN_IF_ERROR(nib_graph_set_ints(c->graph, node, NIB_A_KERNEL, kernel, 2));
  NIB_RETURN_IF_ERROR(nib_graph_set_ints(c->graph, node, NIB_A_STRIDES, strides, 2));
  if (rank != 4)
    NIB_RETURN_IF_ERROR(step(c, "rows", NIB_OP_RESHAPE, &id, 1, NIB_F32, rank, one, &id));
  NIB_RETURN_IF_ERROR(constant(c, "least", FLT_MIN, &least));
  return binary(c, "range", NIB_OP_MAXIMUM, id, least, rank, one, out_id);
}

/* i8 codes of the float x, quantized in `batches` equal parts, and what a unit of the product with
 * weights of `weight_scale` is worth in each, [batches, 1, …]. */
static nib_status hybrid_codes(nib_tfl_context *c, int32_t x, int64_t batches, float weight_scale,
                               int32_t *out_codes, int32_t *out_unit) {
  const nib_tensor t = c->graph->tensors[x];
  const int64_t one[] = {batches, 1, 1, 1};
  int32_t range, steps, weights, id, node;
  NIB_RETURN_IF_ERROR(largest(c, x, batches, t.rank, &range));
  NIB_RETURN_IF_ERROR(constant(c, "steps", 127.0f, &steps));
  NIB_RETURN_IF_ERROR(binary(c, "factor", NIB_OP_DIV, steps, range, t.rank, one, &id));
  NIB_RETURN_IF_ERROR(binary(c, "scaled", NIB_OP_MUL, x, id, t.rank, t.dims, &id));
  NIB_RETURN_IF_ERROR(step(c, "codes", NIB_OP_QUANTIZE, &id, 1, NIB_I8, t.rank, t.dims, out_codes));
  nib_graph_set_quant(c->graph, *out_codes, 1.0, 0);
  node = c->graph->tensors[*out_codes].producer;
  NIB_RETURN_IF_ERROR(nib_graph_set_string(c->graph, node, NIB_A_ROUNDING, "nearest-away"));
  NIB_RETURN_IF_ERROR(binary(c, "scale", NIB_OP_DIV, range, steps, t.rank, one, &id));
  NIB_RETURN_IF_ERROR(constant(c, "weight_scale", weight_scale, &weights));
  return binary(c, "unit", NIB_OP_MUL, id, weights, t.rank, one, out_unit);
}

/* Tensors are made in the order of the operators that read or write them, as everywhere. */
nib_status nib_tfl_hybrid_result(nib_tfl_context *c, const nib_tfl_hybrid *h, int32_t rank,
                                 const int64_t *dims, const char *activation, int32_t *out_id) {
  const int64_t one = 1;
  static const float whole = 1.0f;
  const bool biased = nib_tfl_has_input(c, h->bias_slot);
  const nib_tfl_tensor plain = {.name = c->name, .format = NIB_F32};
  int32_t scales, real, product, bias, node;
  bool wide;
  NIB_RETURN_IF_ERROR(nib_tfl_temporary(c, &plain, "one", 1, &one, &scales));
  NIB_RETURN_IF_ERROR(nib_graph_set_data(c->graph, scales, &whole, sizeof whole, NIB_DATA_COPY));
  const int32_t in[] = {h->sum, scales};
  NIB_RETURN_IF_ERROR(step(c, "sum", NIB_OP_DEQUANTIZE, in, 2, NIB_F32, rank, dims, &real));
  const int32_t factors[] = {real, h->unit};
  if (biased)
    NIB_RETURN_IF_ERROR(step(c, "product", NIB_OP_MUL, factors, 2, NIB_F32, rank, dims, &product));
  NIB_RETURN_IF_ERROR(
      nib_tfl_bias(c, h->bias_slot, NIB_F32, dims[rank - 1], h->bias_type_field, &bias, &wide));
  if (h->result)
    NIB_RETURN_IF_ERROR(nib_tfl_result(c, h->result, out_id));
  else
    NIB_RETURN_IF_ERROR(nib_tfl_temporary(c, &plain, "rows", rank, dims, out_id));
  const int32_t terms[] = {product, bias};
  NIB_RETURN_IF_ERROR(biased ? nib_tfl_node(c, NIB_OP_ADD, terms, 2, *out_id, &node)
                             : nib_tfl_node(c, NIB_OP_MUL, factors, 2, *out_id, &node));
  return activation[0] == 'n' ? NIB_OK
                              : nib_graph_set_string(c->graph, node, NIB_A_ACTIVATION, activation);
}

nib_status nib_tfl_hybrid_begin(nib_tfl_context *c, nib_tfl_hybrid *h, const nib_tfl_tensor *filter,
                                int64_t batches, int32_t x, int32_t rank, const int64_t *dims,
                                int32_t *out_operands) {
  if (!filter->data)
    return nib_tfl_unsupported(c, "its filter '%s' is not a constant", filter->name);
  if (filter->scales.count == 0)
    return nib_tfl_invalid(c, "its filter '%s' has no scale", filter->name);
  if (filter->scales.count > 1)
    return nib_tfl_unsupported(c, "hybrid arithmetic with a scale for each channel");
  NIB_RETURN_IF_ERROR(
      hybrid_codes(c, x, batches, nib_fb_f32_at(&filter->scales, 0), &out_operands[0], &h->unit));
  NIB_RETURN_IF_ERROR(nib_tfl_value(c, filter, &out_operands[1]));
  const nib_tensor *w = &c->graph->tensors[out_operands[1]];
  if (w->zero_point != 0)
    return nib_tfl_invalid(c, "its filter '%s' has the zero point %lld", filter->name,
                           (long long)w->zero_point);
  const nib_tfl_tensor plain = {.name = c->name, .format = NIB_I32};
  return nib_tfl_temporary(c, &plain, "accumulator", rank, dims, &h->sum);
}

bool nib_tfl_is_hybrid(const nib_tfl_tensor *in, const nib_tfl_tensor *filter) {
  return in->format == NIB_F32 && filter->format == NIB_I8;
}

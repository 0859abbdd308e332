/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The domain com.microsoft: operators on codes that mean dequantize, the operator in f32, quantize
 * (simplify makes integer operators of them). */
#include "onnx_elementwise.h"
#include "onnx_qlinear.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define LAST NIB_ONNX_LAST_OPSET
#define NONE NIB_OP_COUNT

/* Scale and zero point at inputs `i` and `i` + 1, one of each; an absent zero point is 0. */
static nib_status check_pair(nib_onnx_node *n, size_t i, nib_format codes) {
  const nib_onnx_value *scale = nib_onnx_input(n, i), *zero = nib_onnx_input(n, i + 1);
  if (!scale)
    return nib_onnx_invalid(n, "its input %zu is missing", i);
  NIB_RETURN_IF_ERROR(nib_onnx_check_scale(n, scale));
  if (nib_onnx_elems(scale) != 1 || (zero && nib_onnx_elems(zero) != 1))
    return nib_onnx_invalid(n, "its input %zu has not one scale and one zero point", i);
  if (codes != NIB_I8 && codes != NIB_U8)
    return nib_onnx_unsupported(n, "codes of type %s", nib_format_get(codes)->name);
  if (zero && zero->format != codes)
    return nib_onnx_invalid(n, "its zero point is %s, its codes are %s",
                            nib_format_get(zero->format)->name, nib_format_get(codes)->name);
  return NIB_OK;
}

/* Whether a type can hold scale and zero point: they are constants. */
static bool is_static(nib_onnx_node *n, size_t i) {
  const nib_onnx_value *zero = nib_onnx_input(n, i + 1);
  return nib_onnx_input(n, i)->data && (!zero || zero->data);
}

static int64_t zero_of(nib_onnx_node *n, size_t i) {
  const nib_onnx_value *zero = nib_onnx_input(n, i);
  return zero ? (int64_t)nib_onnx_number_of(zero) : 0;
}

/* Scale (f32) and zero point (NIB_NONE: absent) as operands; false after a message. */
static bool operands_of(nib_onnx_node *n, size_t i, int32_t *scale, int32_t *zero) {
  *zero = NIB_NONE;
  *scale = nib_onnx_in(n, i);
  if (*scale != NIB_NONE)
    *scale = nib_onnx_casted(n, *scale, NIB_F32);
  if (*scale == NIB_NONE || !nib_onnx_input(n, i + 1))
    return *scale != NIB_NONE;
  *zero = nib_onnx_in(n, i + 1);
  if (*zero != NIB_NONE)
    *zero = nib_onnx_plain(n, *zero);
  return *zero != NIB_NONE;
}

/* The reals of input `x`, whose scale is input `x` + 1. */
static int32_t reals_of(nib_onnx_node *n, size_t x) {
  const nib_onnx_value *v = nib_onnx_input(n, x);
  if (!v) {
    nib_onnx_invalid(n, "its input %zu is missing", x);
    return NIB_NONE;
  }
  if (check_pair(n, x + 1, v->format) != NIB_OK)
    return NIB_NONE;
  int32_t in[3] = {nib_onnx_in(n, x), NIB_NONE, NIB_NONE}, n_in = 1;
  if (in[0] == NIB_NONE)
    return NIB_NONE;
  if (is_static(n, x + 1)) {
    const double scale = (double)(float)nib_onnx_number_of(nib_onnx_input(n, x + 1));
    in[0] = nib_onnx_typed(n, in[0], scale, zero_of(n, x + 2));
  } else {
    in[0] = nib_onnx_plain(n, in[0]);
    if (!operands_of(n, x + 1, &in[1], &in[2]))
      return NIB_NONE;
    n_in = in[2] == NIB_NONE ? 2 : 3;
  }
  if (in[0] == NIB_NONE)
    return NIB_NONE;
  const nib_tensor from = n->ctx->graph->tensors[in[0]];
  const int32_t node =
      nib_onnx_emit(n, NIB_OP_DEQUANTIZE, in, n_in, NIB_NONE, from.rank, from.dims, "_real");
  return node == NIB_NONE ? NIB_NONE : n->ctx->graph->nodes[node].out;
}

/* Codes of `real` at the scale of input `scale`, as the operator's result. */
static nib_status finish_codes(nib_onnx_node *n, int32_t real, size_t scale, nib_format codes) {
  if (real == NIB_NONE)
    return n->ctx->failure;
  NIB_RETURN_IF_ERROR(check_pair(n, scale, codes));
  if (!is_static(n, scale)) {
    int32_t s, z;
    return operands_of(n, scale, &s, &z)
               ? nib_onnx_finish(n, nib_onnx_quantized_by(n, real, s, z, codes, 0))
               : n->ctx->failure;
  }
  nib_graph *g = n->ctx->graph;
  const nib_tensor from = g->tensors[real];
  const int32_t node =
      nib_onnx_emit(n, NIB_OP_QUANTIZE, &real, 1, NIB_NONE, from.rank, from.dims, "");
  if (node == NIB_NONE)
    return n->ctx->failure;
  g->tensors[g->nodes[node].out].format = codes;
  nib_graph_set_quant(g, g->nodes[node].out,
                      (double)(float)nib_onnx_number_of(nib_onnx_input(n, scale)),
                      zero_of(n, scale + 1));
  if (nib_graph_set_string(g, node, NIB_A_ROUNDING, "nearest-even") != NIB_OK)
    return nib_onnx_out_of_memory(n->ctx);
  return nib_onnx_set_result(n, g->nodes[node].out);
}

/* The operator that `import` reads as NCHW, of an input in NHWC: between two transposes, which
 * simplify cancels. */
static nib_status with_channels_last(nib_onnx_node *n, nib_onnx_handler import) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  const int32_t rank = x->rank;
  int64_t first[NIB_MAX_RANK] = {0, rank - 1}, last[NIB_MAX_RANK] = {0};
  if (rank < 3)
    return nib_onnx_invalid(n, "its input has rank %d", rank);
  for (int32_t i = 2; i < rank; ++i) {
    first[i] = i - 1;
    last[i - 1] = i;
  }
  last[rank - 1] = 1;
  const int32_t in = nib_onnx_in(n, 0);
  const int32_t t = in == NIB_NONE ? NIB_NONE : nib_onnx_transposed(n, in, first);
  if (t == NIB_NONE)
    return n->ctx->failure;
  const nib_onnx_value nhwc = *x;
  x->tensor = t;
  x->data = NULL;
  x->codes = NULL;
  memcpy(x->dims, nib_onnx_tensor(n, t)->dims, sizeof x->dims);
  const nib_status status = import(n);
  *x = nhwc;
  NIB_RETURN_IF_ERROR(status);
  nib_onnx_value *y = &n->ctx->values[nib_onnx_find_value(n->ctx, n->proto->output[0])];
  const int32_t out = nib_onnx_materialize(n, y);
  return nib_onnx_finish(n, out == NIB_NONE ? NIB_NONE : nib_onnx_transposed(n, out, last));
}

static nib_status with_layout(nib_onnx_node *n, nib_onnx_handler import) {
  return nib_onnx_attr_int(n, "channels_last", 0) ? with_channels_last(n, import) : import(n);
}

/* QLinearAdd, QLinearMul: A, its scale and zero point, B likewise, scale and zero point of C. */
static nib_status import_two(nib_onnx_node *n) {
  const int32_t a = reals_of(n, 0), b = a == NIB_NONE ? NIB_NONE : reals_of(n, 3);
  return finish_codes(n, nib_onnx_binary(n, n->row->op, a, b), 6, nib_onnx_input(n, 0)->format);
}

static nib_status import_one(nib_onnx_node *n) {
  const int32_t x = reals_of(n, 0), y = nib_onnx_unary(n, n->row->op, x);
  const float alpha = nib_onnx_attr_float(n, "alpha", 0.01f);
  nib_graph *g = n->ctx->graph;
  if (y == NIB_NONE)
    return n->ctx->failure;
  if (!isfinite(alpha))
    return nib_onnx_invalid(n, "alpha is not finite");
  if (n->row->op == NIB_OP_LEAKY_RELU &&
      nib_graph_set_float(g, g->tensors[y].producer, NIB_A_ALPHA, alpha) != NIB_OK)
    return nib_onnx_out_of_memory(n->ctx);
  return finish_codes(n, y, 3, nib_onnx_input(n, 0)->format);
}

static nib_status global_pool(nib_onnx_node *n) {
  const nib_onnx_value *x = nib_onnx_input(n, 0);
  const int64_t axes[] = {2, 3, 4, 5, 6, 7};
  if (x->rank < 3)
    return nib_onnx_invalid(n, "its input has rank %d", x->rank);
  return finish_codes(n, nib_onnx_mean(n, reals_of(n, 0), axes, x->rank - 2, true), 3, x->format);
}

/* The pool of reals, imported as AveragePool is. */
static nib_status average_pool(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  const int32_t real = reals_of(n, 0);
  if (real == NIB_NONE)
    return n->ctx->failure;
  const nib_onnx_value codes = *x;
  x->format = NIB_F32;
  x->data = NULL;
  x->tensor = real;
  const nib_status status = nib_onnx_import_average_pool(n);
  *x = codes;
  NIB_RETURN_IF_ERROR(status);
  const int32_t y = nib_onnx_find_value(n->ctx, n->proto->output[0]);
  return finish_codes(n, n->ctx->values[y].tensor, 3, codes.format);
}

static nib_status import_global_pool(nib_onnx_node *n) { return with_layout(n, global_pool); }
static nib_status import_average_pool(nib_onnx_node *n) { return with_layout(n, average_pool); }
static nib_status import_conv(nib_onnx_node *n) {
  return with_layout(n, nib_onnx_import_qlinear_conv);
}
static nib_status import_nhwc_max_pool(nib_onnx_node *n) {
  return with_channels_last(n, nib_onnx_import_max_pool);
}

/* Scale and zero point of the result, then the operands with theirs. */
static nib_status import_concat(nib_onnx_node *n) {
  int32_t parts[64], count = 0;
  if (n->proto->n_input < 5 || (n->proto->n_input - 2) % 3 || n->proto->n_input > 194)
    return nib_onnx_invalid(n, "it has %zu inputs", n->proto->n_input);
  int64_t axis = nib_onnx_attr_int(n, "axis", 1);
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, &axis, 1, nib_onnx_input(n, 2)->rank));
  for (size_t i = 2; i < n->proto->n_input; i += 3) {
    if ((parts[count++] = reals_of(n, i)) == NIB_NONE)
      return n->ctx->failure;
    const nib_tensor *a = nib_onnx_tensor(n, parts[0]), *b = nib_onnx_tensor(n, parts[count - 1]);
    bool fits = a->rank == b->rank;
    for (int32_t k = 0; fits && k < a->rank; ++k)
      fits = k == axis || a->dims[k] == b->dims[k];
    if (!fits)
      return nib_onnx_invalid(n, "its operands do not fit together");
  }
  return finish_codes(n, nib_onnx_concatenated(n, parts, count, (int32_t)axis), 0,
                      nib_onnx_input(n, 2)->format);
}

static const nib_onnx_row rows[] = {
    {"DequantizeLinear", 7, LAST, 2, 3, nib_onnx_import_dequantize, NONE},
    {"DynamicQuantizeMatMul", 7, LAST, 3, 5, nib_onnx_import_dynamic_matmul, NONE},
    {"GatherBlockQuantized", 7, LAST, 3, 4, nib_onnx_import_gather_blocks, NONE},
    {"MatMulIntegerToFloat", 7, LAST, 4, 7, nib_onnx_import_matmul_to_float, NONE},
    {"MatMulNBits", 7, LAST, 3, 6, nib_onnx_import_matmul_nbits, NONE},
    {"NhwcMaxPool", 7, LAST, 1, 1, import_nhwc_max_pool, NONE},
    {"QGemm", 7, LAST, 6, 9, nib_onnx_import_qgemm, NONE},
    {"QLinearAdd", 7, LAST, 1, 8, import_two, NIB_OP_ADD},
    {"QLinearAveragePool", 7, LAST, 1, 5, import_average_pool, NONE},
    {"QLinearConcat", 7, LAST, 5, 194, import_concat, NONE},
    {"QLinearConv", 7, LAST, 8, 9, import_conv, NONE},
    {"QLinearGlobalAveragePool", 7, LAST, 1, 5, import_global_pool, NONE},
    {"QLinearLeakyRelu", 7, LAST, 1, 5, import_one, NIB_OP_LEAKY_RELU},
    {"QLinearMul", 7, LAST, 1, 8, import_two, NIB_OP_MUL},
    {"QLinearSigmoid", 7, LAST, 1, 5, import_one, NIB_OP_SIGMOID},
    {"QuantizeLinear", 7, LAST, 2, 3, nib_onnx_import_quantize, NONE},
};

const nib_onnx_row *nib_onnx_find_microsoft_row(const char *op_type) {
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i)
    if (!strcmp(rows[i].op_type, op_type))
      return &rows[i];
  return NULL;
}

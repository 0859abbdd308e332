/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The operators of the default domain that the importer knows, each with the operator sets that its
 * handler was written for. */
#include "onnx_internal.h"

#include <string.h>

#define LAST NIB_ONNX_LAST_OPSET

static const nib_onnx_row rows[] = {
    {"Add", 7, LAST, 2, 2, nib_onnx_import_binary},
    {"AveragePool", 7, LAST, 1, 1, nib_onnx_import_average_pool},
    {"BatchNormalization", 7, LAST, 5, 5, nib_onnx_import_batch_norm},
    {"Cast", 7, LAST, 1, 1, nib_onnx_import_cast},
    {"Clip", 7, LAST, 1, 3, nib_onnx_import_clip},
    {"Concat", 7, LAST, 1, 1 << 20, nib_onnx_import_concat},
    {"Constant", 7, LAST, 0, 0, nib_onnx_import_constant},
    {"ConstantOfShape", 9, LAST, 1, 1, nib_onnx_import_constant_of_shape},
    {"Conv", 7, LAST, 2, 3, nib_onnx_import_conv},
    {"ConvTranspose", 7, LAST, 2, 3, nib_onnx_import_conv_transpose},
    {"DequantizeLinear", 10, LAST, 2, 3, nib_onnx_import_dequantize},
    {"Div", 7, LAST, 2, 2, nib_onnx_import_binary},
    {"Dropout", 7, LAST, 1, 3, nib_onnx_import_identity},
    {"Flatten", 7, LAST, 1, 1, nib_onnx_import_flatten},
    {"Gather", 7, LAST, 2, 2, nib_onnx_import_gather},
    {"Gemm", 7, LAST, 2, 3, nib_onnx_import_gemm},
    {"GlobalAveragePool", 7, LAST, 1, 1, nib_onnx_import_global_pool},
    {"GlobalMaxPool", 7, LAST, 1, 1, nib_onnx_import_global_pool},
    {"Identity", 7, LAST, 1, 1, nib_onnx_import_identity},
    {"LeakyRelu", 7, LAST, 1, 1, nib_onnx_import_unary},
    {"MatMul", 7, LAST, 2, 2, nib_onnx_import_matmul},
    {"MaxPool", 7, LAST, 1, 1, nib_onnx_import_max_pool},
    {"Mul", 7, LAST, 2, 2, nib_onnx_import_binary},
    {"Pad", 7, LAST, 1, 4, nib_onnx_import_pad},
    {"QuantizeLinear", 10, LAST, 2, 3, nib_onnx_import_quantize},
    {"ReduceMean", 7, LAST, 1, 2, nib_onnx_import_reduce_mean},
    {"Relu", 7, LAST, 1, 1, nib_onnx_import_unary},
    {"Reshape", 7, LAST, 2, 2, nib_onnx_import_reshape},
    {"Shape", 7, LAST, 1, 1, nib_onnx_import_shape},
    {"Sigmoid", 7, LAST, 1, 1, nib_onnx_import_unary},
    {"Size", 7, LAST, 1, 1, nib_onnx_import_shape},
    {"Slice", 7, LAST, 1, 5, nib_onnx_import_slice},
    {"Softmax", 7, LAST, 1, 1, nib_onnx_import_softmax},
    {"Squeeze", 7, LAST, 1, 2, nib_onnx_import_squeeze},
    {"Sub", 7, LAST, 2, 2, nib_onnx_import_binary},
    {"Sum", 7, LAST, 1, 1 << 20, nib_onnx_import_sum},
    {"Tanh", 7, LAST, 1, 1, nib_onnx_import_unary},
    {"Transpose", 7, LAST, 1, 1, nib_onnx_import_transpose},
    {"Unsqueeze", 7, LAST, 1, 2, nib_onnx_import_unsqueeze},
};

const nib_onnx_row *nib_onnx_find_row(const char *op_type, int64_t opset, bool *out_known) {
  *out_known = false;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
    if (strcmp(rows[i].op_type, op_type))
      continue;
    *out_known = true;
    if (opset >= rows[i].first_opset && opset <= rows[i].last_opset)
      return &rows[i];
  }
  return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Operators of ONNX on codes. */
#ifndef NIB_IMPORT_ONNX_QLINEAR_H
#define NIB_IMPORT_ONNX_QLINEAR_H

#include "onnx_build.h"

/** Whether `v` is a constant of one element, and that element. */
bool nib_onnx_is_number(const nib_onnx_value *v);
double nib_onnx_number_of(const nib_onnx_value *v);
/** The same codes as a quantized tensor; or as plain integers. */
int32_t nib_onnx_typed(nib_onnx_node *n, int32_t tensor, double scale, int64_t zero);
int32_t nib_onnx_plain(nib_onnx_node *n, int32_t tensor);
/** Scales are real; constants among them positive and finite. */
nib_status nib_onnx_check_scale(nib_onnx_node *n, const nib_onnx_value *v);
/** quantize by tensors of scales and zero points (NIB_NONE: 0). */
int32_t nib_onnx_quantized_by(nib_onnx_node *n, int32_t x, int32_t scales, int32_t zeros,
                              nib_format codes, int64_t axis);

nib_status nib_onnx_import_quantize(nib_onnx_node *n);
nib_status nib_onnx_import_dequantize(nib_onnx_node *n);
nib_status nib_onnx_import_dynamic_quantize(nib_onnx_node *n);
nib_status nib_onnx_import_matmul_integer(nib_onnx_node *n);
nib_status nib_onnx_import_conv_integer(nib_onnx_node *n);
nib_status nib_onnx_import_qlinear_matmul(nib_onnx_node *n);
nib_status nib_onnx_import_qlinear_conv(nib_onnx_node *n);
nib_status nib_onnx_import_matmul_to_float(nib_onnx_node *n);
nib_status nib_onnx_import_dynamic_matmul(nib_onnx_node *n);
nib_status nib_onnx_import_qgemm(nib_onnx_node *n);
nib_status nib_onnx_import_matmul_nbits(nib_onnx_node *n);
nib_status nib_onnx_import_gather_blocks(nib_onnx_node *n);

#endif

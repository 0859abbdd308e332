/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * QuantizeLinear and DequantizeLinear whose scales are operands. */
#ifndef NIB_IMPORT_ONNX_SCALING_H
#define NIB_IMPORT_ONNX_SCALING_H

#include "onnx_internal.h"

/** The format in which QuantizeLinear divides: attribute `precision`, else the type of its scale,
 * else (scales of fewer bits) f32. */
nib_status nib_onnx_read_precision(nib_onnx_node *n, nib_format *out);
nib_status nib_onnx_quantize_by_operands(nib_onnx_node *n, nib_format codes);
nib_status nib_onnx_dequantize_by_operands(nib_onnx_node *n, nib_format result);

#endif

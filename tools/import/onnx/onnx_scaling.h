/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * QuantizeLinear and DequantizeLinear whose scales are operands. */
#ifndef NIB_IMPORT_ONNX_SCALING_H
#define NIB_IMPORT_ONNX_SCALING_H

#include "onnx_internal.h"

/** The format in which QuantizeLinear divides: attribute `precision`, else the type of its scale,
 * else (scales of fewer bits) f32. */
nib_status nib_onnx_read_precision(nib_onnx_node *n, nib_format *out);
/** Tensors of a dynamic quantization: ui8 codes, their scale (f32) and zero point (ui8). */
typedef struct nib_onnx_dynamic {
  int32_t codes, scale, zero;
} nib_onnx_dynamic;
/** Quantizes x by its least and greatest element; false after a message. */
bool nib_onnx_quantize_dynamically(nib_onnx_node *n, int32_t x, nib_onnx_dynamic *out);

nib_status nib_onnx_quantize_by_operands(nib_onnx_node *n, nib_format codes);
nib_status nib_onnx_dequantize_by_operands(nib_onnx_node *n, nib_format result);

#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Rows and handlers of elementwise operators, reductions and changes of type. */
#ifndef NIB_IMPORT_ONNX_ELEMENTWISE_H
#define NIB_IMPORT_ONNX_ELEMENTWISE_H

#include "onnx_build.h"

extern const nib_onnx_row nib_onnx_elementwise_rows[];
extern const size_t nib_onnx_n_elementwise_rows;

/** A tensor of the other format; `a` itself where it has it. */
int32_t nib_onnx_casted(nib_onnx_node *n, int32_t a, nib_format format);
/** `reduction` ("add", "mul", "min", "max") over ascending axes. */
int32_t nib_onnx_reduced(nib_onnx_node *n, int32_t a, const char *reduction, const int64_t *axes,
                         int32_t count, bool keep);

/** Index (i64) of the first of the largest or smallest elements along the axis, which becomes 1. */
int32_t nib_onnx_best_index(nib_onnx_node *n, int32_t a, int32_t axis, bool largest);

/* onnx_elementwise.c */
nib_status nib_onnx_import_function(nib_onnx_node *n);
nib_status nib_onnx_import_two(nib_onnx_node *n);
nib_status nib_onnx_import_greater(nib_onnx_node *n);
nib_status nib_onnx_import_not(nib_onnx_node *n);
nib_status nib_onnx_import_bit_shift(nib_onnx_node *n);
nib_status nib_onnx_import_mod(nib_onnx_node *n);
nib_status nib_onnx_import_pow(nib_onnx_node *n);
nib_status nib_onnx_import_variadic(nib_onnx_node *n);
nib_status nib_onnx_import_where(nib_onnx_node *n);
nib_status nib_onnx_import_clip(nib_onnx_node *n);
nib_status nib_onnx_import_is_nan(nib_onnx_node *n);
nib_status nib_onnx_import_is_inf(nib_onnx_node *n);

/* onnx_activation.c */
nib_status nib_onnx_import_hard_sigmoid(nib_onnx_node *n);
nib_status nib_onnx_import_elu(nib_onnx_node *n);
nib_status nib_onnx_import_celu(nib_onnx_node *n);
nib_status nib_onnx_import_gelu(nib_onnx_node *n);
nib_status nib_onnx_import_swish(nib_onnx_node *n);
nib_status nib_onnx_import_prelu(nib_onnx_node *n);
nib_status nib_onnx_import_thresholded_relu(nib_onnx_node *n);
nib_status nib_onnx_import_shrink(nib_onnx_node *n);
nib_status nib_onnx_import_log_softmax(nib_onnx_node *n);
nib_status nib_onnx_import_hardmax(nib_onnx_node *n);

/* onnx_reduce.c */
nib_status nib_onnx_import_reduce(nib_onnx_node *n);
nib_status nib_onnx_import_arg(nib_onnx_node *n);
nib_status nib_onnx_import_cumulate(nib_onnx_node *n);

/* onnx_range.c */
nib_status nib_onnx_import_bitcast(nib_onnx_node *n);
nib_status nib_onnx_import_range(nib_onnx_node *n);
nib_status nib_onnx_import_eye_like(nib_onnx_node *n);

#endif

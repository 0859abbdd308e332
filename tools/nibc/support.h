/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What is supported, decided from options and graph alone. */
#ifndef NIBC_SUPPORT_H
#define NIBC_SUPPORT_H

#include "graph/graph.h"
#include "options.h"

/** Options that make no sense (NIB_ERROR_INVALID_USAGE) or whose value no capability fills yet
 *  (NIB_ERROR_UNSUPPORTED), each with one message. */
nib_status nibc_check_options(const nibc_options *o);
/** Operators without a kernel and a precision that the model cannot have: all listed. */
nib_status nibc_check_graph(const nibc_options *o, const nib_graph *g);

/** No tensor is quantized: a float model. */
bool nibc_graph_is_float(const nib_graph *g);
/** Computes in float between dequantize and quantize, as ONNX QDQ networks do. */
bool nibc_graph_is_qdq(const nib_graph *g);

#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * External tensor data: a range of a file beside the model. */
#ifndef NIB_IMPORT_ONNX_EXTERNAL_H
#define NIB_IMPORT_ONNX_EXTERNAL_H

#include "onnx_internal.h"

/** Reads exactly `bytes` that `t` refers to, from below `base_dir` only; *out_data is malloc'd. */
nib_status nib_onnx_read_external(const Onnx__TensorProto *t, const char *base_dir,
                                  const char *where, size_t bytes, uint8_t **out_data,
                                  const nib_diag *diag);

#endif

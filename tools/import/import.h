/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Importers: from a model file in memory to a nib_graph. C11; no MLIR. */
#ifndef NIB_IMPORT_IMPORT_H
#define NIB_IMPORT_IMPORT_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/** --dim NAME=N */
typedef struct nib_dim_binding {
  const char *name;
  int64_t value;
} nib_dim_binding;

/** A value for an input of the model, from test data. */
typedef struct nib_input_value {
  nib_format format;
  int32_t rank;
  int64_t dims[NIB_MAX_RANK];
  const void *data; /**< NULL: none given */
  size_t bytes;
  bool is_constant; /**< out: an operator needs it as a constant (a shape, axes …), which it became:
                         the graph has no such input */
  char name[64];    /**< out: the input's, cut where it is longer */
} nib_input_value;

typedef struct nib_import_options {
  const char *model_name;   /**< C identifier-ish; names the graph */
  const char *display_path; /**< for messages: "model.tflite" */
  const char *base_dir;     /**< folder for ONNX external data; NULL: none allowed */
  const char *rounding;     /**< override of the source's default rounding, or NULL */
  const nib_dim_binding *dims;
  size_t n_dims;
  nib_input_value *inputs; /**< ONNX: by position, initializers not counted; or NULL. They also
                                give dimensions that are not numbers */
  size_t n_inputs;
  bool list_only; /**< inspect: build as much as possible, unsupported operators are
                       reported as notes rather than as the failure */
} nib_import_options;

/** Every importer: bytes[0..size) need not outlive the call. Every scale, zero point, dimension
 *  product and byte length is validated; offsets never leave the buffer. Malformed input is
 *  NIB_ERROR_INVALID_INPUT; operators, types or attributes without support are all listed, one
 *  message each (index, name, reason), then NIB_ERROR_UNSUPPORTED. On failure *out_graph is NULL.
 */
nib_status nib_import_tflite(const uint8_t *bytes, size_t size, const nib_import_options *options,
                             nib_graph **out_graph, const nib_diag *diag);
nib_status nib_import_onnx(const uint8_t *bytes, size_t size, const nib_import_options *options,
                           nib_graph **out_graph, const nib_diag *diag);
/** A Llama network in GGUF, and a checkpoint of llama2.c (version 1): tokens i32 [seq] -> logits
 * f32 [seq, vocabulary]; `seq` is a dimension that nib_import_options.dims may bind. list_only
 * changes nothing. */
nib_status nib_import_gguf(const uint8_t *bytes, size_t size, const nib_import_options *options,
                           nib_graph **out_graph, const nib_diag *diag);
nib_status nib_import_llama2c(const uint8_t *bytes, size_t size, const nib_import_options *options,
                              nib_graph **out_graph, const nib_diag *diag);

/** An ONNX TensorProto file (test_data_set_N/input_0.pb): format, shape and malloc'd data. */
nib_status nib_import_onnx_tensor(const uint8_t *bytes, size_t size, nib_format *out_format,
                                  int32_t *out_rank, int64_t out_dims[NIB_MAX_RANK],
                                  void **out_data, size_t *out_bytes, const nib_diag *diag);

#ifdef __cplusplus
}
#endif
#endif

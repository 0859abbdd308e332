/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * State of one TFLite import, and what the operator conversions (tflite_ops_*.c) are written with.
 * Private to this folder. Every function that can fail returns a nib_status and has reported why.
 */
#ifndef NIB_IMPORT_TFLITE_CONTEXT_H
#define NIB_IMPORT_TFLITE_CONTEXT_H

#include "import/import.h"
#include "import/tflite/flatbuffer.h"
#include "import/tflite/tflite_schema.h"

/** One tensor of the file, checked: shape, type, data length, quantization of activations. */
typedef struct nib_tfl_tensor {
  int32_t index;
  const char *name;
  nib_format format;
  int32_t rank;
  int64_t dims[NIB_MAX_RANK];
  int64_t elems;
  nib_fb_vector scales, zero_points; /**< scales.count: 0 none, 1 per tensor, else per channel */
  int32_t channel_dim;               /**< dimension of the scales when per channel */
  const uint8_t *data;               /**< constants: inside the file; NULL otherwise */
  size_t data_bytes;
  uint32_t buffer;
} nib_tfl_tensor;

/** The roles in which a constant can enter the graph; each makes its own graph tensor. */
typedef enum nib_tfl_role {
  NIB_TFL_VALUE,  /**< typed as in the file */
  NIB_TFL_FILTER, /**< plain codes, the scales are an operand */
  NIB_TFL_SCALES, /**< those scales */
  NIB_TFL_BIAS,   /**< plain, one-dimensional */
  NIB_TFL_ROLE_COUNT
} nib_tfl_role;

typedef struct nib_tfl_context {
  const nib_import_options *options;
  const nib_diag *diag;
  nib_graph *graph;
  nib_fb fb;
  nib_fb_vector opcodes, buffers, tensors, operators;
  int32_t *ids[NIB_TFL_ROLE_COUNT]; /**< by tensor: graph id or NIB_NONE */
  const char **names;               /**< by tensor: graph-owned copy or NULL */
  uint8_t *written;                 /**< by tensor: graph input or result of an operator so far */
  const void **buffer_copies;       /**< by buffer: graph-owned copy or NULL */
  size_t spent_bytes;               /**< file bytes used so far; see nib_tfl_spend */
  int32_t n_unsupported;

  /* the operator being converted */
  int32_t index;
  const char *op_name; /**< CONV_2D */
  const char *name;    /**< its result's name */
  nib_fb_vector inputs, outputs;
  nib_fb_table op_options; /**< absent: all defaults */
} nib_tfl_context;

typedef nib_status nib_tfl_convert(nib_tfl_context *c);

/** Tensor types an operator takes, as bits of nib_format (of which TFLite has the first 64 alone).
 */
typedef uint64_t nib_tfl_types;

/** One operator of the format. Tables of these are in tflite_ops_*.c. */
typedef struct nib_tfl_op {
  int32_t code;
  const char *name;
  int32_t min_version, max_version;
  uint8_t options;               /**< expected tag of the options union; TFL_NO_OPTIONS: not read */
  int8_t min_inputs, max_inputs; /**< max -1: no limit but NIB_TFL_MAX_INPUTS */
  int8_t data_input;             /**< the input whose type `types` is about */
  nib_tfl_types types;
  nib_tfl_convert *convert; /**< adds the nodes */
} nib_tfl_op;

#define NIB_TFL_MAX_INPUTS 512

extern const nib_tfl_op nib_tfl_conv_ops[], nib_tfl_math_ops[], nib_tfl_shape_ops[];
extern const size_t nib_tfl_n_conv_ops, nib_tfl_n_math_ops, nib_tfl_n_shape_ops;
/** Row of `code`, or NULL. */
const nib_tfl_op *nib_tfl_find_op(int32_t code);
/** The schema's name of any builtin operator code; NULL for unknown codes. */
const char *nib_tfl_builtin_name(int32_t code);
const char *nib_tfl_type_name(int type); /**< of a tensor type, "unknown" if it is none */

/* Reporting: the message is "operator 12 (CONV_2D 'name'): …". */
nib_status nib_tfl_invalid(const nib_tfl_context *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
nib_status nib_tfl_unsupported(nib_tfl_context *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** Reports the flatbuffer reader's violation, if there is one. */
nib_status nib_tfl_check(const nib_tfl_context *c);
/** Accounts for work proportional to `bytes` of the file. Parts of a file that overlap could make a
 *  small file cost without limit; a sound one uses every byte a few times. */
nib_status nib_tfl_spend(nib_tfl_context *c, size_t bytes);

/* Tensors of the current operator. */
int32_t nib_tfl_input_index(const nib_tfl_context *c, uint32_t slot); /**< -1: absent */
bool nib_tfl_has_input(const nib_tfl_context *c, uint32_t slot);
nib_status nib_tfl_input(nib_tfl_context *c, uint32_t slot, nib_tfl_tensor *out_tensor);
nib_status nib_tfl_output(nib_tfl_context *c, nib_tfl_tensor *out_tensor);
nib_status nib_tfl_read_tensor(nib_tfl_context *c, int32_t index, nib_tfl_tensor *out_tensor);

/** Fills names[index]; the index has been checked. */
nib_status nib_tfl_read_name(nib_tfl_context *c, int32_t index);

/** Graph tensor for a value that an operator reads: checks that something has written it. */
nib_status nib_tfl_value(nib_tfl_context *c, const nib_tfl_tensor *t, int32_t *out_id);
/** Graph tensor for the operator's result. */
nib_status nib_tfl_result(nib_tfl_context *c, const nib_tfl_tensor *t, int32_t *out_id);
/** Filter of a convolution or dense layer, and its scales operand (NIB_NONE if the filter carries
 * its own). `channel_dim`: the dimension of the output channels. `per_tensor_typed`: a single scale
 *  becomes part of the filter's type. */
nib_status nib_tfl_filter(nib_tfl_context *c, const nib_tfl_tensor *t, nib_format input_format,
                          int32_t channel_dim, bool per_tensor_typed, int32_t *out_filter,
                          int32_t *out_scales);
/** Bias at `slot`, or NIB_NONE; *out_wide: the accumulator has 64 bits. Without a bias the option
 *  `bias_type_field` (-1: there is none) tells the width. */
nib_status nib_tfl_bias(nib_tfl_context *c, uint32_t slot, nib_format input_format,
                        int64_t channels, int bias_type_field, int32_t *out_bias, bool *out_wide);
/* tflite_hybrid.c: float activations with int8 weights. */
typedef struct nib_tfl_hybrid {
  const nib_tfl_tensor *result; /**< what the operator writes; NULL: a temporary of its shape */
  uint32_t bias_slot;
  int bias_type_field;
  int32_t unit, sum; /**< tensors: the worth of a unit of `sum`, the i32 sum of products */
} nib_tfl_hybrid;
bool nib_tfl_is_hybrid(const nib_tfl_tensor *in, const nib_tfl_tensor *filter);
/** Operands of the integer product that writes h->sum, shaped `dims`: codes of x, quantized in
 *  `batches` equal parts, and the filter. */
nib_status nib_tfl_hybrid_begin(nib_tfl_context *c, nib_tfl_hybrid *h, const nib_tfl_tensor *filter,
                                int64_t batches, int32_t x, int32_t rank, const int64_t *dims,
                                int32_t *out_operands);
/** *out_id = activation(sum * unit + bias), after the product's node. */
nib_status nib_tfl_hybrid_result(nib_tfl_context *c, const nib_tfl_hybrid *h, int32_t rank,
                                 const int64_t *dims, const char *activation, int32_t *out_id);
/** A constant list of i32 or i64 at `slot`, at most NIB_MAX_RANK * 2 long. */
nib_status nib_tfl_int_list(nib_tfl_context *c, uint32_t slot, int64_t out[NIB_MAX_RANK * 2],
                            int32_t *out_n);
/** An intermediate value with t's type and quantization, but another shape. */
nib_status nib_tfl_temporary(nib_tfl_context *c, const nib_tfl_tensor *t, const char *suffix,
                             int32_t rank, const int64_t *dims, int32_t *out_id);
/** Kernels that copy codes ignore scales: a result of another scale than the input's (or of another
 *  format) is unsupported. */
nib_status nib_tfl_check_same_type(nib_tfl_context *c, int32_t input_id, int32_t result_id);
/** Adds a node named after the current operator. */
nib_status nib_tfl_node(nib_tfl_context *c, nib_op op, const int32_t *in, int32_t n_in, int32_t out,
                        int32_t *out_node);
/** The fused activation in an options field: "none" or a name the graph knows. */
nib_status nib_tfl_check_activation(nib_tfl_context *c, int field, const char **out_activation);

#endif

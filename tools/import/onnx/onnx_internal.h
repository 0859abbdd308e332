/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What the files of the ONNX importer share.
 *
 * An ONNX value is a nib_onnx_value. Constants stay there, as bytes, until an operator of the graph
 * needs them (materialize); so shape computations leave nothing behind. The same holds for
 * constants behind DequantizeLinear: the node is written where it is used, which lets a filter be
 * permuted together with the axis of its scales. */
#ifndef NIB_IMPORT_ONNX_INTERNAL_H
#define NIB_IMPORT_ONNX_INTERNAL_H

#include "graph/graph.h"
#include "import/import.h"
#include "onnx.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NIB_ONNX_ABSENT (-1) /**< an optional input or output that is not there */
#define NIB_ONNX_FIRST_OPSET 7
#define NIB_ONNX_LAST_OPSET 28 /**< the newest operator set whose definitions were read */

typedef struct nib_onnx_value {
  const char *name;
  nib_format format;
  int32_t rank;
  int64_t dims[NIB_MAX_RANK];
  const uint8_t *data; /**< constants: little-endian bytes; NULL otherwise */
  size_t bytes;
  int32_t tensor;         /**< in the graph, or NIB_NONE */
  bool is_known;          /**< format and dims are set; false behind an unsupported operator */
  bool is_used;           /**< an operator reads it, or it is an output of the graph */
  bool is_input;          /**< of the graph */
  nib_input_value *given; /**< its value in test data, or NULL */
  /* A constant behind DequantizeLinear. */
  const struct nib_onnx_value *codes, *scales, *zeros; /**< zeros may be NULL */
  int32_t axis;             /**< of the scales; NIB_ONNX_ABSENT: per tensor */
  int32_t dequantize_index; /**< the operator's number */
} nib_onnx_value;

typedef struct nib_onnx_name {
  const char *name;
  int32_t value;
} nib_onnx_name;

typedef struct nib_onnx_ctx {
  const nib_import_options *options;
  const nib_diag *diag;
  const Onnx__GraphProto *proto;
  nib_graph *graph;
  int64_t opset;
  int32_t n_unsupported;
  int32_t n_evaluated; /**< results computed at import; what led to them is unused */
  size_t folded_bytes; /**< constants computed by the importer, limited */
  nib_onnx_value *values;
  int32_t n_values, cap_values;
  nib_onnx_name *names; /**< open addressing, a power of two */
  size_t n_slots, n_names;
  nib_status failure; /**< of the latest message: what a handler returns after NIB_NONE */
} nib_onnx_ctx;

/** One operator while it is imported. */
typedef struct nib_onnx_row nib_onnx_row;

typedef struct nib_onnx_node {
  nib_onnx_ctx *ctx;
  const Onnx__NodeProto *proto;
  int32_t index;           /**< NIB_NONE while an output is finished */
  const char *name;        /**< the node's name, or that of its first output */
  const nib_onnx_row *row; /**< what the importer knows of the operator, NULL before that */
} nib_onnx_node;

typedef nib_status (*nib_onnx_handler)(nib_onnx_node *node);

/** One row: an operator between two operator sets. */
struct nib_onnx_row {
  const char *op_type;
  int32_t first_opset, last_opset;
  int32_t min_inputs, max_inputs; /**< of inputs that are present, by position */
  nib_onnx_handler import;
  nib_op op; /**< that nib_onnx_import_binary and _unary make */
};

/** Row of an operator in `opset` (of the default domain; others are not versioned), or NULL.
 *  *out_known tells whether the operator is in the table at any version. */
const nib_onnx_row *nib_onnx_find_row(const char *domain, const char *op_type, int64_t opset,
                                      bool *out_known);
/** Whether operators of `domain` are in a table. */
bool nib_onnx_knows_domain(const char *domain);

/** Row of an operator of the domain com.microsoft, or NULL. */
const nib_onnx_row *nib_onnx_find_microsoft_row(const char *op_type);

/* onnx_proto.c */
typedef struct nib_onnx_pool {
  ProtobufCAllocator allocator;
  size_t used_bytes, limit_bytes;
} nib_onnx_pool;
void nib_onnx_init_pool(nib_onnx_pool *pool, size_t file_bytes);
/** Decodes a message of `descriptor`; NULL and an error message when it is malformed, nested too
 *  deeply or needs more memory than a real model of its size would. */
ProtobufCMessage *nib_onnx_decode(nib_onnx_pool *pool, const ProtobufCMessageDescriptor *descriptor,
                                  const uint8_t *bytes, size_t size, const nib_diag *diag);
/** The string, or "" where it is absent. */
const char *nib_onnx_text(const char *s);

/* onnx_tensor.c */
/** Spelling of a TensorProto data type, also of the newer ones that are not supported. */
const char *nib_onnx_type_name(int32_t data_type);
/** NIB_FORMAT_COUNT if there is none. */
nib_format nib_onnx_format(int32_t data_type);
/** Format, shape and bytes of a TensorProto. Bytes are allocated from `g`, or by malloc when `g` is
 *  NULL; types below 8 bits are unpacked. `where` begins error messages. */
nib_status nib_onnx_read_tensor(const Onnx__TensorProto *t, nib_graph *g, const char *base_dir,
                                const char *where, nib_onnx_value *out_value, const nib_diag *diag);
/** Number of elements, or -1 when a dimension is negative or the product is too large. */
int64_t nib_onnx_count_elems(const int64_t *dims, int32_t rank);
static inline int64_t nib_onnx_elems(const nib_onnx_value *v) {
  return nib_onnx_count_elems(v->dims, v->rank);
}

/* onnx_context.c: values, names and messages */
int32_t nib_onnx_find_value(const nib_onnx_ctx *ctx, const char *name);
/** A new value called `name`; NIB_ONNX_ABSENT when out of memory or the name exists. */
int32_t nib_onnx_add_value(nib_onnx_ctx *ctx, const char *name);
nib_status nib_onnx_out_of_memory(nib_onnx_ctx *ctx);
/** Messages that begin with "operator 3 'name' (Conv): "; they return the status that they name. */
nib_status nib_onnx_invalid(nib_onnx_node *n, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
nib_status nib_onnx_unsupported(nib_onnx_node *n, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Input `i`, or NULL when absent. Valid until the next value is added. */
nib_onnx_value *nib_onnx_input(nib_onnx_node *n, size_t i);
bool nib_onnx_output_is_used(nib_onnx_node *n, size_t i);
/** Unsupported with a reason if any of the outputs from `first` on is used. */
nib_status nib_onnx_require_outputs_unused(nib_onnx_node *n, size_t first);
/** Memory of the graph for `bytes` computed at import, within the limit; NULL after a message. */
uint8_t *nib_onnx_fold_alloc(nib_onnx_node *n, size_t bytes);

/* Attributes. */
const Onnx__AttributeProto *nib_onnx_attr(const nib_onnx_node *n, const char *name);
int64_t nib_onnx_attr_int(const nib_onnx_node *n, const char *name, int64_t if_absent);
float nib_onnx_attr_float(const nib_onnx_node *n, const char *name, float if_absent);
/** The string's bytes as a C string, "" for none. */
const char *nib_onnx_attr_string(const nib_onnx_node *n, const char *name, const char *if_absent);
/** Copies an attribute of exactly `count` integers, or `count` times `if_absent`. */
nib_status nib_onnx_attr_ints(nib_onnx_node *n, const char *name, int32_t count, int64_t if_absent,
                              int64_t *out);
/** Integers from input `i` (opset ≥ `since`) or attribute `name`. *out_n is -1 if there are none.
 */
nib_status nib_onnx_ints(nib_onnx_node *n, int64_t since, size_t i, const char *name, int32_t limit,
                         int64_t *out, int32_t *out_n);
/** Elements of a constant of integers. */
nib_status nib_onnx_constant_ints(nib_onnx_node *n, size_t i, int32_t limit, int64_t *out,
                                  int32_t *out_n);
/** Makes axes non-negative, checks range and uniqueness. */
nib_status nib_onnx_normalize_axes(nib_onnx_node *n, int64_t *axes, int32_t count, int32_t rank);

/* onnx_emit.c: writing the graph */
/** Element `i` of a constant of integers. */
int64_t nib_onnx_integer_at(const nib_onnx_value *v, int64_t i);
/** Graph tensor of a value; writes constants and dequantized constants. NIB_NONE on failure, after
 * a message. */
int32_t nib_onnx_materialize(nib_onnx_node *n, nib_onnx_value *v);
/** Elements of a constant vector of f32, or of codes that are dequantized here; NULL after a
 *  message. */
const float *nib_onnx_float_vector(nib_onnx_node *n, const nib_onnx_value *v);
/** The same with dimensions permuted: a constant is permuted here, with the axis of its scales;
 *  anything else by a transpose. `grown` > 0 says that the permuted shape is to be taken as that of
 *  `dims` (a leading or inner 1 added), for 1-D convolutions and depthwise filters. */
int32_t nib_onnx_materialize_permuted(nib_onnx_node *n, nib_onnx_value *v, const int64_t *dims,
                                      int32_t rank, const int64_t *perm);
/** Adds a node and its result tensor (the first operand's format where that is a plain real one,
 * else f32, unless `like` ≥ 0, whose format and quantization it takes). Returns the node, or
 * NIB_NONE after a message; its result is graph->nodes[].out. */
int32_t nib_onnx_emit(nib_onnx_node *n, nib_op op, const int32_t *in, int32_t n_in, int32_t like,
                      int32_t rank, const int64_t *dims, const char *suffix);
/** The same with a plain result of `format`. */
int32_t nib_onnx_emit_as(nib_onnx_node *n, nib_op op, const int32_t *in, int32_t n_in,
                         nib_format format, int32_t rank, const int64_t *dims, const char *suffix);
/** Unary helpers, returning the result tensor or NIB_NONE. */
int32_t nib_onnx_emit_transpose(nib_onnx_node *n, int32_t in, const int64_t *perm,
                                const char *suffix);
int32_t nib_onnx_emit_reshape(nib_onnx_node *n, nib_op op, int32_t in, int32_t rank,
                              const int64_t *dims, const char *suffix);
/** Transposes to and from NHWC; 1-D (NCW) and 2-D inputs. */
int32_t nib_onnx_to_nhwc(nib_onnx_node *n, int32_t in);
int32_t nib_onnx_from_nhwc(nib_onnx_node *n, int32_t in, int32_t spatial);
/** Makes `tensor` the node's first output, or output `i`. */
nib_status nib_onnx_set_result(nib_onnx_node *n, int32_t tensor);
nib_status nib_onnx_set_result_at(nib_onnx_node *n, size_t i, int32_t tensor);
/** Makes a constant the node's first output (data from nib_onnx_fold_alloc). */
nib_status nib_onnx_set_constant(nib_onnx_node *n, nib_format format, int32_t rank,
                                 const int64_t *dims, const uint8_t *data);
/** A constant in the graph; data is borrowed from the graph's memory. */
int32_t nib_onnx_emit_constant(nib_onnx_node *n, const char *name, nib_format format, int32_t rank,
                               const int64_t *dims, const void *data);
/** Requires reals that are computed in f32: f32, f16, bf16. */
nib_status nib_onnx_require_f32(nib_onnx_node *n, const nib_onnx_value *v);
/** numpy broadcasting of two shapes. */
nib_status nib_onnx_broadcast(nib_onnx_node *n, const nib_onnx_value *a, const nib_onnx_value *b,
                              int32_t *out_rank, int64_t *out_dims);

/* onnx_window.c */
/** Kernel, strides, dilations and pads of a convolution or pooling with `spatial` dimensions, as
 * 2-D
 *  ([h, w]; h is 1 for 1-D), and the size of the result. */
typedef struct nib_onnx_window {
  int32_t spatial;
  int64_t kernel[2], strides[2], dilations[2];
  int64_t pads[4]; /**< top left bottom right */
  int64_t out[2];
  bool grown; /**< ceil_mode made the bottom or right padding larger than was said */
} nib_onnx_window;
nib_status nib_onnx_read_window(nib_onnx_node *n, const int64_t *in, int32_t spatial,
                                const int64_t *kernel_if_absent, nib_onnx_window *out_window);

#define NIB_ONNX_MAX_SPATIAL (NIB_MAX_RANK - 2)
/** The same of any number of dimensions, each as the file has it. */
typedef struct nib_onnx_windows {
  int32_t spatial;
  int64_t kernel[NIB_ONNX_MAX_SPATIAL], strides[NIB_ONNX_MAX_SPATIAL];
  int64_t dilations[NIB_ONNX_MAX_SPATIAL];
  int64_t low[NIB_ONNX_MAX_SPATIAL], high[NIB_ONNX_MAX_SPATIAL]; /**< padding */
  int64_t out[NIB_ONNX_MAX_SPATIAL];
  int64_t padded_end[NIB_ONNX_MAX_SPATIAL]; /**< where padding ends without what ceil_mode added */
  bool grown;                               /**< ceil_mode added some */
} nib_onnx_windows;
nib_status nib_onnx_read_windows(nib_onnx_node *n, const int64_t *in, int32_t spatial,
                                 const int64_t *kernel_if_absent, nib_onnx_windows *out_windows);

/* onnx_permute.c */
/** Row-major copy of `from` (elements of `elem_bytes`) with dimensions permuted. */
void nib_onnx_permute(const uint8_t *from, uint8_t *to, size_t elem_bytes, int32_t rank,
                      const int64_t *dims, const int64_t *perm);

/* Handlers, one per operator or family. */
nib_status nib_onnx_import_conv(nib_onnx_node *n);
nib_status nib_onnx_import_conv_transpose(nib_onnx_node *n);
nib_status nib_onnx_import_max_pool(nib_onnx_node *n);
nib_status nib_onnx_import_attention(nib_onnx_node *n);
nib_status nib_onnx_import_average_pool(nib_onnx_node *n);
nib_status nib_onnx_import_causal_conv(nib_onnx_node *n);
nib_status nib_onnx_import_gru(nib_onnx_node *n);
nib_status nib_onnx_import_linear_attention(nib_onnx_node *n);
nib_status nib_onnx_import_lstm(nib_onnx_node *n);
nib_status nib_onnx_import_rnn(nib_onnx_node *n);
nib_status nib_onnx_import_rotary_embedding(nib_onnx_node *n);
nib_status nib_onnx_import_swiglu(nib_onnx_node *n);
nib_status nib_onnx_import_global_pool(nib_onnx_node *n);
nib_status nib_onnx_import_gemm(nib_onnx_node *n);
nib_status nib_onnx_import_matmul(nib_onnx_node *n);
nib_status nib_onnx_import_unary(nib_onnx_node *n);
nib_status nib_onnx_import_softmax(nib_onnx_node *n);
nib_status nib_onnx_import_reduce_mean(nib_onnx_node *n);
nib_status nib_onnx_import_batch_norm(nib_onnx_node *n);
nib_status nib_onnx_import_group_norm(nib_onnx_node *n);
nib_status nib_onnx_import_instance_norm(nib_onnx_node *n);
nib_status nib_onnx_import_layer_norm(nib_onnx_node *n);
nib_status nib_onnx_import_lp_norm(nib_onnx_node *n);
nib_status nib_onnx_import_lrn(nib_onnx_node *n);
nib_status nib_onnx_import_mean_variance_norm(nib_onnx_node *n);
nib_status nib_onnx_import_rms_norm(nib_onnx_node *n);
nib_status nib_onnx_import_flatten(nib_onnx_node *n);
nib_status nib_onnx_import_reshape(nib_onnx_node *n);
nib_status nib_onnx_import_squeeze(nib_onnx_node *n);
nib_status nib_onnx_import_unsqueeze(nib_onnx_node *n);
nib_status nib_onnx_import_transpose(nib_onnx_node *n);
nib_status nib_onnx_import_concat(nib_onnx_node *n);
nib_status nib_onnx_import_slice(nib_onnx_node *n);
nib_status nib_onnx_import_split(nib_onnx_node *n);
nib_status nib_onnx_import_pad(nib_onnx_node *n);
nib_status nib_onnx_import_identity(nib_onnx_node *n);
nib_status nib_onnx_import_constant(nib_onnx_node *n);
nib_status nib_onnx_import_constant_of_shape(nib_onnx_node *n);
nib_status nib_onnx_import_shape(nib_onnx_node *n);
nib_status nib_onnx_import_compress(nib_onnx_node *n);
nib_status nib_onnx_import_center_crop_pad(nib_onnx_node *n);
nib_status nib_onnx_import_col2im(nib_onnx_node *n);
nib_status nib_onnx_import_conv_nd(nib_onnx_node *n);
nib_status nib_onnx_import_conv_transpose_nd(nib_onnx_node *n);
nib_status nib_onnx_import_depth_to_space(nib_onnx_node *n);
nib_status nib_onnx_import_affine_grid(nib_onnx_node *n);
nib_status nib_onnx_import_deform_conv(nib_onnx_node *n);
nib_status nib_onnx_import_dft(nib_onnx_node *n);
nib_status nib_onnx_import_einsum(nib_onnx_node *n);
nib_status nib_onnx_import_expand(nib_onnx_node *n);
nib_status nib_onnx_import_grid_sample(nib_onnx_node *n);
nib_status nib_onnx_import_mel_weights(nib_onnx_node *n);
nib_status nib_onnx_import_roi_align(nib_onnx_node *n);
nib_status nib_onnx_import_stft(nib_onnx_node *n);
nib_status nib_onnx_import_tensor_scatter(nib_onnx_node *n);
nib_status nib_onnx_import_window(nib_onnx_node *n);
nib_status nib_onnx_import_global_lp_pool(nib_onnx_node *n);
nib_status nib_onnx_import_lp_pool(nib_onnx_node *n);
nib_status nib_onnx_import_max_unpool(nib_onnx_node *n);
nib_status nib_onnx_import_flex_attention(nib_onnx_node *n);
nib_status nib_onnx_import_non_zero(nib_onnx_node *n);
nib_status nib_onnx_import_one_hot(nib_onnx_node *n);
nib_status nib_onnx_import_resize(nib_onnx_node *n);
nib_status nib_onnx_import_reverse_sequence(nib_onnx_node *n);
nib_status nib_onnx_import_space_to_depth(nib_onnx_node *n);
nib_status nib_onnx_import_trilu(nib_onnx_node *n);
nib_status nib_onnx_import_upsample(nib_onnx_node *n);
nib_status nib_onnx_import_gather(nib_onnx_node *n);
nib_status nib_onnx_import_gather_elements(nib_onnx_node *n);
nib_status nib_onnx_import_gather_nd(nib_onnx_node *n);
nib_status nib_onnx_import_scatter_elements(nib_onnx_node *n);
nib_status nib_onnx_import_scatter_nd(nib_onnx_node *n);
nib_status nib_onnx_import_tile(nib_onnx_node *n);
nib_status nib_onnx_import_top_k(nib_onnx_node *n);
nib_status nib_onnx_import_cast(nib_onnx_node *n);
nib_status nib_onnx_import_cast_like(nib_onnx_node *n);
nib_status nib_onnx_import_quantize(nib_onnx_node *n);
nib_status nib_onnx_import_dequantize(nib_onnx_node *n);
nib_status nib_onnx_import_qonnx_quant(nib_onnx_node *n);
nib_status nib_onnx_import_qonnx_bipolar(nib_onnx_node *n);
nib_status nib_onnx_import_qonnx_trunc(nib_onnx_node *n);
nib_status nib_onnx_import_qonnx_float(nib_onnx_node *n);

/** BatchNormalization whose parameters are constants: one multiplication, one addition. */
nib_status nib_onnx_import_constant_batch_norm(nib_onnx_node *n);
/* onnx_evaluate.c: the bytes of a tensor that depends on constants alone and is small; else NULL.
 */
const uint8_t *nib_onnx_evaluate(nib_onnx_ctx *ctx, int32_t tensor);
/* onnx_widen.c: casts around operators that compute in f32; called once, at the end. */
nib_status nib_onnx_widen_reals(nib_onnx_ctx *ctx);

/* onnx_bound.c: inputs of the model whose values were given. */
/** Makes operand `i` a constant if it is such an input. */
nib_status nib_onnx_make_constant(nib_onnx_node *n, size_t i);
/** The same for every operand that this operator needs as a constant. */
nib_status nib_onnx_bind_constants(nib_onnx_node *n);
nib_status nib_onnx_drop_inputs(nib_onnx_ctx *ctx);

#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What the TFLite file schema (version 3) fixes: field numbers of its tables, and enumerations.
 * Only what the importer reads is here. */
#ifndef NIB_IMPORT_TFLITE_SCHEMA_H
#define NIB_IMPORT_TFLITE_SCHEMA_H

enum { /* Model */
       TFL_MODEL_VERSION = 0,
       TFL_MODEL_OPERATOR_CODES = 1,
       TFL_MODEL_SUBGRAPHS = 2,
       TFL_MODEL_BUFFERS = 4,
};

enum { /* OperatorCode */
       TFL_OPCODE_DEPRECATED_CODE = 0,
       TFL_OPCODE_CUSTOM_CODE = 1,
       TFL_OPCODE_VERSION = 2,
       TFL_OPCODE_BUILTIN_CODE = 3,
};

enum { /* SubGraph */
       TFL_SUBGRAPH_TENSORS = 0,
       TFL_SUBGRAPH_INPUTS = 1,
       TFL_SUBGRAPH_OUTPUTS = 2,
       TFL_SUBGRAPH_OPERATORS = 3,
};

enum { /* Operator */
       TFL_OPERATOR_OPCODE_INDEX = 0,
       TFL_OPERATOR_INPUTS = 1,
       TFL_OPERATOR_OUTPUTS = 2,
       TFL_OPERATOR_OPTIONS_TYPE = 3, /* the union's tag */
       TFL_OPERATOR_OPTIONS = 4,
};

enum { /* Tensor */
       TFL_TENSOR_SHAPE = 0,
       TFL_TENSOR_TYPE = 1,
       TFL_TENSOR_BUFFER = 2,
       TFL_TENSOR_NAME = 3,
       TFL_TENSOR_QUANTIZATION = 4,
       TFL_TENSOR_IS_VARIABLE = 5,
       TFL_TENSOR_SPARSITY = 6,
       TFL_TENSOR_EXTERNAL_BUFFER = 10,
};

enum { /* QuantizationParameters */
       TFL_QUANT_SCALE = 2,
       TFL_QUANT_ZERO_POINT = 3,
       TFL_QUANT_DETAILS_TYPE = 4, /* the union's tag: custom or blockwise quantization */
       TFL_QUANT_DIMENSION = 6,
};

enum { /* Buffer */
       TFL_BUFFER_DATA = 0,
       TFL_BUFFER_OFFSET =
           1, /* from the start of the file, when the data is outside the flatbuffer */
       TFL_BUFFER_SIZE = 2,
};

enum { /* TensorType */
       TFL_FLOAT32 = 0,
       TFL_INT32 = 2,
       TFL_UINT8 = 3,
       TFL_INT64 = 4,
       TFL_BOOL = 6,
       TFL_INT16 = 7,
       TFL_INT8 = 9,
};

enum { TFL_PADDING_SAME = 0, TFL_PADDING_VALID = 1 };

/* TFL_OPTIONS(ID, tag): members of the union BuiltinOptions that are read. */
enum {
  TFL_NO_OPTIONS = 0,
  TFL_CONV_2D_OPTIONS = 1,
  TFL_DEPTHWISE_CONV_2D_OPTIONS = 2,
  TFL_POOL_2D_OPTIONS = 5,
  TFL_FULLY_CONNECTED_OPTIONS = 8,
  TFL_SOFTMAX_OPTIONS = 9,
  TFL_CONCATENATION_OPTIONS = 10,
  TFL_ADD_OPTIONS = 11,
  TFL_MUL_OPTIONS = 21,
  TFL_REDUCER_OPTIONS = 27,
  TFL_SUB_OPTIONS = 28,
  TFL_DIV_OPTIONS = 29,
  TFL_STRIDED_SLICE_OPTIONS = 32,
  TFL_TRANSPOSE_CONV_OPTIONS = 49,
  TFL_LEAKY_RELU_OPTIONS = 75,
};

enum { /* Conv2DOptions */
       TFL_CONV_PADDING = 0,
       TFL_CONV_STRIDE_W = 1,
       TFL_CONV_STRIDE_H = 2,
       TFL_CONV_ACTIVATION = 3,
       TFL_CONV_DILATION_W = 4,
       TFL_CONV_DILATION_H = 5,
       TFL_CONV_BIAS_TYPE = 6,
};

enum { /* DepthwiseConv2DOptions */
       TFL_DEPTHWISE_MULTIPLIER = 3,
       TFL_DEPTHWISE_ACTIVATION = 4,
       TFL_DEPTHWISE_DILATION_W = 5,
       TFL_DEPTHWISE_DILATION_H = 6,
};

enum { /* Pool2DOptions */
       TFL_POOL_PADDING = 0,
       TFL_POOL_STRIDE_W = 1,
       TFL_POOL_STRIDE_H = 2,
       TFL_POOL_FILTER_W = 3,
       TFL_POOL_FILTER_H = 4,
       TFL_POOL_ACTIVATION = 5,
};

enum { /* FullyConnectedOptions */
       TFL_FC_ACTIVATION = 0,
       TFL_FC_WEIGHTS_FORMAT = 1,
       TFL_FC_ASYMMETRIC = 3,
       TFL_FC_BIAS_TYPE = 4,
};

enum { /* TransposeConvOptions */
       TFL_TCONV_PADDING = 0,
       TFL_TCONV_STRIDE_W = 1,
       TFL_TCONV_STRIDE_H = 2,
       TFL_TCONV_ACTIVATION = 3,
       TFL_TCONV_BIAS_TYPE = 4,
};

enum { TFL_SOFTMAX_BETA = 0 };
enum { TFL_CONCAT_AXIS = 0, TFL_CONCAT_ACTIVATION = 1 };
enum { TFL_BINARY_ACTIVATION = 0, TFL_BINARY_POT_SCALE = 1 }; /* Add, Sub, Mul, Div */
enum { TFL_REDUCER_KEEP_DIMS = 0 };
enum { TFL_LEAKY_RELU_ALPHA = 0 };

enum { /* StridedSliceOptions */
       TFL_SLICE_BEGIN_MASK = 0,
       TFL_SLICE_END_MASK = 1,
       TFL_SLICE_ELLIPSIS_MASK = 2,
       TFL_SLICE_NEW_AXIS_MASK = 3,
       TFL_SLICE_SHRINK_AXIS_MASK = 4,
       TFL_SLICE_OFFSET = 5,
};

#endif

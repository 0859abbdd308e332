/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The operators that the importer knows: those of the default domain, each with the operator sets
 * that its handler was written for, and those of QONNX; com.microsoft has its own file. */
#include "onnx_elementwise.h"
#include "onnx_qlinear.h"

#include <string.h>

#define LAST NIB_ONNX_LAST_OPSET
#define NONE NIB_OP_COUNT

static const nib_onnx_row rows[] = {
    {"AffineGrid", 20, LAST, 2, 2, nib_onnx_import_affine_grid, NONE},
    {"Attention", 23, LAST, 3, 7, nib_onnx_import_attention, NONE},
    {"AveragePool", 7, LAST, 1, 1, nib_onnx_import_average_pool, NONE},
    {"BatchNormalization", 7, LAST, 5, 5, nib_onnx_import_batch_norm, NONE},
    {"BlackmanWindow", 17, LAST, 1, 1, nib_onnx_import_window, NONE},
    {"Cast", 7, LAST, 1, 1, nib_onnx_import_cast, NONE},
    {"CastLike", 15, LAST, 2, 2, nib_onnx_import_cast_like, NONE},
    {"CausalConvWithState", 27, LAST, 2, 4, nib_onnx_import_causal_conv, NONE},
    {"CenterCropPad", 18, LAST, 2, 2, nib_onnx_import_center_crop_pad, NONE},
    {"Col2Im", 18, LAST, 3, 3, nib_onnx_import_col2im, NONE},
    {"Compress", 9, LAST, 2, 2, nib_onnx_import_compress, NONE},
    {"Concat", 7, LAST, 1, 1 << 20, nib_onnx_import_concat, NONE},
    {"Constant", 7, LAST, 0, 0, nib_onnx_import_constant, NONE},
    {"ConstantOfShape", 9, LAST, 1, 1, nib_onnx_import_constant_of_shape, NONE},
    {"Conv", 7, LAST, 2, 3, nib_onnx_import_conv, NONE},
    {"ConvInteger", 10, LAST, 2, 4, nib_onnx_import_conv_integer, NONE},
    {"ConvTranspose", 7, LAST, 2, 3, nib_onnx_import_conv_transpose, NONE},
    {"DeformConv", 19, LAST, 3, 5, nib_onnx_import_deform_conv, NONE},
    {"DepthToSpace", 7, LAST, 1, 1, nib_onnx_import_depth_to_space, NONE},
    {"DequantizeLinear", 10, LAST, 2, 3, nib_onnx_import_dequantize, NONE},
    {"DFT", 17, LAST, 1, 3, nib_onnx_import_dft, NONE},
    {"Dropout", 7, LAST, 1, 3, nib_onnx_import_identity, NONE},
    {"DynamicQuantizeLinear", 11, LAST, 1, 1, nib_onnx_import_dynamic_quantize, NONE},
    {"Einsum", 12, LAST, 1, 1 << 20, nib_onnx_import_einsum, NONE},
    {"Expand", 8, LAST, 2, 2, nib_onnx_import_expand, NONE},
    {"Flatten", 7, LAST, 1, 1, nib_onnx_import_flatten, NONE},
    {"FlexAttention", 24, LAST, 3, 3, nib_onnx_import_flex_attention, NONE}, /* ai.onnx.preview */
    {"Gather", 7, LAST, 2, 2, nib_onnx_import_gather, NONE},
    {"GatherElements", 11, LAST, 2, 2, nib_onnx_import_gather_elements, NONE},
    {"GatherND", 11, LAST, 2, 2, nib_onnx_import_gather_nd, NONE},
    {"Gemm", 7, LAST, 2, 3, nib_onnx_import_gemm, NONE},
    {"GlobalAveragePool", 7, LAST, 1, 1, nib_onnx_import_global_pool, NONE},
    {"GlobalLpPool", 7, LAST, 1, 1, nib_onnx_import_global_lp_pool, NONE},
    {"GlobalMaxPool", 7, LAST, 1, 1, nib_onnx_import_global_pool, NONE},
    {"GridSample", 16, LAST, 2, 2, nib_onnx_import_grid_sample, NONE},
    {"GroupNormalization", 18, LAST, 3, 3, nib_onnx_import_group_norm, NONE},
    {"GRU", 7, LAST, 3, 6, nib_onnx_import_gru, NONE},
    {"HammingWindow", 17, LAST, 1, 1, nib_onnx_import_window, NONE},
    {"HannWindow", 17, LAST, 1, 1, nib_onnx_import_window, NONE},
    {"Identity", 7, LAST, 1, 1, nib_onnx_import_identity, NONE},
    {"InstanceNormalization", 7, LAST, 3, 3, nib_onnx_import_instance_norm, NONE},
    {"LayerNormalization", 17, LAST, 2, 3, nib_onnx_import_layer_norm, NONE},
    {"LeakyRelu", 7, LAST, 1, 1, nib_onnx_import_unary, NIB_OP_LEAKY_RELU},
    {"LinearAttention", 27, LAST, 3, 6, nib_onnx_import_linear_attention, NONE},
    {"LpNormalization", 7, LAST, 1, 1, nib_onnx_import_lp_norm, NONE},
    {"LpPool", 7, LAST, 1, 1, nib_onnx_import_lp_pool, NONE},
    {"LRN", 7, LAST, 1, 1, nib_onnx_import_lrn, NONE},
    {"LSTM", 7, LAST, 3, 8, nib_onnx_import_lstm, NONE},
    {"MatMul", 7, LAST, 2, 2, nib_onnx_import_matmul, NONE},
    {"MatMulInteger", 10, LAST, 2, 4, nib_onnx_import_matmul_integer, NONE},
    {"MaxPool", 7, LAST, 1, 1, nib_onnx_import_max_pool, NONE},
    {"MaxUnpool", 9, LAST, 2, 3, nib_onnx_import_max_unpool, NONE},
    {"MeanVarianceNormalization", 9, LAST, 1, 1, nib_onnx_import_mean_variance_norm, NONE},
    {"MelWeightMatrix", 17, LAST, 5, 5, nib_onnx_import_mel_weights, NONE},
    {"NonZero", 9, LAST, 1, 1, nib_onnx_import_non_zero, NONE},
    {"OneHot", 9, LAST, 3, 3, nib_onnx_import_one_hot, NONE},
    {"Pad", 7, LAST, 1, 4, nib_onnx_import_pad, NONE},
    {"QLinearConv", 10, LAST, 8, 9, nib_onnx_import_qlinear_conv, NONE},
    {"QLinearMatMul", 10, LAST, 8, 8, nib_onnx_import_qlinear_matmul, NONE},
    {"QuantizeLinear", 10, LAST, 2, 3, nib_onnx_import_quantize, NONE},
    {"ReduceMean", 7, LAST, 1, 2, nib_onnx_import_reduce_mean, NONE},
    {"Reshape", 7, LAST, 2, 2, nib_onnx_import_reshape, NONE},
    {"Resize", 10, LAST, 1, 4, nib_onnx_import_resize, NONE},
    {"ReverseSequence", 10, LAST, 2, 2, nib_onnx_import_reverse_sequence, NONE},
    {"RMSNormalization", 23, LAST, 2, 2, nib_onnx_import_rms_norm, NONE},
    {"RNN", 7, LAST, 3, 6, nib_onnx_import_rnn, NONE},
    {"RoiAlign", 10, LAST, 3, 3, nib_onnx_import_roi_align, NONE},
    {"RotaryEmbedding", 23, LAST, 3, 4, nib_onnx_import_rotary_embedding, NONE},
    {"Scatter", 9, 10, 3, 3, nib_onnx_import_scatter_elements, NONE},
    {"ScatterElements", 11, LAST, 3, 3, nib_onnx_import_scatter_elements, NONE},
    {"ScatterND", 11, LAST, 3, 3, nib_onnx_import_scatter_nd, NONE},
    {"Shape", 7, LAST, 1, 1, nib_onnx_import_shape, NONE},
    {"Size", 7, LAST, 1, 1, nib_onnx_import_shape, NONE},
    {"Slice", 7, LAST, 1, 5, nib_onnx_import_slice, NONE},
    {"Softmax", 7, LAST, 1, 1, nib_onnx_import_softmax, NONE},
    {"SpaceToDepth", 7, LAST, 1, 1, nib_onnx_import_space_to_depth, NONE},
    {"Split", 7, LAST, 1, 2, nib_onnx_import_split, NONE},
    {"Squeeze", 7, LAST, 1, 2, nib_onnx_import_squeeze, NONE},
    {"STFT", 17, LAST, 2, 4, nib_onnx_import_stft, NONE},
    {"SwiGLU", 28, LAST, 2, 2, nib_onnx_import_swiglu, NONE},
    {"TensorScatter", 24, LAST, 2, 3, nib_onnx_import_tensor_scatter, NONE},
    {"Tile", 7, LAST, 2, 2, nib_onnx_import_tile, NONE},
    {"TopK", 7, LAST, 1, 2, nib_onnx_import_top_k, NONE},
    {"Transpose", 7, LAST, 1, 1, nib_onnx_import_transpose, NONE},
    {"Trilu", 14, LAST, 1, 2, nib_onnx_import_trilu, NONE},
    {"Unsqueeze", 7, LAST, 1, 2, nib_onnx_import_unsqueeze, NONE},
    {"Upsample", 7, 9, 1, 2, nib_onnx_import_upsample, NONE},
};

/* By subject; the first row that fits is taken. */
static const nib_onnx_row *find_in(const nib_onnx_row *table, size_t n, const char *op_type,
                                   int64_t opset, bool *out_known) {
  for (size_t i = 0; i < n; ++i) {
    if (strcmp(table[i].op_type, op_type))
      continue;
    *out_known = true;
    if (opset >= table[i].first_opset && opset <= table[i].last_opset)
      return &table[i];
  }
  return NULL;
}

/* QONNX, whose versions are not those of the default domain. */
static const nib_onnx_row qonnx_rows[] = {
    {"BipolarQuant", 0, LAST, 2, 2, nib_onnx_import_qonnx_bipolar, NONE},
    {"FloatQuant", 0, LAST, 6, 6, nib_onnx_import_qonnx_float, NONE},
    {"IntQuant", 0, LAST, 4, 4, nib_onnx_import_qonnx_quant, NONE},
    {"Quant", 0, LAST, 4, 4, nib_onnx_import_qonnx_quant, NONE},
    {"Trunc", 0, LAST, 5, 6, nib_onnx_import_qonnx_trunc, NONE},
};

/* The first two are names of the default domain; the others of QONNX, now and formerly. */
static const char *const domains[] = {"", "ai.onnx", "qonnx.custom_op.general",
                                      "finn.custom_op.general", "onnx.brevitas"};
enum { N_DEFAULT = 2, N_DOMAINS = sizeof domains / sizeof domains[0] };

static int find_domain(const char *name) {
  int i = 0;
  while (i < N_DOMAINS && strcmp(domains[i], name))
    ++i;
  return i;
}

static bool is_microsoft(const char *domain) { return !strcmp(domain, "com.microsoft"); }

bool nib_onnx_knows_domain(const char *domain) {
  return is_microsoft(domain) || find_domain(domain) < N_DOMAINS;
}

const nib_onnx_row *nib_onnx_find_row(const char *domain, const char *op_type, int64_t opset,
                                      bool *out_known) {
  const int d = find_domain(domain);
  *out_known = false;
  if (is_microsoft(domain))
    return nib_onnx_find_microsoft_row(op_type);
  if (d == N_DOMAINS)
    return NULL;
  if (d >= N_DEFAULT)
    return find_in(qonnx_rows, sizeof qonnx_rows / sizeof qonnx_rows[0], op_type, opset, out_known);
  const nib_onnx_row *row = find_in(rows, sizeof rows / sizeof rows[0], op_type, opset, out_known);
  return row ? row
             : find_in(nib_onnx_elementwise_rows, nib_onnx_n_elementwise_rows, op_type, opset,
                       out_known);
}

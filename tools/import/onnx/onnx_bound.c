/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Inputs of the model that an operator needs while it is imported: shapes, axes, counts, scales. A
 * network has them as constants; where the caller brings values for the inputs (test data), those
 * become the constants. */
#include "onnx_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Operands, as a bit set, that must be constants. Those whose value may come at run time as well
 * are not here. */
static const struct {
  const char *op_type;
  uint32_t operands;
} needed[] = {
    {"AffineGrid", 1 << 1},
    {"BatchNormalization", 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4},
    {"BlackmanWindow", 1 << 0},
    {"CenterCropPad", 1 << 1},
    {"Col2Im", 1 << 1 | 1 << 2},
    {"Compress", 1 << 1},
    {"ConstantOfShape", 1 << 0},
    {"CumProd", 1 << 1},
    {"CumSum", 1 << 1},
    {"DFT", 1 << 1 | 1 << 2},
    {"Dropout", 1 << 1 | 1 << 2},
    {"Expand", 1 << 1},
    {"HammingWindow", 1 << 0},
    {"HannWindow", 1 << 0},
    {"MaxUnpool", 1 << 2},
    {"MelWeightMatrix", 31},
    {"NonZero", 1 << 0},
    {"OneHot", 1 << 1},
    {"Pad", 1 << 1 | 1 << 2 | 1 << 3},
    {"Range", 7},
    {"ReduceL1", 1 << 1},
    {"ReduceL2", 1 << 1},
    {"ReduceLogSum", 1 << 1},
    {"ReduceLogSumExp", 1 << 1},
    {"ReduceMax", 1 << 1},
    {"ReduceMean", 1 << 1},
    {"ReduceMin", 1 << 1},
    {"ReduceProd", 1 << 1},
    {"ReduceSum", 1 << 1},
    {"ReduceSumSquare", 1 << 1},
    {"Reshape", 1 << 1},
    {"Resize", 1 << 1 | 1 << 2 | 1 << 3},
    {"STFT", 1 << 1 | 1 << 3},
    {"Slice", 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4},
    {"Split", 1 << 1},
    {"Squeeze", 1 << 1},
    {"Tile", 1 << 1},
    {"TopK", 1 << 1},
    {"Trilu", 1 << 1},
    {"Unsqueeze", 1 << 1},
    {"Upsample", 1 << 1},
};

nib_status nib_onnx_make_constant(nib_onnx_node *n, size_t i) {
  nib_onnx_value *v = nib_onnx_input(n, i);
  if (!v || v->data || !v->given || !v->given->data || v->given->format != v->format)
    return NIB_OK;
  uint8_t *data = nib_onnx_fold_alloc(n, v->given->bytes);
  if (!data)
    return n->ctx->failure;
  if (v->given->bytes)
    memcpy(data, v->given->data, v->given->bytes);
  v->data = data;
  v->bytes = v->given->bytes;
  v->tensor = NIB_NONE;
  v->given->is_constant = true;
  return NIB_OK;
}

nib_status nib_onnx_bind_constants(nib_onnx_node *n) {
  for (size_t k = 0; k < sizeof needed / sizeof *needed; ++k) {
    if (strcmp(needed[k].op_type, nib_onnx_text(n->proto->op_type)))
      continue;
    for (size_t i = 0; i < n->proto->n_input && i < 32; ++i)
      if (needed[k].operands >> i & 1)
        NIB_RETURN_IF_ERROR(nib_onnx_make_constant(n, i));
  }
  return NIB_OK;
}

static bool is_read(const nib_graph *g, int32_t tensor) {
  return nib_graph_is_output(g, tensor) || nib_graph_count_uses(g, tensor, NULL) > 0;
}

/* Inputs that became constants and that no operator reads at run time leave the graph. */
nib_status nib_onnx_drop_inputs(nib_onnx_ctx *ctx) {
  nib_graph *g = ctx->graph;
  int32_t kept = 0, at = 0;
  int32_t *ids = nib_graph_alloc(g, ((size_t)g->n_inputs + 1) * sizeof *ids);
  if (!ids)
    return nib_onnx_out_of_memory(ctx);
  for (int32_t v = 0; v < ctx->n_values && at < g->n_inputs; ++v) {
    nib_input_value *given = ctx->values[v].given;
    if (!ctx->values[v].is_input)
      continue;
    const int32_t tensor = g->inputs[at++];
    if (given && given->is_constant && is_read(g, tensor))
      given->is_constant = false;
    if (!given || !given->is_constant)
      ids[kept++] = tensor;
  }
  return nib_graph_set_inputs(g, ids, kept) == NIB_OK ? NIB_OK : nib_onnx_out_of_memory(ctx);
}

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which operators have a lowering.
#include "passes/lower/Lowering.h"
#include "passes/lower/RealExpression.h"

#include "reference/reference.h"

#include <array>
#include <cstdlib>

using namespace mlir;
using namespace nib;

static std::unique_ptr<RealExpression> expressionOf(nib_op op) {
  const nib_real_function *function = nib_params_real_function(op);
  return function ? RealExpression::parse(function->text, {"x"}) : nullptr;
}

bool nib::hasRealFunction(nib_op op) { return nib_params_real_function(op) != nullptr; }

Num nib::applyRealFunction(nib_op op, Num x) { return expressionOf(op)->emit({x}); }

static bool understood(const nib_graph *graph, const nib_node *node) {
  const nib_tensor &y = graph->tensors[node->out];
  return (isReal(y) || y.quantized) && (!hasRealFunction(node->op) || expressionOf(node->op));
}

// Whether the multipliers are known.
static bool knownMultipliers(const nib_graph *graph, const nib_node *node) {
  nib_requantize_params params = {};
  if (nib_params_requantize(graph, node, &params) != NIB_OK)
    return false;
  std::free(params.requant);
  return true;
}

using Table = std::array<LoweringRow, NIB_OP_COUNT>;

static Table makeTable() {
  Table table = {};
  for (int op = 0; op < NIB_OP_COUNT; ++op)
    if (nib_op_get((nib_op)op)->family == NIB_FAMILY_FUNCTION)
      table[op] = {lowerFunction, understood};
  table[NIB_OP_CONV2D] = {lowerFilter};
  table[NIB_OP_DEPTHWISE_CONV2D] = {lowerFilter};
  table[NIB_OP_TRANSPOSE_CONV2D] = {lowerFilter};
  table[NIB_OP_FULLY_CONNECTED] = {lowerFilter};
  table[NIB_OP_MATMUL] = {lowerMatMul};
  table[NIB_OP_AVG_POOL2D] = {lowerAvgPool};
  table[NIB_OP_MAX_POOL2D] = {lowerMaxPool};
  table[NIB_OP_MEAN] = {lowerMean};
  table[NIB_OP_ADD] = {lowerArithmetic};
  table[NIB_OP_SUB] = {lowerArithmetic};
  table[NIB_OP_MUL] = {lowerArithmetic};
  table[NIB_OP_DIV] = {lowerArithmetic};
  table[NIB_OP_SOFTMAX] = {lowerSoftmax};
  table[NIB_OP_LOOKUP] = {lowerLookup};
  table[NIB_OP_PAD] = {lowerPad};
  table[NIB_OP_RESHAPE] = {lowerReshape};
  table[NIB_OP_TRANSPOSE] = {lowerTranspose};
  table[NIB_OP_CONCAT] = {lowerConcat};
  table[NIB_OP_SLICE] = {lowerSlice};
  table[NIB_OP_STRIDED_SLICE] = {lowerSlice};
  table[NIB_OP_SQUEEZE] = {lowerReshape};
  table[NIB_OP_EXPAND_DIMS] = {lowerReshape};
  table[NIB_OP_QUANTIZE] = {lowerQuantize};
  table[NIB_OP_DEQUANTIZE] = {lowerDequantize};
  table[NIB_OP_REQUANTIZE] = {lowerRequantize, knownMultipliers};
  return table;
}

const LoweringRow *nib::loweringOf(nib_op op) {
  static const Table table = makeTable();
  return op < NIB_OP_COUNT && table[op].lower ? &table[op] : nullptr;
}

// Formats that a loop can load and store.
static bool hasElements(const nib_tensor &tensor) {
  switch (nib_format_get(tensor.format)->kind) {
  case NIB_KIND_SIGNED:
  case NIB_KIND_UNSIGNED:
    return true;
  case NIB_KIND_FLOAT:
    return tensor.format == NIB_F32 || tensor.format == NIB_F64;
  default:
    return false;
  }
}

bool nib::canLower(const nib_graph *graph, int32_t node) {
  const nib_node &n = graph->nodes[node];
  const LoweringRow *row = loweringOf(n.op);
  for (int32_t id : llvm::ArrayRef(n.in, n.n_in))
    if (id != NIB_NONE && !hasElements(graph->tensors[id]))
      return false;
  return hasElements(graph->tensors[n.out]) && row && nib_reference_supports(graph, node) &&
         (!row->accepts || row->accepts(graph, &graph->nodes[node]));
}

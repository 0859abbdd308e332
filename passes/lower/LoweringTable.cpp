// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Which operators have a lowering.
#include "passes/lower/Blocks.h"
#include "passes/lower/Expression.h"

#include "reference/reference.h"

#include <array>
#include <cstdlib>

using namespace mlir;
using namespace nib;

using Pointer = std::unique_ptr<Expression>;

// The expression of a row for numbers of one kind; null if there is none that is understood.
static Pointer parse(const char *text, Expression::Kind kind,
                     llvm::ArrayRef<llvm::StringRef> names) {
  return text ? Expression::parse(text, kind, names) : nullptr;
}

static Pointer realFunction(nib_op op, bool wide) {
  const nib_real_function *row = nib_params_real_function(op);
  return row ? parse(wide ? row->text64 : row->text, Expression::Real, {"x"}) : nullptr;
}

static Pointer integerFunction(nib_op op, bool isUnsigned) {
  const nib_integer_function *row = nib_params_integer_function(op);
  return row ? parse(isUnsigned ? row->unsigned_text : row->signed_text,
                     isUnsigned ? Expression::Unsigned : Expression::Signed, {"x"})
             : nullptr;
}

static Pointer binaryReal(nib_op op, bool wide) {
  const nib_binary_real *row = nib_params_binary_real(op);
  return row ? parse(wide ? row->text64 : row->text, Expression::Real, {"a", "b"}) : nullptr;
}

static Pointer binaryInteger(nib_op op, bool isUnsigned) {
  const nib_binary_integer *row = nib_params_binary_integer(op);
  return row ? parse(isUnsigned ? row->unsigned_text : row->signed_text,
                     isUnsigned ? Expression::Unsigned : Expression::Signed, {"a", "b"})
             : nullptr;
}

bool nib::hasRealFunction(nib_op op) { return nib_params_real_function(op) != nullptr; }

Num nib::applyRealFunction(nib_op op, Num x) { return realFunction(op, x.bits() == 64)->emit({x}); }

Num nib::applyIntegerFunction(nib_op op, bool isUnsigned, Num x) {
  return integerFunction(op, isUnsigned)->emit({x});
}

Num nib::applyBinaryReal(nib_op op, Num a, Num b) {
  return binaryReal(op, a.bits() == 64)->emit({a, b});
}

Num nib::applyBinaryInteger(nib_op op, bool isUnsigned, Num a, Num b) {
  return binaryInteger(op, isUnsigned)->emit({a, b});
}

static bool isUnsigned(const nib_tensor &tensor) {
  return nib_format_get(tensor.format)->kind == NIB_KIND_UNSIGNED;
}

// Whether the row's expression for the node's numbers is understood.
static bool functionUnderstood(const nib_graph *graph, const nib_node *node) {
  const nib_tensor &x = *nib_node_input(graph, node, 0), &y = graph->tensors[node->out];
  if (!isReal(y) && !y.quantized)
    return integerFunction(node->op, isUnsigned(x)) != nullptr;
  return !hasRealFunction(node->op) || realFunction(node->op, y.format == NIB_F64);
}

static bool binaryUnderstood(const nib_graph *graph, const nib_node *node) {
  const nib_tensor &a = *nib_node_input(graph, node, 0), &y = graph->tensors[node->out];
  if (y.quantized)
    return true;
  return isReal(a) ? binaryReal(node->op, a.format == NIB_F64) != nullptr
                   : binaryInteger(node->op, isUnsigned(a)) != nullptr;
}

// Whether the multipliers are known.
static bool knownMultipliers(const nib_graph *graph, const nib_node *node) {
  nib_requantize_params params = {};
  if (nib_params_requantize(graph, node, &params) != NIB_OK)
    return false;
  std::free(params.requant);
  return true;
}

static bool decodesExactly(const nib_graph *graph, const nib_node *node) {
  return nib_node_decode_format(graph, node) == NIB_NO_FORMAT;
}

using Table = std::array<LoweringRow, NIB_OP_COUNT>;

static Table makeTable() {
  Table table = {};
  for (int op = 0; op < NIB_OP_COUNT; ++op)
    if (nib_op_get((nib_op)op)->family == NIB_FAMILY_FUNCTION)
      table[op] = {lowerFunction, functionUnderstood};
    else if (nib_op_get((nib_op)op)->family == NIB_FAMILY_BINARY)
      table[op] = {lowerBinary, binaryUnderstood};
  table[NIB_OP_CONV2D] = {lowerFilter};
  table[NIB_OP_DEPTHWISE_CONV2D] = {lowerFilter};
  table[NIB_OP_TRANSPOSE_CONV2D] = {lowerFilter};
  table[NIB_OP_FULLY_CONNECTED] = {lowerFilter, decodesExactly};
  table[NIB_OP_MATMUL] = {lowerMatMul};
  table[NIB_OP_AVG_POOL2D] = {lowerAvgPool};
  table[NIB_OP_MAX_POOL2D] = {lowerMaxPool};
  table[NIB_OP_MEAN] = {lowerMean};
  table[NIB_OP_ADD] = {lowerArithmetic, binaryUnderstood};
  table[NIB_OP_SUB] = {lowerArithmetic, binaryUnderstood};
  table[NIB_OP_MUL] = {lowerArithmetic, binaryUnderstood};
  table[NIB_OP_DIV] = {lowerArithmetic, binaryUnderstood};
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
  table[NIB_OP_MULTI_THRESHOLD] = {lowerMultiThreshold};
  table[NIB_OP_REDUCE] = {lowerReduce};
  table[NIB_OP_WHERE] = {lowerWhere};
  table[NIB_OP_BITCAST] = {lowerBitcast};
  table[NIB_OP_BROADCAST] = {lowerBroadcast};
  table[NIB_OP_GATHER] = {lowerGather};
  table[NIB_OP_GATHER_ELEMENTS] = {lowerGatherElements};
  table[NIB_OP_GATHER_ND] = {lowerGatherNd};
  table[NIB_OP_CUMULATE] = {lowerCumulate};
  table[NIB_OP_SCATTER_ND] = {lowerScatterNd, scatterAccepts};
  table[NIB_OP_SCATTER_ELEMENTS] = {lowerScatterElements, scatterAccepts};
  table[NIB_OP_TOP_K] = {lowerTopK};
  table[NIB_OP_SCAST] = {lowerReshape};
  table[NIB_OP_CAST] = {lowerCast};
  table[NIB_OP_PACK] = {lowerPack};
  table[NIB_OP_UNPACK] = {lowerUnpack};
  return table;
}

const LoweringRow *nib::loweringOf(nib_op op) {
  static const Table table = makeTable();
  return op < NIB_OP_COUNT && table[op].lower ? &table[op] : nullptr;
}

// Codebooks, bipolar numbers and blocks are made by the operators that give codes, or moved; others
// only read them.
static bool stores(const nib_node &node, const nib_tensor &y) {
  const nib_family family = nib_op_get(node.op)->family;
  if (nib_format_get(y.format)->kind <= NIB_KIND_FLOAT || node.op == NIB_OP_CAST ||
      family == NIB_FAMILY_VIEW || family == NIB_FAMILY_MOVE || family == NIB_FAMILY_SELECT)
    return true;
  return (node.op == NIB_OP_QUANTIZE || node.op == NIB_OP_MULTI_THRESHOLD) &&
         nib_format_get(y.format)->kind == NIB_KIND_BIPOLAR;
}

bool nib::canLower(const nib_graph *graph, int32_t node) {
  const nib_node &n = graph->nodes[node];
  const LoweringRow *row = loweringOf(n.op);
  for (int32_t id : llvm::ArrayRef(n.in, n.n_in))
    if (id != NIB_NONE && !hasCodec(graph->tensors[id].format))
      return false;
  const nib_tensor &y = graph->tensors[n.out];
  return hasCodec(y.format) && stores(n, y) && row && nib_reference_supports(graph, node) &&
         (!row->accepts || row->accepts(graph, &graph->nodes[node]));
}

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The reference lowering: networks of `nib` operators as linalg on tensors.
#include "dialect/OperatorGraph.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Passes.h"
#include "passes/bridge/GraphIO.h"
#include "passes/lower/Lowering.h"
#include "pipeline/pass_status.h"

namespace nib {
#define GEN_PASS_DEF_CONVERTNIBTOLINALG
#include "NibPasses.h.inc"
} // namespace nib

using namespace mlir;

// Whether `function` is a network: it has operators of the dialect, or tensors of its types.
static bool isNetwork(func::FuncOp function) {
  auto quantized = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && isa<quant::QuantizedType>(tensor.getElementType());
  };
  FunctionType type = function.getFunctionType();
  return llvm::any_of(type.getInputs(), quantized) || llvm::any_of(type.getResults(), quantized) ||
         function
             .walk([](Operation *op) {
               bool ours = isa_and_nonnull<nib::NibDialect>(op->getDialect());
               return ours ? WalkResult::interrupt() : WalkResult::advance();
             })
             .wasInterrupted();
}

static Location locationOf(func::FuncOp function, const nib_node &node) {
  return node.origin ? Location::getFromOpaquePointer(node.origin) : function.getLoc();
}

// Names every operator that has no lowering.
static LogicalResult checkOperators(func::FuncOp function, const nib_graph *graph) {
  LogicalResult result = success();
  for (int32_t i = 0; i < graph->n_nodes; ++i) {
    const nib_node &node = graph->nodes[i];
    if (nib_node_is_erased(&node) || nib::canLower(graph, i))
      continue;
    std::string formats;
    for (int32_t id : ArrayRef(node.in, node.n_in))
      if (id != NIB_NONE)
        formats += std::string(formats.empty() ? "" : ", ") +
                   nib_format_get(graph->tensors[id].format)->name;
    emitError(locationOf(function, node))
        << "nib." << nib_op_get(node.op)->mnemonic << " of " << formats << " to "
        << nib_format_get(graph->tensors[node.out].format)->name << " has no lowering to linalg";
    nib_pass_status_note(NIB_ERROR_UNSUPPORTED);
    result = failure();
  }
  return result;
}

namespace {

class ConvertNibToLinalg : public nib::impl::ConvertNibToLinalgBase<ConvertNibToLinalg> {
public:
  using ConvertNibToLinalgBase::ConvertNibToLinalgBase;

  void runOnOperation() override {
    SmallVector<func::FuncOp> networks;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (isNetwork(function))
        networks.push_back(function);
    for (func::FuncOp function : networks)
      if (failed(convert(function)))
        signalPassFailure();
  }

private:
  LogicalResult convert(func::FuncOp function);
  LogicalResult convertBody(func::FuncOp function, func::FuncOp lowered, const nib_graph *graph);
};

} // namespace

LogicalResult ConvertNibToLinalg::convertBody(func::FuncOp function, func::FuncOp lowered,
                                              const nib_graph *graph) {
  Block *block = lowered.addEntryBlock();
  ImplicitLocOpBuilder builder(function.getLoc(), OpBuilder::atBlockEnd(block));
  nib::Lowering lowering(builder, graph);
  lowering.entry = block;
  for (int32_t i = 0; i < graph->n_inputs; ++i)
    lowering.setValue(graph->inputs[i], block->getArgument(i));
  for (int32_t i = 0; i < graph->n_nodes; ++i) {
    const nib_node &node = graph->nodes[i];
    if (nib_node_is_erased(&node))
      continue;
    builder.setLoc(locationOf(function, node));
    lowering.node = &node;
    Value result = nib::loweringOf(node.op)->lower(lowering);
    if (!result)
      return emitError(builder.getLoc())
             << "nib." << nib_op_get(node.op)->mnemonic << " cannot be lowered";
    lowering.setValue(node.out, result);
  }
  SmallVector<Value> results;
  for (int32_t i = 0; i < graph->n_outputs; ++i)
    results.push_back(lowering.valueOf(graph->outputs[i]));
  builder.setLoc(function.getLoc());
  func::ReturnOp::create(builder, results);
  return success();
}

LogicalResult ConvertNibToLinalg::convert(func::FuncOp function) {
  nib::GraphPtr graph = nib::readGraph(function);
  if (!graph || failed(checkOperators(function, graph.get())))
    return failure();
  ImplicitLocOpBuilder builder(function.getLoc(), function);
  nib::Lowering types(builder, graph.get());
  SmallVector<Type> inputs, outputs;
  for (int32_t i = 0; i < graph->n_inputs; ++i)
    inputs.push_back(types.typeOf(graph->tensors[graph->inputs[i]]));
  for (int32_t i = 0; i < graph->n_outputs; ++i)
    outputs.push_back(types.typeOf(graph->tensors[graph->outputs[i]]));
  auto lowered =
      func::FuncOp::create(builder, function.getName(), builder.getFunctionType(inputs, outputs));
  lowered.setVisibility(function.getVisibility());
  for (NamedAttribute attr : function->getDiscardableAttrs())
    if (!attr.getName().strref().starts_with("nib."))
      lowered->setAttr(attr.getName(), attr.getValue());
  if (failed(convertBody(function, lowered, graph.get()))) {
    lowered.erase();
    return failure();
  }
  function.erase();
  return success();
}

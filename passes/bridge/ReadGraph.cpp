// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A function of the IR as a nib_graph.
#include "passes/bridge/GraphIO.h"

#include "dialect/OperatorGraph.h"

using namespace mlir;

namespace {

class GraphReader {
public:
  explicit GraphReader(func::FuncOp function) : function(function) {}
  nib::GraphPtr read();

private:
  LogicalResult checkOperations();
  LogicalResult readArguments();
  LogicalResult readBlock(Block &block, SmallVectorImpl<int32_t> *kernelNodes);
  LogicalResult readConstant(nib::ConstantOp op);
  LogicalResult readNode(Operation *op, int32_t &node);
  LogicalResult readKernel(nib::KernelOp op);
  LogicalResult readReturn(func::ReturnOp op);
  LogicalResult resolveAliases();
  void readFacts();
  int32_t addResult(Operation *op);
  void readPlan(int32_t tensor, Location location, function_ref<Attribute(StringRef)> attr);
  const char *keep(std::optional<StringRef> text) {
    return text ? nib_graph_strdup(graph.get(), text->str().c_str()) : nullptr;
  }

  func::FuncOp function;
  nib::GraphPtr graph;
  llvm::DenseMap<Value, int32_t> ids;
  llvm::DenseMap<int64_t, int32_t> storages;
  struct Alias {
    int32_t tensor;
    int64_t storage;
    Location location;
  };
  SmallVector<Alias> aliases;
};

} // namespace

static int64_t numberOr(Attribute attr, int64_t absent) {
  auto number = dyn_cast_or_null<IntegerAttr>(attr);
  return number ? number.getInt() : absent;
}

// Everything that is no operator of the dialect, all of it at once.
LogicalResult GraphReader::checkOperations() {
  if (function.isExternal())
    return function.emitError("the function to compile has no body");
  if (!function.getBody().hasOneBlock())
    return function.emitError("the function to compile must have one block: no control flow");
  LogicalResult result = success();
  function.getBody().walk([&](Operation *op) {
    if (isa<func::ReturnOp, nib::KernelOp, nib::YieldOp>(op) || nib::operatorOf(op) != NIB_OP_COUNT)
      return;
    op->emitError() << "'" << op->getName()
                    << "' is no operator of the nib dialect and cannot be compiled";
    result = failure();
  });
  return result;
}

void GraphReader::readPlan(int32_t tensor, Location location,
                           function_ref<Attribute(StringRef)> attr) {
  graph->tensors[tensor].arena_offset = numberOr(attr("nib.arena_offset"), -1);
  int64_t storage = numberOr(attr("nib.storage"), -1);
  if (storage >= 0)
    storages[storage] = tensor;
  int64_t alias = numberOr(attr("nib.alias_of"), -1);
  if (alias >= 0)
    aliases.push_back({tensor, alias, location});
}

LogicalResult GraphReader::readArguments() {
  SmallVector<int32_t> inputs;
  for (BlockArgument argument : function.getArguments()) {
    unsigned number = argument.getArgNumber();
    auto name = function.getArgAttrOfType<StringAttr>(number, "nib.name");
    auto error = [&] { return function.emitError() << "argument " << number << ": "; };
    int32_t id =
        nib::addTensor(graph.get(), name ? name.getValue() : "", argument.getType(), error);
    if (id == NIB_NONE)
      return failure();
    readPlan(id, argument.getLoc(),
             [&](StringRef key) { return function.getArgAttr(number, key); });
    ids[argument] = id;
    inputs.push_back(id);
  }
  return success(nib_graph_set_inputs(graph.get(), inputs.data(), (int32_t)inputs.size()) ==
                 NIB_OK);
}

int32_t GraphReader::addResult(Operation *op) {
  auto name = op->getAttrOfType<StringAttr>("nib.result");
  std::string text = name ? name.str() : nib::readLocation(op->getLoc()).name;
  int32_t id = nib::addTensor(graph.get(), text, op->getResult(0).getType(),
                              [&] { return op->emitOpError(); });
  if (id == NIB_NONE)
    return NIB_NONE;
  readPlan(id, op->getLoc(), [&](StringRef key) { return op->getDiscardableAttr(key); });
  ids[op->getResult(0)] = id;
  return id;
}

LogicalResult GraphReader::readConstant(nib::ConstantOp op) {
  int32_t id = addResult(op);
  return id == NIB_NONE ? failure() : nib::setConstantData(graph.get(), id, op);
}

LogicalResult GraphReader::readNode(Operation *op, int32_t &node) {
  SmallVector<Value> slots;
  if (failed(nib::operandsBySlot(op, slots)))
    return failure();
  SmallVector<int32_t> in;
  for (Value value : slots) {
    auto found = value ? ids.find(value) : ids.end();
    if (value && found == ids.end())
      return op->emitOpError("uses a value that does not belong to the graph");
    in.push_back(value ? found->second : NIB_NONE);
  }
  int32_t out = addResult(op);
  node = out == NIB_NONE ? NIB_NONE : nib::addNode(graph.get(), op, in, out);
  return success(node != NIB_NONE);
}

LogicalResult GraphReader::readKernel(nib::KernelOp op) {
  SmallVector<int32_t> nodes;
  Block &block = op.getBody().front();
  if (failed(readBlock(block, &nodes)))
    return failure();
  int32_t result = ids.lookup(cast<nib::YieldOp>(block.getTerminator()).getValue());
  ids[op.getResult()] = result;
  if (op.getArenaOffset())
    graph->tensors[result].arena_offset = (int64_t)*op.getArenaOffset();
  int32_t id = nib_graph_add_kernel(graph.get(), op.getName().str().c_str(), nodes.data(),
                                    (int32_t)nodes.size());
  if (id == NIB_NONE)
    return op.emitError("out of memory");
  nib_kernel &kernel = graph->kernels[id];
  kernel.schedule = keep(op.getSchedule());
  kernel.vocab = keep(op.getVocab());
  if (std::optional<ArrayRef<int64_t>> tile = op.getTile())
    for (auto [i, size] : llvm::enumerate(tile->take_front(NIB_MAX_TILE)))
      kernel.tile[i] = (int32_t)size;
  kernel.parts = (int32_t)op.getParts().value_or(0);
  kernel.predicted_ns = op.getPredictedNs() ? op.getPredictedNs()->convertToDouble() : 0;
  kernel.scratch_bytes = (int64_t)op.getScratchBytes().value_or(0);
  kernel.scratch_offset = numberOr(op.getScratchOffsetAttr(), -1);
  return success();
}

LogicalResult GraphReader::readReturn(func::ReturnOp op) {
  SmallVector<int32_t> outputs;
  for (auto [number, value] : llvm::enumerate(op.getOperands())) {
    auto found = ids.find(value);
    if (found == ids.end())
      return op.emitError("returns a value that does not belong to the graph");
    nib_tensor &tensor = graph->tensors[found->second];
    auto name = function.getResultAttrOfType<StringAttr>(number, "nib.name");
    if (name && !*tensor.name)
      tensor.name = keep(name.getValue());
    outputs.push_back(found->second);
  }
  return success(nib_graph_set_outputs(graph.get(), outputs.data(), (int32_t)outputs.size()) ==
                 NIB_OK);
}

LogicalResult GraphReader::readBlock(Block &block, SmallVectorImpl<int32_t> *kernelNodes) {
  for (Operation &op : block) {
    LogicalResult result = success();
    if (auto constant = dyn_cast<nib::ConstantOp>(op)) {
      result = readConstant(constant);
    } else if (auto kernel = dyn_cast<nib::KernelOp>(op)) {
      result = readKernel(kernel);
    } else if (auto terminator = dyn_cast<func::ReturnOp>(op)) {
      result = readReturn(terminator);
    } else if (!isa<nib::YieldOp>(op)) {
      int32_t node = NIB_NONE;
      result = readNode(&op, node);
      if (succeeded(result) && kernelNodes)
        kernelNodes->push_back(node);
    }
    if (failed(result))
      return failure();
  }
  return success();
}

LogicalResult GraphReader::resolveAliases() {
  for (const Alias &alias : aliases) {
    auto found = storages.find(alias.storage);
    if (found == storages.end())
      return emitError(alias.location) << "nib.alias_of = " << alias.storage
                                       << ", but nothing has nib.storage = " << alias.storage;
    graph->tensors[alias.tensor].alias_of = found->second;
  }
  return success();
}

void GraphReader::readFacts() {
  if (auto rounding = function->getAttrOfType<StringAttr>("nib.rounding"))
    graph->rounding = keep(rounding.getValue());
  graph->integer_only = function->hasAttr("nib.integer_only");
  graph->threads = (int32_t)numberOr(function->getAttr("nib.threads"), 0);
  graph->arena_bytes = numberOr(function->getAttr("nib.arena_bytes"), -1);
  graph->lower_bound_bytes = numberOr(function->getAttr("nib.lower_bound_bytes"), -1);
  graph->unfused_lower_bound_bytes =
      numberOr(function->getAttr("nib.unfused_lower_bound_bytes"), -1);
  graph->proven_bound_bytes = numberOr(function->getAttr("nib.proven_bound_bytes"), -1);
}

nib::GraphPtr GraphReader::read() {
  if (failed(checkOperations()))
    return nullptr;
  graph.reset(nib_graph_create(function.getName().str().c_str()));
  if (!graph) {
    function.emitError("out of memory");
    return nullptr;
  }
  readFacts();
  if (failed(readArguments()) || failed(readBlock(function.getBody().front(), nullptr)) ||
      failed(resolveAliases()))
    return nullptr;
  nib::DiagnosticSink sink(function.getLoc());
  nib_diag diag = sink.diag();
  if (nib_graph_validate(graph.get(), &diag) != NIB_OK)
    return nullptr;
  return std::move(graph);
}

func::FuncOp nib::findOnlyFunction(ModuleOp module) {
  func::FuncOp only;
  for (Operation &op : *module.getBody()) {
    auto function = dyn_cast<func::FuncOp>(op);
    if (!function) {
      op.emitError() << "'" << op.getName()
                     << "' is not expected here: a network is one func.func in a module";
      return {};
    }
    if (only) {
      function.emitError() << "a network is one function, and the module has @" << only.getName()
                           << " before this one";
      return {};
    }
    only = function;
  }
  if (!only)
    module.emitError("a network is one func.func, and the module has none");
  return only;
}

nib::GraphPtr nib::readGraph(func::FuncOp function) { return GraphReader(function).read(); }

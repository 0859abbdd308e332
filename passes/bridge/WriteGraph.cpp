// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A nib_graph as a function of the IR.
#include "passes/bridge/GraphIO.h"

#include "dialect/OperatorGraph.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace {

class GraphWriter {
public:
  GraphWriter(OpBuilder &builder, Location location, const nib_graph *graph)
      : builder(builder), location(location), graph(graph), values(std::max(graph->n_tensors, 0)),
        aliased(std::max(graph->n_tensors, 0)), storages(std::max(graph->n_tensors, 0), -1) {}
  func::FuncOp write();

private:
  InFlightDiagnostic error() { return emitError(location) << "network '" << graph->name << "': "; }
  func::FuncOp writeSignature();
  LogicalResult writeBody();
  LogicalResult writeNode(const nib_node &node);
  LogicalResult writeKernel(const nib_kernel &kernel);
  LogicalResult writeConstants(const nib_node &node);
  LogicalResult writeConstant(int32_t id);
  LogicalResult writeReturn();
  void orderFreeNodes(SmallVectorImpl<SmallVector<int32_t>> &after);
  Attribute constantValue(const nib_tensor &tensor);
  void setAttrs(const nib_node &node, OperationState &state);
  Location nodeLocation(const nib_node &node);
  int32_t storageNumber(int32_t id);
  void addPlan(int32_t id, bool offset, SmallVectorImpl<NamedAttribute> &attrs);
  void addNumber(StringRef name, int64_t number, SmallVectorImpl<NamedAttribute> &attrs) {
    if (number >= 0)
      attrs.push_back(builder.getNamedAttr(name, builder.getI64IntegerAttr(number)));
  }
  void addName(int32_t id, SmallVectorImpl<NamedAttribute> &attrs) {
    if (*graph->tensors[id].name)
      attrs.push_back(
          builder.getNamedAttr("nib.name", builder.getStringAttr(graph->tensors[id].name)));
  }
  bool isTensor(int32_t id) const { return id >= 0 && id < graph->n_tensors; }

  OpBuilder &builder;
  Location location;
  const nib_graph *graph;
  SmallVector<Value> values; // by tensor
  SmallVector<bool> aliased; // some tensor lives in this one's storage
  SmallVector<int32_t> storages; // their numbers, in the order in which they are mentioned
  int32_t nextStorage = 0;
};

} // namespace

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

static bool holds(DenseElementsAttr dense, const nib_tensor &tensor) {
  ArrayRef<char> raw = dense.getRawData();
  const char *data = static_cast<const char *>(tensor.data);
  for (size_t at = 0; at < tensor.data_bytes; at += raw.size())
    if (raw.empty() || at + raw.size() > tensor.data_bytes ||
        memcmp(raw.data(), data + at, raw.size()))
      return false;
  return true;
}

// The attribute that the tensor's data came from, if it still holds that data.
static Attribute unchangedValue(const nib_tensor &tensor, RankedTensorType storage) {
  if (!tensor.origin)
    return {};
  Attribute origin = Attribute::getFromOpaquePointer(tensor.origin);
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(origin)) {
    const AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob || blob->getData().data() != tensor.data ||
        blob->getData().size() != tensor.data_bytes)
      return {};
    return resource.getType() == storage
               ? resource
               : DenseResourceElementsAttr::get(storage, resource.getRawHandle());
  }
  auto dense = dyn_cast<DenseElementsAttr>(origin);
  return dense && dense.getType() == storage && holds(dense, tensor) ? dense : Attribute();
}

static std::string resourceName(StringRef name) {
  std::string text;
  for (char c : name)
    text += llvm::isAlnum(c) || c == '_' || c == '.' ? c : '_';
  return text.empty() || llvm::isDigit(text[0]) || text[0] == '.' ? "c" + text : text;
}

// Up to this many elements are written out in the text.
static constexpr int64_t maxInlineElems = 4;

Attribute GraphWriter::constantValue(const nib_tensor &tensor) {
  ArrayRef<int64_t> dims(tensor.dims, tensor.rank);
  RankedTensorType storage = nib::makeStorageType(builder.getContext(), tensor.format, dims);
  if (Attribute same = unchangedValue(tensor, storage))
    return same;
  ArrayRef<char> raw(static_cast<const char *>(tensor.data), tensor.data_bytes);
  if (nib_tensor_elems(&tensor) <= maxInlineElems && nib_tensor_elems(&tensor) > 0)
    return DenseElementsAttr::getFromRawBuffer(storage, raw);
  return DenseResourceElementsAttr::get(storage, resourceName(tensor.name),
                                        HeapAsmResourceBlob::allocateAndCopyWithAlign(raw, 64));
}

LogicalResult GraphWriter::writeConstant(int32_t id) {
  const nib_tensor &tensor = graph->tensors[id];
  auto type = nib::makeTensorType(builder.getContext(), tensor, [&] { return error(); });
  if (!type)
    return failure();
  if (tensor.data_bytes != nib_tensor_bytes(&tensor))
    return error() << "constant '" << tensor.name << "' has " << tensor.data_bytes << " bytes, "
                   << nib_tensor_bytes(&tensor) << " are needed";
  OperationState state(nib::makeLocation(builder.getContext(), tensor.name, -1),
                       nib::ConstantOp::getOperationName());
  SmallVector<NamedAttribute> attrs{builder.getNamedAttr("value", constantValue(tensor))};
  addPlan(id, true, attrs);
  state.addAttributes(attrs);
  state.addTypes(type);
  values[id] = builder.create(state)->getResult(0);
  return success();
}

LogicalResult GraphWriter::writeConstants(const nib_node &node) {
  for (int32_t id : ArrayRef(node.in, node.n_in))
    if (isTensor(id) && !values[id] && graph->tensors[id].data && failed(writeConstant(id)))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

Location GraphWriter::nodeLocation(const nib_node &node) {
  if (node.origin) {
    Location origin = Location::getFromOpaquePointer(node.origin);
    nib::SourceName source = nib::readLocation(origin);
    if (source.name == node.name && source.index == node.source_index)
      return origin;
  }
  return nib::makeLocation(builder.getContext(), node.name, node.source_index);
}

// Not the tensor's own number, which is another one when the text is read.
int32_t GraphWriter::storageNumber(int32_t id) {
  if (storages[id] < 0)
    storages[id] = nextStorage++;
  return storages[id];
}

void GraphWriter::addPlan(int32_t id, bool offset, SmallVectorImpl<NamedAttribute> &attrs) {
  const nib_tensor &tensor = graph->tensors[id];
  if (offset)
    addNumber("nib.arena_offset", tensor.arena_offset, attrs);
  if (aliased[id])
    addNumber("nib.storage", storageNumber(id), attrs);
  if (isTensor(tensor.alias_of))
    addNumber("nib.alias_of", storageNumber(tensor.alias_of), attrs);
}

void GraphWriter::setAttrs(const nib_node &node, OperationState &state) {
  for (const nib_attr &attr : ArrayRef(node.attrs, node.n_attrs)) {
    const nib_attr_info *info = nib_attr_get(attr.id);
    Attribute value;
    switch (info->kind) {
    case NIB_ATTR_INT:
      value = builder.getI64IntegerAttr(attr.u.i);
      break;
    case NIB_ATTR_INTS:
      value = builder.getDenseI64ArrayAttr(ArrayRef(attr.u.ints.v, attr.u.ints.n));
      break;
    case NIB_ATTR_FLOAT:
      value = builder.getF64FloatAttr(attr.u.f);
      break;
    case NIB_ATTR_STRING:
      value = builder.getStringAttr(attr.u.s);
      break;
    case NIB_ATTR_DATA:
      continue;
    }
    state.addAttribute(info->name, value);
  }
}

// Segment sizes of an operator with several optional operands.
static void addSegments(const nib_node &node, OpBuilder &builder, OperationState &state) {
  int slots = nib_op_operand_slots(node.op), optional = 0;
  SmallVector<int32_t> sizes;
  for (int slot = 0; slot < slots; ++slot) {
    optional += nib_op_operand_is_optional(node.op, slot);
    sizes.push_back(slot < node.n_in && node.in[slot] != NIB_NONE);
  }
  if (optional > 1)
    state.addAttribute("operandSegmentSizes", builder.getDenseI32ArrayAttr(sizes));
}

LogicalResult GraphWriter::writeNode(const nib_node &node) {
  if (!isTensor(node.out))
    return error() << "operator '" << node.name << "' has no result";
  const nib_tensor &result = graph->tensors[node.out];
  auto type = nib::makeTensorType(builder.getContext(), result, [&] { return error(); });
  if (!type)
    return failure();
  std::string mnemonic = std::string("nib.") + nib_op_get(node.op)->mnemonic;
  OperationState state(nodeLocation(node), mnemonic);
  for (int32_t id : ArrayRef(node.in, node.n_in)) {
    if (id == NIB_NONE)
      continue;
    if (!isTensor(id) || !values[id])
      return error() << "operator '" << node.name << "' (" << mnemonic << ") uses tensor " << id
                     << (isTensor(id) ? " '" + std::string(graph->tensors[id].name) + "'" : "")
                     << " before it is computed, or from inside another kernel";
    state.addOperands(values[id]);
  }
  state.addTypes(type);
  setAttrs(node, state);
  addSegments(node, builder, state);
  if (StringRef(result.name) != node.name)
    state.addAttribute("nib.result", builder.getStringAttr(result.name));
  // The offset of a kernel's result is on the kernel.
  bool inKernel = node.kernel != NIB_NONE;
  const nib_kernel *kernel = inKernel ? &graph->kernels[node.kernel] : nullptr;
  bool last = inKernel && &graph->nodes[kernel->nodes[kernel->n_nodes - 1]] == &node;
  SmallVector<NamedAttribute> plan;
  addPlan(node.out, !last, plan);
  state.addAttributes(plan);
  values[node.out] = builder.create(state)->getResult(0);
  return success();
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

LogicalResult GraphWriter::writeKernel(const nib_kernel &kernel) {
  if (kernel.n_nodes <= 0)
    return error() << "kernel '" << kernel.name << "' is empty";
  ArrayRef<int32_t> nodes(kernel.nodes, kernel.n_nodes);
  for (int32_t node : nodes)
    if (failed(writeConstants(graph->nodes[node])))
      return failure();
  const nib_node &last = graph->nodes[nodes.back()];
  const nib_tensor &result = graph->tensors[last.out];
  auto type = nib::makeTensorType(builder.getContext(), result, [&] { return error(); });
  if (!type)
    return failure();
  OperationState state(nodeLocation(graph->nodes[nodes.front()]),
                       nib::KernelOp::getOperationName());
  SmallVector<NamedAttribute> attrs{
      builder.getNamedAttr("name", builder.getStringAttr(kernel.name))};
  if (kernel.schedule) {
    attrs.push_back(builder.getNamedAttr("schedule", builder.getStringAttr(kernel.schedule)));
    SmallVector<int64_t> tile(kernel.tile, kernel.tile + NIB_MAX_TILE);
    attrs.push_back(builder.getNamedAttr("tile", builder.getDenseI64ArrayAttr(tile)));
  }
  if (kernel.vocab)
    attrs.push_back(builder.getNamedAttr("vocab", builder.getStringAttr(kernel.vocab)));
  if (kernel.parts > 1)
    addNumber("parts", kernel.parts, attrs);
  if (kernel.predicted_ns != 0)
    attrs.push_back(
        builder.getNamedAttr("predicted_ns", builder.getF64FloatAttr(kernel.predicted_ns)));
  if (kernel.scratch_bytes > 0)
    addNumber("scratch_bytes", kernel.scratch_bytes, attrs);
  addNumber("scratch_offset", kernel.scratch_offset, attrs);
  addNumber("arena_offset", result.arena_offset, attrs);
  state.addAttributes(attrs);
  state.addTypes(type);
  Region *region = state.addRegion();
  region->emplaceBlock();
  auto op = cast<nib::KernelOp>(builder.create(state));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&op.getBody().front());
  for (int32_t node : nodes)
    if (failed(writeNode(graph->nodes[node])))
      return failure();
  nib::YieldOp::create(builder, op.getLoc(), values[last.out]);
  for (int32_t node : nodes)
    values[graph->nodes[node].out] = Value();
  values[last.out] = op.getResult();
  return success();
}

// Nodes outside kernels go after the kernel that makes the last of their operands: after[k + 1]
// lists those of kernel k, after[0] those that need none.
void GraphWriter::orderFreeNodes(SmallVectorImpl<SmallVector<int32_t>> &after) {
  SmallVector<int32_t> rank(graph->n_tensors, 0);
  for (int32_t k = 0; k < graph->n_kernels; ++k)
    for (int32_t node : ArrayRef(graph->kernels[k].nodes, graph->kernels[k].n_nodes))
      rank[graph->nodes[node].out] = k + 1;
  after.resize(graph->n_kernels + 1);
  for (int32_t i = 0; i < graph->n_nodes; ++i) {
    const nib_node &node = graph->nodes[i];
    if (nib_node_is_erased(&node) || node.kernel != NIB_NONE || !isTensor(node.out))
      continue;
    int32_t place = 0;
    for (int32_t id : ArrayRef(node.in, node.n_in))
      if (isTensor(id))
        place = std::max(place, rank[id]);
    rank[node.out] = place;
    after[place].push_back(i);
  }
}

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

func::FuncOp GraphWriter::writeSignature() {
  auto fail = [&] { return error(); };
  SmallVector<Type> inputs, outputs;
  for (int32_t id : ArrayRef(graph->inputs, graph->n_inputs))
    inputs.push_back(nib::makeTensorType(builder.getContext(), graph->tensors[id], fail));
  for (int32_t id : ArrayRef(graph->outputs, graph->n_outputs))
    outputs.push_back(nib::makeTensorType(builder.getContext(), graph->tensors[id], fail));
  if (llvm::is_contained(inputs, Type()) || llvm::is_contained(outputs, Type()))
    return {};
  auto function = func::FuncOp::create(builder, location, graph->name,
                                       builder.getFunctionType(inputs, outputs));
  SmallVector<NamedAttribute> facts;
  if (graph->rounding)
    function->setAttr("nib.rounding", builder.getStringAttr(graph->rounding));
  if (graph->integer_only)
    function->setAttr("nib.integer_only", builder.getUnitAttr());
  if (graph->threads > 1)
    addNumber("nib.threads", graph->threads, facts);
  addNumber("nib.arena_bytes", graph->arena_bytes, facts);
  addNumber("nib.lower_bound_bytes", graph->lower_bound_bytes, facts);
  addNumber("nib.unfused_lower_bound_bytes", graph->unfused_lower_bound_bytes, facts);
  addNumber("nib.proven_bound_bytes", graph->proven_bound_bytes, facts);
  for (NamedAttribute fact : facts)
    function->setAttr(fact.getName(), fact.getValue());
  Block *block = function.addEntryBlock();
  for (int32_t i = 0; i < graph->n_inputs; ++i) {
    int32_t id = graph->inputs[i];
    SmallVector<NamedAttribute> plan;
    addName(id, plan);
    addPlan(id, true, plan);
    for (NamedAttribute attr : plan)
      function.setArgAttr(i, attr.getName(), attr.getValue());
    values[id] = block->getArgument(i);
  }
  for (int32_t i = 0; i < graph->n_outputs; ++i) {
    SmallVector<NamedAttribute> attrs;
    addName(graph->outputs[i], attrs);
    for (NamedAttribute attr : attrs)
      function.setResultAttr(i, attr.getName(), attr.getValue());
  }
  return function;
}

LogicalResult GraphWriter::writeReturn() {
  SmallVector<Value> results;
  for (int32_t id : ArrayRef(graph->outputs, graph->n_outputs)) {
    if (!values[id] && graph->tensors[id].data && failed(writeConstant(id)))
      return failure();
    if (!values[id])
      return error() << "output '" << graph->tensors[id].name << "' is never computed";
    results.push_back(values[id]);
  }
  func::ReturnOp::create(builder, location, results);
  return success();
}

LogicalResult GraphWriter::writeBody() {
  SmallVector<SmallVector<int32_t>> free;
  orderFreeNodes(free);
  for (int32_t place = 0; place <= graph->n_kernels; ++place) {
    if (place > 0 && failed(writeKernel(graph->kernels[place - 1])))
      return failure();
    for (int32_t node : free[place])
      if (failed(writeConstants(graph->nodes[node])) || failed(writeNode(graph->nodes[node])))
        return failure();
  }
  return writeReturn();
}

func::FuncOp GraphWriter::write() {
  for (int32_t id : ArrayRef(graph->inputs, graph->n_inputs))
    if (!isTensor(id))
      return error() << "an input is no tensor", func::FuncOp();
  for (int32_t id : ArrayRef(graph->outputs, graph->n_outputs))
    if (!isTensor(id))
      return error() << "an output is no tensor", func::FuncOp();
  for (const nib_tensor &tensor : ArrayRef(graph->tensors, graph->n_tensors))
    if (isTensor(tensor.alias_of))
      aliased[tensor.alias_of] = true;
  func::FuncOp function = writeSignature();
  if (!function)
    return {};
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(&function.getBody().front());
  if (succeeded(writeBody()))
    return function;
  function.erase();
  return {};
}

func::FuncOp nib::writeGraph(OpBuilder &builder, Location location, const nib_graph *graph) {
  return GraphWriter(builder, location, graph).write();
}

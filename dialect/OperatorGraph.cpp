// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialect/OperatorGraph.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Location.h"

using namespace mlir;

nib_op nib::operatorOf(Operation *op) {
  if (op->getName().getDialectNamespace() != NibDialect::getDialectNamespace())
    return NIB_OP_COUNT;
  return nib_op_find(op->getName().stripDialect().str().c_str());
}

//===----------------------------------------------------------------------===//
// Locations
//===----------------------------------------------------------------------===//

static NameLoc findNameLoc(Location location) {
  if (auto name = dyn_cast<NameLoc>(location))
    return name;
  if (auto fused = dyn_cast<FusedLoc>(location))
    for (Location part : fused.getLocations())
      if (NameLoc name = findNameLoc(part))
        return name;
  return {};
}

nib::SourceName nib::readLocation(Location location) {
  NameLoc name = findNameLoc(location);
  if (!name)
    return {};
  StringRef text = name.getName();
  text.consume_front("#");
  SourceName source{text.str()};
  if (auto child = dyn_cast<NameLoc>(name.getChildLoc())) {
    StringRef number = child.getName();
    if (!number.consume_front("#") || number.getAsInteger(10, source.index) || source.index < 0)
      source.index = -1;
  }
  return source;
}

Location nib::makeLocation(MLIRContext *context, StringRef name, int32_t index) {
  if (name.empty() && index < 0)
    return UnknownLoc::get(context);
  std::string text = name.empty() || name.front() == '#' ? ("#" + name).str() : name.str();
  auto attr = StringAttr::get(context, text);
  if (index < 0)
    return NameLoc::get(attr);
  return NameLoc::get(attr, NameLoc::get(StringAttr::get(context, "#" + std::to_string(index))));
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

int32_t nib::addTensor(nib_graph *graph, StringRef name, Type type, EmitError emitError) {
  TensorFacts facts;
  if (failed(readTensorType(type, facts, emitError)))
    return NIB_NONE;
  int32_t id = nib_graph_add_tensor(graph, name.str().c_str(), facts.format,
                                    (int32_t)facts.dims.size(), facts.dims.data());
  if (id == NIB_NONE) {
    emitError() << "out of memory";
    return NIB_NONE;
  }
  if (facts.quantized)
    nib_graph_set_quant(graph, id, facts.scale, facts.zeroPoint);
  return id;
}

llvm::LogicalResult nib::setConstantData(nib_graph *graph, int32_t tensor, ConstantOp op) {
  size_t bytes = nib_tensor_bytes(&graph->tensors[tensor]);
  size_t align = nib_format_bytes(graph->tensors[tensor].format);
  ArrayRef<char> raw;
  bool splat = false;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(op.getValue())) {
    raw = resource.getRawHandle().getBlob()->getData();
  } else {
    auto dense = cast<DenseElementsAttr>(op.getValue());
    raw = dense.getRawData();
    splat = raw.size() < bytes;
  }
  bool aligned = reinterpret_cast<uintptr_t>(raw.data()) % align == 0;
  const char *data = raw.data();
  if (splat || !aligned) {
    char *copy = static_cast<char *>(nib_graph_alloc(graph, bytes));
    if (!copy)
      return op.emitError("out of memory");
    for (size_t at = 0; at + raw.size() <= bytes && !raw.empty(); at += raw.size())
      memcpy(copy + at, raw.data(), raw.size());
    data = copy;
  }
  if (nib_graph_set_data(graph, tensor, data, bytes, NIB_DATA_BORROWED) != NIB_OK)
    return op.emitError("the constant's data cannot be read");
  graph->tensors[tensor].origin = op.getValue().getAsOpaquePointer();
  return success();
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

llvm::LogicalResult nib::operandsBySlot(Operation *op, SmallVectorImpl<Value> &slots) {
  nib_op row = operatorOf(op);
  int count = nib_op_operand_slots(row);
  if (count > 0 && nib_op_operand_is_variadic(row, count - 1)) {
    slots.append(op->operand_begin(), op->operand_end());
    return success();
  }
  auto segments = op->getAttrOfType<DenseI32ArrayAttr>("operandSegmentSizes");
  unsigned next = 0;
  for (int slot = 0; slot < count; ++slot) {
    bool present =
        segments && slot < segments.size() ? segments[slot] > 0 : next < op->getNumOperands();
    if (present && next >= op->getNumOperands())
      return op->emitOpError("has too few operands");
    slots.push_back(present ? op->getOperand(next++) : Value());
    if (!slots.back() && !nib_op_operand_is_optional(row, slot))
      return op->emitOpError("has too few operands");
  }
  return next == op->getNumOperands() ? success() : op->emitOpError("has too many operands");
}

static nib_status setAttr(nib_graph *graph, int32_t node, nib_attr_id id, Attribute attr) {
  switch (nib_attr_get(id)->kind) {
  case NIB_ATTR_INT:
    if (auto value = dyn_cast<IntegerAttr>(attr))
      return nib_graph_set_int(graph, node, id, value.getInt());
    break;
  case NIB_ATTR_INTS:
    if (auto value = dyn_cast<DenseI64ArrayAttr>(attr))
      return nib_graph_set_ints(graph, node, id, value.asArrayRef().data(), value.size());
    break;
  case NIB_ATTR_FLOAT:
    if (auto value = dyn_cast<FloatAttr>(attr))
      return nib_graph_set_float(graph, node, id, value.getValueAsDouble());
    break;
  case NIB_ATTR_STRING:
    if (auto value = dyn_cast<StringAttr>(attr))
      return nib_graph_set_string(graph, node, id, value.str().c_str());
    break;
  case NIB_ATTR_DATA:
    break;
  }
  return NIB_ERROR_INVALID_INPUT;
}

int32_t nib::addNode(nib_graph *graph, Operation *op, ArrayRef<int32_t> in, int32_t out) {
  SourceName source = readLocation(op->getLoc());
  int32_t node = nib_graph_add_node(graph, operatorOf(op), source.name.c_str(), source.index,
                                    in.data(), (int32_t)in.size(), out);
  if (node == NIB_NONE) {
    op->emitError("out of memory");
    return NIB_NONE;
  }
  for (int id = 0; id < NIB_ATTR_COUNT; ++id) {
    auto attrId = static_cast<nib_attr_id>(id);
    std::optional<Attribute> attr = op->getInherentAttr(nib_attr_get(attrId)->name);
    if (!attr || !*attr)
      continue;
    if (setAttr(graph, node, attrId, *attr) != NIB_OK) {
      op->emitOpError() << "attribute '" << nib_attr_get(attrId)->name << "' cannot be read";
      return NIB_NONE;
    }
  }
  graph->nodes[node].origin = op->getLoc().getAsOpaquePointer();
  return node;
}

void nib::DiagnosticSink::emit(void *user, nib_severity severity, const char *message) {
  auto *sink = static_cast<DiagnosticSink *>(user);
  sink->errors += severity == NIB_ERROR;
  InFlightDiagnostic diagnostic = severity == NIB_ERROR     ? emitError(sink->location)
                                  : severity == NIB_WARNING ? emitWarning(sink->location)
                                                            : emitRemark(sink->location);
  diagnostic << sink->prefix << message;
}

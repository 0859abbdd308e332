// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Verifiers. What an operator's shapes and attributes must be is said once, in nib_graph_validate;
// here each operation becomes a graph of its own and is put to it.
#include "dialect/OperatorGraph.h"

#include "graph/validate.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "num/rounding.h"

#include <memory>

using namespace mlir;

using GraphPtr = std::unique_ptr<nib_graph, decltype(&nib_graph_destroy)>;

static std::string listRoundings() {
  std::string text;
  for (int i = 0; i < NIB_ROUNDING_COUNT; ++i)
    text += (i ? ", " : "") + std::string(nib_rounding_name((nib_rounding)i));
  return text;
}

static bool isRounding(Attribute attr) {
  auto name = dyn_cast_or_null<StringAttr>(attr);
  return name && nib_rounding_find(name.str().c_str()) != NIB_ROUNDING_COUNT;
}

// The name of an operator's operand `slot`, as a message says it.
static std::string slotName(nib_op row, unsigned slot) {
  SmallVector<StringRef> names;
  StringRef(nib_op_get(row)->operands).split(names, ' ', -1, false);
  if (slot >= names.size())
    return "operand " + std::to_string(slot);
  return names[slot].rtrim("?*").str();
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

static llvm::LogicalResult verifyConstant(nib::ConstantOp op) {
  nib::TensorFacts facts;
  auto error = [&] { return op.emitOpError(); };
  if (failed(nib::readTensorType(op.getResult().getType(), facts, error)))
    return failure();
  RankedTensorType storage = nib::makeStorageType(op.getContext(), facts.format, facts.dims);
  if (op.getValue().getShapedType() != storage)
    return op.emitOpError() << "value has type " << op.getValue().getShapedType()
                            << ", but the bytes of " << op.getResult().getType() << " are "
                            << storage;
  if (isa<DenseElementsAttr>(op.getValue()))
    return success();
  auto resource = dyn_cast<DenseResourceElementsAttr>(op.getValue());
  if (!resource)
    return op.emitOpError("value must be dense or a dense_resource");
  const AsmResourceBlob *blob = resource.getRawHandle().getBlob();
  if (!blob)
    return op.emitOpError() << "resource '" << resource.getRawHandle().getKey()
                            << "' has no data (was it left out when the IR was printed?)";
  uint64_t wanted = storage.getElementTypeBitWidth() / 8;
  for (int64_t dim : storage.getShape())
    if (__builtin_mul_overflow(wanted, (uint64_t)dim, &wanted))
      return op.emitOpError("has more bytes than memory can hold");
  if (blob->getData().size() != wanted)
    return op.emitOpError() << "resource '" << resource.getRawHandle().getKey() << "' has "
                            << blob->getData().size() << " bytes, " << storage << " needs "
                            << wanted;
  return success();
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

// Adds the operands of `op` to `graph`, once each; constants with their data.
static llvm::LogicalResult addOperands(nib_graph *graph, Operation *op, ArrayRef<Value> slots,
                                       SmallVectorImpl<int32_t> &ids) {
  nib_op row = nib::operatorOf(op);
  llvm::SmallDenseMap<Value, int32_t> seen;
  for (auto [slot, value] : llvm::enumerate(slots)) {
    if (!value) {
      ids.push_back(NIB_NONE);
      continue;
    }
    auto [at, added] = seen.try_emplace(value, NIB_NONE);
    if (added) {
      unsigned number = slot;
      auto error = [&] { return op->emitOpError() << slotName(row, number) << ": "; };
      at->second = nib::addTensor(graph, slotName(row, slot), value.getType(), error);
      if (at->second == NIB_NONE)
        return failure();
      auto constant = value.getDefiningOp<nib::ConstantOp>();
      if (constant && (failed(verifyConstant(constant)) ||
                       failed(nib::setConstantData(graph, at->second, constant))))
        return failure();
    }
    ids.push_back(at->second);
  }
  return success();
}

namespace {
struct VerifierSink {
  Operation *op;

  static void emit(void *user, nib_severity, const char *message) {
    StringRef text(message);
    size_t prefix = text.starts_with("operator ") ? text.find("): ") : StringRef::npos;
    static_cast<VerifierSink *>(user)->op->emitOpError()
        << (prefix == StringRef::npos ? text : text.drop_front(prefix + 3));
  }
};
} // namespace

llvm::LogicalResult nib::verifyOperator(Operation *op) {
  if (auto constant = dyn_cast<ConstantOp>(op))
    return verifyConstant(constant);
  if (std::optional<Attribute> rounding = op->getInherentAttr("rounding"))
    if (*rounding && !isRounding(*rounding))
      return op->emitOpError() << "rounding " << *rounding << " is none of " << listRoundings();
  SmallVector<Value> slots;
  if (failed(operandsBySlot(op, slots)))
    return failure();
  GraphPtr graph(nib_graph_create("verify"), nib_graph_destroy);
  if (!graph)
    return op->emitOpError("out of memory");
  SmallVector<int32_t> ids;
  if (failed(addOperands(graph.get(), op, slots, ids)))
    return failure();
  auto error = [&] { return op->emitOpError() << "result: "; };
  int32_t out = addTensor(graph.get(), "result", op->getResult(0).getType(), error);
  int32_t node = out == NIB_NONE ? NIB_NONE : addNode(graph.get(), op, ids, out);
  if (node == NIB_NONE)
    return failure();
  // The messages begin with `operator 0 (conv2d ''): `; the diagnostic says that better.
  graph->nodes[node].name = "";
  VerifierSink sink{op};
  nib_diag diag{VerifierSink::emit, &sink};
  return success(nib_graph_validate_node(graph.get(), node, &diag) == NIB_OK);
}

//===----------------------------------------------------------------------===//
// Kernels and functions
//===----------------------------------------------------------------------===//

llvm::LogicalResult nib::KernelOp::verifyRegions() {
  Block &block = getBody().front();
  if (block.getNumArguments())
    return emitOpError("has no arguments: its operators refer to values outside");
  auto yield = block.empty() ? YieldOp() : dyn_cast<YieldOp>(block.back());
  if (!yield)
    return emitOpError("must end with nib.yield");
  for (Operation &op : block.without_terminator())
    if (operatorOf(&op) == NIB_OP_COUNT)
      return op.emitError() << "'" << op.getName()
                            << "' is no operator of the nib dialect; a kernel "
                            << "holds nothing else";
  Operation *last = yield->getPrevNode();
  if (!last || isa<ConstantOp>(last) || yield.getValue().getDefiningOp() != last)
    return yield.emitOpError("must yield the result of the kernel's last operator");
  if (yield.getValue().getType() != getResult().getType())
    return yield.emitOpError() << "yields " << yield.getValue().getType()
                               << ", the kernel's result is " << getResult().getType();
  if (getTile() && getTile()->size() != NIB_MAX_TILE)
    return emitOpError() << "tile has " << getTile()->size() << " numbers, expected "
                         << NIB_MAX_TILE;
  return success();
}

llvm::LogicalResult nib::NibDialect::verifyOperationAttribute(Operation *op,
                                                              NamedAttribute attribute) {
  StringRef name = attribute.getName().strref();
  Attribute value = attribute.getValue();
  if (name == "nib.rounding")
    return isRounding(value)
               ? success()
               : op->emitOpError() << "nib.rounding must be one of " << listRoundings();
  if (name == "nib.integer_only")
    return isa<UnitAttr>(value) ? success() : op->emitOpError("nib.integer_only has no value");
  if (name == "nib.result" || name == "nib.name")
    return isa<StringAttr>(value) ? success() : op->emitOpError() << name << " must be a string";
  static constexpr StringLiteral numbers[] = {
      "nib.arena_offset", "nib.storage",           "nib.alias_of",
      "nib.arena_bytes",  "nib.lower_bound_bytes", "nib.unfused_lower_bound_bytes",
      "nib.proven_bound_bytes", "nib.threads"};
  if (!llvm::is_contained(numbers, name))
    return op->emitOpError() << "there is no attribute " << name;
  auto number = dyn_cast<IntegerAttr>(value);
  if (!number || !number.getType().isSignlessInteger(64) || number.getInt() < 0)
    return op->emitOpError() << name << " must be an i64 that is not negative";
  return success();
}

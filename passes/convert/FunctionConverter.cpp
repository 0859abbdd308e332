// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/convert/FunctionConverter.h"

#include "dialect/TensorTypes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace nib;

static Type elementOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getElementType();
}

FunctionConverter::FunctionConverter(func::FuncOp function, ArrayRef<ArrayRef<ConvertRow>> tables)
    : function(function), ops(function.getContext()) {
  for (ArrayRef<ConvertRow> table : tables)
    for (const ConvertRow &row : table)
      rows[row.name] = &row;
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

// All operations that cannot be converted, at once.
LogicalResult FunctionConverter::checkOperations() {
  if (!function.getBody().hasOneBlock())
    return function.emitError("the function must have one block: no control flow");
  LogicalResult result = success();
  for (Operation &op : function.getBody().front()) {
    const ConvertRow *found = rows.lookup(op.getName().getStringRef());
    bool known = isa<func::ReturnOp>(op) || isa_and_nonnull<NibDialect>(op.getDialect()) ||
                 (found && (found->operation != NIB_OP_COUNT || found->handler));
    if (!known) {
      op.emitError() << "'" << op.getName() << "' has no counterpart in the nib dialect";
      result = failure();
    }
    for (Value value : op.getResults())
      if (auto tensor = dyn_cast<TensorType>(value.getType()))
        if (!tensor.hasStaticShape()) {
          op.emitError() << "'" << op.getName() << "': every dimension must be known, got "
                         << tensor;
          result = failure();
        }
  }
  return result;
}

LogicalResult FunctionConverter::run() {
  if (failed(checkOperations()))
    return failure();
  for (BlockArgument argument : function.getArguments())
    values[argument] = argument;
  SmallVector<Operation *> old;
  for (Operation &op : function.getBody().front())
    old.push_back(&op);
  for (Operation *op : old) {
    ops.setInsertionPoint(op);
    if (isa_and_nonnull<NibDialect>(op->getDialect())) {
      for (OpOperand &operand : op->getOpOperands()) {
        Value converted = as(op, value(operand.get()), operand.get().getType());
        if (!converted)
          return failure();
        operand.set(converted);
      }
      for (Value result : op->getResults())
        values[result] = result;
    } else if (!isa<func::ReturnOp>(op) && failed(row(op).handler(*this, op))) {
      return failure();
    }
  }
  if (failed(finish()))
    return failure();
  for (Operation *op : llvm::reverse(old))
    if (!isa<func::ReturnOp>(op) && !isa_and_nonnull<NibDialect>(op->getDialect()))
      op->erase();
  return success();
}

// The results keep the types of the function's signature.
LogicalResult FunctionConverter::finish() {
  Operation *terminator = function.getBody().front().getTerminator();
  ops.setInsertionPoint(terminator);
  for (OpOperand &operand : terminator->getOpOperands()) {
    Value result = value(operand.get());
    result = result ? as(terminator, result, operand.get().getType()) : result;
    if (!result)
      return failure();
    operand.set(result);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

RankedTensorType FunctionConverter::type(Value old) {
  auto tensor = cast<RankedTensorType>(old.getType());
  if (tensor.getElementType().isInteger(48))
    return tensor.clone(ops.getI64Type());
  return tensor;
}

RankedTensorType FunctionConverter::quantized(RankedTensorType tensor, unsigned bits,
                                              bool isUnsigned, double scale, int64_t zeroPoint) {
  int64_t low = isUnsigned ? 0 : -(INT64_C(1) << (bits - 1));
  int64_t high = isUnsigned ? (INT64_C(1) << bits) - 1 : (INT64_C(1) << (bits - 1)) - 1;
  return tensor.clone(quant::UniformQuantizedType::get(
      isUnsigned ? 0u : (unsigned)quant::QuantizationFlags::Signed, ops.getIntegerType(bits),
      ops.getF32Type(), scale, zeroPoint, low, high));
}

// The plain type that holds the codes of `element`.
static Type storageOf(Type element) {
  auto quantized = dyn_cast<quant::QuantizedType>(element);
  if (!quantized)
    return element;
  unsigned bits = quantized.getStorageTypeIntegralWidth();
  return IntegerType::get(element.getContext(), bits,
                          quantized.isSigned() ? IntegerType::Signless : IntegerType::Unsigned);
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Value FunctionConverter::value(Value old) {
  auto found = values.find(old);
  if (found != values.end())
    return found->second;
  Operation *op = old.getDefiningOp();
  ElementsAttr data = op ? readConstant(old) : ElementsAttr();
  if (!data) {
    emitError(old.getLoc()) << "a value that is neither computed nor constant";
    return {};
  }
  return values[old] = constant(op, data, type(old));
}

Value FunctionConverter::scast(Operation *op, Value value, Type type) {
  return value.getType() == type ? value : emit(op, NIB_OP_SCAST, type, value);
}

Value FunctionConverter::as(Operation *op, Value value, Type type) {
  if (!value || value.getType() == type)
    return value;
  Type from = storageOf(elementOf(value)), to = storageOf(cast<TensorType>(type).getElementType());
  if (from.isInteger() && to.isInteger() &&
      from.getIntOrFloatBitWidth() == to.getIntOrFloatBitWidth())
    return scast(op, value, type);
  op->emitError() << "'" << op->getName() << "' needs " << type << ", which " << value.getType()
                  << " cannot stand for";
  return {};
}

Value FunctionConverter::plain(Value old) {
  Value now = value(old);
  if (!now)
    return {};
  auto tensor = cast<RankedTensorType>(now.getType());
  if (!isa<quant::QuantizedType>(tensor.getElementType()))
    return now;
  Operation *at = &*ops.getInsertionPoint();
  unsigned bits = storageOf(tensor.getElementType()).getIntOrFloatBitWidth();
  return scast(at, now, tensor.clone(ops.getIntegerType(bits)));
}

Value FunctionConverter::codes(Value old, int64_t zeroPoint, bool isUnsigned) {
  Value now = value(old);
  if (!now)
    return {};
  auto tensor = cast<RankedTensorType>(now.getType());
  Type element = tensor.getElementType();
  auto uniform = dyn_cast<quant::UniformQuantizedType>(element);
  if (!element.isInteger() && !uniform)
    return now; /* real numbers have no codes */
  if (uniform)
    isUnsigned = isUnsigned || !uniform.isSigned();
  isUnsigned = isUnsigned || element.isUnsignedInteger();
  if (uniform && uniform.getZeroPoint() == zeroPoint && uniform.isSigned() == !isUnsigned)
    return now;
  unsigned bits = storageOf(element).getIntOrFloatBitWidth();
  Operation *at = &*ops.getInsertionPoint();
  return scast(at, now, quantized(tensor, bits, isUnsigned, 1.0, zeroPoint));
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

ElementsAttr nib::readConstant(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return {};
  for (StringRef name : {"values", "value"})
    if (auto data = op->getAttrOfType<ElementsAttr>(name))
      return data;
  std::optional<Attribute> inherent = op->getInherentAttr("values");
  return inherent ? dyn_cast_or_null<ElementsAttr>(*inherent) : ElementsAttr();
}

template <typename T>
static void copyIntegers(ArrayRef<char> raw, int64_t count, SmallVectorImpl<int64_t> &integers) {
  for (int64_t i = 0; i < count; ++i) {
    T number;
    memcpy(&number, raw.data() + i * sizeof(T), sizeof(T));
    integers.push_back(number);
  }
}

static bool readResource(DenseResourceElementsAttr data, SmallVectorImpl<int64_t> &integers) {
  const AsmResourceBlob *blob = data.getRawHandle().getBlob();
  Type element = data.getType().getElementType();
  unsigned bits = element.isInteger() ? element.getIntOrFloatBitWidth() : 0;
  int64_t count = data.getType().getNumElements();
  if (!blob || bits % 8 || blob->getData().size() != (size_t)count * (bits / 8))
    return false;
  if (bits == 8)
    copyIntegers<int8_t>(blob->getData(), count, integers);
  else if (bits == 16)
    copyIntegers<int16_t>(blob->getData(), count, integers);
  else if (bits == 32)
    copyIntegers<int32_t>(blob->getData(), count, integers);
  else if (bits == 64)
    copyIntegers<int64_t>(blob->getData(), count, integers);
  return bits == 8 || bits == 16 || bits == 32 || bits == 64;
}

static bool readElements(ElementsAttr data, SmallVectorImpl<int64_t> &integers) {
  if (auto resource = dyn_cast_or_null<DenseResourceElementsAttr>(data))
    return readResource(resource, integers);
  auto dense = dyn_cast_or_null<DenseIntElementsAttr>(data);
  if (!dense)
    return false;
  bool isUnsigned =
      dense.getElementType().isUnsignedInteger() || dense.getElementType().isInteger(1);
  for (const APInt &number : dense.getValues<APInt>())
    integers.push_back(isUnsigned ? (int64_t)number.getZExtValue() : number.getSExtValue());
  return true;
}

bool nib::readIntegers(Value value, SmallVectorImpl<int64_t> &integers) {
  return readElements(readConstant(value), integers);
}

// Integers of one width as a dense attribute of another.
static ElementsAttr widen(ElementsAttr data, RankedTensorType storage) {
  SmallVector<int64_t> integers;
  if (!readElements(data, integers))
    return {};
  SmallVector<APInt> numbers;
  for (int64_t number : integers)
    numbers.emplace_back(storage.getElementType().getIntOrFloatBitWidth(), (uint64_t)number, true,
                         /*implicitTrunc=*/true);
  return DenseElementsAttr::get(storage, numbers);
}

Value FunctionConverter::constant(Operation *op, ElementsAttr data, RankedTensorType type) {
  // A narrowed range of codes says nothing about constants, which are there to see.
  if (auto uniform = dyn_cast<quant::UniformQuantizedType>(type.getElementType()))
    type = quantized(type, uniform.getStorageTypeIntegralWidth(), !uniform.isSigned(),
                     uniform.getScale(), uniform.getZeroPoint());
  else if (auto perAxis = dyn_cast<quant::QuantizedType>(type.getElementType()))
    type = type.clone(storageOf(perAxis));
  TensorFacts facts;
  auto error = [&] { return op->emitError() << "'" << op->getName() << "': "; };
  if (failed(readTensorType(type, facts, error)))
    return {};
  RankedTensorType storage = makeStorageType(ops.getContext(), facts.format, facts.dims);
  if (data.getShapedType() != storage) {
    auto resource = dyn_cast<DenseResourceElementsAttr>(data);
    auto dense = dyn_cast<DenseElementsAttr>(data);
    bool same = storageOf(data.getShapedType().getElementType()) == storage.getElementType();
    if (same && resource)
      data = DenseResourceElementsAttr::get(storage, resource.getRawHandle());
    else if (same && dense)
      data = dense.reshape(storage);
    else
      data = widen(data, storage);
    if (!data) {
      error() << "this constant cannot be read";
      return {};
    }
  }
  OperationState state(op->getLoc(), ConstantOp::getOperationName());
  state.addAttribute("value", data);
  state.addTypes(type);
  return ops.create(state)->getResult(0);
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

NamedAttribute FunctionConverter::ints(nib_attr_id id, ArrayRef<int64_t> values) {
  return ops.getNamedAttr(nib_attr_get(id)->name, ops.getDenseI64ArrayAttr(values));
}

NamedAttribute FunctionConverter::integer(nib_attr_id id, int64_t value) {
  return ops.getNamedAttr(nib_attr_get(id)->name, ops.getI64IntegerAttr(value));
}

NamedAttribute FunctionConverter::real(nib_attr_id id, double value) {
  return ops.getNamedAttr(nib_attr_get(id)->name, ops.getF64FloatAttr(value));
}

NamedAttribute FunctionConverter::string(nib_attr_id id, StringRef value) {
  return ops.getNamedAttr(nib_attr_get(id)->name, ops.getStringAttr(value));
}

Value FunctionConverter::emit(Operation *op, nib_op operation, Type type, ArrayRef<Value> operands,
                              Attrs attrs) {
  OperationState state(op->getLoc(), std::string("nib.") + nib_op_get(operation)->mnemonic);
  int slots = nib_op_operand_slots(operation), optional = 0;
  SmallVector<int32_t> sizes;
  for (int slot = 0; slot < slots; ++slot) {
    optional += nib_op_operand_is_optional(operation, slot);
    sizes.push_back((size_t)slot < operands.size() && operands[slot] ? 1 : 0);
  }
  for (Value operand : operands)
    if (operand)
      state.addOperands(operand);
  state.addTypes(type);
  state.addAttributes(attrs);
  if (optional > 1)
    state.addAttribute("operandSegmentSizes", ops.getDenseI32ArrayAttr(sizes));
  return ops.create(state)->getResult(0);
}

LogicalResult FunctionConverter::become(Operation *op, nib_op operation, Type type,
                                        ArrayRef<Value> operands, Attrs attrs) {
  set(op->getResult(0), emit(op, operation, type, operands, attrs));
  return success();
}

//===----------------------------------------------------------------------===//
// Shared handlers
//===----------------------------------------------------------------------===//

LogicalResult nib::convertNothing(FunctionConverter &, Operation *) { return success(); }

LogicalResult nib::convertUnary(FunctionConverter &converter, Operation *op) {
  Value input = converter.value(op->getOperand(0));
  if (!input)
    return failure();
  return converter.become(op, converter.row(op).operation, converter.type(op->getResult(0)), input);
}

LogicalResult nib::convertBinary(FunctionConverter &converter, Operation *op) {
  Value lhs = converter.value(op->getOperand(0)), rhs = converter.value(op->getOperand(1));
  if (!lhs || !rhs)
    return failure();
  RankedTensorType type = converter.type(op->getResult(0));
  if (!isa<quant::QuantizedType>(type.getElementType())) {
    lhs = converter.plain(op->getOperand(0));
    rhs = converter.plain(op->getOperand(1));
  }
  return converter.become(op, converter.row(op).operation, type, {lhs, rhs});
}

//===----------------------------------------------------------------------===//
// quant
//===----------------------------------------------------------------------===//

static LogicalResult convertScast(FunctionConverter &converter, Operation *op) {
  Value input = converter.value(op->getOperand(0));
  Value cast = input ? converter.as(op, input, op->getResult(0).getType()) : Value();
  if (cast)
    converter.set(op->getResult(0), cast);
  return success((bool)cast);
}

// A quantized type per axis is a plain constant here; its scales become an operand.
static LogicalResult convertDcast(FunctionConverter &converter, Operation *op) {
  Value input = converter.value(op->getOperand(0));
  if (!input)
    return failure();
  RankedTensorType type = converter.type(op->getResult(0));
  auto perAxis = dyn_cast<quant::UniformQuantizedPerAxisType>(
      cast<RankedTensorType>(op->getOperand(0).getType()).getElementType());
  if (!perAxis)
    return converter.become(op, NIB_OP_DEQUANTIZE, type, {input, Value(), Value()});
  OpBuilder &builder = converter.builder();
  auto vector = RankedTensorType::get({(int64_t)perAxis.getScales().size()}, builder.getF32Type());
  SmallVector<float> scales(perAxis.getScales().begin(), perAxis.getScales().end());
  SmallVector<int32_t> zeros(perAxis.getZeroPoints().begin(), perAxis.getZeroPoints().end());
  Value scale = converter.constant(op, DenseElementsAttr::get(vector, ArrayRef(scales)), vector);
  auto integers = vector.clone(builder.getI32Type());
  Value zero = converter.constant(op, DenseElementsAttr::get(integers, ArrayRef(zeros)), integers);
  return converter.become(op, NIB_OP_DEQUANTIZE, type, {input, scale, zero},
                          converter.integer(NIB_A_AXIS, perAxis.getQuantizedDimension()));
}

static LogicalResult convertQcast(FunctionConverter &converter, Operation *op) {
  Value input = converter.value(op->getOperand(0));
  if (!input)
    return failure();
  return converter.become(op, NIB_OP_QUANTIZE, converter.type(op->getResult(0)), input,
                          converter.string(NIB_A_ROUNDING, "nearest-even"));
}

ArrayRef<ConvertRow> nib::quantRows() {
  static const ConvertRow rows[] = {
      {"quant.scast", convertScast},
      {"quant.dcast", convertDcast},
      {"quant.qcast", convertQcast},
      {"arith.constant", convertNothing},
  };
  return rows;
}

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/convert/TosaWriter.h"

#include "dialect/OperatorGraph.h"
#include "mlir/Dialect/Tosa/IR/TosaOps.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/bit.h"

using namespace mlir;
using namespace nib;

InFlightDiagnostic TosaWriter::error(const nib_node &node) {
  Location at = node.origin ? Location(Location::getFromOpaquePointer(node.origin)) : location;
  return emitError(at) << "nib." << nib_op_get(node.op)->mnemonic << " '" << node.name << "': ";
}

//===----------------------------------------------------------------------===//
// Making operations
//===----------------------------------------------------------------------===//

Value TosaWriter::make(StringRef name, Type type, ValueRange operands,
                       ArrayRef<NamedAttribute> attrs) {
  OperationState state(location, name);
  state.addOperands(operands);
  state.addTypes(type);
  state.addAttributes(attrs);
  return builder.create(state)->getResult(0);
}

RankedTensorType TosaWriter::type(ArrayRef<int64_t> dims, unsigned bits) {
  return RankedTensorType::get(dims, builder.getIntegerType(bits));
}

RankedTensorType TosaWriter::type(const nib_tensor &tensor) {
  return type(dims(tensor), nib_format_get(tensor.format)->bits);
}

Value TosaWriter::constant(RankedTensorType type, ArrayRef<int64_t> numbers) {
  SmallVector<APInt> elements;
  for (int64_t number : numbers)
    elements.emplace_back(type.getElementTypeBitWidth(), (uint64_t)number, /*isSigned=*/true,
                          /*implicitTrunc=*/true);
  return make("tosa.const", type, {}, attr("values", DenseElementsAttr::get(type, elements)));
}

Value TosaWriter::shape(ArrayRef<int64_t> numbers) {
  auto values = DenseIntElementsAttr::get(
      RankedTensorType::get({(int64_t)numbers.size()}, builder.getIndexType()), numbers);
  return make("tosa.const_shape", tosa::shapeType::get(builder.getContext(), (int)numbers.size()),
              {}, attr("values", values));
}

Value TosaWriter::reshape(Value value, ArrayRef<int64_t> dims) {
  auto old = cast<RankedTensorType>(value.getType());
  if (old.getShape() == dims)
    return value;
  return make("tosa.reshape", RankedTensorType::get(dims, old.getElementType()),
              {value, shape(dims)});
}

NamedAttribute TosaWriter::ints(StringRef name, ArrayRef<int64_t> numbers) {
  return attr(name, builder.getDenseI64ArrayAttr(numbers));
}

Value TosaWriter::clamp(Value value, int64_t low, int64_t high) {
  auto tensor = cast<RankedTensorType>(value.getType());
  unsigned bits = tensor.getElementTypeBitWidth();
  if (low <= -(INT64_C(1) << (bits - 1)) && high >= (INT64_C(1) << (bits - 1)) - 1)
    return value;
  Type element = tensor.getElementType();
  return make("tosa.clamp", tensor, value,
              {attr("min_val", builder.getIntegerAttr(element, low)),
               attr("max_val", builder.getIntegerAttr(element, high)),
               attr("nan_mode", tosa::NanPropagationModeAttr::get(
                                    builder.getContext(), tosa::NanPropagationMode::PROPAGATE))});
}

//===----------------------------------------------------------------------===//
// Rescale
//===----------------------------------------------------------------------===//

Value TosaWriter::emitRescale(Value value, unsigned bits, ArrayRef<nib_requant> multipliers,
                              bool twice, int64_t outputZero) {
  auto tensor = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> m, s;
  for (const nib_requant &q : multipliers) {
    m.push_back(q.multiplier);
    s.push_back(31 - q.shift);
  }
  auto count = (int64_t)m.size();
  auto mode = twice ? tosa::RoundingMode::DOUBLE_ROUND : tosa::RoundingMode::SINGLE_ROUND;
  return make("tosa.rescale", type(tensor.getShape(), bits),
              {value, constant(type({count}, 32), m), constant(type({count}, 8), s),
               zero(tensor.getElementTypeBitWidth(), 0), zero(bits, outputZero)},
              {attr("scale32", builder.getBoolAttr(true)),
               attr("rounding_mode", tosa::RoundingModeAttr::get(builder.getContext(), mode)),
               attr("per_channel", builder.getBoolAttr(count > 1)),
               attr("input_unsigned", builder.getBoolAttr(false)),
               attr("output_unsigned", builder.getBoolAttr(false))});
}

Value TosaWriter::widen(Value value, int64_t zeroPoint, int shift) {
  auto tensor = cast<RankedTensorType>(value.getType());
  return make("tosa.rescale", type(tensor.getShape(), 32),
              {value, constant(type({1}, 32), INT64_C(1) << 30), constant(type({1}, 8), shift),
               zero(tensor.getElementTypeBitWidth(), zeroPoint), zero(32, 0)},
              {attr("scale32", builder.getBoolAttr(true)),
               attr("rounding_mode", tosa::RoundingModeAttr::get(builder.getContext(),
                                                                 tosa::RoundingMode::SINGLE_ROUND)),
               attr("per_channel", builder.getBoolAttr(false)),
               attr("input_unsigned", builder.getBoolAttr(false)),
               attr("output_unsigned", builder.getBoolAttr(false))});
}

// Whether a value below zero in the range times the multiplier lies between two results.
static bool hasNegativeTie(const nib_requant &q, TosaWriter::Range range) {
  if (range.low >= 0 || q.multiplier == 0)
    return false;
  // value * m = odd * 2^(s - 1): value is an odd multiple of 2^(s - 1) / (largest power of 2 in m).
  int64_t step = 31 - q.shift - 1 - llvm::countr_zero((uint32_t)q.multiplier);
  return step < 0 || (step < 62 && -range.low >= (INT64_C(1) << step));
}

// |value| rounded once, with the sign given back: ties away from zero.
Value TosaWriter::awayFromZero(const nib_node &node, Value value, unsigned bits,
                               ArrayRef<nib_requant> multipliers, ArrayRef<Range> ranges,
                               int64_t outputZero) {
  auto tensor = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> ones(tensor.getRank(), 1);
  Value none = constant(type(ones, 32), 0);
  Value size = make("tosa.abs", tensor, value);
  Value rounded = emitRescale(size, 32, multipliers, false, 0);
  Value negated = make("tosa.negate", tensor, {rounded, zero(32, 0), zero(32, 0)});
  Value positive =
      make("tosa.greater_equal", RankedTensorType::get(tensor.getShape(), builder.getI1Type()),
           {value, none});
  Value both = make("tosa.select", tensor, {positive, rounded, negated});
  for (auto [i, q] : llvm::enumerate(multipliers)) {
    Range range = ranges[ranges.size() > 1 ? i : 0];
    double reach = std::max(std::fabs((double)range.low), std::fabs((double)range.high));
    if (std::ldexp(reach * q.multiplier, q.shift - 31) >= 536870911.0) {
      error(node) << "results of 2^29 and more have no exact equivalent in TOSA";
      return {};
    }
  }
  nib_requant one{1 << 30, 1, 1.0f};
  return emitRescale(both, bits, one, false, outputZero);
}

Value TosaWriter::rescale(const nib_node &node, Value value, unsigned bits,
                          ArrayRef<nib_requant> multipliers, nib_rounding rounding,
                          ArrayRef<Range> ranges, int64_t outputZero) {
  bool tie = false;
  for (auto [i, q] : llvm::enumerate(multipliers)) {
    Range range = ranges[ranges.size() > 1 ? i : 0];
    int shift = 31 - q.shift;
    if (shift < 2 || shift > 62 || q.multiplier < 0) {
      error(node) << "a multiplier of " << q.multiplier << " / 2^" << shift
                  << " is outside what tosa.rescale takes";
      return {};
    }
    // tosa.rescale defines values in ±2^(shift - 1) only.
    int64_t limit = INT64_C(1) << (shift - 1);
    if (range.low < std::max<int64_t>(INT32_MIN, -limit) ||
        range.high > std::min<int64_t>(INT32_MAX, limit - 1)) {
      error(node) << "its values may lie in [" << range.low << ", " << range.high
                  << "], of which tosa.rescale with a shift of " << shift << " defines ["
                  << std::max<int64_t>(INT32_MIN, -limit) << ", "
                  << std::min<int64_t>(INT32_MAX, limit - 1) << "]";
      return {};
    }
    tie |= hasNegativeTie(q, range);
  }
  switch (rounding) {
  case NIB_ROUNDING_TFLITE_DOUBLE:
  case NIB_ROUNDING_TOSA_DOUBLE:
    return emitRescale(value, bits, multipliers, true, outputZero);
  case NIB_ROUNDING_TFLITE_SINGLE:
  case NIB_ROUNDING_TOSA_SINGLE:
  case NIB_ROUNDING_TOSA_INEXACT:
  case NIB_ROUNDING_DYADIC:
    return emitRescale(value, bits, multipliers, false, outputZero);
  case NIB_ROUNDING_TFLITE_AWAY:
    return tie ? awayFromZero(node, value, bits, multipliers, ranges, outputZero)
               : emitRescale(value, bits, multipliers, false, outputZero);
  default:
    error(node) << "rounding " << nib_rounding_name(rounding)
                << " computes in float, which TOSA's integers cannot say";
    return {};
  }
}

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

// An array of the elements of a constant, without a copy where it is a resource already.
static Attribute constantData(OpBuilder &builder, const nib_tensor &tensor, RankedTensorType type) {
  ArrayRef<char> raw(static_cast<const char *>(tensor.data), tensor.data_bytes);
  return DenseElementsAttr::getFromRawBuffer(type, raw);
}

Value TosaWriter::value(const nib_node &node, int slot) {
  int32_t id = node.in[slot];
  if (values[id])
    return values[id];
  const nib_tensor &constant = tensor(id);
  const nib_format_info *format = nib_format_get(constant.format);
  bool narrow = constant.format == NIB_I8 || constant.format == NIB_I32;
  if (!constant.data || !narrow) {
    error(node) << "an operand of " << format->name << " has no equivalent";
    return {};
  }
  RankedTensorType storage = type(constant);
  return values[id] = make("tosa.const", storage, {},
                           attr("values", constantData(builder, constant, storage)));
}

// nib.softmax between casts of its codes.
Value TosaWriter::keepSoftmax(const nib_node &node) {
  Value operand = value(node, 0);
  if (!operand)
    return {};
  auto fail = [&] { return error(node); };
  auto in = makeTensorType(builder.getContext(), input(node, 0), fail);
  auto out = makeTensorType(builder.getContext(), output(node), fail);
  if (!in || !out)
    return {};
  const char *rounding = nib_rounding_name(nib_node_rounding(graph, &node));
  Value result =
      make("nib.softmax", out, make("nib.scast", in, operand),
           {attr("axis",
                 builder.getI64IntegerAttr(nib_node_int(&node, NIB_A_AXIS, output(node).rank - 1))),
            attr("beta", builder.getF64FloatAttr(nib_node_float(&node, NIB_A_BETA, 1.0))),
            attr("rounding", builder.getStringAttr(rounding))});
  return make("nib.scast", type(output(node)), result);
}

Value TosaWriter::writeOperator(const nib_node &node) {
  switch (node.op) {
  case NIB_OP_CONV2D:
  case NIB_OP_DEPTHWISE_CONV2D:
  case NIB_OP_TRANSPOSE_CONV2D:
  case NIB_OP_FULLY_CONNECTED:
    return writeTosaLayer(*this, graph, node);
  case NIB_OP_MATMUL:
    return writeTosaMatMul(*this, graph, node);
  case NIB_OP_AVG_POOL2D:
  case NIB_OP_MAX_POOL2D:
    return writeTosaPool(*this, graph, node);
  case NIB_OP_MEAN:
    return writeTosaMean(*this, graph, node);
  case NIB_OP_ADD:
  case NIB_OP_SUB:
  case NIB_OP_MUL:
    return writeTosaArithmetic(*this, graph, node);
  case NIB_OP_REQUANTIZE:
    return writeTosaRequantize(*this, graph, node);
  case NIB_OP_SOFTMAX:
    if (softmax == SoftmaxChoice::Keep)
      return keepSoftmax(node);
    error(node) << "its fixed-point arithmetic has no equivalent in TOSA; choose softmax=keep or, "
                   "where it is the last operator, softmax=omit";
    return {};
  default:
    break;
  }
  nib_family family = nib_op_get(node.op)->family;
  if (family == NIB_FAMILY_FUNCTION || node.op == NIB_OP_LOOKUP)
    return writeTosaTable(*this, graph, node);
  if (family == NIB_FAMILY_VIEW || family == NIB_FAMILY_MOVE)
    return writeTosaMovement(*this, graph, node);
  error(node) << "has no equivalent in TOSA";
  return {};
}

LogicalResult TosaWriter::writeNode(const nib_node &node) {
  auto supported = [](const nib_tensor &tensor) {
    return tensor.format == NIB_I8 || tensor.format == NIB_I32;
  };
  if (!supported(output(node)))
    return error(node) << "a result of " << nib_format_get(output(node).format)->name
                       << " has no exact equivalent; only i8 networks are written";
  for (int32_t i = 0; i < node.n_in; ++i) {
    bool scales = i == 3 || (node.op == NIB_OP_REQUANTIZE && i >= 1);
    if (node.in[i] != NIB_NONE && !scales && !supported(input(node, i)))
      return error(node) << "an operand of " << nib_format_get(input(node, i).format)->name
                         << " has no exact equivalent; only i8 networks are written";
  }
  if (node.origin)
    location = Location::getFromOpaquePointer(node.origin);
  Value result = writeOperator(node);
  if (!result)
    return failure();
  values[node.out] = result;
  return success();
}

func::FuncOp TosaWriter::write() {
  SmallVector<Type> inputs, results;
  Location whole = location;
  auto plain = [&](int32_t id) { return type(tensor(id)); };
  for (int32_t id : ArrayRef(graph->inputs, graph->n_inputs))
    inputs.push_back(plain(id));
  SmallVector<int32_t> outputs(graph->outputs, graph->outputs + graph->n_outputs);
  SmallVector<const nib_node *> nodes;
  for (const nib_node &node : ArrayRef(graph->nodes, graph->n_nodes)) {
    bool last = llvm::is_contained(outputs, node.out);
    bool omit = node.op == NIB_OP_SOFTMAX && softmax == SoftmaxChoice::Omit && last;
    if (omit)
      llvm::replace(outputs, node.out, node.in[0]);
    if (omit)
      mlir::emitRemark(node.origin ? Location(Location::getFromOpaquePointer(node.origin)) : whole)
          << "nib.softmax '" << node.name << "' is left out: the function returns its operand";
    if (!omit && !nib_node_is_erased(&node))
      nodes.push_back(&node);
  }
  for (int32_t id : outputs)
    results.push_back(plain(id));
  auto function = func::FuncOp::create(builder, location, graph->name,
                                       builder.getFunctionType(inputs, results));
  Block *block = function.addEntryBlock();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(block);
  for (auto [i, id] : llvm::enumerate(ArrayRef(graph->inputs, graph->n_inputs)))
    values[id] = block->getArgument(i);
  bool failed = false;
  for (const nib_node *node : nodes) {
    // An operator after one that failed says nothing new.
    bool reachable = true;
    for (int32_t id : ArrayRef(node->in, node->n_in))
      reachable &= id == NIB_NONE || values[id] || tensor(id).data;
    failed |= reachable && mlir::failed(writeNode(*node));
  }
  SmallVector<Value> returned;
  for (int32_t id : outputs)
    returned.push_back(values[id]);
  if (failed || llvm::is_contained(returned, Value())) {
    if (!failed)
      emitError(whole) << "an output that is a constant has no equivalent";
    function.erase();
    return {};
  }
  func::ReturnOp::create(builder, whole, returned);
  return function;
}

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// TOSA's operators element by element, its reductions and its movement of data.
#include "passes/convert/TosaOperators.h"

#include "mlir/Dialect/Tosa/IR/TosaOps.h"

using namespace mlir;
using namespace nib;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

static Type elementOf(Value value) { return typeOf(value).getElementType(); }

static bool isInteger(Type element, unsigned bits) {
  auto uniform = dyn_cast<quant::QuantizedType>(element);
  return element.isInteger(bits) || (uniform && uniform.getStorageTypeIntegralWidth() == bits);
}

//===----------------------------------------------------------------------===//
// Element by element
//===----------------------------------------------------------------------===//

static double boundOf(Attribute bound) {
  if (auto real = dyn_cast<FloatAttr>(bound))
    return real.getValueAsDouble();
  return (double)cast<IntegerAttr>(bound).getValue().getSExtValue();
}

// On codes the bounds are codes: real numbers at scale 1.
static LogicalResult convertClamp(FunctionConverter &converter, Operation *operation) {
  auto op = cast<tosa::ClampOp>(operation);
  Value input = converter.value(op.getInput());
  if (!input)
    return failure();
  double low = boundOf(op.getMinValAttr()), high = boundOf(op.getMaxValAttr());
  Type element = elementOf(input);
  if (isInteger(element, 8) || isInteger(element, 16)) {
    auto uniform = dyn_cast<quant::UniformQuantizedType>(element);
    bool atOne = uniform && uniform.getScale() == 1.0;
    bool isUnsigned = (uniform && !uniform.isSigned()) || element.isUnsignedInteger();
    int64_t zero = atOne ? uniform.getZeroPoint() : 0;
    unsigned bits = isInteger(element, 8) ? 8 : 16;
    if (!atOne)
      input =
          converter.scast(op, input, converter.quantized(typeOf(input), bits, isUnsigned, 1.0, 0));
    low -= (double)zero, high -= (double)zero;
  } else if (!isa<FloatType>(element)) {
    return op.emitOpError() << "is not supported on " << typeOf(input);
  }
  Value clamped = converter.emit(op, NIB_OP_CLAMP, input.getType(), input,
                                 {converter.real(NIB_A_MIN, low), converter.real(NIB_A_MAX, high)});
  converter.set(op.getOutput(), clamped);
  return success();
}

// value * multiplier / 2^shift as i32, rounded once.
static Value scaled(FunctionConverter &converter, Operation *op, Value value, int32_t multiplier,
                    int8_t shift) {
  OpBuilder &builder = converter.builder();
  auto one = RankedTensorType::get({1}, builder.getI32Type());
  auto byte = one.clone(builder.getI8Type());
  Value m = converter.constant(op, DenseElementsAttr::get(one, multiplier), one);
  Value s = converter.constant(op, DenseElementsAttr::get(byte, shift), byte);
  return converter.emit(op, NIB_OP_REQUANTIZE, typeOf(value).clone(builder.getI32Type()),
                        {value, Value(), m, s}, converter.string(NIB_A_ROUNDING, "tosa-single"));
}

// 8- and 16-bit integers as i32.
static Value widen(FunctionConverter &converter, Operation *op, Value old) {
  Value narrow = converter.plain(old);
  if (!narrow || isInteger(elementOf(narrow), 32) || isa<FloatType>(elementOf(narrow)))
    return narrow;
  return converter.emit(op, NIB_OP_CAST, typeOf(narrow).clone(converter.builder().getI32Type()),
                        narrow);
}

static LogicalResult convertMul(FunctionConverter &converter, Operation *operation) {
  auto op = cast<tosa::MulOp>(operation);
  SmallVector<int64_t> shift;
  if (!readIntegers(op.getShift(), shift) || shift.size() != 1)
    return op.emitOpError("its shift must be a constant");
  RankedTensorType type = converter.type(op.getOutput());
  if (isa<quant::QuantizedType>(type.getElementType())) {
    if (shift[0])
      return op.emitOpError("a quantized product has no shift");
    return convertBinary(converter, op);
  }
  Value lhs = widen(converter, op, op.getInput1()), rhs = widen(converter, op, op.getInput2());
  if (!lhs || !rhs)
    return failure();
  if (!shift[0])
    return converter.become(op, NIB_OP_MUL, type, {lhs, rhs});
  // The product has 64 bits before it is shifted and rounded.
  Type wide = converter.builder().getI64Type();
  lhs = converter.emit(op, NIB_OP_CAST, typeOf(lhs).clone(wide), lhs);
  rhs = converter.emit(op, NIB_OP_CAST, typeOf(rhs).clone(wide), rhs);
  Value product = converter.emit(op, NIB_OP_MUL, type.clone(wide), {lhs, rhs});
  converter.set(op.getOutput(), scaled(converter, op, product, 1, (int8_t)shift[0]));
  return success();
}

// b < a is a > b.
static LogicalResult convertGreater(FunctionConverter &converter, Operation *op) {
  Value lhs = converter.plain(op->getOperand(0)), rhs = converter.plain(op->getOperand(1));
  if (!lhs || !rhs)
    return failure();
  return converter.become(op, converter.row(op).operation, converter.type(op->getResult(0)),
                          {rhs, lhs});
}

static LogicalResult convertSelect(FunctionConverter &converter, Operation *op) {
  Value condition = converter.value(op->getOperand(0));
  Value lhs = converter.plain(op->getOperand(1)), rhs = converter.plain(op->getOperand(2));
  if (!condition || !lhs || !rhs)
    return failure();
  return converter.become(op, NIB_OP_WHERE, converter.type(op->getResult(0)),
                          {condition, lhs, rhs});
}

static LogicalResult convertRightShift(FunctionConverter &converter, Operation *operation) {
  auto op = cast<tosa::ArithmeticRightShiftOp>(operation);
  if (!op.getRound())
    return convertBinary(converter, op);
  // A rounded shift by one number is a rescale by 2^30 / 2^(30 + shift).
  SmallVector<int64_t> shift;
  bool known = readIntegers(op.getInput2(), shift) && llvm::all_equal(shift);
  if (!known || !isInteger(elementOf(op.getOutput()), 32) || shift[0] < 0 || shift[0] > 31)
    return op.emitOpError("a rounded shift must be of i32 and by one constant");
  Value input = converter.plain(op.getInput1());
  if (!input)
    return failure();
  if (typeOf(input).getShape() != typeOf(op.getOutput()).getShape())
    return op.emitOpError("a rounded shift does not broadcast its input here");
  converter.set(op.getOutput(),
                scaled(converter, op, input, (int32_t)1 << 30, (int8_t)(30 + shift[0])));
  return success();
}

// A constant of one number that broadcasts against `like`.
static Value numberLike(FunctionConverter &converter, Operation *op, Value like, int64_t number) {
  auto type =
      RankedTensorType::get(SmallVector<int64_t>(typeOf(like).getRank(), 1), elementOf(like));
  APInt value(type.getElementTypeBitWidth(), (uint64_t)number, true);
  return converter.constant(op, DenseElementsAttr::get(type, value), type);
}

// Of integers: the larger of x and -x.
static LogicalResult convertAbs(FunctionConverter &converter, Operation *op) {
  Value input = converter.plain(op->getOperand(0));
  if (!input)
    return failure();
  RankedTensorType type = converter.type(op->getResult(0));
  if (isa<FloatType>(elementOf(input)))
    return converter.become(op, NIB_OP_ABS, type, input);
  Value negated =
      converter.emit(op, NIB_OP_SUB, type, {numberLike(converter, op, input, 0), input});
  return converter.become(op, NIB_OP_MAXIMUM, type, {input, negated});
}

static LogicalResult convertNegate(FunctionConverter &converter, Operation *operation) {
  auto op = cast<tosa::NegateOp>(operation);
  Value input = converter.plain(op.getInput1());
  if (!input)
    return failure();
  RankedTensorType type = converter.type(op.getOutput());
  if (isa<FloatType>(elementOf(input)))
    return converter.become(op, NIB_OP_NEG, type, input);
  if (!elementOf(input).isInteger(32))
    return op.emitOpError() << "is not supported on " << type;
  return converter.become(op, NIB_OP_SUB, type, {numberLike(converter, op, input, 0), input});
}

static LogicalResult convertTable(FunctionConverter &converter, Operation *operation) {
  auto op = cast<tosa::TableOp>(operation);
  if (!isInteger(elementOf(op.getInput1()), 8))
    return op.emitOpError("only tables of 8-bit codes are supported");
  Value input = converter.value(op.getInput1()), table = converter.plain(op.getTable());
  if (!input || !table)
    return failure();
  return converter.become(op, NIB_OP_LOOKUP, converter.type(op.getOutput()), {input, table});
}

// To real numbers, or between integers, of which narrower ones keep the low bits.
static LogicalResult convertCast(FunctionConverter &converter, Operation *operation) {
  auto op = cast<tosa::CastOp>(operation);
  RankedTensorType type = converter.type(op.getOutput());
  Value input = converter.plain(op.getInput());
  if (!input)
    return failure();
  if (input.getType() == type) {
    converter.set(op.getOutput(), input);
    return success();
  }
  Type from = elementOf(input), to = type.getElementType();
  if (!from.isInteger() && to.isInteger())
    return op.emitOpError() << "from " << from << " to " << to
                            << " rounds to even, which nib.cast does not";
  return converter.become(op, NIB_OP_CAST, type, input);
}

// Sums, products and extremes along one dimension, which stays as 1.
static LogicalResult convertReduce(FunctionConverter &converter, Operation *op) {
  static const llvm::StringMap<StringRef> reductions{{"tosa.reduce_sum", "add"},
                                                     {"tosa.reduce_product", "mul"},
                                                     {"tosa.reduce_max", "max"},
                                                     {"tosa.reduce_min", "min"}};
  Value input = converter.plain(op->getOperand(0));
  auto axis = op->getAttrOfType<IntegerAttr>("axis");
  if (!input || !axis)
    return failure();
  nib_op reduce = nib_op_find("reduce");
  if (reduce == NIB_OP_COUNT)
    return op->emitOpError("has no counterpart in the nib dialect");
  return converter.become(
      op, reduce, converter.type(op->getResult(0)), input,
      {converter.ints(NIB_A_AXES, axis.getInt()), converter.integer(NIB_A_KEEP_DIMS, 1),
       converter.string(NIB_A_REDUCTION, reductions.lookup(op->getName().getStringRef()))});
}

static LogicalResult convertIdentity(FunctionConverter &converter, Operation *op) {
  Value input = converter.value(op->getOperand(0));
  if (input)
    converter.set(op->getResult(0), input);
  return success((bool)input);
}

//===----------------------------------------------------------------------===//
// Movement: elements keep the type that they have
//===----------------------------------------------------------------------===//

static LogicalResult move(FunctionConverter &converter, Operation *op, nib_op operation,
                          Attrs attrs = {}) {
  Value input = converter.value(op->getOperand(0));
  if (!input)
    return failure();
  auto shape = typeOf(op->getResult(0)).getShape();
  return converter.become(op, operation, RankedTensorType::get(shape, elementOf(input)), input,
                          attrs);
}

static LogicalResult convertReshape(FunctionConverter &converter, Operation *op) {
  return move(converter, op, NIB_OP_RESHAPE);
}

static LogicalResult convertTranspose(FunctionConverter &converter, Operation *operation) {
  auto op = cast<tosa::TransposeOp>(operation);
  SmallVector<int64_t> perm(op.getPerms().begin(), op.getPerms().end());
  return move(converter, op, NIB_OP_TRANSPOSE, converter.ints(NIB_A_PERM, perm));
}

static LogicalResult convertSlice(FunctionConverter &converter, Operation *operation) {
  auto op = cast<tosa::SliceOp>(operation);
  SmallVector<int64_t> begin;
  if (!readIntegers(op.getStart(), begin))
    return op.emitOpError("its start must be a constant");
  return move(converter, op, NIB_OP_SLICE,
              {converter.ints(NIB_A_BEGIN, begin),
               converter.ints(NIB_A_SIZES, typeOf(op.getOutput()).getShape())});
}

static LogicalResult convertReverse(FunctionConverter &converter, Operation *operation) {
  auto op = cast<tosa::ReverseOp>(operation);
  auto shape = typeOf(op.getOutput()).getShape();
  SmallVector<int64_t> begin(shape.size(), 0), steps(shape.size(), 1);
  begin[op.getAxis()] = shape[op.getAxis()] - 1;
  steps[op.getAxis()] = -1;
  return move(converter, op, NIB_OP_STRIDED_SLICE,
              {converter.ints(NIB_A_BEGIN, begin), converter.ints(NIB_A_STEPS, steps)});
}

static LogicalResult convertPad(FunctionConverter &converter, Operation *operation) {
  auto op = cast<tosa::PadOp>(operation);
  SmallVector<int64_t> padding, low, high, code;
  if (!readIntegers(op.getPadding(), padding))
    return op.emitOpError("its padding must be a constant");
  for (size_t i = 0; i + 1 < padding.size(); i += 2) {
    low.push_back(padding[i]);
    high.push_back(padding[i + 1]);
  }
  auto real = dyn_cast_or_null<DenseFPElementsAttr>(readConstant(op.getPadConst()));
  if (!real && (!readIntegers(op.getPadConst(), code) || code.size() != 1))
    return op.emitOpError("its pad_const must be a constant");
  double value = real ? (*real.getValues<APFloat>().begin()).convertToDouble() : (double)code[0];
  return move(converter, op, NIB_OP_PAD,
              {converter.ints(NIB_A_LOW, low), converter.ints(NIB_A_HIGH, high),
               converter.real(NIB_A_PAD_VALUE, value)});
}

// Parts of one type keep it; where they differ, plain codes are what TOSA moves.
static Value concat(FunctionConverter &converter, Operation *op, ArrayRef<Value> parts,
                    int64_t axis, RankedTensorType shape) {
  SmallVector<Value> inputs;
  for (Value part : parts)
    inputs.push_back(converter.value(part));
  if (llvm::is_contained(inputs, Value()))
    return {};
  Type element = elementOf(inputs[0]);
  if (llvm::any_of(inputs, [&](Value input) { return elementOf(input) != element; })) {
    for (auto [input, part] : llvm::zip(inputs, parts))
      input = converter.plain(part);
    element = elementOf(inputs[0]);
  }
  return converter.emit(op, NIB_OP_CONCAT, RankedTensorType::get(shape.getShape(), element), inputs,
                        converter.integer(NIB_A_AXIS, axis));
}

static LogicalResult convertConcat(FunctionConverter &converter, Operation *operation) {
  auto op = cast<tosa::ConcatOp>(operation);
  SmallVector<Value> parts(op.getInput1());
  Value whole = concat(converter, op, parts, op.getAxis(), typeOf(op.getOutput()));
  if (whole)
    converter.set(op.getOutput(), whole);
  return success((bool)whole);
}

ArrayRef<ConvertRow> nib::tosaElementRows() {
  static const ConvertRow rows[] = {
      {"tosa.const", convertNothing},
      {"tosa.const_shape", convertNothing},
      {"tosa.identity", convertIdentity},
      {"tosa.cast", convertCast},
      {"tosa.clamp", convertClamp},
      {"tosa.table", convertTable},
      {"tosa.add", convertBinary, NIB_OP_ADD},
      {"tosa.sub", convertBinary, NIB_OP_SUB},
      {"tosa.mul", convertMul, NIB_OP_MUL},
      {"tosa.intdiv", convertBinary, NIB_OP_DIV},
      {"tosa.maximum", convertBinary, NIB_OP_MAXIMUM},
      {"tosa.minimum", convertBinary, NIB_OP_MINIMUM},
      {"tosa.pow", convertBinary, NIB_OP_POW},
      {"tosa.bitwise_and", convertBinary, NIB_OP_BIT_AND},
      {"tosa.bitwise_or", convertBinary, NIB_OP_BIT_OR},
      {"tosa.bitwise_xor", convertBinary, NIB_OP_BIT_XOR},
      {"tosa.logical_left_shift", convertBinary, NIB_OP_SHIFT_LEFT},
      {"tosa.arithmetic_right_shift", convertRightShift, NIB_OP_SHIFT_RIGHT},
      {"tosa.equal", convertBinary, NIB_OP_EQUAL},
      {"tosa.greater", convertGreater, NIB_OP_LESS},
      {"tosa.greater_equal", convertGreater, NIB_OP_LESS_EQUAL},
      {"tosa.select", convertSelect, NIB_OP_WHERE},
      {"tosa.abs", convertAbs, NIB_OP_ABS},
      {"tosa.negate", convertNegate, NIB_OP_NEG},
      {"tosa.exp", convertUnary, NIB_OP_EXP},
      {"tosa.log", convertUnary, NIB_OP_LOG},
      {"tosa.ceil", convertUnary, NIB_OP_CEIL},
      {"tosa.floor", convertUnary, NIB_OP_FLOOR},
      {"tosa.reciprocal", convertUnary, NIB_OP_RECIPROCAL},
      {"tosa.rsqrt", convertUnary, NIB_OP_RSQRT},
      {"tosa.sin", convertUnary, NIB_OP_SIN},
      {"tosa.cos", convertUnary, NIB_OP_COS},
      {"tosa.erf", convertUnary, NIB_OP_ERF},
      {"tosa.sigmoid", convertUnary, NIB_OP_SIGMOID},
      {"tosa.tanh", convertUnary, NIB_OP_TANH},
      {"tosa.reduce_sum", convertReduce},
      {"tosa.reduce_product", convertReduce},
      {"tosa.reduce_max", convertReduce},
      {"tosa.reduce_min", convertReduce},
      {"tosa.reshape", convertReshape},
      {"tosa.transpose", convertTranspose},
      {"tosa.slice", convertSlice},
      {"tosa.reverse", convertReverse},
      {"tosa.pad", convertPad},
      {"tosa.concat", convertConcat},
  };
  return rows;
}

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// TOSA's operators that multiply and accumulate, its pools, and rescale.
#include "passes/convert/TosaOperators.h"

#include "mlir/Dialect/Tosa/IR/TosaOps.h"

using namespace mlir;
using namespace nib;

static Type elementOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getElementType();
}

// A zero point operand; TOSA wants constants, and so does a type.
static LogicalResult readZero(Operation *op, StringRef what, FailureOr<int64_t> read,
                              int64_t &zero) {
  if (failed(read))
    return op->emitOpError() << "its " << what << " zero point must be a constant";
  zero = *read;
  return success();
}

//===----------------------------------------------------------------------===//
// Convolutions
//===----------------------------------------------------------------------===//

namespace {
struct Layer {
  Value input, weight, bias;
  int64_t inputZero = 0, weightZero = 0;
};
} // namespace

// A quantized result that no rescale makes: the types say all, and weights per axis become scales.
static LogicalResult addScales(FunctionConverter &converter, Operation *op, Value weight,
                               SmallVectorImpl<Value> &operands) {
  auto perAxis = dyn_cast<quant::UniformQuantizedPerAxisType>(elementOf(weight));
  bool quantized = isa<quant::QuantizedType>(elementOf(op->getResult(0)));
  if (!perAxis || !quantized)
    return success();
  auto type = RankedTensorType::get({(int64_t)perAxis.getScales().size()},
                                    converter.builder().getF64Type());
  SmallVector<double> scales(perAxis.getScales());
  Value scale = converter.constant(op, DenseElementsAttr::get(type, ArrayRef(scales)), type);
  if (!scale)
    return failure();
  operands.push_back(scale);
  return success();
}

// One bias for all channels becomes one for each; zeros go.
static LogicalResult readBias(FunctionConverter &converter, Operation *op, Value old,
                              int64_t channels, Value &bias) {
  auto type = converter.type(old);
  ElementsAttr data = readConstant(old);
  SmallVector<int64_t> integers;
  if (data && readIntegers(old, integers) && llvm::all_of(integers, [](int64_t i) { return !i; }))
    return success();
  auto wanted = RankedTensorType::get({channels}, type.getElementType());
  if (auto uniform = dyn_cast<quant::QuantizedType>(type.getElementType()))
    wanted =
        wanted.clone(converter.builder().getIntegerType(uniform.getStorageTypeIntegralWidth()));
  if (type.getNumElements() == channels) {
    Value now = converter.value(old);
    bias = now ? converter.as(op, now, wanted) : Value();
    return success((bool)bias);
  }
  auto dense = dyn_cast_or_null<DenseElementsAttr>(data);
  if (!dense)
    return op->emitOpError("a bias of one element must be a constant");
  auto one = dense.getElementType().isInteger(48)
                 ? DenseElementsAttr::get(wanted, APInt(64, (uint64_t)integers[0], true))
                 : dense.resizeSplat(wanted);
  bias = converter.constant(op, one, wanted);
  return success((bool)bias);
}

static LogicalResult readLayer(FunctionConverter &converter, Operation *op, Value input,
                               Value weight, Value bias, FailureOr<int64_t> inputZero,
                               FailureOr<int64_t> weightZero, Layer &layer) {
  if (failed(readZero(op, "input", inputZero, layer.inputZero)) ||
      failed(readZero(op, "weight", weightZero, layer.weightZero)))
    return failure();
  auto channels = cast<RankedTensorType>(op->getResult(0).getType()).getShape().back();
  layer.input = converter.codes(input, layer.inputZero);
  layer.weight = converter.value(weight);
  if (!layer.input || !layer.weight || failed(readBias(converter, op, bias, channels, layer.bias)))
    return failure();
  auto type = cast<RankedTensorType>(layer.weight.getType());
  if (type.getElementType().isInteger(8) && layer.weightZero)
    layer.weight = converter.codes(weight, layer.weightZero);
  return success();
}

static LogicalResult becomeLayer(FunctionConverter &converter, Operation *op, nib_op operation,
                                 const Layer &layer, Value oldWeight, Attrs attrs) {
  SmallVector<Value> operands{layer.input, layer.weight, layer.bias};
  if (failed(addScales(converter, op, oldWeight, operands)))
    return failure();
  return converter.become(op, operation, converter.type(op->getResult(0)), operands, attrs);
}

// TOSA: top, bottom, left, right; here: top, left, bottom, right.
static NamedAttribute pads(FunctionConverter &converter, ArrayRef<int64_t> pad, int64_t sign = 1) {
  return converter.ints(NIB_A_PADS, {sign * pad[0], sign * pad[2], sign * pad[1], sign * pad[3]});
}

static LogicalResult convertConv2D(FunctionConverter &converter, Operation *operation) {
  auto op = cast<tosa::Conv2DOp>(operation);
  Layer layer;
  if (failed(readLayer(converter, op, op.getInput(), op.getWeight(), op.getBias(),
                       op.getInputZeroPoint(), op.getWeightZeroPoint(), layer)))
    return failure();
  return becomeLayer(converter, op, NIB_OP_CONV2D, layer, op.getWeight(),
                     {converter.ints(NIB_A_STRIDES, op.getStride()),
                      converter.ints(NIB_A_DILATIONS, op.getDilation()),
                      pads(converter, op.getPad())});
}

// The filter [KH, KW, C, M] is [1, KH, KW, C * M].
static LogicalResult convertDepthwise(FunctionConverter &converter, Operation *operation) {
  auto op = cast<tosa::DepthwiseConv2DOp>(operation);
  Layer layer;
  if (failed(readLayer(converter, op, op.getInput(), op.getWeight(), op.getBias(),
                       op.getInputZeroPoint(), op.getWeightZeroPoint(), layer)))
    return failure();
  auto type = cast<RankedTensorType>(layer.weight.getType());
  ArrayRef<int64_t> dims = type.getShape();
  layer.weight = converter.emit(
      op, NIB_OP_RESHAPE,
      RankedTensorType::get({1, dims[0], dims[1], dims[2] * dims[3]}, type.getElementType()),
      layer.weight);
  return becomeLayer(converter, op, NIB_OP_DEPTHWISE_CONV2D, layer, op.getWeight(),
                     {converter.ints(NIB_A_STRIDES, op.getStride()),
                      converter.ints(NIB_A_DILATIONS, op.getDilation()),
                      pads(converter, op.getPad())});
}

static LogicalResult convertTransposeConv(FunctionConverter &converter, Operation *operation) {
  auto op = cast<tosa::TransposeConv2DOp>(operation);
  Layer layer;
  if (failed(readLayer(converter, op, op.getInput(), op.getWeight(), op.getBias(),
                       op.getInputZeroPoint(), op.getWeightZeroPoint(), layer)))
    return failure();
  return becomeLayer(
      converter, op, NIB_OP_TRANSPOSE_CONV2D, layer, op.getWeight(),
      {converter.ints(NIB_A_STRIDES, op.getStride()), pads(converter, op.getOutPad(), -1)});
}

static LogicalResult convertMatMul(FunctionConverter &converter, Operation *operation) {
  auto op = cast<tosa::MatMulOp>(operation);
  int64_t a = 0, b = 0;
  if (failed(readZero(op, "left", op.getAZeroPoint(), a)) ||
      failed(readZero(op, "right", op.getBZeroPoint(), b)))
    return failure();
  Value lhs = converter.codes(op.getA(), a), rhs = converter.codes(op.getB(), b);
  if (!lhs || !rhs)
    return failure();
  return converter.become(op, NIB_OP_MATMUL, converter.type(op.getOutput()), {lhs, rhs});
}

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

template <typename Op>
static SmallVector<NamedAttribute> window(FunctionConverter &converter, Op op) {
  return {converter.ints(NIB_A_KERNEL, op.getKernel()),
          converter.ints(NIB_A_STRIDES, op.getStride()), pads(converter, op.getPad())};
}

// Under tosa-single a mean is TOSA's: the sum by a 31-bit reciprocal of the count.
static LogicalResult convertAvgPool(FunctionConverter &converter, Operation *operation) {
  auto op = cast<tosa::AvgPool2dOp>(operation);
  int64_t inputZero = 0, outputZero = 0;
  if (failed(readZero(op, "input", op.getInputZeroPoint(), inputZero)) ||
      failed(readZero(op, "output", op.getOutputZeroPoint(), outputZero)))
    return failure();
  Value input = converter.codes(op.getInput(), inputZero);
  if (!input)
    return failure();
  RankedTensorType type = converter.type(op.getOutput());
  SmallVector<NamedAttribute> attrs = window(converter, op);
  if (auto uniform = dyn_cast<quant::UniformQuantizedType>(elementOf(input))) {
    attrs.push_back(converter.string(NIB_A_ROUNDING, "tosa-single"));
    type = converter.quantized(type, uniform.getStorageTypeIntegralWidth(), !uniform.isSigned(),
                               uniform.getScale(), outputZero);
  }
  return converter.become(op, NIB_OP_AVG_POOL2D, type, input, attrs);
}

static LogicalResult convertMaxPool(FunctionConverter &converter, Operation *operation) {
  auto op = cast<tosa::MaxPool2dOp>(operation);
  Value input = converter.value(op.getInput());
  if (!input)
    return failure();
  auto type = RankedTensorType::get(converter.type(op.getOutput()).getShape(), elementOf(input));
  return converter.become(op, NIB_OP_MAX_POOL2D, type, input, window(converter, op));
}

//===----------------------------------------------------------------------===//
// Rescale
//===----------------------------------------------------------------------===//

static StringRef roundingOf(tosa::RoundingMode mode) {
  switch (mode) {
  case tosa::RoundingMode::SINGLE_ROUND:
    return "tosa-single";
  case tosa::RoundingMode::DOUBLE_ROUND:
    return "tosa-double";
  case tosa::RoundingMode::INEXACT_ROUND:
    return "tosa-inexact";
  }
  return "";
}

// Zero points of unsigned codes are written in signless bits.
static int64_t asUnsigned(int64_t zero, unsigned bits) {
  return zero & (int64_t)((UINT64_C(1) << bits) - 1);
}

static unsigned bitsOf(Type element) {
  auto uniform = dyn_cast<quant::QuantizedType>(element);
  return uniform ? uniform.getStorageTypeIntegralWidth() : element.getIntOrFloatBitWidth();
}

static LogicalResult checkMultipliers(tosa::RescaleOp op, ArrayRef<int64_t> multipliers,
                                      ArrayRef<int64_t> shifts) {
  auto shape = cast<RankedTensorType>(op.getOutput().getType()).getShape();
  int64_t wanted = op.getPerChannel() && !shape.empty() ? shape.back() : 1;
  if ((int64_t)multipliers.size() != wanted || (int64_t)shifts.size() != wanted)
    return op.emitOpError() << "needs " << wanted << " multipliers and shifts";
  for (int64_t m : multipliers)
    if (m < 0)
      return op.emitOpError() << "multiplier " << m << " is negative";
  for (int64_t s : shifts)
    if (s < 2 || s > 62)
      return op.emitOpError() << "shift " << s << " is outside [2, 62]";
  bool wide = elementOf(op.getInput()).isInteger(48);
  if (op.getScale32() == wide && wide)
    return op.emitOpError("48-bit values take 16-bit multipliers (scale32 = false)");
  if (!op.getScale32() && op.getRoundingMode() == tosa::RoundingMode::DOUBLE_ROUND)
    return op.emitOpError("16-bit multipliers are not rounded twice");
  return success();
}

// Where the values of the input stand, and codes of the result.
static Value rescaleInput(FunctionConverter &converter, tosa::RescaleOp op, int64_t zero) {
  Type element = elementOf(op.getInput());
  unsigned bits = bitsOf(element);
  if (bits > 16)
    return converter.plain(op.getInput());
  if (op.getInputUnsigned())
    return converter.codes(op.getInput(), asUnsigned(zero, bits), true);
  return bits == 8 || zero || isa<quant::QuantizedType>(element)
             ? converter.codes(op.getInput(), zero)
             : converter.plain(op.getInput());
}

static RankedTensorType rescaleType(FunctionConverter &converter, tosa::RescaleOp op,
                                    int64_t zero) {
  RankedTensorType type = converter.type(op.getOutput());
  Type element = type.getElementType();
  unsigned bits = bitsOf(element);
  if (bits > 16)
    return type.clone(converter.builder().getIntegerType(bits));
  auto uniform = dyn_cast<quant::UniformQuantizedType>(element);
  bool isUnsigned = op.getOutputUnsigned() || (uniform && !uniform.isSigned());
  return converter.quantized(type, bits, isUnsigned, uniform ? uniform.getScale() : 1.0,
                             isUnsigned ? asUnsigned(zero, bits) : zero);
}

static LogicalResult convertRescale(FunctionConverter &converter, Operation *operation) {
  auto op = cast<tosa::RescaleOp>(operation);
  int64_t inputZero = 0, outputZero = 0;
  SmallVector<int64_t> multipliers, shifts;
  if (!readIntegers(op.getMultiplier(), multipliers) || !readIntegers(op.getShift(), shifts))
    return op.emitOpError("its multipliers and shifts must be constants");
  if (failed(readZero(op, "input", op.getInputZeroPoint(), inputZero)) ||
      failed(readZero(op, "output", op.getOutputZeroPoint(), outputZero)) ||
      failed(checkMultipliers(op, multipliers, shifts)))
    return failure();
  OpBuilder &builder = converter.builder();
  SmallVector<int32_t> m(multipliers.begin(), multipliers.end());
  SmallVector<int8_t> s(shifts.begin(), shifts.end());
  auto type = RankedTensorType::get({(int64_t)m.size()}, builder.getI32Type());
  auto narrow = type.clone(builder.getI8Type());
  Value multiplier = converter.constant(op, DenseElementsAttr::get(type, ArrayRef(m)), type);
  Value shift = converter.constant(op, DenseElementsAttr::get(narrow, ArrayRef(s)), narrow);
  Value input = rescaleInput(converter, op, inputZero);
  if (!input)
    return failure();
  return converter.become(op, NIB_OP_REQUANTIZE, rescaleType(converter, op, outputZero),
                          {input, Value(), multiplier, shift},
                          converter.string(NIB_A_ROUNDING, roundingOf(op.getRoundingMode())));
}

ArrayRef<ConvertRow> nib::tosaLayerRows() {
  static const ConvertRow rows[] = {
      {"tosa.conv2d", convertConv2D},
      {"tosa.depthwise_conv2d", convertDepthwise},
      {"tosa.transpose_conv2d", convertTransposeConv},
      {"tosa.matmul", convertMatMul},
      {"tosa.avg_pool2d", convertAvgPool},
      {"tosa.max_pool2d", convertMaxPool},
      {"tosa.rescale", convertRescale},
  };
  return rows;
}

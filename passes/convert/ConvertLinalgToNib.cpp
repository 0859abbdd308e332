// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// linalg's named operations on tensors, what feeds them, and the shapes around them.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Passes.h"
#include "passes/convert/FunctionConverter.h"
#include "pipeline/pass_status.h"

using namespace mlir;
using namespace nib;

namespace nib {
#define GEN_PASS_DEF_CONVERTLINALGTONIB
#include "NibPasses.h.inc"
} // namespace nib

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

static Value inputOf(Operation *op, unsigned i) {
  return cast<linalg::LinalgOp>(op).getDpsInputOperand(i)->get();
}

static Value initOf(Operation *op) {
  return cast<linalg::LinalgOp>(op).getDpsInitOperand(0)->get();
}

//===----------------------------------------------------------------------===//
// What an operation adds to
//===----------------------------------------------------------------------===//

// The number that `linalg.fill` puts everywhere, or nothing.
static std::optional<double> filledWith(Value value) {
  auto fill = value.getDefiningOp<linalg::FillOp>();
  auto constant = fill ? fill.getInputs()[0].getDefiningOp<arith::ConstantOp>() : nullptr;
  if (!constant)
    return std::nullopt;
  if (auto real = dyn_cast<FloatAttr>(constant.getValue()))
    return real.getValueAsDouble();
  if (auto integer = dyn_cast<IntegerAttr>(constant.getValue()))
    return (double)integer.getValue().getSExtValue();
  return std::nullopt;
}

// Named operations start from their init: 0 adds nothing, anything else is combined with the
// result.
static LogicalResult finish(FunctionConverter &converter, Operation *op, Value result,
                            double neutral, nib_op combine) {
  Value init = initOf(op);
  std::optional<double> filled = filledWith(init);
  if (!filled || *filled != neutral) {
    Value start = converter.plain(init);
    if (!start)
      return failure();
    result = converter.emit(op, combine, result.getType(), {result, start});
  }
  converter.set(op->getResult(0), result);
  return success();
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

// A scalar zero point: a constant.
static LogicalResult readZero(Operation *op, Value scalar, int64_t &zero) {
  auto constant = scalar.getDefiningOp<arith::ConstantOp>();
  auto integer = constant ? dyn_cast<IntegerAttr>(constant.getValue()) : IntegerAttr();
  if (!integer)
    return op->emitOpError("its zero points must be constants");
  zero = integer.getValue().getSExtValue();
  return success();
}

// Both operands as codes; quantized operations have their zero points behind them.
static LogicalResult readPair(FunctionConverter &converter, Operation *op, bool quantized,
                              Value &lhs, Value &rhs) {
  int64_t zero[2] = {0, 0};
  for (int i = 0; quantized && i < 2; ++i)
    if (failed(readZero(op, inputOf(op, 2 + i), zero[i])))
      return failure();
  for (int i = 0; i < 2; ++i) {
    Type element = typeOf(inputOf(op, i)).getElementType();
    if (element.isInteger(8) && (zero[i] < -128 || zero[i] > 127))
      return op->emitOpError() << "zero point " << zero[i] << " is no code of i8";
    if (element.isInteger() && !element.isInteger(8) && !element.isInteger(16))
      return op->emitOpError() << "operands of " << element << " are not multiplied here";
  }
  lhs = converter.codes(inputOf(op, 0), zero[0]);
  rhs = converter.codes(inputOf(op, 1), zero[1]);
  return success(lhs && rhs);
}

static bool hasZeros(Operation *op) { return cast<linalg::LinalgOp>(op).getNumDpsInputs() == 4; }

static LogicalResult convertMatMul(FunctionConverter &converter, Operation *op) {
  auto plain = dyn_cast<linalg::MatmulOp>(op);
  auto batch = dyn_cast<linalg::BatchMatmulOp>(op);
  if ((plain && plain.hasUserDefinedMaps()) || (batch && batch.hasUserDefinedMaps()))
    return op->emitOpError("with indexing maps of its own is not supported");
  Value lhs, rhs;
  if (failed(readPair(converter, op, hasZeros(op), lhs, rhs)))
    return failure();
  Value product = converter.emit(op, NIB_OP_MATMUL, converter.type(op->getResult(0)), {lhs, rhs});
  return finish(converter, op, product, 0, NIB_OP_ADD);
}

static NamedAttribute pairOf(FunctionConverter &converter, Operation *op, StringRef name,
                             nib_attr_id id) {
  SmallVector<int64_t> numbers;
  if (auto dense = op->getAttrOfType<DenseIntElementsAttr>(name))
    llvm::append_range(numbers, dense.getValues<int64_t>());
  return converter.ints(id, numbers.size() == 2 ? numbers : SmallVector<int64_t>{1, 1});
}

static Value reshape(FunctionConverter &converter, Operation *op, Value value,
                     ArrayRef<int64_t> dims) {
  auto type = RankedTensorType::get(dims, typeOf(value).getElementType());
  return type == value.getType() ? value : converter.emit(op, NIB_OP_RESHAPE, type, value);
}

// The order of a filter's dimensions for ours: [O, H, W, I].
static LogicalResult convertConv(FunctionConverter &converter, Operation *op, bool hwcf) {
  Value input, filter;
  if (failed(readPair(converter, op, hasZeros(op), input, filter)))
    return failure();
  if (hwcf) {
    ArrayRef<int64_t> dims = typeOf(filter).getShape();
    auto type = RankedTensorType::get({dims[3], dims[0], dims[1], dims[2]},
                                      typeOf(filter).getElementType());
    filter = converter.emit(op, NIB_OP_TRANSPOSE, type, filter,
                            converter.ints(NIB_A_PERM, {3, 0, 1, 2}));
  }
  Value result =
      converter.emit(op, NIB_OP_CONV2D, converter.type(op->getResult(0)), {input, filter},
                     {pairOf(converter, op, "strides", NIB_A_STRIDES),
                      pairOf(converter, op, "dilations", NIB_A_DILATIONS)});
  return finish(converter, op, result, 0, NIB_OP_ADD);
}

static LogicalResult convertConvHwcf(FunctionConverter &converter, Operation *op) {
  return convertConv(converter, op, true);
}

static LogicalResult convertConvFhwc(FunctionConverter &converter, Operation *op) {
  return convertConv(converter, op, false);
}

// The filter [H, W, C] or [H, W, C, M] is [1, H, W, C * M]; the result of the latter is split
// again.
static LogicalResult convertDepthwise(FunctionConverter &converter, Operation *op) {
  Value input, filter;
  if (failed(readPair(converter, op, hasZeros(op), input, filter)))
    return failure();
  ArrayRef<int64_t> dims = typeOf(filter).getShape();
  int64_t channels = dims[2] * (dims.size() > 3 ? dims[3] : 1);
  filter = reshape(converter, op, filter, {1, dims[0], dims[1], channels});
  RankedTensorType type = converter.type(op->getResult(0));
  ArrayRef<int64_t> out = type.getShape();
  Value result = converter.emit(
      op, NIB_OP_DEPTHWISE_CONV2D,
      RankedTensorType::get({out[0], out[1], out[2], channels}, type.getElementType()),
      {input, filter},
      {pairOf(converter, op, "strides", NIB_A_STRIDES),
       pairOf(converter, op, "dilations", NIB_A_DILATIONS)});
  return finish(converter, op, reshape(converter, op, result, out), 0, NIB_OP_ADD);
}

//===----------------------------------------------------------------------===//
// Pools
//===----------------------------------------------------------------------===//

static LogicalResult checkDilation(Operation *op) {
  auto dilations = op->getAttrOfType<DenseIntElementsAttr>("dilations");
  if (dilations && llvm::any_of(dilations.getValues<int64_t>(), [](int64_t d) { return d != 1; }))
    return op->emitOpError("a dilated window is not supported");
  return success();
}

static LogicalResult convertMaxPool(FunctionConverter &converter, Operation *op) {
  Value input = converter.plain(inputOf(op, 0));
  if (!input || failed(checkDilation(op)))
    return failure();
  RankedTensorType type = converter.type(op->getResult(0));
  ArrayRef<int64_t> window = typeOf(inputOf(op, 1)).getShape();
  Value result = converter.emit(
      op, NIB_OP_MAX_POOL2D, type, input,
      {converter.ints(NIB_A_KERNEL, window), pairOf(converter, op, "strides", NIB_A_STRIDES)});
  std::optional<double> filled = filledWith(initOf(op));
  double least = type.getElementType().isInteger()
                     ? -std::ldexp(1.0, type.getElementTypeBitWidth() - 1)
                     : -std::numeric_limits<double>::infinity();
  return finish(converter, op, result, filled && *filled <= least ? *filled : least,
                NIB_OP_MAXIMUM);
}

// A sum over windows is a depthwise convolution by ones.
static LogicalResult convertSumPool(FunctionConverter &converter, Operation *op) {
  Value input = converter.codes(inputOf(op, 0), 0);
  if (!input)
    return failure();
  Type element = typeOf(inputOf(op, 0)).getElementType();
  if (!element.isF32() && !element.isInteger(8))
    return op->emitOpError() << "sums of " << element << " are not supported";
  ArrayRef<int64_t> window = typeOf(inputOf(op, 1)).getShape();
  int64_t channels = typeOf(input).getShape()[3];
  auto type = RankedTensorType::get({1, window[0], window[1], channels}, element);
  auto ones = element.isF32() ? DenseElementsAttr::get(type, 1.0f)
                              : DenseElementsAttr::get(type, (int8_t)1);
  Value filter = converter.constant(op, ones, type);
  Value result =
      converter.emit(op, NIB_OP_DEPTHWISE_CONV2D, converter.type(op->getResult(0)), {input, filter},
                     {pairOf(converter, op, "strides", NIB_A_STRIDES),
                      pairOf(converter, op, "dilations", NIB_A_DILATIONS)});
  return finish(converter, op, result, 0, NIB_OP_ADD);
}

//===----------------------------------------------------------------------===//
// Elements and shapes
//===----------------------------------------------------------------------===//

static LogicalResult convertElements(FunctionConverter &converter, Operation *op) {
  SmallVector<Value> operands;
  for (OpOperand *operand : cast<linalg::LinalgOp>(op).getDpsInputOperands()) {
    operands.push_back(converter.plain(operand->get()));
    if (!operands.back())
      return failure();
  }
  return converter.become(op, converter.row(op).operation, converter.type(op->getResult(0)),
                          operands);
}

static LogicalResult convertSquare(FunctionConverter &converter, Operation *op) {
  Value input = converter.plain(inputOf(op, 0));
  if (!input)
    return failure();
  return converter.become(op, NIB_OP_MUL, converter.type(op->getResult(0)), {input, input});
}

// A tensor that holds one number everywhere is a constant.
static LogicalResult convertFill(FunctionConverter &converter, Operation *op) {
  auto constant = inputOf(op, 0).getDefiningOp<arith::ConstantOp>();
  if (!constant)
    return op->emitOpError("its value must be a constant");
  RankedTensorType type = converter.type(op->getResult(0));
  auto data = DenseElementsAttr::get(type, cast<TypedAttr>(constant.getValue()));
  Value filled = converter.constant(op, data, type);
  if (filled)
    converter.set(op->getResult(0), filled);
  return success((bool)filled);
}

static LogicalResult convertTranspose(FunctionConverter &converter, Operation *operation) {
  auto op = cast<linalg::TransposeOp>(operation);
  Value input = converter.plain(op.getInput());
  if (!input)
    return failure();
  return converter.become(op, NIB_OP_TRANSPOSE, converter.type(op->getResult(0)), input,
                          converter.ints(NIB_A_PERM, op.getPermutation()));
}

static LogicalResult convertBroadcast(FunctionConverter &converter, Operation *operation) {
  auto op = cast<linalg::BroadcastOp>(operation);
  Value input = converter.plain(op.getInput());
  if (!input)
    return failure();
  RankedTensorType type = converter.type(op->getResult(0));
  SmallVector<int64_t> dims(type.getShape());
  for (int64_t added : op.getDimensions())
    dims[added] = 1;
  return converter.become(op, NIB_OP_BROADCAST, type, reshape(converter, op, input, dims));
}

static LogicalResult convertReshape(FunctionConverter &converter, Operation *op) {
  Value input = converter.plain(op->getOperand(0));
  if (!input)
    return failure();
  converter.set(op->getResult(0),
                reshape(converter, op, input, typeOf(op->getResult(0)).getShape()));
  return success();
}

static LogicalResult convertPad(FunctionConverter &converter, Operation *operation) {
  auto op = cast<tensor::PadOp>(operation);
  Value scalar = op.getConstantPaddingValue();
  Attribute number;
  if (!scalar || !matchPattern(scalar, m_Constant(&number)) || !op.getLow().empty() ||
      !op.getHigh().empty())
    return op.emitOpError("its padding must be constant");
  double value = isa<FloatAttr>(number)
                     ? cast<FloatAttr>(number).getValueAsDouble()
                     : (double)cast<IntegerAttr>(number).getValue().getSExtValue();
  Value input = converter.plain(op.getSource());
  if (!input)
    return failure();
  return converter.become(op, NIB_OP_PAD, converter.type(op.getResult()), input,
                          {converter.ints(NIB_A_LOW, op.getStaticLow()),
                           converter.ints(NIB_A_HIGH, op.getStaticHigh()),
                           converter.real(NIB_A_PAD_VALUE, value)});
}

static ArrayRef<ConvertRow> linalgRows() {
  static const ConvertRow rows[] = {
      {"tensor.empty", convertNothing},
      {"linalg.fill", convertFill},
      {"linalg.matmul", convertMatMul},
      {"linalg.batch_matmul", convertMatMul},
      {"linalg.quantized_matmul", convertMatMul},
      {"linalg.quantized_batch_matmul", convertMatMul},
      {"linalg.conv_2d_nhwc_hwcf", convertConvHwcf},
      {"linalg.conv_2d_nhwc_hwcf_q", convertConvHwcf},
      {"linalg.conv_2d_nhwc_fhwc", convertConvFhwc},
      {"linalg.conv_2d_nhwc_fhwc_q", convertConvFhwc},
      {"linalg.depthwise_conv_2d_nhwc_hwc", convertDepthwise},
      {"linalg.depthwise_conv_2d_nhwc_hwc_q", convertDepthwise},
      {"linalg.depthwise_conv_2d_nhwc_hwcm", convertDepthwise},
      {"linalg.depthwise_conv_2d_nhwc_hwcm_q", convertDepthwise},
      {"linalg.pooling_nhwc_max", convertMaxPool},
      {"linalg.pooling_nhwc_sum", convertSumPool},
      {"linalg.add", convertElements, NIB_OP_ADD},
      {"linalg.sub", convertElements, NIB_OP_SUB},
      {"linalg.mul", convertElements, NIB_OP_MUL},
      {"linalg.div", convertElements, NIB_OP_DIV},
      {"linalg.max", convertElements, NIB_OP_MAXIMUM},
      {"linalg.min", convertElements, NIB_OP_MINIMUM},
      {"linalg.powf", convertElements, NIB_OP_POW},
      {"linalg.exp", convertElements, NIB_OP_EXP},
      {"linalg.log", convertElements, NIB_OP_LOG},
      {"linalg.abs", convertElements, NIB_OP_ABS},
      {"linalg.ceil", convertElements, NIB_OP_CEIL},
      {"linalg.floor", convertElements, NIB_OP_FLOOR},
      {"linalg.negf", convertElements, NIB_OP_NEG},
      {"linalg.reciprocal", convertElements, NIB_OP_RECIPROCAL},
      {"linalg.sqrt", convertElements, NIB_OP_SQRT},
      {"linalg.rsqrt", convertElements, NIB_OP_RSQRT},
      {"linalg.tanh", convertElements, NIB_OP_TANH},
      {"linalg.erf", convertElements, NIB_OP_ERF},
      {"linalg.square", convertSquare},
      {"linalg.select", convertElements, NIB_OP_WHERE},
      {"linalg.transpose", convertTranspose},
      {"linalg.broadcast", convertBroadcast},
      {"tensor.expand_shape", convertReshape},
      {"tensor.collapse_shape", convertReshape},
      {"tensor.pad", convertPad},
  };
  return rows;
}

namespace {

class ConvertLinalgToNib : public nib::impl::ConvertLinalgToNibBase<ConvertLinalgToNib> {
public:
  using ConvertLinalgToNibBase::ConvertLinalgToNibBase;

  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.isExternal())
        continue;
      nib::FunctionConverter converter(function, {linalgRows(), nib::quantRows()});
      if (failed(converter.run())) {
        nib_pass_status_note(NIB_ERROR_UNSUPPORTED);
        return signalPassFailure();
      }
    }
  }
};

} // namespace

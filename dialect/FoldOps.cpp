// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Folders and canonicalizations. Each keeps every bit of the result.
#include "dialect/NibDialect.h"

using namespace mlir;
using namespace nib;

// `value` where it has the type `wanted`, so that it can stand for the result.
static OpFoldResult ifSameType(Value value, Type wanted) {
  return value.getType() == wanted ? OpFoldResult(value) : OpFoldResult();
}

static bool allAre(std::optional<ArrayRef<int64_t>> numbers, int64_t wanted) {
  return !numbers || llvm::all_of(*numbers, [=](int64_t number) { return number == wanted; });
}

//===----------------------------------------------------------------------===//
// Identities
//===----------------------------------------------------------------------===//

OpFoldResult ReshapeOp::fold(FoldAdaptor) { return ifSameType(getInput(), getType()); }
OpFoldResult SqueezeOp::fold(FoldAdaptor) { return ifSameType(getInput(), getType()); }
OpFoldResult ExpandDimsOp::fold(FoldAdaptor) { return ifSameType(getInput(), getType()); }
OpFoldResult SCastOp::fold(FoldAdaptor) { return ifSameType(getInput(), getType()); }
OpFoldResult SliceOp::fold(FoldAdaptor) { return ifSameType(getInput(), getType()); }

OpFoldResult PadOp::fold(FoldAdaptor) {
  if (!allAre(getLow(), 0) || !allAre(getHigh(), 0))
    return {};
  return ifSameType(getInput(), getType());
}

OpFoldResult StridedSliceOp::fold(FoldAdaptor) {
  if (!allAre(getBegin(), 0) || !allAre(getSteps(), 1))
    return {};
  return ifSameType(getInput(), getType());
}

OpFoldResult TransposeOp::fold(FoldAdaptor) {
  std::optional<ArrayRef<int64_t>> perm = getPerm();
  if (!perm || !llvm::equal(*perm, llvm::seq<int64_t>(0, perm->size())))
    return {};
  return ifSameType(getInput(), getType());
}

OpFoldResult ReluOp::fold(FoldAdaptor) {
  auto inner = getInput().getDefiningOp<ReluOp>();
  return inner ? ifSameType(getInput(), getType()) : OpFoldResult();
}

//===----------------------------------------------------------------------===//
// Formats
//===----------------------------------------------------------------------===//

static bool isQuantized(Type type) {
  return isa<quant::UniformQuantizedType>(cast<RankedTensorType>(type).getElementType());
}

// A code times its scale and divided by it again rounds to the code: with 16 bits or fewer the two
// float errors are far below one half.
OpFoldResult QuantizeOp::fold(FoldAdaptor) {
  auto inner = getInput().getDefiningOp<DequantizeOp>();
  if (!inner || !isQuantized(getType()))
    return {};
  auto element = cast<quant::UniformQuantizedType>(getType().getElementType());
  if (element.getStorageTypeIntegralWidth() > 16)
    return {};
  return ifSameType(inner.getInput(), getType());
}

OpFoldResult RequantizeOp::fold(FoldAdaptor) {
  return isQuantized(getType()) && !getScales() && !getMultipliers() ? ifSameType(getInput(), getType()) : OpFoldResult();
}

//===----------------------------------------------------------------------===//
// Pairs
//===----------------------------------------------------------------------===//

LogicalResult ReshapeOp::canonicalize(ReshapeOp op, PatternRewriter &rewriter) {
  Operation *inner = op.getInput().getDefiningOp();
  if (!isa_and_nonnull<ReshapeOp, SqueezeOp, ExpandDimsOp>(inner) ||
      inner->getBlock() != op->getBlock())
    return failure();
  rewriter.modifyOpInPlace(op, [&] { op.getInputMutable().assign(inner->getOperand(0)); });
  return success();
}

LogicalResult SCastOp::canonicalize(SCastOp op, PatternRewriter &rewriter) {
  auto inner = op.getInput().getDefiningOp<SCastOp>();
  if (!inner || inner->getBlock() != op->getBlock())
    return failure();
  rewriter.modifyOpInPlace(op, [&] { op.getInputMutable().assign(inner.getInput()); });
  return success();
}

LogicalResult TransposeOp::canonicalize(TransposeOp op, PatternRewriter &rewriter) {
  auto inner = op.getInput().getDefiningOp<TransposeOp>();
  if (!inner || inner->getBlock() != op->getBlock() || !inner.getPerm() || !op.getPerm())
    return failure();
  const ArrayRef<int64_t> first = *inner.getPerm(), second = *op.getPerm();
  SmallVector<int64_t> perm;
  for (int64_t dim : second)
    perm.push_back(first[dim]);
  rewriter.modifyOpInPlace(op, [&] {
    op.getInputMutable().assign(inner.getInput());
    op.setPerm(perm);
  });
  return success();
}

// min(max(min(max(x, a), b), c), d) is one clamp where the two ranges meet.
LogicalResult ClampOp::canonicalize(ClampOp op, PatternRewriter &rewriter) {
  auto inner = op.getInput().getDefiningOp<ClampOp>();
  if (!inner || inner->getBlock() != op->getBlock() || isQuantized(op.getType()) ||
      inner.getInput().getType() != op.getType() || inner.getType() != op.getType())
    return failure();
  auto value = [](std::optional<APFloat> bound, double absent) {
    return bound ? bound->convertToDouble() : absent;
  };
  double infinity = std::numeric_limits<double>::infinity();
  double low = std::max(value(inner.getMin(), -infinity), value(op.getMin(), -infinity));
  double high = std::min(value(inner.getMax(), infinity), value(op.getMax(), infinity));
  if (!(low <= high))
    return failure();
  rewriter.modifyOpInPlace(op, [&] {
    op.getInputMutable().assign(inner.getInput());
    op.setMinAttr(low == -infinity ? FloatAttr() : rewriter.getF64FloatAttr(low));
    op.setMaxAttr(high == infinity ? FloatAttr() : rewriter.getF64FloatAttr(high));
  });
  return success();
}

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Elements at places that indices name.
#include "passes/lower/Blocks.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nib;

// The place of an index among n elements: negative ones count from the end, beyond the ends is at
// them.
static Value placeOf(Num index, int64_t n) {
  Num i = index.toInt(64);
  i = select(i < 0, select(i < -n, i.constant(0), i + n), i);
  return select(i < n, i, i.constant(n - 1)).toIndex();
}

static Value position(Lowering &l, ImplicitLocOpBuilder &b, unsigned d) {
  return linalg::IndexOp::create(b, d);
}

// The element of operand 0 at `places`, as the result stores it.
static Num pick(Lowering &l, ImplicitLocOpBuilder &b, ArrayRef<Value> places) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  if (isBlock(x))
    return l.store(decodeElement(l, b, l.operand(0), x, places), y.format);
  Num element(b, tensor::ExtractOp::create(b, l.operand(0), places));
  return x.format == y.format ? element : l.store(l.load(element, x.format), y.format);
}

Value nib::lowerBroadcast(Lowering &l) {
  const nib_tensor &y = l.result();
  return l.map(dimsOf(y), l.elementType(y.format), {l.broadcast(l.operand(0), dimsOf(y))},
               [](Numbers v) { return v[0]; });
}

// x[…, indices[…], …]: the dimensions of the result are those of x before the axis, those of the
// indices behind the batch, those of x after the axis.
Value nib::lowerGather(Lowering &l) {
  const nib_tensor &x = *l.input(0), &indices = *l.input(1), &y = l.result();
  const int64_t axis = nib_node_int(l.node, NIB_A_AXIS, 0);
  const int64_t batch = nib_node_int(l.node, NIB_A_BATCH_DIMS, 0);
  const int64_t picks = indices.rank - batch;
  l.operand(0);
  SmallVector<AffineExpr> exprs;
  for (int64_t d = 0; d < indices.rank; ++d)
    exprs.push_back(l.dim(d < batch ? d : axis + d - batch));
  return l.map(dimsOf(y), l.elementType(y.format), {{l.operand(1), l.mapOf(y.rank, exprs)}},
               [&](Numbers v) {
                 ImplicitLocOpBuilder &b = v[0].at();
                 SmallVector<Value> places;
                 for (int64_t d = 0; d < x.rank; ++d)
                   places.push_back(d == axis ? placeOf(l.load(v[0], indices.format), x.dims[d])
                                              : position(l, b, d < axis ? d : d + picks - 1));
                 return pick(l, b, places);
               });
}

Value nib::lowerGatherElements(Lowering &l) {
  const nib_tensor &x = *l.input(0), &indices = *l.input(1), &y = l.result();
  const int64_t axis = nib_node_int(l.node, NIB_A_AXIS, 0);
  l.operand(0);
  return l.map(dimsOf(y), l.elementType(y.format), {{l.operand(1), l.identity(y.rank)}},
               [&](Numbers v) {
                 ImplicitLocOpBuilder &b = v[0].at();
                 SmallVector<Value> places;
                 for (int64_t d = 0; d < x.rank; ++d)
                   places.push_back(d == axis ? placeOf(l.load(v[0], indices.format), x.dims[d])
                                              : position(l, b, d));
                 return pick(l, b, places);
               });
}

// The indices are tuples into the dimensions of x behind the batch.
Value nib::lowerGatherNd(Lowering &l) {
  const nib_tensor &x = *l.input(0), &indices = *l.input(1), &y = l.result();
  const int64_t batch = nib_node_int(l.node, NIB_A_BATCH_DIMS, 0);
  const int64_t length = indices.dims[indices.rank - 1], tuples = indices.rank - 1;
  l.operand(0);
  Value table = l.operand(1);
  // Of the result only the places count: the body reads nothing of its own.
  Value shape = tensor::EmptyOp::create(l.b, dimsOf(y), l.b.getI8Type());
  return l.map(dimsOf(y), l.elementType(y.format), {{shape, l.identity(y.rank)}}, [&](Numbers v) {
    ImplicitLocOpBuilder &b = v[0].at();
    SmallVector<Value> places, tuple;
    for (int64_t d = 0; d < tuples; ++d)
      tuple.push_back(position(l, b, d));
    for (int64_t d = 0; d < x.rank; ++d) {
      if (d < batch || d >= batch + length) {
        places.push_back(position(l, b, d < batch ? d : tuples + d - batch - length));
        continue;
      }
      SmallVector<Value> at(tuple);
      at.push_back(arith::ConstantIndexOp::create(b, d - batch));
      Num index(b, tensor::ExtractOp::create(b, table, at));
      places.push_back(placeOf(l.load(index, indices.format), x.dims[d]));
    }
    return pick(l, b, places);
  });
}

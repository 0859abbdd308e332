// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Pools and means.
#include "passes/lower/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <limits>

using namespace mlir;
using namespace nib;

namespace {

// Pooling of [N, H, W, C] by windows.
struct Pool {
  int64_t kernel[2], strides[2], pads[4], in[2], out[2];

  explicit Pool(Lowering &l) {
    const nib_tensor &x = *l.input(0), &y = l.result();
    for (int d = 0; d < 2; ++d) {
      kernel[d] = nib_node_ints_at(l.node, NIB_A_KERNEL, d, 1);
      strides[d] = nib_node_ints_at(l.node, NIB_A_STRIDES, d, 1);
      in[d] = x.dims[1 + d];
      out[d] = y.dims[1 + d];
    }
    for (int i = 0; i < 4; ++i)
      pads[i] = nib_node_ints_at(l.node, NIB_A_PADS, i, 0);
  }

  // How many elements of the window at (oy, ox) are in the image (or in the image and its padding).
  int64_t count(int64_t oy, int64_t ox, bool padded) const {
    int64_t n = 1;
    const int64_t at[2] = {oy, ox};
    for (int d = 0; d < 2; ++d) {
      const int64_t begin = at[d] * strides[d] - pads[d], end = begin + kernel[d];
      const int64_t first = padded ? begin : std::max<int64_t>(begin, 0);
      const int64_t last = std::min(end, in[d] + (padded ? pads[2 + d] : 0));
      n *= std::max<int64_t>(last - first, 0);
    }
    return n;
  }

  // `combine` over all windows, starting at `first`; outside the image are elements `outside`.
  Value reduce(Lowering &l, Num outside, Num first, llvm::function_ref<Num(Num x, Num y)> combine) {
    const nib_tensor &x = *l.input(0), &y = l.result();
    SmallVector<int64_t> sizes(x.dims, x.dims + 4), low{0, pads[0], pads[1], 0};
    for (int d = 0; d < 2; ++d)
      sizes[1 + d] = std::max((out[d] - 1) * strides[d] + kernel[d], pads[d] + in[d]);
    Value padded = l.pad(isReal(y) ? l.realOperand(0) : l.operand(0), sizes, low, outside);
    // Only the shape of the window is read.
    Value window = tensor::EmptyOp::create(l.b, ArrayRef(kernel, 2), l.b.getI8Type());
    AffineExpr n = l.dim(0), oy = l.dim(1), ox = l.dim(2), c = l.dim(3), ky = l.dim(4),
               kx = l.dim(5);
    Operand operands[] = {{padded, l.mapOf(6, {n, oy * strides[0] + ky, ox * strides[1] + kx, c})},
                          {window, l.mapOf(6, {ky, kx})}};
    return l.reduce(l.filled(dimsOf(y), first), l.mapOf(6, {n, oy, ox, c}), operands,
                    [&](Numbers v) { return combine(v[0], v[2]); });
  }
};

} // namespace

//===----------------------------------------------------------------------===//
// Means
//===----------------------------------------------------------------------===//

// The code of a mean from the sum of its codes, each minus nothing; `zeros` is count * zero point.
static Num meanCode(const nib_mean_params &p, Num sum, Num count, Num zeros, const Requant &q) {
  Num y = p.divide ? avgRound(sum, count).toInt(64)
                   : rescale(p.rounding, sum - zeros, q).toInt(64) + p.out_zp;
  return y.clamp(p.lo, p.hi);
}

static Value averageCodes(Lowering &l, Pool &pool) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  const bool withPad = nib_node_int(l.node, NIB_A_COUNT_INCLUDE_PAD, 0) != 0;
  Type i32 = l.b.getI32Type();
  nib_mean_params p = {};
  // By position: the count, and what padding adds to the sum and the zero points take away.
  SmallVector<int32_t> counts, padding, zeros;
  SmallVector<nib_requant> requants;
  for (int64_t oy = 0; oy < pool.out[0]; ++oy)
    for (int64_t ox = 0; ox < pool.out[1]; ++ox) {
      const int64_t inside = pool.count(oy, ox, false);
      const int64_t count = withPad ? pool.count(oy, ox, true) : inside;
      if (nib_params_mean(l.graph, l.node, count, &p) != NIB_OK)
        return {};
      counts.push_back((int32_t)count);
      padding.push_back((int32_t)((count - inside) * p.in_zp));
      zeros.push_back((int32_t)(count * p.in_zp));
      requants.push_back(p.out);
    }
  Value sums = pool.reduce(l, l.border(l.elementType(x.format), 0), l.border(i32, 0),
                           [&](Num a, Num b) { return l.load(a, x.format) + b; });
  AffineMap position = l.mapOf(4, {l.dim(1), l.dim(2)});
  ArrayRef<int64_t> shape(pool.out, 2);
  SmallVector<Operand> operands{{sums, l.identity(4)},
                                {l.vector<int32_t>(shape, counts), position},
                                {l.vector<int32_t>(shape, padding), position},
                                {l.vector<int32_t>(shape, zeros), position}};
  Requants multipliers(l, p.rounding, requants, shape);
  multipliers.addOperands(operands, position);
  return l.map(dimsOf(y), l.elementType(y.format), operands, [&](Numbers v) {
    Num code = meanCode(p, v[0] + v[2], v[1], v[3], multipliers.read(v[0].at(), v));
    return l.store(code, y.format);
  });
}

static Value averageReals(Lowering &l, Pool &pool) {
  const nib_tensor &y = l.result();
  const bool withPad = nib_node_int(l.node, NIB_A_COUNT_INCLUDE_PAD, 0) != 0;
  SmallVector<int32_t> counts;
  for (int64_t oy = 0; oy < pool.out[0]; ++oy)
    for (int64_t ox = 0; ox < pool.out[1]; ++ox)
      counts.push_back((int32_t)pool.count(oy, ox, withPad));
  Type type = y.format == NIB_F64 ? (Type)l.b.getF64Type() : (Type)l.b.getF32Type();
  Value sums =
      pool.reduce(l, l.border(type, 0), l.border(type, 0), [](Num a, Num b) { return b + a; });
  Operand operands[] = {
      {sums, l.identity(4)},
      {l.vector<int32_t>(ArrayRef(pool.out, 2), counts), l.mapOf(4, {l.dim(1), l.dim(2)})}};
  return l.map(dimsOf(y), l.elementType(y.format), operands, [&](Numbers v) {
    return l.store(l.activate(v[0] / v[1].toFloat(v[0].bits())), y.format);
  });
}

Value nib::lowerAvgPool(Lowering &l) {
  Pool pool(l);
  return isReal(l.result()) ? averageReals(l, pool) : averageCodes(l, pool);
}

namespace {

// The dimensions that a reduction keeps: their expressions and extents, and how many elements make
// one.
struct Kept {
  SmallVector<AffineExpr> exprs;
  SmallVector<int64_t> dims;
  int64_t count = 1;

  explicit Kept(Lowering &l) {
    const nib_tensor &x = *l.input(0);
    const nib_attr *axes = nib_node_attr(l.node, NIB_A_AXES);
    SmallVector<bool> reduced(x.rank, !axes);
    for (int32_t i = 0; axes && i < axes->u.ints.n; ++i) {
      const int64_t axis = axes->u.ints.v[i] + (axes->u.ints.v[i] < 0 ? x.rank : 0);
      if (axis >= 0 && axis < x.rank)
        reduced[axis] = true;
    }
    for (int32_t d = 0; d < x.rank; ++d) {
      if (reduced[d]) {
        count *= x.dims[d];
        continue;
      }
      exprs.push_back(l.dim(d));
      dims.push_back(x.dims[d]);
    }
  }
};

} // namespace

// What a reduction begins with: the operator leaves the first element as it is.
static double neutralReal(nib_op op) {
  const double infinity = std::numeric_limits<double>::infinity();
  return op == NIB_OP_MUL       ? 1
         : op == NIB_OP_MINIMUM ? infinity
         : op == NIB_OP_MAXIMUM ? -infinity
                                : 0;
}

static int64_t neutralInteger(nib_op op, bool isUnsigned) {
  if (op == NIB_OP_MINIMUM)
    return isUnsigned ? -1 : std::numeric_limits<int64_t>::max();
  if (op == NIB_OP_MAXIMUM)
    return isUnsigned ? 0 : std::numeric_limits<int64_t>::min();
  return op == NIB_OP_MUL ? 1 : 0;
}

Value nib::lowerReduce(Lowering &l) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  const nib_op op = nib_params_reduction(l.node);
  const bool real = isReal(x);
  const bool isUnsigned = nib_format_get(x.format)->kind == NIB_KIND_UNSIGNED;
  Kept kept(l);
  Type type = !real                 ? (Type)l.b.getI64Type()
              : x.format == NIB_F64 ? (Type)l.b.getF64Type()
                                    : (Type)l.b.getF32Type();
  Num first = real ? l.border(type, neutralReal(op))
                   : Num(l.b, arith::ConstantOp::create(
                                  l.b, l.b.getI64IntegerAttr(neutralInteger(op, isUnsigned))));
  Value folded = l.reduce(l.filled(kept.dims, first), l.mapOf(x.rank, kept.exprs),
                          {{l.operand(0), l.identity(x.rank)}}, [&](Numbers v) {
                            Num number = l.load(v[0], x.format);
                            if (real)
                              return applyBinaryReal(op, v[1], number.toFloat(v[1].bits()));
                            return applyBinaryInteger(op, isUnsigned, v[1], number.toInt(64));
                          });
  Value result = l.map(kept.dims, l.elementType(y.format), {{folded, l.identity(kept.dims.size())}},
                       [&](Numbers v) { return l.store(v[0], y.format); });
  return l.reshape(result, dimsOf(y));
}

Value nib::lowerMean(Lowering &l) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  const bool real = isReal(y);
  const Kept kept(l);
  const int64_t count = kept.count;
  ArrayRef<int64_t> dims = kept.dims;
  Type type = real ? (y.format == NIB_F64 ? (Type)l.b.getF64Type() : (Type)l.b.getF32Type())
                   : (Type)l.b.getI32Type();
  Value sums = l.reduce(l.filled(dims, type, 0), l.mapOf(x.rank, kept.exprs),
                        {{l.operand(0), l.identity(x.rank)}}, [&](Numbers v) {
                          Num number = l.load(v[0], x.format);
                          return v[1] + (real ? number.toFloat(v[1].bits()) : number.toInt(32));
                        });
  nib_mean_params p = {};
  if (!real && nib_params_mean(l.graph, l.node, count, &p) != NIB_OK)
    return {};
  Operand operand{sums, l.identity(dims.size())};
  Value result = l.map(dims, l.elementType(y.format), {operand}, [&](Numbers v) {
    if (real)
      return l.store(v[0] / v[0].constant(count), y.format);
    Num code =
        meanCode(p, v[0], v[0].constant((int32_t)count), v[0].constant((int32_t)(count * p.in_zp)),
                 constantRequant(v[0].at(), p.out));
    return l.store(code, y.format);
  });
  return l.reshape(result, dimsOf(y));
}

//===----------------------------------------------------------------------===//
// Maxima
//===----------------------------------------------------------------------===//

Value nib::lowerMaxPool(Lowering &l) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  const bool real = isReal(y);
  const bool isUnsigned = nib_format_get(x.format)->kind == NIB_KIND_UNSIGNED;
  Type type = !real                 ? l.elementType(x.format)
              : y.format == NIB_F64 ? (Type)l.b.getF64Type()
                                    : (Type)l.b.getF32Type();
  Num least = l.border(type, real ? -std::numeric_limits<double>::infinity()
                                  : (double)nib_format_get(x.format)->min);
  Pool pool(l);
  Value most = pool.reduce(l, least, least, [&](Num a, Num b) {
    if (real)
      return a.with(arith::MaxNumFOp::create(a.at(), b, a));
    return a.with(isUnsigned ? (Value)arith::MaxUIOp::create(a.at(), b, a)
                             : (Value)arith::MaxSIOp::create(a.at(), b, a));
  });
  int64_t lo = 0, hi = 0;
  if (!real)
    nib_params_code_range(l.graph, l.node, &lo, &hi);
  return l.map(dimsOf(y), l.elementType(y.format), {{most, l.identity(4)}}, [&](Numbers v) {
    Num number = l.load(v[0], x.format);
    return l.store(real ? l.activate(number) : number.clamp(lo, hi), y.format);
  });
}

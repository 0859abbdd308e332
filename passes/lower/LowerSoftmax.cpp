// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Softmax: in fixed point as TensorFlow Lite's reference kernels, or of real numbers.
#include "passes/lower/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

#include <limits>

using namespace mlir;
using namespace nib;

namespace {

// The tensor as rows of one dimension: maps from all dimensions to elements and to rows.
struct Rows {
  AffineMap all, rows;
  SmallVector<int64_t> dims; // of one number for each row
  int64_t depth = 1;

  Rows(Lowering &l, const nib_tensor &x, int64_t axis) : all(l.identity(x.rank)) {
    SmallVector<AffineExpr> exprs;
    for (int32_t d = 0; d < x.rank; ++d) {
      if (d == axis) {
        depth = x.dims[d];
        continue;
      }
      dims.push_back(x.dims[d]);
      exprs.push_back(l.dim(d));
    }
    rows = l.mapOf(x.rank, exprs);
  }
};

} // namespace

static Value maximum(Lowering &l, const Rows &r, Value x, double least,
                     llvm::function_ref<Num(Num)> number, Type type) {
  return l.reduce(l.filled(r.dims, type, least), r.rows, {{x, r.all}}, [&](Numbers v) {
    Num a = number(v[0]);
    if (a.isFloat())
      return a.with(arith::MaxNumFOp::create(a.at(), v[1], a));
    return a.with(arith::MaxSIOp::create(a.at(), v[1], a));
  });
}

//===----------------------------------------------------------------------===//
// Reals
//===----------------------------------------------------------------------===//

// Real values of `type` to their softmax.
static Value realSoftmax(Lowering &l, const Rows &r, Value x, Type type) {
  const float beta = (float)nib_node_float(l.node, NIB_A_BETA, 1.0);
  ArrayRef<int64_t> dims = dimsOf(x);
  Value most = maximum(
      l, r, x, -std::numeric_limits<double>::infinity(), [](Num a) { return a; }, type);
  Value exps = l.map(dims, type, {{x, r.all}, {most, r.rows}}, [&](Numbers v) {
    Num scaled = (v[0] - v[1]) * v[0].real(beta);
    return scaled.with(math::ExpOp::create(scaled.at(), scaled));
  });
  Value sums = l.reduce(l.filled(r.dims, type, 0), r.rows, {{exps, r.all}},
                        [](Numbers v) { return v[1] + v[0]; });
  return l.map(dims, type, {{exps, r.all}, {sums, r.rows}}, [](Numbers v) { return v[0] / v[1]; });
}

static Value throughReals(Lowering &l, const Rows &r) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  const bool real = isReal(y);
  Type type = y.format == NIB_F64 ? (Type)l.b.getF64Type() : (Type)l.b.getF32Type();
  Value reals = l.map(dimsOf(x), type, {{l.operand(0), r.all}}, [&](Numbers v) {
    Num number = l.load(v[0], x.format);
    if (real)
      return number.toFloat(type.getIntOrFloatBitWidth());
    Num wide = (number.toInt(64) - x.zero_point).toF64();
    return (wide * wide.real(x.scale)).toF32();
  });
  Value softmax = realSoftmax(l, r, reals, type);
  int64_t lo = 0, hi = 0;
  if (!real)
    nib_params_code_range(l.graph, l.node, &lo, &hi);
  const nib_rounding rounding = nib_node_rounding(l.graph, l.node);
  return l.map(dimsOf(y), l.elementType(y.format), {{softmax, r.all}}, [&](Numbers v) {
    Num number = real ? v[0] : quantizeReal(rounding, v[0], (float)y.scale, y.zero_point, lo, hi);
    return l.store(number, y.format);
  });
}

//===----------------------------------------------------------------------===//
// Fixed point
//===----------------------------------------------------------------------===//

// exp(beta * (x - max)) in Q0.31; 0 where the difference is below diff_min.
static Num fixedExp(const nib_softmax_params &p, Num diff) {
  Num scaled = mulHighRound(diff << p.shift, diff.constant(p.multiplier));
  return fxExp(scaled, 5);
}

static Value fixedPoint8(Lowering &l, const Rows &r, const nib_softmax_params &p) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  // Codes as 0 to 255: a signed code is one with its highest bit turned.
  const int64_t flip = x.format == NIB_I8 ? 0x80 : 0;
  Type i32 = l.b.getI32Type();
  auto code = [&](Num stored) { return stored.toUnsigned(32) ^ flip; };
  Value most = maximum(l, r, l.operand(0), 0, code, i32);
  Operand codes{l.operand(0), r.all};
  // Sums are in Q12.19.
  Value sums = l.reduce(l.filled(r.dims, i32, 0), r.rows, {codes, {most, r.rows}}, [&](Numbers v) {
    Num diff = code(v[0]) - v[1];
    Num term = shiftRightRound(fixedExp(p, diff), diff.constant(12));
    return v[2] + select(diff >= p.diff_min, term, term.constant(0));
  });
  AffineMap rowMap = l.identity(r.dims.size());
  Value headrooms =
      l.map(r.dims, i32, {{sums, rowMap}}, [](Numbers v) { return leadingZeros(v[0]); });
  Value scales = l.map(r.dims, i32, {{sums, rowMap}, {headrooms, rowMap}}, [](Numbers v) {
    Num fraction = (v[0] << (v[1] & 31)) - v[0].constant(INT32_MIN);
    return fxOneOverOnePlus(fraction);
  });
  Operand operands[] = {codes, {most, r.rows}, {scales, r.rows}, {headrooms, r.rows}};
  return l.map(dimsOf(y), l.elementType(y.format), operands, [&](Numbers v) {
    Num diff = code(v[0]) - v[1];
    Num exponent = v[3].constant(12 + 31 - 8) - v[3];
    Num value = shiftRightRound(mulHighRound(v[2], fixedExp(p, diff)),
                                select(exponent > 31, exponent.constant(31), exponent));
    // A larger exponent leaves less than half a code.
    Num counts = (diff >= p.diff_min) & (exponent <= 31);
    value = select(counts, value, value.constant(0)).clamp(0, 255);
    return l.store(value ^ flip, y.format);
  });
}

// A table of 513 entries over the 16-bit range, linear between them.
static Num lut513(Lowering &l, Value table, Num x) {
  Num i = (x >> 7) + 256;
  Num base = l.lookup(table, i).toInt(32), next = l.lookup(table, i + 1).toInt(32);
  Num slope = (next - base).toInt(16).toInt(32);
  return (base + ((slope * (x & 127) + 64) >> 7)).toInt(16).toInt(32);
}

static Value fixedPoint16(Lowering &l, const Rows &r, const nib_softmax_params &p) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  int16_t expData[513], inverseData[513];
  nib_params_softmax_tables(expData, inverseData);
  Value expTable = l.vector<int16_t>(513, ArrayRef(expData, 513));
  Value inverseTable = l.vector<int16_t>(513, ArrayRef(inverseData, 513));
  Type i32 = l.b.getI32Type();
  auto code = [&](Num stored) { return l.load(stored, x.format); };
  Value most = maximum(l, r, l.operand(0), INT16_MIN, code, i32);
  Value exps = l.map(dimsOf(x), i32, {{l.operand(0), r.all}, {most, r.rows}}, [&](Numbers v) {
    Num diff = code(v[0]) - v[1];
    Num scaled = rescaleTfliteDouble(diff, diff.constant(p.multiplier), diff.constant(p.shift));
    scaled = (scaled.toInt(64) + 32767).clamp(INT16_MIN, INT16_MAX).toInt(32);
    return lut513(l, expTable, scaled);
  });
  // Sums are in Q16.15.
  Value sums = l.reduce(l.filled(r.dims, i32, 0), r.rows, {{exps, r.all}},
                        [](Numbers v) { return v[1] + v[0]; });
  AffineMap rowMap = l.identity(r.dims.size());
  Value headrooms =
      l.map(r.dims, i32, {{sums, rowMap}}, [](Numbers v) { return leadingZeros(v[0]); });
  Value inverses = l.map(r.dims, i32, {{sums, rowMap}, {headrooms, rowMap}}, [&](Numbers v) {
    Num shifted = (v[0].toInt(64) << (v[1].toInt(64) - 1)) + (1 << 13);
    shifted = (shifted >> 14).toInt(32);
    return lut513(l, inverseTable, (shifted - (1 << 15) - (1 << 16)).clamp(INT16_MIN, INT16_MAX));
  });
  Operand operands[] = {{exps, r.all}, {inverses, r.rows}, {headrooms, r.rows}};
  return l.map(dimsOf(y), l.elementType(y.format), operands, [&](Numbers v) {
    Num right = (v[2].constant(31) - v[2]).toInt(64);
    Num product = v[0].toInt(64) * v[1].toInt(64);
    Num code = ((product + (product.constant(1) << (right - 1))) >> right).toInt(32);
    return l.store(code.clamp(0, 32767), y.format);
  });
}

Value nib::lowerSoftmax(Lowering &l) {
  const nib_tensor &x = *l.input(0);
  int64_t axis = nib_node_int(l.node, NIB_A_AXIS, -1);
  axis += axis < 0 ? x.rank : 0;
  Rows rows(l, x, axis);
  nib_softmax_params p = {};
  if (!isReal(l.result()) && nib_params_softmax(l.graph, l.node, &p) != NIB_OK)
    return {};
  int64_t stride = 1;
  for (int64_t d = x.rank - 1; d > axis; --d)
    stride *= x.dims[d];
  if (!p.fixed_point || stride != 1)
    return throughReals(l, rows);
  // The rows of fixed-point arithmetic are the last dimension that is not 1.
  return x.format == NIB_I16 ? fixedPoint16(l, rows, p) : fixedPoint8(l, rows, p);
}

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Operators that work element by element.
#include "passes/lower/Formats.h"
#include "passes/lower/Lowering.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>
#include <cstdlib>
#include <memory>

using namespace mlir;
using namespace nib;

//===----------------------------------------------------------------------===//
// Two operands
//===----------------------------------------------------------------------===//

static Num realArithmetic(nib_op op, Num a, Num b) {
  switch (op) {
  case NIB_OP_ADD:
    return a + b;
  case NIB_OP_SUB:
    return a - b;
  case NIB_OP_MUL:
    return a * b;
  default:
    return a / b;
  }
}

// What both operands of a quantized add, sub, mul or div need.
struct CodePair {
  nib_rounding rounding;
  int64_t aZero, bZero, yZero, lo, hi;
  float aScale, bScale, yScale;
};

template <typename Params> static CodePair pairOf(const Params &p) {
  return {p.rounding, p.lhs_zp,    p.rhs_zp,    p.out_zp,   p.lo,
          p.hi,       p.lhs_scale, p.rhs_scale, p.out_scale};
}

// What the unfused graph computes: dequantize, the operator in f32, quantize.
static Num throughReals(const CodePair &p, nib_op op, Num a, Num b) {
  Num x = (a - p.aZero).toF32(), z = (b - p.bZero).toF32();
  Num y = realArithmetic(op, x * x.real(p.aScale), z * z.real(p.bScale));
  return quantizeReal(p.rounding, y, p.yScale, p.yZero, p.lo, p.hi);
}

static Num sumOfCodes(const nib_add_params &p, nib_op op, Num a, Num b) {
  Num x = rescale(p.rounding, (a - p.lhs_zp) << p.left_shift, constantRequant(a.at(), p.lhs));
  Num z = rescale(p.rounding, (b - p.rhs_zp) << p.left_shift, constantRequant(a.at(), p.rhs));
  Num y = rescale(p.rounding, realArithmetic(op, x, z), constantRequant(a.at(), p.out));
  return (y.toInt(64) + p.out_zp).clamp(p.lo, p.hi);
}

static Num productOfCodes(const nib_mul_params &p, Num a, Num b) {
  Num product = (a - p.lhs_zp) * (b - p.rhs_zp);
  Num y = rescale(p.rounding, product, constantRequant(a.at(), p.out));
  return (y.toInt(64) + p.out_zp).clamp(p.lo, p.hi);
}

Value nib::lowerArithmetic(Lowering &l) {
  const nib_tensor &a = *l.input(0), &b = *l.input(1), &y = l.result();
  const nib_op op = l.node->op;
  const bool sums = op == NIB_OP_ADD || op == NIB_OP_SUB;
  if (!y.quantized)
    return lowerBinary(l);
  nib_add_params add = {};
  nib_mul_params mul = {};
  if ((sums ? nib_params_add(l.graph, l.node, &add) : nib_params_mul(l.graph, l.node, &mul)) !=
      NIB_OK)
    return {};
  auto body = [&](Numbers v) {
    Num x = l.load(v[0], a.format), z = l.load(v[1], b.format);
    x = x.toInt(32), z = z.toInt(32);
    const CodePair pair = sums ? pairOf(add) : pairOf(mul);
    // Division has no fixed-point kernel to follow: it goes through reals in every mode.
    if (isFloatMode(pair.rounding) || op == NIB_OP_DIV)
      return l.store(throughReals(pair, op, x, z), y.format);
    return l.store(sums ? sumOfCodes(add, op, x, z) : productOfCodes(mul, x, z), y.format);
  };
  return l.map(dimsOf(y), l.elementType(y.format),
               {l.broadcast(l.operand(0), dimsOf(y)), l.broadcast(l.operand(1), dimsOf(y))}, body);
}

// Rows of binary.def, on reals or plain integers.
Value nib::lowerBinary(Lowering &l) {
  const nib_tensor &a = *l.input(0), &b = *l.input(1), &y = l.result();
  const nib_op op = l.node->op;
  const bool isUnsigned = nib_format_get(a.format)->kind == NIB_KIND_UNSIGNED;
  auto body = [&](Numbers v) {
    Num x = l.load(v[0], a.format), z = l.load(v[1], b.format);
    if (!isReal(a)) {
      Num number = applyBinaryInteger(op, isUnsigned, x.toInt(64), z.toInt(64));
      return l.store(number.toUnsigned(64), y.format);
    }
    const unsigned bits = a.format == NIB_F64 ? 64 : 32;
    Num number = applyBinaryReal(op, x.toFloat(bits), z.toFloat(bits));
    if (!isReal(y))
      return l.store(number.toUnsigned(64), y.format);
    return l.store(l.activate(number), y.format);
  };
  return l.map(dimsOf(y), l.elementType(y.format),
               {l.broadcast(l.operand(0), dimsOf(y)), l.broadcast(l.operand(1), dimsOf(y))}, body);
}

Value nib::lowerWhere(Lowering &l) {
  const nib_tensor &a = *l.input(1), &b = *l.input(2), &y = l.result();
  auto as = [&](Num stored, const nib_tensor &from) {
    return from.format == y.format ? stored : l.store(l.load(stored, from.format), y.format);
  };
  return l.map(dimsOf(y), l.elementType(y.format),
               {l.broadcast(l.operand(0), dimsOf(y)), l.broadcast(l.operand(1), dimsOf(y)),
                l.broadcast(l.operand(2), dimsOf(y))},
               [&](Numbers v) {
                 Num truth = v[0] != v[0].constant(0);
                 return select(truth, as(v[1], a), as(v[2], b));
               });
}

//===----------------------------------------------------------------------===//
// Functions of one number
//===----------------------------------------------------------------------===//

static Num realFunction(Lowering &l, Num x) {
  const nib_op op = l.node->op;
  if (hasRealFunction(op))
    return applyRealFunction(op, x);
  if (op == NIB_OP_LEAKY_RELU) {
    const float alpha = (float)nib_node_float(l.node, NIB_A_ALPHA, 0.01);
    return select(x > x.real(0), x, x * x.real(alpha));
  }
  return l.activate(x); // relu and clamp
}

// Sigmoid of 16 bits, from its table with linear interpolation.
static Num logistic16(Lowering &l, Value table, Num scaled, Num magnitude) {
  Num i = magnitude.shiftRightUnsigned(magnitude.constant(9));
  Num inside = (i >= 0) & (i < 255);
  Num at = select(inside, i, i.constant(0));
  Num low = l.lookup(table, at).toUnsigned(32), high = l.lookup(table, at + 1).toUnsigned(32);
  Num y = (low << 9) + (magnitude & 511) * (high - low);
  y = select(inside, y, y.constant(INT64_C(0x7FFF) << 10));
  y = select(scaled >= 0, y + (1 << 9), y.constant((1 << 25) + (1 << 9) - 1) - y);
  return y.shiftRightUnsigned(y.constant(10));
}

// Tanh of 16 bits: 2 logistic(2 x) - 1, from the same table.
static Num tanh16(Lowering &l, Value table, Num scaled, Num magnitude) {
  Num i = magnitude.shiftRightUnsigned(magnitude.constant(8));
  Num inside = (i >= 0) & (i < 255);
  Num at = select(inside, i, i.constant(0));
  Num low = l.lookup(table, at).toUnsigned(32), high = l.lookup(table, at + 1).toUnsigned(32);
  Num y = (low << 8) + (magnitude & 255) * (high - low);
  y = select(inside, y, y.constant(0xFFFF << 8));
  y = select(scaled >= 0, y - ((1 << 23) - (1 << 7)), -y + ((1 << 23) + (1 << 7) - 1));
  return y >> 8;
}

static Num sigmoidalCode16(Lowering &l, const nib_unary_code &u, Value table, Num x) {
  Num scaled = x * u.multiplier;
  if (u.shift > 0)
    scaled = scaled + (INT64_C(1) << (u.shift - 1));
  scaled = scaled >> u.shift;
  Num magnitude = select(scaled < 0, -scaled, scaled);
  return l.node->op == NIB_OP_TANH ? tanh16(l, table, scaled, magnitude)
                                   : logistic16(l, table, scaled, magnitude);
}

// The identity's multiplier, or alpha's for what is negative.
static Num rescaledCode(Lowering &l, const nib_unary_code &u, Num x) {
  const nib_unary_params &p = u.p;
  Num y = rescale(p.rounding, x, constantRequant(x.at(), p.identity)).toInt(64);
  if (l.node->op == NIB_OP_LEAKY_RELU) {
    // A negative slope: the multiplier stays positive.
    nib_requant alpha = p.alpha;
    const bool negated = alpha.multiplier < 0;
    alpha.multiplier = negated ? -alpha.multiplier : alpha.multiplier;
    Num z = rescale(p.rounding, x, constantRequant(x.at(), alpha)).toInt(64);
    y = select(x < 0, negated ? -z : z, y);
  }
  return (y + p.out_zp).clamp(p.lo, p.hi);
}

// A function of codes, by arithmetic.
static Num functionOfCode(Lowering &l, const nib_unary_code &u, Value table, Num code) {
  const nib_unary_params &p = u.p;
  Num x = code.toInt(32) - p.in_zp;
  if (nib_params_unary_by_reals(l.node->op, p.rounding)) {
    Num real = x.toF32();
    real = real * real.real(p.in_scale);
    Num y = l.node->op == NIB_OP_LEAKY_RELU || hasRealFunction(l.node->op) ? realFunction(l, real)
                                                                           : real;
    return quantizeReal(p.rounding, y, p.out_scale, p.out_zp, p.lo, p.hi);
  }
  return u.sixteen ? sigmoidalCode16(l, u, table, x) : rescaledCode(l, u, x);
}

static Value lookupTable(Lowering &l, Value table) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  const int64_t first = nib_format_get(x.format)->min;
  return l.map(dimsOf(y), l.elementType(y.format), {{l.operand(0), l.identity(x.rank)}},
               [&](Numbers v) { return l.lookup(table, l.load(v[0], x.format) - first); });
}

static Value mapCodes(Lowering &l) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  uint8_t bytes[256];
  if (nib_params_unary_table(l.graph, l.node, bytes) == NIB_OK)
    return lookupTable(l, l.constant(l.typeOf(256, l.b.getI8Type()), bytes, sizeof bytes));
  nib_unary_code u;
  if (nib_params_unary_begin(l.graph, l.node, &u) != NIB_OK)
    return {};
  Value table;
  if (u.sixteen)
    table = l.constant(l.typeOf(256, l.b.getI16Type()), u.table, sizeof u.table);
  return l.map(dimsOf(y), l.elementType(y.format), {{l.operand(0), l.identity(x.rank)}},
               [&](Numbers v) {
                 return l.store(functionOfCode(l, u, table, l.load(v[0], x.format)), y.format);
               });
}

Value nib::lowerFunction(Lowering &l) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  if (!isReal(y) && y.quantized)
    return mapCodes(l);
  const bool isUnsigned = nib_format_get(x.format)->kind == NIB_KIND_UNSIGNED;
  if (!isReal(y))
    return l.map(
        dimsOf(y), l.elementType(y.format), {{l.operand(0), l.identity(x.rank)}}, [&](Numbers v) {
          Num number = l.load(v[0], x.format).toInt(64);
          return l.store(applyIntegerFunction(l.node->op, isUnsigned, number).toUnsigned(64),
                         y.format);
        });
  return l.map(
      dimsOf(y), l.elementType(y.format), {{l.operand(0), l.identity(x.rank)}},
      [&](Numbers v) { return l.store(realFunction(l, l.load(v[0], x.format)), y.format); });
}

Value nib::lowerLookup(Lowering &l) { return lookupTable(l, l.operand(1)); }

//===----------------------------------------------------------------------===//
// Between codes and reals
//===----------------------------------------------------------------------===//

// The map from an element of `x` to its number: one for all, one for each index of dimension
// `axis`, or one for each block, as nib_scale_map_of has it.
static AffineMap channelMap(Lowering &l, const nib_tensor &x, const nib_tensor &numbers,
                            int64_t axis) {
  axis += axis < 0 ? x.rank : 0;
  AffineExpr zero = l.b.getAffineConstantExpr(0);
  if (numbers.rank == 0)
    return l.mapOf(x.rank, {});
  SmallVector<AffineExpr> exprs(numbers.rank, zero);
  if (nib_tensor_elems(&numbers) == 1)
    return l.mapOf(x.rank, exprs);
  if (numbers.rank == 1 && axis >= 0 && axis < x.rank && numbers.dims[0] == x.dims[axis]) {
    exprs[0] = l.dim(axis);
    return l.mapOf(x.rank, exprs);
  }
  for (int32_t d = 0; d < numbers.rank && numbers.rank == x.rank; ++d)
    if (numbers.dims[d] > 1)
      exprs[d] = l.dim(d).floorDiv(x.dims[d] / numbers.dims[d]);
  return l.mapOf(x.rank, exprs);
}

namespace {
// The operands of quantize and dequantize, and what they are for an element.
struct Scaling {
  Scaling(Lowering &l, const nib_tensor &codes)
      : l(l), codes(codes), scales(l.input(1)), zeros(l.input(2)) {
    const nib_tensor &x = *l.input(0);
    const int64_t axis = nib_node_int(l.node, NIB_A_AXIS, 1);
    operands.push_back({l.operand(0), l.identity(x.rank)});
    if (scales)
      operands.push_back({l.operand(1), channelMap(l, x, *scales, axis)});
    if (scales && zeros)
      operands.push_back({l.operand(2), channelMap(l, x, *zeros, axis)});
  }
  Num scale(Numbers v, Num like) const { // in f64
    return scales ? l.load(v[1], scales->format).toF64() : like.real(nib_params_unit(&codes));
  }
  Num zero(Numbers v, Num like) const { // in f64
    if (scales && zeros)
      return l.load(v[2], zeros->format).toF64();
    return like.real(!scales && codes.quantized ? (double)codes.zero_point : 0.0);
  }

  Lowering &l;
  const nib_tensor &codes;
  const nib_tensor *scales, *zeros;
  SmallVector<Operand> operands;
};
} // namespace

// nib_quantize_bipolar: the code of the nearest odd number, ties up; NaN becomes the least.
static Num bipolarCode(Num x, int bits) {
  Num least = x.real(-(double)((1 << bits) - 1)), most = x.real((double)((1 << bits) - 1));
  Num inside = select(x > least, select(x < most, x, most), least);
  Num whole = inside.with(math::FloorOp::create(inside.at(), inside)).truncate(32);
  return (whole + (1 << bits)) >> 1;
}

Value nib::lowerQuantize(Lowering &l) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  if (!isReal(x))
    return lowerRequantize(l);
  const nib_rounding rounding = nib_node_rounding(l.graph, l.node);
  const nib_format_info *format = nib_format_get(y.format);
  const bool saturate = nib_node_int(l.node, NIB_A_SATURATE, 1) != 0;
  const Scaling scaling(l, y);
  return l.map(dimsOf(y), l.elementType(y.format), scaling.operands, [&](Numbers v) {
    Num real = l.load(v[0], x.format).toF32(), wide = real.toF64();
    if (format->kind == NIB_KIND_BIPOLAR)
      return l.store(bipolarCode(real, format->bits), y.format);
    Num steps = real / scaling.scale(v, wide).toF32(), zero = scaling.zero(v, wide);
    if (isReal(y))
      return encode(y.format, (steps + zero.toF32()).toF64(), NIB_ENCODE_NEAREST_EVEN, saturate)
          .toInt(8 * nib_format_bytes(y.format));
    return l.store(
        saturateReal(roundReal(rounding, steps).toF64() + zero, format->min, format->max),
        y.format);
  });
}

Value nib::lowerDequantize(Lowering &l) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  const Scaling scaling(l, x);
  return l.map(dimsOf(y), l.elementType(y.format), scaling.operands, [&](Numbers v) {
    Num number = l.load(v[0], x.format).toF64();
    Num real = (number - scaling.zero(v, number)).toF32().toF64();
    return l.store((real * scaling.scale(v, number)).toF32(), y.format);
  });
}

// How many of its channel's thresholds an element has reached, counted in one loop; then the code.
Value nib::lowerMultiThreshold(Lowering &l) {
  const nib_tensor &x = *l.input(0), &limits = *l.input(1), &y = l.result();
  const nib_tensor *steps = l.input(2);
  int64_t lo, hi;
  nib_params_code_range(l.graph, l.node, &lo, &hi);
  AffineExpr zero = l.b.getAffineConstantExpr(0);
  auto channel = [&](const nib_tensor &numbers) {
    return numbers.dims[0] > 1 ? l.dim(x.rank - 1) : zero;
  };
  AffineMap element =
      AffineMap::getMultiDimIdentityMap(x.rank + 1, l.b.getContext()).dropResult(x.rank);
  Type i32 = l.b.getI32Type();
  Value counts = l.reduce(l.filled(dimsOf(x), i32, 0), element,
                          {{l.operand(0), element},
                           {l.operand(1), l.mapOf(x.rank + 1, {channel(limits), l.dim(x.rank)})}},
                          [&](Numbers v) {
                            Num reached = l.load(v[0], x.format).toF64() >=
                                          l.load(v[1], limits.format).toF64();
                            return select(reached, v[2] + 1, v[2]);
                          });
  SmallVector<Operand> operands{{counts, l.identity(x.rank)}};
  if (steps)
    operands.push_back({l.operand(2), l.mapOf(x.rank, {channel(*steps)})});
  return l.map(dimsOf(y), l.elementType(y.format), operands, [&](Numbers v) {
    Num rising = v[0] + lo;
    if (!steps)
      return l.store(rising, y.format);
    Num falling = v[0].constant(hi) - v[0];
    return l.store(select(l.load(v[1], steps->format) < 0, falling, rising), y.format);
  });
}

Value nib::lowerRequantize(Lowering &l) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  nib_requantize_params p;
  if (nib_params_requantize(l.graph, l.node, &p) != NIB_OK)
    return {};
  std::unique_ptr<nib_requant, decltype(&std::free)> owner(p.requant, std::free);
  const int64_t axis = p.axis + (p.axis < 0 ? x.rank : 0);
  SmallVector<Operand> operands{{l.operand(0), l.identity(x.rank)}};
  Requants multipliers(l, p.rounding, ArrayRef(p.requant, p.n_requant), p.n_requant);
  multipliers.addOperands(operands, axis >= 0 && axis < x.rank
                                        ? l.mapOf(x.rank, {l.dim(axis)})
                                        : l.mapOf(x.rank, {l.b.getAffineConstantExpr(0)}));
  return l.map(dimsOf(y), l.elementType(y.format), operands, [&](Numbers v) {
    Num sum = l.load(v[0], x.format).toInt(64) - p.in_zp;
    Requant q = multipliers.read(sum.at(), v);
    Num code = p.acc64 ? rescale64(p.rounding, sum, q) : rescale(p.rounding, sum.toInt(32), q);
    return l.store((code.toInt(64) + p.out_zp).clamp(p.lo, p.hi), y.format);
  });
}

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Convolutions, fully connected and matmul: products are summed, then requantized or activated.
#include "passes/lower/Blocks.h"

#include <cstdlib>

using namespace mlir;
using namespace nib;

namespace {

// What both operands of a product become, and the type of their sum.
struct Products {
  nib_format x, w;
  int64_t xZero = 0, wZero = 0;
  Type type;

  // The sum so far, plus one product.
  Num add(Lowering &l, Num sum, Num x, Num w) const {
    return sum + convert(l.load(x, this->x), xZero) * convert(l.load(w, this->w), wZero);
  }

private:
  Num convert(Num number, int64_t zero) const {
    if (isa<FloatType>(type))
      return number.toFloat(type.getIntOrFloatBitWidth());
    const unsigned bits = type.getIntOrFloatBitWidth();
    // Bipolar codes are loaded as the numbers that they are.
    Num wide = number.isFloat() ? number.truncate(bits) : number.toInt(bits);
    return zero ? wide - zero : wide;
  }
};

// A filter operator: its shape, its parameters, and its tensors as [N, H, W, groups, I / groups]
// and [groups, O / groups, KH, KW, I / groups].
struct Filter {
  nib_conv_shape shape;
  nib_conv_params params = {};
  bool real;
  Products products;

  explicit Filter(Lowering &l) : real(isReal(l.result())) {
    nib_params_conv_shape(l.graph, l.node, &shape);
    if (!real && nib_params_conv(l.graph, l.node, &params) != NIB_OK)
      failed = true;
    products.x = l.input(0)->format;
    products.w = l.input(1)->format;
    products.xZero = params.in_zp;
    products.wZero = params.w_zp;
    bool wide = real ? l.result().format == NIB_F64 : params.acc64 || l.result().format == NIB_I64;
    products.type = real ? (wide ? (Type)l.b.getF64Type() : (Type)l.b.getF32Type())
                         : (Type)l.b.getIntegerType(wide ? 64 : 32);
  }
  ~Filter() { std::free(params.requant); }
  Filter(const Filter &) = delete;
  bool failed = false;
};

} // namespace

// The number that a padded element holds: one whose product is 0.
static Num paddingOf(Lowering &l, const Filter &f) {
  if (isBlock(*l.input(0)))
    return l.border(l.b.getF32Type(), 0.0);
  return l.border(f.products.x, f.real ? 0.0 : (double)f.params.in_zp);
}

// The loops of conv2d, depthwise_conv2d and fully_connected: [N, OH, OW, groups, O / groups].
static Value convolve(Lowering &l, const Filter &f, bool depthwise) {
  const nib_conv_shape &s = f.shape;
  const int64_t groupIn = depthwise ? 1 : s.in_c / s.groups, groupOut = s.out_c / s.groups;
  Value x = l.reshape(l.elements(0), {s.batch, s.in_h, s.in_w, s.in_c});
  x = l.pad(x,
            {s.batch,
             std::max((s.out_h - 1) * s.stride_h + (s.kernel_h - 1) * s.dilation_h + 1,
                      s.pad_top + s.in_h),
             std::max((s.out_w - 1) * s.stride_w + (s.kernel_w - 1) * s.dilation_w + 1,
                      s.pad_left + s.in_w),
             s.in_c},
            {0, s.pad_top, s.pad_left, 0}, paddingOf(l, f));
  x = l.reshape(x, {s.batch, dimsOf(x)[1], dimsOf(x)[2], s.groups, groupIn});
  AffineExpr n = l.dim(0), oy = l.dim(1), ox = l.dim(2), g = l.dim(3), o = l.dim(4), ky = l.dim(5),
             kx = l.dim(6), i = l.dim(7);
  SmallVector<int64_t> wDims{s.groups, groupOut, s.kernel_h, s.kernel_w, groupIn};
  SmallVector<AffineExpr> wAt{g, o, ky, kx, i};
  if (depthwise) {
    wDims = {s.kernel_h, s.kernel_w, s.groups, groupOut, 1};
    wAt = {ky, kx, g, o, i};
  }
  Value w = l.reshape(l.elements(1), wDims);
  AffineMap xMap = l.mapOf(
      8, {n, oy * s.stride_h + ky * s.dilation_h, ox * s.stride_w + kx * s.dilation_w, g, i});
  Value zero = l.filled({s.batch, s.out_h, s.out_w, s.groups, groupOut}, f.products.type, 0);
  return l.reduce(zero, l.mapOf(8, {n, oy, ox, g, o}), {{x, xMap}, {w, l.mapOf(8, wAt)}},
                  [&](Numbers v) { return f.products.add(l, v[2], v[0], v[1]); });
}

// A transposed convolution is one of the input with zeros between its elements, by the filter
// turned around.
static Value convolveTransposed(Lowering &l, const Filter &f) {
  const nib_conv_shape &s = f.shape;
  Value x =
      l.pad(l.elements(0), {s.batch, s.out_h + s.kernel_h - 1, s.out_w + s.kernel_w - 1, s.in_c},
            {0, s.kernel_h - 1 - s.pad_top, s.kernel_w - 1 - s.pad_left, 0}, paddingOf(l, f),
            {1, s.stride_h, s.stride_w, 1});
  AffineExpr n = l.dim(0), oy = l.dim(1), ox = l.dim(2), o = l.dim(3), ky = l.dim(4), kx = l.dim(5),
             i = l.dim(6);
  AffineMap xMap = l.mapOf(7, {n, oy + ky, ox + kx, i});
  AffineMap turned =
      l.mapOf(4, {l.dim(0), -l.dim(1) + (s.kernel_h - 1), -l.dim(2) + (s.kernel_w - 1), l.dim(3)});
  Value filter = l.elements(1);
  Value w =
      l.map(dimsOf(filter), elementOf(filter), {{filter, turned}}, [](Numbers v) { return v[0]; });
  Value zero = l.filled({s.batch, s.out_h, s.out_w, s.out_c}, f.products.type, 0);
  return l.reduce(zero, l.mapOf(7, {n, oy, ox, o}), {{x, xMap}, {w, l.mapOf(7, {o, ky, kx, i})}},
                  [&](Numbers v) { return f.products.add(l, v[2], v[0], v[1]); });
}

// + bias, requantize, + zero point, clamp; or activate. `sums` has the shape [pixels, O].
static Value finish(Lowering &l, const Filter &f, Value sums) {
  const nib_conv_params &p = f.params;
  const nib_tensor *bias = l.input(2);
  AffineMap perChannel = l.mapOf(2, {l.dim(1)});
  SmallVector<Operand> operands{{sums, l.identity(2)}};
  if (bias)
    operands.push_back({l.operand(2), perChannel});
  std::optional<Requants> requants;
  if (!f.real && !p.raw_accumulator) {
    requants.emplace(l, p.rounding, ArrayRef(p.requant, p.n_requant), p.n_requant);
    requants->addOperands(operands, perChannel);
  }
  return l.map(dimsOf(sums), l.elementType(l.result().format), operands, [&](Numbers v) {
    Num sum = v[0];
    if (bias && f.real)
      sum = sum + l.load(v[1], bias->format).toFloat(sum.bits());
    else if (bias)
      sum = sum + l.load(v[1], bias->format).toInt(sum.bits());
    if (f.real)
      return l.store(l.activate(sum), l.result().format);
    if (p.raw_accumulator)
      return l.store(sum, l.result().format);
    Requant q = requants->read(sum.at(), v);
    Num y = p.acc64 ? rescale64(p.rounding, sum, q) : rescale(p.rounding, sum, q);
    return l.store((y.toInt(64) + p.out_zp).clamp(p.lo, p.hi), l.result().format);
  });
}

Value nib::lowerFilter(Lowering &l) {
  Filter f(l);
  if (f.failed)
    return {};
  Value sums = l.node->op == NIB_OP_TRANSPOSE_CONV2D
                   ? convolveTransposed(l, f)
                   : convolve(l, f, l.node->op == NIB_OP_DEPTHWISE_CONV2D);
  const nib_conv_shape &s = f.shape;
  Value y = finish(l, f, l.reshape(sums, {s.batch * s.out_h * s.out_w, s.out_c}));
  return l.reshape(y, dimsOf(l.result()));
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

// The map of a matmul's operand: its leading dimensions broadcast, its last two are `rows` and
// `columns`.
static AffineMap matrixMap(Lowering &l, Value tensor, ArrayRef<int64_t> result, AffineExpr rows,
                           AffineExpr columns) {
  AffineMap leading = l.broadcast(tensor, result).map;
  SmallVector<AffineExpr> exprs(leading.getResults());
  exprs[exprs.size() - 2] = rows;
  exprs[exprs.size() - 1] = columns;
  return l.mapOf(result.size() + 1, exprs);
}

Value nib::lowerMatMul(Lowering &l) {
  const nib_tensor &a = *l.input(0), &b = *l.input(1), &y = l.result();
  const unsigned rank = y.rank;
  const bool real = isReal(y);
  Products products{a.format, b.format, a.quantized ? a.zero_point : 0,
                    b.quantized ? b.zero_point : 0,
                    real ? (y.format == NIB_F64 ? (Type)l.b.getF64Type() : (Type)l.b.getF32Type())
                         : (Type)l.b.getIntegerType(y.format == NIB_I64 ? 64 : 32)};
  AffineExpr row = l.dim(rank - 2), column = l.dim(rank - 1), k = l.dim(rank);
  SmallVector<AffineExpr> out;
  for (unsigned d = 0; d < rank; ++d)
    out.push_back(l.dim(d));
  Value left = l.elements(0), right = l.elements(1);
  Operand lhs{left, matrixMap(l, left, dimsOf(y), row, k)};
  Operand rhs{right, matrixMap(l, right, dimsOf(y), k, column)};
  Value zero = l.filled(dimsOf(y), products.type, 0);
  Value sums = l.reduce(zero, l.mapOf(rank + 1, out), {lhs, rhs},
                        [&](Numbers v) { return products.add(l, v[2], v[0], v[1]); });
  if (!y.quantized && elementOf(sums) == l.elementType(y.format))
    return sums;
  if (!y.quantized)
    return l.map(dimsOf(y), l.elementType(y.format), {{sums, l.identity(rank)}},
                 [&](Numbers v) { return l.store(v[0], y.format); });
  const nib_rounding rounding = nib_node_rounding(l.graph, l.node);
  const nib_requant q = nib_requant_from_real(
      nib_requant_real_multiplier(a.scale, b.scale, y.scale, !isFloatMode(rounding)));
  int64_t lo, hi;
  nib_params_code_range(l.graph, l.node, &lo, &hi);
  return l.map(dimsOf(y), l.elementType(y.format), {{sums, l.identity(rank)}}, [&](Numbers v) {
    Num code = rescale(rounding, v[0], constantRequant(v[0].at(), q)).toInt(64) + y.zero_point;
    return l.store(code.clamp(lo, hi), y.format);
  });
}

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Operators that move elements.
#include "passes/lower/Blocks.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nib;

Value nib::lowerReshape(Lowering &l) { return l.reshape(l.operand(0), storageDims(l.result())); }

Value nib::lowerTranspose(Lowering &l) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  SmallVector<int64_t> perm;
  for (int32_t d = 0; d < x.rank; ++d)
    perm.push_back(nib_node_ints_at(l.node, NIB_A_PERM, d, x.rank - 1 - d));
  Value empty = tensor::EmptyOp::create(l.b, dimsOf(y), l.elementType(y.format));
  return linalg::TransposeOp::create(l.b, l.operand(0), empty, perm)->getResult(0);
}

// slice and strided_slice: element i of a dimension is begin + i * step of the input.
Value nib::lowerSlice(Lowering &l) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  SmallVector<int64_t> begins, steps;
  SmallVector<AffineExpr> exprs; // turn around the dimensions of negative step
  bool turned = false;
  if (nib_tensor_elems(&y) == 0)
    return tensor::EmptyOp::create(l.b, dimsOf(y), l.elementType(y.format));
  for (int32_t d = 0; d < x.rank; ++d) {
    int64_t begin = nib_node_ints_at(l.node, NIB_A_BEGIN, d, 0);
    begin += begin < 0 ? x.dims[d] : 0;
    const int64_t step =
        l.node->op == NIB_OP_SLICE ? 1 : nib_node_ints_at(l.node, NIB_A_STEPS, d, 1);
    const int64_t last = y.dims[d] - 1;
    begins.push_back(step < 0 ? begin + last * step : begin);
    steps.push_back(step < 0 ? -step : step);
    exprs.push_back(step < 0 ? -l.dim(d) + last : l.dim(d));
    turned |= step < 0;
  }
  Value box = l.slice(l.operand(0), begins, dimsOf(y), steps);
  if (!turned)
    return box;
  return l.map(dimsOf(y), l.elementType(y.format), {{box, l.mapOf(x.rank, exprs)}},
               [](Numbers v) { return v[0]; });
}

Value nib::lowerPad(Lowering &l) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  SmallVector<int64_t> low;
  for (int32_t d = 0; d < x.rank; ++d)
    low.push_back(nib_node_ints_at(l.node, NIB_A_LOW, d, 0));
  const double zero = x.quantized ? (double)x.zero_point : 0.0;
  Num value = l.border(y.format, nib_node_float(l.node, NIB_A_PAD_VALUE, zero));
  return l.pad(l.operand(0), dimsOf(y), low, value);
}

// Codes of operand `x` at the scale of the result.
static Num rescaleForConcat(Lowering &l, const nib_tensor &x, Num code) {
  const nib_tensor &y = l.result();
  const nib_format_info *format = nib_format_get(y.format);
  const nib_rounding rounding = nib_node_rounding(l.graph, l.node);
  if (isFloatMode(rounding)) {
    Num real = (code.toInt(64) - x.zero_point).toF32();
    return quantizeReal(rounding, real * real.real((float)x.scale), (float)y.scale, y.zero_point,
                        format->min, format->max);
  }
  const float scale = (float)x.scale * (1.0f / (float)y.scale);
  Num product = code.toF32();
  product = product * product.real(scale);
  Num steps =
      roundReal(NIB_ROUNDING_NEAREST_AWAY, product + product.real((float)-x.zero_point * scale));
  return (steps.truncate(64) + y.zero_point).clamp(format->min, format->max);
}

Value nib::lowerConcat(Lowering &l) {
  const nib_tensor &y = l.result();
  Type element = l.elementType(y.format);
  int64_t axis = nib_node_int(l.node, NIB_A_AXIS, 0);
  axis += axis < 0 ? y.rank : 0;
  Value into = tensor::EmptyOp::create(l.b, dimsOf(y), element);
  SmallVector<int64_t> at(y.rank, 0);
  for (int32_t slot = 0; slot < l.node->n_in; ++slot) {
    const nib_tensor &x = *l.input(slot);
    Value part = l.operand(slot);
    if (nib_tensor_elems(&x) == 0)
      continue;
    if (x.quantized && y.quantized && !isReal(y) &&
        (x.scale != y.scale || x.zero_point != y.zero_point))
      part = l.map(dimsOf(x), element, {{part, l.identity(x.rank)}}, [&](Numbers v) {
        return l.store(rescaleForConcat(l, x, l.load(v[0], x.format)), y.format);
      });
    into = l.insert(part, into, at);
    at[axis] += x.dims[axis];
  }
  return into;
}

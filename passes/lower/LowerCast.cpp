// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The same numbers, or the same bits, in another format.
#include "passes/lower/Blocks.h"
#include "passes/lower/Formats.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace nib;

//===----------------------------------------------------------------------===//
// cast
//===----------------------------------------------------------------------===//

// Toward zero, between low and high; NaN is 0.
static Num wholePart(Num x, int64_t low, int64_t high) {
  Num whole = x.truncate(64);
  Num y = select(x >= x.real((double)high), whole.constant(high),
                 select(x <= x.real((double)low), whole.constant(low), whole));
  return select(x != x, y.constant(0), y);
}

// The low bits, extended as the format has them.
static Num lowBits(nib_format to, Num code) {
  const nib_format_info *info = nib_format_get(to);
  if (to == NIB_I1)
    return (code != code.constant(0)).toUnsigned(64);
  if (info->bits == 64)
    return code;
  if (info->kind == NIB_KIND_UNSIGNED)
    return code & ((INT64_C(1) << info->bits) - 1);
  return (code << (64 - info->bits)) >> (64 - info->bits);
}

static Num realToInteger(nib_format to, Num x, bool saturate) {
  const nib_format_info *info = nib_format_get(to);
  x = x.toF64();
  if (to == NIB_I1)
    return (x != x.real(0)).toUnsigned(64);
  if (to == NIB_U64) {
    Num whole = x.with(arith::FPToUIOp::create(x.at(), x.at().getI64Type(), x));
    Num some = x > x.real(0), all = x >= x.real(18446744073709551616.0);
    return select(some, select(all, whole.constant(-1), whole), whole.constant(0));
  }
  if (info->bits >= 8 || saturate)
    return wholePart(x, info->min, info->max);
  return lowBits(to, wholePart(x, INT32_MIN, INT32_MAX));
}

static Num integerToInteger(nib_format from, nib_format to, Num code, bool saturate) {
  const nib_format_info *info = nib_format_get(to);
  if (!saturate || to == NIB_I1 || from == NIB_U64 || to == NIB_U64)
    return lowBits(to, code);
  return code.clamp(info->min, info->max);
}

// Rounded once to f32, if that is what is wanted; exactly, or through f64, otherwise.
static Num integerToReal(nib_format from, nib_format to, Num code) {
  const unsigned bits = to == NIB_F32 ? 32 : 64;
  if (from != NIB_U64)
    return code.toFloat(bits);
  Type type = bits == 32 ? (Type)code.at().getF32Type() : (Type)code.at().getF64Type();
  return code.with(arith::UIToFPOp::create(code.at(), type, code));
}

// From or to codebooks, bipolar numbers and blocks; the other side is real.
static Value castReals(Lowering &l, nib_encode_mode mode) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  Value reals = l.realOperand(0);
  auto as = [&](Type type) {
    return l.map(dimsOf(x), type, {{reals, l.identity(x.rank)}},
                 [&](Numbers v) { return v[0].toFloat(type.getIntOrFloatBitWidth()); });
  };
  if (isReal(y))
    return l.map(dimsOf(y), l.elementType(y.format), {{reals, l.identity(x.rank)}},
                 [&](Numbers v) { return l.store(v[0], y.format); });
  if (isBlock(y))
    return encodeBlocks(l, as(l.b.getF32Type()), y, mode,
                        /*asSource=*/!nib_node_attr(l.node, NIB_A_MODE));
  Value codes = codesOfReals(l, as(l.b.getF64Type()), y.format, mode);
  return l.map(dimsOf(y), l.elementType(y.format), {{codes, l.identity(y.rank)}},
               [&](Numbers v) { return l.store(v[0], y.format); });
}

Value nib::lowerCast(Lowering &l) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  const bool saturate = nib_node_int(l.node, NIB_A_SATURATE, 0) != 0;
  const nib_encode_mode mode =
      nib_encode_mode_find(nib_node_string(l.node, NIB_A_MODE, "nearest-even"));
  if (!nib_cast_is_scalar(l.graph, l.node))
    return castReals(l, mode);
  return l.map(
      dimsOf(y), l.elementType(y.format), {{l.operand(0), l.identity(x.rank)}}, [&](Numbers v) {
        Num number = l.load(v[0], x.format);
        if (!isReal(x))
          number = number.toInt(64);
        if (!isReal(y))
          return l.store(isReal(x) ? realToInteger(y.format, number, saturate)
                                   : integerToInteger(x.format, y.format, number, saturate),
                         y.format);
        Num real = isReal(x) ? number : integerToReal(x.format, y.format, number);
        if (isMinifloat(y.format))
          return encode(y.format, real, mode, saturate).toInt(8 * nib_format_bytes(y.format));
        return l.store(real, y.format);
      });
}

//===----------------------------------------------------------------------===//
// Bytes
//===----------------------------------------------------------------------===//

Value nib::lowerBitcast(Lowering &l) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  Type element = l.elementType(y.format);
  return l.map(dimsOf(y), element, {{l.operand(0), l.identity(x.rank)}},
               [&](Numbers v) { return v[0].toBits().fromBits(element); });
}

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// pack and unpack: elements in memory and the bytes of their packed layout.
#include "passes/lower/Blocks.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace nib;

//===----------------------------------------------------------------------===//
// Whole bytes
//===----------------------------------------------------------------------===//

// For byte k of an element, how far it is shifted.
static Value byteShifts(Lowering &l, int64_t bytes) {
  SmallVector<int32_t> shifts;
  for (int64_t k = 0; k < bytes; ++k)
    shifts.push_back((int32_t)(8 * k));
  return l.vector<int32_t>(bytes, shifts);
}

// Little-endian bytes of each element, in a dimension of their own.
static Value packWords(Lowering &l) {
  const nib_tensor &x = *l.input(0);
  const int64_t elems = nib_tensor_elems(&x), bytes = nib_format_bytes(x.format);
  Operand operands[] = {{l.reshape(l.operand(0), elems), l.mapOf(2, {l.dim(0)})},
                        {byteShifts(l, bytes), l.mapOf(2, {l.dim(1)})}};
  Value y = l.map({elems, bytes}, l.b.getI8Type(), operands, [](Numbers v) {
    Num bits = v[0].toBits().toUnsigned(64);
    return bits.shiftRightUnsigned(v[1].toInt(64)).toInt(8);
  });
  return l.reshape(y, dimsOf(l.result()));
}

static Value unpackWords(Lowering &l) {
  const nib_tensor &y = l.result();
  const int64_t elems = nib_tensor_elems(&y), bytes = nib_format_bytes(y.format);
  Type word = l.b.getIntegerType(8 * bytes), element = l.elementType(y.format);
  Operand operands[] = {{l.reshape(l.operand(0), {elems, bytes}), l.identity(2)},
                        {byteShifts(l, bytes), l.mapOf(2, {l.dim(1)})}};
  Value words = l.reduce(l.filled(elems, word, 0), l.mapOf(2, {l.dim(0)}), operands, [](Numbers v) {
    Num byte = v[0].toUnsigned(64) << v[1].toInt(64);
    return v[2] | byte.toInt(v[2].bits());
  });
  if (word != element)
    words = l.map(elems, element, {{words, l.identity(1)}},
                  [&](Numbers v) { return v[0].fromBits(element); });
  return l.reshape(words, dimsOf(y));
}

//===----------------------------------------------------------------------===//
// Parts of bytes
//===----------------------------------------------------------------------===//

static Num indexOf(ImplicitLocOpBuilder &b, unsigned d) {
  Value index = linalg::IndexOp::create(b, d);
  return Num(b, arith::IndexCastOp::create(b, b.getI64Type(), index));
}

// Element `at` (i64) of a flat tensor, the bits as i64; 0 where there is none.
static Num elementOr0(Value tensor, Num at) {
  const int64_t last = dimsOf(tensor)[0] - 1;
  Num inside = at <= last;
  Num place = select(inside, at, at.constant(last));
  Num element = at.with(tensor::ExtractOp::create(at.at(), tensor, place.toIndex()));
  return select(inside, element.toUnsigned(64), at.constant(0));
}

// Bytes as sums over the eight bits, or the five ternary digits, of each.
static Value packParts(Lowering &l, Value flat, nib_format format, int64_t bytes) {
  const int64_t bits = nib_format_get(format)->bits;
  const bool ternary = format == NIB_TERNARY;
  const int64_t parts = ternary ? 5 : 8, elems = dimsOf(flat)[0];
  SmallVector<int32_t> powers{1, 3, 9, 27, 81};
  Value weights = l.vector<int32_t>({5}, powers);
  Value part = tensor::EmptyOp::create(l.b, parts, l.b.getI8Type()); // only counts
  return l.reduce(l.filled(bytes, l.b.getI8Type(), 0), l.mapOf(2, {l.dim(0)}),
                  {{part, l.mapOf(2, {l.dim(1)})}}, [&](Numbers v) {
                    Num byte = indexOf(v[0].at(), 0), k = indexOf(v[0].at(), 1);
                    Num at = byte * parts + k;
                    if (ternary) {
                      Num code = elementOr0(flat, at) + 1; // modulo 256
                      code = select(at < elems, code, code.constant(0));
                      return v[1] + (code * l.lookup(weights, k).toInt(64)).toInt(8);
                    }
                    Num bit = elementOr0(flat, at / bits).shiftRightUnsigned(at % bits) & 1;
                    return v[1] | (bit << k).toInt(8);
                  });
}

// Codes as sums over their bits, extended as memory has them.
static Value unpackParts(Lowering &l, Value bytes, nib_format format, int64_t elems) {
  const nib_format_info *info = nib_format_get(format);
  const int64_t bits = info->bits;
  Type element = l.elementType(format);
  AffineMap all = l.identity(1);
  if (format == NIB_TERNARY) {
    SmallVector<int32_t> powers{1, 3, 9, 27, 81};
    Value weights = l.vector<int32_t>({5}, powers);
    return l.map(elems, element, {}, [&](Numbers v) {
      Num i = indexOf(v[0].at(), 0);
      Num digit = elementOr0(bytes, i / 5) / l.lookup(weights, i % 5).toInt(64) % 3;
      return (digit - 1).toInt(8);
    });
  }
  Value part = tensor::EmptyOp::create(l.b, bits, l.b.getI8Type()); // only counts
  Value codes = l.reduce(l.filled(elems, l.b.getI64Type(), 0), l.mapOf(2, {l.dim(0)}),
                         {{part, l.mapOf(2, {l.dim(1)})}}, [&](Numbers v) {
                           Num k = indexOf(v[0].at(), 1);
                           Num at = indexOf(v[0].at(), 0) * bits + k;
                           Num bit = elementOr0(bytes, at >> 3).shiftRightUnsigned(at & 7) & 1;
                           return v[1] | bit << k;
                         });
  return l.map(elems, element, {{codes, all}}, [&](Numbers v) {
    Num code = v[0];
    if (info->kind == NIB_KIND_SIGNED)
      code = (code << (64 - bits)) >> (64 - bits);
    return code.toInt(element.getIntOrFloatBitWidth());
  });
}

static bool isDense(nib_format format) {
  return nib_format_get(format)->bits == 8 * nib_format_get(format)->bytes;
}

Value nib::lowerPack(Lowering &l) {
  const nib_tensor &x = *l.input(0), &y = l.result();
  if (isBlock(x))
    return l.reshape(l.operand(0), dimsOf(y));
  if (isDense(x.format))
    return packWords(l);
  return packParts(l, l.reshape(l.operand(0), nib_tensor_elems(&x)), x.format, y.dims[0]);
}

Value nib::lowerUnpack(Lowering &l) {
  const nib_tensor &y = l.result();
  if (isBlock(y))
    return l.reshape(l.operand(0), storageDims(y));
  if (isDense(y.format))
    return unpackWords(l);
  return l.reshape(unpackParts(l, l.operand(0), y.format, nib_tensor_elems(&y)), dimsOf(y));
}

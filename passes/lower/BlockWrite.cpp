// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Numbers to blocks: scales from the extent of a block or group, codes in terms of the scales as
// they are stored, and bytes out of the bits of all codes. runtime/num/block_encode.c has the same
// in C.
#include "passes/lower/Blocks.h"
#include "passes/lower/Formats.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "num/block.h"

#include <cfloat>
#include <cmath>
#include <limits>

using namespace mlir;
using namespace nib;

static Num absolute(Num x) { return x.with(math::AbsFOp::create(x.at(), x)); }

// A large number for an infinity, 0 for NaN.
static Num finite(Num x) {
  Num most = x.real(FLT_MAX), least = x.real(-FLT_MAX);
  Num y = select(x > most, most, select(x < least, least, x));
  return select(x != x, x.real(0), y);
}

namespace {

// The values of a format's codes less `zero`: nib_scale_value_range.
struct Range {
  double low = 0, high = 0;

  Range(nib_format format, double zero, int limit = 0) {
    const nib_format_info *info = nib_format_get(format);
    auto most = [&](double x) {
      return nib_format_decode(format,
                               nib_format_encode(format, x, NIB_ENCODE_NEAREST_EVEN, true, 0));
    };
    if (info->kind == NIB_KIND_FLOAT) {
      high = most(1e300);
      low = most(-1e300);
      low = std::isnan(low) ? 0 : low; // a scale has no sign
    } else if (info->kind == NIB_KIND_CODEBOOK || info->kind == NIB_KIND_BIPOLAR) {
      for (uint64_t c = 0; c < UINT64_C(1) << info->bits; ++c) {
        low = std::fmin(low, nib_format_decode(format, c));
        high = std::fmax(high, nib_format_decode(format, c));
      }
    } else {
      low = (double)info->min;
      high = (double)info->max;
    }
    low -= zero;
    high -= zero;
    if (limit) {
      low = std::fmax(low, -limit);
      high = std::fmin(high, limit);
    }
  }
};

// Tensors of one number for each block [B, 1], each group [B, G] or each element [B, G, S].
class BlockWriter {
public:
  BlockWriter(Lowering &l, Value reals, const nib_tensor &tensor, nib_encode_mode mode,
              bool asSource)
      : l(l), info(nib_format_get(tensor.format)), b(info->block), asSource(asSource),
        mode(asSource ? NIB_ENCODE_NEAREST_EVEN : mode),
        range((nib_format)b.element, b.element_zero, b.element_limit) {
    blocks = nib_tensor_elems(&tensor) / info->block_elems;
    size = b.group_elems && !ownArithmetic() ? b.group_elems : info->block_elems;
    groups = info->block_elems / size;
    x = l.reshape(reals, {blocks, groups, size});
  }

  Value bytes() {
    findScales();
    if (ownArithmetic()) {
      storeScale(scale, NIB_ENCODE_NEAREST_EVEN);
      if (b.offset != NIB_NO_FORMAT)
        storeNumber(b.offset, b.offset_at, wide(offset), NIB_ENCODE_NEAREST_EVEN);
      addCodes(ownCodes());
    } else {
      if (b.group_elems)
        storeGroups();
      else
        storeFlat();
      addCodes(codes());
    }
    return pack();
  }

private:
  //===--- loops ---===//

  Operand ofBlock(Value v, unsigned dims) {
    return {v, l.mapOf(dims, {l.dim(0), l.b.getAffineConstantExpr(0)})};
  }
  Operand ofGroup(Value v) { return {v, l.mapOf(3, {l.dim(0), l.dim(1)})}; }
  Operand ofElement(Value v) { return {v, l.identity(3)}; }

  // Element by element of tensors of one shape.
  Value each(ArrayRef<Value> tensors, Type type, Body body) {
    SmallVector<Operand> operands;
    for (Value v : tensors)
      operands.push_back({v, l.identity(dimsOf(v).size())});
    return l.map(dimsOf(tensors[0]), type, operands, body);
  }
  Value wide(Value v) {
    return each(v, l.b.getF64Type(), [](Numbers v) { return v[0].toF64(); });
  }
  // The values (f32) of codes (i32).
  Value values(Value codes, int format) {
    return each(codes, l.b.getF32Type(), [&](Numbers v) {
      return valueOfCode(l, (nib_format)format, v[0].toUnsigned(64)).toF32();
    });
  }
  Value perBlock(double number) { return l.filled({blocks, 1}, l.b.getF32Type(), number); }

  //===--- scales by the rule ---===//

  bool ownArithmetic() const {
    return asSource && (b.rounding == NIB_SOURCE_HALF_UP || b.rounding == NIB_SOURCE_HALF_AWAY);
  }

  // Over the elements of a group; the body has the element, finite, and what there is so far.
  Value extent(double first, llvm::function_ref<Num(Num, Num)> better) {
    Value init = l.filled({blocks, groups}, l.b.getF32Type(), first);
    return l.reduce(init, l.mapOf(3, {l.dim(0), l.dim(1)}), {ofElement(x)}, [&](Numbers v) {
      Num number = finite(v[0]);
      return select(better(number, v[1]), number, v[1]);
    });
  }
  // Of zeros, the first decides on the sign.
  Value lowest() {
    return extent(std::numeric_limits<double>::infinity(),
                  [](Num number, Num sofar) { return number < sofar; });
  }
  Value highest() {
    return extent(-std::numeric_limits<double>::infinity(),
                  [](Num number, Num sofar) { return number > sofar; });
  }
  // The first of largest magnitude.
  Value farthest() {
    return extent(0, [](Num number, Num sofar) { return absolute(number) > absolute(sofar); });
  }

  // 2^exponent, of an i64 within the range of f64.
  static Num powerOfTwo(Num exponent) {
    Num bits = (exponent + 1023) << 52;
    return bits.with(arith::BitcastOp::create(bits.at(), bits.at().getF64Type(), bits));
  }
  // floor(log2 x) of a positive normal f64.
  static Num exponentOf(Num x) {
    Num bits = x.with(arith::BitcastOp::create(x.at(), x.at().getI64Type(), x));
    return ((bits >> 52) & 2047) - 1023;
  }

  void scalesFromRange() {
    const bool holdsZero = b.group_offsets.low.bits || b.zero != NIB_NO_FORMAT;
    const float steps = (float)(range.high - range.low), least = (float)range.low;
    Value low = lowest(), high = highest();
    Type f32 = l.b.getF32Type();
    if (holdsZero) {
      low =
          each(low, f32, [](Numbers v) { return select(v[0] < v[0].real(0), v[0], v[0].real(0)); });
      high = each(high, f32,
                  [](Numbers v) { return select(v[0] > v[0].real(0), v[0], v[0].real(0)); });
    }
    scale = each({low, high}, f32, [&](Numbers v) { return (v[1] - v[0]) / v[0].real(steps); });
    offset = each({low, scale}, f32, [&](Numbers v) { return v[0] - v[1] * v[0].real(least); });
  }

  Num scaleOf(Num signedMost, nib_scale_rule rule) {
    const double unit = std::ldexp(1.0, b.element_exponent);
    int top;
    std::frexp(range.high * unit, &top);
    Num m = absolute(signedMost), none = m == m.real(0);
    if (rule == NIB_SCALE_RULE_SIGNED_MAX)
      return signedMost / m.real((float)range.low);
    if (rule == NIB_SCALE_RULE_FLOOR_POW2) {
      Num power = powerOfTwo(exponentOf(m.toF64()) - (top - 1)).toF32();
      return select(none, m.real(0), power);
    }
    if (rule == NIB_SCALE_RULE_CEIL_POW2) {
      Num ratio = m.toF64() / m.toF64().real(range.high * unit);
      Num e = exponentOf(ratio);
      Num above = powerOfTwo(e) < ratio;
      return select(none, m.real(0), powerOfTwo(e + above.toUnsigned(64)).toF32());
    }
    return m / m.real((float)(range.high * unit));
  }

  void findScales() {
    // Groups have factors that are no powers of two; their codes are rounded up.
    const nib_scale_rule rule = b.group_elems && b.scale_rule == NIB_SCALE_RULE_CEIL_POW2
                                    ? NIB_SCALE_RULE_ABSMAX
                                    : b.scale_rule;
    if (rule == NIB_SCALE_RULE_RANGE)
      return scalesFromRange();
    scale = each(farthest(), l.b.getF32Type(), [&](Numbers v) { return scaleOf(v[0], rule); });
    offset = l.filled({blocks, groups}, l.b.getF32Type(), 0);
  }

  //===--- what is stored ---===//

  // Bits of the block that are bits of codes [B, n], which are columns of their own in `parts`.
  int64_t addPart(Value codes) {
    const int64_t first = columns;
    parts.push_back(codes);
    columns += dimsOf(codes)[1];
    return first;
  }
  void placeBit(int64_t bit, int64_t column, int64_t ofCode) {
    places.resize(8 * info->block_bytes, -1);
    places[bit] = (int32_t)(32 * column + ofCode);
  }
  void placeField(const nib_bit_field &f, int64_t first, int64_t n, int64_t low) {
    for (int64_t i = 0; i < n; ++i)
      for (int64_t k = 0; k < f.bits; ++k)
        placeBit(bitOfField(f, i) + k, first + i, low + k);
  }
  void placeSplit(const nib_split_field &f, int64_t first, int64_t n) {
    placeField(f.low, first, n, 0);
    if (f.high.bits)
      placeField(f.high, first, n, f.low.bits);
  }

  // Numbers [B, 1] (f64) at a byte; the values that can be read back.
  Value storeNumber(int format, int at, Value numbers, nib_encode_mode rounding) {
    Value codes = codesOfReals(l, numbers, (nib_format)format, rounding);
    const int64_t column = addPart(codes);
    for (int64_t k = 0; k < (nib_format_get((nib_format)format)->bits + 7) / 8 * 8; ++k)
      placeBit(8 * at + k, column, k);
    return values(codes, format);
  }
  nib_encode_mode scaleMode() const {
    return b.scale_rule == NIB_SCALE_RULE_CEIL_POW2 ? NIB_ENCODE_UP : NIB_ENCODE_NEAREST_EVEN;
  }
  Value storeScale(Value numbers, nib_encode_mode rounding) {
    return storeNumber(b.scale, b.scale_at, wide(numbers), rounding);
  }

  void storeFlat() {
    Type f64 = l.b.getF64Type();
    zero = perBlock(b.element_zero);
    if (b.scale != NIB_NO_FORMAT)
      scale = storeScale(scale, scaleMode());
    if (b.zero != NIB_NO_FORMAT) {
      Value wanted = each({scale, offset}, f64, [](Numbers v) {
        Num s = v[0].toF64();
        return select(s == s.real(0), s.real(0), -v[1].toF64() / s);
      });
      Value codes = codesOfReals(l, wanted, (nib_format)b.zero, NIB_ENCODE_NEAREST_EVEN);
      placeField(b.zero_field, addPart(codes), 1, 0);
      zero = values(codes, b.zero);
      offset = perBlock(0);
    } else if (b.offset != NIB_NO_FORMAT) {
      const bool negated = b.offset_is_subtracted;
      Value stored = storeNumber(
          b.offset, b.offset_at,
          each(offset, f64, [&](Numbers v) { return negated ? -v[0].toF64() : v[0].toF64(); }),
          NIB_ENCODE_NEAREST_EVEN);
      offset = negated ? each(stored, l.b.getF32Type(), [](Numbers v) { return -v[0]; }) : stored;
    }
  }

  //===--- groups ---===//

  // The factor [B, 1] (f64) of a block's numbers: the largest of them becomes the largest code.
  Value commonFactor(Value numbers, double least, double greatest) {
    Value init = l.filled({blocks, 1}, l.b.getF64Type(), 0);
    AffineMap out = l.mapOf(2, {l.dim(0), l.b.getAffineConstantExpr(0)});
    auto most = [&](bool above) {
      return l.reduce(init, out, {{numbers, l.identity(2)}}, [&](Numbers v) {
        Num number = v[0].toF64();
        return select(above ? number > v[1] : number < v[1], number, v[1]);
      });
    };
    return each({most(true), most(false)}, l.b.getF64Type(), [&](Numbers v) {
      Num up = v[0] / v[0].real(greatest);
      if (least >= 0)
        return select(up > up.real(0), up, up.real(0));
      Num down = v[1] / v[1].real(least); // signed codes reach further down
      return select(-v[1] > v[0], down, select(up > down, up, down));
    });
  }

  // Numbers [B, G] over the block's factor [B, 1] (f32), or over 1.
  Value quotients(Value numbers, Value factor, std::optional<double> plus) {
    SmallVector<Operand> operands{{numbers, l.identity(2)}};
    if (factor)
      operands.push_back(ofBlock(factor, 2));
    return l.map(dimsOf(numbers), l.b.getF64Type(), operands, [&](Numbers v) {
      Num wanted = v[0].toF64();
      if (factor) {
        Num d = v[1].toF64();
        wanted = select(d == d.real(0), d.real(0), wanted / d);
      }
      return plus ? wanted + wanted.real(*plus) : wanted; // it also makes -0 a 0
    });
  }

  Value lowBits(Value codes, const nib_split_field &f) {
    const int bits = f.low.bits + f.high.bits;
    return each(codes, l.b.getI32Type(),
                [&](Numbers v) { return v[0] & ((INT64_C(1) << bits) - 1); });
  }

  void storeGroups() {
    const nib_format format = (nib_format)b.group_scale;
    const Range codes(format, b.group_scale_zero);
    Value d;
    if (b.scale != NIB_NO_FORMAT)
      d = storeNumber(b.scale, b.scale_at, commonFactor(scale, codes.low, codes.high),
                      NIB_ENCODE_NEAREST_EVEN);
    Value stored =
        lowBits(codesOfReals(l, quotients(scale, d, b.group_scale_zero), format, scaleMode()),
                b.group_scales);
    placeSplit(b.group_scales, addPart(stored), groups);
    SmallVector<Operand> operands{{stored, l.identity(2)}};
    if (d)
      operands.push_back(ofBlock(d, 2));
    scale = l.map({blocks, groups}, l.b.getF32Type(), operands, [&](Numbers v) {
      Num value = valueOfCode(l, format, v[0].toUnsigned(64));
      Num factor = (value - value.real(b.group_scale_zero)).toF32();
      return d ? v[1] * factor : factor;
    });
    if (b.offset != NIB_NO_FORMAT)
      storeGroupOffsets();
    zero = perBlock(b.zero == NIB_NO_FORMAT ? b.element_zero
                                            : nib_format_decode((nib_format)b.zero, 0));
  }

  void storeGroupOffsets() {
    const double greatest =
        std::ldexp(1.0, b.group_offsets.low.bits + b.group_offsets.high.bits) - 1;
    const bool negated = b.offset_is_subtracted;
    Value wanted =
        negated ? each(offset, l.b.getF32Type(), [](Numbers v) { return -v[0]; }) : offset;
    Value m = storeNumber(b.offset, b.offset_at, commonFactor(wanted, 0, greatest),
                          NIB_ENCODE_NEAREST_EVEN);
    Value codes = each(quotients(wanted, m, std::nullopt), l.b.getI32Type(), [&](Numbers v) {
      Num least = v[0].real(0), most = v[0].real(greatest);
      Num inside = select(v[0] > least, select(v[0] < most, v[0], most), least);
      return roundReal(NIB_ROUNDING_NEAREST_EVEN, inside).truncate(32);
    });
    placeSplit(b.group_offsets, addPart(codes), groups);
    offset = l.map({blocks, groups}, l.b.getF32Type(), {{codes, l.identity(2)}, ofBlock(m, 2)},
                   [&](Numbers v) {
                     Num y = v[1] * v[0].toF32();
                     return negated ? -y : y;
                   });
  }

  //===--- elements ---===//

  // In the source's float arithmetic, by the scale before it was rounded.
  Value ownCodes() {
    const float zeroPoint = (float)b.element_zero;
    SmallVector<Operand> operands{ofElement(x), ofGroup(scale), ofGroup(offset)};
    return l.map(dimsOf(x), l.b.getI32Type(), operands, [&](Numbers v) {
      Num s = v[1], none = s.real(0);
      Num inverse = select(s == none, none, s.real(1) / s);
      Num isFinite = absolute(v[0]) <= v[0].real(FLT_MAX);
      Num scaled = select(isFinite, (v[0] - v[2]) * inverse, finite(v[0] * inverse));
      Num code = b.rounding == NIB_SOURCE_HALF_UP
                     ? scaled.with(math::TruncOp::create(scaled.at(),
                                                         scaled + scaled.real(zeroPoint + 0.5F)))
                     : roundReal(NIB_ROUNDING_NEAREST_AWAY, scaled) + scaled.real(zeroPoint);
      Num limited = saturateReal(code.toF64(), (int64_t)range.low + b.element_zero,
                                 (int64_t)range.high + b.element_zero);
      return select(code != code, limited.constant(0), limited).toInt(32);
    });
  }

  // [B, G, S]; the nearest by the stored scale.
  Value codes() {
    if (asSource && b.rounding == NIB_SOURCE_LEAST_ERROR)
      return codesOfLeastError();
    if (asSource && b.rounding == NIB_SOURCE_MIDPOINTS)
      return codesBetweenMidpoints();
    const bool hasNan = nib_format_get((nib_format)b.element)->kind == NIB_KIND_FLOAT;
    SmallVector<Operand> operands{ofElement(x), ofGroup(scale), ofGroup(offset), ofBlock(zero, 3)};
    Value numbers = l.map(dimsOf(x), l.b.getF64Type(), operands, [&](Numbers v) {
      Num unit = v[1].toF64();
      if (b.element_exponent)
        unit = unit * unit.real(std::ldexp(1.0, b.element_exponent));
      Num none = unit.real(0), low = unit.real(range.low), high = unit.real(range.high);
      Num y = select(unit == none, none, (v[0].toF64() - v[2].toF64()) / unit);
      Num clipped = y;
      if (b.zero == NIB_NO_FORMAT)
        clipped = select(y < low, low, select(y > high, high, y));
      if (!hasNan)
        clipped = select(y != y, none, clipped);
      return clipped + v[3].toF64();
    });
    return codesOfReals(l, numbers, (nib_format)b.element, mode);
  }

  // The values of an element's codes, and a dimension for them behind the element's.
  Value codeValues(SmallVectorImpl<float> &numbers) {
    for (uint64_t code = 0; code < UINT64_C(1) << nib_format_get((nib_format)b.element)->bits;
         ++code)
      numbers.push_back((float)nib_format_decode((nib_format)b.element, code));
    return l.vector<float>((int64_t)numbers.size(), numbers);
  }
  // A count or index (i32) for each element from a loop over all entries of a table.
  Value searchCodes(Value table, int32_t first, Body body) {
    AffineMap element = l.mapOf(4, {l.dim(0), l.dim(1), l.dim(2)});
    return l.reduce(
        l.filled(dimsOf(x), l.b.getI32Type(), first), element,
        {{x, element}, {scale, l.mapOf(4, {l.dim(0), l.dim(1)})}, {table, l.mapOf(4, {l.dim(3)})}},
        body);
  }

  Value codesOfLeastError() {
    SmallVector<float> numbers;
    Value table = codeValues(numbers);
    Value best = searchCodes(table, -1, [&](Numbers v) {
      Num number = finite(v[0]), s = v[1], best = v[3], none = best < 0;
      Num error = absolute(s * v[2] - number);
      Num least = absolute(s * l.lookup(table, select(none, best.constant(0), best)) - number);
      least = select(none, least.real(std::numeric_limits<double>::infinity()), least);
      Num code(best.at(), linalg::IndexOp::create(best.at(), 3));
      code = code.with(arith::IndexCastOp::create(best.at(), best.type(), code));
      return select(error < least, code, best);
    });
    return each(best, l.b.getI32Type(),
                [](Numbers v) { return select(v[0] < 0, v[0].constant(0), v[0]); });
  }

  Value codesBetweenMidpoints() {
    SmallVector<float> numbers, middles;
    codeValues(numbers);
    for (size_t i = 0; i + 1 < numbers.size(); ++i)
      middles.push_back((numbers[i] + numbers[i + 1]) / 2.0F);
    Value table = l.vector<float>((int64_t)middles.size(), middles);
    return searchCodes(table, 0, [&](Numbers v) {
      Num s = v[1], none = s.real(0), low = s.real((float)range.low),
          high = s.real((float)range.high);
      Num scaled = select(s == none, none, finite(v[0]) * (s.real(1) / s));
      scaled = select(scaled < low, low, select(scaled > high, high, scaled));
      return select(v[2] < scaled, v[3] + 1, v[3]);
    });
  }

  void addCodes(Value codes) {
    codes = l.reshape(codes, {blocks, info->block_elems});
    if (b.packing == NIB_PACKING_TQ1_0)
      return addTernary(codes);
    placeSplit(b.codes, addPart(codes), info->block_elems);
  }

  // Bytes of five digits of base 3, as fractions of 256.
  void addTernary(Value codes) {
    const int64_t count = 52;
    SmallVector<int32_t> elements(5 * count, 0), weights(5 * count, 0);
    for (int i = 0; i < info->block_elems; ++i) {
      const int byte = i < 160 ? i % 32 : i < 240 ? 32 + (i - 160) % 16 : 48 + (i - 240) % 4;
      const int digit = i < 160 ? i / 32 : i < 240 ? (i - 160) / 16 : (i - 240) / 4;
      const int powers[] = {81, 27, 9, 3, 1};
      elements[5 * byte + digit] = i;
      weights[5 * byte + digit] = powers[digit];
    }
    AffineMap digits = l.mapOf(3, {l.dim(1), l.dim(2)});
    Value from = l.vector<int32_t>({count, 5}, elements),
          by = l.vector<int32_t>({count, 5}, weights);
    Value sums = l.reduce(
        l.filled({blocks, count}, l.b.getI32Type(), 0), l.mapOf(3, {l.dim(0), l.dim(1)}),
        {{from, digits}, {by, digits}}, [&](Numbers v) {
          ImplicitLocOpBuilder &at = v[0].at();
          Value block = linalg::IndexOp::create(at, 0);
          Num code(at, tensor::ExtractOp::create(at, codes, ValueRange{block, v[0].toIndex()}));
          return v[2] + code * v[1];
        });
    Value bytes = each(sums, l.b.getI32Type(), [](Numbers v) { return (v[0] * 256 + 242) / 243; });
    placeField({/*at=*/0, /*bits=*/8, /*stride=*/8, 0, 0, 0, 0}, addPart(bytes), count, 0);
  }

  // Each byte is put together of bits, of which a table says where they come from.
  Value pack() {
    places.resize(8 * info->block_bytes, -1);
    for (int32_t &place : places)
      place = place < 0 ? (int32_t)(32 * columns) : place; // a column of zeros
    Value all = l.filled({blocks, columns + 1}, l.b.getI32Type(), 0);
    int64_t at = 0;
    for (Value part : parts) {
      all = l.insert(part, all, {0, at});
      at += dimsOf(part)[1];
    }
    Value table = l.vector<int32_t>({info->block_bytes, 8}, places);
    return l.reduce(
        l.filled({blocks, info->block_bytes}, l.b.getI8Type(), 0), l.mapOf(3, {l.dim(0), l.dim(1)}),
        {{table, l.mapOf(3, {l.dim(1), l.dim(2)})}}, [&](Numbers v) {
          ImplicitLocOpBuilder &here = v[0].at();
          Value block = linalg::IndexOp::create(here, 0);
          Num code(here,
                   tensor::ExtractOp::create(here, all, ValueRange{block, (v[0] >> 5).toIndex()}));
          Num to(here, linalg::IndexOp::create(here, 2));
          to = to.with(arith::IndexCastOp::create(here, v[0].type(), to));
          Num bit = code.shiftRightUnsigned(v[0] & 31) & 1;
          return v[1] | (bit << to).toInt(8);
        });
  }

  Lowering &l;
  const nib_format_info *info;
  const nib_block_layout &b;
  bool asSource;
  nib_encode_mode mode;
  Range range;
  int64_t blocks, groups, size;
  Value x, scale, offset, zero;
  SmallVector<Value> parts;
  SmallVector<int32_t> places; // of each bit of a block: 32 * column + bit
  int64_t columns = 0;
};

} // namespace

Value nib::encodeBlocks(Lowering &l, Value reals, const nib_tensor &tensor, nib_encode_mode mode,
                        bool asSource) {
  return l.reshape(BlockWriter(l, reals, tensor, mode, asSource).bytes(), storageDims(tensor));
}

//===----------------------------------------------------------------------===//
// Codes of numbers
//===----------------------------------------------------------------------===//

static Num roundTo(nib_encode_mode mode, Num x) {
  switch (mode) {
  case NIB_ENCODE_NEAREST_AWAY:
    return roundReal(NIB_ROUNDING_NEAREST_AWAY, x);
  case NIB_ENCODE_TOWARD_ZERO:
    return x.with(math::TruncOp::create(x.at(), x));
  case NIB_ENCODE_UP:
    return x.with(math::CeilOp::create(x.at(), x));
  case NIB_ENCODE_DOWN:
    return x.with(math::FloorOp::create(x.at(), x));
  default:
    return roundReal(NIB_ROUNDING_NEAREST_EVEN, x);
  }
}

// NaN is 0.
static Num integerCode(Num whole, int64_t low, int64_t high) {
  Num code = saturateReal(whole, low, high);
  return select(whole != whole, code.constant(0), code);
}

// Bipolar numbers are the odd ones within their range: 2 code - most.
static Num bipolarCode(nib_encode_mode mode, Num x, int bits) {
  const int64_t most = (INT64_C(1) << bits) - 1;
  Num half = (x + x.real((double)most)) / x.real(2), positive = x > x.real(0);
  Num code = half;
  if (mode == NIB_ENCODE_TOWARD_ZERO)
    code = select(x < x.real(0), roundTo(NIB_ENCODE_UP, half), roundTo(NIB_ENCODE_DOWN, half));
  else if (mode == NIB_ENCODE_NEAREST_AWAY)
    code = select(positive, roundTo(NIB_ENCODE_DOWN, half + half.real(0.5)),
                  roundTo(NIB_ENCODE_UP, half - half.real(0.5)));
  else
    code = roundTo(mode, half);
  return integerCode(code, 0, most);
}

static Num truth(Num like, bool value) {
  return like.with(arith::ConstantOp::create(like.at(), like.at().getBoolAttr(value)));
}

static Num takesAbove(nib_encode_mode mode, Num below, Num down, Num up, Num x) {
  switch (mode) {
  case NIB_ENCODE_NEAREST_AWAY:
    return (up < down) | ((up == down) & (x > x.real(0)));
  case NIB_ENCODE_TOWARD_ZERO:
    return x < x.real(0);
  case NIB_ENCODE_UP:
    return truth(x, true);
  case NIB_ENCODE_DOWN:
    return truth(x, false);
  default:
    return (up < down) | ((up == down) & ((below & 1) == 1));
  }
}

// The neighbours of each number among the values of a codebook, in any order, by two loops over all
// of them; then the nearer.
static Value codebookCodes(Lowering &l, Value reals, nib_format format, nib_encode_mode mode) {
  const int64_t count = INT64_C(1) << nib_format_get(format)->bits;
  SmallVector<float> numbers;
  for (int64_t code = 0; code < count; ++code)
    numbers.push_back((float)nib_format_decode(format, (uint64_t)code));
  Value table = l.vector<float>(count, numbers);
  const unsigned rank = dimsOf(reals).size();
  AffineMap element =
      AffineMap::getMultiDimIdentityMap(rank + 1, l.b.getContext()).dropResult(rank);
  Type i32 = l.b.getI32Type();
  auto number = [](Num x) { return select(x != x, x.real(0), x); }; // NaN counts as 0
  auto valueAt = [&](Num code) {
    return l.lookup(table, select(code < 0, code.constant(0), code)).toF64();
  };
  auto neighbour = [&](bool above) {
    return l.reduce(l.filled(dimsOf(reals), i32, -1), element,
                    {{reals, element}, {table, l.mapOf(rank + 1, {l.dim(rank)})}}, [&](Numbers v) {
                      Num x = number(v[0]), value = v[1].toF64();
                      Num best = v[2], other = valueAt(best);
                      Num code(best.at(), linalg::IndexOp::create(best.at(), rank));
                      code = code.with(arith::IndexCastOp::create(best.at(), i32, code));
                      Num fits = above ? value >= x : value <= x;
                      Num nearer = above ? value < other : value > other;
                      return select(fits & ((best < 0) | nearer), code, best);
                    });
  };
  Operand operands[] = {{reals, l.identity(rank)},
                        {neighbour(false), l.identity(rank)},
                        {neighbour(true), l.identity(rank)}};
  return l.map(dimsOf(reals), i32, operands, [&](Numbers v) {
    Num x = number(v[0]), below = v[1], above = v[2];
    Num down = x - valueAt(below), up = valueAt(above) - x, none = x.real(0);
    Num code = select(takesAbove(mode, below, down, up, x), above, below);
    code = select(up == none, above, code);
    code = select(down == none, below, code);
    return select(below < 0, above, select(above < 0, below, code));
  });
}

Value nib::codesOfReals(Lowering &l, Value reals, nib_format format, nib_encode_mode mode) {
  const nib_format_info *info = nib_format_get(format);
  if (info->kind == NIB_KIND_CODEBOOK)
    return codebookCodes(l, reals, format, mode);
  return l.map(dimsOf(reals), l.b.getI32Type(), {{reals, l.identity(dimsOf(reals).size())}},
               [&](Numbers v) {
                 if (info->kind == NIB_KIND_FLOAT)
                   return encode(format, v[0], mode, /*saturate=*/true);
                 if (info->kind == NIB_KIND_BIPOLAR)
                   return bipolarCode(mode, v[0], info->bits).toInt(32);
                 Num code = integerCode(roundTo(mode, v[0]), info->min, info->max);
                 return (code & ((INT64_C(1) << info->bits) - 1)).toInt(32);
               });
}

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Elements of blocks, read from bytes as the format table describes them.
#include "passes/lower/Blocks.h"
#include "passes/lower/Formats.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <cmath>

using namespace mlir;
using namespace nib;

bool nib::isBlock(const nib_tensor &tensor) {
  return nib_format_get(tensor.format)->kind == NIB_KIND_BLOCK;
}

bool nib::hasCodec(nib_format format) {
  const nib_format_info *info = nib_format_get(format);
  if (info->kind == NIB_KIND_FLOAT)
    return !isMinifloat(format) || fitsF64(format);
  if (info->kind != NIB_KIND_BLOCK)
    return true;
  const nib_block_layout &b = info->block;
  for (int part : {b.element, b.scale, b.offset, b.zero, b.group_scale})
    if (!hasCodec((nib_format)part))
      return false;
  return true;
}

SmallVector<int64_t> nib::storageDims(const nib_tensor &tensor) {
  SmallVector<int64_t> dims(dimsOf(tensor));
  if (isBlock(tensor)) {
    const nib_format_info *info = nib_format_get(tensor.format);
    dims.back() = dims.back() / info->block_elems * info->block_bytes;
  }
  return dims;
}

Num nib::valueOfCode(Lowering &l, nib_format format, Num code) {
  const nib_format_info *info = nib_format_get(format);
  if (format == NIB_F32) {
    Num bits = code.toInt(32);
    return bits.with(arith::BitcastOp::create(bits.at(), bits.at().getF32Type(), bits)).toF64();
  }
  if (info->kind == NIB_KIND_FLOAT)
    return decode(format, code);
  code = code & ((INT64_C(1) << info->bits) - 1);
  if (info->kind == NIB_KIND_CODEBOOK)
    return l.load(code.toInt(32), format).toF64();
  if (info->kind == NIB_KIND_BIPOLAR)
    code = code * 2 - ((INT64_C(1) << info->bits) - 1);
  if (info->kind == NIB_KIND_SIGNED)
    code = (code << (64 - info->bits)) >> (64 - info->bits);
  return code.toF64();
}

int64_t nib::bitOfField(const nib_bit_field &f, int64_t i) {
  int64_t bit = f.at;
  if (f.chunk) {
    bit += i / f.chunk * f.chunk_step;
    i %= f.chunk;
  }
  if (f.run) {
    bit += i / f.run * f.step;
    i %= f.run;
  }
  return bit + i * f.stride;
}

namespace {

// A block in memory, in a loop's body.
class BlockReader {
public:
  // The block whose first byte is number `base` (i64) of the bytes at `leading`.
  BlockReader(Lowering &l, Value bytes, const nib_format_info *info, ArrayRef<Value> leading,
              Num base)
      : l(l), bytes(bytes), info(info), b(info->block), leading(leading), base(base) {}

  Num element(Num i) const {
    Num group = b.group_elems ? i / b.group_elems : i.constant(0);
    Num q = (valueOfCode(l, (nib_format)b.element, code(i)) - zero(i)).toF32();
    if (b.element_exponent)
      q = q * q.real(std::ldexp(1.0, b.element_exponent));
    Num y = scale(group) * q;
    return b.offset == NIB_NO_FORMAT ? y : y + offset(group);
  }

private:
  Num byte(Num at) const {
    SmallVector<Value> places(leading);
    places.push_back((base + at).toIndex());
    return at.with(tensor::ExtractOp::create(at.at(), bytes, places)).toUnsigned(64);
  }

  // Number i of `n` in a field of codes, as i64.
  Num field(const nib_bit_field &f, Num i, int64_t n) const {
    int64_t span = 1;
    for (int64_t k = 0; k < n; ++k)
      span = std::max(span, (bitOfField(f, k) % 8 + f.bits + 7) / 8);
    Num bit = i.constant(f.at);
    if (f.chunk) {
      bit = bit + i / f.chunk * f.chunk_step;
      i = i % f.chunk;
    }
    if (f.run) {
      bit = bit + i / f.run * f.step;
      i = i % f.run;
    }
    bit = bit + i * f.stride;
    Num first = bit >> 3, value = byte(first);
    for (int64_t k = 1; k < span; ++k) {
      // What lies behind the code does not count; behind the block it is not read.
      Num at = first + k, last = at.constant(info->block_bytes - 1);
      value = value | byte(select(at < last, at, last)) << 8 * k;
    }
    return value.shiftRightUnsigned(bit & 7) & ((INT64_C(1) << f.bits) - 1);
  }

  Num split(const nib_split_field &f, Num i, int64_t n) const {
    Num low = field(f.low, i, n);
    return f.high.bits ? low | field(f.high, i, n) << f.low.bits : low;
  }

  // Five digits of base 3 to a byte, as nib_tq1_0_code has them.
  Num ternaryCode(Num i) const {
    Num first = i < 160, second = i < 240;
    Num at = select(first, i % 32, select(second, (i - 160) % 16 + 32, (i - 240) % 4 + 48));
    Num digit = select(first, i / 32, select(second, (i - 160) / 16, (i - 240) / 4));
    Num power = i.constant(81);
    for (int k = 3, p = 27; k >= 0; --k, p /= 3)
      power = select(digit == k, i.constant(p), power);
    return ((byte(at) * power & 255) * 3) >> 8;
  }

  Num code(Num i) const {
    return b.packing == NIB_PACKING_TQ1_0 ? ternaryCode(i) : split(b.codes, i, info->block_elems);
  }

  // A little-endian number at a byte.
  Num number(int format, int at, Num like) const {
    const int count = (nib_format_get((nib_format)format)->bits + 7) / 8;
    Num code = byte(like.constant(at));
    for (int k = 1; k < count; ++k)
      code = code | byte(like.constant(at + k)) << 8 * k;
    return valueOfCode(l, (nib_format)format, code).toF32();
  }

  int64_t groups() const { return b.group_elems ? info->block_elems / b.group_elems : 1; }

  Num scale(Num group) const {
    std::optional<Num> d;
    if (b.scale != NIB_NO_FORMAT)
      d = number(b.scale, b.scale_at, group);
    if (!b.group_elems)
      return d ? *d : Num::f32(group.at(), 1);
    Num value = valueOfCode(l, (nib_format)b.group_scale, split(b.group_scales, group, groups()));
    Num factor = (value - value.real(b.group_scale_zero)).toF32();
    return d ? *d * factor : factor;
  }

  Num offset(Num group) const {
    Num m = number(b.offset, b.offset_at, group);
    if (b.group_offsets.low.bits)
      m = m * split(b.group_offsets, group, groups()).toF32();
    return b.offset_is_subtracted ? -m : m;
  }

  Num zero(Num like) const { // in f64
    if (b.zero == NIB_NO_FORMAT)
      return like.toF64().real(b.element_zero);
    return valueOfCode(l, (nib_format)b.zero, field(b.zero_field, like.constant(0), 1))
        .toF32()
        .toF64();
  }

  Lowering &l;
  Value bytes;
  const nib_format_info *info;
  const nib_block_layout &b;
  SmallVector<Value> leading;
  Num base;
};

} // namespace

Num nib::decodeElement(Lowering &l, ImplicitLocOpBuilder &b, Value bytes, const nib_tensor &tensor,
                       ArrayRef<Value> places) {
  const nib_format_info *info = nib_format_get(tensor.format);
  Num k(b, arith::IndexCastOp::create(b, b.getI64Type(), places.back()));
  const BlockReader block(l, bytes, info, places.drop_back(),
                          k / info->block_elems * info->block_bytes);
  return block.element(k % info->block_elems);
}

Value nib::decodeBlocks(Lowering &l, Value bytes, const nib_tensor &tensor) {
  return l.map(dimsOf(tensor), l.b.getF32Type(), {}, [&](Numbers v) {
    ImplicitLocOpBuilder &b = v[0].at();
    SmallVector<Value> places;
    for (int32_t d = 0; d < tensor.rank; ++d)
      places.push_back(linalg::IndexOp::create(b, d));
    return decodeElement(l, b, bytes, tensor, places);
  });
}

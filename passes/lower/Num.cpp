// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/lower/Num.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using nib::Num;

Num Num::i32(ImplicitLocOpBuilder &builder, int64_t number) {
  return Num(builder, arith::ConstantOp::create(builder, builder.getI32IntegerAttr(number)));
}

Num Num::f32(ImplicitLocOpBuilder &builder, float number) {
  return Num(builder, arith::ConstantOp::create(builder, builder.getF32FloatAttr(number)));
}

Num Num::constant(int64_t number) const {
  if (isFloat())
    return real((double)number);
  return with(arith::ConstantOp::create(*builder, builder->getIntegerAttr(type(), number)));
}

Num Num::real(double number) const {
  return with(arith::ConstantOp::create(*builder, builder->getFloatAttr(type(), number)));
}

// An operation of each kind for integers and for floats.
template <typename IntOp, typename FloatOp> static Num apply(Num a, Num b) {
  if (a.isFloat())
    return a.with(FloatOp::create(a.at(), a, b));
  return a.with(IntOp::create(a.at(), a, b));
}

Num Num::operator+(Num other) const { return apply<arith::AddIOp, arith::AddFOp>(*this, other); }
Num Num::operator-(Num other) const { return apply<arith::SubIOp, arith::SubFOp>(*this, other); }
Num Num::operator*(Num other) const { return apply<arith::MulIOp, arith::MulFOp>(*this, other); }
Num Num::operator/(Num other) const { return apply<arith::DivSIOp, arith::DivFOp>(*this, other); }
Num Num::operator%(int64_t number) const {
  return with(arith::RemSIOp::create(*builder, value, constant(number)));
}
Num Num::operator&(Num other) const { return with(arith::AndIOp::create(*builder, value, other)); }
Num Num::operator|(Num other) const { return with(arith::OrIOp::create(*builder, value, other)); }
Num Num::operator^(Num other) const { return with(arith::XOrIOp::create(*builder, value, other)); }
Num Num::operator<<(Num other) const { return with(arith::ShLIOp::create(*builder, value, other)); }
Num Num::operator>>(Num other) const {
  return with(arith::ShRSIOp::create(*builder, value, other));
}
Num Num::shiftRightUnsigned(Num other) const {
  return with(arith::ShRUIOp::create(*builder, value, other));
}

Num Num::operator-() const {
  if (isFloat())
    return with(arith::NegFOp::create(*builder, value));
  return constant(0) - *this;
}

static Num compare(Num a, Num b, arith::CmpIPredicate integer, arith::CmpFPredicate real) {
  if (a.isFloat())
    return a.with(arith::CmpFOp::create(a.at(), real, a, b));
  return a.with(arith::CmpIOp::create(a.at(), integer, a, b));
}

Num Num::operator==(Num other) const {
  return compare(*this, other, arith::CmpIPredicate::eq, arith::CmpFPredicate::OEQ);
}
Num Num::operator!=(Num other) const {
  return compare(*this, other, arith::CmpIPredicate::ne, arith::CmpFPredicate::UNE);
}
Num Num::operator<(Num other) const {
  return compare(*this, other, arith::CmpIPredicate::slt, arith::CmpFPredicate::OLT);
}
Num Num::operator<=(Num other) const {
  return compare(*this, other, arith::CmpIPredicate::sle, arith::CmpFPredicate::OLE);
}
Num Num::operator>(Num other) const {
  return compare(*this, other, arith::CmpIPredicate::sgt, arith::CmpFPredicate::OGT);
}
Num Num::operator>=(Num other) const {
  return compare(*this, other, arith::CmpIPredicate::sge, arith::CmpFPredicate::OGE);
}

Num Num::select(Num ifTrue, Num ifFalse) const {
  return with(arith::SelectOp::create(*builder, value, ifTrue, ifFalse));
}

Num Num::toInt(unsigned width) const {
  if (bits() == width)
    return *this;
  Type wanted = builder->getIntegerType(width);
  if (bits() > width)
    return with(arith::TruncIOp::create(*builder, wanted, value));
  return with(arith::ExtSIOp::create(*builder, wanted, value));
}

Num Num::toUnsigned(unsigned width) const {
  if (bits() >= width)
    return toInt(width);
  return with(arith::ExtUIOp::create(*builder, builder->getIntegerType(width), value));
}

Num Num::toFloat(unsigned width) const {
  Type wanted = width == 64 ? (Type)builder->getF64Type() : (Type)builder->getF32Type();
  if (type() == wanted)
    return *this;
  if (!isFloat())
    return with(arith::SIToFPOp::create(*builder, wanted, value));
  if (bits() > width)
    return with(arith::TruncFOp::create(*builder, wanted, value));
  return with(arith::ExtFOp::create(*builder, wanted, value));
}

Num Num::truncate(unsigned width) const {
  return with(arith::FPToSIOp::create(*builder, builder->getIntegerType(width), value));
}

Num Num::toBits() const {
  if (!isFloat())
    return *this;
  return with(arith::BitcastOp::create(*builder, builder->getIntegerType(bits()), value));
}

Num Num::fromBits(Type element) const {
  if (!isa<FloatType>(element))
    return *this;
  return with(arith::BitcastOp::create(*builder, element, value));
}

Value Num::toIndex() const {
  return arith::IndexCastOp::create(*builder, builder->getIndexType(), value);
}

Num Num::clamp(int64_t lo, int64_t hi) const {
  Num low = constant(lo), high = constant(hi);
  return (*this < low).select(low, (*this > high).select(high, *this));
}

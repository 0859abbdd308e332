// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Scalar arithmetic as one writes it: each operator of a Num appends an operation of `arith`.
#ifndef NIB_PASSES_LOWER_NUM_H
#define NIB_PASSES_LOWER_NUM_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace nib {

/// An integer, a truth value (i1) or a float that is computed where the builder stands. Both sides
/// of an operator have one type. Integers wrap; comparisons and divisions are signed; float
/// comparisons are false for NaN, except !=.
class Num {
public:
  Num(mlir::ImplicitLocOpBuilder &builder, mlir::Value value) : builder(&builder), value(value) {}
  static Num i32(mlir::ImplicitLocOpBuilder &builder, int64_t number);
  static Num f32(mlir::ImplicitLocOpBuilder &builder, float number);

  operator mlir::Value() const { return value; }
  mlir::ImplicitLocOpBuilder &at() const { return *builder; }
  mlir::Type type() const { return value.getType(); }
  bool isFloat() const { return mlir::isa<mlir::FloatType>(type()); }
  unsigned bits() const { return type().getIntOrFloatBitWidth(); }
  Num with(mlir::Value other) const { return Num(*builder, other); }

  /// A constant of this number's type.
  Num constant(int64_t number) const;
  Num real(double number) const;

  Num operator+(Num other) const;
  Num operator-(Num other) const;
  Num operator*(Num other) const;
  Num operator/(Num other) const;
  Num operator&(Num other) const;
  Num operator|(Num other) const;
  Num operator^(Num other) const;
  Num operator<<(Num other) const;
  Num operator>>(Num other) const; ///< keeps the sign
  Num operator+(int64_t number) const { return *this + constant(number); }
  Num operator-(int64_t number) const { return *this - constant(number); }
  Num operator*(int64_t number) const { return *this * constant(number); }
  Num operator/(int64_t number) const { return *this / constant(number); }
  Num operator%(int64_t number) const; ///< of an integer; the sign is that of the dividend
  Num operator&(int64_t number) const { return *this & constant(number); }
  Num operator^(int64_t number) const { return *this ^ constant(number); }
  Num operator<<(int64_t number) const { return *this << constant(number); }
  Num operator>>(int64_t number) const { return *this >> constant(number); }
  Num operator-() const;
  Num shiftRightUnsigned(Num other) const;

  Num operator==(Num other) const;
  Num operator!=(Num other) const;
  Num operator<(Num other) const;
  Num operator<=(Num other) const;
  Num operator>(Num other) const;
  Num operator>=(Num other) const;
  Num operator==(int64_t number) const { return *this == constant(number); }
  Num operator<(int64_t number) const { return *this < constant(number); }
  Num operator<=(int64_t number) const { return *this <= constant(number); }
  Num operator>(int64_t number) const { return *this > constant(number); }
  Num operator>=(int64_t number) const { return *this >= constant(number); }

  /// Of a truth value.
  Num select(Num ifTrue, Num ifFalse) const;

  /// Integers to another width: extended by the sign, or cut.
  Num toInt(unsigned bits) const;
  Num toUnsigned(unsigned bits) const; ///< extended by zeros, or cut
  /// Between integers (signed) and floats, truncated toward zero; and between floats.
  Num toF32() const { return toFloat(32); }
  Num toF64() const { return toFloat(64); }
  Num toFloat(unsigned bits) const;
  Num truncate(unsigned bits) const; ///< of a float, to an integer that holds it
  mlir::Value toIndex() const;
  /// The bits of a float as an integer, and back; integers stay as they are.
  Num toBits() const;
  Num fromBits(mlir::Type element) const;

  Num clamp(int64_t lo, int64_t hi) const;

private:
  mlir::ImplicitLocOpBuilder *builder;
  mlir::Value value;
};

/// `condition` ? ifTrue : ifFalse
inline Num select(Num condition, Num ifTrue, Num ifFalse) {
  return condition.select(ifTrue, ifFalse);
}

} // namespace nib

#endif

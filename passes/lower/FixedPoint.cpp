// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/lower/FixedPoint.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace nib;

//===----------------------------------------------------------------------===//
// Pieces
//===----------------------------------------------------------------------===//

static Num saturate32(Num wide) { return wide.clamp(INT32_MIN, INT32_MAX).toInt(32); }

Num nib::mulHighRound(Num a, Num b) {
  Num product = a.toInt(64) * b.toInt(64);
  Num half = product.constant(INT64_C(1) << 30);
  Num nudge = select(product >= 0, half, product.constant(1 - (INT64_C(1) << 30)));
  Num y = ((product + nudge) / product.constant(INT64_C(1) << 31)).toInt(32);
  return select((a == INT32_MIN) & (b == INT32_MIN), y.constant(INT32_MAX), y);
}

Num nib::shiftRightRound(Num x, Num n) {
  Num one = n.toInt(64).constant(1);
  Num mask = ((one << n.toInt(64)) - 1).toInt(32);
  Num threshold = (mask >> 1) + (x < 0).toUnsigned(32);
  return (x >> n) + ((x & mask) > threshold).toUnsigned(32);
}

Num nib::rescaleTfliteDouble(Num x, Num multiplier, Num shift) {
  Num zero = shift.constant(0);
  Num left = select(shift > zero, shift, zero), right = select(shift > zero, zero, -shift);
  return shiftRightRound(mulHighRound(x << left, multiplier), right);
}

Num nib::leadingZeros(Num x) { return x.with(math::CountLeadingZerosOp::create(x.at(), x)); }

Num nib::avgRound(Num sum, Num count) {
  Num half = count / count.constant(2);
  return select(sum > 0, sum + half, sum - half) / count;
}

Num nib::roundReal(nib_rounding rounding, Num x) {
  if (rounding == NIB_ROUNDING_NEAREST_EVEN)
    return x.with(math::RoundEvenOp::create(x.at(), x));
  return x.with(math::RoundOp::create(x.at(), x));
}

//===----------------------------------------------------------------------===//
// Requantization
//===----------------------------------------------------------------------===//

bool nib::isFloatMode(nib_rounding rounding) {
  return rounding == NIB_ROUNDING_NEAREST_EVEN || rounding == NIB_ROUNDING_NEAREST_AWAY;
}

Requant nib::constantRequant(ImplicitLocOpBuilder &builder, const nib_requant &requant) {
  return {Num::i32(builder, requant.multiplier), Num::i32(builder, requant.shift),
          Num::f32(builder, requant.scale)};
}

// x * multiplier in 64 bits, and 31 - shift.
struct Product {
  Num value, total;
  Product(Num x, const Requant &q)
      : value(x.toInt(64) * q.multiplier->toInt(64)),
        total((q.shift->constant(31) - *q.shift).toInt(64)) {}
  Num half() const { return value.constant(1) << (total - 1); }
};

static Num tfliteDouble(Num x, const Requant &q) {
  return rescaleTfliteDouble(x, *q.multiplier, *q.shift);
}

static Num halfUp(Num x, const Requant &q) {
  Product p(x, q);
  return saturate32((p.value + p.half()) >> p.total);
}

static Num tfliteAway(Num x, const Requant &q) {
  Product p(x, q);
  return saturate32((p.value + p.half() - (p.value < 0).toUnsigned(64)) >> p.total);
}

static Num tosaDouble(Num x, const Requant &q) {
  Product p(x, q);
  Num quarter = p.value.constant(INT64_C(1) << 30);
  Num more = select(x >= 0, quarter, -quarter);
  Num round = p.half() + select(p.total > 31, more, p.value.constant(0));
  return saturate32((p.value + round) >> p.total);
}

static Num tfliteInt64(Num x, const Requant &q) {
  Num rounded = (*q.multiplier + (1 << 15)) >> 16;
  Num reduced = select(*q.multiplier < 0x7FFF0000, rounded, rounded.constant(0x7FFF)).toInt(64);
  Num total = (q.shift->constant(15) - *q.shift).toInt(64);
  return ((x * reduced + (x.constant(1) << (total - 1))) >> total).toInt(32);
}

// The f32 product rounded; saturated where i32 ends.
static Num nearest(nib_rounding rounding, Num x, const Requant &q) {
  Num y = roundReal(rounding, x.toF32() * *q.scale);
  Num code = y.truncate(32);
  return select(y >= y.real(2147483520.0), code.constant(INT32_MAX),
                select(y <= y.real(-2147483648.0), code.constant(INT32_MIN), code));
}

static Num nearestEven(Num x, const Requant &q) { return nearest(NIB_ROUNDING_NEAREST_EVEN, x, q); }
static Num nearestAway(Num x, const Requant &q) { return nearest(NIB_ROUNDING_NEAREST_AWAY, x, q); }

using Rescale = Num (*)(Num, const Requant &);

// By nib_rounding; the second is of 64-bit accumulators, which have one integer requantization.
static Rescale rescaleOf(nib_rounding rounding, bool wide) {
  switch (rounding) {
  case NIB_ROUNDING_NEAREST_EVEN:
    return nearestEven;
  case NIB_ROUNDING_NEAREST_AWAY:
    return nearestAway;
  default:
    break;
  }
  if (wide)
    return tfliteInt64;
  switch (rounding) {
  case NIB_ROUNDING_TFLITE_SINGLE:
  case NIB_ROUNDING_DYADIC:
  case NIB_ROUNDING_TOSA_SINGLE:
  case NIB_ROUNDING_TOSA_INEXACT:
    return halfUp;
  case NIB_ROUNDING_TFLITE_AWAY:
    return tfliteAway;
  case NIB_ROUNDING_TOSA_DOUBLE:
    return tosaDouble;
  default: // tflite-int64 on a 32-bit value is tflite-double
    return tfliteDouble;
  }
}

Num nib::rescale(nib_rounding rounding, Num x, const Requant &requant) {
  return rescaleOf(rounding, /*wide=*/false)(x, requant);
}

Num nib::rescale64(nib_rounding rounding, Num x, const Requant &requant) {
  return rescaleOf(rounding, /*wide=*/true)(x, requant);
}

Num nib::saturateReal(Num code, int64_t lo, int64_t hi) {
  Num whole = code.truncate(64);
  Num low = whole.constant(lo), high = whole.constant(hi);
  return select(code >= code.real((double)hi), high,
                select(code > code.real((double)lo), whole, low));
}

Num nib::quantizeReal(nib_rounding rounding, Num x, float scale, int64_t zeroPoint, int64_t lo,
                      int64_t hi) {
  Num code = roundReal(rounding, x / x.real(scale)).toF64();
  return saturateReal(code + code.real((double)zeroPoint), lo, hi);
}

//===----------------------------------------------------------------------===//
// Fixed-point functions
//===----------------------------------------------------------------------===//

static Num shlSat(Num x, int n) { return saturate32(x.toInt(64) * (INT64_C(1) << n)); }

// exp(a) in Q0.31 for a in [-1/4, 0).
static Num fxExpQuarter(Num a) {
  Num x = a + (INT64_C(1) << 28);
  Num x2 = mulHighRound(x, x), x3 = mulHighRound(x2, x), x4 = mulHighRound(x2, x2);
  Num two = x.constant(2), one = x.constant(1);
  Num third = x.constant(715827883), minusEighth = x.constant(1895147668);
  Num terms = mulHighRound(shiftRightRound(x4, two) + x3, third) + x2;
  return minusEighth + mulHighRound(minusEighth, x + shiftRightRound(terms, one));
}

Num nib::fxExp(Num a, int integerBits) {
  static const int64_t factor[7] = {1672461947, 1302514674, 790015084, 290630308,
                                    39332535,   720401,     242};
  int64_t quarter = INT64_C(1) << (29 - integerBits);
  Num rest = (a & (quarter - 1)) - quarter;
  Num higher = rest - a;
  Num y = fxExpQuarter(integerBits > 0 ? shlSat(rest, integerBits) : rest);
  for (int i = 0; i < integerBits + 2; ++i) {
    Num set = (higher & (quarter << i)) != higher.constant(0);
    y = select(set, mulHighRound(y, y.constant(factor[i])), y);
  }
  return select(a == 0, y.constant(INT32_MAX), y);
}

static Num fxNewton(Num h) {
  Num x = mulHighRound(h, h.constant(-1010580540)) + 1515870810;
  for (int i = 0; i < 3; ++i) {
    Num error = x.constant(INT64_C(1) << 29) - mulHighRound(h, x);
    x = x + shlSat(mulHighRound(x, error), 2);
  }
  return x;
}

static Num fxHalfOnePlus(Num a) {
  Num sum = a.toInt(64) + INT32_MAX;
  Num away = select(sum >= 0, sum.constant(1), sum.constant(-1));
  return ((sum + away) / sum.constant(2)).toInt(32);
}

Num nib::fxOneOverOnePlus(Num a) { return shlSat(fxNewton(fxHalfOnePlus(a)), 1); }

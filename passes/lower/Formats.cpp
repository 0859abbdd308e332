// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Codes of reals to numbers and back, in integer arithmetic generated from a format's layout: no
// float type below 32 bits is needed. runtime/num/format_snippets.h has the same in C.
#include "passes/lower/Formats.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <cmath>

using namespace mlir;
using namespace nib;

static Num asF64(Num bits) {
  return bits.with(arith::BitcastOp::create(bits.at(), bits.at().getF64Type(), bits));
}
static Num asBits(Num real) {
  return real.with(arith::BitcastOp::create(real.at(), real.at().getI64Type(), real));
}

static constexpr int f64Mantissa = 52, f64Bias = 1023, f64Top = 2047;

bool nib::isMinifloat(nib_format format) {
  return nib_format_get(format)->kind == NIB_KIND_FLOAT && format != NIB_F32 && format != NIB_F64;
}

bool nib::fitsF64(nib_format format) {
  const nib_real_layout &r = nib_format_get(format)->real;
  return 1 - r.bias - r.mantissa_bits > -f64Bias + 60 && (1 << r.exponent_bits) - r.bias < f64Bias;
}

Num nib::decode(nib_format format, Num code) {
  const nib_real_layout &r = nib_format_get(format)->real;
  const int64_t top = (1 << r.exponent_bits) - 1, ones = (1 << r.mantissa_bits) - 1;
  code = code.toInt(64) & ((INT64_C(1) << nib_format_get(format)->bits) - 1);
  Num nan = code.with(asF64(code.constant(0x7FF8000000000000)));
  if (r.specials == NIB_SPECIALS_SCALE) {
    Num x = asF64((code + (f64Bias - r.bias)) << f64Mantissa);
    return select(code == top, nan, x);
  }
  Num magnitude = code & ((top << r.mantissa_bits) | ones);
  Num exponent = magnitude >> r.mantissa_bits, mantissa = magnitude & ones;
  Num negative = (code >> (r.exponent_bits + r.mantissa_bits) & 1) == 1;
  Num field = exponent + (f64Bias - r.bias);
  if (r.specials == NIB_SPECIALS_IEEE)
    field = select(exponent == top, field.constant(f64Top), field);
  Num normal = asF64((field << f64Mantissa) | (mantissa << (f64Mantissa - r.mantissa_bits)));
  Num step = normal.real(std::ldexp(1.0, 1 - r.bias - r.mantissa_bits));
  Num x = select(exponent == 0, mantissa.toF64() * step, normal);
  x = select(negative, -x, x);
  if (r.specials == NIB_SPECIALS_FN)
    x = select(magnitude == ((top << r.mantissa_bits) | ones), nan, x);
  if (r.specials == NIB_SPECIALS_FNUZ)
    x = select(negative & (magnitude == 0), nan, x);
  return x;
}

namespace {

// What the extremes of a format are encoded as, without the sign.
struct Extremes {
  int64_t largest, nan, over, sign;
  bool nanHasSign, overHasSign;

  Extremes(const nib_real_layout &r, bool saturate) {
    const int64_t top = (1 << r.exponent_bits) - 1, ones = (1 << r.mantissa_bits) - 1;
    const int64_t all = (top << r.mantissa_bits) | ones;
    sign = r.specials == NIB_SPECIALS_SCALE ? 0 : 1 << (r.exponent_bits + r.mantissa_bits);
    largest = r.specials == NIB_SPECIALS_IEEE ? (top << r.mantissa_bits) - 1
              : r.specials == NIB_SPECIALS_FN || r.specials == NIB_SPECIALS_SCALE ? all - 1
                                                                                  : all;
    nan = r.specials == NIB_SPECIALS_IEEE ? (top << r.mantissa_bits) | (ones + 1) >> 1
          : r.specials == NIB_SPECIALS_FNUZ || r.specials == NIB_SPECIALS_NONE ? sign
                                                                               : all;
    nanHasSign = r.specials == NIB_SPECIALS_IEEE || r.specials == NIB_SPECIALS_FN;
    over = saturate || r.specials == NIB_SPECIALS_NONE ? largest
           : r.specials == NIB_SPECIALS_IEEE           ? top << r.mantissa_bits
                                                       : nan;
    overHasSign = over == largest || r.specials == NIB_SPECIALS_IEEE || nanHasSign;
  }
};

} // namespace

// Whether rest / (2 half) makes the quotient one larger; a tie goes to the even `code`. In E8M0 1.5
// is nearer to 2 than to 1: its caller asks for ties away.
static Num roundsUp(nib_encode_mode mode, Num rest, Num half, Num code, Num negative) {
  Num some = rest != rest.constant(0);
  switch (mode) {
  case NIB_ENCODE_NEAREST_AWAY:
    return rest >= half;
  case NIB_ENCODE_TOWARD_ZERO:
    return some & (some ^ some.constant(1));
  case NIB_ENCODE_UP:
    return some & (negative ^ negative.constant(1));
  case NIB_ENCODE_DOWN:
    return some & negative;
  default:
    return (rest > half) | ((rest == half) & ((code & 1) == 1));
  }
}

Num nib::encode(nib_format format, Num x, nib_encode_mode mode, bool saturate) {
  const nib_real_layout &r = nib_format_get(format)->real;
  const bool scale = r.specials == NIB_SPECIALS_SCALE, fnuz = r.specials == NIB_SPECIALS_FNUZ;
  const bool hasNoSign =
      !scale && nib_format_get(format)->bits == r.exponent_bits + r.mantissa_bits;
  const Extremes e(r, saturate);
  Num bits = asBits(x.toF64());
  Num negative = bits < 0, zero = bits.constant(0);
  Num sign = select(negative, bits.constant(e.sign), zero);
  Num field = (bits >> f64Mantissa) & f64Top;
  Num fraction = bits & ((INT64_C(1) << f64Mantissa) - 1);
  Num nan = bits.constant(e.nan), over = bits.constant(e.over);
  nan = e.nanHasSign ? nan | sign : nan;
  over = e.overHasSign ? over | sign : over;
  // |x| = significand * 2^(exponent - 52); what is too small for f64's normal numbers rounds to 0.
  Num significand = select(field == 0, fraction, fraction | bits.constant(INT64_C(1) << 52));
  Num exponent = select(field == 0, field.constant(1), field) - f64Bias;
  const int64_t lowest = scale ? -r.bias : 1 - r.bias;
  Num normal = exponent >= lowest;
  Num below = select(normal, zero, exponent.constant(lowest) - exponent);
  Num shift = below + (f64Mantissa - r.mantissa_bits);
  Num tiny = shift > 63; // below half of the smallest step: only its being not 0 counts
  significand = select(tiny, bits.constant(1), significand);
  shift = select(tiny, bits.constant(63), shift);
  // The hidden bit of a normal number counts the exponent up by one; a carry does so again.
  Num base = select(normal, exponent - lowest, zero) << r.mantissa_bits;
  if (scale)
    base = base - 1;
  Num whole = significand.shiftRightUnsigned(shift);
  Num one = bits.constant(1), rest = significand & ((one << shift) - 1);
  Num up = roundsUp(scale && mode == NIB_ENCODE_NEAREST_EVEN ? NIB_ENCODE_NEAREST_AWAY : mode, rest,
                    one << (shift - 1), whole + base, negative);
  Num code = base + whole + up.toUnsigned(64);
  code = select(code < 0, zero, code);
  // Finite numbers do not go beyond the largest against their direction.
  Num largest = bits.constant(e.largest) | sign, beyond = over;
  if (mode == NIB_ENCODE_TOWARD_ZERO)
    beyond = largest;
  if (mode == NIB_ENCODE_UP)
    beyond = select(negative, largest, over);
  if (mode == NIB_ENCODE_DOWN)
    beyond = select(negative, over, largest);
  Num y =
      select(code > e.largest, beyond, fnuz ? select(code == 0, zero, code | sign) : code | sign);
  Num isZero = (field == 0) & (fraction == 0);
  if (scale || hasNoSign)
    y = select(negative, scale ? nan : zero, y);
  y = select(isZero, fnuz || scale ? zero : sign, y);
  if (hasNoSign) // negative numbers are 0, and so is what is no number
    over = select(negative, zero, over);
  if (r.specials == NIB_SPECIALS_NONE)
    nan = select(negative, zero, nan);
  y = select(field == f64Top, select(fraction == 0, scale ? nan : over, nan), y);
  return (y & ((INT64_C(1) << nib_format_get(format)->bits) - 1)).toInt(32);
}

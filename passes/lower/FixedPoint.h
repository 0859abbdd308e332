// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Requantization and fixed-point functions as operations. What each computes is defined in
// docs/numerics.md; runtime/num/snippets.h has the same in C under the same names.
#ifndef NIB_PASSES_LOWER_FIXEDPOINT_H
#define NIB_PASSES_LOWER_FIXEDPOINT_H

#include "num/requant.h"
#include "passes/lower/Num.h"

namespace nib {

/// A nib_requant whose numbers are computed: i32, i32 and f32. A mode reads those it needs.
struct Requant {
  std::optional<Num> multiplier, shift, scale;
};

/// Whether a mode multiplies in f32.
bool isFloatMode(nib_rounding rounding);

Requant constantRequant(mlir::ImplicitLocOpBuilder &builder, const nib_requant &requant);

/// An i32 accumulator times the multiplier, rounded as named: i32.
Num rescale(nib_rounding rounding, Num x, const Requant &requant);
/// The same of an i64 accumulator.
Num rescale64(nib_rounding rounding, Num x, const Requant &requant);

/// A whole number in f64 as i64, between lo and hi; NaN becomes lo.
Num saturateReal(Num code, int64_t lo, int64_t hi);

/// f32 to a code: saturate(round(x / scale) + zero point) as i64; NaN becomes lo.
Num quantizeReal(nib_rounding rounding, Num x, float scale, int64_t zeroPoint, int64_t lo,
                 int64_t hi);

Num mulHighRound(Num a, Num b);
Num shiftRightRound(Num x, Num n);
Num rescaleTfliteDouble(Num x, Num multiplier, Num shift);
Num avgRound(Num sum, Num count);
Num fxExp(Num a, int integerBits);
Num fxOneOverOnePlus(Num a);
Num leadingZeros(Num x);

/// The nearest f32 or f64 integer.
Num roundReal(nib_rounding rounding, Num x);

} // namespace nib

#endif

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Reals that are stored as codes.
#ifndef NIB_PASSES_LOWER_FORMATS_H
#define NIB_PASSES_LOWER_FORMATS_H

#include "num/format.h"
#include "passes/lower/Num.h"

namespace nib {

/// Whether elements are codes of reals: f16, bf16, f8 … , all but f32 and f64.
bool isMinifloat(nib_format format);
/// Whether every number of a minifloat is a normal f64, which decode and encode need.
bool fitsF64(nib_format format);

/// The value of a code (an integer, extended by zeros), as f64.
Num decode(nib_format format, Num code);
/// The code of a real, rounded as `mode` says (not stochastically), as i32. What is too large: the
/// largest number if `saturate` or if there is no other code, else infinity or NaN.
Num encode(nib_format format, Num x, nib_encode_mode mode, bool saturate);

} // namespace nib

#endif

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The handlers of TOSA operators, by file.
#ifndef NIB_PASSES_CONVERT_TOSAOPERATORS_H
#define NIB_PASSES_CONVERT_TOSAOPERATORS_H

#include "passes/convert/FunctionConverter.h"

namespace nib {

/// Convolutions, matrix products, pools, rescale.
llvm::ArrayRef<ConvertRow> tosaLayerRows();
/// Element by element, reductions, movement of data, constants.
llvm::ArrayRef<ConvertRow> tosaElementRows();

} // namespace nib

#endif

// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The f32 expressions of functions.def, read as text: a new row needs no other lowering.
#ifndef NIB_PASSES_LOWER_REALEXPRESSION_H
#define NIB_PASSES_LOWER_REALEXPRESSION_H

#include "passes/lower/Num.h"

#include <memory>

namespace nib {

/// A C expression of float variables: numbers, + - * /, comparisons, ! && ||, ?:, calls of the
/// functions of math.h that have an operation.
class RealExpression {
public:
  ~RealExpression();
  /// Null if the text is not such an expression, or calls a function that is not known here.
  static std::unique_ptr<RealExpression> parse(llvm::StringRef text,
                                               llvm::ArrayRef<llvm::StringRef> variables);
  /// Its value, as operations; one number for each variable.
  Num emit(llvm::ArrayRef<Num> variables) const;

  struct Node;

private:
  RealExpression() = default;
  std::unique_ptr<Node> root;
};

} // namespace nib

#endif

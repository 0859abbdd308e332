// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The expressions of functions.def and binary.def, read as text: a new row needs no other lowering.
#ifndef NIB_PASSES_LOWER_EXPRESSION_H
#define NIB_PASSES_LOWER_EXPRESSION_H

#include "passes/lower/Num.h"

#include <memory>

namespace nib {

/// A C expression of variables that are all float, all double, all int64_t or all uint64_t:
/// numbers, casts, the operators without side effects, calls of functions of math.h and of the
/// snippets that have operations.
class Expression {
public:
  enum Kind { Real, Signed, Unsigned };
  ~Expression();
  /// Null if the text is not such an expression, or calls a function that is not known here.
  static std::unique_ptr<Expression> parse(llvm::StringRef text, Kind variables,
                                           llvm::ArrayRef<llvm::StringRef> names);
  /// Its value, as operations; one number for each variable. A comparison gives an i1.
  Num emit(llvm::ArrayRef<Num> variables) const;

  struct Node;

private:
  Expression() = default;
  std::unique_ptr<Node> root;
  Kind kind = Real;
};

} // namespace nib

#endif

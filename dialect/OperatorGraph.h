// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Between operations of the dialect and nodes of a nib_graph, generic through
// codegen/graph/ops.def.
#ifndef NIB_DIALECT_OPERATORGRAPH_H
#define NIB_DIALECT_OPERATORGRAPH_H

#include "dialect/NibDialect.h"
#include "dialect/TensorTypes.h"
#include "graph/graph.h"

namespace nib {

/// The row of `op` in the operator table, NIB_OP_COUNT if it has none.
nib_op operatorOf(mlir::Operation *op);

/// Source name and number in a location: `loc("conv1"("#3"))`. A name that is empty or begins with
/// `#` is written with one `#` in front.
struct SourceName {
  std::string name;
  int32_t index = -1;
};
SourceName readLocation(mlir::Location location);
mlir::Location makeLocation(mlir::MLIRContext *context, llvm::StringRef name, int32_t index);

/// Adds a tensor of `type` to `graph`; NIB_NONE after an error.
int32_t addTensor(nib_graph *graph, llvm::StringRef name, mlir::Type type, EmitError emitError);

/// Gives a constant's tensor its bytes, borrowed from the attribute where they lie there as needed.
llvm::LogicalResult setConstantData(nib_graph *graph, int32_t tensor, ConstantOp op);

/// Operands of `op` by slot of its table row; a null value is an absent optional operand.
llvm::LogicalResult operandsBySlot(mlir::Operation *op, llvm::SmallVectorImpl<mlir::Value> &slots);

/// Adds the node of `op` with operands `in` and result `out`; NIB_NONE after an error.
int32_t addNode(nib_graph *graph, mlir::Operation *op, llvm::ArrayRef<int32_t> in, int32_t out);

/// A nib_diag whose messages are diagnostics of `location`.
struct DiagnosticSink {
  explicit DiagnosticSink(mlir::Location location, llvm::StringRef prefix = {})
      : location(location), prefix(prefix) {}
  nib_diag diag() { return {emit, this}; }
  int errors = 0;

private:
  static void emit(void *user, nib_severity severity, const char *message);
  mlir::Location location;
  llvm::StringRef prefix;
};

} // namespace nib

#endif

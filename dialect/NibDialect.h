// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The `nib` dialect in C++. README.md of this folder says why each part exists.
#ifndef NIB_DIALECT_NIBDIALECT_H
#define NIB_DIALECT_NIBDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypeInterfaces.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "NibDialect.h.inc"

namespace nib {

/// Verifier of every operator: types, operands and attributes by the tables of codegen/graph, then
/// the rules of nib_graph_validate on a graph of this operator alone.
llvm::LogicalResult verifyOperator(mlir::Operation *op);

/// Lets the printer call the result what the operator's location calls it.
void suggestResultName(mlir::Operation *op, mlir::OpAsmSetValueNameFn setName);

} // namespace nib

#define GET_TYPEDEF_CLASSES
#include "NibTypes.h.inc"

#define GET_OP_CLASSES
#include "NibOps.h.inc"

#endif

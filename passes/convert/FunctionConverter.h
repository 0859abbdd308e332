// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Conversion of a function of another dialect to `nib`, operation by operation: a table of handlers
// and what they are written with. One block, static shapes.
#ifndef NIB_PASSES_CONVERT_FUNCTIONCONVERTER_H
#define NIB_PASSES_CONVERT_FUNCTIONCONVERTER_H

#include "dialect/NibDialect.h"
#include "graph/graph.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

namespace nib {

class FunctionConverter;
using ConvertHandler = llvm::LogicalResult (*)(FunctionConverter &converter, mlir::Operation *op);

/// A row of a table of handlers. `operation` is what it becomes where the handler asks for it.
struct ConvertRow {
  llvm::StringRef name;
  ConvertHandler handler;
  nib_op operation = NIB_OP_COUNT;
};

/// The attributes of an operator that is made, by name.
using Attrs = llvm::ArrayRef<mlir::NamedAttribute>;

class FunctionConverter {
public:
  FunctionConverter(mlir::func::FuncOp function, llvm::ArrayRef<llvm::ArrayRef<ConvertRow>> tables);

  /// Replaces the body. After an error, which is a located diagnostic, the function is as it was or
  /// half converted, and must not be used.
  llvm::LogicalResult run();

  mlir::OpBuilder &builder() { return ops; }
  const ConvertRow &row(mlir::Operation *op) { return *rows.lookup(op->getName().getStringRef()); }

  /// What stands for `old` now, in whatever type it got; null after an error.
  mlir::Value value(mlir::Value old);
  /// The same without scale and zero point.
  mlir::Value plain(mlir::Value old);
  /// Integers of at most 16 bits as codes with this zero point; the scale is that which the value
  /// has already, else 1. `isUnsigned` reads signless bits as unsigned.
  mlir::Value codes(mlir::Value old, int64_t zeroPoint, bool isUnsigned = false);
  void set(mlir::Value old, mlir::Value converted) { values[old] = converted; }

  /// Makes an operator at `op`'s place; null operands are absent ones.
  mlir::Value emit(mlir::Operation *op, nib_op operation, mlir::Type type,
                   llvm::ArrayRef<mlir::Value> operands, Attrs attrs = {});
  /// The same as the result of `op`.
  llvm::LogicalResult become(mlir::Operation *op, nib_op operation, mlir::Type type,
                             llvm::ArrayRef<mlir::Value> operands, Attrs attrs = {});
  /// A constant of `type` with the values of `data`, whose elements have the storage type or, for
  /// i48, are widened to it.
  mlir::Value constant(mlir::Operation *op, mlir::ElementsAttr data, mlir::RankedTensorType type);
  mlir::Value scast(mlir::Operation *op, mlir::Value value, mlir::Type type);
  /// `value` with another type: a cast of its codes; null after an error at `op`.
  mlir::Value as(mlir::Operation *op, mlir::Value value, mlir::Type type);

  mlir::NamedAttribute ints(nib_attr_id id, llvm::ArrayRef<int64_t> values);
  mlir::NamedAttribute integer(nib_attr_id id, int64_t value);
  mlir::NamedAttribute real(nib_attr_id id, double value);
  mlir::NamedAttribute string(nib_attr_id id, llvm::StringRef value);

  /// The type that a tensor of another dialect has here: i48 is i64, the rest stays.
  mlir::RankedTensorType type(mlir::Value old);
  /// `tensor` with elements of `!quant.uniform`.
  mlir::RankedTensorType quantized(mlir::RankedTensorType tensor, unsigned bits, bool isUnsigned,
                                   double scale, int64_t zeroPoint);

private:
  llvm::LogicalResult checkOperations();
  llvm::LogicalResult finish();

  mlir::func::FuncOp function;
  mlir::OpBuilder ops;
  llvm::StringMap<const ConvertRow *> rows;
  llvm::DenseMap<mlir::Value, mlir::Value> values;
};

/// The integers of a constant of another dialect; false if it is none.
bool readIntegers(mlir::Value value, llvm::SmallVectorImpl<int64_t> &integers);
/// The elements of a constant operation (`tosa.const`, `arith.constant`), or null.
mlir::ElementsAttr readConstant(mlir::Value value);

/// Handlers that several tables share.
llvm::LogicalResult convertNothing(FunctionConverter &converter, mlir::Operation *op);
llvm::LogicalResult convertUnary(FunctionConverter &converter, mlir::Operation *op);
llvm::LogicalResult convertBinary(FunctionConverter &converter, mlir::Operation *op);

/// Rows of `quant`: qcast, dcast and scast.
llvm::ArrayRef<ConvertRow> quantRows();

} // namespace nib

#endif

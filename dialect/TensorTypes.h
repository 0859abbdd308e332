// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Between tensor types of the IR and the facts of a nib_tensor.
#ifndef NIB_DIALECT_TENSORTYPES_H
#define NIB_DIALECT_TENSORTYPES_H

#include "graph/graph.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Diagnostics.h"

namespace nib {

using EmitError = llvm::function_ref<mlir::InFlightDiagnostic()>;

/// What a tensor type says of a nib_tensor.
struct TensorFacts {
  nib_format format;
  llvm::SmallVector<int64_t, NIB_MAX_RANK> dims;
  bool quantized = false;
  double scale = 0;
  int64_t zeroPoint = 0;
};

/// Facts of `type`, or an error saying why no graph can hold it.
llvm::LogicalResult readTensorType(mlir::Type type, TensorFacts &facts, EmitError emitError);

/// The type of `tensor`; null after an error.
mlir::RankedTensorType makeTensorType(mlir::MLIRContext *context, const nib_tensor &tensor,
                                      EmitError emitError);

/// The type of a constant's bytes: integers and f32, f64 as they are; elements of other formats as
/// the i8 or i16 that holds their code; blocks as one dimension of i8.
mlir::RankedTensorType makeStorageType(mlir::MLIRContext *context, nib_format format,
                                       llvm::ArrayRef<int64_t> dims);

} // namespace nib

#endif

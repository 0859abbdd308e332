// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Constructors and registration of the passes.
#ifndef NIB_PASSES_PASSES_H
#define NIB_PASSES_PASSES_H

#include "dialect/NibDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tosa/IR/TosaOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace nib {

#define GEN_PASS_DECL
#include "NibPasses.h.inc"

#define GEN_PASS_REGISTRATION
#include "NibPasses.h.inc"

/// Registers every pass, `nib-to-c-pipeline` and `nib-to-llvm-pipeline`; more than once is once.
void registerPassesAndPipelines();

} // namespace nib

#endif
